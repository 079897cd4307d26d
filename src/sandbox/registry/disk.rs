//! A registry's directory: contents by digest, and one file per repository that says what it holds.
//!
//! ```text
//! lock                                      held while a registry uses the directory
//! blobs/<algorithm>/<hex>                   the bytes of blobs and manifests
//! repositories/<name>/_repository.json      blobs, manifests in order of arrival, tags
//! uploads/scgate-…                          what is under way; swept at the start
//! ```
//!
//! Every file is written beside its place and then renamed, so that a process that is killed leaves
//! either the old file or the new one. Nothing is flushed to the device: after a power cut a content
//! may be short, which its digest tells.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use super::content::Content;
use crate::model::Digest;
use crate::sandbox::server::ServerError;

/// The only format so far.
const VERSION: u32 = 1;

/// What every file under way is called; nothing else in the directory is ever swept.
const UNDER_WAY: &str = "scgate-";

/// The directory of a running registry.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// How many files were under way, so that each has a name of its own.
    count: usize,
    /// Held for as long as the registry runs.
    _lock: File,
}

/// A repository as it is written down.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SavedRepo {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) blobs: Vec<Digest>,
    pub(super) manifests: Vec<SavedManifest>,
    pub(super) tags: BTreeMap<String, Digest>,
}

impl SavedRepo {
    pub(super) fn new(name: &str) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            blobs: Vec::new(),
            manifests: Vec::new(),
            tags: BTreeMap::new(),
        }
    }
}

/// A manifest as it is written down, with what a listing of referrers says about it: a damaged
/// content does not make it vanish from there.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedManifest {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) size: usize,
    pub(super) place: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) config_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<Value>,
}

/// A file or directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("use `{}`", path.display())]
pub(super) struct DiskError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl From<DiskError> for ServerError {
    fn from(error: DiskError) -> Self {
        Self::Storage {
            path: error.path,
            source: error.source,
        }
    }
}

/// Names the file or directory in the error.
fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, DiskError> {
    result.map_err(|source| DiskError {
        path: path.to_owned(),
        source,
    })
}

impl Disk {
    /// Takes a directory, which is made if it is not there, and reads the repositories in it.
    pub(super) fn open(root: &Path) -> Result<(Self, Vec<SavedRepo>), DiskError> {
        at(root, fs::create_dir_all(root))?;
        let path = root.join("lock");
        let lock = at(&path, File::create(&path))?;
        at(&path, lock.try_lock().map_err(io::Error::from))?;
        for folder in ["blobs/sha256", "blobs/sha512", "repositories", "uploads"] {
            let folder = root.join(folder);
            at(&folder, fs::create_dir_all(&folder))?;
        }
        sweep(&root.join("uploads"))?;
        let mut repos = Vec::new();
        collect(&root.join("repositories"), &mut repos)?;
        let disk = Self {
            root: root.to_owned(),
            count: 0,
            _lock: lock,
        };
        Ok((disk, repos))
    }

    /// The content of a digest, whether or not it is there.
    pub(super) fn content(&self, digest: Digest) -> Content {
        let path = self.root.join("blobs").join(digest.algorithm().name());
        Content::File {
            path: path.join(digest.hex()),
            digest,
        }
    }

    /// A file for what is under way.
    pub(super) fn under_way(&mut self) -> PathBuf {
        self.count += 1;
        let name = format!("{UNDER_WAY}{}", self.count);
        self.root.join("uploads").join(name)
    }

    /// Keeps bytes under their digest, in the place of whatever lay there.
    pub(super) fn keep(&mut self, digest: Digest, bytes: &[u8]) -> Result<Content, DiskError> {
        let path = self.under_way();
        at(&path, fs::write(&path, bytes))?;
        self.adopt(&path, digest)
    }

    /// Keeps a file, which was found to have this digest.
    pub(super) fn adopt(&self, from: &Path, digest: Digest) -> Result<Content, DiskError> {
        let content = self.content(digest);
        if let Content::File { path, .. } = &content {
            at(path, fs::rename(from, path))?;
        }
        Ok(content)
    }

    /// Removes the file of a content that nobody refers to any more.
    pub(super) fn forget(&self, digest: Digest) {
        if let Content::File { path, .. } = self.content(digest) {
            // A file that stays costs room and nothing else.
            drop(fs::remove_file(path));
        }
    }

    /// Removes what is written down about a repository.
    pub(super) fn forget_repo(&self, name: &str) {
        drop(fs::remove_file(self.folder(name).join("_repository.json")));
    }

    fn folder(&self, name: &str) -> PathBuf {
        let mut folder = self.root.join("repositories");
        folder.extend(name.split('/').map(folder_name));
        folder
    }

    /// Writes a repository down.
    pub(super) fn save(&mut self, repo: &SavedRepo) -> Result<(), DiskError> {
        let folder = self.folder(&repo.name);
        let path = folder.join("_repository.json");
        let temporary = self.under_way();
        let text = serde_json::to_vec_pretty(repo).map_err(io::Error::from);
        let text = at(&path, text)?;
        at(&folder, fs::create_dir_all(&folder))?;
        at(&temporary, fs::write(&temporary, text))?;
        at(&path, fs::rename(&temporary, &path))
    }
}

/// Appends to a file under way.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let file = File::options().create(true).append(true).open(path);
    at(path, file.and_then(|mut file| file.write_all(bytes)))
}

/// Whether a file under way has this digest.
pub(super) fn matches(path: &Path, digest: Digest) -> Result<bool, DiskError> {
    at(path, super::content::file_matches(path, digest))
}

/// Removes what an earlier registry had under way.
fn sweep(folder: &Path) -> Result<(), DiskError> {
    for entry in at(folder, fs::read_dir(folder))? {
        let entry = at(folder, entry)?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(UNDER_WAY);
        if is_ours && entry.path().is_file() {
            at(&entry.path(), fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// Reads the repositories in a folder and below it.
fn collect(folder: &Path, into: &mut Vec<SavedRepo>) -> Result<(), DiskError> {
    for entry in at(folder, fs::read_dir(folder))? {
        let path = at(folder, entry)?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.ends_with("_repository.json") {
            let text = at(&path, fs::read(&path))?;
            let repo = serde_json::from_slice(&text).map_err(io::Error::from);
            let repo: SavedRepo = at(&path, repo)?;
            if repo.version != VERSION {
                let reason = format!("its version is {} and not {VERSION}", repo.version);
                return at(
                    &path,
                    Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
                );
            }
            into.push(repo);
        }
    }
    Ok(())
}

/// A component of a repository's name as a folder. Valid names stay as they are and never begin
/// with `_` or `.`; a test may use others.
fn folder_name(component: &str) -> String {
    if component.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::new();
    for (place, byte) in component.bytes().enumerate() {
        let inner = place > 0 && matches!(byte, b'.' | b'_' | b'-');
        if inner || byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_folder() {
        for (name, expected) in [
            ("app", "app"),
            ("a.b_c-d", "a.b_c-d"),
            ("..", "%2E."),
            (".", "%2E"),
            ("", "%"),
            ("_repository.json", "%5Frepository.json"),
            ("A\\b", "%41%5Cb"),
        ] {
            assert_eq!(folder_name(name), expected);
        }
    }
}
