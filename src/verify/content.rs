//! Steps 2 and 3: the signature over the content, and what the content is about.

use std::sync::Arc;

use crate::model::Digest;
use crate::model::Limits;
use crate::verify::Artifact;
use crate::verify::Error;
use crate::verify::Facts;
use crate::verify::bundle::Content;
use crate::verify::envelope;
use crate::verify::key;
use crate::verify::key::PublicKey;

/// Whether the signature holds over exactly the bytes that [`facts`] reads.
pub(super) fn signature_holds(
    content: &Content,
    key: &PublicKey,
    artifact: Artifact<'_>,
    digest: Digest,
) -> Result<(), Error> {
    let holds = match content {
        Content::Envelope {
            payload_type,
            payload,
            signature,
            ..
        } => {
            let head = envelope::pae_head(payload_type, payload);
            key.verifies_signer(&[head.as_bytes(), payload], signature)
        }
        Content::SimpleSigning { payload, signature } => key.verifies_signer(&[payload], signature),
        Content::Message {
            digest: named,
            signature,
        } => {
            message_is(named.as_ref(), artifact, digest)?;
            match artifact.bytes() {
                Some(bytes) => key.verifies_signer(&[bytes], signature),
                None if digest.algorithm() == crate::model::Algorithm::Sha256 => {
                    key.verifies_sha256(digest.as_bytes(), signature)?
                }
                None => {
                    return Err(Error::KeyUnsupported {
                        rule: "a file that is named by another digest than SHA-256",
                    });
                }
            }
        }
    };
    if holds {
        Ok(())
    } else {
        Err(Error::SignatureInvalid)
    }
}

/// The digest in a message signature is a hint, but a wrong one tells most.
fn message_is(
    named: Option<&(key::Hash, Vec<u8>)>,
    artifact: Artifact<'_>,
    digest: Digest,
) -> Result<(), Error> {
    let Some((hash, value)) = named else {
        return Ok(());
    };
    let same = match (hash, artifact.bytes()) {
        (key::Hash::Sha256, None) => digest.as_bytes() == value,
        (_, None) => {
            return Err(Error::KeyUnsupported {
                rule: "a message digest other than SHA-256 needs the file itself",
            });
        }
        (hash, Some(bytes)) => hash.of(bytes).as_ref() == value,
    };
    if same {
        return Ok(());
    }
    Err(Error::SubjectMismatch {
        asked: digest,
        found: format!("a file with the digest {}", crate::model::hex(value)),
    })
}

/// What the payload says, and the payload.
pub(super) type Read = (Facts, Option<Arc<Vec<u8>>>);

pub(super) fn facts(content: &Content, digest: Digest, limits: &Limits) -> Result<Read, Error> {
    match content {
        Content::Envelope {
            payload_type,
            payload,
            ..
        } => {
            let facts = envelope::statement(payload_type, payload, digest, limits)?;
            Ok((Facts::Payload(facts), Some(payload.clone())))
        }
        Content::SimpleSigning { payload, .. } => {
            let facts = envelope::simple_signing(payload, digest)?;
            Ok((Facts::Payload(facts), Some(payload.clone())))
        }
        Content::Message { .. } => Ok((Facts::Message, None)),
    }
}
