//! Pushing, mounting and deleting, request by request.

use reqwest::Method;
use reqwest::Response;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::BlobDelivery;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::TokenAuth;
use serde_json::Value;
use serde_json::json;

use super::Contents;
use super::REPO;
use super::http;
use super::start;

async fn send(registry: &Registry, method: Method, path: &str, body: &'static str) -> Response {
    let url = format!("{}{path}", registry.url());
    http(registry)
        .request(method, url)
        .header("content-type", media_type::IMAGE)
        .header("accept", media_type::IMAGE)
        .body(body)
        .send()
        .await
        .unwrap()
}

fn location(response: &Response) -> Option<String> {
    let location = response.headers().get("location")?;
    Some(location.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_blob_comes_whole_or_in_pieces_and_under_its_own_digest() {
    let (registry, contents) = start(Config::default()).await;
    let uploads = format!("/v2/{REPO}/blobs/uploads/");
    let digest = Digest::sha256(b"whole");
    let whole = format!("{uploads}?digest={digest}");
    assert_eq!(
        send(&registry, Method::POST, &whole, "whole")
            .await
            .status(),
        201
    );
    assert_eq!(
        send(&registry, Method::POST, &whole, "other")
            .await
            .status(),
        400
    );
    assert_eq!(registry.blob(REPO, digest).unwrap(), "whole");

    let begun = send(&registry, Method::POST, &uploads, "").await;
    assert_eq!(begun.status(), 202);
    let upload = location(&begun).unwrap();
    let piece = |range: &'static str, body: &'static str| {
        http(&registry)
            .patch(format!("{}{upload}", registry.url()))
            .header("content-range", range)
            .body(body)
            .send()
    };
    let first = piece("0-3", "in p").await.unwrap();
    assert_eq!(first.status(), 202);
    assert_eq!(first.headers()["range"], "0-3");
    assert_eq!(piece("7-9", "ces").await.unwrap().status(), 416);
    assert_eq!(
        send(&registry, Method::GET, &upload, "").await.headers()["range"],
        "0-3"
    );
    let digest = Digest::sha256(b"in pieces");
    let end = format!("{upload}&digest={digest}");
    let ended = send(&registry, Method::PUT, &end, "ieces").await;
    assert_eq!(ended.status(), 201);
    assert_eq!(
        location(&ended).unwrap(),
        format!("/v2/{REPO}/blobs/{digest}")
    );
    assert_eq!(registry.blob(REPO, digest).unwrap(), "in pieces");
    assert_eq!(send(&registry, Method::PUT, &end, "").await.status(), 404);

    let mount = format!(
        "/v2/new/repo/blobs/uploads/?mount={}&from={REPO}",
        contents.layer
    );
    assert_eq!(
        send(&registry, Method::POST, &mount, "").await.status(),
        201
    );
    assert_eq!(
        registry.blob("new/repo", contents.layer).unwrap(),
        "a layer"
    );
    let mount = mount.replace(REPO, "nowhere");
    assert_eq!(
        send(&registry, Method::POST, &mount, "").await.status(),
        202
    );
    registry.stop().await.unwrap();
}

/// Pushes an artifact that refers to the image, with what `change` does to it.
async fn push(
    registry: &Registry,
    contents: &Contents,
    reference: Option<&str>,
    change: impl FnOnce(&mut Value),
) -> Response {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "config": { "mediaType": "application/x", "digest": contents.layer, "size": 7 },
        "layers": [],
        "subject": { "mediaType": media_type::IMAGE, "digest": contents.image, "size": 1 },
    });
    change(&mut manifest);
    let manifest = manifest.to_string();
    let own = Digest::sha256(manifest.as_bytes()).to_string();
    let reference = reference.unwrap_or(&own);
    http(registry)
        .put(format!(
            "{}/v2/{REPO}/manifests/{reference}",
            registry.url()
        ))
        .header("content-type", media_type::IMAGE)
        .body(manifest)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_manifest_is_taken_when_it_is_whole() {
    for referrers in [Referrers::Api, Referrers::ApiWrongType, Referrers::Off] {
        let config = Config {
            omit_location: referrers == Referrers::Off,
            referrers,
            ..Config::default()
        };
        let (registry, contents) = start(config).await;
        let answer = push(&registry, &contents, None, |_| ()).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(location(&answer).is_some(), referrers != Referrers::Off);
        let subject = answer.headers().get("oci-subject");
        let subject = subject.map(|value| value.to_str().unwrap().to_owned());
        let said = (referrers == Referrers::Api).then(|| contents.image.to_string());
        assert_eq!(subject, said);
        registry.stop().await.unwrap();
    }

    let (registry, contents) = start(Config::default()).await;
    let none = Digest::sha256(b"none");
    let other = none.to_string();
    let answer = push(&registry, &contents, Some(&other), |_| ()).await;
    assert_eq!(answer.status(), 400, "another digest");
    let answer = push(&registry, &contents, Some("t"), |it| {
        it["config"]["digest"] = json!(none)
    });
    assert_eq!(answer.await.status(), 400, "a missing blob");
    let answer = push(&registry, &contents, Some("t"), |it| {
        it["mediaType"] = json!(media_type::INDEX);
    });
    assert_eq!(answer.await.status(), 400, "another media type");
    let answer = push(&registry, &contents, Some("t"), |it| {
        it["manifests"] = json!([{ "digest": none }])
    });
    assert_eq!(answer.await.status(), 400, "a missing child");
    assert_eq!(registry.resolve(REPO, "t"), None);
    let answer = push(&registry, &contents, Some("t"), |it| {
        it["subject"]["digest"] = json!(none)
    });
    assert_eq!(answer.await.status(), 201, "a subject may come later");
    assert!(registry.tags(REPO).contains(&"t".to_owned()));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let (registry, contents) = start(Config::default()).await;
    for path in [
        format!("/v2/{REPO}/manifests/all"),
        format!("/v2/{REPO}/manifests/{}", contents.image),
        format!("/v2/{REPO}/blobs/{}", contents.layer),
    ] {
        assert_eq!(
            send(&registry, Method::DELETE, &path, "").await.status(),
            202
        );
        assert_eq!(send(&registry, Method::GET, &path, "").await.status(), 404);
        assert_eq!(
            send(&registry, Method::DELETE, &path, "").await.status(),
            404
        );
    }
    assert_eq!(
        registry.resolve(REPO, "one"),
        None,
        "the tag went with its manifest"
    );
    assert!(registry.manifest(REPO, contents.index).is_some());
    registry.delete_manifest(REPO, contents.index);
    assert!(registry.manifest(REPO, contents.index).is_none());
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn anonymous_tokens_pull_and_do_no_more() {
    let mut tokens = TokenAuth::new(Vec::new());
    tokens.anonymous_pull = true;
    let config = Config {
        auth: Auth::Token(tokens),
        blobs: BlobDelivery::RedirectHere,
        open_ping: true,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    assert_eq!(send(&registry, Method::GET, "/v2/", "").await.status(), 200);
    let path = format!("/token?service=scgate-sandbox&scope=repository:{REPO}:pull,push");
    let answer = send(&registry, Method::GET, &path, "").await;
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(body["expires_in"], 300);
    let client = http(&registry);
    let blob = format!("{}/v2/{REPO}/blobs/{}", registry.url(), contents.layer);
    let answer = client.get(&blob).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 307);
    let stored = format!("{}{}", registry.url(), location(&answer).unwrap());
    let answer = client.get(&stored).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 400, "the storage wants no credentials");
    let answer = client.get(&stored).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "a layer");

    let answer = client
        .delete(&blob)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.ends_with(":delete\",error=\"insufficient_scope\""),
        "{challenge}"
    );
    registry.revoke_tokens();
    let answer = client.get(&blob).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    registry.stop().await.unwrap();
}
