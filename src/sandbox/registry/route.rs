//! What a request asks for, by its path.

use crate::sandbox::server::decode;

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// `/v2/<repo>/blobs/<digest>`
    Blob { repo: String, digest: String },
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<repo>/manifests/<tag or digest>`
    Manifest { repo: String, reference: String },
    /// `/v2/`
    Ping,
    /// `/v2/<repo>/referrers/<digest>`
    Referrers { repo: String, digest: String },
    /// `/storage/<digest>`: where redirected blobs lie.
    Storage { digest: String },
    /// `/v2/<repo>/tags/list`
    Tags { repo: String },
    /// `/token`
    Token,
    /// Anything else.
    Unknown,
    /// `/v2/<repo>/blobs/uploads/<id>`
    Upload { repo: String, id: String },
    /// `/v2/<repo>/blobs/uploads/`
    Uploads { repo: String },
}

impl Route {
    /// Parses a path, percent-encoded as it came.
    pub(super) fn parse(path: &str) -> Self {
        let path = decode(path);
        if matches!(path.as_str(), "/v2" | "/v2/") {
            return Self::Ping;
        }
        if path == "/v2/_catalog" {
            return Self::Catalog;
        }
        if path == "/token" {
            return Self::Token;
        }
        if let Some(digest) = path.strip_prefix("/storage/") {
            let digest = digest.to_owned();
            return Self::Storage { digest };
        }
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Self::Unknown;
        };
        let parts: Vec<_> = rest.split('/').collect();
        match parts.as_slice() {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""]
                if !name.is_empty() =>
            {
                Self::Uploads {
                    repo: name.join("/"),
                }
            }
            [name @ .., "blobs", "uploads", id] if !name.is_empty() => Self::Upload {
                repo: name.join("/"),
                id: (*id).to_owned(),
            },
            [name @ .., "blobs", digest] if !name.is_empty() => Self::Blob {
                repo: name.join("/"),
                digest: (*digest).to_owned(),
            },
            [name @ .., "manifests", reference] if !name.is_empty() => Self::Manifest {
                repo: name.join("/"),
                reference: (*reference).to_owned(),
            },
            [name @ .., "referrers", digest] if !name.is_empty() => Self::Referrers {
                repo: name.join("/"),
                digest: (*digest).to_owned(),
            },
            [name @ .., "tags", "list"] if !name.is_empty() => Self::Tags {
                repo: name.join("/"),
            },
            _ => Self::Unknown,
        }
    }

    /// The repository it is about.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Blob { repo, .. }
            | Self::Manifest { repo, .. }
            | Self::Referrers { repo, .. }
            | Self::Tags { repo }
            | Self::Upload { repo, .. }
            | Self::Uploads { repo } => Some(repo),
            Self::Catalog | Self::Ping | Self::Storage { .. } | Self::Token | Self::Unknown => None,
        }
    }
}

/// Whether a repository may be called so (distribution specification, "Pulling manifests").
pub(super) fn is_name(name: &str) -> bool {
    // Docker's own limit of 255 with the host in front; the specification only warns of it.
    name.len() <= 255 && name.split('/').all(is_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().next_back()];
    let bounded = ends.into_iter().all(|end| end.is_some_and(plain));
    let mut separators = text.split(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit());
    bounded
        && separators.all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|one| one == b'-')
        })
}

/// Whether a tag may be called so: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(super) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let repo = || "a/blobs/b".to_owned();
        for (path, expected) in [
            ("/v2", Route::Ping),
            ("/v2/", Route::Ping),
            ("/v2/_catalog", Route::Catalog),
            ("/v1/", Route::Unknown),
            ("/v2/manifests/x", Route::Unknown),
            ("/token", Route::Token),
            ("/v2/a/blobs/b/tags/list", Route::Tags { repo: repo() }),
            (
                "/v2/a/blobs/b/blobs/uploads/",
                Route::Uploads { repo: repo() },
            ),
            (
                "/v2/a/blobs/b/manifests/sha256%3A00",
                Route::Manifest {
                    repo: repo(),
                    reference: "sha256:00".to_owned(),
                },
            ),
            (
                "/v2/a/blobs/b/blobs/sha256:00",
                Route::Blob {
                    repo: repo(),
                    digest: "sha256:00".to_owned(),
                },
            ),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn names_and_tags_are_as_the_specification_has_them() {
        for (name, expected) in [
            ("a", true),
            ("a/b-c/d__e/f.g/h---i/0_1", true),
            ("", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("A", false),
            ("a..b", false),
            ("a___b", false),
            ("a._b", false),
            ("-a", false),
            ("a-", false),
            ("é", false),
            ("..", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(is_name(&"a".repeat(255)));
        assert!(!is_name(&"a".repeat(256)));
        for (tag, expected) in [("v1.0_x-y", true), ("_", true), ("", false), (".a", false)] {
            assert_eq!(is_tag(tag), expected, "{tag}");
        }
        assert!(is_tag(&"a".repeat(128)));
        assert!(!is_tag(&"a".repeat(129)));
        assert!(!is_tag("a b"));
    }
}
