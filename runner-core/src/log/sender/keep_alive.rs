//! Says "running" while the server hears nothing else, and so learns of a cancel.

use std::convert::Infallible;
use std::time::Duration;

use runner_api::{JobUpdate, UpdateResult};
use tokio::time::Instant;

use super::link::Link;

/// Bounds of the silence after which the server is told: the interval that it asks for, between these.
const MIN_SILENCE: Duration = Duration::from_secs(10);
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Pause after an update that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until it is dropped. Once the job is not wanted any more it has nothing to say.
pub(super) async fn run(link: &Link) -> Infallible {
    let mut not_before = Instant::now();
    loop {
        let silence = link.interval().clamp(MIN_SILENCE, MAX_SILENCE);
        let due = link.last_heard().map_or(not_before, |heard| (heard + silence).max(not_before));
        if due > Instant::now() {
            // What the server hears in between moves the time: it is looked at again then.
            tokio::time::sleep_until(due).await;
            continue;
        }
        let update = JobUpdate::running().with_output(Link::output(link.log.published()));
        let reply = link.update(&update).await;
        match reply.result {
            UpdateResult::Succeeded | UpdateResult::AcceptedButNotCompleted => {}
            UpdateResult::Abort => std::future::pending().await,
            _ => {
                tracing::debug!(problem = ?reply.problem, "keep-alive failed");
                not_before = Instant::now() + RETRY;
            }
        }
    }
}
