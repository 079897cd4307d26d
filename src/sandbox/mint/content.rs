//! What is signed: a statement in a DSSE envelope, a simple-signing document, or plain bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::base64;
use super::json_bytes;
use crate::model::Digest;
use crate::model::media_type;

/// The predicate type of cosign's image signatures.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// What is signed. The text is signed as it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// Bytes under a bare signature: what `sign-blob` makes.
    Message(Vec<u8>),
    /// A simple-signing document: the payload of the legacy layout.
    SimpleSigning(String),
    /// An in-toto statement, to be put into a DSSE envelope.
    Statement(String),
}

impl Content {
    /// The statement of an image signature, to the letter of cosign 3.1.
    #[must_use]
    pub fn image(digest: Digest) -> Self {
        Self::image_with(digest, &BTreeMap::new())
    }

    /// The statement of an image signature with annotations (`-a`).
    #[must_use]
    pub fn image_with(digest: Digest, annotations: &BTreeMap<String, String>) -> Self {
        let annotations = json!(annotations);
        Self::Statement(format!(
            concat!(
                r#"{{"_type":"https://in-toto.io/Statement/v1","#,
                r#""subject":[{{"digest":{{"{}":"{}"}},"annotations":{}}}],"#,
                r#""predicateType":"{}","predicate":{{}}}}"#
            ),
            digest.algorithm().name(),
            digest.hex(),
            annotations,
            COSIGN_SIGN,
        ))
    }

    /// The statement of an attestation, in the member order of cosign 2 and 3.
    #[must_use]
    pub fn attestation(
        name: &str,
        digest: Digest,
        predicate_type: &str,
        predicate: &Value,
    ) -> Self {
        Self::Statement(format!(
            concat!(
                r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":{},"#,
                r#""subject":[{{"name":{},"digest":{{"{}":"{}"}}}}],"predicate":{}}}"#
            ),
            json!(predicate_type),
            json!(name),
            digest.algorithm().name(),
            digest.hex(),
            predicate,
        ))
    }

    /// The simple-signing document of an image; `annotations` are the `-a` pairs.
    #[must_use]
    pub fn simple_signing(
        docker_reference: &str,
        digest: Digest,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let optional = match annotations.is_empty() {
            true => Value::Null,
            false => json!(annotations),
        };
        Self::SimpleSigning(format!(
            concat!(
                r#"{{"critical":{{"identity":{{"docker-reference":{}}},"#,
                r#""image":{{"docker-manifest-digest":"{}"}},"#,
                r#""type":"cosign container image signature"}},"optional":{}}}"#
            ),
            json!(docker_reference),
            digest,
            optional,
        ))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Message(bytes) => bytes,
            Self::SimpleSigning(text) | Self::Statement(text) => text.as_bytes(),
        }
    }
}

/// The envelope around a statement, and how it is signed.
#[derive(Clone, Debug)]
pub struct EnvelopeOrder {
    /// The payload type, which is signed.
    pub payload_type: String,
    /// How many signatures there are, all valid and by the same key.
    pub signatures: usize,
    /// The key id of each signature.
    pub keyid: Option<String>,
}

impl Default for EnvelopeOrder {
    fn default() -> Self {
        Self {
            payload_type: media_type::IN_TOTO.to_owned(),
            signatures: 1,
            keyid: None,
        }
    }
}

/// A DSSE envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// The payload.
    pub payload: Vec<u8>,
    /// The payload type.
    pub payload_type: String,
    /// The signatures: key id and bytes.
    pub signatures: Vec<(Option<String>, Vec<u8>)>,
}

impl Envelope {
    /// The JSON of the legacy layout, which is also what Rekor v1 hashes: cosign 2's member order.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Signature {
            keyid: String,
            sig: String,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            payload_type: &'a str,
            payload: String,
            signatures: Vec<Signature>,
        }
        let signatures = self.signatures.iter().map(|(keyid, sig)| Signature {
            keyid: keyid.clone().unwrap_or_default(),
            sig: base64(sig),
        });
        json_bytes(&Json {
            payload_type: &self.payload_type,
            payload: base64(&self.payload),
            signatures: signatures.collect(),
        })
    }
}

/// The pre-authentication encoding of DSSE: what is signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    let mut out = head.into_bytes();
    out.extend_from_slice(payload);
    out
}
