//! Why a service gave nothing that a signer may use, each with its code.

use core::fmt;
use core::time::Duration;

use crate::model::DenyCode;
use crate::model::Timestamp;
use crate::transport;
use crate::transport::Cause;

/// A service that a signer asks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Service {
    /// The certificate authority.
    Fulcio,
    /// Whoever gives identity tokens.
    Oidc,
    /// A transparency log.
    Rekor,
    /// A timestamp authority.
    Timestamp,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fulcio => "Fulcio",
            Self::Oidc => "the identity provider",
            Self::Rekor => "Rekor",
            Self::Timestamp => "the timestamp authority",
        })
    }
}

/// Why an identity may not sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Barred {
    /// Another claim says something else.
    Contradicted,
    /// An event of GitHub that nobody allowed.
    Event,
    /// A branch of a fork.
    Fork,
    /// A ref that is none.
    NotARef,
    /// A ref that is not among those that were named.
    NotNamed,
    /// A claim that is no text.
    NotText,
    /// What is proposed and not merged.
    Proposed,
    /// Something that only pull requests have.
    PullRequest,
    /// Somebody could come in while the job ran.
    Shell,
    /// A source of GitLab's pipelines that nobody allowed.
    Source,
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => {
                "an event that may come from a pull request or from outside (`--allow-event` allows it)"
            }
            Self::Contradicted => "which another claim contradicts",
            Self::Fork => "which is a branch of a fork",
            Self::NotARef => "which is no ref (`refs/…`)",
            Self::NotNamed => "which no `--allow-ref` names",
            Self::NotText => "which is no text",
            Self::Proposed => "which is proposed and not merged (`--allow-ref` allows it)",
            Self::PullRequest => "which only pull requests have",
            Self::Shell => "so that somebody could have changed the job while it ran",
            Self::Source => {
                "which may come from a merge request or from outside (`--allow-event` allows it)"
            }
        })
    }
}

/// Why there is no token.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// A file is not there, or cannot be read.
    File {
        /// Its path, cut and escaped.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A GitHub job that may not ask for one.
    GithubPermission,
    /// A GitLab job without one.
    GitlabToken,
    /// Nobody agreed in time, or somebody refused.
    NobodyAgreed {
        /// The host where a person was to agree.
        host: String,
    },
    /// Nothing here gives one.
    Nowhere,
    /// The program that gives one failed, and nothing takes its place.
    Program {
        /// The program.
        program: &'static str,
        /// What it said, cut and escaped.
        reason: String,
    },
    /// A variable that is needed is not set, or does not hold what it must.
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "`{path}` cannot be read: {reason}"),
            Self::GithubPermission => f.write_str(
                "this GitHub job may not ask for one (give the job `permissions: id-token: \
                 write`; jobs of a pull request from a fork never get it)",
            ),
            Self::GitlabToken => f.write_str(
                "this GitLab job has none (give the job `id_tokens: SIGSTORE_ID_TOKEN: aud: \
                 sigstore`)",
            ),
            Self::NobodyAgreed { host } => write!(f, "nobody agreed at `{host}` in time"),
            Self::Nowhere => f.write_str("nothing here gives one"),
            Self::Program { program, reason } => write!(f, "`{program}` gave none: {reason}"),
            Self::Variable { name, reason } => write!(f, "the variable `{name}` {reason}"),
        }
    }
}

/// Why there is no token, certificate, timestamp or log entry. Its text is one sentence; what a
/// service says in it is cut and escaped, and no token, query or password ever stands in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token is for somebody else. Whoever asked for it can mend it.
    #[error("the identity token is for `{found}`, not for `{expected}`")]
    Audience {
        /// The audience that Fulcio expects.
        expected: String,
        /// The audiences of the token, cut and escaped.
        found: String,
    },
    /// The certificate authority keeps no certificate log, or proves it in a way that a bundle has
    /// no place for. Its operator can mend it.
    #[error(
        "`{host}` gave a certificate without the proof of the certificate log in it (a bundle has \
         no other place for that)"
    )]
    DetachedSct {
        /// The host.
        host: String,
    },
    /// The log does not take an entry of that size.
    #[error("`{host}` does not take a log entry of {bytes} bytes: {said}")]
    EntryTooLarge {
        /// The host.
        host: String,
        /// How much was sent.
        bytes: usize,
        /// What it said or did.
        said: String,
    },
    /// The identity in the token may not sign here.
    #[error("the identity token may not sign here: its claim `{claim}` is `{value}`, {rule}")]
    Forbidden {
        /// The claim.
        claim: &'static str,
        /// Its value, cut and escaped.
        value: String,
        /// Why that is refused.
        rule: Barred,
    },
    /// An answer that is not the protocol.
    #[error("{service} at `{host}` does not speak its protocol: {reason}")]
    Malformed {
        /// The service.
        service: Service,
        /// The host.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The issuer gives tokens to no other device than the one that a person logs in at. The operator
    /// can name another way.
    #[error(
        "the identity provider at `{host}` does not give tokens to programs that show a code (name \
         one with `--identity-token`)"
    )]
    NoDevices {
        /// The host.
        host: String,
    },
    /// The service throttles.
    #[error("{service} at `{host}` asks to be asked less often: {said}")]
    RateLimited {
        /// The service.
        service: Service,
        /// The host.
        host: String,
        /// What it says.
        said: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The service refuses the request. Asking again changes nothing.
    #[error("{service} at `{host}` refuses the request with status {status}: {said}")]
    Refused {
        /// The service.
        service: Service,
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// There is no token.
    #[error("there is no identity token to sign with: {0}")]
    TokenMissing(Missing),
    /// The token cannot be read.
    #[error("the identity token cannot be used: {rule}")]
    TokenMalformed {
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The token does not count now.
    #[error(
        "the identity token counts {}until {until}, and it is {}",
        since(*.from),
        now.whole_seconds()
    )]
    TokenOutsideValidity {
        /// From when on.
        from: Option<Timestamp>,
        /// Until when.
        until: Timestamp,
        /// The time that was taken for now.
        now: Timestamp,
    },
    /// There was no answer.
    #[error("{service} gave no answer that can be used: {source}")]
    Transport {
        /// The service.
        service: Service,
        /// Why not.
        source: transport::Error,
    },
    /// The service failed.
    #[error("{service} at `{host}` failed with status {status}: {said}")]
    Unavailable {
        /// The service.
        service: Service,
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The token does not say what decides whether it may sign.
    #[error(
        "the identity token may not sign here: it has no claim `{claim}`, so that nothing says what \
         it would sign for"
    )]
    Unclaimed {
        /// The claim.
        claim: &'static str,
    },
    /// The token names a person by an address that may be anybody's. The person can have it verified.
    #[error(
        "the identity token may not sign here: its issuer did not verify the address in it \
         (`email_verified`)"
    )]
    Unverified,
    /// A log has the entry already and does not show it.
    #[error(
        "`{host}` has this log entry already and does not show it: {reason} (sign anew: another \
         signature makes another entry)"
    )]
    Unshown {
        /// The host.
        host: String,
        /// What it said or did.
        reason: String,
    },
}

fn since(from: Option<Timestamp>) -> String {
    from.map_or_else(String::new, |from| format!("from {from} "))
}

impl Error {
    /// The code of this reason.
    #[must_use]
    pub const fn code(&self) -> DenyCode {
        match self {
            Self::Audience { .. } => DenyCode::TokenAudienceMismatch,
            Self::DetachedSct { .. } => DenyCode::SctMissing,
            Self::EntryTooLarge { .. } => DenyCode::EntryTooLarge,
            Self::Forbidden { .. } | Self::Unclaimed { .. } | Self::Unverified => {
                DenyCode::SigningForbidden
            }
            Self::Malformed { .. } => DenyCode::ServiceMalformed,
            Self::RateLimited { .. } => DenyCode::ServiceRateLimited,
            Self::NoDevices { .. } | Self::Refused { .. } | Self::Unshown { .. } => {
                DenyCode::ServiceRefused
            }
            Self::TokenMissing(_) => DenyCode::TokenMissing,
            Self::TokenMalformed { .. } => DenyCode::TokenMalformed,
            Self::TokenOutsideValidity { .. } => DenyCode::TokenOutsideValidity,
            Self::Transport { source, .. } => match source {
                transport::Error::Deadline { .. } => DenyCode::DeadlineExceeded,
                transport::Error::Encoding { .. }
                | transport::Error::TooLarge { .. }
                | transport::Error::Unreachable {
                    cause: Cause::Protocol,
                    ..
                } => DenyCode::ServiceMalformed,
                _ => DenyCode::ServiceUnavailable,
            },
            Self::Unavailable { .. } => DenyCode::ServiceUnavailable,
        }
    }

    /// How long the service asks to wait before it is asked again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}
