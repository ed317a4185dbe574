//! The journal in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::names;
use super::{Assignment, Entry, Journal, JournalError, Progress};
use crate::executor::JobKey;
use crate::log::LogStorage;

/// A [`Journal`] in memory: for simulations, and for those who embed the run loop and can do without the state surviving
/// their process. Clones share the entries, so that another manager can find what one has left.
///
/// Entries are kept as they would be written to a file. Logs, which may be long, can be kept [in
/// files](Self::with_logs_in).
///
/// ```
/// use runner_core::journal::{Journal, MemoryJournal};
///
/// let journal = MemoryJournal::default();
/// assert!(journal.entries()?.is_empty());
/// # Ok::<(), runner_core::journal::JournalError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    entries: Arc<Mutex<BTreeMap<JobKey, Kept>>>,
    logs: Option<Arc<Path>>,
}

#[derive(Debug)]
struct Kept {
    assignment: Secret,
    progress: Option<Secret>,
    /// `None`: in a file.
    log: Option<LogStorage>,
}

/// A record as text; holds the job's token.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl MemoryJournal {
    /// Keeps the logs in files of mode 0600 in `folder`, which must exist: they need no memory then, however long they are. No other
    /// process can go on with them. An entry's file is removed with it.
    ///
    /// ```
    /// use runner_core::journal::{Journal, MemoryJournal};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let journal = MemoryJournal::with_logs_in(folder.path());
    /// assert!(journal.check().is_ok());
    /// ```
    pub fn with_logs_in(folder: impl Into<PathBuf>) -> Self {
        Self { logs: Some(folder.into().into()), ..Self::default() }
    }

    fn log_file(&self, key: &JobKey) -> Option<PathBuf> {
        Some(self.logs.as_ref()?.join(names::folder(key)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobKey, Kept>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        let log = self.logs.is_none().then(LogStorage::memory);
        let kept = Kept { assignment: write(assignment)?, progress: None, log };
        self.lock().insert(assignment.key.clone(), kept);
        Ok(())
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        let written = write(progress)?;
        match self.lock().get_mut(key) {
            Some(kept) => kept.progress = Some(written),
            None => return Err(failed("write", io::ErrorKind::NotFound.into())),
        }
        Ok(())
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        self.lock().remove(key);
        let Some(path) = self.log_file(key) else { return Ok(()) };
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(JournalError { action: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let read = |kept: &Kept| {
            let assignment = serde_json::from_slice(&kept.assignment.0)?;
            let progress = kept.progress.as_ref().map(|text| serde_json::from_slice(&text.0)).transpose()?;
            Ok(Entry::Job(Box::new(assignment), Box::new(progress.unwrap_or_default())))
        };
        self.lock()
            .values()
            .map(read)
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| failed("read", error.into()))
    }

    fn log(&self, key: &JobKey) -> BoxFuture<'static, io::Result<LogStorage>> {
        let log = self.lock().get(key).map(|kept| kept.log.clone());
        let file = self.log_file(key);
        Box::pin(async move {
            match (log, file) {
                (Some(Some(log)), _) => Ok(log),
                (Some(None), Some(file)) => LogStorage::scratch(file).await,
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }
}

fn write<T: Serialize>(value: &T) -> Result<Secret, JournalError> {
    serde_json::to_vec(value).map(Secret).map_err(|error| failed("write", error.into()))
}

fn failed(action: &'static str, source: io::Error) -> JournalError {
    JournalError { action, path: "(memory)".into(), source }
}
