//! A sandbox that keeps its state goes on where it was, and says what is in its way.

use std::fs;
use std::path::Path;

use scgate::sandbox::Config;
use scgate::sandbox::Sandbox;
use scgate::sandbox::SandboxError;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use serde_json::Value;
use serde_json::json;
use sigstore_merkle::verify_consistency_proof;
use sigstore_types::Sha256Hash;

use super::Ask;
use super::certified;
use super::key;
use super::rekor1;
use super::rekor2;
use super::sandbox;
use super::unb64;
use super::unhex;

async fn open(dir: &Path) -> Result<Sandbox, SandboxError> {
    crate::sandbox_registry::provider();
    let config = Config {
        state: Some(dir.to_owned()),
        ..Config::default()
    };
    Sandbox::with(config).await
}

/// The heads of the three logs: size and root.
async fn heads(sandbox: &Sandbox) -> [(u64, Vec<u8>); 3] {
    let ct = Ask::get("/ct/ct/v1/get-sth").to(sandbox).await.json();
    let one = Ask::get("/api/v1/log").to(sandbox).await.json();
    let two = Ask::get("/api/v2/checkpoint").to(sandbox).await;
    let lines: Vec<_> = two.text().lines().collect();
    [
        (
            ct["tree_size"].as_u64().unwrap(),
            unb64(ct["sha256_root_hash"].as_str().unwrap()),
        ),
        (
            one["treeSize"].as_u64().unwrap(),
            unhex(one["rootHash"].as_str().unwrap()),
        ),
        (lines[1].parse().unwrap(), unb64(lines[2])),
    ]
}

/// Adds an entry to each log; gives the requests and answers of both Rekors.
async fn grow(sandbox: &Sandbox, text: &str) -> [(Ask, Value); 2] {
    let (own, chain) = certified(sandbox).await;
    let pem = super::pem("CERTIFICATE", &chain[0]);
    let one = rekor1::post(
        "/api/v1/log/entries",
        &rekor1::hashed_rekord(&own, &pem, text.as_bytes()),
    );
    let two = rekor2::by_certificate(&own, &chain[0], text.as_bytes());
    let two = rekor1::post("/api/v2/log/entries", &two);
    let (first, second) = (one.to(sandbox).await, two.to(sandbox).await);
    assert_eq!((first.status, second.status), (201, 201));
    [(one, first.json()), (two, second.json())]
}

fn extends(old: &(u64, Vec<u8>), new: &(u64, Vec<u8>), path: &[Vec<u8>]) {
    let hash = |bytes: &[u8]| Sha256Hash::new(bytes.try_into().unwrap());
    let path: Vec<_> = path.iter().map(|one| hash(one)).collect();
    verify_consistency_proof(old.0, new.0, &path, &hash(&old.1), &hash(&new.1)).unwrap();
}

fn list(value: &Value, decode: fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
    let list = value.as_array().unwrap().iter();
    list.map(|one| decode(one.as_str().unwrap())).collect()
}

#[tokio::test]
async fn keys_and_logs_are_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/state");
    let first = open(&dir).await.unwrap();
    let root = first.trusted_root();
    let mut entries = Vec::new();
    for number in 0..3 {
        entries.push(grow(&first, &format!("artifact {number}")).await);
    }
    let before = heads(&first).await;
    let token = first
        .token(scgate::sandbox::Provider::Github, super::github())
        .unwrap();
    first.stop().await.unwrap();

    let second = open(&dir).await.unwrap();
    assert_eq!(second.trusted_root(), root);
    assert_eq!(heads(&second).await, before);
    let own = key(KeyKind::P256);
    let request = super::certificate_request(&own, super::github()["sub"].as_str().unwrap());
    assert_eq!(
        super::signing(&request, &token).to(&second).await.status,
        200,
        "an old token"
    );
    for [(ask, answer), (other, second_answer)] in &entries {
        // Old entries are known, found, and proven in the tree of now.
        assert_eq!(
            (ask.to(&second).await.status, other.to(&second).await.status),
            (409, 409)
        );
        let (id, old) = answer.as_object().unwrap().iter().next().unwrap();
        let got = Ask::get(&format!("/api/v1/log/entries/{id}"))
            .to(&second)
            .await;
        let (_, index, _) = rekor1::only(&second, &got);
        assert_eq!(index, old["logIndex"].as_u64().unwrap());
        assert_eq!(got.json()[id]["integratedTime"], old["integratedTime"]);
        rekor1::entry(&second, id, old);
        rekor2::entry(&second, second_answer);
    }
    let body = json!({ "hash": super::hex(&super::sha256(b"artifact 1")) });
    let found = rekor1::post("/api/v1/index/retrieve", &body)
        .to(&second)
        .await
        .json();
    assert_eq!(found.as_array().unwrap().len(), 1, "the index is kept");
    for number in 3..6 {
        grow(&second, &format!("artifact {number}")).await;
    }
    let after = heads(&second).await;
    let path = format!(
        "/ct/ct/v1/get-sth-consistency?first={}&second={}",
        before[0].0, after[0].0
    );
    let got = Ask::get(&path).to(&second).await.json();
    extends(&before[0], &after[0], &list(&got["consistency"], unb64));
    let path = format!(
        "/api/v1/log/proof?firstSize={}&lastSize={}",
        before[1].0, after[1].0
    );
    let got = Ask::get(&path).to(&second).await.json();
    extends(&before[1], &after[1], &list(&got["hashes"], unhex));
    assert_eq!((before[2].0, after[2].0), (3, 6));
    // The first tile begins as it did.
    let tile = Ask::get("/api/v2/tile/0/000.p/3").to(&second).await.body;
    let longer = Ask::get("/api/v2/tile/0/000.p/6").to(&second).await.body;
    assert_eq!(tile, longer[..96]);

    // A fresh start forgets the entries, in the directory too, and keeps the keys.
    second.reset().unwrap();
    assert_eq!(heads(&second).await.map(|head| head.0), [0, 0, 0]);
    grow(&second, "artifact 0").await;
    second.stop().await.unwrap();
    let third = open(&dir).await.unwrap();
    assert_eq!(third.trusted_root(), root);
    assert_eq!(heads(&third).await.map(|head| head.0), [1, 1, 1]);
    third.stop().await.unwrap();
}

#[tokio::test]
async fn a_line_that_was_cut_is_dropped_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    grow(&first, "one").await;
    let before = heads(&first).await;
    first.stop().await.unwrap();
    for name in ["ct.jsonl", "rekor1.jsonl", "rekor2.jsonl"] {
        let path = dir.path().join(name);
        let mut text = fs::read(&path).unwrap();
        let torn = text[..text.len() / 2].to_vec();
        text.extend(torn);
        fs::write(&path, text).unwrap();
    }
    let second = open(dir.path()).await.unwrap();
    assert_eq!(heads(&second).await, before);
    grow(&second, "two").await;
    let before = heads(&second).await;
    second.stop().await.unwrap();
    let third = open(dir.path()).await.unwrap();
    assert_eq!(heads(&third).await, before);
    third.stop().await.unwrap();
}

/// An error with all its causes.
fn told(error: SandboxError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_state_that_does_not_serve_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    grow(&first, "one").await;
    grow(&first, "two").await;
    first.stop().await.unwrap();
    for (name, text, line) in [
        ("ct.jsonl", "garbage\n", 1),
        ("rekor1.jsonl", "{}\n", 1),
        ("rekor2.jsonl", "{\"body\":\"!!\"}\n", 1),
        ("keys.json", "{}", 1),
        ("keys.json", "", 1),
        ("keys.json", "{\"note\":", 1),
    ] {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let error = told(open(dir.path()).await.unwrap_err());
        let expected = format!("read line {line} of `{}`: it is damaged", path.display());
        assert!(error.starts_with(&expected), "{error}");
        // Nothing is mended behind anybody's back.
        assert_eq!(fs::read(&path).unwrap(), text.as_bytes());
        if name.ends_with(".jsonl") {
            let text = [&good[..], b"garbage\n"].concat();
            fs::write(&path, text).unwrap();
            let error = told(open(dir.path()).await.unwrap_err());
            assert!(error.starts_with("read line 3 of"), "{error}");
        }
        fs::write(&path, good).unwrap();
    }
    open(dir.path()).await.unwrap().stop().await.unwrap();
    // A file where the directory should be.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = told(open(&file).await.unwrap_err());
    assert!(error.contains(&format!("`{}`", file.display())), "{error}");
    let below = file.join("state");
    let error = told(open(&below).await.unwrap_err());
    assert!(error.contains(&format!("`{}`", below.display())), "{error}");
    // A directory where a file should be.
    let log = dir.path().join("rekor1.jsonl");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let error = told(open(dir.path()).await.unwrap_err());
    assert!(error.contains(&format!("`{}`", log.display())), "{error}");
}

#[tokio::test]
async fn a_state_without_an_rsa_key_is_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.unwrap().stop().await.unwrap();
    let path = dir.path().join("keys.json");
    let mut keys: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(keys.as_object_mut().unwrap().remove("issuer_rsa").is_some());
    fs::write(&path, keys.to_string()).unwrap();
    let sandbox = open(dir.path()).await.unwrap();
    certified(&sandbox).await;
    sandbox.stop().await.unwrap();
    keys["issuer_rsa"] = json!("garbage");
    fs::write(&path, keys.to_string()).unwrap();
    let error = told(open(dir.path()).await.unwrap_err());
    assert!(error.contains("it is damaged"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = sandbox().await;
    let port: u16 = first.url().rsplit(':').next().unwrap().parse().unwrap();
    let config = || Config {
        port,
        ..Config::default()
    };
    let error = told(Sandbox::with(config()).await.unwrap_err());
    assert!(error.contains(&port.to_string()), "{error}");
    first.stop().await.unwrap();
    let second = Sandbox::with(config()).await.unwrap();
    assert!(second.url().ends_with(&format!(":{port}")));
    second.stop().await.unwrap();
}

/// Fifty requests at once, each with an entry of its own.
async fn at_once(sandbox: &Sandbox, asks: Vec<Ask>) -> Vec<Value> {
    let mut tasks = tokio::task::JoinSet::new();
    for ask in asks {
        let url = sandbox.url();
        tasks.spawn(async move { ask.at(&url).await });
    }
    let answers = tasks.join_all().await;
    let answers = answers.into_iter().map(|got| {
        assert!(matches!(got.status, 200 | 201), "{got:?}");
        got.json()
    });
    answers.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_that_come_at_once_get_a_place_each() {
    const COUNT: u64 = 50;
    let dir = tempfile::tempdir().unwrap();
    let sandbox = open(dir.path()).await.unwrap();
    let own = key(KeyKind::P256);
    let (_, chain) = certified(&sandbox).await;
    drop(chain);
    let texts: Vec<_> = (0..COUNT)
        .map(|number| format!("artifact {number}"))
        .collect();
    let one = |text: &String| {
        rekor1::post(
            "/api/v1/log/entries",
            &rekor1::hashed_rekord(&own, &own.public_pem(), text.as_bytes()),
        )
    };
    let answers = at_once(&sandbox, texts.iter().map(one).collect()).await;
    let mut indexes: Vec<_> = answers
        .iter()
        .map(|answer| {
            let (id, shown) = answer.as_object().unwrap().iter().next().unwrap();
            rekor1::entry(&sandbox, id, shown).0
        })
        .collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..COUNT).collect::<Vec<_>>());

    let (own, chain) = certified(&sandbox).await;
    let two = |text: &String| {
        rekor1::post(
            "/api/v2/log/entries",
            &rekor2::by_certificate(&own, &chain[0], text.as_bytes()),
        )
    };
    let answers = at_once(&sandbox, texts.iter().map(two).collect()).await;
    let mut indexes: Vec<_> = answers
        .iter()
        .map(|answer| rekor2::entry(&sandbox, answer).0)
        .collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..COUNT).collect::<Vec<_>>());

    let before = heads(&sandbox).await[0].0;
    let token = sandbox
        .token(scgate::sandbox::Provider::Github, super::github())
        .unwrap();
    let sub = super::github()["sub"].as_str().unwrap().to_owned();
    let request = |key: &SigningKey| super::signing(&super::certificate_request(key, &sub), &token);
    let keys: Vec<_> = texts.iter().map(|_| key(KeyKind::P256)).collect();
    at_once(&sandbox, keys.iter().map(request).collect()).await;
    assert_eq!(heads(&sandbox).await[0].0, before + COUNT);

    // The same entry at once enters once.
    let ask = one(&"the same".to_owned());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (ask, url) = (ask.clone(), sandbox.url());
        tasks.spawn(async move { ask.at(&url).await.status });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 9);
    let before = heads(&sandbox).await;
    sandbox.stop().await.unwrap();
    let again = open(dir.path()).await.unwrap();
    assert_eq!(
        heads(&again).await,
        before,
        "what was kept is in the order of the trees"
    );
    again.stop().await.unwrap();
}
