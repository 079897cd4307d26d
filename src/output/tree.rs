//! All evidence of an image, manifest by manifest, and which platform lacks what.
//!
//! A tree is not a verdict: nobody asked who may sign. It says of each piece of evidence whether it
//! holds under the trust that was given, by whom it then is, and how old. What evidence that does not
//! hold says of itself is marked as a claim.

mod json;
mod page;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::Write;

use crate::admit::Report;
use crate::model::DenyCode;
use crate::model::Outcome;
use crate::output::Format;
use crate::output::Look;
use crate::policy::Finding;
use crate::policy::Gap;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::sign::PredicateType;
use crate::verify::Layout;
use crate::verify::VerifiedSignature;

/// What stands where everybody who reads one must see it.
const NOT_A_VERDICT: &str = "not a verdict: no policy was asked";

/// The evidence of one image.
#[derive(Debug)]
pub struct Tree<'r> {
    report: &'r Report,
    /// What each manifest of the report has and lacks, in the same order.
    manifests: Vec<Manifest>,
}

/// What a manifest has and lacks.
#[derive(Debug)]
struct Manifest {
    has: BTreeSet<Kind>,
    lacks: Vec<Lack>,
    /// Whether everything about it could be read, so that what it lacks is certain.
    whole: bool,
}

/// What a manifest lacks and others have.
#[derive(Debug)]
struct Lack {
    kind: Kind,
    /// The manifests that have it, by their places in the report.
    had_by: Vec<usize>,
}

/// A kind of evidence that an image can have.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Signature,
    /// An attestation, by its predicate type.
    Attestation(String),
}

impl Kind {
    /// The name, which may be anybody's text.
    fn name(&self) -> String {
        match self {
            Self::Signature => "signature".to_owned(),
            Self::Attestation(uri) => short(uri),
        }
    }
}

/// What a piece of evidence is, as far as that is proven or follows from where it lies.
#[derive(Debug)]
enum What<'f> {
    /// Nothing that could have been signed.
    Artifact,
    /// An attestation, with its predicate type where it is proven.
    Attestation(Option<&'f str>),
    /// Something signed; what it is would stand in what does not hold.
    Evidence,
    /// A signature over a bare file, with this digest.
    Message,
    Signature,
}

impl<'f> What<'f> {
    fn of(finding: &'f Finding) -> Self {
        match (&finding.proof, finding.layout) {
            (Ok(signature), _) if signature.is_message() => Self::Message,
            (Ok(signature), _) if signature.is_signature() => Self::Signature,
            (Ok(signature), _) => Self::Attestation(signature.predicate_type()),
            (Err(_), Some(Layout::LegacySignature)) => Self::Signature,
            (Err(_), Some(Layout::LegacyAttestation)) => Self::Attestation(None),
            (Err(refusal), None) if refusal.code == DenyCode::EvidenceKindMismatch => {
                Self::Artifact
            }
            (Err(_), _) => Self::Evidence,
        }
    }

    /// The place in a list.
    const fn rank(&self) -> u8 {
        match self {
            Self::Signature => 0,
            Self::Message => 1,
            Self::Attestation(_) => 2,
            Self::Evidence => 3,
            Self::Artifact => 4,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Artifact => "artifact",
            Self::Attestation(_) => "attestation",
            Self::Evidence => "evidence",
            Self::Message => "file-signature",
            Self::Signature => "signature",
        }
    }
}

impl<'r> Tree<'r> {
    /// Makes the tree of a report whose gate looked at everything. Its decision is left aside; of its
    /// policy only the time that is asked about and the demand for a timestamp count.
    #[must_use]
    pub fn new(report: &'r Report) -> Self {
        let subjects = &report.evidence.subjects;
        let mut had: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
        let mut manifests = Vec::new();
        for (at, subject) in subjects.iter().enumerate() {
            let mut has = BTreeSet::new();
            for finding in &subject.findings {
                has.extend(kind(report, finding));
            }
            for kind in &has {
                had.entry(kind.clone()).or_default().push(at);
            }
            manifests.push(Manifest {
                has,
                lacks: Vec::new(),
                whole: is_whole(subject),
            });
        }
        // A single image has nobody to be compared with.
        for (subject, manifest) in subjects.iter().zip(&mut manifests).skip(1) {
            if !matches!(subject.role, Role::Image(_)) {
                continue;
            }
            let lacking = had.iter().filter(|(kind, _)| !manifest.has.contains(kind));
            let lacks = lacking.filter_map(|(kind, had_by)| {
                // What an attestation manifest of BuildKit's has is nothing that an image needs.
                let counts = |at: &&usize| {
                    let role = subjects.get(**at).map(|subject| &subject.role);
                    matches!(role, Some(Role::Image(_) | Role::Index))
                };
                let had_by: Vec<_> = had_by.iter().filter(counts).copied().collect();
                (!had_by.is_empty()).then(|| Lack {
                    kind: kind.clone(),
                    had_by,
                })
            });
            manifest.lacks = lacks.collect();
        }
        Self { report, manifests }
    }

    /// What keeps it from being whole, if anything does: the image that is not there, else what the
    /// world did not let see, else what nobody can read.
    #[must_use]
    pub fn gap(&self) -> Option<DenyCode> {
        let evidence = &self.report.evidence;
        let codes = |gaps: &[Gap]| gaps.iter().map(|gap| gap.code).collect::<Vec<_>>();
        let about_image = codes(&evidence.gaps);
        let absent = |code: &DenyCode| code.outcome() == Outcome::Deny;
        if let Some(code) = about_image.iter().copied().find(absent) {
            return Some(code);
        }
        let mut all = about_image;
        for subject in &evidence.subjects {
            all.extend(codes(&subject.gaps));
            all.extend(subject.unread.as_ref().map(|gap| gap.code));
        }
        let open = |code: &DenyCode| code.outcome() == Outcome::Undecided;
        let found = all.iter().copied().find(open);
        found.or_else(|| all.first().copied())
    }

    /// Writes trees. cosign's form is for verdicts, and writes nothing.
    ///
    /// # Errors
    ///
    /// What the writer gives.
    pub fn render(
        trees: &[Self],
        format: Format,
        look: Look,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        match format {
            Format::Text => page::render(trees, look, to),
            Format::Json => json::render(trees, to),
            Format::CosignJson => Ok(()),
        }
    }

    /// The manifests with what each has and lacks.
    fn rows(&self) -> impl Iterator<Item = (&'r Subject, &Manifest)> {
        self.report.evidence.subjects.iter().zip(&self.manifests)
    }

    /// The evidence about a manifest: signatures, attestations by type, then the rest.
    fn evidence(&self, subject: &'r Subject) -> Vec<&'r Finding> {
        let mut findings: Vec<_> = subject.findings.iter().collect();
        findings.sort_by_key(|finding| {
            let what = What::of(finding);
            let predicate_type = match what {
                What::Attestation(found) => found,
                _ => None,
            };
            (
                what.rank(),
                predicate_type,
                finding.layout.map(Layout::name),
            )
        });
        findings
    }

    /// A proven signature, or why it does not count.
    fn holds<'f>(&self, finding: &'f Finding) -> Result<&'f VerifiedSignature, Refusal> {
        holds(self.report, finding)
    }
}

fn holds<'f>(report: &Report, finding: &'f Finding) -> Result<&'f VerifiedSignature, Refusal> {
    match &finding.proof {
        Ok(signature) => report.policy.counts(signature).map(|()| &**signature),
        Err(refusal) => Err(refusal.clone()),
    }
}

/// What a manifest has by a piece of evidence that counts.
fn kind(report: &Report, finding: &Finding) -> Option<Kind> {
    holds(report, finding).ok()?;
    match What::of(finding) {
        What::Signature => Some(Kind::Signature),
        What::Attestation(Some(uri)) => Some(Kind::Attestation(uri.to_owned())),
        What::Artifact | What::Attestation(None) | What::Evidence | What::Message => None,
    }
}

fn is_whole(subject: &Subject) -> bool {
    subject.gaps.is_empty() && subject.unread.is_none() && subject.not_examined == 0
}

/// The short name of a predicate type, or itself.
fn short(uri: &str) -> String {
    PredicateType::parse(uri).map_or_else(|_| uri.to_owned(), |kind| kind.name().to_owned())
}
