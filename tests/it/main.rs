//! The offline ring: the public interface and the command line against an in-process world.
#![expect(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod admit;
mod cli;
mod fuzz_corpus;
mod mint;
mod mutation;
mod oracle;
mod output;
mod policy;
mod predicate;
mod registry;
mod runner;
mod sandbox_faults;
mod sandbox_lies;
mod sandbox_registry;
mod sandbox_sigstore;
mod services;
mod sign;
mod signing;
mod trust;
mod world;
