//! Commands to a sandbox that runs already.

use std::io;
use std::io::Write;

use serde_json::Map;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::sandbox::GithubToken;
use crate::sandbox::Place;
use crate::sandbox::Provider;
use crate::sandbox::Remote;
use crate::sandbox::RemoteError;

/// Where the sandbox is.
#[derive(Debug, clap::Args)]
struct Where {
    /// The URL that the sandbox printed.
    #[arg(long, value_name = "URL", env = "SCGATE_SANDBOX")]
    url: String,
}

/// Prints a token of the sandbox's OIDC issuer.
#[derive(Debug, clap::Args)]
pub(super) struct Token {
    #[command(flatten)]
    at: Where,

    /// Whose token it is: github, gitlab, buildkite, kubernetes, email, spiffe, uri or username.
    #[arg(default_value = "github", value_name = "PROVIDER", value_parser = provider)]
    provider: Provider,

    /// Claims in place of the typical ones: `NAME=TEXT`, `NAME:=JSON`, or `NAME:=null` for none.
    #[arg(value_name = "CLAIM")]
    claims: Vec<String>,

    /// The repository of a GitHub token, `OWNER/NAME`; what is derived from it follows.
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,

    /// The file name of its workflow.
    #[arg(long, value_name = "FILE")]
    workflow: Option<String>,

    /// The ref that it builds.
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,

    /// The event that started it.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
}

impl Token {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let mut claims = self.derived()?;
        for text in &self.claims {
            let (name, value) = claim(text).ok_or_else(|| UsageError::Value {
                flag: "CLAIM",
                value: crate::model::printable(text),
                expected: "a claim is `NAME=TEXT` or `NAME:=JSON`",
            })?;
            claims.insert(name, value);
        }
        with(&self.at, async |remote| {
            remote.token(self.provider, &claims).await
        })
        .map(|token| print(&token))
    }

    /// The claims that follow from the flags about GitHub.
    fn derived(&self) -> Result<Map<String, Value>, UsageError> {
        let flags = [&self.repository, &self.workflow, &self.git_ref, &self.event];
        if flags.iter().all(|flag| flag.is_none()) {
            return Ok(Map::new());
        }
        if self.provider != Provider::Github {
            return Err(UsageError::Exclusive {
                one: self.provider.name().to_owned(),
                other: "--repository, --workflow, --ref, --event".to_owned(),
            });
        }
        let mut token = GithubToken::default();
        let members = [
            (&self.repository, &mut token.repository),
            (&self.workflow, &mut token.workflow),
            (&self.git_ref, &mut token.git_ref),
            (&self.event, &mut token.event),
        ];
        for (flag, member) in members {
            if let Some(value) = flag {
                value.clone_into(member);
            }
        }
        Ok(token.claims())
    }
}

fn provider(text: &str) -> Result<Provider, String> {
    let names: Vec<_> = Provider::ALL.iter().map(|one| one.name()).collect();
    Provider::named(text).ok_or_else(|| format!("it is one of {}", names.join(", ")))
}

fn claim(text: &str) -> Option<(String, Value)> {
    let place = text.find('=')?;
    let (name, value) = (text.get(..place)?, text.get(place + 1..)?);
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, crate::model::read_json(value.as_bytes()).ok()?),
        None => (name, Value::String(value.to_owned())),
    };
    (!name.is_empty()).then(|| (name.to_owned(), value))
}

/// Pushes a small image for two platforms and prints its reference.
#[derive(Debug, clap::Args)]
pub(super) struct Image {
    #[command(flatten)]
    at: Where,

    /// The repository and tag in the sandbox's registry.
    #[arg(default_value = "sandbox/hello:latest", value_name = "NAME[:TAG]")]
    name: String,

    /// What the file in the image says. The same text gives the same digests.
    #[arg(long, value_name = "TEXT", default_value = "hello")]
    text: String,

    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

impl Image {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let (repository, tag) = self.name.split_once(':').unwrap_or((&self.name, "latest"));
        let pushed = with(&self.at, async |remote| {
            remote.image(repository, tag, &self.text).await
        })?;
        let reference = pushed.get("reference").and_then(Value::as_str);
        Ok(match (self.json, reference) {
            (false, Some(reference)) => print(reference),
            (true, _) | (false, None) => print(&pushed.to_string()),
        })
    }
}

/// Makes it misbehave, or behave again.
#[derive(Debug, clap::Args)]
pub(super) struct Fault {
    #[command(flatten)]
    at: Where,

    /// What it does and to which requests, such as `status=429,path=/log/entries,times=2` or
    /// `lie=ca-no-sct`. A word that is none is answered with all there are.
    #[arg(value_name = "FAULT", required_unless_present = "clear")]
    fault: Option<String>,

    /// At the registry; without it at the services of the Sigstore.
    #[arg(long)]
    registry: bool,

    /// Take all faults away first.
    #[arg(long)]
    clear: bool,
}

impl Fault {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let place = if self.registry {
            Place::Registry
        } else {
            Place::Sigstore
        };
        with(&self.at, async |remote| {
            if self.clear {
                remote.clear_faults().await?;
            }
            match &self.fault {
                Some(fault) => remote.fault(fault, place).await,
                None => Ok(()),
            }
        })
        .map(|()| Outcome::Allowed)
    }
}

/// Forgets all log entries and images; the keys stay.
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    #[command(flatten)]
    at: Where,
}

impl Reset {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        with(&self.at, async |remote| remote.reset().await).map(|()| Outcome::Allowed)
    }
}

/// Ends a sandbox that runs in the background.
#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    #[command(flatten)]
    at: Where,
}

impl Stop {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        with(&self.at, async |remote| remote.stop().await).map(|()| Outcome::Allowed)
    }
}

/// Asks the sandbox that the flags name.
fn with<T>(
    at: &Where,
    ask: impl AsyncFnOnce(Remote) -> Result<T, RemoteError>,
) -> Result<T, UsageError> {
    let remote = Remote::new(&at.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UsageError::Runtime)?;
    Ok(runtime.block_on(ask(remote))?)
}

fn print(text: &str) -> Outcome {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Outcome::Allowed,
        Err(_) => Outcome::Undecided,
    }
}
