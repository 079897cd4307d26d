//! The OIDC issuer: discovery, keys, tokens with any claims, and the end point of the GitHub runner.
//!
//! Tokens are signed by RS256, as those of the real issuers are: cosign takes anything else that
//! stands on its command line for the name of a file. ES256 is there for whoever asks for it.

use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::http::header;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::Jwk;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use x509_parser::asn1_rs::Any;
use x509_parser::asn1_rs::FromDer;

use super::World;
use super::provider::Provider;
use crate::model::Timestamp;
use crate::sandbox::mint::KeyKind;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::SigningKey;
use crate::sandbox::mint::hex;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// The audience that Fulcio demands.
pub const AUDIENCE: &str = "sigstore";

/// How long a token is good for, in seconds, unless its claims say otherwise.
const LIFETIME: i64 = 3600;

/// How far `nbf` may lie ahead, in seconds (measured with Fulcio 1.8.8).
const NOT_BEFORE_LEEWAY: i64 = 300;

/// The keys that sign tokens.
pub(super) struct Issuer {
    es256: Key,
    /// This key takes a while to make, so that is done when it is needed.
    rs256: OnceLock<Option<Key>>,
}

/// A key that signs tokens by one algorithm.
struct Key {
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Value,
    id: String,
}

impl core::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Issuer").field(&self.es256.id).finish()
    }
}

impl Key {
    fn new(
        algorithm: Algorithm,
        encoding: EncodingKey,
        key: &SigningKey,
    ) -> Result<Self, MintError> {
        let failed = |_| MintError::Crypto;
        let mut jwk = Jwk::from_encoding_key(&encoding, algorithm).map_err(failed)?;
        let id: String = hex(&key.id()).chars().take(16).collect();
        jwk.common.key_id = Some(id.clone());
        let decoding = DecodingKey::from_jwk(&jwk).map_err(failed)?;
        let mut jwk = json!(jwk);
        if let Some(members) = jwk.as_object_mut() {
            members.insert("use".to_owned(), json!("sig"));
        }
        Ok(Self {
            algorithm,
            encoding,
            decoding,
            jwk,
            id,
        })
    }

    fn rs256(key: &SigningKey) -> Result<Self, MintError> {
        let pkcs8 = key.to_pkcs8()?;
        // The library wants the key that PKCS #8 wraps (RFC 5208, section 5): the third element.
        let failed = |_| MintError::Crypto;
        let (_, whole) = Any::from_der(&pkcs8).map_err(failed)?;
        let (rest, _version) = Any::from_der(whole.data).map_err(failed)?;
        let (rest, _algorithm) = Any::from_der(rest).map_err(failed)?;
        let (_, inner) = Any::from_der(rest).map_err(failed)?;
        let encoding = EncodingKey::from_rsa_der(inner.data);
        Self::new(Algorithm::RS256, encoding, key)
    }
}

impl Issuer {
    /// An issuer with this P-256 key, and this RSA key or a new one.
    pub(super) fn new(key: &SigningKey, rsa: Option<&SigningKey>) -> Result<Self, MintError> {
        let encoding = EncodingKey::from_ec_der(&key.to_pkcs8()?);
        let rs256 = match rsa {
            Some(key) => OnceLock::from(Some(Key::rs256(key)?)),
            None => OnceLock::new(),
        };
        Ok(Self {
            es256: Key::new(Algorithm::ES256, encoding, key)?,
            rs256,
        })
    }

    fn rs256(&self) -> Result<&Key, MintError> {
        let make = || Key::rs256(&SigningKey::generate(KeyKind::Rsa2048).ok()?).ok();
        let key = self.rs256.get_or_init(make);
        key.as_ref().ok_or(MintError::Crypto)
    }

    fn key(&self, algorithm: Algorithm) -> Result<&Key, MintError> {
        match algorithm {
            Algorithm::RS256 => self.rs256(),
            _ => Ok(&self.es256),
        }
    }

    /// The keys that tokens are verified with (RFC 7517, section 5).
    fn keys(&self) -> Value {
        let rsa = self.rs256().ok().map(|key| &key.jwk);
        let keys: Vec<_> = core::iter::once(&self.es256.jwk).chain(rsa).collect();
        json!({ "keys": keys })
    }

    /// Signs claims as they are.
    fn sign(&self, claims: &Map<String, Value>, by: Algorithm) -> Result<String, MintError> {
        let key = self.key(by)?;
        let mut head = Header::new(key.algorithm);
        head.kid = Some(key.id.clone());
        jsonwebtoken::encode(&head, claims, &key.encoding).map_err(|_| MintError::Crypto)
    }

    /// The claims of a token of this issuer that is good at `now` and meant for Fulcio.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Option<Map<String, Value>> {
        let algorithm = jsonwebtoken::decode_header(token).ok()?.alg;
        let key = match algorithm {
            // Nobody can show a token by a key that is not made yet.
            Algorithm::RS256 => self.rs256.get()?.as_ref()?,
            _ => &self.es256,
        };
        let mut rules = Validation::new(key.algorithm);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["aud"]);
        // The library reads the machine's clock; the sandbox has its own.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &rules)
            .ok()?
            .claims;
        let now = now.unix_seconds();
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        #[expect(
            clippy::as_conversions,
            reason = "seconds of this age are exact in an f64"
        )]
        let now = now as f64;
        #[expect(clippy::as_conversions, reason = "a small constant")]
        let leeway = NOT_BEFORE_LEEWAY as f64;
        let is_over = time("exp").is_none_or(|end| end <= now);
        let is_early = time("nbf").is_some_and(|begin| begin > now + leeway);
        (!is_over && !is_early).then_some(claims)
    }
}

impl World {
    /// A token with these claims; issuer, audience and times are filled in unless they are there.
    pub(in crate::sandbox) fn token(
        &self,
        provider: Provider,
        claims: Map<String, Value>,
        audience: &str,
    ) -> Result<String, MintError> {
        self.token_by(provider, claims, audience, Algorithm::RS256)
    }

    fn token_by(
        &self,
        provider: Provider,
        mut claims: Map<String, Value>,
        audience: &str,
        algorithm: Algorithm,
    ) -> Result<String, MintError> {
        let now = self.clock.now().unix_seconds();
        for (name, value) in [
            ("iss", json!(provider.issuer())),
            ("aud", json!(audience)),
            ("iat", json!(now)),
            ("nbf", json!(now - 5)),
            ("exp", json!(now + LIFETIME)),
        ] {
            claims.entry(name).or_insert(value);
        }
        self.issuer.sign(&claims, algorithm)
    }

    /// `/oidc/NAME/…`
    pub(super) fn oidc(&self, rest: &str, asked: &Asked<'_>) -> Answer {
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(provider) = Provider::named(name) else {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        match (path, asked.method.as_str()) {
            (".well-known/openid-configuration", "GET" | "HEAD") => self.discovery(provider),
            ("keys", "GET" | "HEAD") => {
                Answer::json(StatusCode::OK, "application/json", &self.issuer.keys())
            }
            ("token", "POST") => self.ordered_token(provider, asked),
            ("actions-token", "GET") => self.runner_token(provider, asked),
            (".well-known/openid-configuration" | "keys" | "token" | "actions-token", _) => {
                text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n")
            }
            (_, _) => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    fn discovery(&self, provider: Provider) -> Answer {
        let url = format!("{}/oidc/{}", self.url, provider.name());
        let body = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "token_endpoint": format!("{url}/token"),
            "authorization_endpoint": format!("{url}/auth"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        });
        Answer::json(StatusCode::OK, "application/json", &body)
    }

    /// A token over whatever claims are sent: they take the place of the typical ones, and a null
    /// leaves one out. `?alg=ES256` signs it with the P-256 key.
    fn ordered_token(&self, provider: Provider, asked: &Asked<'_>) -> Answer {
        let query = members(asked.query);
        let algorithm = match member(&query, "alg") {
            None | Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some(_) => return text(StatusCode::BAD_REQUEST, "alg is ES256 or RS256\n"),
        };
        let mut claims = provider.claims();
        if !asked.body.is_empty() {
            match serde_json::from_slice::<Map<String, Value>>(&asked.body) {
                Ok(own) => claims.extend(own),
                Err(error) => return text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
            }
        }
        claims.retain(|_, value| !value.is_null());
        match self.token_by(provider, claims, AUDIENCE, algorithm) {
            Ok(token) => text(StatusCode::OK, &token),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_URL`: what a step of a workflow asks for its token.
    fn runner_token(&self, provider: Provider, asked: &Asked<'_>) -> Answer {
        let authorization = asked.headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let scheme = authorization.and_then(|value| value.split_once(' '));
        if scheme.is_none_or(|(scheme, _)| !scheme.eq_ignore_ascii_case("bearer")) {
            let body = json!({ "message": "unauthorized" });
            return Answer::json(StatusCode::UNAUTHORIZED, "application/json", &body);
        }
        let query = members(asked.query);
        let audience = member(&query, "audience").unwrap_or("https://github.com/acme");
        let claims = self.runner_claims(provider);
        match self.token(provider, claims, audience) {
            Ok(token) => {
                let body = json!({ "count": token.len(), "value": token });
                Answer::json(StatusCode::OK, "application/json", &body)
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
    Answer::body(status, "text/plain; charset=utf-8", body.to_owned())
}
