//! `dependencies`: jobs whose artifacts to download first.

use super::lenient::{Fields, Object};
use crate::secret::JobToken;

/// A job whose artifacts are downloaded before the scripts run.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "dependencies": [{"id": 7, "token": "u", "artifacts_file": {"filename": "a.zip"}}, {"id": 8}]}"#,
/// )?;
/// assert!(job.dependencies[0].has_artifacts());
/// assert!(!job.dependencies[1].has_artifacts());
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// The other job's id.
    pub id: u64,
    /// What authenticates the download.
    pub token: Option<JobToken>,
    /// The other job's name.
    pub name: String,
    /// Its archive; absent when there is none.
    pub artifacts_file: Option<DependencyFile>,
}

impl Dependency {
    /// Whether there is anything to download.
    ///
    /// ```
    /// assert!(!runner_api::payload::Dependency::default().has_artifacts());
    /// ```
    #[must_use]
    pub fn has_artifacts(&self) -> bool {
        self.artifacts_file.as_ref().is_some_and(|file| !file.filename.is_empty())
    }
}

impl Object for Dependency {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            id: fields.take("id"),
            token: fields.take_optional("token"),
            name: fields.take("name"),
            artifacts_file: fields.take_optional("artifacts_file"),
        }
    }
}

/// The archive of another job.
///
/// ```
/// assert_eq!(runner_api::payload::DependencyFile::default().size, 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DependencyFile {
    /// Its name; empty means that there is none.
    pub filename: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Object for DependencyFile {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { filename: fields.take("filename"), size: fields.take("size") }
    }
}
