//! Reports for people and machines. Nothing here decides; it writes down what was decided.
//!
//! `explain.rs` is the one place that phrases refusals for people. JSON has structs of its own, so
//! that a change inside of scgate never changes what scripts read. Text from outside is escaped in
//! every format, and a name is never cut.

mod cosign;
mod explain;
mod human;
mod json;
mod sheet;
mod signed;
mod text;
mod tree;

use std::io;
use std::io::Write;

pub use explain::cause;
pub use explain::meaning;
pub use explain::remedy;
pub use explain::signing_remedy;
pub use signed::NotSigned;
pub use signed::signed_json;
pub use signed::signed_text;
pub use tree::Tree;

use crate::admit::Report;

/// A form of output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// A table for people.
    #[default]
    Text,
    /// scgate's JSON, version 1: one document for all reports.
    Json,
    /// JSON in the shape that `cosign verify` prints: for each image that is allowed, a line with an
    /// array over what was accepted. An image that is not allowed has no line.
    CosignJson,
}

/// How text may look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Look {
    /// Columns to fill.
    pub width: usize,
    /// Whether escape sequences for colour may be written.
    pub colour: Colour,
}

/// Whether escape sequences may be written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Colour {
    /// They may.
    Always,
    /// They must not.
    #[default]
    Never,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            width: 80,
            colour: Colour::Never,
        }
    }
}

impl Look {
    /// Text of this width.
    #[must_use]
    pub const fn new(width: usize, colour: Colour) -> Self {
        Self { width, colour }
    }
}

/// Writes reports.
///
/// # Errors
///
/// What the writer gives.
pub fn render(
    reports: &[Report],
    format: Format,
    look: Look,
    to: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Text => human::render(reports, look, to),
        Format::Json => json::render(reports, to),
        Format::CosignJson => cosign::render(reports, to),
    }
}
