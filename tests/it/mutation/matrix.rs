//! Every layout, with a key and without, against genuine log entries of something else (row 7: the
//! comparison existed, and one way of configuring trust stepped around it).

use scgate::model::DenyCode as Code;
use scgate::model::Digest;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;

use super::Asked;
use super::Base;
use super::Case;
use super::Evidence;
use super::Form;
use super::KEY;
use super::key;

const LAYOUTS: &[(&str, Base, Form)] = &[
    ("legacy signature", Base::LayerSig, Form::LayerSig),
    ("legacy attestation", Base::LayerAtt, Form::LayerAtt),
    ("legacy blob", Base::Blob, Form::Blob),
    ("bundle 0.1", Base::Stamped, Form::Bundle("0.1")),
    ("bundle 0.2", Base::Stamped, Form::Bundle("0.2")),
    ("bundle 0.3, Rekor v1", Base::Stamped, Form::Bundle("0.3")),
    ("bundle 0.3, Rekor v2", Base::Rekor2, Form::Bundle("0.3")),
    ("file in bundle 0.1", Base::File, Form::Bundle("0.1")),
    ("file in bundle 0.3", Base::File, Form::Bundle("0.3")),
];

/// Puts another entry in the place of the right one.
type Exchange = fn(&mut Case);

/// Whose genuine entry is put in the place of the right one.
const FOREIGN: &[(&str, Exchange)] = &[
    ("another signature by the same signer", |_| {}),
    ("another content by the same signer", other_content),
    ("the same content by another signer", |c| {
        c.order.key = Some(key(KeyKind::P256));
    }),
    ("another content by another signer", |c| {
        other_content(c);
        c.order.key = Some(key(KeyKind::P256));
    }),
];

fn other_content(case: &mut Case) {
    let (own, other) = (
        Digest::sha256(super::FILE).hex(),
        Digest::sha256(b"other").hex(),
    );
    match &mut case.order.content {
        Content::Message(bytes) => *bytes = b"other".to_vec(),
        Content::SimpleSigning(text) | Content::Statement(text) => {
            *text = text.replace(&own, &other)
        }
    }
}

#[test]
fn a_genuine_log_entry_of_something_else_is_refused_in_every_cell() {
    for (layout, base, form) in LAYOUTS {
        for keyed in [false, true] {
            let mut case = base.case();
            case.form = *form;
            case.order.key = Some(KEY.clone());
            if keyed {
                case.order.certificate = None;
                case.question.signer = Asked::Key;
            }
            let minted = case.minted();
            let twin = case.exhibit(Evidence::of(&minted, *form));
            assert!(twin.verdict().is_ok(), "{layout}, key: {keyed}");
            for (whose, change) in FOREIGN {
                let mut other = case.clone();
                change(&mut other);
                let mut mutant = minted.clone();
                mutant.entries = other.minted().entries;
                let verdict = case.exhibit(Evidence::of(&mutant, *form)).verdict();
                let code = verdict.map_err(|e| e.code()).err();
                assert_eq!(
                    code,
                    Some(Code::LogEntryMismatch),
                    "{layout}, key: {keyed}, {whose}"
                );
            }
        }
    }
}
