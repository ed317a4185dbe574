//! [`Log`]: what the supervisor says about itself.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::time::SystemTime;

/// The supervisor's own log file. Nothing that the job prints goes there.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
}

impl Log {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    /// Adds a line. A log that cannot be written must not stop a job, so failing is silent.
    pub(super) fn line(&self, text: impl fmt::Display) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let line = format!("{}.{:06} {text}\n", now.as_secs(), now.subsec_micros());
        let _ = (&self.file).write_all(line.as_bytes());
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}
