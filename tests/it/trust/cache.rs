//! What was seen before counts: older versions are refused, and without the network it is all there is.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use scgate::services::tuf::Error;
use scgate::services::tuf::Fault;

use super::DAY;
use super::World;
use super::accepted;
use super::run;

/// The directory of the one mirror in a cache.
fn inside(cache: &Path) -> PathBuf {
    fs::read_dir(cache).unwrap().next().unwrap().unwrap().path()
}

/// Every file below a directory, by its path in it.
fn listed(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let path = path.strip_prefix(dir).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_older_version_is_refused_where_a_newer_one_was_seen() {
    let mut world = World::new();
    let old = world.files();
    world.repository.publish();
    let new = world.files();
    // A newer timestamp over an older snapshot, and a newer snapshot over older targets.
    world.repository.timestamp.version = 3;
    world.repository.snapshot.version = 1;
    let older_snapshot = world.files();
    world.repository.snapshot.version = 3;
    world.repository.targets.version = 1;
    let older_targets = world.files();
    for role in [
        &mut world.repository.targets,
        &mut world.repository.snapshot,
    ] {
        role.version = 4;
    }
    world.repository.timestamp.version = 4;
    let newest = world.files();
    for (files, role) in [
        (&old, "timestamp"),
        (&older_snapshot, "snapshot (via timestamp)"),
        (&older_targets, "targets.json (via snapshot)"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        world.served.serve(files.clone());
        assert!(world.update(None).is_ok(), "{role}: without a memory");
        assert!(world.update(Some(cache.path())).is_ok(), "{role}: at first");
        let cache = tempfile::tempdir().unwrap();
        world.served.serve(new.clone());
        world.update(Some(cache.path())).unwrap();
        world.served.serve(files.clone());
        let error = world.update(Some(cache.path())).unwrap_err();
        let is_rollback = matches!(
            &error,
            Error::Rollback { role: found, trusted: 2, offered: 1 } if found == role
        );
        assert!(is_rollback, "{role}: {error}");
        assert_eq!(error.fault(), Fault::Repository);
        world.served.serve(newest.clone());
        assert!(world.update(Some(cache.path())).is_ok(), "{role}: again");
    }
}

#[test]
fn an_older_root_is_no_way_back() {
    let mut world = World::new();
    let old = world.files();
    world
        .repository
        .rotate(world.now.plus_seconds(90 * DAY))
        .unwrap();
    world.repository.publish();
    world.serve();
    let cache = tempfile::tempdir().unwrap();
    accepted(&world, &world.update(Some(cache.path())).unwrap(), [2; 4]);
    // The keys of the first root sign nothing any more, whoever has them.
    world.served.serve(old);
    let error = world.update(Some(cache.path())).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    assert!(world.update(None).is_ok());
}

#[test]
fn keys_may_be_rotated_under_a_cache() {
    let mut world = World::new();
    let cache = tempfile::tempdir().unwrap();
    accepted(&world, &world.update(Some(cache.path())).unwrap(), [1; 4]);
    world
        .repository
        .rotate(world.now.plus_seconds(90 * DAY))
        .unwrap();
    world.repository.publish();
    // The new root is kept, and then the mirror fails.
    let mut files = world.files();
    files.remove("timestamp.json");
    world.served.serve(files);
    assert!(world.update(Some(cache.path())).is_err());
    world.serve();
    accepted(&world, &world.update(Some(cache.path())).unwrap(), [2; 4]);
    assert!(world.offline(Some(cache.path())).is_ok());
}

#[test]
fn without_the_network_the_cache_is_verified_again() {
    let mut world = World::new();
    let cache = tempfile::tempdir().unwrap();
    for cache in [None, Some(cache.path())] {
        let error = world.offline(cache).unwrap_err();
        assert!(matches!(error, Error::NotCached { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Asker);
    }
    world
        .repository
        .rotate(world.now.plus_seconds(90 * DAY))
        .unwrap();
    world.serve();
    world.update(Some(cache.path())).unwrap();
    world.served.requests();
    let offline = world.offline(Some(cache.path())).unwrap();
    accepted(&world, &offline, [2, 1, 1, 1]);
    assert_eq!(world.served.requests(), Vec::<String>::new());
    // A frozen cache ends.
    for (days, role) in [(8, "timestamp"), (91, "root")] {
        let now = world.now;
        world.now = now.plus_seconds(days * DAY);
        let error = world.offline(Some(cache.path())).unwrap_err();
        assert!(
            matches!(&error, Error::Expired { role: r, .. } if r == role),
            "{error}"
        );
        let error = world.update(Some(cache.path())).unwrap_err();
        assert!(
            matches!(&error, Error::Expired { role: r, .. } if r == role),
            "{error}"
        );
        world.now = now;
    }
    assert!(world.offline(Some(cache.path())).is_ok());
}

#[test]
fn a_damaged_cache_is_refused() {
    let mut world = World::new();
    world
        .repository
        .rotate(world.now.plus_seconds(90 * DAY))
        .unwrap();
    world.serve();
    let cache = tempfile::tempdir().unwrap();
    world.update(Some(cache.path())).unwrap();
    let dir = inside(cache.path());
    let all = [
        "root.json",
        "root_history/1.root.json",
        "root_history/2.root.json",
        "snapshot.json",
        "targets.json",
        "targets/signing_config.v0.2.json",
        "targets/trusted_root.json",
        "timestamp.json",
    ];
    assert_eq!(listed(&dir), all);
    for name in &all[2..] {
        let path = dir.join(name);
        let good = fs::read(&path).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let other = text.replace("\"sig\":\"30", "\"sig\":\"31").into_bytes();
        for bad in [
            &b""[..],
            b"{",
            &good[..good.len() / 2],
            &[b' '; 6_000_000],
            &other,
        ] {
            if bad == good {
                continue;
            }
            assert!(world.offline(Some(cache.path())).is_ok(), "{name}");
            fs::write(&path, bad).unwrap();
            let error = world.offline(Some(cache.path())).unwrap_err();
            assert_eq!(error.fault(), Fault::Asker, "{name}: {error}");
            // With the network only that is fetched again which is no floor under a version.
            let again = world.update(Some(cache.path()));
            let is_damaged = matches!(again, Err(Error::Damaged { .. }));
            let is_above = matches!(*name, "snapshot.json" | "targets.json");
            let heals = name.starts_with("targets/") && bad.len() < 6_000_000;
            assert_eq!(
                is_damaged,
                !(heals || is_above && bad == other),
                "{name}: {again:?}"
            );
            fs::write(&path, &good).unwrap();
        }
    }
    let error = {
        fs::write(dir.join("timestamp.json"), "{}").unwrap();
        world.update(Some(cache.path())).unwrap_err()
    };
    assert!(
        error.to_string().contains("remove the directory"),
        "{error}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_not_passed_over() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = world.update(Some(&file)).unwrap_err();
    assert!(matches!(error, Error::Cache { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Asker);
    assert!(world.update(Some(&dir.path().join("new/one"))).is_ok());
}

#[test]
fn several_may_share_a_cache() {
    let mut world = World::new();
    let cache = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        world.repository.publish();
        world.serve();
        let all = run(async {
            futures_util::future::join_all((0..8).map(|_| world.ask(Some(cache.path())))).await
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(world.update(Some(cache.path())).is_ok()));
            }
        });
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert!(world.offline(Some(cache.path())).is_ok());
    }
    let names = listed(cache.path());
    assert!(
        names.iter().all(|name| name.ends_with(".json")),
        "{names:?}"
    );
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
fn each_mirror_has_a_memory_of_its_own() {
    let (one, other) = (World::new(), World::new());
    let cache = tempfile::tempdir().unwrap();
    for world in [&one, &other, &one, &other] {
        accepted(world, &world.update(Some(cache.path())).unwrap(), [1; 4]);
    }
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
}
