//! Random damage: nothing panics, and nothing that is still accepted says something else.
//!
//! Seeded loops, so that a failure names its seed and comes again.

use scgate::model::Limits;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::LoggedAt;
use scgate::verify::VerifiedSignature;

use super::Base;
use super::Evidence;
use super::Exhibit;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// One to three bytes, changed in a bit, replaced, taken away, doubled or put in.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let byte = self.next().to_le_bytes()[0];
            match self.below(8) {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                3 => bytes.insert(at, bytes[at]),
                _ => bytes[at] ^= 1 << (byte & 7),
            }
        }
    }
}

/// Everything that a verdict may rest on.
pub(super) fn same_facts(one: &VerifiedSignature, other: &VerifiedSignature) {
    assert_eq!(one.signer(), other.signer());
    assert_eq!(one.artifact(), other.artifact());
    assert_eq!(one.root(), other.root());
    assert_eq!(one.predicate_type(), other.predicate_type());
    assert_eq!(one.annotations(), other.annotations());
    assert_eq!(one.payload(), other.payload());
    assert_eq!(one.is_signature(), other.is_signature());
    // Evidence can lose a time or an entry, never gain or change one.
    assert!(other.times().iter().all(|time| one.times().contains(time)));
    for entry in other.logs() {
        let same_index = |index| index == entry.index || one.times() != other.times();
        let known = |known: &LoggedAt| known.log == entry.log && same_index(known.index);
        // Without its promise an entry has the index that its proof proves.
        assert!(one.logs().iter().any(known));
    }
}

/// Runs damaged copies; gives how many were still accepted.
fn run(original: &Exhibit, rounds: u64, damage: impl Fn(&mut Random) -> Evidence) -> usize {
    let proof = original.verdict().unwrap();
    let mut accepted = 0;
    for seed in 0..rounds {
        let mut exhibit = original.clone();
        exhibit.evidence = damage(&mut Random(seed));
        if let Ok(other) = exhibit.verdict() {
            same_facts(&proof, &other);
            accepted += 1;
        }
    }
    accepted
}

#[test]
fn damaged_text_never_says_something_else() {
    for base in Base::ALL {
        let original = base.case().honest();
        run(&original, 250, |random| {
            let mut evidence = original.evidence.clone();
            let names: Vec<_> = evidence.notes.keys().cloned().collect();
            match random.below(names.len() + 1) {
                0 => random.damage(&mut evidence.bytes),
                number => {
                    let text = evidence.notes.get_mut(&names[number - 1]).unwrap();
                    let mut bytes = core::mem::take(text).into_bytes();
                    random.damage(&mut bytes);
                    *text = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
            evidence
        });
    }
}

#[test]
fn damaged_certificates_and_tokens_never_say_something_else() {
    for base in [Base::Stamped, Base::Rekor2, Base::LayerSig] {
        let mut case = base.case();
        // Without an entry nothing but the path binds the certificate.
        case.question.terms.log = LogTerm::InsecureNone;
        case.order.entries.clear();
        let minted = case.minted();
        let original = case.exhibit(Evidence::of(&minted, case.form));
        run(&original, 400, |random| {
            let mut minted = minted.clone();
            match random.below(2) {
                0 => random.damage(minted.certificate.as_mut().unwrap()),
                _ => random.damage(&mut minted.timestamps[0]),
            }
            Evidence::of(&minted, case.form)
        });
    }
}

#[test]
fn damaged_parts_of_the_log_never_say_something_else() {
    for base in [Base::Promised, Base::Rekor2, Base::LayerSig, Base::Key] {
        let case = base.case();
        let minted = case.minted();
        let original = case.exhibit(Evidence::of(&minted, case.form));
        run(&original, 250, |random| {
            let mut minted = minted.clone();
            let entry = &mut minted.entries[0];
            match random.below(4) {
                0 => random.damage(&mut entry.body),
                1 => entry.promise.iter_mut().for_each(|set| random.damage(set)),
                2 => {
                    let proof = entry.proof.as_mut().unwrap();
                    let number = random.below(proof.hashes.len());
                    random.damage(&mut proof.hashes[number]);
                }
                _ => {
                    let text = &mut entry.proof.as_mut().unwrap().checkpoint;
                    let mut bytes = text.take().unwrap().into_bytes();
                    random.damage(&mut bytes);
                    *text = Some(String::from_utf8_lossy(&bytes).into_owned());
                }
            }
            Evidence::of(&minted, case.form)
        });
    }
}

#[test]
fn cut_short_anywhere_it_is_refused() {
    let limits = Limits::default();
    for base in Base::ALL {
        let original = base.case().honest();
        let mut evidence = original.evidence.clone();
        // Every place near the end, where brackets close, and every few bytes before it.
        let whole = original.evidence.bytes.len();
        let places = (0..whole).filter(|length| whole - length < 40 || length % 61 == 0);
        for length in places.rev() {
            evidence.bytes.truncate(length);
            // A document for a `.sig` layer is opaque until its signature held.
            if *base != Base::LayerSig {
                assert!(evidence.parse(&limits).is_err(), "{base:?} at {length}");
            }
        }
        assert!(Bundle::parse(&evidence.bytes, &limits).is_err());
    }
    let case = Base::Rekor2.case();
    let minted = case.minted();
    for length in (0..minted.timestamps[0].len()).step_by(7) {
        let mut minted = minted.clone();
        minted.timestamps[0].truncate(length);
        let verdict = case.exhibit(Evidence::of(&minted, case.form)).verdict();
        assert!(verdict.is_err(), "token at {length}");
    }
    for length in (0..minted.certificate.as_ref().unwrap().len()).step_by(7) {
        let mut minted = minted.clone();
        minted.certificate.as_mut().unwrap().truncate(length);
        let verdict = case.exhibit(Evidence::of(&minted, case.form)).verdict();
        assert!(verdict.is_err(), "certificate at {length}");
    }
}
