//! What a predicate of each type must have. The members that its specification requires are looked at,
//! not what is in them: that is for whoever reads it.

use crate::model::Timestamp;
use crate::sign::predicate::PredicateType;
use crate::sign::predicate::outline::Outline;

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken {
    pub(super) member: &'static str,
    pub(super) rule: &'static str,
}

/// What a member must be.
#[derive(Clone, Copy)]
enum Shape {
    List,
    Object,
    Text,
    Time,
}

/// What helps whoever has something else.
pub(super) const fn remedy(kind: &PredicateType) -> &'static str {
    match kind {
        PredicateType::Custom => "give any text",
        PredicateType::Cyclonedx => {
            "give a CycloneDX document in JSON, as `syft -o cyclonedx-json` or `trivy image --format \
             cyclonedx` writes it"
        }
        PredicateType::Link => "give an in-toto link without its signatures",
        PredicateType::Openvex => "give an OpenVEX document, as `vexctl` writes it",
        PredicateType::SlsaProvenance02 => "give SLSA provenance 0.2 without a statement around it",
        PredicateType::SlsaProvenance1 => "give SLSA provenance 1 without a statement around it",
        PredicateType::Spdx => "give an SPDX document as `syft -o spdx-tag-value` writes it",
        PredicateType::SpdxJson => {
            "give an SPDX document in JSON, as `syft -o spdx-json` or `trivy image --format \
             spdx-json` writes it"
        }
        PredicateType::Uri(_) => "give a JSON object",
        PredicateType::Vsa => "give an SLSA verification summary without a statement around it",
        PredicateType::Vuln => "write it with `trivy image --format cosign-vuln`",
    }
}

/// Holds a JSON predicate to the rules of its type.
pub(super) fn hold(kind: &PredicateType, document: &Outline<'_>) -> Result<(), Broken> {
    if !matches!(document, Outline::Object(_)) {
        return broken("the document", "is no JSON object");
    }
    match kind {
        PredicateType::Custom | PredicateType::Spdx | PredicateType::Uri(_) => Ok(()),
        PredicateType::Cyclonedx => cyclonedx(document),
        PredicateType::Link => link(document),
        PredicateType::Openvex => openvex(document),
        PredicateType::SlsaProvenance02 => all(
            document,
            &[("builder.id", Shape::Text), ("buildType", Shape::Text)],
        ),
        PredicateType::SlsaProvenance1 => all(
            document,
            &[
                ("buildDefinition.buildType", Shape::Text),
                ("buildDefinition.externalParameters", Shape::Object),
                ("runDetails.builder.id", Shape::Text),
            ],
        ),
        PredicateType::SpdxJson => spdx(document),
        PredicateType::Vsa => summary(document),
        PredicateType::Vuln => vuln(document),
    }
}

/// CycloneDX 1.2 to 1.7.
fn cyclonedx(document: &Outline<'_>) -> Result<(), Broken> {
    if text(document, "bomFormat")? != "CycloneDX" {
        return broken("bomFormat", "is not `CycloneDX`");
    }
    text(document, "specVersion").map(drop)
}

/// in-toto's link, which the first step of a statement's `_type` may still name.
fn link(document: &Outline<'_>) -> Result<(), Broken> {
    if let Some(kind) = document.get("_type")
        && !matches!(kind, Outline::Text(text) if text == "link")
    {
        return broken("_type", "is not `link`");
    }
    text(document, "name")?;
    match member(document, "materials")? {
        Outline::Object(_) | Outline::List => Ok(()),
        _ => broken("materials", "is neither an object nor a list"),
    }
}

/// OpenVEX 0.0.1 and 0.2.0.
fn openvex(document: &Outline<'_>) -> Result<(), Broken> {
    if !text(document, "@context")?.starts_with("https://openvex.dev/ns") {
        return broken("@context", "does not begin with `https://openvex.dev/ns`");
    }
    all(
        document,
        &[
            ("author", Shape::Text),
            ("timestamp", Shape::Time),
            ("statements", Shape::List),
        ],
    )
}

/// SPDX 2 as a document, SPDX 3 as a graph.
fn spdx(document: &Outline<'_>) -> Result<(), Broken> {
    if document.has("@graph") && !document.has("spdxVersion") {
        if !text(document, "@context")?.starts_with("https://spdx.org/rdf/3.") {
            return broken("@context", "does not begin with `https://spdx.org/rdf/3.`");
        }
        return all(document, &[("@graph", Shape::List)]);
    }
    if !text(document, "spdxVersion")?.starts_with("SPDX-2.") {
        return broken("spdxVersion", "does not begin with `SPDX-2.`");
    }
    all(
        document,
        &[
            ("SPDXID", Shape::Text),
            ("name", Shape::Text),
            ("dataLicense", Shape::Text),
            ("documentNamespace", Shape::Text),
            ("creationInfo", Shape::Object),
        ],
    )
}

/// The tag-value form of SPDX 2 (SPDX 2.3, clause 6): the version comes first.
pub(super) fn tag_value(document: &str) -> Result<(), Broken> {
    const TAGS: &[&str] = &[
        "DataLicense",
        "SPDXID",
        "DocumentName",
        "DocumentNamespace",
        "Creator",
        "Created",
    ];
    let mut seen = [false; TAGS.len()];
    for line in document.lines() {
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        if tag == "SPDXVersion" && !value.trim_start().starts_with("SPDX-2.") {
            return broken("SPDXVersion", "does not begin with `SPDX-2.`");
        }
        let at = TAGS.iter().position(|known| *known == tag);
        if let Some(seen) = at.and_then(|at| seen.get_mut(at)) {
            *seen = !value.trim().is_empty();
        }
    }
    match TAGS.iter().zip(seen).find(|(_, seen)| !seen) {
        Some((tag, _)) => broken(tag, "is missing"),
        None => Ok(()),
    }
}

/// SLSA's verification summary 1.
fn summary(document: &Outline<'_>) -> Result<(), Broken> {
    all(
        document,
        &[
            ("verifier.id", Shape::Text),
            ("timeVerified", Shape::Time),
            ("resourceUri", Shape::Text),
            ("policy", Shape::Object),
            ("verifiedLevels", Shape::List),
        ],
    )?;
    match text(document, "verificationResult")? {
        "PASSED" | "FAILED" => Ok(()),
        _ => broken("verificationResult", "is neither `PASSED` nor `FAILED`"),
    }
}

/// cosign's wrapping of a scanner's report. Its own reader makes an empty report of anything else.
fn vuln(document: &Outline<'_>) -> Result<(), Broken> {
    text(document, "scanner.uri")?;
    match member(document, "scanner.result")? {
        Outline::Object(_) | Outline::Deep => {}
        Outline::Null => return broken("scanner.result", "is null, as if nothing was scanned"),
        _ => return broken("scanner.result", "is no report"),
    }
    let started = time(document, "metadata.scanStartedOn")?;
    let finished = time(document, "metadata.scanFinishedOn")?;
    if finished < started {
        return broken("metadata.scanFinishedOn", "is before `scanStartedOn`");
    }
    Ok(())
}

fn all(document: &Outline<'_>, members: &[(&'static str, Shape)]) -> Result<(), Broken> {
    for (path, shape) in members {
        let found = member(document, path)?;
        let rule = match (shape, found) {
            (Shape::List, Outline::List)
            | (Shape::Object, Outline::Object(_) | Outline::Deep)
            | (Shape::Text, Outline::Text(_)) => continue,
            (Shape::Time, _) => {
                time(document, path)?;
                continue;
            }
            (Shape::List, _) => "is no list",
            (Shape::Object, _) => "is no object",
            (Shape::Text, _) => "is no text",
        };
        return broken(path, rule);
    }
    Ok(())
}

/// The member at a path of names with full stops between them.
fn member<'o, 'a>(
    document: &'o Outline<'a>,
    path: &'static str,
) -> Result<&'o Outline<'a>, Broken> {
    let mut at = document;
    for name in path.split('.') {
        if at.near(name).is_some() {
            return broken(path, "is written in another case");
        }
        let Some(below) = at.get(name) else {
            return broken(path, "is missing");
        };
        at = below;
    }
    Ok(at)
}

fn text<'o>(document: &'o Outline<'_>, path: &'static str) -> Result<&'o str, Broken> {
    match member(document, path)? {
        Outline::Text(text) => Ok(text),
        _ => broken(path, "is no text"),
    }
}

/// A point in time, and not Go's zero time, which stands where nothing was set.
fn time(document: &Outline<'_>, path: &'static str) -> Result<Timestamp, Broken> {
    let text = text(document, path)?;
    match Timestamp::parse(text) {
        Ok(_) if text.starts_with("0001-01-01T") => broken(path, "is not set"),
        Ok(time) => Ok(time),
        Err(_) => broken(path, "is no point in time (RFC 3339)"),
    }
}

const fn broken<T>(member: &'static str, rule: &'static str) -> Result<T, Broken> {
    Err(Broken { member, rule })
}
