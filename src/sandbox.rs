//! A world to test against, in one process: what signs, and where it is stored.
//!
//! Nothing here is used to decide anything. It exists so that every refusal of the gate has a test
//! that offers it exactly the one wrong thing, signed as well as the right thing is. Everything that
//! listens does so on loopback only.

pub mod mint;
pub mod registry;
pub mod server;
