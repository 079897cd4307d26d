//! Writing what was made beside the image: bundles as referrers, layers under the legacy tags.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::Repository;
use crate::model::Timestamp;
use crate::model::media_type;
use crate::registry;
use crate::registry::Asked;
use crate::registry::NewLayer;
use crate::registry::RawManifest;
use crate::registry::Search;
use crate::registry::Way;
use crate::registry::What;
use crate::registry::Writer;
use crate::sign::bundle;
use crate::sign::existing::Place;
use crate::sign::make::Made;
use crate::sign::make::layer_type;
use crate::sign::walk::Target;
use crate::verify::Layout;

/// The media type of the empty configuration (OCI image specification, "Guidance for an Empty
/// Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Its content.
const EMPTY_CONFIG: &[u8] = b"{}";

/// Begins an upload, so that a registry that may not be written to says so before anything stands in
/// a log. It is that of what every bundle needs, asked for as something that may be there already;
/// nothing is sent.
pub(super) async fn prepare(
    writer: &Writer<'_>,
    repository: &Repository,
) -> Result<(), registry::Error> {
    let empty = Digest::sha256(EMPTY_CONFIG);
    let begun = writer.mount(repository, &empty, repository);
    begun.await.map(drop)
}

/// How much of a piece of evidence is read back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReadBack {
    /// What was signed: go-containerregistry's registry takes manifests whose content it has not. The
    /// manifest itself was seen in the list, and that this registry gives back what it lists was seen
    /// with another one.
    Content,
    /// The manifest and everything in it.
    Everything,
}

/// Reads back a piece of evidence from the manifest that holds it. A registry that took it and has it
/// not has not taken it.
pub(super) async fn read_back(
    place: Place<'_>,
    made: &Made,
    holder: &Digest,
    what: ReadBack,
    limits: &Limits,
) -> Result<(), registry::Error> {
    if what == ReadBack::Everything {
        let manifest = place
            .source
            .manifest(place.repository, holder, place.deadline);
        configuration(place, &manifest.await?, limits).await?;
    }
    let size = u64::try_from(made.bytes.len()).unwrap_or(u64::MAX);
    let kind = layer_type(made.proof.layout()).to_owned();
    let descriptor = Descriptor::new(kind, Digest::sha256(&made.bytes), size);
    // Equal digest and size are equal bytes, which is what this looks at.
    let read = place.source.blob(
        place.repository,
        &descriptor,
        made.bytes.len(),
        place.deadline,
    );
    read.await.map(drop)
}

/// Reads the configuration that a manifest names, as cosign does that adds to it.
async fn configuration(
    place: Place<'_>,
    raw: &RawManifest,
    limits: &Limits,
) -> Result<(), registry::Error> {
    let known = raw.media_type.as_deref();
    let parsed = Manifest::parse(&raw.bytes, known, limits.index_entries, limits);
    let Ok(Manifest::Image(manifest)) = parsed else {
        return Err(registry::Error::Malformed {
            asked: Asked::of(place.repository, What::Manifest(raw.digest)),
            reason: "no manifest of evidence, where one was written",
        });
    };
    let config = &manifest.config;
    let read = place.source.blob(
        place.repository,
        config,
        limits.manifest_bytes,
        place.deadline,
    );
    read.await.map(drop)
}

/// Pushes a bundle as a manifest that refers to what it is about, and gives that manifest's digest.
pub(super) async fn bundle(
    writer: &Writer<'_>,
    repository: &Repository,
    target: &Target,
    made: &Made,
    created: Timestamp,
) -> Result<Digest, registry::Error> {
    let (entry, manifest) = referrer(target, made, created);
    let (config, layer) = futures_util::future::join(
        writer.blob(repository, Bytes::from_static(EMPTY_CONFIG)),
        writer.blob(repository, made.bytes.clone()),
    )
    .await;
    config?;
    layer?;
    let digest = entry.digest;
    writer
        .referrer(repository, &target.digest, &entry, manifest)
        .await?;
    Ok(digest)
}

/// Adds a layer to the manifest under the legacy tag of its image, and gives that manifest's digest.
pub(super) async fn layer(
    writer: &Writer<'_>,
    repository: &Repository,
    target: &Target,
    made: &Made,
    prefix: &str,
    replaced: &(dyn Fn(&Descriptor) -> bool + Sync),
) -> Result<Digest, registry::Error> {
    let layout = made.proof.layout();
    let way = match layout {
        Layout::LegacyAttestation => Way::AttestationTag,
        _ => Way::SignatureTag,
    };
    let search = Search {
        tag_prefix: prefix.to_owned(),
        ..Search::default()
    };
    let tag = search.tag(way, &target.digest).unwrap_or_default();
    let size = u64::try_from(made.bytes.len()).unwrap_or(u64::MAX);
    let kind = layer_type(layout).to_owned();
    let mut descriptor = Descriptor::new(kind, Digest::sha256(&made.bytes), size);
    descriptor.annotations.clone_from(&made.annotations);
    let new = NewLayer {
        descriptor,
        bytes: made.bytes.clone(),
    };
    writer.append(repository, &tag, &[new], replaced).await
}

/// The manifest of a bundle as cosign 3 writes it, and its descriptor in a list of referrers.
fn referrer(target: &Target, made: &Made, created: Timestamp) -> (Descriptor, Bytes) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        schema_version: u8,
        media_type: &'static str,
        artifact_type: &'static str,
        config: Content<'a>,
        layers: [Content<'a>; 1],
        subject: Content<'a>,
        annotations: &'a BTreeMap<String, String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Content<'a> {
        media_type: &'a str,
        digest: Digest,
        size: u64,
    }
    let size = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut annotations = BTreeMap::new();
    let mut annotate = |name: &str, value: String| annotations.insert(name.to_owned(), value);
    annotate("org.opencontainers.image.created", created.to_string());
    annotate("dev.sigstore.bundle.content", "dsse-envelope".to_owned());
    if let Some(predicate) = made.proof.predicate_type() {
        annotate("dev.sigstore.bundle.predicateType", predicate.to_owned());
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::IMAGE,
        artifact_type: bundle::MEDIA_TYPE,
        config: Content {
            media_type: EMPTY,
            digest: Digest::sha256(EMPTY_CONFIG),
            size: size(EMPTY_CONFIG),
        },
        layers: [Content {
            media_type: bundle::MEDIA_TYPE,
            digest: Digest::sha256(&made.bytes),
            size: size(&made.bytes),
        }],
        subject: Content {
            media_type: &target.media_type,
            digest: target.digest,
            size: target.size,
        },
        annotations: &annotations,
    };
    // Strings in structs: there is nothing that could fail.
    let bytes = Bytes::from(serde_json::to_vec(&manifest).unwrap_or_default());
    let mut entry = Descriptor::new(
        media_type::IMAGE.to_owned(),
        Digest::sha256(&bytes),
        size(&bytes),
    );
    entry.artifact_type = Some(bundle::MEDIA_TYPE.to_owned());
    entry.annotations = annotations;
    (entry, bytes)
}
