//! Running in the background: the same program again, left alone once it is ready.

use std::env;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::error::Access;
use crate::cli::files::show;
use crate::cli::say;
use crate::sandbox::Remote;

/// The last line that a sandbox prints.
pub(super) const READY: &str = "# ready";

/// Starts the same command without `--detach`, and prints what it prints until it is ready.
pub(super) fn run() -> Result<Outcome, UsageError> {
    let program = env::current_exe().map_err(UsageError::Runtime)?;
    let arguments = env::args_os().skip(1).filter(|text| text != "--detach");
    // What it says at the start belongs to this command; later it has nobody to talk to.
    let all = env::temp_dir();
    let said = tempfile::NamedTempFile::new_in(&all).map_err(|source| UsageError::File {
        flag: "TMPDIR",
        path: show(&all),
        to: Access::Write,
        source,
    })?;
    let log = said.reopen().map_err(UsageError::Runtime)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    #[cfg(unix)]
    {
        // An interrupt at the terminal is not meant for it.
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(UsageError::Runtime)?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(UsageError::Runtime)?;
            if line == READY {
                text.push_str(&format!("export SCGATE_SANDBOX_PID='{}'\n", child.id()));
                let told = io::stdout().write_all(text.as_bytes());
                return Ok(match told.and_then(|()| io::stdout().flush()) {
                    Ok(()) => Outcome::Allowed,
                    Err(_) => {
                        // Nobody knows where it is, so nobody can use it, nor end it.
                        end(&mut child, &text);
                        Outcome::Undecided
                    }
                });
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    let status = child.wait().map_err(UsageError::Runtime)?;
    let said = fs::read_to_string(said.path()).unwrap_or_default();
    for line in said.lines() {
        match line.split_once(": ") {
            Some((kind, rest)) => say(kind, rest),
            None => say("error", line),
        }
    }
    Ok(match status.code() {
        Some(2) => Outcome::Usage,
        _ => Outcome::Undecided,
    })
}

/// Asks a sandbox to end, and waits for that.
fn end(child: &mut Child, told: &str) {
    let url = told
        .lines()
        .find_map(|line| line.strip_prefix("export SCGATE_SANDBOX='"))
        .map(|url| url.trim_end_matches('\''));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = match (url.map(Remote::new), runtime) {
        (Some(Ok(remote)), Ok(runtime)) => runtime.block_on(remote.stop()).is_ok(),
        _ => false,
    };
    if !asked {
        drop(child.kill());
    }
    drop(child.wait());
}
