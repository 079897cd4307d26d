//! The whole path for one reference: resolve, collect, verify, decide, report.
//!
//! A [`Gate`] holds what does not change between questions: the policy, what is trusted, the limits.
//! [`Gate::admit`] resolves the reference once; everything after that goes by digest, and the report
//! is about that digest. Reading happens in `collect.rs`; nothing there decides. Start with
//! [`Gate::admit`], then [`Report`].

mod collect;
mod report;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;

pub use report::Report;
pub use report::Target;

use crate::admit::collect::Collector;
use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Pinned;
use crate::model::Reference;
use crate::model::Repository;
use crate::model::Timestamp;
use crate::policy::Evidence;
use crate::policy::Finding;
use crate::policy::Parent;
use crate::policy::Policy;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::registry::Source;
use crate::transport::Deadline;
use crate::verify::Artifact;
use crate::verify::Bundle;
use crate::verify::Claimed;
use crate::verify::ManagedKey;
use crate::verify::Terms;
use crate::verify::Trust;
use crate::verify::TrustRoot;
use crate::verify::VerifiedSignature;
use crate::verify::verify;

/// Who is trusted to vouch, whatever the policy says about who may sign.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// The trust root, for certificates, log entries and timestamps.
    pub root: Option<Arc<TrustRoot>>,
    /// Managed keys.
    pub keys: Vec<Arc<ManagedKey>>,
}

/// Evidence from a file: the bundle in it, or why there is none.
#[derive(Clone, Debug)]
pub struct FileEvidence {
    /// Over the bytes of the file, whatever they are.
    pub digest: Digest,
    /// What was parsed from them.
    pub bundle: Result<Bundle, crate::verify::Error>,
}

/// How far to look.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whether to stop at the first proof.
    pub thoroughness: Thoroughness,
    /// Where else evidence lies than beside the image. When it is not empty, only there.
    pub signature_repositories: Vec<Repository>,
    /// Which ways of looking are taken, with which tag prefix.
    pub search: crate::registry::Search,
}

/// Whether to stop at the first proof.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Thoroughness {
    /// Read and verify everything, of every manifest in the image.
    Everything,
    /// Read and verify everything about the manifests that the policy asks about.
    EverythingAsked,
    /// Stop when the policy is met; before a refusal everything is read.
    #[default]
    UntilProven,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            thoroughness: Thoroughness::default(),
            signature_repositories: Vec::new(),
            search: crate::registry::Search {
                ways: BTreeSet::from(crate::registry::Way::ALL),
                ..crate::registry::Search::default()
            },
        }
    }
}

/// The gate: one policy, asked about many references.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    policy: Arc<Policy>,
    trusted: Trusted,
    terms: Terms,
    scope: Scope,
    limits: Limits,
    /// Mebibytes of evidence that may be held at the same time, over all questions.
    in_flight: Semaphore,
}

/// Mebibytes of evidence in memory at the same time: one attestation of the largest size, and room
/// for small ones beside it.
const IN_FLIGHT: u32 = 192;

impl Gate {
    /// Makes a gate.
    #[must_use]
    pub fn new(
        policy: Policy,
        trusted: Trusted,
        terms: Terms,
        scope: Scope,
        limits: Limits,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                policy: Arc::new(policy),
                trusted,
                terms,
                scope,
                limits,
                in_flight: Semaphore::const_new(usize::try_from(IN_FLIGHT).unwrap_or(1)),
            }),
        }
    }

    /// Decides whether the image that `reference` names may run, at the time `now`.
    ///
    /// `parent` names an index of the same repository through which the image may be covered. All
    /// that goes wrong is part of the report; there is no other error.
    pub async fn admit(
        &self,
        source: &Source,
        reference: &Reference,
        parent: Option<Digest>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Report {
        let target = |digest| Target::Image {
            reference: reference.clone(),
            digest,
        };
        let resolved = match source.resolve(reference, deadline).await {
            Ok(resolved) => resolved,
            Err(error) => {
                let evidence = Evidence {
                    gaps: vec![Refusal::new(error.code(), error.to_string())],
                    ..Evidence::default()
                };
                return self.report(target(None), evidence, now);
            }
        };
        let collector = Collector::new(self, source, &resolved.pinned, now, deadline);
        let (evidence, parent) =
            futures_util::future::join(collector.image(resolved.manifest), async {
                match parent {
                    Some(index) => Some(collector.parent(index).await),
                    None => None,
                }
            })
            .await;
        let evidence = Evidence { parent, ..evidence };
        self.report(target(Some(resolved.pinned.digest())), evidence, now)
    }

    /// The policy that judges.
    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// What evidence there is about one manifest, read as far as the policy needs it. Nothing is
    /// decided.
    pub(crate) async fn evidence_about(
        &self,
        source: &Source,
        image: &Pinned,
        now: Timestamp,
        deadline: Deadline,
    ) -> Subject {
        let mut subject = Subject::new(image.digest(), Role::Other);
        let collector = Collector::new(self, source, image, now, deadline);
        collector.evidence(&mut subject).await;
        subject
    }

    /// Decides about a file by the evidence that is given with it.
    ///
    /// Evidence that could not be parsed is part of the report. `name` is what the file is called.
    #[must_use]
    pub fn admit_file(
        &self,
        name: &str,
        artifact: Artifact<'_>,
        evidence: &[FileEvidence],
        now: Timestamp,
    ) -> Report {
        let digest = match artifact {
            Artifact::Bytes(bytes) => Digest::sha256(bytes),
            Artifact::Digest(digest) => digest,
        };
        let mut subject = Subject::new(digest, Role::Other);
        for file in evidence {
            subject.findings.push(match &file.bundle {
                Ok(bundle) => {
                    let (proof, claimed) = self.inner.prove_or_name(bundle, artifact, now);
                    Finding {
                        holder: bundle.evidence(),
                        way: "file",
                        layout: Some(bundle.layout()),
                        proof,
                        claimed,
                    }
                }
                Err(error) => Finding {
                    holder: file.digest,
                    way: "file",
                    layout: None,
                    proof: Err(Refusal::new(error.code(), error.to_string())),
                    claimed: None,
                },
            });
        }
        let target = Target::File {
            name: name.to_owned(),
            digest,
        };
        let evidence = Evidence {
            subjects: vec![subject],
            ..Evidence::default()
        };
        self.report(target, evidence, now)
    }

    fn report(&self, target: Target, evidence: Evidence, now: Timestamp) -> Report {
        Report::new(&self.inner, target, evidence, now)
    }
}

/// A proof, or why there is none and what the evidence says of itself.
type Proof = (
    Result<Arc<VerifiedSignature>, Refusal>,
    Option<Box<Claimed>>,
);

impl Inner {
    fn prove_or_name(&self, bundle: &Bundle, artifact: Artifact<'_>, now: Timestamp) -> Proof {
        let proof = self.prove(bundle, artifact, now);
        let claimed = match &proof {
            Ok(_) => None,
            Err(_) => bundle.claimed(&self.limits).map(Box::new),
        };
        (proof, claimed)
    }

    /// Verifies one piece of evidence under everything that is trusted.
    fn prove(
        &self,
        bundle: &Bundle,
        artifact: Artifact<'_>,
        now: Timestamp,
    ) -> Result<Arc<VerifiedSignature>, Refusal> {
        let root = self.trusted.root.as_deref();
        let by_root = root.map(Trust::Root);
        let by_key = self.trusted.keys.iter().map(|key| Trust::Key(key, root));
        let trusts: Vec<_> = if bundle.has_certificate() || self.trusted.keys.is_empty() {
            by_root.into_iter().collect()
        } else {
            by_key.collect()
        };
        let mut most_telling: Option<Refusal> = None;
        for trust in trusts {
            match verify(bundle, artifact, trust, self.terms, now, &self.limits) {
                Ok(signature) => {
                    // What strangers signed may be large, and nobody reads it.
                    let read = self.policy.accepts(&signature).is_ok();
                    return Ok(Arc::new(if read {
                        signature
                    } else {
                        signature.without_payload()
                    }));
                }
                Err(error) => {
                    let refusal = Refusal::new(error.code(), error.to_string());
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
            Refusal::new(
                DenyCode::SignerKindMismatch,
                "signed with a certificate where only a key is trusted".to_owned(),
            )
        }))
    }
}

/// A parent that could not be read, with the reason.
fn unread_parent(index: Digest, refusal: Refusal) -> Parent {
    let mut subject = Subject::new(index, Role::Unread);
    subject.gaps.push(refusal);
    Parent {
        subject,
        lists_image: false,
    }
}
