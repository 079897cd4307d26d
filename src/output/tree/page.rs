//! The tree as text: an overview, then the evidence of each manifest, then what is missing.

use std::io;
use std::io::Write;

use crate::model::Outcome;
use crate::model::San;
use crate::model::Timestamp;
use crate::output::Look;
use crate::output::human;
use crate::output::sheet::INDENT;
use crate::output::sheet::LABEL;
use crate::output::sheet::Sheet;
use crate::output::sheet::Tone;
use crate::output::text;
use crate::output::tree::Kind;
use crate::output::tree::Manifest;
use crate::output::tree::NOT_A_VERDICT;
use crate::output::tree::Tree;
use crate::output::tree::What;
use crate::output::tree::short;
use crate::policy::Finding;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::verify::Claimed;
use crate::verify::Signer;
use crate::verify::TimeSource;
use crate::verify::VerifiedSignature;

/// Annotations that are listed for one signature; whoever signs chooses how many there are.
const ANNOTATIONS: usize = 16;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub(super) fn render(trees: &[Tree<'_>], look: Look, to: &mut dyn Write) -> io::Result<()> {
    for (at, tree) in trees.iter().enumerate() {
        let mut page = Page {
            tree,
            short: human::short_length(tree.report),
            sheet: Sheet::new(look, &mut *to),
        };
        if at > 0 {
            page.sheet.blank()?;
        }
        page.tree()?;
    }
    Ok(())
}

/// One tree on its way out.
struct Page<'a> {
    tree: &'a Tree<'a>,
    short: usize,
    sheet: Sheet<'a>,
}

impl<'a> Page<'a> {
    fn tree(&mut self) -> io::Result<()> {
        self.head()?;
        let tree = self.tree;
        for gap in &tree.report.evidence.gaps {
            self.gap(gap)?;
        }
        if tree.manifests.len() > 1 {
            self.sheet.blank()?;
            self.overview()?;
        }
        for (subject, manifest) in tree.rows() {
            if subject.findings.is_empty() && manifest.whole {
                continue;
            }
            self.sheet.blank()?;
            self.subject(subject)?;
        }
        if tree.manifests.iter().all(|manifest| manifest.whole)
            && tree
                .report
                .evidence
                .subjects
                .iter()
                .all(|subject| subject.findings.is_empty())
            && !tree.manifests.is_empty()
        {
            self.sheet.blank()?;
            self.sheet.prose(0, "no evidence was found")?;
        }
        self.missing()?;
        if tree
            .gap()
            .is_some_and(|code| code.outcome() == Outcome::Undecided)
        {
            self.sheet.blank()?;
            self.sheet.prose(
                0,
                "Something could not be read, so there may be more than is shown. Asking again may \
                 show it.",
            )?;
        }
        Ok(())
    }

    fn head(&mut self) -> io::Result<()> {
        let report = self.tree.report;
        let word = self.sheet.paint("TREE", Tone::Title);
        writeln!(self.sheet.to, "{word} {}", human::target(&report.target))?;
        self.sheet.prose(
            INDENT,
            &format!(
                "{NOT_A_VERDICT}. What is valid holds under the trust that was given; whether its \
                 signer may sign is another question."
            ),
        )?;
        human::relaxations(report, &mut self.sheet)?;
        for warning in &report.evidence.warnings {
            self.sheet.prose(INDENT, &format!("WARNING: {warning}"))?;
        }
        if let Some(root) = &report.root {
            let mut root = root.hex();
            root.truncate(self.short);
            self.sheet
                .sentence("root", &format!("{root} (trust root)"))?;
        }
        let now = Timestamp::from_unix_seconds(report.now.unix_seconds()).unwrap_or(report.now);
        self.sheet.sentence("asked", &now.to_string())
    }

    /// One line for each manifest, with what it has.
    fn overview(&mut self) -> io::Result<()> {
        let tree = self.tree;
        let target = &tree.report.target;
        let whats = tree.rows().map(|(subject, _)| human::what(subject, target));
        let widest = whats.map(|what| what.chars().count()).max().unwrap_or(0);
        // A long platform must not push the rest of every line out of sight.
        let second = widest.clamp(5, 24);
        let last = tree.manifests.len() - 1;
        for (at, (subject, manifest)) in tree.rows().enumerate() {
            let branch = match at {
                0 => "",
                _ if at == last => "└─ ",
                _ => "├─ ",
            };
            let what = human::what(subject, target);
            let mut digest = subject.digest.hex();
            digest.truncate(self.short);
            let room = second + usize::from(at == 0) * 3;
            write!(self.sheet.to, "{:INDENT$}{branch}{what:room$}  ", "")?;
            let left = INDENT + 3 + second + 2;
            if what.chars().count() > room {
                write!(self.sheet.to, "\n{:left$}", "")?;
            }
            write!(self.sheet.to, "{digest:0$}  ", self.short)?;
            let left = left + self.short + 2;
            let has = has(subject, manifest);
            for (line, text) in text::wrap(&has, self.sheet.width(left)).iter().enumerate() {
                let left = if line == 0 { 0 } else { left };
                writeln!(self.sheet.to, "{:left$}{text}", "")?;
            }
        }
        Ok(())
    }

    fn subject(&mut self, subject: &'a Subject) -> io::Result<()> {
        let what = human::what(subject, &self.tree.report.target);
        let note = match subject.role {
            Role::Attestation => " (BuildKit's, which never runs)",
            _ => "",
        };
        let title = self.sheet.paint(&format!("{what}{note}"), Tone::Title);
        writeln!(self.sheet.to, "{title}")?;
        self.sheet.field("digest", &subject.digest.to_string())?;
        for (at, finding) in self.tree.evidence(subject).into_iter().enumerate() {
            self.finding(at + 1, finding)?;
        }
        for gap in subject.gaps.iter().chain(&subject.unread) {
            self.gap(gap)?;
        }
        if subject.not_examined > 0 {
            let count = format!("{:INDENT$}not examined: {}", "", subject.not_examined);
            writeln!(self.sheet.to, "{count}")?;
        }
        Ok(())
    }

    fn finding(&mut self, number: usize, finding: &Finding) -> io::Result<()> {
        let label = format!("[{number}]");
        let what = What::of(finding);
        let named = match &what {
            What::Attestation(Some(uri)) => format!("attestation {}", text::name(&short(uri))),
            What::Message => "signature over a file".to_owned(),
            other => other.name().to_owned(),
        };
        let held = self.tree.holds(finding);
        let (word, tone) = match (&held, &what) {
            (Ok(_), _) => ("valid".to_owned(), Tone::Good),
            (Err(_), What::Artifact) => ("not signed".to_owned(), Tone::Plain),
            (Err(refusal), _) => (format!("not valid, {}", refusal.code), Tone::Bad),
        };
        let word = self.sheet.paint(&word, tone);
        writeln!(
            self.sheet.to,
            "{:INDENT$}{label:LABEL$} {named}: {word}",
            ""
        )?;
        if let Err(refusal) = &held {
            self.sheet.sentence("reason", &refusal.found)?;
        }
        let layout = finding.layout.map_or("unknown", |layout| layout.name());
        self.sheet
            .sentence("layout", &format!("{layout}, found by {}", finding.way))?;
        match &finding.proof {
            Ok(signature) => self.signature(signature),
            Err(_) => {
                self.sheet.field("holder", &finding.holder.to_string())?;
                match &finding.claimed {
                    Some(claimed) => self.claimed(claimed),
                    None => Ok(()),
                }
            }
        }
    }

    /// What is proven about a signature.
    fn signature(&mut self, signature: &VerifiedSignature) -> io::Result<()> {
        match signature.signer() {
            Signer::Key(id) => self.sheet.field("key", &id.to_string())?,
            Signer::Certificate { identity, .. } => {
                let label = match &identity.san {
                    San::Email(_) => "email",
                    San::OtherName(_) => "user",
                    San::Uri(_) => "signer",
                };
                self.sheet.field(label, &text::name(identity.san.value()))?;
                self.sheet.field("issuer", &text::name(&identity.issuer))?;
            }
        }
        if !signature.is_signature()
            && let Some(predicate) = signature.predicate_type()
        {
            self.sheet.field("type", &text::name(predicate))?;
        }
        let annotations = signature.annotations().into_iter().flatten();
        let mut label = "notes";
        for (name, value) in annotations.clone().take(ANNOTATIONS) {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let note = crate::model::printable(&format!("{name}={value}"));
            self.sheet.sentence(label, &note)?;
            label = "";
        }
        let more = annotations.count().saturating_sub(ANNOTATIONS);
        if more > 0 {
            self.sheet.sentence("", &format!("and {more} more"))?;
        }
        let mut label = "signed";
        for time in signature.times() {
            let source = match time.source {
                TimeSource::LogPromise => "the log's promise",
                TimeSource::Timestamp => "timestamp authority",
            };
            let ago = ago(self.tree.report.now, time.time);
            self.sheet
                .sentence(label, &format!("{ago}: {} ({source})", time.time))?;
            label = "";
        }
        if signature.times().is_empty() {
            self.sheet
                .sentence(label, "at a time that nothing proves")?;
        }
        self.sheet.field("proof", &signature.evidence().to_string())
    }

    /// What evidence that does not hold says of itself, marked as such.
    fn claimed(&mut self, claimed: &Claimed) -> io::Result<()> {
        let Signer::Certificate { identity, .. } = &claimed.signer else {
            return Ok(());
        };
        self.sheet
            .sentence("claims", "to be, and nothing vouches for it:")?;
        self.sheet.field("by", &text::name(identity.san.value()))?;
        self.sheet.field("issuer", &text::name(&identity.issuer))?;
        for time in &claimed.times {
            self.sheet.field("of", &time.to_string())?;
        }
        Ok(())
    }

    fn gap(&mut self, gap: &Refusal) -> io::Result<()> {
        let word = self.sheet.paint("not read", Tone::Open);
        writeln!(self.sheet.to, "{:INDENT$}{word}: {}", "", gap.code)?;
        self.sheet.sentence("reason", &gap.found)
    }

    /// What one platform has and another has not.
    fn missing(&mut self) -> io::Result<()> {
        let tree = self.tree;
        let mut is_first = true;
        for (subject, manifest) in tree
            .rows()
            .filter(|(_, manifest)| !manifest.lacks.is_empty())
        {
            if is_first {
                self.sheet.blank()?;
                let title = self.sheet.paint("missing", Tone::Title);
                writeln!(self.sheet.to, "{title}")?;
                is_first = false;
            }
            let named = |at: &usize| tree.report.evidence.subjects.get(*at);
            let of_platform = |at: &usize| {
                named(at).is_some_and(|subject| matches!(subject.role, Role::Image(_)))
            };
            let each = manifest.lacks.iter().map(|lack| {
                let kind = shown(&lack.kind);
                if lack.had_by.iter().any(of_platform) {
                    kind
                } else {
                    format!("{kind} (only an index has it)")
                }
            });
            let each = each.collect::<Vec<_>>().join(", ");
            let target = &tree.report.target;
            let mut what = human::what(subject, target);
            let alike = tree
                .rows()
                .filter(|(other, _)| human::what(other, target) == what);
            if alike.count() > 1 {
                let mut digest = subject.digest.hex();
                digest.truncate(self.short);
                what = format!("{what} {digest}");
            }
            let verb = if manifest.whole { "lacks" } else { "may lack" };
            self.sheet
                .prose(INDENT, &format!("{what} {verb}: {each}"))?;
        }
        Ok(())
    }
}

/// What a manifest has, in few words.
fn has(subject: &Subject, manifest: &Manifest) -> String {
    let mut has = match (manifest.has.is_empty(), subject.findings.is_empty()) {
        (true, true) => "nothing".to_owned(),
        (true, false) => "nothing valid".to_owned(),
        (false, _) => manifest
            .has
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(", "),
    };
    if subject.role == Role::Attestation {
        has.push_str(" (BuildKit's, which never runs)");
    }
    if !manifest.whole {
        has.push_str(" (not everything could be read)");
    }
    has
}

fn shown(kind: &Kind) -> String {
    text::name(&kind.name())
}

/// How long ago a time is, in its largest unit.
fn ago(now: Timestamp, time: Timestamp) -> String {
    let seconds = now.unix_seconds() - time.unix_seconds();
    let (count, unit) = match seconds {
        ..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        DAY.. => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
        for (seconds, told) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (7200, "2 hours ago"),
            (86399, "23 hours ago"),
            (86400, "1 day ago"),
            (400 * 86400, "400 days ago"),
        ] {
            assert_eq!(ago(now, now.plus_seconds(-seconds)), told);
        }
    }
}
