//! Bodies of log entries, by kind: what Rekor keeps of a signature.

use serde_json::Value;
use serde_json::json;

use super::Envelope;
use super::HashKind;
use super::KeyKind;
use super::base64;
use super::hex;
use super::pem;

/// The kind and version of a log entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// `dsse` 0.0.1, Rekor v1.
    Dsse1,
    /// `dsse` 0.0.2: what some clients wrote to Rekor v2 before it refused them.
    Dsse2,
    /// `hashedrekord` 0.0.1, Rekor v1.
    HashedRekord1,
    /// `hashedrekord` 0.0.2, Rekor v2.
    HashedRekord2,
    /// `intoto` 0.0.1, Rekor v1: it keeps no signature.
    Intoto1,
    /// `intoto` 0.0.2, Rekor v1.
    Intoto2,
}

impl EntryKind {
    /// Name and version.
    #[must_use]
    pub const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Dsse1 => ("dsse", "0.0.1"),
            Self::Dsse2 => ("dsse", "0.0.2"),
            Self::HashedRekord1 => ("hashedrekord", "0.0.1"),
            Self::HashedRekord2 => ("hashedrekord", "0.0.2"),
            Self::Intoto1 => ("intoto", "0.0.1"),
            Self::Intoto2 => ("intoto", "0.0.2"),
        }
    }
}

/// Who signed, as the log keeps it.
#[derive(Clone, Debug)]
pub(super) enum Verifier {
    Certificate(Vec<u8>),
    PublicKey(Vec<u8>),
}

impl Verifier {
    /// Base64 of the PEM form.
    fn rekor1(&self) -> String {
        let text = match self {
            Self::Certificate(der) => pem("CERTIFICATE", der),
            Self::PublicKey(der) => pem("PUBLIC KEY", der),
        };
        base64(text.as_bytes())
    }

    fn rekor2(&self, kind: KeyKind) -> Value {
        let (member, der) = match self {
            Self::Certificate(der) => ("x509Certificate", der),
            Self::PublicKey(der) => ("publicKey", der),
        };
        json!({ "keyDetails": kind.details(), member: { "rawBytes": base64(der) } })
    }
}

/// What a body is made of.
#[derive(Clone, Debug)]
pub(super) struct Logged<'a> {
    /// What the signature is over: payload or pre-authentication encoding.
    pub(super) signed: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) envelope: Option<&'a Envelope>,
    pub(super) signatures: &'a [Vec<u8>],
    pub(super) verifier: &'a Verifier,
    pub(super) key: KeyKind,
}

impl Logged<'_> {
    pub(super) fn body(&self, kind: EntryKind) -> Value {
        let (name, version) = kind.name();
        let spec = match kind {
            EntryKind::Dsse1 => self.dsse1(),
            EntryKind::Dsse2 => self.dsse2(),
            EntryKind::HashedRekord1 => self.hashed_rekord1(),
            EntryKind::HashedRekord2 => self.hashed_rekord2(),
            EntryKind::Intoto1 => json!({
                "content": { "hash": self.envelope_hash(), "payloadHash": self.payload_hash() },
                "publicKey": self.verifier.rekor1(),
            }),
            EntryKind::Intoto2 => self.intoto2(),
        };
        json!({ "apiVersion": version, "kind": name, "spec": spec })
    }

    fn dsse1(&self) -> Value {
        let mut signatures: Vec<_> = self.signatures.iter().map(|s| base64(s)).collect();
        signatures.sort();
        let signatures: Vec<_> = signatures
            .into_iter()
            .map(|s| json!({ "signature": s, "verifier": self.verifier.rekor1() }))
            .collect();
        json!({
            "envelopeHash": self.envelope_hash(),
            "payloadHash": self.payload_hash(),
            "signatures": signatures,
        })
    }

    fn dsse2(&self) -> Value {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|s| json!({ "content": base64(s), "verifier": self.verifier.rekor2(self.key) }))
            .collect();
        let hash = base64(&HashKind::Sha256.of(self.payload));
        json!({ "dsseV002": {
            "payloadHash": { "algorithm": HashKind::Sha256.protobuf(), "digest": hash },
            "signatures": signatures,
        } })
    }

    fn hashed_rekord1(&self) -> Value {
        let hash = self.key.hash();
        json!({
            "data": { "hash": {
                "algorithm": hash.rekor1(),
                "value": hex(&hash.of(self.signed)),
            } },
            "signature": {
                "content": self.first_signature(),
                "publicKey": { "content": self.verifier.rekor1() },
            },
        })
    }

    fn hashed_rekord2(&self) -> Value {
        let hash = self.key.hash();
        json!({ "hashedRekordV002": {
            "data": {
                "algorithm": hash.protobuf(),
                "digest": base64(&hash.of(self.signed)),
            },
            "signature": {
                "content": self.first_signature(),
                "verifier": self.verifier.rekor2(self.key),
            },
        } })
    }

    fn intoto2(&self) -> Value {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            // Rekor stores the base64 text of the signature, encoded once more.
            .map(|s| {
                json!({
                    "publicKey": self.verifier.rekor1(),
                    "sig": base64(base64(s).as_bytes()),
                })
            })
            .collect();
        let payload_type = self.envelope.map_or("", |e| &e.payload_type);
        json!({ "content": {
            "envelope": { "payloadType": payload_type, "signatures": signatures },
            "hash": self.envelope_hash(),
            "payloadHash": self.payload_hash(),
        } })
    }

    fn first_signature(&self) -> String {
        base64(self.signatures.first().map_or(&[], Vec::as_slice))
    }

    fn envelope_hash(&self) -> Value {
        sha256(&self.envelope.map(Envelope::bytes).unwrap_or_default())
    }

    fn payload_hash(&self) -> Value {
        sha256(self.payload)
    }
}

fn sha256(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": hex(&HashKind::Sha256.of(bytes)) })
}
