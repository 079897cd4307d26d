//! A Sigstore bundle, version 0.3 (protobuf JSON, `sigstore_bundle.proto`), put together from what the
//! services answered. An envelope is JSON already, may be many megabytes, and goes in as it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::Digest;

/// The media type, also of the layer and the artifact type of its manifest.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What says who signed.
#[derive(Clone, Copy)]
pub(super) enum Material<'a> {
    /// The leaf certificate in DER, and nothing else (version 0.3 has no chain).
    Certificate(&'a [u8]),
    /// A managed key, by its SubjectPublicKeyInfo.
    Key(&'a [u8]),
}

/// What was signed.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    /// An envelope, as it was logged.
    Envelope(&'a str),
    /// A file, by its digest.
    Message {
        /// SHA-256 of the file.
        digest: &'a Digest,
        /// The signature over the file.
        signature: &'a [u8],
    },
}

/// The bundle's JSON.
pub(super) fn json(
    material: Material<'_>,
    entries: &[serde_json::Value],
    stamps: &[Vec<u8>],
    content: Content<'_>,
) -> Vec<u8> {
    let (certificate, public_key) = match material {
        Material::Certificate(leaf) => (
            Some(Certificate {
                raw_bytes: STANDARD.encode(leaf),
            }),
            None,
        ),
        Material::Key(spki) => (
            None,
            Some(PublicKey {
                hint: STANDARD.encode(Digest::sha256(spki).as_bytes()),
            }),
        ),
    };
    let message_signature = match content {
        Content::Envelope(_) => None,
        Content::Message { digest, signature } => Some(Message {
            message_digest: MessageDigest {
                algorithm: "SHA2_256",
                digest: STANDARD.encode(digest.as_bytes()),
            },
            signature: STANDARD.encode(signature),
        }),
    };
    let stamps: Vec<_> = stamps
        .iter()
        .map(|stamp| Stamp {
            signed_timestamp: STANDARD.encode(stamp),
        })
        .collect();
    let bundle = Bundle {
        media_type: MEDIA_TYPE,
        verification_material: VerificationMaterial {
            certificate,
            public_key,
            tlog_entries: entries,
            timestamp_verification_data: (!stamps.is_empty()).then_some(Stamps {
                rfc3161_timestamps: stamps,
            }),
        },
        message_signature,
    };
    // Strings in structs: there is nothing that could fail.
    let mut json = serde_json::to_vec(&bundle).unwrap_or_default();
    if let Content::Envelope(envelope) = content {
        const NAME: &[u8] = br#","dsseEnvelope":"#;
        json.pop();
        json.reserve_exact(NAME.len() + envelope.len() + 1);
        json.extend_from_slice(NAME);
        json.extend_from_slice(envelope.as_bytes());
        json.push(b'}');
    }
    json
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    media_type: &'static str,
    verification_material: VerificationMaterial<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tlog_entries: &'a [serde_json::Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Stamps>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

#[derive(Serialize)]
struct PublicKey {
    hint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stamps {
    rfc3161_timestamps: Vec<Stamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stamp {
    signed_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Serialize)]
struct MessageDigest {
    algorithm: &'static str,
    digest: String,
}
