//! What decoding has to tell beside the values.

use std::fmt;

use serde_json::value::RawValue;

use super::Warning;

/// A payload that is wrong in more places is wrong in one way: the log shall not drown in it.
const MAX_WARNINGS: usize = 100;

/// A field that this version does not know, kept as it was received.
///
/// ```
/// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "git_info": {"ref": "main", "mirror": {"of": "x"}}}"#)?;
/// let field = &job.unknown_fields()[0];
/// assert_eq!(field.path(), "$.git_info.mirror");
/// assert_eq!(field.json(), r#"{"of": "x"}"#);
/// assert!(!format!("{field:?}").contains("of"));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Clone)]
pub struct UnknownField {
    path: String,
    value: Box<RawValue>,
}

impl UnknownField {
    /// Where it is, as a JSON path from the payload's root `$`.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "image": {"gpus": 2}}"#)?;
    /// assert_eq!(job.unknown_fields()[0].path(), "$.image.gpus");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its value as JSON text, never `null`. It may be a secret.
    ///
    /// ```
    /// let job = runner_api::Job::from_json(r#"{"id": 1, "token": "t", "image": {"gpus": 2}}"#)?;
    /// assert_eq!(job.unknown_fields()[0].json(), "2");
    /// # Ok::<(), runner_api::UnreadableJob>(())
    /// ```
    #[must_use]
    pub fn json(&self) -> &str {
        self.value.get()
    }
}

impl PartialEq for UnknownField {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.json() == other.json()
    }
}

impl Eq for UnknownField {}

impl fmt::Debug for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownField").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Collects warnings and unknown fields while a payload is decoded.
#[derive(Default)]
pub(crate) struct Notes {
    warnings: Vec<Warning>,
    more: usize,
    unknown: Vec<UnknownField>,
}

impl Notes {
    pub(crate) fn warn(&mut self, path: &str, problem: impl Into<String>) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning::new(path, problem));
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn unknown(&mut self, path: String, value: &RawValue) {
        self.unknown.push(UnknownField { path, value: value.to_owned() });
    }

    pub(crate) fn into_parts(mut self) -> (Vec<Warning>, Vec<UnknownField>) {
        if self.more > 0 {
            self.warnings.push(Warning::new("$", format!("{} more fields are not understood", self.more)));
        }
        (self.warnings, self.unknown)
    }
}
