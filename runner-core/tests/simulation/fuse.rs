//! The life of a process: what it does outside, until it dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Burns down with every effect that the process has outside. Once it is burnt the process is dead: nothing has an effect any
/// more and nothing returns.
#[derive(Debug, Clone)]
pub(crate) struct Fuse {
    left: Arc<AtomicU64>,
    /// Whether the last effect takes place before the process dies.
    last_takes_place: bool,
    burnt: watch::Sender<bool>,
}

impl Fuse {
    /// A life of so many effects.
    pub(crate) fn new(effects: u64, last_takes_place: bool) -> Self {
        Self { left: Arc::new(AtomicU64::new(effects)), last_takes_place, burnt: watch::Sender::new(false) }
    }

    pub(crate) fn is_burnt(&self) -> bool {
        *self.burnt.borrow()
    }

    /// Dies now.
    pub(crate) fn burn(&self) {
        self.left.store(0, Ordering::SeqCst);
        self.burnt.send_replace(true);
    }

    /// Waits for the death.
    pub(crate) async fn death(&self) {
        let _ = self.burnt.subscribe().wait_for(|burnt| *burnt).await;
    }

    /// Whether an effect takes place, and whether the process lives to see it.
    fn spend(&self) -> (bool, bool) {
        if self.is_burnt() {
            return (false, false);
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 1 {
            return (true, true);
        }
        self.burn();
        (self.last_takes_place, false)
    }

    pub(crate) async fn guard<T>(&self, effect: impl Future<Output = T>) -> T {
        let (takes_place, lives) = self.spend();
        if takes_place {
            let result = effect.await;
            if lives && !self.is_burnt() {
                return result;
            }
        }
        std::future::pending().await
    }

    /// The same for an effect that does not wait. `None`: nobody will ever see the result.
    pub(crate) fn guard_now<T>(&self, effect: impl FnOnce() -> T) -> Option<T> {
        let (takes_place, lives) = self.spend();
        takes_place.then(effect).filter(|_| lives)
    }
}
