//! Which kinds of names an expression means: URIs, or e-mail addresses and user names.
//!
//! An e-mail address may look like a URI, and the branch of a build may end like an e-mail address, so
//! an expression is met only by the kind that it spells. A `:` or a `/` is in every URI and in nobody's
//! e-mail address; where there is an `@` and neither of them, an e-mail address is meant. Each
//! alternative counts for itself: `https://github\.com/acme/.*|.*@acme\.com` takes both kinds.

use regex_syntax::hir::Class;
use regex_syntax::hir::ClassUnicode;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;
use regex_syntax::hir::Literal;
use regex_syntax::hir::Repetition;

/// Characters of a class that are still spelled, one by one. One that lets nearly anything stand in a
/// place spells none.
const FEW: usize = 10;
/// Alternatives that are told apart; an expression with more is looked at as a whole.
const MAX_ALTERNATIVES: usize = 256;

/// The part of an expression that URIs may meet: without the alternatives that spell an `@` and
/// neither a `:` nor a `/`. Nothing where none is left.
pub(super) fn for_uris(expression: &Hir) -> Option<Hir> {
    let is_for_uris = |alternative: &Hir| {
        spells(alternative, is_of_uris) || !spells(alternative, |character| character == '@')
    };
    let Some(all) = alternatives(expression) else {
        return is_for_uris(expression).then(|| expression.clone());
    };
    if all.iter().all(is_for_uris) {
        return Some(expression.clone());
    }
    let left: Vec<_> = all.into_iter().filter(is_for_uris).collect();
    (!left.is_empty()).then(|| Hir::alternation(left))
}

/// The part of an expression that names of other kinds may meet: whatever is left without a spelled
/// `:` or `/`. Nothing where every way leads over one.
pub(super) fn for_others(expression: &Hir) -> Option<Hir> {
    match expression.kind() {
        HirKind::Literal(Literal(bytes)) => {
            let is_free = !bytes.iter().any(|byte| is_of_uris(char::from(*byte)));
            is_free.then(|| expression.clone())
        }
        HirKind::Class(Class::Unicode(class)) if is_few(class) => {
            let kept = characters(class).filter(|character| !is_of_uris(*character));
            let ranges = kept.map(|one| regex_syntax::hir::ClassUnicodeRange::new(one, one));
            let class = ClassUnicode::new(ranges);
            let is_free = class.iter().next().is_some();
            is_free.then(|| Hir::class(Class::Unicode(class)))
        }
        // Not made by expressions over text.
        HirKind::Class(Class::Bytes(_)) => None,
        HirKind::Class(Class::Unicode(_)) | HirKind::Empty | HirKind::Look(_) => {
            Some(expression.clone())
        }
        HirKind::Repetition(repetition) => match for_others(&repetition.sub) {
            Some(sub) => Some(Hir::repetition(Repetition {
                sub: Box::new(sub),
                ..repetition.clone()
            })),
            None => (repetition.min == 0).then(Hir::empty),
        },
        HirKind::Capture(capture) => for_others(&capture.sub),
        HirKind::Concat(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(for_others).collect();
            parts.map(Hir::concat)
        }
        HirKind::Alternation(parts) => {
            let left: Vec<_> = parts.iter().filter_map(for_others).collect();
            (!left.is_empty()).then(|| Hir::alternation(left))
        }
    }
}

const fn is_of_uris(character: char) -> bool {
    matches!(character, ':' | '/')
}

fn characters(class: &ClassUnicode) -> impl Iterator<Item = char> {
    let ranges = class.iter().map(|range| range.start()..=range.end());
    ranges.flatten()
}

fn is_few(class: &ClassUnicode) -> bool {
    characters(class).take(FEW + 1).count() <= FEW
}

/// Whether an expression spells such a character, in whatever way it is written: by itself, or as one
/// of a few that may stand in a place.
fn spells(expression: &Hir, wanted: fn(char) -> bool) -> bool {
    match expression.kind() {
        HirKind::Literal(Literal(bytes)) => bytes.iter().any(|byte| wanted(char::from(*byte))),
        HirKind::Class(Class::Unicode(class)) => is_few(class) && characters(class).any(wanted),
        HirKind::Class(Class::Bytes(_)) => true,
        kind => kind.subs().iter().any(|sub| spells(sub, wanted)),
    }
}

/// The alternatives of an expression, wherever in it they stand. Nothing where there are too many.
fn alternatives(expression: &Hir) -> Option<Vec<Hir>> {
    let all = match expression.kind() {
        HirKind::Alternation(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(alternatives).collect();
            parts?.concat()
        }
        HirKind::Capture(capture) => alternatives(&capture.sub)?,
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut all = alternatives(&repetition.sub)?;
            all.push(Hir::empty());
            all
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Hir::empty()];
            for part in parts {
                let next = alternatives(part)?;
                if all.len() * next.len() > MAX_ALTERNATIVES {
                    return None;
                }
                let with = |start: &Hir| -> Vec<_> {
                    let ends = next.iter();
                    ends.map(|end| Hir::concat(vec![start.clone(), end.clone()]))
                        .collect()
                };
                all = all.iter().flat_map(with).collect();
            }
            all
        }
        _ => vec![expression.clone()],
    };
    (all.len() <= MAX_ALTERNATIVES).then_some(all)
}
