//! What is said of a job's end: in its log, and to GitLab.

use std::fmt;

use runner_api::FailureReason;

use super::guard::Panic;
use crate::errors::chain;
use crate::executor::{EnvironmentError, StageEnd};
use crate::journal::{Failure, StageOutcome, StopReason, Verdict};
use crate::log::LogError;
use crate::variables::format_duration;

impl Failure {
    pub(super) fn new(reason: FailureReason, text: impl Into<String>) -> Self {
        Self { reason, exit_code: None, text: text.into() }
    }

    /// The failure of a stage that went as `outcome` says; `None` when it went well.
    pub(super) fn of_stage(outcome: &StageOutcome) -> Option<Self> {
        match outcome {
            StageOutcome::Ended(end) if end.is_success() => None,
            StageOutcome::Ended(end) => Some(Self {
                reason: FailureReason::ScriptFailure,
                exit_code: match end {
                    StageEnd::Exit(code) => Some(*code),
                    StageEnd::Signal(_) => Some(-1),
                },
                text: end.to_string(),
            }),
            StageOutcome::Stopped(reason) | StageOutcome::Stuck(reason) => Some(Self::stopped(*reason)),
            StageOutcome::Lost(failure) => Some(failure.clone()),
            StageOutcome::Refused(text) => Some(Self::new(FailureReason::RunnerSystemFailure, text.clone())),
        }
    }

    pub(super) fn stopped(reason: StopReason) -> Self {
        match reason {
            StopReason::Canceled | StopReason::Aborted => Self::new(FailureReason::JobCanceled, "canceled"),
            StopReason::Interrupted | StopReason::InterruptedAtOnce => {
                Self::new(FailureReason::RunnerInterrupted, "aborted: the runner is being stopped")
            }
            StopReason::JobTimeout(limit) | StopReason::StageTimeout(limit) => Self::new(
                FailureReason::JobExecutionTimeout,
                format!("{} took longer than {}", limit.what, format_duration(limit.length)),
            ),
        }
    }

    pub(super) fn of_environment(error: &EnvironmentError) -> Self {
        let text = match error.hint_text() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        };
        Self::new(error.failure_reason(), text)
    }

    pub(super) fn of_log(error: &LogError) -> Self {
        Self::new(FailureReason::RunnerSystemFailure, chain(error))
    }

    pub(super) fn of_panic(panic: &Panic) -> Self {
        Self::new(FailureReason::RunnerSystemFailure, panic.to_string())
    }

    /// Whether there is no better name for it than that the runner or its surroundings failed.
    fn is_system(&self) -> bool {
        self.reason == FailureReason::RunnerSystemFailure
    }

    pub(super) fn verdict(&self) -> Verdict {
        Verdict { failure: Some(self.reason.clone()), exit_code: self.exit_code }
    }
}

/// The last line of a failed job.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_system() {
            write!(f, "Job failed (system failure): {}", self.text)
        } else {
            write!(f, "Job failed: {}", self.text)
        }
    }
}

/// What a stage that was cut by a deadline says.
pub(super) fn cut_off(stage: &str) -> String {
    format!(
        "{stage} could not run to completion because the timeout was exceeded. For more control over job and script \
         timeouts see: https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts"
    )
}
