//! The public Sigstore conformance suite, by file and by digest, each refusal with its reason.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::PathBuf;

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;

fn run(dir: &PathBuf, by_digest: bool) -> Result<(), String> {
    let limits = Limits::default();
    let now = Timestamp::from(std::time::SystemTime::now());
    let base = dir.parent().unwrap();
    let or =
        |own: &str, common: &str| fs::read(dir.join(own)).or_else(|_| fs::read(base.join(common)));
    let root = TrustRoot::parse(
        &or("trusted_root.json", "public_good_trusted_root.json").unwrap(),
        &limits,
    )
    .map_err(|e| format!("trust-root {e}"))?;
    let key = fs::read(dir.join("key.pub")).ok();
    let key = key.map(|k| ManagedKey::parse(&k, &limits).unwrap());
    let artifact = or("artifact", "a.txt").unwrap();
    let bundle = fs::read(dir.join("bundle.sigstore.json")).unwrap();
    let show = |e: scgate::verify::Error| format!("{} ({e})", e.code());
    let bundle = Bundle::parse(&bundle, &limits).map_err(show)?;
    let artifact = if by_digest {
        Artifact::Digest(Digest::sha256(&artifact))
    } else {
        Artifact::Bytes(&artifact)
    };
    let trust = match &key {
        Some(k) => Trust::Key(k, Some(&root)),
        None => Trust::Root(&root),
    };
    verify(&bundle, artifact, trust, Terms::default(), now, &limits)
        .map(|_| ())
        .map_err(show)
}

#[test]
fn show() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/conformance");
    let mut dirs: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    dirs.sort();
    for d in dirs {
        let (a, b) = (run(&d, false), run(&d, true));
        let name = d.file_name().unwrap().to_str().unwrap().to_owned();
        let good = a.is_ok() != name.ends_with("_fail");
        eprintln!(
            "{} {name}: {a:?}{}",
            if good { "  " } else { "!!" },
            if a == b {
                String::new()
            } else {
                format!(" DIGEST {b:?}")
            }
        );
    }
    let _ = DenyCode::ALL;
}
