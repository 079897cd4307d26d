//! The certificate transparency log of Fulcio (RFC 6962, section 4).

use axum::http::StatusCode;
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
use crate::sandbox::mint::prefixed;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// The extension that makes a precertificate unusable (RFC 6962, section 3.1).
const POISON: &str = "1.3.6.1.4.1.11129.2.4.3";

/// How many entries one answer holds at most.
const PAGE: usize = 1000;

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
        let number = |name: &str| member(&query, name).and_then(|text| text.parse().ok());
        match path {
            "get-sth" => self.tree_head(),
            "get-roots" => {
                let root = base64(&self.mint.fulcio.root.certificate);
                ok(&json!({ "certificates": [root] }))
            }
            "get-entries" => self.ct_entries(number("start"), number("end")),
            "get-sth-consistency" => self.ct_consistency(number("first"), number("second")),
            "get-proof-by-hash" => {
                let hash = member(&query, "hash").and_then(super::fulcio::bytes);
                self.ct_proof(hash, number("tree_size"))
            }
            "get-entry-and-proof" => {
                self.ct_entry_and_proof(number("leaf_index"), number("tree_size"))
            }
            "add-chain" | "add-pre-chain" => {
                bad("the sandbox logs what its own Fulcio issues and nothing else")
            }
            _ => Answer::body(
                StatusCode::NOT_FOUND,
                "text/plain; charset=utf-8",
                "404 page not found\n",
            ),
        }
    }

    /// `get-sth` (section 4.3): a tree head of now, signed.
    fn tree_head(&self) -> Answer {
        let state = self.ct();
        let size = state.ledger.size();
        let timestamp = self.milliseconds();
        let Some(root) = state.ledger.root(size) else {
            return failed();
        };
        drop(state);
        let mut signed = vec![0, 1];
        signed.extend(timestamp.to_be_bytes());
        signed.extend(u64::try_from(size).unwrap_or(u64::MAX).to_be_bytes());
        signed.extend(&root);
        let Ok(signature) = self.mint.ct.key.sign(&signed) else {
            return failed();
        };
        let signature = [vec![4, 3], prefixed(2, &signature)].concat();
        ok(&json!({
            "tree_size": size,
            "timestamp": timestamp,
            "sha256_root_hash": base64(&root),
            "tree_head_signature": base64(&signature),
        }))
    }

    fn ct_entries(&self, start: Option<usize>, end: Option<usize>) -> Answer {
        let (Some(start), Some(end)) = (start, end) else {
            return bad("get-entries: start and end are numbers from zero");
        };
        if end < start {
            return bad("get-entries: start is after end");
        }
        let state = self.ct();
        if start >= state.entries.len() {
            return bad("get-entries: start is beyond the tree");
        }
        let count = (end - start).saturating_add(1).min(PAGE);
        let entries: Vec<_> = state
            .entries
            .iter()
            .skip(start)
            .take(count)
            .map(|(leaf, extra)| json!({ "leaf_input": base64(leaf), "extra_data": base64(extra) }))
            .collect();
        ok(&json!({ "entries": entries }))
    }

    fn ct_consistency(&self, first: Option<usize>, second: Option<usize>) -> Answer {
        let (Some(first), Some(second)) = (first, second) else {
            return bad("get-sth-consistency: first and second are sizes");
        };
        let state = self.ct();
        let path = if first == 0 {
            (second <= state.ledger.size()).then(Vec::new)
        } else {
            state.ledger.consistency(first, second)
        };
        match path {
            Some(path) => ok(&json!({ "consistency": hashes(&path) })),
            None => bad("get-sth-consistency: sizes out of range"),
        }
    }

    fn ct_proof(&self, hash: Option<Vec<u8>>, size: Option<usize>) -> Answer {
        let (Some(hash), Some(size)) = (hash, size) else {
            return bad("get-proof-by-hash: a hash in base64 and a tree_size are needed");
        };
        let state = self.ct();
        let found = state
            .ledger
            .find(&hash)
            .and_then(|index| Some((index, state.ledger.inclusion(index, size)?)));
        match found {
            Some((index, path)) => ok(&json!({ "leaf_index": index, "audit_path": hashes(&path) })),
            None => Answer::body(
                StatusCode::NOT_FOUND,
                "text/plain; charset=utf-8",
                "get-proof-by-hash: no such leaf in a tree of this size\n",
            ),
        }
    }

    fn ct_entry_and_proof(&self, index: Option<usize>, size: Option<usize>) -> Answer {
        let (Some(index), Some(size)) = (index, size) else {
            return bad("get-entry-and-proof: leaf_index and tree_size are needed");
        };
        let state = self.ct();
        let found = state
            .entries
            .get(index)
            .and_then(|entry| Some((entry, state.ledger.inclusion(index, size)?)));
        match found {
            Some(((leaf, extra), path)) => ok(&json!({
                "leaf_input": base64(leaf),
                "extra_data": base64(extra),
                "audit_path": hashes(&path),
            })),
            None => bad("get-entry-and-proof: out of range"),
        }
    }
}

fn hashes(path: &[Vec<u8>]) -> Vec<String> {
    path.iter().map(|hash| base64(hash)).collect()
}

fn ok(body: &Value) -> Answer {
    Answer::json(StatusCode::OK, "application/json", body)
}

fn bad(message: &str) -> Answer {
    let status = StatusCode::BAD_REQUEST;
    Answer::body(status, "text/plain; charset=utf-8", format!("{message}\n"))
}

fn failed() -> Answer {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Answer::body(status, "text/plain; charset=utf-8", "the log failed\n")
}
