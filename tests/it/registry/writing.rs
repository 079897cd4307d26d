//! Writing evidence: what is sent, what is refused, and that what was written is found again.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use scgate::model::DenyCode;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Manifest;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::registry::Error;
use scgate::registry::Keyring;
use scgate::registry::Listed;
use scgate::registry::Mounted;
use scgate::registry::NewLayer;
use scgate::registry::RemoteSettings;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use scgate::registry::Writer;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::Shortcuts;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::sandbox::server::Tls;
use scgate::transport::Deadline;
use serde_json::Value;
use serde_json::json;

use super::BUNDLE;
use super::OCI_EMPTY;
use super::REPO;
use super::World;
use super::keyring;
use super::put_evidence;
use super::put_index;
use super::repository;
use super::settings;
use super::soon;
use super::source;
use super::source_with;
use crate::sandbox_registry::http;

/// A bundle's manifest about `subject`, and its descriptor.
pub(super) fn bundle(subject: Digest, number: usize) -> (Bytes, Descriptor, Bytes) {
    let payload = Bytes::from(format!("bundle {number} of {subject}"));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": BUNDLE,
        "config": {"mediaType": OCI_EMPTY, "digest": Digest::sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": Digest::sha256(&payload), "size": payload.len()}],
        "subject": {"mediaType": media_type::IMAGE, "digest": subject, "size": 1},
        "annotations": {"number": number.to_string()},
    });
    let manifest = Bytes::from(manifest.to_string());
    let size = manifest.len().try_into().unwrap();
    let mut entry = Descriptor::new(
        media_type::IMAGE.to_owned(),
        Digest::sha256(&manifest),
        size,
    );
    entry.artifact_type = Some(BUNDLE.to_owned());
    entry
        .annotations
        .insert("number".to_owned(), number.to_string());
    (manifest, entry, payload)
}

/// Writes a bundle as a signer does.
pub(super) async fn write_bundle(
    writer: &Writer<'_>,
    repository: &Repository,
    subject: Digest,
    number: usize,
) -> Result<(Listed, Digest), Error> {
    let (manifest, entry, payload) = bundle(subject, number);
    writer.blob(repository, Bytes::from_static(b"{}")).await?;
    writer.blob(repository, payload).await?;
    let listed = writer
        .referrer(repository, &subject, &entry, manifest)
        .await?;
    Ok((listed, entry.digest))
}

/// A layer with a legacy signature.
pub(super) fn signature(payload: &str, number: usize) -> NewLayer {
    let bytes = Bytes::from(payload.to_owned());
    let digest = Digest::sha256(&bytes);
    let size = bytes.len().try_into().unwrap();
    let mut descriptor = Descriptor::new(media_type::SIMPLE_SIGNING.to_owned(), digest, size);
    descriptor.annotations.insert(
        "dev.cosignproject.cosign/signature".to_owned(),
        number.to_string(),
    );
    NewLayer { descriptor, bytes }
}

pub(super) async fn sign(
    writer: &Writer<'_>,
    repository: &Repository,
    tag: &str,
    number: usize,
) -> Result<Digest, Error> {
    let layers = [signature("payload", number)];
    writer.append(repository, tag, &layers, &|_| false).await
}

/// The signatures under a tag, as the registry holds them.
fn signatures(registry: &Registry, tag: &str) -> Vec<String> {
    let digest = registry.resolve(REPO, tag).unwrap();
    let (_, bytes) = registry.manifest(REPO, digest).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = registry.blob(REPO, Digest::parse(config).unwrap()).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(ids));
    let text = |layer: &Value| {
        let text = &layer["annotations"]["dev.cosignproject.cosign/signature"];
        text.as_str().unwrap().to_owned()
    };
    layers.iter().map(text).collect()
}

pub(super) fn fallback_tag(image: Digest) -> String {
    format!("sha256-{}", image.hex())
}

fn with(referrers: Referrers) -> Config {
    Config {
        referrers,
        ..Config::default()
    }
}

/// What is found about the image, by way.
async fn found(world: &World) -> Vec<(Way, Digest)> {
    let repository = world.repository();
    let source = source();
    let (image, search) = (world.pinned(), Search::default());
    let listing = source.list(&image, &repository, &search, soon()).await;
    assert_eq!(listing.gaps, []);
    let candidates = listing.candidates.iter();
    candidates.map(|c| (c.via, c.descriptor.digest)).collect()
}

#[tokio::test]
async fn a_referrer_is_listed_by_the_registry_or_under_the_fallback_tag() {
    for (referrers, expected, way) in [
        (Referrers::Api, Listed::Api, Way::ReferrersApi),
        (Referrers::ApiWrongType, Listed::Api, Way::ReferrersApi),
        (Referrers::Off, Listed::FallbackTag, Way::FallbackTag),
        (
            Referrers::Refused(405),
            Listed::FallbackTag,
            Way::FallbackTag,
        ),
    ] {
        let world = World::start(Config {
            omit_location: referrers == Referrers::Off,
            page_size: Some(1),
            ..with(referrers)
        })
        .await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        let mut digests = Vec::new();
        for number in 0..2 {
            let written = write_bundle(&writer, &repository, world.image, number).await;
            let (listed, digest) = written.unwrap();
            assert_eq!(listed, expected, "{referrers:?}");
            digests.push((way, digest));
        }
        digests.sort_by_key(|(_, digest)| *digest);
        assert_eq!(found(&world).await, digests, "{referrers:?}");
        if expected == Listed::FallbackTag {
            let tag = world.registry.resolve(REPO, &fallback_tag(world.image));
            let (_, index) = world.registry.manifest(REPO, tag.unwrap()).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            for entry in index["manifests"].as_array().unwrap() {
                assert_eq!(entry["artifactType"], BUNDLE);
                assert!(entry["annotations"]["number"].is_string());
            }
            // The first one asks whether there is the API, the second one knows.
            let lines = world.lines();
            let probes = lines.iter().filter(|line| line.contains("/referrers/"));
            assert_eq!(probes.count(), 1 + 1, "one by the writer, one by the list");
        }
    }
}

/// The promise: signing five entries takes at most 35 requests with the API and 45 without.
#[tokio::test]
async fn requests_are_counted() {
    for (referrers, most) in [(Referrers::Api, 16), (Referrers::Off, 37)] {
        let world = World::start(with(referrers)).await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        for number in 0..5 {
            let subject = put_evidence(&world.registry, None, number, None);
            write_bundle(&writer, &repository, subject, number)
                .await
                .unwrap();
        }
        let lines = world.lines();
        assert!(lines.len() <= most, "{} {lines:#?}", lines.len());
    }
    let world = World::start(Config::default()).await;
    let (source, repository) = (source(), world.repository());
    let writer = source.writer(soon());
    for number in 0..5 {
        let tag = format!("{}.sig", fallback_tag(Digest::sha256(&[number])));
        let layers = [signature(&number.to_string(), 1)];
        let append = writer.append(&repository, &tag, &layers, &|_| false);
        append.await.unwrap();
    }
    let lines = world.lines();
    assert!(lines.len() <= 35, "{} {lines:#?}", lines.len());
    // Nobody else writes: that is soon seen.
    let began = Instant::now();
    sign(&writer, &repository, "sha256-00.sig", 1)
        .await
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn blobs_arrive_whole_or_in_pieces() {
    let large = vec![7; 40 * 1024 * 1024];
    for (shortcuts, minimum) in [
        (Shortcuts::On, None),
        (Shortcuts::Off, Some(18 * 1024 * 1024)),
    ] {
        let world = World::start(Config {
            shortcuts,
            chunk_bytes: minimum,
            omit_location: true,
            ..Config::default()
        })
        .await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        for size in [0, 1, 64 * 1024, 64 * 1024 + 1, large.len()] {
            let bytes = Bytes::from(large[..size].to_vec());
            world.registry.clear_requests();
            let digest = writer.blob(&repository, bytes.clone()).await.unwrap();
            assert_eq!(
                world.registry.blob(REPO, digest),
                Some(bytes.clone()),
                "{size}"
            );
            let requests = world.registry.requests();
            let methods: Vec<_> = requests.iter().map(|r| r.method.as_str()).collect();
            let expected: &[&str] = match (size, shortcuts) {
                (1 | 65_536, Shortcuts::On) => &["POST"],
                // An empty blob is none that this registry tells from the beginning of an upload.
                (0, Shortcuts::On) => &["POST"],
                (0..=65_537, _) => &["POST", "PUT"],
                _ => &["POST", "PATCH", "PATCH", "PATCH", "PUT"],
            };
            assert_eq!(methods, expected, "{size} {shortcuts:?}");
            // Once for a writer and repository.
            world.registry.clear_requests();
            writer.blob(&repository, bytes.clone()).await.unwrap();
            assert_eq!(world.lines(), [""; 0]);
        }
        // Another repository has none of them.
        let other = Repository::parse(&format!("{}/other", world.registry.host())).unwrap();
        let digest = writer
            .blob(&other, Bytes::from_static(b"{}"))
            .await
            .unwrap();
        assert!(world.registry.blob("other", digest).is_some());
    }
}

#[tokio::test]
async fn a_piece_that_broke_is_taken_up_again() {
    let bytes = Bytes::from(vec![1; 40 * 1024 * 1024]);
    for (kind, method, after, rest) in [
        // The second piece does not arrive: it is asked how far the upload came.
        (
            FaultKind::Reset,
            "PATCH",
            1,
            &["GET", "PATCH", "PATCH", "PUT"][..],
        ),
        (
            FaultKind::status(503),
            "PATCH",
            0,
            &["GET", "PATCH", "PATCH", "PATCH", "PUT"],
        ),
        // The end does not arrive: all begins again.
        (
            FaultKind::Reset,
            "PUT",
            0,
            &["POST", "PATCH", "PATCH", "PATCH", "PUT"],
        ),
    ] {
        let world = World::start(Config::default()).await;
        let fault = Fault::new(kind.clone())
            .method(method)
            .after(after)
            .times(1);
        world.registry.inject(fault);
        let (source, repository) = (source(), world.repository());
        let digest = source.writer(soon()).blob(&repository, bytes.clone()).await;
        let held = world.registry.blob(REPO, digest.unwrap());
        assert!(held == Some(bytes.clone()), "{kind:?}");
        let requests = world.registry.requests();
        let methods: Vec<_> = requests.iter().map(|r| r.method.as_str()).collect();
        assert!(methods.ends_with(rest), "{kind:?} {methods:?}");
    }
    let world = World::start(Config::default()).await;
    let fault = Fault::new(FaultKind::status(503)).method("PATCH");
    world.registry.inject(fault);
    let (source, repository) = (source(), world.repository());
    let blob = source.writer(Deadline::after(Duration::from_secs(3)));
    let error = blob.blob(&repository, bytes).await.unwrap_err();
    assert_eq!(error.code(), DenyCode::RegistryUnavailable);
}

#[tokio::test]
async fn a_blob_is_taken_over_or_its_upload_goes_on() {
    for shortcuts in [Shortcuts::On, Shortcuts::Off] {
        let world = World::start(Config {
            shortcuts,
            auth: Auth::Token(TokenAuth::new(vec![User::new("alice", "secret")])),
            ..Config::default()
        })
        .await;
        let host = world.registry.host();
        let digest = world.registry.put_blob("other/app", "shared");
        let keys = keyring(&host, "alice", "secret");
        let source = source_with(settings(), keys, RemoteSettings::default());
        let (to, writer) = (world.repository(), source.writer(soon()));
        let from = Repository::parse(&format!("{host}/other/app")).unwrap();
        let mounted = writer.mount(&to, &digest, &from).await.unwrap();
        assert_eq!(mounted == Mounted::Yes, shortcuts == Shortcuts::On);
        let requests = world.registry.requests();
        let token = requests.iter().find(|r| r.path == "/token").unwrap();
        let scopes: Vec<_> = token.query.split('&').skip(1).collect();
        assert_eq!(
            scopes,
            [
                "scope=repository%3Ateam%2Fapp%3Apull%2Cpush",
                "scope=repository%3Aother%2Fapp%3Apull"
            ]
        );
        world.registry.clear_requests();
        writer
            .blob(&to, Bytes::from_static(b"shared"))
            .await
            .unwrap();
        let lines = world.lines();
        let uploads = lines.iter().filter(|line| !line.contains("/token"));
        assert_eq!(
            uploads.count(),
            usize::from(shortcuts == Shortcuts::Off),
            "{lines:?}"
        );
        assert!(world.registry.blob(REPO, digest).is_some());
        // Another registry is not asked.
        let elsewhere = Repository::parse("registry.test/other").unwrap();
        let mounted = writer.mount(&to, &digest, &elsewhere).await;
        assert_eq!(mounted, Ok(Mounted::No));
    }
}

/// Each request of a write fails once, in each way that passes, and in ways that last.
#[tokio::test]
async fn what_fails_once_on_the_way_is_done_all_the_same() {
    let retry = FaultKind::Status {
        status: 429,
        retry_after: Some("0".to_owned()),
        body: None,
    };
    let write = async |world: &World| {
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        write_bundle(&writer, &repository, world.image, 1).await?;
        sign(&writer, &repository, "sha256-00.sig", 1).await
    };
    let checks = [FaultKind::Reset, FaultKind::status(503), retry]
        .into_iter()
        .flat_map(|kind| (0..16).map(move |after| (kind.clone(), after)))
        .map(async |(kind, after)| {
            let world = World::start(with(Referrers::Off)).await;
            world
                .registry
                .inject(Fault::new(kind.clone()).after(after).times(1));
            let written = write(&world).await;
            assert!(written.is_ok(), "{kind:?} {after} {written:?}");
            assert_eq!(found(&world).await.len(), 1, "{kind:?} {after}");
            let signed = signatures(&world.registry, "sha256-00.sig");
            assert_eq!(signed, ["1"], "{kind:?} {after}");
        });
    // Not all at once: a machine that is busy for long looks like a line that stalls.
    let checks = futures_util::stream::iter(checks.map(Box::pin));
    checks.buffer_unordered(6).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn what_lasts_is_told_with_its_reason() {
    use DenyCode as Code;
    let check = async |kind: FaultKind, code: DenyCode, path: &'static str| {
        let world = World::start(with(Referrers::Off)).await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        let write = || write_bundle(&writer, &repository, world.image, 2);
        let first = write_bundle(&writer, &repository, world.image, 1);
        first.await.unwrap();
        world.registry.inject(Fault::new(kind.clone()).path(path));
        let error = write().await.unwrap_err();
        assert_eq!(error.code(), code, "{kind:?} {path} {error}");
        if code == Code::RegistryForbidden && path != "/manifests/sha256-" {
            assert!(error.to_string().contains("right to push to"), "{error}");
        }
        world.registry.clear_faults();
        write().await.unwrap();
        assert_eq!(found(&world).await.len(), 2);
    };
    let mut checks = Vec::new();
    for (kind, code) in [
        (FaultKind::status(401), Code::RegistryUnauthorized),
        (FaultKind::status(403), Code::RegistryForbidden),
        // A tag that is not there is written, which is answered with 404 as well.
        (FaultKind::status(404), Code::RegistryUnavailable),
        (FaultKind::status(413), Code::RegistryUnavailable),
        (FaultKind::status(429), Code::RegistryRateLimited),
        (FaultKind::status(503), Code::RegistryUnavailable),
        (FaultKind::Reset, Code::RegistryUnreachable),
        (FaultKind::HtmlOk, Code::RegistryMalformed),
    ] {
        for path in [
            "/blobs/uploads/",
            "/manifests/sha256:",
            "/manifests/sha256-",
        ] {
            // A page with 200 is an answer to what was written like any other.
            if kind != FaultKind::HtmlOk || path != "/manifests/sha256:" {
                checks.push(Box::pin(check(kind.clone(), code, path)));
            }
        }
    }
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn what_the_registry_does_not_take_is_an_error() {
    // Too large.
    let world = World::start(Config {
        blob_bytes: Some(100),
        ..Config::default()
    })
    .await;
    let (source, repository) = (source(), world.repository());
    let writer = source.writer(soon());
    let error = writer
        .blob(&repository, vec![1; 101].into())
        .await
        .unwrap_err();
    assert_eq!(error.code(), DenyCode::RegistryUnavailable);
    assert!(error.to_string().contains("413"), "{error}");
    writer.blob(&repository, vec![1; 100].into()).await.unwrap();

    // Another digest than it was given.
    let (manifest, mut entry, _) = bundle(world.image, 1);
    let put = || writer.manifest(&repository, media_type::IMAGE, manifest.clone(), None);
    assert_eq!(
        put().await.unwrap_err().code(),
        DenyCode::RegistryUnavailable
    );
    write_bundle(&writer, &repository, world.image, 1)
        .await
        .unwrap();
    assert_eq!(put().await, Ok(entry.digest));
    let fault = Fault::new(FaultKind::WrongDigestHeader).method("PUT");
    world.registry.inject(fault);
    assert_eq!(put().await.unwrap_err().code(), DenyCode::DigestMismatch);
    world.registry.clear_faults();
    let tagged = writer.manifest(
        &repository,
        media_type::IMAGE,
        manifest.clone(),
        Some("new"),
    );
    assert_eq!(tagged.await, Ok(entry.digest));
    assert_eq!(world.registry.resolve(REPO, "new"), Some(entry.digest));
    let named = writer.manifest(
        &repository,
        media_type::IMAGE,
        manifest.clone(),
        Some("a/../b"),
    );
    assert_eq!(named.await.unwrap_err().code(), DenyCode::RegistryMalformed);

    // A descriptor of something else.
    entry.digest = world.image;
    let write = writer.referrer(&repository, &world.image, &entry, manifest);
    assert_eq!(write.await.unwrap_err().code(), DenyCode::DigestMismatch);
    let mut layer = signature("a", 1);
    layer.bytes = Bytes::from_static(b"b");
    let layers = [layer];
    let append = writer.append(&repository, "x.sig", &layers, &|_| false);
    assert_eq!(append.await.unwrap_err().code(), DenyCode::DigestMismatch);
}

#[tokio::test]
async fn writing_asks_for_the_right_to_push() {
    let confined = User::new("bob", "secret").only("other");
    let users = vec![User::new("alice", "secret"), confined];
    let mut tokens = TokenAuth::new(users.clone());
    tokens.anonymous_pull = true;
    for (auth, denied) in [
        (Auth::Token(tokens), DenyCode::RegistryUnauthorized),
        (Auth::Basic(users), DenyCode::RegistryForbidden),
    ] {
        let is_token = matches!(auth, Auth::Token(_));
        let world = World::start(Config {
            auth,
            ..with(Referrers::Off)
        })
        .await;
        let (host, repository) = (world.registry.host(), world.repository());
        let attempt = async |keys: Keyring| {
            let source = source_with(settings(), keys, RemoteSettings::default());
            if is_token {
                // Whoever read before, with whatever opened the repository, writes as somebody else.
                source
                    .resolve(&world.reference("one"), soon())
                    .await
                    .unwrap();
            }
            let writer = source.writer(soon());
            write_bundle(&writer, &repository, world.image, 1).await
        };
        let error = attempt(Keyring::default()).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::RegistryUnauthorized, "{error}");
        let error = attempt(keyring(&host, "bob", "secret")).await.unwrap_err();
        assert_eq!(error.code(), denied, "{error}");
        let expected = format!("writing needs the right to push to `{repository}`");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(error.to_string().contains("tried: "), "{error}");
        world.registry.clear_requests();
        attempt(keyring(&host, "alice", "secret")).await.unwrap();
        if is_token {
            let requests = world.registry.requests();
            let tokens = requests.iter().filter(|r| r.path == "/token");
            let scopes: Vec<_> = tokens.map(|r| r.query.as_str()).collect();
            assert_eq!(scopes.len(), 2, "{scopes:?}");
            assert!(scopes[1].ends_with("app%3Apull%2Cpush"), "{scopes:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_may_go_on_elsewhere_without_credentials() {
    let storage = Registry::start(Config::default()).await.unwrap();
    let tls = Registry::start(Config {
        tls: Tls::On,
        ..Config::default()
    })
    .await
    .unwrap();
    let world = World::start(Config {
        auth: Auth::Basic(vec![User::new("alice", "secret")]),
        ..Config::default()
    })
    .await;
    let (host, repository) = (world.registry.host(), world.repository());
    let attempt = async |location: String| {
        let kind = FaultKind::Header {
            name: "location",
            value: Some(location),
        };
        world.registry.clear_faults();
        world.registry.inject(Fault::new(kind).method("POST"));
        let keys = keyring(&host, "alice", "secret");
        let source = source_with(settings(), keys, RemoteSettings::default());
        let writer = source.writer(soon());
        let bytes = Bytes::from(vec![1; 70_000]);
        writer
            .blob(&repository, bytes)
            .await
            .map_err(|error| error.code())
    };
    // An upload that the other registry began.
    let uploads = format!("{}/v2/{REPO}/blobs/uploads/", storage.url());
    let begun = http(&storage).post(uploads).send().await.unwrap();
    let begun = begun.headers()["location"].to_str().unwrap().to_owned();
    let digest = attempt(format!("{}{begun}&signed=a%2Fb", storage.url()))
        .await
        .unwrap();
    assert!(storage.blob(REPO, digest).is_some());
    let requests = storage.requests();
    let sent = requests.last().unwrap();
    assert_eq!((sent.method.as_str(), &sent.authorization), ("PUT", &None));
    let digest = digest.to_string().replace(':', "%3A");
    assert!(
        sent.query
            .ends_with(&format!("&signed=a%2Fb&digest={digest}")),
        "{}",
        sent.query
    );

    for (location, code) in [
        ("http://169.254.169.254/upload", DenyCode::RegistryRefused),
        (
            "http://alice:secret@localhost:1/",
            DenyCode::RegistryMalformed,
        ),
        ("ftp://localhost/", DenyCode::RegistryMalformed),
        ("http://", DenyCode::RegistryMalformed),
    ] {
        assert_eq!(attempt(location.to_owned()).await, Err(code), "{location}");
    }
    // Nor from TLS to none.
    let mut secured = settings();
    secured
        .trust_authorities(tls.ca_pem().unwrap().as_bytes())
        .unwrap();
    let source = source_with(secured, Keyring::default(), RemoteSettings::default());
    let repository = super::repository(&tls.host());
    let writer = source.writer(soon());
    let blob = |byte| writer.blob(&repository, Bytes::from(vec![byte; 70_000]));
    blob(1).await.unwrap();
    let kind = FaultKind::Header {
        name: "location",
        value: Some(format!("{}/v2/x/blobs/uploads/1", storage.url())),
    };
    tls.inject(Fault::new(kind).method("POST"));
    assert_eq!(blob(2).await.unwrap_err().code(), DenyCode::RegistryRefused);
    // Nor anywhere by a redirect.
    tls.clear_faults();
    let kind = FaultKind::Redirect {
        to: format!("{}/v2/x/blobs/uploads/1", storage.url()),
        status: 307,
    };
    tls.inject(Fault::new(kind).method("POST"));
    assert_eq!(blob(3).await.unwrap_err().code(), DenyCode::RegistryRefused);
}

#[tokio::test]
async fn a_registry_that_shows_late_is_waited_for() {
    for referrers in [Referrers::Api, Referrers::Off] {
        for bound in [
            (Some(3), None),
            (None, Some(Duration::from_millis(400))),
            (None, None),
        ] {
            let world = World::start(with(referrers)).await;
            let (source, repository) = (source(), world.repository());
            let early = source.writer(soon());
            write_bundle(&early, &repository, world.image, 1)
                .await
                .unwrap();
            let (reads, lasting) = bound;
            world
                .registry
                .inject(Fault::new(FaultKind::StaleReads { reads, lasting }));
            let writer = source.writer(Deadline::after(Duration::from_secs(3)));
            let written = write_bundle(&writer, &repository, world.image, 2).await;
            if bound == (None, None) {
                let error = written.unwrap_err();
                assert_eq!(error.code(), DenyCode::WriteUnconfirmed, "{error}");
            } else {
                written.unwrap();
            }
            world.registry.clear_faults();
            // Late is not lost: nothing was taken back meanwhile.
            assert_eq!(found(&world).await.len(), 2, "{referrers:?} {bound:?}");
        }
    }
}

#[tokio::test]
async fn a_tag_that_stays_where_it_is_is_told() {
    for immutable_tags in [false, true] {
        let world = World::start(Config {
            immutable_tags,
            ..with(Referrers::Off)
        })
        .await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        let tag = format!("{}.sig", fallback_tag(world.image));
        sign(&writer, &repository, &tag, 1).await.unwrap();
        write_bundle(&writer, &repository, world.image, 1)
            .await
            .unwrap();
        // What is there already needs no writing.
        sign(&writer, &repository, &tag, 1).await.unwrap();
        let outcomes = [
            sign(&writer, &repository, &tag, 2).await.map(drop),
            write_bundle(&writer, &repository, world.image, 2)
                .await
                .map(drop),
        ];
        for outcome in outcomes {
            let Err(error) = outcome else {
                assert!(!immutable_tags);
                continue;
            };
            assert!(immutable_tags);
            assert_eq!(error.code(), DenyCode::TagImmutable);
            let text = error.to_string();
            assert!(
                text.contains("tag `sha256-") && text.contains("TAG_INVALID"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_list_is_never_written_over() {
    let world = World::start(with(Referrers::Off)).await;
    let (source, repository) = (source(), world.repository());
    let writer = source.writer(soon());
    let tag = fallback_tag(world.image);
    // As GitLab does.
    world.registry.tag(REPO, &tag, world.image);
    let error = write_bundle(&writer, &repository, world.image, 1)
        .await
        .unwrap_err();
    assert_eq!(error.code(), DenyCode::RegistryMalformed, "{error}");
    assert_eq!(world.registry.resolve(REPO, &tag), Some(world.image));
    let index = put_index(&world.registry, &[], "list.sig");
    let error = sign(&writer, &repository, "list.sig", 1).await.unwrap_err();
    assert_eq!(error.code(), DenyCode::RegistryMalformed, "{error}");
    assert_eq!(world.registry.resolve(REPO, "list.sig"), Some(index));
    world.registry.delete_tag(REPO, &tag);
    write_bundle(&writer, &repository, world.image, 1)
        .await
        .unwrap();
}

#[tokio::test]
async fn signatures_are_added_replaced_and_never_doubled() {
    for conditional in [false, true] {
        let world = World::start(Config {
            conditional,
            ..Config::default()
        })
        .await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        let tag = format!("{}.sig", fallback_tag(world.image));
        let signed = || signatures(&world.registry, &tag);
        sign(&writer, &repository, &tag, 1).await.unwrap();
        sign(&writer, &repository, &tag, 2).await.unwrap();
        world.registry.clear_requests();
        sign(&writer, &repository, &tag, 1).await.unwrap();
        assert_eq!(world.lines().len(), 1, "one look");
        assert_eq!(signed(), ["1", "2"]);
        let layers = [signature("payload", 3)];
        let first = |layer: &Descriptor| layer.annotations.values().any(|text| text == "1");
        let append = writer.append(&repository, &tag, &layers, &first);
        let digest = append.await.unwrap();
        assert_eq!(signed(), ["2", "3"]);
        assert_eq!(world.registry.resolve(REPO, &tag), Some(digest));
        assert_eq!(found(&world).await, [(Way::SignatureTag, digest)]);
        let requests = world.registry.requests();
        let put = requests.iter().rfind(|r| r.method == "PUT").unwrap();
        assert!(put.headers.contains_key("if-match"));
    }
    // Somebody writes between the look and the write: the condition does not hold, and it is merged
    // into what is there then.
    let world = World::start(Config {
        conditional: true,
        ..Config::default()
    })
    .await;
    let (source, repository) = (source(), world.repository());
    let writer = source.writer(soon());
    sign(&writer, &repository, "x.sig", 1).await.unwrap();
    let kind = FaultKind::Header {
        name: "etag",
        value: Some("\"sha256:00\"".to_owned()),
    };
    world.registry.clear_requests();
    world
        .registry
        .inject(Fault::new(kind).method("GET").times(1));
    sign(&writer, &repository, "x.sig", 2).await.unwrap();
    assert_eq!(signatures(&world.registry, "x.sig"), ["1", "2"]);
    let requests = world.registry.requests();
    assert!(requests.iter().any(|r| r.status == Some(412)));
}

/// Whoever looked too long ago looks again: here the configuration is uploaded in between, as that of
/// the first signature is not. Over a slow line one more look goes ahead of each write.
#[tokio::test]
async fn nothing_is_written_over_what_was_looked_at_long_ago() {
    for (delay, looks) in [(0, [1, 1]), (60, [2, 3])] {
        let world = World::start(Config {
            delay: Duration::from_millis(delay),
            ..Config::default()
        })
        .await;
        let (source, repository) = (source(), world.repository());
        let writer = source.writer(soon());
        for (number, looks) in looks.into_iter().enumerate() {
            world.registry.clear_requests();
            sign(&writer, &repository, "x.sig", number).await.unwrap();
            let requests = world.registry.requests();
            let tag = requests.iter().filter(|r| r.path.ends_with("x.sig"));
            let before = tag.take_while(|r| r.method == "GET").count();
            assert_eq!(before, looks, "{delay} {number}");
        }
    }
}

/// What is hidden from strangers is written as somebody.
#[tokio::test]
async fn a_registry_that_conceals_is_written_to() {
    let world = World::start(Config {
        auth: Auth::Basic(vec![User::new("alice", "secret")]),
        conceal: true,
        ..with(Referrers::Off)
    })
    .await;
    let repository = world.repository();
    for (password, expected) in [
        ("secret", Ok(())),
        ("other", Err(DenyCode::RegistryUnauthorized)),
    ] {
        let keys = keyring(&world.registry.host(), "alice", password);
        let source = source_with(settings(), keys, RemoteSettings::default());
        let writer = source.writer(soon());
        let written = sign(&writer, &repository, "x.sig", 1).await;
        assert_eq!(written.map(drop).map_err(|error| error.code()), expected);
    }
    let requests = world.registry.requests();
    let root = requests.iter().filter(|r| r.path == "/v2/");
    assert!(root.map(|r| r.method.as_str()).eq(["GET", "GET"]));
}

#[tokio::test]
async fn manifests_and_lists_speak_tls_too() {
    let world = World::start(Config {
        tls: Tls::On,
        ..with(Referrers::Off)
    })
    .await;
    let mut secured = settings();
    secured
        .trust_authorities(world.registry.ca_pem().unwrap().as_bytes())
        .unwrap();
    let source = source_with(secured, Keyring::default(), RemoteSettings::default());
    let repository = repository(&world.registry.host());
    let writer = source.writer(soon());
    write_bundle(&writer, &repository, world.image, 1)
        .await
        .unwrap();
    let signed = sign(&writer, &repository, "x.sig", 1).await.unwrap();
    let raw = source.manifest(&repository, &signed, soon()).await.unwrap();
    let parsed = Manifest::parse(&raw.bytes, None, 0, &scgate::model::Limits::default());
    assert!(matches!(parsed, Ok(Manifest::Image(_))));
}

/// Futures of a writer can be spawned.
#[expect(dead_code, reason = "that it compiles is the test")]
fn futures_are_send(source: &Source, repository: &Repository, layer: NewLayer) {
    fn send(_: impl Send) {}
    let writer = source.writer(soon());
    send(writer.blob(repository, Bytes::new()));
    send(writer.mount(repository, &layer.descriptor.digest, repository));
    send(writer.manifest(repository, "", Bytes::new(), None));
    send(writer.referrer(
        repository,
        &layer.descriptor.digest,
        &layer.descriptor,
        Bytes::new(),
    ));
    send(writer.append(repository, "", &[], &|_| false));
}
