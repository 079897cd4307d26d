//! The files of a repository, from where they lie: a mirror, or the cache.

use core::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use reqwest::Url;
use sigstore_tuf::Repository;
use sigstore_tuf::transport::FetchFuture;

use crate::model::Digest;
use crate::services::tuf::Error;
use crate::services::tuf::cache::Cache;
use crate::services::tuf::root;
use crate::transport::Deadline;
use crate::transport::Request;
use crate::transport::Tls;
use crate::transport::Transport;

/// Where a TUF repository is served: metadata at its top, what it distributes below `targets/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror(Url);

impl Mirror {
    /// Parses the URL of a mirror. `http://` is allowed: the signatures are what counts, and who
    /// can change the answers on the way can only withhold news until the roles expire.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for anything but `http://HOST…` and `https://HOST…`, and for credentials,
    /// a query or a fragment in it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |rule| Error::Address {
            // What stands before an `@` may be a password.
            url: crate::model::printable(match text.rsplit_once('@') {
                Some((_, rest)) => rest,
                None => text,
            }),
            rule,
        };
        let mut url = Url::parse(text)
            .map_err(|_| wrong("it is no URL (write `https://HOST` with what follows it)"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("a mirror is reached by `https://` or `http://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "no credentials are sent to a mirror (leave them away)",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "it ends with a query or a fragment (leave that away)",
            ));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Its `HOST:PORT`, where the URL names a port: whoever wrote it means it.
    #[must_use]
    pub fn host_and_port(&self) -> Option<String> {
        let port = self.0.port()?;
        Some(format!("{}:{port}", self.0.host_str()?))
    }

    /// The directory of a cache that is for this mirror alone.
    pub(super) fn directory(&self, cache: &Path) -> PathBuf {
        let digest = Digest::sha256(self.0.as_str().as_bytes()).hex();
        let digest = digest.get(..16).unwrap_or(&digest);
        let host = self.0.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        cache.join(format!("{}-{digest}", host.replace(':', "_")))
    }

    fn host(&self) -> String {
        self.host_and_port()
            .unwrap_or_else(|| self.0.host_str().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What went wrong first. The library passes on text alone, and passes over what a cache cannot do.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Error>>>);

impl Trouble {
    /// Keeps the error, and gives what the library may see of it.
    pub(super) fn keep(&self, error: Error) -> sigstore_tuf::Error {
        let text = error.to_string();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert(error);
        sigstore_tuf::Error::transport(text)
    }

    /// The first error that was kept.
    pub(super) fn take(&self) -> Option<Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
    }
}

/// From where files come.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Mirror {
        mirror: Mirror,
        transport: Transport,
        deadline: Deadline,
    },
    Cache(Cache),
}

impl Origin {
    /// A metadata file, or nothing where there is no such file.
    pub(super) async fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let bytes = match self {
            Self::Mirror { .. } => self.get(name, limit).await?,
            Self::Cache(cache) => cache.metadata(name)?,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let checked = match is_root(name) {
            true => root::check(&bytes),
            false => crate::model::strict_json(&bytes).map_err(|error| error.to_string()),
        };
        checked.map_err(|reason| Error::Malformed {
            file: name.to_owned(),
            reason,
        })?;
        Ok(Some(bytes))
    }

    async fn target(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Mirror { .. } => self.get(&format!("targets/{path}"), limit).await,
            Self::Cache(cache) => cache.target(path),
        }
    }

    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Self::Mirror {
            mirror,
            transport,
            deadline,
        } = self
        else {
            return Ok(None);
        };
        let malformed = || Error::Malformed {
            file: crate::model::printable(path),
            reason: "a file of that name is not asked for".to_owned(),
        };
        if !is_plain(path) {
            return Err(malformed());
        }
        let url = mirror.0.join(path).map_err(|_| malformed())?;
        let tls = match url.scheme() {
            "http" => Tls::None,
            _ => Tls::Verified,
        };
        let cap = usize::try_from(limit).unwrap_or(usize::MAX);
        let request = Request::get(&url, tls, cap);
        let reply = match transport.fetch(&request, *deadline).await {
            Err(crate::transport::Error::TooLarge { .. }) => {
                return Err(Error::Excess {
                    file: path.to_owned(),
                    limit,
                });
            }
            reply => reply?,
        };
        match reply.status {
            200 => Ok(Some(reply.body.to_vec())),
            404 => Ok(None),
            // Object stores that list nothing say so of what is not there (go-tuf does the same).
            403 if is_root(path) => Ok(None),
            status => Err(Error::Status {
                host: mirror.host(),
                file: path.to_owned(),
                status,
            }),
        }
    }

    /// What it means that a file is not there.
    pub(super) fn lack(&self, file: &str) -> Error {
        match self {
            Self::Mirror { mirror, .. } => Error::Status {
                host: mirror.host(),
                file: file.to_owned(),
                status: 404,
            },
            Self::Cache(_) => Error::NotCached {
                file: file.to_owned(),
            },
        }
    }
}

/// What the library asks: the origin, with its errors kept.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) origin: Origin,
    pub(super) trouble: Trouble,
    pub(super) first: u64,
    pub(super) rotations: u32,
}

impl Asked {
    async fn answer(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.origin.metadata(name, limit).await?;
        let Some(version) = root_version(name) else {
            return match bytes {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(self.origin.lack(name)),
            };
        };
        if bytes.is_some() && version.saturating_sub(self.first) > u64::from(self.rotations) {
            return Err(Error::Rotations {
                limit: self.rotations,
            });
        }
        Ok(bytes)
    }
}

impl Repository for Asked {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move {
            self.answer(name, max_length)
                .await
                .map_err(|error| self.trouble.keep(error))
        })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move {
            let bytes = match self.origin.target(path, max_length).await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => self.origin.lack(path),
                Err(error) => error,
            };
            Err(self.trouble.keep(bytes))
        })
    }
}

/// Whether a path is made of plain names: what stands in metadata leads nowhere else.
pub(super) fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| {
        !name.is_empty()
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'~' | b'%'))
    })
}

/// The version in `N.root.json`.
fn root_version(name: &str) -> Option<u64> {
    name.strip_suffix(".root.json")?.parse().ok()
}

/// Whether a file is a version of the root role.
pub(super) fn is_root(name: &str) -> bool {
    name == "root.json" || root_version(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_plain_url() {
        for (url, expected) in [
            ("https://tuf.test", "https://tuf.test"),
            ("https://tuf.test/a/b//", "https://tuf.test/a/b"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(Mirror::parse(url).unwrap().to_string(), expected);
        }
        for url in [
            "",
            "tuf.test",
            "ftp://tuf.test",
            "file:///tuf",
            "https://user:secret@tuf.test",
            "https://tuf.test?a",
            "https://tuf.test#a",
        ] {
            let error = Mirror::parse(url).unwrap_err();
            assert_eq!(error.fault(), crate::services::tuf::Fault::Asker);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_name_of_a_role_is_no_path() {
        for good in [
            "1.root.json",
            "targets/00ff.trusted_root.json",
            "2.a%2Fb.json",
        ] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "/x",
            "x/",
            "../x",
            "targets/../x",
            "targets/.x",
            "a b",
            "a?b",
            "a\\b",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
