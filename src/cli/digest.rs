//! Digests that people write in the place of an image or a file.

use crate::cli::UsageError;
use crate::model::Digest;

/// What may stand before the colon of a digest, here or elsewhere. An image of such a name has to be
/// written with its repository.
const ALGORITHMS: &[&str] = &[
    "blake2b", "blake3", "md5", "sha1", "sha224", "sha256", "sha384", "sha512",
];

/// Reads a text that is meant as a digest. Gives nothing for one that is not; one that is and has a
/// mistake is no name of something else.
pub(super) fn parse(text: &str) -> Option<Result<Digest, UsageError>> {
    let (algorithm, value) = text.split_once(':')?;
    let known = |name: &&str| name.eq_ignore_ascii_case(algorithm);
    // With a slash it is a host with a port.
    if value.contains('/') || !ALGORITHMS.iter().any(known) {
        return None;
    }
    Some(Digest::parse(text).map_err(|source| UsageError::Digest {
        text: crate::model::printable(text),
        source,
    }))
}
