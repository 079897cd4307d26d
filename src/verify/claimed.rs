//! What refused evidence says of itself. Nothing here is authenticated; it helps people to find out
//! whose evidence it is, and no decision can take it: it is no [`crate::verify::VerifiedSignature`].

use crate::model::Digest;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Bundle;
use crate::verify::Signer;
use crate::verify::bundle::Material;
use crate::verify::certificate::Leaf;

/// What evidence says of itself, believed by nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// The holder that its certificate names.
    pub signer: Signer,
    /// The positions in logs that its entries name.
    pub log_indexes: Vec<u64>,
    /// The times that its entries name.
    pub times: Vec<Timestamp>,
}

impl Bundle {
    /// What it says of itself, where its certificate can be read at all.
    #[must_use]
    pub fn claimed(&self, limits: &Limits) -> Option<Claimed> {
        let Material::Certificate { leaf, .. } = &self.material else {
            return None;
        };
        let leaf = Leaf::parse(leaf, limits).ok()?;
        Some(Claimed {
            log_indexes: self.entries.iter().map(|entry| entry.index).collect(),
            times: self
                .entries
                .iter()
                .filter_map(|entry| entry.integrated_time)
                .filter_map(|seconds| Timestamp::from_unix_seconds(seconds).ok())
                .collect(),
            signer: Signer::Certificate {
                certificate: Digest::sha256(leaf.der()),
                not_before: leaf.not_before,
                not_after: leaf.not_after,
                identity: Box::new(leaf.identity),
            },
        })
    }
}
