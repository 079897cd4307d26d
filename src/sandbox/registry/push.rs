//! Writing manifests, and deleting.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;

use super::Shared;
use super::conditions;
use super::config::Referrers;
use super::disk::DiskError;
use super::pull;
use super::route::is_tag;
use super::store::Link;
use super::store::Shape;
use super::store::Store;
use super::store::View;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::media_type;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::CONTENT_DIGEST;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// How many tags one push may set; the specification demands ten.
const TAGS: usize = 64;

/// `PUT /v2/<repo>/manifests/<reference>`, as strict as distribution.
pub(super) fn manifest(shared: &Shared, repo: &str, reference: &str, asked: &Asked<'_>) -> Answer {
    let most = Limits::default().manifest_bytes;
    if asked.body.len() > most {
        let message = format!("a manifest may have {most} bytes");
        return Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", &message);
    }
    let (shape, served) = match read(asked) {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let (digest, tags) = match names(reference, asked) {
        Ok(names) => names,
        Err(refusal) => return refusal,
    };
    let mut store = shared.store();
    let current = match Digest::parse(reference) {
        Ok(digest) => store.manifest(repo, digest).map(|_| digest),
        Err(_) => store.resolve(repo, reference, View::Now),
    };
    if let Some(refusal) = conditions::refused(shared, asked.headers, current) {
        return refusal;
    }
    if let Some(refusal) = fixed(shared, &store, repo, &tags, digest) {
        return refusal;
    }
    if !shared.config.sparse
        && let Some(missing) = missing(&store, repo, &shape)
    {
        let message = format!("blob or manifest unknown to registry: {missing}");
        return Answer::error(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", &message);
    }
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let stored = store.put_manifest(repo, digest, &served, asked.body.clone(), &tags);
    if let Some(refusal) = unwritten(stored) {
        return refusal;
    }
    let mut answer = created(shared, &format!("/v2/{repo}/manifests/{digest}"), digest);
    if reference.contains(':') {
        for tag in tags {
            answer.add(OCI_TAG, tag);
        }
    }
    match (shape.subject, shared.config.referrers) {
        (Some(subject), Referrers::Api | Referrers::ApiUnfiltered) => {
            answer.with(OCI_SUBJECT, &subject.digest)
        }
        (Some(_) | None, _) => answer,
    }
}

/// Reads the body as a manifest, and which media type it is to be served with.
fn read(asked: &Asked<'_>) -> Result<(Shape, String), Answer> {
    let invalid = |message: &str| {
        let status = StatusCode::BAD_REQUEST;
        Err(Answer::error(status, "MANIFEST_INVALID", message))
    };
    // What reads an object would also take a list of its members.
    if asked.body.trim_ascii_start().first() != Some(&b'{') {
        return invalid("a manifest is a JSON object");
    }
    let shape: Shape = match serde_json::from_slice(&asked.body) {
        Ok(shape) => shape,
        Err(error) => return invalid(&error.to_string()),
    };
    let served = conditions::text(asked.headers, &header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let own = shape.media_type.as_deref().unwrap_or_default();
    let served = if served.is_empty() { own } else { served };
    if served.is_empty() || (!own.is_empty() && own != served) {
        return invalid("mediaType differs from Content-Type");
    }
    if media_type::is_image(served) && shape.config.is_none() {
        return invalid("an image manifest needs a config");
    }
    let has_children = shape.manifests.is_some();
    if has_children && (shape.config.is_some() || shape.layers.is_some()) {
        return invalid("a manifest is an image or an index, not both");
    }
    if media_type::is_image(served) && has_children {
        return invalid("an image manifest has no manifests");
    }
    if has_bad_digest(&shape) {
        return Err(Answer::bad_digest());
    }
    let served = served.to_owned();
    Ok((shape, served))
}

/// Whether a descriptor has no digest that is one.
fn has_bad_digest(shape: &Shape) -> bool {
    let children = shape.manifests.iter().flatten();
    let mut named = links(shape).chain(children).chain(&shape.subject);
    named.any(|link| link.digest().is_none())
}

/// The digest that a manifest is stored under, and the tags that shall point at it.
fn names(reference: &str, asked: &Asked<'_>) -> Result<(Digest, Vec<String>), Answer> {
    let query = members(asked.query);
    let is_digest = reference.contains(':');
    let said = if is_digest {
        Some(reference)
    } else {
        member(&query, "digest")
    };
    let digest = match said.map(Digest::parse) {
        None => Digest::sha256(&asked.body),
        Some(Ok(digest)) if digest.matches(&asked.body) => digest,
        Some(Ok(_) | Err(_)) => return Err(Answer::bad_digest()),
    };
    let tags: Vec<_> = if is_digest {
        let tags = query.into_iter().filter(|(name, _)| name == "tag");
        tags.map(|(_, tag)| tag).collect()
    } else {
        vec![reference.to_owned()]
    };
    if tags.len() > TAGS {
        let message = format!("a push may set {TAGS} tags");
        return Err(Answer::error(
            StatusCode::URI_TOO_LONG,
            "UNSUPPORTED",
            &message,
        ));
    }
    if tags.iter().any(|tag| !is_tag(tag)) {
        let status = StatusCode::BAD_REQUEST;
        return Err(Answer::error(status, "TAG_INVALID", "invalid tag"));
    }
    Ok((digest, tags))
}

/// The refusal to move a tag, where tags stay.
fn fixed(
    shared: &Shared,
    store: &Store,
    repo: &str,
    tags: &[String],
    digest: Digest,
) -> Option<Answer> {
    let moved = tags.iter().find(|tag| {
        let before = store.resolve(repo, tag, View::Now);
        before.is_some_and(|before| before != digest)
    })?;
    if !shared.config.immutable_tags {
        return None;
    }
    let message = format!("the tag `{moved}` exists and cannot be overwritten");
    let status = StatusCode::BAD_REQUEST;
    Some(Answer::error(status, "TAG_INVALID", &message))
}

/// The blobs that a manifest names.
fn links(shape: &Shape) -> impl Iterator<Item = &Link> {
    shape.config.iter().chain(shape.layers.iter().flatten())
}

/// Whether a layer need not be in the registry (image specification, "Non-Distributable Layers").
fn is_foreign(link: &Link) -> bool {
    let name = link.media_type.as_str();
    name.starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
        || name.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// What a manifest needs and the repository lacks. A subject may be absent.
fn missing(store: &Store, repo: &str, shape: &Shape) -> Option<String> {
    let lacks_blob = |link: &&Link| {
        let blob = link.digest().and_then(|digest| store.blob(repo, digest));
        blob.is_none() && !is_foreign(link)
    };
    let lacks_manifest = |link: &&Link| {
        let child = link
            .digest()
            .and_then(|digest| store.manifest(repo, digest));
        child.is_none()
    };
    let mut children = shape.manifests.iter().flatten();
    let lacking = links(shape).find(lacks_blob);
    let lacking = lacking.or_else(|| children.find(lacks_manifest));
    lacking.map(|link| link.digest.clone())
}

/// `DELETE /v2/<repo>/manifests/<reference>`
pub(super) fn delete_manifest(
    shared: &Shared,
    repo: &str,
    reference: &str,
    headers: &HeaderMap,
) -> Answer {
    let mut store = shared.store();
    if !store.knows(repo) {
        return pull::unknown_repository();
    }
    let deleted = if reference.contains(':') {
        let Ok(digest) = Digest::parse(reference) else {
            return Answer::bad_digest();
        };
        let current = store.manifest(repo, digest).map(|_| digest);
        if let Some(refusal) = conditions::refused(shared, headers, current) {
            return refusal;
        }
        store.delete_manifest(repo, digest)
    } else {
        let current = store.resolve(repo, reference, View::Now);
        if let Some(refusal) = conditions::refused(shared, headers, current) {
            return refusal;
        }
        store.delete_tag(repo, reference)
    };
    deleted_or("MANIFEST_UNKNOWN", "manifest unknown", deleted)
}

/// `DELETE /v2/<repo>/blobs/<digest>`
pub(super) fn delete_blob(shared: &Shared, repo: &str, digest: &str) -> Answer {
    let Ok(digest) = Digest::parse(digest) else {
        return Answer::bad_digest();
    };
    let deleted = shared.store().delete_blob(repo, digest);
    deleted_or("BLOB_UNKNOWN", "blob unknown to registry", deleted)
}

fn deleted_or(code: &str, message: &str, deleted: Result<bool, DiskError>) -> Answer {
    match deleted {
        Ok(true) => Answer::new(StatusCode::ACCEPTED),
        Ok(false) => Answer::unknown(code, message),
        Err(_) => unwritable(),
    }
}

/// 201 with what was stored.
pub(super) fn created(shared: &Shared, location: &str, digest: Digest) -> Answer {
    let answer = Answer::new(StatusCode::CREATED).with(CONTENT_DIGEST, &digest.to_string());
    if shared.config.omit_location {
        answer
    } else {
        answer.with(header::LOCATION, location)
    }
}

/// The refusal, when something could not be written down.
pub(super) fn unwritten(stored: Result<(), DiskError>) -> Option<Answer> {
    stored.err().map(|_| unwritable())
}

/// The disk does not take it. Which file it was is nothing for a client.
pub(super) fn unwritable() -> Answer {
    let message = "the storage of the registry cannot be written";
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
}
