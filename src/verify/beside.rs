//! What legacy signatures carry beside the signature, for printing it as cosign does.

use crate::verify::AuthenticatedTime;
use crate::verify::Bundle;
use crate::verify::Layout;
use crate::verify::TimeSource;
use crate::verify::logged::LogEntry;

/// What stands beside a legacy signature, as it was verified, for those who print it on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BesideLegacy {
    /// The log entry with its promise.
    pub entry: Option<PromisedEntry>,
    /// The DER timestamp response.
    pub timestamp: Option<Vec<u8>>,
}

/// A log entry as a legacy signature carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PromisedEntry {
    /// The body, as the log returned it.
    pub body: Vec<u8>,
    /// The signed promise (SET).
    pub promise: Vec<u8>,
    /// The time that is promised, in seconds since 1970.
    pub integrated_time: i64,
    /// The position in the log.
    pub index: u64,
    /// The log's key id.
    pub log_id: Vec<u8>,
}

impl BesideLegacy {
    /// Of an entry that the log vouches for, and a timestamp that an authority does.
    pub(super) fn of(
        bundle: &Bundle,
        logged: &[LogEntry<'_>],
        times: &[AuthenticatedTime],
    ) -> Option<Box<Self>> {
        if bundle.layout != Layout::LegacySignature {
            return None;
        }
        let entry = bundle.entries.first().filter(|_| !logged.is_empty());
        let entry = entry.and_then(|entry| {
            Some(PromisedEntry {
                body: entry.body.clone(),
                promise: entry.promise.clone()?,
                integrated_time: entry.integrated_time?,
                index: entry.index,
                log_id: entry.log_id.clone(),
            })
        });
        let stamped = times
            .iter()
            .any(|time| time.source == TimeSource::Timestamp);
        let timestamp = bundle.timestamps.first().filter(|_| stamped).cloned();
        Some(Box::new(Self { entry, timestamp }))
    }
}
