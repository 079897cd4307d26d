//! The cryptography: from evidence that anybody could have made to a proof of who signed what, when.
//!
//! [`verify()`] is the one entry, and the only place that makes a [`VerifiedSignature`]. It takes the
//! parsed evidence ([`Bundle`]), what it must be about ([`Artifact`]), what is trusted ([`Trust`]),
//! the time and the limits; it knows no policy, reads no clock and fetches nothing. Each step that
//! can refuse has its own [`Error`] and code.
//!
//! Start with the numbered steps of [`verify()`]; each has a file of its own below.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod beside;
mod bundle;
mod certificate;
mod checkpoint;
mod claimed;
mod content;
pub(crate) mod der;
pub(crate) mod encoding;
mod envelope;
mod error;
mod inventory;
mod issued;
mod key;
mod legacy;
mod log;
mod logged;
mod sct;
mod times;
mod timestamp;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use beside::BesideLegacy;
pub use beside::PromisedEntry;
pub use bundle::Bundle;
pub use bundle::Layout;
pub use checkpoint::LogHead;
pub use claimed::Claimed;
pub use error::Error;
pub use inventory::Held;
pub use inventory::Need;
pub use inventory::Piece;
pub use issued::Issued;
pub use issued::verify_certificate;
pub use trust::ManagedKey;
pub use trust::TrustError;
pub use trust::TrustRoot;

use crate::model::Digest;
use crate::model::Identity;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::bundle::Material;
use crate::verify::certificate::Leaf;
use crate::verify::key::PublicKey;

/// What the evidence must be about.
#[derive(Clone, Copy, Debug)]
pub enum Artifact<'a> {
    /// A file, whose bytes are there.
    Bytes(&'a [u8]),
    /// An image, or a file of which only the digest is known.
    Digest(Digest),
}

impl<'a> Artifact<'a> {
    fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::sha256(bytes),
            Self::Digest(digest) => *digest,
        }
    }

    const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Digest(_) => None,
        }
    }
}

/// Who is trusted to vouch. The choice also decides which kind of signer is demanded.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Keyless: a certificate by an authority of the root.
    Root(&'a TrustRoot),
    /// A managed key. The root vouches for log entries and timestamps, where there are any.
    Key(&'a ManagedKey, Option<&'a TrustRoot>),
}

/// What may be missing, and how far clocks may differ. The default demands everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Terms {
    /// Whether a log entry is demanded.
    pub log: LogTerm,
    /// Whether a certificate must carry an SCT.
    pub sct: SctTerm,
    /// Seconds that an authenticated time may lie ahead of now.
    pub clock_skew: u8,
}

/// Whether a transparency log entry is demanded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogTerm {
    /// At least one entry of a known log.
    #[default]
    Required,
    /// None. A certificate then needs an RFC 3161 timestamp; entries that are there must still hold.
    InsecureNone,
}

/// Whether a certificate must carry an SCT.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SctTerm {
    /// At least one of a known log.
    #[default]
    Required,
    /// None; what is there is not looked at.
    InsecureNone,
}

/// A signature that held every check. Only [`verify()`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedSignature {
    artifact: Digest,
    evidence: Digest,
    layout: Layout,
    root: Option<Digest>,
    signer: Signer,
    times: Vec<AuthenticatedTime>,
    logs: Vec<LoggedAt>,
    signature: Vec<u8>,
    payload: Option<Arc<Vec<u8>>>,
    facts: Facts,
    beside: Option<Box<BesideLegacy>>,
}

/// Who signed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Signer {
    /// The holder of a certificate.
    Certificate {
        /// What the certificate says about its holder.
        identity: Box<Identity>,
        /// SHA-256 of the certificate.
        certificate: Digest,
        /// Start of its validity.
        not_before: Timestamp,
        /// End of its validity.
        not_after: Timestamp,
    },
    /// The holder of a managed key, by its id.
    Key(Digest),
}

/// A point in time that somebody in the trust root vouches for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AuthenticatedTime {
    /// The time.
    pub time: Timestamp,
    /// Who vouches for it.
    pub source: TimeSource,
}

/// Who vouches for a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TimeSource {
    /// A log's signed promise.
    LogPromise,
    /// A timestamp authority.
    Timestamp,
}

/// A log entry that was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggedAt {
    /// The log's key id.
    pub log: Digest,
    /// The position of the entry: over all shards where a promise covers it, else in its own tree.
    pub index: u64,
    /// Whether it is proven to be in the log, or only promised.
    pub evidence: LogEvidence,
}

/// How a log entry is proven.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogEvidence {
    /// An inclusion proof up to a signed checkpoint.
    Included,
    /// A signed promise (SET) alone.
    Promised,
}

/// What kind of statement was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Facts {
    Message,
    Payload(envelope::Facts),
}

/// The predicate type of cosign's image signatures in bundles (cosign 3.0.5 and later).
pub(crate) const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

impl VerifiedSignature {
    /// The digest that was signed for. A verdict is about this and nothing else.
    #[must_use]
    pub const fn artifact(&self) -> Digest {
        self.artifact
    }

    /// The digest of the evidence: of the bundle, or over a legacy layer with its annotations.
    #[must_use]
    pub const fn evidence(&self) -> Digest {
        self.evidence
    }

    /// How the evidence is laid out.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The id of the trust root that vouches, where one was used.
    #[must_use]
    pub const fn root(&self) -> Option<Digest> {
        self.root
    }

    /// Who signed.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// All authenticated times, earliest first. Empty only for a managed key.
    #[must_use]
    pub fn times(&self) -> &[AuthenticatedTime] {
        &self.times
    }

    /// The verified log entries, in the order of the evidence.
    #[must_use]
    pub fn logs(&self) -> &[LoggedAt] {
        &self.logs
    }

    /// Whether an image or file itself was signed, as opposed to a statement about it.
    #[must_use]
    pub fn is_signature(&self) -> bool {
        match &self.facts {
            Facts::Message => true,
            Facts::Payload(facts) => facts
                .predicate_type
                .as_deref()
                .is_none_or(|predicate| predicate == SIGN_PREDICATE),
        }
    }

    /// Whether the signature is over a bare file, with no payload that names what it is about.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        matches!(self.facts, Facts::Message)
    }

    /// The predicate type of the in-toto statement that was signed.
    #[must_use]
    pub fn predicate_type(&self) -> Option<&str> {
        match &self.facts {
            Facts::Message => None,
            Facts::Payload(facts) => facts.predicate_type.as_deref(),
        }
    }

    /// The repository that a legacy payload names. Nobody checks it: images are copied.
    #[must_use]
    pub fn docker_reference(&self) -> Option<&str> {
        match &self.facts {
            Facts::Message => None,
            Facts::Payload(facts) => facts.docker_reference.as_deref(),
        }
    }

    /// A signed annotation, where it is text.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations()?.get(name)?.as_str()
    }

    /// All signed annotations.
    #[must_use]
    pub const fn annotations(&self) -> Option<&BTreeMap<String, serde_json::Value>> {
        match &self.facts {
            Facts::Message => None,
            Facts::Payload(facts) => Some(&facts.annotations),
        }
    }

    /// The signature itself: DER for ECDSA, raw bytes for the other kinds of keys.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What stands beside a legacy signature. Other layouts keep nothing.
    #[must_use]
    pub fn beside_legacy(&self) -> Option<&BesideLegacy> {
        self.beside.as_deref()
    }

    /// Lets go of the payload, which may be many megabytes, where nobody will read it.
    #[cfg(feature = "net")]
    pub(crate) fn without_payload(mut self) -> Self {
        self.payload = None;
        self
    }

    /// The payload that was signed: an in-toto statement or a simple-signing document. Evidence that
    /// a policy refused does not keep it.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref().map(Vec::as_slice)
    }
}

/// Verifies one piece of evidence about `artifact`.
///
/// `now` is the time of the question; nothing may have been signed after it. `limits` bound the work.
///
/// # Errors
///
/// The first check that does not hold, as [`Error`]; [`Error::code`] gives its reason. An error says
/// nothing about other evidence.
pub fn verify(
    bundle: &Bundle,
    artifact: Artifact<'_>,
    trust: Trust<'_>,
    terms: Terms,
    now: Timestamp,
    limits: &Limits,
) -> Result<VerifiedSignature, Error> {
    let digest = artifact.digest();

    // 1. The signer: a certificate with the right profile, or the managed key. Not yet trusted.
    let signer = Candidate::of(bundle, trust, limits)?;

    // 2. The signature, over the very bytes that step 3 reads.
    content::signature_holds(&bundle.content, signer.key(), artifact, digest)?;

    // 3. What was signed is about the artifact.
    let (facts, payload) = content::facts(&bundle.content, digest, limits)?;

    // 4. The log: each entry of a known log is about this signature, and in that log.
    let (mut logged, entries) =
        logged::log_entries(bundle, &signer, artifact, digest, trust, limits)?;
    if logged.is_empty() && terms.log == LogTerm::Required {
        return Err(match entries {
            Some(unknown) => unknown,
            None => Error::LogEntryMissing,
        });
    }

    // 5. Times: signed promises of logs and RFC 3161 timestamps. All of them count.
    let times = times::times(bundle, &signer, &logged, trust)?;
    for time in &times {
        if now.plus_seconds(i64::from(terms.clock_skew)) < time.time {
            return Err(Error::TimeInFuture { time: time.time });
        }
    }

    // 6. Each log's key counted when the entry was made: by its own time, or else by all of them.
    for entry in &mut logged {
        entry.key_counted(&times, now)?;
    }

    // 7. The certificate leads to the trust root at every one of the times, and was logged.
    if let (Candidate::Leaf(leaf, intermediates), Trust::Root(root)) = (&signer, trust) {
        let at: Vec<_> = times.iter().map(|time| time.time).collect();
        let issuer = leaf.path(intermediates, &root.authorities, &at)?;
        if terms.sct == SctTerm::Required {
            sct::verify(leaf.tbs, &issuer, &root.ct_logs, limits)?;
        }
    }

    Ok(VerifiedSignature {
        artifact: digest,
        evidence: bundle.evidence,
        layout: bundle.layout,
        root: match trust {
            Trust::Root(root) | Trust::Key(_, Some(root)) => Some(root.id()),
            Trust::Key(_, None) => None,
        },
        signer: signer.into_signer(),
        beside: BesideLegacy::of(bundle, &logged, &times),
        times,
        logs: logged.into_iter().map(|entry| entry.at).collect(),
        signature: bundle.content.signature().to_vec(),
        payload,
        facts,
    })
}

/// The signer that the evidence names, before anything vouches for it.
enum Candidate<'a> {
    Key(&'a ManagedKey),
    Leaf(Box<Leaf<'a>>, &'a [Vec<u8>]),
}

impl<'a> Candidate<'a> {
    fn of(bundle: &'a Bundle, trust: Trust<'a>, limits: &Limits) -> Result<Self, Error> {
        match (trust, &bundle.material) {
            (Trust::Key(key, _), Material::PublicKey) => Ok(Self::Key(key)),
            (
                Trust::Root(root),
                Material::Certificate {
                    leaf,
                    intermediates,
                },
            ) => {
                let leaf = Leaf::parse(leaf, limits)?;
                if bundle.layout.is_bundle() {
                    no_root_inside(root, intermediates)?;
                }
                Ok(Self::Leaf(Box::new(leaf), intermediates))
            }
            (Trust::Root(_), Material::PublicKey) => Err(Error::SignerKind {
                expected: "certificate",
                found: "public key",
            }),
            (Trust::Key(..), Material::Certificate { .. }) => Err(Error::SignerKind {
                expected: "public key",
                found: "certificate",
            }),
        }
    }

    fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => &key.key,
            Self::Leaf(leaf, _) => &leaf.key,
        }
    }

    fn in_log(&self) -> log::Signer<'_> {
        match self {
            Self::Key(key) => log::Signer::Key(key.id()),
            Self::Leaf(leaf, _) => log::Signer::Certificate(leaf.der()),
        }
    }

    fn into_signer(self) -> Signer {
        match self {
            Self::Key(key) => Signer::Key(key.id()),
            Self::Leaf(leaf, _) => Signer::Certificate {
                certificate: Digest::sha256(leaf.der()),
                not_before: leaf.not_before,
                not_after: leaf.not_after,
                identity: Box::new(leaf.identity),
            },
        }
    }
}

/// A bundle must not bring a root: neither one of the trust root nor any that signed itself.
fn no_root_inside(root: &TrustRoot, intermediates: &[Vec<u8>]) -> Result<(), Error> {
    for brought in intermediates {
        let known = root
            .authorities
            .iter()
            .filter_map(|authority| authority.chain.last())
            .any(|issuer| issuer.der() == brought.as_slice());
        if known || certificate::is_self_issued(brought)? {
            return Err(Error::BundleCertificateChain {
                rule: "a root certificate stands in the chain",
            });
        }
    }
    Ok(())
}
