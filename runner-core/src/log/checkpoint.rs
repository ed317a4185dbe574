//! What is remembered of a log between two lives of the manager.
//!
//! A checkpoint says how far the spool is right and from where each stage's output has to be followed to continue exactly
//! there. It is written before the sender may see the bytes it covers, so the server never has bytes that a recovery would
//! make again differently.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::filter::FilterState;
use super::spool::{blocking, remove_file};
use crate::executor::StageKey;
use crate::last_line::{LastLine, last_line};

/// Version of the format. A checkpoint of another version cannot be used.
pub(super) const VERSION: u32 = 1;

/// A point from which a log can be continued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) version: u32,
    /// Source offset per stage: what lies before is in the spool or in the filter's state.
    pub(super) sources: Vec<(StageKey, u64)>,
    /// The stage of which something may be held back.
    pub(super) current: Option<StageKey>,
    /// Bytes of the spool that are right.
    pub(super) spool_len: u64,
    /// CRC32 of those bytes.
    pub(super) crc32: u32,
    pub(super) filter: FilterState,
    /// Entries of the runner that are written once per job, by name.
    pub(super) written: BTreeSet<String>,
}

impl Checkpoint {
    pub(super) fn to_bytes(&self) -> io::Result<Bytes> {
        Ok(serde_json::to_vec(self)?.into())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        /// Read first: the rest may look different in another version.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            let text = format!("a checkpoint of version {version}; this program knows version {VERSION}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// Keeps the last checkpoint of one job's log. It may hold the beginning of a secret.
///
/// ```
/// use runner_core::log::{CheckpointStore, MemoryCheckpoints};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryCheckpoints::default();
/// assert!(store.load().await?.is_none());
/// store.save("one".into()).await?;
/// store.save("two".into()).await?;
/// assert_eq!(store.load().await?.as_deref(), Some(&b"two"[..]));
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait CheckpointStore: Send + Sync + fmt::Debug {
    /// Replaces the checkpoint as a whole: whenever the process ends, either the old one or the new one is there. It is one line of
    /// text.
    async fn save(&self, checkpoint: Bytes) -> io::Result<()>;

    /// The last checkpoint, if any was ever saved.
    async fn load(&self) -> io::Result<Option<Bytes>>;

    /// Makes the last checkpoint survive the end of the machine.
    async fn sync(&self) -> io::Result<()>;

    /// Deletes it.
    async fn remove(&self) -> io::Result<()>;
}

/// Checkpoints in a file of mode 0600, one a line; the last whole line counts.
#[derive(Debug)]
pub struct FileCheckpoints {
    path: PathBuf,
    file: Arc<Mutex<LastLine>>,
}

impl FileCheckpoints {
    /// Uses the file `path`, and while it is begun anew another one beside it. Their folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { file: Arc::new(Mutex::new(LastLine::new(path.clone()))), path }
    }

    async fn with_file<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut LastLine) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        blocking(move || act(&mut file.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

#[async_trait]
impl CheckpointStore for FileCheckpoints {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        self.with_file(move |file| file.write(&checkpoint)).await
    }

    async fn load(&self) -> io::Result<Option<Bytes>> {
        let path = self.path.clone();
        blocking(move || match std::fs::read(path) {
            Ok(bytes) => Ok(Some(last_line(bytes).into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn sync(&self) -> io::Result<()> {
        self.with_file(|file| file.sync()).await
    }

    async fn remove(&self) -> io::Result<()> {
        remove_file(self.path.with_extension("new")).await?;
        remove_file(self.path.clone()).await
    }
}

/// A checkpoint in memory, for tests and simulations. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryCheckpoints {
    last: Arc<Mutex<Option<Bytes>>>,
}

impl MemoryCheckpoints {
    /// A store that holds `checkpoint`, for example that of another one when its owner crashed.
    pub fn with(checkpoint: Option<Bytes>) -> Self {
        Self { last: Arc::new(Mutex::new(checkpoint)) }
    }

    /// The last checkpoint.
    pub fn contents(&self) -> Option<Bytes> {
        self.locked(|last| last.clone())
    }

    fn locked<T>(&self, f: impl FnOnce(&mut Option<Bytes>) -> T) -> T {
        f(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl CheckpointStore for MemoryCheckpoints {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        self.locked(|last| *last = Some(checkpoint));
        Ok(())
    }

    async fn load(&self) -> io::Result<Option<Bytes>> {
        Ok(self.contents())
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    async fn remove(&self) -> io::Result<()> {
        self.locked(|last| *last = None);
        Ok(())
    }
}

impl fmt::Debug for MemoryCheckpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCheckpoints").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_whole_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.checkpoint");
        let store = FileCheckpoints::new(&path);
        assert_eq!(store.load().await.unwrap(), None);
        for text in ["one", "two", "three"] {
            store.save(text.into()).await.unwrap();
            assert_eq!(store.load().await.unwrap().as_deref(), Some(text.as_bytes()));
        }
        // The process dies in the middle of a line; its successor begins with what is whole.
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let store = FileCheckpoints::new(&path);
        assert_eq!(store.load().await.unwrap().as_deref(), Some(&b"two"[..]));
        store.save("four".into()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"four\n");
    }

    #[tokio::test]
    async fn a_file_that_was_removed_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.checkpoint");
        let store = FileCheckpoints::new(&path);
        store.save("one".into()).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        store.save("two".into()).await.unwrap();
        assert_eq!(store.load().await.unwrap().as_deref(), Some(&b"two"[..]));
        folder.close().unwrap();
        assert!(store.save("three".into()).await.is_err());
    }

    #[tokio::test]
    async fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.checkpoint");
        let store = FileCheckpoints::new(&path);
        let half = "x".repeat(128 * 1024);
        for _ in 0..3 {
            store.save(half.clone().into()).await.unwrap();
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), half.len() as u64 + 1);
        assert_eq!(store.load().await.unwrap().as_deref(), Some(half.as_bytes()));
    }
}
