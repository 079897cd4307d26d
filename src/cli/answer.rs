//! Where answers go: forms of output, files, colour, and the exit code.

use std::env;
use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::io;
use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use crate::admit::Report;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::error::Access;
use crate::cli::files::show;
use crate::cli::say;
use crate::output::Colour;
use crate::output::Format;
use crate::output::Look;
use crate::output::render;
use crate::policy;

/// How the answer is written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputFlags {
    /// `text`, `json` or `cosign-json`; to stdout, or to a file with `=FILE`. May be repeated.
    #[arg(short, long, value_name = "FORMAT[=FILE]", env = "SCGATE_OUTPUT")]
    output: Vec<Target>,

    /// Whether text has colours. With `auto`, terminals have, unless `NO_COLOR` is set.
    #[arg(
        long,
        value_name = "WHEN",
        env = "SCGATE_COLOR",
        default_value = "auto"
    )]
    color: When,
}

/// Whether text has colours.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum When {
    Always,
    Auto,
    Never,
}

/// One form of output and where it goes.
#[derive(Clone, Debug)]
struct Target {
    name: String,
    format: Format,
    /// None for stdout.
    file: Option<PathBuf>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("no file is named after the `=`".to_owned()),
            Some((format, file)) => (format, Some(file.into())),
            None => (text, None),
        };
        let format = match format {
            "text" => Format::Text,
            "json" => Format::Json,
            "cosign-json" => Format::CosignJson,
            _ => return Err("a format is one of `text`, `json`, `cosign-json`".to_owned()),
        };
        Ok(Self {
            name: text.to_owned(),
            format,
            file,
        })
    }
}

/// The places that answers go to, opened.
#[derive(Debug)]
pub(super) struct Answers {
    stdout: Option<Format>,
    files: Vec<(Format, PathBuf, File)>,
    color: When,
}

impl OutputFlags {
    /// Opens every file, so that what cannot be written is known before anything is decided.
    /// `default` goes to stdout when no flag says otherwise, and without one something else does.
    /// `inputs` are the files that are read, which no form overwrites.
    pub(super) fn open(
        &self,
        default: Option<Format>,
        inputs: &[PathBuf],
    ) -> Result<Answers, UsageError> {
        let mut answers = Answers {
            stdout: None,
            files: Vec::new(),
            color: self.color,
        };
        let mut paths: Vec<(Format, &PathBuf)> = Vec::new();
        for target in &self.output {
            match &target.file {
                None if answers.stdout.is_some() => {
                    return Err(UsageError::Value {
                        flag: "--output",
                        value: target.name.clone(),
                        expected: "only one form goes to stdout (write the others to files with \
                                   `FORMAT=FILE`)",
                    });
                }
                None => answers.stdout = Some(target.format),
                Some(path) if paths.iter().any(|(_, other)| *other == path) => {
                    return Err(shared(path));
                }
                Some(path) => paths.push((target.format, path)),
            }
        }
        let wrong = |path: &Path, source| UsageError::File {
            flag: "--output",
            path: show(path),
            to: Access::Write,
            source,
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let is_stdout = answers.stdout.is_some() || default.is_none();
        let mut taken = vec![stream_identity(is_stdout)];
        let read = inputs.iter().filter_map(|path| fs::metadata(path).ok());
        let read: Vec<_> = read.filter_map(|found| identity(&found)).collect();
        for (format, path) in paths {
            let is_of_input = path.exists() && inputs.iter().any(|input| is_inside(path, input));
            let file = options.open(path).map_err(|error| wrong(path, error))?;
            let found = file.metadata().map_err(|error| wrong(path, error))?;
            let identity = identity(&found);
            if identity.is_some() && taken.contains(&identity) {
                return Err(shared(path));
            }
            let is_read = identity.is_some_and(|identity| read.contains(&identity));
            if is_read || is_of_input {
                return Err(UsageError::Value {
                    flag: "--output",
                    value: show(path),
                    expected: "it is read, and would be overwritten (name another)",
                });
            }
            taken.push(identity);
            answers.files.push((format, path.clone(), file));
        }
        // What stands in a file is lost only when all of them can be written.
        for (_, path, file) in &answers.files {
            let empty = || match file.metadata()?.is_file() {
                true => file.set_len(0),
                false => Ok(()),
            };
            empty().map_err(|error| wrong(path, error))?;
        }
        if self.output.is_empty() {
            answers.stdout = default;
        }
        Ok(answers)
    }
}

impl OutputFlags {
    /// Refuses the form of cosign's verdicts, for a command that gives none.
    pub(super) fn without_verdict(&self) -> Result<(), UsageError> {
        let of_cosign = |target: &&Target| target.format == Format::CosignJson;
        match self.output.iter().find(of_cosign) {
            Some(target) => Err(UsageError::Value {
                flag: "--output",
                value: crate::model::printable(&target.name),
                expected: "that is the form of a verdict, and none is given here (give `text` or \
                           `json`)",
            }),
            None => Ok(()),
        }
    }
}

/// Whether a file lies in a directory that is read.
fn is_inside(file: &Path, directory: &Path) -> bool {
    match (file.canonicalize(), directory.canonicalize()) {
        (Ok(file), Ok(directory)) => directory.is_dir() && file.starts_with(directory),
        _ => false,
    }
}

/// Two forms in one file are neither.
fn shared(path: &Path) -> UsageError {
    UsageError::Value {
        flag: "--output",
        value: show(path),
        expected: "each form goes to a file of its own (name another)",
    }
}

/// Which regular file it is, by whatever path it was opened: device and inode. None for a device or a
/// pipe, which has no content to lose.
#[cfg(unix)]
fn identity(found: &Metadata) -> Option<(u64, u64)> {
    found.is_file().then(|| (found.dev(), found.ino()))
}

/// The regular file that stdout or stderr goes to, if it is one. What people read goes to stderr when
/// no form goes to stdout.
#[cfg(unix)]
fn stream_identity(is_stdout: bool) -> Option<(u64, u64)> {
    let stream = match is_stdout {
        true => io::stdout().as_fd().try_clone_to_owned(),
        false => io::stderr().as_fd().try_clone_to_owned(),
    };
    identity(&File::from(stream.ok()?).metadata().ok()?)
}

/// Where a stream goes cannot be told here.
#[cfg(not(unix))]
fn stream_identity(_: bool) -> Option<(u64, u64)> {
    None
}

/// Which regular file it is cannot be told here; paths alone are compared.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

impl Answers {
    /// Whether a report goes to stdout.
    pub(super) const fn take_stdout(&self) -> bool {
        self.stdout.is_some()
    }

    /// Writes the reports to every place, the text to stderr when stdout has none. An answer that
    /// could not be written is none: it never ends as allowed.
    pub(super) fn write(self, reports: &[Report]) -> Outcome {
        let write = |format, look, to: &mut dyn Write| render(reports, format, look, to);
        self.write_by(outcome(reports), write)
    }

    /// Writes something else than reports, that ends with this outcome.
    pub(super) fn write_by(
        self,
        outcome: Outcome,
        render: impl Fn(Format, Look, &mut dyn Write) -> io::Result<()>,
    ) -> Outcome {
        let mut written = Ok(());
        for (format, path, file) in self.files {
            let mut to = BufWriter::new(file);
            let done = render(format, Look::default(), &mut to).and_then(|()| to.flush());
            if let Err(error) = done {
                say("error", &format!("`--output {}`: {error}", show(&path)));
                written = Err(());
            }
        }
        let done = match self.stdout {
            Some(format) => {
                let look = look(self.color, &io::stdout());
                let mut to = BufWriter::new(io::stdout().lock());
                render(format, look, &mut to).and_then(|()| to.flush())
            }
            None => {
                let look = look(self.color, &io::stderr());
                let mut to = BufWriter::new(io::stderr().lock());
                render(Format::Text, look, &mut to).and_then(|()| to.flush())
            }
        };
        if let Err(error) = done {
            say(
                "error",
                &format!("the answer could not be written: {error}"),
            );
            written = Err(());
        }
        settled(outcome, written)
    }
}

/// Writes verified data to stdout, after everything was allowed.
pub(super) fn write_data(lines: &[Vec<u8>]) -> Outcome {
    let mut to = BufWriter::new(io::stdout().lock());
    let mut write = || {
        for line in lines {
            to.write_all(line)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    };
    match write() {
        Ok(()) => Outcome::Allowed,
        Err(error) => {
            say(
                "error",
                &format!("the answer could not be written: {error}"),
            );
            Outcome::Undecided
        }
    }
}

fn settled(outcome: Outcome, written: Result<(), ()>) -> Outcome {
    match (outcome, written) {
        (Outcome::Allowed, Err(())) => Outcome::Undecided,
        (outcome, _) => outcome,
    }
}

/// One denied is denied; else one undecided is undecided.
pub(super) fn outcome(reports: &[Report]) -> Outcome {
    let worst = reports.iter().map(|report| report.decision.outcome()).max();
    match worst {
        Some(policy::Outcome::Allow) => Outcome::Allowed,
        Some(policy::Outcome::Deny) => Outcome::Denied,
        Some(policy::Outcome::Undecided) | None => Outcome::Undecided,
    }
}

/// What suits the place that text goes to.
pub(super) fn look(color: When, to: &impl IsTerminal) -> Look {
    let is_terminal = to.is_terminal();
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colour = match color {
        When::Always => Colour::Always,
        When::Auto if is_terminal && !set("NO_COLOR") && !dumb => Colour::Always,
        When::Auto | When::Never => Colour::Never,
    };
    let columns = terminal_size::terminal_size().filter(|_| is_terminal);
    Look {
        width: columns.map_or(Look::default().width, |(width, _)| usize::from(width.0)),
        colour,
    }
}
