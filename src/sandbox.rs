//! The outside world on loopback: what the tests and the demonstrations talk to.
//!
//! Everything here is for machines that are being tested. It checks no signature, it keeps its
//! secrets in plain text, and it lies when it is told to. Start with [`registry::Registry`].

pub mod registry;
