//! What can go wrong between a reference and its bytes, each with its own reason.

use core::fmt;
use core::time::Duration;
use std::io;

use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::ManifestError;
use crate::model::printable;
use crate::transport;

/// Why something could not be read or written.
///
/// Text that a registry supplied is cut and escaped; queries, userinfo and secrets never appear.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tag of a layout is on several images. Whoever wrote the layout can mend it.
    #[error("the layout has {count} images with the tag `{tag}`")]
    AmbiguousTag {
        /// The tag.
        tag: String,
        /// How many images have it.
        count: usize,
    },
    /// The bytes have another digest than they were asked by, or than the registry says.
    #[error("{asked} came with the digest `{found}`, not `{expected}`")]
    DigestMismatch {
        /// What was asked.
        asked: Asked,
        /// The digest that was expected, or the registry's header (cut and escaped).
        expected: String,
        /// The digest of the bytes.
        found: Digest,
    },
    /// More than a bound allows.
    #[error("{asked}: {exceeded}")]
    Exceeded {
        /// What was asked.
        asked: Asked,
        /// The bound.
        exceeded: Exceeded,
    },
    /// A credential helper failed. The operator can mend it.
    #[error("`docker-credential-{helper}` failed for `{server}`: {fault}")]
    Helper {
        /// The helper.
        helper: String,
        /// What it was asked for.
        server: String,
        /// What it said, cut and escaped.
        fault: String,
    },
    /// A layout or archive on disk could not be read. The operator can mend it.
    #[error("the layout `{path}` could not be read: {fault}")]
    Layout {
        /// The layout, or the file in it.
        path: String,
        /// Why.
        fault: LayoutFault,
    },
    /// An answer that is not the protocol.
    #[error("{asked} came in a form that is not the protocol: {reason}")]
    Malformed {
        /// What was asked.
        asked: Asked,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A manifest or index that could not be parsed.
    #[error("{asked}: {source}")]
    Manifest {
        /// What was asked.
        asked: Asked,
        /// Why not.
        source: ManifestError,
    },
    /// A layout holds no image at all. The operator can name another.
    #[error("the layout `{path}` holds no image")]
    NoImage {
        /// The layout.
        path: String,
    },
    /// It is not there: a registry's 404, or no such entry in a layout.
    #[error("{asked} is not there")]
    NotFound {
        /// What was asked.
        asked: Asked,
    },
    /// The registry wanted something that scgate's rules forbid.
    #[error("{asked} was given up: {rule}")]
    Refused {
        /// What was asked.
        asked: Asked,
        /// The rule, with the host that the registry named.
        rule: Rule,
    },
    /// A layout holds several images, and the reference names none of them. The operator can.
    #[error("the layout `{path}` holds {} images (name one of them: {})", names.len(), Names(names))]
    SeveralImages {
        /// The layout.
        path: String,
        /// How each image is named: by its tag if no other image has it, else by its digest.
        names: Vec<String>,
    },
    /// The bytes have another size than their descriptor says.
    #[error("{asked} has {found}, not the {expected} bytes of its descriptor")]
    SizeMismatch {
        /// What was asked.
        asked: Asked,
        /// The size in the descriptor.
        expected: u64,
        /// The size found.
        found: Found,
    },
    /// The registry answered with an error.
    #[error("{asked} was answered with {status}{}{}", Wait(*.retry_after), Quote(.detail))]
    Status {
        /// What was asked.
        asked: Asked,
        /// The HTTP status.
        status: u16,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
        /// What the registry said and what was tried, cut and escaped.
        detail: String,
    },
    /// The registry does not let the tag be written again. Its operator can.
    #[error("{asked} may not be written again: the registry answered with {status}{}", Quote(.detail))]
    TagImmutable {
        /// The tag.
        asked: Asked,
        /// The HTTP status.
        status: u16,
        /// What the registry said, cut and escaped.
        detail: String,
    },
    /// There was no answer, or none that could be read.
    #[error("{asked}: {source}")]
    Transport {
        /// What was asked.
        asked: Asked,
        /// Why.
        source: transport::Error,
    },
    /// What was written was not found again: others write at the same place, or the registry shows
    /// late what is written.
    #[error("{asked}: what was written was not found there again ({writes} times written)")]
    Unconfirmed {
        /// Where it was written.
        asked: Asked,
        /// How often it was written.
        writes: u32,
    },
    /// A layout on disk could not be written. The operator can mend it.
    #[error("the layout `{path}` could not be written: {fault}")]
    Unwritten {
        /// The layout, or the file in it.
        path: String,
        /// Why.
        fault: LayoutFault,
    },
}

/// A size that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// This many bytes.
    Bytes(u64),
    /// More than were expected; the rest was not read.
    More,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(count) => write!(f, "{count}"),
            Self::More => f.write_str("more"),
        }
    }
}

/// A rule of scgate that a registry's answer goes against.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// A blob was redirected from HTTPS to HTTP.
    Downgrade {
        /// The host that was named.
        host: String,
    },
    /// The next page of a listing is at another origin.
    LinkElsewhere {
        /// The host that was named.
        host: String,
    },
    /// A manifest or listing was redirected to another origin.
    ManifestRedirect {
        /// The host that was named.
        host: String,
    },
    /// The token server's address is no HTTP URL, has userinfo, or is plain HTTP for an HTTPS
    /// registry.
    Realm {
        /// The host that was named, or the text when it names none.
        host: String,
    },
    /// More redirects than are followed.
    Redirects,
    /// The token server redirects, which would take credentials elsewhere.
    TokenRedirect,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Downgrade { host } => {
                write!(f, "it redirects from HTTPS to plain HTTP at `{host}`")
            }
            Self::LinkElsewhere { host } => write!(f, "its next page is at `{host}`"),
            Self::ManifestRedirect { host } => write!(f, "it redirects to `{host}`"),
            Self::Realm { host } => write!(f, "the token server `{host}` is not one to ask"),
            Self::TokenRedirect => f.write_str("the token server redirects"),
            Self::Redirects => f.write_str("it redirects too often"),
        }
    }
}

/// What was asked, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked(Box<Question>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Question {
    place: String,
    repository: String,
    what: What,
}

impl Asked {
    pub(super) fn new(place: String, repository: String, what: What) -> Self {
        Self(Box::new(Question {
            place,
            repository,
            what,
        }))
    }

    /// The host that was asked, or the path of the layout.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The repository's path; empty in a layout.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.0.repository
    }

    /// What was asked.
    #[must_use]
    pub fn what(&self) -> &What {
        &self.0.what
    }
}

/// A thing that is read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// A blob.
    Blob(Digest),
    /// A layout's list of contents.
    Contents,
    /// A manifest.
    Manifest(Digest),
    /// The list of referrers of a digest.
    Referrers(Digest),
    /// A tag.
    Tag(String),
    /// An access token.
    Token,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question {
            place,
            repository,
            what,
        } = &*self.0;
        match what {
            What::Blob(digest) => write!(f, "blob `{digest}`")?,
            What::Contents => f.write_str("the list of contents")?,
            What::Manifest(digest) => write!(f, "manifest `{digest}`")?,
            What::Referrers(digest) => write!(f, "the referrers of `{digest}`")?,
            What::Tag(tag) => write!(f, "tag `{tag}`")?,
            What::Token => f.write_str("a token")?,
        }
        match (what, repository.as_str()) {
            (_, "") => write!(f, " of `{place}`"),
            (What::Token, repository) => write!(f, " for `{repository}` from `{place}`"),
            (_, repository) => write!(f, " of `{place}/{repository}`"),
        }
    }
}

/// Why a layout on disk could not be read or written.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LayoutFault {
    /// An archive, which nothing is added to.
    Archive,
    /// The archive is compressed.
    Compressed(&'static str),
    /// An archive of `docker save` before version 25.
    DockerArchive,
    /// Two entries of the archive have this name.
    Duplicate(String),
    /// The archive has more entries than are read.
    Entries(usize),
    /// An index in it that could hold evidence is malformed.
    Index(Digest),
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// Another process writes to it.
    Locked,
    /// A symbolic link, or another thing that is no regular file.
    NotAFile,
    /// The file `oci-layout` is malformed.
    Marker,
    /// There is no `oci-layout` and no `index.json`.
    NotALayout,
    /// The file is no tar archive.
    NotAnArchive,
    /// The archive ends inside an entry, or without the mark of its end.
    Truncated,
    /// A layout version other than 1.0.0.
    Version(String),
}

impl fmt::Display for LayoutFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive => f.write_str("nothing is added to an archive (unpack it first)"),
            Self::Compressed(tool) => {
                write!(
                    f,
                    "the archive is compressed (unpack it with `{tool}` first)"
                )
            }
            Self::DockerArchive => f.write_str(
                "a docker archive without an OCI layout: the manifest digests, which signatures \
                 are about, are lost (save it with Docker 25 or later, or as `oci-archive`)",
            ),
            Self::Duplicate(name) => write!(f, "the archive has `{name}` twice"),
            Self::Entries(limit) => write!(f, "the archive has more than {limit} entries"),
            Self::Index(digest) => write!(f, "the index `{digest}` in it is malformed"),
            Self::Io(io::ErrorKind::NotFound) => f.write_str("there is no such file or directory"),
            Self::Io(io::ErrorKind::PermissionDenied) => f.write_str("this user may not do that"),
            Self::Io(kind) => write!(f, "{kind}"),
            Self::Locked => f.write_str("another process has been writing to it for too long"),
            Self::Marker => f.write_str("its `oci-layout` is malformed"),
            Self::NotAFile => f.write_str("not a regular file (links are not followed)"),
            Self::NotALayout => f.write_str("no `oci-layout` and `index.json` in it"),
            Self::NotAnArchive => f.write_str("neither a directory nor a tar archive"),
            Self::Truncated => f.write_str("the archive is cut short"),
            Self::Version(found) => write!(f, "the layout version `{found}` is not 1.0.0"),
        }
    }
}

impl Error {
    /// The reason, as it stands in every report.
    #[must_use]
    pub const fn code(&self) -> DenyCode {
        match self {
            Self::AmbiguousTag { .. } | Self::SeveralImages { .. } => DenyCode::ManifestMalformed,
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => DenyCode::DigestMismatch,
            Self::Exceeded { .. } => DenyCode::LimitExceeded,
            Self::Helper { .. } => DenyCode::RegistryUnauthorized,
            Self::Layout {
                fault: LayoutFault::Entries(_),
                ..
            } => DenyCode::LimitExceeded,
            Self::Layout { .. } | Self::Unwritten { .. } => DenyCode::LayoutUnreadable,
            Self::Malformed { .. } => DenyCode::RegistryMalformed,
            Self::Manifest {
                source: ManifestError::Exceeded(_),
                ..
            } => DenyCode::LimitExceeded,
            Self::Manifest { .. } => DenyCode::ManifestMalformed,
            Self::NoImage { .. } | Self::NotFound { .. } => DenyCode::ImageNotFound,
            Self::Refused { .. } => DenyCode::RegistryRefused,
            Self::Status { status, .. } => match status {
                401 => DenyCode::RegistryUnauthorized,
                403 => DenyCode::RegistryForbidden,
                408 => DenyCode::RegistryTimeout,
                429 => DenyCode::RegistryRateLimited,
                _ => DenyCode::RegistryUnavailable,
            },
            Self::TagImmutable { .. } => DenyCode::TagImmutable,
            Self::Unconfirmed { .. } => DenyCode::WriteUnconfirmed,
            Self::Transport { source, .. } => match source {
                transport::Error::Deadline { .. } => DenyCode::DeadlineExceeded,
                transport::Error::Encoding { .. } => DenyCode::RegistryMalformed,
                transport::Error::Refused { .. } => DenyCode::RegistryRefused,
                transport::Error::Timeout { .. } => DenyCode::RegistryTimeout,
                transport::Error::TooLarge { .. } => DenyCode::LimitExceeded,
                transport::Error::Unreachable { .. } => DenyCode::RegistryUnreachable,
                transport::Error::CaFile
                | transport::Error::Proxy
                | transport::Error::ProxyScheme { .. }
                | transport::Error::Setup => DenyCode::Internal,
            },
        }
    }

    /// Whether the thing is truly not there. Everything else is "cannot say" or a refusal.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// How long the registry asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self {
            *retry_after
        } else {
            None
        }
    }
}

/// Names that stand in a sentence, as many as somebody may want to read.
const MAX_NAMES: usize = 8;
/// Characters of one of them.
const MAX_NAME: usize = 100;

/// The first names, each cut and escaped.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().take(MAX_NAMES).enumerate() {
            let name = printable(name);
            let end = name.char_indices().nth(MAX_NAME).map(|(end, _)| end);
            let (start, cut) = match end.and_then(|end| name.get(..end)) {
                Some(start) => (start, "…"),
                None => (name.as_str(), ""),
            };
            write!(f, "{}`{start}{cut}`", if at == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(MAX_NAMES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// ", retry after 17 s", or nothing.
struct Wait(Option<Duration>);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, ", retry after {} s", time.as_secs()),
            None => Ok(()),
        }
    }
}

/// ": " and the text, or nothing.
struct Quote<'a>(&'a str);

impl fmt::Display for Quote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            text => write!(f, ": {text}"),
        }
    }
}
