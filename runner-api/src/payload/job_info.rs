//! `job_info` and `runner_info`: names, numbers and the time limit.

use std::time::Duration;

use super::lenient::{Fields, Object};

/// Names and numbers around a job.
///
/// ```
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "job_info": {"name": "test", "project_id": "7"}}"#)?;
/// assert_eq!((job.job_info.name.as_str(), job.job_info.project_id), ("test", 7));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JobInfo {
    /// The job's id once more. [`Job::id`](crate::Job::id) is the one that counts.
    pub id: Option<u64>,
    /// The job's name in the pipeline.
    pub name: String,
    /// The pipeline stage the job belongs to.
    pub stage: String,
    /// The pipeline's id.
    pub pipeline_id: u64,
    /// The project's id.
    pub project_id: u64,
    /// The project's name.
    pub project_name: String,
    /// The project's path with its groups.
    pub project_full_path: String,
    /// The id of the namespace the project lies in.
    pub namespace_id: u64,
    /// The id of the outermost group.
    pub root_namespace_id: u64,
    /// The organization's id.
    pub organization_id: u64,
    /// The GitLab instance's id.
    pub instance_id: String,
    /// The GitLab instance's unique id.
    pub instance_uuid: String,
    /// The id of the user that started the job.
    pub user_id: u64,
    /// The id of the user in whose name a composite identity acts.
    pub scoped_user_id: Option<u64>,
    /// How long the job waited, in seconds.
    pub time_in_queue_seconds: f64,
    /// How many jobs of the project run on instance runners: a number, a number with `+`, or `+Inf`.
    pub project_jobs_running_on_instance_runners_count: String,
    /// How many jobs wait.
    pub queue_size: u64,
    /// How far down in the queue the job was found.
    pub queue_depth: i64,
}

impl Object for JobInfo {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            id: fields.take_optional("id"),
            name: fields.take("name"),
            stage: fields.take("stage"),
            pipeline_id: fields.take("pipeline_id"),
            project_id: fields.take("project_id"),
            project_name: fields.take("project_name"),
            project_full_path: fields.take("project_full_path"),
            namespace_id: fields.take("namespace_id"),
            root_namespace_id: fields.take("root_namespace_id"),
            organization_id: fields.take("organization_id"),
            instance_id: fields.take("instance_id"),
            instance_uuid: fields.take("instance_uuid"),
            user_id: fields.take("user_id"),
            scoped_user_id: fields.take_optional("scoped_user_id"),
            time_in_queue_seconds: fields.take("time_in_queue_seconds"),
            project_jobs_running_on_instance_runners_count: fields
                .take("project_jobs_running_on_instance_runners_count"),
            queue_size: fields.take("queue_size"),
            queue_depth: fields.take("queue_depth"),
        }
    }
}

/// `runner_info` of a job: what the server tells about this runner.
///
/// ```
/// use std::time::Duration;
///
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "runner_info": {"timeout": 0}}"#)?;
/// assert_eq!(job.runner_info.job_timeout(), Duration::from_secs(7200));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRunnerInfo {
    /// The job's time limit in seconds, as sent. See [`job_timeout`](Self::job_timeout).
    pub timeout: i64,
    /// A unique id of the runner.
    pub uuid: String,
}

impl JobRunnerInfo {
    /// The job's time limit; two hours when the server names none.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "runner_info": {"timeout": 90}}"#)?;
    /// assert_eq!(job.runner_info.job_timeout().as_secs(), 90);
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn job_timeout(&self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(7200);
        u64::try_from(self.timeout).ok().filter(|seconds| *seconds > 0).map_or(DEFAULT, Duration::from_secs)
    }
}

impl Object for JobRunnerInfo {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { timeout: fields.take("timeout"), uuid: fields.take("uuid") }
    }
}
