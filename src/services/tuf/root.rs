//! What a version of the root role must be, beyond what the TUF library demands.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;

/// Refuses what is not strict JSON, and a root that lists one key under two ids: its signatures
/// would count twice (CVE-2020-6174 and its kin).
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let root: Envelope = crate::model::read_json(bytes).map_err(|error| error.to_string())?;
    let mut seen = BTreeSet::new();
    let mut publics = root
        .signed
        .keys
        .values()
        .map(|key| key.keyval.public.trim());
    if publics.all(|public| seen.insert(public)) {
        Ok(())
    } else {
        Err("it lists one key under two ids".to_owned())
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a root")]
struct Envelope {
    signed: Signed,
}

#[derive(Deserialize)]
#[serde(expecting = "the signed part of a root")]
struct Signed {
    keys: BTreeMap<String, Key>,
}

#[derive(Deserialize)]
#[serde(expecting = "a key")]
struct Key {
    keyval: Value,
}

#[derive(Deserialize)]
#[serde(expecting = "the value of a key")]
struct Value {
    public: String,
}
