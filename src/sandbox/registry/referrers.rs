//! `GET /v2/<repo>/referrers/<digest>`: what refers to a manifest.

use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::config::Referrers;
use super::store::Stored;
use super::store::View;
use crate::model::Digest;
use crate::model::media_type;
use crate::sandbox::server::Answer;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Answers with an index of the referrers, page by page; an unknown digest or repository has none.
pub(super) fn list(shared: &Shared, repo: &str, subject: &str, query: &str, view: View) -> Answer {
    match shared.config.referrers {
        Referrers::Api | Referrers::ApiUnfiltered | Referrers::ApiWrongType => (),
        Referrers::Off => {
            let text = "404 page not found\n";
            return Answer::body(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text);
        }
        Referrers::Refused(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::METHOD_NOT_ALLOWED);
            return Answer::error(status, "UNSUPPORTED", "the operation is unsupported");
        }
    }
    let Ok(digest) = Digest::parse(subject) else {
        return Answer::bad_digest();
    };
    let query = members(query);
    let wanted = member(&query, "artifactType").filter(|wanted| !wanted.is_empty());
    let filter = wanted.filter(|_| shared.config.referrers != Referrers::ApiUnfiltered);

    let mut entries: Vec<_> = shared
        .store()
        .referrers(repo, digest, view)
        .iter()
        .map(|(digest, stored)| descriptor(*digest, stored, shared.config.referrers))
        .filter(|entry| {
            let found = entry.get("artifactType").and_then(Value::as_str);
            filter.is_none() || filter == found
        })
        .collect();
    let page: usize = member(&query, "page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(0);
    let mut next = None;
    if let Some(size) = shared.config.page_size {
        let skip = page.saturating_mul(size);
        if entries.len() > skip.saturating_add(size) {
            next = Some(page + 1);
        }
        entries = entries.into_iter().skip(skip).take(size).collect();
    }

    let body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": entries,
    });
    let mut answer = Answer::json(StatusCode::OK, media_type::INDEX, &body);
    if filter.is_some() {
        answer.set(FILTERS_APPLIED, "artifactType");
    }
    if let Some(page) = next {
        let filter = wanted.map_or_else(String::new, |wanted| {
            format!("artifactType={}&", wanted.replace('+', "%2B"))
        });
        let link = format!("</v2/{repo}/referrers/{digest}?{filter}page={page}>; rel=\"next\"");
        answer.set(header::LINK, &link);
    }
    answer
}

/// The descriptor of a referrer (distribution specification 1.1, "Listing Referrers").
fn descriptor(digest: Digest, stored: &Stored, kind: Referrers) -> Value {
    let facts = &stored.facts;
    let (own, config) = (&facts.artifact_type, &facts.config_type);
    let mut entry = json!({
        "mediaType": stored.media_type,
        "digest": digest,
        "size": stored.size,
    });
    let wrong = kind == Referrers::ApiWrongType;
    let artifact_type = if wrong {
        config.as_ref()
    } else {
        own.as_ref().or(config.as_ref())
    };
    if let Some(members) = entry.as_object_mut() {
        if let Some(artifact_type) = artifact_type {
            members.insert("artifactType".to_owned(), artifact_type.as_str().into());
        }
        if let (false, Some(annotations)) = (wrong, &facts.annotations) {
            members.insert("annotations".to_owned(), annotations.clone());
        }
    }
    entry
}
