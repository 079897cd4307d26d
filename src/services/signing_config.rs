//! Where the services are that a signer asks: `signing_config.json`, version 0.2, or single URLs.
//!
//! The selection is that of the specification, made predictable: supported API versions, entries
//! that count now, the highest version first, then the newest start, one for each operator. Where
//! any would do (`ANY`), the first is taken, not a random one. Start with [`SigningConfig::select`].
//!
//! Members that are not known are refused, as protobuf JSON readers do (Go's `protojson`, which
//! cosign reads the file with): what is added to the format gets a new media type.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::model::printable;
use crate::services::AddressError;
use crate::services::Endpoint;
use crate::services::rekor::Version;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// Entries of one list: far more than any instance of Sigstore has.
const MAX_LISTED: usize = 64;

/// The services of a Sigstore, with the time in which each counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningConfig {
    fulcio: Vec<Listed>,
    oidc: Vec<Listed>,
    rekor: Vec<Listed>,
    rekor_selector: Selector,
    tsa: Vec<Listed>,
    tsa_selector: Selector,
}

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Listed {
    url: Endpoint,
    version: u32,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    operator: String,
}

impl Listed {
    /// Whether it counts at `now`; both ends are included.
    fn counts(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now <= end)
    }
}

/// How many of a list are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selector {
    All,
    Any,
    Exact(usize),
    Undefined,
}

/// A log to write to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// Where it is.
    pub url: Endpoint,
    /// The API that it speaks.
    pub version: Version,
}

/// The services to ask now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Services {
    fulcio: Option<Endpoint>,
    oidc: Option<Endpoint>,
    rekor: Vec<Log>,
    rekor_v1: Option<Endpoint>,
    tsa: Vec<Endpoint>,
}

impl Services {
    /// No service at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            fulcio: None,
            oidc: None,
            rekor: Vec::new(),
            rekor_v1: None,
            tsa: Vec::new(),
        }
    }

    /// The same without logs.
    #[must_use]
    pub fn without_logs(mut self) -> Self {
        self.rekor.clear();
        self.rekor_v1 = None;
        self
    }

    /// The same with the log of version 1 alone, where there is one and none of the others speaks it.
    #[must_use]
    pub fn with_one_log(mut self) -> Self {
        let has_v1 = self.rekor.iter().any(|log| log.version == Version::V1);
        if let Some(url) = self
            .rekor_v1
            .clone()
            .filter(|_| !has_v1 && !self.rekor.is_empty())
        {
            self.rekor = vec![Log {
                url,
                version: Version::V1,
            }];
        }
        self
    }

    /// The certificate authority, if the configuration names one. Its `majorApiVersion` 1 is the
    /// service as it is: clients ask its API v2, as cosign does.
    #[must_use]
    pub const fn fulcio(&self) -> Option<&Endpoint> {
        self.fulcio.as_ref()
    }

    /// The issuer of tokens for people, if the configuration names one that counts now.
    #[must_use]
    pub const fn oidc(&self) -> Option<&Endpoint> {
        self.oidc.as_ref()
    }

    /// The logs, each to be written to; none when signatures are not to be logged.
    #[must_use]
    pub fn rekor(&self) -> &[Log] {
        &self.rekor
    }

    /// The newest log of version 1, even where version 2 is preferred: the legacy layout has no
    /// place for anything else.
    #[must_use]
    pub const fn rekor_v1(&self) -> Option<&Endpoint> {
        self.rekor_v1.as_ref()
    }

    /// The timestamp authorities, each to be asked, by their full URLs.
    #[must_use]
    pub fn tsa(&self) -> &[Endpoint] {
        &self.tsa
    }
}

impl SigningConfig {
    /// Parses a `signing_config.json`.
    ///
    /// # Errors
    ///
    /// [`SigningConfigError`] for JSON of another shape, another version, and an address that is
    /// none.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, SigningConfigError> {
        let most = limits.trusted_root_bytes;
        Exceeded::unless(json.len(), most, "bytes in a signing configuration")?;
        let raw: RawConfig = crate::model::read_json(json)?;
        if raw.media_type != MEDIA_TYPE {
            return Err(SigningConfigError::MediaType {
                found: printable(&raw.media_type),
            });
        }
        Ok(Self {
            fulcio: listed(raw.ca_urls, "caUrls")?,
            oidc: listed(raw.oidc_urls, "oidcUrls")?,
            rekor: listed(raw.rekor_tlog_urls, "rekorTlogUrls")?,
            rekor_selector: selector(raw.rekor_tlog_config, "rekorTlogConfig")?,
            tsa: listed(raw.tsa_urls, "tsaUrls")?,
            tsa_selector: selector(raw.tsa_config, "tsaConfig")?,
        })
    }

    /// The configuration with these services, all of which are asked, at any time.
    #[must_use]
    pub fn from_urls(
        fulcio: Option<Endpoint>,
        rekor: Vec<(Endpoint, Version)>,
        tsa: Vec<Endpoint>,
        oidc: Option<Endpoint>,
    ) -> Self {
        let listed = |(url, version): (Endpoint, u32)| Listed {
            // Nobody says who runs them, so each is taken for another's.
            operator: url.to_string(),
            url,
            version,
            start: None,
            end: None,
        };
        let first = |url: Endpoint| listed((url, 1));
        let rekor = rekor
            .into_iter()
            .map(|(url, version)| listed((url, version.number())));
        Self {
            fulcio: fulcio.into_iter().map(first).collect(),
            oidc: oidc.into_iter().map(first).collect(),
            rekor: rekor.collect(),
            rekor_selector: Selector::All,
            tsa: tsa.into_iter().map(first).collect(),
            tsa_selector: Selector::All,
        }
    }

    /// The `HOST:PORT` of every address that names a port.
    #[must_use]
    pub fn hosts_and_ports(&self) -> Vec<String> {
        let all = [&self.fulcio, &self.oidc, &self.rekor, &self.tsa];
        let listed = all.into_iter().flatten();
        listed.filter_map(|one| one.url.host_and_port()).collect()
    }

    /// The services to ask at `now`.
    ///
    /// # Errors
    ///
    /// [`SigningConfigError::NoneCounts`] and [`SigningConfigError::TooFew`] when a list has entries
    /// and not enough of them can be used: a signature never lacks in silence what it should have.
    pub fn select(&self, now: Timestamp) -> Result<Services, SigningConfigError> {
        let one = Selector::Any;
        let fulcio = select(&self.fulcio, one, &[1], now, "caUrls")?;
        // Whoever brings a token needs no issuer, so one that no longer counts is no obstacle.
        let oidc = select(&self.oidc, one, &[1], now, "oidcUrls").unwrap_or_default();
        let rekor = select(
            &self.rekor,
            self.rekor_selector,
            &[2, 1],
            now,
            "rekorTlogUrls",
        )?;
        let rekor_v1 = select(&self.rekor, one, &[1], now, "rekorTlogUrls").unwrap_or_default();
        let tsa = select(&self.tsa, self.tsa_selector, &[1], now, "tsaUrls")?;
        let url = |listed: &&Listed| listed.url.clone();
        let log = |listed: &&Listed| Log {
            url: listed.url.clone(),
            version: match listed.version {
                1 => Version::V1,
                _ => Version::V2,
            },
        };
        Ok(Services {
            fulcio: fulcio.first().map(url),
            oidc: oidc.first().map(url),
            rekor: rekor.iter().map(log).collect(),
            rekor_v1: rekor_v1.first().map(url),
            tsa: tsa.iter().map(url).collect(),
        })
    }
}

/// Selects from one list; an empty list is a service that is not wanted. All that are taken speak
/// the highest version that any speaks, as in sigstore-go.
fn select<'a>(
    listed: &'a [Listed],
    selector: Selector,
    supported: &[u32],
    now: Timestamp,
    list: &'static str,
) -> Result<Vec<&'a Listed>, SigningConfigError> {
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let usable = |listed: &&Listed| listed.counts(now) && supported.contains(&listed.version);
    let mut usable: Vec<_> = listed.iter().filter(usable).collect();
    let highest = usable.iter().map(|listed| listed.version).max();
    usable.retain(|listed| Some(listed.version) == highest);
    // The sort is stable: among equals the first in the file is taken.
    usable.sort_by_key(|listed| core::cmp::Reverse(listed.start));
    let mut operators = BTreeSet::new();
    usable.retain(|listed| operators.insert(listed.operator.as_str()));
    let wanted = match selector {
        Selector::All => usable.len().max(1),
        Selector::Any => 1,
        Selector::Exact(count) => count,
        Selector::Undefined => return Err(SigningConfigError::NoSelector { list }),
    };
    if usable.is_empty() {
        return Err(SigningConfigError::NoneCounts { list, now });
    }
    if usable.len() < wanted {
        let found = usable.len();
        return Err(SigningConfigError::TooFew {
            list,
            wanted,
            found,
        });
    }
    usable.truncate(wanted);
    Ok(usable)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawConfig {
    #[serde(default, alias = "media_type")]
    media_type: String,
    #[serde(alias = "ca_urls")]
    ca_urls: Option<Vec<RawService>>,
    #[serde(alias = "oidc_urls")]
    oidc_urls: Option<Vec<RawService>>,
    #[serde(alias = "rekor_tlog_urls")]
    rekor_tlog_urls: Option<Vec<RawService>>,
    #[serde(alias = "rekor_tlog_config")]
    rekor_tlog_config: Option<RawSelector>,
    #[serde(alias = "tsa_urls")]
    tsa_urls: Option<Vec<RawService>>,
    #[serde(alias = "tsa_config")]
    tsa_config: Option<RawSelector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawService {
    url: String,
    #[serde(alias = "major_api_version")]
    major_api_version: Option<u32>,
    #[serde(alias = "valid_for")]
    valid_for: Option<RawWindow>,
    operator: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSelector {
    selector: Option<RawName>,
    count: Option<usize>,
}

/// An enumeration in protobuf JSON: its name or its number.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawName {
    Name(String),
    Number(i32),
}

fn listed(
    raw: Option<Vec<RawService>>,
    list: &'static str,
) -> Result<Vec<Listed>, SigningConfigError> {
    let raw = raw.unwrap_or_default();
    Exceeded::unless(raw.len(), MAX_LISTED, "services of one kind")?;
    let time = |text: Option<String>| {
        let time = text.as_deref().map(Timestamp::parse);
        time.transpose()
            .map_err(|_| SigningConfigError::Time { list })
    };
    let one = |raw: RawService| {
        let (start, end) = match raw.valid_for {
            Some(window) => (time(window.start)?, time(window.end)?),
            None => (None, None),
        };
        Ok(Listed {
            url: Endpoint::parse(&raw.url)
                .map_err(|source| SigningConfigError::Address { list, source })?,
            version: raw.major_api_version.unwrap_or(0),
            start,
            end,
            operator: raw.operator.unwrap_or_default(),
        })
    };
    raw.into_iter().map(one).collect()
}

fn selector(raw: Option<RawSelector>, list: &'static str) -> Result<Selector, SigningConfigError> {
    let (name, count) = match raw {
        Some(raw) => (raw.selector, raw.count.unwrap_or(0)),
        None => (None, 0),
    };
    // `ServiceSelector` of `sigstore_trustroot.proto`.
    let number = match name {
        None => 0,
        Some(RawName::Number(number)) => number,
        Some(RawName::Name(name)) => match name.as_str() {
            "SERVICE_SELECTOR_UNDEFINED" => 0,
            "ALL" => 1,
            "ANY" => 2,
            "EXACT" => 3,
            _ => -1,
        },
    };
    match (number, count) {
        (0, _) => Ok(Selector::Undefined),
        (1, _) => Ok(Selector::All),
        (2, _) => Ok(Selector::Any),
        (3, 1..=MAX_LISTED) => Ok(Selector::Exact(count)),
        _ => Err(SigningConfigError::Selector { list }),
    }
}

/// What is wrong, without the list of what would be right: the form of the file is not for people.
fn without_list(error: &JsonError) -> String {
    let text = error.to_string();
    let Some((wrong, list)) = text.split_once(", expected one of ") else {
        return text;
    };
    match list.rsplit_once(" at line ") {
        Some((_, place)) => format!("{wrong} at line {place}"),
        None => wrong.to_owned(),
    }
}

/// Why a signing configuration cannot be used. Whoever named the file can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// An address is none.
    #[error("`{list}` of the signing configuration: {source}")]
    Address {
        /// The list.
        list: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// It is larger than it may be.
    #[error("the signing configuration has {0}")]
    Exceeded(#[from] Exceeded),
    /// It is no JSON of that shape.
    #[error("the signing configuration is malformed: {}", without_list(.0))]
    Json(#[from] JsonError),
    /// It is of another type.
    #[error(
        "the signing configuration is of the type `{found}` (version 0.2 is read: `{MEDIA_TYPE}`)"
    )]
    MediaType {
        /// The type, cut and escaped.
        found: String,
    },
    /// No entry of a list can be used.
    #[error(
        "no service of `{list}` in the signing configuration counts at {} and speaks a version \
         that scgate does",
        now.whole_seconds()
    )]
    NoneCounts {
        /// The list.
        list: &'static str,
        /// The time that was taken for now.
        now: Timestamp,
    },
    /// How many entries of a list are to be used is not said.
    #[error("the signing configuration does not say how many of `{list}` are to be used")]
    NoSelector {
        /// The list.
        list: &'static str,
    },
    /// How many entries of a list are to be used is said in a way that is not known.
    #[error(
        "the signing configuration's `{list}` has a selector that is none (`ALL`, `ANY`, or `EXACT` \
         with a count)"
    )]
    Selector {
        /// The list.
        list: &'static str,
    },
    /// A time is none.
    #[error("`{list}` of the signing configuration has a time that is none")]
    Time {
        /// The list.
        list: &'static str,
    },
    /// Fewer entries than demanded can be used.
    #[error(
        "the signing configuration demands {wanted} of `{list}` by different operators, and {found} \
         can be used"
    )]
    TooFew {
        /// The list.
        list: &'static str,
        /// How many are demanded.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
}
