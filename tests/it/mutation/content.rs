//! Envelope, message signature and simple-signing document: what is signed, and how it is carried.

use scgate::model::DenyCode as Code;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use serde_json::json;

use super::Base::Attestation;
use super::Base::Blob;
use super::Base::File;
use super::Base::Key;
use super::Base::KeyAlone;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::Change;
use super::FILE;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::flip;
use super::key;
use super::swap_text;

#[test]
fn contents() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // The envelope, raw.
    denied("DSSE-01 raw payload type", Stamped, Change::Parts(|m| envelope(m).payload_type = "text/plain".into()), Code::SignatureInvalid),
    denied("DSSE-01 raw payload type, empty", Stamped, Change::Parts(|m| envelope(m).payload_type.clear()), Code::SignatureInvalid),
    denied("DSSE-01 raw payload type, upper case", Stamped, Change::Parts(|m| envelope(m).payload_type.make_ascii_uppercase()), Code::SignatureInvalid),
    denied("DSSE-01 raw payload type, with a parameter", Stamped, Change::Parts(|m| envelope(m).payload_type.push_str("; a=b")), Code::SignatureInvalid),
    denied("DSSE-01 raw payload type, layer", LayerAtt, Change::Parts(|m| envelope(m).payload_type = "text/plain".into()), Code::SignatureInvalid),
    denied("raw payload", Stamped, Change::Parts(|m| flip(&mut envelope(m).payload)), Code::SignatureInvalid),
    denied("raw signature", Stamped, Change::Parts(|m| flip(&mut envelope(m).signatures[0].1)), Code::SignatureInvalid),
    denied("raw signature, Rekor v2", Rekor2, Change::Parts(|m| flip(&mut envelope(m).signatures[0].1)), Code::SignatureInvalid),
    denied("raw signature, managed key", Key, Change::Parts(|m| flip(&mut envelope(m).signatures[0].1)), Code::SignatureInvalid),
    denied("raw signature, managed key alone", KeyAlone, Change::Parts(|m| flip(&mut envelope(m).signatures[0].1)), Code::SignatureInvalid),
    denied("raw signature, layer", LayerAtt, Change::Parts(|m| flip(&mut envelope(m).signatures[0].1)), Code::SignatureInvalid),
    denied("empty signature", Stamped, Change::Parts(|m| envelope(m).signatures[0].1.clear()), Code::SignatureMalformed),
    denied("empty signature, layer", LayerAtt, Change::Parts(|m| envelope(m).signatures[0].1.clear()), Code::SignatureMalformed),
    denied("signature that is not base64", Stamped, Change::Json(|j| j["dsseEnvelope"]["signatures"][0]["sig"] = json!("?")), Code::SignatureMalformed),
    denied("no signature member", Stamped, Change::Json(|j| drop(j["dsseEnvelope"]["signatures"][0].as_object_mut().unwrap().remove("sig"))), Code::SignatureMalformed),
    allowed("key id of a signature is a hint", Stamped, Change::Parts(|m| envelope(m).signatures[0].0 = Some("anything".into()))),

    // The envelope, signed again.
    denied("DSSE-02 statement under the type of a document", Stamped, Change::Order(|o| o.envelope.payload_type = media_type::SIMPLE_SIGNING.into()), Code::PayloadTypeUnsupported),
    denied("DSSE-02 document under the type of a statement", Stamped, Change::Order(|o| {
        let Content::SimpleSigning(text) = super::simple_signing() else { panic!() };
        o.content = Content::Statement(text);
    }), Code::PayloadMalformed),
    denied("DSSE-01 payload type, signed", Stamped, Change::Order(|o| o.envelope.payload_type = "text/plain".into()), Code::PayloadTypeUnsupported),
    denied("DSSE-01 empty payload type, signed", Stamped, Change::Order(|o| o.envelope.payload_type.clear()), Code::PayloadTypeUnsupported),
    denied("DSSE-01 upper case, signed", Stamped, Change::Order(|o| o.envelope.payload_type.make_ascii_uppercase()), Code::PayloadTypeUnsupported),
    denied("DSSE-01 parameter, signed", Stamped, Change::Order(|o| o.envelope.payload_type.push_str("; a=b")), Code::PayloadTypeUnsupported),
    denied("DSSE-01 payload type, signed, layer", LayerAtt, Change::Order(|o| o.envelope.payload_type = "text/plain".into()), Code::PayloadTypeUnsupported),
    denied("DSSE-01 empty payload type, layer", LayerAtt, Change::Order(|o| o.envelope.payload_type.clear()), Code::LegacyMalformed),
    denied("DSSE-03 length one too long", Stamped, Change::Order(|o| pae(o, |p| swap_text(p, "DSSEv1 28 ", "DSSEv1 29 "))), Code::SignatureInvalid),
    denied("DSSE-03 two spaces", Stamped, Change::Order(|o| pae(o, |p| swap_text(p, "DSSEv1 28 ", "DSSEv1 28  "))), Code::SignatureInvalid),
    denied("DSSE-03 hexadecimal length", Stamped, Change::Order(|o| pae(o, |p| swap_text(p, "DSSEv1 28 ", "DSSEv1 0x1c "))), Code::SignatureInvalid),
    denied("DSSE-03 length beyond 64 bits", Stamped, Change::Order(|o| pae(o, |p| swap_text(p, "DSSEv1 28 ", "DSSEv1 18446744073709551644 "))), Code::SignatureInvalid),
    denied("DSSE-03 other version", Stamped, Change::Order(|o| pae(o, |p| swap_text(p, "DSSEv1 28 ", "DSSEv2 28 "))), Code::SignatureInvalid),
    denied("DSSE-03 the payload alone is signed", Stamped, Change::Order(|o| { let payload = o.content.payload().to_vec(); o.signed = Hook::new(move |b: &mut Vec<u8>| b.clone_from(&payload)); }), Code::SignatureInvalid),
    denied("DSSE-04 row 30 no signature", Stamped, Change::Order(|o| o.envelope.signatures = 0), Code::EnvelopeMalformed),
    denied("DSSE-04 row 30 two signatures", Stamped, Change::Order(|o| o.envelope.signatures = 2), Code::EnvelopeMalformed),
    denied("DSSE-04 row 30 three signatures", Stamped, Change::Order(|o| o.envelope.signatures = 3), Code::EnvelopeMalformed),
    denied("DSSE-04 two signatures, layer", LayerAtt, Change::Order(|o| o.envelope.signatures = 2), Code::EnvelopeMalformed),
    denied("DSSE-04 two signatures, managed key", Key, Change::Order(|o| o.envelope.signatures = 2), Code::EnvelopeMalformed),
    denied("signature over something else, logged", Stamped, Change::Order(|o| o.signed = Hook::new(|b: &mut Vec<u8>| b.push(0))), Code::SignatureInvalid),
    denied("broken signature, logged", Rekor2, Change::Order(|o| o.signature = Hook::new(|s: &mut Vec<u8>| flip(s))), Code::SignatureInvalid),

    // The text form of the payload: the signed bytes are the decoded ones.
    allowed("DSSE-05 URL-safe alphabet", Attestation, Change::Json(|j| payload(j, |p| *p = p.replace('+', "-").replace('/', "_")))),
    allowed("DSSE-05 no padding", Attestation, Change::Json(|j| payload(j, |p| *p = p.trim_end_matches('=').to_owned()))),
    allowed("DSSE-05 line breaks", Attestation, Change::Json(|j| payload(j, |p| p.insert(8, '\n')))),
    denied("DSSE-05 blank", Attestation, Change::Json(|j| payload(j, |p| p.insert(8, ' '))), Code::BundleMalformed),
    denied("DSSE-05 invalid character", Attestation, Change::Json(|j| payload(j, |p| p.insert(8, '!'))), Code::BundleMalformed),
    denied("DSSE-05 text after the padding", Attestation, Change::Json(|j| payload(j, |p| p.push_str("=A"))), Code::BundleMalformed),

    // A message signature.
    denied("raw message signature", File, Change::Parts(|m| flip(&mut m.signature)), Code::SignatureInvalid),
    denied("raw message digest", File, Change::Parts(|m| flip(&mut m.message_digest.1)), Code::SubjectMismatch),
    denied("BUN-11 unspecified digest algorithm", File, Change::Json(|j| j["messageSignature"]["messageDigest"]["algorithm"] = json!("HASH_ALGORITHM_UNSPECIFIED")), Code::BundleMalformed),
    denied("BUN-11 other digest algorithm", File, Change::Json(|j| j["messageSignature"]["messageDigest"]["algorithm"] = json!("SHA2_512")), Code::SubjectMismatch),
    denied("BUN-11 other digest algorithm, by digest", File, Change::Case(|c| { c.order.key = Some(key(KeyKind::P384)); c.question.file = None; }), Code::KeyUnsupported),
    allowed("BUN-11 digest by SHA-512", File, Change::Parts(|m| m.message_digest = (HashKind::Sha512, HashKind::Sha512.of(FILE)))),
    allowed("BUN-11 no digest, which is a hint", File, Change::Json(|j| drop(j["messageSignature"].as_object_mut().unwrap().remove("messageDigest")))),
    denied("BUN-11 digest right, signature over something else", File, Change::Order(|o| o.signed = Hook::new(|b: &mut Vec<u8>| b.push(0))), Code::SignatureInvalid),
    denied("row 33 signature of another file, no digest", File, Change::Case(|c| { c.order.content = Content::Message(b"other".to_vec()); }), Code::SubjectMismatch),
    denied("another file is asked for", File, Change::Case(|c| c.question.file = Some(b"other".to_vec())), Code::SubjectMismatch),
    denied("another file is asked for, blob", Blob, Change::Case(|c| c.question.file = Some(b"other".to_vec())), Code::SignatureInvalid),
    allowed("BUN-12 by digest", File, Change::Case(|c| c.question.file = None)),
    denied("BUN-12 by another digest", File, Change::Case(|c| { c.question.file = None; c.question.digest = Digest::sha256(b"other"); }), Code::SubjectMismatch),
    denied("BUN-12 Ed25519 by digest", File, Change::Case(|c| { c.order.key = Some(key(KeyKind::Ed25519)); c.question.file = None; }), Code::KeyUnsupported),
    allowed("BUN-12 Ed25519 by file", File, Change::Case(|c| c.order.key = Some(key(KeyKind::Ed25519)))),
    denied("BUN-12 by a SHA-512 digest", File, Change::Case(sha512), Code::SubjectMismatch),
    denied("empty message signature", File, Change::Parts(|m| m.signature.clear()), Code::SignatureMalformed),
    denied("message signature that is not base64", File, Change::Json(|j| j["messageSignature"]["signature"] = json!("?")), Code::SignatureMalformed),
    denied("no message signature", File, Change::Json(|j| j["messageSignature"]["signature"] = serde_json::Value::Null), Code::SignatureMalformed),

    // A simple-signing document, raw and signed again.
    denied("raw docker-reference", LayerSig, Change::Bytes(|b| super::swap(b, b"acme/shop", b"evil/shop")), Code::SignatureInvalid),
    denied("raw docker-manifest-digest", LayerSig, Change::Bytes(|b| super::swap(b, Digest::sha256(FILE).hex().as_bytes(), Digest::sha256(b"x").hex().as_bytes())), Code::SignatureInvalid),
    denied("raw type", LayerSig, Change::Bytes(|b| super::swap(b, b"cosign container", b"cosigm container")), Code::SignatureInvalid),
    denied("raw annotations", LayerSig, Change::Bytes(|b| super::swap(b, b"null", b"{}")), Code::SignatureInvalid),
    denied("raw document, white space", LayerSig, Change::Bytes(|b| b.push(b'\n')), Code::SignatureInvalid),
    denied("raw signature of a document", LayerSig, Change::Parts(|m| flip(&mut m.signature)), Code::SignatureInvalid),
    allowed("T-REG-16 docker-reference is a name that copying changes", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "acme/shop", "evil/shop")))),
    denied("DSSE-13 other type", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "cosign container", "atomic container"))), Code::PayloadMalformed),
    denied("DSSE-13 no type", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, ",\"type\":\"cosign container image signature\"", ""))), Code::PayloadMalformed),
    denied("DSSE-13 no digest", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "docker-manifest-digest", "other"))), Code::PayloadMalformed),
    denied("DSSE-13 digest in capitals", LayerSig, Change::Order(|o| text(o, |t| { let hex = Digest::sha256(FILE).hex(); swap_text(t, &hex, &hex.to_uppercase()); })), Code::PayloadMalformed),
    denied("DSSE-13 digest without algorithm", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "\"sha256:", "\""))), Code::PayloadMalformed),
    denied("DSSE-13 digest twice", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "{\"docker-manifest-digest\"", "{\"docker-manifest-digest\":\"sha256:00\",\"docker-manifest-digest\""))), Code::PayloadMalformed),
    denied("DSSE-13 digest in both spellings", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "{\"docker-manifest-digest\"", "{\"Docker-manifest-digest\":\"sha256:00\",\"docker-manifest-digest\""))), Code::PayloadMalformed),
    allowed("DSSE-13 early spelling", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "\"docker-manifest-digest\"", "\"Docker-manifest-digest\"")))),
    denied("DSSE-13 unknown member", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "{\"critical\"", "{\"more\":1,\"critical\""))), Code::PayloadMalformed),
    denied("document of another image", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, &Digest::sha256(FILE).hex(), &Digest::sha256(b"x").hex()))), Code::SubjectMismatch),
    denied("another image is asked for, layer", LayerSig, Change::Case(|c| c.question.file = Some(b"other".to_vec())), Code::SubjectMismatch),
    denied("annotations that are no map", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "null", "[]"))), Code::PayloadMalformed),
    denied("annotation twice", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "null", "{\"a\":\"b\",\"a\":\"c\"}"))), Code::PayloadMalformed),
    allowed("4096 values in annotations, document", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "null", &json!({"a": vec![0; 4095]}).to_string())))),
    denied("4097 values in annotations, document", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "null", &json!({"a": vec![0; 4096]}).to_string()))), Code::LimitExceeded),
    denied("an annotation under a name that is an instruction, document", LayerSig, Change::Order(|o| text(o, |t| swap_text(t, "null", &json!({"a": {"$serde_json::private::RawValue": "\"b\""}}).to_string()))), Code::PayloadMalformed),
    denied("document null", LayerSig, Change::Order(|o| text(o, |t| *t = "null".into())), Code::PayloadMalformed),
];

fn envelope(minted: &mut Minted) -> &mut scgate::sandbox::mint::Envelope {
    minted.envelope.as_mut().unwrap()
}

/// The text that is signed in place of the pre-authentication encoding.
fn pae(order: &mut Order, change: fn(&mut String)) {
    order.signed = Hook::new(move |bytes: &mut Vec<u8>| {
        let mut text = String::from_utf8(bytes.clone()).unwrap();
        change(&mut text);
        *bytes = text.into_bytes();
    });
}

fn payload(bundle: &mut serde_json::Value, change: fn(&mut String)) {
    let member = &mut bundle["dsseEnvelope"]["payload"];
    let mut text = member.as_str().unwrap().to_owned();
    change(&mut text);
    *member = json!(text);
}

fn text(order: &mut Order, change: fn(&mut String)) {
    let Content::SimpleSigning(text) = &mut order.content else {
        panic!("not a document");
    };
    change(text);
}

fn sha512(case: &mut Case) {
    let hex: String = HashKind::Sha512
        .of(FILE)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    case.question.digest = Digest::parse(&format!("sha512:{hex}")).unwrap();
    case.question.file = None;
}
