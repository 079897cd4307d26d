//! Files: several under one certificate, read back by `verify-blob`.

use std::fs;

use super::ISSUER;
use super::SOMEBODY;
use super::WHO;
use super::World;
use crate::runner::scgate;

#[tokio::test(flavor = "multi_thread")]
async fn several_files_have_one_certificate() {
    let world = World::open().await;
    let path = |name: &str| world.dir.path().join(name);
    for name in ["a", "b", "c"] {
        fs::write(path(name), name).unwrap();
    }
    let said = world.signs(&["sign-blob", "a", "b", "c"]).exits(0);
    let expected = "a.sigstore.json\nb.sigstore.json\nc.sigstore.json\n";
    assert_eq!(said.stdout, expected);
    assert_eq!(world.asked("/api/v2/signingCert"), 1);
    let verify = |file: &str, bundle: &str, who: &str| {
        scgate(["verify-blob", "--trusted-root=root.json", ISSUER, who, file])
            .and([format!("--bundle={bundle}.sigstore.json")])
            .within(world.dir.path())
            .run()
            .code
    };
    for name in ["a", "b", "c"] {
        assert_eq!(verify(name, name, WHO), Some(0));
        assert_eq!(verify(name, name, SOMEBODY), Some(1));
    }
    assert_eq!(verify("a", "b", WHO), Some(1), "another file's");
    world.end().await;
}

/// Whoever writes to a pipe does so to the first that opens it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_opened_once() {
    let world = World::open().await;
    let path = |name: &str| world.dir.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(path("pipe"))
        .status();
    assert!(made.unwrap().success());
    fs::write(path("file"), "what comes by the pipe").unwrap();
    let pipe = path("pipe");
    let writer = std::thread::spawn(move || fs::write(pipe, "what comes by the pipe"));
    let words = ["sign-blob", "pipe", "--bundle=pipe.sigstore.json"];
    world.signs(&words).exits(0);
    writer.join().unwrap().unwrap();
    let verify = |file: &str| {
        scgate(["verify-blob", "--trusted-root=root.json", ISSUER, WHO, file])
            .and(["--bundle=pipe.sigstore.json"])
            .within(world.dir.path())
            .run()
            .code
    };
    assert_eq!(verify("file"), Some(0));
    assert_eq!(verify("root.json"), Some(1), "another file");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_about_a_file_needs_only_its_digest() {
    let world = World::open().await;
    let path = |name: &str| world.dir.path().join(name);
    fs::write(path("file"), "file").unwrap();
    fs::write(path("text"), "anything").unwrap();
    let attest = |words: &[&str]| world.signs(&["attest-blob", "--predicate=text"]).and(words);
    attest(&["file", "--bundle=one.json"]).exits(0);
    let digest = scgate::model::Digest::sha256(b"file").to_string();
    attest(&[&digest, "--bundle=other.json"]).exits(0);
    for bundle in ["one.json", "other.json"] {
        let verify = |file: &str| {
            scgate([
                "verify-blob-attestation",
                "--trusted-root=root.json",
                ISSUER,
                WHO,
            ])
            .and(["--type=custom", file, "--bundle", bundle])
            .within(world.dir.path())
            .run()
            .code
        };
        assert_eq!(verify("file"), Some(0), "{bundle}");
        assert_eq!(verify("text"), Some(1), "{bundle}");
    }
    // A signature is over the file itself.
    let said = world
        .signs(&["sign-blob", &digest, "--bundle=x.json"])
        .exits(2);
    said.complains("the file itself");
    // Several files have no one bundle, and stdin has no place of its own.
    fs::write(path("b"), "b").unwrap();
    world
        .signs(&["sign-blob", "file", "b", "--bundle=x.json"])
        .exits(2);
    world
        .signs(&["sign-blob", "-"])
        .exits(2)
        .complains("no place");
    world
        .signs(&["sign-blob", "-", "--bundle=x.json"])
        .stdin(b"file")
        .exits(0);
    world.end().await;
}

/// No output is one of the files that are read, by whatever path.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_read_is_written_over() {
    let world = World::open().await;
    let path = |name: &str| world.dir.path().join(name);
    fs::write(path("file"), "file").unwrap();
    fs::write(path("predicate"), "text").unwrap();
    std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
    fs::hard_link(path("token"), path("hard")).unwrap();
    let reference = world.reference();
    for words in [
        &["sign-blob", "file", "--bundle=./file"][..],
        &["sign-blob", "file", "--bundle=link"],
        &["sign-blob", "file", "--bundle=token"],
        &["sign-blob", "file", "--bundle=hard"],
        &["sign-blob", "file", "--bundle=root.json"],
        &["sign-blob", "file", "--bundle=services.json"],
        &["sign-blob", "file", "./file"],
        &[
            "attest-blob",
            "--predicate=predicate",
            "file",
            "--bundle=predicate",
        ],
        &[
            "attest",
            "--predicate=predicate",
            "-ojson=predicate",
            &reference,
        ],
        &["sign", "-ojson=root.json", &reference],
    ] {
        let said = world.signs(words).exits(2);
        said.complains("the same file");
    }
    assert_eq!(world.sandbox.requests().len(), 0);
    assert_eq!(fs::read(path("file")).unwrap(), b"file");
    world
        .signs(&["sign-blob", "file", "--bundle=other"])
        .exits(0);
    world.end().await;
}

/// stdin is one thing, and what looks like a token with a mistake is not repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_neither_signed_nor_shown() {
    let world = World::open().await;
    let token = fs::read(world.dir.path().join("token")).unwrap();
    let sign = |token: &str| {
        scgate([
            "sign-blob",
            "--signing-config=services.json",
            "--trusted-root=root.json",
        ])
        .and(["-", "--bundle=bundle", "--identity-token", token])
        .within(world.dir.path())
    };
    sign("-")
        .stdin(&token)
        .exits(2)
        .complains("stdin is the file");
    let said = sign("ghs_SECRETsecretSECRET").stdin(b"x").exits(2);
    assert!(!said.stderr.contains("SECRET"), "{said}");
    let cut = format!("{}.x", String::from_utf8(token).unwrap());
    let said = sign(&cut).stdin(b"x").exits(2);
    assert!(!said.stderr.contains("eyJ"), "{said}");
    sign("token").stdin(b"x").exits(0);
    world.end().await;
}

/// Whoever reads at once must not find a time in the future.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_is_waited_for() {
    let world = World::open().await;
    fs::write(world.dir.path().join("app"), "app").unwrap();
    for (lie, least) in [(None, 0), (Some("lie=clock:+3,path=/api/v1/timestamp"), 1)] {
        if let Some(lie) = lie {
            world.sandbox.inject(lie.parse().unwrap());
        }
        let began = std::time::Instant::now();
        world.signs(&["sign-blob", "app"]).exits(0);
        assert!(began.elapsed().as_secs() >= least, "{lie:?}");
        scgate(["verify-blob", "--trusted-root=root.json", ISSUER, WHO])
            .and(["app", "--bundle=app.sigstore.json"])
            .within(world.dir.path())
            .exits(0);
    }
    world.end().await;
}

/// A signature and attestations of several types lie beside one file, and a mistake in one name is
/// found before anything is signed.
#[tokio::test(flavor = "multi_thread")]
async fn no_bundle_takes_the_place_of_another() {
    let world = World::open().await;
    let path = |name: &str| world.dir.path().join(name);
    fs::write(path("app"), "app").unwrap();
    fs::write(path("text"), "{}").unwrap();
    for words in [
        &["sign-blob", "app", "nope"][..],
        &["sign-blob", "app", "."],
        &["attest-blob", "--predicate=text", "app", "nope"],
    ] {
        world.signs(words).exits(2);
        assert_eq!(world.sandbox.requests().len(), 0, "{words:?}");
        assert!(!path("app.sigstore.json").exists());
    }
    let attest = |kind: &str| {
        world
            .signs(&["attest-blob", "--predicate=text", "app"])
            .and([format!("--type={kind}")])
            .exits(0)
            .stdout
    };
    let mut names = vec![world.signs(&["sign-blob", "app"]).exits(0).stdout];
    names.extend(["custom", "https://a.test/one", "https://a.test/two"].map(attest));
    assert_eq!(
        names[..2],
        ["app.sigstore.json\n", "app.custom.sigstore.json\n"]
    );
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        assert!(path(name.trim()).exists(), "{name}");
    }
    world.end().await;
}
