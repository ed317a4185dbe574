//! `variables`: of the job, and of single images.

use std::fmt;

use super::lenient::{Fields, Object};

/// One variable of a job. Its value is shown by `Debug` only if it is public and not masked.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "variables": [{"key": "A", "value": "s3cret", "masked": true, "public": true}]}"#,
/// )?;
/// assert_eq!(job.variables[0].value, "s3cret");
/// assert!(!format!("{job:?}").contains("s3cret"));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobVariable {
    /// The name.
    pub key: String,
    /// The value before expansion. It may be a secret.
    pub value: String,
    /// Whether services may see it.
    pub public: bool,
    /// Whether its value must not appear in the log.
    pub masked: bool,
    /// Whether the value goes to a file whose path becomes the variable's value.
    pub file: bool,
    /// Whether references to other variables in the value are left as they are.
    pub raw: bool,
}

impl Object for JobVariable {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            key: fields.take("key"),
            value: fields.take("value"),
            public: fields.take("public"),
            masked: fields.take("masked"),
            file: fields.take("file"),
            raw: fields.take("raw"),
        }
    }
}

impl fmt::Debug for JobVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.public && !self.masked;
        f.debug_struct("JobVariable")
            .field("key", &self.key)
            .field("value", &if shown { &self.value } else { "[redacted]" })
            .field("public", &self.public)
            .field("masked", &self.masked)
            .field("file", &self.file)
            .field("raw", &self.raw)
            .finish()
    }
}
