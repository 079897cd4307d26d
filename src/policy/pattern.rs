//! Patterns over identities. They match whole strings, whatever their author thought of.

mod anybody;
mod kind;
mod re2;

use core::fmt;

use regex::Regex;
use regex::RegexBuilder;

use crate::model::San;

/// Bytes that the text of a regular expression may have.
const MAX_TEXT: usize = 4096;
/// Bytes that a compiled regular expression may take (the `regex` crate's own default is 10 MiB).
const MAX_COMPILED: usize = 1024 * 1024;

/// What a value must be.
#[derive(Clone)]
pub enum Pattern {
    /// This text, byte for byte.
    Exact(String),
    /// A text that the whole of a regular expression matches.
    Regexp(Box<Whole>),
}

/// A regular expression that matches whole strings.
#[derive(Clone)]
pub struct Whole {
    /// As it was written.
    text: String,
    /// The same, as the `regex` crate must read it.
    part: String,
    whole: Regex,
    /// What of it a URI may meet.
    uris: Option<Regex>,
    /// What of it an e-mail address or a user name may meet.
    others: Option<Regex>,
}

impl Pattern {
    /// A pattern for one text.
    ///
    /// # Errors
    ///
    /// [`PatternError::Empty`] for the empty text.
    pub fn exact(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        Ok(Self::Exact(text.to_owned()))
    }

    /// A regular expression in the syntax of RE2, which cosign reads: `\d`, `\s`, `\w` and `\b` are
    /// about ASCII alone. It matches whole strings only, as if it stood between `\A` and `\z`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] for an expression that is empty, malformed, too large, takes any name of one
    /// kind, could be a URI or an e-mail address in one alternative, or would mean something else
    /// to RE2.
    pub fn regexp(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(PatternError::TooLarge);
        }
        // Alone first: a text such as `a)|(b` is only an expression once something stands around it.
        let part = re2::rewritten(text)?;
        compile(&part)?;
        let whole = compile(&format!(r"\A(?:{part})\z"))?;
        if anybody::takes_anybody(&whole) {
            return Err(PatternError::Vacuous);
        }
        let kinds = kind::kinds(&part).map_err(|kind::Mixed| PatternError::MixedKinds)?;
        let narrowed = |part: Option<String>| {
            let part = part.map(|part| compile(&format!(r"\A(?:{part})\z")));
            part.transpose()
        };
        let (uris, others) = (narrowed(kinds.uris)?, narrowed(kinds.others)?);
        Ok(Self::Regexp(Box::new(Whole {
            text: text.to_owned(),
            part,
            whole,
            uris,
            others,
        })))
    }

    /// Whether the whole of `value` is what this pattern says.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value,
            Self::Regexp(pattern) => pattern.whole.is_match(value),
        }
    }

    /// Whether a name of a certificate is what this pattern says, and of the kind that it means.
    ///
    /// A text with `://` and an alternative that spells a `:` or a `/` mean a URI, and no name of
    /// another kind meets them; a text or an alternative with an `@` and without those means an e-mail
    /// address or a user name, and no URI meets it.
    #[must_use]
    pub fn matches_name(&self, name: &San) -> bool {
        let is_uri = matches!(name, San::Uri(_));
        match self {
            Self::Exact(text) if is_uri => {
                text == name.value() && (!text.contains('@') || text.contains([':', '/']))
            }
            Self::Exact(text) => text == name.value() && !text.contains("://"),
            Self::Regexp(pattern) => {
                let kind = if is_uri {
                    &pattern.uris
                } else {
                    &pattern.others
                };
                kind.as_ref()
                    .is_some_and(|kind| kind.is_match(name.value()))
            }
        }
    }

    /// Whether a part of `value` would match: what an unanchored reader would have let in.
    #[must_use]
    pub fn matches_a_part(&self, value: &str) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Regexp(pattern) => compile(&pattern.part).is_ok_and(|part| part.is_match(value)),
        }
    }
}

fn compile(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            error => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                PatternError::Syntax {
                    at: 0,
                    reason: reason.trim_start_matches("error: ").to_owned(),
                }
            }
        })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Regexp(pattern) => write!(f, "`{}`", pattern.text),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is empty.
    #[error("an empty pattern")]
    Empty,
    /// It is not a regular expression.
    #[error("not a regular expression that scgate reads: {reason} (byte {at})")]
    Syntax {
        /// The byte where it goes wrong.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// RE2, and with it cosign, reads a part of it otherwise, or not at all.
    #[error(
        "a regular expression with {what}, which other tools read otherwise or not at all (byte {at}; \
         write it in another way)"
    )]
    OtherMeaning {
        /// The byte where that part begins.
        at: usize,
        /// What that part is.
        what: &'static str,
    },
    /// One alternative of it could be a URI or an e-mail address, and it matters which is meant.
    #[error(
        "a regular expression with an alternative that could be a URI or an e-mail address (write the \
         two apart, as `URI|ADDRESS`)"
    )]
    MixedKinds,
    /// It is too large.
    #[error("a regular expression that is too large")]
    TooLarge,
    /// It takes any text, or any name of one kind: any URI of one scheme, any e-mail address.
    #[error("a regular expression that takes anybody (name whom you trust)")]
    Vacuous,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_strings_and_nothing_less() {
        let shop = Pattern::regexp("https://github.com/acme/shop").expect("a pattern");
        assert!(shop.matches("https://github.com/acme/shop"));
        for value in [
            "https://github.com/acme/shop-evil/x",
            "https://evil.test/https://github.com/acme/shop",
            "https://github.com/acme/shop\n",
        ] {
            assert!(!shop.matches(value), "{value}");
            assert!(shop.matches_a_part(value), "{value}");
        }
        let either = Pattern::regexp("a|ab").expect("a pattern");
        assert!(either.matches("ab") && !either.matches("abc") && !either.matches("xa"));
    }

    /// What one kind of name may meet, the whole meets; and what the whole meets, one kind may.
    #[test]
    fn the_kinds_of_names_divide_an_expression() {
        let parts = [
            "a",
            "b?",
            "@",
            "/",
            ":",
            ".*",
            "(a|b)",
            "[ab]",
            r"(?:\d)?",
            "^",
            "$",
            "(?:@a|/b)",
            "|",
            "(?i:A)",
            "(a+)?",
        ];
        let letters = ["", "a", "b", "@", "/", "1"];
        let mut values: Vec<String> = vec![String::new()];
        for _ in 0..3 {
            let longer = values.iter().flat_map(|value| {
                let with = |letter: &&str| format!("{value}{letter}");
                letters.iter().map(with).collect::<Vec<_>>()
            });
            values = longer.collect();
            values.sort();
            values.dedup();
        }
        let mut loaded = 0;
        for (one, two, three) in parts.iter().flat_map(|one| {
            let pairs = parts
                .iter()
                .flat_map(|two| parts.iter().map(move |three| (two, three)));
            pairs.map(move |(two, three)| (one, two, three))
        }) {
            let text = format!("^(a|{one}{two}{three})$");
            let Ok(Pattern::Regexp(pattern)) = Pattern::regexp(&text) else {
                continue;
            };
            loaded += 1;
            for value in &values {
                let by =
                    |kind: &Option<Regex>| kind.as_ref().is_some_and(|kind| kind.is_match(value));
                let by_kind = by(&pattern.uris) || by(&pattern.others);
                assert_eq!(by_kind, pattern.whole.is_match(value), "{text} {value}");
            }
        }
        assert!(loaded > 1000, "{loaded}");
    }

    #[test]
    fn what_is_no_pattern_does_not_load() {
        for (text, expected) in [
            ("", PatternError::Empty),
            (".*", PatternError::Vacuous),
            ("^.*$", PatternError::Vacuous),
            (".+", PatternError::Vacuous),
            ("(?s).*", PatternError::Vacuous),
            ("..+", PatternError::Vacuous),
            ("[^x]{2,}", PatternError::Vacuous),
            (".*//.*", PatternError::Vacuous),
            ("https?://.*|.*@.*", PatternError::Vacuous),
            (r"\W{1000}\D{1000}", PatternError::TooLarge),
        ] {
            assert_eq!(Pattern::regexp(text).err(), Some(expected), "{text}");
        }
        for text in ["a)|(b", "(", "[", "a(?=b)", r"\1", "(?=a)"] {
            assert!(
                matches!(Pattern::regexp(text), Err(PatternError::Syntax { .. })),
                "{text}"
            );
        }
        assert!(Pattern::regexp(&"a".repeat(5000)).is_err());
        assert_eq!(Pattern::exact("").err(), Some(PatternError::Empty));
    }
}
