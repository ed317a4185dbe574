//! What passes between a running pipeline and its host.

use std::fmt;
use std::time::SystemTime;

use super::variable::JobVariable;
use crate::core::{JobId, JobRecord, JobState, JobTicket, NewJob};
use crate::pipeline::{ChildInclude, ForeignNeed};

/// What a pipeline needs from its host while it runs.
pub trait Host {
    /// Id and token for a new try of a job; [`Coordinator::reserve_job`](crate::core::Coordinator::reserve_job) makes
    /// them.
    fn ticket(&mut self) -> JobTicket;

    /// Git object ids at the commit of the files that some globs match, for `cache:key:files`: of the files
    /// themselves, or with `last_commits` of the last commits that changed them. Empty when nothing matches.
    fn object_ids(&self, globs: &[String], last_commits: bool) -> Vec<String>;

    /// A signed JSON Web Token with these claims, for `id_tokens`. `None`, the default, when there is nobody to sign: the job
    /// then runs without, and a note says so.
    fn id_token(&self, claims: &serde_json::Value) -> Option<String> {
        let _ = claims;
        None
    }

    /// A job that left the archive that an entry of `needs` names in another pipeline, and that archive. What the entry
    /// says is expanded. `None`, the default, when there is none: the job then runs without, and a note says so.
    fn foreign_archive(&self, need: &ForeignNeed) -> Option<(JobId, ArchiveInfo)> {
        let _ = need;
        None
    }

    /// Takes a resource group for a job that is about to run, as far as others than this pipeline are concerned. When
    /// something else has it the answer is no, the job waits, and the host calls
    /// [`advance`](super::PipelineRun::advance) again once it may be free. By default nothing else has it.
    fn take_resource(&mut self, group: &str, job: &str) -> bool {
        let _ = (group, job);
        true
    }

    /// A resource group that was taken is free again.
    fn release_resource(&mut self, group: &str) {
        let _ = group;
    }
}

/// What the host is asked to do.
pub enum Action {
    /// Put a job into the runners' queue.
    Enqueue {
        /// Id of this try.
        job: JobId,
        /// Full name of the job.
        name: String,
        /// The job as the coordinator takes it, ticket included. Boxed: it is large.
        new_job: Box<NewJob>,
    },
    /// Take a job from the queue, or stop it. Its end is to be reported with
    /// [`PipelineRun::finished`](super::PipelineRun::finished) when it was running.
    Cancel {
        /// Id of the try.
        job: JobId,
    },
    /// Compile and run a child pipeline. Report [`started`](super::PipelineRun::started) once it exists and
    /// [`finished`](super::PipelineRun::finished) with its result when it has ended; a host that cannot run children
    /// reports a failure with the reason `downstream_pipeline_creation_failed`.
    StartChild {
        /// Id of the job that triggers it.
        job: JobId,
        /// Full name of that job.
        name: String,
        /// Files that make up the child: what [`compile_child`](crate::pipeline::compile_child) takes.
        includes: Vec<ChildInclude>,
        /// Variables that the child gets as pipeline variables, expanded; lowest precedence first.
        variables: Vec<JobVariable>,
    },
    /// Call [`advance`](super::PipelineRun::advance) at this time at the latest. Replaces an earlier one.
    WakeAt(SystemTime),
    /// Tell the user.
    Note(String),
}

impl fmt::Debug for Action {
    /// Leaves out payloads: they hold tokens and secret variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enqueue { job, name, .. } => {
                f.debug_struct("Enqueue").field("job", job).field("name", name).finish_non_exhaustive()
            }
            Self::Cancel { job } => f.debug_struct("Cancel").field("job", job).finish(),
            Self::StartChild { job, name, includes, variables } => f
                .debug_struct("StartChild")
                .field("job", job)
                .field("name", name)
                .field("includes", includes)
                .field("variables", variables)
                .finish(),
            Self::WakeAt(at) => f.debug_tuple("WakeAt").field(at).finish(),
            Self::Note(note) => f.debug_tuple("Note").field(note).finish(),
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The result.
    pub end: End,
    /// Exit code of the script, if the runner sent one.
    pub exit_code: Option<i64>,
    /// The archive that was uploaded.
    pub archive: Option<ArchiveInfo>,
    /// Variables of the `dotenv` report that was uploaded.
    pub dotenv: Vec<(String, String)>,
}

impl Finished {
    /// Success without artifacts.
    #[must_use]
    pub fn success() -> Self {
        Self { end: End::Success, exit_code: None, archive: None, dotenv: Vec::new() }
    }

    /// Failure for a reason, without artifacts.
    #[must_use]
    pub fn failed(reason: &str) -> Self {
        Self { end: End::Failed { reason: reason.to_owned() }, ..Self::success() }
    }

    /// The script ended with an exit code that is not 0.
    #[must_use]
    pub fn script_failed(exit_code: i64) -> Self {
        Self { exit_code: Some(exit_code), ..Self::failed("script_failure") }
    }

    /// Canceled.
    #[must_use]
    pub fn canceled() -> Self {
        Self { end: End::Canceled, ..Self::success() }
    }
}

impl From<&JobRecord> for Finished {
    /// What the coordinator knows of a job that reached a final state.
    fn from(record: &JobRecord) -> Self {
        let end = match record.state {
            JobState::Success => End::Success,
            JobState::Canceled | JobState::Canceling => End::Canceled,
            JobState::Failed | JobState::Pending | JobState::Running => {
                let reason = record.failure_reason.as_deref().unwrap_or("unknown_failure");
                End::Failed { reason: reason.to_owned() }
            }
        };
        let archive = record.artifact("archive");
        Self {
            end,
            exit_code: record.exit_code,
            archive: archive
                .map(|archive| ArchiveInfo { filename: archive.filename.clone(), size: archive.size }),
            dotenv: record.dotenv.clone(),
        }
    }
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It ended well.
    Success,
    /// It ended badly.
    Failed {
        /// Failure reason by GitLab's names; `unknown_failure` without a better one.
        reason: String,
    },
    /// It was canceled.
    Canceled,
}

/// The archive of a finished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveInfo {
    /// Name of the file.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
}
