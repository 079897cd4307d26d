//! Fulcio: a certificate for a key, in the name of a token (API v2, `POST /api/v2/signingCert`).
//!
//! A certificate costs a log entry and nothing else, so a request that failed is made again. What
//! comes back is only known to be for this key; start with [`certificate`].

use reqwest::header;
use serde::Deserialize;
use serde_json::json;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::client::Ask;
use crate::services::oidc::Token;
use crate::verify::encoding;

/// Bytes of the answer: a few certificates in PEM.
const ANSWER: usize = 1024 * 1024;

/// The kind of a key, as Fulcio's requests name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAlgorithm {
    /// ECDSA over P-256, P-384 or P-521.
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// RSA; Fulcio's name says PSS and means PKCS #1 v1.5.
    Rsa,
}

impl KeyAlgorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "ED25519",
            Self::Rsa => "RSA_PSS",
        }
    }
}

/// What is to be certified.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Who asks.
    pub token: &'a Token,
    /// The public key: a DER `SubjectPublicKeyInfo`.
    pub spki: &'a [u8],
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// The signature with that key over [`Token::subject_to_prove`].
    pub proof: &'a [u8],
}

/// What Fulcio gave.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Issued {
    /// The certificate, in DER.
    pub leaf: Vec<u8>,
    /// What issued it, in DER: intermediates first, the root last. Nothing trusts it.
    pub chain: Vec<Vec<u8>>,
}

/// Asks for a certificate.
///
/// # Errors
///
/// [`Error`]. A certificate whose proof by the certificate log is not in it is [`Error::DetachedSct`].
pub async fn certificate(
    client: &Client<'_>,
    url: &Endpoint,
    wanted: &Wanted<'_>,
) -> Result<Issued, Error> {
    let url = url.below("api/v2/signingCert");
    let secret = wanted.token.secret();
    let mut ask = Ask::new(Service::Fulcio, &url, ANSWER);
    ask.secret = Some(secret);
    let authorization = secret
        .authorization("Bearer")
        .ok_or(Error::TokenMalformed {
            rule: "it cannot stand in a header",
        })?;
    let body = json!({ "publicKeyRequest": {
        "publicKey": {
            "algorithm": wanted.algorithm.name(),
            "content": encoding::pem_of("PUBLIC KEY", wanted.spki),
        },
        "proofOfPossession": encoding::encode(wanted.proof),
    } });
    let request = ask
        .post_json(&body)
        .header(header::AUTHORIZATION, authorization);
    let body = client.fetch_good(&ask, &request).await?;
    parse(client, &ask, &body, wanted.spki)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    signed_certificate_embedded_sct: Option<Signed>,
    signed_certificate_detached_sct: Option<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

fn parse(client: &Client<'_>, ask: &Ask<'_>, body: &[u8], spki: &[u8]) -> Result<Issued, Error> {
    let answer: Answer = ask.json(body)?;
    let signed = match answer {
        Answer {
            signed_certificate_embedded_sct: Some(signed),
            signed_certificate_detached_sct: None,
        } => signed,
        Answer {
            signed_certificate_detached_sct: Some(_),
            ..
        } => {
            return Err(Error::DetachedSct {
                host: ask.url.host(),
            });
        }
        Answer { .. } => return Err(ask.malformed("its answer holds no certificate")),
    };
    let texts = signed.chain.certificates;
    if texts.len() > client.limits.certificates {
        return Err(ask.malformed("its answer holds too many certificates"));
    }
    let mut chain = texts.iter().map(|text| {
        let mut blocks = encoding::pem(text)?;
        let one = blocks.pop().filter(|pem| pem.label == "CERTIFICATE")?;
        let fits = blocks.is_empty() && one.content.len() <= client.limits.certificate_bytes;
        fits.then_some(one.content)
    });
    let wrong = || ask.malformed("a certificate in its answer cannot be read");
    let leaf = chain.next().flatten().ok_or_else(wrong)?;
    let chain: Option<Vec<_>> = chain.collect();
    let chain = chain.ok_or_else(wrong)?;
    match X509Certificate::from_der(&leaf) {
        Ok(([], certificate)) if certificate.public_key().raw == spki => {}
        Ok(([], _)) => return Err(ask.malformed("its certificate is for another key")),
        _ => return Err(wrong()),
    }
    Ok(Issued { leaf, chain })
}
