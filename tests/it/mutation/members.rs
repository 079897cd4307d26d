//! Every member of every log entry body and of every bundle, found by walking the JSON: changed,
//! set to null and left out. What a table does not name is refused; what it names, it names exactly.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::EntryKind;
use scgate::sandbox::mint::Hook;
use serde_json::Value;
use serde_json::json;

use super::Base;
use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Case;
use super::entry;

/// The pointers of all members and elements, outermost first.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    let mut child = |name: &str, value: &Value| {
        let pointer = format!("{at}/{name}");
        out.push(pointer.clone());
        pointers(value, &pointer, out);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, v)| child(name, v)),
        Value::Array(list) => {
            for (number, v) in list.iter().enumerate() {
                child(&number.to_string(), v);
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Edit {
    Changed,
    Gone,
    Null,
}

/// Another value of the same form, or nothing where only the parts of a value can be changed.
fn other(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    if let Ok(number) = text.parse::<i64>() {
        return Some(json!((number + 1).to_string()));
    }
    if let Ok(mut bytes) = STANDARD.decode(text)
        && text.len() > 20
    {
        super::flip_last(&mut bytes);
        return Some(json!(STANDARD.encode(bytes)));
    }
    let mut letters: Vec<char> = text.chars().collect();
    match letters.last_mut() {
        Some(last) => *last = if *last == '1' { '2' } else { '1' },
        None => letters.push('1'),
    }
    Some(json!(letters.iter().collect::<String>()))
}

fn edit(value: &mut Value, pointer: &str, edit: Edit) -> bool {
    if edit == Edit::Gone {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match value.pointer_mut(parent).unwrap() {
            Value::Object(members) => drop(members.remove(name)),
            Value::Array(list) => drop(list.remove(name.parse().unwrap())),
            _ => panic!("{pointer}"),
        }
        return true;
    }
    let place = value.pointer_mut(pointer).unwrap();
    let next = match edit {
        Edit::Null => Some(Value::Null),
        _ => other(place),
    };
    match next {
        Some(next) => {
            *place = next;
            true
        }
        None => false,
    }
}

fn code(case: &Case) -> Option<Code> {
    case.honest().verdict().map_err(|e| e.code()).err()
}

/// Everything that is not "changed: mismatch; gone or null: malformed" in a body that the log itself
/// signed.
///
/// What is accepted: the hash of the envelope, whose bytes a bundle does not keep; the details of a
/// key, which the key itself has; and a hash that another one contains.
#[rustfmt::skip]
const BODIES: &[(EntryKind, &str, Edit, Option<Code>)] = &[
    (EntryKind::Dsse1, "/spec/envelopeHash/algorithm", Edit::Changed, None),
    (EntryKind::Dsse1, "/spec/envelopeHash/value", Edit::Changed, None),
    (EntryKind::Dsse1, "/spec/signatures/0", Edit::Gone, Some(Code::LogEntryMismatch)),
    (EntryKind::HashedRekord2, "/spec/hashedRekordV002/signature/verifier/keyDetails", Edit::Changed, None),
    (EntryKind::HashedRekord2, "/spec/hashedRekordV002/signature/verifier/keyDetails", Edit::Gone, None),
    (EntryKind::HashedRekord2, "/spec/hashedRekordV002/signature/verifier/keyDetails", Edit::Null, None),
    (EntryKind::HashedRekord2, "/spec/hashedRekordV002/signature/verifier/x509Certificate", Edit::Gone, Some(Code::LogEntryMismatch)),
    (EntryKind::HashedRekord2, "/spec/hashedRekordV002/signature/verifier/x509Certificate", Edit::Null, Some(Code::LogEntryMismatch)),
    (EntryKind::Intoto1, "/spec/content/payloadHash", Edit::Gone, None),
    (EntryKind::Intoto1, "/spec/content/payloadHash", Edit::Null, None),
    (EntryKind::Intoto2, "/spec/content/envelope/signatures/0", Edit::Gone, Some(Code::LogEntryMismatch)),
    (EntryKind::Intoto2, "/spec/content/hash", Edit::Gone, None),
    (EntryKind::Intoto2, "/spec/content/hash", Edit::Null, None),
    (EntryKind::Intoto2, "/spec/content/hash/algorithm", Edit::Changed, None),
    (EntryKind::Intoto2, "/spec/content/hash/value", Edit::Changed, None),
];

#[test]
fn each_member_of_a_log_entry_body_counts() {
    let kinds = [
        (Base::Stamped, EntryKind::Dsse1),
        (Base::File, EntryKind::HashedRekord1),
        (Base::Rekor2, EntryKind::HashedRekord2),
        (Base::Attestation, EntryKind::Intoto1),
        (Base::Attestation, EntryKind::Intoto2),
    ];
    let mut found = Vec::new();
    for (base, kind) in kinds {
        let mut case = base.case();
        entry(&mut case.order).kind = Some(kind);
        assert_eq!(code(&case), None, "{kind:?}");
        let body = serde_json::from_slice(&case.minted().entries[0].body).unwrap();
        let mut all = Vec::new();
        pointers(&body, "", &mut all);
        for pointer in all {
            for change in [Edit::Changed, Edit::Gone, Edit::Null] {
                if !edit(&mut body.clone(), &pointer, change) {
                    continue;
                }
                let mut mutant = case.clone();
                let at = pointer.clone();
                entry(&mut mutant.order).body = Hook::new(move |body: &mut Value| {
                    edit(body, &at, change);
                });
                let usual = match change {
                    Edit::Changed => Code::LogEntryMismatch,
                    Edit::Gone | Edit::Null => Code::LogEntryMalformed,
                };
                let code = code(&mutant);
                if code != Some(usual) {
                    found.push((kind, pointer.clone(), change, code));
                }
            }
        }
    }
    let listed: Vec<_> = BODIES
        .iter()
        .map(|(kind, pointer, edit, code)| (*kind, (*pointer).to_owned(), *edit, *code))
        .collect();
    assert_eq!(found, listed, "\n{}", shown(&found));
}

fn shown<T: core::fmt::Debug>(list: &[T]) -> String {
    list.iter().map(|item| format!("    {item:?},\n")).collect()
}

/// What each member of a bundle answers to, where that is not `bundle-malformed`.
///
/// What is accepted: another version that the content fits; hints (digest, key); evidence that can be
/// spared, such as a second time; an index that nobody signed and that is therefore not reported;
/// an intermediate that the trusted root has as well. `same_facts` holds for all of it.
#[rustfmt::skip]
const BUNDLES: &[(&[Base], &str, Edit, Option<Code>)] = &[
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/payload", Edit::Changed, Some(Code::SignatureInvalid)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/payloadType", Edit::Changed, Some(Code::SignatureInvalid)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures", Edit::Gone, Some(Code::EnvelopeMalformed)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures", Edit::Null, Some(Code::EnvelopeMalformed)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures/0", Edit::Gone, Some(Code::EnvelopeMalformed)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures/0/sig", Edit::Changed, Some(Code::SignatureInvalid)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures/0/sig", Edit::Gone, Some(Code::SignatureMalformed)),
    (&[Chain, Key, Rekor2, Stamped], "/dsseEnvelope/signatures/0/sig", Edit::Null, Some(Code::SignatureMalformed)),
    (&[Chain], "/mediaType", Edit::Changed, None),
    (&[File, Key, Rekor2, Stamped], "/mediaType", Edit::Changed, Some(Code::BundleVersionUnsupported)),
    (&[Chain, File, Key, Rekor2, Stamped], "/mediaType", Edit::Gone, Some(Code::BundleVersionUnsupported)),
    (&[Chain, File, Key, Rekor2, Stamped], "/mediaType", Edit::Null, Some(Code::BundleVersionUnsupported)),
    (&[File], "/messageSignature/messageDigest", Edit::Gone, None),
    (&[File], "/messageSignature/messageDigest", Edit::Null, None),
    (&[File], "/messageSignature/messageDigest/digest", Edit::Changed, Some(Code::SubjectMismatch)),
    (&[File], "/messageSignature/signature", Edit::Changed, Some(Code::SignatureInvalid)),
    (&[File], "/messageSignature/signature", Edit::Gone, Some(Code::SignatureMalformed)),
    (&[File], "/messageSignature/signature", Edit::Null, Some(Code::SignatureMalformed)),
    (&[File, Rekor2, Stamped], "/verificationMaterial/certificate/rawBytes", Edit::Changed, Some(Code::LogEntryMismatch)),
    (&[Key], "/verificationMaterial/publicKey/hint", Edit::Changed, None),
    (&[Key], "/verificationMaterial/publicKey/hint", Edit::Gone, None),
    (&[Key], "/verificationMaterial/publicKey/hint", Edit::Null, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/timestampVerificationData", Edit::Gone, None),
    (&[Rekor2], "/verificationMaterial/timestampVerificationData", Edit::Gone, Some(Code::TimeMissing)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/timestampVerificationData", Edit::Null, None),
    (&[Rekor2], "/verificationMaterial/timestampVerificationData", Edit::Null, Some(Code::TimeMissing)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps", Edit::Gone, None),
    (&[Rekor2], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps", Edit::Gone, Some(Code::TimeMissing)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps", Edit::Null, None),
    (&[Rekor2], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps", Edit::Null, Some(Code::TimeMissing)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0", Edit::Gone, None),
    (&[Rekor2], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0", Edit::Gone, Some(Code::TimeMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp", Edit::Changed, Some(Code::TimestampInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries", Edit::Gone, Some(Code::LogEntryMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries", Edit::Null, Some(Code::LogEntryMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0", Edit::Gone, Some(Code::LogEntryMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/canonicalizedBody", Edit::Changed, Some(Code::LogEntryMalformed)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/inclusionPromise", Edit::Gone, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/inclusionPromise", Edit::Null, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", Edit::Changed, Some(Code::LogPromiseInvalid)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", Edit::Gone, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", Edit::Null, None),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof", Edit::Gone, Some(Code::LogProofMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof", Edit::Null, Some(Code::LogProofMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint", Edit::Gone, Some(Code::CheckpointMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint", Edit::Null, Some(Code::CheckpointMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope", Edit::Changed, Some(Code::CheckpointMalformed)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope", Edit::Gone, Some(Code::CheckpointMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope", Edit::Null, Some(Code::CheckpointMissing)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes", Edit::Null, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0", Edit::Changed, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/1", Edit::Changed, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/1", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/2", Edit::Changed, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/2", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", Edit::Changed, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", Edit::Null, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", Edit::Changed, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", Edit::Null, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize", Edit::Changed, Some(Code::CheckpointMismatch)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize", Edit::Gone, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize", Edit::Null, Some(Code::LogProofInvalid)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/integratedTime", Edit::Changed, Some(Code::LogPromiseInvalid)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/integratedTime", Edit::Gone, Some(Code::LogPromiseInvalid)),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/integratedTime", Edit::Null, Some(Code::LogPromiseInvalid)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/kindVersion/kind", Edit::Changed, Some(Code::LogEntryUnsupported)),
    (&[File, Rekor2], "/verificationMaterial/tlogEntries/0/kindVersion/version", Edit::Changed, Some(Code::LogEntryMalformed)),
    (&[Chain, Key, Stamped], "/verificationMaterial/tlogEntries/0/kindVersion/version", Edit::Changed, Some(Code::LogEntryUnsupported)),
    (&[Chain, File, Key, Rekor2, Stamped], "/verificationMaterial/tlogEntries/0/logId/keyId", Edit::Changed, Some(Code::LogUnknown)),
    (&[Rekor2], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Changed, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Changed, Some(Code::LogPromiseInvalid)),
    (&[Rekor2], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Gone, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Gone, Some(Code::LogPromiseInvalid)),
    (&[Rekor2], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Null, None),
    (&[Chain, File, Key, Stamped], "/verificationMaterial/tlogEntries/0/logIndex", Edit::Null, Some(Code::LogPromiseInvalid)),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates", Edit::Gone, Some(Code::BundleCertificateChain)),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates", Edit::Null, Some(Code::BundleCertificateChain)),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates/0", Edit::Gone, Some(Code::CertificateUsage)),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates/0/rawBytes", Edit::Changed, Some(Code::LogEntryMismatch)),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates/1", Edit::Gone, None),
    (&[Chain], "/verificationMaterial/x509CertificateChain/certificates/1/rawBytes", Edit::Changed, None),
];

#[test]
fn each_member_of_a_bundle_counts() {
    let mut found = BTreeMap::new();
    for base in [
        Base::Stamped,
        Base::Rekor2,
        Base::File,
        Base::Key,
        Base::Chain,
    ] {
        let twin = base.case().honest();
        let proof = twin.verdict().unwrap();
        let json: Value = serde_json::from_slice(&twin.evidence.bytes).unwrap();
        let mut all = Vec::new();
        pointers(&json, "", &mut all);
        for pointer in all {
            for change in [Edit::Changed, Edit::Gone, Edit::Null] {
                let mut mutant = json.clone();
                if !edit(&mut mutant, &pointer, change) {
                    continue;
                }
                let mut exhibit = twin.clone();
                exhibit.evidence.bytes = mutant.to_string().into_bytes();
                let verdict = exhibit.verdict();
                if let Ok(other) = &verdict {
                    super::property::same_facts(&proof, other);
                }
                let code = verdict.map_err(|e| e.code()).err();
                if code != Some(Code::BundleMalformed) {
                    let known = found.insert((base, pointer.clone(), change), code);
                    assert_eq!(known, None);
                }
            }
        }
    }
    let mut listed = BTreeMap::new();
    for (bases, pointer, edit, code) in BUNDLES {
        for base in *bases {
            listed.insert((*base, (*pointer).to_owned(), *edit), *code);
        }
    }
    let unlisted: Vec<_> = found
        .iter()
        .filter(|(key, code)| listed.get(key) != Some(code))
        .collect();
    let stale: Vec<_> = listed
        .iter()
        .filter(|(key, code)| found.get(key) != Some(code))
        .collect();
    assert!(
        unlisted.is_empty(),
        "found, not listed:\n{}",
        shown(&unlisted)
    );
    assert!(stale.is_empty(), "listed, not found:\n{}", shown(&stale));
}
