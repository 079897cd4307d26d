//! Where answers go, and the exit code of several.

use std::fs;
use std::fs::OpenOptions;

use serde_json::Value;

use super::AMD64;
use super::INDEX;
use super::asked;
use super::lab;
use super::signer;
use crate::runner::scgate;

#[test]
fn help_and_version_are_data() {
    for (words, text) in [
        (
            &["--version"][..],
            concat!("scgate ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        (&["--help"], "verify-attestation"),
        (&["verify", "--help"], "--certificate-source-repository-uri"),
        (&["verify", "-h"], "--certificate-identity"),
    ] {
        let said = scgate(words.iter()).exits(0);
        assert!(
            said.stdout.contains(text) && said.stderr.is_empty(),
            "{said}"
        );
        // What cosign has and scgate has not is not advertised.
        assert!(!said.stdout.contains("--rekor-url") && !said.stdout.contains("conformance"));
    }
}

#[test]
fn a_report_goes_to_each_place_that_is_named_and_nothing_else_to_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let (json, text) = (dir.path().join("a.json"), dir.path().join("a.txt"));
    let to_file =
        |format: &str, path: &std::path::Path| format!("--output={format}={}", path.display());
    let ask = || scgate(asked("index-only.tar")).within(&lab()).and([INDEX]);

    let said = ask().exits(0);
    assert!(
        said.stdout.starts_with("ALLOW ") && said.stderr.is_empty(),
        "{said}"
    );
    assert!(!said.stdout.contains('\u{1b}'), "{said}");
    assert!(
        ask()
            .and(["--color=always"])
            .exits(0)
            .stdout
            .contains('\u{1b}')
    );

    let said = ask()
        .and([
            to_file("json", &json),
            "-otext".to_owned(),
            to_file("text", &text),
        ])
        .exits(0);
    let document: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(document["outcome"], "allow");
    assert!(said.stdout.starts_with("ALLOW "), "{said}");
    assert!(fs::read_to_string(&text).unwrap().starts_with("ALLOW "));

    // With files alone, people read stderr.
    let said = ask().and([to_file("json", &json)]).exits(0);
    assert!(
        said.stdout.is_empty() && said.stderr.starts_with("ALLOW "),
        "{said}"
    );

    let said = ask().variable("SCGATE_OUTPUT", "json").exits(0);
    assert!(said.stdout.starts_with('{'), "{said}");
    let said = ask()
        .variable("SCGATE_OUTPUT", "json")
        .and(["-o", "text"])
        .exits(0);
    assert!(said.stdout.starts_with("ALLOW"), "{said}");
    ask()
        .variable("SCGATE_OUTPUT", "xml")
        .exits(2)
        .complains("xml");
    // Set to nothing is not set, whatever the variable is for.
    let mut nothing = ask();
    for name in ["OUTPUT", "COLOR", "TIMEOUT", "AUTHFILE", "CACERT", "PROXY"] {
        nothing = nothing.variable(&format!("SCGATE_{name}"), "");
    }
    let said = nothing.exits(0);
    assert!(said.stdout.starts_with("ALLOW"), "{said}");
    let said = ask().and(["-o", "cosign-json"]).exits(0);
    let shaped: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        shaped[0]["critical"]["image"]["docker-manifest-digest"],
        INDEX
    );
}

#[cfg(unix)]
#[test]
fn two_forms_never_go_to_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let file = path("report");
    fs::write(&file, "as it was").unwrap();
    std::os::unix::fs::symlink(&file, path("symlink")).unwrap();
    fs::hard_link(&file, path("hardlink")).unwrap();
    let ask = |first: &str, second: &str| {
        scgate(asked("index-only.tar"))
            .within(&lab())
            .and([INDEX])
            .and([format!("-ojson={}", path(first).display())])
            .and([format!("-otext={}", path(second).display())])
    };
    for other in ["report", "./report", "symlink", "hardlink"] {
        for said in [ask("report", other), ask(other, "report")] {
            drop(said.exits(2).complains("a file of its own"));
            assert_eq!(fs::read_to_string(&file).unwrap(), "as it was", "{other}");
        }
    }
    // stdout is a place as well.
    let to_stdout = |name: &str| {
        let stdout = OpenOptions::new().append(true).open(&file).unwrap();
        scgate(asked("index-only.tar"))
            .within(&lab())
            .and([INDEX, "-otext"])
            .and([format!("-ojson={}", path(name).display())])
            .stdout(stdout)
    };
    drop(
        to_stdout("hardlink")
            .exits(2)
            .complains("a file of its own"),
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was");
    to_stdout("other").exits(0);
    let attestation = |name: &str| {
        let stdout = OpenOptions::new().append(true).open(&file).unwrap();
        scgate(["verify-attestation", "--layout=attest-bundle.tar", AMD64])
            .within(&lab())
            .and(signer())
            .and(["--type=vuln".to_owned()])
            .and([format!("-ojson={}", path(name).display())])
            .stdout(stdout)
    };
    let before = fs::read_to_string(&file).unwrap();
    drop(
        attestation("report")
            .exits(2)
            .complains("a file of its own"),
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    attestation("other").exits(0);
    // A copy is a file of its own, and a device has nothing to lose.
    fs::copy(&file, path("copy")).unwrap();
    ask("report", "copy").exits(0);
    let document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["outcome"], "allow");
    std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
    std::os::unix::fs::symlink("/dev/null", path("nil")).unwrap();
    ask("null", "nil").exits(0);
}

#[cfg(unix)]
#[test]
fn no_form_overwrites_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["index-only.tar", "trusted_root.json"] {
        fs::copy(lab().join(name), dir.path().join(name)).unwrap();
    }
    let ask = |output: &str| {
        scgate(["verify", "--layout=index-only.tar", INDEX])
            .within(dir.path())
            .and(signer())
            .and([format!("-ojson={output}")])
    };
    for input in ["index-only.tar", "./trusted_root.json"] {
        drop(ask(input).exits(2).complains("would be overwritten"));
    }
    ask("report.json").exits(0);
    // What lies in a layout is read as well; what is new there is not.
    let directory = dir.path().join("layout");
    fs::create_dir(&directory).unwrap();
    let index = directory.join("index.json");
    fs::write(&index, "{}").unwrap();
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let said = scgate([
        "verify",
        "--layout=layout",
        INDEX,
        "-ojson=layout/index.json",
    ])
    .within(dir.path())
    .and(signer())
    .exits(2);
    drop(said);
    assert_eq!(fs::read_to_string(&index).unwrap(), "{}");
}

#[test]
fn an_answer_that_nobody_could_read_is_never_an_allow() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ask = |layout: &str| scgate(asked(layout)).within(&lab()).stdout(full());
    ask("index-only.tar")
        .and([INDEX])
        .exits(3)
        .complains("could not be written");
    ask("unsigned.tar")
        .exits(1)
        .complains("could not be written");
    ask("index-only.tar")
        .and([INDEX, "-o", "json=/dev/full"])
        .exits(3)
        .complains("/dev/full");
    scgate(["--version"]).stdout(full()).exits(3);
    scgate(["verify-attestation", "--layout=attest-bundle.tar", AMD64])
        .and(signer())
        .within(&lab())
        .stdout(full())
        .exits(3)
        .complains("could not be written");
    // Nobody reads any more.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let writer = fs::File::from(std::os::fd::OwnedFd::from(writer));
    scgate(asked("index-only.tar"))
        .within(&lab())
        .and([INDEX])
        .stdout(writer)
        .exits(3);
}

#[test]
fn what_was_attested_is_printed_when_all_is_allowed() {
    let ask = |words: &[&str]| {
        scgate(["verify-attestation", "--layout=attest-bundle.tar"])
            .and(signer())
            .and(words)
            .within(&lab())
    };
    let said = ask(&["--type=spdxjson", AMD64]).exits(0);
    assert!(said.stderr.starts_with("ALLOW "), "{said}");
    let lines: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["predicateType"], "https://spdx.dev/Document");
    assert_eq!(
        format!(
            "sha256:{}",
            lines[0]["subject"][0]["digest"]["sha256"].as_str().unwrap()
        ),
        AMD64
    );

    // Several types: all that is accepted, not only what came first.
    let said = ask(&["--type=vuln", "--type=https://spdx.dev/Document", AMD64]).exits(0);
    assert_eq!(said.stdout.lines().count(), 2, "{said}");

    // One reference that is refused, and nothing is printed for any.
    let said = ask(&["--type=vuln", AMD64, INDEX]).exits(1);
    assert!(
        said.stdout.is_empty() && said.stderr.contains("no-attestation"),
        "{said}"
    );

    let said = ask(&["--type=vuln", "-ojson", AMD64]).exits(0);
    assert!(said.codes().is_empty(), "{said}");
}

#[test]
fn a_layout_is_asked_by_reference_digest_tag_or_as_a_whole() {
    let repository = "127.0.0.1:15000/lab/index-only";
    for reference in [
        Some(INDEX.to_owned()),
        Some("1.0".to_owned()),
        Some(format!("{repository}:1.0")),
        Some(format!("{repository}@{INDEX}")),
        Some(format!("{repository}:1.0@{INDEX}")),
    ] {
        scgate(asked("index-only.tar"))
            .within(&lab())
            .and(&reference)
            .exits(0);
    }
    let said = scgate(asked("index-only.tar"))
        .within(&lab())
        .and(["2.0", "-ojson"])
        .exits(1);
    assert_eq!(said.codes(), ["image-not-found"]);
    // The identity holds for none but the one that was named, whatever the environment says.
    let said = scgate(["verify", "--layout=index-only.tar", INDEX])
        .within(&lab())
        .variable("COSIGN_CERTIFICATE_IDENTITY", "x")
        .variable("SCGATE_CERTIFICATE_IDENTITY", "x")
        .variable("SCGATE_KEY", "cosign.pub")
        .exits(2);
    drop(said.complains("who must have signed"));
}

#[test]
fn the_public_good_root_counts_when_none_is_named_and_its_age_is_said() {
    let ask = || {
        let [identity, of, issuer, by, ..] = signer();
        scgate([
            "verify",
            "--layout=index-only.tar",
            identity,
            of,
            issuer,
            by,
            INDEX,
            "-ojson",
        ])
        .within(&lab())
        .variable("SIGSTORE_ROOT_FILE", "trusted_root.json")
        .variable("SCGATE_TRUSTED_ROOT", "trusted_root.json")
    };
    let said = ask().exits(1);
    assert_eq!(said.codes(), ["log-unknown"]);
    drop(
        said.complains("public-good one that is part of scgate")
            .complains(" days ago"),
    );
    // A key that needs no log needs nobody to vouch for one.
    let key = [
        "verify",
        "--layout=key-signed.tar",
        "--key=cosign.pub",
        "--insecure-ignore-tlog",
        INDEX,
    ];
    let said = scgate(key).within(&lab()).exits(0);
    assert!(!said.stderr.contains("public-good"), "{said}");
    drop(said.complains("warning: --insecure-ignore-tlog"));
    // With one, it does: the log of the samples is not public.
    let key = [
        "verify",
        "--layout=key-signed.tar",
        "--key=cosign.pub",
        INDEX,
        "-ojson",
    ];
    assert_eq!(scgate(key).within(&lab()).exits(1).codes(), ["log-unknown"]);
}

#[test]
fn as_of_a_time_later_evidence_does_not_exist() {
    for (at, code) in [("2026-11-21T00:00:00Z", 1), ("2026-11-21T10:00:00Z", 0)] {
        let said = scgate(asked("bundle-rekor1-fallback.tar"))
            .and([INDEX, "-ojson", "--at", at])
            .within(&lab())
            .exits(code);
        let expected: &[&str] = if code == 1 {
            &["evidence-after-time"]
        } else {
            &[]
        };
        assert_eq!(said.codes(), expected, "{said}");
    }
}

#[test]
fn a_type_that_is_named_twice_is_one() {
    let ask = |types: &[&str]| {
        scgate(["verify-attestation", "--layout=attest-bundle.tar", AMD64])
            .and(signer())
            .and(["--at=2026-11-21T12:00:00Z"])
            .and(types)
            .within(&lab())
            .exits(0)
    };
    let once = ask(&["--type=vuln"]);
    let twice = ask(&[
        "--type=vuln",
        "--type=https://cosign.sigstore.dev/attestation/vuln/v1",
        "--type=vuln",
    ]);
    assert_eq!((once.stdout, once.stderr), (twice.stdout, twice.stderr));
}
