//! Predicates: what an attestation says, held to the type that it is given as.
//!
//! Whoever signs a file under the wrong type signs a statement that says nothing, and notices when
//! a gate refuses it. So a file is refused here unless it is what its type means, with the name of
//! what it is instead. What is accepted goes into the statement byte for byte. Start with
//! [`Predicate::parse`]; `rules.rs` has what each type must have and `shape.rs` the walk that finds it,
//! `looks.rs` what else a file may be.

mod looks;
mod outline;
mod rules;
mod shape;

use core::fmt;
use std::collections::BTreeMap;

use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::model::printable;
use crate::sign::predicate::looks::Looks;
use crate::sign::predicate::outline::Outline;
use crate::verify::SIGN_PREDICATE;

/// What every statement begins with (`cosign attest` writes this version, also in bundles).
const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
/// Room for what stands around a predicate in a bundle: subjects, signature, certificate, log entry
/// and timestamp. A bundle with all of them has about 10 KiB.
const AROUND: usize = 64 * 1024;
/// Levels of objects and lists that `serde_json` reads, and with it every gate of scgate's.
const LEVELS: usize = 127;
/// Levels of a statement around its predicate.
const STATEMENT_LEVELS: usize = 1;
/// Characters of a predicate type that is a URI.
const MAX_URI: usize = 2048;

/// A type of predicate, as `--type` names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PredicateType {
    /// Any text, wrapped with the time.
    Custom,
    /// A CycloneDX document in JSON.
    Cyclonedx,
    /// An in-toto link.
    Link,
    /// An OpenVEX document.
    Openvex,
    /// SLSA provenance 0.2.
    SlsaProvenance02,
    /// SLSA provenance 1.
    SlsaProvenance1,
    /// An SPDX document in its tag-value form, as one text. cosign 2 signs and reads such a statement
    /// in the legacy layout; cosign 3 does neither in any.
    Spdx,
    /// An SPDX document in JSON.
    SpdxJson,
    /// A type of its own, by an absolute URI.
    Uri(String),
    /// An SLSA verification summary.
    Vsa,
    /// A scanner's report in cosign's wrapping.
    Vuln,
}

/// The types that have short names, in the order of the names.
const KNOWN: &[PredicateType] = &[
    PredicateType::Custom,
    PredicateType::Cyclonedx,
    PredicateType::Link,
    PredicateType::Openvex,
    PredicateType::SlsaProvenance02,
    PredicateType::SlsaProvenance1,
    // Of two types with one URI the first is meant by it: JSON is what is written today.
    PredicateType::SpdxJson,
    PredicateType::Spdx,
    PredicateType::Vsa,
    PredicateType::Vuln,
];

impl PredicateType {
    /// Reads a short name of `cosign attest --type`, `vsa`, or an absolute URI. A URI that belongs to
    /// a short name is that type.
    ///
    /// # Errors
    ///
    /// [`PredicateError::UnknownType`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PredicateError> {
        if text == "slsaprovenance" {
            return Ok(Self::SlsaProvenance02);
        }
        let known = |kind: &&Self| kind.name() == text || kind.uri() == text;
        if let Some(kind) = KNOWN.iter().find(known) {
            return Ok(kind.clone());
        }
        if is_absolute(text) {
            return Ok(Self::Uri(text.to_owned()));
        }
        Err(PredicateError::UnknownType {
            text: printable(text),
        })
    }

    /// The predicate type of statements.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Custom => "https://cosign.sigstore.dev/attestation/v1",
            Self::Cyclonedx => "https://cyclonedx.org/bom",
            Self::Link => "https://in-toto.io/Link/v1",
            Self::Openvex => "https://openvex.dev/ns",
            Self::SlsaProvenance02 => "https://slsa.dev/provenance/v0.2",
            Self::SlsaProvenance1 => "https://slsa.dev/provenance/v1",
            Self::Spdx | Self::SpdxJson => "https://spdx.dev/Document",
            Self::Uri(uri) => uri,
            Self::Vsa => "https://slsa.dev/verification_summary/v1",
            Self::Vuln => "https://cosign.sigstore.dev/attestation/vuln/v1",
        }
    }

    /// The short name; of a type without one, its URI.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Custom => "custom",
            Self::Cyclonedx => "cyclonedx",
            Self::Link => "link",
            Self::Openvex => "openvex",
            Self::SlsaProvenance02 => "slsaprovenance02",
            Self::SlsaProvenance1 => "slsaprovenance1",
            Self::Spdx => "spdx",
            Self::SpdxJson => "spdxjson",
            Self::Uri(uri) => uri,
            Self::Vsa => "vsa",
            Self::Vuln => "vuln",
        }
    }

    /// The type whose rules count. Producers append a version to some of the URIs
    /// (`https://openvex.dev/ns/v0.2.0`): the statement says it, and the rules are the same.
    fn ruling(&self) -> &Self {
        let Self::Uri(uri) = self else {
            return self;
        };
        let rules = |kind: &&Self| match uri.strip_prefix(kind.uri()) {
            Some("") => true,
            Some(rest) => {
                matches!(kind, Self::Cyclonedx | Self::Openvex | Self::SpdxJson)
                    && rest.strip_prefix("/v").is_some_and(|version| {
                        version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                    })
            }
            None => false,
        };
        KNOWN.iter().find(rules).unwrap_or(self)
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.name()))
    }
}

/// Whether a text is an absolute URI: a scheme, a colon, and characters that RFC 3986 (section 2)
/// allows.
fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && rest.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && rest.bytes().all(allowed)
        && text.len() <= MAX_URI
}

/// A predicate that is what its type says: JSON that goes into a statement as it is.
#[derive(Clone, Eq, PartialEq)]
pub struct Predicate {
    kind: PredicateType,
    json: Vec<u8>,
}

impl Predicate {
    /// Takes a file as a predicate of a type. `now` is the time that a `custom` one is wrapped with.
    ///
    /// # Errors
    ///
    /// [`PredicateError`] when the file is not what the type means, or not strict JSON. Whoever wrote
    /// the file, or named the type, can mend it.
    pub fn parse(
        kind: PredicateType,
        file: Vec<u8>,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Self, PredicateError> {
        // A third more in base64, and what is too large to be read back is not worth signing.
        let most = (limits.attestation_bytes / 4 * 3).saturating_sub(AROUND);
        let fits = |length| Exceeded::unless(length, most, "bytes in a predicate");
        fits(file.len())?;
        let named = || kind.to_string();
        if file.trim_ascii().is_empty() {
            return Err(PredicateError::Empty { kind: named() });
        }
        if kind.uri() == SIGN_PREDICATE {
            return Err(PredicateError::Signature);
        }
        let Ok(text) = core::str::from_utf8(&file) else {
            return Err(match Looks::of_bytes(&file) {
                Some(looks) => PredicateError::other(&kind, looks),
                None => PredicateError::Encoding { kind: named() },
            });
        };
        let json = match kind.ruling() {
            PredicateType::Custom => wrapped(text, now),
            PredicateType::Spdx => {
                let looks = Looks::of_text(text).or_else(|| {
                    let outline = crate::model::read_json::<Outline<'_>>(&file).ok()?;
                    Looks::of(&outline)
                });
                if looks != Some(Looks::SpdxTagValue) {
                    return Err(PredicateError::other(&kind, looks.unwrap_or(Looks::Text)));
                }
                rules::tag_value(text).map_err(|broken| PredicateError::member(&kind, broken))?;
                let mut json = Vec::with_capacity(text.len() + text.len() / 16 + 2);
                push_text(&mut json, text);
                json
            }
            ruling => {
                held(&kind, ruling, text)?;
                file
            }
        };
        fits(json.len())?;
        Ok(Self { kind, json })
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> &PredicateType {
        &self.kind
    }

    /// The JSON that stands in a statement.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The in-toto statement that says this about the subjects, each with its name where it has one.
    /// The annotations stand at every subject.
    #[must_use]
    pub fn statement(
        &self,
        subjects: &[(Option<&str>, Digest)],
        annotations: &BTreeMap<String, String>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.json.len() + 1024);
        out.extend_from_slice(b"{\"_type\":");
        push_text(&mut out, STATEMENT);
        out.extend_from_slice(b",\"predicateType\":");
        push_text(&mut out, self.kind.uri());
        out.extend_from_slice(b",\"subject\":[");
        for (at, (name, digest)) in subjects.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            if let Some(name) = name {
                out.extend_from_slice(b"\"name\":");
                push_text(&mut out, name);
                out.push(b',');
            }
            out.extend_from_slice(b"\"digest\":");
            push_texts(
                &mut out,
                [(digest.algorithm().name(), digest.hex().as_str())],
            );
            if !annotations.is_empty() {
                out.extend_from_slice(b",\"annotations\":");
                let texts = annotations.iter();
                push_texts(
                    &mut out,
                    texts.map(|(name, value)| (name.as_str(), value.as_str())),
                );
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"predicate\":");
        out.extend_from_slice(&self.json);
        out.push(b'}');
        out
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predicate")
            .field("kind", &self.kind)
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// Reads a JSON predicate once, and holds it to the rules of its type.
fn held(kind: &PredicateType, ruling: &PredicateType, text: &str) -> Result<(), PredicateError> {
    if let Some(looks) = Looks::of_text(text) {
        return Err(PredicateError::other(kind, looks));
    }
    let levels = levels(text.as_bytes()) + STATEMENT_LEVELS;
    Exceeded::unless(levels, LEVELS, "levels, with its statement")?;
    let outline: Outline<'_> =
        crate::model::read_json(text.as_bytes()).map_err(|source| PredicateError::Json {
            kind: kind.to_string(),
            source,
        })?;
    let looks = Looks::of(&outline);
    // Whatever it holds beside, a whole statement is none of its own parts.
    if let Some(looks) = looks.filter(Looks::is_around_a_predicate) {
        return Err(PredicateError::other(kind, looks));
    }
    rules::hold(ruling, &outline, text).map_err(|broken| match looks {
        Some(looks) if looks.type_name() != Some(ruling.name()) => {
            PredicateError::other(kind, looks)
        }
        _ => PredicateError::member(kind, broken),
    })
}

/// How many objects and lists are inside each other in a text that is JSON.
fn levels(json: &[u8]) -> usize {
    let (mut levels, mut most) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                levels += 1;
                most = most.max(levels);
            }
            b'}' | b']' => levels = levels.saturating_sub(1),
            // To the end of the text.
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    most
}

/// What cosign makes of a `custom` predicate: the file as a text, and the time.
fn wrapped(text: &str, now: Timestamp) -> Vec<u8> {
    // cosign writes whole seconds.
    let now = Timestamp::from_unix_seconds(now.unix_seconds()).unwrap_or(now);
    let mut json = Vec::with_capacity(text.len() + text.len() / 16 + 64);
    push_texts(&mut json, [("Data", text), ("Timestamp", &now.to_string())]);
    json
}

fn push_texts<'t>(out: &mut Vec<u8>, texts: impl IntoIterator<Item = (&'t str, &'t str)>) {
    out.push(b'{');
    for (at, (name, value)) in texts.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_text(out, value);
    }
    out.push(b'}');
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Text always serializes, and a `Vec` takes everything.
    drop(serde_json::to_writer(out, text));
}

/// Why a file is no predicate of its type. Whoever wrote the file or named the type can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredicateError {
    /// The file holds nothing.
    #[error("an empty file is no predicate of type `{kind}` (write the file first)")]
    Empty {
        /// The type.
        kind: String,
    },
    /// The file is not text.
    #[error("a file that is not UTF-8 is no predicate of type `{kind}` (write it as UTF-8)")]
    Encoding {
        /// The type.
        kind: String,
    },
    /// The file is larger than what a gate reads.
    #[error("the predicate has {0} (attest a smaller document, or one that names it by digest)")]
    Exceeded(#[from] Exceeded),
    /// The file is not one strict JSON document.
    #[error(
        "the file is no strict JSON, as a predicate of type `{kind}` is: {source} (write the file \
         again: it may have been cut, or put together from two)"
    )]
    Json {
        /// The type.
        kind: String,
        /// What is wrong.
        source: JsonError,
    },
    /// A member is missing, or is not what the type demands.
    #[error("no predicate of type `{kind}`: `{member}` {rule} ({remedy})")]
    Member {
        /// The type.
        kind: String,
        /// The member, by its path.
        member: String,
        /// What is wrong with it.
        rule: String,
        /// What helps.
        remedy: &'static str,
    },
    /// The file is something else.
    #[error("{found} is no predicate of type `{kind}` ({remedy})")]
    Other {
        /// The type.
        kind: String,
        /// What it is.
        found: &'static str,
        /// What helps.
        remedy: String,
    },
    /// The type is that of a signature.
    #[error(
        "`{SIGN_PREDICATE}` is the type of a signature over an image, not of an attestation \
         (sign the image)"
    )]
    Signature,
    /// The text names no type.
    #[error(
        "`{text}` is no predicate type (it is an absolute URI or one of {})",
        names()
    )]
    UnknownType {
        /// The text.
        text: String,
    },
}

impl PredicateError {
    /// The reason, as everywhere in scgate.
    #[must_use]
    pub const fn code(&self) -> DenyCode {
        DenyCode::PredicateMalformed
    }

    fn other(kind: &PredicateType, looks: Looks) -> Self {
        Self::Other {
            kind: kind.to_string(),
            found: looks.words(),
            remedy: looks.remedy(rules::remedy(kind.ruling())),
        }
    }

    fn member(kind: &PredicateType, broken: shape::Broken) -> Self {
        Self::Member {
            kind: kind.to_string(),
            member: broken.member,
            rule: broken.rule,
            remedy: rules::remedy(kind.ruling()),
        }
    }
}

/// The short names, with the older one of SLSA 0.2.
fn names() -> String {
    let mut names: Vec<_> = KNOWN.iter().map(PredicateType::name).collect();
    names.push("slsaprovenance");
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests;
