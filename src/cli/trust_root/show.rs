//! `scgate trust show`: what is in a trusted root.

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::write_data;
use crate::cli::trust_root::Form;
use crate::cli::trust_root::RootFlags;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Held;
use crate::verify::Piece;
use crate::verify::TrustRoot;

/// What is in a trusted root, and until when it counts.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    root: RootFlags,

    /// `text` or `json`, to stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    #[arg(hide_possible_values = true)]
    output: Form,
}

impl Show {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        let root = self.root.read(&Limits::default())?;
        let document = Document::of(&root, self.root.time()?);
        let text = match self.output {
            Form::Text => document.text(),
            Form::Json => json(&document),
        };
        Ok(write_data(&[text.into_bytes()]))
    }
}

/// A document for programs. What it is made of always serializes.
pub(super) fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// The JSON of a root, version 1: members are added and never renamed or removed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    version: u32,
    id: Digest,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earliest_end: Option<Timestamp>,
    entries: Vec<Entry>,
}

/// An entry of a root.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    kind: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    key: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usable_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<Certificate>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    subject: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Document {
    fn of(root: &TrustRoot, at: Timestamp) -> Self {
        let pieces = root.pieces();
        Self {
            version: 1,
            id: root.id(),
            at,
            newest_start: root.newest_start(),
            earliest_end: pieces
                .iter()
                .filter(|piece| piece.is_usable_at(at))
                .filter_map(Piece::usable_until)
                .min(),
            entries: pieces
                .into_iter()
                .map(|piece| Entry::of(piece, at))
                .collect(),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("trusted root {}", self.id)];
        if let Some(newest) = self.newest_start {
            let days = (self.at.unix_seconds() - newest.unix_seconds()) / (24 * 60 * 60);
            lines.push(format!("  newest key  {newest}, {days} days ago"));
        }
        match self.earliest_end {
            Some(end) => lines.push(format!("  next end    {end}, of what is usable now")),
            None => lines.push("  next end    none, of what is usable now".to_owned()),
        }
        for entry in &self.entries {
            lines.push(String::new());
            entry.text(&mut lines);
        }
        lines.join("\n")
    }
}

impl Entry {
    fn of(piece: Piece, at: Timestamp) -> Self {
        let until = piece.usable_until();
        Self {
            kind: piece.need.name(),
            state: match (piece.is_usable_at(at), until) {
                (true, _) => "usable",
                (false, Some(until)) if until < at => "ended",
                (false, _) => "not-yet",
            },
            usable_until: until,
            url: piece.url,
            operator: piece.operator,
            key: piece.key,
            id: piece.id,
            start: piece.start,
            end: piece.end,
            certificates: piece
                .certificates
                .into_iter()
                .map(Certificate::of)
                .collect(),
        }
    }

    fn text(&self, lines: &mut Vec<String>) {
        let url = self.url.as_deref().unwrap_or("(no URL)");
        let kind = self.kind.replace('-', " ");
        lines.push(format!("{kind}: {url}, {}", self.state.replace('-', " ")));
        lines.push(format!("  key         {}", self.key));
        lines.push(format!("  id          {}", self.id));
        if let Some(operator) = &self.operator {
            lines.push(format!("  operator    {operator}"));
        }
        let start = self
            .start
            .map_or("ever".to_owned(), |time| time.to_string());
        let end = self.end.map_or(String::new(), |time| format!(" to {time}"));
        lines.push(format!("  counts      from {start}{end}"));
        for certificate in &self.certificates {
            lines.push(format!(
                "  certificate {}, from {} to {}",
                certificate.subject, certificate.not_before, certificate.not_after
            ));
        }
    }
}

impl Certificate {
    fn of(held: Held) -> Self {
        Self {
            subject: held.subject,
            not_before: held.not_before,
            not_after: held.not_after,
        }
    }
}
