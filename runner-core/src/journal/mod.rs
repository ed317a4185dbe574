//! What survives the death of the manager: one entry per accepted job.
//!
//! ```text
//! <state folder>/                 0700
//!   runner-2mn-ncv-x-job-42/      0700  named by the job
//!     assignment.json             0600  written once, before the job is acknowledged
//!     progress.json               0600  a line whenever a fact changes, before the change takes effect; the last one counts
//!     log/                              the masked log and its checkpoint, see [`log`](crate::log)
//! ```
//!
//! The entry is removed when GitLab has accepted the job's end. Files come into being by renaming, and only whole lines count: after
//! the death of the process there is either the old or the new one. The assignment and the verdict also survive the end of the machine. A record of an
//! unknown version, or one that is not where it belongs, is left alone and reported.

mod entry;
mod files;
mod memory;
mod names;
mod outcome;

pub use entry::{
    Assignment, CancelState, ClientCertificate, FORMAT_VERSION, OLDEST_FORMAT, Progress, Terms, Verdict,
};
pub use files::FileJournal;
pub use memory::MemoryJournal;
pub use outcome::{
    Failure, JobOutcome, Limit, Limited, Pause, ScriptLimits, StageOutcome, StageRecord, StopReason,
};

use std::fmt;
use std::io;
use std::path::PathBuf;

use futures_util::future::BoxFuture;

use crate::executor::JobKey;
use crate::log::LogStorage;

/// Keeps the entries. Calls are synchronous and short: a few small files on a local disk.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Whether the entry of a job could be written now. The manager asks before each request for a job: GitLab should not hand
    /// out what would have to be given back. This may wait for the disk.
    ///
    /// A journal that cannot tell says yes, which is what the default does.
    ///
    /// # Errors
    /// When it could not be written, and why.
    fn check(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Opens the entry of a job that has just been assigned. It survives the end of the machine, so this may wait for the disk;
    /// the manager calls it where waiting harms nobody.
    ///
    /// # Errors
    /// When it could not be written: the job must not be acknowledged then.
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError>;

    /// Replaces a job's progress.
    ///
    /// # Errors
    /// When it could not be written; the old one is still there.
    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError>;

    /// Removes a job's entry with its log. Removing what is gone is success.
    ///
    /// # Errors
    /// When something of it stayed.
    fn remove(&self, key: &JobKey) -> Result<(), JournalError>;

    /// All entries, readable or not.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    fn entries(&self) -> Result<Vec<Entry>, JournalError>;

    /// Where the job's log is kept, once the entry was [begun](Self::begin).
    fn log(&self, key: &JobKey) -> BoxFuture<'static, io::Result<LogStorage>>;
}

/// An entry as found.
#[derive(Debug)]
pub enum Entry {
    /// A job that an earlier process accepted.
    Job(Box<Assignment>, Box<Progress>),
    /// Something that this program cannot read; it is left alone.
    Unreadable {
        /// Where it is.
        location: PathBuf,
        /// Whose entry it seems to be, so that what belongs to it can be left alone, too.
        key: Option<JobKey>,
        /// Why it cannot be read.
        why: String,
    },
}

/// The journal could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct JournalError {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}
