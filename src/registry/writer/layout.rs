//! Writing to a layout on disk: blobs first, then `index.json`, each file whole.
//!
//! Who changes `index.json` holds a lock on `oci-layout` meanwhile, so that two processes of scgate
//! do not lose each other's entries. Other tools do not ask for it.

use core::time::Duration;
use std::fs::File;
use std::fs::TryLockError;

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Manifest;
use crate::model::media_type;
use crate::registry::Error;
use crate::registry::Layout;
use crate::registry::LayoutFault;
use crate::registry::Way;
use crate::registry::What;
use crate::registry::layout;
use crate::registry::layout::KIND;
use crate::registry::layout::REF_NAME;
use crate::registry::store::Content;
use crate::registry::writer::Merge;
use crate::registry::writer::Merged;
use crate::registry::writer::Mounted;
use crate::registry::writer::fallback;
use crate::registry::writer::manifest::Document;
use crate::registry::writer::pause;
use crate::registry::writer::raw;
use crate::transport::Deadline;

/// How long another process may hold the lock: writing an index takes milliseconds.
const LOCKED: Duration = Duration::from_secs(10);
/// The pause before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// The list of contents, while nobody else changes it.
struct Contents {
    text: String,
    /// The entries, as read and as they stand there.
    entries: Vec<(Descriptor, String)>,
    /// Unlocks `oci-layout` when it is closed.
    _lock: File,
}

impl Contents {
    fn descriptors(&self) -> Vec<Descriptor> {
        self.entries
            .iter()
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    fn add(&mut self, descriptor: Descriptor) {
        let text = fallback::descriptor(&descriptor).to_string();
        self.entries.push((descriptor, text));
    }
}

impl Layout {
    /// Whether something can be added: not to an archive, and not without the right to.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritten`]; the operator can unpack the archive, or give this user the right.
    pub fn writable(&self) -> Result<(), Error> {
        self.store().probe().map_err(|fault| self.unwritten(fault))
    }

    /// Whether the layout holds a blob: it has one place for all repositories.
    pub(super) fn holds(&self, digest: &Digest) -> Result<Mounted, Error> {
        // Whoever asks will write.
        self.writable()?;
        let cap = self.limits().attestation_bytes;
        let found = self.store().read(&name_of(digest), cap);
        match found.map_err(|fault| self.fault(fault))? {
            Content::Bytes(bytes) if digest.matches(&bytes) => Ok(Mounted::Yes),
            Content::Absent | Content::Bytes(_) | Content::TooLarge => Ok(Mounted::No),
        }
    }

    /// Puts a blob into its place, unless it is there.
    pub(super) fn put_blob(
        &self,
        digest: &Digest,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.in_time(What::Blob(*digest), deadline)?;
        let unwritten = |fault| self.unwritten(fault);
        self.store().directory().map_err(unwritten)?;
        let name = name_of(digest);
        let found = self.store().read(&name, bytes.len()).map_err(unwritten)?;
        match found {
            Content::Bytes(found) if found == bytes => Ok(()),
            Content::Absent | Content::Bytes(_) | Content::TooLarge => {
                self.store().write(&name, bytes).map_err(unwritten)
            }
        }
    }

    /// Puts a manifest into its place. Under a tag it is listed, in the place of what had the tag.
    pub(super) async fn put(
        &self,
        document: &Document,
        tag: Option<&str>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.put_blob(&document.digest, &document.bytes, deadline)?;
        let Some(tag) = tag else {
            return Ok(());
        };
        let mut contents = self.contents(deadline).await?;
        let has_tag = |entry: &Descriptor| {
            let name = entry.annotations.get(REF_NAME);
            name.is_some_and(|name| name == tag)
        };
        contents.entries.retain(|(entry, _)| !has_tag(entry));
        let mut entry = document.descriptor();
        entry
            .annotations
            .insert(REF_NAME.to_owned(), tag.to_owned());
        contents.add(entry);
        self.save(&contents)
    }

    /// Puts a manifest that refers to another into its place, and lists it.
    pub(super) async fn put_referrer(
        &self,
        document: &Document,
        entry: &Descriptor,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.put_blob(&document.digest, &document.bytes, deadline)?;
        let mut contents = self.contents(deadline).await?;
        let listed = |known: &(Descriptor, String)| known.0.digest == document.digest;
        if contents.entries.iter().any(listed) {
            return Ok(());
        }
        let mut entry = entry.clone();
        // These say what an entry is, and a manifest must not say it by itself.
        entry.annotations.remove(REF_NAME);
        entry.annotations.remove(KIND);
        // Without it the entry would be taken for an image.
        if entry.artifact_type.is_none() {
            entry.artifact_type = Some(self.artifact_type(document));
        }
        contents.add(entry);
        self.save(&contents)
    }

    /// What an artifact is called by that has no type: its configuration's (OCI image specification,
    /// "Guidelines for Artifact Usage").
    fn artifact_type(&self, document: &Document) -> String {
        let limits = self.limits();
        match Manifest::parse(&document.bytes, None, limits.referrers, limits) {
            Ok(Manifest::Image(manifest)) => {
                manifest.artifact_type.unwrap_or(manifest.config.media_type)
            }
            Ok(Manifest::Index(_)) | Err(_) => media_type::INDEX.to_owned(),
        }
    }

    /// Merges into the manifest under a tag. Gives its digest.
    pub(super) async fn append(
        &self,
        tag: &str,
        deadline: Deadline,
        merge: &mut Merge<'_>,
    ) -> Result<Digest, Error> {
        let asked = self.asked(What::Tag(tag.to_owned()));
        let mut contents = self.contents(deadline).await?;
        let about = about(tag);
        let all = contents.descriptors();
        let has_tag = |entry: &Descriptor| {
            let name = entry.annotations.get(REF_NAME);
            name.is_some_and(|name| layout::tag_of(name) == tag)
        };
        let is_saved = |entry: &Descriptor| {
            about.is_some_and(|(way, image)| layout::is_saved_for(&all, entry, way, &image))
        };
        let place = all
            .iter()
            .position(has_tag)
            .or_else(|| all.iter().position(is_saved));
        let held = place.and_then(|place| contents.entries.get_mut(place));
        let there = match &held {
            Some((entry, _)) => Some(self.manifest(&entry.digest)?),
            None => None,
        };
        let document = match (merge(there.as_ref(), &[], &asked)?, &there) {
            (Merged::New(document), _) => document,
            (Merged::Kept, Some(there)) => return Ok(there.digest),
            (Merged::Kept, None) => return Err(Error::NotFound { asked }),
        };
        if let Some(config) = &document.config {
            self.put_blob(&Digest::sha256(config), config, deadline)?;
        }
        self.put_blob(&document.digest, &document.bytes, deadline)?;
        match held {
            Some((_, text)) => {
                let new = document.descriptor();
                let members = [
                    ("mediaType", Value::from(new.media_type).to_string()),
                    ("digest", json!(new.digest.to_string()).to_string()),
                    ("size", new.size.to_string()),
                ];
                if let Some(changed) = raw::with(text, &members) {
                    *text = changed;
                }
            }
            None => {
                let mut entry = document.descriptor();
                entry
                    .annotations
                    .insert(REF_NAME.to_owned(), tag.to_owned());
                // Beside the image of a layout that `cosign save` made, cosign looks for this alone.
                if let Some((way, image)) = about
                    && layout::is_saved(&all, &image)
                    && let Some(kind) = layout::saved_kind(way)
                {
                    entry.annotations.insert(KIND.to_owned(), kind.to_owned());
                }
                contents.add(entry);
            }
        }
        self.save(&contents)?;
        Ok(document.digest)
    }

    fn unwritten(&self, fault: LayoutFault) -> Error {
        Error::Unwritten {
            path: self.asked(What::Contents).place().to_owned(),
            fault,
        }
    }

    /// Reads the list of contents as it is now, and keeps others from changing it.
    async fn contents(&self, deadline: Deadline) -> Result<Contents, Error> {
        let lock = self.lock(deadline).await?;
        let asked = self.asked(What::Contents);
        let limits = self.limits();
        let malformed = || self.fault(LayoutFault::NotALayout);
        let found = self.store().read("index.json", limits.manifest_bytes);
        let bytes = match found.map_err(|fault| self.fault(fault))? {
            Content::Bytes(bytes) => bytes,
            Content::Absent => return Err(malformed()),
            Content::TooLarge => {
                fallback::within(usize::MAX, limits, &asked)?;
                return Err(malformed());
            }
        };
        let entries = limits.manifests;
        let parsed = Manifest::parse(&bytes, Some(media_type::INDEX), entries, limits);
        let index = match parsed {
            Ok(Manifest::Index(index)) => index,
            Ok(Manifest::Image(_)) => return Err(malformed()),
            Err(source) => return Err(Error::Manifest { asked, source }),
        };
        let text = String::from_utf8(bytes).map_err(|_| malformed())?;
        let items = raw::member(&text, "manifests").and_then(raw::items);
        let items = items.filter(|items| items.len() == index.manifests.len());
        let items = items.ok_or_else(malformed)?.into_iter().map(str::to_owned);
        let entries = index.manifests.into_iter().zip(items).collect();
        Ok(Contents {
            text,
            entries,
            _lock: lock,
        })
    }

    async fn lock(&self, deadline: Deadline) -> Result<File, Error> {
        let root = self.store().directory();
        let root = root.map_err(|fault| self.unwritten(fault))?;
        let io = |error: std::io::Error| self.unwritten(LayoutFault::Io(error.kind()));
        let file = File::open(root.join("oci-layout")).map_err(io)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(io(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if began.elapsed() > LOCKED || !pause::within(PAUSE, deadline).await {
                return Err(self.unwritten(LayoutFault::Locked));
            }
        }
    }

    /// Writes the list of contents, and reads by it from now on.
    fn save(&self, contents: &Contents) -> Result<(), Error> {
        let asked = self.asked(What::Contents);
        let limits = self.limits();
        let count = contents.entries.len();
        let bounded = Exceeded::unless(count, limits.manifests, "entries in an index");
        bounded.map_err(|exceeded| Error::Exceeded {
            asked: asked.clone(),
            exceeded,
        })?;
        let list = raw::list(contents.entries.iter().map(|(_, text)| text.as_str()));
        let text = raw::with(&contents.text, &[("manifests", list)]);
        let text = text.ok_or_else(|| self.fault(LayoutFault::NotALayout))?;
        fallback::within(text.len(), limits, &asked)?;
        let entries = limits.manifests;
        let parsed = Manifest::parse(text.as_bytes(), Some(media_type::INDEX), entries, limits);
        let index = match parsed {
            Ok(Manifest::Index(index)) => index,
            Ok(Manifest::Image(_)) => return Err(self.fault(LayoutFault::NotALayout)),
            Err(source) => return Err(Error::Manifest { asked, source }),
        };
        let written = self.store().write("index.json", text.as_bytes());
        written.map_err(|fault| self.unwritten(fault))?;
        self.renew(index);
        Ok(())
    }
}

fn name_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Which way a tag belongs to, and which image it is about.
fn about(tag: &str) -> Option<(Way, Digest)> {
    let (name, way) = match (tag.strip_suffix(".sig"), tag.strip_suffix(".att")) {
        (Some(name), _) => (name, Way::SignatureTag),
        (None, Some(name)) => (name, Way::AttestationTag),
        (None, None) => return None,
    };
    let (rest, hex) = name.rsplit_once('-')?;
    let algorithm = if rest.ends_with("sha256") {
        "sha256"
    } else {
        "sha512"
    };
    let digest = Digest::parse(&format!("{algorithm}:{hex}")).ok()?;
    Some((way, digest))
}
