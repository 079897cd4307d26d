//! The clock of the sandbox: the machine's, shifted, or standing still.

use std::time::SystemTime;

use crate::model::Timestamp;

/// What time it is in the sandbox.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Clock {
    /// It stands still.
    Fixed(Timestamp),
    /// So many seconds ahead of the machine's clock, or behind it when negative.
    Shifted(i64),
    /// The machine's.
    #[default]
    System,
}

impl Clock {
    /// A clock that says `then` at this moment, and goes on from there.
    #[must_use]
    pub fn running_from(then: Timestamp) -> Self {
        let now = Timestamp::from(SystemTime::now());
        Self::Shifted(then.unix_seconds().saturating_sub(now.unix_seconds()))
    }

    /// The time.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::Fixed(time) => time,
            Self::Shifted(seconds) => Timestamp::from(SystemTime::now()).plus_seconds(seconds),
            Self::System => Timestamp::from(SystemTime::now()),
        }
    }

    /// The time in whole seconds: what certificates and timestamps state.
    pub(super) fn second(self) -> Timestamp {
        let now = self.now();
        Timestamp::from_unix_seconds(now.unix_seconds()).unwrap_or(now)
    }

    /// The same clock, so many seconds ahead.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        match self {
            Self::Fixed(time) => Self::Fixed(time.plus_seconds(seconds)),
            Self::Shifted(by) => Self::Shifted(by.saturating_add(seconds)),
            Self::System => Self::Shifted(seconds),
        }
    }
}
