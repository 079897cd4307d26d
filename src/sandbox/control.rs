//! What a running sandbox is told from outside: images, faults, a fresh start.
//!
//! `POST /sandbox/image?repository=&tag=&text=`, `POST /sandbox/fault` and `DELETE /sandbox/fault`,
//! `POST /sandbox/reset`, `POST /sandbox/stop`. Everything else goes to the services. Whoever reaches the loopback of the
//! machine may do all of this, except pages in a browser: it is a test world.

use std::sync::Arc;
use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;
use tokio::sync::Notify;

use super::image::Image;
use super::registry::Contents;
use super::registry::Unpushed;
use super::server::Answer;
use super::server::Asked;
use super::server::FaultError;
use super::server::Service;
use super::server::Sink;
use super::server::member;
use super::server::members;
use super::sigstore::World;
use crate::model::Reference;

/// The services with their controls.
pub(super) struct Control {
    pub(super) asked_to_stop: Arc<Notify>,
    pub(super) world: Arc<World>,
    pub(super) registry: Option<Contents>,
    /// The faults of the registry.
    pub(super) registry_faults: Option<Sink>,
    /// The faults of this very server, which is there only after its service.
    pub(super) faults: OnceLock<Sink>,
}

impl Control {
    fn control(&self, path: &str, asked: &Asked<'_>) -> Answer {
        match (path, asked.method.as_str()) {
            ("image", "POST") => self.image(asked),
            ("fault", "POST") => self.fault(asked),
            ("fault", "DELETE") => {
                for sink in self.faults.get().into_iter().chain(&self.registry_faults) {
                    sink.clear();
                }
                Answer::new(StatusCode::NO_CONTENT)
            }
            ("reset", "POST") => self.reset(),
            ("stop", "POST") => {
                self.asked_to_stop.notify_one();
                Answer::new(StatusCode::ACCEPTED)
            }
            ("image" | "reset" | "stop", _) => refused(StatusCode::METHOD_NOT_ALLOWED, "POST it"),
            ("fault", _) => refused(StatusCode::METHOD_NOT_ALLOWED, "POST or DELETE it"),
            _ => refused(StatusCode::NOT_FOUND, "no such control"),
        }
    }

    fn image(&self, asked: &Asked<'_>) -> Answer {
        let query = members(asked.query);
        let text = |name, default| member(&query, name).unwrap_or(default);
        let repository = text("repository", "sandbox/hello");
        let tag = text("tag", "latest");
        let Some(registry) = &self.registry else {
            return refused(StatusCode::NOT_FOUND, "this sandbox has no registry");
        };
        let host = registry.host();
        let named = format!("{host}/{repository}:{tag}");
        if Reference::parse(&named).is_err() {
            return refused(StatusCode::BAD_REQUEST, "no such repository name or tag");
        }
        let image = Image::new(text("text", "hello"));
        if let Err(error) = registry.push_image(repository, &image, tag) {
            let status = match error {
                Unpushed::Immutable => StatusCode::CONFLICT,
                Unpushed::Unwritable => StatusCode::INTERNAL_SERVER_ERROR,
            };
            return refused(status, &error.to_string());
        }
        let body = json!({
            "reference": format!("{host}/{repository}@{}", image.index),
            "tag": named,
            "digest": image.index,
            "platforms": image.platforms,
        });
        Answer::json(StatusCode::CREATED, "application/json", &body)
    }

    /// A fault in its textual form; `?at=registry` for the registry's.
    fn fault(&self, asked: &Asked<'_>) -> Answer {
        let query = members(asked.query);
        let sink = match member(&query, "at") {
            Some("registry") => self.registry_faults.as_ref(),
            Some("sigstore") | None => self.faults.get(),
            Some(_) => None,
        };
        let Some(sink) = sink else {
            return refused(
                StatusCode::BAD_REQUEST,
                "`at` is `registry` or `sigstore`, whichever is there",
            );
        };
        let text = String::from_utf8_lossy(&asked.body);
        match text.trim().parse() {
            Ok(fault) => {
                sink.inject(fault);
                Answer::new(StatusCode::NO_CONTENT)
            }
            Err(error) => {
                let error: FaultError = error;
                refused(StatusCode::BAD_REQUEST, &error.to_string())
            }
        }
    }

    fn reset(&self) -> Answer {
        if let Err(error) = self.world.reset() {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return refused(status, &error.to_string());
        }
        if let Some(registry) = &self.registry {
            registry.clear();
        }
        Answer::new(StatusCode::NO_CONTENT)
    }
}

/// Whether the host that is asked is loopback itself, and no name.
fn is_by_address(asked: &Asked<'_>) -> bool {
    let host = asked.headers.get(header::HOST);
    let host = host.map(|host| host.to_str().unwrap_or_default());
    // HTTP/2 and requests to a proxy name the host elsewhere; all that are named must be loopback.
    [host, asked.authority]
        .into_iter()
        .flatten()
        .all(is_loopback)
}

/// Whether a host, with a port or without, is loopback by number or by its own name.
pub(super) fn is_loopback(host: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_number(port) => name,
        Some(_) | None => host,
    };
    let name = name.to_ascii_lowercase();
    matches!(
        name.trim_end_matches('.'),
        "127.0.0.1" | "localhost" | "[::1]"
    )
}

fn refused(status: StatusCode, message: &str) -> Answer {
    let body = json!({ "code": status.as_u16(), "message": message });
    Answer::json(status, "application/json", &body)
}

impl Service for Control {
    fn answer(&self, asked: &Asked<'_>) -> Answer {
        // A page in somebody's browser says where it is from, or comes by a name of its own that was
        // pointed here; no client of the sandbox does either.
        let is_page = asked.headers.contains_key(header::ORIGIN) || !is_by_address(asked);
        let mints = asked.path.starts_with("/oidc/") && asked.path.ends_with("token");
        if is_page && (mints || asked.path.starts_with("/sandbox/")) {
            return refused(StatusCode::FORBIDDEN, "no page of a browser may do that");
        }
        match asked.path.strip_prefix("/sandbox/") {
            Some(path) => self.control(path, asked),
            None => self.world.answer(asked),
        }
    }

    fn is_spared(&self, path: &str) -> bool {
        let is_token = path.starts_with("/oidc/") && path.ends_with("/token");
        is_token || path.starts_with("/sandbox/")
    }

    fn refuse(&self, status: StatusCode, message: &str) -> Answer {
        self.world.refuse(status, message)
    }

    fn challenge(&self, challenge: &str) -> Answer {
        self.world.challenge(challenge)
    }

    fn scope(&self, path: &str) -> Option<String> {
        self.world.scope(path)
    }
}
