//! Everything that is said about one job.

use std::time::Duration;

use super::Client;
use super::answer::Answer;
use super::update::JobStatus;
use crate::retry::RetryPolicy;
use crate::secret::JobToken;

/// A client for one job: updates, trace, artifacts. Made by [`Client::job`]; cloning is cheap.
///
/// ```
/// use runner_api::retry::RetryPolicy;
/// use runner_api::{ClientBuilder, JobToken};
///
/// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
/// let job = client.job(42, JobToken::new("glcbt-1"));
/// // A trace sender that has its own schedule wants each answer at once.
/// let trace = job.clone().with_retry(RetryPolicy::off());
/// assert_eq!(trace.id(), job.id());
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct JobClient {
    pub(super) client: Client,
    pub(super) id: u64,
    pub(super) token: JobToken,
}

impl JobClient {
    pub(super) fn new(client: Client, id: u64, token: JobToken) -> Self {
        Self { client, id, token }
    }

    /// The job's id.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, JobToken};
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert_eq!(client.job(42, JobToken::new("glcbt-1")).id(), 42);
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The token that authenticates what is said.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, JobToken};
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert_eq!(client.job(42, JobToken::new("glcbt-1")).token(), &JobToken::new("glcbt-1"));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn token(&self) -> &JobToken {
        &self.token
    }

    /// The same client with another retry policy.
    ///
    /// ```
    /// use runner_api::{JobClient, retry::RetryPolicy};
    ///
    /// fn for_the_trace(job: &JobClient) -> JobClient {
    ///     job.clone().with_retry(RetryPolicy::off())
    /// }
    /// ```
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.client = self.client.with_retry(retry);
        self
    }
}

/// What the server says about the job beside the answer itself.
pub(super) struct JobHeaders {
    pub(super) job_status: Option<JobStatus>,
    pub(super) update_interval: Option<Duration>,
}

impl JobHeaders {
    pub(super) fn of(answer: &Answer) -> Self {
        let job_status = answer.header("job-status").filter(|text| !text.is_empty()).map(JobStatus::from);
        let interval = answer.header("x-gitlab-trace-update-interval");
        let seconds = interval.and_then(|text| text.parse::<u64>().ok()).filter(|seconds| *seconds > 0);
        Self { job_status, update_interval: seconds.map(Duration::from_secs) }
    }
}
