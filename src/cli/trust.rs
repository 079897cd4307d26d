//! Who is trusted to vouch, and what may be missing: a trusted root or a key, and the relaxations
//! that cosign offers. Trust comes from files that are named, or from the embedded public-good root.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sigstore_trust_root::SigstoreInstance;

use crate::admit::Trusted;
use crate::cli::UsageError;
use crate::cli::error;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::say;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::policy::SignedTimestamp;
use crate::verify::LogTerm;
use crate::verify::ManagedKey;
use crate::verify::SctTerm;
use crate::verify::Terms;
use crate::verify::TrustRoot;

/// Seconds between two clocks that are both kept (NTP keeps them within one).
const MAX_SKEW: u8 = 60;

/// What is trusted, and what evidence must have.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustFlags {
    /// A `trusted_root.json`. Without it the public-good root counts that is part of scgate.
    #[arg(long, value_name = "FILE")]
    pub(super) trusted_root: Option<PathBuf>,

    /// Demand an RFC 3161 timestamp.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    use_signed_timestamps: bool,

    /// The verdict as of this time (RFC 3339): what was signed later does not exist.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,

    /// Seconds that an authenticated time may lie ahead of this machine's clock, at most 60.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    #[arg(value_parser = parse_skew, allow_hyphen_values = true)]
    clock_skew: u8,

    /// Accept evidence that no transparency log holds.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    insecure_ignore_tlog: bool,

    /// Accept certificates that no certificate transparency log holds.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    insecure_ignore_sct: bool,
}

/// On what a verdict is made.
#[derive(Debug)]
pub(super) struct Grounds {
    pub(super) trusted: Trusted,
    pub(super) terms: Terms,
    pub(super) signed_timestamp: SignedTimestamp,
    pub(super) now: Timestamp,
    pub(super) at: Option<Timestamp>,
    /// What stderr says before the answer, each with its kind.
    notices: Vec<(&'static str, String)>,
}

impl Grounds {
    /// Says on stderr what weakens the answer, and which root it rests on when none was named.
    pub(super) fn announce(&self) {
        for (kind, text) in &self.notices {
            say(kind, text);
        }
    }
}

impl TrustFlags {
    /// Reads the files that are named. `embedded` is the root that counts when none is.
    pub(super) fn grounds(
        &self,
        embedded: Embedded,
        key: Option<&Path>,
        limits: &Limits,
    ) -> Result<Grounds, UsageError> {
        let now = Timestamp::from(SystemTime::now());
        let at = self.at(now)?;
        let keys = match key {
            Some(path) => vec![Arc::new(read_key(path, limits)?)],
            None => Vec::new(),
        };
        let mut notices = Vec::new();
        let root = match &self.trusted_root {
            Some(path) => Some(read_root("--trusted-root", path, limits)?),
            // A key whose signatures need no log entry needs nobody to vouch for one.
            None if key.is_some() && self.insecure_ignore_tlog => None,
            None => {
                let root = embedded.root(limits)?;
                notices.extend(embedded.age(&root, now));
                Some(root)
            }
        };
        for (given, flag, meaning) in [
            (
                self.insecure_ignore_tlog,
                "--insecure-ignore-tlog",
                "signatures that no transparency log holds are accepted; nobody can have noticed them",
            ),
            (
                self.insecure_ignore_sct,
                "--insecure-ignore-sct",
                "certificates that no certificate transparency log holds are accepted",
            ),
        ] {
            if given {
                notices.push(("warning", format!("{flag}: {meaning}")));
            }
        }
        Ok(Grounds {
            trusted: Trusted {
                root: root.map(Arc::new),
                keys,
            },
            terms: Terms {
                log: if self.insecure_ignore_tlog {
                    LogTerm::InsecureNone
                } else {
                    LogTerm::Required
                },
                sct: if self.insecure_ignore_sct {
                    SctTerm::InsecureNone
                } else {
                    SctTerm::Required
                },
                clock_skew: self.clock_skew,
            },
            signed_timestamp: if self.use_signed_timestamps {
                SignedTimestamp::Required
            } else {
                SignedTimestamp::Optional
            },
            now,
            at,
            notices,
        })
    }

    fn at(&self, now: Timestamp) -> Result<Option<Timestamp>, UsageError> {
        let Some(value) = &self.at else {
            return Ok(None);
        };
        let shown = crate::model::printable(value);
        match Timestamp::parse(value) {
            Ok(at) if now < at => Err(UsageError::Value {
                flag: "--at",
                value: shown,
                expected: "it lies in the future, of which nobody knows the evidence (name a time \
                           that is over, or leave the flag away)",
            }),
            Ok(at) => Ok(Some(at)),
            Err(source) => Err(UsageError::Time {
                value: shown,
                source,
            }),
        }
    }
}

/// Reads the trusted root that `flag` names.
pub(super) fn read_root(
    flag: &'static str,
    path: &Path,
    limits: &Limits,
) -> Result<TrustRoot, UsageError> {
    let json = read_file(flag, path, limits.trusted_root_bytes)?;
    TrustRoot::parse(&json, limits).map_err(|source| {
        let named = error::named(flag, &show(path));
        match looks(&json).filter(|looks| *looks != ROOT) {
            Some(looks) => UsageError::NotARoot { named, looks },
            None => UsageError::Root { named, source },
        }
    })
}

/// What a file is called that is a trusted root.
const ROOT: &str = "a trusted root";
/// What one is called that is a signing configuration.
pub(super) const SIGNING_CONFIG: &str = "a signing configuration";

/// What a file that is not what a flag names is instead, where that can be told.
pub(super) fn looks(bytes: &[u8]) -> Option<&'static str> {
    /// The members that tell.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Form {
        media_type: Option<String>,
        base64_signature: Option<IgnoredAny>,
        signed: Option<IgnoredAny>,
        payload_type: Option<IgnoredAny>,
        spdx_version: Option<IgnoredAny>,
        bom_format: Option<IgnoredAny>,
    }
    let bytes = bytes.trim_ascii();
    match bytes {
        [] => return Some("an empty file"),
        [b'[', ..] => return Some("a JSON array"),
        [b'{', ..] => {}
        _ if bytes.windows(10).any(|part| part == b"-----BEGIN") => {
            return Some("a PEM key or certificate");
        }
        _ => return Some("something other than a JSON object"),
    }
    let form: Form = crate::model::read_json(bytes).ok()?;
    match form {
        Form {
            media_type: Some(media_type),
            ..
        } if media_type.contains("sigstore.bundle") => Some("a Sigstore bundle"),
        Form {
            media_type: Some(media_type),
            ..
        } if media_type.contains("signingconfig") => Some(SIGNING_CONFIG),
        Form {
            media_type: Some(media_type),
            ..
        } if media_type.contains("trustedroot") => Some(ROOT),
        Form {
            base64_signature: Some(_),
            ..
        } => Some("a bundle of cosign v2"),
        Form {
            signed: Some(_), ..
        } => Some("metadata of a TUF repository"),
        Form {
            payload_type: Some(_),
            ..
        } => Some("a DSSE envelope"),
        Form {
            spdx_version: Some(_),
            ..
        } => Some("an SPDX document"),
        Form {
            bom_format: Some(_),
            ..
        } => Some("a CycloneDX document"),
        _ => None,
    }
}

/// Seconds, few of them.
fn parse_skew(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(seconds) if seconds <= MAX_SKEW => Ok(seconds),
        _ => Err(format!(
            "a skew is a number of seconds from 0 to {MAX_SKEW}"
        )),
    }
}

/// A root that is part of scgate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Embedded {
    PublicGood,
    Staging,
}

impl Embedded {
    /// It, parsed.
    pub(super) fn root(self, limits: &Limits) -> Result<TrustRoot, UsageError> {
        let instance = match self {
            Self::PublicGood => SigstoreInstance::PublicGood,
            Self::Staging => SigstoreInstance::Staging,
        };
        let json = instance.embedded_trusted_root_json();
        TrustRoot::parse(json.as_bytes(), limits).map_err(|source| UsageError::Root {
            named: "the embedded trusted root".to_owned(),
            source,
        })
    }

    /// Which instance it is of.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PublicGood => "public-good",
            Self::Staging => "staging",
        }
    }

    /// How old it is: only its user can know whether the instance has changed since.
    pub(super) fn age(self, root: &TrustRoot, now: Timestamp) -> Option<(&'static str, String)> {
        let name = self.name();
        let newest = root.newest_start()?;
        let days = (now.unix_seconds() - newest.unix_seconds()) / (24 * 60 * 60);
        let text = format!(
            "the {name} one that is part of scgate {}; its newest key is from {newest}, {days} \
             days ago (`--trusted-root FILE` names another)",
            env!("CARGO_PKG_VERSION")
        );
        Some(("trusted root", text))
    }
}

/// The scheme of a key that is in no file, escaped: a URL, or what cosign reads from hardware.
pub(super) fn key_scheme(path: &Path) -> Option<String> {
    let text = path.to_string_lossy();
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| format!("{scheme}://"))
        .or_else(|| text.starts_with("pkcs11:").then(|| "pkcs11:".to_owned()))?;
    Some(crate::model::printable(&scheme))
}

fn read_key(path: &Path, limits: &Limits) -> Result<ManagedKey, UsageError> {
    let flag = "--key";
    if let Some(scheme) = key_scheme(path) {
        let value = show(path);
        return Err(UsageError::KeyScheme { value, scheme });
    }
    let pem = read_file(flag, path, limits.key_bytes)?;
    ManagedKey::parse(&pem, limits).map_err(|source| UsageError::Key {
        path: show(path),
        source,
    })
}
