//! Wrong usage: every malformed file, reference, digest, key, root and pair of flags ends with 2 and
//! one sentence that names the thing and the remedy; nothing is decided, and nothing panics.

use std::fs;

use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use scgate::services::oidc::Provider;

use super::AMD64;
use super::IDENTITY;
use super::INDEX;
use super::ISSUER;
use super::lab;
use super::signer;
use crate::runner::scgate;

const WHO: [&str; 4] = [
    "--certificate-identity",
    IDENTITY,
    "--certificate-oidc-issuer",
    ISSUER,
];
const LAYOUT: [&str; 2] = ["--layout", "index-only.tar"];
const ROOT: &str = "--trusted-root=trusted_root.json";

/// Asks, within the samples, and expects a sentence with all of these texts.
#[track_caller]
fn wrong(words: &[&[&str]], texts: &[&str]) {
    let said = scgate(words.concat()).within(&lab()).exits(2);
    assert_eq!(said.stdout, "", "{said}");
    let sentence = said.stderr.lines().find(|line| line.starts_with("error: "));
    let sentence = sentence.unwrap_or_else(|| panic!("{said}")).to_owned();
    for text in texts {
        assert!(sentence.contains(text), "no `{text}` in the error\n{said}");
    }
}

#[test]
fn who_must_have_signed_is_said_whole_and_once() {
    let ask = |who: &[&str], texts: &[&str]| {
        wrong(&[&["verify", INDEX, ROOT], &LAYOUT, who], texts);
        wrong(&[&["verify-attestation", INDEX, ROOT], &LAYOUT, who], texts);
        let blob = [
            "verify-blob",
            "blob/blob.txt",
            "--bundle=blob/rekor1.sigstore.json",
            ROOT,
        ];
        wrong(&[&blob, who], texts);
    };
    ask(
        &[],
        &["who must have signed", "--certificate-identity", "--key"],
    );
    ask(&WHO[..2], &["issuer", "--certificate-oidc-issuer"]);
    ask(&WHO[2..], &["identity", "--certificate-identity"]);
    ask(
        &[&WHO[..], &["--certificate-identity-regexp", "x"]].concat(),
        &[
            "--certificate-identity",
            "--certificate-identity-regexp",
            "only one",
        ],
    );
    ask(
        &[&WHO[..], &["--certificate-oidc-issuer-regexp", "x"]].concat(),
        &[
            "--certificate-oidc-issuer",
            "--certificate-oidc-issuer-regexp",
            "only one",
        ],
    );
    ask(
        &[&WHO[..], &["--key", "cosign.pub"]].concat(),
        &["--key", "--certificate-identity", "only one"],
    );
    ask(
        &["--key=cosign.pub", "--certificate-build-trigger=push"],
        &["--key", "--certificate-build-trigger", "only one"],
    );
    for (value, text) in [
        ("", "empty"),
        (".*", "anybody"),
        ("(", "not a regular expression"),
        (r"a\1", "not a regular expression"),
        (r"\W{1000}\D{1000}", "too large"),
        ("a{1, 2}", "braces"),
    ] {
        ask(
            &[&WHO[2..], &["--certificate-identity-regexp", value]].concat(),
            &["--certificate-identity-regexp", text],
        );
    }
    ask(
        &["--certificate-identity=", "--certificate-oidc-issuer=x"],
        &["--certificate-identity", "empty"],
    );
    ask(
        &[&WHO[..], &["--certificate-build-trigger="]].concat(),
        &["--certificate-build-trigger", "empty"],
    );
}

#[test]
fn keys_and_roots_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let private = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJh\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    let pem = fs::read_to_string(lab().join("cosign.pub")).unwrap();
    for (name, bytes, text) in [
        ("empty", &b""[..], "the file is empty"),
        ("der", b"\x30\x59\x00\xff", "not PEM"),
        ("private", private.as_bytes(), "private key"),
        ("two", pem.repeat(2).as_bytes(), "exactly one"),
        ("text", b"cosign.pub", "PEM"),
        (
            "bits",
            pem.replace("MFkw", "MFkx").as_bytes(),
            "no supported kind",
        ),
        ("large", &vec![b'a'; 70_000], "larger than"),
    ] {
        let path = file(name, bytes);
        wrong(
            &[&["verify", INDEX, ROOT, "--key", &path], &LAYOUT],
            &["--key", &path, text],
        );
    }
    for (key, text) in [
        ("absent.pub", "no such file"),
        (".", "directory"),
        ("env://COSIGN_KEY", "`env://`"),
        ("k8s://ns/secret", "`k8s://`"),
        ("awskms:///alias/x", "`awskms://`"),
        ("gcpkms://projects/x", "`gcpkms://`"),
        ("azurekms://x", "`azurekms://`"),
        ("hashivault://x", "`hashivault://`"),
        ("gitlab://x", "`gitlab://`"),
        ("pkcs11:token=x", "`pkcs11:`"),
        ("https://example.test/cosign.pub", "`https://`"),
    ] {
        wrong(
            &[&["verify", INDEX, ROOT, "--key", key], &LAYOUT],
            &["--key", key, text],
        );
    }
    let root = fs::read_to_string(lab().join("trusted_root.json")).unwrap();
    for (name, bytes, text) in [
        ("root-empty", String::new(), "an empty file"),
        ("root-text", "no JSON".to_owned(), "a JSON object"),
        ("root-array", "[]".to_owned(), "a JSON array"),
        ("root-pem", pem, "a PEM key"),
        (
            "root-half",
            root.split_at(root.len() / 2).0.to_owned(),
            "not a trusted root",
        ),
        (
            "root-none",
            r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#
                .to_owned(),
            "neither",
        ),
        (
            "root-other",
            root.replace("trustedroot+json", "bundle+json"),
            "a Sigstore bundle",
        ),
        (
            "root-config",
            root.replace("trustedroot+json", "signingconfig.v0.2+json"),
            "a signing configuration",
        ),
        (
            "root-later",
            root.replace("version=0.1", "version=0.9"),
            "unknown type",
        ),
        (
            "root-legacy",
            r#"{"base64Signature":"","cert":""}"#.to_owned(),
            "a bundle of cosign v2",
        ),
        (
            "root-tuf",
            r#"{"signatures":[],"signed":{}}"#.to_owned(),
            "metadata of a TUF repository",
        ),
        (
            "root-envelope",
            r#"{"payload":"","payloadType":"x","signatures":[]}"#.to_owned(),
            "a DSSE envelope",
        ),
        (
            "root-twice",
            root.replacen('{', r#"{"mediaType":"x","#, 1),
            "not a trusted root",
        ),
        ("root-large", " ".repeat(5 * 1024 * 1024), "larger than"),
    ] {
        let path = file(name, bytes.as_bytes());
        wrong(
            &[&["verify", INDEX, "--trusted-root", &path], &WHO, &LAYOUT],
            &["--trusted-root", &path, text],
        );
    }
    wrong(
        &[
            &["verify", INDEX, "--trusted-root", "absent.json"],
            &WHO,
            &LAYOUT,
        ],
        &["--trusted-root absent.json", "no such file"],
    );
}

#[test]
fn references_that_are_none() {
    let hex = INDEX.split_once(':').unwrap().1;
    let upper = format!("sha256:{}", hex.to_uppercase());
    for (reference, texts) in [
        ("", &["no image reference"][..]),
        (hex, &["image id"]),
        (INDEX, &["names no repository", "--layout"]),
        ("sha256:abc", &["sha256:abc", "is no digest", "64"]),
        ("SHA256:abc", &["SHA256:abc", "is no digest", "`sha256:`"]),
        (
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &["is no digest", "`sha512:`"],
        ),
        ("sha1:da39a3ee", &["is no digest", "`sha512:`"]),
        ("blake3:latest", &["is no digest", "`sha512:`"]),
        ("https://ghcr.io/a/b", &["scheme"]),
        ("ghcr.io/A/b", &["upper-case"]),
        ("ghcr.io/a/b@sha256:abc", &["64"]),
        (
            "ghcr.io/a/b@md5:d41d8cd98f00b204e9800998ecf8427e",
            &["no image reference", "sha256 and sha512"],
        ),
        ("ghcr.io/a/b:", &["tag"]),
        ("ghcr.io:99999/a/b", &["port"]),
        ("ghcr.io/a b", &["no image reference"]),
        ("ghcr.io/../b", &["no image reference"]),
    ] {
        wrong(&[&["verify", reference, ROOT], &WHO], texts);
    }
    for reference in ["a:b:c", "../x", "ä"] {
        wrong(
            &[&["verify", reference, ROOT], &LAYOUT, &WHO],
            &[reference, "no image reference"],
        );
    }
    let shouted = INDEX.to_uppercase();
    let mixed = format!("Sha256:{hex}");
    let other = format!("sha1:{hex}");
    for digest in [
        upper.as_str(),
        &shouted,
        &mixed,
        &other,
        "sha256:",
        "sha256:abc",
        "sha512:abc",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha224:x",
        "sha384:x",
        "blake2b:x",
    ] {
        let texts = [digest, "is no digest", "`sha256:` with 64"];
        wrong(&[&["verify", digest, ROOT], &LAYOUT, &WHO], &texts);
        wrong(&[&["verify", digest, ROOT], &WHO], &texts);
        let parent = format!("--parent={digest}");
        wrong(&[&["verify", AMD64, ROOT, &parent], &LAYOUT, &WHO], &texts);
        let blob = ["verify-blob", digest, "--bundle=absent", ROOT];
        wrong(&[&blob, &WHO], &["--bundle absent"]);
        let blob = [
            "verify-blob",
            digest,
            "--bundle=blob/rekor1.sigstore.json",
            ROOT,
        ];
        wrong(&[&blob, &WHO], &texts);
    }
    // Images of such a name can be named.
    for name in [
        "docker.io/library/sha256:abc",
        "library/sha256:abc",
        "sha256",
    ] {
        let said = scgate(["verify", name, ROOT, "-ojson"])
            .and(LAYOUT)
            .and(WHO)
            .within(&lab());
        let said = said.exits(1);
        assert_eq!(said.codes(), ["image-not-found"], "{said}");
    }
    // One that is none spoils them all, before anything is decided.
    wrong(
        &[&["verify", INDEX, "nope:", ROOT], &LAYOUT, &WHO],
        &["nope:"],
    );
    wrong(&[&["verify", ROOT], &WHO], &["<REF|DIGEST>", "is missing"]);
}

#[test]
fn layouts_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let tar = fs::read(lab().join("index-only.tar")).unwrap();
    let half = dir.path().join("half.tar");
    fs::write(&half, tar.split_at(tar.len() / 2).0).unwrap();
    // Cut between two entries: all that is missing is the end.
    let zeros = tar.iter().rev().take_while(|byte| **byte == 0).count();
    let endless = dir.path().join("endless.tar");
    fs::write(
        &endless,
        tar.split_at((tar.len() - zeros).next_multiple_of(512)).0,
    )
    .unwrap();
    let gzip = dir.path().join("x.tar.gz");
    fs::write(&gzip, [&[0x1f, 0x8b, 8][..], &[0; 1021]].concat()).unwrap();
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(
        other.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    let broken = dir.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(
        broken.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    fs::write(broken.join("index.json"), "{").unwrap();
    let marker = dir.path().join("marker");
    fs::create_dir(&marker).unwrap();
    fs::write(marker.join("oci-layout"), "1.0.0").unwrap();
    fs::write(marker.join("index.json"), "{}").unwrap();
    for (path, text, remedy) in [
        ("absent", "no such file or directory", "compare the path"),
        (
            "cosign.pub",
            "neither a directory nor a tar archive",
            "OCI layout directory",
        ),
        ("blob", "no `oci-layout`", "OCI layout directory"),
        (half.to_str().unwrap(), "cut short", "again"),
        (endless.to_str().unwrap(), "cut short", "again"),
        (gzip.to_str().unwrap(), "compressed", "`gunzip`"),
        (other.to_str().unwrap(), "2.0.0", "again"),
        (broken.to_str().unwrap(), "contents", "again"),
        (
            marker.to_str().unwrap(),
            "`oci-layout` is malformed",
            "again",
        ),
    ] {
        wrong(
            &[&["verify", INDEX, ROOT, "--layout", path], &WHO],
            &["--layout", path, text, remedy],
        );
    }
}

#[test]
fn which_image_of_a_layout_is_meant_must_be_said_where_there_are_several() {
    let lab_layout = |name: &str| {
        let path = lab().join(name);
        scgate(["verify", ROOT, "--layout"])
            .and([path])
            .and(WHO)
            .within(&lab())
    };
    // The only image of a layout needs no name.
    lab_layout("unsigned.tar").and(["-ojson"]).exits(1);

    let dir = tempfile::tempdir().unwrap();
    let layout = dir.path().join("layout");
    let image = |hex: char, tag: Option<&str>| {
        let mut entry = serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", hex.to_string().repeat(64)),
            "size": 7,
        });
        if let Some(tag) = tag {
            entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": tag});
        }
        entry
    };
    let write = |entries: &[serde_json::Value]| {
        fs::create_dir_all(&layout).unwrap();
        let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(layout.join("oci-layout"), marker).unwrap();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
    };
    let layout = format!("--layout={}", layout.display());
    let refused = |texts: &[&str]| {
        wrong(&[&["verify", ROOT, &layout], &WHO], texts);
        wrong(&[&["verify", "acme.test/shop", ROOT, &layout], &WHO], texts);
        wrong(&[&["verify-attestation", ROOT, &layout], &WHO], texts);
    };
    let asked = |reference: &[&str]| {
        let said = scgate(["verify", ROOT, &layout, "-ojson"])
            .and(WHO)
            .and(reference)
            .within(&lab());
        said.exits(1).codes()
    };

    write(&[]);
    refused(&["holds no image", "name a layout"]);
    let only = image('a', Some("1.0"));
    write(std::slice::from_ref(&only));
    assert_eq!(asked(&[]), ["image-not-found"], "it is asked, and absent");

    // A tag that two images have, or that nobody can write, names neither.
    write(&[
        only.clone(),
        only,
        image('b', None),
        image('c', Some("twice")),
        image('d', Some("twice")),
        image('e', Some("acme.test/shop:2.0")),
        image('f', Some("\u{1b}[31mred")),
    ]);
    let digest = |hex: char| format!("`sha256:{}`", hex.to_string().repeat(64));
    refused(&[
        "holds 6 images",
        "name one of them: `1.0`, ",
        &digest('b'),
        &digest('c'),
        &digest('d'),
        "`acme.test/shop:2.0`",
        &digest('f'),
    ]);
    for reference in ["1.0", "acme.test/shop:2.0"] {
        assert_eq!(asked(&[reference]), ["image-not-found"]);
    }
    assert_eq!(asked(&[digest('c').trim_matches('`')]), ["image-not-found"]);

    let many: Vec<_> = ('0'..='9').map(|hex| image(hex, None)).collect();
    write(&many);
    refused(&["holds 10 images", &digest('7'), " and 2 more"]);
}

#[test]
fn flags_that_do_not_go_together_and_values_that_are_none() {
    for (flags, texts) in [
        (
            &["--recursive", "--covers=index"][..],
            &["--recursive", "--covers", "only one"][..],
        ),
        (
            &["--recursive", "--covers=platforms"],
            &["--recursive", "--covers", "only one"],
        ),
        (
            &["--recursive", "--parent", AMD64],
            &["--parent", "--recursive", "only one"],
        ),
        (
            &["--covers=platforms", "--parent", AMD64],
            &["--parent", "--covers", "only one"],
        ),
        (
            &["--signature-repository=a.test/b"],
            &["--signature-repository", "--layout"],
        ),
        (&["--parent=a.test/b:1"], &["--parent a.test/b:1", "digest"]),
        (&["--parent=a.test/B"], &["a.test/B", "upper-case"]),
        (&["--platform=linux"], &["--platform linux", "linux/arm64"]),
        (&["--platform=linux/"], &["--platform linux/", "OS/ARCH"]),
        (
            &["--platform=linux/amd64,linux/arm64"],
            &["--platform linux/amd64,linux/arm64", "repeat the flag"],
        ),
        (
            &["--platform=linux/amd64,arm64"],
            &["--platform", "repeat the flag"],
        ),
        (
            &["--platform=linux/\u{1b}[31mamd64"],
            &["--platform linux/\\u{1b}[31mamd64", "OS/ARCH"],
        ),
        (&["--platform=linux/arm 64"], &["--platform", "OS/ARCH"]),
        (
            &["--parent", INDEX],
            &["--parent", "not its own parent", "leave the flag away"],
        ),
        (
            &["--parent", &format!("a.test/b@{INDEX}")],
            &["--parent", "not its own parent"],
        ),
        (&["--at=yesterday"], &["--at yesterday", "RFC 3339"]),
        (&["--at=2026-11-21 09:00:00Z"], &["--at", "RFC 3339"]),
        (&["--at=2999-01-01T00:00:00Z"], &["--at", "future"]),
        (&["--clock-skew=61"], &["--clock-skew", "61"]),
        (&["--clock-skew=-1"], &["--clock-skew"]),
        (&["--timeout=0s"], &["--timeout", "30s"]),
        (&["--timeout=-5s"], &["--timeout", "30s"]),
        (&["--timeout", "-1s"], &["--timeout", "30s"]),
        (&["--timeout=1ns"], &["--timeout", "30s", "1ms"]),
        (&["--timeout=soon"], &["--timeout", "30s"]),
        (&["-a", "env"], &["--annotations env", "NAME=VALUE"]),
        (&["-a", "=x"], &["--annotations =x", "NAME=VALUE"]),
        (&["-a", "env=prod,env=dev"], &["env", "two values"]),
        (
            &["--attachment-tag-prefix=a/b"],
            &["--attachment-tag-prefix a/b", "tag"],
        ),
        (&["-o", "xml"], &["--output", "json"]),
        (&["-o", "json="], &["--output", "file"]),
        (
            &["-o", "json", "-o", "text"],
            &["--output", "only one form"],
        ),
        (
            &["-o", "json=/no/such/directory/x"],
            &["--output /no/such/directory/x", "no such directory"],
        ),
        (&["--color=blue"], &["--color", "blue"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["--check-claims=false"], &["--check-claims", "refused"]),
    ] {
        wrong(&[&["verify", INDEX, ROOT], &LAYOUT, &WHO, flags], texts);
    }
    for (flags, texts) in [
        (&["--type=sbom"][..], &["--type sbom", "spdxjson"][..]),
        (&["--type="], &["--type", "URI"]),
    ] {
        wrong(
            &[&["verify-attestation", INDEX, ROOT], &LAYOUT, &WHO, flags],
            texts,
        );
    }
    let bundle = "--bundle=blob/rekor1.sigstore.json";
    for (flags, texts) in [
        (&[][..], &["the signature", "--bundle"][..]),
        (
            &[bundle, "--signature=AAAA"],
            &["--bundle", "--signature", "only one"],
        ),
        (
            &["--signature=AAAA"],
            &["whose signature", "--certificate", "--key"],
        ),
        (&["--certificate=cosign.pub"], &["the signature"]),
        (
            &["--signature=absent.sig", "--certificate=cosign.pub"],
            &["--signature absent.sig", "no such file"],
        ),
        (
            &["--bundle=absent.json"],
            &["--bundle absent.json", "no such file"],
        ),
        (&["--bundle=."], &["--bundle .", "directory"]),
    ] {
        wrong(
            &[&["verify-blob", "blob/blob.txt", ROOT], &WHO, flags],
            texts,
        );
    }
    wrong(
        &[&["verify-blob", "absent.bin", ROOT, bundle], &WHO],
        &["absent.bin", "no such file"],
    );
    wrong(
        &[&["verify-blob-attestation", "blob/blob.txt", ROOT], &WHO],
        &["the statement", "--bundle"],
    );
    wrong(&[&["frobnicate"]], &["frobnicate"]);
    let registry = ["verify", "127.0.0.1:1/a/b", ROOT];
    for (flags, texts) in [
        (
            &["--registry-username=x"][..],
            &["password", "--registry-password"][..],
        ),
        (&["--registry-password=x"], &["user", "--registry-username"]),
        (&["--registry-token="], &["--registry-token", "empty"]),
        (
            &["--registry-username=", "--registry-password=x"],
            &["--registry-username", "empty"],
        ),
        (
            &["--registry-username=x", "--registry-password="],
            &["--registry-password", "empty"],
        ),
        (
            &[
                "--registry-token=x",
                "--registry-username=x",
                "--registry-password=x",
            ],
            &["--registry-token"],
        ),
        (
            &["--authfile=absent.json"],
            &["--authfile absent.json", "no such file"],
        ),
        (&["--authfile=cosign.pub"], &["--authfile", "cosign.pub"]),
        (
            &["--registry-cacert=cosign.pub"],
            &["--registry-cacert cosign.pub"],
        ),
        (&["--proxy=::"], &["--proxy"]),
        (
            &["--signature-repository=a.test/b:1"],
            &["a.test/b:1", "repository"],
        ),
        (
            &["--parent", &format!("a.test/b@{AMD64}")],
            &["--parent", "another repository"],
        ),
    ] {
        wrong(&[&registry, &WHO, flags], texts);
    }
}

#[test]
fn flags_about_registries_have_no_meaning_beside_a_layout() {
    let ask = |flag: &[&str]| {
        scgate(["verify", INDEX, ROOT])
            .and(LAYOUT)
            .and(WHO)
            .and(flag)
            .within(&lab())
    };
    for flag in [
        "--allow-http-registry",
        "--allow-insecure-registry=true",
        "--authfile=cosign.pub",
        "--proxy=http://127.0.0.1:1",
        "--registry-cacert=cosign.pub",
        "--registry-password=x",
        "--registry-token=x",
        "--registry-token=",
        "--registry-username=x",
    ] {
        let name = flag.split('=').next().unwrap();
        let texts = [name, "has no meaning with `--layout`", "leave it away"];
        wrong(&[&["verify", INDEX, ROOT, flag], &LAYOUT, &WHO], &texts);
        wrong(
            &[&["verify-attestation", INDEX, ROOT, flag], &LAYOUT, &WHO],
            &texts,
        );
        // Where a registry is asked it is read.
        let asked = scgate(["verify", "127.0.0.1:1/a/b:1", ROOT, flag])
            .and(WHO)
            .within(&lab())
            .run();
        assert!(!asked.stderr.contains("has no meaning"), "{asked}");
    }
    // What changes nothing here, and what is set for other commands.
    ask(&["--timeout=30s"]).exits(0);
    ask(&[])
        .variable("SCGATE_PROXY", "http://127.0.0.1:1")
        .variable("SCGATE_AUTHFILE", "absent.json")
        .variable("SCGATE_CACERT", "absent.pem")
        .exits(0);
}

#[test]
fn malformed_evidence_is_a_refusal_and_no_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle.json");
    let good = fs::read_to_string(lab().join("blob/rekor1.sigstore.json")).unwrap();
    for (bundle, code) in [
        (good.clone(), ""),
        (String::new(), "bundle-malformed"),
        ("{".to_owned(), "bundle-malformed"),
        ("[]".to_owned(), "bundle-malformed"),
        ("null".to_owned(), "bundle-malformed"),
        ("{}".to_owned(), "bundle-malformed"),
        (
            good.split_at(good.len() / 2).0.to_owned(),
            "bundle-malformed",
        ),
        (
            r#"{"base64Signature":"AAAA"}"#.to_owned(),
            "signer-kind-mismatch",
        ),
        (
            r#"{"base64Signature":"@"}"#.to_owned(),
            "signature-malformed",
        ),
        (r#"{"base64Signature":1}"#.to_owned(), "legacy-malformed"),
        (
            good.replace("bundle.v0.3+json", "bundle.v9+json"),
            "bundle-version-unsupported",
        ),
    ] {
        fs::write(&path, &bundle).unwrap();
        let said = scgate(["verify-blob", "blob/blob.txt", "-o", "json", "--bundle"])
            .and([&path])
            .and(signer())
            .within(&lab())
            .exits(i32::from(!code.is_empty()));
        let codes: Vec<_> = Some(code)
            .filter(|code| !code.is_empty())
            .into_iter()
            .collect();
        assert_eq!(said.codes(), codes, "{said}");
    }
}

/// Words that make no command get a sentence of the same form as everything else, without the
/// library's usage text behind it.
#[test]
fn words_that_make_no_command() {
    for (words, text) in [
        (&["verify"][..], "`<REF|DIGEST>...` is missing"),
        (&["verify", "--nope", "x"], "there is no flag `--nope`"),
        (
            &["verify", "--certificate-identiy=x", "y"],
            "did you mean `--certificate-identity`?",
        ),
        (&["vrify", "x"], "there is no command `vrify` (there are"),
        (
            &["verify", "x", "--clock-skew=61"],
            "`--clock-skew 61`: a skew is a number of seconds from 0 to 60",
        ),
        (
            &["verify", "x", "--clock-skew", "-3"],
            "`--clock-skew -3`: a skew",
        ),
        (
            &["verify", "x", "--color=blue"],
            "(give one of `always`, `auto`, `never`)",
        ),
        (
            &["verify", "x", "--offline=maybe"],
            "`--offline maybe`: there is no such value (give one of `true`, `false`)",
        ),
        (
            &["verify", "x", "--key=k", "--key=j"],
            "`--key` is given twice",
        ),
        (&["verify", "x", "--platform"], "`--platform` has no value"),
        (
            &["verify", "x", "--trusted-root="],
            "`--trusted-root` has no value",
        ),
        (&["verify-blob", "a", "b"], "`b` is one word too many"),
        (&["verify", "x", "--key=-"], "`--key -`: stdin is not read"),
        (
            &[
                "verify-blob",
                "blob/blob.txt",
                "--key=cosign.pub",
                "--bundle=-",
            ],
            "`--bundle -`: stdin is not read",
        ),
        (
            &["verify", "x", "--trusted-root=-"],
            "`--trusted-root -`: stdin is not read",
        ),
        (&["verify", "x", "--at", "-1"], "`--at -1`: not a point"),
        (
            &["verify", "x", "--key=cosign.pub", "--layout=-"],
            "`--layout -`: stdin is not read",
        ),
        (&["verify", "--key=cosign.pub", ""], "`''` is no image"),
    ] {
        wrong(&[words], &[text]);
        let said = scgate(words).within(&lab()).exits(2);
        assert!(!said.stderr.contains("Usage:"), "{said}");
        assert!(said.stderr.lines().count() <= 2, "{said}");
    }
}

/// What stands in a report file goes only when a new report will stand there.
#[test]
fn a_report_is_not_lost_to_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    fs::write(&report, "the last one").unwrap();
    let output = format!("--output=json={}", report.display());
    let kept = || fs::read_to_string(&report).unwrap() == "the last one";
    let ask = |more: &[&str]| {
        scgate(["verify", INDEX, ROOT, &output])
            .and(LAYOUT)
            .and(more)
            .within(&lab())
    };
    for more in [
        &["--output=text=/no/such/directory/x"][..],
        &["--output=text=."],
        &[&output],
        &["--output=text", "--output=json"],
        &["--nope"],
    ] {
        ask(&[&WHO[..], more].concat()).exits(2);
        assert!(kept(), "{more:?}");
    }
    ask(&WHO).exits(0);
    assert!(!kept());
}

/// What signs, within a directory with a key, a file and what is no signing configuration.
#[test]
fn paths_of_what_signs_are_said_as_they_are_meant() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    write("key.pem", &pem("PRIVATE KEY", &key.to_pkcs8().unwrap()));
    write("a", "a");
    write(
        "spdx.json",
        r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT"}"#,
    );
    write(
        "bom.json",
        r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#,
    );
    write("other.json", r#"{"nobody":"knows"}"#);
    write("empty", "");
    let root = fs::read(lab().join("trusted_root.json")).unwrap();
    fs::write(dir.path().join("root.json"), root).unwrap();
    let signs = |words: &[&str], texts: &[&str], not: &str| {
        let said = scgate(words)
            .and(["--key=key.pem", "--tlog-upload=false"])
            .within(dir.path())
            .exits(2);
        for text in texts {
            assert!(said.stderr.contains(text), "no `{text}`\n{said}");
        }
        assert!(!said.stderr.contains(not), "{said}");
    };
    let image = "127.0.0.1:1/a:1";
    signs(
        &["sign", "--signing-config=nope", image],
        &["`--signing-config nope`: there is no such file"],
        "directory",
    );
    signs(
        &["sign-blob", "--bundle=nope/x.json", "a"],
        &["`--bundle nope/x.json`: there is no such directory"],
        "no such file",
    );
    signs(
        &["sign-blob", "a", "a"],
        &["`a.sigstore.json`: ", "the same file"],
        "another flag",
    );
    signs(
        &["sign-blob", "nope"],
        &["error: `nope`: there is no such file"],
        "FILE",
    );
    for (file, text) in [
        (
            "spdx.json",
            "an SPDX document, not like a signing configuration",
        ),
        ("bom.json", "a CycloneDX document"),
        ("root.json", "a trusted root"),
        ("key.pem", "a PEM key"),
        ("empty", "an empty file"),
        ("other.json", "unknown field `nobody` at line 1"),
    ] {
        let flag = format!("--signing-config={file}");
        signs(
            &["sign", &flag, image],
            &[text, "(name a `signing_config.json` of version 0.2"],
            "expected one of",
        );
    }
    scgate(["trust", "show", "nope"])
        .exits(2)
        .complains("error: `nope`: there is no such file");
}

#[test]
fn a_provider_is_named_or_its_names_are_told() {
    let asks = |name: &str| {
        scgate(["sign", "127.0.0.1:1/a:1"])
            .and(["--oidc-provider", name])
            .exits(2)
    };
    asks("google").complains("--identity-token FILE");
    asks("spiffe").complains("--spiffe-token FILE");
    let said = asks("gogle");
    for provider in Provider::ALL {
        assert!(said.stderr.contains(provider.name()), "{said}");
    }
    let help = scgate(["sign", "--help"]).exits(0).stdout;
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/signing.md")).unwrap();
    for provider in Provider::ALL {
        assert!(help.contains(provider.name()), "{provider}");
        assert!(page.contains(&format!("`{provider}`")), "{provider}");
    }
}

/// The variable is the flag, by whatever has the flag.
#[test]
fn an_output_by_variable_is_that_of_the_flag() {
    for words in [
        &["sign", "127.0.0.1:1/a:1"][..],
        &["attest", "--predicate=x", "127.0.0.1:1/a:1"],
        &["tree", "127.0.0.1:1/a:1"],
    ] {
        for (variable, text) in [
            ("xml", "a format is one of"),
            ("cosign-json", "cosign-json"),
        ] {
            let said = scgate(words).variable("SCGATE_OUTPUT", variable).exits(2);
            said.complains(text);
        }
    }
    let help = scgate(["tree", "--help"]).exits(0).stdout;
    for absent in ["cosign-json", "verdict as of"] {
        assert!(!help.contains(absent), "{absent}");
    }
}
