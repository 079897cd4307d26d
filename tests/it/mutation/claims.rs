//! The Fulcio extensions: issuer, claims, and what is deprecated beside what replaced it.

use scgate::model::Claim;
use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::Extension;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::der;

use super::Base;
use super::Base::Stamped;
use super::Change;
use super::Row;
use super::allowed;
use super::certificate;
use super::check;
use super::denied;
use super::swap;

#[test]
fn claims() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    denied("CRT-13 .8 with raw bytes", Stamped, Change::Order(|o| set(o, Extension::fulcio(8, b"https://token.actions.githubusercontent.com".to_vec()))), Code::CertificateClaimsMalformed),
    denied("CRT-13 .1 with DER inside", Stamped, Change::Order(|o| set(o, Extension::fulcio(1, der::utf8_string("https://token.actions.githubusercontent.com")))), Code::CertificateClaimsMalformed),
    denied("CRT-13 bytes after the text", Stamped, Change::Order(|o| set(o, Extension::fulcio(8, [der::utf8_string("https://a.test"), vec![0]].concat()))), Code::CertificateClaimsMalformed),
    denied("CRT-13 BMPString", Stamped, Change::Order(|o| set(o, Extension::fulcio(8, der::element(0x1e, b"\0a")))), Code::CertificateClaimsMalformed),
    denied("CRT-13 IA5String", Stamped, Change::Order(|o| set(o, Extension::fulcio(9, der::element(0x16, b"a")))), Code::CertificateClaimsMalformed),
    denied("row 39 bad UTF-8", Stamped, Change::Order(|o| set(o, Extension::fulcio(8, der::element(0x0c, &[0xff])))), Code::CertificateClaimsMalformed),
    denied("control character", Stamped, Change::Order(|o| set(o, Extension::claim(9, "a\u{1b}[2J"))), Code::CertificateClaimsMalformed),
    denied("NUL in a raw claim", Stamped, Change::Order(|o| set(o, Extension::fulcio(5, b"acme/shop\0evil".to_vec()))), Code::CertificateClaimsMalformed),
    denied("no issuer", Stamped, Change::Order(|o| without(o, &[1, 8])), Code::CertificateClaimsMalformed),
    allowed("old issuer alone", Stamped, Change::Order(|o| without(o, &[8]))),
    allowed("new issuer alone", Stamped, Change::Order(|o| without(o, &[1]))),
    denied("issuers disagree", Stamped, Change::Order(|o| set(o, Extension::claim(8, "https://evil.test"))), Code::CertificateClaimsConflict),
    denied("triggers disagree", Stamped, Change::Order(|o| set(o, Extension::claim(2, "pull_request"))), Code::CertificateClaimsConflict),
    denied("commits disagree", Stamped, Change::Order(|o| set(o, Extension::claim(3, "00"))), Code::CertificateClaimsConflict),
    denied("repositories disagree", Stamped, Change::Order(|o| set(o, Extension::claim(5, "evil/shop"))), Code::CertificateClaimsConflict),
    denied("repository is a tail without a slash", Stamped, Change::Order(|o| set(o, Extension::claim(5, "cme/shop"))), Code::CertificateClaimsConflict),
    denied("refs disagree", Stamped, Change::Order(|o| set(o, Extension::claim(6, "refs/heads/evil"))), Code::CertificateClaimsConflict),
    denied("issuer twice", Stamped, Change::Order(|o| certificate(o).extensions.push(Extension::claim(8, "https://evil.test"))), Code::CertificateClaimsMalformed),
    allowed("unknown extension of the arc", Stamped, Change::Order(|o| set(o, Extension::fulcio(99, vec![0xff])))),
    denied("claim of 8193 bytes", Stamped, Change::Order(|o| set(o, Extension::claim(4, &"a".repeat(8193)))), Code::LimitExceeded),
    allowed("claim of 8192 bytes", Stamped, Change::Order(|o| set(o, Extension::claim(4, &"a".repeat(8192))))),
    denied("row 44 issuer that contains the right one is another text", Stamped, Change::Order(|o| set(o, Extension::claim(8, "http://localhost?https://token.actions.githubusercontent.com"))), Code::CertificateClaimsConflict),
];

fn set(order: &mut Order, extension: Extension) {
    certificate(order).set_extension(extension);
}

fn without(order: &mut Order, arcs: &[u8]) {
    let gone: Vec<_> = arcs
        .iter()
        .map(|arc| Extension::claim(*arc, "").oid)
        .collect();
    certificate(order)
        .extensions
        .retain(|e| !gone.contains(&e.oid));
}

/// Each extension in turn: raw, malformed, twice, and left out.
#[test]
fn each_claim_is_signed_well_formed_and_single() {
    let base = Base::Stamped.case();
    assert!(base.honest().verdict().is_ok());
    let extensions = base.order.certificate.as_ref().unwrap().extensions.clone();
    assert!(extensions.len() > 20);
    let code = |change: &dyn Fn(&mut Order)| {
        let mut case = base.clone();
        change(&mut case.order);
        case.honest().verdict().map_err(|e| e.code())
    };
    for extension in &extensions {
        let oid = extension.oid.clone();
        let arc: u8 = oid.rsplit('.').next().unwrap().parse().unwrap();
        let from = [der::oid(&oid), der::octet_string(&extension.value)].concat();
        let mut to = from.clone();
        *to.last_mut().unwrap() = b'~';
        let raw = code(&move |o: &mut Order| {
            let (from, to) = (from.clone(), to.clone());
            certificate(o).encoded = Hook::new(move |der: &mut Vec<u8>| swap(der, &from, &to));
        });
        // Where a deprecated extension has a twin, the disagreement is seen before the path.
        let paired = [1, 2, 3, 5, 6, 8, 12, 13, 14, 20].contains(&arc);
        let expected = if paired {
            Code::CertificateClaimsConflict
        } else {
            Code::CertificateUntrusted
        };
        assert_eq!(raw.err(), Some(expected), "raw .{arc}");

        let malformed = code(&|o| set(o, Extension::fulcio(arc, vec![0x0c, 0x01, 0xff])));
        assert_eq!(
            malformed.err(),
            Some(Code::CertificateClaimsMalformed),
            ".{arc}"
        );
        let twice = code(&|o| certificate(o).extensions.push(extension.clone()));
        assert_eq!(
            twice.err(),
            Some(Code::CertificateClaimsMalformed),
            ".{arc}"
        );
        // One of a pair, and a claim that no policy asks for, may be absent; and is then absent.
        let mut case = base.clone();
        without(&mut case.order, &[arc]);
        let proof = case.honest().verdict().unwrap();
        if let (Some(claim), scgate::verify::Signer::Certificate { identity, .. }) =
            (Claim::from_arc(arc), proof.signer())
        {
            assert_eq!(identity.claims.get(claim), None, ".{arc}");
        }
    }
}
