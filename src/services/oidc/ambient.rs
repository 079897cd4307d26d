//! The tokens that CI systems and platforms give to what runs on them.
//!
//! The order is that of cosign, with CircleCI before the files. The environment is an argument:
//! nothing here reads a variable on its own.

use core::fmt;
use core::time::Duration;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;

use reqwest::header;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::model::printable;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Missing;
use crate::services::Service;
use crate::services::address::Query;
use crate::services::client::Ask;
use crate::services::oidc::Token;
use crate::services::secret::Secret;
use crate::services::secret::scrubbed;
use crate::transport;

/// Bytes of an answer, a file or what a program says.
const ANSWER: usize = 128 * 1024;
/// How long a program may take.
const PROGRAM: Duration = Duration::from_secs(20);
/// Where Kubernetes puts a service account's token for Sigstore, by cosign's custom.
const KUBERNETES: &str = "/var/run/sigstore/cosign/oidc-token";

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const AGENT_TOKEN: &str = "BUILDKITE_AGENT_ACCESS_TOKEN";
const AGENT_ENDPOINT: &str = "BUILDKITE_AGENT_ENDPOINT";
const AGENT_DEFAULT: &str = "https://agent.buildkite.com/v3";
const AGENT_JOB: &str = "BUILDKITE_JOB_ID";
const VARIABLE: &str = "SIGSTORE_ID_TOKEN";
const CIRCLE_TOKEN: &str = "CIRCLE_OIDC_TOKEN_V2";

/// Who gives a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Provider {
    /// The agent of Buildkite.
    BuildkiteAgent,
    /// The command line of CircleCI.
    CircleCi,
    /// A file that Kubernetes projects.
    Filesystem,
    /// GitHub Actions.
    GithubActions,
    /// A file with a JWT-SVID.
    Spiffe,
    /// The variable `SIGSTORE_ID_TOKEN`: GitLab's `id_tokens:`, and whoever else sets it.
    Variable,
}

impl Provider {
    /// All of them, in the order in which they are looked for.
    pub const ALL: &'static [Self] = &[
        Self::GithubActions,
        Self::BuildkiteAgent,
        Self::Variable,
        Self::CircleCi,
        Self::Filesystem,
        Self::Spiffe,
    ];

    /// The name, as cosign's `--oidc-provider` has it where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuildkiteAgent => "buildkite-agent",
            Self::CircleCi => "circleci",
            Self::Filesystem => "filesystem",
            Self::GithubActions => "github-actions",
            Self::Spiffe => "spiffe",
            Self::Variable => "envvar",
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is around: the variables, the files and the programs that give tokens.
#[derive(Clone, Copy)]
pub struct Ambient<'a> {
    /// The value of a variable.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The file that Kubernetes projects.
    pub kubernetes: &'a Path,
    /// A file with a JWT-SVID, if somebody named one. No socket is asked.
    pub spiffe: Option<&'a Path>,
    /// CircleCI's program.
    pub circleci: &'a OsStr,
}

impl fmt::Debug for Ambient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variables hold secrets.
        f.debug_struct("Ambient")
            .field("kubernetes", &self.kubernetes)
            .field("spiffe", &self.spiffe)
            .finish_non_exhaustive()
    }
}

impl<'a> Ambient<'a> {
    /// The usual files and programs, with these variables.
    #[must_use]
    pub fn new(variable: &'a (dyn Fn(&str) -> Option<String> + Sync)) -> Self {
        Self {
            variable,
            kubernetes: Path::new(KUBERNETES),
            spiffe: None,
            circleci: OsStr::new("circleci"),
        }
    }

    /// A variable that is set to something.
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true")
    }

    /// The first provider that is here.
    ///
    /// # Errors
    ///
    /// [`Error::TokenMissing`] when none is, with what the CI system needs to give one.
    pub fn detect(&self) -> Result<Provider, Error> {
        let is_here = |provider: &Provider| match provider {
            Provider::GithubActions => {
                self.get(REQUEST_URL).is_some() && self.get(REQUEST_TOKEN).is_some()
            }
            Provider::BuildkiteAgent => self.get(AGENT_TOKEN).is_some(),
            Provider::Variable => self.get(VARIABLE).is_some(),
            Provider::CircleCi => self.is("CIRCLECI"),
            Provider::Filesystem => self.kubernetes.exists(),
            Provider::Spiffe => self.spiffe.is_some(),
        };
        let found = Provider::ALL.iter().copied().find(is_here);
        found.ok_or_else(|| {
            Error::TokenMissing(if self.is("GITHUB_ACTIONS") {
                Missing::GithubPermission
            } else if self.is("GITLAB_CI") {
                Missing::GitlabToken
            } else {
                Missing::Nowhere
            })
        })
    }

    /// The token that the provider gives for that audience.
    ///
    /// # Errors
    ///
    /// [`Error::TokenMissing`] when it gives none, [`Error::TokenMalformed`] when what it gives is
    /// none. That the token is current and for the audience is for the caller to ask of it.
    pub async fn fetch(
        &self,
        provider: Provider,
        client: &Client<'_>,
        audience: &str,
    ) -> Result<Token, Error> {
        match provider {
            Provider::BuildkiteAgent => self.buildkite(client, audience).await,
            Provider::CircleCi => self.circleci(client, audience).await,
            Provider::Filesystem => file(self.kubernetes, client).await,
            Provider::GithubActions => self.github(client, audience).await,
            Provider::Spiffe => match self.spiffe {
                Some(path) => file(path, client).await,
                None => Err(Error::TokenMissing(Missing::Nowhere)),
            },
            Provider::Variable => Token::parse(&self.demanded(VARIABLE)?),
        }
    }

    fn demanded(&self, name: &'static str) -> Result<String, Error> {
        self.get(name)
            .ok_or_else(|| unusable(name, "is not set".to_owned()))
    }

    /// A request to `ACTIONS_ID_TOKEN_REQUEST_URL`.
    async fn github(&self, client: &Client<'_>, audience: &str) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Answer {
            value: String,
        }
        let (Some(url), Some(secret)) = (self.get(REQUEST_URL), self.get(REQUEST_TOKEN)) else {
            return Err(Error::TokenMissing(Missing::GithubPermission));
        };
        let url = endpoint(REQUEST_URL, &url)?.asking("audience", audience);
        let secret = Secret::new(secret);
        let mut ask = Ask::new(Service::Oidc, &url, ANSWER);
        ask.secret = Some(&secret);
        let authorization = secret
            .authorization("bearer")
            .ok_or_else(|| unusable(REQUEST_TOKEN, "cannot stand in a header".to_owned()))?;
        let request = ask.get().header(header::AUTHORIZATION, authorization);
        let body = client.fetch_good(&ask, &request).await;
        let body = body.map_err(|error| ruled_out(REQUEST_URL, error))?;
        Token::parse(&ask.json::<Answer>(&body)?.value)
    }

    /// A request to the agent's API, as `buildkite-agent oidc request-token` makes it.
    async fn buildkite(&self, client: &Client<'_>, audience: &str) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }
        let secret = Secret::new(self.demanded(AGENT_TOKEN)?);
        let job = self.demanded(AGENT_JOB)?;
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        if !job.bytes().all(is_plain) || job.len() > 64 {
            return Err(unusable(AGENT_JOB, "is no id of a job".to_owned()));
        }
        let base = self.get(AGENT_ENDPOINT);
        let url = endpoint(AGENT_ENDPOINT, base.as_deref().unwrap_or(AGENT_DEFAULT))?;
        let url = url.below(&format!("jobs/{job}/oidc/tokens"));
        let mut ask = Ask::new(Service::Oidc, &url, ANSWER);
        ask.secret = Some(&secret);
        let authorization = secret
            .authorization("Token")
            .ok_or_else(|| unusable(AGENT_TOKEN, "cannot stand in a header".to_owned()))?;
        let request = ask
            .post_json(&json!({ "audience": audience }))
            .header(header::AUTHORIZATION, authorization);
        let body = client.fetch_good(&ask, &request).await;
        let body = body.map_err(|error| ruled_out(AGENT_ENDPOINT, error))?;
        Token::parse(&ask.json::<Answer>(&body)?.token)
    }

    /// CircleCI's program, which can ask for an audience; else the variable, whose audience is the
    /// organisation unless somebody arranged for another.
    async fn circleci(&self, client: &Client<'_>, audience: &str) -> Result<Token, Error> {
        let mut reason = match self.circleci_program(client, audience).await {
            Ok(text) => return Token::parse(&text),
            Err(reason) => reason,
        };
        if let Some(text) = self.get(CIRCLE_TOKEN) {
            let token = Token::parse(&text)?;
            match token.for_audience(audience) {
                Ok(()) => return Ok(token),
                Err(error) => reason = format!("{reason}; and of `{CIRCLE_TOKEN}`: {error}"),
            }
        }
        Err(Error::TokenMissing(Missing::Program {
            program: "circleci run oidc get",
            reason,
        }))
    }

    async fn circleci_program(
        &self,
        client: &Client<'_>,
        audience: &str,
    ) -> Result<String, String> {
        let time = PROGRAM.min(client.deadline.remaining());
        let run = async {
            let io = |error: std::io::Error| match error.kind() {
                ErrorKind::NotFound => "there is no such program here".to_owned(),
                ErrorKind::PermissionDenied => "this user may not run it".to_owned(),
                kind => kind.to_string(),
            };
            let mut child = Command::new(self.circleci)
                .args(["run", "oidc", "get", "--claims"])
                .arg(json!({ "aud": audience }).to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(io)?;
            let (out, complaint) = (child.stdout.take(), child.stderr.take());
            let (out, complaint) = tokio::join!(bounded(out), bounded(complaint));
            let (out, complaint) = (out.map_err(io)?, complaint.map_err(io)?);
            let status = child.wait().await.map_err(io)?;
            if !status.success() {
                let said = String::from_utf8_lossy(&complaint);
                return Err(match printable(scrubbed(said.trim(), None).trim()) {
                    empty if empty.is_empty() => "it failed".to_owned(),
                    said => said,
                });
            }
            String::from_utf8(out).map_err(|_| "it said something that is no text".to_owned())
        };
        let outcome = tokio::time::timeout(time, run).await;
        outcome.unwrap_or_else(|_| Err(format!("no answer in {} s", time.as_secs())))
    }
}

fn unusable(name: &'static str, reason: String) -> Error {
    Error::TokenMissing(Missing::Variable { name, reason })
}

/// An address in a variable that no rule of scgate lets anybody ask is a mistake in the variable, and
/// asking again does not mend it.
fn ruled_out(name: &'static str, error: Error) -> Error {
    match error {
        Error::Transport {
            source: source @ transport::Error::Refused { .. },
            ..
        } => unusable(
            name,
            format!("holds an address that is not asked: {source}"),
        ),
        error => error,
    }
}

fn endpoint(name: &'static str, url: &str) -> Result<Endpoint, Error> {
    Endpoint::read(url, Query::Allowed)
        .map_err(|error| unusable(name, format!("holds no address: {error}")))
}

/// Reads to the end, or so far as anybody wants to hear.
async fn bounded(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let most = u64::try_from(ANSWER).unwrap_or(u64::MAX);
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// A token in a file.
async fn file(path: &Path, client: &Client<'_>) -> Result<Token, Error> {
    let unreadable = |reason: String| {
        Error::TokenMissing(Missing::File {
            path: printable(&path.display().to_string()),
            reason,
        })
    };
    let read = async { bounded(Some(tokio::fs::File::open(path).await?)).await };
    let bytes = match tokio::time::timeout(client.deadline.remaining(), read).await {
        Ok(bytes) => bytes.map_err(|error| {
            unreadable(match error.kind() {
                ErrorKind::NotFound => "there is no such file".to_owned(),
                ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
                kind => kind.to_string(),
            })
        })?,
        Err(_) => return Err(unreadable("it does not end".to_owned())),
    };
    let text = core::str::from_utf8(&bytes).map_err(|_| Error::TokenMalformed {
        rule: "it is not text",
    })?;
    Token::parse(text)
}
