//! Uploads that are under way: bounded in number and in size.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::disk;
use super::disk::DiskError;

/// How many uploads may be under way. Clients leave some behind where a mount turned into an upload
/// that they did not want; the one that rested longest makes room, as where a registry purges.
const UPLOADS: usize = 256;

/// All uploads that are under way.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: BTreeMap<String, Upload>,
    /// Counts what happens, which names uploads and tells which one rested longest.
    count: usize,
}

/// An upload that is under way.
#[derive(Debug)]
pub(super) struct Upload {
    repo: String,
    length: usize,
    touched: usize,
    /// Whether the last piece was shorter than a registry with a minimum takes in the middle.
    pub(super) is_short: bool,
    partial: Partial,
}

/// What arrived so far.
#[derive(Debug)]
pub(super) enum Partial {
    /// In a file, which need not be there before the first byte. It goes when this is dropped.
    File(PathBuf),
    Memory(Vec<u8>),
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Self::File(path) = self {
            // It is not there any more when it was adopted, and not yet when it is empty.
            drop(fs::remove_file(path));
        }
    }
}

impl Uploads {
    /// Begins an upload and names it.
    pub(super) fn begin(&mut self, repo: &str, file: Option<PathBuf>) -> String {
        if self.open.len() >= UPLOADS {
            let oldest = self.open.iter().min_by_key(|(_, upload)| upload.touched);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.open.remove(&id);
            }
        }
        self.count += 1;
        let id = format!("upload-{}", self.count);
        let upload = Upload {
            repo: repo.to_owned(),
            length: 0,
            touched: self.count,
            is_short: false,
            partial: file.map_or_else(|| Partial::Memory(Vec::new()), Partial::File),
        };
        self.open.insert(id.clone(), upload);
        id
    }

    /// An upload to this repository.
    pub(super) fn find(&mut self, repo: &str, id: &str) -> Option<&mut Upload> {
        self.count += 1;
        let upload = self.open.get_mut(id).filter(|upload| upload.repo == repo)?;
        upload.touched = self.count;
        Some(upload)
    }

    /// Ends all uploads. None that begins later has the name of one of them.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Ends an upload.
    pub(super) fn end(&mut self, id: &str) -> Option<Partial> {
        self.open.remove(id).map(|upload| upload.partial)
    }
}

impl Upload {
    /// How many bytes arrived.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Adds a piece.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        match &mut self.partial {
            Partial::File(path) => disk::append(path, bytes)?,
            Partial::Memory(so_far) => so_far.extend_from_slice(bytes),
        }
        self.length += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upload_that_rested_longest_makes_room() {
        let mut uploads = Uploads::default();
        let first = uploads.begin("a", None);
        let second = uploads.begin("a", None);
        for _ in 2..UPLOADS {
            uploads.begin("a", None);
        }
        assert!(uploads.find("a", &first).is_some());
        assert!(uploads.find("b", &first).is_none(), "another repository");
        uploads.begin("a", None);
        assert!(uploads.find("a", &first).is_some());
        assert!(uploads.find("a", &second).is_none());
        assert_eq!(uploads.open.len(), UPLOADS);
    }
}
