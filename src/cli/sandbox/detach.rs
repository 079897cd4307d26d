//! Running in the background: the same program again, left alone once it is ready.

use std::env;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::say;

/// The last line that a sandbox prints.
pub(super) const READY: &str = "# ready";

/// Starts the same command without `--detach`, and prints what it prints until it is ready.
pub(super) fn run() -> Result<Outcome, UsageError> {
    let program = env::current_exe().map_err(UsageError::Runtime)?;
    let arguments = env::args_os().skip(1).filter(|text| text != "--detach");
    // What it says at the start belongs to this command; later it has nobody to talk to.
    let path = env::temp_dir().join(format!("scgate-sandbox-{}.log", std::process::id()));
    let log = fs::File::create(&path).map_err(UsageError::Runtime)?;
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
                drop(fs::remove_file(&path));
                return Ok(match io::stdout().write_all(text.as_bytes()) {
                    Ok(()) => Outcome::Allowed,
                    Err(_) => Outcome::Undecided,
                });
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    let status = child.wait().map_err(UsageError::Runtime)?;
    let said = fs::read_to_string(&path).unwrap_or_default();
    drop(fs::remove_file(&path));
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
