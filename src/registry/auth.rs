//! What a registry demands, and whom scgate gives a credential to.
//!
//! The registry names the token server. That makes it a way to send credentials anywhere
//! (CVE-2020-15157, CVE-2026-48978), so they go only to the registry's own host, to its registrable
//! domain, or to a pair that the operator listed; any other token server is asked anonymously.

use reqwest::Url;

use crate::model::printable;
use crate::registry::Rule;

/// Challenges and parameters that are read from one answer.
const MAX_PARTS: usize = 64;

/// What a registry demands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Demand {
    /// A name and a password.
    Basic,
    /// A token.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// Reads all challenges; a token is preferred to a password.
pub(super) fn demand<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Demand> {
    let mut basic = None;
    for challenge in headers.flat_map(parse) {
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            if let Some(realm) = challenge.parameter("realm") {
                return Some(Demand::Bearer {
                    realm: realm.to_owned(),
                    service: challenge.parameter("service").map(str::to_owned),
                });
            }
        } else if challenge.scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Demand::Basic);
        }
    }
    basic
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter();
        let (_, value) = found.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Parses one `WWW-Authenticate` value (RFC 9110, section 11.6.1), which may hold several challenges.
fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = value;
    for _ in 0..MAX_PARTS {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = word(rest);
        if word.is_empty() {
            break;
        }
        let spaced = after.trim_start_matches([' ', '\t']);
        match (spaced.strip_prefix('='), challenges.last_mut()) {
            (Some(text), Some(challenge)) => {
                // `==` is the padding of a token68, which no scheme here uses.
                let text = text.trim_start_matches([' ', '\t', '=']);
                let (text, after) = quoted(text);
                challenge.parameters.push((word.to_owned(), text));
                rest = after;
            }
            (Some(_), None) => break,
            (None, _) => {
                challenges.push(Challenge {
                    scheme: word.to_owned(),
                    parameters: Vec::new(),
                });
                rest = after;
            }
        }
    }
    challenges
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A quoted string with its escapes undone, or a plain word.
fn quoted(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let (word, rest) = word(text);
        return (word.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            character => value.push(character),
        }
    }
    (value, characters.as_str())
}

/// A token server that may be asked.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Realm {
    pub(super) url: Url,
    pub(super) trust: Trust,
}

/// Whether a token server gets credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// It is asked anonymously.
    Anonymous,
    /// It gets them.
    Credentials,
}

/// Judges the token server that `registry` named. `pairs` are hosts of registries and of token
/// servers that belong together.
pub(super) fn judge_realm(
    realm: &str,
    registry: &Url,
    pairs: &[(String, String)],
) -> Result<Realm, Rule> {
    let refuse = |host: &str| Rule::Realm {
        host: printable(host),
    };
    let Ok(url) = Url::parse(realm) else {
        // Not the text itself, which could hold anything.
        return Err(refuse("(no URL)"));
    };
    let (Some(host), Some(own)) = (url.host_str(), registry.host_str()) else {
        return Err(refuse("(no host)"));
    };
    let secure = match (url.scheme(), registry.scheme()) {
        ("https", _) => true,
        ("http", "http") => false,
        _ => return Err(refuse(host)),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(host));
    }
    let listed = pairs.iter().any(|(from, to)| from == own && to == host);
    let trust = if host == own || secure && (listed || same_domain(host, own)) {
        Trust::Credentials
    } else {
        Trust::Anonymous
    };
    Ok(Realm { url, trust })
}

/// Whether both hosts are under one registrable domain of the public suffix list. A suffix that is
/// not on the list (`.local`, `.internal`) says nothing about who owns what below it.
fn same_domain(one: &str, two: &str) -> bool {
    let domain = |host: &str| -> Option<String> {
        let known = psl::suffix(host.as_bytes())?.is_known();
        let domain = psl::domain_str(host).filter(|_| known)?;
        Some(domain.to_owned())
    };
    let is_address =
        |host: &str| host.starts_with('[') || host.parse::<core::net::Ipv4Addr>().is_ok();
    !is_address(one) && !is_address(two) && domain(one).is_some() && domain(one) == domain(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Demand> {
        Some(Demand::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn all_challenges_are_read_and_a_token_is_preferred() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        for (headers, expected) in [
            (&[][..], None),
            (&["Negotiate"], None),
            (&["Basic realm=\"x\""], Some(Demand::Basic)),
            (&["basic"], Some(Demand::Basic)),
            (
                &[hub],
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (
                &[
                    "Negotiate",
                    "Basic realm=x",
                    "BEARER realm=\"https://a.test/\"",
                ],
                bearer("https://a.test/", None),
            ),
            (
                &[
                    "Negotiate abc==, Basic realm=\"a, b\", Bearer realm=\"https://a.test/t?x=1\" , service = s",
                ],
                bearer("https://a.test/t?x=1", Some("s")),
            ),
            (
                &["Bearer service=\"s\", realm=\"https://a.test/\\\"q\\\"\""],
                bearer("https://a.test/\"q\"", Some("s")),
            ),
            (&["Bearer service=s"], None),
            (&["Bearer"], None),
            (&["realm=x"], None),
            (&["Bearer realm=\""], bearer("", None)),
            (&["\u{e9}\u{e9}=\"", ",,,,  ,"], None),
        ] {
            assert_eq!(demand(headers.iter().copied()), expected, "{headers:?}");
        }
        let endless = "a, ".repeat(100_000);
        assert_eq!(demand([endless.as_str()].into_iter()), None);
    }

    #[test]
    fn credentials_go_only_to_a_token_server_of_the_same_owner() {
        use Trust::Anonymous;
        use Trust::Credentials;
        let pairs = [(
            "registry.corp.test".to_owned(),
            "login.corp.test".to_owned(),
        )];
        for (registry, realm, expected) in [
            (
                "https://registry-1.docker.io/",
                "https://auth.docker.io/token",
                Some(Credentials),
            ),
            (
                "https://ghcr.io/",
                "https://ghcr.io/token",
                Some(Credentials),
            ),
            (
                "https://registry.gitlab.com/",
                "https://gitlab.com/jwt/auth",
                Some(Credentials),
            ),
            (
                "https://registry.example.co.uk/",
                "https://auth.example.co.uk/",
                Some(Credentials),
            ),
            (
                "https://registry.example.com:5000/",
                "https://registry.example.com:5001/",
                Some(Credentials),
            ),
            (
                "https://10.0.0.1:5000/",
                "https://10.0.0.1/t",
                Some(Credentials),
            ),
            (
                "https://registry.corp.test/",
                "https://login.corp.test/",
                Some(Credentials),
            ),
            (
                "http://127.0.0.1:5000/",
                "http://127.0.0.1:5001/t",
                Some(Credentials),
            ),
            // Other owners.
            ("https://a.co.uk/", "https://b.co.uk/", Some(Anonymous)),
            (
                "https://a.github.io/",
                "https://b.github.io/",
                Some(Anonymous),
            ),
            (
                "https://a.ns.svc.cluster.local/",
                "https://b.ns.svc.cluster.local/",
                Some(Anonymous),
            ),
            (
                "https://registry.example.com/",
                "https://example.com.evil.test/",
                Some(Anonymous),
            ),
            (
                "https://registry.example.com/",
                "https://evil.test/?registry.example.com",
                Some(Anonymous),
            ),
            (
                "https://login.corp.test/",
                "https://registry.corp.test/",
                Some(Anonymous),
            ),
            (
                "http://127.0.0.1:5000/",
                "http://localhost:5000/t",
                Some(Anonymous),
            ),
            (
                "http://a.example.com/",
                "http://b.example.com/",
                Some(Anonymous),
            ),
            ("https://10.0.0.1/", "https://10.0.0.2/", Some(Anonymous)),
            // No way.
            (
                "https://registry.example.com/",
                "http://registry.example.com/t",
                None,
            ),
            (
                "https://registry.example.com/",
                "https://u:p@registry.example.com/t",
                None,
            ),
            (
                "https://registry.example.com/",
                "https://u@registry.example.com/t",
                None,
            ),
            (
                "https://registry.example.com/",
                "ftp://registry.example.com/t",
                None,
            ),
            ("https://registry.example.com/", "/token", None),
            ("https://registry.example.com/", "", None),
            ("https://registry.example.com/", "data:text/plain,x", None),
        ] {
            let registry = Url::parse(registry).expect("a URL");
            let trust = judge_realm(realm, &registry, &pairs).ok().map(|r| r.trust);
            assert_eq!(trust, expected, "{registry} {realm}");
        }
    }
}
