//! Entries that clients propose to Rekor v1: read, and their signatures verified.
//!
//! What a log takes is what its readers can rely on, so nothing enters whose signature does not
//! hold. The words of each refusal are Rekor's, measured.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use axum::http::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::ct::illegal_base64;
use super::gojson;
use super::rekor1::invalid;
use super::rekor1::own;
use super::verifier;
use super::verifier::PublicKey;
use crate::sandbox::mint::EntryKind;
use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::Hook;
use crate::sandbox::mint::Logged;
use crate::sandbox::mint::Verifier;
use crate::sandbox::mint::base64;
use crate::sandbox::mint::hex;
use crate::sandbox::mint::pae;
use crate::sandbox::mint::pem;
use crate::sandbox::server::Answer;

/// An entry whose signature holds.
#[derive(Clone, Debug)]
pub(super) struct Proposed {
    pub(super) kind: EntryKind,
    pub(super) logged: Logged,
    /// What it can be found by.
    pub(super) keys: Vec<String>,
    /// What the log keeps as it was sent: JSON pointers into the body, and values.
    as_sent: Vec<(&'static str, String)>,
}

impl Proposed {
    /// Puts what was sent into the body.
    pub(super) fn hook(&self) -> Hook<Value> {
        let as_sent = self.as_sent.clone();
        Hook::new(move |body: &mut Value| {
            for (pointer, text) in &as_sent {
                if let Some(value) = body.pointer_mut(pointer) {
                    *value = json!(text);
                }
            }
        })
    }
}

/// Why an entry is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    /// Its content is wrong.
    Entry(String),
    /// Its kind is not known.
    Kind(String),
    /// The framework's validation refuses it.
    Missing(&'static str),
    /// It has no hash, over which the real log stumbles.
    NoHash,
}

impl Reason {
    fn entry(text: &str) -> Self {
        Self::Entry(text.to_owned())
    }

    /// The words alone.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Entry(text) => text.clone(),
            Self::Kind(kind) => format!("invalid kind value: {}", json!(kind)),
            Self::Missing(member) => format!("{member} in body is required"),
            Self::NoHash => "error generating canonicalized entry".to_owned(),
        }
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Entry(text) => {
                let message = format!("error processing entry: {text}");
                own(StatusCode::BAD_REQUEST, &message)
            }
            Self::Kind(_) => invalid(422, &self.text()),
            Self::Missing(_) => invalid(602, &self.text()),
            Self::NoHash => own(StatusCode::INTERNAL_SERVER_ERROR, &self.text()),
        }
    }
}

/// Reads the body of a proposal.
pub(super) fn parse(body: &[u8]) -> Result<Proposed, Answer> {
    if body.is_empty() {
        return Err(invalid(602, "proposedEntry in body is required"));
    }
    let unreadable = |reason: String| {
        let body = json!({ "code": 500, "message": reason });
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Answer::json(status, "application/json", &body)
    };
    let value = gojson::plain(body).map_err(unreadable)?.unwrap_or_default();
    if !matches!(value, Value::Object(_) | Value::Null) {
        let kind = gojson::kind(&value);
        return Err(unreadable(format!(
            "json: cannot unmarshal {kind} into Go value of type models.targetedProposedEntry"
        )));
    }
    read(&value).map_err(|reason| reason.answer())
}

/// Reads a proposal and verifies its signature.
pub(super) fn read(value: &Value) -> Result<Proposed, Reason> {
    let text = |name: &'static str| {
        let text = value.get(name).and_then(Value::as_str);
        text.ok_or(Reason::Missing(name))
    };
    let kind = text("kind")?;
    if !matches!(kind, "hashedrekord" | "dsse" | "intoto") {
        return Err(Reason::Kind(kind.to_owned()));
    }
    let version = text("apiVersion")?;
    let spec = value.get("spec").ok_or(Reason::Missing("spec"))?;
    match (kind, version) {
        ("hashedrekord", "0.0.1") => hashed_rekord(spec),
        ("dsse", "0.0.1") => dsse(spec),
        ("intoto", "0.0.1") => intoto1(spec),
        ("intoto", "0.0.2") => intoto2(spec),
        _ => Err(Reason::Entry(format!(
            "{kind} implementation for version '{version}' not found: unable to locate entry for \
             version {version}"
        ))),
    }
}

/// A string somewhere below a value.
fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn validation(text: &str) -> Reason {
    Reason::Entry(format!("validation failure list:\n{text}"))
}

fn hashed_rekord(spec: &Value) -> Result<Proposed, Reason> {
    let mut failures = Vec::new();
    let algorithm = at(spec, "/data/hash/algorithm").unwrap_or_default();
    let hash = match algorithm {
        "sha256" => Some(HashKind::Sha256),
        "sha384" => Some(HashKind::Sha384),
        "sha512" => Some(HashKind::Sha512),
        _ => None,
    };
    if spec.pointer("/data/hash").is_none() {
        failures.push("data in body is required");
    } else if hash.is_none() {
        failures.push(
            "data.data.hash.data.hash.algorithm in body should be one of [sha256 sha384 sha512]",
        );
    }
    if spec.get("signature").is_none() {
        failures.push("signature in body is required");
    }
    let Some(hash) = hash.filter(|_| failures.is_empty()) else {
        return Err(validation(&failures.join("\n")));
    };
    let sent = at(spec, "/data/hash/value").unwrap_or_default();
    let value = unhex(sent)?;
    if value.len() != hash.of(&[]).len() {
        return Err(Reason::entry("invalid value for hash"));
    }
    let signature = decode(
        at(spec, "/signature/content").unwrap_or_default(),
        "signature content",
    )?;
    if signature.is_empty() {
        return Err(Reason::entry(
            "verifying signature: X509 signature has not been initialized",
        ));
    }
    let pem = at(spec, "/signature/publicKey/content").unwrap_or_default();
    if pem.is_empty() {
        return Err(Reason::entry("missing public key"));
    }
    let pem = decode(pem, "public key content")?;
    let (by, key) = named(&pem, "")?;
    if !key.signed_hash(hash, &value, &signature) {
        return Err(Reason::entry(
            "verifying signature: invalid signature when validating ASN.1 encoded signature",
        ));
    }
    let mut keys = search_of(&by, &key);
    keys.push(format!("{}:{}", hash.rekor1(), hex(&value)));
    let mut as_sent = vec![("/spec/data/hash/value", sent.to_owned())];
    if let Some(chain) = chain(&pem) {
        as_sent.push(("/spec/signature/publicKey/content", chain));
    }
    Ok(Proposed {
        as_sent,
        kind: EntryKind::HashedRekord1,
        logged: Logged {
            signed: (hash, value),
            payload_hash: Vec::new(),
            envelope_hash: Vec::new(),
            payload_type: String::new(),
            signatures: vec![(signature, by)],
            details: "",
        },
        keys,
    })
}

/// An envelope as the entries need it.
struct Opened {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

fn open(envelope: &Value) -> Result<Opened, Reason> {
    let text = |name| at(envelope, name).unwrap_or_default();
    let signatures = envelope.get("signatures").and_then(Value::as_array);
    let signatures: Vec<_> = signatures
        .into_iter()
        .flatten()
        .map(|one| decode(at(one, "/sig").unwrap_or_default(), "signature"))
        .collect::<Result<_, _>>()?;
    if signatures.is_empty() {
        return Err(Reason::entry(
            "DSSE envelope must contain 1 or more signatures",
        ));
    }
    Ok(Opened {
        payload_type: text("/payloadType").to_owned(),
        payload: decode(text("/payload"), "payload")?,
        signatures,
    })
}

impl Opened {
    /// Each signature with the verifier that it holds by.
    fn verified(
        self,
        kind: EntryKind,
        envelope_hash: Vec<u8>,
        verifiers: &[(Verifier, PublicKey)],
    ) -> Result<Proposed, Reason> {
        let message = pae(&self.payload_type, &self.payload);
        let mut signatures = Vec::new();
        let mut keys = Vec::new();
        for signature in self.signatures {
            let by = verifiers
                .iter()
                .find(|(_, key)| key.signed(&message, &signature));
            let Some((by, key)) = by else { continue };
            keys.extend(search_of(by, key));
            signatures.push((signature, by.clone()));
        }
        if signatures.is_empty() {
            return Err(Reason::entry(
                "could not verify envelope: accepted signatures do not match threshold, Found: 0, \
                 Expected 1",
            ));
        }
        let payload_hash = HashKind::Sha256.of(&self.payload);
        keys.push(format!("sha256:{}", hex(&payload_hash)));
        keys.push(format!("sha256:{}", hex(&envelope_hash)));
        keys.extend(subjects(&self.payload));
        Ok(Proposed {
            as_sent: Vec::new(),
            kind,
            logged: Logged {
                signed: (HashKind::Sha256, HashKind::Sha256.of(&message)),
                payload_hash,
                envelope_hash,
                payload_type: self.payload_type,
                signatures,
                details: "",
            },
            keys,
        })
    }
}

/// The digests of a statement's subjects: an attestation is found by what it is about.
fn subjects(payload: &[u8]) -> Vec<String> {
    let statement: Value = serde_json::from_slice(payload).unwrap_or_default();
    let subjects = statement.get("subject").and_then(Value::as_array);
    subjects
        .into_iter()
        .flatten()
        .filter_map(|subject| at(subject, "/digest/sha256"))
        .map(|digest| format!("sha256:{}", digest.to_ascii_lowercase()))
        .collect()
}

fn dsse(spec: &Value) -> Result<Proposed, Reason> {
    let Some(proposed) = spec.get("proposedContent") else {
        return Err(Reason::entry(
            "either proposedContent or envelopeHash, payloadHash, and signatures must be present",
        ));
    };
    let verifiers = proposed.get("verifiers").and_then(Value::as_array);
    let verifiers = verifiers.filter(|list| !list.is_empty()).ok_or_else(|| {
        validation("proposedContent.proposedContent.verifiers in body should have at least 1 items")
    })?;
    let envelope = at(proposed, "/envelope").unwrap_or_default();
    let value = unmarshalled(envelope)?;
    let opened = open(&value)?;
    let mut named_verifiers = Vec::new();
    for text in verifiers {
        let pem = decode(text.as_str().unwrap_or_default(), "verifier")?;
        named_verifiers.push(named(&pem, "could not parse public key as x509: ")?);
    }
    let count = opened.signatures.len();
    let hash = HashKind::Sha256.of(envelope.as_bytes());
    let proposed = opened.verified(EntryKind::Dsse1, hash, &named_verifiers)?;
    if proposed.logged.signatures.len() < count {
        return Err(Reason::entry(
            "all signatures must have a key that verifies it",
        ));
    }
    Ok(proposed)
}

fn intoto1(spec: &Value) -> Result<Proposed, Reason> {
    let pem = at(spec, "/publicKey").unwrap_or_default();
    if pem.is_empty() {
        return Err(validation("publicKey in body is required"));
    }
    let envelope = at(spec, "/content/envelope").unwrap_or_default();
    let value = unmarshalled(envelope)?;
    let verifiers = [named(&decode(pem, "public key")?, "")?];
    let hash = HashKind::Sha256.of(envelope.as_bytes());
    open(&value)?.verified(EntryKind::Intoto1, hash, &verifiers)
}

/// The newer form: payload and signatures are base64 of base64, and the hash is the client's.
fn intoto2(spec: &Value) -> Result<Proposed, Reason> {
    let envelope = spec
        .pointer("/content/envelope")
        .ok_or_else(|| validation("content.content.envelope in body is required"))?;
    let twice = |text: &str, what| -> Result<Vec<u8>, Reason> {
        let inner = decode(text, what)?;
        decode(&String::from_utf8_lossy(&inner), what)
    };
    let listed = envelope.get("signatures").and_then(Value::as_array);
    let mut signatures = Vec::new();
    let mut verifiers = Vec::new();
    for one in listed.into_iter().flatten() {
        signatures.push(twice(at(one, "/sig").unwrap_or_default(), "signature")?);
        let pem = decode(at(one, "/publicKey").unwrap_or_default(), "public key")?;
        verifiers.push(named(&pem, "")?);
    }
    if signatures.is_empty() {
        return Err(Reason::entry(
            "DSSE envelope must contain 1 or more signatures",
        ));
    }
    let stated = at(spec, "/content/hash/value");
    let hash = unhex(stated.unwrap_or_default())?;
    let opened = Opened {
        payload_type: at(envelope, "/payloadType").unwrap_or_default().to_owned(),
        payload: twice(at(envelope, "/payload").unwrap_or_default(), "payload")?,
        signatures,
    };
    let proposed = opened.verified(EntryKind::Intoto2, hash, &verifiers)?;
    stated.map(|_| proposed).ok_or(Reason::NoHash)
}

/// The JSON of an envelope.
fn unmarshalled(text: &str) -> Result<Value, Reason> {
    let end = || "unexpected end of JSON input".to_owned();
    let value = gojson::plain(text.as_bytes()).map_err(|reason| match reason.as_str() {
        "unexpected EOF" => Reason::Entry(end()),
        _ => Reason::Entry(reason),
    })?;
    value.ok_or_else(|| Reason::Entry(end()))
}

/// Several certificates as the log keeps them: base64 of their PEM, written anew.
fn chain(text: &[u8]) -> Option<String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .ok()?;
    let pem: String = certificates
        .iter()
        .map(|der| pem("CERTIFICATE", der))
        .collect();
    (certificates.len() > 1).then(|| base64(pem.as_bytes()))
}

/// A verifier in PEM. `before` stands before the reason when it is none.
fn named(pem: &[u8], before: &str) -> Result<(Verifier, PublicKey), Reason> {
    verifier::verifier(pem)
        .ok_or_else(|| Reason::Entry(format!("{before}invalid public key: failure decoding PEM")))
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| {
        let reason = illegal_base64(text);
        Reason::Entry(format!("failed parsing base64 data for {what}: {reason}"))
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, Reason> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    if let Some(odd) = text.chars().find(|one| !one.is_ascii_hexdigit()) {
        let code = u32::from(odd);
        return Err(Reason::Entry(format!(
            "encoding/hex: invalid byte: U+{code:04X} '{odd}'"
        )));
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| Reason::entry("encoding/hex: odd length hex string"))
}

/// What an entry can be found by: the hash of its key, and the addresses of its certificate.
fn search_of(by: &Verifier, key: &PublicKey) -> Vec<String> {
    let mut keys = vec![key_hash(&key.spki)];
    if let Verifier::Certificate(der) = by {
        keys.push(key_hash(der));
        if let Ok((_, certificate)) = X509Certificate::from_der(der)
            && let Ok(Some(names)) = certificate.subject_alternative_name()
        {
            for name in &names.value.general_names {
                if let GeneralName::RFC822Name(address) = name {
                    keys.push(format!("email:{}", address.to_ascii_lowercase()));
                }
            }
        }
    }
    keys
}

fn key_hash(der: &[u8]) -> String {
    format!("key:{}", hex(&HashKind::Sha256.of(der)))
}

/// About what Go's `net/mail` takes for an address.
fn is_address(text: &str) -> bool {
    let bare = match text.trim_end().strip_suffix('>') {
        Some(named) => named.rsplit_once('<').map(|(_, bare)| bare),
        None => Some(text.trim()),
    };
    let is_part = |part: &str| {
        let is_odd = |one: char| one.is_whitespace() || "<>()[],;:@\\\"".contains(one);
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.contains(is_odd)
    };
    bare.and_then(|bare| bare.split_once('@'))
        .is_some_and(|(name, host)| is_part(name) && is_part(host))
}

/// What a search asks for, or the code and words of its refusal.
pub(super) fn search_keys(query: &Value) -> Result<Vec<String>, (u16, String)> {
    let mut keys = Vec::new();
    if let Some(operator) = at(query, "/operator")
        && !matches!(operator, "and" | "or")
    {
        let message = "operator in body should be one of [and or]";
        return Err((606, message.to_owned()));
    }
    if let Some(hash) = at(query, "/hash").filter(|hash| !hash.is_empty()) {
        let (name, value) = hash.split_once(':').unwrap_or(("", hash));
        let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = match (name, value.len()) {
            ("" | "sha1", 40) => "sha1",
            ("" | "sha256", 64) => "sha256",
            ("" | "sha512", 128) => "sha512",
            _ => "",
        };
        if name.is_empty() || !is_hex {
            let message = "hash in body should match '^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?\
                           [0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$'";
            return Err((605, message.to_owned()));
        }
        keys.push(format!("{name}:{}", value.to_ascii_lowercase()));
    }
    if let Some(address) = at(query, "/email").filter(|address| !address.is_empty()) {
        if !is_address(address) {
            let message = format!("email in body must be of type email: {}", json!(address));
            return Err((601, message));
        }
        keys.push(format!("email:{}", address.to_ascii_lowercase()));
    }
    if let Some(key) = query.get("publicKey").filter(|key| !key.is_null()) {
        let formats = ["pgp", "x509", "minisign", "ssh", "tuf"];
        let format = at(key, "/format").unwrap_or_default();
        if !formats.contains(&format) {
            let message = "publicKey.publicKey.format in body should be one of [pgp x509 minisign \
                           ssh tuf]";
            return Err((606, message.to_owned()));
        }
        let content = at(key, "/content").and_then(|text| STANDARD.decode(text).ok());
        let found = content.and_then(|pem| verifier::verifier(&pem));
        let Some((by, key)) = found.filter(|_| format == "x509") else {
            let message = "public key provided could not be parsed";
            return Err((400, message.to_owned()));
        };
        keys.push(match by {
            Verifier::Certificate(der) => key_hash(&der),
            Verifier::PublicKey(_) => key_hash(&key.spki),
        });
    }
    Ok(keys)
}
