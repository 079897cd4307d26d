//! An OCI registry on 127.0.0.1, in memory or on disk, that misbehaves on request.
//!
//! It speaks the OCI distribution specification 1.1 whole (pulling, pushing, discovery, management)
//! and imitates the registries in use where they differ: strict or lenient `Accept`, referrers API
//! on or off, conditional requests obeyed or ignored, immutable tags, Basic or token authentication,
//! blobs behind a redirect. A [`Fault`] makes chosen requests fail or lie. Every request is kept
//! ([`Registry::requests`]), so that a test can assert what was asked and which credentials went
//! where.
//!
//! It refuses to listen on anything but loopback and reads no clock but the monotonic one. Start
//! with [`Registry::start`] and [`Config`].
//!
//! ```
//! # use scgate::sandbox::registry::*;
//! # use scgate::sandbox::server::*;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), ServerError> {
//! let registry = Registry::start(Config {
//!     auth: Auth::Basic(vec![User::new("alice", "secret")]),
//!     ..Config::default()
//! })
//! .await?;
//! let digest = registry.put_blob("team/app", "bytes");
//! registry.inject(Fault::new(FaultKind::status(429)).path("/blobs/").times(1));
//! // … let a client ask `registry.host()` for `digest` …
//! assert!(registry.requests().iter().all(|request| request.status != Some(500)));
//! registry.stop().await
//! # }
//! ```

mod auth;
mod conditions;
mod config;
mod content;
mod disk;
mod htpasswd;
mod layout;
mod pull;
mod push;
mod referrers;
mod route;
mod save;
mod service;
mod store;
mod uploading;
mod uploads;

use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use config::AcceptRule;
pub use config::Auth;
pub use config::BlobDelivery;
pub use config::Config;
pub use config::Deletes;
pub use config::Referrers;
pub use config::Shortcuts;
pub use config::Storage;
pub use config::TokenAuth;
pub use config::User;
pub use layout::Loaded;

use super::image::Image;
use super::server::Bound;
use super::server::Fault;
use super::server::Logged;
use super::server::Server;
use super::server::ServerError;
use super::server::Sink;
use crate::model::Digest;
use service::Shared;
use store::View;

/// A running registry. Dropping it ends it; [`Registry::stop`] also waits for the end.
pub struct Registry {
    shared: Arc<Shared>,
    server: Server,
}

impl Registry {
    /// Starts a registry on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when the port is taken, when the directory of its storage cannot be used or
    /// is used by another registry, and when the certificate cannot be made.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let bound = Bound::new(config.port).await?;
        let (tls, delay) = (config.tls, config.delay);
        let shared = Arc::new(Shared::new(config, bound.address())?);
        let service = Arc::clone(&shared);
        let server = bound.serve(service, tls, delay)?;
        Ok(Self { shared, server })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `127.0.0.1:PORT`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The certificate of the authority that issued the server's certificate, when it speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.server.ca_pem()
    }

    /// Ends all connections and waits until every task has ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::Crashed`] when a task of the registry panicked.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.server.stop().await
    }
}

/// What it holds. What a disk does not take is kept in memory, until the registry ends.
impl Registry {
    /// Stores a blob.
    pub fn put_blob(&self, repo: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.plant_blob(repo, digest, bytes);
        digest
    }

    /// Stores a manifest or index under its digest, and under a tag when one is given. Any bytes
    /// will do.
    pub fn put_manifest(
        &self,
        repo: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
        tag: Option<&str>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        let tags: Vec<_> = tag.into_iter().collect();
        let mut store = self.shared.store();
        store.insist(|store| store.put_manifest(repo, digest, media_type, bytes.clone(), &tags));
        digest
    }

    /// Stores bytes as the manifest of a digest that need not be theirs: no honest registry holds
    /// this. Such bytes stay in memory, whatever the storage.
    pub fn plant_manifest(
        &self,
        repo: &str,
        digest: Digest,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) {
        let bytes = bytes.into();
        let mut store = self.shared.store();
        store.insist(|store| store.put_manifest(repo, digest, media_type, bytes.clone(), &[]));
    }

    /// Stores bytes as the blob of a digest that need not be theirs: no honest registry holds this.
    /// Such bytes stay in memory, whatever the storage.
    pub fn plant_blob(&self, repo: &str, digest: Digest, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let mut store = self.shared.store();
        store.insist(|store| store.put_blob(repo, digest, bytes.clone()));
    }

    /// Points a tag at a digest; the digest need not be there.
    pub fn tag(&self, repo: &str, tag: &str, digest: Digest) {
        let mut store = self.shared.store();
        store.insist(|store| store.tag(repo, tag, digest));
    }

    /// The digest that a tag points at.
    #[must_use]
    pub fn resolve(&self, repo: &str, tag: &str) -> Option<Digest> {
        self.shared.store().resolve(repo, tag, View::Now)
    }

    /// The media type and bytes of a manifest, unless they are damaged.
    #[must_use]
    pub fn manifest(&self, repo: &str, digest: Digest) -> Option<(String, Bytes)> {
        let stored = self.shared.store().manifest(repo, digest)?;
        Some((stored.media_type.clone(), stored.content.read().ok()?))
    }

    /// The bytes of a blob, unless they are damaged.
    #[must_use]
    pub fn blob(&self, repo: &str, digest: Digest) -> Option<Bytes> {
        let content = self.shared.store().blob(repo, digest)?;
        content.read().ok()
    }

    /// The names of all repositories, sorted.
    #[must_use]
    pub fn repositories(&self) -> Vec<String> {
        self.shared.store().repositories()
    }

    /// All tags of a repository, sorted.
    #[must_use]
    pub fn tags(&self, repo: &str) -> Vec<String> {
        let tags = self.shared.store().tags(repo, View::Now);
        tags.unwrap_or_default()
    }

    /// The digests of what refers to a manifest, in the order of arrival.
    #[must_use]
    pub fn referrers(&self, repo: &str, subject: Digest) -> Vec<Digest> {
        let found = self.shared.store().referrers(repo, subject, View::Now);
        found.into_iter().map(|(digest, _)| digest).collect()
    }

    /// Stores an image, under a tag when one is given.
    pub fn put_image(&self, repo: &str, image: &Image, tag: Option<&str>) {
        self.contents().put_image(repo, image, tag);
    }

    /// Removes a blob.
    pub fn delete_blob(&self, repo: &str, digest: Digest) {
        let mut store = self.shared.store();
        store.insist(|store| store.delete_blob(repo, digest));
    }

    /// Removes a manifest and the tags that point at it.
    pub fn delete_manifest(&self, repo: &str, digest: Digest) {
        let mut store = self.shared.store();
        store.insist(|store| store.delete_manifest(repo, digest));
    }

    /// Removes a tag.
    pub fn delete_tag(&self, repo: &str, tag: &str) {
        let mut store = self.shared.store();
        store.insist(|store| store.delete_tag(repo, tag));
    }

    /// Stores everything of an OCI layout directory; names in `index.json` become tags.
    ///
    /// # Errors
    ///
    /// A [`RegistryError`] for what cannot be read or is no layout, and for a disk that does not
    /// take it.
    pub fn load_layout(&self, repo: &str, dir: &Path) -> Result<Vec<Loaded>, RegistryError> {
        layout::load(&mut self.shared.store(), repo, &layout::directory(dir)?)
    }

    /// Stores everything of an OCI layout in a tar archive; names in `index.json` become tags.
    ///
    /// # Errors
    ///
    /// A [`RegistryError`] for what is no archive or no layout, and for a disk that does not take
    /// it.
    pub fn load_archive(&self, repo: &str, tar: &[u8]) -> Result<Vec<Loaded>, RegistryError> {
        layout::load(&mut self.shared.store(), repo, &layout::archive(tar)?)
    }

    /// Writes an image as an OCI layout, with everything in it, what refers to any of that, and the
    /// tags that are made of one of those digests.
    ///
    /// # Errors
    ///
    /// A [`RegistryError`] for what the registry does not hold, and for a disk that does not take it.
    pub fn save_layout(&self, repo: &str, image: Digest, dir: &Path) -> Result<(), RegistryError> {
        save::save(self, repo, image, dir)
    }
}

/// What a registry holds, apart from its server.
#[derive(Clone, Debug)]
pub(super) struct Contents(Arc<Shared>);

impl Contents {
    /// `127.0.0.1:PORT`
    pub(super) fn host(&self) -> String {
        self.0.host()
    }

    /// Stores an image, under a tag when one is given.
    pub(super) fn put_image(&self, repo: &str, image: &Image, tag: Option<&str>) {
        let mut store = self.0.store();
        for blob in &image.blobs {
            let digest = Digest::sha256(blob);
            store.insist(|store| store.put_blob(repo, digest, blob.clone().into()));
        }
        for (media_type, manifest) in &image.manifests {
            let digest = Digest::sha256(manifest);
            let bytes = || manifest.clone().into();
            store.insist(|store| store.put_manifest(repo, digest, media_type, bytes(), &[]));
        }
        if let Some(tag) = tag {
            store.insist(|store| store.tag(repo, tag, image.index));
        }
    }

    /// The same as a client would: a tag that may not move stays, and what cannot be kept is told.
    pub(super) fn push_image(&self, repo: &str, image: &Image, tag: &str) -> Result<(), Unpushed> {
        let mut store = self.0.store();
        let held = store.resolve(repo, tag, View::Now);
        if self.0.config.immutable_tags && held.is_some_and(|held| held != image.index) {
            return Err(Unpushed::Immutable);
        }
        let kept = |_| Unpushed::Unwritable;
        for blob in &image.blobs {
            let digest = Digest::sha256(blob);
            store
                .put_blob(repo, digest, blob.clone().into())
                .map_err(kept)?;
        }
        for (media_type, manifest) in &image.manifests {
            let digest = Digest::sha256(manifest);
            let bytes = manifest.clone().into();
            store
                .put_manifest(repo, digest, media_type, bytes, &[])
                .map_err(kept)?;
        }
        store.tag(repo, tag, image.index).map_err(kept)
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.store().clear();
    }
}

/// Why an image is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unpushed {
    /// The tag is another image's.
    #[error("the tag exists, and tags of this registry do not move")]
    Immutable,
    /// The disk does not take it.
    #[error("the storage of the registry cannot be written")]
    Unwritable,
}

/// What it does wrong, and what it saw.
impl Registry {
    pub(super) fn sink(&self) -> Sink {
        self.server.sink()
    }

    pub(super) fn contents(&self) -> Contents {
        Contents(Arc::clone(&self.shared))
    }

    /// Makes it misbehave from now on. Of several faults that meet a request the first one counts.
    pub fn inject(&self, fault: Fault) {
        self.server.inject(fault);
    }

    /// Makes it behave again.
    pub fn clear_faults(&self) {
        self.server.clear_faults();
    }

    /// Every request since the start or [`Registry::clear_requests`], in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Logged> {
        self.server.requests()
    }

    /// Forgets the requests; connections and token exchanges stay counted.
    pub fn clear_requests(&self) {
        self.server.clear_requests();
    }

    /// How many connections were opened to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// How many requests were being answered at once, at most.
    #[must_use]
    pub fn peak_parallel(&self) -> usize {
        self.server.peak_parallel()
    }

    /// How many tokens were handed out.
    #[must_use]
    pub fn token_exchanges(&self) -> usize {
        self.shared.tokens().exchanges()
    }

    /// Makes every token that was handed out worthless.
    pub fn revoke_tokens(&self) {
        self.shared.tokens().revoke();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.url()).finish()
    }
}

/// Why a layout or a file of users could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Something that an image is made of is not in the registry. Whoever pushed it can mend it.
    #[error("find `{digest}` in the registry")]
    Absent {
        /// Its digest.
        digest: Digest,
    },
    /// A tar archive that cannot be read. Whoever made the archive can mend it.
    #[error("read the archive: {reason} at byte {offset}")]
    Archive {
        /// What is wrong.
        reason: &'static str,
        /// Where.
        offset: usize,
    },
    /// A line of an htpasswd file. Whoever made the file can mend it.
    #[error("read line {line} of the htpasswd file: {reason}")]
    Htpasswd {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The layout's `index.json` is malformed. Whoever made the layout can mend it.
    #[error("read `index.json`")]
    Index(#[source] serde_json::Error),
    /// The layout lacks a file. Whoever made the layout can mend it.
    #[error("find `{member}` in the layout")]
    Missing {
        /// The path in the layout.
        member: String,
    },
    /// A file of the layout could not be read. The operator of the machine can mend it.
    #[error("read `{}`", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The storage does not take the layout. The operator of the machine can mend it.
    #[error("write `{}`", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
