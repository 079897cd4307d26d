//! The clients of a signer, against the sandbox: what they take home verifies, and every way in which
//! a service can fail has its code. The twin of each refusal is the same question without the fault.

mod fulcio;
mod oidc;
mod rekor;
mod rules;
mod signing_config;
mod timestamp;

use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::Bundle;
use scgate::Digest;
use scgate::Limits;
use scgate::Timestamp;
use scgate::TrustRoot;
use scgate::model::DenyCode;
use scgate::model::media_type;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider as Issuer;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pae;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::services::Client;
use scgate::services::Endpoint;
use scgate::services::Error;
use scgate::services::fulcio::Issued;
use scgate::services::fulcio::KeyAlgorithm;
use scgate::services::fulcio::Wanted;
use scgate::services::oidc::Token;
use scgate::services::rekor::Entry;
use scgate::services::rekor::Verifier;
use scgate::services::rekor::v1;
use scgate::services::rekor::v2;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use scgate::verify::Artifact;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::VerifiedSignature;
use scgate::verify::verify;
use serde_json::Value;
use serde_json::json;

/// A sandbox and somebody who asks it.
struct World {
    sandbox: Sandbox,
    root: TrustRoot,
    transport: Transport,
    limits: Limits,
    key: SigningKey,
    patience: Duration,
}

/// A transport that does not pause for long.
fn transport() -> Transport {
    crate::sandbox_registry::provider();
    let mut settings = Settings::default();
    settings.pause = Duration::from_millis(1);
    Transport::new(settings).unwrap()
}

impl World {
    async fn open() -> Self {
        let transport = transport();
        let sandbox = Sandbox::start().await.unwrap();
        let limits = Limits::default();
        Self {
            root: TrustRoot::parse(&sandbox.trusted_root(), &limits).unwrap(),
            sandbox,
            transport,
            limits,
            key: SigningKey::generate(KeyKind::P256).unwrap(),
            patience: Duration::from_secs(30),
        }
    }

    fn client(&self) -> Client<'_> {
        Client {
            transport: &self.transport,
            limits: &self.limits,
            deadline: Deadline::after(self.patience),
        }
    }

    fn url(&self) -> Endpoint {
        Endpoint::parse(&self.sandbox.url()).unwrap()
    }

    fn tsa(&self) -> Endpoint {
        Endpoint::parse(&format!("{}/api/v1/timestamp", self.sandbox.url())).unwrap()
    }

    fn token(&self) -> Token {
        let claims = GithubToken::default().claims();
        let token = self.sandbox.token(Issuer::Github, claims).unwrap();
        Token::parse(&token).unwrap()
    }

    async fn certificate(&self) -> Result<Issued, Error> {
        self.certificate_for(&self.token()).await
    }

    async fn certificate_for(&self, token: &Token) -> Result<Issued, Error> {
        let proof = self.key.sign(token.subject_to_prove()?.as_bytes()).unwrap();
        let wanted = Wanted {
            token,
            spki: self.key.spki(),
            algorithm: KeyAlgorithm::Ecdsa,
            proof: &proof,
        };
        scgate::services::fulcio::certificate(&self.client(), &self.url(), &wanted).await
    }

    async fn stamp(&self, signature: &[u8]) -> Result<Vec<u8>, Error> {
        scgate::services::timestamp::stamp(&self.client(), &self.tsa(), signature).await
    }

    async fn propose1(&self, proposal: &v1::Proposal<'_>) -> Result<Entry, Error> {
        v1::propose(&self.client(), &self.url(), proposal).await
    }

    async fn propose2(&self, proposal: &v2::Proposal<'_>) -> Result<Entry, Error> {
        v2::propose(&self.client(), &self.url(), proposal, &self.root).await
    }

    fn inject(&self, fault: &str) {
        self.sandbox.inject(fault.parse().unwrap());
    }

    /// Makes every request be answered so.
    fn answer(&self, status: u16, body: &str) {
        self.sandbox.inject(Fault::new(FaultKind::Status {
            status,
            retry_after: None,
            body: Some(body.to_owned().into()),
        }));
    }
}

/// What a service does wrong at a path, and the code of the refusal; none where it is asked again.
const FAULTS: &[(&str, Option<DenyCode>)] = &[
    ("status=429,path=PATH,times=1", None),
    ("status=429,retry-after=1,path=PATH,times=1", None),
    ("status=500,path=PATH,times=1", None),
    ("status=503,path=PATH,times=2", None),
    ("reset,path=PATH,times=1", None),
    ("reset-in-body,path=PATH,times=1", None),
    ("status=429,path=PATH", Some(DenyCode::ServiceRateLimited)),
    ("status=500,path=PATH", Some(DenyCode::ServiceUnavailable)),
    ("status=503,path=PATH", Some(DenyCode::ServiceUnavailable)),
    ("reset,path=PATH", Some(DenyCode::ServiceUnavailable)),
    ("status=400,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=401,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=403,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=404,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=405,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=501,path=PATH", Some(DenyCode::ServiceRefused)),
    ("status=202,path=PATH", Some(DenyCode::ServiceMalformed)),
    (
        "redirect=https://evil.test/,path=PATH",
        Some(DenyCode::ServiceMalformed),
    ),
    ("html-ok,path=PATH", Some(DenyCode::ServiceMalformed)),
    ("empty-ok,path=PATH", Some(DenyCode::ServiceMalformed)),
    ("gzip,path=PATH", Some(DenyCode::ServiceMalformed)),
    ("endless-body,path=PATH", Some(DenyCode::ServiceMalformed)),
    ("endless-length,path=PATH", Some(DenyCode::ServiceMalformed)),
];

/// A signed statement about an image, before it is logged.
struct Signed {
    image: Digest,
    payload: Vec<u8>,
    pae: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    fn new(key: &SigningKey, image: &str) -> Self {
        let image = Digest::sha256(image.as_bytes());
        let payload = Content::image(image).payload().to_vec();
        let pae = pae(media_type::IN_TOTO, &payload);
        Self {
            signature: key.sign(&pae).unwrap(),
            image,
            payload,
            pae,
        }
    }

    fn envelope(&self) -> Value {
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": media_type::IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(&self.signature) }],
        })
    }

    fn digest(&self) -> Digest {
        Digest::sha256(&self.pae)
    }

    /// Puts it into a bundle and verifies that.
    fn verified(
        &self,
        world: &World,
        issued: &Issued,
        stamp: &[u8],
        entry: &Entry,
    ) -> Result<VerifiedSignature, DenyCode> {
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&issued.leaf) },
                "tlogEntries": [entry.to_bundle_json()],
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{ "signedTimestamp": STANDARD.encode(stamp) }],
                },
            },
            "dsseEnvelope": self.envelope(),
        });
        let bundle = Bundle::parse(bundle.to_string().as_bytes(), &world.limits).unwrap();
        let artifact = Artifact::Digest(self.image);
        let trust = Trust::Root(&world.root);
        let now = Timestamp::from(std::time::SystemTime::now());
        let terms = Terms::default();
        let proof = verify(&bundle, artifact, trust, terms, now, &world.limits);
        proof.map_err(|error| error.code())
    }
}

/// The code of a refusal.
fn code<T: core::fmt::Debug>(outcome: Result<T, Error>) -> DenyCode {
    outcome.unwrap_err().code()
}

#[tokio::test]
async fn what_the_services_give_is_a_signature() {
    let world = World::open().await;
    let issued = world.certificate().await.unwrap();
    let signed = Signed::new(&world.key, "a");
    let stamp = world.stamp(&signed.signature).await.unwrap();
    let envelope = signed.envelope().to_string();
    let verifier = Verifier::Certificate(&issued.leaf);
    let dsse = v1::Proposal::Dsse {
        envelope: &envelope,
        verifier,
    };
    let digest = signed.digest();
    let hashed = v2::Proposal {
        digest: digest.as_bytes(),
        signature: &signed.signature,
        verifier,
        details: "PKIX_ECDSA_P256_SHA_256",
    };
    let entries = [
        world.propose1(&dsse).await.unwrap(),
        world.propose2(&hashed).await.unwrap(),
    ];
    for entry in &entries {
        let proof = signed.verified(&world, &issued, &stamp, entry);
        assert!(proof.is_ok(), "{proof:?}");
        // The twin: another statement.
        let other = Signed::new(&world.key, "b");
        let refused = other.verified(&world, &issued, &stamp, entry);
        assert_eq!(refused.unwrap_err(), DenyCode::LogEntryMismatch);
    }
    world.sandbox.stop().await.unwrap();
}

/// Nobody answers: the deadline ends it, and no token or entry comes of it.
#[tokio::test]
async fn a_service_that_says_nothing_is_waited_for_until_the_deadline() {
    let mut world = World::open().await;
    let issued = world.certificate().await.unwrap();
    let signed = Signed::new(&world.key, "a");
    let verifier = Verifier::Certificate(&issued.leaf);
    let hashed = v1::Proposal::HashedRekord {
        digest: signed.digest(),
        signature: &signed.signature,
        verifier,
    };
    world.inject("hang");
    world.patience = Duration::from_millis(300);
    let late = DenyCode::DeadlineExceeded;
    assert_eq!(code(world.certificate().await), late);
    assert_eq!(code(world.stamp(b"x").await), late);
    assert_eq!(code(world.propose1(&hashed).await), late);
    world.sandbox.clear_faults();
    world.patience = Duration::from_secs(30);
    assert!(world.propose1(&hashed).await.is_ok());
    world.sandbox.stop().await.unwrap();
}

/// Nobody listens there.
#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let world = World::open().await;
    let nowhere = Endpoint::parse("http://127.0.0.1:1024").unwrap();
    let outcome = scgate::services::timestamp::stamp(&world.client(), &nowhere, b"x").await;
    assert_eq!(code(outcome), DenyCode::ServiceUnavailable);
    assert!(world.stamp(b"x").await.is_ok());
    world.sandbox.stop().await.unwrap();
}
