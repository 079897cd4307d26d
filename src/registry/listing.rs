//! What was found to be about an image, and what could not be looked at.

use std::collections::BTreeSet;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::Repository;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::RawManifest;

/// What may be evidence about an image.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Manifests that may be evidence, each digest once, ordered by way and digest. Whether one is
    /// about the image is seen only when it is opened.
    pub candidates: Vec<Candidate>,
    /// Ways of looking that failed. One whose code is `LimitExceeded` is a refusal and not a gap.
    pub gaps: Vec<Error>,
}

/// The annotation that cosign v3 writes at a bundle's manifest: a hint.
const PREDICATE_HINT: &str = "dev.sigstore.bundle.predicateType";
/// Bytes of a hint that is kept: many times what a type of predicate has.
const MAX_HINT: usize = 1024;
/// Characters of a media type (RFC 6838, section 4.2: 127 on either side).
const MAX_MEDIA_TYPE: usize = 255;

/// A manifest that may be evidence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// The manifest's descriptor: a hint, except for its digest. Of its annotations only the one
    /// that [`Candidate::predicate_hint`] reads is kept.
    pub descriptor: Descriptor,
    /// The first way, in the order of [`Way`], that it was found on.
    pub via: Way,
    /// The repository it lies in.
    pub repository: Repository,
    /// The manifest, when finding it meant reading it.
    pub manifest: Option<RawManifest>,
}

impl Candidate {
    /// The type of predicate that the descriptor says the evidence has.
    #[must_use]
    pub fn predicate_hint(&self) -> Option<&str> {
        let hint = self.descriptor.annotations.get(PREDICATE_HINT)?;
        Some(hint)
    }
}

/// What is kept of a descriptor in a list. The rest may be megabytes in each, and nobody asks for it.
pub(super) fn kept_of(descriptor: Descriptor) -> Descriptor {
    let Descriptor {
        mut media_type,
        digest,
        size,
        mut annotations,
        ..
    } = descriptor;
    if media_type.len() > MAX_MEDIA_TYPE {
        media_type.clear();
    }
    let mut kept = Descriptor::new(media_type, digest, size);
    let hint = annotations.remove_entry(PREDICATE_HINT);
    let hint = hint.filter(|(_, hint)| hint.len() <= MAX_HINT);
    kept.annotations = hint.into_iter().collect();
    kept
}

/// A way of looking for evidence.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Way {
    /// The referrers API.
    ReferrersApi,
    /// The index under the tag `sha256-<hex>`.
    FallbackTag,
    /// A manifest of a layout on disk that refers to the image.
    Layout,
    /// The tag `sha256-<hex>.sig`.
    SignatureTag,
    /// The tag `sha256-<hex>.att`.
    AttestationTag,
}

impl Way {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::ReferrersApi,
        Self::FallbackTag,
        Self::Layout,
        Self::SignatureTag,
        Self::AttestationTag,
    ];
}

/// Which ways are looked on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Search {
    /// The ways.
    pub ways: BTreeSet<Way>,
    /// What stands before `sha256-` in the tags of signatures and attestations (cosign's
    /// `--attachment-tag-prefix`).
    pub tag_prefix: String,
    /// When the fallback tag is read.
    pub fallback: FallbackTerm,
}

/// When the fallback tag is read.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FallbackTerm {
    /// Always: an older client may have written it where the API is by now.
    #[default]
    Always,
    /// Where the registry has no referrers API. For whoever looks for what it wrote itself, and
    /// loses nothing by not finding it.
    WithoutApi,
}

impl Default for Search {
    /// All ways, no prefix.
    fn default() -> Self {
        Self {
            ways: Way::ALL.into(),
            tag_prefix: String::new(),
            fallback: FallbackTerm::Always,
        }
    }
}

impl Search {
    /// The tag of a way, for the ways that are tags.
    pub(crate) fn tag(&self, way: Way, digest: &Digest) -> Option<String> {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        match way {
            // Distribution specification, "Referrers tag schema": at most 64 characters of the value.
            Way::FallbackTag => {
                let hex: String = hex.chars().take(64).collect();
                Some(format!("{algorithm}-{hex}"))
            }
            Way::SignatureTag => Some(format!("{}{algorithm}-{hex}.sig", self.tag_prefix)),
            Way::AttestationTag => Some(format!("{}{algorithm}-{hex}.att", self.tag_prefix)),
            Way::ReferrersApi | Way::Layout => None,
        }
    }
}

impl Listing {
    /// Unites the findings: each digest once, in an order that does not depend on who answered
    /// first; too many of them are a refusal and not a shorter list.
    pub(super) fn unite(mut self, asked: &Asked, limits: &Limits) -> Self {
        self.candidates
            .sort_by_key(|candidate| (candidate.descriptor.digest, candidate.via));
        let mut united: Vec<Candidate> = Vec::with_capacity(self.candidates.len());
        for candidate in self.candidates {
            match united.last_mut() {
                Some(last) if last.descriptor.digest == candidate.descriptor.digest => {
                    if last.manifest.is_none() {
                        last.manifest = candidate.manifest;
                    }
                    // Under its own tag it needs no subject; being listed elsewhere takes nothing
                    // from it.
                    if matches!(candidate.via, Way::SignatureTag | Way::AttestationTag) {
                        last.via = candidate.via;
                    }
                }
                _ => united.push(candidate),
            }
        }
        united.sort_by_key(|candidate| (candidate.via, candidate.descriptor.digest));
        if let Err(exceeded) = Exceeded::unless(
            united.len(),
            limits.referrers,
            "pieces of evidence for one image",
        ) {
            united.clear();
            self.gaps.push(Error::Exceeded {
                asked: asked.clone(),
                exceeded,
            });
        }
        self.candidates = united;
        self
    }
}
