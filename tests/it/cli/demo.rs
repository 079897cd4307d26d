//! `scgate demo`: it ends as it tells, shows what it did, notices what turns out otherwise, and leaves
//! nothing behind.

use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use regex::Regex;

use crate::runner::Said;
use crate::runner::scgate;

/// What each step runs, and the exit code that it tells of.
const STEPS: &[&[(&str, &str)]] = &[
    &[("sandbox image", "0")],
    &[("verify --trusted-root", "1: denied")],
    &[
        ("sign --signing-config", "0"),
        ("verify --trusted-root", "0"),
        ("verify --trusted-root", "1: denied"),
        ("tree --trusted-root", "0"),
    ],
    &[("sign --recursive", "0"), ("verify --recursive", "0")],
    &[
        ("attest --type", "0"),
        ("verify-attestation --type", "0"),
        ("sandbox image", "0"),
        ("attest --type", "0"),
        ("verify --trusted-root", "1: denied"),
    ],
    &[
        ("sandbox token", "0"),
        ("sign --identity-token", "1: denied"),
        ("sandbox token", "0"),
        ("sign --identity-token", "0"),
        ("verify --trusted-root", "1: denied"),
    ],
    &[
        ("sandbox image", "0"),
        ("verify --trusted-root", "1: denied"),
        ("verify --trusted-root", "1: denied"),
    ],
    &[("verify --recursive", "0")],
    &[],
];

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo.md")
}

/// A run whose temporary files go into a directory of their own, which is empty afterwards.
fn tour(words: &[&str], code: i32) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let said = scgate(["demo"])
        .and(words)
        .variable("TMPDIR", dir.path().to_str().unwrap())
        .exits(code);
    assert_eq!(left(dir.path()), 0, "something is left\n{said}");
    said
}

fn left(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// What differs from run to run, made the same.
fn settled(text: &str) -> String {
    let mut text = text.to_owned();
    for (found, instead) in [
        (r"127\.0\.0\.1:\d+", "127.0.0.1:5000"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
        (r"as told, in \d+\.\d s", "as told, in 1.0 s"),
        (
            r"`scgate` is \S+ here",
            "`scgate` is target/release/scgate here",
        ),
    ] {
        text = Regex::new(found)
            .unwrap()
            .replace_all(&text, instead)
            .into_owned();
    }
    text
}

/// All of a tour but what the commands say: that is indented further, except for the second lines of
/// commands.
fn told(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let is_command = line.starts_with("  $ ") || goes_on;
        goes_on = is_command && line.ends_with(" \\");
        if is_command || !(line.is_empty() || line.starts_with("    ")) {
            lines.push(line.to_owned());
        }
    }
    lines
}

#[test]
fn every_step_ends_as_it_is_told() {
    let said = tour(&[], 0);
    assert_eq!(said.stderr, "", "{said}");
    assert!(!said.stdout.contains('\u{1b}'), "{said}");
    let mut steps: Vec<Vec<(String, String)>> = Vec::new();
    for line in told(&said.stdout) {
        let number = format!("{}. ", steps.len() + 1);
        if line.starts_with(&number) {
            steps.push(Vec::new());
        } else if let Some(command) = line.strip_prefix("  $ scgate ") {
            let words: Vec<_> = command.split(' ').take(2).collect();
            let step = steps.last_mut().unwrap();
            step.push((words.join(" "), String::new()));
        } else if let Some(code) = line.strip_prefix("  exit code ") {
            let step = steps.last_mut().unwrap();
            code.clone_into(&mut step.last_mut().unwrap().1);
        }
    }
    let steps: Vec<Vec<_>> = steps
        .iter()
        .map(|step| {
            let pairs = step.iter();
            pairs
                .map(|(one, other)| (one.as_str(), other.as_str()))
                .collect()
        })
        .collect();
    assert_eq!(steps, STEPS, "{said}");
    for code in [
        "no-signature",
        "signing-forbidden",
        "identity-mismatch",
        "signature-invalid",
    ] {
        assert!(said.stdout.contains(code), "no {code}\n{said}");
    }

    // What stands in the documentation is what is told. `BLESS=1` writes it anew.
    let text = settled(&said.stdout);
    let marks = ("```text\n", "\n```\n");
    let documented = fs::read_to_string(page()).unwrap();
    let (before, rest) = documented.split_once(marks.0).unwrap();
    let (shown, after) = rest.split_once(marks.1).unwrap();
    if std::env::var_os("BLESS").is_some() {
        let text = text.trim_end();
        let page_text = format!("{before}{}{text}{}{after}", marks.0, marks.1);
        fs::write(page(), page_text).unwrap();
    } else {
        assert_eq!(
            told(shown),
            told(&text),
            "docs/demo.md differs (BLESS=1 writes it)"
        );
    }
}

#[test]
fn all_of_it_is_printed_and_in_colour_where_that_is_asked_for() {
    let said = tour(&["--whole", "--color=always"], 0);
    assert!(!said.stdout.contains("`--whole` prints them"), "{said}");
    assert!(
        said.stdout.contains("\u{1b}[1m1. An image is pushed"),
        "{said}"
    );
    // What the commands say has colours, too.
    assert!(said.stdout.contains("    \u{1b}["), "{said}");
    assert!(said.stdout.matches("[1] ").count() > 8, "{said}");
}

/// The copy is verified by whoever has the directory, long after the tour.
#[test]
fn what_is_kept_gives_the_same_verdict_later() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let keep = ["--keep", kept.to_str().unwrap()];
    let said = tour(&[&keep[..], &["--pause"]].concat(), 0);
    assert_eq!(said.stderr, "note: `--pause` waits at a terminal alone\n");
    let asked = || {
        scgate(["verify", "--recursive", "--offline", "--layout=app-copy"])
            .and(["--trusted-root=trusted_root.json"])
            .and(["--certificate-oidc-issuer", super::ISSUER])
            .within(&kept)
    };
    let who = ["--certificate-identity", super::IDENTITY];
    asked().and(who).exits(0);
    asked().and(["--certificate-identity=https://a"]).exits(1);
    // Every command can be pasted, with its line breaks.
    let lines = told(&said.stdout);
    let last = lines
        .iter()
        .rposition(|line| line.starts_with("  $ "))
        .unwrap();
    let mut command = String::from("scgate() { \"$PROGRAM\" \"$@\"; }\n");
    for line in &lines[last..] {
        command.push_str(line.trim_start_matches("  $ "));
        command.push('\n');
        if !line.ends_with('\\') {
            break;
        }
    }
    let pasted = Command::new("sh")
        .args(["-c", &command])
        .env("PROGRAM", env!("CARGO_BIN_EXE_scgate"))
        .current_dir(&kept)
        .output()
        .unwrap();
    assert_eq!(pasted.status.code(), Some(0), "{command}\n{pasted:?}");
    // What is there is left alone.
    fs::write(kept.join("trusted_root.json"), "mine").unwrap();
    tour(&keep, 2).complains("there is something in it");
    let root = fs::read(kept.join("trusted_root.json")).unwrap();
    assert_eq!(root, b"mine");
}

/// A world that fails or lies is noticed in the step that meets it, with all that was said before.
#[test]
fn a_step_that_turns_out_otherwise_ends_it() {
    for (fault, ended, steps) in [
        (
            "lie=ca-no-sct",
            "`scgate sign` ended with exit code 1, and the tour tells of exit code 0",
            3,
        ),
        (
            "lie=ca-no-sct,after=1",
            "`scgate sign --recursive` ended with exit code 1, and the tour tells of exit code 0",
            4,
        ),
        (
            "status=503,path=/oidc/github/actions-token",
            "`scgate sign` ended with exit code 3, and the tour tells of exit code 0",
            3,
        ),
    ] {
        let said =
            tour(&["--fault", fault], 3).complains(&format!("the tour ends here: {ended}\n"));
        assert!(said.stderr.contains("\nhelp: "), "{said}");
        assert!(said.stdout.contains(&format!("\n{steps}. ")), "{said}");
        assert!(
            !said.stdout.contains(&format!("\n{}. ", steps + 1)),
            "{said}"
        );
    }
    tour(&["--fault=nonsense"], 2).complains("--fault");
}

/// `scgate demo | head`
#[test]
fn whoever_has_read_enough_is_not_told_more() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = scgate(["demo"])
        .variable("TMPDIR", dir.path().to_str().unwrap())
        .stdout(File::from(OwnedFd::from(writer)))
        .exits(3);
    assert_eq!(said.stderr, "", "{said}");
    assert_eq!(left(dir.path()), 0);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for titles in 2..5 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scgate"))
            .arg("demo")
            .env_clear()
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let step = format!("{titles}. ");
        assert!(lines.any(|line| line.unwrap().starts_with(&step)));
        let told = Command::new("kill").arg(child.id().to_string()).status();
        assert!(told.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(left(dir.path()), 0);
    }
}
