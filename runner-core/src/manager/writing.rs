//! Whether jobs can be written down: asked before each request, because a job that cannot be written down must be given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::shared::Shared;
use crate::errors::chain;
use crate::journal::Journal;

/// Knows whether it worked the last time, so that trouble is said when it begins and when it ends, and not each time.
#[derive(Debug, Default)]
pub(super) struct Writing {
    troubled: AtomicBool,
}

impl Writing {
    /// Whether a job could be written down now.
    pub(super) async fn works(&self, shared: &Shared, journal: &Arc<dyn Journal>) -> bool {
        let journal = Arc::clone(journal);
        let trouble = match shared.blocking(move || journal.check()).await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(chain(&error)),
            None => Some("looking whether there is room for a job panicked".to_owned()),
        };
        let before = self.troubled.swap(trouble.is_some(), Ordering::Relaxed);
        match &trouble {
            Some(error) if !before => {
                tracing::error!(%error, "jobs cannot be written down; none are asked for until that works again");
            }
            None if before => tracing::info!("jobs can be written down again, and are asked for"),
            _ => {}
        }
        trouble.is_none()
    }
}
