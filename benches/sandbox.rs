//! The sandbox: from start to ready, signatures a second, memory at rest; beside a real Sigstore.
//!
//! `cargo bench --bench sandbox`. It starts the program as anybody does and signs over HTTP. With
//! `SCGATE_STACK="FULCIO REKOR1 REKOR2 TSA TOKEN PIDS"` (four URLs, the URL that mints a token, and the
//! processes, separated by commas) the same is done with services that run already, in the same run.
//! `benches/stack` starts those of a real Sigstore.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise and prints its figures"
)]

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use serde_json::Value;
use serde_json::json;

/// How often it is started.
const STARTS: usize = 11;
/// How many signatures are made one after the other, and how many side by side.
const SIGNATURES: usize = 60;
/// How many signers there are side by side.
const SIGNERS: usize = 8;

/// Where services are.
#[derive(Clone, Debug)]
struct Stack {
    name: &'static str,
    fulcio: String,
    rekor1: String,
    rekor2: String,
    tsa: String,
    token: String,
    pids: Vec<u32>,
}

impl Stack {
    /// What `SCGATE_STACK` names.
    fn peer() -> Option<Self> {
        let text = std::env::var("SCGATE_STACK").ok()?;
        let parts: Vec<_> = text.split(' ').map(str::to_owned).collect();
        let [fulcio, rekor1, rekor2, tsa, token, pids] = parts.try_into().ok()?;
        Some(Self {
            name: "real services",
            fulcio,
            rekor1,
            rekor2,
            tsa,
            token,
            pids: pids.split(',').filter_map(|pid| pid.parse().ok()).collect(),
        })
    }

    /// The resident memory of its processes, in KiB.
    fn memory(&self) -> u64 {
        let of = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS:"));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number
                .and_then(|number| number.parse().ok())
                .unwrap_or(0_u64)
        };
        self.pids.iter().map(of).sum()
    }
}

/// A running program, ended with the value.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the program, and gives back how long it took until everything answered.
fn start() -> (Program, Stack, Duration) {
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_scgate"))
        .arg("sandbox")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scgate starts");
    let mut url = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(value) = line.strip_prefix("export SCGATE_SANDBOX='") {
            url = value.trim_end_matches('\'').to_owned();
        }
        if line == "# ready" {
            break;
        }
    }
    let time = begin.elapsed();
    let stack = Stack {
        name: "sandbox",
        fulcio: url.clone(),
        rekor1: url.clone(),
        rekor2: url.clone(),
        tsa: format!("{url}/api/v1/timestamp"),
        token: format!("{url}/oidc/github/token"),
        pids: vec![child.id()],
    };
    (Program(child), stack, time)
}

#[derive(Clone)]
struct Signer {
    http: reqwest::Client,
    stack: Stack,
}

impl Signer {
    async fn post(&self, url: &str, media_type: &str, token: &str, body: Vec<u8>) -> Vec<u8> {
        let answer = self
            .http
            .post(url)
            .header("Content-Type", media_type)
            .header("Authorization", format!("Bearer {token}"))
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap().to_vec();
        assert!(
            status.is_success(),
            "{url}: {status} {}",
            String::from_utf8_lossy(&bytes)
        );
        bytes
    }

    async fn token(&self) -> String {
        let claims = scgate::sandbox::GithubToken::default().claims();
        let body = Value::Object(claims).to_string().into_bytes();
        let token = self
            .post(&self.stack.token, "application/json", "", body)
            .await;
        String::from_utf8(token).unwrap().trim().to_owned()
    }

    /// Certificate, timestamp and log entry for one signature; gives back how long each took.
    async fn sign(&self, token: &str, version: u8) -> [Duration; 3] {
        let key = SigningKey::generate(KeyKind::P256).unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let proof = key
            .sign(claims["sub"].as_str().unwrap().as_bytes())
            .unwrap();
        let request = json!({ "publicKeyRequest": {
            "publicKey": { "algorithm": "ECDSA", "content": key.public_pem() },
            "proofOfPossession": STANDARD.encode(proof),
        } });
        let url = format!("{}/api/v2/signingCert", self.stack.fulcio);
        let begin = Instant::now();
        let body = request.to_string().into_bytes();
        let answer = self.post(&url, "application/json", token, body).await;
        let certified = begin.elapsed();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let leaf = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0];
        let leaf = format!("{}\n", leaf.as_str().unwrap());

        let message = key.spki().to_vec();
        let hash = HashKind::Sha256.of(&message);
        let signature = key.sign(&message).unwrap();
        let imprint = HashKind::Sha256.of(&signature);
        let query = der::sequence(&[
            der::integer(1),
            der::sequence(&[
                der::algorithm_null(HashKind::Sha256.oid()),
                der::octet_string(&imprint),
            ]),
        ]);
        let begin = Instant::now();
        self.post(&self.stack.tsa, "application/timestamp-query", "", query)
            .await;
        let stamped = begin.elapsed();

        let begin = Instant::now();
        self.log(version, &hash, &signature, &leaf).await;
        [certified, stamped, begin.elapsed()]
    }

    async fn log(&self, version: u8, hash: &[u8], signature: &[u8], leaf: &str) {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let (url, body) = if version == 1 {
            let body = json!({
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": { "hash": { "algorithm": "sha256", "value": hex } },
                    "signature": {
                        "content": STANDARD.encode(signature),
                        "publicKey": { "content": STANDARD.encode(leaf) },
                    },
                },
            });
            (format!("{}/api/v1/log/entries", self.stack.rekor1), body)
        } else {
            let der: String = leaf.lines().filter(|line| !line.starts_with('-')).collect();
            let body = json!({ "hashedRekordRequestV002": {
                "digest": STANDARD.encode(hash),
                "signature": {
                    "content": STANDARD.encode(signature),
                    "verifier": {
                        "x509Certificate": { "rawBytes": der },
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    },
                },
            } });
            (format!("{}/api/v2/log/entries", self.stack.rekor2), body)
        };
        self.post(&url, "application/json", "", body.to_string().into_bytes())
            .await;
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

async fn measure(stack: &Stack) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signer = Signer {
        http,
        stack: stack.clone(),
    };
    let token = signer.token().await;
    for version in [1, 2] {
        signer.sign(&token, version).await;
        let begin = Instant::now();
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..SIGNATURES {
            for (part, time) in parts.iter_mut().zip(signer.sign(&token, version).await) {
                part.push(time);
            }
        }
        let alone = per_second(SIGNATURES, begin.elapsed());
        let begin = Instant::now();
        let signers = (0..SIGNERS).map(|_| {
            let (signer, token) = (signer.clone(), token.clone());
            tokio::spawn(async move {
                for _ in 0..SIGNATURES / SIGNERS {
                    signer.sign(&token, version).await;
                }
            })
        });
        for signer in signers.collect::<Vec<_>>() {
            signer.await.unwrap();
        }
        let together = per_second(SIGNATURES / SIGNERS * SIGNERS, begin.elapsed());
        let [certificate, stamp, entry] = parts.map(median);
        println!(
            "| {}, Rekor v{version} | {} | {} | {} | {alone:.0} | {together:.0} |",
            stack.name,
            ms(certificate),
            ms(stamp),
            ms(entry),
        );
    }
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / time.as_secs_f64()
}

fn main() {
    drop(aws_lc_rs::default_provider().install_default());
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (program, _, time) = start();
        times.push(time);
        drop(program);
    }
    let (program, sandbox, _) = start();
    println!(
        "start to ready: {} ms (median of {STARTS})",
        ms(median(times))
    );
    println!("memory at rest: {} KiB", sandbox.memory());
    let peer = Stack::peer();
    if let Some(peer) = &peer {
        println!(
            "memory of {} processes: {} KiB",
            peer.pids.len(),
            peer.memory()
        );
    }
    println!(
        "| services | certificate ms | timestamp ms | entry ms | signatures/s | {SIGNERS} signers/s |"
    );
    println!("|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        measure(&sandbox).await;
        if let Some(peer) = &peer {
            measure(peer).await;
        }
    });
    println!("memory afterwards: {} KiB", sandbox.memory());
    drop(program);
}
