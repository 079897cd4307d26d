//! Expressions that take anybody. Who trusts a host, a domain or a trust domain has made a choice;
//! who trusts any of them has made none, and cannot have meant it.

use regex::Regex;

/// Somebody whom nobody can have had in mind, by whatever kind of name.
struct Stranger {
    /// A host without its top-level domain.
    host: &'static str,
    words: [&'static str; 3],
    text: &'static str,
}

/// Strangers that have nothing in common. They are written with small letters alone, as an expression
/// that takes any name at least takes those.
const STRANGERS: [Stranger; 4] = [
    Stranger {
        host: "vunto",
        words: ["tavel", "ibrun", "koshe"],
        text: "zemla",
    },
    Stranger {
        host: "oskel",
        words: ["drimba", "yelf", "sunaq"],
        text: "Hurv Ocot 7",
    },
    Stranger {
        host: "quolpeb",
        words: ["nuvi", "gathor", "wexim"],
        text: "x-31.lyndo",
    },
    Stranger {
        host: "julvin",
        words: ["pobek", "camzu", "fride"],
        text: "KRAB_9",
    },
];

/// The top-level domains of the strangers, in turns; whoever takes all in one of them takes anybody
/// as well.
const DOMAINS: [[&str; 4]; 7] = [
    ["org", "io", "dev", "net"],
    ["com"; 4],
    ["org"; 4],
    ["net"; 4],
    ["io"; 4],
    ["dev"; 4],
    ["de"; 4],
];

impl Stranger {
    /// A name of each kind.
    fn names(&self, domain: &str) -> [String; 16] {
        let Self { host, words, text } = self;
        let [one, two, three] = words;
        let host = format!("{host}.{domain}");
        let workflow = format!("https://{host}/{one}/{two}/.github/workflows/{three}.yml");
        [
            format!("https://{host}"),
            format!("https://{one}.{host}"),
            format!("https://{host}/{one}"),
            format!("https://{three}.{host}/{one}/{two}"),
            format!("{workflow}@refs/heads/{two}"),
            format!("{workflow}@refs/heads/main"),
            format!("{workflow}@refs/heads/master"),
            format!("{workflow}@refs/tags/v1.2.3"),
            format!("http://{host}"),
            format!("http://{three}.{host}/{one}/{two}"),
            format!("spiffe://{host}/{one}"),
            format!("spiffe://{three}.{host}/ns/{one}/sa/{two}"),
            format!("{one}@{host}"),
            format!("{one}.{two}@{three}.{host}"),
            format!("{one}!{host}"),
            (*text).to_owned(),
        ]
    }
}

/// Whether an expression takes every stranger by a name of one kind.
pub(super) fn takes_anybody(whole: &Regex) -> bool {
    DOMAINS.iter().any(|domains| {
        let strangers = STRANGERS.iter().zip(domains);
        let names: Vec<_> = strangers.map(|(one, domain)| one.names(domain)).collect();
        let kinds = names.first().map_or(0, |names| names.len());
        (0..kinds).any(|kind| {
            let mut of_kind = names.iter().filter_map(|names| names.get(kind));
            of_kind.all(|name| whole.is_match(name))
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::Pattern;
    use crate::policy::PatternError;

    #[test]
    fn who_takes_anybody_names_nobody() {
        for text in [
            // Any URI.
            "https://.*",
            "https://[^/]+",
            "https://[^/]+/.+",
            "https?://.*/.*",
            "(?i)https://.*[a-z]/.*",
            r"https://.*/\.github/workflows/.*",
            "https://.*@.*",
            "http://.*",
            "spiffe://.*",
            "spiffe://[^/]+/.*",
            ".*/.*",
            ".+:.+",
            r".*\..*",
            // Any e-mail address.
            ".*@.*",
            ".+@.+",
            r"\S+@\S+",
            r"[^@]+@[^@]+\.[^@]+",
            "[a-z]+@[a-z.]+",
            // Any of a top-level domain, any branch of that name.
            r".*@.*\.com",
            r".+@[a-z.]+\.de",
            r"https://.*\.com/.*",
            ".*@refs/heads/main",
            r".*@refs/tags/v\d+\.\d+\.\d+",
            // Any user name, any text.
            ".*!.*",
            ".{3,}",
            ".{20,}",
            ".*[a-z].*",
            "[^/]+",
            "[^@:/!]+",
        ] {
            let loaded = Pattern::regexp(text).err();
            assert_eq!(loaded, Some(PatternError::Vacuous), "{text}");
        }
        for text in [
            "https://github.com/.*",
            r"https://github\.com/acme/.*",
            r"https://.*\.acme\.com/.*",
            "https://[^/]+/acme/.*",
            r"https://token\.actions\.githubusercontent\.com(/.*)?",
            r"spiffe://acme\.com/.*",
            r".*@acme\.com",
            r"\S+@(.+\.)?acme\.com",
            r".*!acme\.com",
        ] {
            assert!(Pattern::regexp(text).is_ok(), "{text}");
        }
    }
}
