//! What the registry holds, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::model::Algorithm;
use crate::model::Digest;

/// All repositories, and the uploads that are under way.
#[derive(Debug, Default)]
pub(super) struct Store {
    repos: BTreeMap<String, Repo>,
    uploads: BTreeMap<String, Vec<u8>>,
    count: usize,
}

#[derive(Debug, Default)]
struct Repo {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Stored>,
    tags: BTreeMap<String, Digest>,
}

/// A manifest or index.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) facts: Facts,
    /// The order of arrival, which is the order of referrers.
    place: usize,
}

/// What the registry reads in a manifest. Bytes that are no manifest have no facts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Facts {
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Link>,
    pub(super) layers: Option<Vec<Link>>,
    pub(super) manifests: Option<Vec<Link>>,
    pub(super) subject: Option<Link>,
    pub(super) annotations: Option<Value>,
}

/// A descriptor, as far as the registry reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Link {
    pub(super) media_type: String,
    pub(super) digest: String,
}

impl Link {
    pub(super) fn digest(&self) -> Option<Digest> {
        Digest::parse(&self.digest).ok()
    }
}

impl Store {
    pub(super) fn knows(&self, repo: &str) -> bool {
        self.repos.contains_key(repo)
    }

    pub(super) fn put_blob(&mut self, repo: &str, digest: Digest, bytes: Bytes) {
        self.repo(repo).blobs.insert(digest, bytes);
    }

    pub(super) fn put_manifest(
        &mut self,
        repo: &str,
        digest: Digest,
        media_type: &str,
        bytes: Bytes,
    ) {
        self.count += 1;
        let stored = Stored {
            media_type: media_type.to_owned(),
            facts: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
            place: self.count,
        };
        self.repo(repo).manifests.insert(digest, stored);
    }

    pub(super) fn tag(&mut self, repo: &str, tag: &str, digest: Digest) {
        self.repo(repo).tags.insert(tag.to_owned(), digest);
    }

    pub(super) fn resolve(&self, repo: &str, tag: &str) -> Option<Digest> {
        self.repos.get(repo)?.tags.get(tag).copied()
    }

    /// The manifest stored under a digest, or whose SHA-512 it is.
    pub(super) fn manifest(&self, repo: &str, digest: Digest) -> Option<Stored> {
        let manifests = &self.repos.get(repo)?.manifests;
        let found = manifests.get(&digest).or_else(|| {
            (digest.algorithm() == Algorithm::Sha512).then_some(())?;
            manifests.values().find(|one| digest.matches(&one.bytes))
        });
        found.cloned()
    }

    /// The blob stored under a digest, or whose SHA-512 it is.
    pub(super) fn blob(&self, repo: &str, digest: Digest) -> Option<Bytes> {
        let blobs = &self.repos.get(repo)?.blobs;
        let found = blobs.get(&digest).or_else(|| {
            (digest.algorithm() == Algorithm::Sha512).then_some(())?;
            blobs.values().find(|bytes| digest.matches(bytes))
        });
        found.cloned()
    }

    /// The blob of a digest in whatever repository holds it.
    pub(super) fn any_blob(&self, digest: Digest) -> Option<Bytes> {
        self.repos.keys().find_map(|repo| self.blob(repo, digest))
    }

    pub(super) fn tags(&self, repo: &str) -> Option<Vec<String>> {
        Some(self.repos.get(repo)?.tags.keys().cloned().collect())
    }

    /// What refers to a digest, in the order of arrival.
    pub(super) fn referrers(&self, repo: &str, subject: Digest) -> Vec<(Digest, Stored)> {
        let Some(repo) = self.repos.get(repo) else {
            return Vec::new();
        };
        let mut found: Vec<_> = repo
            .manifests
            .iter()
            .filter(|(_, stored)| {
                let link = stored.facts.subject.as_ref();
                link.and_then(Link::digest) == Some(subject)
            })
            .map(|(digest, stored)| (*digest, stored.clone()))
            .collect();
        found.sort_by_key(|(_, stored)| stored.place);
        found
    }

    pub(super) fn delete_blob(&mut self, repo: &str, digest: Digest) -> bool {
        self.repo(repo).blobs.remove(&digest).is_some()
    }

    pub(super) fn delete_manifest(&mut self, repo: &str, digest: Digest) -> bool {
        let repo = self.repo(repo);
        repo.tags.retain(|_, at| *at != digest);
        repo.manifests.remove(&digest).is_some()
    }

    pub(super) fn delete_tag(&mut self, repo: &str, tag: &str) -> bool {
        self.repo(repo).tags.remove(tag).is_some()
    }

    /// Begins an upload and names it.
    pub(super) fn begin_upload(&mut self) -> String {
        self.count += 1;
        let id = format!("upload-{}", self.count);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> Option<&mut Vec<u8>> {
        self.uploads.get_mut(id)
    }

    pub(super) fn end_upload(&mut self, id: &str) -> Option<Vec<u8>> {
        self.uploads.remove(id)
    }

    fn repo(&mut self, name: &str) -> &mut Repo {
        self.repos.entry(name.to_owned()).or_default()
    }
}
