//! Who issues tokens, what stands in them, and what Fulcio makes of each kind.
//!
//! A [`Provider`] is the kind of an issuer: it has the claims of a typical token, and the rule that
//! turns claims into an identity. The rules are those of Fulcio's own configuration for the public
//! instance; an absent claim is refused where Fulcio refuses it.

mod typical;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::Claim;
use crate::model::Claims;
use crate::model::Identity;
use crate::model::San;
use crate::sandbox::mint::GITHUB_ISSUER;

pub use typical::GithubToken;

/// The kind of an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Provider {
    /// Buildkite agents.
    Buildkite,
    /// People, by an issuer that knows their address.
    Email,
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Service accounts of a Kubernetes cluster.
    Kubernetes,
    /// Workloads with a SPIFFE id in the trust domain `sandbox.test`.
    Spiffe,
    /// Any URI below `https://uri.sandbox.test`.
    Uri,
    /// User names.
    Username,
}

impl Provider {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Buildkite,
        Self::Email,
        Self::Github,
        Self::Gitlab,
        Self::Kubernetes,
        Self::Spiffe,
        Self::Uri,
        Self::Username,
    ];

    /// The name, as paths and commands write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buildkite => "buildkite",
            Self::Email => "email",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::Uri => "uri",
            Self::Username => "username",
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// The issuer that its tokens name unless another one is ordered: the real one where there is
    /// one, so that certificates look as in production.
    #[must_use]
    pub const fn issuer(self) -> &'static str {
        match self {
            Self::Buildkite => "https://agent.buildkite.com",
            Self::Email => "https://accounts.google.com",
            Self::Github => GITHUB_ISSUER,
            Self::Gitlab => "https://gitlab.com",
            Self::Kubernetes => "https://kubernetes.default.svc",
            Self::Spiffe => "https://spiffe.sandbox.test",
            Self::Uri => "https://uri.sandbox.test",
            Self::Username => "https://username.sandbox.test",
        }
    }

    /// The provider whose tokens name this issuer. `own` is the URL of the sandbox.
    pub(super) fn of_issuer(issuer: &str, own: &str) -> Option<Self> {
        let here = issuer
            .strip_prefix(own)
            .and_then(|rest| rest.strip_prefix("/oidc/"))
            .and_then(Self::named);
        let enterprise = issuer
            .strip_prefix(GITHUB_ISSUER)
            .is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
        let real = || Self::ALL.iter().copied().find(|one| one.issuer() == issuer);
        here.or_else(real)
            .or_else(|| enterprise.then_some(Self::Github))
            .or_else(|| (issuer == DEX_ISSUER).then_some(Self::Email))
    }

    /// As Fulcio's configuration calls it.
    pub(super) const fn fulcio_type(self) -> &'static str {
        match self {
            Self::Buildkite | Self::Github | Self::Gitlab => "ci-provider",
            Self::Email => "email",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::Uri => "uri",
            Self::Username => "username",
        }
    }

    /// The `url` of the templates, where there are any.
    const fn server(self) -> Option<&'static str> {
        match self {
            Self::Buildkite => Some("https://buildkite.com"),
            Self::Github => Some("https://github.com"),
            Self::Gitlab => Some("https://gitlab.com"),
            Self::Email | Self::Kubernetes | Self::Spiffe | Self::Uri | Self::Username => None,
        }
    }

    /// The claim that proof of possession signs.
    pub(super) const fn challenge_claim(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Buildkite
            | Self::Github
            | Self::Gitlab
            | Self::Kubernetes
            | Self::Spiffe
            | Self::Uri
            | Self::Username => "sub",
        }
    }

    /// The claims of a typical token, without issuer, audience and times.
    #[must_use]
    pub fn claims(self) -> Map<String, Value> {
        let value = match self {
            Self::Github => {
                let claims = GithubToken::default();
                return claims.claims();
            }
            Self::Gitlab => typical::gitlab(),
            Self::Buildkite => json!({
                "sub": "organization:acme:pipeline:shop:ref:refs/heads/main:commit:ce5dbb1b4f31a1a7e39a4ad3c9d1e2d7d53f5a01:step:build",
                "organization_slug": "acme",
                "pipeline_slug": "shop",
                "build_number": 5,
                "build_branch": "main",
                "build_commit": "ce5dbb1b4f31a1a7e39a4ad3c9d1e2d7d53f5a01",
                "build_source": "webhook",
                "step_key": "build",
                "job_id": "0184990a-477b-4fa8-9968-496074483cee",
                "agent_id": "0184990a-4782-42b5-afc1-16715b10b8ff",
                "runner_environment": "buildkite-hosted",
            }),
            Self::Email => json!({
                "sub": "110000000000000000001",
                "email": "dev@sandbox.test",
                "email_verified": true,
            }),
            Self::Kubernetes => json!({
                "sub": "system:serviceaccount:ci:builder",
                "kubernetes.io": {
                    "namespace": "ci",
                    "pod": { "name": "builder-0", "uid": "43a5a9a2-4f4f-4ee0-9ef1-5e3a1f9f2f10" },
                    "serviceaccount": {
                        "name": "builder",
                        "uid": "6e1f9cc2-6c0a-4be3-8f7e-2f3a3a4a0a11",
                    },
                },
            }),
            Self::Spiffe => json!({ "sub": "spiffe://sandbox.test/ns/ci/sa/builder" }),
            Self::Uri => json!({ "sub": "https://uri.sandbox.test/users/1" }),
            Self::Username => json!({ "sub": "dev" }),
        };
        match value {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }

    /// The identity that Fulcio certifies for these claims, or what it says instead.
    pub(super) fn identity(
        self,
        issuer: &str,
        claims: &Map<String, Value>,
    ) -> Result<Identity, String> {
        let mut all = claims.clone();
        if let Some(url) = self.server() {
            all.insert("url".to_owned(), json!(url));
        }
        let token = Token {
            issuer,
            claims: &all,
        };
        let mut built = Claims::default();
        let mut add = |claim: Claim, value: String| {
            // Each claim is added once; an empty one gets no extension.
            let _first = value.is_empty() || built.insert(claim, value);
        };
        let san = match self {
            Self::Github => github_identity(&token, &mut add)?,
            Self::Gitlab => gitlab_identity(&token, &mut add)?,
            Self::Buildkite => buildkite_identity(&token, &mut add)?,
            Self::Email => San::Email(address(claims)?),
            Self::Kubernetes => {
                let part = |outer: &str, inner: &str| {
                    let about = claims
                        .get("kubernetes.io")
                        .and_then(|about| about.get(outer));
                    let about = if inner.is_empty() {
                        about
                    } else {
                        about.and_then(|about| about.get(inner))
                    };
                    about.and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                let (namespace, account) = (part("namespace", ""), part("serviceaccount", "name"));
                San::Uri(format!(
                    "https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}"
                ))
            }
            Self::Spiffe => {
                let id = token.text("sub");
                if !id.starts_with("spiffe://sandbox.test/") {
                    return Err(IDENTITY_TOKEN.to_owned());
                }
                San::Uri(id)
            }
            Self::Uri => {
                let uri = token.text("sub");
                if !uri.starts_with("https://uri.sandbox.test/") {
                    return Err(IDENTITY_TOKEN.to_owned());
                }
                San::Uri(uri)
            }
            Self::Username => {
                let name = token.text("sub");
                if name.contains('!') || name.is_empty() {
                    return Err(IDENTITY_TOKEN.to_owned());
                }
                San::OtherName(format!("{name}!username.sandbox.test"))
            }
        };
        add(Claim::TokenSubject, token.text("sub"));
        Ok(Identity {
            san,
            issuer: named_issuer(issuer, claims)?,
            claims: built,
        })
    }
}

/// The issuer as certificates name it: dex stands for the one that it asked itself.
fn named_issuer(issuer: &str, claims: &Map<String, Value>) -> Result<String, String> {
    if issuer != DEX_ISSUER {
        return Ok(issuer.to_owned());
    }
    claims
        .get("federated_claims")
        .and_then(|about| about.get("connector_id"))
        .map(printed)
        .ok_or_else(|| IDENTITY_TOKEN.to_owned())
}

/// The issuer of Sigstore itself, whose tokens say who vouched for the address.
pub(super) const DEX_ISSUER: &str = "https://oauth2.sigstore.dev/auth";

/// What Fulcio says of every token that it does not take.
pub(super) const IDENTITY_TOKEN: &str = "There was an error processing the identity token";

/// A token whose signature holds.
struct Token<'a> {
    issuer: &'a str,
    claims: &'a Map<String, Value>,
}

impl Token<'_> {
    /// A claim as text; an absent one is empty.
    fn text(&self, name: &str) -> String {
        self.claims.get(name).map(printed).unwrap_or_default()
    }

    /// A claim that an extension is made of as it is.
    fn plain(&self, name: &str, extension: &str) -> Result<String, String> {
        self.claims.get(name).map(printed).ok_or_else(|| {
            format!(
                "value {name} not present in either claims or defaults. {{\n\t\"ExtensionName\": \
                 \"{extension}\",\n\t\"Issuer\": \"{}\"\n}}",
                self.issuer
            )
        })
    }

    /// A template of Fulcio's configuration: each `{{ .name }}` is a claim.
    fn template(&self, template: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, inside)) = rest.split_once("{{ .") {
            out.push_str(before);
            let (name, after) = inside.split_once(" }}").unwrap_or((inside, ""));
            let Some(claim) = self.claims.get(name) else {
                // Go names the place of the claim, the dot included.
                let column = template.len() - inside.len() - 1;
                return Err(format!(
                    "template: :1:{column}: executing \"\" at <.{name}>: map has no entry for key \
                     \"{name}\""
                ));
            };
            out.push_str(&printed(claim));
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The same for a name in a certificate, which must be a URL.
    fn url(&self, template: &str) -> Result<String, String> {
        let url = self.template(template)?;
        let mut rest = url.as_str();
        while let Some((_, after)) = rest.split_once('%') {
            let escape: String = after.chars().take(2).collect();
            if escape.len() < 2 || !escape.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!(
                    "parse {}: invalid URL escape {}",
                    json!(url),
                    json!(format!("%{escape}"))
                ));
            }
            rest = after;
        }
        Ok(url)
    }
}

/// A claim as Fulcio writes it into an extension: Go's `%v`.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), float),
        Value::Array(parts) => {
            let parts: Vec<_> = parts.iter().map(printed).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Object(_) => value.to_string(),
    }
}

/// A number as Go's `%v` writes a float64, which is what its JSON makes of every number.
fn float(number: f64) -> String {
    let shown = format!("{number:e}");
    let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

type Add<'a> = dyn FnMut(Claim, String) + 'a;

fn github_identity(token: &Token<'_>, add: &mut Add<'_>) -> Result<San, String> {
    for (claim, name, extension) in [
        (
            Claim::GithubWorkflowTrigger,
            "event_name",
            "GithubWorkflowTrigger",
        ),
        (Claim::GithubWorkflowSha, "sha", "GithubWorkflowSHA"),
        (Claim::GithubWorkflowName, "workflow", "GithubWorkflowName"),
        (
            Claim::GithubWorkflowRepository,
            "repository",
            "GithubWorkflowRepository",
        ),
        (Claim::GithubWorkflowRef, "ref", "GithubWorkflowRef"),
        (
            Claim::BuildSignerDigest,
            "job_workflow_sha",
            "BuildSignerDigest",
        ),
        (
            Claim::RunnerEnvironment,
            "runner_environment",
            "RunnerEnvironment",
        ),
        (
            Claim::SourceRepositoryDigest,
            "sha",
            "SourceRepositoryDigest",
        ),
        (Claim::SourceRepositoryRef, "ref", "SourceRepositoryRef"),
        (
            Claim::SourceRepositoryIdentifier,
            "repository_id",
            "SourceRepositoryIdentifier",
        ),
        (
            Claim::SourceRepositoryOwnerIdentifier,
            "repository_owner_id",
            "SourceRepositoryOwnerIdentifier",
        ),
        (
            Claim::BuildConfigDigest,
            "workflow_sha",
            "BuildConfigDigest",
        ),
        (Claim::BuildTrigger, "event_name", "BuildTrigger"),
        (
            Claim::SourceRepositoryVisibility,
            "repository_visibility",
            "SourceRepositoryVisibilityAtSigning",
        ),
    ] {
        add(claim, token.plain(name, extension)?);
    }
    let signer = token.url("{{ .url }}/{{ .job_workflow_ref }}")?;
    add(Claim::BuildSignerUri, signer.clone());
    for (claim, template) in [
        (Claim::SourceRepositoryUri, "{{ .url }}/{{ .repository }}"),
        (
            Claim::SourceRepositoryOwnerUri,
            "{{ .url }}/{{ .repository_owner }}",
        ),
        (Claim::BuildConfigUri, "{{ .url }}/{{ .workflow_ref }}"),
        (
            Claim::RunInvocationUri,
            "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
        ),
    ] {
        add(claim, token.template(template)?);
    }
    add(Claim::DeploymentEnvironment, token.text("environment"));
    Ok(San::Uri(signer))
}

fn gitlab_identity(token: &Token<'_>, add: &mut Add<'_>) -> Result<San, String> {
    let config = token.url("https://{{ .ci_config_ref_uri }}")?;
    let kind = match token.template("{{ .ref_type }}")?.as_str() {
        "tag" => "tags",
        _ => "heads",
    };
    let git_ref = format!("refs/{kind}/{}", token.template("{{ .ref }}")?);
    add(Claim::BuildSignerUri, config.clone());
    add(Claim::SourceRepositoryRef, git_ref);
    add(Claim::BuildConfigUri, config.clone());
    for (claim, template) in [
        (Claim::SourceRepositoryUri, "{{ .url }}/{{ .project_path }}"),
        (
            Claim::SourceRepositoryOwnerUri,
            "{{ .url }}/{{ .namespace_path }}",
        ),
        (
            Claim::RunInvocationUri,
            "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}",
        ),
    ] {
        add(claim, token.template(template)?);
    }
    for (claim, name, extension) in [
        (
            Claim::BuildSignerDigest,
            "ci_config_sha",
            "BuildSignerDigest",
        ),
        (
            Claim::RunnerEnvironment,
            "runner_environment",
            "RunnerEnvironment",
        ),
        (
            Claim::SourceRepositoryDigest,
            "sha",
            "SourceRepositoryDigest",
        ),
        (
            Claim::SourceRepositoryIdentifier,
            "project_id",
            "SourceRepositoryIdentifier",
        ),
        (
            Claim::SourceRepositoryOwnerIdentifier,
            "namespace_id",
            "SourceRepositoryOwnerIdentifier",
        ),
        (
            Claim::BuildConfigDigest,
            "ci_config_sha",
            "BuildConfigDigest",
        ),
        (Claim::BuildTrigger, "pipeline_source", "BuildTrigger"),
        (
            Claim::SourceRepositoryVisibility,
            "project_visibility",
            "SourceRepositoryVisibilityAtSigning",
        ),
    ] {
        add(claim, token.plain(name, extension)?);
    }
    add(Claim::DeploymentEnvironment, token.text("environment"));
    Ok(San::Uri(config))
}

fn buildkite_identity(token: &Token<'_>, add: &mut Add<'_>) -> Result<San, String> {
    let pipeline = token.url("{{ .url }}/{{ .organization_slug }}/{{ .pipeline_slug }}")?;
    let run = token.template(
        "{{ .url }}/{{ .organization_slug }}/{{ .pipeline_slug }}/builds/{{ .build_number }}\
         #{{ .job_id }}",
    )?;
    add(
        Claim::RunnerEnvironment,
        token.plain("runner_environment", "RunnerEnvironment")?,
    );
    add(
        Claim::SourceRepositoryDigest,
        token.plain("build_commit", "SourceRepositoryDigest")?,
    );
    add(
        Claim::BuildTrigger,
        token.plain("build_source", "BuildTrigger")?,
    );
    add(Claim::RunInvocationUri, run);
    Ok(San::Uri(pipeline))
}

/// The verified address of a token.
fn address(claims: &Map<String, Value>) -> Result<String, String> {
    let is_verified = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        Some(_) | None => false,
    };
    let address = claims.get("email").and_then(Value::as_str);
    match address {
        Some(address)
            if is_verified
                && !address.contains(['<', ' '])
                && address
                    .split_once('@')
                    .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) =>
        {
            Ok(address.to_owned())
        }
        Some(_) | None => Err(IDENTITY_TOKEN.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::mint::GithubActions;

    #[test]
    fn a_github_token_becomes_the_identity_that_the_mint_makes() {
        let token = GithubToken::default();
        let identity = Provider::Github
            .identity(GITHUB_ISSUER, &token.claims())
            .unwrap();
        assert_eq!(
            identity,
            GithubActions::push("acme/shop", "release.yml").identity()
        );
    }

    #[test]
    fn an_absent_claim_is_refused_in_fulcios_words() {
        let mut claims = Provider::Github.claims();
        claims.remove("sha");
        let refused = Provider::Github
            .identity(GITHUB_ISSUER, &claims)
            .unwrap_err();
        assert!(refused.starts_with("value sha not present"), "{refused}");
        let mut claims = Provider::Email.claims();
        claims.insert("email_verified".to_owned(), json!(false));
        let refused = Provider::Email.identity("https://accounts.google.com", &claims);
        assert_eq!(refused, Err(IDENTITY_TOKEN.to_owned()));
    }

    #[test]
    fn issuers_are_known_by_their_whole_name() {
        let own = "http://127.0.0.1:1";
        let of = |issuer| Provider::of_issuer(issuer, own);
        assert_eq!(of(GITHUB_ISSUER), Some(Provider::Github));
        assert_eq!(
            of("https://token.actions.githubusercontent.com/acme"),
            Some(Provider::Github)
        );
        assert_eq!(of("http://127.0.0.1:1/oidc/email"), Some(Provider::Email));
        assert_eq!(of("https://token.actions.githubusercontent.com.evil"), None);
        assert_eq!(of("http://127.0.0.1:12/oidc/email"), None);
        assert_eq!(of(""), None);
    }
}
