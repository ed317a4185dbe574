//! Where artifacts are kept.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tempfile::TempPath;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::core::{Admission, Content};

const FILE_BUFFER: usize = 256 * 1024;

/// Where the content of artifacts is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArtifactStore {
    /// In memory.
    #[default]
    Memory,
    /// In files of this folder, however large. It must exist; it and what is in it belong to the host.
    Folder(PathBuf),
}

impl ArtifactStore {
    /// A place for one upload.
    pub(super) fn create(&self, admission: &Admission) -> io::Result<Draft> {
        let Self::Folder(folder) = self else { return Ok(Draft::Memory(BytesMut::new())) };
        let form = BTreeMap::new();
        let prefix = format!("{}-{}-", admission.job(), admission.artifact_type(&form));
        let suffix = match admission.artifact_format(&form) {
            "zip" => ".zip",
            "gzip" => ".gz",
            _ => "",
        };
        let (file, path) =
            tempfile::Builder::new().prefix(&prefix).suffix(suffix).tempfile_in(folder)?.into_parts();
        let file = BufWriter::with_capacity(FILE_BUFFER, tokio::fs::File::from_std(file));
        Ok(Draft::File { file, path })
    }
}

/// An upload that is being stored. Dropping it deletes what there is of it.
pub(super) enum Draft {
    Memory(BytesMut),
    File { file: BufWriter<tokio::fs::File>, path: TempPath },
}

impl Draft {
    pub(super) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
            Self::File { file, .. } => file.write_all(chunk).await,
        }
    }

    /// Ends the writing. The content is deleted again unless it is kept.
    pub(super) async fn finish(self) -> io::Result<Finished> {
        match self {
            Self::Memory(bytes) => Ok(Finished { content: Content::Bytes(bytes.freeze()), path: None }),
            Self::File { mut file, path } => {
                file.flush().await?;
                Ok(Finished { content: Content::File(path.to_path_buf()), path: Some(path) })
            }
        }
    }
}

/// A stored upload that nobody refers to yet.
pub(super) struct Finished {
    pub(super) content: Content,
    path: Option<TempPath>,
}

impl Finished {
    /// Leaves the content where it is, for good.
    pub(super) fn keep(self) -> io::Result<()> {
        match self.path {
            Some(path) => path.keep().map(drop).map_err(|error| error.error),
            None => Ok(()),
        }
    }
}

/// The whole content in memory.
pub(super) async fn read(content: &Content) -> io::Result<Bytes> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.clone()),
        Content::File(path) => Ok(tokio::fs::read(path).await?.into()),
    }
}

/// A part of a file.
pub(super) async fn open(
    path: &Path,
    offset: u64,
    length: u64,
) -> io::Result<tokio::io::Take<tokio::fs::File>> {
    let mut file = tokio::fs::File::open(path).await?;
    if offset > 0 {
        file.seek(io::SeekFrom::Start(offset)).await?;
    }
    Ok(file.take(length))
}
