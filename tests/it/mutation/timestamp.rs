//! RFC 3161 tokens: raw in their bytes, stamped again with another content, and who stamped.

use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::CODE_SIGNING;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::CertifiedKey;
use scgate::sandbox::mint::HashKind;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::Imprint;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::TimestampOrder;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::root::AuthorityInstance;
use scgate::sandbox::mint::root::Window;

use super::Base::Key;
use super::Base::LayerAtt;
use super::Base::LayerSig;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::Change;
use super::MINT;
use super::Row;
use super::after;
use super::allowed;
use super::certificate::until;
use super::check;
use super::denied;
use super::flip_last;
use super::key;
use super::now;
use super::stamp;
use super::stranger;
use super::swap;

#[test]
fn timestamps() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Raw, field by field.
    denied("raw status", Rekor2, Change::Parts(|m| splice(m, &[0x30, 3, 2, 1, 0], &[0x30, 3, 2, 1, 2])), Code::TimestampInvalid),
    denied("raw content type", Rekor2, Change::Parts(|m| splice(m, &der::oid("1.2.840.113549.1.7.2"), &der::oid("1.2.840.113549.1.7.1"))), Code::TimestampMalformed),
    denied("raw TSTInfo version", Rekor2, Change::Parts(|m| splice(m, &[2, 1, 1, 6, 9, 0x2b], &[2, 1, 2, 6, 9, 0x2b])), Code::TimestampMalformed),
    denied("raw policy", Rekor2, Change::Parts(|m| splice(m, &der::oid("1.3.6.1.4.1.57264.2"), &der::oid("1.3.6.1.4.1.57264.3"))), Code::TimestampInvalid),
    denied("raw imprint algorithm", Rekor2, Change::Parts(|m| splice(m, &der::algorithm_null("2.16.840.1.101.3.4.2.1"), &der::algorithm_null("2.16.840.1.101.3.4.2.2"))), Code::TimestampInvalid),
    denied("raw imprint", Rekor2, Change::Parts(|m| { let hash = imprint(m); splice(m, &hash, &[7; 32]) }), Code::TimestampInvalid),
    denied("raw token serial number", Rekor2, Change::Parts(|m| splice(m, &[2, 8, 1], &[2, 8, 2])), Code::TimestampInvalid),
    denied("raw time", Rekor2, Change::Parts(|m| splice(m, b"20260601120000Z", b"20260601120001Z")), Code::TimestampInvalid),
    denied("raw accuracy", Rekor2, Change::Parts(|m| splice(m, &[0x30, 3, 2, 1, 1], &[0x30, 3, 2, 1, 9])), Code::TimestampInvalid),
    denied("raw issuer of the signer", Rekor2, Change::Parts(|m| last(m, b"sandbox-tsa-root", b"sandbox-tsa-rooT")), Code::TimestampInvalid),
    denied("raw serial number of the signer", Rekor2, Change::Parts(|m| { let serial = der::integer_bytes(&MINT.tsa.leaf.serial); first(m, &serial) }), Code::TimestampUntrusted),
    denied("raw digest attribute", Rekor2, Change::Parts(|m| inside(m, "1.2.840.113549.1.9.4", 20)), Code::TimestampInvalid),
    denied("raw time attribute", Rekor2, Change::Parts(|m| splice(m, b"\x17\x0d260601120000Z", b"\x17\x0d260601120001Z")), Code::TimestampInvalid),
    denied("raw structure of an attribute", Rekor2, Change::Parts(|m| splice(m, DIGEST_ATTRIBUTE, b"\x07\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04")), Code::TimestampMalformed),
    denied("raw structure of an attribute beside a promise", Stamped, Change::Parts(|m| splice(m, DIGEST_ATTRIBUTE, b"\x07\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04")), Code::TimestampMalformed),
    denied("raw certificate attribute", Rekor2, Change::Parts(|m| inside(m, "1.2.840.113549.1.9.16.2.47", 24)), Code::TimestampInvalid),
    denied("raw token signature", Rekor2, Change::Parts(|m| flip_last(&mut m.timestamps[0])), Code::TimestampInvalid),
    denied("token cut short", Rekor2, Change::Parts(|m| { m.timestamps[0].pop(); }), Code::TimestampMalformed),
    denied("bytes after the token", Rekor2, Change::Parts(|m| m.timestamps[0].push(0)), Code::TimestampMalformed),
    denied("empty token", Rekor2, Change::Parts(|m| m.timestamps[0].clear()), Code::TimestampMalformed),
    denied("token that is not DER", Rekor2, Change::Parts(|m| m.timestamps[0] = b"timestamp".to_vec()), Code::TimestampMalformed),
    denied("raw token, managed key", Key, Change::Parts(|m| flip_last(&mut m.timestamps[0])), Code::TimestampInvalid),
    denied("raw token in a layer", LayerSig, Change::Parts(|m| flip_last(&mut m.timestamps[0])), Code::TimestampInvalid),

    // Stamped again.
    denied("LOG-16 other bytes", Rekor2, Change::Order(|o| stamp(o).imprint = Imprint::Bytes(b"other".to_vec())), Code::TimestampMismatch),
    denied("LOG-16 other bytes, beside a promise", Stamped, Change::Order(|o| stamp(o).imprint = Imprint::Bytes(b"other".to_vec())), Code::TimestampMismatch),
    denied("LOG-16 other bytes, managed key", Key, Change::Order(|o| stamp(o).imprint = Imprint::Bytes(b"other".to_vec())), Code::TimestampMismatch),
    denied("LOG-16 other bytes, layer", LayerSig, Change::Order(|o| stamp(o).imprint = Imprint::Bytes(b"other".to_vec())), Code::TimestampMismatch),
    denied("LOG-16 the envelope of a bundle", Rekor2, Change::Order(|o| stamp(o).imprint = Imprint::Envelope), Code::TimestampMismatch),
    allowed("the envelope of a layer, as cosign 2 stamped it", LayerAtt, Change::Order(|o| stamp(o).imprint = Imprint::Envelope)),
    denied("LOG-16 the payload", Rekor2, Change::Order(|o| stamp(o).imprint = Imprint::Bytes(o.content.payload().to_vec())), Code::TimestampMismatch),
    denied("LOG-16 imprint by SHA-1", Rekor2, Change::Order(|o| stamp(o).hash = HashKind::Sha1), Code::TimestampInvalid),
    allowed("imprint by SHA-384", Rekor2, Change::Order(|o| stamp(o).hash = HashKind::Sha384)),
    allowed("imprint by SHA-512", Rekor2, Change::Order(|o| stamp(o).hash = HashKind::Sha512)),
    denied("LOG-16 rejected", Rekor2, Change::Order(|o| stamp(o).status = 2), Code::TimestampInvalid),
    denied("LOG-16 waiting", Rekor2, Change::Order(|o| stamp(o).status = 3), Code::TimestampInvalid),
    allowed("LOG-16 granted with modifications", Rekor2, Change::Order(|o| stamp(o).status = 1)),
    denied("TSTInfo version 2", Rekor2, Change::Order(|o| stamp(o).info = Hook::new(|i: &mut Vec<u8>| swap(i, &[2, 1, 1, 6, 9], &[2, 1, 2, 6, 9]))), Code::TimestampMalformed),
    denied("local time", Rekor2, Change::Order(|o| stamp(o).info = Hook::new(|i: &mut Vec<u8>| swap(i, b"20260601120000Z", b"202606011200+02"))), Code::TimestampMalformed),
    denied("month 13", Rekor2, Change::Order(|o| stamp(o).info = Hook::new(|i: &mut Vec<u8>| swap(i, b"20260601120000Z", b"20261301120000Z"))), Code::TimestampMalformed),
    denied("bytes after the TSTInfo", Rekor2, Change::Order(|o| stamp(o).info = Hook::new(|i: &mut Vec<u8>| i.push(0))), Code::TimestampMalformed),
    denied("two signers", Rekor2, Change::Order(|o| stamp(o).signers = 2), Code::TimestampInvalid),
    denied("no signer", Rekor2, Change::Order(|o| stamp(o).signers = 0), Code::TimestampMalformed),
    denied("no signed attributes", Rekor2, Change::Order(|o| stamp(o).attributes = None), Code::TimestampInvalid),
    denied("content type of plain data", Rekor2, Change::Order(|o| attributes(o).content_type = "1.2.840.113549.1.7.1".into()), Code::TimestampInvalid),
    denied("digest of another content", Rekor2, Change::Order(|o| attributes(o).message_digest = Hook::new(|d: &mut Vec<u8>| d.reverse())), Code::TimestampInvalid),
    denied("digest attribute left out", Rekor2, Change::Order(|o| attributes(o).list = Hook::new(|l: &mut Vec<Vec<u8>>| drop(l.remove(2)))), Code::TimestampInvalid),
    denied("digest attribute twice", Rekor2, Change::Order(|o| attributes(o).list = Hook::new(|l: &mut Vec<Vec<u8>>| l.push(l[2].clone()))), Code::TimestampInvalid),
    denied("content type attribute left out", Rekor2, Change::Order(|o| attributes(o).list = Hook::new(|l: &mut Vec<Vec<u8>>| drop(l.remove(0)))), Code::TimestampInvalid),
    denied("signed over other attributes", Rekor2, Change::Order(|o| stamp(o).signed = Hook::new(|b: &mut Vec<u8>| flip_last(b))), Code::TimestampInvalid),
    // The signer is the one of the trusted root, found by name and key: the attribute adds nothing.
    allowed("certificate attribute of another certificate", Rekor2, Change::Order(|o| attributes(o).certificate_hash = Hook::new(|h: &mut Vec<u8>| h.reverse()))),
    allowed("another policy", Rekor2, Change::Order(|o| stamp(o).policy = "1.2.3.4".into())),
    allowed("no accuracy, a nonce", Rekor2, Change::Order(|o| { stamp(o).accuracy = None; stamp(o).nonce = Some(vec![42]); })),
    denied("LOG-04 token a second ahead of now", Rekor2, Change::Order(|o| stamp(o).time = after(1)), Code::TimeInFuture),
    denied("row 28 one of two tokens is of other bytes", Rekor2, Change::Order(|o| o.timestamps.push(TimestampOrder { imprint: Imprint::Bytes(vec![1]), ..TimestampOrder::new(now()) })), Code::TimestampMismatch),
    allowed("G3 a token of a stranger beside a known one", Rekor2, Change::Order(|o| o.timestamps.push(TimestampOrder { authority: Some(stranger().tsa.clone()), ..TimestampOrder::new(now()) }))),
    allowed("BUN-09 row 16 32 tokens", Rekor2, Change::Order(|o| o.timestamps = vec![TimestampOrder::new(now()); 32])),
    denied("BUN-09 row 16 33 tokens", Rekor2, Change::Order(|o| o.timestamps = vec![TimestampOrder::new(now()); 33]), Code::LimitExceeded),
    denied("token of 64 KiB and more", Rekor2, Change::Order(|o| stamp(o).certificates = vec![vec![0; 65536]]), Code::LimitExceeded),

    // Who stamped.
    denied("LOG-16 unknown authority", Rekor2, Change::Order(|o| stamp(o).authority = Some(stranger().tsa.clone())), Code::TimestampUntrusted),
    denied("LOG-16 row 38 no authority in the trusted root", Rekor2, Change::Case(|c| c.root.timestamp_authorities.clear()), Code::TimestampUntrusted),
    allowed("token of nobody beside a promise", Stamped, Change::Case(|c| c.root.timestamp_authorities.clear())),
    denied("LOG-16 name of a known authority, another key", Rekor2, Change::Case(|c| { let mut tsa = c.mint.tsa.clone(); tsa.leaf.key = key(KeyKind::P384); stamp(&mut c.order).authority = Some(tsa); }), Code::TimestampInvalid),
    denied("LOG-16 wrong extended key usage", Rekor2, Change::Case(|c| leaf(c, |l| l.extended_key_usage = vec![CODE_SIGNING.into()])), Code::TimestampInvalid),
    denied("LOG-16 no extended key usage", Rekor2, Change::Case(|c| leaf(c, |l| l.extended_key_usage.clear())), Code::TimestampInvalid),
    denied("LOG-16 another usage beside", Rekor2, Change::Case(|c| leaf(c, |l| l.extended_key_usage.push(CODE_SIGNING.into()))), Code::TimestampInvalid),
    denied("LOG-16 usage not critical", Rekor2, Change::Case(|c| leaf(c, |l| l.extended_key_usage_critical = false)), Code::TimestampInvalid),
    denied("LOG-16 the authority itself stamps", Rekor2, Change::Case(|c| { c.mint.tsa.leaf = c.mint.tsa.root.clone(); let tsa = &c.mint.tsa; c.root.timestamp_authorities[0] = AuthorityInstance::new("a", "b", &[&tsa.root], Window::since(after(-9))); }), Code::TimestampInvalid),
    allowed("LOG-16 signer valid until its own time", Rekor2, Change::Case(|c| leaf(c, |l| l.not_after = now()))),
    denied("LOG-16 signer expired at its own time", Rekor2, Change::Case(|c| leaf(c, |l| l.not_after = after(-1))), Code::TimestampOutsideValidity),
    allowed("LOG-16 signer valid since its own time", Rekor2, Change::Case(|c| leaf(c, |l| l.not_before = now()))),
    denied("LOG-16 signer not yet valid", Rekor2, Change::Case(|c| leaf(c, |l| l.not_before = after(1))), Code::TimestampOutsideValidity),
    denied("LOG-16 root expired", Rekor2, Change::Case(tsa_root), Code::TimestampOutsideValidity),
    allowed("at the end of validFor", Rekor2, Change::Case(|c| c.root.timestamp_authorities[0].valid_for = until(0))),
    denied("a second after the end of validFor", Rekor2, Change::Case(|c| c.root.timestamp_authorities[0].valid_for = until(-1)), Code::TimestampOutsideValidity),
    allowed("at the begin of validFor", Rekor2, Change::Case(|c| c.root.timestamp_authorities[0].valid_for = Window::since(now()))),
    denied("a second before the begin of validFor", Rekor2, Change::Case(|c| c.root.timestamp_authorities[0].valid_for = Window::since(after(1))), Code::TimestampOutsideValidity),
    denied("outside of validFor, beside a promise", Stamped, Change::Case(|c| c.root.timestamp_authorities[0].valid_for = until(-1)), Code::TimestampOutsideValidity),
    denied("row 31 the window of another authority is not lent", Rekor2, Change::Case(|c| {
        let tsa = &stranger().tsa;
        c.root.timestamp_authorities.push(AuthorityInstance::new("a", "b", &[&tsa.leaf, &tsa.root], Window::since(after(-9))));
        c.root.timestamp_authorities[0].valid_for = until(-1);
    }), Code::TimestampOutsideValidity),
    denied("row 50 a foreign certificate in the token", Rekor2, Change::Order(|o| stamp(o).certificates = vec![stranger().tsa.leaf.certificate.clone()]), Code::TimestampInvalid),
    denied("row 50 a foreign certificate before the right one", Rekor2, Change::Order(|o| stamp(o).certificates = vec![stranger().tsa.leaf.certificate.clone(), MINT.tsa.leaf.certificate.clone()]), Code::TimestampInvalid),
    allowed("the right certificate in the token", Rekor2, Change::Order(|o| stamp(o).certificates = vec![MINT.tsa.leaf.certificate.clone()])),
];

fn splice(minted: &mut Minted, from: &[u8], to: &[u8]) {
    swap(&mut minted.timestamps[0], from, to);
}

fn places(token: &[u8], part: &[u8]) -> Vec<usize> {
    let windows = token.windows(part.len()).enumerate();
    windows
        .filter(|(_, w)| *w == part)
        .map(|(at, _)| at)
        .collect()
}

/// Replaces the last occurrence.
fn last(minted: &mut Minted, from: &[u8], to: &[u8]) {
    let token = &mut minted.timestamps[0];
    let at = *places(token, from).last().unwrap();
    token.splice(at..at + from.len(), to.iter().copied());
}

/// Turns a bit at the end of the first occurrence.
fn first(minted: &mut Minted, part: &[u8]) {
    let token = &mut minted.timestamps[0];
    let at = *places(token, part).first().unwrap();
    flip_last(&mut token[at..at + part.len()]);
}

/// The identifier of the attribute that holds the digest of the content (RFC 5652, section 11.2).
const DIGEST_ATTRIBUTE: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";

/// Turns a bit some bytes after the identifier of an attribute.
fn inside(minted: &mut Minted, oid: &str, offset: usize) {
    let token = &mut minted.timestamps[0];
    let at = places(token, &der::oid(oid))[0];
    token[at + der::oid(oid).len() + offset] ^= 1;
}

fn imprint(minted: &Minted) -> Vec<u8> {
    let envelope = minted.envelope.as_ref().unwrap();
    HashKind::Sha256.of(&envelope.signatures[0].1)
}

fn attributes(order: &mut Order) -> &mut scgate::sandbox::mint::AttributesOrder {
    stamp(order).attributes.as_mut().unwrap()
}

/// The same key of the signer under a changed certificate, which the trusted root knows.
fn leaf(case: &mut Case, change: fn(&mut CertificateOrder)) {
    let mint = &mut case.mint;
    let mut order = CertificateOrder::timestamp_leaf(mint.valid_from, mint.valid_until);
    change(&mut order);
    let key = mint.tsa.leaf.key.clone();
    mint.tsa.leaf = mint.tsa.root.certify(&order, &key, None).unwrap();
    case.root = mint.trusted_root();
}

fn tsa_root(case: &mut Case) {
    let mint = &mut case.mint;
    let order = CertificateOrder::timestamp_root(mint.valid_from, after(-1));
    mint.tsa.root = CertifiedKey::self_signed(&order, &mint.tsa.root.key).unwrap();
    case.root = mint.trusted_root();
}
