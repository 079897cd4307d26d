//! Attestations: about which manifest, of which type, by whom; and requirements that are met whole.

use std::collections::BTreeMap;

use scgate::admit::Thoroughness;
use scgate::model::Digest;
use scgate::model::Platform;
use scgate::model::media_type;
use scgate::policy::Covers;
use scgate::policy::Demand;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Order;
use scgate::sandbox::registry::Config;
use serde_json::Value;
use serde_json::json;

use super::shop::REPO;
use super::shop::Shop;
use super::shop::now;
use super::shop::verdict;

const SPDX: &str = "https://spdx.dev/Document";

fn attested(predicate_type: &str) -> Demand {
    Demand::Attestation {
        predicate_types: vec![predicate_type.to_owned()],
    }
}

/// T-ATT-02.
#[tokio::test]
async fn who_may_sign_may_not_attest_unless_listed_for_it() {
    let mut shop = Shop::open(Config::default()).await;
    let release = shop.identity.clone();
    let scanner = GithubActions::push("acme/ops", "scan.yml").identity();
    shop.sign(shop.index);
    shop.attest(shop.index, SPDX);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    shop.demand = attested(SPDX);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    shop.identity = scanner;
    assert_eq!(verdict(&shop.ask(shop.index).await), ["identity-mismatch"]);
    shop.attest(shop.index, SPDX);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    // The other way round as well.
    shop.demand = Demand::Signature;
    assert_eq!(verdict(&shop.ask(shop.index).await), ["identity-mismatch"]);
    shop.identity = release;
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

/// T-ATT-10.
#[tokio::test]
async fn an_attestation_of_an_index_is_none_of_its_images_and_the_reverse() {
    let mut shop = Shop::open(Config::default()).await;
    shop.demand = attested(SPDX);
    for (about, other) in [(shop.index, shop.amd64), (shop.amd64, shop.index)] {
        let attestation = shop.attest(about, SPDX);
        assert_eq!(verdict(&shop.ask(about).await), ["allow"]);
        assert_eq!(verdict(&shop.ask(other).await), ["no-attestation"]);
        shop.registry.delete_manifest(REPO, attestation);
    }
}

/// T-ATT-11.
#[tokio::test]
async fn each_platform_needs_its_attestation_unless_others_are_left_out() {
    let mut shop = Shop::open(Config::default()).await;
    shop.demand = attested(SPDX);
    shop.covers = Covers::Platforms;
    shop.attest(shop.amd64, SPDX);
    let of = |platform: &str| vec![Platform::parse(platform).unwrap()];
    for (platforms, expected) in [
        (Vec::new(), "no-attestation"),
        (of("linux/arm64"), "no-attestation"),
        (of("linux/amd64"), "allow"),
    ] {
        shop.platforms = platforms;
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected]);
    }
    shop.platforms = Vec::new();
    shop.attest(shop.arm64, SPDX);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

/// T-ATT-12: what BuildKit puts into an index is unsigned, wherever it is put.
#[tokio::test]
async fn unsigned_statements_are_never_evidence() {
    let mut shop = Shop::open(Config::default()).await;
    shop.demand = attested(SPDX);
    shop.scope.thoroughness = Thoroughness::Everything;
    let statement = Content::attestation(REPO, shop.amd64, SPDX, &json!({"a": 1}));
    let bytes = statement.payload().to_vec();
    let layer = shop.registry.put_blob(REPO, bytes.clone());
    let buildkit = |kind: &str, subject: Option<Digest>| {
        shop.changed(shop.attestation, |manifest| {
            manifest["layers"] = json!([{
                "mediaType": kind, "digest": layer, "size": bytes.len(),
                "annotations": {"in-toto.io/predicate-type": SPDX},
            }]);
            if let Some(subject) = subject {
                manifest["subject"] =
                    json!({"mediaType": media_type::IMAGE, "digest": subject, "size": 1});
            }
        })
    };
    let in_index = buildkit(media_type::IN_TOTO, None);
    let index = shop.put_index(&[
        shop.entry(shop.amd64, "linux", "amd64"),
        shop.buildkit_entry(in_index, shop.amd64),
    ]);
    let bundle = format!("{}.v0.3+json", media_type::BUNDLE_PREFIX);
    for (kind, expected) in [
        (media_type::IN_TOTO, "no-attestation"),
        (media_type::DSSE, "legacy-malformed"),
        (&bundle, "bundle-malformed"),
    ] {
        let referrer = buildkit(kind, Some(shop.amd64));
        assert_eq!(verdict(&shop.ask(shop.amd64).await), [expected], "{kind}");
        shop.registry.delete_manifest(REPO, referrer);
    }
    let questions = [
        (Covers::Index, shop.amd64),
        (Covers::Index, index),
        (Covers::Platforms, index),
    ];
    for (covers, asked) in questions {
        shop.covers = covers;
        let report = shop.ask(asked).await;
        assert_eq!(verdict(&report), ["no-attestation"], "{covers:?} {asked}");
    }
    for digest in [shop.amd64, index] {
        shop.attest(digest, SPDX);
    }
    for (covers, asked) in questions {
        shop.covers = covers;
        assert_eq!(verdict(&shop.ask(asked).await), ["allow"]);
    }
}

/// T-ATT-13.
#[tokio::test]
async fn an_attestation_of_any_type_needs_its_log_entry() {
    let mut shop = Shop::open(Config::default()).await;
    for predicate_type in [
        SPDX,
        "https://cyclonedx.org/bom",
        "https://slsa.dev/provenance/v0.2",
        "https://slsa.dev/provenance/v1",
        "https://cosign.sigstore.dev/attestation/vuln/v1",
        "https://cosign.sigstore.dev/attestation/v1",
        "https://openvex.dev/ns/v0.2.0",
    ] {
        shop.demand = attested(predicate_type);
        let content = Content::attestation(REPO, shop.index, predicate_type, &json!({}));
        let mut order = Order::keyless(now(), &shop.identity, content);
        order.entries.clear();
        let unlogged = shop.attach(shop.index, &shop.mint.sign(&order).unwrap());
        let report = shop.ask(shop.index).await;
        assert_eq!(verdict(&report), ["log-entry-missing"], "{predicate_type}");
        shop.registry.delete_manifest(REPO, unlogged);
        let logged = shop.attest(shop.index, predicate_type);
        assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
        shop.registry.delete_manifest(REPO, logged);
    }
}

/// T-DSSE-10: a signature over a file whose bytes are the manifest's.
#[tokio::test]
async fn a_signature_over_a_file_is_neither_one_over_an_image_nor_an_attestation() {
    let mut shop = Shop::open(Config::default()).await;
    let (_, bytes) = shop.registry.manifest(REPO, shop.index).unwrap();
    let over_file = shop.minted(Content::Message(bytes.to_vec()));
    shop.attach(shop.index, &over_file);
    for (demand, expected) in [
        (Demand::Signature, "no-signature"),
        (attested(SPDX), "no-attestation"),
        (Demand::FileSignature, "allow"),
    ] {
        shop.demand = demand;
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected]);
    }
    shop.attest(shop.index, SPDX);
    shop.sign(shop.index);
    for demand in [Demand::Signature, attested(SPDX)] {
        shop.demand = demand;
        assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    }
}

fn annotations(value: &str) -> BTreeMap<String, String> {
    [("build".to_owned(), value.to_owned())].into()
}

/// T-DSSE-11: one signature has the identity, another the annotation.
#[tokio::test]
async fn a_requirement_is_met_whole_by_one_signature() {
    let mut shop = Shop::open(Config::default()).await;
    shop.annotations = vec![("build".to_owned(), "1".to_owned())];
    let annotated = Content::image_with(shop.index, &annotations("1"));
    let stranger = GithubActions::push("mallory/shop", "release.yml").identity();
    let order = Order::keyless(now(), &stranger, annotated.clone());
    shop.sign(shop.index);
    assert_eq!(
        verdict(&shop.ask(shop.index).await),
        ["annotation-mismatch"]
    );
    shop.attach(shop.index, &shop.mint.sign(&order).unwrap());
    for thoroughness in [Thoroughness::UntilProven, Thoroughness::Everything] {
        shop.scope.thoroughness = thoroughness;
        assert_eq!(
            verdict(&shop.ask(shop.index).await),
            ["annotation-mismatch"]
        );
    }
    shop.attach(shop.index, &shop.minted(annotated));
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

/// T-DSSE-14: in bundles and in legacy layers.
#[tokio::test]
async fn an_annotation_that_is_demanded_is_there_with_its_value_and_type() {
    let mut shop = Shop::open(Config::default()).await;
    shop.annotations = vec![("build".to_owned(), "1".to_owned())];
    let edited = |content: Content, member: &str, annotations: &Value| {
        let text = String::from_utf8(content.payload().to_vec()).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        *json.pointer_mut(member).unwrap() = annotations.clone();
        json.to_string()
    };
    for (found, expected) in [
        (json!(null), "annotation-mismatch"),
        (json!({}), "annotation-mismatch"),
        (json!({"build": "2"}), "annotation-mismatch"),
        (json!({"build": "1 "}), "annotation-mismatch"),
        (json!({"Build": "1"}), "annotation-mismatch"),
        (json!({"build": 1}), "annotation-mismatch"),
        (json!({"build": ["1"]}), "annotation-mismatch"),
        (json!({"build": null}), "annotation-mismatch"),
        (json!({"build": "1", "other": 2}), "allow"),
    ] {
        let document = Content::simple_signing(REPO, shop.index, &BTreeMap::new());
        let document = Content::SimpleSigning(edited(document, "/optional", &found));
        let layer = shop.minted(document).legacy_layer(LegacyChain::Full);
        shop.attach_legacy(shop.index, &[layer]);
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected], "{found}");
        shop.attach_legacy(shop.index, &[]);

        let member = "/subject/0/annotations";
        let statement = edited(Content::image(shop.index), member, &found);
        let referrer = shop.attach(shop.index, &shop.minted(Content::Statement(statement)));
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected], "{found}");
        shop.registry.delete_manifest(REPO, referrer);
    }
}
