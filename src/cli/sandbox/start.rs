//! Starting a sandbox and telling where it is.

use core::time::Duration;
use std::io;
use std::io::Write;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::sandbox::detach;
use crate::cli::sandbox::host::Directory;
use crate::cli::sandbox::host::export;
use crate::cli::sandbox::host::interrupt;
use crate::cli::sandbox::host::speakable;
use crate::cli::sandbox::host::variables;
use crate::model::Timestamp;
use crate::sandbox::Clock;
use crate::sandbox::Config;
use crate::sandbox::Part;
use crate::sandbox::Sandbox;
use crate::sandbox::Stamps;
use crate::sandbox::mint::LogVersion;
use crate::sandbox::registry;
use crate::sandbox::registry::Auth;
use crate::sandbox::registry::Referrers;
use crate::sandbox::registry::TokenAuth;
use crate::sandbox::registry::User;
use crate::sandbox::server::Fault;
use crate::sandbox::server::Tls;

/// What kind of sandbox it is.
#[derive(Debug, clap::Args)]
pub(super) struct Start {
    /// The port of the Sigstore on 127.0.0.1; 0 for any.
    #[arg(long, value_name = "PORT", default_value_t = 0, help_heading = "Where")]
    port: u16,

    /// The port of the registry on 127.0.0.1; 0 for any.
    #[arg(long, value_name = "PORT", default_value_t = 0, help_heading = "Where")]
    registry_port: u16,

    /// Where trusted_root.json, signing_config.json and the CA files are written. Without it they
    /// are in the state directory, or in one that is removed at the end.
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    dir: Option<PathBuf>,

    /// Keep keys, logs and images there, and go on with what is kept there already.
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    state: Option<PathBuf>,

    /// Run in the background, and come back when everything answers.
    #[arg(long, help_heading = "Where")]
    detach: bool,

    /// Have only these parts: ct, fulcio, oidc, registry, rekor1, rekor2, tsa, tuf.
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = part)]
    #[arg(help_heading = "What")]
    only: Vec<Part>,

    /// The version of Rekor that signing_config.json names: 1 or 2.
    #[arg(long, value_name = "VERSION", default_value = "1", value_parser = rekor)]
    #[arg(help_heading = "What")]
    rekor: LogVersion,

    /// Leave the timestamp authority out of signing_config.json.
    #[arg(long, help_heading = "What")]
    without_tsa: bool,

    /// The time at which the clock of the services begins (RFC 3339), or how many seconds it is
    /// ahead (`+60`) or behind (`-60`).
    #[arg(long, value_name = "TIME", value_parser = clock, allow_hyphen_values = true)]
    #[arg(default_value = "+0", hide_default_value = true, help_heading = "What")]
    clock: Clock,

    /// Milliseconds that each answer waits.
    #[arg(
        long,
        value_name = "MILLISECONDS",
        default_value_t = 0,
        help_heading = "What"
    )]
    delay: u64,

    /// What the services do wrong, such as `lie=ca-no-sct`; `scgate sandbox fault` changes it. May
    /// be repeated.
    #[arg(long, value_name = "FAULT", help_heading = "What")]
    fault: Vec<Fault>,

    /// What the registry does wrong, such as `status=429,path=/referrers/`. May be repeated.
    #[arg(long, value_name = "FAULT", help_heading = "What")]
    registry_fault: Vec<Fault>,

    /// Whether the registry has the referrers API: api or off.
    #[arg(long, value_name = "HOW", default_value = "api", value_parser = referrers)]
    #[arg(help_heading = "What")]
    referrers: Referrers,

    /// Who may use the registry. May be repeated; without it everybody may.
    #[arg(long, value_name = "NAME:PASSWORD", help_heading = "What")]
    registry_user: Vec<String>,

    /// A file of users as htpasswd writes it, with plain passwords (`-p`) or SHA-1 (`-s`).
    #[arg(long, value_name = "FILE", help_heading = "What")]
    registry_htpasswd: Option<PathBuf>,

    /// Refuse to move a tag of the registry that exists.
    #[arg(long, help_heading = "What")]
    registry_immutable_tags: bool,

    /// Obey conditional requests at the registry (`If-Match`, `If-None-Match`).
    #[arg(long, help_heading = "What")]
    registry_conditional: bool,

    /// How many tags or referrers the registry lists in one answer at most.
    #[arg(long, value_name = "N", help_heading = "What")]
    registry_page: Option<usize>,

    /// Give out tokens to the users of the registry, rather than ask for the password each time.
    #[arg(long, help_heading = "What")]
    registry_tokens: bool,

    /// Speak TLS at the registry, by an authority that is written to registry_ca.pem.
    #[arg(long, help_heading = "What")]
    registry_tls: bool,
}

impl Start {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        if self.detach {
            return detach::run();
        }
        let config = self.config()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(UsageError::Runtime)?;
        runtime.block_on(self.serve(config))
    }

    fn config(&self) -> Result<Config, UsageError> {
        let mut users = self
            .registry_user
            .iter()
            .map(|text| match text.split_once(':') {
                Some((name, password)) if !name.is_empty() => Ok(User::new(name, password)),
                _ => Err(UsageError::Value {
                    flag: "--registry-user",
                    value: "…".to_owned(),
                    expected: "a user is `NAME:PASSWORD`",
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(path) = &self.registry_htpasswd {
            users.extend(read_users(path)?);
            if users.is_empty() {
                return Err(UsageError::Value {
                    flag: "--registry-htpasswd",
                    value: show(path),
                    expected: "there is no user in it (leave the flag away to let everybody in)",
                });
            }
        }
        if self.registry_page == Some(0) {
            return Err(UsageError::Value {
                flag: "--registry-page",
                value: "0".to_owned(),
                expected: "an answer lists at least one",
            });
        }
        if self.registry_tokens && users.is_empty() {
            return Err(UsageError::Missing {
                what: "tokens are for users, and there are none",
                remedy: "`--registry-user NAME:PASSWORD` or `--registry-htpasswd FILE`",
            });
        }
        let auth = match (users.is_empty(), self.registry_tokens) {
            (true, _) => Auth::Anonymous,
            (false, true) => Auth::Token(TokenAuth::new(users)),
            (false, false) => Auth::Basic(users),
        };
        let has_registry = self.only.is_empty() || self.only.contains(&Part::Registry);
        if !has_registry && let Some(flag) = self.about_the_registry() {
            return Err(UsageError::Exclusive {
                one: "--only without `registry`".to_owned(),
                other: flag.to_owned(),
            });
        }
        let parts = match self.only.as_slice() {
            [] => Part::ALL.to_vec(),
            only => only.to_vec(),
        };
        Ok(Config {
            port: self.port,
            parts,
            registry: registry::Config {
                auth,
                conditional: self.registry_conditional,
                immutable_tags: self.registry_immutable_tags,
                page_size: self.registry_page,
                port: self.registry_port,
                referrers: self.referrers,
                tls: if self.registry_tls { Tls::On } else { Tls::Off },
                ..registry::Config::default()
            },
            clock: self.clock,
            log: self.rekor,
            stamps: if self.without_tsa {
                Stamps::None
            } else {
                Stamps::Rfc3161
            },
            delay: Duration::from_millis(self.delay),
            state: self.state.clone(),
        })
    }

    /// The first flag about the registry that is given.
    fn about_the_registry(&self) -> Option<&'static str> {
        let flags = [
            ("--registry-port", self.registry_port != 0),
            ("--registry-fault", !self.registry_fault.is_empty()),
            ("--registry-user", !self.registry_user.is_empty()),
            ("--registry-htpasswd", self.registry_htpasswd.is_some()),
            ("--registry-immutable-tags", self.registry_immutable_tags),
            ("--registry-conditional", self.registry_conditional),
            ("--registry-page", self.registry_page.is_some()),
            ("--registry-tls", self.registry_tls),
            ("--referrers", self.referrers != Referrers::Api),
        ];
        flags
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }

    async fn serve(&self, config: Config) -> Result<Outcome, UsageError> {
        for (flag, path) in [("--dir", &self.dir), ("--state", &self.state)] {
            if let Some(path) = path {
                speakable(flag, path)?;
            }
        }
        let sandbox = Sandbox::with(config).await?;
        for fault in &self.fault {
            sandbox.inject(fault.clone());
        }
        if let Some(registry) = sandbox.registry() {
            for fault in &self.registry_fault {
                registry.inject(fault.clone());
            }
        }
        let named = self.dir.as_deref().or(self.state.as_deref());
        let dir = Directory::new(("--dir", named), "scgate-sandbox-")?;
        for (name, content) in sandbox.files() {
            dir.write(name, &content)?;
        }
        let mut told =
            String::from("# a test world: whatever is signed here proves nothing elsewhere\n");
        for (name, value) in variables(&sandbox, dir.path()) {
            told.push_str(&export(name, &value));
        }
        told.push_str(detach::READY);
        told.push('\n');
        let told = io::stdout().write_all(told.as_bytes());
        let outcome = match told.and_then(|()| io::stdout().flush()) {
            Ok(()) => {
                tokio::select! {
                    () = sandbox.asked_to_stop() => Outcome::Allowed,
                    interrupted = interrupt() => match interrupted {
                        Ok(()) => Outcome::Allowed,
                        Err(source) => return Err(UsageError::Runtime(source)),
                    },
                }
            }
            // Nobody knows where it is, so nobody can use it.
            Err(_) => Outcome::Undecided,
        };
        sandbox.stop().await?;
        Ok(outcome)
    }
}

/// The users of an htpasswd file.
fn read_users(path: &std::path::Path) -> Result<Vec<User>, UsageError> {
    const FLAG: &str = "--registry-htpasswd";
    let text = read_file(FLAG, path, 1 << 20)?;
    let text = String::from_utf8_lossy(&text);
    User::htpasswd(&text).map_err(|source| UsageError::Users {
        path: show(path),
        source,
    })
}

/// What the clock may say, in seconds since 1970.
const YEARS: core::ops::Range<i64> = 63_072_000..252_770_976_000;

fn part(text: &str) -> Result<Part, String> {
    let names: Vec<_> = Part::ALL.iter().map(|one| one.name()).collect();
    Part::named(text).ok_or_else(|| format!("a part is one of {}", names.join(", ")))
}

fn rekor(text: &str) -> Result<LogVersion, String> {
    match text {
        "1" => Ok(LogVersion::V1),
        "2" => Ok(LogVersion::V2),
        _ => Err("Rekor has versions 1 and 2".to_owned()),
    }
}

fn referrers(text: &str) -> Result<Referrers, String> {
    match text {
        "api" => Ok(Referrers::Api),
        "off" => Ok(Referrers::Off),
        _ => Err("it is `api` or `off`".to_owned()),
    }
}

fn clock(text: &str) -> Result<Clock, String> {
    let clock = match text.parse::<i64>() {
        Ok(0) => Clock::System,
        Ok(shift) => Clock::System.plus(shift),
        Err(_) => Timestamp::parse(text)
            .map(Clock::running_from)
            .map_err(|error| error.to_string())?,
    };
    // A year before it begins the validity of the authorities, nine years after it ends, and what
    // reads them counts from 1970 and has four digits for a year.
    if YEARS.contains(&clock.now().unix_seconds()) {
        Ok(clock)
    } else {
        Err("the clock of a sandbox runs from 1972 to 9980".to_owned())
    }
}
