//! What must not be signed: nothing is pushed, the reason is named, and the twin of each row is
//! signed.

use std::fs;
use std::time::Duration;

use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Lie;
use scgate::sandbox::Provider;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::registry;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;
use serde_json::json;

use super::REPO;
use super::World;
use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;
use crate::sandbox_lies::rows::ROWS;

/// Lies that a signer meets otherwise than a verifier: earlier, or with less patience.
#[rustfmt::skip]
const OTHERWISE: &[(&str, &str, &str)] = &[
    // Fulcio is asked first.
    ("clock:+3600", "certificate-outside-validity", "certificate-outside-validity"),
    // Issuer and name are compared as the pair that they are.
    ("ca-issuer:https://evil.test", "identity-mismatch", "identity-mismatch"),
    // Seen in the answer, before anything is signed with it.
    ("ca-other-key", "service-malformed", "service-malformed"),
    ("ca-malformed", "service-malformed", "service-malformed"),
    ("log-no-proof", "service-malformed", "service-malformed"),
    ("log-no-checkpoint", "service-malformed", "service-malformed"),
    ("tsa-status:2", "service-refused", "service-refused"),
    // A verifier may do without the timestamp; a signer asked for one.
    ("tsa-stranger", "timestamp-untrusted", "timestamp-untrusted"),
];

/// The code at the end of the first line of an error.
fn code(stderr: &str) -> String {
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or(stderr);
    let end = line.rsplit_once('(').map_or("", |(_, end)| end);
    end.trim_end_matches(')').to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_of_a_service_is_never_pushed() {
    let mut wrong = Vec::new();
    for log in [LogVersion::V1, LogVersion::V2] {
        let world = World::with(Config {
            log,
            ..Config::default()
        })
        .await;
        for (lie, rekor1, rekor2) in ROWS {
            let row = OTHERWISE.iter().find(|(other, _, _)| other == lie);
            let own = (*lie, *rekor1, *rekor2);
            let (_, rekor1, rekor2) = row.unwrap_or(&own);
            let expected = match log {
                LogVersion::V1 => rekor1,
                LogVersion::V2 => rekor2,
            };
            let writes = world.writes();
            let told: Lie = lie.parse().unwrap();
            world.sandbox.inject(Fault::new(FaultKind::Lie(told)));
            let reference = world.reference();
            let said = world
                .sign(&["--again", "--signature-format=bundle", &reference])
                .run();
            world.sandbox.clear_faults();
            let found = match said.code {
                Some(0) => "ALLOW".to_owned(),
                Some(_) => code(&said.stderr),
                None => panic!("{said}"),
            };
            if said.code != Some(0) && world.writes() != writes {
                wrong.push(format!("{lie}: pushed"));
            }
            if found != **expected {
                wrong.push(format!("    (\"{lie}\", {log:?}, \"{found}\"),"));
            }
        }
        world.sign(&["--again", &world.reference()]).exits(0);
        world.end().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tokens that may not sign, each beside one that differs in one claim and may.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_decides_who_may_sign() {
    let world = World::open().await;
    let run = |event: &str, git_ref: &str| GithubToken {
        event: event.to_owned(),
        git_ref: git_ref.to_owned(),
        ..GithubToken::default()
    };
    let main = "refs/heads/main";
    for (event, git_ref, flags, expected) in [
        ("push", main, &[][..], "ALLOW"),
        ("release", "refs/tags/v1", &[], "ALLOW"),
        ("schedule", main, &[], "ALLOW"),
        ("workflow_dispatch", main, &[], "ALLOW"),
        (
            "merge_group",
            "refs/heads/gh-readonly-queue/main/pr-1",
            &[],
            "ALLOW",
        ),
        (
            "pull_request",
            "refs/pull/1/merge",
            &[],
            "signing-forbidden",
        ),
        ("pull_request_target", main, &[], "signing-forbidden"),
        ("issue_comment", main, &[], "signing-forbidden"),
        ("workflow_run", main, &[], "signing-forbidden"),
        (
            "issue_comment",
            main,
            &["--allow-event=issue_comment"],
            "ALLOW",
        ),
        (
            "push",
            "refs/heads/dev",
            &["--allow-ref=refs/heads/main"],
            "signing-forbidden",
        ),
        ("push", main, &["--allow-ref=refs/heads/main"], "ALLOW"),
        (
            "push",
            "refs/tags/v1.2",
            &["--allow-ref=refs/tags/v*"],
            "ALLOW",
        ),
        ("push", "refs/pull/7/head", &[], "signing-forbidden"),
    ] {
        world.token("other", run(event, git_ref));
        let (asked, writes) = (world.sandbox.requests().len(), world.writes());
        let said = world
            .with_token("other")
            .and(flags)
            .and(["--again", &world.reference()])
            .run();
        let shown = format!("{event} {git_ref} {flags:?}\n{said}");
        match expected {
            "ALLOW" => assert_eq!(said.code, Some(0), "{shown}"),
            expected => {
                assert_eq!(said.code, Some(1), "{shown}");
                assert_eq!(code(&said.stderr), expected, "{shown}");
                assert!(said.stderr.contains("\nhelp: ") || said.stderr.starts_with("error"));
                assert_eq!(world.sandbox.requests().len(), asked, "{shown}");
                assert_eq!(world.writes(), writes, "{shown}");
            }
        }
    }
    world.end().await;
}

impl World {
    fn with_token(&self, file: &str) -> Run {
        scgate([
            "sign",
            "--signing-config=services.json",
            "--trusted-root=root.json",
        ])
        .and([format!("--identity-token={file}")])
        .within(self.dir.path())
    }

    fn claims(&self, name: &str, change: impl Fn(&mut serde_json::Map<String, Value>)) {
        let mut claims = GithubToken::default().claims();
        change(&mut claims);
        let token = self.sandbox.token(Provider::Github, claims).unwrap();
        fs::write(self.dir.path().join(name), token).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_count_is_refused_before_anybody_is_asked() {
    let world = World::open().await;
    let now = scgate::Timestamp::from(std::time::SystemTime::now()).unix_seconds();
    world.claims("expired", |claims| {
        claims.insert("exp".to_owned(), json!(now - 60));
    });
    world.claims("early", |claims| {
        claims.insert("nbf".to_owned(), json!(now + 3600));
    });
    world.claims("audience", |claims| {
        claims.insert("aud".to_owned(), json!("vault"));
    });
    world.claims("no-event", |claims| {
        claims.remove("event_name");
        claims.insert("event_name".to_owned(), Value::Null);
    });
    fs::write(world.dir.path().join("text"), "no token").unwrap();
    fs::write(world.dir.path().join("empty"), "").unwrap();
    for (token, exit, expected) in [
        ("expired", 1, "token-outside-validity"),
        ("early", 1, "token-outside-validity"),
        ("audience", 1, "token-audience-mismatch"),
        ("no-event", 1, "signing-forbidden"),
        ("text", 2, "token-malformed"),
        ("empty", 2, "token-malformed"),
    ] {
        let said = world.with_token(token).and([world.reference()]).exits(exit);
        assert_eq!(code(&said.stderr), expected, "{said}");
        assert_eq!(
            said.stderr.lines().count(),
            2,
            "one sentence and its remedy\n{said}"
        );
    }
    // No token at all, in a job that may not ask for one.
    let said = scgate([
        "sign",
        "--signing-config=services.json",
        "--trusted-root=root.json",
    ])
    .and([world.reference()])
    .variable("GITHUB_ACTIONS", "true")
    .within(world.dir.path())
    .exits(2);
    assert_eq!(code(&said.stderr), "token-missing", "{said}");
    said.complains("id-token: write");
    assert_eq!(world.sandbox.requests().len(), 0);
    assert_eq!(world.writes(), 0);
    // An issuer that Fulcio does not know: asked, and refused.
    world.claims("stranger", |claims| {
        claims.insert("iss".to_owned(), json!("https://issuer.test"));
    });
    let said = world
        .with_token("stranger")
        .and([world.reference()])
        .exits(1);
    assert_eq!(code(&said.stderr), "service-refused", "{said}");
    assert_eq!(world.writes(), 0);
    // The job that may.
    scgate([
        "sign",
        "--signing-config=services.json",
        "--trusted-root=root.json",
    ])
    .and([world.reference()])
    .variable("GITHUB_ACTIONS", "true")
    .variable("ACTIONS_ID_TOKEN_REQUEST_URL", &world.sandbox.actions_url())
    .variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sandbox")
    .within(world.dir.path())
    .exits(0);
    world.end().await;
}

/// What a certificate says about the build is what the token says, and not the name alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_another_claim_is_refused() {
    let world = World::open().await;
    for claim in ["15=1", "11=self-hosted"] {
        world
            .sandbox
            .inject(format!("lie=ca-claim:{claim}").parse().unwrap());
        let said = world.sign(&[&world.reference()]).exits(1);
        assert_eq!(code(&said.stderr), "claim-mismatch", "{said}");
        world.sandbox.clear_faults();
    }
    assert_eq!(world.asked("/api/v1/log/entries"), 0);
    assert_eq!(world.writes(), 0);
    world.sign(&[&world.reference()]).exits(0);
    world.end().await;
}

/// Clocks that are apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_time_is_refused() {
    let world = World::open().await;
    for (path, time, expected) in [
        ("/api/v1/timestamp", "+3600", "time-in-future"),
        ("/api/v1/log/entries", "+3600", "time-in-future"),
        (
            "/api/v2/signingCert",
            "+3600",
            "certificate-outside-validity",
        ),
        (
            "/api/v2/signingCert",
            "-3600",
            "certificate-outside-validity",
        ),
    ] {
        let fault = format!("lie=clock:{time},path={path}");
        world.sandbox.inject(fault.parse().unwrap());
        let said = world.sign(&[&world.reference()]).exits(1);
        assert_eq!(code(&said.stderr), expected, "{path} {time}\n{said}");
        world.sandbox.clear_faults();
    }
    assert_eq!(world.writes(), 0);
    world.sign(&[&world.reference()]).exits(0);
    world.end().await;
}

/// The registry shows another image than the one that was resolved.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_meanwhile_is_not_signed() {
    // Time enough for somebody to move the tag.
    let world = World::with(Config {
        delay: Duration::from_millis(700),
        ..Config::default()
    })
    .await;
    let registry = world.sandbox.registry().unwrap();
    let tagged = format!("{}:v1", world.repository());
    let other = scgate::sandbox::Image::new("other");
    registry.put_image(REPO, &other, None);
    let signing = world.sign(&["-r", &tagged]);
    let said = std::thread::scope(|scope| {
        let signing = scope.spawn(|| signing.run());
        while world.asked("/api/v1/log/entries") == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        registry.tag(REPO, "v1", other.index);
        signing.join().unwrap()
    });
    assert_eq!(said.code, Some(1), "{said}");
    assert_eq!(code(&said.stderr), "tag-moved", "{said}");
    assert_eq!(world.writes(), 0);
    // The digest is what it was, whatever the tag does.
    world.sign(&["-r", &world.reference()]).exits(0);
    world.end().await;
}

/// Images that cannot be signed whole are not signed in part.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_stops_the_walk_before_it_begins() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    let (kind, index) = registry.manifest(REPO, world.image.index).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let put = |change: &dyn Fn(&mut Value)| {
        let mut changed = index.clone();
        change(&mut changed);
        registry.put_manifest(REPO, &kind, changed.to_string(), None)
    };
    let absent = scgate::model::Digest::sha256(b"absent");
    for (changed, expected) in [
        (
            put(&|index| index["manifests"][1]["mediaType"] = json!("application/vnd.wasm.v1")),
            "manifest-malformed",
        ),
        (
            put(&|index| {
                index["manifests"][1]["mediaType"] =
                    json!("application/vnd.oci.image.index.v1+json");
            }),
            "manifest-malformed",
        ),
        (
            put(&|index| index["manifests"][1]["digest"] = json!(absent)),
            "child-not-found",
        ),
    ] {
        let reference = format!("{}@{changed}", world.repository());
        let writes = world.writes();
        let said = world.sign(&["-r", &reference]).exits(1);
        assert_eq!(code(&said.stderr), expected, "{said}");
        assert_eq!(world.writes(), writes);
    }
    assert_eq!(
        world.sandbox.requests().len(),
        0,
        "no certificate, no entry"
    );
    let reference = format!("{}@{absent}", world.repository());
    let said = world.sign(&["-r", &reference]).exits(1);
    assert_eq!(code(&said.stderr), "image-not-found", "{said}");
    world.sign(&["-r", &world.reference()]).exits(0);
    world.end().await;
}

/// A registry that does not take what is pushed.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_the_right_to_push_is_said_so() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    for (fault, exit, expected) in [
        ("status=403,method=POST", 3, "registry-forbidden"),
        ("status=401,method=PUT", 3, "registry-unauthorized"),
        (
            "status=403,method=PUT,path=/manifests/",
            3,
            "registry-forbidden",
        ),
    ] {
        registry.inject(fault.parse().unwrap());
        let said = world.sign(&["-r", &world.reference()]).exits(exit);
        registry.clear_faults();
        let said = said.complains(expected);
        assert!(said.stdout.is_empty(), "nothing is signed\n{said}");
    }
    world.sign(&["-r", &world.reference()]).exits(0);
    world.assert_once_each(1, 1);
    world.end().await;
    // Immutable tags: the bundles are there, the second legacy signature is not.
    let world = World::with(Config {
        registry: registry::Config {
            immutable_tags: true,
            ..registry::Config::default()
        },
        ..Config::default()
    })
    .await;
    world.sign(&["-r", &world.reference()]).exits(0);
    let said = world.sign(&["-r", "--again", &world.reference()]).exits(1);
    let said = said.complains("tag-immutable");
    said.complains("--signature-format bundle");
    world
        .sign(&[
            "-r",
            "--again",
            "--signature-format=bundle",
            &world.reference(),
        ])
        .exits(0);
    world.end().await;
}

/// What is printed as help is something that whoever signs can do, and no flag of what verifies.
#[tokio::test(flavor = "multi_thread")]
async fn what_helps_is_what_a_signer_can_do() {
    let world = World::open().await;
    let help = |said: &Said| {
        let lines = said.stderr.lines();
        let lines: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("help: "))
            .collect();
        assert_eq!(lines.len(), 1, "{said}");
        lines[0].to_owned()
    };
    let run = |event: &str, git_ref: &str| GithubToken {
        event: event.to_owned(),
        git_ref: git_ref.to_owned(),
        ..GithubToken::default()
    };
    world.token("dev", run("push", "refs/heads/dev"));
    world.token("pull", run("push", "refs/pull/7/head"));
    world.token("comment", run("issue_comment", "refs/heads/main"));
    world.claims("expired", |claims| {
        claims.insert("exp".to_owned(), json!(1_700_000_000));
    });
    let mut unverified = Provider::Email.claims();
    unverified.insert("email_verified".to_owned(), json!(false));
    let unverified = world.sandbox.token(Provider::Email, unverified).unwrap();
    fs::write(world.dir.path().join("unverified"), unverified).unwrap();
    let reference = world.reference();
    for (token, flags, code_of, text) in [
        (
            "dev",
            &["--allow-ref=refs/heads/main"][..],
            "signing-forbidden",
            "another `--allow-ref`",
        ),
        ("pull", &[], "signing-forbidden", "what was merged"),
        ("comment", &[], "signing-forbidden", "`--allow-event`"),
        (
            "unverified",
            &[],
            "signing-forbidden",
            "verified at the issuer",
        ),
        (
            "token",
            &["--certificate-identity=x"],
            "identity-mismatch",
            "--certificate-identity",
        ),
    ] {
        let run = world.with_token(token).and(flags).and([&reference]);
        let said = run.exits(1);
        assert_eq!(code(&said.stderr), code_of, "{said}");
        assert!(help(&said).contains(text), "{said}");
    }
    let said = world.with_token("expired").and([&reference]).exits(1);
    let (_, now) = said.stderr.split_once("and it is ").unwrap();
    assert!(!now.split('Z').next().unwrap().contains('.'), "{said}");
    for (lie, text) in [
        ("ca-no-sct", "Whoever runs the certificate authority"),
        ("ca-sct-log", "--trusted-root"),
        ("ca-sct-signature", "whoever runs the authority"),
        ("ca-key-usage:6", "Whoever runs the certificate authority"),
        ("clock:+3600,path=/api/v1/timestamp", "Correct the clock"),
    ] {
        world.sandbox.inject(format!("lie={lie}").parse().unwrap());
        let said = world.sign(&[&reference]).exits(1);
        world.sandbox.clear_faults();
        let help = help(&said);
        assert!(help.contains(text), "{said}");
        for flag in ["--insecure", "--clock-skew", "--at`"] {
            assert!(!help.contains(flag), "{said}");
        }
    }
    // A registry that only hands out.
    let registry = world.sandbox.registry().unwrap();
    registry.inject("status=405,method=POST".parse().unwrap());
    let said = world.sign(&["-ojson", &reference]).exits(3);
    registry.clear_faults();
    for text in [&help(&said), &said.stdout] {
        assert!(
            text.contains("takes no uploads") && !text.contains("Ask again"),
            "{said}"
        );
    }
    // A provider that gives no token: there is none yet to compare.
    let job = || {
        scgate([
            "sign",
            "--signing-config=services.json",
            "--trusted-root=root.json",
        ])
        .and([&reference])
        .variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sandbox")
        .within(world.dir.path())
    };
    let url = world.sandbox.actions_url();
    world
        .sandbox
        .inject("status=403,path=actions-token".parse().unwrap());
    let said = job()
        .variable("ACTIONS_ID_TOKEN_REQUEST_URL", &url)
        .exits(1);
    world.sandbox.clear_faults();
    assert_eq!(code(&said.stderr), "service-refused", "{said}");
    assert!(help(&said).contains("--identity-token") && !help(&said).contains("audience"));
    let said = job()
        .variable("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/")
        .exits(2);
    assert_eq!(code(&said.stderr), "token-missing", "{said}");
    assert!(help(&said).contains("variable"), "{said}");
    // Nobody named a right that could be given.
    let said = job().exits(2);
    assert!(!help(&said).contains("right"), "{said}");
    assert_eq!(world.writes(), 0);
    world.end().await;
}

/// The root that what is made is verified under is said where nobody named it.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_root_is_said() {
    let world = World::open().await;
    let sign = |flags: &[&str]| {
        scgate([
            "sign",
            "--signing-config=services.json",
            "--identity-token=token",
        ])
        .and(flags)
        .and([world.reference()])
        .within(world.dir.path())
    };
    let said = sign(&[]).exits(1);
    said.complains("trusted root: the public-good one that is part of scgate");
    let said = sign(&["--trusted-root=root.json"]).exits(0);
    assert!(!said.stderr.contains("public-good"), "{said}");
    world.end().await;
}

/// A repository that does not prove what it serves, or is not there, is told with its code, on stderr
/// and to programs; its twin signs.
#[tokio::test(flavor = "multi_thread")]
async fn a_tuf_repository_that_fails_has_a_code() {
    let world = World::open().await;
    let other = World::open().await;
    std::fs::write(world.dir.path().join("own.json"), world.sandbox.tuf_root()).unwrap();
    std::fs::write(
        world.dir.path().join("other.json"),
        other.sandbox.tuf_root(),
    )
    .unwrap();
    let reference = world.reference();
    let sign = |mirror: &str, root: &str| {
        crate::runner::scgate(["sign", "--identity-token=token", "-ojson", &reference])
            .and([
                format!("--tuf-mirror={mirror}"),
                format!("--tuf-root={root}"),
            ])
            .within(world.dir.path())
            .run()
    };
    let own = world.sandbox.tuf_url();
    for (mirror, root, code, exit) in [
        (own.as_str(), "other.json", "mirror-untrusted", 1),
        (
            "http://127.0.0.1:1/tuf",
            "own.json",
            "service-unavailable",
            3,
        ),
    ] {
        let said = sign(mirror, root);
        assert_eq!(said.code, Some(exit), "{said}");
        assert!(said.stderr.contains(code), "{said}");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(json["failed"][0]["code"], code, "{said}");
    }
    let twin = sign(&own, "own.json");
    assert_eq!(twin.code, Some(0), "{twin}");
    world.end().await;
    other.end().await;
}
