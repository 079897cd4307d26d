//! The address of a proxy.
//!
//! reqwest drops a proxy that it cannot use without a word, and connects directly. Whatever it would
//! drop is refused here: a scheme other than the two that it was built with, a host with characters
//! that a request line has not, an address that is too long.

use reqwest::Url;

use crate::model::printable;
use crate::transport::Error;

/// Bytes of an address: room for a token as password, and far below what the `http` crate reads.
const MAX_ADDRESS: usize = 16 * 1024;

/// Parses the address of a proxy for everything.
pub(super) fn parse(text: &str) -> Result<reqwest::Proxy, Error> {
    if text.len() > MAX_ADDRESS {
        return Err(Error::Proxy);
    }
    // Without a scheme it is HTTP, as curl and Go read it.
    let url = match text.split_once("://") {
        Some(("", _)) => return Err(Error::Proxy),
        Some((scheme, _))
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") =>
        {
            return Err(Error::ProxyScheme {
                scheme: printable(scheme),
            });
        }
        Some(_) => Url::parse(text),
        None => Url::parse(&format!("http://{text}")),
    };
    let url = url.map_err(|_| Error::Proxy)?;
    let host = url.host_str().unwrap_or_default();
    let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = bare.parse::<core::net::Ipv6Addr>().is_ok() || bare.bytes().all(known);
    let alone = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if host.is_empty() || !is_host || !alone {
        return Err(Error::Proxy);
    }
    reqwest::Proxy::all(url).map_err(|_| Error::Proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_passed_over_in_silence_is_refused() {
        for address in [
            "http://proxy.test:3128",
            "https://proxy.test:3129/",
            "HTTP://proxy.test",
            "http://alice:s%40cret@proxy.test:3128",
            "http://[::1]:3128",
            "proxy_1.test:3128",
            "localhost:3128",
            "127.0.0.1:3128",
            "alice:secret@proxy.test:3128",
        ] {
            let proxy = parse(address);
            assert!(proxy.is_ok(), "{address}: {proxy:?}");
        }
        for (address, scheme) in [
            ("ftp://proxy.test:21", "ftp"),
            ("bad://x", "bad"),
            ("socks5://proxy.test:1080", "socks5"),
            ("socks5h://proxy.test:1080", "socks5h"),
            ("httpx://proxy.test", "httpx"),
        ] {
            let expected = Error::ProxyScheme {
                scheme: scheme.to_owned(),
            };
            assert_eq!(parse(address).err(), Some(expected), "{address}");
        }
        let long = format!("http://{}@proxy.test", "a".repeat(MAX_ADDRESS));
        for address in [
            "",
            "::",
            "://",
            "http://",
            "http://a b",
            "http://a\"b:3128",
            "http://a`b:3128",
            "http://a{b}:3128",
            "http://proxy.test:99999",
            "http://proxy.test/path",
            "http://proxy.test/?query",
            &long,
        ] {
            assert_eq!(parse(address).err(), Some(Error::Proxy), "{address}");
        }
    }
}
