//! The journal as files of a folder.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::names;
use super::{Assignment, Entry, FORMAT_VERSION, Journal, JournalError, OLDEST_FORMAT, Progress};
use crate::executor::JobKey;
use crate::last_line::{LastLine, is_at, last_line};
use crate::log::LogStorage;

const ASSIGNMENT: &str = "assignment.json";
const PROGRESS: &str = "progress.json";
const LOG: &str = "log";
const LOCK: &str = "lock";
/// Written and removed again to see whether there is room.
const TRIAL: &str = "trial";
/// More than the entry of almost any job takes at its beginning.
const ROOM: usize = 256 * 1024;

/// A [`Journal`] in a folder that this process has to itself.
#[derive(Debug)]
pub struct FileJournal {
    root: PathBuf,
    /// Locked while the journal lives: two managers must not resolve the same entries.
    lock: Mutex<fs::File>,
    /// Progress that this value has written.
    progress: Mutex<HashMap<JobKey, Arc<Mutex<LastLine>>>>,
}

impl FileJournal {
    /// Opens the journal in `root`, making the folder (0700) if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or another process has it open.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let root = root.into();
        make_folder(&root)?;
        let lock = Mutex::new(lock(&root.join(LOCK))?);
        let journal = Self { root, lock, progress: Mutex::default() };
        journal.check()?;
        journal.remove_halves();
        Ok(journal)
    }

    fn folder(&self, key: &JobKey) -> PathBuf {
        self.root.join(names::folder(key))
    }

    fn progress(&self, key: &JobKey) -> Arc<Mutex<LastLine>> {
        let mut files = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match files.get(key) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::new(Mutex::new(LastLine::new(self.folder(key).join(PROGRESS))));
                files.insert(key.clone(), Arc::clone(&file));
                file
            }
        }
    }

    /// Folder of a job's log.
    pub fn log_folder(&self, key: &JobKey) -> PathBuf {
        self.folder(key).join(LOG)
    }

    /// Removes what is left of entries that were never finished, or whose removal was not: they hold parts of logs, and nobody
    /// will ever look at them.
    fn remove_halves(&self) {
        let Ok(folders) = self.folders() else { return };
        let halves = folders.into_iter().filter(|folder| {
            names::key(folder).is_some() && matches!(folder.join(ASSIGNMENT).try_exists(), Ok(false))
        });
        for folder in halves {
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::warn!(location = %folder.display(), %error, "the rest of a journal entry cannot be removed");
            }
        }
    }

    /// Makes the folder again if somebody has removed it, and locks it.
    fn hold(&self) -> Result<(), JournalError> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.root.join(LOCK);
        if !is_at(&held, &path) {
            make_folder(&self.root)?;
            *held = lock(&path)?;
            tracing::warn!(location = %self.root.display(), "the journal's folder was removed and is made again");
        }
        Ok(())
    }

    /// The folders in the journal, by name.
    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for item in fs::read_dir(&self.root)? {
            let item = item?;
            if item.file_type()?.is_dir() {
                folders.push(item.path());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// `None`: the folder holds no assignment, so no job was ever acknowledged for it.
    fn entry(&self, folder: &Path) -> Option<Entry> {
        let read = || {
            let assignment = read::<Assignment>(&folder.join(ASSIGNMENT))?;
            let Some(assignment) = assignment else { return Ok(None) };
            if self.folder(&assignment.key) != folder {
                return Err(format!("it is the entry of {}, and not in its folder", assignment.key));
            }
            let progress = read::<Progress>(&folder.join(PROGRESS))?.unwrap_or_default();
            Ok(Some(Entry::Job(Box::new(assignment), Box::new(progress))))
        };
        read().unwrap_or_else(|why| {
            Some(Entry::Unreadable { key: names::key(folder), location: folder.to_path_buf(), why })
        })
    }
}

impl Journal for FileJournal {
    fn check(&self) -> Result<(), JournalError> {
        self.hold()?;
        let path = self.root.join(TRIAL);
        let written = write_file(&path, &vec![0; ROOM], false);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                written.and(Err(JournalError { action: "remove", path, source }))
            }
            _ => written,
        }
    }

    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        self.hold()?;
        let folder = self.folder(&assignment.key);
        make_folder(&folder)?;
        write(&folder.join(ASSIGNMENT), assignment, true)?;
        sync_folder(&self.root)
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        let file = self.progress(key);
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_vec(progress).map_err(io::Error::from).and_then(|line| {
            file.write(&line)?;
            if progress.verdict.is_some() { file.sync() } else { Ok(()) }
        });
        let path = || self.folder(key).join(PROGRESS);
        written.map_err(|source| JournalError { action: "write", path: path(), source })
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        let path = self.folder(key);
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
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
        let folders = self.folders();
        let folders =
            folders.map_err(|source| JournalError { action: "read", path: self.root.clone(), source })?;
        Ok(folders.into_iter().filter_map(|folder| self.entry(&folder)).collect())
    }

    fn log(&self, key: &JobKey) -> BoxFuture<'static, io::Result<LogStorage>> {
        Box::pin(LogStorage::files(self.log_folder(key)))
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is just being started holds a copy of it until its program runs.
        let _ = self.lock.get_mut().unwrap_or_else(PoisonError::into_inner).unlock();
    }
}

/// Makes a file that only one process at a time can have.
fn lock(path: &Path) -> Result<fs::File, JournalError> {
    let path = path.to_path_buf();
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
    Ok(lock)
}

/// Only the version, to be read before the rest.
#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let text = match fs::read(path) {
        Ok(text) => last_line(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let version: Version =
        serde_json::from_slice(&text).map_err(|error| format!("{} is damaged: {error}", path.display()))?;
    if !(OLDEST_FORMAT..=FORMAT_VERSION).contains(&version.version) {
        return Err(format!(
            "{} has format version {}, this program knows {OLDEST_FORMAT} to {FORMAT_VERSION}",
            path.display(),
            version.version
        ));
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| format!("{} is damaged: {error}", path.display()))
}

/// Replaces a file as a whole; `sync`: so that it survives the end of the machine.
fn write<T: Serialize>(path: &Path, value: &T, sync: bool) -> Result<(), JournalError> {
    let fail = |source| JournalError { action: "write", path: path.to_path_buf(), source };
    let text = serde_json::to_vec(value).map_err(|error| fail(error.into()))?;
    let fresh = path.with_extension("new");
    write_file(&fresh, &text, sync)?;
    fs::rename(&fresh, path).map_err(fail)?;
    match path.parent().filter(|_| sync) {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

fn write_file(path: &Path, text: &[u8], sync: bool) -> Result<(), JournalError> {
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(text)?;
        if sync { file.sync_data() } else { Ok(()) }
    };
    write().map_err(|source| JournalError { action: "write", path: path.to_path_buf(), source })
}

fn sync_folder(path: &Path) -> Result<(), JournalError> {
    let fail = |source| JournalError { action: "write", path: path.to_path_buf(), source };
    fs::File::open(path).map_err(fail)?.sync_all().map_err(fail)
}

fn make_folder(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| JournalError {
        action: "make the folder",
        path: path.to_path_buf(),
        source,
    })
}
