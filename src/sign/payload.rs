//! The bytes that are signed, as cosign writes them: the statement and the simple-signing document of
//! an image signature, and the envelope around a statement.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::Digest;
use crate::model::Repository;
use crate::model::media_type;
use crate::verify::SIGN_PREDICATE;

/// The in-toto statement of an image signature (cosign 3.0.5 and later).
pub(super) fn signature_statement(
    digest: &Digest,
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Statement<'a> {
        _type: &'static str,
        subject: [Subject<'a>; 1],
        #[serde(rename = "predicateType")]
        predicate_type: &'static str,
        predicate: Empty,
    }
    #[derive(Serialize)]
    struct Subject<'a> {
        digest: BTreeMap<&'static str, String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        annotations: &'a BTreeMap<String, String>,
    }
    #[derive(Serialize)]
    struct Empty {}
    let statement = Statement {
        _type: "https://in-toto.io/Statement/v1",
        subject: [Subject {
            digest: [(digest.algorithm().name(), digest.hex())].into(),
            annotations,
        }],
        predicate_type: SIGN_PREDICATE,
        predicate: Empty {},
    };
    // Strings in a struct: there is nothing that could fail.
    serde_json::to_vec(&statement).unwrap_or_default()
}

/// The simple-signing document of a legacy image signature, with the members in cosign's order.
pub(super) fn simple_signing(
    repository: &Repository,
    digest: &Digest,
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document<'a> {
        critical: Critical,
        optional: Option<&'a BTreeMap<String, String>>,
    }
    #[derive(Serialize)]
    struct Critical {
        identity: Identity,
        image: Image,
        #[serde(rename = "type")]
        kind: &'static str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Identity {
        docker_reference: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Image {
        docker_manifest_digest: String,
    }
    let document = Document {
        critical: Critical {
            identity: Identity {
                docker_reference: docker_reference(repository),
            },
            image: Image {
                docker_manifest_digest: digest.to_string(),
            },
            kind: "cosign container image signature",
        },
        optional: (!annotations.is_empty()).then_some(annotations),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// A repository as go-containerregistry names it, which podman and CRI-O compare.
pub(super) fn docker_reference(repository: &Repository) -> String {
    match repository.host() {
        "docker.io" => format!("index.docker.io/{}", repository.path()),
        _ => repository.to_string(),
    }
}

/// What is signed of an envelope (DSSE v1, "Signature definition").
pub(super) fn pae(payload: &[u8]) -> Vec<u8> {
    let kind = media_type::IN_TOTO;
    let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    signed.extend_from_slice(payload);
    signed
}

/// The envelope, compact, as cosign 3 writes it. These very bytes go into the log and the registry.
pub(super) fn envelope(payload: &[u8], signature: &[u8]) -> String {
    let mut text = String::with_capacity(payload.len() / 3 * 4 + 512);
    text.push_str(r#"{"payload":""#);
    STANDARD.encode_string(payload, &mut text);
    text.push_str(r#"","payloadType":""#);
    text.push_str(media_type::IN_TOTO);
    text.push_str(r#"","signatures":[{"sig":""#);
    STANDARD.encode_string(signature, &mut text);
    text.push_str(r#""}]}"#);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simple_signing_document_is_cosigns() {
        let repository = Repository::parse("docker.io/namespace/image").expect("a repository");
        let text = "sha256:4aa3054270f7a70b4528f2064ee90961788e1e1518703592ae4463de3b889dec";
        let digest = Digest::parse(text).expect("a digest");
        let document = simple_signing(&repository, &digest, &BTreeMap::new());
        assert_eq!(document.len(), 247);
        let expected = "7d1b98f9066cc2005503d6366a8bcad9469b2137f118c162c8c96ab2b8051cc0";
        assert_eq!(Digest::sha256(&document).hex(), expected);
    }

    #[test]
    fn annotations_are_signed_in_both_forms() {
        let digest = Digest::sha256(b"");
        let annotations = BTreeMap::from([
            ("b".to_owned(), "2".to_owned()),
            ("a".to_owned(), "\"".to_owned()),
        ]);
        let repository = Repository::parse("ghcr.io/acme/app").expect("a repository");
        let document = simple_signing(&repository, &digest, &annotations);
        let text = String::from_utf8(document).expect("text");
        assert!(
            text.ends_with(r#""optional":{"a":"\"","b":"2"}}"#),
            "{text}"
        );
        let statement =
            String::from_utf8(signature_statement(&digest, &annotations)).expect("text");
        assert!(
            statement.contains(r#""annotations":{"a":"\"","b":"2"}"#),
            "{statement}"
        );
        let bare = String::from_utf8(signature_statement(&digest, &BTreeMap::new())).expect("text");
        assert!(!bare.contains("annotations"), "{bare}");
    }
}
