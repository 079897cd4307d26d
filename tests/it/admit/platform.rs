//! What an index says of its platforms against what the images say.

use scgate::admit::Thoroughness;
use scgate::model::Digest;
use scgate::model::Platform;
use scgate::policy::Covers;
use scgate::sandbox::registry::Config;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::json;

use super::shop::REPO;
use super::shop::Shop;
use super::shop::verdict;

async fn warnings(shop: &Shop, index: Digest) -> Vec<&'static str> {
    let report = shop.ask(index).await;
    assert_eq!(verdict(&report), ["allow"]);
    report.evidence.warnings.iter().map(|w| w.name()).collect()
}

#[tokio::test]
async fn two_images_for_one_platform_are_pointed_out_and_each_needs_its_signature() {
    let mut shop = Shop::open(Config::default()).await;
    let amd64 = shop.entry(shop.amd64, "linux", "amd64");
    let windows = |entry: &serde_json::Value, version: &str| {
        let mut entry = entry.clone();
        entry["platform"]["os"] = json!("windows");
        entry["platform"]["os.version"] = json!(version);
        entry
    };
    // The spelling of the architecture does not make another platform, the version of Windows does.
    let spoofed = shop.put_index(&[amd64.clone(), shop.entry(shop.arm64, "linux", "x86_64")]);
    let plain = shop.put_index(&[amd64.clone(), shop.entry(shop.arm64, "linux", "arm64")]);
    let twice = shop.put_index(&[amd64.clone(), amd64.clone()]);
    let versions = shop.put_index(&[
        windows(&amd64, "10.0.17763"),
        windows(&shop.entry(shop.arm64, "", "amd64"), "10.0.20348"),
    ]);
    for (index, expected) in [
        (spoofed, ["platform-repeated"].as_slice()),
        (plain, &[]),
        (twice, &[]),
        (versions, &[]),
    ] {
        shop.sign(index);
        assert_eq!(warnings(&shop, index).await, expected);
    }
    shop.covers = Covers::IndexAndPlatforms;
    shop.sign(shop.amd64);
    assert_eq!(verdict(&shop.ask(twice).await), ["allow"]);
    assert_eq!(verdict(&shop.ask(spoofed).await), ["no-signature"]);
    shop.sign(shop.arm64);
    assert_eq!(warnings(&shop, spoofed).await, ["platform-repeated"]);
}

fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

/// A node takes the first entry that may be for it, also one that leaves out what it looks for.
#[tokio::test]
async fn an_entry_that_a_node_may_take_needs_its_signature() {
    for (asked, own, expected, warned) in [
        (
            "linux/amd64",
            json!({"os": "windows", "architecture": "amd64"}),
            "allow",
            false,
        ),
        (
            "linux/amd64",
            json!({"os": "linux", "architecture": "amd64"}),
            "no-signature",
            false,
        ),
        (
            "linux/amd64",
            json!({"architecture": "amd64"}),
            "no-signature",
            true,
        ),
        (
            "linux/amd64",
            json!({"os": "", "architecture": "x86_64"}),
            "no-signature",
            true,
        ),
        ("linux/amd64", json!({"os": "linux"}), "no-signature", true),
        ("linux/amd64", json!({}), "no-signature", true),
        ("linux/amd64", json!(null), "no-signature", false),
        (
            "linux/amd64",
            json!({"architecture": "arm64"}),
            "allow",
            true,
        ),
        (
            "linux/arm64/v8",
            json!({"os": "linux", "architecture": "arm64", "variant": "v9"}),
            "allow",
            false,
        ),
        (
            "linux/arm64/v8",
            json!({"os": "linux", "architecture": "arm64", "variant": "v8.0"}),
            "no-signature",
            false,
        ),
        (
            "linux/arm64/v8",
            json!({"os": "linux", "architecture": "arm64", "variant": "?"}),
            "no-signature",
            false,
        ),
    ] {
        let mut shop = Shop::open(Config::default()).await;
        let evil = shop.image("evil", &["application/vnd.oci.image.layer.v1.tar+gzip"]);
        let mut first = shop.entry(evil, "linux", "amd64");
        first["platform"] = own.clone();
        let index = shop.put_index(&[
            first,
            shop.entry(shop.amd64, "linux", "amd64"),
            shop.entry(shop.arm64, "linux", "arm64"),
        ]);
        shop.sign(shop.amd64);
        shop.sign(shop.arm64);
        shop.covers = Covers::Platforms;
        shop.platforms = vec![platform(asked)];
        let report = shop.ask(index).await;
        assert_eq!(verdict(&report), [expected], "{own}");
        let names = report.evidence.warnings.iter().map(|w| w.name());
        let is_warned = names.into_iter().any(|name| name == "platform-incomplete");
        assert_eq!(is_warned, warned, "{own}");
    }
}

/// Nobody has seen the platform, so nobody can say that it is there.
#[tokio::test]
async fn what_could_not_be_read_holds_no_platform() {
    for (what, expected) in [
        ("there", "allow"),
        ("missing", "child-not-found"),
        ("503", "registry-unavailable"),
        ("untyped", "platform-missing"),
        ("untyped, there", "allow"),
        ("untyped, 503", "registry-unavailable"),
        ("of an unknown type", "platform-missing"),
    ] {
        let mut shop = Shop::open(Config::default()).await;
        let (image, architecture) = if what.contains("there") {
            (shop.arm64, "arm64")
        } else {
            (shop.amd64, "amd64")
        };
        let nested = shop.put_index(&[shop.entry(image, "linux", architecture)]);
        let mut second = shop.entry(nested, "linux", "amd64");
        second.as_object_mut().unwrap().remove("platform");
        if what.contains("untyped") {
            second["mediaType"] = json!("");
        }
        if what == "of an unknown type" {
            second["mediaType"] = json!("application/x-y");
        }
        let index = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64"), second]);
        shop.sign(index);
        if what == "missing" {
            shop.registry.delete_manifest(REPO, nested);
        }
        if what.contains("503") {
            let path = format!("/manifests/{nested}");
            shop.registry
                .inject(Fault::new(FaultKind::status(503)).path(&path));
        }
        shop.covers = Covers::Index;
        shop.platforms = vec![platform("linux/arm64")];
        assert_eq!(verdict(&shop.ask(index).await), [expected], "{what}");
        // What was not found does not matter where the platform is there.
        shop.platforms = vec![platform("linux/amd64")];
        assert_eq!(verdict(&shop.ask(index).await), ["allow"], "{what}");
    }
}

#[tokio::test]
async fn a_configuration_for_another_platform_is_pointed_out_where_everything_is_read() {
    let mut shop = Shop::open(Config::default()).await;
    let honest = shop.put_index(&[shop.entry(shop.amd64, "Linux", "x86-64")]);
    let spoofed = shop.put_index(&[shop.entry(shop.amd64, "linux", "arm64")]);
    shop.sign(honest);
    shop.sign(spoofed);
    assert!(warnings(&shop, spoofed).await.is_empty());
    shop.scope.thoroughness = Thoroughness::Everything;
    assert!(warnings(&shop, honest).await.is_empty());
    assert_eq!(warnings(&shop, spoofed).await, ["platform-differs"]);
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}});
    shop.registry
        .delete_blob(REPO, Digest::sha256(config.to_string().as_bytes()));
    assert_eq!(warnings(&shop, honest).await, ["platform-unread"]);
}
