//! One request to a service, and what its answer means whatever the service is.

use core::time::Duration;

use bytes::Bytes;
use reqwest::header;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::model::Limits;
use crate::model::printable;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::secret::Secret;
use crate::services::secret::scrubbed;
use crate::transport::Deadline;
use crate::transport::Reply;
use crate::transport::Request;
use crate::transport::Transport;

/// How long a service may say nothing: Fulcio asks a certificate log and Rekor v2 collects entries
/// for its next checkpoint before they answer (cosign waits 30 s, the specification of clients 20 s).
const QUIET: Duration = Duration::from_secs(30);

/// What every request to a service goes by.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The HTTP set-up.
    pub transport: &'a Transport,
    /// The bounds on what services send.
    pub limits: &'a Limits,
    /// When the whole must have ended.
    pub deadline: Deadline,
}

/// A service that is asked, and the secret that it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) service: Service,
    pub(super) url: &'a Endpoint,
    /// Bytes of a good answer.
    pub(super) cap: usize,
    pub(super) secret: Option<&'a Secret>,
}

impl<'a> Ask<'a> {
    pub(super) const fn new(service: Service, url: &'a Endpoint, cap: usize) -> Self {
        Self {
            service,
            url,
            cap,
            secret: None,
        }
    }

    pub(super) fn get(&self) -> Request<'a> {
        Request::get(self.url.url(), self.url.tls(), self.cap).quiet(QUIET)
    }

    /// A POST that does no harm when it is made twice.
    pub(super) fn post(&self, kind: &'static str, body: impl Into<Bytes>) -> Request<'a> {
        let kind = HeaderValue::from_static(kind);
        Request::post(self.url.url(), self.url.tls(), self.cap, kind, body.into())
            .repeatable()
            .quiet(QUIET)
    }

    pub(super) fn post_json(&self, body: &serde_json::Value) -> Request<'a> {
        self.post("application/json", body.to_string())
    }

    /// Something else than the protocol.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Malformed {
            service: self.service,
            host: self.url.host(),
            reason: reason.into(),
        }
    }

    /// Reads an answer in JSON. Members that nobody asks for are passed over, as protobuf services
    /// may add some; two of one name are refused.
    pub(super) fn json<'de, T: Deserialize<'de>>(&self, body: &'de [u8]) -> Result<T, Error> {
        crate::model::read_json(body)
            .map_err(|error| self.malformed(scrubbed(&error.to_string(), self.secret)))
    }

    /// What an answer means that is not a good one.
    pub(super) fn refusal(&self, reply: &Reply) -> Error {
        let (service, host, status) = (self.service, self.url.host(), reply.status);
        let said = said(reply, self.secret);
        match status {
            429 => Error::RateLimited {
                service,
                host,
                said,
                retry_after: reply.retry_after(),
            },
            // Where a gateway knows no such method (RFC 9110, section 15.6.2).
            501 | 505 => Error::Refused {
                service,
                host,
                status,
                said,
            },
            408 | 500.. => Error::Unavailable {
                service,
                host,
                status,
                said,
                retry_after: reply.retry_after(),
            },
            400.. => Error::Refused {
                service,
                host,
                status,
                said,
            },
            _ => self.malformed(format!("it answered with status {status}")),
        }
    }
}

impl Client<'_> {
    /// Makes the request and gives the answer, whatever its status.
    pub(super) async fn fetch(&self, ask: &Ask<'_>, request: &Request<'_>) -> Result<Reply, Error> {
        let reply = self.transport.fetch(request, self.deadline).await;
        reply.map_err(|source| Error::Transport {
            service: ask.service,
            source,
        })
    }

    /// Makes the request and gives the body of a good answer.
    pub(super) async fn fetch_good(
        &self,
        ask: &Ask<'_>,
        request: &Request<'_>,
    ) -> Result<Bytes, Error> {
        let reply = self.fetch(ask, request).await?;
        match reply.status {
            200 | 201 => Ok(reply.body),
            _ => Err(ask.refusal(&reply)),
        }
    }
}

/// What a service says of its refusal: the `message` of its JSON (all services of Sigstore), the
/// `error_description` or `error` of OAuth, or the text; cut and escaped.
fn said(reply: &Reply, secret: Option<&Secret>) -> String {
    #[derive(Default, Deserialize)]
    struct Said {
        message: Option<String>,
        error_description: Option<String>,
        error: Option<String>,
    }
    let body = String::from_utf8_lossy(&reply.body);
    let said: Said = crate::model::read_json(&reply.body).unwrap_or_default();
    let text = said.message.or(said.error_description).or(said.error);
    let is_page = |reply: &Reply| {
        let kind = reply.header(header::CONTENT_TYPE).unwrap_or_default();
        kind.starts_with("text/html")
    };
    let text = match text {
        Some(text) => text,
        None if is_page(reply) => String::new(),
        None => body.into_owned(),
    };
    match printable(scrubbed(text.trim(), secret).trim()) {
        empty if empty.is_empty() => "it does not say why".to_owned(),
        text => text,
    }
}
