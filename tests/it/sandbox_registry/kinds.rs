//! The kinds of registry beside the default one: what each switch changes, and what it leaves.

use reqwest::Method;
use reqwest::Response;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Deletes;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::Shortcuts;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use serde_json::Value;
use serde_json::json;

use super::Contents;
use super::REPO;
use super::http;
use super::start;

async fn ask(
    registry: &Registry,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Response {
    let url = format!("{}{path}", registry.url());
    let mut request = http(registry).request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (
        status,
        body["errors"][0]["code"].as_str().unwrap().to_owned(),
    )
}

/// The bytes of the image with something in them that makes another manifest.
fn other_image(registry: &Registry, contents: &Contents) -> Vec<u8> {
    let (_, bytes) = registry.manifest(REPO, contents.image).unwrap();
    let mut image: Value = serde_json::from_slice(&bytes).unwrap();
    image["annotations"] = json!({ "other": "yes" });
    image.to_string().into_bytes()
}

async fn put(
    registry: &Registry,
    tag: &str,
    condition: Option<(&str, &str)>,
    body: Vec<u8>,
) -> Response {
    let mut headers = vec![("content-type", media_type::IMAGE)];
    headers.extend(condition);
    let path = format!("/v2/{REPO}/manifests/{tag}");
    ask(registry, Method::PUT, &path, &headers, body).await
}

#[tokio::test]
async fn reads_are_conditional_when_the_registry_obeys() {
    for obeys in [true, false] {
        let config = Config {
            conditional: obeys,
            ..Config::default()
        };
        let (registry, contents) = start(config).await;
        let unchanged = if obeys { 304 } else { 200 };
        for (path, digest) in [
            (format!("/v2/{REPO}/manifests/one"), contents.image),
            (
                format!("/v2/{REPO}/manifests/{}", contents.image),
                contents.image,
            ),
            (
                format!("/v2/{REPO}/blobs/{}", contents.layer),
                contents.layer,
            ),
        ] {
            let (own, other) = (format!("\"{digest}\""), "\"sha256:other\"");
            for (tags, expected) in [
                (own.clone(), unchanged),
                (format!("{other}, W/{own}"), unchanged),
                ("*".to_owned(), unchanged),
                (other.to_owned(), 200),
            ] {
                for method in [Method::GET, Method::HEAD] {
                    let headers = [
                        ("accept", media_type::IMAGE),
                        ("if-none-match", tags.as_str()),
                    ];
                    let answer = ask(&registry, method, &path, &headers, "").await;
                    assert_eq!(answer.status(), expected, "{path} {tags}");
                    assert_eq!(answer.headers()["etag"], own.as_str());
                    let length = answer.headers().contains_key("content-length");
                    assert_eq!(length, expected == 200);
                }
            }
        }
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn writes_are_conditional_when_the_registry_obeys() {
    for obeys in [true, false] {
        let config = Config {
            conditional: obeys,
            ..Config::default()
        };
        let (registry, contents) = start(config).await;
        let refused = if obeys { 412 } else { 201 };
        let other = || other_image(&registry, &contents);
        let own = format!("\"{}\"", contents.image);
        let stale = format!("\"{}\"", Digest::sha256(b"before"));
        for (tag, condition, expected) in [
            ("new", ("if-match", own.as_str()), refused),
            ("newer", ("if-none-match", "*"), 201),
            ("newer", ("if-none-match", "*"), refused),
            ("one", ("if-match", stale.as_str()), refused),
        ] {
            let answer = put(&registry, tag, Some(condition), other()).await;
            assert_eq!(answer.status(), expected, "{tag} {condition:?}");
        }
        registry.tag(REPO, "one", contents.image);
        let path = format!("/v2/{REPO}/manifests/one");
        let headers = [("if-match", stale.as_str())];
        let answer = ask(&registry, Method::DELETE, &path, &headers, "").await;
        assert_eq!(answer.status(), if obeys { 412 } else { 202 });
        registry.tag(REPO, "one", contents.image);
        let condition = Some(("if-match", own.as_str()));
        assert_eq!(
            put(&registry, "one", condition, other()).await.status(),
            201
        );
        assert_ne!(registry.resolve(REPO, "one"), Some(contents.image));
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn of_two_writers_that_saw_the_same_one_wins() {
    let config = Config {
        conditional: true,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let own = format!("\"{}\"", contents.image);
    let mut first: Value = serde_json::from_slice(&other_image(&registry, &contents)).unwrap();
    let mut answers = Vec::new();
    for writer in 0..4 {
        first["annotations"] = json!({ "writer": writer.to_string() });
        let condition = Some(("if-match", own.as_str()));
        answers.push(put(&registry, "one", condition, first.to_string().into_bytes()).await);
    }
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    assert_eq!(statuses, [201, 412, 412, 412]);
    let lost = code(answers.remove(1)).await;
    assert_eq!(lost, (412, "PRECONDITION_FAILED".to_owned()));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn immutable_tags_stay_where_they_point() {
    let config = Config {
        immutable_tags: true,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let other = || other_image(&registry, &contents);
    let refused = (400, "TAG_INVALID".to_owned());
    assert_eq!(
        code(put(&registry, "one", None, other()).await).await,
        refused
    );
    let by_digest = format!("{}?tag=one", Digest::sha256(&other()));
    assert_eq!(
        code(put(&registry, &by_digest, None, other()).await).await,
        refused
    );
    assert_eq!(registry.resolve(REPO, "one"), Some(contents.image));
    let (_, same) = registry.manifest(REPO, contents.image).unwrap();
    assert_eq!(
        put(&registry, "one", None, same.to_vec()).await.status(),
        201
    );
    assert_eq!(put(&registry, "two", None, other()).await.status(), 201);
    let path = format!("/v2/{REPO}/manifests/one");
    let answer = ask(&registry, Method::DELETE, &path, &[], "").await;
    assert_eq!(answer.status(), 202);
    assert_eq!(put(&registry, "one", None, other()).await.status(), 201);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_says_so() {
    let config = Config {
        deletes: Deletes::Off,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    for path in [
        format!("/v2/{REPO}/manifests/one"),
        format!("/v2/{REPO}/manifests/{}", contents.image),
        format!("/v2/{REPO}/blobs/{}", contents.layer),
    ] {
        let answer = ask(&registry, Method::DELETE, &path, &[], "").await;
        assert_eq!(code(answer).await, (405, "UNSUPPORTED".to_owned()));
        let headers = [("accept", media_type::IMAGE)];
        let answer = ask(&registry, Method::GET, &path, &headers, "").await;
        assert_eq!(answer.status(), 200);
    }
    let begun = ask(
        &registry,
        Method::POST,
        &format!("/v2/{REPO}/blobs/uploads/"),
        &[],
        "",
    )
    .await;
    let upload = begun.headers()["location"].to_str().unwrap().to_owned();
    let answer = ask(&registry, Method::DELETE, &upload, &[], "").await;
    assert_eq!(answer.status(), 204, "an upload is no content");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_registry_without_shortcuts_always_begins_an_upload() {
    let config = Config {
        shortcuts: Shortcuts::Off,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let digest = Digest::sha256(b"whole");
    for query in [
        format!("digest={digest}"),
        format!("mount={}&from={REPO}", contents.layer),
    ] {
        let path = format!("/v2/new/repo/blobs/uploads/?{query}");
        let answer = ask(&registry, Method::POST, &path, &[], "whole").await;
        assert_eq!(answer.status(), 202);
        let upload = answer.headers()["location"].to_str().unwrap().to_owned();
        let end = format!("{upload}&digest={digest}");
        let answer = ask(&registry, Method::PUT, &end, &[], "whole").await;
        assert_eq!(answer.status(), 201);
    }
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn pieces_have_a_least_length_and_blobs_a_largest() {
    let config = Config {
        chunk_bytes: Some(4),
        blob_bytes: Some(10),
        ..Config::default()
    };
    let (registry, _) = start(config).await;
    let path = format!("/v2/{REPO}/blobs/uploads/");
    let begin = async || {
        let begun = ask(&registry, Method::POST, &path, &[], "").await;
        assert_eq!(begun.headers()["oci-chunk-min-length"], "4");
        begun.headers()["location"].to_str().unwrap().to_owned()
    };
    let upload = begin().await;
    for (piece, status) in [("four", 202), ("3.", 202), ("more", 400)] {
        let answer = ask(&registry, Method::PATCH, &upload, &[], piece).await;
        assert_eq!(answer.status(), status, "{piece}");
    }
    let end = format!("{upload}&digest={}", Digest::sha256(b"four3."));
    assert_eq!(
        ask(&registry, Method::PUT, &end, &[], "").await.status(),
        201
    );

    let upload = begin().await;
    let answer = ask(&registry, Method::PATCH, &upload, &[], "11 bytes...").await;
    assert_eq!(code(answer).await, (413, "SIZE_INVALID".to_owned()));
    assert_eq!(
        ask(&registry, Method::GET, &upload, &[], "").await.status(),
        404
    );
    let whole = format!("{path}?digest={}", Digest::sha256(b"11 bytes..."));
    let answer = ask(&registry, Method::POST, &whole, &[], "11 bytes...").await;
    assert_eq!(code(answer).await, (413, "SIZE_INVALID".to_owned()));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn users_come_from_an_htpasswd_file() {
    let mut users = User::htpasswd("bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\ncarol:open").unwrap();
    users.push(User::new("dave", "x").only("other"));
    let config = Config {
        auth: Auth::Basic(users),
        ..Config::default()
    };
    let (registry, _) = start(config).await;
    let client = http(&registry);
    let ask = async |path: &str, name: &str, password: &str| {
        let request = client.get(format!("{}{path}", registry.url()));
        let answer = request.basic_auth(name, Some(password)).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(ask("/v2/", "bob", "secret").await, 200);
    assert_eq!(
        ask("/v2/", "bob", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ").await,
        401
    );
    assert_eq!(ask("/v2/", "carol", "open").await, 200);
    assert_eq!(ask("/v2/", "carol", "shut").await, 401);
    assert_eq!(ask("/v2/_catalog", "bob", "secret").await, 200);
    assert_eq!(
        ask("/v2/_catalog", "dave", "x").await,
        403,
        "dave sees not everything"
    );
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_mounts_what_they_may_not_read() {
    let users = vec![User::new("alice", "a"), User::new("dave", "d").only("dave")];
    for auth in [
        Auth::Basic(users.clone()),
        Auth::Token(TokenAuth::new(users.clone())),
    ] {
        let tokens = matches!(auth, Auth::Token(_));
        let config = Config {
            auth,
            ..Config::default()
        };
        let (registry, contents) = start(config).await;
        let client = http(&registry);
        for (name, password, expected) in [("alice", "a", 201), ("dave", "d", 202)] {
            let scopes = format!(
                "scope=repository:dave/app:pull,push&scope=repository:{REPO}:pull&scope=registry:catalog:*"
            );
            let token = client
                .get(format!("{}/token?{scopes}", registry.url()))
                .basic_auth(name, Some(password));
            let token = match tokens {
                true => {
                    let body = token.send().await.unwrap().bytes().await.unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    Some(body["token"].as_str().unwrap().to_owned())
                }
                false => None,
            };
            let login = |request: reqwest::RequestBuilder| match &token {
                Some(token) => request.bearer_auth(token),
                None => request.basic_auth(name, Some(password)),
            };
            for from in [format!("&from={REPO}"), String::new()] {
                let path = format!("/v2/dave/app/blobs/uploads/?mount={}{from}", contents.layer);
                let request = client.post(format!("{}{path}", registry.url()));
                let answer = login(request).send().await.unwrap();
                assert_eq!(answer.status(), expected, "{name}{from}");
                registry.delete_blob("dave/app", contents.layer);
            }
            let request = client.get(format!("{}/v2/_catalog", registry.url()));
            let answer = login(request).send().await.unwrap();
            assert_eq!(answer.status().is_success(), expected == 201, "{name}");
        }
        registry.stop().await.unwrap();
    }
}
