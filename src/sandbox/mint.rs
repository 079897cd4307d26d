//! A whole Sigstore in memory: it signs anything, with any claims, at any time, with any flaw.
//!
//! [`Mint`] holds the actors: a certificate authority, a certificate transparency log, both Rekor
//! versions and a timestamp authority. [`Order`] says what is wanted; its default is what cosign 3
//! makes against the public instance. [`Mint::sign`] carries it out and gives the raw parts, which
//! render into every layout there is.
//!
//! A flaw is made in one of three places. A field or [`Hook`] of an order changes a value *before*
//! whatever is signed over it, so that only the check of that value can notice. A field of
//! [`Minted`] changes a value *after* signing. And an actor of a cloned mint can be replaced, while
//! the trusted root still comes from the original.
//!
//! There is no clock and no network here: every time is an argument. Only keys, serial numbers and
//! ECDSA nonces are random.

mod body;
mod bundle;
mod certificate;
mod content;
pub mod der;
mod hook;
mod identity;
mod key;
mod legacy;
mod log;
pub mod root;
mod sct;
mod store;
mod timestamp;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::Identity;
use crate::model::Timestamp;

pub use body::EntryKind;
pub use bundle::bundle_media_type;
pub use certificate::BasicConstraints;
pub use certificate::CODE_SIGNING;
pub use certificate::CertificateOrder;
pub use certificate::CertifiedKey;
pub use certificate::Extension;
pub use certificate::GeneralName;
pub use certificate::TIME_STAMPING;
pub use certificate::fulcio_extensions;
pub use content::COSIGN_SIGN;
pub use content::Content;
pub use content::Envelope;
pub use content::EnvelopeOrder;
pub use content::pae;
pub use hook::Hook;
pub use identity::FULCIO_ARC;
pub use identity::GITHUB_ISSUER;
pub use identity::GithubActions;
pub use identity::email;
pub use identity::spiffe;
pub use identity::username;
pub use key::HashKind;
pub use key::KeyKind;
pub use key::SigningKey;
pub use legacy::Artifact;
pub use legacy::LegacyChain;
pub use legacy::LegacyLayer;
pub use legacy::RekorBundle;
pub use legacy::RekorPayload;
pub use legacy::bundle_referrer;
pub use legacy::experimental_manifest;
pub use legacy::legacy_manifest;
pub use log::CheckpointOrder;
pub use log::Entry;
pub use log::EntryOrder;
pub use log::Log;
pub use log::LogVersion;
pub use log::PromiseOrder;
pub use log::Proof;
pub use log::ProofOrder;
pub use log::leaf;
pub use log::node;
pub use log::signature_line;
pub use sct::CtLog;
pub use sct::SctOrder;
pub use timestamp::AttributesOrder;
pub use timestamp::Imprint;
pub use timestamp::TIMESTAMP_POLICY;
pub use timestamp::TimestampAuthority;
pub use timestamp::TimestampOrder;

pub(super) use body::Logged;
pub(super) use body::Verifier;
pub(super) use certificate::Issued;
pub(super) use certificate::PublicHalf;
pub(super) use certificate::random_serial;
pub(super) use log::Place;
pub(super) use sct::prefixed;
pub(super) use store::StoredMint;

use root::TrustedRoot;

/// Where the CT log says it is.
const CT_URL: &str = "https://ct.sandbox.test";
/// The host of the Rekor v1 log.
const REKOR1_HOST: &str = "rekor.sandbox.test";
/// The tree of the Rekor v1 log.
const REKOR1_TREE: u64 = 7_143_222_881_498_154_001;
/// The host of the Rekor v2 log.
const REKOR2_HOST: &str = "rekor2.sandbox.test";

const YEAR: i64 = 365 * 24 * 60 * 60;

/// Why nothing could be minted. Never because of what was ordered, except for a missing log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The crypto library or its source of randomness failed.
    #[error("the crypto library failed")]
    Crypto,
    /// A certificate with an SCT was ordered from an authority without a log.
    #[error("an SCT was ordered and no certificate transparency log is known")]
    NoCtLog,
}

impl From<aws_lc_rs::error::Unspecified> for MintError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

/// A certificate authority: a root and the intermediate that issues.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    /// The root.
    pub root: CertifiedKey,
    /// The intermediate.
    pub intermediate: CertifiedKey,
}

/// The actors of a Sigstore instance.
#[derive(Clone, Debug)]
pub struct Mint {
    /// Begin of the validity of all keys and authorities.
    pub valid_from: Timestamp,
    /// End of the validity of all authorities.
    pub valid_until: Timestamp,
    /// Who issues signing certificates.
    pub fulcio: CertificateAuthority,
    /// Who makes SCTs.
    pub ct: CtLog,
    /// A Rekor v1 log.
    pub rekor1: Log,
    /// A Rekor v2 log.
    pub rekor2: Log,
    /// Who makes RFC 3161 timestamps.
    pub tsa: TimestampAuthority,
}

impl Mint {
    /// A new instance, valid from a year before `now` until nine years after it.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn new(now: Timestamp) -> Result<Self, MintError> {
        let (from, to) = (now.plus_seconds(-YEAR), now.plus_seconds(9 * YEAR));
        let p384 = || SigningKey::generate(KeyKind::P384);

        let root = CertifiedKey::self_signed(&CertificateOrder::fulcio_root(from, to), &p384()?)?;
        let intermediate = CertificateOrder::fulcio_intermediate(from, to);
        let intermediate = root.certify(&intermediate, &p384()?, None)?;
        let fulcio = CertificateAuthority { root, intermediate };

        let root = CertificateOrder::timestamp_root(from, to);
        let root = CertifiedKey::self_signed(&root, &p384()?)?;
        let leaf = CertificateOrder::timestamp_leaf(from, to);
        let leaf = root.certify(&leaf, &p384()?, None)?;
        let tsa = TimestampAuthority { root, leaf };

        Ok(Self {
            valid_from: from,
            valid_until: to,
            fulcio,
            ct: CtLog::new(CT_URL, SigningKey::generate(KeyKind::P256)?),
            rekor1: Log::v1(
                REKOR1_HOST,
                REKOR1_TREE,
                SigningKey::generate(KeyKind::P256)?,
            ),
            rekor2: Log::v2(REKOR2_HOST, SigningKey::generate(KeyKind::Ed25519)?),
            tsa,
        })
    }

    /// The trusted root that vouches for these actors.
    #[must_use]
    pub fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot::of(self)
    }

    /// Signs, logs and stamps as ordered.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn sign(&self, order: &Order) -> Result<Minted, MintError> {
        let key = match &order.key {
            Some(key) => key.clone(),
            None => SigningKey::generate(KeyKind::P256)?,
        };
        let certificate = match &order.certificate {
            Some(order) => {
                let issued = self
                    .fulcio
                    .intermediate
                    .certify(order, &key, Some(&self.ct))?;
                Some(issued.certificate)
            }
            None => None,
        };
        let verifier = match &certificate {
            Some(der) => Verifier::Certificate(der.clone()),
            None => Verifier::PublicKey(key.spki().to_vec()),
        };
        let payload = order.content.payload();
        let (signed, count) = match &order.content {
            Content::Statement(_) => (
                pae(&order.envelope.payload_type, payload),
                order.envelope.signatures,
            ),
            Content::Message(_) | Content::SimpleSigning(_) => (payload.to_vec(), 1),
        };
        let over = order.signed.on(signed.clone());
        let mut signatures = Vec::new();
        for _ in 0..count {
            signatures.push(order.signature.on(key.sign(&over)?));
        }
        let envelope = match &order.content {
            Content::Statement(_) => Some(Envelope {
                payload: payload.to_vec(),
                payload_type: order.envelope.payload_type.clone(),
                signatures: signatures
                    .iter()
                    .map(|signature| (order.envelope.keyid.clone(), signature.clone()))
                    .collect(),
            }),
            Content::Message(_) | Content::SimpleSigning(_) => None,
        };
        let envelope_bytes = envelope.as_ref().map(Envelope::bytes).unwrap_or_default();
        let logged = Logged {
            signed: (key.kind().hash(), key.kind().hash().of(&signed)),
            payload_hash: HashKind::Sha256.of(payload),
            envelope_hash: HashKind::Sha256.of(&envelope_bytes),
            payload_type: order.envelope.payload_type.clone(),
            signatures: signatures
                .iter()
                .map(|signature| (signature.clone(), verifier.clone()))
                .collect(),
            details: key.kind().details(),
        };
        let mut entries = Vec::new();
        for order in &order.entries {
            let own = match order.version {
                LogVersion::V1 => &self.rekor1,
                LogVersion::V2 => &self.rekor2,
            };
            let natural = match (order.version, &envelope) {
                (LogVersion::V1, Some(_)) => EntryKind::Dsse1,
                (LogVersion::V1, None) => EntryKind::HashedRekord1,
                (LogVersion::V2, _) => EntryKind::HashedRekord2,
            };
            let kind = order.kind.unwrap_or(natural);
            entries.push(order.enter(order.log.as_ref().unwrap_or(own), kind, &logged)?);
        }
        let signature = signatures.first().cloned().unwrap_or_default();
        let mut timestamps = Vec::new();
        for order in &order.timestamps {
            let bytes = match &order.imprint {
                Imprint::Bytes(bytes) => bytes.clone(),
                Imprint::Envelope => envelope_bytes.clone(),
                Imprint::Signature => signature.clone(),
            };
            timestamps.push(order.stamp(&self.tsa, &bytes)?);
        }
        Ok(Minted {
            content: order.content.clone(),
            envelope,
            message_digest: (key.kind().hash(), key.kind().hash().of(payload)),
            signature,
            certificate,
            chain: vec![
                self.fulcio.intermediate.certificate.clone(),
                self.fulcio.root.certificate.clone(),
            ],
            hint: base64(&key.id()),
            key,
            entries,
            timestamps,
        })
    }
}

/// What shall be signed, by whom, and with which proofs.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is signed.
    pub content: Content,
    /// The envelope, for a statement.
    pub envelope: EnvelopeOrder,
    /// The key; none for a fresh P-256 key.
    pub key: Option<SigningKey>,
    /// The certificate; none for a managed key.
    pub certificate: Option<CertificateOrder>,
    /// The bytes that are signed: the payload, or the encoding of an envelope. The log still sees
    /// the unchanged ones.
    pub signed: Hook<Vec<u8>>,
    /// The signature, before it is logged and stamped.
    pub signature: Hook<Vec<u8>>,
    /// The log entries.
    pub entries: Vec<EntryOrder>,
    /// The timestamps.
    pub timestamps: Vec<TimestampOrder>,
}

impl Order {
    /// What cosign 3 makes by default: a certificate, a Rekor v1 entry and a timestamp.
    #[must_use]
    pub fn keyless(now: Timestamp, identity: &Identity, content: Content) -> Self {
        Self {
            content,
            envelope: EnvelopeOrder::default(),
            key: None,
            certificate: Some(CertificateOrder::leaf(now, identity)),
            signed: Hook::default(),
            signature: Hook::default(),
            entries: vec![EntryOrder::v1(now.unix_seconds())],
            timestamps: vec![TimestampOrder::new(now)],
        }
    }

    /// The same with a managed key in place of a certificate.
    #[must_use]
    pub fn keyed(now: Timestamp, key: &SigningKey, content: Content) -> Self {
        Self {
            content,
            envelope: EnvelopeOrder::default(),
            key: Some(key.clone()),
            certificate: None,
            signed: Hook::default(),
            signature: Hook::default(),
            entries: vec![EntryOrder::v1(now.unix_seconds())],
            timestamps: vec![TimestampOrder::new(now)],
        }
    }

    /// The same with a Rekor v2 entry in place of what was ordered.
    #[must_use]
    pub fn rekor2(mut self) -> Self {
        self.entries = vec![EntryOrder::v2()];
        self
    }

    /// The same without timestamps.
    #[must_use]
    pub fn without_timestamps(mut self) -> Self {
        self.timestamps = Vec::new();
        self
    }
}

/// All parts of one signature. Whatever is changed here is changed after signing.
#[derive(Clone, Debug)]
pub struct Minted {
    /// What was signed.
    pub content: Content,
    /// The envelope with its signatures, for a statement.
    pub envelope: Option<Envelope>,
    /// The hash of the content that a message signature states.
    pub message_digest: (HashKind, Vec<u8>),
    /// The signature, for a message or a simple-signing document.
    pub signature: Vec<u8>,
    /// The DER certificate.
    pub certificate: Option<Vec<u8>>,
    /// The DER certificates above it, root last.
    pub chain: Vec<Vec<u8>>,
    /// The key hint of a managed key.
    pub hint: String,
    /// The key.
    pub key: SigningKey,
    /// The log entries.
    pub entries: Vec<Entry>,
    /// The DER `TimeStampResp`s.
    pub timestamps: Vec<Vec<u8>>,
}

/// Standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// PEM with lines of 64 characters and a final newline.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text: Vec<char> = base64(der).chars().collect();
    let lines: Vec<String> = text.chunks(64).map(|line| line.iter().collect()).collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Compact JSON of values whose serialization cannot fail.
fn json_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
