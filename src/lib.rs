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
//! * `transport`, `registry`: one HTTP set-up, and OCI registries, layouts and archives behind it.
//! * `admit`: the whole path for one reference: resolve, collect, verify, decide, report.
//! * `output`: a report as text, JSON or cosign-shaped JSON, and the words for each refusal.
//! * `sandbox`: a Sigstore in memory and a registry on loopback, for tests.
//! * `cli`: the command line.

pub mod model;

pub mod verify;

pub mod policy;

#[cfg(feature = "net")]
pub mod transport;

#[cfg(feature = "net")]
pub mod registry;

#[cfg(feature = "net")]
pub mod admit;

#[cfg(feature = "net")]
pub mod output;

#[cfg(feature = "sandbox")]
pub mod sandbox;

#[cfg(feature = "cli")]
pub mod cli;
