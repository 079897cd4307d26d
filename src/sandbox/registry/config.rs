//! What kind of registry it is.

use core::time::Duration;
use std::path::PathBuf;

use crate::sandbox::server::Tls;

/// The kind of registry. The default one is plain HTTP, open to all, in memory, with the referrers
/// API.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How it reads the `Accept` header of a request for a manifest.
    pub accept: AcceptRule,
    /// Whom it lets in.
    pub auth: Auth,
    /// How large a blob may be, in bytes; a gibibyte without a number.
    pub blob_bytes: Option<usize>,
    /// How it hands out blobs.
    pub blobs: BlobDelivery,
    /// How long a piece of an upload must be that is not the last, which it says in
    /// `OCI-Chunk-Min-Length`.
    pub chunk_bytes: Option<usize>,
    /// Whether it tells a stranger who may not see a repository that there is none, with 404 in the
    /// place of a challenge. Its root (`/v2/`) demands as ever.
    pub conceal: bool,
    /// Whether it obeys conditional requests: `If-None-Match` on what is read (304), `If-Match` and
    /// `If-None-Match` where a manifest is written or deleted (412). Without it they are ignored, as
    /// registries in use ignore those on writing.
    pub conditional: bool,
    /// Challenges that stand before its own in separate `WWW-Authenticate` headers, such as
    /// `Negotiate`.
    pub challenges_before: Vec<String>,
    /// How long it waits before it answers a request.
    pub delay: Duration,
    /// Whether it deletes.
    pub deletes: Deletes,
    /// Whether a tag that exists stays where it points (400 `TAG_INVALID`, as with ECR). Pushing the
    /// same manifest again is no change, and a tag can still be deleted.
    pub immutable_tags: bool,
    /// Leaves out `Location` where a manifest or blob was stored, as some registries do.
    pub omit_location: bool,
    /// Answers `GET /v2/` with 200 to anybody, as registries with public repositories do.
    pub open_ping: bool,
    /// How many tags, repositories or referrers it lists in one answer, at most.
    pub page_size: Option<usize>,
    /// The port of 127.0.0.1 that it listens on; zero means any.
    pub port: u16,
    /// Whether it has the referrers API.
    pub referrers: Referrers,
    /// Whether a blob may arrive without an upload.
    pub shortcuts: Shortcuts,
    /// Whether it takes a manifest whose blobs or children it lacks.
    pub sparse: bool,
    /// Where it keeps what it holds.
    pub storage: Storage,
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

/// Whether a registry deletes what it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Deletes {
    /// Nothing: it answers 405.
    Off,
    /// Tags, manifests and blobs.
    #[default]
    On,
}

/// Whether a blob may arrive without an upload.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Shortcuts {
    /// It always begins an upload (202), as registries that know no shortcut do.
    Off,
    /// A `POST` may carry a whole blob, or mount one that another repository holds (201).
    #[default]
    On,
}

/// Where a registry keeps what it holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Storage {
    /// In this directory, which is made if it is not there; the next registry that is started on it
    /// has everything again, except uploads under way. Contents are read when somebody asks for
    /// them, and one that was damaged meanwhile is a 500, never an answer.
    Disk(PathBuf),
    /// In memory, until it ends.
    #[default]
    Memory,
}

/// A user of the sandbox. Its secrets are test data and are shown like any other text.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, or `{SHA}` and its SHA-1 in base64.
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

    pub(super) const fn is_unconfined(&self) -> bool {
        self.repositories.is_empty()
    }

    pub(super) fn may_use(&self, repository: &str) -> bool {
        self.is_unconfined()
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
