//! Image references, parsed as the node that will pull the image parses them.
//!
//! The grammar and the defaults are those of `distribution/reference`, which containerd, CRI-O and
//! Docker use; where scgate is stricter, it refuses rather than reads something else. A policy sees
//! one normal form: lower-case host, `docker.io` for its aliases, `library/` where it is implied, no
//! `:443` unless the host is a single word, which would read as a path of Docker Hub without it. The
//! normal form is itself a reference, and means the same.

use core::fmt;
use core::str::FromStr;

use serde::Serialize;

use crate::model::Digest;
use crate::model::DigestError;

/// Characters of a repository path (`distribution/reference`, `RepositoryNameTotalLengthMax`).
const MAX_PATH: usize = 255;
/// Characters of a host name with its port: 253 for a DNS name, 6 for a port.
const MAX_HOST: usize = 259;
/// Characters of a tag (`distribution/reference`, `tag`).
const MAX_TAG: usize = 128;

/// A repository in its normal form: a host, with a port unless it is 443 and can be left out, and a path.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// What a layout on disk that nobody named is called. No reference has an empty host, so no
    /// image pattern takes it for a repository.
    #[must_use]
    pub fn unnamed_layout() -> Self {
        Self {
            host: String::new(),
            path: "oci-layout".to_owned(),
        }
    }

    /// The host, with its port. 443 is left out, but not of a single word other than `localhost`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path below the host.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Parses a repository without tag and digest.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] as for [`Reference::parse`], or when there is a tag or digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let reference = Reference::parse(text)?;
        if reference.tag.is_some() || reference.digest.is_some() {
            return Err(ReferenceError::NotARepository);
        }
        Ok(reference.repository)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.is_empty() {
            return f.write_str(&self.path);
        }
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl Serialize for Repository {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What somebody asked for: a repository with a tag, a digest, or both. It identifies an image only
/// when it has a digest; see [`Pinned`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a reference.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] for what the node would refuse too, and for a port above 65535.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains("://") {
            return Err(ReferenceError::Scheme);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (host, rest) = split_host(name);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(parse_tag(tag)?)),
            None => (rest, None),
        };
        let host = parse_host(host)?;
        if path.len() == 64
            && host == DOCKER_HUB
            && path.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(ReferenceError::BareIdentifier);
        }
        parse_path(path)?;
        let path = if host == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if path.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            repository: Repository { host, path },
            tag,
            digest,
        })
    }

    /// A reference into a layout that nobody named.
    #[must_use]
    pub fn in_layout(tag: Option<String>, digest: Option<Digest>) -> Self {
        Self {
            repository: Repository::unnamed_layout(),
            tag,
            digest,
        }
    }

    /// The repository.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, a mere label when there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The image this names, when it names one by digest.
    #[must_use]
    pub fn pinned(&self) -> Option<Pinned> {
        Some(self.pin(self.digest?))
    }

    /// The image of this repository that has `digest`: the one bridge from a name to an identity.
    #[must_use]
    pub fn pin(&self, digest: Digest) -> Pinned {
        Pinned {
            repository: self.repository.clone(),
            digest,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.repository, f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// One image: a repository and a digest. Verdicts are about these.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pinned {
    repository: Repository,
    digest: Digest,
}

impl Pinned {
    /// The repository.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Another manifest of the same repository.
    #[must_use]
    pub fn sibling(&self, digest: Digest) -> Self {
        Self {
            repository: self.repository.clone(),
            digest,
        }
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl Serialize for Pinned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const DOCKER_HUB: &str = "docker.io";

/// The first component is a host when it has a dot, a colon or an upper-case letter, or is
/// `localhost` (`distribution/reference`, `splitDockerDomain`).
fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, name),
    }
}

fn parse_host(host: &str) -> Result<String, ReferenceError> {
    if host.len() > MAX_HOST {
        return Err(ReferenceError::TooLong);
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(ReferenceError::Host)?;
            let address: core::net::Ipv6Addr = address.parse().map_err(|_| ReferenceError::Host)?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':').ok_or(ReferenceError::Host)?),
            };
            (format!("[{address}]"), port)
        }
        None => {
            let (name, port) = match host.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (host, None),
            };
            for label in name.split('.') {
                let inner = label
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || c == b'-');
                if !inner || label.is_empty() || label.starts_with('-') || label.ends_with('-') {
                    return Err(ReferenceError::Host);
                }
            }
            (name.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        None => None,
        Some(text) => {
            if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
                return Err(ReferenceError::Port);
            }
            match text.parse::<u16>() {
                Ok(0) | Err(_) => return Err(ReferenceError::Port),
                Ok(443) => None,
                Ok(port) => Some(port),
            }
        }
    };
    Ok(match (name.as_str(), port) {
        ("index.docker.io" | "registry-1.docker.io", None) => DOCKER_HUB.to_owned(),
        (name, None) if name.contains(['.', '[']) || name == "localhost" => name.to_owned(),
        // Only a port tells a single word from the first component of a path.
        (name, None) => format!("{name}:443"),
        (name, Some(port)) => format!("{name}:{port}"),
    })
}

/// Components of `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn parse_path(path: &str) -> Result<(), ReferenceError> {
    if path.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(ReferenceError::UpperCase);
    }
    for component in path.split('/') {
        let mut separator = String::new();
        let mut after_word = false;
        for c in component.chars() {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                let joined = separator.is_empty()
                    || matches!(separator.as_str(), "." | "_" | "__")
                    || separator.bytes().all(|c| c == b'-');
                if !joined || (!separator.is_empty() && !after_word) {
                    return Err(ReferenceError::Path);
                }
                separator.clear();
                after_word = true;
            } else if matches!(c, '.' | '_' | '-') {
                separator.push(c);
            } else {
                return Err(ReferenceError::Path);
            }
        }
        if !separator.is_empty() || !after_word {
            return Err(ReferenceError::Path);
        }
    }
    Ok(())
}

fn parse_tag(tag: &str) -> Result<String, ReferenceError> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let good = tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|c| word(c) || matches!(c, b'.' | b'-'))
        && tag.len() <= MAX_TAG;
    if good {
        Ok(tag.to_owned())
    } else {
        Err(ReferenceError::Tag)
    }
}

/// Why a text is not an image reference. Whoever wrote it can mend it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// 64 hexadecimal digits alone, which a node takes for an image id.
    #[error("64 hexadecimal digits alone are an image id, not a reference (write `NAME@sha256:…`)")]
    BareIdentifier,
    /// The part after `@` is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The host is no DNS name, IPv4 address or bracketed IPv6 address.
    #[error("a host that is no DNS name or IP address")]
    Host,
    /// A tag or digest where only a repository is meant.
    #[error("a tag or digest where only a repository is meant")]
    NotARepository,
    /// A path component has a character or separator that registries refuse.
    #[error("a repository path with a component that registries refuse")]
    Path,
    /// The port is not a number from 1 to 65535.
    #[error("a port that is not a number from 1 to 65535")]
    Port,
    /// It begins with a scheme.
    #[error("a scheme such as `https://` before the image name (leave it out)")]
    Scheme,
    /// The tag has a character that is not allowed, is empty, or is longer than 128 characters.
    #[error("a tag that registries refuse (letters, digits, `_`, `.`, `-`, at most 128)")]
    Tag,
    /// The host or path is too long.
    #[error("an image name that is too long")]
    TooLong,
    /// The path has an upper-case letter.
    #[error("an upper-case letter in the repository path")]
    UpperCase,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        match Reference::parse(text) {
            Ok(reference) => reference.to_string(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn names_have_one_normal_form() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx", "docker.io/library/nginx"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("docker.io/library/nginx", "docker.io/library/nginx"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            (
                "registry-1.docker.io/library/nginx",
                "docker.io/library/nginx",
            ),
            ("acme/app:1", "docker.io/acme/app:1"),
            ("MyHost/a", "myhost:443/a"),
            ("registry:443/a", "registry:443/a"),
            ("registry:5000/a", "registry:5000/a"),
            ("localhost:443/a", "localhost/a"),
            ("LOCALHOST/a:1", "localhost/a:1"),
            ("localhost/a", "localhost/a"),
            ("REGISTRY.TEST/a", "registry.test/a"),
            ("registry.test:443/a", "registry.test/a"),
            (
                "registry.test:5000/a/b__c/d-e---f",
                "registry.test:5000/a/b__c/d-e---f",
            ),
            ("[::1]:5000/a/b", "[::1]:5000/a/b"),
            ("[2001:DB8::0001]/a", "[2001:db8::1]/a"),
            ("xn--80ak6aa92e.com/a", "xn--80ak6aa92e.com/a"),
            ("127.0.0.1:15000/lab/x", "127.0.0.1:15000/lab/x"),
        ] {
            assert_eq!(normal(text), expected, "{text}");
            assert_eq!(normal(expected), expected, "{text}");
        }
    }

    #[test]
    fn what_a_node_refuses_is_refused() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let upper = hex.to_uppercase();
        for (text, expected) in [
            (String::new(), "Path"),
            (hex.to_owned(), "BareIdentifier"),
            (format!("a/b@sha256:{upper}"), "Digest(NotHex)"),
            (
                format!("a/b@sha256:{hex}@sha256:{hex}"),
                "Digest(Length { expected: 64, found: 136 })",
            ),
            ("https://a.test/b".into(), "Scheme"),
            ("a.test/B".into(), "UpperCase"),
            ("a.test/b:".into(), "Tag"),
            (format!("a.test/b:{}", "x".repeat(129)), "Tag"),
            ("a.test/b c".into(), "Path"),
            (" a.test/b".into(), "Host"),
            ("a.test/b\n".into(), "Path"),
            ("a.test/b..c".into(), "Path"),
            ("a.test/b___c".into(), "Path"),
            ("a.test/-b".into(), "Path"),
            ("a.test/".into(), "Path"),
            ("a.test//b".into(), "Path"),
            ("a.test/../b".into(), "Path"),
            ("a.test./b".into(), "Host"),
            ("ä.test/b".into(), "Host"),
            ("user@a.test/b".into(), "Digest(NoAlgorithm)"),
            ("a.test:99999/b".into(), "Port"),
            ("a.test:0/b".into(), "Port"),
            ("a.test:x/b".into(), "Port"),
            ("[::1/b".into(), "Host"),
            ("a.test/b:t:u".into(), "Path"),
            (format!("a.test/{}", "x".repeat(256)), "TooLong"),
        ] {
            assert_eq!(normal(&text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_digest_pins() {
        let digest = Digest::sha256(b"x");
        let by_tag = Reference::parse("a.test/b:1").map(|r| r.pinned());
        assert_eq!(by_tag, Ok(None));
        let both = Reference::parse(&format!("a.test/b:1@{digest}")).map(|r| r.pinned());
        assert_eq!(both.ok().flatten().map(|p| p.digest()), Some(digest));
    }
}
