//! Mutations: one change to evidence that is accepted, and the one code that must come of it.
//!
//! Every [`Row`] names the evidence it starts from, a change and the expected code. [`check`] first
//! asserts that the unchanged twin is accepted, by the same mint and the same trusted root, and then
//! that the mutant is refused with exactly that code. A change is *raw* where it is made after
//! signing ([`Change::Parts`], [`Change::Json`], [`Change::Bytes`], [`Change::Notes`]) and
//! *re-signed* where the mint signs everything over it ([`Change::Order`], [`Change::Case`]). Rows
//! that are allowed are the boundary on the right side, or say that a field decides nothing.
//!
//! The ids begin with the case of the threat list that they carry out, where there is one.

mod certificate;
mod checkpoint;
mod claims;
mod content;
mod coverage;
mod entry;
mod keys;
mod legacy;
mod log;
mod matrix;
mod members;
mod property;
mod sct;
mod shape;
mod statement;
mod timestamp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::CheckpointOrder;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryOrder;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::ProofOrder;
use scgate::sandbox::mint::SctOrder;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::TimestampOrder;
use scgate::sandbox::mint::root::TrustedRoot;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::Error;
use scgate::verify::LogTerm;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::VerifiedSignature;
use scgate::verify::verify;
use serde_json::Value;
use serde_json::json;

/// What was signed, or what the signed statements are about.
pub(crate) const FILE: &[u8] = b"an image manifest";

/// The instance that is trusted.
static MINT: LazyLock<Mint> = LazyLock::new(|| Mint::new(now()).unwrap());
/// An instance that nobody trusts.
static STRANGER: LazyLock<Mint> = LazyLock::new(|| Mint::new(now()).unwrap());
/// The managed key.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| key(KeyKind::P256));

/// When everything is signed.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now().plus_seconds(seconds)
}

pub(crate) fn identity() -> Identity {
    GithubActions::push("acme/shop", "release.yml").identity()
}

fn stranger() -> &'static Mint {
    &STRANGER
}

fn key(kind: KeyKind) -> SigningKey {
    SigningKey::generate(kind).unwrap()
}

/// The evidence that a row starts from. All of it is accepted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Base {
    /// An attestation with a predicate: bundle 0.3, Rekor v1 and a timestamp.
    Attestation,
    /// A blob signed with cosign v2 (`sign-blob --bundle`), keyless.
    Blob,
    /// Bundle 0.2, with the chain form.
    Chain,
    /// A message signature over a file: bundle 0.3, Rekor v1 and a timestamp.
    File,
    /// A managed key, with a log entry.
    Key,
    /// A managed key and nothing else.
    KeyAlone,
    /// A layer of an `.att` manifest.
    LayerAtt,
    /// A layer of a `.sig` manifest.
    LayerSig,
    /// Rekor v1 without a timestamp: the log's promise alone gives the time.
    Promised,
    /// Rekor v2 and a timestamp.
    Rekor2,
    /// What cosign 3 makes by default: bundle 0.3, DSSE, Rekor v1 and a timestamp.
    Stamped,
}

impl Base {
    pub(crate) const ALL: &[Self] = &[
        Self::Attestation,
        Self::Blob,
        Self::Chain,
        Self::File,
        Self::Key,
        Self::KeyAlone,
        Self::LayerAtt,
        Self::LayerSig,
        Self::Promised,
        Self::Rekor2,
        Self::Stamped,
    ];

    /// As it is accepted.
    pub(crate) fn honest(self) -> Exhibit {
        self.case().honest()
    }

    fn case(self) -> Case {
        let image = Content::image(Digest::sha256(FILE));
        let keyless = |content| Order::keyless(now(), &identity(), content);
        let keyed = |content| Order::keyed(now(), &KEY, content);
        let file = || Content::Message(FILE.to_vec());
        let (order, form) = match self {
            Self::Attestation => (keyless(attestation()), Form::Bundle("0.3")),
            Self::Blob => (keyless(file()), Form::Blob),
            Self::Chain => (keyless(image), Form::Bundle("0.2")),
            Self::File => (keyless(file()), Form::Bundle("0.3")),
            Self::Key => (keyed(image), Form::Bundle("0.3")),
            Self::KeyAlone => {
                let mut order = keyed(image).without_timestamps();
                order.entries.clear();
                (order, Form::Bundle("0.3"))
            }
            Self::LayerAtt => (keyless(attestation()), Form::LayerAtt),
            Self::LayerSig => (keyless(simple_signing()), Form::LayerSig),
            Self::Promised => (keyless(image).without_timestamps(), Form::Bundle("0.3")),
            Self::Rekor2 => (keyless(image).rekor2(), Form::Bundle("0.3")),
            Self::Stamped => (keyless(image), Form::Bundle("0.3")),
        };
        let mut question = Question::new();
        match self {
            Self::Key => question.signer = Asked::Key,
            Self::KeyAlone => {
                question.signer = Asked::KeyAlone;
                question.terms.log = LogTerm::InsecureNone;
            }
            _ => {}
        }
        Case {
            form,
            mint: MINT.clone(),
            order,
            question,
            root: MINT.trusted_root(),
        }
    }
}

/// The annotations of a layer.
type Notes = BTreeMap<String, String>;

fn attestation() -> Content {
    let predicate = json!({ "invocationId": "42", "materials": [] });
    let kind = "https://slsa.dev/provenance/v0.2";
    Content::attestation(
        "registry.test/acme/shop",
        Digest::sha256(FILE),
        kind,
        &predicate,
    )
}

fn simple_signing() -> Content {
    let digest = Digest::sha256(FILE);
    Content::simple_signing("registry.test/acme/shop", digest, &BTreeMap::new())
}

/// Everything that one verification takes.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) form: Form,
    pub(crate) mint: Mint,
    pub(crate) order: Order,
    pub(crate) question: Question,
    pub(crate) root: TrustedRoot,
}

/// How the evidence is laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Blob,
    Bundle(&'static str),
    LayerAtt,
    LayerSig,
}

/// What is asked, and by which trust.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) digest: Digest,
    pub(crate) file: Option<Vec<u8>>,
    pub(crate) key: SigningKey,
    pub(crate) now: Timestamp,
    pub(crate) signer: Asked,
    pub(crate) terms: Terms,
}

/// Whose signature is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    Key,
    KeyAlone,
    Keyless,
}

impl Question {
    pub(crate) fn new() -> Self {
        Self {
            digest: Digest::sha256(FILE),
            file: Some(FILE.to_vec()),
            key: KEY.clone(),
            now: now(),
            signer: Asked::Keyless,
            terms: Terms::default(),
        }
    }
}

/// Evidence as it would be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) form: Form,
    pub(crate) bytes: Vec<u8>,
    pub(crate) notes: BTreeMap<String, String>,
}

impl Evidence {
    pub(crate) fn of(minted: &Minted, form: Form) -> Self {
        let (bytes, notes) = match form {
            Form::Blob => (minted.legacy_blob_bundle().to_string(), BTreeMap::new()),
            Form::Bundle(version) => {
                let bytes = minted.bundle_bytes(version);
                (String::from_utf8(bytes).unwrap(), BTreeMap::new())
            }
            Form::LayerAtt | Form::LayerSig => {
                let layer = minted.legacy_layer(LegacyChain::Full);
                (String::from_utf8(layer.bytes).unwrap(), layer.annotations)
            }
        };
        let bytes = bytes.into_bytes();
        Self { form, bytes, notes }
    }

    pub(crate) fn parse(&self, limits: &Limits) -> Result<Bundle, Error> {
        match self.form {
            Form::Blob => Bundle::from_legacy_blob(&self.bytes, limits),
            Form::Bundle(_) => Bundle::parse(&self.bytes, limits),
            Form::LayerAtt => Bundle::from_attestation_layer(&self.bytes, &self.notes, limits),
            Form::LayerSig => Bundle::from_signature_layer(&self.bytes, &self.notes, limits),
        }
    }
}

/// Evidence with the question that is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Exhibit {
    pub(crate) evidence: Evidence,
    pub(crate) question: Question,
    pub(crate) root: Vec<u8>,
}

/// A trusted root is parsed once, as a gate does it.
fn loaded(json: &[u8]) -> Arc<TrustRoot> {
    static LOADED: Mutex<BTreeMap<Vec<u8>, Arc<TrustRoot>>> = Mutex::new(BTreeMap::new());
    let mut all = LOADED.lock().unwrap();
    let root = all.entry(json.to_vec()).or_insert_with(|| {
        let root = TrustRoot::parse(json, &Limits::default());
        Arc::new(root.expect("the trusted root loads"))
    });
    root.clone()
}

impl Exhibit {
    pub(crate) fn verdict(&self) -> Result<VerifiedSignature, Error> {
        let limits = Limits::default();
        let Question {
            digest, file, key, ..
        } = &self.question;
        let bundle = self.evidence.parse(&limits)?;
        let root = loaded(&self.root);
        let key = ManagedKey::parse(key.public_pem().as_bytes(), &limits).unwrap();
        let trust = match self.question.signer {
            Asked::Key => Trust::Key(&key, Some(&root)),
            Asked::KeyAlone => Trust::Key(&key, None),
            Asked::Keyless => Trust::Root(&root),
        };
        let artifact = match file {
            Some(bytes) => Artifact::Bytes(bytes),
            None => Artifact::Digest(*digest),
        };
        let Question { now, terms, .. } = self.question;
        verify(&bundle, artifact, trust, terms, now, &limits)
    }
}

impl Case {
    pub(crate) fn minted(&self) -> Minted {
        self.mint.sign(&self.order).unwrap()
    }

    pub(crate) fn exhibit(&self, evidence: Evidence) -> Exhibit {
        Exhibit {
            evidence,
            question: self.question.clone(),
            root: self.root.bytes(),
        }
    }

    /// Signed as ordered and shown as it is.
    pub(crate) fn honest(&self) -> Exhibit {
        self.exhibit(Evidence::of(&self.minted(), self.form))
    }
}

/// One change.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// To the bundle, layer or blob file as bytes.
    Bytes(fn(&mut Vec<u8>)),
    /// To actors, trusted root, form or question, before anything is signed.
    Case(fn(&mut Case)),
    /// To the bundle, layer or blob file as JSON.
    Json(fn(&mut Value)),
    /// To the annotations of a layer.
    Notes(fn(&mut BTreeMap<String, String>)),
    /// Before signing.
    Order(fn(&mut Order)),
    /// To the parts, after signing.
    Parts(fn(&mut Minted)),
}

/// One mutation.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) base: Base,
    pub(crate) change: Change,
    pub(crate) expected: Option<DenyCode>,
}

/// A mutation that is refused with this code.
const fn denied(id: &'static str, base: Base, change: Change, code: DenyCode) -> Row {
    Row {
        id,
        base,
        change,
        expected: Some(code),
    }
}

/// A boundary on its right side, or a field that decides nothing.
const fn allowed(id: &'static str, base: Base, change: Change) -> Row {
    Row {
        id,
        base,
        change,
        expected: None,
    }
}

impl Row {
    /// The unchanged twin, and the mutant.
    pub(crate) fn exhibits(&self) -> (Exhibit, Exhibit) {
        let case = self.base.case();
        let minted = case.minted();
        let twin = case.exhibit(Evidence::of(&minted, case.form));
        let mut changed = case.clone();
        let mut parts = minted;
        let mutant = match self.change {
            Change::Bytes(change) => {
                let mut mutant = twin.clone();
                change(&mut mutant.evidence.bytes);
                mutant
            }
            Change::Case(change) => {
                change(&mut changed);
                changed.honest()
            }
            Change::Json(change) => {
                let mut mutant = twin.clone();
                let mut json = serde_json::from_slice(&mutant.evidence.bytes).unwrap();
                change(&mut json);
                mutant.evidence.bytes = json.to_string().into_bytes();
                mutant
            }
            Change::Notes(change) => {
                let mut mutant = twin.clone();
                change(&mut mutant.evidence.notes);
                mutant
            }
            Change::Order(change) => {
                change(&mut changed.order);
                changed.honest()
            }
            Change::Parts(change) => {
                change(&mut parts);
                case.exhibit(Evidence::of(&parts, case.form))
            }
        };
        (twin, mutant)
    }

    fn failure(&self) -> Option<String> {
        let (twin, mutant) = self.exhibits();
        if let Err(error) = twin.verdict() {
            return Some(format!("{}: the twin is refused: {error}", self.id));
        }
        let verdict = mutant.verdict();
        let found = verdict.as_ref().err().map(Error::code);
        if found == self.expected {
            return None;
        }
        let expected = self.expected.map_or("allowed", DenyCode::name);
        let said = verdict.err().map(|error| error.to_string());
        let found = found.map_or("allowed", DenyCode::name);
        let (id, said) = (self.id, said.unwrap_or_default());
        Some(format!("{id}: expected {expected}, found {found} ({said})"))
    }
}

/// The one check: the twin is accepted, the mutant has exactly the expected verdict.
fn check(rows: &[Row]) {
    let failures: Vec<_> = rows.iter().filter_map(Row::failure).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// All tables.
pub(crate) const TABLES: &[&[Row]] = &[
    certificate::ROWS,
    checkpoint::ROWS,
    claims::ROWS,
    content::ROWS,
    entry::ROWS,
    keys::ROWS,
    legacy::ROWS,
    log::ROWS,
    sct::ROWS,
    shape::ROWS,
    statement::ROWS,
    timestamp::ROWS,
];

fn certificate(order: &mut Order) -> &mut CertificateOrder {
    order.certificate.as_mut().unwrap()
}

fn sct(order: &mut Order) -> &mut SctOrder {
    &mut certificate(order).scts[0]
}

fn entry(order: &mut Order) -> &mut EntryOrder {
    &mut order.entries[0]
}

fn proof(order: &mut Order) -> &mut ProofOrder {
    entry(order).proof.as_mut().unwrap()
}

fn checkpoint(order: &mut Order) -> &mut CheckpointOrder {
    entry(order).checkpoint_mut().unwrap()
}

fn stamp(order: &mut Order) -> &mut TimestampOrder {
    &mut order.timestamps[0]
}

/// Replaces the one occurrence of `from`; a row that finds none or several is wrong itself.
fn swap(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let mut places = bytes.windows(from.len()).enumerate();
    let mut at = places.by_ref().filter(|(_, part)| *part == from);
    let first = at.next().expect("the bytes to replace are there").0;
    assert!(at.next().is_none(), "the bytes to replace occur twice");
    bytes.splice(first..first + from.len(), to.iter().copied());
}

/// The same with text.
fn swap_text(text: &mut String, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "`{from}` in `{text}`");
    *text = text.replace(from, to);
}

/// Turns one bit in the middle.
fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

/// Turns one bit of the last byte.
fn flip_last(bytes: &mut [u8]) {
    *bytes.last_mut().unwrap() ^= 1;
}
