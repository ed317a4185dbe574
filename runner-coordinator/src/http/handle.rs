//! What the host and the request handlers share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;

use super::events::{Events, Subscriber};
use super::store;
use crate::core::{
    Content, Coordinator, CreatedRunner, JobId, JobRecord, JobState, JobTicket, NewJob, NewRunner, RunnerId,
};
use crate::fault::Fault;

/// Access to a running coordinator for its host program. Cheap to clone; no call waits, except where it says so.
///
/// A job is named by its [`JobId`] or by the number that a runner knows it by.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(mut coordinator: Coordinator, start: SystemTime) -> Self {
        coordinator.advance(start);
        let (queue_version, _) = watch::channel(coordinator.queue_version());
        let (deadline, _) = watch::channel(coordinator.next_deadline());
        let shared = Shared {
            subscribers: Mutex::new(Vec::new()),
            queue_version,
            deadline,
            down: watch::Sender::new(coordinator.is_down()),
            coordinator: Mutex::new(coordinator),
            clock: Clock { time: start, instant: Instant::now() },
        };
        Self { shared: Arc::new(shared) }
    }

    /// Creates a runner, as an administrator would.
    pub fn create_runner(&self, runner: NewRunner) -> CreatedRunner {
        self.with(|coordinator, _| coordinator.create_runner(runner))
    }

    /// Accepts a registration token at `POST runners`.
    pub fn register_token(&self, token: SecretString) {
        self.with(|coordinator, _| coordinator.register_token(token));
    }

    /// Id and token for a job that is enqueued later, so that its payload can mention them.
    pub fn reserve_job(&self) -> JobTicket {
        self.with(|coordinator, _| coordinator.reserve_job())
    }

    /// Adds a job at the end of the queue and wakes the runners that wait for it.
    pub fn enqueue(&self, job: NewJob) -> JobId {
        self.with(|coordinator, now| coordinator.enqueue(job, now))
    }

    /// Cancels a job; see [`Coordinator::cancel`].
    pub fn cancel(&self, job: impl Into<JobId>, force: bool) -> Option<JobState> {
        let job = job.into();
        self.with(|coordinator, now| coordinator.cancel(job, force, now))
    }

    /// Pauses a runner or lets it go on.
    pub fn pause(&self, runner: RunnerId, paused: bool) {
        self.with(|coordinator, _| coordinator.pause(runner, paused));
    }

    /// Stops listening, so that connections are refused, or begins again. What is held is lost.
    pub fn set_down(&self, down: bool) {
        self.with(|coordinator, _| coordinator.set_down(down));
    }

    /// Adds a fault; it begins to count now.
    pub fn add_fault(&self, fault: Fault) {
        self.with(|coordinator, _| coordinator.add_fault(fault));
    }

    /// Events from now on. Dropping the stream ends the subscription.
    #[must_use]
    pub fn events(&self) -> Events {
        let subscriber = Arc::new(Subscriber::default());
        // The coordinator's lock orders the subscription before or after each call as a whole.
        self.with(|_, _| self.shared.lock_subscribers().push(Arc::downgrade(&subscriber)));
        subscriber.subscribe()
    }

    /// Looks at a job; `None` when there is none with that id.
    pub fn job<T>(&self, job: impl Into<JobId>, look: impl FnOnce(&JobRecord) -> T) -> Option<T> {
        let job = job.into();
        self.with(|coordinator, _| coordinator.job(job).map(look))
    }

    /// Status of a job; `None` when there is none with that id.
    #[must_use]
    pub fn state(&self, job: impl Into<JobId>) -> Option<JobState> {
        self.job(job, |record| record.state)
    }

    /// Waits until a job has reached a final state and returns it; `None` when there is no such job. Cancel-safe.
    pub async fn finished(&self, job: impl Into<JobId>) -> Option<JobState> {
        let job = job.into();
        let mut events = self.events();
        loop {
            let state = self.state(job)?;
            if state.is_final() {
                return Some(state);
            }
            events.recv().await?;
        }
    }

    /// A copy of a job's trace from an offset on; empty when there is nothing yet, or no such job.
    #[must_use]
    pub fn read_trace(&self, job: impl Into<JobId>, from: u64) -> Vec<u8> {
        self.job(job, |record| record.trace.from(from).to_vec()).unwrap_or_default()
    }

    /// The content of a stored artifact, wherever it is kept; `None` when there is none of that type.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub async fn read_artifact(
        &self,
        job: impl Into<JobId>,
        artifact_type: &str,
    ) -> std::io::Result<Option<Bytes>> {
        let content = self.job(job, |record| Some(record.artifact(artifact_type)?.content.clone())).flatten();
        match content {
            Some(content) => store::read(&content).await.map(Some),
            None => Ok(None),
        }
    }

    /// The file of a stored artifact: `archive`, `junit`, `dotenv`, … It stays in the artifact folder, which belongs to
    /// the host. `None` when there is none of that type, or it is kept in memory.
    #[must_use]
    pub fn artifact(&self, job: impl Into<JobId>, artifact_type: &str) -> Option<PathBuf> {
        self.job(job, |record| match record.artifact(artifact_type)?.content.clone() {
            Content::File(path) => Some(path),
            Content::Bytes(_) => None,
        })
        .flatten()
    }

    /// Runs `call` on the coordinator with the current time. Everything that the coordinator can do and read is
    /// reachable this way; the call should be short, requests wait for it.
    pub fn with<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        let shared = &self.shared;
        let mut coordinator = shared.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        let result = call(&mut coordinator, shared.clock.now());
        shared.publish(&mut coordinator);
        result
    }

    /// Changes whenever a held request may have an answer.
    pub(super) fn queue_version(&self) -> watch::Receiver<u64> {
        self.shared.queue_version.subscribe()
    }

    /// Whether nothing is to listen.
    pub(super) fn down(&self) -> watch::Receiver<bool> {
        self.shared.down.subscribe()
    }

    /// The coordinator's next deadline, as it changes.
    pub(super) fn deadline(&self) -> watch::Receiver<Option<SystemTime>> {
        self.shared.deadline.subscribe()
    }

    pub(super) fn instant_of(&self, time: SystemTime) -> Instant {
        self.shared.clock.instant_of(time)
    }
}

#[derive(Debug)]
struct Shared {
    coordinator: Mutex<Coordinator>,
    subscribers: Mutex<Vec<Weak<Subscriber>>>,
    queue_version: watch::Sender<u64>,
    down: watch::Sender<bool>,
    deadline: watch::Sender<Option<SystemTime>>,
    clock: Clock,
}

impl Shared {
    /// Hands on what a call has changed. Runs under the coordinator's lock, which keeps the order of events.
    fn publish(&self, coordinator: &mut Coordinator) {
        while let Some(event) = coordinator.next_event() {
            self.lock_subscribers().retain(|subscriber| match subscriber.upgrade() {
                Some(subscriber) => {
                    subscriber.push(event.clone());
                    true
                }
                None => false,
            });
        }
        let version = coordinator.queue_version();
        self.queue_version.send_if_modified(|known| std::mem::replace(known, version) != version);
        let down = coordinator.is_down();
        self.down.send_if_modified(|known| std::mem::replace(known, down) != down);
        let deadline = coordinator.next_deadline();
        self.deadline.send_if_modified(|known| std::mem::replace(known, deadline) != deadline);
    }

    fn lock_subscribers(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Subscriber>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for subscriber in self.lock_subscribers().iter().filter_map(Weak::upgrade) {
            subscriber.close();
        }
    }
}

/// Wall-clock time that moves with tokio's clock.
#[derive(Debug)]
struct Clock {
    time: SystemTime,
    instant: Instant,
}

impl Clock {
    fn now(&self) -> SystemTime {
        self.time + self.instant.elapsed()
    }

    fn instant_of(&self, time: SystemTime) -> Instant {
        self.instant + time.duration_since(self.time).unwrap_or_default()
    }
}
