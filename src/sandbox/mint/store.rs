//! A mint as it is kept in a file: private keys and certificates.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use super::CertificateAuthority;
use super::CertifiedKey;
use super::CtLog;
use super::KeyKind;
use super::Log;
use super::Mint;
use super::MintError;
use super::SigningKey;
use super::TimestampAuthority;
use super::base64;
use crate::model::Timestamp;

/// A mint in plain values.
#[derive(Deserialize, Serialize)]
pub(in crate::sandbox) struct StoredMint {
    valid_from: i64,
    valid_until: i64,
    fulcio_root: StoredKey,
    fulcio_intermediate: StoredKey,
    tsa_root: StoredKey,
    tsa_leaf: StoredKey,
    ct: String,
    rekor1: String,
    rekor2: String,
}

#[derive(Deserialize, Serialize)]
struct StoredKey {
    key: String,
    certificate: String,
    subject: String,
    issuer: String,
    serial: String,
}

impl StoredKey {
    fn of(key: &CertifiedKey) -> Result<Self, MintError> {
        Ok(Self {
            key: base64(&key.key.to_pkcs8()?),
            certificate: base64(&key.certificate),
            subject: base64(&key.subject),
            issuer: base64(&key.issuer),
            serial: base64(&key.serial),
        })
    }

    fn restore(&self) -> Option<CertifiedKey> {
        Some(CertifiedKey {
            key: key(KeyKind::P384, &self.key)?,
            certificate: STANDARD.decode(&self.certificate).ok()?,
            subject: STANDARD.decode(&self.subject).ok()?,
            issuer: STANDARD.decode(&self.issuer).ok()?,
            serial: STANDARD.decode(&self.serial).ok()?,
        })
    }
}

fn key(kind: KeyKind, text: &str) -> Option<SigningKey> {
    SigningKey::from_pkcs8(kind, &STANDARD.decode(text).ok()?).ok()
}

impl Mint {
    /// What makes this mint again, for a mint whose actors have the usual names and key kinds.
    pub(in crate::sandbox) fn stored(&self) -> Result<StoredMint, MintError> {
        Ok(StoredMint {
            valid_from: self.valid_from.unix_seconds(),
            valid_until: self.valid_until.unix_seconds(),
            fulcio_root: StoredKey::of(&self.fulcio.root)?,
            fulcio_intermediate: StoredKey::of(&self.fulcio.intermediate)?,
            tsa_root: StoredKey::of(&self.tsa.root)?,
            tsa_leaf: StoredKey::of(&self.tsa.leaf)?,
            ct: base64(&self.ct.key.to_pkcs8()?),
            rekor1: base64(&self.rekor1.key.to_pkcs8()?),
            rekor2: base64(&self.rekor2.key.to_pkcs8()?),
        })
    }

    /// The mint that was stored; nothing when it does not read back.
    pub(in crate::sandbox) fn from_stored(stored: &StoredMint) -> Option<Self> {
        Some(Self {
            valid_from: Timestamp::from_unix_seconds(stored.valid_from).ok()?,
            valid_until: Timestamp::from_unix_seconds(stored.valid_until).ok()?,
            fulcio: CertificateAuthority {
                root: stored.fulcio_root.restore()?,
                intermediate: stored.fulcio_intermediate.restore()?,
            },
            ct: CtLog::new(super::CT_URL, key(KeyKind::P256, &stored.ct)?),
            rekor1: Log::v1(
                super::REKOR1_HOST,
                super::REKOR1_TREE,
                key(KeyKind::P256, &stored.rekor1)?,
            ),
            rekor2: Log::v2(super::REKOR2_HOST, key(KeyKind::Ed25519, &stored.rekor2)?),
            tsa: TimestampAuthority {
                root: stored.tsa_root.restore()?,
                leaf: stored.tsa_leaf.restore()?,
            },
        })
    }
}
