//! Manifests and indexes (OCI image specification 1.1, Docker image manifest version 2 schema 2).
//!
//! A document must be exactly one of the two shapes: one that could be read both ways is refused
//! (CVE-2021-41190), and so is one whose `mediaType` differs from what it was served as. Schema 1 is
//! refused: its identity is not the hash of its bytes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::Visitor;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Limits;

/// The media types that scgate names.
pub mod media_type {
    /// An OCI image manifest.
    pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A Docker image manifest.
    pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A layer with a legacy signature payload.
    pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// A layer with a DSSE envelope.
    pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
    /// An in-toto statement: the payload type of a DSSE envelope, and BuildKit's layers.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
    /// What every media type of a Sigstore bundle begins with.
    pub const BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
    /// The artifact type of cosign's experimental OCI 1.1 layout.
    pub const COSIGN_OCI11: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
    /// BuildKit's artifact type of an attestation manifest.
    pub const BUILDKIT_ATTESTATION: &str = "application/vnd.docker.attestation.manifest.v1+json";

    /// Whether it is the configuration of an image that can run.
    #[must_use]
    pub fn is_image_config(media_type: &str) -> bool {
        matches!(
            media_type,
            "application/vnd.oci.image.config.v1+json"
                | "application/vnd.docker.container.image.v1+json"
        )
    }

    /// Whether it is one of the two kinds of index.
    #[must_use]
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, INDEX | DOCKER_INDEX)
    }

    /// Whether it is one of the two kinds of image manifest.
    #[must_use]
    pub fn is_image(media_type: &str) -> bool {
        matches!(media_type, IMAGE | DOCKER_IMAGE)
    }
}

/// A parsed manifest. What it says is not trusted; its digest was checked by whoever fetched it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made for each manifest that was fetched, never a list of them"
)]
pub enum Manifest {
    /// An image or artifact manifest.
    Image(ImageManifest),
    /// An index.
    Index(Index),
}

/// An image or artifact manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ImageManifest {
    /// Its media type.
    pub media_type: String,
    /// What kind of artifact it says it is.
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, at most [`Limits::layers`].
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
    /// Annotations: unsigned text.
    pub annotations: BTreeMap<String, String>,
}

/// An image index or manifest list.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Index {
    /// Its media type.
    pub media_type: String,
    /// The entries, at most [`Limits::index_entries`] (referrers: [`Limits::referrers`]).
    pub manifests: Vec<Descriptor>,
    /// Annotations: unsigned text.
    pub annotations: BTreeMap<String, String>,
}

/// A reference to content: what it is, its digest and its size in bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type of the content.
    #[serde(default)]
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// A hint at the kind of artifact.
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// Annotations: unsigned text.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What machine it is for.
    #[serde(default)]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// A descriptor with nothing but the three mandatory members.
    #[must_use]
    pub const fn new(media_type: String, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// What machine an image is for.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Platform {
    /// The operating system.
    #[serde(default)]
    pub os: String,
    /// The processor architecture.
    #[serde(default)]
    pub architecture: String,
    /// The variant of the architecture.
    #[serde(default)]
    pub variant: Option<String>,
    /// The version of the operating system, which tells images for Windows apart.
    #[serde(default, rename = "os.version")]
    pub os_version: Option<String>,
}

impl Platform {
    /// Parses `os/architecture` or `os/architecture/variant`, as people write it: letters, digits,
    /// `.`, `_` and `-` (containerd's `platforms` takes the same).
    ///
    /// # Errors
    ///
    /// Gives nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let platform = Self {
            os: parts.next()?.to_owned(),
            architecture: parts.next()?.to_owned(),
            variant: parts.next().map(str::to_owned),
            os_version: None,
        };
        let is_word = |part: &str| {
            let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
            !part.is_empty() && part.bytes().all(known)
        };
        let good = is_word(&platform.os)
            && is_word(&platform.architecture)
            && platform.variant.as_deref().is_none_or(is_word);
        (parts.next().is_none() && good).then_some(platform)
    }

    /// Whether it says `unknown/unknown`, as BuildKit's attestation manifests do.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether this platform is what `asked` asks for. Without a variant, `asked` takes any.
    #[must_use]
    pub fn answers(&self, asked: &Self) -> bool {
        let (own, asked_for) = (self.normal(), asked.normal());
        own.0 == asked_for.0
            && own.1 == asked_for.1
            && (asked.variant.is_none() || own.2 == asked_for.2)
    }

    /// Whether a node that looks for `asked` may take an entry with this platform: it answers, or
    /// leaves out what the node then fills in by itself (containerd takes an entry without `os` for
    /// its own), or has a variant that not everybody reads alike.
    #[must_use]
    pub fn may_answer(&self, asked: &Self) -> bool {
        let (own, asked_for) = (self.normal(), asked.normal());
        let fits = |own: &str, asked: &str| own.is_empty() || own == asked;
        fits(&own.0, &asked_for.0)
            && fits(&own.1, &asked_for.1)
            && (asked.variant.is_none() || own.2 == asked_for.2 || !is_variant(&own.2))
    }

    /// Whether it leaves out what every platform has, which a node may fill in by itself.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.os.is_empty() || self.architecture.is_empty()
    }

    /// What a node compares: operating system, architecture and variant under the names that
    /// containerd gives them (`platforms/database.go`), and the version of the system.
    #[cfg(feature = "net")]
    pub(crate) fn key(&self) -> (String, String, String, Option<&str>) {
        let (os, architecture, variant) = self.normal();
        (os, architecture, variant, self.os_version.as_deref())
    }

    fn normal(&self) -> (String, String, String) {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = self
            .variant
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let numbered = match variant.as_str() {
            "5" | "6" | "7" | "8" | "9" => format!("v{variant}"),
            // Some read the first minor version as the major one, as its authors mean it.
            "8.0" | "v8.0" => "v8".to_owned(),
            "9.0" | "v9.0" => "v9".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = match self.architecture.to_ascii_lowercase().as_str() {
            "i386" => ("386", String::new()),
            "x86_64" | "x86-64" | "amd64" if matches!(variant.as_str(), "" | "v1") => {
                ("amd64", String::new())
            }
            "x86_64" | "x86-64" => ("amd64", variant),
            "aarch64" | "arm64" if matches!(numbered.as_str(), "" | "v8") => {
                ("arm64", String::new())
            }
            "aarch64" => ("arm64", numbered),
            "armhf" => ("arm", "v7".to_owned()),
            "armel" => ("arm", "v6".to_owned()),
            "arm" if numbered.is_empty() => ("arm", "v7".to_owned()),
            other => return (os, other.to_owned(), numbered),
        };
        (os, architecture.to_owned(), variant)
    }
}

/// Whether it is a variant that everybody reads alike: none, or `v` and a number, perhaps with a
/// second one.
fn is_variant(normal: &str) -> bool {
    let is_number = |text: &str| {
        !text.is_empty() && !text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit())
    };
    match normal.strip_prefix('v') {
        None => normal.is_empty(),
        Some(rest) => match rest.split_once('.') {
            None => is_number(rest),
            Some((major, minor)) => is_number(major) && is_number(minor),
        },
    }
}

impl core::fmt::Display for Platform {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl Manifest {
    /// Parses a manifest or index.
    ///
    /// `served_as` is the media type under which it came (the `Content-Type` without parameters, or
    /// the parent descriptor's type) where there is one. An index may hold `max_entries` entries.
    ///
    /// # Errors
    ///
    /// [`ManifestError`]; its variants say which.
    pub fn parse(
        bytes: &[u8],
        served_as: Option<&str>,
        max_entries: usize,
        limits: &Limits,
    ) -> Result<Self, ManifestError> {
        Exceeded::unless(bytes.len(), limits.manifest_bytes, "bytes in a manifest")?;
        let raw: Raw = crate::model::read_json(bytes).map_err(ManifestError::Json)?;
        // Go reads members without regard to case. Only after the parse above, whose errors say more.
        crate::model::json::exact_case(bytes, MEMBERS).map_err(ManifestError::Json)?;
        if raw.schema_version != 2 {
            return Err(ManifestError::Schema);
        }
        raw.within_bounds()?;
        let image_shaped = raw.config.is_some() || raw.layers.is_some();
        let media_type = match (raw.media_type, served_as) {
            (Some(own), Some(served)) if own != served => {
                return Err(ManifestError::TypeMismatch {
                    own: crate::model::printable(&own),
                    served: crate::model::printable(served),
                });
            }
            (Some(own), _) => own,
            (None, Some(served)) => served.to_owned(),
            // OCI 1.0 documents need no `mediaType`; the shape says which of the two it is.
            (None, None) if image_shaped => media_type::IMAGE.to_owned(),
            (None, None) => media_type::INDEX.to_owned(),
        };
        if image_shaped && matches!(raw.manifests, Some(Some(_))) {
            return Err(ManifestError::Ambiguous);
        }
        if media_type::is_index(&media_type) {
            let manifests = raw.manifests.ok_or(ManifestError::Shape)?;
            let manifests = manifests.unwrap_or_default();
            Exceeded::unless(manifests.len(), max_entries, "entries in an index")?;
            if image_shaped {
                return Err(ManifestError::Shape);
            }
            return Ok(Self::Index(Index {
                media_type,
                manifests,
                annotations: raw.annotations,
            }));
        }
        if media_type::is_image(&media_type) {
            let layers = raw.layers.ok_or(ManifestError::Shape)?;
            Exceeded::unless(layers.len(), limits.layers, "layers in a manifest")?;
            return Ok(Self::Image(ImageManifest {
                media_type,
                artifact_type: raw.artifact_type,
                config: raw.config.ok_or(ManifestError::Shape)?,
                layers,
                subject: raw.subject,
                annotations: raw.annotations,
            }));
        }
        Err(ManifestError::UnknownType {
            found: crate::model::printable(&media_type),
        })
    }
}

/// Every member of a manifest, index, descriptor or platform that somebody acts on.
const MEMBERS: &[&str] = &[
    "annotations",
    "architecture",
    "artifactType",
    "config",
    "data",
    "digest",
    "layers",
    "manifests",
    "mediaType",
    "os",
    "os.version",
    "platform",
    "schemaVersion",
    "size",
    "subject",
    "urls",
    "variant",
];

/// The union of both shapes, as it stands in the file. Other members are allowed: the specification
/// asks readers to pass over what they don't know.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    /// Null is a list without entries: what Go writes for one.
    #[serde(default, deserialize_with = "present")]
    manifests: Option<Option<Vec<Descriptor>>>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Tells a member that is null from one that is not there.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl Raw {
    /// Whether what is kept of each entry is as small as such things are.
    fn within_bounds(&self) -> Result<(), Exceeded> {
        let manifests = self.manifests.iter().flatten();
        let listed = manifests.chain(&self.layers).flatten();
        let descriptors = listed.chain(&self.config).chain(&self.subject);
        for descriptor in descriptors {
            let types = [
                Some(&descriptor.media_type),
                descriptor.artifact_type.as_ref(),
            ];
            within(types.into_iter().flatten(), "bytes in a media type")?;
            if let Some(platform) = &descriptor.platform {
                let parts = [Some(&platform.os), Some(&platform.architecture)];
                let more = [platform.variant.as_ref(), platform.os_version.as_ref()];
                within(
                    parts.into_iter().chain(more).flatten(),
                    "bytes in a part of a platform",
                )?;
            }
        }
        let types = [self.media_type.as_ref(), self.artifact_type.as_ref()];
        within(types.into_iter().flatten(), "bytes in a media type")
    }
}

/// Bytes of a media type (RFC 6838, section 4.2: 127 on each side of the slash), and of a part of a
/// platform.
const MAX_NAME: usize = 255;

fn within<'a>(names: impl Iterator<Item = &'a String>, what: &'static str) -> Result<(), Exceeded> {
    for name in names {
        Exceeded::unless(name.len(), MAX_NAME, what)?;
    }
    Ok(())
}

/// Annotations of one thing. Builders write a few dozen; only somebody who wants a reader to work
/// writes more than this.
const MAX_ANNOTATIONS: usize = 4096;

/// Reads annotations, at most [`MAX_ANNOTATIONS`]; null is none.
fn null_is_empty<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Annotations;
    impl<'de> Visitor<'de> for Annotations {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut annotations = BTreeMap::new();
            while let Some((name, text)) = map.next_entry()? {
                if annotations.len() == MAX_ANNOTATIONS {
                    let text = format_args!("more than {MAX_ANNOTATIONS} annotations");
                    return Err(A::Error::custom(text));
                }
                annotations.insert(name, text);
            }
            Ok(annotations)
        }
    }
    deserializer.deserialize_any(Annotations)
}

/// Why bytes are not a manifest that scgate reads. The registry or the publisher can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It has the members of an image and of an index.
    #[error("a document that is both an image manifest and an index")]
    Ambiguous,
    /// A bound was exceeded.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// It is no JSON object of the expected shape.
    #[error("not a manifest: {0}")]
    Json(JsonError),
    /// Schema version 1, or an unknown one.
    #[error("a manifest whose schema version is not 2")]
    Schema,
    /// Members are missing for its media type.
    #[error("a manifest without the members of its media type")]
    Shape,
    /// The document says another type than the one it came under.
    #[error("a manifest of type `{own}` that was served as `{served}`")]
    TypeMismatch {
        /// The `mediaType` inside.
        own: String,
        /// The type it came under.
        served: String,
    },
    /// A media type that is neither image manifest nor index.
    #[error("a manifest of the unknown type `{found}`")]
    UnknownType {
        /// The type found.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(json: &str, served: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::parse(json.as_bytes(), served, 2, &Limits::default())
    }

    #[test]
    fn a_document_is_exactly_one_of_the_two_shapes() {
        let descriptor = format!(r#"{{"mediaType":"x/y","digest":"{D}","size":0}}"#);
        let image = format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[]}}"#);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{descriptor}]}}"#);
        assert!(matches!(parse(&image, None), Ok(Manifest::Image(_))));
        assert!(matches!(parse(&index, None), Ok(Manifest::Index(_))));
        assert!(matches!(
            parse(&index, Some(media_type::DOCKER_INDEX)),
            Ok(Manifest::Index(_))
        ));
        assert_eq!(
            parse(&image, Some(media_type::INDEX)),
            Err(ManifestError::Shape)
        );
        assert_eq!(
            parse(&index, Some(media_type::IMAGE)),
            Err(ManifestError::Shape)
        );
        let both = format!(
            r#"{{"schemaVersion":2,"config":{descriptor},"layers":[],"manifests":[{descriptor}]}}"#
        );
        for served in [None, Some(media_type::IMAGE), Some(media_type::INDEX)] {
            assert_eq!(parse(&both, served), Err(ManifestError::Ambiguous));
        }
        let null = r#"{"schemaVersion":2,"manifests":null}"#;
        let Ok(Manifest::Index(empty)) = parse(null, Some(media_type::INDEX)) else {
            panic!("not an index");
        };
        assert!(empty.manifests.is_empty());
        let none = r#"{"schemaVersion":2}"#;
        assert_eq!(
            parse(none, Some(media_type::INDEX)),
            Err(ManifestError::Shape)
        );
        let typed = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
            media_type::INDEX
        );
        assert!(matches!(
            parse(&typed, Some(media_type::IMAGE)),
            Err(ManifestError::TypeMismatch { .. })
        ));
        assert_eq!(
            parse(r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            Err(ManifestError::Schema)
        );
        let three = format!(
            r#"{{"schemaVersion":2,"manifests":[{descriptor},{descriptor},{descriptor}]}}"#
        );
        assert!(matches!(
            parse(&three, None),
            Err(ManifestError::Exceeded(_))
        ));
        for size in ["-1", "1.5", "\"1\"", "18446744073709551616"] {
            let bad = image.replace("\"size\":0", &format!("\"size\":{size}"));
            assert!(
                matches!(parse(&bad, None), Err(ManifestError::Json(_))),
                "{size}"
            );
        }
    }

    #[test]
    fn what_is_kept_of_an_entry_is_small() {
        let index = |entry: String| {
            let json = format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
            parse(&json, Some(media_type::INDEX))
        };
        let entry = |media_type: &str, os: &str| {
            let os = format!(r#"{{"os":"{os}","architecture":"amd64"}}"#);
            format!(r#"{{"mediaType":"{media_type}","digest":"{D}","size":0,"platform":{os}}}"#)
        };
        let annotated = |count: usize| {
            let all: Vec<_> = (0..count).map(|n| format!(r#""{n}":"""#)).collect();
            let all = all.join(",");
            format!(r#"{{"digest":"{D}","size":0,"annotations":{{{all}}}}}"#)
        };
        let long = "x".repeat(256);
        let fits = "x".repeat(255);
        for good in [
            entry(&fits, &fits),
            annotated(MAX_ANNOTATIONS),
            format!(r#"{{"digest":"{D}","size":0,"annotations":null}}"#),
        ] {
            assert!(index(good).is_ok());
        }
        for bad in [entry(&long, "linux"), entry("a/b", &long)] {
            assert!(matches!(index(bad), Err(ManifestError::Exceeded(_))));
        }
        let many = index(annotated(MAX_ANNOTATIONS + 1));
        assert!(matches!(many, Err(ManifestError::Json(_))));
    }

    #[test]
    fn platforms_are_parsed_whole() {
        let arm = Platform::parse("linux/arm64/v8").unwrap_or_default();
        assert!(arm.answers(&Platform::parse("linux/arm64").unwrap_or_default()));
        for (own, asked, expected) in [
            ("linux/aarch64", "linux/arm64", true),
            ("Linux/ARM64", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64/8", true),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/armel", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("windows/arm64", "linux/arm64", false),
        ] {
            let parse = |text| Platform::parse(text).unwrap_or_default();
            assert_eq!(parse(own).answers(&parse(asked)), expected, "{own} {asked}");
        }
        assert!(!arm.answers(&Platform::parse("linux/arm64/v7").unwrap_or_default()));
        let asked = Platform::parse("linux/arm64/v8").unwrap_or_default();
        for (os, architecture, variant, answers, may_answer) in [
            ("linux", "arm64", "v8", true, true),
            ("linux", "arm64", "", true, true),
            ("linux", "arm64", "V8.0", true, true),
            ("linux", "arm64", "8.0", true, true),
            ("linux", "arm64", "v9", false, false),
            ("linux", "arm64", "v8.1", false, false),
            ("linux", "arm64", "v08", false, true),
            ("linux", "arm64", "v8.", false, true),
            ("linux", "arm64", "eight", false, true),
            ("", "arm64", "v8", false, true),
            ("linux", "", "", false, true),
            ("", "", "", false, true),
            ("", "amd64", "", false, false),
            ("windows", "", "", false, false),
            ("linux", "amd64", "x", false, false),
        ] {
            let own = Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: Some(variant.to_owned()),
                os_version: None,
            };
            let found = (own.answers(&asked), own.may_answer(&asked));
            assert_eq!(found, (answers, may_answer), "{own}");
        }
        for bad in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "linux/arm/",
        ] {
            assert_eq!(Platform::parse(bad), None, "{bad}");
        }
    }
}
