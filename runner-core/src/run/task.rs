//! The task of one job.

use runner_api::{FailureReason, JobUpdate};
use tokio::sync::watch;

use super::JobControl;
use super::context::JobTask;
use super::deliver::deliver;
use super::life::live;
use super::open::{open_log, open_sender};
use super::record::Record;
use super::report::Failure;
use super::words::Words;
use crate::journal::{CancelState, Progress, Verdict};
use crate::log::{Acknowledgement, Directive, JobLog, LogError, TraceSender};

/// Runs an accepted job to its end.
pub(crate) async fn run_job(task: &JobTask) {
    let mut record = Record::new(
        task.runner.journal.clone(),
        task.assignment.key.clone(),
        task.control.clone(),
        Progress::default(),
    );
    let (log, log_task, _) = match open_log(task).await {
        Ok(opened) => opened,
        Err(error) => {
            refuse(task, &record, &error).await;
            return;
        }
    };
    let (sender, sender_task) = open_sender(task, &log);
    // GitLab takes no log of a job that nobody has accepted, so the sender starts after that.
    let acknowledged = sender.acknowledge().await;
    if acknowledged == Acknowledgement::Gone {
        tracing::info!(job = %task.assignment.key, "the job is not this runner's any more");
        record.remove();
        return;
    }
    let run = async {
        // The last handles: when they are dropped, the tasks beside this one end.
        let (log, sender) = (log, sender);
        let failure = match acknowledged {
            Acknowledgement::CancelRequested => Some(Failure::new(FailureReason::JobCanceled, "canceled")),
            Acknowledgement::Accepted | Acknowledgement::Gone => work(task, &log, &sender, &mut record).await,
        };
        let verdict = failure.as_ref().map_or(Verdict::SUCCESS, Failure::verdict);
        deliver(task, &log, &sender, &mut record, verdict).await;
    };
    tokio::join!(run, log_task.run(), sender_task.run());
}

/// Lives the job while listening to GitLab, and writes its last line.
async fn work(task: &JobTask, log: &JobLog, sender: &TraceSender, record: &mut Record) -> Option<Failure> {
    let words = Words::new(log.clone(), task.runner.clock.clone());
    let lived = tokio::select! {
        lived = live(task, log, record) => lived,
        never = obey(sender.directive(), &task.control) => match never {},
    };
    let failure = match lived {
        Ok(failure) => failure,
        Err(error) => {
            tracing::error!(job = %task.assignment.key, %error, "the job's log cannot be written");
            Some(Failure::new(FailureReason::RunnerSystemFailure, error.to_string()))
        }
    };
    let last = match &failure {
        None => words.info("Job succeeded").await,
        Some(failure) => words.error(&failure.to_string()).await,
    };
    if let Err(error) = last {
        tracing::warn!(job = %task.assignment.key, %error, "the last line of the log is lost");
    }
    failure
}

/// Passes GitLab's wishes on.
async fn obey(mut directive: watch::Receiver<Directive>, control: &JobControl) -> std::convert::Infallible {
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

/// Gives a job back whose log cannot be kept: nothing has been started for it.
async fn refuse(task: &JobTask, record: &Record, error: &LogError) {
    tracing::error!(job = %task.assignment.key, %error, "the job's log cannot be opened; the job is given back as failed");
    let reason = FailureReason::RunnerSystemFailure.for_server(&task.job().features.failure_reasons);
    let client = task.runner.client.job(task.job().id, task.job().token.clone());
    // Accepted first, because GitLab takes no end of a job that nobody has accepted.
    client.update(&JobUpdate::running()).await;
    if let Some(error) = client.update(&JobUpdate::failed(reason)).await.error {
        tracing::error!(job = %task.assignment.key, %error, "the failure could not be reported");
        return;
    }
    record.remove();
}
