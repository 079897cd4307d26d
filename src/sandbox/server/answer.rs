//! An answer before it goes on the wire: complete, and still honest.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use bytes::Bytes;
use serde_json::json;

use crate::model::Digest;

/// `Docker-Content-Digest`.
pub(in crate::sandbox) const CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// Status, headers and the whole body.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Answer {
    pub(in crate::sandbox) status: StatusCode,
    pub(in crate::sandbox) headers: HeaderMap,
    pub(in crate::sandbox) body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub(in crate::sandbox) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// An answer with a body.
    pub(in crate::sandbox) fn body(
        status: StatusCode,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut answer = Self::new(status).with(header::CONTENT_TYPE, media_type);
        answer.body = body.into();
        answer
    }

    /// A JSON answer.
    pub(in crate::sandbox) fn json(
        status: StatusCode,
        media_type: &str,
        value: &serde_json::Value,
    ) -> Self {
        Self::body(status, media_type, value.to_string())
    }

    /// An error as the distribution specification writes it.
    pub(in crate::sandbox) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body = json!({ "errors": [{ "code": code, "message": message }] });
        Self::json(status, "application/json", &body)
    }

    /// Something is not there.
    pub(in crate::sandbox) fn unknown(code: &str, message: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, code, message)
    }

    /// A digest that is none.
    pub(in crate::sandbox) fn bad_digest() -> Self {
        let message = "provided digest did not match uploaded content or is malformed";
        Self::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    /// Sets a header. A value that cannot stand in a header is left out.
    pub(in crate::sandbox) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a header. A value that cannot stand in a header is left out.
    pub(in crate::sandbox) fn set(&mut self, name: HeaderName, value: &str) {
        // Not only ASCII: a header may hold other bytes.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.insert(name, value);
        }
    }

    /// Adds a header beside those of its name.
    pub(in crate::sandbox) fn add(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
    }

    /// Says which digest the content has.
    pub(in crate::sandbox) fn digest(self, digest: Digest) -> Self {
        let text = digest.to_string();
        self.with(header::ETAG, &format!("\"{text}\""))
            .with(CONTENT_DIGEST, &text)
    }
}
