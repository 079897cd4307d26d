//! A registry with a two-platform image as buildx pushes it, and a Sigstore to sign it with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scgate::admit::Gate;
use scgate::admit::Report;
use scgate::admit::Scope;
use scgate::admit::Trusted;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Limits;
use scgate::model::Platform;
use scgate::model::Reference;
use scgate::model::Timestamp;
use scgate::model::media_type;
use scgate::policy::Covers;
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
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::LegacyLayer;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::bundle_referrer;
use scgate::sandbox::mint::legacy_manifest;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use scgate::verify::Terms;
use scgate::verify::TrustRoot;
use serde_json::Value;
use serde_json::json;

pub(crate) const REPO: &str = "acme/shop";

/// The world of one test.
pub(crate) struct Shop {
    pub(crate) registry: Registry,
    pub(crate) mint: Mint,
    pub(crate) identity: Identity,
    pub(crate) amd64: Digest,
    pub(crate) arm64: Digest,
    pub(crate) attestation: Digest,
    pub(crate) index: Digest,
    pub(crate) covers: Covers,
    pub(crate) platforms: Vec<Platform>,
    pub(crate) limits: Limits,
    pub(crate) scope: Scope,
    pub(crate) demand: Demand,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) keyring: Keyring,
    pub(crate) seconds: u64,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

impl Shop {
    pub(crate) async fn open(config: Config) -> Self {
        let registry = Registry::start(config).await.unwrap();
        let mut shop = Self {
            mint: Mint::new(now()).unwrap(),
            identity: GithubActions::push(REPO, "release.yml").identity(),
            amd64: Digest::sha256(b""),
            arm64: Digest::sha256(b""),
            attestation: Digest::sha256(b""),
            index: Digest::sha256(b""),
            covers: Covers::Index,
            platforms: Vec::new(),
            limits: Limits::default(),
            scope: Scope::default(),
            demand: Demand::Signature,
            annotations: Vec::new(),
            keyring: Keyring::default(),
            seconds: 20,
            registry,
        };
        shop.amd64 = shop.image("amd64", &["application/vnd.oci.image.layer.v1.tar+gzip"]);
        shop.arm64 = shop.image("arm64", &["application/vnd.oci.image.layer.v1.tar+gzip"]);
        shop.attestation = shop.image("unknown", &[media_type::IN_TOTO]);
        shop.index = shop.put_index(&[
            shop.entry(shop.amd64, "linux", "amd64"),
            shop.entry(shop.arm64, "linux", "arm64"),
            shop.buildkit_entry(shop.attestation, shop.amd64),
        ]);
        shop.registry.tag(REPO, "1.0", shop.index);
        shop
    }

    /// Pushes a small image.
    pub(crate) fn image(&self, architecture: &str, layers: &[&str]) -> Digest {
        let os = if architecture == "unknown" {
            "unknown"
        } else {
            "linux"
        };
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = self.registry.put_blob(REPO, config.to_string());
        let layers: Vec<_> = layers
            .iter()
            .map(|kind| {
                let bytes = format!("layer of {architecture}");
                let digest = self.registry.put_blob(REPO, bytes.clone());
                json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
            })
            .collect();
        let size = self.registry.blob(REPO, config).unwrap().len();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size},
            "layers": layers,
        });
        self.registry
            .put_manifest(REPO, media_type::IMAGE, manifest.to_string(), None)
    }

    pub(crate) fn entry(&self, digest: Digest, os: &str, architecture: &str) -> Value {
        let (kind, bytes) = self.registry.manifest(REPO, digest).unwrap();
        json!({
            "mediaType": kind, "digest": digest, "size": bytes.len(),
            "platform": {"os": os, "architecture": architecture},
        })
    }

    pub(crate) fn buildkit_entry(&self, digest: Digest, about: Digest) -> Value {
        let mut entry = self.entry(digest, "unknown", "unknown");
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about,
        });
        entry
    }

    pub(crate) fn put_index(&self, entries: &[Value]) -> Digest {
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
        self.registry
            .put_manifest(REPO, media_type::INDEX, index.to_string(), None)
    }

    fn descriptor(&self, digest: Digest) -> Descriptor {
        let (kind, bytes) = self.registry.manifest(REPO, digest).unwrap();
        Descriptor::new(kind, digest, bytes.len() as u64)
    }

    pub(crate) fn minted(&self, content: Content) -> Minted {
        let order = Order::keyless(now(), &self.identity, content);
        self.mint.sign(&order).unwrap()
    }

    /// Signs as cosign 3 does: a bundle that refers to the manifest. Gives the referrer's digest.
    pub(crate) fn sign(&self, digest: Digest) -> Digest {
        self.attach(digest, &self.minted(Content::image(digest)))
    }

    pub(crate) fn attest(&self, digest: Digest, predicate_type: &str) -> Digest {
        let content = Content::attestation(REPO, digest, predicate_type, &json!({"a": 1}));
        self.attach(digest, &self.minted(content))
    }

    pub(crate) fn attach(&self, digest: Digest, minted: &Minted) -> Digest {
        self.attach_bytes(digest, &minted.bundle_bytes("0.3"))
    }

    pub(crate) fn attach_bytes(&self, digest: Digest, bundle: &[u8]) -> Digest {
        let referrer = bundle_referrer(bundle, &self.descriptor(digest), now());
        for blob in &referrer.blobs {
            self.registry.put_blob(REPO, blob.clone());
        }
        self.registry
            .put_manifest(REPO, media_type::IMAGE, referrer.bytes(), None)
    }

    /// Pushes a manifest that differs from one that is there.
    pub(crate) fn changed(&self, digest: Digest, change: impl FnOnce(&mut Value)) -> Digest {
        let (kind, bytes) = self.registry.manifest(REPO, digest).unwrap();
        let mut manifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut manifest);
        self.registry
            .put_manifest(REPO, &kind, manifest.to_string(), None)
    }

    /// Signs as cosign 2 does: layers under a `.sig` tag, `copies` of them by strangers first.
    pub(crate) fn sign_legacy(&self, digest: Digest, strangers: usize, genuine: bool) {
        let content = || Content::simple_signing(REPO, digest, &BTreeMap::new());
        let mut layers = Vec::new();
        if strangers > 0 {
            let stranger = GithubActions::push("mallory/shop", "release.yml").identity();
            let order = Order::keyless(now(), &stranger, content());
            let layer = self
                .mint
                .sign(&order)
                .unwrap()
                .legacy_layer(LegacyChain::Full);
            layers.extend(std::iter::repeat_n(layer, strangers));
        }
        if genuine {
            layers.push(self.minted(content()).legacy_layer(LegacyChain::Full));
        }
        self.attach_legacy(digest, &layers);
    }

    /// Puts layers under the `.sig` tag of a digest.
    pub(crate) fn attach_legacy(&self, digest: Digest, layers: &[LegacyLayer]) {
        let manifest = legacy_manifest(layers);
        for blob in &manifest.blobs {
            self.registry.put_blob(REPO, blob.clone());
        }
        let tag = format!("sha256-{}.sig", digest.hex());
        self.registry
            .put_manifest(REPO, media_type::IMAGE, manifest.bytes(), Some(&tag));
    }

    pub(crate) fn gate(&self) -> Gate {
        let root = TrustRoot::parse(&self.mint.trusted_root().bytes(), &self.limits).unwrap();
        let policy = Policy::new(Rules {
            name: "test".into(),
            signers: vec![Signer {
                name: "release".into(),
                who: Who::Keyless {
                    root: root.id(),
                    issuer: Pattern::exact(&self.identity.issuer).unwrap(),
                    subject: Pattern::exact(self.identity.san.value()).unwrap(),
                    claims: Vec::new(),
                },
            }],
            demand: self.demand.clone(),
            annotations: self.annotations.clone(),
            covers: self.covers,
            platforms: self.platforms.clone(),
            signed_timestamp: SignedTimestamp::Optional,
            at: None,
        });
        let trusted = Trusted {
            root: Some(Arc::new(root)),
            keys: Vec::new(),
        };
        Gate::new(
            policy.unwrap(),
            trusted,
            Terms::default(),
            self.scope.clone(),
            self.limits.clone(),
        )
    }

    pub(crate) fn source(&self) -> Source {
        let mut settings = Settings::default();
        settings.pause = Duration::from_millis(1);
        settings.read_timeout = Duration::from_secs(2);
        Source::Remote(Remote::new(
            Transport::new(settings).unwrap(),
            self.keyring.clone(),
            RemoteSettings::default(),
            self.limits.clone(),
        ))
    }

    pub(crate) fn reference(&self, what: &str) -> Reference {
        Reference::parse(&format!("{}/{REPO}{what}", self.registry.host())).unwrap()
    }

    /// Asks about a digest.
    pub(crate) async fn ask(&self, digest: Digest) -> Report {
        self.ask_for(&format!("@{digest}"), None).await
    }

    pub(crate) async fn ask_for(&self, what: &str, parent: Option<Digest>) -> Report {
        self.ask_about(&self.reference(what), parent).await
    }

    pub(crate) async fn ask_about(&self, image: &Reference, parent: Option<Digest>) -> Report {
        let deadline = Deadline::after(Duration::from_secs(self.seconds));
        self.gate()
            .admit(&self.source(), image, parent, now(), deadline)
            .await
    }
}

/// The codes of a decision, sorted, or `allow`.
pub(crate) fn verdict(report: &Report) -> Vec<String> {
    use scgate::policy::Decision;
    let (Decision::Deny(denials) | Decision::Undecided(denials)) = &report.decision else {
        return vec!["allow".to_owned()];
    };
    let mut codes: Vec<_> = denials.iter().map(|d| d.code.name().to_owned()).collect();
    codes.sort();
    codes.dedup();
    codes
}
