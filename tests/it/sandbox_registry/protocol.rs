//! What a registry answers when nothing is wrong with it.

use core::time::Duration;

use reqwest::StatusCode;
use reqwest::Version;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::AcceptRule;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Tls;
use serde_json::Value;

use super::BUNDLE;
use super::REPO;
use super::artifact;
use super::http;
use super::start;

async fn get(registry: &Registry, path: &str, accept: &str) -> (StatusCode, String, Vec<u8>) {
    let url = format!("{}{path}", registry.url());
    let response = http(registry)
        .get(url)
        .header("accept", accept)
        .send()
        .await
        .unwrap();
    let header = |name| response.headers().get(name).map(|v| v.to_str().unwrap());
    let media_type = header("content-type").unwrap_or_default().to_owned();
    let status = response.status();
    (status, media_type, response.bytes().await.unwrap().to_vec())
}

fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_missing_or_not_accepted_is_a_404_with_an_oci_error() {
    let (registry, contents) = start(Config::default()).await;
    let none = Digest::sha256(b"none");
    for (path, expected) in [
        ("/v2/team/app/manifests/none".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/team/app/manifests/{none}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/team/app/blobs/{none}"), "BLOB_UNKNOWN"),
        ("/v2/none/manifests/one".to_owned(), "NAME_UNKNOWN"),
        ("/v2/none/tags/list".to_owned(), "NAME_UNKNOWN"),
        ("/v2/team/app/manifests/all".to_owned(), "MANIFEST_UNKNOWN"),
    ] {
        let (status, media_type, body) = get(&registry, &path, media_type::IMAGE).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(media_type, "application/json", "{path}");
        assert_eq!(code(&body), expected, "{path}");
    }
    let path = "/v2/team/app/manifests/sha256:00";
    assert_eq!(get(&registry, path, "*/*").await.0, 400);

    let both = format!("{}, {};q=0.5", media_type::IMAGE, media_type::INDEX);
    let (status, found, body) = get(&registry, "/v2/team/app/manifests/all", &both).await;
    assert_eq!((status.as_u16(), found.as_str()), (200, media_type::INDEX));
    assert!(contents.index.matches(&body));
    registry.stop().await.unwrap();

    let config = Config {
        accept: AcceptRule::Lenient,
        ..Config::default()
    };
    let (registry, _) = start(config).await;
    let (status, ..) = get(&registry, "/v2/team/app/manifests/all", "*/*").await;
    assert_eq!(status, 200);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let (registry, contents) = start(Config::default()).await;
    for (path, size) in [
        (format!("/v2/{REPO}/blobs/{}", contents.layer), 7),
        (
            format!("/v2/{REPO}/manifests/{}", contents.image),
            registry.manifest(REPO, contents.image).unwrap().1.len(),
        ),
    ] {
        let response = http(&registry)
            .head(format!("{}{path}", registry.url()))
            .header("accept", media_type::IMAGE)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], size.to_string());
        let digest = response.headers()["docker-content-digest"]
            .to_str()
            .unwrap();
        assert!(path.ends_with(digest));
        assert!(response.bytes().await.unwrap().is_empty());
    }
    registry.stop().await.unwrap();
}

/// Follows `Link` headers and gives the number of entries on each page.
async fn pages(registry: &Registry, first: &str, member: &str) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let url = format!("{}{path}", registry.url());
        let response = http(registry).get(url).send().await.unwrap();
        next = response.headers().get("link").map(|link| {
            let link = link.to_str().unwrap();
            let (path, rest) = link.trim_start_matches('<').split_once('>').unwrap();
            assert_eq!(rest, "; rel=\"next\"");
            path.to_owned()
        });
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        sizes.push(body[member].as_array().unwrap().len());
    }
    sizes
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let config = Config {
        page_size: Some(2),
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    for number in 1..5 {
        artifact(&registry, contents.image, number);
        registry.tag(REPO, &format!("t{number}"), contents.image);
    }
    let path = format!("/v2/{REPO}/referrers/{}", contents.image);
    assert_eq!(pages(&registry, &path, "manifests").await, [2, 2, 1]);
    let filtered = format!("{path}?artifactType={}", BUNDLE.replace('+', "%2B"));
    assert_eq!(pages(&registry, &filtered, "manifests").await, [2, 2, 1]);
    let other = format!("{path}?artifactType=application/x");
    assert_eq!(pages(&registry, &other, "manifests").await, [0]);
    let path = format!("/v2/{REPO}/tags/list");
    assert_eq!(pages(&registry, &path, "tags").await, [2, 2, 2]);
    assert_eq!(
        pages(&registry, &format!("{path}?n=1"), "tags").await.len(),
        6
    );
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn the_referrers_api_has_its_dialects() {
    let none = Digest::sha256(b"none");
    for (kind, status, artifact_type, filtered) in [
        (Referrers::Api, 200, BUNDLE, true),
        (Referrers::ApiUnfiltered, 200, BUNDLE, false),
        (
            Referrers::ApiWrongType,
            200,
            "application/vnd.oci.empty.v1+json",
            true,
        ),
        (Referrers::Off, 404, "", false),
        (Referrers::Refused(400), 400, "", false),
        (Referrers::Refused(406), 406, "", false),
    ] {
        let config = Config {
            referrers: kind,
            ..Config::default()
        };
        let (registry, contents) = start(config).await;
        let url =
            |subject, query| format!("{}/v2/{REPO}/referrers/{subject}{query}", registry.url());
        let client = http(&registry);
        let answer = client.get(url(contents.image, "")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{kind:?}");
        if status == 404 {
            let media_type = answer.headers()["content-type"].to_str().unwrap();
            assert!(media_type.starts_with("text/plain"));
        }
        if status == 200 {
            assert_eq!(answer.headers()["content-type"], media_type::INDEX);
            let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(body["manifests"][0]["artifactType"], artifact_type);
            let annotated = body["manifests"][0]["annotations"].is_object();
            assert_eq!(annotated, kind != Referrers::ApiWrongType);

            let answer = client.get(url(none, "")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let query = "?artifactType=application/x";
            let answer = client.get(url(contents.image, query)).send().await.unwrap();
            let applied = answer.headers().contains_key("oci-filters-applied");
            assert_eq!(applied, filtered, "{kind:?}");
        }
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_for_what_was_asked_and_not_for_ever() {
    let tokens = TokenAuth::new(vec![
        User::new("alice", "secret").identity_token("refresh me"),
        User::new("bob", "other").only("elsewhere"),
    ]);
    let config = Config {
        auth: Auth::Token(tokens),
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let client = http(&registry);
    let blob = format!("{}/v2/{REPO}/blobs/{}", registry.url(), contents.layer);

    let refused = client.get(&blob).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(
        challenge,
        format!(
            "Bearer realm=\"{}/token\",service=\"scgate-sandbox\",scope=\"repository:{REPO}:pull\"",
            registry.url()
        )
    );

    let realm = format!(
        "{}/token?service=scgate-sandbox&scope=repository:{REPO}:pull",
        registry.url()
    );
    assert_eq!(client.get(&realm).send().await.unwrap().status(), 401);
    let wrong = client.get(&realm).basic_auth("alice", Some("other"));
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    assert_eq!(registry.token_exchanges(), 0);

    let by_password = client.get(&realm).basic_auth("alice", Some("secret"));
    let form = format!(
        "grant_type=refresh_token&service=scgate-sandbox&client_id=x&scope=repository%3A{}%3Apull&refresh_token=refresh+me",
        REPO.replace('/', "%2F")
    );
    let by_identity = client
        .post(format!("{}/token", registry.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let confined = client.get(&realm).basic_auth("bob", Some("other"));
    for (request, expected) in [(by_password, 200), (by_identity, 200), (confined, 401)] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let token = body["token"].as_str().unwrap();
        let answer = client.get(&blob).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), expected);
        let upload = format!("{}/v2/{REPO}/blobs/uploads/", registry.url());
        let answer = client.post(upload).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 401, "the token is for pulling");
    }
    assert_eq!(registry.token_exchanges(), 3);
    registry.stop().await.unwrap();

    let mut tokens = TokenAuth::new(Vec::new());
    tokens.anonymous_pull = true;
    tokens.lifetime = Duration::ZERO;
    let config = Config {
        auth: Auth::Token(tokens),
        ..Config::default()
    };
    let (registry, _) = start(config).await;
    let url = registry.url();
    let answer = client.get(format!("{url}/token")).send().await.unwrap();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let token = body["token"].as_str().unwrap();
    let ping = client.get(format!("{url}/v2/")).bearer_auth(token);
    let answer = ping.send().await.unwrap();
    assert_eq!(answer.status(), 401, "the token has expired");
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.ends_with(",error=\"invalid_token\""),
        "{challenge}"
    );
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn http2_is_offered_over_tls_and_requests_are_kept_with_their_connection() {
    let config = Config {
        tls: Tls::On,
        delay: Duration::from_millis(50),
        ..Config::default()
    };
    let (registry, _) = start(config).await;
    let client = http(&registry);
    let url = format!("{}/v2/", registry.url());
    client.get(&url).send().await.unwrap();
    let many: Vec<_> = (0..4)
        .map(|_| tokio::spawn(client.get(&url).send()))
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap().unwrap().version(), Version::HTTP_2);
    }
    assert_eq!(registry.connections(), 1);
    assert_eq!(registry.requests().len(), 5);
    assert!(registry.peak_parallel() > 1);
    let requests = registry.requests();
    assert!(requests.iter().all(|one| one.connection == 1));
    assert_eq!(requests[0].line(), "GET /v2/");
    registry.stop().await.unwrap();
    client.get(&url).send().await.unwrap_err();
}

#[tokio::test]
async fn bad_certificates_are_bad() {
    for tls in [Tls::Expired, Tls::OtherName] {
        let config = Config {
            tls,
            ..Config::default()
        };
        let registry = Registry::start(config).await.unwrap();
        let url = format!("{}/v2/", registry.url());
        let error = http(&registry).get(url).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert!(registry.requests().is_empty());
        registry.stop().await.unwrap();
    }
}

/// A tar archive with one file for each entry.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = b'0';
        out.extend(header);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[tokio::test]
async fn layouts_and_archives_are_loaded_with_their_tags() {
    let (source, contents) = start(Config::default()).await;
    let (_, image) = source.manifest(REPO, contents.image).unwrap();
    let (_, index) = source.manifest(REPO, contents.index).unwrap();
    let (_, artifact) = source.manifest(REPO, contents.artifact).unwrap();
    let root = serde_json::json!({
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": media_type::INDEX,
                "digest": contents.index,
                "size": index.len(),
                "annotations": { "org.opencontainers.image.ref.name": "v1" },
            },
            { "mediaType": media_type::IMAGE, "digest": contents.artifact, "size": artifact.len() },
        ],
    });
    let blob =
        |digest: Digest, bytes: &[u8]| (format!("blobs/sha256/{}", digest.hex()), bytes.to_vec());
    let files = [
        ("index.json".to_owned(), root.to_string().into_bytes()),
        blob(contents.index, &index),
        blob(contents.image, &image),
        blob(contents.artifact, &artifact),
        blob(contents.layer, b"a layer"),
    ];
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
    for (name, bytes) in &files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }

    let registry = Registry::start(Config::default()).await.unwrap();
    let loaded = registry.load_layout("from/dir", dir.path()).unwrap();
    assert_eq!(
        registry.load_archive("from/tar", &tar(&files)).unwrap(),
        loaded
    );
    assert_eq!(loaded[0].digest, contents.index);
    assert_eq!(loaded[0].tag.as_deref(), Some("v1"));
    for repo in ["from/dir", "from/tar"] {
        assert_eq!(registry.resolve(repo, "v1"), Some(contents.index));
        assert_eq!(registry.blob(repo, contents.layer).unwrap(), "a layer");
        let stored = registry.manifest(repo, contents.image).unwrap();
        assert_eq!(stored, (media_type::IMAGE.to_owned(), image.clone()));
        let path = format!("/v2/{repo}/referrers/{}", contents.image);
        assert_eq!(pages(&registry, &path, "manifests").await, [1]);
    }
    registry
        .load_layout("x", &dir.path().join("none"))
        .unwrap_err();
    registry.load_archive("x", &tar(&[])).unwrap_err();
    registry.stop().await.unwrap();
    source.stop().await.unwrap();
}
