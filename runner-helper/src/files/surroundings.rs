//! What a command takes from the process it runs in.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// What a command takes from the process it runs in.
pub struct Surroundings<'a> {
    /// The project folder: the current folder of the process. Must be absolute.
    pub folder: PathBuf,
    /// The process's environment: variables for expansion, `TMPDIR`, proxies.
    pub environment: BTreeMap<String, String>,
    /// The wait between tries of an upload; the one before the last try is ten times as long. One second in a program, less
    /// in tests.
    pub upload_wait: Duration,
    /// Standard output: the progress of transfers.
    pub out: &'a mut dyn Write,
    /// Standard error: log lines.
    pub log: &'a mut dyn Write,
}

impl Surroundings<'_> {
    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The folder for temporary files.
    pub(crate) fn temporary_folder(&self) -> PathBuf {
        PathBuf::from(self.variable("TMPDIR").unwrap_or("/tmp"))
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment of a job is full of secrets.
        f.debug_struct("Surroundings").field("folder", &self.folder).finish_non_exhaustive()
    }
}
