//! The sandbox registry is what it says: real clients read and write it, and each fault shows on
//! the wire. What the other tests prove with it rests on this.

mod clients;
mod faults;
mod kinds;
mod lag;
mod protocol;
mod saving;
mod spec;
mod storage;
mod writing;

use rustls::crypto::aws_lc_rs;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use serde_json::json;

const REPO: &str = "team/app";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// An image, an index over it, and an artifact that refers to the image.
struct Contents {
    layer: Digest,
    image: Digest,
    index: Digest,
    artifact: Digest,
}

async fn start(config: Config) -> (Registry, Contents) {
    let registry = Registry::start(config).await.unwrap();
    let layer = registry.put_blob(REPO, "a layer");
    let config = registry.put_blob(REPO, "{}");
    let descriptor = |media_type: &str, digest: Digest, size: usize| json!({ "mediaType": media_type, "digest": digest, "size": size });
    let config = descriptor("application/vnd.oci.image.config.v1+json", config, 2);
    let image = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "config": config,
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer, 7)],
    })
    .to_string();
    let size = image.len();
    let image = registry.put_manifest(REPO, media_type::IMAGE, image, Some("one"));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": [descriptor(media_type::IMAGE, image, size)],
    })
    .to_string();
    let index = registry.put_manifest(REPO, media_type::INDEX, index, Some("all"));
    let artifact = artifact(&registry, image, 0);
    (
        registry,
        Contents {
            layer,
            image,
            index,
            artifact,
        },
    )
}

/// Stores an artifact that refers to `subject`.
fn artifact(registry: &Registry, subject: Digest, number: usize) -> Digest {
    let empty = registry.put_blob(REPO, "{}");
    let bundle = registry.put_blob(REPO, format!("bundle {number}"));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": BUNDLE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 },
        "layers": [{ "mediaType": BUNDLE, "digest": bundle, "size": 8 }],
        "subject": { "mediaType": media_type::IMAGE, "digest": subject, "size": 1 },
        "annotations": { "number": number.to_string() },
    });
    registry.put_manifest(REPO, media_type::IMAGE, manifest.to_string(), None)
}

/// A client that follows no redirect and trusts the registry's authority.
pub(crate) fn http(registry: &Registry) -> reqwest::Client {
    provider();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(pem) = registry.ca_pem() {
        let authority = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        builder = builder.tls_certs_only([authority]);
    }
    builder.build().unwrap()
}

/// A client without any TLS trust of its own.
pub(crate) fn plain() -> reqwest::Client {
    provider();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder()
        .redirect(none)
        .no_proxy()
        .build()
        .unwrap()
}

pub(crate) fn provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another test may have been faster, with the same one.
        drop(aws_lc_rs::default_provider().install_default());
    }
}
