//! Files that flags name, read up to a bound or written whole.

use std::fs::File;
#[cfg(unix)]
use std::fs::Permissions;
use std::io;
use std::io::Read;
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cli::UsageError;
use crate::cli::error::ARGUMENT;
use crate::cli::error::Access;

/// Reads a file that a flag names. One that is larger than such a file can be is refused.
pub(super) fn read_file(
    flag: &'static str,
    path: &Path,
    limit: usize,
) -> Result<Vec<u8>, UsageError> {
    let bytes = read_start(flag, path, limit)?;
    if bytes.len() > limit {
        return Err(UsageError::FileSize {
            flag,
            path: show(path),
            limit,
        });
    }
    Ok(bytes)
}

/// Reads a file that a flag names, or stdin where that is `-`. What is larger than such a file can be
/// is refused.
pub(super) fn read_file_or_stdin(
    flag: &'static str,
    path: &Path,
    limit: usize,
) -> Result<Vec<u8>, UsageError> {
    if path != Path::new("-") {
        return read_file(flag, path, limit);
    }
    let bytes = take(io::stdin().lock(), limit).map_err(|source| UsageError::File {
        flag,
        path: show(path),
        to: Access::Read,
        source,
    })?;
    if bytes.len() > limit {
        let path = show(path);
        return Err(UsageError::FileSize { flag, path, limit });
    }
    Ok(bytes)
}

/// Reads a file that a flag names, or one byte more than `limit` of it.
pub(super) fn read_start(
    flag: &'static str,
    path: &Path,
    limit: usize,
) -> Result<Vec<u8>, UsageError> {
    if path == Path::new("-") {
        return Err(UsageError::Stdin { flag });
    }
    read_bounded(path, limit).map_err(|source| UsageError::File {
        flag,
        path: show(path),
        to: Access::Read,
        source,
    })
}

/// The bytes of a file, or one more than `limit` of them.
pub(super) fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    take(File::open(path)?, limit)
}

/// What a reader gives, or one byte more than `limit`.
pub(super) fn take(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A path for people.
pub(super) fn show(path: &Path) -> String {
    crate::model::printable(&path.to_string_lossy())
}

/// Writes a file that a flag names, whole or not at all: beside its place, and renamed into it.
pub(super) fn write_whole(flag: &'static str, path: &Path, bytes: &[u8]) -> Result<(), UsageError> {
    let write = || {
        // The file that a link leads to is written, and the link stays.
        let place = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            place => place?,
        };
        let directory = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut options = tempfile::Builder::new();
        // As any file of this user is, not as secret as a temporary one.
        #[cfg(unix)]
        options.permissions(Permissions::from_mode(0o666));
        let mut file = options.tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&place).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| UsageError::File {
        flag,
        path: show(path),
        to: Access::Write,
        source,
    })
}

/// Refuses an output that is one of the other files, by whatever path or link.
pub(super) fn keep_apart(
    flag: &'static str,
    output: &Path,
    others: &[&Path],
) -> Result<(), UsageError> {
    if others.iter().any(|other| is_same(output, other)) {
        return Err(UsageError::Value {
            flag,
            value: show(output),
            expected: match flag {
                ARGUMENT => {
                    "the bundle would have the same file as something else that is named (name each \
                     file once, or another place with `--bundle`)"
                }
                _ => "another flag names the same file (name another)",
            },
        });
    }
    Ok(())
}

/// Whether two paths lead to one file, or would if it were there.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(parent.join(path.file_name()?))
        })
    };
    let same_place = match (place(one), place(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    };
    same_place || is_linked(one, other)
}

/// Whether two names are of one file.
#[cfg(unix)]
fn is_linked(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| {
        let found = path.metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    id(one).is_some_and(|one| Some(one) == id(other))
}

/// Links cannot be told apart here.
#[cfg(not(unix))]
const fn is_linked(_: &Path, _: &Path) -> bool {
    false
}

/// Refuses a place that no whole file can be put to: a directory, a device, a pipe.
pub(super) fn check_place(flag: &'static str, path: &Path) -> Result<(), UsageError> {
    if path == Path::new("-") {
        return Err(UsageError::Value {
            flag,
            value: show(path),
            expected: "stdout gets what there is to say (name a file)",
        });
    }
    let wrong = |source| UsageError::File {
        flag,
        path: show(path),
        to: Access::Write,
        source,
    };
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_dir() => Err(wrong(io::ErrorKind::IsADirectory.into())),
        Ok(_) => Err(UsageError::Value {
            flag,
            value: show(path),
            expected: "it is no regular file (name one, or a new one)",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            match parent.is_none_or(Path::is_dir) {
                true => Ok(()),
                false => Err(wrong(error)),
            }
        }
        Err(error) => Err(wrong(error)),
    }
}
