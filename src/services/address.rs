//! Where a service is.

use core::fmt;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::model::printable;
use crate::transport::Tls;

/// Bytes of an address.
const MAX: usize = 2048;

/// The address of a service: `https://`, or `http://` on loopback. No password stands in it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint(Url);

/// Whether an address may end with a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Query {
    Allowed,
    Refused,
}

impl Endpoint {
    /// Parses the URL of a service.
    ///
    /// # Errors
    ///
    /// [`AddressError`] for anything but `https://HOST…` and `http://` on loopback, and for
    /// credentials, a query or a fragment in it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::read(text, Query::Refused)
    }

    /// The same, with or without a query.
    pub(super) fn read(text: &str, query: Query) -> Result<Self, AddressError> {
        let wrong = |rule| AddressError {
            url: shown(text),
            rule,
        };
        if text.len() > MAX {
            return Err(wrong("it is too long"));
        }
        let url = Url::parse(text)
            .map_err(|_| wrong("it is no URL (write `https://HOST` with what follows it)"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a name or a password stands in it (leave them away)"));
        }
        let is_query_wrong = query == Query::Refused && url.query().is_some();
        if is_query_wrong || url.fragment().is_some() {
            return Err(wrong(
                "it ends with a query or a fragment (leave that away)",
            ));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err(wrong("`http://` is for loopback alone (write `https://`)")),
            _ => Err(wrong("a service is reached by `https://`")),
        }
    }

    /// The host, with its port where it is not the scheme's own.
    #[must_use]
    pub fn host(&self) -> String {
        let host = printable(self.0.host_str().unwrap_or_default());
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// Its `HOST:PORT`, where the URL names a port: whoever wrote it means it.
    #[must_use]
    pub fn host_and_port(&self) -> Option<String> {
        let port = self.0.port()?;
        Some(format!("{}:{port}", self.0.host_str()?))
    }

    /// The URL itself.
    pub(super) const fn url(&self) -> &Url {
        &self.0
    }

    /// How it is connected to.
    pub(super) fn tls(&self) -> Tls {
        match self.0.scheme() {
            "http" => Tls::None,
            _ => Tls::Verified,
        }
    }

    /// What lies below it. `path` is ours, or made of characters that mean nothing in a URL.
    pub(super) fn below(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url.set_query(None);
        Self(url)
    }

    /// The same with one more member of the query.
    pub(super) fn asking(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        Self(url)
    }

    /// The last part of the path that a `Location` header names, if that is of this very origin. The
    /// rest of it leads nobody anywhere: what is asked is built from our own address.
    pub(super) fn last_of_location(&self, headers: &HeaderMap) -> Option<String> {
        let location = headers.get(reqwest::header::LOCATION)?.to_str().ok()?;
        let url = self.0.join(location).ok()?;
        if url.origin() != self.0.origin() {
            return None;
        }
        url.path_segments()?.next_back().map(str::to_owned)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may hold a secret.
        let mut url = self.0.clone();
        url.set_query(None);
        f.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.to_string()).finish()
    }
}

/// Whether a URL is of this machine: by number, or by the name that means nothing else.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let by_number = bare.parse::<core::net::IpAddr>();
    host == "localhost" || by_number.is_ok_and(|address| address.is_loopback())
}

/// The text, without what may be a password or a secret.
fn shown(text: &str) -> String {
    let rest = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    printable(rest.split(['?', '#']).next().unwrap_or_default())
}

/// Why a text is no address of a service. Whoever wrote it can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{url}` is no address of a service: {rule}")]
pub struct AddressError {
    url: String,
    rule: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_reached_by_tls_or_on_loopback() {
        for (text, expected) in [
            ("https://fulcio.test", "https://fulcio.test"),
            ("https://fulcio.test/a/b/", "https://fulcio.test/a/b"),
            ("http://127.0.0.1:5555", "http://127.0.0.1:5555"),
            ("http://127.1/", "http://127.0.0.1"),
            ("http://[::1]:1/x", "http://[::1]:1/x"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            let endpoint = Endpoint::parse(text).map(|endpoint| endpoint.to_string());
            assert_eq!(endpoint.as_deref(), Ok(expected));
        }
        let long = format!("https://a.test/{}", "x".repeat(MAX));
        for text in [
            "",
            "fulcio.test",
            "ftp://fulcio.test",
            "file:///etc/passwd",
            "http://fulcio.test",
            "http://localhost.evil.test",
            "http://127.0.0.1.evil.test",
            "http://10.0.0.1",
            "https://user:secret@fulcio.test",
            "https://secret@fulcio.test",
            "https://fulcio.test?token=secret",
            "https://fulcio.test#secret",
            &long,
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let asked = Endpoint::read("https://a.test/t?v=2.0&x=", Query::Allowed).unwrap();
        let asked = asked.asking("audience", "a b&c");
        assert_eq!(asked.url().query(), Some("v=2.0&x=&audience=a+b%26c"));
        assert_eq!(asked.to_string(), "https://a.test/t");
        assert_eq!(format!("{asked:?}"), "Endpoint(\"https://a.test/t\")");
        let bare = Endpoint::parse("https://a.test/t").unwrap();
        let asked = bare.asking("audience", "sigstore");
        assert_eq!(asked.url().as_str(), "https://a.test/t?audience=sigstore");
    }

    #[test]
    fn a_location_counts_on_its_own_origin_alone() {
        let endpoint = Endpoint::parse("https://log.test/api/v1/log/entries").unwrap();
        let last = |location: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(reqwest::header::LOCATION, location.parse().unwrap());
            endpoint.last_of_location(&headers)
        };
        assert_eq!(last("/api/v1/log/entries/00ff").as_deref(), Some("00ff"));
        assert_eq!(last("https://log.test/x/00ff?a").as_deref(), Some("00ff"));
        for elsewhere in [
            "https://evil.test/00ff",
            "//evil.test/00ff",
            "http://log.test/00ff",
            "https://log.test:444/00ff",
        ] {
            assert_eq!(last(elsewhere), None, "{elsewhere}");
        }
    }
}
