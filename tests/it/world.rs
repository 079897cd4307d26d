//! Builders of what tests read from disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scgate::model::Digest;
use scgate::sandbox::registry::Registry;
use serde_json::Value;
use serde_json::json;

/// Writes manifests of a repository, with all that they refer to, as an OCI layout: those with a
/// name under that name.
pub(crate) fn write_layout(
    registry: &Registry,
    repository: &str,
    manifests: &[(Digest, Option<&str>)],
    to: &Path,
) {
    fs::create_dir_all(to.join("blobs/sha256")).unwrap();
    fs::write(
        to.join("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )
    .unwrap();
    let mut entries = Vec::new();
    let mut written = BTreeSet::new();
    for (digest, name) in manifests {
        let (media_type, bytes) = registry.manifest(repository, *digest).unwrap();
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        if let Some(name) = name {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        entries.push(entry);
        write_manifest(registry, repository, *digest, to, &mut written);
    }
    let index = json!({"schemaVersion": 2, "manifests": entries});
    fs::write(to.join("index.json"), index.to_string()).unwrap();
}

fn write_manifest(
    registry: &Registry,
    repository: &str,
    digest: Digest,
    to: &Path,
    written: &mut BTreeSet<Digest>,
) {
    if !written.insert(digest) {
        return;
    }
    let (_, bytes) = registry.manifest(repository, digest).unwrap();
    write_blob(to, digest, &bytes);
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let list = |member: &str| manifest[member].as_array().cloned().unwrap_or_default();
    for entry in list("manifests") {
        write_manifest(registry, repository, digest_of(&entry), to, written);
    }
    let config = manifest.get("config").cloned();
    for blob in list("layers").iter().chain(&config) {
        let digest = digest_of(blob);
        write_blob(to, digest, &registry.blob(repository, digest).unwrap());
    }
}

fn digest_of(descriptor: &Value) -> Digest {
    Digest::parse(descriptor["digest"].as_str().unwrap()).unwrap()
}

fn write_blob(to: &Path, digest: Digest, bytes: &[u8]) {
    fs::write(to.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
}
