//! A world to test against, in one process: what signs, and where it is stored.
//!
//! Nothing here is used to decide anything. It exists so that every refusal of the gate has a test
//! that offers it exactly the one wrong thing, signed as well as the right thing is; and so that
//! anybody who works with Sigstore has a whole one at hand. Everything that listens does so on
//! loopback only, and every root says that it is a test world.
//!
//! [`Sandbox::start`] gives all of it: an OIDC issuer, Fulcio, a CT log, Rekor v1 and v2, a
//! timestamp authority, a TUF repository, and an OCI registry. [`mint`] makes the same signatures
//! without any of it.
//!
//! ```
//! # use scgate::sandbox::*;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), SandboxError> {
//! let sandbox = Sandbox::start().await?;
//! let token = sandbox.token(Provider::Github, GithubToken::default().claims())?;
//! // … let a client sign at `sandbox.url()` with `token`, push to the host of `sandbox.registry()`, and
//! // verify with `sandbox.trusted_root()` …
//! # assert_eq!(token.split('.').count(), 3);
//! sandbox.stop().await
//! # }
//! ```

mod clock;
mod control;
mod files;
mod image;
mod ledger;
mod lie;
pub mod mint;
pub mod registry;
mod remote;
pub mod server;
mod sigstore;
pub mod tuf;

use core::fmt;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::Map;
use serde_json::Value;
use tokio::sync::Notify;

pub use clock::Clock;
pub use image::Image;
pub use lie::Lie;
pub use lie::LieError;
pub use remote::Place;
pub use remote::Remote;
pub use remote::RemoteError;
pub use sigstore::AUDIENCE;
pub use sigstore::GithubToken;
pub use sigstore::Part;
pub use sigstore::Provider;
pub use sigstore::StateError;

use control::Control;
use mint::LogVersion;
use mint::Mint;
use mint::MintError;
use registry::Registry;
use registry::Storage;
use server::Bound;
use server::Fault;
use server::Logged;
use server::Server;
use server::ServerError;
use server::Tls;
use sigstore::Actors;
use sigstore::State;
use sigstore::World;
use tuf::Services;

/// What kind of sandbox it is. The default one has all parts, keeps nothing, and listens on any
/// free ports.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port of the Sigstore; zero for any.
    pub port: u16,
    /// What it has.
    pub parts: Vec<Part>,
    /// The registry.
    pub registry: registry::Config,
    /// What time it is in the services.
    pub clock: Clock,
    /// The Rekor that the TUF repository and `signing_config.json` name.
    pub log: LogVersion,
    /// Whether they name the timestamp authority.
    pub stamps: Stamps,
    /// How long each service waits before it answers.
    pub delay: Duration,
    /// Where keys, logs and images are kept, and which ports; nowhere when there is none.
    pub state: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            parts: Part::ALL.to_vec(),
            registry: registry::Config::default(),
            clock: Clock::System,
            log: LogVersion::V1,
            stamps: Stamps::Rfc3161,
            delay: Duration::ZERO,
            state: None,
        }
    }
}

/// A running sandbox. Dropping it ends it; [`Sandbox::stop`] also waits for the end.
pub struct Sandbox {
    /// What `signing_config.json` names.
    named: (LogVersion, Stamps),
    asked_to_stop: Arc<Notify>,
    world: Arc<World>,
    server: Server,
    registry: Option<Registry>,
    parts: Vec<Part>,
}

impl Sandbox {
    /// Starts a sandbox with everything in it.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] when loopback has no port, or the crypto library fails.
    pub async fn start() -> Result<Self, SandboxError> {
        Self::with(Config::default()).await
    }

    /// Starts a sandbox.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] for a port that is taken and a state directory that does not serve.
    pub async fn with(config: Config) -> Result<Self, SandboxError> {
        let now = config.clock.second();
        let (state, actors) = match &config.state {
            Some(dir) => {
                let (state, actors) = State::open(dir, now)?;
                (Some(state), actors)
            }
            None => (None, Actors::new(now)?),
        };
        let kept = state.as_ref().and_then(State::ports);
        let (kept, kept_registry) = kept.map_or((0, 0), |[own, registry]| (own, registry));
        let bound = bind(config.port, kept).await?;
        let url = Tls::Off.url(bound.address());
        let parts = config.parts;
        let services = services(&url, &actors.mint, &parts, config.log, config.stamps);
        // What is kept is read before anything runs that would have to end when it is damaged.
        let world = World::new(actors, config.clock, url, parts.clone(), &services, state)?;
        let world = Arc::new(world);
        let registry = if parts.contains(&Part::Registry) {
            let mut own = config.registry;
            if let (Some(dir), Storage::Memory) = (&config.state, &own.storage) {
                own.storage = Storage::Disk(dir.join("registry"));
            }
            if own.port == 0 && is_free(kept_registry).await {
                own.port = kept_registry;
            }
            Some(Registry::start(own).await?)
        } else {
            None
        };
        let port = |registry: &Registry| registry.address().port();
        let ports = registry.as_ref().map_or(kept_registry, port);
        world.keep_ports([bound.address().port(), ports])?;
        let asked_to_stop = Arc::new(Notify::new());
        let control = Control {
            asked_to_stop: Arc::clone(&asked_to_stop),
            world: Arc::clone(&world),
            registry: registry.as_ref().map(Registry::contents),
            registry_faults: registry.as_ref().map(Registry::sink),
            faults: OnceLock::new(),
        };
        let control = Arc::new(control);
        let service = Arc::clone(&control);
        let server = bound.serve(service, Tls::Off, config.delay)?;
        control.faults.get_or_init(|| server.sink());
        Ok(Self {
            named: (config.log, config.stamps),
            asked_to_stop,
            world,
            server,
            registry,
            parts,
        })
    }

    /// `http://127.0.0.1:PORT`: the URL of every service of the Sigstore.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The registry, unless it was left out.
    #[must_use]
    pub const fn registry(&self) -> Option<&Registry> {
        self.registry.as_ref()
    }

    /// Whether it has this part.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Who signs here.
    #[must_use]
    pub fn mint(&self) -> &Mint {
        &self.world.mint
    }

    /// The trusted root that vouches for this sandbox: `trusted_root.json`.
    #[must_use]
    pub fn trusted_root(&self) -> Vec<u8> {
        self.world.mint.trusted_root().bytes()
    }

    /// The services as clients are told of them (`signing_config.json`, version 0.2), with this log.
    #[must_use]
    pub fn signing_config(&self, log: LogVersion, stamps: Stamps) -> Vec<u8> {
        services(&self.url(), self.mint(), &self.parts, log, stamps).signing_config()
    }

    /// The URL of the TUF repository, which distributes trusted root and signing configuration.
    #[must_use]
    pub fn tuf_url(&self) -> String {
        format!("{}/tuf", self.url())
    }

    /// The first root of the TUF repository: what its clients pin.
    #[must_use]
    pub fn tuf_root(&self) -> Vec<u8> {
        self.world.tuf_root()
    }

    /// A token with these claims; issuer, audience and times are filled in unless they are there.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Mint`] when the crypto library fails.
    pub fn token(
        &self,
        provider: Provider,
        claims: Map<String, Value>,
    ) -> Result<String, SandboxError> {
        Ok(self.world.token(provider, claims, AUDIENCE)?)
    }

    /// Sets claims that `ACTIONS_ID_TOKEN_REQUEST_URL` gives from now on, over the typical ones.
    pub fn run_as(&self, claims: Map<String, Value>) {
        self.world.run_as(claims);
    }

    /// The end point that a step of a GitHub workflow asks for its token.
    #[must_use]
    pub fn actions_url(&self) -> String {
        format!("{}/oidc/github/actions-token?api-version=2.0", self.url())
    }

    /// Makes the Sigstore misbehave from now on; the registry has faults of its own.
    pub fn inject(&self, fault: Fault) {
        self.server.inject(fault);
    }

    /// Makes it behave again.
    pub fn clear_faults(&self) {
        self.server.clear_faults();
    }

    /// Every request to the Sigstore so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Logged> {
        self.server.requests()
    }

    /// Forgets the entries of all logs; the keys stay.
    ///
    /// # Errors
    ///
    /// [`SandboxError::State`] when the state cannot be written.
    pub fn reset(&self) -> Result<(), SandboxError> {
        Ok(self.world.reset()?)
    }

    /// Waits until somebody asks it to stop (`scgate sandbox stop`).
    pub async fn asked_to_stop(&self) {
        self.asked_to_stop.notified().await;
    }

    /// Ends all connections and waits until every task has ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::Crashed`] when a task panicked.
    pub async fn stop(self) -> Result<(), SandboxError> {
        let services = self.server.stop().await;
        if let Some(registry) = self.registry {
            registry.stop().await?;
        }
        Ok(services?)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sandbox").field(&self.url()).finish()
    }
}

/// Takes the port that is asked for; where none is, the kept one if it is free, else any.
async fn bind(asked: u16, kept: u16) -> Result<Bound, ServerError> {
    if asked == 0
        && kept != 0
        && let Ok(bound) = Bound::new(kept).await
    {
        return Ok(bound);
    }
    Bound::new(asked).await
}

/// Whether nobody listens on a port that was kept.
async fn is_free(kept: u16) -> bool {
    kept != 0 && Bound::new(kept).await.is_ok()
}

/// Where everything is that is there.
fn services(url: &str, mint: &Mint, parts: &[Part], log: LogVersion, stamps: Stamps) -> Services {
    let at = |part: Part, path: &str| {
        let is_there = parts.contains(&part);
        is_there.then(|| format!("{url}{path}"))
    };
    // The other one where that is the only one.
    let (rekor1, rekor2) = (at(Part::Rekor1, ""), at(Part::Rekor2, ""));
    let (rekor, version) = match (log, rekor1, rekor2) {
        (LogVersion::V1, Some(rekor1), _) | (LogVersion::V2, Some(rekor1), None) => {
            (Some(rekor1), 1)
        }
        (_, _, rekor2) => (rekor2, 2),
    };
    Services {
        fulcio: at(Part::Fulcio, "").unwrap_or_default(),
        oidc: at(Part::Oidc, "/oidc/email").unwrap_or_default(),
        rekor: rekor.map(|url| (url, version)).into_iter().collect(),
        tsa: match stamps {
            Stamps::None => Vec::new(),
            Stamps::Rfc3161 => at(Part::Tsa, "/api/v1/timestamp").into_iter().collect(),
        },
        start: mint.valid_from,
    }
}

/// Whether a signing configuration names the timestamp authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stamps {
    /// It names none.
    None,
    /// It names the sandbox's.
    Rfc3161,
}

/// Why a sandbox does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The crypto library failed.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A server does not start, or crashed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The state directory does not serve.
    #[error(transparent)]
    State(#[from] StateError),
}
