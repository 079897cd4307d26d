//! Reading images and their evidence, and writing evidence: layouts and archives on disk, registries, credentials.

mod credentials;
mod discovery;
pub(crate) mod layout;
mod layout_writing;
mod racing;
mod remote;
mod writing;

use std::time::Duration;

use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Pinned;
use scgate::model::Reference;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::registry::Helpers;
use scgate::registry::Keyring;
use scgate::registry::Remote;
use scgate::registry::RemoteSettings;
use scgate::registry::Source;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use serde_json::json;

const REPO: &str = "team/app";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// A registry with one image under the tag `one`.
struct World {
    registry: Registry,
    image: Digest,
}

impl World {
    async fn start(config: Config) -> Self {
        let registry = Registry::start(config).await.unwrap();
        let image = put_image(&registry);
        Self { registry, image }
    }

    fn repository(&self) -> Repository {
        repository(&self.registry.host())
    }

    fn pinned(&self) -> Pinned {
        self.reference("one").pin(self.image)
    }

    fn reference(&self, tag: &str) -> Reference {
        Reference::parse(&format!("{}/{REPO}:{tag}", self.registry.host())).unwrap()
    }

    /// The requests, without the registry's own preparation.
    fn lines(&self) -> Vec<String> {
        self.registry.requests().iter().map(|r| r.line()).collect()
    }
}

fn repository(host: &str) -> Repository {
    Repository::parse(&format!("{host}/{REPO}")).unwrap()
}

fn put_image(registry: &Registry) -> Digest {
    let config = registry.put_blob(REPO, "{}");
    let image = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [],
    });
    registry.put_manifest(REPO, media_type::IMAGE, image.to_string(), Some("one"))
}

/// A manifest that may be evidence, with or without a subject.
fn put_evidence(
    registry: &Registry,
    subject: Option<Digest>,
    number: usize,
    tag: Option<&str>,
) -> Digest {
    let empty = registry.put_blob(REPO, "{}");
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": BUNDLE,
        "config": {"mediaType": OCI_EMPTY, "digest": empty, "size": 2},
        "layers": [],
        "annotations": {"number": number.to_string()},
    });
    if let Some(subject) = subject {
        manifest["subject"] = json!({"mediaType": media_type::IMAGE, "digest": subject, "size": 1});
    }
    registry.put_manifest(REPO, media_type::IMAGE, manifest.to_string(), tag)
}

/// An index under a tag, whose entries need not be there.
fn put_index(registry: &Registry, entries: &[Digest], tag: &str) -> Digest {
    let entries: Vec<_> = entries
        .iter()
        .map(|digest| {
            // What cosign before 3.1 wrote: the wrong artifact type.
            json!({"mediaType": media_type::IMAGE, "digest": digest, "size": 1, "artifactType": OCI_EMPTY})
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
    registry.put_manifest(REPO, media_type::INDEX, index.to_string(), Some(tag))
}

/// A transport that does not wait long.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.connect_timeout = Duration::from_secs(2);
    settings.read_timeout = Duration::from_secs(4);
    settings.pause = Duration::from_millis(20);
    settings
}

fn source() -> Source {
    source_with(settings(), Keyring::default(), RemoteSettings::default())
}

fn source_with(settings: Settings, keyring: Keyring, remote: RemoteSettings) -> Source {
    let transport = Transport::new(settings).unwrap();
    Source::Remote(Remote::new(transport, keyring, remote, Limits::default()))
}

/// A keyring with one name and password for a host.
pub(crate) fn keyring(host: &str, user: &str, password: &str) -> Keyring {
    let config = json!({"auths": {host: {"username": user, "password": password}}});
    let bytes = config.to_string();
    Keyring::from_docker_config("config.json", bytes.as_bytes(), Helpers::Run).unwrap()
}
