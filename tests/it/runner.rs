//! Runs the real binary with a scrubbed environment, and says everything when the exit code is
//! another than expected.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// One run, not started yet.
pub(crate) struct Run {
    words: Vec<OsString>,
    variables: Vec<(String, String)>,
    directory: Option<PathBuf>,
    stdin: Vec<u8>,
    stdout: Option<std::fs::File>,
}

/// What a run said.
pub(crate) struct Said {
    words: Vec<OsString>,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Begins a run of `scgate` with these words.
pub(crate) fn scgate<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Run {
    Run {
        words: words.into_iter().map(|w| w.as_ref().to_owned()).collect(),
        variables: Vec::new(),
        directory: None,
        stdin: Vec::new(),
        stdout: None,
    }
}

impl Run {
    /// More words.
    pub(crate) fn and<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words
            .extend(words.into_iter().map(|w| w.as_ref().to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    /// stdout goes there instead of into the answer.
    pub(crate) fn stdout(mut self, to: std::fs::File) -> Self {
        self.stdout = Some(to);
        self
    }

    /// Runs, and expects an exit code.
    pub(crate) fn exits(self, code: i32) -> Said {
        let said = self.run();
        assert_eq!(said.code, Some(code), "expected exit {code}\n{said}");
        said
    }

    pub(crate) fn run(self) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scgate"));
        command
            .args(&self.words)
            .env_clear()
            .envs(self.variables)
            .stdin(Stdio::piped())
            .stdout(self.stdout.map_or_else(Stdio::piped, Stdio::from))
            .stderr(Stdio::piped());
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = self.stdin;
        // Whoever reads no stdin closes it.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let ended = end_late(child.id());
        let output = child.wait_with_output().unwrap();
        drop(ended);
        writer.join().unwrap();
        Said {
            words: self.words,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Ends a process that is still there after two minutes, unless what this gives is dropped before: a
/// server that starts where it should not would never end.
fn end_late(process: u32) -> mpsc::Sender<()> {
    let (ended, wait) = mpsc::channel();
    std::thread::spawn(move || {
        if wait.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
            drop(Command::new("kill").arg(process.to_string()).status());
        }
    });
    ended
}

impl Said {
    /// Expects a text on stderr.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in stderr\n{self}");
        self
    }

    /// The codes of all denials and gaps in scgate's JSON on stdout, sorted.
    pub(crate) fn codes(&self) -> Vec<String> {
        let json: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self}"));
        let mut codes = Vec::new();
        for report in json["reports"].as_array().unwrap() {
            for member in ["denials", "gaps"] {
                let all = report[member].as_array().into_iter().flatten();
                codes.extend(all.map(|denial| denial["code"].as_str().unwrap().to_owned()));
            }
        }
        codes.sort();
        codes.dedup();
        codes
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$ scgate")?;
        for word in &self.words {
            write!(f, " {}", word.to_string_lossy())?;
        }
        writeln!(f, "\nexit {:?}", self.code)?;
        writeln!(f, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }
}
