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
use crate::services::signing_config::SigningConfigError;
use crate::services::tuf;
use crate::transport;
use crate::verify::TrustError;

/// Wrong usage or configuration. Its text is one sentence that names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    /// A file of credentials that cannot be read.
    #[error("`{flag}`: {source} (write the file again, for example with `docker login`)")]
    Authfile {
        flag: &'static str,
        source: KeyringError,
    },
    /// An address of a service that is none.
    #[error("`{flag}`: {source}")]
    Address {
        flag: &'static str,
        source: crate::services::AddressError,
    },
    /// A pattern for refs that is none.
    #[error("`--allow-ref`: {source}")]
    AllowRef {
        source: crate::services::oidc::RefPatternError,
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
    #[error("`{}`: {}", named(flag, path), Trouble(*to, source))]
    File {
        flag: &'static str,
        path: String,
        to: Access,
        source: io::Error,
    },
    /// A file that a flag names and that is larger than such a file can be.
    #[error(
        "`{}`: larger than {limit} bytes, so it is something else (name the right file)",
        named(flag, path)
    )]
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
    /// A private key that does not load.
    #[error("`--key {path}`: {source}")]
    PrivateKey {
        path: String,
        source: crate::sign::KeyError,
    },
    /// `--key` names a place that scgate signs with no key of.
    #[error(
        "`--key {value}`: scgate signs with keys in files and not with those of `{scheme}` (sign \
         keylessly, or name a file)"
    )]
    PrivateKeyScheme { value: String, scheme: String },
    /// A signing configuration that does not load, or of which nothing counts now.
    #[error("`{named}`: {source}{}", another(source))]
    SigningConfig {
        named: String,
        source: SigningConfigError,
    },
    /// Something else in the place of a signing configuration.
    #[error("`{named}`: it looks like {looks}, not like a signing configuration{ANOTHER}")]
    NotASigningConfig { named: String, looks: &'static str },
    /// The layout cannot be opened, or holds more or less than the one image that was asked about.
    #[error("`--layout`: {source}{}", Remedy(source))]
    Layout { source: registry::Error },
    /// A flag that is needed.
    #[error("{what} (give {remedy})")]
    Missing {
        what: &'static str,
        remedy: &'static str,
    },
    /// A value that is no regular expression, or one that nobody can have meant.
    #[error("`{flag} {}`: {source}{}", shown(value), instead(source))]
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
    #[error(
        "`{}` is no image reference: {source}{}",
        shown(text),
        rewritten(source)
    )]
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
    /// A sandbox that does not start.
    #[cfg(feature = "sandbox")]
    #[error("failed to {source}{}", because(source))]
    Sandbox {
        #[from]
        source: crate::sandbox::SandboxError,
    },
    /// A sandbox that runs elsewhere and does not do what it was told.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Remote(#[from] crate::sandbox::RemoteError),
    /// A file of users that does not read.
    #[cfg(feature = "sandbox")]
    #[error("`--registry-htpasswd {path}`: {source}")]
    Users {
        path: String,
        source: crate::sandbox::registry::RegistryError,
    },
    /// stdin where a file is meant.
    #[error(
        "`{}`: stdin is not read here (name a file; one that is called `-` is `./-`)",
        named(flag, "-")
    )]
    Stdin { flag: &'static str },
    /// A point in time that is none.
    #[error("`--at {value}`: {source}")]
    Time { value: String, source: NotATime },
    /// Something of the network, where none may be used.
    #[error("{what} needs the network, which `--offline` forbids ({remedy})")]
    Offline {
        what: &'static str,
        remedy: &'static str,
    },
    /// A TUF mirror or an anchor that is none.
    #[error(transparent)]
    Tuf(#[from] tuf::Error),
    /// CA certificates that are none.
    #[error("`{flag} {value}`: {source}")]
    Transport {
        flag: &'static str,
        value: String,
        source: transport::Error,
    },
    /// A key that does not load.
    #[error("`--key {path}`: {source}")]
    Key { path: String, source: TrustError },
    /// A trusted root that does not load.
    #[error(
        "`{named}`: {source} (name a `trusted_root.json` as `cosign trusted-root create` or `scgate \
         trust fetch` writes it)"
    )]
    Root { named: String, source: TrustError },
    /// Something else in the place of a trusted root.
    #[error(
        "`{named}`: it looks like {looks}, not like a trusted root (name a `trusted_root.json` as \
         `cosign trusted-root create` or `scgate trust fetch` writes it)"
    )]
    NotARoot { named: String, looks: &'static str },
    /// A value that a flag does not take.
    #[error("`{}`: {expected}", named(flag, shown(value)))]
    Value {
        flag: &'static str,
        value: String,
        expected: &'static str,
    },
}

/// What a file was wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The flag of an argument that has none: its value alone says what is meant.
pub(super) const ARGUMENT: &str = "FILE";

/// A value with the flag that it was given by, if any.
pub(super) fn named(flag: &str, value: &str) -> String {
    match flag {
        ARGUMENT => value.to_owned(),
        flag => format!("{flag} {value}"),
    }
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
            Error::Unwritten {
                fault: Fault::Io(_),
                ..
            } => " (give this user the right to write there, and room)",
            Error::Unwritten { .. } => "",
            Error::NoImage { .. } => " (name a layout with an image, or copy the image into it)",
            Error::SeveralImages { .. } => "",
            _ => REWRITE,
        })
    }
}

const REWRITE: &str =
    " (write the layout again, for example with `cosign save` or `skopeo copy … oci:PATH`)";

const ANOTHER: &str = " (name a `signing_config.json` of version 0.2 as `cosign signing-config create` \
                       or `scgate trust fetch --signing-config` writes it)";

/// What helps with a signing configuration that does not load, or of which nothing counts.
const fn another(error: &SigningConfigError) -> &'static str {
    match error {
        SigningConfigError::NoneCounts { .. } | SigningConfigError::TooFew { .. } => {
            " (name a newer one with `--signing-config`, or compare the clock)"
        }
        SigningConfigError::Selector { .. } => "",
        _ => ANOTHER,
    }
}

/// The cause of an error that has one.
#[cfg(feature = "sandbox")]
fn because(error: &dyn core::error::Error) -> String {
    error
        .source()
        .map_or_else(String::new, |cause| format!(": {cause}"))
}

/// A value as it stands in a sentence: one that is empty would not be seen.
fn shown(value: &str) -> &str {
    if value.is_empty() { "''" } else { value }
}

/// What helps with a pattern, where the error does not say so itself.
const fn instead(error: &PatternError) -> &'static str {
    match error {
        PatternError::Empty => " (give the value that must be there, or leave the flag away)",
        PatternError::Syntax { .. } => {
            " (escape what stands for itself, such as `\\-` in a class and `\\{`; for one text take the \
             flag without `-regexp`)"
        }
        PatternError::TooLarge => " (write a shorter one)",
        _ => "",
    }
}

/// What helps with a reference, where the error does not say so itself.
const fn rewritten(error: &ReferenceError) -> &'static str {
    match error {
        ReferenceError::NotARepository => " (leave the tag or digest away)",
        ReferenceError::UpperCase => " (write it in lower case)",
        ReferenceError::Host
        | ReferenceError::Path
        | ReferenceError::Port
        | ReferenceError::TooLong => {
            " (write `HOST[:PORT]/NAME:TAG` or `HOST[:PORT]/NAME@sha256:…`)"
        }
        ReferenceError::Digest(
            DigestError::Length { .. } | DigestError::NotHex | DigestError::UnknownAlgorithm,
        ) => " (write `NAME@sha256:` and 64 lower-case hexadecimal digits)",
        _ => "",
    }
}

/// Why a file that a flag names is not read or written, and what helps.
struct Trouble<'a>(Access, &'a io::Error);

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use io::ErrorKind as Kind;
        f.write_str(match (self.1.kind(), self.0) {
            (Kind::NotFound, Access::Read) => "there is no such file (compare the path)",
            (Kind::NotFound, Access::Write) => "there is no such directory (make it first)",
            (Kind::PermissionDenied, Access::Read) => {
                "this user may not read it (give this user the right to)"
            }
            (Kind::PermissionDenied | Kind::ReadOnlyFilesystem, Access::Write) => {
                "this user may not write it (name another place)"
            }
            (Kind::IsADirectory, _) => "it is a directory (name a file)",
            (Kind::NotADirectory, _) => "a part of the path is no directory (compare the path)",
            (Kind::InvalidInput | Kind::InvalidFilename, _) => {
                "no file can have that name (compare the path)"
            }
            (kind, _) => {
                return write!(
                    f,
                    "{kind} (name another file, or mend what keeps it from this one)"
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_wanted_for_reading_or_for_writing() {
        let said = |to, kind: io::ErrorKind| Trouble(to, &kind.into()).to_string();
        for (kind, read, write) in [
            (io::ErrorKind::NotFound, "no such file", "no such directory"),
            (
                io::ErrorKind::PermissionDenied,
                "may not read",
                "may not write",
            ),
        ] {
            assert!(said(Access::Read, kind).contains(read));
            assert!(said(Access::Write, kind).contains(write));
        }
        assert_eq!(named("--key", "k"), "--key k");
        assert_eq!(named(ARGUMENT, "k"), "k");
    }
}
