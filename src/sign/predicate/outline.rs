//! The outline of a JSON document: the members that tell what it is, and nothing of the rest.
//!
//! The document is walked to its end, strictly, and no tree of it is built: an SBOM of many megabytes
//! costs no more than a small one.

use core::fmt;
use std::borrow::Cow;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// Levels of objects that are kept.
const DEPTH: u8 = 4;
/// Characters of a text with escapes that are kept. What rules compare is shorter.
const KEPT: usize = 256;

/// The names that `rules.rs` and `looks.rs` ask for.
const NAMES: &[&str] = &[
    "$schema",
    "@context",
    "@graph",
    "ArtifactName",
    "ClusterName",
    "Results",
    "SPDXID",
    "SchemaVersion",
    "_type",
    "author",
    "base64Signature",
    "bomFormat",
    "buildDefinition",
    "buildType",
    "builder",
    "config",
    "creationInfo",
    "csaf_version",
    "dataLicense",
    "db",
    "descriptor",
    "detector",
    "document",
    "documentNamespace",
    "externalParameters",
    "id",
    "invocation",
    "manifests",
    "matches",
    "materials",
    "mediaType",
    "metadata",
    "name",
    "payload",
    "payloadType",
    "policy",
    "predicate",
    "predicateType",
    "resourceUri",
    "result",
    "runDetails",
    "runs",
    "sbom",
    "scanFinishedOn",
    "scanStartedOn",
    "scanned",
    "scanner",
    "schemaVersion",
    "signatures",
    "signed",
    "source",
    "spdxVersion",
    "specVersion",
    "statements",
    "subject",
    "timeVerified",
    "timestamp",
    "uri",
    "verificationResult",
    "verifiedLevels",
    "verifier",
    "version",
];

/// What is known of one value.
#[derive(Debug)]
pub(super) enum Outline<'a> {
    /// A list, or an object deeper than is kept, whatever it holds.
    Deep,
    List,
    Null,
    /// The members with known names.
    Object(Vec<(Name, Self)>),
    Text(Cow<'a, str>),
    /// A number or a truth value.
    Value,
}

/// The name of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Name {
    Known(&'static str),
    /// It differs from a known one in case alone. Go reads such a member as the known one.
    Near(&'static str),
    Unknown,
}

impl<'a> Outline<'a> {
    /// A member by its exact name.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.find(|own| matches!(own, Name::Known(known) if known == name))
    }

    /// A member whose name differs from this one in case alone.
    pub(super) fn near(&self, name: &str) -> Option<&Self> {
        self.find(|own| matches!(own, Name::Near(known) if known == name))
    }

    fn find(&self, wanted: impl Fn(Name) -> bool) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let (_, value) = members.iter().find(|(name, _)| wanted(*name))?;
        Some(value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Outline<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH).deserialize(deserializer)
    }
}

/// Reads a value with so many levels of objects left.
#[derive(Clone, Copy)]
struct Level(u8);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Outline<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outline<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Outline<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Outline<'de>, E> {
        Ok(Outline::Value)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Outline<'de>, E> {
        Ok(Outline::Value)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Outline<'de>, E> {
        Ok(Outline::Value)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Outline<'de>, E> {
        Ok(Outline::Value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Outline<'de>, E> {
        Ok(Outline::Text(Cow::Owned(text.chars().take(KEPT).collect())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Outline<'de>, E> {
        Ok(Outline::Text(Cow::Borrowed(text)))
    }

    fn visit_unit<E: Error>(self) -> Result<Outline<'de>, E> {
        Ok(Outline::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Outline<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Outline<'de>, A::Error> {
        let Some(below) = self.0.checked_sub(1) else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Outline::Deep);
        };
        // A name occurs once, so there are not many more members than known names.
        let mut kept = Vec::new();
        while let Some(name) = members.next_key::<Name>()? {
            if name == Name::Unknown {
                members.next_value::<IgnoredAny>()?;
            } else {
                kept.push((name, members.next_value_seed(Self(below))?));
            }
        }
        Ok(Outline::Object(kept))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Find;
        impl Visitor<'_> for Find {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                if let Ok(at) = NAMES.binary_search(&text) {
                    return Ok(NAMES
                        .get(at)
                        .map_or(Name::Unknown, |name| Name::Known(name)));
                }
                let near = NAMES.iter().find(|name| name.eq_ignore_ascii_case(text));
                Ok(near.map_or(Name::Unknown, |name| Name::Near(name)))
            }
        }
        deserializer.deserialize_str(Find)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_differ_in_more_than_case() {
        for (one, next) in NAMES.iter().zip(NAMES.iter().skip(1)) {
            assert!(one < next, "{one} {next}");
        }
        for (at, one) in NAMES.iter().enumerate() {
            let mut others = NAMES.iter().skip(at + 1);
            // Trivy's and an image's are names of two formats.
            assert!(
                *one == "SchemaVersion" || !others.any(|other| other.eq_ignore_ascii_case(one)),
                "{one}"
            );
        }
    }

    #[test]
    fn only_what_tells_is_kept() {
        let json = br#"{"scanner":{"result":{"x":[{"y":1}],"id":"a\u0062","config":{"uri":"z"}}},"Scanner":1}"#;
        let outline: Outline<'_> = crate::model::read_json(json).unwrap();
        let result = outline
            .get("scanner")
            .and_then(|s| s.get("result"))
            .unwrap();
        assert_eq!(result.text("id"), Some("ab"));
        assert!(result.get("x").is_none() && result.has("config"));
        assert!(outline.near("scanner").is_some() && outline.near("result").is_none());
        let deep = "{\"id\":".repeat(30) + "1" + &"}".repeat(30);
        let outline: Outline<'_> = crate::model::read_json(deep.as_bytes()).unwrap();
        let mut at = &outline;
        let mut levels = 0;
        while let Some(below) = at.get("id") {
            (at, levels) = (below, levels + 1);
        }
        assert_eq!(levels, usize::from(DEPTH));
        assert!(matches!(at, Outline::Deep));
    }
}
