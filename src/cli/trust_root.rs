//! `scgate trust`: what a trusted root holds, where a newer one comes from, and whether it suffices.
//!
//! Refreshing trust is a command of its own. Verification never fetches any, and nothing here falls
//! back: what is not verified is not written.

mod check;
mod diff;
mod fetch;
mod pin;
mod show;

use core::time::Duration;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::error::ARGUMENT;
use crate::cli::say;
use crate::cli::trust::Embedded;
use crate::cli::trust::read_root;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::services::tuf;
use crate::services::tuf::Fault;
use crate::transport::Deadline;
use crate::verify::TrustRoot;

/// Trusted roots: what is in one, a newer one, and whether it suffices.
#[derive(Debug, clap::Args)]
pub(super) struct Trust {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is in a trusted root, and until when it counts.
    Show(show::Show),
    /// Fetch and verify the trusted root of an instance from its TUF mirror.
    Fetch(Box<fetch::Fetch>),
    /// Pin a root: that of a mirror by its checksum, or a trusted root by its id.
    Pin(Box<pin::Pin>),
    /// Is a trusted root the reviewed one, and does it have what verification needs?
    Check(check::Check),
}

impl Trust {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        match &self.command {
            Command::Show(asked) => asked.run(),
            Command::Fetch(asked) => asked.run(),
            Command::Pin(asked) => asked.run(),
            Command::Check(asked) => asked.run(),
        }
    }
}

/// Which trusted root is meant.
#[derive(Debug, clap::Args)]
struct RootFlags {
    /// A `trusted_root.json`. Without it the public-good root that is part of scgate.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The staging instance's root that is part of scgate.
    #[arg(long, conflicts_with = "file")]
    staging: bool,

    /// As of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
}

impl RootFlags {
    fn embedded(&self) -> Option<Embedded> {
        match (&self.file, self.staging) {
            (Some(_), _) => None,
            (None, true) => Some(Embedded::Staging),
            (None, false) => Some(Embedded::PublicGood),
        }
    }

    fn read(&self, limits: &Limits) -> Result<TrustRoot, UsageError> {
        match (&self.file, self.embedded()) {
            (Some(path), _) => read_root(ARGUMENT, path, limits),
            (None, embedded) => embedded.unwrap_or(Embedded::PublicGood).root(limits),
        }
    }

    fn time(&self) -> Result<Timestamp, UsageError> {
        match &self.at {
            None => Ok(now()),
            Some(text) => Timestamp::parse(text).map_err(|source| UsageError::Time {
                value: crate::model::printable(text),
                source,
            }),
        }
    }
}

/// How an answer about a root is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    #[value(alias = "human")]
    Text,
    Json,
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Does work that waits for the network.
fn wait<T>(
    timeout: Duration,
    work: impl AsyncFnOnce(Deadline) -> Result<T, tuf::Error>,
) -> Result<Result<T, tuf::Error>, UsageError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UsageError::Runtime)?;
    Ok(runtime.block_on(async { work(Deadline::after(timeout)).await }))
}

/// Says what a repository did wrong, where it is not the command line that is wrong.
pub(super) fn refused(error: tuf::Error) -> Result<Outcome, UsageError> {
    let outcome = match error.fault() {
        Fault::Asker => return Err(UsageError::Tuf(error)),
        Fault::Repository => Outcome::Denied,
        Fault::World => Outcome::Undecided,
    };
    say("error", &error.to_string());
    Ok(outcome)
}
