//! What is signed, in which layouts, and that a second run finds it.

use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider;
use scgate::sandbox::Stamps;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::registry;
use scgate::sandbox::registry::Referrers;
use serde_json::Value;

use super::REPO;
use super::World;
use crate::runner::scgate;

fn kind(log: LogVersion, stamps: Stamps, referrers: Referrers) -> Config {
    Config {
        log,
        stamps,
        registry: registry::Config {
            referrers,
            ..registry::Config::default()
        },
        ..Config::default()
    }
}

/// Every kind of instance and registry, with what the default writes there.
#[tokio::test(flavor = "multi_thread")]
async fn everything_in_an_index_is_signed_once() {
    for (log, stamps, referrers, legacy) in [
        (LogVersion::V1, Stamps::Rfc3161, Referrers::Api, 1),
        (LogVersion::V1, Stamps::None, Referrers::Api, 1),
        (LogVersion::V2, Stamps::Rfc3161, Referrers::Api, 0),
        (LogVersion::V1, Stamps::Rfc3161, Referrers::Off, 1),
        (LogVersion::V2, Stamps::Rfc3161, Referrers::Off, 0),
    ] {
        let world = World::with(kind(log, stamps, referrers)).await;
        assert!(!world.is_signed(), "signed before anybody did");
        let said = world.sign(&["--recursive", &world.reference()]).exits(0);
        let said = said.complains("signing as https://github.com/acme/shop/");
        // The list: the index, then what it holds, each by its digest.
        let lines: Vec<_> = said.stdout.lines().collect();
        assert_eq!(lines.len(), 5, "{said}");
        assert_eq!(lines.first(), Some(&world.reference().as_str()));
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with(&world.repository()))
        );
        assert!(world.is_signed());
        world.assert_once_each(1, legacy);
        assert_eq!(world.asked("/api/v2/signingCert"), 1, "one certificate");

        // Again: everything is kept, and nobody but the registry is asked.
        let asked = world.sandbox.requests().len();
        let writes = world.writes();
        let again = world.sign(&["--recursive", &world.reference()]).exits(0);
        assert_eq!(again.stdout, said.stdout);
        assert!(again.stderr.contains("kept"), "{again}");
        assert_eq!(world.sandbox.requests().len(), asked);
        assert_eq!(world.writes(), writes);

        // Forced: a second one.
        world
            .sign(&["--recursive", "--again", &world.reference()])
            .exits(0);
        world.assert_once_each(2, legacy * 2);
        world.end().await;
    }
}

/// Aims of a five-entry walk, for each format, with reading back.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_takes_few_requests() {
    for (referrers, format, most) in [
        (Referrers::Api, "bundle", 35),
        (Referrers::Off, "bundle", 45),
        // A tag as well, wherever it lies.
        (Referrers::Api, "legacy", 45),
        (Referrers::Off, "legacy", 45),
    ] {
        // Whoever is held up between a look and a write looks again, so the best of several counts.
        let mut least = usize::MAX;
        let mut shown = String::new();
        for _ in 0..4 {
            let world = World::with(kind(LogVersion::V1, Stamps::Rfc3161, referrers)).await;
            let format = format!("--signature-format={format}");
            world.sign(&["-r", &format, &world.reference()]).exits(0);
            let requests = world.sandbox.registry().unwrap().requests();
            if requests.len() < least {
                least = requests.len();
                let lines = requests.iter();
                let lines = lines.map(|request| format!("{} {}\n", request.method, request.path));
                shown = lines.collect();
            }
            assert_eq!(world.asked("/api/v2/signingCert"), 1);
            assert_eq!(world.asked("/api/v1/timestamp"), 5);
            assert_eq!(world.asked("/api/v1/log/entries"), 5, "one entry a payload");
            world.end().await;
            if least <= most {
                break;
            }
        }
        assert!(least <= most, "{referrers:?} {format}: {least}\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_recursion_only_what_is_named_is_signed() {
    let world = World::open().await;
    world.sign(&[&world.reference()]).exits(0);
    assert_eq!(world.verify(&[super::WHO]).code, Some(0));
    assert!(!world.is_signed(), "the platforms are not");
    // One more run does the rest, and keeps the index's.
    world.sign(&["-r", &world.reference()]).exits(0);
    assert!(world.is_signed());
    world.assert_once_each(1, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_format_is_completed_by_the_other() {
    let world = World::open().await;
    world
        .sign(&["-r", "--signature-format=bundle", &world.reference()])
        .exits(0);
    world.assert_once_each(1, 0);
    world
        .sign(&["-r", "--signature-format=legacy", &world.reference()])
        .exits(0);
    world.assert_once_each(1, 1);
    world.sign(&["-r", &world.reference()]).exits(0);
    world.assert_once_each(1, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_signed_and_compared() {
    let world = World::open().await;
    let reference = world.reference();
    world.sign(&["-a", "env=prod,team=a", &reference]).exits(0);
    let verify = |annotation: &str| world.verify(&[super::WHO, "-a", annotation]).code;
    assert_eq!(verify("env=prod"), Some(0));
    assert_eq!(verify("env=dev"), Some(1));
    // Other annotations are another signature.
    world.sign(&["-a", "env=dev", &reference]).exits(0);
    assert_eq!(verify("env=dev"), Some(0));
    let writes = world.writes();
    world
        .sign(&["-a", "team=a", "-a", "env=prod", &reference])
        .exits(0);
    assert_eq!(world.writes(), writes, "the first one is found again");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_go_to_another_repository() {
    let world = World::open().await;
    let reference = world.reference();
    let other = format!("{}/signatures", world.sandbox.registry().unwrap().host());
    let place = format!("--signature-repository={other}");
    world.sign(&["-r", &place, &reference]).exits(0);
    assert!(!world.is_signed(), "not beside the image");
    let said = world.verify(&["-r", super::WHO, &place]);
    assert_eq!(said.code, Some(0), "{said}");
    let asked = world.sandbox.requests().len();
    world.sign(&["-r", &place, &reference]).exits(0);
    assert_eq!(world.sandbox.requests().len(), asked, "found there again");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_signed_in_place() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    let layout = world.dir.path().join("layout");
    crate::world::write_layout(registry, REPO, &[(world.image.index, Some("v1"))], &layout);
    let verify = || {
        scgate([
            "verify",
            "--trusted-root=root.json",
            "-ojson",
            super::ISSUER,
            super::WHO,
        ])
        .and(["--layout=layout", "--recursive", "--all-evidence"])
        .within(world.dir.path())
        .run()
    };
    assert_eq!(verify().code, Some(1));
    let said = world.sign(&["--layout=layout", "-r"]).exits(0);
    let verdict = verify();
    assert_eq!(verdict.code, Some(0), "{said}{verdict}");
    let asked = world.sandbox.requests().len();
    world.sign(&["--layout=layout", "-r"]).exits(0);
    assert_eq!(world.sandbox.requests().len(), asked, "kept");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_says_everything() {
    let world = World::open().await;
    let said = world.sign(&["-r", "-ojson", &world.reference()]).exits(0);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    let evidence = json["images"][0]["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 10);
    for piece in evidence {
        assert_eq!(piece["state"], "signed");
        assert_eq!(
            piece["issuer"],
            "https://token.actions.githubusercontent.com"
        );
        assert!(piece["manifest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(piece["logs"].as_array().unwrap().len(), 1);
    }
    let roles: Vec<_> = evidence
        .iter()
        .map(|piece| piece["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles[..4], ["index", "index", "image", "image"]);
    world.end().await;
}

/// The name in a certificate is that of the workflow that signs. Who called it, from which ref and
/// for which event stands in its claims, and a signature with others is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_another_build_is_not_kept() {
    let world = World::open().await;
    let called = |repository: &str, git_ref: &str, event: &str| {
        let mut claims = GithubToken {
            repository: repository.to_owned(),
            git_ref: git_ref.to_owned(),
            event: event.to_owned(),
            ..GithubToken::default()
        }
        .claims();
        let workflow = "org/ci/.github/workflows/sign.yml@refs/tags/v1";
        claims.insert("job_workflow_ref".to_owned(), workflow.into());
        let token = world.sandbox.token(Provider::Github, claims).unwrap();
        std::fs::write(world.dir.path().join("token"), token).unwrap();
    };
    let tag = "refs/tags/v1.0";
    for (number, (repository, git_ref, event)) in [
        ("evil/fork", "refs/heads/dev", "workflow_dispatch"),
        ("acme/shop", "refs/heads/dev", "workflow_dispatch"),
        ("acme/shop", tag, "workflow_dispatch"),
        ("acme/shop", tag, "push"),
    ]
    .into_iter()
    .enumerate()
    {
        called(repository, git_ref, event);
        let said = world.sign(&[&world.reference()]).exits(0);
        assert!(!said.stderr.contains("kept"), "{number}\n{said}");
        let again = world.sign(&[&world.reference()]).exits(0);
        assert!(!again.stderr.contains("signed  "), "{number}\n{again}");
    }
    let verify = |claims: &[&str]| {
        let identity = "--certificate-identity=https://github.com/org/ci/.github/workflows/sign.yml@refs/tags/v1";
        world.verify(&[&[identity], claims].concat()).code
    };
    let own = "--certificate-github-workflow-repository=acme/shop";
    assert_eq!(verify(&[own, "--certificate-build-trigger=push"]), Some(0));
    assert_eq!(
        verify(&[own, "--certificate-build-trigger=schedule"]),
        Some(1)
    );
    world.end().await;
}

/// What a registry took and has not is not there, whatever it lists.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_loses_content_is_not_believed() {
    for referrers in [Referrers::Api, Referrers::Off] {
        for format in ["bundle", "legacy"] {
            let world = World::with(kind(LogVersion::V1, Stamps::None, referrers)).await;
            let registry = world.sandbox.registry().unwrap();
            // Nobody reads a blob before it is read back.
            registry.inject("status=404,method=GET,path=/blobs/".parse().unwrap());
            let format = format!("--signature-format={format}");
            let said = world.sign(&[&format, &world.reference()]).run();
            assert!(matches!(said.code, Some(1 | 3)), "{referrers:?} {said}");
            assert!(said.stdout.is_empty(), "{said}");
            registry.clear_faults();
            let twin = world
                .sign(&[&format, "--again", &world.reference()])
                .exits(0);
            assert_eq!(twin.stdout.lines().count(), 1);
            world.end().await;
        }
    }
}

/// Of many pieces each is read back, not the first alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_of_a_later_piece_is_noticed() {
    for format in ["--signature-format=bundle", "--signature-format=legacy"] {
        let world = World::open().await;
        let registry = world.sandbox.registry().unwrap();
        let lost = "status=404,method=GET,path=/blobs/,after=3";
        registry.inject(lost.parse().unwrap());
        let said = world.sign(&["-r", format, &world.reference()]).run();
        assert!(matches!(said.code, Some(1 | 3)), "{format} {said}");
        registry.clear_faults();
        let twin = world.sign(&["-r", format, "--again", &world.reference()]);
        assert_eq!(twin.exits(0).stdout.lines().count(), 5);
        world.end().await;
    }
}

/// A manifest that was taken, is listed and is not there has not been taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_lost_is_not_signed() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    // The image itself is read first.
    let lost = "status=404,method=GET,path=/manifests/,after=1";
    registry.inject(lost.parse().unwrap());
    let format = "--signature-format=bundle";
    let said = world.sign(&[format, &world.reference()]).run();
    assert!(matches!(said.code, Some(1 | 3)), "{said}");
    assert!(said.stdout.is_empty(), "{said}");
    registry.clear_faults();
    let twin = world.sign(&[format, "--again", &world.reference()]);
    assert_eq!(twin.exits(0).stdout.lines().count(), 1);
    world.end().await;
}

/// What keeps from everything is the reason about each reference, also for programs.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_why_nothing_was_signed() {
    let world = World::open().await;
    world.token(
        "token",
        GithubToken {
            event: "pull_request".to_owned(),
            ..GithubToken::default()
        },
    );
    let (one, other) = (world.reference(), format!("{}:v1", world.repository()));
    let said = world.sign(&["-ojson", &one, &other]).exits(1);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let failed = report["failed"].as_array().unwrap();
    let references: Vec<_> = failed
        .iter()
        .map(|it| it["reference"].as_str().unwrap())
        .collect();
    assert_eq!(references, [one.as_str(), other.as_str()]);
    assert!(
        failed.iter().all(|it| it["code"] == "signing-forbidden"),
        "{said}"
    );
    world.token("token", GithubToken::default());
    let twin = world.sign(&["-ojson", &one]).exits(0);
    assert!(!twin.stdout.contains("failed"), "{twin}");
    world.end().await;
}

/// Who may not write is told so before anything stands in a log.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_logged_that_could_not_be_pushed() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    registry.inject("status=403,path=/blobs/uploads".parse().unwrap());
    world
        .sign(&["-r", &world.reference()])
        .exits(3)
        .complains("registry-forbidden");
    assert_eq!(world.sandbox.requests().len(), 0);
    registry.clear_faults();
    world.sign(&["-r", &world.reference()]).exits(0);
    world.end().await;
}

/// cosign 2 reads the bundle alone where there is one, and needs a log's word for the time. So the
/// bundle beside a legacy layer is in the log of that, although the instance has a Rekor v2.
#[tokio::test(flavor = "multi_thread")]
async fn beside_the_legacy_layout_bundles_are_in_its_log() {
    for (formats, in_v1, in_v2) in [
        (None, 2, 0),
        (Some("--signature-format=bundle"), 0, 1),
        (Some("--signature-format=legacy"), 1, 0),
    ] {
        let world = World::with(kind(LogVersion::V2, Stamps::Rfc3161, Referrers::Api)).await;
        let config = |log| -> Value {
            let config = world.sandbox.signing_config(log, Stamps::Rfc3161);
            serde_json::from_slice(config.as_ref()).unwrap()
        };
        let mut both = config(LogVersion::V2);
        let older = config(LogVersion::V1)["rekorTlogUrls"].clone();
        let urls = both["rekorTlogUrls"].as_array_mut().unwrap();
        urls.extend(older.as_array().unwrap().iter().cloned());
        std::fs::write(world.dir.path().join("services.json"), both.to_string()).unwrap();
        let reference = world.reference();
        let words: Vec<_> = formats.into_iter().chain([reference.as_str()]).collect();
        world.sign(&words).exits(0);
        let found = (
            world.asked("/api/v1/log/entries"),
            world.asked("/api/v2/log/entries"),
        );
        assert_eq!(found, (in_v1, in_v2), "{formats:?}");
        assert_eq!(world.verify(&[super::WHO]).code, Some(0));
        world.end().await;
    }
}

/// A bundle that scgate reads and cosign finds nowhere is no reason not to sign.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_cosign_finds_is_not_kept() {
    let world = World::open().await;
    let registry = world.sandbox.registry().unwrap();
    let reference = world.reference();
    let sign = || {
        world
            .sign(&["--signature-format=bundle", &reference])
            .exits(0)
    };
    sign();
    let holder = registry.referrers(REPO, world.image.index)[0];
    let (kind, manifest) = registry.manifest(REPO, holder).unwrap();
    let good: Value = serde_json::from_slice(&manifest).unwrap();
    let digest = good["layers"][0]["digest"].as_str().unwrap();
    let bundle = registry.blob(REPO, digest.parse().unwrap()).unwrap();
    let older = String::from_utf8(bundle.to_vec()).unwrap().replace(
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
    );
    let chain = r#""x509CertificateChain":{"certificates":[{"#;
    let older = older.replacen(r#""certificate":{"#, chain, 1);
    let (leaf, rest) = older.split_once('}').unwrap();
    let older = format!("{leaf}}}]}}{rest}");
    let size = older.len();
    let older = registry.put_blob(REPO, older.into_bytes());

    let mut downgraded = good.clone();
    downgraded["layers"][0]["digest"] = older.to_string().into();
    downgraded["layers"][0]["size"] = size.into();
    let mut several = good.clone();
    let more = downgraded["layers"][0].clone();
    several["layers"].as_array_mut().unwrap().push(more);

    for (planted, kept) in [(&downgraded, false), (&several, false), (&good, true)] {
        for holder in registry.referrers(REPO, world.image.index) {
            registry.delete_manifest(REPO, holder);
        }
        registry.put_manifest(REPO, &kind, planted.to_string().into_bytes(), None);
        assert_eq!(world.verify(&[super::WHO]).code, Some(0), "{planted}");
        let said = sign();
        assert_eq!(said.stderr.contains("kept"), kept, "{said}");
    }
    world.end().await;
}
