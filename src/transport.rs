//! The one HTTP set-up: deadline, retry, body caps, CA certificates, proxy, egress guard.
//!
//! It follows no redirect, reads no proxy and no CA from the environment, decompresses nothing, and
//! reads no body beyond the bound that its caller states. Answers with an error status are answers;
//! [`Error`] is what happens when there is none. Start with [`Transport::fetch`].

mod client;
mod error;
mod exchange;
mod guard;
mod proxy;
mod roots;

pub use client::Settings;
pub use client::Tls;
pub use client::Transport;
pub use error::Cause;
pub use error::Error;
pub use error::Forbidden;
pub use exchange::Reply;
pub use exchange::Request;
pub use guard::Egress;

use core::time::Duration;

use tokio::time::Instant;

/// When a whole operation must have ended. Every call takes the same one, so that the parts of an
/// operation cannot use up more time than the whole has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `time` ahead.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        let now = Instant::now();
        // A century is "never", and can always be added.
        Self(now + time.min(Duration::from_secs(100 * 365 * 24 * 3600)))
    }

    /// The time that is left, zero when it is over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for `work` until the deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`], which names `host`, when the deadline comes first.
    pub async fn limit<T>(self, host: &str, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout_at(self.0, work)
            .await
            .map_err(|_| Error::Deadline {
                host: host.to_owned(),
            })
    }
}
