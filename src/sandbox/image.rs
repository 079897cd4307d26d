//! A small image for two platforms, as buildx makes it, with the same digests on every machine.

use serde_json::Value;
use serde_json::json;

use crate::model::Digest;
use crate::model::media_type;

/// What an attestation manifest of BuildKit says about its kind.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The manifest that an attestation manifest is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// The platforms of the image.
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// An image to be pushed: an index over two platforms and an attestation manifest for each, with
/// an SBOM and a provenance statement, which nobody signed.
#[derive(Clone, Debug)]
pub struct Image {
    /// The blobs, in any order.
    pub blobs: Vec<Vec<u8>>,
    /// Media type and bytes of the manifests, each after what it refers to. The index is the last.
    pub manifests: Vec<(String, Vec<u8>)>,
    /// The digest of the index.
    pub index: Digest,
    /// The digest of each platform's manifest, amd64 first.
    pub platforms: Vec<Digest>,
}

impl Image {
    /// The image whose only file says `text`. The same text gives the same digests.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut image = Self {
            blobs: Vec::new(),
            manifests: Vec::new(),
            index: Digest::sha256(b""),
            platforms: Vec::new(),
        };
        let mut entries = Vec::new();
        let mut attestations = Vec::new();
        for platform in PLATFORMS {
            let layer = tar("hello", format!("{text} on {platform}\n").as_bytes());
            let config = json!({
                "architecture": platform,
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": { "Cmd": ["/hello"] },
                "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&layer)] },
            });
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": media_type::IMAGE,
                "config": image.blob("application/vnd.oci.image.config.v1+json", &bytes(&config)),
                "layers": [image.blob("application/vnd.oci.image.layer.v1.tar", &layer)],
            });
            let mut entry = image.manifest(media_type::IMAGE, &manifest);
            let digest = Digest::sha256(&bytes(&manifest));
            image.platforms.push(digest);
            set(
                &mut entry,
                "platform",
                json!({ "architecture": platform, "os": "linux" }),
            );
            entries.push(entry);
            attestations.push(image.attestation(digest, text));
        }
        entries.extend(attestations);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": entries,
        });
        image.manifest(media_type::INDEX, &index);
        image.index = Digest::sha256(&bytes(&index));
        image
    }

    /// The entry of an attestation manifest about a platform's manifest.
    fn attestation(&mut self, subject: Digest, text: &str) -> Value {
        let statement = |predicate_type: &str, predicate: Value| {
            json!({
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": predicate_type,
                "subject": [{ "name": "pkg:docker/sandbox", "digest": { "sha256": subject.hex() } }],
                "predicate": predicate,
            })
        };
        let sbom = statement(
            "https://spdx.dev/Document",
            json!({
                "spdxVersion": "SPDX-2.3",
                "SPDXID": "SPDXRef-DOCUMENT",
                "dataLicense": "CC0-1.0",
                "name": text,
                "documentNamespace": format!("https://sandbox.test/{}", subject.hex()),
                "creationInfo": {
                    "created": "2026-01-01T00:00:00Z",
                    "creators": ["Tool: scgate-sandbox"],
                },
                "packages": [],
            }),
        );
        let provenance = statement(
            "https://slsa.dev/provenance/v0.2",
            json!({
                "builder": { "id": "https://sandbox.test/builder" },
                "buildType": "https://mobyproject.org/buildkit@v1",
                "invocation": { "configSource": {}, "parameters": {}, "environment": {} },
            }),
        );
        let config = json!({
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": [Digest::sha256(&bytes(&sbom)), Digest::sha256(&bytes(&provenance))],
            },
        });
        let layers: Vec<_> = [&sbom, &provenance]
            .into_iter()
            .map(|statement| {
                let mut layer = self.blob(media_type::IN_TOTO, &bytes(statement));
                let kind = statement.get("predicateType").cloned();
                set(
                    &mut layer,
                    "annotations",
                    json!({ "in-toto.io/predicate-type": kind }),
                );
                layer
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE,
            "config": self.blob("application/vnd.oci.image.config.v1+json", &bytes(&config)),
            "layers": layers,
        });
        let mut entry = self.manifest(media_type::IMAGE, &manifest);
        set(
            &mut entry,
            "annotations",
            json!({ REFERENCE_DIGEST: subject, REFERENCE_TYPE: "attestation-manifest" }),
        );
        let unknown = json!({ "architecture": "unknown", "os": "unknown" });
        set(&mut entry, "platform", unknown);
        entry
    }

    /// Keeps a blob and gives back its descriptor.
    fn blob(&mut self, media_type: &str, content: &[u8]) -> Value {
        self.blobs.push(content.to_vec());
        descriptor(media_type, content)
    }

    /// Keeps a manifest and gives back its descriptor.
    fn manifest(&mut self, media_type: &str, manifest: &Value) -> Value {
        let content = bytes(manifest);
        let descriptor = descriptor(media_type, &content);
        self.manifests.push((media_type.to_owned(), content));
        descriptor
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::sha256(content),
        "size": content.len(),
    })
}

fn set(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

/// A tar archive (POSIX ustar) of one file that anybody may run.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(512);
    let mut field = |text: &str, width: usize| {
        let end = header.len() + width;
        header.extend(text.bytes().take(width));
        header.resize(end, 0);
    };
    field(name, 100);
    field("0000755", 8);
    field("0000000", 8);
    field("0000000", 8);
    field(&format!("{:011o}", content.len()), 12);
    field("00000000000", 12);
    // The check sum is computed over itself as blanks.
    field("        ", 8);
    field("0", 1);
    field("", 100);
    field("ustar", 6);
    field("00", 2);
    header.resize(512, 0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header.splice(148..156, sum.bytes());
    let mut archive = header;
    archive.extend(content);
    let padded = archive.len().next_multiple_of(512) + 1024;
    archive.resize(padded, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_same_everywhere() {
        let image = Image::new("hello");
        assert_eq!(image.index, Image::new("hello").index);
        assert_ne!(image.index, Image::new("other").index);
        assert_eq!(image.manifests.len(), 5);
        assert_eq!(image.platforms.len(), 2);
    }
}
