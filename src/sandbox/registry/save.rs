//! An image of the registry with all its evidence, as an OCI layout on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::Registry;
use super::RegistryError;
use crate::model::Digest;

/// The annotation that names an entry (OCI image specification, "Pre-Defined Annotation Keys").
const NAME: &str = "org.opencontainers.image.ref.name";

/// Writes the image, everything in it, what refers to any of that, and what lies under a tag that is
/// made of one of those digests.
pub(super) fn save(
    registry: &Registry,
    repo: &str,
    image: Digest,
    dir: &Path,
) -> Result<(), RegistryError> {
    let mut layout = Layout {
        registry,
        repo,
        dir,
        tags: registry.tags(repo),
        entries: Vec::new(),
        written: BTreeSet::new(),
    };
    layout.entry(image, None)?;
    let index = json!({ "schemaVersion": 2, "manifests": layout.entries });
    write(&dir.join("index.json"), index.to_string().as_bytes())?;
    write(
        &dir.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" })
            .to_string()
            .as_bytes(),
    )
}

/// A layout on its way to the disk.
struct Layout<'a> {
    registry: &'a Registry,
    repo: &'a str,
    dir: &'a Path,
    tags: Vec<String>,
    entries: Vec<Value>,
    written: BTreeSet<Digest>,
}

impl Layout<'_> {
    /// Writes a manifest as an entry of `index.json`.
    fn entry(&mut self, digest: Digest, tag: Option<&str>) -> Result<(), RegistryError> {
        let found = self.registry.manifest(self.repo, digest);
        let (media_type, bytes) = found.ok_or(RegistryError::Absent { digest })?;
        let mut entry = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(members) = entry.as_object_mut() {
            // What refers to something is told from an image by it.
            if let (Some(_), Some(kind)) = (manifest.get("subject"), kind(&manifest)) {
                members.insert("artifactType".to_owned(), kind.clone());
            }
            if let Some(tag) = tag {
                members.insert("annotations".to_owned(), json!({ NAME: tag }));
            }
        }
        self.entries.push(entry);
        self.manifest(digest)
    }

    fn manifest(&mut self, digest: Digest) -> Result<(), RegistryError> {
        if !self.written.insert(digest) {
            return Ok(());
        }
        let found = self.registry.manifest(self.repo, digest);
        let (_, bytes) = found.ok_or(RegistryError::Absent { digest })?;
        self.blob(digest, &bytes)?;
        let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        for digest in digests(&manifest, "manifests") {
            self.manifest(digest)?;
        }
        let config = manifest.get("config").and_then(digest_of);
        for digest in digests(&manifest, "layers").into_iter().chain(config) {
            let found = self.registry.blob(self.repo, digest);
            let bytes = found.ok_or(RegistryError::Absent { digest })?;
            self.blob(digest, &bytes)?;
        }
        for referrer in self.registry.referrers(self.repo, digest) {
            self.entry(referrer, None)?;
        }
        let prefix = format!("{}-{}", digest.algorithm().name(), digest.hex());
        let named = |tag: &&String| tag.starts_with(&prefix);
        for tag in self.tags.iter().filter(named).cloned().collect::<Vec<_>>() {
            if let Some(digest) = self.registry.resolve(self.repo, &tag) {
                self.entry(digest, Some(&tag))?;
            }
        }
        Ok(())
    }

    fn blob(&self, digest: Digest, bytes: &[u8]) -> Result<(), RegistryError> {
        let blobs = self.dir.join("blobs").join(digest.algorithm().name());
        fs::create_dir_all(&blobs).map_err(|source| RegistryError::Unwritable {
            path: blobs.clone(),
            source,
        })?;
        write(&blobs.join(digest.hex()), bytes)
    }
}

/// What kind of artifact a manifest is (OCI distribution specification, "Listing Referrers").
fn kind(manifest: &Value) -> Option<&Value> {
    let config = || manifest.get("config")?.get("mediaType");
    manifest.get("artifactType").or_else(config)
}

fn digests(manifest: &Value, member: &str) -> Vec<Digest> {
    let list = manifest.get(member).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(digest_of).collect()
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    let text = descriptor.get("digest")?.as_str()?;
    Digest::parse(text).ok()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    fs::write(path, bytes).map_err(|source| RegistryError::Unwritable {
        path: path.to_owned(),
        source,
    })
}
