//! Bodies of log entries, by kind: what Rekor keeps of a signature.

use serde_json::Value;
use serde_json::json;

use super::HashKind;
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
pub(in crate::sandbox) enum Verifier {
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

    fn rekor2(&self, details: &str) -> Value {
        let (member, der) = match self {
            Self::Certificate(der) => ("x509Certificate", der),
            Self::PublicKey(der) => ("publicKey", der),
        };
        json!({ "keyDetails": details, member: { "rawBytes": base64(der) } })
    }
}

/// What a body is made of.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Logged {
    /// The hash of what the signature is over: payload or pre-authentication encoding.
    pub(in crate::sandbox) signed: (HashKind, Vec<u8>),
    /// SHA-256 of the payload.
    pub(in crate::sandbox) payload_hash: Vec<u8>,
    /// SHA-256 of the envelope's JSON.
    pub(in crate::sandbox) envelope_hash: Vec<u8>,
    pub(in crate::sandbox) payload_type: String,
    pub(in crate::sandbox) signatures: Vec<(Vec<u8>, Verifier)>,
    /// The `keyDetails` of Rekor v2.
    pub(in crate::sandbox) details: &'static str,
}

impl Logged {
    pub(in crate::sandbox) fn body(&self, kind: EntryKind) -> Value {
        let (name, version) = kind.name();
        let spec = match kind {
            EntryKind::Dsse1 => self.dsse1(),
            EntryKind::Dsse2 => self.dsse2(),
            EntryKind::HashedRekord1 => self.hashed_rekord1(),
            EntryKind::HashedRekord2 => self.hashed_rekord2(),
            EntryKind::Intoto1 => json!({
                "content": {
                    "hash": sha256(&self.envelope_hash),
                    "payloadHash": sha256(&self.payload_hash),
                },
                "publicKey": self.verifier().map(Verifier::rekor1).unwrap_or_default(),
            }),
            EntryKind::Intoto2 => self.intoto2(),
        };
        json!({ "apiVersion": version, "kind": name, "spec": spec })
    }

    fn verifier(&self) -> Option<&Verifier> {
        self.signatures.first().map(|(_, verifier)| verifier)
    }

    fn dsse1(&self) -> Value {
        let mut signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|(signature, verifier)| (base64(signature), verifier.rekor1()))
            .collect();
        signatures.sort();
        let signatures: Vec<_> = signatures
            .into_iter()
            .map(|(signature, verifier)| json!({ "signature": signature, "verifier": verifier }))
            .collect();
        json!({
            "envelopeHash": sha256(&self.envelope_hash),
            "payloadHash": sha256(&self.payload_hash),
            "signatures": signatures,
        })
    }

    fn dsse2(&self) -> Value {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|(signature, verifier)| {
                json!({
                    "content": base64(signature),
                    "verifier": verifier.rekor2(self.details),
                })
            })
            .collect();
        json!({ "dsseV002": {
            "payloadHash": {
                "algorithm": HashKind::Sha256.protobuf(),
                "digest": base64(&self.payload_hash),
            },
            "signatures": signatures,
        } })
    }

    fn hashed_rekord1(&self) -> Value {
        let (kind, value) = &self.signed;
        let verifier = self.verifier().map(Verifier::rekor1).unwrap_or_default();
        json!({
            "data": { "hash": { "algorithm": kind.rekor1(), "value": hex(value) } },
            "signature": {
                "content": self.first_signature(),
                "publicKey": { "content": verifier },
            },
        })
    }

    fn hashed_rekord2(&self) -> Value {
        let (kind, value) = &self.signed;
        json!({ "hashedRekordV002": {
            "data": { "algorithm": kind.protobuf(), "digest": base64(value) },
            "signature": {
                "content": self.first_signature(),
                "verifier": self.verifier().map(|verifier| verifier.rekor2(self.details)),
            },
        } })
    }

    fn intoto2(&self) -> Value {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            // Rekor stores the base64 text of the signature, encoded once more.
            .map(|(signature, verifier)| {
                json!({
                    "publicKey": verifier.rekor1(),
                    "sig": base64(base64(signature).as_bytes()),
                })
            })
            .collect();
        json!({ "content": {
            "envelope": { "payloadType": self.payload_type, "signatures": signatures },
            "hash": sha256(&self.envelope_hash),
            "payloadHash": sha256(&self.payload_hash),
        } })
    }

    fn first_signature(&self) -> String {
        let first = self.signatures.first();
        base64(first.map_or(&[], |(signature, _)| signature.as_slice()))
    }
}

fn sha256(value: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": hex(value) })
}
