//! All of what real cosign wrote, asked of archives. `cases.json` says what any correct verifier
//! answers; the tables say for which reason scgate refuses, and what it answers where cosign's answer
//! is a matter of taste or wrong for a gate.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cases;
use super::lab;
use crate::runner::Run;
use crate::runner::scgate;

/// Each case that must fail, and the reason.
const REFUSED: &[(&str, &str)] = &[
    ("annotations+wrong", "annotation-mismatch"),
    ("attest-bundle-rekor1/cyclonedx", "no-attestation"),
    ("attest-bundle-rekor1/index", "no-attestation"),
    ("attest-bundle/cyclonedx", "no-attestation"),
    ("attest-bundle/index", "no-attestation"),
    ("attest-legacy-cosign2+verify-image", "no-signature"),
    ("attest-legacy-cosign2/cyclonedx", "no-attestation"),
    ("attest-legacy-cosign2/index", "no-attestation"),
    ("blob/legacy.cosign.bundle+other-blob", "signature-invalid"),
    ("blob/rekor1.sigstore.json+other-blob", "subject-mismatch"),
    ("blob/rekor2.sigstore.json+other-blob", "subject-mismatch"),
    (
        "bundle-rekor1-fallback+expired-tlog",
        "log-outside-validity",
    ),
    ("bundle-rekor1-fallback+future-tlog", "log-outside-validity"),
    (
        "bundle-rekor2-fallback+asks-other-identity",
        "identity-mismatch",
    ),
    (
        "bundle-rekor2-fallback+asks-other-issuer",
        "issuer-mismatch",
    ),
    (
        "bundle-rekor2-fallback+expired-ca",
        "authority-outside-validity",
    ),
    (
        "bundle-rekor2-fallback+expired-tsa",
        "timestamp-outside-validity",
    ),
    ("bundle-rekor2-fallback+no-tsa", "timestamp-untrusted"),
    ("bundle-rekor2-fallback+other-ca", "certificate-untrusted"),
    ("id-email-dex", "issuer-mismatch"),
    ("id-lookalike-repo", "identity-mismatch"),
    ("id-other-workflow", "identity-mismatch"),
    ("id-pull-request+trigger", "claim-mismatch"),
    ("key-signed+keyless-asked", "signer-kind-mismatch"),
    ("legacy-cosign2+asks-other-identity", "identity-mismatch"),
    ("legacy-cosign2+expired-ca", "authority-outside-validity"),
    ("legacy-cosign2+other-ca", "certificate-untrusted"),
    ("moved-bundle", "subject-mismatch"),
    ("one-arch-only/arm64", "no-signature"),
    ("one-arch-only/index", "no-signature"),
    ("other-ca", "certificate-untrusted"),
    ("tamper-certificate", "log-entry-mismatch"),
    ("tamper-checkpoint", "checkpoint-invalid"),
    ("tamper-legacy-no-rekor", "log-entry-missing"),
    ("tamper-no-proof-rekor1", "log-proof-missing"),
    ("tamper-no-tlog", "log-entry-missing"),
    ("tamper-no-tsa", "time-missing"),
    ("tamper-payload", "signature-invalid"),
    ("tamper-signature", "signature-invalid"),
    ("unsigned", "no-signature"),
];

/// Where scgate has an answer of its own: the case, words that are added to it, the exit code, the
/// reason, and why.
#[rustfmt::skip]
const POLICY: &[(&str, &[&str], i32, &str, &str)] = &[
    ("attest-bundle+verify-image", &[], 1, "no-signature",
     "an attestation never counts as a signature"),
    ("attest-bundle-rekor1+verify-image", &[], 1, "no-signature",
     "an attestation never counts as a signature"),
    ("bundle-rekor2-fallback+future-tlog", &[], 1, "log-outside-validity",
     "a log's key counts in its window, for Rekor v2 by the timestamp"),
    ("bundle-rekor2-fallback+expired-tlog", &[], 1, "log-outside-validity",
     "a log's key counts in its window, for Rekor v2 by the timestamp"),
    ("id-lookalike-repo+unanchored", &[], 1, "identity-mismatch",
     "an expression matches whole identities"),
    ("id-pull-request", &[], 0, "",
     "the identity is the one that was named; which events count is for a claim to say"),
    ("id-pull-request", &["--certificate-build-trigger", "push"], 1, "claim-mismatch",
     "a claim says it"),
    ("id-self-hosted", &[], 0, "",
     "the identity is the one that was named; which runners count is for a claim to say"),
    ("id-self-hosted", &["--certificate-runner-environment", "github-hosted"], 1, "claim-mismatch",
     "a claim says it"),
    ("index-only/amd64", &[], 1, "no-signature",
     "a child needs its own signature"),
    ("index-only/amd64", &["--parent", super::INDEX], 0, "",
     "unless the index that lists it is named and signed"),
    ("index-only/amd64", &["--parent", super::ARM64], 1, "parent-mismatch",
     "and does list it"),
    ("legacy-oci11-experimental+plain", &[], 0, "",
     "every layout is read"),
    ("missing-arch", &[], 0, "",
     "nothing was said about platforms"),
    ("missing-arch", &["--platform", "linux/arm64"], 1, "platform-missing",
     "a platform that was asked for must be there"),
    ("tamper-no-set-rekor1", &[], 0, "",
     "the timestamp proves the time, and the inclusion proof the entry"),
    ("tamper-roothash", &[], 1, "log-proof-invalid",
     "a root hash that is stated must be right"),
];

/// How a case is put to scgate.
fn question(case: &Value, reference: &str) -> Run {
    let text = |member: &str| case[member].as_str().unwrap_or_default();
    let run = scgate(text("verb").split(' '))
        .within(&lab())
        .and(["--output", "json", "--trusted-root", text("trusted_root")])
        .and(words(text("args")));
    if text("verb") != "verify-blob" {
        return run.and(["--layout", text("layout"), reference]);
    }
    let run = run.and(["--bundle", text("file")]);
    match text("blob") {
        "(empty)" => run.and(["-"]),
        blob => run.and([blob]),
    }
}

/// Words as a shell splits them, single quotes being the only quoting that `cases.json` uses.
fn words(line: &str) -> Vec<String> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches('\'').to_owned())
        .collect()
}

#[test]
fn recorded_cases_get_the_recorded_verdicts_and_the_right_reasons() {
    let cases = cases();
    assert_eq!(cases.len(), 99);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let full = format!(
            "{}@{}",
            case["repository"].as_str().unwrap_or_default(),
            case["digest"].as_str().unwrap_or_default()
        );
        let reason = REFUSED.iter().find(|(refused, _)| *refused == name);
        let expected = match case["expect"].as_str().unwrap() {
            "pass" => (0, Vec::new()),
            "fail" => (
                1,
                reason
                    .map(|(_, code)| vec![(*code).to_owned()])
                    .unwrap_or_default(),
            ),
            "policy" => continue,
            other => panic!("{name}: {other}"),
        };
        for reference in [full.as_str(), case["digest"].as_str().unwrap_or_default()] {
            let said = question(case, reference).run();
            if (said.code, said.codes()) != (Some(expected.0), expected.1.clone()) {
                wrong.push(format!(
                    "{name}: expected {expected:?}, got {:?}\n{said}",
                    said.codes()
                ));
            }
        }
    }
    let must_fail = cases.iter().filter(|case| case["expect"] == "fail");
    assert_eq!(
        must_fail
            .map(|case| case["name"].as_str().unwrap())
            .collect::<BTreeSet<_>>(),
        REFUSED.iter().map(|(name, _)| *name).collect(),
    );
    assert!(
        wrong.is_empty(),
        "{} cases\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn where_cosign_is_lax_or_silent_the_answer_is_scgates_own() {
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, added, exit, code, why) in POLICY {
        let case = cases.iter().find(|case| case["name"] == *name).unwrap();
        let digest = case["digest"].as_str().unwrap();
        let said = question(case, digest).and(*added).run();
        let codes: Vec<_> = Some((*code).to_owned())
            .filter(|code| !code.is_empty())
            .into_iter()
            .collect();
        if (said.code, said.codes()) != (Some(*exit), codes) {
            wrong.push(format!(
                "{name} {added:?} ({why}): expected {exit} {code}\n{said}"
            ));
        }
    }
    let policy = cases.iter().filter(|case| case["expect"] == "policy");
    assert_eq!(
        policy
            .map(|case| case["name"].as_str().unwrap())
            .collect::<BTreeSet<_>>(),
        POLICY.iter().map(|(name, ..)| *name).collect(),
    );
    assert!(
        wrong.is_empty(),
        "{} cases\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
