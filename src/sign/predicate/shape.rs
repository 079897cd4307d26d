//! Shapes: what the members of a predicate are, as those who read it have declared them.
//!
//! Most readers are written in Go, and fill structures: a member of another kind makes the whole
//! unreadable to them. So a document is walked once beside its shape, down to the members that such a
//! structure has, and no tree of it is built. What no reader knows is passed over. Start with
//! [`keep`]; `rules.rs` has the shapes.

use core::fmt;
use core::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::model::Timestamp;
use crate::model::folds_onto;
use crate::model::printable;

/// A rule that is not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Broken {
    /// The member, by its path.
    pub(super) member: String,
    pub(super) rule: String,
}

impl Broken {
    pub(super) fn new(member: &str, rule: &str) -> Self {
        Self {
            member: member.to_owned(),
            rule: rule.to_owned(),
        }
    }
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Shape {
    /// Whatever it likes, null as well.
    Any,
    /// Bytes, in base64 with padding.
    Base64,
    /// A text that begins so.
    Begins(&'static str),
    Bool,
    /// A text that is not empty.
    Filled,
    /// A list that is not empty.
    FilledList(&'static Self),
    /// This text.
    Is(&'static str),
    List(&'static Self),
    /// An object with names that are anybody's.
    Map(&'static Self),
    /// An object that is read as a message of protobuf, whose members have a second spelling.
    Message(&'static [Member]),
    Object(&'static [Member]),
    /// One of two texts.
    OneOf(&'static str, &'static str),
    /// An object or a list that says something.
    Report,
    Text,
    /// A point in time, and not Go's zero time, which stands where nothing was set.
    Time,
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    /// A spelling that tools write too.
    or: Option<&'static str>,
    need: Need,
    shape: Shape,
}

/// Whether a member is missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need {
    /// It may be absent, or null.
    May,
    Must,
    /// It may be null.
    Present,
}

pub(super) const fn may(name: &'static str, shape: Shape) -> Member {
    member(name, None, Need::May, shape)
}

/// A member that may be absent, with a spelling that tools write too.
pub(super) const fn may_or(name: &'static str, or: &'static str, shape: Shape) -> Member {
    member(name, Some(or), Need::May, shape)
}

pub(super) const fn must(name: &'static str, shape: Shape) -> Member {
    member(name, None, Need::Must, shape)
}

/// A member that has to be there and may be null: what Go writes for a list that nobody made.
pub(super) const fn present(name: &'static str, shape: Shape) -> Member {
    member(name, None, Need::Present, shape)
}

const fn member(name: &'static str, or: Option<&'static str>, need: Need, shape: Shape) -> Member {
    Member {
        name,
        or,
        need,
        shape,
    }
}

/// Whoever names a shape: the strict reader takes types alone.
pub(super) trait Shaped {
    const SHAPE: &'static Shape;
}

/// Holds a JSON text to a shape.
pub(super) fn keep<S: Shaped>(text: &str) -> Result<(), Broken> {
    match crate::model::read_json::<Kept<S>>(text.as_bytes()) {
        Ok(Kept {
            broken: Some(broken),
            ..
        }) => Err(broken),
        Ok(_) => Ok(()),
        Err(error) => Err(Broken::new("the document", &error.to_string())),
    }
}

/// A document that was walked beside a shape, and the first rule that it does not keep.
struct Kept<S> {
    broken: Option<Broken>,
    shape: PhantomData<S>,
}

impl<'de, S: Shaped> Deserialize<'de> for Kept<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut walk = Walk::default();
        let at = At {
            shape: S::SHAPE,
            is_nullable: false,
            walk: &mut walk,
        };
        at.deserialize(deserializer)?;
        Ok(Self {
            broken: walk.broken,
            shape: PhantomData,
        })
    }
}

/// Where a walk is, and the first rule that was not kept. The walk goes on to the end of the
/// document: only that is what the reader takes.
#[derive(Default)]
struct Walk {
    path: Vec<Step>,
    broken: Option<Broken>,
}

enum Step {
    Index(usize),
    Key(String),
    Name(&'static str),
}

impl Walk {
    fn broken(&mut self, rule: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(Broken {
                member: self.member(),
                rule: rule.into(),
            });
        }
    }

    /// A rule about a member of the object that is read.
    fn broken_at(&mut self, name: &'static str, rule: impl Into<String>) {
        self.path.push(Step::Name(name));
        self.broken(rule);
        self.path.pop();
    }

    fn member(&self) -> String {
        let mut out = String::new();
        for (at, step) in self.path.iter().enumerate() {
            if at > 0 && !matches!(step, Step::Index(_)) {
                out.push('.');
            }
            match step {
                Step::Index(index) => out.push_str(&format!("[{index}]")),
                Step::Key(key) => out.push_str(&printable(key)),
                Step::Name(name) => out.push_str(name),
            }
        }
        if out.is_empty() {
            out.push_str("the document");
        }
        out
    }
}

/// A value that is about to be read.
struct At<'w> {
    shape: &'static Shape,
    is_nullable: bool,
    walk: &'w mut Walk,
}

impl At<'_> {
    /// The value is of another kind than its shape.
    fn mismatch(&mut self) {
        let rule = match self.shape {
            Shape::Any => "is unreadable",
            Shape::Bool => "is neither true nor false",
            Shape::FilledList(_) | Shape::List(_) => "is no list",
            Shape::Map(_) | Shape::Message(_) | Shape::Object(_) => "is no object",
            Shape::Report => "is no report",
            Shape::Base64
            | Shape::Begins(_)
            | Shape::Filled
            | Shape::Is(_)
            | Shape::OneOf(_, _)
            | Shape::Text
            | Shape::Time => "is no text",
        };
        self.walk.broken(rule);
    }

    /// Reads the value of a member, one step down.
    fn value<'de, A: MapAccess<'de>>(
        &mut self,
        members: &mut A,
        step: Step,
        shape: &'static Shape,
        is_nullable: bool,
    ) -> Result<(), A::Error> {
        self.walk.path.push(step);
        members.next_value_seed(At {
            shape,
            is_nullable,
            walk: self.walk,
        })?;
        self.walk.path.pop();
        Ok(())
    }

    /// Reads an object with known members.
    fn members<'de, A: MapAccess<'de>>(
        mut self,
        known: &'static [Member],
        is_message: bool,
        mut members: A,
    ) -> Result<(), A::Error> {
        let mut seen = vec![false; known.len()];
        while let Some(name) = members.next_key::<String>()? {
            let is_exact = |member: &Member| member.name == name || member.or == Some(&*name);
            let exact = known.iter().zip(&mut seen).find(|(one, _)| is_exact(one));
            if let Some((member, seen)) = exact {
                if core::mem::replace(seen, true) {
                    let rule = "is there in two spellings";
                    self.walk.broken_at(member.name, rule);
                }
                let step = Step::Name(member.name);
                let is_nullable = member.need != Need::Must;
                self.value(&mut members, step, &member.shape, is_nullable)?;
                continue;
            }
            let second = |member: &&Member| {
                is_message && member.name.chars().flat_map(snake).eq(name.chars())
            };
            if let Some(member) = known.iter().find(|member| folds_onto(&name, member.name)) {
                let rule = "is written in another case";
                self.walk.broken_at(member.name, rule);
            } else if let Some(member) = known.iter().find(second) {
                let rule = format!("is written as `{}`", printable(&name));
                self.walk.broken_at(member.name, rule);
            }
            members.next_value::<IgnoredAny>()?;
        }
        let missing = |(member, seen): &(&Member, &bool)| !**seen && member.need != Need::May;
        if let Some((member, _)) = known.iter().zip(&seen).find(missing) {
            self.walk.broken_at(member.name, "is missing");
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.shape {
            Shape::Any => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        if !matches!(self.shape, Shape::Bool) {
            self.mismatch();
        }
        Ok(())
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.mismatch();
        Ok(())
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.mismatch();
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.mismatch();
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.shape {
            _ if self.is_nullable => {}
            Shape::Report => self.walk.broken("is null, as if nothing was scanned"),
            _ => self.walk.broken("is null"),
        }
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        let rule = match self.shape {
            Shape::Base64 if STANDARD.decode(text).is_err() => "is no base64".to_owned(),
            Shape::Begins(start) if !text.starts_with(start) => {
                format!("does not begin with `{start}`")
            }
            Shape::Filled if text.trim().is_empty() => "is empty".to_owned(),
            Shape::Is(only) if text != *only => format!("is not `{only}`"),
            Shape::OneOf(one, other) if text != *one && text != *other => {
                format!("is neither `{one}` nor `{other}`")
            }
            Shape::Time if !is_time(text) => "is no point in time (RFC 3339)".to_owned(),
            Shape::Time if text.starts_with("0001-01-01T") => "is not set".to_owned(),
            Shape::Base64
            | Shape::Begins(_)
            | Shape::Filled
            | Shape::Is(_)
            | Shape::OneOf(_, _)
            | Shape::Text
            | Shape::Time => return Ok(()),
            _ => {
                self.mismatch();
                return Ok(());
            }
        };
        self.walk.broken(rule);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let inner = match self.shape {
            Shape::FilledList(inner) | Shape::List(inner) => inner,
            Shape::Report => &Shape::Any,
            _ => {
                self.mismatch();
                &Shape::Any
            }
        };
        let mut count = 0;
        loop {
            self.walk.path.push(Step::Index(count));
            let item = items.next_element_seed(At {
                shape: inner,
                is_nullable: false,
                walk: self.walk,
            })?;
            self.walk.path.pop();
            if item.is_none() {
                break;
            }
            count += 1;
        }
        match self.shape {
            Shape::FilledList(_) if count == 0 => self.walk.broken("is empty"),
            Shape::Report if count == 0 => self.walk.broken(NOTHING_SCANNED),
            _ => {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        match self.shape {
            Shape::Map(inner) => {
                while let Some(key) = members.next_key()? {
                    self.value(&mut members, Step::Key(key), inner, false)?;
                }
                Ok(())
            }
            Shape::Message(known) => self.members(known, true, members),
            Shape::Object(known) => self.members(known, false, members),
            _ => {
                let mut count = 0;
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                match self.shape {
                    Shape::Report if count == 0 => self.walk.broken(NOTHING_SCANNED),
                    Shape::Report => {}
                    _ => self.mismatch(),
                }
                Ok(())
            }
        }
    }
}

const NOTHING_SCANNED: &str = "is empty, as if nothing was scanned";

/// A character of a member's name as it stands in the name that a `.proto` file gives it
/// (`buildType` is `build_type`).
fn snake(character: char) -> impl Iterator<Item = char> {
    let line = character.is_ascii_uppercase().then_some('_');
    line.into_iter().chain([character.to_ascii_lowercase()])
}

/// Whether a text is a point in time as Go reads it, which takes RFC 3339 to the letter.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    const OFFSET: &[u8] = b"00:00";
    let is_like = |text: &[u8], form: &[u8]| {
        let same = |(byte, form): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        text.len() == form.len() && text.iter().zip(form).all(same)
    };
    let Some((whole, rest)) = text.as_bytes().split_at_checked(FORM.len()) else {
        return false;
    };
    let rest = match rest.strip_prefix(b".") {
        None => rest,
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // Nanoseconds are the finest that it keeps.
            if !(1..=9).contains(&digits) {
                return false;
            }
            rest.get(digits..).unwrap_or_default()
        }
    };
    let is_offset = match rest {
        b"Z" => true,
        [b'+' | b'-', offset @ ..] => is_like(offset, OFFSET) && *offset < b"24"[..],
        _ => false,
    };
    // It knows no leap seconds, and protobuf no year before the first.
    is_like(whole, FORM)
        && is_offset
        && !whole.ends_with(b":60")
        && !whole.starts_with(b"0000")
        && Timestamp::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_go_folds_them() {
        for (name, known) in [
            ("Scanner", "scanner"),
            ("\u{17f}canner", "scanner"),
            ("re\u{17f}ult", "result"),
            ("\u{212a}ind", "kind"),
            ("BUILDER.ID", "builder.id"),
            ("invocationID", "invocationId"),
        ] {
            assert!(folds_onto(name, known), "{name}");
        }
        for (name, known) in [
            ("scanners", "scanner"),
            ("\u{df}canner", "scanner"),
            ("b\u{131}nary", "binary"),
            ("\u{ff53}canner", "scanner"),
            ("build_type", "buildType"),
        ] {
            assert!(!folds_onto(name, known), "{name}");
        }
        assert!("startedOn".chars().flat_map(snake).eq("started_on".chars()));
    }

    #[test]
    fn times_are_read_as_go_reads_them() {
        for good in [
            "2026-06-01T00:00:00Z",
            "2026-06-01T00:00:00.123456789Z",
            "2026-06-01T00:00:00.5+02:00",
            "2024-02-29T23:59:59-23:59",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "2026",
            "2026-06-01",
            "2026-06-01T00:00Z",
            "2026-06-01T00:00:00",
            "2026-06-01t00:00:00Z",
            "2026-06-01T00:00:00z",
            "2026-06-01 00:00:00Z",
            "2026-06-01T00:00:60Z",
            "2026-06-01T00:00:00,5Z",
            "2026-06-01T00:00:00.Z",
            "2026-06-01T00:00:00.1234567890Z",
            "2026-06-01T00:00:00+0200",
            "2026-06-01T00:00:00+24:00",
            "2025-02-29T00:00:00Z",
            "0000-06-01T00:00:00Z",
            "+002026-06-01T00:00:00Z",
            "2026-06-01T00:00:00Z[UTC]",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
