//! Rekor v1 and v2: what they take, what they have already, and what they do wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::DenyCode;
use scgate::services::Error;
use scgate::services::rekor::Entry;
use scgate::services::rekor::Verifier;
use scgate::services::rekor::v1;
use scgate::services::rekor::v2;
use serde_json::Value;
use serde_json::json;

use super::Signed;
use super::World;
use super::code;

const P256: &str = "PKIX_ECDSA_P256_SHA_256";

/// Logs a fresh signature by a key: a `hashedrekord` of either version.
async fn hashed1(world: &World) -> Result<Entry, Error> {
    let signed = Signed::new(&world.key, "a");
    let proposal = v1::Proposal::HashedRekord {
        digest: signed.digest(),
        signature: &signed.signature,
        verifier: Verifier::PublicKey(world.key.spki()),
    };
    world.propose1(&proposal).await
}

async fn hashed2(world: &World, signed: &Signed) -> Result<Entry, Error> {
    let digest = signed.digest();
    let proposal = v2::Proposal {
        digest: digest.as_bytes(),
        signature: &signed.signature,
        verifier: Verifier::PublicKey(world.key.spki()),
        details: P256,
    };
    world.propose2(&proposal).await
}

/// An envelope of so many bytes, whose signature does not hold.
fn envelope(bytes: usize) -> String {
    json!({
        "payload": "A".repeat(bytes),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{ "sig": "AAAA" }],
    })
    .to_string()
}

#[tokio::test]
async fn every_fault_has_its_code() {
    let world = World::open().await;
    for (fault, expected) in super::FAULTS {
        world.inject(&fault.replace("PATH", "/api/v1/log/entries"));
        let entry = hashed1(&world).await;
        assert_eq!(
            entry.err().map(|error| error.code()),
            *expected,
            "v1 {fault}"
        );
        world.sandbox.clear_faults();
        world.inject(&fault.replace("PATH", "/api/v2/log/entries"));
        let entry = hashed2(&world, &Signed::new(&world.key, "a")).await;
        assert_eq!(
            entry.err().map(|error| error.code()),
            *expected,
            "v2 {fault}"
        );
        world.sandbox.clear_faults();
        assert!(hashed1(&world).await.is_ok(), "after {fault}");
    }
    world.sandbox.stop().await.unwrap();
}

/// An answer that was lost: the entry is there, and is what the second request finds.
#[tokio::test]
async fn what_was_logged_already_is_given_back() {
    let world = World::open().await;
    hashed1(&world).await.unwrap();
    let issued = world.certificate().await.unwrap();
    let signed = Signed::new(&world.key, "a");
    let stamp = world.stamp(&signed.signature).await.unwrap();
    let envelope = signed.envelope().to_string();
    let verifier = Verifier::Certificate(&issued.leaf);
    let dsse = v1::Proposal::Dsse {
        envelope: &envelope,
        verifier,
    };
    world.inject("reset-in-body,method=POST,path=/api/v1/log/entries,times=1");
    let first = world.propose1(&dsse).await.unwrap();
    let requests = world.sandbox.requests();
    let last: Vec<_> = requests
        .iter()
        .rev()
        .take(3)
        .map(|r| (r.method.as_str(), r.status))
        .collect();
    assert_eq!(
        last,
        [("GET", Some(200)), ("POST", Some(409)), ("POST", Some(201))]
    );
    hashed1(&world).await.unwrap();
    let second = world.propose1(&dsse).await.unwrap();
    assert_eq!(
        (&second.body, second.log_index),
        (&first.body, first.log_index)
    );
    assert!(second.proof.tree_size > first.proof.tree_size);

    let digest = signed.digest();
    let hashed = v2::Proposal {
        digest: digest.as_bytes(),
        signature: &signed.signature,
        verifier,
        details: P256,
    };
    for _ in 0..3 {
        hashed2(&world, &Signed::new(&world.key, "a"))
            .await
            .unwrap();
    }
    world.inject("reset-in-body,method=POST,path=/api/v2/log/entries,times=1");
    let third = world.propose2(&hashed).await.unwrap();
    hashed2(&world, &Signed::new(&world.key, "a"))
        .await
        .unwrap();
    let fourth = world.propose2(&hashed).await.unwrap();
    assert_eq!((&third.body, third.log_index), (&fourth.body, 3));
    for entry in [&first, &second, &third, &fourth] {
        let proof = signed.verified(&world, &issued, &stamp, entry);
        assert!(proof.is_ok(), "{proof:?}");
    }
    world.sandbox.stop().await.unwrap();
}

/// More entries than a tile holds: whole tiles, partial ones, and the level above.
#[tokio::test]
async fn tiles_of_a_larger_log_lead_to_its_checkpoint() {
    let world = World::open().await;
    let mut signed = Vec::new();
    for _ in 0..261 {
        let one = Signed::new(&world.key, "a");
        hashed2(&world, &one).await.unwrap();
        signed.push(one);
    }
    for index in [0_usize, 1, 255, 256, 260] {
        let entry = hashed2(&world, &signed[index]).await.unwrap();
        assert_eq!(entry.log_index, u64::try_from(index).unwrap());
        assert_eq!(entry.proof.tree_size, 261);
        let content = STANDARD.encode(&signed[index].signature);
        assert!(String::from_utf8_lossy(&entry.body).contains(&content));
    }
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_entry_that_is_there_and_not_shown_is_a_refusal() {
    let world = World::open().await;
    let signed = Signed::new(&world.key, "a");
    hashed2(&world, &signed).await.unwrap();
    // The bit that flips is in the middle, which is this entry as long as there is no other.
    world.inject("wrong-body,path=/api/v2/tile/entries/");
    let wrong = hashed2(&world, &signed).await;
    assert_eq!(code(wrong), DenyCode::ServiceMalformed);
    world.sandbox.clear_faults();
    assert!(hashed2(&world, &signed).await.is_ok());
    let other = Signed::new(&world.key, "b");
    hashed2(&world, &other).await.unwrap();
    for (fault, expected) in [
        (
            "status=501,path=/api/v2/checkpoint",
            DenyCode::ServiceRefused,
        ),
        (
            "status=404,path=/api/v2/checkpoint",
            DenyCode::ServiceRefused,
        ),
        ("status=403,path=/api/v2/tile/", DenyCode::ServiceRefused),
        ("status=404,path=/api/v2/tile/", DenyCode::ServiceRefused),
        (
            "status=500,path=/api/v2/tile/",
            DenyCode::ServiceUnavailable,
        ),
        (
            "status=429,path=/api/v2/checkpoint",
            DenyCode::ServiceRateLimited,
        ),
        (
            "html-ok,path=/api/v2/checkpoint",
            DenyCode::ServiceMalformed,
        ),
        ("html-ok,path=/api/v2/tile/", DenyCode::ServiceMalformed),
        ("empty-ok,path=/api/v2/tile/0/", DenyCode::ServiceMalformed),
        (
            "empty-ok,path=/api/v2/tile/entries/",
            DenyCode::ServiceMalformed,
        ),
        (
            "wrong-body,path=/api/v2/tile/0/",
            DenyCode::ServiceMalformed,
        ),
        (
            "wrong-body,path=/api/v2/checkpoint",
            DenyCode::ServiceMalformed,
        ),
        (
            "endless-body,path=/api/v2/tile/0/",
            DenyCode::ServiceMalformed,
        ),
        (
            "endless-body,path=/api/v2/checkpoint",
            DenyCode::ServiceMalformed,
        ),
    ] {
        world.inject(fault);
        assert_eq!(code(hashed2(&world, &signed).await), expected, "{fault}");
        world.sandbox.clear_faults();
        assert!(hashed2(&world, &signed).await.is_ok(), "after {fault}");
    }
    // A log that another root knows.
    let other = World::open().await;
    let digest = signed.digest();
    let proposal = v2::Proposal {
        digest: digest.as_bytes(),
        signature: &signed.signature,
        verifier: Verifier::PublicKey(world.key.spki()),
        details: P256,
    };
    let unknown = v2::propose(&world.client(), &world.url(), &proposal, &other.root).await;
    assert_eq!(code(unknown), DenyCode::ServiceMalformed);
    for body in ["", "{}", "{\"message\":\"it is there\"}"] {
        world.answer(409, body);
        assert_eq!(
            code(hashed2(&world, &signed).await),
            DenyCode::ServiceRefused
        );
        assert_eq!(code(hashed1(&world).await), DenyCode::ServiceRefused);
        world.sandbox.clear_faults();
    }
    other.sandbox.stop().await.unwrap();
    world.sandbox.stop().await.unwrap();
}

/// Where the header is lost on the way, the message names the entry too.
#[tokio::test]
async fn a_message_names_the_entry_as_well() {
    let world = World::open().await;
    let entry = hashed1(&world).await.unwrap();
    let id = world.sandbox.requests().pop().unwrap();
    assert_eq!(id.status, Some(201));
    let leaf = sigstore_merkle::hash_leaf(&entry.body);
    let leaf: String = leaf.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let message = json!({ "message": format!("already there with UUID {leaf}") });
    let fault = format!("status=409,method=POST,body={message}");
    world.inject(&fault);
    assert_eq!(hashed1(&world).await.unwrap().body, entry.body);
    world.sandbox.clear_faults();
    let fault = fault.replace(&leaf, &leaf.replace('0', "1").replace('a', "b"));
    world.inject(&fault);
    assert_eq!(code(hashed1(&world).await), DenyCode::ServiceMalformed);
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_told_apart_from_an_outage() {
    let world = World::open().await;
    let (large, small) = (envelope(3_200_000), envelope(100));
    let verifier = Verifier::PublicKey(world.key.spki());
    let propose = async |envelope: &str| {
        let proposal = v1::Proposal::Dsse { envelope, verifier };
        code(world.propose1(&proposal).await)
    };
    for (fault, of_large, of_small) in [
        (
            "status=413",
            DenyCode::EntryTooLarge,
            DenyCode::EntryTooLarge,
        ),
        (
            "status=502",
            DenyCode::EntryTooLarge,
            DenyCode::ServiceUnavailable,
        ),
        (
            "reset",
            DenyCode::EntryTooLarge,
            DenyCode::ServiceUnavailable,
        ),
        (
            "status=503",
            DenyCode::ServiceUnavailable,
            DenyCode::ServiceUnavailable,
        ),
        (
            "status=429",
            DenyCode::ServiceRateLimited,
            DenyCode::ServiceRateLimited,
        ),
    ] {
        world.inject(fault);
        assert_eq!(propose(&large).await, of_large, "{fault}");
        assert_eq!(propose(&small).await, of_small, "{fault}");
        world.sandbox.clear_faults();
    }
    world.inject("status=413,path=/api/v2/log/entries");
    let signed = Signed::new(&world.key, "a");
    assert_eq!(
        code(hashed2(&world, &signed).await),
        DenyCode::EntryTooLarge
    );
    world.sandbox.clear_faults();
    assert!(hashed2(&world, &signed).await.is_ok());
    world.sandbox.stop().await.unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry as a log of version 1 shows it.
fn shown1(entry: &Entry) -> Value {
    let proof = &entry.proof;
    json!({ "0f".repeat(40): {
        "body": STANDARD.encode(&entry.body),
        "integratedTime": entry.integrated_time,
        "logID": hex(&entry.log_id),
        "logIndex": entry.log_index,
        "verification": {
            "inclusionProof": {
                "checkpoint": proof.checkpoint,
                "hashes": proof.hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
                "logIndex": proof.log_index,
                "rootHash": hex(&proof.root_hash),
                "treeSize": proof.tree_size,
            },
            "signedEntryTimestamp": STANDARD.encode(entry.promise.as_ref().unwrap()),
        },
    } })
}

#[tokio::test]
async fn an_entry_is_read_whole_or_not_at_all() {
    let world = World::open().await;
    hashed1(&world).await.unwrap();
    let entry = hashed1(&world).await.unwrap();
    let good = shown1(&entry);
    let id = format!("/{}", "0f".repeat(40));
    let at = |path: &str, value: Value| {
        let mut changed = good.clone();
        let path = path.replace('$', &id);
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = changed
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        match value {
            Value::Null => drop(parent.remove(name)),
            value => drop(parent.insert(name.to_owned(), value)),
        }
        changed.to_string()
    };
    let other_kind = String::from_utf8(entry.body.clone())
        .unwrap()
        .replace("hashedrekord", "dsse");
    let proof = "$/verification/inclusionProof";
    let no_promise = at("$/verification/signedEntryTimestamp", Value::Null);
    for (body, expected) in [
        (good.to_string(), true),
        (no_promise, true),
        (at("$/unknown", json!(1)), true),
        (at("/x", json!({})), false),
        ("{}".to_owned(), false),
        ("[]".to_owned(), false),
        (good.to_string().replace(&"0f".repeat(40), "x"), false),
        (
            good.to_string()
                .replacen("\"body\"", "\"body\":\"\",\"body\"", 1),
            false,
        ),
        (at("$/body", json!("!")), false),
        (at("$/body", json!("e30=")), false),
        (at("$/body", json!(STANDARD.encode(other_kind))), false),
        (at("$/logID", json!("00")), false),
        (at("$/logIndex", json!(-1)), false),
        (at("$/integratedTime", json!("x")), false),
        (at("$/verification", Value::Null), false),
        (at(proof, Value::Null), false),
        (at(&format!("{proof}/checkpoint"), Value::Null), false),
        (
            at(&format!("{proof}/checkpoint"), json!("x".repeat(70_000))),
            false,
        ),
        (at(&format!("{proof}/hashes"), json!(["00"])), false),
        (
            at(&format!("{proof}/hashes"), json!(vec!["00".repeat(32); 65])),
            false,
        ),
        (at(&format!("{proof}/rootHash"), json!("00")), false),
        (at(&format!("{proof}/treeSize"), json!(1.5)), false),
    ] {
        world.answer(201, &body);
        let found = hashed1(&world).await.map_err(|error| error.code());
        match expected {
            true => assert_eq!(found.unwrap().body, entry.body, "{body}"),
            false => assert_eq!(found.unwrap_err(), DenyCode::ServiceMalformed, "{body}"),
        }
        world.sandbox.clear_faults();
    }
    // The same of version 2, in which zeros may be left out and numbers are text or not.
    let signed = Signed::new(&world.key, "a");
    let entry = hashed2(&world, &signed).await.unwrap();
    let good = entry.to_bundle_json();
    assert!(good.get("logIndex").is_none() && entry.log_index == 0);
    let with = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed.to_string()
    };
    let mut plain = good.clone();
    plain["logIndex"] = json!(0);
    plain["inclusionPromise"] = Value::Null;
    plain["integratedTime"] = json!("0");
    plain["new"] = json!({});
    for (body, expected) in [
        (good.to_string(), true),
        (plain.to_string(), true),
        (with("/inclusionProof/treeSize", json!(1)), true),
        (with("/inclusionProof/treeSize", json!("x")), false),
        (with("/inclusionProof/treeSize", json!("-1")), false),
        (with("/inclusionProof", Value::Null), false),
        (with("/inclusionProof/checkpoint", Value::Null), false),
        (with("/inclusionProof/rootHash", json!("AA==")), false),
        (with("/logId/keyId", json!("AA==")), false),
        (with("/kindVersion/kind", json!("dsse")), false),
        (with("/kindVersion/version", json!("0.0.1")), false),
        (with("/canonicalizedBody", json!("e30=")), false),
        ("{}".to_owned(), false),
    ] {
        world.answer(201, &body);
        let found = hashed2(&world, &signed).await.map_err(|error| error.code());
        match expected {
            true => assert_eq!(found.unwrap(), entry, "{body}"),
            false => assert_eq!(found.unwrap_err(), DenyCode::ServiceMalformed, "{body}"),
        }
        world.sandbox.clear_faults();
    }
    world.sandbox.stop().await.unwrap();
}

/// What stands in bundles and annotations, member by member.
#[tokio::test]
async fn an_entry_is_written_as_cosign_does() {
    let world = World::open().await;
    hashed1(&world).await.unwrap();
    let entry = hashed1(&world).await.unwrap();
    let bundled = entry.to_bundle_json();
    let names: Vec<_> = bundled.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        [
            "canonicalizedBody",
            "inclusionPromise",
            "inclusionProof",
            "integratedTime",
            "kindVersion",
            "logId",
            "logIndex",
        ]
    );
    assert_eq!(bundled["logIndex"], json!("1"));
    assert_eq!(
        bundled["integratedTime"],
        json!(entry.integrated_time.unwrap().to_string())
    );
    assert_eq!(bundled["inclusionProof"]["treeSize"], json!("2"));
    let legacy = entry.to_legacy_annotation().unwrap();
    assert!(
        legacy.starts_with("{\"SignedEntryTimestamp\":\""),
        "{legacy}"
    );
    let legacy: Value = serde_json::from_str(&legacy).unwrap();
    assert_eq!(legacy["Payload"]["logIndex"], json!(1));
    assert_eq!(legacy["Payload"]["logID"], json!(hex(&entry.log_id)));
    assert_eq!(legacy["Payload"]["body"], bundled["canonicalizedBody"]);
    let entry = hashed2(&world, &Signed::new(&world.key, "a"))
        .await
        .unwrap();
    assert_eq!(entry.to_legacy_annotation(), None);
    let bundled = entry.to_bundle_json();
    let names: Vec<_> = bundled.as_object().unwrap().keys().cloned().collect();
    let expected = [
        "canonicalizedBody",
        "inclusionProof",
        "kindVersion",
        "logId",
    ];
    assert_eq!(names, expected, "zeros are left out");
    world.sandbox.stop().await.unwrap();
}

/// What is refused is refused at once, with what the log says.
#[tokio::test]
async fn a_wrong_proposal_is_refused() {
    let world = World::open().await;
    let signed = Signed::new(&world.key, "a");
    let digest = Signed::new(&world.key, "b").digest();
    let verifier = Verifier::PublicKey(world.key.spki());
    let signature = &signed.signature;
    let wrong = v1::Proposal::HashedRekord {
        digest,
        signature,
        verifier,
    };
    let error = world.propose1(&wrong).await.unwrap_err();
    assert_eq!(error.code(), DenyCode::ServiceRefused);
    assert!(error.to_string().contains("verifying signature"), "{error}");
    let wrong = v2::Proposal {
        digest: digest.as_bytes(),
        signature,
        verifier,
        details: P256,
    };
    assert_eq!(code(world.propose2(&wrong).await), DenyCode::ServiceRefused);
    assert!(hashed2(&world, &signed).await.is_ok());
    world.sandbox.stop().await.unwrap();
}
