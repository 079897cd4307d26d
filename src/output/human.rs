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
use crate::output::Look;
use crate::output::explain;
use crate::output::sheet::INDENT;
use crate::output::sheet::LABEL;
use crate::output::sheet::Sheet;
use crate::output::sheet::Tone;
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

/// Hexadecimal digits of a short digest, at least.
const SHORT: usize = 12;
/// Annotations that are listed for one signature; whoever signs chooses how many there are.
const ANNOTATIONS: usize = 16;

pub(super) fn render(reports: &[Report], look: Look, to: &mut dyn Write) -> io::Result<()> {
    for (at, report) in reports.iter().enumerate() {
        let mut page = Page {
            report,
            short: short_length(report),
            sheet: Sheet::new(look, &mut *to),
        };
        if at > 0 {
            page.sheet.blank()?;
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
    sheet: Sheet<'a>,
}

impl Page<'_> {
    fn report(&mut self) -> io::Result<()> {
        self.head()?;
        let subjects = &self.report.evidence.subjects;
        if subjects.len() > 1 || self.report.evidence.parent.is_some() {
            self.sheet.blank()?;
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
            self.sheet.blank()?;
            if subjects.len() == 1 {
                // The verdict above is about nothing else.
                let title = self
                    .sheet
                    .paint(&format!("evidence about the {what}"), Tone::Title);
                writeln!(self.sheet.to, "{title}")?;
            } else {
                let (word, tone) = Status::of(self.report, at).word();
                let title = format!("{what} {}", self.shortened(&subject.digest));
                let title = self.sheet.paint(&title, Tone::Title);
                let word = self.sheet.paint(word, tone);
                writeln!(self.sheet.to, "{title}: {word}")?;
                self.sheet.field("digest", &subject.digest.to_string())?;
            }
            self.evidence(subject)?;
        }
        if let Some(parent) = &self.report.evidence.parent {
            self.sheet.blank()?;
            let lists = if parent.lists_image {
                "lists the image"
            } else {
                "does not list the image"
            };
            let title = format!("parent index {}", self.shortened(&parent.subject.digest));
            let title = self.sheet.paint(&title, Tone::Title);
            writeln!(self.sheet.to, "{title}: {lists}")?;
            self.sheet
                .field("digest", &parent.subject.digest.to_string())?;
            self.evidence(&parent.subject)?;
        }
        match &self.report.decision {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(denials) => self.why(denials),
            Decision::Undecided(denials) => {
                self.why(denials)?;
                self.sheet.blank()?;
                // Rules of scgate's own give the same answer every time.
                let own_rules = |denial: &Denial| denial.code == DenyCode::RegistryRefused;
                self.sheet.prose(
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
        let word = self.sheet.paint(word, tone);
        let target = target(&report.target);
        writeln!(self.sheet.to, "{word} {target}")?;
        if let Target::File { digest, .. } = &report.target {
            self.sheet.field("digest", &digest.to_string())?;
        }
        relaxations(report, &mut self.sheet)?;
        for warning in &report.evidence.warnings {
            self.sheet.prose(INDENT, &format!("WARNING: {warning}"))?;
        }
        self.sheet.sentence("policy", report.policy.name())?;
        self.sheet.sentence("demand", &demand(report))?;
        if let Some(root) = &report.root {
            let root = format!("{} (trust root)", self.shortened(root));
            self.sheet.sentence("root", &root)?;
        }
        let now = Timestamp::from_unix_seconds(report.now.unix_seconds()).unwrap_or(report.now);
        self.sheet.sentence("asked", &now.to_string())
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
        let title = self.sheet.paint(&title, Tone::Title);
        writeln!(self.sheet.to, "{title}")?;
        for (at, (subject, what)) in subjects.iter().zip(whats).enumerate() {
            let status = Status::of(report, at);
            let by = match &status {
                Status::Met(proven) => self.rests_on(proven, self.sheet.width(left)),
                Status::Unmet(denial) => denial.code.name().to_owned(),
                Status::NotAsked => {
                    accepted(report, subject, self.sheet.width(left)).unwrap_or_default()
                }
            };
            let (word, tone) = status.word();
            let digest = self.shortened(&subject.digest);
            write!(
                self.sheet.to,
                "{:INDENT$}{digest:first$}  {what:second$}  ",
                ""
            )?;
            if what.chars().count() > second {
                write!(self.sheet.to, "\n{:indent$}  ", "")?;
            }
            let painted = self.sheet.paint(word, tone);
            if by.is_empty() {
                writeln!(self.sheet.to, "{painted}")?;
                continue;
            }
            let gap = 9_usize.saturating_sub(word.len());
            let lines = text::wrap(&by, self.sheet.width(left));
            let mut lines = lines.iter();
            let begin = lines.next().map_or("", String::as_str);
            writeln!(self.sheet.to, "{painted}{:gap$}  {begin}", "")?;
            for line in lines {
                writeln!(self.sheet.to, "{:left$}{line}", "")?;
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
            writeln!(self.sheet.to, "{count}")?;
        }
        Ok(())
    }

    fn finding(&mut self, number: usize, finding: &Finding) -> io::Result<()> {
        let label = format!("[{number}]");
        match self.report.policy.judge(finding) {
            Judged::Accepted(by) => {
                let verdict = self.sheet.paint("accepted", Tone::Good);
                let by = text::sentence(&by);
                let left = INDENT + LABEL + 1;
                if left + "accepted by ".len() + by.chars().count() <= self.sheet.look.width {
                    writeln!(
                        self.sheet.to,
                        "{:INDENT$}{label:LABEL$} {verdict} by {by}",
                        ""
                    )?;
                } else {
                    writeln!(self.sheet.to, "{:INDENT$}{label:LABEL$} {verdict}", "")?;
                    self.sheet.sentence("by", &by)?;
                }
            }
            Judged::Refused(refusal) => {
                let verdict = self.sheet.paint("refused", Tone::Bad);
                let code = refusal.code.name();
                writeln!(
                    self.sheet.to,
                    "{:INDENT$}{label:LABEL$} {verdict}: {code}",
                    ""
                )?;
                self.sheet.sentence("reason", &refusal.found)?;
            }
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

    /// What evidence that does not hold says of itself, marked as such.
    fn claimed(&mut self, claimed: &Claimed) -> io::Result<()> {
        let Signer::Certificate { identity, .. } = &claimed.signer else {
            return Ok(());
        };
        self.sheet
            .sentence("says", "of itself, and nothing vouches for it:")?;
        self.sheet
            .field("signer", &text::name(identity.san.value()))?;
        self.sheet.field("issuer", &text::name(&identity.issuer))?;
        for time in &claimed.times {
            self.sheet.field("signed", &time.to_string())?;
        }
        for index in &claimed.log_indexes {
            self.sheet.field("log", &format!("entry {index}"))?;
        }
        Ok(())
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
                        self.sheet
                            .field(label, &format!("{name} {}", text::name(value)))?;
                        label = "";
                    }
                }
            }
        }
        if !signature.is_signature()
            && let Some(predicate) = signature.predicate_type()
        {
            self.sheet.field("type", &text::name(predicate))?;
        }
        if let Some(named) = signature.docker_reference() {
            self.sheet.field("named", &text::name(named))?;
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
            self.sheet
                .sentence(label, &format!("{} ({source})", time.time))?;
            label = "";
        }
        if signature.times().is_empty() {
            self.sheet
                .sentence(label, "at a time that nothing proves")?;
        }
        let mut label = "log";
        for entry in signature.logs() {
            let evidence = match entry.evidence {
                LogEvidence::Included => "included",
                LogEvidence::Promised => "promised",
            };
            let log = self.shortened(&entry.log);
            self.sheet.sentence(
                label,
                &format!("entry {} of {log}, {evidence}", entry.index),
            )?;
            label = "";
        }
        if signature.logs().is_empty() {
            self.sheet.sentence(label, "none")?;
        }
        self.sheet.field("proof", &signature.evidence().to_string())
    }

    fn gap(&mut self, gap: &Refusal) -> io::Result<()> {
        let (what, tone) = match gap.code.outcome() {
            Kind::Deny => ("refused", Tone::Bad),
            Kind::Undecided => ("not read", Tone::Open),
        };
        let what = self.sheet.paint(what, tone);
        writeln!(self.sheet.to, "{:INDENT$}{what}: {}", "", gap.code.name())?;
        self.sheet.sentence("reason", &gap.found)
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
            self.sheet.blank()?;
            let title = self
                .sheet
                .paint(&format!("why: {}", denial.code), Tone::Title);
            writeln!(self.sheet.to, "{title}")?;
            let mut label = "about";
            for digest in &about {
                let subjects = &self.report.evidence.subjects;
                let Some(subject) = subjects.iter().find(|s| s.digest == *digest) else {
                    continue;
                };
                let what = what(subject, &self.report.target);
                let short = self.shortened(digest);
                self.sheet.field(label, &format!("{what} {short}"))?;
                label = "";
            }
            self.sheet.sentence("found", &denial.found)?;
            self.sheet.sentence("demand", &denial.requirement)?;
            if remedied.insert(denial.code) {
                self.sheet
                    .sentence("means", explain::meaning(denial.code))?;
                self.sheet
                    .sentence("remedy", explain::remedy(denial.code))?;
            }
        }
        Ok(())
    }

    fn shortened(&self, digest: &Digest) -> String {
        let mut text = digest.hex();
        text.truncate(self.short);
        text
    }
}

/// What was not as strict as usual, and that another time than now is asked about.
pub(super) fn relaxations(report: &Report, sheet: &mut Sheet<'_>) -> io::Result<()> {
    for relaxation in &report.relaxed {
        let loud = sheet.paint(&format!("RELAXED: {relaxation}"), Tone::Bad);
        writeln!(sheet.to, "{:INDENT$}{loud}", "")?;
    }
    if let Some(at) = report.policy.at() {
        let loud = sheet.paint(&format!("AS OF {at}"), Tone::Open);
        writeln!(sheet.to, "{:INDENT$}{loud}", "")?;
        sheet.prose(
            INDENT,
            "What was signed later does not count; listings and tags are those of today.",
        )?;
    }
    Ok(())
}

/// How many digits it takes to tell the digests of a report apart: whoever makes two images can make
/// the first digits of their digests equal.
pub(super) fn short_length(report: &Report) -> usize {
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

pub(super) fn target(target: &Target) -> String {
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

pub(super) fn what(subject: &Subject, target: &Target) -> String {
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
