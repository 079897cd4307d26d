//! Managed keys: every kind and every file, with and without a log.

use std::fs;

use scgate::sandbox::Config;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;

use super::World;
use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;

/// A key that `cosign generate-key-pair` (3.1.3) wrote for these tests, and its password.
const COSIGN_KEY: &[u8] = include_bytes!("../../../testdata/keys/cosign-v3.key");
const COSIGN_PUB: &[u8] = include_bytes!("../../../testdata/keys/cosign-v3.pub");
const PASSWORD: &str = "open-sesame";

impl World {
    fn signs_with(&self, key: &str, words: &[&str]) -> Run {
        scgate([
            "sign",
            "--signing-config=services.json",
            "--trusted-root=root.json",
        ])
        .and([format!("--key={key}")])
        .and(words)
        .within(self.dir.path())
    }

    fn verifies_by(&self, key: &str, words: &[&str]) -> Said {
        scgate(["verify", "-ojson", "--recursive"])
            .and([format!("--key={key}")])
            .and(words)
            .and([self.reference()])
            .within(self.dir.path())
            .run()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }
}

/// Every kind of key, in Rekor v1 and v2: 0 is signed, else the code.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key_signs_where_it_can() {
    let both = "--signature-format=bundle,legacy";
    let bundle = "--signature-format=bundle";
    for (kind, log, format, expected) in [
        (KeyKind::P256, LogVersion::V1, both, ""),
        (KeyKind::P256, LogVersion::V2, bundle, ""),
        (KeyKind::Rsa2048, LogVersion::V1, both, ""),
        (KeyKind::Rsa2048, LogVersion::V2, bundle, ""),
        (KeyKind::P384, LogVersion::V1, bundle, "no cosign verifies"),
        (KeyKind::P521, LogVersion::V2, bundle, "no cosign verifies"),
        (KeyKind::Ed25519, LogVersion::V1, bundle, ""),
        (KeyKind::Ed25519, LogVersion::V1, both, "key-unsupported"),
        (KeyKind::Ed25519, LogVersion::V2, bundle, "key-unsupported"),
    ] {
        let world = World::with(Config {
            log,
            ..Config::default()
        })
        .await;
        let key = SigningKey::generate(kind).unwrap();
        world.write("key", pem("PRIVATE KEY", &key.to_pkcs8().unwrap()));
        world.write("pub", key.public_pem());
        let said = world
            .signs_with("key", &["-r", format, &world.reference()])
            .run();
        let shown = format!("{kind:?} {log:?} {format}\n{said}");
        if expected.is_empty() {
            assert_eq!(said.code, Some(0), "{shown}");
            let verdict = world.verifies_by("pub", &["--trusted-root=root.json"]);
            assert_eq!(verdict.code, Some(0), "{shown}{verdict}");
            let writes = world.writes();
            world
                .signs_with("key", &["-r", format, &world.reference()])
                .exits(0);
            assert_eq!(world.writes(), writes, "kept: {shown}");
        } else {
            // A key that signs nothing is refused when it is read.
            let code = if expected == "key-unsupported" { 1 } else { 2 };
            assert_eq!(said.code, Some(code), "{shown}");
            assert!(said.stderr.contains(expected), "{shown}");
            let help = "help: For images write bundles alone";
            assert_eq!(said.stderr.contains(help), code == 1, "{shown}");
            assert_eq!(world.writes(), 0, "{shown}");
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_cosigns_needs_its_password() {
    let world = World::open().await;
    world.write("cosign.key", COSIGN_KEY);
    world.write("cosign.pub", COSIGN_PUB);
    world.write("password", format!("{PASSWORD}\n"));
    let reference = world.reference();
    let sign = || world.signs_with("cosign.key", &[&reference]);
    sign().exits(2).complains("--key-password-file");
    let wrong = sign().variable("COSIGN_PASSWORD", "wrong").exits(2);
    wrong.complains("the password does not open it");
    sign().variable("COSIGN_PASSWORD", PASSWORD).exits(0);
    let verdict = scgate(["verify", "--key=cosign.pub", "--trusted-root=root.json"])
        .and([&reference])
        .within(world.dir.path())
        .run();
    assert_eq!(verdict.code, Some(0), "{verdict}");
    sign().and(["--key-password-file=password"]).exits(0);
    // Flipped, cut, or with other parameters.
    let text = String::from_utf8(COSIGN_KEY.to_vec()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let cut: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 4)
        .collect();
    let cut: Vec<_> = cut.into_iter().map(|(_, line)| *line).collect();
    for broken in [
        cut.join("\n"),
        text.replace("SIGSTORE PRIVATE", "OTHER PRIVATE"),
        format!("{text}{text}"),
        String::new(),
        "not a key".to_owned(),
    ] {
        world.write("cosign.key", broken);
        sign().variable("COSIGN_PASSWORD", PASSWORD).exits(2);
    }
    world.write("cosign.key", COSIGN_PUB);
    sign()
        .exits(2)
        .complains("a public key, which signs nothing");
    for place in [
        "awskms://alias/x",
        "k8s://ns/secret",
        "env://KEY",
        "pkcs11:token",
    ] {
        world
            .signs_with(place, &[&reference])
            .exits(2)
            .complains("keys in files");
    }
    world.end().await;
}

/// A key without a log asks nobody, and only whoever asks for no log accepts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_log_asks_nobody() {
    let world = World::open().await;
    world.write("key", COSIGN_KEY);
    world.write("pub", COSIGN_PUB);
    let said = scgate(["sign", "-r", "--key=key", "--tlog-upload=false"])
        .and([world.reference()])
        .variable("COSIGN_PASSWORD", PASSWORD)
        .within(world.dir.path())
        .exits(0);
    assert!(said.stderr.contains("no log"), "{said}");
    assert_eq!(world.sandbox.requests().len(), 0);
    let ignoring = world.verifies_by("pub", &["--insecure-ignore-tlog"]);
    assert_eq!(ignoring.code, Some(0), "{ignoring}");
    let strict = world.verifies_by("pub", &["--trusted-root=root.json"]);
    assert_eq!(strict.code, Some(1), "{strict}");
    // Offline, into a layout.
    let registry = world.sandbox.registry().unwrap();
    let layout = world.dir.path().join("layout");
    crate::world::write_layout(registry, super::REPO, &[(world.image.index, None)], &layout);
    scgate([
        "sign",
        "-r",
        "--key=key",
        "--tlog-upload=false",
        "--offline",
        "--layout=layout",
    ])
    .variable("COSIGN_PASSWORD", PASSWORD)
    .within(world.dir.path())
    .exits(0);
    let said = scgate([
        "sign",
        "--key=key",
        "--signing-config=services.json",
        "--offline",
    ])
    .and(["--layout=layout"])
    .variable("COSIGN_PASSWORD", PASSWORD)
    .within(world.dir.path())
    .exits(2);
    said.complains("--offline");
    world.end().await;
}
