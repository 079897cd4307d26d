//! Finding evidence: every way of looking is read, in parallel, and the findings are united.
//!
//! A registry with the referrers API may still have a fallback tag that an older client wrote, so
//! the tag is read in any case. A 404 on a tag means that there is none; a 404 of the API means that
//! the registry does not have it; anything else that is no list is a gap.

use std::collections::HashSet;
use std::sync::PoisonError;

use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderValue;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Manifest;
use crate::model::ManifestError;
use crate::model::Pinned;
use crate::model::Repository;
use crate::model::media_type;
use crate::registry::Asked;
use crate::registry::Candidate;
use crate::registry::Error;
use crate::registry::FallbackTerm;
use crate::registry::Listing;
use crate::registry::RawManifest;
use crate::registry::Rule;
use crate::registry::Search;
use crate::registry::Way;
use crate::registry::What;
use crate::registry::link;
use crate::registry::link::Unreadable;
use crate::registry::listing::kept_of;
use crate::registry::plan::Access;
use crate::registry::plan::Plan;
use crate::registry::remote::Remote;
use crate::registry::remote::expect_ok;
use crate::registry::remote::host_of;
use crate::transport::Deadline;
use crate::transport::Reply;

/// What the referrers API gave.
#[derive(Default)]
pub(super) struct Api {
    pub(super) found: Vec<Descriptor>,
    pub(super) gap: Option<Error>,
    /// Whether the registry has it: a list came.
    supported: bool,
    /// An answer that means "not supported" only where the fallback tag holds a list.
    doubt: Option<Error>,
    /// Whether it answered with a list, be it empty.
    pub(super) is_there: bool,
}

/// One page of the referrers API.
struct Page {
    found: Vec<Descriptor>,
    next: Result<Option<String>, Unreadable>,
}

/// What lies under the fallback tag.
enum Fallback {
    Gap(Error),
    List(Vec<Descriptor>),
    None,
}

impl Remote {
    /// What may be evidence about `image` in `repository`.
    pub(super) async fn list(
        &self,
        image: &Pinned,
        repository: &Repository,
        search: &Search,
        deadline: Deadline,
    ) -> Listing {
        let digest = image.digest();
        let has = |way| search.ways.contains(&way);
        let read_api = async {
            match has(Way::ReferrersApi) {
                true => {
                    let access = Access::Pull;
                    self.referrers(repository, &digest, access, deadline).await
                }
                false => Api::default(),
            }
        };
        let read_fallback = async {
            match has(Way::FallbackTag) {
                true => self.fallback(repository, &digest, search, deadline).await,
                false => Fallback::None,
            }
        };
        let read_lists = async {
            match search.fallback {
                FallbackTerm::Always => tokio::join!(read_api, read_fallback),
                FallbackTerm::WithoutApi => {
                    let api = match self.is_without_api(repository) {
                        true => Api::default(),
                        false => read_api.await,
                    };
                    // Of a repository that is there: the image is in it.
                    let is_plain =
                        has(Way::ReferrersApi) && api.gap.is_none() && api.doubt.is_none();
                    if !api.supported && is_plain && repository == image.repository() {
                        let without = &self.without_api;
                        let mut without = without.lock().unwrap_or_else(PoisonError::into_inner);
                        without.insert(repository.clone());
                    }
                    let fallback = match api.supported {
                        true => Fallback::None,
                        false => read_fallback.await,
                    };
                    (api, fallback)
                }
            }
        };
        let ((api, fallback), signature, attestation) = tokio::join!(
            read_lists,
            self.tagged(repository, &digest, search, Way::SignatureTag, deadline),
            self.tagged(repository, &digest, search, Way::AttestationTag, deadline),
        );
        let mut listing = Listing::default();
        let mut add = |descriptor, via, manifest| {
            listing.candidates.push(Candidate {
                descriptor,
                via,
                repository: repository.clone(),
                manifest,
            });
        };
        for descriptor in api.found {
            add(descriptor, Way::ReferrersApi, None);
        }
        let mut gaps: Vec<Error> = api.gap.into_iter().collect();
        match fallback {
            Fallback::List(found) => {
                for descriptor in found {
                    add(descriptor, Way::FallbackTag, None);
                }
            }
            Fallback::None => gaps.extend(api.doubt),
            Fallback::Gap(gap) => {
                gaps.extend(api.doubt);
                gaps.push(gap);
            }
        }
        for (way, outcome) in [
            (Way::SignatureTag, signature),
            (Way::AttestationTag, attestation),
        ] {
            match outcome {
                Ok(Some(raw)) => add(descriptor_of(&raw), way, Some(raw)),
                Ok(None) => {}
                Err(gap) => gaps.push(gap),
            }
        }
        listing.gaps = gaps;
        let asked = Asked::of(repository, What::Referrers(digest));
        listing.unite(&asked, &self.limits)
    }

    /// Whether a repository is known not to have the referrers API.
    pub(super) fn is_without_api(&self, repository: &Repository) -> bool {
        let without = &self.without_api;
        let without = without.lock().unwrap_or_else(PoisonError::into_inner);
        without.contains(repository)
    }

    /// The manifest under the tag of a way, if there is one.
    async fn tagged(
        &self,
        repository: &Repository,
        digest: &Digest,
        search: &Search,
        way: Way,
        deadline: Deadline,
    ) -> Result<Option<RawManifest>, Error> {
        let Some(tag) = search
            .tag(way, digest)
            .filter(|_| search.ways.contains(&way))
        else {
            return Ok(None);
        };
        match self.tag(repository, &tag, deadline).await {
            Ok(raw) => Ok(Some(raw)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fallback(
        &self,
        repository: &Repository,
        digest: &Digest,
        search: &Search,
        deadline: Deadline,
    ) -> Fallback {
        let way = Way::FallbackTag;
        let raw = match self.tagged(repository, digest, search, way, deadline).await {
            Ok(Some(raw)) => raw,
            Ok(None) => return Fallback::None,
            Err(gap) => return Fallback::Gap(gap),
        };
        match super::fallback_entries(&raw, digest, &self.limits) {
            Ok(Some(found)) => Fallback::List(found),
            Ok(None) => Fallback::None,
            Err(error) => {
                let tag = search.tag(way, digest).unwrap_or_default();
                Fallback::Gap(unlistable(Asked::of(repository, What::Tag(tag)), error))
            }
        }
    }

    /// All pages of the referrers API. The filter is never asked for: a registry may apply it
    /// wrongly, and types in a listing are hints.
    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: Access<'_>,
        deadline: Deadline,
    ) -> Api {
        let asked = Asked::of(repository, What::Referrers(*digest));
        let mut api = Api::default();
        let mut path = format!("referrers/{digest}");
        let mut seen = HashSet::new();
        loop {
            if seen.len() >= self.limits.referrer_pages || !seen.insert(path.clone()) {
                // A page twice is a listing without end.
                api.gap = Some(Error::Exceeded {
                    asked,
                    exceeded: Exceeded {
                        what: "pages of referrers",
                        limit: self.limits.referrer_pages,
                    },
                });
                return api;
            }
            let first = seen.len() == 1;
            let cap = self.limits.manifest_bytes;
            let mut plan = Plan::read(repository, &asked, cap, deadline);
            plan.accept = Some(media_type::INDEX);
            plan.access = access;
            let reply = self.ask(&path, plan).await;
            let reply = match reply.map(|answered| answered.reply) {
                Err(gap) => {
                    api.gap = Some(gap);
                    return api;
                }
                Ok(reply) if first && reply.status == 404 => return api,
                Ok(reply) if first && matches!(reply.status, 400 | 405 | 406) => {
                    api.doubt = Some(super::status_error(&asked, &reply, ""));
                    return api;
                }
                Ok(reply) => reply,
            };
            match self.page(reply, first, &asked) {
                Ok(None) => {
                    // A login page, or nothing at all: it may be a registry without the API.
                    api.doubt = Some(Error::Malformed {
                        asked,
                        reason: "an answer of the referrers API that is no index",
                    });
                    return api;
                }
                Ok(Some(page)) => {
                    api.supported = true;
                    api.is_there = true;
                    api.found.extend(page.found);
                    if api.found.len() > self.limits.referrers {
                        api.gap = Some(Error::Exceeded {
                            asked,
                            exceeded: Exceeded {
                                what: "referrers of one image",
                                limit: self.limits.referrers,
                            },
                        });
                        return api;
                    }
                    let next = match page.next {
                        Ok(None) => return api,
                        Ok(Some(link)) => next_path(&link, repository, &path, &asked),
                        Err(Unreadable) => Err(Error::Malformed {
                            asked: asked.clone(),
                            reason: "a `Link` header that does not say whether there is a next page",
                        }),
                    };
                    match next {
                        Ok(next) => path = next,
                        Err(gap) => {
                            api.gap = Some(gap);
                            return api;
                        }
                    }
                }
                Err(gap) => {
                    api.gap = Some(gap);
                    return api;
                }
            }
        }
    }

    /// The entries of a page and the link to the next. Nothing, when the first "page" is of another
    /// type: then the registry does not have the API.
    fn page(&self, reply: Reply, first: bool, asked: &Asked) -> Result<Option<Page>, Error> {
        let reply = match expect_ok(reply, asked) {
            Err(Error::NotFound { asked }) => {
                return Err(Error::Malformed {
                    asked,
                    reason: "a next page that is not there",
                });
            }
            outcome => outcome?,
        };
        let is_index = reply.media_type().as_deref() == Some(media_type::INDEX);
        let served_as = is_index.then_some(media_type::INDEX);
        let limits = &self.limits;
        let links = reply.headers.get_all(header::LINK).iter();
        match Manifest::parse(&reply.body, served_as, limits.referrers, limits) {
            // A list under a wrong type is a list: its entries verify themselves.
            Ok(Manifest::Index(index)) => Ok(Some(Page {
                next: link::next_page(links.map(HeaderValue::as_bytes)),
                found: index.manifests.into_iter().map(kept_of).collect(),
            })),
            Ok(Manifest::Image(_)) | Err(_) if first && !is_index => Ok(None),
            Ok(Manifest::Image(_)) => Err(unlistable(asked.clone(), ManifestError::Shape)),
            Err(error) => Err(unlistable(asked.clone(), error)),
        }
    }
}

/// A list that cannot be read is a gap, and one that is too long a refusal.
pub(super) fn unlistable(asked: Asked, error: ManifestError) -> Error {
    if let ManifestError::Exceeded(exceeded) = error {
        return Error::Exceeded { asked, exceeded };
    }
    Error::Malformed {
        asked,
        reason: "a list that is no index",
    }
}

fn descriptor_of(raw: &RawManifest) -> Descriptor {
    let media_type = raw.media_type.clone().unwrap_or_default();
    let size = u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX);
    Descriptor::new(media_type, raw.digest, size)
}

/// The next page's path below the repository. It has to be there: a link elsewhere is not followed.
fn next_path(
    link: &str,
    repository: &Repository,
    path: &str,
    asked: &Asked,
) -> Result<String, Error> {
    let malformed = || Error::Malformed {
        asked: asked.clone(),
        reason: "a next page without an address",
    };
    // Which scheme is spoken is decided elsewhere, so the link is resolved against a stand-in.
    let root = format!("http://stand-in.invalid/v2/{}/", repository.path());
    let current = Url::parse(&format!("{root}{path}")).map_err(|_| malformed())?;
    let next = current.join(link).map_err(|_| malformed())?;
    let own = next.host_str() == current.host_str() || {
        let host = host_of(&next);
        let written = repository.host();
        host == written.strip_suffix(":443").unwrap_or(written)
            || repository.host() == "docker.io" && host == "registry-1.docker.io"
    };
    let below = format!("/v2/{}/", repository.path());
    match next.path().strip_prefix(&below) {
        Some(rest) if own => Ok(match next.query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        }),
        _ => Err(Error::Refused {
            asked: asked.clone(),
            rule: Rule::LinkElsewhere {
                host: if own {
                    repository.host().to_owned()
                } else {
                    host_of(&next)
                },
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_pages_are_of_the_same_repository() {
        let repository = Repository::parse("registry.test:5000/a/b").expect("a repository");
        let asked = Asked::of(&repository, What::Referrers(Digest::sha256(b"")));
        let next = |link: &str| {
            next_path(link, &repository, "referrers/x", &asked).map_err(|error| error.code())
        };
        use crate::model::DenyCode::RegistryRefused;
        for (link, expected) in [
            ("/v2/a/b/referrers/x?n=2", Ok("referrers/x?n=2")),
            ("?last=1", Ok("referrers/x?last=1")),
            (
                "http://registry.test:5000/v2/a/b/referrers/x?p",
                Ok("referrers/x?p"),
            ),
            ("https://evil.test/v2/a/b/referrers/x", Err(RegistryRefused)),
            ("//evil.test/v2/a/b/referrers/x", Err(RegistryRefused)),
            (
                "https://registry.test/v2/a/b/referrers/x",
                Err(RegistryRefused),
            ),
            ("/v2/other/referrers/x", Err(RegistryRefused)),
            ("/token", Err(RegistryRefused)),
        ] {
            assert_eq!(next(link), expected.map(str::to_owned), "{link}");
        }
    }
}
