//! Bringing a job's end to GitLab.

use runner_api::FailureReason;

use super::context::JobTask;
use super::record::Record;
use super::refuse::Refusal;
use crate::journal::Verdict;
use crate::log::{Delivery, FinalState, JobLog, TraceSender};
use crate::observe::{Happening, Report};

/// Writes the verdict down, then tells GitLab the rest of the log and the final state, until it has both. The record is
/// removed then, and kept for the next start when GitLab could not be told.
pub(super) async fn deliver(
    task: &JobTask,
    log: &JobLog,
    sender: &TraceSender,
    record: &Record,
    verdict: Verdict,
) {
    let key = &task.assignment.key;
    // The log first: whoever finds the verdict delivers it with the log as it is then, and nothing must be missing.
    if let Err(error) = log.finish().await {
        // What was published already is sent all the same.
        tracing::error!(job = %key, %error, "the end of the job's log is lost");
    }
    record.update(|progress| progress.verdict = Some(verdict.clone()));
    let kept = async {
        if let Err(error) = log.sync().await {
            tracing::warn!(job = %key, %error, "the end of the job's log may not survive the end of this machine");
        }
    };
    let told = sender.finish(final_state(&verdict, &task.job().features.failure_reasons));
    // Beside each other: what GitLab has got needs no disk any more, and while it cannot be told there is time.
    tokio::pin!(told);
    let delivery = tokio::select! {
        delivery = &mut told => delivery,
        () = kept => told.await,
    };
    match delivery {
        Delivery::Delivered => {
            tracing::info!(job = %key, failure = ?verdict.failure, exit_code = verdict.exit_code, "job finished");
            record.remove();
            task.tell(Happening::Reported(Report::Delivered));
        }
        Delivery::RejectedByServer(why) => {
            tracing::info!(job = %key, %why, "GitLab wants nothing more of this job");
            record.remove();
            task.tell(Happening::Reported(Report::Unwanted(why)));
        }
        Delivery::GivenUp(why) => {
            tracing::error!(job = %key, %why, "the job's end could not be reported; it is kept for the next start");
            task.tell(Happening::Reported(Report::Kept(why)));
        }
        // The sender ended before its time: the state at least is told without it.
        Delivery::Interrupted => {
            tracing::error!(job = %key, "sending the job's log was interrupted");
            give_back(task, record, verdict, None).await;
        }
    }
}

/// Tells GitLab the end of a job whose log cannot be sent. The record is removed when GitLab knows.
pub(super) async fn give_back(task: &JobTask, record: &Record, verdict: Verdict, text: Option<String>) {
    let known = &task.job().features.failure_reasons;
    let refusal = Refusal { verdict, known, text, tries: task.runner.settings.final_update_tries };
    let report = if refusal.tell(&task.client()).await {
        record.remove();
        Report::Delivered
    } else {
        Report::Kept("GitLab could not be told of the job's end".to_owned())
    };
    task.tell(Happening::Reported(report));
}

/// The verdict in words that the server knows.
fn final_state(verdict: &Verdict, known: &[FailureReason]) -> FinalState {
    match &verdict.failure {
        None => FinalState::Success,
        Some(reason) => FinalState::Failed { reason: reason.for_server(known), exit_code: verdict.exit_code },
    }
}
