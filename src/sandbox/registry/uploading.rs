//! Pushing blobs: whole, in pieces, or from another repository.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;

use super::Shared;
use super::auth;
use super::config::Shortcuts;
use super::push;
use super::service::wrong_method;
use super::store::Store;
use crate::model::Digest;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The largest blob when nothing else is said.
const BLOB_BYTES: usize = 1 << 30;

/// `POST /v2/<repo>/blobs/uploads/`: begins an upload, takes a whole blob, or mounts one.
pub(super) fn begin(shared: &Shared, repo: &str, asked: &Asked<'_>) -> Answer {
    let query = members(asked.query);
    let member = |name| member(&query, name);
    let shortcuts = shared.config.shortcuts == Shortcuts::On;
    if let (Some(digest), true) = (member("digest"), shortcuts) {
        let Ok(digest) = Digest::parse(digest) else {
            return Answer::bad_digest();
        };
        // Without a body the client means to send it to the upload.
        if !asked.body.is_empty() || digest.matches(&[]) {
            return whole(shared, repo, digest, asked);
        }
    }
    let mount = member("mount").and_then(|digest| Digest::parse(digest).ok());
    if let (Some(digest), true) = (mount, shortcuts)
        && let Some(mounted) = mount_from(shared, repo, digest, member("from"), asked)
    {
        return mounted;
    }
    let id = shared.store().begin_upload(repo);
    let answer = progress(StatusCode::ACCEPTED, repo, &id, 0);
    match shared.config.chunk_bytes {
        Some(minimum) => answer.with(CHUNK_MINIMUM, &minimum.to_string()),
        None => answer,
    }
}

fn whole(shared: &Shared, repo: &str, digest: Digest, asked: &Asked<'_>) -> Answer {
    if asked.body.len() > limit(shared) {
        return too_large(shared);
    }
    if !digest.matches(&asked.body) {
        return Answer::bad_digest();
    }
    let stored = shared.store().put_blob(repo, digest, asked.body.clone());
    push::unwritten(stored).unwrap_or_else(|| created(shared, repo, digest))
}

/// Mounts a blob from the named repository, or from any that the request may read.
fn mount_from(
    shared: &Shared,
    repo: &str,
    digest: Digest,
    from: Option<&str>,
    asked: &Asked<'_>,
) -> Option<Answer> {
    let may = |from: &str| auth::may_pull(shared, asked.headers, from);
    let mut store = shared.store();
    let content = match from {
        Some(from) => store.blob(from, digest).filter(|_| may(from)),
        None => store.any_blob(digest, may),
    }?;
    let stored = store.link_blob(repo, digest, content);
    Some(push::unwritten(stored).unwrap_or_else(|| created(shared, repo, digest)))
}

/// `/v2/<repo>/blobs/uploads/<id>`: the next piece, the last one, a question, an end.
pub(super) fn step(shared: &Shared, repo: &str, id: &str, asked: &Asked<'_>) -> Answer {
    let mut store = shared.store();
    let Some(upload) = store.uploads.find(repo, id) else {
        return Answer::unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    let length = upload.length();
    match *asked.method {
        Method::GET => progress(StatusCode::NO_CONTENT, repo, id, length),
        Method::DELETE => {
            drop(store.uploads.end(id));
            Answer::new(StatusCode::NO_CONTENT)
        }
        Method::PATCH => match piece(shared, &mut store, repo, id, asked) {
            Ok(length) => progress(StatusCode::ACCEPTED, repo, id, length),
            Err(refusal) => refusal,
        },
        Method::PUT => last(shared, &mut store, repo, id, asked),
        _ => wrong_method(),
    }
}

/// Adds a piece, and tells how much there is now.
fn piece(
    shared: &Shared,
    store: &mut Store,
    repo: &str,
    id: &str,
    asked: &Asked<'_>,
) -> Result<usize, Answer> {
    let invalid = |message| Answer::error(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message);
    let Some(upload) = store.uploads.find(repo, id) else {
        return Err(invalid("the upload is gone"));
    };
    let (so_far, body) = (upload.length(), asked.body.as_ref());
    match extent(asked.headers) {
        Extent::Said { first, .. } if first != so_far => {
            return Err(out_of_order(repo, id, so_far));
        }
        Extent::Malformed => return Err(out_of_order(repo, id, so_far)),
        Extent::Said { first, last } if first + body.len() != last.saturating_add(1) => {
            let message = "provided length did not match content length";
            let status = StatusCode::BAD_REQUEST;
            return Err(Answer::error(status, "SIZE_INVALID", message));
        }
        Extent::Said { .. } | Extent::Unsaid => (),
    }
    if so_far.saturating_add(body.len()) > limit(shared) {
        drop(store.uploads.end(id));
        return Err(too_large(shared));
    }
    if upload.is_short && !body.is_empty() {
        return Err(invalid("a piece that is not the last was too short"));
    }
    let minimum = shared.config.chunk_bytes.unwrap_or(0);
    upload.is_short = !body.is_empty() && body.len() < minimum;
    match upload.append(body) {
        Ok(()) => Ok(upload.length()),
        Err(_) => {
            drop(store.uploads.end(id));
            Err(push::unwritable())
        }
    }
}

/// Adds the last piece, and keeps the blob if it is the one that was announced.
fn last(shared: &Shared, store: &mut Store, repo: &str, id: &str, asked: &Asked<'_>) -> Answer {
    let query = members(asked.query);
    let digest = member(&query, "digest").map(Digest::parse);
    let Some(Ok(digest)) = digest else {
        return Answer::bad_digest();
    };
    if let Err(refusal) = piece(shared, store, repo, id, asked) {
        return refusal;
    }
    let Some(partial) = store.uploads.end(id) else {
        return Answer::unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    match store.put_upload(repo, digest, partial) {
        Ok(true) => created(shared, repo, digest),
        Ok(false) => Answer::bad_digest(),
        Err(_) => push::unwritable(),
    }
}

/// Where a piece says that it belongs. The specification leaves out the unit of RFC 9110; some
/// clients send it.
enum Extent {
    Malformed,
    Said { first: usize, last: usize },
    Unsaid,
}

fn extent(headers: &HeaderMap) -> Extent {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Extent::Unsaid;
    };
    let value = value.to_str().unwrap_or_default().trim();
    let value = value.strip_prefix("bytes ").unwrap_or(value);
    let value = value.split('/').next().unwrap_or_default();
    let bounds = value.split_once('-').and_then(|(first, last)| {
        let number = |text: &str| text.trim().parse::<usize>().ok();
        number(first).zip(number(last))
    });
    match bounds {
        Some((first, last)) if first <= last => Extent::Said { first, last },
        Some(_) | None => Extent::Malformed,
    }
}

fn out_of_order(repo: &str, id: &str, length: usize) -> Answer {
    progress(StatusCode::RANGE_NOT_SATISFIABLE, repo, id, length)
}

fn progress(status: StatusCode, repo: &str, id: &str, length: usize) -> Answer {
    Answer::new(status)
        .with(
            header::LOCATION,
            &format!("/v2/{repo}/blobs/uploads/{id}?state=sandbox"),
        )
        .with(header::RANGE, &format!("0-{}", length.saturating_sub(1)))
        .with(UPLOAD_UUID, id)
}

fn created(shared: &Shared, repo: &str, digest: Digest) -> Answer {
    push::created(shared, &format!("/v2/{repo}/blobs/{digest}"), digest)
}

fn limit(shared: &Shared) -> usize {
    shared.config.blob_bytes.unwrap_or(BLOB_BYTES)
}

fn too_large(shared: &Shared) -> Answer {
    let message = format!("a blob may have {} bytes", limit(shared));
    Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", &message)
}
