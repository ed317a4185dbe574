//! Where one job's log is kept.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::checkpoint::{CheckpointStore, FileCheckpoints, MemoryCheckpoints};
use super::spool::{FileSpool, MemorySpool, Spool, blocking};

/// The spool and the checkpoint of one job's log.
#[derive(Debug, Clone)]
pub struct LogStorage {
    /// The bytes of the log.
    pub spool: Arc<dyn Spool>,
    /// How far they are right.
    pub checkpoints: Arc<dyn CheckpointStore>,
}

impl LogStorage {
    /// Two files in `folder`, which is made with mode 0700 if it is not there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let state = tempfile::tempdir()?;
    /// let storage = runner_core::log::LogStorage::files(state.path().join("job-42")).await?;
    /// storage.spool.append("hello".into()).await?;
    /// storage.remove().await?;
    /// # Ok::<(), std::io::Error>(()) }).unwrap();
    /// ```
    pub async fn files(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        blocking(move || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            Ok(Self {
                spool: Arc::new(FileSpool::open_now(folder.join("log.spool"), true)?),
                checkpoints: Arc::new(FileCheckpoints::new(folder.join("log.checkpoint"))),
            })
        })
        .await
    }

    /// The bytes in the file `path`, whose folder must exist, and the checkpoint in memory: for a log that nobody goes on with
    /// after the end of this process.
    pub(crate) async fn scratch(path: PathBuf) -> io::Result<Self> {
        blocking(move || {
            let spool = Arc::new(FileSpool::open_now(path, false)?);
            Ok(Self { spool, checkpoints: Arc::new(MemoryCheckpoints::default()) })
        })
        .await
    }

    /// In memory, for tests and simulations.
    pub fn memory() -> Self {
        Self { spool: Arc::new(MemorySpool::default()), checkpoints: Arc::new(MemoryCheckpoints::default()) }
    }

    /// Deletes the log, once it is delivered. The folder is left.
    pub async fn remove(&self) -> io::Result<()> {
        self.checkpoints.remove().await?;
        self.spool.remove().await
    }
}
