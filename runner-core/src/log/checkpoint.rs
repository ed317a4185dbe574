//! What is remembered of a log between two lives of the manager.
//!
//! A checkpoint says how far the spool is right and from where each stage's output has to be followed to continue exactly
//! there. It is written before the sender may see the bytes it covers, so the server never has bytes that a recovery would
//! make again differently.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::filter::FilterState;
use super::spool::{blocking, private_file, remove_file};
use crate::executor::StageKey;

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

/// A file that is longer is begun anew.
const LONGEST: u64 = 256 * 1024;

/// Checkpoints in a file of mode 0600, one a line; the last whole line counts. A line costs a hundredth of what a new file
/// costs that takes the place of the old one, and a process that dies in the middle of it leaves the line before.
#[derive(Debug)]
pub struct FileCheckpoints {
    path: PathBuf,
    /// Written by this value, and its length.
    file: Arc<Mutex<Option<(File, u64)>>>,
}

impl FileCheckpoints {
    /// Uses the file `path`, and while it is begun anew another one beside it. Their folder must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: Arc::default() }
    }
}

/// Adds a line, to a new file if need be.
fn add(path: &Path, file: &mut Option<(File, u64)>, line: &[u8]) -> io::Result<()> {
    // Taken out: when it fails, nobody knows what the file ends with, and the next one begins it anew.
    let old = file.take().filter(|(open, length)| *length < LONGEST && is_at(open, path));
    if let Some((mut open, length)) = old {
        open.write_all(line)?;
        *file = Some((open, length + line.len() as u64));
        return Ok(());
    }
    let new = path.with_extension("new");
    let mut open = private_file(&new, OpenOptions::new().write(true).create(true).truncate(true))?;
    open.write_all(line)?;
    std::fs::rename(new, path)?;
    *file = Some((open, line.len() as u64));
    Ok(())
}

/// Whether an open file is the one at a path: the folder may have been removed, and nobody would find what is written then.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

/// The last whole line; everything, if there is none.
fn last_line(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memrchr(b'\n', &bytes) {
        bytes.truncate(end);
        let start = memchr::memrchr(b'\n', &bytes).map_or(0, |before| before + 1);
        bytes.drain(..start);
    }
    bytes
}

#[async_trait]
impl CheckpointStore for FileCheckpoints {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        let (path, file) = (self.path.clone(), Arc::clone(&self.file));
        blocking(move || {
            let line = [&checkpoint[..], b"\n"].concat();
            add(&path, &mut file.lock().unwrap_or_else(PoisonError::into_inner), &line)
        })
        .await
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
        let path = self.path.clone();
        blocking(move || {
            File::open(&path)?.sync_all()?;
            match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        })
        .await
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
        let half = "x".repeat(usize::try_from(LONGEST).unwrap() / 2);
        for _ in 0..3 {
            store.save(half.clone().into()).await.unwrap();
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), half.len() as u64 + 1);
        assert_eq!(store.load().await.unwrap().as_deref(), Some(half.as_bytes()));
    }
}
