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
use crate::sign::PredicateType;

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
    /// slsaprovenance1, spdx, spdxjson, vsa, vuln, or a URI. Repeated, any of them will do.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    types: Vec<String>,
}

impl PredicateFlags {
    /// The demand for such an attestation.
    pub(super) fn demand(&self) -> Result<Demand, UsageError> {
        let mut predicate_types = Vec::new();
        for text in &self.types {
            let kind = PredicateType::parse(text).map_err(|_| UsageError::Value {
                flag: "--type",
                value: crate::model::printable(text),
                expected: "a type is a URI or one of custom, cyclonedx, link, openvex, \
                           slsaprovenance, slsaprovenance02, slsaprovenance1, spdx, spdxjson, \
                           vsa, vuln",
            })?;
            // Two names may mean one type.
            if !predicate_types.iter().any(|known| known == kind.uri()) {
                predicate_types.push(kind.uri().to_owned());
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
        let reports = admit(
            &gate,
            &question,
            &grounds,
            self.images.place.registry.timeout,
        )?;
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
