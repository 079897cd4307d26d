//! What `scgate tree` shows, as text and as JSON, about worlds that lack something.

use std::collections::BTreeMap;

use regex::Captures;
use regex::Regex;
use scgate::admit::Report;
use scgate::admit::Thoroughness;
use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::output::Colour;
use scgate::output::Format;
use scgate::output::Look;
use scgate::output::Tree;
use scgate::policy::Covers;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::email;
use scgate::sandbox::registry::Config;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;
use serde_json::json;

use super::DISGUISED;
use super::HOSTILE;
use super::compare;
use super::masked;
use super::narrow;
use super::root;
use super::schema::Schema;
use crate::admit::shop::REPO;
use crate::admit::shop::Shop;
use crate::admit::shop::now;

const SPDX: &str = "https://spdx.dev/Document";

async fn shop() -> Shop {
    let mut shop = Shop::open(Config::default()).await;
    shop.scope.thoroughness = Thoroughness::Everything;
    shop.covers = Covers::IndexAndPlatforms;
    shop
}

fn written(reports: &[Report], format: Format, look: Look) -> String {
    let trees: Vec<_> = reports.iter().map(Tree::new).collect();
    let mut out = Vec::new();
    Tree::render(&trees, format, look, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn document(report: &Report) -> Value {
    let out = written(std::slice::from_ref(report), Format::Json, Look::default());
    let document = serde_json::from_str(&out).unwrap();
    schema().hold(&document);
    document
}

fn schema() -> Schema {
    Schema::read(&root().join("docs/tree-json-v1.schema.json"))
}

fn snapshot(name: &str, report: &Report, host: &str) {
    let dir = root().join("tests/it/output/snapshots");
    let reports = std::slice::from_ref(report);
    let text = written(reports, Format::Text, Look::default());
    narrow(&text);
    assert!(text.contains("not a verdict"), "{text}");
    document(report);
    let json = written(reports, Format::Json, Look::default());
    compare(&dir.join(format!("{name}.txt")), &masked(&text, host));
    compare(&dir.join(format!("{name}.json")), &masked(&json, host));
    assert_eq!(written(reports, Format::CosignJson, Look::default()), "");
}

/// What each platform lacks, as JSON says it.
fn lacking(report: &Report) -> BTreeMap<String, Vec<String>> {
    let document = document(report);
    let manifests = document["trees"][0]["manifests"].as_array().unwrap();
    let lacks = |manifest: &Value| {
        let each = manifest["lacks"].as_array().into_iter().flatten();
        each.map(|lack| lack["what"].as_str().unwrap().to_owned())
            .collect()
    };
    manifests
        .iter()
        .filter_map(|manifest| Some((manifest["platform"].as_str()?.to_owned(), lacks(manifest))))
        .collect()
}

fn gap(report: &Report) -> Option<DenyCode> {
    Tree::new(report).gap()
}

/// Signs at another time than the question's.
fn signed_before(shop: &Shop, digest: Digest, seconds: i64) {
    let then = now().plus_seconds(-seconds);
    let order = Order::keyless(then, &shop.identity, Content::image(digest));
    shop.attach(digest, &shop.mint.sign(&order).unwrap());
}

#[tokio::test]
async fn an_index_signed_alone_leaves_its_platforms_without() {
    let shop = shop().await;
    shop.sign(shop.index);
    let report = shop.ask_for(":1.0", None).await;
    assert_eq!(gap(&report), None);
    let none = ["signature".to_owned()];
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(lacking(&report)[platform], none);
    }
    snapshot("tree-index-alone", &report, &shop.registry.host());
    // The twin: each signed by itself.
    shop.sign(shop.amd64);
    shop.sign_legacy(shop.arm64, 0, true);
    let report = shop.ask_for(":1.0", None).await;
    assert!(lacking(&report).values().all(Vec::is_empty));
}

#[tokio::test]
async fn every_layout_and_kind_is_shown_with_who_and_when() {
    let shop = shop().await;
    signed_before(&shop, shop.index, 30 * 60);
    signed_before(&shop, shop.amd64, 2 * 60 * 60);
    shop.sign_legacy(shop.amd64, 1, true);
    shop.attest(shop.amd64, SPDX);
    shop.attest(shop.amd64, "https://acme.test/scan/v1");
    shop.attest(shop.arm64, SPDX);
    shop.attest(shop.attestation, "https://slsa.dev/provenance/v1");
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let order = Order::keyed(now(), &key, Content::image(shop.arm64));
    // Nobody gave the key, so it holds under no trust.
    shop.attach(shop.arm64, &shop.mint.sign(&order).unwrap());
    let report = shop.ask_for(":1.0", None).await;
    assert_eq!(gap(&report), None);
    let lacking = lacking(&report);
    assert!(lacking["linux/amd64"].is_empty(), "{lacking:?}");
    assert_eq!(
        lacking["linux/arm64"],
        ["signature", "https://acme.test/scan/v1"]
    );
    snapshot("tree-whole", &report, &shop.registry.host());
    let plain = written(std::slice::from_ref(&report), Format::Text, Look::default());
    let look = Look::new(80, Colour::Always);
    let mut bare = written(&[report], Format::Text, look);
    for code in ["1;31", "1;32", "1;33", "1", "0"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(bare, plain);
}

#[tokio::test]
async fn what_was_tampered_with_only_claims() {
    let shop = shop().await;
    let mut bundle = shop.minted(Content::image(shop.amd64)).bundle_json("0.3");
    let other = shop.minted(Content::image(shop.amd64)).bundle_json("0.3");
    bundle["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"].clone();
    shop.attach_bytes(shop.amd64, bundle.to_string().as_bytes());
    let mut layer = shop
        .minted(Content::simple_signing(REPO, shop.arm64, &BTreeMap::new()))
        .legacy_layer(LegacyChain::Full);
    let name = "dev.cosignproject.cosign/signature";
    layer.annotations.insert(name.to_owned(), "AAAA".to_owned());
    shop.attach_legacy(shop.arm64, &[layer]);
    let report = shop.ask_for(":1.0", None).await;
    // Nothing holds, so there is nothing that another one lacks.
    assert!(lacking(&report).values().all(Vec::is_empty));
    let document = document(&report);
    for manifest in document["trees"][0]["manifests"].as_array().unwrap() {
        assert!(manifest.get("has").is_none());
        for evidence in manifest["evidence"].as_array().into_iter().flatten() {
            assert_eq!(evidence["valid"], false);
            assert!(evidence.get("signer").is_none() && evidence.get("times").is_none());
            let claimed = &evidence["claimsToBe"]["signer"]["san"]["value"];
            assert_eq!(claimed, shop.identity.san.value());
        }
    }
    snapshot("tree-tampered", &report, &shop.registry.host());
}

#[tokio::test]
async fn what_a_registry_throttles_may_be_there() {
    let mut shop = shop().await;
    shop.seconds = 3;
    shop.sign(shop.amd64);
    let look_up = format!("/referrers/{}", shop.arm64);
    shop.registry
        .inject(Fault::new(FaultKind::status(429)).path(&look_up));
    let report = shop.ask_for(":1.0", None).await;
    assert_eq!(gap(&report), Some(DenyCode::RegistryRateLimited));
    let text = written(std::slice::from_ref(&report), Format::Text, Look::default());
    assert!(text.contains("linux/arm64 may lack: signature"), "{text}");
    assert!(text.contains("not read: registry-rate-limited"), "{text}");
    let document = document(&report);
    assert_eq!(document["trees"][0]["whole"], false);
    assert_eq!(document["trees"][0]["manifests"][1]["whole"], true);
    assert_eq!(document["trees"][0]["manifests"][2]["whole"], false);
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_was_not_seen() {
    let shop = shop().await;
    let report = shop.ask_for(":2.0", None).await;
    assert_eq!(gap(&report), Some(DenyCode::ImageNotFound));
    snapshot("tree-not-found", &report, &shop.registry.host());
    // A child that is gone, beside a raw SBOM that nobody signed and entries that are odd.
    shop.sign(shop.amd64);
    let mut gone = shop.entry(shop.arm64, "linux", "arm64");
    gone["digest"] = Digest::sha256(b"gone").to_string().into();
    let same = shop.entry(shop.arm64, "linux", "amd64");
    let index = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64"), gone, same]);
    shop.changed(shop.amd64, |manifest| {
        manifest["subject"] = shop.entry(shop.arm64, "linux", "arm64");
        manifest["artifactType"] = "application/spdx+json".into();
    });
    let report = shop.ask(index).await;
    assert_eq!(gap(&report), Some(DenyCode::ChildNotFound));
    snapshot("tree-odd", &report, &shop.registry.host());
}

#[tokio::test]
async fn a_time_that_is_over_and_a_relaxation_stand_on_top() {
    let shop = shop().await;
    signed_before(&shop, shop.index, 60);
    shop.sign(shop.amd64);
    let mut report = shop.ask_for(":1.0", None).await;
    let rules = |at| scgate::policy::Rules {
        name: "none".to_owned(),
        signers: vec![scgate::policy::Signer {
            name: "nobody".to_owned(),
            who: scgate::policy::Who::Key(Digest::sha256(b"")),
        }],
        demand: scgate::policy::Demand::Anything,
        annotations: Vec::new(),
        covers: Covers::IndexAndPlatforms,
        platforms: Vec::new(),
        signed_timestamp: scgate::policy::SignedTimestamp::Optional,
        at,
    };
    let policy = scgate::policy::Policy::new(rules(Some(now().plus_seconds(-30)))).unwrap();
    report.policy = policy.into();
    report.relaxed = vec!["insecure-ignore-tlog"];
    let document = document(&report);
    let manifests = &document["trees"][0]["manifests"];
    assert_eq!(manifests[0]["has"], json!(["signature"]));
    assert_eq!(manifests[1]["evidence"][0]["code"], "evidence-after-time");
    snapshot("tree-as-of", &report, &shop.registry.host());
}

#[tokio::test]
async fn hostile_text_never_reaches_a_terminal() {
    let shop = shop().await;
    let notes = BTreeMap::from([(HOSTILE.to_owned(), HOSTILE.to_owned())]);
    let mut who = email("x@acme.test", "https://accounts.acme.test");
    who.issuer = format!("https://accounts.acme.test/{DISGUISED}");
    let order = Order::keyless(now(), &who, Content::image_with(shop.amd64, &notes));
    shop.attach(shop.amd64, &shop.mint.sign(&order).unwrap());
    shop.attest(shop.amd64, HOSTILE);
    let mut broken = shop.mint.sign(&order).unwrap().bundle_json("0.3");
    broken["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA".into();
    shop.attach_bytes(shop.arm64, broken.to_string().as_bytes());
    let report = shop.ask(shop.index).await;
    for format in [Format::Text, Format::Json] {
        let out = written(std::slice::from_ref(&report), format, Look::default());
        for bad in HOSTILE.chars().chain(DISGUISED.chars()) {
            let harmless = bad == '\n' || bad.is_ascii_graphic() || bad == ' ';
            // In sentences a letter is a letter; names have none but ASCII's.
            let is_letter = bad == '\u{430}';
            assert!(
                harmless || is_letter || !out.contains(bad),
                "{bad:?} in {format:?}"
            );
        }
        assert!(!out.contains("\nALLOW c"), "{out}");
    }
    let document = document(&report);
    let evidence = document["trees"][0]["manifests"][1]["evidence"]
        .as_array()
        .unwrap();
    assert!(evidence.iter().any(|one| one["predicateType"] == HOSTILE));
    assert!(
        evidence
            .iter()
            .any(|one| one["annotations"][HOSTILE] == HOSTILE)
    );
    assert!(
        evidence
            .iter()
            .any(|one| one["signer"]["issuer"] == who.issuer)
    );
}

#[test]
fn the_schema_has_no_member_that_nothing_writes() {
    let mut schema = schema();
    let masks = Regex::new("<#+[0-9]{2}>").unwrap();
    for file in std::fs::read_dir(root().join("tests/it/output/snapshots")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = masks.replace_all(&text, |mask: &Captures<'_>| "0".repeat(mask[0].len()));
        schema.hold(&serde_json::from_str(&text).unwrap());
    }
    // Only where something signed has annotations, which each test of them makes hostile, and where
    // a key was given.
    assert_eq!(schema.unmet(), ["evidence/annotations", "signer/keyId"]);
}
