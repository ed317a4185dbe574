//! What an executor may know of a job.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runner_api::Job;
use serde::{Deserialize, Serialize};

use crate::variables::Variables;

/// Names one job of one runner. Everything that an executor creates derives its name from it, so that a second create of
/// the same thing can be recognised.
///
/// ```
/// use runner_core::executor::JobKey;
///
/// let key = JobKey { runner: "2mn-ncv-x".into(), job: 42 };
/// assert_eq!(key.to_string(), "runner-2mn-ncv-x-job-42");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobKey {
    /// Short token of the runner: identifies it without being a secret.
    pub runner: String,
    /// Id of the job at GitLab.
    pub job: u64,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "runner-{}-job-{}", self.runner, self.job)
    }
}

/// The lowest free numbers that the job got while it runs; they keep shared folders apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slots {
    /// Among all jobs of this runner: `CI_CONCURRENT_ID`.
    pub runner: u32,
    /// Among this runner's jobs of the same project: `CI_CONCURRENT_PROJECT_ID`.
    pub project: u32,
}

/// A job as an executor sees it.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// Its name.
    pub key: JobKey,
    /// What GitLab sent: image, services and credentials are of interest here.
    pub job: Arc<Job>,
    /// The job's variables, for expanding image names and the like.
    pub variables: Variables,
    /// Its slots.
    pub slots: Slots,
    /// How long the job may take altogether.
    pub timeout: Duration,
}
