//! The trusted root of an instance, with every member open to change.

use serde::Serialize;
use serde::Serializer;
use serde_json::Value;
use serde_json::json;

use super::CertifiedKey;
use super::CtLog;
use super::Log;
use super::Mint;
use super::SigningKey;
use super::base64;
use super::certificate::ORGANIZATION;
use super::json_bytes;
use crate::model::Timestamp;

/// A trusted root (`TrustedRoot` of the Sigstore protobuf specifications).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedRoot {
    /// The media type.
    pub media_type: String,
    /// The transparency logs.
    pub tlogs: Vec<LogInstance>,
    /// The certificate authorities.
    pub certificate_authorities: Vec<AuthorityInstance>,
    /// The certificate transparency logs.
    pub ctlogs: Vec<LogInstance>,
    /// The timestamp authorities.
    pub timestamp_authorities: Vec<AuthorityInstance>,
}

impl TrustedRoot {
    pub(super) fn of(mint: &Mint) -> Self {
        let window = Window::since(mint.valid_from);
        let tsa_uri = "https://tsa.sandbox.test/api/v1/timestamp";
        let fulcio = [&mint.fulcio.intermediate, &mint.fulcio.root];
        let tsa = [&mint.tsa.leaf, &mint.tsa.root];
        Self {
            media_type: "application/vnd.dev.sigstore.trustedroot+json;version=0.1".to_owned(),
            tlogs: vec![
                LogInstance::rekor(&mint.rekor2, window),
                LogInstance::rekor(&mint.rekor1, window),
            ],
            certificate_authorities: vec![AuthorityInstance::new(
                "sandbox.test-root",
                "https://fulcio.sandbox.test",
                &fulcio,
                window,
            )],
            ctlogs: vec![LogInstance::ct(&mint.ct, window)],
            timestamp_authorities: vec![AuthorityInstance::new(
                "sandbox-tsa-root",
                tsa_uri,
                &tsa,
                window,
            )],
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        json_bytes(self)
    }

    /// The JSON value.
    #[must_use]
    pub fn json(&self) -> Value {
        json!(self)
    }
}

/// From when to when something is trusted, both ends inclusive.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Window {
    /// The begin. A log without one is not usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

impl Window {
    /// From `start` on.
    #[must_use]
    pub const fn since(start: Timestamp) -> Self {
        Self {
            start: Some(start),
            end: None,
        }
    }
}

/// A log of either kind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogInstance {
    /// The URL.
    pub base_url: String,
    /// The hash of its tree.
    pub hash_algorithm: String,
    /// The key.
    pub public_key: PublicKey,
    /// The id.
    pub log_id: LogId,
}

impl LogInstance {
    /// A Rekor log.
    #[must_use]
    pub fn rekor(log: &Log, valid_for: Window) -> Self {
        let url = format!("https://{}", log.host);
        Self::new(url, &log.key, &log.id, valid_for)
    }

    /// A certificate transparency log.
    #[must_use]
    pub fn ct(log: &CtLog, valid_for: Window) -> Self {
        Self::new(log.base_url.clone(), &log.key, &log.id, valid_for)
    }

    fn new(base_url: String, key: &SigningKey, id: &[u8], valid_for: Window) -> Self {
        Self {
            base_url,
            hash_algorithm: "SHA2_256".to_owned(),
            public_key: PublicKey {
                raw_bytes: key.spki().to_vec(),
                key_details: key.kind().details().to_owned(),
                valid_for,
            },
            log_id: LogId {
                key_id: id.to_vec(),
            },
        }
    }
}

/// The key of a log.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKey {
    /// DER `SubjectPublicKeyInfo`.
    #[serde(serialize_with = "as_base64")]
    pub raw_bytes: Vec<u8>,
    /// The algorithm.
    pub key_details: String,
    /// When it is trusted.
    pub valid_for: Window,
}

/// The id of a log.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// 32 bytes.
    #[serde(serialize_with = "as_base64")]
    pub key_id: Vec<u8>,
}

/// An authority: for certificates or for timestamps.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityInstance {
    /// Its name.
    pub subject: DistinguishedName,
    /// Its URL.
    pub uri: String,
    /// Its certificates.
    pub cert_chain: CertificateChain,
    /// When it is trusted.
    pub valid_for: Window,
}

impl AuthorityInstance {
    /// An authority with this chain, root last.
    #[must_use]
    pub fn new(common_name: &str, uri: &str, chain: &[&CertifiedKey], valid_for: Window) -> Self {
        let certificates = chain.iter().map(|c| RawBytes::new(&c.certificate));
        Self {
            subject: DistinguishedName {
                organization: ORGANIZATION.to_owned(),
                common_name: common_name.to_owned(),
            },
            uri: uri.to_owned(),
            cert_chain: CertificateChain {
                certificates: certificates.collect(),
            },
            valid_for,
        }
    }
}

/// The name of an authority.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistinguishedName {
    /// The organization.
    pub organization: String,
    /// The common name.
    pub common_name: String,
}

/// Certificates, leaf or intermediate first, root last.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateChain {
    /// The certificates.
    pub certificates: Vec<RawBytes>,
}

/// DER bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RawBytes {
    /// The bytes.
    #[serde(serialize_with = "as_base64")]
    pub raw_bytes: Vec<u8>,
}

impl RawBytes {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            raw_bytes: bytes.to_vec(),
        }
    }
}

pub(super) fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64(bytes))
}
