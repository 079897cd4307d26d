//! The Update Framework: a trusted root from a mirror that need not be trusted itself.
//!
//! An operator pins one `root.json`, the anchor; everything else is verified from there: newer
//! roots, each signed by the one before, then the timestamp, snapshot and targets roles, then the
//! files. The verification is that of `sigstore-tuf`, which passes tuf-conformance; here are the
//! requests (through [`crate::transport`]), the bounds, the cache, and the words for what is
//! refused. The time is an argument.
//!
//! With a cache a lower version than one that was seen is refused, and without the network the cache
//! alone is verified again. Start with [`Client::update`].

mod cache;
mod error;
mod mirror;
mod root;

pub use error::Error;
pub use error::Fault;
pub use mirror::Mirror;

use std::collections::BTreeMap;
use std::path::Path;

use sigstore_tuf::TrustedMetadataSet;
use sigstore_tuf::Updater;
use sigstore_tuf::UpdaterConfig;

use crate::model::Digest;
use crate::model::Timestamp;
use crate::services::tuf::cache::Cache;
use crate::services::tuf::mirror::Asked;
use crate::services::tuf::mirror::Origin;
use crate::services::tuf::mirror::Trouble;
use crate::transport::Deadline;
use crate::transport::Transport;

/// The target that holds the trusted root.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// The target that holds the signing configuration.
pub const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

/// An instance of Sigstore whose TUF root is part of scgate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Instance {
    /// The public-good instance.
    PublicGood,
    /// Its staging twin.
    Staging,
}

impl Instance {
    /// The address of its mirror.
    #[must_use]
    pub const fn mirror(self) -> &'static str {
        match self {
            Self::PublicGood => "https://tuf-repo-cdn.sigstore.dev",
            Self::Staging => "https://tuf-repo-cdn.sigstage.dev",
        }
    }

    /// The `root.json` that is pinned for it, as its keepers signed it (`sigstore/root-signing`).
    #[must_use]
    pub const fn anchor(self) -> &'static [u8] {
        match self {
            Self::PublicGood => include_bytes!("tuf/public-good.json"),
            Self::Staging => include_bytes!("tuf/staging.json"),
        }
    }
}

/// Every bound on what a mirror decides. `Bounds::default()` is what scgate ships.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// Bytes of one version of the root role (go-tuf and python-tuf: 512,000).
    pub root_bytes: u64,
    /// Bytes of the timestamp role (go-tuf and python-tuf: 16,384).
    pub timestamp_bytes: u64,
    /// Bytes of the snapshot role (go-tuf and python-tuf: 2,000,000).
    pub snapshot_bytes: u64,
    /// Bytes of a targets role (go-tuf and python-tuf: 5,000,000).
    pub targets_bytes: u64,
    /// Bytes of a file that the repository distributes: a trusted root has at most as many.
    pub target_bytes: u64,
    /// Versions of the root that follow the anchor (go-tuf: 256).
    pub rotations: u32,
    /// Targets roles that are visited for one file (go-tuf and python-tuf: 32).
    pub delegations: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            root_bytes: 512_000,
            timestamp_bytes: 16_384,
            snapshot_bytes: 2_000_000,
            targets_bytes: 5_000_000,
            target_bytes: 4 * 1024 * 1024,
            rotations: 256,
            delegations: 32,
        }
    }
}

impl Bounds {
    fn config(&self) -> UpdaterConfig {
        let mut config = UpdaterConfig::default();
        config.root_max_length = self.root_bytes;
        config.timestamp_max_length = self.timestamp_bytes;
        config.snapshot_max_length = self.snapshot_bytes;
        config.targets_max_length = self.targets_bytes;
        config.target_max_length = self.target_bytes;
        // One more: that there is none after the last is an answer too.
        config.max_root_rotations = self.rotations.saturating_add(1);
        config.max_delegations = self.delegations;
        config
    }

    fn largest(&self) -> u64 {
        let all = [
            self.timestamp_bytes,
            self.snapshot_bytes,
            self.targets_bytes,
        ];
        let all = all.into_iter().chain([self.root_bytes, self.target_bytes]);
        all.max().unwrap_or_default()
    }
}

/// How far an update may go.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// To the mirror.
    Network(&'a Transport, Deadline),
    /// To the cache alone: no request is made.
    Cache,
}

/// One of the four roles, as it was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Role {
    /// `root`, `timestamp`, `snapshot` or `targets`.
    pub name: &'static str,
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Timestamp,
}

/// What a repository says now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// The files that were wanted.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The four roles, in the order in which they were verified.
    pub roles: Vec<Role>,
}

/// A version of the root role, verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Root {
    /// The document.
    pub bytes: Vec<u8>,
    /// Its role.
    pub role: Role,
}

/// A repository: where it is served, and from which root on it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The mirror.
    pub mirror: &'a Mirror,
    /// The pinned root.
    pub anchor: &'a [u8],
    /// A directory that remembers what was verified, for any number of mirrors.
    pub cache: Option<&'a Path>,
    /// The bounds.
    pub bounds: &'a Bounds,
}

impl Client<'_> {
    /// Verifies the repository as of `now` and gives the files that are `wanted`.
    ///
    /// # Errors
    ///
    /// [`Error`], whose [`Error::fault`] says who can mend it. Nothing unverified is ever given or
    /// kept.
    pub async fn update(
        &self,
        reach: Reach<'_>,
        wanted: &[&str],
        now: Timestamp,
    ) -> Result<Update, Error> {
        let first = self.anchor_set()?.root().version;
        let trouble = Trouble::default();
        let cache = self.cache.map(|path| {
            let directory = self.mirror.directory(path);
            Cache::new(directory, self.bounds.largest(), trouble.clone())
        });
        if let Some(cache) = &cache {
            cache.check(self.anchor)?;
        }
        let (origin, store) = match (reach, cache) {
            (Reach::Network(transport, deadline), store) => {
                (self.origin(transport, deadline), store)
            }
            (Reach::Cache, Some(cache)) => (Origin::Cache(cache), None),
            (Reach::Cache, None) => {
                let file = "timestamp.json".to_owned();
                return Err(Error::NotCached { file });
            }
        };
        let asked = Asked {
            origin,
            trouble: trouble.clone(),
            first,
            rotations: self.bounds.rotations,
        };
        let updated = self.drive(asked, store, wanted, now).await;
        let outcome = match (trouble.take(), updated) {
            (Some(error), _) => Err(error),
            (None, updated) => updated.map_err(Error::found),
        };
        match reach {
            Reach::Network(..) => outcome,
            Reach::Cache => outcome.map_err(Error::in_cache),
        }
    }

    async fn drive(
        &self,
        asked: Asked,
        store: Option<Cache>,
        wanted: &[&str],
        now: Timestamp,
    ) -> sigstore_tuf::Result<Update> {
        let now = moment(now);
        let mut updater = Updater::new(asked, self.anchor)?.with_config(self.bounds.config());
        if let Some(store) = store {
            updater = updater.with_store(store);
        }
        updater.refresh(now).await?;
        let mut files = BTreeMap::new();
        for name in wanted {
            let bytes = updater.get_target(name, now).await?;
            files.insert((*name).to_owned(), bytes);
        }
        Ok(Update {
            files,
            roles: roles(updater.trusted()),
        })
    }

    /// The newest version of the root role that the anchor vouches for, which must not have expired.
    ///
    /// # Errors
    ///
    /// [`Error`], as with [`Self::update`].
    pub async fn newest_root(
        &self,
        transport: &Transport,
        deadline: Deadline,
        now: Timestamp,
    ) -> Result<Root, Error> {
        let origin = self.origin(transport, deadline);
        let mut set = self.anchor_set()?;
        for walked in 0.. {
            let name = format!("{}.root.json", set.root().version.saturating_add(1));
            let Some(bytes) = origin.metadata(&name, self.bounds.root_bytes).await? else {
                break;
            };
            if walked >= self.bounds.rotations {
                return Err(Error::Rotations {
                    limit: self.bounds.rotations,
                });
            }
            set.update_root(&bytes).map_err(Error::found)?;
        }
        set.check_root_expired(moment(now)).map_err(Error::found)?;
        Ok(Root {
            bytes: set.root_bytes().to_vec(),
            role: root_role(&set),
        })
    }

    fn origin(&self, transport: &Transport, deadline: Deadline) -> Origin {
        Origin::Mirror {
            mirror: self.mirror.clone(),
            transport: transport.clone(),
            deadline,
        }
    }

    fn anchor_set(&self) -> Result<TrustedMetadataSet, Error> {
        let limit = self.bounds.root_bytes;
        if u64::try_from(self.anchor.len()).unwrap_or(u64::MAX) > limit {
            let reason = format!("it has more than {limit} bytes");
            return Err(Error::Anchor { reason });
        }
        root::check(self.anchor).map_err(|reason| Error::Anchor { reason })?;
        TrustedMetadataSet::from_root(self.anchor).map_err(|error| Error::Anchor {
            reason: match Error::found(error) {
                Error::Malformed { reason, .. } => reason,
                other => other.to_string(),
            },
        })
    }
}

/// Fetches the first root of a mirror, which must have this checksum.
///
/// # Errors
///
/// [`Error::Checksum`] when neither its `root.json` nor its `1.root.json` has it.
pub async fn first_root(
    mirror: &Mirror,
    checksum: Digest,
    bounds: &Bounds,
    transport: &Transport,
    deadline: Deadline,
) -> Result<Vec<u8>, Error> {
    let origin = Origin::Mirror {
        mirror: mirror.clone(),
        transport: transport.clone(),
        deadline,
    };
    let mut found = Vec::new();
    for name in ["root.json", "1.root.json"] {
        let Some(bytes) = origin.metadata(name, bounds.root_bytes).await? else {
            continue;
        };
        if checksum.matches(&bytes) {
            return Ok(bytes);
        }
        found.push(Digest::sha256(&bytes).to_string());
    }
    found.dedup();
    Err(match found.as_slice() {
        [] => origin.lack("root.json"),
        _ => Error::Checksum {
            found: found.join(" or "),
        },
    })
}

fn roles(set: &TrustedMetadataSet) -> Vec<Role> {
    let role = |name, version, expires| Role {
        name,
        version,
        expires: error::time(expires),
    };
    let timestamp = set.timestamp();
    let snapshot = set.snapshot();
    let targets = set.targets_role("targets");
    [
        Some(root_role(set)),
        timestamp.map(|found| role("timestamp", found.version, found.expires)),
        snapshot.map(|found| role("snapshot", found.version, found.expires)),
        targets.map(|found| role("targets", found.version, found.expires)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn root_role(set: &TrustedMetadataSet) -> Role {
    Role {
        name: "root",
        version: set.root().version,
        expires: error::time(set.root().expires),
    }
}

/// Our time as the library's, to the second.
fn moment(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.unix_seconds()).unwrap_or(jiff::Timestamp::MAX)
}
