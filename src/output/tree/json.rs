//! The JSON of a tree, version 1, as `docs/tree-json.md` describes it.
//!
//! INVARIANT: within version 1 members are added and never renamed, removed or given another
//! meaning. What a thing cannot have is absent, never empty.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;

use serde::Serialize;

use crate::admit::Target;
use crate::model::Digest;
use crate::model::San;
use crate::output::text;
use crate::output::tree;
use crate::output::tree::NOT_A_VERDICT;
use crate::output::tree::Tree;
use crate::output::tree::What;
use crate::policy::Role;
use crate::verify;
use crate::verify::TimeSource;

/// The version that a document states.
const VERSION: u32 = 1;

pub(super) fn render(trees: &[Tree<'_>], to: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        kind: "tree",
        note: NOT_A_VERDICT,
        tool: Tool {
            name: "scgate",
            version: env!("CARGO_PKG_VERSION"),
        },
        trees: trees.iter().map(Entry::of).collect(),
    };
    let document = serde_json::to_string_pretty(&document)?;
    writeln!(to, "{}", text::json(&document))
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    kind: &'static str,
    note: &'static str,
    tool: Tool,
    trees: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    reference: String,
    /// Absent where not even that could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    now: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    relaxed: &'a [&'static str],
    /// Whether everything could be read.
    whole: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<Manifest<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

/// Something odd about the image.
#[derive(Serialize)]
struct Warning {
    name: &'static str,
    text: String,
}

impl<'a> Entry<'a> {
    fn of(tree: &'a Tree<'a>) -> Self {
        let report = tree.report;
        let evidence = &report.evidence;
        Self {
            reference: match &report.target {
                Target::File { name, .. } => name.clone(),
                Target::Image { reference, .. } => reference.to_string(),
            },
            digest: report.target.digest().as_ref().map(Digest::to_string),
            now: report.now.to_string(),
            as_of: report.policy.at().map(|at| at.to_string()),
            root: report.root.as_ref().map(Digest::to_string),
            relaxed: &report.relaxed,
            whole: tree.gap().is_none(),
            manifests: tree
                .rows()
                .map(|(subject, manifest)| Manifest::of(tree, subject, manifest))
                .collect(),
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    digest: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    whole: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacks: Vec<Lack>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap<'a>>,
    not_examined: usize,
}

/// What others have and this manifest has not: certain where it is whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lack {
    what: String,
    had_by: Vec<String>,
}

impl<'a> Manifest<'a> {
    fn of(tree: &Tree<'a>, subject: &'a crate::policy::Subject, manifest: &tree::Manifest) -> Self {
        let (role, platform) = match &subject.role {
            Role::Attestation => ("attestation", None),
            Role::Image(platform) => ("image", platform.as_ref()),
            Role::Index => ("index", None),
            Role::Other => ("other", None),
            Role::Unread => ("unread", None),
        };
        let subjects = &tree.report.evidence.subjects;
        let digest = |at: &usize| Some(subjects.get(*at)?.digest.to_string());
        Self {
            digest: subject.digest.to_string(),
            role,
            platform: platform.map(ToString::to_string),
            whole: manifest.whole,
            evidence: tree
                .evidence(subject)
                .into_iter()
                .map(|finding| Evidence::of(tree, finding))
                .collect(),
            has: manifest.has.iter().map(tree::Kind::name).collect(),
            lacks: manifest
                .lacks
                .iter()
                .map(|lack| Lack {
                    what: lack.kind.name(),
                    had_by: lack.had_by.iter().filter_map(digest).collect(),
                })
                .collect(),
            gaps: subject
                .gaps
                .iter()
                .chain(&subject.unread)
                .map(Gap::of)
                .collect(),
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
            outcome: match gap.code.outcome() {
                crate::model::Outcome::Deny => "deny",
                crate::model::Outcome::Undecided => "undecided",
            },
            found: &gap.found,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence<'a> {
    what: &'static str,
    /// The short name of the predicate type, where it has one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<&'a str>,
    holder: String,
    way: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'static str>,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Absent where the signature itself does not hold: then nothing is known about it.
    #[serde(flatten)]
    proven: Option<Proven<'a>>,
    /// What evidence that does not hold says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_to_be: Option<Claimed<'a>>,
}

impl<'a> Evidence<'a> {
    fn of(tree: &Tree<'_>, finding: &'a crate::policy::Finding) -> Self {
        let what = What::of(finding);
        let predicate_type = match what {
            What::Attestation(found) => found,
            _ => None,
        };
        let refusal = tree.holds(finding).err();
        Self {
            what: what.name(),
            kind: predicate_type.map(tree::short),
            predicate_type,
            holder: finding.holder.to_string(),
            way: finding.way,
            layout: finding.layout.map(verify::Layout::name),
            valid: refusal.is_none(),
            code: refusal.as_ref().map(|refusal| refusal.code.name()),
            reason: refusal.map(|refusal| refusal.found),
            proven: finding.proof.as_deref().ok().map(|signature| Proven {
                evidence: signature.evidence().to_string(),
                signer: Signer::of(signature.signer()),
                times: signature.times().iter().map(Time::of).collect(),
                annotations: signature.annotations().filter(|all| !all.is_empty()),
            }),
            claims_to_be: finding.claimed.as_deref().map(|claimed| Claimed {
                signer: Signer::of(&claimed.signer),
                times: claimed.times.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// What is proven about a signature.
#[derive(Serialize)]
struct Proven<'a> {
    evidence: String,
    signer: Signer<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct Claimed<'a> {
    signer: Signer<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<String>,
}

#[derive(Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Signer<'a> {
    Certificate { san: Name<'a>, issuer: &'a str },
    Key { key_id: String },
}

impl<'a> Signer<'a> {
    fn of(signer: &'a verify::Signer) -> Self {
        match signer {
            verify::Signer::Key(id) => Self::Key {
                key_id: id.to_string(),
            },
            verify::Signer::Certificate { identity, .. } => Self::Certificate {
                san: Name {
                    kind: match &identity.san {
                        San::Email(_) => "email",
                        San::OtherName(_) => "other-name",
                        San::Uri(_) => "uri",
                    },
                    value: identity.san.value(),
                },
                issuer: &identity.issuer,
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

#[derive(Serialize)]
struct Time {
    time: String,
    source: &'static str,
}

impl Time {
    fn of(time: &verify::AuthenticatedTime) -> Self {
        Self {
            time: time.time.to_string(),
            source: match time.source {
                TimeSource::LogPromise => "log-promise",
                TimeSource::Timestamp => "timestamp",
            },
        }
    }
}
