//! [`ManagerHandle`]: talking to a running manager.

use std::sync::Arc;

use super::shared::Shared;
use crate::executor::JobKey;
use crate::journal::CancelState;

/// Talks to a [`Manager`](super::Manager) while it runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ManagerHandle {
    shared: Arc<Shared>,
}

/// A job that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// Which job of which runner.
    pub key: JobKey,
    /// Its name in the pipeline.
    pub name: String,
    /// What it has been asked for, if anything.
    pub cancel: Option<CancelState>,
}

impl ManagerHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Takes no more jobs; running jobs end by themselves. A job request that is on its way is abandoned.
    pub fn drain(&self) {
        self.shared.stop.cancel();
    }

    /// Takes no more jobs and leaves running ones to the next process, which goes on with them: nothing is killed, their output is
    /// kept by their places, their entries stay in the journal. [`Manager::run`](super::Manager::run) returns once all are left.
    ///
    /// | A job that | is |
    /// | --- | --- |
    /// | has a place that can be adopted, in whatever stage or pause it is | left |
    /// | is being prepared, where it could be adopted | left; the next process prepares it again |
    /// | has not begun | left; the next process runs it |
    /// | has ended and is being cleaned up or told | finished, or left after 10 s |
    /// | cannot be adopted: its executor has no [`Adopter`](crate::executor::Adopter) | [interrupted](Self::interrupt) |
    pub fn detach(&self) {
        self.drain();
        self.shared.detach();
    }

    /// Takes no more jobs and asks running ones to end: their scripts are stopped, `after_script` runs, and GitLab is told
    /// that the runner was interrupted.
    pub fn interrupt(&self) {
        self.drain();
        self.shared.interrupt(CancelState::Interrupted);
    }

    /// As [`interrupt`](Self::interrupt), at once: without `after_script`.
    pub fn abort(&self) {
        self.drain();
        self.shared.interrupt(CancelState::InterruptedAtOnce);
    }

    /// Asks one job to end, as GitLab would. `false`: it does not run here (any more).
    pub fn cancel(&self, key: &JobKey, wish: CancelState) -> bool {
        let job = self.shared.jobs().into_iter().find(|(running, _)| running == key);
        if let Some((_, job)) = &job {
            job.control.request(wish);
        }
        job.is_some()
    }

    /// The jobs that run now, ordered by runner and id.
    pub fn jobs(&self) -> Vec<RunningJob> {
        let list = self.shared.jobs().into_iter();
        list.map(|(key, job)| RunningJob { key, name: job.name, cancel: job.control.state() }).collect()
    }
}
