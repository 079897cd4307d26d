//! Strict JSON: what a lenient reader would pass over in silence is refused here.
//!
//! Two tools that read the same signed bytes must see the same thing. JSON leaves open which of two
//! equal members counts, so a document with one is refused, at any depth. Text after the document,
//! invalid UTF-8, lone surrogates and nesting beyond 128 levels are refused by `serde_json` itself.

use core::fmt;
use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// Why a text is not strict JSON. Whoever wrote the text can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct JsonError {
    reason: String,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let reason = match text.rfind(" at line ") {
            Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
            None => text,
        };
        Self {
            reason: printable(&reason),
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Cuts text that comes from outside to 200 characters and escapes what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == 200 {
            out.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Format characters that change how the text around them is shown.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Reads one JSON document to its end and builds nothing.
///
/// # Errors
///
/// [`JsonError`] for anything but one well-formed document, and for two equal members of one object.
pub fn strict_json(bytes: &[u8]) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(())
}

/// Refuses a document with a member, at any depth, whose name differs from one of `known` in case
/// alone. Annotations are passed over: their names are anybody's.
pub(crate) fn exact_case(bytes: &[u8], known: &[&str]) -> Result<(), JsonError> {
    fn walk(value: &serde_json::Value, known: &[&str]) -> Option<String> {
        match value {
            serde_json::Value::Array(items) => items.iter().find_map(|item| walk(item, known)),
            serde_json::Value::Object(members) => members.iter().find_map(|(name, value)| {
                let near = |known: &&&str| known.eq_ignore_ascii_case(name) && **known != name;
                if known.iter().any(|known| near(&known)) {
                    return Some(name.clone());
                }
                (name != "annotations")
                    .then(|| walk(value, known))
                    .flatten()
            }),
            _ => None,
        }
    }
    let document: serde_json::Value = serde_json::from_slice(bytes)?;
    match walk(&document, known) {
        None => Ok(()),
        Some(name) => Err(JsonError {
            reason: printable(&format!(
                "member `{name}` differs from a known one in case alone"
            )),
            line: 0,
            column: 0,
        }),
    }
}

/// Walks a value of any shape.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = Names::Few(Vec::new());
        while let Some(Name(name)) = members.next_key()? {
            if let Some(name) = seen.insert(name) {
                return Err(serde::de::Error::custom(format_args!(
                    "member `{name}` occurs twice in one object"
                )));
            }
            members.next_value_seed(Self)?;
        }
        Ok(())
    }
}

/// The member names of one object: a list while it is short, then a set, so that the work stays
/// linear whatever the document holds.
enum Names<'de> {
    Few(Vec<Cow<'de, str>>),
    Many(HashSet<Cow<'de, str>>),
}

/// From here on a set is cheaper than comparing with each.
const FEW: usize = 24;

impl<'de> Names<'de> {
    /// Keeps the name; gives it back when it was there.
    fn insert(&mut self, name: Cow<'de, str>) -> Option<Cow<'de, str>> {
        match self {
            Self::Few(list) if list.len() < FEW => {
                if list.contains(&name) {
                    return Some(name);
                }
                list.push(name);
                None
            }
            Self::Few(list) => {
                let mut set: HashSet<_> = list.drain(..).collect();
                let duplicate = set.replace(name);
                *self = Self::Many(set);
                duplicate
            }
            Self::Many(set) => set.replace(name),
        }
    }
}

/// A member name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_document_without_equal_members_is_read() {
        for good in [
            "null",
            "{}",
            r#"{"a":[1,2.5,"x",{"a":null,"b":true}],"b":{"a":1}}"#,
            " [ ] ",
        ] {
            assert_eq!(strict_json(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "{",
            "{}{}",
            "[1,]",
            "\u{feff}{}",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"y":[{"k":1,"k":2}]}}"#,
            r#"{"a":"\ud800"}"#,
            "NaN",
            "{'a':1}",
        ] {
            assert!(strict_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(strict_json(b"{\"a\":\"\xff\"}").is_err());
        assert!(strict_json("[".repeat(100_000).as_bytes()).is_err());
        let many: Vec<_> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
        assert!(strict_json(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        assert!(strict_json(format!("{{{},\"k7\":1}}", many.join(",")).as_bytes()).is_err());
    }

    #[test]
    fn text_from_outside_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(printable("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(printable(&"x".repeat(300)).chars().count(), 201);
    }
}
