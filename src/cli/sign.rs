//! `scgate sign` and `scgate attest`: signatures and statements for an image and what is in it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::mem;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::admit::Thoroughness;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::failed::Failed;
use crate::cli::failed::outcome_of;
use crate::cli::files::check_place;
use crate::cli::files::keep_apart;
use crate::cli::files::read_file_or_stdin;
use crate::cli::files::write_whole;
use crate::cli::network;
use crate::cli::refused::CompatibleSigningFlags;
use crate::cli::say;
use crate::cli::signing::ServiceFlags;
use crate::cli::signing::WhoFlags;
use crate::cli::source::PlaceFlags;
use crate::cli::source::Question;
use crate::model::Limits;
use crate::model::Platform;
use crate::model::Reference;
use crate::model::Timestamp;
use crate::model::printable;
use crate::output::NotSigned;
use crate::output::signed_json;
use crate::output::signed_text;
use crate::output::signing_remedy;
use crate::registry::Source;
use crate::services::rekor::v1::LARGE;
use crate::sign::About;
use crate::sign::Again;
use crate::sign::Format;
use crate::sign::Predicate;
use crate::sign::PredicateType;
use crate::sign::Recursion;
use crate::sign::Replace;
use crate::sign::Request;
use crate::sign::Signed;
use crate::sign::Signer;
use crate::sign::State;
use crate::transport::Deadline;

/// Sign images, keylessly or with a key.
///
/// Prints `NAME@DIGEST` of every manifest that has its signatures now. A valid signature by the same
/// signer is kept, so that a run that was broken off is completed by another one.
#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    #[command(flatten)]
    common: CommonFlags,

    /// What else is signed, as NAME=VALUE. May be repeated.
    #[arg(long, short, value_name = "NAME=VALUE", value_delimiter = ',')]
    #[arg(help_heading = "What is signed")]
    annotations: Vec<String>,
}

/// Attest a document about images: an SBOM, provenance, a scan.
///
/// The document is held to its type, and goes into the statement byte for byte.
#[derive(Debug, clap::Args)]
pub(super) struct Attest {
    #[command(flatten)]
    common: CommonFlags,

    /// The document, or `OS/ARCH=FILE` for the images of a platform; `-` for stdin. May be repeated.
    #[arg(long, value_name = "[PLATFORM=]FILE|-", required = true)]
    #[arg(help_heading = "What is attested")]
    predicate: Vec<String>,

    /// What it is: custom, cyclonedx, link, openvex, slsaprovenance, slsaprovenance02,
    /// slsaprovenance1, spdx, spdxjson, vsa, vuln, or a URI.
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    #[arg(help_heading = "What is attested")]
    kind: String,

    /// Put it in the place of older attestations of its type, whoever made them, in the legacy layout.
    /// Bundles stay, and are still read.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true, help_heading = "What is attested")]
    replace: bool,
}

/// What both commands take.
#[derive(Debug, clap::Args)]
struct CommonFlags {
    #[command(flatten)]
    place: PlaceFlags,

    /// The index and every image in it; `sign` also signs the attestation manifests in it.
    #[arg(long, short, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true
    )]
    #[arg(hide_possible_values = true, help_heading = "What is signed")]
    recursive: bool,

    /// The layouts to write: `bundle` for cosign 3, `legacy` for cosign 2 and policy-controller
    /// [default: both where there is a Rekor v1, which the legacy layout needs].
    #[arg(
        long,
        value_name = "FORMATS",
        value_delimiter = ',',
        help_heading = "What is signed"
    )]
    signature_format: Vec<FormatName>,

    /// cosign's: bundles alone, or with `false` the legacy layout alone.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", conflicts_with = "signature_format")]
    new_bundle_format: Option<bool>,

    /// Sign again what is signed already.
    #[arg(long, help_heading = "What is signed")]
    again: bool,

    #[command(flatten)]
    who: WhoFlags,

    #[command(flatten)]
    services: ServiceFlags,

    /// CA certificates (PEM) that are trusted for TLS with the services besides the system's.
    #[arg(long, value_name = "FILE", help_heading = "Services")]
    cacert: Option<PathBuf>,

    /// `text`, the list of what is signed now, or `json`, everything about it.
    #[arg(short, long, value_name = "FORMAT[=FILE]", env = "SCGATE_OUTPUT")]
    #[arg(help_heading = "Output")]
    output: Vec<Target>,

    /// cosign's; scgate never asks.
    #[arg(long, short, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    yes: bool,

    // The last one: it takes what no other flag of the command does.
    #[command(flatten)]
    compatible: CompatibleSigningFlags,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatName {
    Bundle,
    Legacy,
}

/// One form of output and where it goes.
#[derive(Clone, Debug)]
enum Target {
    Json(Option<PathBuf>),
    Text,
}

impl core::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("json", "")) => Err("no file is named after the `=`".to_owned()),
            Some(("json", file)) => Ok(Self::Json(Some(file.into()))),
            None if text == "json" => Ok(Self::Json(None)),
            None if text == "text" => Ok(Self::Text),
            _ => Err("a format is one of `text`, `json`, `json=FILE`".to_owned()),
        }
    }
}

impl Sign {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.common.compatible.honour()?;
        let annotations = self
            .annotations
            .iter()
            .map(|text| match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(UsageError::Value {
                    flag: "--annotations",
                    value: printable(text),
                    expected: "an annotation is `NAME=VALUE` (a comma stands between two, and nowhere \
                               else: repeat the flag)",
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut unique = BTreeMap::new();
        for (name, value) in annotations {
            if unique
                .insert(name, value.clone())
                .is_some_and(|other| other != value)
            {
                return Err(UsageError::Value {
                    flag: "--annotations",
                    value: printable(&value),
                    expected: "the same name has another value (give only one of them)",
                });
            }
        }
        self.common.run(&[], 0, async |signer, request| {
            signer.sign(request, &unique).await
        })
    }
}

impl Attest {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.common.compatible.honour()?;
        if self.replace && self.common.only_bundles() {
            return Err(UsageError::Exclusive {
                one: "--replace".to_owned(),
                other: "--signature-format bundle".to_owned(),
            });
        }
        let predicates = match self.predicates() {
            Ok(predicates) => predicates,
            Err(failed) => return failed.outcome(),
        };
        if self.common.recursive && predicates.iter().all(|about| about.platform.is_some()) {
            return Err(UsageError::Value {
                flag: "--recursive",
                value: "true".to_owned(),
                expected: "each document is for one platform (leave it away, or give a document \
                           without a platform too)",
            });
        }
        let kind = predicates.first().map(|about| about.predicate.kind());
        if let Some(reason) = kind.and_then(unread) {
            say("note", reason);
        }
        let files: Vec<_> = self.predicate.iter().map(|text| split(text).1).collect();
        let files: Vec<_> = files.into_iter().map(Path::new).collect();
        let sizes = predicates.iter().map(|about| about.predicate.json().len());
        let largest = sizes.max().unwrap_or_default();
        let replace = match self.replace {
            true => Replace::Yes,
            false => Replace::No,
        };
        self.common.run(&files, largest, async |signer, request| {
            signer.attest(request, &predicates, replace).await
        })
    }

    /// Reads the documents, each held to the type.
    fn predicates(&self) -> Result<Vec<About>, Failed> {
        let limits = Limits::default();
        let now = Timestamp::from(SystemTime::now());
        let kind = PredicateType::parse(&self.kind).map_err(Failed::from)?;
        let mut platforms = BTreeSet::new();
        let mut predicates = Vec::new();
        let mut stdin = true;
        for text in &self.predicate {
            let (platform, file) = split(text);
            if !platforms.insert(platform.clone()) {
                return Err(Failed::Usage(UsageError::Value {
                    flag: "--predicate",
                    value: printable(text),
                    expected: "another one is for the same images (give one for each platform, and \
                               one without)",
                }));
            }
            self.common.who.keep_stdin("--predicate", file)?;
            if file == "-" && !mem::replace(&mut stdin, false) {
                return Err(Failed::Usage(UsageError::Value {
                    flag: "--predicate",
                    value: printable(text),
                    expected: "stdin is read already, for another document (name files)",
                }));
            }
            let most = limits.attestation_bytes;
            let json = read_file_or_stdin("--predicate", Path::new(file), most)?;
            let predicate = Predicate::parse(kind.clone(), json, now, &limits)?;
            predicates.push(About {
                platform,
                predicate: Arc::new(predicate),
            });
        }
        Ok(predicates)
    }
}

/// The platform and the file of `[PLATFORM=]FILE`. A file with that whole name is meant by it.
fn split(text: &str) -> (Option<Platform>, &str) {
    match text.split_once('=') {
        Some((platform, file)) if !Path::new(text).exists() => match Platform::parse(platform) {
            Some(platform) => (Some(platform), file),
            None => (None, text),
        },
        _ => (None, text),
    }
}

impl CommonFlags {
    /// Signs every reference with `work`, one after the other, and says what became of it. `largest`
    /// is how many bytes the largest document has.
    fn run(
        &self,
        predicates: &[&Path],
        largest: usize,
        work: impl AsyncFn(&Signer, Request<'_>) -> Result<Signed, crate::sign::Error>,
    ) -> Result<Outcome, UsageError> {
        let limits = Limits::default();
        let references = self.place.references()?;
        let question = self
            .place
            .question(references, Thoroughness::UntilProven, &limits)?;
        if let Source::Layout(layout) = &question.source {
            layout
                .writable()
                .map_err(|source| UsageError::Layout { source })?;
        }
        if question.scope.signature_repositories.len() > 1 {
            return Err(UsageError::Value {
                flag: "--signature-repository",
                value: String::new(),
                expected: "signatures are written to one repository (name only one)",
            });
        }
        if let Some(repository) = question.scope.signature_repositories.first() {
            say("note", &format!("signatures are written to {repository}"));
        }
        for target in &self.output {
            if let Target::Json(Some(path)) = target {
                check_place("--output", path)?;
                let registry = &self.place.registry;
                let read = [&self.cacert, &registry.authfile, &registry.registry_cacert];
                let read = read.into_iter().flatten().map(PathBuf::as_path);
                let read = read.chain(self.who.files(&self.services));
                let read: Vec<_> = read.chain(predicates.iter().copied()).collect();
                keep_apart("--output", path, &read)?;
            }
        }
        let plan = self.who.plan(&self.services, &limits)?;
        let registry = &self.place.registry;
        if plan.needs_network() {
            registry.refuse_offline(
                "a signing service",
                "sign with `--key` and `--tlog-upload=false`",
            )?;
        }
        let transport = network::transport(
            plan.named.iter().cloned(),
            self.cacert.as_deref().map(|path| ("--cacert", path)),
            registry.proxy(),
            "--proxy, SCGATE_PROXY",
        )?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(UsageError::Runtime)?;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let outcome = runtime.block_on(async {
            let deadline = Deadline::after(registry.timeout);
            let logs = self.services.logs();
            let signer = plan.signer(transport, logs, &limits, deadline).await?;
            let formats = self.formats(&signer);
            let signer = signer.writing(&formats);
            if let Some(entry) = signer.too_large_entry(largest, &formats) {
                say("note", &large(entry));
            }
            let mut worst = Outcome::Allowed;
            for reference in &question.references {
                let request = self.request(&question, reference, &formats, deadline);
                match work(&signer, request).await {
                    Ok(signed) => done.push(signed),
                    Err(error) => {
                        failed.push(NotSigned {
                            reference: reference.to_string(),
                            code: error.code(),
                            reason: error.to_string(),
                            remedy: signing_remedy(&error),
                        });
                        worst = worse(worst, Failed::from(error).outcome()?);
                    }
                }
            }
            Ok::<_, Failed>(worst)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(reason) => {
                // What keeps from everything is the reason about each.
                if let Failed::Coded { code, text, remedy } = &reason {
                    let left = question.references.iter().skip(done.len() + failed.len());
                    failed.extend(left.map(|reference| NotSigned {
                        reference: reference.to_string(),
                        code: *code,
                        reason: text.clone(),
                        remedy,
                    }));
                }
                reason.outcome()?
            }
        };
        self.write(&done, &failed, outcome)
    }

    fn request<'a>(
        &self,
        question: &'a Question,
        reference: &'a Reference,
        formats: &'a BTreeSet<Format>,
        deadline: Deadline,
    ) -> Request<'a> {
        Request {
            source: &question.source,
            reference,
            recursion: match self.recursive {
                true => Recursion::Everything,
                false => Recursion::None,
            },
            formats,
            repository: question.scope.signature_repositories.first(),
            tag_prefix: &question.scope.search.tag_prefix,
            again: match self.again {
                true => Again::Yes,
                false => Again::No,
            },
            deadline,
        }
    }

    /// Whether bundles alone are asked for.
    fn only_bundles(&self) -> bool {
        let bundles = |name: &FormatName| matches!(name, FormatName::Bundle);
        self.new_bundle_format == Some(true)
            || !self.signature_format.is_empty() && self.signature_format.iter().all(bundles)
    }

    /// The layouts that are asked for; by default both, where the legacy one can be written.
    fn formats(&self, signer: &Signer) -> BTreeSet<Format> {
        match self.new_bundle_format {
            Some(true) => return BTreeSet::from([Format::Bundle]),
            Some(false) => return BTreeSet::from([Format::Legacy]),
            None => {}
        }
        if self.signature_format.is_empty() {
            return signer.formats();
        }
        let formats = self.signature_format.iter();
        formats
            .map(|name| match name {
                FormatName::Bundle => Format::Bundle,
                FormatName::Legacy => Format::Legacy,
            })
            .collect()
    }

    /// The list of what has its signatures now goes to stdout, everything else to stderr.
    fn write(
        &self,
        signed: &[Signed],
        failed: &[NotSigned],
        outcome: Outcome,
    ) -> Result<Outcome, UsageError> {
        let mut outcome = outcome;
        for piece in signed.iter().flat_map(|image| &image.pieces) {
            if let State::Failed(error) = &piece.state {
                outcome = worse(outcome, outcome_of(error.code()));
            }
        }
        let mut json = Vec::new();
        let mut stdout_json = false;
        for target in &self.output {
            if let Target::Json(file) = target {
                json.clear();
                // Writing to memory does not fail.
                drop(signed_json(signed, failed, &mut json));
                match file {
                    Some(path) => write_whole("--output", path, &json)?,
                    None => stdout_json = true,
                }
            }
        }
        let mut text = Vec::new();
        drop(signed_text(signed, &mut text));
        drop(io::stderr().write_all(&text));
        let mut out = BufWriter::new(io::stdout().lock());
        let written = match stdout_json {
            true => out.write_all(&json),
            false => list(signed, &mut out),
        };
        if let Err(error) = written.and_then(|()| out.flush()) {
            say(
                "error",
                &format!("the answer could not be written: {error}"),
            );
            outcome = worse(outcome, Outcome::Undecided);
        }
        Ok(outcome)
    }
}

/// What a reader cannot make of a type.
pub(super) fn unread(kind: &PredicateType) -> Option<&'static str> {
    (*kind == PredicateType::Spdx).then_some(
        "cosign 3 reads no SPDX in tag-value form, in any layout (`syft convert FILE -o spdx-json` makes \
         JSON of it, for `--type spdxjson`)",
    )
}

/// What the size of an entry is going to meet with.
pub(super) fn large(entry: usize) -> String {
    format!(
        "Rekor v1 is sent whole documents, here {:.1} MB, and what stands before the public instance \
         drops requests of more than {:.1} MB (a log of Rekor v2 is sent the digest alone: name one in \
         the signing configuration)",
        megabytes(entry),
        megabytes(LARGE),
    )
}

fn megabytes(bytes: usize) -> f64 {
    let tenths = u32::try_from(bytes / 100_000).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

/// `NAME@DIGEST` of every manifest none of whose signatures failed.
fn list(signed: &[Signed], to: &mut impl Write) -> io::Result<()> {
    for image in signed {
        let failed: BTreeSet<_> = image
            .pieces
            .iter()
            .filter(|piece| matches!(piece.state, State::Failed(_)))
            .map(|piece| piece.target.digest)
            .collect();
        let mut seen = BTreeSet::new();
        for piece in &image.pieces {
            let digest = piece.target.digest;
            if !failed.contains(&digest) && seen.insert(digest) {
                writeln!(to, "{}@{digest}", image.image.repository())?;
            }
        }
    }
    Ok(())
}

/// One denied is denied; else one undecided is undecided; else one that is wrong is wrong.
pub(super) fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Allowed => 0,
        Outcome::Usage => 1,
        Outcome::Undecided => 2,
        Outcome::Denied => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}
