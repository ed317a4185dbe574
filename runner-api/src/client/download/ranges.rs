//! Fetching a large artifact from the object storage in several parts at a time.
//!
//! The server is asked without following its redirect; where it leads, one byte is asked for. If the answer tells a size
//! above the threshold, the parts are fetched, a few at a time, and written where they belong. Each part that breaks goes on
//! where it broke, alone. When the address has expired meanwhile, the server is asked for a new one. Whatever does not fit (no redirect, no ranges, a part that cannot be had) ends in one stream from the beginning.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::{Mutex, mpsc};
use url::Url;

use super::content_range::{ContentRange, same_tag, strong_tag};
use super::options::{DownloadOptions, Downloaded, RangeOptions};
use super::receive::{self, content_type, length};
use super::target::DownloadTarget;
use crate::base_url::without_secrets;
use crate::client::JobClient;
use crate::client::answer::Answer;
use crate::client::redirect::{self, Step};
use crate::endpoint::Endpoint;
use crate::error::{CallContext, Error};
use crate::transport::{TransportError, TransportErrorKind};

/// How much of a part is gathered before it is written.
const BLOCK: usize = 256 * 1024;

/// A piece of the artifact and where it belongs.
type Piece = (u64, Bytes);

/// An artifact in the object storage.
struct Stored {
    /// Its signature may expire while the parts come.
    address: Mutex<Address>,
    total: u64,
    tag: Option<HeaderValue>,
    content_type: Option<String>,
}

#[derive(Clone)]
struct Address {
    url: Url,
    /// How many addresses there were before.
    age: u32,
}

/// Where an artifact is.
enum Located {
    /// In an object storage.
    There { location: Url, request_id: String },
    /// In this answer, or nowhere.
    Here(Box<Answer>),
}

/// What one byte of the object storage told.
enum Probe {
    /// It gives ranges of a large artifact.
    Large(Stored),
    /// It gives ranges, but the artifact is small.
    Small,
    /// It gives everything at once.
    Whole(Box<Answer>),
}

impl JobClient {
    pub(super) async fn download_in_ranges(
        &self,
        options: DownloadOptions,
        ranges: RangeOptions,
        target: &mut dyn DownloadTarget,
    ) -> Result<Downloaded, Error> {
        let (location, request_id) = match self.locate(options).await? {
            Located::There { location, request_id } => (location, request_id),
            Located::Here(answer) => return receive::whole(*answer, target).await,
        };
        let downloaded = match self.probe(&location, ranges).await {
            Ok(Probe::Large(stored)) => self.parts(options, stored, ranges, target).await,
            Ok(Probe::Small) => {
                let call = self.get(Endpoint::DownloadArtifact, location)?;
                receive::whole(self.client.exchange(call).await?, target).await
            }
            Ok(Probe::Whole(answer)) => receive::whole(*answer, target).await,
            Err(error) => Err(error),
        };
        match downloaded {
            Ok(downloaded) => Ok(Downloaded { request_id, ..downloaded }),
            Err(error) if error.is_target() => Err(error),
            Err(error) => {
                tracing::debug!(%error, "downloading again as one stream");
                self.download_whole(options, target).await
            }
        }
    }

    /// Asks the server where the artifact is.
    async fn locate(&self, options: DownloadOptions) -> Result<Located, Error> {
        let answer = self.client.exchange(self.artifact_call(options)?.without_redirects()).await?;
        match redirect::step(&answer.context.method, &answer.url, answer.status, &answer.headers) {
            Step::Stay => Ok(Located::Here(Box::new(answer))),
            Step::Refuse(problem) => Err(Error::redirect(answer.context, answer.status, problem)),
            Step::Follow(location) => {
                let request_id = answer.request_id.clone();
                answer.drain().await;
                Ok(Located::There { location, request_id })
            }
        }
    }

    /// Asks for one byte, to learn whether ranges work, and of how much.
    async fn probe(&self, location: &Url, ranges: RangeOptions) -> Result<Probe, Error> {
        let call =
            self.get(Endpoint::DownloadRange, location.clone())?.header(header::RANGE, bytes(&(0..1))?);
        let answer = self.client.exchange(call).await?;
        match answer.status {
            StatusCode::OK => return Ok(Probe::Whole(Box::new(answer))),
            StatusCode::PARTIAL_CONTENT => {}
            _ => return Err(answer.into_error().await),
        }
        let Some(ContentRange { first: 0, total, .. }) = ContentRange::of(&answer.headers) else {
            return Err(unfit(&answer, "its range has no size"));
        };
        if total <= ranges.threshold {
            answer.drain().await;
            return Ok(Probe::Small);
        }
        let stored = Stored {
            address: Mutex::new(Address { url: answer.url.clone(), age: 0 }),
            total,
            tag: strong_tag(&answer.headers).cloned(),
            content_type: content_type(&answer),
        };
        answer.drain().await;
        Ok(Probe::Large(stored))
    }

    /// Fetches all parts and stores them, or nothing.
    async fn parts(
        &self,
        options: DownloadOptions,
        stored: Stored,
        ranges: RangeOptions,
        target: &mut dyn DownloadTarget,
    ) -> Result<Downloaded, Error> {
        let context = CallContext {
            method: Method::GET,
            url: without_secrets(&stored.address.lock().await.url),
            tries: 1,
        };
        let failed = |source| Error::target(context.clone(), source);
        target.reset().await.map_err(failed)?;
        // What was fetched waits here until it is written: memory has a bound.
        let (sender, mut receiver) = mpsc::channel::<Piece>(ranges.concurrency);
        let fetch = async {
            let sender = sender;
            stream::iter(parts_of(stored.total, ranges.chunk))
                .map(|part| self.part(options, &stored, part, &sender))
                .buffer_unordered(ranges.concurrency)
                .try_collect::<()>()
                .await
        };
        let store = async {
            while let Some((offset, piece)) = receiver.recv().await {
                target.write_at(offset, piece).await.map_err(failed)?;
            }
            Ok(())
        };
        let both = async { tokio::try_join!(fetch, store) }.await;
        let done = match both {
            Ok(((), ())) => target.finish().await.map_err(failed),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            let _ = target.reset().await;
            return Err(error);
        }
        Ok(Downloaded {
            bytes: stored.total,
            parts: stored.total.div_ceil(ranges.chunk),
            content_type: stored.content_type,
            request_id: String::new(),
        })
    }

    /// Fetches one part; after a broken connection it goes on where it was.
    async fn part(
        &self,
        options: DownloadOptions,
        stored: &Stored,
        mut part: Range<u64>,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<(), Error> {
        let mut schedule = self.client.retry.schedule();
        loop {
            let address = stored.address.lock().await.clone();
            let Err(error) = self.rest_of_part(stored, address.url, &mut part, pieces).await else {
                return Ok(());
            };
            let expired = error.is_forbidden() || error.is_unauthorized();
            // Other answers were repeated already, as far as that makes sense.
            if !(expired || error.is_transport() && error.is_retryable()) {
                return Err(error);
            }
            let Some(delay) = schedule.next() else { return Err(error) };
            tracing::debug!(%error, ?part, ?delay, "fetching the rest of a part again");
            tokio::time::sleep(delay).await;
            if expired {
                self.renew(options, stored, address.age).await?;
            }
        }
    }

    /// Gets a new address in place of one of this age. Of all parts that find it expired, the first one asks.
    async fn renew(&self, options: DownloadOptions, stored: &Stored, age: u32) -> Result<(), Error> {
        let mut address = stored.address.lock().await;
        if address.age != age {
            return Ok(());
        }
        match self.locate(options).await? {
            Located::There { location, .. } => {
                *address = Address { url: location, age: age.saturating_add(1) };
                Ok(())
            }
            Located::Here(answer) if answer.status == StatusCode::OK => {
                Err(unfit(&answer, "it holds everything instead of an address"))
            }
            Located::Here(answer) => Err(answer.into_error().await),
        }
    }

    /// Fetches `part` and moves its start along with what was handed over.
    async fn rest_of_part(
        &self,
        stored: &Stored,
        url: Url,
        part: &mut Range<u64>,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<(), Error> {
        let mut call = self.get(Endpoint::DownloadRange, url)?.header(header::RANGE, bytes(part)?);
        if let Some(tag) = &stored.tag {
            call = call.header(header::IF_RANGE, tag.clone());
        }
        let mut answer = self.client.exchange(call).await?;
        if answer.status != StatusCode::PARTIAL_CONTENT {
            return Err(match answer.status {
                StatusCode::OK => unfit(&answer, "it holds everything instead of a range"),
                _ => answer.into_error().await,
            });
        }
        if !fits(&answer.headers, stored, part) {
            return Err(unfit(&answer, "it holds another range than the one that was asked for"));
        }
        let mut block = BytesMut::with_capacity(BLOCK);
        while part.start < part.end {
            let piece = answer.chunk().await?;
            let more = piece.as_ref().is_some_and(|piece| !piece.is_empty());
            block.extend_from_slice(piece.as_deref().unwrap_or_default());
            let gathered = length(&block);
            if gathered > part.end - part.start {
                return Err(unfit(&answer, "it holds more than the range that was asked for"));
            }
            let last = gathered == part.end - part.start;
            if piece.is_none() && !last {
                let message = format!("{} bytes of a part are missing", part.end - part.start - gathered);
                let source = TransportError::new(TransportErrorKind::ResponseBody, message);
                return Err(Error::from_transport(answer.context.clone(), source));
            }
            if more && (last || block.len() >= BLOCK) {
                // The other end is gone only when this future is about to be dropped.
                let _ = pieces.send((part.start, block.split().freeze())).await;
                part.start += gathered;
                block.reserve(BLOCK);
            }
        }
        Ok(())
    }
}

/// The parts of an artifact, in order.
fn parts_of(total: u64, chunk: u64) -> impl Iterator<Item = Range<u64>> + Send {
    (0..total.div_ceil(chunk)).map(move |index| {
        let start = index * chunk;
        start..start.saturating_add(chunk).min(total)
    })
}

/// `Range` for these bytes.
fn bytes(range: &Range<u64>) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(&format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
        .map_err(|source| Error::configuration_from("the range is not a header value", source))
}

/// Whether a 206 answer holds exactly this part of the same artifact.
fn fits(headers: &HeaderMap, stored: &Stored, part: &Range<u64>) -> bool {
    let expected = ContentRange { first: part.start, last: part.end.saturating_sub(1), total: stored.total };
    ContentRange::of(headers) == Some(expected) && same_tag(stored.tag.as_ref(), headers)
}

fn unfit(answer: &Answer, problem: &str) -> Error {
    Error::content(answer.context.clone(), answer.status, problem, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (total, chunk, expected) in [
            (10, 4, &[(0, 4), (4, 8), (8, 10)][..]),
            (8, 4, &[(0, 4), (4, 8)]),
            (1, 100, &[(0, 1)]),
            (3, u64::MAX, &[(0, 3)]),
        ] {
            let parts: Vec<_> = parts_of(total, chunk).map(|part| (part.start, part.end)).collect();
            assert_eq!(parts, expected, "{total} by {chunk}");
        }
        let all = u64::MAX;
        assert_eq!(parts_of(all, all / 2 + 1).last(), Some(all / 2 + 1..all));
    }
}
