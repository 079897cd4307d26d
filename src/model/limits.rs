//! Every bound on foreign data, with the origin of its number, and the budget that spends them.
//!
//! Counts and per-body caps are deterministic and lie here; running over one is a refusal, because
//! the other side chose the excess and a retry won't help. Wall time and totals shared by parallel
//! tasks belong to the modules that talk to the world; running out of those is "cannot say".

/// One mebibyte, in bytes.
const MIB: usize = 1024 * 1024;

/// The bounds of one decision. `Limits::default()` is what scgate ships.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a manifest or a referrers page: containerd, oras and the distribution
    /// specification (section "Pushing manifests") agree on 4 MiB.
    pub manifest_bytes: usize,
    /// Bytes of a signature bundle or a legacy signature payload.
    pub bundle_bytes: usize,
    /// Bytes of an attestation layer: cosign's ceiling is 128 MiB; BuildKit writes up to 40 MiB.
    pub attestation_bytes: usize,
    /// Bytes of a trusted root.
    pub trusted_root_bytes: usize,
    /// Bytes of a PEM key file.
    pub key_bytes: usize,
    /// Log entries in one bundle (sigstore-go `internal/limits`: 32).
    pub log_entries: usize,
    /// RFC 3161 timestamps in one bundle (sigstore-go: 32).
    pub timestamps: usize,
    /// Subjects of one statement (sigstore-go: 1024).
    pub subjects: usize,
    /// Digests of one subject (sigstore-go: 32).
    pub subject_digests: usize,
    /// Certificates that evidence may bring along.
    pub certificates: usize,
    /// Bytes of one certificate.
    pub certificate_bytes: usize,
    /// Bytes of a subject alternative name or a Fulcio claim.
    pub claim_bytes: usize,
    /// SCTs in one certificate.
    pub scts: usize,
    /// Hashes of one inclusion proof: a tree of 2^64 leaves needs 64.
    pub proof_hashes: usize,
    /// Bytes of a log entry body (a Rekor v1 `intoto` body repeats certificates, never a payload).
    pub log_body_bytes: usize,
    /// Bytes of a checkpoint.
    pub checkpoint_bytes: usize,
    /// Signature lines of one checkpoint (C2SP signed-note: at least 16 must be read).
    pub checkpoint_signatures: usize,
    /// Bytes of one RFC 3161 token.
    pub timestamp_bytes: usize,
    /// Entries of one index.
    pub index_entries: usize,
    /// Depth of indexes inside indexes, the first counted as one.
    pub index_depth: usize,
    /// Manifests of one decision, all indexes together.
    pub manifests: usize,
    /// Pages of one referrers listing.
    pub referrer_pages: usize,
    /// Pieces of evidence listed for one subject, all ways of looking together.
    pub referrers: usize,
    /// Layers of one manifest (cosign: 1000).
    pub layers: usize,
    /// Candidates that are fetched and verified for one subject (cosign downloads at most 100).
    pub candidates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 * MIB,
            bundle_bytes: 8 * MIB,
            attestation_bytes: 128 * MIB,
            trusted_root_bytes: 4 * MIB,
            key_bytes: 64 * 1024,
            log_entries: 32,
            timestamps: 32,
            subjects: 1024,
            subject_digests: 32,
            certificates: 8,
            certificate_bytes: 64 * 1024,
            claim_bytes: 8 * 1024,
            scts: 8,
            proof_hashes: 64,
            log_body_bytes: 4 * MIB,
            checkpoint_bytes: 64 * 1024,
            checkpoint_signatures: 64,
            timestamp_bytes: 64 * 1024,
            index_entries: 512,
            index_depth: 3,
            manifests: 1000,
            referrer_pages: 20,
            referrers: 1000,
            layers: 1000,
            candidates: 100,
        }
    }
}

/// A bound that foreign data went over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {limit} {what}")]
pub struct Exceeded {
    /// What was counted, in the plural.
    pub what: &'static str,
    /// The bound.
    pub limit: usize,
}

impl Exceeded {
    /// Gives an error when `count` of `what` is over `limit`.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] when it is.
    pub const fn unless(count: usize, limit: usize, what: &'static str) -> Result<(), Self> {
        if count > limit {
            Err(Self { what, limit })
        } else {
            Ok(())
        }
    }
}

/// What is left of the counts of one decision. Every loop over foreign manifests spends from it.
#[derive(Clone, Debug)]
pub struct Budget {
    manifests: usize,
    limit: usize,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub const fn new(limits: &Limits) -> Self {
        Self {
            manifests: limits.manifests,
            limit: limits.manifests,
        }
    }

    /// Whether so many more manifests could still be spent.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] when there are fewer left.
    pub const fn allows(&self, more: usize) -> Result<(), Exceeded> {
        if more > self.manifests {
            return Err(Exceeded {
                what: "manifests in one image",
                limit: self.limit,
            });
        }
        Ok(())
    }

    /// Spends one manifest.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] when none is left.
    pub const fn spend_manifest(&mut self) -> Result<(), Exceeded> {
        match self.manifests.checked_sub(1) {
            Some(left) => {
                self.manifests = left;
                Ok(())
            }
            None => Err(Exceeded {
                what: "manifests in one image",
                limit: self.limit,
            }),
        }
    }
}
