//! Key pairs of every algorithm that occurs in Sigstore, and some that must not.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P256K1_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P521_SHA512_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;

use super::MintError;
use super::der;
use super::pem;

/// The algorithm of a key. It fixes the hash too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// Ed25519 (RFC 8032, pure).
    Ed25519,
    /// ECDSA P-256 with SHA-256.
    P256,
    /// ECDSA secp256k1 with SHA-256: a curve that Sigstore does not know.
    P256K1,
    /// ECDSA P-384 with SHA-384.
    P384,
    /// ECDSA P-521 with SHA-512.
    P521,
    /// RSA with 2048 bits, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
}

impl KeyKind {
    /// The hash that goes with it; SHA-256 where the algorithm hashes by itself.
    #[must_use]
    pub const fn hash(self) -> HashKind {
        match self {
            Self::Ed25519 | Self::P256 | Self::P256K1 | Self::Rsa2048 => HashKind::Sha256,
            Self::P384 => HashKind::Sha384,
            Self::P521 => HashKind::Sha512,
        }
    }

    /// The `keyDetails` of trusted roots and Rekor v2.
    #[must_use]
    pub const fn details(self) -> &'static str {
        match self {
            Self::Ed25519 => "PKIX_ED25519",
            Self::P256 => "PKIX_ECDSA_P256_SHA_256",
            Self::P256K1 => "PUBLIC_KEY_DETAILS_UNSPECIFIED",
            Self::P384 => "PKIX_ECDSA_P384_SHA_384",
            Self::P521 => "PKIX_ECDSA_P521_SHA_512",
            Self::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
        }
    }

    const fn ecdsa(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            Self::P256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Self::P256K1 => Some(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
            Self::P384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
            Self::P521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
            Self::Ed25519 | Self::Rsa2048 => None,
        }
    }

    /// The DER `AlgorithmIdentifier` of its signatures.
    #[must_use]
    pub fn signature_algorithm(self) -> Vec<u8> {
        match self {
            Self::Ed25519 => der::algorithm("1.3.101.112"),
            Self::P256 | Self::P256K1 => der::algorithm("1.2.840.10045.4.3.2"),
            Self::P384 => der::algorithm("1.2.840.10045.4.3.3"),
            Self::P521 => der::algorithm("1.2.840.10045.4.3.4"),
            Self::Rsa2048 => der::algorithm_null("1.2.840.113549.1.1.11"),
        }
    }
}

/// A hash algorithm, SHA-1 included, with the names it has in the various formats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HashKind {
    /// SHA-1, which nobody should read any more.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashKind {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// The dotted object identifier.
    #[must_use]
    pub const fn oid(self) -> &'static str {
        match self {
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        }
    }

    /// The name in Rekor v1 entries.
    #[must_use]
    pub const fn rekor1(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The name in bundles, trusted roots and Rekor v2 entries.
    #[must_use]
    pub const fn protobuf(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }
}

/// A key pair. Clones share it.
#[derive(Clone)]
pub struct SigningKey {
    kind: KeyKind,
    pair: Arc<Pair>,
    raw: Vec<u8>,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new random key.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn generate(kind: KeyKind) -> Result<Self, MintError> {
        let Some(ecdsa) = kind.ecdsa() else {
            if kind == KeyKind::Ed25519 {
                let pair = Ed25519KeyPair::generate()?;
                let public = pair.public_key();
                let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
                return Ok(Self::new(kind, Pair::Ed25519(pair), raw, spki));
            }
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let public = pair.public_key();
            let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
            return Ok(Self::new(kind, Pair::Rsa(pair), raw, spki));
        };
        let pair = EcdsaKeyPair::generate(ecdsa)?;
        let public = pair.public_key();
        let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
        Ok(Self::new(kind, Pair::Ecdsa(pair), raw, spki))
    }

    /// The private key as PKCS #8 DER, to be kept in a file.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, MintError> {
        let der = match &*self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair)?.as_ref().to_vec(),
        };
        Ok(der)
    }

    /// Reads what [`SigningKey::to_pkcs8`] gave.
    ///
    /// # Errors
    ///
    /// [`MintError`] for bytes that are no such key of this kind.
    pub fn from_pkcs8(kind: KeyKind, der: &[u8]) -> Result<Self, MintError> {
        let rejected = |_| MintError::Crypto;
        let Some(ecdsa) = kind.ecdsa() else {
            if kind == KeyKind::Ed25519 {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(rejected)?;
                let public = pair.public_key();
                let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
                return Ok(Self::new(kind, Pair::Ed25519(pair), raw, spki));
            }
            let pair = RsaKeyPair::from_pkcs8(der).map_err(rejected)?;
            let public = pair.public_key();
            let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
            return Ok(Self::new(kind, Pair::Rsa(pair), raw, spki));
        };
        let pair = EcdsaKeyPair::from_pkcs8(ecdsa, der).map_err(rejected)?;
        let public = pair.public_key();
        let (raw, spki) = (public.as_ref().to_vec(), spki(public)?);
        Ok(Self::new(kind, Pair::Ecdsa(pair), raw, spki))
    }

    fn new(kind: KeyKind, pair: Pair, raw: Vec<u8>, spki: Vec<u8>) -> Self {
        Self {
            kind,
            pair: Arc::new(pair),
            raw,
            spki,
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The bits of the public key alone: a point, 32 bytes, or a PKCS#1 key.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The public key as PEM, as `cosign.pub` has it.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// SHA-256 of the public key: the id of a log, and cosign's key hint.
    #[must_use]
    pub fn id(&self) -> Vec<u8> {
        HashKind::Sha256.of(&self.spki)
    }

    /// Signs `message`: ASN.1 DER for ECDSA.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

fn spki<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Result<Vec<u8>, MintError> {
    Ok(key.as_der()?.as_ref().to_vec())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.kind)
    }
}
