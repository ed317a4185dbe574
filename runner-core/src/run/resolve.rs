//! Resolving a job that an earlier process accepted: its tail is saved, its end reported, its remains removed.
//!
//! Going on with such a job is the next step of this module; the journal holds what is needed for it. Today a job that was
//! running is ended, and reported as a system failure.

use std::time::Duration;

use futures_util::StreamExt;
use runner_api::FailureReason;
use tokio::time::{Instant, sleep, timeout_at};

use super::context::JobTask;
use super::deliver::deliver;
use super::open::{open_log, open_sender};
use super::record::Record;
use super::report::Failure;
use super::words::Words;
use crate::executor::{
    Adoption, CleanupReason, Environment, EnvironmentError, FollowEvent, JobContext, StageKey, StageStatus,
    Stop,
};
use crate::journal::{Progress, Verdict};
use crate::log::{JobLog, LogError};
use crate::variables::Variables;

/// How long the stage of a lost job gets to end once it is asked to, beyond the grace.
const MARGIN: Duration = Duration::from_secs(10);
const CLEANUP: Duration = Duration::from_secs(60);
/// Tries of finding an environment that cannot be told yet, with a pause between them.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// It was taken care of.
    Done,
    /// Its log cannot be opened; it was left alone.
    Left,
}

/// Resolves one entry of the journal.
pub(crate) async fn resolve_job(task: &JobTask, progress: Progress) -> Resolution {
    let key = &task.assignment.key;
    let verdict = progress.verdict.clone();
    let mut record = Record::new(task.runner.journal.clone(), key.clone(), task.control.clone(), progress);
    let (log, log_task, _) = match open_log(task).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(job = %key, %error, "a job of an earlier process is left alone: its log cannot be opened");
            return Resolution::Left;
        }
    };
    let (sender, sender_task) = open_sender(task, &log);
    let run = async {
        let (log, sender) = (log, sender);
        let verdict = match verdict {
            // Everything was done but telling GitLab.
            Some(verdict) => verdict,
            None => abandon(task, &log, &mut record).await,
        };
        deliver(task, &log, &sender, &mut record, verdict).await;
    };
    tokio::join!(run, log_task.run(), sender_task.run());
    Resolution::Done
}

/// Ends a job that was running when the earlier process died.
async fn abandon(task: &JobTask, log: &JobLog, record: &mut Record) -> Verdict {
    let key = &task.assignment.key;
    tracing::warn!(job = %key, "a job of an earlier process is ended and reported as a system failure");
    if let Some(environment) = find(task, record.progress()).await {
        let grace = task.runner.settings.grace;
        if let Some(stage) = &record.progress().stage
            && let Err(error) = save_tail(environment.as_ref(), log, stage, grace).await
        {
            tracing::error!(job = %key, %error, "the last output of the job is lost");
        }
        match environment.cleanup(CleanupReason::Abandoned, CLEANUP).await {
            Ok(remains) => remains.items.iter().for_each(
                |item| tracing::warn!(job = %key, remains = %item, "cleaning up left something behind"),
            ),
            Err(error) => tracing::warn!(job = %key, %error, "cleaning up failed"),
        }
    }
    let failure = Failure::new(
        FailureReason::RunnerSystemFailure,
        "the runner was restarted while this job ran, and jobs are not continued after a restart",
    );
    let words = Words::new(log.clone(), task.runner.clock.clone());
    if let Err(error) = words.error(&failure.to_string()).await {
        tracing::warn!(job = %key, %error, "the last line of the log is lost");
    }
    failure.verdict()
}

/// The environment of the job, if it can still be reached.
async fn find(task: &JobTask, progress: &Progress) -> Option<Box<dyn Environment>> {
    let key = &task.assignment.key;
    let handle = progress.handle.as_ref()?;
    let adopter = task.runner.provider.adopter()?;
    let context = JobContext {
        key: key.clone(),
        job: task.job.clone(),
        variables: Variables::build(&task.variable_inputs(), None),
        slots: task.assignment.slots,
        timeout: task.job().runner_info.job_timeout(),
    };
    for _ in 0..TRIES {
        match adopter.adopt(handle, &context).await {
            Ok(Adoption::Live(environment)) => return Some(environment),
            Ok(Adoption::RetryLater(error)) => {
                tracing::debug!(job = %key, %error, "the job's place cannot be told yet");
                sleep(PAUSE).await;
            }
            Ok(Adoption::Gone(error)) => {
                tracing::info!(job = %key, %error, "the job's place is gone");
                return None;
            }
            Ok(Adoption::NotOurs) => {
                tracing::warn!(job = %key, "something else is where the job's place should be; it is left alone");
                return None;
            }
            Err(error) => {
                tracing::warn!(job = %key, %error, "the job's place cannot be found again");
                return None;
            }
        }
    }
    None
}

/// Asks the stage to end, and takes what it printed until then.
async fn save_tail(
    environment: &dyn Environment,
    log: &JobLog,
    stage: &StageKey,
    grace: Duration,
) -> Result<(), LogError> {
    if let Err(error) = environment.stop(stage, Stop::Terminate { grace }).await {
        tracing::warn!(%stage, %error, "the request to stop a stage may not have arrived");
    }
    let deadline = Instant::now() + grace + MARGIN;
    let mut failures = 0;
    while failures < TRIES {
        let mut events = environment.follow(stage, log.offset(stage));
        let broken: EnvironmentError = loop {
            match timeout_at(deadline, events.next()).await {
                Ok(Some(FollowEvent::Frame(frame))) => log.append(stage, frame).await?,
                Ok(Some(FollowEvent::Ended(_)) | None) | Err(_) => return log.flush_stage(stage).await,
                Ok(Some(FollowEvent::Broken(error))) => break error,
            }
        };
        match environment.status(stage).await {
            Ok(StageStatus::NotStarted | StageStatus::Lost(_)) => break,
            _ => tracing::debug!(%stage, error = %broken, "following a stage broke off"),
        }
        failures += 1;
        sleep(PAUSE).await;
    }
    log.flush_stage(stage).await
}
