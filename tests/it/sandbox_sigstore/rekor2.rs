//! Rekor v2: what enters the log, what is given for it, the tiles, and how the rest is refused.

use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use serde_json::Value;
use serde_json::json;
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::Sha256Hash;

use super::Ask;
use super::JSON;
use super::b64;
use super::certified;
use super::key;
use super::pem;
use super::rekor1::checkpoint;
use super::sandbox;
use super::sha256;
use super::unb64;

const ENTRIES: &str = "/api/v2/log/entries";
const INVALID: &str = "invalid hashedrekord request";

fn post(body: &Value) -> Ask {
    Ask::post(ENTRIES, JSON, body.to_string())
}

fn with_verifier(key: &SigningKey, artifact: &[u8], verifier: &Value) -> Value {
    json!({ "hashedRekordRequestV002": {
        "digest": b64(key.kind().hash().of(artifact)),
        "signature": { "content": b64(key.sign(artifact).unwrap()), "verifier": verifier },
    } })
}

fn by_key(key: &SigningKey, artifact: &[u8]) -> Value {
    let raw = json!({ "rawBytes": b64(key.spki()) });
    let verifier = json!({ "publicKey": raw, "keyDetails": key.kind().details() });
    with_verifier(key, artifact, &verifier)
}

pub(super) fn by_certificate(key: &SigningKey, certificate: &[u8], artifact: &[u8]) -> Value {
    let raw = json!({ "rawBytes": b64(certificate) });
    let verifier = json!({ "x509Certificate": raw, "keyDetails": key.kind().details() });
    with_verifier(key, artifact, &verifier)
}

fn set(mut body: Value, pointer: &str, to: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = format!("/hashedRekordRequestV002{parent}");
    let members = body.pointer_mut(&parent).unwrap().as_object_mut().unwrap();
    if to.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), to);
    }
    body
}

fn by_ed25519(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::ED25519;
    use aws_lc_rs::signature::UnparsedPublicKey;
    UnparsedPublicKey::new(&ED25519, key.raw())
        .verify(message, signature)
        .is_ok()
}

fn hash(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash::new(bytes.try_into().unwrap())
}

fn number(value: &Value) -> u64 {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .parse()
        .unwrap()
}

/// Asserts a whole entry, and gives its index and canonical body.
pub(super) fn entry(sandbox: &Sandbox, entry: &Value) -> (u64, Value) {
    let log = &sandbox.mint().rekor2;
    let body = unb64(entry["canonicalizedBody"].as_str().unwrap());
    let proof = &entry["inclusionProof"];
    let text = proof["checkpoint"]["envelope"].as_str().unwrap();
    let (origin, size, root) = checkpoint(text, |hint, note, signature| {
        hint == &log.id[..4] && by_ed25519(&log.key, note, signature)
    });
    assert_eq!(origin, log.origin);
    let index = number(&entry["logIndex"]);
    let hashes = proof["hashes"].clone();
    let expected = json!({
        "logIndex": index.to_string(),
        "logId": { "keyId": b64(&log.id) },
        "kindVersion": { "kind": "hashedrekord", "version": "0.0.2" },
        "integratedTime": "0",
        "inclusionPromise": null,
        "inclusionProof": {
            "logIndex": index.to_string(),
            "rootHash": b64(&root),
            "treeSize": size.to_string(),
            "hashes": hashes,
            "checkpoint": { "envelope": text },
        },
        "canonicalizedBody": b64(&body),
    });
    assert_eq!(entry, &expected);
    let path: Vec<_> = hashes
        .as_array()
        .unwrap()
        .iter()
        .map(|one| hash(&unb64(one.as_str().unwrap())))
        .collect();
    let leaf = sha256(&[&[0], &body[..]].concat());
    verify_inclusion_proof(&hash(&leaf), index, size, &path, &hash(&root)).unwrap();
    (index, serde_json::from_slice(&body).unwrap())
}

async fn logged(sandbox: &Sandbox, name: &str, ask: &Ask) -> (u64, Value) {
    let got = ask.to(sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (201, JSON),
        "{name}: {got:?}"
    );
    for header in ["location", "etag", "x-log-index"] {
        assert_eq!(got.header(header), None, "{name}");
    }
    entry(sandbox, &got.json())
}

async fn refused(sandbox: &Sandbox, name: &str, ask: &Ask, status: u16, message: &str) {
    let got = ask.to(sandbox).await;
    let code = match status {
        400 => 3,
        404 => 5,
        409 => 6,
        500 => 13,
        501 => 12,
        _ => panic!("{status}"),
    };
    assert_eq!(
        (got.status, got.media_type()),
        (status, JSON),
        "{name}: {got:?}"
    );
    let body = json!({ "code": code, "message": message, "details": [] });
    assert_eq!(got.json(), body, "{name}");
}

#[tokio::test]
async fn an_entry_is_given_with_everything_that_proves_it() {
    let sandbox = sandbox().await;
    let (own, chain) = certified(&sandbox).await;
    let ask = post(&by_certificate(&own, &chain[0], b"one"));
    let (index, body) = logged(&sandbox, "first", &ask).await;
    let request: Value = serde_json::from_slice(&ask.body).unwrap();
    let request = &request["hashedRekordRequestV002"];
    let expected = json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": { "hashedRekordV002": {
        "data": { "algorithm": "SHA2_256", "digest": request["digest"] },
        "signature": request["signature"],
    } } });
    assert_eq!((index, body), (0, expected));
    let again = ask.to(&sandbox).await;
    assert_eq!(
        (again.status, again.header("x-log-index")),
        (409, Some("0"))
    );
    let message = "an equivalent entry already exists in the transparency log with index 0";
    refused(&sandbox, "again", &ask, 409, message).await;
    let ask = post(&by_certificate(&own, &chain[0], b"one"));
    assert_eq!(logged(&sandbox, "another signature", &ask).await.0, 1);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn keys_are_taken_by_the_hash_that_goes_with_them() {
    let sandbox = sandbox().await;
    for (kind, algorithm) in [
        (KeyKind::P256, "SHA2_256"),
        (KeyKind::P384, "SHA2_384"),
        (KeyKind::P521, "SHA2_512"),
        (KeyKind::Rsa2048, "SHA2_256"),
    ] {
        let own = key(kind);
        let body = by_key(&own, b"artifact");
        let (_, stored) = logged(&sandbox, algorithm, &post(&body)).await;
        let data = &stored["spec"]["hashedRekordV002"]["data"];
        assert_eq!(data["algorithm"], algorithm);
        let forged = by_key(&key(kind), b"artifact");
        let forged = set(
            forged,
            "/signature/verifier",
            body["hashedRekordRequestV002"]["signature"]["verifier"].clone(),
        );
        refused(&sandbox, "by another", &post(&forged), 400, INVALID).await;
    }
    let (p256, p384) = (key(KeyKind::P256), key(KeyKind::P384));
    let details = "/signature/verifier/keyDetails";
    // Only the hash of the details is used: the wrong name is stored as it is.
    for name in ["PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_ECDSA_P384_SHA_256"] {
        let body = set(by_key(&p256, b"artifact"), details, json!(name));
        let (_, stored) = logged(&sandbox, name, &post(&body)).await;
        assert_eq!(
            stored["spec"]["hashedRekordV002"]["signature"]["verifier"]["keyDetails"],
            name
        );
    }
    let body = set(by_key(&p256, b"artifact"), details, json!(5));
    let (_, stored) = logged(&sandbox, "a number", &post(&body)).await;
    assert_eq!(
        stored["spec"]["hashedRekordV002"]["signature"]["verifier"]["keyDetails"],
        "PKIX_ECDSA_P256_SHA_256"
    );
    for (name, body) in [
        (
            "P-256 as SHA-384",
            set(
                by_key(&p256, b"x"),
                details,
                json!("PKIX_ECDSA_P384_SHA_384"),
            ),
        ),
        (
            "P-384 as SHA-256",
            set(
                by_key(&p384, b"x"),
                details,
                json!("PKIX_ECDSA_P256_SHA_256"),
            ),
        ),
        ("none", set(by_key(&p256, b"x"), details, Value::Null)),
        ("zero", set(by_key(&p256, b"x"), details, json!(0))),
        (
            "a number of nothing",
            set(by_key(&p256, b"x"), details, json!(99)),
        ),
        (
            "unspecified",
            set(
                by_key(&p256, b"x"),
                details,
                json!("PUBLIC_KEY_DETAILS_UNSPECIFIED"),
            ),
        ),
        (
            "LMS",
            set(by_key(&p256, b"x"), details, json!("LMS_SHA256")),
        ),
        (
            "HMAC",
            set(
                by_key(&p256, b"x"),
                details,
                json!("PKIX_ECDSA_P256_HMAC_SHA_256"),
            ),
        ),
        (
            "plain Ed25519 as pre-hashed",
            set(
                by_key(&key(KeyKind::Ed25519), b"x"),
                details,
                json!("PKIX_ED25519_PH"),
            ),
        ),
    ] {
        refused(&sandbox, name, &post(&body), 400, INVALID).await;
    }
    // The real log panics here, and recovers.
    let body = by_key(&key(KeyKind::Ed25519), b"x");
    refused(
        &sandbox,
        "Ed25519",
        &post(&body),
        500,
        "internal server error",
    )
    .await;
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn requests_that_do_not_hold_together_are_invalid() {
    let sandbox = sandbox().await;
    let (own, chain) = certified(&sandbox).await;
    let good = || by_certificate(&own, &chain[0], b"artifact");
    let raw = "/signature/verifier/x509Certificate/rawBytes";
    for (name, body) in [
        (
            "another digest",
            set(good(), "/digest", json!(b64([7; 32]))),
        ),
        ("a short digest", set(good(), "/digest", json!(b64([7; 3])))),
        ("a long digest", set(good(), "/digest", json!(b64([7; 64])))),
        ("no digest", set(good(), "/digest", Value::Null)),
        ("no signature", set(good(), "/signature", Value::Null)),
        ("no content", set(good(), "/signature/content", Value::Null)),
        (
            "no DER",
            set(good(), "/signature/content", json!(b64("garbage"))),
        ),
        (
            "no verifier",
            set(good(), "/signature/verifier", Value::Null),
        ),
        (
            "no kind of verifier",
            set(good(), "/signature/verifier/x509Certificate", Value::Null),
        ),
        ("no bytes", set(good(), raw, Value::Null)),
        ("garbage", set(good(), raw, json!(b64("garbage")))),
        (
            "PEM",
            set(good(), raw, json!(b64(pem("CERTIFICATE", &chain[0])))),
        ),
        (
            "a garbage key",
            with_verifier(
                &own,
                b"x",
                &json!({ "publicKey": { "rawBytes": b64("x") }, "keyDetails": 5 }),
            ),
        ),
    ] {
        refused(&sandbox, name, &post(&body), 400, INVALID).await;
    }
    assert_eq!(logged(&sandbox, "good", &post(&good())).await.0, 0);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn bodies_are_read_as_protojson_reads_them() {
    let sandbox = sandbox().await;
    let (own, chain) = certified(&sandbox).await;
    let good = || by_certificate(&own, &chain[0], b"artifact");
    let text = |body: &str| Ask::post(ENTRIES, JSON, body.to_owned());
    let at = |body: &str, needle: &str| body.find(needle).unwrap() + 1;
    let outer = good().to_string().replacen('{', "{\"extra\":1,", 1);
    let inner = set(good(), "/extra", json!(1)).to_string();
    let digest = set(good(), "/digest", json!("zz!")).to_string();
    let foo = set(good(), "/signature/verifier/keyDetails", json!("FOO")).to_string();
    // Members are sorted, so the certificate is the second of the two.
    let both = set(
        good(),
        "/signature/verifier/publicKey",
        json!({ "rawBytes": b64(own.spki()) }),
    )
    .to_string();
    let hashed = "invalid type, must be hashedrekord";
    for (body, expected) in [
        (
            outer.clone(),
            format!(
                "proto: (line 1:{}): unknown field \"extra\"",
                at(&outer, "\"extra")
            ),
        ),
        (
            inner.clone(),
            format!(
                "proto: (line 1:{}): unknown field \"extra\"",
                at(&inner, "\"extra")
            ),
        ),
        (
            digest.clone(),
            format!(
                "proto: (line 1:{}): invalid value for bytes field digest: \"zz!\"",
                at(&digest, "\"zz!")
            ),
        ),
        (
            foo.clone(),
            format!(
                "proto: (line 1:{}): invalid value for enum field keyDetails: \"FOO\"",
                at(&foo, "\"FOO")
            ),
        ),
        (
            both.clone(),
            format!(
                "proto: (line 1:{}): error parsing \"x509Certificate\", oneof dev.sigstore.rekor.v2.Verifier.verifier is already set",
                at(&both, "\"x509")
            ),
        ),
        ("{\"x".to_owned(), "unexpected EOF".to_owned()),
        (
            "hello".to_owned(),
            "invalid character 'h' looking for beginning of value".to_owned(),
        ),
        (
            "[]".to_owned(),
            "proto: syntax error (line 1:1): unexpected token [".to_owned(),
        ),
        (
            "null".to_owned(),
            "proto: syntax error (line 1:1): unexpected token null".to_owned(),
        ),
        (
            json!({ "dsseRequestV002": { "envelope": {} } }).to_string(),
            hashed.to_owned(),
        ),
        ("{}".to_owned(), hashed.to_owned()),
        (String::new(), hashed.to_owned()),
    ] {
        refused(&sandbox, &body, &text(&body), 400, &expected).await;
    }
    let snake = |body: &Value| {
        body.to_string()
            .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
            .replace("x509Certificate", "x509_certificate")
            .replace("rawBytes", "raw_bytes")
            .replace("keyDetails", "key_details")
    };
    let pair = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &own.to_pkcs8().unwrap(),
    );
    let fixed = pair
        .unwrap()
        .sign(&aws_lc_rs::rand::SystemRandom::new(), b"artifact")
        .unwrap();
    for (name, ask) in [
        ("names of the definition", text(&snake(&good()))),
        ("text after it", text(&format!("{} trailing", good()))),
        (
            "another type",
            Ask::post(ENTRIES, "text/plain", good().to_string()),
        ),
        (
            "another answer wanted",
            text(&good().to_string()).with("accept", "text/plain"),
        ),
        (
            "two numbers",
            post(&set(good(), "/signature/content", json!(b64(fixed)))),
        ),
    ] {
        logged(&sandbox, name, &ask).await;
    }
    let mut ask = text(&good().to_string());
    ask.body.resize(4_194_305, b' ');
    refused(
        &sandbox,
        "too large",
        &ask,
        400,
        "http: request body too large",
    )
    .await;
    assert_eq!(ask.to(&sandbox).await.header("connection"), Some("close"));
    ask.body.pop();
    logged(&sandbox, "4 MiB", &ask).await;
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_404_and_501() {
    let sandbox = sandbox().await;
    for method in ["GET", "PUT", "DELETE"] {
        refused(
            &sandbox,
            method,
            &Ask::new(method, ENTRIES),
            501,
            "Method Not Allowed",
        )
        .await;
    }
    assert_eq!(Ask::new("HEAD", ENTRIES).to(&sandbox).await.status, 501);
    for path in ["/api/v2/checkpoint", "/api/v2/tile/0/000"] {
        refused(
            &sandbox,
            path,
            &Ask::post(path, JSON, "{}"),
            501,
            "Method Not Allowed",
        )
        .await;
    }
    for path in ["/api/v2/log/entries/", "/api/v2/log", "/api/v2/none"] {
        refused(
            &sandbox,
            path,
            &Ask::post(path, JSON, "{}"),
            404,
            "Not Found",
        )
        .await;
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn checkpoint_and_tiles_are_those_of_the_storage() {
    let sandbox = sandbox().await;
    let log = sandbox.mint().rekor2.clone();
    let head = async || {
        let got = Ask::get("/api/v2/checkpoint").to(&sandbox).await;
        assert_eq!(got.status, 200);
        let (origin, size, root) = checkpoint(got.text(), |hint, note, signature| {
            hint == &log.id[..4] && by_ed25519(&log.key, note, signature)
        });
        assert_eq!(origin, log.origin);
        (size, root)
    };
    let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(head().await, (0, unb64(empty)));
    let own = key(KeyKind::P256);
    let count = 258_usize;
    let mut bodies = Vec::new();
    for number in 0..count {
        let body = by_key(&own, format!("artifact {number}").as_bytes());
        let got = post(&body).to(&sandbox).await.json();
        bodies.push(unb64(got["canonicalizedBody"].as_str().unwrap()));
    }
    let leaves: Vec<_> = bodies
        .iter()
        .map(|body| sha256(&[&[0], &body[..]].concat()))
        .collect();
    let bundle = |bodies: &[Vec<u8>]| -> Vec<u8> {
        bodies
            .iter()
            .flat_map(|body| {
                [&u16::try_from(body.len()).unwrap().to_be_bytes(), &body[..]].concat()
            })
            .collect()
    };
    let mut node = leaves[..256].to_vec();
    while node.len() > 1 {
        let pairs = node.chunks(2);
        node = pairs
            .map(|pair| sha256(&[&[1], &pair[0][..], &pair[1]].concat()))
            .collect();
    }
    for (path, expected) in [
        ("0/000", leaves[..256].concat()),
        ("0/000.p/3", leaves[..3].concat()),
        ("0/001.p/2", leaves[256..].concat()),
        ("1/000.p/1", node.concat()),
        ("entries/000", bundle(&bodies[..256])),
        ("entries/001.p/2", bundle(&bodies[256..])),
        ("entries/001.p/1", bundle(&bodies[256..257])),
    ] {
        let got = Ask::get(&format!("/api/v2/tile/{path}")).to(&sandbox).await;
        assert_eq!((got.status, got.body), (200, expected), "{path}");
    }
    for path in [
        "0/001",
        "0/001.p/3",
        "0/002",
        "1/000",
        "2/000.p/1",
        "64/000",
        "entries/001",
        "entries/1",
        "0/000.p/0",
        "0/000.p/257",
        "x/000",
        "0",
        "0/x",
        "-1/000",
        "0/x000/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        refused(
            &sandbox,
            path,
            &Ask::get(&format!("/api/v2/tile/{path}")),
            404,
            "Not Found",
        )
        .await;
    }
    assert_eq!(head().await.0, 258);
    sandbox.stop().await.unwrap();
}
