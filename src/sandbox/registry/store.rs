//! What the registry holds: repositories with their blobs, manifests and tags.
//!
//! The index is in memory; contents are there too, or on a disk that the index is also written to
//! after each change. A change that cannot be written down does not happen.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::content::Content;
use super::disk;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::SavedManifest;
use super::disk::SavedRepo;
use super::uploads::Partial;
use super::uploads::Uploads;
use crate::model::Algorithm;
use crate::model::Digest;

/// All repositories, and the uploads that are under way.
#[derive(Debug, Default)]
pub(super) struct Store {
    repos: BTreeMap<String, Repo>,
    pub(super) uploads: Uploads,
    disk: Option<Disk>,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Repo {
    blobs: BTreeMap<Digest, Content>,
    manifests: BTreeMap<Digest, Arc<Stored>>,
    tags: BTreeMap<String, Digest>,
    last: Option<Undo>,
}

/// How to see a repository as it was before its last write.
#[derive(Clone, Debug)]
struct Undo {
    tags: BTreeMap<String, Option<Digest>>,
    manifest: Option<(Digest, Option<Arc<Stored>>)>,
    at: Instant,
    reads: usize,
}

impl Undo {
    fn new() -> Self {
        Self {
            tags: BTreeMap::new(),
            manifest: None,
            at: Instant::now(),
            reads: 0,
        }
    }
}

/// Which state of a repository a read sees.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum View {
    /// As it was before the last write.
    Before,
    /// As it is.
    #[default]
    Now,
}

/// A manifest or index.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) media_type: String,
    pub(super) content: Content,
    pub(super) size: usize,
    pub(super) facts: Facts,
    /// The order of arrival, which is the order of referrers.
    place: usize,
}

/// What a listing of referrers says about a manifest. Bytes that are no manifest have no facts.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) subject: Option<Digest>,
    pub(super) artifact_type: Option<String>,
    pub(super) config_type: Option<String>,
    pub(super) annotations: Option<Value>,
}

/// What the registry reads in a manifest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Shape {
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Link>,
    pub(super) layers: Option<Vec<Link>>,
    pub(super) manifests: Option<Vec<Link>>,
    pub(super) subject: Option<Link>,
    pub(super) annotations: Option<Value>,
}

impl Shape {
    fn facts(self) -> Facts {
        Facts {
            subject: self.subject.as_ref().and_then(Link::digest),
            artifact_type: self.artifact_type.filter(|own| !own.is_empty()),
            config_type: self.config.map(|config| config.media_type),
            annotations: self.annotations,
        }
    }
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
    /// A store on a disk, with everything that an earlier one left there.
    pub(super) fn on_disk(root: &Path) -> Result<Self, DiskError> {
        let (disk, saved) = Disk::open(root)?;
        let mut store = Self::default();
        for repo in saved {
            let places = repo.manifests.iter().map(|manifest| manifest.place);
            store.count = store.count.max(places.max().unwrap_or(0));
            store
                .repos
                .insert(repo.name.clone(), Repo::loaded(repo, &disk));
        }
        store.disk = Some(disk);
        Ok(store)
    }

    /// Does something, and where the disk does not take it, does it in memory alone.
    pub(super) fn insist<T>(
        &mut self,
        mut act: impl FnMut(&mut Self) -> Result<T, DiskError>,
    ) -> Option<T> {
        if let Ok(done) = act(self) {
            return Some(done);
        }
        let disk = self.disk.take();
        let done = act(self).ok();
        self.disk = disk;
        done
    }
}

/// Reading.
impl Store {
    pub(super) fn knows(&self, repo: &str) -> bool {
        self.repos.contains_key(repo)
    }

    /// The names of all repositories, sorted.
    pub(super) fn repositories(&self) -> Vec<String> {
        self.repos.keys().cloned().collect()
    }

    pub(super) fn resolve(&self, repo: &str, tag: &str, view: View) -> Option<Digest> {
        let repo = self.repos.get(repo)?;
        match repo.before(view).and_then(|undo| undo.tags.get(tag)) {
            Some(before) => *before,
            None => repo.tags.get(tag).copied(),
        }
    }

    pub(super) fn tags(&self, repo: &str, view: View) -> Option<Vec<String>> {
        let repo = self.repos.get(repo)?;
        let Some(undo) = repo.before(view) else {
            return Some(repo.tags.keys().cloned().collect());
        };
        let mut tags = repo.tags.clone();
        for (tag, before) in &undo.tags {
            match before {
                Some(digest) => tags.insert(tag.clone(), *digest),
                None => tags.remove(tag),
            };
        }
        Some(tags.into_keys().collect())
    }

    /// The manifest stored under a digest, or whose SHA-512 it is.
    pub(super) fn manifest(&self, repo: &str, digest: Digest) -> Option<Arc<Stored>> {
        let manifests = &self.repos.get(repo)?.manifests;
        let own = named(manifests, digest, |stored| &stored.content)?;
        manifests.get(&own).cloned()
    }

    /// The blob stored under a digest, or whose SHA-512 it is.
    pub(super) fn blob(&self, repo: &str, digest: Digest) -> Option<Content> {
        let blobs = &self.repos.get(repo)?.blobs;
        blobs
            .get(&named(blobs, digest, |content| content)?)
            .cloned()
    }

    /// The blob of a digest in whatever repository holds it that `may` names.
    pub(super) fn any_blob(&self, digest: Digest, may: impl Fn(&str) -> bool) -> Option<Content> {
        let mut repos = self.repos.keys().filter(|repo| may(repo));
        repos.find_map(|repo| self.blob(repo, digest))
    }

    /// What refers to a digest, in the order of arrival.
    pub(super) fn referrers(
        &self,
        repo: &str,
        subject: Digest,
        view: View,
    ) -> Vec<(Digest, Arc<Stored>)> {
        let Some(repo) = self.repos.get(repo) else {
            return Vec::new();
        };
        let undone = repo.before(view).and_then(|undo| undo.manifest.as_ref());
        let mut found: Vec<_> = repo
            .manifests
            .iter()
            .filter(|(digest, _)| undone.is_none_or(|(undone, _)| undone != *digest))
            .map(|(digest, stored)| (*digest, Arc::clone(stored)))
            .chain(undone.and_then(|(digest, before)| Some((*digest, before.clone()?))))
            .filter(|(_, stored)| stored.facts.subject == Some(subject))
            .collect();
        found.sort_by_key(|(_, stored)| stored.place);
        found
    }

    /// Whether the last write to a repository is still hidden from reads, of which this is one.
    pub(super) fn lags(
        &mut self,
        repo: &str,
        reads: Option<usize>,
        lasting: Option<Duration>,
    ) -> View {
        let repo = self.repos.get_mut(repo);
        let Some(undo) = repo.and_then(|repo| repo.last.as_mut()) else {
            return View::Now;
        };
        let lags = reads.is_none_or(|reads| undo.reads < reads)
            && lasting.is_none_or(|lasting| undo.at.elapsed() < lasting);
        undo.reads += 1;
        if lags { View::Before } else { View::Now }
    }
}

/// Writing.
impl Store {
    /// Stores a blob. Bytes that have another digest stay in memory: a file would count as damaged.
    pub(super) fn put_blob(
        &mut self,
        repo: &str,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<(), DiskError> {
        let content = self.keep(digest, bytes)?;
        self.link_blob(repo, digest, content)
    }

    /// Stores a blob whose content is here already.
    pub(super) fn link_blob(
        &mut self,
        repo: &str,
        digest: Digest,
        content: Content,
    ) -> Result<(), DiskError> {
        self.change(repo, |repo| drop(repo.blobs.insert(digest, content)))
    }

    /// Stores what an upload brought, unless it has another digest.
    pub(super) fn put_upload(
        &mut self,
        repo: &str,
        digest: Digest,
        mut partial: Partial,
    ) -> Result<bool, DiskError> {
        match &mut partial {
            Partial::Memory(bytes) => {
                if !digest.matches(bytes) {
                    return Ok(false);
                }
                let bytes = core::mem::take(bytes);
                self.put_blob(repo, digest, bytes.into())?;
            }
            Partial::File(path) => {
                disk::append(path, &[])?;
                if !disk::matches(path, digest)? {
                    return Ok(false);
                }
                let content = match &self.disk {
                    Some(disk) => disk.adopt(path, digest)?,
                    None => return Ok(false),
                };
                self.link_blob(repo, digest, content)?;
            }
        }
        Ok(true)
    }

    /// Begins an upload and names it.
    pub(super) fn begin_upload(&mut self, repo: &str) -> String {
        let file = self.disk.as_mut().map(Disk::under_way);
        self.uploads.begin(repo, file)
    }

    /// Stores a manifest, and points tags at it.
    pub(super) fn put_manifest(
        &mut self,
        repo: &str,
        digest: Digest,
        media_type: &str,
        bytes: Bytes,
        tags: &[&str],
    ) -> Result<(), DiskError> {
        self.count += 1;
        let before = self.repos.get(repo);
        let before = before.and_then(|repo| repo.manifests.get(&digest));
        let shape: Shape = serde_json::from_slice(&bytes).unwrap_or_default();
        let stored = Arc::new(Stored {
            media_type: media_type.to_owned(),
            size: bytes.len(),
            facts: shape.facts(),
            place: before.map_or(self.count, |before| before.place),
            content: self.keep(digest, bytes)?,
        });
        self.change(repo, |repo| {
            let mut undo = Undo::new();
            undo.manifest = Some((digest, repo.manifests.insert(digest, stored)));
            for tag in tags {
                let before = repo.tags.insert((*tag).to_owned(), digest);
                undo.tags.insert((*tag).to_owned(), before);
            }
            repo.last = Some(undo);
        })
    }

    pub(super) fn tag(&mut self, repo: &str, tag: &str, digest: Digest) -> Result<(), DiskError> {
        self.change(repo, |repo| {
            let mut undo = Undo::new();
            let before = repo.tags.insert(tag.to_owned(), digest);
            undo.tags.insert(tag.to_owned(), before);
            repo.last = Some(undo);
        })
    }

    /// Removes a blob, and says whether it was there.
    pub(super) fn delete_blob(&mut self, repo: &str, digest: Digest) -> Result<bool, DiskError> {
        let blobs = self.repos.get(repo).map(|repo| &repo.blobs);
        let own = blobs.and_then(|blobs| named(blobs, digest, |content| content));
        let Some(own) = own else {
            return Ok(false);
        };
        self.change(repo, |repo| drop(repo.blobs.remove(&own)))?;
        self.forget(own);
        Ok(true)
    }

    /// Removes a manifest and the tags that point at it, and says whether it was there.
    pub(super) fn delete_manifest(
        &mut self,
        repo: &str,
        digest: Digest,
    ) -> Result<bool, DiskError> {
        let manifests = self.repos.get(repo).map(|repo| &repo.manifests);
        let own = manifests
            .and_then(|manifests| named(manifests, digest, |stored| &stored.content))
            .unwrap_or(digest);
        if !self.knows(repo) {
            return Ok(false);
        }
        let was_there = self.change(repo, |repo| {
            let mut undo = Undo::new();
            repo.tags.retain(|tag, at| {
                let goes = *at == own;
                if goes {
                    undo.tags.insert(tag.clone(), Some(own));
                }
                !goes
            });
            let before = repo.manifests.remove(&own);
            let was_there = before.is_some();
            undo.manifest = Some((own, before));
            repo.last = Some(undo);
            was_there
        })?;
        self.forget(own);
        Ok(was_there)
    }

    /// Removes a tag, and says whether it was there.
    pub(super) fn delete_tag(&mut self, repo: &str, tag: &str) -> Result<bool, DiskError> {
        if self.resolve(repo, tag, View::Now).is_none() {
            return Ok(false);
        }
        self.change(repo, |repo| {
            let mut undo = Undo::new();
            undo.tags.insert(tag.to_owned(), repo.tags.remove(tag));
            repo.last = Some(undo);
        })?;
        Ok(true)
    }

    /// Forgets everything. A file that cannot be removed costs room; a repository whose file cannot
    /// be removed is there again after the next start.
    pub(super) fn clear(&mut self) {
        self.uploads.clear();
        let repos = core::mem::take(&mut self.repos);
        let Some(disk) = &self.disk else {
            return;
        };
        for (name, repo) in repos {
            disk.forget_repo(&name);
            for digest in repo.blobs.into_keys().chain(repo.manifests.into_keys()) {
                disk.forget(digest);
            }
        }
    }

    fn keep(&mut self, digest: Digest, bytes: Bytes) -> Result<Content, DiskError> {
        match &mut self.disk {
            Some(disk) if digest.matches(&bytes) => disk.keep(digest, &bytes),
            Some(_) | None => Ok(Content::Memory(bytes)),
        }
    }

    /// Changes a repository and writes it down; if that fails, nothing has changed.
    fn change<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Repo) -> T,
    ) -> Result<T, DiskError> {
        let Some(disk) = &mut self.disk else {
            return Ok(change(self.repos.entry(name.to_owned()).or_default()));
        };
        let mut after = self.repos.get(name).cloned().unwrap_or_default();
        let done = change(&mut after);
        disk.save(&after.saved(name))?;
        self.repos.insert(name.to_owned(), after);
        Ok(done)
    }

    /// Removes a content from the disk when no repository refers to it.
    fn forget(&self, digest: Digest) {
        let is_held = self
            .repos
            .values()
            .any(|repo| repo.blobs.contains_key(&digest) || repo.manifests.contains_key(&digest));
        if let (Some(disk), false) = (&self.disk, is_held) {
            disk.forget(digest);
        }
    }
}

impl Repo {
    fn before(&self, view: View) -> Option<&Undo> {
        match view {
            View::Before => self.last.as_ref(),
            View::Now => None,
        }
    }

    fn loaded(saved: SavedRepo, disk: &Disk) -> Self {
        let blobs = saved.blobs.into_iter();
        let manifests = saved.manifests.into_iter();
        Self {
            blobs: blobs.map(|digest| (digest, disk.content(digest))).collect(),
            manifests: manifests
                .map(|one| (one.digest, Arc::new(Stored::loaded(one, disk))))
                .collect(),
            tags: saved.tags,
            last: None,
        }
    }

    fn saved(&self, name: &str) -> SavedRepo {
        let mut saved = SavedRepo::new(name);
        let files = self.blobs.iter().filter(|(_, content)| content.is_file());
        saved.blobs = files.map(|(digest, _)| *digest).collect();
        saved.manifests = self
            .manifests
            .iter()
            .filter(|(_, stored)| stored.content.is_file())
            .map(|(digest, stored)| stored.saved(*digest))
            .collect();
        saved.manifests.sort_by_key(|manifest| manifest.place);
        saved.tags = self.tags.clone();
        saved
    }
}

impl Stored {
    fn loaded(saved: SavedManifest, disk: &Disk) -> Self {
        Self {
            media_type: saved.media_type,
            content: disk.content(saved.digest),
            size: saved.size,
            facts: Facts {
                subject: saved.subject,
                artifact_type: saved.artifact_type,
                config_type: saved.config_type,
                annotations: saved.annotations,
            },
            place: saved.place,
        }
    }

    fn saved(&self, digest: Digest) -> SavedManifest {
        let facts = self.facts.clone();
        SavedManifest {
            digest,
            media_type: self.media_type.clone(),
            size: self.size,
            place: self.place,
            subject: facts.subject,
            artifact_type: facts.artifact_type,
            config_type: facts.config_type,
            annotations: facts.annotations,
        }
    }
}

/// The digest under which something is stored: the one asked for, or the one of bytes in memory
/// whose SHA-512 was asked for.
fn named<T>(
    stored: &BTreeMap<Digest, T>,
    digest: Digest,
    content: impl Fn(&T) -> &Content,
) -> Option<Digest> {
    if stored.contains_key(&digest) {
        return Some(digest);
    }
    (digest.algorithm() == Algorithm::Sha512).then_some(())?;
    stored
        .iter()
        .find(|(_, one)| content(one).is_in_memory_as(digest))
        .map(|(own, _)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cleared_is_gone_from_the_disk_too() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::sha256(b"bytes");
        let mut store = Store::on_disk(dir.path()).unwrap();
        let bytes = || Bytes::from_static(b"bytes");
        store.put_blob("a/b", digest, bytes()).unwrap();
        store
            .put_manifest("c", digest, "x/y", bytes(), &["t"])
            .unwrap();
        let upload = store.begin_upload("a/b");
        store.clear();
        assert!(store.repositories().is_empty());
        assert!(store.uploads.find("a/b", &upload).is_none());
        store.put_blob("d", digest, bytes()).unwrap();
        drop(store);
        let store = Store::on_disk(dir.path()).unwrap();
        assert_eq!(store.repositories(), ["d"]);
        assert_eq!(store.blob("d", digest).unwrap().read().unwrap(), bytes());
    }
}
