//! Who may sign, by the claims of the token.

use scgate::model::DenyCode;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Provider as Issuer;
use scgate::services::oidc::Rules;
use scgate::services::oidc::Token;
use serde_json::Value;
use serde_json::json;

use super::oidc::unsigned;

/// A token with the typical claims of an issuer and these on top; null takes one away.
fn token(issuer: Issuer, changes: Value) -> Token {
    let mut claims = issuer.claims();
    claims.insert("iss".to_owned(), json!(issuer.issuer()));
    claims.insert("exp".to_owned(), json!(2_000_000_000));
    let Value::Object(changes) = changes else {
        panic!("an object");
    };
    claims.extend(changes);
    claims.retain(|_, value| !value.is_null());
    Token::parse(&unsigned(&claims)).unwrap()
}

fn github(changes: Value) -> Token {
    token(Issuer::Github, changes)
}

fn event(event: &str, git_ref: &str) -> Value {
    let run = GithubToken {
        event: event.to_owned(),
        git_ref: git_ref.to_owned(),
        ..GithubToken::default()
    };
    Value::Object(run.claims())
}

fn rules(events: &[&str], refs: &[&str]) -> Rules {
    let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    Rules::new(&owned(events), &owned(refs)).unwrap()
}

/// `ok`, or the code and what the refusal is about.
fn told(rules: &Rules, token: &Token) -> String {
    match rules.permit(token) {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            assert_eq!(error.code(), DenyCode::SigningForbidden, "{error}");
            let text = error.to_string();
            let claim = text.split('`').nth(1).unwrap().to_owned();
            assert!(
                text.contains("its claim") || text.contains("no claim"),
                "{text}"
            );
            claim
        }
    }
}

#[test]
fn of_github_only_what_members_cause_may_sign() {
    let main = "refs/heads/main";
    let queue = "refs/heads/gh-readonly-queue/main/pr-7-ce5dbb1";
    for (claims, expected) in [
        (event("push", main), "ok"),
        (event("push", "refs/heads/feature/x"), "ok"),
        (event("push", "refs/tags/v1.0.0"), "ok"),
        (event("release", "refs/tags/v1.0.0"), "ok"),
        (event("schedule", main), "ok"),
        (event("workflow_dispatch", main), "ok"),
        (event("merge_group", queue), "ok"),
        (event("pull_request", "refs/pull/7/merge"), "event_name"),
        (event("pull_request_target", main), "event_name"),
        (
            event("pull_request_review", "refs/pull/7/merge"),
            "event_name",
        ),
        (event("workflow_run", main), "event_name"),
        (event("issue_comment", main), "event_name"),
        (event("repository_dispatch", main), "event_name"),
        (event("discussion", main), "event_name"),
        (event("PUSH", main), "event_name"),
        (event("", main), "event_name"),
        (event("push", ""), "ref"),
        (event("push", "refs/pull/7/head"), "ref"),
        (json!({ "event_name": null }), "event_name"),
        (json!({ "event_name": ["push"] }), "event_name"),
        (json!({ "ref": null }), "ref"),
        (json!({ "ref": 1 }), "ref"),
        (
            json!({ "head_ref": "evil", "base_ref": "main" }),
            "head_ref",
        ),
        (json!({ "head_ref": "", "base_ref": "main" }), "base_ref"),
        (json!({ "head_ref": "", "base_ref": "" }), "ok"),
        (json!({ "head_ref": ["evil"] }), "head_ref"),
        (json!({ "base_ref": true }), "base_ref"),
        (json!({ "ref": "main" }), "ref"),
        (json!({ "ref": "Refs/pull/1/merge" }), "ref"),
    ] {
        assert_eq!(
            told(&Rules::default(), &github(claims.clone())),
            expected,
            "{claims}"
        );
    }
}

/// Whatever calls itself GitHub, or looks like it, is judged as GitHub.
#[test]
fn enterprises_are_judged_as_github_is() {
    for issuer in [
        "https://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/acme",
        "https://github.acme.test/_services/token",
        "https://elsewhere.test",
    ] {
        let of = |mut claims: Value| {
            claims["iss"] = json!(issuer);
            told(&Rules::default(), &github(claims))
        };
        assert_eq!(of(json!({})), "ok", "{issuer}");
        assert_eq!(
            of(json!({ "event_name": "pull_request" })),
            "event_name",
            "{issuer}"
        );
        assert_eq!(of(json!({ "event_name": null })), "event_name", "{issuer}");
    }
    // By the issuer alone, however little the token says.
    let bare =
        json!({ "iss": "https://token.actions.githubusercontent.com", "exp": 1, "sub": "x" });
    let bare = Token::parse(&unsigned(bare.as_object().unwrap())).unwrap();
    assert_eq!(told(&Rules::default(), &bare), "event_name");
}

#[test]
fn events_and_refs_are_allowed_by_name() {
    let pull = github(event("pull_request", "refs/pull/7/merge"));
    let mut with_refs = event("pull_request", "refs/pull/7/merge");
    with_refs["head_ref"] = json!("feature");
    with_refs["base_ref"] = json!("main");
    let with_refs = github(with_refs);
    for allowed in [&pull, &with_refs] {
        assert_eq!(told(&rules(&["pull_request"], &[]), allowed), "ok");
        assert_eq!(
            told(&rules(&["pull_request_target"], &[]), allowed),
            "event_name"
        );
        assert_eq!(told(&rules(&[], &["refs/pull/**"]), allowed), "event_name");
        assert_eq!(
            told(&rules(&["pull_request"], &["refs/heads/main"]), allowed),
            "ref"
        );
    }
    // An event that is allowed anyway, named once more, allows no more than before.
    let push = github(event("push", "refs/pull/7/head"));
    assert_eq!(told(&rules(&["push"], &[]), &push), "ref");
    let mut run = event("workflow_run", "refs/heads/main");
    assert_eq!(
        told(&rules(&["workflow_run"], &[]), &github(run.clone())),
        "ok"
    );
    run["head_ref"] = json!("feature");
    assert_eq!(
        told(&rules(&["workflow_run"], &[]), &github(run)),
        "head_ref"
    );
    let branch = |name: &str| github(event("push", &format!("refs/{name}")));
    let releases = rules(
        &[],
        &["refs/heads/main", "refs/heads/release/*", "refs/tags/v*"],
    );
    for (name, expected) in [
        ("heads/main", "ok"),
        ("heads/release/1.2", "ok"),
        ("tags/v1", "ok"),
        ("heads/release/1/2", "ref"),
        ("heads/maintenance", "ref"),
        ("tags/main", "ref"),
        ("pull/7/merge", "ref"),
    ] {
        assert_eq!(told(&releases, &branch(name)), expected, "{name}");
    }
    assert_eq!(
        told(&rules(&[], &["refs/pull/*/merge"]), &branch("pull/7/merge")),
        "ok"
    );
    for bad in ["main", "refs/heads/", "refs/heads/a**", "refs/heads/[a]"] {
        assert!(Rules::new(&[], &[bad.to_owned()]).is_err(), "{bad}");
    }
}

#[test]
fn of_gitlab_merge_requests_do_not_sign() {
    for (claims, expected) in [
        (json!({}), "ok"),
        (json!({ "pipeline_source": "schedule" }), "ok"),
        (json!({ "pipeline_source": "web" }), "ok"),
        (json!({ "pipeline_source": "api" }), "ok"),
        (json!({ "pipeline_source": "trigger" }), "ok"),
        (json!({ "pipeline_source": "pipeline" }), "ok"),
        (
            json!({ "ref": "v1", "ref_type": "tag", "ref_path": "refs/tags/v1" }),
            "ok",
        ),
        (
            json!({ "pipeline_source": "merge_request_event" }),
            "pipeline_source",
        ),
        (
            json!({ "pipeline_source": "external_pull_request_event" }),
            "pipeline_source",
        ),
        (
            json!({ "pipeline_source": "parent_pipeline" }),
            "pipeline_source",
        ),
        (json!({ "pipeline_source": "external" }), "pipeline_source"),
        (json!({ "pipeline_source": "chat" }), "pipeline_source"),
        (json!({ "pipeline_source": null }), "pipeline_source"),
        (json!({ "ref": null }), "ref"),
        (json!({ "ref_path": null, "ref_type": null }), "ref_type"),
        (
            json!({ "ref_path": "refs/merge-requests/7/head" }),
            "ref_path",
        ),
        (
            json!({ "ref_path": null, "ref": "refs/merge-requests/7/head" }),
            "ref",
        ),
    ] {
        for issuer in ["https://gitlab.com", "https://git.acme.test"] {
            let mut claims = claims.clone();
            claims["iss"] = json!(issuer);
            let token = token(Issuer::Gitlab, claims.clone());
            assert_eq!(told(&Rules::default(), &token), expected, "{claims}");
        }
    }
    let with = |events: &[&str], refs: &[&str], claims: Value| {
        told(&rules(events, refs), &token(Issuer::Gitlab, claims))
    };
    let merge = json!({
        "pipeline_source": "merge_request_event",
        "ref_path": "refs/merge-requests/7/head",
    });
    assert_eq!(with(&["merge_request_event"], &[], merge), "ok");
    assert_eq!(with(&[], &["refs/heads/main"], json!({})), "ok");
    assert_eq!(
        with(&[], &["refs/heads/main"], json!({ "ref_path": null })),
        "ok"
    );
    assert_eq!(
        with(&[], &["refs/tags/*"], json!({ "ref_path": null })),
        "ref"
    );
}

/// What has no event may sign; a list of refs says that only builds of these do.
#[test]
fn others_have_no_event() {
    let circle = |claims: Value| {
        let mut all = json!({
            "iss": "https://oidc.circleci.com/org/1",
            "exp": 1,
            "sub": "org/1/project/2/user/3",
        });
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().cloned().unwrap());
        Token::parse(&unsigned(all.as_object().unwrap())).unwrap()
    };
    let main = rules(&[], &["refs/heads/main"]);
    let any = Rules::default();
    let ssh = "oidc.circleci.com/ssh-rerun";
    let vcs = "oidc.circleci.com/vcs-ref";
    for (token, of_any, of_main) in [
        (token(Issuer::Email, json!({})), "ok", "ref"),
        (token(Issuer::Kubernetes, json!({})), "ok", "ref"),
        (token(Issuer::Spiffe, json!({})), "ok", "ref"),
        (token(Issuer::Uri, json!({})), "ok", "ref"),
        (token(Issuer::Buildkite, json!({})), "ok", "ok"),
        (
            token(Issuer::Buildkite, json!({ "build_branch": "x" })),
            "ok",
            "build_branch",
        ),
        (
            token(Issuer::Buildkite, json!({ "build_tag": "main" })),
            "ok",
            "build_tag",
        ),
        // Whatever else it says, a fork's branch is a fork's.
        (
            token(
                Issuer::Buildkite,
                json!({ "build_tag": "main", "build_branch": "evil:main" }),
            ),
            "build_branch",
            "build_branch",
        ),
        (
            token(Issuer::Buildkite, json!({ "build_branch": ["evil:main"] })),
            "build_branch",
            "build_branch",
        ),
        (
            token(Issuer::Buildkite, json!({ "build_tag": ["v1"] })),
            "build_tag",
            "build_tag",
        ),
        (
            token(Issuer::Gitlab, json!({ "ref_path": ["refs/heads/main"] })),
            "ref_path",
            "ref_path",
        ),
        (
            token(
                Issuer::Gitlab,
                json!({ "ref_path": "refs/heads/main", "ref": "refs/merge-requests/1/head" }),
            ),
            "ref",
            "ref",
        ),
        (
            token(Issuer::Github, json!({ "ref": "refs//pull/1/merge" })),
            "ref",
            "ref",
        ),
        (circle(json!({ vcs: ["refs/heads/main"] })), vcs, vcs),
        (circle(json!({ vcs: "refs//pull/1/head" })), vcs, vcs),
        (circle(json!({})), "ok", "ref"),
        (
            circle(json!({ ssh: false, vcs: "refs/heads/main" })),
            "ok",
            "ok",
        ),
        (
            circle(json!({ ssh: true, vcs: "refs/heads/main" })),
            ssh,
            ssh,
        ),
        (circle(json!({ ssh: "true" })), ssh, ssh),
        (circle(json!({ vcs: "refs/pull/7/head" })), vcs, vcs),
    ] {
        assert_eq!(told(&any, &token), of_any, "{token:?}");
        assert_eq!(told(&main, &token), of_main, "{token:?}");
    }
}

/// Buildkite writes a fork's branch with its owner in front.
#[test]
fn a_fork_at_buildkite_does_not_sign() {
    let branch = |name: &str| token(Issuer::Buildkite, json!({ "build_branch": name }));
    assert_eq!(told(&rules(&[], &[]), &branch("main")), "ok");
    assert_eq!(told(&rules(&[], &[]), &branch("evil:main")), "build_branch");
}

/// What a refusal quotes stands in the token, whatever ref it means.
#[test]
fn a_refusal_quotes_the_token() {
    for (token, rules, expected) in [
        (
            token(Issuer::Buildkite, json!({ "build_branch": "evil:main" })),
            rules(&[], &[]),
            "`build_branch` is `evil:main`, which is a branch of a fork",
        ),
        (
            token(Issuer::Buildkite, json!({ "build_branch": "evil:main" })),
            rules(&[], &["refs/heads/**"]),
            "`build_branch` is `evil:main`, which is a branch of a fork",
        ),
        (
            token(Issuer::Buildkite, json!({ "build_branch": "dev" })),
            rules(&[], &["refs/heads/main"]),
            "`build_branch` is `dev`, which no `--allow-ref` names",
        ),
        (
            token(
                Issuer::Gitlab,
                json!({ "ref": "dev", "ref_type": "branch", "ref_path": null }),
            ),
            rules(&[], &["refs/heads/main"]),
            "`ref` is `dev`, which no `--allow-ref` names",
        ),
    ] {
        let error = rules.permit(&token).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}
