//! Each lie of the sandbox before real cosign, beside `scgate verify`.
//!
//! cosign refuses what scgate refuses, but for the rows of [`DIFFER`], each with its reason; a row that is no longer true
//! fails as much as one that is missing.

#[path = "../it/sandbox_lies/rows.rs"]
mod rows;
#[path = "../it/signing.rs"]
pub(crate) mod signing;

use std::fs;

use scgate::sandbox::Image;
use scgate::sandbox::Lie;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;

use crate::peers::Ring;
use rows::ROWS;
use signing::Signer;

const WHO: [&str; 3] = [
    "--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main",
    "--certificate-oidc-issuer=https://token.actions.githubusercontent.com",
    "--trusted-root=trusted_root.json",
];

/// Where cosign 3.1.3 says yes and scgate no (`true`), or the reverse; by lie and version of Rekor.
#[rustfmt::skip]
const DIFFER: &[(&str, u8, bool, &str)] = &[
    ("clock:+3600", 1, true, "a signature from the future: an authority whose clock is ahead"),
    ("clock:+3600", 2, true, "likewise"),
    ("ca-second-san:https://github.com/evil/shop", 1, true, "the first URI counts"),
    ("ca-second-san:https://github.com/evil/shop", 2, true, "likewise"),
    ("ca-claim:12=https://github.com/evil/shop", 1, true, "the old claim and the new one are not compared"),
    ("ca-claim:12=https://github.com/evil/shop", 2, true, "likewise"),
    ("ca-key-usage:6", 1, true, "the key usage is not looked at"),
    ("ca-key-usage:6", 2, true, "likewise"),
    ("ca-no-extended-key-usage", 1, true, "none means any to Go"),
    ("ca-no-extended-key-usage", 2, true, "likewise"),
    ("ca-authority", 1, true, "a signer's certificate may issue others"),
    ("ca-authority", 2, true, "likewise"),
    ("log-index:1000", 2, false, "cosign proves with the entry's index, scgate with the proof's, and reports that one"),
    ("log-no-promise", 1, false, "cosign takes no time from the timestamp unless it is told to"),
    ("log-proof-index:1", 2, true, "the other side of the row about the entry's index"),
    ("log-checkpoint-size", 1, true, "the size is compared for Rekor v2 alone"),
    ("log-checkpoint-name:stranger.test", 1, true, "the key's hint is enough"),
    ("tsa-time:+3600", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-imprint", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-status:2", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-sha1", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-signature", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-message-digest", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-no-attributes", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
    ("tsa-no-attributes", 2, true, "the content itself is signed, which CMS allows for other content"),
    ("tsa-two-signers", 1, true, "beside a promise of Rekor v1 the timestamp is not looked at"),
];

#[tokio::test(flavor = "multi_thread")]
async fn cosign_refuses_each_lie() {
    let Some(ring) = Ring::find() else { return };
    let sandbox = Sandbox::start().await.expect("the sandbox starts");
    for (name, content) in sandbox.files() {
        fs::write(ring.scratch().join(name), content).expect("the scratch is writable");
    }
    let image = Image::new("hello");
    let mut wrong = Vec::new();
    for (number, (lie, rekor1, rekor2)) in ROWS.iter().enumerate() {
        for (version, log, expected) in [(1, LogVersion::V1, rekor1), (2, LogVersion::V2, rekor2)] {
            let repo = format!("lies/{number}-{version}");
            sandbox.registry().unwrap().put_image(&repo, &image, None);
            let told: Lie = lie.parse().expect("a lie with a name");
            sandbox.inject(Fault::new(FaultKind::Lie(told)));
            let signed = Signer::new(&sandbox).sign(&repo, &image, log).await;
            sandbox.clear_faults();
            if signed.is_err() {
                continue;
            }
            let host = sandbox.registry().unwrap().host();
            let reference = format!("{host}/{repo}@{}", image.index);
            let mut words = vec!["verify"];
            words.extend(WHO);
            words.push(&reference);
            let accepts = ring.cosign(words).exit == Some(0);
            let differs = accepts != (*expected == "ALLOW");
            let listed = DIFFER
                .iter()
                .any(|(own, of, yes, _)| own == lie && *of == version && *yes == accepts);
            if differs != listed {
                let says = if accepts { "accepts" } else { "refuses" };
                wrong.push(format!(
                    "{lie}, Rekor v{version}: cosign {says}, scgate {expected}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sandbox.stop().await.expect("the sandbox ends");
}
