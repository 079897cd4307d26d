//! Where images and their evidence lie, and where evidence is written: an OCI registry, or an OCI
//! layout on disk.
//!
//! Every manifest and blob that leaves here has the digest it was asked by. That something is not
//! there is said only on a true 404 (or its likeness on disk); everything else is an [`Error`] with
//! its own reason, never an empty list. What is written is found again before it counts as written.
//! Start with [`Source`].

mod archive;
mod auth;
mod discover;
mod error;
mod helper;
mod keyring;
mod layout;
mod link;
mod listing;
mod plan;
mod remote;
mod session;
mod store;
mod token;
mod writer;

pub use error::Asked;
pub use error::Error;
pub use error::Found;
pub use error::LayoutFault;
pub use error::Rule;
pub use error::What;
pub use keyring::Credential;
pub use keyring::Helpers;
pub use keyring::Keyring;
pub use keyring::KeyringError;
pub use layout::Layout;
pub use listing::Candidate;
pub use listing::FallbackTerm;
pub use listing::Listing;
pub use listing::Search;
pub use listing::Way;
pub use remote::Hosts;
pub use remote::Remote;
pub use remote::RemoteSettings;
pub use writer::Listed;
pub use writer::Mounted;
pub use writer::NewLayer;
pub use writer::Writer;

use bytes::Bytes;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::ManifestError;
use crate::model::Pinned;
use crate::model::Reference;
use crate::model::Repository;
use crate::model::printable;
use crate::transport;
use crate::transport::Deadline;

/// A place that images are read from.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made for each run, never a list of them"
)]
pub enum Source {
    /// An OCI layout, a directory or an archive.
    Layout(Layout),
    /// Registries on the network.
    Remote(Remote),
}

/// What a reference turned out to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The image.
    pub pinned: Pinned,
    /// Its manifest, when it was read to find the digest.
    pub manifest: Option<RawManifest>,
}

/// A manifest as it was served: bytes that hash to `digest`, not parsed, not trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RawManifest {
    /// The bytes.
    pub bytes: Bytes,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The type it was served as, without parameters.
    pub media_type: Option<String>,
}

impl Source {
    /// Finds out which image a reference names. A digest needs no request; a tag is read once, and
    /// the digest is that of the bytes that came.
    ///
    /// # Errors
    ///
    /// [`Error`]; its code is `ImageNotFound` only when there is no such tag.
    pub async fn resolve(
        &self,
        reference: &Reference,
        deadline: Deadline,
    ) -> Result<Resolved, Error> {
        match self {
            Self::Layout(layout) => layout.resolve(reference),
            Self::Remote(remote) => remote.resolve(reference, deadline).await,
        }
    }

    /// Reads a manifest or index by digest.
    ///
    /// # Errors
    ///
    /// [`Error`]; see [`Error::is_not_found`].
    pub async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<RawManifest, Error> {
        match self {
            Self::Layout(layout) => {
                layout.in_time(What::Manifest(*digest), deadline)?;
                layout.manifest(digest)
            }
            Self::Remote(remote) => remote.manifest(repository, digest, deadline).await,
        }
    }

    /// Reads a blob of at most `cap` bytes. Its size is compared before its digest.
    ///
    /// # Errors
    ///
    /// [`Error`]; see [`Error::is_not_found`].
    pub async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        cap: usize,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        match self {
            Self::Layout(layout) => {
                layout.in_time(What::Blob(descriptor.digest), deadline)?;
                layout.blob(descriptor, cap)
            }
            Self::Remote(remote) => remote.blob(repository, descriptor, cap, deadline).await,
        }
    }

    /// Lists what may be evidence about `image` in `repository`: its own, or one for signatures.
    ///
    /// All ways of looking are read and united. A way that failed is a gap.
    pub async fn list(
        &self,
        image: &Pinned,
        repository: &Repository,
        search: &Search,
        deadline: Deadline,
    ) -> Listing {
        match self {
            Self::Layout(layout) => {
                match layout.in_time(What::Referrers(image.digest()), deadline) {
                    Ok(()) => layout.list(image, search, deadline),
                    Err(gap) => Listing {
                        gaps: vec![gap],
                        ..Listing::default()
                    },
                }
            }
            Self::Remote(remote) => remote.list(image, repository, search, deadline).await,
        }
    }
}

/// The size of a blob, when it is within `cap`.
fn bounded_size(
    descriptor: &Descriptor,
    cap: usize,
    asked: impl Fn() -> Asked,
) -> Result<usize, Error> {
    match usize::try_from(descriptor.size) {
        Ok(size) if size <= cap => Ok(size),
        _ => Err(Error::Exceeded {
            asked: asked(),
            exceeded: Exceeded {
                what: "bytes in a blob",
                limit: cap,
            },
        }),
    }
}

/// The entries of what lies under a fallback tag, if it is a list. Some registries answer such a tag
/// with the image itself, which is no list of referrers whatever it is; nor is another image
/// manifest, unless it refers to the image.
fn fallback_entries(
    raw: &RawManifest,
    image: &Digest,
    limits: &Limits,
) -> Result<Option<Vec<Descriptor>>, ManifestError> {
    if raw.digest == *image {
        return Ok(None);
    }
    let served_as = raw.media_type.as_deref();
    match Manifest::parse(&raw.bytes, served_as, limits.referrers, limits)? {
        Manifest::Index(index) => {
            let entries = index.manifests.into_iter();
            Ok(Some(entries.map(listing::kept_of).collect()))
        }
        Manifest::Image(manifest) => {
            let about = manifest.subject.map(|subject| subject.digest);
            let size = u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX);
            let itself = Descriptor::new(manifest.media_type, raw.digest, size);
            Ok((about == Some(*image)).then(|| vec![itself]))
        }
    }
}

/// An answer with an error status, as an error. `note` is what was tried.
fn status_error(asked: &Asked, reply: &transport::Reply, note: &str) -> Error {
    let said = error_text(&reply.body);
    let detail = match (said.as_str(), note) {
        ("", note) => note.to_owned(),
        (said, "") => said.to_owned(),
        (said, note) => format!("{said} ({note})"),
    };
    Error::Status {
        asked: asked.clone(),
        status: reply.status,
        retry_after: reply.retry_after(),
        detail,
    }
}

/// Code and message of the first error that a registry states (distribution specification, "Error
/// Codes"), cut and escaped.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        errors: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(body) = crate::model::read_json::<Body>(body) else {
        return String::new();
    };
    match body.errors.first() {
        Some(item) => printable(format!("{} {}", item.code, item.message).trim()),
        None => String::new(),
    }
}
