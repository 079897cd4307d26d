//! Why evidence was refused. One enum, one code for each variant, data instead of text.
//!
//! Unless a variant says otherwise, the publisher of the artifact is the one who can mend it.

use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Timestamp;

/// The reason for which a piece of evidence does not count. Ranked by its [`DenyCode`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A time lies outside of the window in which an authority of the trust root counts.
    #[error("signed at {time}, outside of the validity of the issuing authority ({window})")]
    AuthorityOutsideValidity {
        /// The authenticated time.
        time: Timestamp,
        /// The window, as text.
        window: String,
    },
    /// The chain form where only a leaf may stand, an empty chain, or a root inside of it.
    #[error("a bundle certificate chain that must not be: {rule}")]
    BundleCertificateChain {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// Not JSON, or a member that is unknown or occurs twice.
    #[error("a bundle that is not read: {0}")]
    BundleJson(JsonError),
    /// JSON that breaks a rule of the bundle format.
    #[error("a bundle that breaks the format: {rule}")]
    BundleShape {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A media type that is none of the known bundle versions.
    #[error("a bundle of the unknown type `{found}`")]
    BundleVersion {
        /// The media type found.
        found: String,
    },
    /// A Fulcio extension that is malformed or occurs twice.
    #[error("certificate extension .{arc} is malformed: {rule}")]
    CertificateClaims {
        /// The last number of its object identifier.
        arc: u8,
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A deprecated extension and its successor say different things.
    #[error("certificate extensions .{deprecated} and .{successor} disagree")]
    CertificateClaimsConflict {
        /// The last number of the deprecated extension.
        deprecated: u8,
        /// The last number of its successor.
        successor: u8,
    },
    /// Not a certificate.
    #[error("a certificate that is malformed: {rule}")]
    CertificateMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A time lies outside of the leaf's or an intermediate's own validity.
    #[error("signed at {time}, but the certificate was valid from {not_before} to {not_after}")]
    CertificateOutsideValidity {
        /// The authenticated time.
        time: Timestamp,
        /// Start of the validity.
        not_before: Timestamp,
        /// End of the validity.
        not_after: Timestamp,
    },
    /// No subject alternative name, several, or one of a kind that identifies nobody.
    #[error("a certificate without exactly one identity: {rule}")]
    CertificateSan {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// No path to an authority of the trust root.
    #[error("the certificate does not lead to an authority of the trust root: {reason}")]
    CertificateUntrusted {
        /// What the path judge said.
        reason: String,
    },
    /// The profile of a signing certificate is not kept.
    #[error("not a code-signing certificate: {rule}")]
    CertificateUsage {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// The checkpoint is not signed by the log of the entry.
    #[error("the checkpoint carries no valid signature of the entry's log")]
    CheckpointInvalid,
    /// The checkpoint's text is malformed.
    #[error("a checkpoint that is malformed: {rule}")]
    CheckpointMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// The checkpoint is about another tree or another log.
    #[error("the checkpoint does not fit the inclusion proof: {rule}")]
    CheckpointMismatch {
        /// What differs.
        rule: &'static str,
    },
    /// An inclusion proof without a checkpoint.
    #[error("the inclusion proof has no checkpoint")]
    CheckpointMissing,
    /// A DSSE envelope that is malformed.
    #[error("an envelope that is malformed: {rule}")]
    Envelope {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A bound on foreign data was exceeded.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// A key or algorithm that scgate does not read.
    #[error("an unsupported key or signature algorithm: {rule}")]
    KeyUnsupported {
        /// What is not supported.
        rule: &'static str,
    },
    /// A legacy layer or file with JSON that is malformed.
    #[error("a legacy signature that is not read: {0}")]
    LegacyJson(JsonError),
    /// A legacy layer or file that breaks the format.
    #[error("a legacy signature that breaks the format: {rule}")]
    LegacyShape {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A log entry that is malformed.
    #[error("a log entry that is malformed: {rule}")]
    LogEntryMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// The log entry is about something else.
    #[error("the log entry is not about this signature: {what} differs")]
    LogEntryMismatch {
        /// What differs.
        what: &'static str,
    },
    /// There is no log entry.
    #[error("no transparency log entry")]
    LogEntryMissing,
    /// A kind or version of log entry that scgate does not read.
    #[error("a log entry of the unknown kind `{kind}` version `{version}`")]
    LogEntryUnsupported {
        /// Its kind.
        kind: String,
        /// Its version.
        version: String,
    },
    /// A time lies outside of the window in which the log's key counts.
    #[error("logged at {time}, outside of the validity of the log's key ({window})")]
    LogOutsideValidity {
        /// The authenticated time.
        time: Timestamp,
        /// The window, as text.
        window: String,
    },
    /// The inclusion proof is wrong.
    #[error("the inclusion proof does not prove the entry: {rule}")]
    LogProofInvalid {
        /// What is wrong.
        rule: &'static str,
    },
    /// No inclusion proof.
    #[error("the log entry has no inclusion proof")]
    LogProofMissing,
    /// The signed entry timestamp does not verify.
    #[error("the log's signed promise (SET) does not verify")]
    LogPromiseInvalid,
    /// The format or the verifier needs a signed entry timestamp.
    #[error("the log entry has no signed promise (SET)")]
    LogPromiseMissing,
    /// The log is not in the trust root.
    #[error("the log `{id}` is not in the trust root")]
    LogUnknown {
        /// The log's key id in hexadecimal digits.
        id: String,
    },
    /// The payload is not JSON of its kind.
    #[error("a signed payload that is not read: {0}")]
    PayloadJson(JsonError),
    /// The payload breaks a rule of its kind.
    #[error("a signed payload that is malformed: {rule}")]
    PayloadMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A payload type that scgate does not read.
    #[error("a signed payload of the unknown type `{found}`")]
    PayloadType {
        /// The type found.
        found: String,
    },
    /// No SCT verifies.
    #[error("the certificate's SCT does not verify")]
    SctInvalid,
    /// An SCT that is malformed.
    #[error("an SCT that is malformed: {rule}")]
    SctMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// No SCT.
    #[error("the certificate has no SCT")]
    SctMissing,
    /// A time lies outside of the window in which the certificate transparency log's key counts.
    #[error("SCT of {time}, outside of the validity of its log's key ({window})")]
    SctOutsideValidity {
        /// The SCT's time.
        time: Timestamp,
        /// The window, as text.
        window: String,
    },
    /// The SCTs are by unknown logs.
    #[error("the certificate's SCT is by a log that is not in the trust root")]
    SctUntrusted,
    /// The signature is not base64, or empty.
    #[error("a signature that is not base64 or is empty")]
    SignatureEncoding,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    SignatureInvalid,
    /// A key where a certificate is demanded, or the reverse.
    #[error("signed with a {found} where a {expected} is demanded")]
    SignerKind {
        /// What is demanded.
        expected: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// What was signed is something else.
    #[error("signed for {found}, not for {asked}")]
    SubjectMismatch {
        /// The digest that was asked about.
        asked: Digest,
        /// What the signed payload names.
        found: String,
    },
    /// An authenticated time after now.
    #[error("signed at {time}, which lies in the future")]
    TimeInFuture {
        /// The authenticated time.
        time: Timestamp,
    },
    /// Nothing proves when it was signed.
    #[error("nothing proves when it was signed: {rule}")]
    TimeMissing {
        /// What would have.
        rule: &'static str,
    },
    /// A timestamp with a wrong signature or signer.
    #[error("a timestamp that does not verify: {rule}")]
    TimestampInvalid {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A timestamp that is malformed.
    #[error("a timestamp that is malformed: {rule}")]
    TimestampMalformed {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// A timestamp over something else.
    #[error("a timestamp of another signature")]
    TimestampMismatch,
    /// A timestamp outside of its authority's validity.
    #[error("timestamp of {time}, outside of the validity of its authority ({window})")]
    TimestampOutsideValidity {
        /// The stamped time.
        time: Timestamp,
        /// The window, as text.
        window: String,
    },
    /// A timestamp by an authority that is not in the trust root.
    #[error("a timestamp by an authority that is not in the trust root")]
    TimestampUntrusted,
}

impl Error {
    /// The code of this reason.
    #[must_use]
    pub const fn code(&self) -> DenyCode {
        match self {
            Self::AuthorityOutsideValidity { .. } => DenyCode::AuthorityOutsideValidity,
            Self::BundleCertificateChain { .. } => DenyCode::BundleCertificateChain,
            Self::BundleJson(_) | Self::BundleShape { .. } => DenyCode::BundleMalformed,
            Self::BundleVersion { .. } => DenyCode::BundleVersionUnsupported,
            Self::CertificateClaims { .. } => DenyCode::CertificateClaimsMalformed,
            Self::CertificateClaimsConflict { .. } => DenyCode::CertificateClaimsConflict,
            Self::CertificateMalformed { .. } => DenyCode::CertificateMalformed,
            Self::CertificateOutsideValidity { .. } => DenyCode::CertificateOutsideValidity,
            Self::CertificateSan { .. } => DenyCode::CertificateSan,
            Self::CertificateUntrusted { .. } => DenyCode::CertificateUntrusted,
            Self::CertificateUsage { .. } => DenyCode::CertificateUsage,
            Self::CheckpointInvalid => DenyCode::CheckpointInvalid,
            Self::CheckpointMalformed { .. } => DenyCode::CheckpointMalformed,
            Self::CheckpointMismatch { .. } => DenyCode::CheckpointMismatch,
            Self::CheckpointMissing => DenyCode::CheckpointMissing,
            Self::Envelope { .. } => DenyCode::EnvelopeMalformed,
            Self::Exceeded(_) => DenyCode::LimitExceeded,
            Self::KeyUnsupported { .. } => DenyCode::KeyUnsupported,
            Self::LegacyJson(_) | Self::LegacyShape { .. } => DenyCode::LegacyMalformed,
            Self::LogEntryMalformed { .. } => DenyCode::LogEntryMalformed,
            Self::LogEntryMismatch { .. } => DenyCode::LogEntryMismatch,
            Self::LogEntryMissing => DenyCode::LogEntryMissing,
            Self::LogEntryUnsupported { .. } => DenyCode::LogEntryUnsupported,
            Self::LogOutsideValidity { .. } => DenyCode::LogOutsideValidity,
            Self::LogProofInvalid { .. } => DenyCode::LogProofInvalid,
            Self::LogProofMissing => DenyCode::LogProofMissing,
            Self::LogPromiseInvalid => DenyCode::LogPromiseInvalid,
            Self::LogPromiseMissing => DenyCode::LogPromiseMissing,
            Self::LogUnknown { .. } => DenyCode::LogUnknown,
            Self::PayloadJson(_) | Self::PayloadMalformed { .. } => DenyCode::PayloadMalformed,
            Self::PayloadType { .. } => DenyCode::PayloadTypeUnsupported,
            Self::SctInvalid => DenyCode::SctInvalid,
            Self::SctMalformed { .. } => DenyCode::SctMalformed,
            Self::SctMissing => DenyCode::SctMissing,
            Self::SctOutsideValidity { .. } => DenyCode::SctOutsideValidity,
            Self::SctUntrusted => DenyCode::SctUntrusted,
            Self::SignatureEncoding => DenyCode::SignatureMalformed,
            Self::SignatureInvalid => DenyCode::SignatureInvalid,
            Self::SignerKind { .. } => DenyCode::SignerKindMismatch,
            Self::SubjectMismatch { .. } => DenyCode::SubjectMismatch,
            Self::TimeInFuture { .. } => DenyCode::TimeInFuture,
            Self::TimeMissing { .. } => DenyCode::TimeMissing,
            Self::TimestampInvalid { .. } => DenyCode::TimestampInvalid,
            Self::TimestampMalformed { .. } => DenyCode::TimestampMalformed,
            Self::TimestampMismatch => DenyCode::TimestampMismatch,
            Self::TimestampOutsideValidity { .. } => DenyCode::TimestampOutsideValidity,
            Self::TimestampUntrusted => DenyCode::TimestampUntrusted,
        }
    }
}
