//! What a server does wrong, and to which requests.

use core::time::Duration;

use axum::http::Method;
use bytes::Bytes;

use crate::model::Digest;

/// A way of misbehaving, and the requests that meet it.
///
/// Without further calls it meets every request. Kinds that alter a good answer meet only requests
/// that would get one, so that an authentication round trip before it does not use the fault up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// What it does.
    pub kind: FaultKind,
    /// The method it meets; any without one.
    pub method: Option<String>,
    /// What the path with its query must contain.
    pub path_contains: String,
    /// How many requests that it would meet pass unharmed first.
    pub after: usize,
    /// How many requests it meets then; all without a number.
    pub times: Option<usize>,
}

impl Fault {
    /// A fault that meets every request.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            method: None,
            path_contains: String::new(),
            after: 0,
            times: None,
        }
    }

    /// Meets only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Meets only requests whose path with its query contains this text.
    #[must_use]
    pub fn path(mut self, contains: &str) -> Self {
        contains.clone_into(&mut self.path_contains);
        self
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub const fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    /// Meets only so many requests.
    #[must_use]
    pub const fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }
}

/// A way of misbehaving.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// 401 with this `WWW-Authenticate` header.
    Challenge(String),
    /// 200 without a body.
    EmptyOk,
    /// The good answer, and then spaces without end, chunked.
    EndlessBody,
    /// The good answer, and then spaces, with a `Content-Length` of a tebibyte.
    EndlessLength,
    /// The good body in gzip, marked as such.
    Gzip,
    /// A gigabyte of zeros in a megabyte of gzip, marked as such.
    GzipBomb,
    /// No answer.
    Hang,
    /// The good answer with this header set, or without it.
    Header {
        /// The name of the header.
        name: &'static str,
        /// Its value; without one the header is left out.
        value: Option<String>,
    },
    /// 200 and a login page in HTML.
    HtmlOk,
    /// The good answer with `Link: <this>; rel="next"`.
    LinkTo(String),
    /// A manifest asked for by tag is the one of this digest. With [`Fault::after`] the tag moves.
    MovedTag(Digest),
    /// The good answer with the next `Content-Type`.
    OtherContentType(String),
    /// The good answer with these bytes and a `Docker-Content-Digest` that fits them.
    OtherManifest(Bytes),
    /// 401 with a bearer challenge whose realm is this URL.
    Realm(String),
    /// A redirect.
    Redirect {
        /// The `Location`.
        to: String,
        /// The status, such as 302 or 307.
        status: u16,
    },
    /// The connection is reset (TCP RST) before the answer.
    Reset,
    /// The connection is reset in the middle of a good body.
    ResetInBody,
    /// Half of the good body under the `Content-Length` of the whole.
    ShortBody,
    /// The good body, so many bytes at a time.
    SlowBody {
        /// How many bytes.
        bytes: usize,
        /// How long it waits before each.
        interval: Duration,
    },
    /// Another status, without a challenge even if it is 401.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header.
        retry_after: Option<String>,
        /// The body; without one an OCI error.
        body: Option<Bytes>,
    },
    /// The good body with one bit flipped.
    WrongBody,
    /// The good answer with the `Docker-Content-Digest` of other bytes.
    WrongDigestHeader,
}

impl FaultKind {
    /// Another status, with an OCI error.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            body: None,
        }
    }

    /// Where it strikes.
    const fn place(&self) -> Place {
        match self {
            Self::MovedTag(_) => Place::Tag,
            Self::Challenge(_)
            | Self::EmptyOk
            | Self::Hang
            | Self::HtmlOk
            | Self::Realm(_)
            | Self::Redirect { .. }
            | Self::Reset
            | Self::Status { .. } => Place::Request,
            Self::Header { .. }
            | Self::LinkTo(_)
            | Self::OtherContentType(_)
            | Self::WrongDigestHeader => Place::Answer,
            Self::EndlessBody
            | Self::EndlessLength
            | Self::Gzip
            | Self::GzipBomb
            | Self::OtherManifest(_)
            | Self::ResetInBody
            | Self::ShortBody
            | Self::SlowBody { .. }
            | Self::WrongBody => Place::Body,
        }
    }
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Place {
    /// In place of the answer.
    Request,
    /// In what a tag means.
    Tag,
    /// In a good answer.
    Answer,
    /// In a good answer that has a body, which the answer to HEAD has not.
    Body,
}

/// The faults that were injected, and how many requests each met.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, usize)>);

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first fault that strikes a request at one of these places.
    pub(super) fn strike(
        &mut self,
        method: &Method,
        target: &str,
        places: &[Place],
    ) -> Option<FaultKind> {
        let mut struck = None;
        for (fault, seen) in &mut self.0 {
            let other_method = fault
                .method
                .as_deref()
                .is_some_and(|own| own != method.as_str());
            if other_method
                || !target.contains(&fault.path_contains)
                || !places.contains(&fault.kind.place())
            {
                continue;
            }
            let number = *seen;
            *seen += 1;
            let end = fault
                .times
                .map_or(usize::MAX, |times| fault.after.saturating_add(times));
            if struck.is_none() && (fault.after..end).contains(&number) {
                struck = Some(fault.kind.clone());
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_what_it_names_and_no_more() {
        let mut faults = Faults::default();
        let kind = FaultKind::Hang;
        faults.push(
            Fault::new(kind.clone())
                .method("GET")
                .path("/tags/")
                .after(1)
                .times(2),
        );
        let mut strike =
            |method: &Method, target| faults.strike(method, target, &[Place::Request]).is_some();
        assert!(!strike(&Method::HEAD, "/v2/a/tags/list"));
        assert!(!strike(&Method::GET, "/v2/a/manifests/x"));
        let hits: Vec<_> = (0..5)
            .map(|_| strike(&Method::GET, "/v2/a/tags/list"))
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }
}
