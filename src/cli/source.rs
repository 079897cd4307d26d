//! Which images, where they and their evidence lie, and how far to look.

use std::env;
use std::path::PathBuf;

use crate::admit::Scope;
use crate::admit::Thoroughness;
use crate::cli::UsageError;
use crate::cli::digest;
use crate::cli::registry::RegistryFlags;
use crate::cli::say;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Platform;
use crate::model::Reference;
use crate::model::Repository;
use crate::policy::Covers;
use crate::registry::Layout;
use crate::registry::Search;
use crate::registry::Source;

/// Where cosign looks for a signature repository, too. The one variable that names where evidence
/// lies; it can hide evidence, and never add trust.
const COSIGN_REPOSITORY: &str = "COSIGN_REPOSITORY";
/// What may stand before `sha256-<64 digits>.sig` in a tag of at most 128 characters.
const MAX_TAG_PREFIX: usize = 128 - 75;

/// Which images, and where they and their evidence lie.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceFlags {
    /// Images: `NAME@DIGEST` or `NAME:TAG`; with `--layout` also a digest or a tag alone.
    #[arg(value_name = "REF|DIGEST", required_unless_present = "layout")]
    references: Vec<String>,

    /// An OCI layout, a directory or a tar archive, instead of a registry. Without a reference, the
    /// only image in it.
    #[arg(long, value_name = "PATH", help_heading = "Images")]
    pub(super) layout: Option<PathBuf>,

    /// A repository that evidence lies in instead of the image's own. May be repeated.
    #[arg(long, value_name = "REPOSITORY", help_heading = "Evidence")]
    signature_repository: Vec<String>,

    /// What stands before `sha256-` in the tags of signatures and attestations.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    #[arg(help_heading = "Evidence")]
    attachment_tag_prefix: String,

    #[command(flatten)]
    pub(super) registry: RegistryFlags,
}

/// Which images, and what in them.
#[derive(Debug, clap::Args)]
pub(super) struct ImageFlags {
    #[command(flatten)]
    pub(super) place: PlaceFlags,

    /// Platforms that the image must have, as OS/ARCH[/VARIANT]; others are then not asked about.
    #[arg(long, value_name = "PLATFORM", help_heading = "Images")]
    platform: Vec<String>,

    /// Which manifests of an index must be signed, each by itself [default: index].
    #[arg(long, value_name = "WHICH", value_enum, help_heading = "Images")]
    covers: Option<Which>,

    /// The index and every image in it: `--covers index-and-platforms`.
    #[arg(long, short, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true, help_heading = "Images")]
    recursive: bool,

    /// An index by digest: an image that it lists is covered by its signature.
    #[arg(long, value_name = "INDEX", help_heading = "Images")]
    parent: Option<String>,

    /// Read and verify all evidence, also what is not needed any more.
    #[arg(long, help_heading = "Evidence")]
    all_evidence: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Which {
    Index,
    Platforms,
    IndexAndPlatforms,
}

/// What is asked about, and where.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) source: Source,
    pub(super) references: Vec<Reference>,
    pub(super) parent: Option<Digest>,
    pub(super) scope: Scope,
}

impl ImageFlags {
    /// Which manifests of an index must be covered.
    pub(super) fn covers(&self) -> Result<Covers, UsageError> {
        let which = match (self.covers, self.recursive) {
            (None | Some(Which::IndexAndPlatforms), true) => Which::IndexAndPlatforms,
            (Some(_), true) => {
                return Err(UsageError::Exclusive {
                    one: "--recursive".to_owned(),
                    other: "--covers".to_owned(),
                });
            }
            (which, false) => which.unwrap_or(Which::Index),
        };
        let covers = match which {
            Which::Index => Covers::Index,
            Which::Platforms => Covers::Platforms,
            Which::IndexAndPlatforms => Covers::IndexAndPlatforms,
        };
        if self.parent.is_some() && covers != Covers::Index {
            return Err(UsageError::Exclusive {
                one: "--parent".to_owned(),
                other: if self.recursive {
                    "--recursive"
                } else {
                    "--covers"
                }
                .to_owned(),
            });
        }
        Ok(covers)
    }

    /// The platforms that the image must have.
    pub(super) fn platforms(&self) -> Result<Vec<Platform>, UsageError> {
        let parse = |text: &String| {
            Platform::parse(text).ok_or_else(|| UsageError::Value {
                flag: "--platform",
                value: crate::model::printable(text),
                expected: "a platform is `OS/ARCH` or `OS/ARCH/VARIANT`, such as `linux/arm64` \
                           (repeat the flag for several)",
            })
        };
        self.platform.iter().map(parse).collect()
    }

    /// Parses the references and opens the source. `least` is how far to look without a flag.
    pub(super) fn question(
        &self,
        least: Thoroughness,
        limits: &Limits,
    ) -> Result<Question, UsageError> {
        let references = self.place.references()?;
        let parent = self.parent_of(&references)?;
        let thoroughness = if self.all_evidence {
            Thoroughness::Everything
        } else {
            least
        };
        let question = self.place.question(references, thoroughness, limits)?;
        Ok(Question { parent, ..question })
    }

    /// The digest of the index that is named as parent. A name before it must be the image's.
    fn parent_of(&self, references: &[Reference]) -> Result<Option<Digest>, UsageError> {
        let Some(text) = &self.parent else {
            return Ok(None);
        };
        let wrong = |expected| UsageError::Value {
            flag: "--parent",
            value: crate::model::printable(text),
            expected,
        };
        let itself = |digest| {
            let is_parent = |reference: &Reference| reference.digest() == Some(digest);
            if references.iter().any(is_parent) {
                return Err(wrong(
                    "an image is not its own parent (name the index that lists it, or leave the \
                     flag away)",
                ));
            }
            Ok(Some(digest))
        };
        if let Some(digest) = digest::parse(text) {
            return itself(digest?);
        }
        let named = Reference::parse(text).map_err(|source| UsageError::Reference {
            text: crate::model::printable(text),
            source,
        })?;
        let Some(digest) = named.digest() else {
            return Err(wrong(
                "an index is named by its digest (write `NAME@sha256:…`)",
            ));
        };
        let elsewhere = |reference: &Reference| {
            *reference.repository() != Repository::unnamed_layout()
                && reference.repository() != named.repository()
        };
        if references.iter().any(elsewhere) {
            return Err(wrong(
                "the index lies in another repository than the image (name the index of the image's \
                 own repository)",
            ));
        }
        itself(digest)
    }
}

impl PlaceFlags {
    /// The references, parsed.
    pub(super) fn references(&self) -> Result<Vec<Reference>, UsageError> {
        let parse = |text: &String| self.reference(text);
        self.references.iter().map(parse).collect()
    }

    /// Opens the source in which the references are asked about.
    pub(super) fn question(
        &self,
        references: Vec<Reference>,
        thoroughness: Thoroughness,
        limits: &Limits,
    ) -> Result<Question, UsageError> {
        let scope = self.scope(thoroughness)?;
        let (source, references) = match &self.layout {
            Some(path) => {
                self.registry.refuse_beside_layout()?;
                let wrong = |source| UsageError::Layout { source };
                if path.as_os_str() == "-" {
                    return Err(UsageError::Stdin { flag: "--layout" });
                }
                let layout = Layout::open(path, limits).map_err(wrong)?;
                let references = if references.is_empty() {
                    vec![Reference::in_layout(None, None)]
                } else {
                    references
                };
                // Whoever names no image means the only one there is.
                if references
                    .iter()
                    .any(|reference| reference.tag().is_none() && reference.digest().is_none())
                {
                    layout.only_image().map_err(wrong)?;
                }
                (Source::Layout(layout), references)
            }
            None => {
                // Not those of `COSIGN_REPOSITORY`: a variable must not send a password elsewhere.
                let named = self.named_repositories()?;
                let images = references.iter().map(Reference::repository);
                let hosts = images
                    .chain(&named)
                    .map(|repository| repository.host().to_owned())
                    .collect();
                let remote = self.registry.remote(hosts, limits)?;
                (Source::Remote(remote), references)
            }
        };
        Ok(Question {
            source,
            references,
            parent: None,
            scope,
        })
    }

    fn reference(&self, text: &str) -> Result<Reference, UsageError> {
        let wrong = |source| UsageError::Reference {
            text: crate::model::printable(text),
            source,
        };
        match (&self.layout, digest::parse(text).transpose()?) {
            (Some(_), Some(digest)) => Ok(Reference::in_layout(None, Some(digest))),
            (None, Some(_)) => Err(UsageError::BareDigest {
                text: crate::model::printable(text),
            }),
            (Some(_), None) if !text.contains(['/', ':', '@']) => {
                let tagged = Reference::parse(&format!("layout/image:{text}")).map_err(wrong)?;
                Ok(Reference::in_layout(tagged.tag().map(str::to_owned), None))
            }
            (_, None) => Reference::parse(text).map_err(wrong),
        }
    }

    fn scope(&self, thoroughness: Thoroughness) -> Result<Scope, UsageError> {
        let mut search = Search::default();
        let prefix = &self.attachment_tag_prefix;
        if !prefix.is_empty() {
            let good = Reference::parse(&format!("a/b:{prefix}sha256")).is_ok();
            if !good || prefix.len() > MAX_TAG_PREFIX {
                return Err(UsageError::Value {
                    flag: "--attachment-tag-prefix",
                    value: crate::model::printable(prefix),
                    expected: "no tag can begin with it (letters, digits, `_`, `.`, `-`, at most \
                               53)",
                });
            }
            search.tag_prefix.clone_from(prefix);
        }
        Ok(Scope {
            thoroughness,
            signature_repositories: self.signature_repositories()?,
            search,
        })
    }

    /// The repositories for signatures that flags name.
    fn named_repositories(&self) -> Result<Vec<Repository>, UsageError> {
        let parse = |text: &String| {
            Repository::parse(text).map_err(|source| UsageError::Reference {
                text: crate::model::printable(text),
                source,
            })
        };
        self.signature_repository.iter().map(parse).collect()
    }

    fn signature_repositories(&self) -> Result<Vec<Repository>, UsageError> {
        if self.layout.is_some() {
            if self.signature_repository.is_empty() {
                return Ok(Vec::new());
            }
            return Err(UsageError::Exclusive {
                one: "--signature-repository".to_owned(),
                other: "--layout".to_owned(),
            });
        }
        let named = self.named_repositories()?;
        if !named.is_empty() {
            return Ok(named);
        }
        match env::var_os(COSIGN_REPOSITORY) {
            Some(value) if !value.is_empty() => {
                let text = value.to_string_lossy();
                let repository =
                    Repository::parse(&text).map_err(|source| UsageError::Reference {
                        text: crate::model::printable(&text),
                        source,
                    })?;
                say(
                    "note",
                    &format!("evidence is read from {repository}, as {COSIGN_REPOSITORY} says"),
                );
                Ok(vec![repository])
            }
            _ => Ok(Vec::new()),
        }
    }
}
