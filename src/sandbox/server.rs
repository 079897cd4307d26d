//! The HTTP server under everything in the sandbox: loopback only, and it misbehaves on request.
//!
//! A `Service` gives the honest answer to one request. Around it stand the connections (HTTP/1.1
//! and HTTP/2, plain or TLS), the log of what was asked, and the faults that make chosen requests
//! fail or lie. Start with [`Fault`].

mod answer;
mod fault;
mod gzip;
mod log;
mod query;
mod serve;
mod tls;
mod wire;

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use fault::Fault;
pub use fault::FaultError;
pub use fault::FaultKind;
pub use log::Logged;
pub use tls::Tls;

pub(super) use answer::Answer;
pub(super) use answer::CONTENT_DIGEST;
pub(super) use fault::Place;
pub(super) use log::accept;
pub(super) use query::decode;
pub(super) use query::member;
pub(super) use query::members;

use fault::Faults;
use serve::Core;

/// What answers the requests of a server.
pub(super) trait Service: Send + Sync + 'static {
    /// The honest answer.
    fn answer(&self, asked: &Asked<'_>) -> Answer;

    /// Whether no fault meets this path: what faults are taken back by.
    fn is_spared(&self, _path: &str) -> bool {
        false
    }

    /// A refusal with this status, in the words of this kind of service.
    fn refuse(&self, status: StatusCode, message: &str) -> Answer;

    /// 401 with this challenge.
    fn challenge(&self, challenge: &str) -> Answer;

    /// The `scope` of a bearer challenge for this path.
    fn scope(&self, path: &str) -> Option<String>;
}

/// Whether a fault meets the request at one of these places.
pub(super) type Strike<'a> = dyn Fn(&[Place]) -> Option<FaultKind> + 'a;

/// A request, taken apart.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Percent-encoded, as it came.
    pub(super) path: &'a str,
    /// What stands behind the question mark; empty without one.
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The host and port in the request line, where they stand there.
    pub(super) authority: Option<&'a str>,
    pub(super) body: Bytes,
    /// Tells whether a fault meets this request at one of the places that only the service knows.
    pub(super) strike: &'a Strike<'a>,
}

impl Asked<'_> {
    /// Whether it is GET or HEAD.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

/// A port of loopback that is taken and not yet served.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes a port of 127.0.0.1; zero means any.
    pub(super) async fn new(port: u16) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves it. `delay` is how long each answer waits.
    pub(super) fn serve(
        self,
        service: Arc<dyn Service>,
        tls: Tls,
        delay: Duration,
    ) -> Result<Server, ServerError> {
        let identity = tls::identity(tls)?;
        let (acceptor, ca_pem) =
            identity.map_or((None, None), |(acceptor, pem)| (Some(acceptor), Some(pem)));
        let core = Arc::new(Core::new(service, delay));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve::accept(
            self.listener,
            acceptor,
            Arc::clone(&core),
            stopped,
        ));
        Ok(Server {
            core,
            address: self.address,
            tls,
            ca_pem,
            stop,
            task: AbortOnDrop(task),
        })
    }
}

/// A running server. Dropping it ends it; [`Server::stop`] also waits for the end.
pub(super) struct Server {
    core: Arc<Core>,
    address: SocketAddr,
    tls: Tls,
    ca_pem: Option<String>,
    stop: oneshot::Sender<()>,
    task: AbortOnDrop,
}

impl Server {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        self.tls.url(self.address)
    }

    /// The authority of the server's certificate, when it speaks TLS.
    pub(super) fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Ends all connections and waits until every task has ended.
    pub(super) async fn stop(mut self) -> Result<(), ServerError> {
        // Nobody listens to this when the task has ended by itself; joining it tells how.
        drop(self.stop);
        (&mut self.task.0).await.map_err(|_| ServerError::Crashed)?
    }

    pub(super) fn inject(&self, fault: Fault) {
        self.core.faults().push(fault);
    }

    pub(super) fn clear_faults(&self) {
        self.core.faults().clear();
    }

    /// Where faults can be put from elsewhere.
    pub(super) fn sink(&self) -> Sink {
        Sink(self.core.shared_faults())
    }

    pub(super) fn requests(&self) -> Vec<Logged> {
        self.core.log().requests()
    }

    pub(super) fn clear_requests(&self) {
        self.core.log().clear();
    }

    pub(super) fn connections(&self) -> usize {
        self.core.log().connections()
    }

    pub(super) fn peak_parallel(&self) -> usize {
        self.core.log().peak_parallel()
    }
}

/// The faults of a server.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Faults>>);

impl Sink {
    pub(super) fn inject(&self, fault: Fault) {
        serve::lock(&self.0).push(fault);
    }

    pub(super) fn clear(&self) {
        serve::lock(&self.0).clear();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.url()).finish()
    }
}

/// Ends its task when the handle goes away.
struct AbortOnDrop(JoinHandle<Result<(), ServerError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What can go wrong with a server, apart from what it was told to do wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Loopback does not give the port. The operator of the machine can mend it.
    #[error("listen on 127.0.0.1:{port}")]
    Bind {
        /// The port; zero for any.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The certificate could not be made: a bug.
    #[error("make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// A task of the server panicked: a bug.
    #[error("keep the sandbox alive: a task panicked")]
    Crashed,
    /// A file or directory of the storage cannot be used. The operator of the machine can mend it.
    #[error("use `{}` as storage", path.display())]
    Storage {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate does not serve: a bug.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
}
