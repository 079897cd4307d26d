//! `scgate verify-blob` and `scgate verify-blob-attestation`: is this file signed, or is there a
//! statement about it, and by whom it must be?

use core::time::Duration;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::admit::FileEvidence;
use crate::admit::Gate;
use crate::admit::Scope;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::digest;
use crate::cli::error::ARGUMENT;
use crate::cli::error::Access;
use crate::cli::files::read_file;
use crate::cli::files::read_start;
use crate::cli::files::take;
use crate::cli::gate::POLICY;
use crate::cli::identity::IdentityFlags;
use crate::cli::refused::CompatibleFlags;
use crate::cli::registry::parse_duration;
use crate::cli::trust::Embedded;
use crate::cli::trust::Grounds;
use crate::cli::trust::TrustFlags;
use crate::cli::verify_attestation::PredicateFlags;
use crate::model::Digest;
use crate::model::Limits;
use crate::output::Format;
use crate::policy::Covers;
use crate::policy::Demand;
use crate::policy::Policy;
use crate::policy::Rules;
use crate::verify::Artifact;
use crate::verify::Bundle;

/// Bytes of a file that is read: it is held in memory, since some keys sign all of it.
const MAX_BLOB: usize = 2 * 1024 * 1024 * 1024;

/// Is this file signed, and by whom it must be?
#[derive(Debug, clap::Args)]
pub(super) struct VerifyBlob {
    #[command(flatten)]
    blob: BlobFlags,

    /// A signature without a bundle: a file, or its text in base64.
    #[arg(long, value_name = "FILE|BASE64", help_heading = "Evidence")]
    signature: Option<String>,

    /// The certificate to `--signature`, PEM or base64 of it.
    #[arg(long, value_name = "FILE", alias = "cert", help_heading = "Evidence")]
    certificate: Option<PathBuf>,

    /// The RFC 3161 timestamp of `--signature`, DER.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    rfc3161_timestamp: Option<PathBuf>,

    #[command(flatten)]
    identity: IdentityFlags,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,

    #[command(flatten)]
    compatible: CompatibleFlags,
}

/// Is there a statement of this type about the file, by whom it must be?
#[derive(Debug, clap::Args)]
pub(super) struct VerifyBlobAttestation {
    #[command(flatten)]
    blob: BlobFlags,

    #[command(flatten)]
    predicate: PredicateFlags,

    #[command(flatten)]
    identity: IdentityFlags,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,

    #[command(flatten)]
    compatible: CompatibleFlags,
}

/// Which file, and its bundle.
#[derive(Debug, clap::Args)]
pub(super) struct BlobFlags {
    /// A file, `-` for stdin, or the file's digest.
    #[arg(value_name = "FILE|-|DIGEST")]
    file: String,

    /// A Sigstore bundle, or the one that cosign wrote before.
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    bundle: Option<PathBuf>,

    /// No request is made in any case.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, hide = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    offline: bool,

    /// No request is made, so none takes long; a value that is no time is wrong all the same.
    #[arg(long, short, value_name = "TIME", env = "SCGATE_TIMEOUT", hide = true)]
    #[arg(value_parser = parse_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
}

impl BlobFlags {
    /// The files that the flags name and that are read.
    fn files(&self, identity: &IdentityFlags, trust: &TrustFlags) -> Vec<PathBuf> {
        let files = [&self.bundle, &identity.key, &trust.trusted_root];
        let named = files.into_iter().flatten().cloned();
        named.chain([PathBuf::from(&self.file)]).collect()
    }
}

impl VerifyBlob {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.compatible.honour()?;
        let limits = Limits::default();
        let grounds =
            self.trust
                .grounds(Embedded::PublicGood, self.identity.key.as_deref(), &limits)?;
        let policy = policy(&self.identity, &grounds, Demand::FileSignature)?;
        let evidence = self.evidence(&limits)?;
        let beside = [&self.certificate, &self.rfc3161_timestamp];
        let mut files = self.blob.files(&self.identity, &self.trust);
        files.extend(beside.into_iter().flatten().cloned());
        files.extend(self.signature.as_deref().map(PathBuf::from));
        let file = Blob::read(&self.blob.file)?;
        let answers = self.output.open(Some(Format::Text), &files)?;
        let report = admit(&self.blob.file, &file, policy, evidence, &grounds);
        Ok(answers.write(&[report]))
    }

    /// The bundle, or what takes its place.
    fn evidence(&self, limits: &Limits) -> Result<FileEvidence, UsageError> {
        let beside = [
            ("--signature", self.signature.is_some()),
            ("--certificate", self.certificate.is_some()),
            ("--rfc3161-timestamp", self.rfc3161_timestamp.is_some()),
        ];
        let given = beside.iter().find(|(_, given)| *given);
        match (&self.blob.bundle, &self.signature, given) {
            (Some(_), _, Some((flag, _))) => Err(UsageError::Exclusive {
                one: "--bundle".to_owned(),
                other: (*flag).to_owned(),
            }),
            (Some(path), _, None) => read_bundle(path, limits),
            (None, None, _) => Err(UsageError::Missing {
                what: "the signature is missing",
                remedy: "`--bundle FILE`, or `--signature FILE`",
            }),
            (None, Some(signature), _) => self.detached(signature, limits),
        }
    }

    fn detached(&self, signature: &str, limits: &Limits) -> Result<FileEvidence, UsageError> {
        match (&self.identity.key, &self.certificate) {
            (Some(_), Some(_)) => {
                return Err(UsageError::Exclusive {
                    one: "--key".to_owned(),
                    other: "--certificate".to_owned(),
                });
            }
            (None, None) => {
                return Err(UsageError::Missing {
                    what: "nothing says whose signature it is",
                    remedy: "`--certificate FILE` or `--key FILE`",
                });
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        let path = Path::new(signature);
        let is_text = !path.exists()
            && signature
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'='));
        let signature = if is_text {
            signature.as_bytes().to_vec()
        } else {
            read_file("--signature", path, limits.bundle_bytes)?
        };
        let read = |flag, path: &Option<PathBuf>, limit| match path {
            Some(path) => read_file(flag, path, limit).map(Some),
            None => Ok(None),
        };
        let certificate = read(
            "--certificate",
            &self.certificate,
            limits.certificate_bytes * limits.certificates,
        )?;
        let timestamp = read(
            "--rfc3161-timestamp",
            &self.rfc3161_timestamp,
            limits.timestamp_bytes,
        )?;
        Ok(FileEvidence {
            digest: Digest::sha256(&signature),
            bundle: Bundle::from_detached(
                &signature,
                certificate.as_deref(),
                timestamp.as_deref(),
                limits,
            ),
        })
    }
}

impl VerifyBlobAttestation {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.compatible.honour()?;
        let limits = Limits::default();
        let grounds =
            self.trust
                .grounds(Embedded::PublicGood, self.identity.key.as_deref(), &limits)?;
        let policy = policy(&self.identity, &grounds, self.predicate.demand()?)?;
        let Some(path) = &self.blob.bundle else {
            return Err(UsageError::Missing {
                what: "the statement is missing",
                remedy: "`--bundle FILE`",
            });
        };
        let evidence = read_bundle(path, &limits)?;
        let files = self.blob.files(&self.identity, &self.trust);
        let file = Blob::read(&self.blob.file)?;
        let answers = self.output.open(Some(Format::Text), &files)?;
        let report = admit(&self.blob.file, &file, policy, evidence, &grounds);
        Ok(answers.write(&[report]))
    }
}

/// Decides about a file.
pub(super) fn admit(
    name: &str,
    file: &Blob,
    policy: Policy,
    evidence: FileEvidence,
    grounds: &Grounds,
) -> crate::admit::Report {
    grounds.announce();
    let gate = Gate::new(
        policy,
        grounds.trusted.clone(),
        grounds.terms,
        Scope::default(),
        Limits::default(),
    );
    gate.admit_file(name, file.artifact(), &[evidence], grounds.now)
}

/// The policy that flags make about a file.
pub(super) fn policy(
    identity: &IdentityFlags,
    grounds: &Grounds,
    demand: Demand,
) -> Result<Policy, UsageError> {
    Ok(Policy::new(Rules {
        name: POLICY.to_owned(),
        signers: identity.signers(grounds)?,
        demand,
        annotations: Vec::new(),
        covers: Covers::Index,
        platforms: Vec::new(),
        signed_timestamp: grounds.signed_timestamp,
        at: grounds.at,
    })?)
}

/// A file, or what is known of it.
#[derive(Debug)]
pub(super) enum Blob {
    Bytes(Vec<u8>),
    Digest(Digest),
}

/// What an argument names, before it is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    Digest,
    File,
}

impl Blob {
    /// Whether what an argument names is there and can be opened: several are looked for before
    /// anything is done with the first.
    pub(super) fn find(argument: &str) -> Result<Found, UsageError> {
        match digest::parse(argument) {
            Some(Ok(_)) => return Ok(Found::Digest),
            Some(Err(error)) if !Path::new(argument).exists() => return Err(error),
            Some(Err(_)) | None => {}
        }
        if argument == "-" {
            return Ok(Found::File);
        }
        // A pipe is opened once, when it is read: whoever writes to it does so to the first reader.
        let found = fs::metadata(argument).and_then(|found| match () {
            () if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            () if found.is_file() => File::open(argument).map(drop),
            () => Ok(()),
        });
        found
            .map(|()| Found::File)
            .map_err(|source| UsageError::File {
                flag: ARGUMENT,
                path: crate::model::printable(argument),
                to: Access::Read,
                source,
            })
    }

    /// Reads what an argument names: a digest, stdin or a file.
    pub(super) fn read(argument: &str) -> Result<Self, UsageError> {
        let name = crate::model::printable(argument);
        match digest::parse(argument) {
            Some(Ok(digest)) => return Ok(Self::Digest(digest)),
            Some(Err(error)) if !Path::new(argument).exists() => return Err(error),
            // What looks like a digest and is none can still be a file.
            Some(Err(_)) | None => {}
        }
        let read = match argument {
            "-" => take(io::stdin().lock(), MAX_BLOB),
            path => File::open(path).and_then(|file| {
                let size = file.metadata()?.len();
                let mut bytes = Vec::new();
                if let Ok(size) = usize::try_from(size) {
                    bytes.reserve(size.min(MAX_BLOB));
                }
                let most = u64::try_from(MAX_BLOB).unwrap_or(u64::MAX);
                file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
                Ok(bytes)
            }),
        };
        match read {
            Ok(bytes) if bytes.len() > MAX_BLOB => Err(UsageError::Value {
                flag: ARGUMENT,
                value: name,
                expected: "it is larger than 2 GiB (give its digest instead, `sha256:…`)",
            }),
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(source) => Err(UsageError::File {
                flag: ARGUMENT,
                path: name,
                to: Access::Read,
                source,
            }),
        }
    }

    pub(super) fn artifact(&self) -> Artifact<'_> {
        match self {
            Self::Bytes(bytes) => Artifact::Bytes(bytes),
            Self::Digest(digest) => Artifact::Digest(*digest),
        }
    }
}

/// Reads a bundle. What is wrong inside of it is evidence that does not count, and no wrong usage.
pub(super) fn read_bundle(path: &Path, limits: &Limits) -> Result<FileEvidence, UsageError> {
    /// The members that tell the forms apart.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Form {
        media_type: Option<IgnoredAny>,
        base64_signature: Option<IgnoredAny>,
    }
    let json = read_start("--bundle", path, limits.attestation_bytes)?;
    let form = crate::model::read_json(&json).ok();
    let bundle = match form {
        Some(Form {
            media_type: None,
            base64_signature: Some(_),
        }) => Bundle::from_legacy_blob(&json, limits),
        _ => Bundle::parse(&json, limits),
    };
    Ok(FileEvidence {
        digest: Digest::sha256(&json),
        bundle,
    })
}
