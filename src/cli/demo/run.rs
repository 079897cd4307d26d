//! One step of the tour: a command that is run, shown as somebody would type it, and held to what the
//! tour tells of it.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::cli::UsageError;
use crate::cli::sandbox::host::export;
use crate::cli::sandbox::host::quoted;
use crate::output::Colour;

/// Columns of a command.
const WIDTH: usize = 100;

/// Why the tour does not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody ended it.
    Interrupted,
    /// Something turned out otherwise than the tour tells.
    Otherwise(String),
    /// stdout does not take it.
    Unwritten(io::Error),
    /// The machine does not let it.
    Usage(UsageError),
}

/// How much of what the commands say is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    /// What is new.
    News,
    Whole,
}

/// Whether somebody says when it goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    Stepwise,
    Through,
}

/// Where commands run.
#[derive(Debug)]
pub(super) struct Shell {
    /// This very program.
    pub(super) program: PathBuf,
    pub(super) directory: PathBuf,
    /// All that they find there.
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) running: Running,
}

/// The command that runs now, so that it can be ended from elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<Now>>);

#[derive(Debug, Default)]
enum Now {
    Child(Child),
    #[default]
    Nothing,
    Over,
}

impl Running {
    /// Ends the command that runs now; no other one begins.
    pub(super) fn end(&self) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Now::Child(child) = &mut *now {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
        *now = Now::Over;
    }

    /// Begins a command, unless all is over.
    fn begin(&self, mut command: Command) -> Result<(), Trouble> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*now, Now::Over) {
            return Err(Trouble::Interrupted);
        }
        *now = Now::Child(command.spawn().map_err(start)?);
        Ok(())
    }

    /// The exit code of the command that was begun and has closed its streams.
    fn code(&self) -> Result<Option<i32>, Trouble> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Now::Child(child) = &mut *now else {
            return Err(Trouble::Interrupted);
        };
        let status = child.wait().map_err(start)?;
        *now = Now::Nothing;
        Ok(status.code())
    }
}

fn start(source: io::Error) -> Trouble {
    Trouble::Usage(UsageError::Runtime(source))
}

impl Shell {
    /// What another shell has to be told for the same commands to mean the same.
    pub(super) fn preparation(&self) -> String {
        let path = |path: &PathBuf| quoted(&path.to_string_lossy());
        let mut text = format!(
            "cd {}\nalias scgate={}\n",
            path(&self.directory),
            path(&self.program)
        );
        for (name, value) in &self.environment {
            text.push_str(&export(name, value));
        }
        text
    }
}

/// A command of scgate, and what the tour tells of it.
#[derive(Debug)]
pub(super) struct Run {
    /// What stays on one line.
    units: Vec<Vec<String>>,
    into: Option<&'static str>,
    exits: i32,
    says: Vec<&'static str>,
    detail: Detail,
}

impl Run {
    /// A command that ends with 0.
    pub(super) fn new<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        let run = Self {
            units: Vec::new(),
            into: None,
            exits: 0,
            says: Vec::new(),
            detail: Detail::News,
        };
        run.and(words)
    }

    /// More words, which belong together.
    pub(super) fn and<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.units.push(words.into_iter().map(Into::into).collect());
        self
    }

    /// stdout goes to a file.
    pub(super) fn into_file(mut self, name: &'static str) -> Self {
        self.into = Some(name);
        self
    }

    /// It is denied.
    pub(super) fn denied(mut self) -> Self {
        self.exits = 1;
        self
    }

    /// This stands in what it says.
    pub(super) fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    /// All that it says is printed.
    pub(super) fn whole(mut self) -> Self {
        self.detail = Detail::Whole;
        self
    }

    /// As somebody would type it.
    fn typed(&self) -> String {
        let mut text = String::from("  $ scgate");
        let mut columns = text.len();
        let redirection = self.into.map(|file| format!("> {file}"));
        let units = self.units.iter().map(|unit| {
            let words: Vec<_> = unit.iter().map(|word| spelled(word)).collect();
            words.join(" ")
        });
        for unit in units.chain(redirection) {
            // A blank before it, and what goes on in the next line behind it.
            if columns + unit.len() + 3 > WIDTH {
                text.push_str(" \\\n     ");
                columns = 5;
            }
            text.push(' ');
            text.push_str(&unit);
            columns += unit.len() + 1;
        }
        text
    }

    /// Runs it: what it said on both streams, as a terminal would show it, and its exit code.
    fn run(&self, shell: &Shell, colour: Colour) -> Result<(Vec<u8>, Option<i32>), Trouble> {
        let (mut said, told) = io::pipe().map_err(start)?;
        let mut command = Command::new(&shell.program);
        command
            .args(self.units.iter().flatten())
            .env_clear()
            .envs(shell.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&shell.directory)
            .stdin(Stdio::null());
        if colour == Colour::Always {
            command.env("SCGATE_COLOR", "always");
        }
        // Windows has no sockets without it.
        if let Some(root) = std::env::var_os("SystemRoot") {
            command.env("SystemRoot", root);
        }
        #[cfg(unix)]
        {
            // An interrupt at the terminal is for the tour, which ends what runs.
            use std::os::unix::process::CommandExt;
            command.process_group(0);
        }
        match self.into {
            Some(name) => {
                let file = File::create(shell.directory.join(name)).map_err(start)?;
                command.stdout(file)
            }
            None => command.stdout(told.try_clone().map_err(start)?),
        };
        command.stderr(told);
        // The other end of the pipe is then the command's alone.
        shell.running.begin(command)?;
        let mut bytes = Vec::new();
        let read = said.read_to_end(&mut bytes);
        let code = shell.running.code()?;
        read.map_err(start)?;
        Ok((bytes, code))
    }

    /// Compares what became of it with what the tour tells.
    fn compare(&self, said: &str, code: Option<i32>) -> Result<(), Trouble> {
        let words = self.units.first().into_iter().flatten();
        let name = words.fold("scgate".to_owned(), |name, word| format!("{name} {word}"));
        if code != Some(self.exits) {
            let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
            return Err(Trouble::Otherwise(format!(
                "`{name}` ended with {code}, and the tour tells of exit code {}",
                self.exits
            )));
        }
        let said = without_colour(said);
        match self.says.iter().find(|text| !said.contains(**text)) {
            Some(text) => Err(Trouble::Otherwise(format!(
                "`{name}` does not say `{text}`, of which the tour tells"
            ))),
            None => Ok(()),
        }
    }
}

/// A word as a shell takes it.
fn spelled(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        quoted(word)
    }
}

/// What the tour is written on.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) detail: Detail,
    pub(super) colour: Colour,
    pub(super) pace: Pace,
}

impl Page {
    /// The beginning of a step.
    pub(super) fn title(&self, text: &str) -> Result<(), Trouble> {
        let text = match self.colour {
            // ECMA-48, 8.3.117 (SGR).
            Colour::Always => format!("\u{1b}[1m{text}\u{1b}[0m"),
            Colour::Never => text.to_owned(),
        };
        self.write(&format!("{text}\n\n"))
    }

    /// Sentences, line by line as they are written.
    pub(super) fn prose(&self, text: &str) -> Result<(), Trouble> {
        let mut page = String::new();
        for line in text.lines() {
            match line.is_empty() {
                true => page.push('\n'),
                false => page.push_str(&format!("  {line}\n")),
            }
        }
        page.push('\n');
        self.write(&page)
    }

    /// Runs a command, prints it with what it says, and compares that with what is told.
    pub(super) fn run(&self, shell: &Shell, run: &Run) -> Result<(), Trouble> {
        self.write(&format!("{}\n", run.typed()))?;
        let (bytes, code) = run.run(shell, self.colour)?;
        let said = String::from_utf8_lossy(&bytes);
        let mut page = String::new();
        let shown = match (self.detail, run.detail) {
            (Detail::News, Detail::News) => news(&said),
            (Detail::Whole, _) | (_, Detail::Whole) => said.lines().map(str::to_owned).collect(),
        };
        for line in shown {
            match line.is_empty() {
                true => page.push('\n'),
                false => page.push_str(&format!("    {line}\n")),
            }
        }
        page.push_str(&match code {
            Some(0) => "  exit code 0\n\n".to_owned(),
            Some(1) => "  exit code 1: denied\n\n".to_owned(),
            Some(other) => format!("  exit code {other}\n\n"),
            None => "  ended by a signal\n\n".to_owned(),
        });
        self.write(&page)?;
        run.compare(&said, code)
    }

    /// Waits for whoever reads, if they want that.
    pub(super) fn pause(&mut self) -> Result<(), Trouble> {
        if self.pace == Pace::Through {
            return Ok(());
        }
        self.write("  (Enter goes on) ")?;
        let mut line = String::new();
        // Where nothing comes any more nobody can say that it goes on.
        if !matches!(io::stdin().read_line(&mut line), Ok(length) if length > 0) {
            self.pace = Pace::Through;
        }
        self.write("\n")
    }

    pub(super) fn write(&self, text: &str) -> Result<(), Trouble> {
        let mut to = io::stdout().lock();
        let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        written.map_err(Trouble::Unwritten)
    }
}

/// What a command said, without what it said about single pieces of evidence. What is left out is
/// counted.
fn news(said: &str) -> Vec<String> {
    let lines: Vec<_> = said.lines().collect();
    let mut shown: Vec<String> = Vec::new();
    // Lines that are left out since the last one that is shown, and the blank ones behind them.
    let (mut left_out, mut blank) = (0, 0);
    let mut rest = lines.as_slice();
    while let Some((first, more)) = rest.split_first() {
        // A title and all that is indented under it.
        let length = more.iter().take_while(|line| line.starts_with(' ')).count();
        let (under, after) = more.split_at(length);
        let is_about_evidence = under
            .iter()
            .any(|line| without_colour(line).starts_with("  [1] "));
        if is_about_evidence {
            left_out += blank + 1 + length;
            blank = 0;
        } else if left_out > 0 && first.is_empty() && under.is_empty() {
            blank += 1;
        } else {
            if left_out > 0 {
                shown.push(marker(left_out));
                shown.extend((0..blank).map(|_| String::new()));
                (left_out, blank) = (0, 0);
            }
            shown.push((*first).to_owned());
            shown.extend(under.iter().map(|line| (*line).to_owned()));
        }
        rest = after;
    }
    if left_out > 0 {
        shown.push(marker(left_out));
    }
    shown
}

fn marker(left_out: usize) -> String {
    format!("[{left_out} lines about the evidence: `--whole` prints them]")
}

/// Text without SGR sequences (ECMA-48, 8.3.117).
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split("\u{1b}[");
    plain.extend(pieces.next());
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or(piece, |(_, after)| after));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let run = Run::new(["verify", "--recursive"])
            .and(["--certificate-identity", &"x".repeat(90)])
            .and(["it's", "a/b@c"])
            .into_file("out");
        let long = "x".repeat(90);
        let expected = format!(
            "  $ scgate verify --recursive \\\n      --certificate-identity {long} \\\n      \
             'it'\\''s' a/b@c > out"
        );
        assert_eq!(run.typed(), expected);
    }

    #[test]
    fn evidence_is_left_out_and_counted_and_nothing_else_is() {
        let said = "ALLOW a\n  policy b\n\nindex c: ok\n  [1]    accepted\n\nlinux c: ok\n  digest d\n  \
                    \u{1b}[1m[1]    accepted\u{1b}[0m\n{\"json\":1}\n\nwhy: e\n  [f]\n";
        assert_eq!(
            news(said),
            [
                "ALLOW a",
                "  policy b",
                "",
                &marker(6),
                "{\"json\":1}",
                "",
                "why: e",
                "  [f]"
            ]
        );
    }

    #[test]
    fn what_turns_out_otherwise_is_noticed() {
        let run = Run::new(["verify", "--recursive"]).and(["a"]);
        let run = run.denied().says("no-signature");
        let sentence = |said: &str, code| match run.compare(said, code) {
            Err(Trouble::Otherwise(sentence)) => sentence,
            other => format!("{other:?}"),
        };
        assert_eq!(
            sentence("\u{1b}[1mno-\u{1b}[0msignature", Some(1)),
            "Ok(())"
        );
        assert_eq!(
            sentence("no-signature", Some(0)),
            "`scgate verify --recursive` ended with exit code 0, and the tour tells of exit code 1"
        );
        assert_eq!(
            sentence("no-signature", None),
            "`scgate verify --recursive` ended with a signal, and the tour tells of exit code 1"
        );
        assert_eq!(
            sentence("identity-mismatch", Some(1)),
            "`scgate verify --recursive` does not say `no-signature`, of which the tour tells"
        );
    }
}
