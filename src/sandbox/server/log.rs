//! What a server saw.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use axum::http::Version;
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use tokio::time::Instant;

/// The longest body that is kept, so that a log of large pushes does not keep all their bytes.
const KEPT: usize = 8 << 20;

/// How many requests are kept; of more, the newest are. Far more than any test makes.
const REQUESTS: usize = 20_000;

/// How many bytes of bodies are kept; then the oldest bodies go.
const BODIES: usize = 64 << 20;

/// A request, as it arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Logged {
    /// When it arrived.
    pub at: Instant,
    /// The number of its connection, from 1.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What stands behind the question mark; empty without one.
    pub query: String,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Accept` headers, joined by commas.
    pub accept: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; empty where it was longer than 8 MiB, which is more than any manifest, and where
    /// newer ones have taken its place.
    pub body: Bytes,
    /// The status of the answer; nothing while there is none.
    pub status: Option<u16>,
}

impl Logged {
    pub(super) fn new(connection: usize, parts: &Parts, body: Bytes) -> Self {
        let authorization = parts.headers.get(header::AUTHORIZATION);
        Self {
            at: Instant::now(),
            connection,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            version: parts.version,
            authorization: authorization.map(|value| text(value.as_bytes())),
            accept: accept(&parts.headers),
            headers: parts.headers.clone(),
            body: if body.len() > KEPT {
                Bytes::new()
            } else {
                body
            },
            status: None,
        }
    }

    /// Method and path with query: `GET /v2/`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        if !self.query.is_empty() {
            line.push('?');
            line.push_str(&self.query);
        }
        line
    }
}

/// All `Accept` headers as one.
pub(in crate::sandbox) fn accept(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers
        .get_all(header::ACCEPT)
        .iter()
        .map(|value| text(value.as_bytes()))
        .collect();
    values.join(", ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The requests and counts so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<Logged>,
    /// The bytes of all bodies that are kept, and the first request whose body may be.
    bodies: (usize, usize),
    /// How many requests were forgotten, so that an answer still finds its request.
    forgotten: usize,
    connections: usize,
    running: usize,
    peak: usize,
}

impl Log {
    /// Counts a connection and gives it a number.
    pub(super) fn connect(&mut self) -> usize {
        self.connections += 1;
        self.connections
    }

    /// Keeps a request and gives back where, for [`Log::answered`].
    pub(super) fn arrived(&mut self, request: Logged) -> usize {
        self.bodies.0 += request.body.len();
        self.requests.push_back(request);
        while self.bodies.0 > BODIES {
            let place = self.bodies.1.max(self.forgotten);
            let Some(oldest) = self.requests.get_mut(place - self.forgotten) else {
                break;
            };
            self.bodies = (self.bodies.0 - oldest.body.len(), place + 1);
            oldest.body = Bytes::new();
        }
        if self.requests.len() > REQUESTS
            && let Some(oldest) = self.requests.pop_front()
        {
            self.bodies.0 -= oldest.body.len();
            self.forgotten += 1;
        }
        self.forgotten + self.requests.len() - 1
    }

    /// Notes the status of the answer.
    pub(super) fn answered(&mut self, place: usize, status: u16) {
        let request = place
            .checked_sub(self.forgotten)
            .and_then(|place| self.requests.get_mut(place));
        if let Some(request) = request {
            request.status = Some(status);
        }
    }

    /// One more request is being answered.
    pub(super) fn begin(&mut self) {
        self.running += 1;
        self.peak = self.peak.max(self.running);
    }

    /// One less.
    pub(super) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub(super) fn requests(&self) -> Vec<Logged> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
        self.bodies = (0, self.forgotten);
    }

    pub(super) const fn connections(&self) -> usize {
        self.connections
    }

    pub(super) const fn peak_parallel(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(path: &str, body: usize) -> Logged {
        let (parts, ()) = Request::get(path).body(()).unwrap().into_parts();
        Logged::new(1, &parts, vec![0; body].into())
    }

    #[test]
    fn old_requests_and_bodies_make_room() {
        let mut log = Log::default();
        for number in 0..REQUESTS + 10 {
            let place = log.arrived(request(&format!("/{number}"), 0));
            log.answered(place, 200);
        }
        let kept = log.requests();
        assert_eq!(kept.len(), REQUESTS);
        assert_eq!(kept.first().unwrap().path, "/10");
        assert!(kept.iter().all(|one| one.status == Some(200)));

        log.clear();
        for _ in 0..20 {
            log.arrived(request("/", 7 << 20));
        }
        let kept = log.requests();
        let bytes: usize = kept.iter().map(|one| one.body.len()).sum();
        assert!(bytes <= BODIES && kept.last().unwrap().body.len() == 7 << 20);
        assert_eq!(kept.len(), 20);
    }
}
