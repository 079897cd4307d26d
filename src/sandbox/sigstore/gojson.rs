//! JSON as services in Go read it: the first value of a body, with the places that their errors
//! name, and messages of protocol buffers in it.
//!
//! Syntax errors are those of `encoding/json`, the others those of `protojson`. Members keep their
//! order and their doubles, because a double is an error whose place is told.

use std::collections::BTreeMap;

use super::fulcio::bytes;

/// How deep values may lie in each other. Go stops at 10 000; here the stack is smaller.
const DEPTH: usize = 200;

/// A value and where it begins, in bytes.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The text of a scalar; of a list or an object the bracket alone, as errors name it.
    raw: &'a str,
    at: usize,
    shape: Shape<'a>,
}

#[derive(Debug)]
enum Shape<'a> {
    List,
    Members(Vec<(Name<'a>, Node<'a>)>),
    Null,
    Number,
    Other,
    Text(String),
}

#[derive(Debug)]
struct Name<'a> {
    raw: &'a str,
    at: usize,
    text: String,
}

/// The first value of a body and its text; nothing when there is only white space.
pub(super) fn first(body: &[u8]) -> Result<Option<(&str, Node<'_>)>, String> {
    let end = match core::str::from_utf8(body) {
        Ok(_) => body.len(),
        // What follows the first value is not looked at.
        Err(error) => error.valid_up_to(),
    };
    let text = body.get(..end).unwrap_or_default();
    let text = core::str::from_utf8(text).unwrap_or_default();
    let text = text.trim_start_matches(BLANKS);
    if text.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0, "looking for beginning of value")?;
    let own = text.get(..reader.at).unwrap_or(text);
    Ok(Some((own, node)))
}

/// The first value, as values that nobody needs the places of. An error is Go's.
pub(super) fn plain(body: &[u8]) -> Result<Option<serde_json::Value>, String> {
    let Some((text, _)) = first(body)? else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// The type of a value as Go names it.
pub(super) const fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

fn cut() -> String {
    "unexpected EOF".to_owned()
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|next| BLANKS.contains(&next)) {
            self.at += 1;
        }
    }

    /// An error at the next character, or at the end.
    fn odd(&self, context: &str) -> String {
        match self.peek() {
            None => cut(),
            Some(odd) => format!("invalid character {} {context}", quoted(odd)),
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn value(&mut self, depth: usize, context: &str) -> Result<Node<'a>, String> {
        if depth > DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.skip_blanks();
        let at = self.at;
        let shape = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Shape::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('t') => self.word("true", Shape::Other)?,
            Some('f') => self.word("false", Shape::Other)?,
            Some('n') => self.word("null", Shape::Null)?,
            _ => return Err(self.odd(context)),
        };
        let raw = match shape {
            Shape::List => "[",
            Shape::Members(_) => "{",
            Shape::Null | Shape::Number | Shape::Other | Shape::Text(_) => self.since(at),
        };
        Ok(Node { raw, at, shape })
    }

    fn object(&mut self, depth: usize) -> Result<Shape<'a>, String> {
        let key = "looking for beginning of object key string";
        self.at += 1;
        self.skip_blanks();
        let mut members = Vec::new();
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(Shape::Members(members));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some('"') {
                return Err(self.odd(key));
            }
            let at = self.at;
            let text = self.string()?;
            let raw = self.since(at);
            self.skip_blanks();
            if self.peek() != Some(':') {
                return Err(self.odd("after object key"));
            }
            self.at += 1;
            let value = self.value(depth + 1, "looking for beginning of value")?;
            members.push((Name { raw, at, text }, value));
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => {
                    self.at += 1;
                    return Ok(Shape::Members(members));
                }
                _ => return Err(self.odd("after object key:value pair")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Shape<'a>, String> {
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(Shape::List);
        }
        loop {
            self.value(depth + 1, "looking for beginning of value")?;
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => {
                    self.at += 1;
                    return Ok(Shape::List);
                }
                _ => return Err(self.odd("after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some('"') => break self.at += 1,
                Some('\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(..' ') => return Err(self.odd("in string literal")),
                Some(next) => self.at += next.len_utf8(),
                None => return Err(cut()),
            }
        }
        let raw = self.since(start);
        // A half of a surrogate pair alone is one replacement character in Go.
        Ok(serde_json::from_str(raw).unwrap_or_else(|_| "\u{fffd}".to_owned()))
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.peek() {
            Some('b' | 'f' | 'n' | 'r' | 't' | '\\' | '/' | '"') => self.at += 1,
            Some('u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|next| next.is_ascii_hexdigit()) {
                        return Err(self.odd("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.odd("in string escape code")),
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|next| next.is_ascii_digit()) {
            return Err(self.odd(context));
        }
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Shape<'a>, String> {
        if self.peek() == Some('-') {
            self.at += 1;
        }
        if self.peek() == Some('0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(Shape::Number)
    }

    fn word(&mut self, word: &str, shape: Shape<'a>) -> Result<Shape<'a>, String> {
        for expected in word.chars() {
            if self.peek() != Some(expected) {
                let context = format!("in literal {word} (expecting '{expected}')");
                return Err(self.odd(&context));
            }
            self.next();
        }
        Ok(shape)
    }
}

/// A character as Go quotes it.
fn quoted(odd: char) -> String {
    match odd {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        '\n' => r"'\n'".to_owned(),
        '\r' => r"'\r'".to_owned(),
        '\t' => r"'\t'".to_owned(),
        odd if odd.is_control() => format!("'\\x{:02x}'", u32::from(odd)),
        // Go looks at bytes.
        odd => {
            let mut buffer = [0; 4];
            let first = odd.encode_utf8(&mut buffer).bytes().next();
            format!("'{}'", char::from(first.unwrap_or_default()))
        }
    }
}

/// What a message of protocol buffers may hold.
#[derive(Debug)]
pub(super) struct Schema(pub(super) &'static [Field]);

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// The name in JSON.
    pub(super) name: &'static str,
    /// The name in the definition.
    pub(super) snake: &'static str,
    pub(super) kind: Kind,
    /// The full name of the group of which only one may be set.
    pub(super) oneof: Option<&'static str>,
}

impl Field {
    /// A field that has the same name everywhere.
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self::named(name, name, kind)
    }

    /// A field of several words.
    pub(super) const fn named(name: &'static str, snake: &'static str, kind: Kind) -> Self {
        Self {
            name,
            snake,
            kind,
            oneof: None,
        }
    }

    /// One of a group.
    pub(super) const fn of(mut self, oneof: &'static str) -> Self {
        self.oneof = Some(oneof);
        self
    }
}

/// The type of a field.
#[derive(Debug)]
pub(super) enum Kind {
    /// Whatever it is, it is not looked at.
    Any,
    Bytes,
    /// By name or by number.
    Enum(&'static [(i32, &'static str)]),
    Message(&'static Schema),
    Text,
}

/// What happens to fields that nobody knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unknown {
    Ignored,
    Refused,
}

/// A message that was read.
#[derive(Debug, Default)]
pub(super) struct Message(BTreeMap<&'static str, Value>);

#[derive(Debug)]
enum Value {
    Any,
    Bytes(Vec<u8>),
    Enum(i32),
    Message(Message),
    Text(String),
}

impl Message {
    /// Reads the first value of a body; a body without one is an empty message.
    pub(super) fn parse(body: &[u8], schema: &Schema, unknown: Unknown) -> Result<Self, String> {
        match first(body)? {
            None => Ok(Self::default()),
            Some((text, node)) => node.message(text, schema, unknown),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        match self.0.get(name) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn number(&self, name: &str) -> i32 {
        match self.0.get(name) {
            Some(Value::Enum(number)) => *number,
            _ => 0,
        }
    }

    pub(super) fn message(&self, name: &str) -> Option<&Self> {
        match self.0.get(name) {
            Some(Value::Message(message)) => Some(message),
            _ => None,
        }
    }
}

/// `line:column` of a place, both from one.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    format!("(line {line}:{column})")
}

impl Node<'_> {
    fn message(&self, text: &str, schema: &Schema, unknown: Unknown) -> Result<Message, String> {
        let Shape::Members(members) = &self.shape else {
            let place = place(text, self.at);
            return Err(format!(
                "proto: syntax error {place}: unexpected token {}",
                self.raw
            ));
        };
        let mut message = Message::default();
        let (mut seen, mut groups) = (Vec::new(), Vec::new());
        for (name, value) in members {
            let at = place(text, name.at);
            let is_it = |field: &&Field| name.text == field.name || name.text == field.snake;
            let Some(field) = schema.0.iter().find(is_it) else {
                if unknown == Unknown::Refused {
                    return Err(format!("proto: {at}: unknown field {}", name.raw));
                }
                continue;
            };
            if seen.contains(&field.name) {
                return Err(format!("proto: {at}: duplicate field {}", name.raw));
            }
            seen.push(field.name);
            if matches!(value.shape, Shape::Null) {
                continue;
            }
            if let Some(group) = field.oneof {
                if groups.contains(&group) {
                    return Err(format!(
                        "proto: {at}: error parsing {}, oneof {group} is already set",
                        name.raw
                    ));
                }
                groups.push(group);
            }
            let value = value.field(text, field, unknown)?;
            message.0.insert(field.name, value);
        }
        Ok(message)
    }

    fn field(&self, text: &str, field: &Field, unknown: Unknown) -> Result<Value, String> {
        let wrong = |kind: &str| {
            let (at, name, raw) = (place(text, self.at), field.name, self.raw);
            format!("proto: {at}: invalid value for {kind} field {name}: {raw}")
        };
        match (&field.kind, &self.shape) {
            (Kind::Any, _) => Ok(Value::Any),
            (Kind::Bytes, Shape::Text(value)) => {
                bytes(value).map(Value::Bytes).ok_or_else(|| wrong("bytes"))
            }
            (Kind::Bytes, _) => Err(wrong("bytes")),
            (Kind::Enum(names), Shape::Text(value)) => names
                .iter()
                .find(|(_, name)| name == value)
                .map(|(number, _)| Value::Enum(*number))
                .ok_or_else(|| wrong("enum")),
            (Kind::Enum(_), Shape::Number) => {
                let number = self.raw.parse().map_err(|_| wrong("enum"))?;
                Ok(Value::Enum(number))
            }
            (Kind::Enum(_), _) => Err(wrong("enum")),
            (Kind::Message(schema), _) => self.message(text, schema, unknown).map(Value::Message),
            (Kind::Text, Shape::Text(value)) => Ok(Value::Text(value.clone())),
            (Kind::Text, _) => Err(wrong("string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_are_those_of_go() {
        for (text, expected) in [
            (r#"{"x"#, "unexpected EOF"),
            (
                "hello",
                "invalid character 'h' looking for beginning of value",
            ),
            (
                "{,",
                "invalid character ',' looking for beginning of object key string",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a":1 2}"#,
                "invalid character '2' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "nul!",
                "invalid character '!' in literal null (expecting 'l')",
            ),
            ("-x", "invalid character 'x' in numeric literal"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            (
                "1ex",
                "invalid character 'x' in exponent of numeric literal",
            ),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            ("\"\n\"", r"invalid character '\n' in string literal"),
            (
                r#""\u00g0""#,
                r"invalid character 'g' in \u hexadecimal character escape",
            ),
        ] {
            assert_eq!(first(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        assert!(first(" \n".as_bytes()).unwrap().is_none());
        assert!(first(b"{} trailing \xff").unwrap().is_some());
        let deep = "[".repeat(100_000);
        assert_eq!(first(deep.as_bytes()).unwrap_err(), "exceeded max depth");
    }

    #[test]
    fn messages_are_read_as_protojson_reads_them() {
        const INNER: Schema = Schema(&[Field::named("rawBytes", "raw_bytes", Kind::Bytes)]);
        const OUTER: Schema = Schema(&[
            Field::new("inner", Kind::Message(&INNER)).of("a.B.c"),
            Field::new("other", Kind::Text).of("a.B.c"),
            Field::new("kind", Kind::Enum(&[(5, "FIVE")])),
        ]);
        let read = |text: &str| Message::parse(text.as_bytes(), &OUTER, Unknown::Refused);
        let good = read(r#"{"inner":{"raw_bytes":"_-8"},"kind":"FIVE","other":null}"#).unwrap();
        assert_eq!(
            good.message("inner").unwrap().bytes("rawBytes"),
            [0xff, 0xef]
        );
        assert_eq!((good.number("kind"), good.text("other")), (5, ""));
        assert!(!good.has("other") && !read("").unwrap().has("inner"));
        for (text, expected) in [
            (
                "null",
                "proto: syntax error (line 1:1): unexpected token null",
            ),
            (
                r#"{"inner":1}"#,
                "proto: syntax error (line 1:10): unexpected token 1",
            ),
            ("{\n \"x\":1}", "proto: (line 2:2): unknown field \"x\""),
            (
                r#"{"inner":{"rawBytes":"!"}}"#,
                "proto: (line 1:22): invalid value for bytes field rawBytes: \"!\"",
            ),
            (
                r#"{"kind":"SIX"}"#,
                "proto: (line 1:9): invalid value for enum field kind: \"SIX\"",
            ),
            (
                r#"{"inner":{},"other":"x"}"#,
                "proto: (line 1:13): error parsing \"other\", oneof a.B.c is already set",
            ),
            (
                r#"{"kind":5,"kind":5}"#,
                "proto: (line 1:11): duplicate field \"kind\"",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        let lax = Message::parse(br#"{"x":1}"#, &OUTER, Unknown::Ignored);
        assert!(lax.is_ok());
    }
}
