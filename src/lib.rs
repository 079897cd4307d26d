//! scgate decides whether a container image digest may run, and says why.
//!
//! One question is asked in the pipeline, at Kubernetes admission and in an audit, and answered by
//! the same code with the same words: *may this digest run, by this policy, on the evidence that
//! exists for it, and why?*
//!
//! # How to read it
//!
//! The modules stand below in reading order, which is the order of dependency: a module names only
//! modules above it (`tests/architecture.rs` checks that). Bytes become parsed values, parsed
//! values become proofs, proofs become a decision, a decision becomes a report.
//!
//! * [`model`]: the shared nouns and every limit. Start with [`model::DenyCode`], the list of all
//!   reasons there are.
//! * [`verify`]: the cryptography. [`verify::verify`] is the only way to a
//!   [`verify::VerifiedSignature`].
//! * [`policy`]: what is demanded. [`policy::Policy::decide`] is the only judge.
//!
//! These three are pure: no clock, no environment, no file, no network; the time and the limits are
//! arguments. Without cargo features the crate consists of them alone and has no HTTP client and no
//! async runtime in its tree. The rest talks to the world:
//!
//! * `transport`, `services`, `registry`: one HTTP set-up, and behind it TUF mirrors and the services
//!   that a signer asks, and OCI registries, layouts and archives.
//! * `admit`: the whole path for one reference: resolve, collect, verify, decide, report.
//! * `sign`: signatures and attestations for an image and everything in it, verified before they are
//!   pushed.
//! * `output`: a report as text, JSON or cosign-shaped JSON, and the words for each refusal.
//! * `sandbox`: a Sigstore in memory and a registry on loopback, for tests.
//! * `cli`: the command line.
//!
//! # One proof
//!
//! ```
//! use scgate::verify::{Artifact, Signer, Terms, Trust, verify};
//! use scgate::{Bundle, Limits, Timestamp, TrustRoot};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = include_bytes!("../testdata/cosign-lab/trusted_root.json");
//! # let bundle = include_bytes!("../testdata/cosign-lab/blob/rekor2.sigstore.json");
//! # let file = include_bytes!("../testdata/cosign-lab/blob/blob.txt");
//! let limits = Limits::default();
//! let root = TrustRoot::parse(root, &limits)?;
//! let bundle = Bundle::parse(bundle, &limits)?;
//! let now = Timestamp::parse("2026-12-01T00:00:00Z")?;
//! let terms = Terms::default();
//!
//! let proof = verify(&bundle, Artifact::Bytes(file), Trust::Root(&root), terms, now, &limits)?;
//! let Signer::Certificate { identity, .. } = proof.signer() else {
//!     return Err("a key".into());
//! };
//! // Proven is who signed. Whether they may is for a policy to say.
//! assert_eq!(identity.issuer, "https://token.actions.githubusercontent.com");
//!
//! // The twin: another file.
//! let other = verify(&bundle, Artifact::Bytes(b"?"), Trust::Root(&root), terms, now, &limits);
//! assert!(other.is_err());
//! # Ok(())
//! # }
//! ```

pub mod model;

pub mod verify;

pub mod policy;

#[cfg(feature = "net")]
pub mod transport;

#[cfg(feature = "net")]
pub mod services;

#[cfg(feature = "net")]
pub mod registry;

#[cfg(feature = "net")]
pub mod admit;

#[cfg(feature = "net")]
pub mod sign;

#[cfg(feature = "net")]
pub mod output;

#[cfg(feature = "sandbox")]
pub mod sandbox;

#[cfg(feature = "cli")]
pub mod cli;

#[cfg(feature = "net")]
pub use admit::Gate;
#[cfg(feature = "net")]
pub use admit::Report;
pub use model::DenyCode;
pub use model::Digest;
pub use model::Limits;
pub use model::Reference;
pub use model::Timestamp;
pub use policy::Decision;
pub use policy::Policy;
#[cfg(feature = "net")]
pub use registry::Source;
pub use verify::Bundle;
pub use verify::TrustRoot;
pub use verify::VerifiedSignature;
