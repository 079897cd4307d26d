//! Writing evidence into a layout on disk, and finding it again.

use std::fs;
use std::path::Path;

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Pinned;
use scgate::model::Reference;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::registry::Error;
use scgate::registry::Layout;
use scgate::registry::Listed;
use scgate::registry::Mounted;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use serde_json::Value;
use serde_json::json;

use super::layout::unpack;
use super::soon;
use super::writing::bundle;
use super::writing::fallback_tag;
use super::writing::sign;
use super::writing::signature;
use super::writing::write_bundle;

const UNKNOWN: &str = r#"{ "x" : [1.50e+3, "\u00e4"] }"#;

/// A layout with one image and members that nobody knows.
fn layout(dir: &Path) -> Digest {
    let config = b"{}";
    let image = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::sha256(config), "size": 2},
        "layers": [],
    })
    .to_string();
    let digest = Digest::sha256(image.as_bytes());
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(Digest::sha256(config).hex()), config).unwrap();
    fs::write(blobs.join(digest.hex()), &image).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"unknown":{UNKNOWN},"manifests":[{{"mediaType":"{}", "digest":"{digest}", "size":{},"more":{UNKNOWN}}}]}}"#,
        media_type::IMAGE,
        image.len()
    );
    fs::write(dir.join("index.json"), index).unwrap();
    digest
}

fn open(path: &Path) -> Source {
    Source::Layout(Layout::open(path, &Limits::default()).unwrap())
}

fn pinned(digest: Digest) -> Pinned {
    Reference::in_layout(None, Some(digest)).pinned().unwrap()
}

async fn found(source: &Source, image: Digest) -> Vec<(Way, Digest)> {
    let repository = Repository::unnamed_layout();
    let image = pinned(image);
    let search = Search::default();
    let listing = source.list(&image, &repository, &search, soon()).await;
    assert_eq!(listing.gaps, []);
    for candidate in &listing.candidates {
        let digest = candidate.descriptor.digest;
        let read = source.manifest(&repository, &digest, soon()).await;
        assert_eq!(read.unwrap().digest, digest);
    }
    let candidates = listing.candidates.iter();
    candidates.map(|c| (c.via, c.descriptor.digest)).collect()
}

#[tokio::test]
async fn what_was_written_is_found_at_once_and_by_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let image = layout(dir.path());
    let (source, repository) = (open(dir.path()), Repository::unnamed_layout());
    // Read before, so that there is something to be forgotten.
    assert_eq!(found(&source, image).await, []);
    let writer = source.writer(soon());
    let (listed, referrer) = write_bundle(&writer, &repository, image, 1).await.unwrap();
    assert_eq!(listed, Listed::Layout);
    let tag = fallback_tag(image);
    let signed = sign(&writer, &repository, &format!("{tag}.sig"), 1)
        .await
        .unwrap();
    let attested = sign(&writer, &repository, &format!("{tag}.att"), 2)
        .await
        .unwrap();
    let mut expected = vec![
        (Way::Layout, referrer),
        (Way::SignatureTag, signed),
        (Way::AttestationTag, attested),
    ];
    for source in [&source, &open(dir.path())] {
        assert_eq!(found(source, image).await, expected);
        let Source::Layout(layout) = source else {
            panic!("no layout");
        };
        assert_eq!(layout.only_image(), Ok(image), "evidence is no image");
    }
    // Again, and one more: nothing twice.
    write_bundle(&writer, &repository, image, 1).await.unwrap();
    let again = sign(&writer, &repository, &format!("{tag}.sig"), 1).await;
    assert_eq!(again, Ok(signed));
    let more = sign(&writer, &repository, &format!("{tag}.sig"), 3)
        .await
        .unwrap();
    expected[1] = (Way::SignatureTag, more);
    assert_eq!(found(&open(dir.path()), image).await, expected);
    let text = fs::read_to_string(dir.path().join("index.json")).unwrap();
    assert!(text.contains(&format!("\"unknown\":{UNKNOWN}")), "{text}");
    assert!(text.contains(", \"size\":") && text.contains(&format!("\"more\":{UNKNOWN}")));
    // A manifest under a tag takes the place of what had it.
    let (manifest, entry, _) = bundle(image, 9);
    for _ in 0..2 {
        let put = writer.manifest(
            &repository,
            media_type::IMAGE,
            manifest.clone(),
            Some("new"),
        );
        assert_eq!(put.await, Ok(entry.digest));
    }
    let tagged = Reference::in_layout(Some("new".to_owned()), None);
    let resolved = open(dir.path()).resolve(&tagged, soon()).await.unwrap();
    assert_eq!(resolved.pinned.digest(), entry.digest);
    // What is there needs no upload, from whatever repository.
    let held = writer.mount(&repository, &entry.digest, &repository).await;
    assert_eq!(held, Ok(Mounted::Yes));
    let absent = Digest::sha256(b"absent");
    let held = writer.mount(&repository, &absent, &repository).await;
    assert_eq!(held, Ok(Mounted::No));
}

#[tokio::test]
async fn what_cosign_saved_is_added_to_in_its_place() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cosign-lab");
    let dir = tempfile::tempdir().unwrap();
    unpack(&samples.join("legacy-cosign2.tar"), dir.path());
    let source = open(dir.path());
    let reference = Reference::in_layout(Some("1.0".to_owned()), None);
    let image = source.resolve(&reference, soon()).await.unwrap();
    let image = image.pinned.digest();
    let before = found(&source, image).await;
    assert_eq!(before.len(), 1);
    let repository = Repository::unnamed_layout();
    let old = source
        .manifest(&repository, &before[0].1, soon())
        .await
        .unwrap();
    let writer = source.writer(soon());
    let tag = format!("{}.sig", fallback_tag(image));
    let digest = sign(&writer, &repository, &tag, 1).await.unwrap();
    assert_eq!(found(&source, image).await, [(Way::SignatureTag, digest)]);
    let new = source.manifest(&repository, &digest, soon()).await.unwrap();
    let layers = |bytes: &[u8]| {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        manifest["layers"].as_array().unwrap().clone()
    };
    let (old, new) = (layers(&old.bytes), layers(&new.bytes));
    assert_eq!(new[..old.len()], old);
    assert_eq!(new.len(), old.len() + 1);
    assert_eq!(
        new[old.len()]["digest"],
        signature("payload", 1).descriptor.digest.to_string()
    );

    // An image that `cosign save` marked, without signatures yet: cosign looks for the mark.
    let dir = tempfile::tempdir().unwrap();
    let image = layout(dir.path());
    let path = dir.path().join("index.json");
    let text = fs::read_to_string(&path).unwrap();
    let kind = r#""annotations":{"kind":"dev.cosignproject.cosign/image"},"more""#;
    fs::write(&path, text.replace("\"more\"", kind)).unwrap();
    let source = open(dir.path());
    let writer = source.writer(soon());
    for (number, way, kind) in [(1, "sig", "sigs"), (2, "att", "atts")] {
        let tag = format!("{}.{way}", fallback_tag(image));
        sign(&writer, &repository, &tag, number).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(&format!("\"dev.cosignproject.cosign/{kind}\"")),
            "{text}"
        );
    }
    assert_eq!(found(&source, image).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cosign-lab");
    let archive = open(&samples.join("unsigned.tar"));
    let repository = Repository::unnamed_layout();
    let digest = Digest::sha256(b"x");
    let code = |error: Error| {
        assert!(matches!(error, Error::Unwritten { .. }), "{error}");
        (error.code(), error.to_string())
    };
    let writer = archive.writer(soon());
    let error = sign(&writer, &repository, "x.sig", 1).await.unwrap_err();
    let (found, text) = code(error);
    assert_eq!(found, DenyCode::LayoutUnreadable);
    assert!(text.contains("archive"), "{text}");
    assert!(write_bundle(&writer, &repository, digest, 1).await.is_err());

    // Nothing is written through a link.
    #[cfg(unix)]
    {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        layout(dir.path());
        let source = open(dir.path());
        let writer = source.writer(soon());
        sign(&writer, &repository, "x.sig", 1).await.unwrap();
        let blobs = dir.path().join("blobs/sha256");
        let moved = elsewhere.path().join("sha256");
        fs::rename(&blobs, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &blobs).unwrap();
        let error = sign(&writer, &repository, "y.sig", 2).await.unwrap_err();
        assert_eq!(error.code(), DenyCode::LayoutUnreadable);
    }
}

/// Each has opened the layout by itself, as different processes would.
#[test]
fn nobody_loses_what_another_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let image = layout(dir.path());
    let tag = format!("{}.sig", fallback_tag(image));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (dir, tag) = (dir.path(), tag.as_str());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let source = open(dir);
                let repository = Repository::unnamed_layout();
                runtime.block_on(async {
                    let writer = source.writer(soon());
                    for number in number * 5..number * 5 + 5 {
                        let written = write_bundle(&writer, &repository, image, number).await;
                        written.unwrap();
                        let signed = sign(&writer, &repository, tag, number).await;
                        signed.unwrap();
                    }
                });
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let source = open(dir.path());
    let found = runtime.block_on(found(&source, image));
    let referrers = found.iter().filter(|(way, _)| *way == Way::Layout);
    assert_eq!(referrers.count(), 40);
    let (_, signed) = found
        .iter()
        .find(|(way, _)| *way == Way::SignatureTag)
        .unwrap();
    let repository = Repository::unnamed_layout();
    let manifest = runtime.block_on(source.manifest(&repository, signed, soon()));
    let manifest: Value = serde_json::from_slice(&manifest.unwrap().bytes).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 40);
}
