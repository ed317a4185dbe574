//! `--report`: a run as one page that needs nothing else.

mod junit;
mod log;
mod page;

use std::time::{Duration, SystemTime};

use super::graph::Graph;
use super::ui::Row;

#[cfg(test)]
pub(crate) use junit::FailedTest;
pub(crate) use junit::Tests;
pub(crate) use page::{page, size};

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Run {
    /// `pipeline 7`.
    pub(crate) title: String,
    /// What it was a run of: project, branch, commit.
    pub(crate) subject: String,
    /// How it ended, in a line.
    pub(crate) verdict: String,
    /// Whether that is what one wants.
    pub(crate) good: bool,
    pub(crate) begun: SystemTime,
    pub(crate) took: Duration,
    pub(crate) graph: Graph,
    /// Those of the graph first, in the order in which it was made of them.
    pub(crate) jobs: Vec<JobReport>,
    pub(crate) notes: Vec<String>,
}

/// A job of it.
#[derive(Debug)]
pub(crate) struct JobReport {
    pub(crate) row: Row,
    /// Its log, as the server has it, of its last try.
    pub(crate) log: Vec<u8>,
    pub(crate) tests: Option<Tests>,
    pub(crate) artifacts: Vec<Artifact>,
    /// Whether it is one of the pipeline that was asked for, not of a child.
    pub(crate) is_own: bool,
}

/// Something that a job uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// `archive`, `junit`, …
    pub(crate) kind: String,
    /// Name of the file.
    pub(crate) file: String,
    /// Bytes of it.
    pub(crate) size: u64,
    /// How many files are in it, if it is an archive.
    pub(crate) files: Option<usize>,
}

impl JobReport {
    /// A job of which only this is known.
    pub(crate) fn new(row: Row) -> Self {
        Self { row, log: Vec::new(), tests: None, artifacts: Vec::new(), is_own: true }
    }
}
