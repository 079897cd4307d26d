//! Rekor v2: `hashedrekord` 0.0.2 entries with proof and checkpoint, and the tiles of the log.
//!
//! Statuses and texts are those of rekor-tiles 2.3.0, measured. Every entry gets a checkpoint of
//! its own, so that nobody waits for one. Checkpoint and tiles are answered here too, as a public
//! log serves them from its storage (C2SP tlog-tiles).
//! Pre-hashed Ed25519, which the real log takes, is refused: the crypto library does not offer it.

use std::collections::BTreeMap;

use axum::http::HeaderName;
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::json;

use super::Failure;
use super::World;
use super::fulcio::gateway;
use super::fulcio::refused;
use super::fulcio::too_large;
use super::gojson::Field;
use super::gojson::Kind;
use super::gojson::Message;
use super::gojson::Schema;
use super::gojson::Unknown;
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

const RAW: Schema = Schema(&[Field::named("rawBytes", "raw_bytes", Kind::Bytes)]);

/// Either a key or a certificate.
const EITHER: &str = "dev.sigstore.rekor.v2.Verifier.verifier";

const VERIFIER: Schema = Schema(&[
    Field::named("publicKey", "public_key", Kind::Message(&RAW)).of(EITHER),
    Field::named("x509Certificate", "x509_certificate", Kind::Message(&RAW)).of(EITHER),
    Field::named("keyDetails", "key_details", Kind::Enum(DETAILS)),
]);

const SIGNATURE: Schema = Schema(&[
    Field::new("content", Kind::Bytes),
    Field::new("verifier", Kind::Message(&VERIFIER)),
]);

const HASHED: Schema = Schema(&[
    Field::new("digest", Kind::Bytes),
    Field::new("signature", Kind::Message(&SIGNATURE)),
]);

const SPEC: &str = "dev.sigstore.rekor.v2.CreateEntryRequest.spec";

/// A request. An envelope is known and refused, so what is in it does not matter.
const REQUEST: Schema = Schema(&[
    Field::named(
        "hashedRekordRequestV002",
        "hashed_rekord_request_v002",
        Kind::Message(&HASHED),
    )
    .of(SPEC),
    Field::named("dsseRequestV002", "dsse_request_v002", Kind::Any).of(SPEC),
]);

/// `PublicKeyDetails` of the Sigstore protocol.
const DETAILS: &[(i32, &str)] = &[
    (0, "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
    (1, "PKCS1_RSA_PKCS1V5"),
    (2, "PKCS1_RSA_PSS"),
    (3, "PKIX_RSA_PKCS1V5"),
    (4, "PKIX_RSA_PSS"),
    (5, "PKIX_ECDSA_P256_SHA_256"),
    (6, "PKIX_ECDSA_P256_HMAC_SHA_256"),
    (7, "PKIX_ED25519"),
    (8, "PKIX_ED25519_PH"),
    (9, "PKIX_RSA_PKCS1V15_2048_SHA256"),
    (10, "PKIX_RSA_PKCS1V15_3072_SHA256"),
    (11, "PKIX_RSA_PKCS1V15_4096_SHA256"),
    (12, "PKIX_ECDSA_P384_SHA_384"),
    (13, "PKIX_ECDSA_P521_SHA_512"),
    (14, "LMS_SHA256"),
    (15, "LMOTS_SHA256"),
    (16, "PKIX_RSA_PSS_2048_SHA256"),
    (17, "PKIX_RSA_PSS_3072_SHA256"),
    (18, "PKIX_RSA_PSS_4096_SHA256"),
    (19, "PKIX_ECDSA_P384_SHA_256"),
    (20, "PKIX_ECDSA_P521_SHA_256"),
    (21, "ML_DSA_65"),
    (22, "ML_DSA_87"),
];

/// Plain Ed25519, over which the real log stumbles: it has no hash to log.
const ED25519: i32 = 7;

impl World {
    /// `POST /api/v2/log/entries`
    pub(super) fn rekor2_entry(&self, asked: &Asked<'_>) -> Answer {
        if asked.body.len() > BODY {
            return too_large();
        }
        let request = match Message::parse(&asked.body, &REQUEST, Unknown::Refused) {
            Ok(request) => request,
            Err(message) => return refused(&message),
        };
        let Some(hashed) = request.message("hashedRekordRequestV002") else {
            return refused("invalid type, must be hashedrekord");
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
fn logged(hashed: &Message) -> Result<Logged, Answer> {
    let invalid = || refused(INVALID);
    let digest = hashed.bytes("digest");
    let signature = hashed.message("signature").ok_or_else(invalid)?;
    let content = signature.bytes("content");
    let by = signature.message("verifier").ok_or_else(invalid)?;
    let details = by.number("keyDetails");
    if details == ED25519 {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err(gateway(status, "internal server error"));
    }
    let raw = |name| by.message(name).map(|raw| raw.bytes("rawBytes"));
    let (verifier, key) = match (raw("x509Certificate"), raw("publicKey")) {
        (Some(der), _) => verifier::certified(der).ok_or_else(invalid)?,
        (None, Some(der)) => {
            let key = PublicKey::from_spki(der).map_err(|_| invalid())?;
            (Verifier::PublicKey(der.to_vec()), key)
        }
        (None, None) => return Err(invalid()),
    };
    let (name, hash) = hashed_by(details).ok_or_else(invalid)?;
    // The log goes by the hash of the details, which must be the key's own.
    let fits = hash == key.algorithm.hash() && key.algorithm != Algorithm::Ed25519;
    if !fits || !key.signed_hash(hash, digest, content) {
        return Err(invalid());
    }
    Ok(Logged {
        signed: (hash, digest.to_vec()),
        payload_hash: Vec::new(),
        envelope_hash: Vec::new(),
        payload_type: String::new(),
        signatures: vec![(content.to_vec(), verifier)],
        details: name,
    })
}

/// Name and hash of the key details that the log takes.
fn hashed_by(details: i32) -> Option<(&'static str, HashKind)> {
    let hash = match details {
        5 | 9..=11 | 19 | 20 => HashKind::Sha256,
        12 => HashKind::Sha384,
        13 => HashKind::Sha512,
        _ => return None,
    };
    let (_, name) = DETAILS.iter().find(|(number, _)| *number == details)?;
    Some((name, hash))
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
