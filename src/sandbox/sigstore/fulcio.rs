//! Fulcio: a certificate for whoever shows a token and proves to hold the key (API v2 and v1).
//!
//! Statuses and texts are those of Fulcio 1.8.8, measured. Every certificate is logged before it is
//! given out.

use ::base64::Engine;
use ::base64::engine::DecodePaddingMode;
use ::base64::engine::GeneralPurpose;
use ::base64::engine::GeneralPurposeConfig;
use axum::http::StatusCode;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::Failure;
use super::World;
use super::provider::IDENTITY_TOKEN;
use super::provider::Provider;
use super::verifier::PublicKey;
use super::verifier::Unusable;
use crate::model::Identity;
use crate::sandbox::mint::CertificateOrder;
use crate::sandbox::mint::Issued;
use crate::sandbox::mint::pem;
use crate::sandbox::mint::random_serial;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;

const POSSESSION: &str = "The signature supplied in the request could not be verified";
const KEY: &str = "The public key supplied in the request could not be parsed";
const WEAK: &str = "The public key supplied in the request is insecure";
const REQUEST: &str = "The certificate signing request could not be parsed";

/// The largest body (grpc-gateway's bound), in bytes.
const BODY: usize = 4 << 20;

/// Standard base64, padded or not, as Go's JSON of protocol buffers reads it.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &::base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The same in the alphabet of URLs, which it reads too.
const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(
    &::base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes as protocol buffers write them in JSON.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    LENIENT
        .decode(text)
        .or_else(|_| LENIENT_URL.decode(text))
        .ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    credentials: Option<Credentials>,
    #[serde(alias = "public_key_request")]
    public_key_request: Option<KeyRequest>,
    #[serde(alias = "certificate_signing_request")]
    certificate_signing_request: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Credentials {
    #[serde(alias = "oidc_identity_token")]
    oidc_identity_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct KeyRequest {
    #[serde(alias = "public_key")]
    public_key: Option<Key>,
    #[serde(alias = "proof_of_possession")]
    proof_of_possession: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Key {
    content: String,
}

/// What the old API takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldRequest {
    public_key: Option<Key>,
    signed_email_address: Option<String>,
    certificate_signing_request: Option<String>,
}

/// The key of a request and the proof that its holder asks.
enum Proof {
    Challenge(Vec<u8>, Vec<u8>),
    Request(Vec<u8>),
}

/// A refusal of the grpc gateway. Whatever a client can get wrong is 400 here, also its token.
pub(super) fn refused(message: &str) -> Answer {
    gateway(StatusCode::BAD_REQUEST, message)
}

/// An error as the grpc gateway writes it.
pub(super) fn gateway(status: StatusCode, message: &str) -> Answer {
    let code = match status.as_u16() {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        429 => 8,
        501 => 12,
        503 => 14,
        _ => 13,
    };
    let body = json!({ "code": code, "message": message, "details": [] });
    Answer::json(status, "application/json", &body)
}

/// A body that is no JSON object, in about the words of the gateway.
pub(super) fn unreadable(error: &serde_json::Error) -> Answer {
    if error.is_eof() {
        return refused("unexpected EOF");
    }
    refused(&format!("proto: {error}"))
}

impl World {
    /// `POST /api/v2/signingCert`
    pub(super) fn certificate(&self, asked: &Asked<'_>) -> Answer {
        if asked.body.len() > BODY {
            return refused("http: request body too large");
        }
        // What follows the object is not looked at.
        let mut values = serde_json::Deserializer::from_slice(&asked.body).into_iter::<Request>();
        let request = match values.next() {
            Some(Ok(request)) => request,
            Some(Err(error)) => return unreadable(&error),
            None => Request::default(),
        };
        let inside = request.credentials.and_then(|own| own.oidc_identity_token);
        let token = match inside {
            Some(token) => token,
            None => bearer(asked),
        };
        let (proof, csr) = match (
            request.public_key_request,
            request.certificate_signing_request,
        ) {
            (Some(_), Some(_)) => {
                return refused(
                    "proto: error parsing \"certificateSigningRequest\", oneof \
                     dev.sigstore.fulcio.v2.CreateSigningCertificateRequest.key is already set",
                );
            }
            (Some(request), None) => {
                let proof = request.proof_of_possession.unwrap_or_default();
                let Some(signature) = bytes(&proof) else {
                    return refused(&format!(
                        "proto: invalid value for bytes field proofOfPossession: {}",
                        json!(proof)
                    ));
                };
                let content = request.public_key.unwrap_or_default().content;
                (Proof::Challenge(content.into_bytes(), signature), false)
            }
            (None, Some(csr)) => match bytes(&csr) {
                Some(csr) => (Proof::Request(csr), true),
                None => return refused(REQUEST),
            },
            (None, None) => (Proof::Challenge(Vec::new(), Vec::new()), false),
        };
        let empty_csr = csr && matches!(&proof, Proof::Request(bytes) if bytes.is_empty());
        let proof = if empty_csr {
            Proof::Challenge(Vec::new(), Vec::new())
        } else {
            proof
        };
        match self.certify(&token, &proof, asked) {
            Ok(issued) => {
                let chain = self.chain_of(&issued);
                let chain: Vec<_> = chain.iter().map(|text| text.trim_end()).collect();
                let body = json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } });
                Answer::json(StatusCode::OK, "application/json", &body)
            }
            Err(refusal) => refusal,
        }
    }

    /// `POST /api/v1/signingCert`: what cosign 2 asked before it knew the second API.
    pub(super) fn old_certificate(&self, asked: &Asked<'_>) -> Answer {
        let request: OldRequest = match serde_json::from_slice(&asked.body) {
            Ok(request) => request,
            Err(error) => return unreadable(&error),
        };
        let proof = match request.certificate_signing_request {
            Some(csr) => Proof::Request(bytes(&csr).unwrap_or_default()),
            None => {
                let content = request.public_key.unwrap_or_default().content;
                let mut content = bytes(&content).unwrap_or_default();
                if !content.starts_with(b"-----") {
                    content = pem("PUBLIC KEY", &content).into_bytes();
                }
                let signature = request.signed_email_address.unwrap_or_default();
                Proof::Challenge(content, bytes(&signature).unwrap_or_default())
            }
        };
        match self.certify(&bearer(asked), &proof, asked) {
            Ok(issued) => {
                let chain = self.chain_of(&issued).concat();
                let media_type = "application/pem-certificate-chain";
                Answer::body(StatusCode::CREATED, media_type, chain.trim_end().to_owned())
            }
            Err(refusal) => refusal,
        }
    }

    /// Verifies token and proof, and issues. The order of the checks is Fulcio's.
    fn certify(&self, token: &str, proof: &Proof, asked: &Asked<'_>) -> Result<Issued, Answer> {
        let unknown = || refused(IDENTITY_TOKEN);
        let claims = self
            .issuer
            .verify(token, self.clock.now())
            .ok_or_else(unknown)?;
        let issuer = claims
            .get("iss")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let provider = Provider::of_issuer(issuer, &self.url).ok_or_else(unknown)?;
        let challenge = claims.get(provider.challenge_claim());
        let challenge = challenge.and_then(Value::as_str).unwrap_or_default();
        let identity = provider.identity(issuer, &claims);
        if matches!(&identity, Err(reason) if reason == IDENTITY_TOKEN) {
            return Err(unknown());
        }
        let key = possessed(proof, challenge.as_bytes())?;
        let identity = identity.map_err(|reason| refused(&reason))?;
        self.issue(&identity, &key, asked)
            .map_err(|error| gateway(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
    }

    /// Logs a precertificate and issues the certificate.
    fn issue(
        &self,
        identity: &Identity,
        key: &PublicKey,
        asked: &Asked<'_>,
    ) -> Result<Issued, Failure> {
        let mut order = CertificateOrder::leaf(self.clock.second(), identity);
        order.serial = Some(random_serial()?);
        for sct in &mut order.scts {
            sct.extensions = Vec::new();
            sct.timestamp = self.milliseconds();
        }
        self.bend_certificate(&mut order, asked);
        let precertificate = self.precertificate(&order, key)?;
        let authority = &self.mint.fulcio.intermediate;
        let issued = authority.certify_key(&order, key.half(), Some(&self.mint.ct))?;
        self.log_precertificates(&issued.leaves, &precertificate)?;
        Ok(issued)
    }

    /// Leaf, intermediate and root in PEM.
    fn chain_of(&self, issued: &Issued) -> Vec<String> {
        let fulcio = &self.mint.fulcio;
        let authorities = [&fulcio.intermediate, &fulcio.root];
        let above = authorities.iter().map(|one| &one.certificate);
        core::iter::once(&issued.certificate)
            .chain(above)
            .map(|der| pem("CERTIFICATE", der))
            .collect()
    }

    /// `GET /api/v2/trustBundle`
    pub(super) fn trust_bundle(&self) -> Answer {
        let fulcio = &self.mint.fulcio;
        let chain: Vec<_> = [&fulcio.intermediate, &fulcio.root]
            .iter()
            .map(|one| pem("CERTIFICATE", &one.certificate))
            .collect();
        let body = json!({ "chains": [{ "certificates": chain }] });
        Answer::json(StatusCode::OK, "application/json", &body)
    }

    /// `GET /api/v1/rootCert`
    pub(super) fn root_certificate(&self) -> Answer {
        let fulcio = &self.mint.fulcio;
        let intermediate = pem("CERTIFICATE", &fulcio.intermediate.certificate);
        let root = pem("CERTIFICATE", &fulcio.root.certificate);
        let body = format!("{intermediate}\n{}", root.trim_end());
        Answer::body(StatusCode::OK, "application/pem-certificate-chain", body)
    }

    /// `GET /api/v2/configuration`
    pub(super) fn fulcio_configuration(&self) -> Answer {
        let here = |provider: &Provider| format!("{}/oidc/{}", self.url, provider.name());
        let issuers: Vec<_> = Provider::ALL
            .iter()
            .flat_map(|one| [(one, one.issuer().to_owned()), (one, here(one))])
            .map(|(provider, url)| {
                let domain = match provider {
                    Provider::Uri => "https://uri.sandbox.test",
                    Provider::Username => "username.sandbox.test",
                    _ => "",
                };
                let trust_domain = match provider {
                    Provider::Spiffe => "sandbox.test",
                    _ => "",
                };
                json!({
                    "issuerUrl": url,
                    "audience": super::oidc::AUDIENCE,
                    "challengeClaim": provider.challenge_claim(),
                    "spiffeTrustDomain": trust_domain,
                    "issuerType": provider.fulcio_type(),
                    "subjectDomain": domain,
                    "skipEmailVerification": false,
                })
            })
            .collect();
        let body = json!({ "issuers": issuers });
        Answer::json(StatusCode::OK, "application/json", &body)
    }
}

/// The token of the `Authorization` header; only the very prefix `Bearer ` is cut off.
fn bearer(asked: &Asked<'_>) -> String {
    let value = asked.headers.get(axum::http::header::AUTHORIZATION);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.strip_prefix("Bearer ").unwrap_or(value).to_owned()
}

/// The key that a request proves to hold.
fn possessed(proof: &Proof, challenge: &[u8]) -> Result<PublicKey, Answer> {
    let unusable = |why| match why {
        Unusable::Insecure => refused(WEAK),
        Unusable::Malformed => refused(KEY),
    };
    match proof {
        Proof::Challenge(pem, signature) => {
            let key = PublicKey::from_pem(pem).map_err(unusable)?;
            if key.signed(challenge, signature) {
                Ok(key)
            } else {
                Err(refused(POSSESSION))
            }
        }
        Proof::Request(pem) => {
            let malformed = || refused(REQUEST);
            let der = CertificateSigningRequestDer::from_pem_slice(pem).map_err(|_| malformed())?;
            let (_, request) = X509CertificationRequest::from_der(&der).map_err(|_| malformed())?;
            let info = &request.certification_request_info;
            let key = PublicKey::from_spki(info.subject_pki.raw).map_err(unusable)?;
            if key.signed(info.raw, &request.signature_value.data) {
                Ok(key)
            } else {
                Err(refused(POSSESSION))
            }
        }
    }
}
