//! Reports for people: the verdict, what was demanded, a table of the manifests, the evidence of
//! each, and for a refusal why and what helps.
//!
//! Everything can be read without colour. Sentences are wrapped; digests, identities and other names
//! stand whole, on a line of their own where they must. The short digests of a report are as long as
//! it takes to tell them apart.

use std::collections::BTreeSet;
use std::io;
use std::io::Write;

use crate::admit::Report;
use crate::admit::Target;
use crate::model::Claim;
use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Outcome as Kind;
use crate::model::San;
use crate::model::Timestamp;
use crate::output::Colour;
use crate::output::Look;
use crate::output::explain;
use crate::output::text;
use crate::policy::Decision;
use crate::policy::Denial;
use crate::policy::Finding;
use crate::policy::Judged;
use crate::policy::Outcome;
use crate::policy::Proven;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::verify::Claimed;
use crate::verify::LogEvidence;
use crate::verify::Signer;
use crate::verify::TimeSource;
use crate::verify::VerifiedSignature;

/// Columns before a label, and columns of a label. With them a SHA-256 digest ends in column 80.
const INDENT: usize = 2;
const LABEL: usize = 6;
/// Below this sentences are not wrapped any narrower.
const NARROWEST: usize = 40;
/// Hexadecimal digits of a short digest, at least.
const SHORT: usize = 12;
/// Annotations that are listed for one signature; whoever signs chooses how many there are.
const ANNOTATIONS: usize = 16;

pub(super) fn render(reports: &[Report], look: Look, to: &mut dyn Write) -> io::Result<()> {
    for (at, report) in reports.iter().enumerate() {
        let mut page = Page {
            report,
            short: short_length(report),
            look,
            to: &mut *to,
        };
        if at > 0 {
            page.blank()?;
        }
        page.report()?;
    }
    if reports.len() > 1 {
        let count = |outcome| {
            let of_it = |report: &&Report| report.decision.outcome() == outcome;
            reports.iter().filter(of_it).count()
        };
        writeln!(
            to,
            "\n{} references: {} allowed, {} denied, {} undecided",
            reports.len(),
            count(Outcome::Allow),
            count(Outcome::Deny),
            count(Outcome::Undecided)
        )?;
    }
    Ok(())
}

/// What a text says, for those who see colour.
#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Good,
    Open,
    Plain,
    Title,
}

/// What became of one manifest.
enum Status {
    Met(Proven),
    NotAsked,
    Unmet(Denial),
}

impl Status {
    fn of(report: &Report, at: usize) -> Self {
        match report.policy.answer(&report.evidence, at) {
            None => Self::NotAsked,
            Some(Ok(proven)) => Self::Met(proven),
            Some(Err(denial)) => Self::Unmet(denial),
        }
    }

    fn word(&self) -> (&'static str, Tone) {
        match self {
            Self::Met(_) => ("ok", Tone::Good),
            Self::NotAsked => ("not asked", Tone::Plain),
            Self::Unmet(denial) => match denial.code.outcome() {
                Kind::Deny => ("DENIED", Tone::Bad),
                Kind::Undecided => ("unknown", Tone::Open),
            },
        }
    }
}

/// One report on its way out.
struct Page<'a> {
    report: &'a Report,
    short: usize,
    look: Look,
    to: &'a mut dyn Write,
}

impl Page<'_> {
    fn report(&mut self) -> io::Result<()> {
        self.head()?;
        let subjects = &self.report.evidence.subjects;
        if subjects.len() > 1 || self.report.evidence.parent.is_some() {
            self.blank()?;
            self.table()?;
        }
        for (at, subject) in subjects.iter().enumerate() {
            let silent = subject.findings.is_empty()
                && subject.gaps.is_empty()
                && subject.unread.is_none()
                && subject.not_examined == 0;
            if silent {
                continue;
            }
            let what = what(subject, &self.report.target);
            self.blank()?;
            if subjects.len() == 1 {
                // The verdict above is about nothing else.
                let title = self.paint(&format!("evidence about the {what}"), Tone::Title);
                writeln!(self.to, "{title}")?;
            } else {
                let (word, tone) = Status::of(self.report, at).word();
                let title = format!("{what} {}", self.shortened(&subject.digest));
                let title = self.paint(&title, Tone::Title);
                let word = self.paint(word, tone);
                writeln!(self.to, "{title}: {word}")?;
                self.field("digest", &subject.digest.to_string())?;
            }
            self.evidence(subject)?;
        }
        if let Some(parent) = &self.report.evidence.parent {
            self.blank()?;
            let lists = if parent.lists_image {
                "lists the image"
            } else {
                "does not list the image"
            };
            let title = format!("parent index {}", self.shortened(&parent.subject.digest));
            let title = self.paint(&title, Tone::Title);
            writeln!(self.to, "{title}: {lists}")?;
            self.field("digest", &parent.subject.digest.to_string())?;
            self.evidence(&parent.subject)?;
        }
        match &self.report.decision {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(denials) => self.why(denials),
            Decision::Undecided(denials) => {
                self.why(denials)?;
                self.blank()?;
                // Rules of scgate's own give the same answer every time.
                let own_rules = |denial: &Denial| denial.code == DenyCode::RegistryRefused;
                self.prose(
                    0,
                    if denials.iter().all(own_rules) {
                        "Nothing was refused, but something that is needed could not be read: this \
                         is neither a yes nor a no."
                    } else {
                        "Nothing was refused, but something that is needed could not be read: this \
                         is neither a yes nor a no. Asking again may change the answer."
                    },
                )
            }
        }
    }

    /// Verdict, demand, and everything that was not as usual.
    fn head(&mut self) -> io::Result<()> {
        let report = self.report;
        let (word, tone) = match report.decision.outcome() {
            Outcome::Allow => ("ALLOW", Tone::Good),
            Outcome::Deny => ("DENY", Tone::Bad),
            Outcome::Undecided => ("UNDECIDED", Tone::Open),
        };
        let word = self.paint(word, tone);
        let target = target(&report.target);
        writeln!(self.to, "{word} {target}")?;
        if let Target::File { digest, .. } = &report.target {
            self.field("digest", &digest.to_string())?;
        }
        for relaxation in &report.relaxed {
            let loud = self.paint(&format!("RELAXED: {relaxation}"), Tone::Bad);
            writeln!(self.to, "{:INDENT$}{loud}", "")?;
        }
        if let Some(at) = report.policy.at() {
            let loud = self.paint(&format!("AS OF {at}"), Tone::Open);
            writeln!(self.to, "{:INDENT$}{loud}", "")?;
            self.prose(
                INDENT,
                "What was signed later does not count; listings and tags are those of today.",
            )?;
        }
        for warning in &report.evidence.warnings {
            self.prose(INDENT, &format!("WARNING: {warning}"))?;
        }
        self.sentence("policy", report.policy.name())?;
        self.sentence("demand", &demand(report))?;
        if let Some(root) = &report.root {
            let root = format!("{} (trust root)", self.shortened(root));
            self.sentence("root", &root)?;
        }
        let now = Timestamp::from_unix_seconds(report.now.unix_seconds()).unwrap_or(report.now);
        self.sentence("asked", &now.to_string())
    }

    /// One line for each manifest.
    fn table(&mut self) -> io::Result<()> {
        let report = self.report;
        let subjects = &report.evidence.subjects;
        let whats: Vec<_> = subjects.iter().map(|s| what(s, &report.target)).collect();
        let first = self.short.max("manifest".len());
        // A long platform must not push the rest of every line out of sight.
        let second = whats.iter().map(|what| what.chars().count()).max();
        let second = second.unwrap_or(0).clamp("what".len(), 24);
        let indent = first + second + 2 * INDENT;
        let left = indent + 2 + 9 + 2;
        let title = format!(
            "{:INDENT$}{:first$}  {:second$}  {:9}  evidence",
            "", "manifest", "what", "status"
        );
        let title = self.paint(&title, Tone::Title);
        writeln!(self.to, "{title}")?;
        for (at, (subject, what)) in subjects.iter().zip(whats).enumerate() {
            let status = Status::of(report, at);
            let by = match &status {
                Status::Met(proven) => self.rests_on(proven, self.width(left)),
                Status::Unmet(denial) => denial.code.name().to_owned(),
                Status::NotAsked => accepted(report, subject, self.width(left)).unwrap_or_default(),
            };
            let (word, tone) = status.word();
            let digest = self.shortened(&subject.digest);
            write!(self.to, "{:INDENT$}{digest:first$}  {what:second$}  ", "")?;
            if what.chars().count() > second {
                write!(self.to, "\n{:indent$}  ", "")?;
            }
            let painted = self.paint(word, tone);
            if by.is_empty() {
                writeln!(self.to, "{painted}")?;
                continue;
            }
            let gap = 9_usize.saturating_sub(word.len());
            let lines = text::wrap(&by, self.width(left));
            let mut lines = lines.iter();
            let begin = lines.next().map_or("", String::as_str);
            writeln!(self.to, "{painted}{:gap$}  {begin}", "")?;
            for line in lines {
                writeln!(self.to, "{:left$}{line}", "")?;
            }
        }
        Ok(())
    }

    /// On what a manifest's part of an Allow rests. A signer whose name is too long for the table
    /// stands with the evidence below it.
    fn rests_on(&self, proven: &Proven, room: usize) -> String {
        let by = signed_by(&proven.signer, &proven.signature, room);
        match &proven.through_parent {
            Some(parent) => format!("{by} through parent {}", self.shortened(parent)),
            None => by,
        }
    }

    /// What was found about one manifest.
    fn evidence(&mut self, subject: &Subject) -> io::Result<()> {
        for (at, finding) in subject.findings.iter().enumerate() {
            self.finding(at + 1, finding)?;
        }
        for gap in subject.gaps.iter().chain(&subject.unread) {
            self.gap(gap)?;
        }
        if subject.not_examined > 0 {
            let count = format!("{:INDENT$}not examined: {}", "", subject.not_examined);
            writeln!(self.to, "{count}")?;
        }
        Ok(())
    }

    fn finding(&mut self, number: usize, finding: &Finding) -> io::Result<()> {
        let label = format!("[{number}]");
        match self.report.policy.judge(finding) {
            Judged::Accepted(by) => {
                let verdict = self.paint("accepted", Tone::Good);
                let by = text::sentence(&by);
                let left = INDENT + LABEL + 1;
                if left + "accepted by ".len() + by.chars().count() <= self.look.width {
                    writeln!(self.to, "{:INDENT$}{label:LABEL$} {verdict} by {by}", "")?;
                } else {
                    writeln!(self.to, "{:INDENT$}{label:LABEL$} {verdict}", "")?;
                    self.sentence("by", &by)?;
                }
            }
            Judged::Refused(refusal) => {
                let verdict = self.paint("refused", Tone::Bad);
                let code = refusal.code.name();
                writeln!(self.to, "{:INDENT$}{label:LABEL$} {verdict}: {code}", "")?;
                self.sentence("reason", &refusal.found)?;
            }
        }
        let layout = finding.layout.map_or("unknown", |layout| layout.name());
        self.sentence("layout", &format!("{layout}, found by {}", finding.way))?;
        match &finding.proof {
            Ok(signature) => self.signature(signature),
            Err(_) => {
                self.field("holder", &finding.holder.to_string())?;
                match &finding.claimed {
                    Some(claimed) => self.claimed(claimed),
                    None => Ok(()),
                }
            }
        }
    }

    /// What evidence that does not hold says of itself, marked as such.
    fn claimed(&mut self, claimed: &Claimed) -> io::Result<()> {
        let Signer::Certificate { identity, .. } = &claimed.signer else {
            return Ok(());
        };
        self.sentence("says", "of itself, and nothing vouches for it:")?;
        self.field("signer", &text::name(identity.san.value()))?;
        self.field("issuer", &text::name(&identity.issuer))?;
        for time in &claimed.times {
            self.field("signed", &time.to_string())?;
        }
        for index in &claimed.log_indexes {
            self.field("log", &format!("entry {index}"))?;
        }
        Ok(())
    }

    /// What is proven about a signature.
    fn signature(&mut self, signature: &VerifiedSignature) -> io::Result<()> {
        match signature.signer() {
            Signer::Key(id) => self.field("key", &id.to_string())?,
            Signer::Certificate { identity, .. } => {
                let label = match &identity.san {
                    San::Email(_) => "email",
                    San::OtherName(_) => "user",
                    San::Uri(_) => "signer",
                };
                self.field(label, &text::name(identity.san.value()))?;
                self.field("issuer", &text::name(&identity.issuer))?;
                let main = [
                    (
                        "repository",
                        Claim::SourceRepositoryUri,
                        Claim::GithubWorkflowRepository,
                    ),
                    ("ref", Claim::SourceRepositoryRef, Claim::GithubWorkflowRef),
                    (
                        "commit",
                        Claim::SourceRepositoryDigest,
                        Claim::GithubWorkflowSha,
                    ),
                    ("trigger", Claim::BuildTrigger, Claim::GithubWorkflowTrigger),
                    ("runner", Claim::RunnerEnvironment, Claim::RunnerEnvironment),
                ];
                let mut label = "claims";
                for (name, claim, deprecated) in main {
                    let claims = &identity.claims;
                    if let Some(value) = claims.get(claim).or_else(|| claims.get(deprecated)) {
                        self.field(label, &format!("{name} {}", text::name(value)))?;
                        label = "";
                    }
                }
            }
        }
        if !signature.is_signature()
            && let Some(predicate) = signature.predicate_type()
        {
            self.field("type", &text::name(predicate))?;
        }
        if let Some(named) = signature.docker_reference() {
            self.field("named", &text::name(named))?;
        }
        let annotations = signature.annotations().into_iter().flatten();
        let mut label = "notes";
        for (name, value) in annotations.clone().take(ANNOTATIONS) {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let note = crate::model::printable(&format!("{name}={value}"));
            self.sentence(label, &note)?;
            label = "";
        }
        let more = annotations.count().saturating_sub(ANNOTATIONS);
        if more > 0 {
            self.sentence("", &format!("and {more} more"))?;
        }
        let mut label = "signed";
        for time in signature.times() {
            let source = match time.source {
                TimeSource::LogPromise => "the log's promise",
                TimeSource::Timestamp => "timestamp authority",
            };
            self.sentence(label, &format!("{} ({source})", time.time))?;
            label = "";
        }
        if signature.times().is_empty() {
            self.sentence(label, "at a time that nothing proves")?;
        }
        let mut label = "log";
        for entry in signature.logs() {
            let evidence = match entry.evidence {
                LogEvidence::Included => "included",
                LogEvidence::Promised => "promised",
            };
            let log = self.shortened(&entry.log);
            self.sentence(
                label,
                &format!("entry {} of {log}, {evidence}", entry.index),
            )?;
            label = "";
        }
        if signature.logs().is_empty() {
            self.sentence(label, "none")?;
        }
        self.field("proof", &signature.evidence().to_string())
    }

    fn gap(&mut self, gap: &Refusal) -> io::Result<()> {
        let (what, tone) = match gap.code.outcome() {
            Kind::Deny => ("refused", Tone::Bad),
            Kind::Undecided => ("not read", Tone::Open),
        };
        let what = self.paint(what, tone);
        writeln!(self.to, "{:INDENT$}{what}: {}", "", gap.code.name())?;
        self.sentence("reason", &gap.found)
    }

    /// The reasons, each with all manifests that it is about.
    fn why(&mut self, denials: &[Denial]) -> io::Result<()> {
        let mut told: Vec<(&Denial, Vec<Digest>)> = Vec::new();
        for denial in denials {
            let same = told.iter_mut().find(|(first, _)| {
                (first.code, &first.found, &first.requirement)
                    == (denial.code, &denial.found, &denial.requirement)
            });
            match same {
                Some((_, about)) => about.push(denial.subject),
                None => told.push((denial, vec![denial.subject])),
            }
        }
        let mut remedied: BTreeSet<DenyCode> = BTreeSet::new();
        for (denial, about) in told {
            self.blank()?;
            let title = self.paint(&format!("why: {}", denial.code), Tone::Title);
            writeln!(self.to, "{title}")?;
            let mut label = "about";
            for digest in &about {
                let subjects = &self.report.evidence.subjects;
                let Some(subject) = subjects.iter().find(|s| s.digest == *digest) else {
                    continue;
                };
                let what = what(subject, &self.report.target);
                let short = self.shortened(digest);
                self.field(label, &format!("{what} {short}"))?;
                label = "";
            }
            self.sentence("found", &denial.found)?;
            self.sentence("demand", &denial.requirement)?;
            if remedied.insert(denial.code) {
                self.sentence("means", explain::meaning(denial.code))?;
                self.sentence("remedy", explain::remedy(denial.code))?;
            }
        }
        Ok(())
    }

    fn blank(&mut self) -> io::Result<()> {
        writeln!(self.to)
    }

    /// A label and a name, which is never broken. Where it fits only without the label, it has the
    /// next line.
    fn field(&mut self, label: &str, value: &str) -> io::Result<()> {
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
    fn sentence(&mut self, label: &str, value: &str) -> io::Result<()> {
        let left = INDENT + LABEL + 1;
        let mut label = label;
        for line in text::wrap(&text::sentence(value), self.width(left)) {
            writeln!(self.to, "{:INDENT$}{label:LABEL$} {line}", "")?;
            label = "";
        }
        Ok(())
    }

    fn prose(&mut self, left: usize, value: &str) -> io::Result<()> {
        for line in text::wrap(value, self.width(left)) {
            writeln!(self.to, "{:left$}{line}", "")?;
        }
        Ok(())
    }

    /// Columns that are left of a line.
    fn width(&self, left: usize) -> usize {
        self.look.width.max(NARROWEST).saturating_sub(left).max(16)
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
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

    fn shortened(&self, digest: &Digest) -> String {
        let mut text = digest.hex();
        text.truncate(self.short);
        text
    }
}

/// How many digits it takes to tell the digests of a report apart: whoever makes two images can make
/// the first digits of their digests equal.
fn short_length(report: &Report) -> usize {
    let evidence = &report.evidence;
    let parent = evidence.parent.as_ref().map(|parent| &parent.subject);
    let subjects = evidence.subjects.iter().chain(parent);
    let mut digests: BTreeSet<String> = report.root.iter().map(Digest::hex).collect();
    for subject in subjects {
        digests.insert(subject.digest.hex());
        for finding in &subject.findings {
            if let Ok(signature) = &finding.proof {
                digests.extend(signature.logs().iter().map(|entry| entry.log.hex()));
            }
        }
    }
    let mut length = SHORT;
    let mut before: Option<&String> = None;
    for digest in &digests {
        if let Some(before) = before {
            let pairs = before.bytes().zip(digest.bytes());
            let common = pairs.take_while(|(one, other)| one == other).count();
            length = length.max(common + 1);
        }
        before = Some(digest);
    }
    length
}

fn target(target: &Target) -> String {
    match target {
        Target::File { name, .. } => format!("file {}", text::sentence(name)),
        Target::Image { reference, digest } => match digest {
            Some(digest) if reference.digest().is_none() => {
                text::sentence(&format!("{reference}@{digest}"))
            }
            _ => text::sentence(&reference.to_string()),
        },
    }
}

fn what(subject: &Subject, target: &Target) -> String {
    match (&subject.role, target) {
        (Role::Attestation, _) => "attestation".to_owned(),
        (Role::Image(Some(platform)), _) => text::name(&platform.to_string()),
        (Role::Image(None), _) => "image".to_owned(),
        (Role::Index, _) => "index".to_owned(),
        (Role::Other, Target::File { .. }) => "file".to_owned(),
        (Role::Other, Target::Image { .. }) => "other".to_owned(),
        (Role::Unread, _) => "unread".to_owned(),
    }
}

fn demand(report: &Report) -> String {
    let policy = &report.policy;
    let mut demand = policy.requirement();
    if matches!(report.target, Target::Image { .. }) {
        demand.push_str(", covering ");
        demand.push_str(policy.covers().name());
    }
    if !policy.platforms().is_empty() {
        let asked: Vec<_> = policy.platforms().iter().map(ToString::to_string).collect();
        demand.push_str(" for ");
        demand.push_str(&asked.join(", "));
    }
    demand
}

/// The first signer that the policy accepts, of a manifest that it does not ask about.
fn accepted(report: &Report, subject: &Subject, room: usize) -> Option<String> {
    subject.findings.iter().find_map(|finding| {
        let Judged::Accepted(signer) = report.policy.judge(finding) else {
            return None;
        };
        let signature = finding.proof.as_ref().ok()?;
        Some(signed_by(&signer, signature, room))
    })
}

fn signed_by(signer: &str, signature: &VerifiedSignature, room: usize) -> String {
    let layout = signature.layout().name();
    let whole = format!("{layout} by {}", text::sentence(signer));
    if whole.chars().count() <= room {
        whole
    } else {
        layout.to_owned()
    }
}
