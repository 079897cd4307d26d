//! Why something was not signed.

use crate::model::Claim;
use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Identity;
use crate::model::JsonError;
use crate::model::ManifestError;
use crate::model::printable;
use crate::policy::PolicyError;
use crate::registry;
use crate::services;
use crate::sign::KeyError;
use crate::verify;

/// Why something was not signed. Unless it says otherwise, nothing was pushed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The certificate does not verify. Whoever runs the authority can mend it, or whoever names the
    /// trusted root.
    #[error("the certificate that was issued does not verify: {source}")]
    Certificate {
        /// Why not.
        source: verify::Error,
    },
    /// The certificate says something else about the build than the token. Whoever runs the authority
    /// can mend it.
    #[error("the certificate says that {} is `{found}`, and the token `{expected}`", claim.name())]
    CertificateClaim {
        /// About what.
        claim: Claim,
        /// What the certificate says, cut and escaped.
        found: String,
        /// What the token says, cut and escaped.
        expected: String,
    },
    /// The certificate names somebody else than the token. Whoever runs the authority can mend it.
    #[error(
        "the certificate is for `{}` by `{}`, and the token for `{subject}` by `{issuer}`",
        printable(found.san.value()),
        printable(&found.issuer)
    )]
    CertificateIdentity {
        /// Whom the token names.
        subject: String,
        /// The issuer that goes with it.
        issuer: String,
        /// Whom the certificate names.
        found: Box<Identity>,
    },
    /// The certificate is for another key than the one that was sent.
    #[error("the certificate is for another key than the one that was sent")]
    CertificateKey,
    /// An entry of the index is not in the repository. Its publisher can push it.
    #[error("`{digest}`, which the index lists, is not there")]
    ChildNotFound {
        /// The entry.
        digest: Digest,
    },
    /// What was made does not verify. It was not pushed.
    #[error("the {layout} that was made for `{subject}` does not verify: {source}")]
    Evidence {
        /// What it is about.
        subject: Digest,
        /// Its layout.
        layout: &'static str,
        /// Why not.
        source: verify::Error,
    },
    /// Over a bound.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// No service issues certificates. The operator can name one.
    #[error(
        "the signing configuration names no Fulcio, which issues the certificate for a token (name one \
         with `--fulcio-url`, or sign with `--key`)"
    )]
    FulcioMissing,
    /// The key cannot sign this.
    #[error("the key cannot sign: {source}")]
    Key {
        /// Why not.
        #[from]
        source: KeyError,
    },
    /// The key is of a kind that the layout or log has no place for. The operator can choose others.
    #[error("a key of this kind cannot be used: {rule}")]
    KeyKind {
        /// Why not.
        rule: &'static str,
    },
    /// Whether it is signed already cannot be found out. Asking again may help.
    #[error("whether `{subject}` is signed already could not be found out: {found}")]
    Listing {
        /// The manifest.
        subject: Digest,
        /// What went wrong.
        found: String,
        /// Its reason.
        code: DenyCode,
    },
    /// The services have no Rekor v1, which the legacy layout needs. The operator can choose.
    #[error(
        "the legacy layout needs a log of Rekor v1, and the signing configuration has none (write \
         bundles alone with `--signature-format bundle`)"
    )]
    LegacyLog,
    /// A log that was asked is not in the trusted root. The operator can name another.
    #[error(
        "an entry of the signature about `{subject}` is in a log that the trusted root does not know"
    )]
    LogUnknown {
        /// What it is about.
        subject: Digest,
    },
    /// A manifest that cannot be read as one. Its publisher can mend it.
    #[error("`{digest}`: {source}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// Why not.
        source: ManifestError,
    },
    /// There is no image for a platform that a predicate names.
    #[error("the image has no platform `{platform}`")]
    PlatformMissing {
        /// The platform.
        platform: String,
    },
    /// Two documents of one type are for one manifest, and one is to take the place of the others. The
    /// operator can name one.
    #[error(
        "two documents are for `{digest}`, and `--replace` leaves one of a type (name only one)"
    )]
    PredicateTwice {
        /// The manifest.
        digest: Digest,
    },
    /// The rules for the same signer contradict each other, which they do not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The token that was fetched in the middle of a walk is of somebody else than the first.
    #[error("the first token is of {was}, and the next one of {is}")]
    Renewed {
        /// Who signed so far.
        was: String,
        /// Who would go on.
        is: String,
    },
    /// Nothing that was made could be verified. The operator can name a root.
    #[error(
        "there is no trusted root to verify the signature under (name one with `--trusted-root`)"
    )]
    RootMissing,
    /// A service.
    #[error(transparent)]
    Service(#[from] services::Error),
    /// A timestamp is of an authority that is not in the trusted root. The operator can name another.
    #[error(
        "a timestamp of the signature about `{subject}` is by an authority that the trusted root does \
         not know"
    )]
    StampUnknown {
        /// What it is about.
        subject: Digest,
    },
    /// The statement around a document cannot be read back. Whoever made the document can mend it.
    #[error("the statement about it could not be read back: {source}")]
    Statement {
        /// Why not.
        source: JsonError,
    },
    /// The tag names another image by now.
    #[error("`{reference}` was `{was}` when the command began, and is `{is}` now")]
    TagMoved {
        /// The reference.
        reference: String,
        /// What it was.
        was: Digest,
        /// What it is.
        is: Digest,
    },
    /// The token names nobody.
    #[error("the token names nobody")]
    Nameless,
    /// No service would state when it was signed, without which a certificate proves nothing. The
    /// operator can name one.
    #[error(
        "no service states the time of signing (name a timestamp authority, or a log of Rekor v1)"
    )]
    TimeMissing,
    /// A manifest of a type that nobody can say anything about.
    #[error("`{digest}` is of the type `{media_type}`, which is no image and no index")]
    UnknownType {
        /// The manifest.
        digest: Digest,
        /// Its type, cut and escaped.
        media_type: String,
    },
}

impl Error {
    /// The reason, as it stands in every report.
    #[must_use]
    pub fn code(&self) -> DenyCode {
        match self {
            Self::Certificate { source } | Self::Evidence { source, .. } => source.code(),
            Self::CertificateIdentity { .. } | Self::Renewed { .. } => DenyCode::IdentityMismatch,
            Self::CertificateClaim { .. } => DenyCode::ClaimMismatch,
            Self::CertificateKey => DenyCode::KeyMismatch,
            Self::ChildNotFound { .. } => DenyCode::ChildNotFound,
            Self::Exceeded(_) => DenyCode::LimitExceeded,
            Self::Key { .. } | Self::KeyKind { .. } => DenyCode::KeyUnsupported,
            Self::LegacyLog => DenyCode::LogEntryUnsupported,
            Self::Listing { code, .. } => *code,
            Self::Manifest {
                source: ManifestError::Exceeded(_),
                ..
            } => DenyCode::LimitExceeded,
            Self::Manifest { .. } | Self::UnknownType { .. } => DenyCode::ManifestMalformed,
            Self::FulcioMissing | Self::RootMissing => DenyCode::ServiceRefused,
            Self::LogUnknown { .. } => DenyCode::LogUnknown,
            Self::StampUnknown { .. } => DenyCode::TimestampUntrusted,
            Self::Nameless => DenyCode::TokenMalformed,
            Self::TimeMissing => DenyCode::TimeMissing,
            Self::PredicateTwice { .. } | Self::Statement { .. } => DenyCode::PredicateMalformed,
            Self::Policy(_) => DenyCode::Internal,
            Self::PlatformMissing { .. } => DenyCode::PlatformMissing,
            Self::Registry(source) => source.code(),
            Self::Service(source) => source.code(),
            Self::TagMoved { .. } => DenyCode::TagMoved,
        }
    }
}
