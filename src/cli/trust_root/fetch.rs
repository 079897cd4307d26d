//! `scgate trust fetch`: the newest trusted root of an instance, verified from a pinned TUF root on.

use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::write_data;
use crate::cli::files::check_place;
use crate::cli::files::keep_apart;
use crate::cli::files::read_file;
use crate::cli::files::show;
use crate::cli::files::write_whole;
use crate::cli::network::NetworkFlags;
use crate::cli::say;
use crate::cli::trust::Embedded;
use crate::cli::trust::read_root;
use crate::cli::trust_root;
use crate::cli::trust_root::diff;
use crate::model::Limits;
use crate::services::tuf::Bounds;
use crate::services::tuf::Client;
use crate::services::tuf::Instance;
use crate::services::tuf::Mirror;
use crate::services::tuf::Reach;
use crate::services::tuf::SIGNING_CONFIG;
use crate::services::tuf::TRUSTED_ROOT;
use crate::services::tuf::Update;
use crate::verify::TrustRoot;

/// Fetch and verify the trusted root of an instance from its TUF mirror.
///
/// Without `--mirror` that is the public-good instance, whose TUF root is part of scgate. What is
/// written was verified whole; nothing else is touched.
#[derive(Debug, clap::Args)]
pub(super) struct Fetch {
    /// The URL of the instance's TUF mirror. Needs `--root`.
    #[arg(long, value_name = "URL", requires = "root")]
    mirror: Option<String>,

    /// The pinned `root.json` of that mirror, as `trust pin` writes it.
    #[arg(long, value_name = "FILE", requires = "mirror")]
    root: Option<PathBuf>,

    /// The staging instance instead of the public-good one.
    #[arg(long, conflicts_with = "mirror")]
    staging: bool,

    /// A directory that remembers what was verified: then no older version is taken.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Where the trusted root goes.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Where the signing configuration goes, if it is wanted.
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkFlags,
}

impl Fetch {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let limits = Limits::default();
        let before = self.places(&limits)?;
        let bounds = Bounds::default();
        let instance = match self.staging {
            true => Instance::Staging,
            false => Instance::PublicGood,
        };
        let mirror = Mirror::parse(self.mirror.as_deref().unwrap_or(instance.mirror()))?;
        let limit = usize::try_from(bounds.root_bytes).unwrap_or(usize::MAX);
        let own = match &self.root {
            Some(path) => Some(read_file("--root", path, limit)?),
            None => None,
        };
        let client = Client {
            mirror: &mirror,
            anchor: own.as_deref().unwrap_or(instance.anchor()),
            cache: self.cache.as_deref(),
            bounds: &bounds,
        };
        let mut wanted = vec![TRUSTED_ROOT];
        wanted.extend(self.signing_config.is_some().then_some(SIGNING_CONFIG));
        let update = match self.update(&client, &wanted)? {
            Ok(update) => update,
            Err(error) => return trust_root::refused(error),
        };
        self.write(&mirror, &update, before.as_ref(), &limits)
    }

    /// Checks where files go, and reads what is there.
    fn places(&self, limits: &Limits) -> Result<Option<TrustRoot>, UsageError> {
        check_place("--output", &self.output)?;
        let mut read: Vec<&Path> = Vec::new();
        read.extend(self.root.as_deref());
        read.extend(self.network.cacert.as_deref());
        keep_apart("--output", &self.output, &read)?;
        if let Some(path) = &self.signing_config {
            check_place("--signing-config", path)?;
            read.push(&self.output);
            keep_apart("--signing-config", path, &read)?;
        }
        // What is no trusted root was not meant to be overwritten by one.
        match self.output.exists() {
            true => read_root("--output", &self.output, limits).map(Some),
            false => Ok(None),
        }
    }

    fn update(
        &self,
        client: &Client<'_>,
        wanted: &[&str],
    ) -> Result<Result<Update, crate::services::tuf::Error>, UsageError> {
        let now = trust_root::now();
        if self.network.offline {
            if self.cache.is_none() {
                return Err(UsageError::Offline {
                    what: "a TUF mirror",
                    remedy: "name with `--cache DIR` what was fetched before, or leave `--offline` \
                             away",
                });
            }
            return trust_root::wait(self.network.timeout, async |_| {
                client.update(Reach::Cache, wanted, now).await
            });
        }
        let transport = self.network.transport(client.mirror.host_and_port())?;
        trust_root::wait(self.network.timeout, async |deadline| {
            let reach = Reach::Network(&transport, deadline);
            client.update(reach, wanted, now).await
        })
    }

    fn write(
        &self,
        mirror: &Mirror,
        update: &Update,
        before: Option<&TrustRoot>,
        limits: &Limits,
    ) -> Result<Outcome, UsageError> {
        let json = update.files.get(TRUSTED_ROOT).map(Vec::as_slice);
        let json = json.unwrap_or_default();
        let after = match TrustRoot::parse(json, limits) {
            Ok(root) => root,
            Err(error) => {
                let text =
                    format!("the `{TRUSTED_ROOT}` of the repository cannot be used: {error}");
                say("error", &text);
                return Ok(Outcome::Denied);
            }
        };
        let config = update.files.get(SIGNING_CONFIG);
        if config.is_some_and(|json| !is_signing_config(json)) {
            let text = format!("the `{SIGNING_CONFIG}` of the repository is none");
            say("error", &text);
            return Ok(Outcome::Denied);
        }
        let mut lines = vec![match self.network.offline {
            true => format!("verified what the cache has of {mirror}"),
            false => format!("verified {mirror}"),
        }];
        for role in &update.roles {
            let (name, version, expires) = (role.name, role.version, role.expires);
            lines.push(format!("  {name:<9} version {version}, until {expires}"));
        }
        write_whole("--output", &self.output, json)?;
        if let (Some(path), Some(json)) = (&self.signing_config, config) {
            write_whole("--signing-config", path, json)?;
        }
        lines.push(format!(
            "trusted root {} is in {}",
            after.id(),
            show(&self.output)
        ));
        if let Some(before) = before {
            compare(&mut lines, "the file that was there", before, &after);
        }
        if self.mirror.is_none() {
            let embedded = match self.staging {
                true => Embedded::Staging,
                false => Embedded::PublicGood,
            };
            let what = format!("the {} one that is part of scgate", embedded.name());
            compare(&mut lines, &what, &embedded.root(limits)?, &after);
        }
        let lines: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
        Ok(write_data(&lines))
    }
}

/// Says what is other than before.
fn compare(lines: &mut Vec<String>, what: &str, before: &TrustRoot, after: &TrustRoot) {
    let changes = diff::lines(before, after);
    if changes.is_empty() {
        lines.push(format!("  the same as {what}"));
        return;
    }
    lines.push(format!("  against {what}:"));
    lines.extend(changes.into_iter().map(|change| format!("    {change}")));
}

/// Whether a document calls itself a signing configuration.
fn is_signing_config(json: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Form {
        media_type: String,
    }
    let form: Result<Form, _> = crate::model::read_json(json);
    form.is_ok_and(|form| form.media_type.contains("signingconfig"))
}
