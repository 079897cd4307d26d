//! An OCI image layout inside a tar archive, read whole and put into a registry over plain HTTP.
//!
//! `crane push` of a layout would lose the tags of signatures and everything that only a referrers
//! listing names, so this one puts what is there, as it is: blobs, then manifests from the leaves
//! up, then tags. It trusts its input (a checked-in sample) and panics on anything else.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::http;

const BLOCK: usize = 512;
const TAG: &str = "/annotations/org.opencontainers.image.ref.name";

/// The files of one layout archive by their path inside it.
pub(crate) struct Layout {
    files: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// Reads a plain (ustar) archive.
    pub(crate) fn read(path: &Path) -> Self {
        let archive = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut files = BTreeMap::new();
        let mut rest = archive.as_slice();
        while let Some((header, tail)) = rest.split_at_checked(BLOCK) {
            let name = text(header, 0, 100);
            if name.is_empty() {
                break;
            }
            let size = usize::from_str_radix(text(header, 124, 12).trim(), 8)
                .unwrap_or_else(|error| panic!("{}: size of {name}: {error}", path.display()));
            let (body, _) = tail
                .split_at_checked(size)
                .unwrap_or_else(|| panic!("{}: {name} is cut short", path.display()));
            files.insert(name.to_owned(), body.to_vec());
            rest = tail.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
        }
        Self { files }
    }

    /// Puts everything into `repository` of the registry at `address`.
    pub(crate) fn serve(&self, address: &str, repository: &str) {
        let index = parse(
            self.files
                .get("index.json")
                .expect("a layout has an index.json"),
        );
        let mut manifests = Vec::new();
        for descriptor in children(&index) {
            self.collect(descriptor, &mut manifests);
        }
        let known: BTreeSet<&str> = manifests
            .iter()
            .map(|(digest, _)| digest.as_str())
            .collect();
        for (path, bytes) in &self.files {
            let Some(hex) = path.strip_prefix("blobs/sha256/") else {
                continue;
            };
            let digest = format!("sha256:{hex}");
            if !known.contains(digest.as_str()) {
                let to = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
                put(address, "POST", &to, "application/octet-stream", bytes);
            }
        }
        for (digest, media_type) in &manifests {
            let to = format!("/v2/{repository}/manifests/{digest}");
            put(address, "PUT", &to, media_type, self.blob(digest));
        }
        for descriptor in children(&index) {
            let Some(tag) = descriptor.pointer(TAG).and_then(Value::as_str) else {
                continue;
            };
            let (digest, media_type) = named(descriptor);
            let to = format!("/v2/{repository}/manifests/{tag}");
            put(address, "PUT", &to, media_type, self.blob(digest));
        }
    }

    /// A manifest after the manifests it lists, because a registry may refuse an index that comes
    /// before its children.
    fn collect(&self, descriptor: &Value, into: &mut Vec<(String, String)>) {
        let (digest, media_type) = named(descriptor);
        for child in children(&parse(self.blob(digest))) {
            self.collect(child, into);
        }
        into.push((digest.to_owned(), media_type.to_owned()));
    }

    fn blob(&self, digest: &str) -> &[u8] {
        self.files
            .get(&digest.replace("sha256:", "blobs/sha256/"))
            .unwrap_or_else(|| panic!("the layout lacks {digest}"))
    }
}

fn put(address: &str, method: &str, path: &str, media_type: &str, body: &[u8]) {
    let status = http::send(address, method, path, media_type, body);
    assert_eq!(status, 201, "{method} {path}");
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("a manifest is JSON")
}

fn children(index: &Value) -> impl Iterator<Item = &Value> {
    index
        .get("manifests")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn named(descriptor: &Value) -> (&str, &str) {
    let field = |name| descriptor.get(name).and_then(Value::as_str);
    field("digest")
        .zip(field("mediaType"))
        .expect("a descriptor has a digest and a media type")
}

/// A NUL-terminated field of a tar header.
fn text(header: &[u8], from: usize, length: usize) -> &str {
    let field = header
        .iter()
        .skip(from)
        .take(length)
        .position(|byte| *byte == 0);
    header
        .get(from..from + field.unwrap_or(length))
        .and_then(|bytes| str::from_utf8(bytes).ok())
        .expect("names and sizes in a tar header are ASCII")
}
