//! The public Sigstore conformance suite: every folder by file and by digest, each refusal with the
//! reason that its README names.
//!
//! The suite's data lies beside the checkout, in `../shared/samples/conformance`. Where it is absent
//! this test says so and proves nothing; the project's own mutations cover the same checks.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::policy::Covers;
use scgate::policy::Demand;
use scgate::policy::Pattern;
use scgate::policy::Policy;
use scgate::policy::Rules;
use scgate::policy::SignedTimestamp;
use scgate::policy::Signer;
use scgate::policy::Who;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;

/// What each `_fail` folder is refused for. `trust-root` means that the root does not load.
const REASONS: &[(&str, &str)] = &[
    (
        "bundle-empty-certificate-chain_fail",
        "bundle-certificate-chain",
    ),
    // Every part of it belongs to another instance; the log is the first that is looked up.
    ("bundle-from-wrong-instance_fail", "log-unknown"),
    (
        "bundle-invalid-base64-signature_fail",
        "signature-malformed",
    ),
    ("bundle-malformed-json_fail", "bundle-malformed"),
    ("bundle-unknown-version_fail", "bundle-version-unsupported"),
    ("checkpoint-wrong-roothash_fail", "checkpoint-mismatch"),
    ("dsse-invalid-sig_fail", "signature-invalid"),
    ("dsse-mismatch-envelope_fail", "log-entry-mismatch"),
    ("incorrect-public-key_fail", "log-entry-mismatch"),
    (
        "integrated-time-in-future_fail",
        "certificate-outside-validity",
    ),
    (
        "intoto-expired-certificate_fail",
        "certificate-outside-validity",
    ),
    ("intoto-log-entry-mismatch_fail", "log-entry-mismatch"),
    ("intoto-missing-inclusion-proof_fail", "log-proof-missing"),
    ("invalid-checkpoint-signature_fail", "checkpoint-invalid"),
    ("invalid-inclusion-proof_fail", "log-proof-invalid"),
    ("managed-key-no-key_fail", "signer-kind-mismatch"),
    (
        "rekor2-checkpoint-missing-log-signature_fail",
        "checkpoint-malformed",
    ),
    (
        "rekor2-checkpoint-missing-origin_fail",
        "checkpoint-malformed",
    ),
    (
        "rekor2-checkpoint-missing-root-hash_fail",
        "checkpoint-malformed",
    ),
    (
        "rekor2-checkpoint-no-matching-signature_fail",
        "checkpoint-invalid",
    ),
    ("rekor2-dsse-invalid-sig_fail", "signature-invalid"),
    ("rekor2-dsse-mismatch-sig_fail", "log-entry-mismatch"),
    ("rekor2-no-inclusion-proof_fail", "log-proof-missing"),
    ("rekor2-no-timestamp_fail", "time-missing"),
    (
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail",
        "timestamp-outside-validity",
    ),
    (
        "rekor2-timestamp-outside-tsa-cert-validity_fail",
        "timestamp-outside-validity",
    ),
    (
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail",
        "timestamp-untrusted",
    ),
    (
        "rekor2-timestamp-with-incorrect-time_fail",
        "certificate-outside-validity",
    ),
    ("set-invalid-signature_fail", "log-promise-invalid"),
    ("signature-mismatch_fail", "signature-invalid"),
    ("trust-root-tlog-missing-validity-start_fail", "trust-root"),
    // The signature is another one than the logged one, over the very artifact.
    ("wrong-hashedrekord-artifact_fail", "log-entry-mismatch"),
    ("wrong-hashedrekord-entry_fail", "log-entry-mismatch"),
    ("wrong-material_fail", "subject-mismatch"),
];

/// Folders that are answered otherwise than the suite says, with the reason. None.
const EXCEPTIONS: &[(&str, &str)] = &[];

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn suite() -> Option<PathBuf> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/conformance");
    if suite.is_dir() {
        return Some(suite);
    }
    eprintln!(
        "SKIPPED: the conformance suite is not at {}",
        suite.display()
    );
    None
}

/// The verdict about one folder: `accept`, or the code of the refusal.
fn verdict(folder: &Path, by_digest: bool) -> String {
    let limits = Limits::default();
    let now = Timestamp::from(std::time::SystemTime::now());
    let common = folder.parent().unwrap();
    let read = |own: &str, shared: &str| {
        fs::read(folder.join(own))
            .or_else(|_| fs::read(common.join(shared)))
            .unwrap()
    };
    let root = read("trusted_root.json", "public_good_trusted_root.json");
    let Ok(root) = TrustRoot::parse(&root, &limits) else {
        return "trust-root".to_owned();
    };
    let key = fs::read(folder.join("key.pub")).ok();
    let key = key.map(|pem| ManagedKey::parse(&pem, &limits).unwrap());
    let artifact = read("artifact", "a.txt");
    let artifact = if by_digest {
        Artifact::Digest(Digest::sha256(&artifact))
    } else {
        Artifact::Bytes(&artifact)
    };
    let trust = match &key {
        Some(key) => Trust::Key(key, Some(&root)),
        None => Trust::Root(&root),
    };
    let bundle = fs::read(folder.join("bundle.sigstore.json")).unwrap();
    let signature = match Bundle::parse(&bundle, &limits)
        .and_then(|bundle| verify(&bundle, artifact, trust, Terms::default(), now, &limits))
    {
        Ok(signature) => signature,
        Err(error) => return error.code().to_string(),
    };
    let text = |file: &str, default: &str| {
        fs::read_to_string(folder.join(file))
            .map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
    };
    let who = match &key {
        Some(key) => Who::Key(key.id()),
        None => Who::Keyless {
            root: root.id(),
            issuer: Pattern::exact(&text("issuer", ISSUER)).unwrap(),
            subject: Pattern::exact(&text("identity", IDENTITY)).unwrap(),
            claims: Vec::new(),
        },
    };
    let demand = match signature.predicate_type() {
        Some(predicate_type) => Demand::Attestation {
            predicate_types: vec![predicate_type.to_owned()],
        },
        None => Demand::FileSignature,
    };
    let policy = Policy::new(Rules {
        name: "conformance".to_owned(),
        signers: vec![Signer {
            name: "expected".to_owned(),
            who,
        }],
        demand,
        annotations: Vec::new(),
        covers: Covers::Index,
        platforms: Vec::new(),
        signed_timestamp: SignedTimestamp::Optional,
        at: None,
    });
    match policy.unwrap().accepts(&signature) {
        Ok(_) => "accept".to_owned(),
        Err(refusal) => refusal.code.to_string(),
    }
}

#[test]
fn every_folder_is_answered_by_file_and_by_digest_with_its_reason() {
    let Some(suite) = suite() else { return };
    let reasons: BTreeMap<_, _> = REASONS.iter().copied().collect();
    let exceptions: BTreeMap<_, _> = EXCEPTIONS.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut folders = 0;
    for entry in fs::read_dir(suite).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        folders += 1;
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = if name.ends_with("_fail") {
            let reason = reasons.get(name.as_str()).copied();
            reason.unwrap_or_else(|| panic!("{name} has no row in REASONS"))
        } else {
            "accept"
        };
        for by_digest in [false, true] {
            let verdict = verdict(&folder, by_digest);
            let agrees = verdict == expected;
            if agrees == exceptions.contains_key(name.as_str()) {
                wrong.push(format!("{name}: {verdict}, expected {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        folders, 50,
        "the suite has another number of folders than REASONS was written for"
    );
}
