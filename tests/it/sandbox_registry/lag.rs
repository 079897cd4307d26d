//! Reads that lag behind writes, faults by chance, and faults that were written as text.

use core::time::Duration;

use reqwest::Method;
use reqwest::Response;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;

use super::REPO;
use super::artifact;
use super::http;
use super::start;

async fn get(registry: &Registry, path: &str) -> Response {
    http(registry)
        .get(format!("{}{path}", registry.url()))
        .header("accept", media_type::IMAGE)
        .send()
        .await
        .unwrap()
}

/// The digest that a tag has for a client.
async fn tag(registry: &Registry, tag: &str) -> Option<String> {
    let answer = get(registry, &format!("/v2/{REPO}/manifests/{tag}")).await;
    let digest = answer.headers().get("docker-content-digest")?;
    Some(digest.to_str().unwrap().to_owned())
}

/// What a list has for a client.
async fn list(registry: &Registry, rest: &str, member: &str) -> Vec<Value> {
    let answer = get(registry, &format!("/v2/{REPO}/{rest}")).await;
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    body[member].as_array().unwrap().clone()
}

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

#[tokio::test]
async fn tags_are_read_as_before_the_last_write() {
    let (registry, contents) = start(Config::default()).await;
    registry.inject(fault("stale-reads,reads=2,method=GET"));
    let other = registry.put_manifest(REPO, media_type::IMAGE, "{}", Some("one"));
    let before = contents.image.to_string();
    assert_eq!(tag(&registry, "one").await, Some(before.clone()));
    assert_eq!(tag(&registry, "one").await, Some(before));
    assert_eq!(
        tag(&registry, "one").await,
        Some(other.to_string()),
        "after two reads"
    );
    let by_digest = get(&registry, &format!("/v2/{REPO}/manifests/{other}")).await;
    assert_eq!(by_digest.status(), 200, "a digest is not looked up");

    registry.tag(REPO, "new", other);
    assert_eq!(tag(&registry, "new").await, None);
    assert!(
        !list(&registry, "tags/list", "tags")
            .await
            .contains(&"new".into())
    );
    assert!(
        list(&registry, "tags/list", "tags")
            .await
            .contains(&"new".into())
    );

    registry.delete_tag(REPO, "new");
    assert_eq!(
        tag(&registry, "new").await,
        Some(other.to_string()),
        "not yet gone"
    );
    let head = http(&registry).head(format!("{}/v2/{REPO}/manifests/new", registry.url()));
    assert_eq!(
        head.send().await.unwrap().status(),
        404,
        "the fault is for GET"
    );
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn referrers_are_read_as_before_the_last_write() {
    let (registry, contents) = start(Config::default()).await;
    let path = format!("referrers/{}", contents.image);
    registry.inject(fault("stale-reads,path=/referrers/"));
    let second = artifact(&registry, contents.image, 1);
    for _ in 0..3 {
        assert_eq!(
            list(&registry, &path, "manifests").await.len(),
            1,
            "for ever"
        );
    }
    registry.delete_manifest(REPO, second);
    assert_eq!(
        list(&registry, &path, "manifests").await.len(),
        2,
        "not yet gone"
    );
    registry.clear_faults();
    assert_eq!(list(&registry, &path, "manifests").await.len(), 1);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn reads_lag_for_a_while() {
    let (registry, _) = start(Config::default()).await;
    registry.inject(Fault::new(FaultKind::StaleReads {
        reads: None,
        lasting: Some(Duration::from_millis(200)),
    }));
    let other = registry.put_manifest(REPO, media_type::IMAGE, "{}", Some("later"));
    assert_eq!(tag(&registry, "later").await, None);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(tag(&registry, "later").await, Some(other.to_string()));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_client_pushes_lags_too_and_its_siblings_do_not() {
    let (registry, contents) = start(Config::default()).await;
    registry.inject(fault("stale-reads"));
    let (_, image) = registry.manifest(REPO, contents.image).unwrap();
    let url = format!("{}/v2/{REPO}/manifests/pushed", registry.url());
    let put = http(&registry)
        .put(url)
        .header("content-type", media_type::IMAGE);
    assert_eq!(put.body(image).send().await.unwrap().status(), 201);
    assert_eq!(tag(&registry, "pushed").await, None);
    assert_eq!(
        tag(&registry, "one").await,
        Some(contents.image.to_string())
    );
    let elsewhere = registry.put_manifest("other", media_type::IMAGE, "{}", None);
    registry.tag("other", "t", elsewhere);
    assert_eq!(
        tag(&registry, "pushed").await,
        None,
        "another repository's write"
    );
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_location_is_missing_where_it_was_told() {
    let (registry, contents) = start(Config::default()).await;
    registry.inject(fault("no-location,path=/uploads/,times=1"));
    let url = format!("{}/v2/{REPO}/blobs/uploads/", registry.url());
    let client = http(&registry);
    for missing in [true, false] {
        let answer = client.post(&url).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.headers().get("location").is_none(), missing);
    }
    registry.inject(fault("no-location,method=PUT,path=/manifests/"));
    let (_, image) = registry.manifest(REPO, contents.image).unwrap();
    let put = client
        .put(format!("{}/v2/{REPO}/manifests/t", registry.url()))
        .header("content-type", media_type::IMAGE)
        .body(image);
    let answer = put.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("location")),
        (201, None)
    );
    registry.stop().await.unwrap();
}

/// Which of so many requests were refused.
async fn refused(registry: &Registry, count: usize) -> Vec<bool> {
    let mut refused = Vec::new();
    for _ in 0..count {
        refused.push(get(registry, "/v2/").await.status() == 503);
    }
    refused
}

#[tokio::test]
async fn chance_meets_the_same_requests_again() {
    let (registry, _) = start(Config::default()).await;
    let mut runs = Vec::new();
    for text in [
        "status=503,chance=0.5,seed=7",
        "status=503,chance=0.5,seed=7",
        "status=503,chance=0.5,seed=8",
    ] {
        registry.clear_faults();
        registry.inject(fault(text));
        runs.push(refused(&registry, 40).await);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let met = runs[0].iter().filter(|met| **met).count();
    assert!((10..=30).contains(&met), "{met}");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_limit_begins_after_so_many_requests_with_or_without_a_hint() {
    for (text, hint) in [
        ("status=429,retry-after=3,path=/blobs/,after=2", Some("3")),
        ("status=429,path=/blobs/,after=2", None),
    ] {
        let (registry, contents) = start(Config::default()).await;
        registry.inject(fault(text));
        let path = format!("/v2/{REPO}/blobs/{}", contents.layer);
        for expected in [200, 200, 429, 429] {
            let answer = get(&registry, &path).await;
            assert_eq!(answer.status(), expected);
            let after = answer.headers().get("retry-after");
            let after = after.map(|after| after.to_str().unwrap());
            assert_eq!(after, hint.filter(|_| expected == 429));
            if expected == 429 {
                assert!(answer.text().await.unwrap().contains("TOOMANYREQUESTS"));
            }
        }
        assert_eq!(get(&registry, "/v2/").await.status(), 200);
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn faults_as_text_show_on_the_wire() {
    let wrong = Digest::sha256(b"other").to_string();
    for (text, name, expected) in [
        ("wrong-digest", "docker-content-digest", wrong.as_str()),
        (
            "link=http://other.invalid/?a\\,b",
            "link",
            "<http://other.invalid/?a,b>; rel=\"next\"",
        ),
        ("header=warning:299 - \"old\"", "warning", "299 - \"old\""),
        ("no-header=etag", "etag", ""),
        ("content-type=text/html", "content-type", "text/html"),
        (
            "redirect=http://other.invalid/x,status=308",
            "location",
            "http://other.invalid/x",
        ),
        (
            "realm=http://other.invalid/t",
            "www-authenticate",
            "Bearer realm=\"http://other.invalid/t\"",
        ),
        ("gzip", "content-encoding", "gzip"),
        ("endless-length", "content-length", "1099511627776"),
    ] {
        let (registry, contents) = start(Config::default()).await;
        registry.inject(fault(text));
        let answer = get(
            &registry,
            &format!("/v2/{REPO}/manifests/{}", contents.image),
        )
        .await;
        let value = answer
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap());
        assert!(value.starts_with(expected), "{text}: {value}");
        assert_eq!(value.is_empty(), expected.is_empty(), "{text}: {value}");
        registry.stop().await.unwrap();
    }
    let (registry, contents) = start(Config::default()).await;
    registry.inject(fault("reset,times=1"));
    let url = format!("{}/v2/{REPO}/blobs/{}", registry.url(), contents.layer);
    let request = || http(&registry).request(Method::GET, &url).send();
    request().await.unwrap_err();
    registry.inject(fault("short-body,times=1"));
    request().await.unwrap().bytes().await.unwrap_err();
    registry.inject(fault("hang,times=1"));
    let hang = tokio::time::timeout(Duration::from_millis(300), request());
    assert!(hang.await.is_err());
    assert_eq!(request().await.unwrap().bytes().await.unwrap(), "a layer");
    registry.stop().await.unwrap();
}
