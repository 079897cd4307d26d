//! `scgate verify`: is this image signed, and by whom it must be?

use crate::admit::Thoroughness;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::gate::Asked;
use crate::cli::gate::admit;
use crate::cli::identity::IdentityFlags;
use crate::cli::refused::CompatibleFlags;
use crate::cli::source::ImageFlags;
use crate::cli::trust::TrustFlags;
use crate::output::Format;
use crate::policy::Demand;

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
                    expected: "an annotation is `NAME=VALUE` (a comma stands between two, and nowhere \
                               else: repeat the flag)",
                }),
            })
            .collect::<Result<_, _>>()?;
        let asked = Asked {
            images: &self.images,
            identity: &self.identity,
            trust: &self.trust,
        };
        let (gate, question, grounds) =
            asked.prepare(Demand::Signature, annotations, Thoroughness::UntilProven)?;
        let answers = self.output.open(Some(Format::Text), &asked.files())?;
        let reports = admit(
            &gate,
            &question,
            &grounds,
            self.images.place.registry.timeout,
        )?;
        Ok(answers.write(&reports))
    }
}
