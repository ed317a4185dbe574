//! Accepting an assigned job: the second phase of its assignment.

use super::JobClient;
use super::update::{JobUpdate, UpdateOutcome, UpdateResult};
use crate::error::Error;

/// Whether an assigned job is to be run, after the server was told that it will be.
///
/// ```no_run
/// # async fn example(job: runner_api::JobClient) {
/// use runner_api::{Acceptance, FailureReason, JobUpdate};
///
/// match job.accept().await {
///     Acceptance::Accepted | Acceptance::Unconfirmed(_) => println!("run it"),
///     Acceptance::CancelRequested => {
///         job.update(&JobUpdate::failed(FailureReason::JobCanceled)).await;
///     }
///     _ => println!("forget it"),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Acceptance {
    /// The server knows that the job runs here.
    Accepted,
    /// The job is to be cancelled before it begins: it is not run, and reported as failed because of
    /// [`JobCanceled`](crate::FailureReason::JobCanceled).
    CancelRequested,
    /// Nobody wants the job any more: it is not run, and nothing more is said about it.
    Gone,
    /// The server has not confirmed. The job is run all the same: it is assigned, and later updates will tell.
    Unconfirmed(Option<Error>),
}

impl From<UpdateOutcome> for Acceptance {
    fn from(outcome: UpdateOutcome) -> Self {
        match outcome.result {
            UpdateResult::Abort => Self::Gone,
            _ if outcome.cancel_requested => Self::CancelRequested,
            UpdateResult::Succeeded => Self::Accepted,
            _ => Self::Unconfirmed(outcome.error),
        }
    }
}

impl JobClient {
    /// Tells the server that the job will be run, once and before anything is done for it. A server that hands out jobs in
    /// two phases takes back a job that is not accepted within two minutes; [`JobUpdate::pending`] gives another two. For
    /// other servers this is the first sign of life.
    ///
    /// Source: GitLab's Runner API, `PUT /api/v4/jobs/:id` with `state=running`.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient) {
    /// if matches!(job.accept().await, runner_api::Acceptance::Gone) {
    ///     return;
    /// }
    /// # }
    /// ```
    pub async fn accept(&self) -> Acceptance {
        self.update(&JobUpdate::running()).await.into()
    }
}
