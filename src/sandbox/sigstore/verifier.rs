//! Public keys and certificates that clients send, and signatures by them: what Fulcio's proof of
//! possession and the admission of log entries rest on.
//!
//! It is apart from `crate::verify` on purpose: what the gate is tested with should not share its
//! parser.

use aws_lc_rs::digest;
use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::PublicHalf;
use crate::sandbox::mint::Verifier;
use crate::sandbox::mint::der;

/// The algorithm of a key that the services take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    Ed25519,
    P256,
    P384,
    P521,
    Rsa,
}

impl Algorithm {
    /// The hash that goes with it; Ed25519 hashes by itself.
    pub(super) const fn hash(self) -> HashKind {
        match self {
            Self::P256 | Self::Rsa => HashKind::Sha256,
            Self::P384 => HashKind::Sha384,
            Self::Ed25519 | Self::P521 => HashKind::Sha512,
        }
    }
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unusable {
    /// It is too weak.
    Insecure,
    /// It is no key of a known kind.
    Malformed,
}

/// A public key that was sent.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    /// DER `SubjectPublicKeyInfo`.
    pub(super) spki: Vec<u8>,
    /// The bits alone.
    bits: Vec<u8>,
}

impl PublicKey {
    /// Reads PEM: `PUBLIC KEY` or `RSA PUBLIC KEY`. What follows the first block is ignored.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, Unusable> {
        if let Ok(spki) = SubjectPublicKeyInfoDer::from_pem_slice(pem) {
            return Self::from_spki(&spki);
        }
        let (_, block) = x509_parser::pem::parse_x509_pem(pem).map_err(|_| Unusable::Malformed)?;
        if block.label != "RSA PUBLIC KEY" {
            return Err(Unusable::Malformed);
        }
        let algorithm = der::algorithm_null("1.2.840.113549.1.1.1");
        let spki = der::sequence(&[algorithm, der::bit_string(&block.contents)]);
        Self::from_spki(&spki)
    }

    /// Reads a DER `SubjectPublicKeyInfo`.
    pub(super) fn from_spki(bytes: &[u8]) -> Result<Self, Unusable> {
        let (rest, spki) =
            SubjectPublicKeyInfo::from_der(bytes).map_err(|_| Unusable::Malformed)?;
        if !rest.is_empty() {
            return Err(Unusable::Malformed);
        }
        let curve = spki.algorithm.parameters.as_ref();
        let curve = curve.and_then(|any| any.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
        let bits = spki.subject_public_key.data.to_vec();
        let algorithm = match spki.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => Algorithm::Ed25519,
            "1.2.840.113549.1.1.1" => rsa(&spki)?,
            "1.2.840.10045.2.1" => match curve.as_str() {
                "1.2.840.10045.3.1.7" => Algorithm::P256,
                "1.3.132.0.34" => Algorithm::P384,
                "1.3.132.0.35" => Algorithm::P521,
                "1.3.132.0.33" => return Err(Unusable::Insecure),
                _ => return Err(Unusable::Malformed),
            },
            _ => return Err(Unusable::Malformed),
        };
        let key = Self {
            algorithm,
            spki: bytes.to_vec(),
            bits,
        };
        // A point that is not on its curve is no key either.
        let checked = UnparsedPublicKey::new(key.backend(algorithm.hash()), &key.bits).parse();
        checked.map_err(|_| Unusable::Malformed)?;
        Ok(key)
    }

    /// As an authority certifies it.
    pub(super) fn half(&self) -> PublicHalf<'_> {
        PublicHalf {
            spki: &self.spki,
            raw: &self.bits,
        }
    }

    /// Whether `signature` is over `message`, with the hash that goes with the key. An ECDSA
    /// signature may be DER or the two numbers one after the other (IEEE P1363), as Go's
    /// sigstore library reads it.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm| {
            UnparsedPublicKey::new(algorithm, &self.bits)
                .verify(message, signature)
                .is_ok()
        };
        by(self.backend(self.algorithm.hash())) || self.fixed().is_some_and(by)
    }

    /// The same over a message of which the services know the hash alone. Ed25519 has no such form.
    pub(super) fn signed_hash(&self, hash: HashKind, value: &[u8], signature: &[u8]) -> bool {
        let kind = match hash {
            HashKind::Sha256 => &digest::SHA256,
            HashKind::Sha384 => &digest::SHA384,
            HashKind::Sha512 => &digest::SHA512,
            HashKind::Sha1 => return false,
        };
        if self.algorithm == Algorithm::Ed25519 {
            return false;
        }
        let Ok(value) = digest::Digest::import_less_safe(value, kind) else {
            return false;
        };
        let by = |algorithm| {
            UnparsedPublicKey::new(algorithm, &self.bits)
                .verify_digest(&value, signature)
                .is_ok()
        };
        let fixed = self.fixed().filter(|_| hash == self.algorithm.hash());
        by(self.backend(hash)) || fixed.is_some_and(by)
    }

    fn backend(&self, hash: HashKind) -> &'static dyn VerificationAlgorithm {
        match (self.algorithm, hash) {
            (Algorithm::Ed25519, _) => &signature::ED25519,
            (Algorithm::P256, HashKind::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
            (Algorithm::P256, HashKind::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
            (Algorithm::P256, _) => &signature::ECDSA_P256_SHA256_ASN1,
            (Algorithm::P384, HashKind::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
            (Algorithm::P384, HashKind::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
            (Algorithm::P384, _) => &signature::ECDSA_P384_SHA384_ASN1,
            (Algorithm::P521, HashKind::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
            (Algorithm::P521, HashKind::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
            (Algorithm::P521, _) => &signature::ECDSA_P521_SHA512_ASN1,
            (Algorithm::Rsa, HashKind::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Algorithm::Rsa, HashKind::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Algorithm::Rsa, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
        }
    }

    fn fixed(&self) -> Option<&'static dyn VerificationAlgorithm> {
        match self.algorithm {
            Algorithm::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED),
            Algorithm::Ed25519 | Algorithm::Rsa => None,
        }
    }
}

/// An RSA key of at least 2048 bits.
fn rsa(spki: &SubjectPublicKeyInfo<'_>) -> Result<Algorithm, Unusable> {
    let parsed = spki.parsed().map_err(|_| Unusable::Malformed)?;
    match parsed.key_size() {
        2048..=8192 => Ok(Algorithm::Rsa),
        1..2048 => Err(Unusable::Insecure),
        _ => Err(Unusable::Malformed),
    }
}

/// Who signed, as a client names it to a log: a certificate or a key, in PEM.
pub(super) fn verifier(pem: &[u8]) -> Option<(Verifier, PublicKey)> {
    if let Ok(certificate) = CertificateDer::from_pem_slice(pem) {
        return certified(&certificate);
    }
    let key = PublicKey::from_pem(pem).ok()?;
    Some((Verifier::PublicKey(key.spki.clone()), key))
}

/// The key of a DER certificate.
pub(super) fn certified(der: &[u8]) -> Option<(Verifier, PublicKey)> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let key = PublicKey::from_spki(certificate.public_key().raw).ok()?;
    Some((Verifier::Certificate(der.to_vec()), key))
}
