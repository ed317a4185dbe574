//! `steps`: the scripts.

use super::lenient::{Fields, Object, lenient_text};
use crate::text_enum::text_enum;

/// One script of a job.
///
/// ```
/// use runner_api::payload::StepName;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "steps": [{"name": "script", "script": ["make"], "when": null}]}"#,
/// )?;
/// assert_eq!(job.steps[0].name, StepName::Script);
/// assert_eq!(job.steps[0].script, ["make"]);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which script it is.
    pub name: StepName,
    /// The lines.
    pub script: Vec<String>,
    /// A time limit in seconds; the official runner does not enforce it.
    pub timeout: i64,
    /// When the step runs; the official runner does not look at it.
    pub when: Option<When>,
    /// Whether a failure of the step does not fail the job; the official runner does not look at it.
    pub allow_failure: bool,
}

impl Object for Step {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            name: fields.take_optional("name").unwrap_or_else(|| StepName::Other(String::new())),
            script: fields.take("script"),
            timeout: fields.take("timeout"),
            when: fields.take_optional("when"),
            allow_failure: fields.take("allow_failure"),
        }
    }
}

text_enum! {
    /// The name of a step.
    ///
    /// ```
    /// use runner_api::payload::StepName;
    /// assert_eq!(StepName::from("release"), StepName::Release);
    /// assert_eq!(StepName::from("deploy").as_str(), "deploy");
    /// ```
    pub enum StepName {
        /// The main script.
        Script = "script",
        /// What runs after the main script, however that ended.
        AfterScript = "after_script",
        /// The making of a release.
        Release = "release",
    }
}

text_enum! {
    /// When something is done, by the outcome of the main script.
    ///
    /// ```
    /// use runner_api::payload::When;
    /// assert_eq!(When::from("always"), When::Always);
    /// ```
    pub enum When {
        /// Only after a success.
        OnSuccess = "on_success",
        /// Only after a failure.
        OnFailure = "on_failure",
        /// In any case.
        Always = "always",
    }
}

lenient_text!(StepName, When);
