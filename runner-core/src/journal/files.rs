//! The journal as files of a folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Assignment, Entry, FORMAT_VERSION, Journal, JournalError, Progress};
use crate::executor::JobKey;

const ASSIGNMENT: &str = "assignment.json";
const PROGRESS: &str = "progress.json";
const LOG: &str = "log";

/// A [`Journal`] in a folder that this process has to itself.
#[derive(Debug)]
pub struct FileJournal {
    root: PathBuf,
    /// Locked while the journal lives: two managers must not resolve the same entries.
    _lock: fs::File,
}

impl FileJournal {
    /// Opens the journal in `root`, making the folder (0700) if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or another process has it open.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let root = root.into();
        make_folder(&root)?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| JournalError { action: "open", path: path.clone(), source })?;
        lock.try_lock().map_err(|error| {
            let source = match error {
                fs::TryLockError::Error(error) => error,
                fs::TryLockError::WouldBlock => {
                    io::Error::new(io::ErrorKind::WouldBlock, "another runner process uses this state folder")
                }
            };
            JournalError { action: "lock", path, source }
        })?;
        Ok(Self { root, _lock: lock })
    }

    fn folder(&self, key: &JobKey) -> PathBuf {
        // The short token comes from a configuration file: it must not lead out of the folder.
        let name: String = key
            .to_string()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' })
            .collect();
        self.root.join(name)
    }
}

impl Journal for FileJournal {
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        let folder = self.folder(&assignment.key);
        make_folder(&folder)?;
        make_folder(&folder.join(LOG))?;
        write(&folder.join(ASSIGNMENT), assignment)
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        write(&self.folder(key).join(PROGRESS), progress)
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        let path = self.folder(key);
        // The assignment goes first: what is left of a half-removed entry is not taken for a job.
        for step in [fs::remove_file(path.join(ASSIGNMENT)), fs::remove_dir_all(&path)] {
            match step {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError { action: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let read = |source| JournalError { action: "read", path: self.root.clone(), source };
        let mut folders = Vec::new();
        for item in fs::read_dir(&self.root).map_err(read)? {
            let item = item.map_err(read)?;
            if item.file_type().map_err(read)?.is_dir() {
                folders.push(item.path());
            }
        }
        folders.sort();
        Ok(folders.into_iter().filter_map(|folder| read_entry(&folder)).collect())
    }

    fn log_folder(&self, key: &JobKey) -> PathBuf {
        self.folder(key).join(LOG)
    }
}

/// `None`: the folder holds no assignment, so no job was ever acknowledged for it.
fn read_entry(folder: &Path) -> Option<Entry> {
    let unreadable = |why: String| Some(Entry::Unreadable { location: folder.to_path_buf(), why });
    let assignment = match read::<Assignment>(&folder.join(ASSIGNMENT)) {
        Ok(Some(assignment)) => assignment,
        Ok(None) => return None,
        Err(why) => return unreadable(why),
    };
    let progress = match read::<Progress>(&folder.join(PROGRESS)) {
        Ok(progress) => progress.unwrap_or_default(),
        Err(why) => return unreadable(why),
    };
    Some(Entry::Job(Box::new(assignment), Box::new(progress)))
}

/// Only the version, to be read before the rest.
#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let version: Version =
        serde_json::from_slice(&text).map_err(|error| format!("{} is damaged: {error}", path.display()))?;
    if version.version != FORMAT_VERSION {
        return Err(format!(
            "{} has format version {}, this program knows {FORMAT_VERSION}",
            path.display(),
            version.version
        ));
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| format!("{} is damaged: {error}", path.display()))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), JournalError> {
    let fail = |source| JournalError { action: "write", path: path.to_path_buf(), source };
    let text = serde_json::to_vec(value).map_err(|error| fail(error.into()))?;
    let fresh = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh).map_err(fail)?;
    file.write_all(&text).map_err(fail)?;
    drop(file);
    fs::rename(&fresh, path).map_err(fail)
}

fn make_folder(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| JournalError {
        action: "make the folder",
        path: path.to_path_buf(),
        source,
    })
}
