//! Rekor v1: `hashedrekord` 0.0.1 and `dsse` 0.0.1, with promise, time, proof and checkpoint.

use std::collections::BTreeMap;

use reqwest::header;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::model::Digest;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::client::Ask;
use crate::services::rekor::Entry;
use crate::services::rekor::Kind;
use crate::services::rekor::Proof;
use crate::services::rekor::Verifier;
use crate::transport;
use crate::transport::Cause;
use crate::transport::Reply;
use crate::verify::encoding;

/// Bytes of a request beyond which the public instance drops it: its load balancer answers 502 or
/// closes the connection (about 3.5 MB fail; cosign#3599, rekor#2915).
pub const LARGE: usize = 3_000_000;

const VERSION: &str = "0.0.1";
/// Bytes of an entry around an envelope: certificate, names and quotes.
const AROUND: usize = 16 * 1024;

/// What is to be logged.
#[derive(Clone, Copy, Debug)]
pub enum Proposal<'a> {
    /// A whole envelope. The bytes that are sent must be those that are pushed.
    Dsse {
        /// The JSON text of the envelope.
        envelope: &'a str,
        /// Who signed it.
        verifier: Verifier<'a>,
    },
    /// A signature over a hash.
    HashedRekord {
        /// The hash of what was signed.
        digest: Digest,
        /// The signature.
        signature: &'a [u8],
        /// Who signed it.
        verifier: Verifier<'a>,
    },
}

impl Proposal<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Dsse { .. } => "dsse",
            Self::HashedRekord { .. } => "hashedrekord",
        }
    }

    /// The request's body. An envelope may be many megabytes, and is copied once.
    fn json(&self) -> Vec<u8> {
        let spec = match self {
            Self::Dsse { envelope, verifier } => Spec::Dsse {
                proposed_content: Proposed {
                    envelope,
                    verifiers: [encoding::encode(verifier.pem().as_bytes())],
                },
            },
            Self::HashedRekord {
                digest,
                signature,
                verifier,
            } => Spec::HashedRekord {
                data: json!({ "hash": {
                    "algorithm": digest.algorithm().name(),
                    "value": digest.hex(),
                } }),
                signature: json!({
                    "content": encoding::encode(signature),
                    "publicKey": { "content": encoding::encode(verifier.pem().as_bytes()) },
                }),
            },
        };
        let entry = Proposition {
            api_version: VERSION,
            kind: self.kind(),
            spec,
        };
        // Room for it at once: an envelope is base64 with a few quotes to escape.
        let most = match self {
            Self::Dsse { envelope, .. } => envelope.len() + AROUND,
            Self::HashedRekord { .. } => AROUND,
        };
        let mut body = Vec::with_capacity(most);
        // Texts and maps of texts are always JSON.
        match serde_json::to_writer(&mut body, &entry) {
            Ok(()) => body,
            Err(_) => Vec::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proposition<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Spec<'a> {
    Dsse { proposed_content: Proposed<'a> },
    HashedRekord { data: Value, signature: Value },
}

#[derive(Serialize)]
struct Proposed<'a> {
    envelope: &'a str,
    verifiers: [String; 1],
}

/// Logs a signature, or gives the equal entry that is there already.
///
/// # Errors
///
/// [`Error`]; [`Error::EntryTooLarge`] where the log, or what stands before it, takes no body of
/// that size.
pub async fn propose(
    client: &Client<'_>,
    url: &Endpoint,
    proposal: &Proposal<'_>,
) -> Result<Entry, Error> {
    let entries = url.below("api/v1/log/entries");
    let ask = Ask::new(Service::Rekor, &entries, cap(client));
    let body = proposal.json();
    let size = body.len();
    let json = HeaderValue::from_static("application/json");
    let request = ask
        .post("application/json", body)
        .header(header::ACCEPT, json);
    let reply = match client.fetch(&ask, &request).await {
        Err(Error::Transport { source, .. }) if size > LARGE && is_broken(&source) => {
            let host = entries.host();
            let said = format!("{source} (what stands before a log drops large requests so)");
            return Err(too_large(host, size, said));
        }
        reply => reply?,
    };
    let kind = proposal.kind();
    match reply.status {
        201 => parse(client, &ask, &reply.body, kind),
        409 => already(client, &ask, &reply, kind).await,
        413 => Err(too_large(entries.host(), size, "status 413".to_owned())),
        502 if size > LARGE => {
            let said = "status 502 (what stands before a log answers large requests so)";
            Err(too_large(entries.host(), size, said.to_owned()))
        }
        200 => Err(ask.malformed("it answered with status 200")),
        _ => Err(ask.refusal(&reply)),
    }
}

fn too_large(host: String, bytes: usize, said: String) -> Error {
    Error::EntryTooLarge { host, bytes, said }
}

const fn is_broken(error: &transport::Error) -> bool {
    matches!(
        error,
        transport::Error::Unreachable {
            cause: Cause::Broken,
            ..
        }
    )
}

/// Bytes of an answer: the body in base64, and what proves it.
const fn cap(client: &Client<'_>) -> usize {
    let limits = client.limits;
    (limits.log_body_bytes / 3 * 4)
        .saturating_add(limits.checkpoint_bytes)
        .saturating_add(64 * 1024)
}

/// The entry that a log names in place of a new one.
async fn already(
    client: &Client<'_>,
    ask: &Ask<'_>,
    reply: &Reply,
    kind: &str,
) -> Result<Entry, Error> {
    let named = ask.url.last_of_location(&reply.headers);
    let Some(id) = named
        .filter(|id| is_id(id))
        .or_else(|| named_in(&reply.body))
    else {
        return Err(Error::Unshown {
            host: ask.url.host(),
            reason: "it does not say where".to_owned(),
        });
    };
    let url = ask.url.below(&id);
    let ask = Ask::new(Service::Rekor, &url, cap(client));
    let json = HeaderValue::from_static("application/json");
    let request = ask.get().header(header::ACCEPT, json);
    let reply = client.fetch(&ask, &request).await?;
    match reply.status {
        200 => parse(client, &ask, &reply.body, kind),
        404 => Err(ask.malformed("it says that it has an entry, and then that it has none")),
        _ => Err(ask.refusal(&reply)),
    }
}

/// Whether a text is the id of an entry: a leaf hash, or the id of a tree and one.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 64 | 80) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id that the message of a 409 names.
fn named_in(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let said: Said = crate::model::read_json(body).ok()?;
    let mut words = said.message.split(|c: char| !c.is_ascii_alphanumeric());
    let id = words.rfind(|word| is_id(word))?;
    Some(id.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: RawVerification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVerification {
    inclusion_proof: Option<RawProof>,
    signed_entry_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProof {
    checkpoint: Option<String>,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// Reads a map of one entry.
fn parse(client: &Client<'_>, ask: &Ask<'_>, body: &[u8], kind: &str) -> Result<Entry, Error> {
    let mut entries: BTreeMap<String, RawEntry> = ask.json(body)?;
    let (Some((id, raw)), true) = (entries.pop_first(), entries.is_empty()) else {
        return Err(ask.malformed("its answer is not one entry"));
    };
    if !is_id(&id) {
        return Err(ask.malformed("the entry in its answer has no id"));
    }
    let wrong = |what: &str| ask.malformed(format!("{what} of the entry in its answer"));
    let limits = client.limits;
    let body = encoding::decode(&raw.body)
        .filter(|body| body.len() <= limits.log_body_bytes)
        .ok_or_else(|| wrong("the body"))?;
    let found = Kind::of(&body).ok_or_else(|| wrong("the body"))?;
    if found.kind != kind || found.api_version != VERSION {
        return Err(wrong("another kind is that"));
    }
    let proof = raw
        .verification
        .inclusion_proof
        .ok_or_else(|| wrong("there is no inclusion proof"))?;
    let checkpoint = proof
        .checkpoint
        .filter(|text| text.len() <= limits.checkpoint_bytes)
        .ok_or_else(|| wrong("there is no checkpoint"))?;
    let hash = |text: &String| encoding::decode_hex(text)?.try_into().ok();
    let hashes: Option<Vec<_>> = proof.hashes.iter().map(hash).collect();
    let hashes = hashes
        .filter(|hashes| hashes.len() <= limits.proof_hashes)
        .ok_or_else(|| wrong("the hashes"))?;
    let promise = match &raw.verification.signed_entry_timestamp {
        Some(text) => Some(encoding::decode(text).ok_or_else(|| wrong("the promise"))?),
        None => None,
    };
    Ok(Entry {
        log_index: raw.log_index,
        log_id: encoding::decode_hex(&raw.log_id)
            .filter(|id| id.len() == 32)
            .ok_or_else(|| wrong("the log id"))?,
        kind: found.kind,
        version: found.api_version,
        integrated_time: Some(raw.integrated_time).filter(|time| *time != 0),
        promise,
        proof: Proof {
            log_index: proof.log_index,
            root_hash: hash(&proof.root_hash).ok_or_else(|| wrong("the root hash"))?,
            tree_size: proof.tree_size,
            hashes,
            checkpoint,
        },
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_an_entry_or_none() {
        let id = "0f".repeat(40);
        let said = |message: &str| named_in(json!({ "message": message }).to_string().as_bytes());
        let real =
            format!("an equivalent entry already exists in the transparency log with UUID {id}");
        assert_eq!(said(&real), Some(id.clone()));
        for other in [
            "",
            "UUID 00ff",
            &format!("UUID {id}0"),
            &id.replace('0', "g"),
        ] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(named_in(b"<html>"), None);
    }
}
