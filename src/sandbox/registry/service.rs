//! What a registry knows, and which part of it answers which request.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::http::StatusCode;

use super::auth;
use super::auth::Tokens;
use super::config::Config;
use super::pull;
use super::push;
use super::referrers;
use super::route::Route;
use super::store::Store;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::FaultKind;
use crate::sandbox::server::Place;
use crate::sandbox::server::Service;
use crate::sandbox::server::Strike;

/// What all requests share.
pub(super) struct Shared {
    pub(super) config: Config,
    address: SocketAddr,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
}

impl Shared {
    pub(super) fn new(config: Config, address: SocketAddr) -> Self {
        Self {
            config,
            address,
            store: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// `127.0.0.1:PORT`
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self) -> String {
        self.config.tls.url(self.address)
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.url()).finish()
    }
}

/// Locks; a task that panicked shows when the registry is stopped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service for Shared {
    fn answer(&self, asked: &Asked<'_>, strike: &Strike<'_>) -> Answer {
        let route = Route::parse(asked.path);
        if let Some(refusal) = auth::refusal(self, &route, asked.method, asked.headers) {
            return refusal;
        }
        let (query, headers) = (asked.query, asked.headers);
        let body = || asked.body.clone();
        match (route, asked.method.as_str()) {
            (Route::Ping, _) if asked.reads() => Answer::json(
                StatusCode::OK,
                "application/json",
                &serde_json::Value::Object(serde_json::Map::new()),
            ),
            (Route::Token, "GET" | "POST") => {
                auth::token(self, asked.method, headers, query, &asked.body)
            }
            (Route::Manifest { repo, reference }, _) if asked.reads() => {
                let moved = if reference.contains(':') {
                    None
                } else {
                    strike(&[Place::Tag])
                };
                let reference = match moved {
                    Some(FaultKind::MovedTag(digest)) => digest.to_string(),
                    Some(_) | None => reference,
                };
                pull::manifest(self, &repo, &reference, headers)
            }
            (Route::Manifest { repo, reference }, "PUT") => {
                push::manifest(self, &repo, &reference, headers, body())
            }
            (Route::Manifest { repo, reference }, "DELETE") => {
                push::delete_manifest(self, &repo, &reference)
            }
            (Route::Blob { repo, digest }, _) if asked.reads() => pull::blob(self, &repo, &digest),
            (Route::Blob { repo, digest }, "DELETE") => push::delete_blob(self, &repo, &digest),
            (Route::Storage { digest }, _) if asked.reads() => {
                pull::storage(self, &digest, headers)
            }
            (Route::Tags { repo }, _) if asked.reads() => pull::tags(self, &repo, query),
            (Route::Referrers { repo, digest }, _) if asked.reads() => {
                referrers::list(self, &repo, &digest, query)
            }
            (Route::Uploads { repo }, "POST") => push::begin(self, &repo, query, body()),
            (Route::Upload { repo, id }, _) => {
                push::upload(self, asked.method, &repo, &id, query, headers, &asked.body)
            }
            (Route::Unknown, _) => {
                Answer::body(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n")
            }
            (_, _) => push::wrong_method(),
        }
    }

    fn refuse(&self, status: StatusCode, message: &str) -> Answer {
        // The error code of the distribution specification that goes with a status.
        let code = match status.as_u16() {
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            404 => "MANIFEST_UNKNOWN",
            405 => "UNSUPPORTED",
            413 => "SIZE_INVALID",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        Answer::error(status, code, message)
    }

    fn challenge(&self, challenge: &str) -> Answer {
        auth::unauthorized(self, challenge)
    }

    fn scope(&self, path: &str) -> Option<String> {
        let route = Route::parse(path);
        let repository = route.repository()?;
        Some(format!("repository:{repository}:pull"))
    }
}
