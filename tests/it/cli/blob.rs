//! Files: each form of evidence, each way to name the file, and the conformance suite's protocol.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::Digest;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use serde_json::json;

use crate::admit::shop::now;
use crate::runner::Run;
use crate::runner::scgate;

const FILE: &[u8] = b"a release binary";

/// A directory with a signed file, everything that proves it, and a root that vouches.
struct World {
    dir: tempfile::TempDir,
    who: Vec<String>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mint = Mint::new(now()).unwrap();
        let identity = scgate::sandbox::mint::email("dev@lab.test", "https://issuer.test");
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
        let sign = |order: Order| mint.sign(&order).unwrap();
        let message = || Content::Message(FILE.to_vec());
        let digest = Digest::sha256(FILE);

        write("file", FILE);
        write("other", b"another release binary");
        write("root.json", &mint.trusted_root().bytes());
        let keyless = sign(Order::keyless(now(), &identity, message()));
        write("bundle.json", &keyless.bundle_bytes("0.3"));
        write(
            "legacy.json",
            keyless.legacy_blob_bundle().to_string().as_bytes(),
        );
        write(
            "file.crt",
            pem("CERTIFICATE", keyless.certificate.as_deref().unwrap()).as_bytes(),
        );
        write("file.sig", STANDARD.encode(&keyless.signature).as_bytes());
        write("file.raw", &keyless.signature);
        write("file.tsr", &keyless.timestamps[0]);
        let about =
            Content::attestation("file", digest, "https://slsa.dev/provenance/v1", &json!({}));
        let statement: Minted = sign(Order::keyless(now(), &identity, about));
        write("statement.json", &statement.bundle_bytes("0.3"));

        let key = SigningKey::generate(KeyKind::P256).unwrap();
        write("key.pub", key.public_pem().as_bytes());
        let keyed = sign(Order::keyed(now(), &key, message()));
        write("keyed.json", &keyed.bundle_bytes("0.3"));
        write("keyed.sig", STANDARD.encode(&keyed.signature).as_bytes());
        let other = SigningKey::generate(KeyKind::P256).unwrap();
        write("other.pub", other.public_pem().as_bytes());
        let who = [
            "--certificate-identity",
            identity.san.value(),
            "--certificate-oidc-issuer",
            &identity.issuer,
        ];
        Self {
            who: who.map(str::to_owned).to_vec(),
            dir,
        }
    }

    fn ask(&self, words: &str) -> Run {
        scgate(words.split(' '))
            .within(self.dir.path())
            .and(["--trusted-root=root.json"])
    }

    fn keyless(&self, words: &str) -> Run {
        self.ask(words).and(&self.who)
    }
}

#[test]
fn each_form_of_evidence_and_each_name_of_the_file() {
    let world = World::new();
    let digest = Digest::sha256(FILE);
    let relaxed = "--insecure-ignore-tlog --rfc3161-timestamp=file.tsr";
    for (evidence, refused) in [
        ("--bundle=bundle.json".to_owned(), "subject-mismatch"),
        ("--bundle=legacy.json".to_owned(), "signature-invalid"),
        (
            format!("--signature=file.sig --certificate=file.crt {relaxed}"),
            "signature-invalid",
        ),
        (
            format!("--signature=file.raw --cert=file.crt {relaxed}"),
            "signature-invalid",
        ),
    ] {
        let ask = |file: &str| world.keyless(&format!("verify-blob {evidence} -ojson {file}"));
        ask("file").exits(0);
        ask(&digest.to_string()).exits(0);
        ask("-").stdin(FILE).exits(0);
        assert_eq!(ask("other").exits(1).codes(), [refused], "{evidence}");
        assert_eq!(ask("-").exits(1).codes(), [refused], "{evidence}");
    }
    let text = STANDARD.encode(fs::read(world.dir.path().join("file.raw")).unwrap());
    world
        .keyless(&format!(
            "verify-blob --signature={text} --certificate=file.crt {relaxed} file"
        ))
        .exits(0);
    // Nothing but a signature: not in a log, and at no time that is known.
    for (words, code) in [
        (
            "--signature=file.sig --certificate=file.crt file",
            "log-entry-missing",
        ),
        (
            "--signature=file.sig --certificate=file.crt --insecure-ignore-tlog file",
            "time-missing",
        ),
    ] {
        let said = world
            .keyless(&format!("verify-blob -ojson {words}"))
            .exits(1);
        assert_eq!(said.codes(), [code], "{said}");
    }
}

/// The report names the file that is malformed, not the one that should be proven.
#[test]
fn a_malformed_file_of_evidence_is_the_one_that_is_named() {
    let world = World::new();
    for (name, bytes) in [("bundle.json", None), ("broken.json", Some("{}"))] {
        let path = world.dir.path().join(name);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let words = format!("verify-blob -ojson --bundle={name} file");
        let said = world.keyless(&words).exits(i32::from(bytes.is_some()));
        let holder = Digest::sha256(&fs::read(path).unwrap()).to_string();
        assert!(said.stdout.contains(&holder), "{said}");
        let malformed: &[&str] = bytes.map_or(&[], |_| &["bundle-malformed"]);
        assert_eq!(said.codes(), malformed, "{said}");
    }
}

#[test]
fn a_managed_key_signs_files_too() {
    let world = World::new();
    for (words, code) in [
        ("--bundle=keyed.json --key=key.pub file", ""),
        (
            "--bundle=keyed.json --key=other.pub file",
            "signature-invalid",
        ),
        (
            "--bundle=bundle.json --key=key.pub file",
            "signer-kind-mismatch",
        ),
        (
            "--signature=keyed.sig --key=key.pub --insecure-ignore-tlog file",
            "",
        ),
        (
            "--signature=keyed.sig --key=key.pub file",
            "log-entry-missing",
        ),
        (
            "--signature=keyed.sig --key=key.pub --insecure-ignore-tlog other",
            "signature-invalid",
        ),
    ] {
        let said = world.ask(&format!("verify-blob -ojson {words}")).run();
        assert_eq!(said.code, Some(i32::from(!code.is_empty())), "{said}");
        assert_eq!(said.codes().join(" "), code, "{said}");
    }
}

/// T-DSSE-10: an attestation where a signature over a file is demanded.
#[test]
fn a_statement_about_a_file_is_no_signature_over_it() {
    let world = World::new();
    for (words, code) in [
        (
            "verify-blob-attestation --type=slsaprovenance1 --bundle=statement.json",
            "",
        ),
        (
            "verify-blob-attestation --bundle=statement.json",
            "no-attestation",
        ),
        (
            "verify-blob-attestation --type=slsaprovenance1 --bundle=bundle.json",
            "no-attestation",
        ),
        ("verify-blob --bundle=statement.json", "no-signature"),
    ] {
        let said = world.keyless(words).and(["-ojson", "file"]).run();
        assert_eq!(said.code, Some(i32::from(!code.is_empty())), "{said}");
        assert_eq!(said.codes().join(" "), code, "{said}");
    }
}

#[test]
fn the_conformance_suite_gets_a_yes_or_a_no() {
    let world = World::new();
    let digest = Digest::sha256(FILE);
    for (words, code) in [
        ("--bundle=bundle.json file".to_owned(), 0),
        ("--bundle=statement.json file".to_owned(), 0),
        (format!("--bundle=statement.json {digest}"), 0),
        ("--bundle=bundle.json other".to_owned(), 1),
        ("--bundle=statement.json other".to_owned(), 1),
        ("--bundle=absent.json file".to_owned(), 1),
        ("--bundle=bundle.json absent".to_owned(), 1),
        ("--bundle=bundle.json sha256:abc".to_owned(), 1),
        ("--bundle=bundle.json --no-such-flag file".to_owned(), 1),
        ("--bundle=bundle.json".to_owned(), 1),
        ("--bundle=bundle.json --staging file".to_owned(), 1),
    ] {
        world
            .keyless(&format!("conformance verify-bundle {words}"))
            .exits(code);
    }
    world
        .ask("conformance verify-bundle --bundle=keyed.json --key=key.pub file")
        .exits(0);
    world
        .ask("conformance verify-bundle --bundle=keyed.json --key=other.pub file")
        .exits(1);
    // The instances whose roots are part of scgate: neither knows this one.
    for staging in [&[][..], &["--staging"]] {
        scgate([
            "conformance",
            "verify-bundle",
            "--bundle=bundle.json",
            "file",
        ])
        .and(&world.who)
        .and(staging)
        .within(world.dir.path())
        .exits(1)
        .complains("is not in the trust root");
    }
}

#[test]
fn a_time_is_read_although_nothing_takes_any() {
    let world = World::new();
    for (words, code) in [
        ("verify-blob --bundle=bundle.json file", 0),
        (
            "verify-blob-attestation --type=slsaprovenance1 --bundle=statement.json file",
            0,
        ),
    ] {
        for time in ["30s", "2m30s", "1ms", "1h"] {
            world.keyless(words).and(["--timeout", time]).exits(code);
            world.keyless(words).and(["-t", time]).exits(code);
            let by_variable = world.keyless(words).variable("SCGATE_TIMEOUT", time);
            by_variable.exits(code);
        }
        for time in ["0", "0s", "1ns", "999us", "-1s", "bogus", ""] {
            let by_flag = world.keyless(words).and(["--timeout", time]).exits(2);
            drop(by_flag.complains("--timeout").complains("`2m30s`"));
            // A variable that is empty is as one that is not set.
            let by_variable = world.keyless(words).variable("SCGATE_TIMEOUT", time);
            match time {
                "" => drop(by_variable.exits(code)),
                _ => drop(by_variable.exits(2).complains("`2m30s`")),
            }
        }
    }
}

#[test]
fn a_file_whose_name_looks_like_a_digest_can_be_named() {
    let world = World::new();
    let ask = |file: &str| {
        world
            .keyless("verify-blob --bundle=bundle.json")
            .and([file])
    };
    for name in ["sha256:abc", "md5:abc", "SHA1:abc"] {
        drop(ask(name).exits(2).complains("is no digest"));
        fs::write(world.dir.path().join(name), FILE).unwrap();
        ask(name).exits(0);
        ask(&format!("./{name}")).exits(0);
    }
    // A whole digest is one, whatever lies beside it.
    let digest = Digest::sha256(FILE).to_string();
    fs::write(world.dir.path().join(&digest), b"another").unwrap();
    ask(&digest).exits(0);
    ask(&format!("./{digest}")).exits(1);
}
