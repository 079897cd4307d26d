//! Clients of the services around Sigstore, each over the one HTTP set-up and verified before use.
//!
//! Nothing here is asked while evidence is verified: what these clients fetch becomes a file first,
//! and the file is what a verdict rests on.

pub mod tuf;
