//! The small interop ring: real cosign, crane and go-containerregistry's registry against the built
//! `scgate`.
//!
//! Nothing here is simulated. cosign signs, a real registry on loopback serves, and each question
//! is put to cosign and to scgate alike: the two must answer yes and no on the same rows, or the
//! row says why not. It asserts exit codes and deny codes, never a text. The peers come from
//! `SCGATE_INTEROP_BIN`, which `tests/interop/run` installs and sets; without it every test here
//! passes with a loud `SKIPPED interop`. Start at `keyed.rs` (signs anew, with a key) and
//! `samples.rs` (what cosign wrote keylessly before, served again); `peers.rs` runs the programs.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "failing is how a test answers; the exemption for tests stops at their functions"
)]

mod http;
mod keyed;
mod layout;
mod peers;
#[cfg(feature = "sandbox")]
mod rfc6962;
mod samples;
