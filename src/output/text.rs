//! Text that comes from outside, made harmless, and lines of a given width.
//!
//! Nothing here cuts: two names that differ stay different.

/// A character that a terminal obeys, or that changes how the text around it is shown.
fn is_hostile(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    character.is_control() || invisible || (character != ' ' && character.is_whitespace())
}

/// A name from outside, whole. Everything but printable ASCII is escaped, so that no two names look
/// alike; what holds a space is quoted.
pub(super) fn name(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '"' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            other => out.extend(other.escape_unicode()),
        }
    }
    if out.is_empty() || out.contains(' ') {
        format!("\"{out}\"")
    } else {
        out
    }
}

/// A sentence that may quote something from outside.
pub(super) fn sentence(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hostile(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// A JSON document in which the same characters are escaped. They can only stand inside of strings
/// there, except for line feeds between members.
pub(super) fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for character in document.chars() {
        if character != '\n' && is_hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Breaks a sentence at spaces into lines of at most `width` characters. A word that is longer has
/// its line to itself.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_look_alike() {
        let names = [
            "",
            " ",
            "\"\"",
            "a b",
            "a  b",
            "\"a b\"",
            "a\\u{20}b",
            "a\u{a0}b",
            "\u{1b}[31m",
            "\\u{1b}[31m",
            "paypal",
            "p\u{430}ypal",
            "x\u{202e}y",
            "xy",
            "x\ny",
        ];
        let shown: std::collections::BTreeSet<_> = names.iter().map(|text| name(text)).collect();
        assert_eq!(shown.len(), names.len());
        for text in &shown {
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }

    #[test]
    fn json_stays_the_same_document() {
        let text = "a\u{7f}\u{9b}b\u{202e}c\u{e0041}d\n\u{1b}é";
        let document = serde_json::to_string_pretty(&[text]).unwrap_or_default();
        let shown = json(&document);
        assert!(!shown.chars().any(|c| c != '\n' && is_hostile(c)));
        let back: Vec<String> = serde_json::from_str(&shown).unwrap_or_default();
        assert_eq!(back, [text]);
    }

    #[test]
    fn lines_break_at_spaces_only() {
        assert_eq!(wrap("ab cd efghij k", 5), ["ab cd", "efghij", "k"]);
    }
}
