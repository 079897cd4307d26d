//! Attestations: held to their type, for the platforms that they are about, found again.

use std::fs;

use serde_json::json;

use super::ISSUER;
use super::WHO;
use super::World;
use crate::runner::scgate;

fn spdx(name: &str) -> String {
    json!({
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "dataLicense": "CC0-1.0",
        "documentNamespace": format!("https://sbom.test/{name}"),
        "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: test"] },
        "packages": [],
    })
    .to_string()
}

impl World {
    fn attest(&self, words: &[&str]) -> crate::runner::Run {
        self.signs(&["attest", "--type=spdxjson"]).and(words)
    }

    /// The verified statements about a digest of the image.
    fn statements(&self, digest: &str, words: &[&str]) -> Vec<String> {
        let said = scgate([
            "verify-attestation",
            "--trusted-root=root.json",
            ISSUER,
            WHO,
        ])
        .and(["--type=spdxjson", "--all-evidence"])
        .and(words)
        .and([format!("{}@{digest}", self.repository())])
        .within(self.dir.path())
        .run();
        said.stdout.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_has_its_own_document() {
    let world = World::open().await;
    for name in ["index", "amd64", "arm64"] {
        fs::write(world.dir.path().join(name), spdx(name)).unwrap();
    }
    let said = world
        .attest(&["--predicate=index", "--predicate=linux/amd64=amd64"])
        .and(["--predicate=linux/arm64=arm64", &world.reference()])
        .exits(0);
    assert_eq!(said.stdout.lines().count(), 3, "{said}");
    let [amd64, arm64] = world.image.platforms.as_slice() else {
        panic!("two platforms");
    };
    for (digest, name) in [
        (world.image.index, "index"),
        (*amd64, "amd64"),
        (*arm64, "arm64"),
    ] {
        let statements = world.statements(&digest.to_string(), &[]);
        // One in each layout.
        assert_eq!(statements.len(), 2, "{name}: {statements:?}");
    }
    // The same again is kept; another document is added.
    let asked = world.sandbox.requests().len();
    world
        .attest(&["--predicate=linux/arm64=arm64", &world.reference()])
        .exits(0);
    assert_eq!(world.sandbox.requests().len(), asked);
    fs::write(world.dir.path().join("arm64"), spdx("newer")).unwrap();
    world
        .attest(&["--predicate=linux/arm64=arm64", &world.reference()])
        .exits(0);
    assert_eq!(world.statements(&arm64.to_string(), &[]).len(), 4);
    // In the legacy layout a new one can take the place of the old ones.
    fs::write(world.dir.path().join("arm64"), spdx("newest")).unwrap();
    world
        .attest(&[
            "--predicate=linux/arm64=arm64",
            "--replace",
            &world.reference(),
        ])
        .exits(0);
    assert_eq!(
        world.statements(&arm64.to_string(), &[]).len(),
        4,
        "3 bundles, 1 layer"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_and_an_attestation_share_nothing() {
    let world = World::open().await;
    fs::write(world.dir.path().join("sbom"), spdx("x")).unwrap();
    world
        .attest(&["-r", "--predicate=sbom", &world.reference()])
        .exits(0);
    assert!(!world.is_signed(), "an attestation is no signature");
    // One entry for both layouts.
    assert_eq!(world.asked("/api/v1/log/entries"), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_its_type_is_not_signed() {
    let world = World::open().await;
    let write = |name: &str, text: &str| fs::write(world.dir.path().join(name), text).unwrap();
    write("sbom", &spdx("x"));
    write(
        "trivy",
        r#"{"SchemaVersion":2,"ArtifactName":"x","Results":[]}"#,
    );
    write("empty", "");
    for (kind, file) in [
        ("vuln", "trivy"),
        ("cyclonedx", "sbom"),
        ("spdxjson", "trivy"),
        ("spdxjson", "empty"),
        ("openvex", "sbom"),
        ("slsaprovenance1", "sbom"),
        ("notatype", "sbom"),
    ] {
        let said = world
            .signs(&[
                "attest",
                &format!("--type={kind}"),
                &format!("--predicate={file}"),
            ])
            .and([world.reference()])
            .exits(2);
        let said = said.complains("predicate-malformed");
        assert_eq!(
            said.stderr.lines().count(),
            2,
            "one sentence and its remedy\n{said}"
        );
    }
    assert_eq!(world.sandbox.requests().len(), 0, "nobody was asked");
    assert_eq!(world.writes(), 0);
    world
        .attest(&["--predicate=sbom", &world.reference()])
        .exits(0);
    // A platform that the image has not.
    let said = world
        .attest(&["--predicate=linux/s390x=sbom", &world.reference()])
        .exits(1);
    said.complains("platform-missing");
    world.end().await;
}

/// What takes the place of others does so once, and never of what the same run made.
#[tokio::test(flavor = "multi_thread")]
async fn what_replaces_others_does_so_once() {
    let world = World::open().await;
    let write = |name: &str, text: &str| fs::write(world.dir.path().join(name), text).unwrap();
    write("one", &spdx("one"));
    write("two", &spdx("two"));
    let reference = world.reference();
    let index = world.image.index.to_string();
    let replace = |document: &str| {
        let predicate = format!("--predicate={document}");
        world
            .attest(&[
                "--replace",
                "--signature-format=legacy",
                &predicate,
                &reference,
            ])
            .exits(0)
    };
    replace("one");
    let asked = world.sandbox.requests().len();
    let said = replace("one");
    assert_eq!(world.sandbox.requests().len(), asked, "{said}");
    replace("two");
    assert_eq!(world.statements(&index, &[]).len(), 1);
    // Beside one of another document it is signed again.
    world
        .attest(&["--signature-format=legacy", "--predicate=one", &reference])
        .exits(0);
    assert_eq!(world.statements(&index, &[]).len(), 2);
    replace("one");
    assert_eq!(world.statements(&index, &[]).len(), 1);
    // Two for one manifest: without replacing both stay.
    let both = [
        "--predicate=linux/amd64=one",
        "--predicate=linux/amd64/v1=two",
    ];
    let asked = world.sandbox.requests().len();
    world
        .attest(&both)
        .and(["--replace", &reference])
        .exits(2)
        .complains("two documents");
    assert_eq!(world.sandbox.requests().len(), asked);
    world.end().await;
}

/// What is wrapped with the time is the same a second later.
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_document_is_kept() {
    let world = World::open().await;
    let write = |text: &str| fs::write(world.dir.path().join("text"), text).unwrap();
    let attest = || {
        world
            .signs(&["attest", "--predicate=text", &world.reference()])
            .exits(0)
    };
    write("one");
    attest();
    let asked = world.sandbox.requests().len();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let said = attest();
    assert_eq!(world.sandbox.requests().len(), asked, "{said}");
    assert!(said.stderr.contains("kept"), "{said}");
    write("two");
    attest();
    assert_eq!(world.asked("/api/v1/log/entries"), 2);
    world.end().await;
}

/// What the public log drops is said before it is sent, and what no second document is needed for.
#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_an_entry_is_said_before() {
    let world = World::open().await;
    let write = |name: &str, comment: usize| {
        let mut document: serde_json::Value = serde_json::from_str(&spdx(name)).unwrap();
        document["comment"] = json!("x".repeat(comment));
        fs::write(world.dir.path().join(name), document.to_string()).unwrap();
    };
    write("small", 1_000_000);
    write("large", 2_400_000);
    let reference = world.reference();
    let drops = "drops requests of more than 3.0 MB";
    for (name, is_said) in [("small", false), ("large", true)] {
        let predicate = format!("--predicate={name}");
        let said = world.attest(&[&predicate, &reference]).exits(0);
        assert_eq!(said.stderr.contains(drops), is_said, "{name}: {said}");
        let said = world
            .signs(&["attest-blob", "--type=spdxjson", &predicate, "small"])
            .exits(0);
        assert_eq!(said.stderr.contains(drops), is_said, "{name}: {said}");
    }
    // Rekor v2 is sent the digest alone.
    let services = world.sandbox.signing_config(
        scgate::sandbox::mint::LogVersion::V2,
        scgate::sandbox::Stamps::Rfc3161,
    );
    fs::write(world.dir.path().join("services.json"), services).unwrap();
    let said = world
        .attest(&["--again", "--predicate=large", &reference])
        .run();
    assert!(!said.stderr.contains(drops), "{said}");
    world
        .attest(&["-r", "--predicate=linux/arm64=small", &reference])
        .exits(2)
        .complains("`--recursive true`");
    world.end().await;
}

/// `syft … | scgate attest --predicate -`.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_may_come_by_stdin() {
    let world = World::open().await;
    let reference = world.reference();
    let attest = |words: &[&str]| {
        let run = world.signs(&["attest", "--type=https://acme.test/t"]);
        run.and(words).and([&reference]).stdin(br#"{"a":1}"#).run()
    };
    let said = attest(&["--predicate=-"]);
    assert_eq!(said.code, Some(0), "{said}");
    let printed = scgate(["verify-attestation", "--type=https://acme.test/t"])
        .and([
            "--trusted-root=root.json",
            super::ISSUER,
            super::WHO,
            &reference,
        ])
        .within(world.dir.path())
        .exits(0);
    assert!(
        printed.stdout.contains(r#""a":1"#) || printed.stdout.contains("payload"),
        "{printed}"
    );
    for twice in [
        &["--predicate=-", "--predicate=linux/amd64=-"][..],
        &["--predicate=-", "--identity-token=-"],
    ] {
        let said = attest(twice);
        assert_eq!(said.code, Some(2), "{said}");
    }
    world.end().await;
}
