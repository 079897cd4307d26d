//! Base64 and PEM, read as the formats here write them.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const WRITER: GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Decodes base64 as protobuf JSON and Go read it: either alphabet, padding or none, line breaks
/// passed over. The signed bytes are the decoded ones, so several spellings change nothing.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    // Nearly everything is plain: looking for the exceptions first would cost more than decoding.
    STANDARD.decode(text).ok().or_else(|| decode_unusual(text))
}

/// Decodes what has line breaks or the other alphabet.
fn decode_unusual(text: &str) -> Option<Vec<u8>> {
    let joined: String;
    let text = if text.contains(['\n', '\r']) {
        joined = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        &joined
    } else {
        text
    };
    let engine = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    engine.decode(text).ok()
}

/// Encodes as standard padded base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    WRITER.encode(bytes)
}

/// Decodes lower- or upper-case hexadecimal text.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let text = core::str::from_utf8(pair).ok()?;
            if !text.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            u8::from_str_radix(text, 16).ok()
        })
        .collect()
}

/// One PEM block: its label and its content.
pub(crate) struct Pem<'a> {
    pub(crate) label: &'a str,
    pub(crate) content: Vec<u8>,
}

/// Reads PEM blocks (RFC 7468) with nothing but white space before, between and after them.
///
/// Gives nothing for any other text, for an unended block and for headers inside of one.
pub(crate) fn pem(text: &str) -> Option<Vec<Pem<'_>>> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const DASHES: &str = "-----";
    let mut blocks = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let (label, after) = rest.strip_prefix(BEGIN)?.split_once(DASHES)?;
        let (body, after) = after.split_once(END)?;
        let after = after.strip_prefix(label)?.strip_prefix(DASHES)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        blocks.push(Pem {
            label,
            content: STANDARD.decode(body).ok()?,
        });
        rest = after.trim_ascii_start();
    }
    Some(blocks)
}

/// Writes a PEM block: lines of 64 characters, and a line break at the end.
#[cfg(feature = "net")]
pub(crate) fn pem_of(label: &str, content: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    for (place, character) in encode(content).chars().enumerate() {
        if place > 0 && place.is_multiple_of(64) {
            out.push('\n');
        }
        out.push(character);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    out
}

/// The one PEM block of a text that may have explanatory text before and after it (RFC 7468,
/// section 2), as Go and OpenSSL read it. That text holds no second block and no part of one.
pub(crate) enum Embedded<'a> {
    /// There is one block, and this is it.
    One(Pem<'a>),
    /// There is one block of this label, and it is malformed.
    Malformed { label: &'a str },
    /// There is no block.
    None,
    /// There are several, or stray lines of one.
    Several,
}

/// Finds the one block.
pub(crate) fn embedded_pem(text: &str) -> Embedded<'_> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let bare = |text: &str, mark: &str| text.matches(mark.trim_end()).count();
    match (bare(text, BEGIN), bare(text, END)) {
        (0, 0) => return Embedded::None,
        (1, 0 | 1) => {}
        _ => return Embedded::Several,
    }
    let Some((before, block)) = text.find(BEGIN).and_then(|at| text.split_at_checked(at)) else {
        return Embedded::Several;
    };
    let label = block
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.lines().next()?.split_once("-----"))
        .map_or("", |(label, _)| label);
    let malformed = Embedded::Malformed { label };
    // Both marks stand at the beginning of a line, and nothing else stands on the line of the last.
    let line = before.rsplit(['\n', '\r']).next().unwrap_or_default();
    let Some((body, after)) = block.split_once(END) else {
        return malformed;
    };
    let end = after.split(['\n', '\r']).next().unwrap_or_default();
    let Some(block) = block.get(..body.len() + END.len() + end.len()) else {
        return malformed;
    };
    if !line.trim_ascii().is_empty() || !body.ends_with(['\n', '\r']) {
        return malformed;
    }
    match pem(block).map(|mut blocks| (blocks.pop(), blocks.is_empty())) {
        Some((Some(one), true)) => Embedded::One(one),
        _ => malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_go_reads_it() {
        for (text, expected) in [
            ("aGk/aGk+", Some(&b"hi?hi>"[..])),
            ("aGk_aGk-", Some(b"hi?hi>")),
            ("aA==", Some(b"h")),
            ("aA", Some(b"h")),
            ("aG\nk=\r\n", Some(b"hi")),
            ("", Some(b"")),
            ("a", None),
            ("a b=", None),
            ("aGk_aGk+", None),
            ("aGk=x", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn one_block_may_stand_in_a_text() {
        let block = "-----BEGIN A-----\naGk=\n-----END A-----\n";
        let tell = |text: &str| match embedded_pem(text) {
            Embedded::One(pem) => format!("{} {:?}", pem.label, pem.content),
            Embedded::Malformed { label } => format!("malformed {label}"),
            Embedded::None => "none".to_owned(),
            Embedded::Several => "several".to_owned(),
        };
        for text in [
            block.to_owned(),
            format!("Our key, since 2026:\n{block}"),
            format!("{block}-- \nthe release team ----- ok\n"),
            format!("a\r\nb\r\n{}c", block.replace('\n', "\r\n")),
            block.trim_end().to_owned(),
            format!("\n  {block}"),
        ] {
            assert_eq!(tell(&text), "A [104, 105]", "{text}");
        }
        for (text, expected) in [
            (String::new(), "none"),
            ("no key".to_owned(), "none"),
            ("---- BEGIN SSH2 PUBLIC KEY ----".to_owned(), "none"),
            (format!("{block}{block}"), "several"),
            (format!("{block} and \n{block}"), "several"),
            (format!("{block}x {block}"), "several"),
            (format!("-----BEGIN \n{block}"), "several"),
            (format!("-----BEGIN\n{block}"), "several"),
            (format!("{block}-----END A-----\n"), "several"),
            ("-----END A-----\n".to_owned(), "several"),
            (format!("key: {block}"), "malformed A"),
            (format!("{}x", block.trim_end()), "malformed A"),
            (block.replace("END A", "END B"), "malformed A"),
            (block.replace("aGk=", "K: v\n\naGk="), "malformed A"),
            (block.replace("aGk=\n", "aGk= text "), "malformed A"),
            ("-----BEGIN A-----\naGk=\n".to_owned(), "malformed A"),
            ("-----BEGIN \n-----END -----".to_owned(), "malformed "),
        ] {
            assert_eq!(tell(&text), expected, "{text}");
        }
    }

    #[test]
    fn pem_is_blocks_and_nothing_else() {
        let block = "-----BEGIN A-----\naGk=\n-----END A-----\n";
        assert_eq!(pem(block).map(|b| b.len()), Some(1));
        assert_eq!(
            pem(&format!("{block}\r\n{block}")).map(|b| b.len()),
            Some(2)
        );
        assert_eq!(pem("").map(|b| b.len()), Some(0));
        for bad in [
            format!("x{block}"),
            format!("{block}x"),
            block.replace("END A", "END B"),
            block.replace("aGk=", "K: v\n\naGk="),
            "-----BEGIN A-----\naGk=\n".to_owned(),
        ] {
            assert!(pem(&bad).is_none(), "{bad}");
        }
    }
}
