//! Writing: blobs in one or many pieces, manifests, deletion.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use bytes::Bytes;

use super::Shared;
use super::config::Referrers;
use super::pull;
use super::store::Facts;
use super::store::Link;
use super::store::Store;
use crate::model::Digest;
use crate::model::Limits;
use crate::sandbox::server::Answer;
use crate::sandbox::server::CONTENT_DIGEST;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST /v2/<repo>/blobs/uploads/`: begins an upload, takes a whole blob, or mounts one.
pub(super) fn begin(shared: &Shared, repo: &str, query: &str, body: Bytes) -> Answer {
    let query = members(query);
    let mut store = shared.store();
    if let Some(digest) = member(&query, "digest") {
        return finish(shared, &mut store, repo, digest, body);
    }
    let mount = member(&query, "mount").and_then(|text| Digest::parse(text).ok());
    if let (Some(digest), Some(from)) = (mount, member(&query, "from"))
        && let Some(bytes) = store.blob(from, digest)
    {
        return finish(shared, &mut store, repo, &digest.to_string(), bytes);
    }
    let id = store.begin_upload();
    progress(StatusCode::ACCEPTED, repo, &id, 0)
}

/// `/v2/<repo>/blobs/uploads/<id>`: the next piece, the last one, a question, an end.
pub(super) fn upload(
    shared: &Shared,
    method: &Method,
    repo: &str,
    id: &str,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Answer {
    let mut store = shared.store();
    let Some(so_far) = store.upload(id) else {
        return Answer::unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    if method == Method::GET {
        return progress(StatusCode::NO_CONTENT, repo, id, so_far.len());
    }
    if method == Method::PATCH || method == Method::PUT {
        if out_of_order(headers, so_far.len()) {
            return progress(StatusCode::RANGE_NOT_SATISFIABLE, repo, id, so_far.len());
        }
        so_far.extend_from_slice(body);
        let length = so_far.len();
        if method == Method::PATCH {
            return progress(StatusCode::ACCEPTED, repo, id, length);
        }
        let bytes = store.end_upload(id).unwrap_or_default();
        let query = members(query);
        let digest = member(&query, "digest").unwrap_or_default();
        return finish(shared, &mut store, repo, digest, bytes.into());
    }
    if method == Method::DELETE {
        drop(store.end_upload(id));
        return Answer::new(StatusCode::NO_CONTENT);
    }
    wrong_method()
}

/// Whether a piece says that it begins elsewhere than where the last one ended.
fn out_of_order(headers: &HeaderMap, length: usize) -> bool {
    let start = headers
        .get(header::CONTENT_RANGE)
        .and_then(|range| range.to_str().ok())
        .and_then(|range| range.split('-').next()?.trim().parse::<usize>().ok());
    start.is_some_and(|start| start != length)
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

fn finish(shared: &Shared, store: &mut Store, repo: &str, digest: &str, bytes: Bytes) -> Answer {
    match Digest::parse(digest) {
        Ok(digest) if digest.matches(&bytes) => {
            store.put_blob(repo, digest, bytes);
            created(shared, &format!("/v2/{repo}/blobs/{digest}"), digest)
        }
        Ok(_) | Err(_) => Answer::bad_digest(),
    }
}

fn created(shared: &Shared, location: &str, digest: Digest) -> Answer {
    let answer = Answer::new(StatusCode::CREATED).with(CONTENT_DIGEST, &digest.to_string());
    if shared.config.omit_location {
        answer
    } else {
        answer.with(header::LOCATION, location)
    }
}

/// `PUT /v2/<repo>/manifests/<reference>`, as strict as distribution.
pub(super) fn manifest(
    shared: &Shared,
    repo: &str,
    reference: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Answer {
    let invalid =
        |message: &str| Answer::error(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message);
    if body.len() > Limits::default().manifest_bytes {
        return invalid("manifest too large");
    }
    let served = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let facts: Facts = match serde_json::from_slice(&body) {
        Ok(facts) => facts,
        Err(error) => return invalid(&error.to_string()),
    };
    if served.is_empty() || facts.media_type.as_ref().is_some_and(|own| own != served) {
        return invalid("mediaType differs from Content-Type");
    }
    let asked = reference.contains(':').then(|| Digest::parse(reference));
    let digest = match asked {
        None => Digest::sha256(&body),
        Some(Ok(digest)) if digest.matches(&body) => digest,
        Some(Ok(_) | Err(_)) => return Answer::bad_digest(),
    };
    let mut store = shared.store();
    if let Some(missing) = missing(&store, repo, &facts) {
        let message = format!("blob or manifest unknown to registry: {missing}");
        return Answer::error(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", &message);
    }
    store.put_manifest(repo, digest, served, body);
    if asked.is_none() {
        store.tag(repo, reference, digest);
    }
    let answer = created(shared, &format!("/v2/{repo}/manifests/{digest}"), digest);
    match (facts.subject, shared.config.referrers) {
        (Some(subject), Referrers::Api | Referrers::ApiUnfiltered) => {
            answer.with(OCI_SUBJECT, &subject.digest)
        }
        (Some(_) | None, _) => answer,
    }
}

/// What a manifest needs and the repository lacks. A subject may be absent.
fn missing(store: &Store, repo: &str, facts: &Facts) -> Option<String> {
    let lacks_blob = |link: &&Link| {
        let blob = link.digest().and_then(|digest| store.blob(repo, digest));
        blob.is_none()
    };
    let lacks_manifest = |link: &&Link| {
        let child = link
            .digest()
            .and_then(|digest| store.manifest(repo, digest));
        child.is_none()
    };
    let blobs = facts.config.iter().chain(facts.layers.iter().flatten());
    let mut children = facts.manifests.iter().flatten();
    let lacking = blobs.clone().find(lacks_blob);
    let lacking = lacking.or_else(|| children.find(lacks_manifest));
    lacking.map(|link| link.digest.clone())
}

/// `DELETE /v2/<repo>/manifests/<reference>`
pub(super) fn delete_manifest(shared: &Shared, repo: &str, reference: &str) -> Answer {
    let mut store = shared.store();
    if !store.knows(repo) {
        return pull::unknown_repository();
    }
    let deleted = if reference.contains(':') {
        match Digest::parse(reference) {
            Ok(digest) => store.delete_manifest(repo, digest),
            Err(_) => return Answer::bad_digest(),
        }
    } else {
        store.delete_tag(repo, reference)
    };
    if deleted {
        Answer::new(StatusCode::ACCEPTED)
    } else {
        Answer::unknown("MANIFEST_UNKNOWN", "manifest unknown")
    }
}

/// `DELETE /v2/<repo>/blobs/<digest>`
pub(super) fn delete_blob(shared: &Shared, repo: &str, digest: &str) -> Answer {
    let Ok(digest) = Digest::parse(digest) else {
        return Answer::bad_digest();
    };
    if shared.store().delete_blob(repo, digest) {
        Answer::new(StatusCode::ACCEPTED)
    } else {
        Answer::unknown("BLOB_UNKNOWN", "blob unknown to registry")
    }
}

/// A method that the path does not know.
pub(super) fn wrong_method() -> Answer {
    let message = "the operation is unsupported";
    Answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
}
