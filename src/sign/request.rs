//! What a signer is made of, and what it is asked for.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Limits;
use crate::model::Platform;
use crate::model::Reference;
use crate::model::Repository;
use crate::model::Timestamp;
use crate::registry::Source;
use crate::services;
use crate::services::oidc::Token;
use crate::services::signing_config::Services;
use crate::sign::Predicate;
use crate::sign::Recursion;
use crate::sign::SigningKey;
use crate::transport::Deadline;
use crate::transport::Transport;
use crate::verify::TrustRoot;

/// A layout that evidence is written in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Format {
    /// A Sigstore bundle that refers to its image: cosign 3, Kyverno.
    Bundle,
    /// A layer under a tag beside the image: cosign 2, policy-controller.
    Legacy,
}

impl Format {
    /// The name in flags and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Legacy => "legacy",
        }
    }
}

/// What time it is. The services' own times are compared with it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Brings another token of the same identity, where the first has come to its end.
pub type Renew = Arc<dyn Fn(Deadline) -> Renewing + Send + Sync>;

/// A token on its way.
pub type Renewing = core::pin::Pin<Box<dyn Future<Output = Result<Token, services::Error>> + Send>>;

/// Who signs.
pub enum Credential {
    /// A managed key.
    Key(Arc<SigningKey>),
    /// Whoever a token names, by a certificate for a key that nobody keeps.
    Token {
        /// The token.
        token: Box<Token>,
        /// Where the next one comes from, if there can be one.
        renew: Option<Renew>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.debug_tuple("Key").field(key).finish(),
            Self::Token { token, .. } => f.debug_tuple("Token").field(token).finish(),
        }
    }
}

/// What a signer is made of.
pub struct Config {
    /// Who signs.
    pub credential: Credential,
    /// The services that take part.
    pub services: Services,
    /// What the result is verified under. Without one only a managed key signs, and no log is asked.
    pub root: Option<Arc<TrustRoot>>,
    /// The HTTP set-up for the services.
    pub transport: Transport,
    /// The bounds on what comes back.
    pub limits: Limits,
    /// What time it is.
    pub clock: Clock,
    /// The name that certificates must have, where it is not the one that the public instance of
    /// Fulcio would give to the token.
    pub identity: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("credential", &self.credential)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// Whether something that is there already is made a second time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Again {
    /// What is there is kept.
    #[default]
    No,
    /// It is made again.
    Yes,
}

/// Whether a new attestation takes the place of older ones of its type under the legacy tag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    /// They stay beside it.
    #[default]
    No,
    /// They go.
    Yes,
}

/// What to sign, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where the image is.
    pub source: &'a Source,
    /// The image.
    pub reference: &'a Reference,
    /// How far to go into an index.
    pub recursion: Recursion,
    /// The layouts, each of which is written.
    pub formats: &'a BTreeSet<Format>,
    /// Where the evidence goes, when that is not the image's own repository.
    pub repository: Option<&'a Repository>,
    /// What stands before `sha256-` in legacy tags.
    pub tag_prefix: &'a str,
    /// Whether what is there already is made again.
    pub again: Again,
    /// When it must have ended.
    pub deadline: Deadline,
}

/// A predicate, and the platform that it is about.
#[derive(Clone, Debug)]
pub struct About {
    /// The images of this platform; without one, what was named, and with recursion every image that
    /// no other predicate is about.
    pub platform: Option<Platform>,
    /// The predicate.
    pub predicate: Arc<Predicate>,
}
