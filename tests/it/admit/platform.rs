//! What an index says of its platforms against what the images say.

use scgate::admit::Thoroughness;
use scgate::model::Digest;
use scgate::policy::Covers;
use scgate::sandbox::registry::Config;
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
