//! The task of one job.

use std::convert::Infallible;

use runner_api::FailureReason;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::JobControl;
use super::context::JobTask;
use super::deliver::{deliver, give_back};
use super::detach::or_detached;
use super::guard::{Panic, guarded};
use super::life::live;
use super::open::{Opened, open_log};
use super::record::Record;
use crate::errors::chain;
use crate::journal::{CancelState, Failure, Progress, Verdict};
use crate::log::{Acknowledgement, Directive, JobLog, LineKind, LogError, TraceSender};
use crate::observe::{Happening, Report};

/// Runs an accepted job to its end. A panic in it fails the job and goes no further.
pub(crate) async fn run_job(task: &JobTask) {
    let record = Record::of(task, Progress::default());
    if let Err(panic) = guarded(begin(task, &record)).await {
        tracing::error!(job = %task.assignment.key, %panic, "the run of a job panicked");
        rescue(task, &record, &panic).await;
    }
}

/// Reports a job whose run panicked where nothing else could report it.
pub(super) async fn rescue(task: &JobTask, record: &Record, panic: &Panic) {
    let verdict = record.progress().verdict.unwrap_or_else(|| Failure::of_panic(panic).verdict());
    give_back(task, record, verdict, None).await;
}

/// Accepts a job of which nothing exists outside, and lives it.
pub(super) async fn begin(task: &JobTask, record: &Record) {
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
    let acknowledged = tokio::select! {
        biased;
        acknowledged = opened.sender.acknowledge() => acknowledged,
        () = task.control.detached() => {
            tracing::info!(job = %task.assignment.key, "left to the next start before it began");
            return;
        }
    };
    match acknowledged {
        Acknowledgement::Gone => {
            let why = "the job is not this runner's any more";
            tracing::info!(job = %task.assignment.key, "{why}");
            record.remove();
            task.tell(Happening::Reported(Report::Unwanted(why.to_owned())));
        }
        Acknowledgement::CancelRequested => {
            task.tell(Happening::Acknowledged);
            let canceled = async |_: JobLog| Ok(Some(Failure::new(FailureReason::JobCanceled, "canceled")));
            attend(task, record, opened, canceled).await;
        }
        Acknowledgement::Accepted => {
            task.tell(Happening::Acknowledged);
            attend(task, record, opened, async |log| live(task, &log, record).await).await;
        }
    }
}

/// Lives an accepted job while log and line are worked, then tells its end. Detached from before that, it is left as it is.
pub(super) async fn attend(
    task: &JobTask,
    record: &Record,
    opened: Opened,
    life: impl AsyncFnOnce(JobLog) -> Result<Option<Failure>, LogError>,
) {
    let cut = CancellationToken::new();
    opened
        .with(cut.clone(), |log, sender| async move {
            let whole = Box::pin(async {
                let failure = work(task, record, &sender, life(log.clone())).await;
                tell(task, record, &log, &sender, failure.as_ref()).await;
            });
            or_detached(task, record, &log, &cut, whole).await;
        })
        .await;
}

/// Writes the last line of the log and brings the end to GitLab; `None` is success.
async fn tell(
    task: &JobTask,
    record: &Record,
    log: &JobLog,
    sender: &TraceSender,
    failure: Option<&Failure>,
) {
    last_line(task, log, failure).await;
    let verdict = failure.map_or(Verdict::SUCCESS, Failure::verdict);
    deliver(task, log, sender, record, verdict).await;
}

/// Says how the job ended.
pub(super) async fn last_line(task: &JobTask, log: &JobLog, failure: Option<&Failure>) {
    let last = match failure {
        None => log.last_line(LineKind::Info, "Job succeeded").await,
        Some(failure) => log.last_line(LineKind::Error, failure.to_string()).await,
    };
    if let Err(error) = last {
        tracing::warn!(job = %task.assignment.key, %error, "the last line of the log is lost");
    }
}

/// Lives the job while listening to GitLab; `None` is success.
async fn work(
    task: &JobTask,
    record: &Record,
    sender: &TraceSender,
    life: impl Future<Output = Result<Option<Failure>, LogError>>,
) -> Option<Failure> {
    let lived = tokio::select! {
        biased;
        lived = guarded(life) => lived,
        never = obey(sender.directive(), &task.control) => match never {},
        never = record.note_wishes() => match never {},
    };
    let key = &task.assignment.key;
    match lived {
        Ok(Ok(failure)) => failure,
        Ok(Err(error)) => {
            tracing::error!(job = %key, error = %chain(&error), "the job's log cannot be written");
            Some(Failure::of_log(&error))
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
