//! Queries and forms, as URLs and bodies carry them.

/// The members of a query or of a form, decoded, in order.
pub(in crate::sandbox) fn members(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            (
                decode(&name.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

/// The first value of a member.
pub(in crate::sandbox) fn member<'a>(
    members: &'a [(String, String)],
    name: &str,
) -> Option<&'a str> {
    members
        .iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.as_str())
}

/// Undoes percent-encoding; what is not well encoded stays as it is.
pub(in crate::sandbox) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = if *first == b'%' { tail.get(..2) } else { None };
        let byte = pair
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .and_then(|pair| core::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(byte) = byte {
            out.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form = members("scope=repository%3Aa%2Fb%3Apull&x=a+b&flag&bad=%zz&sign=%%2B1");
        assert_eq!(member(&form, "scope"), Some("repository:a/b:pull"));
        assert_eq!(member(&form, "x"), Some("a b"));
        assert_eq!(member(&form, "flag"), Some(""));
        assert_eq!(member(&form, "bad"), Some("%zz"));
        assert_eq!(member(&form, "sign"), Some("%+1"));
        assert_eq!(member(&form, "none"), None);
        assert_eq!(decode("%+1"), "%+1", "a sign is no digit");
    }
}
