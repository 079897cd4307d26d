//! `scgate sign-blob` and `scgate attest-blob`: bundles for files, several at once under one
//! certificate.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::write_data;
use crate::cli::error::ARGUMENT;
use crate::cli::failed::Failed;
use crate::cli::files::check_place;
use crate::cli::files::keep_apart;
use crate::cli::files::read_file_or_stdin;
use crate::cli::files::show;
use crate::cli::files::write_whole;
use crate::cli::network::NetworkFlags;
use crate::cli::refused::CompatibleSigningFlags;
use crate::cli::say;
use crate::cli::sign::large;
use crate::cli::sign::unread;
use crate::cli::signing::ServiceFlags;
use crate::cli::signing::WhoFlags;
use crate::cli::verify_blob::Blob;
use crate::cli::verify_blob::Found;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::model::printable;
use crate::sign::FileBundle;
use crate::sign::Format;
use crate::sign::Predicate;
use crate::sign::PredicateType;
use crate::sign::Signer;
use crate::transport::Deadline;
use crate::verify::Artifact;

/// What the name of a bundle ends with, as cosign's users have it. Before it stands the type of an
/// attestation, so that nothing takes the place of a signature.
const ENDING: &str = ".sigstore.json";
/// Letters of a digest that tell types apart which have no name.
const LETTERS: usize = 12;

/// Sign files, keylessly or with a key.
///
/// Writes a Sigstore bundle for each, which `cosign verify-blob --bundle` and `scgate verify-blob`
/// read, and prints where.
#[derive(Debug, clap::Args)]
pub(super) struct SignBlob {
    #[command(flatten)]
    common: CommonFlags,
}

/// Attest a document about files: an SBOM, provenance, a scan.
#[derive(Debug, clap::Args)]
pub(super) struct AttestBlob {
    #[command(flatten)]
    common: CommonFlags,

    /// The document.
    #[arg(long, value_name = "FILE", help_heading = "What is attested")]
    predicate: PathBuf,

    /// What it is: custom, cyclonedx, link, openvex, slsaprovenance, slsaprovenance02,
    /// slsaprovenance1, spdx, spdxjson, vsa, vuln, or a URI.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    #[arg(help_heading = "What is attested")]
    kind: String,
}

/// What both commands take.
#[derive(Debug, clap::Args)]
struct CommonFlags {
    /// Files, or `-` for stdin.
    #[arg(value_name = "FILE|-", required = true)]
    files: Vec<String>,

    /// Where the bundle goes, for one file [default: FILE.sigstore.json, of an attestation
    /// FILE.TYPE.sigstore.json].
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    #[command(flatten)]
    who: WhoFlags,

    #[command(flatten)]
    services: ServiceFlags,

    #[command(flatten)]
    network: NetworkFlags,

    /// cosign's; scgate never asks.
    #[arg(long, short, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    yes: bool,

    /// cosign's: a bundle is what is written; `false` is refused.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    new_bundle_format: bool,

    // The last one: it takes what no other flag of the command does.
    #[command(flatten)]
    compatible: CompatibleSigningFlags,
}

impl SignBlob {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.common
            .run(None, "", async |signer, name, file, deadline| match &file {
                Blob::Bytes(bytes) => Ok(signer.sign_file(bytes, deadline).await?),
                Blob::Digest(_) => Err(Failed::Usage(over_digest(name))),
            })
    }
}

impl AttestBlob {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.common.compatible.honour()?;
        let predicate = match self.predicate() {
            Ok(predicate) => predicate,
            Err(failed) => return failed.outcome(),
        };
        if let Some(reason) = unread(predicate.kind()) {
            say("note", reason);
        }
        let about = (self.predicate.as_path(), predicate.json().len());
        self.common.run(
            Some(about),
            &infix(predicate.kind()),
            async |signer, name, file, deadline| {
                let digest = match file.artifact() {
                    Artifact::Bytes(bytes) => Digest::sha256(bytes),
                    Artifact::Digest(digest) => digest,
                };
                let base = Path::new(name)
                    .file_name()
                    .map(|name| name.to_string_lossy());
                let name = base.unwrap_or_default();
                Ok(signer
                    .attest_file(&name, digest, &predicate, deadline)
                    .await?)
            },
        )
    }

    fn predicate(&self) -> Result<Predicate, Failed> {
        let limits = Limits::default();
        let kind = PredicateType::parse(&self.kind)?;
        let file = self.predicate.to_string_lossy();
        self.common.who.keep_stdin("--predicate", &file)?;
        let most = limits.attestation_bytes;
        let json = read_file_or_stdin("--predicate", &self.predicate, most)?;
        let now = Timestamp::from(SystemTime::now());
        Ok(Predicate::parse(kind, json, now, &limits)?)
    }
}

fn over_digest(name: &str) -> UsageError {
    UsageError::Value {
        flag: ARGUMENT,
        value: printable(name),
        expected: "a signature is over the file itself (name the file, not its digest)",
    }
}

/// What stands before the ending in the name of an attestation's bundle.
fn infix(kind: &PredicateType) -> String {
    match kind {
        PredicateType::Uri(uri) => {
            let digest = Digest::sha256(uri.as_bytes());
            let letters: String = digest.hex().chars().take(LETTERS).collect();
            format!(".attestation-{letters}")
        }
        kind => format!(".{}", kind.name()),
    }
}

impl CommonFlags {
    /// Makes a bundle for each file with `work`, and writes it. `predicate` is a document and how many
    /// bytes it has, `infix` stands in the name of a bundle that nobody gave one.
    fn run(
        &self,
        predicate: Option<(&Path, usize)>,
        infix: &str,
        work: impl AsyncFn(&Signer, &str, Blob, Deadline) -> Result<FileBundle, Failed>,
    ) -> Result<Outcome, UsageError> {
        self.compatible.honour()?;
        if !self.new_bundle_format {
            return Err(UsageError::Refused {
                flag: "new-bundle-format",
                reason: "the old form of a bundle is only read (leave it away)",
            });
        }
        // All of them, before anything is signed.
        for name in &self.files {
            if Blob::find(name)? == Found::Digest && predicate.is_none() {
                return Err(over_digest(name));
            }
        }
        let stdin = |path: &Path| path == Path::new("-");
        if self.files.iter().any(|file| file == "-")
            && predicate.is_some_and(|(path, _)| stdin(path))
        {
            return Err(UsageError::Exclusive {
                one: "--predicate -".to_owned(),
                other: "-".to_owned(),
            });
        }
        let limits = Limits::default();
        let places = self.places(predicate.map(|(path, _)| path), infix)?;
        if self.who.takes_stdin() && self.files.iter().any(|file| file == "-") {
            return Err(UsageError::Value {
                flag: "--identity-token",
                value: "-".to_owned(),
                expected: "stdin is the file to sign (give the token by a file)",
            });
        }
        let plan = self.who.plan(&self.services, &limits)?;
        if self.network.offline && plan.needs_network() {
            return Err(UsageError::Offline {
                what: "a signing service",
                remedy: "sign with `--key` and `--tlog-upload=false`",
            });
        }
        let transport = self.network.transport(plan.named.iter().cloned())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(UsageError::Runtime)?;
        let mut written = Vec::new();
        let outcome = runtime.block_on(async {
            let deadline = Deadline::after(self.network.timeout);
            let logs = self.services.logs();
            let signer = plan.signer(transport, logs, &limits, deadline).await?;
            let size = predicate.map_or(0, |(_, size)| size);
            let formats = BTreeSet::from([Format::Bundle]);
            if let Some(entry) = signer.too_large_entry(size, &formats) {
                say("note", &large(entry));
            }
            for (name, place) in self.files.iter().zip(&places) {
                let file = Blob::read(name)?;
                let bundle = work(&signer, name, file, deadline).await?;
                let flag = self.bundle.as_ref().map_or(ARGUMENT, |_| "--bundle");
                write_whole(flag, place, &bundle.json)?;
                written.push(show(place).into_bytes());
            }
            Ok::<_, Failed>(Outcome::Allowed)
        });
        let listed = write_data(&written);
        match outcome {
            Ok(_) => Ok(listed),
            Err(failed) => failed.outcome(),
        }
    }

    /// Where the bundles go, each to a place of its own.
    fn places(&self, more: Option<&Path>, infix: &str) -> Result<Vec<PathBuf>, UsageError> {
        let places: Vec<PathBuf> = match (&self.bundle, self.files.as_slice()) {
            (Some(place), [_]) => vec![place.clone()],
            (Some(place), _) => {
                return Err(UsageError::Value {
                    flag: "--bundle",
                    value: show(place),
                    expected: "several files have a bundle each (leave the flag away: \
                               `FILE.sigstore.json` is beside each file)",
                });
            }
            (None, files) if files.iter().any(|file| file == "-") => {
                return Err(UsageError::Missing {
                    what: "a bundle of stdin has no place",
                    remedy: "`--bundle FILE`",
                });
            }
            (None, files) => {
                let beside = |file: &String| {
                    let mut name = OsString::from(file);
                    name.push(infix);
                    name.push(ENDING);
                    PathBuf::from(name)
                };
                files.iter().map(beside).collect()
            }
        };
        let read = self.who.files(&self.services).into_iter();
        let read = read.chain(self.files.iter().map(Path::new)).chain(more);
        let read: Vec<_> = read.chain(self.network.cacert.as_deref()).collect();
        let flag = self.bundle.as_ref().map_or(ARGUMENT, |_| "--bundle");
        for (at, place) in places.iter().enumerate() {
            check_place(flag, place)?;
            keep_apart(flag, place, &read)?;
            let earlier: Vec<_> = places.iter().take(at).map(PathBuf::as_path).collect();
            keep_apart(flag, place, &earlier)?;
        }
        Ok(places)
    }
}
