//! What kind of registry it is.

use core::time::Duration;

use crate::sandbox::server::Tls;

/// The kind of registry. The default one is plain HTTP, open to all, with the referrers API.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How it reads the `Accept` header of a request for a manifest.
    pub accept: AcceptRule,
    /// Whom it lets in.
    pub auth: Auth,
    /// How it hands out blobs.
    pub blobs: BlobDelivery,
    /// Whether it tells a stranger who may not see a repository that there is none, with 404 in the
    /// place of a challenge. Its root (`/v2/`) demands as ever.
    pub conceal: bool,
    /// Challenges that stand before its own in separate `WWW-Authenticate` headers, such as
    /// `Negotiate`.
    pub challenges_before: Vec<String>,
    /// How long it waits before it answers a request.
    pub delay: Duration,
    /// Leaves out `Location` where a manifest or blob was stored, as some registries do.
    pub omit_location: bool,
    /// Answers `GET /v2/` with 200 to anybody, as registries with public repositories do.
    pub open_ping: bool,
    /// How many tags or referrers it lists in one answer, at most.
    pub page_size: Option<usize>,
    /// Whether it has the referrers API.
    pub referrers: Referrers,
    /// Whether it speaks TLS. Over TLS it offers HTTP/2 and HTTP/1.1.
    pub tls: Tls,
}

/// How a registry reads the `Accept` header of a request for a manifest.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AcceptRule {
    /// Gives out what it has.
    Lenient,
    /// Answers 404 unless the media type is named, as distribution 2.8 and 3 do for OCI types.
    #[default]
    Strict,
}

/// Whom a registry lets in.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Anonymous,
    /// These users, with their password in each request.
    Basic(Vec<User>),
    /// Holders of a token of the registry's own `/token`.
    Token(TokenAuth),
}

/// A user of the sandbox. Its secrets are test data and are shown like any other text.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// A token that stands for the password at `POST /token` (OAuth2 `refresh_token`).
    pub identity_token: Option<String>,
    /// The repositories, with all below them, that the user may read and write; none means all.
    pub repositories: Vec<String>,
}

impl User {
    /// A user who may read and write everything.
    #[must_use]
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            identity_token: None,
            repositories: Vec::new(),
        }
    }

    /// Gives the user an identity token.
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.identity_token = Some(token.to_owned());
        self
    }

    /// Confines the user to a repository and those below it. May be called again.
    #[must_use]
    pub fn only(mut self, repository: &str) -> Self {
        self.repositories.push(repository.to_owned());
        self
    }

    pub(super) fn may_use(&self, repository: &str) -> bool {
        self.repositories.is_empty()
            || self.repositories.iter().any(|own| {
                repository
                    .strip_prefix(own.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

/// Token authentication (the distribution project's "token authentication specification").
#[derive(Clone, Debug)]
pub struct TokenAuth {
    /// Who gets more than an anonymous token.
    pub users: Vec<User>,
    /// Whether an anonymous token may pull.
    pub anonymous_pull: bool,
    /// How long a token is good for, and what `expires_in` says in whole seconds.
    pub lifetime: Duration,
    /// Another realm than the registry's own `/token`.
    pub realm: Option<String>,
    /// The service of the challenge.
    pub service: String,
}

impl TokenAuth {
    /// Tokens for these users and nobody else, good for five minutes.
    #[must_use]
    pub fn new(users: Vec<User>) -> Self {
        Self {
            users,
            anonymous_pull: false,
            lifetime: Duration::from_secs(300),
            realm: None,
            service: "scgate-sandbox".to_owned(),
        }
    }
}

/// How a registry hands out blobs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum BlobDelivery {
    /// In the answer.
    #[default]
    Direct,
    /// By a 307 to `/storage/…` on the same host.
    RedirectHere,
    /// By a 307 to `/storage/…` below this URL, for example another sandbox registry's. Its storage
    /// answers 400 to a request with an `Authorization` header, as object stores do.
    RedirectTo(String),
}

/// Whether a registry has the referrers API.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Referrers {
    /// It has, with `artifactType` and annotations in the descriptors and a filter.
    #[default]
    Api,
    /// It has and ignores the filter.
    ApiUnfiltered,
    /// It has, but calls each referrer by the media type of its config and drops the annotations, as
    /// go-containerregistry did; and sends no `OCI-Subject`.
    ApiWrongType,
    /// It has none and answers 404 as distribution does: text, no OCI error.
    Off,
    /// It has none and answers with this status (400, 405 and 406 occur).
    Refused(u16),
}
