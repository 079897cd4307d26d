//! Signing and attesting: one certificate for a walk, one log entry a payload, nothing pushed that
//! does not verify.

mod predicate;

pub use predicate::Predicate;
pub use predicate::PredicateError;
pub use predicate::PredicateType;
