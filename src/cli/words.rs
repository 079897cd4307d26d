//! Words that make no command: what clap found, as one sentence that names the thing and the remedy.

use std::env;
use std::ffi::OsString;

use clap::Command;
use clap::CommandFactory;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::cli::refused;
use crate::model::printable;

/// The sentence, and the line that says where help is. Nothing where clap's own words are wanted:
/// help, version, and a command line without a command.
pub(super) fn sentence(error: &clap::Error, arguments: &[OsString]) -> Option<(String, String)> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    let told = Told {
        error,
        arguments,
        command: Cli::command(),
    };
    let mut help = "`scgate".to_owned();
    for command in told.path() {
        help.push(' ');
        help.push_str(command.get_name());
    }
    help.push_str(" --help` says what there is");
    Some((told.sentence(), help))
}

struct Told<'a> {
    error: &'a clap::Error,
    arguments: &'a [OsString],
    command: Command,
}

impl Told<'_> {
    fn sentence(&self) -> String {
        let flag = || bare(&self.text(ContextKind::InvalidArg));
        let value = self.text(ContextKind::InvalidValue);
        match self.error.kind() {
            ErrorKind::UnknownArgument if !flag().starts_with('-') => format!(
                "`{}` is one word too many (put a value behind its flag, and words with spaces in \
                 quotes)",
                flag()
            ),
            ErrorKind::UnknownArgument => {
                let near = self.text(ContextKind::SuggestedArg);
                let near = match near.as_str() {
                    near if near.is_empty() || self.is_refused(&bare(near)) => {
                        "leave it away, or compare it with the help".to_owned()
                    }
                    near => format!("did you mean `{}`?", bare(near)),
                };
                format!("there is no flag `{}` ({near})", flag())
            }
            ErrorKind::InvalidSubcommand => {
                let known: Vec<_> = self
                    .subcommand()
                    .unwrap_or(&self.command)
                    .get_subcommands()
                    .filter(|command| !command.is_hide_set())
                    .map(|command| format!("`{}`", command.get_name()))
                    .collect();
                format!(
                    "there is no command `{}` (there are {})",
                    self.text(ContextKind::InvalidSubcommand),
                    known.join(", ")
                )
            }
            ErrorKind::MissingSubcommand => "the command is missing (name one)".to_owned(),
            ErrorKind::MissingRequiredArgument => {
                format!(
                    "{} is missing (give it)",
                    self.text(ContextKind::InvalidArg)
                )
            }
            ErrorKind::InvalidValue | ErrorKind::TooFewValues if value.is_empty() => {
                match self.text(ContextKind::ValidValue).as_str() {
                    "" => format!("`{}` has no value (give one)", flag()),
                    known => format!("`{}` has no value (give one of {known})", flag()),
                }
            }
            ErrorKind::InvalidValue => format!(
                "{}: there is no such value (give one of {})",
                self.given(&flag(), &value),
                self.text(ContextKind::ValidValue)
            ),
            ErrorKind::ValueValidation => {
                let reason = core::error::Error::source(self.error);
                let reason = reason.map_or_else(
                    || "there is no such value".to_owned(),
                    |reason| printable(&reason.to_string()),
                );
                format!("{}: {reason}", self.given(&flag(), &value))
            }
            ErrorKind::NoEquals => format!(
                "`{0}` and its value are one word (write `{0}=VALUE`)",
                flag()
            ),
            ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
                format!("`{}` takes another number of values (give one)", flag())
            }
            ErrorKind::ArgumentConflict => {
                let other = bare(&self.text(ContextKind::PriorArg));
                if other.is_empty() || other == flag() {
                    format!("`{}` is given twice (give it once)", flag())
                } else {
                    format!(
                        "`{}` and `{other}` exclude each other (give only one of them)",
                        flag()
                    )
                }
            }
            ErrorKind::InvalidUtf8 => {
                "a word is not UTF-8 (write it in UTF-8, or rename the file)".to_owned()
            }
            _ => printable(self.error.to_string().lines().next().unwrap_or_default())
                .trim_start_matches("error: ")
                .to_owned(),
        }
    }

    /// Whether the command has a flag only to refuse it.
    fn is_refused(&self, flag: &str) -> bool {
        let long = flag.strip_prefix("--").unwrap_or(flag);
        let mut args = self
            .subcommand()
            .into_iter()
            .flat_map(Command::get_arguments);
        args.any(|arg| arg.get_long() == Some(long) && refused::is_refused(arg))
    }

    /// The command that is named, which has the flags.
    fn subcommand(&self) -> Option<&Command> {
        self.path().pop()
    }

    /// The command that is named, after those that it is a part of.
    fn path(&self) -> Vec<&Command> {
        let mut path = Vec::new();
        let mut within = &self.command;
        for word in self.arguments.iter().skip(1) {
            match within.find_subcommand(word) {
                Some(command) if command.is_hide_set() => break,
                Some(command) => {
                    path.push(command);
                    within = command;
                }
                None => {}
            }
        }
        path
    }

    /// A value with what it was given by: a flag, or the variable that stands for it.
    fn given(&self, flag: &str, value: &str) -> String {
        let long = flag.strip_prefix("--").unwrap_or_default();
        let variable = self
            .subcommand()
            .and_then(|command| {
                command
                    .get_arguments()
                    .find(|arg| arg.get_long() == Some(long))
            })
            .and_then(|arg| arg.get_env());
        let short = self
            .subcommand()
            .and_then(|command| {
                command
                    .get_arguments()
                    .find(|arg| arg.get_long() == Some(long))
            })
            .and_then(clap::Arg::get_short);
        let is_typed = self.arguments.iter().any(|word| {
            let word = word.to_string_lossy();
            word.split('=').next() == Some(flag)
                || short.is_some_and(|short| {
                    word.strip_prefix('-')
                        .is_some_and(|rest| !rest.starts_with('-') && rest.contains(short))
                })
        });
        match variable {
            Some(name) if !is_typed && env::var_os(name).is_some() => {
                format!("`{}={value}`", name.to_string_lossy())
            }
            _ if value.is_empty() => format!("`{flag} ''`"),
            _ => format!("`{flag} {value}`"),
        }
    }

    /// What clap says of one thing, cut and escaped; several things with commas between them.
    fn text(&self, kind: ContextKind) -> String {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => printable(text),
            Some(ContextValue::Strings(texts)) => {
                let each = |text: &String| format!("`{}`", printable(text));
                texts.iter().map(each).collect::<Vec<_>>().join(", ")
            }
            _ => String::new(),
        }
    }
}

/// A flag without what clap says of its value: `--color` of `--color <WHEN>`.
fn bare(shown: &str) -> String {
    if !shown.starts_with('-') {
        return shown.to_owned();
    }
    let end = shown.find([' ', '=', '[']).unwrap_or(shown.len());
    shown.get(..end).unwrap_or(shown).to_owned()
}
