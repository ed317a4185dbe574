//! The state folder of a process that dies.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use runner_core::executor::JobKey;
use runner_core::journal::{Assignment, Entry, Journal, JournalError, MemoryJournal, Progress};
use runner_core::log::{CheckpointStore, LogStorage, Spool};

use crate::fuse::Fuse;

/// What all processes write to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) journal: MemoryJournal,
    /// Jobs that were ever written down.
    pub(crate) accepted: Arc<Mutex<BTreeSet<u64>>>,
}

/// The disk, as one process writes to it.
#[derive(Debug)]
pub(crate) struct MortalJournal {
    pub(crate) disk: Disk,
    pub(crate) fuse: Fuse,
}

fn dead() -> JournalError {
    JournalError { action: "reach", path: "the disk".into(), source: io::Error::other("the process is dead") }
}

impl Journal for MortalJournal {
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        let begin = || {
            self.disk.accepted.lock().unwrap().insert(assignment.key.job);
            self.disk.journal.begin(assignment)
        };
        self.fuse.guard_now(begin).unwrap_or_else(|| Err(dead()))
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        self.fuse.guard_now(|| self.disk.journal.save(key, progress)).unwrap_or_else(|| Err(dead()))
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        self.fuse.guard_now(|| self.disk.journal.remove(key)).unwrap_or_else(|| Err(dead()))
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.disk.journal.entries()
    }

    fn log(&self, key: &JobKey) -> BoxFuture<'static, io::Result<LogStorage>> {
        let (log, fuse) = (self.disk.journal.log(key), self.fuse.clone());
        Box::pin(async move {
            let LogStorage { spool, checkpoints } = log.await?;
            Ok(LogStorage {
                spool: Arc::new(Mortal { inner: spool, fuse: fuse.clone() }),
                checkpoints: Arc::new(Mortal { inner: checkpoints, fuse }),
            })
        })
    }
}

#[derive(Debug)]
struct Mortal<T> {
    inner: T,
    fuse: Fuse,
}

#[async_trait]
impl Spool for Mortal<Arc<dyn Spool>> {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        self.fuse.guard(self.inner.append(bytes)).await
    }
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.inner.read(range).await
    }
    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.fuse.guard(self.inner.truncate(len)).await
    }
    async fn length(&self) -> io::Result<u64> {
        self.inner.length().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.fuse.guard(self.inner.remove()).await
    }
}

#[async_trait]
impl CheckpointStore for Mortal<Arc<dyn CheckpointStore>> {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        self.fuse.guard(self.inner.save(checkpoint)).await
    }
    async fn load(&self) -> io::Result<Option<Bytes>> {
        self.inner.load().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.fuse.guard(self.inner.remove()).await
    }
}
