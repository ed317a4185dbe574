//! What the sender needs of GitLab, so that tests can answer in its place.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use runner_api::retry::RetryPolicy;
use runner_api::{
    Error, JobClient, JobStatus, JobUpdate, PatchOutcome, PatchResult, UpdateOutcome, UpdateResult,
};

/// The two calls that carry a job's log and state. One call is one request: the sender has its own schedule of retries.
#[async_trait]
pub trait TraceApi: Send + Sync + fmt::Debug {
    /// Appends a piece to the trace at `offset`, in bytes; `debug` marks a trace that shows more than usual.
    async fn patch(&self, offset: u64, piece: Bytes, debug: bool) -> Reply<PatchResult>;

    /// Tells how the job is.
    async fn update(&self, update: &JobUpdate) -> Reply<UpdateResult>;
}

/// An answer, or that there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<R> {
    /// What to do.
    pub result: R,
    /// Whether the server asks to cancel the job gracefully.
    pub cancel_requested: bool,
    /// How often the server wants to hear of the job.
    pub update_interval: Option<Duration>,
    /// How the job is for the server, if it says so.
    pub job_status: Option<JobStatus>,
    /// Why the request was not carried out; `None`: it was.
    pub problem: Option<Problem>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For people; holds no secret.
    pub text: String,
    /// Status of the answer; `None`: there was no answer.
    pub status: Option<u16>,
    /// How long the server asks to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl<R> Reply<R> {
    /// An answer without anything beside it.
    pub fn new(result: R) -> Self {
        Self { result, cancel_requested: false, update_interval: None, job_status: None, problem: None }
    }

    /// The same with a problem: an answer with this status, or none.
    #[must_use]
    pub fn with_problem(mut self, status: Option<u16>, text: impl Into<String>) -> Self {
        self.problem = Some(Problem { text: text.into(), status, retry_after: None });
        self
    }

    /// The same with the status of the job. `canceling` asks to cancel it.
    #[must_use]
    pub fn with_job_status(mut self, status: JobStatus) -> Self {
        self.cancel_requested = status == JobStatus::Canceling;
        self.job_status = Some(status);
        self
    }

    /// The same with the interval that the server wants.
    #[must_use]
    pub fn with_update_interval(mut self, interval: Duration) -> Self {
        self.update_interval = Some(interval);
        self
    }
}

#[async_trait]
impl TraceApi for JobClient {
    async fn patch(&self, offset: u64, piece: Bytes, debug: bool) -> Reply<PatchResult> {
        let once = self.clone().with_retry(RetryPolicy::off());
        let PatchOutcome { result, cancel_requested, update_interval, job_status, error, .. } =
            once.patch_trace(offset, piece, debug).await;
        Reply {
            result,
            cancel_requested,
            update_interval,
            job_status,
            problem: error.as_ref().map(Problem::from),
        }
    }

    async fn update(&self, update: &JobUpdate) -> Reply<UpdateResult> {
        let once = self.clone().with_retry(RetryPolicy::off());
        let UpdateOutcome { result, cancel_requested, update_interval, job_status, error, .. } =
            once.update(update).await;
        Reply {
            result,
            cancel_requested,
            update_interval,
            job_status,
            problem: error.as_ref().map(Problem::from),
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            text: error.to_string(),
            status: error.status().map(|status| status.as_u16()),
            retry_after: error.retry_after(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
