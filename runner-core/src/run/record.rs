//! [`Record`]: a job's progress, written down as it changes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JobControl;
use super::context::{JobTask, RunnerContext};
use crate::executor::JobKey;
use crate::journal::Progress;
use crate::observe::{Happening, changes};

/// A job's progress with the journal that keeps it.
#[derive(Debug)]
pub(super) struct Record {
    runner: Arc<RunnerContext>,
    key: JobKey,
    control: JobControl,
    progress: Mutex<Progress>,
}

impl Record {
    /// The record of a job that has come as far as `progress` says. Nothing is written yet.
    pub(super) fn of(task: &JobTask, progress: Progress) -> Self {
        Self {
            runner: Arc::clone(&task.runner),
            key: task.assignment.key.clone(),
            control: task.control.clone(),
            progress: Mutex::new(progress),
        }
    }

    /// Changes something and writes it down, together with what the job has been asked for.
    ///
    /// A journal that cannot be written does not stop a job that runs: it only means that its end may be reported as a
    /// system failure if this process dies, too.
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        for happening in self.write(change) {
            self.runner.tell(&self.key, happening);
        }
    }

    fn write(&self, change: impl FnOnce(&mut Progress)) -> Vec<Happening> {
        let mut progress = self.lock();
        let before = progress.clone();
        change(&mut progress);
        progress.cancel = self.control.state().or(progress.cancel);
        if let Err(error) = self.runner.journal.save(&self.key, &progress) {
            tracing::error!(job = %self.key, %error, "the job's progress cannot be written down");
        }
        changes(&before, &progress)
    }

    /// Writes down what the job is asked for as soon as it is asked.
    pub(super) async fn note_wishes(&self) -> Infallible {
        let mut wishes = self.control.changes();
        loop {
            if wishes.borrow_and_update().is_some() {
                self.update(|_| {});
            }
            if wishes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What is written down.
    pub(super) fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Forgets the job: it is over and GitLab knows.
    pub(super) fn remove(&self) {
        if let Err(error) = self.runner.journal.remove(&self.key) {
            tracing::warn!(job = %self.key, %error, "the job's record cannot be removed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
