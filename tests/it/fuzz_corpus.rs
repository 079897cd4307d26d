//! The corpus of the fuzz targets, replayed: what once was looked for at random stays found.
//!
//! A file whose name begins with `good-` must be taken by its target, one with `bad-` refused; of the
//! others only that the target comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

#[path = "../../fuzz/targets.rs"]
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
