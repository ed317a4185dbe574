//! What the parts of a manager share: slots, running jobs, the wish to stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::common::Common;
use super::writing::Writing;
use crate::executor::JobKey;
use crate::journal::CancelState;
use crate::run::{JobControl, SlotTable};
use crate::task::Spawner;

#[derive(Debug)]
pub(super) struct Shared {
    /// Jobs of all runners together.
    pub(super) common: Common,
    pub(super) slots: SlotTable,
    pub(super) writing: Writing,
    /// Fires when no more jobs are taken.
    pub(super) stop: CancellationToken,
    jobs: Mutex<BTreeMap<JobKey, Job>>,
    /// What newly started jobs are asked for, too.
    interrupt: JobControl,
    /// Fires when jobs are left to the next process.
    detached: CancellationToken,
    tasks: TaskTracker,
    spawner: Arc<dyn Spawner>,
}

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) control: JobControl,
}

impl Shared {
    pub(super) fn new(common: Common, spawner: Arc<dyn Spawner>) -> Self {
        Self {
            common,
            slots: SlotTable::default(),
            writing: Writing::default(),
            stop: CancellationToken::new(),
            jobs: Mutex::default(),
            interrupt: JobControl::new(),
            detached: CancellationToken::new(),
            tasks: TaskTracker::new(),
            spawner,
        }
    }

    /// Runs a job's task; it is listed from now until the task has ended.
    pub(super) fn spawn(
        self: &Arc<Self>,
        key: JobKey,
        job: Job,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let control = job.control.clone();
        lock(&self.jobs).insert(key.clone(), job);
        // Afterwards, so that a wish that comes meanwhile is not missed.
        if let Some(wish) = self.interrupt.state() {
            control.request(wish);
        }
        if self.detached.is_cancelled() {
            control.detach();
        }
        let listed = Listed { shared: Arc::clone(self), key };
        self.spawn_aside(async move {
            let _listed = listed;
            task.await;
        });
    }

    /// Runs something that the manager waits for at its end, but that is no job.
    pub(super) fn spawn_aside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(Box::pin(self.tasks.track_future(task)));
    }

    /// Runs something that waits for the disk; `None`: it panicked, or it was ended.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        self.spawner.spawn_blocking(Box::new(move || {
            let _ = done.send(work());
        }));
        result.await.ok()
    }

    pub(super) fn jobs(&self) -> Vec<(JobKey, Job)> {
        lock(&self.jobs).iter().map(|(key, job)| (key.clone(), job.clone())).collect()
    }

    /// Asks all jobs, running and to come, to end.
    pub(super) fn interrupt(&self, wish: CancelState) {
        self.interrupt.request(wish);
        for (_, job) in self.jobs() {
            job.control.request(wish);
        }
    }

    /// Leaves all jobs, running and to come, to the next process.
    pub(super) fn detach(&self) {
        self.detached.cancel();
        for (_, job) in self.jobs() {
            job.control.detach();
        }
    }

    /// Waits for the last job's task.
    pub(super) async fn jobs_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Takes a job off the list, also when its task panics.
struct Listed {
    shared: Arc<Shared>,
    key: JobKey,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.shared.jobs).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
