//! Every reason there is. One list for CLI, JSON, logs, metrics and documentation.

use core::fmt;
use core::str::FromStr;

use serde::Serialize;

/// Which of the two kinds of "no" a reason is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The evidence or the policy says no. Asking again changes nothing.
    Deny,
    /// The world failed; a retry could change the answer.
    Undecided,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $outcome:ident;)*) => {
        /// The reason of a refusal or of a gap.
        ///
        /// The order is the rank: where several pieces of evidence were refused, the reason that
        /// comes last here got furthest and tells most. Each has a heading in `docs/deny-codes.md`.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum DenyCode {
            $($(#[$doc])* $variant,)*
        }

        impl DenyCode {
            /// All of them, in rank order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable kebab-case name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Which kind of "no" it is.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome),* }
            }
        }
    };
}

codes! {
    // Nothing to judge.
    /// No attestation of the demanded type was found on any way of looking.
    NoAttestation = "no-attestation", Deny;
    /// No signature was found on any way of looking.
    NoSignature = "no-signature", Deny;
    /// The evidence came into being after the time that was asked about.
    EvidenceAfterTime = "evidence-after-time", Deny;
    /// An attestation lies where a signature is demanded, or the reverse, or a blob's signature.
    EvidenceKindMismatch = "evidence-kind-mismatch", Deny;

    // The image itself.
    /// The image is not in its repository.
    ImageNotFound = "image-not-found", Deny;
    /// An entry of the index is not in the repository.
    ChildNotFound = "child-not-found", Deny;
    /// A manifest or index that is malformed, or of a type that scgate does not read.
    ManifestMalformed = "manifest-malformed", Deny;
    /// Bytes that do not hash to the digest they were asked by, or have another size.
    DigestMismatch = "digest-mismatch", Deny;
    /// A bound on foreign data was exceeded.
    LimitExceeded = "limit-exceeded", Deny;
    /// The index has no image for the platform that was asked for.
    PlatformMissing = "platform-missing", Deny;
    /// The named parent index does not list the image.
    ParentMismatch = "parent-mismatch", Deny;

    // The shape of the evidence.
    /// An artifact that refers to the image is none of the layouts that hold evidence.
    EvidenceUnreadable = "evidence-unreadable", Deny;
    /// A Sigstore bundle that is malformed.
    BundleMalformed = "bundle-malformed", Deny;
    /// A Sigstore bundle of a version that scgate does not read.
    BundleVersionUnsupported = "bundle-version-unsupported", Deny;
    /// A legacy signature layer or file that is malformed.
    LegacyMalformed = "legacy-malformed", Deny;
    /// The bundle brings a certificate chain where only a leaf may stand, or a root.
    BundleCertificateChain = "bundle-certificate-chain", Deny;
    /// The evidence says that it is about another image.
    ReferrerSubjectMismatch = "referrer-subject-mismatch", Deny;
    /// The signature is not base64 or empty.
    SignatureMalformed = "signature-malformed", Deny;
    /// A DSSE envelope without exactly one signature, or otherwise malformed.
    EnvelopeMalformed = "envelope-malformed", Deny;
    /// A payload of a type that scgate does not read.
    PayloadTypeUnsupported = "payload-type-unsupported", Deny;
    /// A signed payload that is malformed: in-toto statement or simple-signing document.
    PayloadMalformed = "payload-malformed", Deny;
    /// A key where a certificate is demanded, or the reverse.
    SignerKindMismatch = "signer-kind-mismatch", Deny;
    /// A key or signature algorithm that scgate does not read.
    KeyUnsupported = "key-unsupported", Deny;

    // The transparency log.
    /// There is no log entry.
    LogEntryMissing = "log-entry-missing", Deny;
    /// A log entry that is malformed, or occurs twice.
    LogEntryMalformed = "log-entry-malformed", Deny;
    /// A log entry of a kind or version that scgate does not read.
    LogEntryUnsupported = "log-entry-unsupported", Deny;
    /// The log is not in the trust root.
    LogUnknown = "log-unknown", Deny;
    /// The log entry has no inclusion proof.
    LogProofMissing = "log-proof-missing", Deny;
    /// The inclusion proof does not prove that the entry is in the log.
    LogProofInvalid = "log-proof-invalid", Deny;
    /// The inclusion proof has no checkpoint.
    CheckpointMissing = "checkpoint-missing", Deny;
    /// A checkpoint that is malformed.
    CheckpointMalformed = "checkpoint-malformed", Deny;
    /// The checkpoint is not signed by the log of the entry.
    CheckpointInvalid = "checkpoint-invalid", Deny;
    /// The checkpoint is about another tree than the inclusion proof, or of another log.
    CheckpointMismatch = "checkpoint-mismatch", Deny;
    /// The bundle needs the log's signed promise and has none.
    LogPromiseMissing = "log-promise-missing", Deny;
    /// The log's signed promise (SET) does not verify.
    LogPromiseInvalid = "log-promise-invalid", Deny;

    // RFC 3161.
    /// A timestamp that is malformed.
    TimestampMalformed = "timestamp-malformed", Deny;
    /// A timestamp by an authority that is not in the trust root.
    TimestampUntrusted = "timestamp-untrusted", Deny;
    /// A timestamp whose signature or signer's profile is wrong.
    TimestampInvalid = "timestamp-invalid", Deny;
    /// A timestamp of another signature.
    TimestampMismatch = "timestamp-mismatch", Deny;
    /// A timestamp made outside of the authority's validity.
    TimestampOutsideValidity = "timestamp-outside-validity", Deny;

    // The certificate.
    /// A certificate that is malformed.
    CertificateMalformed = "certificate-malformed", Deny;
    /// A certificate without the profile of a signing certificate (key usage, extended key usage).
    CertificateUsage = "certificate-usage", Deny;
    /// A certificate without exactly one subject alternative name of a known kind.
    CertificateSan = "certificate-san", Deny;
    /// A Fulcio extension that is malformed, or occurs twice.
    CertificateClaimsMalformed = "certificate-claims-malformed", Deny;
    /// A deprecated claim and its successor disagree.
    CertificateClaimsConflict = "certificate-claims-conflict", Deny;
    /// The certificate does not lead to an authority of the trust root.
    CertificateUntrusted = "certificate-untrusted", Deny;
    /// The certificate has no SCT.
    SctMissing = "sct-missing", Deny;
    /// An SCT that is malformed.
    SctMalformed = "sct-malformed", Deny;
    /// The SCTs are by certificate transparency logs that are not in the trust root.
    SctUntrusted = "sct-untrusted", Deny;
    /// An SCT whose signature does not verify for this certificate.
    SctInvalid = "sct-invalid", Deny;
    /// An SCT made outside of the validity of the certificate transparency log's key.
    SctOutsideValidity = "sct-outside-validity", Deny;

    // Time.
    /// Nothing proves when it was signed.
    TimeMissing = "time-missing", Deny;
    /// An authenticated time lies in the future.
    TimeInFuture = "time-in-future", Deny;
    /// An authenticated time lies outside of the validity of the log's key.
    LogOutsideValidity = "log-outside-validity", Deny;
    /// An authenticated time lies outside of the validity of the issuing authority.
    AuthorityOutsideValidity = "authority-outside-validity", Deny;
    /// An authenticated time lies outside of the validity of the certificate.
    CertificateOutsideValidity = "certificate-outside-validity", Deny;

    // What was signed.
    /// The log entry is not about this signature, certificate or payload.
    LogEntryMismatch = "log-entry-mismatch", Deny;
    /// The signature does not verify.
    SignatureInvalid = "signature-invalid", Deny;
    /// The signed payload is about something else.
    SubjectMismatch = "subject-mismatch", Deny;
    /// An attestation of another type than demanded.
    PredicateTypeMismatch = "predicate-type-mismatch", Deny;

    // Who signed it: the cryptography holds, the policy says no.
    /// Signed with another key, or proven under another trust root.
    KeyMismatch = "key-mismatch", Deny;
    /// Another issuer.
    IssuerMismatch = "issuer-mismatch", Deny;
    /// Another subject.
    IdentityMismatch = "identity-mismatch", Deny;
    /// A claim that the policy demands is absent.
    ClaimMissing = "claim-missing", Deny;
    /// A claim has another value than the policy demands.
    ClaimMismatch = "claim-mismatch", Deny;
    /// A signed annotation that is demanded is absent or has another value.
    AnnotationMismatch = "annotation-mismatch", Deny;
    /// The evidence lacks a signed timestamp that is demanded.
    SignedTimestampMissing = "signed-timestamp-missing", Deny;

    // Signing: what keeps it from happening.
    /// No identity token was found to sign with.
    TokenMissing = "token-missing", Deny;
    /// The identity token cannot be read.
    TokenMalformed = "token-malformed", Deny;
    /// The identity token has expired, or is not valid yet.
    TokenOutsideValidity = "token-outside-validity", Deny;
    /// The identity token was issued for another audience.
    TokenAudienceMismatch = "token-audience-mismatch", Deny;
    /// The identity in the token may not sign here.
    SigningForbidden = "signing-forbidden", Deny;
    /// The tag names another image than it did when the command began.
    TagMoved = "tag-moved", Deny;
    /// The predicate is not what the type demands.
    PredicateMalformed = "predicate-malformed", Deny;
    /// The attestation is larger than the transparency log takes.
    EntryTooLarge = "log-entry-too-large", Deny;
    /// The registry does not let a tag be written again.
    TagImmutable = "tag-immutable", Deny;
    /// A TUF repository does not prove what it serves.
    MirrorUntrusted = "mirror-untrusted", Deny;
    /// A signing service refuses the request.
    ServiceRefused = "service-refused", Deny;

    // The world failed.
    /// The registry demands credentials that scgate has not, or refuses those it has (401).
    RegistryUnauthorized = "registry-unauthorized", Undecided;
    /// The registry forbids the request (403).
    RegistryForbidden = "registry-forbidden", Undecided;
    /// The registry throttles (429).
    RegistryRateLimited = "registry-rate-limited", Undecided;
    /// The registry failed (5xx, or an answer that means nothing here).
    RegistryUnavailable = "registry-unavailable", Undecided;
    /// No connection to the registry: name, TLS, refused, reset.
    RegistryUnreachable = "registry-unreachable", Undecided;
    /// The registry answered with something that is not the protocol.
    RegistryMalformed = "registry-malformed", Undecided;
    /// The registry asked for something that scgate's own rules forbid.
    RegistryRefused = "registry-refused", Undecided;
    /// The registry did not answer in time.
    RegistryTimeout = "registry-timeout", Undecided;
    /// A layout or archive on disk could not be read.
    LayoutUnreadable = "layout-unreadable", Undecided;
    /// What was written could not be found again.
    WriteUnconfirmed = "write-unconfirmed", Undecided;
    /// A signing service throttles (429).
    ServiceRateLimited = "service-rate-limited", Undecided;
    /// A signing service failed or did not answer.
    ServiceUnavailable = "service-unavailable", Undecided;
    /// A signing service answered with something that is not its protocol.
    ServiceMalformed = "service-malformed", Undecided;
    /// The time for the whole decision is used up.
    DeadlineExceeded = "deadline-exceeded", Undecided;
    /// A bug in scgate.
    Internal = "internal", Undecided;
}

impl fmt::Display for DenyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DenyCode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.name() == text)
            .ok_or(())
    }
}

impl Serialize for DenyCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_parse_back() {
        let mut names: Vec<_> = DenyCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for code in DenyCode::ALL {
            assert!(
                code.name()
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c == b'-')
            );
            assert_eq!(code.name().parse(), Ok(*code));
        }
    }
}
