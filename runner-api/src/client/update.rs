//! Telling the server how a job is.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;

use super::JobClient;
use super::exchange::Call;
use super::job_client::JobHeaders;
use crate::checksum::TraceOutput;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::failure::FailureReason;
use crate::info::RunnerInfo;
use crate::text_enum::text_enum;

text_enum! {
    /// The state of a job as a runner tells it.
    ///
    /// ```
    /// assert_eq!(runner_api::JobState::Running.as_str(), "running");
    /// ```
    pub enum JobState {
        /// Accepted, but not begun: keeps the job while its place is being made.
        Pending = "pending",
        /// Running: accepts the job, and later keeps it alive.
        Running = "running",
        /// Ended well.
        Success = "success",
        /// Ended otherwise.
        Failed = "failed",
    }
}

text_enum! {
    /// The state of a job as the server tells it (`Job-Status`).
    ///
    /// ```
    /// assert_eq!(runner_api::JobStatus::from("canceling"), runner_api::JobStatus::Canceling);
    /// ```
    pub enum JobStatus {
        /// Waits for a runner, or for this runner to accept it.
        Pending = "pending",
        /// Runs.
        Running = "running",
        /// A user asked to cancel: the script shall end, `after_script` may run.
        Canceling = "canceling",
        /// Cancelled: everything shall end.
        Canceled = "canceled",
        /// Ended well.
        Success = "success",
        /// Failed: nothing more is wanted of this job.
        Failed = "failed",
    }
}

impl JobStatus {
    /// Whether nothing more is wanted of the job.
    ///
    /// ```
    /// assert!(runner_api::JobStatus::Canceled.is_abort());
    /// assert!(!runner_api::JobStatus::Canceling.is_abort());
    /// ```
    #[must_use]
    pub fn is_abort(&self) -> bool {
        matches!(self, Self::Canceled | Self::Failed)
    }
}

/// What to tell the server about a job.
///
/// ```
/// use runner_api::{FailureReason, JobUpdate, TraceOutput};
///
/// let accept = JobUpdate::running();
/// let not_yet = JobUpdate::pending();
/// let keep_alive = JobUpdate::running().with_output(TraceOutput::new(0, 0));
/// let done = JobUpdate::failed(FailureReason::ScriptFailure)
///     .with_exit_code(2)
///     .with_output(TraceOutput::new(0x1234, 100));
/// assert_eq!(done.exit_code, Some(2));
/// assert_eq!(JobUpdate::success().failure_reason, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobUpdate {
    /// How the job is.
    pub state: JobState,
    /// Why it failed, in words that the server knows: see [`FailureReason::for_server`].
    pub failure_reason: Option<FailureReason>,
    /// The trace so far; absent when a job is accepted.
    pub output: Option<TraceOutput>,
    /// The script's exit code. Zero is not sent.
    pub exit_code: Option<i32>,
    /// Names the suspended environment of the job.
    pub runtime_environment_key: Option<String>,
}

impl JobUpdate {
    /// An update with nothing but a state.
    ///
    /// ```
    /// use runner_api::{JobState, JobUpdate};
    ///
    /// assert_eq!(JobUpdate::new(JobState::Running), JobUpdate::running());
    /// ```
    #[must_use]
    pub fn new(state: JobState) -> Self {
        Self { state, failure_reason: None, output: None, exit_code: None, runtime_environment_key: None }
    }

    /// The job is accepted, but not begun: holds it for another two minutes while its place is being made.
    ///
    /// ```
    /// use runner_api::{JobState, JobUpdate};
    ///
    /// assert_eq!(JobUpdate::pending().state, JobState::Pending);
    /// ```
    #[must_use]
    pub fn pending() -> Self {
        Self::new(JobState::Pending)
    }

    /// The job runs: without output this accepts it, with output it keeps it alive.
    ///
    /// ```
    /// use runner_api::{JobState, JobUpdate};
    ///
    /// assert_eq!(JobUpdate::running().state, JobState::Running);
    /// ```
    #[must_use]
    pub fn running() -> Self {
        Self::new(JobState::Running)
    }

    /// The job ended well.
    ///
    /// ```
    /// use runner_api::{JobState, JobUpdate};
    ///
    /// assert_eq!(JobUpdate::success().state, JobState::Success);
    /// ```
    #[must_use]
    pub fn success() -> Self {
        Self::new(JobState::Success)
    }

    /// The job failed.
    ///
    /// ```
    /// use runner_api::{FailureReason, JobUpdate};
    ///
    /// let update = JobUpdate::failed(FailureReason::ImagePullFailure);
    /// assert_eq!(update.failure_reason, Some(FailureReason::ImagePullFailure));
    /// ```
    #[must_use]
    pub fn failed(reason: FailureReason) -> Self {
        Self { failure_reason: Some(reason), ..Self::new(JobState::Failed) }
    }

    /// Adds size and checksum of the trace.
    ///
    /// ```
    /// use runner_api::{JobUpdate, TraceOutput};
    ///
    /// let update = JobUpdate::running().with_output(TraceOutput::new(0xbeef, 100));
    /// assert_eq!(update.output.map(|output| output.bytesize()), Some(100));
    /// ```
    #[must_use]
    pub fn with_output(mut self, output: TraceOutput) -> Self {
        self.output = Some(output);
        self
    }

    /// Adds the script's exit code.
    ///
    /// ```
    /// use runner_api::{FailureReason, JobUpdate};
    ///
    /// let update = JobUpdate::failed(FailureReason::ScriptFailure).with_exit_code(137);
    /// assert_eq!(update.exit_code, Some(137));
    /// ```
    #[must_use]
    pub fn with_exit_code(mut self, exit_code: i32) -> Self {
        self.exit_code = Some(exit_code);
        self
    }
}

/// What became of an update.
///
/// ```
/// use http::StatusCode;
/// use runner_api::{JobStatus, UpdateResult};
///
/// assert_eq!(UpdateResult::of(StatusCode::OK, None), UpdateResult::Succeeded);
/// assert_eq!(UpdateResult::of(StatusCode::OK, Some(&JobStatus::Canceled)), UpdateResult::Abort);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateResult {
    /// The server has it.
    Succeeded,
    /// The server has it but still works on the trace: send the same again after the update interval.
    AcceptedButNotCompleted,
    /// The server's trace is not what the checksum says: send the whole trace again, then the update.
    TraceValidationFailed,
    /// Nothing more is wanted of this job: stop it; a final update counts as delivered.
    Abort,
    /// The server does not have it.
    Failed,
}

impl UpdateResult {
    /// What an answer means: the job's status first, then the answer's.
    ///
    /// ```
    /// use http::StatusCode;
    /// use runner_api::UpdateResult;
    ///
    /// assert_eq!(UpdateResult::of(StatusCode::ACCEPTED, None), UpdateResult::AcceptedButNotCompleted);
    /// assert_eq!(UpdateResult::of(StatusCode::BAD_GATEWAY, None), UpdateResult::Failed);
    /// ```
    #[must_use]
    pub fn of(status: StatusCode, job_status: Option<&JobStatus>) -> Self {
        match status {
            _ if job_status.is_some_and(JobStatus::is_abort) => Self::Abort,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Self::Abort,
            StatusCode::OK => Self::Succeeded,
            StatusCode::ACCEPTED => Self::AcceptedButNotCompleted,
            StatusCode::PRECONDITION_FAILED => Self::TraceValidationFailed,
            _ => Self::Failed,
        }
    }
}

/// What became of an update, and what the server said beside it.
///
/// ```no_run
/// # async fn example(job: runner_api::JobClient) {
/// use runner_api::{JobUpdate, UpdateResult};
///
/// let outcome = job.update(&JobUpdate::success()).await;
/// match outcome.result {
///     UpdateResult::Succeeded | UpdateResult::Abort => println!("delivered"),
///     _ => println!("again in {:?}: {:?}", outcome.update_interval, outcome.error),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct UpdateOutcome {
    /// What to do.
    pub result: UpdateResult,
    /// Whether the server asks to cancel the job gracefully.
    pub cancel_requested: bool,
    /// How often the server wants to hear of the job from now on; always positive.
    pub update_interval: Option<Duration>,
    /// How the job is for the server, if it says so.
    pub job_status: Option<JobStatus>,
    /// Why the result is none of the good ones.
    pub error: Option<Error>,
}

impl JobClient {
    /// Tells the server how the job is.
    ///
    /// Source: GitLab's Runner API, `PUT /api/v4/jobs/:id`.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient) {
    /// let outcome = job.update(&runner_api::JobUpdate::running()).await;
    /// if outcome.cancel_requested {
    ///     println!("stop the script, run after_script");
    /// }
    /// # }
    /// ```
    pub async fn update(&self, update: &JobUpdate) -> UpdateOutcome {
        let checksum = update.output.map(|output| output.checksum());
        let body = UpdateBody {
            info: &self.client.info,
            token: self.token.expose(),
            state: &update.state,
            failure_reason: update.failure_reason.as_ref().filter(|reason| !reason.as_str().is_empty()),
            checksum: checksum.as_deref(),
            output: OutputBody {
                checksum: checksum.as_deref(),
                bytesize: update.output.map(|output| output.bytesize()).filter(|size| *size > 0),
            },
            exit_code: update.exit_code.filter(|code| *code != 0),
            runtime_environment_key: update.runtime_environment_key.as_deref().filter(|key| !key.is_empty()),
        };
        let url = self.client.shared.base.endpoint(&["jobs", &self.id.to_string()], &[]);
        let call = Call::new(Endpoint::UpdateJob, Method::PUT, url)
            .token("job-token", self.token.expose())
            .and_then(|call| call.json(&body));
        let answer = match call {
            Ok(call) => self.client.exchange(call).await,
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return UpdateOutcome::without_answer(error),
        };
        let JobHeaders { job_status, update_interval } = JobHeaders::of(&answer);
        let result = UpdateResult::of(answer.status, job_status.as_ref());
        let error = match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED => {
                answer.drain().await;
                None
            }
            _ => Some(answer.into_error().await),
        };
        let cancel_requested = job_status == Some(JobStatus::Canceling);
        UpdateOutcome { result, cancel_requested, update_interval, job_status, error }
    }
}

impl UpdateOutcome {
    fn without_answer(error: Error) -> Self {
        // What can never be sent needs no further tries.
        let result = if error.is_configuration() { UpdateResult::Abort } else { UpdateResult::Failed };
        Self { result, cancel_requested: false, update_interval: None, job_status: None, error: Some(error) }
    }
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    info: &'a RunnerInfo,
    token: &'a str,
    state: &'a JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a FailureReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'a str>,
    output: OutputBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_environment_key: Option<&'a str>,
}

#[derive(Serialize)]
struct OutputBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytesize: Option<u64>,
}
