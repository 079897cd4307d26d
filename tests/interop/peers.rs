//! The programs of the ring: where they are, how they run, what they answered.
//!
//! Every program starts with an empty environment and its own home, so that no credential, trust
//! root or proxy of the machine takes part. Registries listen on loopback and die with the value
//! that owns them, or with the test process.

use std::env;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

const VARIABLE: &str = "SCGATE_INTEROP_BIN";

/// The installed peers and a scratch directory, which is also everybody's home and working
/// directory.
pub(crate) struct Ring {
    programs: PathBuf,
    scratch: TempDir,
    variables: Vec<(String, String)>,
}

impl Ring {
    /// The ring that `tests/interop/run` installed; none, loudly, when the variable isn't set.
    pub(crate) fn find() -> Option<Self> {
        let Some(programs) = env::var_os(VARIABLE).map(PathBuf::from) else {
            say(&format!(
                "SKIPPED interop: set {VARIABLE} (see tests/interop/run)"
            ));
            return None;
        };
        for name in ["cosign", "crane", "registry"] {
            let program = programs.join(name);
            assert!(
                program.is_file(),
                "{VARIABLE} is set but {} is absent",
                program.display()
            );
        }
        let scratch = tempfile::tempdir().expect("a temporary directory can be made");
        Some(Self {
            programs,
            scratch,
            variables: Vec::new(),
        })
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A program of the ring, or of the machine; none where neither has it.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = env::split_paths(&path);
        let own = self.programs.join(name);
        if own.is_file() {
            return Some(own);
        }
        folders
            .find(|folder| folder.join(name).is_file())
            .map(|folder| folder.join(name))
    }

    pub(crate) fn cosign<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        self.ask(&self.programs.join("cosign"), self.scratch(), arguments)
    }

    pub(crate) fn scgate<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Answer {
        self.ask(
            Path::new(env!("CARGO_BIN_EXE_scgate")),
            self.scratch(),
            arguments,
        )
    }

    /// cosign 2, where the ring has it: the big one does.
    pub(crate) fn cosign2<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Option<Answer> {
        let program = self.programs.join("cosign2");
        program
            .is_file()
            .then(|| self.ask(&program, self.scratch(), arguments))
    }

    /// Any program of the ring or of the machine, with more variables; nothing where it is absent.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        name: &str,
        variables: &[(&str, &str)],
        arguments: impl IntoIterator<Item = S>,
    ) -> Option<Answer> {
        let program = match name {
            "scgate" => PathBuf::from(env!("CARGO_BIN_EXE_scgate")),
            name => self.program(name)?,
        };
        Some(self.ask_with(&program, self.scratch(), variables, arguments))
    }

    /// Another environment variable for everything that runs from now on.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Runs crane, which has to succeed, and returns the first line of what it printed.
    pub(crate) fn crane<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let answer = self.ask(&self.programs.join("crane"), self.scratch(), arguments);
        assert_eq!(answer.exit, Some(0), "{answer}");
        answer.stdout.lines().next().unwrap_or_default().to_owned()
    }

    /// Runs crane, which has to succeed, and returns all that it printed.
    pub(crate) fn crane_whole<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let answer = self.ask(&self.programs.join("crane"), self.scratch(), arguments);
        assert_eq!(answer.exit, Some(0), "{answer}");
        answer.stdout
    }

    /// As [`Ring::cosign`], from the directory that holds the files which the arguments name.
    pub(crate) fn cosign_in(&self, directory: &Path, arguments: &[String]) -> Answer {
        self.ask(&self.programs.join("cosign"), directory, arguments)
    }

    /// As [`Ring::scgate`], from the directory that holds the files which the arguments name.
    pub(crate) fn scgate_in(&self, directory: &Path, arguments: &[String]) -> Answer {
        self.ask(
            Path::new(env!("CARGO_BIN_EXE_scgate")),
            directory,
            arguments,
        )
    }

    pub(crate) fn registry(&self, listing: Listing) -> Registry {
        let switch = match listing {
            Listing::FallbackTag => "-referrers=false",
            Listing::Referrers => "-referrers=true",
        };
        let mut child = Command::new(self.programs.join("registry"))
            .args(["-listen", "127.0.0.1:0", "-until-eof", switch])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut address)
            .expect("the registry prints its address");
        let address = address.trim().to_owned();
        assert!(
            address.starts_with("127."),
            "the registry listens on {address:?}"
        );
        Registry { address, child }
    }

    /// distribution, which has no referrers API, in memory; nothing where the ring lacks it: the full
    /// one has it.
    pub(crate) fn distribution(&self) -> Option<Registry> {
        let program = self.programs.join("distribution");
        if !program.is_file() {
            return None;
        }
        // It does not say which port it was given, so that it is given a free one.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback has a free port")
            .to_string();
        let config = self.scratch().join(format!("distribution-{address}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{inmemory: {{}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"{address}\", secret: interop}}\n"
        );
        fs::write(&config, text).expect("the scratch is writable");
        // A shell ends it when this process ends, however it does.
        let child = Command::new("/bin/sh")
            .args([
                "-c",
                "\"$0\" serve \"$1\" >\"$1.log\" 2>&1 & read -r _; kill $!",
            ])
            .arg(&program)
            .arg(&config)
            .env_clear()
            .stdin(Stdio::piped())
            .spawn()
            .expect("distribution starts");
        let patience = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < patience, "distribution does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(Registry { address, child })
    }

    fn ask<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        directory: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Answer {
        self.ask_with(program, directory, &[], arguments)
    }

    fn ask_with<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        directory: &Path,
        variables: &[(&str, &str)],
        arguments: impl IntoIterator<Item = S>,
    ) -> Answer {
        let arguments: Vec<OsString> = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned())
            .collect();
        let output = Command::new(program)
            .args(&arguments)
            .current_dir(directory)
            .env_clear()
            .env("HOME", self.scratch())
            .env("DOCKER_CONFIG", self.scratch())
            .env("TUF_ROOT", self.scratch().join("tuf"))
            .env("COSIGN_PASSWORD", "interop")
            .env("SIGSTORE_NO_CACHE", "true")
            .envs(self.variables.iter().cloned())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let words: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        Answer {
            command: format!("{name} {}", words.join(" ")),
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How a registry lists what refers to a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    FallbackTag,
    Referrers,
}

/// A running registry; dropping it ends the process.
pub(crate) struct Registry {
    pub(crate) address: String,
    child: Child,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Its stdin ends, and so does it; if it has already, there is nobody left to tell.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// What one run of a program came to.
pub(crate) struct Answer {
    pub(crate) command: String,
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Whether the exit code is the expected one: 0 for a yes, 1 for scgate's no, anything else but
    /// 0 for cosign's.
    pub(crate) fn says(&self, verdict: Verdict, asked: Asked) -> bool {
        match (verdict, asked) {
            (Verdict::Yes, _) => self.exit == Some(0),
            (Verdict::No, Asked::Scgate) => self.exit == Some(1),
            (Verdict::No, Asked::Cosign) => self.exit.is_some_and(|exit| exit != 0),
        }
    }

    /// Whether scgate's JSON has one of these codes; an empty list asks for nothing.
    pub(crate) fn names_one_of(&self, codes: &[&str]) -> bool {
        codes.is_empty()
            || self
                .codes()
                .iter()
                .any(|code| codes.contains(&code.as_str()))
    }

    /// Every `code` in scgate's JSON, at whatever depth.
    pub(crate) fn codes(&self) -> Vec<String> {
        let mut codes = Vec::new();
        if let Ok(report) = serde_json::from_str(&self.stdout) {
            collect_codes(&report, &mut codes);
        }
        codes
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        writeln!(f, "exit {:?}", self.exit)?;
        writeln!(f, "{}{}", self.stdout, self.stderr)
    }
}

/// The answer that a row expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes,
    No,
}

/// Whose exit code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Cosign,
    Scgate,
}

/// Writes past the capture of the test harness, so that a skipped ring can't look like a passed
/// one.
pub(crate) fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("stderr is open");
}

fn collect_codes(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_codes(item, into)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(code) if name == "code" => into.push(code.clone()),
                    Value::Array(_)
                    | Value::Bool(_)
                    | Value::Null
                    | Value::Number(_)
                    | Value::Object(_)
                    | Value::String(_) => collect_codes(member, into),
                }
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}
