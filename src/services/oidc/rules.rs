//! Who may sign, decided from the claims of the token alone.
//!
//! The variables of a job say the same, and whoever changes the job changes them; the issuer signs
//! the claims. A certificate of GitHub names the repository whether a push made it or a pull
//! request, so the difference has to be made before one is asked for.

use crate::model::printable;
use crate::services::Barred;
use crate::services::Error;
use crate::services::oidc::Token;
use crate::services::oidc::identity::Kind;

/// GitHub's events that nobody from outside can cause.
const GITHUB_EVENTS: &[&str] = &[
    "merge_group",
    "push",
    "release",
    "schedule",
    "workflow_dispatch",
];

/// GitLab's sources of pipelines that only members cause. `parent_pipeline` is not among them: the
/// parent may be a merge request's; so may what `chat` and others start, which nobody needs here.
const GITLAB_SOURCES: &[&str] = &["api", "pipeline", "push", "schedule", "trigger", "web"];

/// GitLab's sources that are merge requests.
const GITLAB_MERGE: &[&str] = &["external_pull_request_event", "merge_request_event"];

/// Where GitHub and GitLab keep what was proposed and not merged.
const PROPOSED: &[&str] = &["refs/pull/", "refs/merge-requests/"];

/// Bytes of a pattern.
const MAX_PATTERN: usize = 1024;

/// Who may sign. The default lets pushes, releases, schedules, manual starts and merge queues sign,
/// and people; nothing that a pull or merge request started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    events: Vec<String>,
    refs: Vec<Pattern>,
}

impl Rules {
    /// The default, and these events besides; and of all refs only those that one of the patterns
    /// meets, when there are any. In a component of a pattern `*` stands for any text; `**` alone
    /// for any number of components, one at least.
    ///
    /// # Errors
    ///
    /// [`RefPatternError`] for a pattern that can meet no ref.
    pub fn new(allow_events: &[String], allow_refs: &[String]) -> Result<Self, RefPatternError> {
        let refs = allow_refs.iter().map(|text| Pattern::parse(text));
        Ok(Self {
            events: allow_events.to_vec(),
            refs: refs.collect::<Result<_, _>>()?,
        })
    }

    /// Refuses a token that may not sign.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] and [`Error::Unclaimed`].
    pub fn permit(&self, token: &Token) -> Result<(), Error> {
        let found = match token.kind() {
            Kind::Github => Some(self.github(token)?),
            Kind::Gitlab => Some(self.gitlab(token)?),
            Kind::CircleCi => circleci(token)?,
            Kind::Buildkite => Some(buildkite(token)?),
            Kind::Kubernetes | Kind::Other | Kind::Spiffe => None,
        };
        self.permit_ref(found)
    }

    fn github(&self, token: &Token) -> Result<Ref, Error> {
        let event = demanded(token, "event_name")?;
        let git_ref = demanded(token, "ref")?;
        let is_named = self.events.iter().any(|one| one == event);
        if !is_named && !GITHUB_EVENTS.contains(&event) {
            return Err(forbidden("event_name", event, Barred::Event));
        }
        // Whoever allows an event allows what comes with it, and no more than that.
        let is_pull = is_named && event.starts_with("pull_request");
        for claim in ["head_ref", "base_ref"] {
            // Only runs for pull requests have them. What is no text is something, too.
            let value = token.claims.get(claim).filter(|_| !is_pull);
            let value = value.filter(|value| !value.is_null() && value.as_str() != Some(""));
            if let Some(value) = value {
                let shown = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                return Err(forbidden(claim, &shown, Barred::PullRequest));
            }
        }
        is_ref("ref", git_ref)?;
        Ok(Ref {
            claim: "ref",
            value: git_ref.to_owned(),
            git_ref: git_ref.to_owned(),
            barred: proposed(git_ref).filter(|_| !is_pull),
        })
    }

    fn gitlab(&self, token: &Token) -> Result<Ref, Error> {
        let source = demanded(token, "pipeline_source")?;
        let name = demanded(token, "ref")?;
        let is_named = self.events.iter().any(|one| one == source);
        if !is_named && !GITLAB_SOURCES.contains(&source) {
            return Err(forbidden("pipeline_source", source, Barred::Source));
        }
        let (claim, value, git_ref) = match optional(token, "ref_path")? {
            Some(path) if name.starts_with("refs/") && name != path => {
                return Err(forbidden("ref", name, Barred::Contradicted));
            }
            Some(path) => ("ref_path", path, path.to_owned()),
            None if name.starts_with("refs/") => ("ref", name, name.to_owned()),
            None => match demanded(token, "ref_type")? {
                "tag" => ("ref", name, format!("refs/tags/{name}")),
                _ => ("ref", name, format!("refs/heads/{name}")),
            },
        };
        is_ref(claim, &git_ref)?;
        let is_merge = is_named && GITLAB_MERGE.contains(&source);
        let barred = proposed(&git_ref).filter(|_| !is_merge);
        Ok(Ref {
            claim,
            value: value.to_owned(),
            git_ref,
            barred,
        })
    }

    fn permit_ref(&self, found: Option<Ref>) -> Result<(), Error> {
        let Some(found) = found else {
            return match self.refs.is_empty() {
                true => Ok(()),
                // A list of refs says that only builds of these may sign.
                false => Err(Error::Unclaimed { claim: "ref" }),
            };
        };
        // No pattern for branches means those of others.
        if found.barred == Some(Barred::Fork) {
            return Err(forbidden(found.claim, &found.value, Barred::Fork));
        }
        if self
            .refs
            .iter()
            .any(|pattern| pattern.matches(&found.git_ref))
        {
            return Ok(());
        }
        if !self.refs.is_empty() {
            return Err(forbidden(found.claim, &found.value, Barred::NotNamed));
        }
        match found.barred {
            Some(rule) => Err(forbidden(found.claim, &found.value, rule)),
            None => Ok(()),
        }
    }
}

/// What is built.
#[derive(Debug)]
struct Ref {
    claim: &'static str,
    /// The claim as it stands in the token.
    value: String,
    /// The whole ref that it means.
    git_ref: String,
    /// Why it may not sign unless it is named.
    barred: Option<Barred>,
}

fn proposed(git_ref: &str) -> Option<Barred> {
    let is_proposed = PROPOSED.iter().any(|place| git_ref.starts_with(place));
    is_proposed.then_some(Barred::Proposed)
}

fn demanded<'a>(token: &'a Token, claim: &'static str) -> Result<&'a str, Error> {
    token.claim(claim).ok_or(Error::Unclaimed { claim })
}

fn forbidden(claim: &'static str, value: &str, rule: Barred) -> Error {
    Error::Forbidden {
        claim,
        value: printable(value),
        rule,
    }
}

/// CircleCI has no events. Somebody who came in by SSH can have changed anything (Fulcio marks such
/// certificates).
fn circleci(token: &Token) -> Result<Option<Ref>, Error> {
    let ssh = "oidc.circleci.com/ssh-rerun";
    match token.claims.get(ssh) {
        None | Some(serde_json::Value::Bool(false)) => {}
        Some(value) => {
            return Err(forbidden(ssh, &value.to_string(), Barred::Shell));
        }
    }
    let claim = "oidc.circleci.com/vcs-ref";
    let git_ref = optional(token, claim)?;
    // `refs//pull/…` begins as no proposed ref does.
    if let Some(value) = git_ref.filter(|value| value.starts_with("refs/")) {
        is_ref(claim, value)?;
    }
    Ok(git_ref.map(|value| Ref {
        claim,
        value: value.to_owned(),
        git_ref: value.to_owned(),
        barred: proposed(value),
    }))
}

/// A build of a tag has a branch, too: the tag's name, or the one that it was made from.
fn buildkite(token: &Token) -> Result<Ref, Error> {
    let branch = demanded(token, "build_branch")?;
    let tag = optional(token, "build_tag")?.filter(|tag| !tag.is_empty());
    // Buildkite writes a fork's branch as `OWNER:BRANCH`; git allows no colon in a name.
    let (claim, kind, name) = match tag {
        Some(tag) if !branch.contains(':') => ("build_tag", "tags", tag),
        _ => ("build_branch", "heads", branch),
    };
    Ok(Ref {
        claim,
        value: name.to_owned(),
        git_ref: format!("refs/{kind}/{name}"),
        barred: name.contains(':').then_some(Barred::Fork),
    })
}

/// A claim that may be missing. What is there and is no text is not missing.
fn optional<'a>(token: &'a Token, claim: &'static str) -> Result<Option<&'a str>, Error> {
    match token.claims.get(claim) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(forbidden(claim, &other.to_string(), Barred::NotText)),
    }
}

/// Whether git could have such a ref (git-check-ref-format): another one is read in two ways.
fn is_ref(claim: &'static str, text: &str) -> Result<(), Error> {
    let strange = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let is_one = text.starts_with("refs/")
        && text.split('/').all(|part| !part.is_empty())
        && !text.contains(strange)
        && !text.contains("..")
        && !text.contains("@{");
    match is_one {
        true => Ok(()),
        false => Err(forbidden(claim, text, Barred::NotARef)),
    }
}

/// A pattern for refs, by component.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pattern(Vec<String>);

impl Pattern {
    fn parse(text: &str) -> Result<Self, RefPatternError> {
        let wrong = |rule| RefPatternError {
            pattern: printable(text),
            rule,
        };
        if text.len() > MAX_PATTERN {
            return Err(wrong("it is too long"));
        }
        if !text.starts_with("refs/") {
            return Err(wrong(
                "a ref is written out (`refs/heads/main`, `refs/tags/v*`)",
            ));
        }
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            return Err(wrong("a component of it is empty"));
        }
        // What git allows in no ref (git-check-ref-format) can only be meant as something else.
        let strange = |c: char| c.is_control() || " ~^:?[\\{".contains(c);
        if text.contains(strange) {
            return Err(wrong(
                "it has a character that no ref has (only `*` is special)",
            ));
        }
        if parts.iter().any(|part| part.contains("**") && part != "**") {
            return Err(wrong("`**` stands alone in its component"));
        }
        Ok(Self(parts))
    }

    fn matches(&self, git_ref: &str) -> bool {
        let parts: Vec<_> = git_ref.split('/').collect();
        // Which beginnings of the ref the pattern meets so far.
        let mut met = vec![false; parts.len() + 1];
        if let Some(first) = met.first_mut() {
            *first = true;
        }
        for own in &self.0 {
            let mut next = vec![false; met.len()];
            let mut reached = false;
            let steps = next.iter_mut().skip(1).zip(&met).zip(&parts);
            for ((after, before), part) in steps {
                reached = match own.as_str() {
                    "**" => reached || *before,
                    own => *before && component(own, part),
                };
                *after = reached;
            }
            met = next;
        }
        met.last().copied().unwrap_or(false)
    }
}

/// Whether a component is what the pattern says, in which `*` is any text.
fn component(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    // The leftmost place of each piece leaves the most for those after it.
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// Why a text is no pattern for refs. Whoever wrote it can mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{pattern}` is no pattern for refs: {rule}")]
pub struct RefPatternError {
    pattern: String,
    rule: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_meets_whole_refs_by_component() {
        for (pattern, meets, misses) in [
            (
                "refs/heads/main",
                &["refs/heads/main"][..],
                &[
                    "refs/heads/main2",
                    "refs/heads/main/x",
                    "refs/heads/Main",
                    "main",
                ][..],
            ),
            (
                "refs/tags/v*",
                &["refs/tags/v1", "refs/tags/v", "refs/tags/v1.2.3-rc"],
                &["refs/tags/v1/x", "refs/tags/1v", "refs/heads/v1"],
            ),
            (
                "refs/tags/v*.*-rc*x",
                &["refs/tags/v1.2-rcx", "refs/tags/v.-rc-rcxx"],
                &[
                    "refs/tags/v1.2-rc",
                    "refs/tags/v12-rcx",
                    "refs/tags/v1.2rc-x",
                ],
            ),
            (
                "refs/heads/*a",
                &["refs/heads/a", "refs/heads/aa"],
                &["refs/heads/ab"],
            ),
            (
                "refs/heads/a*a",
                &["refs/heads/aa", "refs/heads/aba"],
                &["refs/heads/a"],
            ),
            (
                "refs/heads/release/*",
                &["refs/heads/release/1"],
                &[
                    "refs/heads/release",
                    "refs/heads/release/1/2",
                    "refs/heads/releases/1",
                ],
            ),
            (
                "refs/heads/**",
                &["refs/heads/a", "refs/heads/a/b/c"],
                &["refs/heads", "refs/tags/a", "refs/heads2/a"],
            ),
            (
                "refs/**/x/**/y",
                &["refs/a/x/b/y", "refs/a/x/x/x/b/c/y"],
                &["refs/x/b/y", "refs/a/x/y", "refs/a/x/b/y/z"],
            ),
            ("refs/**", &["refs/pull/1/merge"], &["refs"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for git_ref in meets {
                assert!(parsed.matches(git_ref), "{pattern} meets {git_ref}");
            }
            for git_ref in misses {
                assert!(!parsed.matches(git_ref), "{pattern} misses {git_ref}");
            }
        }
        // Linear, however often a piece may stand.
        let hard = Pattern::parse(&format!("refs/{}b", "a*".repeat(500))).unwrap();
        assert!(!hard.matches(&format!("refs/{}", "a".repeat(60_000))));
        let hard = Pattern::parse(&format!("refs{}/b", "/**".repeat(300))).unwrap();
        assert!(!hard.matches(&"refs/a/".repeat(5_000)));
    }

    #[test]
    fn what_can_meet_no_ref_is_no_pattern() {
        for text in [
            "",
            "main",
            "*",
            "**",
            "/refs/heads/main",
            "refs/heads/",
            "refs//main",
            "refs/heads/v?",
            "refs/heads/[ab]",
            "refs/heads/{a,b}",
            "refs/heads/a b",
            "refs/heads/a**",
            "refs/heads/^main",
            "refs/heads/\n",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
