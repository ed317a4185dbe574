//! Whether jobs can be written down: asked before requests, because a job that cannot be written down must be given back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::shared::Shared;
use crate::errors::chain;
use crate::journal::Journal;

/// How long it is believed that it still works: many short jobs must not wait for the disk before each request. A job that
/// comes meanwhile and cannot be written down is given back.
const BELIEVED: Duration = Duration::from_secs(1);

/// Knows whether it worked the last time, so that trouble is said when it begins and when it ends, and not each time.
#[derive(Debug, Default)]
pub(super) struct Writing {
    last: Mutex<Last>,
}

/// What was found the last time.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    troubled: bool,
    good_until: Option<Instant>,
}

impl Writing {
    /// Whether a job could be written down now.
    pub(super) async fn works(&self, shared: &Shared, journal: &Arc<dyn Journal>) -> bool {
        if self.last().good_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        let journal = Arc::clone(journal);
        let trouble = match shared.blocking(move || journal.check()).await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(chain(&error)),
            None => Some("looking whether there is room for a job panicked".to_owned()),
        };
        let good_until = trouble.is_none().then(|| Instant::now() + BELIEVED);
        let before = std::mem::replace(&mut *self.last(), Last { troubled: trouble.is_some(), good_until });
        match &trouble {
            Some(error) if !before.troubled => {
                tracing::error!(%error, "jobs cannot be written down; none are asked for until that works again");
            }
            None if before.troubled => tracing::info!("jobs can be written down again, and are asked for"),
            _ => {}
        }
        trouble.is_none()
    }

    /// A job could not be written down: the next request is worth a look.
    pub(super) fn failed(&self) {
        self.last().good_until = None;
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
