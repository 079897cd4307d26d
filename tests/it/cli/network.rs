//! Registries: what they do to the exit code, and layouts that were made of one.

use std::fs;

use scgate::model::Digest;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::sandbox::server::Tls;
use serde_json::Value;
use serde_json::json;

use crate::admit::shop::REPO;
use crate::admit::shop::Shop;
use crate::runner::Run;
use crate::runner::scgate;
use crate::world::write_layout;

/// Where signatures lie that are not beside their image.
const SIGNATURES: &str = "acme/signatures";

/// A registry, and the words that ask about what is in it.
struct World {
    shop: Shop,
    dir: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        Self::open_with(Config::default()).await
    }

    async fn open_with(config: Config) -> Self {
        let world = Self {
            shop: Shop::open(config).await,
            dir: tempfile::tempdir().unwrap(),
        };
        let root = world.shop.mint.trusted_root().bytes();
        fs::write(world.dir.path().join("root.json"), root).unwrap();
        world
    }

    fn ask(&self) -> Run {
        let identity = &self.shop.identity;
        scgate([
            "verify",
            "--trusted-root=root.json",
            "--timeout=5s",
            "-ojson",
        ])
        .and(["--certificate-identity", identity.san.value()])
        .and(["--certificate-oidc-issuer", &identity.issuer])
        .within(self.dir.path())
    }

    fn image(&self, what: &str) -> String {
        format!("{}/{REPO}{what}", self.shop.registry.host())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_references_end_with_the_worst_of_their_answers() {
    let world = World::open().await;
    world.shop.sign(world.shop.index);
    let (signed, unsigned) = (
        world.image(":1.0"),
        world.image(&format!("@{}", world.shop.amd64)),
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let unreachable = format!("{closed}/acme/shop:1.0");
    for (references, code) in [
        (vec![&signed], 0),
        (vec![&signed, &signed], 0),
        (vec![&unsigned], 1),
        (vec![&signed, &unsigned], 1),
        (vec![&unreachable], 3),
        (vec![&signed, &unreachable], 3),
        (vec![&unreachable, &unsigned, &signed], 1),
    ] {
        world.ask().and(references).exits(code);
    }
    let said = world.ask().and([&unreachable]).exits(3);
    assert_eq!(said.codes(), ["registry-unreachable"]);
    let said = world.ask().and([world.image(":2.0")]).exits(1);
    assert_eq!(said.codes(), ["image-not-found"]);
    for fault in [
        FaultKind::status(401),
        FaultKind::status(403),
        FaultKind::status(500),
    ] {
        world
            .shop
            .registry
            .inject(Fault::new(fault).path("/manifests/"));
        world.ask().and([&signed]).exits(3);
        world.shop.registry.clear_faults();
        world.ask().and([&signed]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_repository_is_named_by_flag_or_by_the_variable_of_cosign() {
    let world = World::open().await;
    world.shop.sign(world.shop.index);
    let elsewhere = format!("{}/acme/signatures", world.shop.registry.host());
    let own = world.image("");
    let ask = || world.ask().and([world.image(":1.0")]);
    let said = ask().exits(0);
    assert!(!said.stderr.contains("COSIGN_REPOSITORY"), "{said}");
    ask().and(["--signature-repository", &elsewhere]).exits(1);
    ask()
        .and([
            "--signature-repository",
            &elsewhere,
            "--signature-repository",
            &own,
        ])
        .exits(0);
    let said = ask().variable("COSIGN_REPOSITORY", &elsewhere).exits(1);
    drop(said.complains("as COSIGN_REPOSITORY says"));
    let said = ask()
        .variable("COSIGN_REPOSITORY", &elsewhere)
        .and(["--signature-repository", &own])
        .exits(0);
    assert!(!said.stderr.contains("COSIGN_REPOSITORY"), "{said}");
    ask()
        .variable("COSIGN_REPOSITORY", "a b")
        .exits(2)
        .complains("a b");
}

/// Moves the signature of the image to `acme/signatures`, in its own registry and in another.
fn move_signature(shop: &Shop, elsewhere: &Registry) {
    let referrer = shop.sign(shop.index);
    let (kind, bytes) = shop.registry.manifest(REPO, referrer).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    for registry in [&shop.registry, elsewhere] {
        for blob in layers.iter().chain([&manifest["config"]]) {
            let digest = Digest::parse(blob["digest"].as_str().unwrap()).unwrap();
            let blob = shop.registry.blob(REPO, digest).unwrap();
            registry.put_blob(SIGNATURES, blob);
        }
        registry.put_manifest(SIGNATURES, &kind, bytes.clone(), None);
    }
    shop.registry.delete_manifest(REPO, referrer);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variable_of_cosign_does_not_say_who_is_told_a_password() {
    let config = || Config {
        auth: Auth::Basic(vec![User::new("alice", "wonderland")]),
        ..Config::default()
    };
    let world = World::open_with(config()).await;
    let elsewhere = Registry::start(config()).await.unwrap();
    move_signature(&world.shop, &elsewhere);
    let own = format!("{}/{SIGNATURES}", world.shop.registry.host());
    let other = format!("{}/{SIGNATURES}", elsewhere.host());
    let ask = || {
        world.ask().and([world.image(":1.0")]).and([
            "--registry-username=alice",
            "--registry-password=wonderland",
        ])
    };
    let variable = "COSIGN_REPOSITORY";
    assert_eq!(ask().exits(1).codes(), ["no-signature"]);
    ask().variable(variable, &own).exits(0);
    ask().and(["--signature-repository", &own]).exits(0);
    let told = || {
        let requests = elsewhere.requests();
        assert!(!requests.is_empty());
        elsewhere.clear_requests();
        requests
            .iter()
            .any(|request| request.authorization.is_some())
    };
    let said = ask().variable(variable, &other).exits(3);
    assert_eq!(said.codes(), ["registry-unauthorized"]);
    assert!(!told());
    // On the command line it is the operator who names it.
    ask().and(["--signature-repository", &other]).exits(0);
    assert!(told());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variable_of_cosign_does_not_say_whose_certificate_goes_unverified() {
    let config = || Config {
        tls: Tls::On,
        ..Config::default()
    };
    let world = World::open_with(config()).await;
    let elsewhere = Registry::start(config()).await.unwrap();
    move_signature(&world.shop, &elsewhere);
    let own = format!("{}/{SIGNATURES}", world.shop.registry.host());
    let other = format!("{}/{SIGNATURES}", elsewhere.host());
    let ask = || {
        let image = [world.image(":1.0")];
        world.ask().and(image).and(["--allow-insecure-registry"])
    };
    ask().variable("COSIGN_REPOSITORY", &own).exits(0);
    let said = ask().variable("COSIGN_REPOSITORY", &other).exits(3);
    assert_eq!(said.codes(), ["registry-unreachable"]);
    ask().and(["--signature-repository", &other]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_made_of_a_registry_gets_the_same_answers() {
    let world = World::open().await;
    let shop = &world.shop;
    let ask = |what: &str, flags: &[&str]| {
        let by_registry = world.ask().and([world.image(what)]).and(flags).run();
        let in_layout = what.trim_start_matches([':', '@']);
        let by_layout = world
            .ask()
            .and(["--layout=layout", in_layout])
            .and(flags)
            .run();
        assert_eq!(
            by_registry.code, by_layout.code,
            "{by_registry}\n{by_layout}"
        );
        assert_eq!(by_registry.codes(), by_layout.codes());
        (by_layout.code, by_layout.codes().join(" "))
    };
    let mut manifests = vec![(shop.index, Some("1.0"))];
    let save = |manifests: &[_]| {
        write_layout(
            &shop.registry,
            REPO,
            manifests,
            &world.dir.path().join("layout"),
        )
    };
    let amd64 = format!("@{}", shop.amd64);
    save(&manifests);
    assert_eq!(ask(":1.0", &[]), (Some(1), "no-signature".into()));

    manifests.push((shop.sign(shop.index), None));
    save(&manifests);
    assert_eq!(ask(":1.0", &[]), (Some(0), String::new()));
    assert_eq!(
        ask(":1.0", &["--recursive"]),
        (Some(1), "no-signature".into())
    );
    assert_eq!(ask(&amd64, &[]), (Some(1), "no-signature".into()));
    let parent = shop.index.to_string();
    assert_eq!(
        ask(&amd64, &["--parent", &parent]),
        (Some(0), String::new())
    );
    let other = shop.arm64.to_string();
    assert_eq!(
        ask(&amd64, &["--parent", &other]),
        (Some(1), "parent-mismatch".into())
    );

    for digest in [shop.amd64, shop.arm64] {
        manifests.push((shop.sign(digest), None));
    }
    save(&manifests);
    for flags in [
        &["--recursive"][..],
        &["--covers=platforms"],
        &["--covers=platforms", "--platform=linux/arm64"],
    ] {
        assert_eq!(ask(":1.0", flags), (Some(0), String::new()), "{flags:?}");
    }
    let missing = ask(":1.0", &["--platform=linux/s390x"]);
    assert_eq!(missing, (Some(1), "platform-missing".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_flags_or_from_the_usual_files() {
    let config = Config {
        auth: Auth::Basic(vec![User::new("alice", "wonderland")]),
        ..Config::default()
    };
    let world = World::open_with(config).await;
    world.shop.sign(world.shop.index);
    let host = world.shop.registry.host();
    let file = |name: &str, password: &str| {
        let entry = json!({"username": "alice", "password": password});
        let path = world.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, json!({"auths": {&host: entry}}).to_string()).unwrap();
    };
    file("good.json", "wonderland");
    file("home/.docker/config.json", "wonderland");
    file("run/containers/auth.json", "wonderland");
    let ask = || world.ask().and([world.image(":1.0")]);
    assert_eq!(ask().exits(3).codes(), ["registry-unauthorized"]);
    ask().and(["--authfile=good.json"]).exits(0);
    ask().variable("SCGATE_AUTHFILE", "good.json").exits(0);
    ask().variable("REGISTRY_AUTH_FILE", "good.json").exits(0);
    ask().variable("HOME", "home").exits(0);
    ask().variable("DOCKER_CONFIG", "home/.docker").exits(0);
    ask().variable("XDG_RUNTIME_DIR", "run").exits(0);
    // A file that is named is the only one.
    file("bad.json", "looking glass");
    ask()
        .and(["--authfile=bad.json"])
        .variable("HOME", "home")
        .exits(3);
    let flags = |password| ["--registry-username=alice", password];
    ask().and(flags("--registry-password=wonderland")).exits(0);
    let said = ask()
        .and(flags("--registry-password=looking glass"))
        .exits(3);
    assert!(
        !format!("{}{}", said.stdout, said.stderr).contains("looking glass"),
        "{said}"
    );
    // One that nobody named and nobody can read is a warning, a malformed one is wrong.
    fs::create_dir_all(world.dir.path().join("odd/.docker/config.json")).unwrap();
    drop(
        ask()
            .variable("HOME", "odd")
            .exits(3)
            .complains("odd/.docker/config.json is not read"),
    );
    fs::write(world.dir.path().join("good.json"), "{").unwrap();
    drop(
        ask()
            .and(["--authfile=good.json"])
            .exits(2)
            .complains("good.json"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_unless_the_authority_is_named_or_the_operator_says_not_to() {
    let config = Config {
        tls: Tls::On,
        ..Config::default()
    };
    let world = World::open_with(config).await;
    world.shop.sign(world.shop.index);
    let ca = world.shop.registry.ca_pem().unwrap();
    fs::write(world.dir.path().join("ca.pem"), ca).unwrap();
    let ask = || world.ask().and([world.image(":1.0")]);
    assert_eq!(ask().exits(3).codes(), ["registry-unreachable"]);
    ask().and(["--registry-cacert=ca.pem"]).exits(0);
    ask().variable("SCGATE_CACERT", "ca.pem").exits(0);
    ask().and(["--allow-insecure-registry"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_used_is_wrong_usage_and_never_passed_by() {
    let world = World::open().await;
    world.shop.sign(world.shop.index);
    let ask = || world.ask().and([world.image(":1.0")]);
    ask().exits(0);
    for (address, texts) in [
        ("ftp://127.0.0.1:3128", ["`ftp://`", "`http://HOST:PORT`"]),
        ("bad://x", ["`bad://`", "`https://HOST:PORT`"]),
        (
            "socks5://127.0.0.1:1080",
            ["`socks5://`", "`http://HOST:PORT`"],
        ),
        (
            "http://alice:secret@127.0.0.1:99999",
            ["a proxy address that is none", "`http://HOST:PORT`"],
        ),
        (
            "http://alice:secret@a\"b",
            ["a proxy address that is none", "`http://HOST:PORT`"],
        ),
    ] {
        for (run, by) in [
            (ask().and(["--proxy", address]), "error: `--proxy`: "),
            (
                ask().variable("SCGATE_PROXY", address),
                "error: `SCGATE_PROXY`: ",
            ),
        ] {
            let said = run.exits(2);
            assert!(!said.stderr.contains("secret"), "{said}");
            assert_eq!(said.stdout, "", "{said}");
            let said = said.complains(by);
            drop(said.complains(texts[0]).complains(texts[1]));
        }
    }
    // One that can be used is used: there is nobody behind this address.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [
        format!("http://{closed}"),
        format!("https://{closed}"),
        closed.to_string(),
    ] {
        let said = ask().and(["--proxy", &address]).exits(3);
        assert_eq!(said.codes(), ["registry-unreachable"], "{said}");
        let said = ask().variable("SCGATE_PROXY", &address).exits(3);
        assert_eq!(said.codes(), ["registry-unreachable"], "{said}");
    }
    // The flag wins.
    ask()
        .variable("SCGATE_PROXY", "ftp://127.0.0.1")
        .and(["--proxy", &format!("http://{closed}")])
        .exits(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_port_is_for_whoever_names_it() {
    let world = World::open().await;
    world.shop.sign(world.shop.index);
    // Nothing listens there, which is all that is wrong with it.
    let ask = |reference: &str| world.ask().and([reference]);
    let codes = |run: Run| run.exits(3).codes();
    for reference in ["localhost:1/x:1", "127.0.0.1:1/x:1", "LOCALHOST:1/x:1"] {
        assert_eq!(codes(ask(reference)), ["registry-unreachable"]);
    }
    let image = world.image(":1.0");
    let elsewhere = ["--signature-repository", "127.0.0.1:1/x"];
    assert_eq!(codes(ask(&image).and(elsewhere)), ["registry-unreachable"]);
    // A variable names no port, and neither does a registry.
    let variable = ask(&image).variable("COSIGN_REPOSITORY", "127.0.0.1:1/x");
    assert_eq!(codes(variable), ["registry-refused"]);
    let realm = FaultKind::Realm("http://127.0.0.1:1/token".to_owned());
    world.shop.registry.inject(Fault::new(realm).path("/v2/"));
    assert_eq!(codes(ask(&image)), ["registry-refused"]);
    world.shop.registry.clear_faults();
    ask(&image).exits(0);
}
