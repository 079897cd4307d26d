//! What a request to a registry says and what it needs, without the address.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;

use crate::model::Exceeded;
use crate::model::Repository;
use crate::registry::Asked;
use crate::registry::Error;
use crate::transport;
use crate::transport::Deadline;
use crate::transport::Request;
use crate::transport::Tls;

/// Bytes of the answer to what was written, which has none that count.
const WRITTEN: usize = 64 * 1024;

/// What a request needs the right to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access<'a> {
    /// To read.
    Pull,
    /// To write, and to read what was written.
    Push,
    /// To write, and to read another repository.
    PushFrom(&'a Repository),
}

impl Access<'_> {
    /// The scopes of a token for it, each for one parameter: some servers look at the first alone.
    pub(super) fn scopes(self, repository: &Repository) -> Vec<String> {
        let scope =
            |repository: &Repository, rights| format!("repository:{}:{rights}", repository.path());
        match self {
            Self::Pull => vec![scope(repository, "pull")],
            Self::Push => vec![scope(repository, "pull,push")],
            Self::PushFrom(other) => vec![scope(repository, "pull,push"), scope(other, "pull")],
        }
    }

    pub(super) const fn pushes(self) -> bool {
        matches!(self, Self::Push | Self::PushFrom(_))
    }
}

/// What is done at an address.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Get,
    Patch(Body),
    Post(Body),
    Put(Body),
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) kind: HeaderValue,
    pub(super) bytes: Bytes,
}

impl Body {
    /// Bytes of no type.
    pub(super) const fn plain(bytes: Bytes) -> Self {
        Self {
            kind: HeaderValue::from_static("application/octet-stream"),
            bytes,
        }
    }
}

/// Whether the transport may make a request again by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Again {
    May,
    MayNot,
}

/// One request, without where.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) repository: &'a Repository,
    pub(super) asked: &'a Asked,
    pub(super) deadline: Deadline,
    pub(super) tls: Tls,
    pub(super) access: Access<'a>,
    pub(super) accept: Option<&'static str>,
    /// Further headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it is made only once, whatever comes of it.
    pub(super) once: bool,
    act: Act,
    again: Again,
    cap: usize,
}

impl<'a> Plan<'a> {
    /// A GET whose answer has at most `cap` bytes.
    pub(super) const fn read(
        repository: &'a Repository,
        asked: &'a Asked,
        cap: usize,
        deadline: Deadline,
    ) -> Self {
        Self {
            repository,
            asked,
            deadline,
            tls: Tls::Verified,
            access: Access::Pull,
            accept: None,
            headers: Vec::new(),
            once: false,
            act: Act::Get,
            again: Again::May,
            cap,
        }
    }

    /// A request that writes.
    pub(super) fn write(
        repository: &'a Repository,
        asked: &'a Asked,
        act: Act,
        again: Again,
        deadline: Deadline,
    ) -> Self {
        let mut plan = Self::read(repository, asked, WRITTEN, deadline);
        plan.access = Access::Push;
        plan.act = act;
        plan.again = again;
        plan
    }

    /// Whether it changes something.
    pub(super) const fn writes(&self) -> bool {
        !matches!(self.act, Act::Get)
    }

    pub(super) fn request<'u>(&self, url: &'u Url, tls: Tls) -> Request<'u> {
        let cap = self.cap;
        let sent = |body: &Body| (body.kind.clone(), body.bytes.clone());
        let mut request = match &self.act {
            Act::Get => Request::get(url, tls, cap),
            Act::Patch(body) => {
                let (kind, bytes) = sent(body);
                Request::patch(url, tls, cap, kind, bytes)
            }
            Act::Post(body) => {
                let (kind, bytes) = sent(body);
                Request::post(url, tls, cap, kind, bytes)
            }
            Act::Put(body) => {
                let (kind, bytes) = sent(body);
                Request::put(url, tls, cap, kind, bytes)
            }
        };
        if self.writes() && self.again == Again::May {
            request = request.repeatable();
        }
        if let Some(accept) = self.accept {
            request = request.header(header::ACCEPT, HeaderValue::from_static(accept));
        }
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        if self.once { request.once() } else { request }
    }

    /// A question on the way to the request.
    pub(super) fn question<'u>(&self, url: &'u Url) -> Request<'u> {
        let request = Request::get(url, self.tls, self.cap);
        if self.once { request.once() } else { request }
    }

    pub(super) fn failed(&self, source: transport::Error) -> Error {
        let asked = self.asked.clone();
        if let transport::Error::TooLarge { limit, .. } = source {
            let what = "bytes in the answer";
            let exceeded = Exceeded { what, limit };
            return Error::Exceeded { asked, exceeded };
        }
        Error::Transport { asked, source }
    }
}
