//! Where scgate connects to. Whoever names an image, a token server or a redirect chooses a host;
//! this keeps him from the metadata services of clouds and from other addresses that no registry
//! has.
//!
//! An IP literal never reaches the resolver, so it is judged where the URL is, and a name where its
//! addresses are known: once per connection, so that a second look-up cannot bring another answer.

use core::net::IpAddr;
use core::net::Ipv4Addr;
use core::net::Ipv6Addr;
use core::net::SocketAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::Addrs;
use reqwest::dns::Name;
use reqwest::dns::Resolve;
use reqwest::dns::Resolving;

use crate::transport::Forbidden;

/// How far requests may go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Egress {
    /// Loopback and private addresses too: registries in a cluster or a local network are normal.
    #[default]
    Local,
    /// Public addresses alone.
    PublicOnly,
}

/// The rules for addresses and ports.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    pub(super) egress: Egress,
    /// `HOST:PORT` with a port below 1024 other than 80 and 443 that is allowed.
    pub(super) low_ports: Vec<String>,
}

/// What the resolver hands through reqwest's error chain.
#[derive(Debug, thiserror::Error)]
#[error("an address that scgate does not connect to")]
pub(super) struct Blocked(pub(super) Forbidden);

/// Metadata services outside of the link-local ranges: Amazon's over IPv6, Google's over IPv6,
/// Alibaba's and Oracle's.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Guard {
    /// Judges what can be judged before a name is resolved.
    pub(super) fn judge_url(&self, url: &Url) -> Result<(), Forbidden> {
        if let Some(port) = url.port_or_known_default()
            && port < 1024
            && !matches!(port, 80 | 443)
            && !self.is_named(url, port)
        {
            return Err(Forbidden::Port);
        }
        match literal(url) {
            Some(address) => self.judge(address),
            None => Ok(()),
        }
    }

    fn is_named(&self, url: &Url, port: u16) -> bool {
        let host = url.host_str().unwrap_or_default();
        self.low_ports
            .iter()
            .any(|named| named.rsplit_once(':') == Some((host, port.to_string().as_str())))
    }

    /// Judges one address.
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        if METADATA.contains(&address) {
            return Err(Forbidden::Metadata);
        }
        match address {
            IpAddr::V4(v4) => self.judge_v4(v4),
            IpAddr::V6(v6) => self.judge_v6(v6),
        }
    }

    /// Judges all addresses of a name. One that is forbidden spoils the name: it is either a mistake
    /// or an attempt.
    fn judge_all(
        &self,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        addresses
            .map(|address| self.judge(address.ip()).map(|()| address))
            .collect()
    }

    fn judge_v4(&self, address: Ipv4Addr) -> Result<(), Forbidden> {
        let [first, second, ..] = address.octets();
        let kind = if first == 0 {
            Forbidden::Unspecified
        } else if address.is_link_local() {
            Forbidden::LinkLocal
        } else if address.is_broadcast() {
            Forbidden::Broadcast
        } else if address.is_multicast() {
            Forbidden::Multicast
        } else if self.egress == Egress::Local {
            return Ok(());
        } else if address.is_loopback() {
            Forbidden::Loopback
        } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
            // 100.64.0.0/10 is shared address space (RFC 6598), used inside providers and clusters.
            Forbidden::Private
        } else {
            return Ok(());
        };
        Err(kind)
    }

    fn judge_v6(&self, address: Ipv6Addr) -> Result<(), Forbidden> {
        let kind = if address.is_unspecified() {
            Forbidden::Unspecified
        } else if address.is_loopback() {
            match self.egress {
                Egress::Local => return Ok(()),
                Egress::PublicOnly => Forbidden::Loopback,
            }
        } else if embeds_v4(address) {
            Forbidden::Embedded
        } else if address.is_unicast_link_local() {
            Forbidden::LinkLocal
        } else if address.is_multicast() {
            Forbidden::Multicast
        } else if self.egress == Egress::PublicOnly && address.is_unique_local() {
            Forbidden::Private
        } else {
            return Ok(());
        };
        Err(kind)
    }
}

/// IPv4-mapped and IPv4-compatible (RFC 4291), NAT64 (RFC 6052) and 6to4 (RFC 3056) addresses.
const fn embeds_v4(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x0064, 0xff9b, ..] | [0x2002, ..]
    )
}

/// The address, when the host of the URL is one.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// The system's resolver with the guard behind it.
pub(super) struct GuardedResolver(pub(super) Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = guard.judge_all(found).map_err(Blocked)?;
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(egress: Egress, url: &str) -> Result<(), Forbidden> {
        let guard = Guard {
            egress,
            low_ports: vec!["registry.test:444".to_owned(), "[::1]:22".to_owned()],
        };
        guard.judge_url(&Url::parse(url).expect("a URL"))
    }

    #[test]
    fn literals_are_judged_in_every_spelling() {
        for (url, expected) in [
            ("http://169.254.169.254/", Err(Forbidden::LinkLocal)),
            ("http://2852039166/", Err(Forbidden::LinkLocal)),
            ("http://0xa9.0xfe.0xa9.0xfe/", Err(Forbidden::LinkLocal)),
            ("http://[::ffff:169.254.169.254]/", Err(Forbidden::Embedded)),
            ("http://[::169.254.169.254]/", Err(Forbidden::Embedded)),
            ("http://[64:ff9b::a9fe:a9fe]/", Err(Forbidden::Embedded)),
            ("http://[::ffff:127.0.0.1]/", Err(Forbidden::Embedded)),
            ("http://[fd00:ec2::254]/", Err(Forbidden::Metadata)),
            ("http://[fe80::1]/", Err(Forbidden::LinkLocal)),
            ("http://[ff02::1]/", Err(Forbidden::Multicast)),
            ("http://[::]/", Err(Forbidden::Unspecified)),
            ("http://0.0.0.0/", Err(Forbidden::Unspecified)),
            ("http://0/", Err(Forbidden::Unspecified)),
            ("http://255.255.255.255/", Err(Forbidden::Broadcast)),
            ("http://224.0.0.1/", Err(Forbidden::Multicast)),
            ("http://100.100.100.200/", Err(Forbidden::Metadata)),
            ("http://registry.test:22/", Err(Forbidden::Port)),
            ("https://registry.test:444/", Ok(())),
            ("https://registry.test:445/", Err(Forbidden::Port)),
            ("https://other.test:444/", Err(Forbidden::Port)),
            ("http://[::1]:22/", Ok(())),
            ("https://registry.test:5000/", Ok(())),
            ("http://127.0.0.1:5000/", Ok(())),
            ("http://[::1]:5000/", Ok(())),
            ("http://10.0.0.1/", Ok(())),
            ("https://registry.test/", Ok(())),
        ] {
            assert_eq!(judge(Egress::Local, url), expected, "{url}");
        }
        for (url, expected) in [
            ("http://127.1/", Err(Forbidden::Loopback)),
            ("http://[::1]/", Err(Forbidden::Loopback)),
            ("http://10.0.0.1/", Err(Forbidden::Private)),
            ("http://100.64.0.1/", Err(Forbidden::Private)),
            ("http://[fd12::1]/", Err(Forbidden::Private)),
            ("http://192.0.2.1/", Ok(())),
        ] {
            assert_eq!(judge(Egress::PublicOnly, url), expected, "{url}");
        }
    }

    #[test]
    fn one_forbidden_address_spoils_a_name() {
        let judge_all = |egress, addresses: &[&str]| {
            let low_ports = Vec::new();
            let addresses = addresses
                .iter()
                .map(|text| SocketAddr::new(text.parse().expect("an address"), 0));
            let judged = Guard { egress, low_ports }.judge_all(addresses);
            judged.map(|allowed| allowed.len())
        };
        for (addresses, local, public) in [
            (&["192.0.2.1", "2001:db8::1"][..], Ok(2), Ok(2)),
            (&["192.0.2.1", "127.0.0.1"], Ok(2), Err(Forbidden::Loopback)),
            (&["10.0.0.1", "192.0.2.1"], Ok(2), Err(Forbidden::Private)),
            (
                &["192.0.2.1", "169.254.169.254"],
                Err(Forbidden::LinkLocal),
                Err(Forbidden::LinkLocal),
            ),
            (
                &["fd00:ec2::254", "192.0.2.1"],
                Err(Forbidden::Metadata),
                Err(Forbidden::Metadata),
            ),
        ] {
            assert_eq!(judge_all(Egress::Local, addresses), local, "{addresses:?}");
            let judged = judge_all(Egress::PublicOnly, addresses);
            assert_eq!(judged, public, "{addresses:?}");
        }
    }

    /// Names that are addresses are read without asking anybody.
    #[tokio::test]
    async fn what_the_resolver_finds_is_judged() {
        let resolve = async |egress, name: &str| {
            let low_ports = Vec::new();
            let resolver = GuardedResolver(Arc::new(Guard { egress, low_ports }));
            match resolver.resolve(name.parse().expect("a name")).await {
                Ok(addresses) => Ok(addresses.count()),
                Err(error) => Err(error.downcast_ref().map(|Blocked(kind)| *kind)),
            }
        };
        for (name, local, public) in [
            ("192.0.2.1", Ok(1), Ok(1)),
            ("127.0.0.1", Ok(1), Err(Some(Forbidden::Loopback))),
            (
                "169.254.169.254",
                Err(Some(Forbidden::LinkLocal)),
                Err(Some(Forbidden::LinkLocal)),
            ),
            (
                "fd00:ec2::254",
                Err(Some(Forbidden::Metadata)),
                Err(Some(Forbidden::Metadata)),
            ),
        ] {
            assert_eq!(resolve(Egress::Local, name).await, local, "{name}");
            assert_eq!(resolve(Egress::PublicOnly, name).await, public, "{name}");
        }
    }
}
