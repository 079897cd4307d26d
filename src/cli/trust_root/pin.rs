//! `scgate trust pin`: the anchor of a mirror, or the id of a trusted root that was reviewed.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::write_data;
use crate::cli::error::ARGUMENT;
use crate::cli::files::check_place;
use crate::cli::files::keep_apart;
use crate::cli::files::show;
use crate::cli::files::write_whole;
use crate::cli::network::NetworkFlags;
use crate::cli::trust::read_root;
use crate::cli::trust_root;
use crate::model::Digest;
use crate::model::Limits;
use crate::services::tuf;
use crate::services::tuf::Bounds;
use crate::services::tuf::Client;
use crate::services::tuf::Mirror;
use crate::transport::Deadline;
use crate::transport::Transport;

/// Pin a root: that of a mirror by its checksum, or a trusted root by its id.
///
/// With a file it prints the id of that trusted root, for `trust check --pin`. With a mirror it
/// writes the newest TUF root that the one with the checksum vouches for, for `trust fetch --root`.
#[derive(Debug, clap::Args)]
pub(super) struct Pin {
    /// A `trusted_root.json` that was reviewed.
    #[arg(value_name = "FILE", required_unless_present = "mirror")]
    file: Option<PathBuf>,

    /// The URL of a TUF mirror.
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    #[arg(requires = "root_checksum", requires = "output")]
    mirror: Option<String>,

    /// SHA-256 of the mirror's first `root.json`, which its keepers publish elsewhere.
    #[arg(long, value_name = "sha256:HEX", requires = "mirror")]
    #[arg(value_parser = parse_checksum)]
    root_checksum: Option<Digest>,

    /// Where the TUF root goes.
    #[arg(long, short, value_name = "FILE", requires = "mirror")]
    output: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkFlags,
}

impl Pin {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        if let Some(path) = &self.file {
            let root = read_root(ARGUMENT, path, &Limits::default())?;
            return Ok(write_data(&[root.id().to_string().into_bytes()]));
        }
        let (Some(mirror), Some(checksum), Some(output)) =
            (&self.mirror, self.root_checksum, &self.output)
        else {
            return Err(UsageError::Missing {
                what: "what to pin is missing",
                remedy: "a file, or `--mirror` with `--root-checksum` and `--output`",
            });
        };
        if self.network.offline {
            return Err(UsageError::Offline {
                what: "a TUF mirror",
                remedy: "pin with the network, and carry the file over",
            });
        }
        check_place("--output", output)?;
        if let Some(path) = &self.network.cacert {
            keep_apart("--output", output, &[path])?;
        }
        let mirror = Mirror::parse(mirror)?;
        let transport = self.network.transport(mirror.host_and_port())?;
        let pinned = trust_root::wait(self.network.timeout, async |deadline| {
            pin(&mirror, checksum, &transport, deadline).await
        })?;
        let root = match pinned {
            Ok(root) => root,
            Err(error) => return trust_root::refused(error),
        };
        write_whole("--output", output, &root.bytes)?;
        let (version, expires) = (root.role.version, root.role.expires);
        let text = format!(
            "version {version} of the root of {mirror}, until {expires}, is in {}",
            show(output)
        );
        Ok(write_data(&[text.into_bytes()]))
    }
}

async fn pin(
    mirror: &Mirror,
    checksum: Digest,
    transport: &Transport,
    deadline: Deadline,
) -> Result<tuf::Root, tuf::Error> {
    let bounds = Bounds::default();
    let first = tuf::first_root(mirror, checksum, &bounds, transport, deadline).await?;
    let client = Client {
        mirror,
        anchor: &first,
        cache: None,
        bounds: &bounds,
    };
    client
        .newest_root(transport, deadline, trust_root::now())
        .await
}

/// A checksum with its algorithm, or without as `cosign initialize` takes it.
fn parse_checksum(text: &str) -> Result<Digest, String> {
    let wrong = || "a checksum is `sha256:` and 64 hexadecimal digits".to_owned();
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::parse(&format!("sha256:{bare}")).map_err(|_| wrong())
}
