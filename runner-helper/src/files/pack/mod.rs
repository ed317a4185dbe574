//! Packing files while they are sent.

mod gzip;
mod pipe;
mod zip;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runner_api::payload::ArtifactFormat;
use runner_api::transport::{BodySource, BodyStream};
use rustix::fs::OFlags;

use crate::files::fatal::Fatal;

/// How hard to compress. Only zip archives look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Fastest,
    Fast,
    Default,
    Slow,
    Slowest,
}

impl Level {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "fastest" => Self::Fastest,
            "fast" => Self::Fast,
            "" | "default" => Self::Default,
            "slow" => Self::Slow,
            "slowest" => Self::Slowest,
            _ => return None,
        })
    }
}

/// Files to pack, and how. As a body it is packed anew for each try.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    folder: PathBuf,
    files: Vec<PathBuf>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Zip(Level),
    Gzip,
    Raw,
}

impl Package {
    /// Prepares `files` below `folder` for `format` (empty means zip).
    pub(crate) fn new(
        folder: &Path,
        files: BTreeSet<PathBuf>,
        format: &ArtifactFormat,
        level: Level,
    ) -> Result<Self, Fatal> {
        let form = match format {
            ArtifactFormat::Zip => Form::Zip(level),
            ArtifactFormat::Gzip => Form::Gzip,
            ArtifactFormat::Raw => Form::Raw,
            other => return Err(Fatal::NotSupported(format!("artifact format `{other}`"))),
        };
        if form == Form::Raw && files.len() != 1 {
            return Err(Fatal::failed("cannot send the artifacts", "only one file can be sent as raw"));
        }
        Ok(Self { folder: folder.to_owned(), files: files.into_iter().collect(), form })
    }

    /// What is appended to the archive's name.
    pub(crate) fn extension(&self) -> &'static str {
        match self.form {
            Form::Zip(_) => ".zip",
            Form::Gzip => ".gz",
            Form::Raw => "",
        }
    }

    pub(crate) fn into_source(self) -> Arc<dyn BodySource> {
        Arc::new(self)
    }

    /// Writes everything.
    ///
    /// # Errors
    /// When a file cannot be read or `to` does not take it; what was written then is no archive.
    pub(crate) fn write(&self, to: &mut dyn io::Write) -> io::Result<()> {
        match self.form {
            Form::Zip(level) => zip::write(&self.folder, &self.files, level, to),
            Form::Gzip => gzip::write(&self.folder, &self.files, to),
            Form::Raw => {
                let path = self.files.first().map(|file| self.folder.join(file)).unwrap_or_default();
                io::copy(&mut regular_file(&path)?, to)?;
                Ok(())
            }
        }
    }
}

impl BodySource for Package {
    fn open(&self) -> BodyStream {
        let package = self.clone();
        pipe::stream(move |to| package.write(to))
    }
}

/// Opens a file that is really one.
fn regular_file(path: &Path) -> io::Result<std::fs::File> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        let message = format!("the \"{}\" is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path)
}

/// An error that names the file.
fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), AboutFile { path: path.display().to_string(), error })
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
struct AboutFile {
    path: String,
    error: io::Error,
}
