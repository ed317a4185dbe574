//! `policy_options`: what a policy demands to be told to the user.

use super::lenient::{Fields, Object};

/// What an execution policy demands to be told to the user before the scripts.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "policy_options": {"execution_policy_job": true, "policy_name": "scan"}}"#,
/// )?;
/// assert_eq!(job.policy_options.unwrap().policy_name, "scan");
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyOptions {
    /// Whether a policy made this job.
    pub execution_policy_job: bool,
    /// The policy's name.
    pub policy_name: String,
    /// Whether users may override its variables; `None` when the policy does not say.
    pub policy_variables_override_allowed: Option<bool>,
    /// Variables for which the opposite holds.
    pub policy_variables_override_exceptions: Vec<String>,
}

impl Object for PolicyOptions {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            execution_policy_job: fields.take("execution_policy_job"),
            policy_name: fields.take("policy_name"),
            policy_variables_override_allowed: fields.take_optional("policy_variables_override_allowed"),
            policy_variables_override_exceptions: fields.take("policy_variables_override_exceptions"),
        }
    }
}
