//! What a request asks for, by its path.

use crate::sandbox::server::decode;

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// `/v2/<repo>/blobs/<digest>`
    Blob { repo: String, digest: String },
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
            Self::Ping | Self::Storage { .. } | Self::Token | Self::Unknown => None,
        }
    }
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
}
