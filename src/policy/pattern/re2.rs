//! Expressions in the syntax of RE2 as Go's `regexp` reads it, which is what cosign gives them to.
//!
//! The `regex` crate reads a syntax that is almost the same. What both read alike is kept, what only
//! has another spelling is rewritten, and everything else is refused by name, so that no expression
//! means one thing here and another there. `testdata/re2.json` holds what Go makes of each form.

use regex_syntax::ast::AssertionKind;
use regex_syntax::ast::Ast;
use regex_syntax::ast::CaptureName;
use regex_syntax::ast::ClassPerlKind;
use regex_syntax::ast::ClassSetBinaryOp;
use regex_syntax::ast::ClassSetItem;
use regex_syntax::ast::Flag;
use regex_syntax::ast::Flags;
use regex_syntax::ast::FlagsItemKind;
use regex_syntax::ast::GroupKind;
use regex_syntax::ast::HexLiteralKind;
use regex_syntax::ast::Literal;
use regex_syntax::ast::LiteralKind;
use regex_syntax::ast::Repetition;
use regex_syntax::ast::RepetitionKind;
use regex_syntax::ast::RepetitionRange;
use regex_syntax::ast::Span;
use regex_syntax::ast::Visitor;
use regex_syntax::ast::parse::Parser;

use crate::policy::PatternError;

/// The copies of one thing that repetitions within repetitions may ask for (Go's
/// `regexp/syntax/parse.go`, `repeatIsValid`).
const MAX_COPIES: u32 = 1000;

/// The expression as the `regex` crate must read it to mean what the text means to RE2.
///
/// # Errors
///
/// [`PatternError::Syntax`] for a text that is no expression, [`PatternError::OtherMeaning`] for one
/// that RE2 reads otherwise, or not at all.
pub(super) fn rewritten(text: &str) -> Result<String, PatternError> {
    let tree = Parser::new()
        .parse(text)
        .map_err(|error| PatternError::Syntax {
            at: error.span().start.offset,
            reason: error.kind().to_string(),
        })?;
    let differences = Differences {
        text,
        spellings: Vec::new(),
        copies: Vec::new(),
        folds: false,
        beyond_ascii: None,
    };
    let spellings = regex_syntax::ast::visit(&tree, differences)?;
    let mut written = String::with_capacity(text.len());
    let mut copied = 0;
    for (span, stand_in) in spellings {
        written.push_str(text.get(copied..span.start.offset).unwrap_or_default());
        written.push_str(stand_in);
        copied = span.end.offset;
    }
    written.push_str(text.get(copied..).unwrap_or_default());
    Ok(written)
}

/// Where the `regex` crate reads a text otherwise than RE2.
struct Differences<'a> {
    text: &'a str,
    /// In the order of the text, what means to the `regex` crate what the text means to RE2.
    spellings: Vec<(Span, &'static str)>,
    /// The copies that are left inside of each repetition that is open, innermost last.
    copies: Vec<u32>,
    /// Whether letters stand for both cases anywhere.
    folds: bool,
    /// The first character that is not ASCII.
    beyond_ascii: Option<Span>,
}

impl Differences<'_> {
    fn text_of(&self, span: Span) -> &str {
        self.text
            .get(span.start.offset..span.end.offset)
            .unwrap_or_default()
    }

    fn repetition(&mut self, repetition: &Repetition) -> Result<(), PatternError> {
        let span = repetition.op.span;
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return Err(other_meaning(span, "a repetition of a repetition"));
        }
        let mut left = self.copies.last().copied().unwrap_or(MAX_COPIES);
        if let RepetitionKind::Range(range) = &repetition.op.kind {
            let (braced, copies) = match *range {
                RepetitionRange::Exactly(count) => (format!("{{{count}}}"), count),
                RepetitionRange::AtLeast(least) => (format!("{{{least},}}"), least),
                RepetitionRange::Bounded(least, most) => (format!("{{{least},{most}}}"), most),
            };
            // With a space, without a first number or with a zero before one, it is text to RE2.
            if self.text_of(span).trim_end_matches('?') != braced {
                return Err(other_meaning(span, "braces that hold more than numbers"));
            }
            if copies > left {
                return Err(other_meaning(span, "more than 1000 repetitions"));
            }
            left /= copies.max(1);
        }
        self.copies.push(left);
        Ok(())
    }

    fn literal(&mut self, literal: &Literal) -> Result<(), PatternError> {
        match &literal.kind {
            LiteralKind::HexFixed(kind) | LiteralKind::HexBrace(kind)
                if *kind != HexLiteralKind::X =>
            {
                return Err(other_meaning(literal.span, "`\\u` or `\\U`"));
            }
            _ => {}
        }
        if !literal.c.is_ascii() {
            self.beyond_ascii.get_or_insert(literal.span);
        }
        Ok(())
    }

    fn flags(&mut self, flags: &Flags) -> Result<(), PatternError> {
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Flag(Flag::CaseInsensitive) => self.folds = true,
                FlagsItemKind::Negation
                | FlagsItemKind::Flag(
                    Flag::DotMatchesNewLine | Flag::MultiLine | Flag::SwapGreed,
                ) => {}
                FlagsItemKind::Flag(Flag::CRLF | Flag::IgnoreWhitespace | Flag::Unicode) => {
                    return Err(other_meaning(item.span, "the flag `R`, `u` or `x`"));
                }
            }
        }
        Ok(())
    }

    fn group_name(name: &CaptureName) -> Result<(), PatternError> {
        let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        if name.name.bytes().all(is_word) {
            return Ok(());
        }
        Err(other_meaning(
            name.span,
            "a name of a group that is no word",
        ))
    }

    /// What stands first between brackets: RE2 reads a range where the `regex` crate reads `-`.
    fn bracketed(&self, span: Span) -> Result<(), PatternError> {
        let text = self.text_of(span);
        let inside = text.strip_prefix('[').unwrap_or(text);
        let inside = inside.strip_prefix('^').unwrap_or(inside);
        if inside.starts_with("--") || inside.starts_with("]-") {
            return Err(other_meaning(span, "a range that begins with `-` or `]`"));
        }
        Ok(())
    }
}

impl Visitor for Differences<'_> {
    type Output = Vec<(Span, &'static str)>;
    type Err = PatternError;

    fn finish(self) -> Result<Self::Output, PatternError> {
        // Which letters are cases of each other changes with the version of Unicode.
        match self.beyond_ascii {
            Some(span) if self.folds => Err(other_meaning(
                span,
                "the flag `i` and a character that is not ASCII",
            )),
            _ => Ok(self.spellings),
        }
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), PatternError> {
        match ast {
            Ast::Alternation(_) | Ast::Concat(_) | Ast::Dot(_) | Ast::Empty(_) => {}
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => self.spellings.push((assertion.span, r"(?-u:\b)")),
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => {}
                AssertionKind::NotWordBoundary => {
                    return Err(other_meaning(assertion.span, "`\\B`"));
                }
                AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => {
                    return Err(other_meaning(
                        assertion.span,
                        "a boundary of a word other than `\\b`",
                    ));
                }
            },
            Ast::ClassBracketed(class) => self.bracketed(class.span)?,
            Ast::ClassPerl(class) => {
                let ascii = match (&class.kind, class.negated) {
                    (ClassPerlKind::Digit, false) => "[0-9]",
                    (ClassPerlKind::Digit, true) => "[^0-9]",
                    (ClassPerlKind::Space, false) => r"[\t\n\f\r\x20]",
                    (ClassPerlKind::Space, true) => r"[^\t\n\f\r\x20]",
                    (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
                    (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
                };
                self.spellings.push((class.span, ascii));
            }
            Ast::ClassUnicode(class) => return Err(unicode(class.span)),
            Ast::Flags(flags) => self.flags(&flags.flags)?,
            Ast::Group(group) => match &group.kind {
                GroupKind::CaptureIndex(_) => {}
                GroupKind::CaptureName { name, .. } => Self::group_name(name)?,
                GroupKind::NonCapturing(flags) => self.flags(flags)?,
            },
            Ast::Literal(literal) => self.literal(literal)?,
            Ast::Repetition(repetition) => self.repetition(repetition)?,
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), PatternError> {
        if matches!(ast, Ast::Repetition(_)) {
            self.copies.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), PatternError> {
        match item {
            ClassSetItem::Ascii(_) | ClassSetItem::Empty(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Bracketed(class) => Err(other_meaning(class.span, "a class in a class")),
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Perl(class) => {
                let ascii = match (&class.kind, class.negated) {
                    (ClassPerlKind::Digit, false) => "0-9",
                    (ClassPerlKind::Digit, true) => "[^0-9]",
                    (ClassPerlKind::Space, false) => r"\t\n\f\r\x20",
                    (ClassPerlKind::Space, true) => r"[^\t\n\f\r\x20]",
                    (ClassPerlKind::Word, false) => "0-9A-Za-z_",
                    (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
                };
                self.spellings.push((class.span, ascii));
                Ok(())
            }
            ClassSetItem::Range(range) => {
                self.literal(&range.start)?;
                self.literal(&range.end)
            }
            ClassSetItem::Unicode(class) => Err(unicode(class.span)),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ClassSetBinaryOp) -> Result<(), PatternError> {
        Err(other_meaning(op.span, "`&&`, `--` or `~~` in a class"))
    }
}

/// Which characters are letters changes with the version of Unicode.
const fn unicode(span: Span) -> PatternError {
    other_meaning(span, "a class of Unicode")
}

const fn other_meaning(span: Span, what: &'static str) -> PatternError {
    PatternError::OtherMeaning {
        at: span.start.offset,
        what,
    }
}
