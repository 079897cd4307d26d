//! The encrypted key file that `cosign generate-key-pair` writes: PKCS #8 in NaCl's secretbox, under
//! a key that scrypt makes of the password (`theupdateframework/go-tuf`, `encrypted`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::KeyInit;
use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::Aead;
use serde::Deserialize;

use crate::sign::key::KeyError;
use crate::sign::key::Password;

/// The largest work that is done for a password: 2^17 blocks of 8 · 128 bytes are 128 MiB. cosign
/// writes 2^16, and wrote 2^15 before.
const MAX_LOG_N: u8 = 17;

#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// The PKCS #8 DER in the one block of that label.
pub(super) fn decrypt(
    text: &str,
    label: &str,
    password: Option<&Password>,
) -> Result<Vec<u8>, KeyError> {
    let malformed = |rule| KeyError::Malformed { rule };
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let (_, rest) = text.split_once(&begin).ok_or(KeyError::NotPem)?;
    let (body, rest) = rest.split_once(&end).ok_or(KeyError::NotPem)?;
    if rest.contains("-----BEGIN") {
        return Err(KeyError::NotPem);
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let json = STANDARD.decode(body).map_err(|_| malformed("not base64"))?;
    let sealed: Sealed =
        crate::model::read_json(&json).map_err(|_| malformed("not the JSON of a sealed key"))?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| malformed("not base64"));
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        return Err(malformed("not scrypt and nacl/secretbox"));
    }
    let Params { n, r, p } = sealed.kdf.params;
    let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
    if !n.is_power_of_two() || !(1..=MAX_LOG_N).contains(&log_n) || r != 8 || p != 1 {
        return Err(malformed("parameters of scrypt that cosign never writes"));
    }
    let salt = bytes(&sealed.kdf.salt)?;
    let nonce: [u8; 24] = bytes(&sealed.cipher.nonce)?
        .try_into()
        .map_err(|_| malformed("a nonce that has not 24 bytes"))?;
    let ciphertext = bytes(&sealed.ciphertext)?;
    let Some(Password(password)) = password else {
        return Err(KeyError::PasswordMissing);
    };
    let params = scrypt::Params::new(log_n, r, p, 32)
        .map_err(|_| malformed("parameters of scrypt that cosign never writes"))?;
    let mut derived = [0; 32];
    scrypt::scrypt(password, &salt, &params, &mut derived).map_err(|_| KeyError::Backend)?;
    let opened = XSalsa20Poly1305::new(&derived.into()).decrypt(&nonce.into(), &*ciphertext);
    opened.map_err(|_| KeyError::Decrypt)
}
