//! What a registry knows, and which part of it answers which request.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::http::HeaderName;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;

use super::auth;
use super::auth::Tokens;
use super::config::Config;
use super::config::Deletes;
use super::config::Storage;
use super::disk::DiskError;
use super::pull;
use super::push;
use super::referrers;
use super::route::Route;
use super::route::is_name;
use super::store::Store;
use super::store::View;
use super::uploading;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::FaultKind;
use crate::sandbox::server::Place;
use crate::sandbox::server::Service;

/// What all requests share.
pub(super) struct Shared {
    pub(super) config: Config,
    address: SocketAddr,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
}

impl Shared {
    pub(super) fn new(config: Config, address: SocketAddr) -> Result<Self, DiskError> {
        let store = match &config.storage {
            Storage::Disk(root) => Store::on_disk(root)?,
            Storage::Memory => Store::default(),
        };
        Ok(Self {
            config,
            address,
            store: Mutex::new(store),
            tokens: Mutex::default(),
        })
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

/// What every answer of the API carries, for clients from before the OCI specification.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Shared {
    fn respond(&self, route: Route, asked: &Asked<'_>) -> Answer {
        if let Some(refusal) = auth::refusal(self, &route, asked.method, asked.headers) {
            return refusal;
        }
        if route.repository().is_some_and(|name| !is_name(name)) {
            let status = StatusCode::BAD_REQUEST;
            return Answer::error(status, "NAME_INVALID", "invalid repository name");
        }
        if asked.reads() {
            self.read(route, asked)
        } else {
            self.write(route, asked)
        }
    }

    fn read(&self, route: Route, asked: &Asked<'_>) -> Answer {
        let query = asked.query;
        match route {
            Route::Blob { repo, digest } => pull::blob(self, &repo, &digest, asked),
            Route::Catalog => pull::catalog(self, query),
            Route::Manifest { repo, reference } if reference.contains(':') => {
                pull::manifest(self, &repo, &reference, asked, View::Now)
            }
            Route::Manifest { repo, reference } => {
                let reference = match (asked.strike)(&[Place::Tag]) {
                    Some(FaultKind::MovedTag(digest)) => digest.to_string(),
                    Some(_) | None => reference,
                };
                let view = self.view(&repo, asked);
                pull::manifest(self, &repo, &reference, asked, view)
            }
            Route::Ping => {
                let empty = serde_json::Value::Object(serde_json::Map::new());
                Answer::json(StatusCode::OK, "application/json", &empty)
            }
            Route::Referrers { repo, digest } => {
                let view = self.view(&repo, asked);
                referrers::list(self, &repo, &digest, query, view)
            }
            Route::Storage { digest } => pull::storage(self, &digest, asked),
            Route::Tags { repo } => {
                let view = self.view(&repo, asked);
                pull::tags(self, &repo, query, view)
            }
            Route::Token if *asked.method == Method::GET => {
                auth::token(self, asked.method, asked.headers, query, &asked.body)
            }
            Route::Unknown => not_found(),
            Route::Upload { repo, id } => uploading::step(self, &repo, &id, asked),
            Route::Token | Route::Uploads { .. } => wrong_method(),
        }
    }

    fn write(&self, route: Route, asked: &Asked<'_>) -> Answer {
        match (route, asked.method.as_str()) {
            (Route::Manifest { repo, reference }, "PUT") => {
                push::manifest(self, &repo, &reference, asked)
            }
            (Route::Blob { .. } | Route::Manifest { .. }, "DELETE")
                if self.config.deletes == Deletes::Off =>
            {
                wrong_method()
            }
            (Route::Manifest { repo, reference }, "DELETE") => {
                push::delete_manifest(self, &repo, &reference, asked.headers)
            }
            (Route::Blob { repo, digest }, "DELETE") => push::delete_blob(self, &repo, &digest),
            (Route::Token, "POST") => {
                let (method, headers) = (asked.method, asked.headers);
                auth::token(self, method, headers, asked.query, &asked.body)
            }
            (Route::Upload { repo, id }, _) => uploading::step(self, &repo, &id, asked),
            (Route::Uploads { repo }, "POST") => uploading::begin(self, &repo, asked),
            (Route::Unknown, _) => not_found(),
            (_, _) => wrong_method(),
        }
    }

    /// Which state of a repository this read sees.
    fn view(&self, repo: &str, asked: &Asked<'_>) -> View {
        match (asked.strike)(&[Place::Listing]) {
            Some(FaultKind::StaleReads { reads, lasting }) => {
                self.store().lags(repo, reads, lasting)
            }
            Some(_) | None => View::Now,
        }
    }
}

fn not_found() -> Answer {
    Answer::body(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n")
}

/// A method that the path does not know.
pub(super) fn wrong_method() -> Answer {
    let message = "the operation is unsupported";
    Answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
}

impl Service for Shared {
    fn answer(&self, asked: &Asked<'_>) -> Answer {
        // A page in a browser may not write; one that reads learns nothing without CORS.
        if !asked.reads() && asked.headers.contains_key(header::ORIGIN) {
            let message = "no page of a browser may do that";
            return Answer::error(StatusCode::FORBIDDEN, "DENIED", message);
        }
        let answer = self.respond(Route::parse(asked.path), asked);
        if asked.path.starts_with("/v2") {
            answer.with(API_VERSION, "registry/2.0")
        } else {
            answer
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
