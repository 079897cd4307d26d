//! One request and its answer, read to its end within bounds.

use core::error::Error as _;
use core::time::Duration;
use std::time::SystemTime;

use bytes::Bytes;
use bytes::BytesMut;
use reqwest::Method;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;

use crate::model::printable;
use crate::transport::Cause;
use crate::transport::Deadline;
use crate::transport::Error;
use crate::transport::Tls;
use crate::transport::client::Inner;
use crate::transport::guard::Blocked;

/// As much of an error's body as is read, to be quoted.
const ERROR_BODY: usize = 8 * 1024;
/// Bytes a second that the slowest line takes that a body is sent over.
const SLOWEST: u64 = 64 * 1024;

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    pub(super) tries: u32,
    method: Method,
    url: &'a Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    tls: Tls,
    cap: usize,
    repeat: Repeat,
    quiet: Option<Duration>,
}

/// Whether a request that failed may be made again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Repeat {
    No,
    Yes,
}

impl<'a> Request<'a> {
    /// A GET of `url` whose answer has at most `cap` bytes.
    #[must_use]
    pub fn get(url: &'a Url, tls: Tls, cap: usize) -> Self {
        Self::new(Method::GET, url, tls, cap, Repeat::Yes)
    }

    /// A HEAD of `url`.
    #[must_use]
    pub fn head(url: &'a Url, tls: Tls) -> Self {
        Self::new(Method::HEAD, url, tls, 0, Repeat::Yes)
    }

    /// A PATCH with a body. It is made once.
    #[must_use]
    pub fn patch(url: &'a Url, tls: Tls, cap: usize, kind: HeaderValue, body: Bytes) -> Self {
        Self::new(Method::PATCH, url, tls, cap, Repeat::No).with(kind, body)
    }

    /// A POST with a body of the type `kind`. It is made once, unless it is [`Self::repeatable`].
    #[must_use]
    pub fn post(url: &'a Url, tls: Tls, cap: usize, kind: HeaderValue, body: Bytes) -> Self {
        Self::new(Method::POST, url, tls, cap, Repeat::No).with(kind, body)
    }

    /// A POST of a form (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn post_form(url: &'a Url, tls: Tls, cap: usize, form: String) -> Self {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        Self::post(url, tls, cap, kind, form.into())
    }

    /// A PUT with a body of the type `kind`. It is made once, unless it is [`Self::repeatable`].
    #[must_use]
    pub fn put(url: &'a Url, tls: Tls, cap: usize, kind: HeaderValue, body: Bytes) -> Self {
        Self::new(Method::PUT, url, tls, cap, Repeat::No).with(kind, body)
    }

    fn new(method: Method, url: &'a Url, tls: Tls, cap: usize, repeat: Repeat) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        Self {
            tries: u32::MAX,
            method,
            url,
            headers,
            body: None,
            tls,
            cap,
            repeat,
            quiet: None,
        }
    }

    fn with(mut self, kind: HeaderValue, body: Bytes) -> Self {
        self.headers.insert(header::CONTENT_TYPE, kind);
        self.body = Some(body);
        self
    }

    /// The same, which does no harm when it is made twice, and so is tried again like a GET.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Yes;
        self
    }

    /// The same with another bound on how long no byte may come.
    #[must_use]
    pub const fn quiet(mut self, time: Duration) -> Self {
        self.quiet = Some(time);
        self
    }

    /// The same with another header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same, made only once.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.tries = 1;
        self
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.repeat == Repeat::Yes
    }

    /// How long no byte may come. The answer to a body begins only when that has been sent.
    fn patience(&self, usual: Duration) -> Duration {
        let body = self.body.as_ref().map_or(0, Bytes::len);
        let sending = u64::try_from(body).unwrap_or(u64::MAX) / SLOWEST;
        let quiet = self.quiet.unwrap_or(usual);
        quiet.saturating_add(Duration::from_secs(sending))
    }

    /// Makes the request once.
    pub(super) async fn exchange(&self, inner: &Inner, deadline: Deadline) -> Result<Reply, Error> {
        let host = host_of(self.url);
        inner.judge(self.url)?;
        if deadline.is_over() {
            return Err(Error::Deadline { host });
        }
        let lane = inner.lane(&host);
        let _permit = deadline.limit(&host, lane.acquire_owned()).await?;
        let clock = Clock {
            host: &host,
            quiet: self.patience(inner.settings().read_timeout),
            deadline,
        };
        let mut request = inner
            .client(self.tls)?
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let mut response = clock.limit(request.send()).await?;
        let status = response.status().as_u16();
        let headers = core::mem::take(response.headers_mut());
        let body = if status < 400 {
            refuse_encoding(&headers, &host)?;
            clock.read(&mut response, &headers, self.cap).await?
        } else {
            clock.read_start(&mut response).await
        };
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

/// The two bounds on waiting for one host.
struct Clock<'a> {
    host: &'a str,
    quiet: Duration,
    deadline: Deadline,
}

impl Clock<'_> {
    async fn limit<T>(
        &self,
        work: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Error> {
        let left = self.deadline.remaining();
        match tokio::time::timeout(self.quiet.min(left), work).await {
            Ok(outcome) => outcome.map_err(|error| classify(&error, self.host)),
            Err(_) if left <= self.quiet => Err(Error::Deadline {
                host: self.host.to_owned(),
            }),
            Err(_) => Err(Error::Timeout {
                host: self.host.to_owned(),
                after: self.quiet,
            }),
        }
    }

    async fn read(
        &self,
        response: &mut reqwest::Response,
        headers: &HeaderMap,
        cap: usize,
    ) -> Result<Bytes, Error> {
        let too_large = || Error::TooLarge {
            host: self.host.to_owned(),
            limit: cap,
        };
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| usize::try_from(length).map_or(true, |l| l > cap)) {
            return Err(too_large());
        }
        // The first chunk is kept as it is, which is the whole body of most manifests. Nothing is
        // allocated by what the other side announces.
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(chunk) = self.limit(response.chunk()).await? {
            if first.len() + rest.len() + chunk.len() > cap {
                return Err(too_large());
            }
            if first.is_empty() && rest.is_empty() {
                first = chunk;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                    first = Bytes::new();
                }
                rest.extend_from_slice(&chunk);
            }
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    }

    /// The first bytes of an error's body, as many as come.
    async fn read_start(&self, response: &mut reqwest::Response) -> Bytes {
        let mut start = BytesMut::new();
        while let Ok(Some(chunk)) = self.limit(response.chunk()).await {
            start.extend_from_slice(&chunk);
            if start.len() >= ERROR_BODY {
                start.truncate(ERROR_BODY);
                break;
            }
        }
        start.freeze()
    }
}

/// An answer, read to its end (that of an error status only to its first 8 KiB).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// An answer that was not asked for, for tests.
    #[cfg(test)]
    pub(crate) const fn new(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// The value of a header, when it is there and is text.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without parameters, in lower case.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.header(header::CONTENT_TYPE)?;
        let bare = value.split(';').next().unwrap_or(value).trim();
        (!bare.is_empty()).then(|| bare.to_ascii_lowercase())
    }

    /// How long the server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        parse_retry_after(self.header(header::RETRY_AFTER)?, SystemTime::now())
    }

    /// Whether asking again may help.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
    }
}

impl Error {
    /// Whether asking again may help.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                cause: Cause::Broken | Cause::Connect,
                ..
            }
        )
    }
}

/// Seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|c| c.is_ascii_digit()) && !value.is_empty() {
        // A number that does not fit means "never", and is kept as such.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let now = jiff::Timestamp::try_from(now).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A body that was compressed although `identity` was asked for is not read.
fn refuse_encoding(headers: &HeaderMap, host: &str) -> Result<(), Error> {
    for value in headers.get_all(header::CONTENT_ENCODING) {
        if !value.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(Error::Encoding {
                host: host.to_owned(),
                encoding: printable(&String::from_utf8_lossy(value.as_bytes())),
            });
        }
    }
    Ok(())
}

/// The host of a URL, with its port where it is not the scheme's own. Never userinfo or a query.
pub(super) fn host_of(url: &Url) -> String {
    let host = printable(url.host_str().unwrap_or("?"));
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Finds out what a failure of the HTTP client was.
fn classify(error: &reqwest::Error, host: &str) -> Error {
    let mut cause = None;
    let mut detail = String::new();
    let mut link = error.source();
    while let Some(current) = link {
        if let Some(Blocked(address)) = current.downcast_ref::<Blocked>() {
            return Error::Refused {
                host: host.to_owned(),
                address: *address,
            };
        }
        if current.is::<rustls::Error>() {
            cause = Some(Cause::Tls);
        }
        detail = current.to_string();
        // An I/O error that wraps another error names that one's source as its own.
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        link = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    let cause = cause.unwrap_or_else(|| {
        if error.is_connect() && error.is_timeout() {
            Cause::NoAnswer
        } else if error.is_dns() {
            Cause::Name
        } else if error.is_connect() {
            Cause::Connect
        } else if detail.starts_with("invalid HTTP") {
            // hyper's words for an answer that it cannot parse.
            Cause::Protocol
        } else {
            Cause::Broken
        }
    });
    Error::Unreachable {
        host: host.to_owned(),
        cause,
        detail: printable(&detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(parse_retry_after(value, now), expected, "{value}");
        }
    }
}
