//! Access tokens: fetched once however many requests need them, kept for most of their life.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use crate::model::Digest;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::Rule;
use crate::registry::auth::Realm;
use crate::registry::keyring::Credential;
use crate::registry::keyring::Kind;
use crate::registry::keyring::Secret;
use crate::transport::Deadline;
use crate::transport::Request;
use crate::transport::Tls;
use crate::transport::Transport;

/// Bytes of a token server's answer.
const ANSWER: usize = 64 * 1024;
/// The life of a token whose server does not say (distribution, "Token Authentication Specification").
const DEFAULT_LIFE: u64 = 60;
/// A token is kept no longer, whatever its server says.
const MAX_LIFE: u64 = 24 * 3600;

/// What a token is for. Two credentials never share one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) credential: Option<Digest>,
    pub(super) host: String,
    pub(super) realm: String,
    pub(super) service: Option<String>,
    /// Each in the form of the distribution project, `repository:<name>:<rights>`.
    pub(super) scopes: Vec<String>,
}

/// A token, and whether it was fetched for this request.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) age: Age,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Age {
    Cached,
    New,
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

#[derive(Debug)]
enum Kept {
    /// Why there was none, and when that was found out.
    Failure {
        error: Error,
        at: Instant,
    },
    Token {
        secret: Secret,
        until: Instant,
    },
}

/// The tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<Key, Slot>>);

impl Tokens {
    fn slot(&self, key: &Key) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key.clone()).or_default())
    }

    /// The token for `key`: a kept one, or the one that `exchange` brings. Those who ask meanwhile
    /// wait for it.
    pub(super) async fn get(
        &self,
        key: &Key,
        exchange: impl Future<Output = Result<(Secret, Duration), Error>>,
    ) -> Result<Token, Error> {
        let slot = self.slot(key);
        let since = Instant::now();
        let mut slot = slot.lock().await;
        match &*slot {
            Some(Kept::Token { secret, until }) if Instant::now() < *until => {
                return Ok(Token {
                    secret: secret.clone(),
                    age: Age::Cached,
                });
            }
            // A failure is told to those who waited for it, and not kept beyond that.
            Some(Kept::Failure { error, at }) if *at >= since => return Err(error.clone()),
            _ => {}
        }
        match exchange.await {
            Ok((secret, life)) => {
                *slot = Some(Kept::Token {
                    secret: secret.clone(),
                    until: Instant::now() + life * 4 / 5,
                });
                Ok(Token {
                    secret,
                    age: Age::New,
                })
            }
            Err(error) => {
                *slot = Some(Kept::Failure {
                    error: error.clone(),
                    at: Instant::now(),
                });
                Err(error)
            }
        }
    }

    /// Forgets a token that the registry refused, unless another one has taken its place.
    pub(super) async fn forget(&self, key: &Key, secret: &Secret) {
        let slot = self.slot(key);
        let mut slot = slot.lock().await;
        if matches!(&*slot, Some(Kept::Token { secret: kept, .. }) if kept == secret) {
            *slot = None;
        }
    }
}

/// Asks a token server for a token.
pub(super) async fn exchange(
    transport: &Transport,
    realm: &Realm,
    tls: Tls,
    key: &Key,
    credential: Option<&Credential>,
    asked: &Asked,
    deadline: Deadline,
) -> Result<(Secret, Duration), Error> {
    let failed = |source| Error::Transport {
        asked: asked.clone(),
        source,
    };
    let mut url = realm.url.clone();
    url.set_fragment(None);
    let service = key.service.as_deref();
    if let Some(Kind::Identity { token, .. }) = credential.map(|credential| &credential.kind) {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "scgate")];
        form.extend(service.map(|service| ("service", service)));
        // One parameter with all of them (RFC 6749, section 3.3).
        let scope = key.scopes.join(" ");
        form.extend([("scope", scope.as_str()), ("refresh_token", token.reveal())]);
        let request = Request::post_form(&url, tls, ANSWER, encode(&form));
        let reply = transport.fetch(&request, deadline).await.map_err(failed)?;
        // Servers without this exchange take the token as a password.
        if !matches!(reply.status, 404 | 405) {
            return parse(&reply, asked);
        }
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in &key.scopes {
            query.append_pair("scope", scope);
        }
    }
    let mut request = Request::get(&url, tls, ANSWER);
    if let Some(value) = credential.and_then(basic) {
        request = request.header(header::AUTHORIZATION, value);
    }
    let reply = transport.fetch(&request, deadline).await.map_err(failed)?;
    parse(&reply, asked)
}

fn parse(reply: &crate::transport::Reply, asked: &Asked) -> Result<(Secret, Duration), Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: Option<String>,
        #[serde(default)]
        access_token: Option<String>,
        #[serde(default)]
        expires_in: Option<u64>,
    }
    let malformed = |reason| Error::Malformed {
        asked: asked.clone(),
        reason,
    };
    if matches!(reply.status, 300..400) {
        return Err(Error::Refused {
            asked: asked.clone(),
            rule: Rule::TokenRedirect,
        });
    }
    if reply.status != 200 {
        return Err(super::status_error(asked, reply, ""));
    }
    let answer: Answer = crate::model::read_json(&reply.body)
        .map_err(|_| malformed("an answer that is not JSON"))?;
    let token = [answer.token, answer.access_token]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
        .ok_or_else(|| malformed("an answer without a token"))?;
    let life = answer.expires_in.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE);
    Ok((Secret::new(token), Duration::from_secs(life)))
}

/// `Basic` with the credential's name and secret.
pub(super) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let (user, secret) = match &credential.kind {
        Kind::Basic { user, password } => (user.as_str(), password),
        Kind::Identity { user, token } if user.is_empty() => ("<token>", token),
        Kind::Identity { user, token } => (user.as_str(), token),
        Kind::Bearer(_) | Kind::Helper { .. } => return None,
    };
    let pair = format!("{user}:{}", secret.reveal());
    sensitive(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// `Bearer` with a token; nothing when the token has characters that no header may hold.
pub(super) fn bearer(token: &Secret) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {}", token.reveal()))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A form body.
fn encode(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("form:") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let encoded = encode(&[("scope", "repository:a/b:pull"), ("t", "a+b&c=d ä")]);
        assert_eq!(
            encoded,
            "scope=repository%3Aa%2Fb%3Apull&t=a%2Bb%26c%3Dd+%C3%A4"
        );
    }
}
