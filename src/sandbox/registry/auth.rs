//! Who may do what: Basic, and bearer tokens from the registry's own `/token`.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::time::Instant;

use super::Shared;
use super::config::Auth;
use super::config::TokenAuth;
use super::config::User;
use super::route::Route;
use crate::sandbox::server::Answer;
use crate::sandbox::server::member;
use crate::sandbox::server::members;

/// What a request does to a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    Delete,
    Pull,
    Push,
}

impl Action {
    fn of(method: &Method) -> Self {
        if method == Method::GET || method == Method::HEAD {
            Self::Pull
        } else if method == Method::DELETE {
            Self::Delete
        } else {
            Self::Push
        }
    }

    /// As a challenge asks for it.
    const fn scope(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }

    /// The rights of which a token needs one. Registries in use disagree over deleting.
    const fn rights(self) -> &'static [&'static str] {
        match self {
            Self::Delete => &["delete", "push"],
            Self::Pull => &["pull"],
            Self::Push => &["push"],
        }
    }
}

/// The tokens that were handed out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    granted: BTreeMap<String, Grant>,
    exchanges: usize,
}

#[derive(Debug)]
struct Grant {
    /// Repository and action.
    access: Vec<(String, String)>,
    ends: Instant,
}

impl Grant {
    fn allows(&self, resource: &str, rights: &[&str]) -> bool {
        let mut access = self.access.iter();
        access.any(|(own, right)| own == resource && rights.contains(&right.as_str()))
    }
}

/// What a token for the list of all repositories is for. No repository has a colon in its name.
const CATALOG: &str = "registry:catalog";

impl Tokens {
    pub(super) const fn exchanges(&self) -> usize {
        self.exchanges
    }

    pub(super) fn revoke(&mut self) {
        self.granted.clear();
    }
}

/// The answer to a request that may not pass.
pub(super) fn refusal(
    shared: &Shared,
    route: &Route,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Answer> {
    let open = match route {
        Route::Storage { .. } | Route::Token => true,
        Route::Ping => shared.config.open_ping,
        Route::Blob { .. }
        | Route::Catalog
        | Route::Manifest { .. }
        | Route::Referrers { .. }
        | Route::Tags { .. }
        | Route::Unknown
        | Route::Upload { .. }
        | Route::Uploads { .. } => false,
    };
    if open {
        return None;
    }
    let refusal = match &shared.config.auth {
        Auth::Anonymous => None,
        Auth::Basic(users) => basic(shared, users, route, headers),
        Auth::Token(config) => bearer(shared, config, route, Action::of(method), headers),
    }?;
    let is_stranger = !headers.contains_key(header::AUTHORIZATION);
    if shared.config.conceal && is_stranger && route.repository().is_some() {
        let message = "repository name not known to registry";
        return Some(Answer::unknown("NAME_UNKNOWN", message));
    }
    Some(refusal)
}

fn basic(shared: &Shared, users: &[User], route: &Route, headers: &HeaderMap) -> Option<Answer> {
    let Some(user) = credentials(headers).and_then(|pair| login(users, &pair)) else {
        return Some(unauthorized(shared, "Basic realm=\"scgate sandbox\""));
    };
    let may = match route.repository() {
        Some(repo) => user.may_use(repo),
        None => *route != Route::Catalog || user.is_unconfined(),
    };
    if may {
        return None;
    }
    let message = "requested access to the resource is denied";
    Some(Answer::error(StatusCode::FORBIDDEN, "DENIED", message))
}

/// Whether a request may read a repository beside the one that it is about.
pub(super) fn may_pull(shared: &Shared, headers: &HeaderMap, repo: &str) -> bool {
    match &shared.config.auth {
        Auth::Anonymous => true,
        Auth::Basic(users) => credentials(headers)
            .and_then(|pair| login(users, &pair))
            .is_some_and(|user| user.may_use(repo)),
        Auth::Token(_) => bearer_token(headers).is_some_and(|token| {
            let tokens = shared.tokens();
            let grant = tokens.granted.get(token);
            grant.is_some_and(|grant| grant.allows(repo, Action::Pull.rights()))
        }),
    }
}

/// The token of a bearer `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Name and password of a Basic `Authorization` header.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn login<'a>(users: &'a [User], (name, password): &(String, String)) -> Option<&'a User> {
    users
        .iter()
        .find(|user| user.name == *name && user.has_password(password))
}

fn bearer(
    shared: &Shared,
    config: &TokenAuth,
    route: &Route,
    action: Action,
    headers: &HeaderMap,
) -> Option<Answer> {
    let needed = match (route.repository(), route) {
        (Some(repo), _) => Some((repo, action.rights())),
        (None, Route::Catalog) => Some((CATALOG, ["*"].as_slice())),
        (None, _) => None,
    };
    let problem = match bearer_token(headers) {
        Some(token) => {
            let tokens = shared.tokens();
            let grant = tokens.granted.get(token);
            match grant.filter(|grant| grant.ends > Instant::now()) {
                Some(grant)
                    if needed.is_none_or(|(resource, rights)| grant.allows(resource, rights)) =>
                {
                    return None;
                }
                Some(_) => ",error=\"insufficient_scope\"",
                None => ",error=\"invalid_token\"",
            }
        }
        None => "",
    };
    let realm = realm(shared, config);
    let service = &config.service;
    let scope = match (route.repository(), route) {
        (Some(repo), _) => format!(",scope=\"repository:{repo}:{}\"", action.scope()),
        (None, Route::Catalog) => format!(",scope=\"{CATALOG}:*\""),
        (None, _) => String::new(),
    };
    let challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}{problem}");
    Some(unauthorized(shared, &challenge))
}

fn realm(shared: &Shared, config: &TokenAuth) -> String {
    let own = || format!("{}/token", shared.url());
    config.realm.clone().unwrap_or_else(own)
}

/// 401 with a challenge.
pub(super) fn unauthorized(shared: &Shared, challenge: &str) -> Answer {
    let status = StatusCode::UNAUTHORIZED;
    let mut answer = Answer::error(status, "UNAUTHORIZED", "authentication required");
    for before in &shared.config.challenges_before {
        answer.add(header::WWW_AUTHENTICATE, before);
    }
    answer.add(header::WWW_AUTHENTICATE, challenge);
    answer
}

/// `/token`: GET with Basic or nothing, POST with an OAuth2 form.
pub(super) fn token(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
) -> Answer {
    let Auth::Token(config) = &shared.config.auth else {
        return Answer::body(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n");
    };
    let form = if method == Method::POST {
        members(&String::from_utf8_lossy(body))
    } else {
        members(query)
    };
    let member = |name| member(&form, name);
    if member("service").is_some_and(|service| service != config.service) {
        return Answer::error(StatusCode::BAD_REQUEST, "UNSUPPORTED", "unknown service");
    }
    let user = if method == Method::POST {
        let user = match (member("grant_type"), member("refresh_token")) {
            (Some("refresh_token"), Some(token)) => config
                .users
                .iter()
                .find(|user| user.identity_token.as_deref() == Some(token)),
            (Some("password"), _) => {
                let text = |name| member(name).unwrap_or_default().to_owned();
                login(&config.users, &(text("username"), text("password")))
            }
            (Some(_) | None, _) => None,
        };
        if user.is_none() {
            return refused();
        }
        user
    } else if headers.contains_key(header::AUTHORIZATION) {
        let user = credentials(headers).and_then(|pair| login(&config.users, &pair));
        if user.is_none() {
            return refused();
        }
        user
    } else if config.anonymous_pull {
        None
    } else {
        return refused();
    };
    grant(shared, config, user, &form)
}

fn refused() -> Answer {
    let message = "unauthorized: incorrect username or password";
    Answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// Hands out a token for as much of what was asked as the user may have. That can be nothing.
fn grant(
    shared: &Shared,
    config: &TokenAuth,
    user: Option<&User>,
    form: &[(String, String)],
) -> Answer {
    let mut access = Vec::new();
    let scopes = form.iter().filter(|(name, _)| name == "scope");
    for scope in scopes.flat_map(|(_, value)| value.split(' ')) {
        let Some((resource, actions)) = scope.rsplit_once(':') else {
            continue;
        };
        if resource == CATALOG && user.is_some_and(User::is_unconfined) {
            access.push((resource.to_owned(), actions.to_owned()));
        }
        let Some(repo) = resource.strip_prefix("repository:") else {
            continue;
        };
        let actions = if actions == "*" {
            "pull,push,delete"
        } else {
            actions
        };
        for action in actions.split(',') {
            let may = user.map_or(action == "pull", |user| user.may_use(repo));
            if may {
                access.push((repo.to_owned(), action.to_owned()));
            }
        }
    }
    let mut tokens = shared.tokens();
    tokens.exchanges += 1;
    let token = format!("sandbox-token-{}", tokens.exchanges);
    let ends = Instant::now() + config.lifetime;
    tokens.granted.insert(token.clone(), Grant { access, ends });
    let body = json!({
        "token": token,
        "access_token": token,
        "expires_in": config.lifetime.as_secs(),
    });
    Answer::json(StatusCode::OK, "application/json", &body)
}
