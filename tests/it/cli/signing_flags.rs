//! The part of `docs/cosign-flags.md` about signing, line by line. Nothing is asked of the network: a key
//! signs, nothing is logged, and the registry is a port where nobody listens.

use std::fs;
use std::path::Path;

use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use tempfile::TempDir;

use super::flags::rows;
use super::lab;
use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A directory with a key, a document, a file, and a signing configuration without services.
fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(desk.path().join(name), text).unwrap();
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    write("key.pem", &pem("PRIVATE KEY", &key.to_pkcs8().unwrap()));
    write("document", "{}");
    write("file", "file");
    write("token", "a.b.c");
    write(
        "services.json",
        r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#,
    );
    desk
}

/// A command that signs with nobody's help.
fn signs(command: &str, desk: &Path) -> Run {
    signs_as(command, &["--key=key.pem"], desk)
}

fn signs_as(command: &str, who: &[&str], desk: &Path) -> Run {
    let run = scgate([command, "--tlog-upload=false"])
        .and(who)
        .within(desk);
    let run = match command {
        "attest" | "attest-blob" => run.and(["--predicate=document"]),
        _ => run,
    };
    match is_about_files(command) {
        true => run.and(["file"]),
        false => run.and(["127.0.0.1:1/acme/shop:1.0"]),
    }
}

fn is_about_files(command: &str) -> bool {
    command.ends_with("-blob")
}

/// What stands after a flag that is honoured; nothing for a switch.
fn value(flag: &str) -> Option<String> {
    Some(match flag {
        "--allow-http-registry"
        | "--allow-insecure-registry"
        | "--b64"
        | "--new-bundle-format"
        | "--oidc-disable-ambient-providers"
        | "--recursive"
        | "--replace"
        | "--upload"
        | "--use-signing-config"
        | "--verbose"
        | "--yes" => return None,
        "--annotations" => "env=prod,build=42".to_owned(),
        "--bundle" => "bundle.json".to_owned(),
        "--fulcio-url" | "--oidc-issuer" | "--rekor-url" | "--timestamp-server-url" => {
            NOWHERE.to_owned()
        }
        "--identity-token" => "token".to_owned(),
        "--oidc-provider" => "filesystem".to_owned(),
        "--registry-cacert" => {
            let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/ca.pem");
            tests.to_str().unwrap().to_owned()
        }
        "--signing-config" => "services.json".to_owned(),
        "--timeout" => "1m30s".to_owned(),
        "--trusted-root" => lab().join("trusted_root.json").to_str().unwrap().to_owned(),
        "--type" => "custom".to_owned(),
        _ => "x".to_owned(),
    })
}

/// The flag is known, whatever else is wrong.
fn is_known(said: &Said, flag: &str) -> bool {
    let complaints = [format!("no flag `{flag}"), format!("`{flag}` is refused")];
    !complaints
        .iter()
        .any(|complaint| said.stderr.contains(complaint))
}

#[test]
fn what_is_honoured_parses() {
    let desk = desk();
    let mut wrong = Vec::new();
    let honoured = rows("Signing: honoured").into_iter();
    for (flag, commands) in honoured.chain(rows("Signing: no effect")) {
        for command in commands {
            let (run, good) = match flag {
                // The command has them already.
                "--key" | "--predicate" | "--tlog-upload" => (signs(command, desk.path()), None),
                // They do not go with a key.
                "--fulcio-url"
                | "--identity-token"
                | "--oidc-client-id"
                | "--oidc-disable-ambient-providers"
                | "--oidc-issuer"
                | "--oidc-provider" => {
                    let who = format!("--fulcio-url={NOWHERE}");
                    let run = signs_as(command, &[&who, flag], desk.path());
                    // The value comes after the flag, which is before the rest.
                    let run = match value(flag) {
                        Some(_) if flag == "--fulcio-url" => {
                            signs_as(command, &[&who], desk.path())
                        }
                        Some(value) => {
                            let given = format!("{flag}={value}");
                            signs_as(command, &[&who, &given], desk.path())
                        }
                        None => run,
                    };
                    let said = run.run();
                    if !is_known(&said, flag) {
                        wrong.push(said.to_string());
                    }
                    continue;
                }
                "--timestamp-server-url" => (signs(command, desk.path()), Some(3)),
                "--registry-username" | "--registry-password" => {
                    let pair = ["--registry-username=x", "--registry-password=x"];
                    let other = pair.into_iter().find(|other| !other.starts_with(flag));
                    (signs(command, desk.path()).and(other), None)
                }
                _ => (signs(command, desk.path()), None),
            };
            let run = match flag {
                "--key" | "--predicate" | "--tlog-upload" => run,
                flag => run.and([flag]).and(value(flag)),
            };
            let said = run.run();
            let usual = if is_about_files(command) { 0 } else { 3 };
            if !is_known(&said, flag) || said.code != Some(good.unwrap_or(usual)) {
                wrong.push(said.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_switch_takes_a_value_as_in_cosign() {
    let desk = desk();
    for flag in [
        "--use-signing-config=false",
        "--verbose=false",
        "--yes=true",
        "-d",
        "-y",
    ] {
        for command in ["sign", "attest", "sign-blob", "attest-blob"] {
            let usual = if is_about_files(command) { 0 } else { 3 };
            signs(command, desk.path()).and([flag]).exits(usual);
        }
    }
}

/// Both values of the switch say a layout, and nobody says it twice.
#[test]
fn the_switch_of_cosign_says_the_layout() {
    let desk = desk();
    for (given, code) in [
        (&["--new-bundle-format=true"][..], 3),
        (&["--new-bundle-format=false"], 3),
        (
            &["--new-bundle-format=false", "--signature-format=bundle"],
            2,
        ),
    ] {
        for command in ["sign", "attest"] {
            signs(command, desk.path()).and(given).exits(code);
        }
    }
}

#[test]
fn what_is_refused_is_refused_by_name() {
    let desk = desk();
    let mut unknown = Vec::new();
    for (flag, commands) in rows("Signing: refused") {
        let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
        for command in commands {
            for given in [vec![flag], vec![flag, "x"]] {
                let said = signs(command, desk.path()).and(given).run();
                let expected = format!("`{name}` is refused: ");
                if said.code != Some(2) || !said.stderr.contains(&expected) {
                    unknown.push(format!("{command} {flag}: {}", said.stderr));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Before anything else is found missing or wrong: cosign's `attest --statement` has no `--predicate`.
#[test]
fn what_is_refused_is_so_before_anything_else() {
    let desk = desk();
    for (words, flag) in [
        (
            &["attest", "--statement", "x", "a.test/b:1"][..],
            "statement",
        ),
        (&["attest", "--statement=x"], "statement"),
        (
            &["attest", "--statement=x", "--predicate=nope", "a.test/b:1"],
            "statement",
        ),
        (&["attest-blob", "--statement", "x"], "statement"),
        (
            &["attest-blob", "--hash", "x", "--predicate", "nope"],
            "hash",
        ),
        (
            &["attest-blob", "--hash=x", "--predicate=nope", "file"],
            "hash",
        ),
        (
            &["sign", "--payload=x", "--annotations=none", "a.test/b:1"],
            "payload",
        ),
        (&["sign-blob", "--output", "x"], "output"),
        (&["verify", "--ca-roots", "x", "--platform"], "ca-roots"),
    ] {
        let said = scgate(words).within(desk.path()).exits(2);
        said.complains(&format!("error: `--{flag}` is refused: "));
    }
}

/// What is suggested in the place of a flag that nobody knows is not refused itself.
#[test]
fn no_refused_flag_is_suggested() {
    for (flag, command) in [
        ("--insecure-skip-verif", "sign"),
        ("--insecure-ignore-sct", "sign"),
        ("--output-certificat", "sign-blob"),
        ("--ca-root", "verify"),
    ] {
        let said = scgate([command, flag, "x"]).exits(2);
        said.complains("leave it away, or compare it with the help");
    }
    scgate(["sign", "--recursiv", "x"])
        .exits(2)
        .complains("did you mean `--recursive`?");
}

/// A constraint on tokens says nothing of a key, and is not passed over.
#[test]
fn what_is_about_tokens_is_refused_beside_a_key() {
    let desk = desk();
    for command in ["sign", "attest", "sign-blob", "attest-blob"] {
        for flag in [
            "--allow-ref=refs/tags/v1",
            "--allow-event=pull_request",
            "--oidc-issuer=https://issuer.test",
            "--oidc-audience=other",
            "--oidc-client-id=other",
            "--spiffe-token=token",
        ] {
            let said = signs(command, desk.path()).and([flag]).run();
            assert_eq!(said.code, Some(2), "{command} {flag}\n{said}");
            let name = flag.split('=').next().unwrap();
            assert!(said.stderr.contains(name), "{said}");
        }
    }
    let said = signs_as("sign", &["--spiffe-token=token"], desk.path()).run();
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("--oidc-provider spiffe"), "{said}");
}

/// Services that are named one by one are all that a signature takes, or it is not made: nobody asked
/// for one without a log.
#[test]
fn what_is_not_named_is_not_done_without() {
    let desk = desk();
    let ask = |words: &[&str]| {
        let who = ["--identity-token=token"];
        scgate(["sign-blob", "file"])
            .and(words)
            .and(who)
            .within(desk.path())
            .run()
    };
    let (fulcio, rekor) = (
        "--fulcio-url=http://127.0.0.1:1",
        "--rekor-url=http://127.0.0.1:1",
    );
    let tsa = "--timestamp-server-url=http://127.0.0.1:1";
    for (words, missing) in [
        (&[fulcio, tsa][..], "--rekor-url"),
        (&[fulcio, tsa, "--tlog-upload=true"], "--rekor-url"),
        (&[rekor, tsa], "--fulcio-url"),
        (&[fulcio, "--tlog-upload=false"], "--timestamp-server-url"),
        (
            &[fulcio, rekor, "--rekor-version=2"],
            "--timestamp-server-url",
        ),
    ] {
        let said = ask(words);
        assert_eq!(said.code, Some(2), "{words:?}\n{said}");
        assert!(said.stderr.contains(missing), "{words:?}\n{said}");
    }
    // The twins get as far as the token, which is none.
    for words in [
        &[fulcio, rekor][..],
        &[fulcio, tsa, "--tlog-upload=false"],
        &[fulcio, rekor, tsa, "--rekor-version=2"],
    ] {
        let said = ask(words);
        assert!(said.stderr.contains("token-malformed"), "{words:?}\n{said}");
    }
    for words in [
        &["--signing-config=services.json", "--rekor-version=2"][..],
        &["--signing-config=services.json", "--tuf-root=token"],
    ] {
        let said = ask(words);
        assert_eq!(said.code, Some(2), "{words:?}\n{said}");
        assert!(said.stderr.contains("exclude each other"), "{said}");
    }
}
