//! The signed statement: its type, its subjects and their digests, all signed as they stand.

use scgate::model::DenyCode as Code;
use scgate::model::Digest;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::Order;
use serde_json::Value;
use serde_json::json;

use super::Base::Attestation;
use super::Base::Key;
use super::Base::LayerAtt;
use super::Base::Stamped;
use super::Change;
use super::FILE;
use super::Row;
use super::allowed;
use super::check;
use super::denied;
use super::swap_text;

#[test]
fn statements() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Raw.
    denied("raw statement type", Stamped, Change::Parts(|m| raw(m, "Statement/v1", "Statement/v0.1")), Code::SignatureInvalid),
    denied("raw predicate type", Attestation, Change::Parts(|m| raw(m, "provenance/v0.2", "provenance/v0.3")), Code::SignatureInvalid),
    denied("raw predicate", Attestation, Change::Parts(|m| raw(m, "\"42\"", "\"43\"")), Code::SignatureInvalid),
    denied("raw subject name", Attestation, Change::Parts(|m| raw(m, "acme/shop", "evil/shop")), Code::SignatureInvalid),
    denied("raw subject digest", Attestation, Change::Parts(|m| raw(m, &Digest::sha256(FILE).hex(), &Digest::sha256(b"x").hex())), Code::SignatureInvalid),
    denied("raw subject annotations", Stamped, Change::Parts(|m| raw(m, "\"annotations\":{}", "\"annotations\":{\"a\":\"b\"}")), Code::SignatureInvalid),
    denied("row 43 raw white space", Stamped, Change::Parts(|m| raw(m, "{\"_type\":", "{ \"_type\":")), Code::SignatureInvalid),
    denied("raw predicate, layer", LayerAtt, Change::Parts(|m| raw(m, "\"42\"", "\"43\"")), Code::SignatureInvalid),
    denied("raw statement, managed key", Key, Change::Parts(|m| raw(m, "cosign/sign", "cosign/sigm")), Code::SignatureInvalid),

    // Signed again: the type.
    allowed("DSSE-06 v0.1", Stamped, Change::Order(|o| edit(o, |s| s["_type"] = json!("https://in-toto.io/Statement/v0.1")))),
    allowed("DSSE-06 v1", Attestation, Change::Order(|o| edit(o, |s| s["_type"] = json!("https://in-toto.io/Statement/v1")))),
    denied("DSSE-06 v2", Stamped, Change::Order(|o| edit(o, |s| s["_type"] = json!("https://in-toto.io/Statement/v2"))), Code::PayloadMalformed),
    denied("DSSE-06 no type", Stamped, Change::Order(|o| edit(o, |s| drop(s.as_object_mut().unwrap().remove("_type")))), Code::PayloadMalformed),
    denied("DSSE-06 unknown type", Stamped, Change::Order(|o| edit(o, |s| s["_type"] = json!("link"))), Code::PayloadMalformed),
    denied("DSSE-06 type that is no text", Stamped, Change::Order(|o| edit(o, |s| s["_type"] = json!(1))), Code::PayloadMalformed),
    denied("no predicate type", Stamped, Change::Order(|o| edit(o, |s| drop(s.as_object_mut().unwrap().remove("predicateType")))), Code::PayloadMalformed),
    denied("predicate type that is null", Stamped, Change::Order(|o| edit(o, |s| s["predicateType"] = Value::Null)), Code::PayloadMalformed),
    allowed("no predicate", Stamped, Change::Order(|o| edit(o, |s| drop(s.as_object_mut().unwrap().remove("predicate"))))),
    allowed("member that nobody knows", Stamped, Change::Order(|o| edit(o, |s| s["more"] = json!(1)))),
    denied("member in another case", Stamped, Change::Order(|o| edit(o, |s| s["Subject"] = json!([]))), Code::PayloadMalformed),
    denied("member of a subject in another case", Stamped, Change::Order(|o| edit(o, |s| s["subject"][0]["Digest"] = json!({}))), Code::PayloadMalformed),

    // Signed again: the subjects.
    denied("DSSE-07 no subject", Stamped, Change::Order(|o| edit(o, |s| drop(s.as_object_mut().unwrap().remove("subject")))), Code::SubjectMismatch),
    denied("DSSE-07 row 33 empty subject", Stamped, Change::Order(|o| edit(o, |s| s["subject"] = json!([]))), Code::SubjectMismatch),
    denied("DSSE-07 row 14 null in the list", Stamped, Change::Order(|o| edit(o, |s| s["subject"] = json!([null]))), Code::PayloadMalformed),
    denied("DSSE-07 subject that is null", Stamped, Change::Order(|o| edit(o, |s| s["subject"] = Value::Null)), Code::PayloadMalformed),
    denied("DSSE-07 subject that is no list", Stamped, Change::Order(|o| edit(o, |s| s["subject"] = s["subject"][0].clone())), Code::PayloadMalformed),
    denied("DSSE-07 subject without digest", Stamped, Change::Order(|o| edit(o, |s| s["subject"] = json!([{"name": "a"}]))), Code::SubjectMismatch),
    denied("DSSE-07 empty digest", Stamped, Change::Order(|o| edit(o, |s| s["subject"][0]["digest"] = json!({}))), Code::SubjectMismatch),
    denied("DSSE-07 digest that is null", Stamped, Change::Order(|o| edit(o, |s| s["subject"][0]["digest"]["sha256"] = Value::Null)), Code::PayloadMalformed),
    denied("DSSE-07 digest that is a number", Stamped, Change::Order(|o| edit(o, |s| s["subject"][0]["digest"]["sha256"] = json!(1))), Code::PayloadMalformed),
    denied("DSSE-07 broken subject beside the right one", Stamped, Change::Order(|o| edit(o, |s| s["subject"].as_array_mut().unwrap().push(json!({"digest": {"sha256": null}})))), Code::PayloadMalformed),
    allowed("DSSE-08 several subjects, the right one last", Stamped, Change::Order(|o| subjects(o, 2))),
    denied("DSSE-09 SHA-1 alone", Stamped, Change::Order(|o| digest(o, "sha1", "6a1e9f1cbd1e1a8ccf4f3b4b3a0b9b4a77a3c0aa")), Code::SubjectMismatch),
    denied("DSSE-09 git commit alone", Stamped, Change::Order(|o| digest(o, "gitCommit", &Digest::sha256(FILE).hex())), Code::SubjectMismatch),
    denied("DSSE-09 the right value under SHA-512", Stamped, Change::Order(|o| digest(o, "sha512", &Digest::sha256(FILE).hex())), Code::SubjectMismatch),
    denied("DSSE-09 algorithm in capitals", Stamped, Change::Order(|o| digest(o, "SHA256", &Digest::sha256(FILE).hex())), Code::SubjectMismatch),
    denied("value in capitals", Stamped, Change::Order(|o| digest(o, "sha256", &Digest::sha256(FILE).hex().to_uppercase())), Code::SubjectMismatch),
    denied("value with its algorithm", Stamped, Change::Order(|o| digest(o, "sha256", &Digest::sha256(FILE).to_string())), Code::SubjectMismatch),
    denied("value with more behind it", Stamped, Change::Order(|o| digest(o, "sha256", &format!("{}00", Digest::sha256(FILE).hex()))), Code::SubjectMismatch),
    denied("ATT-01 row 25 statement of another image", Stamped, Change::Order(|o| o.content = Content::image(Digest::sha256(b"other"))), Code::SubjectMismatch),
    denied("ATT-01 attestation of another image", Attestation, Change::Order(|o| digest(o, "sha256", &Digest::sha256(b"other").hex())), Code::SubjectMismatch),
    denied("ATT-01 attestation layer of another image", LayerAtt, Change::Order(|o| digest(o, "sha256", &Digest::sha256(b"other").hex())), Code::SubjectMismatch),
    denied("ATT-01 another image is asked for", Attestation, Change::Case(|c| c.question.file = Some(b"other".to_vec())), Code::SubjectMismatch),
    allowed("BUN-12 asked by digest", Attestation, Change::Case(|c| c.question.file = None)),
    denied("BUN-12 asked by another digest", Attestation, Change::Case(|c| { c.question.file = None; c.question.digest = Digest::sha256(b"other"); }), Code::SubjectMismatch),
    denied("the right digest in the predicate alone", Attestation, Change::Order(|o| edit(o, |s| { s["predicate"]["subject"] = s["subject"].clone(); s["subject"] = json!([]); })), Code::SubjectMismatch),
    allowed("BUN-09 row 16 1024 subjects", Stamped, Change::Order(|o| subjects(o, 1024))),
    denied("BUN-09 row 16 1025 subjects", Stamped, Change::Order(|o| subjects(o, 1025)), Code::LimitExceeded),
    allowed("BUN-09 row 16 32 digests of a subject", Stamped, Change::Order(|o| digests(o, 32))),
    denied("BUN-09 row 16 33 digests of a subject", Stamped, Change::Order(|o| digests(o, 33)), Code::LimitExceeded),
    denied("5000 subjects, more than are kept", Stamped, Change::Order(|o| subjects(o, 5000)), Code::LimitExceeded),
    denied("5000 digests of a subject, more than are kept", Stamped, Change::Order(|o| digests(o, 5000)), Code::LimitExceeded),
    allowed("4096 values in annotations", Stamped, Change::Order(|o| annotated(o, &json!({"a": vec![0; 4095]})))),
    denied("4097 values in annotations", Stamped, Change::Order(|o| annotated(o, &json!({"a": vec![0; 4096]}))), Code::LimitExceeded),
    denied("4097 values in annotations, nested", Stamped, Change::Order(|o| annotated(o, &json!({"a": {"b": vec![0; 4095]}}))), Code::LimitExceeded),
    denied("many values in annotations, more than are kept", Stamped, Change::Order(|o| annotated(o, &json!({"a": {"b": vec![0; 9000]}, "c": "d", "e": {"f": []}}))), Code::LimitExceeded),
    allowed("annotations that are null", Stamped, Change::Order(|o| annotated(o, &Value::Null))),
    denied("annotations that are a list", Stamped, Change::Order(|o| annotated(o, &json!([]))), Code::PayloadMalformed),
    denied("an annotation twice", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\"annotations\":{}", "\"annotations\":{\"a\":1,\"a\":1}"))), Code::PayloadMalformed),
    denied("an annotation twice, inside of another", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\"annotations\":{}", "\"annotations\":{\"x\":[{\"a\":1,\"a\":1}]}"))), Code::PayloadMalformed),
    denied("an annotation under a name that is an instruction", Stamped, Change::Order(|o| annotated(o, &json!({"a": {"$serde_json::private::RawValue": "1"}}))), Code::PayloadMalformed),
    denied("a predicate under a name that is an instruction", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\"predicate\":{}", "\"predicate\":{\"$serde_json::private::RawValue\":\"1\"}"))), Code::PayloadMalformed),

    // Signed again: the form of the text.
    allowed("row 43 odd white space", Stamped, Change::Order(|o| text(o, |t| *t = t.replace(',', " ,\n\t ")))),
    denied("row 9 garbage", Stamped, Change::Order(|o| text(o, |t| *t = "garbage".into())), Code::PayloadMalformed),
    denied("empty payload", Stamped, Change::Order(|o| text(o, String::clear)), Code::PayloadMalformed),
    denied("payload null", Stamped, Change::Order(|o| text(o, |t| *t = "null".into())), Code::PayloadMalformed),
    denied("two documents", Stamped, Change::Order(|o| text(o, |t| t.push_str("{}"))), Code::PayloadMalformed),
    denied("byte order mark", Stamped, Change::Order(|o| text(o, |t| t.insert(0, '\u{feff}'))), Code::PayloadMalformed),
    denied("BUN-05 subject twice", Stamped, Change::Order(|o| text(o, |t| { t.pop(); t.push_str(",\"subject\":[]}"); })), Code::PayloadMalformed),
    denied("BUN-05 predicate type twice", Stamped, Change::Order(|o| text(o, |t| { t.pop(); t.push_str(",\"predicateType\":\"a\"}"); })), Code::PayloadMalformed),
    denied("BUN-05 member of the predicate twice", Attestation, Change::Order(|o| text(o, |t| swap_text(t, "\"invocationId\"", "\"materials\":[],\"invocationId\""))), Code::PayloadMalformed),
    denied("BUN-05 digest twice", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "{\"sha256\"", "{\"sha256\":\"00\",\"sha256\""))), Code::PayloadMalformed),
    denied("BUN-07 predicate nested 100,000 deep", Attestation, Change::Order(|o| text(o, |t| swap_text(t, "[]", &"[".repeat(100_000)))), Code::PayloadMalformed),
    denied("BUN-10 lone surrogate in a statement", Attestation, Change::Order(|o| text(o, |t| swap_text(t, "\"42\"", "\"\\ud800\""))), Code::PayloadMalformed),
];

/// Changes the payload after it was signed.
fn raw(minted: &mut scgate::sandbox::mint::Minted, from: &str, to: &str) {
    let envelope = minted.envelope.as_mut().unwrap();
    super::swap(&mut envelope.payload, from.as_bytes(), to.as_bytes());
}

fn text(order: &mut Order, change: fn(&mut String)) {
    let Content::Statement(text) = &mut order.content else {
        panic!("not a statement");
    };
    change(text);
}

fn edit(order: &mut Order, change: impl Fn(&mut Value)) {
    let Content::Statement(text) = &mut order.content else {
        panic!("not a statement");
    };
    let mut statement = serde_json::from_str(text).unwrap();
    change(&mut statement);
    *text = statement.to_string();
}

/// One subject with one digest.
fn digest(order: &mut Order, algorithm: &str, value: &str) {
    edit(order, |s| {
        s["subject"] = json!([{ "digest": { algorithm: value } }])
    });
}

/// The annotations of the first subject.
fn annotated(order: &mut Order, annotations: &Value) {
    edit(order, |statement| {
        statement["subject"][0]["annotations"] = annotations.clone();
    });
}

/// So many subjects, the right one last.
fn subjects(order: &mut Order, count: usize) {
    edit(order, |s| {
        let list = s["subject"].as_array_mut().unwrap();
        let other = json!({ "digest": { "sha256": "00" } });
        list.splice(0..0, vec![other; count - 1]);
    });
}

/// So many digests of the one subject.
fn digests(order: &mut Order, count: usize) {
    edit(order, |s| {
        let digest = s["subject"][0]["digest"].as_object_mut().unwrap();
        for number in 1..count {
            digest.insert(format!("x{number}"), json!("00"));
        }
    });
}
