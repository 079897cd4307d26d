//! Who signs and with which services: a token or a key, and a signing configuration, a TUF mirror or
//! single URLs.
//!
//! Which identity is about to stand in a public log is said before it does. Whether it may sign is
//! decided from the token itself; no variable decides it.

use core::fmt;
use core::time::Duration;
use std::env;
use std::io;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::cli::UsageError;
use crate::cli::failed::Failed;
use crate::cli::files::read_bounded;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::files::take;
use crate::cli::say;
use crate::cli::trust::Embedded;
use crate::cli::trust::SIGNING_CONFIG;
use crate::cli::trust::key_scheme;
use crate::cli::trust::looks;
use crate::cli::trust::read_root;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::oidc;
use crate::services::oidc::Ambient;
use crate::services::oidc::Provider;
use crate::services::oidc::Rules;
use crate::services::oidc::Token;
use crate::services::oidc::device;
use crate::services::rekor::Version;
use crate::services::signing_config::Services;
use crate::services::signing_config::SigningConfig;
use crate::services::tuf;
use crate::services::tuf::Instance;
use crate::services::tuf::Mirror;
use crate::sign::Config;
use crate::sign::Credential;
use crate::sign::Password;
use crate::sign::Renew;
use crate::sign::Signer;
use crate::sign::SigningKey;
use crate::transport::Deadline;
use crate::transport::Transport;
use crate::verify::TrustRoot;

/// Bytes of a token in a file, or of a password.
const MAX_TOKEN: usize = 128 * 1024;
/// Where `cosign` looks for the password of a key. No other variable is read for a key.
const COSIGN_PASSWORD: &str = "COSIGN_PASSWORD";
/// A provider of cosign's that is not asked.
const GOOGLE: &str = "google";
/// How long a person may take in a browser.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Who signs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who signs")]
pub(super) struct WhoFlags {
    /// A private key (PEM, or as `cosign generate-key-pair` writes it) instead of a certificate.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The file with the password of `--key`; else `COSIGN_PASSWORD` has it.
    #[arg(long, value_name = "FILE", requires = "key")]
    key_password_file: Option<PathBuf>,

    /// A file with an identity token, `-` for stdin, or the token itself, which other users of this
    /// machine can then see.
    #[arg(long, value_name = "FILE|-|TOKEN", conflicts_with = "key")]
    identity_token: Option<Given>,

    /// Which provider gives the token, instead of the first that is here: github-actions,
    /// buildkite-agent, envvar (`SIGSTORE_ID_TOKEN`), circleci, filesystem (of Kubernetes), spiffe.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "identity_token"])]
    #[arg(value_parser = parse_provider)]
    oidc_provider: Option<Provider>,

    /// A file with a JWT-SVID, for `--oidc-provider spiffe`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "identity_token"])]
    spiffe_token: Option<PathBuf>,

    /// Ask no provider but a person.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    #[arg(conflicts_with_all = ["key", "identity_token", "oidc_provider"])]
    oidc_disable_ambient_providers: bool,

    /// The audience that the token is for.
    #[arg(long, value_name = "NAME", default_value = oidc::AUDIENCE, conflicts_with = "key")]
    oidc_audience: String,

    /// The issuer that a person logs in at; else the signing configuration names it.
    #[arg(long, value_name = "URL", conflicts_with = "key")]
    oidc_issuer: Option<String>,

    /// What this program is called at that issuer.
    #[arg(
        long,
        value_name = "ID",
        default_value = "sigstore",
        conflicts_with = "key"
    )]
    oidc_client_id: String,

    /// An event besides push, release, schedule, workflow_dispatch and merge_group whose builds may
    /// sign. May be repeated.
    #[arg(long, value_name = "EVENT", conflicts_with = "key")]
    allow_event: Vec<String>,

    /// The refs whose builds may sign, such as `refs/heads/main` or `refs/tags/v*`. May be repeated.
    #[arg(long, value_name = "REF", conflicts_with = "key")]
    allow_ref: Vec<String>,

    /// The name that the certificate must have, where Fulcio makes another one of the token than the
    /// public instance does.
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    certificate_identity: Option<String>,
}

/// A token, or where it is: what stands there may be a secret, and is not shown.
#[derive(Clone)]
struct Given(String);

impl From<String> for Given {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(***)")
    }
}

/// Which services take part.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Services")]
pub(super) struct ServiceFlags {
    /// A `signing_config.json`, version 0.2. Without it the public-good instance is asked for its
    /// newest one, by TUF.
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,

    /// The URL of a TUF mirror that has the signing configuration and the trusted root.
    #[arg(
        long,
        value_name = "URL",
        requires = "tuf_root",
        conflicts_with = "signing_config"
    )]
    tuf_mirror: Option<String>,

    /// The pinned `root.json` of that mirror.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tuf_mirror",
        conflicts_with = "signing_config"
    )]
    tuf_root: Option<PathBuf>,

    /// The certificate authority, instead of a signing configuration.
    #[arg(long, value_name = "URL", conflicts_with_all = ["signing_config", "tuf_mirror", "key"])]
    fulcio_url: Option<String>,

    /// The transparency log, instead of a signing configuration. May be repeated.
    #[arg(long, value_name = "URL", conflicts_with_all = ["signing_config", "tuf_mirror"])]
    rekor_url: Vec<String>,

    /// The API that the logs of `--rekor-url` speak.
    #[arg(long, value_name = "1|2", default_value_t = 1, requires = "rekor_url")]
    #[arg(conflicts_with_all = ["signing_config", "tuf_mirror"])]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=2))]
    rekor_version: u8,

    /// The timestamp authority by its full URL, instead of a signing configuration. May be repeated.
    #[arg(long, value_name = "URL", conflicts_with_all = ["signing_config", "tuf_mirror"])]
    timestamp_server_url: Vec<String>,

    /// Whether signatures are entered into a transparency log. Without, only who asks for none
    /// accepts them.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = true,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true, action = clap::ArgAction::Set)]
    tlog_upload: bool,

    /// A `trusted_root.json` that the result is verified under before it is written. Without it that
    /// of the TUF mirror, or the public-good one that is part of scgate.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
}

/// Who signs with what, as far as the command line and its files say it.
pub(super) struct Plan<'a> {
    who: &'a WhoFlags,
    services: Asked,
    root: Option<Arc<TrustRoot>>,
    key: Option<SigningKey>,
    rules: Rules,
    /// The hosts with a port that the command line names.
    pub(super) named: Vec<String>,
}

/// Where the services are.
enum Asked {
    Config(Box<SigningConfig>),
    /// A managed key that nobody vouches for.
    Nobody,
    Tuf {
        mirror: Box<Mirror>,
        anchor: Vec<u8>,
    },
}

impl WhoFlags {
    /// Whether the token comes by stdin.
    pub(super) fn takes_stdin(&self) -> bool {
        self.identity_token
            .as_ref()
            .is_some_and(|given| given.0 == "-")
    }

    /// Refuses stdin for something else where the token comes by it.
    pub(super) fn keep_stdin(&self, flag: &'static str, file: &str) -> Result<(), UsageError> {
        match file == "-" && self.takes_stdin() {
            true => Err(UsageError::Exclusive {
                one: format!("{flag} -"),
                other: "--identity-token -".to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// The files that the flags name and that are read, those of the services too.
    pub(super) fn files<'a>(&'a self, services: &'a ServiceFlags) -> Vec<&'a Path> {
        let token = self
            .identity_token
            .as_ref()
            .map(|given| Path::new(&given.0));
        let named = [
            &self.key,
            &self.key_password_file,
            &self.spiffe_token,
            &services.signing_config,
            &services.tuf_root,
            &services.trusted_root,
        ];
        let named = named.into_iter().flatten().map(PathBuf::as_path);
        named.chain(token).collect()
    }

    /// Reads what the flags name. No request is made.
    pub(super) fn plan<'a>(
        &'a self,
        services: &ServiceFlags,
        limits: &Limits,
    ) -> Result<Plan<'a>, UsageError> {
        if self.oidc_provider == Some(Provider::Spiffe) && self.spiffe_token.is_none() {
            return Err(UsageError::Missing {
                what: "`--oidc-provider spiffe` reads a JWT-SVID from a file, and none is named",
                remedy: "`--spiffe-token FILE`",
            });
        }
        if self.spiffe_token.is_some() && self.oidc_provider != Some(Provider::Spiffe) {
            // Another provider may be asked first, and another identity would go into the log.
            return Err(UsageError::Missing {
                what: "`--spiffe-token` is read by one provider, and nothing says that it is meant",
                remedy: "`--oidc-provider spiffe`",
            });
        }
        let key = self.key(limits)?;
        let rules = Rules::new(&self.allow_event, &self.allow_ref)
            .map_err(|error| UsageError::AllowRef { source: error })?;
        let root = match &services.trusted_root {
            Some(path) => Some(Arc::new(read_root("--trusted-root", path, limits)?)),
            None => None,
        };
        let mut named = Vec::new();
        let asked = services.asked(key.is_some(), limits, &mut named)?;
        if let Some(url) = &self.oidc_issuer {
            named.extend(endpoint("--oidc-issuer", url)?.host_and_port());
        }
        Ok(Plan {
            who: self,
            services: asked,
            root,
            key,
            rules,
            named,
        })
    }

    fn key(&self, limits: &Limits) -> Result<Option<SigningKey>, UsageError> {
        let Some(path) = &self.key else {
            return Ok(None);
        };
        if let Some(scheme) = key_scheme(path) {
            let value = show(path);
            return Err(UsageError::PrivateKeyScheme { value, scheme });
        }
        let pem = read_file("--key", path, limits.key_bytes)?;
        let password = match &self.key_password_file {
            Some(path) => {
                let mut bytes = read_file("--key-password-file", path, MAX_TOKEN)?;
                // An editor ends a line; a password does not.
                while bytes
                    .last()
                    .is_some_and(|last| matches!(last, b'\n' | b'\r'))
                {
                    bytes.pop();
                }
                Some(bytes)
            }
            None => env::var(COSIGN_PASSWORD).ok().map(String::into_bytes),
        };
        let password = password.map(Password::new);
        SigningKey::from_pem(&pem, password.as_ref(), limits)
            .map(Some)
            .map_err(|source| UsageError::PrivateKey {
                path: show(path),
                source,
            })
    }
}

impl ServiceFlags {
    fn asked(
        &self,
        has_key: bool,
        limits: &Limits,
        named: &mut Vec<String>,
    ) -> Result<Asked, UsageError> {
        let has_urls = self.fulcio_url.is_some()
            || !self.rekor_url.is_empty()
            || !self.timestamp_server_url.is_empty();
        if let Some(path) = &self.signing_config {
            let json = read_file("--signing-config", path, limits.trusted_root_bytes)?;
            let config = SigningConfig::parse(&json, limits).map_err(|source| {
                let named = format!("--signing-config {}", show(path));
                match looks(&json).filter(|looks| *looks != SIGNING_CONFIG) {
                    Some(looks) => UsageError::NotASigningConfig { named, looks },
                    None => UsageError::SigningConfig { named, source },
                }
            })?;
            named.extend(config.hosts_and_ports());
            return Ok(Asked::Config(Box::new(config)));
        }
        if has_urls {
            let mut parse = |flag, url: &String| {
                let url = endpoint(flag, url)?;
                named.extend(url.host_and_port());
                Ok::<_, UsageError>(url)
            };
            let fulcio = self.fulcio_url.as_ref();
            let fulcio = fulcio.map(|url| parse("--fulcio-url", url)).transpose()?;
            let mut rekor = Vec::new();
            for url in &self.rekor_url {
                let version = match self.rekor_version {
                    1 => Version::V1,
                    _ => Version::V2,
                };
                rekor.push((parse("--rekor-url", url)?, version));
            }
            let mut tsa = Vec::new();
            for url in &self.timestamp_server_url {
                tsa.push(parse("--timestamp-server-url", url)?);
            }
            self.suffice(has_key)?;
            let config = SigningConfig::from_urls(fulcio, rekor, tsa, None);
            return Ok(Asked::Config(Box::new(config)));
        }
        if has_key && !self.tlog_upload {
            return Ok(Asked::Nobody);
        }
        let instance = Instance::PublicGood;
        let url = self.tuf_mirror.as_deref().unwrap_or(instance.mirror());
        let mirror = Mirror::parse(url)?;
        named.extend(mirror.host_and_port());
        let limit = usize::try_from(tuf::Bounds::default().root_bytes).unwrap_or(usize::MAX);
        let anchor = match &self.tuf_root {
            Some(path) => read_file("--tuf-root", path, limit)?,
            None => instance.anchor().to_vec(),
        };
        Ok(Asked::Tuf {
            mirror: Box::new(mirror),
            anchor,
        })
    }

    /// Whether services that are named one by one are all that a signature takes: what nobody names is
    /// not done without.
    fn suffice(&self, has_key: bool) -> Result<(), UsageError> {
        let wrong = |what, remedy| Err(UsageError::Missing { what, remedy });
        if !has_key && self.fulcio_url.is_none() {
            return wrong(
                "no certificate authority is named among the services",
                "`--fulcio-url URL`, or a key by `--key FILE`",
            );
        }
        if self.tlog_upload && self.rekor_url.is_empty() {
            return wrong(
                "no transparency log is named among the services, and whoever verifies demands one",
                "`--rekor-url URL`, or `--tlog-upload=false` to sign without",
            );
        }
        let states_time = self.tlog_upload && self.rekor_version == 1;
        if !has_key && !states_time && self.timestamp_server_url.is_empty() {
            return wrong(
                "nothing among the services says when it was signed, without which a short certificate \
                 proves nothing",
                "`--timestamp-server-url URL`",
            );
        }
        Ok(())
    }

    /// Whether signatures are entered into a log.
    pub(super) const fn logs(&self) -> bool {
        self.tlog_upload
    }
}

impl Plan<'_> {
    /// Whether a service is asked.
    pub(super) const fn needs_network(&self) -> bool {
        !matches!(self.services, Asked::Nobody)
    }

    /// Makes the signer: asks the TUF mirror and the provider of tokens, and says who signs.
    pub(super) async fn signer(
        self,
        transport: Transport,
        logs: bool,
        limits: &Limits,
        deadline: Deadline,
    ) -> Result<Signer, Failed> {
        let now = Timestamp::from(SystemTime::now());
        let (config, root) = self.instance(&transport, limits, now, deadline).await?;
        let services = match &config {
            Some(config) => config
                .select(now)
                .map_err(|source| UsageError::SigningConfig {
                    named: "the signing configuration".to_owned(),
                    source,
                })?,
            None => Services::none(),
        };
        let services = if logs {
            services
        } else {
            services.without_logs()
        };
        if config.is_some() && self.key.is_none() && services.fulcio().is_none() {
            let what = "the signing configuration names no certificate authority";
            let remedy = "another one by `--signing-config`, or a key by `--key FILE`";
            return Err(UsageError::Missing { what, remedy }.into());
        }
        if config.is_some() && logs && services.rekor().is_empty() {
            say(
                "warning",
                "the signing configuration has no transparency log: only who asks for none accepts these \
                 signatures",
            );
        }
        let client = Client {
            transport: &transport,
            limits,
            deadline,
        };
        let credential = match self.key {
            Some(key) => {
                say("note", &format!("signing with the key {}", key.id()));
                Credential::Key(Arc::new(key))
            }
            None => {
                let given = self.who.token(&client, &services, &self.rules, now);
                let (token, provider) = given.await?;
                // Whatever log a signature goes into, the certificate goes into Fulcio's.
                let claimed = token.claimed()?;
                say(
                    "note",
                    &format!(
                        "signing as {claimed}; that goes into a transparency log, where it stays"
                    ),
                );
                let renew = provider.map(|provider| {
                    let again = Again {
                        provider,
                        audience: self.who.oidc_audience.clone(),
                        spiffe: self.who.spiffe_token.clone(),
                        rules: self.rules.clone(),
                        transport: transport.clone(),
                        limits: limits.clone(),
                    };
                    again.renew()
                });
                Credential::Token {
                    token: Box::new(token),
                    renew,
                }
            }
        };
        Ok(Signer::new(Config {
            credential,
            services,
            root,
            transport,
            limits: limits.clone(),
            clock: Arc::new(|| Timestamp::from(SystemTime::now())),
            identity: self.who.certificate_identity.clone(),
        })?)
    }

    /// The signing configuration and the trusted root.
    async fn instance(
        &self,
        transport: &Transport,
        limits: &Limits,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<(Option<SigningConfig>, Option<Arc<TrustRoot>>), Failed> {
        let (mirror, anchor) = match &self.services {
            Asked::Nobody => return Ok((None, self.root.clone())),
            Asked::Config(config) => {
                let root = match &self.root {
                    Some(root) => root.clone(),
                    None => {
                        let embedded = Embedded::PublicGood;
                        let root = embedded.root(limits)?;
                        if let Some((kind, text)) = embedded.age(&root, now) {
                            say(kind, &text);
                        }
                        Arc::new(root)
                    }
                };
                return Ok((Some((**config).clone()), Some(root)));
            }
            Asked::Tuf { mirror, anchor } => (mirror, anchor),
        };
        let bounds = tuf::Bounds::default();
        let client = tuf::Client {
            mirror,
            anchor,
            cache: None,
            bounds: &bounds,
        };
        let wanted = [tuf::TRUSTED_ROOT, tuf::SIGNING_CONFIG];
        let reach = tuf::Reach::Network(transport, deadline);
        let update = client
            .update(reach, &wanted, now)
            .await
            .map_err(Failed::from)?;
        let file = |name| {
            update
                .files
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let config = SigningConfig::parse(file(tuf::SIGNING_CONFIG), limits);
        let config = config.map_err(|source| UsageError::SigningConfig {
            named: format!("the signing configuration of {mirror}"),
            source,
        })?;
        let root = match &self.root {
            Some(root) => root.clone(),
            None => {
                let root = TrustRoot::parse(file(tuf::TRUSTED_ROOT), limits);
                Arc::new(root.map_err(|source| UsageError::Root {
                    named: format!("the trusted root of {mirror}"),
                    source,
                })?)
            }
        };
        Ok((Some(config), Some(root)))
    }
}

impl WhoFlags {
    /// The token to sign with. It is current, for the right audience, and of somebody who may sign.
    async fn token(
        &self,
        client: &Client<'_>,
        services: &Services,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<(Token, Option<Provider>), Failed> {
        let (token, provider) = match &self.identity_token {
            Some(text) => (given(text)?, None),
            None => self.fetched(client, services).await?,
        };
        admissible(&token, &self.oidc_audience, rules, now)?;
        Ok((token, provider))
    }

    async fn fetched(
        &self,
        client: &Client<'_>,
        services: &Services,
    ) -> Result<(Token, Option<Provider>), Failed> {
        let variable = |name: &str| env::var(name).ok();
        let mut ambient = Ambient::new(&variable);
        ambient.spiffe = self.spiffe_token.as_deref();
        let provider = match self.oidc_provider {
            Some(provider) => Ok(provider),
            None if self.oidc_disable_ambient_providers => {
                let token = self.asked_for(client, services, None).await?;
                return Ok((token, None));
            }
            None => ambient.detect(),
        };
        match provider {
            Ok(provider) => {
                let token = ambient.fetch(provider, client, &self.oidc_audience).await?;
                Ok((token, Some(provider)))
            }
            Err(missing) => {
                let token = self.asked_for(client, services, Some(missing)).await?;
                Ok((token, None))
            }
        }
    }

    /// Asks a person, where there is one.
    async fn asked_for(
        &self,
        client: &Client<'_>,
        services: &Services,
        missing: Option<crate::services::Error>,
    ) -> Result<Token, Failed> {
        let is_person = io::stdin().is_terminal() && io::stderr().is_terminal();
        let issuer = match &self.oidc_issuer {
            Some(url) => Some(endpoint("--oidc-issuer", url)?),
            None => services.oidc().cloned(),
        };
        let (true, Some(issuer)) = (is_person, issuer) else {
            let missing = missing.unwrap_or(crate::services::Error::TokenMissing(
                crate::services::Missing::Nowhere,
            ));
            return Err(missing.into());
        };
        let client = Client {
            deadline: Deadline::after(PATIENCE),
            ..*client
        };
        let mut tell = |prompt: &device::Prompt| {
            let url = prompt.complete_url.as_ref().unwrap_or(&prompt.url);
            say(
                "login",
                &format!("open {url} and confirm the code {}", prompt.code),
            );
        };
        Ok(device::token(&client, &issuer, &self.oidc_client_id, &mut tell).await?)
    }
}

/// Whether a token is current, for the audience, and of somebody who may sign.
fn admissible(
    token: &Token,
    audience: &str,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), crate::services::Error> {
    token.current(now)?;
    token.for_audience(audience)?;
    rules.permit(token)
}

/// Where the next token comes from, when a walk takes longer than a certificate lasts.
#[derive(Clone)]
struct Again {
    provider: Provider,
    audience: String,
    spiffe: Option<PathBuf>,
    rules: Rules,
    transport: Transport,
    limits: Limits,
}

impl Again {
    fn renew(self) -> Renew {
        let again = Arc::new(self);
        Arc::new(move |deadline| {
            let again = Arc::clone(&again);
            Box::pin(async move { again.fetch(deadline).await })
        })
    }

    async fn fetch(&self, deadline: Deadline) -> Result<Token, crate::services::Error> {
        let variable = |name: &str| env::var(name).ok();
        let mut ambient = Ambient::new(&variable);
        ambient.spiffe = self.spiffe.as_deref();
        let client = Client {
            transport: &self.transport,
            limits: &self.limits,
            deadline,
        };
        let token = ambient
            .fetch(self.provider, &client, &self.audience)
            .await?;
        let now = Timestamp::from(SystemTime::now());
        admissible(&token, &self.audience, &self.rules, now)?;
        Ok(token)
    }
}

/// A token that is given: by a file, by stdin, or itself.
fn given(given: &Given) -> Result<Token, Failed> {
    let text = given.0.as_str();
    let path = Path::new(text);
    let read = if text == "-" {
        take(io::stdin().lock(), MAX_TOKEN).ok()
    } else if text.split('.').count() == 3 && !path.exists() {
        Some(text.as_bytes().to_vec())
    } else {
        read_bounded(path, MAX_TOKEN).ok()
    };
    // What was given may be a token with a mistake in it, and is not told.
    let Some(read) = read.filter(|read| read.len() <= MAX_TOKEN) else {
        return Err(Failed::Usage(UsageError::Missing {
            what: "what `--identity-token` names is neither a file that can be read nor a token",
            remedy: "a file with the token, or `-` for stdin",
        }));
    };
    let text = String::from_utf8_lossy(&read);
    Ok(Token::parse(&text)?)
}

fn parse_provider(name: &str) -> Result<Provider, String> {
    if name == GOOGLE {
        let audience = oidc::AUDIENCE;
        return Err(format!(
            "no token is asked of Google (write one for the audience `{audience}` to a file, and name \
             it with `--identity-token FILE`)"
        ));
    }
    Provider::named(name).ok_or_else(|| {
        let names: Vec<_> = Provider::ALL.iter().map(|one| one.name()).collect();
        let names = names.join(", ");
        format!(
            "there is no such provider (give one of {names}, or a token with `--identity-token`)"
        )
    })
}

fn endpoint(flag: &'static str, url: &str) -> Result<Endpoint, UsageError> {
    Endpoint::parse(url).map_err(|source| UsageError::Address { flag, source })
}
