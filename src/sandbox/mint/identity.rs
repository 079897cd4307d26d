//! Identities as Fulcio states them, for the issuers that occur most.

use crate::model::Claim;
use crate::model::Claims;
use crate::model::Identity;
use crate::model::San;

/// The arc of Fulcio's extensions.
pub const FULCIO_ARC: &str = "1.3.6.1.4.1.57264.1";

/// The issuer of GitHub Actions tokens.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A run of a GitHub Actions workflow, as its token describes it.
#[derive(Clone, Debug)]
pub struct GithubActions {
    /// `owner/name` of the repository that runs.
    pub repository: String,
    /// The file name of the workflow that was started.
    pub workflow: String,
    /// The ref that is built.
    pub git_ref: String,
    /// The commit that is built.
    pub sha: String,
    /// The event that started it.
    pub event: String,
    /// `github-hosted` or `self-hosted`.
    pub runner: String,
    /// `public`, `private` or `internal`.
    pub visibility: String,
    /// The deployment environment, if any.
    pub environment: Option<String>,
    /// `owner/name/path@ref` of a reusable workflow, when the signing job lies in one.
    pub reusable: Option<String>,
    /// The repository's number.
    pub repository_id: String,
    /// The owner's number.
    pub owner_id: String,
    /// The number of the run.
    pub run_id: u64,
}

impl GithubActions {
    /// A push to `main` of `repository` (`owner/name`) that ran `workflow` (a file name).
    #[must_use]
    pub fn push(repository: &str, workflow: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            workflow: workflow.to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            sha: "ce5dbb1b4f31a1a7e39a4ad3c9d1e2d7d53f5a01".to_owned(),
            event: "push".to_owned(),
            runner: "github-hosted".to_owned(),
            visibility: "public".to_owned(),
            environment: None,
            reusable: None,
            repository_id: "700000001".to_owned(),
            owner_id: "500000001".to_owned(),
            run_id: 9_000_000_001,
        }
    }

    /// What Fulcio makes of it: extensions .1 to .6, .8 to .22, .24, and .23 with an environment.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let server = "https://github.com";
        let repository = &self.repository;
        let git_ref = &self.git_ref;
        let source = format!("{server}/{repository}");
        let config = format!("{source}/.github/workflows/{}@{git_ref}", self.workflow);
        let signer = match &self.reusable {
            Some(callee) => format!("{server}/{callee}"),
            None => config.clone(),
        };
        let owner = repository.split('/').next().unwrap_or_default();
        let name = self.workflow.split('.').next().unwrap_or_default();
        let run = format!("{source}/actions/runs/{}/attempts/1", self.run_id);
        let subject = match &self.environment {
            Some(environment) => format!("repo:{repository}:environment:{environment}"),
            None if self.event == "pull_request" => format!("repo:{repository}:pull_request"),
            None => format!("repo:{repository}:ref:{git_ref}"),
        };
        let mut all = vec![
            (Claim::GithubWorkflowTrigger, self.event.clone()),
            (Claim::GithubWorkflowSha, self.sha.clone()),
            (Claim::GithubWorkflowName, name.to_owned()),
            (Claim::GithubWorkflowRepository, repository.clone()),
            (Claim::GithubWorkflowRef, git_ref.clone()),
            (Claim::BuildSignerUri, signer.clone()),
            (Claim::BuildSignerDigest, self.sha.clone()),
            (Claim::RunnerEnvironment, self.runner.clone()),
            (Claim::SourceRepositoryUri, source.clone()),
            (Claim::SourceRepositoryDigest, self.sha.clone()),
            (Claim::SourceRepositoryRef, git_ref.clone()),
            (
                Claim::SourceRepositoryIdentifier,
                self.repository_id.clone(),
            ),
            (Claim::SourceRepositoryOwnerUri, format!("{server}/{owner}")),
            (
                Claim::SourceRepositoryOwnerIdentifier,
                self.owner_id.clone(),
            ),
            (Claim::BuildConfigUri, config),
            (Claim::BuildConfigDigest, self.sha.clone()),
            (Claim::BuildTrigger, self.event.clone()),
            (Claim::RunInvocationUri, run),
            (Claim::SourceRepositoryVisibility, self.visibility.clone()),
            (Claim::TokenSubject, subject),
        ];
        if let Some(environment) = &self.environment {
            all.push((Claim::DeploymentEnvironment, environment.clone()));
        }
        let mut claims = Claims::default();
        for (claim, value) in all {
            // Each claim stands once in the list above.
            let _first = claims.insert(claim, value);
        }
        Identity {
            san: San::Uri(signer),
            issuer: GITHUB_ISSUER.to_owned(),
            claims,
        }
    }
}

/// A person, by an issuer of e-mail addresses.
#[must_use]
pub fn email(address: &str, issuer: &str) -> Identity {
    plain(San::Email(address.to_owned()), issuer)
}

/// A workload with a SPIFFE id.
#[must_use]
pub fn spiffe(id: &str, issuer: &str) -> Identity {
    plain(San::Uri(id.to_owned()), issuer)
}

/// A user name (`user!domain`) by a user-name issuer.
#[must_use]
pub fn username(name: &str, issuer: &str) -> Identity {
    plain(San::OtherName(name.to_owned()), issuer)
}

fn plain(san: San, issuer: &str) -> Identity {
    Identity {
        san,
        issuer: issuer.to_owned(),
        claims: Claims::default(),
    }
}
