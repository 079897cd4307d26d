//! What a server does wrong, and to which requests.

mod text;

use core::time::Duration;

use axum::http::Method;
use bytes::Bytes;

pub use text::FaultError;

use crate::model::Digest;
use crate::sandbox::Lie;

/// A way of misbehaving, and the requests that meet it.
///
/// Without further calls it meets every request. Kinds that alter a good answer meet only requests
/// that would get one, so that an authentication round trip before it does not use the fault up.
///
/// It has a textual form, which [`str::parse`] reads and [`ToString::to_string`] writes: the kind,
/// then its options and those of the scope, separated by commas.
///
/// ```
/// # use scgate::sandbox::server::Fault;
/// let fault: Fault = "status=429,retry-after=1,path=/blobs/,after=3,times=2".parse()?;
/// assert_eq!((fault.after, fault.times), (3, Some(2)));
/// let often: Fault = "short-body,chance=0.25,seed=7".parse()?;
/// assert_eq!(often.to_string(), "short-body,chance=0.25,seed=7");
/// # Ok::<(), scgate::sandbox::server::FaultError>(())
/// ```
///
/// | kind | what it does |
/// | --- | --- |
/// | `challenge=TEXT` | 401 with this `WWW-Authenticate` |
/// | `content-type=TEXT` | the good answer with another `Content-Type` |
/// | `empty-ok` | 200 without a body |
/// | `endless-body` | the good answer, then spaces without end, chunked |
/// | `endless-length` | the good answer, then spaces, with a `Content-Length` of a tebibyte |
/// | `gzip` | the good body in gzip, marked as such |
/// | `gzip-bomb` | a gigabyte of zeros in a megabyte of gzip |
/// | `hang` | no answer |
/// | `header=NAME:VALUE` | the good answer with this header set |
/// | `html-ok` | 200 and a login page |
/// | `lie=NAME`, `lie=NAME:VALUE` | a certificate, an entry or a timestamp says something wrong ([`Lie`]) |
/// | `link=URL` | the good answer with `Link: <URL>; rel="next"` |
/// | `moved-tag=DIGEST` | a manifest asked for by tag is the one of this digest |
/// | `no-header=NAME` | the good answer without this header |
/// | `no-location` | the good answer without its `Location` |
/// | `other-manifest=BYTES` | these bytes with a `Docker-Content-Digest` that fits them |
/// | `realm=URL` | 401 with a bearer challenge whose realm is this |
/// | `redirect=URL` | a redirect; option `status` (307) |
/// | `reset` | the connection is reset before the answer |
/// | `reset-in-body` | the connection is reset in the middle of a good body |
/// | `short-body` | half of the good body under the length of the whole |
/// | `slow-body` | the good body in pieces; options `bytes` (1), `every` (10ms) |
/// | `stale-reads` | reads of tags and referrers answer as before the last write; options `reads`, `for` |
/// | `status=NUMBER` | another status; options `retry-after`, `body` |
/// | `wrong-body` | the good body with one bit flipped |
/// | `wrong-digest` | the good answer with the `Docker-Content-Digest` of other bytes |
///
/// The scope, for every kind: `method=GET`, `path=TEXT` (what the path with its query contains),
/// `after=N`, `times=N`, `chance=0.25` with `seed=N`. Lengths of time are written `500ms`, `2s`. In
/// a value `\,` stands for a comma, `\\` for a backslash, `\n` for a new line, `\x1f` for any byte.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// What it does.
    pub kind: FaultKind,
    /// The method it meets; any without one.
    pub method: Option<String>,
    /// What the path with its query must contain.
    pub path_contains: String,
    /// How many requests that it would meet pass unharmed first.
    pub after: usize,
    /// How many requests it meets then; all without a number.
    pub times: Option<usize>,
    /// How likely it is that a request which it could meet is met, from 0 to 1; always without a
    /// number.
    pub chance: Option<f64>,
    /// What the chance is drawn from. The same seed meets the same requests, by their number.
    pub seed: u64,
}

impl Fault {
    /// A fault that meets every request.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            method: None,
            path_contains: String::new(),
            after: 0,
            times: None,
            chance: None,
            seed: 0,
        }
    }

    /// Meets only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Meets only requests whose path with its query contains this text.
    #[must_use]
    pub fn path(mut self, contains: &str) -> Self {
        contains.clone_into(&mut self.path_contains);
        self
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub const fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    /// Meets only so many requests.
    #[must_use]
    pub const fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// Meets a request only with this probability. Whether it does follows from the seed and the
    /// number of the request among those that it could meet, and from nothing else.
    #[must_use]
    pub const fn chance(mut self, chance: f64, seed: u64) -> Self {
        self.chance = Some(chance);
        self.seed = seed;
        self
    }

    /// Whether the dice fall so that the request of this number is met.
    fn is_drawn(&self, number: usize) -> bool {
        self.chance.is_none_or(|chance| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            draw(self.seed, number) < chance
        })
    }
}

/// A number from 0 to below 1 (SplitMix64: Steele, Lea and Flood, 2014).
fn draw(seed: u64, number: u64) -> f64 {
    let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = seed.wrapping_add(step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let high = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

/// A way of misbehaving.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// 401 with this `WWW-Authenticate` header.
    Challenge(String),
    /// 200 without a body.
    EmptyOk,
    /// The good answer, and then spaces without end, chunked.
    EndlessBody,
    /// The good answer, and then spaces, with a `Content-Length` of a tebibyte.
    EndlessLength,
    /// The good body in gzip, marked as such.
    Gzip,
    /// A gigabyte of zeros in a megabyte of gzip, marked as such.
    GzipBomb,
    /// No answer.
    Hang,
    /// The good answer with this header set, or without it.
    Header {
        /// The name of the header.
        name: &'static str,
        /// Its value; without one the header is left out.
        value: Option<String>,
    },
    /// 200 and a login page in HTML.
    HtmlOk,
    /// A certificate, a log entry or a timestamp says something wrong.
    Lie(Lie),
    /// The good answer with `Link: <this>; rel="next"`.
    LinkTo(String),
    /// A manifest asked for by tag is the one of this digest. With [`Fault::after`] the tag moves.
    MovedTag(Digest),
    /// The good answer without its `Location`.
    NoLocation,
    /// The good answer with this `Content-Type`.
    OtherContentType(String),
    /// The good answer with these bytes and a `Docker-Content-Digest` that fits them.
    OtherManifest(Bytes),
    /// 401 with a bearer challenge whose realm is this URL.
    Realm(String),
    /// A redirect.
    Redirect {
        /// The `Location`.
        to: String,
        /// The status, such as 302 or 307.
        status: u16,
    },
    /// The connection is reset (TCP RST) before the answer.
    Reset,
    /// The connection is reset in the middle of a good body.
    ResetInBody,
    /// Half of the good body under the `Content-Length` of the whole.
    ShortBody,
    /// The good body, so many bytes at a time.
    SlowBody {
        /// How many bytes.
        bytes: usize,
        /// How long it waits before each.
        interval: Duration,
    },
    /// Reads of tags, lists of tags and referrers answer as before the last write to their
    /// repository: a registry whose reads lag behind. Without either bound they lag for ever.
    StaleReads {
        /// How many reads lag after each write.
        reads: Option<usize>,
        /// How long reads lag after each write.
        lasting: Option<Duration>,
    },
    /// Another status, without a challenge even if it is 401.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header.
        retry_after: Option<String>,
        /// The body; without one an OCI error.
        body: Option<Bytes>,
    },
    /// The good body with one bit flipped.
    WrongBody,
    /// The good answer with the `Docker-Content-Digest` of other bytes.
    WrongDigestHeader,
}

impl FaultKind {
    /// Another status, with an OCI error.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            body: None,
        }
    }

    /// Where it strikes.
    fn place(&self) -> Place {
        match self {
            Self::MovedTag(_) => Place::Tag,
            Self::Lie(lie) => lie.place(),
            Self::StaleReads { .. } => Place::Listing,
            Self::Challenge(_)
            | Self::EmptyOk
            | Self::Hang
            | Self::HtmlOk
            | Self::Realm(_)
            | Self::Redirect { .. }
            | Self::Reset
            | Self::Status { .. } => Place::Request,
            Self::Header { .. }
            | Self::LinkTo(_)
            | Self::NoLocation
            | Self::OtherContentType(_)
            | Self::WrongDigestHeader => Place::Answer,
            Self::EndlessBody
            | Self::EndlessLength
            | Self::Gzip
            | Self::GzipBomb
            | Self::OtherManifest(_)
            | Self::ResetInBody
            | Self::ShortBody
            | Self::SlowBody { .. }
            | Self::WrongBody => Place::Body,
        }
    }
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Place {
    /// In place of the answer.
    Request,
    /// In what a tag means.
    Tag,
    /// In what was written last.
    Listing,
    /// In what a certificate says.
    Certificate,
    /// In what any service takes for the time.
    Clock,
    /// In what a log entry says.
    Entry,
    /// In what a timestamp says.
    Timestamp,
    /// In a good answer.
    Answer,
    /// In a good answer that has a body, which the answer to HEAD has not.
    Body,
}

/// The faults that were injected.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    /// How many requests it could have met.
    seen: usize,
    /// How many it met.
    met: usize,
}

impl Armed {
    /// Whether it meets this request; counts it if it could.
    fn meets(&mut self, method: &Method, target: &str, places: &[Place]) -> bool {
        let fault = &self.fault;
        let other_method = fault
            .method
            .as_deref()
            .is_some_and(|own| own != method.as_str());
        if other_method
            || !target.contains(&fault.path_contains)
            || !places.contains(&fault.kind.place())
        {
            return false;
        }
        let number = self.seen;
        self.seen += 1;
        let meets = number >= fault.after
            && fault.times.is_none_or(|times| self.met < times)
            && fault.is_drawn(number);
        self.met += usize::from(meets);
        meets
    }
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push(Armed {
            fault,
            seen: 0,
            met: 0,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first fault that strikes a request at one of these places. The others count it too.
    pub(super) fn strike(
        &mut self,
        method: &Method,
        target: &str,
        places: &[Place],
    ) -> Option<FaultKind> {
        let mut struck = None;
        for armed in &mut self.0 {
            if armed.meets(method, target, places) && struck.is_none() {
                struck = Some(armed.fault.kind.clone());
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_what_it_names_and_no_more() {
        let mut faults = Faults::default();
        let kind = FaultKind::Hang;
        faults.push(
            Fault::new(kind.clone())
                .method("GET")
                .path("/tags/")
                .after(1)
                .times(2),
        );
        let mut strike =
            |method: &Method, target| faults.strike(method, target, &[Place::Request]).is_some();
        assert!(!strike(&Method::HEAD, "/v2/a/tags/list"));
        assert!(!strike(&Method::GET, "/v2/a/manifests/x"));
        let hits: Vec<_> = (0..5)
            .map(|_| strike(&Method::GET, "/v2/a/tags/list"))
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn chance_is_drawn_from_the_seed_alone() {
        let hits = |seed| {
            let mut faults = Faults::default();
            faults.push(Fault::new(FaultKind::Hang).chance(0.25, seed));
            let strike = |_| {
                faults
                    .strike(&Method::GET, "/", &[Place::Request])
                    .is_some()
            };
            (0..4000).map(strike).collect::<Vec<_>>()
        };
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
        let count = hits(7).iter().filter(|hit| **hit).count();
        assert!((900..1100).contains(&count), "{count}");

        // The first output of the published generator for seed 0 is e220a8397b1dcdaf.
        let first = f64::from(0xe220_a839_u32) / (f64::from(u32::MAX) + 1.0);
        assert!((draw(0, 0) - first).abs() < f64::EPSILON);
        for (chance, expected) in [(0.0, 0), (1.0, 50)] {
            let mut faults = Faults::default();
            faults.push(Fault::new(FaultKind::Hang).chance(chance, 1));
            let met = (0..50)
                .filter(|_| {
                    faults
                        .strike(&Method::GET, "/", &[Place::Request])
                        .is_some()
                })
                .count();
            assert_eq!(met, expected);
        }
    }

    #[test]
    fn times_counts_what_is_met_and_not_what_is_spared() {
        let mut faults = Faults::default();
        faults.push(Fault::new(FaultKind::Hang).chance(0.5, 3).after(2).times(4));
        let met = (0..100)
            .filter(|_| {
                faults
                    .strike(&Method::GET, "/", &[Place::Request])
                    .is_some()
            })
            .count();
        assert_eq!(met, 4);
    }
}
