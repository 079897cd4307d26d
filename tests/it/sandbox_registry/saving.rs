//! An image as a layout on disk: all of it, with its evidence, and nothing else.

use scgate::model::Digest;
use scgate::sandbox::Image;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::RegistryError;
use serde_json::json;

const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is saved and loaded again is the same, with everything that refers to it.
#[tokio::test]
async fn an_image_is_saved_with_all_that_refers_to_it() {
    let registry = Registry::start(Config::default()).await.unwrap();
    let image = Image::new("hello");
    registry.put_image("a/b", &image, Some("v1"));
    registry.put_image("a/b", &Image::new("other"), Some("v2"));
    let config = registry.put_blob("a/b", "{}");
    let evidence = |subject: Digest, kind: &str| {
        let descriptor = |digest: Digest, size: usize| json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": size});
        let subject = json!({"mediaType": "x/y", "digest": subject, "size": 1});
        json!({"schemaVersion": 2, "artifactType": kind, "config": descriptor(config, 2),
            "layers": [descriptor(config, 2)], "subject": subject})
        .to_string()
    };
    let about = registry.put_manifest("a/b", KIND, evidence(image.platforms[1], "a/a"), None);
    let about_that = registry.put_manifest("a/b", KIND, evidence(about, "b/b"), None);
    let tag = format!("sha256-{}.sig", image.index.hex());
    let tagged = registry.put_manifest("a/b", KIND, evidence(image.index, "c/c"), Some(&tag));
    assert_eq!(registry.referrers("a/b", image.platforms[1]), [about]);

    let dir = tempfile::tempdir().unwrap();
    registry
        .save_layout("a/b", image.index, dir.path())
        .unwrap();
    let loaded = registry.load_layout("c/d", dir.path()).unwrap();
    assert_eq!(loaded[0].digest, image.index);
    for digest in [about, about_that, tagged] {
        assert_eq!(
            registry.manifest("c/d", digest),
            registry.manifest("a/b", digest)
        );
    }
    assert_eq!(registry.resolve("c/d", &tag), Some(tagged));
    assert_eq!(registry.resolve("c/d", "v2"), None);
    for (_, manifest) in &image.manifests {
        assert!(registry.manifest("c/d", Digest::sha256(manifest)).is_some());
    }
    for blob in &image.blobs {
        assert!(registry.blob("c/d", Digest::sha256(blob)).is_some());
    }
    let other = Image::new("other").index;
    assert!(registry.manifest("c/d", other).is_none());
    // What is not there is no empty layout.
    let absent = registry.save_layout("c/d", other, dir.path()).unwrap_err();
    assert!(matches!(absent, RegistryError::Absent { digest } if digest == other));
    registry.stop().await.unwrap();
}
