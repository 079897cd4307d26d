//! Which keys are certified, and how their holders prove themselves.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use serde_json::Value;
use serde_json::json;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::super::Ask;
use super::super::SIGNING;
use super::super::b64;
use super::super::certificate_request;
use super::super::csr;
use super::super::key;
use super::super::pem;
use super::super::sandbox;
use super::super::signing;
use super::KEY;
use super::POSSESSION;
use super::accepted;
use super::good_token;
use super::refused;
use super::sub;
use super::url64;

const WEAK: &str = "The public key supplied in the request is insecure";

const REQUEST: &str = "The certificate signing request could not be parsed";

/// Of a P-224 key.
const P224: &str = "ME4wEAYHKoZIzj0CAQYFK4EEACEDOgAErYFXd4E68Bd0nUAoCgTR6gffoVGmL+O05cxLa9eB1XgoQbGf009Tq/RCPiViXqoBL5Vm8FQ1khY=";

/// A P-384 key, and what it made with SHA-256: a proof of possession for the typical subject, and
/// a request for a certificate.
const P384: [&str; 3] = [
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEGREhSrNHepEjAJOlbrVEJB/dKkexEh5N8scVMqnYdpJwxl2wO296YCo+gI7Rccx68N//iRk0ca3LDgHFwBtr3u6QEYURUqBT+tNPdAuOxKCwzgu1hoL8BA21DfY7eVtN",
    "MGQCMFuikYcxOAkEoqnvP6GkL/U0Rd3Wz3x6rXn82BoBj9jIQHH3q69VBCVGa8qMKdFMGgIwEyCnTodZTZ/LYjCMSkv5Zf5PCzNI6Rah3UwIWbFh8ZFz4/ywaF5F5M71SbHma9Pm",
    "MIIBCjCBkAIBADARMQ8wDQYDVQQDDAZub2JvZHkwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAAQZESFKs0d6kSMAk6VutUQkH90qR7ESHk3yxxUyqdh2knDGXbA7b3pgKj6AjtFxzHrw3/+JGTRxrcsOAcXAG2ve7pARhRFSoFP60090C47EoLDOC7WGgvwEDbUN9jt5W02gADAKBggqhkjOPQQDAgNpADBmAjEA1XMAjetLU/WwEQJP3LIcZC3Pl5CDH8dqqEVLXbNtrDwvI7w+LJG6JOVwhLM5N8oeAjEAvL7J6VDzikKE9vWVO5EwRkfd78oiQ+pvCDtw7dJA9P3SHk3h3+ly5s81RskMu6DD",
];

/// The two numbers of a signature by a P-256 key one after the other.
fn fixed(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let by = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(by, &key.to_pkcs8().unwrap()).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message).unwrap();
    signature.as_ref().to_vec()
}

/// A signature by a P-256 key over another hash than its own.
fn with_sha384(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    use p256::ecdsa::Signature;
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::pkcs8::DecodePrivateKey;
    let pkcs8 = key.to_pkcs8().unwrap();
    let own = p256::ecdsa::SigningKey::from_pkcs8_der(&pkcs8).unwrap();
    let hash = HashKind::Sha384.of(message);
    let signature: Signature = own.sign_prehash(&hash).unwrap();
    signature.to_der().as_bytes().to_vec()
}

fn request(content: &str, proof: &str) -> Value {
    json!({ "publicKeyRequest": {
        "publicKey": { "algorithm": "ECDSA", "content": content },
        "proofOfPossession": proof,
    } })
}

#[tokio::test]
async fn keys_of_every_kind_are_certified_for_who_holds_them() {
    let sandbox = sandbox().await;
    let sub = sub();
    let ask = |body: &Value| signing(body, &good_token(&sandbox));
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ] {
        let (own, stranger) = (key(kind), key(kind));
        let name = format!("{kind:?}");
        let chain = accepted(&sandbox, &name, &ask(&certificate_request(&own, &sub))).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(leaf.public_key().raw, own.spki(), "{name}");
        let proof = b64(stranger.sign(sub.as_bytes()).unwrap());
        for (what, body) in [
            ("another message", certificate_request(&own, "another")),
            ("another key", request(&own.public_pem(), &proof)),
            ("nothing", request(&own.public_pem(), "")),
            ("no signature", request(&own.public_pem(), &b64("garbage"))),
        ] {
            let name = format!("{name}, {what}");
            refused(&sandbox, &name, &ask(&body), 400, POSSESSION).await;
        }
    }
    let (p256, rsa) = (key(KeyKind::P256), key(KeyKind::Rsa2048));
    let message = sub.as_bytes();
    let pair = RsaKeyPair::from_pkcs8(&rsa.to_pkcs8().unwrap()).unwrap();
    let mut pss = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut pss)
        .unwrap();
    let p384 = pem("PUBLIC KEY", &super::super::unb64(P384[0]));
    for (name, pem, proof) in [
        (
            "P-256 with SHA-384",
            p256.public_pem(),
            b64(with_sha384(&p256, message)),
        ),
        ("P-384 with SHA-256", p384, P384[1].to_owned()),
        ("PSS", rsa.public_pem(), b64(pss)),
    ] {
        refused(
            &sandbox,
            name,
            &ask(&request(&pem, &proof)),
            400,
            POSSESSION,
        )
        .await;
    }
    let fixed = fixed(&p256, message);
    let proof = p256.sign(message).unwrap();
    let pem_of = p256.public_pem();
    // PKCS #1 is the SPKI of RSA without its first 24 bytes.
    let pkcs1 = pem("RSA PUBLIC KEY", &rsa.spki()[24..]);
    let rsa_proof = b64(rsa.sign(message).unwrap());
    for (name, body) in [
        ("two numbers", request(&pem_of, &b64(&fixed))),
        ("base64 of URLs", request(&pem_of, &url64(&proof))),
        (
            "text after the key",
            request(&format!("{pem_of}junk\n"), &b64(&proof)),
        ),
        ("PKCS #1", request(&pkcs1, &rsa_proof)),
    ] {
        accepted(&sandbox, name, &ask(&body)).await;
    }
    for algorithm in [
        json!("XX"),
        json!(99),
        json!("RSA_PSS"),
        json!("ecdsa"),
        Value::Null,
    ] {
        let mut body = certificate_request(&p256, &sub);
        body["publicKeyRequest"]["publicKey"]["algorithm"] = algorithm.clone();
        accepted(&sandbox, &algorithm.to_string(), &ask(&body)).await;
    }
    sandbox.stop().await.unwrap();
}

/// A public key of RSA whose modulus has this many bytes.
fn rsa_key(bytes: usize) -> Vec<u8> {
    let mut modulus = vec![0xc5; bytes];
    modulus[bytes - 1] = 0x01;
    let modulus = der::integer_bytes(&[&[0], modulus.as_slice()].concat());
    let key = der::sequence(&[modulus, der::integer(65537)]);
    let algorithm = der::algorithm_null("1.2.840.113549.1.1.1");
    der::sequence(&[algorithm, der::bit_string(&key)])
}

#[tokio::test]
async fn keys_that_are_none_or_too_weak_are_told_apart() {
    let sandbox = sandbox().await;
    let ask = |body: &Value| signing(body, &good_token(&sandbox));
    let own = key(KeyKind::P256);
    let der = own.spki();
    let brainpool = {
        let curve = der::sequence(&[
            der::oid("1.2.840.10045.2.1"),
            der::oid("1.3.36.3.3.2.8.1.1.7"),
        ]);
        der::sequence(&[curve, der::bit_string(&der[26..])])
    };
    let off_curve = {
        let mut bytes = der.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    for (name, content, expected) in [
        ("garbage", "garbage".to_owned(), KEY),
        (
            "broken PEM",
            own.public_pem().replace("END PUBLIC", "END PRIVATE"),
            KEY,
        ),
        ("DER", b64(der), KEY),
        ("empty", String::new(), KEY),
        ("secp256k1", key(KeyKind::P256K1).public_pem(), KEY),
        ("Brainpool", pem("PUBLIC KEY", &brainpool), KEY),
        ("not on its curve", pem("PUBLIC KEY", &off_curve), KEY),
        ("a certificate", pem("CERTIFICATE", der), KEY),
        ("RSA of 1024 bits", pem("PUBLIC KEY", &rsa_key(128)), WEAK),
        ("P-224", pem("PUBLIC KEY", &super::super::unb64(P224)), WEAK),
    ] {
        let body = request(&content, &b64(own.sign(b"x").unwrap()));
        refused(&sandbox, name, &ask(&body), 400, expected).await;
    }
    for body in [
        json!({}),
        json!({ "publicKeyRequest": {} }),
        json!({ "certificateSigningRequest": "" }),
    ] {
        refused(&sandbox, "no key", &ask(&body), 400, KEY).await;
    }
    let token = good_token(&sandbox);
    let nothing = Ask::new("POST", SIGNING).with("authorization", &token);
    refused(&sandbox, "no body", &nothing, 400, KEY).await;
    accepted(&sandbox, "good", &ask(&certificate_request(&own, &sub()))).await;
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_signing_request_counts_by_its_key_and_signature() {
    let sandbox = sandbox().await;
    let token = good_token(&sandbox);
    let ask = |csr: &[u8]| signing(&json!({ "certificateSigningRequest": b64(csr) }), &token);
    let in_pem = |der: &[u8]| pem("CERTIFICATE REQUEST", der).into_bytes();
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ] {
        let own = key(kind);
        let good = csr(&own, &kind.signature_algorithm(), |info| {
            own.sign(info).unwrap()
        });
        let chain = accepted(&sandbox, &format!("{kind:?}"), &ask(&in_pem(&good))).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(leaf.public_key().raw, own.spki());
        assert_eq!(leaf.subject().as_raw(), [0x30, 0]);
        let stranger = key(kind);
        let bad = csr(&own, &kind.signature_algorithm(), |info| {
            stranger.sign(info).unwrap()
        });
        let name = format!("{kind:?} by another");
        refused(&sandbox, &name, &ask(&in_pem(&bad)), 400, POSSESSION).await;
        refused(&sandbox, "DER", &ask(&good), 400, REQUEST).await;
    }
    refused(&sandbox, "garbage", &ask(b"garbage"), 400, REQUEST).await;
    refused(
        &sandbox,
        "garbage in PEM",
        &ask(&in_pem(b"garbage")),
        400,
        REQUEST,
    )
    .await;
    let permitted = "signing algorithm not permitted: *ecdsa.PublicKey, SHA-256";
    let other = ask(&in_pem(&super::super::unb64(P384[2])));
    refused(&sandbox, "P-384 with SHA-256", &other, 400, permitted).await;
    let own = key(KeyKind::P256);
    let algorithm = KeyKind::P384.signature_algorithm();
    let other = csr(&own, &algorithm, |info| with_sha384(&own, info));
    let permitted = "signing algorithm not permitted: *ecdsa.PublicKey, SHA-384";
    refused(
        &sandbox,
        "P-256 with SHA-384",
        &ask(&in_pem(&other)),
        400,
        permitted,
    )
    .await;
    sandbox.stop().await.unwrap();
}
