//! Texts that must not be shown.

use core::fmt;

use reqwest::header::HeaderValue;

/// A token. It shows as stars.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of an `Authorization` header, if it can stand in one.
    pub(super) fn authorization(&self, scheme: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{scheme} {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How many characters of a secret are enough to know it by.
const KNOWN_BY: usize = 8;

/// Takes secrets out of a text that a service sent: this one, wherever it begins, and whatever looks
/// like a JSON Web Token. A service that repeats what it was sent must not make an error show it.
pub(super) fn scrubbed(text: &str, secret: Option<&Secret>) -> String {
    let mut text = text.to_owned();
    let marks = secret.map(|secret| {
        let text = secret.reveal();
        text.get(..KNOWN_BY).unwrap_or(text).to_owned()
    });
    let marks = marks.filter(|mark| !mark.is_empty());
    // Every JSON object begins so in base64.
    for mark in marks.iter().map(String::as_str).chain(["eyJ"]) {
        text = without(&text, mark);
    }
    text
}

/// The text without the runs of token characters that begin with `mark`.
fn without(text: &str, mark: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, found)) = rest.split_once(mark) {
        out.push_str(before);
        out.push_str("***");
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        rest = found.trim_start_matches(is_token);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_repeats_a_secret_is_not_quoted_with_it() {
        let secret = Secret::new("0123456789abcdef".to_owned());
        for (said, expected) in [
            ("no token 0123456789abcdef here", "no token *** here"),
            ("cut: 0123456789ab", "cut: ***"),
            ("\"0123456789abcdef\"", "\"***\""),
            ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln!", "***!"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(scrubbed(said, Some(&secret)), expected);
        }
        let short = Secret::new("abc".to_owned());
        assert_eq!(scrubbed("an abc", Some(&short)), "an ***");
        assert_eq!(scrubbed("abc", Some(&Secret::new(String::new()))), "abc");
        assert_eq!(format!("{secret:?}"), "***");
        let value = secret.authorization("Bearer").unwrap();
        assert!(!format!("{value:?}").contains("0123"));
    }
}
