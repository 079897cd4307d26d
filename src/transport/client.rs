//! The clients behind the transport, one for each TLS setting, and the retry around an exchange.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

use crate::transport::Deadline;
use crate::transport::Egress;
use crate::transport::Error;
use crate::transport::Reply;
use crate::transport::Request;
use crate::transport::guard::Guard;
use crate::transport::guard::GuardedResolver;
use crate::transport::proxy;
use crate::transport::roots;

/// How the transport behaves. `Settings::default()` is what scgate ships.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How far requests may go.
    pub egress: Egress,
    /// Hosts with a port below 1024, as `HOST:PORT`, that may be connected to. Every other host may
    /// have 80 and 443 alone.
    pub low_ports: Vec<String>,
    /// How long a connection may take to come about, name and TLS included.
    pub connect_timeout: Duration,
    /// How long no byte may come.
    pub read_timeout: Duration,
    /// How often a request is made at most (go-containerregistry: 3).
    pub tries: u32,
    /// The pause before the second try; it doubles and is jittered.
    pub pause: Duration,
    /// Requests to one host at the same time.
    pub per_host: usize,
    /// The proxy for everything: `http://` or `https://`, which is `http://` when no scheme stands
    /// there. None is read from the environment.
    pub proxy: Option<String>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            egress: Egress::default(),
            low_ports: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
            tries: 3,
            pause: Duration::from_millis(200),
            per_host: 32,
            proxy: None,
            authorities: Vec::new(),
        }
    }
}

impl Settings {
    /// Trusts the authorities of a PEM file besides those of the system.
    ///
    /// # Errors
    ///
    /// [`Error::CaFile`] when it holds no certificate, or one that cannot be read.
    pub fn trust_authorities(&mut self, pem: &[u8]) -> Result<(), Error> {
        self.authorities.extend(roots::parse_ca(pem)?);
        Ok(())
    }
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tls {
    /// TLS with whatever certificate the server has: only for hosts that the operator named.
    InsecureUnverified,
    /// Plain HTTP.
    None,
    /// TLS with a certificate that leads to the system's or the operator's authorities.
    Verified,
}

/// The HTTP set-up. Clones share connections.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

pub(super) struct Inner {
    settings: Settings,
    proxy: Option<reqwest::Proxy>,
    guard: Arc<Guard>,
    clients: Mutex<HashMap<Tls, reqwest::Client>>,
    lanes: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Transport {
    /// A transport with these settings. It opens and reads nothing before the first request.
    ///
    /// # Errors
    ///
    /// [`Error::Proxy`] and [`Error::ProxyScheme`] when the proxy's address is none, or names a way
    /// that is not spoken here. No request ever goes past a proxy that was asked for.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let proxy = settings.proxy.as_deref().map(proxy::parse).transpose()?;
        let guard = Arc::new(Guard {
            egress: settings.egress,
            low_ports: settings.low_ports.clone(),
        });
        Ok(Self(Arc::new(Inner {
            settings,
            proxy,
            guard,
            clients: Mutex::default(),
            lanes: Mutex::default(),
        })))
    }

    /// Makes the request, again if that may help, and reads the answer to its end.
    ///
    /// GET, HEAD and what is said to be repeatable are tried again after 408, 429, 500, 502, 503,
    /// 504, a refused or a broken connection. `Retry-After` is honoured as far as the deadline
    /// reaches; where it reaches further, the answer is given back at once.
    ///
    /// # Errors
    ///
    /// [`Error`] when there is no answer, or none that may be read whole.
    pub async fn fetch(&self, request: &Request<'_>, deadline: Deadline) -> Result<Reply, Error> {
        let mut pause = self.0.settings.pause;
        let mut tries = if request.is_repeatable() {
            self.0.settings.tries.min(request.tries)
        } else {
            1
        };
        loop {
            let outcome = request.exchange(&self.0, deadline).await;
            let asked = match &outcome {
                Ok(reply) if reply.is_transient() => reply.retry_after(),
                Err(error) if error.is_transient() => None,
                _ => return outcome,
            };
            tries = tries.saturating_sub(1);
            let wait = asked.unwrap_or(pause).saturating_add(jitter(pause));
            if tries == 0 || deadline.remaining() <= wait {
                return outcome;
            }
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// Whether the guard lets a request go to that URL, as far as the URL alone tells.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if not.
    pub fn judge(&self, url: &reqwest::Url) -> Result<(), Error> {
        self.0.judge(url)
    }
}

impl Inner {
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn judge(&self, url: &reqwest::Url) -> Result<(), Error> {
        self.guard.judge_url(url).map_err(|address| Error::Refused {
            host: super::exchange::host_of(url),
            address,
        })
    }

    /// The lane of a host: as many permits as there may be requests to it at the same time.
    pub(super) fn lane(&self, host: &str) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(host) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Semaphore::new(self.settings.per_host.max(1)));
        lanes.insert(host.to_owned(), Arc::clone(&lane));
        lane
    }

    pub(super) fn client(&self, tls: Tls) -> Result<reqwest::Client, Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&tls) {
            return Ok(client.clone());
        }
        let client = self.build(tls)?;
        clients.insert(tls, client.clone());
        Ok(client)
    }

    fn build(&self, tls: Tls) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(roots::client_config(tls, &self.settings.authorities)?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("scgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.settings.connect_timeout)
            .pool_max_idle_per_host(self.settings.per_host)
            .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&self.guard))));
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        builder.build().map_err(|_| Error::Setup)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transport").field(&self.0.settings).finish()
    }
}

/// A random part of up to half of `pause`, so that clients that failed together do not return
/// together.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0; 1];
    if aws_lc_rs::rand::fill(&mut byte).is_err() {
        return Duration::ZERO;
    }
    let [byte] = byte;
    pause.saturating_mul(u32::from(byte)) / 512
}
