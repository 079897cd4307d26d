//! What scgate writes into a real registry, beside cosign and beside itself: nobody's entry is lost,
//! and cosign signs and verifies on top of it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::registry::Keyring;
use scgate::registry::Listed;
use scgate::registry::NewLayer;
use scgate::registry::Remote;
use scgate::registry::RemoteSettings;
use scgate::registry::Source;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use serde_json::Value;
use serde_json::json;

use crate::peers::Asked;
use crate::peers::Listing;
use crate::peers::Ring;
use crate::peers::Verdict;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const LEGACY: [&str; 4] = [
    "--yes",
    "--tlog-upload=false",
    "--new-bundle-format=false",
    "--use-signing-config=false",
];
const WRITERS: usize = 8;

/// A source that shares nothing with another one.
fn source() -> Source {
    let transport = Transport::new(Settings::default()).unwrap();
    let settings = RemoteSettings::default();
    Source::Remote(Remote::new(
        transport,
        Keyring::default(),
        settings,
        Limits::default(),
    ))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Writes a bundle's manifest about `subject`, which holds no real bundle.
async fn write_bundle(place: &Repository, subject: Digest, number: usize) -> (Listed, Digest) {
    let source = source();
    let writer = source.writer(soon());
    let config = writer.blob(place, Bytes::from_static(b"{}")).await.unwrap();
    let payload = Bytes::from(format!("{{\"number\":{number}}}"));
    let size = payload.len();
    let layer = writer.blob(place, payload).await.unwrap();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE,
        "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": layer, "size": size}],
        "subject": {"mediaType": media_type::IMAGE, "digest": subject, "size": 1},
    });
    let manifest = Bytes::from(manifest.to_string());
    let size = manifest.len().try_into().unwrap();
    let digest = Digest::sha256(&manifest);
    let mut entry = Descriptor::new(media_type::IMAGE.to_owned(), digest, size);
    entry.artifact_type = Some(BUNDLE.to_owned());
    let listed = writer.referrer(place, &subject, &entry, manifest).await;
    (listed.unwrap(), digest)
}

/// Writes a legacy signature that nobody made.
async fn sign(place: &Repository, tag: &str, number: usize) {
    let bytes = Bytes::from_static(b"payload");
    let digest = Digest::sha256(&bytes);
    let mut descriptor = Descriptor::new(media_type::SIMPLE_SIGNING.to_owned(), digest, 7);
    for (name, text) in [
        ("dev.cosignproject.cosign/signature", "bm9uZQ=="),
        ("number", &number.to_string()),
    ] {
        let annotations = &mut descriptor.annotations;
        annotations.insert(name.to_owned(), text.to_owned());
    }
    let layers = [NewLayer { descriptor, bytes }];
    let source = source();
    let writer = source.writer(soon());
    let append = writer.append(place, tag, &layers, &|_| false);
    append.await.unwrap();
}

/// What crane reads under a tag.
fn listed(ring: &Ring, reference: &str, list: &str) -> Vec<Value> {
    let answer = ring.crane_whole(["manifest", reference]);
    let document: Value = serde_json::from_str(&answer).unwrap();
    document[list].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_writers_lose_nothing() {
    let Some(ring) = Ring::find() else {
        return;
    };
    for listing in [Listing::FallbackTag, Listing::Referrers] {
        let registry = ring.registry(listing);
        let name = format!("{}/race", registry.address);
        let place = Repository::parse(&name).unwrap();
        for round in 0..3 {
            let subject = Digest::sha256(format!("{listing:?} {round}").as_bytes());
            let tag = format!("sha256-{}", subject.hex());
            let write = |number| write_bundle(&place, subject, number);
            let written = join_all((0..WRITERS).map(write)).await;
            if listing == Listing::FallbackTag {
                let entries = listed(&ring, &format!("{name}:{tag}"), "manifests");
                assert_eq!(entries.len(), WRITERS);
                for (by, digest) in &written {
                    assert_eq!(*by, Listed::FallbackTag);
                    let digest = digest.to_string();
                    assert!(entries.iter().any(|entry| entry["digest"] == digest));
                }
            } else {
                assert!(written.iter().all(|(by, _)| *by == Listed::Api));
            }
            let tag = format!("{tag}.sig");
            join_all((0..WRITERS).map(|number| sign(&place, &tag, number))).await;
            let layers = listed(&ring, &format!("{name}:{tag}"), "layers");
            assert_eq!(layers.len(), WRITERS);
        }
    }
}

/// cosign reads the configuration when it adds a layer, and it has to fit.
#[tokio::test(flavor = "multi_thread")]
async fn cosign_signs_beside_what_was_written() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let prepared = ring.cosign(["generate-key-pair", "--output-key-prefix", "cosign"]);
    assert_eq!(prepared.exit, Some(0), "{prepared}");
    let registry = ring.registry(Listing::FallbackTag);
    let name = format!("{}/shop", registry.address);
    let layer = ring.scratch().join("layer.tar");
    std::fs::write(layer, vec![0; 10_240]).unwrap();
    let image = ring.crane([
        "append",
        "--oci-empty-base",
        "-f",
        "layer.tar",
        "-t",
        &format!("{name}:1.0"),
    ]);
    let (_, digest) = image.split_once('@').unwrap();
    let digest = Digest::parse(digest).unwrap();
    let place = Repository::parse(&name).unwrap();
    let tag = format!("sha256-{}.sig", digest.hex());
    sign(&place, &tag, 1).await;
    let command = ["sign", "--key", "cosign.key"];
    let signed = ring.cosign([&command[..], &LEGACY, &[&image]].concat());
    assert_eq!(signed.exit, Some(0), "{signed}");
    let before = listed(&ring, &format!("{name}:{tag}"), "layers");
    assert_eq!(before.len(), 2, "cosign kept ours");
    sign(&place, &tag, 2).await;
    let after = listed(&ring, &format!("{name}:{tag}"), "layers");
    assert_eq!(after[..2], before, "and we kept cosign's");
    assert_eq!(after.len(), 3);
    let question = [
        "verify",
        "--key",
        "cosign.pub",
        "--insecure-ignore-tlog",
        "--new-bundle-format=false",
        &image,
    ];
    let answer = ring.cosign(question);
    assert!(answer.says(Verdict::Yes, Asked::Cosign), "{answer}");
    // The same image once more, by another signer: cosign reads its configuration again.
    let signed = ring.cosign([&command[..], &LEGACY, &["-a", "by=again", &image]].concat());
    assert_eq!(signed.exit, Some(0), "{signed}");
    let layers = listed(&ring, &format!("{name}:{tag}"), "layers");
    assert_eq!(layers[..3], after);
}
