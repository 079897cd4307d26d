//! Reading: manifests, blobs, tags.

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::Shared;
use super::config::AcceptRule;
use super::config::BlobDelivery;
use crate::model::Digest;
use crate::model::media_type;
use crate::sandbox::server::Answer;
use crate::sandbox::server::accept;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// `GET /v2/<repo>/manifests/<reference>`
pub(super) fn manifest(
    shared: &Shared,
    repo: &str,
    reference: &str,
    headers: &HeaderMap,
) -> Answer {
    let store = shared.store();
    if !store.knows(repo) {
        return unknown_repository();
    }
    let digest = if reference.contains(':') {
        match Digest::parse(reference) {
            Ok(digest) => Some(digest),
            Err(_) => return Answer::bad_digest(),
        }
    } else {
        store.resolve(repo, reference)
    };
    let found = digest.and_then(|digest| Some((digest, store.manifest(repo, digest)?)));
    let Some((digest, stored)) = found else {
        return Answer::unknown("MANIFEST_UNKNOWN", "manifest unknown");
    };
    let accept = accept(headers);
    if shared.config.accept == AcceptRule::Strict && !accepts(&accept, &stored.media_type) {
        let message = if media_type::is_index(&stored.media_type) {
            "OCI index found, but accept header does not support OCI indexes"
        } else {
            "OCI manifest found, but accept header does not support OCI manifests"
        };
        return Answer::unknown("MANIFEST_UNKNOWN", message);
    }
    Answer::body(StatusCode::OK, &stored.media_type, stored.bytes).digest(digest)
}

/// Whether an `Accept` header names a media type. As with distribution 3, ranges don't count, and
/// Docker's image manifest goes to everybody.
fn accepts(accept: &str, media_type: &str) -> bool {
    let named = accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim() == media_type);
    named || media_type == media_type::DOCKER_IMAGE
}

/// `GET /v2/<repo>/blobs/<digest>`
pub(super) fn blob(shared: &Shared, repo: &str, digest: &str) -> Answer {
    let Ok(digest) = Digest::parse(digest) else {
        return Answer::bad_digest();
    };
    let Some(bytes) = shared.store().blob(repo, digest) else {
        return Answer::unknown("BLOB_UNKNOWN", "blob unknown to registry");
    };
    let base = match &shared.config.blobs {
        BlobDelivery::Direct => {
            return Answer::body(StatusCode::OK, "application/octet-stream", bytes).digest(digest);
        }
        BlobDelivery::RedirectHere => "",
        BlobDelivery::RedirectTo(base) => base.trim_end_matches('/'),
    };
    Answer::new(StatusCode::TEMPORARY_REDIRECT).with(
        header::LOCATION,
        &format!("{base}/storage/{digest}?signature=sandbox"),
    )
}

/// `GET /storage/<digest>`: an object store, which knows only signed URLs.
pub(super) fn storage(shared: &Shared, digest: &str, headers: &HeaderMap) -> Answer {
    if headers.contains_key(header::AUTHORIZATION) {
        let message = "Only one auth mechanism allowed";
        return Answer::body(StatusCode::BAD_REQUEST, "text/plain", message);
    }
    let blob = Digest::parse(digest)
        .ok()
        .and_then(|digest| shared.store().any_blob(digest));
    match blob {
        Some(bytes) => Answer::body(StatusCode::OK, "binary/octet-stream", bytes),
        None => Answer::body(StatusCode::NOT_FOUND, "text/plain", "NoSuchKey"),
    }
}

/// `GET /v2/<repo>/tags/list?n=&last=`
pub(super) fn tags(shared: &Shared, repo: &str, query: &str) -> Answer {
    let Some(mut tags) = shared.store().tags(repo) else {
        return unknown_repository();
    };
    let query = members(query);
    if let Some(last) = member(&query, "last") {
        tags.retain(|tag| tag.as_str() > last);
    }
    let asked = member(&query, "n").and_then(|n| n.parse().ok());
    let size = match (asked, shared.config.page_size) {
        (Some(asked), Some(most)) => Some(most.min(asked)),
        (asked, most) => asked.or(most),
    };
    let whole = tags.len();
    tags.truncate(size.unwrap_or(whole));
    let body = json!({ "name": repo, "tags": tags });
    let answer = Answer::json(StatusCode::OK, "application/json", &body);
    match tags.last() {
        Some(last) if tags.len() < whole => {
            let n = tags.len();
            let link = format!("</v2/{repo}/tags/list?n={n}&last={last}>; rel=\"next\"");
            answer.with(header::LINK, &link)
        }
        Some(_) | None => answer,
    }
}

pub(super) fn unknown_repository() -> Answer {
    Answer::unknown("NAME_UNKNOWN", "repository name not known to registry")
}
