//! What a predicate of each type must have: the members that its specification requires, and the
//! kind of each that cosign's own types declare (cosign 3.1.3, in-toto-golang 0.11, in-toto's
//! protobuf 1.2). What is in a member is for whoever reads it, unless it says nothing at all.

use crate::model::Timestamp;
use crate::sign::predicate::PredicateType;
use crate::sign::predicate::looks::Looks;
use crate::sign::predicate::outline::Outline;
use crate::sign::predicate::shape::Broken;
use crate::sign::predicate::shape::Shape;
use crate::sign::predicate::shape::Shaped;
use crate::sign::predicate::shape::keep;
use crate::sign::predicate::shape::may;
use crate::sign::predicate::shape::may_or;
use crate::sign::predicate::shape::must;
use crate::sign::predicate::shape::present;

/// Holds a text to a shape, under a type that names it.
macro_rules! keep {
    ($shape:ident, $text:expr) => {{
        struct Here;
        impl Shaped for Here {
            const SHAPE: &'static Shape = &$shape;
        }
        keep::<Here>($text)
    }};
}

/// Any object.
const OBJECT: Shape = Shape::Map(&Shape::Any);
/// A list of anything.
const LIST: Shape = Shape::List(&Shape::Any);
/// Digests by the names of their algorithms.
const DIGESTS: Shape = Shape::Map(&Shape::Text);

/// CycloneDX 1.2 to 1.7.
const CYCLONEDX: Shape = Shape::Object(&[
    must("bomFormat", Shape::Is("CycloneDX")),
    must("specVersion", Shape::Begins("1.")),
    may("metadata", OBJECT),
    may("components", LIST),
    may("services", LIST),
    may("dependencies", LIST),
    may("vulnerabilities", LIST),
]);

/// in-toto's link (`in_toto.Link`), of which cosign misses each member that is not there.
const LINK: Shape = Shape::Object(&[
    must("_type", Shape::Is("link")),
    must("name", Shape::Filled),
    must("materials", Shape::Map(&DIGESTS)),
    must("products", Shape::Map(&DIGESTS)),
    present("byproducts", OBJECT),
    present("command", Shape::List(&Shape::Text)),
    present("environment", OBJECT),
]);

/// OpenVEX 0.0.1 and 0.2.0.
const OPENVEX: Shape = Shape::Object(&[
    must("@context", Shape::Begins("https://openvex.dev/ns")),
    must("author", Shape::Filled),
    must("timestamp", Shape::Time),
    must("statements", LIST),
]);

/// SLSA provenance 0.2: `slsa.provenance.v02` when cosign signs it, `ProvenancePredicate` when it
/// reads it. The first drops what Go's tools write as `buildInvocationID`, the second reads both.
const SLSA_02: Shape = Shape::Message(&[
    // BuildKit leaves it empty unless it is told.
    must("builder", Shape::Message(&[must("id", Shape::Text)])),
    must("buildType", Shape::Filled),
    may(
        "invocation",
        Shape::Message(&[
            may(
                "configSource",
                Shape::Message(&[
                    may("uri", Shape::Text),
                    may("digest", DIGESTS),
                    may("entryPoint", Shape::Text),
                ]),
            ),
            may("parameters", OBJECT),
            may("environment", OBJECT),
        ]),
    ),
    may("buildConfig", OBJECT),
    may(
        "metadata",
        Shape::Message(&[
            may_or("buildInvocationId", "buildInvocationID", Shape::Text),
            may("buildStartedOn", Shape::Time),
            may("buildFinishedOn", Shape::Time),
            may(
                "completeness",
                Shape::Message(&[
                    may("parameters", Shape::Bool),
                    may("environment", Shape::Bool),
                    may("materials", Shape::Bool),
                ]),
            ),
            may("reproducible", Shape::Bool),
        ]),
    ),
    may(
        "materials",
        Shape::List(&Shape::Message(&[
            may("uri", Shape::Text),
            may("digest", DIGESTS),
        ])),
    ),
]);

/// in-toto's `ResourceDescriptor`.
const DESCRIPTOR: Shape = Shape::Message(&[
    may("name", Shape::Text),
    may("uri", Shape::Text),
    may("digest", DIGESTS),
    may("content", Shape::Base64),
    may("downloadLocation", Shape::Text),
    may("mediaType", Shape::Text),
    may("annotations", OBJECT),
]);

/// SLSA provenance 1. BuildKit writes `invocationID`, and cosign reads it as the other.
const SLSA_1: Shape = Shape::Message(&[
    must(
        "buildDefinition",
        Shape::Message(&[
            must("buildType", Shape::Filled),
            must("externalParameters", OBJECT),
            may("internalParameters", OBJECT),
            may("resolvedDependencies", Shape::List(&DESCRIPTOR)),
        ]),
    ),
    must(
        "runDetails",
        Shape::Message(&[
            must(
                "builder",
                Shape::Message(&[
                    must("id", Shape::Text),
                    may("version", Shape::Map(&Shape::Text)),
                    may("builderDependencies", Shape::List(&DESCRIPTOR)),
                ]),
            ),
            may(
                "metadata",
                Shape::Message(&[
                    may_or("invocationId", "invocationID", Shape::Text),
                    may("startedOn", Shape::Time),
                    may("finishedOn", Shape::Time),
                ]),
            ),
            may("byproducts", Shape::List(&DESCRIPTOR)),
        ]),
    ),
]);

/// SPDX 2, a document.
const SPDX_2: Shape = Shape::Object(&[
    must("spdxVersion", Shape::Begins("SPDX-2.")),
    must("SPDXID", Shape::Filled),
    must("name", Shape::Filled),
    must("dataLicense", Shape::Filled),
    must("documentNamespace", Shape::Filled),
    must(
        "creationInfo",
        Shape::Object(&[
            must("created", Shape::Filled),
            must("creators", Shape::FilledList(&Shape::Filled)),
        ]),
    ),
    may("packages", LIST),
    may("files", LIST),
    may("relationships", LIST),
]);

/// SPDX 3, a graph.
const SPDX_3: Shape = Shape::Object(&[
    must("@context", Shape::Begins("https://spdx.org/rdf/3.")),
    must("@graph", Shape::FilledList(&Shape::Any)),
]);

/// SLSA's verification summary 1.
const SUMMARY: Shape = Shape::Object(&[
    must("verifier", Shape::Object(&[must("id", Shape::Filled)])),
    must("timeVerified", Shape::Time),
    must("resourceUri", Shape::Filled),
    must("policy", OBJECT),
    must("verificationResult", Shape::OneOf("PASSED", "FAILED")),
    must("verifiedLevels", Shape::List(&Shape::Text)),
]);

/// cosign's wrapping of a scanner's report (`CosignVulnPredicate`). Its reader makes an empty report
/// of anything else.
const VULN: Shape = Shape::Object(&[
    may(
        "invocation",
        Shape::Object(&[
            may("parameters", Shape::Any),
            may("uri", Shape::Text),
            may("event_id", Shape::Text),
            may("builder.id", Shape::Text),
        ]),
    ),
    must(
        "scanner",
        Shape::Object(&[
            must("uri", Shape::Filled),
            may("version", Shape::Text),
            may(
                "db",
                Shape::Object(&[may("uri", Shape::Text), may("version", Shape::Text)]),
            ),
            must("result", Shape::Report),
        ]),
    ),
    must(
        "metadata",
        Shape::Object(&[
            must("scanStartedOn", Shape::Time),
            must("scanFinishedOn", Shape::Time),
        ]),
    ),
]);

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
        PredicateType::Spdx => {
            "give an SPDX document in tag-value form; in JSON its type is `spdxjson`, which every cosign \
             reads"
        }
        PredicateType::SpdxJson => {
            "give an SPDX document in JSON, as `syft -o spdx-json` or `trivy image --format \
             spdx-json` writes it"
        }
        PredicateType::Uri(_) => "give a JSON object",
        PredicateType::Vsa => "give an SLSA verification summary without a statement around it",
        PredicateType::Vuln => "write it with `trivy image --format cosign-vuln`",
    }
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
            return Err(Broken::new("SPDXVersion", "does not begin with `SPDX-2.`"));
        }
        let at = TAGS.iter().position(|known| *known == tag);
        if let Some(seen) = at.and_then(|at| seen.get_mut(at)) {
            *seen = !value.trim().is_empty();
        }
    }
    match TAGS.iter().zip(seen).find(|(_, seen)| !seen) {
        Some((tag, _)) => Err(Broken::new(tag, "is missing")),
        None => Ok(()),
    }
}

/// Holds a JSON predicate to the rules of its type.
pub(super) fn hold(kind: &PredicateType, document: &Outline<'_>, text: &str) -> Result<(), Broken> {
    if !matches!(document, Outline::Object(_)) {
        return Err(Broken::new("the document", "is no JSON object"));
    }
    match kind {
        PredicateType::Custom | PredicateType::Spdx | PredicateType::Uri(_) => Ok(()),
        PredicateType::Cyclonedx => keep!(CYCLONEDX, text),
        PredicateType::Link => keep!(LINK, text),
        PredicateType::Openvex => keep!(OPENVEX, text),
        PredicateType::SlsaProvenance02 => keep!(SLSA_02, text),
        PredicateType::SlsaProvenance1 => keep!(SLSA_1, text),
        PredicateType::SpdxJson if document.has("@graph") && !document.has("spdxVersion") => {
            keep!(SPDX_3, text)
        }
        PredicateType::SpdxJson => keep!(SPDX_2, text),
        PredicateType::Vsa => keep!(SUMMARY, text),
        PredicateType::Vuln => {
            keep!(VULN, text)?;
            vuln(document)
        }
    }
}

/// What a shape does not say of a scanner's report.
fn vuln(document: &Outline<'_>) -> Result<(), Broken> {
    if Looks::of(document) == Some(Looks::InTotoVulns) {
        return Err(Broken::new("scanner.result", "is a list of in-toto's type"));
    }
    let time = |name: &str| {
        let text = document.get("metadata")?.text(name)?;
        Timestamp::parse(text).ok()
    };
    if time("scanFinishedOn") < time("scanStartedOn") {
        return Err(Broken::new(
            "metadata.scanFinishedOn",
            "is before `scanStartedOn`",
        ));
    }
    Ok(())
}
