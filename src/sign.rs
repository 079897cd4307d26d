//! Signing and attesting: one certificate for a walk, one log entry a payload, nothing pushed that
//! does not verify.
//!
//! A [`Signer`] holds who signs, with which services and under which root. [`Signer::sign`] and
//! [`Signer::attest`] resolve the reference once and read every manifest before anything is signed;
//! find out what is there already, which is kept; make the rest, all of it at once; verify each piece
//! as whoever reads it will; see whether a tag still names the same image; and only then write, each
//! piece by itself and read back. A run that was broken off is completed by the next one.
//!
//! Start with the numbered steps of `Signer::run`.

mod bundle;
mod certificate;
mod error;
mod existing;
mod key;
mod make;
mod payload;
mod predicate;
mod publish;
mod request;
mod signed;
mod walk;

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::TryStreamExt;
use futures_util::stream;
use tokio::sync::Mutex;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

pub use error::Error;
pub use key::KeyError;
pub use key::Password;
pub use key::SigningKey;
pub use predicate::Predicate;
pub use predicate::PredicateError;
pub use predicate::PredicateType;
pub use request::About;
pub use request::Again;
pub use request::Clock;
pub use request::Config;
pub use request::Credential;
pub use request::Format;
pub use request::Renew;
pub use request::Renewing;
pub use request::Replace;
pub use request::Request;
pub use signed::FileBundle;
pub use signed::Piece;
pub use signed::Signed;
pub use signed::State;
pub use walk::Recursion;
pub use walk::Role;
pub use walk::Target;

use crate::model::Descriptor;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Pinned;
use crate::model::San;
use crate::model::Timestamp;
use crate::model::strict_json;
use crate::registry::Writer;
use crate::services;
use crate::services::rekor;
use crate::services::signing_config::Services;
use crate::sign::certificate::Holder;
use crate::sign::existing::Author;
use crate::sign::existing::Place;
use crate::sign::existing::Wanted;
use crate::sign::make::Made;
use crate::sign::publish::ReadBack;
use crate::transport::Deadline;
use crate::transport::Transport;
use crate::verify::LogTerm;
use crate::verify::ManagedKey;
use crate::verify::Terms;
use crate::verify::TrustRoot;
use crate::verify::VerifiedSignature;

/// Pieces of evidence that are made or written at the same time.
const SIDE_BY_SIDE: usize = 32;
/// Requests to services at the same time: the entries of a usual walk, so that one checkpoint of a
/// log covers them all.
const SERVICES_AT_ONCE: usize = 16;
/// Seconds that the clocks of the services may be ahead of this machine's where a signer looks at
/// its own work.
const SKEW: u8 = 10;

/// Signs.
pub struct Signer {
    credential: Credential,
    managed: Option<Arc<ManagedKey>>,
    services: Services,
    root: Option<Arc<TrustRoot>>,
    transport: Transport,
    limits: Limits,
    clock: Clock,
    identity: Option<String>,
    terms: Terms,
    held: Mutex<Option<Holder>>,
    in_flight: Semaphore,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("credential", &self.credential)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// Something to sign about one manifest, in those layouts in which it is not there yet.
struct Job {
    target: Target,
    content: Content,
    formats: Vec<Format>,
}

/// What is said about a manifest.
enum Content {
    Signature,
    Statement {
        predicate_type: String,
        payload: Vec<u8>,
    },
}

impl Content {
    fn wanted<'a>(&'a self, annotations: &'a BTreeMap<String, String>) -> Wanted<'a> {
        match self {
            Self::Signature => Wanted::Signature(annotations),
            Self::Statement {
                predicate_type,
                payload,
            } => Wanted::Statement {
                predicate_type,
                payload,
            },
        }
    }
}

impl Signer {
    /// Makes a signer.
    ///
    /// # Errors
    ///
    /// [`Error::RootMissing`] where something would be made that nothing could verify,
    /// [`Error::FulcioMissing`] where nobody issues certificates, and [`Error::TimeMissing`] where no
    /// service would state the time that a certificate needs.
    pub fn new(config: Config) -> Result<Self, Error> {
        let Config {
            credential,
            services,
            root,
            transport,
            limits,
            clock,
            identity,
        } = config;
        let logged = !services.rekor().is_empty() || services.rekor_v1().is_some();
        let terms = Terms {
            clock_skew: SKEW,
            log: match logged {
                true => LogTerm::Required,
                false => LogTerm::InsecureNone,
            },
            ..Terms::default()
        };
        let managed = match &credential {
            Credential::Key(key) => {
                let managed = ManagedKey::parse(key.public_pem().as_bytes(), &limits)
                    .map_err(|_| KeyError::Unsupported)?;
                Some(Arc::new(managed))
            }
            Credential::Token { .. } => {
                if services.fulcio().is_none() {
                    return Err(Error::FulcioMissing);
                }
                if services.tsa().is_empty() && !states_time(&services) {
                    return Err(Error::TimeMissing);
                }
                None
            }
        };
        let vouched = logged || !services.tsa().is_empty();
        if root.is_none() && (managed.is_none() || vouched) {
            return Err(Error::RootMissing);
        }
        Ok(Self {
            held: Mutex::default(),
            in_flight: Semaphore::new(SERVICES_AT_ONCE),
            credential,
            managed,
            services,
            root,
            transport,
            limits,
            clock,
            identity,
            terms,
        })
    }

    /// The layouts that can be written: the legacy one has room for Rekor v1 alone.
    #[must_use]
    pub fn formats(&self) -> BTreeSet<Format> {
        let legacy = self.services.rekor_v1().is_some() || self.terms.log == LogTerm::InsecureNone;
        let formats = [Some(Format::Bundle), legacy.then_some(Format::Legacy)];
        formats.into_iter().flatten().collect()
    }

    /// The same signer for evidence in these layouts. Where both are written, bundles are entered into
    /// the log of the legacy layout as well, and not into one of Rekor v2: cosign 2 reads the bundle
    /// alone where there is one, and takes a log's word for the time.
    #[must_use]
    pub fn writing(mut self, formats: &BTreeSet<Format>) -> Self {
        if formats.contains(&Format::Bundle) && formats.contains(&Format::Legacy) {
            self.services = self.services.with_one_log();
        }
        self
    }

    /// Whether a document of so many bytes makes an entry of a log that the public instance does not
    /// take. Gives the bytes of that entry: Rekor v1 is sent the whole document, Rekor v2 its digest.
    #[must_use]
    pub fn too_large_entry(&self, document: usize, formats: &BTreeSet<Format>) -> Option<usize> {
        let has_v1 = formats.iter().any(|format| match format {
            Format::Bundle => {
                let mut logs = self.services.rekor().iter();
                logs.any(|log| log.version == rekor::Version::V1)
            }
            Format::Legacy => self.services.rekor_v1().is_some(),
        });
        // In base64 it is a third longer, in a statement and an envelope.
        let entry = (document / 3).saturating_mul(4);
        (has_v1 && entry > rekor::v1::LARGE).then_some(entry)
    }

    /// Signs an image.
    ///
    /// # Errors
    ///
    /// [`Error`] when nothing was written. What could be written and what not is in [`Signed`].
    pub async fn sign(
        &self,
        request: Request<'_>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Signed, Error> {
        let named = self.resolve(request).await?;
        let jobs = named.targets.iter().map(|target| Job {
            target: target.clone(),
            content: Content::Signature,
            formats: request.formats.iter().copied().collect(),
        });
        let jobs = jobs.collect();
        self.run(request, &named.image, jobs, annotations, Replace::No)
            .await
    }

    /// Attests predicates about an image.
    ///
    /// # Errors
    ///
    /// As for [`Signer::sign`], and [`Error::PlatformMissing`].
    pub async fn attest(
        &self,
        request: Request<'_>,
        predicates: &[About],
        replace: Replace,
    ) -> Result<Signed, Error> {
        // Every platform is looked for, whatever is attested.
        let by_platform = predicates.iter().any(|about| about.platform.is_some());
        let walked = Request {
            recursion: match by_platform {
                true => Recursion::Everything,
                false => request.recursion,
            },
            ..request
        };
        let named = self.resolve(walked).await?;
        let name = payload::docker_reference(named.image.repository());
        let mut jobs = Vec::new();
        let mut taken = BTreeSet::new();
        for (about, targets) in assign(predicates, &named.targets, request.recursion)? {
            for target in targets {
                // One of them would take the place of the other.
                if !taken.insert(target.digest) && replace == Replace::Yes {
                    return Err(Error::PredicateTwice {
                        digest: target.digest,
                    });
                }
                let subject = [(Some(name.as_str()), target.digest)];
                let payload = about.predicate.statement(&subject, &BTreeMap::new());
                readable(&payload)?;
                jobs.push(Job {
                    target: target.clone(),
                    content: Content::Statement {
                        predicate_type: about.predicate.kind().uri().to_owned(),
                        payload,
                    },
                    formats: request.formats.iter().copied().collect(),
                });
            }
        }
        self.run(request, &named.image, jobs, &BTreeMap::new(), replace)
            .await
    }

    /// Signs a file.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn sign_file(&self, file: &[u8], deadline: Deadline) -> Result<FileBundle, Error> {
        let holder = self.holder(deadline).await?;
        let Made { bytes, proof, .. } = self.message(&holder, file, deadline).await?;
        self.wait_for_times(core::iter::once(&proof)).await;
        Ok(FileBundle { json: bytes, proof })
    }

    /// Attests a predicate about a file, of which only the digest is needed.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn attest_file(
        &self,
        name: &str,
        digest: Digest,
        predicate: &Predicate,
        deadline: Deadline,
    ) -> Result<FileBundle, Error> {
        let holder = self.holder(deadline).await?;
        let statement = predicate.statement(&[(Some(name), digest)], &BTreeMap::new());
        readable(&statement)?;
        let formats = [Format::Bundle];
        let made = self.statement(&holder, &statement, digest, &formats, deadline);
        match made.await?.pop() {
            Some((_, Made { bytes, proof, .. })) => {
                self.wait_for_times(core::iter::once(&proof)).await;
                Ok(FileBundle { json: bytes, proof })
            }
            None => Err(Error::RootMissing),
        }
    }

    /// Finds out what the reference names and what is in it.
    async fn resolve(&self, request: Request<'_>) -> Result<Named, Error> {
        let Request {
            source, deadline, ..
        } = request;
        let resolved = source.resolve(request.reference, deadline).await?;
        let image = resolved.pinned;
        let manifest = resolved.manifest;
        let recursion = request.recursion;
        let limits = &self.limits;
        let targets = walk::walk(source, &image, manifest, recursion, limits, deadline).await?;
        Ok(Named { image, targets })
    }

    /// The way from what is to be said to evidence that lies beside the image.
    async fn run(
        &self,
        request: Request<'_>,
        image: &Pinned,
        jobs: Vec<Job>,
        annotations: &BTreeMap<String, String>,
        replace: Replace,
    ) -> Result<Signed, Error> {
        let Request {
            source, deadline, ..
        } = request;
        let place = Place {
            source,
            image,
            repository: request.repository.unwrap_or(image.repository()),
            tag_prefix: request.tag_prefix,
            deadline,
        };

        let order: Vec<_> = jobs.iter().map(|job| job.target.digest).collect();

        // 1. What is there already.
        let (mut pieces, jobs) = match request.again {
            Again::Yes => (Vec::new(), jobs),
            Again::No => self.kept(place, jobs, annotations, replace).await?,
        };

        // 2. Whether it can be written where it goes, before anything stands in a log.
        let writer = source.writer(deadline);
        if !jobs.is_empty() {
            publish::prepare(&writer, place.repository).await?;
        }

        // 3. The rest, all of it at once: a log then covers it with one checkpoint.
        let made = jobs.iter().map(|job| async move {
            let made = self.make(image, job, annotations, deadline).await?;
            Ok::<_, Error>((job, made))
        });
        let made: Vec<_> = stream::iter(made)
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await?;

        let proofs = made.iter().flat_map(|(_, made)| made);
        self.wait_for_times(proofs.map(|(_, made)| &made.proof))
            .await;

        // 4. What was signed is what the reference still names.
        self.still(request, image).await?;

        // 5. Each piece by itself, and read back.
        let created = Timestamp::from_unix_seconds((self.clock)().unix_seconds());
        let created = created.unwrap_or_else(|_| (self.clock)());
        let writing = made
            .into_iter()
            .flat_map(|(job, made)| made.into_iter().map(move |made| (job, made)));
        let mut seen = BTreeSet::new();
        let writing = writing.map(|(job, made)| {
            // Of many signatures one is read back whole; documents are, each of them.
            let is_first = seen.insert(made.0);
            let what = match (&job.content, is_first) {
                (Content::Signature, false) => ReadBack::Content,
                (Content::Signature | Content::Statement { .. }, _) => ReadBack::Everything,
            };
            write(
                &writer,
                place,
                job,
                made,
                created,
                (replace, what, &self.limits),
            )
        });
        let written: Vec<_> = stream::iter(writing)
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        pieces.extend(written);
        pieces.sort_by_key(|piece| {
            let mut order = order.iter();
            let at = order.position(|digest| *digest == piece.target.digest);
            (at, piece.format)
        });
        Ok(Signed {
            image: image.clone(),
            pieces,
        })
    }

    /// What is there already, and what is left to do.
    async fn kept(
        &self,
        place: Place<'_>,
        jobs: Vec<Job>,
        annotations: &BTreeMap<String, String>,
        replace: Replace,
    ) -> Result<(Vec<Piece>, Vec<Job>), Error> {
        let author = &self.author()?;
        let looked = jobs.into_iter().map(|job| async move {
            let wanted = job.content.wanted(annotations);
            let found = job.formats.iter().map(|format| {
                let found = self.existing(place, job.target.digest, *format, author, wanted);
                async move { found.await.map(|found| (*format, found)) }
            });
            let found = futures_util::future::try_join_all(found).await?;
            Ok::<_, Error>((job, found))
        });
        // The first one alone: then it is known whether the registry has the referrers API.
        let mut looks = looked;
        let mut looked = Vec::new();
        if let Some(first) = looks.next() {
            looked.push(first.await?);
        }
        let rest: Vec<_> = stream::iter(looks)
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        looked.extend(rest);
        let (mut pieces, mut left) = (Vec::new(), Vec::new());
        for (mut job, found) in looked {
            job.formats.clear();
            for (format, found) in found {
                // To take others' place it is written once more, where there are any.
                let replaces = format == Format::Legacy && replace == Replace::Yes;
                match found.filter(|found| !replaces || found.alone) {
                    Some(found) => pieces.push(Piece {
                        target: job.target.clone(),
                        format,
                        proof: found.proof,
                        state: State::Kept(found.holder),
                    }),
                    None => job.formats.push(format),
                }
            }
            if !job.formats.is_empty() {
                left.push(job);
            }
        }
        Ok((pieces, left))
    }

    /// Who will have signed, by what the token says.
    fn author(&self) -> Result<Author, Error> {
        match (&self.managed, &self.credential) {
            (Some(key), _) => Ok(Author::Key(key.id())),
            (None, Credential::Token { token, .. }) => {
                let claimed = token.claimed()?;
                Ok(Author::Certificate {
                    san: match &self.identity {
                        Some(expected) => San::Uri(expected.clone()),
                        None => claimed.name,
                    },
                    issuer: claimed.issuer,
                    build: token.build(),
                })
            }
            (None, Credential::Key(_)) => Err(Error::RootMissing),
        }
    }

    async fn make(
        &self,
        image: &Pinned,
        job: &Job,
        annotations: &BTreeMap<String, String>,
        deadline: Deadline,
    ) -> Result<Vec<(Format, Made)>, Error> {
        let holder = self.holder(deadline).await?;
        let subject = job.target.digest;
        match &job.content {
            Content::Statement { payload, .. } => {
                self.statement(&holder, payload, subject, &job.formats, deadline)
                    .await
            }
            // The two layouts sign different documents.
            Content::Signature => {
                let made = job.formats.iter().map(|format| {
                    let holder = &holder;
                    async move {
                        match format {
                            Format::Bundle => {
                                let statement = payload::signature_statement(&subject, annotations);
                                let formats = [Format::Bundle];
                                self.statement(holder, &statement, subject, &formats, deadline)
                                    .await
                            }
                            Format::Legacy => {
                                let repository = image.repository();
                                let document =
                                    payload::simple_signing(repository, &subject, annotations);
                                let made =
                                    self.legacy_signature(holder, document, subject, deadline);
                                Ok(vec![(Format::Legacy, made.await?)])
                            }
                        }
                    }
                });
                let made = futures_util::future::try_join_all(made).await?;
                Ok(made.into_iter().flatten().collect())
            }
        }
    }

    /// Waits until no time of what was made is in the future: the clock of a service may be ahead of
    /// this machine's, by as much as a signer allows, and whoever verifies allows nothing.
    async fn wait_for_times<'p>(&self, proofs: impl Iterator<Item = &'p VerifiedSignature>) {
        let times = proofs.flat_map(VerifiedSignature::times);
        let latest = times.map(|time| time.time).max();
        let ahead = latest.map_or(0, |latest| {
            latest.unix_seconds() - (self.clock)().unix_seconds()
        });
        if let Ok(ahead @ 1..) = u64::try_from(ahead) {
            let most = ahead.min(u64::from(SKEW));
            tokio::time::sleep(Duration::from_secs(most)).await;
        }
    }

    /// Whether a tag that was signed by still names the same image.
    async fn still(&self, request: Request<'_>, image: &Pinned) -> Result<(), Error> {
        if request.reference.digest().is_some() {
            return Ok(());
        }
        let resolved = request
            .source
            .resolve(request.reference, request.deadline)
            .await?;
        let (was, is) = (image.digest(), resolved.pinned.digest());
        if was == is {
            return Ok(());
        }
        Err(Error::TagMoved {
            reference: request.reference.to_string(),
            was,
            is,
        })
    }

    /// A turn at the services.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Closed by nobody.
        self.in_flight.acquire().await.ok()
    }

    const fn client(&self, deadline: Deadline) -> services::Client<'_> {
        services::Client {
            transport: &self.transport,
            limits: &self.limits,
            deadline,
        }
    }
}

/// What a reference turned out to be.
struct Named {
    image: Pinned,
    targets: Vec<Target>,
}

/// Whether a statement can be read back: one that is nested too deep cannot, and is not signed.
fn readable(statement: &[u8]) -> Result<(), Error> {
    strict_json(statement).map_err(|source| Error::Statement { source })
}

/// Whether a log states the time, as those of Rekor v1 do.
fn states_time(services: &Services) -> bool {
    let mut logs = services.rekor().iter();
    logs.any(|log| log.version == rekor::Version::V1)
}

/// Which predicate is about which manifest.
fn assign<'a>(
    predicates: &'a [About],
    targets: &'a [Target],
    recursion: Recursion,
) -> Result<Vec<(&'a About, Vec<&'a Target>)>, Error> {
    let mut assigned = Vec::new();
    let mut taken = BTreeSet::new();
    for about in predicates {
        let Some(platform) = &about.platform else {
            continue;
        };
        let is_of = |target: &&Target| {
            let Role::Image(first) = &target.role else {
                return false;
            };
            let mut listed = first.iter().chain(&target.also_for);
            listed.any(|own| own.answers(platform))
        };
        let of_platform: Vec<_> = targets.iter().filter(is_of).collect();
        if of_platform.is_empty() {
            return Err(Error::PlatformMissing {
                platform: platform.to_string(),
            });
        }
        taken.extend(of_platform.iter().map(|target| target.digest));
        assigned.push((about, of_platform));
    }
    for about in predicates.iter().filter(|about| about.platform.is_none()) {
        let named = targets.iter().enumerate().filter(|(at, target)| {
            let is_left =
                !taken.contains(&target.digest) && !matches!(target.role, Role::Attestation);
            *at == 0 || recursion == Recursion::Everything && is_left
        });
        assigned.push((about, named.map(|(_, target)| target).collect()));
    }
    Ok(assigned)
}

/// Writes one piece of evidence and reads it back.
async fn write(
    writer: &Writer<'_>,
    place: Place<'_>,
    job: &Job,
    (format, made): (Format, Made),
    created: Timestamp,
    (replace, what, limits): (Replace, ReadBack, &Limits),
) -> Piece {
    let (repository, target) = (place.repository, &job.target);
    let written = match format {
        Format::Bundle => publish::bundle(writer, repository, target, &made, created).await,
        Format::Legacy => {
            let kind = made.proof.predicate_type().unwrap_or_default().to_owned();
            let replaced = move |layer: &Descriptor| {
                replace == Replace::Yes && layer.annotations.get("predicateType") == Some(&kind)
            };
            let prefix = place.tag_prefix;
            publish::layer(writer, repository, target, &made, prefix, &replaced).await
        }
    };
    let written = match written {
        Ok(holder) => {
            let read = publish::read_back(place, &made, &holder, what, limits).await;
            read.map(|()| holder)
        }
        Err(error) => Err(error),
    };
    Piece {
        target: target.clone(),
        format,
        proof: Arc::new(made.proof.without_payload()),
        state: match written {
            Ok(holder) => State::Written(holder),
            Err(error) => State::Failed(error),
        },
    }
}
