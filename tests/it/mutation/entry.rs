//! The body of a log entry: about this signature, this signer and this payload, or refused.
//!
//! `members.rs` changes every member of every kind of body; here are the cases with a name.

use scgate::model::DenyCode as Code;
use scgate::model::Digest;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryKind;
use scgate::sandbox::mint::EntryOrder;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Order;
use serde_json::Value;
use serde_json::json;

use super::Base::Attestation;
use super::Base::Blob;
use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Base::Promised;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Change;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::entry;
use super::flip_last;
use super::key;

#[test]
fn entries() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Raw: certificate, signature or payload exchanged after it was logged.
    denied("raw certificate after logging", Stamped, Change::Parts(|m| flip_last(m.certificate.as_mut().unwrap())), Code::LogEntryMismatch),
    denied("LOG-01 another signature of the same payload", File, Change::Parts(|m| m.signature = m.key.sign(super::FILE).unwrap()), Code::LogEntryMismatch),
    denied("LOG-01 another signature of the same payload, layer", LayerSig, Change::Parts(|m| m.signature = m.key.sign(m.content.payload()).unwrap()), Code::LogEntryMismatch),
    denied("LOG-01 another signature of the same payload, blob", Blob, Change::Parts(|m| m.signature = m.key.sign(super::FILE).unwrap()), Code::LogEntryMismatch),
    denied("LOG-01 another signature of the same envelope", Stamped, Change::Parts(|m| {
        let envelope = m.envelope.as_mut().unwrap();
        let pae = scgate::sandbox::mint::pae(&envelope.payload_type, &envelope.payload);
        envelope.signatures[0].1 = m.key.sign(&pae).unwrap();
    }), Code::LogEntryMismatch),
    denied("LOG-01 another certificate of the same key", Stamped, Change::Parts(|m| {
        let order = Stamped.case().order.certificate.unwrap();
        let mint = &super::MINT;
        m.certificate = Some(mint.fulcio.intermediate.certify(&order, &m.key, Some(&mint.ct)).unwrap().certificate);
    }), Code::LogEntryMismatch),
    denied("LOG-01 another certificate of the same key, Rekor v2", Rekor2, Change::Parts(|m| {
        let order = Stamped.case().order.certificate.unwrap();
        let mint = &super::MINT;
        m.certificate = Some(mint.fulcio.intermediate.certify(&order, &m.key, Some(&mint.ct)).unwrap().certificate);
    }), Code::LogEntryMismatch),

    // Signed again: the log itself vouches for a body about something else.
    denied("LOG-01 body of another payload", Stamped, Change::Order(|o| body(o, "/spec/payloadHash/value", json!("00".repeat(32)))), Code::LogEntryMismatch),
    denied("LOG-01 body of another payload, Rekor v2", Rekor2, Change::Order(|o| body(o, "/spec/hashedRekordV002/data/digest", json!("AAAA"))), Code::LogEntryMismatch),
    denied("LOG-01 body of another file", File, Change::Order(|o| body(o, "/spec/data/hash/value", json!("00".repeat(32)))), Code::LogEntryMismatch),
    denied("LOG-01 body of another document, layer", LayerSig, Change::Order(|o| body(o, "/spec/data/hash/value", json!("00".repeat(32)))), Code::LogEntryMismatch),
    denied("LOG-01 body of another envelope, layer", LayerAtt, Change::Order(|o| body(o, "/spec/envelopeHash/value", json!("00".repeat(32)))), Code::LogEntryMismatch),
    denied("LOG-01 body of another signature", Stamped, Change::Order(|o| body(o, "/spec/signatures/0/signature", json!("AAAA"))), Code::LogEntryMismatch),
    denied("LOG-01 body of another signature, managed key", Key, Change::Order(|o| body(o, "/spec/signatures/0/signature", json!("AAAA"))), Code::LogEntryMismatch),
    denied("row 34 body of another managed key", Key, Change::Order(|o| body(o, "/spec/signatures/0/verifier", verifier())), Code::LogEntryMismatch),
    denied("LOG-01 key in place of the certificate", Stamped, Change::Order(|o| body(o, "/spec/signatures/0/verifier", verifier())), Code::LogEntryMismatch),
    denied("LOG-01 key in place of the certificate, file", File, Change::Order(|o| body(o, "/spec/signature/publicKey/content", verifier())), Code::LogEntryMismatch),
    denied("row 30 body with two signatures", Stamped, Change::Order(|o| edit(o, |b| { let one = b["spec"]["signatures"][0].clone(); b["spec"]["signatures"].as_array_mut().unwrap().push(one); })), Code::LogEntryMismatch),
    denied("row 30 body without signatures", Stamped, Change::Order(|o| body(o, "/spec/signatures", json!([]))), Code::LogEntryMismatch),
    denied("key beside the certificate, Rekor v2", Rekor2, Change::Order(|o| edit(o, |b| b["spec"]["hashedRekordV002"]["signature"]["verifier"]["publicKey"] = json!({ "rawBytes": "" }))), Code::LogEntryMismatch),

    // Kind and version.
    denied("LOG-11 row 34 unknown kind", Stamped, Change::Order(|o| entry(o).kind = Some(EntryKind::Dsse2)), Code::LogEntryUnsupported),
    denied("LOG-11 raw kind", Stamped, Change::Parts(|m| m.entries[0].kind = "evil".into()), Code::LogEntryUnsupported),
    denied("LOG-11 raw version", Stamped, Change::Parts(|m| m.entries[0].version = "0.0.9".into()), Code::LogEntryUnsupported),
    denied("LOG-11 raw kind of another form", Stamped, Change::Parts(|m| m.entries[0].kind = "hashedrekord".into()), Code::LogEntryMalformed),
    denied("LOG-11 body says another kind", Stamped, Change::Order(|o| body(o, "/kind", json!("intoto"))), Code::LogEntryMismatch),
    denied("LOG-11 body says another version", Stamped, Change::Order(|o| body(o, "/apiVersion", json!("0.0.2"))), Code::LogEntryMismatch),
    denied("LOG-11 unknown kind in a layer", LayerSig, Change::Order(|o| body(o, "/kind", json!("evil"))), Code::LogEntryUnsupported),
    denied("LOG-11 unknown version in a layer", LayerSig, Change::Order(|o| body(o, "/apiVersion", json!("9"))), Code::LogEntryUnsupported),
    denied("LOG-11 file form for an envelope", Stamped, Change::Order(|o| entry(o).kind = Some(EntryKind::HashedRekord1)), Code::LogEntryMismatch),
    denied("LOG-11 envelope form for a file", File, Change::Order(|o| entry(o).kind = Some(EntryKind::Dsse1)), Code::LogEntryMismatch),
    denied("LOG-11 in-toto form for a file", File, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto2)), Code::LogEntryMismatch),
    denied("LOG-11 old in-toto form for a file", File, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto1)), Code::LogEntryMismatch),
    denied("LOG-11 envelope form for a document", LayerSig, Change::Order(|o| entry(o).kind = Some(EntryKind::Dsse1)), Code::LogEntryMismatch),
    denied("LOG-11 file form for an attestation layer", LayerAtt, Change::Order(|o| entry(o).kind = Some(EntryKind::HashedRekord1)), Code::LogEntryMismatch),
    allowed("in-toto 0.0.2", Attestation, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto2))),
    allowed("in-toto 0.0.1", Attestation, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto1))),
    allowed("in-toto 0.0.2 in a layer", LayerAtt, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto2))),
    allowed("in-toto 0.0.1 in a layer", LayerAtt, Change::Order(|o| entry(o).kind = Some(EntryKind::Intoto1))),
    denied("in-toto 0.0.1 of another envelope", Attestation, Change::Order(|o| { entry(o).kind = Some(EntryKind::Intoto1); body(o, "/spec/content/hash/value", json!("00".repeat(32))); }), Code::LogEntryMismatch),
    denied("in-toto 0.0.2 of another signature", Attestation, Change::Order(|o| { entry(o).kind = Some(EntryKind::Intoto2); body(o, "/spec/content/envelope/signatures/0/sig", json!("QUFBQQ==")); }), Code::LogEntryMismatch),
    denied("in-toto 0.0.2 of another payload type", Attestation, Change::Order(|o| { entry(o).kind = Some(EntryKind::Intoto2); body(o, "/spec/content/envelope/payloadType", json!("text/plain")); }), Code::LogEntryMismatch),

    // Form of the body.
    denied("LOG-11 garbage after the body", Stamped, Change::Order(|o| bytes(o, |b| b.extend(b"{}"))), Code::LogEntryMalformed),
    denied("LOG-11 garbage after the body, layer", LayerSig, Change::Order(|o| bytes(o, |b| b.extend(b"{}"))), Code::LogEntryMalformed),
    denied("LOG-11 garbage after the base64, bundle", Stamped, Change::Json(|j| {
        let body = &mut j["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"];
        *body = json!(format!("{}!", body.as_str().unwrap()));
    }), Code::BundleMalformed),
    denied("row 14 empty body", Stamped, Change::Order(|o| bytes(o, Vec::clear)), Code::LogEntryMalformed),
    denied("row 14 null body", Stamped, Change::Order(|o| bytes(o, |b| *b = b"null".to_vec())), Code::LogEntryMalformed),
    denied("row 14 list as body", Promised, Change::Order(|o| bytes(o, |b| *b = b"[]".to_vec())), Code::LogEntryMalformed),
    denied("row 14 body without spec", Chain, Change::Order(|o| body(o, "/spec", Value::Null)), Code::LogEntryMalformed),
    denied("body with a member twice", Stamped, Change::Order(|o| bytes(o, |b| { b.pop(); b.extend(br#","kind":"dsse"}"#); })), Code::LogEntryMalformed),
    denied("body with a deep member twice", Stamped, Change::Order(|o| bytes(o, |b| { b.pop(); b.extend(br#","x":{"a":1,"a":2}}"#); })), Code::LogEntryMalformed),
    denied("body nested 100,000 deep", Stamped, Change::Order(|o| bytes(o, |b| *b = "[".repeat(100_000).into_bytes())), Code::LogEntryMalformed),
    denied("body that is not UTF-8", Stamped, Change::Order(|o| bytes(o, |b| *b = vec![0xff])), Code::LogEntryMalformed),
    denied("body of 4 MiB and more", Stamped, Change::Order(|o| bytes(o, |b| { let at = b.len() - 1; b.splice(at..at, vec![b' '; 4 << 20]); })), Code::LimitExceeded),
    denied("body of 4 MiB and more, layer", LayerSig, Change::Order(|o| bytes(o, |b| { let at = b.len() - 1; b.splice(at..at, vec![b' '; 4 << 20]); })), Code::LimitExceeded),

    // Content exchanged as a whole; the entry stays genuine.
    denied("LOG-01 entry of another digest", Rekor2, Change::Case(|c| {
        let other = Order { content: Content::image(Digest::sha256(b"other")), ..c.order.clone() };
        let entry = c.mint.sign(&other).unwrap().entries.remove(0);
        c.order.entries = vec![EntryOrder { body_bytes: Hook::new(move |body: &mut Vec<u8>| body.clone_from(&entry.body)), ..EntryOrder::v2() }];
    }), Code::LogEntryMismatch),
];

fn edit(order: &mut Order, change: fn(&mut Value)) {
    entry(order).body = Hook::new(change);
}

fn body(order: &mut Order, pointer: &'static str, to: Value) {
    entry(order).body = Hook::new(move |body: &mut Value| {
        *body.pointer_mut(pointer).unwrap() = to.clone();
    });
}

fn bytes(order: &mut Order, change: fn(&mut Vec<u8>)) {
    entry(order).body_bytes = Hook::new(change);
}

/// Another key as Rekor v1 keeps it.
fn verifier() -> Value {
    let pem = key(KeyKind::P256).public_pem();
    json!(base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        pem
    ))
}
