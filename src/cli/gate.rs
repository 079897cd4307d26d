//! From flags to a gate, and from the gate to reports.

use core::time::Duration;
use std::io;
use std::io::IsTerminal;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream;
use indicatif::ProgressBar;

use crate::admit::Gate;
use crate::admit::Report;
use crate::admit::Thoroughness;
use crate::cli::UsageError;
use crate::cli::identity::IdentityFlags;
use crate::cli::registry::usual_authfiles;
use crate::cli::source::ImageFlags;
use crate::cli::source::Question;
use crate::cli::trust::Embedded;
use crate::cli::trust::Grounds;
use crate::cli::trust::TrustFlags;
use crate::model::Limits;
use crate::policy::Demand;
use crate::policy::Policy;
use crate::policy::Rules;
use crate::registry::Source;
use crate::transport::Deadline;

/// References that are decided at the same time.
const AT_ONCE: usize = 8;
/// Between two pictures of the sign that work goes on.
const TICK: Duration = Duration::from_millis(100);

/// What policies that flags make are called in records.
pub(super) const POLICY: &str = "command line";

/// The flags that a question about images is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) images: &'a ImageFlags,
    pub(super) identity: &'a IdentityFlags,
    pub(super) trust: &'a TrustFlags,
}

impl Asked<'_> {
    /// The files that the flags name and that are read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let registry = &self.images.place.registry;
        let files = [
            &self.images.place.layout,
            &self.identity.key,
            &self.trust.trusted_root,
            &registry.authfile,
            &registry.registry_cacert,
        ];
        let named = files.into_iter().flatten().cloned();
        named.chain(usual_authfiles()).collect()
    }

    /// Makes the gate, and what it is asked. Everything that can be wrong with flags and the files
    /// that they name is found here.
    pub(super) fn prepare(
        self,
        demand: Demand,
        annotations: Vec<(String, String)>,
        least: Thoroughness,
    ) -> Result<(Gate, Question, Grounds), UsageError> {
        let limits = Limits::default();
        let covers = self.images.covers()?;
        let platforms = self.images.platforms()?;
        let grounds =
            self.trust
                .grounds(Embedded::PublicGood, self.identity.key.as_deref(), &limits)?;
        let policy = Policy::new(Rules {
            name: POLICY.to_owned(),
            signers: self.identity.signers(&grounds)?,
            demand,
            annotations,
            covers,
            platforms,
            signed_timestamp: grounds.signed_timestamp,
            at: grounds.at,
        })?;
        let question = self.images.question(least, &limits)?;
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
    timeout: Duration,
) -> Result<Vec<Report>, UsageError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UsageError::Runtime)?;
    grounds.announce();
    let spinner = spinner(question);
    let reports = runtime.block_on(async {
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
    });
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    Ok(reports)
}

/// The sign that work goes on: on a terminal, where there is a network to wait for.
fn spinner(question: &Question) -> Option<ProgressBar> {
    if !matches!(question.source, Source::Remote(_)) || !io::stderr().is_terminal() {
        return None;
    }
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(match question.references.as_slice() {
        [one] => format!("verifying {one}"),
        several => format!("verifying {} images", several.len()),
    });
    spinner.enable_steady_tick(TICK);
    Some(spinner)
}
