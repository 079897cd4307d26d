//! The command line as its users meet it: the real binary, its exit code, and what it says.

mod answers;
mod archives;
mod blob;
#[cfg(unix)]
mod demo;
mod flags;
mod network;
mod samples;
mod sandbox;
mod signing_flags;
mod tree;
mod trust;
mod usage;

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

/// The identity that signed the samples, with its issuer.
pub(crate) const IDENTITY: &str =
    "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// The index in most of the samples.
const INDEX: &str = "sha256:ece27c5cee9b6b8e9f0b7e48146b5096b7b9f7077268ba98148924b29c84c47e";
pub(crate) const AMD64: &str =
    "sha256:63dc09bd56851863a59b8069fe67008b07987c746c975be0b82c88dc485203f7";
const ARM64: &str = "sha256:0e5ce9b9364fb6ec4b25709dba7d3ffd6d332cdbfd52e530d03fcdaece113089";

/// The directory of what real cosign signed.
fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cosign-lab")
}

/// Who must have signed the samples, under which root.
fn signer() -> [&'static str; 6] {
    [
        "--certificate-identity",
        IDENTITY,
        "--certificate-oidc-issuer",
        ISSUER,
        "--trusted-root",
        "trusted_root.json",
    ]
}

/// A question about a sample, all of it.
fn asked(layout: &str) -> Vec<String> {
    let words = ["verify", "--layout", layout].into_iter().chain(signer());
    words.map(str::to_owned).collect()
}

fn cases() -> Vec<Value> {
    let json = std::fs::read(lab().join("cases.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}
