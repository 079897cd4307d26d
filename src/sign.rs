//! Signing and attesting: one certificate for a walk, one log entry a payload, nothing pushed that
//! does not verify.
