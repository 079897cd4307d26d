//! `scgate trust check`: is this the reviewed root, and does it have what verification needs?

use core::time::Duration;

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::write_data;
use crate::cli::registry::parse_duration;
use crate::cli::say;
use crate::cli::trust_root::Form;
use crate::cli::trust_root::RootFlags;
use crate::cli::trust_root::show::json;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Need;
use crate::verify::Piece;

/// Is a trusted root the reviewed one, and does it have what verification needs?
///
/// Exit code 0 when it does, and goes on to; 1 when it does not, or is another; 2 for a file that is
/// no trusted root.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    root: RootFlags,

    /// For how long it must go on to, such as `30d` or `12h`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_within)]
    #[arg(allow_hyphen_values = true)]
    within: Duration,

    /// The id of the reviewed root, as `trust pin FILE` says it. May be repeated: any of them.
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    pin: Vec<Digest>,

    /// What the instance does not have, and is not missed. May be repeated.
    #[arg(long, value_name = "WHAT", value_enum)]
    without: Vec<Without>,

    /// `text` or `json`, to stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    #[arg(hide_possible_values = true)]
    output: Form,
}

/// What an instance may lack.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Without {
    CertificateAuthority,
    CtLog,
    TransparencyLog,
    TimestampAuthority,
}

impl Without {
    const fn need(self) -> Need {
        match self {
            Self::CertificateAuthority => Need::CertificateAuthority,
            Self::CtLog => Need::CtLog,
            Self::TransparencyLog => Need::TransparencyLog,
            Self::TimestampAuthority => Need::TimestampAuthority,
        }
    }
}

impl Check {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let root = self.root.read(&Limits::default())?;
        let at = self.root.time()?;
        if let Some(embedded) = self.root.embedded()
            && let Some((kind, text)) = embedded.age(&root, at)
        {
            say(
                kind,
                &format!("{text}; `scgate trust fetch` gets the newest"),
            );
        }
        let pieces = root.pieces();
        let seconds = i64::try_from(self.within.as_secs()).unwrap_or(i64::MAX);
        let until = at.plus_seconds(seconds);
        let is_missed = |need: &Need| !self.without.iter().any(|without| without.need() == *need);
        let needs = Need::ALL.into_iter().filter(is_missed);
        let needs: Vec<_> = needs
            .map(|need| Found::of(need, &pieces, at, until))
            .collect();
        let pinned = (!self.pin.is_empty()).then(|| self.pin.contains(&root.id()));
        let document = Document {
            version: 1,
            id: root.id(),
            at,
            until,
            pinned,
            sufficient: needs.iter().all(|need| need.state == State::Usable),
            needs,
        };
        let text = match self.output {
            Form::Text => document.text(),
            Form::Json => json(&document),
        };
        let is_good = document.sufficient && pinned != Some(false);
        Ok(match write_data(&[text.into_bytes()]) {
            Outcome::Allowed if !is_good => Outcome::Denied,
            outcome => outcome,
        })
    }
}

/// The JSON of a check, version 1: members are added and never renamed or removed.
#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    id: Digest,
    at: Timestamp,
    until: Timestamp,
    /// Nothing without a pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    sufficient: bool,
    needs: Vec<Found>,
}

/// What there is for one need.
#[derive(Debug, Serialize)]
struct Found {
    need: &'static str,
    state: State,
    /// The last moment up to which something is usable without a break; nothing without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip)]
    text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Usable now, and for the whole time that was asked about.
    Usable,
    /// Usable now, and not for the whole time.
    Ends,
    /// There was something.
    Ended,
    /// There will be something.
    NotYet,
    /// There is nothing.
    Missing,
}

impl Found {
    fn of(need: Need, pieces: &[Piece], at: Timestamp, until: Timestamp) -> Self {
        let own = || pieces.iter().filter(|piece| piece.need == need);
        let end = Reached::from(own(), at);
        let (state, end) = match end {
            Reached::Ever => (State::Usable, None),
            Reached::Until(end) if end >= until => (State::Usable, Some(end)),
            Reached::Until(end) => (State::Ends, Some(end)),
            Reached::Nothing => {
                let ended = own()
                    .filter_map(Piece::usable_until)
                    .filter(|end| *end < at);
                match (ended.max(), own().next()) {
                    (Some(end), _) => (State::Ended, Some(end)),
                    (None, Some(_)) => (State::NotYet, None),
                    (None, None) => (State::Missing, None),
                }
            }
        };
        let when = end.map_or("without an end".to_owned(), |end| format!("until {end}"));
        let text = match state {
            State::Usable => format!("usable {when}"),
            State::Ends => format!("usable only {when}"),
            State::Ended => format!("EXPIRED: was usable {when}"),
            State::NotYet => "NOT YET usable".to_owned(),
            State::Missing => "MISSING".to_owned(),
        };
        Self {
            need: need.name(),
            state,
            until: end,
            text: format!("{need}: {text}"),
        }
    }
}

/// How far something is usable without a break.
#[derive(Clone, Copy)]
enum Reached {
    Ever,
    Until(Timestamp),
    Nothing,
}

impl Reached {
    fn from<'a>(pieces: impl Iterator<Item = &'a Piece> + Clone, at: Timestamp) -> Self {
        let mut reached = Self::Nothing;
        let mut time = at;
        // Each step uses up a piece at least.
        for _ in 0..=pieces.clone().count() {
            let usable = || pieces.clone().filter(|piece| piece.is_usable_at(time));
            if usable().any(|piece| piece.usable_until().is_none()) {
                return Self::Ever;
            }
            let Some(end) = usable().filter_map(Piece::usable_until).max() else {
                break;
            };
            reached = Self::Until(end);
            // Both ends count, to the second.
            time = end.plus_seconds(1);
        }
        reached
    }
}

impl Document {
    fn text(&self) -> String {
        let mut lines = vec![match self.pinned {
            None => format!("trusted root {}", self.id),
            Some(true) => format!("trusted root {}, as pinned", self.id),
            Some(false) => format!("trusted root {}: NOT the pinned one", self.id),
        }];
        lines.extend(self.needs.iter().map(|need| format!("  {}", need.text)));
        lines.join("\n")
    }
}

/// A length of time, days included, none allowed.
fn parse_within(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    match (text, days) {
        ("0" | "0s", _) => Ok(Duration::ZERO),
        (_, Some(days)) => Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        _ => parse_duration(text).map_err(|_| "a time is such as `30d`, `12h` or `30m`".to_owned()),
    }
}

/// The id of a root, as it is shown.
fn parse_id(text: &str) -> Result<Digest, String> {
    let sha256 = |digest: &Digest| digest.to_string().starts_with("sha256:");
    match Digest::parse(text) {
        Ok(digest) if sha256(&digest) => Ok(digest),
        _ => Err(
            "an id is `sha256:` and 64 hexadecimal digits, as `trust pin FILE` says it".to_owned(),
        ),
    }
}
