//! What cosign's verify commands know and scgate has no use for: accepted without effect, or refused
//! by name. Nothing is ignored that would have made cosign stricter or laxer.

use clap::Arg;
use clap::ArgAction;
use clap::ArgMatches;

use crate::cli::UsageError;

const TRUST: &str = "trust comes from one place (put the certificates into a trusted root, for \
                     example with `cosign trusted-root create`, and name it with `--trusted-root`)";
const EVIDENCE: &str = "the evidence about an image is read from its repository or layout, where all of it lies \
     together";
const HARDWARE: &str = "keys are read from files (save the public key, for example with `cosign \
                        public-key --sk`, and name the file with `--key`)";
const CLIENT_TLS: &str = "scgate does not speak TLS with client certificates";

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
    refused: RefusedFlags,
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
        match self.refused.0 {
            Some((flag, reason)) => Err(UsageError::Refused { flag, reason }),
            None => Ok(()),
        }
    }
}

/// The first refused flag that was given.
#[derive(Debug, Default)]
struct RefusedFlags(Option<(&'static str, &'static str)>);

impl clap::Args for RefusedFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        REFUSED.iter().fold(command, |command, (flag, _)| {
            let own = |arg: &Arg| {
                let aliases = arg.get_all_aliases().unwrap_or_default();
                arg.get_long() == Some(*flag) || aliases.contains(flag)
            };
            if command.get_arguments().any(own) {
                return command;
            }
            command.arg(
                Arg::new(id(flag))
                    .long(*flag)
                    .hide(true)
                    .num_args(0..=1)
                    // As cosign reads them, so that a switch does not take a reference for its value.
                    .require_equals(SWITCHES.contains(flag))
                    .action(ArgAction::Append),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for RefusedFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = REFUSED
            .iter()
            .find(|(flag, _)| matches!(matches.try_contains_id(&id(flag)), Ok(true)))
            .copied();
        Ok(())
    }
}

/// Not the flag itself: a command's own flag of that name may have it.
fn id(flag: &str) -> String {
    format!("refused-{flag}")
}
