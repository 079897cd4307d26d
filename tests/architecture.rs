//! The architecture, as tests: module order, code list against documentation.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The total order of design: a module names only modules to its left.
const ORDER: &[&str] = &[
    "model",
    "verify",
    "policy",
    "transport",
    "services",
    "registry",
    "admit",
    "sign",
    "output",
    "sandbox",
    "cli",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The top-level module that a source file belongs to.
fn module_of(file: &Path) -> Option<usize> {
    let relative = file.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str();
    let name = first.to_str().unwrap().trim_end_matches(".rs");
    if matches!(name, "lib" | "main") {
        return None;
    }
    let place = ORDER.iter().position(|module| *module == name);
    Some(place.unwrap_or_else(|| panic!("{name} is not in the order of tests/architecture.rs")))
}

#[test]
fn a_module_names_only_modules_before_it() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let Some(own) = module_of(&file) else {
            continue;
        };
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let line = line.trim();
            if line.starts_with("//") {
                continue;
            }
            for (place, module) in ORDER.iter().enumerate() {
                if place > own && line.contains(&format!("crate::{module}")) {
                    wrong.push(format!("{}:{} names {module}", file.display(), number + 1));
                }
            }
            if line.contains("use crate::{") {
                wrong.push(format!(
                    "{}:{} imports several modules",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lib_lists_the_modules_in_that_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: Vec<_> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let expected: Vec<_> = ORDER
        .iter()
        .copied()
        .filter(|module| listed.contains(module))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn every_deny_code_has_one_heading_and_every_heading_a_code() {
    use scgate::model::DenyCode;

    let page = fs::read_to_string(root().join("docs/deny-codes.md")).unwrap();
    let headings: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .skip(1)
        .collect();
    let codes: Vec<_> = DenyCode::ALL
        .iter()
        .map(|code| format!("## {code}"))
        .collect();
    assert_eq!(headings, codes, "the order of both is the rank");
}

#[test]
fn foreign_json_is_read_by_the_strict_reader_alone() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap();
        // The reader itself; what writes documents and reads its own back.
        let own = ["src/model/json.rs", "src/output", "src/sandbox"];
        if own.iter().any(|own| path.starts_with(own)) {
            continue;
        }
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            if line.contains("serde_json::from_") || line.contains("serde_json::Deserializer") {
                wrong.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
