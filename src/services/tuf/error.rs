//! Why nothing was fetched, and who can mend it.

use std::io;

use crate::model::Timestamp;
use crate::transport;

/// Who can mend what went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Whoever asked: an address, an anchor or a cache is not what it must be.
    Asker,
    /// Whoever keeps the repository: what it serves is refused, and asking again changes nothing.
    Repository,
    /// Nobody in particular: the world failed, and asking again may help.
    World,
}

/// Why a repository gave nothing that may be used. Its text is one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the mirror is none.
    #[error("`{url}` is no address of a TUF mirror: {rule}")]
    Address {
        /// The address, cut and escaped.
        url: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The pinned root is none.
    #[error(
        "the pinned `root.json` cannot be used: {reason} (take the one that the keepers of the \
         repository publish, or pin it with `scgate trust pin`)"
    )]
    Anchor {
        /// What is wrong with it.
        reason: String,
    },
    /// The cache cannot be read or written.
    #[error("the cache `{path}` cannot be used: {source} (mend it, or name another directory)")]
    Cache {
        /// The file, cut and escaped.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The first root is another than the one that was asked for.
    #[error(
        "the mirror's first root has the checksum {found}, not the one that was given (compare it \
         with what the keepers of the repository publish; do not copy it from the mirror)"
    )]
    Checksum {
        /// The checksum of what the mirror offers, or both.
        found: String,
    },
    /// A file of the cache is not what was written there.
    #[error(
        "`{file}` in the cache is damaged: {reason} (remove the directory; what it knew of \
         versions is then forgotten)"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is larger or longer than it may be.
    #[error("`{file}` of the repository has more than {limit} bytes")]
    Excess {
        /// The file.
        file: String,
        /// The bound.
        limit: u64,
    },
    /// A role is too old to be used.
    #[error(
        "the {role} role of the repository expired at {at} (its keepers must sign it again; an old \
         copy is a frozen mirror or cache)"
    )]
    Expired {
        /// The role.
        role: String,
        /// When it expired.
        at: Timestamp,
    },
    /// A file is not what it must be.
    #[error("`{file}` of the repository is malformed: {reason}")]
    Malformed {
        /// The file, or the role.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file is another than the role above it says.
    #[error("the repository contradicts itself: {reason}")]
    Mismatch {
        /// What differs.
        reason: String,
    },
    /// The repository has no such file.
    #[error("the repository distributes no `{name}`")]
    NoTarget {
        /// The file.
        name: String,
    },
    /// Without the network there is only the cache, and it does not have the file.
    #[error("`{file}` is not in the cache (fetch once with the network)")]
    NotCached {
        /// The file.
        file: String,
    },
    /// A lower version than one that was seen before.
    #[error(
        "the {role} role went back from version {trusted} to {offered} (an old copy is offered, or \
         the repository was made anew: then its root must be pinned anew, with another cache)"
    )]
    Rollback {
        /// The role.
        role: String,
        /// The version that was seen before.
        trusted: u64,
        /// The version that is offered.
        offered: u64,
    },
    /// More versions of the root than are walked.
    #[error("more than {limit} versions of the root follow the pinned one (pin a newer one)")]
    Rotations {
        /// The bound.
        limit: u32,
    },
    /// Too few valid signatures, or one that is there twice.
    #[error("the {role} role of the repository is not signed as the root demands: {reason}")]
    Signature {
        /// The role.
        role: String,
        /// What is wrong.
        reason: String,
    },
    /// The mirror does not serve the file.
    #[error("`{host}` answered {status} for `{file}` (compare the address of the mirror)")]
    Status {
        /// The host.
        host: String,
        /// The file.
        file: String,
        /// The HTTP status.
        status: u16,
    },
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] transport::Error),
}

impl Error {
    /// Who can mend it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Address { .. }
            | Self::Anchor { .. }
            | Self::Cache { .. }
            | Self::Damaged { .. }
            | Self::NotCached { .. } => Fault::Asker,
            Self::Checksum { .. }
            | Self::Excess { .. }
            | Self::Expired { .. }
            | Self::Malformed { .. }
            | Self::Mismatch { .. }
            | Self::NoTarget { .. }
            | Self::Rollback { .. }
            | Self::Rotations { .. }
            | Self::Signature { .. } => Fault::Repository,
            Self::Status { .. } => Fault::World,
            Self::Transport(error) => match error {
                transport::Error::CaFile
                | transport::Error::Proxy
                | transport::Error::ProxyScheme { .. }
                | transport::Error::Refused { .. } => Fault::Asker,
                _ => Fault::World,
            },
        }
    }

    /// What the TUF library found, told apart.
    pub(super) fn found(error: sigstore_tuf::Error) -> Self {
        use sigstore_tuf::Error as Found;
        let malformed = |reason: String| Self::Malformed {
            file: "metadata".to_owned(),
            reason,
        };
        match error {
            Found::Expired { role, expires } => Self::Expired {
                at: time(expires),
                role: printable(&role),
            },
            Found::Rollback { role, trusted, new } => Self::Rollback {
                role: printable(&role),
                trusted,
                offered: new,
            },
            Found::BadRootVersion { trusted, new } => Self::Malformed {
                file: format!("{}.root.json", trusted.saturating_add(1)),
                reason: format!("it says that it is version {new}"),
            },
            Found::ThresholdNotMet {
                role,
                found,
                threshold,
            } => Self::Signature {
                role: printable(&role),
                reason: format!("{found} of {threshold} signatures are valid"),
            },
            Found::DuplicateSignature { role, .. } => Self::Signature {
                role: printable(&role),
                reason: "one key signed it twice".to_owned(),
            },
            Found::IntegrityMismatch(reason) => Self::Mismatch {
                reason: printable(&reason),
            },
            Found::TargetNotFound(name) => Self::NoTarget {
                name: printable(&name),
            },
            Found::Malformed(reason) => malformed(printable(&reason)),
            other => malformed(printable(&chain(&other))),
        }
    }

    /// The same, said of a cache: nobody but its owner can have changed it.
    pub(super) fn in_cache(self) -> Self {
        let (file, reason) = match self {
            Self::Malformed { file, reason } => (file, reason),
            Self::Mismatch { reason } => ("a file".to_owned(), reason),
            Self::Signature { role, reason } => (format!("{role}.json"), reason),
            Self::Excess { file, limit } => (file, format!("more than {limit} bytes")),
            other => return other,
        };
        Self::Damaged { file, reason }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn printable(text: &str) -> String {
    crate::model::printable(text)
}

/// The library's time as ours, to the second.
pub(super) fn time(time: jiff::Timestamp) -> Timestamp {
    // Both hold the same range.
    Timestamp::from_unix_seconds(time.as_second())
        .unwrap_or_else(|_| Timestamp::from(std::time::SystemTime::UNIX_EPOCH))
}
