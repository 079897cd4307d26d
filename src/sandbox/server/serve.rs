//! Connections and requests: from the socket to the answer.

use core::convert::Infallible;
use core::time::Duration;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::Response;
use axum::http::StatusCode;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::rt::Read;
use hyper::rt::Write;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Asked;
use super::ServerError;
use super::Service;
use super::fault::Faults;
use super::fault::Place;
use super::log::Log;
use super::log::Logged;
use super::wire;
use super::wire::Line;
use super::wire::Tasks;

/// The largest request body: more than any test pushes.
const BODY: usize = 256 << 20;

/// How long it waits when no connection could be accepted.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

/// What all connections share.
pub(super) struct Core {
    pub(super) service: Arc<dyn Service>,
    delay: Duration,
    log: Mutex<Log>,
    faults: Arc<Mutex<Faults>>,
}

impl Core {
    pub(super) fn new(service: Arc<dyn Service>, delay: Duration) -> Self {
        Self {
            service,
            delay,
            log: Mutex::default(),
            faults: Arc::default(),
        }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The faults alone: a service that keeps them does not keep itself.
    pub(super) fn shared_faults(&self) -> Arc<Mutex<Faults>> {
        Arc::clone(&self.faults)
    }
}

/// Locks; a task that panicked shows when the server is stopped.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections until it is told to stop, then ends and joins them.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    core: Arc<Core>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), ServerError> {
    let mut connections = JoinSet::new();
    let mut crashed = false;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(ended) = connections.join_next() => crashed |= ended.is_err(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let number = core.log().connect();
                    let line = Line { core: Arc::clone(&core), number, wire: Arc::default() };
                    connections.spawn(connection(stream, acceptor.clone(), line));
                }
                // Most often there are no descriptors left, which takes a while to change.
                Err(_) => tokio::time::sleep(NO_DESCRIPTOR).await,
            },
        }
    }
    drop(listener);
    connections.abort_all();
    while let Some(ended) = connections.join_next().await {
        crashed |= ended.is_err_and(|error| error.is_panic());
    }
    if crashed {
        return Err(ServerError::Crashed);
    }
    Ok(())
}

/// Serves one connection until either side ends it.
async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, line: Line) {
    let wire = Arc::clone(&line.wire);
    let tasks = Tasks::default();
    let io = wire::Socket::new(stream, Arc::clone(&wire));
    let served = async {
        match acceptor {
            None => http(TokioIo::new(io), line, &tasks).await,
            Some(acceptor) => {
                // A client that does not like the certificate ends the handshake; nothing is lost.
                if let Ok(stream) = acceptor.accept(io).await {
                    http(TokioIo::new(stream), line, &tasks).await;
                }
            }
        }
    };
    tokio::select! {
        () = served => (),
        () = wire.broken() => (),
    }
    tasks.join().await;
}

async fn http<I: Read + Write + Unpin + Send + 'static>(io: I, line: Line, tasks: &Tasks) {
    let service = service_fn(move |request| {
        let line = line.clone();
        async move { Ok::<_, Infallible>(respond(&line, request).await) }
    });
    let builder = Builder::new(tasks.clone());
    // What ends a connection (a client that went away, a body cut short on purpose) is no news.
    drop(builder.serve_connection(io, service).await);
}

/// Logs a request, answers it, and lets the faults have their way.
async fn respond(line: &Line, request: Request<Incoming>) -> Response<Body> {
    let core = &line.core;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), BODY).await;
    let logged = body.as_ref().map_or_else(|_| Bytes::new(), Bytes::clone);
    let place = core.log().arrived(Logged::new(line.number, &parts, logged));
    let running = Running::new(line);
    tokio::time::sleep(core.delay).await;

    let path = parts.uri.path();
    let target = parts
        .uri
        .path_and_query()
        .map_or(path, |target| target.as_str());
    let is_spared = core.service.is_spared(path);
    let strike = |places: &[Place]| {
        let met = (!is_spared).then(|| core.faults().strike(&parts.method, target, places));
        met.flatten()
    };

    let replaced = match strike(&[Place::Request]) {
        Some(kind) => wire::replace(line, path, kind).await,
        None => None,
    };
    let mut fault = None;
    let answer = if let Some(answer) = replaced {
        answer
    } else if let Ok(body) = body {
        let asked = Asked {
            method: &parts.method,
            path,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(|authority| authority.as_str()),
            body,
            strike: &strike,
        };
        let answer = core.service.answer(&asked);
        if answer.status.is_success() {
            let head = parts.method == Method::HEAD;
            let places: &[_] = if head {
                &[Place::Answer]
            } else {
                &[Place::Answer, Place::Body]
            };
            fault = strike(places);
        }
        answer
    } else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        core.service
            .refuse(status, "request body too large or cut short")
    };
    core.log().answered(place, answer.status.as_u16());
    drop(running);
    wire::response(line, answer, fault, &parts.method)
}

/// Counts a request as running until it is dropped, also when its connection is aborted.
struct Running<'a>(&'a Line);

impl<'a> Running<'a> {
    fn new(line: &'a Line) -> Self {
        line.core.log().begin();
        Self(line)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.core.log().end();
    }
}
