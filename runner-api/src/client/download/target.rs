//! Where a download goes.

use std::io::{self, SeekFrom};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Where a download goes. It can be emptied, so that a failed try leaves nothing behind. (For a writer that cannot, see
/// [`JobClient::download_artifact_to`](crate::JobClient::download_artifact_to).)
///
/// Implemented by [`tokio::fs::File`] (opened for writing) and by `Vec<u8>`.
///
/// ```
/// use runner_api::DownloadTarget;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut target = Vec::new();
/// target.write("half".into()).await?;
/// target.reset().await?;
/// target.write("whole".into()).await?;
/// assert_eq!(target, b"whole");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait DownloadTarget: Send {
    /// Forgets everything that was written.
    ///
    /// ```
    /// use runner_api::DownloadTarget;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut target = b"half".to_vec();
    /// target.reset().await?;
    /// assert!(target.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    async fn reset(&mut self) -> io::Result<()>;

    /// Appends a piece.
    ///
    /// ```
    /// use runner_api::DownloadTarget;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut target = b"one ".to_vec();
    /// DownloadTarget::write(&mut target, "two".into()).await?;
    /// assert_eq!(target, b"one two");
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    async fn write(&mut self, piece: Bytes) -> io::Result<()>;

    /// Whether [`write_at`](Self::write_at) can be used, so that parts may come in any order. Default: no.
    ///
    /// ```
    /// use runner_api::DownloadTarget;
    ///
    /// assert!(Vec::<u8>::new().can_write_at());
    /// ```
    fn can_write_at(&self) -> bool {
        false
    }

    /// Writes a piece at `offset`, in bytes from the beginning, perhaps beyond what was written so far. Pieces do not
    /// overlap, and in the end there is no gap.
    ///
    /// ```
    /// use runner_api::DownloadTarget;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut target = Vec::new();
    /// assert!(target.can_write_at());
    /// target.write_at(5, " world".into()).await?;
    /// target.write_at(0, "hello".into()).await?;
    /// assert_eq!(target, b"hello world");
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    async fn write_at(&mut self, offset: u64, piece: Bytes) -> io::Result<()> {
        let _ = (offset, piece);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Everything was written.
    ///
    /// ```
    /// use runner_api::DownloadTarget;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut target = Vec::new();
    /// target.write("everything".into()).await?;
    /// target.finish().await?;
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    async fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl DownloadTarget for Vec<u8> {
    async fn reset(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.extend_from_slice(&piece);
        Ok(())
    }

    fn can_write_at(&self) -> bool {
        true
    }

    async fn write_at(&mut self, offset: u64, piece: Bytes) -> io::Result<()> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let start = usize::try_from(offset).map_err(|_| too_large())?;
        let end = start.checked_add(piece.len()).ok_or_else(too_large)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        self[start..end].copy_from_slice(&piece);
        Ok(())
    }
}

#[async_trait]
impl DownloadTarget for tokio::fs::File {
    async fn reset(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await?;
        self.set_len(0).await
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.write_all(&piece).await
    }

    fn can_write_at(&self) -> bool {
        true
    }

    async fn write_at(&mut self, offset: u64, piece: Bytes) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset)).await?;
        self.write_all(&piece).await
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.flush().await
    }
}
