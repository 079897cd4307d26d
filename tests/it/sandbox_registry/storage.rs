//! A registry on disk: what it holds outlives it, and what was damaged is never served.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use oci_client::secrets::RegistryAuth;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::Storage;
use scgate::sandbox::server::ServerError;
use serde_json::Value;

use super::Contents;
use super::REPO;
use super::artifact;
use super::clients::pull_everything;
use super::http;
use super::start;

fn on(dir: &Path) -> Config {
    Config {
        storage: Storage::Disk(dir.to_owned()),
        ..Config::default()
    }
}

fn file(dir: &Path, digest: Digest) -> PathBuf {
    dir.join("blobs/sha256").join(digest.hex())
}

async fn status(registry: &Registry, path: &str) -> (u16, Vec<u8>) {
    let answer = http(registry)
        .get(format!("{}{path}", registry.url()))
        .header(
            "accept",
            format!("{}, {}", media_type::IMAGE, media_type::INDEX),
        )
        .send()
        .await
        .unwrap();
    (
        answer.status().as_u16(),
        answer.bytes().await.unwrap().to_vec(),
    )
}

async fn referrers(registry: &Registry, contents: &Contents) -> Vec<Value> {
    let path = format!("/v2/{REPO}/referrers/{}", contents.image);
    let (code, body) = status(registry, &path).await;
    assert_eq!(code, 200);
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, contents) = start(on(dir.path())).await;
    for number in 1..5 {
        artifact(&registry, contents.image, number);
    }
    registry.delete_tag(REPO, "all");
    registry.put_blob("other/repo", "shared");
    registry.plant_blob(REPO, Digest::sha256(b"honest"), "planted");
    let before = referrers(&registry, &contents).await;
    assert_eq!(before.len(), 5);
    registry.stop().await.unwrap();

    let registry = Registry::start(on(dir.path())).await.unwrap();
    assert_eq!(
        referrers(&registry, &contents).await,
        before,
        "in the order of arrival"
    );
    pull_everything(&registry, &contents, &RegistryAuth::Anonymous).await;
    assert_eq!(registry.tags(REPO), ["one"]);
    assert_eq!(registry.repositories(), ["other/repo", REPO]);
    assert_eq!(
        registry
            .blob("other/repo", Digest::sha256(b"shared"))
            .unwrap(),
        "shared"
    );
    assert_eq!(
        registry.blob(REPO, Digest::sha256(b"honest")),
        None,
        "lies stay in memory"
    );
    let (media_type, _) = registry.manifest(REPO, contents.index).unwrap();
    assert_eq!(media_type, media_type::INDEX);
    artifact(&registry, contents.image, 9);
    let after = referrers(&registry, &contents).await;
    assert_eq!(after[..5], before);
    assert_eq!(after[5]["annotations"]["number"], "9");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, contents) = start(on(dir.path())).await;
    let blob = format!("/v2/{REPO}/blobs/{}", contents.layer);
    let manifest = format!("/v2/{REPO}/manifests/one");
    for (path, digest) in [(&blob, contents.layer), (&manifest, contents.image)] {
        let good = fs::read(file(dir.path(), digest)).unwrap();
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        for damage in [
            Some(flipped),
            Some(good[..3].to_vec()),
            Some(Vec::new()),
            None,
        ] {
            match &damage {
                Some(bytes) => fs::write(file(dir.path(), digest), bytes).unwrap(),
                None => fs::remove_file(file(dir.path(), digest)).unwrap(),
            }
            let (code, body) = status(&registry, path).await;
            assert_eq!(code, 500, "{path} {damage:?}");
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["errors"][0]["code"], "UNKNOWN");
            let said = body["errors"][0]["message"].as_str().unwrap();
            assert!(said.contains(&digest.to_string()), "{said}");
            let head = http(&registry)
                .head(format!("{}{path}", registry.url()))
                .header("accept", media_type::IMAGE);
            assert_eq!(head.send().await.unwrap().status(), 500);
            assert_eq!(
                registry
                    .blob(REPO, digest)
                    .or(registry.manifest(REPO, digest).map(|it| it.1)),
                None
            );
        }
        fs::write(file(dir.path(), digest), &good).unwrap();
        assert_eq!(status(&registry, path).await, (200, good));
    }
    fs::write(file(dir.path(), contents.artifact), "damaged").unwrap();
    assert_eq!(
        referrers(&registry, &contents).await.len(),
        1,
        "still listed"
    );
    registry.stop().await.unwrap();

    // Damage does not keep it from starting, and pushing the content again mends it.
    let registry = Registry::start(on(dir.path())).await.unwrap();
    assert_eq!(
        referrers(&registry, &contents).await.len(),
        1,
        "still listed"
    );
    fs::write(file(dir.path(), contents.layer), "damaged").unwrap();
    assert_eq!(status(&registry, &blob).await.0, 500);
    registry.put_blob(REPO, "a layer");
    assert_eq!(status(&registry, &blob).await, (200, b"a layer".to_vec()));
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn files_are_shared_and_go_with_their_last_use() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, contents) = start(on(dir.path())).await;
    registry.put_blob("other", "a layer");
    assert!(file(dir.path(), contents.layer).is_file());
    registry.delete_blob(REPO, contents.layer);
    assert!(file(dir.path(), contents.layer).is_file());
    registry.delete_blob("other", contents.layer);
    assert!(!file(dir.path(), contents.layer).exists());
    registry.delete_manifest(REPO, contents.image);
    assert!(!file(dir.path(), contents.image).exists());
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn uploads_end_with_the_registry_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(on(dir.path())).await.unwrap();
    let client = http(&registry);
    let begin = || {
        client
            .post(format!("{}/v2/{REPO}/blobs/uploads/", registry.url()))
            .send()
    };
    let begun = begin().await.unwrap();
    let upload = begun.headers()["location"].to_str().unwrap().to_owned();
    let patch = client
        .patch(format!("{}{upload}", registry.url()))
        .body("half");
    assert_eq!(patch.send().await.unwrap().status(), 202);
    let uploads = dir.path().join("uploads");
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 1);
    let begun = begin().await.unwrap();
    let other = begun.headers()["location"].to_str().unwrap().to_owned();
    client
        .patch(format!("{}{other}", registry.url()))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 2);
    client
        .delete(format!("{}{other}", registry.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 1);
    registry.stop().await.unwrap();

    // What a killed process left is swept; what somebody else put there is not.
    fs::write(uploads.join("scgate-7"), "left behind").unwrap();
    fs::write(uploads.join("notes.txt"), "not ours").unwrap();
    let registry = Registry::start(on(dir.path())).await.unwrap();
    let left: Vec<_> = fs::read_dir(&uploads)
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["notes.txt"]);
    let answer = http(&registry)
        .get(format!("{}{upload}", registry.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_a_500_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, contents) = start(on(dir.path())).await;
    let client = http(&registry);
    let state = dir.path().join("repositories/team/app/_repository.json");
    let saved = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    fs::create_dir_all(state.join("in the way")).unwrap();

    let digest = Digest::sha256(b"whole");
    let url = format!(
        "{}/v2/{REPO}/blobs/uploads/?digest={digest}",
        registry.url()
    );
    let answer = client.post(url).body("whole").send().await.unwrap();
    assert_eq!(answer.status(), 500);
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["errors"][0]["code"], "UNKNOWN");
    assert!(
        !body.to_string().contains(dir.path().to_str().unwrap()),
        "{body}"
    );
    let (code, _) = status(&registry, &format!("/v2/{REPO}/blobs/{digest}")).await;
    assert_eq!(code, 404);
    let url = format!("{}/v2/{REPO}/manifests/one", registry.url());
    assert_eq!(client.delete(url).send().await.unwrap().status(), 500);
    assert_eq!(registry.resolve(REPO, "one"), Some(contents.image));
    registry.tag(REPO, "inside", contents.image);
    assert_eq!(
        registry.resolve(REPO, "inside"),
        Some(contents.image),
        "in memory"
    );

    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, saved).unwrap();
    let url = format!("{}/v2/{REPO}/manifests/one", registry.url());
    assert_eq!(client.delete(url).send().await.unwrap().status(), 202);
    registry.stop().await.unwrap();
}

/// The path that a start complained of, and the whole sentence.
async fn refusal(config: Config) -> (PathBuf, String) {
    match Registry::start(config).await {
        Err(error @ ServerError::Storage { .. }) => {
            let text = error.to_string();
            match error {
                ServerError::Storage { path, .. } => (path, text),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("file");
    fs::write(&plain, "").unwrap();
    for root in [
        plain.clone(),
        plain.join("below"),
        PathBuf::from("/proc/scgate"),
    ] {
        let (path, text) = refusal(on(&root)).await;
        assert_eq!(path, root);
        assert!(text.contains(&root.display().to_string()), "{text}");
    }

    let root = dir.path().join("root");
    let (registry, _) = start(on(&root)).await;
    assert_eq!(
        refusal(on(&root)).await.0,
        root.join("lock"),
        "two registries on one directory"
    );
    registry.stop().await.unwrap();

    let state = root.join("repositories/team/app/_repository.json");
    let saved = fs::read_to_string(&state).unwrap();
    for bad in [
        "",
        "{}",
        "[]",
        saved.split("tags").next().unwrap(),
        &saved.replacen("\"version\": 1", "\"version\": 2", 1),
    ] {
        fs::write(&state, bad).unwrap();
        assert_eq!(refusal(on(&root)).await.0, state, "{bad}");
    }
    fs::write(&state, saved).unwrap();
    Registry::start(on(&root))
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_port_can_be_asked_for_and_can_be_taken() {
    let registry = Registry::start(Config::default()).await.unwrap();
    let port = registry.address().port();
    let config = || Config {
        port,
        ..Config::default()
    };
    match Registry::start(config()).await {
        Err(ServerError::Bind { port: named, .. }) => assert_eq!(named, port),
        other => panic!("{other:?}"),
    }
    registry.stop().await.unwrap();
    let registry = Registry::start(config()).await.unwrap();
    assert_eq!(registry.address().port(), port);
    registry.stop().await.unwrap();
}
