//! The certificate transparency log (RFC 6962): what it holds, proves, and takes.

use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::der;
use serde_json::Value;
use serde_json::json;
use sigstore_merkle::verify_consistency_proof;
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::Sha256Hash;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::Ask;
use super::JSON;
use super::b64;
use super::certified;
use super::key;
use super::sandbox;
use super::sha256;
use super::unb64;

const BASE: &str = "/ct/ct/v1/";
const TEXT: &str = "text/plain; charset=utf-8";
const KEPT: &str = "public, max-age=86400";

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    let got = Ask::get(&format!("{BASE}{path}")).to(sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (200, JSON),
        "{path}: {got:?}"
    );
    assert_eq!(
        got.text(),
        got.json().to_string(),
        "compact, and no newline"
    );
    let kept = got.header("cache-control");
    assert_eq!(
        kept.is_some(),
        !path.starts_with("get-sth") || path.contains('?'),
        "{path}"
    );
    got.json()
}

async fn refused(sandbox: &Sandbox, ask: &Ask, status: u16, message: &str) {
    let got = ask.to(sandbox).await;
    let words = match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        _ => panic!("{status}"),
    };
    assert_eq!(
        (got.status, got.text()),
        (status, format!("{words}\n{message}\n").as_str()),
        "{}",
        ask.path
    );
    assert_eq!(got.media_type(), TEXT, "{}", ask.path);
    assert_eq!(
        got.header("x-content-type-options"),
        Some("nosniff"),
        "{}",
        ask.path
    );
    assert_eq!(got.header("allow"), None, "{}", ask.path);
}

fn hash(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash::new(bytes.try_into().unwrap())
}

fn path(list: &Value) -> Vec<Sha256Hash> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| hash(&unb64(one.as_str().unwrap())))
        .collect()
}

/// For a query: base64 with its signs escaped.
fn escaped(bytes: &[u8]) -> String {
    b64(bytes)
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

fn by_log(sandbox: &Sandbox, message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
    use aws_lc_rs::signature::UnparsedPublicKey;
    let length = u16::try_from(signature.len() - 4).unwrap().to_be_bytes();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, sandbox.mint().ct.key.raw());
    signature[..4] == [4, 3, length[0], length[1]] && key.verify(message, &signature[4..]).is_ok()
}

/// Size and root of the log, verified.
async fn head(sandbox: &Sandbox) -> (u64, Vec<u8>) {
    let sth = get(sandbox, "get-sth").await;
    let members: Vec<_> = sth.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "sha256_root_hash",
            "timestamp",
            "tree_head_signature",
            "tree_size"
        ]
    );
    let (size, time) = (
        sth["tree_size"].as_u64().unwrap(),
        sth["timestamp"].as_u64().unwrap(),
    );
    let root = unb64(sth["sha256_root_hash"].as_str().unwrap());
    let signed = [&[0, 1], &time.to_be_bytes()[..], &size.to_be_bytes(), &root].concat();
    let signature = unb64(sth["tree_head_signature"].as_str().unwrap());
    assert!(by_log(sandbox, &signed, &signature));
    (size, root)
}

#[tokio::test]
async fn every_certificate_is_logged_and_proven() {
    let sandbox = sandbox().await;
    let mut heads = vec![head(&sandbox).await];
    assert_eq!(heads[0], (0, sha256(b"")));
    for number in 1..=9 {
        let (_, chain) = certified(&sandbox).await;
        heads.push(head(&sandbox).await);
        assert_eq!(heads[number].0, number as u64);
        let entries = get(
            &sandbox,
            &format!("get-entries?start={0}&end={0}", number - 1),
        )
        .await;
        let leaf = unb64(entries["entries"][0]["leaf_input"].as_str().unwrap());
        let (_, issuer) = X509Certificate::from_der(&chain[1]).unwrap();
        assert_eq!(leaf[..2], [0, 0]);
        assert_eq!(leaf[10..12], [0, 1]);
        assert_eq!(leaf[12..44], sha256(issuer.public_key().raw)[..]);
        // The SCT in the certificate is over the bytes of the leaf.
        let (_, certificate) = X509Certificate::from_der(&chain[0]).unwrap();
        let list = certificate.extensions().last().unwrap().value;
        let sct = &list[6..];
        assert_eq!(
            (&sct[1..33], &sct[33..41]),
            (&sandbox.mint().ct.id[..], &leaf[2..10])
        );
        assert!(by_log(&sandbox, &leaf, &sct[43..]));
    }
    let leaves: Vec<_> = get(&sandbox, "get-entries?start=0&end=8").await["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| unb64(one["leaf_input"].as_str().unwrap()))
        .collect();
    for size in 1..=9_usize {
        let root = hash(&heads[size].1);
        for (index, leaf) in leaves[..size].iter().enumerate() {
            let leaf_hash = sha256(&[&[0], &leaf[..]].concat());
            let by_hash = format!(
                "get-proof-by-hash?hash={}&tree_size={size}",
                escaped(&leaf_hash)
            );
            let proof = get(&sandbox, &by_hash).await;
            assert_eq!(proof["leaf_index"], index);
            let audit = path(&proof["audit_path"]);
            verify_inclusion_proof(&hash(&leaf_hash), index as u64, size as u64, &audit, &root)
                .unwrap();
            let by_index = format!("get-entry-and-proof?leaf_index={index}&tree_size={size}");
            let entry = get(&sandbox, &by_index).await;
            assert_eq!(
                (entry["leaf_input"].clone(), &entry["audit_path"]),
                (json!(b64(leaf)), &proof["audit_path"])
            );
        }
        for (first, (_, old)) in heads.iter().enumerate().take(size + 1).skip(1) {
            let proof = get(
                &sandbox,
                &format!("get-sth-consistency?first={first}&second={size}"),
            )
            .await;
            let old = hash(old);
            verify_consistency_proof(
                first as u64,
                size as u64,
                &path(&proof["consistency"]),
                &old,
                &root,
            )
            .unwrap();
        }
    }
    let zero = get(&sandbox, "get-sth-consistency?first=0&second=3").await;
    assert_eq!(zero, json!({ "consistency": [] }));
    let roots = Ask::get(&format!("{BASE}get-roots")).to(&sandbox).await;
    let root = b64(&sandbox.mint().fulcio.root.certificate);
    assert_eq!((roots.status, roots.media_type()), (200, TEXT));
    assert_eq!(
        roots.text(),
        format!("{}\n", json!({ "certificates": [root] }))
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_out_of_range_is_refused_as_ct_server_does() {
    let sandbox = sandbox().await;
    for _ in 0..3 {
        certified(&sandbox).await;
    }
    let entries = get(&sandbox, "get-entries?start=0&end=0").await;
    let leaf = unb64(entries["entries"][0]["leaf_input"].as_str().unwrap());
    let known = escaped(&sha256(&[&[0], &leaf[..]].concat()));
    let (x, short) = (escaped(&[b'x'; 32]), escaped(b"xxx"));
    let range = |text: &str| format!("bad range on get-entries request: {text}");
    let parse = |text: &str| format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
    let sizes = |text: &str| format!("failed to parse consistency range: {text}");
    let pair = |text: &str| format!("failed to parse get-entry-and-proof params: {text}");
    let proof = |text: &str| format!("get-proof-by-hash: {text}");
    let rpc = |text: &str| {
        format!("backend GetInclusionProofByHash request failed: rpc error: code = {text}")
    };
    let unknown = rpc(&format!(
        "NotFound desc = No leaf found for hash: {} in tree size 3",
        "78".repeat(32)
    ));
    for (path, status, message) in [
        (
            "get-entries?start=3&end=4".to_owned(),
            400,
            "need tree size: 4 to get leaves but only got: 3".to_owned(),
        ),
        (
            "get-entries?start=2&end=1".to_owned(),
            400,
            range("start (2) and end (1) is not a valid range"),
        ),
        (
            "get-entries?start=a&end=1".to_owned(),
            400,
            range(&parse("a")),
        ),
        ("get-entries?start=0".to_owned(), 400, range(&parse(""))),
        ("get-entries".to_owned(), 400, range(&parse(""))),
        (
            "get-entries?start=-1&end=1".to_owned(),
            400,
            range("start (-1) and end (1) parameters must be >= 0"),
        ),
        (
            "get-entries?start=0&end=9223372036854775808".to_owned(),
            400,
            range("strconv.ParseInt: parsing \"9223372036854775808\": value out of range"),
        ),
        (
            format!("get-proof-by-hash?hash={x}&tree_size=3"),
            404,
            unknown,
        ),
        (
            format!("get-proof-by-hash?hash={short}&tree_size=3"),
            400,
            rpc("InvalidArgument desc = GetInclusionProofByHashRequest.LeafHash: 3 bytes, want 32"),
        ),
        (
            "get-proof-by-hash?hash=!!&tree_size=3".to_owned(),
            400,
            proof("invalid base64 hash: illegal base64 data at input byte 0"),
        ),
        (
            "get-proof-by-hash?tree_size=3".to_owned(),
            400,
            proof("missing / empty hash param for get-proof-by-hash"),
        ),
        (
            format!("get-proof-by-hash?hash={known}&tree_size=0"),
            400,
            proof("missing or invalid tree_size: 0"),
        ),
        (
            format!("get-proof-by-hash?hash={known}"),
            400,
            proof("missing or invalid tree_size: "),
        ),
        (
            format!("get-proof-by-hash?hash={known}&tree_size=1003"),
            500,
            rpc("Unknown desc = preload did not get all tiles: 1 not found"),
        ),
        (
            "get-sth-consistency?first=3&second=2".to_owned(),
            400,
            sizes("invalid first, second params: 3 2"),
        ),
        (
            "get-sth-consistency?first=a&second=2".to_owned(),
            400,
            sizes("parameter 'first' is malformed"),
        ),
        (
            "get-sth-consistency?second=2".to_owned(),
            400,
            sizes("parameter 'first' is required"),
        ),
        (
            "get-sth-consistency?first=2".to_owned(),
            400,
            sizes("parameter 'second' is required"),
        ),
        (
            "get-sth-consistency?first=1&second=1003".to_owned(),
            400,
            "need tree size: 1003 for proof but only got: 3".to_owned(),
        ),
        (
            "get-entry-and-proof?leaf_index=3&tree_size=3".to_owned(),
            400,
            pair("leaf_index 3 out of range for tree of size 3"),
        ),
        (
            "get-entry-and-proof?leaf_index=0&tree_size=1003".to_owned(),
            400,
            "need tree size: 1003 for proof but only got: 3".to_owned(),
        ),
        (
            "get-entry-and-proof?leaf_index=-1&tree_size=3".to_owned(),
            400,
            pair("leaf_index must be >= 0, got: 3"),
        ),
        ("get-entry-and-proof".to_owned(), 400, pair(&parse(""))),
    ] {
        refused(
            &sandbox,
            &Ask::get(&format!("{BASE}{path}")),
            status,
            &message,
        )
        .await;
    }
    for path in [
        format!("get-proof-by-hash?hash={known}&tree_size=3"),
        "get-sth-consistency?first=3&second=3".to_owned(),
        "get-entry-and-proof?leaf_index=2&tree_size=3".to_owned(),
        "get-entries?start=0&end=2".to_owned(),
    ] {
        let got = Ask::get(&format!("{BASE}{path}")).to(&sandbox).await;
        assert_eq!(
            (got.status, got.header("cache-control")),
            (200, Some(KEPT)),
            "{path}"
        );
    }
    let got = Ask::get(&format!("{BASE}get-entries?start=1&end=50"))
        .to(&sandbox)
        .await;
    assert_eq!(
        (got.status, got.header("cache-control")),
        (200, Some("public, max-age=60"))
    );
    assert_eq!(got.json()["entries"].as_array().unwrap().len(), 2);
    for (method, name) in [
        ("POST", "get-sth"),
        ("GET", "add-chain"),
        ("GET", "add-pre-chain"),
        ("DELETE", "get-entries"),
    ] {
        let ask = Ask::new(method, &format!("{BASE}{name}"));
        refused(
            &sandbox,
            &ask,
            405,
            &format!("method not allowed: {method}"),
        )
        .await;
    }
    assert_eq!(
        Ask::new("HEAD", &format!("{BASE}get-sth"))
            .to(&sandbox)
            .await
            .status,
        405
    );
    for path in ["nope", "get-sth/", ""] {
        let got = Ask::get(&format!("{BASE}{path}")).to(&sandbox).await;
        assert_eq!(
            (got.status, got.text(), got.header("content-type")),
            (404, "", None),
            "{path}"
        );
    }
    sandbox.stop().await.unwrap();
}

/// A certificate with a poison extension in place of its SCTs, by the issuer of the sandbox.
async fn precertificate(sandbox: &Sandbox) -> Vec<u8> {
    certified(sandbox).await;
    let (size, _) = head(sandbox).await;
    let entries = get(sandbox, &format!("get-entries?start={0}&end={0}", size - 1)).await;
    let extra = unb64(entries["entries"][0]["extra_data"].as_str().unwrap());
    let length = usize::from(extra[1]) << 8 | usize::from(extra[2]);
    extra[3..3 + length].to_vec()
}

#[tokio::test]
async fn chains_of_the_sandbox_are_promised_a_place() {
    let sandbox = sandbox().await;
    let fulcio = sandbox.mint().fulcio.clone();
    let (_, chain) = certified(&sandbox).await;
    let precertificate = precertificate(&sandbox).await;
    let (intermediate, root) = (&chain[1], &chain[2]);
    assert_eq!(root, &fulcio.root.certificate);
    let body = |chain: &[&[u8]]| json!({ "chain": chain.iter().map(b64).collect::<Vec<_>>() });
    let ask = |name: &str, body: String| Ask::post(&format!("{BASE}{name}"), JSON, body);
    let (size, _) = head(&sandbox).await;
    let mut times = Vec::new();
    for (number, chain) in [
        &[&chain[0][..], intermediate, root][..],
        &[&chain[0], intermediate],
    ]
    .into_iter()
    .enumerate()
    {
        let got = ask("add-chain", body(chain).to_string()).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON), "{got:?}");
        let sct = got.json();
        assert_eq!(
            (&sct["sct_version"], &sct["extensions"]),
            (&json!(0), &json!(""))
        );
        assert_eq!(sct["id"], b64(&sandbox.mint().ct.id));
        let entries = get(&sandbox, &format!("get-entries?start={size}&end={size}")).await;
        let leaf = unb64(entries["entries"][0]["leaf_input"].as_str().unwrap());
        assert_eq!(leaf[10..12], [0, 0]);
        assert!(by_log(
            &sandbox,
            &leaf,
            &unb64(sct["signature"].as_str().unwrap())
        ));
        times.push(sct["timestamp"].clone());
        // The same certificate again gets the same time, and no second place.
        assert_eq!(head(&sandbox).await.0, size + 1, "{number}");
    }
    assert_eq!(times[0], times[1]);
    // This one is in the log already, because Fulcio logged it.
    let mut plain = ask(
        "add-pre-chain",
        body(&[&precertificate, intermediate, root]).to_string(),
    );
    plain.headers.clear();
    let got = plain.to(&sandbox).await;
    assert_eq!(got.status, 200, "{got:?}");
    let entries = get(&sandbox, "get-entries?start=1&end=1").await;
    let leaf = unb64(entries["entries"][0]["leaf_input"].as_str().unwrap());
    assert!(by_log(
        &sandbox,
        &leaf,
        &unb64(got.json()["signature"].as_str().unwrap())
    ));
    assert_eq!(head(&sandbox).await.0, size + 1);

    let other = super::sandbox().await;
    let (_, foreign) = certified(&other).await;
    let tsa = &sandbox.mint().tsa.leaf.certificate;
    let parse = |text: &str| format!("ct{{0}}: failed to parse add-chain body: {text}");
    let chained =
        |text: &str| format!("failed to verify add-chain contents: chain failed to verify: {text}");
    let mismatch = "failed to verify add-chain contents: cert / precert mismatch: bool".to_owned();
    let unknown = chained("x509: certificate signed by unknown authority");
    let mut forged = chain[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    for (name, body, message) in [
        (
            "cut",
            "{\"x".to_owned(),
            parse("unexpected end of JSON input"),
        ),
        (
            "empty",
            String::new(),
            parse("unexpected end of JSON input"),
        ),
        ("nothing", "{}".to_owned(), parse("cert chain was empty")),
        (
            "no chain",
            "{\"chain\":[]}".to_owned(),
            parse("cert chain was empty"),
        ),
        (
            "a list",
            "[]".to_owned(),
            parse("json: cannot unmarshal array into Go value of type ct.AddChainRequest"),
        ),
        (
            "no base64",
            "{\"chain\":[\"!!\"]}".to_owned(),
            parse("illegal base64 data at input byte 0"),
        ),
        (
            "leaf alone",
            body(&[&chain[0]]).to_string(),
            unknown.clone(),
        ),
        (
            "of another sandbox",
            body(&[&foreign[0], &foreign[1], &foreign[2]]).to_string(),
            unknown.clone(),
        ),
        (
            "another signature",
            body(&[&forged, intermediate]).to_string(),
            unknown,
        ),
        (
            "another usage",
            body(&[tsa]).to_string(),
            chained("rejecting certificate without EKU in [3]"),
        ),
    ] {
        for path in ["add-chain", "add-pre-chain"] {
            let ask = ask(path, body.clone());
            let got = ask.to(&sandbox).await;
            assert_eq!(got.status, 400, "{name}: {got:?}");
            refused(&sandbox, &ask, 400, &message).await;
        }
    }
    let garbage = ask("add-chain", body(&[b"garbage"]).to_string())
        .to(&sandbox)
        .await;
    let start = format!("Bad Request\n{}", chained("asn1: structure error: "));
    assert!(garbage.text().starts_with(&start), "{garbage:?}");
    let own = body(&[&chain[0], intermediate, root]).to_string();
    refused(&sandbox, &ask("add-pre-chain", own), 400, &mismatch).await;
    let poisoned = body(&[&precertificate, intermediate]).to_string();
    refused(&sandbox, &ask("add-chain", poisoned), 400, &mismatch).await;
    // Nothing of this entered the log, and neither did bytes that are made to overflow.
    let own = key(KeyKind::P256);
    let odd = der::sequence(&[der::sequence(&[]), own.spki().to_vec()]);
    let odd = ask("add-chain", body(&[&odd]).to_string())
        .to(&sandbox)
        .await;
    assert_eq!((odd.status, head(&sandbox).await.0), (400, size + 1));
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}
