//! What a mirror may not do.

use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::tuf::Repository;
use scgate::sandbox::tuf::RootOrder;
use scgate::services::tuf::Error;
use scgate::services::tuf::Fault;
use scgate::services::tuf::Mirror;
use scgate::transport;
use serde_json::Value;
use serde_json::json;

use super::DAY;
use super::World;
use super::run;
use super::server;

fn stranger() -> SigningKey {
    SigningKey::generate(KeyKind::P256).unwrap()
}

/// What is changed before signing, and the words of the refusal.
type Change = fn(&mut Repository);

fn expired(at: scgate::Timestamp) -> scgate::Timestamp {
    at.plus_seconds(-10 * DAY)
}

#[test]
fn what_is_signed_and_wrong_is_refused() {
    let changes: [(&str, Change); 20] = [
        ("the root role of the repository expired", |r| {
            r.roots[0].expires = expired(r.roots[0].expires.plus_seconds(-365 * DAY));
        }),
        ("the timestamp role of the repository expired", |r| {
            r.timestamp.expires = expired(r.timestamp.expires);
        }),
        ("the snapshot role of the repository expired", |r| {
            r.snapshot.expires = expired(r.snapshot.expires);
        }),
        ("the targets role of the repository expired", |r| {
            r.targets.expires = expired(r.targets.expires);
        }),
        ("the timestamp role of the repository is not signed", |r| {
            r.timestamp.signer = Some(stranger());
        }),
        ("the snapshot role of the repository is not signed", |r| {
            r.snapshot.signer = Some(stranger());
        }),
        ("the targets role of the repository is not signed", |r| {
            r.targets.signer = Some(stranger());
        }),
        // One online key does not sign for another role.
        ("the targets role of the repository is not signed", |r| {
            r.targets.signer = Some(r.roots[0].timestamp.clone());
        }),
        (
            "`2.root.json` of the repository is malformed: it says that it is version 3",
            |r| {
                rotate(r).overrides.insert("version".to_owned(), json!(3));
            },
        ),
        ("the root role of the repository is not signed", |r| {
            let before = r.roots[0].root.clone();
            rotate(r).signers = Some(before);
        }),
        ("the root role of the repository is not signed", |r| {
            let root = rotate(r);
            root.signers = Some(root.root.clone());
        }),
        ("the root role of the repository is not signed", |r| {
            rotate(r).threshold = 2;
        }),
        ("at least 1 is required", |r| {
            rotate(r).threshold = 0;
        }),
        ("one key under two ids", |r| {
            twice(rotate(r));
        }),
        ("expected _type \"timestamp\"", |r| {
            r.timestamp
                .overrides
                .insert("_type".to_owned(), json!("snapshot"));
        }),
        ("unsupported TUF spec_version", |r| {
            r.targets
                .overrides
                .insert("spec_version".to_owned(), json!("2.0.0"));
        }),
        ("the repository distributes no `trusted_root.json`", |r| {
            r.distributed.remove(0);
        }),
        ("snapshot version 7 does not match", |r| {
            r.snapshot.overrides.insert("version".to_owned(), json!(7));
        }),
        ("exceeds configured max", |r| {
            let entry = json!({"length": u64::MAX, "hashes": {"sha256": "00"}});
            let targets = json!({"trusted_root.json": entry});
            r.targets.overrides.insert("targets".to_owned(), targets);
        }),
        ("a file of that name is not asked for", |r| {
            let entry = json!({"length": 1, "hashes": {"sha256": "../../x"}});
            let targets = json!({"trusted_root.json": entry});
            r.targets.overrides.insert("targets".to_owned(), targets);
        }),
    ];
    for (words, change) in changes {
        let mut world = World::new();
        assert!(world.update(None).is_ok(), "{words}");
        change(&mut world.repository);
        world.anchor = world.files()["1.root.json"].clone();
        world.serve();
        let error = world.update(None).unwrap_err();
        assert_eq!(error.fault(), Fault::Repository, "{error}");
        assert!(
            error.to_string().contains(words),
            "{error}\nwanted: {words}"
        );
    }
}

fn rotate(repository: &mut Repository) -> &mut RootOrder {
    let expires = repository.roots[0].expires;
    repository.rotate(expires).unwrap();
    repository.roots.last_mut().unwrap()
}

/// Lists the one key of the root role under another id too, which then counts for two.
fn twice(root: &mut RootOrder) {
    let key = |id: &str| json!({"keyids": [id], "threshold": 1});
    let public = json!({
        "keytype": "ecdsa",
        "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": root.root[0].public_pem()},
    });
    let id = scgate::sandbox::tuf::key_id(&root.root[0]).unwrap();
    root.overrides
        .insert("keys".to_owned(), json!({id.clone(): public, "00": public}));
    let roles = json!({
        "root": {"keyids": [id, "00"], "threshold": 2},
        "timestamp": key("00"), "snapshot": key("00"), "targets": key("00"),
    });
    root.overrides.insert("roles".to_owned(), roles);
}

#[test]
fn what_is_changed_after_signing_is_refused() {
    let world = World::new();
    let target = |name: &str| {
        let hash = scgate::Digest::sha256(world.target(name)).hex();
        format!("targets/{hash}.{name}")
    };
    let root = target("trusted_root.json");
    let config = target("signing_config.v0.2.json");
    for (path, words) in [
        (
            "timestamp.json",
            "the timestamp role of the repository is not signed",
        ),
        ("1.snapshot.json", "the repository contradicts itself"),
        ("1.targets.json", "the repository contradicts itself"),
        (
            root.as_str(),
            "the repository contradicts itself: trusted_root.json",
        ),
        (
            config.as_str(),
            "the repository contradicts itself: signing_config",
        ),
    ] {
        assert!(world.update(None).is_ok(), "{path}");
        let mut files = world.files();
        let bytes = files.get_mut(path).unwrap();
        *bytes = match path.starts_with("targets/") {
            true => vec![b'x'; bytes.len()],
            false => changed(bytes),
        };
        world.served.serve(files);
        let error = world.update(None).unwrap_err();
        assert_eq!(error.fault(), Fault::Repository, "{error}");
        assert!(error.to_string().contains(words), "{path}: {error}");
        world.serve();
    }
}

/// The same role, with another end.
fn changed(bytes: &[u8]) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(bytes).unwrap();
    json["signed"]["expires"] = json!("2099-01-01T00:00:00Z");
    json.to_string().into_bytes()
}

#[test]
fn what_is_not_strict_json_is_refused() {
    let world = World::new();
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        br#"{"signed":{},"signed":{},"signatures":[]}"#,
        br#"{"signed":{"_type":"timestamp"},"signatures":[]}"#,
        b"{\"signed\":1e400}",
    ] {
        assert!(world.update(None).is_ok());
        let mut files = world.files();
        files.insert("timestamp.json".to_owned(), bytes.to_vec());
        world.served.serve(files.clone());
        let error = world.update(None).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        files.insert("2.root.json".to_owned(), bytes.to_vec());
        world.served.serve(files);
        let error = world.update(None).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        world.serve();
    }
}

#[test]
fn what_is_too_large_or_endless_is_refused() {
    let world = World::new();
    let hash = scgate::Digest::sha256(world.target("trusted_root.json")).hex();
    for path in [
        "2.root.json",
        "timestamp.json",
        "1.snapshot.json",
        "1.targets.json",
        &format!("targets/{hash}.trusted_root.json"),
    ] {
        assert!(world.update(None).is_ok(), "{path}");
        world.served.fault(path, server::Fault::Endless);
        let error = world.update(None).unwrap_err();
        assert!(
            matches!(&error, Error::Excess { file, .. } if file == path),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Repository);
        let mut files = world.files();
        files.insert(path.to_owned(), vec![b' '; 6 * 1024 * 1024]);
        world.served.serve(files);
        let error = world.update(None).unwrap_err();
        assert!(
            matches!(&error, Error::Excess { file, .. } if file == path),
            "{error}"
        );
        world.serve();
    }
}

#[test]
fn more_roots_than_are_walked_are_refused() {
    let mut world = World::new();
    world.bounds.rotations = 2;
    for _ in 0..2 {
        rotate(&mut world.repository);
    }
    world.serve();
    assert!(world.update(None).is_ok());
    rotate(&mut world.repository);
    world.serve();
    let error = world.update(None).unwrap_err();
    assert!(matches!(error, Error::Rotations { limit: 2 }), "{error}");
}

#[test]
fn a_mirror_that_does_not_answer_is_the_world() {
    let mut world = World::new();
    for status in [301, 302, 401, 404, 410, 429, 500, 503] {
        assert!(world.update(None).is_ok(), "{status}");
        world
            .served
            .fault("timestamp.json", server::Fault::Status(status));
        let error = world.update(None).unwrap_err();
        assert_eq!(error.fault(), Fault::World, "{error}");
        assert!(
            matches!(error, Error::Status { status: s, .. } if s == status),
            "{error}"
        );
        world.serve();
    }
    world.seconds = 1;
    world.served.fault("timestamp.json", server::Fault::Silent);
    let error = world.update(None).unwrap_err();
    let late = |error: &Error| matches!(error, Error::Transport(transport::Error::Deadline { .. }));
    assert!(late(&error), "{error}");
    world.serve();
    assert!(world.update(None).is_ok());
}

/// Whatever the mirror does: nobody but the operator says where the trust begins.
#[test]
fn an_anchor_must_be_a_root_that_signs_itself() {
    let mut world = World::new();
    let good = world.anchor.clone();
    let other = World::new().anchor;
    let mut unsigned: Value = serde_json::from_slice(&good).unwrap();
    unsigned["signatures"] = json!([]);
    for (anchor, is_anchor) in [
        (Vec::new(), false),
        (b"{}".to_vec(), false),
        (changed(&good), false),
        (unsigned.to_string().into_bytes(), false),
        (world.files()["timestamp.json"].clone(), false),
        (vec![b' '; 1024 * 1024], false),
        // A good one, of another repository.
        (other, true),
    ] {
        world.anchor = good.clone();
        assert!(world.update(None).is_ok());
        world.anchor = anchor;
        let error = world.update(None).unwrap_err();
        assert_eq!(matches!(error, Error::Anchor { .. }), !is_anchor, "{error}");
        assert_eq!(error.fault() == Fault::Asker, !is_anchor, "{error}");
    }
}

#[test]
fn a_first_root_has_the_checksum_that_was_given() {
    use scgate::services::tuf::Bounds;
    use scgate::services::tuf::first_root;
    use scgate::transport::Deadline;
    use scgate::transport::Settings;
    use scgate::transport::Transport;
    let world = World::new();
    let mirror = Mirror::parse(&world.served.url).unwrap();
    let transport = Transport::new(Settings::default()).unwrap();
    let deadline = Deadline::after(core::time::Duration::from_secs(20));
    let bounds = Bounds::default();
    let ask = |checksum| run(first_root(&mirror, checksum, &bounds, &transport, deadline));
    let good = scgate::Digest::sha256(&world.anchor);
    assert_eq!(ask(good).unwrap(), world.anchor);
    let error = ask(scgate::Digest::sha256(b"")).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Repository);
    // A mirror whose `root.json` is its newest has the first one by its number.
    let mut files = world.files();
    files.insert("root.json".to_owned(), World::new().anchor);
    files.insert("1.root.json".to_owned(), world.anchor.clone());
    world.served.serve(files);
    assert_eq!(ask(good).unwrap(), world.anchor);
}
