//! What a request makes its answer depend on: a part of a body, and entity tags (RFC 9110).

use core::ops::Range;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;

use super::Shared;
use crate::model::Digest;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;

/// What a `Range` header asks for.
#[derive(Debug, Eq, PartialEq)]
enum Part {
    /// Bytes that are there.
    Bytes(Range<usize>),
    /// Bytes that are not there.
    Unsatisfiable,
    /// All of it: nothing was said, or what a server may pass over.
    Whole,
}

fn part(text: &str, length: usize) -> Part {
    let Some(range) = text.trim().strip_prefix("bytes=") else {
        return Part::Whole;
    };
    if range.contains(',') {
        return Part::Whole;
    }
    let Some((first, last)) = range.split_once('-') else {
        return Part::Unsatisfiable;
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let bytes = match (first.trim(), last.trim()) {
        ("", last) => number(last).map(|count| length.saturating_sub(count)..length),
        (first, "") => number(first).map(|first| first..length),
        (first, last) => number(first)
            .zip(number(last))
            .map(|(first, last)| first..last.saturating_add(1).min(length)),
    };
    match bytes {
        Some(bytes) if bytes.start < bytes.end => Part::Bytes(bytes),
        Some(_) | None => Part::Unsatisfiable,
    }
}

/// Cuts a whole answer to GET down to what its `Range` asks for.
pub(super) fn cut(asked: &Asked<'_>, whole: Answer) -> Answer {
    let mut whole = whole.with(header::ACCEPT_RANGES, "bytes");
    let Some(range) = text(asked.headers, &header::RANGE).filter(|_| *asked.method == Method::GET)
    else {
        return whole;
    };
    let condition = text(asked.headers, &header::IF_RANGE);
    if condition.is_some_and(|tag| text(&whole.headers, &header::ETAG) != Some(tag)) {
        return whole;
    }
    let length = whole.body.len();
    match part(range, length) {
        Part::Whole => whole,
        Part::Unsatisfiable => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            Answer::error(status, "UNSUPPORTED", "the blob has no such bytes")
                .with(header::CONTENT_RANGE, &format!("bytes */{length}"))
        }
        Part::Bytes(bytes) => {
            let last = bytes.end.saturating_sub(1);
            let range = format!("bytes {}-{last}/{length}", bytes.start);
            whole.status = StatusCode::PARTIAL_CONTENT;
            whole.body = whole.body.slice(bytes);
            whole.with(header::CONTENT_RANGE, &range)
        }
    }
}

/// 304, when the client has this content and the registry obeys conditions.
pub(super) fn unchanged(shared: &Shared, headers: &HeaderMap, digest: Digest) -> Option<Answer> {
    if !shared.config.conditional || !names(headers, &header::IF_NONE_MATCH, Some(digest)) {
        return None;
    }
    Some(Answer::new(StatusCode::NOT_MODIFIED).digest(digest))
}

/// 412, when a write depends on what is not so and the registry obeys conditions. `current` is what
/// the reference points at now.
pub(super) fn refused(
    shared: &Shared,
    headers: &HeaderMap,
    current: Option<Digest>,
) -> Option<Answer> {
    let wants = headers.contains_key(header::IF_MATCH);
    let fails = (wants && !names(headers, &header::IF_MATCH, current))
        || names(headers, &header::IF_NONE_MATCH, current);
    if !shared.config.conditional || !fails {
        return None;
    }
    let status = StatusCode::PRECONDITION_FAILED;
    let message = "the manifest is not the one that the request depends on";
    Some(Answer::error(status, "PRECONDITION_FAILED", message))
}

/// Whether a list of entity tags names this content. `*` names whatever is there.
fn names(headers: &HeaderMap, name: &HeaderName, current: Option<Digest>) -> bool {
    let Some(current) = current else {
        return false;
    };
    let current = format!("\"{current}\"");
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == current)
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        for (text, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=2-5", Part::Bytes(2..6)),
            ("bytes=2-", Part::Bytes(2..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-30", Part::Bytes(0..10)),
            ("bytes=8-99", Part::Bytes(8..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=5-0", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=-", Part::Unsatisfiable),
            ("bytes=x-y", Part::Unsatisfiable),
            ("bytes=99999999999999999999-", Part::Unsatisfiable),
            ("bytes=0-18446744073709551615", Part::Bytes(0..10)),
            ("bytes=0-1,3-4", Part::Whole),
            ("pages=1-2", Part::Whole),
        ] {
            assert_eq!(part(text, 10), expected, "{text}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Unsatisfiable);
    }
}
