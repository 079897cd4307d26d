//! What a registry that was taken over can do without forging a signature or a digest.

use std::collections::BTreeSet;

use scgate::model::Digest;
use scgate::model::Reference;
use scgate::model::media_type;
use scgate::policy::Covers;
use scgate::policy::Decision;
use scgate::policy::Outcome;
use scgate::registry::Helpers;
use scgate::registry::Keyring;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::Order;
use scgate::sandbox::registry::AcceptRule;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;
use serde_json::json;

use super::fallback;
use super::shop::REPO;
use super::shop::Shop;
use super::shop::now;
use super::shop::verdict;
use crate::registry::keyring;

/// T-REG-07: a registry that refuses the credential and says 404 to a stranger hides something.
#[tokio::test]
async fn a_404_to_a_stranger_after_a_refused_credential_is_not_unsigned() {
    for look_up in ["/referrers/", ".sig"] {
        let mut auth = TokenAuth::new(vec![User::new("alice", "secret")]);
        auth.anonymous_pull = true;
        let mut shop = Shop::open(Config {
            auth: Auth::Token(auth),
            ..Config::default()
        })
        .await;
        shop.keyring = keyring(&shop.registry.host(), "alice", "secret");
        let unsigned = shop.ask_for(":1.0", None).await;
        assert_eq!(verdict(&unsigned), ["no-signature"]);
        if look_up == ".sig" {
            shop.sign_legacy(shop.index, 0, true);
        } else {
            shop.sign(shop.index);
        }
        assert_eq!(verdict(&shop.ask_for(":1.0", None).await), ["allow"]);

        // The tag was read with the credential, so it is what the look-up begins with.
        let refused = Fault::new(FaultKind::status(403)).times(1).path(look_up);
        let hidden = Fault::new(FaultKind::status(404)).after(1).path(look_up);
        shop.registry.inject(refused);
        shop.registry.inject(hidden);
        shop.registry.clear_requests();
        let report = shop.ask_for(":1.0", None).await;
        assert_eq!(verdict(&report), ["registry-forbidden"], "{look_up}");
        assert_eq!(report.decision.outcome(), Outcome::Undecided);
        let mut looked_up = shop.registry.requests();
        looked_up.retain(|request| request.path.contains(look_up));
        let statuses: Vec<_> = looked_up.iter().map(|request| request.status).collect();
        assert_eq!(statuses, [Some(403), Some(404)], "{look_up}");
        assert_ne!(looked_up[0].authorization, looked_up[1].authorization);
    }
}

/// T-REG-07, T-REG-12: a credential that scgate keeps back may be the one that sees the evidence.
#[tokio::test]
async fn a_404_to_a_stranger_after_a_withheld_credential_is_not_unsigned() {
    let mut auth = TokenAuth::new(vec![User::new("alice", "secret")]);
    auth.anonymous_pull = true;
    let mut shop = Shop::open(Config {
        auth: Auth::Token(auth),
        ..Config::default()
    })
    .await;
    let host = shop.registry.host();
    let token = |token: &str| {
        let config = json!({"auths": {&host: {"registrytoken": token}}}).to_string();
        Keyring::from_docker_config("config.json", config.as_bytes(), Helpers::Ignore).unwrap()
    };
    let port = shop.registry.address().port();
    let own = format!("http://127.0.0.1:{port}/token");
    let elsewhere = format!("http://localhost:{port}/token");
    let withheld = "were not sent to its token server";
    let cases = [
        // The twins: nothing is kept back.
        (keyring(&host, "alice", "secret"), &own, None),
        (Keyring::default(), &elsewhere, None),
        (
            keyring(&host, "alice", "secret"),
            &elsewhere,
            Some(withheld),
        ),
        (token("a\nb"), &own, Some("no header can hold")),
        (keyring(&host, "alice", "stale"), &own, Some("tried: ")),
    ];
    let digest = format!("@{}", shop.index);
    for (keyring, realm, note) in cases {
        shop.keyring = keyring;
        // By tag the image is read first, and what that taught holds for the look-ups.
        for (image, first_requests) in [(":1.0", 1), (digest.as_str(), 4)] {
            let signature = shop.sign(shop.index);
            let ask = async || {
                let realm = FaultKind::Realm(realm.clone());
                let fault = Fault::new(realm).path("/v2/").times(first_requests);
                shop.registry.inject(fault);
                let report = shop.ask_for(image, None).await;
                shop.registry.clear_faults();
                report
            };
            assert_eq!(verdict(&ask().await), ["allow"], "{image} {note:?}");
            shop.registry.delete_manifest(REPO, signature);
            let report = ask().await;
            match (note, &report.decision) {
                (None, _) => assert_eq!(verdict(&report), ["no-signature"], "{image}"),
                (Some(note), Decision::Undecided(gaps)) => {
                    assert_eq!(verdict(&report), ["registry-unauthorized"], "{image}");
                    assert!(gaps[0].found.contains(note), "{}", gaps[0].found);
                }
                (Some(note), other) => panic!("{image} {note}: {other:?}"),
            }
        }
    }
}

/// Several files may name credentials for one registry; the first may be long out of date.
#[tokio::test]
async fn a_404_to_who_may_see_the_repository_is_an_absence() {
    let alice = || User::new("alice", "secret");
    for auth in [
        Auth::Basic(vec![alice()]),
        Auth::Token(TokenAuth::new(vec![alice()])),
    ] {
        let mut shop = Shop::open(Config {
            auth,
            ..Config::default()
        })
        .await;
        let host = shop.registry.host();
        let keyring = |password| keyring(&host, "alice", password);
        let orders = [
            keyring("secret"),
            keyring("stale").then(keyring("secret")),
            keyring("secret").then(keyring("stale")),
        ];
        let digest = format!("@{}", shop.index);
        for keyring in orders {
            shop.keyring = keyring;
            for image in [":1.0", digest.as_str()] {
                let report = shop.ask_for(image, None).await;
                assert_eq!(verdict(&report), ["no-signature"], "{image}");
                let signature = shop.sign(shop.index);
                assert_eq!(verdict(&shop.ask_for(image, None).await), ["allow"]);
                shop.registry.delete_manifest(REPO, signature);
            }
        }
    }
}

/// T-REG-20 and entries of a fallback tag that anybody with push access could have put there.
#[tokio::test]
async fn entries_planted_in_a_fallback_tag_are_not_evidence() {
    let shop = Shop::open(fallback()).await;
    let genuine = shop.sign(shop.index);
    let of_another = shop.sign(shop.arm64);
    let misled = shop.changed(of_another, |referrer| {
        referrer["subject"]["digest"] = json!(shop.index);
    });
    let no_subject = shop.changed(genuine, |referrer| {
        referrer.as_object_mut().unwrap().remove("subject");
    });
    let no_layer = shop.changed(genuine, |referrer| referrer["layers"] = json!([]));
    let list = |entries: &[Digest]| {
        // The artifact type is the wrong one of cosign before 3.1.
        let entries: Vec<_> = entries
            .iter()
            .map(|digest| {
                json!({
                    "mediaType": media_type::IMAGE, "digest": digest, "size": 1,
                    "artifactType": "application/vnd.oci.empty.v1+json",
                })
            })
            .collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
        let tag = format!("sha256-{}", shop.index.hex());
        shop.registry
            .put_manifest(REPO, media_type::INDEX, index.to_string(), Some(&tag));
    };
    for (planted, expected) in [
        (of_another, "referrer-subject-mismatch"),
        (no_subject, "referrer-subject-mismatch"),
        (shop.amd64, "referrer-subject-mismatch"),
        // It says that it is about this image, and what was signed says otherwise.
        (misled, "subject-mismatch"),
        (no_layer, "no-signature"),
        (shop.index, "evidence-unreadable"),
        (Digest::sha256(b"gone"), "evidence-unreadable"),
    ] {
        list(&[planted]);
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected]);
        list(&[planted, genuine]);
        assert_eq!(
            verdict(&shop.ask(shop.index).await),
            ["allow"],
            "{expected}"
        );
    }
    // What was planted there is good evidence where it belongs.
    shop.registry
        .delete_tag(REPO, &format!("sha256-{}", shop.index.hex()));
    let tag = format!("sha256-{}", shop.arm64.hex());
    shop.registry.tag(REPO, &tag, of_another);
    assert_eq!(verdict(&shop.ask(shop.arm64).await), ["allow"]);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["no-signature"]);
}

/// T-REG-04, T-REG-05.
#[tokio::test]
async fn docker_and_oci_types_are_read_alike_and_schema_1_not_at_all() {
    let mut shop = Shop::open(Config {
        accept: AcceptRule::Lenient,
        ..Config::default()
    })
    .await;
    shop.sign(shop.amd64);
    for covers in [Covers::Index, Covers::IndexAndPlatforms] {
        shop.covers = covers;
        for (served_as, says, expected) in [
            (media_type::INDEX, Some(media_type::INDEX), "allow"),
            (media_type::INDEX, None, "allow"),
            (
                media_type::DOCKER_INDEX,
                Some(media_type::DOCKER_INDEX),
                "allow",
            ),
            (media_type::DOCKER_INDEX, None, "allow"),
            (
                media_type::INDEX,
                Some(media_type::DOCKER_INDEX),
                "manifest-malformed",
            ),
            (
                media_type::DOCKER_INDEX,
                Some(media_type::INDEX),
                "manifest-malformed",
            ),
            (media_type::IMAGE, None, "manifest-malformed"),
        ] {
            let entry = shop.entry(shop.amd64, "linux", "amd64");
            let mut index = json!({"schemaVersion": 2, "manifests": [entry]});
            if let Some(says) = says {
                index["mediaType"] = json!(says);
            }
            let index = shop
                .registry
                .put_manifest(REPO, served_as, index.to_string(), None);
            shop.sign(index);
            let report = shop.ask(index).await;
            assert_eq!(
                verdict(&report),
                [expected],
                "{served_as} {says:?} {covers:?}"
            );
        }
    }
    let layer = Digest::sha256(b"layer of amd64");
    let history = json!([{"v1Compatibility": "{\"id\":\"a\"}"}]);
    let plain = json!({
        "schemaVersion": 1, "name": REPO, "tag": "1.0", "architecture": "amd64",
        "fsLayers": [{"blobSum": layer}], "history": history,
    });
    let mut with_signature = plain.clone();
    with_signature["signatures"] =
        json!([{"header": {"alg": "ES256"}, "signature": "AA", "protected": "AA"}]);
    for (served_as, schema_1) in [
        (
            "application/vnd.docker.distribution.manifest.v1+json",
            &plain,
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            &with_signature,
        ),
        (media_type::DOCKER_IMAGE, &plain),
        (media_type::IMAGE, &with_signature),
    ] {
        let old = shop
            .registry
            .put_manifest(REPO, served_as, schema_1.to_string(), None);
        shop.sign(old);
        assert_eq!(
            verdict(&shop.ask(old).await),
            ["manifest-malformed"],
            "{served_as}"
        );
    }
}

/// T-REG-08, T-REG-21: the descriptor of a layer is what the bytes must be, and its `urls` are read
/// by nobody.
#[tokio::test]
async fn a_layer_is_what_its_descriptor_says_and_comes_from_its_repository() {
    let elsewhere = Registry::start(Config::default()).await.unwrap();
    let mut shop = Shop::open(Config::default()).await;
    let genuine = shop.sign(shop.amd64);
    let (_, bytes) = shop.registry.manifest(REPO, genuine).unwrap();
    let referrer: Value = serde_json::from_slice(&bytes).unwrap();
    let layer = Digest::parse(referrer["layers"][0]["digest"].as_str().unwrap()).unwrap();
    let bundle = shop.registry.blob(REPO, layer).unwrap();
    elsewhere.put_blob(REPO, bundle.clone());
    let url = format!("{}/v2/{REPO}/blobs/{layer}", elsewhere.url());
    assert_eq!(verdict(&shop.ask(shop.amd64).await), ["allow"]);

    let of_size = |size| shop.changed(genuine, |r| r["layers"][0]["size"] = json!(size));
    let lying = [of_size(bundle.len() - 1), of_size(bundle.len() + 1)];
    shop.registry.delete_manifest(REPO, genuine);
    for lying in lying {
        assert_eq!(verdict(&shop.ask(shop.amd64).await), ["digest-mismatch"]);
        shop.registry.delete_manifest(REPO, lying);
    }
    let with_urls = {
        let mut referrer = referrer;
        referrer["layers"][0]["urls"] = json!([url]);
        referrer.to_string()
    };
    shop.registry
        .put_manifest(REPO, media_type::IMAGE, with_urls, None);
    shop.registry.delete_blob(REPO, layer);
    assert_eq!(
        verdict(&shop.ask(shop.amd64).await),
        ["evidence-unreadable"]
    );
    shop.registry.put_blob(REPO, bundle);
    assert_eq!(verdict(&shop.ask(shop.amd64).await), ["allow"]);

    // Foreign layers of an image, too.
    let foreign = shop.changed(shop.arm64, |image| {
        image["layers"][0]["mediaType"] =
            json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        image["layers"][0]["urls"] = json!([url]);
    });
    shop.covers = Covers::IndexAndPlatforms;
    let index = shop.put_index(&[shop.entry(foreign, "linux", "arm64")]);
    shop.sign(index);
    assert_eq!(verdict(&shop.ask(index).await), ["no-signature"]);
    shop.sign(foreign);
    assert_eq!(verdict(&shop.ask(index).await), ["allow"]);
    assert!(elsewhere.requests().is_empty());
}

/// T-REG-15: a signature says nothing about the repository, so the policy of each names its signers.
#[tokio::test]
async fn an_image_copied_with_its_signature_is_judged_by_the_policy_of_its_new_place() {
    let mut shop = Shop::open(Config::default()).await;
    let genuine = shop.sign(shop.index);
    let copy = "other/app";
    for digest in [shop.index, genuine] {
        let (kind, bytes) = shop.registry.manifest(REPO, digest).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            let digest = Digest::parse(layer["digest"].as_str().unwrap()).unwrap();
            let blob = shop.registry.blob(REPO, digest).unwrap();
            shop.registry.put_blob(copy, blob);
        }
        shop.registry.put_manifest(copy, &kind, bytes, None);
    }
    let image = format!("{}/{copy}@{}", shop.registry.host(), shop.index);
    let image = Reference::parse(&image).unwrap();
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    assert_eq!(verdict(&shop.ask_about(&image, None).await), ["allow"]);
    shop.identity = GithubActions::push(copy, "release.yml").identity();
    let report = shop.ask_about(&image, None).await;
    assert_eq!(verdict(&report), ["identity-mismatch"]);
}

/// T-REG-17: without a maximal age an old release is allowed, and the record says how old it is.
#[tokio::test]
async fn an_old_release_is_allowed_with_the_time_of_its_signature() {
    let shop = Shop::open(Config::default()).await;
    let month_ago = now().plus_seconds(-31 * 24 * 3600);
    let order = Order::keyless(month_ago, &shop.identity, Content::image(shop.index));
    shop.attach(shop.index, &shop.mint.sign(&order).unwrap());
    let report = shop.ask(shop.index).await;
    let Decision::Allow(proven) = &report.decision else {
        panic!("{:?}", report.decision);
    };
    let times = proven[0].signature.times().iter().map(|time| time.time);
    assert_eq!(times.collect::<BTreeSet<_>>(), [month_ago].into());
}

/// T-REG-22.
#[tokio::test]
async fn a_digest_that_is_none_makes_the_whole_document_malformed() {
    let shop = Shop::open(Config::default()).await;
    let hex = shop.amd64.hex();
    let genuine = shop.sign(shop.amd64);
    for digest in [
        format!("sha256:{}", hex.chars().skip(1).collect::<String>()),
        format!("sha256:{hex}0"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("md5:{}", hex.chars().take(32).collect::<String>()),
        format!("sha512:{hex}"),
        "sha256:../../x".to_owned(),
        format!("sha256:{hex}/../x"),
        "sha256:".to_owned(),
        hex.clone(),
        String::new(),
    ] {
        let entry = shop.entry(shop.amd64, "linux", "amd64");
        let mut wrong = entry.clone();
        wrong["digest"] = json!(digest);
        let index = shop.put_index(&[entry.clone(), wrong]);
        shop.sign(index);
        assert_eq!(
            verdict(&shop.ask(index).await),
            ["manifest-malformed"],
            "{digest}"
        );
        let index = shop.put_index(&[entry]);
        let signature = shop.sign(index);
        assert_eq!(verdict(&shop.ask(index).await), ["allow"]);

        // In what holds the evidence.
        shop.registry.delete_manifest(REPO, signature);
        let signature = shop.sign(index);
        let wrong = shop.changed(signature, |r| r["layers"][0]["digest"] = json!(digest));
        shop.registry.delete_manifest(REPO, signature);
        assert_eq!(
            verdict(&shop.ask(index).await),
            ["evidence-unreadable"],
            "{digest}"
        );
        shop.registry.delete_manifest(REPO, wrong);
    }
    assert_eq!(verdict(&shop.ask(shop.amd64).await), ["allow"], "{genuine}");
    let asked = shop.registry.requests();
    assert!(asked.iter().all(|request| !request.path.contains("..")));
}
