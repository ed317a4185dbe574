//! Status and failure reason of a job, by GitLab's names.

use std::fmt;

/// Status of a job, by GitLab's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Waits for a runner, or for the acknowledgement of the runner it was handed to.
    Pending,
    /// A runner works on it.
    Running,
    /// Canceled while running; the runner was told and has not finished yet.
    Canceling,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// Canceled.
    Canceled,
}

impl JobState {
    /// GitLab's name, the value of the `Job-Status` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing changes it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a job by the passing of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its acknowledgement did not come.
    Acknowledgement,
    /// Nobody spoke of it.
    Silent { canceling: bool },
    /// It ran longer than its timeout, and its runner did not end it.
    Overdue { canceling: bool },
}

impl Due {
    /// GitLab's reason. <https://docs.gitlab.com/ci/yaml/#retrywhen>
    pub(super) fn failure_reason(self) -> &'static str {
        match self {
            Self::Acknowledgement => "runner_provisioning_timeout",
            Self::Silent { canceling: false } => "no_updates_running",
            Self::Silent { canceling: true } => "no_updates_canceling",
            Self::Overdue { canceling: false } => "server_timeout_running",
            Self::Overdue { canceling: true } => "server_timeout_canceling",
        }
    }
}

/// Failure reasons that GitLab knows; it stores any other one as `unknown_failure`.
pub(super) fn stored_failure_reason(sent: &str) -> &str {
    const KNOWN: &[&str] = &[
        "unknown_failure",
        "script_failure",
        "api_failure",
        "stuck_or_timeout_failure",
        "runner_system_failure",
        "missing_dependency_failure",
        "runner_unsupported",
        "stale_schedule",
        "job_execution_timeout",
        "archived_failure",
        "unmet_prerequisites",
        "scheduler_failure",
        "data_integrity_failure",
        "trace_size_exceeded",
        "image_pull_failure",
        "job_execution_server_timeout",
        "stuck_pending_with_matching_runners",
        "stuck_pending_no_matching_runners",
        "no_updates_running",
        "no_updates_canceling",
        "server_timeout_running",
        "server_timeout_canceling",
        "runner_configuration_error",
        "runner_external_dependency_failure",
        "runner_interrupted",
        "runner_provisioning_timeout",
        "job_router_failure",
        "job_token_expired",
    ];
    if KNOWN.contains(&sent) { sent } else { "unknown_failure" }
}
