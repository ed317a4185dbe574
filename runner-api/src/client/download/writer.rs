//! Downloading into a writer that cannot take anything back.
//!
//! What was written stays written. So a broken download goes on behind it: the server is asked again with a `Range` that
//! begins where the writer stands, and its answer counts only if it is about the same bytes (the same size, and the same
//! entity tag if there is one). The writer therefore holds the beginning of the artifact at any time, never anything else.

use http::{HeaderValue, StatusCode, header};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::content_range::{ContentRange, same_tag, strong_tag};
use super::options::{DownloadOptions, Downloaded};
use super::receive::{announced_length, content_type, ended, length};
use crate::client::JobClient;
use crate::client::answer::Answer;
use crate::error::Error;

/// A writer as this needs it.
type Writer<'a> = dyn AsyncWrite + Send + Unpin + 'a;

/// What is known of a download that has begun.
struct Begun {
    written: u64,
    /// Without a size there is no way to go on.
    total: Option<u64>,
    tag: Option<HeaderValue>,
    content_type: Option<String>,
}

impl JobClient {
    /// Downloads the job's artifacts archive into `writer`, as one stream. When the connection breaks, the download goes on
    /// where it was, as often as the [retry policy](crate::retry::RetryPolicy) allows and if the server or its storage can
    /// give the rest of the same artifact. `writer` is flushed at the end, not shut down.
    ///
    /// What was written cannot be taken back: after an error (and after dropping the future) `writer` holds the beginning of
    /// the artifact, [`Error::bytes_written`] bytes of it. Where that is not wanted, download into a file with
    /// [`download_artifact`](Self::download_artifact) and copy it from there.
    ///
    /// [`DownloadOptions::ranges`] needs a target with positions and has no effect here.
    ///
    /// Source: GitLab's Runner API, `GET /api/v4/jobs/:id/artifacts`.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient, mut pipe: tokio::io::DuplexStream) -> Result<(), runner_api::Error> {
    /// match job.download_artifact_to(Default::default(), &mut pipe).await {
    ///     Ok(downloaded) => println!("{} bytes", downloaded.bytes),
    ///     Err(error) if error.bytes_written() > 0 => println!("the reader has a part only: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`download_artifact`](Self::download_artifact), while nothing was written; [`Error::is_target`] when `writer`
    /// failed; [`Error::is_partial`] when it broke after that and cannot go on.
    pub async fn download_artifact_to(
        &self,
        options: DownloadOptions,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Downloaded, Error> {
        let mut answer = self.client.exchange(self.artifact_call(options)?).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let mut begun = Begun {
            written: 0,
            total: announced_length(&answer),
            tag: strong_tag(&answer.headers).cloned(),
            content_type: content_type(&answer),
        };
        let mut schedule = self.client.retry.schedule();
        let mut parts = 1;
        loop {
            let context = answer.context.clone();
            let request_id = answer.request_id.clone();
            let mut error = match begun.copy(answer, writer).await {
                Ok(()) => {
                    writer.flush().await.map_err(|source| Error::target(context, source))?;
                    let Begun { written: bytes, content_type, .. } = begun;
                    return Ok(Downloaded { bytes, parts, content_type, request_id });
                }
                Err(error) => error,
            };
            answer = loop {
                if begun.written == 0 || error.is_target() {
                    return Err(error);
                }
                let again = error.is_transport() && error.is_retryable() && begun.total.is_some();
                let Some(delay) = schedule.next().filter(|_| again) else {
                    return Err(Error::partial(context, begun.written, error));
                };
                tracing::debug!(%error, written = begun.written, ?delay, "going on with a download");
                tokio::time::sleep(delay).await;
                match self.rest(options, &begun).await {
                    Ok(answer) => break answer,
                    Err(new) => error = new,
                }
            };
            parts += 1;
        }
    }

    /// Asks for what is missing.
    async fn rest(&self, options: DownloadOptions, begun: &Begun) -> Result<Answer, Error> {
        let range = HeaderValue::from_str(&format!("bytes={}-", begun.written))
            .map_err(|source| Error::configuration_from("the range is not a header value", source))?;
        let mut call = self.artifact_call(options)?.header(header::RANGE, range);
        if let Some(tag) = &begun.tag {
            call = call.header(header::IF_RANGE, tag.clone());
        }
        let answer = self.client.exchange(call).await?;
        let problem = match answer.status {
            StatusCode::PARTIAL_CONTENT if begun.fits(&answer) => return Ok(answer),
            StatusCode::PARTIAL_CONTENT => "it is not the rest of the same artifact",
            StatusCode::OK => "it begins from the start again",
            _ => return Err(answer.into_error().await),
        };
        Err(Error::content(answer.context.clone(), answer.status, problem, None))
    }
}

impl Begun {
    async fn copy(&mut self, mut answer: Answer, writer: &mut Writer<'_>) -> Result<(), Error> {
        while let Some(piece) = answer.chunk().await? {
            if self.total.is_some_and(|total| length(&piece) > total.saturating_sub(self.written)) {
                let problem = "it is longer than it was announced";
                return Err(Error::content(answer.context.clone(), answer.status, problem, None));
            }
            let stored = writer.write_all(&piece).await;
            stored.map_err(|source| Error::target(answer.context.clone(), source))?;
            self.written = self.written.saturating_add(length(&piece));
        }
        ended(&answer, self.written, self.total)
    }

    fn fits(&self, answer: &Answer) -> bool {
        let Some(range) = ContentRange::of(&answer.headers) else { return false };
        let to_the_end = range.first == self.written && range.last.checked_add(1) == Some(range.total);
        to_the_end && Some(range.total) == self.total && same_tag(self.tag.as_ref(), &answer.headers)
    }
}
