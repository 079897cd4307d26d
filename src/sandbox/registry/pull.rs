//! Reading: manifests, blobs, tags, repositories.

use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use super::Shared;
use super::conditions;
use super::config::AcceptRule;
use super::config::BlobDelivery;
use super::store::View;
use crate::model::Digest;
use crate::model::media_type;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::accept;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// `GET /v2/<repo>/manifests/<reference>`
pub(super) fn manifest(
    shared: &Shared,
    repo: &str,
    reference: &str,
    asked: &Asked<'_>,
    view: View,
) -> Answer {
    let found = {
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
            store.resolve(repo, reference, view)
        };
        digest.and_then(|digest| Some((digest, store.manifest(repo, digest)?)))
    };
    let Some((digest, stored)) = found else {
        return Answer::unknown("MANIFEST_UNKNOWN", "manifest unknown");
    };
    let accept = accept(asked.headers);
    if shared.config.accept == AcceptRule::Strict && !accepts(&accept, &stored.media_type) {
        let message = if media_type::is_index(&stored.media_type) {
            "OCI index found, but accept header does not support OCI indexes"
        } else {
            "OCI manifest found, but accept header does not support OCI manifests"
        };
        return Answer::unknown("MANIFEST_UNKNOWN", message);
    }
    if let Some(unchanged) = conditions::unchanged(shared, asked.headers, digest) {
        return unchanged;
    }
    match stored.content.read() {
        Ok(bytes) => Answer::body(StatusCode::OK, &stored.media_type, bytes).digest(digest),
        Err(damaged) if shared.store().manifest(repo, digest).is_some() => damaged.answer(),
        // It was deleted between finding and reading it.
        Err(_) => Answer::unknown("MANIFEST_UNKNOWN", "manifest unknown"),
    }
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
pub(super) fn blob(shared: &Shared, repo: &str, digest: &str, asked: &Asked<'_>) -> Answer {
    let Ok(digest) = Digest::parse(digest) else {
        return Answer::bad_digest();
    };
    let unknown = || Answer::unknown("BLOB_UNKNOWN", "blob unknown to registry");
    let Some(content) = shared.store().blob(repo, digest) else {
        return unknown();
    };
    let base = match &shared.config.blobs {
        BlobDelivery::Direct => {
            if let Some(unchanged) = conditions::unchanged(shared, asked.headers, digest) {
                return unchanged;
            }
            let bytes = match content.read() {
                Ok(bytes) => bytes,
                Err(damaged) if shared.store().blob(repo, digest).is_some() => {
                    return damaged.answer();
                }
                // It was deleted between finding and reading it.
                Err(_) => return unknown(),
            };
            let whole = Answer::body(StatusCode::OK, "application/octet-stream", bytes);
            return conditions::cut(asked, whole.digest(digest));
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
pub(super) fn storage(shared: &Shared, digest: &str, asked: &Asked<'_>) -> Answer {
    if asked.headers.contains_key(header::AUTHORIZATION) {
        let message = "Only one auth mechanism allowed";
        return Answer::body(StatusCode::BAD_REQUEST, "text/plain", message);
    }
    let blob = Digest::parse(digest)
        .ok()
        .and_then(|digest| shared.store().any_blob(digest, |_| true));
    match blob.map(|content| content.read()) {
        Some(Ok(bytes)) => {
            let whole = Answer::body(StatusCode::OK, "binary/octet-stream", bytes);
            conditions::cut(asked, whole)
        }
        Some(Err(damaged)) => damaged.answer(),
        None => Answer::body(StatusCode::NOT_FOUND, "text/plain", "NoSuchKey"),
    }
}

/// `GET /v2/<repo>/tags/list?n=&last=`
pub(super) fn tags(shared: &Shared, repo: &str, query: &str, view: View) -> Answer {
    let Some(tags) = shared.store().tags(repo, view) else {
        return unknown_repository();
    };
    let path = format!("/v2/{repo}/tags/list");
    page(
        shared,
        &path,
        tags,
        query,
        |tags| json!({ "name": repo, "tags": tags }),
    )
}

/// `GET /v2/_catalog?n=&last=`
pub(super) fn catalog(shared: &Shared, query: &str) -> Answer {
    let repositories = shared.store().repositories();
    page(
        shared,
        "/v2/_catalog",
        repositories,
        query,
        |repositories| json!({ "repositories": repositories }),
    )
}

/// One page of a sorted list, with a link to the next one.
fn page(
    shared: &Shared,
    path: &str,
    mut all: Vec<String>,
    query: &str,
    body: impl Fn(&[String]) -> serde_json::Value,
) -> Answer {
    let query = members(query);
    if let Some(last) = member(&query, "last") {
        all.retain(|one| one.as_str() > last);
    }
    let asked: Option<usize> = match member(&query, "n").map(str::parse).transpose() {
        Ok(asked) => asked,
        Err(_) => {
            let message = "the number of results must be a whole number";
            let status = StatusCode::BAD_REQUEST;
            return Answer::error(status, "PAGINATION_NUMBER_INVALID", message);
        }
    };
    let size = match (asked, shared.config.page_size) {
        (Some(asked), Some(most)) => Some(most.min(asked)),
        (asked, most) => asked.or(most),
    };
    let whole = all.len();
    all.truncate(size.unwrap_or(whole));
    let answer = Answer::json(StatusCode::OK, "application/json", &body(&all));
    match (all.last(), asked.or(size)) {
        (Some(last), Some(n)) if all.len() < whole => {
            let last = last.replace('/', "%2F");
            let link = format!("<{path}?n={n}&last={last}>; rel=\"next\"");
            answer.with(header::LINK, &link)
        }
        _ => answer,
    }
}

pub(super) fn unknown_repository() -> Answer {
    Answer::unknown("NAME_UNKNOWN", "repository name not known to registry")
}
