//! What cosign wrote before the Sigstore bundle: layers with annotations, and the blob bundle file.
//!
//! The log entry of these forms carries no inclusion proof, only the log's signed promise.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::verify::Bundle;
use crate::verify::Error;
use crate::verify::Layout;
use crate::verify::bundle::Content;
use crate::verify::bundle::Entry;
use crate::verify::bundle::Material;
use crate::verify::bundle::RawEnvelope;
use crate::verify::bundle::decode_signature;
use crate::verify::encoding;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

impl Bundle {
    /// Parses a layer of a `.sig` manifest: the simple-signing payload and the annotations of its
    /// descriptor (cosign `specs/SIGNATURE_SPEC.md`).
    ///
    /// # Errors
    ///
    /// [`Error`] with the code of what is malformed, or over [`Limits`].
    pub fn from_signature_layer(
        payload: &[u8],
        annotations: &BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Exceeded::unless(
            payload.len(),
            limits.bundle_bytes,
            "bytes in a signature payload",
        )?;
        let text = annotations.get(SIGNATURE).ok_or(Error::LegacyShape {
            rule: "the signature annotation is missing",
        })?;
        let content = Content::SimpleSigning {
            payload: Arc::new(payload.to_vec()),
            signature: decode_signature(Some(text))?,
        };
        layer(
            Layout::LegacySignature,
            payload,
            content,
            annotations,
            limits,
        )
    }

    /// Parses a layer of an `.att` manifest: a DSSE envelope and the annotations of its descriptor.
    ///
    /// # Errors
    ///
    /// [`Error`] with the code of what is malformed, or over [`Limits`].
    pub fn from_attestation_layer(
        envelope: &[u8],
        annotations: &BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Exceeded::unless(
            envelope.len(),
            limits.attestation_bytes,
            "bytes in an attestation",
        )?;
        let mut content = RawEnvelope::parse(envelope)
            .map_err(Error::LegacyJson)?
            .content()?;
        if let Content::Envelope { layer, .. } = &mut content {
            *layer = Some(envelope.into());
        }
        layer(
            Layout::LegacyAttestation,
            envelope,
            content,
            annotations,
            limits,
        )
    }

    /// Parses the file that cosign v2 writes with `sign-blob --bundle`.
    ///
    /// # Errors
    ///
    /// [`Error`] with the code of what is malformed, or over [`Limits`]. A `cert` that is a public
    /// key is a managed key and never a certificate (GHSA-fx35-mq7g-6g98).
    pub fn from_legacy_blob(json: &[u8], limits: &Limits) -> Result<Self, Error> {
        Exceeded::unless(json.len(), limits.bundle_bytes, "bytes in a bundle")?;
        let raw: RawBlob = crate::model::read_json(json).map_err(Error::LegacyJson)?;
        let material = match raw.cert.as_deref() {
            None | Some("") => Material::PublicKey,
            Some(text) => {
                let pem = encoding::decode(text).ok_or(Error::LegacyShape {
                    rule: "the certificate is not base64",
                })?;
                let pem = core::str::from_utf8(&pem).map_err(|_| Error::LegacyShape {
                    rule: "the certificate is not PEM",
                })?;
                blob_signer(pem, limits)?
            }
        };
        let entries = match raw.rekor_bundle {
            None => Vec::new(),
            Some(log) => vec![log.entry(limits)?],
        };
        Ok(Self {
            layout: Layout::LegacyBlob,
            evidence: Digest::sha256(json),
            material,
            content: Content::Message {
                digest: None,
                signature: decode_signature(Some(&raw.base64_signature))?,
            },
            entries,
            timestamps: Vec::new(),
        })
    }

    /// Takes a signature file and, for a keyless signature, a certificate file.
    ///
    /// `signature` is base64 text or raw bytes, `certificate` PEM or base64 of PEM, as cosign writes
    /// and reads them; `timestamp` an RFC 3161 token in DER.
    ///
    /// # Errors
    ///
    /// [`Error`] with the code of what is malformed, or over [`Limits`].
    pub fn from_detached(
        signature: &[u8],
        certificate: Option<&[u8]>,
        timestamp: Option<&[u8]>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Exceeded::unless(signature.len(), limits.bundle_bytes, "bytes in a signature")?;
        let decoded = core::str::from_utf8(signature)
            .ok()
            .and_then(|text| encoding::decode(text.trim_ascii()));
        let value = decoded.unwrap_or_else(|| signature.to_vec());
        if value.is_empty() {
            return Err(Error::SignatureEncoding);
        }
        let material = match certificate {
            None => Material::PublicKey,
            Some(bytes) => {
                Exceeded::unless(
                    bytes.len(),
                    limits.certificate_bytes * limits.certificates,
                    "bytes in a certificate file",
                )?;
                let text = core::str::from_utf8(bytes).map_err(|_| Error::LegacyShape {
                    rule: "the certificate is not PEM",
                })?;
                let inner = encoding::decode(text.trim_ascii())
                    .and_then(|inner| String::from_utf8(inner).ok());
                match blob_signer(inner.as_deref().unwrap_or(text), limits)? {
                    Material::PublicKey => {
                        return Err(Error::LegacyShape {
                            rule: "a public key stands where a certificate is named",
                        });
                    }
                    material @ Material::Certificate { .. } => material,
                }
            }
        };
        let mut evidence = signature.to_vec();
        evidence.extend(certificate.unwrap_or_default());
        evidence.extend(timestamp.unwrap_or_default());
        if let Some(stamp) = timestamp {
            Exceeded::unless(stamp.len(), limits.timestamp_bytes, "bytes in a timestamp")?;
        }
        Ok(Self {
            layout: Layout::Detached,
            evidence: Digest::sha256(&evidence),
            material,
            content: Content::Message {
                digest: None,
                signature: value,
            },
            entries: Vec::new(),
            timestamps: timestamp.map(<[u8]>::to_vec).into_iter().collect(),
        })
    }
}

fn layer(
    layout: Layout,
    bytes: &[u8],
    content: Content,
    annotations: &BTreeMap<String, String>,
    limits: &Limits,
) -> Result<Bundle, Error> {
    let material = match annotations.get(CERTIFICATE).map(String::as_str) {
        None | Some("") => Material::PublicKey,
        Some(pem) => {
            let mut leaf = certificates(pem, limits)?;
            let (Some(leaf), None) = (leaf.pop(), leaf.pop()) else {
                return Err(Error::LegacyShape {
                    rule: "the certificate annotation is exactly one certificate",
                });
            };
            let chain = annotations.get(CHAIN).map_or("", String::as_str);
            Material::Certificate {
                leaf,
                // cosign v2 writes the root at the end; trust comes from the trust root alone, and
                // an issuer that nobody trusts leads nowhere.
                intermediates: certificates(chain, limits)?,
            }
        }
    };
    let entries = match annotations.get(LOG).map(String::as_str) {
        None | Some("") => Vec::new(),
        Some(json) => {
            Exceeded::unless(json.len(), limits.bundle_bytes, "bytes in a log annotation")?;
            let log: RawLog =
                crate::model::read_json(json.as_bytes()).map_err(Error::LegacyJson)?;
            vec![log.entry(limits)?]
        }
    };
    let timestamps = match annotations.get(TIMESTAMP).map(String::as_str) {
        None | Some("") => Vec::new(),
        Some(json) => {
            let raw: RawStamp =
                crate::model::read_json(json.as_bytes()).map_err(Error::LegacyJson)?;
            let stamp =
                encoding::decode(&raw.signed_timestamp).ok_or(Error::TimestampMalformed {
                    rule: "it is not base64",
                })?;
            Exceeded::unless(stamp.len(), limits.timestamp_bytes, "bytes in a timestamp")?;
            vec![stamp]
        }
    };
    Ok(Bundle {
        layout,
        evidence: layer_digest(bytes, annotations),
        material,
        content,
        entries,
        timestamps,
    })
}

/// Two layers may have the same bytes and differ in their annotations: the digest is over both, each
/// part preceded by its length.
fn layer_digest(bytes: &[u8], annotations: &BTreeMap<String, String>) -> Digest {
    let mut all = Vec::new();
    let mut part = |bytes: &[u8]| {
        all.extend(bytes.len().to_be_bytes());
        all.extend(bytes);
    };
    part(bytes);
    for key in [SIGNATURE, CERTIFICATE, CHAIN, LOG, TIMESTAMP] {
        part(annotations.get(key).map_or(b"", |value| value.as_bytes()));
    }
    Digest::sha256(&all)
}

fn certificates(pem: &str, limits: &Limits) -> Result<Vec<Vec<u8>>, Error> {
    Exceeded::unless(
        pem.len(),
        limits.certificate_bytes * limits.certificates,
        "bytes of certificates",
    )?;
    let blocks = encoding::pem(pem).ok_or(Error::LegacyShape {
        rule: "the certificate is not PEM",
    })?;
    Exceeded::unless(blocks.len(), limits.certificates, "certificates")?;
    blocks
        .into_iter()
        .map(|block| {
            if block.label == "CERTIFICATE" {
                Ok(block.content)
            } else {
                Err(Error::LegacyShape {
                    rule: "a PEM block that is not a certificate",
                })
            }
        })
        .collect()
}

fn blob_signer(pem: &str, limits: &Limits) -> Result<Material, Error> {
    let blocks = encoding::pem(pem).ok_or(Error::LegacyShape {
        rule: "the certificate is not PEM",
    })?;
    if blocks.iter().all(|block| block.label == "PUBLIC KEY") && !blocks.is_empty() {
        return Ok(Material::PublicKey);
    }
    let mut certificates = certificates(pem, limits)?.into_iter();
    let leaf = certificates.next().ok_or(Error::LegacyShape {
        rule: "the certificate file is empty",
    })?;
    Ok(Material::Certificate {
        leaf,
        intermediates: certificates.collect(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlob {
    #[serde(rename = "base64Signature")]
    base64_signature: String,
    cert: Option<String>,
    #[serde(rename = "rekorBundle")]
    rekor_bundle: Option<RawLog>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed_timestamp: String,
}

/// The log entry of an annotation or blob bundle (Rekor v1 only).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    #[serde(rename = "SignedEntryTimestamp")]
    signed_entry_timestamp: String,
    #[serde(rename = "Payload")]
    payload: RawLogPayload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogPayload {
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: i64,
    #[serde(rename = "logIndex")]
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// Just enough of a log entry's body to know what it is.
#[derive(Deserialize)]
struct Kind {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
}

impl RawLog {
    fn entry(self, limits: &Limits) -> Result<Entry, Error> {
        let body = encoding::decode(&self.payload.body).ok_or(Error::LogEntryMalformed {
            rule: "its body is not base64",
        })?;
        Exceeded::unless(body.len(), limits.log_body_bytes, "bytes in a log entry")?;
        let kind: Kind = crate::model::read_json(&body).map_err(|_| Error::LogEntryMalformed {
            rule: "its body is not JSON with kind and apiVersion",
        })?;
        Ok(Entry {
            log_id: encoding::decode_hex(&self.payload.log_id).ok_or(Error::LogEntryMalformed {
                rule: "its log id is not hexadecimal",
            })?,
            index: self.payload.log_index,
            kind: kind.kind,
            version: kind.version,
            integrated_time: Some(self.payload.integrated_time),
            promise: Some(
                encoding::decode(&self.signed_entry_timestamp).ok_or(Error::LogPromiseInvalid)?,
            ),
            proof: None,
            body,
        })
    }
}
