//! Reading an image and its evidence: levels of manifests from the root down, evidence in waves.
//!
//! Manifests of one level are read at once, and so is the evidence of one wave. Which evidence is
//! read depends on what it says when it was verified and on its canonical order (hint class, then
//! digest), never on who answered first: the same registry gives the same report.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::admit::Gate;
use crate::admit::IN_FLIGHT;
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
use crate::model::Outcome;
use crate::model::Pinned;
use crate::model::Platform;
use crate::model::Repository;
use crate::model::Timestamp;
use crate::model::media_type;
use crate::policy::Covers;
use crate::policy::Demand;
use crate::policy::Evidence;
use crate::policy::Finding;
use crate::policy::Gap;
use crate::policy::Parent;
use crate::policy::Policy;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::registry::Candidate;
use crate::registry::Error;
use crate::registry::RawManifest;
use crate::registry::Search;
use crate::registry::Source;
use crate::registry::Way;
use crate::transport::Deadline;
use crate::verify::Artifact;
use crate::verify::Bundle;
use crate::verify::Layout;

/// Bytes from which evidence is verified on a thread of its own, so that hashing and parsing it
/// does not hold up other questions.
const LARGE_EVIDENCE: usize = 256 * 1024;
/// Manifests, pieces of evidence or layers that are looked at at the same time.
const SIDE_BY_SIDE: usize = 32;
/// What BuildKit writes at an entry of an index that is an attestation manifest.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The manifest that such an entry is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// The annotation that cosign v3 writes at a bundle's manifest: a hint.
const PREDICATE_HINT: &str = "dev.sigstore.bundle.predicateType";
const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

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
                // A manifest that is not there or is not one cannot run; a registry that failed to
                // give it only matters where what is in it must be known.
                let needed = self.policy().covers() != Covers::Index
                    || !self.policy().platforms().is_empty()
                    || gap.code.outcome() == Outcome::Deny;
                if needed {
                    evidence.gaps.push(gap);
                } else {
                    named.gaps.push(gap);
                }
                evidence.subjects.push(named);
            }
            Ok(Manifest::Image(image)) => {
                named.role = Role::Image(self.platform_of(&image, &mut evidence.gaps).await);
                evidence.subjects.push(named);
            }
            Ok(Manifest::Index(index)) => {
                named.role = Role::Index;
                evidence.subjects.push(named);
                self.levels(index, &mut evidence).await;
            }
        }
        evidence
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
            let looked_at = side_by_side(new.iter().map(|entry| self.entry(entry))).await;
            level = Vec::new();
            for (subject, nested) in looked_at {
                evidence.subjects.push(subject);
                level.extend(nested.into_iter().flat_map(entries));
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
    async fn entry(&self, entry: &Entry) -> (Subject, Option<Index>) {
        let descriptor = &entry.descriptor;
        let everything = self.gate.scope.thoroughness == Thoroughness::Everything;
        let covered = self.policy().covers() != Covers::Index;
        let is_index = media_type::is_index(&descriptor.media_type);
        let mut subject = Subject::new(descriptor.digest, hinted_role(descriptor));
        // Only the index counts, so its entries are listed and not read; the indexes in it are, so
        // that the platforms are listed whole.
        if !covered && !everything && !is_index {
            return (subject, None);
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
            return (subject, None);
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
        let mut nested = None;
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
                nested = Some(index);
            }
            Ok(Manifest::Image(image)) => {
                subject.role = if is_attestation(entry, &image) {
                    Role::Attestation
                } else {
                    Role::Image(descriptor.platform.clone())
                };
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
        (subject, nested)
    }

    /// The platform of a single image, from its configuration, where the policy asks for one.
    async fn platform_of(&self, image: &ImageManifest, gaps: &mut Vec<Gap>) -> Option<Platform> {
        if self.policy().platforms().is_empty() {
            return None;
        }
        let config = self
            .source
            .blob(
                self.image.repository(),
                &image.config,
                self.gate.limits.manifest_bytes,
                self.deadline,
            )
            .await;
        match config {
            Err(error) => {
                gaps.push(from_error(&error, DenyCode::ImageNotFound));
                None
            }
            Ok(bytes) => match crate::model::read_json::<Platform>(&bytes) {
                Ok(platform) => Some(platform),
                Err(_) => {
                    gaps.push(Refusal::new(
                        DenyCode::ManifestMalformed,
                        "the image's configuration is not JSON".to_owned(),
                    ));
                    None
                }
            },
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

    /// Lists what may be evidence about one manifest, and reads it in waves until the policy is met.
    async fn evidence_of(&self, digest: Digest) -> Found {
        let image = self.image.sibling(digest);
        let scope = &self.gate.scope;
        let own = [self.image.repository().clone()];
        let places: &[Repository] = if scope.signature_repositories.is_empty() {
            &own
        } else {
            &scope.signature_repositories
        };
        let search = self.search();
        let listings = join_all(
            places
                .iter()
                .map(|place| self.source.list(&image, place, &search, self.deadline)),
        )
        .await;
        let mut found = Found::default();
        let mut candidates = Vec::new();
        for listing in listings {
            for gap in &listing.gaps {
                found.gaps.push(from_error(gap, gap.code()));
            }
            candidates.extend(listing.candidates);
        }
        candidates.sort_by_key(|c| (self.hint_class(c), c.descriptor.digest));
        candidates.dedup_by_key(|c| c.descriptor.digest);
        let mut rest = candidates.as_slice();
        let mut read = 0_usize;
        while let Some(first) = rest.first() {
            // The first alone; then what is left of each class at once.
            let class = self.hint_class(first);
            let count = if read == 0 {
                1
            } else {
                rest.iter()
                    .take_while(|c| self.hint_class(c) == class)
                    .count()
            };
            let (wave, later) = rest.split_at(count);
            if let Err(exceeded) = Exceeded::unless(
                read + wave.len(),
                self.gate.limits.candidates,
                "pieces of evidence to read for one manifest",
            ) {
                found.gaps.push(from_excess(&exceeded));
                break;
            }
            read += wave.len();
            rest = later;
            for opened in side_by_side(wave.iter().map(|c| self.open(c, digest))).await {
                found.findings.extend(opened.findings);
                found.gaps.extend(opened.gaps);
            }
            let met = found.findings.iter().any(|finding| {
                finding
                    .proof
                    .as_ref()
                    .is_ok_and(|signature| self.policy().accepts(signature).is_ok())
            });
            if met && scope.thoroughness == Thoroughness::UntilProven {
                break;
            }
        }
        found.not_examined = rest.len();
        found
    }

    /// Where to look. A tag that by its definition holds the other kind of evidence is only read
    /// when everything is.
    fn search(&self) -> Search {
        let mut search = self.gate.scope.search.clone();
        if self.gate.scope.thoroughness != Thoroughness::Everything {
            match self.policy().demand() {
                Demand::Anything => false,
                Demand::Attestation { .. } => search.ways.remove(&Way::SignatureTag),
                Demand::FileSignature | Demand::Signature => {
                    search.ways.remove(&Way::AttestationTag)
                }
            };
        }
        search
    }

    /// How likely a candidate is what the policy demands, by what its descriptor says. It only
    /// orders the reading.
    fn hint_class(&self, candidate: &Candidate) -> u8 {
        let hint = candidate.descriptor.annotations.get(PREDICATE_HINT);
        let wanted = |predicate: &String| match self.policy().demand() {
            Demand::Attestation { predicate_types } => predicate_types.contains(predicate),
            Demand::Anything => true,
            Demand::FileSignature | Demand::Signature => predicate == SIGN_PREDICATE,
        };
        let attestation = matches!(self.policy().demand(), Demand::Attestation { .. });
        match (candidate.via, hint) {
            (Way::SignatureTag, _) => u8::from(attestation) * 2,
            (Way::AttestationTag, _) => u8::from(!attestation) * 2,
            (_, Some(predicate)) if wanted(predicate) => 0,
            (_, Some(_)) => 2,
            (_, None) => 1,
        }
    }

    /// Opens one candidate and verifies every piece of evidence in it.
    async fn open(&self, candidate: &Candidate, about: Digest) -> Found {
        let holder = candidate.descriptor.digest;
        let way = way_name(candidate.via);
        let refused = |refusal| Found {
            findings: vec![Finding {
                holder,
                way,
                layout: None,
                proof: Err(refusal),
                claimed: None,
            }],
            ..Found::default()
        };
        let raw = match &candidate.manifest {
            Some(raw) => raw.clone(),
            None => {
                let read = self
                    .source
                    .manifest(&candidate.repository, &holder, self.deadline)
                    .await;
                match read {
                    Ok(raw) => raw,
                    Err(error) => return Found::from_failure(&error, holder, way),
                }
            }
        };
        let limits = &self.gate.limits;
        let image = match Manifest::parse(&raw.bytes, raw.media_type.as_deref(), 0, limits) {
            Ok(Manifest::Image(image)) => image,
            Ok(Manifest::Index(_)) | Err(crate::model::ManifestError::Exceeded(_)) => {
                return refused(Refusal::new(
                    DenyCode::EvidenceUnreadable,
                    "not a manifest that holds evidence".to_owned(),
                ));
            }
            Err(error) => {
                return refused(Refusal::new(
                    DenyCode::EvidenceUnreadable,
                    error.to_string(),
                ));
            }
        };
        let by_subject = !matches!(candidate.via, Way::SignatureTag | Way::AttestationTag);
        let subject = image.subject.as_ref().map(|subject| subject.digest);
        if by_subject && subject != Some(about) {
            let found = match subject {
                Some(other) => format!("it refers to {other}"),
                None => "it refers to no manifest".to_owned(),
            };
            return refused(Refusal::new(DenyCode::ReferrerSubjectMismatch, found));
        }
        let layers: Vec<_> = image
            .layers
            .iter()
            .filter_map(|layer| Some((layer, kind_of(layer)?)))
            .collect();
        if layers.is_empty() {
            let kind = image
                .artifact_type
                .as_ref()
                .unwrap_or(&image.config.media_type);
            let kind = crate::model::printable(kind);
            return refused(Refusal::new(
                DenyCode::EvidenceKindMismatch,
                format!("an artifact of type {kind}, which holds no signature"),
            ));
        }
        if let Err(exceeded) = Exceeded::unless(
            layers.len(),
            limits.candidates,
            "signatures in one manifest",
        ) {
            return Found {
                gaps: vec![from_excess(&exceeded)],
                ..Found::default()
            };
        }
        // The same bytes with the same annotations are the same evidence, however often they are named.
        let mut seen = BTreeSet::new();
        let distinct = layers
            .iter()
            .filter(|(layer, _)| seen.insert((layer.digest, &layer.annotations)));
        let mut found = Found::default();
        let read = distinct.map(|(layer, kind)| self.layer(candidate, layer, *kind, about));
        for one in side_by_side(read).await {
            found.findings.extend(one.findings);
            found.gaps.extend(one.gaps);
        }
        found
    }

    /// Reads one layer and verifies it.
    async fn layer(
        &self,
        candidate: &Candidate,
        layer: &Descriptor,
        kind: Kind,
        about: Digest,
    ) -> Found {
        let limits = &self.gate.limits;
        let holder = candidate.descriptor.digest;
        let way = way_name(candidate.via);
        let cap = match kind {
            Kind::Bundle | Kind::Envelope => limits.attestation_bytes,
            Kind::SimpleSigning => limits.bundle_bytes,
        };
        let mebibytes = u32::try_from(layer.size >> 20).unwrap_or(u32::MAX);
        let room = mebibytes.saturating_add(1).min(IN_FLIGHT);
        // Closed by nobody; without a permit there would be no bound, so there is no evidence.
        let Ok(_held) = self.gate.in_flight.acquire_many(room).await else {
            let bug = Refusal::new(DenyCode::Internal, "no room to read evidence".to_owned());
            return Found {
                gaps: vec![bug],
                ..Found::default()
            };
        };
        let read = self
            .source
            .blob(&candidate.repository, layer, cap, self.deadline)
            .await;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return Found::from_failure(&error, holder, way),
        };
        let gate = Arc::clone(self.gate);
        let annotations = layer.annotations.clone();
        let now = self.now;
        let size = bytes.len();
        let work = move || {
            let limits = &gate.limits;
            let bundle = match kind {
                Kind::Bundle => Bundle::parse(&bytes, limits),
                Kind::Envelope => Bundle::from_attestation_layer(&bytes, &annotations, limits),
                Kind::SimpleSigning => Bundle::from_signature_layer(&bytes, &annotations, limits),
            };
            match bundle {
                Ok(bundle) => (
                    Some(bundle.layout()),
                    gate.prove_or_name(&bundle, Artifact::Digest(about), now),
                ),
                Err(error) => (
                    kind.layout(),
                    (Err(Refusal::new(error.code(), error.to_string())), None),
                ),
            }
        };
        let (layout, (proof, claimed)) = if size < LARGE_EVIDENCE {
            work()
        } else {
            match tokio::task::spawn_blocking(work).await {
                Ok(done) => done,
                Err(_) => (
                    None,
                    (
                        Err(Refusal::new(
                            DenyCode::Internal,
                            "verifying the evidence failed".to_owned(),
                        )),
                        None,
                    ),
                ),
            }
        };
        Found {
            findings: vec![Finding {
                holder,
                way,
                layout,
                proof,
                claimed,
            }],
            ..Found::default()
        }
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

/// What was found about one manifest.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    gaps: Vec<Gap>,
    not_examined: usize,
}

impl Found {
    fn put_into(self, subject: &mut Subject) {
        subject.findings.extend(self.findings);
        subject.gaps.extend(self.gaps);
        subject.not_examined += self.not_examined;
    }

    /// Evidence that could not be read: a gap, unless it is the evidence's own fault.
    fn from_failure(error: &Error, holder: Digest, way: &'static str) -> Self {
        if error.code().outcome() == Outcome::Undecided {
            return Self {
                gaps: vec![from_error(error, error.code())],
                ..Self::default()
            };
        }
        Self {
            findings: vec![Finding {
                holder,
                way,
                layout: None,
                proof: Err(from_error(error, DenyCode::EvidenceUnreadable)),
                claimed: None,
            }],
            ..Self::default()
        }
    }
}

/// The kinds of layers that hold evidence.
#[derive(Clone, Copy)]
enum Kind {
    Bundle,
    Envelope,
    SimpleSigning,
}

impl Kind {
    const fn layout(self) -> Option<Layout> {
        match self {
            Self::Bundle => None,
            Self::Envelope => Some(Layout::LegacyAttestation),
            Self::SimpleSigning => Some(Layout::LegacySignature),
        }
    }
}

fn kind_of(layer: &Descriptor) -> Option<Kind> {
    match layer.media_type.as_str() {
        media_type::SIMPLE_SIGNING => Some(Kind::SimpleSigning),
        media_type::DSSE => Some(Kind::Envelope),
        other if other.starts_with(media_type::BUNDLE_PREFIX) => Some(Kind::Bundle),
        _ => None,
    }
}

const fn way_name(way: Way) -> &'static str {
    match way {
        Way::ReferrersApi => "referrers-api",
        Way::FallbackTag => "fallback-tag",
        Way::Layout => "layout",
        Way::SignatureTag => "signature-tag",
        Way::AttestationTag => "attestation-tag",
    }
}

fn entries(index: Index) -> Vec<Entry> {
    let siblings: Arc<BTreeSet<_>> =
        Arc::new(index.manifests.iter().map(|entry| entry.digest).collect());
    index
        .manifests
        .into_iter()
        .map(|descriptor| Entry {
            descriptor,
            siblings: Arc::clone(&siblings),
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
