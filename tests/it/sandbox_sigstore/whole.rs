//! The services together: parts that are left out, and bytes that are meant to end it all.

use scgate::sandbox::Config;
use scgate::sandbox::Part;
use scgate::sandbox::Sandbox;

use super::Ask;
use super::JSON;
use super::sandbox;

/// A request that each part answers, and no other.
const OF_PARTS: &[(Part, &str, &str)] = &[
    (Part::Ct, "GET", "/ct/ct/v1/get-sth"),
    (Part::Fulcio, "GET", "/api/v2/trustBundle"),
    (Part::Oidc, "GET", "/oidc/github/keys"),
    (Part::Rekor1, "GET", "/api/v1/log"),
    (Part::Rekor2, "GET", "/api/v2/checkpoint"),
    (Part::Tsa, "GET", "/api/v1/timestamp/certchain"),
];

#[tokio::test]
async fn a_part_that_is_left_out_is_not_there() {
    crate::sandbox_registry::provider();
    for (own, ..) in OF_PARTS {
        let config = Config {
            parts: vec![*own],
            ..Config::default()
        };
        let sandbox = Sandbox::with(config).await.unwrap();
        for (part, method, path) in OF_PARTS {
            let status = Ask::new(method, path).to(&sandbox).await.status;
            let expected = if part == own { 200 } else { 404 };
            assert_eq!(status, expected, "{part:?} in a sandbox of {own:?}");
        }
        sandbox.stop().await.unwrap();
    }
}

const PATHS: &[&str] = &[
    "/",
    "//",
    "/api/v1/index/retrieve",
    "/api/v1/log",
    "/api/v1/log/entries",
    "/api/v1/log/entries/",
    "/api/v1/log/entries/%ff%00",
    "/api/v1/log/entries/retrieve",
    "/api/v1/log/proof",
    "/api/v1/log/publicKey",
    "/api/v1/signingCert",
    "/api/v1/timestamp",
    "/api/v1/timestamp/certchain",
    "/api/v2/checkpoint",
    "/api/v2/log/entries",
    "/api/v2/signingCert",
    "/api/v2/tile/0/000",
    "/api/v2/tile/entries/x/y/z",
    "/ct/ct/v1/add-chain",
    "/ct/ct/v1/add-pre-chain",
    "/ct/ct/v1/get-entries",
    "/ct/ct/v1/get-entry-and-proof",
    "/ct/ct/v1/get-proof-by-hash",
    "/ct/ct/v1/get-sth-consistency",
    "/oidc/github/actions-token",
    "/oidc/github/token",
    "/sandbox/image",
];

const QUERIES: &[&str] = &[
    "",
    "?",
    "?=&&=%",
    "?logIndex=9223372036854775807",
    "?firstSize=9223372036854775807&lastSize=9223372036854775807",
    "?first=9223372036854775807&second=9223372036854775807",
    "?start=0&end=9223372036854775807",
    "?start=9223372036854775807&end=9223372036854775807",
    "?leaf_index=9223372036854775806&tree_size=9223372036854775807",
    "?hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=&tree_size=9223372036854775807",
    "?alg=%F0%9F%92%A9&audience=%00",
];

/// Bodies that have ended parsers before.
fn bodies() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5000), close.repeat(5000));
    let mut der = vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
    der.extend([0x30, 0x80].repeat(1000));
    vec![
        Vec::new(),
        vec![0],
        vec![0xff; 1000],
        der,
        b"{".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        br#"{"a":"\ud800"}"#.to_vec(),
        br#"{"chain":["MAA="]}"#.to_vec(),
        br#"{"chain":["MIAAAA=="]}"#.to_vec(),
        br#"{"logIndexes":[1e999]}"#.to_vec(),
        br#"{"artifactHash":"AAAA","hashAlgorithm":"sha256","nonce":-1}"#.to_vec(),
        br#"{"certificateSigningRequest":"LS0tLS1CRUdJTiBYLS0tLS0="}"#.to_vec(),
        br#"{"apiVersion":"0.0.1","kind":"dsse","spec":[]}"#.to_vec(),
        br#"{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":7}}}"#.to_vec(),
        br#"{"hashedRekordRequestV002":{"signature":{"verifier":{"keyDetails":-1}}}}"#.to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
    ]
}

#[tokio::test]
async fn nothing_that_is_sent_ends_it() {
    let sandbox = sandbox().await;
    super::certified(&sandbox).await;
    for path in PATHS {
        for query in QUERIES {
            for method in ["GET", "DELETE"] {
                let ask = Ask::new(method, &format!("{path}{query}"));
                let got = ask.with("authorization", "Bearer .").to(&sandbox).await;
                assert!(
                    (200..=501).contains(&got.status),
                    "{method} {path}{query}: {got:?}"
                );
            }
        }
        for body in bodies() {
            for media_type in [JSON, "application/timestamp-query"] {
                let ask = Ask::post(path, media_type, body.clone());
                let got = ask.with("authorization", "Bearer ..").to(&sandbox).await;
                assert!((200..=501).contains(&got.status), "POST {path}: {got:?}");
            }
        }
    }
    super::certified(&sandbox).await;
    // This tells whether a task panicked.
    sandbox.stop().await.unwrap();
}
