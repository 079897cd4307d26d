//! Managed keys: the kind of signer that is demanded, the kind of key, and key files.

use scgate::model::DenyCode as Code;
use scgate::model::Limits;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::pem;
use scgate::verify::ManagedKey;
use scgate::verify::TrustRoot;
use serde_json::Value;
use serde_json::json;

use super::Asked;
use super::Base::Attestation;
use super::Base::Blob;
use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::KeyAlone;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::Change;
use super::KEY;
use super::MINT;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::key;

#[test]
fn keys() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    denied("CRT-18 certificate where a key is demanded", Stamped, Change::Case(|c| c.question.signer = Asked::Key), Code::SignerKindMismatch),
    denied("CRT-18 certificate where a key is demanded, chain", Chain, Change::Case(|c| c.question.signer = Asked::Key), Code::SignerKindMismatch),
    denied("CRT-18 certificate where a key is demanded, layer", LayerSig, Change::Case(|c| c.question.signer = Asked::Key), Code::SignerKindMismatch),
    denied("CRT-18 certificate where a key is demanded, attestation", LayerAtt, Change::Case(|c| c.question.signer = Asked::Key), Code::SignerKindMismatch),
    denied("CRT-18 certificate where a key is demanded, blob", Blob, Change::Case(|c| c.question.signer = Asked::Key), Code::SignerKindMismatch),
    denied("CRT-18 key where a certificate is demanded", Key, Change::Case(|c| c.question.signer = Asked::Keyless), Code::SignerKindMismatch),
    denied("CRT-18 key alone where a certificate is demanded", KeyAlone, Change::Case(|c| c.question.signer = Asked::Keyless), Code::SignerKindMismatch),
    denied("another key", Key, Change::Case(|c| c.question.key = key(KeyKind::P256)), Code::SignatureInvalid),
    denied("another key alone", KeyAlone, Change::Case(|c| c.question.key = key(KeyKind::P256)), Code::SignatureInvalid),
    denied("CRT-17 key of another kind", Key, Change::Case(|c| c.question.key = key(KeyKind::Ed25519)), Code::SignatureInvalid),
    allowed("P-384", Key, Change::Case(|c| with(c, KeyKind::P384))),
    allowed("P-521", KeyAlone, Change::Case(|c| with(c, KeyKind::P521))),
    allowed("Ed25519", Key, Change::Case(|c| with(c, KeyKind::Ed25519))),
    allowed("RSA", Key, Change::Case(|c| with(c, KeyKind::Rsa2048))),
    allowed("Rekor v2, managed key", Key, Change::Order(|o| *o = o.clone().rekor2())),
    denied("BUN-12 Ed25519 by digest, managed key", File, Change::Case(|c| {
        c.order.certificate = None;
        with(c, KeyKind::Ed25519);
        c.question.signer = Asked::Key;
        c.question.file = None;
    }), Code::KeyUnsupported),
    allowed("file, managed key", File, Change::Case(|c| { c.order.certificate = None; c.order.key = Some(KEY.clone()); c.question.signer = Asked::Key; })),
    allowed("attestation, managed key", Attestation, Change::Case(|c| { c.order.certificate = None; c.order.key = Some(KEY.clone()); c.question.signer = Asked::Key; })),
    denied("certificate taken away", Rekor2, Change::Json(|j| {
        let material = j["verificationMaterial"].as_object_mut().unwrap();
        material.remove("certificate");
        material.insert("publicKey".into(), json!({ "hint": "" }));
    }), Code::SignerKindMismatch),
];

fn with(case: &mut Case, kind: KeyKind) {
    let key = key(kind);
    case.order.key = Some(key.clone());
    case.question.key = key;
}

/// T-CRT-17 and T-LOG-19: what the operator wrote wrong is an error of loading, before any verdict.
#[test]
fn key_files_that_are_none() {
    let limits = Limits::default();
    let good = KEY.public_pem();
    let load = |text: &str| ManagedKey::parse(text.as_bytes(), &limits).is_ok();
    for text in [good.clone(), format!("text\n{good}"), format!("{good}text")] {
        assert!(load(&text), "{text}");
    }
    for bad in [
        String::new(),
        "text".to_owned(),
        good.repeat(2),
        format!("text {good}"),
        format!("{}text", good.trim_end()),
        format!("{good}-----BEGIN"),
        good.replace("PUBLIC", "PRIVATE"),
        good.replace("PUBLIC KEY", "CERTIFICATE"),
        pem("CERTIFICATE", &MINT.fulcio.root.certificate),
        pem("PUBLIC KEY", &[&[0], KEY.spki()].concat()),
        pem("PUBLIC KEY", &[KEY.spki(), &[0]].concat()),
        SigningKey::generate(KeyKind::P256K1).unwrap().public_pem(),
        " ".repeat(limits.key_bytes + 1),
    ] {
        assert!(!load(&bad), "{bad}");
    }
}

#[test]
fn trusted_roots_that_do_not_load() {
    type Edit = fn(&mut Value);
    let limits = Limits::default();
    let load = |edit: Edit| {
        let mut json = MINT.trusted_root().json();
        edit(&mut json);
        TrustRoot::parse(json.to_string().as_bytes(), &limits).is_ok()
    };
    let good: &[(&str, Edit)] = &[
        ("unchanged", |_| {}),
        ("end", |r| {
            r["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2030-01-01T00:00:00Z")
        }),
        ("no timestamp authority", |r| {
            r["timestampAuthorities"] = json!([])
        }),
        ("no CT log", |r| r["ctlogs"] = json!([])),
    ];
    for (name, edit) in good {
        assert!(load(*edit), "{name}");
    }
    let bad: &[(&str, Edit)] = &[
        ("nothing that gives a time", |r| {
            r["tlogs"] = json!([]);
            r["timestampAuthorities"] = json!([]);
        }),
        ("no start", |r| {
            r["tlogs"][0]["publicKey"]["validFor"] = json!({})
        }),
        ("no window", |r| {
            r["tlogs"][0]["publicKey"]["validFor"] = Value::Null
        }),
        ("malformed start", |r| {
            r["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("yesterday")
        }),
        ("malformed end", |r| {
            r["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("")
        }),
        ("end before start", |r| {
            r["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2000-01-01T00:00:00Z")
        }),
        ("malformed window of an authority", |r| {
            r["certificateAuthorities"][0]["validFor"]["start"] = json!("2026")
        }),
        ("CT key without start", |r| {
            r["ctlogs"][0]["publicKey"]["validFor"] = json!({})
        }),
        ("two keys with one id", |r| {
            let one = r["tlogs"][0].clone();
            r["tlogs"].as_array_mut().unwrap().push(one);
        }),
        ("id of 31 bytes", |r| {
            r["tlogs"][0]["logId"]["keyId"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")
        }),
        ("key that is none", |r| {
            r["tlogs"][0]["publicKey"]["rawBytes"] = json!("AAAA")
        }),
        ("empty chain", |r| {
            r["certificateAuthorities"][0]["certChain"]["certificates"] = json!([])
        }),
        ("chain in the wrong order", |r| {
            r["certificateAuthorities"][0]["certChain"]["certificates"]
                .as_array_mut()
                .unwrap()
                .reverse()
        }),
        ("chain of strangers", |r| {
            r["certificateAuthorities"][0]["certChain"]["certificates"][1] =
                r["timestampAuthorities"][0]["certChain"]["certificates"][1].clone()
        }),
        ("unknown member", |r| r["more"] = json!(1)),
        ("unknown type", |r| {
            r["mediaType"] = json!("application/json")
        }),
    ];
    for (name, edit) in bad {
        assert!(!load(*edit), "{name}");
    }
}
