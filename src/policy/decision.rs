//! Evidence in, decision out.

use std::sync::Arc;

use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Outcome as Kind;
use crate::model::Platform;
use crate::model::printable;
use crate::policy::Covers;
use crate::policy::Demand;
use crate::policy::Policy;
use crate::verify::Claimed;
use crate::verify::Layout;
use crate::verify::VerifiedSignature;

/// Everything that was found about one image: the manifest that was named, first, and those in it.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The manifests. The first is what the reference names.
    pub subjects: Vec<Subject>,
    /// The index that was named as parent of the image, with what was found about it.
    pub parent: Option<Parent>,
    /// What could not be learnt about the image itself. A refusal here refuses the image.
    pub gaps: Vec<Gap>,
    /// What is odd about the image. No decision looks at it.
    pub warnings: Vec<Warning>,
}

/// Something odd about an image that decides nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The entry of an index names another platform than the configuration of the image.
    PlatformDiffers {
        /// The image.
        subject: Digest,
        /// What its entry says: a node goes by it.
        entry: Platform,
        /// What its configuration says.
        config: Platform,
    },
    /// An entry leaves out its operating system or architecture.
    PlatformIncomplete {
        /// The image.
        subject: Digest,
        /// What its entry says.
        entry: Platform,
    },
    /// Several images of an index are for one platform.
    PlatformRepeated {
        /// The platform.
        platform: Platform,
        /// The images, in the order of the index.
        subjects: Vec<Digest>,
    },
    /// A configuration could not be compared with its entry.
    PlatformUnread {
        /// The image.
        subject: Digest,
        /// Why not.
        gap: Gap,
    },
}

impl Warning {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PlatformDiffers { .. } => "platform-differs",
            Self::PlatformIncomplete { .. } => "platform-incomplete",
            Self::PlatformRepeated { .. } => "platform-repeated",
            Self::PlatformUnread { .. } => "platform-unread",
        }
    }
}

impl core::fmt::Display for Warning {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::PlatformDiffers {
                subject,
                entry,
                config,
            } => {
                let (entry, config) = (entry.to_string(), config.to_string());
                let (entry, config) = (printable(&entry), printable(&config));
                write!(
                    f,
                    "listed for {entry}, by which a node chooses, but built for {config}: {subject}"
                )
            }
            Self::PlatformIncomplete { subject, entry } => {
                let entry = entry.to_string();
                write!(
                    f,
                    "listed for {}, which a node may take for its own platform: {subject}",
                    printable(&entry)
                )
            }
            Self::PlatformRepeated { platform, subjects } => {
                let platform = platform.to_string();
                let platform = printable(&platform);
                write!(f, "{} images listed for {platform}", subjects.len())?;
                match subjects.first() {
                    Some(first) => write!(f, ", of which a node runs the first: {first}"),
                    None => Ok(()),
                }
            }
            Self::PlatformUnread { subject, gap } => write!(
                f,
                "platform not compared with the configuration of {subject}: {}",
                gap.found
            ),
        }
    }
}

/// An index that lists the image, or was said to.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The index, with its evidence.
    pub subject: Subject,
    /// Whether its bytes list the image.
    pub lists_image: bool,
}

/// One manifest and what was found about it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub role: Role,
    /// The evidence that was read, in canonical order.
    pub findings: Vec<Finding>,
    /// Evidence that could not be read.
    pub gaps: Vec<Gap>,
    /// Why the manifest itself could not be read, where it had to be.
    pub unread: Option<Gap>,
    /// Evidence that is there and was not needed.
    pub not_examined: usize,
}

impl Subject {
    /// A manifest about which nothing is known yet.
    #[must_use]
    pub const fn new(digest: Digest, role: Role) -> Self {
        Self {
            digest,
            role,
            findings: Vec::new(),
            gaps: Vec::new(),
            unread: None,
            not_examined: 0,
        }
    }
}

/// What a manifest is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// A BuildKit attestation manifest, known for what it is: it never runs.
    Attestation,
    /// An image, for a platform where its entry names one.
    Image(Option<Platform>),
    /// An index.
    Index,
    /// An entry of an index that is neither image nor index.
    Other,
    /// A manifest that was not read.
    Unread,
}

/// One piece of evidence and what became of it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The manifest or file that holds it.
    pub holder: Digest,
    /// The way on which it was found.
    pub way: &'static str,
    /// How it is laid out, where that much could be read.
    pub layout: Option<Layout>,
    /// The proof, or why there is none.
    pub proof: Result<Arc<VerifiedSignature>, Refusal>,
    /// Without a proof: what the evidence says of itself. Nothing vouches for it and no decision
    /// looks at it.
    pub claimed: Option<Box<Claimed>>,
}

/// Why something does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// The reason.
    pub code: DenyCode,
    /// The particulars, in one sentence without a full stop.
    pub found: String,
}

impl Refusal {
    /// Makes a refusal.
    #[must_use]
    pub const fn new(code: DenyCode, found: String) -> Self {
        Self { code, found }
    }
}

/// Something that could not be read. Its code says whether that is a gap or a refusal.
pub type Gap = Refusal;

/// The answer.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Everything that is demanded is proven.
    Allow(Vec<Proven>),
    /// Something is refused.
    Deny(Vec<Denial>),
    /// The world failed; a retry could change the answer.
    Undecided(Vec<Denial>),
}

/// Which of the three answers it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// May run.
    Allow,
    /// Nobody could say.
    Undecided,
    /// Must not run.
    Deny,
}

impl Outcome {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Undecided => "undecided",
        }
    }
}

impl Decision {
    /// Which answer it is.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Allow(_) => Outcome::Allow,
            Self::Deny(_) => Outcome::Deny,
            Self::Undecided(_) => Outcome::Undecided,
        }
    }
}

/// What one subject's part of an Allow rests on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proven {
    /// The subject.
    pub subject: Digest,
    /// The name of the policy's signer that matched.
    pub signer: String,
    /// The signature.
    pub signature: Arc<VerifiedSignature>,
    /// The index through which the subject is covered, when it is not by itself.
    pub through_parent: Option<Digest>,
}

/// One reason of a Deny, or of an Undecided.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Denial {
    /// The reason.
    pub code: DenyCode,
    /// The subject that it is about.
    pub subject: Digest,
    /// What was demanded.
    pub requirement: String,
    /// What was found instead.
    pub found: String,
}

/// What the policy makes of one piece of evidence.
#[derive(Clone, Debug)]
pub enum Judged {
    /// It meets the requirement, by the named signer.
    Accepted(String),
    /// It does not.
    Refused(Refusal),
}

impl Policy {
    /// What this policy makes of one finding.
    #[must_use]
    pub fn judge(&self, finding: &Finding) -> Judged {
        match &finding.proof {
            Err(refusal) => Judged::Refused(refusal.clone()),
            Ok(signature) => match self.accepts(signature) {
                Ok(signer) => Judged::Accepted(signer.name.clone()),
                Err(refusal) => Judged::Refused(refusal),
            },
        }
    }

    /// Whether a subject needs evidence of its own under this policy.
    #[must_use]
    pub fn asks_about(&self, subject: &Subject, is_named: bool) -> bool {
        let wanted = |platform: &Option<Platform>| {
            // Without a platform, or with an unknown one, a node may take it for any.
            self.platforms().is_empty()
                || platform.as_ref().is_none_or(|own| {
                    own.is_unknown() || self.platforms().iter().any(|asked| own.may_answer(asked))
                })
        };
        match (&subject.role, self.covers()) {
            // A single manifest is itself, whatever is to be covered.
            (Role::Image(_) | Role::Attestation | Role::Other, _) if is_named => true,
            (Role::Index | Role::Unread, covers) if is_named => covers != Covers::Platforms,
            (_, Covers::Index) => false,
            (Role::Image(platform), Covers::Platforms | Covers::IndexAndPlatforms) => {
                wanted(platform)
            }
            // An entry that nobody could read may be an image.
            (Role::Unread, Covers::Platforms | Covers::IndexAndPlatforms) => true,
            (Role::Attestation | Role::Index | Role::Other, _) => false,
        }
    }

    /// Decides about one image.
    ///
    /// A subject is met by any one finding; what else failed to be read does not matter then. Without
    /// one, a gap leaves it open. Over all subjects a definite failure is a Deny, else a gap is
    /// Undecided, else it is allowed.
    #[must_use]
    pub fn decide(&self, evidence: &Evidence) -> Decision {
        let mut proven = Vec::new();
        let mut denials = Vec::new();
        let Some(named) = evidence.subjects.first() else {
            return self.about_nothing(evidence);
        };
        for gap in &evidence.gaps {
            denials.push(self.denial(named.digest, gap));
        }
        // An image that is not there, or is none, is refused for that and nothing else.
        if denials
            .iter()
            .any(|denial| denial.code.outcome() == Kind::Deny)
        {
            return settle(Vec::new(), denials);
        }
        let mut asked = 0_usize;
        for (at, subject) in evidence.subjects.iter().enumerate() {
            let Some(answer) = self.about(evidence, at, subject) else {
                continue;
            };
            asked += 1;
            match answer {
                Ok(proof) => proven.push(proof),
                Err(denial) => denials.push(denial),
            }
        }
        for platform in self.platforms() {
            for denial in self.without_platform(evidence, named.digest, platform) {
                if !denials.contains(&denial) {
                    denials.push(denial);
                }
            }
        }
        let has_image = |s: &Subject| matches!(s.role, Role::Image(_) | Role::Unread);
        let empty = self.covers() != Covers::Index
            && named.role == Role::Index
            && !evidence.subjects.iter().any(has_image);
        if (asked == 0 || empty) && denials.is_empty() {
            let refusal = Refusal::new(
                DenyCode::PlatformMissing,
                "the index lists no image".to_owned(),
            );
            denials.push(self.denial(named.digest, &refusal));
        }
        settle(proven, denials)
    }

    /// What speaks against a platform being there: nothing where an image is for it, else what could
    /// not be read and may hold it, else that it is missing.
    fn without_platform(
        &self,
        evidence: &Evidence,
        named: Digest,
        platform: &Platform,
    ) -> Vec<Denial> {
        let is_there = |subject: &Subject| matches!(&subject.role, Role::Image(Some(own)) if own.answers(platform));
        if evidence.subjects.iter().any(is_there) {
            return Vec::new();
        }
        let unread: Vec<_> = evidence
            .subjects
            .iter()
            .filter(|subject| subject.role == Role::Unread)
            .filter_map(|subject| Some(self.denial(subject.digest, subject.unread.as_ref()?)))
            .collect();
        if !unread.is_empty() {
            return unread;
        }
        let missing = Refusal::new(
            DenyCode::PlatformMissing,
            format!("the image has no manifest for {platform}"),
        );
        vec![self.denial(named, &missing)]
    }

    /// What becomes of one subject, by its place: on what it rests, or why it is not met. Nothing
    /// where the policy does not ask about it.
    #[must_use]
    pub fn answer(&self, evidence: &Evidence, at: usize) -> Option<Result<Proven, Denial>> {
        let subject = evidence.subjects.get(at)?;
        // What could not be learnt about the image is about the manifest that was named.
        let worst = evidence
            .gaps
            .iter()
            .min_by_key(|gap| gap.code.outcome())
            .filter(|_| at == 0);
        match worst {
            Some(gap) => Some(Err(self.denial(subject.digest, gap))),
            None => self.about(evidence, at, subject),
        }
    }

    fn about(
        &self,
        evidence: &Evidence,
        at: usize,
        subject: &Subject,
    ) -> Option<Result<Proven, Denial>> {
        if !self.asks_about(subject, at == 0) {
            return None;
        }
        let met = match &subject.unread {
            // Signed or not: what is not there, or is not what its index says, is not covered.
            Some(unread) => Err(unread.clone()),
            None => self.met(subject).or_else(|own| {
                let through = self.met_through_parent(subject, evidence);
                through
                    .unwrap_or_else(|| Err(own.clone()))
                    .map_err(|of_parent| {
                        // Evidence of its own that could not be read might have been enough.
                        match own.code.outcome() {
                            Kind::Undecided => own,
                            _ => of_parent,
                        }
                    })
            }),
        };
        Some(met.map_err(|refusal| self.denial(subject.digest, &refusal)))
    }

    /// Nothing was found under the name at all: only the gaps say why.
    fn about_nothing(&self, evidence: &Evidence) -> Decision {
        let nobody = Digest::from_sha256([0; 32]);
        let mut denials: Vec<_> = evidence
            .gaps
            .iter()
            .map(|gap| self.denial(nobody, gap))
            .collect();
        if denials.is_empty() {
            let bug = Refusal::new(DenyCode::Internal, "no subject and no reason".to_owned());
            denials.push(self.denial(nobody, &bug));
        }
        settle(Vec::new(), denials)
    }

    /// Whether one finding meets the requirement for a subject.
    fn met(&self, subject: &Subject) -> Result<Proven, Refusal> {
        let mut refusals = Vec::new();
        for finding in &subject.findings {
            match &finding.proof {
                Ok(signature) => match self.accepts(signature) {
                    // The proof names what it is about; findings of another subject are a bug.
                    Ok(signer) if signature.artifact() == subject.digest => {
                        return Ok(Proven {
                            subject: subject.digest,
                            signer: signer.name.clone(),
                            signature: Arc::clone(signature),
                            through_parent: None,
                        });
                    }
                    Ok(_) => refusals.push(Refusal::new(
                        DenyCode::Internal,
                        "a proof about another subject".to_owned(),
                    )),
                    Err(refusal) => refusals.push(refusal),
                },
                Err(refusal) => refusals.push(refusal.clone()),
            }
        }
        Err(self.unmet(subject, refusals))
    }

    /// Why a subject is not met: a gap leaves it open, an excess or the most telling refusal closes
    /// it, and with nothing of the demanded kind there is nothing.
    fn unmet(&self, subject: &Subject, refusals: Vec<Refusal>) -> Refusal {
        let gaps = subject.gaps.iter();
        if let Some(excess) = gaps.clone().find(|gap| gap.code.outcome() == Kind::Deny) {
            return excess.clone();
        }
        if let Some(gap) = gaps.max_by_key(|gap| gap.code) {
            return gap.clone();
        }
        let unreadable = refusals
            .iter()
            .filter(|r| r.code.outcome() == Kind::Undecided);
        if let Some(gap) = unreadable.max_by_key(|refusal| refusal.code) {
            return gap.clone();
        }
        let of_other_kind = |refusal: &&Refusal| {
            matches!(
                refusal.code,
                DenyCode::EvidenceKindMismatch | DenyCode::PredicateTypeMismatch
            )
        };
        let (code, wanted) = match self.demand() {
            Demand::Anything => (DenyCode::NoSignature, "evidence"),
            Demand::Attestation { .. } => (DenyCode::NoAttestation, "attestation of that type"),
            Demand::FileSignature => (DenyCode::NoSignature, "signature over the file"),
            Demand::Signature => (DenyCode::NoSignature, "signature"),
        };
        if refusals.iter().all(|refusal| of_other_kind(&refusal)) {
            let mut others: Vec<_> = refusals.into_iter().map(|r| r.found).collect();
            others.sort();
            others.dedup();
            let found = match others.as_slice() {
                [] => format!("no {wanted}"),
                some => format!("no {wanted}; there is {}", some.join("; there is ")),
            };
            return Refusal::new(code, found);
        }
        let most = refusals.into_iter().max_by_key(|refusal| refusal.code);
        most.unwrap_or_else(|| Refusal::new(code, format!("no {wanted}")))
    }

    /// A child may be covered by the index that lists it: only where the index alone is to be
    /// covered, and only by the parent that was named.
    fn met_through_parent(
        &self,
        subject: &Subject,
        evidence: &Evidence,
    ) -> Option<Result<Proven, Refusal>> {
        let parent = evidence.parent.as_ref()?;
        if self.covers() != Covers::Index {
            return None;
        }
        if !parent.lists_image {
            return Some(Err(match parent.subject.gaps.first() {
                Some(gap) => gap.clone(),
                None => Refusal::new(
                    DenyCode::ParentMismatch,
                    format!("the index {} does not list it", parent.subject.digest),
                ),
            }));
        }
        Some(self.met(&parent.subject).map(|proof| Proven {
            subject: subject.digest,
            through_parent: Some(parent.subject.digest),
            ..proof
        }))
    }

    fn denial(&self, subject: Digest, refusal: &Refusal) -> Denial {
        Denial {
            code: refusal.code,
            subject,
            requirement: self.requirement(),
            found: refusal.found.clone(),
        }
    }

    /// What is demanded, in words.
    #[must_use]
    pub fn requirement(&self) -> String {
        let names: Vec<_> = self.rules.signers.iter().map(|s| s.name.as_str()).collect();
        let what = match self.demand() {
            Demand::Anything => "evidence".to_owned(),
            Demand::Attestation { predicate_types } => {
                format!("an attestation of type {}", predicate_types.join(" or "))
            }
            Demand::FileSignature | Demand::Signature => "a signature".to_owned(),
        };
        format!("{what} by {}", names.join(" or "))
    }
}

/// A definite failure is a Deny, else a gap is Undecided, else it is allowed.
fn settle(proven: Vec<Proven>, denials: Vec<Denial>) -> Decision {
    if denials.is_empty() {
        // Nothing was refused because nothing was asked would be an Allow that rests on nothing.
        return if proven.is_empty() {
            Decision::Undecided(Vec::new())
        } else {
            Decision::Allow(proven)
        };
    }
    let definite = |denial: &Denial| denial.code.outcome() == Kind::Deny;
    if denials.iter().any(definite) {
        Decision::Deny(denials.into_iter().filter(definite).collect())
    } else {
        Decision::Undecided(denials)
    }
}
