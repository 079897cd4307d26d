//! JSON in the shape that `cosign verify --output json` prints, for scripts that read it.
//!
//! A line for each image that is allowed, and none for any other, as cosign prints nothing when it
//! refuses. The elements are the accepted signatures. A legacy signature has its payload with what
//! the certificate says added to `optional` (cosign `cmd/cosign/cli/verify/verify.go`,
//! `PrintVerification`); a bundle has a look-alike of such a payload.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::admit::Report;
use crate::admit::Target;
use crate::model;
use crate::model::Claim;
use crate::model::media_type;
use crate::output::text;
use crate::policy::Demand;
use crate::policy::Judged;
use crate::policy::Outcome;
use crate::verify::Layout;
use crate::verify::Signer;
use crate::verify::VerifiedSignature;

/// The extensions that cosign prints, with its names for them, in Fulcio's arc.
const PRINTED: [(Claim, &str); 5] = [
    (Claim::GithubWorkflowTrigger, "githubWorkflowTrigger"),
    (Claim::GithubWorkflowSha, "githubWorkflowSha"),
    (Claim::GithubWorkflowName, "githubWorkflowName"),
    (Claim::GithubWorkflowRepository, "githubWorkflowRepository"),
    (Claim::GithubWorkflowRef, "githubWorkflowRef"),
];
const ARC: &str = "1.3.6.1.4.1.57264.1";
/// What cosign puts for the type of a legacy payload.
const SIMPLE_SIGNING: &str = "cosign container image signature";

pub(super) fn render(reports: &[Report], to: &mut dyn Write) -> io::Result<()> {
    for report in reports {
        if report.decision.outcome() == Outcome::Allow {
            if matches!(report.policy.demand(), Demand::Attestation { .. })
                && matches!(report.target, Target::Image { .. })
            {
                for signature in accepted(report) {
                    let line = serde_json::to_string(&envelope(signature))?;
                    writeln!(to, "{}", text::json(&line))?;
                }
                continue;
            }
            let line = serde_json::to_string(&elements(report))?;
            writeln!(to, "{}", text::json(&line))?;
        }
    }
    Ok(())
}

#[derive(Deserialize, Serialize)]
struct Element {
    critical: Critical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize, Serialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Serialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Deserialize, Serialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest", alias = "Docker-manifest-digest")]
    docker_manifest_digest: String,
}

/// What `cosign verify` prints about them.
fn elements(report: &Report) -> Vec<Element> {
    let Target::Image { reference, digest } = &report.target else {
        return Vec::new();
    };
    let asked = match digest {
        Some(digest) => reference.pin(*digest).to_string(),
        None => reference.to_string(),
    };
    accepted(report)
        .into_iter()
        .map(|signature| match signature.layout() {
            Layout::LegacySignature => legacy(signature, &asked),
            _ => bundle(signature, &asked),
        })
        .collect()
}

/// Everything that was accepted, each piece of evidence once.
fn accepted(report: &Report) -> Vec<&VerifiedSignature> {
    let evidence = &report.evidence;
    let parent = evidence.parent.as_ref().map(|parent| &parent.subject);
    let mut seen = BTreeSet::new();
    evidence
        .subjects
        .iter()
        .chain(parent)
        .flat_map(|subject| &subject.findings)
        .filter(|finding| matches!(report.policy.judge(finding), Judged::Accepted(_)))
        .filter_map(|finding| finding.proof.as_deref().ok())
        .filter(|signature| seen.insert((signature.evidence(), signature.artifact())))
        .collect()
}

/// The DSSE envelope of an attestation, as `cosign verify-attestation` prints it.
fn envelope(signature: &VerifiedSignature) -> Envelope {
    Envelope {
        payload: STANDARD.encode(signature.payload().unwrap_or_default()),
        payload_type: media_type::IN_TOTO,
        signatures: [EnvelopeSignature {
            sig: STANDARD.encode(signature.signature()),
        }],
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: &'static str,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Serialize)]
struct EnvelopeSignature {
    sig: String,
}

fn bundle(signature: &VerifiedSignature, asked: &str) -> Element {
    Element {
        critical: critical(
            signature,
            asked,
            signature.predicate_type().unwrap_or_default(),
        ),
        // Never null, as cosign 3 prints it.
        optional: Some(signature.annotations().cloned().unwrap_or_default()),
    }
}

fn legacy(signature: &VerifiedSignature, asked: &str) -> Element {
    let payload = signature.payload().unwrap_or_default();
    let named = signature.docker_reference().unwrap_or(asked);
    // The payload was read when it was verified; should this reader be stricter, its facts stay.
    let mut element = crate::model::read_json(payload).unwrap_or_else(|_| Element {
        critical: critical(signature, named, SIMPLE_SIGNING),
        optional: signature.annotations().cloned(),
    });
    if let Signer::Certificate { identity, .. } = signature.signer() {
        let optional = element.optional.get_or_insert_default();
        let mut add = |name: String, value: &str| {
            optional.insert(name, Value::from(value));
        };
        add("Subject".to_owned(), identity.san.value());
        add("Issuer".to_owned(), &identity.issuer);
        add(format!("{ARC}.1"), &identity.issuer);
        for (claim, name) in PRINTED {
            if let Some(value) = identity.claims.get(claim) {
                add(name.to_owned(), value);
                add(format!("{ARC}.{}", claim.arc()), value);
            }
        }
    }
    if let Some(beside) = signature.beside_legacy() {
        let optional = element.optional.get_or_insert_default();
        if let Some(entry) = &beside.entry {
            let bundle = json!({
                "SignedEntryTimestamp": STANDARD.encode(&entry.promise),
                "Payload": {
                    "body": STANDARD.encode(&entry.body),
                    "integratedTime": entry.integrated_time,
                    "logIndex": entry.index,
                    "logID": model::hex(&entry.log_id),
                },
            });
            optional.insert("Bundle".to_owned(), bundle);
        }
        if let Some(response) = &beside.timestamp {
            let timestamp = json!({ "SignedRFC3161Timestamp": STANDARD.encode(response) });
            optional.insert("RFC3161Timestamp".to_owned(), timestamp);
        }
    }
    // Nothing is null in cosign's output, too.
    element.optional = element.optional.filter(|all| !all.is_empty());
    element
}

fn critical(signature: &VerifiedSignature, docker_reference: &str, kind: &str) -> Critical {
    Critical {
        identity: Identity {
            docker_reference: docker_reference.to_owned(),
        },
        image: Image {
            docker_manifest_digest: signature.artifact().to_string(),
        },
        kind: kind.to_owned(),
    }
}
