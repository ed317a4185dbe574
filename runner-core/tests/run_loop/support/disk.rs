//! A state folder on a disk that fills up.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use runner_core::executor::JobKey;
use runner_core::journal::{Assignment, Entry, FileJournal, Journal, JournalError, Progress};
use runner_core::log::{CheckpointStore, LogStorage, Spool};

/// How full the disk is. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    full: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    tricks: Arc<AtomicBool>,
}

impl Disk {
    /// Nothing more can be written from now on.
    pub(crate) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    /// There is room again.
    pub(crate) fn clear(&self) {
        self.full.store(false, Ordering::SeqCst);
        self.tricks.store(false, Ordering::SeqCst);
    }

    /// It fills up as soon as somebody has looked and found room.
    pub(crate) fn fill_after_look(&self) {
        self.tricks.store(true, Ordering::SeqCst);
    }

    /// How often somebody looked whether there is room.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }

    fn write(&self) -> io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn journal(&self) -> Result<(), JournalError> {
        self.write().map_err(|source| JournalError { action: "write", path: "/state".into(), source })
    }
}

/// A journal on such a disk.
#[derive(Debug)]
pub(crate) struct FullJournal {
    pub(crate) inner: FileJournal,
    pub(crate) disk: Disk,
}

impl Journal for FullJournal {
    fn check(&self) -> Result<(), JournalError> {
        self.disk.looks.fetch_add(1, Ordering::SeqCst);
        self.disk.journal()?;
        if self.disk.tricks.load(Ordering::SeqCst) {
            self.disk.fill();
        }
        self.inner.check()
    }

    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        self.disk.journal()?;
        self.inner.begin(assignment)
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        self.disk.journal()?;
        self.inner.save(key, progress)
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        self.inner.remove(key)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries()
    }

    fn log(&self, key: &JobKey) -> BoxFuture<'static, io::Result<LogStorage>> {
        let (log, disk) = (self.inner.log(key), self.disk.clone());
        Box::pin(async move {
            let LogStorage { spool, checkpoints } = log.await?;
            Ok(LogStorage {
                spool: Arc::new(On { inner: spool, disk: disk.clone() }),
                checkpoints: Arc::new(On { inner: checkpoints, disk }),
            })
        })
    }
}

#[derive(Debug)]
struct On<T> {
    inner: T,
    disk: Disk,
}

#[async_trait]
impl Spool for On<Arc<dyn Spool>> {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        self.disk.write()?;
        self.inner.append(bytes).await
    }
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.inner.read(range).await
    }
    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len).await
    }
    async fn length(&self) -> io::Result<u64> {
        self.inner.length().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.inner.remove().await
    }
}

#[async_trait]
impl CheckpointStore for On<Arc<dyn CheckpointStore>> {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        self.disk.write()?;
        self.inner.save(checkpoint).await
    }
    async fn load(&self) -> io::Result<Option<Bytes>> {
        self.inner.load().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.inner.remove().await
    }
}
