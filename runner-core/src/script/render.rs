//! [`render`]: from a stage to what an environment starts.

use runner_api::Job;

use super::body::Writer;
use super::envelope::Envelope;
use super::secrets::Secrets;
use crate::executor::StageInput;
use crate::plan::{Body, Plan, StagePlan};
use crate::variables::{JobStatus, Variables, flags};

/// What a script needs besides the plan: where the secrets are, and how the job stands.
#[derive(Debug, Clone, Copy)]
pub struct StageContext<'a> {
    /// What GitLab sent.
    pub job: &'a Job,
    /// The job's variables.
    pub variables: &'a Variables,
    /// What the script sees as `CI_JOB_STATUS`.
    pub job_status: JobStatus,
}

/// Why there is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The plan says that the stage fails.
    #[error("{0}")]
    Refused(String),
}

/// Writes the script of a stage, with the secrets that travel beside it. The same inputs give the same script.
///
/// # Errors
/// When the plan refuses the stage.
pub fn render(plan: &Plan, stage: &StagePlan, context: &StageContext<'_>) -> Result<StageInput, ScriptError> {
    let ops = match &stage.body {
        Body::Ops(ops) => ops,
        Body::Refused(message) => return Err(ScriptError::Refused(message.clone())),
    };
    let mut writer = Writer {
        job: context.job,
        variables: context.variables.with_job_status(context.job_status),
        secrets: Secrets::new(context.variables.secrets(context.job)),
        sections: plan.trace_sections() && plan.flags().is_on(flags::SCRIPT_SECTIONS),
        checks: plan.flags().is_on(flags::ENABLE_BASH_EXIT_CODE_CHECK),
        out: String::new(),
    };
    writer.ops(ops);
    let envelope = Envelope {
        shell: plan.shell(),
        trace: plan.options().debug_trace,
        piped: plan.flags().is_on(flags::USE_LEGACY_BASH_EVAL),
    };
    Ok(StageInput {
        script: envelope.around(&writer.out),
        location: stage.location,
        secrets: writer.secrets.into_variables(),
    })
}
