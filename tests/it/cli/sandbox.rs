//! `scgate sandbox`: what it prints, what it is told, and what keeps it from starting.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::runner::Said;
use crate::runner::scgate;

/// A sandbox in the background, ended with the value.
struct Background {
    exports: BTreeMap<String, String>,
}

impl Background {
    fn start(words: &[&str]) -> Self {
        Self::of(&scgate(["sandbox", "--detach"]).and(words).exits(0))
    }

    fn of(said: &Said) -> Self {
        let exports = said
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        Self { exports }
    }

    fn get(&self, name: &str) -> &str {
        self.exports.get(name).map_or("", String::as_str)
    }

    fn dir(&self) -> PathBuf {
        PathBuf::from(self.get("SCGATE_SANDBOX_DIR"))
    }

    /// `scgate sandbox WORDS`, told by the variable where it is.
    fn tell(&self, words: &[&str], code: i32) -> Said {
        scgate(["sandbox"])
            .and(words)
            .variable("SCGATE_SANDBOX", self.get("SCGATE_SANDBOX"))
            .exits(code)
    }

    /// The status of a GET at the Sigstore.
    fn status(&self, path: &str) -> u16 {
        let url = format!("{}{path}", self.get("SCGATE_SANDBOX"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = crate::sandbox_registry::plain();
            client.get(url).send().await.unwrap().status().as_u16()
        })
    }

    /// Ends it, and waits until nobody answers.
    fn stop(&self) {
        self.tell(&["stop"], 0);
        let address = self
            .get("SCGATE_SANDBOX")
            .trim_start_matches("http://")
            .to_owned();
        for _ in 0..200 {
            if std::net::TcpStream::connect(&address).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("the sandbox at {address} does not end");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let url = self.get("SCGATE_SANDBOX").to_owned();
        drop(scgate(["sandbox", "stop", "--url", &url]).run());
    }
}

fn claims(token: &str) -> Value {
    let part = token.trim().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn it_runs_in_the_background_and_leaves_nothing() {
    let sandbox = Background::start(&[]);
    for name in [
        "trusted_root.json",
        "signing_config.json",
        "root.json",
        "fulcio_root.pem",
    ] {
        assert!(sandbox.dir().join(name).is_file(), "{name}");
    }
    for name in ["COSIGN_TRUSTED_ROOT", "COSIGN_SIGNING_CONFIG"] {
        assert!(Path::new(sandbox.get(name)).is_file(), "{name}");
    }
    let root = fs::read_to_string(sandbox.get("COSIGN_TRUSTED_ROOT")).unwrap();
    assert!(root.contains("a test world"), "{root}");

    let reference = sandbox.tell(&["image", "shop/app:v1"], 0).stdout;
    let reference = reference.trim();
    assert!(reference.starts_with(sandbox.get("SCGATE_SANDBOX_REGISTRY")));
    let again = sandbox.tell(&["image", "shop/other:v1"], 0).stdout;
    let digest = |text: &str| text.trim().split('@').nth(1).unwrap().to_owned();
    assert_eq!(digest(reference), digest(&again));
    scgate([
        "verify",
        "--certificate-identity=a",
        "--certificate-oidc-issuer=b",
        reference,
    ])
    .and(["--trusted-root", sandbox.get("COSIGN_TRUSTED_ROOT")])
    .exits(1);

    sandbox.tell(&["reset"], 0);
    scgate([
        "verify",
        "--certificate-identity=a",
        "--certificate-oidc-issuer=b",
        reference,
    ])
    .and([
        "--trusted-root",
        sandbox.get("COSIGN_TRUSTED_ROOT"),
        "-ojson",
    ])
    .exits(1);
    let dir = sandbox.dir();
    sandbox.stop();
    for _ in 0..200 {
        if !dir.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{} is still there", dir.display());
}

#[test]
fn tokens_say_what_they_are_told() {
    let sandbox = Background::start(&["--clock=2026-03-01T00:00:00Z"]);
    let token = |words: &[&str]| {
        let words = [&["token"], words].concat();
        claims(&sandbox.tell(&words, 0).stdout)
    };
    let github = token(&[]);
    assert_eq!(github["iss"], "https://token.actions.githubusercontent.com");
    assert_eq!(github["aud"], "sigstore");
    // The clock of the services began in March.
    let issued = github["iat"].as_i64().unwrap() - 1_772_323_200;
    assert!((0..60).contains(&issued), "{github}");

    let own = token(&[
        "--repository=acme/ops",
        "--ref=refs/tags/v1",
        "--event=release",
    ]);
    assert_eq!(own["sub"], "repo:acme/ops:ref:refs/tags/v1");
    let workflow = "acme/ops/.github/workflows/release.yml@refs/tags/v1";
    assert_eq!(own["job_workflow_ref"], workflow);
    let email = token(&[
        "email",
        "email=a@sandbox.test",
        "email_verified:=false",
        "sub:=null",
    ]);
    assert_eq!(email["email"], "a@sandbox.test");
    assert_eq!(email["email_verified"], false);
    assert!(email.get("sub").is_none());

    sandbox
        .tell(&["token", "nobody"], 2)
        .complains("it is one of buildkite");
    sandbox
        .tell(&["token", "email", "claim"], 2)
        .complains("a claim is `NAME=TEXT`");
    sandbox
        .tell(&["token", "email", "--repository=a/b"], 2)
        .complains("exclude each other");
}

#[test]
fn it_misbehaves_on_request() {
    let sandbox = Background::start(&["--fault=status=503,path=/ping,times=1"]);
    let ask = |path: &str| sandbox.status(path);
    assert_eq!(ask("/ping"), 503);
    assert_eq!(ask("/ping"), 200);
    sandbox.tell(&["fault", "status=418,path=/ping"], 0);
    assert_eq!(ask("/ping"), 418);
    sandbox.tell(&["fault", "--clear"], 0);
    assert_eq!(ask("/ping"), 200);
    // What it is told by is spared, so that every fault can be taken back.
    for fault in [
        "hang",
        "reset",
        "status=200",
        "redirect=http://127.0.0.1:9/",
    ] {
        sandbox.tell(&["fault", fault], 0);
        sandbox.tell(&["fault", "--clear"], 0);
        assert_eq!(ask("/ping"), 200, "after {fault}");
    }
    sandbox.tell(&["fault", "status=418", "--registry"], 0);
    assert_eq!(ask("/ping"), 200);
    sandbox
        .tell(&["fault", "nonsense"], 2)
        .complains("find a fault named `nonsense`: there are challenge");
    sandbox
        .tell(&["fault", "lie=ca-nonsense"], 2)
        .complains("there is no lie `ca-nonsense`");
}

/// A page that somebody has open must not drive what runs on the machine.
#[test]
fn pages_of_a_browser_are_refused() {
    let sandbox = Background::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for path in [
        "/sandbox/reset",
        "/sandbox/stop",
        "/sandbox/image",
        "/oidc/github/token",
    ] {
        for (origin, expected) in [
            (Some(("Origin", "https://evil.test")), 403),
            // A name that was pointed to this machine.
            (Some(("Host", "evil.test:80")), 403),
            (Some(("Host", "")), 403),
            (Some(("Host", "LocalHost:80")), 200),
            (Some(("Host", "[::1]:80")), 200),
            (None, 200),
        ] {
            if expected == 200 && path == "/sandbox/stop" {
                continue;
            }
            let url = format!("{}{path}", sandbox.get("SCGATE_SANDBOX"));
            let status = runtime.block_on(async {
                let mut request = crate::sandbox_registry::plain().post(url);
                if let Some((name, value)) = origin {
                    request = request.header(name, value);
                }
                request.send().await.unwrap().status().as_u16()
            });
            assert_eq!(
                status / 100,
                expected / 100,
                "{path} from {origin:?}: {status}"
            );
        }
    }
}

#[test]
fn the_registry_is_as_it_is_told_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    fs::write(&users, "alice:secret\n").unwrap();
    let sandbox = Background::start(&[
        "--registry-htpasswd",
        users.to_str().unwrap(),
        "--registry-immutable-tags",
    ]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |password: Option<&str>| {
        let url = format!("http://{}/v2/", sandbox.get("SCGATE_SANDBOX_REGISTRY"));
        let request = crate::sandbox_registry::plain().get(url);
        let request = match password {
            Some(password) => request.basic_auth("alice", Some(password)),
            None => request,
        };
        runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
    };
    assert_eq!(ask(None), 401);
    assert_eq!(ask(Some("other")), 401);
    assert_eq!(ask(Some("secret")), 200);
    sandbox.tell(&["image", "a/b:v1"], 0);
    sandbox.tell(&["image", "a/b:v1"], 0);
    sandbox
        .tell(&["image", "a/b:v1", "--text=other"], 2)
        .complains("tags of this registry do not move");
    let url = format!(
        "http://{}/v2/a/b/manifests/v1",
        sandbox.get("SCGATE_SANDBOX_REGISTRY")
    );
    let status = runtime.block_on(async {
        let request = crate::sandbox_registry::plain().delete(url);
        let request = request
            .basic_auth("alice", Some("secret"))
            .header("Origin", "http://evil.test");
        request.send().await.unwrap().status().as_u16()
    });
    assert_eq!(status, 403);
}

/// With one log there is no choice.
#[test]
fn the_only_log_is_the_one_that_is_named() {
    let sandbox = Background::start(&["--only=fulcio,oidc,rekor2,tsa"]);
    let config = fs::read_to_string(sandbox.get("COSIGN_SIGNING_CONFIG")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["rekorTlogUrls"][0]["majorApiVersion"], 2);
}

#[test]
fn parts_are_chosen() {
    let sandbox = Background::start(&["--only=fulcio,oidc"]);
    let ask = |path: &str| sandbox.status(path);
    assert_eq!(ask("/api/v2/trustBundle"), 200);
    assert_eq!(ask("/oidc/github/keys"), 200);
    for path in [
        "/api/v1/log",
        "/api/v2/checkpoint",
        "/tuf/root.json",
        "/ct/ct/v1/get-sth",
    ] {
        assert_eq!(ask(path), 404, "{path}");
    }
    scgate(["sandbox", "--only=fulcio,mail"])
        .exits(2)
        .complains("a part is one of ct, fulcio, oidc, registry, rekor1, rekor2, tsa, tuf");
    // What is not there is not told of.
    for name in ["SCGATE_SANDBOX_REGISTRY", "SCGATE_SANDBOX_TUF"] {
        assert_eq!(sandbox.get(name), "", "{name}");
    }
    let config = fs::read_to_string(sandbox.get("COSIGN_SIGNING_CONFIG")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["rekorTlogUrls"], serde_json::json!([]));
    assert_eq!(config["caUrls"][0]["url"], sandbox.get("SCGATE_SANDBOX"));
    sandbox
        .tell(&["image"], 2)
        .complains("this sandbox has no registry");
}

#[test]
fn a_state_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let words = ["--state", state.to_str().unwrap()];
    let first = Background::start(&words);
    let root = fs::read(first.get("COSIGN_TRUSTED_ROOT")).unwrap();
    let reference = first.tell(&["image", "shop/kept:v1"], 0).stdout;
    assert!(reference.contains("@sha256:"));
    let port = first
        .get("SCGATE_SANDBOX_REGISTRY")
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    first.stop();

    let second = Background::start(&[&words[..], &["--registry-port", &port]].concat());
    assert_eq!(fs::read(second.get("COSIGN_TRUSTED_ROOT")).unwrap(), root);
    // The image is there, and unsigned; an image that is not there is another answer.
    let denied = scgate([
        "verify",
        "--certificate-identity=a",
        "--certificate-oidc-issuer=b",
    ])
    .and([reference.trim(), "-ojson", "--trusted-root"])
    .and([second.get("COSIGN_TRUSTED_ROOT")])
    .exits(1);
    assert_eq!(denied.codes(), ["no-signature"]);
    // Nobody else may have the state meanwhile, and nothing of it is touched.
    let log = state.join("rekor1.jsonl");
    fs::write(&log, "{\"half").unwrap();
    scgate(["sandbox"])
        .and(words)
        .exits(2)
        .complains("another sandbox keeps its state there");
    assert_eq!(fs::read(&log).unwrap(), b"{\"half");
    second.stop();

    // Versions of the TUF repository grow although the clock went back.
    let version = |words: &[&str]| {
        let sandbox = Background::start(words);
        let url = format!("{}/timestamp.json", sandbox.get("SCGATE_SANDBOX_TUF"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let text = runtime.block_on(async {
            let client = crate::sandbox_registry::plain();
            client.get(url).send().await.unwrap().text().await.unwrap()
        });
        sandbox.stop();
        let timestamp: Value = serde_json::from_str(&text).unwrap();
        timestamp["signed"]["version"].as_u64().unwrap()
    };
    let ahead = version(&[&words[..], &["--clock=+86400"]].concat());
    assert!(version(&words) > ahead);
}

/// What stands in the way of its own directory is left alone.
#[test]
#[cfg(unix)]
fn it_removes_what_it_made_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "kept").unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let said = scgate(["sandbox", "--detach"])
        .variable("TMPDIR", &path)
        .exits(0);
    let sandbox = Background::of(&said);
    assert!(
        sandbox
            .dir()
            .starts_with(dir.path().canonicalize().unwrap())
    );
    sandbox.stop();
    for _ in 0..200 {
        if fs::read_dir(dir.path()).unwrap().count() == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    assert_eq!(left, std::slice::from_ref(&precious));
    assert_eq!(fs::read(precious.join("file")).unwrap(), b"kept");
    let missing = dir.path().join("missing");
    scgate(["sandbox", "--detach"])
        .variable("TMPDIR", missing.to_str().unwrap())
        .exits(2)
        .complains("missing");
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for words in [
        ["sandbox", "--port", &port],
        ["sandbox", "--registry-port", &port],
    ] {
        scgate(words)
            .exits(2)
            .complains(&format!("listen on 127.0.0.1:{port}"));
    }
    // The same through `--detach`.
    scgate(["sandbox", "--detach", "--port", &port])
        .exits(2)
        .complains(&format!("listen on 127.0.0.1:{port}"));

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("state");
    scgate(["sandbox", "--state", below.to_str().unwrap()])
        .exits(2)
        .complains("write `");
    scgate(["sandbox", "--dir", below.to_str().unwrap()])
        .exits(2)
        .complains("--dir");

    let damaged = dir.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("keys.json"), "{}").unwrap();
    scgate(["sandbox", "--state", damaged.to_str().unwrap()])
        .exits(2)
        .complains("it is damaged");

    for (words, text) in [
        (vec!["--clock=soon"], "not a point in time"),
        (vec!["--rekor=3"], "Rekor has versions 1 and 2"),
        (vec!["--referrers=maybe"], "it is `api` or `off`"),
        (vec!["--fault=nonsense"], "find a fault named `nonsense`"),
        (vec!["--registry-user=nobody"], "a user is `NAME:PASSWORD`"),
        (vec!["--registry-tokens"], "tokens are for users"),
        (vec!["--clock=-9999999999"], "runs from 1972 to 9980"),
        (
            vec!["--clock=9999-01-01T00:00:00Z"],
            "runs from 1972 to 9980",
        ),
        (vec!["--dir=/tmp/a\nb"], "a shell cannot be told of it"),
        (
            vec!["--registry-htpasswd=/dev/null/x"],
            "--registry-htpasswd",
        ),
    ] {
        scgate(["sandbox"]).and(words).exits(2).complains(text);
    }
}

#[test]
fn a_sandbox_that_is_not_there_is_said() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    scgate(["sandbox", "token", "--url", &format!("http://{free}")])
        .exits(2)
        .complains("no sandbox answers")
        .complains("start one with `scgate sandbox`");
    scgate(["sandbox", "token", "--url", "http://example.com"])
        .exits(2)
        .complains("no address of a sandbox");
    scgate(["sandbox", "token"]).exits(2).complains("--url");
}
