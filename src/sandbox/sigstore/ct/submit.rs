//! Chains that are handed in (RFC 6962, sections 4.1 and 4.2).
//!
//! The log takes code signing certificates that chain to the root of the sandbox's own Fulcio.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::super::fulcio::hash_of_signature;
use super::super::gojson;
use super::super::verifier::PublicKey;
use super::POISON;
use super::World;
use super::bad;
use super::failed;
use super::illegal_base64;
use super::ok;
use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::base64;
use crate::sandbox::mint::der;
use crate::sandbox::mint::prefixed;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;

/// What is handed in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Submission {
    Certificate,
    Precertificate,
}

/// What the log calls itself in refusals: prefix and tree.
const NAME: &str = "ct{0}";

impl World {
    /// `add-chain` and `add-pre-chain`
    pub(super) fn submit(
        &self,
        asked: &Asked<'_>,
        submission: Submission,
    ) -> Result<Answer, Answer> {
        let chain = chain_of(&asked.body)
            .map_err(|reason| bad(&format!("{NAME}: failed to parse add-chain body: {reason}")))?;
        let contents =
            |reason: String| bad(&format!("failed to verify add-chain contents: {reason}"));
        let issuer = self
            .issuer_of(&chain)
            .map_err(|reason| contents(format!("chain failed to verify: {reason}")))?;
        let leaf = chain.first().ok_or_else(failed)?;
        let stripped = without_poison(leaf).ok_or_else(failed)?;
        let is_precertificate = stripped.is_some();
        if is_precertificate != (submission == Submission::Precertificate) {
            return Err(contents("cert / precert mismatch: bool".to_owned()));
        }
        let entry = match &stripped {
            None => [vec![0, 0], prefixed(3, leaf)].concat(),
            Some(tbs) => {
                let key = HashKind::Sha256.of(&issuer);
                [vec![0, 1], key, prefixed(3, tbs)].concat()
            }
        };
        let above: Vec<u8> = chain
            .iter()
            .skip(1)
            .flat_map(|one| prefixed(3, one))
            .collect();
        let extra = match submission {
            Submission::Certificate => prefixed(3, &above),
            Submission::Precertificate => [prefixed(3, leaf), prefixed(3, &above)].concat(),
        };
        self.logged(&entry, &extra)
    }

    /// Logs an entry unless it is there, and promises it.
    fn logged(&self, entry: &[u8], extra: &[u8]) -> Result<Answer, Answer> {
        let now = self.milliseconds();
        let mut state = self.ct();
        // Version, leaf type and time come first; the extensions, which are none, last.
        let is_it = |leaf: &Vec<u8>| leaf.get(10..leaf.len().saturating_sub(2)) == Some(entry);
        let known = state
            .entries
            .iter()
            .map(|(leaf, _)| leaf)
            .find(|leaf| is_it(leaf));
        let leaf = match known {
            Some(leaf) => leaf.clone(),
            None => {
                let time = now.to_be_bytes();
                let leaf = [&[0, 0], time.as_slice(), entry, &[0, 0]].concat();
                self.keep_ct(&leaf, extra).map_err(|_| failed())?;
                state.append(leaf.clone(), extra.to_vec());
                leaf
            }
        };
        drop(state);
        let time = leaf.get(2..10).and_then(|time| time.try_into().ok());
        // What is signed has the bytes of the leaf (sections 3.2 and 3.4).
        let signature = self.mint.ct.key.sign(&leaf).map_err(|_| failed())?;
        let signature = [vec![4, 3], prefixed(2, &signature)].concat();
        Ok(ok(&json!({
            "sct_version": 0,
            "id": base64(&self.mint.ct.id),
            "timestamp": u64::from_be_bytes(time.unwrap_or_default()),
            "extensions": "",
            "signature": base64(&signature),
        })))
    }

    /// The public key of whoever issued the first certificate of a chain that ends at Fulcio's root.
    fn issuer_of(&self, chain: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let root = &self.mint.fulcio.root.certificate;
        let mut parsed = Vec::new();
        for der in chain {
            let (rest, one) = X509Certificate::from_der(der)
                .map_err(|_| "asn1: structure error: no certificate".to_owned())?;
            if !rest.is_empty() {
                return Err("x509: trailing data".to_owned());
            }
            parsed.push(one);
        }
        let usage = parsed
            .first()
            .and_then(|leaf| leaf.extended_key_usage().ok().flatten());
        if !usage.is_some_and(|usage| usage.value.code_signing) {
            return Err("rejecting certificate without EKU in [3]".to_owned());
        }
        let unknown = || "x509: certificate signed by unknown authority".to_owned();
        if chain.last() != Some(root) {
            let (_, root) = X509Certificate::from_der(root).map_err(|_| unknown())?;
            parsed.push(root);
        }
        for pair in parsed.windows(2) {
            let [below, above] = pair else { continue };
            let is_authority = above.is_ca();
            let hash = hash_of_signature(&below.signature_algorithm.algorithm.to_id_string());
            let key = PublicKey::from_spki(above.public_key().raw).ok();
            let holds = hash.zip(key).is_some_and(|(hash, key)| {
                let tbs = hash.of(below.tbs_certificate.as_ref());
                key.signed_hash(hash, &tbs, &below.signature_value.data)
            });
            if !holds || !is_authority {
                return Err(unknown());
            }
        }
        let issuer = parsed.get(1).ok_or_else(unknown)?;
        Ok(issuer.public_key().raw.to_vec())
    }
}

/// The chain of a request, or what Go says of its body.
fn chain_of(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let end = "unexpected end of JSON input";
    let value = gojson::plain(body).map_err(|reason| match reason.as_str() {
        "unexpected EOF" => end.to_owned(),
        _ => reason,
    })?;
    let mismatch = |value: &Value, place: &str| {
        let kind = gojson::kind(value);
        format!("json: cannot unmarshal {kind} into Go {place}")
    };
    let chain = match value.ok_or(end)? {
        Value::Null => None,
        Value::Object(mut members) => members.remove("chain"),
        other => return Err(mismatch(&other, "value of type ct.AddChainRequest")),
    };
    let field = "struct field AddChainRequest.chain of type";
    let chain = match chain.unwrap_or_default() {
        Value::Null => Vec::new(),
        Value::Array(chain) => chain,
        other => return Err(mismatch(&other, &format!("{field} [][]uint8"))),
    };
    if chain.is_empty() {
        return Err("cert chain was empty".to_owned());
    }
    let decode = |one: &Value| match one {
        Value::String(text) => STANDARD.decode(text).map_err(|_| illegal_base64(text)),
        other => Err(mismatch(other, &format!("{field} []uint8"))),
    };
    chain.iter().map(decode).collect()
}

/// The `TBSCertificate` of a precertificate without its poison; nothing when it is no
/// precertificate. The outer nothing is for bytes that are no certificate.
fn without_poison(certificate: &[u8]) -> Option<Option<Vec<u8>>> {
    let (_, whole) = Any::from_der(certificate).ok()?;
    let (_, tbs) = Any::from_der(whole.data).ok()?;
    let mut fields = elements(tbs.data)?;
    let last = fields.pop()?;
    let (_, last) = Any::from_der(&last).ok()?;
    let (_, list) = Any::from_der(last.data).ok()?;
    let poison = der::oid(POISON);
    let (poisons, others): (Vec<_>, Vec<_>) = elements(list.data)?.into_iter().partition(|one| {
        Any::from_der(one).is_ok_and(|(_, extension)| extension.data.starts_with(&poison))
    });
    if poisons.is_empty() {
        return Some(None);
    }
    let extensions = der::explicit(3, &der::sequence(&others));
    fields.push(extensions);
    Some(Some(der::sequence(&fields)))
}

/// The encoded elements that follow each other.
fn elements(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (rest, _) = Any::from_der(bytes).ok()?;
        found.push(bytes.get(..bytes.len() - rest.len())?.to_vec());
        bytes = rest;
    }
    Some(found)
}
