//! Whom a certificate names: the rule of each issuer, and the claims that it keeps.

use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use serde_json::Value;
use serde_json::json;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::super::Ask;
use super::super::certificate_request;
use super::super::changed;
use super::super::github;
use super::super::key;
use super::super::sandbox;
use super::super::signing;
use super::POSSESSION;
use super::TOKEN;
use super::accepted;
use super::refused;
use super::sub;

/// The name in a leaf, as URL, address or `OID=value`.
fn name_of(leaf: &X509Certificate<'_>) -> String {
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    match &names.value.general_names[..] {
        [GeneralName::URI(uri)] => format!("uri {uri}"),
        [GeneralName::RFC822Name(address)] => format!("email {address}"),
        [GeneralName::OtherName(oid, value)] => {
            format!(
                "{} {}",
                oid.to_id_string(),
                String::from_utf8_lossy(&value[4..])
            )
        }
        other => panic!("{other:?}"),
    }
}

/// The text of a Fulcio extension: raw up to `.6`, after tag and length later.
fn claim(leaf: &X509Certificate<'_>, number: u32) -> Option<String> {
    let oid = format!("1.3.6.1.4.1.57264.1.{number}");
    let found = leaf
        .extensions()
        .iter()
        .find(|one| one.oid.to_id_string() == oid)?;
    let skip = match (number, found.value) {
        (..=6, _) => 0,
        (_, [0x0c, 0x81, ..]) => 3,
        (_, [0x0c, ..]) => 2,
        other => panic!("{other:?}"),
    };
    Some(String::from_utf8(found.value[skip..].to_vec()).unwrap())
}

/// A certificate for these claims, whose challenge is `challenge`.
fn identity_request(sandbox: &Sandbox, provider: Provider, claims: &Value, challenge: &str) -> Ask {
    let claims = claims.as_object().unwrap().clone();
    let token = sandbox.token(provider, claims).unwrap();
    signing(&certificate_request(&key(KeyKind::P256), challenge), &token)
}

#[tokio::test]
async fn each_issuer_has_its_own_name_and_claims() {
    let sandbox = sandbox().await;
    for (provider, name, claims) in [
        (
            Provider::Github,
            "uri https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main",
            &[
                (2, "push"),
                (
                    9,
                    "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main",
                ),
                (
                    21,
                    "https://github.com/acme/shop/actions/runs/9000000001/attempts/1",
                ),
            ][..],
        ),
        (
            Provider::Gitlab,
            "uri https://gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
            &[
                (
                    9,
                    "https://gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
                ),
                (14, "refs/heads/main"),
                (
                    18,
                    "https://gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
                ),
                (21, "https://gitlab.com/acme/shop/-/jobs/901"),
            ][..],
        ),
        (
            Provider::Buildkite,
            "uri https://buildkite.com/acme/shop",
            &[
                (20, "webhook"),
                (
                    21,
                    "https://buildkite.com/acme/shop/builds/5#0184990a-477b-4fa8-9968-496074483cee",
                ),
            ][..],
        ),
        (
            Provider::Email,
            "email dev@sandbox.test",
            &[(24, "110000000000000000001")][..],
        ),
        (
            Provider::Kubernetes,
            "uri https://kubernetes.io/namespaces/ci/serviceaccounts/builder",
            &[][..],
        ),
        (
            Provider::Spiffe,
            "uri spiffe://sandbox.test/ns/ci/sa/builder",
            &[][..],
        ),
        (
            Provider::Uri,
            "uri https://uri.sandbox.test/users/1",
            &[][..],
        ),
        (
            Provider::Username,
            "1.3.6.1.4.1.57264.1.7 dev!username.sandbox.test",
            &[(24, "dev")][..],
        ),
    ] {
        let own = Value::Object(provider.claims());
        let challenge = match provider {
            Provider::Email => "email",
            _ => "sub",
        };
        let ask = identity_request(&sandbox, provider, &own, own[challenge].as_str().unwrap());
        let chain = accepted(&sandbox, name, &ask).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(name_of(&leaf), name);
        for number in [1, 8] {
            assert_eq!(claim(&leaf, number).unwrap(), provider.issuer(), "{name}");
        }
        assert_eq!(claim(&leaf, 24).as_deref(), own["sub"].as_str(), "{name}");
        for (number, text) in claims {
            assert_eq!(
                claim(&leaf, *number).as_deref(),
                Some(*text),
                "{name} .{number}"
            );
        }
        let others = (2..=6)
            .filter(|number| claim(&leaf, *number).is_some())
            .count();
        assert_eq!(
            others,
            if provider == Provider::Github { 5 } else { 0 },
            "{name}"
        );
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn claims_are_printed_as_go_prints_them() {
    let sandbox = sandbox().await;
    for (name, value, number, expected) in [
        ("environment", json!("production"), 23, Some("production")),
        ("environment", json!(""), 23, None),
        ("sha", json!(""), 3, None),
        ("repository_id", json!(123), 15, Some("123")),
        (
            "repository_id",
            json!(9_000_000_001_u64),
            15,
            Some("9.000000001e+09"),
        ),
        ("workflow", json!(true), 4, Some("true")),
        ("workflow", json!(["a"]), 4, Some("[a]")),
        ("workflow", json!("señor ✓"), 4, Some("señor ✓")),
        (
            "repository_visibility",
            json!("x".repeat(200)),
            22,
            Some(&*"x".repeat(200)),
        ),
    ] {
        let claims = Value::Object(changed(github(), name, value));
        let ask = identity_request(&sandbox, Provider::Github, &claims, &sub());
        let chain = accepted(&sandbox, name, &ask).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(claim(&leaf, number).as_deref(), expected, "{name}");
    }
    // Null stands for a claim that is there.
    let mut claims = github();
    claims.insert("workflow".to_owned(), Value::Null);
    let ask = identity_request(&sandbox, Provider::Github, &Value::Object(claims), &sub());
    let chain = accepted(&sandbox, "null", &ask).await;
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    assert_eq!(claim(&leaf, 4).as_deref(), Some("<nil>"));
    // Without a subject the proof is over nothing, and the certificate names none.
    for value in [Value::Null, json!("")] {
        let claims = Value::Object(changed(github(), "sub", value));
        let ask = identity_request(&sandbox, Provider::Github, &claims, "");
        let chain = accepted(&sandbox, "no subject", &ask).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(claim(&leaf, 24), None);
        let ask = identity_request(&sandbox, Provider::Github, &claims, &sub());
        refused(&sandbox, "no subject", &ask, 400, POSSESSION).await;
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_claim_that_is_missing_or_wrong_is_named() {
    let sandbox = sandbox().await;
    let plain = |name: &str, extension: &str| {
        format!(
            "value {name} not present in either claims or defaults. {{\n\t\"ExtensionName\": \
             \"{extension}\",\n\t\"Issuer\": \"https://token.actions.githubusercontent.com\"\n}}"
        )
    };
    let template = |place: &str, name: &str| {
        format!(
            "template: :{place}: executing \"\" at <.{name}>: map has no entry for key \"{name}\""
        )
    };
    let wrong_url = json!("ac me/%zz");
    for (name, value, expected) in [
        (
            "event_name",
            Value::Null,
            plain("event_name", "GithubWorkflowTrigger"),
        ),
        ("sha", Value::Null, plain("sha", "GithubWorkflowSHA")),
        (
            "repository",
            Value::Null,
            plain("repository", "GithubWorkflowRepository"),
        ),
        ("ref", Value::Null, plain("ref", "GithubWorkflowRef")),
        (
            "workflow_sha",
            Value::Null,
            plain("workflow_sha", "BuildConfigDigest"),
        ),
        (
            "runner_environment",
            Value::Null,
            plain("runner_environment", "RunnerEnvironment"),
        ),
        (
            "repository_visibility",
            Value::Null,
            plain(
                "repository_visibility",
                "SourceRepositoryVisibilityAtSigning",
            ),
        ),
        (
            "job_workflow_ref",
            Value::Null,
            template("1:14", "job_workflow_ref"),
        ),
        ("run_id", Value::Null, template("1:45", "run_id")),
        (
            "job_workflow_ref",
            wrong_url,
            "parse \"https://github.com/ac me/%zz\": invalid URL escape \"%zz\"".to_owned(),
        ),
    ] {
        let claims = Value::Object(changed(github(), name, value));
        let ask = identity_request(&sandbox, Provider::Github, &claims, &sub());
        refused(&sandbox, name, &ask, 400, &expected).await;
    }
    let ask = identity_request(&sandbox, Provider::Github, &Value::Object(github()), &sub());
    accepted(&sandbox, "all of them", &ask).await;
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn people_and_workloads_are_named_only_when_somebody_vouches_for_them() {
    let sandbox = sandbox().await;
    let dex = "https://oauth2.sigstore.dev/auth";
    let email =
        |name: &str, value: Value| Value::Object(changed(Provider::Email.claims(), name, value));
    let dexter = |claims: Value| {
        let mut own = Provider::Email.claims();
        own.extend(claims.as_object().unwrap().clone());
        own.insert("iss".to_owned(), json!(dex));
        Value::Object(own)
    };
    for (name, provider, claims) in [
        (
            "unverified",
            Provider::Email,
            email("email_verified", json!(false)),
        ),
        (
            "verified in words, not",
            Provider::Email,
            email("email_verified", json!("false")),
        ),
        (
            "nobody says verified",
            Provider::Email,
            email("email_verified", Value::Null),
        ),
        ("no address", Provider::Email, email("email", Value::Null)),
        ("empty address", Provider::Email, email("email", json!(""))),
        (
            "no address at all",
            Provider::Email,
            email("email", json!("nobody")),
        ),
        (
            "name and address",
            Provider::Email,
            email("email", json!("Dev <dev@sandbox.test>")),
        ),
        (
            "dex without a connector",
            Provider::Email,
            dexter(json!({})),
        ),
        (
            "another trust domain",
            Provider::Spiffe,
            json!({ "sub": "spiffe://other.test/x" }),
        ),
        (
            "no SPIFFE id",
            Provider::Spiffe,
            json!({ "sub": "https://sandbox.test/x" }),
        ),
        (
            "another domain",
            Provider::Uri,
            json!({ "sub": "https://other.test/x" }),
        ),
        (
            "a name with a mark",
            Provider::Username,
            json!({ "sub": "a!b" }),
        ),
    ] {
        let challenge = claims["email"]
            .as_str()
            .or(claims["sub"].as_str())
            .unwrap_or_default();
        let challenge = challenge.to_owned();
        let ask = identity_request(&sandbox, provider, &claims, &challenge);
        refused(&sandbox, name, &ask, 400, TOKEN).await;
    }
    let google = "https://accounts.google.com";
    for (name, provider, claims, issuer) in [
        (
            "verified in words",
            Provider::Email,
            email("email_verified", json!("true")),
            google,
        ),
        (
            "verified",
            Provider::Email,
            email("email_verified", json!(true)),
            google,
        ),
        (
            "no subject",
            Provider::Email,
            email("sub", Value::Null),
            google,
        ),
        (
            "dex",
            Provider::Email,
            dexter(
                json!({ "federated_claims": { "connector_id": "https://github.com/login/oauth" } }),
            ),
            "https://github.com/login/oauth",
        ),
        (
            "dex with a number",
            Provider::Email,
            dexter(json!({ "federated_claims": { "connector_id": 1 } })),
            "1",
        ),
        (
            "no cluster",
            Provider::Kubernetes,
            json!({ "sub": "x" }),
            "https://kubernetes.default.svc",
        ),
        (
            "an address as a name",
            Provider::Username,
            json!({ "sub": "bob@x" }),
            "https://username.sandbox.test",
        ),
    ] {
        let challenge = claims["email"]
            .as_str()
            .or(claims["sub"].as_str())
            .unwrap()
            .to_owned();
        let ask = identity_request(&sandbox, provider, &claims, &challenge);
        let chain = accepted(&sandbox, name, &ask).await;
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(claim(&leaf, 1).as_deref(), Some(issuer), "{name}");
    }
    // Who is named by an address signs the address.
    let claims = Value::Object(Provider::Email.claims());
    let sub = claims["sub"].as_str().unwrap().to_owned();
    let ask = identity_request(&sandbox, Provider::Email, &claims, &sub);
    refused(&sandbox, "the subject signed", &ask, 400, POSSESSION).await;
    sandbox.stop().await.unwrap();
}
