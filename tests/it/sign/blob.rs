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
