//! The services of a Sigstore on one port of loopback: OIDC issuer, Fulcio, CT log, Rekor v1 and
//! v2, timestamp authority, TUF repository.
//!
//! Each has the paths and answers of the real service, so that unmodified clients work with it; the
//! paths don't collide, so one address serves all. What is signed is signed by a [`Mint`], and every
//! entry stands in a real tree. Start with [`super::Sandbox`].

mod ct;
mod entry;
mod fulcio;
mod gojson;
mod oidc;
mod provider;
mod rekor1;
mod rekor2;
mod state;
mod tsa;
mod verifier;

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::http::StatusCode;
use axum::http::header;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

pub use oidc::AUDIENCE;
pub use provider::GithubToken;
pub use provider::Provider;
pub use state::StateError;

pub(super) use state::State;

use super::clock::Clock;
use super::lie::Lie;
use super::mint::CertificateOrder;
use super::mint::CheckpointOrder;
use super::mint::EntryOrder;
use super::mint::Log;
use super::mint::Mint;
use super::mint::MintError;
use super::mint::SigningKey;
use super::mint::TimestampOrder;
use super::server::Answer;
use super::server::Asked;
use super::server::FaultKind;
use super::server::Place;
use super::server::Service;
use super::tuf::Repository;
use super::tuf::RootOrder;
use super::tuf::Services;
use super::tuf::distributed;
use ct::CtState;
use oidc::Issuer;
use rekor1::Rekor1State;
use rekor2::Rekor2State;

/// A part of a sandbox that can be left out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Part {
    /// The certificate transparency log's own API. Fulcio logs in any case.
    Ct,
    /// Fulcio.
    Fulcio,
    /// The OIDC issuer.
    Oidc,
    /// The OCI registry.
    Registry,
    /// Rekor v1.
    Rekor1,
    /// Rekor v2.
    Rekor2,
    /// The timestamp authority.
    Tsa,
    /// The TUF repository.
    Tuf,
}

impl Part {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Ct,
        Self::Fulcio,
        Self::Oidc,
        Self::Registry,
        Self::Rekor1,
        Self::Rekor2,
        Self::Tsa,
        Self::Tuf,
    ];

    /// The name, as commands write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Fulcio => "fulcio",
            Self::Oidc => "oidc",
            Self::Registry => "registry",
            Self::Rekor1 => "rekor1",
            Self::Rekor2 => "rekor2",
            Self::Tsa => "tsa",
            Self::Tuf => "tuf",
        }
    }

    /// The part of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// What all services share.
pub(super) struct World {
    pub(super) mint: Mint,
    pub(super) clock: Clock,
    /// `http://127.0.0.1:PORT`
    pub(super) url: String,
    parts: Vec<Part>,
    issuer: Issuer,
    /// The claims that the runner's end point states, over the typical ones.
    runner: Mutex<Map<String, Value>>,
    ct: Mutex<CtState>,
    rekor1: Mutex<Rekor1State>,
    rekor2: Mutex<Rekor2State>,
    state: Option<State>,
    /// The files of the TUF repository, by path.
    tuf: BTreeMap<String, Vec<u8>>,
}

/// What a world is made of.
pub(super) struct Actors {
    pub(super) mint: Mint,
    /// The keys of the OIDC issuer: P-256, and RSA if it is made already.
    pub(super) issuer: SigningKey,
    pub(super) issuer_rsa: Option<SigningKey>,
    /// The keys of the TUF repository.
    pub(super) tuf: RootOrder,
}

impl World {
    /// A world with what its state holds. `services` are what its TUF repository tells of.
    pub(super) fn new(
        actors: Actors,
        clock: Clock,
        url: String,
        parts: Vec<Part>,
        services: &Services,
        state: Option<State>,
    ) -> Result<Self, StateError> {
        let (mut ct, mut rekor1, mut rekor2) = Default::default();
        if let Some(state) = &state {
            state.load(&mut ct, &mut rekor1, &mut rekor2)?;
        }
        let now = u64::try_from(clock.now().unix_seconds())
            .unwrap_or(0)
            .max(1);
        let version = match &state {
            Some(state) => state.tuf_version(now)?,
            None => now,
        };
        let tuf = repository(&actors, clock, services, version).map_err(StateError::Keys)?;
        Ok(Self {
            tuf,
            issuer: Issuer::new(&actors.issuer, actors.issuer_rsa.as_ref())
                .map_err(StateError::Keys)?,
            mint: actors.mint,
            clock,
            url,
            parts,
            runner: Mutex::default(),
            ct: Mutex::new(ct),
            rekor1: Mutex::new(rekor1),
            rekor2: Mutex::new(rekor2),
            state,
        })
    }

    fn ct(&self) -> MutexGuard<'_, CtState> {
        lock(&self.ct)
    }

    fn rekor1(&self) -> MutexGuard<'_, Rekor1State> {
        lock(&self.rekor1)
    }

    fn rekor2(&self) -> MutexGuard<'_, Rekor2State> {
        lock(&self.rekor2)
    }

    /// Milliseconds since 1970.
    fn milliseconds(&self) -> u64 {
        self.clock.now().unix_milliseconds()
    }

    /// The claims that the runner's end point gives.
    fn runner_claims(&self, provider: Provider) -> Map<String, Value> {
        let mut claims = provider.claims();
        claims.extend(lock(&self.runner).clone());
        claims
    }

    /// Sets claims that the runner's end point states from now on.
    pub(super) fn run_as(&self, claims: Map<String, Value>) {
        *lock(&self.runner) = claims;
    }

    /// The signed head of a log.
    fn checkpoint(&self, log: &Log, size: usize, root: &[u8]) -> Option<String> {
        let size = i64::try_from(size).ok()?;
        CheckpointOrder::default().write(log, size, root).ok()
    }

    /// What the authority says wrongly, if it is told to.
    fn bend_certificate(&self, order: &mut CertificateOrder, asked: &Asked<'_>) {
        if let Some(lie) = lie(asked, Place::Certificate) {
            lie.bend_certificate(order);
        }
    }

    /// What a log says wrongly, if it is told to.
    fn bend_entry(&self, order: &mut EntryOrder, asked: &Asked<'_>) {
        if let Some(lie) = lie(asked, Place::Entry) {
            lie.bend_entry(order);
        }
    }

    /// What the timestamp authority says wrongly, if it is told to.
    fn bend_timestamp(&self, order: &mut TimestampOrder, asked: &Asked<'_>) {
        if let Some(lie) = lie(asked, Place::Timestamp) {
            lie.bend_timestamp(order);
        }
    }

    /// Forgets all entries.
    pub(super) fn reset(&self) -> Result<(), StateError> {
        let (mut ct, mut rekor1, mut rekor2) = (self.ct(), self.rekor1(), self.rekor2());
        if let Some(state) = &self.state {
            state.clear_logs()?;
        }
        *ct = CtState::default();
        *rekor1 = Rekor1State::default();
        *rekor2 = Rekor2State::default();
        Ok(())
    }

    /// The service that a path belongs to, and its answer.
    fn route(&self, asked: &Asked<'_>) -> Answer {
        let path = asked.path;
        let reads = asked.reads();
        let posts = asked.method.as_str() == "POST";
        // Only what comes from storage in a real Sigstore answers HEAD.
        let gets = asked.method.as_str() == "GET";
        let has = |part| self.parts.contains(&part);
        if let Some(rest) = path.strip_prefix("/oidc/").filter(|_| has(Part::Oidc)) {
            return self.oidc(rest, asked);
        }
        if let Some(rest) = path.strip_prefix("/tuf/").filter(|_| has(Part::Tuf)) {
            return self.tuf_file(rest, asked);
        }
        if let Some(rest) = path.strip_prefix("/ct/ct/v1/").filter(|_| has(Part::Ct)) {
            return self.ct_answer(rest, asked);
        }
        if let Some(rest) = path.strip_prefix("/api/v1/") {
            let is_rekor = rest == "log" || rest.starts_with("log/") || rest == "index/retrieve";
            if is_rekor && has(Part::Rekor1) {
                return self.rekor1_answer(rest, asked);
            }
        }
        if let Some(rest) = path.strip_prefix("/api/v2/tile/") {
            return match (has(Part::Rekor2), reads) {
                (true, true) => self.rekor2_tile(rest),
                (true, false) => unsupported(),
                (false, _) => self.unknown(asked),
            };
        }
        match path {
            "/api/v2/signingCert" if has(Part::Fulcio) && posts => self.certificate(asked),
            "/api/v1/signingCert" if has(Part::Fulcio) && posts => self.old_certificate(asked),
            "/api/v2/trustBundle" if has(Part::Fulcio) && gets => self.trust_bundle(),
            "/api/v2/configuration" if has(Part::Fulcio) && gets => self.fulcio_configuration(),
            "/api/v1/rootCert" if has(Part::Fulcio) && gets => self.root_certificate(),
            "/api/v2/signingCert"
            | "/api/v1/signingCert"
            | "/api/v2/trustBundle"
            | "/api/v2/configuration"
            | "/api/v1/rootCert"
                if has(Part::Fulcio) =>
            {
                unsupported()
            }
            "/api/v2/log/entries" if has(Part::Rekor2) && posts => self.rekor2_entry(asked),
            "/api/v2/checkpoint" if has(Part::Rekor2) && reads => self.rekor2_checkpoint(),
            "/api/v2/log/entries" | "/api/v2/checkpoint" if has(Part::Rekor2) => unsupported(),
            "/api/v1/timestamp" | "/api/v1/timestamp/" if has(Part::Tsa) && posts => {
                self.timestamp(asked)
            }
            "/api/v1/timestamp/certchain" if has(Part::Tsa) && gets => self.timestamp_chain(asked),
            "/api/v1/timestamp" if has(Part::Tsa) => {
                rekor1::wrong_method(asked.method.as_str(), "POST")
            }
            "/api/v1/timestamp/certchain" if has(Part::Tsa) => {
                rekor1::wrong_method(asked.method.as_str(), "GET")
            }
            "/healthz" if reads => {
                let body = "{\"status\":\"SERVING\"}\n";
                Answer::body(StatusCode::OK, "application/json", body)
            }
            "/ping" if reads => Answer::body(StatusCode::OK, "text/plain", "."),
            _ => self.unknown(asked),
        }
    }

    /// `/tuf/…`: a file, as a static web server gives it.
    fn tuf_file(&self, path: &str, asked: &Asked<'_>) -> Answer {
        let plain = "text/plain; charset=utf-8";
        match self.tuf.get(path) {
            _ if !asked.reads() => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                Answer::body(status, plain, "405 method not allowed\n")
                    .with(header::ALLOW, "GET, HEAD")
            }
            Some(bytes) => {
                let media_type = if path.ends_with(".json") {
                    "application/json"
                } else {
                    "application/octet-stream"
                };
                Answer::body(StatusCode::OK, media_type, bytes.clone())
            }
            None => Answer::body(StatusCode::NOT_FOUND, plain, "404 page not found\n"),
        }
    }

    /// The first root of the TUF repository: what a client pins.
    pub(super) fn tuf_root(&self) -> Vec<u8> {
        self.tuf.get("root.json").cloned().unwrap_or_default()
    }

    /// A path that no part has: in the words of the service that it looks like.
    fn unknown(&self, asked: &Asked<'_>) -> Answer {
        if asked.path.starts_with("/api/v2/") {
            return fulcio::gateway(StatusCode::NOT_FOUND, "Not Found");
        }
        rekor1::not_found(asked.path)
    }
}

/// The TUF repository of a world. It counts as long as the authorities do.
fn repository(
    actors: &Actors,
    clock: Clock,
    services: &Services,
    version: u64,
) -> Result<BTreeMap<String, Vec<u8>>, MintError> {
    let now = clock.now();
    let mut repository = Repository::new(now, distributed(&actors.mint, services))?;
    repository.roots = vec![actors.tuf.clone()];
    for role in [
        &mut repository.timestamp,
        &mut repository.snapshot,
        &mut repository.targets,
    ] {
        role.version = version;
        role.expires = actors.mint.valid_until;
    }
    repository.files()
}

/// The lie that meets a request.
fn lie(asked: &Asked<'_>, place: Place) -> Option<Lie> {
    match (asked.strike)(&[place, Place::Clock]) {
        Some(FaultKind::Lie(lie)) => Some(lie),
        Some(_) | None => None,
    }
}

/// A method that the grpc gateway does not have at this path.
fn unsupported() -> Answer {
    fulcio::gateway(StatusCode::NOT_IMPLEMENTED, "Method Not Allowed")
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("World").field(&self.url).finish()
    }
}

impl Service for World {
    fn answer(&self, asked: &Asked<'_>) -> Answer {
        self.route(asked).with(header::VARY, "Origin")
    }

    fn refuse(&self, status: StatusCode, message: &str) -> Answer {
        let body = json!({ "code": status.as_u16(), "message": message });
        Answer::json(status, "application/json", &body)
    }

    fn challenge(&self, challenge: &str) -> Answer {
        let status = StatusCode::UNAUTHORIZED;
        self.refuse(status, "authentication required")
            .with(header::WWW_AUTHENTICATE, challenge)
    }

    fn scope(&self, _path: &str) -> Option<String> {
        None
    }
}

/// Locks; a task that panicked shows when the sandbox is stopped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a service could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The crypto library failed.
    #[error(transparent)]
    Crypto(#[from] MintError),
    /// The entry could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
}
