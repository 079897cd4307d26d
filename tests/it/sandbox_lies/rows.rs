//! Each named lie with an example of its value, and what `scgate verify` makes of it.

/// A lie, and what it comes to with an entry in Rekor v1 and in Rekor v2: a deny code, the status
/// with which the log itself refuses the entry, or an Allow, whose reason stands above it.
pub(crate) type Row = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    ("clock:+3600", "time-in-future", "time-in-future"),
    ("ca-not-before:+3600", "certificate-untrusted", "certificate-untrusted"),
    ("ca-not-after:-3600", "certificate-untrusted", "certificate-untrusted"),
    ("ca-san-uri:https://github.com/evil/shop", "identity-mismatch", "identity-mismatch"),
    ("ca-san-email:evil@sandbox.test", "identity-mismatch", "identity-mismatch"),
    ("ca-second-san:https://github.com/evil/shop", "certificate-san", "certificate-san"),
    ("ca-no-san", "certificate-san", "certificate-san"),
    ("ca-issuer:https://evil.test", "issuer-mismatch", "issuer-mismatch"),
    ("ca-old-issuer:https://evil.test", "certificate-claims-conflict", "certificate-claims-conflict"),
    ("ca-claim:12=https://github.com/evil/shop", "certificate-claims-conflict", "certificate-claims-conflict"),
    // The question names no claim.
    ("ca-no-claim:12", "ALLOW", "ALLOW"),
    ("ca-other-key", "log 400", "log 400"),
    ("ca-key-usage:6", "certificate-usage", "certificate-usage"),
    ("ca-extended-key-usage:1.3.6.1.5.5.7.3.1", "certificate-usage", "certificate-usage"),
    ("ca-no-extended-key-usage", "certificate-usage", "certificate-usage"),
    ("ca-authority", "certificate-usage", "certificate-usage"),
    ("ca-critical:1.2.3.4", "certificate-untrusted", "certificate-untrusted"),
    // Identities stand in the alternative name alone.
    ("ca-subject:evil", "ALLOW", "ALLOW"),
    ("ca-version-1", "certificate-malformed", "certificate-malformed"),
    ("ca-signature", "certificate-untrusted", "certificate-untrusted"),
    ("ca-no-sct", "sct-missing", "sct-missing"),
    ("ca-sct-signature", "sct-invalid", "sct-invalid"),
    ("ca-sct-log", "sct-untrusted", "sct-untrusted"),
    // A promise of the CT log, whose key is valid at that time.
    ("ca-sct-time:+3600", "ALLOW", "ALLOW"),
    ("ca-sct-version:1", "sct-malformed", "sct-malformed"),
    ("ca-sct-list", "sct-malformed", "sct-malformed"),
    ("ca-malformed", "log 400", "log 400"),
    ("log-body", "log-entry-mismatch", "log-entry-mismatch"),
    // Entries of Rekor v2 have no time.
    ("log-time:+3600", "time-in-future", "ALLOW"),
    // Entries of Rekor v2 have no time.
    ("log-no-time", "log-entry-malformed", "ALLOW"),
    // Logs of several shards count all of them.
    ("log-index:1000", "ALLOW", "ALLOW"),
    ("log-stranger", "log-unknown", "log-unknown"),
    // Proof and timestamp are there.
    ("log-no-promise", "ALLOW", "ALLOW"),
    // Entries of Rekor v2 have no promise.
    ("log-promise", "log-promise-invalid", "ALLOW"),
    ("log-proof-index:1", "log-proof-invalid", "log-proof-invalid"),
    ("log-proof-size:1", "log-proof-invalid", "log-proof-invalid"),
    ("log-root", "log-proof-invalid", "log-proof-invalid"),
    ("log-path", "log-proof-invalid", "log-proof-invalid"),
    ("log-no-proof", "log-proof-missing", "log-proof-missing"),
    ("log-no-checkpoint", "checkpoint-missing", "checkpoint-missing"),
    ("log-checkpoint-origin:stranger.test", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-root", "checkpoint-mismatch", "checkpoint-mismatch"),
    ("log-checkpoint-size", "checkpoint-mismatch", "checkpoint-mismatch"),
    ("log-checkpoint-signature", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-name:stranger.test", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-hint", "checkpoint-invalid", "checkpoint-invalid"),
    ("tsa-time:+3600", "time-in-future", "time-in-future"),
    ("tsa-imprint", "timestamp-mismatch", "timestamp-mismatch"),
    ("tsa-status:2", "timestamp-invalid", "timestamp-invalid"),
    // Trust is in the authority, whatever its policy is called.
    ("tsa-policy:1.2.3.4", "ALLOW", "ALLOW"),
    ("tsa-sha1", "timestamp-invalid", "timestamp-invalid"),
    // The nonce is between the signer and the authority.
    ("tsa-nonce", "ALLOW", "ALLOW"),
    ("tsa-signature", "timestamp-invalid", "timestamp-invalid"),
    // The promise of Rekor v1 gives the time.
    ("tsa-stranger", "ALLOW", "timestamp-untrusted"),
    // The root says which certificate it is.
    ("tsa-certificate-hash", "ALLOW", "ALLOW"),
    ("tsa-message-digest", "timestamp-invalid", "timestamp-invalid"),
    ("tsa-no-attributes", "timestamp-invalid", "timestamp-invalid"),
    ("tsa-two-signers", "timestamp-invalid", "timestamp-invalid"),
];
