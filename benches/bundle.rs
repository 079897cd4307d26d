//! One piece of evidence of each kind: parse and verify, against the signature checks that nobody can
//! leave out, and against `sigstore-verify`.
//!
//! `cargo bench --bench bundle` (`--profile dist` for what is shipped).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise and prints its figures"
)]

mod harness;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
use aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1;
use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Limits;
use scgate::model::Timestamp;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::LegacyLayer;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;

use crate::harness::Work;
use crate::harness::medians;
use crate::harness::ratio;
use crate::harness::show;

const ARTIFACT: &[u8] = b"an image manifest";
const RUNS: usize = 1000;

/// One signature check as the crypto library does it.
struct Check {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Check {
    /// `length` is that of the signed bytes: a `TBSCertificate`, an SCT's preimage, an entry.
    fn new(kind: KeyKind, algorithm: &'static dyn VerificationAlgorithm, length: usize) -> Self {
        let key = SigningKey::generate(kind).unwrap();
        let message = vec![7; length];
        Self {
            algorithm,
            key: key.raw().to_vec(),
            signature: key.sign(&message).unwrap(),
            message,
        }
    }

    fn run(&self) {
        let key = UnparsedPublicKey::new(self.algorithm, &self.key);
        key.verify(black_box(&self.message), &self.signature)
            .unwrap();
    }
}

/// The kinds of checks that a piece of evidence needs.
#[derive(Clone, Copy)]
enum Need {
    P256,
    P384,
    Ed25519,
}

/// A piece of evidence, with what it is measured against.
struct Case {
    name: &'static str,
    evidence: Evidence,
    /// Leaf and timestamp are P-384; SCT, promise and artifact P-256; the checkpoint P-256 or Ed25519.
    needs: &'static [Need],
    keyed: bool,
    terms: Terms,
}

enum Evidence {
    Bundle(Vec<u8>),
    Layer(LegacyLayer),
}

struct World {
    mint: Mint,
    root: TrustRoot,
    key: SigningKey,
    managed: ManagedKey,
    identity: Identity,
    now: Timestamp,
    limits: Limits,
}

impl World {
    fn new() -> Self {
        let limits = Limits::default();
        let now = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
        let mint = Mint::new(now).unwrap();
        let key = SigningKey::generate(KeyKind::P256).unwrap();
        Self {
            root: TrustRoot::parse(&mint.trusted_root().bytes(), &limits).unwrap(),
            managed: ManagedKey::parse(key.public_pem().as_bytes(), &limits).unwrap(),
            mint,
            key,
            identity: GithubActions::push("acme/shop", "release.yml").identity(),
            now,
            limits,
        }
    }

    fn cases(&self) -> Vec<Case> {
        use Need::Ed25519;
        use Need::P256;
        use Need::P384;
        let message = || Content::Message(ARTIFACT.to_vec());
        let statement = || Content::image(Digest::sha256(ARTIFACT));
        let simple =
            || Content::simple_signing("a.test/b", Digest::sha256(ARTIFACT), &BTreeMap::new());
        let keyless = |content| Order::keyless(self.now, &self.identity, content);
        let keyed = |content| Order::keyed(self.now, &self.key, content);
        let bundle =
            |order: Order| Evidence::Bundle(self.mint.sign(&order).unwrap().bundle_bytes("0.3"));
        let layer = |order: Order| {
            Evidence::Layer(
                self.mint
                    .sign(&order)
                    .unwrap()
                    .legacy_layer(LegacyChain::Full),
            )
        };
        let mut no_log = Terms::default();
        no_log.log = LogTerm::InsecureNone;
        let mut unlogged = keyed(statement()).without_timestamps();
        unlogged.entries.clear();
        let v1: &[Need] = &[P384, P256, P256, P256, P256];
        let v2: &[Need] = &[P384, P384, P256, P256, Ed25519];
        let case = |name, evidence, needs, keyed, terms| Case {
            name,
            evidence,
            needs,
            keyed,
            terms,
        };
        let all = Terms::default();
        vec![
            case(
                "Rekor v1, message",
                bundle(keyless(message()).without_timestamps()),
                v1,
                false,
                all,
            ),
            case(
                "Rekor v1, DSSE",
                bundle(keyless(statement()).without_timestamps()),
                v1,
                false,
                all,
            ),
            case(
                "Rekor v1 + TSA, DSSE",
                bundle(keyless(statement())),
                &[P384, P384, P256, P256, P256, P256],
                false,
                all,
            ),
            case(
                "Rekor v2 + TSA, message",
                bundle(keyless(message()).rekor2()),
                v2,
                false,
                all,
            ),
            case(
                "Rekor v2 + TSA, DSSE",
                bundle(keyless(statement()).rekor2()),
                v2,
                false,
                all,
            ),
            case(
                "legacy .sig",
                layer(keyless(simple()).without_timestamps()),
                &[P384, P256, P256, P256],
                false,
                all,
            ),
            case(
                "key, Rekor v1, DSSE",
                bundle(keyed(statement()).without_timestamps()),
                &[P256, P256, P256],
                true,
                all,
            ),
            case("key, no log, DSSE", bundle(unlogged), &[P256], true, no_log),
        ]
    }

    /// Parses and verifies once.
    fn judge(&self, case: &Case) {
        let bundle = match &case.evidence {
            Evidence::Bundle(bytes) => Bundle::parse(black_box(bytes), &self.limits),
            Evidence::Layer(layer) => Bundle::from_signature_layer(
                black_box(&layer.bytes),
                &layer.annotations,
                &self.limits,
            ),
        };
        let trust = match case.keyed {
            true => Trust::Key(&self.managed, Some(&self.root)),
            false => Trust::Root(&self.root),
        };
        let artifact = Artifact::Bytes(ARTIFACT);
        let verdict = verify(
            &bundle.unwrap(),
            artifact,
            trust,
            case.terms,
            self.now,
            &self.limits,
        );
        black_box(verdict.expect(case.name));
    }
}

/// `sigstore-verify` on the same evidence, where it reads it.
fn peer<'a>(world: &'a World, case: &'a Case) -> Option<Work<'a>> {
    let Evidence::Bundle(bytes) = &case.evidence else {
        return None;
    };
    let root = String::from_utf8(world.mint.trusted_root().bytes()).unwrap();
    let root = sigstore_trust_root::TrustedRoot::from_json(&root).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let identity = &world.identity;
    let by_name = sigstore_verify::VerificationPolicy::new(identity.san.value(), &identity.issuer);
    let key = sigstore_verify::types::DerPublicKey::new(world.key.spki().to_vec());
    let by_key = sigstore_verify::PublicKeyVerificationPolicy::new(key);
    let keyed = case.keyed;
    let judge = move || {
        let bundle = sigstore_verify::types::Bundle::from_json(black_box(&text)).ok()?;
        let verdict = match keyed {
            true => sigstore_verify::verify(ARTIFACT, &bundle, &by_key, &root),
            false => sigstore_verify::verify(ARTIFACT, &bundle, &by_name, &root),
        };
        black_box(verdict).ok()
    };
    judge()?;
    Some(Box::new(move || {
        judge().unwrap();
    }))
}

fn main() {
    let world = World::new();
    let p256 = Check::new(KeyKind::P256, &ECDSA_P256_SHA256_ASN1, 700);
    let p384 = Check::new(KeyKind::P384, &ECDSA_P384_SHA384_ASN1, 1500);
    let ed25519 = Check::new(KeyKind::Ed25519, &ED25519, 80);
    let check = |need: Need| match need {
        Need::P256 => &p256,
        Need::P384 => &p384,
        Need::Ed25519 => &ed25519,
    };
    let mut single: Vec<Work<'_>> = vec![
        Box::new(|| p256.run()),
        Box::new(|| p384.run()),
        Box::new(|| ed25519.run()),
    ];
    let times = medians(RUNS, &mut single);
    println!(
        "one check: P-256 {}, P-384 {}, Ed25519 {}",
        show(times[0]),
        show(times[1]),
        show(times[2])
    );
    println!();
    println!("| evidence | checks | scgate | floor | ratio | sigstore-verify |");
    println!("|---|---|---|---|---|---|");
    for case in world.cases() {
        let mut works: Vec<Work<'_>> = vec![
            Box::new(|| world.judge(&case)),
            Box::new(|| case.needs.iter().for_each(|need| check(*need).run())),
        ];
        works.extend(peer(&world, &case));
        let times = medians(RUNS, &mut works);
        let [own, floor]: [Duration; 2] = [times[0], times[1]];
        let other = times.get(2).map_or_else(
            || "not read".to_owned(),
            |other| format!("{} ({:.2}×)", show(*other), ratio(*other, own)),
        );
        println!(
            "| {} | {} | {} | {} | {:.2} | {other} |",
            case.name,
            case.needs.len(),
            show(own),
            show(floor),
            ratio(own, floor),
        );
    }
}
