//! The textual form of a fault: `status=429,retry-after=1,path=/blobs/,times=2`.
//!
//! What is not known is refused with a list of what is; nothing is guessed. Start with the table in
//! the documentation of [`Fault`].

use core::fmt;
use core::fmt::Write as _;
use core::str::FromStr;
use core::time::Duration;

use super::Fault;
use super::FaultKind;
use crate::model::Digest;
use crate::sandbox::LieError;

/// The names of all kinds. A name with `=` takes a value.
const KINDS: &[&str] = &[
    "challenge=",
    "content-type=",
    "empty-ok",
    "endless-body",
    "endless-length",
    "gzip",
    "gzip-bomb",
    "hang",
    "header=",
    "html-ok",
    "lie=",
    "link=",
    "moved-tag=",
    "no-header=",
    "no-location",
    "other-manifest=",
    "realm=",
    "redirect=",
    "reset",
    "reset-in-body",
    "short-body",
    "slow-body",
    "stale-reads",
    "status=",
    "wrong-body",
    "wrong-digest",
];

/// The options that every kind has.
const SCOPE: &[&str] = &["method", "path", "after", "times", "chance", "seed"];

/// The headers that a fault can set or leave out.
const HEADERS: &[&str] = &[
    "accept-ranges",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "docker-content-digest",
    "docker-distribution-api-version",
    "docker-upload-uuid",
    "etag",
    "link",
    "location",
    "oci-chunk-min-length",
    "oci-filters-applied",
    "oci-subject",
    "oci-tag",
    "range",
    "retry-after",
    "set-cookie",
    "warning",
    "www-authenticate",
];

/// The options that a kind has of its own.
fn options_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "redirect" => &["status"],
        "slow-body" => &["bytes", "every"],
        "stale-reads" => &["reads", "for"],
        "status" => &["retry-after", "body"],
        _ => &[],
    }
}

/// Why a text is no fault. Whoever wrote the text can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A value is not what it must be.
    #[error("read the value `{value}` of `{name}`: {expected}")]
    Malformed {
        /// The kind or option.
        name: String,
        /// Its value.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// A kind or option needs a value.
    #[error("read the fault: `{name}` needs a value, as in `{name}=…`")]
    NoValue {
        /// The kind or option.
        name: String,
    },
    /// An option stands there twice.
    #[error("read the fault: `{name}` stands there twice")]
    Repeated {
        /// The option.
        name: String,
    },
    /// There is no such kind.
    #[error("find a fault named `{name}`: there are {}", names())]
    UnknownKind {
        /// The name.
        name: String,
    },
    /// The kind has no such option.
    #[error("find the option `{name}` of the fault `{kind}`: there are {known}")]
    UnknownOption {
        /// The name.
        name: String,
        /// The kind.
        kind: String,
        /// The options that it has.
        known: String,
    },
    /// A kind takes no value.
    #[error("read the fault: `{name}` takes no value")]
    Unwanted {
        /// The kind.
        name: String,
    },
}

fn names() -> String {
    let names: Vec<_> = KINDS
        .iter()
        .map(|name| name.trim_end_matches('='))
        .collect();
    names.join(", ")
}

/// A name and its value, unescaped.
#[derive(Debug)]
struct Item {
    name: String,
    value: Option<Vec<u8>>,
}

impl Item {
    fn malformed(&self, expected: impl Into<String>) -> FaultError {
        let value = self.value.as_deref().unwrap_or_default();
        FaultError::Malformed {
            name: self.name.clone(),
            value: String::from_utf8_lossy(value).into_owned(),
            expected: expected.into(),
        }
    }

    fn bytes(&self) -> Result<&[u8], FaultError> {
        self.value.as_deref().ok_or_else(|| FaultError::NoValue {
            name: self.name.clone(),
        })
    }

    fn text(&self) -> Result<&str, FaultError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| self.malformed("it must be UTF-8"))
    }

    fn parse<T: FromStr>(&self, expected: &str) -> Result<T, FaultError> {
        self.text()?.parse().map_err(|_| self.malformed(expected))
    }

    fn count(&self) -> Result<usize, FaultError> {
        self.parse("it must be a whole number")
    }

    fn status(&self, range: core::ops::RangeInclusive<u16>) -> Result<u16, FaultError> {
        let expected = format!(
            "it must be a status from {} to {}",
            range.start(),
            range.end()
        );
        let status = self.parse(&expected)?;
        if range.contains(&status) {
            Ok(status)
        } else {
            Err(self.malformed(expected))
        }
    }

    fn duration(&self) -> Result<Duration, FaultError> {
        let wrong = || self.malformed("it must be a length of time such as `500ms` or `2s`");
        let text = self.text()?;
        let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let number = text.strip_suffix(unit).unwrap_or(text);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        match unit {
            "us" => Ok(Duration::from_micros(number)),
            "ms" => Ok(Duration::from_millis(number)),
            "s" => Ok(Duration::from_secs(number)),
            _ => Err(wrong()),
        }
    }

    fn header(&self, name: &str) -> Result<&'static str, FaultError> {
        let known = HEADERS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name));
        known
            .copied()
            .ok_or_else(|| self.malformed(format!("the headers are {}", HEADERS.join(", "))))
    }
}

/// Splits a text at its commas and takes the escapes out.
fn items(text: &str) -> Result<Vec<Item>, FaultError> {
    let mut items = Vec::new();
    let mut name = String::new();
    let mut value: Option<Vec<u8>> = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (next, &mut value) {
            (',', _) => items.push(Item {
                name: core::mem::take(&mut name),
                value: value.take(),
            }),
            ('=', None) => value = Some(Vec::new()),
            (other, None) => name.push(other),
            ('\\', Some(bytes)) => bytes.push(escape(&name, &mut rest)?),
            (other, Some(bytes)) => {
                let mut buffer = [0; 4];
                bytes.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    items.push(Item { name, value });
    Ok(items)
}

/// The byte that an escape stands for.
fn escape(name: &str, rest: &mut core::str::Chars<'_>) -> Result<u8, FaultError> {
    let wrong = |found: String| FaultError::Malformed {
        name: name.to_owned(),
        value: format!("\\{found}"),
        expected: r"the escapes are `\,`, `\\`, `\n` and `\x1f`".to_owned(),
    };
    match rest.next() {
        Some(',') => Ok(b','),
        Some('\\') => Ok(b'\\'),
        Some('n') => Ok(b'\n'),
        Some('x') => {
            let pair: String = rest.by_ref().take(2).collect();
            let is_hex = pair.len() == 2 && pair.chars().all(|one| one.is_ascii_hexdigit());
            let byte = is_hex.then(|| u8::from_str_radix(&pair, 16).ok()).flatten();
            byte.ok_or_else(|| wrong(format!("x{pair}")))
        }
        other => Err(wrong(other.map(String::from).unwrap_or_default())),
    }
}

/// The options behind the kind, each taken at most once.
struct Options(Vec<Item>);

impl Options {
    fn new(items: Vec<Item>, kind: &str) -> Result<Self, FaultError> {
        let own = options_of(kind);
        let mut seen: Vec<&str> = Vec::new();
        for item in &items {
            let name = item.name.as_str();
            if !own.contains(&name) && !SCOPE.contains(&name) {
                return Err(FaultError::UnknownOption {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    known: [own, SCOPE].concat().join(", "),
                });
            }
            if seen.contains(&name) {
                let name = name.to_owned();
                return Err(FaultError::Repeated { name });
            }
            seen.push(name);
        }
        Ok(Self(items))
    }

    /// What `read` makes of an option, if it is there.
    fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Item) -> Result<T, FaultError>,
    ) -> Result<Option<T>, FaultError> {
        self.0
            .iter()
            .find(|item| item.name == name)
            .map(read)
            .transpose()
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut items = items(text)?;
        let first = items.remove(0);
        let entry = KINDS
            .iter()
            .find(|entry| entry.trim_end_matches('=') == first.name)
            .ok_or_else(|| FaultError::UnknownKind {
                name: first.name.clone(),
            })?;
        if entry.ends_with('=') {
            first.bytes()?;
        } else if first.value.is_some() {
            return Err(FaultError::Unwanted { name: first.name });
        }
        let options = Options::new(items, &first.name)?;
        let mut fault = Self::new(kind(&first, &options)?);
        scope(&mut fault, &options)?;
        Ok(fault)
    }
}

fn scope(fault: &mut Fault, options: &Options) -> Result<(), FaultError> {
    fault.method = options.read("method", |item| {
        let method = item.text()?;
        if method.is_empty() || !method.chars().all(|one| one.is_ascii_alphabetic()) {
            return Err(item.malformed("it must be a method such as `GET`"));
        }
        Ok(method.to_ascii_uppercase())
    })?;
    let path = options.read("path", |item| Ok(item.text()?.to_owned()))?;
    fault.path_contains = path.unwrap_or_default();
    fault.after = options.read("after", Item::count)?.unwrap_or(0);
    fault.times = options.read("times", Item::count)?;
    fault.chance = options.read("chance", |item| {
        let expected = "it must be a number from 0 to 1";
        let chance: f64 = item.parse(expected)?;
        if (0.0..=1.0).contains(&chance) {
            Ok(chance)
        } else {
            Err(item.malformed(expected))
        }
    })?;
    let seed = options.read("seed", |item| item.parse("it must be a whole number"))?;
    fault.seed = seed.unwrap_or(0);
    Ok(())
}

/// How many bytes a slow body sends at a time, and how long it waits, when nothing is said.
const SLOW: (usize, Duration) = (1, Duration::from_millis(10));

fn kind(first: &Item, options: &Options) -> Result<FaultKind, FaultError> {
    let text = || first.text().map(ToOwned::to_owned);
    Ok(match first.name.as_str() {
        "challenge" => FaultKind::Challenge(text()?),
        "content-type" => FaultKind::OtherContentType(text()?),
        "empty-ok" => FaultKind::EmptyOk,
        "endless-body" => FaultKind::EndlessBody,
        "endless-length" => FaultKind::EndlessLength,
        "gzip" => FaultKind::Gzip,
        "gzip-bomb" => FaultKind::GzipBomb,
        "hang" => FaultKind::Hang,
        "header" => {
            let (name, value) = first
                .text()?
                .split_once(':')
                .ok_or_else(|| first.malformed("it must be `NAME:VALUE`"))?;
            FaultKind::Header {
                name: first.header(name)?,
                value: Some(value.to_owned()),
            }
        }
        "html-ok" => FaultKind::HtmlOk,
        "lie" => FaultKind::Lie(
            text()?
                .parse()
                .map_err(|error: LieError| first.malformed(error.to_string()))?,
        ),
        "link" => FaultKind::LinkTo(text()?),
        "moved-tag" => FaultKind::MovedTag(
            Digest::parse(first.text()?).map_err(|error| first.malformed(error.to_string()))?,
        ),
        "no-header" => FaultKind::Header {
            name: first.header(first.text()?)?,
            value: None,
        },
        "no-location" => FaultKind::NoLocation,
        "other-manifest" => FaultKind::OtherManifest(first.bytes()?.to_vec().into()),
        "realm" => FaultKind::Realm(text()?),
        "redirect" => FaultKind::Redirect {
            to: text()?,
            status: options
                .read("status", |item| item.status(300..=399))?
                .unwrap_or(307),
        },
        "reset" => FaultKind::Reset,
        "reset-in-body" => FaultKind::ResetInBody,
        "short-body" => FaultKind::ShortBody,
        "slow-body" => FaultKind::SlowBody {
            bytes: options.read("bytes", Item::count)?.unwrap_or(SLOW.0),
            interval: options.read("every", Item::duration)?.unwrap_or(SLOW.1),
        },
        "stale-reads" => FaultKind::StaleReads {
            reads: options.read("reads", Item::count)?,
            lasting: options.read("for", Item::duration)?,
        },
        "status" => FaultKind::Status {
            status: first.status(200..=599)?,
            retry_after: options.read("retry-after", |item| Ok(item.text()?.to_owned()))?,
            body: options.read("body", |item| Ok(item.bytes()?.to_vec().into()))?,
        },
        "wrong-body" => FaultKind::WrongBody,
        "wrong-digest" => FaultKind::WrongDigestHeader,
        other => {
            let name = other.to_owned();
            return Err(FaultError::UnknownKind { name });
        }
    })
}

/// A value as it stands in a text, escaped.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for one in chunk.valid().chars() {
                match one {
                    ',' => f.write_str("\\,")?,
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    _ if one.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(one))?,
                    _ => f.write_char(one)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn option(f: &mut fmt::Formatter<'_>, name: &str, value: &[u8]) -> fmt::Result {
    write!(f, ",{name}={}", Escaped(value))
}

fn length(f: &mut fmt::Formatter<'_>, name: &str, time: Duration) -> fmt::Result {
    let micros = time.as_micros();
    match (micros % 1_000_000, micros % 1000) {
        (0, _) => write!(f, ",{name}={}s", micros / 1_000_000),
        (_, 0) => write!(f, ",{name}={}ms", micros / 1000),
        (_, _) => write!(f, ",{name}={micros}us"),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(method) = &self.method {
            option(f, "method", method.as_bytes())?;
        }
        if !self.path_contains.is_empty() {
            option(f, "path", self.path_contains.as_bytes())?;
        }
        if self.after > 0 {
            write!(f, ",after={}", self.after)?;
        }
        if let Some(times) = self.times {
            write!(f, ",times={times}")?;
        }
        if let Some(chance) = self.chance {
            write!(f, ",chance={chance}")?;
        }
        if self.seed > 0 {
            write!(f, ",seed={}", self.seed)?;
        }
        Ok(())
    }
}

impl fmt::Display for FaultKind {
    /// The kind with its own options, as the textual form of a [`Fault`] begins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Challenge(text) => write!(f, "challenge={}", Escaped(text.as_bytes())),
            Self::EmptyOk => f.write_str("empty-ok"),
            Self::EndlessBody => f.write_str("endless-body"),
            Self::EndlessLength => f.write_str("endless-length"),
            Self::Gzip => f.write_str("gzip"),
            Self::GzipBomb => f.write_str("gzip-bomb"),
            Self::Hang => f.write_str("hang"),
            Self::Header { name, value } => match value {
                Some(value) => write!(f, "header={name}:{}", Escaped(value.as_bytes())),
                None => write!(f, "no-header={name}"),
            },
            Self::HtmlOk => f.write_str("html-ok"),
            Self::Lie(lie) => write!(f, "lie={}", Escaped(lie.to_string().as_bytes())),
            Self::LinkTo(to) => write!(f, "link={}", Escaped(to.as_bytes())),
            Self::MovedTag(digest) => write!(f, "moved-tag={digest}"),
            Self::NoLocation => f.write_str("no-location"),
            Self::OtherContentType(text) => {
                write!(f, "content-type={}", Escaped(text.as_bytes()))
            }
            Self::OtherManifest(bytes) => write!(f, "other-manifest={}", Escaped(bytes)),
            Self::Realm(realm) => write!(f, "realm={}", Escaped(realm.as_bytes())),
            Self::Redirect { to, status } => {
                write!(f, "redirect={},status={status}", Escaped(to.as_bytes()))
            }
            Self::Reset => f.write_str("reset"),
            Self::ResetInBody => f.write_str("reset-in-body"),
            Self::ShortBody => f.write_str("short-body"),
            Self::SlowBody { bytes, interval } => {
                write!(f, "slow-body,bytes={bytes}")?;
                length(f, "every", *interval)
            }
            Self::StaleReads { reads, lasting } => {
                f.write_str("stale-reads")?;
                if let Some(reads) = reads {
                    write!(f, ",reads={reads}")?;
                }
                lasting.map_or(Ok(()), |lasting| length(f, "for", lasting))
            }
            Self::Status {
                status,
                retry_after,
                body,
            } => {
                write!(f, "status={status}")?;
                if let Some(after) = retry_after {
                    option(f, "retry-after", after.as_bytes())?;
                }
                body.as_ref().map_or(Ok(()), |body| option(f, "body", body))
            }
            Self::WrongBody => f.write_str("wrong-body"),
            Self::WrongDigestHeader => f.write_str("wrong-digest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    /// One text for each kind, with all its options, as it is written again.
    fn texts() -> Vec<String> {
        [
            r"challenge=Bearer realm=\,x",
            "content-type=text/html; charset=utf-8",
            "empty-ok",
            "endless-body",
            "endless-length",
            "gzip",
            "gzip-bomb",
            "hang",
            "header=www-authenticate:Basic realm=\"a:b\"",
            "html-ok",
            "lie=clock:+3600",
            "link=http://other.invalid/v2/?n=1&last=%2F",
            "moved-tag=DIGEST",
            "no-header=location",
            "no-location",
            r"other-manifest={\n\\\,\xff\x00é}",
            "realm=http://127.0.0.1/token",
            "redirect=http://other.invalid/a,status=302",
            "reset",
            "reset-in-body",
            "short-body",
            "slow-body,bytes=7,every=1500us",
            "stale-reads,reads=3,for=500ms",
            "status=429,retry-after=1,body=slow down",
            "wrong-body",
            "wrong-digest",
        ]
        .map(|text| text.replace("DIGEST", DIGEST))
        .to_vec()
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        let texts = texts();
        let known: Vec<_> = KINDS
            .iter()
            .map(|name| name.trim_end_matches('='))
            .collect();
        let tried: Vec<_> = texts
            .iter()
            .map(|text| text.split([',', '=']).next().unwrap())
            .collect();
        assert_eq!(tried, known, "each kind once, in the order of the list");
        for text in texts {
            for scope in [
                "",
                ",method=PUT,path=/a\\,b/,after=3,times=2,chance=0.25,seed=7",
            ] {
                let text = format!("{text}{scope}");
                let fault: Fault = text
                    .parse()
                    .unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(fault.to_string(), text);
                let again: Fault = fault.to_string().parse().unwrap();
                assert_eq!(again.kind, fault.kind);
                assert_eq!(format!("{again:?}"), format!("{fault:?}"));
            }
        }
    }

    #[test]
    fn the_table_in_the_documentation_has_every_kind_and_option() {
        let source = include_str!("../fault.rs");
        for name in KINDS {
            assert!(source.contains(&format!("/// | `{name}")), "{name}");
            for option in options_of(name.trim_end_matches('=')) {
                let row = source
                    .lines()
                    .find(|line| line.contains(&format!("/// | `{name}")));
                assert!(row.unwrap().contains(&format!("`{option}`")), "{option}");
            }
        }
        for option in SCOPE {
            assert!(source.contains(&format!("`{option}=")), "{option}");
        }
    }

    #[test]
    fn what_is_not_said_has_a_meaning() {
        for (text, kind) in [
            (
                "redirect=/x",
                FaultKind::Redirect {
                    to: "/x".to_owned(),
                    status: 307,
                },
            ),
            (
                "stale-reads",
                FaultKind::StaleReads {
                    reads: None,
                    lasting: None,
                },
            ),
            (
                "slow-body",
                FaultKind::SlowBody {
                    bytes: SLOW.0,
                    interval: SLOW.1,
                },
            ),
            ("status=503", FaultKind::status(503)),
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.kind, kind, "{text}");
        }
        let fault: Fault = "hang,method=get".parse().unwrap();
        assert_eq!(fault.method.as_deref(), Some("GET"));
    }

    #[test]
    fn what_is_no_fault_is_refused_with_what_there_is() {
        for (text, says) in [
            ("", "there are challenge, content-type, "),
            ("hangs", "there are challenge, content-type, "),
            (
                "hang,hang",
                "there are method, path, after, times, chance, seed",
            ),
            ("hang,status=1", "the option `status` of the fault `hang`"),
            ("redirect=/,body=x", "there are status, method, "),
            ("hang=5", "`hang` takes no value"),
            ("status", "`status` needs a value"),
            ("status=", "a status from 200 to 599"),
            ("status=99", "a status from 200 to 599"),
            ("status=70000", "a status from 200 to 599"),
            ("redirect=/,status=200", "a status from 300 to 399"),
            ("hang,after", "`after` needs a value"),
            ("hang,after=-1", "a whole number"),
            ("hang,times=1,times=2", "`times` stands there twice"),
            ("hang,chance=1.5", "from 0 to 1"),
            ("hang,chance=NaN", "from 0 to 1"),
            ("hang,seed=x", "a whole number"),
            ("hang,method=", "a method such as `GET`"),
            ("hang,method=G T", "a method such as `GET`"),
            ("slow-body,every=5", "such as `500ms` or `2s`"),
            ("slow-body,every=ms", "such as `500ms` or `2s`"),
            ("header=location", "`NAME:VALUE`"),
            ("header=x-own:1", "the headers are accept-ranges, "),
            ("no-header=x-own", "the headers are accept-ranges, "),
            ("moved-tag=latest", "of `moved-tag`"),
            (r"link=a\b", "the escapes are"),
            (r"link=a\", "the escapes are"),
            (r"link=\x+1", "the escapes are"),
            (r"link=\xff", "UTF-8"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
