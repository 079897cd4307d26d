//! Fulcio: a certificate for whoever shows a token and proves to hold the key (API v2 and v1).
//!
//! Statuses and texts are those of Fulcio 1.8.8, measured. Every certificate is logged before it is
//! given out. It differs where one port serves all services (unknown paths), in the blanks of its
//! JSON, which the real one sets by chance, and in that it does not speak to browsers (CORS).

use ::base64::Engine;
use ::base64::engine::DecodePaddingMode;
use ::base64::engine::GeneralPurpose;
use ::base64::engine::GeneralPurposeConfig;
use axum::http::StatusCode;
use axum::http::header;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::Failure;
use super::World;
use super::gojson::Field;
use super::gojson::Kind;
use super::gojson::Message;
use super::gojson::Schema;
use super::gojson::Unknown;
use super::provider::DEX_ISSUER;
use super::provider::IDENTITY_TOKEN;
use super::provider::Provider;
use super::verifier::Algorithm;
use super::verifier::PublicKey;
use super::verifier::Unusable;
use crate::model::Identity;
use crate::sandbox::mint::CertificateOrder;
use crate::sandbox::mint::HashKind;
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
const LENIENT: GeneralPurpose = GeneralPurpose::new(
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
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    LENIENT
        .decode(&text)
        .or_else(|_| LENIENT_URL.decode(&text))
        .ok()
}

const CREDENTIALS: Schema = Schema(&[Field::named(
    "oidcIdentityToken",
    "oidc_identity_token",
    Kind::Text,
)]);

const KEY_REQUEST: Schema = Schema(&[
    Field::named("publicKey", "public_key", Kind::Message(&PUBLIC_KEY)),
    Field::named("proofOfPossession", "proof_of_possession", Kind::Bytes),
]);

/// The algorithm is not looked at, whatever it says.
const PUBLIC_KEY: Schema = Schema(&[
    Field::new("algorithm", Kind::Any),
    Field::new("content", Kind::Text),
]);

/// Either the key or a request for a certificate.
const EITHER: &str = "dev.sigstore.fulcio.v2.CreateSigningCertificateRequest.key";

const REQUEST_MESSAGE: Schema = Schema(&[
    Field::new("credentials", Kind::Message(&CREDENTIALS)),
    Field::named(
        "publicKeyRequest",
        "public_key_request",
        Kind::Message(&KEY_REQUEST),
    )
    .of(EITHER),
    Field::named(
        "certificateSigningRequest",
        "certificate_signing_request",
        Kind::Bytes,
    )
    .of(EITHER),
]);

const OLD_PUBLIC_KEY: Schema = Schema(&[
    Field::new("algorithm", Kind::Any),
    Field::new("content", Kind::Bytes),
]);

/// What the old API takes.
const OLD_REQUEST_MESSAGE: Schema = Schema(&[
    Field::named("publicKey", "public_key", Kind::Message(&OLD_PUBLIC_KEY)),
    Field::named("signedEmailAddress", "signed_email_address", Kind::Bytes),
    Field::named(
        "certificateSigningRequest",
        "certificate_signing_request",
        Kind::Bytes,
    ),
]);

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

/// A body that is longer than the gateway reads.
pub(super) fn too_large() -> Answer {
    refused("http: request body too large").with(header::CONNECTION, "close")
}

impl World {
    /// `POST /api/v2/signingCert`
    pub(super) fn certificate(&self, asked: &Asked<'_>) -> Answer {
        if asked.body.len() > BODY {
            return too_large();
        }
        let request = match Message::parse(&asked.body, &REQUEST_MESSAGE, Unknown::Ignored) {
            Ok(request) => request,
            Err(message) => return refused(&message),
        };
        let token = request
            .message("credentials")
            .filter(|own| own.has("oidcIdentityToken"))
            .map_or_else(
                || bearer(asked),
                |own| own.text("oidcIdentityToken").to_owned(),
            );
        let csr = request.bytes("certificateSigningRequest");
        let proof = if csr.is_empty() {
            let none = Message::default();
            let own = request.message("publicKeyRequest").unwrap_or(&none);
            let key = own.message("publicKey").unwrap_or(&none);
            let content = key.text("content").as_bytes();
            Proof::Challenge(content.to_vec(), own.bytes("proofOfPossession").to_vec())
        } else {
            Proof::Request(csr.to_vec())
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
        if asked.body.len() > BODY {
            return too_large();
        }
        let request = match Message::parse(&asked.body, &OLD_REQUEST_MESSAGE, Unknown::Ignored) {
            Ok(request) => request,
            Err(message) => return refused(&message),
        };
        let csr = request.bytes("certificateSigningRequest");
        let proof = if csr.is_empty() {
            let none = Message::default();
            let key = request.message("publicKey").unwrap_or(&none);
            let mut content = key.bytes("content").to_vec();
            if !content.is_empty() && !content.starts_with(b"-----") {
                content = pem("PUBLIC KEY", &content).into_bytes();
            }
            Proof::Challenge(content, request.bytes("signedEmailAddress").to_vec())
        } else {
            Proof::Request(csr.to_vec())
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
            .chain([(&Provider::Email, DEX_ISSUER.to_owned())])
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
    let value = asked.headers.get(header::AUTHORIZATION);
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
            let oid = request.signature_algorithm.algorithm.to_id_string();
            let signature = &request.signature_value.data;
            let Some(hash) = hash_of_signature(&oid) else {
                // Ed25519 hashes by itself, and everything else is not known.
                return if key.algorithm == Algorithm::Ed25519 && key.signed(info.raw, signature) {
                    Ok(key)
                } else {
                    Err(refused(POSSESSION))
                };
            };
            if !key.signed_hash(hash, &hash.of(info.raw), signature) {
                return Err(refused(POSSESSION));
            }
            if hash != key.algorithm.hash() {
                let (kind, hash) = (go_kind(key.algorithm), hash_name(hash));
                let message = format!("signing algorithm not permitted: {kind}, {hash}");
                return Err(refused(&message));
            }
            Ok(key)
        }
    }
}

/// The hash of a signature algorithm in dotted form.
pub(super) fn hash_of_signature(oid: &str) -> Option<HashKind> {
    match oid {
        "1.2.840.10045.4.3.2" | "1.2.840.113549.1.1.11" => Some(HashKind::Sha256),
        "1.2.840.10045.4.3.3" | "1.2.840.113549.1.1.12" => Some(HashKind::Sha384),
        "1.2.840.10045.4.3.4" | "1.2.840.113549.1.1.13" => Some(HashKind::Sha512),
        _ => None,
    }
}

/// A hash as Go names it.
const fn hash_name(hash: HashKind) -> &'static str {
    match hash {
        HashKind::Sha1 => "SHA-1",
        HashKind::Sha256 => "SHA-256",
        HashKind::Sha384 => "SHA-384",
        HashKind::Sha512 => "SHA-512",
    }
}

/// The type of a key as Go names it.
const fn go_kind(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ed25519.PublicKey",
        Algorithm::P256 | Algorithm::P384 | Algorithm::P521 => "*ecdsa.PublicKey",
        Algorithm::Rsa => "*rsa.PublicKey",
    }
}
