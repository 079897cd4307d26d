//! `scgate trust`: what it shows, what it writes, and what it refuses to.

use std::fs;
use std::path::Path;

use scgate::Digest;
use scgate::sandbox::mint::Mint;
use serde_json::Value;
use serde_json::json;

use super::lab;
use super::signer;
use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;
use crate::trust::World;
use crate::trust::server::Fault;

const DAY: i64 = 24 * 60 * 60;
/// A moment at which the root of the samples counts.
const THEN: &str = "--at=2026-12-01T00:00:00Z";

fn compare(name: &str, actual: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/snapshots");
    let path = dir.join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(&dir).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs (BLESS=1 writes it)");
}

fn id_of(root: &Path) -> String {
    let said = scgate(["trust", "pin"]).and([root]).exits(0);
    assert_eq!(said.stderr, "");
    said.stdout.trim_end().to_owned()
}

/// A mirror and a directory to work in, with the anchor as `root.json`.
struct Bench {
    world: World,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            world: World::new(),
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(bench.path("root.json"), &bench.world.anchor).unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn fetch(&self) -> Run {
        scgate([
            "trust",
            "fetch",
            "--root=root.json",
            "--timeout=5s",
            "-o",
            "out.json",
        ])
        .and(["--mirror", &self.world.served.url])
        .within(self.dir.path())
    }

    fn pin(&self, checksum: Digest) -> Run {
        scgate(["trust", "pin", "-o", "pinned.json", "--timeout=5s"])
            .and(["--root-checksum", &checksum.to_string()])
            .and(["--mirror", &self.world.served.url])
            .within(self.dir.path())
    }

    /// What lies in the directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Another root in the place of the one that is distributed.
    fn distribute(&mut self, root: &Value) {
        self.world.repository.distributed[0].bytes = root.to_string().into_bytes();
        self.world.repository.publish();
        self.world.serve();
    }

    fn root(&self) -> Value {
        serde_json::from_slice(self.world.target("trusted_root.json")).unwrap()
    }
}

#[test]
fn what_is_in_a_root() {
    let ask = |more: &[&str]| {
        scgate(["trust", "show", "trusted_root.json", THEN])
            .and(more)
            .within(&lab())
            .exits(0)
    };
    compare("trust-show.txt", &ask(&[]).stdout);
    assert_eq!(ask(&["-o", "human"]).stdout, ask(&["-o", "text"]).stdout);
    let said = ask(&["--output=json"]);
    compare("trust-show.json", &said.stdout);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["id"], id_of(&lab().join("trusted_root.json")));
    let states = |at: &str| {
        let said = scgate(["trust", "show", "trusted_root.json", "-ojson", at])
            .within(&lab())
            .exits(0);
        let json: Value = serde_json::from_str(&said.stdout).unwrap();
        let entries = json["entries"].as_array().unwrap().clone();
        let states = entries
            .into_iter()
            .map(|entry| entry["state"].as_str().unwrap().to_owned());
        let mut states: Vec<_> = states.collect();
        states.dedup();
        states
    };
    assert_eq!(states("--at=1999-01-01T00:00:00Z"), ["not-yet"]);
    assert!(states("--at=2999-01-01T00:00:00Z").contains(&"ended".to_owned()));
}

#[test]
fn the_embedded_roots_are_shown_and_suffice() {
    for (staging, url) in [
        (None, "https://fulcio.sigstore.dev"),
        (Some("--staging"), "https://fulcio.sigstage.dev"),
    ] {
        let said = scgate(["trust", "show"]).and(staging).exits(0);
        assert!(said.stdout.contains(url), "{said}");
        let said = scgate(["trust", "check"]).and(staging).exits(0);
        said.complains("days ago").complains("`scgate trust fetch`");
    }
}

#[test]
fn a_root_suffices_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.json");
    let now = scgate::Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
    let good = Mint::new(now).unwrap().trusted_root().json();
    let check = |root: &Value, more: &[&str]| {
        fs::write(&path, root.to_string()).unwrap();
        scgate(["trust", "check", "root.json", THEN])
            .and(more)
            .within(dir.path())
    };
    let before = |days: i64| now.plus_seconds(-days * DAY).to_string();
    let after = |days: i64| now.plus_seconds(days * DAY).to_string();
    check(&good, &[]).exits(0);
    check(&good, &["--within=30d"]).exits(0);
    check(&good, &["--within", "720h"]).exits(0);
    let said = check(&good, &["--within=3650d"]).exits(1);
    assert!(
        said.stdout
            .contains("certificate authority: usable only until"),
        "{said}"
    );
    for (list, place, words, flag) in [
        (
            "certificateAuthorities",
            "",
            "certificate authority: ",
            "certificate-authority",
        ),
        (
            "ctlogs",
            "publicKey",
            "certificate transparency log: ",
            "ct-log",
        ),
        (
            "tlogs",
            "publicKey",
            "transparency log: ",
            "transparency-log",
        ),
        (
            "timestampAuthorities",
            "",
            "timestamp authority: ",
            "timestamp-authority",
        ),
    ] {
        let without = format!("--without={flag}");
        let with = |valid_for: Value| {
            let mut root = good.clone();
            for entry in root[list].as_array_mut().unwrap() {
                let place = match place {
                    "" => entry,
                    place => &mut entry[place],
                };
                place["validFor"] = valid_for.clone();
            }
            root
        };
        let mut missing = good.clone();
        missing[list] = json!([]);
        for (root, state) in [
            (missing, "MISSING"),
            (
                with(json!({"start": before(9), "end": before(2)})),
                "EXPIRED",
            ),
            (with(json!({"start": after(2)})), "NOT YET"),
        ] {
            let said = check(&root, &[]).exits(1);
            assert!(said.stdout.contains(&format!("  {words}{state}")), "{said}");
            check(&root, &[&without]).exits(0);
        }
        let ends = with(json!({"start": before(9), "end": after(9)}));
        check(&ends, &["--within=8d"]).exits(0);
        let said = check(&ends, &["--within=10d"]).exits(1);
        assert!(
            said.stdout.contains(&format!("  {words}usable only until")),
            "{said}"
        );
        check(&ends, &["--within=10d", &without]).exits(0);
        // What follows on may take over.
        let mut next = ends.clone();
        let mut entry = ends[list][0].clone();
        let window = match place {
            "" => &mut entry,
            place => {
                entry["logId"] = json!({"keyId": base64(&[9; 32])});
                &mut entry[place]
            }
        };
        window["validFor"] = json!({"start": after(9)});
        next[list].as_array_mut().unwrap().push(entry);
        check(&next, &["--within=10d"]).exits(0);
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_pin_names_the_reviewed_root() {
    let dir = tempfile::tempdir().unwrap();
    let now = scgate::Timestamp::from(std::time::SystemTime::now());
    let path = dir.path().join("root.json");
    let other = dir.path().join("other.json");
    fs::write(&path, Mint::new(now).unwrap().trusted_root().bytes()).unwrap();
    fs::write(&other, Mint::new(now).unwrap().trusted_root().bytes()).unwrap();
    let (id, another) = (id_of(&path), id_of(&other));
    assert_ne!(id, another);
    let check = |pins: &[&str]| {
        let pins = pins.iter().map(|pin| format!("--pin={pin}"));
        scgate(["trust", "check", "-ojson"]).and([&path]).and(pins)
    };
    check(&[]).exits(0);
    check(&[&id]).exits(0);
    check(&[&another, &id]).exits(0);
    let said = check(&[&another]).exits(1);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["pinned"], false);
    assert_eq!(json["sufficient"], true);
    // Form is not content.
    let tree: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(&path, serde_json::to_string_pretty(&tree).unwrap()).unwrap();
    check(&[&id]).exits(0);
    for wrong in [
        "",
        "x",
        id.trim_start_matches("sha256:"),
        "sha256:00",
        &format!("sha512:{}", "0".repeat(128)),
    ] {
        check(&[wrong]).exits(2);
    }
}

#[test]
fn what_is_no_root_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.json"), "").unwrap();
    fs::write(dir.path().join("tuf.json"), World::new().anchor).unwrap();
    for command in ["show", "check", "pin"] {
        for (file, words) in [
            ("empty.json", "it looks like an empty file"),
            ("tuf.json", "it looks like metadata of a TUF repository"),
            ("absent.json", "there is no such file"),
            (".", "it is a directory"),
            ("-", "stdin is not read"),
        ] {
            let said = scgate(["trust", command, file]).within(dir.path()).exits(2);
            assert_eq!(said.stdout, "");
            said.complains(words).complains(&format!("`{file}"));
        }
    }
}

#[test]
fn a_fetched_root_is_written_whole_and_compared() {
    let mut bench = Bench::new();
    let said = bench.fetch().exits(0);
    let written = fs::read(bench.path("out.json")).unwrap();
    assert_eq!(written, bench.world.target("trusted_root.json"));
    assert_eq!(bench.names(), ["out.json", "root.json"]);
    assert!(
        said.stdout.contains("root      version 1, until "),
        "{said}"
    );
    assert!(
        said.stdout.contains(&id_of(&bench.path("out.json"))),
        "{said}"
    );
    let said = bench.fetch().and(["--signing-config=config.json"]).exits(0);
    assert!(
        said.stdout.contains("the same as the file that was there"),
        "{said}"
    );
    let config = fs::read(bench.path("config.json")).unwrap();
    assert_eq!(config, bench.world.target("signing_config.v0.2.json"));
    // One log is gone, one ends, a new one comes.
    let mut root = bench.root();
    let gone = root["tlogs"].as_array_mut().unwrap().remove(0);
    root["ctlogs"][0]["publicKey"]["validFor"]["end"] = json!("2026-01-01T00:00:00Z");
    let other = Mint::new(bench.world.now).unwrap().trusted_root().json();
    let new = other["tlogs"][0].clone();
    root["tlogs"].as_array_mut().unwrap().push(new);
    bench.distribute(&root);
    let said = bench.fetch().exits(0);
    let url = gone["baseUrl"].as_str().unwrap();
    for words in [
        format!("    - transparency log {url} ("),
        format!("    + transparency log {url} ("),
        "    ! certificate transparency log https://ct.sandbox.test".to_owned(),
        ") ended at 2026-01-01T00:00:00Z".to_owned(),
    ] {
        assert!(said.stdout.contains(&words), "{words}\n{said}");
    }
}

#[test]
fn what_a_repository_does_wrong_leaves_everything_as_it_was() {
    let mut bench = Bench::new();
    bench.fetch().and(["--cache=cache"]).exits(0);
    let kept = fs::read(bench.path("out.json")).unwrap();
    let refused = |bench: &Bench, run: Run, code: i32, words: &str| {
        let said: Said = run.exits(code);
        assert_eq!(said.stdout, "", "{said}");
        drop(said.complains(words));
        assert_eq!(fs::read(bench.path("out.json")).unwrap(), kept, "{words}");
        bench.world.serve();
        bench.fetch().exits(0);
    };
    let old = bench.world.files();
    bench
        .world
        .served
        .fault("timestamp.json", Fault::Status(500));
    refused(
        &bench,
        bench.fetch(),
        3,
        "answered 500 for `timestamp.json`",
    );
    bench.world.served.fault("timestamp.json", Fault::Endless);
    refused(&bench, bench.fetch(), 1, "more than 16384 bytes");
    bench.world.repository.timestamp.expires = bench.world.now.plus_seconds(-1);
    bench.world.serve();
    let run = bench.fetch();
    let said = run
        .exits(1)
        .complains("the timestamp role of the repository expired at");
    assert_eq!(said.stdout, "");
    bench.world.repository.timestamp.expires = bench.world.now.plus_seconds(DAY);
    bench.world.repository.publish();
    bench.world.serve();
    bench.fetch().and(["--cache=cache"]).exits(0);
    bench.world.served.serve(old);
    bench.fetch().exits(0);
    let run = bench.fetch().and(["--cache=cache"]);
    refused(&bench, run, 1, "went back from version 2 to 1");
    // What it distributes is verified, and no root all the same.
    let good = bench.root();
    let mut bad = good.clone();
    bad["tlogs"][0]["publicKey"]["validFor"] = json!({});
    for bad in [bad, json!({}), json!([])] {
        bench.distribute(&bad);
        let said = bench.fetch().exits(1);
        drop(said.complains("the `trusted_root.json` of the repository cannot be used"));
        assert_eq!(fs::read(bench.path("out.json")).unwrap(), kept);
    }
    bench.distribute(&good);
    bench.fetch().exits(0);
    bench.world.repository.distributed[1].bytes = b"{}".to_vec();
    bench.world.repository.publish();
    bench.world.serve();
    bench.fetch().exits(0);
    let said = bench.fetch().and(["--signing-config=config.json"]).exits(1);
    drop(said.complains("the `signing_config.v0.2.json` of the repository is none"));
    assert!(!bench.path("config.json").exists());
}

#[test]
fn a_mirror_that_is_down_is_undecided() {
    let bench = Bench::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let fetch = [
        "trust",
        "fetch",
        "--root=root.json",
        "-oout.json",
        "--timeout=5s",
    ];
    for (url, code) in [
        (url.as_str(), 3),
        (&bench.world.served.url, 0),
        ("http://169.254.169.254", 2),
        ("ftp://tuf.test", 2),
        ("https://user:secret@tuf.test", 2),
        ("tuf.test", 2),
    ] {
        let said = scgate(fetch)
            .and(["--mirror", url])
            .within(bench.dir.path())
            .exits(code);
        assert!(!said.stderr.contains("secret"), "{said}");
    }
}

#[test]
fn a_mirror_is_reached_as_the_flags_say() {
    let bench = Bench::new();
    let url = bench.world.served.url.as_str();
    let fetch = |mirror: &str| {
        scgate([
            "trust",
            "fetch",
            "--root=root.json",
            "-oout.json",
            "--timeout=5s",
        ])
        .and(["--mirror", mirror])
        .within(bench.dir.path())
    };
    // The proxy asks for the mirror; here it is the mirror.
    let elsewhere = "http://tuf.invalid";
    fetch(elsewhere).exits(3);
    fetch(elsewhere).and(["--proxy", url]).exits(0);
    fetch(elsewhere).variable("SCGATE_PROXY", url).exits(0);
    fetch(url)
        .and(["--proxy=socks5://127.0.0.1:1"])
        .exits(2)
        .complains("`--proxy, SCGATE_PROXY`");
    // A port below 1024 is whose who wrote it.
    fetch("http://127.0.0.1:1").exits(3);
    let authorities = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/ca.pem");
    fetch(url).and(["--cacert"]).and([&authorities]).exits(0);
    let said = fetch(url).and(["--cacert=root.json"]).exits(2);
    drop(said.complains("`--cacert root.json`: a CA file without a certificate"));
    // It speaks no TLS.
    fetch(&url.replace("http:", "https:")).exits(3);
}

#[test]
fn no_anchor_is_ever_taken_from_the_mirror() {
    let bench = Bench::new();
    let url = &bench.world.served.url;
    let said = scgate(["trust", "fetch", "-oout.json", "--mirror", url]).exits(2);
    drop(said.complains("`--root <FILE>` is missing"));
    let said = scgate(["trust", "fetch", "-oout.json", "--root=root.json"]).exits(2);
    drop(said.complains("`--mirror <URL>` is missing"));
    scgate(["trust", "pin", "--mirror", url, "-ox.json"]).exits(2);
    scgate(["trust", "pin"]).exits(2);
    assert_eq!(bench.world.served.requests(), Vec::<String>::new());
    fs::write(bench.path("root.json"), World::new().anchor).unwrap();
    bench
        .fetch()
        .exits(1)
        .complains("is not signed as the root demands");
    fs::write(bench.path("root.json"), "{}").unwrap();
    bench
        .fetch()
        .exits(2)
        .complains("the pinned `root.json` cannot be used");
}

#[test]
fn a_place_that_holds_something_else_is_kept() {
    let bench = Bench::new();
    fs::write(bench.path("out.json"), "notes").unwrap();
    drop(
        bench
            .fetch()
            .exits(2)
            .complains("`--output out.json`: it looks like something other"),
    );
    assert_eq!(fs::read(bench.path("out.json")).unwrap(), b"notes");
    fs::remove_file(bench.path("out.json")).unwrap();
    let fetch = |words: &[&str]| {
        scgate([
            "trust",
            "fetch",
            "--root=root.json",
            "--mirror",
            &bench.world.served.url,
        ])
        .and(words)
        .within(bench.dir.path())
    };
    for words in [
        &["-o", "root.json"][..],
        &["-o", "./root.json"],
        &["-o", "out.json", "--signing-config=root.json"],
        &["-o", "out.json", "--signing-config=out.json"],
        &["-o", "/no/such/directory/out.json"],
        &["-o", "."],
        &["-o", "-"],
        &["-o", "/dev/null"],
    ] {
        fetch(words).exits(2);
        assert_eq!(bench.names(), ["root.json"], "{words:?}");
    }
    assert_eq!(bench.world.served.requests(), Vec::<String>::new());
    fetch(&["-o", "out.json"]).exits(0);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_stays() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("real.json", bench.path("out.json")).unwrap();
    fs::write(
        bench.path("real.json"),
        bench.world.target("trusted_root.json"),
    )
    .unwrap();
    bench.fetch().exits(0);
    assert!(bench.path("out.json").is_symlink());
}

#[test]
fn a_root_is_pinned_by_its_checksum() {
    let mut bench = Bench::new();
    let first = Digest::sha256(&bench.world.anchor);
    let said = bench.pin(first).exits(0);
    assert!(
        said.stdout
            .starts_with("version 1 of the root of http://127.0.0.1:"),
        "{said}"
    );
    assert_eq!(
        fs::read(bench.path("pinned.json")).unwrap(),
        bench.world.anchor
    );
    // The bare form of cosign.
    let url = bench.world.served.url.clone();
    let bare = [
        "trust",
        "pin",
        "-oother.json",
        "--mirror",
        &url,
        "--root-checksum",
    ];
    scgate(bare)
        .and([first.hex()])
        .within(bench.dir.path())
        .exits(0);
    // The newest is written, and good for a fetch.
    bench
        .world
        .repository
        .rotate(bench.world.now.plus_seconds(DAY))
        .unwrap();
    let mut files = bench.world.files();
    files.insert("root.json".to_owned(), bench.world.anchor.clone());
    files.insert("1.root.json".to_owned(), bench.world.anchor.clone());
    bench.world.served.serve(files.clone());
    let said = bench.pin(first).exits(0);
    assert!(said.stdout.starts_with("version 2 of the root"), "{said}");
    assert_eq!(
        fs::read(bench.path("pinned.json")).unwrap(),
        files["2.root.json"]
    );
    fs::copy(bench.path("pinned.json"), bench.path("root.json")).unwrap();
    bench.fetch().exits(0);
    // Another one, and one that nobody before it signed.
    fs::remove_file(bench.path("pinned.json")).unwrap();
    let said = bench.pin(Digest::sha256(b"x")).exits(1);
    drop(said.complains(&format!(
        "has the checksum {first}, not the one that was given"
    )));
    let stranger = World::new().anchor;
    files.insert("2.root.json".to_owned(), stranger);
    bench.world.served.serve(files.clone());
    bench.pin(first).exits(1);
    files.remove("2.root.json");
    bench.world.served.serve(files);
    bench.world.served.fault("root.json", Fault::Status(503));
    bench.pin(first).exits(3);
    assert!(!bench.path("pinned.json").exists());
    for wrong in ["", "sha256:", "00", &format!("sha512:{}", "0".repeat(128))] {
        let url = bench.world.served.url.as_str();
        scgate([
            "trust",
            "pin",
            "-ox.json",
            "--mirror",
            url,
            "--root-checksum",
            wrong,
        ])
        .exits(2);
    }
}

#[test]
fn offline_no_request_is_made() {
    let bench = Bench::new();
    let said = bench.fetch().and(["--offline"]).exits(2);
    drop(said.complains("a TUF mirror needs the network, which `--offline` forbids"));
    let said = bench.fetch().and(["--offline", "--cache=cache"]).exits(2);
    drop(said.complains("is not in the cache (fetch once with the network)"));
    assert!(!bench.path("out.json").exists());
    let first = Digest::sha256(&bench.world.anchor);
    bench.pin(first).and(["--offline"]).exits(2);
    assert_eq!(bench.world.served.requests(), Vec::<String>::new());
    bench.fetch().and(["--cache=cache"]).exits(0);
    fs::remove_file(bench.path("out.json")).unwrap();
    bench.world.served.requests();
    let said = bench.fetch().and(["--offline", "--cache=cache"]).exits(0);
    assert!(
        said.stdout
            .starts_with("verified what the cache has of http://"),
        "{said}"
    );
    assert_eq!(bench.world.served.requests(), Vec::<String>::new());
    let out = fs::read(bench.path("out.json")).unwrap();
    assert_eq!(out, bench.world.target("trusted_root.json"));
}

#[test]
fn offline_a_registry_is_out_of_reach_and_a_layout_is_not() {
    for command in ["verify", "verify-attestation"] {
        let ask = |more: &[&str]| {
            scgate([command, "127.0.0.1:1/acme/shop:1.0", "--timeout=5s"])
                .and(signer())
                .and(more)
                .within(&lab())
        };
        ask(&[]).exits(3);
        ask(&["--offline=false"]).exits(3);
        let said = ask(&["--offline"]).exits(2);
        drop(said.complains("a registry needs the network, which `--offline` forbids"));
    }
    scgate(super::asked("index-only.tar"))
        .and(["--offline", super::INDEX])
        .within(&lab())
        .exits(0);
    scgate([
        "verify-blob",
        "--offline",
        "--bundle=blob/rekor1.sigstore.json",
        "blob/blob.txt",
    ])
    .and(signer())
    .within(&lab())
    .exits(0);
}

#[test]
fn words_of_the_parts_of_trust_are_sentences_too() {
    for (words, text, help) in [
        (
            &["trust", "nope"][..],
            "there is no command `nope` (there are `show`, `fetch`",
            "scgate trust --help",
        ),
        (
            &["trust", "show", "--nope"],
            "there is no flag `--nope`",
            "scgate trust show --help",
        ),
        (
            &["trust", "show", "a", "b"],
            "`b` is one word too many",
            "scgate trust show --help",
        ),
        (
            &["trust", "check", "--within=x"],
            "`--within x`: a time is such as `30d`",
            "scgate trust check --help",
        ),
        (
            &["trust", "check", "--at=x"],
            "`--at x`: not a point in time",
            "",
        ),
        (
            &["trust", "show", "x", "--staging"],
            "exclude each other",
            "scgate trust show --help",
        ),
    ] {
        let said = scgate(words).exits(2).complains(text).complains(help);
        assert!(!said.stderr.contains("Usage:"), "{said}");
    }
}
