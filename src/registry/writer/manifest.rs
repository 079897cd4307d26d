//! Putting a manifest under its digest or under a tag.

use bytes::Bytes;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Repository;
use crate::model::printable;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::What;
use crate::registry::plan::Access;
use crate::registry::plan::Act;
use crate::registry::plan::Again;
use crate::registry::plan::Body;
use crate::registry::plan::Plan;
use crate::registry::remote::Remote;
use crate::registry::writer::pause;
use crate::registry::writer::refused;
use crate::transport::Deadline;
use crate::transport::Reply;

/// A manifest or index to be written.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    /// A blob that has to be there before.
    pub(super) config: Option<Bytes>,
}

impl Document {
    pub(super) fn new(media_type: &str, bytes: Bytes) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::sha256(&bytes),
            bytes,
            config: None,
        }
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        Descriptor::new(self.media_type.clone(), self.digest, size)
    }
}

/// What became of a document.
#[derive(Debug)]
pub(super) enum Put {
    /// The condition did not hold; or, where that is how the answer can be read and nothing has
    /// changed, the tag stays as it is.
    Changed(Option<Error>),
    /// It is there.
    Taken,
}

/// What a write depends on.
pub(super) type Condition = Option<(HeaderName, HeaderValue)>;

impl Remote {
    /// Puts a manifest under its digest, or under a tag.
    pub(super) async fn put(
        &self,
        repository: &Repository,
        document: &Document,
        tag: Option<&str>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(tag) = tag else {
            let asked = Asked::of(repository, What::Manifest(document.digest));
            let name = document.digest.to_string();
            let again = Again::May;
            let put = self.put_as(repository, &name, &asked, document, None, again, deadline);
            return put.await.map(drop);
        };
        let asked = Asked::of(repository, What::Tag(tag.to_owned()));
        let again = Again::MayNot;
        let put = self.put_as(repository, tag, &asked, document, None, again, deadline);
        match put.await {
            // It may be there all the same. To put it there again could take back what somebody
            // else has put there since.
            Err(error) if pause::may_help(&error) => {
                let there = self.marked_tag(repository, tag, Access::Push, deadline);
                match there.await {
                    Ok(there) if there.manifest.digest == document.digest => Ok(()),
                    _ => Err(error),
                }
            }
            outcome => outcome.map(drop),
        }
    }

    /// Makes the request to put a manifest somewhere.
    #[expect(
        clippy::too_many_arguments,
        reason = "each says something else about one request, made in three places"
    )]
    pub(super) async fn put_as(
        &self,
        repository: &Repository,
        name: &str,
        asked: &Asked,
        document: &Document,
        condition: Condition,
        again: Again,
        deadline: Deadline,
    ) -> Result<Put, Error> {
        let malformed = |reason| Error::Malformed {
            asked: asked.clone(),
            reason,
        };
        if matches!(asked.what(), What::Tag(_)) && !is_tag(name) {
            return Err(malformed("a tag with characters that no tag has"));
        }
        let kind = HeaderValue::from_str(&document.media_type)
            .map_err(|_| malformed("a media type that no header can hold"))?;
        let bytes = document.bytes.clone();
        let act = Act::Put(Body { kind, bytes });
        let mut plan = Plan::write(repository, asked, act, again, deadline);
        let conditional = condition.is_some();
        plan.headers.extend(condition);
        let reply = self.ask(&format!("manifests/{name}"), plan).await?.reply;
        if matches!(reply.status, 200 | 201 | 202 | 204) {
            return agreeing(&reply, document, asked);
        }
        let stays = (matches!(asked.what(), What::Tag(_)) && is_immutable(&reply)).then(|| {
            Error::TagImmutable {
                asked: asked.clone(),
                status: reply.status,
                detail: said(&reply),
            }
        });
        if reply.status == 412 && conditional {
            return Ok(Put::Changed(stays));
        }
        if let Some(stays) = stays {
            return Err(stays);
        }
        Err(refused(asked, repository, &reply))
    }
}

/// Whether the registry holds what it was given, as far as it says.
fn agreeing(reply: &Reply, document: &Document, asked: &Asked) -> Result<Put, Error> {
    let stated = reply.headers.get("docker-content-digest");
    let Some(stated) = stated.filter(|stated| !stated.is_empty()) else {
        return Ok(Put::Taken);
    };
    let stated = String::from_utf8_lossy(stated.as_bytes());
    if Digest::parse(&stated).is_ok_and(|stated| stated.matches(&document.bytes)) {
        return Ok(Put::Taken);
    }
    Err(Error::DigestMismatch {
        asked: asked.clone(),
        expected: printable(&stated),
        found: document.digest,
    })
}

/// Whether a registry refuses because the tag is there and stays. There is no code for it: ECR
/// answers 400 `TAG_INVALID`, Harbor 412, others 403, 405 or 409, each with words of its own.
fn is_immutable(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(&reply.body).to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match reply.status {
        400 | 405 | 409 | 412 | 422 => says(&[
            "immutab",
            "cannot be overwritten",
            "can not be overwritten",
            "already exist",
            "imagetagalreadyexists",
            "does not allow updating",
            "overwrite",
        ]),
        401 | 403 => says(&["immutab", "cannot be overwritten"]),
        _ => false,
    }
}

/// What the registry said, if only in plain text.
fn said(reply: &Reply) -> String {
    let stated = crate::registry::error_text(&reply.body);
    if stated.is_empty() {
        return printable(String::from_utf8_lossy(&reply.body).trim());
    }
    stated
}

/// OCI distribution specification 1.1, "Pulling manifests".
fn is_tag(text: &str) -> bool {
    let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && !text.starts_with(['.', '-']) && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;

    #[test]
    fn a_tag_that_stays_is_told_from_other_refusals() {
        for (status, body, expected) in [
            (
                400,
                r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'x' already exists in the 'r' repository and cannot be overwritten because the repository is immutable."}]}"#,
                true,
            ),
            (
                412,
                r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'x' configured as immutable."}]}"#,
                true,
            ),
            (409, "ImageTagAlreadyExistsException", true),
            (405, "Tag Immutable", true),
            (400, "Repository does not allow updating assets: r", true),
            (403, "the tag is IMMUTABLE", true),
            (
                403,
                r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#,
                false,
            ),
            (403, "already exists", false),
            (412, "PRECONDITION_FAILED", false),
            (
                400,
                r#"{"errors":[{"code":"TAG_INVALID","message":"invalid tag"}]}"#,
                false,
            ),
            (500, "immutable", false),
        ] {
            let reply = Reply::new(status, HeaderMap::new(), Bytes::from(body));
            assert_eq!(is_immutable(&reply), expected, "{status} {body}");
        }
    }

    #[test]
    fn tags_are_as_the_specification_has_them() {
        for (tag, expected) in [
            ("sha256-00.sig", true),
            ("_x", true),
            ("", false),
            (".a", false),
            ("a/b", false),
            ("a?b", false),
            ("é", false),
        ] {
            assert_eq!(is_tag(tag), expected, "{tag}");
        }
        assert!(is_tag(&"a".repeat(128)) && !is_tag(&"a".repeat(129)));
    }
}
