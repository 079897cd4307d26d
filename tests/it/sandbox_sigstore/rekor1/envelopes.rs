//! Envelopes and statements: `dsse` and both versions of `intoto`.

use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pae;
use serde_json::Value;
use serde_json::json;

use super::super::b64;
use super::super::certified;
use super::super::hex;
use super::super::key;
use super::super::pem;
use super::super::sandbox;
use super::super::sha256;
use super::ENTRIES;
use super::logged;
use super::post;
use super::refused;
use super::with;

const TYPE: &str = "application/vnd.in-toto+json";

fn envelope(payload_type: &str, payload: &[u8], keys: &[&SigningKey]) -> Value {
    let signatures: Vec<_> = keys
        .iter()
        .map(|key| json!({ "sig": b64(key.sign(&pae(payload_type, payload)).unwrap()) }))
        .collect();
    json!({ "payloadType": payload_type, "payload": b64(payload), "signatures": signatures })
}

/// A signed envelope, as clients propose it.
fn dsse(envelope: &str, verifiers: &[&str]) -> Value {
    let verifiers: Vec<_> = verifiers.iter().map(b64).collect();
    json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "proposedContent": { "envelope": envelope, "verifiers": verifiers },
            "signatures": null,
        },
    })
}

fn intoto2(key: &SigningKey, payload: &[u8]) -> Value {
    let envelope = envelope(TYPE, payload, &[key]);
    let twice = |text: &Value| b64(text.as_str().unwrap());
    json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": { "content": {
            "envelope": {
                "payloadType": TYPE,
                "payload": twice(&envelope["payload"]),
                "signatures": [{
                    "sig": twice(&envelope["signatures"][0]["sig"]),
                    "publicKey": b64(key.public_pem()),
                }],
            },
            "hash": { "algorithm": "sha256", "value": "ab".repeat(32) },
        } },
    })
}

#[tokio::test]
async fn envelopes_are_taken_and_refused_as_rekor_does() {
    let sandbox = sandbox().await;
    let (own, other) = (key(KeyKind::P256), key(KeyKind::P256));
    let (own_pem, other_pem) = (own.public_pem(), other.public_pem());
    let payload = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
    let one = envelope(TYPE, payload, &[&own]);
    let two = envelope(TYPE, payload, &[&own, &other]);
    let b = |text: &str| format!("error processing entry: {text}");
    let none = with(one.clone(), "/signatures", json!([])).to_string();
    let good = dsse(&one.to_string(), &[&own_pem]);
    for (name, body, message) in [
        (
            "by another key",
            dsse(&one.to_string(), &[&other_pem]),
            b(
                "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1",
            ),
        ),
        (
            "one verifier of two",
            dsse(&two.to_string(), &[&own_pem]),
            b("all signatures must have a key that verifies it"),
        ),
        (
            "no signatures",
            dsse(&none, &[&own_pem]),
            b("DSSE envelope must contain 1 or more signatures"),
        ),
        (
            "no verifiers",
            dsse(&one.to_string(), &[]),
            b(
                "validation failure list:\nproposedContent.proposedContent.verifiers in body should have at least 1 items",
            ),
        ),
        (
            "garbage",
            dsse("garbage", &[&own_pem]),
            b("invalid character 'g' looking for beginning of value"),
        ),
        (
            "garbage for a verifier",
            dsse(&one.to_string(), &["garbage"]),
            b("could not parse public key as x509: invalid public key: failure decoding PEM"),
        ),
        (
            "nothing",
            with(good.clone(), "/spec", json!({})),
            b(
                "either proposedContent or envelopeHash, payloadHash, and signatures must be present",
            ),
        ),
        (
            "an unknown version",
            with(good.clone(), "/apiVersion", json!("0.0.2")),
            b(
                "dsse implementation for version '0.0.2' not found: unable to locate entry for version 0.0.2",
            ),
        ),
    ] {
        refused(
            &sandbox,
            name,
            &post(ENTRIES, &body),
            (400, 400, &message, true),
        )
        .await;
    }
    let expected = |text: &str, payload: &[u8], pairs: &mut [(&str, &str)]| {
        pairs.sort_unstable();
        let signatures: Vec<_> = pairs
            .iter()
            .map(|(signature, pem)| json!({ "signature": signature, "verifier": b64(pem) }))
            .collect();
        json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": { "algorithm": "sha256", "value": hex(&sha256(text.as_bytes())) },
            "payloadHash": { "algorithm": "sha256", "value": hex(&sha256(payload)) },
            "signatures": signatures,
        } })
    };
    let sig = |envelope: &Value, at: usize| {
        envelope["signatures"][at]["sig"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let text = one.to_string();
    let (_, index, body) = logged(&sandbox, "good", &good).await;
    let signature = sig(&one, 0);
    assert_eq!(
        (index, body),
        (0, expected(&text, payload, &mut [(&signature, &own_pem)]))
    );
    // Verifiers in any order; those that nobody needs are dropped.
    let surplus = key(KeyKind::P256).public_pem();
    let body = dsse(&two.to_string(), &[&surplus, &other_pem, &own_pem]);
    let (first, second) = (sig(&two, 0), sig(&two, 1));
    let mut pairs = [(first.as_str(), own_pem.as_str()), (&second, &other_pem)];
    assert_eq!(
        logged(&sandbox, "two", &body).await.2,
        expected(&two.to_string(), payload, &mut pairs)
    );
    // Any type, any payload, and key ids that are forgotten.
    let odd = envelope("text/plain", b"no JSON", &[&own]);
    let odd = with(
        with(odd, "/extra", json!(1)),
        "/signatures/0/keyid",
        json!("kk"),
    )
    .to_string();
    let (_, _, body) = logged(&sandbox, "odd", &dsse(&odd, &[&own_pem])).await;
    assert_eq!(
        body["spec"]["payloadHash"]["value"],
        hex(&sha256(b"no JSON"))
    );
    // A certificate in place of the key.
    let (own, chain) = certified(&sandbox).await;
    let certificate = pem("CERTIFICATE", &chain[0]);
    let signed = envelope(TYPE, payload, &[&own]);
    let (_, _, body) = logged(
        &sandbox,
        "certificate",
        &dsse(&signed.to_string(), &[&certificate]),
    )
    .await;
    assert_eq!(body["spec"]["signatures"][0]["verifier"], b64(&certificate));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn statements_of_the_older_kinds_are_taken_too() {
    let sandbox = sandbox().await;
    let (own, other) = (key(KeyKind::P256), key(KeyKind::P256));
    let payload = br#"{"_type":"x"}"#;
    let good = intoto2(&own, payload);
    let (_, _, body) = logged(&sandbox, "0.0.2", &good).await;
    let mut expected = good.clone();
    let content = &mut expected["spec"]["content"];
    content["envelope"]
        .as_object_mut()
        .unwrap()
        .remove("payload");
    content["payloadHash"] = json!({ "algorithm": "sha256", "value": hex(&sha256(payload)) });
    assert_eq!(body, expected);
    let no_hash = with(good.clone(), "/spec/content/hash", Value::Null);
    let message = "error generating canonicalized entry";
    refused(
        &sandbox,
        "no hash",
        &post(ENTRIES, &no_hash),
        (500, 500, message, true),
    )
    .await;
    let message = "error processing entry: could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1";
    let pointer = "/spec/content/envelope/signatures/0/publicKey";
    let forged = with(no_hash, pointer, json!(b64(other.public_pem())));
    refused(
        &sandbox,
        "by another",
        &post(ENTRIES, &forged),
        (400, 400, message, true),
    )
    .await;

    let envelope = envelope(TYPE, payload, &[&own]).to_string();
    let old = json!({
        "apiVersion": "0.0.1",
        "kind": "intoto",
        "spec": { "content": { "envelope": envelope }, "publicKey": b64(own.public_pem()) },
    });
    let (_, _, body) = logged(&sandbox, "0.0.1", &old).await;
    let digest = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&sha256(bytes)) });
    assert_eq!(
        body["spec"],
        json!({
            "content": { "hash": digest(envelope.as_bytes()), "payloadHash": digest(payload) },
            "publicKey": b64(own.public_pem()),
        })
    );
    let forged = with(old, "/spec/publicKey", json!(b64(other.public_pem())));
    refused(
        &sandbox,
        "by another",
        &post(ENTRIES, &forged),
        (400, 400, message, true),
    )
    .await;
    sandbox.stop().await.unwrap();
}
