//! The logs of the sandbox before a judge that shares no code with it: `rfc6962/`, in Go.
//!
//! It reads each log whole and verifies heads, entries, inclusion and consistency of every size, and
//! the SCT of a certificate. What is honest must be accepted, and refused are another key, every
//! answer with a bit flipped, entries that were exchanged, and a log whose past was rewritten.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;
use serde_json::json;

use super::peers::say;

/// Entries of each log: enough for a tree with an odd rest at several heights.
const ENTRIES: usize = 11;

/// The logs, as the judge calls them.
const LOGS: [&str; 3] = ["ct", "rekor1", "rekor2"];

struct Judge {
    program: PathBuf,
    scratch: tempfile::TempDir,
}

impl Judge {
    /// None, loudly, where `tests/interop/run` did not install it.
    fn find() -> Option<Self> {
        let ring = env::var_os("SCGATE_INTEROP_BIN").map(PathBuf::from);
        let program = ring.map(|ring| ring.join("rfc6962"));
        let Some(program) = program.filter(|program| program.is_file()) else {
            say("SKIPPED interop: no rfc6962 in SCGATE_INTEROP_BIN (see tests/interop/run)");
            return None;
        };
        let scratch = tempfile::tempdir().expect("a temporary directory can be made");
        Some(Self { program, scratch })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("the scratch directory can be written");
        path.to_string_lossy().into_owned()
    }

    /// The verdict on a log of `of`, as if its keys were those of `keys`.
    fn verdict(
        &self,
        of: &Sandbox,
        keys: &Sandbox,
        log: &str,
        more: &[&str],
    ) -> Result<String, String> {
        let mint = keys.mint();
        let (key, url) = match log {
            "ct" => (&mint.ct.key, format!("{}/ct", of.url())),
            "rekor1" => (&mint.rekor1.key, of.url()),
            _ => (&mint.rekor2.key, of.url()),
        };
        let key = self.write("key.pem", &key.public_pem());
        let output = Command::new(&self.program)
            .args([
                log,
                "-url",
                &url,
                "-key",
                &key,
                "-origin",
                &mint.rekor2.origin,
            ])
            .args(more)
            .env_clear()
            .output()
            .expect("the judge starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.code() {
            Some(0) => Ok(text(&output.stdout)),
            Some(1) => Err(text(&output.stderr)),
            other => panic!("{other:?}: {}", text(&output.stderr)),
        }
    }
}

async fn open(state: &Path) -> Sandbox {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another test may have been faster, with the same one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    }
    let config = Config {
        state: Some(state.to_owned()),
        ..Config::default()
    };
    Sandbox::with(config).await.expect("the sandbox starts")
}

/// The text of a request for a certificate, or of an entry, and its answer.
async fn post(sandbox: &Sandbox, path: &str, token: &str, body: &Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build();
    let answer = client
        .expect("a client can be made")
        .post(format!("{}{path}", sandbox.url()))
        .header("content-type", "application/json")
        .header("authorization", token)
        .body(body.to_string())
        .send()
        .await
        .expect("the sandbox answers");
    let text = answer.bytes().await.expect("the answer is whole");
    serde_json::from_slice(&text).expect("the answer is JSON")
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A certificate for a new key: the chain in PEM. It is an entry of the CT log.
async fn certify(sandbox: &Sandbox, key: &SigningKey) -> String {
    let claims = GithubToken::default().claims();
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .expect("a token has a subject")
        .to_owned();
    let token = sandbox
        .token(Provider::Github, claims)
        .expect("a token is signed");
    let proof = key.sign(subject.as_bytes()).expect("a key signs");
    let body = json!({ "publicKeyRequest": {
        "publicKey": { "content": key.public_pem() },
        "proofOfPossession": b64(proof),
    } });
    let answer = post(sandbox, "/api/v2/signingCert", &token, &body).await;
    let chain = answer.pointer("/signedCertificateEmbeddedSct/chain/certificates");
    let chain = chain.and_then(Value::as_array);
    let chain = chain.unwrap_or_else(|| panic!("{answer}"));
    let chain: Vec<_> = chain.iter().filter_map(Value::as_str).collect();
    chain.join("\n") + "\n"
}

/// Adds entries to each log; gives the last certificate with its chain.
async fn fill(sandbox: &Sandbox, name: &str, count: usize) -> String {
    let mut chain = String::new();
    for number in 0..count {
        let key = SigningKey::generate(KeyKind::P256).expect("a key can be made");
        chain = certify(sandbox, &key).await;
        let artifact = format!("{name} {number}");
        let signature = b64(key.sign(artifact.as_bytes()).expect("a key signs"));
        let digest = HashKind::Sha256.of(artifact.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hex } },
            "signature": {
                "content": signature,
                "publicKey": { "content": b64(key.public_pem()) },
            },
        } });
        post(sandbox, "/api/v1/log/entries", "", &body).await;
        let body = json!({ "hashedRekordRequestV002": {
            "digest": b64(digest),
            "signature": { "content": signature, "verifier": {
                "publicKey": { "rawBytes": b64(key.spki()) },
                "keyDetails": key.kind().details(),
            } },
        } });
        post(sandbox, "/api/v2/log/entries", "", &body).await;
    }
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_logs_are_accepted_at_every_size() {
    let Some(judge) = Judge::find() else {
        return;
    };
    let sandbox = open(&judge.path("state")).await;
    for log in LOGS {
        assert_eq!(
            judge.verdict(&sandbox, &sandbox, log, &[]),
            Ok("ok: 0 entries\n".to_owned())
        );
    }
    let chain = fill(&sandbox, "one", ENTRIES).await;
    let chain = judge.write("chain.pem", &chain);
    let good = Ok(format!("ok: {ENTRIES} entries\n"));
    for log in LOGS {
        let head = judge.path(log).to_string_lossy().into_owned();
        assert_eq!(
            judge.verdict(&sandbox, &sandbox, log, &["-save", &head]),
            good,
            "{log}"
        );
    }
    // The certificate is handed in once more, and so stands in the log twice.
    let twice = Ok(format!("ok: {} entries\n", ENTRIES + 1));
    assert_eq!(
        judge.verdict(&sandbox, &sandbox, "ct", &["-chain", &chain]),
        twice
    );
    // After a restart, and grown, the logs go on from where they were.
    sandbox.stop().await.expect("the sandbox ends well");
    let sandbox = open(&judge.path("state")).await;
    fill(&sandbox, "two", ENTRIES).await;
    for log in LOGS {
        let head = judge.path(log).to_string_lossy().into_owned();
        let verdict = judge.verdict(&sandbox, &sandbox, log, &["-since", &head]);
        assert!(verdict.is_ok(), "{log}: {verdict:?}");
    }
    sandbox.stop().await.expect("the sandbox ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_answer_and_key_is_refused() {
    let Some(judge) = Judge::find() else {
        return;
    };
    let sandbox = open(&judge.path("one")).await;
    let other = open(&judge.path("other")).await;
    fill(&sandbox, "one", 5).await;
    let foreign = fill(&other, "other", 1).await;
    let foreign = judge.write("foreign.pem", &foreign);
    let refused = |name: &str, keys: &Sandbox, log: &str, more: &[&str]| {
        let verdict = judge.verdict(&sandbox, keys, log, more);
        assert!(verdict.is_err(), "{log}, {name}: {verdict:?}");
    };
    for log in LOGS {
        refused("another key", &other, log, &[]);
        assert!(judge.verdict(&sandbox, &sandbox, log, &[]).is_ok(), "{log}");
    }
    refused(
        "a certificate of another",
        &sandbox,
        "ct",
        &["-chain", &foreign],
    );
    for (log, path) in [
        ("ct", "get-sth"),
        ("ct", "get-entries"),
        ("ct", "get-proof-by-hash"),
        ("ct", "get-sth-consistency"),
        ("rekor1", "/api/v1/log"),
        ("rekor1", "/api/v1/log/entries"),
        ("rekor1", "/api/v1/log/proof"),
        ("rekor2", "/api/v2/checkpoint"),
        ("rekor2", "/api/v2/tile/entries"),
        ("rekor2", "/api/v2/tile/0"),
    ] {
        sandbox.inject(Fault::new(FaultKind::WrongBody).path(path));
        refused(path, &sandbox, log, &[]);
        sandbox.clear_faults();
        assert!(
            judge.verdict(&sandbox, &sandbox, log, &[]).is_ok(),
            "{path}"
        );
    }
    other.stop().await.expect("the sandbox ends well");
    sandbox.stop().await.expect("the sandbox ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_log_is_noticed() {
    let Some(judge) = Judge::find() else {
        return;
    };
    let state = judge.path("state");
    let sandbox = open(&state).await;
    fill(&sandbox, "one", 4).await;
    for log in LOGS {
        let head = judge.path(log).to_string_lossy().into_owned();
        judge
            .verdict(&sandbox, &sandbox, log, &["-save", &head])
            .expect("it is honest");
    }
    sandbox.stop().await.expect("the sandbox ends well");
    // Two entries change places: as a log of its own it is fine, only not the one that it was.
    let swap = |lines: &mut Vec<String>| lines.swap(1, 2);
    for log in LOGS {
        edit(&state.join(format!("{log}.jsonl")), swap);
    }
    let sandbox = open(&state).await;
    for log in LOGS {
        let head = judge.path(log).to_string_lossy().into_owned();
        assert!(judge.verdict(&sandbox, &sandbox, log, &[]).is_ok(), "{log}");
        let verdict = judge.verdict(&sandbox, &sandbox, log, &["-since", &head]);
        let said = verdict.expect_err("the past was rewritten");
        assert!(said.contains("the log was rewritten"), "{log}: {said}");
    }
    sandbox.stop().await.expect("the sandbox ends well");
    // Two entries change precertificates: then the leaves are over others.
    edit(&state.join("ct.jsonl"), |lines| {
        let mut parsed: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        let extra = |line: &Value| line["extra"].clone();
        let (first, second) = (extra(&parsed[0]), extra(&parsed[1]));
        parsed[0]["extra"] = second;
        parsed[1]["extra"] = first;
        *lines = parsed.iter().map(Value::to_string).collect();
    });
    let sandbox = open(&state).await;
    let verdict = judge.verdict(&sandbox, &sandbox, "ct", &[]);
    let said = verdict.expect_err("the entries were exchanged");
    assert!(
        said.contains("another certificate than the precertificate"),
        "{said}"
    );
    sandbox.stop().await.expect("the sandbox ends well");
}

/// Changes the lines of a file.
fn edit(path: &Path, change: impl Fn(&mut Vec<String>)) {
    let text = fs::read_to_string(path).expect("the file is there");
    let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.join("\n") + "\n").expect("the file can be written");
}
