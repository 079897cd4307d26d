//! A mirror on loopback: files from a map, and what a bad one does in their place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream;
use tokio::runtime::Runtime;

/// What is served in the place of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Endless,
    Silent,
    Status(u16),
}

#[derive(Default)]
struct Content {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    requests: Vec<String>,
}

/// A mirror that serves until it is dropped.
pub(crate) struct Served {
    content: Arc<Mutex<Content>>,
    pub(crate) url: String,
    _runtime: Runtime,
}

impl Served {
    pub(crate) fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let content = Arc::new(Mutex::new(Content::default()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&content));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await });
        let served = Self {
            content,
            url,
            _runtime: runtime,
        };
        served.serve(files);
        served
    }

    /// Serves these files from now on, without faults.
    pub(crate) fn serve(&self, files: BTreeMap<String, Vec<u8>>) {
        let mut content = self.content.lock().unwrap();
        content.files = files;
        content.faults.clear();
    }

    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        let mut content = self.content.lock().unwrap();
        content.faults.insert(path.to_owned(), fault);
    }

    /// The paths that were asked for since the last time.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.content.lock().unwrap().requests)
    }
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/').to_owned();
    let (fault, file) = {
        let mut content = content.lock().unwrap();
        content.requests.push(path.clone());
        let fault = content.faults.get(&path).copied();
        (fault, content.files.get(&path).cloned())
    };
    match (fault, file) {
        (Some(Fault::Endless), _) => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 4096]));
            Body::from_stream(stream::repeat_with(chunk)).into_response()
        }
        (Some(Fault::Silent), _) => std::future::pending().await,
        (Some(Fault::Status(status)), _) => {
            let location = [("location", "http://127.0.0.1:1/")];
            (StatusCode::from_u16(status).unwrap(), location).into_response()
        }
        (None, Some(file)) => file.into_response(),
        (None, None) => StatusCode::NOT_FOUND.into_response(),
    }
}
