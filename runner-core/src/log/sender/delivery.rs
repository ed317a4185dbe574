//! The end of a job: the rest of the log, then the final state, until the server has both.

use std::time::Duration;

use runner_api::{JobState, JobStatus, JobUpdate, UpdateResult};

use super::api::{Problem, Reply};
use super::link::{Link, backoff};
use super::uploads::{Step, Uploads};
use super::{Delivery, FinalState};

/// Failed requests in a row that are repeated quickly before the try counts as failed.
const QUICK_RETRIES: u32 = 3;

/// The first pause between two tries; each further one is twice as long.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// How often the server may find the log wrong and get all of it again within one try.
const MAX_RESENDS: u32 = 3;

impl Uploads {
    /// Delivers the end of the job. The log must be finished.
    pub(super) async fn deliver(&mut self, state: &FinalState) -> Delivery {
        let update = state.update();
        let mut pause = MIN_PAUSE;
        let mut tries = 0;
        loop {
            let problem = match self.deliver_once(&update).await {
                Ok(delivery) => return delivery,
                Err(problem) => problem,
            };
            tries += 1;
            if tries >= self.link().settings.final_update_tries {
                tracing::warn!(%problem, tries, "the job's end is not delivered; giving up");
                return Delivery::GivenUp(problem);
            }
            tracing::debug!(%problem, tries, ?pause, "the job's end is not delivered yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// One try; an error is worth another one.
    async fn deliver_once(&mut self, update: &JobUpdate) -> Result<Delivery, String> {
        let (mut resends, mut failures) = (0, 0);
        loop {
            let published = self.link().log.publish().await;
            self.drain(published.len).await?;
            let reply = self.link().update(&update.clone().with_output(Link::output(published))).await;
            match reply.result {
                UpdateResult::Succeeded => return Ok(Delivery::Delivered),
                UpdateResult::Abort => return Ok(ended(&update.state, reply)),
                UpdateResult::AcceptedButNotCompleted => {
                    let interval = reply.update_interval.unwrap_or(self.link().settings.interval);
                    tokio::time::sleep(interval).await;
                }
                UpdateResult::TraceValidationFailed if resends < MAX_RESENDS => {
                    tracing::warn!(?published, "the server finds the log wrong; sending all of it again");
                    resends += 1;
                    self.restart();
                }
                UpdateResult::Failed
                    if failures < QUICK_RETRIES && reply.problem.as_ref().is_some_and(Problem::may_pass) =>
                {
                    failures += 1;
                    tokio::time::sleep(backoff(failures, reply.problem.as_ref())).await;
                }
                _ => return Err(text(reply.problem.as_ref())),
            }
        }
    }

    /// Sends the rest of the log. It also ends well when the server does not want it: then the final state is all that is
    /// left to say.
    async fn drain(&mut self, len: u64) -> Result<(), String> {
        let mut failures = 0;
        self.forget_failures();
        while !self.has_all(len) && !self.is_refused() {
            match self.step(len).await {
                Step::Forward => failures = 0,
                Step::NotFound(_) | Step::Refused(_) => return Ok(()),
                Step::Failed(_, problem) if failures == QUICK_RETRIES => return Err(problem),
                Step::Failed(pause, _) => {
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ok(())
    }
}

/// The server wants nothing more. That is a delivery if it took the update, or if the job is in the state that was
/// reported: then an earlier try went through whose answer was lost.
fn ended(state: &JobState, reply: Reply<UpdateResult>) -> Delivery {
    let Some(problem) = reply.problem else { return Delivery::Delivered };
    match (state, reply.job_status) {
        (JobState::Success, Some(JobStatus::Success)) | (JobState::Failed, Some(JobStatus::Failed)) => {
            Delivery::Delivered
        }
        _ => Delivery::RejectedByServer(problem.text),
    }
}

fn text(problem: Option<&Problem>) -> String {
    problem.map_or_else(|| "no reason given".to_owned(), Problem::to_string)
}
