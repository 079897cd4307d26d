//! Requests with the credentials that a registry demands.
//!
//! The request is made first; what the registry demands is answered, and remembered for its next
//! requests. The credentials are tried in the order of the keyring, and nothing at last: public
//! images stay readable with a stale password, and what is read is verified all the same. What is
//! *not* there is believed only where nothing that was given was refused or kept back before.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderValue;
use tokio::sync::OnceCell;

use crate::model::Repository;
use crate::model::printable;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::What;
use crate::registry::auth;
use crate::registry::auth::Demand;
use crate::registry::auth::Realm;
use crate::registry::auth::Trust;
use crate::registry::helper;
use crate::registry::keyring::Credential;
use crate::registry::keyring::Kind;
use crate::registry::keyring::Secret;
use crate::registry::plan::Plan;
use crate::registry::remote::Remote;
use crate::registry::remote::host_of;
use crate::registry::token;
use crate::registry::token::Age;
use crate::registry::token::Key;
use crate::registry::token::Tokens;
use crate::transport::Reply;
use crate::transport::Tls;

/// Credentials that are tried for one repository (the kubelet's loop, bounded).
const MAX_CREDENTIALS: usize = 4;

/// What was learned about registries.
#[derive(Debug, Default)]
pub(super) struct Session {
    tokens: Tokens,
    demands: Mutex<HashMap<String, Demand>>,
    /// The hosts whose root demands nothing.
    open: Mutex<HashSet<String>>,
    /// The credentials that did not open a repository before one did.
    skipped: Mutex<HashMap<(Repository, Purpose), Skipped>>,
    /// What helpers said, by program and server.
    helped: Mutex<HashMap<(String, String), Helped>>,
}

type Helped = Arc<OnceCell<Result<Option<Kind>, String>>>;

/// What a credential has to be good for: one that reads need not be one that writes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Purpose {
    Pull,
    Push,
}

impl Purpose {
    const fn of(plan: &Plan<'_>) -> Self {
        if plan.access.pushes() {
            Self::Push
        } else {
            Self::Pull
        }
    }
}

/// Credentials that are passed over.
#[derive(Clone, Debug, Default)]
struct Skipped {
    count: usize,
    met: Met,
}

/// What the credentials met that came before the one that is tried.
///
/// Whoever asks with less than was given may not see what is there: registries hide what a stranger
/// may not see. So after any of this a 404 is no absence.
#[derive(Clone, Debug, Default)]
struct Met {
    /// The first refusal by the registry.
    refusal: Option<Reply>,
    /// The first refusal on the way to it.
    failure: Option<Error>,
    /// Whether scgate itself kept a credential back.
    withheld: bool,
}

impl Met {
    const fn is_any(&self) -> bool {
        self.refusal.is_some() || self.failure.is_some() || self.withheld
    }
}

/// Whether a list of tags has any: an empty one may also be what is told of a hidden repository.
fn has_tags(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct List {
        tags: Option<Vec<serde::de::IgnoredAny>>,
    }
    let list: Result<List, _> = crate::model::read_json(body);
    list.is_ok_and(|list| list.tags.is_some_and(|tags| !tags.is_empty()))
}

/// What goes into the `Authorization` header.
struct Authorization {
    header: HeaderValue,
    /// The token and what it is kept under, when it may be one that has been kept too long.
    cached: Option<(Key, Secret)>,
}

/// Why a credential gives no authorization.
enum Unusable {
    /// The way to it failed: none may.
    Failed(Box<Error>),
    /// There is none for this demand.
    None,
    /// The next one may.
    Refused(Box<Error>),
    /// It is not given to the token server, or no header can hold it.
    Withheld,
}

impl Remote {
    /// Makes the request, with credentials if that is demanded.
    pub(super) async fn authorized(&self, url: &Url, plan: &Plan<'_>) -> Result<Reply, Error> {
        let host = plan.repository.host();
        let mut demand = self.demand_of(host);
        let mut plain = None;
        if demand.is_none() {
            let reply = self.send(url, plan, None).await?;
            demand = match reply.status {
                401 => Some(self.learned(plan, &reply)?),
                // Some registries tell a stranger that what is hidden is not there.
                404 if !self.keyring.lookup(plan.repository).is_empty() => {
                    self.demand_at_root(url, plan).await?
                }
                _ => None,
            };
            if demand.is_none() {
                return Ok(reply);
            }
            plain = Some(reply);
        }
        let mut asked_again = false;
        loop {
            let Some(current) = &demand else {
                return Err(self.nothing_left(plan, None));
            };
            match self
                .try_credentials(url, plan, current, plain.as_ref())
                .await?
            {
                Ok(reply) => return Ok(reply),
                // The registry may demand something else by now: once.
                Err(reply) if reply.status == 401 && !asked_again => {
                    let new = self.learn(host, &reply);
                    if new.is_none() || new == demand {
                        return Err(self.nothing_left(plan, Some(&reply)));
                    }
                    demand = new;
                    asked_again = true;
                }
                Err(reply) => return Err(self.nothing_left(plan, Some(&reply))),
            }
        }
    }

    /// What the registry demands where it demands anything: the answer to the request for its root
    /// (distribution specification, end-1). Nothing where a stranger may ask it everything.
    async fn demand_at_root(&self, url: &Url, plan: &Plan<'_>) -> Result<Option<Demand>, Error> {
        let host = plan.repository.host();
        let is_open = || {
            let open = self.session.open.lock();
            open.unwrap_or_else(PoisonError::into_inner).contains(host)
        };
        let Ok(root) = url.join("/v2/") else {
            return Ok(None);
        };
        if is_open() {
            return Ok(None);
        }
        let reply = self.question(&root, plan, None).await?;
        match reply.status {
            401 => self.learned(plan, &reply).map(Some),
            200..300 | 404 => {
                let open = self.session.open.lock();
                let mut open = open.unwrap_or_else(PoisonError::into_inner);
                open.insert(host.to_owned());
                Ok(None)
            }
            _ => {
                let note = "at its root, which says what it demands";
                Err(super::status_error(plan.asked, &reply, note))
            }
        }
    }

    /// Remembers what a 401 demands.
    fn learned(&self, plan: &Plan<'_>, reply: &Reply) -> Result<Demand, Error> {
        let note = "it demands nothing that scgate can give";
        self.learn(plan.repository.host(), reply)
            .ok_or_else(|| super::status_error(plan.asked, reply, note))
    }

    /// Tries one credential after the other. The inner error is the first refusal; `plain` is the
    /// answer to the request without credentials, if it was made.
    async fn try_credentials(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        demand: &Demand,
        plain: Option<&Reply>,
    ) -> Result<Result<Reply, Reply>, Error> {
        let credentials = self.credentials(plan);
        let Skipped { count, mut met } = self.skipped(plan);
        for (place, credential) in credentials.iter().enumerate().skip(count) {
            if credential.is_none() && place < self.keyring.lookup(plan.repository).len() {
                met.withheld = true;
            }
            let authorization = self.authorization(url, plan, demand, credential.as_ref());
            let mut sent = None;
            let reply = match authorization.await {
                Ok(authorization) => {
                    let credential = credential.as_ref();
                    sent = credential.map(|_| authorization.header.clone());
                    self.send_with(url, plan, demand, credential, authorization)
                        .await?
                }
                Err(Unusable::Failed(error)) => return Err(*error),
                Err(Unusable::None) if credential.is_some() => continue,
                // A password is demanded and there is none: one repository of a registry may be
                // public where another is not.
                Err(Unusable::None) => match plain {
                    Some(reply) => reply.clone(),
                    None => self.send(url, plan, None).await?,
                },
                Err(Unusable::Refused(error)) => {
                    met.failure.get_or_insert(*error);
                    continue;
                }
                Err(Unusable::Withheld) => {
                    met.withheld = true;
                    continue;
                }
            };
            match reply.status {
                401 | 403 => {
                    met.refusal.get_or_insert(reply);
                }
                404 if met.is_any() && !self.may_see(url, plan, place, sent.as_ref()).await? => {}
                status => {
                    if status < 400 {
                        let skipped = Skipped { count: place, met };
                        self.skip(plan, skipped);
                    }
                    return Ok(Ok(reply));
                }
            }
        }
        match (met.failure, met.refusal) {
            // What the first credential met is what its owner has to know.
            (Some(mut error), _) => {
                if let Error::Status { detail, .. } = &mut error {
                    let note = self.note(plan);
                    *detail = match detail.as_str() {
                        "" => note,
                        said => format!("{said} ({note})"),
                    };
                }
                Err(error)
            }
            (None, Some(reply)) => Ok(Err(reply)),
            (None, None) => Err(self.nothing_left(plan, None)),
        }
    }

    /// Whether a credential opens the repository, so that what it does not find is not there, whatever
    /// the credentials before it met. Without one the repository may be another one to everybody.
    async fn may_see(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        place: usize,
        sent: Option<&HeaderValue>,
    ) -> Result<bool, Error> {
        let Some(header) = sent else {
            return Ok(false);
        };
        let opened = {
            let skipped = &self.session.skipped;
            let skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (plan.repository.clone(), Purpose::of(plan));
            skipped.get(&key).map(|skipped| skipped.count)
        };
        if opened == Some(place) {
            return Ok(true);
        }
        // Nothing was read with it yet: whoever may pull may list the tags (end-8b).
        let tags = format!("/v2/{}/tags/list?n=1", plan.repository.path());
        let Ok(tags) = url.join(&tags) else {
            return Ok(false);
        };
        // What goes wrong with this says nothing about what was asked.
        let reply = self.question(&tags, plan, Some(header)).await;
        Ok(reply.is_ok_and(|reply| reply.status == 200 && has_tags(&reply.body)))
    }

    /// Makes the request with an authorization, and once more where that was a token that the
    /// registry no longer takes.
    async fn send_with(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        demand: &Demand,
        credential: Option<&Credential>,
        authorization: Authorization,
    ) -> Result<Reply, Error> {
        let reply = self.send(url, plan, Some(&authorization.header)).await?;
        if reply.status == 401
            && let Some((key, secret)) = &authorization.cached
        {
            self.session.tokens.forget(key, secret).await;
            let renewed = self.authorization(url, plan, demand, credential);
            if let Ok(renewed) = renewed.await {
                return self.send(url, plan, Some(&renewed.header)).await;
            }
        }
        Ok(reply)
    }

    async fn send(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, Error> {
        let mut request = plan.request(url, plan.tls);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        let reply = self.transport.fetch(&request, plan.deadline).await;
        reply.map_err(|source| plan.failed(source))
    }

    /// Asks something on the way to the request of the plan.
    async fn question(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, Error> {
        let mut request = plan.question(url);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        let reply = self.transport.fetch(&request, plan.deadline).await;
        reply.map_err(|source| plan.failed(source))
    }

    /// The credentials to try, and nothing at last. A stranger who is not let in as somebody does not
    /// write.
    fn credentials(&self, plan: &Plan<'_>) -> Vec<Option<Credential>> {
        let found = self.keyring.lookup(plan.repository).into_iter();
        let mut all: Vec<_> = found.take(MAX_CREDENTIALS).map(Some).collect();
        if all.is_empty() || !plan.access.pushes() {
            all.push(None);
        }
        all
    }

    /// The header that answers `demand` with `credential`, or with nothing.
    async fn authorization(
        &self,
        url: &Url,
        plan: &Plan<'_>,
        demand: &Demand,
        credential: Option<&Credential>,
    ) -> Result<Authorization, Unusable> {
        let credential = match credential {
            Some(credential) => Some(self.helped(plan, credential).await?),
            None => None,
        };
        let fixed = |header: Option<HeaderValue>| match header {
            Some(header) => Ok(Authorization {
                header,
                cached: None,
            }),
            None if credential.is_some() => Err(Unusable::Withheld),
            None => Err(Unusable::None),
        };
        if let Some(Kind::Bearer(token)) = credential.as_ref().map(|c| &c.kind) {
            return fixed(token::bearer(token));
        }
        match demand {
            Demand::Basic => fixed(credential.as_ref().and_then(token::basic)),
            Demand::Bearer { realm, service } => {
                let refused = |rule| {
                    let asked = plan.asked.clone();
                    Unusable::Failed(Box::new(Error::Refused { asked, rule }))
                };
                let realm =
                    auth::judge_realm(realm, url, &self.settings.token_servers).map_err(refused)?;
                if realm.trust == Trust::Anonymous && credential.is_some() {
                    return Err(Unusable::Withheld);
                }
                let service = service.clone();
                self.token(plan, &realm, service, credential.as_ref()).await
            }
        }
    }

    async fn token(
        &self,
        plan: &Plan<'_>,
        realm: &Realm,
        service: Option<String>,
        credential: Option<&Credential>,
    ) -> Result<Authorization, Unusable> {
        let key = Key {
            credential: credential.map(Credential::id),
            host: plan.repository.host().to_owned(),
            realm: realm.url.to_string(),
            service,
            // What is needed, not what the challenge says: some say `pull,push` to a reader, and
            // GHCR says `pull` to a writer.
            scopes: plan.access.scopes(plan.repository),
        };
        let place = host_of(&realm.url);
        let asked = Asked::new(place.clone(), plan.repository.to_string(), What::Token);
        let tls = match (realm.url.scheme(), plan.tls) {
            ("http", _) => Tls::None,
            // The operator's word about a registry holds for a token server on the same host.
            (_, Tls::InsecureUnverified) if same_host(realm, plan.repository) => {
                Tls::InsecureUnverified
            }
            _ => Tls::Verified,
        };
        let (transport, deadline) = (&self.transport, plan.deadline);
        let exchange = token::exchange(transport, realm, tls, &key, credential, &asked, deadline);
        let token = deadline.limit(&place, self.session.tokens.get(&key, exchange));
        let token = match token.await {
            Ok(Ok(token)) => token,
            Ok(Err(
                error @ Error::Status {
                    status: 401 | 403, ..
                },
            )) => {
                return Err(Unusable::Refused(Box::new(error)));
            }
            Ok(Err(error)) => return Err(Unusable::Failed(Box::new(error))),
            Err(source) => {
                let error = Error::Transport { asked, source };
                return Err(Unusable::Failed(Box::new(error)));
            }
        };
        match token::bearer(&token.secret) {
            Some(header) => Ok(Authorization {
                header,
                cached: (token.age == Age::Cached).then_some((key, token.secret)),
            }),
            None => Err(Unusable::Failed(Box::new(Error::Malformed {
                asked,
                reason: "a token that no header can hold",
            }))),
        }
    }

    /// The credential itself, or what the helper that it names says.
    async fn helped(
        &self,
        plan: &Plan<'_>,
        credential: &Credential,
    ) -> Result<Credential, Unusable> {
        let Kind::Helper { program, server } = &credential.kind else {
            return Ok(credential.clone());
        };
        let cell = {
            let helped = &self.session.helped;
            let mut helped = helped.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (program.clone(), server.clone());
            Arc::clone(helped.entry(key).or_default())
        };
        let asking = cell.get_or_init(|| helper::ask(program, server));
        let said = plan.deadline.limit(plan.repository.host(), asking).await;
        match said {
            Ok(Ok(Some(kind))) => {
                let origin = credential.origin().to_owned();
                Ok(Credential::new(kind.clone(), origin))
            }
            Ok(Ok(None)) => Err(Unusable::None),
            Ok(Err(fault)) => Err(Unusable::Failed(Box::new(Error::Helper {
                helper: program.clone(),
                server: printable(server),
                fault: fault.clone(),
            }))),
            Err(source) => Err(Unusable::Failed(Box::new(plan.failed(source)))),
        }
    }

    /// The error when the registry demands what nothing here satisfies.
    fn nothing_left(&self, plan: &Plan<'_>, reply: Option<&Reply>) -> Error {
        let note = self.note(plan);
        match reply {
            Some(reply) => super::status_error(plan.asked, reply, &note),
            None => Error::Status {
                asked: plan.asked.clone(),
                status: 401,
                retry_after: None,
                detail: note,
            },
        }
    }

    /// What was tried, for the one whose credentials they are, and what it was needed for.
    fn note(&self, plan: &Plan<'_>) -> String {
        let tried = self.tried(plan);
        if plan.access.pushes() {
            return format!("{tried}; {}", needs_push(plan.repository));
        }
        tried
    }

    fn tried(&self, plan: &Plan<'_>) -> String {
        let repository = plan.repository;
        let found = self.keyring.lookup(repository);
        if found.is_empty() {
            return format!("no credentials for `{repository}` were found");
        }
        if let Some(Demand::Bearer { realm, .. }) = self.demand_of(repository.host())
            && let Ok(realm) = Url::parse(&realm)
            && self.is_untrusted(&realm, plan)
        {
            return format!(
                "the credentials were not sent to its token server `{}`, which is under another \
                 domain",
                host_of(&realm)
            );
        }
        let unsendable = found.iter().find(|credential| match &credential.kind {
            Kind::Bearer(token) => token::bearer(token).is_none(),
            Kind::Basic { .. } | Kind::Helper { .. } | Kind::Identity { .. } => false,
        });
        if let Some(credential) = unsendable {
            let origin = credential.origin();
            return format!("the token of {origin} has characters that no header can hold");
        }
        let tried = found.iter().take(MAX_CREDENTIALS);
        let origins: Vec<_> = tried.map(Credential::origin).collect();
        let tried = origins.join(", ");
        match found.len() - origins.len() {
            0 => format!("tried: {tried}"),
            more => format!("tried: {tried}; {more} more were not"),
        }
    }

    fn is_untrusted(&self, realm: &Url, plan: &Plan<'_>) -> bool {
        let scheme = match plan.tls {
            Tls::None => "http",
            Tls::InsecureUnverified | Tls::Verified => "https",
        };
        let registry = Url::parse(&format!("{scheme}://{}/", plan.repository.host()));
        let pairs = &self.settings.token_servers;
        registry.is_ok_and(|registry| {
            auth::judge_realm(realm.as_str(), &registry, pairs)
                .is_ok_and(|realm| realm.trust == Trust::Anonymous)
        })
    }

    fn demand_of(&self, host: &str) -> Option<Demand> {
        let demands = &self.session.demands;
        let demands = demands.lock().unwrap_or_else(PoisonError::into_inner);
        demands.get(host).cloned()
    }

    /// Remembers what a 401 demands.
    fn learn(&self, host: &str, reply: &Reply) -> Option<Demand> {
        let values = reply.headers.get_all(header::WWW_AUTHENTICATE);
        let demand = auth::demand(values.iter().filter_map(|value| value.to_str().ok()))?;
        let demands = &self.session.demands;
        let mut demands = demands.lock().unwrap_or_else(PoisonError::into_inner);
        demands.insert(host.to_owned(), demand.clone());
        Some(demand)
    }

    fn skipped(&self, plan: &Plan<'_>) -> Skipped {
        let skipped = &self.session.skipped;
        let skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (plan.repository.clone(), Purpose::of(plan));
        skipped.get(&key).cloned().unwrap_or_default()
    }

    fn skip(&self, plan: &Plan<'_>, credentials: Skipped) {
        let skipped = &self.session.skipped;
        let mut skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (plan.repository.clone(), Purpose::of(plan));
        skipped.insert(key, credentials);
    }
}

/// Which right a refused write is about.
pub(super) fn needs_push(repository: &Repository) -> String {
    format!("writing needs the right to push to `{repository}`")
}

fn same_host(realm: &Realm, repository: &Repository) -> bool {
    let host = realm.url.host_str().unwrap_or_default();
    let own = repository.host();
    own == host
        || own
            .strip_prefix(host)
            .is_some_and(|rest| rest.starts_with(':'))
}
