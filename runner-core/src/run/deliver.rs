//! Bringing a job's end to GitLab.

use runner_api::FailureReason;

use super::context::JobTask;
use super::record::Record;
use crate::journal::Verdict;
use crate::log::{Delivery, FinalState, JobLog, TraceSender};

/// Writes the verdict down, then tells GitLab the rest of the log and the final state, until it has both. The record is
/// removed then, and kept for the next start when GitLab could not be told.
pub(super) async fn deliver(
    task: &JobTask,
    log: &JobLog,
    sender: &TraceSender,
    record: &mut Record,
    verdict: Verdict,
) {
    record.update(|progress| progress.verdict = Some(verdict.clone()));
    let finished = async {
        log.finish().await?;
        log.sync().await
    };
    if let Err(error) = finished.await {
        // What is on the disk already is sent all the same.
        tracing::error!(job = %task.assignment.key, %error, "the end of the job's log is lost");
    }
    let key = &task.assignment.key;
    match sender.finish(final_state(&verdict, &task.job().features.failure_reasons)).await {
        Delivery::Delivered => {
            tracing::info!(job = %key, failure = ?verdict.failure, exit_code = verdict.exit_code, "job finished");
            record.remove();
        }
        Delivery::RejectedByServer(why) => {
            tracing::info!(job = %key, %why, "GitLab wants nothing more of this job");
            record.remove();
        }
        Delivery::GivenUp(why) => {
            tracing::error!(job = %key, %why, "the job's end could not be reported; it is kept for the next start");
        }
        Delivery::Interrupted => {
            tracing::error!(job = %key, "reporting the job's end was interrupted; it is kept for the next start");
        }
    }
}

/// The verdict in words that the server knows.
fn final_state(verdict: &Verdict, known: &[FailureReason]) -> FinalState {
    match &verdict.failure {
        None => FinalState::Success,
        Some(reason) => FinalState::Failed { reason: reason.for_server(known), exit_code: verdict.exit_code },
    }
}
