//! Where evidence lies in a registry: the legacy layers of cosign 2, and the manifests of every
//! layout.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::Content;
use super::Minted;
use super::base64;
use super::hex;
use super::json_bytes;
use super::pem;
use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Timestamp;
use crate::model::media_type;

/// What stands in the chain annotation of a legacy layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LegacyChain {
    /// Nothing but the annotation itself, as cosign 3 writes it.
    Empty,
    /// Intermediate and root, as cosign 2 writes it.
    Full,
}

/// One layer of a `.sig` or `.att` manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyLayer {
    /// The media type.
    pub media_type: String,
    /// The layer.
    pub bytes: Vec<u8>,
    /// The annotations of its descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest and the blobs that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// The manifest, open to change.
    pub manifest: Value,
    /// The blobs.
    pub blobs: Vec<Vec<u8>>,
}

impl Artifact {
    /// The bytes of the manifest.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        json_bytes(&self.manifest)
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes())
    }
}

impl Minted {
    /// The layer of the legacy layout: a payload with its signature in the annotations, or a whole
    /// envelope.
    #[must_use]
    pub fn legacy_layer(&self, chain: LegacyChain) -> LegacyLayer {
        let mut annotations = BTreeMap::new();
        let mut annotate = |key: &str, value: String| annotations.insert(key.to_owned(), value);
        let (layer_type, bytes) = match &self.envelope {
            Some(envelope) => {
                annotate("dev.cosignproject.cosign/signature", String::new());
                if let Some(predicate_type) = predicate_type(&self.content) {
                    annotate("predicateType", predicate_type);
                }
                (media_type::DSSE, envelope.bytes())
            }
            None => {
                let signature = base64(&self.signature);
                annotate("dev.cosignproject.cosign/signature", signature);
                let payload = self.content.payload().to_vec();
                (media_type::SIMPLE_SIGNING, payload)
            }
        };
        if let Some(leaf) = &self.certificate {
            annotate("dev.sigstore.cosign/certificate", pem("CERTIFICATE", leaf));
            let chain = match chain {
                LegacyChain::Empty => String::new(),
                LegacyChain::Full => self.chain.iter().map(|c| pem("CERTIFICATE", c)).collect(),
            };
            // cosign writes no newline after the last one.
            annotate("dev.sigstore.cosign/chain", chain.trim_end().to_owned());
        }
        if let Some(bundle) = self.rekor_bundle() {
            let text = json_bytes(&bundle);
            let text = String::from_utf8(text).unwrap_or_default();
            annotate("dev.sigstore.cosign/bundle", text);
        }
        if let Some(timestamp) = self.timestamps.first() {
            let json = json!({ "SignedRFC3161Timestamp": base64(timestamp) });
            annotate("dev.sigstore.cosign/rfc3161timestamp", json.to_string());
        }
        LegacyLayer {
            media_type: layer_type.to_owned(),
            bytes,
            annotations,
        }
    }

    /// The file that cosign 2's `sign-blob --bundle` writes.
    #[must_use]
    pub fn legacy_blob_bundle(&self) -> Value {
        let verifier = match &self.certificate {
            Some(leaf) => pem("CERTIFICATE", leaf),
            None => self.key.public_pem(),
        };
        json!({
            "base64Signature": base64(&self.signature),
            "cert": base64(verifier.as_bytes()),
            "rekorBundle": self.rekor_bundle(),
        })
    }

    /// The promise of the first entry that has one.
    #[must_use]
    pub fn rekor_bundle(&self) -> Option<RekorBundle> {
        let with_promise = |entry: &&super::Entry| entry.promise.is_some();
        let entry = self.entries.iter().find(with_promise)?;
        Some(RekorBundle {
            signed_entry_timestamp: base64(entry.promise.as_ref()?),
            payload: RekorPayload {
                body: base64(&entry.body),
                integrated_time: entry.integrated_time.unwrap_or(0),
                log_index: entry.log_index,
                log_id: hex(&entry.log_id),
            },
        })
    }
}

/// A Rekor v1 entry as the legacy layout keeps it, members in cosign's order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RekorBundle {
    /// Base64 of the signed promise.
    pub signed_entry_timestamp: String,
    /// What it promises.
    pub payload: RekorPayload,
}

/// The promised entry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RekorPayload {
    /// Base64 of the body.
    pub body: String,
    /// Seconds since 1970.
    pub integrated_time: i64,
    /// The index over all shards.
    pub log_index: i64,
    /// The log's id in hexadecimal digits.
    #[serde(rename = "logID")]
    pub log_id: String,
}

fn predicate_type(content: &Content) -> Option<String> {
    let statement: Value = serde_json::from_slice(content.payload()).ok()?;
    Some(statement.get("predicateType")?.as_str()?.to_owned())
}

/// The manifest under `sha256-<hex>.sig` or `.att`: a layer per signature, a valid image config.
#[must_use]
pub fn legacy_manifest(layers: &[LegacyLayer]) -> Artifact {
    let config = json_bytes(&json!({
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": vec![json!({ "created": "0001-01-01T00:00:00Z" }); layers.len()],
        "os": "",
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|l| Digest::sha256(&l.bytes).to_string()).collect::<Vec<_>>(),
        },
        "config": {},
    }));
    let described: Vec<_> = layers
        .iter()
        .map(|layer| {
            let mut descriptor = describe(&layer.media_type, &layer.bytes);
            set(&mut descriptor, "annotations", &layer.annotations);
            descriptor
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "config": describe("application/vnd.oci.image.config.v1+json", &config),
        "layers": described,
    });
    let mut blobs = vec![config];
    blobs.extend(layers.iter().map(|layer| layer.bytes.clone()));
    Artifact { manifest, blobs }
}

/// The referrer of cosign's experimental OCI 1.1 layout.
#[must_use]
pub fn experimental_manifest(layers: &[LegacyLayer], subject: &Descriptor) -> Artifact {
    let mut artifact = legacy_manifest(layers);
    if let Some(config) = artifact.manifest.get_mut("config") {
        set(config, "mediaType", &media_type::COSIGN_OCI11);
    }
    set(
        &mut artifact.manifest,
        "artifactType",
        &media_type::COSIGN_OCI11,
    );
    set(&mut artifact.manifest, "subject", &subject_of(subject));
    artifact
}

/// The referrer that holds a bundle, as cosign 3 pushes it.
#[must_use]
pub fn bundle_referrer(bundle: &[u8], subject: &Descriptor, created: Timestamp) -> Artifact {
    let parsed: Value = serde_json::from_slice(bundle).unwrap_or_default();
    let text = |pointer: &str| Some(parsed.pointer(pointer)?.as_str()?.to_owned());
    let bundle_type = text("/mediaType").unwrap_or_default();
    let mut annotations = BTreeMap::from([
        ("org.opencontainers.image.created", created.to_string()),
        (
            "dev.sigstore.bundle.content",
            "message-signature".to_owned(),
        ),
    ]);
    if let Some(payload) = text("/dsseEnvelope/payload") {
        annotations.insert("dev.sigstore.bundle.content", "dsse-envelope".to_owned());
        let statement = ::base64::Engine::decode(&super::STANDARD, payload);
        let statement = String::from_utf8(statement.unwrap_or_default()).unwrap_or_default();
        if let Some(predicate_type) = predicate_type(&Content::Statement(statement)) {
            annotations.insert("dev.sigstore.bundle.predicateType", predicate_type);
        }
    }
    let empty = b"{}".to_vec();
    let mut config = describe("application/vnd.oci.empty.v1+json", &empty);
    // An oddity of cosign.
    set(&mut config, "artifactType", &bundle_type);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": bundle_type,
        "config": config,
        "layers": [describe(&bundle_type, bundle)],
        "annotations": annotations,
        "subject": subject_of(subject),
    });
    Artifact {
        manifest,
        blobs: vec![empty, bundle.to_vec()],
    }
}

fn describe(media_type: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::sha256(bytes).to_string(),
        "size": bytes.len(),
    })
}

fn subject_of(subject: &Descriptor) -> Value {
    json!({
        "mediaType": subject.media_type,
        "digest": subject.digest.to_string(),
        "size": subject.size,
    })
}

fn set<T: Serialize>(object: &mut Value, member: &str, value: &T) {
    if let Value::Object(members) = object {
        members.insert(member.to_owned(), json!(value));
    }
}
