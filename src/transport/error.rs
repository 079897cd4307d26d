//! What can go wrong between a request and the last byte of its answer.

use core::fmt;
use core::time::Duration;

/// Why an exchange failed. Answers with a status of 400 and more are not here: they are answers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A CA file holds no certificate that can be read. The operator can mend it.
    #[error(
        "a CA file without a certificate that can be read (name a PEM file with `CERTIFICATE` blocks)"
    )]
    CaFile,
    /// The time for the whole operation is used up.
    #[error("the time for the whole operation was used up while `{host}` was asked")]
    Deadline {
        /// The host that was asked.
        host: String,
    },
    /// The body came compressed although that was not asked for: sizes and digests are about the
    /// plain bytes.
    #[error("`{host}` answered with the content encoding `{encoding}`")]
    Encoding {
        /// The host that was asked.
        host: String,
        /// The encoding, cut and escaped.
        encoding: String,
    },
    /// The proxy's address is none. The operator can mend it. The address itself may hold a
    /// password, and is not told.
    #[error(
        "a proxy address that is none (write `http://HOST:PORT` or `https://HOST:PORT`, with \
         `USER:PASSWORD@` before the host if the proxy asks for it)"
    )]
    Proxy,
    /// The proxy is to be reached in a way that scgate does not speak. The operator can mend it.
    #[error(
        "proxies are not reached by `{scheme}://` (name one by `http://HOST:PORT` or \
         `https://HOST:PORT`)"
    )]
    ProxyScheme {
        /// The scheme, cut and escaped.
        scheme: String,
    },
    /// scgate's own rules forbid to talk to that address.
    #[error("`{host}` is {address}, which scgate does not connect to")]
    Refused {
        /// The host that was asked.
        host: String,
        /// What kind of address it is.
        address: Forbidden,
    },
    /// The TLS settings could not be put together.
    #[error("the TLS settings could not be put together")]
    Setup,
    /// No byte came for too long.
    #[error("`{host}` sent nothing for {} s", after.as_secs_f32())]
    Timeout {
        /// The host that was asked.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// The body is larger than may be read.
    #[error("`{host}` sent more than {limit} bytes")]
    TooLarge {
        /// The host that was asked.
        host: String,
        /// The bound.
        limit: usize,
    },
    /// There was no connection, or it broke.
    #[error("`{host}` could not be reached: {cause}: {detail}")]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// At which step.
        cause: Cause,
        /// The innermost reason, cut and escaped.
        detail: String,
    },
}

/// At which step a connection failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// It was there and broke.
    Broken,
    /// It was refused.
    Connect,
    /// The name has no address.
    Name,
    /// It did not come about in time.
    NoAnswer,
    /// The answer is not HTTP.
    Protocol,
    /// TLS failed: the certificate above all.
    Tls,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the connection broke",
            Self::Connect => "no connection",
            Self::Name => "the name was not resolved",
            Self::NoAnswer => "no connection in time",
            Self::Protocol => "the answer is not HTTP",
            Self::Tls => "TLS failed",
        })
    }
}

/// A kind of address that scgate does not connect to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forbidden {
    /// The broadcast address.
    Broadcast,
    /// An IPv4 address in IPv6 clothing.
    Embedded,
    /// A link-local address: where clouds serve instance metadata.
    LinkLocal,
    /// A loopback address, where only public ones are allowed.
    Loopback,
    /// A cloud's metadata service.
    Metadata,
    /// A multicast address.
    Multicast,
    /// A port below 1024 that is neither 80 nor 443.
    Port,
    /// A private address, where only public ones are allowed.
    Private,
    /// The unspecified address, which reaches this machine.
    Unspecified,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broadcast => "the broadcast address",
            Self::Embedded => "an IPv4 address written as IPv6",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Port => "on a port below 1024 other than 80 and 443 that nobody asked for",
            Self::Private => "a private address",
            Self::Unspecified => "an unspecified address",
        })
    }
}
