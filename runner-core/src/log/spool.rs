//! The masked log on the manager's disk.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

/// Holds the bytes of one job's log. One task appends, others read what it has published.
///
/// Calls may be dropped while they run: bytes behind the last checkpoint are cut off when the log is opened again.
///
/// ```
/// use runner_core::log::{MemorySpool, Spool};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let spool = MemorySpool::default();
/// spool.append("hello".into()).await?;
/// spool.truncate(4).await?;
/// assert_eq!(spool.read(1..4).await?, "ell");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Spool: Send + Sync + fmt::Debug {
    /// Adds bytes at the end. They survive the end of this process, not necessarily that of the machine.
    async fn append(&self, bytes: Bytes) -> io::Result<()>;

    /// Exactly the bytes in `range`; an error of kind `UnexpectedEof` if there are fewer.
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes>;

    /// Cuts the end off, so that `len` bytes are left. Never makes the spool longer.
    async fn truncate(&self, len: u64) -> io::Result<()>;

    /// How many bytes there are.
    async fn length(&self) -> io::Result<u64>;

    /// Makes what was appended survive the end of the machine.
    async fn sync(&self) -> io::Result<()>;

    /// Deletes everything.
    async fn remove(&self) -> io::Result<()>;
}

/// A spool in a file of mode 0600.
#[derive(Debug)]
pub struct FileSpool {
    path: PathBuf,
    file: Arc<File>,
    end: AtomicU64,
    /// Whether anybody wants it after the end of the machine.
    durable: bool,
}

impl FileSpool {
    /// Opens the file, or makes it. Its folder must exist.
    pub async fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        blocking(move || Self::open_now(path, true)).await
    }

    /// The same on a thread that may wait for the disk.
    pub(super) fn open_now(path: PathBuf, durable: bool) -> io::Result<Self> {
        let file = private_file(&path, OpenOptions::new().read(true).write(true).create(true))?;
        let end = AtomicU64::new(file.metadata()?.len());
        Ok(Self { path, file: Arc::new(file), end, durable })
    }
}

#[async_trait]
impl Spool for FileSpool {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        let (file, at, len) = (self.file.clone(), self.end.load(Ordering::Relaxed), bytes.len() as u64);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.end.store(at + len, Ordering::Relaxed);
        Ok(())
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let file = self.file.clone();
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        // Made here and not where it is filled: allocators keep freed memory per thread, and there are many such threads.
        let mut bytes = vec![0; len];
        blocking(move || {
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.into())
        })
        .await
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        let file = self.file.clone();
        let cut = blocking(move || {
            let there = file.metadata()?.len();
            if len < there {
                file.set_len(len)?;
            }
            Ok(len.min(there))
        });
        self.end.store(cut.await?, Ordering::Relaxed);
        Ok(())
    }

    async fn length(&self) -> io::Result<u64> {
        let file = self.file.clone();
        blocking(move || Ok(file.metadata()?.len())).await
    }

    async fn sync(&self) -> io::Result<()> {
        if !self.durable {
            return Ok(());
        }
        let file = self.file.clone();
        blocking(move || file.sync_data()).await
    }

    async fn remove(&self) -> io::Result<()> {
        remove_file(self.path.clone()).await
    }
}

/// A spool in memory, for tests and simulations. Clones share their bytes.
#[derive(Clone, Default)]
pub struct MemorySpool {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl MemorySpool {
    /// A spool that holds `bytes`, for example those of another one when its owner crashed.
    pub fn with(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(Mutex::new(bytes)) }
    }

    /// A copy of everything in it.
    pub fn contents(&self) -> Vec<u8> {
        self.locked(|bytes| bytes.clone())
    }

    fn locked<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        f(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        self.locked(|all| all.extend_from_slice(&bytes));
        Ok(())
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let position = |at: u64| usize::try_from(at).map_err(io::Error::other);
        let (start, end) = (position(range.start)?, position(range.end)?);
        self.locked(|all| all.get(start..end).map(Bytes::copy_from_slice))
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.locked(|all| all.truncate(usize::try_from(len).unwrap_or(usize::MAX)));
        Ok(())
    }

    async fn length(&self) -> io::Result<u64> {
        Ok(self.locked(|all| all.len() as u64))
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    async fn remove(&self) -> io::Result<()> {
        self.locked(Vec::clear);
        Ok(())
    }
}

impl fmt::Debug for MemorySpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySpool").field("len", &self.locked(|bytes| bytes.len())).finish()
    }
}

/// Opens a file that only its owner may read.
pub(super) fn private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.mode(0o600).open(path)
}

/// Removes a file; it is no error if it is not there.
pub(super) async fn remove_file(path: PathBuf) -> io::Result<()> {
    blocking(move || match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
    .await
}

/// A disk may be slow: only the log waits for it, not what else the runtime has to do.
pub(super) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(io::Error::other)?
}
