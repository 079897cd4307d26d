//! Fulcio.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::DenyCode;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider as Issuer;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use scgate::services::Error;
use scgate::services::fulcio::KeyAlgorithm;
use scgate::services::fulcio::Wanted;
use scgate::services::oidc::Token;
use serde_json::json;

use super::World;

#[tokio::test]
async fn a_certificate_comes_with_its_chain() {
    let world = World::open().await;
    let issued = world.certificate().await.unwrap();
    assert_eq!(issued.chain.len(), 2);
    let request = world.sandbox.requests().pop().unwrap();
    assert_eq!(request.path, "/api/v2/signingCert");
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let key = &body["publicKeyRequest"]["publicKey"];
    assert_eq!(key["algorithm"], "ECDSA");
    assert_eq!(key["content"], world.key.public_pem());
    assert!(
        STANDARD
            .decode(
                body["publicKeyRequest"]["proofOfPossession"]
                    .as_str()
                    .unwrap()
            )
            .is_ok()
    );
    assert!(request.authorization.unwrap().starts_with("Bearer ey"));
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn every_fault_has_its_code() {
    let world = World::open().await;
    for (fault, expected) in super::FAULTS {
        world.inject(&fault.replace("PATH", "signingCert"));
        let issued = world.certificate().await;
        assert_eq!(issued.err().map(|error| error.code()), *expected, "{fault}");
        world.sandbox.clear_faults();
        assert!(world.certificate().await.is_ok(), "after {fault}");
    }
    world.sandbox.stop().await.unwrap();
}

/// An answer with these certificates under that name.
fn answer(member: &str, certificates: &[String]) -> String {
    let mut answer = json!({});
    answer[member] = json!({ "chain": { "certificates": certificates } });
    answer.to_string()
}

#[tokio::test]
async fn only_a_certificate_for_this_key_with_its_proof_is_one() {
    let world = World::open().await;
    let issued = world.certificate().await.unwrap();
    let other = SigningKey::generate(KeyKind::P256).unwrap();
    let proof = other
        .sign(world.token().subject_to_prove().unwrap().as_bytes())
        .unwrap();
    let wanted = Wanted {
        token: &world.token(),
        spki: other.spki(),
        algorithm: KeyAlgorithm::Ecdsa,
        proof: &proof,
    };
    let theirs = scgate::services::fulcio::certificate(&world.client(), &world.url(), &wanted)
        .await
        .unwrap();
    let text = |der: &[u8]| pem("CERTIFICATE", der);
    let all: Vec<_> = [&issued.leaf]
        .into_iter()
        .chain(&issued.chain)
        .map(|der| text(der))
        .collect();
    let embedded = "signedCertificateEmbeddedSct";
    let detached = "signedCertificateDetachedSct";
    let malformed = Some(DenyCode::ServiceMalformed);
    for (name, body, expected) in [
        ("whole", answer(embedded, &all), None),
        ("leaf alone", answer(embedded, &all[..1]), None),
        (
            "detached",
            answer(detached, &all),
            Some(DenyCode::SctMissing),
        ),
        ("none", answer(embedded, &[]), malformed),
        ("nothing", "{}".to_owned(), malformed),
        (
            "another key",
            answer(embedded, &[text(&theirs.leaf)]),
            malformed,
        ),
        (
            "not a certificate",
            answer(embedded, &[text(b"x")]),
            malformed,
        ),
        (
            "a key",
            answer(embedded, &[world.key.public_pem()]),
            malformed,
        ),
        ("two in one", answer(embedded, &[all.concat()]), malformed),
        (
            "too many",
            answer(embedded, &vec![all[0].clone(); 9]),
            malformed,
        ),
        (
            "large",
            answer(embedded, &[all[0].clone(), text(&[0; 70_000])]),
            malformed,
        ),
    ] {
        world.answer(200, &body);
        let found = world.certificate().await;
        assert_eq!(found.err().map(|error| error.code()), expected, "{name}");
        world.sandbox.clear_faults();
    }
    world.sandbox.stop().await.unwrap();
}

/// Fulcio refuses with 400 whatever is wrong with a token, and the refusal is final.
#[tokio::test]
async fn a_refusal_is_quoted_and_not_repeated() {
    let world = World::open().await;
    let mut claims = GithubToken::default().claims();
    claims.insert("aud".to_owned(), json!("somebody"));
    let token = world.sandbox.token(Issuer::Github, claims).unwrap();
    let token = Token::parse(&token).unwrap();
    let before = world.sandbox.requests().len();
    let error = world.certificate_for(&token).await.unwrap_err();
    assert_eq!(error.code(), DenyCode::ServiceRefused);
    assert!(
        error.to_string().contains("processing the identity token"),
        "{error}"
    );
    assert_eq!(world.sandbox.requests().len(), before + 1);
    assert!(world.certificate().await.is_ok());
    world.sandbox.stop().await.unwrap();
}

/// A service that repeats the token in its refusal is not quoted with it.
#[tokio::test]
async fn no_error_shows_the_token() {
    let world = World::open().await;
    let token = world.token();
    let text = format!("{token:?}");
    assert!(!text.contains("ey"), "{text}");
    let sent = {
        world.certificate_for(&token).await.unwrap();
        let request = world.sandbox.requests().pop().unwrap();
        request.authorization.unwrap().split_off("Bearer ".len())
    };
    for body in [
        format!("no such token: {sent}"),
        json!({ "message": format!("bad {sent} here") }).to_string(),
        json!({ "signedCertificateEmbeddedSct": sent }).to_string(),
    ] {
        for status in [200, 400, 500] {
            world.answer(status, &body);
            let error = world.certificate_for(&token).await.unwrap_err();
            let (shown, debug) = (error.to_string(), format!("{error:?}"));
            assert!(
                !shown.contains("eyJ") && !debug.contains("eyJ"),
                "{shown}\n{debug}"
            );
            assert!(!debug.contains(sent.rsplit('.').next().unwrap()), "{debug}");
            world.sandbox.clear_faults();
        }
    }
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn how_long_to_wait_is_told() {
    let world = World::open().await;
    world.inject("status=429,retry-after=3600");
    let error = world.certificate().await.unwrap_err();
    assert_eq!(error.code(), DenyCode::ServiceRateLimited);
    assert_eq!(error.retry_after().map(|time| time.as_secs()), Some(3600));
    assert!(matches!(error, Error::RateLimited { .. }));
    world.sandbox.stop().await.unwrap();
}
