//! Tokens: what is one, what stands in it, and where it comes from.

mod device;

use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use proptest::prelude::*;
use scgate::Timestamp;
use scgate::model::DenyCode;
use scgate::sandbox::Provider as Issuer;
use scgate::services::Error;
use scgate::services::oidc::AUDIENCE;
use scgate::services::oidc::Ambient;
use scgate::services::oidc::Provider;
use scgate::services::oidc::Token;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::World;
use super::code;

/// A token over these claims that nobody signed.
pub(super) fn unsigned(claims: &Map<String, Value>) -> String {
    raw(
        r#"{"alg":"RS256"}"#,
        &Value::Object(claims.clone()).to_string(),
    )
}

fn raw(head: &str, claims: &str) -> String {
    format!("{}.{}.c2ln", BASE64.encode(head), BASE64.encode(claims))
}

fn claims(changes: Value) -> String {
    let mut all = json!({
        "iss": "https://issuer.test",
        "sub": "me",
        "aud": AUDIENCE,
        "exp": 2_000_000_000,
        "nbf": 1_000_000_000,
        "iat": 1_000_000_000,
    });
    let members = all.as_object_mut().unwrap();
    members.extend(changes.as_object().cloned().unwrap());
    members.retain(|_, value| !value.is_null());
    unsigned(members)
}

fn parse(changes: Value) -> Token {
    Token::parse(&claims(changes)).unwrap()
}

#[test]
fn a_token_is_three_parts_with_claims_in_the_middle() {
    let head = r#"{"alg":"ES256","kid":"x","typ":"JWT"}"#;
    let good = r#"{"iss":"i","exp":1}"#;
    for text in [
        claims(json!({})),
        format!("  {}\n", claims(json!({}))),
        raw(head, good),
        claims(json!({ "exp": 1.9e9, "nbf": 1.5 })),
        claims(json!({ "aud": [], "extra": { "a": [1] } })),
    ] {
        assert!(Token::parse(&text).is_ok(), "{text}");
    }
    let many: Map<_, _> = (0..300).map(|n| (format!("c{n}"), json!(n))).collect();
    for text in [
        String::new(),
        " \n".to_owned(),
        "token".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        "..".to_owned(),
        raw(head, good).replace('.', ". "),
        raw(head, good).replace(".c2ln", "."),
        raw(head, good).replace(".c2ln", ".c2ln="),
        raw(r#"{"alg":"none"}"#, good),
        raw(r#"{"alg":"None"}"#, good),
        raw("{}", good),
        raw("[]", good),
        raw(head, ""),
        raw(head, "[]"),
        raw(head, "\"x\""),
        raw(head, r#"{"iss":"i","exp":1,"exp":2}"#),
        raw(head, r#"{"iss":"i","exp":1,"a":{"b":1,"b":2}}"#),
        raw(head, r#"{"iss":"i","exp":1}{}"#),
        raw(head, r#"{"iss":"i"}"#),
        raw(head, r#"{"exp":1}"#),
        raw(head, r#"{"iss":"","exp":1}"#),
        raw(head, r#"{"iss":["i"],"exp":1}"#),
        raw(head, r#"{"iss":"i","exp":"1"}"#),
        raw(head, r#"{"iss":"i","exp":null}"#),
        raw(head, r#"{"iss":"i","exp":1e300}"#),
        raw(head, r#"{"iss":"i","exp":1,"nbf":"x"}"#),
        raw(head, r#"{"iss":"i","exp":1,"iat":[]}"#),
        raw(head, r#"{"iss":"i","exp":1,"sub":7}"#),
        raw(head, r#"{"iss":"i","exp":1,"aud":7}"#),
        raw(head, r#"{"iss":"i","exp":1,"aud":["a",7]}"#),
        raw(&"[".repeat(10_000), good),
        raw(head, &"[".repeat(10_000)),
        claims(json!({ "extra": "x".repeat(70_000) })),
        claims(Value::Object(many)),
    ] {
        let error = Token::parse(&text).unwrap_err();
        assert_eq!(error.code(), DenyCode::TokenMalformed, "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_stops_the_reader(text in ".{0,200}", head in ".{0,60}", body in ".{0,200}") {
        for text in [text, raw(&head, &body)] {
            let error = Token::parse(&text).unwrap_err();
            prop_assert_eq!(error.code(), DenyCode::TokenMalformed);
        }
    }

    #[test]
    fn claims_are_read_as_they_stand(subject in ".{1,60}", exp in 0_i64..4_000_000_000) {
        let token = parse(json!({ "sub": subject, "exp": exp }));
        prop_assert_eq!(token.subject_to_prove(), Ok(subject.as_str()));
        prop_assert_eq!(token.expires().unix_seconds(), exp);
    }
}

#[test]
fn a_token_counts_for_a_time_and_an_audience() {
    let now = Timestamp::from_unix_seconds(1_500_000_000).unwrap();
    let at = |changes: Value| parse(changes).current(now).map_err(|error| error.code());
    let outside = Err(DenyCode::TokenOutsideValidity);
    assert_eq!(at(json!({})), Ok(()));
    assert_eq!(at(json!({ "exp": 1_500_000_001 })), Ok(()));
    assert_eq!(at(json!({ "exp": 1_500_000_000 })), outside);
    assert_eq!(at(json!({ "exp": 0 })), outside);
    // Fulcio has five minutes of patience at the beginning, and none at the end.
    assert_eq!(at(json!({ "nbf": 1_500_000_300 })), Ok(()));
    assert_eq!(at(json!({ "nbf": 1_500_000_301 })), outside);
    assert_eq!(at(json!({ "nbf": null })), Ok(()));
    for (audience, expected) in [
        (json!("sigstore"), true),
        (json!(["other", "sigstore"]), true),
        (json!("Sigstore"), false),
        (json!("sigstore "), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        let outcome = parse(json!({ "aud": audience })).for_audience(AUDIENCE);
        assert_eq!(outcome.is_ok(), expected, "{audience}");
        if !expected {
            assert_eq!(code(outcome), DenyCode::TokenAudienceMismatch);
        }
    }
}

#[test]
fn a_person_proves_an_address_and_a_machine_its_subject() {
    let address = |verified: Value| json!({ "email": "a@b.test", "email_verified": verified });
    let subject = |changes: Value| {
        let token = parse(changes);
        token.subject_to_prove().map(str::to_owned)
    };
    assert_eq!(subject(json!({})).as_deref(), Ok("me"));
    assert_eq!(subject(json!({ "sub": null })).as_deref(), Ok(""));
    assert_eq!(subject(json!({ "email": "" })).as_deref(), Ok("me"));
    assert_eq!(subject(address(json!(true))).as_deref(), Ok("a@b.test"));
    assert_eq!(subject(address(json!("true"))).as_deref(), Ok("a@b.test"));
    for bad in [
        json!(false),
        json!("false"),
        json!("True"),
        json!(1),
        Value::Null,
    ] {
        // The token is one, and may not sign.
        assert_eq!(code(subject(address(bad))), DenyCode::SigningForbidden);
    }
    // A CI system may tell of whoever pushed.
    let mut machine = address(json!(false));
    machine["event_name"] = json!("push");
    assert_eq!(subject(machine).as_deref(), Ok("me"));
}

/// For every kind of issuer: the proof is the one that Fulcio expects, and the name that is shown is
/// the one in the certificate.
#[tokio::test]
async fn the_claimed_identity_is_the_certified_one() {
    let world = World::open().await;
    for issuer in Issuer::ALL {
        let token = world.sandbox.token(*issuer, issuer.claims()).unwrap();
        let token = Token::parse(&token).unwrap();
        let claimed = token.claimed().unwrap();
        assert_eq!(claimed.issuer, issuer.issuer());
        let issued = world.certificate_for(&token).await.unwrap();
        let name = claimed.name.value().as_bytes();
        let is_there = issued.leaf.windows(name.len()).any(|part| part == name);
        assert!(is_there, "{claimed}");
    }
    let dex = parse(json!({
        "iss": "https://oauth2.sigstore.dev/auth",
        "email": "a@b.test",
        "email_verified": true,
        "federated_claims": { "connector_id": "https://accounts.google.com" },
    }));
    let claimed = dex.claimed().unwrap();
    assert_eq!(
        claimed.to_string(),
        "a@b.test (vouched for by https://accounts.google.com)"
    );
    let server = parse(json!({
        "iss": "https://github.acme.test/_services/token",
        "job_workflow_ref": "o/r/.github/workflows/w.yml@refs/heads/main",
    }));
    let expected = "https://github.acme.test/o/r/.github/workflows/w.yml@refs/heads/main";
    assert_eq!(server.claimed().unwrap().name.value(), expected);
    world.sandbox.stop().await.unwrap();
}

/// What is around, in a test.
struct Around(BTreeMap<&'static str, String>);

impl Around {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        let owned = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self(owned.collect())
    }

    /// Asks with these variables, and no file or program but those named.
    async fn ask(
        &self,
        world: &World,
        provider: Option<Provider>,
        circleci: &str,
        file: &Path,
    ) -> Result<(Provider, Token), Error> {
        let variable = |name: &str| self.0.get(name).cloned();
        let mut ambient = Ambient::new(&variable);
        ambient.kubernetes = file;
        ambient.circleci = OsStr::new(circleci);
        let provider = match provider {
            Some(provider) => provider,
            None => ambient.detect()?,
        };
        let token = ambient.fetch(provider, &world.client(), AUDIENCE).await?;
        Ok((provider, token))
    }
}

const NO_PROGRAM: &str = "/nonexistent/circleci";

fn no_file() -> &'static Path {
    Path::new("/nonexistent/token")
}

async fn ask(world: &World, variables: &[(&'static str, &str)]) -> Result<Provider, Error> {
    let around = Around::new(variables);
    let (provider, token) = around.ask(world, None, NO_PROGRAM, no_file()).await?;
    token.for_audience(AUDIENCE)?;
    Ok(provider)
}

#[tokio::test]
async fn providers_are_found_in_the_order_of_cosign() {
    let world = World::open().await;
    let token = claims(json!({}));
    let url = world.sandbox.actions_url();
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret"),
    ];
    let variable = [("SIGSTORE_ID_TOKEN", token.as_str())];
    let both = [&github[..], &variable].concat();
    assert_eq!(ask(&world, &github).await, Ok(Provider::GithubActions));
    let request = world.sandbox.requests().pop().unwrap();
    assert_eq!(request.query, "api-version=2.0&audience=sigstore");
    assert_eq!(request.authorization.as_deref(), Some("bearer s3cret"));
    assert_eq!(ask(&world, &both).await, Ok(Provider::GithubActions));
    // A variable that is set to nothing is not set.
    let empty = [
        &github[..2],
        &[("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")],
        &variable,
    ]
    .concat();
    assert_eq!(ask(&world, &empty).await, Ok(Provider::Variable));
    let circle = [("CIRCLECI", "true"), ("SIGSTORE_ID_TOKEN", token.as_str())];
    assert_eq!(ask(&world, &circle).await, Ok(Provider::Variable));

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("oidc-token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let nothing = Around::new(&[]);
    let found = nothing.ask(&world, None, NO_PROGRAM, &file).await;
    assert_eq!(
        found.map(|(provider, _)| provider),
        Ok(Provider::Filesystem)
    );
    let around = Around::new(&github);
    let found = around.ask(&world, Some(Provider::Filesystem), NO_PROGRAM, &file);
    assert_eq!(
        found.await.map(|(provider, _)| provider),
        Ok(Provider::Filesystem)
    );
    let none = |_: &str| None;
    let mut ambient = Ambient::new(&none);
    ambient.kubernetes = no_file();
    assert_eq!(code(ambient.detect()), DenyCode::TokenMissing);
    ambient.spiffe = Some(&file);
    assert_eq!(ambient.detect(), Ok(Provider::Spiffe));
    let svid = ambient
        .fetch(Provider::Spiffe, &world.client(), AUDIENCE)
        .await;
    assert_eq!(svid.unwrap().issuer(), "https://issuer.test");

    for (content, expected) in [
        (&b"not a token"[..], DenyCode::TokenMalformed),
        (&[0xff; 40], DenyCode::TokenMalformed),
        (&[b'a'; 300_000], DenyCode::TokenMalformed),
    ] {
        fs::write(&file, content).unwrap();
        let found = nothing.ask(&world, None, NO_PROGRAM, &file).await;
        assert_eq!(code(found), expected);
    }
    let found = nothing.ask(&world, Some(Provider::Filesystem), NO_PROGRAM, no_file());
    assert_eq!(code(found.await), DenyCode::TokenMissing);
    for provider in Provider::ALL {
        assert_eq!(Provider::named(provider.name()), Some(*provider));
        let found = nothing.ask(&world, Some(*provider), NO_PROGRAM, no_file());
        assert_eq!(code(found.await), DenyCode::TokenMissing, "{provider}");
    }
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let world = World::open().await;
    let other = claims(json!({ "aud": "org" }));
    for (variables, expected) in [
        (&[][..], "nothing here gives one"),
        (
            &[("GITHUB_ACTIONS", "true")],
            "`permissions: id-token: write`; jobs of a pull request from a fork never get it",
        ),
        (
            &[
                ("GITHUB_ACTIONS", "true"),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
            ],
            "id-token: write",
        ),
        (&[("GITLAB_CI", "true")], "id_tokens: SIGSTORE_ID_TOKEN"),
        (
            &[("CIRCLECI", "true")],
            "`circleci run oidc get` gave none: there is no such program here",
        ),
        (
            &[("CIRCLECI", "true"), ("CIRCLE_OIDC_TOKEN_V2", &other)],
            "and of `CIRCLE_OIDC_TOKEN_V2`: the identity token is for `org`, not for `sigstore`",
        ),
        // What scgate's rules never ask is no address for a variable, now or later.
        (
            &[
                ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/?s3cret"),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
            ],
            "`ACTIONS_ID_TOKEN_REQUEST_URL` holds an address that is not asked: `127.0.0.1:1` is on a port",
        ),
        (
            &[
                ("BUILDKITE_AGENT_ACCESS_TOKEN", "x"),
                ("BUILDKITE_JOB_ID", "1"),
                ("BUILDKITE_AGENT_ENDPOINT", "https://169.254.169.254/v3"),
            ],
            "`BUILDKITE_AGENT_ENDPOINT` holds an address that is not asked: ",
        ),
        (
            &[("BUILDKITE_AGENT_ACCESS_TOKEN", "x")],
            "`BUILDKITE_JOB_ID` is not set",
        ),
        (
            &[
                ("BUILDKITE_AGENT_ACCESS_TOKEN", "x"),
                ("BUILDKITE_JOB_ID", "../../x"),
            ],
            "`BUILDKITE_JOB_ID` is no id",
        ),
    ] {
        let error = ask(&world, variables).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::TokenMissing);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = Around::new(&[])
        .ask(&world, Some(Provider::Filesystem), NO_PROGRAM, no_file())
        .await
        .unwrap_err();
    let expected = "`/nonexistent/token` cannot be read: there is no such file";
    assert!(error.to_string().ends_with(expected), "{error}");
    for url in [
        "http://actions.test/?token=s3cret",
        "https://user:s3cret@actions.test/",
        "s3cret",
        "file:///s3cret",
    ] {
        let variables = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t0ken-t0ken"),
        ];
        let error = ask(&world, &variables).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::TokenMissing);
        let text = format!("{error}{error:?}");
        assert!(!text.contains("t0ken"), "{text}");
        assert!(
            !url.contains("s3cret@") || !text.contains("s3cret"),
            "{text}"
        );
        assert!(
            !url.contains("?token") || !text.contains("s3cret"),
            "{text}"
        );
    }
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn every_fault_of_github_has_its_code() {
    let world = World::open().await;
    let url = world.sandbox.actions_url();
    let github = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret-s3cret"),
    ];
    for (fault, expected) in super::FAULTS {
        world.inject(&fault.replace("PATH", "actions-token"));
        let found = ask(&world, &github).await;
        assert_eq!(found.err().map(|error| error.code()), *expected, "{fault}");
        world.sandbox.clear_faults();
        assert!(ask(&world, &github).await.is_ok(), "after {fault}");
    }
    for (body, expected) in [
        ("{}", DenyCode::ServiceMalformed),
        ("{\"value\":7}", DenyCode::ServiceMalformed),
        ("{\"value\":\"s3cret-s3cret\"}", DenyCode::TokenMalformed),
    ] {
        world.answer(200, body);
        assert_eq!(code(ask(&world, &github).await), expected, "{body}");
        world.sandbox.clear_faults();
    }
    world.answer(403, "you with s3cret-s3cret may not");
    let error = ask(&world, &github).await.unwrap_err();
    assert!(
        error.to_string().ends_with("you with *** may not"),
        "{error}"
    );
    world.sandbox.stop().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn circleci_is_asked_by_its_program() {
    use std::os::unix::fs::PermissionsExt;

    let mut world = World::open().await;
    let dir = tempfile::tempdir().unwrap();
    let program = |script: &str| {
        let path = dir.path().join("circleci");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = claims(json!({}));
    let other = claims(json!({ "aud": "org" }));
    let run = async |world: &World, program: &str, fallback: &str| {
        let around = Around::new(&[("CIRCLECI", "true"), ("CIRCLE_OIDC_TOKEN_V2", fallback)]);
        let found = around.ask(world, None, program, no_file()).await;
        found
            .map(|(provider, _)| provider)
            .map_err(|error| error.code())
    };
    let good =
        format!("[ \"$*\" = 'run oidc get --claims {{\"aud\":\"sigstore\"}}' ] && echo '{token}'");
    let good = program(&good);
    assert_eq!(run(&world, &good, "").await, Ok(Provider::CircleCi));
    let missing = Err(DenyCode::TokenMissing);
    for script in [
        "exit 1",
        "echo 'no eyJhbGciOi.x.y' >&2; exit 2",
        "printf '\\377'",
    ] {
        let program = program(script);
        assert_eq!(run(&world, &program, "").await, missing, "{script}");
        assert_eq!(
            run(&world, &program, &token).await,
            Ok(Provider::CircleCi),
            "{script}"
        );
        // Its audience is the organisation, usually.
        assert_eq!(run(&world, &program, &other).await, missing, "{script}");
    }
    let loud = program("yes | head -c 1000000");
    assert_eq!(run(&world, &loud, "").await, missing);
    let slow = program("sleep 30");
    world.patience = Duration::from_millis(300);
    assert_eq!(run(&world, &slow, "").await, missing);
    world.sandbox.stop().await.unwrap();
}
