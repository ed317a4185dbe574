//! Asking for jobs.

use std::sync::Arc;
use std::time::Duration;

use runner_api::{FailureReason, Job, JobAnswer, JobRequest, JobUpdate, RunnerCredentials, UnreadableJob};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::health::Health;
use super::shared::{self, Shared};
use crate::executor::{AcquireError, JobKey, Reservation};
use crate::journal::{Assignment, FORMAT_VERSION};
use crate::run::{JobControl, JobTask, RunnerContext, run_job};
use crate::settings::PollSettings;

/// The runner's own limit as permits; `None`: it has none.
pub(super) fn limit(settings: &PollSettings) -> Option<Arc<Semaphore>> {
    (settings.limit > 0).then(|| Arc::new(Semaphore::new(settings.limit as usize)))
}

/// Asks for jobs, one at a time, until the manager stops.
pub(super) async fn poll(
    runner: Arc<RunnerContext>,
    settings: PollSettings,
    limit: Option<Arc<Semaphore>>,
    shared: Arc<Shared>,
) {
    let credentials = RunnerCredentials::new(runner.identity.token.clone())
        .with_system_id(runner.identity.system_id.clone());
    let request = JobRequest::new(credentials);
    let mut health = Health::default();
    loop {
        let turn = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            turn = Turn::wait(&runner, limit.as_ref(), &shared) => turn,
        };
        let turn = match turn {
            Ok(turn) => turn,
            Err(AcquireError::NoCapacity(why)) => {
                tracing::debug!(runner = %runner.identity.name, %why, "no capacity");
                pause(&runner, &shared, settings.check_interval).await;
                continue;
            }
            Err(error) => {
                tracing::error!(runner = %runner.identity.name, error = %chain(&error), "the executor cannot be used");
                pause(&runner, &shared, health.refused(&settings)).await;
                continue;
            }
        };
        let answer = tokio::select! {
            biased;
            () = shared.stop.cancelled() => {
                turn.give_back(&runner).await;
                return;
            }
            answer = runner.client.request_job(&request) => answer,
        };
        match answer {
            Ok(JobAnswer::Job(job)) => {
                health.good();
                accept(&runner, &shared, *job, turn).await;
            }
            Ok(JobAnswer::Unreadable(job)) => {
                health.good();
                turn.give_back(&runner).await;
                refuse_unreadable(&runner, &job).await;
            }
            Ok(_) => {
                health.good();
                turn.give_back(&runner).await;
                pause(&runner, &shared, settings.check_interval).await;
            }
            Err(error) => {
                turn.give_back(&runner).await;
                let wait = if error.is_forbidden() || error.is_configuration() {
                    tracing::error!(runner = %runner.identity.name, error = %chain(&error), "GitLab refuses this runner");
                    health.refused(&settings)
                } else {
                    tracing::warn!(runner = %runner.identity.name, error = %chain(&error), "asking for a job failed");
                    health.good();
                    settings.check_interval
                };
                pause(&runner, &shared, wait).await;
            }
        }
    }
}

/// Room for one job, held from before the request until the job has ended.
#[derive(Debug)]
struct Turn {
    reservation: Reservation,
    _permits: (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit),
}

impl Turn {
    async fn wait(
        runner: &RunnerContext,
        limit: Option<&Arc<Semaphore>>,
        shared: &Shared,
    ) -> Result<Self, AcquireError> {
        let closed = |_| AcquireError::NoCapacity("the manager is stopping".to_owned());
        let own = match limit {
            Some(limit) => Some(Arc::clone(limit).acquire_owned().await.map_err(closed)?),
            None => None,
        };
        let common = Arc::clone(&shared.concurrent).acquire_owned().await.map_err(closed)?;
        let reservation = runner.provider.acquire().await?;
        Ok(Self { reservation, _permits: (own, common) })
    }

    async fn give_back(self, runner: &RunnerContext) {
        runner.provider.release(self.reservation).await;
    }
}

/// Writes the job down and starts its task. It is acknowledged there, not here.
async fn accept(runner: &Arc<RunnerContext>, shared: &Arc<Shared>, job: Job, turn: Turn) {
    let key = JobKey { runner: runner.identity.token.short().to_owned(), job: job.id };
    let lease = shared.slots.take(&key.runner, job.job_info.project_id);
    let assignment = Assignment {
        version: FORMAT_VERSION,
        key: key.clone(),
        url: runner.identity.url.to_string(),
        runner_name: runner.identity.name.clone(),
        system_id: runner.identity.system_id.clone(),
        job: job.clone(),
        slots: lease.slots(),
        accepted_at: runner.clock.now(),
        tls_chain: None,
    };
    if let Err(error) = runner.journal.begin(&assignment) {
        tracing::error!(job = %key, error = %chain(&error), "a job cannot be written down and is given back as failed");
        turn.give_back(runner).await;
        refuse(runner, &job).await;
        return;
    }
    tracing::info!(job = %key, name = %job.job_info.name, project = job.job_info.project_id, "job accepted");
    let control = JobControl::new();
    let name = job.job_info.name.clone();
    let Turn { reservation, _permits: permits } = turn;
    let task = JobTask {
        runner: Arc::clone(runner),
        assignment,
        job: Arc::new(job),
        reservation,
        control: control.clone(),
    };
    shared.spawn(key, shared::Job { name, control }, async move {
        let runner = Arc::clone(&task.runner);
        run_job(&task).await;
        runner.provider.release(task.reservation).await;
        drop((lease, permits));
    });
}

/// Fails a job that cannot be run at all.
async fn refuse(runner: &RunnerContext, job: &Job) {
    let reason = FailureReason::RunnerSystemFailure.for_server(&job.features.failure_reasons);
    let outcome = runner.client.job(job.id, job.token.clone()).update(&JobUpdate::failed(reason)).await;
    if let Some(error) = outcome.error {
        tracing::error!(job = job.id, error = %chain(&error), "a job that cannot be run could not be reported");
    }
}

async fn refuse_unreadable(runner: &RunnerContext, job: &UnreadableJob) {
    tracing::error!(runner = %runner.identity.name, error = %job, "GitLab sent a job that cannot be read");
    let (Some(id), Some(token)) = (job.id(), job.token()) else { return };
    let client = runner.client.job(id, token.clone());
    let text = format!("ERROR: this runner cannot read the job's description: {job}\n");
    let _ = client.patch_trace(0, text.into(), false).await;
    let outcome = client.update(&JobUpdate::failed(FailureReason::RunnerSystemFailure)).await;
    if let Some(error) = outcome.error {
        tracing::error!(job = id, error = %chain(&error), "an unreadable job could not be reported");
    }
}

/// Waits for `time`, or until a slot frees or the manager stops.
async fn pause(runner: &RunnerContext, shared: &Shared, time: Duration) {
    let mut capacity = runner.provider.capacity();
    capacity.mark_unchanged();
    tokio::select! {
        () = sleep(time) => {}
        () = shared.freed.notified() => {}
        Ok(()) = capacity.changed() => {}
        () = shared.stop.cancelled() => {}
    }
}

/// An error with everything below it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        below = error.source();
    }
    text
}
