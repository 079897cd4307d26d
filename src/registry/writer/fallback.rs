//! Seeing to it that a referrer is listed: by the registry itself, or in the index under the
//! fallback tag (OCI distribution specification 1.1, "Referrers tag schema").

use core::time::Duration;
use std::collections::HashSet;

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::Repository;
use crate::model::media_type;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::RawManifest;
use crate::registry::Search;
use crate::registry::Way;
use crate::registry::What;
use crate::registry::discover::unlistable;
use crate::registry::plan::Access;
use crate::registry::remote::Remote;
use crate::registry::writer::Merged;
use crate::registry::writer::manifest::Document;
use crate::registry::writer::pause;
use crate::registry::writer::raw;
use crate::transport::Deadline;

/// How late a registry may list what it holds.
const LATE: Duration = Duration::from_secs(6);
/// The first pause while it does not; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(1);

/// The tag whose index lists the referrers of `subject`.
pub(super) fn tag(subject: &Digest) -> String {
    let tag = Search::default().tag(Way::FallbackTag, subject);
    tag.unwrap_or_default()
}

impl Remote {
    /// Waits until the referrers API lists a manifest. Gives no where there is no such API.
    ///
    /// `OCI-Subject` is not looked at: registries without the API sent it (Docker Hub), and some
    /// with the API do not (go-containerregistry).
    pub(super) async fn see_listed(
        &self,
        repository: &Repository,
        subject: &Digest,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let began = Instant::now();
        let mut wait = PAUSE;
        loop {
            let api = self.referrers(repository, subject, Access::Push, deadline);
            let api = api.await;
            if api.found.iter().any(|entry| entry.digest == *digest) {
                return Ok(true);
            }
            if let Some(gap) = api.gap {
                return Err(gap);
            }
            if !api.is_there {
                return Ok(false);
            }
            let more = wait.saturating_add(pause::random(wait / 2));
            if began.elapsed() > LATE || !pause::within(more, deadline).await {
                return Err(Error::Unconfirmed {
                    asked: Asked::of(repository, What::Referrers(*subject)),
                    writes: 1,
                });
            }
            wait = wait.saturating_mul(2).min(LONGEST);
        }
    }
}

/// An entry of an index, as read and as it stands there.
type Entry = (Descriptor, String);

/// What the index under a fallback tag is to list.
pub(super) struct Listing<'a> {
    subject: &'a Digest,
    entry: &'a Descriptor,
    limits: &'a Limits,
    /// Whether the entry was written: then it counts, however the registry shows it.
    written: bool,
}

impl<'a> Listing<'a> {
    pub(super) const fn new(
        subject: &'a Digest,
        entry: &'a Descriptor,
        limits: &'a Limits,
    ) -> Self {
        Self {
            subject,
            entry,
            limits,
            written: false,
        }
    }

    /// Puts the entry into the index, and what indexes listed that are gone: each digest once, in
    /// the order of the digests, everybody else's as they are.
    pub(super) fn merge(
        &mut self,
        there: Option<&RawManifest>,
        gone: &[RawManifest],
        asked: &Asked,
    ) -> Result<Merged, Error> {
        let own = descriptor(self.entry).to_string();
        let digest = self.entry.digest.to_string();
        let empty = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
            media_type::INDEX
        );
        let (text, listed) = match there {
            Some(there) => self.read(there, asked)?,
            None => (empty.as_str(), Vec::new()),
        };
        let there: HashSet<_> = listed.iter().map(|(entry, _)| entry.digest).collect();
        let mut missing = Vec::new();
        for gone in gone {
            let (_, entries) = self.read(gone, asked)?;
            let entries = entries.into_iter();
            missing.extend(entries.filter(|(entry, _)| !there.contains(&entry.digest)));
        }
        let is_own = |entry: &&Entry| entry.0.digest == self.entry.digest;
        if let Some((found, _)) = listed.iter().find(is_own)
            && (self.written || is_same(found, self.entry))
            && missing.is_empty()
        {
            return Ok(Merged::Kept);
        }
        self.written = true;
        let mut entries: Vec<(String, String)> = Vec::with_capacity(listed.len() + 1);
        for (descriptor, entry) in listed.into_iter().chain(missing) {
            let key = descriptor.digest.to_string();
            if key == digest {
                continue;
            }
            match entries.iter_mut().find(|(known, _)| *known == key) {
                // Of two about the same the one that says more.
                Some((_, known)) if known.len() < entry.len() => *known = entry,
                Some(_) => {}
                None => entries.push((key, entry)),
            }
        }
        entries.push((digest, own));
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Exceeded::unless(
            entries.len(),
            self.limits.referrers,
            "referrers of one image",
        )
        .map_err(|exceeded| Error::Exceeded {
            asked: asked.clone(),
            exceeded,
        })?;
        let list = raw::list(entries.iter().map(|(_, entry)| entry.as_str()));
        let index = raw::with(text, &[("manifests", list)]);
        self.document(index.ok_or_else(|| no_index(asked))?, asked)
    }

    /// The index, and its entries as read and as they stand there.
    fn read<'t>(
        &self,
        there: &'t RawManifest,
        asked: &Asked,
    ) -> Result<(&'t str, Vec<Entry>), Error> {
        // GitLab answers the tag with the image itself, which may be an index.
        if there.digest == *self.subject {
            return Err(no_index(asked));
        }
        let served_as = there.media_type.as_deref();
        let limits = self.limits;
        let parsed = Manifest::parse(&there.bytes, served_as, limits.referrers, limits);
        let index = match parsed {
            Ok(Manifest::Index(index)) if index.media_type == media_type::INDEX => index,
            Ok(Manifest::Image(_) | Manifest::Index(_)) => return Err(no_index(asked)),
            Err(error) => return Err(unlistable(asked.clone(), error)),
        };
        let text = core::str::from_utf8(&there.bytes).map_err(|_| no_index(asked))?;
        let items = raw::member(text, "manifests").and_then(raw::items);
        let items = items.ok_or_else(|| no_index(asked))?;
        if items.len() != index.manifests.len() {
            return Err(no_index(asked));
        }
        let items = items.into_iter().map(str::to_owned);
        Ok((text, index.manifests.into_iter().zip(items).collect()))
    }

    fn document(&self, index: String, asked: &Asked) -> Result<Merged, Error> {
        within(index.len(), self.limits, asked)?;
        let document = Document::new(media_type::INDEX, index.into());
        Ok(Merged::New(document))
    }
}

/// Whether a document may be as large as it became.
pub(super) fn within(length: usize, limits: &Limits, asked: &Asked) -> Result<(), Error> {
    Exceeded::unless(length, limits.manifest_bytes, "bytes in a manifest").map_err(|exceeded| {
        Error::Exceeded {
            asked: asked.clone(),
            exceeded,
        }
    })
}

fn no_index(asked: &Asked) -> Error {
    Error::Malformed {
        asked: asked.clone(),
        reason: "no index of referrers, and is not written over",
    }
}

/// Whether both say the same about a manifest.
fn is_same(one: &Descriptor, other: &Descriptor) -> bool {
    let said = |descriptor: &Descriptor| {
        (
            descriptor.media_type.clone(),
            descriptor.size,
            descriptor.artifact_type.clone(),
            descriptor.annotations.clone(),
        )
    };
    said(one) == said(other)
}

/// A descriptor as it is written.
pub(super) fn descriptor(of: &Descriptor) -> Value {
    let mut value = json!({
        "mediaType": of.media_type,
        "digest": of.digest.to_string(),
        "size": of.size,
    });
    if let Some(members) = value.as_object_mut() {
        if let Some(artifact_type) = &of.artifact_type {
            members.insert("artifactType".to_owned(), artifact_type.as_str().into());
        }
        if !of.annotations.is_empty() {
            members.insert("annotations".to_owned(), json!(of.annotations));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DenyCode;

    fn raw_manifest(text: &str) -> RawManifest {
        RawManifest {
            bytes: text.to_owned().into(),
            digest: Digest::sha256(text.as_bytes()),
            media_type: Some(media_type::INDEX.to_owned()),
        }
    }

    fn asked() -> Asked {
        Asked::new("h".to_owned(), "r".to_owned(), What::Tag("t".to_owned()))
    }

    #[test]
    fn entries_of_others_stay_byte_for_byte_and_all_are_sorted() {
        let digest = |number: u8| Digest::sha256(&[number]);
        let mut own = Descriptor::new(media_type::IMAGE.to_owned(), digest(1), 7);
        own.artifact_type = Some("a/b".to_owned());
        own.annotations.insert("k".to_owned(), "v\"".to_owned());
        let foreign: Vec<_> = (2..6)
            .map(|number| {
                format!(
                    r#"{{ "size":1.0e0, "digest":"{}","x":{{"big":123456789012345678901234567890}},"mediaType" : "{}"}}"#,
                    digest(number),
                    media_type::IMAGE
                )
                .replace("1.0e0", "1")
            })
            .collect();
        let text = format!(
            r#"{{"annotations":{{"top":"\u00e4"}}, "schemaVersion":2,"mediaType":"{}","manifests":[{}, {}]}}"#,
            media_type::INDEX,
            foreign.join(" ,\n"),
            foreign[0]
        );
        let (subject, limits) = (digest(0), Limits::default());
        let mut merge = Listing::new(&subject, &own, &limits);
        let Merged::New(document) = merge
            .merge(Some(&raw_manifest(&text)), &[], &asked())
            .unwrap()
        else {
            panic!("nothing was added");
        };
        let written = core::str::from_utf8(&document.bytes).unwrap();
        for entry in &foreign {
            assert_eq!(written.matches(entry.as_str()).count(), 1, "{written}");
        }
        assert!(
            written.contains(r#""annotations":{"top":"\u00e4"}"#),
            "{written}"
        );
        let index = Manifest::parse(&document.bytes, None, 10, &limits).unwrap();
        let Manifest::Index(index) = index else {
            panic!("no index");
        };
        assert_eq!(index.manifests.len(), 5);
        let digests: Vec<_> = index
            .manifests
            .iter()
            .map(|entry| entry.digest.to_string())
            .collect();
        assert!(digests.is_sorted());
        assert!(index.manifests.contains(&own));
        // Once written it counts, and again it is not added.
        let again = raw_manifest(written);
        for mut merge in [merge, Listing::new(&subject, &own, &limits)] {
            assert!(matches!(
                merge.merge(Some(&again), &[], &asked()),
                Ok(Merged::Kept)
            ));
        }
        // Another writer's poorer entry about ours is replaced, at first.
        let poor = written.replace(r#""annotations":{"k":"v\""},"artifactType":"a/b","#, "");
        assert_ne!(poor, written);
        let mut merge = Listing::new(&subject, &own, &limits);
        let poor = raw_manifest(&poor);
        assert!(matches!(
            merge.merge(Some(&poor), &[], &asked()),
            Ok(Merged::New(_))
        ));
        assert!(matches!(
            merge.merge(Some(&poor), &[], &asked()),
            Ok(Merged::Kept)
        ));
    }

    #[test]
    fn what_was_listed_for_a_while_is_listed_again() {
        let (subject, limits) = (Digest::sha256(b"0"), Limits::default());
        let entry = |number: u8| {
            let digest = Digest::sha256(&[number]);
            Descriptor::new(media_type::IMAGE.to_owned(), digest, 7)
        };
        let index = |there: Option<&RawManifest>, gone: &[RawManifest], number| {
            let own = entry(number);
            let merged = Listing::new(&subject, &own, &limits).merge(there, gone, &asked());
            match merged.unwrap() {
                Merged::Kept => None,
                Merged::New(document) => {
                    Some(raw_manifest(core::str::from_utf8(&document.bytes).unwrap()))
                }
            }
        };
        let one = index(None, &[], 1).unwrap();
        let two = index(None, &[], 2).unwrap();
        let both = index(Some(&one), core::slice::from_ref(&two), 1).unwrap();
        assert_eq!(both.digest, index(Some(&two), &[], 1).unwrap().digest);
        assert_eq!(
            both.digest,
            index(None, core::slice::from_ref(&two), 1).unwrap().digest
        );
        assert!(index(Some(&both), &[one, two], 1).is_none());
    }

    #[test]
    fn what_is_no_index_of_referrers_is_not_written_over() {
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":null}}"#,
            media_type::INDEX
        );
        let own = Descriptor::new(media_type::IMAGE.to_owned(), Digest::sha256(b"1"), 7);
        let limits = Limits::default();
        let code = |raw: &RawManifest, subject: Digest, limits: &Limits| {
            let mut merge = Listing::new(&subject, &own, limits);
            merge
                .merge(Some(raw), &[], &asked())
                .map(|_| ())
                .map_err(|error| error.code())
        };
        let other = Digest::sha256(b"0");
        let good = raw_manifest(&index);
        assert_eq!(code(&good, other, &limits), Ok(()));
        let malformed = Err(DenyCode::RegistryMalformed);
        assert_eq!(code(&good, good.digest, &limits), malformed);
        let image = r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"DIGEST","size":1},"layers":[]}"#;
        let mut image = raw_manifest(&image.replace("DIGEST", &other.to_string()));
        image.media_type = Some(media_type::IMAGE.to_owned());
        assert_eq!(code(&image, other, &limits), malformed);
        assert_eq!(code(&raw_manifest("<html>"), other, &limits), malformed);
        let mut docker = raw_manifest(&index.replace(media_type::INDEX, media_type::DOCKER_INDEX));
        docker.media_type = Some(media_type::DOCKER_INDEX.to_owned());
        assert_eq!(code(&docker, other, &limits), malformed);
        let mut narrow = limits;
        narrow.referrers = 0;
        assert_eq!(code(&good, other, &narrow), Err(DenyCode::LimitExceeded));
        narrow.referrers = 1;
        narrow.manifest_bytes = good.bytes.len();
        assert_eq!(code(&good, other, &narrow), Err(DenyCode::LimitExceeded));
    }
}
