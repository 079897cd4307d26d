//! Others judge what the services give: OpenSSL the certificates and timestamps, and an independent
//! Sigstore verifier the bundle that is put together from all of them.
//!
//! What is right must be accepted, and each change to it refused. The logs are judged by a program
//! in Go, in `tests/interop/rfc6962`.

use std::fs;
use std::path::Path;
use std::process::Command;

use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::sandbox::Sandbox;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;
use serde_json::Value;
use serde_json::json;
use sigstore_verify::VerificationPolicy;
use tempfile::TempDir;

use super::Ask;
use super::JSON;
use super::b64;
use super::certified;
use super::pem;
use super::rekor1;
use super::rekor2;
use super::sandbox;
use super::sha256;
use super::tsa::PATH;
use super::unb64;
use super::unhex;

/// OpenSSL in a scratch directory.
struct OpenSsl(TempDir);

impl OpenSsl {
    /// None, loudly, where it is not installed.
    fn find() -> Option<Self> {
        let found = Command::new("openssl").arg("version").output();
        if found.is_ok_and(|output| output.status.success()) {
            return Some(Self(tempfile::tempdir().unwrap()));
        }
        #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
        {
            eprintln!("SKIPPED: openssl is not there; nothing was judged");
        }
        None
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir().join(name)).unwrap()
    }

    /// Whether it succeeded, and everything it said.
    fn run(&self, arguments: &str) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    fn accepts(&self, arguments: &str) -> String {
        let (is_good, said) = self.run(arguments);
        assert!(is_good, "openssl {arguments}\n{said}");
        said
    }

    fn refuses(&self, arguments: &str, because: &str) {
        let (is_good, said) = self.run(arguments);
        assert!(
            !is_good && said.contains(because),
            "openssl {arguments}\n{said}"
        );
    }
}

#[tokio::test]
async fn openssl_verifies_the_certificates() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let sandbox = sandbox().await;
    let other = super::sandbox().await;
    let (_, chain) = certified(&sandbox).await;
    let (_, foreign) = certified(&other).await;
    let mut forged = chain[0].clone();
    // In the last claim, which the signature covers.
    let place = forged
        .windows(9)
        .position(|part| part == b"acme/shop")
        .unwrap();
    forged[place] = b'b';
    for (name, der) in [
        ("leaf", &chain[0]),
        ("issuer", &chain[1]),
        ("root", &chain[2]),
        ("forged", &forged),
        ("foreign", &foreign[0]),
        ("other-issuer", &foreign[1]),
        ("other-root", &foreign[2]),
    ] {
        openssl.write(&format!("{name}.pem"), pem("CERTIFICATE", der));
    }
    let verify = |leaf: &str, issuer: &str, root: &str| {
        format!(
            "verify -no-CApath -no-CAstore -x509_strict -CAfile {root}.pem -untrusted {issuer}.pem {leaf}.pem"
        )
    };
    assert_eq!(
        openssl.accepts(&verify("leaf", "issuer", "root")),
        "leaf.pem: OK\n"
    );
    openssl.accepts(&verify("foreign", "other-issuer", "other-root"));
    for (leaf, issuer, root, because) in [
        ("forged", "issuer", "root", "certificate signature failure"),
        ("leaf", "issuer", "other-root", "unable to get"),
        ("leaf", "root", "root", "unable to get local issuer"),
        ("foreign", "issuer", "root", "verification failed"),
    ] {
        openssl.refuses(&verify(leaf, issuer, root), because);
    }
    let text = openssl.accepts("x509 -in leaf.pem -noout -text");
    for part in [
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA384",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                Code Signing\n",
        "X509v3 Subject Alternative Name: critical\n                URI:https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main\n",
        "CT Precertificate SCTs",
        "Version   : v1 (0x0)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Basic Constraints"), "{text}");
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn openssl_verifies_the_timestamps_it_asked_for() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let sandbox = sandbox().await;
    let other = super::sandbox().await;
    let tsa = &sandbox.mint().tsa;
    openssl.write("leaf.pem", pem("CERTIFICATE", &tsa.leaf.certificate));
    openssl.write("root.pem", pem("CERTIFICATE", &tsa.root.certificate));
    let foreign = &other.mint().tsa;
    openssl.write(
        "other-leaf.pem",
        pem("CERTIFICATE", &foreign.leaf.certificate),
    );
    openssl.write(
        "other-root.pem",
        pem("CERTIFICATE", &foreign.root.certificate),
    );
    openssl.write("data", "what is stamped");
    openssl.write("other", "what is not");
    for (hash, nonce, certificates) in [
        ("sha256", "", ""),
        ("sha256", "-no_nonce", ""),
        ("sha384", "", "-cert"),
        ("sha512", "-no_nonce", "-cert"),
    ] {
        let query = |data: &str, out: &str| {
            openssl.accepts(&format!(
                "ts -query -data {data} -{hash} {nonce} {certificates} -out {out}"
            ));
        };
        query("data", "query");
        query("other", "other-query");
        let ask = Ask::post(PATH, "application/timestamp-query", openssl.read("query"));
        let got = ask.to(&sandbox).await;
        assert_eq!(got.status, 200);
        openssl.write("reply", &got.body);
        let mut forged = got.body.clone();
        *forged.last_mut().unwrap() ^= 1;
        openssl.write("forged", forged);
        let untrusted = if certificates.is_empty() {
            "-untrusted leaf.pem"
        } else {
            ""
        };
        let verify = |of: &str, reply: &str, root: &str| {
            format!("ts -verify {of} -in {reply} -CAfile {root}.pem {untrusted}")
        };
        let kind = hash.strip_prefix("sha").unwrap();
        let digest = openssl.accepts(&format!("dgst -{hash} -r data"));
        let digest = digest.split(' ').next().unwrap();
        assert_eq!(digest.len() * 4, kind.parse::<usize>().unwrap());
        for of in [
            "-queryfile query",
            "-data data",
            &format!("-digest {digest}"),
        ] {
            openssl.accepts(&verify(of, "reply", "root"));
            openssl.refuses(&verify(of, "reply", "other-root"), "verify error");
            openssl.refuses(&verify(of, "forged", "root"), "FAILED");
        }
        openssl.refuses(
            &verify("-data other", "reply", "root"),
            "message imprint mismatch",
        );
        openssl.refuses(
            &verify("-queryfile other-query", "reply", "root"),
            "mismatch",
        );
        if nonce.is_empty() {
            // The same data, asked for another time.
            query("data", "again");
            openssl.refuses(
                &verify("-queryfile again", "reply", "root"),
                "nonce mismatch",
            );
        }
        if certificates.is_empty() {
            // Without its certificate nobody knows who stamped.
            let bare = "ts -verify -data data -in reply -CAfile root.pem";
            openssl.refuses(bare, "signer certificate not found");
            let wrong =
                "ts -verify -data data -in reply -CAfile root.pem -untrusted other-leaf.pem";
            openssl.refuses(wrong, "FAILED");
        }
        let text = openssl.accepts("ts -reply -in reply -text");
        for part in [
            "Status: Granted.",
            "Policy OID: 1.3.6.1.4.1.57264.2",
            &format!("Hash Algorithm: {hash}"),
            "Accuracy: 0x01 seconds, unspecified millis, unspecified micros",
            "Ordering: no",
            "Extensions:",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(
            text.contains("Nonce: unspecified"),
            !nonce.is_empty(),
            "{text}"
        );
    }
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}

const ARTIFACT: &[u8] = b"an artifact";

/// Which log a bundle is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rekor {
    V1,
    V2,
}

async fn stamp(sandbox: &Sandbox, signature: &[u8]) -> String {
    let query = json!({ "artifactHash": b64(sha256(signature)), "hashAlgorithm": "sha256" });
    let got = Ask::post(PATH, JSON, query.to_string()).to(sandbox).await;
    assert_eq!(got.status, 200);
    b64(got.body)
}

/// The entry of Rekor v1 as bundles hold it.
fn converted(answer: &Value) -> Value {
    let entry = answer.as_object().unwrap().values().next().unwrap();
    let proof = &entry["verification"]["inclusionProof"];
    let bytes = |value: &Value| b64(unhex(value.as_str().unwrap()));
    let hashes: Vec<_> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(bytes)
        .collect();
    json!({
        "logIndex": entry["logIndex"].to_string(),
        "logId": { "keyId": bytes(&entry["logID"]) },
        "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
        "integratedTime": entry["integratedTime"].to_string(),
        "inclusionPromise": {
            "signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"],
        },
        "inclusionProof": {
            "logIndex": proof["logIndex"].to_string(),
            "rootHash": bytes(&proof["rootHash"]),
            "treeSize": proof["treeSize"].to_string(),
            "hashes": hashes,
            "checkpoint": { "envelope": proof["checkpoint"] },
        },
        "canonicalizedBody": entry["body"],
    })
}

/// Signs [`ARTIFACT`] with the services, as a client does.
async fn bundle(sandbox: &Sandbox, rekor: Rekor) -> Value {
    let (key, chain) = certified(sandbox).await;
    let (path, body, signature) = match rekor {
        Rekor::V1 => {
            let certificate = pem("CERTIFICATE", &chain[0]);
            let body = rekor1::hashed_rekord(&key, &certificate, ARTIFACT);
            let signature = body["spec"]["signature"]["content"].clone();
            ("/api/v1/log/entries", body, signature)
        }
        Rekor::V2 => {
            let body = rekor2::by_certificate(&key, &chain[0], ARTIFACT);
            let signature = body["hashedRekordRequestV002"]["signature"]["content"].clone();
            ("/api/v2/log/entries", body, signature)
        }
    };
    let token = stamp(sandbox, &unb64(signature.as_str().unwrap())).await;
    let got = rekor1::post(path, &body).to(sandbox).await;
    assert_eq!(got.status, 201);
    let mut entry = match rekor {
        Rekor::V1 => converted(&got.json()),
        Rekor::V2 => got.json(),
    };
    // Bundles leave zero members out.
    let members = entry.as_object_mut().unwrap();
    members.retain(|name, value| !(value.is_null() || name == "integratedTime" && value == "0"));
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": { "rawBytes": b64(&chain[0]) },
            "tlogEntries": [entry],
            "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": token }] },
        },
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": b64(sha256(ARTIFACT)) },
            "signature": signature,
        },
    })
}

/// The verdict of the independent verifier.
fn oracle(bundle: &Value, root: &[u8], artifact: &[u8]) -> Result<(), String> {
    let root = core::str::from_utf8(root).unwrap();
    let root = sigstore_trust_root::TrustedRoot::from_json(root).map_err(|e| e.to_string())?;
    let bundle = sigstore_verify::types::Bundle::from_json(&bundle.to_string());
    let bundle = bundle.map_err(|e| e.to_string())?;
    let artifact: sigstore_verify::types::Artifact<'_> = artifact.into();
    let policy = VerificationPolicy::any_identity();
    let verdict = sigstore_verify::verify(artifact, &bundle, &policy, &root);
    verdict.map(|_| ()).map_err(|e| e.to_string())
}

/// The verdict of the gate itself.
fn gate(bundle: &Value, root: &[u8], artifact: &[u8]) -> Result<(), String> {
    let limits = Limits::default();
    let root = TrustRoot::parse(root, &limits).map_err(|e| e.to_string())?;
    let bundle =
        Bundle::parse(bundle.to_string().as_bytes(), &limits).map_err(|e| e.to_string())?;
    let artifact = Artifact::Bytes(artifact);
    let now = Timestamp::from(std::time::SystemTime::now());
    let verdict = verify(
        &bundle,
        artifact,
        Trust::Root(&root),
        Terms::default(),
        now,
        &limits,
    );
    verdict.map(|_| ()).map_err(|e| e.to_string())
}

/// Both verdicts: the oracle's first.
fn verdicts(bundle: &Value, root: &[u8], artifact: &[u8]) -> [Result<(), String>; 2] {
    [oracle(bundle, root, artifact), gate(bundle, root, artifact)]
}

/// What the oracle overlooks: it goes by the checkpoint alone, which names log and root too.
const OVERLOOKED: &[(Rekor, &str)] = &[(Rekor::V2, "root hash"), (Rekor::V2, "log")];

/// What does not count for the gate: the token of a stranger, where the promise vouches for the time.
const NOT_COUNTED: &[(Rekor, &str)] = &[(Rekor::V1, "token of another")];

/// Changes base64 at a JSON pointer: one bit of the byte in the middle.
fn bent(mut bundle: Value, pointer: &str) -> Value {
    let value = bundle
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer}"));
    let mut bytes = unb64(value.as_str().unwrap());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *value = json!(b64(bytes));
    bundle
}

fn swapped(mut bundle: Value, pointer: &str, from: &Value) -> Value {
    let value = bundle
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer}"));
    assert_ne!(value, from.pointer(pointer).unwrap(), "{pointer}");
    *value = from.pointer(pointer).unwrap().clone();
    bundle
}

#[tokio::test]
async fn an_independent_verifier_accepts_what_the_services_gave_and_no_change_of_it() {
    let sandbox = sandbox().await;
    let other = super::sandbox().await;
    let (root, strange) = (sandbox.trusted_root(), other.trusted_root());
    let entry = |name: &str| format!("/verificationMaterial/tlogEntries/0/{name}");
    let (certificate, token) = (
        "/verificationMaterial/certificate/rawBytes",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
    );
    for rekor in [Rekor::V1, Rekor::V2] {
        // The second entry of the log has a proof with a hash in it.
        let first = bundle(&sandbox, rekor).await;
        let good = bundle(&sandbox, rekor).await;
        let foreign = bundle(&other, rekor).await;
        for one in [&first, &good] {
            assert_eq!(
                verdicts(one, &root, ARTIFACT),
                [Ok(()), Ok(())],
                "{rekor:?}"
            );
        }
        assert_eq!(verdicts(&foreign, &strange, ARTIFACT), [Ok(()), Ok(())]);
        let mut refused = vec![
            ("another artifact", verdicts(&good, &root, b"another")),
            ("the root of another", verdicts(&good, &strange, ARTIFACT)),
            ("all of another", verdicts(&foreign, &root, ARTIFACT)),
        ];
        let mut flaw =
            |name, flawed: Value| refused.push((name, verdicts(&flawed, &root, ARTIFACT)));
        flaw(
            "signature",
            bent(good.clone(), "/messageSignature/signature"),
        );
        flaw("certificate", bent(good.clone(), certificate));
        flaw("body", bent(good.clone(), &entry("canonicalizedBody")));
        flaw(
            "root hash",
            bent(good.clone(), &entry("inclusionProof/rootHash")),
        );
        flaw(
            "path",
            bent(good.clone(), &entry("inclusionProof/hashes/0")),
        );
        flaw("log", bent(good.clone(), &entry("logId/keyId")));
        flaw("token", bent(good.clone(), token));
        flaw(
            "certificate of another",
            swapped(good.clone(), certificate, &foreign),
        );
        flaw(
            "certificate of the other entry",
            swapped(good.clone(), certificate, &first),
        );
        flaw(
            "signature of the other entry",
            swapped(good.clone(), "/messageSignature/signature", &first),
        );
        flaw(
            "token of the other entry",
            swapped(good.clone(), token, &first),
        );
        flaw("token of another", swapped(good.clone(), token, &foreign));
        flaw(
            "checkpoint of another",
            swapped(good.clone(), &entry("inclusionProof/checkpoint"), &foreign),
        );
        flaw(
            "checkpoint of an older tree",
            swapped(good.clone(), &entry("inclusionProof/checkpoint"), &first),
        );
        flaw(
            "body of the other entry",
            swapped(good.clone(), &entry("canonicalizedBody"), &first),
        );
        flaw(
            "proof of the other entry",
            swapped(good.clone(), &entry("inclusionProof"), &first),
        );
        if rekor == Rekor::V1 {
            let promise = entry("inclusionPromise/signedEntryTimestamp");
            flaw("promise", bent(good.clone(), &promise));
            flaw(
                "promise of another",
                swapped(good.clone(), &promise, &foreign),
            );
            let mut late = good.clone();
            let time = late.pointer_mut(&entry("integratedTime")).unwrap();
            *time = json!((time.as_str().unwrap().parse::<i64>().unwrap() + 1).to_string());
            flaw("time", late);
        }
        for (name, [oracle, gate]) in &refused {
            let is_not_counted = NOT_COUNTED.contains(&(rekor, name));
            assert_eq!(gate.is_ok(), is_not_counted, "{rekor:?}: {name}: {gate:?}");
            let is_overlooked = OVERLOOKED.contains(&(rekor, name));
            assert_eq!(
                oracle.is_ok(),
                is_overlooked,
                "{rekor:?}: {name}: {oracle:?}"
            );
        }
        assert!(refused.len() >= 19, "{}", refused.len());
    }
    other.stop().await.unwrap();
    sandbox.stop().await.unwrap();
}
