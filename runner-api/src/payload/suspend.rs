//! `suspend_options`: suspension of the job's environment.

use super::lenient::{Fields, Object};

/// Whether the job's environment is suspended at its end, or resumed at its beginning.
///
/// ```
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "suspend_options": {"suspend_on_failure": true}}"#)?;
/// assert!(job.suspend_options.unwrap().suspend_on_failure);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuspendOptions {
    /// Suspend after a success.
    pub suspend_on_success: bool,
    /// Suspend after a failure.
    pub suspend_on_failure: bool,
    /// The environment to resume; empty for none.
    pub runtime_environment_key: String,
}

impl Object for SuspendOptions {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            suspend_on_success: fields.take("suspend_on_success"),
            suspend_on_failure: fields.take("suspend_on_failure"),
            runtime_environment_key: fields.take("runtime_environment_key"),
        }
    }
}
