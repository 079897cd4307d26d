//! The key that signs: one made for a walk and forgotten with it, or a managed one from a file.
//!
//! The kind of a key fixes its algorithm, as it does for whoever verifies: SHA-256 for P-256 and RSA
//! (PKCS #1 v1.5), SHA-384 for P-384, SHA-512 for P-521, and Ed25519 as it is. A file is PEM: PKCS #8,
//! SEC 1, PKCS #1, or what `cosign generate-key-pair` writes, which has a file of its own.

mod cosign;

use core::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P521_SHA512_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::pem::SectionKind;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::verify::encoding;

/// What a key of cosign's is called in PEM: before version 2, and since.
const ENCRYPTED: [&str; 2] = [
    "ENCRYPTED COSIGN PRIVATE KEY",
    "ENCRYPTED SIGSTORE PRIVATE KEY",
];

/// A password, which no output shows.
#[derive(Clone)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes a password as it is.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Ed25519,
    P256,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl Kind {
    /// Its name in Rekor v2 (`PublicKeyDetails` of the Sigstore protobuf specs).
    pub(super) const fn details(self) -> &'static str {
        match self {
            Self::Ed25519 => "PKIX_ED25519",
            Self::P256 => "PKIX_ECDSA_P256_SHA_256",
            Self::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
            Self::Rsa3072 => "PKIX_RSA_PKCS1V15_3072_SHA256",
            Self::Rsa4096 => "PKIX_RSA_PKCS1V15_4096_SHA256",
        }
    }

    /// The hash that its signatures are over, by which Rekor v2 knows what was signed.
    pub(super) fn hash(self, message: &[u8]) -> Vec<u8> {
        use aws_lc_rs::digest;
        let algorithm = match self {
            Self::Ed25519 => &digest::SHA512,
            Self::P256 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &digest::SHA256,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }
}

/// A private key.
pub struct SigningKey {
    pair: Pair,
    kind: Kind,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, {})", self.kind, self.id())
    }
}

impl SigningKey {
    /// A new P-256 key that nobody will know.
    ///
    /// # Errors
    ///
    /// [`KeyError::Backend`] when the system gives no randomness.
    pub fn ephemeral() -> Result<Self, KeyError> {
        let kind = Kind::P256;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| KeyError::Backend)?;
        Self::new(Pair::Ecdsa(pair), kind)
    }

    /// Reads a key file: one PEM block of PKCS #8, SEC 1 or PKCS #1, or an encrypted one as cosign
    /// writes it, for which the password is needed.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; whoever names the file can mend it.
    pub fn from_pem(
        pem: &[u8],
        password: Option<&Password>,
        limits: &Limits,
    ) -> Result<Self, KeyError> {
        Exceeded::unless(pem.len(), limits.key_bytes, "bytes in a key file")?;
        let text = core::str::from_utf8(pem).map_err(|_| KeyError::NotPem)?;
        if let Some(label) = ENCRYPTED.iter().find(|label| text.contains(*label)) {
            let der = cosign::decrypt(text, label, password)?;
            return Self::from_pkcs8(&der);
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::OtherEncryption);
        }
        let mut blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
        let (Some(Ok((section, der))), None) = (blocks.next(), blocks.next()) else {
            return Err(KeyError::NotPem);
        };
        match section {
            SectionKind::PrivateKey => Self::from_pkcs8(&der),
            SectionKind::EcPrivateKey => {
                Self::ecdsa(|algorithm| EcdsaKeyPair::from_private_key_der(algorithm, &der).ok())
            }
            SectionKind::RsaPrivateKey => {
                Self::rsa(RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unsupported)?)
            }
            SectionKind::PublicKey => Err(KeyError::Public),
            _ => Err(KeyError::NotPem),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Self::new(Pair::Ed25519(pair), Kind::Ed25519);
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::rsa(pair);
        }
        Self::ecdsa(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, der).ok())
    }

    fn ecdsa(
        read: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>,
    ) -> Result<Self, KeyError> {
        if let Some(pair) = read(&ECDSA_P256_SHA256_ASN1_SIGNING) {
            return Self::new(Pair::Ecdsa(pair), Kind::P256);
        }
        let larger = [
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            &ECDSA_P521_SHA512_ASN1_SIGNING,
        ];
        Err(match larger.into_iter().find_map(read) {
            Some(_) => KeyError::Unread,
            None => KeyError::Unsupported,
        })
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let kind = match pair.public_modulus_len() {
            256 => Kind::Rsa2048,
            384 => Kind::Rsa3072,
            512 => Kind::Rsa4096,
            _ => return Err(KeyError::Unsupported),
        };
        Self::new(Pair::Rsa(Box::new(pair)), kind)
    }

    fn new(pair: Pair, kind: Kind) -> Result<Self, KeyError> {
        let spki = match &pair {
            Pair::Ecdsa(pair) => spki(pair.public_key()),
            Pair::Ed25519(pair) => spki(pair.public_key()),
            Pair::Rsa(pair) => spki(pair.public_key()),
        }?;
        Ok(Self { pair, kind, spki })
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::sha256(&self.spki)
    }

    /// The public key as PEM, with a final newline.
    #[must_use]
    pub fn public_pem(&self) -> String {
        encoding::pem_of("PUBLIC KEY", &self.spki)
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Signs a message: DER for ECDSA, raw bytes for the other kinds.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Backend),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::Backend)?;
                Ok(signature)
            }
        }
    }
}

fn spki<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Result<Vec<u8>, KeyError> {
    let der = key.as_der().map_err(|_| KeyError::Backend)?;
    Ok(der.as_ref().to_vec())
}

/// Why a key cannot sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The crypto backend failed, which it does not.
    #[error("the system gave no key or signature")]
    Backend,
    /// The key of another password, or a file that was changed. The operator can mend it.
    #[error("the password does not open it (compare the password, or write the key file again)")]
    Decrypt,
    /// Over a bound.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It is cosign's PEM, and what is in it is not. The operator can mend it.
    #[error("an encrypted cosign key that is malformed: {rule}")]
    Malformed {
        /// What is wrong.
        rule: &'static str,
    },
    /// No PEM block of a private key, or several.
    #[error("not one private key in PEM")]
    NotPem,
    /// A key that is encrypted in another way than cosign's.
    #[error(
        "a key that is encrypted as OpenSSL does it (decrypt it with `openssl pkcs8`, or bring it \
         into cosign's form with `cosign import-key-pair`)"
    )]
    OtherEncryption,
    /// A password is needed.
    #[error("an encrypted key (give its password with `--key-password-file` or `COSIGN_PASSWORD`)")]
    PasswordMissing,
    /// A public key, which signs nothing.
    #[error("a public key, which signs nothing (name the private one)")]
    Public,
    /// On P-384 or P-521: cosign hashes by SHA-256 with any managed key (measured with 3.1.3 and
    /// 2.6.5), and Sigstore's formats by SHA-384 and SHA-512.
    #[error(
        "a key on P-384 or P-521, whose signatures no cosign verifies (sign with P-256, Ed25519 or RSA)"
    )]
    Unread,
    /// Of a kind that Sigstore does not know.
    #[error("not a private key of a known kind (P-256, Ed25519, RSA of 2048, 3072 or 4096 bits)")]
    Unsupported,
}
