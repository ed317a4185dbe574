//! `POST jobs/request`: long poll, queue search, assignment.
//!
//! The long poll is that of GitLab's reverse proxy: a request whose `last_update` equals the value of its runner's
//! queue is held, and answered `204` without a new value as soon as the queue moves or the time is up.

use std::collections::BTreeSet;
use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;

use super::Coordinator;
use super::answer::{self, BUILDS_POLLING, LAST_UPDATE, Plain, add_header};
use super::event::EventKind;
use super::ids::{JobId, RunnerId};
use super::job_state::JobState;
use super::params::Params;
use super::session::Session;

/// Bodies above this size are refused by GitLab's reverse proxy.
const BODY_LIMIT: usize = 32 * 1024;

/// What a job request asks with.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    system_id: String,
    features: BTreeSet<String>,
    session: Option<Session>,
    last_update: Option<String>,
    /// Whether the request took the way through the long poll.
    polling: bool,
}

/// Answer of a job request.
pub(super) enum Outcome {
    Answer(Plain),
    Hold { runner: RunnerId, poll: Poll, until: SystemTime },
}

impl Coordinator {
    pub(super) fn request_job(&mut self, parts: &Parts, body: &Bytes, now: SystemTime) -> Outcome {
        if body.len() > BODY_LIMIT {
            return Outcome::Answer(answer::error(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let params = match Params::read(parts, body) {
            Ok(params) => params,
            Err(refusal) => return Outcome::Answer(refusal),
        };
        let runner = match self.authenticate_owned(parts, &params, now) {
            Ok(runner) => runner,
            Err(refusal) => return Outcome::Answer(refusal),
        };
        let system_id = self.heartbeat(runner, &params, now);
        let last_update = params.text("last_update").map(str::to_owned);
        let poll = Poll {
            system_id,
            features: params.object("info").object("features").true_keys().map(str::to_owned).collect(),
            session: Session::read(&params),
            polling: !self.options.long_poll.is_zero()
                && last_update.is_some()
                && params.text("token").is_some(),
            last_update,
        };
        if poll.polling && self.is_current(runner, &poll) {
            let until = now.checked_add(self.options.long_poll).unwrap_or(now);
            return Outcome::Hold { runner, poll, until };
        }
        Outcome::Answer(self.search(runner, &poll, now))
    }

    /// Continues a held request: `None` when there is still nothing to say.
    pub(super) fn resume_poll(
        &mut self,
        runner: RunnerId,
        poll: &Poll,
        until: SystemTime,
        now: SystemTime,
    ) -> Option<Plain> {
        if self.is_current(runner, poll) {
            return (now >= until).then(|| polled(answer::empty(StatusCode::NO_CONTENT)));
        }
        if self.options.held_requests_get_jobs && self.runners.contains_key(&runner) {
            return Some(self.search(runner, poll, now));
        }
        Some(polled(answer::empty(StatusCode::NO_CONTENT)))
    }

    fn is_current(&self, runner: RunnerId, poll: &Poll) -> bool {
        self.runners.get(&runner).is_some_and(|runner| Some(&runner.queue_value) == poll.last_update.as_ref())
    }

    /// Looks for a job and hands it out.
    fn search(&mut self, id: RunnerId, poll: &Poll, now: SystemTime) -> Plain {
        let finish = |answer: Plain| if poll.polling { polled(answer) } else { answer };
        let Some(runner) = self.runners.get(&id) else { return answer::error(StatusCode::FORBIDDEN) };
        let value = runner.queue_value.clone();
        let nothing = || finish(add_header(answer::empty(StatusCode::NO_CONTENT), LAST_UPDATE, &value));
        if runner.paused || poll.last_update.as_ref() == Some(&value) {
            return nothing();
        }
        while let Some(job) = self.first_match(id) {
            let supported =
                self.jobs.get(&job).is_some_and(|record| record.required_features.is_subset(&poll.features));
            if supported {
                return finish(self.assign(job, id, poll, now));
            }
            self.finish_job(job, JobState::Failed, Some("runner_unsupported"), None, now);
        }
        nothing()
    }

    fn first_match(&self, id: RunnerId) -> Option<JobId> {
        let runner = self.runners.get(&id)?;
        self.queue.iter().copied().find(|job| self.jobs.get(job).is_some_and(|job| runner.matches(job)))
    }

    fn assign(&mut self, id: JobId, runner: RunnerId, poll: &Poll, now: SystemTime) -> Plain {
        self.queue.retain(|queued| *queued != id);
        let maximum = self.runners.get(&runner).and_then(|runner| runner.maximum_timeout);
        let two_phase = self.options.two_phase_commit && poll.features.contains("two_phase_job_commit");
        let until = now.checked_add(self.options.acknowledge_within).unwrap_or(now);
        let Some(job) = self.jobs.get_mut(&id) else { return answer::error(StatusCode::CONFLICT) };
        job.runner = Some(runner);
        job.system_id = Some(poll.system_id.clone());
        job.session = poll.session.clone();
        job.assigned_at = Some(now);
        job.touched_at = now;
        job.cancels_gracefully = poll.features.contains("cancel_gracefully");
        job.acknowledge_until = two_phase.then_some(until);
        if let Some(maximum) = maximum {
            job.limit_timeout(maximum);
        }
        let answer = answer::json(StatusCode::CREATED, &job.payload);
        self.active.insert(id);
        self.emit(now, EventKind::JobAssigned { job: id, runner });
        if !two_phase {
            self.start_job(id, now);
        }
        answer
    }
}

fn polled(answer: Plain) -> Plain {
    add_header(answer, BUILDS_POLLING, "yes")
}
