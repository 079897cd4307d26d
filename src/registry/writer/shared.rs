//! A tag that several write: read, merge, write, and watch until what was written stays.
//!
//! Registries in use ignore conditional requests (distribution and go-containerregistry: measured),
//! so that a writer who looked before can still write over what he did not see. These things keep
//! that from going unnoticed: what was looked at is old after [`FRESH`] and is looked at again
//! before it is written over; what was written is watched for longer than that; and as long as
//! others write, it is watched until they rest. While a write is slow on its way the tag is looked
//! at, and what was there before it arrived is put back into it. Whoever could not even look meanwhile
//! does not know what he took the place of, and says that it is unconfirmed.

use core::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::header;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use crate::model::Digest;
use crate::model::Repository;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::RawManifest;
use crate::registry::What;
use crate::registry::plan::Access;
use crate::registry::plan::Again;
use crate::registry::remote::Marked;
use crate::registry::remote::Remote;
use crate::registry::writer::Merge;
use crate::registry::writer::Merged;
use crate::registry::writer::Writer;
use crate::registry::writer::manifest::Condition;
use crate::registry::writer::manifest::Document;
use crate::registry::writer::manifest::Put;
use crate::registry::writer::pause;
use crate::transport::Deadline;

/// How old what was looked at may be when it is written over. Whoever was suspended looks again.
const FRESH: Duration = Duration::from_millis(50);
/// The least pause before each look among others.
const PAUSE: Duration = Duration::from_millis(35);
/// How much longer a pause may be.
const PAUSE_MORE: Duration = Duration::from_millis(15);
/// The pause before the first look, which is the only one where nobody else writes: longer than a
/// writer takes from his look to his write, also when one packet of it is lost (TCP sends it again
/// after 200 ms), so that whoever could not see what was written has written by then. Looking in
/// between finds out sooner and nothing more (measured with eight writers on one tag: looking once, at
/// once, keeps 7 to 8 of 8, and looking so long all).
const FIRST_PAUSE: Duration = Duration::from_millis(310);
/// How many shares of a slow write are added to it; see [`SLOW`].
const FIRST_SHARES: u32 = 3;
/// How long a write may be on its way unseen: others who write quickly have stopped watching then.
const UNSEEN: Duration = Duration::from_millis(300);
/// How long a write is thought to be on its way, at most: half of it is added to each pause.
const SLOW: Duration = Duration::from_secs(2);
/// How often a tag is looked at while a write to it is on its way: before others, who watch what they
/// wrote for longer, have stopped.
const GLANCE: Duration = Duration::from_millis(80);
/// How many such looks may be on their way.
const GLANCES: usize = 8;
/// How many states of a tag are kept that a write may have taken the place of.
const MOST_PASSED: usize = 32;
/// How often it must be seen in a row after somebody else was seen writing.
const SEEN_AMONG_OTHERS: u32 = 6;
/// How long nobody may have written then.
const REST: Duration = Duration::from_millis(400);
/// How many round trips of the slowest kind nobody may have written then, if that is longer.
const REST_TRIPS: u32 = 4;
/// How often the whole is begun.
const ROUNDS: u32 = 48;
/// How often a write may fail on the way.
const FAILURES: u32 = 3;
/// How long a registry may show what was there before a write.
const LATE: Duration = Duration::from_secs(6);
/// The longest pause while it does.
const LATE_PAUSE: Duration = Duration::from_secs(1);
/// How long others are watched who never rest.
const UNREST: Duration = Duration::from_secs(20);

/// What was seen under the tag.
struct Seen {
    there: Option<Marked>,
    asked: Instant,
    at: Instant,
}

impl Seen {
    fn manifest(&self) -> Option<&RawManifest> {
        self.there.as_ref().map(|there| &there.manifest)
    }

    fn digest(&self) -> Option<Digest> {
        self.manifest().map(|manifest| manifest.digest)
    }

    /// What a write over this depends on.
    fn condition(&self) -> Condition {
        match &self.there {
            None => Some((header::IF_NONE_MATCH, HeaderValue::from_static("*"))),
            Some(there) => {
                let mark = there.mark.clone()?;
                // A weak one never matches (RFC 9110, section 13.1.1).
                let is_strong = mark.as_bytes().first() == Some(&b'"');
                is_strong.then_some((header::IF_MATCH, mark))
            }
        }
    }
}

/// What became of a write that was sent.
struct Sent {
    put: Result<Put, Error>,
    /// What others put there until it arrived.
    passed: Vec<RawManifest>,
    /// How long before it arrived nobody looked.
    unseen: Duration,
}

/// What was seen while a write was on its way.
struct Meanwhile {
    /// What it is written over, and what is written.
    known: [Option<Digest>; 2],
    /// When the latest look began that was answered.
    latest: Instant,
    passed: Vec<RawManifest>,
}

impl Meanwhile {
    /// Who cannot look sees less, and how long nothing was seen is measured.
    fn note(&mut self, seen: Result<Seen, Error>) {
        let Ok(seen) = seen else {
            return;
        };
        self.latest = self.latest.max(seen.asked);
        let digest = seen.digest();
        let is_known = digest.is_none()
            || self.known.contains(&digest)
            || self.passed.iter().any(|known| Some(known.digest) == digest);
        if !is_known && self.passed.len() < MOST_PASSED {
            self.passed.extend(seen.there.map(|there| there.manifest));
        }
    }
}

/// What watching came to.
enum Watched {
    /// What was written stays.
    Held(Digest),
    /// It is not there any more.
    Lost,
}

/// One tag, and what was noticed about it.
struct Shared<'a> {
    writer: &'a Writer<'a>,
    remote: &'a Remote,
    repository: &'a Repository,
    tag: &'a str,
    asked: Asked,
    deadline: Deadline,
    /// Whether others were seen writing.
    others: bool,
    /// How long the quickest look took.
    quickest: Duration,
    /// How long the slowest look took.
    slowest: Duration,
    /// Whether a write was on its way for longer than others watch, and nobody could look meanwhile.
    unseen: bool,
    writes: u32,
    failures: u32,
    /// How long the last write took: another one's may be as long on its way.
    took: Duration,
    /// What was seen under the tag while a write was on its way, which may have taken its place.
    passed: Vec<RawManifest>,
}

impl Writer<'_> {
    /// Merges into what lies under a tag until that is seen to stay. Gives its digest.
    pub(super) async fn share(
        &self,
        remote: &Remote,
        repository: &Repository,
        tag: &str,
        merge: &mut Merge<'_>,
    ) -> Result<Digest, Error> {
        let asked = Asked::of(repository, What::Tag(tag.to_owned()));
        let turn = remote.writes.turn(repository, tag);
        let waited = self.deadline.limit(repository.host(), turn.lock()).await;
        let _turn = waited.map_err(|source| Error::Transport {
            asked: asked.clone(),
            source,
        })?;
        let mut shared = Shared {
            writer: self,
            remote,
            repository,
            tag,
            asked,
            deadline: self.deadline,
            others: false,
            quickest: Duration::MAX,
            slowest: Duration::ZERO,
            unseen: false,
            writes: 0,
            failures: 0,
            took: Duration::ZERO,
            passed: Vec::new(),
        };
        shared.settle(merge).await
    }
}

impl Shared<'_> {
    async fn settle(&mut self, merge: &mut Merge<'_>) -> Result<Digest, Error> {
        for round in 0..ROUNDS {
            if round > 0 {
                // Those who met do not meet again.
                self.others = true;
                let most = PAUSE.saturating_mul(round.min(4));
                if !pause::within(pause::random(most), self.deadline).await {
                    return Err(self.unconfirmed());
                }
            }
            let seen = self.look().await?;
            let document = match (self.merged(&seen, merge)?, seen.digest()) {
                (Merged::New(document), _) => document,
                // It was there before.
                (Merged::Kept, Some(digest)) if self.writes == 0 => return Ok(digest),
                // Others kept it, or a write that seemed to fail was one.
                (Merged::Kept, Some(digest)) => match self.watch(digest, None, merge).await? {
                    Watched::Held(_) if self.unseen => return Err(self.unconfirmed()),
                    Watched::Held(digest) => return Ok(digest),
                    Watched::Lost => continue,
                },
                (Merged::Kept, None) => return Err(self.unconfirmed()),
            };
            self.writer
                .upload_config(self.repository, &document)
                .await?;
            let Some(seen) = self.still(seen).await? else {
                continue;
            };
            match self.write(&document, &seen).await? {
                Put::Changed(_) => {}
                Put::Taken => {
                    let before = Some(seen.digest());
                    match self.watch(document.digest, before, merge).await? {
                        Watched::Held(_) if self.unseen => return Err(self.unconfirmed()),
                        Watched::Held(digest) => return Ok(digest),
                        Watched::Lost => {}
                    }
                }
            }
        }
        Err(self.unconfirmed())
    }

    fn merged(&self, seen: &Seen, merge: &mut Merge<'_>) -> Result<Merged, Error> {
        merge(seen.manifest(), &self.passed, &self.asked)
    }

    fn unconfirmed(&self) -> Error {
        Error::Unconfirmed {
            asked: self.asked.clone(),
            writes: self.writes,
        }
    }

    /// What lies under the tag now.
    async fn look(&mut self) -> Result<Seen, Error> {
        let seen = self.glance().await?;
        let took = seen.at.duration_since(seen.asked);
        self.slowest = self.slowest.max(took);
        self.quickest = self.quickest.min(took);
        Ok(seen)
    }

    async fn glance(&self) -> Result<Seen, Error> {
        let asked = Instant::now();
        let access = Access::Push;
        let there = self
            .remote
            .marked_tag(self.repository, self.tag, access, self.deadline);
        let there = match there.await {
            Ok(there) => Some(there),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let at = Instant::now();
        Ok(Seen { there, asked, at })
    }

    /// The same state, looked at so lately that it can be written over; nothing when it changed.
    async fn still(&mut self, seen: Seen) -> Result<Option<Seen>, Error> {
        if seen.at.elapsed() <= FRESH {
            return Ok(Some(seen));
        }
        let again = self.look().await?;
        let same = again.digest() == seen.digest() && again.at.elapsed() <= FRESH;
        Ok(same.then_some(again))
    }

    /// Writes over what was seen. A write that failed on the way may have been one: it is not made
    /// again before another look.
    async fn write(&mut self, document: &Document, seen: &Seen) -> Result<Put, Error> {
        let began = Instant::now();
        let Sent {
            put,
            passed,
            unseen,
        } = self.send(document, seen).await;
        if !matches!(put, Ok(Put::Changed(_))) {
            self.others |= !passed.is_empty();
            self.passed.extend(passed);
            self.unseen |= unseen > UNSEEN;
        }
        match put {
            Ok(Put::Taken) => {
                self.writes += 1;
                self.took = began.elapsed();
                Ok(Put::Taken)
            }
            Ok(Put::Changed(Some(stays))) => match self.look().await?.digest() {
                digest if digest == seen.digest() => Err(stays),
                _ => Ok(Put::Changed(None)),
            },
            Ok(Put::Changed(None)) => Ok(Put::Changed(None)),
            Err(error) => {
                self.failures += 1;
                if self.failures > FAILURES
                    || !pause::before_again(&error, pause::FIRST, self.deadline).await
                {
                    return Err(error);
                }
                self.writes += 1;
                Ok(Put::Changed(None))
            }
        }
    }

    /// Sends what is to be written, and gives what others put there until it arrived: whoever writes
    /// quickly has stopped watching when a slow write arrives, and nobody else could tell him.
    async fn send(&self, document: &Document, seen: &Seen) -> Sent {
        let put = self.remote.put_as(
            self.repository,
            self.tag,
            &self.asked,
            document,
            seen.condition(),
            Again::MayNot,
            self.deadline,
        );
        let mut looks = FuturesUnordered::new();
        let mut every = GLANCE;
        // What was seen is as old as the way is long. One more look goes ahead of the write.
        if self.slowest > FRESH {
            looks.push(self.glance());
        }
        let put = async {
            if self.slowest > FRESH {
                tokio::time::sleep(FRESH / 2).await;
            }
            put.await
        };
        let mut put = core::pin::pin!(put);
        let mut next = core::pin::pin!(tokio::time::sleep(every));
        let mut seen_meanwhile = Meanwhile {
            known: [seen.digest(), Some(document.digest)],
            latest: seen.asked,
            passed: Vec::new(),
        };
        let outcome = loop {
            tokio::select! {
                outcome = &mut put => break outcome,
                Some(seen) = looks.next() => seen_meanwhile.note(seen),
                () = &mut next => {
                    if looks.len() < GLANCES {
                        looks.push(self.glance());
                    }
                    every = every.saturating_add(every / 40);
                    next.as_mut().reset(Instant::now() + every);
                }
            }
        };
        // Both ways took as long as the quickest look, at least, and that is no time between the two.
        // A machine that is too busy to look is as blind as one that cannot.
        let unseen = seen_meanwhile.latest.elapsed();
        let unseen = unseen.saturating_sub(self.quickest);
        let left = REST.max(self.slowest.saturating_mul(REST_TRIPS));
        let rest = async {
            while let Some(seen) = looks.next().await {
                seen_meanwhile.note(seen);
            }
        };
        tokio::time::timeout(left, rest).await.unwrap_or_default();
        Sent {
            put: outcome,
            passed: seen_meanwhile.passed,
            unseen,
        }
    }

    /// Watches what is there until it is known to stay, or is gone. `before` is what was there when
    /// it was written.
    async fn watch(
        &mut self,
        own: Digest,
        before: Option<Option<Digest>>,
        merge: &mut Merge<'_>,
    ) -> Result<Watched, Error> {
        let began = Instant::now();
        let (mut last, mut since) = (own, began);
        let mut held = 0;
        let mut late = PAUSE;
        let mut pause = FIRST_PAUSE;
        let mut shares = FIRST_SHARES;
        loop {
            pause += pause::random(PAUSE_MORE) + self.took.min(SLOW) / 2 * shares;
            if !pause::within(pause, self.deadline).await {
                return Err(self.unconfirmed());
            }
            (pause, shares) = (PAUSE, 1);
            let seen = self.look().await?;
            if before == Some(seen.digest()) {
                // Nobody writes what was there before, so the registry shows it late. To merge into
                // it would take back what others wrote meanwhile.
                held = 0;
                if began.elapsed() > LATE || !pause::within(late, self.deadline).await {
                    return Err(self.unconfirmed());
                }
                late = late.saturating_mul(2).min(LATE_PAUSE);
                continue;
            }
            let merged = self.merged(&seen, merge)?;
            let (Merged::Kept, Some(digest)) = (merged, seen.digest()) else {
                return Ok(Watched::Lost);
            };
            held += 1;
            if digest != last {
                self.others = true;
                (last, since, held) = (digest, seen.at, 1);
            }
            let rest = REST.max(self.slowest.saturating_mul(REST_TRIPS));
            let rested = held >= SEEN_AMONG_OTHERS && since.elapsed() >= rest;
            if rested || !self.others {
                return Ok(Watched::Held(digest));
            }
            if began.elapsed() > UNREST {
                return Err(self.unconfirmed());
            }
        }
    }
}
