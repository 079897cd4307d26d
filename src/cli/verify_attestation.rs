//! `scgate verify-attestation`: is there an attestation of this type, and what does it say?

use std::collections::BTreeSet;

use crate::admit::Report;
use crate::admit::Thoroughness;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::answer::write_data;
use crate::cli::gate::Asked;
use crate::cli::gate::admit;
use crate::cli::identity::IdentityFlags;
use crate::cli::refused::CompatibleFlags;
use crate::cli::source::ImageFlags;
use crate::cli::trust::TrustFlags;
use crate::policy::Decision;
use crate::policy::Demand;
use crate::policy::Judged;
use crate::policy::Subject;

/// cosign's short names (`--type` of `cosign attest`), with their predicate types.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

/// Is there an attestation of this type by whom it must be? Prints what it says.
///
/// Every accepted statement goes to stdout, one JSON document a line, when all references are
/// allowed; the verdict goes to stderr. With `--output` the report goes to stdout instead.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyAttestation {
    #[command(flatten)]
    predicate: PredicateFlags,

    #[command(flatten)]
    images: ImageFlags,

    #[command(flatten)]
    identity: IdentityFlags,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,

    #[command(flatten)]
    compatible: CompatibleFlags,
}

/// What an attestation must say.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What must have been signed")]
pub(super) struct PredicateFlags {
    /// The predicate type: custom, cyclonedx, link, openvex, slsaprovenance, slsaprovenance02,
    /// slsaprovenance1, spdx, spdxjson, vuln, or a URI. Repeated, any of them will do.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    types: Vec<String>,
}

impl PredicateFlags {
    /// The demand for such an attestation.
    pub(super) fn demand(&self) -> Result<Demand, UsageError> {
        let resolve = |text: &String| {
            let named = SHORT_NAMES.iter().find(|(name, _)| name == text);
            match named {
                Some((_, uri)) => Ok((*uri).to_owned()),
                None if text.split_once(':').is_some_and(|(scheme, rest)| {
                    !scheme.is_empty() && !rest.is_empty() && !text.contains(char::is_whitespace)
                }) =>
                {
                    Ok(text.clone())
                }
                None => Err(UsageError::Value {
                    flag: "--type",
                    value: crate::model::printable(text),
                    expected: "a type is a URI or one of custom, cyclonedx, link, openvex, \
                               slsaprovenance, slsaprovenance02, slsaprovenance1, spdx, spdxjson, \
                               vuln",
                }),
            }
        };
        let mut predicate_types = Vec::new();
        for text in &self.types {
            // Two names may mean one type.
            let uri = resolve(text)?;
            if !predicate_types.contains(&uri) {
                predicate_types.push(uri);
            }
        }
        Ok(Demand::Attestation { predicate_types })
    }
}

impl VerifyAttestation {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.compatible.honour()?;
        let asked = Asked {
            images: &self.images,
            identity: &self.identity,
            trust: &self.trust,
        };
        let (gate, question, grounds) = asked.prepare(
            self.predicate.demand()?,
            Vec::new(),
            // All that is accepted is printed, not only what came first.
            Thoroughness::EverythingAsked,
        )?;
        let answers = self.output.open(None, &asked.files())?;
        let reports = admit(&gate, &question, &grounds, self.images.registry.timeout)?;
        let takes_stdout = answers.take_stdout();
        let outcome = answers.write(&reports);
        if takes_stdout || outcome != Outcome::Allowed {
            return Ok(outcome);
        }
        Ok(write_data(&statements(&reports)))
    }
}

/// The statements that were accepted, each once, one a line.
fn statements(reports: &[Report]) -> Vec<Vec<u8>> {
    let mut written = BTreeSet::new();
    let mut lines = Vec::new();
    for report in reports {
        let Decision::Allow(proven) = &report.decision else {
            continue;
        };
        for proof in proven {
            let about = |subject: &&Subject| {
                subject.digest == proof.through_parent.unwrap_or(proof.subject)
            };
            let parent = report.evidence.parent.as_ref().map(|p| &p.subject);
            let mut subjects = report.evidence.subjects.iter().chain(parent);
            let findings = subjects.find(about).map_or(&[][..], |s| &s.findings);
            for finding in findings {
                let (Judged::Accepted(_), Ok(signature)) =
                    (report.policy.judge(finding), &finding.proof)
                else {
                    continue;
                };
                if let Some(payload) = signature.payload()
                    && written.insert(signature.evidence())
                {
                    lines.push(on_one_line(payload));
                }
            }
        }
    }
    lines
}

/// JSON without the white space between its tokens, when it has line breaks.
fn on_one_line(json: &[u8]) -> Vec<u8> {
    if !json.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return json.to_vec();
    }
    let mut line = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        if !in_string && byte.is_ascii_whitespace() {
            continue;
        }
        line.push(*byte);
        match byte {
            b'"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *byte == b'\\' && !escaped;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_one_line_and_says_the_same() {
        for (json, line) in [
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            ("{\n \"a b\": [1,\r\n 2] }", r#"{"a b":[1,2]}"#),
            ("{\n\"a\\\"\\\\\": \" \\\\\" }", "{\"a\\\"\\\\\":\" \\\\\"}"),
        ] {
            assert_eq!(
                String::from_utf8(on_one_line(json.as_bytes())).as_deref(),
                Ok(line)
            );
        }
    }
}
