//! The SCT: raw in the list after the CT log signed it, and signed again by the CT log.

use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::CtLog;
use scgate::sandbox::mint::Extension;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SctOrder;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::root::Window;
use scgate::verify::SctTerm;

use super::Base::LayerSig;
use super::Base::Stamped;
use super::Change;
use super::MINT;
use super::Row;
use super::after;
use super::allowed;
use super::certificate;
use super::certificate::until;
use super::check;
use super::denied;
use super::flip_last;
use super::key;
use super::now;
use super::sct;
use super::stranger;

#[test]
fn scts() {
    check(ROWS);
}

// The list: two lengths of two bytes, then version, id (32), time (8), extensions (2 + 8),
// algorithms (2) and signature (2 + n).
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Raw.
    denied("raw SCT version", Stamped, Change::Order(|o| byte(o, 4)), Code::SctMalformed),
    denied("raw SCT log id", Stamped, Change::Order(|o| byte(o, 36)), Code::SctUntrusted),
    denied("raw SCT time", Stamped, Change::Order(|o| byte(o, 44)), Code::SctInvalid),
    denied("raw SCT extensions", Stamped, Change::Order(|o| byte(o, 54)), Code::SctInvalid),
    denied("raw SCT hash algorithm", Stamped, Change::Order(|o| byte(o, 55)), Code::SctInvalid),
    denied("raw SCT signature algorithm", Stamped, Change::Order(|o| byte(o, 56)), Code::SctInvalid),
    denied("raw SCT signature", Stamped, Change::Order(|o| list(o, |list| flip_last(list))), Code::SctInvalid),
    denied("raw SCT extensions length", Stamped, Change::Order(|o| byte(o, 46)), Code::SctMalformed),
    denied("list cut short", Stamped, Change::Order(|o| list(o, |list| { list.pop(); })), Code::SctMalformed),
    denied("bytes after the list", Stamped, Change::Order(|o| list(o, |list| list.push(0))), Code::SctMalformed),
    denied("bytes after the SCT", Stamped, Change::Order(|o| list(o, |list| { list.push(0); list[1] += 1; list[3] += 1; })), Code::SctMalformed),
    denied("empty list", Stamped, Change::Order(|o| list(o, |list| *list = vec![0, 0])), Code::SctMissing),
    denied("no list in the extension", Stamped, Change::Order(|o| list(o, Vec::clear)), Code::SctMalformed),
    denied("extension that is no OCTET STRING", Stamped, Change::Order(|o| {
        certificate(o).scts.clear();
        certificate(o).extensions.push(Extension::new("1.3.6.1.4.1.11129.2.4.2", der::integer(1)));
    }), Code::SctMalformed),

    // Signed again.
    denied("CRT-08 no SCT", Stamped, Change::Order(|o| certificate(o).scts.clear()), Code::SctMissing),
    denied("CRT-08 no SCT in a layer", LayerSig, Change::Order(|o| certificate(o).scts.clear()), Code::SctMissing),
    denied("CRT-08 unknown CT log", Stamped, Change::Order(|o| sct(o).log = Some(stranger().ct.clone())), Code::SctUntrusted),
    denied("CRT-08 no CT log in the trusted root", Stamped, Change::Case(|c| c.root.ctlogs.clear()), Code::SctUntrusted),
    denied("CRT-08 known id, unknown key", Stamped, Change::Order(|o| sct(o).log = Some(CtLog { id: MINT.ct.id.clone(), ..stranger().ct.clone() })), Code::SctInvalid),
    denied("CRT-08 of another certificate", Stamped, Change::Order(|o| signed(o, |bytes| flip_last(bytes))), Code::SctInvalid),
    denied("CRT-08 of another issuer", Stamped, Change::Order(|o| signed(o, |bytes| bytes[12] ^= 1)), Code::SctInvalid),
    denied("CRT-08 of a final certificate", Stamped, Change::Order(|o| signed(o, |bytes| bytes[11] = 0)), Code::SctInvalid),
    denied("CRT-08 of another signature type", Stamped, Change::Order(|o| signed(o, |bytes| bytes[1] = 1)), Code::SctInvalid),
    denied("CRT-08 of another time", Stamped, Change::Order(|o| signed(o, |bytes| bytes[9] ^= 1)), Code::SctInvalid),
    denied("CRT-08 version 2", Stamped, Change::Order(|o| sct(o).version = 1), Code::SctMalformed),
    denied("CRT-08 other algorithms", Stamped, Change::Order(|o| sct(o).algorithm = [6, 3]), Code::SctInvalid),
    allowed("CRT-08 at the end of the CT key", Stamped, Change::Case(|c| c.root.ctlogs[0].public_key.valid_for = until(0))),
    denied("CRT-08 a second after the end of the CT key", Stamped, Change::Case(|c| c.root.ctlogs[0].public_key.valid_for = until(-1)), Code::SctOutsideValidity),
    allowed("CRT-08 at the begin of the CT key", Stamped, Change::Case(|c| c.root.ctlogs[0].public_key.valid_for = Window::since(now()))),
    denied("CRT-08 a second before the begin of the CT key", Stamped, Change::Case(|c| c.root.ctlogs[0].public_key.valid_for = Window::since(after(1))), Code::SctOutsideValidity),
    denied("CRT-08 a millisecond after the end of the CT key", Stamped, Change::Case(|c| {
        sct(&mut c.order).timestamp += 1;
        c.root.ctlogs[0].public_key.valid_for = until(0);
    }), Code::SctOutsideValidity),
    denied("time out of range", Stamped, Change::Order(|o| sct(o).timestamp = u64::MAX), Code::SctMalformed),
    allowed("no extensions", Stamped, Change::Order(|o| sct(o).extensions.clear())),
    allowed("one known, one unknown", Stamped, Change::Order(|o| beside(o, |sct| sct.log = Some(stranger().ct.clone())))),
    denied("one good, one broken by the same log", Stamped, Change::Order(|o| beside(o, |sct| sct.signed = Hook::new(|b: &mut Vec<u8>| flip_last(b)))), Code::SctInvalid),
    allowed("8 SCTs", Stamped, Change::Order(|o| certificate(o).scts = vec![SctOrder::new(now()); 8])),
    denied("9 SCTs", Stamped, Change::Order(|o| certificate(o).scts = vec![SctOrder::new(now()); 9]), Code::LimitExceeded),
    denied("CRT-09 control", Stamped, Change::Case(|c| { certificate(&mut c.order).scts.clear(); c.question.terms.sct = SctTerm::Required; }), Code::SctMissing),
    allowed("CRT-09 SCT not demanded", Stamped, Change::Case(|c| { certificate(&mut c.order).scts.clear(); c.question.terms.sct = SctTerm::InsecureNone; })),
    denied("P-384 CT log", Stamped, Change::Case(|c| {
        c.mint.ct = CtLog::new("https://ct.sandbox.test", key(KeyKind::P384));
        c.root = c.mint.trusted_root();
    }), Code::SctInvalid),
];

fn list(order: &mut Order, change: fn(&mut Vec<u8>)) {
    certificate(order).sct_list = Hook::new(change);
}

/// Turns the lowest bit of one byte of the list.
fn byte(order: &mut Order, at: usize) {
    certificate(order).sct_list = Hook::new(move |list: &mut Vec<u8>| list[at] ^= 1);
}

fn signed(order: &mut Order, change: fn(&mut Vec<u8>)) {
    sct(order).signed = Hook::new(change);
}

fn beside(order: &mut Order, change: fn(&mut SctOrder)) {
    let mut other = SctOrder::new(now());
    change(&mut other);
    certificate(order).scts.push(other);
}
