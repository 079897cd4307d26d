//! What is in a trusted root, for people and for the check that it suffices. Nothing here decides
//! about evidence.

use core::fmt;

use crate::model::Digest;
use crate::model::Timestamp;
use crate::model::printable;
use crate::verify::TrustRoot;
use crate::verify::certificate::Issuer;
use crate::verify::key::Kind;
use crate::verify::trust::Authority;
use crate::verify::trust::Log;

/// What an entry of a trusted root vouches for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Need {
    /// Who a signing certificate belongs to.
    CertificateAuthority,
    /// That the certificate was published.
    CtLog,
    /// That the signature was published.
    TransparencyLog,
    /// When the signature was made.
    TimestampAuthority,
}

impl Need {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [
        Self::CertificateAuthority,
        Self::CtLog,
        Self::TransparencyLog,
        Self::TimestampAuthority,
    ];

    /// Its name in documents and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateAuthority => "certificate-authority",
            Self::CtLog => "ct-log",
            Self::TransparencyLog => "transparency-log",
            Self::TimestampAuthority => "timestamp-authority",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateAuthority => "certificate authority",
            Self::CtLog => "certificate transparency log",
            Self::TransparencyLog => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
        })
    }
}

/// A certificate of an authority.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Held {
    /// Its subject, escaped.
    pub subject: String,
    /// When it becomes valid.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// An entry of a trusted root.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Piece {
    /// What it vouches for.
    pub need: Need,
    /// Where it is served, escaped.
    pub url: Option<String>,
    /// Who keeps it, escaped.
    pub operator: Option<String>,
    /// The kind of its key, or of the lowest key of its chain.
    pub key: &'static str,
    /// The id of a log in hexadecimal, or the SHA-256 of an authority's lowest certificate.
    pub id: String,
    /// When it begins to count, by the root.
    pub start: Option<Timestamp>,
    /// When it ends to count, by the root.
    pub end: Option<Timestamp>,
    /// The chain of an authority, root last.
    pub certificates: Vec<Held>,
}

impl Piece {
    fn of_log(need: Need, log: &Log) -> Self {
        Self {
            need,
            url: log.named.url.as_deref().map(printable),
            operator: log.named.operator.as_deref().map(printable),
            key: name(log.key.kind()),
            id: crate::model::hex(&log.id),
            start: log.window.start,
            end: log.window.end,
            certificates: Vec::new(),
        }
    }

    fn of_authority(need: Need, authority: &Authority) -> Self {
        let lowest = authority.chain.first();
        Self {
            need,
            url: authority.named.url.as_deref().map(printable),
            operator: authority.named.operator.as_deref().map(printable),
            key: lowest.map_or("none", |issuer| name(issuer.key().kind())),
            id: lowest.map_or_else(String::new, |issuer| Digest::sha256(issuer.der()).hex()),
            start: authority.window.start,
            end: authority.window.end,
            certificates: authority.chain.iter().map(held).collect(),
        }
    }

    /// The first moment in which it counts, its certificates included.
    #[must_use]
    pub fn usable_from(&self) -> Option<Timestamp> {
        let begins = self.certificates.iter().map(|held| held.not_before);
        begins.chain(self.start).max()
    }

    /// The last moment in which it counts, its certificates included; none when there is no end.
    #[must_use]
    pub fn usable_until(&self) -> Option<Timestamp> {
        let ends = self.certificates.iter().map(|held| held.not_after);
        ends.chain(self.end).min()
    }

    /// Whether it counts at that moment.
    #[must_use]
    pub fn is_usable_at(&self, time: Timestamp) -> bool {
        self.usable_from().is_none_or(|from| from <= time)
            && self.usable_until().is_none_or(|until| time <= until)
    }
}

impl TrustRoot {
    /// What is in it: authorities, certificate transparency logs, transparency logs, timestamp
    /// authorities, each in the order of the document.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let issuers = self.authorities.iter();
        let stamps = self.timestamp_authorities.iter();
        let (ct_logs, logs) = (self.ct_logs.iter(), self.logs.iter());
        issuers
            .map(|found| Piece::of_authority(Need::CertificateAuthority, found))
            .chain(ct_logs.map(|found| Piece::of_log(Need::CtLog, found)))
            .chain(logs.map(|found| Piece::of_log(Need::TransparencyLog, found)))
            .chain(stamps.map(|found| Piece::of_authority(Need::TimestampAuthority, found)))
            .collect()
    }
}

fn held(issuer: &Issuer) -> Held {
    Held {
        subject: printable(&issuer.name()),
        not_before: issuer.not_before(),
        not_after: issuer.not_after(),
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ed25519 => "Ed25519",
        Kind::P256 => "P-256",
        Kind::P384 => "P-384",
        Kind::P521 => "P-521",
        Kind::Rsa => "RSA",
    }
}
