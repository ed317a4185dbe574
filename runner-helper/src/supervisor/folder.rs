//! [`StageFolder`]: the stage's folder, claimed by this process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runner_frames::{FILE_HEADER, Spec, Status, folder};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::SuperviseError;
use super::log::Log;

/// More than any status record takes.
const STATUS_ROOM: usize = 4096;

/// What was found in a folder that is to be supervised.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody was here before.
    Ours(StageFolder),
    /// Another supervisor lives.
    Running,
    /// The stage is over.
    Ended,
    /// Another supervisor lived and left no status.
    Lost,
}

/// The folder of a stage that this process supervises. The lock is held as long as the value lives.
#[derive(Debug)]
pub(super) struct StageFolder {
    dir: PathBuf,
    _lock: File,
}

impl StageFolder {
    pub(super) fn claim(dir: &Path) -> Result<Claim, SuperviseError> {
        let dir = fs::canonicalize(dir).map_err(SuperviseError::file("find", dir))?;
        let exists = |name: &str| dir.join(name).symlink_metadata().is_ok();
        if exists(folder::STATUS) {
            return Ok(Claim::Ended);
        }
        let path = dir.join(folder::LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(SuperviseError::file("open", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Claim::Running),
            Err(errno) => return Err(SuperviseError::file("lock", &path)(errno.into())),
        }
        // Between the first look and the lock, the one that held it may have ended.
        if exists(folder::STATUS) {
            return Ok(Claim::Ended);
        }
        if exists(folder::OUTPUT) {
            return Ok(Claim::Lost);
        }
        // Only for a person who looks; not being able to write it is no reason to stop.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Claim::Ours(Self { dir, _lock: lock }))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn open_log(&self) -> Result<Log, SuperviseError> {
        let path = self.path(folder::LOG);
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map(Log::new)
            .map_err(SuperviseError::file("open", path))
    }

    pub(super) fn read_spec(&self) -> Result<Spec, SuperviseError> {
        let path = self.path(folder::SPEC);
        let bytes = fs::read(&path).map_err(SuperviseError::file("read", &path))?;
        Spec::from_json(&bytes).map_err(|source| SuperviseError::Spec { path, source })
    }

    /// Removes a file that may hold secrets.
    pub(super) fn remove(&self, name: &str, log: &Log) {
        match fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log.line(format_args!("cannot remove {name}: {error}")),
        }
    }

    /// Makes the output file, which also marks the folder as used.
    pub(super) fn create_output(&self) -> Result<File, SuperviseError> {
        let path = self.path(folder::OUTPUT);
        let mut file = create_new(&path).map_err(SuperviseError::file("make", &path))?;
        file.write_all(&FILE_HEADER).map_err(SuperviseError::file("write", &path))?;
        Ok(file)
    }

    /// Sets room aside for the status.
    pub(super) fn reserve_status(&self) -> Result<StatusFile, SuperviseError> {
        let path = self.path(folder::STATUS_NEW);
        // An earlier supervisor may have come this far, but not to the output file.
        let _ = fs::remove_file(&path);
        let mut file = create_new(&path).map_err(SuperviseError::file("make", &path))?;
        file.write_all(&[b' '; STATUS_ROOM]).map_err(SuperviseError::file("write", &path))?;
        Ok(StatusFile { file, from: path, to: self.path(folder::STATUS) })
    }

    /// Whether a file of this folder still is the one that we opened: the folder may have been removed or moved.
    pub(super) fn still_holds(&self, name: &str, file: &File) -> bool {
        match (fs::symlink_metadata(self.path(name)), file.metadata()) {
            (Ok(there), Ok(ours)) => there.ino() == ours.ino() && there.dev() == ours.dev(),
            _ => false,
        }
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Room for the record of the stage's end.
#[derive(Debug)]
pub(super) struct StatusFile {
    file: File,
    from: PathBuf,
    to: PathBuf,
}

impl StatusFile {
    /// Writes the record and lets it appear.
    pub(super) fn publish(mut self, status: &Status) -> Result<(), SuperviseError> {
        let text = status.to_text();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.set_len(text.len() as u64))
            .map_err(SuperviseError::file("write", &self.from))?;
        fs::rename(&self.from, &self.to).map_err(SuperviseError::file("make", self.to))
    }
}
