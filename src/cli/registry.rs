//! How registries are reached: credentials, TLS, proxy, time.
//!
//! Credentials and relaxations are for the hosts that the command line names, and for no other that
//! one of those may lead to.

use core::time::Duration;
use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::json;

use crate::cli::UsageError;
use crate::cli::files::read_bounded;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::network;
use crate::cli::say;
use crate::model::Limits;
use crate::registry::Helpers;
use crate::registry::Hosts;
use crate::registry::Keyring;
use crate::registry::Remote;
use crate::registry::RemoteSettings;

/// Bytes of a file of credentials.
const MAX_AUTHFILE: usize = 4 * 1024 * 1024;
/// Less than this is a mistake in the unit: no connection comes about in it.
const LEAST_TIME: Duration = Duration::from_millis(1);

/// The flags that only mean something where a registry is asked.
const REGISTRY_ALONE: &[&str] = &[
    "authfile",
    "registry_username",
    "registry_password",
    "registry_token",
    "registry_cacert",
    "proxy",
    "allow_http_registry",
    "allow_insecure_registry",
];

/// How registries are reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct RegistryFlags {
    // The first one: the others take their values away.
    #[command(flatten)]
    typed: Typed,

    /// Make no request: what is asked about lies in a layout.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    offline: bool,

    /// Time for everything, such as `30s` or `2m30s`.
    #[arg(
        long,
        short,
        value_name = "TIME",
        default_value = "3m",
        env = "SCGATE_TIMEOUT"
    )]
    #[arg(value_parser = parse_duration, allow_hyphen_values = true)]
    pub(super) timeout: Duration,

    /// A file of credentials, as Docker and the containers tools write it, instead of theirs.
    #[arg(long, value_name = "FILE", env = "SCGATE_AUTHFILE")]
    pub(super) authfile: Option<PathBuf>,

    /// User name for the registries that are named.
    #[arg(long, value_name = "NAME")]
    registry_username: Option<String>,

    /// Password for the registries that are named. Other users of this machine can see it; prefer
    /// `--authfile`.
    #[arg(long, value_name = "PASSWORD")]
    registry_password: Option<String>,

    /// Bearer token for the registries that are named. Other users of this machine can see it;
    /// prefer `--authfile`.
    #[arg(long, value_name = "TOKEN")]
    registry_token: Option<String>,

    /// CA certificates (PEM) that are trusted for TLS besides the system's.
    #[arg(long, value_name = "FILE", env = "SCGATE_CACERT")]
    pub(super) registry_cacert: Option<PathBuf>,

    /// The proxy for all requests.
    #[arg(long, value_name = "URL", env = "SCGATE_PROXY")]
    proxy: Option<String>,

    /// Speak plain HTTP with the registries that are named, if they speak no TLS.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    allow_http_registry: bool,

    /// Accept any TLS certificate of the registries that are named.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    allow_insecure_registry: bool,
}

impl RegistryFlags {
    /// A client for registries, `hosts` being those that the command line names. It connects to
    /// nothing yet.
    pub(super) fn remote(
        &self,
        hosts: BTreeSet<String>,
        limits: &Limits,
    ) -> Result<Remote, UsageError> {
        if self.offline {
            return Err(UsageError::Offline {
                what: "a registry",
                remedy: "name a layout with `--layout PATH`, or leave `--offline` away",
            });
        }
        let authorities = self.registry_cacert.as_deref();
        let transport = network::transport(
            hosts.iter().cloned(),
            authorities.map(|path| ("--registry-cacert", path)),
            self.proxy.as_deref(),
            if self.typed.has("proxy") {
                "--proxy"
            } else {
                "SCGATE_PROXY"
            },
        )?;
        let keyring = self.keyring(&hosts)?;
        let mut remote = RemoteSettings::default();
        if self.allow_http_registry {
            remote.insecure_http = Hosts::These(hosts.clone());
        }
        if self.allow_insecure_registry {
            remote.insecure_tls = Hosts::These(hosts);
        }
        Ok(Remote::new(transport, keyring, remote, limits.clone()))
    }

    /// Refuses what would change how a registry is asked, where none is. Variables may be set for
    /// other commands.
    pub(super) fn refuse_beside_layout(&self) -> Result<(), UsageError> {
        match REGISTRY_ALONE.iter().find(|id| self.typed.has(id)) {
            Some(id) => Err(UsageError::BesideLayout {
                flag: format!("--{}", id.replace('_', "-")),
            }),
            None => Ok(()),
        }
    }

    /// The proxy for all requests, if one is named.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Refuses what needs the network where none may be used.
    pub(super) const fn refuse_offline(
        &self,
        what: &'static str,
        remedy: &'static str,
    ) -> Result<(), UsageError> {
        match self.offline {
            true => Err(UsageError::Offline { what, remedy }),
            false => Ok(()),
        }
    }

    fn keyring(&self, hosts: &BTreeSet<String>) -> Result<Keyring, UsageError> {
        if let Some(keyring) = self.named(hosts)? {
            return Ok(keyring);
        }
        if let Some(path) = &self.authfile {
            let flag = "--authfile";
            let json = read_file(flag, path, MAX_AUTHFILE)?;
            return parse(flag, path, &json);
        }
        let mut keyring = Keyring::default();
        for path in usual_authfiles() {
            match read_bounded(&path, MAX_AUTHFILE) {
                Ok(json) => keyring = keyring.then(parse("--authfile", &path, &json)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Nobody named it: without it the registry may say no, and that is said then.
                Err(error) => say("warning", &format!("{} is not read: {error}", show(&path))),
            }
        }
        Ok(keyring)
    }

    /// The credentials that the flags themselves hold.
    fn named(&self, hosts: &BTreeSet<String>) -> Result<Option<Keyring>, UsageError> {
        let (user, password) = (&self.registry_username, &self.registry_password);
        for (flag, value) in [
            ("--registry-username", user),
            ("--registry-password", password),
            ("--registry-token", &self.registry_token),
        ] {
            if value.as_deref() == Some("") {
                return Err(UsageError::Value {
                    flag,
                    value: String::new(),
                    expected: "it is empty (leave the flag away to ask without credentials)",
                });
            }
        }
        let entry = match (user, password, &self.registry_token) {
            (None, None, None) => return Ok(None),
            (None, None, Some(token)) => json!({ "registrytoken": token }),
            (Some(user), Some(password), None) => json!({ "username": user, "password": password }),
            (Some(_), None, _) => {
                return Err(UsageError::Missing {
                    what: "the password to `--registry-username` is missing",
                    remedy: "`--registry-password`",
                });
            }
            (None, Some(_), _) => {
                return Err(UsageError::Missing {
                    what: "the user to `--registry-password` is missing",
                    remedy: "`--registry-username`",
                });
            }
            (Some(_), Some(_), Some(_)) => {
                return Err(UsageError::Exclusive {
                    one: "--registry-token".to_owned(),
                    other: "--registry-username".to_owned(),
                });
            }
        };
        let auths: serde_json::Map<_, _> = hosts
            .iter()
            .map(|host| (host.clone(), entry.clone()))
            .collect();
        let file = json!({ "auths": auths }).to_string();
        let path = Path::new("the command line");
        parse("--registry-username", path, file.as_bytes()).map(Some)
    }
}

/// Which of these flags stand on the command line, and are not variables or defaults.
#[derive(Debug, Default)]
struct Typed(BTreeSet<&'static str>);

impl Typed {
    fn has(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}

impl clap::Args for Typed {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command
    }
}

impl clap::FromArgMatches for Typed {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Self::default();
        typed.update_from_arg_matches(matches)?;
        Ok(typed)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let typed = |id: &&&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        self.0 = REGISTRY_ALONE.iter().filter(typed).copied().collect();
        Ok(())
    }
}

fn parse(flag: &'static str, path: &Path, json: &[u8]) -> Result<Keyring, UsageError> {
    // The operator's own files, or files that he named: their helpers may run.
    Keyring::from_docker_config(&show(path), json, Helpers::Run)
        .map_err(|source| UsageError::Authfile { flag, source })
}

/// Where Docker and the containers tools keep credentials, in the order in which they count.
pub(super) fn usual_authfiles() -> Vec<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let below = |name: &str, path: &str| named(name).map(|base| Path::new(&base).join(path));
    let containers = "containers/auth.json";
    [
        named("REGISTRY_AUTH_FILE").map(PathBuf::from),
        below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json")),
        below("XDG_RUNTIME_DIR", containers),
        below("XDG_CONFIG_HOME", containers)
            .or_else(|| below("HOME", ".config/containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A time as Go writes it, and as most people do.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is such as `30s` or `2m30s`, and at least `1ms`".to_owned();
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration >= LEAST_TIME => Ok(duration),
        _ => Err(wrong()),
    }
}
