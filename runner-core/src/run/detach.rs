//! Leaving a job to the next process.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::context::JobTask;
use super::record::Record;
use crate::journal::{CancelState, Progress};
use crate::log::JobLog;

/// How long a job may take to be cleaned up and told whose scripts are over. The next process does what is left of that.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What can be done with a job that this process is to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The next process goes on with it, from wherever it is.
    Leave,
    /// It is as good as over.
    Finish,
    /// It ends with this process.
    Interrupt,
}

impl Way {
    fn of(task: &JobTask, progress: &Progress) -> Self {
        let adoptable = task.can_go_on() && task.runner.provider.adopter().is_some();
        match progress {
            Progress { verdict: Some(_), .. } => Self::Finish,
            Progress { outcome: Some(_), .. } if adoptable => Self::Finish,
            // Nothing of it exists outside.
            Progress { handle: None, .. } => Self::Leave,
            _ if adoptable => Self::Leave,
            _ => Self::Interrupt,
        }
    }
}

/// Attends to a job to its end, or until it is to be left to the next process and can be. What was appended to its log is safe
/// then; `cut` is canceled.
pub(super) async fn or_detached(
    task: &JobTask,
    record: &Record,
    log: &JobLog,
    cut: &CancellationToken,
    whole: impl Future<Output = ()>,
) {
    tokio::select! {
        biased;
        () = whole => return,
        () = let_go(task, record) => {}
    }
    // Nothing was lost by dropping: where the log ends the next process goes on.
    if let Err(error) = log.commit().await {
        tracing::error!(job = %task.assignment.key, %error, "the end of the job's log is not written; its output is read again by the next start");
    }
    tracing::info!(job = %task.assignment.key, "left to the next start");
    cut.cancel();
}

/// Waits until the job can be left.
async fn let_go(task: &JobTask, record: &Record) {
    let mut changes = record.changes();
    task.control.detached().await;
    let mut finish_until = None;
    loop {
        changes.mark_unchanged();
        let patience = match Way::of(task, &record.progress()) {
            Way::Leave => return,
            Way::Finish => Some(*finish_until.get_or_insert_with(|| Instant::now() + LAST_WORDS)),
            Way::Interrupt => {
                task.control.request(CancelState::Interrupted);
                None
            }
        };
        let out_of_patience = async {
            match patience {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = out_of_patience => return,
            _ = changes.changed() => {}
        }
    }
}
