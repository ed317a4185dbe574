//! [`Record`]: a job's progress, written down as it changes.

use std::sync::Arc;

use super::JobControl;
use crate::executor::JobKey;
use crate::journal::{Journal, Progress};

/// A job's progress with the journal that keeps it.
#[derive(Debug)]
pub(super) struct Record {
    journal: Arc<dyn Journal>,
    key: JobKey,
    control: JobControl,
    progress: Progress,
}

impl Record {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        key: JobKey,
        control: JobControl,
        progress: Progress,
    ) -> Self {
        Self { journal, key, control, progress }
    }

    /// Changes something and writes it down.
    ///
    /// A journal that cannot be written does not stop a job that runs: it only means that its end may be reported as a
    /// system failure if this process dies, too.
    pub(super) fn update(&mut self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress);
        self.progress.cancel = self.control.state();
        if let Err(error) = self.journal.save(&self.key, &self.progress) {
            tracing::error!(job = %self.key, %error, "the job's progress cannot be written down");
        }
    }

    /// What is written down.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Forgets the job: it is over and GitLab knows.
    pub(super) fn remove(&self) {
        if let Err(error) = self.journal.remove(&self.key) {
            tracing::warn!(job = %self.key, %error, "the job's record cannot be removed");
        }
    }
}
