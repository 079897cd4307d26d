//! The log entry around its body: promise (SET), inclusion proof, presence, times and keys.

use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::EntryOrder;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Log;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::PromiseOrder;
use scgate::sandbox::mint::Proof;
use scgate::sandbox::mint::TimestampOrder;
use scgate::sandbox::mint::root::LogInstance;
use scgate::sandbox::mint::root::Window;
use scgate::verify::LogTerm;
use serde_json::Value;
use serde_json::json;

use super::Asked;
use super::Base::Blob;
use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::KeyAlone;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Base::Promised;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::Change;
use super::Form;
use super::MINT;
use super::Row;
use super::after;
use super::allowed;
use super::certificate::until;
use super::check;
use super::denied;
use super::entry;
use super::flip;
use super::flip_last;
use super::key;
use super::now;
use super::proof;
use super::stamp;
use super::stranger;

#[test]
fn logs() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Presence.
    denied("LOG-03 no entry", Stamped, Change::Order(|o| o.entries.clear()), Code::LogEntryMissing),
    denied("LOG-03 no entry, managed key", Key, Change::Order(|o| o.entries.clear()), Code::LogEntryMissing),
    denied("LOG-03 no entry in a layer", LayerSig, Change::Notes(|n| drop(n.remove("dev.sigstore.cosign/bundle"))), Code::LogEntryMissing),
    denied("ATT-13 no entry for an attestation", super::Base::Attestation, Change::Order(|o| o.entries.clear()), Code::LogEntryMissing),
    denied("no entry in a blob file", Blob, Change::Json(|j| j["rekorBundle"] = Value::Null), Code::LogEntryMissing),
    denied("managed key alone where an entry is demanded", KeyAlone, Change::Case(|c| c.question.terms.log = LogTerm::Required), Code::LogEntryMissing),
    denied("managed key, entry of a log that nobody vouches for", Key, Change::Case(|c| c.question.signer = Asked::KeyAlone), Code::LogUnknown),
    denied("LOG-02 unknown log", Stamped, Change::Order(|o| entry(o).log = Some(stranger().rekor1.clone())), Code::LogUnknown),
    denied("unknown log, Rekor v2", Rekor2, Change::Order(|o| entry(o).log = Some(stranger().rekor2.clone())), Code::LogUnknown),
    denied("row 40 known id, unknown key", Stamped, Change::Order(|o| entry(o).log = Some(Log { id: MINT.rekor1.id.clone(), ..stranger().rekor1.clone() })), Code::CheckpointInvalid),
    denied("row 40 known id, unknown key in a layer", LayerSig, Change::Order(|o| entry(o).log = Some(Log { id: MINT.rekor1.id.clone(), ..stranger().rekor1.clone() })), Code::LogPromiseInvalid),
    denied("no log in the trusted root", Stamped, Change::Case(|c| c.root.tlogs.clear()), Code::LogUnknown),
    denied("BUN-02 0.1 without promise", Chain, Change::Case(|c| { c.form = Form::Bundle("0.1"); entry(&mut c.order).promise = None; }), Code::LogPromiseMissing),
    allowed("BUN-02 0.1 with promise", Chain, Change::Case(|c| c.form = Form::Bundle("0.1"))),
    denied("BUN-02 0.1 without proof", Chain, Change::Case(|c| { c.form = Form::Bundle("0.1"); entry(&mut c.order).proof = None; }), Code::LogProofMissing),
    denied("BUN-02 0.2 without proof", Chain, Change::Order(|o| entry(o).proof = None), Code::LogProofMissing),
    denied("BUN-02 0.3 without proof", Stamped, Change::Order(|o| entry(o).proof = None), Code::LogProofMissing),
    denied("BUN-02 0.3 without proof, managed key", Key, Change::Order(|o| entry(o).proof = None), Code::LogProofMissing),
    allowed("0.3 without promise, with a timestamp", Stamped, Change::Order(|o| entry(o).promise = None)),
    denied("layer without promise", LayerSig, Change::Notes(|n| note(n, |log| log["SignedEntryTimestamp"] = json!(""))), Code::LogPromiseInvalid),
    denied("LOG-05 row 19 proof alone", Promised, Change::Order(|o| entry(o).promise = None), Code::TimeMissing),
    denied("LOG-05 row 20 proof and a token of a stranger", Stamped, Change::Order(|o| {
        entry(o).promise = None;
        stamp(o).authority = Some(stranger().tsa.clone());
    }), Code::TimestampUntrusted),
    denied("LOG-05 Rekor v2 without timestamp", Rekor2, Change::Order(|o| o.timestamps.clear()), Code::TimeMissing),
    allowed("managed key needs no time", Key, Change::Order(|o| { o.timestamps.clear(); entry(o).promise = None; })),
    denied("LOG-18 no log demanded, no time", Stamped, Change::Case(|c| { c.question.terms.log = LogTerm::InsecureNone; c.order.entries.clear(); c.order.timestamps.clear(); }), Code::TimeMissing),
    allowed("LOG-18 no log demanded, with a timestamp", Stamped, Change::Case(|c| { c.question.terms.log = LogTerm::InsecureNone; c.order.entries.clear(); })),
    denied("LOG-18 no log demanded, an entry that is broken", Stamped, Change::Case(|c| { c.question.terms.log = LogTerm::InsecureNone; set(&mut c.order, flip); }), Code::LogPromiseInvalid),
    denied("row 27 no log demanded, time tampered", Promised, Change::Case(|c| { c.question.terms.log = LogTerm::InsecureNone; promised(&mut c.order, |p| p["integratedTime"] = json!(1)); }), Code::LogPromiseInvalid),

    // Several entries.
    denied("LOG-12 the same entry twice", Stamped, Change::Parts(|m| m.entries.push(m.entries[0].clone())), Code::LogEntryMalformed),
    allowed("LOG-12 one of each known log", Stamped, Change::Order(|o| o.entries.push(EntryOrder::v2()))),
    allowed("G3 one of an unknown log beside a known one", Stamped, Change::Order(|o| o.entries.push(EntryOrder { log: Some(stranger().rekor1.clone()), ..EntryOrder::v1(now().unix_seconds()) }))),
    denied("G3 a broken one of a known log beside a good one", Stamped, Change::Order(|o| o.entries.push(EntryOrder { proof: None, ..EntryOrder::v2() })), Code::LogProofMissing),
    allowed("BUN-09 row 16 32 entries", Stamped, Change::Order(|o| entries(o, 32))),
    denied("BUN-09 row 16 33 entries", Stamped, Change::Order(|o| entries(o, 33)), Code::LimitExceeded),

    // The signed promise: raw.
    denied("LOG-02 raw promise", Stamped, Change::Parts(|m| flip(m.entries[0].promise.as_mut().unwrap())), Code::LogPromiseInvalid),
    denied("LOG-02 raw promise, layer", LayerSig, Change::Parts(|m| flip(m.entries[0].promise.as_mut().unwrap())), Code::LogPromiseInvalid),
    denied("LOG-02 raw promise, attestation layer", LayerAtt, Change::Parts(|m| flip(m.entries[0].promise.as_mut().unwrap())), Code::LogPromiseInvalid),
    denied("LOG-02 raw promise, blob", Blob, Change::Parts(|m| flip(m.entries[0].promise.as_mut().unwrap())), Code::LogPromiseInvalid),
    denied("LOG-02 raw promise, managed key", Key, Change::Parts(|m| flip(m.entries[0].promise.as_mut().unwrap())), Code::LogPromiseInvalid),
    denied("LOG-02 empty promise", Stamped, Change::Parts(|m| m.entries[0].promise = Some(Vec::new())), Code::LogPromiseInvalid),
    denied("LOG-02 raw time", Stamped, Change::Parts(|m| m.entries[0].integrated_time = Some(after(1).unix_seconds())), Code::LogPromiseInvalid),
    denied("LOG-02 raw index", Stamped, Change::Parts(|m| m.entries[0].log_index += 1), Code::LogPromiseInvalid),
    denied("LOG-02 raw log id", Stamped, Change::Parts(|m| flip(&mut m.entries[0].log_id)), Code::LogUnknown),
    denied("LOG-02 log id of the other log", Stamped, Change::Parts(|m| m.entries[0].log_id = MINT.rekor2.id.clone()), Code::CheckpointInvalid),
    denied("LOG-02 log id of the other log, layer", LayerSig, Change::Parts(|m| m.entries[0].log_id = MINT.rekor2.id.clone()), Code::LogPromiseInvalid),
    denied("LOG-02 raw body, layer", LayerSig, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogPromiseInvalid),
    denied("LOG-02 raw body, attestation layer", LayerAtt, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogPromiseInvalid),
    denied("LOG-02 raw body, blob", Blob, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogPromiseInvalid),
    denied("LOG-02 raw time, layer", LayerSig, Change::Parts(|m| m.entries[0].integrated_time = Some(after(1).unix_seconds())), Code::LogPromiseInvalid),
    denied("LOG-02 raw index, layer", LayerSig, Change::Parts(|m| m.entries[0].log_index += 1), Code::LogPromiseInvalid),

    // The signed promise: over something else, by the right key; and over the right thing by another.
    denied("LOG-02 promise over another time", Stamped, Change::Order(|o| promised(o, |p| p["integratedTime"] = json!(1))), Code::LogPromiseInvalid),
    denied("LOG-02 promise over another index", Stamped, Change::Order(|o| promised(o, |p| p["logIndex"] = json!(1))), Code::LogPromiseInvalid),
    denied("LOG-02 promise over another log", Stamped, Change::Order(|o| promised(o, |p| p["logID"] = json!("00"))), Code::LogPromiseInvalid),
    denied("LOG-02 promise over another body", Stamped, Change::Order(|o| promised(o, |p| p["body"] = json!("e30="))), Code::LogPromiseInvalid),
    denied("LOG-02 promise with one member more", Stamped, Change::Order(|o| promised(o, |p| p["more"] = json!(1))), Code::LogPromiseInvalid),
    denied("LOG-02 promise by an unknown key", Stamped, Change::Order(|o| entry(o).promise = Some(PromiseOrder { key: Some(key(KeyKind::P256)), ..PromiseOrder::default() })), Code::LogPromiseInvalid),

    // The promised time, signed again.
    allowed("LOG-04 now", Promised, Change::Case(|c| at(c, 0, 0))),
    denied("LOG-04 a second ahead of now", Promised, Change::Case(|c| at(c, 1, 0)), Code::TimeInFuture),
    denied("LOG-04 row 29 half a minute ahead", Promised, Change::Case(|c| at(c, 30, 0)), Code::TimeInFuture),
    denied("LOG-04 an hour ahead", Promised, Change::Case(|c| at(c, 3600, 0)), Code::TimeInFuture),
    denied("LOG-04 ten years ahead", Promised, Change::Case(|c| at(c, 315_576_000, 0)), Code::TimeInFuture),
    allowed("LOG-04 within the clock skew", Promised, Change::Case(|c| at(c, 30, 30))),
    denied("LOG-04 a second beyond the clock skew", Promised, Change::Case(|c| at(c, 31, 30)), Code::TimeInFuture),
    denied("LOG-04 beyond 64 bits", Promised, Change::Json(|j| member(j)["integratedTime"] = json!("18446744073709551615")), Code::BundleMalformed),
    denied("LOG-04 beyond every calendar", Promised, Change::Order(|o| entry(o).integrated_time = Some(i64::MAX)), Code::LogEntryMalformed),
    denied("LOG-04 negative", Promised, Change::Order(|o| entry(o).integrated_time = Some(-1)), Code::LogEntryMalformed),
    denied("LOG-04 zero", Promised, Change::Order(|o| entry(o).integrated_time = Some(0)), Code::LogEntryMalformed),
    denied("LOG-04 zero, layer", LayerSig, Change::Order(|o| entry(o).integrated_time = Some(0)), Code::LogEntryMalformed),
    denied("LOG-04 no time", Promised, Change::Order(|o| entry(o).integrated_time = None), Code::LogEntryMalformed),
    denied("LOG-04 an hour ahead, layer", LayerSig, Change::Case(|c| at(c, 3600, 0)), Code::TimeInFuture),
    denied("LOG-04 an hour ahead, blob", Blob, Change::Case(|c| at(c, 3600, 0)), Code::TimeInFuture),
    denied("LOG-04 an hour ahead, managed key", Key, Change::Case(|c| at(c, 3600, 0)), Code::TimeInFuture),
    allowed("LOG-02 index of the first shard", Stamped, Change::Order(|o| entry(o).shard_offset = 0)),
    denied("negative index", Stamped, Change::Parts(|m| m.entries[0].log_index = -1), Code::LogEntryMalformed),
    allowed("time without a promise is nobody's", Rekor2, Change::Parts(|m| m.entries[0].integrated_time = Some(1))),

    // The log's key.
    allowed("LOG-13 at the end of the key", Promised, Change::Case(|c| v1(c).public_key.valid_for = until(0))),
    denied("LOG-13 a second after the end of the key", Promised, Change::Case(|c| v1(c).public_key.valid_for = until(-1)), Code::LogOutsideValidity),
    allowed("LOG-13 at the begin of the key", Promised, Change::Case(|c| v1(c).public_key.valid_for = Window::since(now()))),
    denied("LOG-13 row 35 a second before the begin of the key", Promised, Change::Case(|c| v1(c).public_key.valid_for = Window::since(after(1))), Code::LogOutsideValidity),
    allowed("LOG-13 Rekor v2 at the end of the key", Rekor2, Change::Case(|c| c.root.tlogs[0].public_key.valid_for = until(0))),
    denied("LOG-13 Rekor v2 a second after the end of the key", Rekor2, Change::Case(|c| c.root.tlogs[0].public_key.valid_for = until(-1)), Code::LogOutsideValidity),
    denied("LOG-13 layer", LayerSig, Change::Case(|c| v1(c).public_key.valid_for = until(-1)), Code::LogOutsideValidity),
    denied("LOG-13 managed key", Key, Change::Case(|c| v1(c).public_key.valid_for = until(-1)), Code::LogOutsideValidity),
    allowed("LOG-20 entry of a shard that has retired since", Promised, Change::Case(|c| {
        v1(c).public_key.valid_for = until(60);
        c.question.now = after(10_000_000);
    })),

    // The inclusion proof: raw.
    denied("LOG-07 raw proof index", Stamped, Change::Parts(|m| inclusion(m).log_index += 1), Code::LogProofInvalid),
    denied("LOG-07 raw proof root", Stamped, Change::Parts(|m| flip(&mut inclusion(m).root)), Code::LogProofInvalid),
    denied("LOG-07 raw tree size", Stamped, Change::Parts(|m| inclusion(m).tree_size += 10), Code::LogProofInvalid),
    denied("LOG-07 raw tree size of the same depth", Stamped, Change::Parts(|m| inclusion(m).tree_size = 8), Code::CheckpointMismatch),
    denied("LOG-08 raw hash", Stamped, Change::Parts(|m| flip(&mut inclusion(m).hashes[1])), Code::LogProofInvalid),
    denied("raw body", Stamped, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogProofInvalid),
    denied("raw body, Rekor v2", Rekor2, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogProofInvalid),
    denied("raw body, file", File, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogProofInvalid),
    denied("raw body, managed key", Key, Change::Parts(|m| m.entries[0].body.push(b' ')), Code::LogProofInvalid),

    // The inclusion proof: changed before the checkpoint is signed.
    denied("LOG-07 another root, signed", Stamped, Change::Order(|o| edit(o, |p| p.root = vec![7; 32])), Code::LogProofInvalid),
    denied("LOG-07 index of the tree's size", Stamped, Change::Order(|o| edit(o, |p| p.log_index = p.tree_size)), Code::LogProofInvalid),
    denied("LOG-07 size 0", Stamped, Change::Order(|o| edit(o, |p| p.tree_size = 0)), Code::LogProofInvalid),
    denied("LOG-07 negative index", Stamped, Change::Order(|o| edit(o, |p| p.log_index = -1)), Code::LogEntryMalformed),
    denied("LOG-07 negative size", Stamped, Change::Order(|o| edit(o, |p| p.tree_size = -1)), Code::LogEntryMalformed),
    denied("row 37 the largest size", Stamped, Change::Order(|o| edit(o, |p| p.tree_size = i64::MAX)), Code::LogProofInvalid),
    denied("row 37 the largest size and index", Stamped, Change::Order(|o| edit(o, |p| { p.tree_size = i64::MAX; p.log_index = i64::MAX - 1; })), Code::LogProofInvalid),
    denied("LOG-08 one hash missing", Stamped, Change::Order(|o| edit(o, |p| { p.hashes.pop(); })), Code::LogProofInvalid),
    denied("LOG-08 no hash", Stamped, Change::Order(|o| edit(o, |p| p.hashes.clear())), Code::LogProofInvalid),
    denied("LOG-08 one extra hash", Stamped, Change::Order(|o| edit(o, |p| p.hashes.push(vec![7; 32]))), Code::LogProofInvalid),
    denied("LOG-08 two swapped", Stamped, Change::Order(|o| edit(o, |p| p.hashes.swap(0, 1))), Code::LogProofInvalid),
    denied("LOG-08 hash of 31 bytes", Stamped, Change::Order(|o| edit(o, |p| { p.hashes[0].pop(); })), Code::LogProofInvalid),
    denied("LOG-08 hash of 33 bytes", Stamped, Change::Order(|o| edit(o, |p| p.hashes[0].push(0))), Code::LogProofInvalid),
    denied("root of 31 bytes", Stamped, Change::Parts(|m| { inclusion(m).root.pop(); }), Code::LogProofInvalid),
    denied("no root", Stamped, Change::Json(|j| drop(member(j)["inclusionProof"].as_object_mut().unwrap().remove("rootHash"))), Code::LogProofInvalid),
    denied("64 hashes", Stamped, Change::Order(|o| edit(o, |p| p.hashes = vec![vec![7; 32]; 64])), Code::LogProofInvalid),
    denied("65 hashes", Stamped, Change::Order(|o| edit(o, |p| p.hashes = vec![vec![7; 32]; 65])), Code::LimitExceeded),
    allowed("row 37 tree of one", Stamped, Change::Order(|o| { entry(o).index = 0; entry(o).tree_size = 1; })),
    allowed("row 37 last of eight", Stamped, Change::Order(|o| { entry(o).index = 7; entry(o).tree_size = 8; })),
    allowed("row 37 last of seven", Rekor2, Change::Order(|o| { entry(o).index = 6; entry(o).tree_size = 7; })),
    allowed("row 37 first of three", Rekor2, Change::Order(|o| { entry(o).index = 0; entry(o).tree_size = 3; })),
];

fn promised(order: &mut Order, change: fn(&mut Value)) {
    entry(order).promise = Some(PromiseOrder {
        signed: Hook::new(change),
        ..PromiseOrder::default()
    });
}

/// A promise that was signed with other bytes.
fn set(order: &mut Order, change: fn(&mut [u8])) {
    order.entries[0].promise = Some(PromiseOrder {
        signed: Hook::new(move |value: &mut Value| {
            let mut text = value.to_string().into_bytes();
            change(&mut text);
            *value = json!(text);
        }),
        ..PromiseOrder::default()
    });
}

/// Signed and promised at a time from now, with a tolerance; the certificate fits.
fn at(case: &mut Case, seconds: i64, skew: u8) {
    let time = after(seconds);
    entry(&mut case.order).integrated_time = Some(time.unix_seconds());
    if let Some(certificate) = &mut case.order.certificate {
        certificate.not_after = time;
    }
    case.order.timestamps.clear();
    case.question.terms.clock_skew = skew;
}

fn edit(order: &mut Order, change: fn(&mut Proof)) {
    proof(order).edit = Hook::new(change);
}

fn inclusion(minted: &mut Minted) -> &mut Proof {
    minted.entries[0].proof.as_mut().unwrap()
}

fn v1(case: &mut Case) -> &mut LogInstance {
    &mut case.root.tlogs[1]
}

fn entries(order: &mut Order, count: u32) {
    order.entries = (0..count)
        .map(|index| EntryOrder {
            index,
            tree_size: count,
            ..EntryOrder::v1(now().unix_seconds())
        })
        .collect();
    order.timestamps = vec![TimestampOrder::new(now())];
}

/// The first log entry of a bundle.
fn member(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["tlogEntries"][0]
}

fn note(notes: &mut super::Notes, change: fn(&mut Value)) {
    let text = notes.get_mut("dev.sigstore.cosign/bundle").unwrap();
    let mut log = serde_json::from_str(text).unwrap();
    change(&mut log);
    *text = log.to_string();
}

#[test]
fn a_flipped_promise_is_no_promise() {
    // `flip_last` may leave an ECDSA signature that decodes: it must still not verify.
    let case = Promised.case();
    let mut minted = case.minted();
    flip_last(minted.entries[0].promise.as_mut().unwrap());
    let evidence = super::Evidence::of(&minted, case.form);
    let verdict = case.exhibit(evidence).verdict();
    assert_eq!(verdict.unwrap_err().code(), Code::LogPromiseInvalid);
}

#[test]
fn an_index_that_nobody_signed_is_not_reported() {
    let case = Rekor2.case();
    let mut minted = case.minted();
    minted.entries[0].log_index = 9_000_000;
    let evidence = super::Evidence::of(&minted, case.form);
    let proof = case.exhibit(evidence).verdict().unwrap();
    let indexes: Vec<_> = proof.logs().iter().map(|entry| entry.index).collect();
    assert_eq!(indexes, [4]);
}
