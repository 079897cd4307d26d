//! Several write at one place at the same time: whoever was told that it is written is found at the
//! end, and nobody's bytes are changed.
//!
//! `SCGATE_RACE_ROUNDS=10` lets them meet more often, `SCGATE_RACE_REGISTRY=127.0.0.1:5000` in that
//! registry instead of the sandbox's.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use oci_client::Client;
use oci_client::client::ClientConfig;
use oci_client::client::ClientProtocol;
use oci_client::secrets::RegistryAuth;
use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::registry::Error;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::transport::Deadline;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::tcp::OwnedWriteHalf;

use super::BUNDLE;
use super::REPO;
use super::World;
use super::soon;
use super::source;
use super::writing::bundle;
use super::writing::fallback_tag;
use super::writing::sign;
use super::writing::write_bundle;
use crate::sandbox_registry::plain;
use crate::sandbox_registry::provider;

/// Writers at the same time.
const WRITERS: usize = 8;

/// How often they meet; more on request.
fn rounds() -> usize {
    let asked = std::env::var("SCGATE_RACE_ROUNDS");
    asked.map_or(3, |rounds| rounds.parse().unwrap())
}

/// Where a registry is: the sandbox's, or one that the variable names.
enum Place {
    Given(String),
    Own(World),
}

impl Place {
    async fn find(config: Config) -> Self {
        match std::env::var("SCGATE_RACE_REGISTRY") {
            Ok(host) => Self::Given(host),
            Err(_) => Self::Own(World::start(config).await),
        }
    }

    fn host(&self) -> String {
        match self {
            Self::Given(host) => host.clone(),
            Self::Own(world) => world.registry.host(),
        }
    }
}

/// What is written at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Bundles,
    Signatures,
}

/// Reads, adds and writes once, as most tools do.
async fn write_carelessly(place: &str, tag: &str, what: What, subject: Digest, number: usize) {
    let url = format!("http://{place}/v2/{REPO}/manifests/{tag}");
    let (kind, list) = match what {
        What::Bundles => (media_type::INDEX, "manifests"),
        What::Signatures => (media_type::IMAGE, "layers"),
    };
    let client = plain();
    let answer = client
        .get(&url)
        .header("accept", kind)
        .send()
        .await
        .unwrap();
    if answer.status() != 200 {
        return;
    }
    let mut document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let mut entry = document[list][0].clone();
    if what == What::Bundles {
        let (_, descriptor, _) = bundle(subject, number);
        entry = json!({"mediaType": media_type::IMAGE, "digest": descriptor.digest, "size": descriptor.size});
    }
    entry["annotations"] = json!({"careless": number.to_string()});
    entry["unknown"] = json!({"kept": [1, null]});
    document[list].as_array_mut().unwrap().push(entry);
    let put = client.put(&url).header("content-type", kind);
    put.body(document.to_string()).send().await.unwrap();
}

/// Those who were told that theirs is written, in one round.
async fn race(place: &str, what: What, careless: bool, subject: Digest) -> Vec<(usize, Digest)> {
    let repository = Repository::parse(&format!("{place}/{REPO}")).unwrap();
    let tag = fallback_tag(subject);
    let signature_tag = format!("{tag}.sig");
    let write = async |number: usize| {
        // Each has its own connections and knows nothing of the others.
        let source = source();
        let writer = source.writer(Deadline::after(Duration::from_secs(60)));
        let written = match what {
            What::Bundles => {
                let written = write_bundle(&writer, &repository, subject, number).await;
                written.map(|(_, digest)| digest)
            }
            What::Signatures => sign(&writer, &repository, &signature_tag, number).await,
        };
        match written {
            Ok(digest) => Some((number, digest)),
            Err(error) => {
                assert_eq!(error.code(), DenyCode::WriteUnconfirmed, "{error}");
                None
            }
        }
    };
    let intruder = async {
        for number in 100..103 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            if careless && what == What::Bundles {
                let (manifest, _, _) = bundle(subject, number);
                let source = source();
                let writer = source.writer(soon());
                let (_, _, payload) = bundle(subject, number);
                writer.blob(&repository, payload).await.unwrap();
                let put = writer.manifest(&repository, media_type::IMAGE, manifest, None);
                put.await.unwrap();
            }
            if careless {
                let tag = match what {
                    What::Bundles => &tag,
                    What::Signatures => &signature_tag,
                };
                write_carelessly(place, tag, what, subject, number).await;
            }
        }
    };
    let (written, ()) = tokio::join!(join_all((0..WRITERS).map(write)), intruder);
    written.into_iter().flatten().collect()
}

/// What another client reads at the end: the signatures or digests, and the careless entries.
async fn read_back(place: &str, what: What, subject: Digest) -> (Vec<String>, Vec<Value>) {
    provider();
    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    };
    let client = Client::new(config);
    let (tag, list) = match what {
        What::Bundles => (fallback_tag(subject), "manifests"),
        What::Signatures => (format!("{}.sig", fallback_tag(subject)), "layers"),
    };
    let reference = oci_client::Reference::with_tag(place.to_owned(), REPO.to_owned(), tag);
    let types = [media_type::IMAGE, media_type::INDEX];
    let pulled = client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &types);
    let (bytes, _) = pulled.await.unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let entries = document[list].as_array().unwrap();
    let key = |entry: &Value| match what {
        What::Bundles => entry["digest"].as_str().unwrap().to_owned(),
        What::Signatures => {
            let text = &entry["annotations"]["dev.cosignproject.cosign/signature"];
            text.as_str().unwrap_or_default().to_owned()
        }
    };
    let careless = entries
        .iter()
        .filter(|entry| entry["annotations"]["careless"].is_string());
    (
        entries.iter().map(key).collect(),
        careless.cloned().collect(),
    )
}

async fn run(what: What, config: Config, careless: bool) {
    let place = Place::find(config).await;
    let (mut told, mut kept) = (0, 0);
    for round in 0..rounds() {
        let subject = Digest::sha256(
            format!(
                "{what:?} {careless} {round} {:?}",
                std::time::SystemTime::now()
            )
            .as_bytes(),
        );
        let host = place.host();
        let written = race(&host, what, careless, subject).await;
        told += written.len();
        let (entries, foreign) = read_back(&host, what, subject).await;
        for (number, digest) in &written {
            let key = match what {
                What::Bundles => digest.to_string(),
                What::Signatures => number.to_string(),
            };
            let count = entries.iter().filter(|entry| **entry == key).count();
            assert_eq!(count, 1, "round {round}: {key} in {entries:?}");
            kept += 1;
        }
        for entry in foreign {
            assert_eq!(entry["unknown"], json!({"kept": [1, null]}));
        }
        let found = list(&source(), &host, subject).await;
        let way = match what {
            What::Bundles => Way::FallbackTag,
            What::Signatures => Way::SignatureTag,
        };
        assert!(found.iter().any(|(via, _)| *via == way));
    }
    let all = rounds() * WRITERS;
    // Whatever the machine does meanwhile, this is no way to pass: to confirm nothing.
    assert!(told * 10 >= all * 9, "{told} of {all}");
    assert_eq!(kept, told);
}

async fn list(source: &Source, host: &str, subject: Digest) -> Vec<(Way, Digest)> {
    let repository = Repository::parse(&format!("{host}/{REPO}")).unwrap();
    let reference = scgate::model::Reference::parse(&format!("{host}/{REPO}@{subject}"));
    let pinned = reference.unwrap().pinned().unwrap();
    let search = Search::default();
    let listing = source.list(&pinned, &repository, &search, soon()).await;
    let candidates = listing.candidates.iter();
    candidates.map(|c| (c.via, c.descriptor.digest)).collect()
}

fn without_api(conditional: bool, delay: u64) -> Config {
    Config {
        referrers: Referrers::Off,
        conditional,
        // What a careless writer lists need not be there.
        sparse: true,
        delay: Duration::from_millis(delay),
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_entry_of_a_fallback_tag_is_lost() {
    run(What::Bundles, without_api(false, 0), false).await;
    run(What::Bundles, without_api(true, 0), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_entry_is_lost_where_answers_take_their_time() {
    run(What::Bundles, without_api(false, 5), false).await;
    run(What::Signatures, without_api(false, 5), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_signature_is_lost() {
    run(What::Signatures, without_api(false, 0), false).await;
    run(What::Signatures, without_api(true, 0), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_entry_is_lost_beside_one_who_does_not_look_again() {
    run(What::Bundles, without_api(false, 2), true).await;
    run(What::Signatures, without_api(false, 2), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_referrers_api_lists_all() {
    let world = World::start(Config::default()).await;
    let host = world.registry.host();
    let written = race(&host, What::Bundles, false, world.image).await;
    assert_eq!(written.len(), WRITERS);
    let found = list(&source(), &host, world.image).await;
    assert_eq!(found.len(), WRITERS);
    assert!(found.iter().all(|(via, _)| *via == Way::ReferrersApi));
    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    };
    provider();
    let reference =
        oci_client::Reference::with_digest(host, REPO.to_owned(), world.image.to_string());
    let client = Client::new(config);
    let referrers = client.pull_referrers(&reference, None).await.unwrap();
    for (_, digest) in written {
        let digest = digest.to_string();
        let mut entries = referrers.manifests.iter();
        let entry = entries.find(|entry| entry.digest == digest).unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some(BUNDLE));
    }
}

/// Within one source nobody has to race: whoever writes at the same tag waits.
#[tokio::test]
async fn writers_of_one_source_take_turns() {
    let world = World::start(without_api(false, 0)).await;
    let (source, repository) = (source(), world.repository());
    let write = async |number| {
        let writer = source.writer(soon());
        sign(&writer, &repository, "x.sig", number).await
    };
    let written = join_all((0..4).map(write)).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    let requests = world.registry.requests();
    let tags = requests
        .iter()
        .filter(|r| r.path.ends_with("x.sig") && r.method == "PUT");
    assert_eq!(tags.count(), 4, "one write for each");
    let digest = world.registry.resolve(REPO, "x.sig").unwrap();
    let (_, bytes) = world.registry.manifest(REPO, digest).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 4);
}

/// What a slow line holds up.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// Writes at tags, until they arrive.
    Writes(Duration),
    /// Everything, there and back.
    Everything(Duration),
    /// Everything from the first write at a tag on, as long as this lasts.
    Stalls(Duration),
}

/// The way to a registry over a slow line. Gives its address.
async fn slow_line(to: String, line: Line) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stalled = Arc::new(OnceLock::<Instant>::new());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let stalled = Arc::clone(&stalled);
            let registry = TcpStream::connect(&to).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_registry, to_registry) = registry.into_split();
            tokio::spawn(hold(from_client, to_registry, move |bytes| match line {
                Line::Writes(held) if is_write_at_tag(bytes) => held,
                Line::Writes(_) => Duration::ZERO,
                Line::Everything(held) => held,
                Line::Stalls(held) => {
                    if is_write_at_tag(bytes) {
                        stalled.get_or_init(Instant::now);
                    }
                    let since = stalled.get().map(Instant::elapsed);
                    since.map_or(Duration::ZERO, |since| held.saturating_sub(since))
                }
            }));
            tokio::spawn(hold(from_registry, to_client, move |_| match line {
                Line::Stalls(_) | Line::Writes(_) => Duration::ZERO,
                Line::Everything(held) => held,
            }));
        }
    });
    address
}

fn is_write_at_tag(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PUT ") && bytes.windows(18).any(|part| part == b"/manifests/sha256-")
}

async fn hold(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    how_long: impl Fn(&[u8]) -> Duration,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        tokio::time::sleep(how_long(bytes)).await;
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Both of two entries are kept, of which one is written over a slow line. Gives how often was written. A
/// busy machine may make a look too slow, and the honest answer is that nothing is confirmed; then two
/// others try.
async fn one_slow_one_quick(line: Line, after: u64, what: What) -> usize {
    for _ in 0..3 {
        if let Some(writes) = one_try(line, after, what).await {
            return writes;
        }
    }
    panic!("{line:?} {after} {what:?}: three times not confirmed")
}

/// Each entry is there whose writer was told so. Gives how often was written, where both were.
async fn one_try(line: Line, after: u64, what: What) -> Option<usize> {
    let world = World::start(without_api(false, 0)).await;
    let host = world.registry.host();
    let slow = slow_line(host.clone(), line).await;
    let tag = format!("{}.sig", fallback_tag(world.image));
    let write = async |host: String, number: usize| {
        let repository = Repository::parse(&format!("{host}/{REPO}")).unwrap();
        let source = source();
        let writer = source.writer(Deadline::after(Duration::from_secs(60)));
        let began = Instant::now();
        let key = match what {
            What::Bundles => {
                let written = write_bundle(&writer, &repository, world.image, number).await;
                written.map(|(_, digest)| digest.to_string())
            }
            What::Signatures => {
                let written = sign(&writer, &repository, &tag, number).await;
                written.map(|_| number.to_string())
            }
        };
        (confirmed(key), began.elapsed())
    };
    let quickly = async {
        tokio::time::sleep(Duration::from_millis(after)).await;
        write(host.clone(), 2).await
    };
    let ((one, took), (other, quick)) = tokio::join!(write(slow, 1), quickly);
    let case = format!("{line:?} {after} {what:?}");
    assert!(took > quick, "{case}: {took:?}, {quick:?}");
    let (entries, _) = read_back(&host, what, world.image).await;
    for key in [&one, &other].into_iter().flatten() {
        assert!(entries.contains(key), "{case}: {key} in {entries:?}");
    }
    one.and(other)?;
    let is_at_tag = |path: &str| path.contains("/manifests/sha256-");
    let requests = world.registry.requests();
    let requests = requests
        .iter()
        .filter(|r| r.method == "PUT" && is_at_tag(&r.path));
    Some(requests.count())
}

/// What a writer was told is there. Of what could not be found again it says so and nothing else.
fn confirmed<T>(written: Result<T, Error>) -> Option<T> {
    match written {
        Ok(written) => Some(written),
        Err(Error::Unconfirmed { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The one who is quick is done before what the other one wrote arrives, and cannot notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_write_takes_nothing_from_one_who_was_done_before_it_arrived() {
    let writes = Line::Writes(Duration::from_millis(700));
    let all = Line::Everything(Duration::from_millis(150));
    let cases = [150, 350].map(|after| (writes, after)).into_iter();
    let cases = cases.chain((0..15).map(|step| (all, 700 + 75 * step)));
    let both = |(line, after)| [What::Bundles, What::Signatures].map(|what| (line, after, what));
    let run = cases
        .flat_map(both)
        .map(|(line, after, what)| one_slow_one_quick(line, after, what));
    let written = join_all(run).await;
    // They met: more was written than one write each.
    let repaired = written.iter().filter(|writes| **writes > 2).count();
    assert!(repaired >= 4, "{written:?}");
}

/// A line that stalls between a look and the write, also for looks: nobody can know what is taken the
/// place of, and whoever wrote over such a line says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_could_not_look_while_he_wrote_confirms_nothing() {
    for what in [What::Bundles, What::Signatures] {
        let world = World::start(without_api(false, 0)).await;
        let host = world.registry.host();
        let stalled = slow_line(host.clone(), Line::Stalls(Duration::from_millis(1500))).await;
        let tag = format!("{}.sig", fallback_tag(world.image));
        let write = async |host: String, number: usize| {
            let repository = Repository::parse(&format!("{host}/{REPO}")).unwrap();
            let source = source();
            let writer = source.writer(Deadline::after(Duration::from_secs(60)));
            match what {
                What::Bundles => {
                    let written = write_bundle(&writer, &repository, world.image, number).await;
                    written.map(|(_, digest)| digest.to_string())
                }
                What::Signatures => {
                    let written = sign(&writer, &repository, &tag, number).await;
                    written.map(|_| number.to_string())
                }
            }
        };
        let quickly = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            write(host.clone(), 2).await
        };
        let (slow, quick) = tokio::join!(write(stalled.clone(), 1), quickly);
        assert!(quick.is_ok(), "{quick:?}");
        let code = slow.map_err(|error| error.code());
        assert_eq!(code, Err(DenyCode::WriteUnconfirmed), "{what:?}");
        // It is there all the same, and the next run finds it; the twin is confirmed.
        let again = write(host, 1).await;
        assert!(again.is_ok(), "{again:?}");
    }
}
