//! The differential oracle: `sigstore-verify` says yes or no to every base, every mutation, the
//! conformance suite and the blobs of the lab, and so does scgate, and both say the same.
//!
//! Two tables say where not, each entry with its reason; a stale entry fails as an unlisted one
//! does. Where scgate would be laxer than the oracle, nothing but the second table can say why.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::ManagedKey;
use scgate::verify::SctTerm;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;
use sigstore_verify::PublicKeyVerificationPolicy;
use sigstore_verify::VerificationPolicy;
use sigstore_verify::types::DerPublicKey;

use super::mutation::Asked;
use super::mutation::Base;
use super::mutation::Exhibit;
use super::mutation::Form;
use super::mutation::TABLES;

/// What is refused here and accepted by the oracle.
#[rustfmt::skip]
const STRICTER: &[(&str, &[&str])] = &[
    ("a certificate names one identity, of a known kind (the oracle leaves names to its policy)", &[
        "CRT-01 right and wrong URI",
        "CRT-01 wrong and right URI",
        "CRT-01 URI and e-mail",
        "CRT-01 URI and DNS",
        "CRT-01 DNS and URI",
        "CRT-02 no name",
        "CRT-02 empty list of names",
        "CRT-02 name in the subject alone",
        "CRT-02 empty name",
        "DNS name alone",
        "address alone",
        "user name that is no UTF8String",
    ]),
    ("every authority up to the root must be valid; the oracle stops at the first that is trusted", &[
        "CRT-05 row 8 a second after the end of the intermediate",
        "CRT-05 a second before the begin of the intermediate",
        "CRT-05 a second after the end of the root",
    ]),
    ("a leaf is for code signing and for nothing else", &[
        "CRT-06 code signing and servers",
        "CRT-06 code signing and an unknown usage",
        "CRT-07 no key usage",
        "CRT-07 key usage without digitalSignature",
    ]),
    ("whatever stands in a trusted chain must be an authority and keep its path length", &[
        "CRT-07 intermediate is no authority",
        "CRT-07 intermediate may not sign certificates",
        "CRT-07 intermediate for servers",
        "CRT-07 root allows no intermediate",
        "CRT-07 intermediate allows none below it",
    ]),
    ("RFC 5280 section 4.1.2.2", &[
        "CRT-16 serial number 0",
        "CRT-16 negative serial number",
        "CRT-16 serial number of 21 bytes",
    ]),
    ("a checkpoint is bound to its log, its tree size and the form of signed notes", &[
        "raw name in the signature line",
        "LOG-07 another size",
        "LOG-07 another size, Rekor v2",
        "LOG-07 another size, file",
        "LOG-06 another origin under the right name",
        "LOG-06 another origin under the right name, Rekor v1",
        "LOG-06 name that the origin only begins with",
        "LOG-06 right key, wrong name",
        "LOG-06 of the other known log",
        "LOG-09 CRLF",
        "LOG-09 leading zero",
        "LOG-09 plus sign",
        "LOG-09 control character",
        "LOG-09 no final newline",
        "LOG-07 raw tree size of the same depth",
        "BUN-04 unknown member of a proof",
    ]),
    ("claims are text of the encoding that their number demands, once, and deprecated ones agree", &[
        "CRT-13 .1 with DER inside",
        "CRT-13 IA5String",
        "control character",
        "NUL in a raw claim",
        "no issuer",
        "issuers disagree",
        "triggers disagree",
        "commits disagree",
        "repositories disagree",
        "repository is a tail without a slash",
        "refs disagree",
        "issuer twice",
        "row 44 issuer that contains the right one is another text",
    ]),
    ("a body is one JSON document of the kind that the entry names, about one signer", &[
        "key beside the certificate, Rekor v2",
        "LOG-11 body says another kind",
        "LOG-11 body says another version",
        "body with a member twice",
        "body with a deep member twice",
    ]),
    ("a structure is an object and never the list of its members", &[
        "certificate as the list of its members",
        "promise as the list of its members",
    ]),
    ("caps on foreign data", &[
        "name of 8193 bytes",
        "LOG-10 64 unknown signatures, the right one last",
        "LOG-10 100 unknown signatures, the right one last",
        "checkpoint of 64 KiB and more",
        "claim of 8193 bytes",
        "body of 4 MiB and more",
        "BUN-09 row 16 33 entries",
        "chain of 9",
        "BUN-09 row 16 33 digests of a subject",
        "5000 digests of a subject, more than are kept",
        "4097 values in annotations",
        "4097 values in annotations, nested",
        "many values in annotations, more than are kept",
        "BUN-09 row 16 33 tokens",
    ]),
    ("an entry of nobody is no entry, for a managed key too", &[
        "managed key, entry of a log that nobody vouches for",
    ]),
    ("every entry has a proof, and stands once", &[
        "BUN-02 0.1 without proof",
        "LOG-12 the same entry twice",
        "G3 a broken one of a known log beside a good one",
    ]),
    ("the time is an argument here; the oracle asks the clock of the machine, which is later", &[
        "LOG-04 a second ahead of now",
        "LOG-04 row 29 half a minute ahead",
        "LOG-04 an hour ahead",
        "LOG-04 a second beyond the clock skew",
        "LOG-04 an hour ahead, managed key",
        "LOG-04 token a second ahead of now",
    ]),
    ("the window of a log key counts for Rekor v2 as well", &[
        "LOG-13 Rekor v2 a second after the end of the key",
    ]),
    ("the bundle format to the letter, as cosign reads it", &[
        "BUN-01 missing",
        "BUN-02 chain with the trusted root inside",
        "BUN-02 chain with a foreign root inside",
        "chain with garbage",
        "BUN-03 certificate and key",
        "BUN-03 certificate and chain",
        "BUN-04 unknown member at the top",
        "BUN-04 unknown member of the material",
        "BUN-04 unknown member of an entry",
        "BUN-04 unknown member of the envelope",
        "BUN-04 unknown member of a signature",
        "BUN-04 unknown member of a message signature",
        "BUN-04 member in another case",
        "BUN-06 leading plus",
    ]),
    ("statements are read strictly: known types, exact member names, no member twice", &[
        "DSSE-06 v2",
        "DSSE-06 unknown type",
        "member in another case",
        "member of a subject in another case",
        "value in capitals",
        "BUN-05 member of the predicate twice",
        "annotations that are a list",
        "an annotation twice",
        "an annotation twice, inside of another",
        "an annotation under a name that is an instruction",
        "a predicate under a name that is an instruction",
    ]),
    ("RFC 3161 and RFC 5652 to the letter, and a chain that is valid up to its root", &[
        "TSTInfo version 2",
        "two signers",
        "content type of plain data",
        "content type attribute left out",
        "LOG-16 another usage beside",
        "LOG-16 usage not critical",
        "LOG-16 root expired",
        "row 50 a foreign certificate in the token",
        "row 50 a foreign certificate before the right one",
    ]),
];

/// What the oracle cannot read, and refuses for that reason alone.
#[rustfmt::skip]
const UNREAD: &[(&str, &[&str])] = &[
    ("it wants a log entry or a token in every bundle", &[
        "KeyAlone",
        "P-521",
    ]),
    ("base64 without line breaks", &[
        "DSSE-05 line breaks",
    ]),
    ("a digest beside the signature only by the hash that the key signs with", &[
        "BUN-11 digest by SHA-512",
    ]),
    ("no `intoto` 0.0.1", &[
        "in-toto 0.0.1",
    ]),
    ("exactly one SCT in a certificate", &[
        "one known, one unknown",
        "8 SCTs",
    ]),
    ("digests of another length than their algorithm has, in subjects that are not asked for", &[
        "DSSE-08 several subjects, the right one last",
        "BUN-09 row 16 1024 subjects",
    ]),
    ("entries and tokens by strangers spoil the bundle; here they do not count (a known log or authority must still vouch)", &[
        "G3 one of an unknown log beside a known one",
        "G3 a token of a stranger beside a known one",
        "token of nobody beside a promise",
    ]),
];

/// One question to the oracle.
struct Question<'a> {
    bundle: &'a [u8],
    root: &'a [u8],
    file: Option<&'a [u8]>,
    digest: Digest,
    /// DER of the managed key.
    key: Option<&'a [u8]>,
    terms: Terms,
}

impl Question<'_> {
    fn ask(&self) -> Result<(), String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string());
        let root = sigstore_trust_root::TrustedRoot::from_json(&text(self.root)?);
        let root = root.map_err(|e| e.to_string())?;
        let bundle = sigstore_verify::types::Bundle::from_json(&text(self.bundle)?);
        let bundle = bundle.map_err(|e| e.to_string())?;
        let artifact: sigstore_verify::types::Artifact<'_> = match self.file {
            Some(bytes) => bytes.into(),
            None => {
                let bytes: [u8; 32] = self.digest.as_bytes().try_into().map_err(|_| "digest")?;
                sigstore_verify::types::Sha256Hash::new(bytes).into()
            }
        };
        let verdict = match self.key {
            Some(der) => {
                let mut policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(der.to_vec()));
                if self.terms.log == LogTerm::InsecureNone {
                    policy = policy.skip_tlog_unsafe();
                }
                sigstore_verify::verify(artifact, &bundle, &policy, &root)
            }
            None => {
                let mut policy = VerificationPolicy::any_identity();
                if self.terms.log == LogTerm::InsecureNone {
                    policy = policy.skip_tlog_unsafe();
                }
                if self.terms.sct == SctTerm::InsecureNone {
                    policy = policy.skip_sct();
                }
                sigstore_verify::verify(artifact, &bundle, &policy, &root)
            }
        };
        verdict.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Both verdicts on one exhibit; nothing for the layouts that the oracle does not know.
fn both(exhibit: &Exhibit) -> Option<(Result<(), String>, Result<(), String>)> {
    if !matches!(exhibit.evidence.form, Form::Bundle(_)) {
        return None;
    }
    let own = exhibit.verdict().map(|_| ()).map_err(|e| e.to_string());
    let asked = &exhibit.question;
    let question = Question {
        bundle: &exhibit.evidence.bytes,
        root: &exhibit.root,
        file: asked.file.as_deref(),
        digest: asked.digest,
        key: match asked.signer {
            Asked::Keyless => None,
            Asked::Key | Asked::KeyAlone => Some(asked.key.spki()),
        },
        terms: asked.terms,
    };
    Some((own, question.ask()))
}

/// The names in a table, and whether a table names something.
fn listed(table: &[(&str, &[&str])]) -> BTreeSet<String> {
    let names = table.iter().flat_map(|(_, names)| names.iter());
    names.map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_base_and_mutation_is_judged_alike() {
    let (mut stricter, mut unread, mut alike) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut said = Vec::new();
    let mut judge = |name: &str, exhibit: &Exhibit| match both(exhibit) {
        None => {}
        Some((Err(own), Ok(()))) => {
            stricter.insert(name.to_owned());
            said.push(format!("stricter: {name}: {own}"));
        }
        Some((Ok(()), Err(oracle))) => {
            unread.insert(name.to_owned());
            said.push(format!("unread: {name}: {oracle}"));
        }
        Some(_) => alike += 1,
    };
    for base in Base::ALL {
        judge(&format!("{base:?}"), &base.honest());
    }
    for row in TABLES.iter().copied().flatten() {
        let (_, mutant) = row.exhibits();
        judge(row.id, &mutant);
    }
    let expected = (listed(STRICTER), listed(UNREAD));
    let surprises: Vec<_> = said
        .iter()
        .filter(|line| {
            let name = line.split(": ").nth(1).unwrap();
            !expected.0.contains(name) && !expected.1.contains(name)
        })
        .collect();
    assert!(
        surprises.is_empty(),
        "{alike} alike; unlisted: {surprises:#?}"
    );
    let stale: Vec<_> = expected.0.difference(&stricter).collect();
    assert!(stale.is_empty(), "listed as stricter, and not: {stale:?}");
    let stale: Vec<_> = expected.1.difference(&unread).collect();
    assert!(stale.is_empty(), "listed as unread, and not: {stale:?}");
    assert!(alike > 200, "only {alike}");
}

/// Folders of the conformance suite where the two differ: `true` where scgate accepts.
const CONFORMANCE: &[(&str, bool, &str)] = &[];

/// Recorded samples; loud where they are not there.
fn samples(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/samples")
        .join(name);
    if path.is_dir() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
    {
        eprintln!(
            "SKIPPED: {} is not there; nothing was compared",
            path.display()
        );
    }
    None
}

fn own(question: &Question<'_>, key: Option<&[u8]>) -> Result<(), String> {
    let limits = Limits::default();
    let root = TrustRoot::parse(question.root, &limits).map_err(|e| e.to_string())?;
    let key = key.map(|pem| ManagedKey::parse(pem, &limits).unwrap());
    let bundle = Bundle::parse(question.bundle, &limits).map_err(|e| e.to_string())?;
    let artifact = match question.file {
        Some(bytes) => Artifact::Bytes(bytes),
        None => Artifact::Digest(question.digest),
    };
    let trust = match &key {
        Some(key) => Trust::Key(key, Some(&root)),
        None => Trust::Root(&root),
    };
    let now = Timestamp::from(std::time::SystemTime::now());
    verify(&bundle, artifact, trust, question.terms, now, &limits)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

#[test]
fn the_conformance_suite_is_judged_alike() {
    let Some(base) = samples("conformance") else {
        return;
    };
    let folders = fs::read_dir(&base)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert_eq!(folders.len(), 50);
    let mut found = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let read = |own: &str, common: &str| {
            fs::read(folder.join(own))
                .or_else(|_| fs::read(base.join(common)))
                .unwrap()
        };
        let file = read("artifact", "a.txt");
        let root = read("trusted_root.json", "public_good_trusted_root.json");
        let bundle = fs::read(folder.join("bundle.sigstore.json")).unwrap();
        let key = fs::read(folder.join("key.pub")).ok();
        let der = key.as_ref().map(|pem| {
            let text = core::str::from_utf8(pem).unwrap();
            DerPublicKey::from_pem(text).unwrap().as_bytes().to_vec()
        });
        for file in [Some(file.as_slice()), None] {
            let question = Question {
                bundle: &bundle,
                root: &root,
                file,
                digest: Digest::sha256(&read("artifact", "a.txt")),
                key: der.as_deref(),
                terms: Terms::default(),
            };
            let (own, oracle) = (own(&question, key.as_deref()), question.ask());
            let right = own.is_ok() != name.ends_with("_fail");
            assert!(right, "{name}: {own:?}");
            if own.is_ok() != oracle.is_ok() {
                found.push((name.clone(), own.is_ok(), format!("{own:?} {oracle:?}")));
            }
        }
    }
    let names: BTreeSet<_> = found
        .iter()
        .map(|(name, own, _)| (name.as_str(), *own))
        .collect();
    let listed: BTreeSet<_> = CONFORMANCE
        .iter()
        .map(|(name, own, _)| (*name, *own))
        .collect();
    assert_eq!(names, listed, "{found:#?}");
}

#[test]
fn the_blobs_of_the_lab_are_judged_alike() {
    let Some(base) = samples("cosign-lab") else {
        return;
    };
    let root = fs::read(base.join("trusted_root.json")).unwrap();
    let blob = fs::read(base.join("blob/blob.txt")).unwrap();
    for name in ["rekor1.sigstore.json", "rekor2.sigstore.json"] {
        let bundle = fs::read(base.join("blob").join(name)).unwrap();
        for (file, expected) in [(blob.as_slice(), true), (b"", false)] {
            for file in [Some(file), None] {
                let digest = if expected {
                    Digest::sha256(&blob)
                } else {
                    Digest::sha256(b"")
                };
                let question = Question {
                    bundle: &bundle,
                    root: &root,
                    file,
                    digest,
                    key: None,
                    terms: Terms::default(),
                };
                let (own, oracle) = (own(&question, None), question.ask());
                assert_eq!(own.is_ok(), expected, "{name}: {own:?}");
                assert_eq!(oracle.is_ok(), expected, "{name}: {oracle:?}");
            }
        }
    }
}
