//! A page for people: labels and names, sentences wrapped to the width, colour where it is wanted.

use std::io;
use std::io::Write;

use crate::output::Colour;
use crate::output::Look;
use crate::output::text;

/// Columns before a label, and columns of a label. With them a SHA-256 digest ends in column 80.
pub(super) const INDENT: usize = 2;
pub(super) const LABEL: usize = 6;
/// Below this sentences are not wrapped any narrower.
const NARROWEST: usize = 40;

/// What a text says, for those who see colour.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Bad,
    Good,
    Open,
    Plain,
    Title,
}

/// What text is written on.
pub(super) struct Sheet<'a> {
    pub(super) look: Look,
    pub(super) to: &'a mut dyn Write,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(look: Look, to: &'a mut dyn Write) -> Self {
        Self { look, to }
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        writeln!(self.to)
    }

    /// A label and a name, which is never broken. Where it fits only without the label, it has the
    /// next line.
    pub(super) fn field(&mut self, label: &str, value: &str) -> io::Result<()> {
        let length = value.chars().count();
        let left = INDENT + LABEL + 1;
        if left + length > self.look.width && 2 * INDENT + length <= self.look.width {
            if !label.is_empty() {
                writeln!(self.to, "{:INDENT$}{label}", "")?;
            }
            return writeln!(self.to, "{:INDENT$}{:INDENT$}{value}", "", "");
        }
        writeln!(self.to, "{:INDENT$}{label:LABEL$} {value}", "")
    }

    /// A label and a sentence.
    pub(super) fn sentence(&mut self, label: &str, value: &str) -> io::Result<()> {
        let left = INDENT + LABEL + 1;
        let mut label = label;
        for line in text::wrap(&text::sentence(value), self.width(left)) {
            writeln!(self.to, "{:INDENT$}{label:LABEL$} {line}", "")?;
            label = "";
        }
        Ok(())
    }

    pub(super) fn prose(&mut self, left: usize, value: &str) -> io::Result<()> {
        for line in text::wrap(value, self.width(left)) {
            writeln!(self.to, "{:left$}{line}", "")?;
        }
        Ok(())
    }

    /// Columns that are left of a line.
    pub(super) fn width(&self, left: usize) -> usize {
        self.look.width.max(NARROWEST).saturating_sub(left).max(16)
    }

    pub(super) fn paint(&self, text: &str, tone: Tone) -> String {
        // ECMA-48, 8.3.117 (SGR).
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Good => "1;32",
            Tone::Open => "1;33",
            Tone::Plain => return text.to_owned(),
            Tone::Title => "1",
        };
        match self.look.colour {
            Colour::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Never => text.to_owned(),
        }
    }
}
