//! Signed certificate timestamps (RFC 6962, section 3.2), embedded in a certificate.

use super::HashKind;
use super::Hook;
use super::MintError;
use super::SigningKey;
use crate::model::Timestamp;

/// The extension that holds the list.
pub(super) const EXTENSION: &str = "1.3.6.1.4.1.11129.2.4.2";

/// A certificate transparency log.
#[derive(Clone, Debug)]
pub struct CtLog {
    /// Where it says it is.
    pub base_url: String,
    /// The id that its SCTs carry: SHA-256 of the public key.
    pub id: Vec<u8>,
    /// The key.
    pub key: SigningKey,
}

impl CtLog {
    /// A log with this key.
    #[must_use]
    pub fn new(base_url: &str, key: SigningKey) -> Self {
        Self {
            base_url: base_url.to_owned(),
            id: key.id(),
            key,
        }
    }
}

/// One SCT.
#[derive(Clone, Debug)]
pub struct SctOrder {
    /// The log; none for the mint's.
    pub log: Option<CtLog>,
    /// The version, 0 for v1.
    pub version: u8,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// The extensions. By default those of a static-ct log: its leaf index.
    pub extensions: Vec<u8>,
    /// The TLS hash algorithm and signature algorithm: SHA-256 (4), ECDSA (3).
    pub algorithm: [u8; 2],
    /// The bytes that are signed.
    pub signed: Hook<Vec<u8>>,
}

impl SctOrder {
    /// A right SCT made at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        Self {
            log: None,
            version: 0,
            timestamp: seconds.saturating_mul(1000),
            extensions: vec![0, 0, 5, 0, 0, 0, 2, 0xbd],
            algorithm: [4, 3],
            signed: Hook::default(),
        }
    }

    fn serialize(
        &self,
        log: &CtLog,
        issuer: &SigningKey,
        precertificate: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), MintError> {
        let mut signed = vec![self.version, 0];
        signed.extend(self.timestamp.to_be_bytes());
        signed.extend([0, 1]);
        signed.extend(HashKind::Sha256.of(issuer.spki()));
        signed.extend(prefixed(3, precertificate));
        signed.extend(prefixed(2, &self.extensions));
        let signature = log.key.sign(&self.signed.on(signed.clone()))?;
        let mut sct = vec![self.version];
        sct.extend_from_slice(&log.id);
        sct.extend(self.timestamp.to_be_bytes());
        sct.extend(prefixed(2, &self.extensions));
        sct.extend(self.algorithm);
        sct.extend(prefixed(2, &signature));
        // What is signed (RFC 6962, 3.2) has the bytes of the leaf that the log keeps (3.4): the
        // signature type and the leaf type are both zero.
        Ok((sct, signed))
    }
}

/// The TLS-encoded list over a `TBSCertificate` without the list, and the `MerkleTreeLeaf` of each.
pub(super) fn list(
    orders: &[SctOrder],
    log: Option<&CtLog>,
    issuer: &SigningKey,
    precertificate: &[u8],
) -> Result<(Vec<u8>, Vec<Vec<u8>>), MintError> {
    let mut content = Vec::new();
    let mut leaves = Vec::new();
    for order in orders {
        let log = order.log.as_ref().or(log).ok_or(MintError::NoCtLog)?;
        let (sct, leaf) = order.serialize(log, issuer, precertificate)?;
        content.extend(prefixed(2, &sct));
        leaves.push(leaf);
    }
    Ok((prefixed(2, &content), leaves))
}

/// `bytes` after their length in `width` bytes.
pub(in crate::sandbox) fn prefixed(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    let skip = length.len().saturating_sub(width);
    let mut out: Vec<u8> = length.into_iter().skip(skip).collect();
    out.extend_from_slice(bytes);
    out
}
