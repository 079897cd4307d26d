//! `scgate demo`: the guided tour, in a world of its own.
//!
//! A sandbox runs in this process, and every step is this very program once more, with a clean
//! environment: what is printed is what it said, and a step that ends otherwise than the tour tells
//! ends the tour. Start with `steps.rs`, which is the tour; `run.rs` is how a step is run and shown.

mod run;
mod steps;
mod tamper;

use core::time::Duration;
use std::fs;
use std::io;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::When;
use crate::cli::answer::look;
use crate::cli::demo::run::Detail;
use crate::cli::demo::run::Pace;
use crate::cli::demo::run::Page;
use crate::cli::demo::run::Running;
use crate::cli::demo::run::Shell;
use crate::cli::demo::run::Trouble;
use crate::cli::files::show;
use crate::cli::sandbox::host::Directory;
use crate::cli::sandbox::host::interrupt;
use crate::cli::sandbox::host::variables;
use crate::cli::say;
use crate::sandbox::Sandbox;
use crate::sandbox::server::Fault;

/// How long what was interrupted may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A guided tour: sign, attest, verify, tamper, copy; in a world of its own.
///
/// It starts a sandbox in this process, runs scgate's commands against it, and prints each with what
/// it said. Nothing else is installed, asked or changed, and no network is used but loopback. Exit
/// codes: 0 everything turned out as told, 3 something did not, or the tour was not read to its end.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Wait for Enter after each step, at a terminal. The commands can be typed in another one.
    #[arg(long)]
    pause: bool,

    /// Print all that the commands say. Without it, what they say about each piece of evidence is
    /// printed once.
    #[arg(long)]
    whole: bool,

    /// Keep the files there, in a new directory. Without it they are removed at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Whether text has colours. With `auto`, terminals have, unless `NO_COLOR` is set.
    #[arg(
        long,
        value_name = "WHEN",
        env = "SCGATE_COLOR",
        default_value = "auto"
    )]
    color: When,

    /// What the services do wrong, as `scgate sandbox --fault` takes it: the tour then ends where it
    /// is noticed.
    #[arg(long, value_name = "FAULT", hide = true)]
    fault: Vec<Fault>,
}

impl Demo {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        if let Some(path) = &self.keep {
            refuse_full(path)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(UsageError::Runtime)?;
        let outcome = runtime.block_on(self.guide());
        // Who was interrupted may still be waiting for a key.
        runtime.shutdown_background();
        outcome
    }

    async fn guide(&self) -> Result<Outcome, UsageError> {
        let begin = Instant::now();
        let sandbox = Sandbox::start().await?;
        for fault in &self.fault {
            sandbox.inject(fault.clone());
        }
        let prefix = "scgate-demo-";
        let directory = Directory::new(("--keep", self.keep.as_deref()), prefix)?;
        for (name, content) in sandbox.files() {
            directory.write(name, &content)?;
        }
        let colour = look(self.color, &io::stdout()).colour;
        let page = Page {
            detail: match self.whole {
                true => Detail::Whole,
                false => Detail::News,
            },
            colour,
            pace: self.pace(),
        };
        let running = Running::default();
        let shell = Shell {
            program: std::env::current_exe().map_err(UsageError::Runtime)?,
            directory: directory.path().into(),
            environment: variables(&sandbox, directory.path()),
            running: running.clone(),
        };
        let is_kept = self.keep.is_some();
        let work = move || steps::tour(page, shell, sandbox, is_kept, begin);
        let mut tour = tokio::task::spawn_blocking(work);
        let ended = tokio::select! {
            ended = &mut tour => ended,
            interrupted = interrupt() => {
                running.end();
                // So that nothing is written any more while the files are removed. Whoever waits for a
                // key writes nothing.
                drop(tokio::time::timeout(PATIENCE, tour).await);
                return interrupted.map(|()| Outcome::Undecided).map_err(UsageError::Runtime);
            }
        };
        match ended {
            Ok(Ok(())) => Ok(Outcome::Allowed),
            Ok(Err(Trouble::Unwritten(error))) => {
                // Whoever closed the pipe has read enough.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    say("error", &format!("the tour could not be written: {error}"));
                }
                Ok(Outcome::Undecided)
            }
            Ok(Err(Trouble::Interrupted)) => Ok(Outcome::Undecided),
            Ok(Err(Trouble::Usage(error))) => Err(error),
            Ok(Err(Trouble::Otherwise(sentence))) => {
                say("error", &format!("the tour ends here: {sentence}"));
                say(
                    "help",
                    "What the command printed says why. Without a `--fault` it is a bug: please report \
                     it.",
                );
                Ok(Outcome::Undecided)
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(UsageError::Runtime(io::Error::other(error))),
            },
        }
    }

    /// Waits where somebody is there to go on.
    fn pace(&self) -> Pace {
        if !self.pause {
            return Pace::Through;
        }
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            Pace::Stepwise
        } else {
            say("note", "`--pause` waits at a terminal alone");
            Pace::Through
        }
    }
}

/// Files of somebody else are not overwritten.
fn refuse_full(path: &Path) -> Result<(), UsageError> {
    let is_full = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if is_full {
        return Err(UsageError::Value {
            flag: "--keep",
            value: show(path),
            expected: "there is something in it (name a new directory)",
        });
    }
    Ok(())
}
