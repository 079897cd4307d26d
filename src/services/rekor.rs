//! Rekor: an entry of a transparency log for a signature, from version 1 or version 2.
//!
//! A log that has an equal entry already says so with status 409; the entry that it has is then
//! given, so that whoever repeats a request that had succeeded gets what it was after. That an entry
//! is about the signature, and that the log really has it, is for the verifier to say. Start with
//! [`v1::propose`] and [`v2::propose`].

mod tiles;
pub mod v1;
pub mod v2;

use core::fmt;

use serde_json::Value;
use serde_json::json;

use crate::model::hex;
use crate::verify::encoding;

/// The API that a log speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// Entries with a promise and a time, searchable.
    V1,
    /// Entries in tiles, with neither.
    V2,
}

impl Version {
    /// As `majorApiVersion` has it.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// Who signed, as a log is told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verifier<'a> {
    /// A certificate, in DER.
    Certificate(&'a [u8]),
    /// A key: a DER `SubjectPublicKeyInfo`.
    PublicKey(&'a [u8]),
}

impl Verifier<'_> {
    fn pem(&self) -> String {
        match self {
            Self::Certificate(der) => encoding::pem_of("CERTIFICATE", der),
            Self::PublicKey(der) => encoding::pem_of("PUBLIC KEY", der),
        }
    }
}

/// An entry of a log, as the log gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The index over all shards of the log.
    pub log_index: u64,
    /// The key id of the log.
    pub log_id: Vec<u8>,
    /// `hashedrekord` or `dsse`.
    pub kind: String,
    /// The version of that kind.
    pub version: String,
    /// When the log says that it took the entry (version 1).
    pub integrated_time: Option<i64>,
    /// The log's signed promise (version 1).
    pub promise: Option<Vec<u8>>,
    /// That the entry is in the tree.
    pub proof: Proof,
    /// The entry itself, in canonical JSON.
    pub body: Vec<u8>,
}

/// The way from an entry to the root of a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Proof {
    /// The index in the tree.
    pub log_index: u64,
    /// The root of the tree.
    pub root_hash: [u8; 32],
    /// How many entries the tree has.
    pub tree_size: u64,
    /// The hashes beside the way, from the entry on.
    pub hashes: Vec<[u8; 32]>,
    /// The root, signed.
    pub checkpoint: String,
}

impl Entry {
    /// The entry as it stands in `tlogEntries` of a bundle: protobuf JSON, in which what is zero or
    /// absent is left out, as cosign writes it.
    #[must_use]
    pub fn to_bundle_json(&self) -> Value {
        let proof = &self.proof;
        let hashes: Vec<_> = proof
            .hashes
            .iter()
            .map(|hash| encoding::encode(hash))
            .collect();
        let mut inclusion = json!({
            "rootHash": encoding::encode(&proof.root_hash),
            "treeSize": proof.tree_size.to_string(),
            "checkpoint": { "envelope": proof.checkpoint },
        });
        let mut entry = json!({
            "logId": { "keyId": encoding::encode(&self.log_id) },
            "kindVersion": { "kind": self.kind, "version": self.version },
            "canonicalizedBody": encoding::encode(&self.body),
        });
        let set = |object: &mut Value, name: &str, value: Value| {
            if let Some(members) = object.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        if proof.log_index > 0 {
            set(
                &mut inclusion,
                "logIndex",
                json!(proof.log_index.to_string()),
            );
        }
        if !hashes.is_empty() {
            set(&mut inclusion, "hashes", json!(hashes));
        }
        if self.log_index > 0 {
            set(&mut entry, "logIndex", json!(self.log_index.to_string()));
        }
        if let Some(time) = self.integrated_time {
            set(&mut entry, "integratedTime", json!(time.to_string()));
        }
        if let Some(promise) = &self.promise {
            let promise = json!({ "signedEntryTimestamp": encoding::encode(promise) });
            set(&mut entry, "inclusionPromise", promise);
        }
        set(&mut entry, "inclusionProof", inclusion);
        entry
    }

    /// The annotation `dev.sigstore.cosign/bundle` of the legacy layout; none without a promise,
    /// which is all that it has a place for.
    #[must_use]
    pub fn to_legacy_annotation(&self) -> Option<String> {
        let promise = self.promise.as_ref()?;
        let time = self.integrated_time?;
        // The order of cosign, which some readers compare.
        Some(format!(
            r#"{{"SignedEntryTimestamp":"{}","Payload":{{"body":"{}","integratedTime":{time},"logIndex":{},"logID":"{}"}}}}"#,
            encoding::encode(promise),
            encoding::encode(&self.body),
            self.log_index,
            hex(&self.log_id),
        ))
    }
}

/// Kind and version of an entry: its body says them.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    api_version: String,
}

impl Kind {
    /// Reads them; none unless the body is JSON with such members.
    fn of(body: &[u8]) -> Option<Self> {
        crate::model::read_json(body).ok()
    }
}
