//! Rekor v2 (rekor-tiles): `hashedrekord` 0.0.2, with proof and checkpoint and nothing else.
//!
//! The log is told a digest, never what was signed: of an envelope that of its pre-authentication
//! encoding, with the hash that goes with the key.

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::json;

use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::client::Ask;
use crate::services::rekor::Entry;
use crate::services::rekor::Kind;
use crate::services::rekor::Proof;
use crate::services::rekor::Verifier;
use crate::services::rekor::tiles;
use crate::transport::Reply;
use crate::verify::TrustRoot;
use crate::verify::encoding;

/// The only kind that such a log takes (rekor-tiles 2.3).
const KIND: &str = "hashedrekord";
const VERSION: &str = "0.0.2";

/// What is to be logged.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The hash of what was signed.
    pub digest: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// Who signed it.
    pub verifier: Verifier<'a>,
    /// The kind of the key and its hash, such as `PKIX_ECDSA_P256_SHA_256` (`PublicKeyDetails`).
    pub details: &'a str,
}

/// Logs a signature, or gives the equal entry that is there already: that one is read from the
/// log's tiles, under a checkpoint that a log of `root` signed.
///
/// # Errors
///
/// [`Error`]; [`Error::Unshown`] when the log has the entry and does not show it.
pub async fn propose(
    client: &Client<'_>,
    url: &Endpoint,
    proposal: &Proposal<'_>,
    root: &TrustRoot,
) -> Result<Entry, Error> {
    let entries = url.below("api/v2/log/entries");
    let ask = Ask::new(Service::Rekor, &entries, cap(client));
    let raw = |bytes: &[u8]| json!({ "rawBytes": encoding::encode(bytes) });
    let (member, verifier) = match proposal.verifier {
        Verifier::Certificate(der) => ("x509Certificate", raw(der)),
        Verifier::PublicKey(der) => ("publicKey", raw(der)),
    };
    let body = json!({ "hashedRekordRequestV002": {
        "digest": encoding::encode(proposal.digest),
        "signature": {
            "content": encoding::encode(proposal.signature),
            "verifier": { member: verifier, "keyDetails": proposal.details },
        },
    } });
    let request = ask.post_json(&body);
    let reply = client.fetch(&ask, &request).await?;
    match reply.status {
        201 => parse(client, &ask, &reply.body),
        409 => match index_of(&reply) {
            Some(index) => tiles::entry(client, url, index, root).await,
            None => Err(Error::Unshown {
                host: entries.host(),
                reason: "it does not say where".to_owned(),
            }),
        },
        413 => Err(Error::EntryTooLarge {
            host: entries.host(),
            bytes: body.to_string().len(),
            said: "status 413".to_owned(),
        }),
        200 => Err(ask.malformed("it answered with status 200")),
        _ => Err(ask.refusal(&reply)),
    }
}

/// Bytes of an answer: the body in base64, and what proves it.
const fn cap(client: &Client<'_>) -> usize {
    let limits = client.limits;
    (limits.log_body_bytes / 3 * 4)
        .saturating_add(limits.checkpoint_bytes)
        .saturating_add(64 * 1024)
}

/// The index that a 409 names.
fn index_of(reply: &Reply) -> Option<u64> {
    let index = reply.header(HeaderName::from_static("x-log-index"))?;
    let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    index.parse().ok().filter(|_| is_number)
}

/// A 64-bit number in protobuf JSON: text, or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(u64),
}

impl Number {
    /// The number; an absent one is zero.
    fn read(number: Option<Self>) -> Option<u64> {
        match number {
            None => Some(0),
            Some(Self::Plain(number)) => Some(number),
            Some(Self::Text(text)) => text.parse().ok(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    log_index: Option<Number>,
    log_id: RawLogId,
    kind_version: RawKind,
    inclusion_proof: Option<RawProof>,
    canonicalized_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLogId {
    key_id: String,
}

#[derive(Deserialize)]
struct RawKind {
    kind: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProof {
    log_index: Option<Number>,
    root_hash: String,
    tree_size: Option<Number>,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: Option<RawCheckpoint>,
}

#[derive(Deserialize)]
struct RawCheckpoint {
    envelope: String,
}

/// Reads a `TransparencyLogEntry`.
fn parse(client: &Client<'_>, ask: &Ask<'_>, body: &[u8]) -> Result<Entry, Error> {
    let raw: RawEntry = ask.json(body)?;
    let wrong = |what: &str| ask.malformed(format!("{what} of the entry in its answer"));
    let limits = client.limits;
    let body = encoding::decode(&raw.canonicalized_body)
        .filter(|body| body.len() <= limits.log_body_bytes)
        .ok_or_else(|| wrong("the body"))?;
    let found = Kind::of(&body).ok_or_else(|| wrong("the body"))?;
    let names = [&found.kind, &raw.kind_version.kind];
    let versions = [&found.api_version, &raw.kind_version.version];
    if names.iter().any(|name| *name != KIND) || versions.iter().any(|one| *one != VERSION) {
        return Err(wrong("another kind is that"));
    }
    let proof = raw
        .inclusion_proof
        .ok_or_else(|| wrong("there is no inclusion proof"))?;
    let checkpoint = proof
        .checkpoint
        .map(|checkpoint| checkpoint.envelope)
        .filter(|text| text.len() <= limits.checkpoint_bytes)
        .ok_or_else(|| wrong("there is no checkpoint"))?;
    let hash = |text: &String| encoding::decode(text)?.try_into().ok();
    let hashes: Option<Vec<_>> = proof.hashes.iter().map(hash).collect();
    let hashes = hashes
        .filter(|hashes| hashes.len() <= limits.proof_hashes)
        .ok_or_else(|| wrong("the hashes"))?;
    let number = |number| Number::read(number).ok_or_else(|| wrong("a number"));
    Ok(Entry {
        log_index: number(raw.log_index)?,
        log_id: encoding::decode(&raw.log_id.key_id)
            .filter(|id| id.len() == 32)
            .ok_or_else(|| wrong("the log id"))?,
        kind: found.kind,
        version: found.api_version,
        integrated_time: None,
        promise: None,
        proof: Proof {
            log_index: number(proof.log_index)?,
            root_hash: hash(&proof.root_hash).ok_or_else(|| wrong("the root hash"))?,
            tree_size: number(proof.tree_size)?,
            hashes,
            checkpoint,
        },
        body,
    })
}
