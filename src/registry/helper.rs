//! Credential helpers: programs named `docker-credential-NAME` that know a secret.
//!
//! They are started only when a registry demands credentials, with a time limit, and are killed when
//! nobody waits for them any more. What they print is never logged.

use core::time::Duration;
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::model::printable;
use crate::registry::keyring::Kind;
use crate::registry::keyring::Secret;

/// How long a helper may take.
const TIME: Duration = Duration::from_secs(10);
/// Bytes of a helper's answer.
const ANSWER: u64 = 64 * 1024;

/// Asks a helper. It may know of nothing, which is no failure; a failure is told in words for the
/// operator.
pub(super) async fn ask(program: &str, server: &str) -> Result<Option<Kind>, String> {
    let command = Command::new(format!("docker-credential-{program}"));
    match tokio::time::timeout(TIME, run(command, server)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer in {} s", TIME.as_secs())),
    }
}

async fn run(mut command: Command, server: &str) -> Result<Option<Kind>, String> {
    let io = |error: std::io::Error| error.kind().to_string();
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that reads nothing closes the pipe; what it says counts all the same.
        drop(stdin.write_all(server.as_bytes()).await);
    }
    let (mut answer, mut complaint) = (Vec::new(), Vec::new());
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let read_answer = async {
        match stdout {
            Some(stdout) => stdout.take(ANSWER).read_to_end(&mut answer).await,
            None => Ok(0),
        }
    };
    let read_complaint = async {
        match stderr {
            Some(stderr) => stderr.take(ANSWER).read_to_end(&mut complaint).await,
            None => Ok(0),
        }
    };
    let (one, two) = tokio::join!(read_answer, read_complaint);
    one.and(two).map_err(io)?;
    let status = child.wait().await.map_err(io)?;
    if !status.success() {
        // Helpers say why on standard output (docker-credential-helpers, `credentials.Serve`).
        let said = String::from_utf8_lossy(if complaint.is_empty() {
            &answer
        } else {
            &complaint
        });
        let found_nothing = [&answer, &complaint]
            .iter()
            .any(|text| String::from_utf8_lossy(text).contains("credentials not found"));
        return if found_nothing {
            Ok(None)
        } else {
            Err(printable(said.trim()))
        };
    }
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Option<Kind>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let Ok(answer) = crate::model::read_json::<Answer>(answer) else {
        return Err("an answer that is not JSON with `Username` and `Secret`".to_owned());
    };
    let secret = Secret::new(answer.secret);
    Ok(Some(if answer.username == "<token>" {
        Kind::Identity {
            user: answer.username,
            token: secret,
        }
    } else {
        Kind::Basic {
            user: answer.username,
            password: secret,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_password_or_an_identity_token() {
        let basic = parse(br#"{"ServerURL":"x","Username":"u","Secret":"p"}"#);
        assert!(matches!(basic, Ok(Some(Kind::Basic { .. }))));
        let identity = parse(br#"{"Username":"<token>","Secret":"t"}"#);
        assert!(matches!(identity, Ok(Some(Kind::Identity { .. }))));
        assert!(parse(b"credentials").is_err());
    }
    #[cfg(unix)]
    #[tokio::test]
    async fn a_helper_reads_the_server_and_says_what_it_knows() {
        let run = async |script: &str| {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script).arg("helper");
            run(command, "registry.test").await
        };
        // `$1` is the verb, the server stands on standard input.
        let echo = r#"read -r server; printf '{"Username":"%s","Secret":"%s"}' "$1" "$server""#;
        let found = run(echo).await;
        let Ok(Some(Kind::Basic { user, password })) = found else {
            panic!("{found:?}");
        };
        assert_eq!((user.as_str(), password.reveal()), ("get", "registry.test"));
        let nothing = run("echo 'credentials not found in native keychain'; exit 1").await;
        assert_eq!(nothing, Ok(None));
        let failure = run("printf 'no \\033[2J key' >&2; exit 3").await;
        assert_eq!(failure, Err("no \\u{1b}[2J key".to_owned()));
        assert!(run("exit 0").await.is_err());
        // Standard input is not read, and more is said than anybody wants to hear.
        assert!(run("yes | head -c 300000").await.is_err());
    }
}
