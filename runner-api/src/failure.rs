//! Why a job failed, in GitLab's words.

use crate::text_enum::text_enum;

text_enum! {
    /// Why a job failed, as told to the server.
    ///
    /// Source: GitLab's REST API, `failure_reason` of jobs.
    ///
    /// ```
    /// use runner_api::FailureReason;
    ///
    /// // A server that has never heard of this reason gets the closest one it knows.
    /// let reason = FailureReason::ImagePullFailure.for_server(&["script_failure".into()]);
    /// assert_eq!(reason, FailureReason::RunnerSystemFailure);
    /// ```
    pub enum FailureReason {
        /// The user's script failed, or anything else that is not told apart.
        ScriptFailure = "script_failure",
        /// The runner or its surroundings failed.
        RunnerSystemFailure = "runner_system_failure",
        /// A time limit of the job or of a stage passed.
        JobExecutionTimeout = "job_execution_timeout",
        /// The reason cannot be told to this server.
        UnknownFailure = "unknown_failure",
        /// An image could not be pulled.
        ImagePullFailure = "image_pull_failure",
        /// The job or the runner is configured in a way that only the runner can find wrong.
        RunnerConfigurationError = "runner_configuration_error",
        /// A registry, a secrets provider or the network failed.
        RunnerExternalDependencyFailure = "runner_external_dependency_failure",
        /// The runner was told to stop while the job ran.
        RunnerInterrupted = "runner_interrupted",
        /// The job was cancelled.
        JobCanceled = "job_canceled",
    }
}

impl FailureReason {
    /// The reason to send to a server that understands `supported`
    /// ([`JobFeatures::failure_reasons`](crate::payload::JobFeatures::failure_reasons)): this one if it is
    /// known there or is one of the three that every server knows, else the closest known one, else
    /// [`UnknownFailure`](Self::UnknownFailure).
    ///
    /// ```
    /// use runner_api::FailureReason::{JobCanceled, UnknownFailure};
    ///
    /// assert_eq!(JobCanceled.for_server(&[JobCanceled]), JobCanceled);
    /// assert_eq!(JobCanceled.for_server(&[]), UnknownFailure);
    /// ```
    #[must_use]
    pub fn for_server(&self, supported: &[Self]) -> Self {
        let known = |reason: &Self| {
            matches!(reason, Self::ScriptFailure | Self::RunnerSystemFailure | Self::JobExecutionTimeout)
                || supported.contains(reason)
        };
        let mut reason = if self.as_str().is_empty() { &Self::ScriptFailure } else { self };
        loop {
            if known(reason) {
                return reason.clone();
            }
            reason = match reason {
                Self::ImagePullFailure | Self::RunnerExternalDependencyFailure => &Self::RunnerSystemFailure,
                Self::RunnerConfigurationError => &Self::ScriptFailure,
                _ => return Self::UnknownFailure,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureReason::*;

    #[test]
    fn mapping() {
        let old = [ScriptFailure, RunnerSystemFailure, JobExecutionTimeout];
        let new = [ImagePullFailure, RunnerConfigurationError, RunnerInterrupted, Other("quota".into())];
        for (reason, with_old, with_new) in [
            (ScriptFailure, ScriptFailure, ScriptFailure),
            (RunnerSystemFailure, RunnerSystemFailure, RunnerSystemFailure),
            (JobExecutionTimeout, JobExecutionTimeout, JobExecutionTimeout),
            (ImagePullFailure, RunnerSystemFailure, ImagePullFailure),
            (RunnerConfigurationError, ScriptFailure, RunnerConfigurationError),
            (RunnerExternalDependencyFailure, RunnerSystemFailure, RunnerSystemFailure),
            (RunnerInterrupted, UnknownFailure, RunnerInterrupted),
            (JobCanceled, UnknownFailure, UnknownFailure),
            (UnknownFailure, UnknownFailure, UnknownFailure),
            (Other(String::new()), ScriptFailure, ScriptFailure),
            (Other("quota".into()), UnknownFailure, Other("quota".into())),
        ] {
            assert_eq!(reason.for_server(&old), with_old, "{reason}");
            assert_eq!(reason.for_server(&[]), with_old, "{reason}");
            assert_eq!(reason.for_server(&new), with_new, "{reason}");
        }
    }
}
