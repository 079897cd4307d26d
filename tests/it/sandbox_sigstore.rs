//! The sandbox's Sigstore answers as the real services do, which were measured: Fulcio 1.8.8, Rekor
//! 1.5.4, rekor-tiles 2.3.0, timestamp-authority 2.1.3 and ct_server 1.3.2.
//!
//! Each service has a file with tables of requests and answers; a refused request stands beside one
//! that differs in one thing and is accepted. `differences.rs` lists where the sandbox answers
//! otherwise, and why. `judges.rs` lets other implementations verify what the services give.

mod ct;
mod differences;
mod fulcio;
mod judges;
mod oidc;
mod rekor1;
mod rekor2;
mod state;
mod tsa;
mod whole;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

const JSON: &str = "application/json";

async fn sandbox() -> Sandbox {
    crate::sandbox_registry::provider();
    Sandbox::start().await.unwrap()
}

/// An answer, whole.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> &str {
        core::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header; an absent one is none.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn media_type(&self) -> &str {
        self.header("content-type").unwrap_or("(none)")
    }

    /// Status and what the service says: the `message` of JSON, or the text.
    fn says(&self) -> (u16, String) {
        let message = serde_json::from_slice::<Value>(&self.body).ok();
        let message = message.and_then(|body| body["message"].as_str().map(ToOwned::to_owned));
        (
            self.status,
            message.unwrap_or_else(|| self.text().to_owned()),
        )
    }
}

/// A request to the sandbox.
#[derive(Clone)]
struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    fn post(path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut ask = Self::new("POST", path).with("content-type", media_type);
        ask.body = body.into();
        ask
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    async fn to(&self, sandbox: &Sandbox) -> Got {
        self.at(&sandbox.url()).await
    }

    async fn at(&self, url: &str) -> Got {
        let mut request = client().request(self.method.clone(), format!("{url}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.body(self.body.clone()).send().await.unwrap();
        Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }
}

/// One client for all tests. It keeps no connection, because each test has a runtime of its own.
fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        crate::sandbox_registry::provider();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    });
    &CLIENT
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn unb64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| core::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    HashKind::Sha256.of(bytes)
}

/// The DER inside of PEM.
fn unpem(pem: &str) -> Vec<u8> {
    let inner = pem.lines().filter(|line| !line.starts_with("-----"));
    unb64(&inner.collect::<String>())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = b64(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| core::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

fn key(kind: KeyKind) -> SigningKey {
    SigningKey::generate(kind).unwrap()
}

fn github() -> Map<String, Value> {
    GithubToken::default().claims()
}

/// Claims with one changed; null takes it away.
fn changed(mut claims: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    claims.insert(name.to_owned(), value);
    claims.retain(|_, value| !value.is_null());
    claims
}

/// The body that asks for a certificate.
fn certificate_request(key: &SigningKey, message: &str) -> Value {
    let proof = key.sign(message.as_bytes()).unwrap();
    json!({ "publicKeyRequest": {
        "publicKey": { "algorithm": "ECDSA", "content": key.public_pem() },
        "proofOfPossession": b64(proof),
    } })
}

const SIGNING: &str = "/api/v2/signingCert";

fn signing(body: &Value, token: &str) -> Ask {
    let bearer = format!("Bearer {token}");
    Ask::post(SIGNING, JSON, body.to_string()).with("authorization", &bearer)
}

/// A key with a certificate for it: the chain in DER, leaf first.
async fn certified(sandbox: &Sandbox) -> (SigningKey, Vec<Vec<u8>>) {
    let key = key(KeyKind::P256);
    let claims = github();
    let sub = claims["sub"].as_str().unwrap().to_owned();
    let token = sandbox.token(Provider::Github, claims).unwrap();
    let got = signing(&certificate_request(&key, &sub), &token)
        .to(sandbox)
        .await;
    assert_eq!(got.status, 200, "{got:?}");
    (key, chain(&got))
}

/// The chain of an answer, in DER.
fn chain(got: &Got) -> Vec<Vec<u8>> {
    let body = got.json();
    let chain = &body["signedCertificateEmbeddedSct"]["chain"]["certificates"];
    let chain = chain.as_array().unwrap().iter();
    chain.map(|text| unpem(text.as_str().unwrap())).collect()
}

/// A request for a certificate (PKCS #10) whose subject nobody reads.
fn csr(key: &SigningKey, algorithm: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let info = der::sequence(&[
        der::integer(0),
        der::name("nobody", "nobody"),
        key.spki().to_vec(),
        der::explicit(0, &[]),
    ]);
    let signature = sign(&info);
    der::sequence(&[info, algorithm.to_vec(), der::bit_string(&signature)])
}
