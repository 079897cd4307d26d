//! What was signed: one document for scripts, and lines for people.
//!
//! INVARIANT: as in `json.rs`, members are added and never renamed, removed or given another meaning.

use std::io;
use std::io::Write;

use serde::Serialize;

use crate::model::DenyCode;
use crate::model::Digest;
use crate::output::explain;
use crate::output::text;
use crate::registry;
use crate::sign::Piece;
use crate::sign::Role;
use crate::sign::Signed;
use crate::sign::State;
use crate::sign::Target;
use crate::verify::Signer;

/// The version that a document states.
const VERSION: u32 = 1;

/// A reference about which nothing was written, and why.
#[derive(Clone, Debug)]
pub struct NotSigned {
    /// What was to be signed.
    pub reference: String,
    /// The reason.
    pub code: DenyCode,
    /// The same in words.
    pub reason: String,
    /// What helps.
    pub remedy: &'static str,
}

/// Writes what became of each piece of evidence, as one JSON document about all images.
///
/// # Errors
///
/// What the writer gives.
pub fn signed_json(signed: &[Signed], failed: &[NotSigned], to: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        tool: Tool {
            name: "scgate",
            version: env!("CARGO_PKG_VERSION"),
        },
        images: signed.iter().map(Image::of).collect(),
        failed: failed.iter().map(Failure::of).collect(),
    };
    let document = serde_json::to_string_pretty(&document)?;
    writeln!(to, "{}", text::json(&document))
}

/// Writes the same for people: a line for each piece, and below it what helps where one failed.
///
/// # Errors
///
/// What the writer gives.
pub fn signed_text(signed: &[Signed], to: &mut dyn Write) -> io::Result<()> {
    for image in signed {
        writeln!(to, "{}", text::name(&image.image.to_string()))?;
        for piece in &image.pieces {
            let what = what(&piece.target);
            let (format, state) = (piece.format.name(), name(&piece.state));
            let logs = piece.proof.logs().iter();
            let logs: Vec<_> = logs.map(|log| format!("log index {}", log.index)).collect();
            let logs = match logs.as_slice() {
                [] => "no log".to_owned(),
                logs => logs.join(", "),
            };
            let digest = piece.target.digest;
            writeln!(to, "  {state:<7} {what:<16} {digest}  {format}, {logs}")?;
            if let State::Failed(error) = &piece.state {
                let code = error.code();
                writeln!(
                    to,
                    "          {code}: {}",
                    text::sentence(&error.to_string())
                )?;
                for line in text::wrap(explain::registry_remedy(error), 80) {
                    writeln!(to, "          {line}")?;
                }
            }
        }
    }
    Ok(())
}

/// What a manifest is in its image, for people.
fn what(target: &Target) -> String {
    match &target.role {
        Role::Attestation => "attestation".to_owned(),
        Role::Image(Some(platform)) => text::name(&platform.to_string()),
        Role::Image(None) => "image".to_owned(),
        Role::Index => "index".to_owned(),
    }
}

const fn name(state: &State) -> &'static str {
    match state {
        State::Failed(_) => "failed",
        State::Kept(_) => "kept",
        State::Written(_) => "signed",
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tool: Tool,
    images: Vec<Image>,
    /// Nothing was written about these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failure<'a>>,
}

#[derive(Serialize)]
struct Failure<'a> {
    reference: &'a str,
    code: &'static str,
    reason: &'a str,
    remedy: &'static str,
}

impl<'a> Failure<'a> {
    fn of(failed: &'a NotSigned) -> Self {
        Self {
            reference: &failed.reference,
            code: failed.code.name(),
            reason: &failed.reason,
            remedy: failed.remedy,
        }
    }
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Image {
    reference: String,
    digest: String,
    evidence: Vec<Evidence>,
}

impl Image {
    fn of(signed: &Signed) -> Self {
        Self {
            reference: signed.image.to_string(),
            digest: signed.image.digest().to_string(),
            evidence: signed.pieces.iter().map(Evidence::of).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence {
    subject: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<String>,
    state: &'static str,
    /// The manifest that it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    /// As `verify` calls it.
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

#[derive(Serialize)]
struct Log {
    log: String,
    index: u64,
}

impl Evidence {
    fn of(piece: &Piece) -> Self {
        let proof = &piece.proof;
        let (role, platform) = match &piece.target.role {
            Role::Attestation => ("attestation", None),
            Role::Image(platform) => ("image", platform.as_ref()),
            Role::Index => ("index", None),
        };
        let (identity, issuer, key) = match proof.signer() {
            Signer::Certificate { identity, .. } => (
                Some(identity.san.value().to_owned()),
                Some(identity.issuer.clone()),
                None,
            ),
            Signer::Key(key) => (None, None, Some(key.to_string())),
        };
        let failure = match &piece.state {
            State::Failed(error) => Some(error),
            State::Kept(_) | State::Written(_) => None,
        };
        let logs = proof.logs().iter().map(|log| Log {
            log: log.log.to_string(),
            index: log.index,
        });
        Self {
            subject: piece.target.digest.to_string(),
            role,
            platform: platform.map(ToString::to_string),
            format: piece.format.name(),
            predicate_type: proof.predicate_type().map(str::to_owned),
            state: name(&piece.state),
            manifest: holder(&piece.state).map(|digest| digest.to_string()),
            evidence: proof.evidence().to_string(),
            identity,
            issuer,
            key,
            logs: logs.collect(),
            times: proof
                .times()
                .iter()
                .map(|time| time.time.to_string())
                .collect(),
            code: failure.map(|error| error.code().name()),
            reason: failure.map(registry::Error::to_string),
            remedy: failure.map(explain::registry_remedy),
        }
    }
}

const fn holder(state: &State) -> Option<Digest> {
    match state {
        State::Failed(_) => None,
        State::Kept(holder) | State::Written(holder) => Some(*holder),
    }
}
