//! A registry on the network (OCI distribution specification 1.1): its requests, and the reading
//! half.
//!
//! Start with [`Remote::ask`]: it makes the request where the repository is served, follows what
//! may be followed, and turns every other answer into an [`Error`]. Credentials are the business of
//! `session`, finding evidence that of `discover`, the writing half that of `writer`.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderValue;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Reference;
use crate::model::Repository;
use crate::model::media_type;
use crate::model::printable;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::Found;
use crate::registry::Keyring;
use crate::registry::RawManifest;
use crate::registry::Resolved;
use crate::registry::Rule;
use crate::registry::What;
use crate::registry::plan::Access;
use crate::registry::plan::Plan;
use crate::registry::session::Session;
use crate::registry::writer::Writes;
use crate::transport;
use crate::transport::Cause;
use crate::transport::Deadline;
use crate::transport::Reply;
use crate::transport::Tls;
use crate::transport::Transport;

/// Redirects of one blob that are followed.
const MAX_HOPS: usize = 5;

/// All four types, always: registries answer "not found" when the one they have is missing
/// (distribution 2.8 and 3.x), and some convert.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// Hosts that something is allowed for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hosts {
    /// Every host.
    Any,
    /// These, as a [`Repository`] has them: lower case, with a port unless it is 443.
    These(BTreeSet<String>),
}

impl Default for Hosts {
    /// None.
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Hosts {
    fn has(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(hosts) => hosts.contains(host),
        }
    }
}

/// What is allowed with which registry.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RemoteSettings {
    /// Registries that may be asked over plain HTTP. Loopback hosts always may.
    pub insecure_http: Hosts,
    /// Registries whose TLS certificate is not verified.
    pub insecure_tls: Hosts,
    /// Hosts of registries and of their token servers, where the latter gets credentials although
    /// it is under another domain.
    pub token_servers: Vec<(String, String)>,
}

/// Registries on the network.
#[derive(Debug)]
pub struct Remote {
    pub(super) transport: Transport,
    pub(super) keyring: Keyring,
    pub(super) settings: RemoteSettings,
    pub(super) limits: Limits,
    pub(super) session: Session,
    pub(super) writes: Writes,
    /// Which of several possible ways to speak to a host was found to work.
    spoken: Mutex<HashMap<String, Tls>>,
    /// The repositories whose referrers API answered 404.
    pub(super) without_api: Mutex<HashSet<Repository>>,
}

impl Remote {
    /// A client with these credentials.
    #[must_use]
    pub fn new(
        transport: Transport,
        keyring: Keyring,
        settings: RemoteSettings,
        limits: Limits,
    ) -> Self {
        Self {
            transport,
            keyring,
            settings,
            limits,
            session: Session::default(),
            writes: Writes::default(),
            spoken: Mutex::default(),
            without_api: Mutex::default(),
        }
    }

    /// The image that a reference names. Without tag and digest the tag is `latest`.
    pub(super) async fn resolve(
        &self,
        reference: &Reference,
        deadline: Deadline,
    ) -> Result<Resolved, Error> {
        if let Some(pinned) = reference.pinned() {
            return Ok(Resolved {
                pinned,
                manifest: None,
            });
        }
        let tag = reference.tag().unwrap_or("latest");
        let manifest = self.tag(reference.repository(), tag, deadline).await?;
        Ok(Resolved {
            pinned: reference.pin(manifest.digest),
            manifest: Some(manifest),
        })
    }

    /// What lies under a tag. Its identity is the SHA-256 of the bytes that came; a digest that the
    /// registry states has to agree.
    pub(super) async fn tag(
        &self,
        repository: &Repository,
        tag: &str,
        deadline: Deadline,
    ) -> Result<RawManifest, Error> {
        let marked = self.marked_tag(repository, tag, Access::Pull, deadline);
        Ok(marked.await?.manifest)
    }

    /// What lies under a tag, and the entity tag that a write can depend on.
    pub(super) async fn marked_tag(
        &self,
        repository: &Repository,
        tag: &str,
        access: Access<'_>,
        deadline: Deadline,
    ) -> Result<Marked, Error> {
        let asked = Asked::of(repository, What::Tag(tag.to_owned()));
        let path = format!("manifests/{tag}");
        let reply = self
            .manifest_reply(repository, &path, access, &asked, deadline)
            .await?;
        if !is_manifest_like(&reply) {
            return Err(Error::Malformed {
                asked,
                reason: "an answer that is no manifest",
            });
        }
        let digest = Digest::sha256(&reply.body);
        let stated = reply.headers.get("docker-content-digest");
        if let Some(stated) = stated.filter(|stated| !stated.is_empty()) {
            let stated = String::from_utf8_lossy(stated.as_bytes());
            let agrees = Digest::parse(&stated).is_ok_and(|stated| stated.matches(&reply.body));
            if !agrees {
                return Err(Error::DigestMismatch {
                    asked,
                    expected: printable(&stated),
                    found: digest,
                });
            }
        }
        Ok(Marked {
            mark: reply.headers.get(header::ETAG).cloned(),
            manifest: RawManifest {
                digest,
                media_type: reply.media_type(),
                bytes: reply.body,
            },
        })
    }

    /// A manifest by digest.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        deadline: Deadline,
    ) -> Result<RawManifest, Error> {
        let asked = Asked::of(repository, What::Manifest(*digest));
        let path = format!("manifests/{digest}");
        let reply = self
            .manifest_reply(repository, &path, Access::Pull, &asked, deadline)
            .await?;
        if !digest.matches(&reply.body) {
            if !is_manifest_like(&reply) {
                return Err(Error::Malformed {
                    asked,
                    reason: "an answer that is no manifest",
                });
            }
            return Err(Error::DigestMismatch {
                asked,
                expected: digest.to_string(),
                found: Digest::of(digest.algorithm(), &reply.body),
            });
        }
        Ok(RawManifest {
            digest: *digest,
            media_type: reply.media_type(),
            bytes: reply.body,
        })
    }

    async fn manifest_reply(
        &self,
        repository: &Repository,
        path: &str,
        access: Access<'_>,
        asked: &Asked,
        deadline: Deadline,
    ) -> Result<Reply, Error> {
        let mut plan = Plan::read(repository, asked, self.limits.manifest_bytes, deadline);
        plan.accept = Some(MANIFEST_TYPES);
        plan.access = access;
        let answered = self.ask(path, plan).await?;
        expect_ok(answered.reply, asked)
    }

    /// A blob: size first, then digest.
    pub(super) async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        cap: usize,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        let digest = descriptor.digest;
        let asked = Asked::of(repository, What::Blob(digest));
        let size = super::bounded_size(descriptor, cap, || asked.clone())?;
        let mismatch = |found| Error::SizeMismatch {
            asked: asked.clone(),
            expected: descriptor.size,
            found,
        };
        let path = format!("blobs/{digest}");
        let plan = Plan::read(repository, &asked, size, deadline);
        let reply = match self.ask(&path, plan).await {
            Err(Error::Exceeded { .. }) => return Err(mismatch(Found::More)),
            outcome => expect_ok(outcome?.reply, &asked)?,
        };
        if reply.body.len() != size {
            let found = u64::try_from(reply.body.len()).unwrap_or(u64::MAX);
            return Err(mismatch(Found::Bytes(found)));
        }
        if !digest.matches(&reply.body) {
            return Err(Error::DigestMismatch {
                expected: digest.to_string(),
                found: Digest::of(digest.algorithm(), &reply.body),
                asked,
            });
        }
        Ok(reply.body)
    }

    /// Makes a request about `path` of a repository, wherever and however its host serves it.
    pub(super) async fn ask(&self, path: &str, plan: Plan<'_>) -> Result<Answered, Error> {
        let host = plan.repository.host();
        let ways = self.ways_to_speak(host);
        let mut first_failure = None;
        for (place, tls) in ways.iter().enumerate() {
            let url = endpoint(plan.repository, path, *tls, plan.asked)?;
            let last = place + 1 == ways.len();
            let mut plan = plan.clone();
            plan.tls = *tls;
            // A guess that a second try does not make better.
            plan.once = !last && *tls != Tls::None;
            // On the heap: four of these are a listing, and a walk makes many listings at once.
            let answer = Box::pin(self.follow(url, &plan)).await;
            if last || !speaks_otherwise(&answer, *tls) {
                if answer.is_ok() && ways.len() > 1 {
                    let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
                    spoken.insert(host.to_owned(), *tls);
                }
                return match (answer, first_failure) {
                    // The first failure is the one to tell, unless it was only that TLS is spoken.
                    (Err(_), Some(first)) if *tls == Tls::None => Err(first),
                    (answer, _) => answer,
                };
            }
            first_failure = answer.err();
        }
        Err(Error::Malformed {
            asked: plan.asked.clone(),
            reason: "no way to speak to the host",
        })
    }

    /// The ways to speak to a host, in the order to try them. Only for a loopback host, and where
    /// the operator allowed plain HTTP to any host, there are two.
    fn ways_to_speak(&self, host: &str) -> Vec<Tls> {
        {
            let spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(tls) = spoken.get(host) {
                return vec![*tls];
            }
        }
        let tls = if self.settings.insecure_tls.has(host) {
            Tls::InsecureUnverified
        } else {
            Tls::Verified
        };
        match &self.settings.insecure_http {
            _ if is_loopback(host) => vec![Tls::None, tls],
            hosts if hosts.has(host) => vec![tls, Tls::None],
            _ => vec![tls],
        }
    }

    /// Makes the request with the credentials that it needs, and follows redirects: of blobs that
    /// are read anywhere, of everything else on the same origin only. Credentials never leave the
    /// origin.
    async fn follow(&self, first: Url, plan: &Plan<'_>) -> Result<Answered, Error> {
        let refuse = |rule| Error::Refused {
            asked: plan.asked.clone(),
            rule,
        };
        let mut url = first.clone();
        let mut tls = plan.tls;
        for _ in 0..=MAX_HOPS {
            let reply = if url.origin() == first.origin() {
                self.authorized(&url, plan).await?
            } else {
                self.unauthorized(&url, tls, plan).await?
            };
            let follows = match reply.status {
                307 | 308 => true,
                // What is written would become a question.
                301..=303 => !plan.writes(),
                _ => false,
            };
            if !follows {
                return Ok(Answered {
                    reply,
                    url,
                    home: first,
                    tls: plan.tls,
                });
            }
            let target = reply
                .header(header::LOCATION)
                .and_then(|to| url.join(to).ok());
            let Some(target) = target else {
                return Err(Error::Malformed {
                    asked: plan.asked.clone(),
                    reason: "a redirect without a target",
                });
            };
            let host = || host_of(&target);
            if target.origin() != first.origin() {
                if plan.writes() || !matches!(plan.asked.what(), What::Blob(_)) {
                    return Err(refuse(Rule::ManifestRedirect { host: host() }));
                }
                tls = elsewhere(&url, &target)
                    .ok_or_else(|| refuse(Rule::Downgrade { host: host() }))?;
            } else {
                tls = plan.tls;
            }
            url = target;
        }
        Err(refuse(Rule::Redirects))
    }

    /// Makes the request at another origin than the registry's, which gets no credentials.
    async fn unauthorized(&self, url: &Url, tls: Tls, plan: &Plan<'_>) -> Result<Reply, Error> {
        let request = plan.request(url, tls);
        let answer = self.transport.fetch(&request, plan.deadline).await;
        answer.map_err(|source| plan.failed(source))
    }

    /// Makes a request at an address that the registry named when it answered `before`. Only on the
    /// same origin does it get credentials, and never does it lead from HTTPS to plain HTTP.
    pub(super) async fn ask_at(
        &self,
        url: Url,
        before: &Answered,
        plan: Plan<'_>,
    ) -> Result<Answered, Error> {
        let mut plan = plan;
        plan.tls = before.tls;
        let reply = if url.origin() == before.home.origin() {
            self.authorized(&url, &plan).await?
        } else {
            let tls = elsewhere(&before.url, &url).ok_or_else(|| Error::Refused {
                asked: plan.asked.clone(),
                rule: Rule::Downgrade {
                    host: host_of(&url),
                },
            })?;
            self.unauthorized(&url, tls, &plan).await?
        };
        Ok(Answered {
            reply,
            url,
            home: before.home.clone(),
            tls: before.tls,
        })
    }
}

/// How another origin is spoken to; nothing where that would lead from HTTPS to plain HTTP.
fn elsewhere(from: &Url, to: &Url) -> Option<Tls> {
    match (to.scheme(), from.scheme()) {
        ("https", _) => Some(Tls::Verified),
        ("http", "http") => Some(Tls::None),
        _ => None,
    }
}

/// What lies under a tag, and the mark of this state of it.
pub(super) struct Marked {
    pub(super) manifest: RawManifest,
    /// The `ETag`.
    pub(super) mark: Option<HeaderValue>,
}

/// An answer, and where in the registry it came from.
pub(super) struct Answered {
    pub(super) reply: Reply,
    /// The address that answered.
    pub(super) url: Url,
    /// An address on the registry's own origin.
    home: Url,
    tls: Tls,
}

impl Asked {
    pub(crate) fn of(repository: &Repository, what: What) -> Self {
        Self::new(
            repository.host().to_owned(),
            repository.path().to_owned(),
            what,
        )
    }
}

/// Whether an answer means that the host speaks the other of TLS and plain HTTP.
fn speaks_otherwise(answer: &Result<Answered, Error>, tls: Tls) -> bool {
    match (answer, tls) {
        // Go's server says so.
        (Ok(Answered { reply, .. }), Tls::None) => {
            let said = String::from_utf8_lossy(&reply.body);
            reply.status == 400 && said.contains("HTTP request to an HTTPS server")
        }
        (
            Err(Error::Transport {
                source: transport::Error::Unreachable { cause, .. },
                ..
            }),
            tls,
        ) => match tls {
            Tls::None => *cause == Cause::Protocol,
            Tls::InsecureUnverified | Tls::Verified => matches!(cause, Cause::Connect | Cause::Tls),
        },
        _ => false,
    }
}

/// A 200, or the error that the status means.
pub(super) fn expect_ok(reply: Reply, asked: &Asked) -> Result<Reply, Error> {
    match reply.status {
        200 => Ok(reply),
        404 => Err(Error::NotFound {
            asked: asked.clone(),
        }),
        0..400 => Err(Error::Malformed {
            asked: asked.clone(),
            reason: "a status that means nothing here",
        }),
        _ => Err(super::status_error(asked, &reply, "")),
    }
}

/// Whether it is worth parsing: pages for people come with 200 as well.
fn is_manifest_like(reply: &Reply) -> bool {
    match reply.media_type() {
        Some(found) => {
            media_type::is_index(&found)
                || media_type::is_image(&found)
                || found.starts_with("application/") && !found.contains("html")
        }
        None => true,
    }
}

fn endpoint(repository: &Repository, path: &str, tls: Tls, asked: &Asked) -> Result<Url, Error> {
    let scheme = match tls {
        Tls::None => "http",
        Tls::InsecureUnverified | Tls::Verified => "https",
    };
    // Docker Hub is served under another name than it is called by.
    let host = match repository.host() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    };
    let text = format!("{scheme}://{host}/v2/{}/{path}", repository.path());
    Url::parse(&text).map_err(|_| Error::Malformed {
        asked: asked.clone(),
        reason: "a host that is none",
    })
}

/// Loopback hosts may be asked over plain HTTP, as Docker, containerd and cosign do.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost"
        || name
            .parse::<core::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The host of a URL that a registry named, never its query or userinfo.
pub(super) fn host_of(url: &Url) -> String {
    let host = printable(url.host_str().unwrap_or("?"));
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_and_for_named_hosts() {
        let remote = |settings| {
            let transport = Transport::new(transport::Settings::default()).expect("settings");
            Remote::new(transport, Keyring::default(), settings, Limits::default())
        };
        let ways =
            |settings: &RemoteSettings, host: &str| remote(settings.clone()).ways_to_speak(host);
        let mut settings = RemoteSettings::default();
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert_eq!(ways(&settings, host), [Tls::None, Tls::Verified], "{host}");
        }
        for host in [
            "registry.local",
            "10.0.0.1:5000",
            "localhost.evil.test",
            "registry.test",
        ] {
            assert_eq!(ways(&settings, host), [Tls::Verified], "{host}");
        }
        settings.insecure_http = Hosts::These(["registry.local".to_owned()].into());
        assert_eq!(
            ways(&settings, "registry.local"),
            [Tls::Verified, Tls::None]
        );
        assert_eq!(ways(&settings, "registry.local:5000"), [Tls::Verified]);
        settings.insecure_http = Hosts::Any;
        settings.insecure_tls = Hosts::These(["a.test".to_owned()].into());
        assert_eq!(
            ways(&settings, "a.test"),
            [Tls::InsecureUnverified, Tls::None]
        );
        assert_eq!(ways(&settings, "b.test"), [Tls::Verified, Tls::None]);
    }
}
