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
    "SchemaVersion",
    "_type",
    "base64Signature",
    "bomFormat",
    "buildDefinition",
    "buildType",
    "builder",
    "config",
    "csaf_version",
    "descriptor",
    "detector",
    "document",
    "id",
    "manifests",
    "matches",
    "materials",
    "mediaType",
    "metadata",
    "name",
    "payload",
    "payloadType",
    "predicateType",
    "result",
    "runDetails",
    "runs",
    "sbom",
    "scanFinishedOn",
    "scanStartedOn",
    "scanned",
    "scanner",
    "schemaVersion",
    "severity",
    "signatures",
    "signed",
    "spdxVersion",
    "subject",
    "verificationResult",
    "verifier",
    "version",
];

/// What is known of one value.
#[derive(Debug)]
pub(super) enum Outline<'a> {
    /// An object deeper than is kept, whatever it holds.
    Deep,
    /// A list, and its first item.
    List(Option<Box<Self>>),
    Null,
    /// The members with known names.
    Object(Vec<(&'static str, Self)>),
    Text(Cow<'a, str>),
    /// A number or a truth value.
    Value,
}

impl<'a> Outline<'a> {
    /// A member by its exact name.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let (_, value) = members.iter().find(|(known, _)| *known == name)?;
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
        let Some(below) = self.0.checked_sub(1) else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Outline::List(None));
        };
        let first = items.next_element_seed(Self(below))?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::List(first.map(Box::new)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Outline<'de>, A::Error> {
        let Some(below) = self.0.checked_sub(1) else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Outline::Deep);
        };
        // A name occurs once, so there are not many more members than known names.
        let mut kept = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            match name {
                Some(name) => kept.push((name, members.next_value_seed(Self(below))?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Outline::Object(kept))
    }
}

/// The name of a member, where it is known.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Find;
        impl Visitor<'_> for Find {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                let at = NAMES.binary_search(&text).ok();
                Ok(Name(at.and_then(|at| NAMES.get(at)).copied()))
            }
        }
        deserializer.deserialize_str(Find)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        for (one, next) in NAMES.iter().zip(NAMES.iter().skip(1)) {
            assert!(one < next, "{one} {next}");
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
        let outline: Outline<'_> =
            crate::model::read_json(br#"{"result":[{"id":"a"},{"id":"b"}]}"#).unwrap();
        let Some(Outline::List(Some(first))) = outline.get("result") else {
            panic!("{outline:?}");
        };
        assert_eq!(first.text("id"), Some("a"));
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
