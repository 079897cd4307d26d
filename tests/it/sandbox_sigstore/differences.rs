//! Where the sandbox answers otherwise than the real services, on purpose.
//!
//! The list fails in both directions: a row whose difference is gone is stale.

use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::KeyKind;
use serde_json::json;

use super::Ask;
use super::JSON;
use super::b64;
use super::certified;
use super::rekor1;
use super::sandbox;
use super::unhex;

/// A difference: what is asked, what the real service answers and what the sandbox does, and why.
struct Difference {
    what: &'static str,
    real: &'static str,
    here: &'static str,
    why: &'static str,
}

const fn row(
    what: &'static str,
    real: &'static str,
    here: &'static str,
    why: &'static str,
) -> Difference {
    Difference {
        what,
        real,
        here,
        why,
    }
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    row("blanks in the gateway's JSON", "{\"code\":5, \"message\"", "{\"code\":5,\"details\"", "protojson sets blanks by a hash of the executable, so that nobody relies on bytes"),
    row("preflight of another origin", "204", "501", "no browser signs with a sandbox"),
    row("answer to another origin", "*", "(none)", "no browser signs with a sandbox"),
    row("Vary of Rekor v2", "(none)", "Origin", "one port serves all services, and the others have it"),
    row("unknown path outside of /api/v2 in Fulcio", "{\"code\":5", "{\"code\":404", "one port serves all services; Rekor answers for paths that could be anybody's"),
    row("GET / of Rekor v1", "200", "404", "no page of Rekor is part of its API"),
    row("GET /swagger.json of Rekor v1", "200", "404", "no description of Rekor is part of its API"),
    row("Rekor v2, Ed25519ph", "201", "400", "the crypto library does not offer pre-hashed Ed25519"),
    row("GET /api/v2/checkpoint of Rekor v2", "501", "200", "a public log serves its storage beside the API, and the sandbox has one address"),
    row("GET /api/v2/tile/0/000.p/1 of Rekor v2", "501", "200", "a public log serves its storage beside the API, and the sandbox has one address"),
    row("name of the CT log in refusals", "ctfe{7564295286815312377}", "ct{0}", "the sandbox's log has no tree id"),
    row("add-chain with garbage", "asn1: structure error: tags don't match", "asn1: structure error: no certificate", "the rest is the inside of Go's parser"),
    row("GET /healthz of the authority and Rekor v1", "404", "200", "one port serves all services, and Fulcio has it"),
];

const ED25519PH_KEY: &str = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf";
const ED25519PH_SIGNATURE: &str = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";

/// What the sandbox answers, in the words of the table.
async fn observed(sandbox: &Sandbox, what: &str) -> String {
    let status = async |ask: Ask| ask.to(sandbox).await.status.to_string();
    let start = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    match what {
        "blanks in the gateway's JSON" => {
            start(Ask::get("/api/v2/none").to(sandbox).await.text(), 19)
        }
        "preflight of another origin" => {
            let ask = Ask::new("OPTIONS", super::SIGNING).with("origin", "https://x.test");
            status(ask.with("access-control-request-method", "POST")).await
        }
        "answer to another origin" => {
            let got = Ask::get("/api/v2/trustBundle")
                .with("origin", "https://x.test")
                .to(sandbox)
                .await;
            got.header("access-control-allow-origin")
                .unwrap_or("(none)")
                .to_owned()
        }
        "Vary of Rekor v2" => {
            let got = Ask::post("/api/v2/log/entries", JSON, "{}")
                .to(sandbox)
                .await;
            got.header("vary").unwrap_or("(none)").to_owned()
        }
        "unknown path outside of /api/v2 in Fulcio" => start(
            Ask::post("/api/v3/signingCert", JSON, "{}")
                .to(sandbox)
                .await
                .text(),
            11,
        ),
        "GET / of Rekor v1" => status(Ask::get("/")).await,
        "GET /swagger.json of Rekor v1" => status(Ask::get("/swagger.json")).await,
        "GET /healthz of the authority and Rekor v1" => status(Ask::get("/healthz")).await,
        "Rekor v2, Ed25519ph" => {
            // RFC 8032, section 7.3: the SPKI of the key, and its signature over `abc`.
            let key = unhex(&format!("302a300506032b6570032100{ED25519PH_KEY}"));
            let body = json!({ "hashedRekordRequestV002": {
                "digest": b64(KeyKind::P521.hash().of(b"abc")),
                "signature": {
                    "content": b64(unhex(ED25519PH_SIGNATURE)),
                    "verifier": {
                        "publicKey": { "rawBytes": b64(key) },
                        "keyDetails": "PKIX_ED25519_PH",
                    },
                },
            } });
            status(rekor1::post("/api/v2/log/entries", &body)).await
        }
        "GET /api/v2/checkpoint of Rekor v2" => status(Ask::get("/api/v2/checkpoint")).await,
        "GET /api/v2/tile/0/000.p/1 of Rekor v2" => {
            let (own, chain) = certified(sandbox).await;
            let body = super::rekor2::by_certificate(&own, &chain[0], b"tile");
            assert_eq!(
                status(rekor1::post("/api/v2/log/entries", &body)).await,
                "201"
            );
            status(Ask::get("/api/v2/tile/0/000.p/1")).await
        }
        "name of the CT log in refusals" => {
            let got = Ask::post("/ct/ct/v1/add-chain", JSON, "").to(sandbox).await;
            let line = got.text().lines().nth(1).unwrap().to_owned();
            line.split(':').next().unwrap().to_owned()
        }
        "add-chain with garbage" => {
            let body = json!({ "chain": [b64("garbage")] }).to_string();
            let got = Ask::post("/ct/ct/v1/add-chain", JSON, body)
                .to(sandbox)
                .await;
            let (_, reason) = got
                .text()
                .trim_end()
                .split_once("chain failed to verify: ")
                .unwrap();
            reason.to_owned()
        }
        other => panic!("nobody asks `{other}`"),
    }
}

#[tokio::test]
async fn the_sandbox_differs_where_it_is_said_and_for_a_reason() {
    let sandbox = sandbox().await;
    for row in DIFFERENCES {
        assert!(row.why.len() > 20, "`{}` needs a reason", row.what);
        assert_ne!(row.real, row.here, "`{}` is none", row.what);
        assert_eq!(observed(&sandbox, row.what).await, row.here, "{}", row.what);
    }
    sandbox.stop().await.unwrap();
}
