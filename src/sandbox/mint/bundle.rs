//! Sigstore bundles: the JSON that cosign 3 writes, member for member.

use serde::Serialize;
use serde_json::Value;

use super::Entry;
use super::Minted;
use super::Proof;
use super::json_bytes;
use super::root::CertificateChain;
use super::root::LogId;
use super::root::RawBytes;
use super::root::as_base64;

/// The media type of a bundle of this version: `0.1`, `0.2`, or a later one.
#[must_use]
pub fn bundle_media_type(version: &str) -> String {
    let prefix = "application/vnd.dev.sigstore.bundle";
    match version {
        "0.1" | "0.2" => format!("{prefix}+json;version={version}"),
        _ => format!("{prefix}.v{version}+json"),
    }
}

impl Minted {
    /// The bundle of a format version. Up to 0.2 it holds a chain (leaf and intermediate), from
    /// 0.3 on the leaf alone.
    #[must_use]
    pub fn bundle_bytes(&self, version: &str) -> Vec<u8> {
        json_bytes(&self.bundle(version))
    }

    /// The same as a value, to be changed.
    #[must_use]
    pub fn bundle_json(&self, version: &str) -> Value {
        serde_json::json!(self.bundle(version))
    }

    fn bundle(&self, version: &str) -> Bundle {
        let mut material = Material::default();
        match (&self.certificate, version) {
            (None, _) => {
                material.public_key = Some(Hint {
                    hint: self.hint.clone(),
                });
            }
            (Some(leaf), "0.1" | "0.2") => {
                let above = self.chain.iter().take(1);
                let chain = core::iter::once(leaf).chain(above);
                material.x509_certificate_chain = Some(CertificateChain {
                    certificates: chain.map(|der| RawBytes::new(der)).collect(),
                });
            }
            (Some(leaf), _) => material.certificate = Some(RawBytes::new(leaf)),
        }
        material.tlog_entries = self.entries.iter().map(TlogEntry::from).collect();
        if !self.timestamps.is_empty() {
            let stamps = self.timestamps.iter().map(|der| SignedTimestamp {
                signed_timestamp: der.clone(),
            });
            material.timestamp_verification_data = Some(Timestamps {
                rfc3161_timestamps: stamps.collect(),
            });
        }
        let (algorithm, digest) = &self.message_digest;
        let message_signature = match self.envelope {
            Some(_) => None,
            None => Some(MessageSignature {
                message_digest: MessageDigest {
                    algorithm: algorithm.protobuf(),
                    digest: digest.clone(),
                },
                signature: self.signature.clone(),
            }),
        };
        Bundle {
            media_type: bundle_media_type(version),
            verification_material: material,
            dsse_envelope: self.envelope.as_ref().map(|envelope| DsseEnvelope {
                payload: envelope.payload.clone(),
                payload_type: envelope.payload_type.clone(),
                signatures: envelope
                    .signatures
                    .iter()
                    .map(|(keyid, sig)| DsseSignature {
                        sig: sig.clone(),
                        keyid: keyid.clone(),
                    })
                    .collect(),
            }),
            message_signature,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<DsseEnvelope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<CertificateChain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<RawBytes>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tlog_entries: Vec<TlogEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Serialize)]
struct Hint {
    hint: String,
}

#[derive(Serialize)]
struct Timestamps {
    #[serde(rename = "rfc3161Timestamps")]
    rfc3161_timestamps: Vec<SignedTimestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedTimestamp {
    #[serde(serialize_with = "as_base64")]
    signed_timestamp: Vec<u8>,
}

/// Protobuf JSON writes 64-bit integers as strings and leaves zeros out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TlogEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<String>,
    log_id: LogId,
    kind_version: KindVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrated_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<InclusionPromise>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<InclusionProof>,
    #[serde(serialize_with = "as_base64")]
    canonicalized_body: Vec<u8>,
}

impl From<&Entry> for TlogEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            log_index: int64(entry.log_index),
            log_id: LogId {
                key_id: entry.log_id.clone(),
            },
            kind_version: KindVersion {
                kind: entry.kind.clone(),
                version: entry.version.clone(),
            },
            integrated_time: entry.integrated_time.and_then(int64),
            inclusion_promise: entry.promise.as_ref().map(|promise| InclusionPromise {
                signed_entry_timestamp: promise.clone(),
            }),
            inclusion_proof: entry.proof.as_ref().map(InclusionProof::from),
            canonicalized_body: entry.body.clone(),
        }
    }
}

fn int64(value: i64) -> Option<String> {
    (value != 0).then(|| value.to_string())
}

#[derive(Serialize)]
struct KindVersion {
    kind: String,
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionPromise {
    #[serde(serialize_with = "as_base64")]
    signed_entry_timestamp: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<String>,
    #[serde(serialize_with = "as_base64")]
    root_hash: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree_size: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
}

impl From<&Proof> for InclusionProof {
    fn from(proof: &Proof) -> Self {
        Self {
            log_index: int64(proof.log_index),
            root_hash: proof.root.clone(),
            tree_size: int64(proof.tree_size),
            hashes: proof
                .hashes
                .iter()
                .map(|hash| super::base64(hash))
                .collect(),
            checkpoint: proof.checkpoint.as_ref().map(|envelope| Checkpoint {
                envelope: envelope.clone(),
            }),
        }
    }
}

#[derive(Serialize)]
struct Checkpoint {
    envelope: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DsseEnvelope {
    #[serde(serialize_with = "as_base64")]
    payload: Vec<u8>,
    payload_type: String,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize)]
struct DsseSignature {
    #[serde(serialize_with = "as_base64")]
    sig: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
    #[serde(serialize_with = "as_base64")]
    signature: Vec<u8>,
}

#[derive(Serialize)]
struct MessageDigest {
    algorithm: &'static str,
    #[serde(serialize_with = "as_base64")]
    digest: Vec<u8>,
}
