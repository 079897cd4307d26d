//! What is there already: a valid signature by the same signer is kept, and no second one made.
//!
//! The gate looks and judges, by a policy that asks for just this signer. What it could not look at
//! is no "unsigned": then nothing is signed either, since a second run could not tell.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::admit::Gate;
use crate::admit::Scope;
use crate::admit::Thoroughness;
use crate::admit::Trusted;
use crate::model::Claim;
use crate::model::Digest;
use crate::model::Outcome;
use crate::model::Pinned;
use crate::model::Repository;
use crate::model::San;
use crate::model::read_json;
use crate::policy;
use crate::policy::Covers;
use crate::policy::Demand;
use crate::policy::Finding;
use crate::policy::Pattern;
use crate::policy::Policy;
use crate::policy::Rules;
use crate::policy::SignedTimestamp;
use crate::policy::Who;
use crate::registry::FallbackTerm;
use crate::registry::Search;
use crate::registry::Source;
use crate::registry::Way;
use crate::sign::Error;
use crate::sign::Format;
use crate::sign::PredicateType;
use crate::sign::Signer;
use crate::transport::Deadline;
use crate::verify::Layout;
use crate::verify::VerifiedSignature;

/// Who signs, as existing evidence is compared with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Author {
    Certificate {
        san: San,
        issuer: String,
        /// What else the certificate will say: a signature by another repository, ref or event may
        /// have the same name, and is another one.
        build: Vec<(Claim, String)>,
    },
    Key(Digest),
}

/// What is looked for about each manifest.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// A signature with just these annotations.
    Signature(&'a BTreeMap<String, String>),
    /// An attestation of this type, with just these bytes.
    Statement {
        predicate_type: &'a str,
        payload: &'a [u8],
    },
}

/// Evidence that makes another one needless.
pub(super) struct Existing {
    /// The manifest that holds it.
    pub(super) holder: Digest,
    pub(super) proof: Arc<VerifiedSignature>,
    /// Whether nothing else lies beside it that may be of its type.
    pub(super) alone: bool,
}

/// Where evidence about an image is looked for and written.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) source: &'a Source,
    pub(super) image: &'a Pinned,
    pub(super) repository: &'a Repository,
    pub(super) tag_prefix: &'a str,
    pub(super) deadline: Deadline,
}

impl Signer {
    /// The evidence of this format about a manifest that makes another one needless.
    pub(super) async fn existing(
        &self,
        place: Place<'_>,
        subject: Digest,
        format: Format,
        who: &Author,
        wanted: Wanted<'_>,
    ) -> Result<Option<Existing>, Error> {
        let gate = self.asking_for(place, format, who, wanted)?;
        let image = place.image.sibling(subject);
        let now = (self.clock)();
        let found = gate
            .evidence_about(place.source, &image, now, place.deadline)
            .await;
        let may_be_of_its_type = |finding: &Finding| match (&finding.proof, wanted) {
            (Ok(proof), Wanted::Statement { predicate_type, .. }) => {
                proof.predicate_type() == Some(predicate_type)
            }
            (Ok(_), Wanted::Signature(_)) | (Err(_), _) => true,
        };
        let beside = found.findings.iter().filter(|it| may_be_of_its_type(it));
        let alone = beside.count() == 1 && found.gaps.is_empty() && found.not_examined == 0;
        // A manifest with several bundles is one that cosign reads none of.
        let mut holders: BTreeMap<Digest, usize> = BTreeMap::new();
        for finding in &found.findings {
            *holders.entry(finding.holder).or_default() += 1;
        }
        let kept = found.findings.into_iter().find_map(|finding| {
            let proof = finding.proof.ok()?;
            let several = holders.get(&finding.holder).is_some_and(|count| *count > 1);
            let is_it = is_of(&proof, format)
                && !(several && format == Format::Bundle)
                && gate.policy().accepts(&proof).is_ok()
                && is_same(&proof, wanted);
            is_it.then_some(Existing {
                holder: finding.holder,
                // Read and compared; a large document is not kept.
                proof: Arc::new(VerifiedSignature::clone(&proof).without_payload()),
                alone,
            })
        });
        if kept.is_some() {
            return Ok(kept);
        }
        // A refusal is somebody's malformed evidence or excess, and takes nothing from a new one.
        let mut gaps = found.gaps.into_iter();
        match gaps.find(|gap| gap.code.outcome() == Outcome::Undecided) {
            Some(gap) => Err(Error::Listing {
                subject,
                found: gap.found,
                code: gap.code,
            }),
            None => Ok(None),
        }
    }

    fn asking_for(
        &self,
        place: Place<'_>,
        format: Format,
        who: &Author,
        wanted: Wanted<'_>,
    ) -> Result<Gate, Error> {
        let who = match who {
            Author::Key(key) => Who::Key(*key),
            Author::Certificate { san, issuer, build } => {
                let exact = |text: &str| Pattern::exact(text).map_err(|_| Error::Nameless);
                let claims = build.iter();
                let claims = claims.map(|(claim, value)| Ok::<_, Error>((*claim, exact(value)?)));
                Who::Keyless {
                    root: self.root.as_ref().ok_or(Error::RootMissing)?.id(),
                    issuer: exact(issuer)?,
                    subject: exact(san.value())?,
                    claims: claims.collect::<Result<_, _>>()?,
                }
            }
        };
        let (demand, annotations) = match wanted {
            Wanted::Signature(annotations) => {
                let pairs = annotations.iter();
                let pairs = pairs.map(|(name, value)| (name.clone(), value.clone()));
                (Demand::Signature, pairs.collect())
            }
            Wanted::Statement { predicate_type, .. } => (
                Demand::Attestation {
                    predicate_types: vec![predicate_type.to_owned()],
                },
                Vec::new(),
            ),
        };
        let policy = Policy::new(Rules {
            name: "the same signer".to_owned(),
            signers: vec![policy::Signer {
                name: "the same signer".to_owned(),
                who,
            }],
            demand,
            annotations,
            covers: Covers::Index,
            platforms: Vec::new(),
            signed_timestamp: SignedTimestamp::Optional,
            at: None,
        })?;
        let search = Search {
            ways: match (format, wanted) {
                (Format::Bundle, _) => {
                    BTreeSet::from([Way::ReferrersApi, Way::FallbackTag, Way::Layout])
                }
                (Format::Legacy, Wanted::Signature(_)) => BTreeSet::from([Way::SignatureTag]),
                (Format::Legacy, Wanted::Statement { .. }) => BTreeSet::from([Way::AttestationTag]),
            },
            tag_prefix: place.tag_prefix.to_owned(),
            fallback: FallbackTerm::WithoutApi,
        };
        let scope = Scope {
            thoroughness: match wanted {
                Wanted::Signature(_) => Thoroughness::UntilProven,
                Wanted::Statement { .. } => Thoroughness::EverythingAsked,
            },
            signature_repositories: vec![place.repository.clone()],
            search,
        };
        let trusted = Trusted {
            root: self.root.clone(),
            keys: self.managed.iter().cloned().collect(),
        };
        let (terms, limits) = (self.terms, self.limits.clone());
        Ok(Gate::new(policy, trusted, terms, scope, limits))
    }
}

/// Whether evidence has the layout that is asked for: what cosign's experimental layout lists beside
/// bundles is none.
const fn is_of(proof: &VerifiedSignature, format: Format) -> bool {
    match (format, proof.layout()) {
        // cosign finds bundles of the version that it writes, and no older ones.
        (Format::Bundle, layout) => matches!(layout, Layout::BundleV03),
        (Format::Legacy, Layout::LegacyAttestation | Layout::LegacySignature) => true,
        (Format::Legacy, _) => false,
    }
}

/// Whether a signature by the same signer says the same.
fn is_same(proof: &VerifiedSignature, wanted: Wanted<'_>) -> bool {
    match wanted {
        // That all of these are there was judged; there must be no others.
        Wanted::Signature(annotations) => {
            proof.annotations().map_or(0, BTreeMap::len) == annotations.len()
        }
        Wanted::Statement {
            payload,
            predicate_type,
        } => proof.payload().is_some_and(|found| {
            found == payload
                || predicate_type == PredicateType::Custom.uri() && wraps_the_same(found, payload)
        }),
    }
}

/// Whether two statements of the type `custom` are about the same and wrap the same text: each also
/// has the time when it was wrapped.
fn wraps_the_same(one: &[u8], other: &[u8]) -> bool {
    let untimed = |statement: &[u8]| {
        let mut statement: Value = read_json(statement).ok()?;
        let predicate = statement.get_mut("predicate")?.as_object_mut()?;
        predicate.remove("Timestamp")?;
        Some(statement)
    };
    let one = untimed(one);
    one.is_some() && one == untimed(other)
}
