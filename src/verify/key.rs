//! Public keys, and the checking of signatures with them.
//!
//! P-256, P-384, P-521, Ed25519 and RSA from 2048 to 4096 bits (PKCS #1 v1.5). A key is prepared
//! once; its kind fixes the algorithm, and nothing in the evidence chooses another.

use core::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;

use crate::model::Digest;
use crate::verify::Error;
use crate::verify::der;
use crate::verify::der::NotDer;
use crate::verify::der::tag;

const OID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The kind of a public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Ed25519,
    P256,
    P384,
    P521,
    Rsa,
}

/// A hash that a signature may be made over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn of(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.backend(), bytes)
    }

    /// The hash over parts that follow each other. A payload of many megabytes is not copied for it.
    pub(super) fn of_parts(self, parts: &[&[u8]]) -> digest::Digest {
        let mut context = digest::Context::new(self.backend());
        for part in parts {
            context.update(part);
        }
        context.finish()
    }

    const fn backend(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A public key, prepared for verifying.
pub(super) struct PublicKey {
    kind: Kind,
    material: Vec<u8>,
    /// Prepared for the hash that goes with the kind.
    natural: ParsedPublicKey,
    id: Digest,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.kind, self.id)
    }
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER.
    pub(super) fn parse(spki: &[u8]) -> Result<Self, Error> {
        let (kind, material) = parts(spki).map_err(|NotDer| Error::KeyUnsupported {
            rule: "not a public key of a known kind (P-256, P-384, P-521, Ed25519, RSA)",
        })?;
        if kind == Kind::Rsa {
            rsa_size(material)?;
        }
        let natural =
            ParsedPublicKey::new(algorithm(kind, natural_hash(kind)), material).map_err(|_| {
                Error::KeyUnsupported {
                    rule: "a public key whose value is not valid for its kind",
                }
            })?;
        Ok(Self {
            kind,
            material: material.to_vec(),
            natural,
            id: Digest::sha256(spki),
        })
    }

    /// Parses a bare RSAPublicKey (RFC 8017 appendix A.1.1), as old trust roots carry.
    pub(super) fn parse_pkcs1(key: &[u8]) -> Result<Self, Error> {
        let mut identifier = Vec::new();
        der::write_header(&mut identifier, tag::OID, OID_RSA.len());
        identifier.extend(OID_RSA);
        der::write_header(&mut identifier, tag::NULL, 0);
        let mut fields = Vec::new();
        der::write_header(&mut fields, tag::SEQUENCE, identifier.len());
        fields.extend(identifier);
        der::write_header(&mut fields, tag::BIT_STRING, key.len() + 1);
        fields.push(0);
        fields.extend(key);
        let mut spki = Vec::new();
        der::write_header(&mut spki, tag::SEQUENCE, fields.len());
        spki.extend(fields);
        Self::parse(&spki)
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(super) const fn id(&self) -> Digest {
        self.id
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The raw value: the point, the 32 bytes of Ed25519, or the RSAPublicKey.
    pub(super) fn material(&self) -> &[u8] {
        &self.material
    }

    /// Whether `signature` is this key's over `message`, with the hash that goes with the kind:
    /// SHA-256 for P-256 and RSA, SHA-384 for P-384, SHA-512 for P-521.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.natural.verify_sig(message, signature).is_ok()
    }

    /// The same with a named hash.
    pub(super) fn verifies_with(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        if self.kind == Kind::Ed25519 || hash == natural_hash(self.kind) {
            return self.verifies(message, signature);
        }
        signature::UnparsedPublicKey::new(algorithm(self.kind, hash), &self.material)
            .verify(message, signature)
            .is_ok()
    }

    /// A signer's signature over a message in parts. The hash normally goes with the kind; cosign
    /// also signs with SHA-256 under keys of any kind (`cosign import-key-pair`), so that is tried
    /// too.
    pub(super) fn verifies_signer(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        if self.kind == Kind::Ed25519 {
            return self.verifies(&parts.concat(), signature);
        }
        let natural = natural_hash(self.kind);
        let by = |hash: Hash| {
            signature::UnparsedPublicKey::new(algorithm(self.kind, hash), &self.material)
                .verify_digest(&hash.of_parts(parts), signature)
                .is_ok()
        };
        by(natural) || (natural != Hash::Sha256 && by(Hash::Sha256))
    }

    /// A signature over a message of which only the SHA-256 value is known.
    ///
    /// # Errors
    ///
    /// [`Error::KeyUnsupported`] for Ed25519, which signs the message itself.
    pub(super) fn verifies_sha256(&self, value: &[u8], signature: &[u8]) -> Result<bool, Error> {
        if self.kind == Kind::Ed25519 {
            return Err(Error::KeyUnsupported {
                rule: "an Ed25519 signature needs the file itself, not only its digest",
            });
        }
        let Ok(value) = digest::Digest::import_less_safe(value, &digest::SHA256) else {
            return Ok(false);
        };
        Ok(
            signature::UnparsedPublicKey::new(algorithm(self.kind, Hash::Sha256), &self.material)
                .verify_digest(&value, signature)
                .is_ok(),
        )
    }
}

const fn natural_hash(kind: Kind) -> Hash {
    match kind {
        Kind::P256 | Kind::Rsa => Hash::Sha256,
        Kind::P384 => Hash::Sha384,
        Kind::Ed25519 | Kind::P521 => Hash::Sha512,
    }
}

fn algorithm(kind: Kind, hash: Hash) -> &'static dyn VerificationAlgorithm {
    match (kind, hash) {
        (Kind::Ed25519, _) => &signature::ED25519,
        (Kind::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Kind::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Kind::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (Kind::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Kind::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Kind::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (Kind::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
        (Kind::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
        (Kind::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
        (Kind::Rsa, Hash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (Kind::Rsa, Hash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Rsa, Hash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

/// The kind and the raw value. Explicit curve parameters are not a named curve and so no known kind.
fn parts(spki: &[u8]) -> Result<(Kind, &[u8]), NotDer> {
    let mut fields = der::whole(spki, tag::SEQUENCE)?;
    let mut identifier = fields.enter(tag::SEQUENCE)?;
    let oid = identifier.expect(tag::OID)?.content;
    let kind = match oid {
        OID_EC_PUBLIC_KEY => match identifier.expect(tag::OID)?.content {
            OID_P256 => Kind::P256,
            OID_P384 => Kind::P384,
            OID_P521 => Kind::P521,
            _ => return Err(NotDer),
        },
        OID_RSA => {
            if !identifier.expect(tag::NULL)?.content.is_empty() {
                return Err(NotDer);
            }
            Kind::Rsa
        }
        OID_ED25519 => Kind::Ed25519,
        _ => return Err(NotDer),
    };
    identifier.end()?;
    let bits = fields.expect(tag::BIT_STRING)?.content;
    fields.end()?;
    match bits.split_first() {
        Some((0, value)) => Ok((kind, value)),
        _ => Err(NotDer),
    }
}

/// RSA from 2048 to 4096 bits: less is weak, more costs the verifier without limit.
fn rsa_size(material: &[u8]) -> Result<(), Error> {
    let modulus = der::whole(material, tag::SEQUENCE)
        .and_then(|mut fields| fields.expect(tag::INTEGER))
        .map_err(|NotDer| Error::KeyUnsupported {
            rule: "an RSA key that is malformed",
        })?;
    let significant = modulus
        .content
        .iter()
        .skip_while(|octet| **octet == 0)
        .count();
    if (256..=512).contains(&significant) {
        Ok(())
    } else {
        Err(Error::KeyUnsupported {
            rule: "an RSA key outside of 2048 to 4096 bits",
        })
    }
}
