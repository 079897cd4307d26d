//! Content digests as OCI writes them: an algorithm and its bytes.
//!
//! A [`Digest`] is made only by parsing or by hashing. Only the two algorithms that the OCI image
//! specification registers and every registry serves are read (sha256, sha512), in lower case.

use core::fmt;
use core::str::FromStr;

use aws_lc_rs::digest as hash;
use serde::Deserialize;
use serde::Serialize;

/// A hash algorithm of a content digest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The name as it stands in a digest string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn backend(self) -> &'static hash::Algorithm {
        match self {
            Self::Sha256 => &hash::SHA256,
            Self::Sha512 => &hash::SHA512,
        }
    }
}

/// The digest of some bytes: what identifies a manifest, a blob or a piece of evidence.
///
/// The text form is `algorithm:hex` with lower-case hexadecimal digits (OCI image specification,
/// "Digests").
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest {
    algorithm: Algorithm,
    // SHA-256 uses the first half; the second stays zero, so that comparing all of it is right.
    bytes: [u8; 64],
}

impl Digest {
    /// Hashes `bytes` with SHA-256.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// Hashes `bytes` with `algorithm`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self::from_parts(algorithm, hash::digest(algorithm.backend(), bytes).as_ref())
    }

    /// Takes a SHA-256 value that was computed or carried as raw bytes.
    #[must_use]
    pub fn from_sha256(value: [u8; 32]) -> Self {
        Self::from_parts(Algorithm::Sha256, &value)
    }

    fn from_parts(algorithm: Algorithm, value: &[u8]) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        Self { algorithm, bytes }
    }

    /// Parses `algorithm:hex`.
    ///
    /// # Errors
    ///
    /// [`DigestError`] for an unknown algorithm, a wrong length, or anything but lower-case
    /// hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(DigestError::UnknownAlgorithm),
        };
        if hex.len() != algorithm.len() * 2 {
            return Err(DigestError::Length {
                expected: algorithm.len() * 2,
                found: hex.len(),
            });
        }
        let mut bytes = [0; 64];
        for (to, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(DigestError::NotHex);
            };
            *to = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Ok(Self { algorithm, bytes })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value: 32 or 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.len())
            .unwrap_or(&self.bytes)
    }

    /// The value as lower-case hexadecimal text, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(self.as_bytes())
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        *self == Self::of(self.algorithm, bytes)
    }

    /// The first twelve hexadecimal digits, for tables that people read.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }
}

/// Lower-case hexadecimal text of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' + nibble - 10
            }));
        }
    }
    text
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::NotHex),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest. The one who wrote the text can mend it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DigestError {
    /// The value has the wrong number of hexadecimal digits.
    #[error("a digest value of {found} digits where {expected} are needed")]
    Length {
        /// Digits that the algorithm has.
        expected: usize,
        /// Digits that were found.
        found: usize,
    },
    /// There is no `algorithm:` before the value.
    #[error("a digest without an algorithm (expected `sha256:` and 64 hexadecimal digits)")]
    NoAlgorithm,
    /// A character that is no lower-case hexadecimal digit.
    #[error("a digest with a character that is not a lower-case hexadecimal digit")]
    NotHex,
    /// An algorithm that is neither sha256 nor sha512.
    #[error("a digest algorithm other than sha256 and sha512")]
    UnknownAlgorithm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_hostile_text_is_refused() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(empty), Ok(Digest::sha256(b"")));
        assert_eq!(Digest::sha256(b"").to_string(), empty);
        let long = Digest::of(Algorithm::Sha512, b"");
        assert_eq!(Digest::parse(&long.to_string()), Ok(long));
        assert_eq!(long.as_bytes().len(), 64);

        for (text, expected) in [
            ("", DigestError::NoAlgorithm),
            ("e3b0", DigestError::NoAlgorithm),
            ("md5:00", DigestError::UnknownAlgorithm),
            ("SHA256:00", DigestError::UnknownAlgorithm),
            (
                "sha256:../../x",
                DigestError::Length {
                    expected: 64,
                    found: 7,
                },
            ),
            (
                "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
                DigestError::NotHex,
            ),
            (
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
                DigestError::Length {
                    expected: 64,
                    found: 63,
                },
            ),
        ] {
            assert_eq!(Digest::parse(text), Err(expected), "{text}");
        }
    }
}
