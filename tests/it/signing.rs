//! A keyless signer that does what cosign does, by plain HTTP: token, certificate, signature, time
//! stamp, log entry, bundle. It verifies nothing, so that it takes every lie home.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Timestamp;
use scgate::model::media_type;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Image;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::bundle_referrer;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::pae;
use serde_json::Value;
use serde_json::json;

/// What a signer gets from the services, or the status of the one that refused.
pub(crate) struct Signer<'a> {
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) http: reqwest::Client,
    pub(crate) key: SigningKey,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox) -> Self {
        Self {
            sandbox,
            http: client(),
            key: SigningKey::generate(KeyKind::P256).unwrap(),
        }
    }

    /// Sends JSON and gives back status and JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value, token: &str) -> (u16, Value) {
        let answer = self
            .http
            .post(format!("{}{path}", self.sandbox.url()))
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {token}"))
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The DER certificate for a GitHub workflow.
    pub(crate) async fn certificate(&self) -> Vec<u8> {
        let claims = GithubToken::default().claims();
        let subject = claims["sub"].as_str().unwrap().to_owned();
        let token = self.sandbox.token(Provider::Github, claims).unwrap();
        let proof = self.key.sign(subject.as_bytes()).unwrap();
        let request = json!({ "publicKeyRequest": {
            "publicKey": { "algorithm": "ECDSA", "content": self.key.public_pem() },
            "proofOfPossession": STANDARD.encode(proof),
        } });
        let (status, body) = self.post("/api/v2/signingCert", &request, &token).await;
        assert_eq!(status, 200, "{body}");
        let leaf = &body["signedCertificateEmbeddedSct"]["chain"]["certificates"][0];
        let text: String = leaf
            .as_str()
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        STANDARD.decode(text).unwrap()
    }

    /// The DER timestamp over these bytes.
    pub(crate) async fn timestamp(&self, bytes: &[u8]) -> Vec<u8> {
        let hash = HashKind::Sha256;
        let query = der::sequence(&[
            der::integer(1),
            der::sequence(&[
                der::algorithm_null(hash.oid()),
                der::octet_string(&hash.of(bytes)),
            ]),
        ]);
        let answer = self
            .http
            .post(format!("{}/api/v1/timestamp", self.sandbox.url()))
            .header("Content-Type", "application/timestamp-query")
            .body(query)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }

    /// The bundle of an image signature, with the entry in this log; or the status with which the
    /// log refuses.
    pub(crate) async fn bundle(&self, digest: Digest, log: LogVersion) -> Result<Value, u16> {
        let certificate = self.certificate().await;
        let content = Content::image(digest);
        let payload = content.payload();
        let signed = pae(media_type::IN_TOTO, payload);
        let signature = self.key.sign(&signed).unwrap();
        let stamp = self.timestamp(&signature).await;
        let envelope = json!({
            "payload": STANDARD.encode(payload),
            "payloadType": media_type::IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(&signature) }],
        });
        let entry = match log {
            LogVersion::V1 => self.entry1(&envelope, &certificate).await?,
            LogVersion::V2 => self.entry2(&signed, &signature, &certificate).await?,
        };
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&certificate) },
                "tlogEntries": [entry],
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{ "signedTimestamp": STANDARD.encode(stamp) }],
                },
            },
            "dsseEnvelope": envelope,
        }))
    }

    async fn entry1(&self, envelope: &Value, certificate: &[u8]) -> Result<Value, u16> {
        let pem = scgate::sandbox::mint::pem("CERTIFICATE", certificate);
        let proposal = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": { "proposedContent": {
                "envelope": envelope.to_string(),
                "verifiers": [STANDARD.encode(pem)],
            } },
        });
        let (status, body) = self.post("/api/v1/log/entries", &proposal, "").await;
        if status != 201 {
            return Err(status);
        }
        let entry = body.as_object().unwrap().values().next().unwrap();
        let rehash = |hash: &Value| STANDARD.encode(unhex(hash.as_str().unwrap()));
        let proof = &entry["verification"]["inclusionProof"];
        let mut bundled = json!({
            "logIndex": entry["logIndex"].to_string(),
            "logId": { "keyId": rehash(&entry["logID"]) },
            "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "integratedTime": entry["integratedTime"].to_string(),
            "canonicalizedBody": entry["body"],
        });
        if let Some(promise) = entry["verification"].get("signedEntryTimestamp") {
            bundled["inclusionPromise"] = json!({ "signedEntryTimestamp": promise });
        }
        if proof.is_object() {
            let hashes = proof["hashes"].as_array().unwrap();
            bundled["inclusionProof"] = json!({
                "logIndex": proof["logIndex"].to_string(),
                "treeSize": proof["treeSize"].to_string(),
                "rootHash": rehash(&proof["rootHash"]),
                "hashes": hashes.iter().map(rehash).collect::<Vec<_>>(),
            });
            if proof["checkpoint"].is_string() {
                bundled["inclusionProof"]["checkpoint"] =
                    json!({ "envelope": proof["checkpoint"] });
            }
        }
        Ok(bundled)
    }

    async fn entry2(
        &self,
        signed: &[u8],
        signature: &[u8],
        certificate: &[u8],
    ) -> Result<Value, u16> {
        let request = json!({ "hashedRekordRequestV002": {
            "digest": STANDARD.encode(HashKind::Sha256.of(signed)),
            "signature": {
                "content": STANDARD.encode(signature),
                "verifier": {
                    "x509Certificate": { "rawBytes": STANDARD.encode(certificate) },
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        } });
        let (status, mut body) = self.post("/api/v2/log/entries", &request, "").await;
        if status != 201 {
            return Err(status);
        }
        // Bundles leave out what is null, as protocol buffers do.
        let without_null = |value: &mut Value| {
            if let Some(members) = value.as_object_mut() {
                members.retain(|_, member| !member.is_null());
            }
        };
        without_null(&mut body["inclusionProof"]);
        without_null(&mut body);
        Ok(body)
    }

    /// Signs an image and leaves the bundle beside it; or the status with which the log refuses.
    pub(crate) async fn sign(&self, repo: &str, image: &Image, log: LogVersion) -> Result<(), u16> {
        let bundle = self.bundle(image.index, log).await?;
        let (media_type, bytes) = image.manifests.last().unwrap();
        let size = u64::try_from(bytes.len()).unwrap();
        let subject = Descriptor::new(media_type.clone(), image.index, size);
        let created = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let referrer = bundle_referrer(bundle.to_string().as_bytes(), &subject, created);
        let registry = self.sandbox.registry().unwrap();
        for blob in &referrer.blobs {
            registry.put_blob(repo, blob.clone());
        }
        let manifest = referrer.manifest.to_string();
        registry.put_manifest(repo, media_type::IMAGE, manifest, None);
        Ok(())
    }
}

/// A client of loopback alone.
fn client() -> reqwest::Client {
    // Another test may have been faster, with the same one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
