//! A token for a person at another device: the code is shown here and typed in there (RFC 8628, with
//! the proof key of RFC 7636 that Sigstore's issuer expects).
//!
//! Nobody is asked unless the caller says so, which it does only on a terminal. Start with
//! [`token`].

use core::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::Deserialize;

use crate::model::Digest;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Missing;
use crate::services::Service;
use crate::services::address::Query;
use crate::services::client::Ask;
use crate::services::oidc::Token;
use crate::services::secret::Secret;
use crate::transport::Deadline;

/// Bytes of an answer.
const ANSWER: usize = 128 * 1024;
/// Seconds between two looks, where the issuer does not say (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;
/// Seconds that a code counts at most, whatever its issuer says.
const LIFE: u64 = 1800;
const FORM: &str = "application/x-www-form-urlencoded";
const SCOPE: &str = "openid email";

/// What a person is told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Prompt {
    /// The page to open.
    pub url: String,
    /// What to type there.
    pub code: String,
    /// The page with the code in it, if the issuer has one.
    pub complete_url: Option<String>,
    /// How long the code counts.
    pub expires_in: Duration,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Authorization {
    device_code: String,
    user_code: String,
    // Some issuers still have the name of a draft.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
}

#[derive(Deserialize)]
struct Pending {
    error: String,
}

/// Asks a person, by `tell`, and waits until somebody has agreed.
///
/// # Errors
///
/// [`Error`]: the issuer does not offer this, the person refused, or the time was up. The token is
/// of this issuer and for this client.
pub async fn token(
    client: &Client<'_>,
    issuer: &Endpoint,
    client_id: &str,
    tell: &mut (dyn FnMut(&Prompt) + Send),
) -> Result<Token, Error> {
    let (authorize, exchange) = discover(client, issuer).await?;
    let verifier = random()?;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Digest::sha256(verifier.as_bytes()).as_bytes());
    let ask = Ask::new(Service::Oidc, &authorize, ANSWER);
    let body = form(&[
        ("client_id", client_id),
        ("scope", SCOPE),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let body = client.fetch_good(&ask, &ask.post(FORM, body)).await?;
    let granted: Authorization = ask.json(&body)?;
    let life = Duration::from_secs(granted.expires_in.clamp(1, LIFE));
    tell(&prompt(&ask, &granted, life)?);
    let until = Deadline::after(life.min(client.deadline.remaining()));
    let secret = Secret::new(granted.device_code);
    let mut ask = Ask::new(Service::Oidc, &exchange, ANSWER);
    ask.secret = Some(&secret);
    let body = form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", client_id),
        ("device_code", secret.reveal()),
        ("code_verifier", &verifier),
        ("scope", SCOPE),
    ]);
    let mut pause = Duration::from_secs(granted.interval.unwrap_or(INTERVAL).clamp(1, 60));
    loop {
        if until.remaining() <= pause {
            return Err(Error::TokenMissing(Missing::NobodyAgreed {
                host: issuer.host(),
            }));
        }
        tokio::time::sleep(pause).await;
        let reply = client.fetch(&ask, &ask.post(FORM, body.clone())).await?;
        let pending = match reply.status {
            200 => {
                let granted: Granted = ask.json(&reply.body)?;
                let token = Token::parse(&granted.id_token)?;
                token.for_audience(client_id)?;
                // Sigstore's issuer may stand at a URL that ends with a slash.
                if token.issuer().trim_end_matches('/') != issuer.to_string() {
                    return Err(ask.malformed("its token is of another issuer"));
                }
                return Ok(token);
            }
            400 | 401 => crate::model::read_json::<Pending>(&reply.body).ok(),
            _ => None,
        };
        match pending.as_ref().map(|pending| pending.error.as_str()) {
            Some("authorization_pending") => {}
            // Five seconds more, for good (RFC 8628, section 3.5).
            Some("slow_down") => pause = pause.saturating_add(Duration::from_secs(INTERVAL)),
            Some("access_denied" | "expired_token") => {
                return Err(Error::TokenMissing(Missing::NobodyAgreed {
                    host: issuer.host(),
                }));
            }
            _ => return Err(ask.refusal(&reply)),
        }
    }
}

/// Where a device is authorised, and where the token is given.
async fn discover(client: &Client<'_>, issuer: &Endpoint) -> Result<(Endpoint, Endpoint), Error> {
    let url = issuer.below(".well-known/openid-configuration");
    let ask = Ask::new(Service::Oidc, &url, ANSWER);
    let body = client.fetch_good(&ask, &ask.get()).await?;
    let found: Discovery = ask.json(&body)?;
    // OpenID Connect Discovery 1.0, section 4.3.
    if found.issuer.trim_end_matches('/') != issuer.to_string() {
        return Err(ask.malformed("it calls itself another issuer"));
    }
    let endpoint =
        |text: &str| Endpoint::parse(text).map_err(|error| ask.malformed(error.to_string()));
    let Some(authorize) = found.device_authorization_endpoint else {
        return Err(Error::NoDevices { host: url.host() });
    };
    Ok((endpoint(&authorize)?, endpoint(&found.token_endpoint)?))
}

/// What is shown to the person comes from the issuer: pages reached by TLS, and a short plain code.
fn prompt(ask: &Ask<'_>, granted: &Authorization, life: Duration) -> Result<Prompt, Error> {
    let page = |text: &str| {
        let page = Endpoint::read(text, Query::Allowed).ok()?;
        Some(page.url().to_string())
    };
    let wrong = || ask.malformed("what it wants a person to see is not fit for that");
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if granted.user_code.len() > 64 || !granted.user_code.bytes().all(is_plain) {
        return Err(wrong());
    }
    let complete = granted.verification_uri_complete.as_deref();
    Ok(Prompt {
        url: page(&granted.verification_uri).ok_or_else(wrong)?,
        code: granted.user_code.clone(),
        complete_url: match complete {
            Some(text) => Some(page(text).ok_or_else(wrong)?),
            None => None,
        },
        expires_in: life,
    })
}

/// A proof key: 256 random bits (RFC 7636, section 4.1).
fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| Error::TokenMalformed {
        rule: "there are no random numbers to ask for it with",
    })?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A form (`application/x-www-form-urlencoded`).
fn form(members: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(members);
    }
    let query = url.as_ref().and_then(Url::query);
    query.unwrap_or_default().to_owned()
}
