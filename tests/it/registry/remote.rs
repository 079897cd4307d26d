//! Manifests and blobs of a registry that behaves, and of one that does not.

use std::time::Duration;
use std::time::Instant;

use scgate::model::DenyCode;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Reference;
use scgate::model::media_type;
use scgate::registry::Hosts;
use scgate::registry::Keyring;
use scgate::registry::RemoteSettings;
use scgate::sandbox::registry::BlobDelivery;
use scgate::sandbox::registry::Config;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::sandbox::server::Tls;
use scgate::transport::Deadline;
use scgate::transport::Egress;

use super::World;
use super::settings;
use super::soon;
use super::source;
use super::source_with;

fn blob(digest: Digest, size: u64) -> Descriptor {
    Descriptor::new("a/b".to_owned(), digest, size)
}

#[tokio::test]
async fn a_tag_is_read_once_and_a_digest_not_at_all() {
    let world = World::start(Config::default()).await;
    let source = source();
    let resolved = source
        .resolve(&world.reference("one"), soon())
        .await
        .unwrap();
    assert_eq!(resolved.pinned, world.pinned());
    let manifest = resolved.manifest.unwrap();
    assert_eq!(manifest.digest, world.image);
    assert_eq!(manifest.media_type.as_deref(), Some(media_type::IMAGE));
    assert_eq!(world.lines(), ["GET /v2/team/app/manifests/one"]);
    let requests = world.registry.requests();
    for wanted in [
        media_type::IMAGE,
        media_type::INDEX,
        media_type::DOCKER_IMAGE,
        media_type::DOCKER_INDEX,
    ] {
        assert!(requests[0].accept.contains(wanted), "{wanted}");
    }
    assert_eq!(requests[0].headers["accept-encoding"], "identity");

    world.registry.clear_requests();
    let text = format!("{}/team/app:other@{}", world.registry.host(), world.image);
    let pinned = source
        .resolve(&Reference::parse(&text).unwrap(), soon())
        .await;
    assert_eq!(pinned.unwrap().pinned, world.pinned());
    assert_eq!(world.lines(), [""; 0]);

    let repository = world.repository();
    let read = source.manifest(&repository, &world.image, soon());
    assert_eq!(read.await.unwrap(), manifest);
    let absent = source
        .resolve(&world.reference("absent"), soon())
        .await
        .unwrap_err();
    assert!(absent.is_not_found());
    assert_eq!(absent.code(), DenyCode::ImageNotFound);
}

/// T-REG-08.
#[tokio::test]
async fn blobs_have_the_size_and_digest_of_their_descriptor() {
    let world = World::start(Config::default()).await;
    let (source, repository) = (source(), world.repository());
    let digest = world.registry.put_blob(super::REPO, "payload");
    let planted = Digest::sha256(b"other");
    world.registry.plant_blob(super::REPO, planted, "payload");
    let read = async |digest, size, cap| {
        let outcome = source
            .blob(&repository, &blob(digest, size), cap, soon())
            .await;
        outcome.map_err(|error| error.code())
    };
    assert_eq!(read(digest, 7, 7).await.unwrap().as_ref(), b"payload");
    assert_eq!(read(digest, 6, 7).await, Err(DenyCode::DigestMismatch));
    assert_eq!(read(digest, 8, 9).await, Err(DenyCode::DigestMismatch));
    assert_eq!(read(planted, 7, 7).await, Err(DenyCode::DigestMismatch));
    let absent = Digest::sha256(b"absent");
    assert_eq!(read(absent, 7, 7).await, Err(DenyCode::ImageNotFound));
    // Over the bound nothing is asked for.
    world.registry.clear_requests();
    assert_eq!(read(digest, 7, 6).await, Err(DenyCode::LimitExceeded));
    assert_eq!(
        read(digest, u64::MAX, 6).await,
        Err(DenyCode::LimitExceeded)
    );
    assert_eq!(world.lines(), [""; 0]);
}

/// What a fault makes of a manifest asked for by tag and by digest. Without it both are read.
async fn outcomes(kind: FaultKind) -> [Result<(), DenyCode>; 2] {
    let world = World::start(Config::default()).await;
    let source = source();
    let read = async || {
        let deadline = || Deadline::after(Duration::from_secs(10));
        let by_tag = source.resolve(&world.reference("one"), deadline()).await;
        let repository = world.repository();
        let by_digest = source.manifest(&repository, &world.image, deadline()).await;
        [
            by_tag.map(drop).map_err(|error| error.code()),
            by_digest.map(drop).map_err(|error| error.code()),
        ]
    };
    assert_eq!(read().await, [Ok(()), Ok(())]);
    world.registry.inject(Fault::new(kind).path("/manifests/"));
    read().await
}

/// T-REG-09, T-REG-10.
#[tokio::test]
async fn every_way_a_registry_fails_has_its_own_reason() {
    use DenyCode as Code;
    let checks = [
        (FaultKind::status(401), Code::RegistryUnauthorized),
        (FaultKind::status(403), Code::RegistryForbidden),
        (FaultKind::status(404), Code::ImageNotFound),
        (FaultKind::status(405), Code::RegistryUnavailable),
        (FaultKind::status(408), Code::RegistryTimeout),
        (FaultKind::status(429), Code::RegistryRateLimited),
        (FaultKind::status(500), Code::RegistryUnavailable),
        (FaultKind::status(503), Code::RegistryUnavailable),
        (FaultKind::status(204), Code::RegistryMalformed),
        (FaultKind::HtmlOk, Code::RegistryMalformed),
        (FaultKind::Hang, Code::RegistryTimeout),
        (FaultKind::Reset, Code::RegistryUnreachable),
        (FaultKind::ResetInBody, Code::RegistryUnreachable),
        (FaultKind::ShortBody, Code::RegistryUnreachable),
        (FaultKind::EndlessBody, Code::LimitExceeded),
        (FaultKind::EndlessLength, Code::LimitExceeded),
        (FaultKind::Gzip, Code::RegistryMalformed),
        (FaultKind::GzipBomb, Code::RegistryMalformed),
        (
            FaultKind::SlowBody {
                bytes: 1,
                interval: Duration::from_millis(300),
            },
            Code::DeadlineExceeded,
        ),
        (
            FaultKind::Redirect {
                to: "http://localhost:1/x?signature=secret".to_owned(),
                status: 307,
            },
            Code::RegistryRefused,
        ),
        (
            FaultKind::Redirect {
                to: "http://169.254.169.254/latest".to_owned(),
                status: 302,
            },
            Code::RegistryRefused,
        ),
    ]
    .map(async |(kind, expected)| {
        let found = outcomes(kind.clone()).await;
        assert_eq!(found, [Err(expected), Err(expected)], "{kind:?}");
    });
    futures_util::future::join_all(checks.map(Box::pin)).await;
}

/// T-REG-02: by tag the digest is computed; a header that disagrees refuses.
#[tokio::test]
async fn the_bytes_are_the_identity_whatever_a_registry_says() {
    use DenyCode as Code;
    for (kind, by_tag, by_digest) in [
        // By tag there is nothing to compare with but the registry's own header.
        (
            FaultKind::WrongBody,
            Err(Code::DigestMismatch),
            Err(Code::DigestMismatch),
        ),
        (
            FaultKind::OtherManifest("{}".into()),
            Ok(()),
            Err(Code::DigestMismatch),
        ),
        (
            FaultKind::WrongDigestHeader,
            Err(Code::DigestMismatch),
            Ok(()),
        ),
        (
            FaultKind::Header {
                name: "docker-content-digest",
                value: None,
            },
            Ok(()),
            Ok(()),
        ),
        (
            FaultKind::Header {
                name: "docker-content-digest",
                value: Some("blake3:00".to_owned()),
            },
            Err(Code::DigestMismatch),
            Ok(()),
        ),
        (
            FaultKind::Header {
                name: "docker-content-digest",
                value: Some(format!("sha512:{}", "0".repeat(128))),
            },
            Err(Code::DigestMismatch),
            Ok(()),
        ),
    ] {
        let found = outcomes(kind.clone()).await;
        assert_eq!(found, [by_tag, by_digest], "{kind:?}");
    }
}

#[tokio::test]
async fn a_passing_fault_is_tried_again_and_a_lasting_one_three_times() {
    let world = World::start(Config::default()).await;
    let (source, repository) = (source(), world.repository());
    for kind in [
        FaultKind::status(503),
        FaultKind::status(429),
        FaultKind::Reset,
        FaultKind::ResetInBody,
    ] {
        world.registry.clear_requests();
        world.registry.inject(Fault::new(kind).times(2));
        let read = source.manifest(&repository, &world.image, soon()).await;
        assert_eq!(read.unwrap().digest, world.image);
        assert_eq!(world.lines().len(), 3);
        world.registry.clear_faults();
    }
    for (status, tries) in [(500, 3), (429, 3), (403, 1), (401, 1), (404, 1), (405, 1)] {
        world.registry.clear_requests();
        world.registry.inject(Fault::new(FaultKind::status(status)));
        let read = source.manifest(&repository, &world.image, soon()).await;
        assert!(read.is_err());
        assert_eq!(world.lines().len(), tries, "{status}");
        world.registry.clear_faults();
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_inside_the_deadline_and_told_beyond_it() {
    let world = World::start(Config::default()).await;
    let (source, repository) = (source(), world.repository());
    let throttled = |after: &str| {
        Fault::new(FaultKind::Status {
            status: 429,
            retry_after: Some(after.to_owned()),
            body: None,
        })
    };
    world.registry.inject(throttled("1").times(1));
    let start = Instant::now();
    let read = source.manifest(&repository, &world.image, soon()).await;
    assert!(read.is_ok());
    assert!(start.elapsed() >= Duration::from_secs(1));
    world.registry.clear_faults();

    world.registry.inject(throttled("3600"));
    let start = Instant::now();
    let error = source
        .manifest(&repository, &world.image, soon())
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(error.code(), DenyCode::RegistryRateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    let text = error.to_string();
    assert!(text.contains("429, retry after 3600 s"), "{text}");
    assert!(text.contains(&world.registry.host()), "{text}");
    assert!(text.contains(&world.image.to_string()), "{text}");
}

#[tokio::test]
async fn what_a_registry_says_cannot_steer_a_terminal() {
    let world = World::start(Config::default()).await;
    let said = "\u{1b}[2J".to_owned() + &"x".repeat(5000);
    let body = serde_json::json!({"errors": [{"code": "DENIED", "message": said}]}).to_string();
    world.registry.inject(Fault::new(FaultKind::Status {
        status: 403,
        retry_after: None,
        body: Some(body.into()),
    }));
    let read = source()
        .manifest(&world.repository(), &world.image, soon())
        .await;
    let text = read.unwrap_err().to_string();
    assert!(text.contains("DENIED \\u{1b}[2J"), "{text}");
    assert!(text.len() < 700, "{text}");
}

/// T-REG-11.
#[tokio::test]
async fn blobs_follow_redirects_without_credentials_and_manifests_do_not() {
    let storage = World::start(Config::default()).await;
    let world = World::start(Config {
        blobs: BlobDelivery::RedirectTo(storage.registry.url()),
        auth: scgate::sandbox::registry::Auth::Basic(vec![scgate::sandbox::registry::User::new(
            "alice", "secret",
        )]),
        ..Config::default()
    })
    .await;
    let digest = world.registry.put_blob(super::REPO, "payload");
    storage.registry.put_blob(super::REPO, "payload");
    let keyring = super::keyring(&world.registry.host(), "alice", "secret");
    let source = source_with(settings(), keyring, RemoteSettings::default());
    let repository = world.repository();
    let read = async || source.blob(&repository, &blob(digest, 7), 7, soon()).await;
    assert_eq!(read().await.unwrap().as_ref(), b"payload");
    let requests = storage.registry.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].authorization, None);

    // Loops, forbidden targets and a storage that demands credentials.
    for (kind, expected) in [
        (
            FaultKind::Redirect {
                to: storage.registry.url() + "/storage/again?X-Signature=hunter2",
                status: 307,
            },
            DenyCode::RegistryRefused,
        ),
        (
            FaultKind::Redirect {
                to: "http://169.254.169.254/x?X-Signature=hunter2".to_owned(),
                status: 307,
            },
            DenyCode::RegistryRefused,
        ),
        (
            FaultKind::Challenge("Basic realm=\"x\"".to_owned()),
            DenyCode::RegistryUnauthorized,
        ),
        (FaultKind::status(403), DenyCode::RegistryForbidden),
    ] {
        storage.registry.clear_requests();
        storage.registry.inject(Fault::new(kind.clone()));
        let error = read().await.unwrap_err();
        assert_eq!(error.code(), expected, "{kind:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let requests = storage.registry.requests();
        assert!(
            requests.iter().all(|r| r.authorization.is_none()),
            "{kind:?}"
        );
        assert!(requests.len() <= 5, "{kind:?}");
        storage.registry.clear_faults();
    }
}

/// T-REG-11: bytes that were asked for over TLS do not come without it.
#[tokio::test]
async fn a_blob_over_tls_is_not_followed_to_plain_http() {
    let over_tls = |blobs| Config {
        tls: Tls::On,
        blobs,
        ..Config::default()
    };
    let plain = World::start(Config::default()).await;
    let storage = World::start(over_tls(BlobDelivery::Direct)).await;
    for world in [&plain, &storage] {
        world.registry.put_blob(super::REPO, "payload");
    }
    let read = async |first: &World| {
        let to = BlobDelivery::RedirectTo(first.registry.url());
        let world = World::start(over_tls(to)).await;
        let digest = world.registry.put_blob(super::REPO, "payload");
        let mut settings = settings();
        for world in [&world, &storage] {
            let pem = world.registry.ca_pem().unwrap();
            settings.trust_authorities(pem.as_bytes()).unwrap();
        }
        let source = source_with(settings, Keyring::default(), RemoteSettings::default());
        let (repository, descriptor) = (world.repository(), blob(digest, 7));
        let outcome = source.blob(&repository, &descriptor, 7, soon()).await;
        outcome.map(drop).map_err(|error| error.code())
    };
    assert_eq!(read(&storage).await, Ok(()));
    assert_eq!(read(&plain).await, Err(DenyCode::RegistryRefused));
    // Nor from the storage that it leads to.
    storage.registry.inject(Fault::new(FaultKind::Redirect {
        to: plain.registry.url() + "/storage/payload",
        status: 307,
    }));
    assert_eq!(read(&storage).await, Err(DenyCode::RegistryRefused));
    assert_eq!(plain.lines(), [""; 0]);
}

#[tokio::test]
async fn tls_is_verified_unless_the_operator_says_otherwise() {
    let read = async |tls, trust: bool, insecure: bool| {
        let world = World::start(Config {
            tls,
            ..Config::default()
        })
        .await;
        let mut settings = settings();
        if trust {
            let pem = world.registry.ca_pem().unwrap();
            settings.trust_authorities(pem.as_bytes()).unwrap();
        }
        let mut remote = RemoteSettings::default();
        if insecure {
            remote.insecure_tls = Hosts::These([world.registry.host()].into());
        }
        let source = source_with(settings, Keyring::default(), remote);
        let repository = world.repository();
        let outcome = source.manifest(&repository, &world.image, soon()).await;
        outcome
            .map(drop)
            .map_err(|error| (error.code(), error.to_string()))
    };
    // A loopback host is asked over plain HTTP first; it says that it speaks TLS.
    assert_eq!(read(Tls::On, true, false).await, Ok(()));
    assert_eq!(read(Tls::Expired, false, true).await, Ok(()));
    for (tls, trust) in [
        (Tls::On, false),
        (Tls::Expired, true),
        (Tls::OtherName, true),
    ] {
        let (code, text) = read(tls, trust, false).await.unwrap_err();
        assert_eq!(code, DenyCode::RegistryUnreachable, "{tls:?}");
        assert!(text.contains("TLS failed"), "{text}");
    }
}

#[tokio::test]
async fn hosts_that_nobody_answers_for_are_unreachable_or_refused() {
    let source = source();
    let read = async |host: &str| {
        let repository = super::repository(host);
        let digest = Digest::sha256(b"");
        let outcome = source.manifest(&repository, &digest, soon()).await;
        outcome.map(drop).unwrap_err()
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    assert_eq!(read(&address).await.code(), DenyCode::RegistryUnreachable);
    for host in [
        "169.254.169.254",
        "169.254.169.254:5000",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "0.0.0.0:5000",
        "127.0.0.1:22",
    ] {
        assert_eq!(read(host).await.code(), DenyCode::RegistryRefused, "{host}");
    }
}

/// `localhost` is a name: what it leads to is known once it is resolved.
#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_refused() {
    let world = World::start(Config::default()).await;
    let name = format!("localhost:{}", world.registry.address().port());
    let read = async |egress| {
        let mut settings = settings();
        settings.egress = egress;
        let source = source_with(settings, Keyring::default(), RemoteSettings::default());
        let outcome = source
            .manifest(&super::repository(&name), &world.image, soon())
            .await;
        outcome
            .map(drop)
            .map_err(|error| (error.code(), error.to_string()))
    };
    let (code, text) = read(Egress::PublicOnly).await.unwrap_err();
    assert_eq!(code, DenyCode::RegistryRefused);
    assert!(text.contains("is a loopback address"), "{text}");
    assert_eq!(world.lines(), [""; 0]);
    assert_eq!(read(Egress::Local).await, Ok(()));
}

#[tokio::test]
async fn nothing_is_asked_once_the_deadline_is_over() {
    let world = World::start(Config::default()).await;
    let over = Deadline::after(Duration::ZERO);
    let read = source()
        .manifest(&world.repository(), &world.image, over)
        .await;
    assert_eq!(read.unwrap_err().code(), DenyCode::DeadlineExceeded);
    assert_eq!(world.lines(), [""; 0]);
    // The deadline counts inside a pause as well.
    world.registry.inject(Fault::new(FaultKind::Hang));
    let start = Instant::now();
    let short = Deadline::after(Duration::from_millis(200));
    let read = source()
        .manifest(&world.repository(), &world.image, short)
        .await;
    assert_eq!(read.unwrap_err().code(), DenyCode::DeadlineExceeded);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_host_sees_no_more_requests_at_a_time_than_are_set() {
    let world = World::start(Config {
        delay: Duration::from_millis(20),
        ..Config::default()
    })
    .await;
    let (source, repository) = (source(), world.repository());
    let most = scgate::transport::Settings::default().per_host;
    let reads = (0..3 * most).map(|_| source.manifest(&repository, &world.image, soon()));
    for read in futures_util::future::join_all(reads).await {
        assert_eq!(read.unwrap().digest, world.image);
    }
    assert!(world.registry.peak_parallel() <= most);
    assert!(world.registry.connections() <= most);
}
