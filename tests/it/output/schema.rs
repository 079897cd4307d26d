//! The JSON against its schema, in both directions: documents keep to it, and it has no member that
//! no document has.
//!
//! The schema is open, so that old readers accept new members; here a member that it does not name
//! is a mistake.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

/// The schema, and which members of it have been met.
pub(super) struct Schema {
    text: Value,
    met: BTreeSet<String>,
}

impl Schema {
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        Self {
            text: serde_json::from_str(&text).unwrap(),
            met: BTreeSet::new(),
        }
    }

    /// Holds a whole document to it.
    pub(super) fn hold(&mut self, document: &Value) {
        let text = self.text.clone();
        let wrong = self.differences(&text, "", document, "");
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Members that were never met.
    pub(super) fn unmet(&self) -> Vec<String> {
        let mut all = BTreeSet::new();
        named(&self.text, "", &mut all);
        for (name, definition) in self.text["$defs"].as_object().unwrap() {
            named(definition, name, &mut all);
        }
        all.difference(&self.met).cloned().collect()
    }

    fn differences(&mut self, rule: &Value, of: &str, value: &Value, at: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (keyword, wanted) in rule.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" | "properties" => true,
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    let definition = self.text["$defs"][name].clone();
                    assert!(definition.is_object(), "no definition {name}");
                    wrong.extend(self.differences(&definition, name, value, at));
                    true
                }
                "oneOf" => {
                    let tried: Vec<_> = wanted
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|rule| self.differences(rule, of, value, at))
                        .collect();
                    tried.iter().filter(|wrong| wrong.is_empty()).count() == 1
                }
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "type" => match wanted.as_str().unwrap() {
                    "array" => value.is_array(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "object" => value.is_object(),
                    "string" => value.is_string(),
                    other => panic!("type {other}"),
                },
                "minimum" => value.as_u64() >= wanted.as_u64(),
                "pattern" => {
                    let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                    value.as_str().is_some_and(|text| pattern.is_match(text))
                }
                "required" => wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some()),
                "items" => {
                    // What is empty is absent.
                    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                    for item in items {
                        wrong.extend(self.differences(wanted, of, item, &format!("{at}[]")));
                    }
                    !items.is_empty() || at.is_empty() || at == "/reports"
                }
                other => panic!("the schema has the keyword {other}, which is not read here"),
            };
            if !holds {
                wrong.push(format!("{at}: {keyword} {wanted} is not kept by {value}"));
            }
        }
        let Some(properties) = rule.get("properties").and_then(Value::as_object) else {
            return wrong;
        };
        for (name, member) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            match properties.get(name) {
                None => wrong.push(format!("{at}: the schema has no such member")),
                Some(rule) => {
                    self.met.insert(format!("{of}/{name}"));
                    wrong.extend(self.differences(rule, &format!("{of}/{name}"), member, &at));
                }
            }
        }
        wrong
    }
}

fn named(rule: &Value, of: &str, into: &mut BTreeSet<String>) {
    let properties = rule.get("properties").and_then(Value::as_object);
    for (name, rule) in properties.into_iter().flatten() {
        let path = format!("{of}/{name}");
        named(rule, &path, into);
        into.insert(path);
    }
}
