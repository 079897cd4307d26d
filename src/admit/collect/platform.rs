//! What machine an image is for: what its entry says, and what its configuration says.
//!
//! A node chooses by the entry, so the entry is what a policy about platforms goes by. A registry
//! checks neither against the other; where they differ the report warns.

use std::collections::BTreeMap;

use crate::admit::collect::Collector;
use crate::admit::collect::from_error;
use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::ImageManifest;
use crate::model::Platform;
use crate::model::media_type;
use crate::policy::Evidence;
use crate::policy::Refusal;
use crate::policy::Role;
use crate::policy::Subject;
use crate::policy::Warning;

impl Collector<'_> {
    /// The platform of a single image, from its configuration, where the policy asks for one.
    pub(super) async fn platform_of(
        &self,
        image: &ImageManifest,
        evidence: &mut Evidence,
    ) -> Option<Platform> {
        if self.policy().platforms().is_empty() {
            return None;
        }
        match self.configured(image).await {
            Ok(platform) => Some(platform),
            Err(gap) => {
                evidence.gaps.push(gap);
                None
            }
        }
    }

    /// Warns where the configuration of an image names another platform than its entry.
    pub(super) async fn compare(
        &self,
        subject: Digest,
        entry: &Platform,
        image: &ImageManifest,
    ) -> Option<Warning> {
        if !media_type::is_image_config(&image.config.media_type) {
            return None;
        }
        match self.configured(image).await {
            // Old builders left the variant out.
            Ok(config) if entry.answers(&config) => None,
            Ok(config) => Some(Warning::PlatformDiffers {
                subject,
                entry: entry.clone(),
                config,
            }),
            Err(gap) => Some(Warning::PlatformUnread { subject, gap }),
        }
    }

    async fn configured(&self, image: &ImageManifest) -> Result<Platform, Refusal> {
        let bytes = self
            .source
            .blob(
                self.image.repository(),
                &image.config,
                self.gate.limits.manifest_bytes,
                self.deadline,
            )
            .await
            .map_err(|error| from_error(&error, DenyCode::ImageNotFound))?;
        crate::model::read_json(&bytes).map_err(|error| {
            let text = format!("the image's configuration {}: {error}", image.config.digest);
            Refusal::new(DenyCode::ManifestMalformed, text)
        })
    }
}

/// The images whose entries leave out what a node looks for.
pub(super) fn incomplete(evidence: &Evidence) -> Vec<Warning> {
    let entry_of = |subject: &Subject| match &subject.role {
        Role::Image(Some(entry)) if entry.is_incomplete() => Some(Warning::PlatformIncomplete {
            subject: subject.digest,
            entry: entry.clone(),
        }),
        _ => None,
    };
    evidence.subjects.iter().filter_map(entry_of).collect()
}

/// The platforms for which an image holds several manifests: a node runs the first.
pub(super) fn repeated(evidence: &Evidence) -> Vec<Warning> {
    let mut by_platform: BTreeMap<_, (&Platform, Vec<Digest>)> = BTreeMap::new();
    for subject in &evidence.subjects {
        let Role::Image(Some(platform)) = &subject.role else {
            continue;
        };
        let entry = by_platform.entry(platform.key());
        let (_, digests) = entry.or_insert_with(|| (platform, Vec::new()));
        if !digests.contains(&subject.digest) {
            digests.push(subject.digest);
        }
    }
    by_platform
        .into_values()
        .filter(|(_, digests)| digests.len() > 1)
        .map(|(platform, subjects)| Warning::PlatformRepeated {
            platform: platform.clone(),
            subjects,
        })
        .collect()
}
