//! What the askers of one runner share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep_until;

use super::health::Health;
use super::requests::Requests;
use crate::run::RunnerContext;
use crate::settings::PollSettings;

/// One runner of a manager.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) context: Arc<RunnerContext>,
    pub(super) poll: PollSettings,
    /// Its own limit as permits; `None`: it has none.
    pub(super) limit: Option<Arc<Semaphore>>,
    /// Job requests in flight.
    pub(super) requests: Requests,
    /// Rings when one of its jobs ends.
    pub(super) freed: Notify,
    health: Mutex<Health>,
}

impl Runner {
    pub(super) fn new(context: RunnerContext, poll: PollSettings) -> Self {
        Self {
            limit: (poll.limit > 0).then(|| Arc::new(Semaphore::new(poll.limit as usize))),
            requests: Requests::new(poll.request_concurrency),
            freed: Notify::new(),
            health: Mutex::default(),
            context: Arc::new(context),
            poll,
        }
    }

    /// Name of its entry, for logs.
    pub(super) fn name(&self) -> &str {
        &self.context.identity.name
    }

    /// Tells it from other runners.
    pub(super) fn key(&self) -> &str {
        self.context.identity.token.short()
    }

    /// Waits until it may ask again after it was refused.
    pub(super) async fn healthy(&self) {
        loop {
            // Looked at again afterwards: another asker may have been refused meanwhile.
            let Some(end) = self.health().pause_until() else { return };
            sleep_until(end).await;
        }
    }

    /// It was answered as a runner is that the server knows, or not at all.
    pub(super) fn answered(&self) {
        self.health().good();
    }

    /// It was refused, or cannot work as configured. Says how long to pause.
    pub(super) fn refused(&self) -> Duration {
        self.health().refused(&self.poll)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
