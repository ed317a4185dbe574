//! The end of a job: the rest of the log, then the final state, until the server has both.

use std::time::Duration;

use runner_api::{JobState, JobStatus, JobUpdate, UpdateResult};
use tokio::time::Instant;

use super::api::{Problem, Reply};
use super::link::Link;
use super::uploads::{Miss, Step, Uploads};
use super::{Delivery, FinalState};

/// How long the first try lasts; each further one lasts twice as long.
const FIRST_TRY: Duration = Duration::from_secs(1);
const LONGEST_TRY: Duration = Duration::from_secs(3600);

/// How often a piece of the log is sent again to a server that does not know the job: while it runs such an answer passes, and
/// what is not sent now is lost.
const NOT_FOUND_RETRIES: u32 = 5;

/// How often the server may find the log wrong and get all of it again within one try.
const MAX_RESENDS: u32 = 3;

impl Uploads {
    /// Delivers the end of the job. The log must be finished.
    ///
    /// A try lasts for its time: what may pass is met again and again within it, so that a short trouble costs little more
    /// than it lasts. What was refused is worth a new try only, when the time of this one is over.
    pub(super) async fn deliver(&mut self, state: &FinalState) -> Delivery {
        let update = state.update();
        let (mut tries, mut lasts, mut end) = (1, FIRST_TRY, Instant::now() + FIRST_TRY);
        let mut resends = 0;
        self.pauses().reset();
        loop {
            let Miss { problem, may_pass, pause } = match self.deliver_once(&update, &mut resends).await {
                Ok(delivery) => return delivery,
                Err(miss) => miss,
            };
            let again = Instant::now() + pause;
            if may_pass && again < end {
                tracing::debug!(%problem, ?pause, "the job's end is not delivered yet");
                tokio::time::sleep_until(again).await;
                continue;
            }
            if tries >= self.link().settings.final_update_tries {
                tracing::warn!(%problem, tries, "the job's end is not delivered; giving up");
                return Delivery::GivenUp(problem);
            }
            tracing::debug!(%problem, tries, "the job's end is not delivered yet");
            tokio::time::sleep_until(if may_pass { again } else { end }).await;
            tries += 1;
            resends = 0;
            lasts = (lasts * 2).min(LONGEST_TRY);
            end = Instant::now() + lasts;
        }
    }

    /// Tells everything once.
    async fn deliver_once(&mut self, update: &JobUpdate, resends: &mut u32) -> Result<Delivery, Miss> {
        loop {
            let published = self.link().log.publish().await;
            self.drain(published.len).await?;
            if self.link().is_unaccepted()
                && let Some(Step::Failed(miss)) = self.accept().await
            {
                return Err(miss);
            }
            let reply = self.link().update(&update.clone().with_output(Link::output(published))).await;
            match reply.result {
                UpdateResult::Succeeded => return Ok(Delivery::Delivered),
                UpdateResult::Abort => return Ok(ended(&update.state, reply)),
                UpdateResult::AcceptedButNotCompleted => {
                    let interval = reply.update_interval.unwrap_or(self.link().settings.interval);
                    self.pauses().reset();
                    tokio::time::sleep(interval).await;
                }
                UpdateResult::TraceValidationFailed if *resends < MAX_RESENDS => {
                    tracing::warn!(?published, "the server finds the log wrong; sending all of it again");
                    *resends += 1;
                    self.restart();
                }
                _ => {
                    let problem = text(reply.problem.as_ref());
                    let may_pass = reply.is_lost();
                    let pause = self.pauses().after(reply.problem.as_ref(), may_pass);
                    return Err(Miss { problem, may_pass, pause });
                }
            }
        }
    }

    /// Sends the rest of the log. It also ends well when the server does not want it, or goes on not to know the job: then
    /// the final state is all that is left to say.
    async fn drain(&mut self, len: u64) -> Result<(), Miss> {
        let mut not_found = 0;
        while !self.has_all(len) && !self.is_refused() {
            match self.step(len).await {
                Step::Forward => not_found = 0,
                Step::NotFound(pause) if not_found < NOT_FOUND_RETRIES => {
                    not_found += 1;
                    tokio::time::sleep(pause).await;
                }
                Step::NotFound(_) | Step::Refused(_) => return Ok(()),
                Step::Failed(miss) => return Err(miss),
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
