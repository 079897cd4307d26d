//! What is demanded of evidence, and whether it is met.
//!
//! A [`Policy`] can only hold sound rules: every constraint in it can be enforced, none is empty.
//! [`Policy::decide`] is the only judge in scgate; it is pure, and no front end compares a name or an
//! issuer by itself. A requirement is met whole by one signature, never by parts of several.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod decision;
mod pattern;
mod signer;

pub use decision::Decision;
pub use decision::Denial;
pub use decision::Evidence;
pub use decision::Finding;
pub use decision::Gap;
pub use decision::Judged;
pub use decision::Outcome;
pub use decision::Parent;
pub use decision::Proven;
pub use decision::Refusal;
pub use decision::Role;
pub use decision::Subject;
pub use decision::Warning;
pub use pattern::Pattern;
pub use pattern::PatternError;
pub use pattern::Whole;
pub use signer::Signer;
pub use signer::Who;

use crate::model::DenyCode;
use crate::model::Platform;
use crate::model::Timestamp;
use crate::verify::TimeSource;
use crate::verify::VerifiedSignature;

/// What must exist about an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Anything that was signed about it, whatever it says. For the conformance suite, which asks
    /// who signed and not what; never for an image.
    Anything,
    /// An attestation of one of these predicate types (several are aliases of one type).
    Attestation {
        /// The predicate types, compared whole.
        predicate_types: Vec<String>,
    },
    /// A signature over a file.
    FileSignature,
    /// A signature over the image; an attestation about it is none.
    Signature,
}

/// Which manifests of an image must be covered. For a single manifest all three mean itself.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Covers {
    /// What the reference names, and nothing else: cosign's meaning.
    #[default]
    Index,
    /// The index and every image in it.
    IndexAndPlatforms,
    /// Every image in the index, nested indexes included.
    Platforms,
}

impl Covers {
    /// The name in flags and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::IndexAndPlatforms => "index-and-platforms",
            Self::Platforms => "platforms",
        }
    }
}

/// The parts of a policy, before they are known to be sound.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The name that stands in records.
    pub name: String,
    /// Who may sign: any of them.
    pub signers: Vec<Signer>,
    /// What they must have signed.
    pub demand: Demand,
    /// Signed annotations that must be there, with their values.
    pub annotations: Vec<(String, String)>,
    /// Which manifests must be covered.
    pub covers: Covers,
    /// Platforms that the image must have; the others are then not asked about.
    pub platforms: Vec<Platform>,
    /// Whether an RFC 3161 timestamp is demanded.
    pub signed_timestamp: SignedTimestamp,
    /// The time that is asked about, when it is not now: what was signed later does not exist, and
    /// what has no authenticated time is not known to.
    pub at: Option<Timestamp>,
}

/// Whether an RFC 3161 timestamp is demanded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignedTimestamp {
    /// Any authenticated time will do.
    #[default]
    Optional,
    /// One must be an RFC 3161 timestamp.
    Required,
}

/// A sound policy.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Rules,
}

/// Why rules make no policy. Whoever wrote them can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A list that must not be empty is.
    #[error("a policy with no {what} would be met by nobody or by anybody")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// The same annotation is demanded with two values.
    #[error("the annotation `{name}` is demanded with two values (give only one of them)")]
    Contradiction {
        /// The annotation.
        name: String,
    },
}

impl Policy {
    /// Makes a policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] when a list is empty that must not be, or rules contradict each other.
    pub fn new(rules: Rules) -> Result<Self, PolicyError> {
        if rules.signers.is_empty() {
            return Err(PolicyError::Empty { what: "signers" });
        }
        if let Demand::Attestation { predicate_types } = &rules.demand
            && (predicate_types.is_empty() || predicate_types.iter().any(String::is_empty))
        {
            return Err(PolicyError::Empty {
                what: "predicate type",
            });
        }
        for (at, (name, value)) in rules.annotations.iter().enumerate() {
            if name.is_empty() {
                return Err(PolicyError::Empty {
                    what: "name of an annotation",
                });
            }
            let mut later = rules.annotations.iter().skip(at + 1);
            if later.any(|(other, its)| other == name && its != value) {
                return Err(PolicyError::Contradiction { name: name.clone() });
            }
        }
        Ok(Self { rules })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// What it demands.
    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.rules.demand
    }

    /// Which manifests it covers.
    #[must_use]
    pub const fn covers(&self) -> Covers {
        self.rules.covers
    }

    /// The platforms it asks for; empty means those that the image has.
    #[must_use]
    pub fn platforms(&self) -> &[Platform] {
        &self.rules.platforms
    }

    /// The time it asks about, when that is not now.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        self.rules.at
    }

    /// Whether one signature meets the whole requirement, and by which signer.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the reason that tells most.
    pub fn accepts(&self, signature: &VerifiedSignature) -> Result<&Signer, Refusal> {
        self.is_demanded(signature)?;
        if let Some(at) = self.rules.at {
            existed(signature, at)?;
        }
        let signer = self.signer_of(signature)?;
        for (name, value) in &self.rules.annotations {
            if signature.annotation(name) != Some(value) {
                let found = match signature.annotations().and_then(|all| all.get(name)) {
                    Some(found) => crate::model::printable(&found.to_string()),
                    None => "no such annotation".to_owned(),
                };
                return Err(Refusal::new(
                    DenyCode::AnnotationMismatch,
                    format!("annotation `{name}` must be `{value}`, found {found}"),
                ));
            }
        }
        self.is_stamped(signature)?;
        Ok(signer)
    }

    /// Whether a signature counts before anybody asks whose it is and what it says: it existed at
    /// the time that is asked about, and has the timestamp that is demanded.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the reason.
    pub fn counts(&self, signature: &VerifiedSignature) -> Result<(), Refusal> {
        if let Some(at) = self.rules.at {
            existed(signature, at)?;
        }
        self.is_stamped(signature)
    }

    fn is_stamped(&self, signature: &VerifiedSignature) -> Result<(), Refusal> {
        let stamped = signature
            .times()
            .iter()
            .any(|time| time.source == TimeSource::Timestamp);
        if self.rules.signed_timestamp == SignedTimestamp::Required && !stamped {
            return Err(Refusal::new(
                DenyCode::SignedTimestampMissing,
                "no RFC 3161 timestamp of a known authority".to_owned(),
            ));
        }
        Ok(())
    }

    fn is_demanded(&self, signature: &VerifiedSignature) -> Result<(), Refusal> {
        let kind = match signature.predicate_type() {
            Some(predicate) if !signature.is_signature() => {
                format!(
                    "an attestation of type {}",
                    crate::model::printable(predicate)
                )
            }
            _ if signature.is_message() => "a signature over a file".to_owned(),
            _ => "a signature over an image".to_owned(),
        };
        let other = |wanted: &str| {
            Err(Refusal::new(
                DenyCode::EvidenceKindMismatch,
                format!("{kind}, not {wanted}"),
            ))
        };
        match &self.rules.demand {
            Demand::Anything => Ok(()),
            Demand::Signature if signature.is_signature() && !signature.is_message() => Ok(()),
            Demand::Signature => other("a signature over an image"),
            Demand::FileSignature if signature.is_message() => Ok(()),
            Demand::FileSignature => other("a signature over a file"),
            Demand::Attestation { predicate_types } => match signature.predicate_type() {
                Some(found) if predicate_types.iter().any(|wanted| wanted == found) => Ok(()),
                Some(found) if !signature.is_signature() => Err(Refusal::new(
                    DenyCode::PredicateTypeMismatch,
                    format!("an attestation of type {}", crate::model::printable(found)),
                )),
                _ => other("an attestation"),
            },
        }
    }

    fn signer_of(&self, signature: &VerifiedSignature) -> Result<&Signer, Refusal> {
        let mut most_telling: Option<Refusal> = None;
        for signer in &self.rules.signers {
            match signer.made(signature) {
                Ok(()) => return Ok(signer),
                Err(refusal) => {
                    if most_telling
                        .as_ref()
                        .is_none_or(|most| most.code < refusal.code)
                    {
                        most_telling = Some(refusal);
                    }
                }
            }
        }
        Err(most_telling.unwrap_or_else(|| {
            Refusal::new(DenyCode::Internal, "a policy without signers".to_owned())
        }))
    }
}

/// Whether it is proven that a signature existed at `at`: one of its authenticated times is not later.
fn existed(signature: &VerifiedSignature, at: Timestamp) -> Result<(), Refusal> {
    let times = signature.times();
    let Some(first) = times.first() else {
        return Err(Refusal::new(
            DenyCode::TimeMissing,
            format!("no authenticated time, so nothing proves that it existed at {at}"),
        ));
    };
    if times.iter().all(|time| at < time.time) {
        return Err(Refusal::new(
            DenyCode::EvidenceAfterTime,
            format!("signed at {}, after {at}", first.time),
        ));
    }
    Ok(())
}
