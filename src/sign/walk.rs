//! What is signed: the manifest that was named, and with recursion everything in it, as cosign's
//! `sign --recursive` walks it: depth first, in the order of the index, attestation manifests
//! included.
//!
//! Every manifest is read and parsed before anything is signed, so that an entry that is missing, or
//! is not what its index calls it, stops the whole and not the rest of it.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::TryStreamExt;

use crate::model::Budget;
use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Index;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::Pinned;
use crate::model::Platform;
use crate::model::media_type;
use crate::model::printable;
use crate::registry::RawManifest;
use crate::registry::Source;
use crate::sign::Error;
use crate::transport::Deadline;

/// Manifests that are read at the same time.
const SIDE_BY_SIDE: usize = 16;

/// How far to go into an index.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Recursion {
    /// The index and every manifest in it.
    Everything,
    /// What is named, and nothing in it.
    #[default]
    None,
}

/// A manifest to sign.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub role: Role,
    /// For which platforms it is listed besides the first.
    pub also_for: Vec<Platform>,
}

/// What a manifest is in its image.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// It says of itself that it is a BuildKit attestation manifest.
    Attestation,
    /// An image, for the platform that its index states.
    Image(Option<Platform>),
    /// An index.
    Index,
}

/// One entry of an index on the way.
struct Entry {
    /// Where it stands: its place in each index above it.
    path: Vec<usize>,
    descriptor: Descriptor,
}

/// The manifests to sign, the named one first.
pub(super) async fn walk(
    source: &Source,
    image: &Pinned,
    named: Option<RawManifest>,
    recursion: Recursion,
    limits: &Limits,
    deadline: Deadline,
) -> Result<Vec<Target>, Error> {
    let raw = match named {
        Some(raw) => raw,
        None => {
            let repository = image.repository();
            source
                .manifest(repository, &image.digest(), deadline)
                .await?
        }
    };
    let (root, manifest) = parse(&raw, None, Role::Image(None), limits)?;
    let mut found = vec![(Vec::new(), root)];
    let mut budget = Budget::new(limits);
    let mut level = match (manifest, recursion) {
        (Manifest::Index(index), Recursion::Everything) => entries(&[], index),
        _ => Vec::new(),
    };
    let mut seen = BTreeSet::from([raw.digest]);
    let mut also: Vec<(Digest, Platform)> = Vec::new();
    for _ in 1..=limits.index_depth {
        // The same manifest may stand in several places; one signature is for all of them.
        level.retain(|entry| {
            let digest = entry.descriptor.digest;
            let is_new = seen.insert(digest);
            if !is_new && let Some(platform) = &entry.descriptor.platform {
                also.push((digest, platform.clone()));
            }
            is_new
        });
        for _ in &level {
            budget.spend_manifest()?;
        }
        let read = level.iter().map(|entry| async move {
            let target = read(source, image, &entry.descriptor, limits, deadline).await?;
            Ok::<_, Error>((entry, target))
        });
        let read = futures_util::stream::iter(read).buffered(SIDE_BY_SIDE);
        let read: Vec<_> = read.try_collect().await?;
        let mut below = Vec::new();
        for (entry, (target, manifest)) in read {
            if let Manifest::Index(index) = manifest {
                below.extend(entries(&entry.path, index));
                budget.allows(below.len())?;
            }
            found.push((entry.path.clone(), target));
        }
        if below.is_empty() {
            found.sort_by(|one, other| one.0.cmp(&other.0));
            let mut targets: Vec<_> = found.into_iter().map(|(_, target)| target).collect();
            for target in &mut targets {
                let platforms = also.iter().filter(|(digest, _)| *digest == target.digest);
                target
                    .also_for
                    .extend(platforms.map(|(_, platform)| platform.clone()));
            }
            return Ok(targets);
        }
        level = below;
    }
    Err(Exceeded {
        what: "levels of indexes",
        limit: limits.index_depth,
    }
    .into())
}

fn entries(above: &[usize], index: Index) -> Vec<Entry> {
    let entries = index.manifests.into_iter().enumerate();
    entries
        .map(|(place, descriptor)| Entry {
            path: above.iter().copied().chain([place]).collect(),
            descriptor,
        })
        .collect()
}

async fn read(
    source: &Source,
    image: &Pinned,
    entry: &Descriptor,
    limits: &Limits,
    deadline: Deadline,
) -> Result<(Target, Manifest), Error> {
    let kind = entry.media_type.as_str();
    if !media_type::is_index(kind) && !media_type::is_image(kind) {
        return Err(Error::UnknownType {
            digest: entry.digest,
            media_type: printable(kind),
        });
    }
    let raw = source
        .manifest(image.repository(), &entry.digest, deadline)
        .await
        .map_err(|error| match error {
            error if error.is_not_found() => Error::ChildNotFound {
                digest: entry.digest,
            },
            error => error.into(),
        })?;
    let annotation = entry.annotations.get("vnd.docker.reference.type");
    let is_attestation = annotation.is_some_and(|kind| kind == "attestation-manifest");
    let role = match &entry.platform {
        Some(platform) if platform.is_unknown() && is_attestation => Role::Attestation,
        platform => Role::Image(platform.clone()),
    };
    parse(&raw, Some(kind), role, limits)
}

/// Parses what was read. What the index calls it, what it was served as and what it calls itself
/// have to agree.
fn parse(
    raw: &RawManifest,
    entry_type: Option<&str>,
    role: Role,
    limits: &Limits,
) -> Result<(Target, Manifest), Error> {
    let malformed = |source| Error::Manifest {
        digest: raw.digest,
        source,
    };
    let served = raw.media_type.as_deref();
    if let (Some(entry), Some(served)) = (entry_type, served)
        && entry != served
    {
        return Err(malformed(crate::model::ManifestError::TypeMismatch {
            own: printable(served),
            served: printable(entry),
        }));
    }
    let known = served.or(entry_type);
    let manifest =
        Manifest::parse(&raw.bytes, known, limits.index_entries, limits).map_err(malformed)?;
    let (media_type, role) = match &manifest {
        Manifest::Index(index) => (&index.media_type, Role::Index),
        Manifest::Image(image) => (&image.media_type, role),
    };
    if !media_type::is_index(media_type) && !media_type::is_image(media_type) {
        return Err(Error::UnknownType {
            digest: raw.digest,
            media_type: printable(media_type),
        });
    }
    let target = Target {
        digest: raw.digest,
        media_type: media_type.clone(),
        size: u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX),
        role,
        also_for: Vec::new(),
    };
    Ok((target, manifest))
}
