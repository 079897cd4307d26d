//! What was signed, and what became of each piece of evidence.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::Digest;
use crate::model::Pinned;
use crate::registry;
use crate::sign::Format;
use crate::sign::Target;
use crate::verify::VerifiedSignature;

/// What was signed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Signed {
    /// The image.
    pub image: Pinned,
    /// Every piece of evidence, in the order of the walk.
    pub pieces: Vec<Piece>,
}

/// One piece of evidence.
#[derive(Debug)]
#[non_exhaustive]
pub struct Piece {
    /// What it is about.
    pub target: Target,
    /// Its layout.
    pub format: Format,
    /// What it proves.
    pub proof: Arc<VerifiedSignature>,
    /// What became of it.
    pub state: State,
}

/// What became of a piece of evidence.
#[derive(Debug)]
#[non_exhaustive]
pub enum State {
    /// It could not be written, or not be found again.
    Failed(registry::Error),
    /// It was there already, in the manifest with this digest.
    Kept(Digest),
    /// It was written, in the manifest with this digest.
    Written(Digest),
}

/// A file's bundle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileBundle {
    /// The JSON.
    pub json: Bytes,
    /// What it proves.
    pub proof: VerifiedSignature,
}
