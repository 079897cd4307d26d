//! A JSON Web Token, read without its signature.

use core::fmt;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use crate::model::Timestamp;
use crate::model::printable;
use crate::services::Error;
use crate::services::secret::Secret;

/// Bytes of a token. Those of CI systems have two or three thousand; what is much longer stands in
/// no header.
const MAX: usize = 64 * 1024;
/// Claims of a token.
const MAX_CLAIMS: usize = 256;
/// How far `nbf` may lie ahead, in seconds (measured with Fulcio 1.8.8, which has this leeway from
/// go-oidc).
const NOT_BEFORE_LEEWAY: i64 = 300;

/// An identity token.
#[derive(Clone, Eq, PartialEq)]
pub struct Token {
    text: Secret,
    issuer: String,
    audience: Vec<String>,
    expires: Timestamp,
    not_before: Option<Timestamp>,
    pub(super) claims: BTreeMap<String, Value>,
}

impl Token {
    /// Reads a token: three parts, the first two JSON objects. Its signature is not verified: Fulcio
    /// does that, with the keys of the issuer.
    ///
    /// # Errors
    ///
    /// [`Error::TokenMalformed`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |rule| Error::TokenMalformed { rule };
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.len() > MAX {
            return Err(wrong("it has more than 64 KiB"));
        }
        let mut parts = text.split('.');
        let (Some(head), Some(body), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it has not three parts with dots between them"));
        };
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let head = decode(head).ok_or_else(|| wrong("its head is not base64"))?;
        let body = decode(body).ok_or_else(|| wrong("its claims are not base64"))?;
        if decode(signature).is_none_or(|signature| signature.is_empty()) {
            return Err(wrong("it has no signature"));
        }
        let head: Head =
            crate::model::read_json(&head).map_err(|_| wrong("its head is not JSON with `alg`"))?;
        if head.alg.eq_ignore_ascii_case("none") {
            return Err(wrong("it is not signed (`alg` is `none`)"));
        }
        let claims: BTreeMap<String, Value> = crate::model::read_json(&body)
            .map_err(|_| wrong("its claims are not a JSON object, or one is there twice"))?;
        if claims.len() > MAX_CLAIMS {
            return Err(wrong("it has too many claims"));
        }
        let issuer = match claims.get("iss") {
            Some(Value::String(issuer)) if !issuer.is_empty() => issuer.clone(),
            _ => return Err(wrong("it names no issuer (`iss`)")),
        };
        if claims
            .get("sub")
            .is_some_and(|subject| !subject.is_string())
        {
            return Err(wrong("its subject (`sub`) is not text"));
        }
        let audience = audience(claims.get("aud"))
            .ok_or_else(|| wrong("its audience (`aud`) is neither text nor a list of texts"))?;
        let time = |name: &str, rule| match claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value).map(Some).ok_or_else(|| wrong(rule)),
        };
        let expires = time("exp", "its end (`exp`) is not a number of seconds")?
            .ok_or_else(|| wrong("it has no end (`exp`)"))?;
        let not_before = time("nbf", "its beginning (`nbf`) is not a number of seconds")?;
        time(
            "iat",
            "its time of issue (`iat`) is not a number of seconds",
        )?;
        Ok(Self {
            text: Secret::new(text.to_owned()),
            issuer,
            audience,
            expires,
            not_before,
            claims,
        })
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom it is for.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Until when it counts.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// A claim that is text, and not empty.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        let claim = self.claims.get(name)?.as_str()?;
        (!claim.is_empty()).then_some(claim)
    }

    /// Refuses a token that does not count at `now`.
    ///
    /// # Errors
    ///
    /// [`Error::TokenOutsideValidity`].
    pub fn current(&self, now: Timestamp) -> Result<(), Error> {
        let early = now.plus_seconds(NOT_BEFORE_LEEWAY);
        if now < self.expires && self.not_before.is_none_or(|from| from <= early) {
            return Ok(());
        }
        Err(Error::TokenOutsideValidity {
            from: self.not_before,
            until: self.expires,
            now,
        })
    }

    /// Refuses a token that is for somebody else.
    ///
    /// # Errors
    ///
    /// [`Error::Audience`].
    pub fn for_audience(&self, audience: &str) -> Result<(), Error> {
        if self.audience.iter().any(|one| one == audience) {
            return Ok(());
        }
        Err(Error::Audience {
            expected: printable(audience),
            found: printable(&self.audience.join(", ")),
        })
    }

    /// What the key must sign to prove that whoever holds the token holds it: the verified address
    /// of a person, else the subject. It may be empty, as Fulcio has it.
    ///
    /// # Errors
    ///
    /// [`Error::Unverified`] for an address that its issuer did not verify.
    pub fn subject_to_prove(&self) -> Result<&str, Error> {
        // Fulcio goes by the kind of the issuer: the address for those of people, the subject for
        // all others. Those of CI systems never have a claim of this name for an address that
        // counts, but some may have it for whoever pushed.
        if self.is_of_machine() {
            return Ok(self.claim("sub").unwrap_or_default());
        }
        match self.email()? {
            Some(address) => Ok(address),
            None => Ok(self.claim("sub").unwrap_or_default()),
        }
    }

    /// The verified address.
    pub(super) fn email(&self) -> Result<Option<&str>, Error> {
        let Some(address) = self.claim("email") else {
            return Ok(None);
        };
        let is_verified = match self.claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            // Some issuers write it as text, which Fulcio takes.
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        match is_verified {
            true => Ok(Some(address)),
            false => Err(Error::Unverified),
        }
    }

    pub(in crate::services) const fn secret(&self) -> &Secret {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("text", &self.text)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

/// Text or a list of texts (RFC 7519, section 4.1.3); an absent one is nobody.
fn audience(claim: Option<&Value>) -> Option<Vec<String>> {
    match claim {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(several)) => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        Some(_) => None,
    }
}

/// `NumericDate`: seconds, which may have a fraction (RFC 7519, section 2). It is dropped.
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole,
        (None, Some(number)) if number.is_finite() => {
            let text = format!("{:.0}", number.floor());
            text.parse().ok()?
        }
        _ => return None,
    };
    Timestamp::from_unix_seconds(whole).ok()
}
