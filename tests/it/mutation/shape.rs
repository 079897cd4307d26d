//! The bundle as JSON: its type, its members, its numbers, its sizes.

use scgate::model::DenyCode as Code;
use serde_json::Value;
use serde_json::json;

use super::Base::Attestation;
use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::Promised;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Change;
use super::Form;
use super::MINT;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::entry;
use super::stranger;

#[test]
fn shapes() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Media type.
    allowed("BUN-01 0.1", Chain, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle+json;version=0.1"))),
    allowed("BUN-01 0.2", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle+json;version=0.2"))),
    allowed("BUN-01 0.3, old spelling", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle+json;version=0.3"))),
    allowed("BUN-01 0.3, new spelling", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v0.3+json"))),
    denied("BUN-01 0.4", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v0.4+json")), Code::BundleVersionUnsupported),
    denied("BUN-01 1.0", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v1.0+json")), Code::BundleVersionUnsupported),
    denied("BUN-01 0.30", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v0.30+json")), Code::BundleVersionUnsupported),
    denied("BUN-01 with a blank", Stamped, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v0.3+json ")), Code::BundleVersionUnsupported),
    denied("BUN-01 in capitals", Stamped, Change::Json(|j| kind(j, "APPLICATION/vnd.dev.sigstore.bundle.v0.3+json")), Code::BundleVersionUnsupported),
    denied("BUN-01 missing", Stamped, Change::Json(|j| drop(j.as_object_mut().unwrap().remove("mediaType"))), Code::BundleVersionUnsupported),
    denied("BUN-01 empty", Stamped, Change::Json(|j| kind(j, "")), Code::BundleVersionUnsupported),
    denied("BUN-01 a number", Stamped, Change::Json(|j| j["mediaType"] = json!(3)), Code::BundleMalformed),

    // Certificates and chains.
    denied("BUN-02 0.3 with the chain form", Chain, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle.v0.3+json")), Code::BundleCertificateChain),
    denied("BUN-02 chain with the trusted root inside", Chain, Change::Json(|j| push(j, &MINT.fulcio.root.certificate)), Code::BundleCertificateChain),
    denied("BUN-02 chain with a foreign root inside", Chain, Change::Json(|j| push(j, &stranger().fulcio.root.certificate)), Code::BundleCertificateChain),
    denied("BUN-02 empty chain", Chain, Change::Json(|j| chain(j)["certificates"] = json!([])), Code::BundleCertificateChain),
    denied("BUN-02 chain without certificates", Chain, Change::Json(|j| *chain(j) = json!({})), Code::BundleCertificateChain),
    denied("chain with garbage", Chain, Change::Json(|j| push(j, b"garbage")), Code::CertificateMalformed),
    allowed("chain with a foreign intermediate, which leads nowhere", Chain, Change::Json(|j| push(j, &stranger().fulcio.intermediate.certificate))),
    allowed("chain of 8", Chain, Change::Json(|j| (0..6).for_each(|_| push(j, &MINT.fulcio.intermediate.certificate)))),
    denied("chain of 9", Chain, Change::Json(|j| (0..7).for_each(|_| push(j, &MINT.fulcio.intermediate.certificate))), Code::LimitExceeded),
    denied("chain with the leaf last", Chain, Change::Json(|j| chain(j)["certificates"].as_array_mut().unwrap().reverse()), Code::CertificateUsage),
    denied("BUN-03 no signer", Stamped, Change::Json(|j| drop(material(j).remove("certificate"))), Code::BundleMalformed),
    denied("BUN-03 certificate and key", Stamped, Change::Json(|j| drop(material(j).insert("publicKey".into(), json!({ "hint": "" })))), Code::BundleMalformed),
    denied("BUN-03 certificate and chain", Chain, Change::Json(|j| { let leaf = chain(j)["certificates"][0].clone(); material(j).insert("certificate".into(), leaf); }), Code::BundleMalformed),
    denied("BUN-03 key and chain", Chain, Change::Json(|j| drop(material(j).insert("publicKey".into(), json!({})))), Code::BundleMalformed),
    denied("BUN-03 no content", Stamped, Change::Json(|j| drop(j.as_object_mut().unwrap().remove("dsseEnvelope"))), Code::BundleMalformed),
    denied("BUN-03 both contents", File, Change::Json(|j| j["dsseEnvelope"] = json!({ "payload": "", "payloadType": "a", "signatures": [{ "sig": "AA==" }] })), Code::BundleMalformed),
    denied("row 42 empty certificate", Stamped, Change::Json(|j| material(j)["certificate"]["rawBytes"] = json!("")), Code::CertificateMalformed),
    denied("no material", Stamped, Change::Json(|j| drop(j.as_object_mut().unwrap().remove("verificationMaterial"))), Code::BundleMalformed),

    // Members.
    denied("BUN-04 unknown member at the top", Stamped, Change::Json(|j| j["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 unknown member of the material", Stamped, Change::Json(|j| drop(material(j).insert("more".into(), json!(1)))), Code::BundleMalformed),
    denied("BUN-04 unknown member of an entry", Stamped, Change::Json(|j| member(j)["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 unknown member of a proof", Stamped, Change::Json(|j| member(j)["inclusionProof"]["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 unknown member of the envelope", Stamped, Change::Json(|j| j["dsseEnvelope"]["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 unknown member of a signature", Stamped, Change::Json(|j| j["dsseEnvelope"]["signatures"][0]["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 unknown member of a message signature", File, Change::Json(|j| j["messageSignature"]["more"] = json!(1)), Code::BundleMalformed),
    denied("BUN-04 member in another case", Stamped, Change::Json(|j| j["MediaType"] = json!("")), Code::BundleMalformed),
    denied("BUN-05 media type twice, same value", Stamped, Change::Bytes(|b| front(b, "\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",")), Code::BundleMalformed),
    denied("BUN-05 envelope twice", Stamped, Change::Bytes(|b| front(b, "\"dsseEnvelope\":{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[]},")), Code::BundleMalformed),
    denied("BUN-05 payload twice", Stamped, Change::Bytes(|b| within(b, "\"dsseEnvelope\":{", "\"payload\":\"\",")), Code::BundleMalformed),
    denied("BUN-05 log index twice", Stamped, Change::Bytes(|b| within(b, "\"tlogEntries\":[{", "\"logIndex\":\"1004\",")), Code::BundleMalformed),
    denied("BUN-05 certificate twice", Stamped, Change::Bytes(|b| within(b, "\"certificate\":{", "\"rawBytes\":\"\",")), Code::BundleMalformed),

    // Integers.
    allowed("BUN-06 as a number", Promised, Change::Json(|j| member(j)["logIndex"] = json!(1004))),
    denied("BUN-06 with an exponent", Promised, Change::Bytes(|b| swap(b, "\"logIndex\":\"1004\"", "\"logIndex\":1004e0")), Code::BundleMalformed),
    denied("BUN-06 with a fraction", Promised, Change::Bytes(|b| swap(b, "\"logIndex\":\"1004\"", "\"logIndex\":1004.0")), Code::BundleMalformed),
    denied("BUN-06 with an exponent, as text", Promised, Change::Json(|j| member(j)["logIndex"] = json!("1004e0")), Code::BundleMalformed),
    denied("BUN-06 minus zero", Promised, Change::Bytes(|b| swap(b, "\"logIndex\":\"1004\"", "\"logIndex\":-0")), Code::BundleMalformed),
    denied("BUN-06 leading plus", Promised, Change::Json(|j| member(j)["logIndex"] = json!("+1004")), Code::BundleMalformed),
    denied("BUN-06 blank before", Promised, Change::Json(|j| member(j)["logIndex"] = json!(" 1004")), Code::BundleMalformed),
    denied("BUN-06 empty text", Promised, Change::Json(|j| member(j)["logIndex"] = json!("")), Code::BundleMalformed),
    denied("BUN-06 2^64", Promised, Change::Json(|j| member(j)["logIndex"] = json!("18446744073709551616")), Code::BundleMalformed),
    denied("BUN-06 2^63", Promised, Change::Json(|j| member(j)["logIndex"] = json!(9_223_372_036_854_775_808_u64)), Code::BundleMalformed),
    denied("BUN-06 2^53 + 1 is not 2^53", Promised, Change::Json(|j| member(j)["logIndex"] = json!(9_007_199_254_740_993_i64)), Code::LogPromiseInvalid),
    denied("BUN-06 list in place of an integer", Promised, Change::Json(|j| member(j)["logIndex"] = json!([])), Code::BundleMalformed),

    // Text and size.
    denied("BUN-07 nested 100,000 deep", Stamped, Change::Bytes(|b| *b = "[".repeat(100_000).into_bytes()), Code::BundleMalformed),
    denied("BUN-07 member nested 100,000 deep", Stamped, Change::Bytes(|b| front(b, &format!("\"more\":{}", "{\"a\":".repeat(100_000)))), Code::BundleMalformed),
    denied("BUN-10 empty", Stamped, Change::Bytes(Vec::clear), Code::BundleMalformed),
    denied("BUN-10 null", Stamped, Change::Bytes(|b| *b = b"null".to_vec()), Code::BundleMalformed),
    denied("BUN-10 list", Stamped, Change::Bytes(|b| *b = b"[]".to_vec()), Code::BundleMalformed),
    denied("BUN-10 text", Stamped, Change::Bytes(|b| *b = b"\"\"".to_vec()), Code::BundleMalformed),
    denied("BUN-10 empty object", Stamped, Change::Bytes(|b| *b = b"{}".to_vec()), Code::BundleMalformed),
    denied("BUN-10 byte order mark", Stamped, Change::Bytes(|b| drop(b.splice(0..0, [0xef, 0xbb, 0xbf]))), Code::BundleMalformed),
    denied("BUN-10 UTF-16", Stamped, Change::Bytes(|b| *b = b.iter().flat_map(|c| [*c, 0]).collect()), Code::BundleMalformed),
    denied("BUN-10 lone surrogate", Stamped, Change::Bytes(|b| swap(b, "\"mediaType\":\"", "\"mediaType\":\"\\ud800")), Code::BundleMalformed),
    denied("BUN-10 invalid UTF-8", Stamped, Change::Bytes(|b| { let at = b.iter().position(|c| *c == b':').unwrap() + 2; b.insert(at, 0xff); }), Code::BundleMalformed),
    denied("BUN-10 two documents", Stamped, Change::Bytes(|b| b.extend(b.clone())), Code::BundleMalformed),
    denied("BUN-10 NUL at the end", Stamped, Change::Bytes(|b| b.push(0)), Code::BundleMalformed),
    allowed("BUN-10 white space around", Stamped, Change::Bytes(|b| { b.insert(0, b'\n'); b.push(b'\n'); })),
    denied("certificate that is not base64", Stamped, Change::Json(|j| material(j)["certificate"]["rawBytes"] = json!("?")), Code::BundleMalformed),
    denied("token that is not base64", Rekor2, Change::Json(|j| material(j)["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"] = json!("?")), Code::BundleMalformed),
    denied("list of entries that is an object", Stamped, Change::Json(|j| drop(material(j).insert("tlogEntries".into(), json!({})))), Code::BundleMalformed),
    denied("bundle as the list of its members", Stamped, Change::Json(|j| *j = positional(j, &["mediaType", "verificationMaterial", "dsseEnvelope"])), Code::BundleMalformed),
    denied("certificate as the list of its members", Stamped, Change::Json(|j| { let list = positional(&material(j)["certificate"], &["rawBytes"]); material(j).insert("certificate".into(), list); }), Code::BundleMalformed),
    denied("promise as the list of its members", Promised, Change::Json(|j| { let list = positional(&member(j)["inclusionPromise"], &["signedEntryTimestamp"]); member(j)["inclusionPromise"] = list; }), Code::BundleMalformed),
    denied("null in the list of entries", Stamped, Change::Json(|j| *member(j) = Value::Null), Code::BundleMalformed),
    allowed("hint of a key is a hint", Key, Change::Json(|j| material(j)["publicKey"]["hint"] = json!("anything"))),
    allowed("0.1 in the chain form", Attestation, Change::Case(|c| c.form = Form::Bundle("0.1"))),
    allowed("0.2 in the leaf form", Attestation, Change::Json(|j| kind(j, "application/vnd.dev.sigstore.bundle+json;version=0.2"))),
    denied("0.1 on Rekor v2, which promises nothing", Rekor2, Change::Case(|c| { c.form = Form::Bundle("0.1"); entry(&mut c.order).promise = None; }), Code::LogPromiseMissing),
];

fn kind(bundle: &mut Value, text: &str) {
    bundle["mediaType"] = json!(text);
}

fn material(bundle: &mut Value) -> &mut serde_json::Map<String, Value> {
    bundle["verificationMaterial"].as_object_mut().unwrap()
}

fn member(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["tlogEntries"][0]
}

/// An object as the list of its members: what a lenient reader takes for the same.
fn positional(object: &Value, members: &[&str]) -> Value {
    members.iter().map(|name| object[name].clone()).collect()
}

fn chain(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["x509CertificateChain"]
}

fn push(bundle: &mut Value, der: &[u8]) {
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let list = chain(bundle)["certificates"].as_array_mut().unwrap();
    list.push(json!({ "rawBytes": text }));
}

fn swap(bytes: &mut Vec<u8>, from: &str, to: &str) {
    super::swap(bytes, from.as_bytes(), to.as_bytes());
}

/// Puts members in front of all others.
fn front(bytes: &mut Vec<u8>, members: &str) {
    bytes.splice(1..1, members.bytes());
}

/// Puts members behind an opening.
fn within(bytes: &mut Vec<u8>, opening: &str, members: &str) {
    swap(bytes, opening, &format!("{opening}{members}"));
}

#[test]
fn a_bundle_over_the_cap_is_refused_before_it_is_read() {
    // BUN-08, with a small cap: at the cap it is read, a byte below it is not.
    let exhibit = Stamped.case().honest();
    let bytes = &exhibit.evidence.bytes;
    let mut limits = scgate::model::Limits::default();
    limits.attestation_bytes = bytes.len();
    assert!(scgate::verify::Bundle::parse(bytes, &limits).is_ok());
    limits.attestation_bytes -= 1;
    let error = scgate::verify::Bundle::parse(bytes, &limits).unwrap_err();
    assert_eq!(error.code(), Code::LimitExceeded);
}
