//! Signed payloads: in-toto statements in DSSE envelopes, and cosign's simple-signing documents.
//!
//! The bytes that were verified are the bytes that are read, once, strictly. The predicate stays as
//! it is: an SBOM of many megabytes is walked for repeated members and never built as a tree.

use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::media_type;
use crate::verify::Error;

/// What stands before the payload in what DSSE signs: the pre-authentication encoding of type and
/// payload (DSSE `protocol.md`).
pub(super) fn pae_head(payload_type: &str, payload: &[u8]) -> String {
    format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
}

/// What a verified payload says, as far as every use needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) predicate_type: Option<String>,
    pub(super) annotations: BTreeMap<String, serde_json::Value>,
    pub(super) docker_reference: Option<String>,
}

/// Reads an in-toto statement and finds the subject that is `asked`.
pub(super) fn statement(
    payload_type: &str,
    payload: &[u8],
    asked: Digest,
    limits: &Limits,
) -> Result<Facts, Error> {
    if payload_type != media_type::IN_TOTO {
        return Err(Error::PayloadType {
            found: crate::model::printable(payload_type),
        });
    }
    let statement: Statement = crate::model::read_json(payload).map_err(Error::PayloadJson)?;
    if !matches!(
        statement.statement_type.as_ref(),
        "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1"
    ) {
        return Err(Error::PayloadMalformed {
            rule: "it is not an in-toto statement of version 0.1 or 1",
        });
    }
    Exceeded::unless(
        statement.subject.len(),
        limits.subjects,
        "subjects in a statement",
    )?;
    if statement.subject.is_empty() {
        return Err(Error::SubjectMismatch {
            asked,
            found: "nothing".to_owned(),
        });
    }
    for subject in &statement.subject {
        Exceeded::unless(
            subject.digest.len(),
            limits.subject_digests,
            "digests of one subject",
        )?;
    }
    let (name, value) = (asked.algorithm().name(), asked.hex());
    let is_asked = |subject: &&Subject| subject.digest.get(name) == Some(&value);
    let Some(subject) = statement.subject.iter().find(is_asked) else {
        let others = statement.subject.len() - 1;
        let named = statement
            .subject
            .first()
            .and_then(|subject| subject.digest.iter().next())
            .map_or_else(
                || "a subject without a digest".to_owned(),
                |(name, value)| crate::model::printable(&format!("{name}:{value}")),
            );
        return Err(Error::SubjectMismatch {
            asked,
            found: match others {
                0 => named,
                others => format!("{named} and {others} more"),
            },
        });
    };
    Ok(Facts {
        predicate_type: Some(statement.predicate_type.into_owned()),
        annotations: subject.annotations.clone(),
        docker_reference: None,
    })
}

struct Statement<'a> {
    statement_type: Cow<'a, str>,
    predicate_type: Cow<'a, str>,
    subject: Vec<Subject>,
}

struct Subject {
    digest: BTreeMap<String, String>,
    annotations: BTreeMap<String, serde_json::Value>,
}

/// Go matches member names without regard to case. A name that differs from a known one in case
/// alone would be read by one tool and passed over by another, so it is refused.
fn only_in_case<E: serde::de::Error>(name: &str, known: &[&str]) -> Result<(), E> {
    match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => Err(E::custom(format_args!(
            "a member that differs from `{known}` in case alone"
        ))),
        None => Ok(()),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Statement<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Statement<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an in-toto statement")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut kind, mut predicate_type, mut subject) = (None, None, None);
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "_type" => kind = Some(map.next_value()?),
                        "predicateType" => predicate_type = Some(map.next_value()?),
                        "subject" => subject = Some(map.next_value()?),
                        "predicate" => drop(map.next_value::<IgnoredAny>()?),
                        other => {
                            only_in_case::<A::Error>(
                                other,
                                &["_type", "predicateType", "subject", "predicate"],
                            )?;
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let missing =
                    |name| A::Error::custom(format_args!("the member `{name}` is missing"));
                Ok(Statement {
                    statement_type: kind.ok_or_else(|| missing("_type"))?,
                    predicate_type: predicate_type.ok_or_else(|| missing("predicateType"))?,
                    subject: subject.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Subject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a subject of a statement")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut subject = Subject {
                    digest: BTreeMap::new(),
                    annotations: BTreeMap::new(),
                };
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "digest" => subject.digest = map.next_value::<Digests>()?.0,
                        "annotations" => {
                            subject.annotations =
                                map.next_value::<Option<_>>()?.unwrap_or_default();
                        }
                        other => {
                            only_in_case::<A::Error>(other, &["digest", "annotations"])?;
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(subject)
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// Digests by algorithm. One whose value is no text makes the subject unreadable.
#[derive(Deserialize)]
#[serde(transparent)]
struct Digests(BTreeMap<String, String>);

/// Reads a simple-signing document (containers/image `containers-signature.5`, as cosign writes it).
pub(super) fn simple_signing(payload: &[u8], asked: Digest) -> Result<Facts, Error> {
    let document: SimpleSigning = crate::model::read_json(payload).map_err(Error::PayloadJson)?;
    let critical = document.critical;
    if critical.kind != "cosign container image signature" {
        return Err(Error::PayloadMalformed {
            rule: "its type is not `cosign container image signature`",
        });
    }
    let digest = Digest::parse(&critical.image.docker_manifest_digest).map_err(|_| {
        Error::PayloadMalformed {
            rule: "its docker-manifest-digest is not a digest",
        }
    })?;
    if digest != asked {
        return Err(Error::SubjectMismatch {
            asked,
            found: digest.to_string(),
        });
    }
    Ok(Facts {
        predicate_type: None,
        annotations: document.optional.unwrap_or_default(),
        docker_reference: Some(critical.identity.docker_reference),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SimpleSigning {
    critical: Critical,
    optional: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: CriticalIdentity,
    image: CriticalImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriticalIdentity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriticalImage {
    // Early documents capitalise it (cosign `specs/SIGNATURE_SPEC.md`); both at once are refused.
    #[serde(rename = "docker-manifest-digest", alias = "Docker-manifest-digest")]
    docker_manifest_digest: String,
}
