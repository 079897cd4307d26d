//! JSON documents of other writers, taken apart and put together again without touching a byte of
//! what stays.
//!
//! INVARIANT: every text here was read to its end by the strict reader before, so it is well-formed
//! and has no two equal members. What is cut out of it is what stood there.

use std::borrow::Cow;

/// The members of an object: name and value, as they stand in the text.
pub(super) fn members(object: &str) -> Option<Vec<(String, &str)>> {
    let mut rest = Rest(object);
    rest.expect('{')?;
    let mut members = Vec::new();
    while !rest.ends('}')? {
        let name = crate::model::read_json(rest.value()?.as_bytes()).ok()?;
        rest.expect(':')?;
        members.push((name, rest.value()?));
        rest.pass(',');
    }
    Some(members)
}

/// One member of an object.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let found = members(object)?.into_iter().find(|(own, _)| own == name)?;
    Some(found.1)
}

/// The items of a list, as they stand in the text; null is an empty list.
pub(super) fn items(list: &str) -> Option<Vec<&str>> {
    if list.trim() == "null" {
        return Some(Vec::new());
    }
    let mut rest = Rest(list);
    rest.expect('[')?;
    let mut items = Vec::new();
    while !rest.ends(']')? {
        items.push(rest.value()?);
        rest.pass(',');
    }
    Some(items)
}

/// The object with these members in the place of its own of the same names, or after them.
pub(super) fn with(object: &str, new: &[(&str, String)]) -> Option<String> {
    let mut all: Vec<(String, Cow<'_, str>)> = members(object)?
        .into_iter()
        .map(|(name, value)| (name, Cow::Borrowed(value)))
        .collect();
    for (name, value) in new {
        match all.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = Cow::Borrowed(value),
            None => all.push(((*name).to_owned(), Cow::Borrowed(value))),
        }
    }
    let written: Vec<_> = all
        .iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_str())))
        .collect();
    Some(format!("{{{}}}", written.join(",")))
}

/// A list of these items.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.collect();
    format!("[{}]", items.join(","))
}

/// What is left of a text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn pass(&mut self, sign: char) {
        self.skip_space();
        self.0 = self.0.strip_prefix(sign).unwrap_or(self.0);
    }

    fn expect(&mut self, sign: char) -> Option<()> {
        self.skip_space();
        self.0 = self.0.strip_prefix(sign)?;
        Some(())
    }

    /// Whether the next is `sign`. A text that ends before is none.
    fn ends(&mut self, sign: char) -> Option<bool> {
        self.skip_space();
        self.0.chars().next().map(|next| next == sign)
    }

    /// The next value.
    fn value(&mut self) -> Option<&'a str> {
        self.skip_space();
        let mut depth = 0_usize;
        let (mut in_text, mut escaped) = (false, false);
        let mut end = self.0.len();
        for (at, byte) in self.0.bytes().enumerate() {
            if in_text {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_text = false,
                    _ => {}
                }
                if in_text || depth > 0 {
                    continue;
                }
                end = at + 1;
                break;
            }
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 1 => depth -= 1,
                b'}' | b']' if depth == 1 => {
                    end = at + 1;
                    break;
                }
                b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (value, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_not_touched() {
        let text = r#" { "a" : [ 1 , {"x":"]}\"\\"} ,"s", [ ] ,null , -1.50e+400 ] ,"b\u0062":true,
            "c":{ "d" : 1.0 } , "e":"" } "#;
        let found = members(text).unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "bb", "c", "e"]);
        assert_eq!(found[1].1, "true");
        assert_eq!(found[3].1, "\"\"");
        assert_eq!(
            items(found[0].1).unwrap(),
            [
                "1",
                r#"{"x":"]}\"\\"}"#,
                "\"s\"",
                "[ ]",
                "null",
                "-1.50e+400"
            ]
        );
        let changed = with(text, &[("bb", "[]".to_owned()), ("f\"", "7".to_owned())]).unwrap();
        assert_eq!(member(&changed, "a"), Some(found[0].1));
        assert_eq!(member(&changed, "bb"), Some("[]"));
        assert_eq!(member(&changed, "c"), Some(r#"{ "d" : 1.0 }"#));
        assert!(changed.ends_with(r#""f\"":7}"#), "{changed}");
        assert_eq!(items("null"), Some(vec![]));
        assert_eq!(items(" [ ] "), Some(vec![]));
        assert_eq!(list(["1", "{}"].into_iter()), "[1,{}]");
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in ["", "[]", "1", "{", "{\"a\"", "{\"a\":", "{\"a\":1"] {
            assert_eq!(members(text), None, "{text}");
        }
        for text in ["", "{}", "[", "[1"] {
            assert_eq!(items(text), None, "{text}");
        }
    }
}
