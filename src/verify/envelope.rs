//! Signed payloads: in-toto statements in DSSE envelopes, and cosign's simple-signing documents.
//!
//! The bytes that were verified are the bytes that are read, once, strictly. The predicate stays as
//! it is: an SBOM of many megabytes is walked for repeated members and never built as a tree.

use core::fmt;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Value;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::folds_onto;
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
    pub(super) annotations: BTreeMap<String, Value>,
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
        statement.subjects.count,
        limits.subjects.min(FEW),
        "subjects in a statement",
    )?;
    if statement.subjects.count == 0 {
        return Err(Error::SubjectMismatch {
            asked,
            found: "nothing".to_owned(),
        });
    }
    let subjects = statement.subjects.first;
    for subject in &subjects {
        Exceeded::unless(
            subject.digest.count,
            limits.subject_digests.min(FEW),
            "digests of one subject",
        )?;
    }
    annotations_within(statement.annotation_values)?;
    let (name, value) = (asked.algorithm().name(), asked.hex());
    let is_asked = |subject: &&Subject| subject.digest.first.get(name) == Some(&value);
    let Some(subject) = subjects.iter().find(is_asked) else {
        let others = subjects.len() - 1;
        let named = subjects
            .first()
            .and_then(|subject| subject.digest.first.iter().next())
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

/// Subjects, and digests of one subject, that are kept; more are counted. Above every limit there is.
const FEW: usize = 4096;

/// Values in the annotations of one payload, at any depth, that are read. `cosign sign -a` writes one
/// for each pair.
const ANNOTATION_VALUES: usize = 4096;

fn annotations_within(count: usize) -> Result<(), Exceeded> {
    Exceeded::unless(count, ANNOTATION_VALUES, "values in annotations")
}

struct Statement<'a> {
    statement_type: Cow<'a, str>,
    predicate_type: Cow<'a, str>,
    subjects: Counted<Vec<Subject>>,
    annotation_values: usize,
}

/// The first of many, and how many there are.
#[derive(Default)]
struct Counted<T> {
    first: T,
    count: usize,
}

struct Subject {
    digest: Counted<BTreeMap<String, String>>,
    annotations: BTreeMap<String, Value>,
}

/// Go matches member names without regard to case. A name that differs from a known one in case
/// alone would be read by one tool and passed over by another, so it is refused.
fn only_in_case<E: serde::de::Error>(name: &str, known: &[&str]) -> Result<(), E> {
    match known.iter().find(|known| folds_onto(name, known)) {
        Some(known) => Err(E::custom(format_args!(
            "a member that differs from `{known}` in case alone"
        ))),
        None => Ok(()),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Statement<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Statement<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an in-toto statement")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut kind, mut predicate_type, mut subjects) = (None, None, None);
                let values = Cell::new(0);
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "_type" => kind = Some(map.next_value()?),
                        "predicateType" => predicate_type = Some(map.next_value()?),
                        "subject" => subjects = Some(map.next_value_seed(Subjects(&values))?),
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
                    subjects: subjects.unwrap_or_default(),
                    annotation_values: values.get(),
                })
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// Reads a list of subjects. What annotations hold is counted in the cell, over all of them.
struct Subjects<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Subjects<'_> {
    type Value = Counted<Vec<Subject>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Subjects<'_> {
    type Value = Counted<Vec<Subject>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of subjects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut subjects = Counted::<Vec<_>>::default();
        while subjects.count < FEW {
            let Some(subject) = items.next_element_seed(OneSubject(self.0))? else {
                return Ok(subjects);
            };
            subjects.first.push(subject);
            subjects.count += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            subjects.count += 1;
        }
        Ok(subjects)
    }
}

struct OneSubject<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for OneSubject<'_> {
    type Value = Subject;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Subject, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneSubject<'_> {
    type Value = Subject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a subject of a statement")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Subject, A::Error> {
        let mut subject = Subject {
            digest: Counted::default(),
            annotations: BTreeMap::new(),
        };
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "digest" => subject.digest = map.next_value_seed(Digests)?,
                "annotations" => {
                    subject.annotations = map.next_value_seed(Annotations(self.0))?;
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

/// Digests by algorithm. One whose value is no text makes the subject unreadable.
struct Digests;

impl<'de> DeserializeSeed<'de> for Digests {
    type Value = Counted<BTreeMap<String, String>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Digests {
    type Value = Counted<BTreeMap<String, String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digests by algorithm")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut digests = Counted::<BTreeMap<_, _>>::default();
        while digests.count < FEW {
            let Some((algorithm, value)) = map.next_entry()? else {
                return Ok(digests);
            };
            digests.first.insert(algorithm, value);
            digests.count += 1;
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            digests.count += 1;
        }
        Ok(digests)
    }
}

/// Reads annotations, or null. Their values are counted, and not kept beyond [`ANNOTATION_VALUES`].
struct Annotations<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Annotations<'_> {
    type Value = BTreeMap<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Annotations<'_> {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let members = CountedValue(self.0).visit_map(map)?;
        Ok(match members {
            Value::Object(members) => members.into_iter().collect(),
            _ => BTreeMap::new(),
        })
    }
}

/// Builds a JSON value and counts what is in it. Beyond the limit it counts and builds nothing.
struct CountedValue<'c>(&'c Cell<usize>);

impl CountedValue<'_> {
    fn is_full(&self) -> bool {
        self.0.get() > ANNOTATION_VALUES
    }
}

impl<'de> DeserializeSeed<'de> for CountedValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.set(self.0.get() + 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CountedValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while !self.is_full() {
            let Some(value) = items.next_element_seed(CountedValue(self.0))? else {
                return Ok(Value::Array(values));
            };
            values.push(value);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = serde_json::Map::new();
        while !self.is_full() {
            let Some(name) = map.next_key()? else {
                return Ok(Value::Object(members));
            };
            members.insert(name, map.next_value_seed(CountedValue(self.0))?);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }
}

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
    annotations_within(document.optional.values)?;
    Ok(Facts {
        predicate_type: None,
        annotations: document.optional.annotations,
        docker_reference: Some(critical.identity.docker_reference),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SimpleSigning {
    critical: Critical,
    #[serde(default)]
    optional: Optional,
}

/// The annotations of a simple-signing document.
#[derive(Default)]
struct Optional {
    annotations: BTreeMap<String, Value>,
    values: usize,
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Cell::new(0);
        let annotations = Annotations(&values).deserialize(deserializer)?;
        Ok(Self {
            annotations,
            values: values.get(),
        })
    }
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
