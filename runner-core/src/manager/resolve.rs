//! What an earlier process left is resolved before anything new is taken.

use std::sync::Arc;

use super::poller::chain;
use super::shared::{self, Shared};
use crate::executor::{JobKey, Reservation};
use crate::journal::{Assignment, Entry, Progress};
use crate::run::{JobControl, JobTask, Resolution, RunnerContext, resolve_job};

/// Resolves the journal's entries of this runner, then removes what none of its live jobs owns.
pub(super) async fn resolve(runner: &Arc<RunnerContext>, shared: &Arc<Shared>) {
    let entries = match runner.journal.entries() {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(error = %chain(&error), "the journal cannot be read; jobs of an earlier process stay as they are");
            return;
        }
    };
    let short = runner.identity.token.short();
    let mut left = Vec::new();
    for entry in entries {
        match entry {
            Entry::Job(assignment, progress) if assignment.key.runner == short => {
                let key = assignment.key.clone();
                if Box::pin(resolve_entry(runner, shared, *assignment, *progress)).await == Resolution::Left {
                    left.push(key);
                }
            }
            Entry::Job(..) => {}
            Entry::Unreadable { location, why } => {
                tracing::error!(location = %location.display(), %why, "a journal entry is left alone");
            }
        }
    }
    sweep(runner, shared, left).await;
}

async fn resolve_entry(
    runner: &Arc<RunnerContext>,
    shared: &Arc<Shared>,
    assignment: Assignment,
    progress: Progress,
) -> Resolution {
    let lease =
        shared.slots.retake(&assignment.key.runner, assignment.job.job_info.project_id, assignment.slots);
    let key = assignment.key.clone();
    let control = JobControl::new();
    let job = shared::Job { name: assignment.job.job_info.name.clone(), control: control.clone() };
    let task = JobTask {
        runner: Arc::clone(runner),
        job: Arc::new(assignment.job.clone()),
        assignment,
        reservation: Reservation::new("an earlier process"),
        control,
    };
    let resolution = shared.listed(key, job, resolve_job(&task, progress)).await;
    drop(lease);
    resolution
}

/// Removes what earlier processes created and no job owns.
async fn sweep(runner: &RunnerContext, shared: &Shared, left: Vec<JobKey>) {
    let Some(janitor) = runner.provider.janitor() else { return };
    let live: Vec<JobKey> = shared.jobs().into_iter().map(|(key, _)| key).chain(left).collect();
    let orphans = match janitor.scan(&live).await {
        Ok(orphans) => orphans,
        Err(error) => {
            tracing::warn!(runner = %runner.identity.name, error = %chain(&error), "looking for remains failed");
            return;
        }
    };
    for orphan in orphans {
        match janitor.reap(&orphan).await {
            Ok(()) => tracing::info!(location = %orphan.location, "remains of an earlier process removed"),
            Err(error) => {
                tracing::warn!(location = %orphan.location, error = %chain(&error), "remains of an earlier process stay");
            }
        }
    }
}
