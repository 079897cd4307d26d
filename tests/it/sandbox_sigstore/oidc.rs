//! The OIDC issuer: its tokens verify by hand with what it publishes.

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Ask;
use super::JSON;
use super::sandbox;

fn part(token: &str, number: usize) -> Vec<u8> {
    let text = token.split('.').nth(number).unwrap();
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Verifies a token with the keys that an issuer publishes (RFC 7515, section 5.2; RFC 7518,
/// sections 3.3, 3.4 and 6), by hand; gives algorithm and claims.
fn verified(keys: &Value, token: &str) -> Result<(String, Map<String, Value>), String> {
    let head: Value = serde_json::from_slice(&part(token, 0)).unwrap();
    let own = keys["keys"].as_array().unwrap();
    let own = own
        .iter()
        .find(|key| key["kid"] == head["kid"])
        .ok_or("no such key")?;
    assert_eq!((&own["use"], &own["alg"]), (&json!("sig"), &head["alg"]));
    let field = |name: &str| URL_SAFE_NO_PAD.decode(own[name].as_str().unwrap()).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (signed, signature) = (signed.as_bytes(), part(token, 2));
    let holds = match own["kty"].as_str().unwrap() {
        "EC" => {
            assert_eq!(own["crv"], "P-256");
            let point = [vec![4], field("x"), field("y")].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            key.verify(signed, &signature)
        }
        "RSA" => {
            let (n, e) = (field("n"), field("e"));
            let key = RsaPublicKeyComponents { n, e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, &signature)
        }
        other => panic!("{other}"),
    };
    holds.map_err(|_| "signature")?;
    let claims = serde_json::from_slice(&part(token, 1)).unwrap();
    Ok((head["alg"].as_str().unwrap().to_owned(), claims))
}

async fn keys(sandbox: &Sandbox, provider: Provider) -> Value {
    let path = format!("/oidc/{}/.well-known/openid-configuration", provider.name());
    let got = Ask::get(&path).to(sandbox).await;
    assert_eq!((got.status, got.media_type()), (200, JSON));
    let about = got.json();
    let issuer = format!("{}/oidc/{}", sandbox.url(), provider.name());
    assert_eq!(about["issuer"], issuer);
    for (name, path) in [
        ("jwks_uri", "keys"),
        ("token_endpoint", "token"),
        ("authorization_endpoint", "auth"),
    ] {
        assert_eq!(about[name], format!("{issuer}/{path}"));
    }
    assert_eq!(
        about["id_token_signing_alg_values_supported"],
        json!(["RS256", "ES256"])
    );
    for name in ["response_types_supported", "subject_types_supported"] {
        assert!(about[name].is_array(), "{name}");
    }
    let path = about["jwks_uri"]
        .as_str()
        .unwrap()
        .strip_prefix(&sandbox.url())
        .unwrap()
        .to_owned();
    Ask::get(&path).to(sandbox).await.json()
}

#[tokio::test]
async fn tokens_of_every_issuer_verify_with_its_published_keys() {
    let sandbox = sandbox().await;
    let other = super::sandbox().await;
    let strange = keys(&other, Provider::Email).await;
    for provider in Provider::ALL.iter().copied() {
        let keys = keys(&sandbox, provider).await;
        let path = format!("/oidc/{}/token", provider.name());
        for (query, algorithm) in [
            ("", "RS256"),
            ("?alg=ES256", "ES256"),
            ("?alg=RS256", "RS256"),
        ] {
            let got = Ask::post(&format!("{path}{query}"), JSON, "")
                .to(&sandbox)
                .await;
            assert_eq!(got.status, 200);
            let (by, claims) = verified(&keys, got.text()).unwrap();
            assert_eq!(by, algorithm);
            for (name, value) in provider.claims() {
                assert_eq!(claims[&name], value, "{name}");
            }
            assert_eq!(
                (&claims["iss"], &claims["aud"]),
                (&json!(provider.issuer()), &json!("sigstore"))
            );
            let time = |name: &str| claims[name].as_i64().unwrap();
            let now = jiff::Timestamp::now().as_second();
            assert!((now - 60..=now).contains(&time("iat")));
            assert!(time("nbf") <= time("iat") && time("exp") - time("iat") == 3600);
            // Whoever has the keys of another sandbox, or other claims, does not verify it.
            assert_eq!(verified(&strange, got.text()).unwrap_err(), "no such key");
            let mut parts: Vec<_> = got.text().split('.').map(ToOwned::to_owned).collect();
            parts[1] = URL_SAFE_NO_PAD.encode("{}");
            assert_eq!(verified(&keys, &parts.join(".")).unwrap_err(), "signature");
        }
        let got = Ask::post(&format!("{path}?alg=none"), JSON, "")
            .to(&sandbox)
            .await;
        assert_eq!(got.status, 400);
        let own = json!({ "sub": "somebody", "iss": "https://x.test", "exp": 7, "aud": null });
        let got = Ask::post(&path, JSON, own.to_string()).to(&sandbox).await;
        let (_, claims) = verified(&keys, got.text()).unwrap();
        assert_eq!(
            (&claims["sub"], &claims["iss"], &claims["exp"]),
            (&json!("somebody"), &json!("https://x.test"), &json!(7))
        );
        for bad in ["[]", "x", "{\"a\":"] {
            assert_eq!(
                Ask::post(&path, JSON, bad).to(&sandbox).await.status,
                400,
                "{bad}"
            );
        }
    }
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn both_algorithms_get_a_certificate() {
    let sandbox = sandbox().await;
    for algorithm in ["ES256", "RS256"] {
        let path = format!("/oidc/github/token?alg={algorithm}");
        let token = Ask::post(&path, JSON, "").to(&sandbox).await;
        let own = super::key(scgate::sandbox::mint::KeyKind::P256);
        let body = super::certificate_request(&own, "repo:acme/shop:ref:refs/heads/main");
        let ask = |token: &str| super::signing(&body, token);
        assert_eq!(
            ask(token.text()).to(&sandbox).await.status,
            200,
            "{algorithm}"
        );
        // A signature by the other algorithm's name is none.
        let parts: Vec<_> = token.text().split('.').collect();
        let head: Value = serde_json::from_slice(&part(token.text(), 0)).unwrap();
        let other = if algorithm == "ES256" {
            "RS256"
        } else {
            "HS256"
        };
        let mut head = head;
        head["alg"] = json!(other);
        let head = URL_SAFE_NO_PAD.encode(head.to_string());
        let forged = format!("{head}.{}.{}", parts[1], parts[2]);
        assert_eq!(ask(&forged).to(&sandbox).await.status, 400, "{algorithm}");
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_runner_gets_its_token_for_its_bearer() {
    let sandbox = sandbox().await;
    let keys = keys(&sandbox, Provider::Github).await;
    let url = sandbox.actions_url();
    let path = url.strip_prefix(&sandbox.url()).unwrap().to_owned();
    for ask in [
        Ask::get(&path),
        Ask::get(&path).with("authorization", "Basic eDp4"),
    ] {
        let got = ask.to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (401, JSON));
    }
    let ask = Ask::get(&format!("{path}&audience=sigstore")).with("authorization", "bearer any");
    let of = async |ask: &Ask| {
        let got = ask.to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, JSON));
        let body = got.json();
        assert_eq!(
            body["count"].as_u64().unwrap(),
            body["value"].as_str().unwrap().len() as u64
        );
        verified(&keys, body["value"].as_str().unwrap()).unwrap().1
    };
    let claims = of(&ask).await;
    assert_eq!(
        (&claims["aud"], &claims["repository"]),
        (&json!("sigstore"), &json!("acme/shop"))
    );
    let other = of(&Ask::get(&path).with("authorization", "Bearer any")).await;
    assert_eq!(other["aud"], "https://github.com/acme");
    // cosign takes a token by another algorithm for the name of a file.
    let own = sandbox.token(Provider::Github, super::github()).unwrap();
    assert_eq!(verified(&keys, &own).unwrap().0, "RS256");
    let own = json!({ "repository": "other/repo", "sub": "repo:other/repo:ref:refs/heads/main" });
    sandbox.run_as(own.as_object().unwrap().clone());
    let claims = of(&ask).await;
    assert_eq!(
        (&claims["repository"], &claims["event_name"]),
        (&json!("other/repo"), &json!("push"))
    );
    sandbox.run_as(Map::new());
    assert_eq!(of(&ask).await["repository"], "acme/shop");
    for (method, path, status) in [
        ("POST", path.as_str(), 405),
        ("GET", "/oidc/github/token", 405),
        ("POST", "/oidc/github/keys", 405),
        ("GET", "/oidc/nobody/keys", 404),
        ("GET", "/oidc/github/none", 404),
        ("GET", "/oidc/github", 404),
        ("GET", "/oidc/", 404),
    ] {
        assert_eq!(
            Ask::new(method, path).to(&sandbox).await.status,
            status,
            "{method} {path}"
        );
    }
    sandbox.stop().await.unwrap();
}
