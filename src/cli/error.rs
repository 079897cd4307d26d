//! Why a command line makes no question. Whoever wrote it can mend it; nothing was decided yet.

use core::fmt;
use std::io;

use crate::model::DigestError;
use crate::model::NotATime;
use crate::model::ReferenceError;
use crate::policy::PatternError;
use crate::policy::PolicyError;
use crate::registry;
use crate::registry::KeyringError;
use crate::transport;
use crate::verify::TrustError;

/// Wrong usage or configuration. Its text is one sentence that names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    /// A file of credentials that cannot be read.
    #[error("`{flag}`: {source}")]
    Authfile {
        flag: &'static str,
        source: KeyringError,
    },
    /// A digest where nothing says in which repository.
    #[error(
        "`{text}` names no repository (write `NAME@{text}`, or name a layout with `--layout PATH`)"
    )]
    BareDigest { text: String },
    /// A text that is meant as a digest, and is none that is read here.
    #[error(
        "`{text}` is no digest: {source} (write `sha256:` with 64 or `sha512:` with 128 lower-case \
         hexadecimal digits)"
    )]
    Digest { text: String, source: DigestError },
    /// A flag about registries where none is asked.
    #[error("`{flag}` has no meaning with `--layout`, which asks no registry (leave it away)")]
    BesideLayout { flag: String },
    /// Two flags that cannot both count.
    #[error("`{one}` and `{other}` exclude each other (give only one of them)")]
    Exclusive { one: String, other: String },
    /// A file that a flag names and that cannot be read or written.
    #[error("`{flag} {path}`: {source}")]
    File {
        flag: &'static str,
        path: String,
        source: io::Error,
    },
    /// A file that a flag names and that is larger than such a file can be.
    #[error("`{flag} {path}`: larger than {limit} bytes, so it is something else")]
    FileSize {
        flag: &'static str,
        path: String,
        limit: usize,
    },
    /// `--key` names a place that scgate does not read keys from.
    #[error(
        "`--key {value}`: keys are not read from `{scheme}` (save the public key to a file, for \
         example with `cosign public-key --key …`, and name that file)"
    )]
    KeyScheme { value: String, scheme: String },
    /// The layout cannot be opened, or holds more or less than the one image that was asked about.
    #[error("`--layout`: {source}{}", Remedy(source))]
    Layout { source: registry::Error },
    /// A flag that is needed.
    #[error("{what} is missing (give {remedy})")]
    Missing {
        what: &'static str,
        remedy: &'static str,
    },
    /// A value that is no regular expression, or one that nobody can have meant.
    #[error("`{flag} {value}`: {source}")]
    Pattern {
        flag: String,
        value: String,
        source: PatternError,
    },
    /// The rules contradict each other.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A proxy that is none. Its address may hold a password, and is not told.
    #[error("`{by}`: {source}")]
    Proxy {
        by: &'static str,
        source: transport::Error,
    },
    /// A text that is no image reference.
    #[error("`{text}` is no image reference: {source}")]
    Reference {
        text: String,
        source: ReferenceError,
    },
    /// A flag of cosign's that scgate does not honour.
    #[error("`--{flag}` is refused: {reason}")]
    Refused {
        flag: &'static str,
        reason: &'static str,
    },
    /// The async runtime did not start.
    #[error("the program could not start: {0}")]
    Runtime(io::Error),
    /// A point in time that is none.
    #[error("`--at {value}`: {source}")]
    Time { value: String, source: NotATime },
    /// CA certificates that are none.
    #[error("`{flag} {value}`: {source}")]
    Transport {
        flag: &'static str,
        value: String,
        source: transport::Error,
    },
    /// A trusted root or a key that does not load.
    #[error("`{flag} {path}`: {source}")]
    Trust {
        flag: &'static str,
        path: String,
        source: TrustError,
    },
    /// A value that a flag does not take.
    #[error("`{flag} {value}`: {expected}")]
    Value {
        flag: &'static str,
        value: String,
        expected: &'static str,
    },
}

/// What helps with a layout that does not open, where the error does not say so itself.
struct Remedy<'a>(&'a registry::Error);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use registry::Error;
        use registry::LayoutFault as Fault;
        f.write_str(match self.0 {
            Error::Layout { fault, .. } => match fault {
                Fault::Io(io::ErrorKind::NotFound) => " (compare the path)",
                Fault::Io(io::ErrorKind::PermissionDenied) => {
                    " (give this user the right to read it)"
                }
                Fault::NotALayout | Fault::NotAnArchive | Fault::NotAFile => {
                    " (name an OCI layout directory or an uncompressed tar archive of one)"
                }
                Fault::Compressed(_) | Fault::DockerArchive => "",
                _ => REWRITE,
            },
            Error::NoImage { .. } => " (name a layout with an image, or copy the image into it)",
            Error::SeveralImages { .. } => "",
            _ => REWRITE,
        })
    }
}

const REWRITE: &str =
    " (write the layout again, for example with `cosign save` or `skopeo copy … oci:PATH`)";
