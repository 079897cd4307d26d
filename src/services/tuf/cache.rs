//! What was verified before, in a directory: the floor under versions, and all there is offline.
//!
//! Every file is written beside its place and renamed into it, so that several programs may share
//! the directory. What is read from it is verified like what comes from a mirror.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use sigstore_tuf::MetadataStore;
use sigstore_tuf::TrustedMetadataSet;

use crate::services::tuf::Error;
use crate::services::tuf::mirror::Trouble;
use crate::services::tuf::mirror::is_plain;
use crate::services::tuf::mirror::is_root;
use crate::services::tuf::root;

/// Where versions of the root lie, so that no other role has their names.
const HISTORY: &str = "root_history";

/// The cache of one mirror.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    /// Bytes of a file, whichever.
    limit: u64,
    trouble: Trouble,
}

impl Cache {
    pub(super) const fn new(directory: PathBuf, limit: u64, trouble: Trouble) -> Self {
        Self {
            directory,
            limit,
            trouble,
        }
    }

    /// A metadata file by the name that a mirror has it under.
    pub(super) fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if is_root(name) {
            return self.read(&format!("{HISTORY}/{name}"));
        }
        self.read(unversioned(name).unwrap_or(name))
    }

    /// A target by the name that a mirror has it under.
    pub(super) fn target(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        // Kept without its hash, which is compared after reading.
        let own = match path.split_once('.') {
            Some((hash, own))
                if hash.len() >= 64 && hash.bytes().all(|c| c.is_ascii_hexdigit()) =>
            {
                own
            }
            _ => path,
        };
        self.read(&format!("targets/{own}"))
    }

    /// Refuses a cache whose timestamp no root of it vouches for: what it says of versions would be
    /// passed over in silence. One that an older root vouches for was superseded.
    pub(super) fn check(&self, anchor: &[u8]) -> Result<(), Error> {
        let Some(timestamp) = self.read("timestamp.json")? else {
            return Ok(());
        };
        let mut set = TrustedMetadataSet::from_root(anchor).map_err(Error::found)?;
        // Expiry is asked later, of what counts then.
        let ever = jiff::Timestamp::MIN;
        let mut last = set.update_timestamp(&timestamp, ever);
        while last.is_err() {
            let next = format!("{}.root.json", set.root().version.saturating_add(1));
            let Some(root) = self.metadata(&next)? else {
                break;
            };
            set.update_root(&root)
                .map_err(|error| damaged(&format!("{HISTORY}/{next}"), error))?;
            last = set.update_timestamp(&timestamp, ever);
        }
        last.map_err(|error| damaged("timestamp.json", error))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name)?;
        let damaged = |reason: String| Error::Damaged {
            file: name.to_owned(),
            reason,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cache(&path, error)),
        };
        let mut bytes = Vec::new();
        file.take(self.limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| cache(&path, error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > self.limit {
            return Err(damaged(format!("more than {} bytes", self.limit)));
        }
        let checked = if name.starts_with("targets/") {
            // Compared with its hash before it is used.
            Ok(())
        } else if name.starts_with(HISTORY) || is_root(name) {
            root::check(&bytes)
        } else {
            crate::model::strict_json(&bytes).map_err(|error| error.to_string())
        };
        checked.map_err(damaged)?;
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name)?;
        let directory = path.parent().unwrap_or(&self.directory);
        let write = || {
            fs::create_dir_all(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| cache(&path, error))
    }

    fn path(&self, name: &str) -> Result<PathBuf, Error> {
        if is_plain(name) {
            return Ok(self.directory.join(name));
        }
        Err(Error::Malformed {
            file: crate::model::printable(name),
            reason: "a file of that name is not kept".to_owned(),
        })
    }
}

/// A file that is there and does not verify.
fn damaged(file: &str, error: sigstore_tuf::Error) -> Error {
    match Error::found(error).in_cache() {
        Error::Damaged { reason, .. } => Error::Damaged {
            file: file.to_owned(),
            reason,
        },
        other => other,
    }
}

/// `snapshot.json` for `2.snapshot.json`.
fn unversioned(name: &str) -> Option<&str> {
    let (version, own) = name.split_once('.')?;
    (!version.is_empty() && version.bytes().all(|c| c.is_ascii_digit())).then_some(own)
}

fn cache(path: &Path, source: io::Error) -> Error {
    Error::Cache {
        path: crate::model::printable(&path.to_string_lossy()),
        source,
    }
}

impl MetadataStore for Cache {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        self.read(name).map_err(|error| self.trouble.keep(error))
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        // It is stored without its version too, and the directory does not grow for ever.
        if unversioned(name).is_some() {
            return Ok(());
        }
        self.write(name, bytes)
            .map_err(|error| self.trouble.keep(error))
    }
}
