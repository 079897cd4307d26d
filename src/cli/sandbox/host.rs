//! What every command needs that runs a sandbox in its own process: a directory for the files, what
//! is said about it to a shell, and the wait for the end.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::cli::UsageError;
use crate::cli::error::Access;
use crate::cli::files::show;
use crate::cli::say;
use crate::sandbox::Part;
use crate::sandbox::Sandbox;

/// Where the files are. One that nobody named is made for this run, and removed at the end.
pub(in crate::cli) struct Directory {
    /// Absolute, and text that a shell can be told.
    path: String,
    flag: &'static str,
    own: Option<TempDir>,
}

impl Directory {
    /// The one that a flag names, or a new one whose name begins with `prefix`.
    pub(in crate::cli) fn new(
        (flag, named): (&'static str, Option<&Path>),
        prefix: &str,
    ) -> Result<Self, UsageError> {
        let (path, own) = match named {
            Some(path) => {
                fs::create_dir_all(path).map_err(|source| failed(flag, path, source))?;
                (path.to_owned(), None)
            }
            None => {
                let all = std::env::temp_dir();
                let own = tempfile::Builder::new().prefix(prefix).tempdir_in(&all);
                let own = own.map_err(|source| failed(flag, &all, source))?;
                (own.path().to_owned(), Some(own))
            }
        };
        let path = fs::canonicalize(&path).map_err(|source| failed(flag, &path, source))?;
        let path = speakable(flag, &path)?.to_owned();
        Ok(Self { path, flag, own })
    }

    /// Where it is.
    pub(in crate::cli) fn path(&self) -> &str {
        &self.path
    }

    /// Writes a file of it.
    pub(in crate::cli) fn write(&self, name: &str, content: &[u8]) -> Result<(), UsageError> {
        let path = Path::new(&self.path).join(name);
        fs::write(&path, content).map_err(|source| failed(self.flag, &path, source))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(own) = self.own.take()
            && let Err(error) = own.close()
        {
            say("warning", &format!("`{}` stays: {error}", self.path));
        }
    }
}

/// A path that a shell can be told of.
pub(in crate::cli) fn speakable<'a>(
    flag: &'static str,
    path: &'a Path,
) -> Result<&'a str, UsageError> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']));
    text.ok_or_else(|| UsageError::Value {
        flag,
        value: show(path),
        expected: "a shell cannot be told of it (name one in UTF-8, on one line)",
    })
}

fn failed(flag: &'static str, path: &Path, source: io::Error) -> UsageError {
    UsageError::File {
        flag,
        path: show(path),
        to: Access::Write,
        source,
    }
}

/// What clients of a sandbox find in their environment, `dir` being where its files are.
pub(in crate::cli) fn variables(sandbox: &Sandbox, dir: &str) -> Vec<(&'static str, String)> {
    let file = |name: &str| format!("{dir}/{name}");
    let mut variables = vec![
        ("SCGATE_SANDBOX", sandbox.url()),
        ("SCGATE_SANDBOX_DIR", dir.to_owned()),
    ];
    if sandbox.has(Part::Fulcio) {
        variables.extend([
            ("COSIGN_TRUSTED_ROOT", file("trusted_root.json")),
            ("COSIGN_SIGNING_CONFIG", file("signing_config.json")),
            ("COSIGN_YES", "true".to_owned()),
        ]);
    }
    if let Some(registry) = sandbox.registry() {
        variables.push(("SCGATE_SANDBOX_REGISTRY", registry.host()));
    }
    if sandbox.has(Part::Tuf) {
        variables.push(("SCGATE_SANDBOX_TUF", sandbox.tuf_url()));
    }
    if sandbox.has(Part::Oidc) {
        let url = sandbox.actions_url();
        variables.push(("ACTIONS_ID_TOKEN_REQUEST_URL", url));
        variables.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sandbox".to_owned()));
    }
    variables
}

/// The line that tells a shell of a variable.
pub(in crate::cli) fn export(name: &str, value: &str) -> String {
    format!("export {name}={}\n", quoted(value))
}

/// A word of which a shell changes nothing.
pub(in crate::cli) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Waits for an interrupt or a request to end.
pub(in crate::cli) async fn interrupt() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;
        let mut end = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = end.recv() => Ok(()),
            _ = hangup.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
