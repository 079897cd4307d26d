//! Read and written by a client that was not written for it.

use core::time::Duration;

use oci_client::Client;
use oci_client::Reference;
use oci_client::client::Certificate;
use oci_client::client::CertificateEncoding;
use oci_client::client::ClientConfig;
use oci_client::client::ClientProtocol;
use oci_client::secrets::RegistryAuth;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::BlobDelivery;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Tls;
use serde_json::json;

use super::BUNDLE;
use super::Contents;
use super::REPO;
use super::provider;
use super::start;

fn client(registry: &Registry) -> Client {
    provider();
    let mut config = ClientConfig {
        protocol: ClientProtocol::Http,
        read_timeout: Some(Duration::from_secs(10)),
        ..ClientConfig::default()
    };
    if let Some(pem) = registry.ca_pem() {
        config.protocol = ClientProtocol::Https;
        config.tls_certs_only = vec![Certificate {
            encoding: CertificateEncoding::Pem,
            data: pem.as_bytes().to_vec(),
        }];
    }
    Client::try_from(config).unwrap()
}

fn by_tag(registry: &Registry, tag: &str) -> Reference {
    Reference::with_tag(registry.host(), REPO.to_owned(), tag.to_owned())
}

fn by_digest(registry: &Registry, digest: Digest) -> Reference {
    Reference::with_digest(registry.host(), REPO.to_owned(), digest.to_string())
}

/// Pulls manifest, index, blob and referrers.
pub(super) async fn pull_everything(registry: &Registry, contents: &Contents, auth: &RegistryAuth) {
    let client = client(registry);
    let types = [media_type::IMAGE, media_type::INDEX];

    let reference = by_tag(registry, "one");
    let (bytes, digest) = client
        .pull_manifest_raw(&reference, auth, &types)
        .await
        .unwrap();
    assert_eq!(digest, contents.image.to_string());
    assert!(contents.image.matches(&bytes));
    assert_eq!(
        client
            .fetch_manifest_digest(&reference, auth)
            .await
            .unwrap(),
        digest
    );

    let reference = by_digest(registry, contents.index);
    let (bytes, _) = client
        .pull_manifest_raw(&reference, auth, &types)
        .await
        .unwrap();
    assert!(contents.index.matches(&bytes));

    let mut layer = Vec::new();
    let digest = contents.layer.to_string();
    client
        .pull_blob(&reference, digest.as_str(), &mut layer)
        .await
        .unwrap();
    assert_eq!(layer, b"a layer");

    let reference = by_digest(registry, contents.image);
    let referrers = client.pull_referrers(&reference, None).await.unwrap();
    let [entry, ..] = referrers.manifests.as_slice() else {
        panic!("{referrers:?}");
    };
    assert_eq!(entry.digest, contents.artifact.to_string());
    assert_eq!(entry.artifact_type.as_deref(), Some(BUNDLE));

    let tags = client
        .list_tags(&reference, auth, None, None)
        .await
        .unwrap();
    assert!(tags.tags.contains(&"one".to_owned()), "{tags:?}");
}

#[tokio::test]
async fn anybody_pulls_over_plain_http() {
    let (registry, contents) = start(Config::default()).await;
    pull_everything(&registry, &contents, &RegistryAuth::Anonymous).await;
    let requests = registry.requests();
    assert!(requests.iter().all(|one| one.authorization.is_none()));
    assert!(requests.iter().any(|one| one.path.contains("/referrers/")));
    assert!(requests.iter().all(|one| one.status == Some(200)));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn referrers_are_found_by_the_fallback_tag_when_there_is_no_api() {
    let config = Config {
        referrers: Referrers::Off,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let (_, bytes) = registry.manifest(REPO, contents.artifact).unwrap();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": [{
            "mediaType": media_type::IMAGE,
            "digest": contents.artifact,
            "size": bytes.len(),
            "artifactType": BUNDLE,
        }],
    });
    let tag = format!("sha256-{}", contents.image.hex());
    registry.put_manifest(REPO, media_type::INDEX, index.to_string(), Some(&tag));
    pull_everything(&registry, &contents, &RegistryAuth::Anonymous).await;
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn users_pull_with_a_password() {
    let config = Config {
        auth: Auth::Basic(vec![User::new("alice", "secret")]),
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let auth = RegistryAuth::Basic("alice".to_owned(), "secret".to_owned());
    pull_everything(&registry, &contents, &auth).await;

    let wrong = RegistryAuth::Basic("alice".to_owned(), "wrong".to_owned());
    let reference = by_tag(&registry, "one");
    client(&registry)
        .pull_manifest_raw(&reference, &wrong, &[media_type::IMAGE])
        .await
        .unwrap_err();
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn users_pull_with_a_token_over_tls_and_a_redirect() {
    let (storage, _) = start(Config::default()).await;
    let config = Config {
        auth: Auth::Token(TokenAuth::new(vec![User::new("alice", "secret")])),
        blobs: BlobDelivery::RedirectTo(storage.url()),
        tls: Tls::On,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let auth = RegistryAuth::Basic("alice".to_owned(), "secret".to_owned());
    pull_everything(&registry, &contents, &auth).await;
    assert!(registry.token_exchanges() > 0);
    assert!(registry.requests().iter().all(|one| {
        one.path == "/token"
            || one
                .authorization
                .as_ref()
                .is_none_or(|value| value.starts_with("Bearer "))
    }));
    let stored = storage.requests();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].authorization, None);
    registry.stop().await.unwrap();
    storage.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_client_pushes_is_there() {
    let (registry, contents) = start(Config::default()).await;
    let client = client(&registry);
    client
        .store_auth_if_needed(&registry.host(), &RegistryAuth::Anonymous)
        .await;
    let reference = by_tag(&registry, "pushed");
    for bytes in ["{}", "pushed in pieces"] {
        let digest = Digest::sha256(bytes.as_bytes()).to_string();
        client.push_blob(&reference, bytes, &digest).await.unwrap();
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": "application/x",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": Digest::sha256(b"{}"),
            "size": 2,
        },
        "layers": [{
            "mediaType": "application/x",
            "digest": Digest::sha256(b"pushed in pieces"),
            "size": 16,
        }],
        "subject": { "mediaType": media_type::IMAGE, "digest": contents.image, "size": 1 },
    })
    .to_string();
    client
        .push_manifest_raw(
            &reference,
            manifest.clone(),
            media_type::IMAGE.parse().unwrap(),
        )
        .await
        .unwrap();
    let digest = Digest::sha256(manifest.as_bytes());
    assert_eq!(registry.resolve(REPO, "pushed"), Some(digest));
    assert_eq!(registry.manifest(REPO, digest).unwrap().1, manifest);
    let found = client
        .pull_referrers(&by_digest(&registry, contents.image), Some("application/x"))
        .await
        .unwrap();
    assert_eq!(found.manifests.len(), 1);
    registry.stop().await.unwrap();
}
