//! A reader of DER for the three places where bytes must be taken apart exactly as they were
//! signed: public keys, the certificate without its SCTs, and RFC 3161 tokens.
//!
//! It reads definite, minimal lengths and single-byte tags, and nothing else (X.690 section 10). A
//! parser that builds values and encodes them again would compare its own bytes, not the signer's.

/// Tags that are read here.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
    /// `[0]`, constructed.
    pub(crate) const CONTEXT_0: u8 = 0xa0;
    /// `[1]`, constructed.
    pub(crate) const CONTEXT_1: u8 = 0xa1;
    /// `[3]`, constructed.
    pub(crate) const CONTEXT_3: u8 = 0xa3;
}

/// Not DER, or not what was expected at this place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotDer;

/// One element: its tag, its content, and all of its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// What is left to read of some content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever its tag.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, NotDer> {
        let bytes = self.0;
        let (&tag, after_tag) = bytes.split_first().ok_or(NotDer)?;
        if tag & 0x1f == 0x1f {
            return Err(NotDer);
        }
        let (&first, mut rest) = after_tag.split_first().ok_or(NotDer)?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(NotDer);
            }
            let (octets, after) = rest.split_at_checked(count).ok_or(NotDer)?;
            rest = after;
            let length = octets
                .iter()
                .fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet));
            if length < 0x80 || octets.first() == Some(&0) {
                return Err(NotDer);
            }
            length
        };
        let (content, after) = rest.split_at_checked(length).ok_or(NotDer)?;
        let raw = bytes.get(..bytes.len() - after.len()).ok_or(NotDer)?;
        self.0 = after;
        Ok(Element { tag, content, raw })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, NotDer> {
        let element = self.any()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(NotDer)
        }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, NotDer> {
        if self.0.first() == Some(&tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The content of the next element, which must have this tag, as a reader.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, NotDer> {
        Ok(Self(self.expect(tag)?.content))
    }

    /// An error unless everything was read.
    pub(crate) const fn end(&self) -> Result<(), NotDer> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(NotDer)
        }
    }
}

/// The whole of `bytes` as one element with this tag.
pub(crate) fn whole(bytes: &[u8], tag: u8) -> Result<Reader<'_>, NotDer> {
    let mut reader = Reader::new(bytes);
    let inner = reader.enter(tag)?;
    reader.end()?;
    Ok(inner)
}

/// Appends a tag and the length of a content of `length` bytes.
pub(crate) fn write_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    let octets = length.to_be_bytes();
    if length < 0x80 {
        out.extend(octets.last());
        return;
    }
    let significant: Vec<u8> = octets.iter().copied().skip_while(|o| *o == 0).collect();
    // At most eight octets, so the count fits and the high bit is free.
    out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
    out.extend(significant);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definite_minimal_lengths_are_read() {
        assert!(Reader::new(&[0x04, 0x01, 0x00]).any().is_ok());
        for bad in [
            &[][..],
            &[0x04],
            &[0x04, 0x02, 0x00],
            &[0x04, 0x80, 0x00, 0x00],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x85, 1, 1, 1, 1, 1],
            &[0x1f, 0x81, 0x00, 0x00],
        ] {
            assert!(Reader::new(bad).any().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_read_back() {
        for length in [0, 127, 128, 255, 256, 70_000] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, tag::OCTET_STRING, length);
            bytes.resize(bytes.len() + length, 7);
            let element = Reader::new(&bytes).any();
            assert_eq!(element.map(|e| e.content.len()), Ok(length));
        }
    }
}
