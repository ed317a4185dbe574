//! What could not be understood in a payload.

use std::fmt;

/// One place in a payload that could not be understood. It names the place, never the value.
///
/// ```
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "steps": [{"name": "script", "script": "echo"}]}"#)?;
/// let warning = &job.warnings()[0];
/// assert_eq!(warning.path(), "$.steps[0].script");
/// assert_eq!(warning.to_string(), "$.steps[0].script: expected a list, found a text");
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    path: String,
    problem: String,
}

impl Warning {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    /// Where it is, as a JSON path from the payload's root `$`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}
