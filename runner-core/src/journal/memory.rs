//! The journal in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Assignment, Entry, Journal, JournalError, Progress};
use crate::executor::JobKey;
use crate::log::LogStorage;

/// A [`Journal`] in memory: for simulations, and for those who embed the run loop and can do without the state surviving
/// their process. Clones share the entries, so that another manager can find what one has left.
///
/// Entries are kept as they would be written to a file.
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
}

#[derive(Debug)]
struct Kept {
    assignment: Secret,
    progress: Option<Secret>,
    log: LogStorage,
}

/// A record as text; holds the job's token.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl MemoryJournal {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobKey, Kept>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        let kept = Kept { assignment: write(assignment)?, progress: None, log: LogStorage::memory() };
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
        Ok(())
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
        Box::pin(async move { log.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

fn write<T: Serialize>(value: &T) -> Result<Secret, JournalError> {
    serde_json::to_vec(value).map(Secret).map_err(|error| failed("write", error.into()))
}

fn failed(action: &'static str, source: io::Error) -> JournalError {
    JournalError { action, path: "(memory)".into(), source }
}
