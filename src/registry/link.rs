//! The `Link` header (RFC 8288, section 3), for the one relation that counts here: `next`.
//!
//! Read as appendix B of the RFC has it, but never past what it cannot read: a header that is not
//! understood to its end may name a next page, and is an error instead of "no more".

/// A `Link` header that cannot be read, or that names several next pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unreadable;

/// The target of the link with the relation `next` among the values of all `Link` headers.
///
/// # Errors
///
/// [`Unreadable`] when any of the values has something else than links, or when two next pages are
/// not the same one.
pub(super) fn next_page<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<String>, Unreadable> {
    let mut next: Option<&[u8]> = None;
    for value in values {
        let mut rest = Rest(value);
        while let Some(link) = rest.link()? {
            if !link.is_next {
                continue;
            }
            if next.is_some_and(|other| other != link.target) {
                return Err(Unreadable);
            }
            next = Some(link.target);
        }
    }
    next.map(|target| {
        // RFC 3986 knows no other characters.
        let target = target.iter().all(u8::is_ascii_graphic).then_some(target);
        let target = target.ok_or(Unreadable)?.to_vec();
        String::from_utf8(target).map_err(|_| Unreadable)
    })
    .transpose()
}

/// One link.
struct Link<'a> {
    target: &'a [u8],
    is_next: bool,
}

/// One parameter of a link.
struct Parameter<'a> {
    name: &'a [u8],
    value: Vec<u8>,
}

/// What is left of a value.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// The next link; nothing at the end.
    fn link(&mut self) -> Result<Option<Link<'a>>, Unreadable> {
        self.skip_while(|c| is_space(c) || c == b',');
        if self.0.is_empty() {
            return Ok(None);
        }
        self.expect(b'<')?;
        let target = self.take_while(|c| c != b'>');
        self.expect(b'>')?;
        let mut relations: Option<Vec<u8>> = None;
        loop {
            self.skip_while(is_space);
            match self.0.first() {
                None => break,
                Some(b',') => break,
                Some(b';') => self.expect(b';')?,
                Some(_) => return Err(Unreadable),
            }
            let Some(parameter) = self.parameter()? else {
                continue;
            };
            if parameter.name.eq_ignore_ascii_case(b"rel") {
                // Only the first one counts, and readers differ about it: there may be only one.
                if relations.is_some() {
                    return Err(Unreadable);
                }
                relations = Some(parameter.value);
            }
        }
        let relations = relations.unwrap_or_default();
        let is_next = relations
            .split(|c| is_space(*c))
            .any(|relation| relation.eq_ignore_ascii_case(b"next"));
        Ok(Some(Link { target, is_next }))
    }

    /// The name and value of a parameter; nothing between two semicolons.
    fn parameter(&mut self) -> Result<Option<Parameter<'a>>, Unreadable> {
        self.skip_while(is_space);
        let name = self.take_while(is_token);
        if name.is_empty() {
            return Ok(None);
        }
        self.skip_while(is_space);
        let value = match self.0.first() {
            Some(b'=') => self.value()?,
            _ => Vec::new(),
        };
        Ok(Some(Parameter { name, value }))
    }

    /// What stands behind the name of a parameter.
    fn value(&mut self) -> Result<Vec<u8>, Unreadable> {
        self.expect(b'=')?;
        self.skip_while(is_space);
        if self.0.first() == Some(&b'"') {
            return self.quoted();
        }
        // Some write a URI without quotes.
        let value = self.take_while(|c| c.is_ascii_graphic() && !b"\"<>,;".contains(&c));
        // And some take the apostrophe for a quote, which no relation has.
        let bare = value
            .strip_prefix(b"'")
            .and_then(|value| value.strip_suffix(b"'"));
        Ok(bare.unwrap_or(value).to_vec())
    }

    /// A quoted string with its escapes undone (RFC 9110, section 5.6.4).
    fn quoted(&mut self) -> Result<Vec<u8>, Unreadable> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.take_while(|c| c != b'"' && c != b'\\'));
            if self.0.first() == Some(&b'"') {
                self.expect(b'"')?;
                return Ok(text);
            }
            self.expect(b'\\')?;
            let (escaped, rest) = self.0.split_first().ok_or(Unreadable)?;
            text.push(*escaped);
            self.0 = rest;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.0 = self.0.strip_prefix(&[byte]).ok_or(Unreadable)?;
        Ok(())
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) {
        self.take_while(belongs);
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|c| !belongs(*c));
        let (taken, rest) = self
            .0
            .split_at_checked(end.unwrap_or(self.0.len()))
            .unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}

/// The white space of a header (RFC 9110, section 5.6.3).
const fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t')
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_every_spelling() {
        for values in [
            &["</a>; rel=\"next\""][..],
            &["</a>;rel=next"],
            &["</a>;rel=next;"],
            &["</a> ; ; rel = \"next\" ;; x"],
            &["</a>;\trel\t=\tnext\t"],
            &["</a>; REL=\"NEXT\""],
            &["</a>; rel='next'"],
            &["</a>; rel=\"prev next\""],
            &["</a>; rel=\"prev\tnext\""],
            &["</a>; rel=\"prev  next last\""],
            &["</a>; rel=\"n\\ext\""],
            &["</a>; title=\"a \\\" , </b>; rel=prev\"; rel=\"next\""],
            &["</a>; title*=UTF-8''%c3%a4; rel=next"],
            &["</a>; crossorigin; rel=next"],
            &[", ,</p>; rel=\"prev\" , </a>; rel=\"next\","],
            &["</p,x>; rel=\"prev\",</a>; rel=next"],
            &["</p;x>; rel=http://x.test/y, </a>; rel=next"],
            &["", "</p>; rel=\"prev\"", "</a>; rel=\"next\"", ""],
            &["</a>; rel=next, </a>; rel=\"next\""],
        ] {
            let values = values.iter().map(|value| value.as_bytes());
            assert_eq!(next_page(values.clone()), Ok(Some("/a".to_owned())));
        }
        let target = "</v2/a/b/referrers/x?n=2,3&last=%3E;>; rel=next".as_bytes();
        let expected = "/v2/a/b/referrers/x?n=2,3&last=%3E;".to_owned();
        assert_eq!(next_page([target].into_iter()), Ok(Some(expected)));
        let bytes = b"</a>; title=\"\xfc\"; rel=\"next\xfc next\"".as_slice();
        assert_eq!(next_page([bytes].into_iter()), Ok(Some("/a".to_owned())));
    }

    #[test]
    fn other_relations_are_no_next_page() {
        for values in [
            &[][..],
            &[""],
            &[" , ,"],
            &["</a>"],
            &["</a>; rel=prev, </b>; rel=\"last nextish\""],
            &["</a>; title=\"; rel=next\""],
            &["</a>; rev=next", "</b>; x-rel=next"],
            &["</a;rel=next>; rel"],
        ] {
            let values = values.iter().map(|value| value.as_bytes());
            assert_eq!(next_page(values), Ok(None));
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_no_next_page() {
        for values in [
            &[&b"garbage"[..]][..],
            &[b"/a; rel=next"],
            &[b"</a; rel=next"],
            &[b"</a>; rel=\"next"],
            &[b"</a>; rel=\"next\\"],
            &[b"</a> rel=next"],
            &[b"</a>; rel=prev next"],
            &[b"</a>; rel='prev next'"],
            &[b"</a>; rel=\"prev\"next"],
            &[b"</a>; rel=prev; rel=next"],
            &[b"</a>; \xa0rel=next"],
            &[b"</a>; rel\xa0=next"],
            &[b"</a>; rel=\xa0next"],
            &[b"</\xfc>; rel=next"],
            &[b"</a b>; rel=next"],
            &[b"</a>; rel=next", b"</b>; rel=next"],
            &[b"</a>; rel=next", b"garbage"],
            &[b"</a>; rel=next </b>"],
        ] {
            assert_eq!(next_page(values.iter().copied()), Err(Unreadable));
        }
    }
}
