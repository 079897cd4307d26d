//! The nouns that every other module shares, and every bound there is.
//!
//! Nothing here says anything about trust: these types are made by parsing or by hashing. Start
//! with [`Digest`], [`Reference`] and [`Pinned`] (a tag never identifies an image; only a digest
//! does), then [`DenyCode`], the one list of reasons.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod code;
mod digest;
mod identity;
mod json;
mod limits;
mod manifest;
mod reference;
mod time;

pub use code::DenyCode;
pub use code::Outcome;
pub use digest::Algorithm;
pub use digest::Digest;
pub use digest::DigestError;
pub(crate) use digest::hex;
pub use identity::Claim;
pub use identity::Claims;
pub use identity::Identity;
pub use identity::San;
pub use json::JsonError;
pub(crate) use json::folds_onto;
pub(crate) use json::printable;
pub(crate) use json::read as read_json;
pub use json::strict_json;
pub use limits::Budget;
pub use limits::Exceeded;
pub use limits::Limits;
pub use manifest::Descriptor;
pub use manifest::ImageManifest;
pub use manifest::Index;
pub use manifest::Manifest;
pub use manifest::ManifestError;
pub use manifest::Platform;
pub use manifest::media_type;
pub use reference::Pinned;
pub use reference::Reference;
pub use reference::ReferenceError;
pub use reference::Repository;
pub use time::NotATime;
pub use time::Timestamp;
