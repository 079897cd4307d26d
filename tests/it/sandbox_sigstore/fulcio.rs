//! Fulcio: who gets a certificate, what stands in it, and how everybody else is refused.

mod identity;
mod keys;

use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use serde_json::Value;
use serde_json::json;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::Ask;
use super::JSON;
use super::SIGNING;
use super::b64;
use super::certificate_request;
use super::certified;
use super::chain;
use super::changed;
use super::csr;
use super::github;
use super::key;
use super::pem;
use super::sandbox;
use super::signing;
use super::unpem;

const TOKEN: &str = "There was an error processing the identity token";
const POSSESSION: &str = "The signature supplied in the request could not be verified";
const KEY: &str = "The public key supplied in the request could not be parsed";

fn sub() -> String {
    github()["sub"].as_str().unwrap().to_owned()
}

fn good_token(sandbox: &Sandbox) -> String {
    sandbox.token(Provider::Github, github()).unwrap()
}

/// Asserts the gateway's error, whose code follows from its status.
async fn refused(sandbox: &Sandbox, name: &str, ask: &Ask, status: u16, message: &str) {
    let got = ask.to(sandbox).await;
    let code = match status {
        400 => 3,
        404 => 5,
        501 => 12,
        _ => panic!("{status}"),
    };
    assert_eq!(got.says(), (status, message.to_owned()), "{name}");
    let body = json!({ "code": code, "message": message, "details": [] });
    assert_eq!(got.json(), body, "{name}");
    assert_eq!(got.media_type(), JSON, "{name}");
    assert_eq!(got.header("www-authenticate"), None, "{name}");
    assert_eq!(got.header("allow"), None, "{name}");
}

async fn accepted(sandbox: &Sandbox, name: &str, ask: &Ask) -> Vec<Vec<u8>> {
    let got = ask.to(sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (200, JSON),
        "{name}: {got:?}"
    );
    chain(&got)
}

#[tokio::test]
async fn a_certificate_is_made_as_fulcio_makes_it() {
    let sandbox = sandbox().await;
    let key = key(KeyKind::P256);
    let got = signing(&certificate_request(&key, &sub()), &good_token(&sandbox))
        .to(&sandbox)
        .await;
    let body = got.json();
    let members = body["signedCertificateEmbeddedSct"]["chain"]["certificates"].clone();
    let shape = json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": members } } });
    assert_eq!((got.status, &body), (200, &shape));
    for text in members.as_array().unwrap() {
        let text = text.as_str().unwrap();
        assert!(text.ends_with("\n-----END CERTIFICATE-----"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    }
    let chain = chain(&got);
    assert_eq!(chain.len(), 3);
    let (rest, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    assert!(rest.is_empty());
    assert_eq!(leaf.version().0, 2);
    assert_eq!(leaf.raw_serial().len(), 20);
    assert!(leaf.raw_serial()[0] < 0x80, "{:?}", leaf.raw_serial());
    assert_eq!(leaf.subject().as_raw(), [0x30, 0]);
    let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
    assert_eq!(to.timestamp() - from.timestamp(), 600);
    let now = jiff::Timestamp::now().as_second();
    assert!((0..60).contains(&(now - from.timestamp())), "{from}");
    let algorithm = leaf.signature_algorithm.algorithm.to_id_string();
    assert_eq!(algorithm, "1.2.840.10045.4.3.3");
    assert_eq!(leaf.public_key().raw, key.spki());
    let names: Vec<_> = leaf
        .extensions()
        .iter()
        .map(|one| (one.oid.to_id_string(), one.critical))
        .collect();
    let fulcio = |number: &u32| (format!("1.3.6.1.4.1.57264.1.{number}"), false);
    let mut expected = vec![
        ("2.5.29.15".to_owned(), true),
        ("2.5.29.37".to_owned(), false),
        ("2.5.29.14".to_owned(), false),
        ("2.5.29.35".to_owned(), false),
        ("2.5.29.17".to_owned(), true),
    ];
    let numbers = [
        1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24,
    ];
    expected.extend(numbers.iter().map(fulcio));
    expected.push(("1.3.6.1.4.1.11129.2.4.2".to_owned(), false));
    assert_eq!(names, expected);
    let list = leaf.extensions().last().unwrap().value;
    // One SCT of version 1 without extensions, ECDSA with SHA-256.
    assert_eq!(list[4..7], [0, list[3] - 2, 0], "{list:?}");
    assert_eq!(list[47..51], [0, 0, 4, 3], "{list:?}");
    let promised = u64::from_be_bytes(list[39..47].try_into().unwrap());
    let begin = u64::try_from(from.timestamp()).unwrap() * 1000;
    assert!((begin..begin + 60_000).contains(&promised), "{promised}");
    sandbox.stop().await.unwrap();
}

fn url64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn every_token_that_is_not_good_gets_the_same_answer() {
    let sandbox = sandbox().await;
    let other = super::sandbox().await;
    let key = key(KeyKind::P256);
    let body = certificate_request(&key, &sub());
    let now = jiff::Timestamp::now().as_second();
    let token = |name: &str, value: Value| {
        let claims = changed(github(), name, value);
        sandbox.token(Provider::Github, claims).unwrap()
    };
    let good = good_token(&sandbox);
    let parts: Vec<_> = good.split('.').collect();
    let none = url64(br#"{"alg":"none","typ":"JWT"}"#);
    let swapped = parts[1].replacen(char::is_lowercase, "Q", 1);
    let plain =
        |value: &str| Ask::post(SIGNING, JSON, body.to_string()).with("authorization", value);
    let bearer = |token: &str| plain(&format!("Bearer {token}"));
    let foreign = good_token(&other);
    let mut forged = good.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    for (name, ask) in [
        ("nothing", Ask::post(SIGNING, JSON, body.to_string())),
        ("another scheme", plain(&format!("Basic {good}"))),
        ("a scheme in lower case", plain(&format!("bearer {good}"))),
        ("an empty one", plain("Bearer ")),
        ("garbage", bearer("garbage")),
        ("garbage of three parts", bearer("a.b.c")),
        ("expired", bearer(&token("exp", json!(now - 60)))),
        (
            "expired a second ago",
            bearer(&token("exp", json!(now - 1))),
        ),
        ("too far ahead", bearer(&token("nbf", json!(now + 320)))),
        (
            "an issuer that nobody knows",
            bearer(&token("iss", json!("https://evil.test"))),
        ),
        (
            "an issuer that looks like one",
            bearer(&token(
                "iss",
                json!("https://token.actions.githubusercontent.com.evil.test"),
            )),
        ),
        ("no issuer", bearer(&token("iss", json!("")))),
        ("another audience", bearer(&token("aud", json!("other")))),
        ("no audience", bearer(&token("aud", json!([])))),
        ("of another sandbox", bearer(&foreign)),
        ("another signature", bearer(&forged)),
        (
            "other claims",
            bearer(&format!("{}.{swapped}.{}", parts[0], parts[2])),
        ),
        ("no algorithm", bearer(&format!("{none}.{}.", parts[1]))),
        (
            "no algorithm, a signature",
            bearer(&format!("{none}.{}.{}", parts[1], parts[2])),
        ),
    ] {
        refused(&sandbox, name, &ask, 400, TOKEN).await;
    }
    for (name, ask) in [
        ("good", bearer(&good)),
        ("without a scheme", plain(&good)),
        ("a moment ahead", bearer(&token("nbf", json!(now + 200)))),
        (
            "one of several audiences",
            bearer(&token("aud", json!(["other", "sigstore"]))),
        ),
        ("issued later", bearer(&token("iat", json!(now + 3000)))),
        (
            "an issuer of an enterprise",
            bearer(&token(
                "iss",
                json!("https://token.actions.githubusercontent.com/acme"),
            )),
        ),
    ] {
        accepted(&sandbox, name, &ask).await;
    }
    // What stands in the body wins.
    let within = |token: &str| {
        let mut body = body.clone();
        body["credentials"] = json!({ "oidcIdentityToken": token });
        body
    };
    accepted(&sandbox, "inside", &signing(&within(&good), "garbage")).await;
    refused(
        &sandbox,
        "inside",
        &signing(&within("garbage"), &good),
        400,
        TOKEN,
    )
    .await;
    // With nothing right, the token is what is missed.
    let empty = Ask::post(SIGNING, JSON, "{}");
    refused(&sandbox, "empty", &empty, 400, TOKEN).await;
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn bodies_are_read_as_protojson_reads_them() {
    let sandbox = sandbox().await;
    let token = good_token(&sandbox);
    let own = key(KeyKind::P256);
    let good = certificate_request(&own, &sub());
    let text = |body: &str| Ask::post(SIGNING, JSON, body.to_owned()).with("authorization", &token);
    let content = json!(own.public_pem()).to_string();
    let start = format!("{{\"publicKeyRequest\":{{\"publicKey\":{{\"content\":{content}}},");
    let place = format!("{start}\"proofOfPossession\":").len() + 1;
    let both = format!("{start}\"proofOfPossession\":\"\"}},\"certificateSigningRequest\":\"\"}}");
    let second = both.find("\"certificateSigningRequest").unwrap() + 1;
    for (name, body, expected) in [
        ("cut", r#"{"x"#.to_owned(), "unexpected EOF".to_owned()),
        (
            "no JSON",
            "hello".to_owned(),
            "invalid character 'h' looking for beginning of value".to_owned(),
        ),
        (
            "a list",
            "[]".to_owned(),
            "proto: syntax error (line 1:1): unexpected token [".to_owned(),
        ),
        (
            "null",
            "null".to_owned(),
            "proto: syntax error (line 1:1): unexpected token null".to_owned(),
        ),
        (
            "a number for an object",
            r#"{"publicKeyRequest":1}"#.to_owned(),
            "proto: syntax error (line 1:21): unexpected token 1".to_owned(),
        ),
        (
            "a member twice",
            r#"{"certificateSigningRequest":"","certificateSigningRequest":""}"#.to_owned(),
            "proto: (line 1:33): duplicate field \"certificateSigningRequest\"".to_owned(),
        ),
        (
            "no base64",
            format!("{start}\"proofOfPossession\":\"!!\"}}}}"),
            format!(
                "proto: (line 1:{place}): invalid value for bytes field proofOfPossession: \"!!\""
            ),
        ),
        (
            "both kinds",
            both,
            format!(
                "proto: (line 1:{second}): error parsing \"certificateSigningRequest\", oneof dev.sigstore.fulcio.v2.CreateSigningCertificateRequest.key is already set"
            ),
        ),
    ] {
        refused(&sandbox, name, &text(&body), 400, &expected).await;
    }
    let mut strange = good.clone();
    strange["extra"] = json!({ "a": [1] });
    strange["publicKeyRequest"]["extra"] = json!(1);
    let snake = good
        .to_string()
        .replace("publicKeyRequest", "public_key_request")
        .replace("publicKey\"", "public_key\"")
        .replace("proofOfPossession", "proof_of_possession");
    for (name, ask) in [
        ("unknown members", text(&strange.to_string())),
        ("names of the definition", text(&snake)),
        ("text after it", text(&format!("{good} trailing"))),
        (
            "null",
            text(
                &good
                    .to_string()
                    .replacen('{', "{\"certificateSigningRequest\":null,", 1),
            ),
        ),
        (
            "another type",
            Ask::post(SIGNING, "text/plain", good.to_string()).with("authorization", &token),
        ),
        (
            "another answer wanted",
            text(&good.to_string()).with("accept", "application/x-pem-file"),
        ),
    ] {
        accepted(&sandbox, name, &ask).await;
    }
    let mut full = good.to_string().into_bytes();
    full.resize(4_194_304, b' ');
    let mut ask = text("");
    ask.body = full;
    accepted(&sandbox, "4 MiB", &ask).await;
    ask.body.push(b' ');
    refused(
        &sandbox,
        "a byte more",
        &ask,
        400,
        "http: request body too large",
    )
    .await;
    assert_eq!(ask.to(&sandbox).await.header("connection"), Some("close"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_404_and_501() {
    let sandbox = sandbox().await;
    let token = good_token(&sandbox);
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let ask = Ask::new(method, SIGNING).with("authorization", &token);
        refused(&sandbox, method, &ask, 501, "Method Not Allowed").await;
    }
    for path in [SIGNING, "/api/v2/trustBundle"] {
        assert_eq!(
            Ask::new("HEAD", path).to(&sandbox).await.status,
            501,
            "{path}"
        );
    }
    for path in [
        "/api/v2/trustBundle",
        "/api/v2/configuration",
        "/api/v1/rootCert",
    ] {
        refused(
            &sandbox,
            path,
            &Ask::post(path, JSON, "{}"),
            501,
            "Method Not Allowed",
        )
        .await;
        assert_eq!(Ask::get(path).to(&sandbox).await.status, 200, "{path}");
    }
    let v1 = "/api/v1/signingCert";
    refused(&sandbox, v1, &Ask::get(v1), 501, "Method Not Allowed").await;
    for path in [
        "/api/v2/none",
        "/api/v2/signingCert/",
        "/api/v2/",
        "/api/v3/signingCert",
        "//api/v2/signingCert",
    ] {
        let ask = Ask::post(path, JSON, "{}").with("authorization", &token);
        if path.starts_with("/api/v2/") {
            refused(&sandbox, path, &ask, 404, "Not Found").await;
        } else {
            // One port serves all; these paths could be anybody's.
            assert_eq!(ask.to(&sandbox).await.status, 404, "{path}");
        }
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_fulcio_tells_of_itself() {
    let sandbox = sandbox().await;
    let (_, chain) = certified(&sandbox).await;
    let got = Ask::get("/api/v2/trustBundle").to(&sandbox).await;
    let bundle: Vec<_> = got.json()["chains"][0]["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    assert!(
        bundle
            .iter()
            .all(|text| text.ends_with("-----END CERTIFICATE-----\n"))
    );
    let ders: Vec<_> = bundle.iter().map(|text| unpem(text)).collect();
    assert_eq!((got.status, &ders[..]), (200, &chain[1..]));

    let got = Ask::get("/api/v1/rootCert").to(&sandbox).await;
    assert_eq!(got.media_type(), "application/pem-certificate-chain");
    assert_eq!(
        got.text(),
        format!("{}\n{}", bundle[0], bundle[1].trim_end())
    );

    let got = Ask::get("/api/v2/configuration").to(&sandbox).await;
    let issuers = got.json()["issuers"].as_array().unwrap().clone();
    for issuer in &issuers {
        let mut names: Vec<_> = issuer
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "audience",
                "challengeClaim",
                "issuerType",
                "issuerUrl",
                "skipEmailVerification",
                "spiffeTrustDomain",
                "subjectDomain"
            ]
        );
        assert_eq!(issuer["audience"], "sigstore");
    }
    let of = |url: &str| {
        let found = issuers.iter().find(|one| one["issuerUrl"] == url).unwrap();
        (
            found["issuerType"].as_str().unwrap(),
            found["challengeClaim"].as_str().unwrap(),
        )
    };
    assert_eq!(
        of("https://token.actions.githubusercontent.com"),
        ("ci-provider", "sub")
    );
    assert_eq!(of("https://accounts.google.com"), ("email", "email"));
    assert_eq!(of("https://oauth2.sigstore.dev/auth"), ("email", "email"));
    let got = Ask::get("/healthz").to(&sandbox).await;
    assert_eq!(
        (got.status, got.text()),
        (200, "{\"status\":\"SERVING\"}\n")
    );
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_old_api_answers_201_and_pem() {
    let sandbox = sandbox().await;
    let own = key(KeyKind::P256);
    let proof = b64(own.sign(sub().as_bytes()).unwrap());
    let path = "/api/v1/signingCert";
    let ask = |body: &Value| {
        let bearer = format!("Bearer {}", good_token(&sandbox));
        Ask::post(path, JSON, body.to_string()).with("authorization", &bearer)
    };
    let signed = csr(&own, &KeyKind::P256.signature_algorithm(), |info| {
        own.sign(info).unwrap()
    });
    let body = |content: &str, proof: &str| {
        json!({
            "publicKey": { "content": content, "algorithm": "ecdsa" },
            "signedEmailAddress": proof,
            "certificateSigningRequest": null,
        })
    };
    for (name, body) in [
        ("PEM", body(&b64(own.public_pem()), &proof)),
        ("DER", body(&b64(own.spki()), &proof)),
        (
            "request",
            json!({ "certificateSigningRequest": b64(pem("CERTIFICATE REQUEST", &signed)) }),
        ),
    ] {
        let got = ask(&body).to(&sandbox).await;
        assert_eq!(got.status, 201, "{name}: {got:?}");
        assert_eq!(
            got.media_type(),
            "application/pem-certificate-chain",
            "{name}"
        );
        assert_eq!(got.header("sct"), None, "{name}");
        let text = got.text();
        assert_eq!(
            text.matches("-----BEGIN CERTIFICATE-----").count(),
            3,
            "{name}"
        );
        assert!(
            !text.contains("\n\n") && text.ends_with("-----"),
            "{name}: {text}"
        );
    }
    let good = body(&b64(own.public_pem()), &proof);
    let nobody = Ask::post(path, JSON, good.to_string());
    refused(&sandbox, "no token", &nobody, 400, TOKEN).await;
    let bad = body(&b64(own.public_pem()), &b64("x"));
    refused(&sandbox, "no proof", &ask(&bad), 400, POSSESSION).await;
    refused(&sandbox, "no key", &ask(&json!({})), 400, KEY).await;
    sandbox.stop().await.unwrap();
}
