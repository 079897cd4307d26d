//! Predicates: what real tools write, under the right type and under every other.
//!
//! The samples lie beside the checkout, in `../shared/samples`. Where they are absent the test says
//! so and proves nothing.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::sign::Predicate;
use scgate::sign::PredicateError;
use scgate::sign::PredicateType;
use serde_json::Value;

const CYCLONEDX: &str = "its type is `cyclonedx`";
const SPDX: &str = "its type is `spdxjson`";
const TRIVY: &str = "trivy image --format cosign-vuln";

/// Files of a folder whose names have an ending, the type that they are of, and what a refusal under
/// each other type says.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("evidence-lab/sbom", ".cdx14.json", "cyclonedx", CYCLONEDX),
    ("evidence-lab/sbom", ".cdx16.json", "cyclonedx", CYCLONEDX),
    ("evidence-lab/sbom", ".cdx17.json", "cyclonedx", CYCLONEDX),
    ("evidence-lab/sbom", ".spdx22.json", "spdxjson", SPDX),
    ("evidence-lab/sbom", ".spdx23.json", "spdxjson", SPDX),
    ("evidence-lab/sbom", ".spdx30.json", "spdxjson", SPDX),
    ("evidence-lab/formats", ".cdx.json", "cyclonedx", CYCLONEDX),
    ("evidence-lab/formats", ".spdx.json", "spdxjson", SPDX),
    (
        "evidence-lab/formats",
        ".cosign-vuln.json",
        "vuln",
        "its type is `vuln`",
    ),
    (
        "evidence-lab/formats",
        ".github.json",
        "",
        "a dependency snapshot for GitHub",
    ),
    ("evidence-lab/formats", ".sarif", "", "a SARIF report"),
    (
        "evidence-lab/reports",
        "64.json",
        "",
        "a plain Trivy report",
    ),
    ("evidence-lab/reports", "s.json", "", "a plain Trivy report"),
    (
        "evidence-lab/inputs",
        ".openvex.json",
        "openvex",
        "its type is `openvex`",
    ),
    ("evidence-lab/inputs", ".csaf.json", "", "a CSAF advisory"),
    ("evidence/sbom", ".cdx17.golden", "cyclonedx", CYCLONEDX),
    (
        "evidence/sbom",
        "cyclonedx-1.7.json",
        "cyclonedx",
        CYCLONEDX,
    ),
    ("evidence/sbom", ".spdx22.json", "spdxjson", SPDX),
    ("evidence/sbom", ".spdx23.json", "spdxjson", SPDX),
    ("evidence/sbom", ".spdx23.golden", "spdxjson", SPDX),
    ("evidence/sbom", ".spdx30.json", "spdxjson", SPDX),
    ("evidence/slsa", ".jsonl", "", "a DSSE envelope"),
    ("evidence/slsa", "att.json", "", "a DSSE envelope"),
    ("evidence/slsa", ".sigstore.json", "", "a Sigstore bundle"),
    ("evidence/trivy", ".json.golden", "", "a plain Trivy report"),
    ("evidence/trivy", ".sarif.golden", "", "a SARIF report"),
    (
        "evidence/vex",
        "vex.json",
        "openvex",
        "its type is `openvex`",
    ),
    (
        "evidence/vex",
        ".0.json",
        "openvex",
        "its type is `openvex`",
    ),
    ("evidence/vex", "csaf.json", "", "a CSAF advisory"),
    // A scan whose result is null says nothing.
    ("evidence/vuln", "cosign-vuln-predicate.json", "", ""),
    (
        "evidence/vuln",
        "intoto-vulns-v02.json",
        "",
        "a whole in-toto statement",
    ),
];

/// The types that are JSON, and one of its own.
const TYPES: &[&str] = &[
    "cyclonedx",
    "link",
    "openvex",
    "slsaprovenance",
    "slsaprovenance1",
    "spdxjson",
    "vsa",
    "vuln",
];

fn samples() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    if path.is_dir() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
    {
        eprintln!("SKIPPED: {} is not there; nothing was read", path.display());
    }
    None
}

fn given(kind: &str, file: &[u8]) -> Result<Predicate, PredicateError> {
    let kind = PredicateType::parse(kind).unwrap();
    let now = Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
    Predicate::parse(kind, file.to_vec(), now, &Limits::default())
}

#[test]
fn what_tools_write_is_accepted_under_its_own_type_alone() {
    let Some(samples) = samples() else { return };
    let mut seen = 0;
    for (folder, ending, own, words) in ROWS {
        let mut matched = 0;
        for entry in fs::read_dir(samples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.ends_with(ending) || name.contains("trivyignore") {
                continue;
            }
            matched += 1;
            let file = fs::read(&path).unwrap();
            for kind in TYPES {
                let made = given(kind, &file);
                if kind == own {
                    let made = made.unwrap_or_else(|error| panic!("{name} as {kind}: {error}"));
                    assert_eq!(made.json(), file, "{name}");
                    continue;
                }
                let error = made.err().unwrap_or_else(|| panic!("{name} as {kind}"));
                assert_eq!(error.code(), DenyCode::PredicateMalformed);
                assert!(
                    error.to_string().contains(words),
                    "{name} as {kind}: {error}"
                );
            }
            let error = given("spdx", &file).unwrap_err();
            assert!(error.to_string().contains(words), "{name} as spdx: {error}");
        }
        assert!(matched > 0, "{folder} has no file that ends in {ending}");
        seen += matched;
    }
    assert!(seen > 70, "only {seen} files");
}

#[test]
fn provenance_out_of_signed_statements_is_accepted() {
    let Some(samples) = samples() else { return };
    let types = [
        ("https://slsa.dev/provenance/v0.2", "slsaprovenance"),
        ("https://slsa.dev/provenance/v1", "slsaprovenance1"),
    ];
    let mut seen = [0; 2];
    for entry in fs::read_dir(samples.join("evidence/slsa")).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::read(&path).unwrap();
        for document in serde_json::Deserializer::from_slice(&file).into_iter::<Value>() {
            let document = document.unwrap();
            let envelope = document.get("dsseEnvelope").unwrap_or(&document);
            let payload = STANDARD.decode(envelope["payload"].as_str().unwrap());
            let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
            let kind = statement["predicateType"].as_str().unwrap();
            let at = types.iter().position(|(uri, _)| *uri == kind).unwrap();
            let predicate = statement["predicate"].to_string();
            for (other, (_, name)) in types.iter().enumerate() {
                let made = given(name, predicate.as_bytes());
                assert_eq!(made.is_ok(), other == at, "{}: {made:?}", path.display());
            }
            seen[at] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_plain_report_never_becomes_an_empty_attestation() {
    let Some(samples) = samples() else { return };
    let read = |path: &str| fs::read(samples.join("evidence-lab").join(path)).unwrap();
    let report = read("reports/legacy-amd64.json");
    let error = given("vuln", &report).unwrap_err().to_string();
    assert!(error.contains(TRIVY), "{error}");
    // The twin, which holds the same report.
    let file = read("formats/legacy-amd64--fmt-cosign-vuln.cosign-vuln.json");
    let made = given("vuln", &file).unwrap();
    let digest = Digest::sha256(b"image");
    let statement = made.statement(&[(Some("acme.test/legacy"), digest)], &Default::default());
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let expected: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(statement["predicate"], expected);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.hex());
    // What tools get wrong about JSON is refused as well.
    let text = String::from_utf8(file).unwrap();
    let cut = text.get(..text.len() - 10).unwrap();
    let twice = text.replacen('{', "{\"scanner\":{},", 1);
    for bad in [cut, &twice, &format!("{text}{text}")] {
        let error = given("vuln", bad.as_bytes()).unwrap_err();
        assert!(matches!(error, PredicateError::Json { .. }), "{error}");
    }
}

#[test]
fn what_cosign_attested_is_what_would_be_attested() {
    // The statement of real cosign, taken apart and put together again.
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cosign-lab");
    let said = crate::runner::scgate([
        "verify-attestation",
        "--layout=attest-bundle.tar",
        super::cli::AMD64,
        "--type=vuln",
        "--trusted-root=trusted_root.json",
        "--certificate-identity",
        super::cli::IDENTITY,
        "--certificate-oidc-issuer",
        super::cli::ISSUER,
    ])
    .within(&lab)
    .exits(0);
    let statement: Value = serde_json::from_str(said.stdout.lines().next().unwrap()).unwrap();
    let predicate = statement["predicate"].to_string();
    let made = given("vuln", predicate.as_bytes()).unwrap();
    let subject = &statement["subject"][0];
    let digest = format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap());
    let digest = Digest::parse(&digest).unwrap();
    let own = made.statement(&[(subject["name"].as_str(), digest)], &Default::default());
    let own: Value = serde_json::from_slice(&own).unwrap();
    assert_eq!(own, statement);
}
