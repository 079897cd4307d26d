//! The evidence about one manifest: listed, read in waves in canonical order, verified.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::admit::IN_FLIGHT;
use crate::admit::Thoroughness;
use crate::admit::collect::Collector;
use crate::admit::collect::from_error;
use crate::admit::collect::from_excess;
use crate::admit::collect::side_by_side;
use crate::model::DenyCode;
use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::ImageManifest;
use crate::model::Manifest;
use crate::model::Outcome;
use crate::model::Repository;
use crate::model::media_type;
use crate::policy::Demand;
use crate::policy::Finding;
use crate::policy::Gap;
use crate::policy::Refusal;
use crate::policy::Subject;
use crate::registry::Candidate;
use crate::registry::RawManifest;
use crate::registry::Search;
use crate::registry::Way;
use crate::verify::Artifact;
use crate::verify::Bundle;
use crate::verify::Layout;
use crate::verify::SIGN_PREDICATE;

/// Bytes from which evidence is verified on a thread of its own, so that hashing and parsing it
/// does not hold up other questions.
const LARGE_EVIDENCE: usize = 256 * 1024;

impl Collector<'_> {
    /// Lists what may be evidence about one manifest, and reads it in waves until the policy is met.
    pub(super) async fn evidence_of(&self, digest: Digest) -> Found {
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
        let pieces = self.pieces(candidates);
        let mut rest = pieces.as_slice();
        let mut read = 0_usize;
        while let Some(first) = rest.first() {
            // The first alone; then what is left of each class at once.
            let count = if read == 0 {
                1
            } else {
                rest.iter()
                    .take_while(|piece| piece.class == first.class)
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
            for opened in side_by_side(wave.iter().map(|piece| self.open(piece, digest))).await {
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
        let hint = candidate.predicate_hint();
        let wanted = |predicate: &str| match self.policy().demand() {
            Demand::Attestation { predicate_types } => {
                predicate_types.iter().any(|wanted| wanted == predicate)
            }
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

    /// Unites what several repositories list: each manifest once, with every place it lies in, in
    /// the order of hint class and digest.
    fn pieces(&self, candidates: Vec<Candidate>) -> Vec<Piece> {
        let mut pieces: BTreeMap<Digest, Piece> = BTreeMap::new();
        for candidate in candidates {
            let holder = candidate.descriptor.digest;
            let class = self.hint_class(&candidate);
            let via = candidate.via;
            let place = Place {
                repository: candidate.repository,
                manifest: candidate.manifest,
            };
            match pieces.entry(holder) {
                Entry::Occupied(piece) => piece.into_mut().lies_also(class, via, place),
                Entry::Vacant(new) => {
                    new.insert(Piece {
                        holder,
                        class,
                        via,
                        places: vec![place],
                    });
                }
            }
        }
        let mut pieces: Vec<_> = pieces.into_values().collect();
        pieces.sort_by_key(|piece| piece.class);
        for piece in &mut pieces {
            // What was read already is not asked for.
            piece.places.sort_by_key(|place| place.manifest.is_none());
        }
        pieces
    }

    /// Opens one manifest and verifies every piece of evidence in it. Where one place fails, the next
    /// one is tried.
    async fn open(&self, piece: &Piece, about: Digest) -> Found {
        let mut failure = None;
        for (at, place) in piece.places.iter().enumerate() {
            match self.holder(piece.holder, place).await {
                Ok(image) => {
                    // The place that has the manifest is the likeliest to have the rest.
                    let (before, from) = piece.places.split_at(at);
                    let places: Vec<_> = from.iter().chain(before).collect();
                    return self.holds(piece, &places, &image, about).await;
                }
                Err(refusal) => failure = more_telling(failure, refusal),
            }
        }
        piece.refused(failure.unwrap_or_else(nowhere))
    }

    /// Reads and parses the manifest that holds evidence, in one place.
    async fn holder(&self, holder: Digest, place: &Place) -> Result<ImageManifest, Refusal> {
        let unreadable = |text| Refusal::new(DenyCode::EvidenceUnreadable, text);
        let raw = match &place.manifest {
            Some(raw) => raw.clone(),
            None => self
                .source
                .manifest(&place.repository, &holder, self.deadline)
                .await
                .map_err(|error| from_error(&error, DenyCode::EvidenceUnreadable))?,
        };
        let limits = &self.gate.limits;
        match Manifest::parse(&raw.bytes, raw.media_type.as_deref(), 0, limits) {
            Ok(Manifest::Image(image)) => Ok(image),
            Ok(Manifest::Index(_)) | Err(crate::model::ManifestError::Exceeded(_)) => {
                Err(unreadable("not a manifest that holds evidence".to_owned()))
            }
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Verifies what a manifest holds. Its layers are read from the first of `places` that has them.
    async fn holds(
        &self,
        piece: &Piece,
        places: &[&Place],
        image: &ImageManifest,
        about: Digest,
    ) -> Found {
        let limits = &self.gate.limits;
        let subject = image.subject.as_ref().map(|subject| subject.digest);
        if !is_own_tag(piece.via) && subject != Some(about) {
            let found = match subject {
                Some(other) => format!("it refers to {other}"),
                None => "it refers to no manifest".to_owned(),
            };
            return piece.refused(Refusal::new(DenyCode::ReferrerSubjectMismatch, found));
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
            return piece.refused(Refusal::new(
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
        let read = distinct.map(|(layer, kind)| self.layer(piece, places, layer, *kind, about));
        for one in side_by_side(read).await {
            found.findings.extend(one.findings);
            found.gaps.extend(one.gaps);
        }
        found
    }

    /// Reads one layer and verifies it.
    async fn layer(
        &self,
        piece: &Piece,
        places: &[&Place],
        layer: &Descriptor,
        kind: Kind,
        about: Digest,
    ) -> Found {
        let limits = &self.gate.limits;
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
        let mut read = Err(None);
        for place in places {
            let blob = self
                .source
                .blob(&place.repository, layer, cap, self.deadline);
            match (blob.await, read) {
                (Ok(bytes), _) => {
                    read = Ok(bytes);
                    break;
                }
                (Err(error), before) => {
                    let refusal = from_error(&error, DenyCode::EvidenceUnreadable);
                    read = Err(more_telling(before.err().flatten(), refusal));
                }
            }
        }
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(failure) => return piece.refused(failure.unwrap_or_else(nowhere)),
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
                holder: piece.holder,
                way: way_name(piece.via),
                layout,
                proof,
                claimed,
            }],
            ..Found::default()
        }
    }
}

/// What was found about one manifest.
#[derive(Default)]
pub(super) struct Found {
    findings: Vec<Finding>,
    gaps: Vec<Gap>,
    not_examined: usize,
}

impl Found {
    pub(super) fn put_into(self, subject: &mut Subject) {
        subject.findings.extend(self.findings);
        subject.gaps.extend(self.gaps);
        subject.not_examined += self.not_examined;
    }
}

/// A manifest that may hold evidence, wherever it lies.
struct Piece {
    holder: Digest,
    /// How likely it is what the policy demands.
    class: u8,
    via: Way,
    /// The repositories it lies in, each once, in the order of the search.
    places: Vec<Place>,
}

/// One repository that a piece of evidence lies in.
struct Place {
    repository: Repository,
    /// The manifest, when finding it meant reading it.
    manifest: Option<RawManifest>,
}

impl Piece {
    /// Adds another place. What it is called there takes nothing from what it is elsewhere: the
    /// likeliest class counts, and under its own tag it needs no subject.
    fn lies_also(&mut self, class: u8, via: Way, place: Place) {
        self.class = self.class.min(class);
        if is_own_tag(via) && !is_own_tag(self.via) {
            self.via = via;
        }
        let mut places = self.places.iter_mut();
        match places.find(|known| known.repository == place.repository) {
            Some(known) => known.manifest = known.manifest.take().or(place.manifest),
            None => self.places.push(place),
        }
    }

    /// Evidence that was not read: a gap, unless it is the evidence's own fault.
    fn refused(&self, refusal: Refusal) -> Found {
        if refusal.code.outcome() == Outcome::Undecided {
            return Found {
                gaps: vec![refusal],
                ..Found::default()
            };
        }
        Found {
            findings: vec![Finding {
                holder: self.holder,
                way: way_name(self.via),
                layout: None,
                proof: Err(refusal),
                claimed: None,
            }],
            ..Found::default()
        }
    }
}

/// The one of two failures to tell. What a retry could change comes last in the rank of the codes:
/// a place that failed may have what another one lacks.
fn more_telling(one: Option<Refusal>, other: Refusal) -> Option<Refusal> {
    Some(match one {
        Some(one) if one.code >= other.code => one,
        _ => other,
    })
}

/// A piece of evidence lies somewhere; without a place there would be nothing to tell.
fn nowhere() -> Refusal {
    Refusal::new(DenyCode::Internal, "evidence that lies nowhere".to_owned())
}

/// Whether the manifest lies under the tag of its image, and so needs no subject.
const fn is_own_tag(way: Way) -> bool {
    matches!(way, Way::SignatureTag | Way::AttestationTag)
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
