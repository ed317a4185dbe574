//! What could not be understood in a payload.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One place in a payload that could not be understood. It names the place, never the value.
///
/// ```
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "steps": [{"name": "script", "script": {}}]}"#)?;
/// let warning = &job.warnings()[0];
/// assert_eq!(warning.path(), "$.steps[0].script");
/// assert_eq!(warning.to_string(), "$.steps[0].script: expected a list, found an object");
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    path: String,
    problem: String,
}

impl Warning {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    /// Where it is, as a JSON path from the payload's root `$`.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "cache": [5]}"#)?;
    /// assert_eq!(job.warnings()[0].path(), "$.cache[0]");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is about what the job shall do. A step's time limit and the like do not count: no runner looks at them.
    pub(super) fn loses_script(&self) -> bool {
        let Some(below) = self.path.strip_prefix("$.") else {
            return false;
        };
        if below == "run" || below == "steps" {
            return true;
        }
        let Some((_, field)) = below.strip_prefix("steps[").and_then(|rest| rest.split_once(']')) else {
            return false;
        };
        field.is_empty() || field.starts_with(".name") || field.starts_with(".script")
    }

    /// What is wrong with it.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "cache": [5]}"#)?;
    /// assert_eq!(job.warnings()[0].problem(), "expected an object, found a number");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
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
