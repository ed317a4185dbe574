//! What all runners of a manager share: how many jobs run at once (`concurrent`).
//!
//! A share is held from before the request for a job to the end of the job, so that a job that was handed out can always be
//! run. A request that the server holds (a long poll) keeps its share, and must not keep another runner from asking: it may
//! only be held while there are shares for all who could ask, and one that is held already is given up when that changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// A request that may be held and has no answer for so long is held: the server has nothing to give out on it. Should it have
/// looked for a job for all that time, and found one, the job waits for its acceptance in vain and GitLab takes it back.
const SURELY_HELD: Duration = Duration::from_secs(10);

/// The shares of all runners, served in the order of asking. Runners are told apart by their short tokens.
#[derive(Debug)]
pub(super) struct Common {
    shares: Arc<Semaphore>,
    runners: HashSet<String>,
    state: Mutex<State>,
    /// Rings when somebody begins to wait for a share.
    waited: Notify,
}

/// How many askers of each runner do what.
#[derive(Debug, Default)]
struct State {
    /// Wait for a share.
    waiting: HashMap<String, usize>,
    /// Have a request in flight.
    asking: HashMap<String, usize>,
}

/// An asker is counted in one of the [`State`]'s tables while this value lives.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    common: &'a Common,
    table: fn(&mut State) -> &mut HashMap<String, usize>,
    runner: &'a str,
}

impl Common {
    /// Room for `concurrent` jobs of these runners.
    pub(super) fn new(concurrent: usize, runners: impl IntoIterator<Item = String>) -> Self {
        Self {
            shares: Arc::new(Semaphore::new(concurrent.clamp(1, Semaphore::MAX_PERMITS))),
            runners: runners.into_iter().collect(),
            state: Mutex::default(),
            waited: Notify::new(),
        }
    }

    /// Waits for a share.
    ///
    /// # Errors
    /// Never, since the shares are never closed.
    pub(super) async fn share(&self, runner: &str) -> Result<OwnedSemaphorePermit, AcquireError> {
        // Nobody is overtaken: as long as somebody waits there is no free share.
        if let Ok(share) = Arc::clone(&self.shares).try_acquire_owned() {
            return Ok(share);
        }
        let _waiting = self.count(|state| &mut state.waiting, runner);
        self.waited.notify_waiters();
        Arc::clone(&self.shares).acquire_owned().await
    }

    /// This runner sends a request, as long as the returned value lives.
    pub(super) fn asks<'a>(&'a self, runner: &'a str) -> Counted<'a> {
        self.count(|state| &mut state.asking, runner)
    }

    /// Whether a request of this runner may be held: there is a share for each other runner that is not asking, too.
    pub(super) fn may_be_held(&self, runner: &str) -> bool {
        let state = self.lock();
        let could_ask = |other: &&String| *other != runner && !state.asking.contains_key(*other);
        self.runners.iter().filter(could_ask).count() <= self.shares.available_permits()
    }

    /// Waits until a request of this runner that is sent now and may be held is better given up: it is held, and another
    /// runner waits.
    pub(super) async fn request_is_in_the_way(&self, runner: &str) {
        sleep(SURELY_HELD).await;
        loop {
            let waited = self.waited.notified();
            if self.lock().waiting.keys().any(|waiting| waiting != runner) {
                return;
            }
            waited.await;
        }
    }

    fn count<'a>(
        &'a self,
        table: fn(&mut State) -> &mut HashMap<String, usize>,
        runner: &'a str,
    ) -> Counted<'a> {
        *table(&mut self.lock()).entry(runner.to_owned()).or_default() += 1;
        Counted { common: self, table, runner }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut state = self.common.lock();
        let table = (self.table)(&mut state);
        if let Some(count) = table.get_mut(self.runner) {
            *count -= 1;
            if *count == 0 {
                table.remove(self.runner);
            }
        }
    }
}
