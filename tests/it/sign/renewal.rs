//! One certificate for a walk, and another one where little of it is left.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use scgate::Limits;
use scgate::Timestamp;
use scgate::TrustRoot;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider;
use scgate::sandbox::Stamps;
use scgate::sandbox::mint::LogVersion;
use scgate::services::oidc::Token;
use scgate::services::signing_config::SigningConfig;
use scgate::sign::Config;
use scgate::sign::Credential;
use scgate::sign::Error;
use scgate::sign::Renew;
use scgate::sign::Signer;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;

use super::World;

fn token(world: &World, run: GithubToken) -> Token {
    let text = world.sandbox.token(Provider::Github, run.claims()).unwrap();
    Token::parse(&text).unwrap()
}

fn signer(world: &World, ahead: &Arc<AtomicI64>, renew: Option<Renew>) -> Signer {
    let limits = Limits::default();
    let config = world
        .sandbox
        .signing_config(LogVersion::V1, Stamps::Rfc3161);
    let config = SigningConfig::parse(&config, &limits).unwrap();
    let now = Timestamp::from(SystemTime::now());
    let ahead = Arc::clone(ahead);
    Signer::new(Config {
        credential: Credential::Token {
            token: Box::new(token(world, GithubToken::default())),
            renew,
        },
        services: config.select(now).unwrap(),
        root: Some(Arc::new(
            TrustRoot::parse(&world.sandbox.trusted_root(), &limits).unwrap(),
        )),
        transport: Transport::new(Settings::default()).unwrap(),
        limits,
        clock: Arc::new(move || {
            let now = Timestamp::from(SystemTime::now());
            now.plus_seconds(ahead.load(Ordering::Relaxed))
        }),
        identity: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_little_time_left_is_renewed() {
    let world = World::open().await;
    let deadline = || Deadline::after(Duration::from_secs(30));
    let ahead = Arc::new(AtomicI64::new(0));
    let next = token(&world, GithubToken::default());
    let renew: Renew = Arc::new(move |_| {
        let next = next.clone();
        Box::pin(async move { Ok(next) })
    });
    let own = signer(&world, &ahead, Some(renew));
    own.sign_file(b"one", deadline()).await.unwrap();
    ahead.store(7 * 60, Ordering::Relaxed);
    own.sign_file(b"two", deadline()).await.unwrap();
    assert_eq!(
        world.asked("/api/v2/signingCert"),
        1,
        "three minutes are enough"
    );
    ahead.store(9 * 60, Ordering::Relaxed);
    own.sign_file(b"three", deadline()).await.unwrap();
    assert_eq!(world.asked("/api/v2/signingCert"), 2, "one minute is not");

    // The next token is of somebody else.
    let other = GithubToken {
        workflow: "other.yml".to_owned(),
        ..GithubToken::default()
    };
    let other = token(&world, other);
    let renew: Renew = Arc::new(move |_| {
        let other = other.clone();
        Box::pin(async move { Ok(other) })
    });
    ahead.store(0, Ordering::Relaxed);
    let own = signer(&world, &ahead, Some(renew));
    own.sign_file(b"one", deadline()).await.unwrap();
    ahead.store(9 * 60, Ordering::Relaxed);
    let error = own.sign_file(b"two", deadline()).await.unwrap_err();
    assert!(matches!(error, Error::Renewed { .. }), "{error}");
    assert_eq!(error.code().name(), "identity-mismatch");
    world.end().await;
}
