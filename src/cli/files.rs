//! Files that flags name, read up to a bound.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use crate::cli::UsageError;

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
