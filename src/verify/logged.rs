//! Step 4: the log entries, each in a log that the trust root knows. Step 6: the windows of their keys.

use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Artifact;
use crate::verify::AuthenticatedTime;
use crate::verify::Bundle;
use crate::verify::Candidate;
use crate::verify::Error;
use crate::verify::LogEvidence;
use crate::verify::LoggedAt;
use crate::verify::Trust;
use crate::verify::bundle::Content;
use crate::verify::log;
use crate::verify::trust;

/// A verified entry with its log.
pub(super) struct LogEntry<'a> {
    pub(super) at: LoggedAt,
    log: &'a trust::Log,
    other_windows: Vec<&'a trust::Log>,
    pub(super) time: Option<Timestamp>,
}

impl LogEntry<'_> {
    /// Whether the log's key counted at the entry's own time, or at every time there is.
    pub(super) fn key_counted(
        &mut self,
        times: &[AuthenticatedTime],
        now: Timestamp,
    ) -> Result<(), Error> {
        let outside = |time| Error::LogOutsideValidity {
            time,
            window: self.log.window.to_string(),
        };
        let counted = |time: Timestamp| {
            self.log.window.contains(time)
                || self
                    .other_windows
                    .iter()
                    .any(|log| log.window.contains(time))
        };
        match self.time {
            // Nobody vouches for a time: only a key that counts for ever since can have counted.
            None if times.is_empty() && !(self.log.window.is_open() && counted(now)) => {
                Err(Error::TimeMissing {
                    rule: "the log's key counts for a limited time, and nothing proves when it signed",
                })
            }
            Some(time) if counted(time) => Ok(()),
            Some(time) => Err(outside(time)),
            None => match times.iter().find(|time| !counted(time.time)) {
                Some(time) => Err(outside(time.time)),
                None => Ok(()),
            },
        }
    }
}

pub(super) type Entries<'a> = (Vec<LogEntry<'a>>, Option<Error>);

/// Verifies every entry of a known log. Entries of unknown logs do not count, whatever they say; the
/// second value names one of them.
pub(super) fn log_entries<'a>(
    bundle: &Bundle,
    signer: &Candidate<'_>,
    artifact: Artifact<'_>,
    digest: Digest,
    trust: Trust<'a>,
    limits: &Limits,
) -> Result<Entries<'a>, Error> {
    let logs = match trust {
        Trust::Root(root) | Trust::Key(_, Some(root)) => root.logs.as_slice(),
        Trust::Key(_, None) => &[],
    };
    let about = log::About {
        content: &bundle.content,
        signer: signer.in_log(),
        message: matches!(bundle.content, Content::Message { .. }).then_some(digest),
        bytes: artifact.bytes(),
    };
    let mut verified = Vec::new();
    let mut unknown = None;
    for entry in &bundle.entries {
        // Two keys may share an id when their windows don't meet; the first that verifies counts.
        let known: Vec<_> = logs.iter().filter(|log| log.id == entry.log_id).collect();
        let Some(first) = known.first().copied() else {
            unknown = Some(Error::LogUnknown {
                id: crate::model::hex(&entry.log_id),
            });
            continue;
        };
        let logged = log::verify(entry, first, bundle.layout, &about, limits)?;
        let id: [u8; 32] = first.id.as_slice().try_into().unwrap_or([0; 32]);
        verified.push(LogEntry {
            at: LoggedAt {
                log: Digest::from_sha256(id),
                index: logged.index,
                evidence: if logged.included {
                    LogEvidence::Included
                } else {
                    LogEvidence::Promised
                },
            },
            log: first,
            other_windows: known.into_iter().skip(1).collect(),
            time: logged.time,
        });
    }
    Ok((verified, unknown))
}
