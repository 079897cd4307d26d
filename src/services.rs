//! Clients of the services around Sigstore, each over the one HTTP set-up and verified before use.
//!
//! Nothing here is asked while evidence is verified: what these clients fetch becomes a file first,
//! and the file is what a verdict rests on.
//!
//! [`tuf`] gives trusted roots. The others are what a signer needs, in the order in which it asks:
//! [`signing_config`] says where the services are, [`oidc`] gives a token, [`fulcio`] a certificate,
//! [`timestamp`] a signed time and [`rekor`] a log entry. What they give is bounded and well formed,
//! and nothing more: whoever signs verifies the whole before it leaves the machine.

mod address;
mod client;
mod error;
pub mod fulcio;
pub mod oidc;
pub mod rekor;
mod secret;
pub mod signing_config;
pub mod timestamp;
pub mod tuf;

pub use address::AddressError;
pub use address::Endpoint;
pub use client::Client;
pub use error::Barred;
pub use error::Error;
pub use error::Missing;
pub use error::Service;
