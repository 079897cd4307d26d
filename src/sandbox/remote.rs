//! A sandbox in another process, told what to do over its controls.

use core::time::Duration;
use std::sync::Arc;

use reqwest::Method;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use serde_json::Map;
use serde_json::Value;

use super::Provider;

/// How long an answer may take: everything is on this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of an answer that are read: tokens and digests are small.
const ANSWER: usize = 1 << 20;

/// A running sandbox.
#[derive(Clone, Debug)]
pub struct Remote {
    url: Url,
    client: reqwest::Client,
}

impl Remote {
    /// The sandbox at this URL, which must be on loopback: `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Address`] for any other address.
    pub fn new(url: &str) -> Result<Self, RemoteError> {
        let address = || RemoteError::Address(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| address())?;
        let is_here = matches!(parsed.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if parsed.scheme() != "http" || !is_here {
            return Err(address());
        }
        // It speaks plain HTTP alone; reqwest wants to know a provider all the same.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(RemoteError::Tls)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|source| silent(&parsed, source))?;
        Ok(Self {
            url: parsed,
            client,
        })
    }

    /// A token with these claims over the typical ones; a claim that is null is left out.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal.
    pub async fn token(
        &self,
        provider: Provider,
        claims: &Map<String, Value>,
    ) -> Result<String, RemoteError> {
        let path = format!("/oidc/{}/token", provider.name());
        let body = serde_json::to_vec(claims).unwrap_or_default();
        self.ask(Method::POST, &path, &[], body).await
    }

    /// Pushes a small image for two platforms, and tells where it is (JSON).
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal.
    pub async fn image(
        &self,
        repository: &str,
        tag: &str,
        text: &str,
    ) -> Result<Value, RemoteError> {
        let query = [("repository", repository), ("tag", tag), ("text", text)];
        let answer = self
            .ask(Method::POST, "/sandbox/image", &query, Vec::new())
            .await?;
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }

    /// Makes it misbehave: a fault in its textual form, at the Sigstore or at the registry.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal that says what is wrong with the text.
    pub async fn fault(&self, fault: &str, at: Place) -> Result<(), RemoteError> {
        let at = match at {
            Place::Registry => "registry",
            Place::Sigstore => "sigstore",
        };
        let body = fault.as_bytes().to_vec();
        self.ask(Method::POST, "/sandbox/fault", &[("at", at)], body)
            .await
            .map(drop)
    }

    /// Makes it behave again.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal.
    pub async fn clear_faults(&self) -> Result<(), RemoteError> {
        self.ask(Method::DELETE, "/sandbox/fault", &[], Vec::new())
            .await
            .map(drop)
    }

    /// Makes it forget its entries and images.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal.
    pub async fn reset(&self) -> Result<(), RemoteError> {
        self.ask(Method::POST, "/sandbox/reset", &[], Vec::new())
            .await
            .map(drop)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] when nobody answers, or with a refusal.
    pub async fn stop(&self) -> Result<(), RemoteError> {
        self.ask(Method::POST, "/sandbox/stop", &[], Vec::new())
            .await
            .map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<String, RemoteError> {
        let mut url = self.url.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut answer = self
            .client
            .request(method, url)
            .body(body)
            .send()
            .await
            .map_err(|source| silent(&self.url, source))?;
        let mut text = Vec::new();
        while let Some(part) = answer
            .chunk()
            .await
            .map_err(|source| silent(&self.url, source))?
        {
            text.extend_from_slice(&part);
            if text.len() > ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if answer.status().is_success() {
            Ok(text)
        } else {
            Err(RemoteError::Refused {
                status: answer.status().as_u16(),
                message: text,
            })
        }
    }
}

fn silent(url: &Url, source: reqwest::Error) -> RemoteError {
    RemoteError::Silent {
        url: url.to_string(),
        source,
    }
}

/// Which of its two servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The OCI registry.
    Registry,
    /// Everything else.
    Sigstore,
}

/// Why another process did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address is not one of this machine. Whoever gave it can mend it.
    #[error("`{0}` is no address of a sandbox, which is `http://127.0.0.1:PORT`")]
    Address(String),
    /// It refused. Whoever asked can mend it.
    #[error("the sandbox answered {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The client could not be set up: a bug.
    #[error("set up a client")]
    Tls(#[source] rustls::Error),
    /// Nobody answers there. Whoever runs the sandbox can mend it.
    #[error(
        "no sandbox answers at `{url}` (start one with `scgate sandbox`, and give the URL that it prints)"
    )]
    Silent {
        /// The address.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
}
