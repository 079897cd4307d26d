//! What a file is that was given as a predicate, so that a refusal can say it.
//!
//! Nothing here accepts: a document that looks like its type still has to keep the rules.

use crate::sign::predicate::outline::Outline;

/// Bytes at the beginning of a text that are looked at.
const START: usize = 4096;

/// What a file looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Looks {
    ByteOrderMark,
    CosignBundle,
    CosignVuln,
    Csaf,
    Cyclonedx,
    CyclonedxXml,
    Envelope,
    GithubSbom,
    GithubSnapshot,
    Grype,
    Gzip,
    InTotoVulns,
    JsonList,
    Link,
    Manifest,
    Openvex,
    Pem,
    Sarif,
    SigstoreBundle,
    SignedLink,
    Slsa02,
    Slsa1,
    SpdxJson,
    SpdxRdf,
    SpdxTagValue,
    SpdxYaml,
    Statement,
    Text,
    Trivy,
    TrivyCluster,
    Utf16,
    Vsa,
    Xml,
}

impl Looks {
    /// What a file is that is not UTF-8.
    pub(super) fn of_bytes(file: &[u8]) -> Option<Self> {
        match file {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Self::Utf16),
            _ => None,
        }
    }

    /// What a text is that is no JSON.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let start = text.trim_start();
        match start.chars().next()? {
            '{' | '[' => return None,
            '\u{feff}' => return Some(Self::ByteOrderMark),
            '<' => {
                let end = (0..=START.min(start.len()))
                    .rev()
                    .find(|end| start.is_char_boundary(*end));
                let head = end.and_then(|end| start.get(..end)).unwrap_or_default();
                return Some(if head.contains("cyclonedx.org/schema/bom") {
                    Self::CyclonedxXml
                } else if head.contains("spdx.org/rdf") {
                    Self::SpdxRdf
                } else {
                    Self::Xml
                });
            }
            _ => {}
        }
        if start.starts_with("-----BEGIN ") {
            return Some(Self::Pem);
        }
        let mut lines = text.lines().map(str::trim_end);
        let first =
            lines.find(|line| !line.is_empty() && !line.starts_with('#') && *line != "---")?;
        if first.starts_with("SPDXVersion:") {
            return Some(Self::SpdxTagValue);
        }
        text.lines()
            .take(64)
            .any(|line| line.starts_with("spdxVersion:"))
            .then_some(Self::SpdxYaml)
    }

    /// What a JSON document is.
    pub(super) fn of(document: &Outline<'_>) -> Option<Self> {
        if matches!(document, Outline::List(_)) {
            return Some(Self::JsonList);
        }
        let has = |name: &str| document.has(name);
        let text = |name: &str| document.text(name).unwrap_or_default();
        let below = |name: &str, member: &str| document.get(name).is_some_and(|at| at.has(member));
        let found = if text("_type").starts_with("https://in-toto.io/Statement/")
            || (has("predicateType") && has("subject"))
        {
            Self::Statement
        } else if has("payloadType") && has("payload") {
            Self::Envelope
        } else if text("mediaType").starts_with("application/vnd.dev.sigstore.bundle") {
            Self::SigstoreBundle
        } else if has("base64Signature") {
            Self::CosignBundle
        } else if has("signed") && has("signatures") {
            Self::SignedLink
        } else if has("bomFormat") {
            Self::Cyclonedx
        } else if has("spdxVersion")
            || (has("@graph") && text("@context").starts_with("https://spdx.org/"))
        {
            Self::SpdxJson
        } else if below("sbom", "spdxVersion") {
            Self::GithubSbom
        } else if text("@context").starts_with("https://openvex.dev/") {
            Self::Openvex
        } else if below("document", "csaf_version") {
            Self::Csaf
        } else if has("runs") && (has("$schema") || text("version") == "2.1.0") {
            Self::Sarif
        } else if has("ClusterName") {
            Self::TrivyCluster
        } else if has("SchemaVersion") && (has("Results") || has("ArtifactName")) {
            Self::Trivy
        } else if has("matches") && has("descriptor") {
            Self::Grype
        } else if has("detector") && has("manifests") && has("scanned") {
            Self::GithubSnapshot
        } else if has("scanner") && has("metadata") {
            let result = document
                .get("scanner")
                .and_then(|scanner| scanner.get("result"));
            let is_in_toto = match result {
                Some(Outline::List(None)) => true,
                Some(Outline::List(Some(first))) => first.has("id") && first.has("severity"),
                _ => false,
            };
            if is_in_toto {
                Self::InTotoVulns
            } else {
                Self::CosignVuln
            }
        } else if has("buildDefinition") && has("runDetails") {
            Self::Slsa1
        } else if has("builder") && has("buildType") {
            Self::Slsa02
        } else if has("verifier") && has("verificationResult") {
            Self::Vsa
        } else if text("_type") == "link" || (has("name") && has("materials")) {
            Self::Link
        } else if has("schemaVersion") && (has("config") || has("manifests")) {
            Self::Manifest
        } else {
            return None;
        };
        Some(found)
    }

    /// Whether it holds a predicate somewhere inside.
    pub(super) const fn is_around_a_predicate(&self) -> bool {
        matches!(
            self,
            Self::Statement | Self::Envelope | Self::SigstoreBundle | Self::CosignBundle
        )
    }

    /// The short name of the type that it is a predicate of.
    pub(super) const fn type_name(self) -> Option<&'static str> {
        Some(match self {
            Self::CosignVuln => "vuln",
            Self::Cyclonedx => "cyclonedx",
            Self::Link => "link",
            Self::Openvex => "openvex",
            Self::Slsa02 => "slsaprovenance02",
            Self::Slsa1 => "slsaprovenance1",
            Self::SpdxJson => "spdxjson",
            Self::Vsa => "vsa",
            _ => return None,
        })
    }

    /// What it is, in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "a text that begins with a byte order mark",
            Self::CosignBundle => "a signature bundle of cosign 2",
            Self::CosignVuln => "a vulnerability report in cosign's wrapping",
            Self::Csaf => "a CSAF advisory",
            Self::Cyclonedx => "a CycloneDX document",
            Self::CyclonedxXml => "a CycloneDX document in XML",
            Self::Envelope => "a DSSE envelope, which is a signed statement,",
            Self::GithubSbom => "an answer of GitHub's with an SPDX document in it",
            Self::GithubSnapshot => "a dependency snapshot for GitHub",
            Self::Grype => "a Grype report",
            Self::Gzip => "a gzip file",
            Self::InTotoVulns => "a vulnerability report of in-toto's type",
            Self::JsonList => "a JSON list",
            Self::Link => "an in-toto link",
            Self::Manifest => "an image manifest",
            Self::Openvex => "an OpenVEX document",
            Self::Pem => "a PEM key or certificate",
            Self::Sarif => "a SARIF report",
            Self::SigstoreBundle => "a Sigstore bundle",
            Self::SignedLink => "an in-toto link with its signatures",
            Self::Slsa02 => "SLSA provenance 0.2",
            Self::Slsa1 => "SLSA provenance 1",
            Self::SpdxJson => "an SPDX document in JSON",
            Self::SpdxRdf => "an SPDX document in RDF",
            Self::SpdxTagValue => "an SPDX document in tag-value form",
            Self::SpdxYaml => "an SPDX document in YAML",
            Self::Statement => "a whole in-toto statement",
            Self::Text => "a text in another form",
            Self::Trivy => "a plain Trivy report",
            Self::TrivyCluster => "a Trivy report about a cluster",
            Self::Utf16 => "a text in UTF-16",
            Self::Vsa => "an SLSA verification summary",
            Self::Xml => "an XML document",
        }
    }

    /// What helps: the type that it is of, the way out of it, or else `usual`.
    pub(super) fn remedy(self, usual: &str) -> String {
        if let Some(name) = self.type_name() {
            return format!("its type is `{name}`; otherwise {usual}");
        }
        match self {
            Self::ByteOrderMark => "save it without one".to_owned(),
            Self::CosignBundle | Self::Envelope | Self::SigstoreBundle => {
                "it is signed already; a predicate is what the statement in its payload has as \
                 `predicate`"
                    .to_owned()
            }
            Self::CyclonedxXml | Self::SpdxRdf | Self::SpdxYaml => {
                format!("write it in another form: {usual}")
            }
            Self::GithubSbom => "give what is in its member `sbom`".to_owned(),
            Self::Gzip => "decompress it first".to_owned(),
            Self::InTotoVulns => {
                "its type is `https://in-toto.io/attestation/vulns/v0.2`".to_owned()
            }
            Self::SignedLink => "give what is in its member `signed`".to_owned(),
            Self::SpdxTagValue => {
                "no cosign 3 reads it in an attestation; convert it with the tool \
                                   that wrote it, as `syft convert FILE -o spdx-json` does, and \
                                   give it as `spdxjson`"
                    .to_owned()
            }
            Self::Statement => {
                "give what is in its member `predicate`, under the type in `predicateType`"
                    .to_owned()
            }
            Self::Utf16 => "save it as UTF-8".to_owned(),
            _ => usual.to_owned(),
        }
    }
}
