//! An attestation with an SBOM of 4.5 MB: parse and verify, against reading its bytes at all.
//!
//! `cargo bench --bench sbom`. Peak memory is that of a process of its own which does nothing else
//! (`VmHWM`, Linux).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise and prints its figures"
)]

mod harness;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::json;

use crate::harness::Work;
use crate::harness::medians;
use crate::harness::ratio;
use crate::harness::show;

const ARTIFACT: &[u8] = b"an image manifest";
const PACKAGES: usize = 10_000;
const RUNS: usize = 60;

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

/// An SPDX document as Syft writes them, about 450 bytes a package.
fn sbom() -> Value {
    let package = |n: usize| {
        json!({
            "name": format!("package-{n}"),
            "SPDXID": format!("SPDXRef-Package-npm-package-{n}-{n:016x}"),
            "versionInfo": format!("{}.{}.{}", n % 7, n % 31, n % 127),
            "supplier": "NOASSERTION", "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
            "sourceInfo": "acquired package info from installed node module manifest file",
            "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT", "copyrightText": "NOASSERTION",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": format!("pkg:npm/package-{n}@{}.{}.{}", n % 7, n % 31, n % 127),
            }],
        })
    };
    json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": "shop", "packages": (0..PACKAGES).map(package).collect::<Vec<_>>(),
    })
}

fn judge(bundle: &[u8], root: &TrustRoot, limits: &Limits) {
    let bundle = Bundle::parse(black_box(bundle), limits).unwrap();
    let artifact = Artifact::Bytes(ARTIFACT);
    let verdict = verify(
        &bundle,
        artifact,
        Trust::Root(root),
        Terms::default(),
        now(),
        limits,
    );
    black_box(verdict.expect("it holds"));
}

/// The payload's text, as it stands in the bundle.
fn payload(bundle: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        dsse_envelope: Envelope,
    }
    #[derive(Deserialize)]
    struct Envelope {
        payload: String,
    }
    serde_json::from_slice::<Outer>(bundle)
        .unwrap()
        .dsse_envelope
        .payload
}

/// A statement with its predicate passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate: IgnoredAny,
}

fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_default();
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0)
}

/// What the process of its own does: reads the files, and verifies once when it is told to.
fn child(work: &str, bundle: &Path, root: &Path) {
    let bundle = std::fs::read(bundle).unwrap();
    let root = std::fs::read(root).unwrap();
    let limits = Limits::default();
    match work {
        "scgate" => judge(&bundle, &TrustRoot::parse(&root, &limits).unwrap(), &limits),
        "peer" => {
            let root = String::from_utf8(root).unwrap();
            let root = sigstore_trust_root::TrustedRoot::from_json(&root).unwrap();
            peer(&String::from_utf8(bundle).unwrap(), &root);
        }
        _ => {
            black_box(TrustRoot::parse(&root, &limits).unwrap());
        }
    }
    println!("{}", memory("VmHWM"));
}

fn peer(bundle: &str, root: &sigstore_trust_root::TrustedRoot) {
    let identity = GithubActions::push("acme/shop", "release.yml").identity();
    let policy = sigstore_verify::VerificationPolicy::new(identity.san.value(), &identity.issuer);
    let bundle = sigstore_verify::types::Bundle::from_json(black_box(bundle)).unwrap();
    black_box(sigstore_verify::verify(ARTIFACT, &bundle, &policy, root)).unwrap();
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, flag, work, bundle, root] = arguments.as_slice()
        && flag == "--child"
    {
        return child(work, bundle.as_ref(), root.as_ref());
    }
    let limits = Limits::default();
    let mint = Mint::new(now()).unwrap();
    let identity = GithubActions::push("acme/shop", "release.yml").identity();
    let digest = Digest::sha256(ARTIFACT);
    let content = Content::attestation("shop", digest, "https://spdx.dev/Document", &sbom());
    let minted = mint
        .sign(&Order::keyless(now(), &identity, content).rekor2())
        .unwrap();
    let bundle = minted.bundle_bytes("0.3");
    let root_json = mint.trusted_root().bytes();
    let root = TrustRoot::parse(&root_json, &limits).unwrap();

    let encoded = payload(&bundle);
    let statement = STANDARD.decode(&encoded).unwrap();
    let text = String::from_utf8(bundle.clone()).unwrap();
    let peer_root = String::from_utf8(root_json.clone()).unwrap();
    let peer_root = sigstore_trust_root::TrustedRoot::from_json(&peer_root).unwrap();
    let mut works: Vec<Work<'_>> = vec![
        Box::new(|| judge(&bundle, &root, &limits)),
        Box::new(|| {
            black_box(STANDARD.decode(black_box(&encoded)).unwrap());
        }),
        Box::new(|| {
            black_box(Digest::sha256(black_box(&statement)));
        }),
        Box::new(|| {
            black_box(Digest::sha256(black_box(&bundle)));
        }),
        Box::new(|| {
            let statement: Statement = serde_json::from_slice(black_box(&statement)).unwrap();
            black_box(statement.predicate);
        }),
        Box::new(|| {
            scgate::model::strict_json(black_box(&statement)).unwrap();
        }),
        Box::new(|| {
            drop(black_box(
                Bundle::parse(black_box(&bundle), &limits).unwrap(),
            ));
        }),
        Box::new(|| {
            black_box(serde_json::from_slice::<Value>(black_box(&statement)).unwrap());
        }),
        Box::new(|| peer(&text, &peer_root)),
    ];
    let times = medians(RUNS, &mut works);
    let [
        own,
        decode,
        hash,
        hash_bundle,
        walk,
        strict,
        parse,
        tree,
        other,
    ] = times.as_slice()
    else {
        return;
    };
    // The payload is hashed for its signature and for its log entry, the bundle for its name.
    let floor = *decode + *hash * 2 + *hash_bundle;
    println!(
        "payload {} bytes, bundle {} bytes",
        statement.len(),
        bundle.len()
    );
    println!();
    println!("| work | time | to the floor |");
    println!("|---|---|---|");
    for (name, time) in [
        ("scgate: parse and verify", *own),
        ("of which parse", *parse),
        ("of which strict JSON of the payload", *strict),
        (
            "floor: base64, SHA-256 of payload (twice) and bundle",
            floor,
        ),
        ("floor and a walk of the payload", floor + *walk),
        ("a walk of the payload that builds nothing", *walk),
        ("a JSON tree of the payload", *tree),
        ("sigstore-verify: parse and verify", *other),
    ] {
        println!("| {name} | {} | {:.2} |", show(time), ratio(time, floor));
    }
    let directory = tempfile::tempdir().unwrap();
    let (bundle_file, root_file) = (directory.path().join("b"), directory.path().join("r"));
    std::fs::write(&bundle_file, &bundle).unwrap();
    std::fs::write(&root_file, &root_json).unwrap();
    let peak = |work: &str| -> u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command
            .args(["--child", work])
            .arg(&bundle_file)
            .arg(&root_file)
            .output();
        String::from_utf8(output.unwrap().stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap_or(0)
    };
    let (idle, own, other) = (peak("idle"), peak("scgate"), peak("peer"));
    let times = |peak: u64| {
        let added = peak.saturating_sub(idle) * 1024;
        let payload = u64::try_from(statement.len()).unwrap_or(1);
        format!(
            "{} KiB, {}.{} times the payload",
            added / 1024,
            added / payload,
            added * 10 / payload % 10
        )
    };
    println!();
    println!("peak memory with the bundle read and nothing done: {idle} KiB");
    println!(
        "added by scgate: {}; by sigstore-verify: {}",
        times(own),
        times(other)
    );
}
