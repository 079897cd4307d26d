//! `docs/cosign-flags.md`, line by line: what is honoured parses, what is refused is refused by name.
//! `signing_flags.rs` has the commands that sign.

use super::IDENTITY;
use super::ISSUER;
use super::asked;
use super::lab;
use super::signer;
use crate::runner::Run;
use crate::runner::scgate;

const DOC: &str = include_str!("../../../docs/cosign-flags.md");

/// The rows of one section: the flag as it stands there, and the commands it is of.
pub(super) fn rows(section: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let (_, from) = DOC.split_once(&format!("\n## {section}\n")).unwrap();
    let text = from.split_once("\n## ").map_or(from, |(text, _)| text);
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let flag = cells.next()?.split('`').next()?;
        let commands = cells.next()?.split(' ').map(|command| match command {
            "V" => "verify",
            "A" => "verify-attestation",
            "B" => "verify-blob",
            "BA" => "verify-blob-attestation",
            "S" => "sign",
            "AT" => "attest",
            "SB" => "sign-blob",
            "AB" => "attest-blob",
            other => panic!("{line}: {other}"),
        });
        Some((flag, commands.collect()))
    });
    rows.collect()
}

/// A whole question of a command.
fn question(command: &str) -> Run {
    let [identity, of, issuer, by, ..] = signer();
    question_of(command, &[identity, of, issuer, by])
}

/// A whole question of a command, about somebody.
fn question_of(command: &str, who: &[&str]) -> Run {
    let run = scgate([command, "--trusted-root", "trusted_root.json"])
        .within(&lab())
        .and(who);
    match command {
        "verify" => run.and(["--layout", "annotations.tar", super::INDEX]),
        "verify-attestation" => run.and(["--layout", "attest-bundle.tar", super::AMD64]),
        _ => run.and(["--bundle=blob/rekor1.sigstore.json", "blob/blob.txt"]),
    }
}

/// What stands after a flag that is honoured; nothing for a switch.
fn value(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "--allow-http-registry"
        | "--allow-insecure-registry"
        | "--check-claims"
        | "--experimental-oci11"
        | "--insecure-ignore-sct"
        | "--insecure-ignore-tlog"
        | "--new-bundle-format"
        | "--offline"
        | "--use-signed-timestamps"
        | "--verbose" => return None,
        "--annotations" => "env=prod,build=42",
        "--attachment-tag-prefix" => "v1-",
        "--max-workers" => "4",
        "--output" => "json",
        "--registry-cacert" => "../../tests/it/cli/ca.pem",
        "--timeout" => "1m30s",
        "--type" => "custom",
        _ => "x",
    })
}

fn is_about_registries(flag: &str) -> bool {
    flag.starts_with("--registry-") || flag.starts_with("--allow-")
}

#[test]
fn what_is_honoured_parses() {
    for (flag, commands) in rows("Honoured").into_iter().chain(rows("No effect")) {
        for command in commands {
            let run = match flag {
                // The question has them already.
                "--bundle"
                | "--certificate-identity"
                | "--certificate-oidc-issuer"
                | "--trusted-root" => question(command),
                "--key" => question_of(command, &[flag, "cosign.pub"]),
                "--cert-oidc-issuer" | "--certificate-oidc-issuer-regexp" => {
                    question_of(command, &["--certificate-identity", IDENTITY, flag, ISSUER])
                }
                "--cert-identity" => question_of(
                    command,
                    &[flag, IDENTITY, "--certificate-oidc-issuer", ISSUER],
                ),
                "--certificate-identity-regexp" => question_of(
                    command,
                    &[flag, IDENTITY, "--certificate-oidc-issuer", ISSUER],
                ),
                "--signature" | "--certificate" | "--cert" | "--rfc3161-timestamp" => scgate([
                    "verify-blob",
                    "--signature=AAAA",
                    "--rfc3161-timestamp=cosign.pub",
                ])
                .and([
                    if flag == "--cert" {
                        flag
                    } else {
                        "--certificate"
                    },
                    "cosign.pub",
                ])
                .and(signer())
                .and(["blob/blob.txt"])
                .within(&lab()),
                flag if is_about_registries(flag) => {
                    // Nobody answers there; a layout would have no use for the flag.
                    let run = scgate([command, "--trusted-root", "trusted_root.json"]);
                    let [identity, of, issuer, by, ..] = signer();
                    let pair = match flag {
                        "--registry-username" => Some("--registry-password=x"),
                        "--registry-password" => Some("--registry-username=x"),
                        _ => None,
                    };
                    run.and(["127.0.0.1:1/acme/shop:1.0", identity, of, issuer, by, flag])
                        .and(value(flag))
                        .and(pair)
                        .within(&lab())
                }
                flag => question(command).and([flag]).and(value(flag)),
            };
            let said = run.run();
            let good: &[i32] = if is_about_registries(flag) {
                &[3]
            } else {
                &[0, 1]
            };
            assert!(said.code.is_some_and(|code| good.contains(&code)), "{said}");
        }
    }
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for (flag, commands) in rows("Refused") {
        let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
        for command in commands {
            question(command).exits(if command.starts_with("verify-blob-") {
                1
            } else {
                0
            });
            for given in [vec![flag], vec![flag, "x"]] {
                let said = question(command).and(given).run();
                // A switch does not take the word after it, which is then a second file.
                if said.stderr.contains("`x` is one word too many") {
                    continue;
                }
                assert_eq!(said.code, Some(2), "{said}");
                said.complains(&format!("`{name}` is refused: "));
            }
        }
    }
}

#[test]
fn a_switch_takes_a_value_as_in_cosign() {
    let ask = |flag: &str| {
        scgate(asked("index-only.tar"))
            .within(&lab())
            .and([flag, super::INDEX])
    };
    ask("--recursive=false").exits(0);
    ask("--recursive=true").exits(1);
    ask("--recursive").exits(1);
    ask("-r").exits(1);
    ask("--recursive=perhaps").exits(2).complains("--recursive");
    ask("--use-signed-timestamps=false").exits(0);
}
