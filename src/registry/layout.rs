//! An OCI image layout on disk (OCI image specification 1.1, "Image Layout"), a directory or an
//! archive.
//!
//! A layout has no list of referrers: what refers to an image is found by reading every manifest
//! that can be reached from `index.json`, once. `cosign save` marks what belongs to the one image of
//! its layout by an annotation instead.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;

use crate::model::DenyCode;
use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Index;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::ManifestError;
use crate::model::Pinned;
use crate::model::Reference;
use crate::model::media_type;
use crate::model::printable;
use crate::registry::Asked;
use crate::registry::Candidate;
use crate::registry::Error;
use crate::registry::Found;
use crate::registry::LayoutFault;
use crate::registry::Listing;
use crate::registry::RawManifest;
use crate::registry::Resolved;
use crate::registry::Search;
use crate::registry::Way;
use crate::registry::What;
use crate::registry::listing::kept_of;
use crate::registry::store::Content;
use crate::registry::store::Store;
use crate::transport;
use crate::transport::Deadline;

/// The annotation that holds a tag (OCI image specification, "Pre-Defined Annotation Keys").
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which `cosign save` says what an entry is.
pub(super) const KIND: &str = "kind";
/// Bytes of the file `oci-layout`.
const MARKER_BYTES: usize = 4096;

/// An OCI layout, opened.
#[derive(Debug)]
pub struct Layout {
    store: Store,
    path: String,
    limits: Limits,
    /// The entries of `index.json`, with the annotations that are read here.
    entries: Mutex<Arc<Vec<Descriptor>>>,
    /// There when it was read to its end.
    graph: Mutex<Option<Arc<Graph>>>,
}

/// Who refers to whom.
#[derive(Debug, Default)]
struct Graph {
    referrers: HashMap<Digest, Vec<Descriptor>>,
    /// Untagged entries that could not be read: they may be about any image.
    unread: Vec<Descriptor>,
    gaps: Vec<Error>,
}

impl Layout {
    /// Opens a layout: a directory, or a tar archive of one.
    ///
    /// # Errors
    ///
    /// [`Error::Layout`] when it is none or cannot be read, [`Error::Manifest`] when its
    /// `index.json` is malformed.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let shown = printable(&path.to_string_lossy());
        let fault = |fault| Error::Layout {
            path: shown.clone(),
            fault,
        };
        let store = Store::open(path).map_err(fault)?;
        let missing = if store.is_docker_archive() {
            LayoutFault::DockerArchive
        } else {
            LayoutFault::NotALayout
        };
        let marker = store.read("oci-layout", MARKER_BYTES).map_err(fault)?;
        let marker = match marker {
            Content::Bytes(marker) => marker,
            Content::Absent => return Err(fault(missing)),
            Content::TooLarge => return Err(fault(LayoutFault::Marker)),
        };
        let version = parse_version(&marker).ok_or_else(|| fault(LayoutFault::Marker))?;
        if version != "1.0.0" {
            return Err(fault(LayoutFault::Version(printable(&version))));
        }
        let asked = Asked::new(shown.clone(), String::new(), What::Contents);
        let index = store
            .read("index.json", limits.manifest_bytes)
            .map_err(fault)?;
        let index = match index {
            Content::Bytes(bytes) => bytes,
            Content::Absent => return Err(fault(missing)),
            Content::TooLarge => {
                return Err(Error::Exceeded {
                    asked,
                    exceeded: Exceeded {
                        what: "bytes in a manifest",
                        limit: limits.manifest_bytes,
                    },
                });
            }
        };
        // One layout may hold many images: the bound is that of all manifests together.
        match Manifest::parse(&index, Some(media_type::INDEX), limits.manifests, limits) {
            Ok(Manifest::Index(index)) => Ok(Self {
                store,
                path: shown,
                limits: limits.clone(),
                entries: Mutex::new(Arc::new(entries_of(index))),
                graph: Mutex::default(),
            }),
            Ok(Manifest::Image(_)) => Err(fault(LayoutFault::NotALayout)),
            Err(source) => Err(Error::Manifest { asked, source }),
        }
    }

    pub(super) fn asked(&self, what: What) -> Asked {
        Asked::new(self.path.clone(), String::new(), what)
    }

    /// Reads from a disk are not waited for, so the deadline is looked at before each.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`], as where a registry is too slow, when it is over.
    pub(super) fn in_time(&self, what: What, deadline: Deadline) -> Result<(), Error> {
        if !deadline.is_over() {
            return Ok(());
        }
        let host = self.path.clone();
        Err(Error::Transport {
            asked: self.asked(what),
            source: transport::Error::Deadline { host },
        })
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    fn entries(&self) -> Arc<Vec<Descriptor>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&entries)
    }

    /// Takes what `index.json` holds from now on.
    pub(super) fn renew(&self, index: Index) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        *entries = Arc::new(entries_of(index));
        drop(entries);
        let mut graph = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        *graph = None;
    }

    /// An error about a file of the layout.
    pub(super) fn fault(&self, fault: LayoutFault) -> Error {
        Error::Layout {
            path: self.path.clone(),
            fault,
        }
    }

    /// The image that a reference names: by digest, by tag, or the only one there is.
    pub(super) fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        let digest = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest,
            (None, Some(tag)) => {
                let name = reference.to_string();
                let entries = self.entries();
                let tagged = entries.iter().filter(|entry| {
                    let found = entry.annotations.get(REF_NAME);
                    found.is_some_and(|found| found == tag || *found == name)
                });
                self.only(tagged, tag)?
            }
            (None, None) => self.only_image()?,
        };
        Ok(Resolved {
            pinned: reference.pin(digest),
            manifest: None,
        })
    }

    /// The image of a layout that holds one.
    ///
    /// # Errors
    ///
    /// [`Error::NoImage`] when it holds none, and [`Error::SeveralImages`], which names them, when a
    /// reference must say which.
    pub fn only_image(&self) -> Result<Digest, Error> {
        let mut seen = HashSet::new();
        let mut images = Vec::new();
        for entry in self.entries().iter().filter(|entry| is_an_image(entry)) {
            if seen.insert(entry.digest) {
                images.push(entry.digest);
            }
        }
        let path = self.path.clone();
        match images.as_slice() {
            [] => Err(Error::NoImage { path }),
            [only] => Ok(*only),
            several => Err(Error::SeveralImages {
                path,
                names: self.names(several),
            }),
        }
    }

    /// How each image can be named: by a tag that no other image has, else by its digest.
    fn names(&self, images: &[Digest]) -> Vec<String> {
        let entries = self.entries();
        let tagged = || {
            entries.iter().filter_map(|entry| {
                let tag = entry.annotations.get(REF_NAME)?;
                is_typable(tag).then_some((tag, entry.digest))
            })
        };
        let mut owners: HashMap<&String, Option<Digest>> = HashMap::new();
        for (tag, digest) in tagged() {
            let owner = owners.entry(tag).or_insert(Some(digest));
            *owner = owner.filter(|owner| *owner == digest);
        }
        let mut tags: HashMap<Digest, &String> = HashMap::new();
        for (tag, digest) in tagged() {
            if owners.get(tag).copied().flatten().is_some() {
                tags.entry(digest).or_insert(tag);
            }
        }
        let name = |digest| match tags.get(digest) {
            Some(tag) => (*tag).clone(),
            None => digest.to_string(),
        };
        images.iter().map(name).collect()
    }

    /// The one digest that the entries have.
    fn only<'a>(
        &self,
        entries: impl Iterator<Item = &'a Descriptor>,
        tag: &str,
    ) -> Result<Digest, Error> {
        let digests: HashSet<_> = entries.map(|entry| entry.digest).collect();
        let mut found = digests.iter();
        match (found.next(), found.next()) {
            (Some(digest), None) => Ok(*digest),
            (None, _) => Err(Error::NotFound {
                asked: self.asked(What::Tag(tag.to_owned())),
            }),
            (Some(_), Some(_)) => Err(Error::AmbiguousTag {
                tag: tag.to_owned(),
                count: digests.len(),
            }),
        }
    }

    /// A manifest by digest.
    pub(super) fn manifest(&self, digest: &Digest) -> Result<RawManifest, Error> {
        let asked = || self.asked(What::Manifest(*digest));
        let cap = self.limits.manifest_bytes;
        let bytes = match self.read(digest, cap)? {
            Content::Bytes(bytes) => bytes,
            Content::Absent => return Err(Error::NotFound { asked: asked() }),
            Content::TooLarge => {
                return Err(Error::Exceeded {
                    asked: asked(),
                    exceeded: Exceeded {
                        what: "bytes in a manifest",
                        limit: cap,
                    },
                });
            }
        };
        matching(digest, &bytes, asked)?;
        Ok(RawManifest {
            bytes: bytes.into(),
            digest: *digest,
            media_type: None,
        })
    }

    /// A blob: size first, then digest.
    pub(super) fn blob(&self, descriptor: &Descriptor, cap: usize) -> Result<Bytes, Error> {
        let asked = || self.asked(What::Blob(descriptor.digest));
        let cap = super::bounded_size(descriptor, cap, asked)?;
        let mismatch = |found| Error::SizeMismatch {
            asked: asked(),
            expected: descriptor.size,
            found,
        };
        match self.read(&descriptor.digest, cap)? {
            Content::Absent => Err(Error::NotFound { asked: asked() }),
            Content::TooLarge => Err(mismatch(Found::More)),
            Content::Bytes(bytes) if bytes.len() < cap => Err(mismatch(Found::Bytes(
                u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            ))),
            Content::Bytes(bytes) => {
                matching(&descriptor.digest, &bytes, asked)?;
                Ok(bytes.into())
            }
        }
    }

    fn read(&self, digest: &Digest, cap: usize) -> Result<Content, Error> {
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        self.store
            .read(&name, cap)
            .map_err(|fault| self.fault(fault))
    }

    /// What may be evidence about the image. Time that is used up is a gap.
    pub(super) fn list(&self, image: &Pinned, search: &Search, deadline: Deadline) -> Listing {
        let digest = image.digest();
        let mut listing = Listing::default();
        let mut add = |descriptor: &Descriptor, via| {
            listing.candidates.push(Candidate {
                descriptor: kept_of(descriptor.clone()),
                via,
                repository: image.repository().clone(),
                // Reading it again costs less than keeping it.
                manifest: None,
            });
        };
        let mut gaps = Vec::new();
        for way in &search.ways {
            match way {
                Way::ReferrersApi => {}
                Way::Layout => match self.graph(deadline) {
                    Ok(graph) => {
                        let about = graph.referrers.get(&digest).into_iter().flatten();
                        for found in about.chain(&graph.unread) {
                            add(found, *way);
                        }
                        gaps.extend(graph.gaps.iter().cloned());
                    }
                    Err(gap) => gaps.push(gap),
                },
                Way::SignatureTag | Way::AttestationTag => {
                    // What is wrong with it is seen when it is opened.
                    for entry in self.tagged(*way, &digest, search) {
                        add(&entry, *way);
                    }
                }
                Way::FallbackTag => {
                    let mut listed = HashSet::new();
                    for entry in self.tagged(*way, &digest, search) {
                        if let Err(gap) = self.in_time(What::Manifest(entry.digest), deadline) {
                            gaps.push(gap);
                            break;
                        }
                        match self.fallback(&entry, &digest) {
                            Ok(found) => {
                                for found in found.into_iter().flatten() {
                                    if listed.insert(found.digest) {
                                        add(&found, *way);
                                    }
                                }
                            }
                            // The tag says that there is one: as above.
                            Err(Error::NotFound { .. } | Error::DigestMismatch { .. }) => {
                                add(&entry, *way);
                            }
                            Err(gap) => gaps.push(gap),
                        }
                        // More is a refusal below, whatever the rest is.
                        if listed.len() > self.limits.referrers {
                            break;
                        }
                    }
                }
            }
        }
        listing.gaps = gaps;
        listing.unite(&self.asked(What::Referrers(digest)), &self.limits)
    }

    /// The entries that are about the image by their tag, or by what `cosign save` wrote at them.
    fn tagged(&self, way: Way, image: &Digest, search: &Search) -> Vec<Descriptor> {
        let tag = search.tag(way, image);
        let entries = self.entries();
        let tagged = entries.iter().filter(|entry| {
            let name = entry.annotations.get(REF_NAME);
            let own = name.map(|name| tag_of(name));
            tag.is_some() && own == tag.as_deref() || is_saved_for(&entries, entry, way, image)
        });
        tagged.cloned().collect()
    }

    /// What the index under a fallback tag lists.
    fn fallback(
        &self,
        entry: &Descriptor,
        image: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let raw = self.manifest(&entry.digest)?;
        super::fallback_entries(&raw, image, &self.limits).map_err(|error| match error {
            ManifestError::Exceeded(exceeded) => Error::Exceeded {
                asked: self.asked(What::Manifest(raw.digest)),
                exceeded,
            },
            _ => self.fault(LayoutFault::Index(raw.digest)),
        })
    }

    /// Who refers to whom, read once. What the deadline cuts short is not kept.
    fn graph(&self, deadline: Deadline) -> Result<Arc<Graph>, Error> {
        let mut kept = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(graph) = &*kept {
            return Ok(Arc::clone(graph));
        }
        let graph = Arc::new(self.read_graph(deadline)?);
        *kept = Some(Arc::clone(&graph));
        Ok(graph)
    }

    /// Reads every manifest that can be reached, for what it refers to.
    fn read_graph(&self, deadline: Deadline) -> Result<Graph, Error> {
        let mut graph = Graph::default();
        let mut reached = Reached::new(self.limits.manifests);
        let mut level = Vec::new();
        for entry in self.entries().iter() {
            if reached.is_new(entry.digest) {
                let is_named = entry.annotations.contains_key(REF_NAME);
                level.push((kept_of(entry.clone()), is_named));
            }
        }
        // `index.json` and the index of a fallback tag stand above the deepest index of an image.
        for _ in 0..self.limits.index_depth + 2 {
            let mut below = Vec::new();
            for (descriptor, is_named) in level {
                self.in_time(What::Contents, deadline)?;
                match self.parse(&descriptor) {
                    Ok(Manifest::Image(manifest)) => {
                        if let Some(subject) = manifest.subject {
                            let about = graph.referrers.entry(subject.digest).or_default();
                            about.push(descriptor);
                        }
                    }
                    Ok(Manifest::Index(index)) => {
                        for child in index.manifests {
                            if reached.is_new(child.digest) {
                                below.push((kept_of(child), true));
                            }
                        }
                    }
                    Err(error)
                        if matches!(
                            error.code(),
                            DenyCode::LayoutUnreadable | DenyCode::LimitExceeded
                        ) =>
                    {
                        graph.gaps.push(error);
                    }
                    // A child that is missing or malformed is told where its image is walked; an
                    // entry of its own may be evidence about any image.
                    Err(_) if is_named => {}
                    Err(_) => graph.unread.push(descriptor),
                }
            }
            level = below;
        }
        // Whatever lies deeper or beyond the bound is not read, and may be evidence about any image.
        let mut exceeds = |what, limit| {
            graph.gaps.push(Error::Exceeded {
                asked: self.asked(What::Contents),
                exceeded: Exceeded { what, limit },
            });
        };
        if !level.is_empty() {
            exceeds("levels of indexes", self.limits.index_depth);
        }
        if reached.is_exceeded {
            exceeds("manifests in one layout", self.limits.manifests);
        }
        Ok(graph)
    }

    fn parse(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        let raw = self.manifest(&descriptor.digest)?;
        let limits = &self.limits;
        let entries = limits.index_entries.max(limits.referrers);
        Manifest::parse(&raw.bytes, None, entries, limits).map_err(|source| Error::Manifest {
            asked: self.asked(What::Manifest(descriptor.digest)),
            source,
        })
    }
}

/// The manifests that were reached, of which there is a bound.
struct Reached {
    digests: HashSet<Digest>,
    limit: usize,
    is_exceeded: bool,
}

impl Reached {
    fn new(limit: usize) -> Self {
        Self {
            digests: HashSet::new(),
            limit,
            is_exceeded: false,
        }
    }

    /// Whether the manifest is to be read: it was not reached before, and is within the bound.
    fn is_new(&mut self, digest: Digest) -> bool {
        if self.digests.contains(&digest) {
            return false;
        }
        if self.digests.len() >= self.limit {
            self.is_exceeded = true;
            return false;
        }
        self.digests.insert(digest)
    }
}

/// Whether `cosign save` put the entry there as the signatures or attestations of the image.
pub(super) fn is_saved_for(
    entries: &[Descriptor],
    entry: &Descriptor,
    way: Way,
    image: &Digest,
) -> bool {
    let is = |entry: &Descriptor, kind: &str| {
        let found = entry.annotations.get(KIND);
        found.is_some_and(|found| found == kind)
    };
    saved_kind(way).is_some_and(|kind| is(entry, kind)) && is_saved(entries, image)
}

/// What `cosign save` calls the signatures or attestations of its image.
pub(super) const fn saved_kind(way: Way) -> Option<&'static str> {
    match way {
        Way::SignatureTag => Some("dev.cosignproject.cosign/sigs"),
        Way::AttestationTag => Some("dev.cosignproject.cosign/atts"),
        Way::FallbackTag | Way::Layout | Way::ReferrersApi => None,
    }
}

/// Whether `cosign save` put an entry there as its image.
pub(super) fn is_saved(entries: &[Descriptor], image: &Digest) -> bool {
    let own = entries.iter().filter(|entry| entry.digest == *image);
    let mut kinds = own.filter_map(|entry| entry.annotations.get(KIND));
    kinds.any(|kind| {
        matches!(
            kind.as_str(),
            "dev.cosignproject.cosign/image" | "dev.cosignproject.cosign/imageIndex"
        )
    })
}

/// Whether somebody who writes this is understood as asking for the tag of that name.
fn is_typable(tag: &str) -> bool {
    if tag.contains(['/', ':', '@']) {
        return Reference::parse(tag).is_ok_and(|reference| reference.to_string() == tag);
    }
    Reference::parse(&format!("layout/image:{tag}")).is_ok()
}

/// The tag of a name, which some tools write with the repository before it.
pub(super) fn tag_of(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    let tagged = last.split('@').next().unwrap_or(last);
    tagged.rsplit(':').next().unwrap_or(tagged)
}

fn entries_of(index: Index) -> Vec<Descriptor> {
    index.manifests.into_iter().map(entry_of).collect()
}

/// What is kept of an entry of `index.json`.
fn entry_of(mut entry: Descriptor) -> Descriptor {
    let artifact_type = entry.artifact_type.take();
    let read: Vec<_> = [REF_NAME, KIND]
        .into_iter()
        .filter_map(|name| entry.annotations.remove_entry(name))
        .collect();
    let mut kept = kept_of(entry);
    // Only whether it is there counts.
    kept.artifact_type = artifact_type.map(|_| String::new());
    kept.annotations.extend(read);
    kept
}

/// Whether an entry of `index.json` is an image, and no evidence.
fn is_an_image(entry: &Descriptor) -> bool {
    let kind = entry.annotations.get(KIND).map(String::as_str);
    let evidence = matches!(
        kind,
        Some("dev.cosignproject.cosign/sigs" | "dev.cosignproject.cosign/atts")
    );
    let name = entry.annotations.get(REF_NAME);
    let named = name.is_some_and(|name| !name.contains("sha256-"));
    let marked = kind.is_some_and(|kind| kind.starts_with("dev.cosignproject.cosign/image"));
    let plain = name.is_none() && kind.is_none() && entry.artifact_type.is_none();
    !evidence && (named || marked || plain)
}

fn matching(digest: &Digest, bytes: &[u8], asked: impl Fn() -> Asked) -> Result<(), Error> {
    if digest.matches(bytes) {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        asked: asked(),
        expected: digest.to_string(),
        found: Digest::of(digest.algorithm(), bytes),
    })
}

fn parse_version(marker: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let marker: Marker = crate::model::read_json(marker).ok()?;
    Some(marker.image_layout_version)
}
