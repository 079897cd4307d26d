//! What a certificate authority, a log or a timestamp authority says wrongly, by name.
//!
//! A lie changes one value of a certificate, an entry or a timestamp *before* whatever is signed
//! over it, so that only the check of that value can notice; or it signs with another key. It is
//! told when [`FaultKind::Lie`](super::server::FaultKind::Lie) meets the request, so it has a path,
//! a count and a chance like any other fault. What has no name here is reached by
//! [`Lie::certificate`], [`Lie::entry`] and [`Lie::timestamp`].

mod names;

use core::fmt;
use core::str::FromStr;

use super::mint::CertificateOrder;
use super::mint::EntryOrder;
use super::mint::Hook;
use super::mint::TimestampOrder;
use super::server::Place;
use names::NAMES;
use names::Named;

/// One wrong value. Two lies are equal when they have the same name and value; those without a name
/// when they are clones.
#[derive(Clone, Eq, PartialEq)]
pub struct Lie(What);

#[derive(Clone, Eq, PartialEq)]
enum What {
    Certificate(Hook<CertificateOrder>),
    Entry(Hook<EntryOrder>),
    Named {
        lie: &'static Named,
        value: Option<String>,
    },
    Timestamp(Hook<TimestampOrder>),
}

/// What a named lie changes.
pub(super) enum Change {
    Certificate(fn(&mut CertificateOrder, &str) -> Option<()>),
    /// The clocks of all of them.
    Clock,
    Entry(fn(&mut EntryOrder, &str) -> Option<()>),
    Timestamp(fn(&mut TimestampOrder, &str) -> Option<()>),
}

impl Lie {
    /// Whatever a certificate can say, changed by hand.
    #[must_use]
    pub fn certificate(change: impl Fn(&mut CertificateOrder) + Send + Sync + 'static) -> Self {
        Self(What::Certificate(Hook::new(change)))
    }

    /// Whatever a log entry can say, changed by hand.
    #[must_use]
    pub fn entry(change: impl Fn(&mut EntryOrder) + Send + Sync + 'static) -> Self {
        Self(What::Entry(Hook::new(change)))
    }

    /// Whatever a timestamp can say, changed by hand.
    #[must_use]
    pub fn timestamp(change: impl Fn(&mut TimestampOrder) + Send + Sync + 'static) -> Self {
        Self(What::Timestamp(Hook::new(change)))
    }

    /// All names, each with what it does and an example of its value, if it takes one.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
        NAMES.iter().map(|one| (one.name, one.meaning, one.example))
    }

    /// Where it is told.
    pub(super) const fn place(&self) -> Place {
        match &self.0 {
            What::Certificate(_) => Place::Certificate,
            What::Entry(_) => Place::Entry,
            What::Named { lie, .. } => match lie.change {
                Change::Certificate(_) => Place::Certificate,
                Change::Clock => Place::Clock,
                Change::Entry(_) => Place::Entry,
                Change::Timestamp(_) => Place::Timestamp,
            },
            What::Timestamp(_) => Place::Timestamp,
        }
    }

    pub(super) fn bend_certificate(&self, order: &mut CertificateOrder) {
        match &self.0 {
            What::Certificate(hook) => hook.apply(order),
            What::Named { lie, value } => match lie.change {
                Change::Certificate(change) => told(change(order, text(value))),
                Change::Clock => {
                    let seconds = seconds(text(value));
                    order.not_before = order.not_before.plus_seconds(seconds);
                    order.not_after = order.not_after.plus_seconds(seconds);
                    for sct in &mut order.scts {
                        let shift = seconds.saturating_mul(1000);
                        sct.timestamp = sct.timestamp.saturating_add_signed(shift);
                    }
                }
                Change::Entry(_) | Change::Timestamp(_) => (),
            },
            What::Entry(_) | What::Timestamp(_) => (),
        }
    }

    pub(super) fn bend_entry(&self, order: &mut EntryOrder) {
        match &self.0 {
            What::Entry(hook) => hook.apply(order),
            What::Named { lie, value } => match lie.change {
                Change::Entry(change) => told(change(order, text(value))),
                Change::Clock => {
                    let seconds = seconds(text(value));
                    order.integrated_time = order
                        .integrated_time
                        .map(|time| time.saturating_add(seconds));
                }
                Change::Certificate(_) | Change::Timestamp(_) => (),
            },
            What::Certificate(_) | What::Timestamp(_) => (),
        }
    }

    pub(super) fn bend_timestamp(&self, order: &mut TimestampOrder) {
        match &self.0 {
            What::Timestamp(hook) => hook.apply(order),
            What::Named { lie, value } => match lie.change {
                Change::Timestamp(change) => told(change(order, text(value))),
                Change::Clock => order.time = order.time.plus_seconds(seconds(text(value))),
                Change::Certificate(_) | Change::Entry(_) => (),
            },
            What::Certificate(_) | What::Entry(_) => (),
        }
    }
}

/// A value was read when the lie was parsed; one that does not read any more changes nothing.
fn told(_done: Option<()>) {}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// A number of seconds, forwards or backwards.
fn seconds(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

impl FromStr for Lie {
    type Err = LieError;

    /// Reads `NAME` or `NAME:VALUE`.
    fn from_str(written: &str) -> Result<Self, LieError> {
        let (name, value) = match written.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (written, None),
        };
        let lie = NAMES
            .iter()
            .find(|one| one.name == name)
            .ok_or_else(|| LieError::Unknown {
                name: name.to_owned(),
                known: NAMES
                    .iter()
                    .map(|one| one.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        match (lie.example, value) {
            (None, Some(_)) => Err(LieError::Unwanted { name: lie.name }),
            (Some(example), None) => Err(LieError::NoValue {
                name: lie.name,
                example,
            }),
            (_, value) => {
                if !lie.takes(value.unwrap_or_default()) {
                    return Err(LieError::Malformed {
                        name: lie.name,
                        value: value.unwrap_or_default().to_owned(),
                        example: lie.example.unwrap_or_default(),
                    });
                }
                let value = value.map(str::to_owned);
                Ok(Self(What::Named { lie, value }))
            }
        }
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Named { lie, value: None } => f.write_str(lie.name),
            What::Named {
                lie,
                value: Some(value),
            } => write!(f, "{}:{value}", lie.name),
            What::Certificate(_) => f.write_str("(a certificate by hand)"),
            What::Entry(_) => f.write_str("(an entry by hand)"),
            What::Timestamp(_) => f.write_str("(a timestamp by hand)"),
        }
    }
}

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lie({self})")
    }
}

/// Why a text names no lie. Whoever wrote it can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LieError {
    /// Its value is not what it must be.
    #[error("`{value}` is no value of `{name}`, which is written like `{name}:{example}`")]
    Malformed {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// A value that it takes.
        example: &'static str,
    },
    /// It needs a value.
    #[error("`{name}` needs a value, as in `{name}:{example}`")]
    NoValue {
        /// The name.
        name: &'static str,
        /// A value that it takes.
        example: &'static str,
    },
    /// There is no lie of this name.
    #[error("there is no lie `{name}`: there are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// All that there are.
        known: String,
    },
    /// It takes no value.
    #[error("`{name}` takes no value")]
    Unwanted {
        /// The name.
        name: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_with_its_example_and_written_again() {
        for (name, _, example) in Lie::names() {
            let text = match example {
                Some(example) => format!("{name}:{example}"),
                None => name.to_owned(),
            };
            let lie: Lie = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(lie.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_lie_is_refused() {
        let parse = |text: &str| text.parse::<Lie>().unwrap_err().to_string();
        assert!(parse("ca-nothing").contains("there is no lie `ca-nothing`"));
        assert_eq!(parse("ca-no-sct:1"), "`ca-no-sct` takes no value");
        assert!(parse("tsa-time").contains("`tsa-time` needs a value"));
        assert!(parse("tsa-time:soon").contains("`soon` is no value of `tsa-time`"));
    }
}
