//! The timestamp authority: what is stamped, and how the rest is refused.

use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::TIMESTAMP_POLICY;
use scgate::sandbox::mint::der;
use serde_json::json;

use super::Ask;
use super::JSON;
use super::b64;
use super::sandbox;
use super::unpem;

pub(super) const PATH: &str = "/api/v1/timestamp";
const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
const MALFORMED: &str = "Error generating timestamp response";
const LENGTH: &str = "Message digest has incorrect length for specified algorithm";
const WEAK: &str = "Weak hash algorithm in timestamp request";

/// A query, in DER.
struct Query {
    version: u64,
    oid: String,
    imprint: Vec<u8>,
    policy: Option<&'static str>,
    nonce: Option<Vec<u8>>,
    certificates: bool,
}

impl Query {
    fn of(hash: HashKind) -> Self {
        Self {
            version: 1,
            oid: hash.oid().to_owned(),
            imprint: hash.of(b"artifact"),
            policy: None,
            nonce: None,
            certificates: false,
        }
    }

    fn der(&self) -> Vec<u8> {
        let imprint = [
            der::algorithm_null(&self.oid),
            der::octet_string(&self.imprint),
        ];
        let mut parts = vec![der::integer(self.version), der::sequence(&imprint)];
        parts.extend(self.policy.map(der::oid));
        parts.extend(self.nonce.as_ref().map(|nonce| der::integer_bytes(nonce)));
        parts.extend(self.certificates.then(|| der::boolean(true)));
        der::sequence(&parts)
    }

    fn ask(&self) -> Ask {
        Ask::post(PATH, QUERY, self.der())
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_stamp_holds_what_was_asked_for() {
    let sandbox = sandbox().await;
    let tsa = sandbox.mint().tsa.clone();
    let nonce = vec![0, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10];
    let plain = || Query::of(HashKind::Sha256);
    for (name, query) in [
        ("SHA-256", plain()),
        ("SHA-384", Query::of(HashKind::Sha384)),
        ("SHA-512", Query::of(HashKind::Sha512)),
        (
            "nonce",
            Query {
                nonce: Some(nonce.clone()),
                ..plain()
            },
        ),
        (
            "certificates",
            Query {
                certificates: true,
                ..plain()
            },
        ),
        (
            "policy",
            Query {
                policy: Some(TIMESTAMP_POLICY),
                ..plain()
            },
        ),
        (
            "all",
            Query {
                nonce: Some(nonce),
                certificates: true,
                policy: Some(TIMESTAMP_POLICY),
                ..plain()
            },
        ),
        (
            "version 2",
            Query {
                version: 2,
                ..plain()
            },
        ),
    ] {
        let got = query.ask().to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, REPLY), "{name}");
        assert_eq!(
            got.header("cache-control"),
            Some("no-cache, no-store, no-transform, must-revalidate, private, max-age=0")
        );
        let imprint = der::sequence(&[
            der::algorithm_null(&query.oid),
            der::octet_string(&query.imprint),
        ]);
        assert!(contains(&got.body, &imprint), "{name}");
        assert!(
            contains(&got.body, &[&imprint[..], &[2, 20]].concat())
                || contains(&got.body, &[&imprint[..], &[2, 21]].concat()),
            "{name}: the serial has 20 bytes"
        );
        let asked = query.nonce.as_ref().map(|nonce| der::integer_bytes(nonce));
        assert!(
            asked.is_none_or(|nonce| contains(&got.body, &nonce)),
            "{name}"
        );
        // Without being asked, the field is there and empty.
        assert_eq!(
            contains(&got.body, &tsa.leaf.certificate),
            query.certificates,
            "{name}"
        );
        assert_eq!(
            contains(&got.body, &[0xa0, 0]),
            !query.certificates,
            "{name}"
        );
        assert!(!contains(&got.body, &tsa.root.certificate), "{name}");
    }
    let slash = Ask::post("/api/v1/timestamp/", QUERY, plain().der());
    assert_eq!(slash.to(&sandbox).await.status, 200);
    for accept in ["*/*", REPLY] {
        assert_eq!(
            plain()
                .ask()
                .with("accept", accept)
                .to(&sandbox)
                .await
                .status,
            200
        );
    }
    for accept in [JSON, "text/plain"] {
        let got = plain().ask().with("accept", accept).to(&sandbox).await;
        assert_eq!(
            (got.status, got.text(), got.media_type()),
            (500, "", accept)
        );
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_stamped_is_refused_in_json_under_the_type_of_a_stamp() {
    let sandbox = sandbox().await;
    let plain = || Query::of(HashKind::Sha256);
    let post = |body: Vec<u8>| Ask::post(PATH, QUERY, body);
    let in_json = |body: serde_json::Value| Ask::post(PATH, JSON, body.to_string());
    let sha224 = Query {
        oid: "2.16.840.1.101.3.4.2.4".to_owned(),
        imprint: vec![7; 28],
        ..plain()
    };
    let md5 = Query {
        oid: "1.2.840.113549.2.5".to_owned(),
        imprint: vec![7; 16],
        ..plain()
    };
    let digest = b64(HashKind::Sha256.of(b"artifact"));
    let short = Query {
        imprint: vec![7; 31],
        ..plain()
    };
    let policy = Query {
        policy: Some("1.2.3.4"),
        ..plain()
    };
    let unaccepted = "unaccepted policy: requested TSA policy is not supported by the TSA";
    for (name, ask, message) in [
        ("SHA-1", Query::of(HashKind::Sha1).ask(), WEAK),
        ("SHA-224", sha224.ask(), MALFORMED),
        ("MD5", md5.ask(), MALFORMED),
        ("cut", post(plain().der()[..20].to_vec()), MALFORMED),
        ("text", post(b"text".to_vec()), MALFORMED),
        ("more", post([plain().der(), vec![0]].concat()), MALFORMED),
        ("deep", post([0x30, 0x80].repeat(100_000)), MALFORMED),
        ("short", short.ask(), LENGTH),
        ("policy", policy.ask(), unaccepted),
        (
            "parameter",
            Ask::post(PATH, &format!("{QUERY}; charset=x"), plain().der()),
            MALFORMED,
        ),
        (
            "JSON, SHA-1",
            in_json(json!({ "artifactHash": b64([7; 20]), "hashAlgorithm": "sha1" })),
            WEAK,
        ),
        (
            "JSON, no hash",
            in_json(json!({ "hashAlgorithm": "sha256" })),
            LENGTH,
        ),
        (
            "JSON, short",
            in_json(json!({ "artifactHash": "AAAA", "hashAlgorithm": "sha256" })),
            LENGTH,
        ),
        (
            "JSON, unknown",
            in_json(json!({ "artifactHash": digest, "hashAlgorithm": "x" })),
            MALFORMED,
        ),
        (
            "JSON, no algorithm",
            in_json(json!({ "artifactHash": digest })),
            MALFORMED,
        ),
        (
            "JSON, no base64",
            in_json(json!({ "artifactHash": "!!", "hashAlgorithm": "sha256" })),
            MALFORMED,
        ),
        ("JSON, malformed", Ask::post(PATH, JSON, "{\"x"), MALFORMED),
        ("JSON, empty", in_json(json!({})), MALFORMED),
        (
            "JSON, policy",
            in_json(
                json!({ "artifactHash": digest, "hashAlgorithm": "sha256", "tsaPolicyOID": "1.2.3.4" }),
            ),
            unaccepted,
        ),
        (
            "JSON, no policy",
            in_json(
                json!({ "artifactHash": digest, "hashAlgorithm": "sha256", "tsaPolicyOID": "x" }),
            ),
            "OID should be comprised of at most 128 components",
        ),
    ] {
        let got = ask.to(&sandbox).await;
        assert_eq!(
            (got.status, got.media_type()),
            (400, REPLY),
            "{name}: {got:?}"
        );
        let body = json!({ "code": 400, "message": message }).to_string();
        assert_eq!(got.text(), body, "{name}");
        assert!(got.header("cache-control").is_some(), "{name}");
    }
    for body in [
        json!({ "artifactHash": digest, "hashAlgorithm": "sha256" }),
        json!({ "artifactHash": digest, "hashAlgorithm": "sha256", "certificates": true, "nonce": 123, "tsaPolicyOID": TIMESTAMP_POLICY, "extra": 1 }),
    ] {
        let got = in_json(body).to(&sandbox).await;
        assert_eq!((got.status, got.media_type()), (200, REPLY));
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn types_paths_and_methods() {
    let sandbox = sandbox().await;
    let query = Query::of(HashKind::Sha256).der();
    let allowed = "only [application/timestamp-query application/json] are allowed";
    let mut none = Ask::new("POST", PATH);
    none.body.clone_from(&query);
    for (ask, named) in [
        (none, "application/octet-stream"),
        (
            Ask::post(PATH, "application/octet-stream", query.clone()),
            "application/octet-stream",
        ),
        (Ask::post(PATH, "text/plain", query.clone()), "text/plain"),
    ] {
        let got = ask.to(&sandbox).await;
        let message = format!("unsupported media type \"{named}\", {allowed}");
        assert_eq!((got.status, got.media_type()), (415, JSON));
        assert_eq!(
            got.text(),
            json!({ "code": 415, "message": message }).to_string()
        );
        assert!(got.header("cache-control").is_some());
    }
    let got = Ask::post(PATH, QUERY, "").to(&sandbox).await;
    assert_eq!((got.status, got.media_type()), (422, JSON));
    assert_eq!(
        got.text(),
        "{\"code\":602,\"message\":\"request in body is required\"}"
    );
    for (method, path, allowed) in [
        ("GET", PATH, "POST"),
        ("PUT", PATH, "POST"),
        ("POST", "/api/v1/timestamp/certchain", "GET"),
    ] {
        let got = Ask::new(method, path).to(&sandbox).await;
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        assert_eq!((got.status, got.header("allow")), (405, Some(allowed)));
        assert_eq!(
            got.text(),
            json!({ "code": 405, "message": message }).to_string()
        );
        assert_eq!(got.header("cache-control"), None);
    }
    let chain = "/api/v1/timestamp/certchain";
    assert_eq!(Ask::new("HEAD", chain).to(&sandbox).await.status, 405);
    let got = Ask::get(chain).to(&sandbox).await;
    assert_eq!(
        (got.status, got.media_type()),
        (200, "application/pem-certificate-chain")
    );
    assert_eq!(
        got.header("cache-control"),
        Some("max-age=86400, immutable")
    );
    let tsa = &sandbox.mint().tsa;
    let ends: Vec<_> = got
        .text()
        .split_inclusive("-----END CERTIFICATE-----\n")
        .map(unpem)
        .collect();
    assert_eq!(
        ends,
        [tsa.leaf.certificate.clone(), tsa.root.certificate.clone()]
    );
    let got = Ask::get(chain).with("accept", JSON).to(&sandbox).await;
    assert_eq!((got.status, got.text()), (500, ""));
    sandbox.stop().await.unwrap();
}
