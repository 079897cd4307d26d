//! Who signed, as a Fulcio certificate states it: subject name, issuer and build claims.

use core::fmt;
use std::collections::BTreeMap;

use serde::Serialize;

/// The one subject alternative name of a signing certificate. A value is compared with its kind:
/// an e-mail address never stands for a URI of the same text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum San {
    /// An rfc822Name.
    Email(String),
    /// Fulcio's OtherName 1.3.6.1.4.1.57264.1.7: a user name of a user-name issuer (`user!domain`).
    OtherName(String),
    /// A uniformResourceIdentifier: a workflow, a SPIFFE id, a service account.
    Uri(String),
}

impl San {
    /// The value without its kind.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Email(value) | Self::OtherName(value) | Self::Uri(value) => value,
        }
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

/// What a verified signing certificate says about its holder.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// The subject alternative name.
    pub san: San,
    /// The OIDC issuer that authenticated the holder (extensions .1 and .8, which agree).
    pub issuer: String,
    /// The build claims, by extension.
    pub claims: Claims,
}

macro_rules! claims {
    ($($(#[$doc:meta])* $variant:ident = $arc:literal, $name:literal;)*) => {
        /// A build claim: one extension of the arc 1.3.6.1.4.1.57264.1 (Fulcio `docs/oid-info.md`).
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Claim {
            $($(#[$doc])* $variant,)*
        }

        impl Claim {
            /// Every claim, in the order of the arc.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The last number of its object identifier.
            #[must_use]
            pub const fn arc(self) -> u8 {
                match self { $(Self::$variant => $arc),* }
            }

            /// The name in kebab-case, as flags and reports write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The claim with this last number, if it is one (.1, .7 and .8 are no claims).
            #[must_use]
            pub const fn from_arc(arc: u8) -> Option<Self> {
                match arc { $($arc => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

claims! {
    /// .2, deprecated: the event that started the workflow.
    GithubWorkflowTrigger = 2, "github-workflow-trigger";
    /// .3, deprecated: the commit that was built.
    GithubWorkflowSha = 3, "github-workflow-sha";
    /// .4, deprecated: the display name of the workflow.
    GithubWorkflowName = 4, "github-workflow-name";
    /// .5, deprecated: the caller's repository, `owner/name`.
    GithubWorkflowRepository = 5, "github-workflow-repository";
    /// .6, deprecated: the ref that was built.
    GithubWorkflowRef = 6, "github-workflow-ref";
    /// .9: the build instructions that ran (the callee of a reusable workflow).
    BuildSignerUri = 9, "build-signer-uri";
    /// .10: the digest of those instructions.
    BuildSignerDigest = 10, "build-signer-digest";
    /// .11: `github-hosted`, `self-hosted`, …
    RunnerEnvironment = 11, "runner-environment";
    /// .12: the repository that was built (the caller).
    SourceRepositoryUri = 12, "source-repository-uri";
    /// .13: the commit that was built.
    SourceRepositoryDigest = 13, "source-repository-digest";
    /// .14: the ref that was built.
    SourceRepositoryRef = 14, "source-repository-ref";
    /// .15: the repository's number, which survives renaming.
    SourceRepositoryIdentifier = 15, "source-repository-identifier";
    /// .16: the owner of the repository.
    SourceRepositoryOwnerUri = 16, "source-repository-owner-uri";
    /// .17: the owner's number.
    SourceRepositoryOwnerIdentifier = 17, "source-repository-owner-identifier";
    /// .18: the top-level workflow (the caller).
    BuildConfigUri = 18, "build-config-uri";
    /// .19: the digest of the top-level workflow.
    BuildConfigDigest = 19, "build-config-digest";
    /// .20: the event that started the build.
    BuildTrigger = 20, "build-trigger";
    /// .21: the run.
    RunInvocationUri = 21, "run-invocation-uri";
    /// .22: `public`, `private` or `internal` when it was signed.
    SourceRepositoryVisibility = 22, "source-repository-visibility";
    /// .23: the deployment environment.
    DeploymentEnvironment = 23, "deployment-environment";
    /// .24: the token's subject, unaltered.
    TokenSubject = 24, "token-subject";
}

impl Serialize for Claim {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The build claims of a certificate. An absent claim is absent, never empty.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Claims(BTreeMap<Claim, String>);

impl Claims {
    /// The value of a claim.
    #[must_use]
    pub fn get(&self, claim: Claim) -> Option<&str> {
        self.0.get(&claim).map(String::as_str)
    }

    /// Sets a claim; gives back `false` when it was there already (each extension occurs once).
    #[must_use]
    pub fn insert(&mut self, claim: Claim, value: String) -> bool {
        self.0.insert(claim, value).is_none()
    }

    /// All claims in the order of their extensions.
    pub fn iter(&self) -> impl Iterator<Item = (Claim, &str)> {
        self.0.iter().map(|(claim, value)| (*claim, value.as_str()))
    }
}
