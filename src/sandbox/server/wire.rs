//! The last step before the socket: where an answer is bent, cut, stretched or withheld.

use core::future;
use core::pin::Pin;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering;
use core::task::Context;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::body::Body;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use hyper::rt::Executor;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::answer::CONTENT_DIGEST;
use super::fault::FaultKind;
use super::gzip;
use super::serve::Core;
use crate::model::Digest;

/// A connection, as its requests see it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) core: Arc<Core>,
    pub(super) number: usize,
    pub(super) wire: Arc<Wire>,
}

/// The switch that breaks a connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    reset: AtomicBool,
    wake: Notify,
}

impl Wire {
    /// Breaks the connection with a TCP reset.
    fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Waits until somebody breaks the connection.
    pub(super) async fn broken(&self) {
        self.wake.notified().await;
    }
}

/// A socket that sends RST when it is dropped after its wire was reset.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    wire: Arc<Wire>,
}

impl Socket {
    pub(super) const fn new(stream: TcpStream, wire: Arc<Wire>) -> Self {
        Self { stream, wire }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.wire.reset.load(Ordering::SeqCst) {
            // Where that fails the socket closes in the usual way, and the test will tell.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The tasks that HTTP/2 starts for one connection; they end with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Ends all of them and waits for that.
    ///
    /// A panic in one of them goes on here, so that it shows when the server is stopped.
    pub(super) async fn join(&self) {
        let mut set = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        set.abort_all();
        while let Some(ended) = set.join_next().await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.spawn(task);
    }
}

/// What stands in place of the honest answer; nothing when the fault is of another sort.
pub(super) async fn replace(line: &Line, path: &str, kind: FaultKind) -> Option<Answer> {
    let service = &line.core.service;
    let answer = match kind {
        FaultKind::Challenge(challenge) => service.challenge(&challenge),
        FaultKind::EmptyOk => Answer::new(StatusCode::OK),
        FaultKind::Hang => future::pending().await,
        FaultKind::HtmlOk => {
            let page = "<!doctype html><title>Sign in</title><form>Sign in</form>\n";
            Answer::body(StatusCode::OK, "text/html; charset=utf-8", page)
        }
        FaultKind::Realm(realm) => {
            let scope = service.scope(path);
            let scope = scope.map_or_else(String::new, |scope| format!(",scope=\"{scope}\""));
            let challenge = format!("Bearer realm=\"{realm}\",service=\"scgate-sandbox\"{scope}");
            service.challenge(&challenge)
        }
        FaultKind::Redirect { to, status } => {
            Answer::new(status_of(status)).with(header::LOCATION, &to)
        }
        FaultKind::Reset => {
            line.wire.reset();
            future::pending().await
        }
        FaultKind::Status {
            status,
            retry_after,
            body,
        } => {
            let status = status_of(status);
            let mut answer = match body {
                Some(body) => Answer::body(status, "text/plain", body),
                None => service.refuse(status, "injected fault"),
            };
            if let Some(after) = retry_after {
                answer.set(header::RETRY_AFTER, &after);
            }
            answer
        }
        FaultKind::EndlessBody
        | FaultKind::EndlessLength
        | FaultKind::Gzip
        | FaultKind::GzipBomb
        | FaultKind::Header { .. }
        | FaultKind::LinkTo(_)
        | FaultKind::MovedTag(_)
        | FaultKind::NoLocation
        | FaultKind::OtherContentType(_)
        | FaultKind::OtherManifest(_)
        | FaultKind::ResetInBody
        | FaultKind::ShortBody
        | FaultKind::SlowBody { .. }
        | FaultKind::Lie(_)
        | FaultKind::StaleReads { .. }
        | FaultKind::WrongBody
        | FaultKind::WrongDigestHeader => return None,
    };
    Some(answer)
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// How a body travels.
enum Travel {
    Endless { length: Option<u64> },
    Reset,
    Short,
    Slow { bytes: usize, interval: Duration },
    Whole,
}

/// Puts an answer on the wire, with what a fault makes of it.
pub(super) fn response(
    line: &Line,
    mut answer: Answer,
    fault: Option<FaultKind>,
    method: &Method,
) -> Response<Body> {
    let travel = fault.map_or(Travel::Whole, |kind| bend(&mut answer, kind));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let body = answer.body;
    let length = match travel {
        Travel::Endless { length } => length,
        Travel::Reset | Travel::Short | Travel::Slow { .. } | Travel::Whole => {
            u64::try_from(body.len()).ok()
        }
    };
    let bodiless = matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if let (Some(length), false) = (length, bodiless) {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if *method != Method::HEAD && !bodiless {
        *response.body_mut() = stream_of(body, travel, Arc::clone(&line.wire));
    }
    response
}

/// Changes an answer as a fault demands, and says how its body travels.
fn bend(answer: &mut Answer, kind: FaultKind) -> Travel {
    match kind {
        FaultKind::EndlessBody => return Travel::Endless { length: None },
        FaultKind::EndlessLength => {
            return Travel::Endless {
                length: Some(1 << 40),
            };
        }
        FaultKind::Gzip => {
            answer.set(header::CONTENT_ENCODING, "gzip");
            answer.body = gzip::stored(&answer.body);
        }
        FaultKind::GzipBomb => {
            answer.set(header::CONTENT_ENCODING, "gzip");
            answer.body = gzip::bomb();
        }
        FaultKind::Header { name, value } => {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                answer.headers.remove(&name);
                if let Some(value) = value {
                    answer.set(name, &value);
                }
            }
        }
        FaultKind::LinkTo(to) => answer.set(header::LINK, &format!("<{to}>; rel=\"next\"")),
        FaultKind::NoLocation => drop(answer.headers.remove(header::LOCATION)),
        FaultKind::OtherContentType(media_type) => answer.set(header::CONTENT_TYPE, &media_type),
        FaultKind::OtherManifest(bytes) => {
            answer.set(CONTENT_DIGEST, &Digest::sha256(&bytes).to_string());
            answer.body = bytes;
        }
        FaultKind::ResetInBody => return Travel::Reset,
        FaultKind::ShortBody => return Travel::Short,
        FaultKind::SlowBody { bytes, interval } => return Travel::Slow { bytes, interval },
        FaultKind::WrongBody => {
            let mut bytes = answer.body.to_vec();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            answer.body = bytes.into();
        }
        FaultKind::WrongDigestHeader => {
            answer.set(CONTENT_DIGEST, &Digest::sha256(b"other").to_string());
        }
        FaultKind::Challenge(_)
        | FaultKind::EmptyOk
        | FaultKind::Hang
        | FaultKind::HtmlOk
        | FaultKind::MovedTag(_)
        | FaultKind::Realm(_)
        | FaultKind::Redirect { .. }
        | FaultKind::Reset
        | FaultKind::Lie(_)
        | FaultKind::StaleReads { .. }
        | FaultKind::Status { .. } => (),
    }
    Travel::Whole
}

/// How long the first half of a body may take to arrive: whoever ends a connection at once discards
/// what is still under way, and the fault would look like another one.
const UNDER_WAY: Duration = Duration::from_millis(50);

/// The body as it travels. A body of a known length that ends early breaks its connection.
fn stream_of(body: Bytes, travel: Travel, wire: Arc<Wire>) -> Body {
    let half = body.slice(..body.len() / 2);
    match travel {
        Travel::Whole => Body::from(body),
        Travel::Short => {
            let end = stream::once(async {
                tokio::time::sleep(UNDER_WAY).await;
                Bytes::new()
            });
            pieces(stream::iter([half]).chain(end))
        }
        Travel::Endless { .. } => {
            let spaces = Bytes::from_static(&[b' '; 65536]);
            pieces(stream::iter([body]).chain(stream::repeat(spaces)))
        }
        Travel::Reset => {
            let reset = stream::once(async move {
                tokio::time::sleep(UNDER_WAY).await;
                wire.reset();
                future::pending().await
            });
            pieces(stream::iter([half]).chain(reset))
        }
        Travel::Slow { bytes, interval } => {
            let rest = stream::unfold(body, move |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(interval).await;
                let piece = rest.split_to(bytes.clamp(1, rest.len()));
                Some((piece, rest))
            });
            pieces(rest)
        }
    }
}

fn pieces(pieces: impl stream::Stream<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(pieces.map(Ok::<_, core::convert::Infallible>))
}
