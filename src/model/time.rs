//! Points in time. There is no "now" here: whoever asks says when.

use core::fmt;

use serde::Serialize;

/// A point in time, to the nanosecond, in UTC. Displays as RFC 3339.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Parses an RFC 3339 date and time with an offset.
    ///
    /// # Errors
    ///
    /// The text itself, when it is not one.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        // jiff also reads ISO 8601 forms with annotations (`[Europe/Paris]`) and a space for the
        // `T`; RFC 3339 has neither annotations nor, as the formats here use it, a space.
        if text.contains(['[', ' ']) {
            return Err(NotATime);
        }
        text.parse().map(Self).map_err(|_| NotATime)
    }

    /// Takes whole seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// [`NotATime`] outside of the years -9999 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, NotATime> {
        jiff::Timestamp::from_second(seconds)
            .map(Self)
            .map_err(|_| NotATime)
    }

    /// Takes milliseconds since 1970-01-01T00:00:00Z (RFC 6962 timestamps).
    ///
    /// # Errors
    ///
    /// [`NotATime`] when the value is out of range.
    pub fn from_unix_milliseconds(milliseconds: u64) -> Result<Self, NotATime> {
        let milliseconds = i64::try_from(milliseconds).map_err(|_| NotATime)?;
        jiff::Timestamp::from_millisecond(milliseconds)
            .map(Self)
            .map_err(|_| NotATime)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second() - i64::from(self.0.subsec_nanosecond() < 0)
    }

    /// The second that it lies in, for people: what is taken from a clock has nanoseconds.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self::from_unix_seconds(self.unix_seconds()).unwrap_or(self)
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z; zero before it.
    #[must_use]
    pub fn unix_milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }

    /// The point `seconds` later (earlier if negative), held at the ends of the range.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        let span = jiff::SignedDuration::from_secs(seconds);
        Self(self.0.saturating_add(span).unwrap_or(self.0))
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        Self(jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text or number that is no point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a point in time (expected RFC 3339, such as `2026-11-21T09:00:00Z`)")]
pub struct NotATime;
