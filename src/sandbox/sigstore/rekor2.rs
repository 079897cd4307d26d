//! Rekor v2: `hashedrekord` 0.0.2 entries with proof and checkpoint, and the tiles of the log.
//!
//! Statuses and texts are those of rekor-tiles 2.3.0, measured. Every entry gets a checkpoint of
//! its own, so that nobody waits for one. Checkpoint and tiles are answered here too, as a public
//! log serves them from its storage (C2SP tlog-tiles).

use std::collections::BTreeMap;

use axum::http::HeaderName;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::Failure;
use super::World;
use super::fulcio::bytes;
use super::fulcio::gateway;
use super::fulcio::refused;
use super::fulcio::unreadable;
use super::rekor1::place;
use super::verifier;
use super::verifier::Algorithm;
use super::verifier::PublicKey;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::mint::Entry;
use crate::sandbox::mint::EntryKind;
use crate::sandbox::mint::EntryOrder;
use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::Logged;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::Verifier;
use crate::sandbox::mint::base64;
use crate::sandbox::mint::hex;
use crate::sandbox::mint::leaf;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;

/// The largest body (rekor-tiles' bound), in bytes.
const BODY: usize = 4 << 20;

/// Hashes or entries of a full tile (C2SP tlog-tiles).
const TILE: usize = 256;

const INVALID: &str = "invalid hashedrekord request";

/// What the log keeps.
#[derive(Debug, Default)]
pub(super) struct Rekor2State {
    ledger: Ledger,
    bodies: Vec<Vec<u8>>,
    by_leaf: BTreeMap<String, usize>,
}

impl Rekor2State {
    pub(super) fn append(&mut self, body: Vec<u8>) -> usize {
        let index = self.ledger.append(&body);
        self.by_leaf.insert(hex(&leaf(&body)), index);
        self.bodies.push(body);
        index
    }
}

/// A request, as strict about unknown members as the real log is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Request {
    #[serde(
        alias = "hashed_rekord_request_v002",
        rename = "hashedRekordRequestV002"
    )]
    hashed: Option<Hashed>,
    #[serde(rename = "dsseRequestV002")]
    dsse: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Hashed {
    digest: Option<String>,
    signature: Option<Signature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Signature {
    content: Option<String>,
    verifier: Option<By>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct By {
    #[serde(alias = "x509_certificate")]
    x509_certificate: Option<Raw>,
    #[serde(alias = "public_key")]
    public_key: Option<Raw>,
    #[serde(alias = "key_details")]
    key_details: Option<Details>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Option<String>,
}

/// An enum value: by name or by number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Details {
    Name(String),
    Number(u32),
}

/// The `PublicKeyDetails` that the log takes: number, name and hash.
const DETAILS: &[(u32, &str, HashKind)] = &[
    (5, "PKIX_ECDSA_P256_SHA_256", HashKind::Sha256),
    (12, "PKIX_ECDSA_P384_SHA_384", HashKind::Sha384),
    (13, "PKIX_ECDSA_P521_SHA_512", HashKind::Sha512),
    (9, "PKIX_RSA_PKCS1V15_2048_SHA256", HashKind::Sha256),
    (10, "PKIX_RSA_PKCS1V15_3072_SHA256", HashKind::Sha256),
    (11, "PKIX_RSA_PKCS1V15_4096_SHA256", HashKind::Sha256),
];

impl World {
    /// `POST /api/v2/log/entries`
    pub(super) fn rekor2_entry(&self, asked: &Asked<'_>) -> Answer {
        if asked.body.len() > BODY {
            return refused("http: request body too large");
        }
        let mut values = serde_json::Deserializer::from_slice(&asked.body).into_iter::<Request>();
        let request = match values.next() {
            Some(Ok(request)) => request,
            Some(Err(error)) => return unreadable(&error),
            None => return refused("invalid type, must be hashedrekord"),
        };
        let hashed = match request {
            Request {
                hashed: Some(hashed),
                dsse: None,
            } => hashed,
            Request { .. } => return refused("invalid type, must be hashedrekord"),
        };
        let logged = match logged(hashed) {
            Ok(logged) => logged,
            Err(refusal) => return refusal,
        };
        match self.take2(&logged, asked) {
            Ok(answer) => answer,
            Err(_) => gateway(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
        }
    }

    fn take2(&self, logged: &Logged, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let kind = EntryKind::HashedRekord2;
        let mut order = EntryOrder::v2();
        self.bend_entry(&mut order, asked);
        let body = order.body_of(kind, logged);
        let mut state = self.rekor2();
        if let Some(index) = state.by_leaf.get(&hex(&leaf(&body))) {
            let message = format!(
                "an equivalent entry already exists in the transparency log with index {index}"
            );
            let name = HeaderName::from_static("x-log-index");
            return Ok(gateway(StatusCode::CONFLICT, &message).with(name, &index.to_string()));
        }
        self.keep_rekor2(&body)?;
        let index = state.append(body.clone());
        let place = place(&state.ledger, index, state.ledger.size()).ok_or(MintError::Crypto)?;
        drop(state);
        let log = order.log.as_ref().unwrap_or(&self.mint.rekor2);
        let entry = order.seal(log, kind, body, place)?;
        let body = shown(&entry);
        Ok(Answer::json(StatusCode::CREATED, "application/json", &body))
    }

    /// `GET /api/v2/checkpoint`
    pub(super) fn rekor2_checkpoint(&self) -> Answer {
        let state = self.rekor2();
        let size = state.ledger.size();
        let root = state.ledger.root(size).unwrap_or_default();
        drop(state);
        match self.checkpoint(&self.mint.rekor2, size, &root) {
            Some(text) => Answer::body(StatusCode::OK, "text/plain; charset=utf-8", text),
            None => gateway(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
        }
    }

    /// `GET /api/v2/tile/…`: hashes of a level, or entries.
    pub(super) fn rekor2_tile(&self, path: &str) -> Answer {
        match self.tile(path) {
            Some(bytes) => Answer::body(StatusCode::OK, "application/octet-stream", bytes),
            None => gateway(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn tile(&self, path: &str) -> Option<Bytes> {
        let (level, rest) = path.split_once('/')?;
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, TILE),
            Some((number, width)) => (number, width.parse().ok()?),
        };
        if !(1..=TILE).contains(&width) {
            return None;
        }
        let number = tile_number(number)?;
        let start = number.checked_mul(TILE)?;
        let state = self.rekor2();
        let mut out = Vec::new();
        if level == "entries" {
            let bodies = state.bodies.get(start..start.checked_add(width)?)?;
            for body in bodies {
                out.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
                out.extend(body);
            }
        } else {
            let level: usize = level.parse().ok().filter(|level| *level < 64)?;
            let height = level.checked_mul(8)?;
            for hash in state.ledger.slice(height, start, width)? {
                out.extend(hash);
            }
        }
        Some(out.into())
    }
}

/// The number of a tile: `x001/x234/067` is 1234067.
fn tile_number(text: &str) -> Option<usize> {
    let parts: Vec<_> = text.split('/').collect();
    let mut number: usize = 0;
    for (place, part) in parts.iter().enumerate() {
        let is_last = place + 1 == parts.len();
        let digits = if is_last {
            part
        } else {
            part.strip_prefix('x')?
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number = number
            .checked_mul(1000)?
            .checked_add(digits.parse().ok()?)?;
    }
    Some(number)
}

/// A request whose signature holds.
fn logged(hashed: Hashed) -> Result<Logged, Answer> {
    let invalid = || refused(INVALID);
    let field = |text: Option<String>, name: &str| {
        let text = text.unwrap_or_default();
        bytes(&text).ok_or_else(|| {
            let value = json!(text);
            refused(&format!(
                "proto: invalid value for bytes field {name}: {value}"
            ))
        })
    };
    let digest = field(hashed.digest, "digest")?;
    let signature = hashed.signature.ok_or_else(invalid)?;
    let content = field(signature.content, "content")?;
    let by = signature.verifier.ok_or_else(invalid)?;
    let details = details(by.key_details)?;
    let (verifier, key) = match (by.x509_certificate, by.public_key) {
        (Some(_), Some(_)) => {
            return Err(refused(
                "proto: error parsing \"publicKey\", oneof dev.sigstore.rekor.v2.Verifier.verifier \
                 is already set",
            ));
        }
        (Some(raw), None) => {
            let der = field(raw.raw_bytes, "rawBytes")?;
            verifier::certified(&der).ok_or_else(invalid)?
        }
        (None, Some(raw)) => {
            let der = field(raw.raw_bytes, "rawBytes")?;
            let key = PublicKey::from_spki(&der).map_err(|_| invalid())?;
            (Verifier::PublicKey(der), key)
        }
        (None, None) => return Err(invalid()),
    };
    let (name, hash) = details.ok_or_else(invalid)?;
    // The log goes by the hash of the details, which must be the key's own.
    let fits = hash == key.algorithm.hash() && key.algorithm != Algorithm::Ed25519;
    if !fits || digest.len() != hash.of(&[]).len() || !key.signed_hash(hash, &digest, &content) {
        return Err(invalid());
    }
    Ok(Logged {
        signed: (hash, digest),
        payload_hash: Vec::new(),
        envelope_hash: Vec::new(),
        payload_type: String::new(),
        signatures: vec![(content, verifier)],
        details: name,
    })
}

/// The key details that are taken; none for those that exist and are not.
fn details(asked: Option<Details>) -> Result<Option<(&'static str, HashKind)>, Answer> {
    /// Names that the protocol knows and the log refuses.
    const KNOWN: &[&str] = &[
        "PUBLIC_KEY_DETAILS_UNSPECIFIED",
        "PKIX_ED25519_PH",
        "PKIX_ECDSA_P384_SHA_256",
        "PKIX_ECDSA_P521_SHA_256",
        "LMS_SHA256",
        "LMOTS_SHA256",
        "ML_DSA_65",
        "ML_DSA_87",
    ];
    match asked {
        None => Ok(None),
        Some(Details::Number(number)) => {
            let found = DETAILS.iter().find(|(own, _, _)| *own == number);
            Ok(found.map(|(_, name, hash)| (*name, *hash)))
        }
        Some(Details::Name(text)) => {
            // Plain Ed25519 has no hash to log, over which the real log stumbles.
            if text == "PKIX_ED25519" {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return Err(gateway(status, "internal server error"));
            }
            let found = DETAILS.iter().find(|(_, own, _)| *own == text);
            if found.is_none() && !KNOWN.contains(&text.as_str()) {
                let value = json!(text);
                return Err(refused(&format!(
                    "proto: invalid value for enum field keyDetails: {value}"
                )));
            }
            Ok(found.map(|(_, name, hash)| (*name, *hash)))
        }
    }
}

/// An entry as the API shows it: every member, zeros too.
fn shown(entry: &Entry) -> serde_json::Value {
    let proof = entry.proof.as_ref().map(|proof| {
        json!({
            "logIndex": proof.log_index.to_string(),
            "rootHash": base64(&proof.root),
            "treeSize": proof.tree_size.to_string(),
            "hashes": proof.hashes.iter().map(|hash| base64(hash)).collect::<Vec<_>>(),
            "checkpoint": proof.checkpoint.as_ref().map(|text| json!({ "envelope": text })),
        })
    });
    let promise = entry.promise.as_ref();
    json!({
        "logIndex": entry.log_index.to_string(),
        "logId": { "keyId": base64(&entry.log_id) },
        "kindVersion": { "kind": entry.kind, "version": entry.version },
        "integratedTime": entry.integrated_time.unwrap_or(0).to_string(),
        "inclusionPromise": promise.map(|set| json!({ "signedEntryTimestamp": base64(set) })),
        "inclusionProof": proof,
        "canonicalizedBody": base64(&entry.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_numbered_in_threes() {
        assert_eq!(tile_number("067"), Some(67));
        assert_eq!(tile_number("x001/x234/067"), Some(1_234_067));
        for bad in ["", "67", "0067", "x067", "001/067", "x001/x067", "x001/06a"] {
            assert_eq!(tile_number(bad), None, "{bad}");
        }
    }
}
