//! [`JobFolder`]: what is kept of a job on disk.
//!
//! ```text
//! STATE_DIR/runner-TOKEN-job-ID/
//!     job.json             whose folder this is
//!     secret-files         paths of files with secrets that its stages wrote elsewhere, one JSON string a line
//!     04-step_script-1/    one folder per stage and attempt
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runner_core::executor::{EnvironmentError, JobKey, StageKey};

use crate::errors::system;
use crate::stage_folder::{StageFolder, write_private};

const JOB: &str = "job.json";
const SECRET_FILES: &str = "secret-files";

/// A job's folder. Everything here is blocking.
#[derive(Debug, Clone)]
pub(crate) struct JobFolder {
    path: PathBuf,
}

impl JobFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn create(&self, key: &JobKey) -> Result<(), EnvironmentError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| system("make", &self.path, error))?;
        let json = serde_json::to_vec(key).map_err(|error| system("write", &self.path, error.into()))?;
        write_private(&self.path.join(JOB), &json)
    }

    /// Whose folder it is; `None` when it does not say.
    pub(crate) fn owner(&self) -> Result<Option<JobKey>, EnvironmentError> {
        let path = self.path.join(JOB);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(system("read", &path, error)),
        }
    }

    pub(crate) fn stage(&self, key: &StageKey) -> StageFolder {
        StageFolder::new(self.path.join(key.slug()))
    }

    /// Folders of all stages that were written; none when the job's folder is not there.
    pub(crate) fn stages(&self) -> Result<Vec<StageFolder>, EnvironmentError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(system("read", &self.path, error)),
        };
        let mut stages = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| system("read", &self.path, error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                stages.push(StageFolder::new(entry.path()));
            }
        }
        stages.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(stages)
    }

    /// Remembers files that a stage is about to write outside this folder, so that a later process can remove them.
    pub(crate) fn note_secret_files<'a>(
        &self,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<(), EnvironmentError> {
        let mut lines = String::new();
        for path in paths {
            lines.push_str(&serde_json::Value::from(path).to_string());
            lines.push('\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.path.join(SECRET_FILES);
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| system("write", &path, error))
    }

    /// Removes those files. What could not be removed is in the answer.
    pub(crate) fn remove_secret_files(&self) -> Vec<String> {
        let text = match fs::read_to_string(self.path.join(SECRET_FILES)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return vec![format!("files with secrets: {error}")],
        };
        let paths = text.lines().filter_map(|line| serde_json::from_str::<String>(line).ok());
        paths
            .filter_map(|path| match fs::remove_file(&path) {
                Err(error) if !is_gone(&error) => Some(format!("{path}: {error}")),
                _ => None,
            })
            .collect()
    }

    /// Removes the folder with everything in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The file, or a folder on the way to it, is not there.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
