//! [`LastLine`]: a small file of which only the last whole line counts.
//!
//! A further line costs a hundredth of what a new file costs that takes the place of the old one, and a process that dies in the
//! middle of it leaves the line before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file that is longer is begun anew.
const LONGEST: u64 = 256 * 1024;

/// A file of mode 0600 that one value at a time writes. Its folder must exist. Everything here is blocking.
#[derive(Debug)]
pub(crate) struct LastLine {
    path: PathBuf,
    /// As this value has written it, with its length.
    open: Option<(File, u64)>,
}

impl LastLine {
    /// Nothing is written yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open: None }
    }

    /// Adds a line, which holds no line end: to the file, or to a new one beside it that then takes its place.
    ///
    /// # Errors
    /// When it cannot be written. The line before still counts.
    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let line = [line, b"\n"].concat();
        // Taken out: when it fails, nobody knows what the file ends with, and the next one begins it anew.
        let old = self.open.take().filter(|(file, length)| *length < LONGEST && is_at(file, &self.path));
        let (file, length) = match old {
            Some((mut file, length)) => {
                file.write_all(&line)?;
                (file, length + line.len() as u64)
            }
            None => {
                let new = self.path.with_extension("new");
                let mut file =
                    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
                file.write_all(&line)?;
                std::fs::rename(new, &self.path)?;
                (file, line.len() as u64)
            }
        };
        self.open = Some((file, length));
        Ok(())
    }

    /// Makes what was written survive the end of the machine.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.open {
            Some((file, _)) => file.sync_data()?,
            None => File::open(&self.path)?.sync_data()?,
        }
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// The last whole line of such a file; all of it, if it has none.
pub(crate) fn last_line(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memrchr(b'\n', &bytes) {
        bytes.truncate(end);
        let start = memchr::memrchr(b'\n', &bytes).map_or(0, |before| before + 1);
        bytes.drain(..start);
    }
    bytes
}

/// Whether an open file is the one at a path: the folder may have been removed, and nobody would find what is written then.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}
