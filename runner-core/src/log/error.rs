//! What can go wrong with a job's log on this side.

use std::io;
use std::sync::Arc;

use crate::executor::StageKey;

/// Why the log did not take something.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Output is missing between what was appended and this piece.
    #[error(
        "output of stage {stage} expected at offset {expected}, got offset {found}: follow the stage again from there"
    )]
    Gap {
        /// The stage.
        stage: StageKey,
        /// Where the next piece has to begin.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
    /// The log's files could not be read or written.
    #[error("cannot keep the job's log")]
    Storage {
        /// What failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// The log that is there cannot be continued.
    #[error("cannot continue the job's log: {what}")]
    Corrupt {
        /// What does not fit.
        what: String,
    },
    /// The log's task has ended.
    #[error("the job's log is closed")]
    Closed,
}

impl LogError {
    /// Whether the stage has to be followed again from [`JobLog::offset`](super::JobLog::offset).
    pub fn is_gap(&self) -> bool {
        matches!(self, Self::Gap { .. })
    }
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Storage { source: Arc::new(error) }
    }
}
