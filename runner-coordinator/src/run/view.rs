//! What a host shows of a running pipeline.

use std::time::{Duration, SystemTime};

use super::action::ArchiveInfo;
use super::status::Status;
use crate::core::JobId;
use crate::pipeline::Job;

/// A job of a running pipeline, for display.
#[derive(Debug, Clone, Copy)]
pub struct JobView<'a> {
    /// The job as compiled.
    pub job: &'a Job,
    /// Its status, that of the last try.
    pub status: Status,
    /// Whether its failure does not count, exit codes considered.
    pub failure_allowed: bool,
    /// Its tries, oldest first; all but the last have been retried.
    pub tries: &'a [Try],
}

impl JobView<'_> {
    /// The last try, once there is one.
    #[must_use]
    pub fn last_try(&self) -> Option<&Try> {
        self.tries.last()
    }

    /// Why it failed.
    #[must_use]
    pub fn failure_reason(&self) -> Option<&str> {
        self.last_try()?.failure_reason.as_deref()
    }
}

/// One try of a job: on the server a job of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Its id.
    pub id: JobId,
    /// Its status.
    pub status: Status,
    /// When it was put into the queue.
    pub queued: SystemTime,
    /// When a runner began.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub finished: Option<SystemTime>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Exit code of its script, if the runner sent one.
    pub exit_code: Option<i64>,
    /// Its archive.
    pub archive: Option<ArchiveInfo>,
    /// Variables of its `dotenv` report.
    pub dotenv: Vec<(String, String)>,
}

impl Try {
    pub(super) fn queued(id: JobId, now: SystemTime) -> Self {
        Self {
            id,
            status: Status::Pending,
            queued: now,
            started: None,
            finished: None,
            failure_reason: None,
            exit_code: None,
            archive: None,
            dotenv: Vec::new(),
        }
    }

    /// How long it ran; `None` before it has ended, or when it never started.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.finished?.duration_since(self.started?).ok()
    }
}

/// How a pipeline ended, as far as it goes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All went well; optional manual jobs may be left.
    Success {
        /// Whether a job failed that is allowed to.
        warnings: bool,
    },
    /// A failure that counts.
    Failed,
    /// It was canceled.
    Canceled,
    /// No job had a reason to run.
    Skipped,
    /// Jobs wait until manual jobs are played.
    Blocked {
        /// Names of those manual jobs.
        manual: Vec<String>,
    },
}
