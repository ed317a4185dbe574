//! Appending to a job's trace.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use super::JobClient;
use super::exchange::Call;
use super::job_client::JobHeaders;
use super::update::JobStatus;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::transport::Body;

/// What became of a piece of the trace.
///
/// ```
/// use http::StatusCode;
/// use runner_api::PatchResult;
///
/// assert_eq!(PatchResult::of(StatusCode::ACCEPTED, None, 10, None), PatchResult::Accepted { end: 10 });
/// let mismatch = PatchResult::of(StatusCode::RANGE_NOT_SATISFIABLE, None, 10, Some("0-7"));
/// assert_eq!(mismatch, PatchResult::RangeMismatch { server_len: 7 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PatchResult {
    /// The server has the trace up to here: the next piece begins at `end`.
    Accepted {
        /// The trace's length at the server, in bytes.
        end: u64,
    },
    /// The piece does not begin where the server's trace ends: go on from there.
    RangeMismatch {
        /// The trace's length at the server, in bytes; 0 when it does not say.
        server_len: u64,
    },
    /// The server does not know the job (now). The job goes on; the same piece is sent again later.
    NotFound,
    /// Nothing more is wanted of this job: stop it.
    Abort,
    /// The piece was not accepted: send the same again later.
    Failed,
}

impl PatchResult {
    /// What an answer to a piece that ends at `end` means: the job's status first, then the answer's. `range` is the
    /// answer's `Range`.
    ///
    /// ```
    /// use http::StatusCode;
    /// use runner_api::PatchResult;
    ///
    /// let result = PatchResult::of(StatusCode::RANGE_NOT_SATISFIABLE, None, 10, Some("0-4"));
    /// assert_eq!(result, PatchResult::RangeMismatch { server_len: 4 });
    /// ```
    #[must_use]
    pub fn of(status: StatusCode, job_status: Option<&JobStatus>, end: u64, range: Option<&str>) -> Self {
        match status {
            _ if job_status.is_some_and(JobStatus::is_abort) => Self::Abort,
            StatusCode::FORBIDDEN => Self::Abort,
            StatusCode::ACCEPTED => Self::Accepted { end },
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::RANGE_NOT_SATISFIABLE => Self::RangeMismatch { server_len: server_len(range) },
            _ => Self::Failed,
        }
    }
}

/// The length in `0-<length>`; anything else is 0.
fn server_len(range: Option<&str>) -> u64 {
    let length = range.and_then(|range| range.split_once('-')).map(|(_, length)| length);
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// What became of a piece of the trace, and what the server said beside it.
///
/// ```no_run
/// # async fn example(job: runner_api::JobClient, sent: u64, piece: bytes::Bytes) {
/// use runner_api::PatchResult;
///
/// let outcome = job.patch_trace(sent, piece, false).await;
/// let sent = match outcome.result {
///     PatchResult::Accepted { end } => end,
///     PatchResult::RangeMismatch { server_len } => server_len,
///     _ => sent,
/// };
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct PatchOutcome {
    /// What to do.
    pub result: PatchResult,
    /// Whether the server asks to cancel the job gracefully.
    pub cancel_requested: bool,
    /// How often the server wants to hear of the trace from now on; always positive.
    pub update_interval: Option<Duration>,
    /// How the job is for the server, if it says so.
    pub job_status: Option<JobStatus>,
    /// Why the result is none of the good ones.
    pub error: Option<Error>,
}

impl JobClient {
    /// Appends `piece` (at most 1 MiB) to the trace at `offset`, in bytes. `debug` marks a trace that shows every
    /// command and variable, so that GitLab shows it to fewer people. An empty piece is accepted without a request.
    ///
    /// A caller with its own schedule should [turn retries off](JobClient::with_retry): the piece's position makes
    /// sending it again safe.
    ///
    /// Source: GitLab's Runner API, `PATCH /api/v4/jobs/:id/trace`.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient) {
    /// let outcome = job.patch_trace(0, "hello\n".into(), false).await;
    /// assert_eq!(outcome.result, runner_api::PatchResult::Accepted { end: 6 });
    /// # }
    /// ```
    pub async fn patch_trace(&self, offset: u64, piece: Bytes, debug: bool) -> PatchOutcome {
        let end = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if piece.is_empty() {
            return PatchOutcome {
                result: PatchResult::Accepted { end },
                cancel_requested: false,
                update_interval: None,
                job_status: None,
                error: None,
            };
        }
        let answer = match self.patch_call(offset, end, piece, debug) {
            Ok(call) => self.client.exchange(call).await,
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return PatchOutcome {
                    result: PatchResult::Failed,
                    cancel_requested: false,
                    update_interval: None,
                    job_status: None,
                    error: Some(error),
                };
            }
        };
        let JobHeaders { job_status, update_interval } = JobHeaders::of(&answer);
        let result = PatchResult::of(answer.status, job_status.as_ref(), end, answer.header("range"));
        let error = match answer.status {
            StatusCode::ACCEPTED => {
                answer.drain().await;
                None
            }
            _ => Some(answer.into_error().await),
        };
        let cancel_requested = job_status == Some(JobStatus::Canceling);
        PatchOutcome { result, cancel_requested, update_interval, job_status, error }
    }

    fn patch_call(&self, offset: u64, end: u64, piece: Bytes, debug: bool) -> Result<Call, Error> {
        let path = ["jobs", &self.id.to_string(), "trace"];
        let query = [("debug_trace", if debug { "true" } else { "false" })];
        let url = self.client.shared.base.endpoint(&path, &query);
        // The end is inclusive; there is neither a unit nor a total.
        let range = HeaderValue::from_str(&format!("{offset}-{}", end.saturating_sub(1)))
            .map_err(|source| Error::configuration_from("the range is not a header value", source))?;
        let mut call = Call::new(Endpoint::PatchTrace, Method::PATCH, url)
            .token("job-token", self.token.expose())?
            .header(header::CONTENT_RANGE, range)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        call.body = Body::from(piece);
        Ok(call)
    }
}

#[cfg(test)]
mod tests {
    use super::server_len;

    #[test]
    fn lengths_of_the_server() {
        for (range, expected) in [
            (None, 0),
            (Some("0-100"), 100),
            (Some("0-0"), 0),
            (Some("100"), 0),
            (Some("0-1-2"), 0),
            (Some("0-x"), 0),
            (Some("0-"), 0),
        ] {
            assert_eq!(server_len(range), expected, "{range:?}");
        }
    }
}
