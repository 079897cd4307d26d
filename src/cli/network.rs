//! How hosts are reached that are no registries: time, TLS, proxy, or not at all.

use core::time::Duration;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::UsageError;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::registry::parse_duration;
use crate::transport::Settings;
use crate::transport::Transport;

/// Bytes of a file of CA certificates (a system's whole list has a quarter of that).
const MAX_CA_FILE: usize = 1024 * 1024;

/// How the mirror is reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkFlags {
    /// Make no request.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true)]
    pub(super) offline: bool,

    /// Time for everything, such as `30s` or `2m30s`.
    #[arg(
        long,
        short,
        value_name = "TIME",
        default_value = "3m",
        env = "SCGATE_TIMEOUT"
    )]
    #[arg(value_parser = parse_duration, allow_hyphen_values = true)]
    pub(super) timeout: Duration,

    /// CA certificates (PEM) that are trusted for TLS besides the system's.
    #[arg(long, value_name = "FILE", env = "SCGATE_CACERT")]
    pub(super) cacert: Option<PathBuf>,

    /// The proxy for all requests.
    #[arg(long, value_name = "URL", env = "SCGATE_PROXY")]
    proxy: Option<String>,
}

impl NetworkFlags {
    /// The HTTP set-up, `named` being the hosts with a port that the command line names.
    pub(super) fn transport(
        &self,
        named: impl IntoIterator<Item = String>,
    ) -> Result<Transport, UsageError> {
        let authorities = self.cacert.as_deref().map(|path| ("--cacert", path));
        let proxy = self.proxy.as_deref();
        transport(named, authorities, proxy, "--proxy, SCGATE_PROXY")
    }
}

/// The HTTP set-up. `proxy_by` says what names the proxy.
pub(super) fn transport(
    named: impl IntoIterator<Item = String>,
    authorities: Option<(&'static str, &Path)>,
    proxy: Option<&str>,
    proxy_by: &'static str,
) -> Result<Transport, UsageError> {
    let mut settings = Settings::default();
    // Whoever writes a port means it. Nobody else chooses one: no redirect, no token server.
    settings.low_ports.extend(named);
    if let Some((flag, path)) = authorities {
        let pem = read_file(flag, path, MAX_CA_FILE)?;
        settings
            .trust_authorities(&pem)
            .map_err(|source| UsageError::Transport {
                flag,
                value: show(path),
                source,
            })?;
    }
    settings.proxy = proxy.map(str::to_owned);
    Transport::new(settings).map_err(|source| UsageError::Proxy {
        by: proxy_by,
        source,
    })
}
