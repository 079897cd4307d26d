//! What a sandbox keeps in a directory: keys and certificates, and the entries of its logs.
//!
//! `keys.json` is written once, `ports.json` and `tuf.json` at each start. A lock keeps a second sandbox
//! away. The logs are files to which one line is added for each entry before
//! anybody hears of the entry. A last line without its end is one that nobody was told of, and is
//! dropped; anything else that does not read back is damage, and the sandbox does not start on it.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Actors;
use super::World;
use super::ct::CtState;
use super::fulcio::bytes;
use super::lock;
use super::rekor1::Rekor1State;
use super::rekor1::Stored;
use super::rekor2::Rekor2State;
use crate::model::Timestamp;
use crate::sandbox::mint::EntryKind;
use crate::sandbox::mint::KeyKind;
use crate::sandbox::mint::Mint;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::SigningKey;
use crate::sandbox::mint::StoredMint;
use crate::sandbox::mint::base64;
use crate::sandbox::tuf::RootOrder;

/// The largest file of keys, in bytes.
const KEYS: u64 = 1 << 20;

/// A directory that a sandbox keeps its state in.
#[derive(Debug)]
pub(in crate::sandbox) struct State {
    dir: PathBuf,
    ct: Mutex<Lines>,
    rekor1: Mutex<Lines>,
    rekor2: Mutex<Lines>,
    /// Locked as long as the sandbox is there.
    _lock: File,
}

/// A file to which whole lines are added.
#[derive(Debug)]
struct Lines {
    file: File,
    /// Whether half a line stands at the end that could not be cut off.
    is_torn: bool,
}

impl Lines {
    /// Adds a line whole or not at all: on a disk that is full half of it would make the next one
    /// unreadable.
    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            return Err(io::Error::other("an earlier line could not be finished"));
        }
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(line);
        if written.is_err() {
            self.is_torn = self.file.set_len(length).is_err();
        }
        written
    }
}

#[derive(Deserialize, Serialize)]
struct Keys {
    /// What the file is, for whoever finds it.
    note: String,
    issuer: String,
    /// Absent in a state that was made before tokens were signed with it.
    issuer_rsa: Option<String>,
    mint: StoredMint,
    /// Root, timestamp, snapshot and targets.
    tuf: [String; 4],
}

#[derive(Deserialize, Serialize)]
struct CtLine {
    leaf: String,
    extra: String,
}

#[derive(Deserialize, Serialize)]
struct Rekor1Line {
    kind: String,
    version: String,
    time: i64,
    body: String,
    keys: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Rekor2Line {
    body: String,
}

impl State {
    /// Opens a directory, or makes it, and gives back who acts in it: new actors, or those that are
    /// kept there.
    pub(in crate::sandbox) fn open(
        dir: &Path,
        now: Timestamp,
    ) -> Result<(Self, Actors), StateError> {
        fs::create_dir_all(dir).map_err(|source| StateError::Unwritable {
            path: dir.to_owned(),
            source,
        })?;
        let lock = lock_of(dir)?;
        let path = dir.join("keys.json");
        let actors = match fs::metadata(&path) {
            Ok(about) if about.len() > KEYS => return Err(StateError::damaged(&path, 1)),
            Ok(_) => read_keys(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_keys(&path, now)?,
            Err(source) => return Err(StateError::Unreadable { path, source }),
        };
        let open = |name: &str| {
            let path = dir.join(name);
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.map_err(|source| StateError::Unwritable { path, source })?;
            Ok(Mutex::new(Lines {
                file,
                is_torn: false,
            }))
        };
        let state = Self {
            ct: open("ct.jsonl")?,
            rekor1: open("rekor1.jsonl")?,
            rekor2: open("rekor2.jsonl")?,
            dir: dir.to_owned(),
            _lock: lock,
        };
        Ok((state, actors))
    }

    /// The ports that the sandbox had: that of the Sigstore and that of the registry. A file that does
    /// not read back tells of none; it decides nothing.
    pub(in crate::sandbox) fn ports(&self) -> Option<[u16; 2]> {
        let text = fs::read(self.dir.join("ports.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps the ports for the next start.
    fn keep_ports(&self, ports: [u16; 2]) -> Result<(), StateError> {
        let text = serde_json::to_vec(&ports).unwrap_or_default();
        whole(&self.dir.join("ports.json"), &text)
    }

    /// The version of the TUF repository at this start: that of the clock, or the one after the last
    /// where the clock was ahead of it. A repository that went back would be refused by its clients.
    pub(super) fn tuf_version(&self, now: u64) -> Result<u64, StateError> {
        let path = self.dir.join("tuf.json");
        let last: u64 = match fs::read(&path) {
            Ok(text) => {
                let read: Option<u64> = serde_json::from_slice(&text).ok();
                // Go counts in 63 bits.
                let read = read.filter(|version| i64::try_from(*version).is_ok());
                read.ok_or_else(|| StateError::damaged(&path, 1))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(StateError::Unreadable { path, source }),
        };
        let version = now.max(last.saturating_add(1));
        whole(&path, version.to_string().as_bytes())?;
        Ok(version)
    }

    /// Reads the logs.
    pub(super) fn load(
        &self,
        ct: &mut CtState,
        rekor1: &mut Rekor1State,
        rekor2: &mut Rekor2State,
    ) -> Result<(), StateError> {
        self.read("ct.jsonl", |line: CtLine| {
            ct.append(bytes(&line.leaf)?, bytes(&line.extra)?);
            Some(())
        })?;
        self.read("rekor1.jsonl", |line: Rekor1Line| {
            let kinds = [
                EntryKind::HashedRekord1,
                EntryKind::Dsse1,
                EntryKind::Intoto1,
                EntryKind::Intoto2,
            ];
            let name = (line.kind.as_str(), line.version.as_str());
            rekor1.append(Stored {
                kind: kinds.into_iter().find(|kind| kind.name() == name)?,
                body: bytes(&line.body)?,
                time: line.time,
                keys: line.keys,
            });
            Some(())
        })?;
        self.read("rekor2.jsonl", |line: Rekor2Line| {
            rekor2.append(bytes(&line.body)?);
            Some(())
        })
    }

    /// Reads a log line by line, and cuts off a last line that was never finished.
    fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        mut take: impl FnMut(T) -> Option<()>,
    ) -> Result<(), StateError> {
        let path = self.dir.join(name);
        let unreadable = |source| StateError::Unreadable {
            path: path.clone(),
            source,
        };
        let text = fs::read(&path).map_err(unreadable)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let (lines, torn) = text.split_at_checked(whole).unwrap_or((&text, &[]));
        if !torn.is_empty() {
            let file = OpenOptions::new().write(true).open(&path);
            let length = u64::try_from(whole).unwrap_or(u64::MAX);
            file.and_then(|file| file.set_len(length))
                .map_err(|source| StateError::Unwritable {
                    path: path.clone(),
                    source,
                })?;
        }
        for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let read = serde_json::from_slice(line).ok().and_then(&mut take);
            read.ok_or_else(|| StateError::damaged(&path, number + 1))?;
        }
        Ok(())
    }

    fn add<T: Serialize>(&self, file: &Mutex<Lines>, line: &T) -> Result<(), StateError> {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        lock(file)
            .add(&text)
            .map_err(|source| StateError::Unwritable {
                path: self.dir.clone(),
                source,
            })
    }

    /// Forgets all entries of all logs.
    pub(super) fn clear_logs(&self) -> Result<(), StateError> {
        for file in [&self.ct, &self.rekor1, &self.rekor2] {
            lock(file)
                .file
                .set_len(0)
                .map_err(|source| StateError::Unwritable {
                    path: self.dir.clone(),
                    source,
                })?;
        }
        Ok(())
    }
}

/// Writes a file whole or not at all; nobody else may read it.
fn whole(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let unwritable = |source| StateError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let dir = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(unwritable)?;
    file.write_all(content).map_err(unwritable)?;
    file.persist(path)
        .map_err(|error| unwritable(error.error))?;
    Ok(())
}

/// The lock of a directory: two sandboxes would write over each other.
fn lock_of(dir: &Path) -> Result<File, StateError> {
    let path = dir.join("lock");
    // Whatever stands in a file of this name stays.
    match OpenOptions::new().create(true).append(true).open(&path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse {
                path: dir.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(StateError::Unwritable { path, source }),
        },
        Err(source) => Err(StateError::Unwritable { path, source }),
    }
}

fn make_keys(path: &Path, now: Timestamp) -> Result<Actors, StateError> {
    let actors = Actors::new(now).map_err(StateError::Keys)?;
    let issuer = actors.issuer.to_pkcs8().map_err(StateError::Keys)?;
    let tuf = &actors.tuf;
    let root = tuf.root.first().unwrap_or(&tuf.targets);
    let tuf = [root, &tuf.timestamp, &tuf.snapshot, &tuf.targets];
    let mut stored = <[String; 4]>::default();
    for (key, text) in tuf.into_iter().zip(&mut stored) {
        *text = base64(&key.to_pkcs8().map_err(StateError::Keys)?);
    }
    let rsa = SigningKey::generate(KeyKind::Rsa2048).map_err(StateError::Keys)?;
    let keys = Keys {
        tuf: stored,
        note: "keys of an scgate sandbox: a test world that nobody should trust".to_owned(),
        issuer: base64(&issuer),
        issuer_rsa: Some(base64(&rsa.to_pkcs8().map_err(StateError::Keys)?)),
        mint: actors.mint.stored().map_err(StateError::Keys)?,
    };
    let text = serde_json::to_vec_pretty(&keys).unwrap_or_default();
    whole(path, &text)?;
    Ok(Actors {
        issuer_rsa: Some(rsa),
        ..actors
    })
}

fn read_keys(path: &Path) -> Result<Actors, StateError> {
    let text = fs::read(path).map_err(|source| StateError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let damaged = || StateError::damaged(path, 1);
    let keys: Keys = serde_json::from_slice(&text).map_err(|_| damaged())?;
    let key = |text: &str| {
        let der = bytes(text).ok_or_else(damaged)?;
        SigningKey::from_pkcs8(KeyKind::P256, &der).map_err(|_| damaged())
    };
    let mint = Mint::from_stored(&keys.mint).ok_or_else(damaged)?;
    let [root, timestamp, snapshot, targets] = &keys.tuf;
    let tuf = RootOrder {
        root: vec![key(root)?],
        timestamp: key(timestamp)?,
        snapshot: key(snapshot)?,
        targets: key(targets)?,
        ..root_order(mint.valid_until).map_err(StateError::Keys)?
    };
    let rsa = |text: &String| {
        let der = bytes(text)?;
        SigningKey::from_pkcs8(KeyKind::Rsa2048, &der).ok()
    };
    let issuer_rsa = match &keys.issuer_rsa {
        Some(text) => Some(rsa(text).ok_or_else(damaged)?),
        None => None,
    };
    Ok(Actors {
        issuer: key(&keys.issuer)?,
        issuer_rsa,
        mint,
        tuf,
    })
}

/// A root of the TUF repository, with fresh keys, that says what it is.
fn root_order(expires: Timestamp) -> Result<RootOrder, MintError> {
    let mut order = RootOrder::new(expires)?;
    let note = "scgate sandbox: a test world, do not trust";
    order.overrides.insert("x-note".to_owned(), note.into());
    Ok(order)
}

impl Actors {
    /// New ones.
    pub(in crate::sandbox) fn new(now: Timestamp) -> Result<Self, MintError> {
        // Certificates and `keys.json` hold whole seconds; the trusted root is to say the same.
        let second = Timestamp::from_unix_seconds(now.unix_seconds());
        let mint = Mint::new(second.unwrap_or(now))?;
        Ok(Self {
            issuer: SigningKey::generate(KeyKind::P256)?,
            issuer_rsa: None,
            tuf: root_order(mint.valid_until)?,
            mint,
        })
    }
}

/// What each service keeps of an entry, before the entry is in the log.
impl World {
    /// Keeps the ports for the next start.
    pub(in crate::sandbox) fn keep_ports(&self, ports: [u16; 2]) -> Result<(), StateError> {
        match &self.state {
            Some(state) => state.keep_ports(ports),
            None => Ok(()),
        }
    }

    pub(super) fn keep_ct(&self, leaf: &[u8], extra: &[u8]) -> Result<(), StateError> {
        let line = CtLine {
            leaf: base64(leaf),
            extra: base64(extra),
        };
        match &self.state {
            Some(state) => state.add(&state.ct, &line),
            None => Ok(()),
        }
    }

    pub(super) fn keep_rekor1(&self, stored: &Stored) -> Result<(), StateError> {
        let (kind, version) = stored.kind.name();
        let line = Rekor1Line {
            kind: kind.to_owned(),
            version: version.to_owned(),
            time: stored.time,
            body: base64(&stored.body),
            keys: stored.keys.clone(),
        };
        match &self.state {
            Some(state) => state.add(&state.rekor1, &line),
            None => Ok(()),
        }
    }

    pub(super) fn keep_rekor2(&self, body: &[u8]) -> Result<(), StateError> {
        let line = Rekor2Line { body: base64(body) };
        match &self.state {
            Some(state) => state.add(&state.rekor2, &line),
            None => Ok(()),
        }
    }
}

/// Why a state directory does not serve. The operator of the machine can mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file does not hold what the sandbox wrote.
    #[error("read line {line} of `{}`: it is damaged (name another directory, or remove this one to begin anew)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Another sandbox keeps its state there.
    #[error("use `{}`: another sandbox keeps its state there", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The keys cannot be made.
    #[error("make keys")]
    Keys(#[source] MintError),
    /// A file cannot be read.
    #[error("read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or the directory cannot be written.
    #[error("write `{}`", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateError {
    fn damaged(path: &Path, line: usize) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            line,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A device that is full takes nothing and cannot be cut off: what is behind half a line would
    /// never be read again.
    #[test]
    fn nothing_follows_half_a_line() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut lines = Lines {
            file,
            is_torn: false,
        };
        let full = lines.add(b"line\n").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert!(lines.is_torn);
        let refused = lines.add(b"line\n").unwrap_err();
        assert_eq!(refused.to_string(), "an earlier line could not be finished");
    }
}
