//! [`StageFolder`]: one try of one stage on disk, seen from the manager's side.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runner_core::executor::EnvironmentError;
use runner_frames::{Request, Spec, Status, folder};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::errors::system;

/// A stage's folder. Everything here is blocking.
#[derive(Debug, Clone)]
pub(crate) struct StageFolder {
    path: PathBuf,
}

/// What a folder tells about its stage.
#[derive(Debug)]
pub(crate) enum Probe {
    /// Nothing has run. A supervisor may be about to begin.
    NotStarted,
    /// Its supervisor lives.
    Running,
    /// It is over.
    Ended(Status),
    /// It will never have a status that we can read, and why.
    Lost(String),
    /// Its files do not fit together; a supervisor that lives will notice and end.
    Unclear(String),
}

impl StageFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path.join(folder::OUTPUT)
    }

    /// Writes what a supervisor needs. May be repeated until one has begun.
    pub(crate) fn write(&self, script: &str, spec: &Spec) -> Result<(), EnvironmentError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| system("make", &self.path, error))?;
        let spec = spec.to_json().map_err(|error| system("write", &self.path, io::Error::other(error)))?;
        write_private(&self.path.join(folder::SCRIPT), script.as_bytes())?;
        write_private(&self.path.join(folder::SPEC), &spec)
    }

    /// Removes what was written for a supervisor and not needed.
    pub(crate) fn forget_order(&self) {
        for name in [folder::SPEC, folder::SCRIPT] {
            // Most often it is not there.
            let _ = fs::remove_file(self.path.join(name));
        }
    }

    pub(crate) fn probe(&self) -> Result<Probe, EnvironmentError> {
        if let Some(ended) = self.ended()? {
            return Ok(ended);
        }
        let alive = self.open_control();
        // A status may have come between the two looks.
        if let Some(ended) = self.ended()? {
            return Ok(ended);
        }
        let began = self.output().exists();
        match alive {
            Ok(_) => Ok(Probe::Running),
            Err(error) if nobody_reads(&error) && began => Ok(Probe::Lost("its supervisor died".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && began => {
                Ok(Probe::Unclear("its control pipe is gone".to_owned()))
            }
            Err(error) if nobody_reads(&error) || error.kind() == io::ErrorKind::NotFound => {
                Ok(Probe::NotStarted)
            }
            Err(error) => Err(system("open", &self.path.join(folder::CONTROL), error)),
        }
    }

    /// Sends a request. `false`: there is no supervisor that would read it.
    pub(crate) fn request(&self, request: Request) -> Result<bool, EnvironmentError> {
        let path = self.path.join(folder::CONTROL);
        match self.open_control().and_then(|mut fifo| fifo.write_all(format!("{request}\n").as_bytes())) {
            Ok(()) => Ok(true),
            Err(error) if nobody_reads(&error) || error.kind() == io::ErrorKind::NotFound => Ok(false),
            // It died after we had opened it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(system("write", &path, error)),
        }
    }

    fn ended(&self) -> Result<Option<Probe>, EnvironmentError> {
        let path = self.path.join(folder::STATUS);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(match Status::parse(&bytes) {
                Ok(status) => Probe::Ended(status),
                Err(error) => Probe::Lost(error.to_string()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(system("read", &path, error)),
        }
    }

    fn open_control(&self) -> io::Result<File> {
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        OpenOptions::new()
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.path.join(folder::CONTROL))
    }
}

fn nobody_reads(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NXIO.raw_os_error())
}

/// Writes a file that only its owner may read; it is there as a whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EnvironmentError> {
    let new = path.with_extension("part");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| system("write", path, error))
}
