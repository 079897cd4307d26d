//! Strict JSON: what a lenient reader would pass over in silence is refused here.
//!
//! Two tools that read the same signed bytes must see the same thing. JSON leaves open which of two
//! equal members counts, so a document with one is refused, at any depth. Text after the document,
//! invalid UTF-8, lone surrogates and nesting beyond 128 levels are refused by `serde_json` itself.

use core::fmt;
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hash::RandomState;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::IntoDeserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::de::value::BorrowedStrDeserializer;

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
    read::<IgnoredAny>(bytes).map(drop)
}

/// Reads one JSON document in one pass.
///
/// A structure is read from an object and never from an array of its members, which `serde_json`
/// takes too; members that the structure passes over are walked like the others.
///
/// # Errors
///
/// [`JsonError`] for anything but one well-formed document of that shape, and for two equal members
/// of one object, at any depth.
pub(crate) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Strict(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Refuses a document with a member, at any depth, whose name differs from one of `known` in case
/// alone. Annotations are passed over: their names are anybody's. Nothing is built, and nothing but
/// case is looked at: that it is strict JSON is known from [`read`].
pub(crate) fn exact_case(bytes: &[u8], known: &[&str]) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    ExactCase { known }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(())
}

/// Whether a name is another one to everybody but Go, whose `encoding/json` (`foldName`) takes
/// letters for equal that Unicode folds onto each other. Of those outside ASCII two fold onto a
/// letter in it: the long s and the Kelvin sign.
pub(crate) fn folds_onto(name: &str, known: &str) -> bool {
    let folded = name.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(known
        .chars()
        .map(|character| character.to_ascii_lowercase()))
}

/// Walks a document for [`exact_case`].
#[derive(Clone, Copy)]
struct ExactCase<'k> {
    known: &'k [&'k str],
}

impl<'de> DeserializeSeed<'de> for ExactCase<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ExactCase<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            let near = |known: &&&str| folds_onto(&name, known) && **known != name;
            if self.known.iter().any(|known| near(&known)) {
                return Err(Error::custom(format_args!(
                    "member `{name}` differs from a known one in case alone"
                )));
            }
            if name == "annotations" {
                members.next_value::<IgnoredAny>()?;
            } else {
                members.next_value_seed(self)?;
            }
        }
        Ok(())
    }
}

/// A deserializer, visitor or access of `serde`, with everything below it made strict.
struct Strict<T>(T);

/// Methods of a deserializer that hand their visitor on, made strict.
macro_rules! hand_on {
    ($($method:ident => $to:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$to(Strict(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    hand_on! {
        deserialize_any => deserialize_any,
        deserialize_bool => deserialize_bool,
        deserialize_i8 => deserialize_i8,
        deserialize_i16 => deserialize_i16,
        deserialize_i32 => deserialize_i32,
        deserialize_i64 => deserialize_i64,
        deserialize_u8 => deserialize_u8,
        deserialize_u16 => deserialize_u16,
        deserialize_u32 => deserialize_u32,
        deserialize_u64 => deserialize_u64,
        deserialize_f32 => deserialize_f32,
        deserialize_f64 => deserialize_f64,
        deserialize_char => deserialize_char,
        deserialize_str => deserialize_str,
        deserialize_string => deserialize_string,
        deserialize_bytes => deserialize_bytes,
        deserialize_byte_buf => deserialize_byte_buf,
        deserialize_option => deserialize_option,
        deserialize_unit => deserialize_unit,
        deserialize_seq => deserialize_seq,
        deserialize_map => deserialize_map,
        deserialize_identifier => deserialize_identifier,
        // What nobody asks for is walked too: `serde_json` would only look for its end.
        deserialize_ignored_any => deserialize_any,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Strict(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Strict(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, Strict(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, length, Strict(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Object(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // Enumerations without content only: what a variant holds would not be strict.
        self.0.deserialize_enum(name, variants, visitor)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.0.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.0.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.0.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.0.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.0.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.0.visit_string(value)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Members {
            inner: members,
            seen: Names::Few(Vec::new()),
        })
    }
}

/// The visitor of a structure.
struct Object<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        Strict(self.0).visit_map(members)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }
}

/// The members of one object, no two of one name.
struct Members<'de, A> {
    inner: A,
    seen: Names<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(Name(name)) = self.inner.next_key()? else {
            return Ok(None);
        };
        if name.starts_with(RESERVED) {
            return Err(Error::custom(format_args!(
                "member `{name}` has a name that a JSON library takes for an instruction"
            )));
        }
        if !self.seen.insert(name.clone()) {
            return Err(Error::custom(format_args!(
                "member `{name}` occurs twice in one object"
            )));
        }
        let value = match &name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(name.as_str().into_deserializer()),
        }?;
        Ok(Some(value))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Strict(seed))
    }
}

/// What the names of members begin with that `serde_json` reads as instructions to itself, where a
/// crate in the tree switched that on: the text under such a name would be read as another document.
const RESERVED: &str = "$serde_json::private::";

/// The member names of one object: a list while it is short, then a set of their hashes, so that the
/// work stays linear and the memory small whatever the document holds. The hashes have a random key:
/// two equal names are always found, and two others are taken for equal once in 2^64 pairs.
enum Names<'de> {
    Few(Vec<Cow<'de, str>>),
    Many(HashSet<u64>, RandomState),
}

/// From here on a set is cheaper than comparing with each.
const FEW: usize = 24;

impl<'de> Names<'de> {
    /// Takes a name; whether it is new.
    fn insert(&mut self, name: Cow<'de, str>) -> bool {
        match self {
            Self::Few(list) if list.contains(&name) => false,
            Self::Few(list) if list.len() < FEW => {
                list.push(name);
                true
            }
            Self::Few(list) => {
                let key = RandomState::new();
                let all = list.iter().map(|known| key.hash_one(&**known));
                let all = all.chain([key.hash_one(&*name)]).collect();
                *self = Self::Many(all, key);
                true
            }
            Self::Many(set, key) => set.insert(key.hash_one(&*name)),
        }
    }
}

/// A member name, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
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
        let inner = r#"{"a":{"$serde_json::private::RawValue":"\"x\""}}"#;
        assert!(strict_json(inner.as_bytes()).is_err());
        assert!(strict_json(inner.replace("::private", "::").as_bytes()).is_ok());
        let many: Vec<_> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
        assert!(strict_json(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        assert!(strict_json(format!("{{{},\"k7\":1}}", many.join(",")).as_bytes()).is_err());
    }

    #[test]
    fn names_that_differ_in_case_alone_are_refused_outside_of_annotations() {
        let known = ["name", "annotations"];
        for good in [
            r#"{"name":1,"x":[{"name":2}],"annotations":{"Name":"x"}}"#,
            r#"{"names":1,"x":{"annotations":{"a":{"NAME":null}}}}"#,
        ] {
            assert_eq!(exact_case(good.as_bytes(), &known), Ok(()), "{good}");
        }
        for bad in [
            r#"{"Name":1}"#,
            r#"{"x":[1,{"y":{"nam\u0045":2}}]}"#,
            r#"{"Annotations":{}}"#,
            r#"{"x":{"annotations":{},"NAME":1}}"#,
            "{",
        ] {
            assert!(exact_case(bad.as_bytes(), &known).is_err(), "{bad}");
        }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Shape<'a> {
        name: &'a str,
        #[serde(default)]
        list: Vec<Self>,
        #[serde(default)]
        one: Option<Box<Self>>,
    }

    #[test]
    fn a_structure_is_an_object_at_any_depth() {
        let good =
            read::<Shape<'_>>(br#"{"name":"a","list":[{"name":"b"}],"one":{"name":"c","x":[1]}}"#);
        assert_eq!(good.map(|shape| shape.list.len()), Ok(1));
        for bad in [
            r#"["a",[],null]"#,
            r#"{"name":"a","list":[["b",[],null]]}"#,
            r#"{"name":"a","one":["c",[],null]}"#,
            r#"{"name":"a","unknown":{"k":1,"k":2}}"#,
            r#"{"name":"a","list":[{"name":"b","name":"c"}]}"#,
        ] {
            assert!(
                serde_json::from_str::<serde_json::Value>(bad).is_ok(),
                "{bad}"
            );
            assert!(read::<Shape<'_>>(bad.as_bytes()).is_err(), "{bad}");
        }
        // Each of the first three is one that the plain reader takes.
        assert!(serde_json::from_str::<Shape<'_>>(r#"["a",[],null]"#).is_ok());
    }

    #[test]
    fn text_from_outside_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(printable("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(printable(&"x".repeat(300)).chars().count(), 201);
    }

    #[test]
    fn names_are_folded_as_go_folds_them() {
        for (name, known, expected) in [
            ("Subject", "subject", true),
            ("\u{17f}ubject", "subject", true),
            ("\u{212a}ind", "kind", true),
            ("subject", "subject", true),
            ("subjects", "subject", false),
            ("\u{131}d", "id", false),
        ] {
            assert_eq!(folds_onto(name, known), expected, "{name}");
        }
        assert!(exact_case(b"{\"\xc5\xbfize\":1}", &["size"]).is_err());
        assert!(exact_case(b"{\"size\":1}", &["size"]).is_ok());
    }
}
