//! What cosign's commands know and scgate has no use for: accepted without effect, or refused
//! by name. Nothing is ignored that would have made cosign stricter or laxer.

use core::marker::PhantomData;
use std::ffi::OsString;

use clap::Arg;
use clap::ArgAction;
use clap::ArgMatches;
use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::UsageError;

const TRUST: &str = "trust comes from one place (put the certificates into a trusted root, for \
                     example with `cosign trusted-root create`, and name it with `--trusted-root`)";
const EVIDENCE: &str = "the evidence about an image is read from its repository or layout, where all of it lies \
     together";
const HARDWARE: &str = "keys are read from files (save the public key, for example with `cosign \
                        public-key --sk`, and name the file with `--key`)";
const CLIENT_TLS: &str = "scgate does not speak TLS with client certificates (give credentials by \
                          `--authfile`, or reach the registry by a gateway that has the certificate)";

/// Flags of cosign 3.1.3 that are refused wherever a command has no meaning of its own for them.
/// `docs/cosign-flags.md` lists them too.
const REFUSED: &[(&str, &str)] = &[
    (
        "allow-certificate-chain",
        "the bundle format forbids a chain from version 0.3 on, and a chain can bring its own root",
    ),
    (
        "attachment",
        "an attached file proves nothing (verify an attestation with `verify-attestation`)",
    ),
    ("ca-intermediates", TRUST),
    ("ca-roots", TRUST),
    ("cert", EVIDENCE),
    ("cert-chain", TRUST),
    ("certificate", EVIDENCE),
    ("certificate-chain", TRUST),
    (
        "digest",
        "the digest stands in the place of the file (write `sha256:…`)",
    ),
    (
        "digestAlg",
        "the digest stands in the place of the file (write `sha256:…`)",
    ),
    (
        "k8s-keychain",
        "credentials are read from files (name one with `--authfile`)",
    ),
    (
        "local-image",
        "a layout is named by its flag (write `--layout PATH`)",
    ),
    (
        "output-file",
        "messages go to stderr (redirect it, or write a report to a file with `--output \
         FORMAT=FILE`)",
    ),
    ("payload", EVIDENCE),
    (
        "policy",
        "scgate runs no CUE and no Rego over predicates (pipe the verified statement to your \
         program)",
    ),
    (
        "private-infrastructure",
        "it hides what it does (write `--insecure-ignore-tlog`, which means the same)",
    ),
    ("registry-client-cert", CLIENT_TLS),
    ("registry-client-key", CLIENT_TLS),
    (
        "registry-server-name",
        "a registry is who its name says (give the name in its certificate, or `--registry-cacert`)",
    ),
    (
        "rekor-url",
        "no log is asked; the evidence carries its own proof of being logged",
    ),
    ("rfc3161-timestamp", EVIDENCE),
    (
        "sct",
        "the proof of certificate transparency is read from the certificate",
    ),
    ("signature", EVIDENCE),
    (
        "signature-digest-algorithm",
        "the algorithm follows from the key",
    ),
    ("sk", HARDWARE),
    ("slot", HARDWARE),
    ("timestamp-certificate-chain", TRUST),
];

/// Those of them that stand alone or with `=true`.
const SWITCHES: &[&str] = &[
    "allow-certificate-chain",
    "k8s-keychain",
    "local-image",
    "private-infrastructure",
    "sk",
];

const CERTIFICATE: &str = "a certificate is made for the run, or a key signs without one (sign with \
                           `--key` alone, or without it)";
const PLACE: &str =
    "evidence is written where its image is (write `--layout PATH` for one on disk)";
const PART: &str =
    "it is part of the evidence, which is written as one (for a file, to `--bundle FILE`)";
const PERSON: &str = "a token is given or found, or a person confirms a code (name it with \
                      `--identity-token`, or where it is with `--oidc-provider`)";
const CLIENT_TLS_TIMESTAMP: &str = "scgate does not speak TLS with client certificates (name an authority \
     that asks for none with `--timestamp-server-url`, or a gateway that has the certificate)";
const PRIVATE_HARDWARE: &str =
    "keys are read from files (name one with `--key`, or sign without a key)";

/// Flags of cosign 3.1.3's commands that sign.
const REFUSED_SIGNING: &[(&str, &str)] = &[
    (
        "attachment",
        "an attached file proves nothing (attest it with `attest`)",
    ),
    ("bundle", PLACE),
    ("cert", CERTIFICATE),
    ("cert-chain", CERTIFICATE),
    ("certificate", CERTIFICATE),
    ("certificate-chain", CERTIFICATE),
    ("fulcio-auth-flow", PERSON),
    (
        "hash",
        "the digest stands in the place of the file (write `sha256:…`)",
    ),
    (
        "insecure-skip-verify",
        "what is made is verified before it is written (name what it is verified under with \
         `--trusted-root`)",
    ),
    ("issue-certificate", CERTIFICATE),
    (
        "k8s-keychain",
        "credentials are read from files (name one with `--authfile`)",
    ),
    ("no-upload", PLACE),
    ("oidc-client-secret-file", PERSON),
    ("oidc-redirect-url", PERSON),
    ("output", PART),
    ("output-attestation", PART),
    ("output-cert", PART),
    ("output-certificate", PART),
    ("output-file", "messages go to stderr (redirect it)"),
    ("output-payload", PART),
    ("output-signature", PART),
    (
        "payload",
        "what is signed is made from the digest of the image (leave it away)",
    ),
    (
        "record-creation-timestamp",
        "the time is in the evidence (leave it away: the manifest around a legacy signature has none)",
    ),
    ("registry-client-cert", CLIENT_TLS),
    ("registry-client-key", CLIENT_TLS),
    (
        "registry-referrers-mode",
        "bundles are referrers, and legacy signatures have a tag (say what is written with \
         `--signature-format`)",
    ),
    (
        "registry-server-name",
        "a registry is who its name says (give the name in its certificate, or `--registry-cacert`)",
    ),
    (
        "rekor-entry-type",
        "the log says what it takes (leave it away)",
    ),
    ("rfc3161-timestamp", PART),
    ("rfc3161-timestamp-bundle", PART),
    (
        "sign-container-identity",
        "a signature names the repository that it is written for (sign it there)",
    ),
    (
        "signing-algorithm",
        "the algorithm follows from the key (without one it is ECDSA over P-256)",
    ),
    ("sk", PRIVATE_HARDWARE),
    ("slot", PRIVATE_HARDWARE),
    (
        "statement",
        "a statement is made from the document (name it with `--predicate` and `--type`)",
    ),
    (
        "timestamp-client-cacert",
        "authorities are for all services (name them with `--cacert`)",
    ),
    ("timestamp-client-cert", CLIENT_TLS_TIMESTAMP),
    ("timestamp-client-key", CLIENT_TLS_TIMESTAMP),
    (
        "timestamp-server-name",
        "a service is who its name says (give the name in its certificate, or `--cacert`)",
    ),
];

/// Those of them that stand alone or with `=true`.
const SWITCHES_SIGNING: &[&str] = &[
    "insecure-skip-verify",
    "issue-certificate",
    "k8s-keychain",
    "no-upload",
    "record-creation-timestamp",
    "sk",
];

/// Flags that are read for cosign's sake by the commands that sign, and change nothing.
#[derive(Debug, clap::Args)]
pub(super) struct CompatibleSigningFlags {
    /// A bundle has its own form; `false` is refused.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    b64: bool,

    /// What is signed is written; `false` is refused.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    upload: bool,

    /// A signing configuration is used where there is one, and URLs where they are given.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    use_signing_config: bool,

    /// What is done is said in any case.
    #[arg(long, short = 'd', hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    verbose: bool,

    // The last one: it takes what no other flag of the command does.
    #[command(flatten)]
    refused: RefusedFlags<Signing>,
}

impl CompatibleSigningFlags {
    /// Refuses what was given and cannot be honoured.
    pub(super) const fn honour(&self) -> Result<(), UsageError> {
        if !self.b64 {
            return Err(UsageError::Refused {
                flag: "b64",
                reason: PART,
            });
        }
        if !self.upload {
            return Err(UsageError::Refused {
                flag: "upload",
                reason: PLACE,
            });
        }
        self.refused.honour()
    }
}

/// Flags that are read for cosign's sake and change nothing.
#[derive(Debug, clap::Args)]
pub(super) struct CompatibleFlags {
    /// Evidence is bound to its digest in any case; `false` is refused.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    check_claims: bool,

    /// Every layout is read in any case.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    experimental_oci11: bool,

    /// scgate bounds its own work.
    #[arg(long, hide = true)]
    max_workers: Option<u32>,

    /// Every layout is read in any case.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    new_bundle_format: bool,

    /// The report says everything in any case.
    #[arg(long, short = 'd', hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    verbose: bool,

    // The last one: it takes what no other flag of the command does.
    #[command(flatten)]
    refused: RefusedFlags<Verifying>,
}

impl CompatibleFlags {
    /// Refuses what was given and cannot be honoured.
    pub(super) const fn honour(&self) -> Result<(), UsageError> {
        if !self.check_claims {
            return Err(UsageError::Refused {
                flag: "check-claims",
                reason: "evidence that is not about the artifact proves nothing (`false` switches \
                         that off)",
            });
        }
        self.refused.honour()
    }
}

/// The refused flag in a command line that clap does not take: what is refused by name is so before
/// anything else is found missing. Flags behind one that nobody knows are not seen.
pub(super) fn named(arguments: &[OsString]) -> Option<UsageError> {
    let command = Cli::command().ignore_errors(true);
    let matches = command.try_get_matches_from(arguments).ok()?;
    let (_, mut within) = matches.subcommand()?;
    while let Some((_, deeper)) = within.subcommand() {
        within = deeper;
    }
    let found = given::<Signing>(within).or_else(|| given::<Verifying>(within));
    found.map(|(flag, reason)| UsageError::Refused { flag, reason })
}

/// Whether clap knows an argument only for it to be refused.
pub(super) fn is_refused(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    [Verifying::PREFIX, Signing::PREFIX]
        .iter()
        .any(|prefix| id.starts_with(prefix))
}

/// What some commands refuse.
trait Table {
    /// What the id of each begins with. It is not the flag itself: a command's own flag of that name
    /// may have it.
    const PREFIX: &'static str;
    const FLAGS: &'static [(&'static str, &'static str)];
    const SWITCHES: &'static [&'static str];
}

/// The commands that verify.
#[derive(Debug)]
struct Verifying;

/// The commands that sign.
#[derive(Debug)]
struct Signing;

impl Table for Verifying {
    const PREFIX: &'static str = "refused-verifying-";
    const FLAGS: &'static [(&'static str, &'static str)] = REFUSED;
    const SWITCHES: &'static [&'static str] = SWITCHES;
}

impl Table for Signing {
    const PREFIX: &'static str = "refused-signing-";
    const FLAGS: &'static [(&'static str, &'static str)] = REFUSED_SIGNING;
    const SWITCHES: &'static [&'static str] = SWITCHES_SIGNING;
}

/// The first refused flag that was given.
#[derive(Debug)]
struct RefusedFlags<T> {
    given: Option<(&'static str, &'static str)>,
    table: PhantomData<T>,
}

impl<T> RefusedFlags<T> {
    const fn honour(&self) -> Result<(), UsageError> {
        match self.given {
            Some((flag, reason)) => Err(UsageError::Refused { flag, reason }),
            None => Ok(()),
        }
    }
}

impl<T: Table> clap::Args for RefusedFlags<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        T::FLAGS.iter().fold(command, |command, (flag, _)| {
            let own = |arg: &Arg| {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                arg.get_long() == Some(*flag) || aliases.contains(flag)
            };
            if command.get_arguments().any(own) {
                return command;
            }
            command.arg(
                Arg::new(id::<T>(flag))
                    .long(*flag)
                    .hide(true)
                    .num_args(0..=1)
                    // As cosign reads them, so that a switch does not take a reference for its value.
                    .require_equals(T::SWITCHES.contains(flag))
                    .action(ArgAction::Append),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<T: Table> clap::FromArgMatches for RefusedFlags<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self {
            given: None,
            table: PhantomData,
        };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.given = given::<T>(matches);
        Ok(())
    }
}

/// The first flag of a table that was given, and why it is refused.
fn given<T: Table>(matches: &ArgMatches) -> Option<(&'static str, &'static str)> {
    T::FLAGS
        .iter()
        .find(|(flag, _)| matches!(matches.try_contains_id(&id::<T>(flag)), Ok(true)))
        .copied()
}

fn id<T: Table>(flag: &str) -> String {
    format!("{}{flag}", T::PREFIX)
}
