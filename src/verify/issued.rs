//! A certificate that was just issued, before anything is signed with it.

use crate::model::Digest;
use crate::model::Identity;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Error;
use crate::verify::SctTerm;
use crate::verify::Terms;
use crate::verify::TrustRoot;
use crate::verify::certificate::Leaf;
use crate::verify::sct;

/// What a signing certificate that leads to the root says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Issued {
    /// Its holder.
    pub identity: Identity,
    /// SHA-256 of the SubjectPublicKeyInfo of its key.
    pub key: Digest,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// The certificates of the trust root that it leads to, in DER, the lowest first.
    pub chain: Vec<Vec<u8>>,
}

/// Verifies a certificate by itself, as [`super::verify()`] does with that of a signature: its
/// profile, its path to the root at the time `now`, its SCT. A validity that begins within
/// `terms.clock_skew` seconds has begun.
///
/// # Errors
///
/// The first check that does not hold, as [`Error`].
pub fn verify_certificate(
    leaf: &[u8],
    root: &TrustRoot,
    terms: Terms,
    now: Timestamp,
    limits: &Limits,
) -> Result<Issued, Error> {
    let leaf = Leaf::parse(leaf, limits)?;
    let begun = leaf.not_before <= now.plus_seconds(i64::from(terms.clock_skew));
    let at = if begun { now.max(leaf.not_before) } else { now };
    let found = leaf.path_and_authority(&[], &root.authorities, &[at]);
    let (issuer, authority) = found?;
    if terms.sct == SctTerm::Required {
        sct::verify(leaf.tbs, &issuer, &root.ct_logs, limits)?;
    }
    let chain = authority.chain.iter();
    Ok(Issued {
        chain: chain.map(|issuer| issuer.der().to_vec()).collect(),
        key: leaf.key.id(),
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        identity: leaf.identity,
    })
}
