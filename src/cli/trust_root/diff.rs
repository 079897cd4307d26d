//! What changed between two trusted roots.

use crate::model::Timestamp;
use crate::verify::Piece;
use crate::verify::TrustRoot;

/// One line for each entry that is new, gone, or counts for another time. None for two roots that
/// vouch for the same.
pub(super) fn lines(before: &TrustRoot, after: &TrustRoot) -> Vec<String> {
    let (old, new) = (before.pieces(), after.pieces());
    let same = |one: &Piece, other: &Piece| {
        one.need == other.need
            && one.id == other.id
            && (one.start == other.start || one.end == other.end)
    };
    let mut lines = Vec::new();
    for piece in &new {
        match old.iter().find(|other| same(piece, other)) {
            None => lines.push(format!("+ {}", named(piece))),
            Some(other) if other.end != piece.end && is_earlier(piece.end, other.end) => {
                let end = piece
                    .end
                    .map_or_else(String::new, |end| format!(" at {end}"));
                lines.push(format!("! {} ended{end}", named(piece)));
            }
            Some(other) if (other.start, other.end) != (piece.start, piece.end) => {
                lines.push(format!("~ {} counts for another time", named(piece)));
            }
            Some(other) if other.certificates != piece.certificates || other.url != piece.url => {
                lines.push(format!("~ {} is described anew", named(piece)));
            }
            Some(_) => {}
        }
    }
    for piece in &old {
        if !new.iter().any(|other| same(piece, other)) {
            lines.push(format!("- {}", named(piece)));
        }
    }
    lines
}

fn is_earlier(end: Option<Timestamp>, before: Option<Timestamp>) -> bool {
    match (end, before) {
        (Some(end), Some(before)) => end < before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn named(piece: &Piece) -> String {
    let id = piece.id.get(..16).unwrap_or(&piece.id);
    match &piece.url {
        Some(url) => format!("{} {url} ({id}…)", piece.need),
        None => format!("{} ({id}…)", piece.need),
    }
}
