//! What the tables cover: every code that `verify` gives, every case of the threat list that can be
//! decided there. Both lists of exceptions fail in both directions.

use std::collections::BTreeSet;

use scgate::model::DenyCode as Code;

use super::Base;
use super::TABLES;

/// Codes that `verify` never gives, by who gives them.
const ELSEWHERE: &[(&str, &[Code])] = &[
    (
        "the evidence as a whole, judged by admission",
        &[
            Code::NoAttestation,
            Code::NoSignature,
            Code::EvidenceAfterTime,
            Code::EvidenceKindMismatch,
            Code::EvidenceUnreadable,
            Code::ReferrerSubjectMismatch,
        ],
    ),
    (
        "the image, judged by admission",
        &[
            Code::ImageNotFound,
            Code::ChildNotFound,
            Code::ManifestMalformed,
            Code::DigestMismatch,
            Code::PlatformMissing,
            Code::ParentMismatch,
        ],
    ),
    (
        "the signer and the statement, judged by the policy",
        &[
            Code::PredicateTypeMismatch,
            Code::KeyMismatch,
            Code::IssuerMismatch,
            Code::IdentityMismatch,
            Code::ClaimMissing,
            Code::ClaimMismatch,
            Code::AnnotationMismatch,
            Code::SignedTimestampMissing,
        ],
    ),
    (
        "signing; verification signs nothing",
        &[
            Code::TokenMissing,
            Code::TokenMalformed,
            Code::TokenOutsideValidity,
            Code::TokenAudienceMismatch,
            Code::SigningForbidden,
            Code::TagMoved,
            Code::PredicateMalformed,
            Code::EntryTooLarge,
            Code::TagImmutable,
            Code::MirrorUntrusted,
            Code::ServiceRefused,
            Code::WriteUnconfirmed,
            Code::ServiceRateLimited,
            Code::ServiceUnavailable,
            Code::ServiceMalformed,
        ],
    ),
    (
        "the world failed; verification reaches nothing outside",
        &[
            Code::RegistryUnauthorized,
            Code::RegistryForbidden,
            Code::RegistryRateLimited,
            Code::RegistryUnavailable,
            Code::RegistryUnreachable,
            Code::RegistryMalformed,
            Code::RegistryRefused,
            Code::RegistryTimeout,
            Code::LayoutUnreadable,
            Code::DeadlineExceeded,
            Code::Internal,
        ],
    ),
];

/// Cases of the threat list without a row, and why.
const ELSEWHERE_CASES: &[(&str, &[&str])] = &[
    (
        "what the policy demands of the evidence: `admit`",
        &["DSSE-10", "DSSE-11", "DSSE-12", "DSSE-14"],
    ),
    (
        "no state is kept and no log is asked",
        &["LOG-14", "LOG-15"],
    ),
    ("an error of loading, not a verdict: `keys.rs`", &["LOG-19"]),
    ("needs a small cap: `shape.rs`", &["BUN-08"]),
];

#[test]
fn every_code_of_the_verifier_has_a_row() {
    let rows: BTreeSet<_> = TABLES
        .iter()
        .copied()
        .flatten()
        .filter_map(|row| row.expected)
        .collect();
    let elsewhere: BTreeSet<_> = ELSEWHERE
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied())
        .collect();
    let both: Vec<_> = rows.intersection(&elsewhere).collect();
    assert!(
        both.is_empty(),
        "listed as given elsewhere, and yet in a row: {both:?}"
    );
    let neither: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !rows.contains(code) && !elsewhere.contains(code))
        .collect();
    assert!(neither.is_empty(), "without a row: {neither:?}");
}

#[test]
fn every_case_of_the_threat_list_has_a_row() {
    let named = |case: &str| {
        TABLES
            .iter()
            .copied()
            .flatten()
            .any(|row| row.id.split(' ').any(|word| word == case))
    };
    let series = [("CRT", 18), ("LOG", 20), ("DSSE", 14), ("BUN", 14)];
    for (prefix, count) in series {
        for number in 1..=count {
            let case = format!("{prefix}-{number:02}");
            let elsewhere = ELSEWHERE_CASES
                .iter()
                .any(|(_, cases)| cases.contains(&case.as_str()));
            assert_ne!(named(&case), elsewhere, "{case}");
        }
    }
}

#[test]
fn ids_are_unique_and_each_base_is_changed() {
    let mut seen = BTreeSet::new();
    for row in TABLES.iter().copied().flatten() {
        assert!(seen.insert(row.id), "`{}` occurs twice", row.id);
    }
    for base in Base::ALL {
        assert!(
            TABLES
                .iter()
                .copied()
                .flatten()
                .any(|row| row.base == *base && row.expected.is_some()),
            "{base:?}"
        );
    }
}
