//! Which kinds of names an expression means: URIs, or e-mail addresses and user names.
//!
//! An e-mail address may look like a URI, and the branch of a build may end like an e-mail address, so
//! an expression is met only by the kind that it spells. A `:` or a `/` is in every URI and in nobody's
//! e-mail address; where there is an `@` and neither of them, an e-mail address is meant. Each outermost
//! alternative counts for itself: `https://github\.com/acme/.*|.*@acme\.com` takes both kinds. One
//! alternative that may spell either says nothing, and does not load.

use core::ops::BitOr;

use regex_syntax::ast::AssertionKind;
use regex_syntax::ast::Ast;
use regex_syntax::ast::GroupKind;
use regex_syntax::hir::Class;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;
use regex_syntax::hir::Literal;

/// Characters of a class that are still spelled, one by one. One that lets nearly anything stand in a
/// place spells none.
const FEW: usize = 10;

/// An expression by the kinds of names that may meet it. Nothing where none may.
pub(super) struct Kinds {
    /// For URIs.
    pub(super) uris: Option<String>,
    /// For e-mail addresses and user names.
    pub(super) others: Option<String>,
}

/// One alternative can be met as a URI and as an e-mail address.
pub(super) struct Mixed;

/// Tells the alternatives of an expression apart.
pub(super) fn kinds(text: &str) -> Result<Kinds, Mixed> {
    let mut uris = Vec::new();
    let mut others = Vec::new();
    for alternative in alternatives(text) {
        // What cannot be read is taken for the name of a URI, which fewer values meet.
        let spelled = regex_syntax::parse(&alternative).map_or(Spelled(URI), |read| spelled(&read));
        let (may_be_address, may_be_uri) = (spelled.has(ADDRESS), spelled.has(URI | BOTH));
        if may_be_address && may_be_uri {
            return Err(Mixed);
        }
        if !may_be_address {
            uris.push(alternative.clone());
        }
        if !may_be_uri {
            others.push(alternative);
        }
    }
    Ok(Kinds {
        uris: joined(&uris),
        others: joined(&others),
    })
}

fn joined(alternatives: &[String]) -> Option<String> {
    let each = |text: &String| format!("(?:{text})");
    let all: Vec<_> = alternatives.iter().map(each).collect();
    (!all.is_empty()).then(|| all.join("|"))
}

/// The outermost alternatives, each an expression of its own for whole strings: together they match
/// what the text matches. The text is one alternative where it cannot be taken apart.
fn alternatives(text: &str) -> Vec<String> {
    let whole = || vec![text.to_owned()];
    let Ok(tree) = regex_syntax::ast::parse::Parser::new().parse(text) else {
        return whole();
    };
    // Flags at the very beginning are those of each alternative; others would have to be carried over.
    let mut flags = "";
    let mut rest = text;
    if let Some(Ast::Flags(set)) = first_of(&tree) {
        let (head, tail) = text.split_at(set.span.end.offset);
        (flags, rest) = (head, tail);
    }
    let Ok(tree) = regex_syntax::ast::parse::Parser::new().parse(rest) else {
        return whole();
    };
    if rest.contains("(?") && sets_flags(&tree) {
        return whole();
    }
    let mut found = Vec::new();
    outermost(&tree, &mut found);
    let text_of = |part: &Ast| {
        let span = part.span();
        rest.get(span.start.offset..span.end.offset)
    };
    let texts: Option<Vec<_>> = found.into_iter().map(text_of).collect();
    texts.map_or_else(whole, |texts| {
        texts.iter().map(|text| format!("{flags}{text}")).collect()
    })
}

fn first_of(tree: &Ast) -> Option<&Ast> {
    match tree {
        Ast::Alternation(all) => all.asts.first().and_then(first_of),
        Ast::Concat(all) => all.asts.first(),
        Ast::Flags(_) => Some(tree),
        _ => None,
    }
}

/// Whether flags are set anywhere for what follows.
fn sets_flags(tree: &Ast) -> bool {
    match tree {
        Ast::Flags(_) => true,
        Ast::Group(group) => sets_flags(&group.ast),
        Ast::Repetition(repetition) => sets_flags(&repetition.ast),
        Ast::Alternation(all) => all.asts.iter().any(sets_flags),
        Ast::Concat(all) => all.asts.iter().any(sets_flags),
        _ => false,
    }
}

/// Goes through alternations, through groups that set no flag, and past anchors at either end, which
/// always hold where a whole string must match.
fn outermost<'t>(tree: &'t Ast, into: &mut Vec<&'t Ast>) {
    match tree {
        Ast::Alternation(all) => all.asts.iter().for_each(|one| outermost(one, into)),
        Ast::Group(group) => match &group.kind {
            GroupKind::NonCapturing(flags) if !flags.items.is_empty() => into.push(tree),
            GroupKind::CaptureIndex(_)
            | GroupKind::CaptureName { .. }
            | GroupKind::NonCapturing(_) => outermost(&group.ast, into),
        },
        Ast::Concat(all) => {
            let starts = |part: &&Ast| is_anchor(part, &START);
            let ends = |part: &&Ast| is_anchor(part, &END);
            let from = all.asts.iter().take_while(starts).count();
            let left = all.asts.get(from..).unwrap_or_default();
            let to = left.len() - left.iter().rev().take_while(ends).count();
            match left.get(..to) {
                Some([one]) => outermost(one, into),
                _ => into.push(tree),
            }
        }
        _ => into.push(tree),
    }
}

const START: [AssertionKind; 2] = [AssertionKind::StartLine, AssertionKind::StartText];
const END: [AssertionKind; 2] = [AssertionKind::EndLine, AssertionKind::EndText];

fn is_anchor(part: &Ast, kinds: &[AssertionKind]) -> bool {
    matches!(part, Ast::Assertion(assertion) if kinds.contains(&assertion.kind))
}

/// What the ways through an expression spell: a set of the four below.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spelled(u8);

/// Neither an `@` nor a `:` or a `/`.
const NEITHER: u8 = 1;
/// A `:` or a `/`, and no `@`.
const URI: u8 = 2;
/// An `@`, and neither a `:` nor a `/`.
const ADDRESS: u8 = 4;
/// Both.
const BOTH: u8 = 8;

impl Spelled {
    const fn has(self, ways: u8) -> bool {
        self.0 & ways != 0
    }

    const fn of(character: char) -> Self {
        Self(match character {
            ':' | '/' => URI,
            '@' => ADDRESS,
            _ => NEITHER,
        })
    }

    /// One after the other.
    fn then(self, other: Self) -> Self {
        let mut ways = 0;
        for one in 0_u8..4 {
            for two in 0_u8..4 {
                // The bits of the place say what is spelled: 1 for a URI, 2 for an address.
                if self.has(1 << one) && other.has(1 << two) {
                    ways |= 1 << (one | two);
                }
            }
        }
        Self(ways)
    }
}

impl BitOr for Spelled {
    type Output = Self;

    /// One or the other.
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

fn spelled(expression: &Hir) -> Spelled {
    let nothing = Spelled(NEITHER);
    match expression.kind() {
        HirKind::Literal(Literal(bytes)) => {
            let each = bytes.iter().map(|byte| Spelled::of(char::from(*byte)));
            each.fold(nothing, Spelled::then)
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = || class.iter().map(|range| range.start()..=range.end());
            let few = ranges().flatten().take(FEW + 1).count() <= FEW;
            let each = ranges().flatten().take(FEW).map(Spelled::of);
            if few {
                each.reduce(BitOr::bitor).unwrap_or(nothing)
            } else {
                nothing
            }
        }
        HirKind::Class(Class::Bytes(_)) => Spelled(URI),
        HirKind::Empty | HirKind::Look(_) => nothing,
        HirKind::Repetition(repetition) => {
            let once = spelled(&repetition.sub);
            // Four ways are all there are, so three more times add whatever more times could.
            let more = (0..3).fold(once, |ways, _| ways | ways.then(once));
            let ways = if repetition.max == Some(1) {
                once
            } else {
                more
            };
            if repetition.min == 0 {
                ways | nothing
            } else {
                ways
            }
        }
        HirKind::Capture(capture) => spelled(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(spelled).fold(nothing, Spelled::then),
        HirKind::Alternation(parts) => {
            let ways = parts.iter().map(spelled).reduce(BitOr::bitor);
            ways.unwrap_or(nothing)
        }
    }
}
