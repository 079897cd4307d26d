//! The HTTP set-up that flags make: TLS, proxy.

use std::path::Path;

use crate::cli::UsageError;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::transport::Settings;
use crate::transport::Transport;

/// Bytes of a file of CA certificates (a system's whole list has a quarter of that).
const MAX_CA_FILE: usize = 1024 * 1024;

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
