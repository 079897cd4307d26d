//! Archives that other readers of tar could read otherwise, made of one whose image is allowed.

use std::fs;

use scgate::model::Digest;

use super::INDEX;
use super::asked;
use super::lab;
use crate::registry::layout::Tar;
use crate::runner::Said;
use crate::runner::scgate;

/// What becomes of the sample after a trick.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// What was added is not read, and the image is allowed.
    Allowed,
    /// The image is refused, with this code.
    Denied(&'static str),
    /// The archive is not read at all, and this is said.
    Refused(&'static str),
}

fn sample() -> Tar {
    Tar::reopened(fs::read(lab().join("index-only.tar")).unwrap())
}

fn ask(archive: &[u8]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tricky.tar");
    fs::write(&path, archive).unwrap();
    let words = asked(path.to_str().unwrap());
    scgate(words).within(&lab()).and([INDEX, "-ojson"]).run()
}

#[track_caller]
fn meets(trick: &str, archive: &[u8], expected: &Outcome) {
    let said = ask(archive);
    match expected {
        Outcome::Allowed => assert_eq!(said.code, Some(0), "{trick}\n{said}"),
        Outcome::Denied(code) => {
            assert_eq!(said.code, Some(1), "{trick}\n{said}");
            assert_eq!(said.codes(), [*code], "{trick}\n{said}");
        }
        Outcome::Refused(text) => {
            assert_eq!(said.code, Some(2), "{trick}\n{said}");
            drop(said.complains(text).complains("tricky.tar"));
        }
    }
}

#[test]
fn what_readers_could_differ_about_is_refused_or_not_read() {
    use Outcome::Allowed;
    use Outcome::Denied;
    use Outcome::Refused;
    let digest = Digest::parse(INDEX).unwrap();
    let image = format!("blobs/sha256/{}", digest.hex());
    let long = "d/".repeat(33_000) + "index.json\0";
    let twice = Refused("` twice");
    let none = Refused("neither");
    let no_file = Refused("not a regular file");
    for (trick, archive, expected) in [
        ("nothing", sample(), &Allowed),
        // Two members of one name.
        ("index twice", sample().file("index.json", b"{}"), &twice),
        ("dotted index", sample().file("./index.json", b"{}"), &twice),
        ("marker twice", sample().file("oci-layout", b"{}"), &twice),
        (
            "other blob",
            sample().file(&image, b"{}"),
            &Denied("digest-mismatch"),
        ),
        (
            "other blob, dotted",
            sample().file(&format!("./{image}"), b"{}"),
            &Denied("digest-mismatch"),
        ),
        // Names that are not below the layout.
        (
            "absolute index",
            sample().file("/index.json", b"{}"),
            &Allowed,
        ),
        (
            "absolute blob",
            sample().file(&format!("/{image}"), b"{}"),
            &Allowed,
        ),
        (
            "climbing index",
            sample().file("../index.json", b"{}"),
            &Allowed,
        ),
        (
            "climbing blob",
            sample().file(&format!("blobs/../{image}"), b"{}"),
            &Allowed,
        ),
        (
            "doubly dotted",
            sample().file("././index.json", b"{}"),
            &Allowed,
        ),
        // Members that are no plain files under a name that counts.
        ("hard link", sample().entry(b'1', &image, b""), &no_file),
        ("symbolic link", sample().entry(b'2', &image, b""), &no_file),
        (
            "symbolic link, index",
            sample().entry(b'2', "index.json", b""),
            &no_file,
        ),
        ("directory", sample().entry(b'5', &image, b""), &no_file),
        ("unknown kind", sample().entry(b'Z', &image, b""), &no_file),
        ("sparse", sample().entry(b'S', &image, b"{}"), &no_file),
        (
            "pax sparse",
            sample()
                .pax(&[("path", &image), ("GNU.sparse.major", "1")])
                .file("x", b"{}"),
            &no_file,
        ),
        // Links elsewhere lead nowhere, unless one claims a content.
        ("link elsewhere", sample().entry(b'2', "x", b""), &Allowed),
        ("link with content", sample().entry(b'2', "x", b"{}"), &none),
        // Names in headers of their own.
        (
            "long name",
            sample().entry(b'L', "x", b"index.json\0").file("x", b"{}"),
            &twice,
        ),
        (
            "pax name",
            sample().pax(&[("path", "index.json")]).file("x", b"{}"),
            &twice,
        ),
        (
            "pax name elsewhere",
            sample().pax(&[("path", "x")]).file("index.json", b"{}"),
            &Allowed,
        ),
        (
            "long name of nothing",
            sample().entry(b'L', "x", b"index.json\0"),
            &Allowed,
        ),
        (
            "longest name",
            sample().entry(b'L', "x", long.as_bytes()).file("x", b"{}"),
            &none,
        ),
        (
            "broken pax",
            sample()
                .entry(b'x', "x", b"99 path=index.json\n")
                .file("x", b"{}"),
            &Allowed,
        ),
        (
            "pax without length",
            sample()
                .entry(b'x', "x", b" path=index.json\n")
                .file("x", b"{}"),
            &Allowed,
        ),
        // Sizes that differ between a header and the one before it.
        (
            "pax size too large",
            sample()
                .pax(&[("size", "18446744073709551615")])
                .file("x", b"{}"),
            &Refused("cut"),
        ),
        (
            "pax size too small",
            sample().pax(&[("size", "0")]).file("x", b"{}"),
            &none,
        ),
    ] {
        meets(trick, &archive.ended(), expected);
    }
    let whole = sample().file("x", &[1; 600]).ended();
    meets("plain file", &whole, &Allowed);
    meets("no end", &whole[..whole.len() - 1024], &Refused("cut"));
    meets(
        "cut member",
        &whole[..whole.len() - 1024 - 100],
        &Refused("cut"),
    );
}
