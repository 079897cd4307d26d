//! The mint against independent judges: `sigstore-verify` decides whether what it makes is right.
//!
//! Here nothing of scgate's own verification is used, so that a mistake which both sides share
//! cannot hide.

use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Timestamp;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::CheckpointOrder;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryKind;
use scgate::sandbox::mint::Extension;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::Imprint;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::PromiseOrder;
use scgate::sandbox::mint::Proof;
use scgate::sandbox::mint::ProofOrder;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::email;
use scgate::sandbox::mint::root::TrustedRoot;
use scgate::sandbox::mint::spiffe;
use serde_json::Value;
use sigstore_verify::PublicKeyVerificationPolicy;
use sigstore_verify::VerificationPolicy;
use sigstore_verify::types::Bundle;
use sigstore_verify::types::DerPublicKey;

const ARTIFACT: &[u8] = b"an image manifest";

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

fn identity() -> Identity {
    GithubActions::push("acme/shop", "release.yml").identity()
}

fn message() -> Content {
    Content::Message(ARTIFACT.to_vec())
}

fn statement() -> Content {
    Content::image(Digest::sha256(ARTIFACT))
}

/// What sigstore-rust says of a bundle by `identity`, or of a managed key.
fn judge(
    root: &TrustedRoot,
    minted: &Minted,
    version: &str,
    who: Option<&Identity>,
) -> Result<(), String> {
    let root = String::from_utf8(root.bytes()).unwrap();
    let root = sigstore_trust_root::TrustedRoot::from_json(&root).map_err(|e| e.to_string())?;
    let bundle = String::from_utf8(minted.bundle_bytes(version)).unwrap();
    let bundle = Bundle::from_json(&bundle).map_err(|e| e.to_string())?;
    let verdict = match who {
        Some(identity) => {
            let policy = VerificationPolicy::new(identity.san.value(), &identity.issuer);
            sigstore_verify::verify(ARTIFACT, &bundle, &policy, &root)
        }
        None => {
            let key = DerPublicKey::new(minted.key.spki().to_vec());
            let policy = PublicKeyVerificationPolicy::new(key);
            sigstore_verify::verify(ARTIFACT, &bundle, &policy, &root)
        }
    };
    verdict.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn an_independent_verifier_accepts_every_default() {
    let mint = Mint::new(now()).unwrap();
    let root = mint.trusted_root();
    for (name, content, kind) in [
        ("message", message(), None),
        ("dsse", statement(), None),
        ("intoto", statement(), Some(EntryKind::Intoto2)),
    ] {
        let mut order = Order::keyless(now(), &identity(), content);
        order.entries[0].kind = kind;
        for (stamped, order) in [(true, order.clone()), (false, order.without_timestamps())] {
            let minted = mint.sign(&order).unwrap();
            for version in ["0.1", "0.2", "0.3"] {
                let verdict = judge(&root, &minted, version, Some(&identity()));
                assert_eq!(verdict, Ok(()), "{name} {version} stamped: {stamped}");
            }
        }
    }
    for content in [message(), statement()] {
        let order = Order::keyless(now(), &identity(), content).rekor2();
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", Some(&identity())), Ok(()));
        let unstamped = mint.sign(&order.without_timestamps()).unwrap();
        let verdict = judge(&root, &unstamped, "0.3", Some(&identity()));
        assert!(verdict.unwrap_err().contains("time"));
    }
}

#[test]
fn an_independent_verifier_accepts_every_identity_and_key() {
    let mint = Mint::new(now()).unwrap();
    let root = mint.trusted_root();
    let mut reusable = GithubActions::push("acme/shop", "release.yml");
    reusable.reusable = Some("acme/ci/.github/workflows/sign.yml@refs/tags/v1".to_owned());
    reusable.environment = Some("prod".to_owned());
    for identity in [
        reusable.identity(),
        email("dev@acme.test", "https://accounts.acme.test"),
        spiffe("spiffe://acme.test/ci", "https://spire.acme.test"),
    ] {
        let order = Order::keyless(now(), &identity, statement());
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", Some(&identity)), Ok(()));
    }
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ] {
        let key = SigningKey::generate(kind).unwrap();
        let order = Order::keyed(now(), &key, statement());
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", None), Ok(()), "{kind:?}");
        let mut order = Order::keyless(now(), &identity(), statement());
        order.key = Some(key);
        let minted = mint.sign(&order).unwrap();
        assert_eq!(
            judge(&root, &minted, "0.3", Some(&identity())),
            Ok(()),
            "{kind:?}"
        );
    }
}

/// One change to an order that is right otherwise.
type Flaw = fn(&mut Order);

/// What the judge says of each flaw, with both Rekor versions. Where it says nothing, it is laxer
/// than scgate: the flaw is listed so that this is known.
const FLAWS: &[(&str, Flaw, Option<&str>)] = &[
    (
        "no name",
        |o| certificate(o).names = None,
        Some("identity mismatch"),
    ),
    (
        "no code signing",
        |o| certificate(o).extended_key_usage.clear(),
        Some("RequiredEkuNotFound"),
    ),
    (
        "no digital signature",
        |o| certificate(o).key_usage = Some(0x40),
        None,
    ),
    (
        "expired",
        |o| certificate(o).not_after = now().plus_seconds(-1),
        Some("InvalidCertValidity"),
    ),
    (
        "unknown critical extension",
        |o| {
            let mut extension = Extension::new("1.2.3.4", der::null());
            extension.critical = true;
            certificate(o).extensions.push(extension);
        },
        Some("UnsupportedCriticalExtension"),
    ),
    (
        "certificate not signed",
        |o| certificate(o).signed = Hook::new(|tbs: &mut Vec<u8>| tbs.push(0)),
        Some("InvalidSignatureForPublicKey"),
    ),
    (
        "no SCT",
        |o| certificate(o).scts.clear(),
        Some("missing SCT extension"),
    ),
    (
        "SCT of another certificate",
        |o| {
            certificate(o).scts[0].signed = Hook::new(|bytes: &mut Vec<u8>| bytes.push(0));
        },
        Some("SCT signature verification failed"),
    ),
    (
        "SCT version 2",
        |o| certificate(o).scts[0].version = 1,
        Some("failed to parse SCT"),
    ),
    (
        "SCT of an unknown log",
        |o| certificate(o).scts[0].log = Some(stranger().ct),
        Some("key not found"),
    ),
    (
        "no entry",
        |o| o.entries.clear(),
        Some("must have an inclusion proof"),
    ),
    (
        "unknown log",
        |o| o.entries[0].log = Some(stranger().rekor1),
        Some("key"),
    ),
    (
        "promise by a stranger",
        |o| {
            o.entries[0].promise = Some(PromiseOrder {
                key: Some(key()),
                ..PromiseOrder::default()
            });
        },
        Some("SET verification failed"),
    ),
    (
        "promise over another index",
        |o| {
            let signed = Hook::new(|value: &mut Value| value["logIndex"] = 1.into());
            o.entries[0].promise = Some(PromiseOrder {
                signed,
                ..PromiseOrder::default()
            });
        },
        Some("SET verification failed"),
    ),
    (
        "no proof",
        |o| o.entries[0].proof = None,
        Some("must have an inclusion proof"),
    ),
    (
        "wrong root, consistently",
        |o| {
            proof(o).edit = Hook::new(|proof: &mut Proof| proof.root = vec![7; 32]);
        },
        Some("root hash mismatch"),
    ),
    (
        "one hash more",
        |o| proof(o).edit = Hook::new(|proof: &mut Proof| proof.hashes.push(vec![7; 32])),
        Some("expected 3 proof hashes"),
    ),
    (
        "no checkpoint",
        |o| proof(o).checkpoint = None,
        Some("no checkpoint"),
    ),
    (
        "checkpoint by a stranger",
        |o| checkpoint(o).key = Some(key()),
        Some("No valid Rekor signature"),
    ),
    (
        "checkpoint of another origin",
        |o| checkpoint(o).origin = Some("evil.test".into()),
        None,
    ),
    (
        "checkpoint of another size",
        |o| {
            checkpoint(o).text =
                Hook::new(|text: &mut String| *text = text.replace("\n7\n", "\n8\n"));
        },
        None,
    ),
    (
        "entry of another payload",
        |o| {
            o.entries[0].body = Hook::new(|body: &mut Value| {
                for (pointer, other) in [
                    ("/spec/payloadHash/value", hex_zeros()),
                    ("/spec/hashedRekordV002/data/digest", base64_zeros()),
                ] {
                    if let Some(value) = body.pointer_mut(pointer) {
                        *value = other.into();
                    }
                }
            });
        },
        Some("mismatch"),
    ),
    (
        "timestamp of other bytes",
        |o| o.timestamps[0].imprint = Imprint::Bytes(vec![1]),
        Some("Timestamp message hash mismatch"),
    ),
    (
        "timestamp rejected",
        |o| o.timestamps[0].status = 2,
        Some("not granted"),
    ),
    (
        "timestamp by a stranger",
        |o| o.timestamps[0].authority = Some(stranger().tsa),
        Some("does not match any trusted TSA"),
    ),
    (
        "timestamp with SHA-1",
        |o| o.timestamps[0].hash = HashKind::Sha1,
        Some("unsupported hash algorithm"),
    ),
    (
        "timestamp too late",
        |o| o.timestamps[0].time = now().plus_seconds(601),
        Some("CertExpired"),
    ),
    (
        "timestamp with a wrong digest",
        |o| {
            let attributes = o.timestamps[0].attributes.as_mut().unwrap();
            attributes.message_digest = Hook::new(|digest: &mut Vec<u8>| digest.reverse());
        },
        Some("Timestamp message hash mismatch"),
    ),
    (
        "timestamp not signed",
        |o| o.timestamps[0].signed = Hook::new(|bytes: &mut Vec<u8>| bytes.push(0)),
        Some("Failed to verify timestamp signature"),
    ),
    (
        "two signatures",
        |o| o.envelope.signatures = 2,
        Some("exactly one signature"),
    ),
    (
        "no signature",
        |o| o.envelope.signatures = 0,
        Some("exactly one signature"),
    ),
    (
        "signature of other bytes",
        |o| o.signed = Hook::new(|bytes: &mut Vec<u8>| bytes.push(0)),
        Some("signature invalid"),
    ),
    (
        "another payload type",
        |o| o.envelope.payload_type = "text/plain".into(),
        Some("unsupported DSSE payload type"),
    ),
    (
        "another subject",
        |o| o.content = Content::image(Digest::sha256(b"other")),
        Some("does not match any subject"),
    ),
];

fn certificate(order: &mut Order) -> &mut CertificateOrder {
    order.certificate.as_mut().unwrap()
}

fn proof(order: &mut Order) -> &mut ProofOrder {
    order.entries[0].proof.as_mut().unwrap()
}

fn checkpoint(order: &mut Order) -> &mut CheckpointOrder {
    order.entries[0].checkpoint_mut().unwrap()
}

fn hex_zeros() -> String {
    "0".repeat(64)
}

/// The base64 of 32 zero bytes.
fn base64_zeros() -> String {
    format!("{}=", "A".repeat(43))
}

fn stranger() -> Mint {
    Mint::new(now()).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256).unwrap()
}

#[test]
fn an_independent_verifier_names_the_flaw_that_was_ordered() {
    let mint = Mint::new(now()).unwrap();
    let root = mint.trusted_root();
    for (name, flaw, expected) in FLAWS {
        for rekor2 in [false, true] {
            let mut order = Order::keyless(now(), &identity(), statement());
            if rekor2 {
                order = order.rekor2();
            }
            flaw(&mut order);
            let minted = mint.sign(&order).unwrap();
            let verdict = judge(&root, &minted, "0.3", Some(&identity()));
            let as_expected = match (expected, &verdict) {
                (None, Ok(())) => true,
                (Some(text), Err(found)) => found.contains(text),
                (None, Err(_)) | (Some(_), Ok(())) => false,
            };
            assert!(as_expected, "{name}, rekor2 {rekor2}: {verdict:?}");
        }
    }
}
