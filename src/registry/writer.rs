//! Where evidence is written: the writing half of a registry or of a layout on disk.
//!
//! Nothing counts as written that was not seen again, and what others wrote at the same place is
//! kept byte for byte. Neither can be promised where a registry ignores conditional requests, as
//! those in use do: between looking and writing somebody else may write. So a tag that is shared is
//! watched after it was written, until nobody who looked before can still write over it. Start with
//! [`Writer`].

mod fallback;
mod layout;
mod legacy;
mod manifest;
mod pause;
mod raw;
mod shared;
mod upload;

use core::fmt;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Repository;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::Layout;
use crate::registry::RawManifest;
use crate::registry::Remote;
use crate::registry::Source;
use crate::registry::What;
use crate::registry::remote::Answered;
use crate::registry::session;
use crate::registry::writer::fallback::Listing;
use crate::registry::writer::legacy::Appending;
use crate::registry::writer::manifest::Document;
use crate::transport::Deadline;
use crate::transport::Reply;

/// Where evidence is written. Made from the source that is read: [`Source::writer`].
pub struct Writer<'a> {
    to: Place<'a>,
    deadline: Deadline,
    /// The blobs that were uploaded, or are on their way.
    blobs: Mutex<HashMap<(Repository, Digest), Sent>>,
    /// The uploads that began where a blob was not taken over.
    begun: Mutex<HashMap<(Repository, Digest), Answered>>,
    /// Whether a repository has the referrers API.
    apis: Mutex<HashMap<Repository, bool>>,
}

/// Set when a blob was uploaded.
type Sent = Arc<OnceCell<()>>;

#[derive(Clone, Copy)]
enum Place<'a> {
    Layout(&'a Layout),
    Remote(&'a Remote),
}

/// Whether a blob was taken over from another repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mounted {
    /// It was not, and has to be uploaded.
    No,
    /// It was.
    Yes,
}

/// By what a referrer is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Listed {
    /// The referrers API.
    Api,
    /// The index under the tag `sha256-<hex>`.
    FallbackTag,
    /// The layout's `index.json`.
    Layout,
}

/// A layer to be added, with what it holds.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// Its descriptor, with all annotations.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Source {
    /// Writes to the place that this source reads.
    #[must_use]
    pub fn writer(&self, deadline: Deadline) -> Writer<'_> {
        let to = match self {
            Self::Layout(layout) => Place::Layout(layout),
            Self::Remote(remote) => Place::Remote(remote),
        };
        Writer {
            to,
            deadline,
            blobs: Mutex::default(),
            begun: Mutex::default(),
            apis: Mutex::default(),
        }
    }
}

impl Writer<'_> {
    /// Uploads a blob. What this writer uploaded to the repository before is not sent again.
    ///
    /// # Errors
    ///
    /// [`Error`]; its code is `RegistryUnauthorized` or `RegistryForbidden` where the right to push
    /// is missing, and `LayoutUnreadable` where a layout cannot be written.
    pub async fn blob(&self, repository: &Repository, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::sha256(&bytes);
        self.upload(repository, &digest, &bytes).await?;
        Ok(digest)
    }

    /// Takes a blob over from another repository of the same registry, if the registry does that.
    /// The upload that it begins otherwise is used by [`Writer::blob`].
    ///
    /// # Errors
    ///
    /// As [`Writer::blob`].
    pub async fn mount(
        &self,
        to: &Repository,
        digest: &Digest,
        from: &Repository,
    ) -> Result<Mounted, Error> {
        let remote = match self.to {
            Place::Layout(layout) => return layout.holds(digest),
            Place::Remote(remote) => remote,
        };
        if to.host() != from.host() {
            return Ok(Mounted::No);
        }
        let key = (to.clone(), *digest);
        match remote.mount(to, digest, from, self.deadline).await? {
            None => {
                let blob = self.cell(&key);
                // Another task may have uploaded it meanwhile.
                drop(blob.set(()));
                Ok(Mounted::Yes)
            }
            Some(answer) => {
                let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.insert(key, answer);
                Ok(Mounted::No)
            }
        }
    }

    /// Pushes a manifest by its digest, or under a tag, which then points at it whatever it pointed
    /// at before. In a layout only what has a tag is listed.
    ///
    /// # Errors
    ///
    /// As [`Writer::blob`]; `DigestMismatch` when the registry states another digest, `TagImmutable`
    /// when it does not let the tag be written again.
    pub async fn manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
        tag: Option<&str>,
    ) -> Result<Digest, Error> {
        let document = Document::new(media_type, bytes);
        match self.to {
            Place::Layout(layout) => layout.put(&document, tag, self.deadline).await?,
            Place::Remote(remote) => {
                let put = remote.put(repository, &document, tag, self.deadline);
                put.await?;
            }
        }
        Ok(document.digest)
    }

    /// Pushes a manifest that refers to `subject`, and sees to it that it is listed.
    ///
    /// `entry` is the manifest's descriptor as it stands in a list: with its artifact type and all of
    /// its annotations. Whether the registry has the referrers API is asked once for each repository.
    ///
    /// # Errors
    ///
    /// As [`Writer::manifest`]; `WriteUnconfirmed` when the manifest is there and was not seen in the
    /// list, `RegistryMalformed` when something else lies in the list's place.
    pub async fn referrer(
        &self,
        repository: &Repository,
        subject: &Digest,
        entry: &Descriptor,
        manifest: Bytes,
    ) -> Result<Listed, Error> {
        let document = Document::new(&entry.media_type, manifest);
        let asked = |what| match self.to {
            Place::Layout(layout) => layout.asked(what),
            Place::Remote(_) => Asked::of(repository, what),
        };
        if !entry.digest.matches(&document.bytes) {
            return Err(Error::DigestMismatch {
                asked: asked(What::Manifest(entry.digest)),
                expected: entry.digest.to_string(),
                found: document.digest,
            });
        }
        let remote = match self.to {
            Place::Layout(layout) => {
                layout.put_referrer(&document, entry, self.deadline).await?;
                return Ok(Listed::Layout);
            }
            Place::Remote(remote) => remote,
        };
        remote
            .put(repository, &document, None, self.deadline)
            .await?;
        if self.has_api(repository) != Some(false) {
            let seen = remote.see_listed(repository, subject, &entry.digest, self.deadline);
            let has_api = seen.await?;
            self.learn_api(repository, has_api);
            if has_api {
                return Ok(Listed::Api);
            }
        }
        let tag = fallback::tag(subject);
        let mut merge = Listing::new(subject, entry, &remote.limits);
        self.share(remote, repository, &tag, &mut |there, gone, asked| {
            merge.merge(there, gone, asked)
        })
        .await?;
        Ok(Listed::FallbackTag)
    }

    /// Adds layers to the manifest under a tag that holds the signatures or attestations of an image
    /// (`sha256-<hex>.sig`, `.att`).
    ///
    /// The layers of others stay as they are and in their order, except those that are there at
    /// first and that `replaces` tells. A layer that is there already, with the same annotations, is
    /// not added again; where all are, nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Writer::manifest`]; `WriteUnconfirmed` when the layers were written and not seen again,
    /// `RegistryMalformed` when something else than such a manifest lies under the tag.
    pub async fn append(
        &self,
        repository: &Repository,
        tag: &str,
        layers: &[NewLayer],
        replaces: &(dyn Fn(&Descriptor) -> bool + Sync),
    ) -> Result<Digest, Error> {
        for layer in layers {
            let digest = &layer.descriptor.digest;
            if !digest.matches(&layer.bytes) {
                return Err(Error::DigestMismatch {
                    asked: Asked::of(repository, What::Blob(*digest)),
                    expected: digest.to_string(),
                    found: Digest::of(digest.algorithm(), &layer.bytes),
                });
            }
            self.upload(repository, digest, &layer.bytes).await?;
        }
        match self.to {
            Place::Layout(layout) => {
                let mut merge = Appending::new(layers, replaces, layout.limits());
                let merge =
                    &mut |there: Option<&RawManifest>, gone: &[RawManifest], asked: &Asked| {
                        merge.merge(there, gone, asked)
                    };
                layout.append(tag, self.deadline, merge).await
            }
            Place::Remote(remote) => {
                let appending = || Appending::new(layers, replaces, &remote.limits);
                // What the first signature under the tag needs goes first, so that no time passes
                // between looking and writing. Where there are others, something else is needed.
                let asked = Asked::of(repository, What::Tag(tag.to_owned()));
                if let Merged::New(first) = appending().merge(None, &[], &asked)? {
                    self.upload_config(repository, &first).await?;
                }
                let mut merge = appending();
                self.share(remote, repository, tag, &mut |there, gone, asked| {
                    merge.merge(there, gone, asked)
                })
                .await
            }
        }
    }
}

impl Writer<'_> {
    /// Uploads the configuration that a document names, unless it was.
    async fn upload_config(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), Error> {
        match &document.config {
            Some(config) => {
                let digest = Digest::sha256(config);
                self.upload(repository, &digest, config).await
            }
            None => Ok(()),
        }
    }

    async fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let remote = match self.to {
            Place::Layout(layout) => return layout.put_blob(digest, bytes, self.deadline),
            Place::Remote(remote) => remote,
        };
        let key = (repository.clone(), *digest);
        let sending = async || {
            let begun = {
                let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.remove(&key)
            };
            remote
                .upload(repository, digest, bytes, begun, self.deadline)
                .await
        };
        self.cell(&key).get_or_try_init(sending).await?;
        Ok(())
    }

    fn cell(&self, key: &(Repository, Digest)) -> Sent {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(blobs.entry(key.clone()).or_default())
    }

    fn has_api(&self, repository: &Repository) -> Option<bool> {
        let apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
        let known = apis.get(repository).copied();
        // Whoever looked before writing may have found out.
        let looked = match self.to {
            Place::Layout(_) => false,
            Place::Remote(remote) => remote.is_without_api(repository),
        };
        known.or(looked.then_some(false))
    }

    fn learn_api(&self, repository: &Repository, has_api: bool) {
        let mut apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
        apis.insert(repository.clone(), has_api);
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.to {
            Place::Layout(layout) => layout.asked(What::Contents).to_string(),
            Place::Remote(_) => "registries".to_owned(),
        };
        f.debug_struct("Writer").field("to", &to).finish()
    }
}

/// What becomes of a document that several write.
enum Merged {
    /// It holds what is to be there.
    Kept,
    /// It is to be written.
    New(Document),
}

/// Puts what is to be there into what is there, and what was there for a while. It must not write
/// over what it does not know.
type Merge<'m> =
    dyn FnMut(Option<&RawManifest>, &[RawManifest], &Asked) -> Result<Merged, Error> + Send + 'm;

/// Held by the one who writes.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// What one process knows about writing to registries, all writers together.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// The hosts that take no blob in a single request.
    no_whole: Mutex<HashSet<String>>,
    /// Whose turn it is at a tag.
    turns: Mutex<HashMap<(Repository, String), Turn>>,
}

impl Writes {
    fn takes_whole(&self, host: &str) -> bool {
        let hosts = self.no_whole.lock();
        !hosts.unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    fn takes_no_whole(&self, host: &str) {
        let hosts = self.no_whole.lock();
        let mut hosts = hosts.unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_owned());
    }

    fn turn(&self, repository: &Repository, tag: &str) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (repository.clone(), tag.to_owned());
        Arc::clone(turns.entry(key).or_default())
    }
}

/// The refusal of something that was to be written.
fn refused(asked: &Asked, repository: &Repository, reply: &Reply) -> Error {
    if reply.status < 400 {
        return Error::Malformed {
            asked: asked.clone(),
            reason: "an answer that means nothing where something is written",
        };
    }
    let note = match reply.status {
        401 | 403 => session::needs_push(repository),
        404 => format!("nothing can be written to `{repository}`, or it must be made first"),
        _ => String::new(),
    };
    super::status_error(asked, reply, &note)
}
