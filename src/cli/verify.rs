//! `scgate verify`: is this image signed, and by whom it must be?

use futures_util::StreamExt;
use futures_util::stream;

use crate::admit::Gate;
use crate::admit::Report;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::identity::IdentityFlags;
use crate::cli::refused::CompatibleFlags;
use crate::cli::source::ImageFlags;
use crate::cli::source::Question;
use crate::cli::trust::Grounds;
use crate::cli::trust::TrustFlags;
use crate::model::Limits;
use crate::output::Format;
use crate::policy::Demand;
use crate::policy::Policy;
use crate::policy::Rules;
use crate::transport::Deadline;

/// References that are decided at the same time.
const AT_ONCE: usize = 8;

/// Is this image signed, and by whom it must be?
///
/// An attestation never counts as a signature. The verdict is about the digest that the reference
/// has when the command begins.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    images: ImageFlags,

    #[command(flatten)]
    identity: IdentityFlags,

    /// Annotations that must have been signed. May be repeated.
    #[arg(
        long,
        short,
        value_name = "NAME=VALUE",
        help_heading = "Who must have signed"
    )]
    #[arg(value_delimiter = ',')]
    annotations: Vec<String>,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,

    #[command(flatten)]
    compatible: CompatibleFlags,
}

impl Verify {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.compatible.honour()?;
        let annotations = self
            .annotations
            .iter()
            .map(|text| match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(UsageError::Value {
                    flag: "--annotations",
                    value: crate::model::printable(text),
                    expected: "an annotation is `NAME=VALUE`",
                }),
            })
            .collect::<Result<_, _>>()?;
        let asked = Asked {
            images: &self.images,
            identity: &self.identity,
            trust: &self.trust,
        };
        let (gate, question, grounds) = asked.prepare(Demand::Signature, annotations)?;
        let answers = self.output.open(Some(Format::Text))?;
        let reports = admit(&gate, &question, &grounds, self.images.timeout)?;
        Ok(answers.write(&reports))
    }
}

/// The flags that a question about images is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) images: &'a ImageFlags,
    pub(super) identity: &'a IdentityFlags,
    pub(super) trust: &'a TrustFlags,
}

impl Asked<'_> {
    /// Makes the gate, and what it is asked. Everything that can be wrong with flags and the files
    /// that they name is found here.
    pub(super) fn prepare(
        self,
        demand: Demand,
        annotations: Vec<(String, String)>,
    ) -> Result<(Gate, Question, Grounds), UsageError> {
        let limits = Limits::default();
        let covers = self.images.covers()?;
        let platforms = self.images.platforms()?;
        let grounds = self.trust.grounds(self.identity.key.as_deref(), &limits)?;
        let policy = Policy::new(Rules {
            name: "command line".to_owned(),
            signers: self.identity.signers(&grounds)?,
            demand,
            annotations,
            covers,
            platforms,
            signed_timestamp: grounds.signed_timestamp,
            at: grounds.at,
        })?;
        let question = self.images.question(&limits)?;
        let gate = Gate::new(
            policy,
            grounds.trusted.clone(),
            grounds.terms,
            question.scope.clone(),
            limits,
        );
        Ok((gate, question, grounds))
    }
}

/// Decides about every reference, in the order they were given in.
pub(super) fn admit(
    gate: &Gate,
    question: &Question,
    grounds: &Grounds,
    timeout: core::time::Duration,
) -> Result<Vec<Report>, UsageError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UsageError::Runtime)?;
    grounds.announce();
    Ok(runtime.block_on(async {
        let deadline = Deadline::after(timeout);
        let each = question.references.iter().map(|reference| {
            gate.admit(
                &question.source,
                reference,
                question.parent,
                grounds.now,
                deadline,
            )
        });
        stream::iter(each).buffered(AT_ONCE).collect().await
    }))
}
