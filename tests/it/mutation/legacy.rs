//! The legacy layouts: annotations, blob files, and detached signatures.

use scgate::model::DenyCode as Code;
use scgate::model::Limits;
use scgate::sandbox::mint::pem;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;
use serde_json::Value;
use serde_json::json;

use super::Asked;
use super::Base;
use super::Base::Blob;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Change;
use super::FILE;
use super::KEY;
use super::MINT;
use super::Notes;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::now;
use super::stranger;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

#[test]
fn legacy_layouts() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Signature.
    denied("BUN-14 no signature", LayerSig, Change::Notes(|n| drop(n.remove(SIGNATURE))), Code::LegacyMalformed),
    denied("BUN-14 empty signature", LayerSig, Change::Notes(|n| put(n, SIGNATURE, "")), Code::SignatureMalformed),
    denied("BUN-14 signature that is not base64", LayerSig, Change::Notes(|n| put(n, SIGNATURE, "?")), Code::SignatureMalformed),
    denied("BUN-14 signature of 10 MiB", LayerSig, Change::Notes(|n| put(n, SIGNATURE, &"A".repeat(10 << 20))), Code::SignatureInvalid),
    allowed("signature annotation of an attestation is nobody's", LayerAtt, Change::Notes(|n| put(n, SIGNATURE, "?"))),

    // Certificate and chain.
    denied("BUN-14 two certificates", LayerSig, Change::Notes(|n| { let one = n[CERTIFICATE].clone(); put(n, CERTIFICATE, &format!("{one}{one}")); }), Code::LegacyMalformed),
    denied("CRT-14 text before the certificate", LayerSig, Change::Notes(|n| { let one = n[CERTIFICATE].clone(); put(n, CERTIFICATE, &format!("text\n{one}")); }), Code::LegacyMalformed),
    denied("CRT-14 text after the certificate", LayerSig, Change::Notes(|n| { let one = n[CERTIFICATE].clone(); put(n, CERTIFICATE, &format!("{one}text")); }), Code::LegacyMalformed),
    allowed("CRT-14 CRLF", LayerSig, Change::Notes(|n| { let one = n[CERTIFICATE].replace('\n', "\r\n"); put(n, CERTIFICATE, &one); })),
    denied("CRT-17 key in place of the certificate", LayerSig, Change::Notes(|n| put(n, CERTIFICATE, &KEY.public_pem())), Code::LegacyMalformed),
    denied("CRT-17 key in place of the certificate, attestation", LayerAtt, Change::Notes(|n| put(n, CERTIFICATE, &KEY.public_pem())), Code::LegacyMalformed),
    denied("certificate that is no PEM", LayerSig, Change::Notes(|n| put(n, CERTIFICATE, "certificate")), Code::LegacyMalformed),
    denied("blank certificate", LayerSig, Change::Notes(|n| put(n, CERTIFICATE, "\n")), Code::LegacyMalformed),
    denied("row 11 no certificate", LayerSig, Change::Notes(|n| drop(n.remove(CERTIFICATE))), Code::SignerKindMismatch),
    denied("row 11 empty certificate", LayerSig, Change::Notes(|n| put(n, CERTIFICATE, "")), Code::SignerKindMismatch),
    denied("certificate of another signature", LayerSig, Change::Notes(|n| put(n, CERTIFICATE, &certificate())), Code::SignatureInvalid),
    allowed("no chain", LayerSig, Change::Notes(|n| drop(n.remove(CHAIN)))),
    allowed("empty chain", LayerSig, Change::Notes(|n| put(n, CHAIN, ""))),
    allowed("chain of a stranger leads nowhere", LayerSig, Change::Notes(|n| put(n, CHAIN, &pem("CERTIFICATE", &stranger().fulcio.intermediate.certificate)))),
    denied("chain that is no PEM", LayerSig, Change::Notes(|n| put(n, CHAIN, "chain")), Code::LegacyMalformed),
    denied("chain of keys", LayerSig, Change::Notes(|n| put(n, CHAIN, &KEY.public_pem())), Code::LegacyMalformed),
    allowed("chain of 8, layer", LayerSig, Change::Notes(|n| put(n, CHAIN, &pem("CERTIFICATE", &MINT.fulcio.root.certificate).repeat(8)))),
    denied("chain of 9, layer", LayerSig, Change::Notes(|n| put(n, CHAIN, &pem("CERTIFICATE", &MINT.fulcio.root.certificate).repeat(9))), Code::LimitExceeded),
    denied("chain of 512 KiB and more", LayerSig, Change::Notes(|n| put(n, CHAIN, &"A".repeat((512 << 10) + 1))), Code::LimitExceeded),

    // Log.
    denied("BUN-14 log {}", LayerSig, Change::Notes(|n| put(n, LOG, "{}")), Code::LegacyMalformed),
    denied("BUN-14 log null", LayerSig, Change::Notes(|n| put(n, LOG, "null")), Code::LegacyMalformed),
    denied("log that is not JSON", LayerAtt, Change::Notes(|n| put(n, LOG, "log")), Code::LegacyMalformed),
    denied("log with an unknown member", LayerSig, Change::Notes(|n| edit(n, |l| l["more"] = json!(1))), Code::LegacyMalformed),
    denied("log with an unknown member of the payload", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["more"] = json!(1))), Code::LegacyMalformed),
    denied("log with a member twice", LayerSig, Change::Notes(|n| { let log = n[LOG].replacen('{', "{\"SignedEntryTimestamp\":\"\",", 1); put(n, LOG, &log); }), Code::LegacyMalformed),
    denied("log time as text", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["integratedTime"] = json!("1"))), Code::LegacyMalformed),
    denied("log index that is negative", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["logIndex"] = json!(-1))), Code::LegacyMalformed),
    denied("log id that is not hexadecimal", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["logID"] = json!("zz"))), Code::LogEntryMalformed),
    denied("log body that is not base64", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["body"] = json!("?"))), Code::LogEntryMalformed),
    denied("log body that is not JSON", LayerSig, Change::Notes(|n| edit(n, |l| l["Payload"]["body"] = json!("AAAA"))), Code::LogEntryMalformed),
    denied("promise that is not base64", LayerSig, Change::Notes(|n| edit(n, |l| l["SignedEntryTimestamp"] = json!("?"))), Code::LogPromiseInvalid),
    denied("log annotation of 8 MiB and more", LayerSig, Change::Notes(|n| put(n, LOG, &" ".repeat((8 << 20) + 1))), Code::LimitExceeded),

    // Timestamp.
    denied("timestamp {}", LayerSig, Change::Notes(|n| put(n, TIMESTAMP, "{}")), Code::LegacyMalformed),
    denied("timestamp null", LayerSig, Change::Notes(|n| put(n, TIMESTAMP, "null")), Code::LegacyMalformed),
    denied("timestamp that is not base64", LayerSig, Change::Notes(|n| put(n, TIMESTAMP, "{\"SignedRFC3161Timestamp\":\"?\"}")), Code::TimestampMalformed),
    denied("timestamp of 64 KiB and more", LayerSig, Change::Notes(|n| put(n, TIMESTAMP, &format!("{{\"SignedRFC3161Timestamp\":\"{}\"}}", "AAAA".repeat(21_846)))), Code::LimitExceeded),
    allowed("no timestamp beside a promise", LayerSig, Change::Notes(|n| drop(n.remove(TIMESTAMP)))),

    // The layer itself.
    denied("attestation layer that is not JSON", LayerAtt, Change::Bytes(|b| *b = b"layer".to_vec()), Code::LegacyMalformed),
    denied("attestation layer with an unknown member", LayerAtt, Change::Json(|j| j["more"] = json!(1)), Code::LegacyMalformed),
    denied("attestation layer with a member twice", LayerAtt, Change::Bytes(|b| drop(b.splice(1..1, b"\"payload\":\"\",".iter().copied()))), Code::LegacyMalformed),
    denied("attestation layer in other words", LayerAtt, Change::Bytes(|b| b.push(b'\n')), Code::LogEntryMismatch),
    denied("document in an attestation layer", LayerAtt, Change::Bytes(|b| *b = super::simple_signing().payload().to_vec()), Code::LegacyMalformed),
    allowed("annotation that nobody knows", LayerSig, Change::Notes(|n| put(n, "predicateType", "anything"))),
    allowed("ATT-04 annotation of another predicate type", LayerAtt, Change::Notes(|n| put(n, "predicateType", "https://spdx.dev/Document"))),

    // The blob file.
    denied("row 10 BUN-13 key in place of the certificate", Blob, Change::Case(|c| { c.order.certificate = None; }), Code::SignerKindMismatch),
    denied("row 10 BUN-13 key of a stranger in place of the certificate", Blob, Change::Json(|j| j["cert"] = text(&KEY.public_pem())), Code::SignerKindMismatch),
    denied("row 11 no certificate, blob", Blob, Change::Json(|j| j["cert"] = Value::Null), Code::SignerKindMismatch),
    denied("row 11 empty certificate, blob", Blob, Change::Json(|j| j["cert"] = json!("")), Code::SignerKindMismatch),
    denied("certificate of another signature, blob", Blob, Change::Json(|j| j["cert"] = text(&certificate())), Code::SignatureInvalid),
    denied("certificate that is not base64, blob", Blob, Change::Json(|j| j["cert"] = json!("?")), Code::LegacyMalformed),
    denied("certificate that is no PEM, blob", Blob, Change::Json(|j| j["cert"] = json!("AAAA")), Code::LegacyMalformed),
    denied("certificate that is not text, blob", Blob, Change::Json(|j| j["cert"] = json!("/////w==")), Code::LegacyMalformed),
    denied("key and certificate, blob", Blob, Change::Json(|j| j["cert"] = text(&format!("{}{}", KEY.public_pem(), certificate()))), Code::LegacyMalformed),
    denied("blank certificate, blob", Blob, Change::Json(|j| j["cert"] = text(" ")), Code::LegacyMalformed),
    denied("empty signature, blob", Blob, Change::Json(|j| j["base64Signature"] = json!("")), Code::SignatureMalformed),
    denied("signature that is not base64, blob", Blob, Change::Json(|j| j["base64Signature"] = json!("?")), Code::SignatureMalformed),
    denied("no signature, blob", Blob, Change::Json(|j| drop(j.as_object_mut().unwrap().remove("base64Signature"))), Code::LegacyMalformed),
    denied("unknown member, blob", Blob, Change::Json(|j| j["more"] = json!(1)), Code::LegacyMalformed),
    denied("member twice, blob", Blob, Change::Bytes(|b| drop(b.splice(1..1, b"\"cert\":\"\",".iter().copied()))), Code::LegacyMalformed),
    denied("not JSON, blob", Blob, Change::Bytes(|b| *b = b"blob".to_vec()), Code::LegacyMalformed),
    denied("blob file of 8 MiB and more", Blob, Change::Bytes(|b| b.resize((8 << 20) + 1, b' ')), Code::LimitExceeded),
    allowed("managed key, blob", Blob, Change::Case(|c| { c.order.certificate = None; c.order.key = Some(KEY.clone()); c.question.signer = Asked::Key; })),
    denied("another managed key, blob", Blob, Change::Case(|c| { c.order.certificate = None; c.question.signer = Asked::Key; }), Code::SignatureInvalid),
    allowed("managed key, layer", LayerSig, Change::Case(|c| { c.order.certificate = None; c.order.key = Some(KEY.clone()); c.question.signer = Asked::Key; })),
];

fn put(notes: &mut Notes, name: &str, value: &str) {
    notes.insert(name.to_owned(), value.to_owned());
}

fn edit(notes: &mut Notes, change: fn(&mut Value)) {
    let mut log = serde_json::from_str(&notes[LOG]).unwrap();
    change(&mut log);
    notes.insert(LOG.to_owned(), log.to_string());
}

/// A right certificate, of another key.
fn certificate() -> String {
    pem(
        "CERTIFICATE",
        &Base::File.case().minted().certificate.unwrap(),
    )
}

fn text(pem: &str) -> Value {
    json!(base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        pem
    ))
}

/// A signature and a certificate in files of their own, with a timestamp in place of a log entry.
#[test]
fn detached_signatures() {
    let limits = Limits::default();
    let minted = Base::File.case().minted();
    let root = TrustRoot::parse(&MINT.trusted_root().bytes(), &limits).unwrap();
    let mut terms = Terms::default();
    terms.log = LogTerm::InsecureNone;
    let ask = |signature: &[u8], certificate: Option<&[u8]>, stamp: Option<&[u8]>, terms: Terms| {
        let bundle = Bundle::from_detached(signature, certificate, stamp, &limits)?;
        let artifact = Artifact::Bytes(FILE);
        verify(&bundle, artifact, Trust::Root(&root), terms, now(), &limits)
    };
    let chosen = pem("CERTIFICATE", minted.certificate.as_ref().unwrap());
    let encoded = text(&chosen).as_str().unwrap().to_owned();
    let (signature, stamp) = (&minted.signature, &minted.timestamps[0]);
    let certificate = Some(chosen.as_bytes());
    let as_text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
    for (good, certificate) in [
        (signature.as_slice(), certificate),
        (as_text.as_bytes(), certificate),
        (as_text.as_bytes(), Some(encoded.as_bytes())),
    ] {
        assert!(ask(good, certificate, Some(stamp), terms).is_ok());
    }
    let other = self::certificate();
    let key = KEY.public_pem();
    let mut flipped = stamp.clone();
    super::flip_last(&mut flipped);
    for (name, verdict, code) in [
        (
            "log demanded",
            ask(signature, certificate, Some(stamp), Terms::default()),
            Code::LogEntryMissing,
        ),
        (
            "no time",
            ask(signature, certificate, None, terms),
            Code::TimeMissing,
        ),
        (
            "empty",
            ask(b"", certificate, Some(stamp), terms),
            Code::SignatureMalformed,
        ),
        (
            "no certificate",
            ask(signature, None, Some(stamp), terms),
            Code::SignerKindMismatch,
        ),
        (
            "key",
            ask(signature, Some(key.as_bytes()), Some(stamp), terms),
            Code::LegacyMalformed,
        ),
        (
            "not PEM",
            ask(signature, Some(b"?"), Some(stamp), terms),
            Code::LegacyMalformed,
        ),
        (
            "not text",
            ask(signature, Some(&[0xff]), Some(stamp), terms),
            Code::LegacyMalformed,
        ),
        (
            "other certificate",
            ask(signature, Some(other.as_bytes()), Some(stamp), terms),
            Code::SignatureInvalid,
        ),
        (
            "other bytes",
            ask(&[7; 70], certificate, Some(stamp), terms),
            Code::SignatureInvalid,
        ),
        (
            "token",
            ask(signature, certificate, Some(&flipped), terms),
            Code::TimestampInvalid,
        ),
        (
            "large token",
            ask(signature, certificate, Some(&[0; 65537]), terms),
            Code::LimitExceeded,
        ),
    ] {
        assert_eq!(verdict.map_err(|e| e.code()).err(), Some(code), "{name}");
    }
}
