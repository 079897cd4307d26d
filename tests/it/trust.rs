//! Trusted roots from TUF repositories: everything a mirror or a cache can do to whoever fetches.
//!
//! Each refusal is one change to a repository that is accepted without it.

mod cache;
mod refusals;
pub(crate) mod server;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use scgate::Timestamp;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::tuf::Repository;
use scgate::sandbox::tuf::Services;
use scgate::sandbox::tuf::distributed;
use scgate::services::tuf::Bounds;
use scgate::services::tuf::Client;
use scgate::services::tuf::Error;
use scgate::services::tuf::Mirror;
use scgate::services::tuf::Reach;
use scgate::services::tuf::SIGNING_CONFIG;
use scgate::services::tuf::TRUSTED_ROOT;
use scgate::services::tuf::Update;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;

use server::Served;

const DAY: i64 = 24 * 60 * 60;

/// A repository, and the mirror that serves it.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) repository: Repository,
    pub(crate) anchor: Vec<u8>,
    pub(crate) served: Served,
    bounds: Bounds,
    seconds: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Timestamp::from(SystemTime::now());
        let mint = Mint::new(now).unwrap();
        let services = Services {
            fulcio: "https://fulcio.sandbox.test".to_owned(),
            oidc: "https://oidc.sandbox.test".to_owned(),
            rekor: vec![("https://rekor.sandbox.test".to_owned(), 1)],
            tsa: vec!["https://tsa.sandbox.test/api/v1/timestamp".to_owned()],
            start: mint.valid_from,
        };
        let repository = Repository::new(now, distributed(&mint, &services)).unwrap();
        let files = repository.files().unwrap();
        Self {
            now,
            anchor: files["1.root.json"].clone(),
            served: Served::start(files),
            repository,
            bounds: Bounds::default(),
            seconds: 20,
        }
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.repository.files().unwrap()
    }

    /// Serves what the repository is now.
    pub(crate) fn serve(&self) {
        self.served.serve(self.files());
    }

    /// What is in it of that name.
    pub(crate) fn target(&self, name: &str) -> &[u8] {
        let target = self.repository.distributed.iter().find(|t| t.name == name);
        &target.unwrap().bytes
    }

    fn update(&self, cache: Option<&Path>) -> Result<Update, Error> {
        run(self.ask(cache))
    }

    async fn ask(&self, cache: Option<&Path>) -> Result<Update, Error> {
        let transport = Transport::new(Settings::default()).unwrap();
        let deadline = Deadline::after(Duration::from_secs(self.seconds));
        let mirror = Mirror::parse(&self.served.url).unwrap();
        self.client(&mirror, cache)
            .update(Reach::Network(&transport, deadline), &WANTED, self.now)
            .await
    }

    fn offline(&self, cache: Option<&Path>) -> Result<Update, Error> {
        let mirror = Mirror::parse(&self.served.url).unwrap();
        let client = self.client(&mirror, cache);
        run(client.update(Reach::Cache, &WANTED, self.now))
    }

    fn client<'a>(&'a self, mirror: &'a Mirror, cache: Option<&'a Path>) -> Client<'a> {
        Client {
            mirror,
            anchor: &self.anchor,
            cache,
            bounds: &self.bounds,
        }
    }
}

const WANTED: [&str; 2] = [TRUSTED_ROOT, SIGNING_CONFIG];

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// The files of a repository and the versions of its roles, after an update.
#[track_caller]
fn accepted(world: &World, update: &Update, versions: [u64; 4]) {
    for name in WANTED {
        assert_eq!(update.files[name], world.target(name), "{name}");
    }
    let roles: Vec<_> = update.roles.iter().map(|r| (r.name, r.version)).collect();
    let names = ["root", "timestamp", "snapshot", "targets"];
    let expected: Vec<_> = names.into_iter().zip(versions).collect();
    assert_eq!(roles, expected);
}

#[test]
fn an_update_asks_for_each_file_once() {
    let world = World::new();
    let update = world.update(None).unwrap();
    accepted(&world, &update, [1; 4]);
    let requests = world.served.requests();
    let (metadata, targets) = requests.split_at(4);
    assert_eq!(
        metadata,
        [
            "2.root.json",
            "timestamp.json",
            "1.snapshot.json",
            "1.targets.json"
        ]
    );
    let hash = scgate::Digest::sha256(world.target(TRUSTED_ROOT)).hex();
    assert_eq!(targets[0], format!("targets/{hash}.{TRUSTED_ROOT}"));
    assert_eq!(targets.len(), 2);
    assert_eq!(
        update.roles[1].expires.unix_seconds(),
        world.now.plus_seconds(7 * DAY).unix_seconds()
    );
}

#[test]
fn a_repository_without_consistent_snapshots_is_read_too() {
    let mut world = World::new();
    world.repository.consistent_snapshot = false;
    world.anchor = world.files()["1.root.json"].clone();
    world.serve();
    accepted(&world, &world.update(None).unwrap(), [1; 4]);
}

#[test]
fn roots_are_walked_from_the_anchor_to_the_newest() {
    let mut world = World::new();
    for _ in 0..3 {
        world
            .repository
            .rotate(world.now.plus_seconds(90 * DAY))
            .unwrap();
    }
    world.repository.publish();
    world.serve();
    accepted(&world, &world.update(None).unwrap(), [4, 2, 2, 2]);
    // An old root may have expired: it only says who signs the next one.
    let old = world.now.plus_seconds(-DAY);
    world.repository.roots[1].expires = old;
    world.serve();
    accepted(&world, &world.update(None).unwrap(), [4, 2, 2, 2]);
    // A newer anchor has less to walk.
    world.anchor = world.files()["3.root.json"].clone();
    world.served.requests();
    accepted(&world, &world.update(None).unwrap(), [4, 2, 2, 2]);
    assert_eq!(world.served.requests()[..2], ["4.root.json", "5.root.json"]);
}

#[test]
fn an_object_store_says_403_where_roots_end() {
    let world = World::new();
    world
        .served
        .fault("2.root.json", server::Fault::Status(403));
    accepted(&world, &world.update(None).unwrap(), [1; 4]);
    world
        .served
        .fault("timestamp.json", server::Fault::Status(403));
    let error = world.update(None).unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 403, .. }),
        "{error}"
    );
}

/// The anchors that are part of scgate verify, and are asked about their own mirrors.
#[test]
fn the_embedded_anchors_are_good() {
    use scgate::services::tuf::Fault;
    use scgate::services::tuf::Instance;
    let world = World::new();
    let mirror = Mirror::parse(&world.served.url).unwrap();
    world
        .served
        .fault("timestamp.json", server::Fault::Status(500));
    for instance in [Instance::PublicGood, Instance::Staging] {
        let client = Client {
            anchor: instance.anchor(),
            ..world.client(&mirror, None)
        };
        let transport = Transport::new(Settings::default()).unwrap();
        let deadline = Deadline::after(Duration::from_secs(20));
        let reach = Reach::Network(&transport, deadline);
        // Far enough that the anchor verified: the world's mirror has none of its files.
        let error = run(client.update(reach, &WANTED, world.now)).unwrap_err();
        assert_eq!(error.fault(), Fault::World, "{error}");
        assert!(Mirror::parse(instance.mirror()).is_ok());
    }
}
