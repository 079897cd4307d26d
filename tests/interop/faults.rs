//! Each fault of the sandbox's registry before real cosign, beside `scgate verify`.
//!
//! cosign says yes where scgate does and no where it does not, but for the rows of [`DIFFER`]; a row
//! that is no longer true fails as much as one that is missing.

#[path = "../it/sandbox_faults/rows.rs"]
mod rows;

use std::fs;

use scgate::sandbox::Image;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::LogVersion;

use crate::lies::signing::Signer;
use crate::peers::Ring;
use crate::peers::say;
use rows::ROWS;

const REPO: &str = "faults/app";

/// Faults that cosign reads without bound, until it is killed.
const UNBOUNDED: &[&str] = &[
    "endless-body",
    "endless-length",
    "gzip-bomb",
    "hang",
    "slow-body,bytes=1,",
];

/// Where cosign 3.1.3 says yes and scgate does not (`true`), or the reverse.
#[rustfmt::skip]
const DIFFER: &[(&str, bool, &str)] = &[
    ("content-type=text/html,path=/manifests/", true, "cosign does not compare the type of an answer"),
    ("content-type=text/html,path=/referrers/", false, "cosign reads no list of another type, and then finds no fallback tag"),
    ("gzip,path=/manifests/", true, "Go takes gzip away that nobody asked for"),
    ("gzip,path=/referrers/", true, "likewise"),
    ("gzip,path=/blobs/", true, "likewise"),
    ("header=content-type:text/plain,path=/manifests/", true, "cosign does not compare the type of an answer"),
    ("header=content-type:text/plain,path=/referrers/", false, "cosign reads no list of another type"),
    ("no-header=content-type,path=/referrers/", false, "cosign reads no list without a type"),
    ("wrong-digest,path=/manifests/", true, "cosign does not compare the header with what it got"),
    ("status=503,chance=0.5,seed=3", false, "the dice fall otherwise for other requests"),
];

#[tokio::test(flavor = "multi_thread")]
async fn cosign_meets_each_fault() {
    let Some(ring) = Ring::find() else { return };
    if ring.cosign2(["version"]).is_none() {
        say(
            "SKIPPED cosign and the faults of a registry: it retries for minutes; the big ring waits",
        );
        return;
    }
    let sandbox = Sandbox::start().await.expect("the sandbox starts");
    for (name, content) in sandbox.files() {
        fs::write(ring.scratch().join(name), content).expect("the scratch is writable");
    }
    let image = Image::new("hello");
    sandbox
        .registry()
        .unwrap()
        .put_image(REPO, &image, Some("v1"));
    let signer = Signer::new(&sandbox);
    let signed = signer.sign(REPO, &image, LogVersion::V2).await;
    signed.expect("the log takes the entry");
    let reference = format!("{}/{REPO}:v1", sandbox.registry().unwrap().host());
    let verify = [
        "verify",
        "--timeout=10s",
        "--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main",
        "--certificate-oidc-issuer=https://token.actions.githubusercontent.com",
        "--trusted-root=trusted_root.json",
        &reference,
    ];
    let mut wrong = Vec::new();
    for (fault, code, _) in ROWS {
        if UNBOUNDED.iter().any(|start| fault.starts_with(start)) {
            continue;
        }
        let text = fault.replace("INDEX", &image.index.to_string());
        let text = text.replace("OTHER", &image.platforms[0].to_string());
        sandbox
            .registry()
            .unwrap()
            .inject(text.parse().expect("a fault"));
        let accepts = ring.cosign(verify).exit == Some(0);
        sandbox.registry().unwrap().clear_faults();
        let differs = accepts != (*code == 0);
        let listed = DIFFER
            .iter()
            .any(|(own, yes, _)| own == fault && *yes == accepts);
        if differs != listed {
            let says = if accepts { "accepts" } else { "refuses" };
            wrong.push(format!("{fault}: cosign {says}, scgate exits {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(ring.cosign(verify).exit, Some(0));
    sandbox.stop().await.expect("the sandbox ends");
}
