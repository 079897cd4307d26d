//! scgate's JSON, version 1, as `docs/json-v1.md` describes it.
//!
//! INVARIANT: within version 1 members are added and never renamed, removed or given another
//! meaning. That is why nothing here is serialized from a type of another module. What a thing cannot
//! have is absent, never empty.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;

use serde::Serialize;

use crate::admit::Report;
use crate::admit::Target;
use crate::model;
use crate::model::Digest;
use crate::model::San;
use crate::output::explain;
use crate::output::text;
use crate::policy::Decision;
use crate::policy::Demand;
use crate::policy::Judged;
use crate::policy::Outcome;
use crate::policy::Role;
use crate::verify;
use crate::verify::LogEvidence;
use crate::verify::TimeSource;
use crate::verify::VerifiedSignature;

/// The version that a document states.
const VERSION: u32 = 1;

pub(super) fn render(reports: &[Report], to: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        tool: Tool {
            name: "scgate",
            version: env!("CARGO_PKG_VERSION"),
        },
        outcome: reports
            .iter()
            .map(|report| report.decision.outcome())
            .max()
            .map(Outcome::name),
        reports: reports.iter().map(Entry::of).collect(),
    };
    let document = serde_json::to_string_pretty(&document)?;
    writeln!(to, "{}", text::json(&document))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    tool: Tool,
    /// Over all reports; nothing without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    reports: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    outcome: &'static str,
    now: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    policy: Policy<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    relaxed: &'a [&'static str],
    /// Of an Allow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proven: Vec<Proven<'a>>,
    /// Of a Deny or an Undecided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denials: Vec<Denial<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Subject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Parent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

/// Something odd that decided nothing.
#[derive(Serialize)]
struct Warning {
    name: &'static str,
    text: String,
}

impl<'a> Entry<'a> {
    fn of(report: &'a Report) -> Self {
        let (reference, file) = match &report.target {
            Target::File { name, .. } => (None, Some(name.as_str())),
            Target::Image { reference, .. } => (Some(reference.to_string()), None),
        };
        let evidence = &report.evidence;
        let (proven, denials) = match &report.decision {
            Decision::Allow(proven) => (proven.as_slice(), [].as_slice()),
            Decision::Deny(denials) | Decision::Undecided(denials) => {
                ([].as_slice(), denials.as_slice())
            }
        };
        Self {
            reference,
            file,
            digest: report.target.digest().as_ref().map(Digest::to_string),
            outcome: report.decision.outcome().name(),
            now: report.now.to_string(),
            as_of: report.policy.at().map(|at| at.to_string()),
            policy: Policy::of(report),
            root: report.root.as_ref().map(Digest::to_string),
            relaxed: &report.relaxed,
            proven: proven.iter().map(Proven::of).collect(),
            denials: denials
                .iter()
                .map(|denial| Denial::of(denial, report))
                .collect(),
            subjects: evidence
                .subjects
                .iter()
                .enumerate()
                .map(|(at, subject)| Subject {
                    status: status(report, at),
                    found: Found::of(subject, report),
                })
                .collect(),
            parent: evidence.parent.as_ref().map(|parent| Parent {
                lists_image: parent.lists_image,
                found: Found::of(&parent.subject, report),
            }),
            gaps: evidence.gaps.iter().map(Gap::of).collect(),
            warnings: evidence
                .warnings
                .iter()
                .map(|warning| Warning {
                    name: warning.name(),
                    text: warning.to_string(),
                })
                .collect(),
        }
    }
}

/// What became of one of the manifests.
fn status(report: &Report, at: usize) -> &'static str {
    match report.policy.answer(&report.evidence, at) {
        None => "not-asked",
        Some(Ok(_)) => "ok",
        Some(Err(denial)) => match denial.code.outcome() {
            model::Outcome::Deny => "denied",
            model::Outcome::Undecided => "unknown",
        },
    }
}

const fn outcome(code: model::DenyCode) -> &'static str {
    match code.outcome() {
        model::Outcome::Deny => "deny",
        model::Outcome::Undecided => "undecided",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'a> {
    name: &'a str,
    demand: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    predicate_types: &'a [String],
    requirement: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    covers: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
}

impl<'a> Policy<'a> {
    fn of(report: &'a Report) -> Self {
        let policy = &report.policy;
        let (demand, predicate_types) = match policy.demand() {
            Demand::Anything => ("anything", [].as_slice()),
            Demand::Attestation { predicate_types } => ("attestation", predicate_types.as_slice()),
            Demand::FileSignature => ("file-signature", [].as_slice()),
            Demand::Signature => ("signature", [].as_slice()),
        };
        Self {
            name: policy.name(),
            demand,
            predicate_types,
            requirement: policy.requirement(),
            // A file has no platforms to cover.
            covers: match &report.target {
                Target::File { .. } => None,
                Target::Image { .. } => Some(policy.covers().name()),
            },
            platforms: policy.platforms().iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proven<'a> {
    subject: String,
    signer: &'a str,
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    through_parent: Option<String>,
}

impl<'a> Proven<'a> {
    fn of(proven: &'a crate::policy::Proven) -> Self {
        Self {
            subject: proven.subject.to_string(),
            signer: &proven.signer,
            evidence: proven.signature.evidence().to_string(),
            through_parent: proven.through_parent.as_ref().map(Digest::to_string),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Denial<'a> {
    code: &'static str,
    outcome: &'static str,
    /// Absent where not even the digest of the image could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    requirement: &'a str,
    found: &'a str,
    remedy: &'static str,
}

impl<'a> Denial<'a> {
    fn of(denial: &'a crate::policy::Denial, report: &Report) -> Self {
        let known = !report.evidence.subjects.is_empty();
        Self {
            code: denial.code.name(),
            outcome: outcome(denial.code),
            subject: known.then(|| denial.subject.to_string()),
            requirement: &denial.requirement,
            found: &denial.found,
            remedy: explain::remedy(denial.code),
        }
    }
}

#[derive(Serialize)]
struct Subject<'a> {
    status: &'static str,
    #[serde(flatten)]
    found: Found<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parent<'a> {
    lists_image: bool,
    #[serde(flatten)]
    found: Found<'a>,
}

/// A manifest with everything that was found about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    digest: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap<'a>>,
    /// Why the manifest itself could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Gap<'a>>,
    not_examined: usize,
}

impl<'a> Found<'a> {
    fn of(subject: &'a crate::policy::Subject, report: &Report) -> Self {
        let (role, platform) = match (&subject.role, &report.target) {
            (Role::Attestation, _) => ("attestation", None),
            (Role::Image(platform), _) => ("image", platform.as_ref()),
            (Role::Index, _) => ("index", None),
            (Role::Other, Target::File { .. }) => ("file", None),
            (Role::Other, Target::Image { .. }) => ("other", None),
            (Role::Unread, _) => ("unread", None),
        };
        Self {
            digest: subject.digest.to_string(),
            role,
            platform: platform.map(ToString::to_string),
            findings: subject
                .findings
                .iter()
                .map(|finding| Finding::of(finding, report))
                .collect(),
            gaps: subject.gaps.iter().map(Gap::of).collect(),
            unread: subject.unread.as_ref().map(Gap::of),
            not_examined: subject.not_examined,
        }
    }
}

#[derive(Serialize)]
struct Gap<'a> {
    code: &'static str,
    outcome: &'static str,
    found: &'a str,
}

impl<'a> Gap<'a> {
    fn of(gap: &'a crate::policy::Gap) -> Self {
        Self {
            code: gap.code.name(),
            outcome: outcome(gap.code),
            found: &gap.found,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    holder: String,
    way: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'static str>,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Absent where the signature itself does not hold: then nothing is known about it.
    #[serde(flatten)]
    signature: Option<Signature<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<Claimed<'a>>,
}

/// What evidence that does not hold says of itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claimed<'a> {
    signer: Signer<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<String>,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    log_indexes: &'a [u64],
}

impl<'a> Finding<'a> {
    fn of(finding: &'a crate::policy::Finding, report: &Report) -> Self {
        let (by, refusal) = match report.policy.judge(finding) {
            Judged::Accepted(by) => (Some(by), None),
            Judged::Refused(refusal) => (None, Some(refusal)),
        };
        Self {
            holder: finding.holder.to_string(),
            way: finding.way,
            layout: finding.layout.map(verify::Layout::name),
            accepted: by.is_some(),
            by,
            code: refusal.as_ref().map(|refusal| refusal.code.name()),
            reason: refusal.map(|refusal| refusal.found),
            signature: finding.proof.as_deref().ok().map(Signature::of),
            claimed: finding.claimed.as_deref().map(|claimed| Claimed {
                signer: Signer::of(&claimed.signer),
                times: claimed.times.iter().map(ToString::to_string).collect(),
                log_indexes: &claimed.log_indexes,
            }),
        }
    }
}

/// What is proven about a signature, whether the policy accepts it or not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature<'a> {
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    signer: Signer<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<Time>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_reference: Option<&'a str>,
}

impl<'a> Signature<'a> {
    fn of(signature: &'a VerifiedSignature) -> Self {
        Self {
            evidence: signature.evidence().to_string(),
            root: signature.root().as_ref().map(Digest::to_string),
            signer: Signer::of(signature.signer()),
            times: signature
                .times()
                .iter()
                .map(|time| Time {
                    time: time.time.to_string(),
                    source: match time.source {
                        TimeSource::LogPromise => "log-promise",
                        TimeSource::Timestamp => "timestamp",
                    },
                })
                .collect(),
            logs: signature
                .logs()
                .iter()
                .map(|entry| Log {
                    log: entry.log.hex(),
                    index: entry.index,
                    evidence: match entry.evidence {
                        LogEvidence::Included => "included",
                        LogEvidence::Promised => "promised",
                    },
                })
                .collect(),
            predicate_type: signature.predicate_type(),
            annotations: signature.annotations().filter(|all| !all.is_empty()),
            docker_reference: signature.docker_reference(),
        }
    }
}

#[derive(Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Signer<'a> {
    Certificate {
        san: Name<'a>,
        issuer: &'a str,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<&'static str, &'a str>,
        certificate: String,
        not_before: String,
        not_after: String,
    },
    Key {
        key_id: String,
    },
}

impl<'a> Signer<'a> {
    fn of(signer: &'a verify::Signer) -> Self {
        match signer {
            verify::Signer::Key(id) => Self::Key {
                key_id: id.to_string(),
            },
            verify::Signer::Certificate {
                identity,
                certificate,
                not_before,
                not_after,
            } => Self::Certificate {
                san: Name::of(&identity.san),
                issuer: &identity.issuer,
                claims: identity
                    .claims
                    .iter()
                    .map(|(claim, value)| (claim.name(), value))
                    .collect(),
                certificate: certificate.to_string(),
                not_before: not_before.to_string(),
                not_after: not_after.to_string(),
            },
        }
    }
}

#[derive(Serialize)]
struct Name<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: &'a str,
}

impl<'a> Name<'a> {
    fn of(san: &'a San) -> Self {
        let kind = match san {
            San::Email(_) => "email",
            San::OtherName(_) => "other-name",
            San::Uri(_) => "uri",
        };
        Self {
            kind,
            value: san.value(),
        }
    }
}

#[derive(Serialize)]
struct Time {
    time: String,
    source: &'static str,
}

#[derive(Serialize)]
struct Log {
    log: String,
    index: u64,
    evidence: &'static str,
}
