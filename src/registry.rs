//! Where images and their evidence lie: an OCI registry, or an OCI layout on disk.
//!
//! Every manifest and blob that leaves here has the digest it was asked by. That something is not
//! there is said only on a true 404 (or its likeness on disk); everything else is an [`Error`] with
//! its own reason, never an empty list. Start with [`Source`].

mod archive;
mod error;
mod layout;
mod listing;
mod store;

pub use error::Asked;
pub use error::Error;
pub use error::Found;
pub use error::LayoutFault;
pub use error::Rule;
pub use error::What;
pub use layout::Layout;
pub use listing::Candidate;
pub use listing::Listing;
pub use listing::Search;
pub use listing::Way;

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
use crate::transport::Deadline;

/// A place that images are read from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// An OCI layout, a directory or an archive.
    Layout(Layout),
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
        let _ = deadline;
        match self {
            Self::Layout(layout) => layout.resolve(reference),
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
        let _ = (repository, deadline);
        match self {
            Self::Layout(layout) => layout.manifest(digest),
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
        let _ = (repository, deadline);
        match self {
            Self::Layout(layout) => layout.blob(descriptor, cap),
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
        let _ = (repository, deadline);
        match self {
            Self::Layout(layout) => layout.list(image, search),
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

/// The entries of what lies under a fallback tag. Some registries answer such a tag with the image
/// itself, which is no list of referrers, whatever it is; nor is any other image manifest, unless it
/// refers to the image itself.
fn fallback_entries(
    raw: &RawManifest,
    image: &Digest,
    limits: &Limits,
) -> Result<Vec<Descriptor>, ManifestError> {
    if raw.digest == *image {
        return Ok(Vec::new());
    }
    let served_as = raw.media_type.as_deref();
    match Manifest::parse(&raw.bytes, served_as, limits.referrers, limits)? {
        Manifest::Index(index) => Ok(index.manifests),
        Manifest::Image(manifest) => {
            let about = manifest.subject.map(|subject| subject.digest);
            let size = raw.bytes.len() as u64;
            let itself = Descriptor::new(manifest.media_type, raw.digest, size);
            Ok(if about == Some(*image) {
                vec![itself]
            } else {
                Vec::new()
            })
        }
    }
}
