//! Finding the place of a job again.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::context::JobTask;
use crate::executor::{Adoption, Cause, Environment, EnvironmentError};
use crate::journal::{CancelState, Progress};

/// Pause before the second try; doubled up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one try may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How long it is looked for a place of a job whose time is over, or that is to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a job's place.
#[derive(Debug)]
pub(super) enum Found {
    /// It is there.
    Live(Box<dyn Environment>),
    /// It is gone, is not ours, or cannot be reached any more.
    Gone(EnvironmentError),
    /// There is nothing to look for, or nobody who could.
    Nothing,
}

/// Looks for the environment of a job of an earlier process. While it cannot be told it is looked for again, as long as the job has
/// time.
///
/// `settled` is dropped as soon as that may take longer.
pub(super) async fn find(task: &JobTask, progress: &Progress, settled: oneshot::Sender<()>) -> Found {
    let key = &task.assignment.key;
    let (Some(handle), Some(adopter)) = (&progress.handle, task.runner.provider.adopter()) else {
        return Found::Nothing;
    };
    let context = task.context();
    let mut settled = Some(settled);
    let mut pause = FIRST_PAUSE;
    let mut since = None;
    loop {
        let problem = match timeout(ANSWER, adopter.adopt(handle, &context)).await {
            Ok(Ok(Adoption::Live(environment))) => return Found::Live(environment),
            Ok(Ok(Adoption::Gone(error))) => {
                tracing::info!(job = %key, %error, "the job's place is gone");
                return Found::Gone(error);
            }
            Ok(Ok(Adoption::NotOurs)) => {
                tracing::warn!(job = %key, "something else is where the job's place should be; it is left alone");
                let text = "something else is where the job's place should be";
                return Found::Gone(EnvironmentError::new(Cause::System, text).retriable(false));
            }
            Ok(Err(error)) => {
                tracing::warn!(job = %key, %error, "the job's place cannot be found again");
                return Found::Gone(error);
            }
            Ok(Ok(Adoption::RetryLater(error))) => {
                tracing::debug!(job = %key, %error, "the job's place cannot be told yet");
                Some(error)
            }
            Err(_) => {
                tracing::debug!(job = %key, "looking for the job's place does not end");
                None
            }
        };
        drop(settled.take());
        let unwanted = task.control.state().is_some() || task.is_out_of_time(progress);
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        if !unwanted {
            since = None;
        } else if waited > PATIENCE {
            return problem.map_or(Found::Nothing, Found::Gone);
        }
        tokio::select! {
            biased;
            // It is wanted even less then.
            _ = task.control.requested(CancelState::Abort), if !unwanted => {}
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
