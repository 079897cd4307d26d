//! Rekor v1: what enters the log, what is given for it, and how everything else is refused.

mod envelopes;
mod reads;

use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use serde_json::Value;
use serde_json::json;
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::Sha256Hash;

use super::Ask;
use super::Got;
use super::JSON;
use super::b64;
use super::certified;
use super::hex;
use super::key;
use super::pem;
use super::sandbox;
use super::sha256;
use super::unb64;
use super::unhex;

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";

const INDEX: &str = "/api/v1/index/retrieve";

pub(super) fn post(path: &str, body: &Value) -> Ask {
    Ask::post(path, JSON, body.to_string())
}

/// A signed artifact, as clients propose it.
pub(super) fn hashed_rekord(key: &SigningKey, pem: &str, artifact: &[u8]) -> Value {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hex(&sha256(artifact)) } },
            "signature": {
                "content": b64(key.sign(artifact).unwrap()),
                "publicKey": { "content": b64(pem) },
            },
        },
    })
}

/// Takes members away, or sets them: `/a/b` is a JSON pointer, and null takes away.
fn with(mut value: Value, pointer: &str, to: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if to.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), to);
    }
    value
}

fn hash(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash::new(bytes.try_into().unwrap())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// The lines before the signatures of a checkpoint, verified: origin, size, root.
pub(super) fn checkpoint(
    text: &str,
    verify: impl Fn(&[u8], &[u8], &[u8]) -> bool,
) -> (String, u64, Vec<u8>) {
    let (note, signatures) = text.split_once("\n\n").unwrap();
    let note = format!("{note}\n");
    let lines: Vec<_> = note.lines().collect();
    let line = signatures
        .strip_prefix("\u{2014} ")
        .unwrap()
        .strip_suffix('\n')
        .unwrap();
    let (name, signature) = line.split_once(' ').unwrap();
    assert_eq!(Some(name), lines[0].split(" - ").next(), "{text}");
    let bytes = unb64(signature);
    let (hint, signature) = bytes.split_at(4);
    assert!(verify(hint, note.as_bytes(), signature), "{text}");
    let [origin, size, root] = lines[..] else {
        panic!("{text}");
    };
    (origin.to_owned(), size.parse().unwrap(), unb64(root))
}

fn by_p256(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
    use aws_lc_rs::signature::UnparsedPublicKey;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.raw());
    key.verify(message, signature).is_ok()
}

/// Verifies promise, proof and checkpoint of an entry; gives index and body.
pub(super) fn entry(sandbox: &Sandbox, id: &str, entry: &Value) -> (u64, Value) {
    let log = &sandbox.mint().rekor1;
    let members: Vec<_> = entry.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "body",
            "integratedTime",
            "logID",
            "logIndex",
            "verification"
        ]
    );
    let body = unb64(entry["body"].as_str().unwrap());
    let leaf = sha256(&[&[0], &body[..]].concat());
    let tree: u64 = log.origin.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(id, format!("{tree:016x}{}", hex(&leaf)));
    assert_eq!(entry["logID"], hex(&log.id));
    let signed = json!({
        "body": entry["body"], "integratedTime": entry["integratedTime"],
        "logID": entry["logID"], "logIndex": entry["logIndex"],
    });
    let promise = unb64(
        entry["verification"]["signedEntryTimestamp"]
            .as_str()
            .unwrap(),
    );
    assert!(
        by_p256(&log.key, signed.to_string().as_bytes(), &promise),
        "{entry}"
    );
    let proof = &entry["verification"]["inclusionProof"];
    let root = unhex(proof["rootHash"].as_str().unwrap());
    let path: Vec<_> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| hash(&unhex(one.as_str().unwrap())))
        .collect();
    let (index, size) = (number(&proof["logIndex"]), number(&proof["treeSize"]));
    verify_inclusion_proof(&hash(&leaf), index, size, &path, &hash(&root)).unwrap();
    let text = proof["checkpoint"].as_str().unwrap();
    let (origin, stated, own) = checkpoint(text, |hint, note, signature| {
        hint == &log.id[..4] && by_p256(&log.key, note, signature)
    });
    assert_eq!((origin, stated, own), (log.origin.clone(), size, root));
    assert_eq!(index, number(&entry["logIndex"]));
    (index, serde_json::from_slice(&body).unwrap())
}

/// The only entry of an answer, verified: id, index, body.
pub(super) fn only(sandbox: &Sandbox, got: &Got) -> (String, u64, Value) {
    assert!(got.text().ends_with("}\n"), "{got:?}");
    let map = got.json();
    let members = map.as_object().unwrap();
    assert_eq!(members.len(), 1, "{got:?}");
    let (id, shown) = members.iter().next().unwrap();
    let (index, body) = entry(sandbox, id, shown);
    (id.clone(), index, body)
}

async fn logged(sandbox: &Sandbox, name: &str, body: &Value) -> (String, u64, Value) {
    let got = post(ENTRIES, body).to(sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (201, JSON),
        "{name}: {got:?}"
    );
    let (id, index, body) = only(sandbox, &got);
    // cosign looks the entry up by this header, bare, and falls when it is another.
    assert_eq!(got.header("etag"), Some(id.as_str()), "{name}");
    let location = format!("{ENTRIES}/{id}");
    assert_eq!(got.header("location"), Some(location.as_str()), "{name}");
    assert_eq!(got.header("cache-control"), None, "{name}");
    (id, index, body)
}

/// Whether the body ends with a newline tells who refused: Rekor (`true`) or its framework.
async fn refused(sandbox: &Sandbox, name: &str, ask: &Ask, expected: (u16, u16, &str, bool)) {
    let (status, code, message, is_own) = expected;
    let got = ask.to(sandbox).await;
    let body = json!({ "code": code, "message": message }).to_string();
    let end = if is_own { "\n" } else { "" };
    assert_eq!(
        (got.status, got.text()),
        (status, format!("{body}{end}").as_str()),
        "{name}"
    );
    assert_eq!(got.media_type(), JSON, "{name}");
    // Whatever is read must not be kept, errors included.
    let is_read = ask.method == "GET" && !matches!(status, 404 | 405);
    assert_eq!(got.header("cache-control").is_some(), is_read, "{name}");
}

#[tokio::test]
async fn an_entry_is_given_with_everything_that_proves_it() {
    let sandbox = sandbox().await;
    let (own, chain) = certified(&sandbox).await;
    let certificate = pem("CERTIFICATE", &chain[0]);
    let proposal = hashed_rekord(&own, &certificate, b"one");
    let (id, index, body) = logged(&sandbox, "first", &proposal).await;
    assert_eq!((index, &body), (0, &proposal));
    let first = Ask::get(&format!("{ENTRIES}?logIndex=0"))
        .to(&sandbox)
        .await;
    let proof = first.json()[&id]["verification"]["inclusionProof"].clone();
    assert_eq!(
        (&proof["hashes"], &proof["treeSize"]),
        (&json!([]), &json!(1))
    );

    // The same again is a conflict; another signature is another entry.
    let again = post(ENTRIES, &proposal).to(&sandbox).await;
    let message =
        format!("an equivalent entry already exists in the transparency log with UUID {id}");
    assert_eq!((again.status, again.header("etag")), (409, None));
    assert_eq!(
        again.text(),
        format!("{}\n", json!({ "code": 409, "message": message }))
    );
    let location = format!("{ENTRIES}/{id}");
    assert_eq!(again.header("location"), Some(location.as_str()));
    let (_, index, _) = logged(
        &sandbox,
        "second",
        &hashed_rekord(&own, &certificate, b"one"),
    )
    .await;
    assert_eq!(index, 1);

    // An old entry is proven in the tree as it is now.
    let got = Ask::get(&location).to(&sandbox).await;
    let (found, index, _) = only(&sandbox, &got);
    assert_eq!((got.status, &found, index), (200, &id, 0));
    assert_eq!(
        got.json()[&id]["verification"]["inclusionProof"]["treeSize"],
        2
    );
    assert_eq!(
        got.header("cache-control"),
        Some("no-cache, no-store, no-transform, must-revalidate, private, max-age=0")
    );
    assert_eq!(got.header("expires"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(
        (got.header("pragma"), got.header("x-accel-expires")),
        (Some("no-cache"), Some("0"))
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn hashed_entries_are_taken_and_refused_as_rekor_does() {
    let sandbox = sandbox().await;
    let (own, other) = (key(KeyKind::P256), key(KeyKind::P256));
    let pem_of = own.public_pem();
    let good = || hashed_rekord(&own, &pem_of, b"artifact");
    let b = |text: &str| format!("error processing entry: {text}");
    let list = |text: &str| b(&format!("validation failure list:\n{text}"));
    let (data, signature) = ("data in body is required", "signature in body is required");
    let wrong = b("verifying signature: invalid signature when validating ASN.1 encoded signature");
    let value = "/spec/data/hash/value";
    let content = "/spec/signature/content";
    let public_key = "/spec/signature/publicKey/content";
    for (name, body, status, code, message) in [
        (
            "by another key",
            hashed_rekord(&other, &pem_of, b"artifact"),
            400,
            400,
            wrong.clone(),
        ),
        (
            "over something else",
            with(good(), value, json!("ab".repeat(32))),
            400,
            400,
            wrong,
        ),
        (
            "no hex",
            with(good(), value, json!("z".repeat(64))),
            400,
            400,
            b("encoding/hex: invalid byte: U+007A 'z'"),
        ),
        (
            "too short",
            with(good(), value, json!("abcd")),
            400,
            400,
            b("invalid value for hash"),
        ),
        (
            "of another length",
            with(good(), "/spec/data/hash/algorithm", json!("sha512")),
            400,
            400,
            b("invalid value for hash"),
        ),
        (
            "weak",
            with(good(), "/spec/data/hash/algorithm", json!("md5")),
            400,
            400,
            list(
                "data.data.hash.data.hash.algorithm in body should be one of [sha256 sha384 sha512]",
            ),
        ),
        (
            "no data",
            with(good(), "/spec/data", Value::Null),
            400,
            400,
            list(data),
        ),
        (
            "no hash",
            with(good(), "/spec/data/hash", Value::Null),
            400,
            400,
            list(data),
        ),
        (
            "no signature",
            with(good(), "/spec/signature", Value::Null),
            400,
            400,
            list(signature),
        ),
        (
            "neither",
            with(good(), "/spec", json!({})),
            400,
            400,
            list(&format!("{data}\n{signature}")),
        ),
        (
            "no content",
            with(good(), content, Value::Null),
            400,
            400,
            b("verifying signature: X509 signature has not been initialized"),
        ),
        (
            "no key",
            with(good(), "/spec/signature/publicKey", Value::Null),
            400,
            400,
            b("missing public key"),
        ),
        (
            "no base64",
            with(good(), content, json!("!!")),
            400,
            400,
            b(
                "failed parsing base64 data for signature content: illegal base64 data at input byte 0",
            ),
        ),
        (
            "garbage for a key",
            with(good(), public_key, json!(b64("garbage"))),
            400,
            400,
            b("invalid public key: failure decoding PEM"),
        ),
        (
            "an unknown version",
            with(good(), "/apiVersion", json!("9.9.9")),
            400,
            400,
            b(
                "hashedrekord implementation for version '9.9.9' not found: unable to locate entry for version 9.9.9",
            ),
        ),
    ] {
        refused(
            &sandbox,
            name,
            &post(ENTRIES, &body),
            (status, code, &message, true),
        )
        .await;
    }
    let foo = "invalid kind value: \"foo\"";
    refused(
        &sandbox,
        "kind",
        &post(ENTRIES, &with(good(), "/kind", json!("foo"))),
        (422, 422, foo, false),
    )
    .await;
    for member in ["kind", "apiVersion", "spec"] {
        let body = with(good(), &format!("/{member}"), Value::Null);
        let message = format!("{member} in body is required");
        refused(
            &sandbox,
            member,
            &post(ENTRIES, &body),
            (422, 602, &message, false),
        )
        .await;
    }
    let (_, index, stored) = logged(&sandbox, "good", &good()).await;
    assert_eq!(index, 0, "nothing refused is in the log");
    // What nobody knows is dropped, and PEM is written anew.
    let extra = with(
        with(good(), "/extra", json!(1)),
        "/spec/data/url",
        json!("https://x.test"),
    );
    assert_eq!(
        logged(&sandbox, "extra", &extra).await.2["spec"]["data"],
        stored["spec"]["data"]
    );
    for (name, own_pem) in [
        ("short", pem_of.trim_end().to_owned()),
        ("long", format!("{pem_of}\n\n")),
    ] {
        let (_, _, body) =
            logged(&sandbox, name, &hashed_rekord(&own, &own_pem, b"artifact")).await;
        assert_eq!(
            body["spec"]["signature"]["publicKey"], stored["spec"]["signature"]["publicKey"],
            "{name}"
        );
    }
    let fixed = {
        use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        use aws_lc_rs::signature::EcdsaKeyPair;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &own.to_pkcs8().unwrap());
        let random = aws_lc_rs::rand::SystemRandom::new();
        b64(pair.unwrap().sign(&random, b"artifact").unwrap())
    };
    let body = with(good(), content, json!(fixed));
    assert_eq!(logged(&sandbox, "two numbers", &body).await.2, body);
    // A hash is kept as it was written, and found by either way to write it.
    let upper = with(
        good(),
        value,
        json!(hex(&sha256(b"artifact")).to_uppercase()),
    );
    assert_eq!(logged(&sandbox, "upper case", &upper).await.2, upper);
    assert_eq!(post(ENTRIES, &upper).to(&sandbox).await.status, 409);
    // A whole chain is kept whole.
    let (holder, chain) = certified(&sandbox).await;
    let chain: String = chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    let body = hashed_rekord(&holder, &format!("{chain}\n"), b"artifact");
    let (_, _, stored) = logged(&sandbox, "chain", &body).await;
    assert_eq!(stored, with(body, public_key, json!(b64(&chain))));
    for kind in [KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let own = key(kind);
        let body = hashed_rekord(&own, &own.public_pem(), b"artifact");
        let body = with(
            body,
            "/spec/data/hash/algorithm",
            json!(kind.hash().rekor1()),
        );
        let body = with(body, value, json!(hex(&kind.hash().of(b"artifact"))));
        assert_eq!(logged(&sandbox, "kind", &body).await.2, body);
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn bodies_and_media_types_are_checked_first() {
    let sandbox = sandbox().await;
    let own = key(KeyKind::P256);
    let body = hashed_rekord(&own, &own.public_pem(), b"artifact");
    for (text, status, code, message) in [
        ("{\"x", 500, 500, "unexpected EOF"),
        (
            "hello",
            500,
            500,
            "invalid character 'h' looking for beginning of value",
        ),
        (
            "[]",
            500,
            500,
            "json: cannot unmarshal array into Go value of type models.targetedProposedEntry",
        ),
        (
            "\"x\"",
            500,
            500,
            "json: cannot unmarshal string into Go value of type models.targetedProposedEntry",
        ),
        ("", 422, 602, "proposedEntry in body is required"),
        ("{}", 422, 602, "kind in body is required"),
        ("null", 422, 602, "kind in body is required"),
    ] {
        let ask = Ask::post(ENTRIES, JSON, text);
        refused(&sandbox, text, &ask, (status, code, message, false)).await;
    }
    for path in [ENTRIES, RETRIEVE, INDEX] {
        for media_type in ["text/plain", "application/yaml", "application/octet-stream"] {
            let message = format!(
                "unsupported media type \"{media_type}\", only [application/json] are allowed"
            );
            let ask = Ask::post(path, media_type, body.to_string());
            refused(&sandbox, path, &ask, (415, 415, &message, false)).await;
        }
        let mut ask = Ask::new("POST", path);
        ask.body = body.to_string().into_bytes();
        let message = "unsupported media type \"application/octet-stream\", only [application/json] are allowed";
        refused(&sandbox, path, &ask, (415, 415, message, false)).await;
    }
    let large = format!(
        "{{\"apiVersion\":\"0.0.1\",\"kind\":\"hashedrekord\",\"spec\":{{\"x\":\"{}\"}}}}",
        "A".repeat(6 << 20)
    );
    assert_eq!(
        Ask::post(ENTRIES, JSON, large).to(&sandbox).await.status,
        400
    );
    let deep = Ask::post(ENTRIES, JSON, "[".repeat(1 << 20))
        .to(&sandbox)
        .await;
    assert_eq!(deep.status, 500);
    let charset = Ask::post(ENTRIES, "application/json; charset=utf-8", body.to_string());
    assert_eq!(charset.to(&sandbox).await.status, 201);
    // Whoever wants another form gets this one all the same, and no word of its type.
    for (number, accept) in ["text/plain", "application/yaml"].into_iter().enumerate() {
        let body = hashed_rekord(&own, &own.public_pem(), accept.as_bytes());
        let got = post(ENTRIES, &body)
            .with("accept", accept)
            .to(&sandbox)
            .await;
        assert_eq!((got.status, got.media_type()), (201, ""), "{accept}");
        assert_eq!(only(&sandbox, &got).1, number as u64 + 1);
    }
    let trailing = hashed_rekord(&own, &own.public_pem(), b"trailing");
    let got = Ask::post(ENTRIES, JSON, format!("{trailing}\n trailing"))
        .to(&sandbox)
        .await;
    assert_eq!(got.status, 201);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_404_and_405() {
    let sandbox = sandbox().await;
    for path in ["/version", "/api/v1/nope", "/api/v1/log/nope"] {
        let message = format!("path {path} was not found");
        refused(&sandbox, path, &Ask::get(path), (404, 404, &message, false)).await;
    }
    for (method, path, allowed) in [
        ("DELETE", ENTRIES, "GET,POST"),
        ("PUT", ENTRIES, "GET,POST"),
        ("POST", "/api/v1/log", "GET"),
        ("OPTIONS", "/api/v1/log", "GET"),
        ("GET", INDEX, "POST"),
        ("DELETE", "/api/v1/log/publicKey", "GET"),
    ] {
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        let ask = Ask::new(method, path);
        refused(&sandbox, path, &ask, (405, 405, &message, false)).await;
        assert_eq!(
            ask.to(&sandbox).await.header("allow"),
            Some(allowed),
            "{path}"
        );
    }
    for path in ["/api/v1/log", ENTRIES] {
        assert_eq!(
            Ask::new("HEAD", path).to(&sandbox).await.status,
            405,
            "{path}"
        );
    }
    let got = Ask::get("/ping").to(&sandbox).await;
    assert_eq!((got.status, got.text()), (200, "."));
    sandbox.stop().await.unwrap();
}
