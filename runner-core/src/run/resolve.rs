//! Resolving a job that an earlier process accepted: its tail is saved, its end reported, its remains removed.
//!
//! Going on with such a job is the next step of this module; the journal holds what is needed for it. Today a job that was
//! running is ended, and reported: as its script had ended, if that failed; as it was asked to end, if it was; otherwise as a
//! system failure.

use std::time::Duration;

use runner_api::FailureReason;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::JobControl;
use super::cleanup::clean_up;
use super::context::JobTask;
use super::deliver::{deliver, give_back};
use super::guard::guarded;
use super::limits::{LONGEST, Limits, TimeLimit};
use super::open::open_log;
use super::record::Record;
use super::report::Failure;
use super::stage::StageRun;
use super::task::rescue;
use super::words::Words;
use crate::executor::{Adoption, CleanupReason, Environment};
use crate::journal::{CancelState, Progress, Verdict};
use crate::log::{Acknowledgement, JobLog, LogError};
use crate::observe::{Happening, Report};

/// Tries of finding an environment that cannot be told yet, with a pause between them.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);
/// How long one of them may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Resolves one entry of the journal. It is gone then, or kept because GitLab could not be told.
///
/// `settled` is dropped as soon as nothing of the job runs or exists any more: what is left then is to tell GitLab.
pub(crate) async fn resolve_job(task: &JobTask, progress: Progress, settled: oneshot::Sender<()>) {
    let record = Record::of(task, progress);
    task.tell(Happening::Inherited);
    if let Err(panic) = guarded(attempt(task, &record, settled)).await {
        tracing::error!(job = %task.assignment.key, %panic, "resolving a job of an earlier process panicked");
        rescue(task, &record, &panic).await;
    }
}

async fn attempt(task: &JobTask, record: &Record, settled: oneshot::Sender<()>) {
    let key = &task.assignment.key;
    let opened = match open_log(task).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(job = %key, %error, "the log of a job of an earlier process cannot be opened");
            let verdict = end(task, record, None).await;
            drop(settled);
            return give_back(task, record, verdict, None).await;
        }
    };
    opened
        .with(|log, sender| async move {
            let verdict = end(task, record, Some(&log)).await;
            drop(settled);
            // The earlier process may have died before GitLab heard from it, and GitLab takes no end of a job that nobody
            // accepted.
            if sender.acknowledge().await == Acknowledgement::Gone {
                tracing::info!(job = %key, "GitLab wants nothing more of a job of an earlier process");
                if let Err(error) = log.remove().await {
                    tracing::warn!(job = %key, %error, "the log cannot be removed");
                }
                record.remove();
                let why = "the job is not this runner's any more".to_owned();
                return task.tell(Happening::Reported(Report::Unwanted(why)));
            }
            deliver(task, &log, &sender, record, verdict).await;
        })
        .await;
}

/// Ends what is left of a job; how it is reported. Nothing is left when everything was done but telling GitLab.
async fn end(task: &JobTask, record: &Record, log: Option<&JobLog>) -> Verdict {
    let progress = record.progress();
    if let Some(verdict) = progress.verdict {
        return verdict;
    }
    end_environment(task, &progress, log).await;
    let failure = outcome(&progress);
    if let Some(log) = log {
        let words = Words::new(log.clone(), task.runner.clock.clone());
        if let Err(error) = words.last(Some(&failure)).await {
            tracing::warn!(job = %task.assignment.key, %error, "the last line of the log is lost");
        }
    }
    failure.verdict()
}

/// How a job is reported whose run was cut off.
fn outcome(progress: &Progress) -> Failure {
    let script =
        progress.script.as_ref().and_then(|script| Some((script.failure.clone()?, script.exit_code)));
    if let Some((reason, exit_code)) = script {
        let text = match exit_code {
            Some(code) => format!("exit code {code}"),
            None => format!("{reason}"),
        };
        return Failure { reason, exit_code, text };
    }
    match progress.cancel {
        Some(CancelState::Graceful | CancelState::Abort) => {
            Failure::new(FailureReason::JobCanceled, "canceled")
        }
        Some(CancelState::Interrupted | CancelState::InterruptedAtOnce) => {
            Failure::new(FailureReason::RunnerInterrupted, "aborted: the runner was stopped")
        }
        None => Failure::new(
            FailureReason::RunnerSystemFailure,
            "the runner was restarted while this job ran, and jobs are not continued after a restart",
        ),
    }
}

/// Ends what the job left running, takes its last output, removes what it left.
async fn end_environment(task: &JobTask, progress: &Progress, log: Option<&JobLog>) {
    let key = &task.assignment.key;
    tracing::warn!(job = %key, "a job of an earlier process is ended");
    let Some(environment) = find(task, progress).await else { return };
    if let (Some(log), Some(_)) = (log, &progress.stage)
        && let Err(error) = save_tail(task, environment.as_ref(), log, progress).await
    {
        tracing::error!(job = %key, %error, "the last output of the job is lost");
    }
    clean_up(environment.as_ref(), key, CleanupReason::Abandoned).await;
}

/// The environment of the job, if it can still be reached.
async fn find(task: &JobTask, progress: &Progress) -> Option<Box<dyn Environment>> {
    let key = &task.assignment.key;
    let handle = progress.handle.as_ref()?;
    let adopter = task.runner.provider.adopter()?;
    let context = task.context();
    for _ in 0..TRIES {
        match timeout(ANSWER, adopter.adopt(handle, &context)).await {
            Ok(Ok(Adoption::Live(environment))) => return Some(environment),
            Ok(Ok(Adoption::RetryLater(error))) => {
                tracing::debug!(job = %key, %error, "the job's place cannot be told yet");
            }
            Ok(Ok(Adoption::Gone(error))) => {
                tracing::info!(job = %key, %error, "the job's place is gone");
                return None;
            }
            Ok(Ok(Adoption::NotOurs)) => {
                tracing::warn!(job = %key, "something else is where the job's place should be; it is left alone");
                return None;
            }
            Ok(Err(error)) => {
                tracing::warn!(job = %key, %error, "the job's place cannot be found again");
                return None;
            }
            Err(_) => tracing::debug!(job = %key, "looking for the job's place does not end"),
        }
        sleep(PAUSE).await;
    }
    None
}

/// Asks the stage to end, and takes what it printed until then.
async fn save_tail(
    task: &JobTask,
    environment: &dyn Environment,
    log: &JobLog,
    progress: &Progress,
) -> Result<(), LogError> {
    let Some(key) = &progress.stage else { return Ok(()) };
    let control = JobControl::new();
    control.request(CancelState::InterruptedAtOnce);
    let run = StageRun {
        environment,
        log,
        control: &control,
        key,
        limits: Limits {
            job: TimeLimit::from_now("the rest of the job", LONGEST),
            stage: None,
            least: CancelState::Graceful,
        },
        grace: task.runner.settings.grace,
    };
    run.resume().await.map(drop)
}
