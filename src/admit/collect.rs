//! Reading an image and its evidence: levels of manifests from the root down, evidence in waves.
//!
//! Manifests of one level are read at once, and so is the evidence of one wave. Which evidence is
//! read depends on what it says when it was verified and on its canonical order (hint class, then
//! digest), never on who answered first: the same registry gives the same report.

mod evidence;
mod platform;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;

use crate::admit::Gate;
use crate::admit::Inner;
use crate::admit::Thoroughness;
use crate::admit::unread_parent;
use crate::model::Budget;
use crate::model::DenyCode;
use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::ImageManifest;
use crate::model::Index;
use crate::model::Manifest;
use crate::model::Pinned;
use crate::model::Platform;
use crate::model::Timestamp;
use crate::model::media_type;
use crate::policy::Covers;
use crate::policy::Evidence;
use crate::policy::Parent;
use crate::policy::Policy;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::policy::Warning;
use crate::registry::Error;
use crate::registry::RawManifest;
use crate::registry::Source;
use crate::transport::Deadline;

/// Manifests, pieces of evidence or layers that are looked at at the same time.
const SIDE_BY_SIDE: usize = 32;
/// What BuildKit writes at an entry of an index that is an attestation manifest.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The manifest that such an entry is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// Bytes of such an annotation: none needs more than a digest has. A longer one is passed over, and
/// the entry is then an image like any other.
const MAX_REFERENCE: usize = 256;

/// One question's way through the source.
pub(super) struct Collector<'a> {
    gate: &'a Arc<Inner>,
    source: &'a Source,
    image: &'a Pinned,
    now: Timestamp,
    deadline: Deadline,
}

/// An entry of a level that is still to be looked at.
struct Entry {
    descriptor: Descriptor,
    /// The digests beside it in its index: what a BuildKit entry may refer to.
    siblings: Arc<BTreeSet<Digest>>,
}

/// What an entry turned out to be.
struct LookedAt {
    subject: Subject,
    /// Its own entries, where it is an index.
    nested: Vec<Entry>,
    warning: Option<Warning>,
}

impl LookedAt {
    const fn only(subject: Subject) -> Self {
        Self {
            subject,
            nested: Vec::new(),
            warning: None,
        }
    }
}

impl<'a> Collector<'a> {
    pub(super) const fn new(
        gate: &'a Gate,
        source: &'a Source,
        image: &'a Pinned,
        now: Timestamp,
        deadline: Deadline,
    ) -> Self {
        Self {
            gate: &gate.inner,
            source,
            image,
            now,
            deadline,
        }
    }

    fn policy(&self) -> &Policy {
        &self.gate.policy
    }

    /// Everything about the image: its own evidence, and for an index that of what is in it.
    pub(super) async fn image(&self, manifest: Option<RawManifest>) -> Evidence {
        let digest = self.image.digest();
        let mut named = Subject::new(digest, Role::Unread);
        // What the reference names almost always needs evidence of its own, so both are read at once.
        let (read, found) = futures_util::future::join(
            async {
                match manifest {
                    Some(raw) => Ok(raw),
                    None => self.read(&digest).await,
                }
            },
            self.evidence_of(digest),
        )
        .await;
        found.put_into(&mut named);
        let mut evidence = Evidence::default();
        let parsed = read
            .map_err(|error| from_error(&error, DenyCode::ImageNotFound))
            .and_then(|raw| self.parse(&raw, None));
        match parsed {
            Err(gap) => {
                // Signed or not: nobody has seen what would run.
                evidence.gaps.push(gap);
                evidence.subjects.push(named);
            }
            Ok(Manifest::Image(image)) => {
                named.role = Role::Image(self.platform_of(&image, &mut evidence).await);
                evidence.subjects.push(named);
            }
            Ok(Manifest::Index(index)) => {
                named.role = Role::Index;
                evidence.subjects.push(named);
                self.levels(index, &mut evidence).await;
                evidence.warnings.extend(platform::incomplete(&evidence));
                evidence.warnings.extend(platform::repeated(&evidence));
            }
        }
        evidence
    }

    /// The evidence about the image itself, and nothing of what is in it.
    pub(super) async fn evidence(&self, subject: &mut Subject) {
        self.evidence_of(subject.digest).await.put_into(subject);
    }

    /// The index that was named as parent, with its evidence.
    pub(super) async fn parent(&self, index: Digest) -> Parent {
        let (read, found) =
            futures_util::future::join(self.read(&index), self.evidence_of(index)).await;
        let parsed = read
            .map_err(|error| from_error(&error, DenyCode::ImageNotFound))
            .and_then(|raw| self.parse(&raw, None));
        match parsed {
            Err(gap) => unread_parent(index, gap),
            Ok(Manifest::Image(_)) => unread_parent(
                index,
                Refusal::new(
                    DenyCode::ParentMismatch,
                    format!("{index} is an image, not an index"),
                ),
            ),
            Ok(Manifest::Index(parent)) => {
                let mut subject = Subject::new(index, Role::Index);
                found.put_into(&mut subject);
                let lists_image = parent
                    .manifests
                    .iter()
                    .any(|entry| entry.digest == self.image.digest());
                Parent {
                    subject,
                    lists_image,
                }
            }
        }
    }

    /// Walks the levels below an index. Each manifest of a platform is looked at once.
    async fn levels(&self, index: Index, evidence: &mut Evidence) {
        let limits = &self.gate.limits;
        let mut budget = Budget::new(limits);
        let mut seen: BTreeSet<(Digest, Option<Platform>, String)> = BTreeSet::new();
        let mut level = entries(index);
        for depth in 1..=limits.index_depth {
            let mut new = Vec::new();
            for entry in level {
                if let Err(exceeded) = budget.spend_manifest() {
                    evidence.gaps.push(from_excess(&exceeded));
                    return;
                }
                let descriptor = &entry.descriptor;
                // An index in an index holds the same whatever platform stands beside it.
                let platform = descriptor
                    .platform
                    .clone()
                    .filter(|_| !media_type::is_index(&descriptor.media_type));
                if seen.insert((descriptor.digest, platform, descriptor.media_type.clone())) {
                    new.push(entry);
                }
            }
            let looked_at = futures_util::stream::iter(new.iter().map(|entry| self.entry(entry)));
            let mut looked_at = pin!(looked_at.buffered(SIDE_BY_SIDE));
            level = Vec::new();
            while let Some(found) = looked_at.next().await {
                evidence.subjects.push(found.subject);
                evidence.warnings.extend(found.warning);
                level.extend(found.nested);
                // Not only when all are known: what is listed may be far more than may be looked at.
                if let Err(exceeded) = budget.allows(level.len()) {
                    evidence.gaps.push(from_excess(&exceeded));
                    return;
                }
            }
            if level.is_empty() {
                return;
            }
            if depth == limits.index_depth {
                let exceeded = Exceeded {
                    what: "levels of indexes",
                    limit: limits.index_depth,
                };
                evidence.gaps.push(from_excess(&exceeded));
            }
        }
    }

    /// One entry of an index: what it is, and its evidence where the policy asks about it.
    async fn entry(&self, entry: &Entry) -> LookedAt {
        let descriptor = &entry.descriptor;
        let everything = self.gate.scope.thoroughness == Thoroughness::Everything;
        let covered = self.policy().covers() != Covers::Index;
        let is_index = media_type::is_index(&descriptor.media_type);
        let mut subject = Subject::new(descriptor.digest, hinted_role(descriptor));
        // Only the index counts, so its entries are listed and not read; the indexes in it are, so
        // that the platforms are listed whole.
        let may_hold_platform =
            descriptor.media_type.is_empty() && !self.policy().platforms().is_empty();
        if !covered && !everything && !is_index && !may_hold_platform {
            return LookedAt::only(subject);
        }
        let known_type = is_index || media_type::is_image(&descriptor.media_type);
        if !known_type && !descriptor.media_type.is_empty() {
            // It may be an image to somebody, and it is none that can be judged: it counts.
            subject.role = Role::Unread;
            subject.unread = Some(Refusal::new(
                DenyCode::ManifestMalformed,
                format!(
                    "an entry of the unknown type `{}`",
                    crate::model::printable(&descriptor.media_type)
                ),
            ));
            return LookedAt::only(subject);
        }
        let asked_early = known_type
            && !is_index
            && !claims_attestation(descriptor)
            && (everything || self.policy().asks_about(&subject, false));
        let (read, found) = futures_util::future::join(self.read(&descriptor.digest), async {
            if asked_early {
                Some(self.evidence_of(descriptor.digest).await)
            } else {
                None
            }
        })
        .await;
        let served_as = Some(descriptor.media_type.as_str()).filter(|text| !text.is_empty());
        let parsed = read
            .map_err(|error| from_error(&error, DenyCode::ChildNotFound))
            .and_then(|raw| self.parse(&raw, served_as));
        let (mut nested, mut warning) = (Vec::new(), None);
        match parsed {
            Err(gap) => {
                // What could not be read may be an image, so it is asked about.
                if is_index || descriptor.media_type.is_empty() || claims_attestation(descriptor) {
                    subject.role = Role::Unread;
                }
                subject.unread = Some(gap);
            }
            Ok(Manifest::Index(index)) => {
                subject.role = Role::Index;
                nested = entries(index);
            }
            Ok(Manifest::Image(image)) => {
                subject.role = if is_attestation(entry, &image) {
                    Role::Attestation
                } else {
                    Role::Image(descriptor.platform.clone())
                };
                if everything && let Role::Image(Some(platform)) = &subject.role {
                    warning = self.compare(subject.digest, platform, &image).await;
                }
            }
        }
        let found = match found {
            Some(found) => Some(found),
            None if everything || self.policy().asks_about(&subject, false) => {
                Some(self.evidence_of(descriptor.digest).await)
            }
            None => None,
        };
        if let Some(found) = found {
            found.put_into(&mut subject);
        }
        LookedAt {
            subject,
            nested,
            warning,
        }
    }

    async fn read(&self, digest: &Digest) -> Result<RawManifest, Error> {
        self.source
            .manifest(self.image.repository(), digest, self.deadline)
            .await
    }

    fn parse(&self, raw: &RawManifest, entry_type: Option<&str>) -> Result<Manifest, Refusal> {
        let limits = &self.gate.limits;
        let malformed = |text: String| Refusal::new(DenyCode::ManifestMalformed, text);
        let served = raw.media_type.as_deref();
        if let (Some(entry), Some(served)) = (entry_type, served)
            && entry != served
        {
            return Err(malformed(format!(
                "{} is `{}` in its index and was served as `{}`",
                raw.digest,
                crate::model::printable(entry),
                crate::model::printable(served)
            )));
        }
        Manifest::parse(
            &raw.bytes,
            served.or(entry_type),
            limits.index_entries,
            limits,
        )
        .map_err(|error| match error {
            crate::model::ManifestError::Exceeded(exceeded) => from_excess(&exceeded),
            error => malformed(format!("{}: {error}", raw.digest)),
        })
    }
}

/// Awaits some at a time, in their order. What is read at once is bounded by this and by the bytes in
/// flight, not by how much the other side lists.
async fn side_by_side<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::stream::iter(work)
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await
}

/// The entries of an index, with no more of each than is asked for later: many indexes may be held at
/// the same time, and annotations can be as large as an index itself.
fn entries(index: Index) -> Vec<Entry> {
    let siblings: Arc<BTreeSet<_>> =
        Arc::new(index.manifests.iter().map(|entry| entry.digest).collect());
    index
        .manifests
        .into_iter()
        .map(|listed| {
            let mut descriptor = Descriptor::new(listed.media_type, listed.digest, listed.size);
            descriptor.platform = listed.platform;
            descriptor.annotations = listed.annotations;
            descriptor.annotations.retain(|name, value| {
                (name == REFERENCE_TYPE || name == REFERENCE_DIGEST) && value.len() <= MAX_REFERENCE
            });
            Entry {
                descriptor,
                siblings: Arc::clone(&siblings),
            }
        })
        .collect()
}

/// What an entry says it is. Only where it is not asked about does this stand in a report unread.
fn hinted_role(descriptor: &Descriptor) -> Role {
    if media_type::is_index(&descriptor.media_type) {
        Role::Index
    } else if claims_attestation(descriptor) {
        Role::Attestation
    } else if media_type::is_image(&descriptor.media_type) {
        Role::Image(descriptor.platform.clone())
    } else if descriptor.media_type.is_empty() {
        Role::Unread
    } else {
        Role::Other
    }
}

fn claims_attestation(descriptor: &Descriptor) -> bool {
    let kind = descriptor.annotations.get(REFERENCE_TYPE);
    descriptor
        .platform
        .as_ref()
        .is_some_and(Platform::is_unknown)
        && kind.is_some_and(|kind| kind == "attestation-manifest")
}

/// Whether an entry is a BuildKit attestation manifest and can't be run: unknown platform, about a
/// sibling, and nothing but in-toto layers. Whatever only claims to be one counts as an image.
fn is_attestation(entry: &Entry, image: &ImageManifest) -> bool {
    let about = entry
        .descriptor
        .annotations
        .get(REFERENCE_DIGEST)
        .and_then(|text| Digest::parse(text).ok());
    let about_sibling = about.is_some_and(|digest| {
        digest != entry.descriptor.digest && entry.siblings.contains(&digest)
    });
    claims_attestation(&entry.descriptor)
        && about_sibling
        && !image.layers.is_empty()
        && image
            .layers
            .iter()
            .all(|layer| layer.media_type == media_type::IN_TOTO)
}

/// A failure as a refusal; `not_found` is the reason where the thing is truly not there.
fn from_error(error: &Error, not_found: DenyCode) -> Refusal {
    let code = if error.is_not_found() {
        not_found
    } else {
        error.code()
    };
    Refusal::new(code, error.to_string())
}

fn from_excess(exceeded: &Exceeded) -> Refusal {
    Refusal::new(DenyCode::LimitExceeded, exceeded.to_string())
}
