//! `scgate sandbox`: a whole Sigstore and a registry on loopback, in this process.

mod detach;
pub(super) mod host;
mod remote;
mod start;

use crate::cli::Outcome;
use crate::cli::UsageError;

/// A whole Sigstore and a registry on loopback, in one process.
///
/// It prints `export …` lines that cosign and the other `scgate sandbox` commands understand, and
/// runs until it is interrupted. `eval "$(scgate sandbox --detach)"` runs it in the background;
/// `scgate sandbox stop` ends that. Its roots say that they are a test world: never trust them
/// anywhere else.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Sandbox {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    start: start::Start,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Prints a token of the sandbox's OIDC issuer.
    Token(remote::Token),
    /// Pushes a small image for two platforms and prints its reference.
    Image(remote::Image),
    /// Makes it misbehave, or behave again.
    Fault(remote::Fault),
    /// Forgets all log entries and images; the keys stay.
    Reset(remote::Reset),
    /// Ends a sandbox that runs in the background.
    Stop(remote::Stop),
}

impl Sandbox {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        match &self.action {
            None => self.start.run(),
            Some(Action::Token(asked)) => asked.run(),
            Some(Action::Image(asked)) => asked.run(),
            Some(Action::Fault(asked)) => asked.run(),
            Some(Action::Reset(asked)) => asked.run(),
            Some(Action::Stop(asked)) => asked.run(),
        }
    }
}
