//! `scgate conformance`: the client protocol of the Sigstore conformance suite, hidden from help.
//!
//! It takes the way that every other command takes, except that it asks who signed and not what was
//! said, as the suite does. It knows two exit codes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::slice;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::identity::IdentityFlags;
use crate::cli::trust::Embedded;
use crate::cli::trust::TrustFlags;
use crate::cli::verify_blob::Blob;
use crate::cli::verify_blob::admit;
use crate::cli::verify_blob::policy;
use crate::cli::verify_blob::read_bundle;
use crate::model::Limits;
use crate::policy::Demand;

/// The client protocol of the Sigstore conformance suite.
#[derive(Debug, clap::Args)]
pub(super) struct Conformance {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Is this bundle about the file, and by whom it must be?
    VerifyBundle(Box<VerifyBundle>),
}

#[derive(Debug, clap::Args)]
struct VerifyBundle {
    /// A file or its digest.
    #[arg(value_name = "FILE|DIGEST")]
    file: String,

    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,

    /// The staging instance's root that is part of scgate, instead of the public-good one.
    #[arg(long, conflicts_with = "trusted_root")]
    staging: bool,

    #[command(flatten)]
    identity: IdentityFlags,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,
}

/// How wrong usage ends: the suite's protocol has no code for it.
pub(super) fn wrong_usage(arguments: &[OsString]) -> Outcome {
    match arguments.get(1) {
        Some(command) if command == "conformance" => Outcome::Denied,
        _ => Outcome::Usage,
    }
}

impl Conformance {
    /// 0 for a yes, 1 for everything else.
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let Command::VerifyBundle(asked) = &self.command;
        let outcome = asked.run().unwrap_or_else(|error| {
            crate::cli::say("error", &error.to_string());
            Outcome::Denied
        });
        Ok(match outcome {
            Outcome::Allowed => Outcome::Allowed,
            Outcome::Denied | Outcome::Undecided | Outcome::Usage => Outcome::Denied,
        })
    }
}

impl VerifyBundle {
    fn run(&self) -> Result<Outcome, UsageError> {
        let limits = Limits::default();
        let embedded = if self.staging {
            Embedded::Staging
        } else {
            Embedded::PublicGood
        };
        let grounds = self
            .trust
            .grounds(embedded, self.identity.key.as_deref(), &limits)?;
        let policy = policy(&self.identity, &grounds, Demand::Anything)?;
        let evidence = read_bundle(&self.bundle, &limits)?;
        let file = Blob::read(&self.file)?;
        let answers = self.output.open(None, slice::from_ref(&self.bundle))?;
        let report = admit(&self.file, &file, policy, evidence, &grounds);
        Ok(answers.write(&[report]))
    }
}
