//! The small interop ring: real cosign, crane and go-containerregistry's registry against the built
//! `scgate`.
//!
//! Nothing here is simulated. cosign signs, a real registry on loopback serves, and each question
//! is put to cosign and to scgate alike: the two must answer yes and no on the same rows, or the
//! row says why not. It asserts exit codes and deny codes, never a text. The peers come from
//! `SCGATE_INTEROP_BIN`, which `tests/interop/run` installs and sets; without it every test here
//! passes with a loud `SKIPPED interop`. Start at `keyed.rs` (signs anew, with a key) and
//! `samples.rs` (what cosign wrote keylessly before, served again); `trust.rs` has both read one TUF
//! mirror; `writing.rs` has both write at one place; `peers.rs` runs the programs.
//! `sandbox_registry.rs` asks the other way round: whether the sandbox's registry is one to crane,
//! cosign, oras and skopeo, and `signing.rs` whether what scgate signs is signed for the cosigns.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "failing is how a test answers; the exemption for tests stops at their functions"
)]

mod faults;
mod http;
mod keyed;
mod layout;
mod lies;
mod peers;
#[cfg(feature = "sandbox")]
mod rfc6962;
mod samples;
mod sandbox;
mod sandbox_registry;
mod signing;
mod trust;
mod writing;
