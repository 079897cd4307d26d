//! Services that the sandbox does not have, acted: an issuer with a device flow, Buildkite's agent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::http::StatusCode;
use scgate::model::DenyCode;
use scgate::services::Endpoint;
use scgate::services::Error;
use scgate::services::oidc::Token;
use scgate::services::oidc::device;
use scgate::services::oidc::device::Prompt;
use serde_json::Value;
use serde_json::json;

use super::Around;
use super::NO_PROGRAM;
use super::World;
use super::claims;
use super::no_file;

/// A server that gives the answers it was told, one after the other, and keeps what it was asked.
struct Stage {
    url: String,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Stage {
    async fn open() -> Self {
        let answers: Arc<Mutex<VecDeque<(u16, String)>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (own, heard) = (Arc::clone(&answers), Arc::clone(&asked));
        let router = Router::new().fallback(async move |request: axum::extract::Request| {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let line = format!(
                "{} {} {}",
                parts.method,
                parts.uri,
                String::from_utf8_lossy(&body)
            );
            heard.lock().unwrap().push(line);
            let answer = own.lock().unwrap().pop_front();
            let (status, body) = answer.unwrap_or((404, String::new()));
            (StatusCode::from_u16(status).unwrap(), body)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            answers,
            asked,
            task,
        }
    }

    fn play(&self, answers: &[(u16, Value)]) {
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, body.to_string()));
        *self.answers.lock().unwrap() = answers.collect();
        self.asked.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "token_endpoint": format!("{}/token", self.url),
            "device_authorization_endpoint": format!("{}/device/code", self.url),
            "extra": [],
        })
    }

    fn id_token(&self, changes: Value) -> Value {
        let mut all = json!({ "iss": self.url, "email": "a@b.test", "email_verified": true });
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().cloned().unwrap());
        json!({ "id_token": claims(all), "access_token": "x" })
    }

    async fn token(&self, world: &World) -> (Result<Token, Error>, Vec<Prompt>) {
        let issuer = Endpoint::parse(&self.url).unwrap();
        let mut prompts = Vec::new();
        let mut tell = |prompt: &Prompt| prompts.push(prompt.clone());
        let token = device::token(&world.client(), &issuer, "sigstore", &mut tell).await;
        (token, prompts)
    }
}

fn authorization() -> Value {
    json!({
        "device_code": "d3vice-c0de",
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://issuer.test/device",
        "verification_uri_complete": "https://issuer.test/device?user_code=ABCD-EFGH",
        "expires_in": 300,
        "interval": 1,
    })
}

fn pending() -> (u16, Value) {
    (400, json!({ "error": "authorization_pending" }))
}

#[tokio::test]
async fn a_person_agrees_at_another_device() {
    let (world, stage) = (World::open().await, Stage::open().await);
    stage.play(&[
        (200, stage.discovery()),
        (200, authorization()),
        pending(),
        (200, stage.id_token(json!({}))),
    ]);
    let (token, prompts) = stage.token(&world).await;
    assert_eq!(token.unwrap().subject_to_prove(), Ok("a@b.test"));
    assert_eq!(prompts.len(), 1);
    assert_eq!(
        (prompts[0].url.as_str(), prompts[0].code.as_str()),
        ("https://issuer.test/device", "ABCD-EFGH")
    );
    let asked = stage.asked();
    assert!(
        asked[0].starts_with("GET /.well-known/openid-configuration"),
        "{asked:?}"
    );
    for part in [
        "client_id=sigstore",
        "scope=openid+email",
        "code_challenge_method=S256",
    ] {
        assert!(asked[1].contains(part), "{asked:?}");
    }
    for part in ["device_code=d3vice-c0de", "code_verifier=", "device_code&"] {
        assert!(asked[3].contains(part), "{asked:?}");
    }
    stage.task.abort();
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_an_issuer_does_wrong_has_its_code() {
    let (world, stage) = (World::open().await, Stage::open().await);
    let found = (200, stage.discovery());
    let with = |name: &str, value: Value| {
        let mut changed = authorization();
        changed[name] = value;
        (200, changed)
    };
    let discovered = |name: &str, value: Value| {
        let mut changed = stage.discovery();
        changed[name] = value;
        (200, changed)
    };
    let granted = |changes: Value| (200, stage.id_token(changes));
    let good = (200, authorization());
    let denied = (400, json!({ "error": "access_denied" }));
    let expired = (400, json!({ "error": "expired_token" }));
    let grant = (
        400,
        json!({ "error": "invalid_grant", "error_description": "no d3vice-c0de" }),
    );
    let malformed = DenyCode::ServiceMalformed;
    let none = DenyCode::TokenMissing;
    let none_offered = discovered("device_authorization_endpoint", Value::Null);
    for (name, answers, expected) in [
        (
            "no discovery",
            vec![(404, json!({}))],
            DenyCode::ServiceRefused,
        ),
        ("garbage", vec![(200, json!([]))], malformed),
        (
            "another issuer",
            vec![discovered("issuer", json!("https://evil.test"))],
            malformed,
        ),
        ("no flow", vec![none_offered], DenyCode::ServiceRefused),
        (
            "plain http",
            vec![discovered("token_endpoint", json!("http://evil.test"))],
            malformed,
        ),
        (
            "no client",
            vec![found.clone(), (401, json!({ "error": "invalid_client" }))],
            DenyCode::ServiceRefused,
        ),
        ("no code", vec![found.clone(), (200, json!({}))], malformed),
        (
            "escapes",
            vec![found.clone(), with("user_code", json!("\u{1b}[2J"))],
            malformed,
        ),
        (
            "a script",
            vec![
                found.clone(),
                with("verification_uri", json!("javascript:x")),
            ],
            malformed,
        ),
        (
            "a plain page",
            vec![
                found.clone(),
                with("verification_uri", json!("http://evil.test/device")),
            ],
            malformed,
        ),
        (
            "a password",
            vec![
                found.clone(),
                with("verification_uri", json!("https://a@evil.test")),
            ],
            malformed,
        ),
        ("denied", vec![found.clone(), good.clone(), denied], none),
        ("expired", vec![found.clone(), good.clone(), expired], none),
        (
            "over",
            vec![found.clone(), with("expires_in", json!(1))],
            none,
        ),
        (
            "refused",
            vec![found.clone(), good.clone(), grant],
            DenyCode::ServiceRefused,
        ),
        (
            "garbage token",
            vec![
                found.clone(),
                good.clone(),
                (200, json!({ "id_token": "x" })),
            ],
            DenyCode::TokenMalformed,
        ),
        (
            "no token",
            vec![found.clone(), good.clone(), (200, json!({}))],
            malformed,
        ),
        (
            "their issuer",
            vec![
                found.clone(),
                good.clone(),
                granted(json!({ "iss": "https://evil.test" })),
            ],
            malformed,
        ),
        (
            "their audience",
            vec![found.clone(), good.clone(), granted(json!({ "aud": "x" }))],
            DenyCode::TokenAudienceMismatch,
        ),
    ] {
        stage.play(&answers);
        let (token, prompts) = stage.token(&world).await;
        let error = token.unwrap_err();
        assert_eq!(error.code(), expected, "{name}: {error}");
        assert!(!format!("{error:?}").contains("d3vice"), "{error:?}");
        assert_eq!(
            prompts.len(),
            usize::from(answers.len() > 2 || name == "over"),
            "{name}"
        );
    }
    stage.play(&[found, good, granted(json!({}))]);
    assert!(stage.token(&world).await.0.is_ok());
    stage.task.abort();
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn buildkites_agent_is_asked() {
    let (world, stage) = (World::open().await, Stage::open().await);
    let around = Around::new(&[
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "s3cret-s3cret"),
        ("BUILDKITE_AGENT_ENDPOINT", &format!("{}/v3/", stage.url)),
        ("BUILDKITE_JOB_ID", "0184990a-477b-4fa8-9968-496074483cee"),
    ]);
    stage.play(&[(200, json!({ "token": claims(json!({})) }))]);
    let found = around.ask(&world, None, NO_PROGRAM, no_file()).await;
    assert!(found.is_ok(), "{found:?}");
    assert_eq!(
        stage.asked(),
        [
            "POST /v3/jobs/0184990a-477b-4fa8-9968-496074483cee/oidc/tokens {\"audience\":\"sigstore\"}"
        ]
    );
    for (answer, expected) in [
        (
            (401, json!({ "message": "s3cret-s3cret is unknown" })),
            DenyCode::ServiceRefused,
        ),
        ((200, json!({})), DenyCode::ServiceMalformed),
        ((200, json!({ "token": "x" })), DenyCode::TokenMalformed),
    ] {
        stage.play(&[answer]);
        let error = around
            .ask(&world, None, NO_PROGRAM, no_file())
            .await
            .unwrap_err();
        assert_eq!(error.code(), expected);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    stage.task.abort();
    world.sandbox.stop().await.unwrap();
}
