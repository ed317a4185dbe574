//! Failing a job without a log: one that cannot be run at all.

use std::time::Duration;

use runner_api::{FailureReason, JobClient, JobUpdate, TraceOutput, UpdateResult};
use tokio::time::sleep;

use crate::journal::Verdict;

/// Pause before the second try; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What GitLab is told of a job that is given back.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    /// What is reported.
    pub(crate) verdict: Verdict,
    /// Failure reasons that the server knows.
    pub(crate) known: &'a [FailureReason],
    /// What stands in the job's log, if nothing was written there before.
    pub(crate) text: Option<String>,
    /// Tries before the job is given up, at least 1.
    pub(crate) tries: u32,
}

impl<'a> Refusal<'a> {
    /// A system failure with these words.
    pub(crate) fn system_failure(text: impl Into<String>, known: &'a [FailureReason], tries: u32) -> Self {
        let verdict = Verdict::failed(FailureReason::RunnerSystemFailure);
        Self { verdict, known, text: Some(text.into()), tries }
    }

    /// Tells GitLab, until it knows or the tries are used up. `true`: it knows, or does not want to.
    pub(crate) async fn tell(&self, client: &JobClient) -> bool {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.once(client).await {
                Ok(()) => return true,
                Err(problem) if attempt >= self.tries => {
                    tracing::error!(job = client.id(), %problem, "a job that cannot be run could not be reported");
                    return false;
                }
                Err(problem) => tracing::debug!(job = client.id(), %problem, "a job is not given back yet"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }

    async fn once(&self, client: &JobClient) -> Result<(), String> {
        // Accepted first, because GitLab takes neither log nor end of a job that nobody has accepted.
        let accepted = client.update(&JobUpdate::running()).await;
        if accepted.result == UpdateResult::Abort {
            return Ok(());
        }
        if let Some(error) = accepted.error {
            return Err(error.to_string());
        }
        let mut update = match &self.verdict.failure {
            None => JobUpdate::success(),
            Some(reason) => JobUpdate::failed(reason.for_server(self.known)),
        };
        if let Some(code) = self.verdict.exit_code {
            update = update.with_exit_code(code);
        }
        if let Some(text) = &self.text {
            let text = format!("ERROR: Job failed (system failure): {text}\n");
            update =
                update.with_output(TraceOutput::new(crc32fast::hash(text.as_bytes()), text.len() as u64));
            // The words are a courtesy: without them the end is told all the same.
            client.patch_trace(0, text.into(), false).await;
        }
        let told = client.update(&update).await;
        match (told.result, told.error) {
            (UpdateResult::Succeeded | UpdateResult::Abort, _) => Ok(()),
            (_, Some(error)) => Err(error.to_string()),
            (result, None) => Err(format!("GitLab answered {result:?}")),
        }
    }
}
