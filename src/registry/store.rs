//! Files of a layout, in a directory or in an archive, read within bounds and never through a link;
//! and written, in a directory, whole or not at all.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::registry::LayoutFault;
use crate::registry::archive::Archive;

/// Where a layout's files are.
#[derive(Debug)]
pub(super) enum Store {
    /// A tar archive, read in place.
    Archive(Archive),
    /// A directory.
    Directory(PathBuf),
}

/// A file that was read, or why it was not.
pub(super) enum Content {
    Absent,
    Bytes(Vec<u8>),
    TooLarge,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, LayoutFault> {
        // The root itself may be a link: the operator named it.
        let metadata = fs::metadata(path).map_err(|error| LayoutFault::Io(error.kind()))?;
        if metadata.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        if !metadata.is_file() {
            return Err(LayoutFault::NotAnArchive);
        }
        let file = File::open(path).map_err(|error| LayoutFault::Io(error.kind()))?;
        Archive::index(file, metadata.len()).map(Self::Archive)
    }

    /// The directory, which can be written to.
    pub(super) fn directory(&self) -> Result<&Path, LayoutFault> {
        match self {
            Self::Archive(_) => Err(LayoutFault::Archive),
            Self::Directory(root) => Ok(root),
        }
    }

    /// Reads the file of that name, of at most `cap` bytes. The name has no `.`, `..` or empty
    /// component: callers make it from constants and digests.
    pub(super) fn read(&self, name: &str, cap: usize) -> Result<Content, LayoutFault> {
        match self {
            Self::Archive(archive) => archive.read(name, cap),
            Self::Directory(root) => read_below(root, name, cap),
        }
    }

    /// Writes the file of that name whole: nobody sees half of it. Directories on the way are made;
    /// links are not followed.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), LayoutFault> {
        let io = |error: std::io::Error| LayoutFault::Io(error.kind());
        let mut path = self.directory()?.to_owned();
        let (above, file) = name.rsplit_once('/').unwrap_or(("", name));
        for component in above.split('/').filter(|component| !component.is_empty()) {
            path.push(component);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(io(error));
                }
                Ok(()) | Err(_) => {}
            }
            if !fs::symlink_metadata(&path).map_err(io)?.is_dir() {
                return Err(LayoutFault::NotAFile);
            }
        }
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any file that is made, less what the user's mask takes away.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut new = builder.tempfile_in(&path).map_err(io)?;
        new.write_all(bytes).map_err(io)?;
        path.push(file);
        new.persist(&path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// Whether this user may write there: a file is made and taken away, in the directory itself and
    /// where blobs are.
    pub(super) fn probe(&self) -> Result<(), LayoutFault> {
        let io = |error: std::io::Error| LayoutFault::Io(error.kind());
        let root = self.directory()?;
        for path in [
            root.join("blobs/sha256"),
            root.join("blobs"),
            root.to_owned(),
        ] {
            match tempfile::Builder::new().tempfile_in(&path) {
                Ok(file) => file.close().map_err(io)?,
                // What is not there yet is made in what is above it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(error)),
            }
        }
        Ok(())
    }

    /// Whether the archive has Docker's own list of contents.
    pub(super) fn is_docker_archive(&self) -> bool {
        match self {
            Self::Archive(archive) => archive.has("manifest.json"),
            Self::Directory(root) => root.join("manifest.json").is_file(),
        }
    }
}

fn read_below(root: &Path, name: &str, cap: usize) -> Result<Content, LayoutFault> {
    let io = |error: std::io::Error| LayoutFault::Io(error.kind());
    let mut path = root.to_owned();
    let mut seen = None;
    for component in name.split('/') {
        path.push(component);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => return Err(LayoutFault::NotAFile),
            Ok(metadata) => seen = Some(metadata),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Content::Absent);
            }
            Err(error) => return Err(io(error)),
        }
    }
    let Some(seen) = seen.filter(fs::Metadata::is_file) else {
        return Err(LayoutFault::NotAFile);
    };
    let file = File::open(&path).map_err(io)?;
    if !same_file(&seen, &file.metadata().map_err(io)?) {
        return Err(LayoutFault::NotAFile);
    }
    read_at_most(file, cap).map_err(io)
}

/// Whether what was opened is what was looked at: a link put there in between is not followed.
#[cfg(unix)]
fn same_file(seen: &fs::Metadata, opened: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    opened.is_file() && (seen.dev(), seen.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn same_file(_: &fs::Metadata, opened: &fs::Metadata) -> bool {
    opened.is_file()
}

pub(super) fn read_at_most(from: impl Read, cap: usize) -> Result<Content, std::io::Error> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > cap {
        return Ok(Content::TooLarge);
    }
    Ok(Content::Bytes(bytes))
}
