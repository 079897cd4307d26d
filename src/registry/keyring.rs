//! Credentials from the files of Docker and of the containers tools, given as bytes.
//!
//! Both dialects are read by the same rules: a key is a host, or a host with a path, and the most
//! specific key that covers the repository by whole components counts. A credential helper takes
//! precedence over secrets in the file, as Docker has it. Nothing here reads a file or starts a
//! program; secrets show as stars.

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use serde::Deserialize;

use crate::model::Digest;
use crate::model::JsonError;
use crate::model::Repository;
use crate::model::printable;

/// Docker's name for its own registry, as files and helpers have it.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A text that must not be shown.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One way to prove to a registry who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    pub(super) kind: Kind,
    origin: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A name and a password.
    Basic { user: String, password: Secret },
    /// A program that knows.
    Helper { program: String, server: String },
    /// A refresh token, to be exchanged at the token server.
    Identity { user: String, token: Secret },
    /// An access token, sent as it is.
    Bearer(Secret),
}

impl Credential {
    pub(super) const fn new(kind: Kind, origin: String) -> Self {
        Self { kind, origin }
    }

    /// Where it comes from: the file, as its reader named it, and the key in it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What tells two credentials apart without showing either: tokens are kept under it.
    pub(super) fn id(&self) -> Digest {
        let (kind, user, secret) = match &self.kind {
            Kind::Basic { user, password } => ("basic", user.as_str(), password.reveal()),
            Kind::Helper { program, server } => ("helper", program.as_str(), server.as_str()),
            Kind::Identity { user, token } => ("identity", user.as_str(), token.reveal()),
            Kind::Bearer(token) => ("bearer", "", token.reveal()),
        };
        Digest::sha256(format!("{kind}\0{user}\0{secret}").as_bytes())
    }
}

/// Whether credential helpers named in a file may be started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Helpers {
    /// They are passed over: for files that come from others, such as pull secrets.
    Ignore,
    /// They are started when a registry demands credentials: for the operator's own files.
    Run,
}

/// Credentials, by host and path.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    /// By normal key: a host, or a host and a path.
    entries: BTreeMap<String, Kind>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

impl Keyring {
    /// Reads a `config.json` of Docker or an `auth.json` of the containers tools. `name` is what
    /// messages call it.
    ///
    /// # Errors
    ///
    /// [`KeyringError`], which never holds a secret.
    pub fn from_docker_config(
        name: &str,
        bytes: &[u8],
        helpers: Helpers,
    ) -> Result<Self, KeyringError> {
        let raw: Raw = crate::model::read_json(bytes).map_err(|source| KeyringError::Json {
            name: name.to_owned(),
            source,
        })?;
        let mut file = File {
            name: name.to_owned(),
            entries: BTreeMap::new(),
            helpers: BTreeMap::new(),
            store: None,
        };
        for (key, entry) in raw.auths {
            let kind = entry
                .into_kind()
                .map_err(|Undecodable| KeyringError::Entry {
                    name: name.to_owned(),
                    key: printable(&key),
                })?;
            if let Some(kind) = kind {
                file.entries.insert(normal_key(&key), kind);
            }
        }
        if helpers == Helpers::Run {
            let named = raw.cred_helpers.into_iter();
            for (key, program) in named.filter(|(_, program)| !program.is_empty()) {
                file.helpers
                    .insert(normal_key(&key), helper(name, program)?);
            }
            let store = raw.creds_store.filter(|program| !program.is_empty());
            file.store = store.map(|program| helper(name, program)).transpose()?;
        }
        Ok(Self { files: vec![file] })
    }

    /// These credentials, and after them those of `other`.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self
    }

    /// The credentials for a repository, in the order to try them: one from each file at most.
    #[must_use]
    pub fn lookup(&self, repository: &Repository) -> Vec<Credential> {
        let mut found: Vec<Credential> = Vec::new();
        for credential in self.files.iter().filter_map(|file| file.lookup(repository)) {
            if !found.iter().any(|other| other.kind == credential.kind) {
                found.push(credential);
            }
        }
        found
    }
}

impl File {
    fn lookup(&self, repository: &Repository) -> Option<Credential> {
        let keys: Vec<String> = keys_of(repository).collect();
        let host = key_host(repository.host());
        let by_helper = |program: &str, key: &str| Credential {
            kind: Kind::Helper {
                program: program.to_owned(),
                server: match key {
                    "docker.io" => DOCKER_HUB_KEY.to_owned(),
                    key => key.to_owned(),
                },
            },
            origin: format!("docker-credential-{program} in {}", self.name),
        };
        if let Some((key, program)) = first(&self.helpers, &keys) {
            return Some(by_helper(program, key));
        }
        if let Some(program) = &self.store {
            return Some(by_helper(program, host));
        }
        let (key, kind) = first(&self.entries, &keys)?;
        Some(Credential {
            kind: kind.clone(),
            origin: format!("`{}` in {}", printable(key), self.name),
        })
    }
}

fn first<'a, T>(map: &'a BTreeMap<String, T>, keys: &[String]) -> Option<(&'a String, &'a T)> {
    keys.iter().find_map(|key| map.get_key_value(key))
}

/// `host/a/b`, `host/a`, `host`.
fn keys_of(repository: &Repository) -> impl Iterator<Item = String> {
    let full = format!("{}/{}", key_host(repository.host()), repository.path());
    core::iter::successors(Some(full), |key| {
        key.rsplit_once('/').map(|(shorter, _)| shorter.to_owned())
    })
}

/// The host without `:443`, which keys of files leave out.
fn key_host(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}

/// The key without scheme and API version: a lower-case host, no `:443`, one name for Docker Hub.
fn normal_key(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
        .trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = host.to_ascii_lowercase();
    let host = match key_host(&host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    match path {
        "" | "v1" | "v2" => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

/// A helper's name becomes a part of a program's name.
fn helper(name: &str, program: String) -> Result<String, KeyringError> {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    if program.bytes().all(good) {
        Ok(program)
    } else {
        Err(KeyringError::Helper {
            name: name.to_owned(),
            helper: printable(&program),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    auths: BTreeMap<String, RawEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct RawEntry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

struct Undecodable;

impl RawEntry {
    fn into_kind(self) -> Result<Option<Kind>, Undecodable> {
        let (user, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            decode(&self.auth).ok_or(Undecodable)?
        };
        Ok(if !self.registrytoken.is_empty() {
            Some(Kind::Bearer(Secret(self.registrytoken)))
        } else if !self.identitytoken.is_empty() {
            let token = Secret(self.identitytoken);
            Some(Kind::Identity { user, token })
        } else if user.is_empty() && password.is_empty() {
            None
        } else {
            let password = Secret(password);
            Some(Kind::Basic { user, password })
        })
    }
}

/// Base64 of `user:password`. The password may hold colons; Docker trims NULs at its end.
fn decode(auth: &str) -> Option<(String, String)> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
    let text = String::from_utf8(engine.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Why a file of credentials could not be read. The operator can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// An entry whose `auth` is not base64 of `user:password`.
    #[error("the `auth` of `{key}` in {name} is not base64 of `user:password`")]
    Entry {
        /// The file.
        name: String,
        /// The key.
        key: String,
    },
    /// A helper whose name has characters other than letters, digits, `.`, `_` and `-`.
    #[error("the credential helper `{helper}` in {name} has a name that is not run")]
    Helper {
        /// The file.
        name: String,
        /// The helper.
        helper: String,
    },
    /// It is not JSON of the expected shape.
    #[error("{name} is not a file of credentials: {source}")]
    Json {
        /// The file.
        name: String,
        /// Why not.
        source: JsonError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(json: &str) -> Keyring {
        Keyring::from_docker_config("config.json", json.as_bytes(), Helpers::Run).expect("JSON")
    }

    fn found(json: &str, repository: &str) -> String {
        let repository = Repository::parse(repository).expect("a repository");
        match keyring(json).lookup(&repository).first().map(|c| &c.kind) {
            None => "none".to_owned(),
            Some(Kind::Basic { user, password }) => format!("{user}:{}", password.reveal()),
            Some(Kind::Helper { program, server }) => format!("{program} {server}"),
            Some(Kind::Identity { user, token }) => format!("{user} id {}", token.reveal()),
            Some(Kind::Bearer(token)) => format!("bearer {}", token.reveal()),
        }
    }

    #[test]
    fn the_most_specific_key_of_whole_components_counts() {
        let json = r#"{"auths":{
            "registry.test": {"username":"host","password":"1"},
            "registry.test/team": {"username":"team","password":"2"},
            "registry.test/team/app": {"username":"app","password":"3"},
            "https://old.test/v2/": {"auth":"dTpwOnE="},
            "https://index.docker.io/v1/": {"auth":"aHViOnAAAA=="},
            "PORT.test:5000": {"username":"port","password":"4"},
            "plain.test:443": {"username":"tls","password":"5"},
            "word": {"username":"word","password":"6"},
            "empty.test": {}
        }}"#;
        for (repository, expected) in [
            ("registry.test/x", "host:1"),
            ("registry.test/team/x", "team:2"),
            ("registry.test/team2/x", "host:1"),
            ("registry.test/team/app", "app:3"),
            ("registry.test/team/app/sub", "app:3"),
            ("registry.test/team/app2", "team:2"),
            ("registry.test:5443/x", "none"),
            ("registry.test.evil.test/x", "none"),
            ("evil.test/registry.test/x", "none"),
            ("sub.registry.test/x", "none"),
            ("old.test/x", "u:p:q"),
            ("nginx", "hub:p"),
            ("index.docker.io/a/b", "hub:p"),
            ("port.test:5000/x", "port:4"),
            ("port.test/x", "none"),
            ("plain.test/x", "tls:5"),
            ("Word/x", "word:6"),
            ("word:443/x", "word:6"),
            ("word:5000/x", "none"),
            ("empty.test/x", "none"),
        ] {
            assert_eq!(found(json, repository), expected, "{repository}");
        }
    }

    #[test]
    fn helpers_come_before_the_store_and_the_store_before_secrets() {
        let json = r#"{"credsStore":"desktop","credHelpers":{"a.test":"one","b.test/team":"two","docker.io":"hub","c.test":""},
            "auths":{"a.test":{"username":"u","password":"p"},"d.test":{"username":"u","password":"p"}}}"#;
        for (repository, expected) in [
            ("a.test/x", "one a.test"),
            ("b.test/team/x", "two b.test/team"),
            ("b.test/x", "desktop b.test"),
            ("c.test/x", "desktop c.test"),
            ("d.test/x", "desktop d.test"),
            ("nginx", "hub https://index.docker.io/v1/"),
        ] {
            assert_eq!(found(json, repository), expected, "{repository}");
        }
        let ignored = Keyring::from_docker_config("secret", json.as_bytes(), Helpers::Ignore);
        let repository = Repository::parse("d.test/x").expect("a repository");
        let kinds = ignored.expect("JSON").lookup(&repository);
        assert!(matches!(
            kinds.as_slice(),
            [Credential {
                kind: Kind::Basic { .. },
                ..
            }]
        ));
    }

    #[test]
    fn tokens_are_told_apart() {
        let json = r#"{"auths":{
            "id.test": {"auth":"MDA6","identitytoken":"refresh"},
            "reg.test": {"registrytoken":"access"}
        }}"#;
        assert_eq!(found(json, "id.test/x"), "00 id refresh");
        assert_eq!(found(json, "reg.test/x"), "bearer access");
        assert_eq!(found("{}", "reg.test/x"), "none");
    }

    #[test]
    fn files_are_tried_in_order_and_say_where_a_credential_is_from() {
        let one = keyring(r#"{"auths":{"a.test":{"username":"u","password":"1"}}}"#);
        let two = keyring(r#"{"auths":{"a.test/x":{"username":"u","password":"2"}}}"#);
        let both = one.clone().then(two).then(one);
        let found = both.lookup(&Repository::parse("a.test/x").expect("a repository"));
        let origins: Vec<_> = found.iter().map(Credential::origin).collect();
        assert_eq!(
            origins,
            ["`a.test` in config.json", "`a.test/x` in config.json"]
        );
    }

    #[test]
    fn malformed_files_are_named_and_secrets_never_shown() {
        let error = |json: &str| {
            Keyring::from_docker_config("config.json", json.as_bytes(), Helpers::Run)
                .expect_err("malformed")
        };
        assert!(matches!(error("{"), KeyringError::Json { .. }));
        assert!(matches!(
            error(r#"{"auths":{"a":{"auth":"%"}}}"#),
            KeyringError::Entry { .. }
        ));
        assert!(matches!(
            error(r#"{"auths":{"a":{"auth":"dQ=="}}}"#),
            KeyringError::Entry { .. }
        ));
        assert!(matches!(
            error(r#"{"credsStore":"../x"}"#),
            KeyringError::Helper { .. }
        ));
        let keyring = keyring(r#"{"auths":{"a.test":{"username":"u","password":"hunter2"}}}"#);
        assert!(!format!("{keyring:?}").contains("hunter2"));
    }
}
