//! Reading: entries by index, id and content, the state of the log, and the search.

use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::KeyKind;
use serde_json::Value;
use serde_json::json;
use sigstore_merkle::verify_consistency_proof;

use super::super::Ask;
use super::super::JSON;
use super::super::b64;
use super::super::hex;
use super::super::key;
use super::super::pem;
use super::super::sandbox;
use super::super::sha256;
use super::super::unhex;
use super::ENTRIES;
use super::INDEX;
use super::RETRIEVE;
use super::by_p256;
use super::checkpoint;
use super::entry;
use super::hash;
use super::hashed_rekord;
use super::logged;
use super::only;
use super::post;
use super::refused;
use super::with;

/// A log with this many entries: their ids.
async fn filled(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let own = key(KeyKind::P256);
    let mut ids = Vec::new();
    for number in 0..count {
        let artifact = format!("artifact {number}");
        let body = hashed_rekord(&own, &own.public_pem(), artifact.as_bytes());
        ids.push(logged(sandbox, &artifact, &body).await.0);
    }
    ids
}

#[tokio::test]
async fn entries_are_read_by_index_and_by_id() {
    let sandbox = sandbox().await;
    let ids = filled(&sandbox, 3).await;
    let (tree, leaf) = ids[1].split_at(16);
    for path in [
        "?logIndex=1".to_owned(),
        "?logIndex=1&x=2".to_owned(),
        "?logIndex=0&logIndex=1".to_owned(),
        "/?logIndex=1".to_owned(),
        format!("/{}", ids[1]),
        format!("/{leaf}"),
        format!("/{tree}{}", leaf.to_uppercase()),
    ] {
        let got = Ask::get(&format!("{ENTRIES}{path}")).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON), "{path}");
        assert_eq!(only(&sandbox, &got).0, ids[1], "{path}");
    }
    let unknown = "ab".repeat(32);
    for path in [
        "?logIndex=3".to_owned(),
        format!("/{unknown}"),
        format!("/{tree}{unknown}"),
        format!("/{}{leaf}", "ab".repeat(8)),
    ] {
        let got = Ask::get(&format!("{ENTRIES}{path}")).to(&sandbox).await;
        assert_eq!((got.status, got.text()), (404, ""), "{path}");
        assert_eq!(got.header("content-type"), None, "{path}");
    }
    let id = "entryUUID in path should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'";
    let kind = |value: &str| format!("logIndex in query must be of type int64: \"{value}\"");
    let needed = "logIndex in query is required";
    for (path, status, code, message, own) in [
        (
            "?logIndex=-1".to_owned(),
            422,
            609,
            "logIndex in query should be greater than or equal to 0".to_owned(),
            false,
        ),
        ("?logIndex=abc".to_owned(), 422, 601, kind("abc"), false),
        ("?logIndex=1.5".to_owned(), 422, 601, kind("1.5"), false),
        (
            "?logIndex=18446744073709551616".to_owned(),
            422,
            601,
            kind("18446744073709551616"),
            false,
        ),
        ("?logIndex=".to_owned(), 422, 602, needed.to_owned(), false),
        (String::new(), 422, 602, needed.to_owned(), false),
        ("/".to_owned(), 422, 602, needed.to_owned(), false),
        ("/retrieve".to_owned(), 422, 605, id.to_owned(), false),
        ("/abc".to_owned(), 422, 605, id.to_owned(), false),
        (
            format!("/{}", "zz".repeat(32)),
            422,
            605,
            id.to_owned(),
            false,
        ),
        (
            format!("/{}", "ab".repeat(50)),
            422,
            605,
            id.to_owned(),
            false,
        ),
        (
            format!("/{}{leaf}", "0".repeat(16)),
            500,
            500,
            "unexpected error communicating with transparency log".to_owned(),
            true,
        ),
    ] {
        let ask = Ask::get(&format!("{ENTRIES}{path}"));
        refused(&sandbox, &path, &ask, (status, code, &message, own)).await;
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn several_entries_are_read_at_once() {
    let sandbox = sandbox().await;
    let ids = filled(&sandbox, 11).await;
    let own = key(KeyKind::P256);
    let proposal = hashed_rekord(&own, &own.public_pem(), b"x");
    let id = logged(&sandbox, "x", &proposal).await.0;
    let other = hashed_rekord(&own, &own.public_pem(), b"y");
    let unknown = "ab".repeat(32);
    for (body, expected) in [
        (json!({ "logIndexes": [1, 0] }), vec![&ids[1], &ids[0]]),
        (json!({ "logIndexes": [1, 99] }), vec![&ids[1]]),
        (
            json!({ "entryUUIDs": [ids[2], ids[2]] }),
            vec![&ids[2], &ids[2]],
        ),
        (
            json!({ "entryUUIDs": [unknown, ids[3].split_at(16).1] }),
            vec![&ids[3]],
        ),
        (json!({ "entries": [proposal] }), vec![&id]),
        (json!({ "entries": [other] }), vec![]),
        (json!({ "entryUUIDs": [unknown] }), vec![]),
        (json!({}), vec![]),
        (Value::Null, vec![]),
        (
            json!({ "logIndexes": (0..10).collect::<Vec<_>>() }),
            ids[..10].iter().collect(),
        ),
    ] {
        let got = post(RETRIEVE, &body).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON), "{body}");
        assert!(got.text().ends_with("]\n"), "{body}");
        let found = got.json();
        let found: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let (id, shown) = one.as_object().unwrap().iter().next().unwrap();
                entry(&sandbox, id, shown);
                id.clone()
            })
            .collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{body}");
    }
    let id = "'^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'";
    let eleven: Vec<_> = (0..11).collect();
    let forged = with(proposal, "/spec/data/hash/value", json!("ab".repeat(32)));
    let parse = "parsing entry body from \"\" failed, because";
    for (body, status, code, message, own) in [
        (
            json!({ "logIndexes": eleven }).to_string(),
            422,
            611,
            "logIndexes in body should have at most 10 items".to_owned(),
            false,
        ),
        (
            json!({ "logIndexes": eleven[..5], "entryUUIDs": ids[..6] }).to_string(),
            422,
            422,
            "more than max allowed 10 entries in request".to_owned(),
            true,
        ),
        (
            json!({ "entryUUIDs": [] }).to_string(),
            422,
            612,
            "entryUUIDs in body should have at least 1 items".to_owned(),
            false,
        ),
        (
            json!({ "entryUUIDs": ["x"] }).to_string(),
            422,
            605,
            format!("entryUUIDs.0 in body should match {id}"),
            false,
        ),
        (
            json!({ "logIndexes": [-1] }).to_string(),
            422,
            609,
            "logIndexes.0 in body should be greater than or equal to 0".to_owned(),
            false,
        ),
        (
            json!({ "logIndexes": ["1"] }).to_string(),
            400,
            400,
            format!(
                "{parse} json: cannot unmarshal string into Go struct field .logIndexes of type int64"
            ),
            false,
        ),
        (
            "{\"x".to_owned(),
            400,
            400,
            format!("{parse} unexpected EOF"),
            false,
        ),
        (
            String::new(),
            422,
            602,
            "entry in body is required".to_owned(),
            false,
        ),
        (
            json!({ "entries": [{ "kind": "x" }] }).to_string(),
            400,
            400,
            format!("{parse} invalid kind value: \"x\""),
            false,
        ),
        (
            json!({ "entries": [forged] }).to_string(),
            400,
            400,
            "verifying signature: invalid signature when validating ASN.1 encoded signature"
                .to_owned(),
            true,
        ),
    ] {
        let ask = Ask::post(RETRIEVE, JSON, body.clone());
        refused(&sandbox, &body, &ask, (status, code, &message, own)).await;
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_tells_its_state_and_proves_it() {
    let sandbox = sandbox().await;
    let log = sandbox.mint().rekor1.clone();
    let tree = log.origin.rsplit(' ').next().unwrap().to_owned();
    let state = async |query: &str| {
        let got = Ask::get(&format!("/api/v1/log{query}")).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON));
        let body = got.json();
        let text = body["signedTreeHead"].as_str().unwrap().to_owned();
        let (origin, size, root) = checkpoint(&text, |hint, note, signature| {
            hint == &log.id[..4] && by_p256(&log.key, note, signature)
        });
        assert_eq!(origin, log.origin);
        let expected = json!({
            "inactiveShards": null, "rootHash": hex(&root), "signedTreeHead": text,
            "treeID": tree, "treeSize": size,
        });
        assert_eq!(got.text(), format!("{expected}\n"));
        (size, root)
    };
    assert_eq!(state("").await, (0, HashKind::Sha256.of(b"")));
    let mut roots = vec![state("?stable=x").await.1];
    for number in 1..=9 {
        let ids = filled(&sandbox, 1).await;
        assert_eq!(ids.len(), 1);
        let (size, root) = state("?stable=true").await;
        assert_eq!(size, number);
        roots.push(root);
    }
    for last in 1..=9_usize {
        for first in 1..=last {
            let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={last}&treeID={tree}");
            let got = Ask::get(&path).to(&sandbox).await.json();
            // The root is of the tree as it is now, not of the size that was asked for.
            assert_eq!(got["rootHash"], hex(&roots[9]));
            let path: Vec<_> = got["hashes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| hash(&unhex(one.as_str().unwrap())))
                .collect();
            let (old, new) = (hash(&roots[first]), hash(&roots[last]));
            verify_consistency_proof(first as u64, last as u64, &path, &old, &new).unwrap();
        }
    }
    let first = Ask::get("/api/v1/log/proof?lastSize=9").to(&sandbox).await;
    let explicit = Ask::get("/api/v1/log/proof?firstSize=1&lastSize=9")
        .to(&sandbox)
        .await;
    assert_eq!((first.status, first.body), (200, explicit.body));
    let least = |name: &str| format!("{name} in query should be greater than or equal to 1");
    for (query, status, code, message) in [
        (
            "firstSize=9&lastSize=3",
            400,
            400,
            "firstSize(9) must be less than lastSize(3)".to_owned(),
        ),
        (
            "firstSize=1&lastSize=999",
            400,
            400,
            "the tree size requested(999) was greater than what is currently observable(9)"
                .to_owned(),
        ),
        ("firstSize=0&lastSize=3", 422, 609, least("firstSize")),
        ("firstSize=-1&lastSize=3", 422, 609, least("firstSize")),
        ("firstSize=1&lastSize=0", 422, 609, least("lastSize")),
        (
            "firstSize=a&lastSize=3",
            422,
            601,
            "firstSize in query must be of type int64: \"a\"".to_owned(),
        ),
        (
            "firstSize=1",
            422,
            602,
            "lastSize in query is required".to_owned(),
        ),
        ("", 422, 602, "lastSize in query is required".to_owned()),
        (
            "firstSize=1&lastSize=3&treeID=1",
            400,
            400,
            "no log range found for tree ID 1".to_owned(),
        ),
    ] {
        let ask = Ask::get(&format!("/api/v1/log/proof?{query}"));
        refused(
            &sandbox,
            query,
            &ask,
            (status, code, &message, status == 400),
        )
        .await;
    }
    let pem = log.key.public_pem();
    let path = "/api/v1/log/publicKey";
    for path in [path.to_owned(), format!("{path}?treeID={tree}")] {
        let got = Ask::get(&path).to(&sandbox).await;
        assert_eq!(
            (got.status, got.media_type(), got.text()),
            (200, "application/x-pem-file", pem.as_str())
        );
    }
    let got = Ask::get(path).with("accept", JSON).to(&sandbox).await;
    assert_eq!((got.media_type(), got.json()), (JSON, json!(pem)));
    let got = Ask::get(&format!("{path}?treeID=1")).to(&sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (400, "application/x-pem-file")
    );
    assert_eq!(got.text(), "{\"code\":400,\"message\":\"Bad Request\"}");
    let ask = Ask::get(&format!("{path}?treeID=abc"));
    refused(
        &sandbox,
        "tree",
        &ask,
        (422, 605, "treeID in query should match '^[0-9]+$'", false),
    )
    .await;
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn entries_are_found_by_what_they_are_about() {
    let sandbox = sandbox().await;
    let claims = serde_json::Value::Object(scgate::sandbox::Provider::Email.claims());
    let own = key(KeyKind::P256);
    let token = sandbox
        .token(
            scgate::sandbox::Provider::Email,
            claims.as_object().unwrap().clone(),
        )
        .unwrap();
    let request = super::super::certificate_request(&own, "dev@sandbox.test");
    let chain = super::super::chain(&super::super::signing(&request, &token).to(&sandbox).await);
    let certificate = pem("CERTIFICATE", &chain[0]);
    let by_certificate = logged(&sandbox, "a", &hashed_rekord(&own, &certificate, b"a"))
        .await
        .0;
    let by_key = logged(&sandbox, "b", &hashed_rekord(&own, &own.public_pem(), b"b"))
        .await
        .0;
    let digest = |bytes: &[u8]| hex(&sha256(bytes));
    let x509 = |pem: &str| json!({ "format": "x509", "content": b64(pem) });
    let both = [by_certificate.as_str(), by_key.as_str()];
    for (body, expected) in [
        (json!({ "hash": digest(b"a") }), &both[..1]),
        (
            json!({ "hash": format!("sha256:{}", digest(b"a")) }),
            &both[..1],
        ),
        (json!({ "hash": digest(b"a").to_uppercase() }), &both[..1]),
        (json!({ "hash": digest(b"c") }), &[]),
        (json!({ "email": "dev@sandbox.test" }), &both[..1]),
        (json!({ "email": "other@sandbox.test" }), &[]),
        (json!({ "publicKey": x509(&certificate) }), &both[..1]),
        (json!({ "publicKey": x509(&own.public_pem()) }), &both[..]),
        (
            json!({ "publicKey": x509(&own.public_pem()), "hash": digest(b"b") }),
            &both[1..],
        ),
        (
            json!({ "publicKey": x509(&certificate), "hash": digest(b"b"), "operator": "and" }),
            &[],
        ),
        (
            json!({ "publicKey": x509(&certificate), "hash": digest(b"b"), "operator": "or" }),
            &both[..],
        ),
        (json!({}), &[]),
    ] {
        let got = post(INDEX, &body).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON), "{body}");
        assert_eq!(got.text(), format!("{}\n", json!(expected)), "{body}");
    }
    for (body, status, code, message, own) in [
        (
            json!({ "hash": "zz" }).to_string(),
            422,
            605,
            "hash in body should match '^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$'",
            false,
        ),
        (
            json!({ "email": "a b@x" }).to_string(),
            422,
            601,
            "email in body must be of type email: \"a b@x\"",
            false,
        ),
        (
            json!({ "email": "x" }).to_string(),
            422,
            601,
            "email in body must be of type email: \"x\"",
            false,
        ),
        (
            json!({ "publicKey": { "format": "x", "content": "" } }).to_string(),
            422,
            606,
            "publicKey.publicKey.format in body should be one of [pgp x509 minisign ssh tuf]",
            false,
        ),
        (
            json!({ "operator": "x" }).to_string(),
            422,
            606,
            "operator in body should be one of [and or]",
            false,
        ),
        (
            json!({ "publicKey": x509("garbage") }).to_string(),
            400,
            400,
            "public key provided could not be parsed",
            true,
        ),
        (
            "{\"x".to_owned(),
            400,
            400,
            "parsing query body from \"\" failed, because unexpected EOF",
            false,
        ),
    ] {
        let ask = Ask::post(INDEX, JSON, body.clone());
        refused(&sandbox, &body, &ask, (status, code, message, own)).await;
    }
    sandbox.stop().await.unwrap();
}
