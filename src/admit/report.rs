//! The report: what was asked, what was decided, and on what it rests.

use std::sync::Arc;

use crate::admit::Inner;
use crate::model::Digest;
use crate::model::Reference;
use crate::model::Timestamp;
use crate::policy::Decision;
use crate::policy::Evidence;
use crate::policy::Policy;
use crate::verify::LogTerm;
use crate::verify::SctTerm;
use crate::verify::Terms;

/// What a report is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A file.
    File {
        /// What it is called.
        name: String,
        /// Its digest.
        digest: Digest,
    },
    /// An image.
    Image {
        /// What was asked for.
        reference: Reference,
        /// The digest that it turned out to be, when it could be found out.
        digest: Option<Digest>,
    },
}

impl Target {
    /// The digest that the verdict is about.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        match self {
            Self::File { digest, .. } => Some(*digest),
            Self::Image { digest, .. } => *digest,
        }
    }
}

/// The answer about one target, with everything that explains it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was asked about.
    pub target: Target,
    /// The answer.
    pub decision: Decision,
    /// Everything that was found, as it was judged.
    pub evidence: Evidence,
    /// The policy that judged.
    pub policy: Arc<Policy>,
    /// The id of the trust root, where one was given.
    pub root: Option<Digest>,
    /// The time of the question.
    pub now: Timestamp,
    /// What the operator allowed to be missing: names of relaxations, empty in the strict default.
    pub relaxed: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(gate: &Inner, target: Target, evidence: Evidence, now: Timestamp) -> Self {
        Self {
            decision: gate.policy.decide(&evidence),
            target,
            evidence,
            policy: Arc::clone(&gate.policy),
            root: gate.trusted.root.as_ref().map(|root| root.id()),
            now,
            relaxed: relaxed(gate.terms),
        }
    }
}

fn relaxed(terms: Terms) -> Vec<&'static str> {
    let mut relaxed = Vec::new();
    if terms.log == LogTerm::InsecureNone {
        relaxed.push("insecure-ignore-tlog");
    }
    if terms.sct == SctTerm::InsecureNone {
        relaxed.push("insecure-ignore-sct");
    }
    if terms.clock_skew > 0 {
        relaxed.push("clock-skew");
    }
    relaxed
}
