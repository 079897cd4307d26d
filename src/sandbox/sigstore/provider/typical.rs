//! The tokens of typical runs: a GitHub workflow, a GitLab job.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// A run of a GitHub Actions workflow, as its token tells of it. Whatever is derived from these
/// members (subject, workflow references, owner) follows them.
#[derive(Clone, Debug)]
pub struct GithubToken {
    /// `owner/name`.
    pub repository: String,
    /// The file name of the workflow.
    pub workflow: String,
    /// The ref that is built, such as `refs/heads/main`.
    pub git_ref: String,
    /// The event.
    pub event: String,
    /// The deployment environment, if any.
    pub environment: Option<String>,
}

impl Default for GithubToken {
    fn default() -> Self {
        Self {
            repository: "acme/shop".to_owned(),
            workflow: "release.yml".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            event: "push".to_owned(),
            environment: None,
        }
    }
}

impl GithubToken {
    /// The claims, without issuer, audience and times.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        let Self {
            repository,
            workflow,
            git_ref,
            event,
            environment,
        } = self;
        let sha = "ce5dbb1b4f31a1a7e39a4ad3c9d1e2d7d53f5a01";
        let owner = repository.split('/').next().unwrap_or_default();
        let name = workflow.split('.').next().unwrap_or_default();
        let reference = format!("{repository}/.github/workflows/{workflow}@{git_ref}");
        let subject = match environment {
            Some(environment) => format!("repo:{repository}:environment:{environment}"),
            None if event == "pull_request" => format!("repo:{repository}:pull_request"),
            None => format!("repo:{repository}:ref:{git_ref}"),
        };
        let kind = match git_ref.starts_with("refs/tags/") {
            true => "tag",
            false => "branch",
        };
        let mut value = json!({
            "sub": subject,
            "ref": git_ref,
            "ref_type": kind,
            "sha": sha,
            "repository": repository,
            "repository_id": "700000001",
            "repository_owner": owner,
            "repository_owner_id": "500000001",
            "repository_visibility": "public",
            "run_id": "9000000001",
            "run_number": "42",
            "run_attempt": "1",
            "actor": "dev",
            "actor_id": "100000001",
            "workflow": name,
            "event_name": event,
            "job_workflow_ref": reference,
            "job_workflow_sha": sha,
            "workflow_ref": reference,
            "workflow_sha": sha,
            "runner_environment": "github-hosted",
        });
        let Some(claims) = value.as_object_mut() else {
            return Map::new();
        };
        if let Some(environment) = environment {
            claims.insert("environment".to_owned(), json!(environment));
        }
        core::mem::take(claims)
    }
}

pub(super) fn gitlab() -> Value {
    let sha = "ce5dbb1b4f31a1a7e39a4ad3c9d1e2d7d53f5a01";
    json!({
        "sub": "project_path:acme/shop:ref_type:branch:ref:main",
        "namespace_id": "500",
        "namespace_path": "acme",
        "project_id": "700",
        "project_path": "acme/shop",
        "project_visibility": "public",
        "user_login": "dev",
        "pipeline_id": "900",
        "pipeline_source": "push",
        "job_id": "901",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "runner_id": 1,
        "runner_environment": "gitlab-hosted",
        "sha": sha,
        "ci_config_ref_uri": "gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": sha,
    })
}
