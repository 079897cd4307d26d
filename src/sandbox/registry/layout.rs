//! Filling a registry from an OCI layout: a directory, or a tar archive of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;

use super::RegistryError;
use super::disk::DiskError;
use super::store::Shape;
use super::store::Store;
use crate::model::Digest;
use crate::model::media_type;

/// An entry of the `index.json` that was loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its name, which is now a tag.
    pub tag: Option<String>,
}

/// The files of a layout by their path in it.
pub(super) type Files = BTreeMap<String, Bytes>;

/// Reads the layout in a directory.
pub(super) fn directory(dir: &Path) -> Result<Files, RegistryError> {
    let mut files = Files::new();
    files.insert("index.json".to_owned(), read(&dir.join("index.json"))?);
    for algorithm in ["sha256", "sha512"] {
        let blobs = dir.join("blobs").join(algorithm);
        if !blobs.is_dir() {
            continue;
        }
        let unreadable = |source| RegistryError::Unreadable {
            path: blobs.clone(),
            source,
        };
        for entry in fs::read_dir(&blobs).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                files.insert(format!("blobs/{algorithm}/{name}"), read(&path)?);
            }
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Bytes, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.into()),
        Err(source) => Err(RegistryError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Length of a block of a tar archive (POSIX.1-2008, "ustar Interchange Format").
const BLOCK: usize = 512;

/// Reads the layout in a tar archive. Only plain ustar members are read, which is enough for the
/// short names of a layout; members of other kinds are passed over.
pub(super) fn archive(tar: &[u8]) -> Result<Files, RegistryError> {
    let mut files = Files::new();
    let mut offset = 0;
    while let Some(header) = tar.get(offset..offset + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let wrong = |reason| RegistryError::Archive { reason, offset };
        let size = octal(header.get(124..136)).ok_or_else(|| wrong("no size"))?;
        let start = offset + BLOCK;
        let content = tar
            .get(start..start.saturating_add(size))
            .ok_or_else(|| wrong("the archive ends in a member"))?;
        if matches!(header.get(156), Some(b'0' | 0)) {
            let name = text(header.get(..100)).ok_or_else(|| wrong("no name"))?;
            let name = name.trim_start_matches("./").to_owned();
            files.insert(name, Bytes::copy_from_slice(content));
        }
        offset = start + size.div_ceil(BLOCK) * BLOCK;
    }
    Ok(files)
}

/// The text of a field up to its first NUL.
fn text(field: Option<&[u8]>) -> Option<&str> {
    let field = field?.split(|byte| *byte == 0).next()?;
    core::str::from_utf8(field).ok()
}

fn octal(field: Option<&[u8]>) -> Option<usize> {
    usize::from_str_radix(text(field)?.trim(), 8).ok()
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Stores all blobs, those of them that are manifests also as manifests, and the names as tags.
///
/// Bytes go under the digest that their file name says; a layout may lie.
pub(super) fn load(
    store: &mut Store,
    repo: &str,
    files: &Files,
) -> Result<Vec<Loaded>, RegistryError> {
    let missing = |member: &str| RegistryError::Missing {
        member: member.to_owned(),
    };
    let index = files
        .get("index.json")
        .ok_or_else(|| missing("index.json"))?;
    let index: Index = serde_json::from_slice(index).map_err(RegistryError::Index)?;

    // What a descriptor says counts; a manifest that none leads to is known by its own member.
    let mut types = BTreeMap::new();
    for entry in &index.manifests {
        types.insert(entry.digest, entry.media_type.clone());
    }
    let mut blobs = Vec::new();
    for (path, bytes) in files {
        let digest = path
            .strip_prefix("blobs/")
            .map(|name| name.replacen('/', ":", 1))
            .and_then(|name| Digest::parse(&name).ok());
        let Some(digest) = digest else {
            continue;
        };
        blobs.push((digest, bytes));
        let facts: Shape = serde_json::from_slice(bytes).unwrap_or_default();
        for link in facts.manifests.iter().flatten() {
            if let Some(digest) = link.digest() {
                types.entry(digest).or_insert(link.media_type.clone());
            }
        }
        let own = facts.media_type.unwrap_or_default();
        if media_type::is_image(&own) || media_type::is_index(&own) {
            types.entry(digest).or_insert(own);
        }
    }
    let unwritable = |error: DiskError| RegistryError::Unwritable {
        path: error.path,
        source: error.source,
    };
    for (digest, bytes) in blobs {
        let bytes = || bytes.clone();
        store.put_blob(repo, digest, bytes()).map_err(unwritable)?;
        if let Some(media_type) = types.get(&digest) {
            store
                .put_manifest(repo, digest, media_type, bytes(), &[])
                .map_err(unwritable)?;
        }
    }

    let mut loaded = Vec::new();
    for entry in index.manifests {
        let tag = entry
            .annotations
            .get("org.opencontainers.image.ref.name")
            .cloned();
        if let Some(tag) = &tag {
            store.tag(repo, tag, entry.digest).map_err(unwritable)?;
        }
        loaded.push(Loaded {
            digest: entry.digest,
            media_type: entry.media_type,
            tag,
        });
    }
    Ok(loaded)
}
