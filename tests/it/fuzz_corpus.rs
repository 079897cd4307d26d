//! The corpus of the fuzz targets, replayed: what once was looked for at random stays found.
//!
//! A file whose name begins with `good-` must be taken by its target, one with `bad-` refused; of the
//! others only that the target comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

#[path = "../../fuzz/targets.rs"]
#[expect(clippy::expect_used, reason = "what is not under test has to work")]
mod targets;

use targets::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(directory: PathBuf) -> BTreeSet<String> {
    let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus_and_nothing_else_does() {
    let table: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(table.len(), TARGETS.len());
    let fuzzers = names(fuzz().join("fuzz_targets"));
    let files = table.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(fuzzers, files);
    for name in &table {
        let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz!(\"{name}\")")), "{name}");
    }
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<_> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"fuzz_targets/")?
                .strip_suffix(".rs\"")
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(bins, table);
    assert_eq!(names(fuzz().join("corpus")), table);
}

#[test]
fn the_corpus_holds() {
    let mut wrong = Vec::new();
    let mut total = 0;
    for (name, target) in TARGETS {
        let corpus = fuzz().join("corpus").join(name);
        for file in names(corpus.clone()) {
            let seed = fs::read(corpus.join(&file)).unwrap();
            total += seed.len();
            let taken = std::panic::catch_unwind(|| target(&seed));
            let expected = match file.split('-').next() {
                Some("good") => Some(true),
                Some("bad") => Some(false),
                _ => None,
            };
            match (taken, expected) {
                (Err(_), _) => wrong.push(format!("{name}/{file} panics")),
                (Ok(taken), Some(expected)) if taken != expected => {
                    wrong.push(format!("{name}/{file} taken: {taken}"));
                }
                (Ok(_), _) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(total < 1 << 20, "the corpus is {total} bytes");
}

/// How many mutants of each seed are tried; the variable `SCGATE_FUZZ_MUTANTS` says another number.
const MUTANTS: usize = 4;

/// No fuzzer, but it runs everywhere: the corpus with a few bytes changed, the same ones each time.
#[test]
fn mutants_of_the_corpus_are_survived() {
    let asked = std::env::var("SCGATE_FUZZ_MUTANTS").ok();
    let mutants = asked.map_or(MUTANTS, |text| text.parse().unwrap());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut wrong = Vec::new();
    for (name, target) in TARGETS {
        let corpus = fuzz().join("corpus").join(name);
        let seeds: Vec<_> = names(corpus.clone())
            .iter()
            .map(|file| fs::read(corpus.join(file)).unwrap())
            .collect();
        for seed in &seeds {
            for _ in 0..mutants {
                let other = &seeds[random.below(seeds.len())];
                let mutant = random.mutant(seed, other);
                if std::panic::catch_unwind(|| target(&mutant)).is_err() {
                    wrong.push(format!("{name}: {}", mutant.escape_ascii()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }

    /// A seed with one to four changes of the kinds that fuzzers make.
    fn mutant(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(16)).min(bytes.len());
            match self.below(6) {
                0 => {
                    bytes.drain(at.min(end)..end);
                }
                1 => {
                    let copy = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at.min(end)..at.min(end), copy);
                }
                2 => {
                    let from = self.below(other.len());
                    let to = (from + 1 + self.below(64)).min(other.len());
                    let piece = other[from.min(to)..to].to_vec();
                    bytes.splice(at.min(end)..end, piece);
                }
                3 => bytes.truncate(at),
                _ => {
                    let value = [0, 0x7f, 0x80, 0xff, b'"', b'-', b'9', b'\n', b'['];
                    let value = value[self.below(value.len())];
                    let flipped = 1 << self.below(8);
                    let flips = self.below(2) == 0;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = if flips { *byte ^ flipped } else { value };
                    }
                }
            }
        }
        bytes
    }
}
