//! Rekor v1: `hashedrekord`, `dsse` and `intoto` entries with promise, proof and checkpoint.
//!
//! Statuses and texts are those of Rekor 1.5.4, measured. An entry is taken only when its signature
//! holds; there is one shard, so the index in the log is the index in the tree. Pages for people (`/`, `/swagger.json`) are left out.

use std::collections::BTreeMap;

use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Failure;
use super::World;
use super::entry;
use super::entry::Proposed;
use super::entry::Reason;
use super::gojson;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::mint::Entry;
use crate::sandbox::mint::EntryKind;
use crate::sandbox::mint::EntryOrder;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::Place;
use crate::sandbox::mint::base64;
use crate::sandbox::mint::hex;
use crate::sandbox::mint::leaf;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// How many entries one request may ask for (Rekor's default).
const RETRIEVED: usize = 10;

/// What the log keeps.
#[derive(Debug, Default)]
pub(super) struct Rekor1State {
    ledger: Ledger,
    entries: Vec<Stored>,
    /// Leaf hash in hex → index.
    by_leaf: BTreeMap<String, usize>,
    /// What can be searched for → indexes.
    by_key: BTreeMap<String, Vec<usize>>,
}

/// An entry as it was taken.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) kind: EntryKind,
    pub(super) body: Vec<u8>,
    pub(super) time: i64,
    /// What it can be found by: `sha256:…` of artifacts, key hashes, addresses.
    pub(super) keys: Vec<String>,
}

impl Rekor1State {
    pub(super) fn append(&mut self, stored: Stored) -> usize {
        let index = self.ledger.append(&stored.body);
        self.by_leaf.insert(hex(&leaf(&stored.body)), index);
        for key in &stored.keys {
            self.by_key.entry(key.clone()).or_default().push(index);
        }
        self.entries.push(stored);
        index
    }
}

impl World {
    /// `/api/v1/log…` and `/api/v1/index/retrieve`
    pub(super) fn rekor1_answer(&self, path: &str, asked: &Asked<'_>) -> Answer {
        // The framework cleans paths.
        let path = path.trim_end_matches('/');
        let (allowed, known) = match path {
            "log/entries" => ("GET,POST", true),
            "log/entries/retrieve" | "index/retrieve" => ("POST", true),
            "log" | "log/publicKey" | "log/proof" => ("GET", true),
            _ => ("GET", path.starts_with("log/entries/")),
        };
        if !known {
            return not_found(asked.path);
        }
        let method = asked.method.as_str();
        // A GET of this path is a look-up of an entry with a strange name.
        let is_lookup = path == "log/entries/retrieve" && method == "GET";
        if !is_lookup && !allowed.split(',').any(|one| one == method) {
            return wrong_method(method, allowed);
        }
        let answer = match (path, method) {
            ("log/entries", "POST") => self.propose(asked),
            ("log/entries", _) => self.entry_by_index(asked.query),
            ("log/entries/retrieve", "POST") => self.retrieve(asked),
            ("index/retrieve", _) => self.search(asked),
            ("log", _) => self.log_info(),
            ("log/publicKey", _) => self.rekor1_key(asked),
            ("log/proof", _) => self.log_proof(asked.query),
            _ => {
                let id = path.rsplit('/').next().unwrap_or_default();
                self.entry_by_id(id)
            }
        };
        let answer = produced(answer, asked);
        if method == "GET" {
            return uncached(answer);
        }
        answer
    }

    /// `GET log/publicKey?treeID=`
    fn rekor1_key(&self, asked: &Asked<'_>) -> Answer {
        let media_type = "application/x-pem-file";
        let query = members(asked.query);
        let tree = member(&query, "treeID").unwrap_or_default();
        if !tree.bytes().all(|byte| byte.is_ascii_digit()) {
            return invalid(605, "treeID in query should match '^[0-9]+$'");
        }
        if !tree.is_empty() && tree != self.tree_id().to_string() {
            let body = json!({ "code": 400, "message": "Bad Request" });
            return Answer::json(StatusCode::BAD_REQUEST, media_type, &body);
        }
        let key = self.mint.rekor1.key.public_pem();
        if accepted(asked) == Some("application/json") {
            return json_line(StatusCode::OK, &json!(key));
        }
        Answer::body(StatusCode::OK, media_type, key)
    }

    /// `POST log/entries`
    fn propose(&self, asked: &Asked<'_>) -> Answer {
        if let Some(refusal) = unsupported_type(asked) {
            return refusal;
        }
        let proposed = match entry::parse(&asked.body) {
            Ok(proposed) => proposed,
            Err(refusal) => return refusal,
        };
        match self.take(&proposed, asked) {
            Ok(answer) => answer,
            Err(error) => own(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// Takes an entry into the log, unless an equal one is there.
    fn take(&self, proposed: &Proposed, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let now = self.clock.now().unix_seconds();
        let mut order = self.rekor1_order(now);
        order.body = proposed.hook();
        self.bend_entry(&mut order, asked);
        let body = order.body_of(proposed.kind, &proposed.logged);
        let hash = hex(&leaf(&body));
        let mut state = self.rekor1();
        if state.by_leaf.contains_key(&hash) {
            let id = self.entry_id(&hash);
            let message = format!(
                "an equivalent entry already exists in the transparency log with UUID {id}"
            );
            let location = format!("/api/v1/log/entries/{id}");
            return Ok(own(StatusCode::CONFLICT, &message).with(header::LOCATION, &location));
        }
        let stored = Stored {
            kind: proposed.kind,
            body: body.clone(),
            time: order.integrated_time.unwrap_or(now),
            keys: proposed.keys.clone(),
        };
        self.keep_rekor1(&stored)?;
        let index = state.append(stored);
        let place = place(&state.ledger, index, state.ledger.size()).ok_or(MintError::Crypto)?;
        drop(state);
        let log = order.log.as_ref().unwrap_or(&self.mint.rekor1);
        let entry = order.seal(log, proposed.kind, body, place)?;
        let id = self.entry_id(&hash);
        let body = Value::Object(Map::from_iter([(id.clone(), self.shown(&entry))]));
        Ok(json_line(StatusCode::CREATED, &body)
            .with(header::ETAG, &id)
            .with(header::LOCATION, &format!("/api/v1/log/entries/{id}")))
    }

    /// The order of an honest entry.
    fn rekor1_order(&self, time: i64) -> EntryOrder {
        let mut order = EntryOrder::v1(time);
        order.shard_offset = 0;
        order
    }

    /// An entry with a proof of now.
    fn entry_of_now(&self, index: usize) -> Result<(String, Value), MintError> {
        let state = self.rekor1();
        let stored = state.entries.get(index).cloned();
        let place = place(&state.ledger, index, state.ledger.size());
        let hash = state.ledger.leaf(index).map(|hash| hex(hash));
        drop(state);
        let (Some(stored), Some(place), Some(hash)) = (stored, place, hash) else {
            return Err(MintError::Crypto);
        };
        let order = self.rekor1_order(stored.time);
        let entry = order.seal(&self.mint.rekor1, stored.kind, stored.body, place)?;
        Ok((self.entry_id(&hash), self.shown(&entry)))
    }

    fn entry_answer(&self, index: usize) -> Answer {
        match self.entry_of_now(index) {
            Ok((id, shown)) => {
                let body = Value::Object(Map::from_iter([(id, shown)]));
                json_line(StatusCode::OK, &body)
            }
            Err(error) => own(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// An entry as the API shows it.
    fn shown(&self, entry: &Entry) -> Value {
        let proof = entry.proof.as_ref().map(|proof| {
            json!({
                "checkpoint": proof.checkpoint,
                "hashes": proof.hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
                "logIndex": proof.log_index,
                "rootHash": hex(&proof.root),
                "treeSize": proof.tree_size,
            })
        });
        let mut verification = Map::new();
        if let Some(proof) = proof {
            verification.insert("inclusionProof".to_owned(), proof);
        }
        if let Some(promise) = &entry.promise {
            verification.insert("signedEntryTimestamp".to_owned(), json!(base64(promise)));
        }
        json!({
            "body": base64(&entry.body),
            "integratedTime": entry.integrated_time.unwrap_or(0),
            "logID": hex(&entry.log_id),
            "logIndex": entry.log_index,
            "verification": verification,
        })
    }

    /// 16 hex digits of the tree and 64 of the leaf.
    fn entry_id(&self, leaf: &str) -> String {
        format!("{:016x}{leaf}", self.tree_id())
    }

    fn tree_id(&self) -> u64 {
        let origin = self.mint.rekor1.origin.rsplit(' ').next();
        origin.and_then(|id| id.parse().ok()).unwrap_or_default()
    }

    /// `GET log/entries?logIndex=`
    fn entry_by_index(&self, query: &str) -> Answer {
        let query = members(query);
        let asked = query.iter().rev().find(|(name, _)| name == "logIndex");
        let Some((_, text)) = asked.filter(|(_, text)| !text.is_empty()) else {
            return invalid(602, "logIndex in query is required");
        };
        match text.parse::<i64>() {
            Err(_) => invalid(
                601,
                &format!("logIndex in query must be of type int64: {}", json!(text)),
            ),
            Ok(..0) => invalid(
                609,
                "logIndex in query should be greater than or equal to 0",
            ),
            Ok(index) => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                if index < self.rekor1().entries.len() {
                    self.entry_answer(index)
                } else {
                    Answer::new(StatusCode::NOT_FOUND)
                }
            }
        }
    }

    /// `GET log/entries/{uuid}`
    fn entry_by_id(&self, id: &str) -> Answer {
        match self.index_of(id) {
            Ok(Some(index)) => self.entry_answer(index),
            Ok(None) => Answer::new(StatusCode::NOT_FOUND),
            Err(why) => why.answer("entryUUID in path"),
        }
    }

    fn index_of(&self, id: &str) -> Result<Option<usize>, Malformed> {
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !matches!(id.len(), 64 | 80) {
            return Err(Malformed::Id);
        }
        let id = id.to_ascii_lowercase();
        let (tree, leaf) = id.split_at_checked(id.len() - 64).ok_or(Malformed::Id)?;
        if !tree.is_empty() && tree.bytes().all(|byte| byte == b'0') {
            return Err(Malformed::Tree);
        }
        if !tree.is_empty() && tree != format!("{:016x}", self.tree_id()) {
            return Ok(None);
        }
        Ok(self.rekor1().by_leaf.get(leaf).copied())
    }

    /// `POST log/entries/retrieve`
    fn retrieve(&self, asked: &Asked<'_>) -> Answer {
        if let Some(refusal) = unsupported_type(asked) {
            return refusal;
        }
        if asked.body.is_empty() {
            return invalid(602, "entry in body is required");
        }
        let wanted = match gojson::plain(&asked.body) {
            Ok(wanted) => wanted.unwrap_or_default(),
            Err(reason) => return unparsable("entry", &reason),
        };
        let list = |name: &str| wanted.get(name).and_then(Value::as_array).cloned();
        let (ids, indexes, proposals) = (list("entryUUIDs"), list("logIndexes"), list("entries"));
        let mut total = 0;
        for (name, list) in [
            ("entryUUIDs", &ids),
            ("logIndexes", &indexes),
            ("entries", &proposals),
        ] {
            let Some(list) = list else { continue };
            if list.is_empty() {
                return invalid(612, &format!("{name} in body should have at least 1 items"));
            }
            if list.len() > RETRIEVED {
                let most = format!("{name} in body should have at most {RETRIEVED} items");
                return invalid(611, &most);
            }
            total += list.len();
        }
        if total > RETRIEVED {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return own(status, "more than max allowed 10 entries in request");
        }
        match self.retrieved(ids, indexes, proposals) {
            Ok(found) => self.entries_answer(&found),
            Err(refusal) => refusal,
        }
    }

    fn retrieved(
        &self,
        ids: Option<Vec<Value>>,
        indexes: Option<Vec<Value>>,
        proposals: Option<Vec<Value>>,
    ) -> Result<Vec<usize>, Answer> {
        let mut found = Vec::new();
        for (place, id) in ids.into_iter().flatten().enumerate() {
            let id = id.as_str().unwrap_or_default().to_owned();
            let index = self
                .index_of(&id)
                .map_err(|why| why.answer(&format!("entryUUIDs.{place} in body")))?;
            found.extend(index);
        }
        let size = self.rekor1().entries.len();
        for (place, index) in indexes.into_iter().flatten().enumerate() {
            let Some(number) = index.as_i64() else {
                let kind = gojson::kind(&index);
                let reason = format!(
                    "json: cannot unmarshal {kind} into Go struct field .logIndexes of type int64"
                );
                return Err(unparsable("entry", &reason));
            };
            if number < 0 {
                return Err(invalid(
                    609,
                    &format!("logIndexes.{place} in body should be greater than or equal to 0"),
                ));
            }
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            found.extend((index < size).then_some(index));
        }
        for proposal in proposals.into_iter().flatten() {
            let proposed = entry::read(&proposal).map_err(|reason| match reason {
                // Its kind is known while the body is read, everything else later.
                Reason::Kind(_) => unparsable("entry", &reason.text()),
                _ => own(StatusCode::BAD_REQUEST, &reason.text()),
            })?;
            let mut order = EntryOrder::v1(0);
            order.body = proposed.hook();
            let body = order.body_of(proposed.kind, &proposed.logged);
            let hash = hex(&leaf(&body));
            found.extend(self.rekor1().by_leaf.get(&hash).copied());
        }
        Ok(found)
    }

    fn entries_answer(&self, found: &[usize]) -> Answer {
        let mut entries = Vec::new();
        for index in found {
            match self.entry_of_now(*index) {
                Ok((id, shown)) => {
                    entries.push(Value::Object(Map::from_iter([(id, shown)])));
                }
                Err(error) => {
                    return own(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
                }
            }
        }
        json_line(StatusCode::OK, &json!(entries))
    }

    /// `POST index/retrieve`
    fn search(&self, asked: &Asked<'_>) -> Answer {
        if let Some(refusal) = unsupported_type(asked) {
            return refusal;
        }
        let query = match gojson::plain(&asked.body) {
            Ok(query) => query.unwrap_or_default(),
            Err(reason) => return unparsable("query", &reason),
        };
        let keys = match entry::search_keys(&query) {
            Ok(keys) => keys,
            Err((400, message)) => {
                return own(StatusCode::BAD_REQUEST, &message);
            }
            Err((code, message)) => return invalid(code, &message),
        };
        let state = self.rekor1();
        let hits = |key: &String| state.by_key.get(key).cloned().unwrap_or_default();
        let any = query.get("operator").and_then(Value::as_str) == Some("or");
        let mut found: Option<Vec<usize>> = None;
        for key in &keys {
            let hits = hits(key);
            found = Some(match found {
                None => hits,
                Some(mut before) if any => {
                    before.extend(hits);
                    before
                }
                Some(before) => before
                    .into_iter()
                    .filter(|one| hits.contains(one))
                    .collect(),
            });
        }
        let mut found = found.unwrap_or_default();
        found.sort_unstable();
        found.dedup();
        let ids: Vec<_> = found
            .iter()
            .filter_map(|index| Some(self.entry_id(&hex(state.ledger.leaf(*index)?))))
            .collect();
        json_line(StatusCode::OK, &json!(ids))
    }

    /// `GET log`
    fn log_info(&self) -> Answer {
        let state = self.rekor1();
        let size = state.ledger.size();
        let root = state.ledger.root(size).unwrap_or_default();
        drop(state);
        let checkpoint = self.checkpoint(&self.mint.rekor1, size, &root);
        let body = json!({
            "inactiveShards": null,
            "rootHash": hex(&root),
            "signedTreeHead": checkpoint,
            "treeID": self.tree_id().to_string(),
            "treeSize": size,
        });
        json_line(StatusCode::OK, &body)
    }

    /// `GET log/proof?firstSize=&lastSize=`
    fn log_proof(&self, query: &str) -> Answer {
        let query = members(query);
        let number = |name: &str, default: Option<i64>| {
            let text = member(&query, name).unwrap_or_default();
            match (text.parse::<i64>(), default) {
                (Ok(number), _) if number >= 1 => Ok(number),
                (Ok(_), _) => Err(invalid(
                    609,
                    &format!("{name} in query should be greater than or equal to 1"),
                )),
                (Err(_), Some(default)) if text.is_empty() => Ok(default),
                (Err(_), None) if text.is_empty() => {
                    Err(invalid(602, &format!("{name} in query is required")))
                }
                (Err(_), _) => Err(invalid(
                    601,
                    &format!("{name} in query must be of type int64: {}", json!(text)),
                )),
            }
        };
        let (first, last) = match (number("firstSize", Some(1)), number("lastSize", None)) {
            (Ok(first), Ok(last)) => (first, last),
            (Err(refusal), _) | (_, Err(refusal)) => return refusal,
        };
        let bad = |message: &str| own(StatusCode::BAD_REQUEST, message);
        if first > last {
            return bad(&format!(
                "firstSize({first}) must be less than lastSize({last})"
            ));
        }
        if let Some(tree) = member(&query, "treeID")
            && tree != self.tree_id().to_string()
        {
            return bad(&format!("no log range found for tree ID {tree}"));
        }
        let state = self.rekor1();
        let size = state.ledger.size();
        let (from, to) = (
            usize::try_from(first).unwrap_or(usize::MAX),
            usize::try_from(last).unwrap_or(usize::MAX),
        );
        let Some(path) = state.ledger.consistency(from, to) else {
            return bad(&format!(
                "the tree size requested({last}) was greater than what is currently \
                 observable({size})"
            ));
        };
        let root = state.ledger.root(size).unwrap_or_default();
        let hashes: Vec<_> = path.iter().map(|hash| hex(hash)).collect();
        let body = json!({ "hashes": hashes, "rootHash": hex(&root) });
        json_line(StatusCode::OK, &body)
    }
}

/// The pattern of entry ids, as refusals name it.
const ID: &str = "^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$";

/// A text that is no entry id.
enum Malformed {
    Id,
    /// The tree that does not exist, over which the real log stumbles.
    Tree,
}

impl Malformed {
    fn answer(&self, place: &str) -> Answer {
        match self {
            Self::Id => invalid(605, &format!("{place} should match '{ID}'")),
            Self::Tree => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                own(
                    status,
                    "unexpected error communicating with transparency log",
                )
            }
        }
    }
}

/// Where an entry stands in the tree of this size.
pub(super) fn place(ledger: &Ledger, index: usize, size: usize) -> Option<Place> {
    Some(Place {
        index: i64::try_from(index).ok()?,
        size: i64::try_from(size).ok()?,
        root: ledger.root(size)?,
        path: ledger.inclusion(index, size)?,
    })
}

/// A refusal in Rekor's own words.
pub(super) fn own(status: StatusCode, message: &str) -> Answer {
    let body = json!({ "code": status.as_u16(), "message": message });
    json_line(status, &body)
}

/// A refusal of the framework's validation, whose code says more than its status.
pub(super) fn invalid(code: u16, message: &str) -> Answer {
    let body = json!({ "code": code, "message": message });
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Answer::json(status, "application/json", &body)
}

/// A path that is not there.
pub(super) fn not_found(path: &str) -> Answer {
    let message = format!("path {path} was not found");
    let body = json!({ "code": 404, "message": message });
    Answer::json(StatusCode::NOT_FOUND, "application/json", &body)
}

/// A method that a path does not have.
pub(super) fn wrong_method(method: &str, allowed: &str) -> Answer {
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    let body = json!({ "code": 405, "message": message });
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Answer::json(status, "application/json", &body).with(header::ALLOW, allowed)
}

fn unparsable(what: &str, reason: &str) -> Answer {
    let message = format!("parsing {what} body from \"\" failed, because {reason}");
    let body = json!({ "code": 400, "message": message });
    Answer::json(StatusCode::BAD_REQUEST, "application/json", &body)
}

/// The media type that a client wants, without parameters; nothing when it takes anything.
pub(super) fn accepted<'a>(asked: &'a Asked<'_>) -> Option<&'a str> {
    let accept = asked.headers.get(header::ACCEPT)?.to_str().ok()?;
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();
    Some(first).filter(|first| !matches!(*first, "" | "*/*"))
}

/// An answer that nobody asked for in this form goes out all the same, without its type.
fn produced(mut answer: Answer, asked: &Asked<'_>) -> Answer {
    let is_other = accepted(asked).is_some_and(|media_type| {
        !matches!(media_type, "application/json" | "application/x-pem-file")
    });
    if is_other && answer.status.is_success() {
        answer.set(header::CONTENT_TYPE, "");
    }
    answer
}

/// 415 unless the body is called JSON.
fn unsupported_type(asked: &Asked<'_>) -> Option<Answer> {
    let media_type = asked.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or("application/octet-stream");
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    if plain == "application/json" {
        return None;
    }
    let message = format!(
        "unsupported media type {}, only [application/json] are allowed",
        json!(plain)
    );
    let body = json!({ "code": 415, "message": message });
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(Answer::json(status, "application/json", &body))
}

fn json_line(status: StatusCode, body: &Value) -> Answer {
    Answer::body(status, "application/json", format!("{body}\n"))
}

/// The headers that keep proxies from storing an answer.
pub(super) fn uncached(answer: Answer) -> Answer {
    let no_cache = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";
    answer
        .with(header::CACHE_CONTROL, no_cache)
        .with(header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT")
        .with(header::PRAGMA, "no-cache")
        .with(HeaderName::from_static("x-accel-expires"), "0")
}
