//! Uploading blobs (OCI distribution specification 1.1, "Pushing blobs").
//!
//! The registry names where an upload goes on. That may be another host, which gets the bytes and
//! never a credential.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;

use crate::model::Digest;
use crate::model::Repository;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::What;
use crate::registry::plan::Access;
use crate::registry::plan::Act;
use crate::registry::plan::Again;
use crate::registry::plan::Body;
use crate::registry::plan::Plan;
use crate::registry::remote::Answered;
use crate::registry::remote::Remote;
use crate::registry::writer::pause;
use crate::registry::writer::refused;
use crate::transport::Deadline;

/// Bytes of a blob that is tried in a single request: more is not sent in vain.
const WHOLE: usize = 64 * 1024;
/// Bytes of a piece of a large blob. Proxies in front of registries take a few tens of megabytes in
/// one request; containers/image and ORAS send the whole, crane too.
const PIECE: usize = 16 * 1024 * 1024;
/// How often an upload is begun.
const STARTS: u32 = 3;
/// How often a broken piece is taken up again in one upload.
const RESUMES: u32 = 5;

const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// What became of a blob in a single request.
enum Whole {
    Begun(Box<Answered>),
    Done,
    Refused,
}

/// One blob on its way.
struct Upload<'a> {
    remote: &'a Remote,
    repository: &'a Repository,
    asked: &'a Asked,
    digest: &'a Digest,
    bytes: &'a Bytes,
    deadline: Deadline,
}

impl Remote {
    /// Uploads a blob, in an upload that was begun already if there is one.
    pub(super) async fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        bytes: &Bytes,
        begun: Option<Answered>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let asked = &Asked::of(repository, What::Blob(*digest));
        let upload = Upload {
            remote: self,
            repository,
            asked,
            digest,
            bytes,
            deadline,
        };
        let mut begun = begun;
        if begun.is_none() && bytes.len() <= WHOLE && self.writes.takes_whole(repository.host()) {
            match upload.whole().await? {
                Whole::Begun(answer) => begun = Some(*answer),
                Whole::Done => return Ok(()),
                Whole::Refused => {}
            }
        }
        let mut wait = pause::FIRST;
        for left in (0..STARTS).rev() {
            let outcome = match begun.take() {
                Some(answer) => upload.finish(answer).await,
                None => match upload.begin().await {
                    Ok(answer) => upload.finish(answer).await,
                    Err(error) => return Err(error),
                },
            };
            match outcome {
                Err(error) if left > 0 && pause::may_help(&error) => {
                    if !pause::before_again(&error, wait, deadline).await {
                        return Err(error);
                    }
                    wait = wait.saturating_mul(2);
                }
                outcome => return outcome,
            }
        }
        Err(upload.malformed("an upload without an end"))
    }

    /// Asks the registry to take a blob over from another of its repositories. The inner answer is
    /// the beginning of an upload where it does not.
    pub(super) async fn mount(
        &self,
        to: &Repository,
        digest: &Digest,
        from: &Repository,
        deadline: Deadline,
    ) -> Result<Option<Answered>, Error> {
        let asked = Asked::of(to, What::Blob(*digest));
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.path());
        let act = Act::Post(Body::plain(Bytes::new()));
        let mut plan = Plan::write(to, &asked, act, Again::May, deadline);
        plan.access = Access::PushFrom(from);
        let answer = self.ask(&path, plan).await?;
        match answer.reply.status {
            201 => Ok(None),
            202 => Ok(Some(answer)),
            _ => Err(refused(&asked, to, &answer.reply)),
        }
    }
}

impl Upload<'_> {
    fn plan(&self, act: Act, again: Again) -> Plan<'_> {
        Plan::write(self.repository, self.asked, act, again, self.deadline)
    }

    fn malformed(&self, reason: &'static str) -> Error {
        let asked = self.asked.clone();
        Error::Malformed { asked, reason }
    }

    fn refused(&self, answer: &Answered) -> Error {
        refused(self.asked, self.repository, &answer.reply)
    }

    /// Sends the blob with the request that begins an upload, which a registry may take as all of it.
    async fn whole(&self) -> Result<Whole, Error> {
        let path = format!("blobs/uploads/?digest={}", self.digest);
        let act = Act::Post(Body::plain(self.bytes.clone()));
        let answer = self.remote.ask(&path, self.plan(act, Again::May)).await?;
        match answer.reply.status {
            201 => return Ok(Whole::Done),
            401 | 403 | 408 | 429 => return Err(self.refused(&answer)),
            202 | 400..500 => {}
            _ => return Err(self.refused(&answer)),
        }
        // This host will not take the next one either.
        self.remote.writes.takes_no_whole(self.repository.host());
        Ok(match answer.reply.status {
            202 => Whole::Begun(Box::new(answer)),
            _ => Whole::Refused,
        })
    }

    async fn begin(&self) -> Result<Answered, Error> {
        let act = Act::Post(Body::plain(Bytes::new()));
        let plan = self.plan(act, Again::May);
        let answer = self.remote.ask("blobs/uploads/", plan).await?;
        match answer.reply.status {
            202 => Ok(answer),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Sends the blob where the registry said, and ends the upload.
    async fn finish(&self, begun: Answered) -> Result<(), Error> {
        if self.bytes.len() <= PIECE {
            return self.last(&begun, self.bytes.clone()).await;
        }
        let answer = self.pieces(begun).await?;
        self.last(&answer, Bytes::new()).await
    }

    async fn last(&self, before: &Answered, bytes: Bytes) -> Result<(), Error> {
        let mut url = self.location(before)?;
        url.query_pairs_mut()
            .append_pair("digest", &self.digest.to_string());
        let plan = self.plan(Act::Put(Body::plain(bytes)), Again::MayNot);
        let answer = self.remote.ask_at(url, before, plan).await?;
        match answer.reply.status {
            200 | 201 | 204 => Ok(()),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Sends a large blob in pieces, and takes up again what broke.
    async fn pieces(&self, begun: Answered) -> Result<Answered, Error> {
        let minimum = begun.reply.header(CHUNK_MINIMUM);
        let minimum = minimum.and_then(|text| text.trim().parse().ok());
        let size = PIECE.max(minimum.unwrap_or(0));
        let mut at = begun;
        let (mut sent, mut resumes, mut wait) = (0, RESUMES, pause::FIRST);
        while sent < self.bytes.len() {
            let end = sent.saturating_add(size).min(self.bytes.len());
            match self.piece(&at, sent, end).await {
                Ok(answer) => {
                    sent = end;
                    at = answer;
                }
                Err(error) => {
                    if resumes == 0 || !pause::before_again(&error, wait, self.deadline).await {
                        return Err(error);
                    }
                    resumes -= 1;
                    wait = wait.saturating_mul(2);
                    // What the first failure was is what counts.
                    (at, sent) = self.resume(&at).await.map_err(|_| error)?;
                }
            }
        }
        Ok(at)
    }

    async fn piece(&self, before: &Answered, from: usize, to: usize) -> Result<Answered, Error> {
        let url = self.location(before)?;
        let act = Act::Patch(Body::plain(self.bytes.slice(from..to)));
        let mut plan = self.plan(act, Again::MayNot);
        // Without the unit of RFC 9110, as the specification writes it.
        let range = format!("{from}-{}", to.saturating_sub(1));
        if let Ok(range) = HeaderValue::from_str(&range) {
            plan.headers.push((header::CONTENT_RANGE, range));
        }
        let answer = self.remote.ask_at(url, before, plan).await?;
        match answer.reply.status {
            202 => Ok(answer),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Asks how far the upload came.
    async fn resume(&self, before: &Answered) -> Result<(Answered, usize), Error> {
        let url = self.location(before)?;
        let mut plan = Plan::read(self.repository, self.asked, WHOLE, self.deadline);
        plan.access = Access::Push;
        let mut answer = self.remote.ask_at(url.clone(), before, plan).await?;
        if !matches!(answer.reply.status, 200 | 202 | 204) {
            return Err(self.refused(&answer));
        }
        let range = answer.reply.header(header::RANGE).unwrap_or_default();
        let last = range.trim().rsplit('-').next().unwrap_or_default();
        // Registries say `0-0` for nothing, too.
        let sent = match last.parse::<usize>() {
            Ok(0) | Err(_) => 0,
            Ok(last) => last.saturating_add(1),
        };
        if sent > self.bytes.len() {
            return Err(self.malformed("an upload that is longer than the blob"));
        }
        if answer.reply.header(header::LOCATION).is_none()
            && let Ok(value) = HeaderValue::from_str(url.as_str())
        {
            answer.reply.headers.insert(header::LOCATION, value);
        }
        Ok((answer, sent))
    }

    /// Where the registry says that the upload goes on, with its query as it is.
    fn location(&self, answer: &Answered) -> Result<Url, Error> {
        let said = answer.reply.header(header::LOCATION);
        let url = said.and_then(|said| answer.url.join(said).ok());
        match url {
            // Userinfo would be sent as a credential.
            Some(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.username().is_empty()
                    && url.password().is_none() =>
            {
                Ok(url)
            }
            _ => Err(self.malformed("an upload without an address to go on at")),
        }
    }
}
