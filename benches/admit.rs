//! Whole questions to a registry that takes 20 ms to answer each request: round trips are what counts.
//!
//! `cargo bench --bench admit`.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise and prints its figures"
)]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use scgate::admit::Gate;
use scgate::admit::Report;
use scgate::admit::Scope;
use scgate::admit::Thoroughness;
use scgate::admit::Trusted;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Limits;
use scgate::model::Reference;
use scgate::model::Timestamp;
use scgate::model::media_type;
use scgate::policy::Covers;
use scgate::policy::Decision;
use scgate::policy::Demand;
use scgate::policy::Pattern;
use scgate::policy::Policy;
use scgate::policy::Rules;
use scgate::policy::SignedTimestamp;
use scgate::policy::Signer;
use scgate::policy::Who;
use scgate::registry::Keyring;
use scgate::registry::Remote;
use scgate::registry::RemoteSettings;
use scgate::registry::Source;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::bundle_referrer;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use scgate::verify::Terms;
use scgate::verify::TrustRoot;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::Work;
use crate::harness::medians;
use crate::harness::ratio;
use crate::harness::show;

const REPO: &str = "acme/shop";
const DELAY: Duration = Duration::from_millis(20);
const RUNS: usize = 15;
const ENTRIES: usize = 20;
const IMAGES: usize = 10;

struct World {
    registry: Registry,
    mint: Mint,
    identity: Identity,
    now: Timestamp,
    limits: Limits,
}

impl World {
    async fn open() -> Self {
        let config = Config {
            delay: DELAY,
            ..Config::default()
        };
        let now = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
        Self {
            registry: Registry::start(config).await.unwrap(),
            mint: Mint::new(now).unwrap(),
            identity: GithubActions::push(REPO, "release.yml").identity(),
            now,
            limits: Limits::default(),
        }
    }

    fn put(&self, kind: &str, manifest: &Value) -> Digest {
        self.registry
            .put_manifest(REPO, kind, manifest.to_string(), None)
    }

    /// Pushes a small image that no other is like.
    fn image(&self, number: usize) -> Digest {
        let config = json!({"os": "linux", "architecture": format!("a{number}"), "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string();
        let layer = format!("layer {number}");
        let (config_digest, layer_digest) = (
            self.registry.put_blob(REPO, config.clone()),
            self.registry.put_blob(REPO, layer.clone()),
        );
        self.put(
            media_type::IMAGE,
            &json!({
                "schemaVersion": 2, "mediaType": media_type::IMAGE,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer_digest, "size": layer.len()}],
            }),
        )
    }

    fn index(&self, images: &[Digest]) -> Digest {
        let entries: Vec<_> = images
            .iter()
            .enumerate()
            .map(|(number, digest)| {
                let (kind, bytes) = self.registry.manifest(REPO, *digest).unwrap();
                json!({
                    "mediaType": kind, "digest": digest, "size": bytes.len(),
                    "platform": {"os": "linux", "architecture": format!("a{number}")},
                })
            })
            .collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
        self.put(media_type::INDEX, &index)
    }

    fn sign(&self, digest: Digest) {
        let order = Order::keyless(self.now, &self.identity, Content::image(digest)).rekor2();
        let bundle = self.mint.sign(&order).unwrap().bundle_bytes("0.3");
        let (kind, bytes) = self.registry.manifest(REPO, digest).unwrap();
        let size = u64::try_from(bytes.len()).unwrap();
        let referrer = bundle_referrer(&bundle, &Descriptor::new(kind, digest, size), self.now);
        for blob in &referrer.blobs {
            self.registry.put_blob(REPO, blob.clone());
        }
        self.registry
            .put_manifest(REPO, media_type::IMAGE, referrer.bytes(), None);
    }

    fn gate(&self, covers: Covers, thoroughness: Thoroughness) -> Gate {
        let root = TrustRoot::parse(&self.mint.trusted_root().bytes(), &self.limits).unwrap();
        let policy = Policy::new(Rules {
            name: "bench".into(),
            signers: vec![Signer {
                name: "release".into(),
                who: Who::Keyless {
                    root: root.id(),
                    issuer: Pattern::exact(&self.identity.issuer).unwrap(),
                    subject: Pattern::exact(self.identity.san.value()).unwrap(),
                    claims: Vec::new(),
                },
            }],
            demand: Demand::Signature,
            annotations: Vec::new(),
            covers,
            platforms: Vec::new(),
            signed_timestamp: SignedTimestamp::Optional,
            at: None,
        });
        let trusted = Trusted {
            root: Some(Arc::new(root)),
            keys: Vec::new(),
        };
        let scope = Scope {
            thoroughness,
            ..Scope::default()
        };
        Gate::new(
            policy.unwrap(),
            trusted,
            Terms::default(),
            scope,
            self.limits.clone(),
        )
    }

    /// A client that knows nothing yet: neither connections nor what the registry speaks.
    fn source(&self, per_host: Option<usize>) -> Source {
        let mut settings = Settings::default();
        settings.per_host = per_host.unwrap_or(settings.per_host);
        Source::Remote(Remote::new(
            Transport::new(settings).unwrap(),
            Keyring::default(),
            RemoteSettings::default(),
            self.limits.clone(),
        ))
    }

    async fn ask(&self, gate: &Gate, source: &Source, digest: Digest) -> Report {
        let reference = format!("{}/{REPO}@{digest}", self.registry.host());
        let reference = Reference::parse(&reference).unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        let report = gate
            .admit(source, &reference, None, self.now, deadline)
            .await;
        assert!(
            matches!(report.decision, Decision::Allow { .. }),
            "{:?}",
            report.decision
        );
        report
    }
}

/// Asks all of `digests` at once, several times, each time with a new client, and prints a row.
fn row(
    runtime: &Runtime,
    world: &World,
    name: &str,
    gate: &Gate,
    digests: &[Digest],
    (ideal, per_host): (u32, Option<usize>),
) {
    let work = || {
        let source = world.source(per_host);
        world.registry.clear_requests();
        let all = digests
            .iter()
            .map(|digest| world.ask(gate, &source, *digest));
        runtime.block_on(futures_util::future::join_all(all));
    };
    let work: Work<'_> = Box::new(work);
    let wall = medians(RUNS, &mut [work])[0];
    let floor = DELAY * ideal;
    println!(
        "| {name} | {} | {} | {ideal} × {} ms | {:.2} |",
        world.registry.requests().len(),
        show(wall),
        DELAY.as_millis(),
        ratio(wall, floor),
    );
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::open());
    let images: Vec<_> = (0..ENTRIES).map(|number| world.image(number)).collect();
    let index = world.index(&images);
    for digest in images.iter().chain([&index]) {
        world.sign(*digest);
    }
    let alone: Vec<_> = (ENTRIES..ENTRIES + IMAGES)
        .map(|number| world.image(number))
        .collect();
    for digest in &alone {
        world.sign(*digest);
    }
    let plain = world.gate(Covers::Index, Thoroughness::UntilProven);
    let recursive = world.gate(Covers::IndexAndPlatforms, Thoroughness::UntilProven);
    let everything = world.gate(Covers::IndexAndPlatforms, Thoroughness::Everything);
    println!("| question | requests | wall | round trips that it must take | ratio |");
    println!("|---|---|---|---|---|");
    for (name, gate, digests, ideal) in [
        ("one image by digest", &plain, &alone[..1], 3),
        ("ten images by digest at once", &plain, &alone, 3),
        ("index of 20, index alone covers", &plain, &[index], 3),
        ("index of 20, index and platforms", &recursive, &[index], 4),
        ("index of 20, all evidence", &everything, &[index], 4),
    ] {
        row(&runtime, &world, name, gate, digests, (ideal, None));
    }
    for (name, gate, digests, ideal) in [
        ("ten images, 64 requests at once", &plain, &alone[..], 3),
        (
            "index and platforms, 64 requests at once",
            &recursive,
            &[index],
            4,
        ),
    ] {
        row(&runtime, &world, name, gate, digests, (ideal, Some(64)));
    }
}
