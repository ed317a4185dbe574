//! Resolving a job that an earlier process accepted: it goes on where it is, if that is possible. If not, its tail is saved, its
//! end reported, its remains removed.
//!
//! | What is written down | What becomes of the job |
//! | --- | --- |
//! | a verdict | GitLab is told |
//! | nothing outside | it is run from the beginning |
//! | an outcome | its place is cleaned up, GitLab is told |
//! | a place that is there | it goes on |
//! | a handle, but no prepared place | what is there of it is removed, then it is prepared again |
//! | a place that is gone, or is not ours | reported: as its scripts had failed; as it was asked to end; as a system failure |
//! | a place of an executor without adoption, or an entry of format 1 | ended, and reported in the same way |

use runner_api::FailureReason;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::JobControl;
use super::cleanup::clean_up;
use super::context::JobTask;
use super::deliver::{deliver, give_back};
use super::detach::or_detached;
use super::find::{Found, find};
use super::guard::guarded;
use super::life::{live, live_on};
use super::limits::{LONGEST, Limits, TimeLimit};
use super::open::{Opened, open_log};
use super::record::Record;
use super::stage::StageRun;
use super::task::{attend, begin, last_line, rescue};
use crate::executor::{CleanupReason, Environment, EnvironmentError};
use crate::journal::{CancelState, Failure, Limited, Progress, Verdict};
use crate::log::{Acknowledgement, JobLog, LogError};
use crate::observe::{Happening, Report};

/// Resolves one entry of the journal. It is gone then, or kept because GitLab could not be told, or because the job was detached from.
///
/// `settled` is dropped as soon as it is known what becomes of the job, or nothing of it is left: the runner takes new ones then.
pub(crate) async fn resolve_job(task: &JobTask, progress: Progress, settled: oneshot::Sender<()>) {
    if let Some(wish) = progress.cancel {
        task.control.request(wish);
    }
    let record = Record::of(task, progress);
    task.tell(Happening::Inherited);
    if let Err(panic) = guarded(attempt(task, &record, settled)).await {
        tracing::error!(job = %task.assignment.key, %panic, "resolving a job of an earlier process panicked");
        rescue(task, &record, &panic).await;
    }
}

async fn attempt(task: &JobTask, record: &Record, settled: oneshot::Sender<()>) {
    let key = &task.assignment.key;
    let progress = record.progress();
    let adoptable = task.runner.provider.adopter().is_some() || progress.outcome.is_some();
    let goes_on = progress.verdict.is_none() && task.can_go_on();
    if goes_on && progress.handle.is_none() && progress.outcome.is_none() {
        tracing::info!(job = %key, "a job of an earlier process that had not begun is run");
        drop(settled);
        return begin(task, record).await;
    }
    match open_log(task).await {
        Ok(opened) if goes_on && adoptable => {
            attend(task, record, opened, async |log| go_on(task, &log, record, settled).await).await;
        }
        Ok(opened) => end_and_tell(task, record, opened, settled).await,
        Err(error) => {
            tracing::error!(job = %key, %error, "the log of a job of an earlier process cannot be opened");
            let verdict = end(task, record, None).await;
            drop(settled);
            give_back(task, record, verdict, None).await;
        }
    }
}

/// Goes on with a job where it is; `None` is success.
async fn go_on(
    task: &JobTask,
    log: &JobLog,
    record: &Record,
    settled: oneshot::Sender<()>,
) -> Result<Option<Failure>, LogError> {
    let key = &task.assignment.key;
    let progress = record.progress();
    let found = find(task, &progress, settled).await;
    if let Some(outcome) = progress.outcome {
        if let Found::Live(environment) = found {
            clean_up(environment.as_ref(), key, CleanupReason::JobEnded).await;
        }
        return Ok(outcome.failure);
    }
    match found {
        Found::Live(environment) => {
            tracing::info!(job = %key, stage = ?progress.stage.map(|stage| stage.to_string()), "a job of an earlier process goes on");
            live_on(task, log, record, environment).await
        }
        Found::Gone(error) if progress.place.is_none() => {
            // It was never made, or not to its end.
            tracing::info!(job = %key, %error, "a job of an earlier process that had no place yet is run");
            live(task, log, record).await
        }
        Found::Gone(error) => Ok(Some(cut_off(&progress, Some(&error)))),
        Found::Nothing => Ok(Some(cut_off(&progress, None))),
    }
}

/// Ends what is left of a job, and tells GitLab.
async fn end_and_tell(task: &JobTask, record: &Record, opened: Opened, settled: oneshot::Sender<()>) {
    let key = &task.assignment.key;
    let cut = CancellationToken::new();
    opened
        .with(cut.clone(), |log, sender| async move {
            let whole = Box::pin(async {
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
            });
            or_detached(task, record, &log, &cut, whole).await;
        })
        .await;
}

/// Ends what is left of a job; how it is reported. Nothing is left when everything was done but telling GitLab.
async fn end(task: &JobTask, record: &Record, log: Option<&JobLog>) -> Verdict {
    let progress = record.progress();
    if let Some(verdict) = progress.verdict {
        return verdict;
    }
    let gone = end_environment(task, record, log).await;
    let failure = match progress.outcome {
        Some(outcome) => outcome.failure,
        None => Some(cut_off(&progress, gone.as_ref())),
    };
    if let Some(log) = log {
        last_line(task, log, failure.as_ref()).await;
    }
    failure.as_ref().map_or(Verdict::SUCCESS, Failure::verdict)
}

/// How a job is reported whose run was cut off, perhaps because its place is `gone`.
fn cut_off(progress: &Progress, gone: Option<&EnvironmentError>) -> Failure {
    let script =
        progress.script.as_ref().and_then(|script| Some((script.failure.clone()?, script.exit_code)));
    if let Some((reason, exit_code)) = script {
        let text = match exit_code {
            Some(code) => format!("exit code {code}"),
            None => format!("{reason}"),
        };
        return Failure { reason, exit_code, text };
    }
    match (progress.cancel, gone) {
        (Some(CancelState::Graceful | CancelState::Abort), _) => {
            Failure::new(FailureReason::JobCanceled, "canceled")
        }
        (Some(CancelState::Interrupted | CancelState::InterruptedAtOnce), _) => {
            Failure::new(FailureReason::RunnerInterrupted, "aborted: the runner was stopped")
        }
        (None, Some(error)) => {
            let Failure { text, .. } = Failure::of_environment(error);
            let text =
                format!("the runner was restarted while this job ran, and its place did not survive: {text}");
            Failure::new(FailureReason::RunnerSystemFailure, text)
        }
        (None, None) => Failure::new(
            FailureReason::RunnerSystemFailure,
            "the runner was restarted while this job ran; jobs of its kind are not continued after a restart",
        ),
    }
}

/// Ends what the job left running, takes its last output, removes what it left. Why it is gone, if it is.
async fn end_environment(task: &JobTask, record: &Record, log: Option<&JobLog>) -> Option<EnvironmentError> {
    let key = &task.assignment.key;
    let progress = record.progress();
    tracing::warn!(job = %key, "a job of an earlier process is ended");
    let (unsettled, _) = oneshot::channel();
    let environment = match find(task, &progress, unsettled).await {
        Found::Live(environment) => environment,
        Found::Gone(error) => return Some(error),
        Found::Nothing => return None,
    };
    if let (Some(log), Some(_)) = (log, &progress.stage)
        && let Err(error) = save_tail(task, environment.as_ref(), log, record).await
    {
        tracing::error!(job = %key, %error, "the last output of the job is lost");
    }
    clean_up(environment.as_ref(), key, CleanupReason::Abandoned).await;
    None
}

/// Asks the stage to end, and takes what it printed until then.
async fn save_tail(
    task: &JobTask,
    environment: &dyn Environment,
    log: &JobLog,
    record: &Record,
) -> Result<(), LogError> {
    let Some(key) = &record.progress().stage else { return Ok(()) };
    let control = JobControl::new();
    control.request(CancelState::InterruptedAtOnce);
    let run = StageRun {
        environment,
        log,
        control: &control,
        record,
        key,
        limits: Limits {
            job: TimeLimit::from_now(Limited::Job, LONGEST),
            stage: None,
            least: CancelState::Graceful,
        },
        grace: task.runner.settings.grace,
    };
    run.resume().await.map(drop)
}
