//! Whose token it is, and the name that Fulcio will write into the certificate.

use core::fmt;

use serde_json::Value;

use crate::model::Claim;
use crate::model::San;
use crate::model::printable;
use crate::services::Error;
use crate::services::oidc::Token;

/// GitHub's own issuer. Enterprises have theirs below it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// What the issuer of a GitHub Enterprise Server ends with.
const GITHUB_SERVER: &str = "/_services/token";
const GITLAB: &str = "https://gitlab.com";
const BUILDKITE: &str = "https://agent.buildkite.com";
const CIRCLECI: &str = "https://oidc.circleci.com/org/";
/// Sigstore's own issuer for people, which stands for the one that it asked itself.
const DEX: &str = "https://oauth2.sigstore.dev/auth";

/// From which claims Fulcio makes what a certificate says about a build (fulcio `docs/oid-info.md`).
const GITHUB_BUILD: &[(Claim, &str)] = &[
    (Claim::RunnerEnvironment, "runner_environment"),
    (Claim::SourceRepositoryUri, "repository"),
    (Claim::SourceRepositoryDigest, "sha"),
    (Claim::SourceRepositoryRef, "ref"),
    (Claim::SourceRepositoryIdentifier, "repository_id"),
    (Claim::BuildTrigger, "event_name"),
    (Claim::DeploymentEnvironment, "environment"),
    (Claim::BuildSignerUri, "job_workflow_ref"),
    (Claim::BuildSignerDigest, "job_workflow_sha"),
    (Claim::BuildConfigUri, "workflow_ref"),
    (Claim::BuildConfigDigest, "workflow_sha"),
    (Claim::SourceRepositoryOwnerUri, "repository_owner"),
    (
        Claim::SourceRepositoryOwnerIdentifier,
        "repository_owner_id",
    ),
    (Claim::SourceRepositoryVisibility, "repository_visibility"),
];
const GITLAB_BUILD: &[(Claim, &str)] = &[
    (Claim::RunnerEnvironment, "runner_environment"),
    (Claim::SourceRepositoryUri, "project_path"),
    (Claim::SourceRepositoryDigest, "sha"),
    (Claim::SourceRepositoryIdentifier, "project_id"),
    (Claim::BuildTrigger, "pipeline_source"),
    (Claim::DeploymentEnvironment, "environment"),
];
const BUILDKITE_BUILD: &[(Claim, &str)] = &[
    (Claim::RunnerEnvironment, "runner_environment"),
    (Claim::SourceRepositoryDigest, "build_commit"),
    (Claim::BuildTrigger, "build_source"),
];
const CIRCLECI_BUILD: &[(Claim, &str)] = &[
    (Claim::SourceRepositoryUri, "oidc.circleci.com/vcs-origin"),
    (Claim::SourceRepositoryRef, "oidc.circleci.com/vcs-ref"),
];

/// The kind of an issuer, as far as the token tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Buildkite,
    CircleCi,
    Github,
    Gitlab,
    Kubernetes,
    Other,
    Spiffe,
}

/// The identity that is about to be put into a public log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// Who vouches for it.
    pub issuer: String,
    /// The name that the certificate will have. Fulcio's operator decides; this is what the public
    /// instance makes of such a token.
    pub name: San,
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = printable(self.name.value());
        write!(f, "{name} (vouched for by {})", printable(&self.issuer))
    }
}

impl Token {
    pub(super) fn kind(&self) -> Kind {
        let issuer = self.issuer();
        let below = |root: &str| {
            let rest = issuer.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let has = |names: &[&str]| names.iter().any(|name| self.claims.contains_key(*name));
        if below(GITHUB)
            || issuer.ends_with(GITHUB_SERVER)
            || has(&["job_workflow_ref", "workflow_ref", "event_name"])
        {
            Kind::Github
        } else if below(GITLAB) || has(&["ci_config_ref_uri", "pipeline_source", "project_path"]) {
            Kind::Gitlab
        } else if below(BUILDKITE) {
            Kind::Buildkite
        } else if issuer.starts_with(CIRCLECI) {
            Kind::CircleCi
        } else if has(&["kubernetes.io"]) {
            Kind::Kubernetes
        } else if self
            .claim("sub")
            .is_some_and(|sub| sub.starts_with("spiffe://"))
        {
            Kind::Spiffe
        } else {
            Kind::Other
        }
    }

    /// Whether its issuer vouches for machines alone.
    pub(super) fn is_of_machine(&self) -> bool {
        self.kind() != Kind::Other
    }

    /// The identity that Fulcio will certify, as far as the claims tell it: what is about to be put
    /// into a public log.
    ///
    /// # Errors
    ///
    /// [`Error::Unverified`] for an address that its issuer did not verify.
    pub fn claimed(&self) -> Result<Claimed, Error> {
        let claim = |name| self.claim(name);
        let name = match self.kind() {
            Kind::Github => claim("job_workflow_ref").map(|workflow| {
                let server = self.issuer().strip_suffix(GITHUB_SERVER);
                format!("{}/{workflow}", server.unwrap_or("https://github.com"))
            }),
            Kind::Gitlab => claim("ci_config_ref_uri").map(|config| format!("https://{config}")),
            Kind::Buildkite => claim("organization_slug")
                .zip(claim("pipeline_slug"))
                .map(|(owner, name)| format!("https://buildkite.com/{owner}/{name}")),
            Kind::CircleCi => claim("oidc.circleci.com/project-id")
                .zip(claim("oidc.circleci.com/pipeline-definition-id"))
                .map(|(project, pipeline)| {
                    format!(
                        "https://circleci.com/api/v2/projects/{project}/pipeline-definitions/{pipeline}"
                    )
                }),
            Kind::Kubernetes => self.service_account(),
            Kind::Spiffe => None,
            Kind::Other => {
                if let Some(address) = self.email()? {
                    return Ok(Claimed {
                        issuer: self.vouching(),
                        name: San::Email(address.to_owned()),
                    });
                }
                None
            }
        };
        let subject = || claim("sub").unwrap_or_default().to_owned();
        Ok(Claimed {
            issuer: self.vouching(),
            name: San::Uri(name.unwrap_or_else(subject)),
        })
    }

    /// What the certificate will say about the build, as far as the claims tell it: what a policy may
    /// ask for besides the name. Nothing of it is different when the same job runs once more.
    #[must_use]
    pub fn build(&self) -> Vec<(Claim, String)> {
        let server = self.issuer().strip_suffix(GITHUB_SERVER);
        let kind = self.kind();
        let names = match kind {
            Kind::Github => GITHUB_BUILD,
            Kind::Gitlab => GITLAB_BUILD,
            Kind::Buildkite => BUILDKITE_BUILD,
            Kind::CircleCi => CIRCLECI_BUILD,
            Kind::Kubernetes | Kind::Other | Kind::Spiffe => return Vec::new(),
        };
        let said = names.iter().filter_map(|(claim, name)| {
            let value = self.claim(name)?;
            let value = match (claim, kind) {
                (
                    Claim::BuildConfigUri
                    | Claim::BuildSignerUri
                    | Claim::SourceRepositoryOwnerUri
                    | Claim::SourceRepositoryUri,
                    Kind::Github,
                ) => {
                    format!("{}/{value}", server.unwrap_or("https://github.com"))
                }
                // Of any other GitLab, Fulcio's operator says where it is.
                (Claim::SourceRepositoryUri, Kind::Gitlab) if self.issuer() != GITLAB => {
                    return None;
                }
                (Claim::SourceRepositoryUri, Kind::Gitlab) => format!("{GITLAB}/{value}"),
                _ => value.to_owned(),
            };
            Some((*claim, value))
        });
        said.chain(self.gitlab_ref()).collect()
    }

    /// A GitLab token has the name of the ref and its type apart.
    fn gitlab_ref(&self) -> Option<(Claim, String)> {
        if self.kind() != Kind::Gitlab {
            return None;
        }
        let folder = match self.claim("ref_type")? {
            "branch" => "heads",
            "tag" => "tags",
            _ => return None,
        };
        let name = self.claim("ref")?;
        Some((Claim::SourceRepositoryRef, format!("refs/{folder}/{name}")))
    }

    /// `https://kubernetes.io/namespaces/NAMESPACE/serviceaccounts/NAME`.
    fn service_account(&self) -> Option<String> {
        let about = self.claims.get("kubernetes.io")?;
        let namespace = about.get("namespace")?.as_str()?;
        let account = about.get("serviceaccount")?.get("name")?.as_str()?;
        Some(format!(
            "https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}"
        ))
    }

    /// The issuer as the certificate will name it.
    fn vouching(&self) -> String {
        let federated = self.claims.get("federated_claims");
        let connector = federated.and_then(|claims| claims.get("connector_id"));
        match connector.and_then(Value::as_str) {
            Some(connector) if self.issuer() == DEX => connector.to_owned(),
            _ => self.issuer().to_owned(),
        }
    }
}
