//! `scgate tree`: all evidence of an image, and which platform lacks what. Not a verdict.

use std::path::PathBuf;

use crate::admit::Gate;
use crate::admit::Thoroughness;
use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::answer::OutputFlags;
use crate::cli::gate::admit;
use crate::cli::registry::usual_authfiles;
use crate::cli::source::PlaceFlags;
use crate::cli::trust::Embedded;
use crate::cli::trust::TrustFlags;
use crate::model;
use crate::model::Digest;
use crate::model::Limits;
use crate::output::Format;
use crate::output::Tree;
use crate::policy::Covers;
use crate::policy::Demand;
use crate::policy::Policy;
use crate::policy::Rules;
use crate::policy::Signer;
use crate::policy::Who;

// The flags are those of the commands that give verdicts, and mean less here.
const OUTPUT: &str = "`text` or `json`; to stdout, or to a file with `=FILE`. May be repeated";
const AT: &str = "The evidence as of this time (RFC 3339): what was signed later does not count";

/// What to show the evidence of, and under which trust.
#[derive(Debug, clap::Args)]
#[command(mut_arg("output", |arg| arg.help(OUTPUT)), mut_arg("at", |arg| arg.help(AT)))]
pub(super) struct ShowTree {
    #[command(flatten)]
    place: PlaceFlags,

    /// A public key in a PEM file, whose signatures are looked at too.
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    key: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    output: OutputFlags,
}

impl ShowTree {
    pub(super) fn run(&self) -> Result<Outcome, UsageError> {
        self.output.without_verdict()?;
        let limits = Limits::default();
        let grounds = self
            .trust
            .grounds(Embedded::PublicGood, self.key.as_deref(), &limits)?;
        let policy = Policy::new(Rules {
            name: "none".to_owned(),
            // Nobody: no key has the digest of nothing. What nobody asks for is not kept either.
            signers: vec![Signer {
                name: "nobody".to_owned(),
                who: Who::Key(Digest::sha256(b"")),
            }],
            demand: Demand::Anything,
            annotations: Vec::new(),
            covers: Covers::IndexAndPlatforms,
            platforms: Vec::new(),
            signed_timestamp: grounds.signed_timestamp,
            at: grounds.at,
        })?;
        let references = self.place.references()?;
        let question = self
            .place
            .question(references, Thoroughness::Everything, &limits)?;
        let gate = Gate::new(
            policy,
            grounds.trusted.clone(),
            grounds.terms,
            question.scope.clone(),
            limits,
        );
        let answers = self.output.open(Some(Format::Text), &self.files())?;
        let reports = admit(&gate, &question, &grounds, self.place.registry.timeout)?;
        let trees: Vec<_> = reports.iter().map(Tree::new).collect();
        let outcome = outcome(&trees);
        Ok(answers.write_by(outcome, |format, look, to| {
            Tree::render(&trees, format, look, to)
        }))
    }

    /// The files that the flags name and that are read.
    fn files(&self) -> Vec<PathBuf> {
        let files = [
            &self.place.layout,
            &self.key,
            &self.trust.trusted_root,
            &self.place.registry.authfile,
            &self.place.registry.registry_cacert,
        ];
        let named = files.into_iter().flatten().cloned();
        named.chain(usual_authfiles()).collect()
    }
}

/// One that is not there counts most, then one that is not whole.
fn outcome(trees: &[Tree<'_>]) -> Outcome {
    let gaps: Vec<_> = trees.iter().filter_map(Tree::gap).collect();
    if gaps
        .iter()
        .any(|code| code.outcome() == model::Outcome::Deny)
    {
        Outcome::Denied
    } else if gaps.is_empty() {
        Outcome::Allowed
    } else {
        Outcome::Undecided
    }
}
