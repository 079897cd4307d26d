//! The command line: flags in, a report and an exit code out.
//!
//! Flags become a policy, trust and a source; the gate answers; the output writes the answer down.
//! Nothing here compares a name or judges evidence. Data goes to stdout and everything else to
//! stderr. No environment variable names trust, an identity or a policy. Start with [`run`]; each
//! subcommand and each group of flags has a file of its own.

mod answer;
mod conformance;
#[cfg(feature = "sandbox")]
mod demo;
mod digest;
mod error;
mod failed;
mod files;
mod gate;
mod identity;
mod network;
mod refused;
mod registry;
#[cfg(feature = "sandbox")]
mod sandbox;
mod sign;
mod sign_blob;
mod signing;
mod source;
mod tree;
mod trust;
mod trust_root;
mod verify;
mod verify_attestation;
mod verify_blob;
mod words;

use std::env;
use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::process::ExitCode;
use std::process::Termination;

use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;

use crate::cli::error::UsageError;

/// What became of a command, as an exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything that was asked about is allowed: 0.
    Allowed,
    /// At least one is denied: 1.
    Denied,
    /// The command line or a file that it names is wrong, and nothing was decided: 2.
    Usage,
    /// None is denied and at least one is undecided, or the answer could not be written: 3.
    Undecided,
}

impl Termination for Outcome {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Allowed => 0,
            Self::Denied => 1,
            Self::Usage => 2,
            Self::Undecided => 3,
        })
    }
}

/// A supply-chain gate: verifies what cosign signed, and says why or why not.
///
/// Exit codes: 0 allowed, 1 denied, 2 wrong usage or configuration, 3 undecided (the world failed; a
/// retry could change the answer), 101 a bug.
#[derive(Debug, Parser)]
#[command(name = "scgate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Is this image signed, and by whom it must be?
    Verify(Box<verify::Verify>),
    /// Is there an attestation of this type by whom it must be? Prints what it says.
    VerifyAttestation(Box<verify_attestation::VerifyAttestation>),
    /// Is this file signed, and by whom it must be?
    VerifyBlob(Box<verify_blob::VerifyBlob>),
    /// Is there a statement of this type about the file, by whom it must be?
    VerifyBlobAttestation(Box<verify_blob::VerifyBlobAttestation>),
    /// Sign images: the index and everything in it, keylessly or with a key.
    Sign(Box<sign::Sign>),
    /// Attest a document about images: an SBOM, provenance, a scan.
    Attest(Box<sign::Attest>),
    /// Sign files: release binaries, SBOMs.
    SignBlob(Box<sign_blob::SignBlob>),
    /// Attest a document about files.
    AttestBlob(Box<sign_blob::AttestBlob>),
    /// All evidence of an image: who signed it, how old it is, and which platform lacks what.
    ///
    /// Not a verdict: no policy is asked, so whoever signed is shown. Exit codes: 0 shown whole, 1
    /// the image or a part of it is not there or is more than can be read, 3 the world failed and
    /// there may be more.
    Tree(Box<tree::ShowTree>),
    /// A guided tour: sign, attest, verify, tamper, copy; in a world of its own.
    #[cfg(feature = "sandbox")]
    Demo(Box<demo::Demo>),
    /// A whole Sigstore and a registry on loopback, in this process.
    #[cfg(feature = "sandbox")]
    Sandbox(Box<sandbox::Sandbox>),
    /// Trusted roots: what is in one, a newer one, and whether it suffices.
    Trust(trust_root::Trust),
    #[command(hide = true)]
    Conformance(Box<conformance::Conformance>),
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(Cli::command());
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// A variable that is set to nothing is as one that is not set: so a pipeline's file writes it where
/// the setting behind it is absent.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| match is_empty(&arg) {
            true => arg.env(None::<&str>),
            false => arg,
        })
        .mut_subcommands(without_empty_variables)
}

/// Runs one command.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let wrong = conformance::wrong_usage(&arguments);
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(refused) = refused::named(&arguments).filter(|_| error.use_stderr()) {
                say("error", &refused.to_string());
                return wrong;
            }
            if let Some((sentence, help)) = words::sentence(&error, &arguments) {
                say("error", &sentence);
                say("help", &help);
                return wrong;
            }
            let written = error.print().and_then(|()| io::stdout().flush());
            return match (error.use_stderr(), written) {
                (true, _) => wrong,
                (false, Ok(())) => Outcome::Allowed,
                (false, Err(_)) => Outcome::Undecided,
            };
        }
    };
    let done = match cli.command {
        Command::Verify(asked) => asked.run(),
        Command::VerifyAttestation(asked) => asked.run(),
        Command::VerifyBlob(asked) => asked.run(),
        Command::VerifyBlobAttestation(asked) => asked.run(),
        Command::Sign(asked) => asked.run(),
        Command::Attest(asked) => asked.run(),
        Command::SignBlob(asked) => asked.run(),
        Command::AttestBlob(asked) => asked.run(),
        Command::Tree(asked) => asked.run(),
        #[cfg(feature = "sandbox")]
        Command::Demo(asked) => asked.run(),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(asked) => asked.run(),
        Command::Trust(asked) => asked.run(),
        Command::Conformance(asked) => asked.run(),
    };
    done.unwrap_or_else(|error| {
        say("error", &error.to_string());
        Outcome::Usage
    })
}

/// Writes one line to stderr. When that is closed there is nobody left to tell.
fn say(kind: &str, text: &str) {
    drop(writeln!(io::stderr(), "{kind}: {text}"));
}
