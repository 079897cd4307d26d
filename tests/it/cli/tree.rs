//! `scgate tree`: what is there, who lacks what, and that it is no verdict.

use std::fs;

use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use scgate::sandbox::registry::Config;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;

use super::INDEX;
use super::lab;
use crate::admit::shop::REPO;
use crate::admit::shop::Shop;
use crate::admit::shop::now;
use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;

/// A registry, a directory with its trusted root, and the words that ask.
struct World {
    shop: Shop,
    dir: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        let world = Self {
            shop: Shop::open(Config::default()).await,
            dir: tempfile::tempdir().unwrap(),
        };
        let root = world.shop.mint.trusted_root().bytes();
        fs::write(world.dir.path().join("root.json"), root).unwrap();
        world
    }

    fn ask(&self, what: &str) -> Run {
        let image = format!("{}/{REPO}{what}", self.shop.registry.host());
        scgate(["tree", "--trusted-root=root.json", "--timeout=3s"])
            .and([image])
            .within(self.dir.path())
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_signed_without_its_platforms_is_shown_and_allowed_nothing() {
    let world = World::open().await;
    let shop = &world.shop;
    // Nothing at all is a tree too.
    let said = world.ask(":1.0").exits(0);
    assert!(said.stdout.contains("no evidence was found"), "{said}");
    shop.sign(shop.index);
    shop.sign_legacy(shop.amd64, 0, true);
    shop.attest(shop.amd64, "https://spdx.dev/Document");
    let said = world.ask(":1.0").exits(0);
    assert!(said.stderr.is_empty(), "{said}");
    for text in [
        "not a verdict: no policy was asked",
        "linux/arm64 lacks: signature, spdxjson\n",
        "legacy-signature, found by signature-tag",
        "bundle-v0.3, found by",
        "attestation spdxjson: valid",
        " days ago: 2026-06-01T12:00:00Z",
        "BuildKit's, which never runs",
        shop.identity.san.value(),
    ] {
        assert!(said.stdout.contains(text), "no `{text}`\n{said}");
    }
    for word in ["ALLOW", "DENY", "accepted"] {
        assert!(!said.stdout.contains(word), "{said}");
    }
    let said = world.ask(":1.0").and(["-ojson"]).exits(0);
    let document = json(&said);
    assert_eq!(document["kind"], "tree");
    let arm64 = &document["trees"][0]["manifests"][2];
    assert_eq!(arm64["platform"], "linux/arm64");
    assert_eq!(arm64["lacks"][1]["what"], "spdxjson");
    assert_eq!(arm64["lacks"][1]["hadBy"][0], shop.amd64.to_string());
    // Under another root nothing of it holds, and it is shown all the same.
    let other = World::open().await;
    fs::copy(
        other.dir.path().join("root.json"),
        world.dir.path().join("root.json"),
    )
    .unwrap();
    let said = world.ask(":1.0").exits(0);
    assert!(
        said.stdout
            .contains("claims to be, and nothing vouches for it"),
        "{said}"
    );
    assert!(!said.stdout.contains(": valid"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_3_and_an_image_that_is_not_there_is_1() {
    let world = World::open().await;
    world.shop.sign(world.shop.index);
    let said = world.ask(":2.0").exits(1);
    assert!(said.stdout.contains("image-not-found"), "{said}");
    world
        .shop
        .registry
        .inject(Fault::new(FaultKind::status(429)).path("/referrers/"));
    let said = world.ask(":1.0").exits(3);
    assert!(
        said.stdout.contains("not read: registry-rate-limited"),
        "{said}"
    );
    assert!(said.stdout.contains("Asking again"), "{said}");
    world.shop.registry.clear_faults();
    world.ask(":1.0").exits(0);
    // Of several the worst counts: what is not there before what was not seen.
    let here = format!("{}/{REPO}:1.0", world.shop.registry.host());
    let said = world.ask(":2.0").and([here, "-ojson".to_owned()]).exits(1);
    assert_eq!(json(&said)["trees"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_trusted_beside_the_root() {
    let world = World::open().await;
    let shop = &world.shop;
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let order = Order::keyed(now(), &key, Content::image(shop.index));
    shop.attach(shop.index, &shop.mint.sign(&order).unwrap());
    shop.sign(shop.index);
    let file = world.dir.path().join("key.pem");
    fs::write(&file, pem("PUBLIC KEY", key.spki())).unwrap();
    let valid = |said: Said| {
        let document = json(&said);
        let evidence = document["trees"][0]["manifests"][0]["evidence"].clone();
        let evidence = evidence.as_array().unwrap().clone();
        evidence.iter().filter(|one| one["valid"] == true).count()
    };
    assert_eq!(valid(world.ask(":1.0").and(["-ojson"]).exits(0)), 1);
    let said = world.ask(":1.0").and(["-ojson", "--key=key.pem"]).exits(0);
    assert_eq!(valid(said), 2);
    let id = scgate::model::Digest::sha256(key.spki()).to_string();
    let said = world.ask(":1.0").and(["--key=key.pem"]).exits(0);
    assert!(said.stdout.contains(&id), "{said}");
}

#[test]
fn layouts_of_real_cosign_are_shown() {
    let ask = |layout: &str| {
        scgate([
            "tree",
            "--trusted-root=trusted_root.json",
            "--layout",
            layout,
        ])
        .within(&lab())
    };
    let said = ask("index-only.tar").and([INDEX]).exits(0);
    assert!(said.stdout.contains("(only an index has it)"), "{said}");
    let said = ask("attest-bundle.tar").exits(0);
    assert!(said.stdout.contains("attestation vuln: valid"), "{said}");
    let said = ask("dual-bundle-and-legacy.tar").exits(0);
    for layout in ["bundle-v0.3", "legacy-signature"] {
        assert!(said.stdout.contains(layout), "{said}");
    }
    // Evidence of before its signature is none at that time.
    let said = ask("index-only.tar")
        .and([INDEX, "--at=2020-01-01T00:00:00Z"])
        .exits(0);
    assert!(
        said.stdout.contains("not valid, evidence-after-time"),
        "{said}"
    );
}

#[test]
fn what_would_be_a_verdict_is_refused() {
    let ask = || {
        scgate([
            "tree",
            "--trusted-root=trusted_root.json",
            "--layout=index-only.tar",
        ])
        .within(&lab())
    };
    ask()
        .and(["-ocosign-json"])
        .exits(2)
        .complains("the form of a verdict");
    for flag in ["--certificate-identity=x", "--covers=index", "--policy=x"] {
        ask().and([flag]).exits(2).complains("there is no flag");
    }
    let help = scgate(["tree", "--help"]).exits(0);
    assert!(
        help.stdout.contains("Not a verdict: no policy is asked"),
        "{help}"
    );
}
