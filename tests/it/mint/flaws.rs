//! Flaws, one at a time, and what the independent judge says of each.
//!
//! Where it says nothing it is laxer than a gate may be; such flaws are listed all the same, so
//! that this is known. It takes every certificate of a trusted chain for an anchor, for example.

use scgate::model::Digest;
use scgate::sandbox::mint::CODE_SIGNING;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::CheckpointOrder;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::Extension;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::Imprint;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::PromiseOrder;
use scgate::sandbox::mint::Proof;
use scgate::sandbox::mint::ProofOrder;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::root::TrustedRoot;
use scgate::sandbox::mint::root::Window;
use serde_json::Value;

use super::identity;
use super::judge;
use super::now;
use super::statement;

/// One change to an order that is right otherwise.
type Flaw = fn(&mut Order);

/// What the judge says of each flaw, with both Rekor versions.
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

fn as_expected(expected: Option<&str>, verdict: &Result<(), String>) -> bool {
    match (expected, verdict) {
        (None, Ok(())) => true,
        (Some(text), Err(found)) => found.contains(text),
        (None, Err(_)) | (Some(_), Ok(())) => false,
    }
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
            assert!(
                as_expected(*expected, &verdict),
                "{name}, rekor2 {rekor2}: {verdict:?}"
            );
        }
    }
}

/// Another actor, or another trusted root, under an order that is right.
type World = fn(&mut Mint, &mut TrustedRoot);

/// What the judge says when the order is right and the world is not.
const WORLDS: &[(&str, World, Option<&str>)] = &[
    (
        "another authority",
        |m, _| m.fulcio = stranger().fulcio,
        Some("InvalidSignatureForPublicKey"),
    ),
    (
        "intermediate expired",
        |m, r| {
            let order = CertificateOrder::fulcio_intermediate(m.valid_from, now().plus_seconds(-1));
            intermediate(m, r, &order);
        },
        None,
    ),
    (
        "intermediate that is no authority",
        |m, r| {
            let mut order = CertificateOrder::fulcio_intermediate(m.valid_from, m.valid_until);
            order.basic_constraints = None;
            intermediate(m, r, &order);
        },
        None,
    ),
    (
        "intermediate that may not sign certificates",
        |m, r| {
            let mut order = CertificateOrder::fulcio_intermediate(m.valid_from, m.valid_until);
            order.key_usage = Some(0x80);
            intermediate(m, r, &order);
        },
        None,
    ),
    (
        "intermediate for servers",
        |m, r| {
            let mut order = CertificateOrder::fulcio_intermediate(m.valid_from, m.valid_until);
            order.extended_key_usage = vec!["1.3.6.1.5.5.7.3.1".into()];
            intermediate(m, r, &order);
        },
        None,
    ),
    (
        "timestamp leaf expired",
        |m, r| {
            let order = CertificateOrder::timestamp_leaf(m.valid_from, now().plus_seconds(-1));
            timestamp_leaf(m, r, &order);
        },
        Some("CertExpired"),
    ),
    (
        "timestamp leaf without its usage",
        |m, r| {
            let mut order = CertificateOrder::timestamp_leaf(m.valid_from, m.valid_until);
            order.extended_key_usage.clear();
            timestamp_leaf(m, r, &order);
        },
        Some("RequiredEkuNotFound"),
    ),
    (
        "timestamp leaf with another usage",
        |m, r| {
            let mut order = CertificateOrder::timestamp_leaf(m.valid_from, m.valid_until);
            order.extended_key_usage.push(CODE_SIGNING.into());
            timestamp_leaf(m, r, &order);
        },
        None,
    ),
    (
        "timestamp leaf with an uncritical usage",
        |m, r| {
            let mut order = CertificateOrder::timestamp_leaf(m.valid_from, m.valid_until);
            order.extended_key_usage_critical = false;
            timestamp_leaf(m, r, &order);
        },
        None,
    ),
    (
        "authority ended",
        |_, r| r.certificate_authorities[0].valid_for = ended(),
        Some("no trusted certificate authority is valid"),
    ),
    (
        "CT log ended",
        |_, r| r.ctlogs[0].public_key.valid_for = ended(),
        Some("key not found or not valid"),
    ),
    (
        "Rekor ended",
        |_, r| r.tlogs[1].public_key.valid_for = ended(),
        Some("No log key valid"),
    ),
    (
        "timestamp authority ended",
        |_, r| r.timestamp_authorities[0].valid_for = ended(),
        Some("outside the validity period"),
    ),
    (
        "no timestamp authority",
        |_, r| r.timestamp_authorities.clear(),
        Some("no timestamp authorities"),
    ),
    ("no Rekor", |_, r| r.tlogs.clear(), Some("No log key valid")),
];

fn ended() -> Window {
    Window {
        start: Some(now().plus_seconds(-100)),
        end: Some(now().plus_seconds(-1)),
    }
}

/// The same key under another certificate, which the trusted root knows as well.
fn intermediate(mint: &mut Mint, root: &mut TrustedRoot, order: &CertificateOrder) {
    let key = mint.fulcio.intermediate.key.clone();
    mint.fulcio.intermediate = mint.fulcio.root.certify(order, &key, None).unwrap();
    *root = mint.trusted_root();
}

fn timestamp_leaf(mint: &mut Mint, root: &mut TrustedRoot, order: &CertificateOrder) {
    let key = mint.tsa.leaf.key.clone();
    mint.tsa.leaf = mint.tsa.root.certify(order, &key, None).unwrap();
    *root = mint.trusted_root();
}

#[test]
fn an_independent_verifier_names_the_actor_that_was_replaced() {
    for (name, change, expected) in WORLDS {
        let mut mint = Mint::new(now()).unwrap();
        let mut root = mint.trusted_root();
        change(&mut mint, &mut root);
        let order = Order::keyless(now(), &identity(), statement());
        let minted = mint.sign(&order).unwrap();
        let verdict = judge(&root, &minted, "0.3", Some(&identity()));
        assert!(as_expected(*expected, &verdict), "{name}: {verdict:?}");
    }
}
