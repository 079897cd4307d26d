//! The certificate: its profile, its names, its path and its times.
//!
//! Raw changes are made after the authority signed and before the log took the certificate, so that
//! the log entry fits and only the path can notice; `entry.rs` has those that the log notices.

use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::BasicConstraints;
use scgate::sandbox::mint::CODE_SIGNING;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::CertifiedKey;
use scgate::sandbox::mint::Extension;
use scgate::sandbox::mint::GeneralName;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::TIME_STAMPING;
use scgate::sandbox::mint::der;
use scgate::sandbox::mint::root::AuthorityInstance;
use scgate::sandbox::mint::root::Window;
use scgate::verify::LogTerm;

use super::Base::Chain;
use super::Base::LayerSig;
use super::Base::Promised;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::Change;
use super::Row;
use super::after;
use super::allowed;
use super::certificate;
use super::check;
use super::denied;
use super::entry;
use super::flip_last;
use super::key;
use super::now;
use super::stamp;
use super::stranger;
use super::swap;

#[test]
fn certificates() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // Raw, field by field: the authority's signature is over every one of them.
    denied("raw version", Stamped, Change::Order(|o| raw(o, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1])), Code::CertificateMalformed),
    denied("raw serial number", Stamped, Change::Order(|o| {
        certificate(o).serial = Some(vec![0x42; 20]);
        raw(o, &[0x42; 20], &[0x43; 20]);
    }), Code::CertificateUntrusted),
    denied("raw inner signature algorithm", Stamped, Change::Order(|o| algorithm(o, false)), Code::CertificateUntrusted),
    denied("raw outer signature algorithm", Stamped, Change::Order(|o| algorithm(o, true)), Code::CertificateUntrusted),
    denied("raw issuer", Stamped, Change::Order(|o| raw(o, b"sandbox.test-intermediate", b"sandbox.test-intermediatE")), Code::CertificateUntrusted),
    denied("raw begin of the validity", Stamped, Change::Order(|o| raw(o, b"260601120000Z", b"260601115959Z")), Code::CertificateUntrusted),
    denied("raw end of the validity", Stamped, Change::Order(|o| raw(o, b"260601121000Z", b"270601121000Z")), Code::CertificateUntrusted),
    denied("raw subject", Stamped, Change::Order(|o| {
        certificate(o).subject = Some("somebody".into());
        raw(o, b"somebody", b"somebodY");
    }), Code::CertificateUntrusted),
    denied("raw key", Stamped, Change::Order(|o| {
        let (own, other) = (key(KeyKind::P256), key(KeyKind::P256));
        o.key = Some(own.clone());
        certificate(o).encoded = Hook::new(move |der: &mut Vec<u8>| swap(der, own.spki(), other.spki()));
    }), Code::SignatureInvalid),
    denied("raw key usage", Stamped, Change::Order(|o| raw(o, &[0x0f, 1, 1, 0xff, 4, 4, 3, 2, 7, 0x80], &[0x0f, 1, 1, 0xff, 4, 4, 3, 2, 6, 0xc0])), Code::CertificateUntrusted),
    denied("raw extended key usage", Stamped, Change::Order(|o| raw(o, &der::oid(CODE_SIGNING), &der::oid(TIME_STAMPING))), Code::CertificateUsage),
    denied("raw basic constraints", Stamped, Change::Order(|o| {
        certificate(o).basic_constraints = Some(BasicConstraints { ca: false, path_length: None });
        raw(o, &[0x55, 0x1d, 0x13, 1, 1, 0xff], &[0x55, 0x1d, 0x7e, 1, 1, 0xff]);
    }), Code::CertificateUntrusted),
    denied("raw key identifier", Stamped, Change::Order(|o| raw(o, &[0x55, 0x1d, 0x0e, 4], &[0x55, 0x1d, 0x7e, 4])), Code::CertificateUntrusted),
    denied("raw authority key identifier", Stamped, Change::Order(|o| raw(o, &[0x55, 0x1d, 0x23, 4], &[0x55, 0x1d, 0x7e, 4])), Code::CertificateUntrusted),
    denied("raw name", Stamped, Change::Order(|o| {
        certificate(o).extensions.retain(|e| !e.oid.ends_with(".9") && !e.oid.ends_with(".18"));
        raw(o, b"/acme/shop/.github/workflows/release.yml", b"/evil/shop/.github/workflows/release.yml");
    }), Code::CertificateUntrusted),
    denied("raw SCT list", Stamped, Change::Order(|o| raw(o, &[0, 8, 0, 0, 5, 0, 0, 0, 2, 0xbd], &[0, 8, 0, 0, 5, 0, 0, 0, 2, 0xbe])), Code::CertificateUntrusted),
    denied("raw certificate signature", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| flip_last(der))), Code::CertificateUntrusted),

    // Names.
    denied("CRT-01 right and wrong URI", Stamped, Change::Order(|o| names(o, vec![own(), uri("https://evil.test")])), Code::CertificateSan),
    denied("CRT-01 wrong and right URI", Stamped, Change::Order(|o| names(o, vec![uri("https://evil.test"), own()])), Code::CertificateSan),
    denied("CRT-01 URI and e-mail", Stamped, Change::Order(|o| names(o, vec![own(), GeneralName::Email("a@b.test".into())])), Code::CertificateSan),
    denied("CRT-01 URI and DNS", Stamped, Change::Order(|o| names(o, vec![own(), GeneralName::Dns("b.test".into())])), Code::CertificateSan),
    denied("CRT-01 DNS and URI", Stamped, Change::Order(|o| names(o, vec![GeneralName::Dns("b.test".into()), own()])), Code::CertificateSan),
    denied("CRT-02 no name", Stamped, Change::Order(|o| certificate(o).names = None), Code::CertificateSan),
    denied("CRT-02 empty list of names", Stamped, Change::Order(|o| names(o, Vec::new())), Code::CertificateSan),
    denied("CRT-02 name in the subject alone", Stamped, Change::Order(|o| {
        certificate(o).names = None;
        certificate(o).subject = Some("https://github.com/acme/shop".into());
    }), Code::CertificateSan),
    denied("CRT-02 empty name", Stamped, Change::Order(|o| names(o, vec![uri("")])), Code::CertificateSan),
    denied("DNS name alone", Stamped, Change::Order(|o| names(o, vec![GeneralName::Dns("b.test".into())])), Code::CertificateSan),
    denied("address alone", Stamped, Change::Order(|o| names(o, vec![GeneralName::Ip(vec![127, 0, 0, 1])])), Code::CertificateSan),
    denied("other name of an unknown type", Stamped, Change::Order(|o| names(o, vec![GeneralName::Other("1.2.3".into(), der::utf8_string("a"))])), Code::CertificateSan),
    denied("user name that is no UTF8String", Stamped, Change::Order(|o| names(o, vec![GeneralName::Other("1.3.6.1.4.1.57264.1.7".into(), der::octet_string(b"a"))])), Code::CertificateSan),
    allowed("user name", Stamped, Change::Order(|o| names(o, vec![GeneralName::Other("1.3.6.1.4.1.57264.1.7".into(), der::utf8_string("a!b.test"))]))),
    allowed("e-mail address", Stamped, Change::Order(|o| names(o, vec![GeneralName::Email("a@b.test".into())]))),
    allowed("name of 8192 bytes", Stamped, Change::Order(|o| names(o, vec![uri(&"a".repeat(8192))]))),
    denied("name of 8193 bytes", Stamped, Change::Order(|o| names(o, vec![uri(&"a".repeat(8193))])), Code::LimitExceeded),
    denied("two lists of names", Stamped, Change::Order(|o| {
        let names = Extension { oid: "2.5.29.17".into(), critical: true, value: der::sequence(&[der::implicit(6, b"https://evil.test")]) };
        certificate(o).extensions.push(names);
    }), Code::CertificateMalformed),
    allowed("subject beside the name", Stamped, Change::Order(|o| certificate(o).subject = Some("somebody".into()))),

    // Times of the leaf.
    allowed("CRT-03 leaf expired long ago", Stamped, Change::Case(|c| c.question.now = after(10_000_000))),
    denied("CRT-04 a second before the begin", Promised, Change::Order(|o| entry(o).integrated_time = Some(after(-1).unix_seconds())), Code::CertificateOutsideValidity),
    allowed("CRT-04 at the begin", Promised, Change::Order(|o| entry(o).integrated_time = Some(now().unix_seconds()))),
    allowed("CRT-04 at the end", Promised, Change::Case(|c| later(c, 600))),
    denied("CRT-04 a second after the end", Promised, Change::Case(|c| later(c, 601)), Code::CertificateOutsideValidity),
    denied("CRT-04 timestamp a second before the begin", Rekor2, Change::Order(|o| stamp(o).time = after(-1)), Code::CertificateOutsideValidity),
    allowed("CRT-04 timestamp at the end", Rekor2, Change::Case(|c| stamped(c, 600))),
    denied("CRT-04 timestamp a second after the end", Rekor2, Change::Case(|c| stamped(c, 601)), Code::CertificateOutsideValidity),
    denied("LOG-17 timestamp outside, promise inside", Stamped, Change::Case(|c| stamped(c, 601)), Code::CertificateOutsideValidity),
    denied("LOG-17 promise outside, timestamp inside", Stamped, Change::Case(|c| later(c, 601)), Code::CertificateOutsideValidity),
    denied("row 28 two timestamps, one outside", Stamped, Change::Case(|c| {
        c.order.timestamps.push(c.order.timestamps[0].clone());
        stamped(c, 601);
    }), Code::CertificateOutsideValidity),
    denied("end before begin", Stamped, Change::Order(|o| certificate(o).not_after = after(-1)), Code::CertificateUntrusted),

    // Times of those who issued.
    allowed("CRT-05 at the end of the intermediate", Stamped, Change::Case(|c| intermediate(c, |i| i.not_after = now()))),
    denied("CRT-05 row 8 a second after the end of the intermediate", Stamped, Change::Case(|c| intermediate(c, |i| i.not_after = after(-1))), Code::AuthorityOutsideValidity),
    allowed("CRT-05 at the begin of the intermediate", Stamped, Change::Case(|c| intermediate(c, |i| i.not_before = now()))),
    denied("CRT-05 a second before the begin of the intermediate", Stamped, Change::Case(|c| intermediate(c, |i| i.not_before = after(1))), Code::AuthorityOutsideValidity),
    allowed("CRT-05 at the end of the root", Stamped, Change::Case(|c| root(c, |r| r.not_after = now()))),
    denied("CRT-05 a second after the end of the root", Stamped, Change::Case(|c| root(c, |r| r.not_after = after(-1))), Code::AuthorityOutsideValidity),
    allowed("CRT-05 at the end of validFor", Stamped, Change::Case(|c| c.root.certificate_authorities[0].valid_for = until(0))),
    denied("CRT-05 a second after the end of validFor", Stamped, Change::Case(|c| c.root.certificate_authorities[0].valid_for = until(-1)), Code::AuthorityOutsideValidity),
    allowed("CRT-05 at the begin of validFor", Stamped, Change::Case(|c| c.root.certificate_authorities[0].valid_for = Window::since(now()))),
    denied("CRT-05 a second before the begin of validFor", Stamped, Change::Case(|c| c.root.certificate_authorities[0].valid_for = Window::since(after(1))), Code::AuthorityOutsideValidity),
    denied("CRT-05 brought intermediate has ended", Chain, Change::Case(|c| {
        brought(c);
        recertify(c, |i| i.not_after = after(-1));
    }), Code::AuthorityOutsideValidity),
    allowed("brought intermediate", Chain, Change::Case(brought)),

    // Profile.
    denied("CRT-06 no extended key usage", Stamped, Change::Order(|o| certificate(o).extended_key_usage.clear()), Code::CertificateUsage),
    denied("CRT-06 for servers", Stamped, Change::Order(|o| usage(o, &["1.3.6.1.5.5.7.3.1"])), Code::CertificateUsage),
    denied("CRT-06 any usage", Stamped, Change::Order(|o| usage(o, &["2.5.29.37.0"])), Code::CertificateUsage),
    denied("CRT-06 code signing and servers", Stamped, Change::Order(|o| usage(o, &[CODE_SIGNING, "1.3.6.1.5.5.7.3.1"])), Code::CertificateUsage),
    denied("CRT-06 code signing and an unknown usage", Stamped, Change::Order(|o| usage(o, &[CODE_SIGNING, "1.2.3.4"])), Code::CertificateUsage),
    denied("CRT-06 timestamping", Stamped, Change::Order(|o| usage(o, &[TIME_STAMPING])), Code::CertificateUsage),
    denied("CRT-07 no key usage", Stamped, Change::Order(|o| certificate(o).key_usage = None), Code::CertificateUsage),
    denied("CRT-07 key usage without digitalSignature", Stamped, Change::Order(|o| certificate(o).key_usage = Some(0x40)), Code::CertificateUsage),
    denied("CRT-07 leaf is an authority", Stamped, Change::Order(|o| certificate(o).basic_constraints = Some(BasicConstraints { ca: true, path_length: None })), Code::CertificateUsage),
    allowed("leaf says that it is no authority", Stamped, Change::Order(|o| certificate(o).basic_constraints = Some(BasicConstraints { ca: false, path_length: None }))),
    denied("CRT-07 intermediate is no authority", Stamped, Change::Case(|c| intermediate(c, |i| i.basic_constraints = None)), Code::CertificateUntrusted),
    denied("CRT-07 intermediate may not sign certificates", Stamped, Change::Case(|c| intermediate(c, |i| i.key_usage = Some(0x80))), Code::CertificateUntrusted),
    denied("CRT-07 intermediate for servers", Stamped, Change::Case(|c| intermediate(c, |i| i.extended_key_usage = vec!["1.3.6.1.5.5.7.3.1".into()])), Code::CertificateUntrusted),
    denied("CRT-07 brought intermediate is no authority", Chain, Change::Case(|c| { brought(c); recertify(c, |i| i.basic_constraints = None); }), Code::CertificateUntrusted),
    denied("CRT-07 brought intermediate for servers", Chain, Change::Case(|c| { brought(c); recertify(c, |i| i.extended_key_usage = vec!["1.3.6.1.5.5.7.3.1".into()]); }), Code::CertificateUntrusted),
    denied("CRT-07 root allows no intermediate", Stamped, Change::Case(|c| root(c, |r| r.basic_constraints = Some(BasicConstraints { ca: true, path_length: Some(0) }))), Code::CertificateUntrusted),
    denied("CRT-07 intermediate allows none below it", Chain, Change::Case(|c| below(c, 0)), Code::CertificateUntrusted),
    allowed("CRT-07 intermediate allows one below it", Chain, Change::Case(|c| below(c, 1))),

    // Trust.
    denied("CRT-10 leaf of another instance", Stamped, Change::Case(|c| c.mint.fulcio = stranger().fulcio.clone()), Code::CertificateUntrusted),
    denied("CRT-11 chain of another instance in the bundle", Chain, Change::Case(|c| c.mint.fulcio = stranger().fulcio.clone()), Code::CertificateUntrusted),
    denied("CRT-11 chain and root of another instance in a layer", LayerSig, Change::Case(|c| c.mint.fulcio = stranger().fulcio.clone()), Code::CertificateUntrusted),
    denied("CRT-11 trusted root without an authority", Stamped, Change::Case(|c| c.root.certificate_authorities.clear()), Code::CertificateUntrusted),
    denied("issuer of another name", Stamped, Change::Case(|c| c.mint.fulcio.intermediate.subject = der::name("evil.test", "evil")), Code::CertificateUntrusted),
    allowed("row 36 another intermediate of the same name comes first", Stamped, Change::Case(|c| {
        let fulcio = &stranger().fulcio;
        let other = AuthorityInstance::new("a", "https://b.test", &[&fulcio.intermediate, &fulcio.root], Window::since(after(-9)));
        c.root.certificate_authorities.insert(0, other);
    })),
    allowed("row 36 another intermediate of the same name comes last", Stamped, Change::Case(|c| {
        let fulcio = &stranger().fulcio;
        let other = AuthorityInstance::new("a", "https://b.test", &[&fulcio.intermediate, &fulcio.root], Window::since(after(-9)));
        c.root.certificate_authorities.push(other);
    })),
    denied("self-signed leaf", Stamped, Change::Case(|c| {
        let own = key(KeyKind::P256);
        c.order.key = Some(own.clone());
        c.mint.fulcio.intermediate.key = own;
    }), Code::CertificateUntrusted),
    denied("row 13 expired, without a log and a time", Stamped, Change::Case(|c| {
        c.order.entries.clear();
        c.order.timestamps.clear();
        c.question.terms.log = LogTerm::InsecureNone;
        c.question.now = after(10_000_000);
    }), Code::TimeMissing),

    // Encoding.
    denied("CRT-12 unknown critical extension", Stamped, Change::Order(|o| unknown(o, true)), Code::CertificateUntrusted),
    allowed("CRT-12 unknown extension", Stamped, Change::Order(|o| unknown(o, false))),
    denied("CRT-14 bytes after the certificate", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| der.push(0))), Code::CertificateMalformed),
    denied("CRT-14 two certificates", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| der.extend(der.clone()))), Code::CertificateMalformed),
    denied("CRT-14 indefinite length", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| {
        der.splice(..4, [0x30, 0x80]);
        der.extend([0, 0]);
    })), Code::CertificateMalformed),
    denied("CRT-14 cut short", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| { der.pop(); })), Code::CertificateMalformed),
    denied("CRT-14 empty", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| der.clear())), Code::CertificateMalformed),
    denied("CRT-14 PEM in place of DER", Stamped, Change::Order(|o| certificate(o).encoded = Hook::new(|der: &mut Vec<u8>| *der = scgate::sandbox::mint::pem("CERTIFICATE", der).into_bytes())), Code::CertificateMalformed),
    denied("certificate of 64 KiB and more", Stamped, Change::Order(|o| certificate(o).extensions.push(Extension::new("1.2.3.4", vec![0; 65536]))), Code::LimitExceeded),
    denied("CRT-16 serial number 0", Stamped, Change::Order(|o| certificate(o).serial = Some(vec![0])), Code::CertificateMalformed),
    denied("CRT-16 negative serial number", Stamped, Change::Order(|o| certificate(o).serial = Some(vec![0x80])), Code::CertificateMalformed),
    denied("CRT-16 serial number of 21 bytes", Stamped, Change::Order(|o| certificate(o).serial = Some(vec![1; 21])), Code::CertificateMalformed),
    allowed("CRT-16 serial number of 20 bytes", Stamped, Change::Order(|o| certificate(o).serial = Some(vec![1; 20]))),
    denied("CRT-16 empty serial number", Stamped, Change::Order(|o| certificate(o).serial = Some(Vec::new())), Code::CertificateMalformed),
    denied("CRT-16 version 1", Stamped, Change::Order(|o| certificate(o).version = None), Code::CertificateMalformed),
    denied("CRT-16 version 2", Stamped, Change::Order(|o| certificate(o).version = Some(1)), Code::CertificateMalformed),
    allowed("CRT-16 valid beyond 2050", Stamped, Change::Order(|o| certificate(o).not_after = after(30 * 31_557_600))),

    // Algorithms.
    denied("CRT-15 signed with SHA-1", Stamped, Change::Order(|o| certificate(o).signature_algorithm = Some(der::algorithm("1.2.840.10045.4.1"))), Code::CertificateUntrusted),
    denied("CRT-15 signed with MD5", Stamped, Change::Order(|o| certificate(o).signature_algorithm = Some(der::algorithm_null("1.2.840.113549.1.1.4"))), Code::CertificateUntrusted),
    denied("CRT-15 secp256k1", Stamped, Change::Order(|o| o.key = Some(key(KeyKind::P256K1))), Code::KeyUnsupported),
    denied("CRT-15 P-224", Stamped, Change::Order(|o| spki(o, curve("1.3.132.0.33"), &[4; 57])), Code::KeyUnsupported),
    denied("CRT-15 Ed448", Stamped, Change::Order(|o| spki(o, der::algorithm("1.3.101.113"), &[4; 57])), Code::KeyUnsupported),
    denied("CRT-15 RSA of 1024 bits", Stamped, Change::Order(|o| rsa(o, 128)), Code::KeyUnsupported),
    denied("CRT-15 RSA of 8192 bits", Stamped, Change::Order(|o| rsa(o, 1024)), Code::KeyUnsupported),
    denied("CRT-15 explicit curve parameters", Stamped, Change::Order(|o| spki(o, der::sequence(&[der::oid("1.2.840.10045.2.1"), der::sequence(&[der::integer(1)])]), &[4; 65])), Code::KeyUnsupported),
    denied("CRT-15 point that is not on the curve", Stamped, Change::Order(|o| spki(o, curve("1.2.840.10045.3.1.7"), &[4; 65])), Code::KeyUnsupported),
    denied("another key in the certificate", Stamped, Change::Order(|o| certificate(o).spki = Hook::new(|spki: &mut Vec<u8>| *spki = key(KeyKind::P256).spki().to_vec())), Code::SignatureInvalid),
    allowed("P-384 leaf", Stamped, Change::Order(|o| o.key = Some(key(KeyKind::P384)))),
    allowed("Ed25519 leaf", Stamped, Change::Order(|o| o.key = Some(key(KeyKind::Ed25519)))),
];

fn raw(order: &mut Order, from: &[u8], to: &[u8]) {
    let (from, to) = (from.to_vec(), to.to_vec());
    certificate(order).encoded = Hook::new(move |der: &mut Vec<u8>| swap(der, &from, &to));
}

/// Puts SHA-256 in the place of SHA-384 in one of the two identifiers.
fn algorithm(order: &mut Order, last: bool) {
    certificate(order).encoded = Hook::new(move |der: &mut Vec<u8>| {
        let own = der::oid("1.2.840.10045.4.3.3");
        let places = der.windows(own.len()).enumerate();
        let places: Vec<_> = places
            .filter(|(_, part)| *part == own)
            .map(|p| p.0)
            .collect();
        assert_eq!(places.len(), 2);
        der[places[usize::from(last)] + own.len() - 1] = 2;
    });
}

fn names(order: &mut Order, names: Vec<GeneralName>) {
    certificate(order).names = Some(names);
}

fn uri(text: &str) -> GeneralName {
    GeneralName::Uri(text.to_owned())
}

fn own() -> GeneralName {
    GeneralName::from(&super::identity().san)
}

fn usage(order: &mut Order, usages: &[&str]) {
    certificate(order).extended_key_usage = usages.iter().map(|u| (*u).to_owned()).collect();
}

fn unknown(order: &mut Order, critical: bool) {
    let mut extension = Extension::new("1.2.3.4", der::null());
    extension.critical = critical;
    certificate(order).extensions.push(extension);
}

/// Promised so many seconds after the certificate began.
fn later(case: &mut Case, seconds: i64) {
    entry(&mut case.order).integrated_time = Some(after(seconds).unix_seconds());
    case.question.now = after(3600);
}

/// Stamped so many seconds after the certificate began.
fn stamped(case: &mut Case, seconds: i64) {
    stamp(&mut case.order).time = after(seconds);
    case.question.now = after(3600);
}

pub(super) fn until(seconds: i64) -> Window {
    Window {
        start: Some(after(-1_000_000)),
        end: Some(after(seconds)),
    }
}

/// The same key under a changed certificate.
fn recertify(case: &mut Case, change: fn(&mut CertificateOrder)) {
    let mint = &mut case.mint;
    let mut order = CertificateOrder::fulcio_intermediate(mint.valid_from, mint.valid_until);
    change(&mut order);
    let key = mint.fulcio.intermediate.key.clone();
    mint.fulcio.intermediate = mint.fulcio.root.certify(&order, &key, None).unwrap();
}

/// The same, known to the trusted root.
fn intermediate(case: &mut Case, change: fn(&mut CertificateOrder)) {
    recertify(case, change);
    case.root = case.mint.trusted_root();
}

/// The same key of the root under a changed certificate.
fn root(case: &mut Case, change: fn(&mut CertificateOrder)) {
    let mint = &mut case.mint;
    let mut order = CertificateOrder::fulcio_root(mint.valid_from, mint.valid_until);
    change(&mut order);
    mint.fulcio.root = CertifiedKey::self_signed(&order, &mint.fulcio.root.key).unwrap();
    case.root = case.mint.trusted_root();
}

/// The trusted root knows the root alone; the bundle brings the intermediate.
fn brought(case: &mut Case) {
    case.root.certificate_authorities[0]
        .cert_chain
        .certificates
        .remove(0);
}

/// The leaf is issued by an authority below the trusted intermediate, which the bundle brings.
fn below(case: &mut Case, path_length: u8) {
    let mint = &mut case.mint;
    let (from, to) = (mint.valid_from, mint.valid_until);
    let mut order = CertificateOrder::fulcio_intermediate(from, to);
    let constraints = |length| {
        Some(BasicConstraints {
            ca: true,
            path_length: Some(length),
        })
    };
    order.basic_constraints = constraints(path_length);
    let own = mint.fulcio.intermediate.key.clone();
    let mut above = CertificateOrder::fulcio_root(from, to);
    above.basic_constraints = constraints(2);
    mint.fulcio.root = CertifiedKey::self_signed(&above, &mint.fulcio.root.key).unwrap();
    mint.fulcio.intermediate = mint.fulcio.root.certify(&order, &own, None).unwrap();
    case.root = case.mint.trusted_root();
    order.subject = Some("below".to_owned());
    order.basic_constraints = constraints(0);
    let mint = &mut case.mint;
    let lower = key(KeyKind::P384);
    mint.fulcio.intermediate = mint
        .fulcio
        .intermediate
        .certify(&order, &lower, None)
        .unwrap();
}

fn curve(oid: &str) -> Vec<u8> {
    der::sequence(&[der::oid("1.2.840.10045.2.1"), der::oid(oid)])
}

fn spki(order: &mut Order, algorithm: Vec<u8>, bits: &[u8]) {
    let spki = der::sequence(&[algorithm, der::bit_string(bits)]);
    certificate(order).spki = Hook::new(move |own: &mut Vec<u8>| own.clone_from(&spki));
}

fn rsa(order: &mut Order, bytes: usize) {
    let mut modulus = vec![0];
    modulus.resize(bytes + 1, 0xc1);
    let key = der::sequence(&[der::integer_bytes(&modulus), der::integer(65537)]);
    spki(order, der::algorithm_null("1.2.840.113549.1.1.1"), &key);
}
