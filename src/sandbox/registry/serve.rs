//! Connections and requests: from the socket to the answer.

use core::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::body::Body;
use axum::http::HeaderMap;
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

use super::RegistryError;
use super::answer::Answer;
use super::auth;
use super::auth::Tokens;
use super::config::Config;
use super::config::Tls;
use super::fault::FaultKind;
use super::fault::Faults;
use super::fault::Place;
use super::log::Log;
use super::log::Logged;
use super::pull;
use super::push;
use super::referrers;
use super::route::Route;
use super::store::Store;
use super::wire;
use super::wire::Line;
use super::wire::Tasks;

/// The largest request body: more than any test pushes.
const BODY: usize = 256 << 20;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) address: SocketAddr,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
    log: Mutex<Log>,
    faults: Mutex<Faults>,
}

impl Shared {
    pub(super) fn new(config: Config, address: SocketAddr) -> Self {
        Self {
            config,
            address,
            store: Mutex::default(),
            tokens: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(super) fn url(&self) -> String {
        let scheme = match self.config.tls {
            Tls::Off => "http",
            Tls::Expired | Tls::On | Tls::OtherName => "https",
        };
        format!("{scheme}://{}", self.address)
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }
}

/// Locks; a task that panicked shows when the registry is stopped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections until it is told to stop, then ends and joins them.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), RegistryError> {
    let mut connections = JoinSet::new();
    let mut crashed = false;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(ended) = connections.join_next() => crashed |= ended.is_err(),
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let number = shared.log().connect();
                let line = Line { shared: Arc::clone(&shared), number, wire: Arc::default() };
                connections.spawn(connection(stream, acceptor.clone(), line));
            },
        }
    }
    drop(listener);
    connections.abort_all();
    while let Some(ended) = connections.join_next().await {
        crashed |= ended.is_err_and(|error| error.is_panic());
    }
    if crashed {
        return Err(RegistryError::Crashed);
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
    let shared = &line.shared;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), BODY)
        .await
        .unwrap_or_default();
    let place = shared
        .log()
        .arrived(Logged::new(line.number, &parts, body.clone()));
    let running = Running::new(line);
    tokio::time::sleep(shared.config.delay).await;

    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let target = parts
        .uri
        .path_and_query()
        .map_or(path, |target| target.as_str());
    let asked = Asked {
        method: &parts.method,
        route: Route::parse(path),
        query,
        headers: &parts.headers,
        body,
    };
    let strike = |places: &[Place]| shared.faults().strike(&parts.method, target, places);

    let replaced = match strike(&[Place::Request]) {
        Some(kind) => wire::replace(line, &asked.route, kind).await,
        None => None,
    };
    let mut fault = None;
    let answer = if let Some(answer) = replaced {
        answer
    } else {
        let answer = answer(shared, asked, &strike);
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
    };
    shared.log().answered(place, answer.status.as_u16());
    drop(running);
    wire::response(line, answer, fault, &parts.method)
}

/// A request, taken apart.
struct Asked<'a> {
    method: &'a Method,
    route: Route,
    query: &'a str,
    headers: &'a HeaderMap,
    body: Bytes,
}

/// The honest answer.
fn answer(
    shared: &Shared,
    asked: Asked<'_>,
    strike: &dyn Fn(&[Place]) -> Option<FaultKind>,
) -> Answer {
    let Asked {
        method,
        route,
        query,
        headers,
        body,
    } = asked;
    if let Some(refusal) = auth::refusal(shared, &route, method, headers) {
        return refusal;
    }
    let reads = method == Method::GET || method == Method::HEAD;
    match (route, method.as_str()) {
        (Route::Ping, _) if reads => Answer::json(
            StatusCode::OK,
            "application/json",
            &serde_json::Value::Object(serde_json::Map::new()),
        ),
        (Route::Token, "GET" | "POST") => auth::token(shared, method, headers, query, &body),
        (Route::Manifest { repo, reference }, _) if reads => {
            let moved = if reference.contains(':') {
                None
            } else {
                strike(&[Place::Tag])
            };
            let reference = match moved {
                Some(FaultKind::MovedTag(digest)) => digest.to_string(),
                Some(_) | None => reference,
            };
            pull::manifest(shared, &repo, &reference, headers)
        }
        (Route::Manifest { repo, reference }, "PUT") => {
            push::manifest(shared, &repo, &reference, headers, body)
        }
        (Route::Manifest { repo, reference }, "DELETE") => {
            push::delete_manifest(shared, &repo, &reference)
        }
        (Route::Blob { repo, digest }, _) if reads => pull::blob(shared, &repo, &digest),
        (Route::Blob { repo, digest }, "DELETE") => push::delete_blob(shared, &repo, &digest),
        (Route::Storage { digest }, _) if reads => pull::storage(shared, &digest, headers),
        (Route::Tags { repo }, _) if reads => pull::tags(shared, &repo, query),
        (Route::Referrers { repo, digest }, _) if reads => {
            referrers::list(shared, &repo, &digest, query)
        }
        (Route::Uploads { repo }, "POST") => push::begin(shared, &repo, query, body),
        (Route::Upload { repo, id }, _) => {
            push::upload(shared, method, &repo, &id, query, headers, &body)
        }
        (Route::Unknown, _) => {
            Answer::body(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n")
        }
        (_, _) => push::wrong_method(),
    }
}

/// Counts a request as running until it is dropped, also when its connection is aborted.
struct Running<'a>(&'a Line);

impl<'a> Running<'a> {
    fn new(line: &'a Line) -> Self {
        line.shared.log().begin();
        Self(line)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.log().end();
    }
}
