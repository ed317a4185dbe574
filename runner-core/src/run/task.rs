//! The task of one job.

use std::convert::Infallible;

use runner_api::FailureReason;
use tokio::sync::watch;

use super::JobControl;
use super::context::JobTask;
use super::deliver::{deliver, give_back};
use super::guard::{Panic, guarded};
use super::life::live;
use super::open::open_log;
use super::record::Record;
use super::report::Failure;
use super::words::Words;
use crate::errors::chain;
use crate::journal::{CancelState, Progress, Verdict};
use crate::log::{Acknowledgement, Directive, JobLog, TraceSender};
use crate::observe::{Happening, Report};

/// Runs an accepted job to its end. A panic in it fails the job and goes no further.
pub(crate) async fn run_job(task: &JobTask) {
    let record = Record::of(task, Progress::default());
    if let Err(panic) = guarded(attempt(task, &record)).await {
        tracing::error!(job = %task.assignment.key, %panic, "the run of a job panicked");
        rescue(task, &record, &panic).await;
    }
}

/// Reports a job whose run panicked where nothing else could report it.
pub(super) async fn rescue(task: &JobTask, record: &Record, panic: &Panic) {
    let verdict = record.progress().verdict.unwrap_or_else(|| Failure::of_panic(panic).verdict());
    give_back(task, record, verdict, None).await;
}

async fn attempt(task: &JobTask, record: &Record) {
    let opened = match open_log(task).await {
        Ok(opened) => opened,
        Err(error) => {
            let error = chain(&error);
            tracing::error!(job = %task.assignment.key, %error, "the job's log cannot be opened; the job is given back");
            let verdict = Verdict::failed(FailureReason::RunnerSystemFailure);
            give_back(task, record, verdict, Some(error)).await;
            return;
        }
    };
    // GitLab takes no log of a job that nobody has accepted, so the sender starts after that.
    let acknowledged = opened.sender.acknowledge().await;
    if acknowledged == Acknowledgement::Gone {
        let why = "the job is not this runner's any more";
        tracing::info!(job = %task.assignment.key, "{why}");
        record.remove();
        return task.tell(Happening::Reported(Report::Unwanted(why.to_owned())));
    }
    task.tell(Happening::Acknowledged);
    opened
        .with(|log, sender| async move {
            let words = Words::new(log.clone(), task.runner.clock.clone());
            let failure = match acknowledged {
                Acknowledgement::CancelRequested => {
                    Some(Failure::new(FailureReason::JobCanceled, "canceled"))
                }
                Acknowledgement::Accepted | Acknowledgement::Gone => {
                    Box::pin(work(task, &log, &sender, record)).await
                }
            };
            if let Err(error) = words.last(failure.as_ref()).await {
                tracing::warn!(job = %task.assignment.key, %error, "the last line of the log is lost");
            }
            let verdict = failure.as_ref().map_or(Verdict::SUCCESS, Failure::verdict);
            deliver(task, &log, &sender, record, verdict).await;
        })
        .await;
}

/// Lives the job while listening to GitLab; `None` is success.
async fn work(task: &JobTask, log: &JobLog, sender: &TraceSender, record: &Record) -> Option<Failure> {
    let lived = tokio::select! {
        biased;
        lived = guarded(live(task, log, record)) => lived,
        never = obey(sender.directive(), &task.control) => match never {},
        never = record.note_wishes() => match never {},
    };
    let key = &task.assignment.key;
    match lived {
        Ok(Ok(failure)) => failure,
        Ok(Err(error)) => {
            let error = chain(&error);
            tracing::error!(job = %key, %error, "the job's log cannot be written");
            Some(Failure::new(FailureReason::RunnerSystemFailure, error))
        }
        Err(panic) => {
            tracing::error!(job = %key, %panic, "the run of a job panicked");
            Some(Failure::of_panic(&panic))
        }
    }
}

/// Passes GitLab's wishes on.
async fn obey(mut directive: watch::Receiver<Directive>, control: &JobControl) -> Infallible {
    loop {
        match *directive.borrow_and_update() {
            Directive::Run => {}
            Directive::Cancel => control.request(CancelState::Graceful),
            Directive::Abort => control.request(CancelState::Abort),
        }
        if directive.changed().await.is_err() {
            // Nobody speaks any more; the job goes on.
            std::future::pending::<()>().await;
        }
    }
}
