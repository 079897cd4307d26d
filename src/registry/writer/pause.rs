//! Waiting before something is tried again or looked at again, never past the deadline.

use core::time::Duration;

use crate::registry::Error;
use crate::transport;
use crate::transport::Cause;
use crate::transport::Deadline;

/// The first pause after a failure; it doubles.
pub(super) const FIRST: Duration = Duration::from_millis(200);

/// Whether doing it again may help.
pub(super) const fn may_help(error: &Error) -> bool {
    match error {
        // 416 is the answer to a piece that does not follow on the one before.
        Error::Status { status, .. } => {
            matches!(status, 408 | 416 | 429 | 500 | 502 | 503 | 504)
        }
        Error::Transport { source, .. } => matches!(
            source,
            transport::Error::Timeout { .. }
                | transport::Error::Unreachable {
                    cause: Cause::Broken | Cause::Connect,
                    ..
                }
        ),
        _ => false,
    }
}

/// Waits as long as the registry asks, or about `usual`. Gives no when doing it again does not help,
/// or comes after the deadline.
pub(super) async fn before_again(error: &Error, usual: Duration, deadline: Deadline) -> bool {
    if !may_help(error) {
        return false;
    }
    let asked = error.retry_after().unwrap_or(usual);
    within(asked.saturating_add(random(usual / 2)), deadline).await
}

/// Waits, unless the deadline comes first: then not at all.
pub(super) async fn within(time: Duration, deadline: Deadline) -> bool {
    if deadline.remaining() <= time {
        return false;
    }
    tokio::time::sleep(time).await;
    true
}

/// A random time of up to `most`, so that those who met do not meet again.
pub(super) fn random(most: Duration) -> Duration {
    let mut bytes = [0; 2];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return most;
    }
    most.saturating_mul(u32::from(u16::from_le_bytes(bytes))) / (u32::from(u16::MAX) + 1)
}
