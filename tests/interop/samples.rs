//! Every registry case of the sample set that real cosign made, asked again of both programs from a
//! real registry.
//!
//! cosign's recorded exit code has to come again: that proves the samples are served as they were,
//! so that a refusal by scgate is a refusal of the evidence and not of a broken copy. Then `expect`
//! of `cases.json` is what scgate has to say. Cases that `cases.json` calls `policy` are asked of
//! cosign alone: scgate's own answers to them are tested without peers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::layout::Layout;
use crate::peers::Asked;
use crate::peers::Listing;
use crate::peers::Registry;
use crate::peers::Ring;
use crate::peers::Verdict;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cosign-lab");

/// Cases that are not put to cosign, each with its reason.
const NOT_FOR_COSIGN: &[(&str, &str)] = &[(
    "tamper-legacy-no-rekor",
    "cosign asks the public log in spite of the trusted root",
)];

/// The codes of which scgate's refusal of a case has to name one: a row for each `fail`, and none
/// besides.
const CODES: &[(&str, &[&str])] = &[
    ("annotations+wrong", &["annotation-mismatch"]),
    (
        "attest-bundle-rekor1/cyclonedx",
        &["no-attestation", "predicate-type-mismatch"],
    ),
    ("attest-bundle-rekor1/index", &["no-attestation"]),
    (
        "attest-bundle/cyclonedx",
        &["no-attestation", "predicate-type-mismatch"],
    ),
    ("attest-bundle/index", &["no-attestation"]),
    (
        "attest-legacy-cosign2+verify-image",
        &["evidence-kind-mismatch", "no-signature"],
    ),
    (
        "attest-legacy-cosign2/cyclonedx",
        &["no-attestation", "predicate-type-mismatch"],
    ),
    ("attest-legacy-cosign2/index", &["no-attestation"]),
    (
        "bundle-rekor1-fallback+expired-tlog",
        &["log-outside-validity"],
    ),
    (
        "bundle-rekor1-fallback+future-tlog",
        &["log-outside-validity"],
    ),
    (
        "bundle-rekor2-fallback+asks-other-identity",
        &["identity-mismatch"],
    ),
    (
        "bundle-rekor2-fallback+asks-other-issuer",
        &["issuer-mismatch"],
    ),
    (
        "bundle-rekor2-fallback+expired-ca",
        &["authority-outside-validity"],
    ),
    (
        "bundle-rekor2-fallback+expired-tsa",
        &["timestamp-outside-validity"],
    ),
    ("bundle-rekor2-fallback+no-tsa", &["timestamp-untrusted"]),
    (
        "bundle-rekor2-fallback+other-ca",
        &["certificate-untrusted"],
    ),
    ("id-email-dex", &["identity-mismatch", "issuer-mismatch"]),
    ("id-lookalike-repo", &["identity-mismatch"]),
    ("id-other-workflow", &["identity-mismatch"]),
    ("id-pull-request+trigger", &["claim-mismatch"]),
    ("key-signed+keyless-asked", &["signer-kind-mismatch"]),
    ("legacy-cosign2+asks-other-identity", &["identity-mismatch"]),
    ("legacy-cosign2+expired-ca", &["authority-outside-validity"]),
    ("legacy-cosign2+other-ca", &["certificate-untrusted"]),
    (
        "moved-bundle",
        &["referrer-subject-mismatch", "subject-mismatch"],
    ),
    ("one-arch-only/arm64", &["no-signature"]),
    ("one-arch-only/index", &["no-signature"]),
    ("other-ca", &["certificate-untrusted"]),
    (
        "tamper-certificate",
        &[
            "certificate-untrusted",
            "log-entry-mismatch",
            "log-proof-invalid",
        ],
    ),
    ("tamper-checkpoint", &["checkpoint-invalid"]),
    ("tamper-legacy-no-rekor", &["log-entry-missing"]),
    ("tamper-no-proof-rekor1", &["log-proof-missing"]),
    ("tamper-no-tlog", &["log-entry-missing"]),
    ("tamper-no-tsa", &["time-missing"]),
    (
        "tamper-payload",
        &[
            "log-entry-mismatch",
            "log-proof-invalid",
            "signature-invalid",
        ],
    ),
    (
        "tamper-signature",
        &[
            "log-entry-mismatch",
            "log-proof-invalid",
            "signature-invalid",
        ],
    ),
    ("unsigned", &["no-signature"]),
];

#[test]
fn recorded_cases_get_the_recorded_verdicts_from_a_real_registry() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let samples = Path::new(SAMPLES);
    let cases = fs::read(samples.join("cases.json")).expect("testdata/cosign-lab is here");
    let cases: Vec<Value> = serde_json::from_slice(&cases).expect("cases.json is a JSON array");
    let shelf = Shelf::fill(&ring, samples, &cases);
    let mut asked = 0;
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.get("layout").is_some()) {
        let name = text(case, "name");
        asked += 1;
        if NOT_FOR_COSIGN.iter().all(|(left_out, _)| *left_out != name) {
            let recorded = case.pointer("/cosign_3.1.3/exit").and_then(Value::as_i64);
            let answer = ring.cosign_in(samples, &shelf.question(case));
            if answer.exit.map(i64::from) != recorded {
                wrong.push(format!(
                    "{name}: cosign's recorded exit was {recorded:?}\n{answer}"
                ));
            }
        }
        let verdict = match text(case, "expect") {
            "pass" => Verdict::Yes,
            "fail" => Verdict::No,
            "policy" => continue,
            other => panic!("{name}: expect is {other:?}"),
        };
        let mut question = shelf.question(case);
        question.extend(["--output".to_owned(), "json".to_owned()]);
        let answer = ring.scgate_in(samples, &question);
        let codes = CODES
            .iter()
            .find(|(case, _)| *case == name)
            .map_or(&[][..], |(_, codes)| codes);
        if !answer.says(verdict, Asked::Scgate) || !answer.names_one_of(codes) {
            wrong.push(format!("{name}: expected {verdict:?} {codes:?}\n{answer}"));
        }
    }
    assert!(asked > 0, "cases.json has no case for a registry");
    let refused = cases
        .iter()
        .filter(|case| case.get("layout").is_some() && text(case, "expect") == "fail")
        .map(|case| text(case, "name"));
    let rows = CODES.iter().map(|(name, _)| *name);
    assert_eq!(
        refused.collect::<BTreeSet<_>>(),
        rows.collect(),
        "the table of codes"
    );
    assert!(
        wrong.is_empty(),
        "{} of {asked} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The two registries that hold the samples: each repository in the kind of registry it was made
/// in.
struct Shelf {
    fallback: Registry,
    referrers: Registry,
}

impl Shelf {
    fn fill(ring: &Ring, samples: &Path, cases: &[Value]) -> Self {
        let shelf = Self {
            fallback: ring.registry(Listing::FallbackTag),
            referrers: ring.registry(Listing::Referrers),
        };
        let layouts: BTreeMap<&str, &str> = cases
            .iter()
            .filter(|case| case.get("layout").is_some())
            .map(|case| (text(case, "layout"), repository(case)))
            .collect();
        for (file, repository) in layouts {
            Layout::read(&samples.join(file)).serve(shelf.address(file), repository);
        }
        shelf
    }

    /// As the README of the samples says: by the layout's name.
    fn address(&self, layout: &str) -> &str {
        if layout.ends_with("-referrers.tar") || layout.starts_with("legacy-oci11-") {
            &self.referrers.address
        } else {
            &self.fallback.address
        }
    }

    /// The words after the program's name: the same for cosign and scgate.
    fn question(&self, case: &Value) -> Vec<String> {
        let mut words = split(text(case, "verb"));
        words.push("--allow-http-registry".to_owned());
        words.extend([
            "--trusted-root".to_owned(),
            text(case, "trusted_root").to_owned(),
        ]);
        words.extend(split(text(case, "args")));
        let address = self.address(text(case, "layout"));
        words.push(format!(
            "{address}/{}@{}",
            repository(case),
            text(case, "digest")
        ));
        words
    }
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case.get(member)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("a case without `{member}`: {case}"))
}

/// The repository without the host and port that it was recorded under.
fn repository(case: &Value) -> &str {
    text(case, "repository")
        .split_once('/')
        .expect("a repository has a host")
        .1
}

/// Words as a shell splits them, single quotes being the only quoting that `cases.json` uses.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn quoted_words_stay_whole() {
    assert_eq!(split("-a 'b c' d"), ["-a", "b c", "d"]);
}
