//! Who is told which secret.

use std::time::Duration;

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::registry::Error;
use scgate::registry::Helpers;
use scgate::registry::Keyring;
use scgate::registry::RawManifest;
use scgate::registry::RemoteSettings;
use scgate::registry::Source;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::sandbox::server::Tls;
use serde_json::json;

use super::World;
use super::keyring;
use super::settings;
use super::soon;
use super::source_with;

fn alice() -> User {
    User::new("alice", "hunter2").identity_token("refresh-me")
}

fn tokens(change: impl FnOnce(&mut TokenAuth)) -> Config {
    let mut auth = TokenAuth::new(vec![alice()]);
    change(&mut auth);
    Config {
        auth: Auth::Token(auth),
        ..Config::default()
    }
}

fn basic() -> Config {
    Config {
        auth: Auth::Basic(vec![alice()]),
        ..Config::default()
    }
}

fn source(keyring: Keyring) -> Source {
    source_with(settings(), keyring, RemoteSettings::default())
}

fn config(json: serde_json::Value) -> Keyring {
    let bytes = json.to_string();
    Keyring::from_docker_config("config.json", bytes.as_bytes(), Helpers::Run).unwrap()
}

async fn read(world: &World, source: &Source) -> Result<RawManifest, Error> {
    source
        .manifest(&world.repository(), &world.image, soon())
        .await
}

#[tokio::test]
async fn passwords_and_tokens_open_what_they_open() {
    for (config_of_registry, expected_exchanges) in [(basic(), 0), (tokens(|_| {}), 1)] {
        let world = World::start(config_of_registry).await;
        let host = world.registry.host();
        let good = source(keyring(&host, "alice", "hunter2"));
        assert!(read(&world, &good).await.is_ok());
        assert!(read(&world, &good).await.is_ok());
        assert_eq!(world.registry.token_exchanges(), expected_exchanges);

        let wrong = source(keyring(&host, "alice", "wrong"));
        let error = read(&world, &wrong).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::RegistryUnauthorized);
        assert!(!error.to_string().contains("wrong"), "{error}");
        let nothing = source(Keyring::default());
        let error = read(&world, &nothing).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::RegistryUnauthorized);
    }
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_demanded_and_the_demand_is_remembered() {
    let world = World::start(basic()).await;
    let source = source(keyring(&world.registry.host(), "alice", "hunter2"));
    for _ in 0..3 {
        assert!(read(&world, &source).await.is_ok());
    }
    let sent: Vec<_> = world
        .registry
        .requests()
        .iter()
        .map(|request| request.authorization.is_some())
        .collect();
    assert_eq!(sent, [false, true, true, true]);
}

#[tokio::test]
async fn one_token_serves_all_and_only_its_repository() {
    let world = World::start(tokens(|_| {})).await;
    let source = source(keyring(&world.registry.host(), "alice", "hunter2"));
    let reads = (0..30).map(|_| read(&world, &source));
    for outcome in futures_util::future::join_all(reads).await {
        assert!(outcome.is_ok());
    }
    assert_eq!(world.registry.token_exchanges(), 1);
    let exchange = world
        .lines()
        .into_iter()
        .find(|l| l.contains("/token"))
        .unwrap();
    assert!(
        exchange.contains("scope=repository%3Ateam%2Fapp%3Apull"),
        "{exchange}"
    );
    assert!(!exchange.contains("push"), "{exchange}");
    // A token that was revoked is replaced once.
    world.registry.revoke_tokens();
    assert!(read(&world, &source).await.is_ok());
    assert_eq!(world.registry.token_exchanges(), 2);
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let world = World::start(tokens(|auth| auth.lifetime = Duration::from_secs(2))).await;
    let source = source(keyring(&world.registry.host(), "alice", "hunter2"));
    assert!(read(&world, &source).await.is_ok());
    world.registry.clear_requests();
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert!(read(&world, &source).await.is_ok());
    let statuses: Vec<_> = world.registry.requests().iter().map(|r| r.status).collect();
    assert_eq!(statuses, [Some(200), Some(200)]);
}

#[tokio::test]
async fn public_images_need_a_token_of_nobody() {
    let world = World::start(tokens(|auth| auth.anonymous_pull = true)).await;
    assert!(read(&world, &source(Keyring::default())).await.is_ok());
    // A stale password does not stand in the way of a public image.
    let stale = source(keyring(&world.registry.host(), "alice", "stale"));
    assert!(read(&world, &stale).await.is_ok());
}

#[tokio::test]
async fn identity_and_registry_tokens_are_used_as_they_are_meant() {
    let world = World::start(tokens(|_| {})).await;
    let host = world.registry.host();
    let identity = config(json!({"auths": {&host: {"identitytoken": "refresh-me"}}}));
    assert!(read(&world, &source(identity)).await.is_ok());
    let posts: Vec<_> = world
        .registry
        .requests()
        .into_iter()
        .filter(|request| request.method == "POST")
        .collect();
    assert_eq!(posts.len(), 1);
    let form = String::from_utf8(posts[0].body.to_vec()).unwrap();
    assert!(form.contains("grant_type=refresh_token"), "{form}");
    assert!(
        world
            .lines()
            .iter()
            .all(|line| !line.contains("refresh-me"))
    );

    world.registry.clear_requests();
    let bearer = config(json!({"auths": {&host: {"registrytoken": "as-it-is"}}}));
    assert!(read(&world, &source(bearer)).await.is_err());
    let sent: Vec<_> = world
        .registry
        .requests()
        .into_iter()
        .filter_map(|request| request.authorization)
        .collect();
    assert!(sent.contains(&"Bearer as-it-is".to_owned()), "{sent:?}");
}

#[tokio::test]
async fn other_challenges_before_the_one_that_counts_are_passed_over() {
    let mut registry = tokens(|_| {});
    registry.challenges_before = vec!["Negotiate".to_owned(), "Basic realm=\"x\"".to_owned()];
    let world = World::start(registry).await;
    let source = source(keyring(&world.registry.host(), "alice", "hunter2"));
    assert!(read(&world, &source).await.is_ok());
    assert_eq!(world.registry.token_exchanges(), 1);
}

/// T-REG-13.
#[tokio::test]
async fn credentials_of_another_host_port_or_path_are_not_sent() {
    let world = World::start(basic()).await;
    let host = world.registry.host();
    let port = world.registry.address().port();
    for key in [
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{}", port.wrapping_add(1)),
        format!("{host}/team2"),
        format!("{host}/team/app2"),
        format!("{host}/team/ap"),
        format!("localhost:{port}"),
        format!("evil.test/{host}"),
        format!("127.0.0.1.evil.test:{port}"),
    ] {
        world.registry.clear_requests();
        let error = read(&world, &source(keyring(&key, "alice", "hunter2")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), DenyCode::RegistryUnauthorized, "{key}");
        let text = error.to_string();
        assert!(text.contains("no credentials for"), "{text}");
        let requests = world.registry.requests();
        assert!(requests.iter().all(|r| r.authorization.is_none()), "{key}");
    }
    for key in [format!("{host}/team"), format!("https://{host}/v2/")] {
        let source = source(keyring(&key, "alice", "hunter2"));
        assert!(read(&world, &source).await.is_ok(), "{key}");
    }
}

/// What a token server at `realm` is told, and what becomes of the read.
async fn told(realm: &str, thief: &World, pairs: &[(&str, &str)]) -> (Vec<bool>, DenyCode, String) {
    let world = World::start(tokens(|auth| auth.realm = Some(realm.to_owned()))).await;
    thief.registry.clear_requests();
    let mut settings_of_remote = RemoteSettings::default();
    settings_of_remote.token_servers = pairs
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect();
    let keyring = keyring(&world.registry.host(), "alice", "hunter2");
    let source = source_with(settings(), keyring, settings_of_remote);
    let error = read(&world, &source).await.unwrap_err();
    let told = thief.registry.requests();
    let told = told.iter().map(|r| r.authorization.is_some()).collect();
    (told, error.code(), error.to_string())
}

/// T-REG-12.
#[tokio::test]
async fn a_token_server_elsewhere_gets_no_credentials() {
    let thief = World::start(tokens(|_| {})).await;
    let port = thief.registry.address().port();
    // Another host: asked anonymously, and the message says why.
    let elsewhere = format!("http://localhost:{port}/token");
    let (told_it, code, text) = told(&elsewhere, &thief, &[]).await;
    assert!(told_it.iter().all(|sent| !sent), "{told_it:?}");
    assert_eq!(code, DenyCode::RegistryUnauthorized);
    assert!(text.contains("were not sent"), "{text}");
    // The same host on another port is the same owner.
    let same = format!("http://127.0.0.1:{port}/token");
    let (told_it, _, _) = told(&same, &thief, &[]).await;
    assert!(told_it.contains(&true));
    // Userinfo, other schemes and forbidden addresses are not asked at all.
    for realm in [
        format!("http://u:p@127.0.0.1:{port}/token"),
        format!("ftp://127.0.0.1:{port}/token"),
        "http://169.254.169.254/token".to_owned(),
        "http://[::ffff:127.0.0.1]/token".to_owned(),
        "/token".to_owned(),
        String::new(),
    ] {
        let (told_it, code, text) = told(&realm, &thief, &[]).await;
        assert_eq!(told_it, [false; 0], "{realm}");
        assert_eq!(code, DenyCode::RegistryRefused, "{realm}: {text}");
    }
}

/// A registry over TLS, a source that trusts it and has its password, and what its token server saw.
async fn over_tls(change: impl FnOnce(&mut TokenAuth), pairs: &[(&str, &str)]) -> (World, Source) {
    let config = Config {
        tls: Tls::On,
        ..tokens(change)
    };
    let world = World::start(config).await;
    let mut settings = settings();
    let ca = world.registry.ca_pem().unwrap();
    settings.trust_authorities(ca.as_bytes()).unwrap();
    let mut remote = RemoteSettings::default();
    remote.token_servers = pairs
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect();
    let keyring = keyring(&world.registry.host(), "alice", "hunter2");
    let source = source_with(settings, keyring, remote);
    (world, source)
}

/// T-REG-12: credentials go to a token server under another name on the operator's word alone.
#[tokio::test]
async fn a_token_server_elsewhere_gets_credentials_where_the_operator_paired_it() {
    use DenyCode::RegistryUnauthorized;
    for (pairs, anonymous_pull, told, expected) in [
        (&[("127.0.0.1", "localhost")][..], false, true, Ok(())),
        (&[], false, false, Err(RegistryUnauthorized)),
        (
            &[("localhost", "127.0.0.1")],
            false,
            false,
            Err(RegistryUnauthorized),
        ),
        (
            &[("127.0.0.1", "localhost.evil.test")],
            false,
            false,
            Err(RegistryUnauthorized),
        ),
        (
            &[("127.0.0", "localhost")],
            false,
            false,
            Err(RegistryUnauthorized),
        ),
        // What is public is read with a token of nobody.
        (&[], true, false, Ok(())),
    ] {
        let (world, source) = over_tls(|auth| auth.anonymous_pull = anonymous_pull, pairs).await;
        let port = world.registry.address().port();
        let realm = FaultKind::Realm(format!("https://localhost:{port}/token"));
        world.registry.inject(Fault::new(realm).times(1));
        let outcome = read(&world, &source).await.map(drop);
        assert_eq!(outcome.map_err(|error| error.code()), expected, "{pairs:?}");
        let mut asked = world.registry.requests();
        asked.retain(|request| request.path == "/token");
        let sent: Vec<_> = asked.iter().map(|r| r.authorization.is_some()).collect();
        assert_eq!(sent, [told], "{pairs:?}");
    }
    // Not over plain HTTP, whatever the operator says.
    let thief = World::start(tokens(|_| {})).await;
    let realm = format!("http://localhost:{}/token", thief.registry.address().port());
    let (told_it, code, _) = told(&realm, &thief, &[("127.0.0.1", "localhost")]).await;
    assert_eq!((told_it, code), (vec![false], RegistryUnauthorized));
}

/// T-REG-12: whoever is spoken to over TLS names no token server without it.
#[tokio::test]
async fn a_token_server_without_tls_is_not_asked_for_a_registry_with_it() {
    let thief = World::start(tokens(|auth| auth.anonymous_pull = true)).await;
    for (realm, expected) in [
        (None, Ok(())),
        (
            Some(thief.registry.url() + "/token"),
            Err(DenyCode::RegistryRefused),
        ),
    ] {
        let (world, source) = over_tls(|auth| auth.anonymous_pull = true, &[]).await;
        if let Some(realm) = realm {
            let fault = Fault::new(FaultKind::Realm(realm));
            world.registry.inject(fault.path("/manifests/"));
        }
        let outcome = read(&world, &source).await.map(drop);
        assert_eq!(outcome.map_err(|error| error.code()), expected);
    }
    assert_eq!(thief.lines(), [""; 0]);
}

#[tokio::test]
async fn a_token_server_that_fails_is_told_for_what_it_is() {
    for (kind, code) in [
        (FaultKind::status(429), DenyCode::RegistryRateLimited),
        (FaultKind::status(503), DenyCode::RegistryUnavailable),
        (FaultKind::status(404), DenyCode::RegistryUnavailable),
        (FaultKind::status(401), DenyCode::RegistryUnauthorized),
        (FaultKind::status(403), DenyCode::RegistryForbidden),
        (FaultKind::HtmlOk, DenyCode::RegistryMalformed),
        (FaultKind::EndlessBody, DenyCode::LimitExceeded),
        (FaultKind::Hang, DenyCode::RegistryTimeout),
        (FaultKind::Reset, DenyCode::RegistryUnreachable),
        (
            FaultKind::Redirect {
                to: "http://localhost:1/".to_owned(),
                status: 302,
            },
            DenyCode::RegistryRefused,
        ),
    ] {
        let world = World::start(tokens(|auth| auth.anonymous_pull = true)).await;
        world
            .registry
            .inject(Fault::new(kind.clone()).path("/token"));
        let source = source(keyring(&world.registry.host(), "alice", "hunter2"));
        let error = read(&world, &source).await.unwrap_err();
        assert!(!error.is_not_found());
        assert_eq!(error.code(), code, "{kind:?}: {error}");
        // Only where the credentials were refused is it tried without.
        let anonymous = world
            .registry
            .requests()
            .iter()
            .filter(|r| r.path == "/token" && r.authorization.is_none())
            .count();
        let refused = matches!(
            code,
            DenyCode::RegistryUnauthorized | DenyCode::RegistryForbidden
        );
        assert_eq!(anonymous, usize::from(refused), "{kind:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_helper_is_asked_only_when_credentials_are_demanded() {
    let open = World::start(Config::default()).await;
    let closed = World::start(basic()).await;
    // No such helper exists: whoever starts it fails.
    let json = json!({"credsStore": "scgate-test-absent"});
    let source = source(config(json));
    assert!(read(&open, &source).await.is_ok());
    let error = read(&closed, &source).await.unwrap_err();
    assert_eq!(error.code(), DenyCode::RegistryUnauthorized);
    let text = error.to_string();
    assert!(
        text.contains("docker-credential-scgate-test-absent"),
        "{text}"
    );
}

/// Some registries tell a stranger that what is hidden is not there, without a challenge. Who has
/// credentials asks the root what it demands, once.
#[tokio::test]
async fn credentials_are_used_where_a_stranger_finds_nothing() {
    for registry in [basic(), tokens(|_| {})] {
        let world = World::start(Config {
            conceal: true,
            ..registry
        })
        .await;
        let host = world.registry.host();
        let good = source(keyring(&host, "alice", "hunter2"));
        assert!(read(&world, &good).await.is_ok());
        assert!(read(&world, &good).await.is_ok());
        assert_eq!(roots(&world), 1);
        // Somebody else's password opens nothing, and what it does not find may be there.
        let wrong = source(keyring(&host, "alice", "wrong"));
        let error = read(&world, &wrong).await.unwrap_err();
        assert!(!error.is_not_found(), "{error}");
        // A stranger cannot know better.
        world.registry.clear_requests();
        let nothing = source(Keyring::default());
        assert!(read(&world, &nothing).await.unwrap_err().is_not_found());
        assert_eq!(roots(&world), 0);
    }
    // Where nothing is demanded, what is not found is not there.
    let world = World::start(Config::default()).await;
    let host = world.registry.host();
    let good = source(keyring(&host, "alice", "hunter2"));
    for _ in 0..2 {
        let absent = Digest::sha256(b"absent");
        let error = good.manifest(&world.repository(), &absent, soon()).await;
        assert!(error.unwrap_err().is_not_found());
    }
    assert_eq!(roots(&world), 1);
    // A root that fails says nothing.
    let absent = Digest::sha256(b"absent");
    for (status, code) in [
        (503, DenyCode::RegistryUnavailable),
        (429, DenyCode::RegistryRateLimited),
        (403, DenyCode::RegistryForbidden),
    ] {
        let fresh = source(keyring(&host, "alice", "hunter2"));
        let fault = Fault::new(FaultKind::status(status)).after(1);
        world.registry.inject(fault);
        let error = fresh.manifest(&world.repository(), &absent, soon()).await;
        assert_eq!(error.unwrap_err().code(), code);
        world.registry.clear_faults();
    }
}

fn roots(world: &World) -> usize {
    let requests = world.registry.requests();
    let is_root = |line: &String| line.ends_with(" /v2/");
    let lines = requests.iter().map(|request| request.line());
    lines.filter(is_root).count()
}
