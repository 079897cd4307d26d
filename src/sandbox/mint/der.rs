//! A DER writer: tag, length, value, and the few types that X.509 and CMS need.
//!
//! It exists because libraries that build certificates refuse to build broken ones. It refuses
//! nothing: whoever writes a content that does not fit its tag gets the broken element asked for.
//! Reading is not its business.

use crate::model::Timestamp;

/// A universal or context tag with any content.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(length(content.len()));
    out.extend_from_slice(content);
    out
}

/// The shortest form of a length.
fn length(length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = trimmed(&length.to_be_bytes());
    match bytes.as_slice() {
        [short] if *short < 0x80 => bytes,
        long => {
            // A usize has at most eight bytes.
            let mut out = vec![0x80 | u8::try_from(long.len()).unwrap_or(8)];
            out.extend_from_slice(long);
            out
        }
    }
}

/// Big-endian bytes without leading zeros, but at least one byte.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let out: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
    if out.is_empty() { vec![0] } else { out }
}

/// A SEQUENCE of ready elements.
#[must_use]
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// A SET OF, sorted as DER demands.
#[must_use]
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x31, &sorted(parts))
}

/// The content of a SET OF, for use under another tag.
#[must_use]
pub fn sorted(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    parts.sort();
    parts.concat()
}

/// An explicit context tag around a ready element.
#[must_use]
pub fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    element(0xa0 | number, inner)
}

/// An implicit context tag on a primitive content.
#[must_use]
pub fn implicit(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, content)
}

/// A BOOLEAN.
#[must_use]
pub fn boolean(value: bool) -> Vec<u8> {
    element(0x01, if value { &[0xff] } else { &[0x00] })
}

/// An INTEGER that is not negative.
#[must_use]
pub fn integer(value: u64) -> Vec<u8> {
    let mut bytes = trimmed(&value.to_be_bytes());
    if bytes.first().is_some_and(|b| *b >= 0x80) {
        bytes.insert(0, 0);
    }
    element(0x02, &bytes)
}

/// An INTEGER from its content bytes, whatever they are.
#[must_use]
pub fn integer_bytes(content: &[u8]) -> Vec<u8> {
    element(0x02, content)
}

/// A BIT STRING without unused bits.
#[must_use]
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(bytes);
    element(0x03, &content)
}

/// A BIT STRING of named bits: one byte, its trailing zero bits counted as unused.
#[must_use]
pub fn named_bits(bits: u8) -> Vec<u8> {
    match u8::try_from(bits.trailing_zeros()) {
        Ok(unused) if unused < 8 => element(0x03, &[unused, bits]),
        _ => element(0x03, &[0]),
    }
}

/// An OCTET STRING.
#[must_use]
pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

/// A NULL.
#[must_use]
pub fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// An OBJECT IDENTIFIER from its dotted form; parts that are no numbers are left out.
#[must_use]
pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted.split('.').filter_map(|arc| arc.parse::<u64>().ok());
    let first = arcs.next().unwrap_or(0);
    let second = arcs.next().unwrap_or(0);
    let joined = first.saturating_mul(40).saturating_add(second);
    let content: Vec<u8> = core::iter::once(joined)
        .chain(arcs)
        .flat_map(base_128)
        .collect();
    element(0x06, &content)
}

fn base_128(arc: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = arc;
    let mut more = 0;
    loop {
        out.push(more | u8::try_from(rest & 0x7f).unwrap_or(0));
        rest >>= 7;
        more = 0x80;
        if rest == 0 {
            break;
        }
    }
    out.reverse();
    out
}

/// A UTF8String.
#[must_use]
pub fn utf8_string(text: &str) -> Vec<u8> {
    element(0x0c, text.as_bytes())
}

/// A time of a certificate: UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280, 4.1.2.5).
#[must_use]
pub fn time(time: Timestamp) -> Vec<u8> {
    let digits = digits(time);
    match digits.get(..4).and_then(|year| year.parse::<u16>().ok()) {
        Some(1950..=2049) => element(0x17, digits.get(2..).unwrap_or_default().as_bytes()),
        _ => generalized_time(time),
    }
}

/// A GeneralizedTime in whole seconds.
#[must_use]
pub fn generalized_time(time: Timestamp) -> Vec<u8> {
    element(0x18, digits(time).as_bytes())
}

/// `YYYYMMDDHHMMSSZ`.
fn digits(time: Timestamp) -> String {
    let text = time.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    let mut out: String = whole.chars().filter(char::is_ascii_digit).collect();
    out.push('Z');
    out
}

/// `AlgorithmIdentifier` without parameters.
#[must_use]
pub fn algorithm(dotted: &str) -> Vec<u8> {
    sequence(&[oid(dotted)])
}

/// `AlgorithmIdentifier` with NULL parameters.
#[must_use]
pub fn algorithm_null(dotted: &str) -> Vec<u8> {
    sequence(&[oid(dotted), null()])
}

/// A `Name` of an organization and a common name.
#[must_use]
pub fn name(organization: &str, common_name: &str) -> Vec<u8> {
    let part =
        |attribute: &str, value: &str| set(&[sequence(&[oid(attribute), utf8_string(value)])]);
    sequence(&[part("2.5.4.10", organization), part("2.5.4.3", common_name)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_the_bytes_of_x690() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(0x80), [2, 2, 0, 0x80]);
        assert_eq!(element(4, &[0; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(element(4, &[0; 0x100])[..4], [4, 0x82, 1, 0]);
        assert_eq!(named_bits(0x80), [3, 2, 7, 0x80]);
        assert_eq!(named_bits(0x06), [3, 2, 1, 0x06]);
        assert_eq!(named_bits(0), [3, 1, 0]);
        assert_eq!(
            oid("1.3.6.1.4.1.57264.1.8"),
            [6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8]
        );
    }

    #[test]
    fn times_change_form_in_2050() {
        let at = |text| time(Timestamp::parse(text).unwrap());
        assert_eq!(at("2026-11-21T09:00:01Z"), *b"\x17\x0d261121090001Z");
        assert_eq!(at("2050-01-01T00:00:00.5Z"), *b"\x18\x0f20500101000000Z");
    }
}
