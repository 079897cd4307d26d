//! The transparency log: that an entry is about this signature, and that a log of the trust root has it.
//!
//! Whatever the kind of entry, certificate or key, signature and hash are compared one by one: an
//! entry that is valid but about something else is the oldest way to fool a verifier
//! (CVE-2022-23649, CVE-2026-22703).

use serde::Deserialize;
use sigstore_merkle::hash_leaf;
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::Sha256Hash;

use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Error;
use crate::verify::bundle::Content;
use crate::verify::bundle::Entry;
use crate::verify::bundle::Layout;
use crate::verify::bundle::Proof;
use crate::verify::bundle::decode_signature;
use crate::verify::checkpoint::Checkpoint;
use crate::verify::encoding;
use crate::verify::envelope::pae_head;
use crate::verify::key::Hash;
use crate::verify::trust::Log;

/// What an entry must be about.
pub(super) struct About<'a> {
    pub(super) content: &'a Content,
    /// The certificate (DER) or the key (SubjectPublicKeyInfo).
    pub(super) signer: Signer<'a>,
    /// Of a message: its digest.
    pub(super) message: Option<Digest>,
    /// Of a message: its bytes, where the verifier has them.
    pub(super) bytes: Option<&'a [u8]>,
}

/// Who signed, as a log entry can name it.
#[derive(Clone, Copy)]
pub(super) enum Signer<'a> {
    Certificate(&'a [u8]),
    /// SHA-256 of the SubjectPublicKeyInfo.
    Key(Digest),
}

/// What is proven about an entry.
pub(super) struct Logged {
    /// Whether an inclusion proof was verified, not only a promise.
    pub(super) included: bool,
    /// The position that the promise covers, or else the one that the proof proves.
    pub(super) index: u64,
    /// The time that the log promised.
    pub(super) time: Option<Timestamp>,
}

/// Verifies one entry of a known log.
pub(super) fn verify(
    entry: &Entry,
    log: &Log,
    layout: Layout,
    about: &About<'_>,
    limits: &Limits,
) -> Result<Logged, Error> {
    is_about(entry, about)?;
    match &entry.proof {
        Some(proof) => inclusion(&entry.body, proof, log, limits)?,
        None if layout.is_bundle() => return Err(Error::LogProofMissing),
        None => {}
    }
    let time = match &entry.promise {
        Some(set) => Some(promise(entry, set, log)?),
        // Version 0.1 promises and nothing else; a legacy layer has nothing else either.
        None if layout == Layout::BundleV01 || !layout.is_bundle() => {
            return Err(Error::LogPromiseMissing);
        }
        None => None,
    };
    // Without a promise nothing vouches for the entry's own index.
    let index = match (&time, &entry.proof) {
        (None, Some(proof)) => proof.index,
        _ => entry.index,
    };
    Ok(Logged {
        included: entry.proof.is_some(),
        index,
        time,
    })
}

/// Checks the Merkle proof (RFC 6962 section 2.1.1) and the checkpoint that it ends in.
fn inclusion(body: &[u8], proof: &Proof, log: &Log, limits: &Limits) -> Result<(), Error> {
    let hashes: Vec<_> = proof.hashes.iter().copied().map(Sha256Hash::new).collect();
    verify_inclusion_proof(
        &hash_leaf(body),
        proof.index,
        proof.size,
        &hashes,
        &Sha256Hash::new(proof.root),
    )
    .map_err(|_| Error::LogProofInvalid {
        rule: "its hashes do not lead from the entry to its root",
    })?;
    let text = proof
        .checkpoint
        .as_deref()
        .ok_or(Error::CheckpointMissing)?;
    let checkpoint = Checkpoint::parse(text, limits)?;
    if !checkpoint.is_signed_by(log) {
        return Err(Error::CheckpointInvalid);
    }
    if !log.is_origin(checkpoint.origin) {
        return Err(Error::CheckpointMismatch {
            rule: "it is of another log",
        });
    }
    if checkpoint.size != proof.size {
        return Err(Error::CheckpointMismatch {
            rule: "it is of another tree size",
        });
    }
    if checkpoint.root != proof.root {
        return Err(Error::CheckpointMismatch {
            rule: "it has another root hash",
        });
    }
    Ok(())
}

/// Checks the signed entry timestamp: a signature over four members in canonical JSON (RFC 8785).
fn promise(entry: &Entry, set: &[u8], log: &Log) -> Result<Timestamp, Error> {
    let seconds = entry.integrated_time.unwrap_or(0);
    let payload = format!(
        r#"{{"body":"{}","integratedTime":{seconds},"logID":"{}","logIndex":{}}}"#,
        encoding::encode(&entry.body),
        crate::model::hex(&entry.log_id),
        entry.index,
    );
    if !log.key.verifies(payload.as_bytes(), set) {
        return Err(Error::LogPromiseInvalid);
    }
    if seconds <= 0 {
        return Err(Error::LogEntryMalformed {
            rule: "its promise carries no time",
        });
    }
    Timestamp::from_unix_seconds(seconds).map_err(|_| Error::LogEntryMalformed {
        rule: "its integrated time is out of range",
    })
}

/// Checks that the entry is about this signature, by this signer, over this content.
fn is_about(entry: &Entry, about: &About<'_>) -> Result<(), Error> {
    let body = &entry.body;
    match (entry.kind.as_str(), entry.version.as_str()) {
        ("hashedrekord", "0.0.1") => read::<Record>(body, entry)?.spec.is_about(about),
        ("rekord", "0.0.1") => {
            let record = read::<Record>(body, entry)?;
            if record.spec.signature.format.as_deref() != Some("x509") {
                return Err(differs("its signature format"));
            }
            record.spec.is_about(about)
        }
        ("hashedrekord", "0.0.2") => read::<RecordV2>(body, entry)?.spec.record.is_about(about),
        ("dsse", "0.0.1") => read::<Dsse>(body, entry)?.spec.is_about(about),
        ("intoto", "0.0.1") => read::<IntotoV1>(body, entry)?.spec.is_about(about),
        ("intoto", "0.0.2") => read::<IntotoV2>(body, entry)?.spec.content.is_about(about),
        _ => Err(Error::LogEntryUnsupported {
            kind: crate::model::printable(&entry.kind),
            version: crate::model::printable(&entry.version),
        }),
    }
}

/// A canonicalised body: kind, version and what that kind holds.
#[derive(Deserialize)]
struct Body<S> {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
    spec: S,
}

fn read<'a, S>(body: &'a [u8], entry: &Entry) -> Result<Body<S>, Error>
where
    Body<S>: Deserialize<'a>,
    S: IsSpec,
{
    let parsed: Body<S> = crate::model::read_json(body).map_err(|_| Error::LogEntryMalformed {
        rule: "its body is not JSON with the members of its kind",
    })?;
    if parsed.kind != entry.kind || parsed.version != entry.version {
        return Err(differs("the kind of its body"));
    }
    Ok(parsed)
}

/// The specs of the known kinds.
trait IsSpec {}
impl IsSpec for Record {}
impl IsSpec for RecordV2 {}
impl IsSpec for Dsse {}
impl IsSpec for IntotoV1 {}
impl IsSpec for IntotoV2 {}

const fn differs(what: &'static str) -> Error {
    Error::LogEntryMismatch { what }
}

#[derive(Deserialize)]
struct HashValue {
    algorithm: String,
    value: String,
}

impl HashValue {
    /// Whether it is the hash of `bytes`. Only SHA-256, as Rekor v1 hashes envelopes and payloads.
    fn is_of(&self, bytes: &[u8]) -> bool {
        self.algorithm == "sha256" && self.value == Digest::sha256(bytes).hex()
    }

    fn is(&self, digest: Digest) -> bool {
        self.algorithm == digest.algorithm().name() && self.value == digest.hex()
    }
}

/// The first PEM block in base64: a certificate or a public key.
fn pem_is(text: &str, signer: Signer<'_>) -> bool {
    let Some(pem) = encoding::decode(text).and_then(|pem| String::from_utf8(pem).ok()) else {
        return false;
    };
    let Some(block) = encoding::pem(&pem).and_then(|blocks| blocks.into_iter().next()) else {
        return false;
    };
    match signer {
        Signer::Certificate(der) => block.label == "CERTIFICATE" && block.content == der,
        Signer::Key(id) => block.label == "PUBLIC KEY" && Digest::sha256(&block.content) == id,
    }
}

fn signature_is(text: &str, about: &About<'_>) -> bool {
    decode_signature(Some(text)).is_ok_and(|bytes| bytes == about.content.signature())
}

/// `hashedrekord` 0.0.1 and `rekord` 0.0.1.
#[derive(Deserialize)]
struct Record {
    data: RecordData,
    signature: RecordSignature,
}

#[derive(Deserialize)]
struct RecordData {
    hash: HashValue,
}

#[derive(Deserialize)]
struct RecordSignature {
    content: String,
    format: Option<String>,
    #[serde(rename = "publicKey")]
    public_key: RecordKey,
}

#[derive(Deserialize)]
struct RecordKey {
    content: String,
}

impl Record {
    fn is_about(&self, about: &About<'_>) -> Result<(), Error> {
        if !pem_is(&self.signature.public_key.content, about.signer) {
            return Err(differs("the certificate or key"));
        }
        if !signature_is(&self.signature.content, about) {
            return Err(differs("the signature"));
        }
        let hash = &self.data.hash;
        let fits = match about.content {
            Content::SimpleSigning { payload, .. } => hash.is_of(payload),
            Content::Message { .. } => {
                about.message.is_some_and(|digest| hash.is(digest))
                    || about
                        .bytes
                        .is_some_and(|bytes| other_hash_is_of(hash, bytes))
            }
            Content::Envelope { .. } => return Err(differs("the kind of entry")),
        };
        if fits {
            Ok(())
        } else {
            Err(differs("the hash of what was signed"))
        }
    }
}

/// Rekor takes SHA-384 and SHA-512 for keys that sign with them.
fn other_hash_is_of(hash: &HashValue, bytes: &[u8]) -> bool {
    let by = match hash.algorithm.as_str() {
        "sha256" => Hash::Sha256,
        "sha384" => Hash::Sha384,
        "sha512" => Hash::Sha512,
        _ => return false,
    };
    crate::model::hex(by.of(bytes).as_ref()) == hash.value
}

/// `hashedrekord` 0.0.2, of Rekor v2.
#[derive(Deserialize)]
struct RecordV2 {
    #[serde(rename = "hashedRekordV002")]
    record: RecordV2Record,
}

#[derive(Deserialize)]
struct RecordV2Record {
    data: RecordV2Data,
    signature: RecordV2Signature,
}

#[derive(Deserialize)]
struct RecordV2Data {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct RecordV2Signature {
    content: String,
    verifier: RecordV2Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordV2Verifier {
    x509_certificate: Option<RawBytes>,
    public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

impl RecordV2Record {
    fn is_about(&self, about: &About<'_>) -> Result<(), Error> {
        let verifier = &self.signature.verifier;
        let same_signer = match (
            about.signer,
            &verifier.x509_certificate,
            &verifier.public_key,
        ) {
            (Signer::Certificate(der), Some(raw), None) => {
                encoding::decode(&raw.raw_bytes).is_some_and(|bytes| bytes == der)
            }
            (Signer::Key(id), None, Some(raw)) => {
                encoding::decode(&raw.raw_bytes).is_some_and(|bytes| Digest::sha256(&bytes) == id)
            }
            _ => false,
        };
        if !same_signer {
            return Err(differs("the certificate or key"));
        }
        if !signature_is(&self.signature.content, about) {
            return Err(differs("the signature"));
        }
        let hash = match self.data.algorithm.as_str() {
            "SHA2_256" => Hash::Sha256,
            "SHA2_384" => Hash::Sha384,
            "SHA2_512" => Hash::Sha512,
            _ => return Err(differs("the hash algorithm")),
        };
        let logged = encoding::decode(&self.data.digest).unwrap_or_default();
        let fits = match about.content {
            Content::Envelope {
                payload_type,
                payload,
                ..
            } => {
                let head = pae_head(payload_type, payload);
                hash.of_parts(&[head.as_bytes(), payload]).as_ref() == logged
            }
            Content::SimpleSigning { payload, .. } => hash.of(payload).as_ref() == logged,
            Content::Message { .. } => {
                let by_digest = about
                    .message
                    .is_some_and(|digest| hash == Hash::Sha256 && digest.as_bytes() == logged);
                by_digest || about.bytes.is_some_and(|b| hash.of(b).as_ref() == logged)
            }
        };
        if fits {
            Ok(())
        } else {
            Err(differs("the hash of what was signed"))
        }
    }
}

/// `dsse` 0.0.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    envelope_hash: HashValue,
    payload_hash: HashValue,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: String,
    verifier: String,
}

impl Dsse {
    fn is_about(&self, about: &About<'_>) -> Result<(), Error> {
        let Content::Envelope { payload, layer, .. } = about.content else {
            return Err(differs("the kind of entry"));
        };
        let [signature] = self.signatures.as_slice() else {
            return Err(differs("the number of signatures"));
        };
        if !pem_is(&signature.verifier, about.signer) {
            return Err(differs("the certificate or key"));
        }
        if !signature_is(&signature.signature, about) {
            return Err(differs("the signature"));
        }
        if !self.payload_hash.is_of(payload) {
            return Err(differs("the hash of the payload"));
        }
        // The envelope's own bytes are kept in a legacy layer only.
        if layer
            .as_ref()
            .is_some_and(|layer| !self.envelope_hash.is_of(layer))
        {
            return Err(differs("the hash of the envelope"));
        }
        Ok(())
    }
}

/// `intoto` 0.0.1: a key and hashes, no signature.
#[derive(Deserialize)]
struct IntotoV1 {
    content: IntotoV1Content,
    #[serde(rename = "publicKey")]
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV1Content {
    hash: HashValue,
    payload_hash: Option<HashValue>,
}

impl IntotoV1 {
    fn is_about(&self, about: &About<'_>) -> Result<(), Error> {
        let Content::Envelope {
            payload_type,
            payload,
            signature,
            layer,
        } = about.content
        else {
            return Err(differs("the kind of entry"));
        };
        if !pem_is(&self.public_key, about.signer) {
            return Err(differs("the certificate or key"));
        }
        let hash = &self.content.payload_hash;
        if hash.as_ref().is_some_and(|hash| !hash.is_of(payload)) {
            return Err(differs("the hash of the payload"));
        }
        // Only the hash of the envelope covers the signature. A bundle does not keep the envelope's
        // bytes: the forms that cosign has written are tried.
        let logged = &self.content.hash;
        let fits = match layer {
            Some(layer) => logged.is_of(layer),
            None => written_forms(payload_type, payload, signature)
                .iter()
                .any(|form| logged.is_of(form.as_bytes())),
        };
        if fits {
            Ok(())
        } else {
            Err(differs("the hash of the envelope"))
        }
    }
}

/// The compact envelopes of cosign v2 and v3 (`cosign-formats`: order of members, empty key id).
fn written_forms(payload_type: &str, payload: &[u8], signature: &[u8]) -> [String; 2] {
    let (payload, signature) = (encoding::encode(payload), encoding::encode(signature));
    [
        format!(
            r#"{{"payloadType":"{payload_type}","payload":"{payload}","signatures":[{{"keyid":"","sig":"{signature}"}}]}}"#
        ),
        format!(
            r#"{{"payload":"{payload}","payloadType":"{payload_type}","signatures":[{{"sig":"{signature}"}}]}}"#
        ),
    ]
}

/// `intoto` 0.0.2: the envelope, its payload left out, each signature base64 in base64.
#[derive(Deserialize)]
struct IntotoV2 {
    content: IntotoV2Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Content {
    envelope: IntotoV2Envelope,
    hash: Option<HashValue>,
    payload_hash: HashValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Envelope {
    payload_type: String,
    signatures: Vec<IntotoV2Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Signature {
    sig: String,
    public_key: String,
}

impl IntotoV2Content {
    fn is_about(&self, about: &About<'_>) -> Result<(), Error> {
        let Content::Envelope {
            payload_type,
            payload,
            layer,
            ..
        } = about.content
        else {
            return Err(differs("the kind of entry"));
        };
        let [signature] = self.envelope.signatures.as_slice() else {
            return Err(differs("the number of signatures"));
        };
        if self.envelope.payload_type != *payload_type {
            return Err(differs("the type of the payload"));
        }
        if !pem_is(&signature.public_key, about.signer) {
            return Err(differs("the certificate or key"));
        }
        let inner = encoding::decode(&signature.sig).and_then(|text| String::from_utf8(text).ok());
        if !inner.is_some_and(|text| signature_is(&text, about)) {
            return Err(differs("the signature"));
        }
        if !self.payload_hash.is_of(payload) {
            return Err(differs("the hash of the payload"));
        }
        if let (Some(layer), Some(hash)) = (layer, &self.hash)
            && !hash.is_of(layer)
        {
            return Err(differs("the hash of the envelope"));
        }
        Ok(())
    }
}
