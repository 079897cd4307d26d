//! Who must have signed: cosign's identity flags and one for every Fulcio claim, as policy rules.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Arg;
use clap::ArgMatches;

use crate::cli::UsageError;
use crate::cli::files::show;
use crate::cli::trust::Grounds;
use crate::model::Claim;
use crate::policy::Pattern;
use crate::policy::Signer;
use crate::policy::Who;
use crate::verify::TrustRoot;

/// Who must have signed: an identity with its issuer, or a key.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who must have signed")]
pub(super) struct IdentityFlags {
    /// The identity in the certificate: a workflow URI, an e-mail address, a SPIFFE ID.
    #[arg(long, value_name = "IDENTITY", alias = "cert-identity")]
    certificate_identity: Option<String>,

    /// The same as a regular expression, which must match the whole identity.
    #[arg(long, value_name = "REGEXP")]
    certificate_identity_regexp: Option<String>,

    /// The OIDC issuer that vouched for the identity.
    #[arg(long, value_name = "URL", alias = "cert-oidc-issuer")]
    certificate_oidc_issuer: Option<String>,

    /// The same as a regular expression, which must match the whole issuer.
    #[arg(long, value_name = "REGEXP")]
    certificate_oidc_issuer_regexp: Option<String>,

    /// A public key in a PEM file; no identity is asked for then.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,

    #[command(flatten)]
    claims: ClaimFlags,
}

impl IdentityFlags {
    /// The signers that count: the holder of the key, or of the identity.
    pub(super) fn signers(&self, grounds: &Grounds) -> Result<Vec<Signer>, UsageError> {
        if let Some(path) = &self.key {
            if let Some(flag) = self.keyless_flags().next() {
                return Err(UsageError::Exclusive {
                    one: "--key".to_owned(),
                    other: flag,
                });
            }
            let named = |key: &Arc<crate::verify::ManagedKey>| Signer {
                name: show(path),
                who: Who::Key(key.id()),
            };
            return Ok(grounds.trusted.keys.iter().map(named).collect());
        }
        let subject = pattern(
            ("--certificate-identity", &self.certificate_identity),
            (
                "--certificate-identity-regexp",
                &self.certificate_identity_regexp,
            ),
        )?;
        let issuer = pattern(
            ("--certificate-oidc-issuer", &self.certificate_oidc_issuer),
            (
                "--certificate-oidc-issuer-regexp",
                &self.certificate_oidc_issuer_regexp,
            ),
        )?;
        let (subject, issuer) = match (subject, issuer) {
            (Some(subject), Some(issuer)) => (subject, issuer),
            (Some(_), None) => {
                return Err(UsageError::Missing {
                    what: "the issuer is missing, without which an identity is anybody's",
                    remedy: "`--certificate-oidc-issuer` or `--certificate-oidc-issuer-regexp`",
                });
            }
            (None, Some(_)) => {
                return Err(UsageError::Missing {
                    what: "the identity is missing, without which everybody at the issuer counts",
                    remedy: "`--certificate-identity` or `--certificate-identity-regexp`",
                });
            }
            (None, None) => {
                return Err(UsageError::Missing {
                    what: "nothing says who must have signed",
                    remedy: "`--certificate-identity` with `--certificate-oidc-issuer`, or `--key`",
                });
            }
        };
        let claims = self
            .claims
            .0
            .iter()
            .map(|(claim, value)| {
                let flag = claim_flag(*claim);
                Ok((*claim, exact(&format!("--{flag}"), value)?))
            })
            .collect::<Result<_, UsageError>>()?;
        let Some(root) = grounds.trusted.root.as_deref().map(TrustRoot::id) else {
            return Err(UsageError::Missing {
                what: "a trusted root is missing",
                remedy: "`--trusted-root`",
            });
        };
        Ok(vec![Signer {
            name: format!("{subject} ({issuer})"),
            who: Who::Keyless {
                root,
                issuer,
                subject,
                claims,
            },
        }])
    }

    /// The flags given that only mean something for a certificate.
    fn keyless_flags(&self) -> impl Iterator<Item = String> {
        let named = [
            ("certificate-identity", &self.certificate_identity),
            (
                "certificate-identity-regexp",
                &self.certificate_identity_regexp,
            ),
            ("certificate-oidc-issuer", &self.certificate_oidc_issuer),
            (
                "certificate-oidc-issuer-regexp",
                &self.certificate_oidc_issuer_regexp,
            ),
        ];
        let given = named.into_iter().filter(|(_, value)| value.is_some());
        given.map(|(flag, _)| format!("--{flag}")).chain(
            self.claims
                .0
                .iter()
                .map(|(claim, _)| format!("--{}", claim_flag(*claim))),
        )
    }
}

type Flag<'a> = (&'static str, &'a Option<String>);

fn pattern(exactly: Flag<'_>, regexp: Flag<'_>) -> Result<Option<Pattern>, UsageError> {
    match (exactly.1, regexp.1) {
        (Some(_), Some(_)) => Err(UsageError::Exclusive {
            one: exactly.0.to_owned(),
            other: regexp.0.to_owned(),
        }),
        (Some(value), None) => exact(exactly.0, value).map(Some),
        (None, Some(value)) => match Pattern::regexp(value) {
            Ok(pattern) => Ok(Some(pattern)),
            Err(source) => Err(UsageError::Pattern {
                flag: regexp.0.to_owned(),
                value: crate::model::printable(value),
                source,
            }),
        },
        (None, None) => Ok(None),
    }
}

fn exact(flag: &str, value: &str) -> Result<Pattern, UsageError> {
    Pattern::exact(value).map_err(|source| UsageError::Pattern {
        flag: flag.to_owned(),
        value: crate::model::printable(value),
        source,
    })
}

/// One flag for each Fulcio claim, made from the list of claims.
#[derive(Debug, Default)]
struct ClaimFlags(Vec<(Claim, String)>);

fn claim_flag(claim: Claim) -> String {
    format!("certificate-{}", claim.name())
}

impl clap::Args for ClaimFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        Claim::ALL.iter().fold(command, |command, claim| {
            command.arg(
                Arg::new(claim_flag(*claim))
                    .long(claim_flag(*claim))
                    .value_name("VALUE")
                    .help_heading(
                        "Build claims in the certificate (extensions 1.3.6.1.4.1.57264.1.N)",
                    )
                    .help(format!(".{}, exactly this value", claim.arc()))
                    .hide_short_help(true),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ClaimFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = Claim::ALL
            .iter()
            .filter_map(|claim| {
                let value = matches.get_one::<String>(&claim_flag(*claim))?;
                Some((*claim, value.clone()))
            })
            .collect();
        Ok(())
    }
}
