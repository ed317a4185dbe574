//! Cleaning a place up, and telling the operator what stayed.

use std::time::Duration;

use tokio::time::timeout;

use super::guard::guarded;
use crate::executor::{CleanupReason, Environment, JobKey};

/// How long an environment's cleanup may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What it gets beyond that before it is left to itself.
const MARGIN: Duration = Duration::from_secs(30);

/// Cleans up. Nothing that goes wrong here changes the job's result.
pub(super) async fn clean_up(environment: &dyn Environment, key: &JobKey, why: CleanupReason) {
    match guarded(timeout(LIMIT + MARGIN, environment.cleanup(why, LIMIT))).await {
        Ok(Ok(Ok(remains))) => {
            for item in &remains.items {
                tracing::warn!(job = %key, remains = %item, "cleaning up left something behind");
            }
        }
        Ok(Ok(Err(error))) => tracing::warn!(job = %key, %error, "cleaning up failed"),
        Ok(Err(_)) => tracing::warn!(job = %key, "cleaning up does not end; it is left to itself"),
        Err(panic) => tracing::error!(job = %key, %panic, "cleaning up panicked"),
    }
}
