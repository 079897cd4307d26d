//! Transparency logs: entries with promise, inclusion proof and checkpoint, of both Rekor versions.
//!
//! Every entry stands in a tree of its own with made-up neighbours, so that orders do not depend on
//! each other. Start with [`EntryOrder`].

use serde_json::Value;
use serde_json::json;

use super::EntryKind;
use super::HashKind;
use super::Hook;
use super::MintError;
use super::SigningKey;
use super::base64;
use super::body::Logged;
use super::hex;
use super::json_bytes;

/// Which Rekor a log is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogVersion {
    /// Rekor v1: signed promise, integrated time, a checkpoint origin with a tree id.
    V1,
    /// Rekor v2: neither promise nor time; the origin is the host name.
    V2,
}

/// A transparency log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Which Rekor it is.
    pub version: LogVersion,
    /// The host name: in the trusted root's URL, and the name in signature lines.
    pub host: String,
    /// The first line of its checkpoints.
    pub origin: String,
    /// The id that its entries carry and whose first bytes are the hint in signature lines.
    pub id: Vec<u8>,
    /// The key.
    pub key: SigningKey,
}

impl Log {
    /// A Rekor v1 log: the id is the hash of its key.
    #[must_use]
    pub fn v1(host: &str, tree_id: u64, key: SigningKey) -> Self {
        Self {
            version: LogVersion::V1,
            host: host.to_owned(),
            origin: format!("{host} - {tree_id}"),
            id: key.id(),
            key,
        }
    }

    /// A Rekor v2 log with an Ed25519 key: the id is the hash of origin and key (signed-note).
    #[must_use]
    pub fn v2(host: &str, key: SigningKey) -> Self {
        let named = [host.as_bytes(), b"\n\x01", key.raw()].concat();
        Self {
            version: LogVersion::V2,
            host: host.to_owned(),
            origin: host.to_owned(),
            id: HashKind::Sha256.of(&named),
            key,
        }
    }
}

/// One log entry.
#[derive(Clone, Debug)]
pub struct EntryOrder {
    /// The log; none for the mint's of this version.
    pub log: Option<Log>,
    /// Which Rekor, when no log is given.
    pub version: LogVersion,
    /// The kind; none for the one that cosign 3 writes.
    pub kind: Option<EntryKind>,
    /// Seconds since 1970; none leaves the member out.
    pub integrated_time: Option<i64>,
    /// The place in the tree, from zero.
    pub index: u32,
    /// How many entries the tree has.
    pub tree_size: u32,
    /// How many entries older shards have; Rekor v1 counts them in the entry's own index.
    pub shard_offset: u32,
    /// The body, before anything is computed over it.
    pub body: Hook<Value>,
    /// The body as bytes, likewise.
    pub body_bytes: Hook<Vec<u8>>,
    /// The signed promise (SET).
    pub promise: Option<PromiseOrder>,
    /// The inclusion proof.
    pub proof: Option<ProofOrder>,
}

/// The signed promise of an entry.
#[derive(Clone, Debug, Default)]
pub struct PromiseOrder {
    /// The key; none for the log's.
    pub key: Option<SigningKey>,
    /// What is signed: `body`, `integratedTime`, `logID` and `logIndex`.
    pub signed: Hook<Value>,
}

/// The inclusion proof of an entry.
#[derive(Clone, Debug, Default)]
pub struct ProofOrder {
    /// The proof, before the checkpoint is written for it.
    pub edit: Hook<Proof>,
    /// The checkpoint.
    pub checkpoint: Option<CheckpointOrder>,
}

/// The signed tree head of a proof.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOrder {
    /// The first line; none for the log's origin.
    pub origin: Option<String>,
    /// The signed text, with its final newline.
    pub text: Hook<String>,
    /// The key; none for the log's.
    pub key: Option<SigningKey>,
    /// The name in the signature line; none for the log's host.
    pub name: Option<String>,
    /// The hint in the signature line; none for the first four bytes of the log's id.
    pub hint: Option<[u8; 4]>,
    /// Lines before the log's signature line, without newline.
    pub lines_before: Vec<String>,
    /// Lines after it.
    pub lines_after: Vec<String>,
    /// The whole note, after signing.
    pub note: Hook<String>,
}

/// A signature line (signed-note): name, hint and signature.
#[must_use]
pub fn signature_line(name: &str, hint: &[u8], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}", base64(&[hint, signature].concat()))
}

/// An entry as a bundle shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The index over all shards.
    pub log_index: i64,
    /// The log.
    pub log_id: Vec<u8>,
    /// The kind.
    pub kind: String,
    /// The version of the kind.
    pub version: String,
    /// Seconds since 1970.
    pub integrated_time: Option<i64>,
    /// The signed promise.
    pub promise: Option<Vec<u8>>,
    /// The inclusion proof.
    pub proof: Option<Proof>,
    /// The canonical body.
    pub body: Vec<u8>,
}

/// An inclusion proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The index in the tree.
    pub log_index: i64,
    /// The root hash.
    pub root: Vec<u8>,
    /// The size of the tree.
    pub tree_size: i64,
    /// The audit path.
    pub hashes: Vec<Vec<u8>>,
    /// The checkpoint.
    pub checkpoint: Option<String>,
}

impl EntryOrder {
    /// A right Rekor v1 entry.
    #[must_use]
    pub fn v1(integrated_time: i64) -> Self {
        Self {
            log: None,
            version: LogVersion::V1,
            kind: None,
            integrated_time: Some(integrated_time),
            index: 4,
            tree_size: 7,
            shard_offset: 1000,
            body: Hook::default(),
            body_bytes: Hook::default(),
            promise: Some(PromiseOrder::default()),
            proof: Some(ProofOrder {
                edit: Hook::default(),
                checkpoint: Some(CheckpointOrder::default()),
            }),
        }
    }

    /// A right Rekor v2 entry.
    #[must_use]
    pub fn v2() -> Self {
        Self {
            version: LogVersion::V2,
            integrated_time: None,
            shard_offset: 0,
            promise: None,
            ..Self::v1(0)
        }
    }

    /// The checkpoint's order, if there is a proof with one.
    pub fn checkpoint_mut(&mut self) -> Option<&mut CheckpointOrder> {
        self.proof.as_mut()?.checkpoint.as_mut()
    }

    pub(super) fn enter(
        &self,
        log: &Log,
        kind: EntryKind,
        logged: &Logged,
    ) -> Result<Entry, MintError> {
        let body = self.body_of(kind, logged);
        let leaves: Vec<Vec<u8>> = (0..self.tree_size)
            .map(|place| match place == self.index {
                true => leaf(&body),
                false => leaf(format!("neighbour {place}").as_bytes()),
            })
            .collect();
        let index = usize::try_from(self.index).unwrap_or(usize::MAX);
        let place = Place {
            index: self.index.into(),
            size: self.tree_size.into(),
            root: root(&leaves),
            path: path(&leaves, index),
        };
        self.seal(log, kind, body, place)
    }

    /// What the log keeps: the canonical body, as changed by this order.
    pub(in crate::sandbox) fn body_of(&self, kind: EntryKind, logged: &Logged) -> Vec<u8> {
        let body = canonical(self.body.on(logged.body(kind)));
        self.body_bytes.on(body)
    }

    /// Promise, proof and checkpoint for a body that stands at a place in the log.
    pub(in crate::sandbox) fn seal(
        &self,
        log: &Log,
        kind: EntryKind,
        body: Vec<u8>,
        place: Place,
    ) -> Result<Entry, MintError> {
        let (name, version) = kind.name();
        let log_index = i64::from(self.shard_offset) + place.index;
        let promise = match &self.promise {
            Some(order) => {
                let signed = canonical(order.signed.on(json!({
                    "body": base64(&body),
                    "integratedTime": self.integrated_time.unwrap_or(0),
                    "logID": hex(&log.id),
                    "logIndex": log_index,
                })));
                Some(order.key.as_ref().unwrap_or(&log.key).sign(&signed)?)
            }
            None => None,
        };
        let proof = match &self.proof {
            Some(order) => Some(order.prove(log, place)?),
            None => None,
        };
        Ok(Entry {
            log_index,
            log_id: log.id.clone(),
            kind: name.to_owned(),
            version: version.to_owned(),
            integrated_time: self.integrated_time,
            promise,
            proof,
            body,
        })
    }
}

/// Where an entry stands in a tree, and the way to its root.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Place {
    pub(in crate::sandbox) index: i64,
    pub(in crate::sandbox) size: i64,
    pub(in crate::sandbox) root: Vec<u8>,
    pub(in crate::sandbox) path: Vec<Vec<u8>>,
}

impl ProofOrder {
    fn prove(&self, log: &Log, place: Place) -> Result<Proof, MintError> {
        let mut proof = self.edit.on(Proof {
            log_index: place.index,
            root: place.root,
            tree_size: place.size,
            hashes: place.path,
            checkpoint: None,
        });
        if let Some(order) = &self.checkpoint {
            proof.checkpoint = Some(order.write(log, proof.tree_size, &proof.root)?);
        }
        Ok(proof)
    }
}

impl CheckpointOrder {
    /// The checkpoint of a tree.
    pub(in crate::sandbox) fn write(
        &self,
        log: &Log,
        size: i64,
        root: &[u8],
    ) -> Result<String, MintError> {
        let origin = self.origin.as_ref().unwrap_or(&log.origin);
        let text = format!("{origin}\n{size}\n{}\n", base64(root));
        let text = self.text.on(text);
        let key = self.key.as_ref().unwrap_or(&log.key);
        let signature = key.sign(text.as_bytes())?;
        let hint = match &self.hint {
            Some(hint) => hint.to_vec(),
            None => log.id.iter().copied().take(4).collect(),
        };
        let name = self.name.as_ref().unwrap_or(&log.host);
        let mut lines = self.lines_before.clone();
        lines.push(signature_line(name, &hint, &signature));
        lines.extend(self.lines_after.iter().cloned());
        Ok(self.note.on(format!("{text}\n{}\n", lines.join("\n"))))
    }
}

/// The canonical form (RFC 8785) of values without floats: compact, keys sorted.
fn canonical(mut value: Value) -> Vec<u8> {
    value.sort_all_objects();
    json_bytes(&value)
}

/// The hash of a leaf (RFC 6962, 2.1).
#[must_use]
pub fn leaf(body: &[u8]) -> Vec<u8> {
    HashKind::Sha256.of(&[&[0], body].concat())
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &[u8], right: &[u8]) -> Vec<u8> {
    HashKind::Sha256.of(&[&[1], left, right].concat())
}

/// Where RFC 6962 splits a tree: the largest power of two below its size.
fn split(leaves: &[Vec<u8>]) -> (&[Vec<u8>], &[Vec<u8>]) {
    let middle = leaves.len().next_power_of_two() / 2;
    leaves.split_at_checked(middle).unwrap_or((leaves, &[]))
}

fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => HashKind::Sha256.of(&[]),
        [only] => only.clone(),
        more => {
            let (left, right) = split(more);
            node(&root(left), &root(right))
        }
    }
}

fn path(leaves: &[Vec<u8>], index: usize) -> Vec<Vec<u8>> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut hashes, sibling) = match index.checked_sub(left.len()) {
        None => (path(left, index), right),
        Some(index) => (path(right, index), left),
    };
    hashes.push(root(sibling));
    hashes
}
