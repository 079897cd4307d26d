//! The certificate transparency log of Fulcio (RFC 6962, section 4).
//!
//! Statuses and texts are those of ct_server 1.3.2, measured. It logs what the sandbox's Fulcio
//! issues; `submit.rs` takes chains from others.

mod submit;

use core::num::IntErrorKind;
use core::num::ParseIntError;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::StateError;
use super::World;
use super::verifier::PublicKey;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::mint::CertificateOrder;
use crate::sandbox::mint::Extension;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::base64;
use crate::sandbox::mint::der;
use crate::sandbox::mint::hex;
use crate::sandbox::mint::prefixed;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::member;
use crate::sandbox::server::members;
use submit::Submission;

/// The extension that makes a precertificate unusable (RFC 6962, section 3.1).
const POISON: &str = "1.3.6.1.4.1.11129.2.4.3";

/// How many entries one answer holds at most.
const PAGE: usize = 1000;

/// How long what never changes may be kept, in seconds.
const DAY: u32 = 86_400;

const TEXT: &str = "text/plain; charset=utf-8";

/// What the log keeps.
#[derive(Debug, Default)]
pub(super) struct CtState {
    ledger: Ledger,
    /// `leaf_input` and `extra_data` of each entry.
    pub(super) entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl CtState {
    pub(super) fn append(&mut self, leaf: Vec<u8>, extra: Vec<u8>) {
        self.ledger.append(&leaf);
        self.entries.push((leaf, extra));
    }
}

impl World {
    /// The certificate as it is logged before it is issued: poisoned, without SCTs.
    pub(super) fn precertificate(
        &self,
        order: &CertificateOrder,
        key: &PublicKey,
    ) -> Result<Vec<u8>, MintError> {
        let mut order = order.clone();
        order.scts = Vec::new();
        order.extensions.push(Extension {
            oid: POISON.to_owned(),
            critical: true,
            value: der::null(),
        });
        let authority = &self.mint.fulcio.intermediate;
        Ok(authority.certify_key(&order, key.half(), None)?.certificate)
    }

    /// Keeps a precertificate in the log, once for each SCT of its certificate.
    pub(super) fn log_precertificates(
        &self,
        leaves: &[Vec<u8>],
        precertificate: &[u8],
    ) -> Result<(), StateError> {
        let fulcio = &self.mint.fulcio;
        let chain: Vec<u8> = [&fulcio.intermediate, &fulcio.root]
            .iter()
            .flat_map(|one| prefixed(3, &one.certificate))
            .collect();
        let extra = [prefixed(3, precertificate), prefixed(3, &chain)].concat();
        let mut state = self.ct();
        for leaf in leaves {
            self.keep_ct(leaf, &extra)?;
            state.append(leaf.clone(), extra.clone());
        }
        Ok(())
    }

    /// `/ct/ct/v1/…`
    pub(super) fn ct_answer(&self, path: &str, asked: &Asked<'_>) -> Answer {
        let query = members(asked.query);
        let query = Query(&query);
        let expected = match path {
            "add-chain" | "add-pre-chain" => "POST",
            "get-sth"
            | "get-roots"
            | "get-entries"
            | "get-sth-consistency"
            | "get-proof-by-hash"
            | "get-entry-and-proof" => "GET",
            _ => return Answer::new(StatusCode::NOT_FOUND),
        };
        let method = asked.method.as_str();
        if method != expected {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return refused(status, &format!("method not allowed: {method}"));
        }
        let answer = match path {
            "get-sth" => self.tree_head(),
            "get-roots" => {
                let root = base64(&self.mint.fulcio.root.certificate);
                let body = format!("{}\n", json!({ "certificates": [root] }));
                Ok(Answer::body(StatusCode::OK, TEXT, body))
            }
            "get-entries" => self.ct_entries(&query),
            "get-sth-consistency" => self.ct_consistency(&query),
            "get-proof-by-hash" => self.ct_proof(&query),
            "get-entry-and-proof" => self.ct_entry_and_proof(&query),
            "add-pre-chain" => self.submit(asked, Submission::Precertificate),
            _ => self.submit(asked, Submission::Certificate),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    /// `get-sth` (section 4.3): a tree head of now, signed.
    fn tree_head(&self) -> Result<Answer, Answer> {
        let state = self.ct();
        let size = state.ledger.size();
        let timestamp = self.milliseconds();
        let root = state.ledger.root(size).ok_or_else(failed)?;
        drop(state);
        let mut signed = vec![0, 1];
        signed.extend(timestamp.to_be_bytes());
        signed.extend(u64::try_from(size).unwrap_or(u64::MAX).to_be_bytes());
        signed.extend(&root);
        let signature = self.mint.ct.key.sign(&signed).map_err(|_| failed())?;
        let signature = [vec![4, 3], prefixed(2, &signature)].concat();
        Ok(ok(&json!({
            "tree_size": size,
            "timestamp": timestamp,
            "sha256_root_hash": base64(&root),
            "tree_head_signature": base64(&signature),
        })))
    }

    /// `get-entries` (section 4.6)
    fn ct_entries(&self, query: &Query<'_>) -> Result<Answer, Answer> {
        let wrong = |reason: &str| bad(&format!("bad range on get-entries request: {reason}"));
        let start = query.number("start").map_err(|reason| wrong(&reason))?;
        let end = query.number("end").map_err(|reason| wrong(&reason))?;
        let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
            let both = format!("start ({start}) and end ({end}) parameters must be >= 0");
            return Err(wrong(&both));
        };
        if to < from {
            let both = format!("start ({start}) and end ({end}) is not a valid range");
            return Err(wrong(&both));
        }
        let state = self.ct();
        let size = state.entries.len();
        if from >= size {
            let needed = from.saturating_add(1);
            return Err(bad(&format!(
                "need tree size: {needed} to get leaves but only got: {size}"
            )));
        }
        let count = (to - from).saturating_add(1).min(PAGE);
        let entries: Vec<_> = state
            .entries
            .iter()
            .skip(from)
            .take(count)
            .map(|(leaf, extra)| json!({ "leaf_input": base64(leaf), "extra_data": base64(extra) }))
            .collect();
        // Whoever asked for more than there is may ask again soon.
        let age = if entries.len() < count { 60 } else { DAY };
        Ok(kept(age, &json!({ "entries": entries })))
    }

    /// `get-sth-consistency` (section 4.4)
    fn ct_consistency(&self, query: &Query<'_>) -> Result<Answer, Answer> {
        let wrong = |reason: &str| bad(&format!("failed to parse consistency range: {reason}"));
        for name in ["first", "second"] {
            if query.text(name).is_empty() {
                return Err(wrong(&format!("parameter '{name}' is required")));
            }
        }
        let number = |name: &str| {
            let malformed = |_| wrong(&format!("parameter '{name}' is malformed"));
            query.number(name).map_err(malformed)
        };
        let (first, second) = (number("first")?, number("second")?);
        let (Ok(from), Ok(to)) = (usize::try_from(first), usize::try_from(second)) else {
            let both = format!("first and second params cannot be <0: {first} {second}");
            return Err(wrong(&both));
        };
        if to < from {
            let both = format!("invalid first, second params: {first} {second}");
            return Err(wrong(&both));
        }
        let state = self.ct();
        let path = match from {
            0 => Vec::new(),
            _ => state
                .ledger
                .consistency(from, to)
                .ok_or_else(|| too_small(to, state.ledger.size()))?,
        };
        Ok(kept(DAY, &json!({ "consistency": hashes(&path) })))
    }

    /// `get-proof-by-hash` (section 4.5)
    fn ct_proof(&self, query: &Query<'_>) -> Result<Answer, Answer> {
        let wrong = |reason: &str| bad(&format!("get-proof-by-hash: {reason}"));
        let text = query.text("hash");
        if text.is_empty() {
            return Err(wrong("missing / empty hash param for get-proof-by-hash"));
        }
        let hash = STANDARD.decode(text).map_err(|_| {
            let reason = illegal_base64(text);
            wrong(&format!("invalid base64 hash: {reason}"))
        })?;
        let size = query.number("tree_size").ok();
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size > 0).ok_or_else(|| {
            let text = query.text("tree_size");
            wrong(&format!("missing or invalid tree_size: {text}"))
        })?;
        let backend = |status, code: &str, reason: &str| {
            let begin = "backend GetInclusionProofByHash request failed: rpc error: code";
            refused(status, &format!("{begin} = {code} desc = {reason}"))
        };
        if hash.len() != 32 {
            let length = hash.len();
            let reason =
                format!("GetInclusionProofByHashRequest.LeafHash: {length} bytes, want 32");
            return Err(backend(StatusCode::BAD_REQUEST, "InvalidArgument", &reason));
        }
        let state = self.ct();
        if size > state.ledger.size() {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let reason = "preload did not get all tiles: 1 not found";
            return Err(backend(status, "Unknown", reason));
        }
        let found = state
            .ledger
            .find(&hash)
            .and_then(|index| Some((index, state.ledger.inclusion(index, size)?)));
        let (index, path) = found.ok_or_else(|| {
            let hash = hex(&hash);
            let reason = format!("No leaf found for hash: {hash} in tree size {size}");
            backend(StatusCode::NOT_FOUND, "NotFound", &reason)
        })?;
        let body = json!({ "leaf_index": index, "audit_path": hashes(&path) });
        Ok(kept(DAY, &body))
    }

    /// `get-entry-and-proof` (section 4.8)
    fn ct_entry_and_proof(&self, query: &Query<'_>) -> Result<Answer, Answer> {
        let wrong = |reason: &str| {
            bad(&format!(
                "failed to parse get-entry-and-proof params: {reason}"
            ))
        };
        let index = query
            .number("leaf_index")
            .map_err(|reason| wrong(&reason))?;
        let size = query.number("tree_size").map_err(|reason| wrong(&reason))?;
        if size <= 0 {
            return Err(wrong(&format!("tree_size must be > 0, got: {size}")));
        }
        if index < 0 {
            // It prints the other parameter.
            return Err(wrong(&format!("leaf_index must be >= 0, got: {size}")));
        }
        if index >= size {
            return Err(wrong(&format!(
                "leaf_index {index} out of range for tree of size {size}"
            )));
        }
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let state = self.ct();
        let path = state.ledger.inclusion(index, size);
        let (Some((leaf, extra)), Some(path)) = (state.entries.get(index), path) else {
            return Err(too_small(size, state.ledger.size()));
        };
        Ok(kept(
            DAY,
            &json!({
                "leaf_input": base64(leaf),
                "extra_data": base64(extra),
                "audit_path": hashes(&path),
            }),
        ))
    }
}

/// The parameters of a request.
struct Query<'a>(&'a [(String, String)]);

impl Query<'_> {
    fn text(&self, name: &str) -> &str {
        member(self.0, name).unwrap_or_default()
    }

    /// A number, or what Go's `strconv` says of it.
    fn number(&self, name: &str) -> Result<i64, String> {
        let text = self.text(name);
        text.parse().map_err(|error: ParseIntError| {
            let reason = match error.kind() {
                IntErrorKind::NegOverflow | IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.ParseInt: parsing {}: {reason}", json!(text))
        })
    }
}

/// What Go says of text that is no base64.
pub(super) fn illegal_base64(text: &str) -> String {
    let place = text
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/' | b'='));
    let place = place.unwrap_or(text.len());
    format!("illegal base64 data at input byte {place}")
}

fn hashes(path: &[Vec<u8>]) -> Vec<String> {
    path.iter().map(|hash| base64(hash)).collect()
}

fn ok(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, "application/json", body)
}

/// An answer that stays true, for this many seconds at least.
fn kept(age: u32, body: &Value) -> Answer {
    ok(body).with(header::CACHE_CONTROL, &format!("public, max-age={age}"))
}

/// A refusal: the words of the status, then the reason.
fn refused(status: StatusCode, reason: &str) -> Answer {
    let words = status.canonical_reason().unwrap_or_default();
    Answer::body(status, TEXT, format!("{words}\n{reason}\n"))
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn bad(reason: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, reason)
}

fn too_small(needed: usize, size: usize) -> Answer {
    bad(&format!(
        "need tree size: {needed} for proof but only got: {size}"
    ))
}

fn failed() -> Answer {
    refused(StatusCode::INTERNAL_SERVER_ERROR, "the log failed")
}
