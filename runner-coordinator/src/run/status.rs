//! Job statuses and how several of them combine into one.
//!
//! What a combination depends on is only *which* statuses occur, never how often or in which order; so a set of bits is
//! all that is ever built of a stage, of a job's needs or of a pipeline.

use std::fmt;

use serde::Serialize;

use crate::pipeline::When;

/// Status of a job, a stage or a pipeline, with the names GitLab uses for them.
///
/// <https://docs.gitlab.com/ci/jobs/#available-job-statuses>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its predecessors.
    Created,
    /// Waits for a job of the same resource group to end.
    WaitingForResource,
    /// Waits for a runner.
    Pending,
    /// A runner has it.
    Running,
    /// A runner has it and was told to stop.
    Canceling,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// Was stopped before it ended.
    Canceled,
    /// Will not run, because of what its predecessors did.
    Skipped,
    /// Waits until somebody plays it.
    Manual,
    /// Waits until its delay is over.
    Scheduled,
}

impl Status {
    /// The name as GitLab's API and variables have it: `waiting_for_resource`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::WaitingForResource => "waiting_for_resource",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
        }
    }

    /// Whether nothing more happens by itself: success, failed, canceled or skipped.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled | Self::Skipped)
    }

    /// Whether a runner or a timer will move it on: waiting, pending, running, canceling or scheduled.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::WaitingForResource | Self::Pending | Self::Running | Self::Canceling | Self::Scheduled
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which statuses occur among some jobs, after `allow_failure` has been taken into account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSet(u16);

const CREATED: u16 = 1;
const WAITING: u16 = 1 << 1;
const PENDING: u16 = 1 << 2;
const RUNNING: u16 = 1 << 3;
const SUCCESS: u16 = 1 << 4;
const FAILED: u16 = 1 << 5;
const CANCELED: u16 = 1 << 6;
const SKIPPED: u16 = 1 << 7;
const MANUAL: u16 = 1 << 8;
const SCHEDULED: u16 = 1 << 9;
/// Failed or canceled, and allowed to.
const WARNING: u16 = 1 << 10;
/// Manual, and nobody has to play it.
const IGNORED: u16 = 1 << 11;

impl StatusSet {
    /// Adds one job: its status, and whether its failure is allowed.
    pub fn insert(&mut self, status: Status, allow_failure: bool) {
        self.0 |= match status {
            Status::Failed | Status::Canceled if allow_failure => WARNING,
            Status::Manual if allow_failure => IGNORED,
            Status::Created => CREATED,
            Status::WaitingForResource => WAITING,
            Status::Pending => PENDING,
            Status::Running | Status::Canceling => RUNNING,
            Status::Success => SUCCESS,
            Status::Failed => FAILED,
            Status::Canceled => CANCELED,
            Status::Skipped => SKIPPED,
            Status::Manual => MANUAL,
            Status::Scheduled => SCHEDULED,
        };
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The status of jobs taken together: of a stage, of all earlier stages, or of a pipeline. `None` without jobs.
    #[must_use]
    pub fn combined(self) -> Option<Status> {
        let status = match self {
            Self(0) => return None,
            set if set.only(SKIPPED | IGNORED) => Status::Skipped,
            set if set.only(SUCCESS | SKIPPED | WARNING | IGNORED) => Status::Success,
            set if set.only(CREATED | WARNING | IGNORED) => Status::Created,
            set if set.only(CANCELED | SUCCESS | SKIPPED | WARNING | IGNORED) => Status::Canceled,
            set if set.only(PENDING | CREATED | SKIPPED | WARNING | IGNORED) => Status::Pending,
            set if set.any(RUNNING | PENDING) => Status::Running,
            set if set.any(WAITING) => Status::WaitingForResource,
            set if set.any(MANUAL) => Status::Manual,
            set if set.any(SCHEDULED) => Status::Scheduled,
            set if set.any(CREATED) => Status::Running,
            _ => Status::Failed,
        };
        Some(status)
    }

    /// The status of a job's `needs` taken together: one that does not run at all decides at once, otherwise all must
    /// be complete. `None` without needs.
    #[must_use]
    pub fn combined_needs(self) -> Option<Status> {
        match self {
            Self(0) => None,
            set if set.any(SKIPPED | IGNORED) => Some(Status::Skipped),
            set if !set.only(SUCCESS | FAILED | CANCELED | WARNING) => Some(Status::Pending),
            set => set.combined(),
        }
    }

    /// Whether at least one failure counts.
    #[must_use]
    pub fn has_failure(self) -> bool {
        self.any(FAILED)
    }

    /// Whether at least one failure was allowed.
    #[must_use]
    pub fn has_warning(self) -> bool {
        self.any(WARNING)
    }

    fn only(self, set: u16) -> bool {
        self.0 & !set == 0
    }

    fn any(self, set: u16) -> bool {
        self.0 & set != 0
    }
}

/// What becomes of a `created` job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The predecessors are not done.
    Wait,
    /// The job starts, in the way its `when` says.
    Now,
    /// The job is skipped.
    Skip,
}

/// Decides about a `created` job by what its predecessors combine to; `None` means that it has none.
///
/// `by_needs` says that they are the job's `needs` and not all jobs of earlier stages.
#[must_use]
pub fn start(when: When, predecessors: Option<Status>, by_needs: bool) -> Start {
    let before = predecessors.unwrap_or(Status::Success);
    if !before.is_complete() {
        return Start::Wait;
    }
    let starts = match when {
        When::OnSuccess | When::Manual | When::Delayed => {
            before == Status::Success || (before == Status::Skipped && !by_needs)
        }
        When::OnFailure => before == Status::Failed,
        When::Always => before != Status::Canceled,
    };
    if starts { Start::Now } else { Start::Skip }
}
