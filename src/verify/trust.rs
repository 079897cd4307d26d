//! What is trusted: a trusted root (TrustedRoot v0.1 of the Sigstore protobuf specs), or a key.
//!
//! Trust comes from here only; nothing in the evidence adds any. Keys and chains are parsed,
//! prepared and checked once. A root that is malformed, empty or without time windows does not load.

use core::fmt;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::certificate::Issuer;
use crate::verify::encoding;
use crate::verify::encoding::Embedded;
use crate::verify::key::Kind;
use crate::verify::key::PublicKey;

/// The trust material of one Sigstore instance: certificate authorities, transparency logs,
/// certificate transparency logs and timestamp authorities, each with the time in which it counts.
#[derive(Debug)]
pub struct TrustRoot {
    id: Digest,
    pub(super) logs: Vec<Log>,
    pub(super) ct_logs: Vec<Log>,
    pub(super) authorities: Vec<Authority>,
    pub(super) timestamp_authorities: Vec<Authority>,
}

/// When something counts: from `start` to `end`, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl Window {
    pub(super) fn contains(&self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}

impl Window {
    /// Whether it has no end.
    pub(super) const fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Some(start) => write!(f, "from {start}")?,
            None => f.write_str("from ever")?,
        }
        match self.end {
            Some(end) => write!(f, " to {end}"),
            None => Ok(()),
        }
    }
}

/// A transparency log or certificate transparency log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) window: Window,
    /// The key id that stands in checkpoints, where the root names another one than `id`.
    checkpoint_id: Option<Vec<u8>>,
    pub(super) named: Named,
}

/// What the root says about an entry beside its keys. Nothing is decided by it.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) url: Option<String>,
    pub(super) operator: Option<String>,
}

impl Log {
    /// The first four bytes of the key id, which stand before a checkpoint's signature.
    pub(super) fn hint(&self) -> &[u8] {
        let id = self.checkpoint_id.as_ref().unwrap_or(&self.id);
        id.get(..4).unwrap_or(id)
    }

    /// Whether a checkpoint may call itself `origin`. The key id of an Ed25519 log is a hash over
    /// its origin (C2SP signed-note), so another origin is another log; other keys don't tell.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        if self.key.kind() != Kind::Ed25519 {
            return true;
        }
        let id = self.checkpoint_id.as_ref().unwrap_or(&self.id);
        let mut named = origin.as_bytes().to_vec();
        named.extend(b"\n\x01");
        named.extend(self.key.material());
        // Some roots carry the plain SHA-256 of the key instead, which binds no origin.
        Digest::sha256(&named).as_bytes() == id || self.key.id().as_bytes() == id
    }
}

/// A certificate authority or timestamp authority.
#[derive(Debug)]
pub(super) struct Authority {
    /// From the leaf or the lowest intermediate up to the root.
    pub(super) chain: Vec<Issuer>,
    pub(super) window: Window,
    pub(super) named: Named,
}

/// The media types of a trusted root.
const MEDIA_TYPE_01: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const MEDIA_TYPE_02: &str = "application/vnd.dev.sigstore.trustedroot.v0.2+json";

impl TrustRoot {
    /// Parses a `trusted_root.json`.
    ///
    /// # Errors
    ///
    /// [`TrustError`] for JSON of another shape, an unknown type, a malformed or missing start of a
    /// log key's validity, two logs with one id, a chain that does not hold together, or nothing
    /// that could vouch for a signature.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, TrustError> {
        Exceeded::unless(
            json.len(),
            limits.trusted_root_bytes,
            "bytes in a trusted root",
        )?;
        let raw: RawRoot = crate::model::read_json(json).map_err(TrustError::Json)?;
        if !matches!(raw.media_type.as_str(), MEDIA_TYPE_01 | MEDIA_TYPE_02) {
            return Err(TrustError::MediaType {
                found: crate::model::printable(&raw.media_type),
            });
        }
        let tlogs = logs(raw.tlogs, "tlogs")?;
        let ct_logs = logs(raw.ctlogs, "ctlogs")?;
        let issuers = authorities(raw.certificate_authorities, "certificateAuthorities")?;
        let timestamp_authorities = authorities(raw.timestamp_authorities, "timestampAuthorities")?;
        if tlogs.is_empty() && timestamp_authorities.is_empty() {
            return Err(TrustError::Empty {
                what: "neither a transparency log nor a timestamp authority",
            });
        }
        Ok(Self {
            id: Digest::sha256(&canonical(json)?),
            logs: tlogs,
            ct_logs,
            authorities: issuers,
            timestamp_authorities,
        })
    }

    /// The id of this root: SHA-256 over its JSON in canonical form.
    #[must_use]
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The start of the newest window in it: the root was made after that.
    #[must_use]
    pub fn newest_start(&self) -> Option<Timestamp> {
        let logs = self.logs.iter().chain(&self.ct_logs).map(|log| log.window);
        let authorities = self.authorities.iter().chain(&self.timestamp_authorities);
        logs.chain(authorities.map(|authority| authority.window))
            .filter_map(|window| window.start)
            .max()
    }
}

fn logs(raw: Option<Vec<RawLog>>, list: &'static str) -> Result<Vec<Log>, TrustError> {
    let mut logs: Vec<Log> = Vec::new();
    for (at, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let wrong = |rule| TrustError::Entry { list, at, rule };
        let spki = encoding::decode(&raw.public_key.raw_bytes)
            .ok_or_else(|| wrong("rawBytes is not base64"))?;
        let key = match raw.public_key.key_details.as_deref() {
            Some("PKCS1_RSA_PKCS1V5") => PublicKey::parse_pkcs1(&spki),
            _ => PublicKey::parse(&spki),
        }
        .map_err(|_| wrong("the key is of no supported kind"))?;
        let window = raw
            .public_key
            .valid_for
            .ok_or_else(|| wrong("the key has no validFor"))?
            .window()
            .map_err(wrong)?;
        if window.start.is_none() {
            return Err(wrong("the key's validFor has no start"));
        }
        let id = match raw.log_id {
            Some(id) => encoding::decode(&id.key_id).ok_or_else(|| wrong("logId is not base64"))?,
            None => key.id().as_bytes().to_vec(),
        };
        if id.len() != 32 {
            return Err(wrong("logId is not 32 bytes long"));
        }
        let checkpoint_id = match raw.checkpoint_key_id {
            None => None,
            Some(id) => {
                let id = encoding::decode(&id.key_id)
                    .filter(|id| id.len() >= 4)
                    .ok_or_else(|| wrong("checkpointKeyId is not base64 of 4 bytes or more"))?;
                Some(id)
            }
        };
        if logs
            .iter()
            .any(|log| log.id == id && (log.key.id() != key.id() || log.window.overlaps(&window)))
        {
            return Err(wrong("another log has the same id"));
        }
        logs.push(Log {
            id,
            key,
            window,
            checkpoint_id,
            named: Named {
                url: raw.base_url,
                operator: raw.operator,
            },
        });
    }
    Ok(logs)
}

impl Window {
    fn overlaps(&self, other: &Self) -> bool {
        let before = |end: Option<Timestamp>, start: Option<Timestamp>| match (end, start) {
            (Some(end), Some(start)) => end < start,
            _ => false,
        };
        !before(self.end, other.start) && !before(other.end, self.start)
    }
}

fn authorities(
    raw: Option<Vec<RawAuthority>>,
    list: &'static str,
) -> Result<Vec<Authority>, TrustError> {
    let mut authorities = Vec::new();
    for (at, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let wrong = |rule| TrustError::Entry { list, at, rule };
        let window = match raw.valid_for {
            None => Window {
                start: None,
                end: None,
            },
            Some(range) => range.window().map_err(wrong)?,
        };
        let mut chain = Vec::new();
        for certificate in raw.cert_chain.certificates.unwrap_or_default() {
            let der = encoding::decode(&certificate.raw_bytes)
                .ok_or_else(|| wrong("a certificate is not base64"))?;
            let issuer = Issuer::parse(CertificateDer::from(der))
                .map_err(|_| wrong("a certificate is malformed"))?;
            chain.push(issuer);
        }
        if chain.is_empty() {
            return Err(wrong("the certificate chain is empty"));
        }
        for (below, above) in chain.iter().zip(chain.iter().skip(1)) {
            if !above.issued(below) {
                return Err(wrong(
                    "a certificate of the chain is not issued by the one after it",
                ));
            }
        }
        let named = Named {
            url: raw.uri,
            operator: raw.operator,
        };
        authorities.push(Authority {
            chain,
            window,
            named,
        });
    }
    Ok(authorities)
}

/// The document with sorted members and no white space.
fn canonical(json: &[u8]) -> Result<Vec<u8>, TrustError> {
    // serde_json keeps the members of a tree in a sorted map. The documents are ASCII in practice;
    // where they are not, the id still depends on the content alone.
    let tree: serde_json::Value = crate::model::read_json(json).map_err(TrustError::Json)?;
    serde_json::to_vec(&tree)
        .map_err(JsonError::from)
        .map_err(TrustError::Json)
}

/// A managed public key.
#[derive(Debug)]
pub struct ManagedKey {
    pub(super) key: PublicKey,
}

impl ManagedKey {
    /// Parses a `PUBLIC KEY` PEM file, as `cosign generate-key-pair` writes it. Text around the block
    /// is passed over.
    ///
    /// # Errors
    ///
    /// [`TrustError::Key`] for anything but exactly one public key of a supported kind.
    pub fn parse(pem: &[u8], limits: &Limits) -> Result<Self, TrustError> {
        Exceeded::unless(pem.len(), limits.key_bytes, "bytes in a key file")?;
        let wrong = |rule| TrustError::Key { rule };
        if pem.trim_ascii().is_empty() {
            return Err(wrong("the file is empty (write the key again)"));
        }
        // What stands around the block may be in any encoding; what is lost of it says nothing.
        let text = String::from_utf8_lossy(pem);
        let block = match encoding::embedded_pem(&text) {
            Embedded::One(block) => block,
            Embedded::Malformed { label } => {
                return Err(wrong(other_label(label).unwrap_or(
                    "its PEM block is cut short, altered, or does not stand on lines of its own (write the key again)",
                )));
            }
            Embedded::None => return Err(wrong(other_form(pem))),
            Embedded::Several => {
                return Err(wrong(
                    "it does not hold exactly one PEM block (keep the block of the one key that counts)",
                ));
            }
        };
        if let Some(rule) = other_label(block.label) {
            return Err(wrong(rule));
        }
        let key = PublicKey::parse(&block.content).map_err(|_| {
            wrong(
                "it is of no supported kind (sign with P-256, P-384, P-521, Ed25519 or RSA of 2048 \
                 to 4096 bits)",
            )
        })?;
        Ok(Self { key })
    }

    /// The id of this key: SHA-256 of its SubjectPublicKeyInfo.
    #[must_use]
    pub const fn id(&self) -> Digest {
        self.key.id()
    }
}

/// What a PEM block is that holds no public key, and how to get one of it.
fn other_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "PUBLIC KEY" => return None,
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            "it is a certificate, not a public key (`openssl x509 -pubkey -noout -in FILE` writes its \
             key)"
        }
        "CERTIFICATE REQUEST" => {
            "it is a certificate request, not a public key (`openssl req -pubkey -noout -in FILE` \
             writes its key)"
        }
        "RSA PUBLIC KEY" => {
            "it is an RSA key in its older form (`openssl rsa -RSAPublicKey_in -in FILE -pubout` \
             writes a `PUBLIC KEY`)"
        }
        "PGP PUBLIC KEY BLOCK" => {
            "it is an OpenPGP key, which signs no images here (name a `PUBLIC KEY`)"
        }
        label if label.contains("SIGSTORE") || label.contains("COSIGN") => {
            "it is a private key (scgate verifies with the public one: `cosign public-key --key FILE` \
             writes it)"
        }
        label if label.ends_with("PRIVATE KEY") => {
            "it is a private key (scgate verifies with the public one: `openssl pkey -in FILE -pubout` \
             writes it)"
        }
        _ => {
            "its PEM block is not a `PUBLIC KEY` (write the key as `cosign generate-key-pair` does)"
        }
    })
}

/// What a file without a PEM block looks like.
fn other_form(bytes: &[u8]) -> &'static str {
    // A SEQUENCE.
    if bytes.first() == Some(&0x30) {
        return "it is not PEM but looks like DER (`openssl pkey -pubin -inform DER -in FILE` writes \
                PEM)";
    }
    let is_ssh = ["ssh-", "ecdsa-sha2-", "sk-", "---- BEGIN SSH2"];
    if is_ssh
        .iter()
        .any(|start| bytes.starts_with(start.as_bytes()))
    {
        return "it is not PEM but an SSH key (`ssh-keygen -e -m PKCS8 -f FILE` writes PEM)";
    }
    "it is not PEM (a key begins with `-----BEGIN PUBLIC KEY-----`)"
}

/// Why trust material does not load. The operator can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Nothing in it could vouch for a signature.
    #[error("a trusted root with {what}")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// One of its entries is wrong.
    #[error("`{list}[{at}]` of the trusted root: {rule}")]
    Entry {
        /// The list.
        list: &'static str,
        /// The position in it, from 0.
        at: usize,
        /// What is wrong.
        rule: &'static str,
    },
    /// It is too large.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It is no trusted root.
    #[error("not a trusted root: {0}")]
    Json(JsonError),
    /// A key file that is none.
    #[error("not a usable public key: {rule}")]
    Key {
        /// What is wrong.
        rule: &'static str,
    },
    /// Another media type.
    #[error("a trusted root of the unknown type `{found}`")]
    MediaType {
        /// The type found.
        found: String,
    },
}

#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a trusted root"
)]
struct RawRoot {
    media_type: String,
    tlogs: Option<Vec<RawLog>>,
    ctlogs: Option<Vec<RawLog>>,
    certificate_authorities: Option<Vec<RawAuthority>>,
    timestamp_authorities: Option<Vec<RawAuthority>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a log")]
struct RawLog {
    base_url: Option<String>,
    #[serde(default, rename = "hashAlgorithm")]
    _hash_algorithm: Option<String>,
    public_key: RawKey,
    log_id: Option<RawLogId>,
    checkpoint_key_id: Option<RawLogId>,
    operator: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a key")]
struct RawKey {
    raw_bytes: String,
    key_details: Option<String>,
    valid_for: Option<RawWindow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a log id")]
struct RawLogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a validity")]
struct RawWindow {
    start: Option<String>,
    end: Option<String>,
}

impl RawWindow {
    fn window(self) -> Result<Window, &'static str> {
        let time = |text: Option<String>| text.map(|text| Timestamp::parse(&text)).transpose();
        let window = Window {
            start: time(self.start).map_err(|_| "validFor.start is not an RFC 3339 time")?,
            end: time(self.end).map_err(|_| "validFor.end is not an RFC 3339 time")?,
        };
        match (window.start, window.end) {
            (Some(start), Some(end)) if end < start => Err("validFor ends before it starts"),
            _ => Ok(window),
        }
    }
}

#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an authority"
)]
struct RawAuthority {
    #[serde(default, rename = "subject")]
    _subject: Option<RawSubject>,
    uri: Option<String>,
    cert_chain: RawChain,
    valid_for: Option<RawWindow>,
    operator: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a subject")]
struct RawSubject {
    #[serde(default, rename = "organization")]
    _organization: Option<String>,
    #[serde(default, rename = "commonName")]
    _common_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a certificate chain")]
struct RawChain {
    certificates: Option<Vec<RawCertificate>>,
}

#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a certificate"
)]
struct RawCertificate {
    raw_bytes: String,
}
