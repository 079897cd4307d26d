//! What helps whoever signs.
//!
//! A reason means the same as where evidence is verified, and something else helps: what signs has no
//! verdict to relax, and can choose what it writes, for whom and with which services. Where nothing
//! else helps, [`remedy`] has the words.

use crate::model::DenyCode;
use crate::output::remedy;
use crate::registry;
use crate::services;
use crate::services::Barred;
use crate::services::Missing;
use crate::services::Service;
use crate::sign::Error;

const AUTHORITY: &str = "Whoever runs the certificate authority has to mend it; then sign again.";

/// What helps when something was not signed for this reason.
#[must_use]
pub fn signing_remedy(error: &Error) -> &'static str {
    match error {
        Error::CertificateClaim { .. } | Error::CertificateKey => AUTHORITY,
        Error::CertificateIdentity { .. } => {
            "Name whom the certificate is for with `--certificate-identity` if this Fulcio makes that name \
             of the token; where the flag is given, it names another identity than the token. Else ask \
             whoever runs the Fulcio."
        }
        Error::FulcioMissing => "Name a Fulcio with `--fulcio-url`, or sign with `--key FILE`.",
        Error::KeyKind { .. } => {
            "For images write bundles alone (`--signature-format bundle`), with an Ed25519 key into a log of \
             Rekor v1. Else, and for files, sign with an ECDSA key (P-256) or an RSA key."
        }
        Error::LegacyLog => {
            "Write bundles alone (`--signature-format bundle`), or name a log of Rekor v1 with \
             `--rekor-url`."
        }
        Error::Nameless => "Sign with a token whose issuer names somebody in it (`sub`).",
        Error::Registry(source) => registry(source),
        Error::Renewed { .. } => {
            "Sign as one identity: the provider of tokens has to name the same one all the time."
        }
        Error::RootMissing => "Name a trusted root with `--trusted-root`.",
        Error::Service(source) => service(source),
        other => of_code(other.code()),
    }
}

/// What helps when a registry failed what signs.
pub(in crate::output) fn registry(error: &registry::Error) -> &'static str {
    match error {
        registry::Error::Status { status: 405, .. } => {
            "This registry takes no uploads there: name the one that images are pushed to (a mirror only \
             hands them out), or another place with `--signature-repository`."
        }
        other => of_code(other.code()),
    }
}

fn service(error: &services::Error) -> &'static str {
    use services::Error as Why;
    match error {
        Why::Forbidden { rule, .. } => barred(*rule),
        Why::NoDevices { .. } => {
            "Name a token with `--identity-token FILE`, or another issuer with `--oidc-issuer`."
        }
        Why::Refused {
            service: Service::Oidc,
            ..
        } => {
            "Read what the provider says. The job has to have the right to ask it for a token; else name \
             one with `--identity-token FILE`."
        }
        Why::Refused {
            service: Service::Rekor | Service::Timestamp,
            ..
        }
        | Why::Refused {
            status: 404 | 405 | 501,
            ..
        } => {
            "Read what the service says. Compare its address, and for a log the version of its API \
             (`--rekor-version`)."
        }
        Why::TokenMissing(missing) => absent(missing),
        Why::Unavailable {
            service: Service::Oidc,
            ..
        }
        | Why::Transport {
            service: Service::Oidc,
            ..
        } if error.code() == DenyCode::ServiceUnavailable => {
            "Run the same command again. If it stays, name a token with `--identity-token FILE`."
        }
        Why::Unclaimed { .. } => {
            "Sign with the token of a CI job, which says what it builds. `--allow-ref` is for such tokens \
             alone."
        }
        Why::Unshown { .. } => "Run the same command again: another signature makes another entry.",
        Why::Unverified => {
            "Have the address verified at the issuer, and sign with a new token. Or sign as somebody else."
        }
        other => of_code(other.code()),
    }
}

const fn barred(rule: Barred) -> &'static str {
    match rule {
        Barred::Event => {
            "Sign in the job of a push, release, schedule, workflow_dispatch or merge_group. If builds of \
             this event are meant, name it with `--allow-event`."
        }
        Barred::Fork => "Sign in a build of a branch or tag of the repository itself.",
        Barred::Contradicted | Barred::NotText => {
            "Sign in a job whose token says one thing. Ask whoever runs the CI system."
        }
        Barred::NotARef => {
            "Sign in a job whose token has the whole ref (`refs/heads/…`, `refs/tags/…`). Ask whoever runs \
             the CI system."
        }
        Barred::NotNamed => {
            "Sign in a build of a ref that `--allow-ref` names. If this one is meant, name it with another \
             `--allow-ref`."
        }
        Barred::Proposed => {
            "Sign what was merged, in a build of a branch or tag. If this ref is meant, name it with \
             `--allow-ref`."
        }
        Barred::PullRequest => {
            "Sign what was merged, in a job that no pull request started. If what it builds is meant, let \
             the event `pull_request` start it and name that with `--allow-event`."
        }
        Barred::Shell => "Run the job again without SSH, and sign in that one.",
        Barred::Source => {
            "Sign in a pipeline that a push, a schedule, a trigger or a member started. If pipelines of \
             this source are meant, name it with `--allow-event`."
        }
    }
}

const fn absent(missing: &Missing) -> &'static str {
    match missing {
        Missing::File { .. } => {
            "Compare the path and the rights, or name another token with `--identity-token FILE`."
        }
        Missing::GithubPermission | Missing::GitlabToken => {
            "Give the job that right, or name a token with `--identity-token FILE`. To sign with a key, \
             give `--key FILE`."
        }
        Missing::NobodyAgreed { .. } => {
            "Run the same command again and confirm the code, or name a token with `--identity-token \
             FILE`."
        }
        Missing::Nowhere => {
            "Sign in a job that its CI system gives a token, or name one with `--identity-token FILE`. To \
             sign with a key, give `--key FILE`."
        }
        Missing::Program { .. } => {
            "Sign in a job that has the program and may ask it, or name a token with `--identity-token FILE`."
        }
        Missing::Variable { .. } => {
            "Leave the variable as the CI system sets it, or name a token with `--identity-token FILE`."
        }
    }
}

/// What helps by the code alone.
const fn of_code(code: DenyCode) -> &'static str {
    match code {
        DenyCode::CertificateOutsideValidity => {
            "Correct the clock of the service or machine that is wrong, and sign again."
        }
        DenyCode::CertificateClaimsConflict
        | DenyCode::CertificateClaimsMalformed
        | DenyCode::CertificateMalformed
        | DenyCode::CertificateSan
        | DenyCode::CertificateUsage => AUTHORITY,
        DenyCode::CertificateUntrusted | DenyCode::LogUnknown | DenyCode::SctUntrusted => {
            "Name the trusted root of the Sigstore whose services are asked, or a newer one, with \
             `--trusted-root`. If it lacks them, ask whoever runs them."
        }
        DenyCode::DeadlineExceeded => {
            "Run the same command again, or allow more time with `--timeout`."
        }
        DenyCode::LogEntryMissing | DenyCode::LogEntryUnsupported => {
            "Name another log, or ask whoever runs this one: what it wrote is not what it was sent."
        }
        DenyCode::LogPromiseMissing => {
            "Write bundles alone (`--signature-format bundle`): they carry inclusion proofs."
        }
        DenyCode::RegistryUnauthorized => {
            "Log in to the registry (`docker login` or its likeness) as an account that may push to the \
             repository."
        }
        DenyCode::SctInvalid | DenyCode::SctMalformed | DenyCode::SctOutsideValidity => {
            "The certificate transparency log of the authority has to be in the trusted root as it is now \
             (`--trusted-root`). If it is, whoever runs the authority has to mend it."
        }
        DenyCode::SctMissing => {
            "Whoever runs the certificate authority has to enter its certificates into a certificate \
             transparency log. Else sign with another authority, or with `--key FILE`."
        }
        DenyCode::SignedTimestampMissing | DenyCode::TimeMissing => {
            "Name a timestamp authority that is in the trusted root: with `--timestamp-server-url`, or by a \
             signing configuration that has one."
        }
        DenyCode::TimeInFuture => {
            "Correct the clock of this machine, or have that of the log or timestamp authority corrected."
        }
        code => remedy(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What verifies has flags that what signs has not.
    #[test]
    fn no_code_names_a_flag_of_what_verifies() {
        // No signer meets these: nothing was signed yet, or somebody else's demand was not met.
        let never = [
            DenyCode::EvidenceAfterTime,
            DenyCode::IssuerMismatch,
            DenyCode::ParentMismatch,
            DenyCode::PredicateTypeMismatch,
            DenyCode::SignerKindMismatch,
        ];
        for code in DenyCode::ALL.iter().filter(|code| !never.contains(code)) {
            let words = of_code(*code);
            for flag in [
                "--at`",
                "--certificate-oidc-issuer",
                "--clock-skew",
                "--insecure",
                "--parent",
                "--use-signed-timestamps",
            ] {
                assert!(!words.contains(flag), "{code}: {words}");
            }
            assert!(words.ends_with('.') && !words.contains("  "), "{words}");
        }
    }
}
