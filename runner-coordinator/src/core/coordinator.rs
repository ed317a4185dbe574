//! The coordinator: its state and the host's calls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::artifact::Artifact;
use super::endpoint::Endpoint;
use super::event::{Event, EventKind, EventQueue};
use super::fault::{Fault, Faults};
use super::ids::{Ids, JobId, RunnerId};
use super::job::JobRecord;
use super::job_state::{Due, JobState};
use super::new_job::{JobTicket, NewJob};
use super::oddity::Oddity;
use super::options::Options;
use super::record::{FaultRecord, RequestRecord};
use super::runner::{CreatedRunner, NewRunner, Runner};

/// GitLab's side of the Runner API. See the [module](super).
#[derive(Debug)]
pub struct Coordinator {
    pub(super) options: Options,
    pub(super) ids: Ids,
    pub(super) registration_tokens: Vec<SecretString>,
    pub(super) personal_tokens: Vec<SecretString>,
    pub(super) token_lifetime: Option<Duration>,
    pub(super) runners: BTreeMap<RunnerId, Runner>,
    pub(super) jobs: BTreeMap<JobId, JobRecord>,
    /// Pending jobs that no runner has, in the order in which they were enqueued.
    pub(super) queue: VecDeque<JobId>,
    /// Jobs that a runner has: waiting for acknowledgement, running or canceling.
    pub(super) active: BTreeSet<JobId>,
    queue_version: u64,
    events: EventQueue,
    pub(super) faults: Faults,
    /// Whether the host says that nothing listens.
    down: bool,
    /// Whether nothing listened when time was last told of.
    was_down: bool,
    pub(super) counts: BTreeMap<Endpoint, u64>,
    pub(super) requests: Vec<RequestRecord>,
    pub(super) injected: Vec<FaultRecord>,
    pub(super) oddities: Vec<Oddity>,
}

impl Coordinator {
    /// A coordinator without runners and jobs.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            ids: Ids::new(options.seed, options.first_job),
            options,
            registration_tokens: Vec::new(),
            personal_tokens: Vec::new(),
            token_lifetime: None,
            runners: BTreeMap::new(),
            jobs: BTreeMap::new(),
            queue: VecDeque::new(),
            active: BTreeSet::new(),
            queue_version: 0,
            events: EventQueue::new(),
            faults: Faults::default(),
            down: false,
            was_down: false,
            counts: BTreeMap::new(),
            requests: Vec::new(),
            injected: Vec::new(),
            oddities: Vec::new(),
        }
    }

    /// Accepts a registration token at `POST runners`.
    pub fn register_token(&mut self, token: SecretString) {
        self.registration_tokens.push(token);
    }

    /// Accepts a personal access token where the API takes one (`PRIVATE-TOKEN`).
    pub fn personal_token(&mut self, token: SecretString) {
        self.personal_tokens.push(token);
    }

    /// How long a token that a reset hands out is valid; for ever without.
    pub fn set_token_lifetime(&mut self, lifetime: Option<Duration>) {
        self.token_lifetime = lifetime;
    }

    /// Creates a runner, as an administrator would.
    pub fn create_runner(&mut self, mut new: NewRunner) -> CreatedRunner {
        let id = self.ids.runner();
        let token = new.token.take().unwrap_or_else(|| SecretString::from(self.ids.token("glrt-")));
        let queue_value = self.ids.queue_value();
        self.runners.insert(id, Runner::new(id, token.clone(), new, queue_value));
        CreatedRunner { id, token }
    }

    /// Pauses a runner or lets it go on.
    pub fn pause(&mut self, runner: RunnerId, paused: bool) {
        if let Some(runner) = self.runners.get_mut(&runner) {
            runner.paused = paused;
        }
        self.move_queues(|candidate| candidate.id == runner);
    }

    /// Takes a runner its owner, as when the only project of a project runner is deleted: verification and job requests
    /// are answered `422` from now on.
    pub fn orphan(&mut self, runner: RunnerId) {
        if let Some(runner) = self.runners.get_mut(&runner) {
            runner.orphaned = true;
        }
        self.move_queues(|candidate| candidate.id == runner);
    }

    /// Deletes a runner; its token is refused from now on.
    pub fn delete_runner(&mut self, runner: RunnerId) {
        self.runners.remove(&runner);
        self.queue_moved();
    }

    /// A runner.
    #[must_use]
    pub fn runner(&self, runner: RunnerId) -> Option<&Runner> {
        self.runners.get(&runner)
    }

    /// All runners, oldest first.
    pub fn runners(&self) -> impl Iterator<Item = &Runner> {
        self.runners.values()
    }

    /// Id and token for a job that is enqueued later, so that its payload can mention them.
    pub fn reserve_job(&mut self) -> JobTicket {
        JobTicket { id: self.ids.job(), token: SecretString::from(self.ids.token("glcbt-")) }
    }

    /// Adds a job at the end of the queue.
    pub fn enqueue(&mut self, mut job: NewJob, now: SystemTime) -> JobId {
        let ticket = job.ticket.take().unwrap_or_else(|| self.reserve_job());
        let id = ticket.id;
        let record = JobRecord::new(ticket, job, now);
        let matching: BTreeSet<RunnerId> =
            self.runners.values().filter(|runner| runner.matches(&record)).map(|runner| runner.id).collect();
        self.jobs.insert(id, record);
        self.queue.push_back(id);
        self.move_queues(|runner| matching.contains(&runner.id));
        id
    }

    /// Adds a job that has succeeded elsewhere and left this archive: other jobs may depend on it. The file belongs to the
    /// host. `crc32` is the checksum of its content.
    pub fn add_archive(
        &mut self,
        name: &str,
        file: PathBuf,
        size: u64,
        crc32: u32,
        now: SystemTime,
    ) -> JobId {
        let ticket = self.reserve_job();
        let id = ticket.id;
        let payload = serde_json::json!({"job_info": {"name": name}});
        let mut record = JobRecord::new(ticket, NewJob::new(payload), now);
        record.state = JobState::Success;
        record.finished_at = Some(now);
        record.artifacts.push(Artifact::archive(file, size, crc32));
        self.jobs.insert(id, record);
        id
    }

    /// Cancels a job: at once when it is not running, when its runner did not promise to handle `canceling`, or by
    /// `force`; else it becomes [`JobState::Canceling`] until the runner's final update. Returns the new state;
    /// `None` when there is no such job.
    pub fn cancel(&mut self, job: JobId, force: bool, now: SystemTime) -> Option<JobState> {
        self.advance(now);
        let record = self.jobs.get_mut(&job)?;
        match record.state {
            JobState::Running if record.cancels_gracefully && !force => {
                record.state = JobState::Canceling;
                self.emit(now, EventKind::JobCanceling { job });
            }
            JobState::Pending | JobState::Running => {
                self.finish_job(job, JobState::Canceled, None, None, now);
            }
            JobState::Canceling if force => self.finish_job(job, JobState::Canceled, None, None, now),
            _ => {}
        }
        self.jobs.get(&job).map(|record| record.state)
    }

    /// Fails a job from GitLab's side, whatever its runner does.
    pub fn fail(&mut self, job: JobId, failure_reason: &str, now: SystemTime) {
        if self.jobs.get(&job).is_some_and(|record| !record.state.is_final()) {
            self.finish_job(job, JobState::Failed, Some(failure_reason), None, now);
        }
    }

    /// Erases a job: trace and artifacts are gone, its token is refused. Files of artifacts are the host's to
    /// delete.
    pub fn erase(&mut self, job: JobId) {
        if let Some(record) = self.jobs.get_mut(&job) {
            record.erased = true;
            record.trace = super::Trace::default();
            record.artifacts.clear();
            record.dotenv.clear();
        }
    }

    /// Forgets a job and returns what was known of it. Files of artifacts are the host's to delete.
    pub fn remove(&mut self, job: JobId) -> Option<JobRecord> {
        self.queue.retain(|queued| *queued != job);
        self.active.remove(&job);
        self.jobs.remove(&job)
    }

    /// Locks a job's trace, as GitLab does while it archives one, or unlocks it. Pieces of a locked trace are answered
    /// `409`.
    pub fn lock_trace(&mut self, job: JobId, locked: bool) {
        if let Some(record) = self.jobs.get_mut(&job) {
            record.trace_locked = locked;
        }
    }

    /// Says whether somebody watches a job's trace, which sets the update interval asked of its runner.
    pub fn watch(&mut self, job: JobId, watched: bool) {
        if let Some(record) = self.jobs.get_mut(&job) {
            record.watched = watched;
        }
    }

    /// A job.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&JobRecord> {
        self.jobs.get(&job)
    }

    /// All jobs, by id.
    pub fn jobs(&self) -> impl Iterator<Item = &JobRecord> {
        self.jobs.values()
    }

    /// Takes the oldest event that was not taken yet.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Adds a fault; it begins to count now.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Stops listening or begins again: as long as it is down, every request gets [`Cut::Refused`](super::Cut), and held
    /// ones get it now.
    pub fn set_down(&mut self, down: bool) {
        self.down = down;
        self.queue_moved();
    }

    /// Whether nothing listens, by [`set_down`](Self::set_down) or by a fault.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down || self.faults.is_down()
    }

    /// How many requests an endpoint got.
    #[must_use]
    pub fn request_count(&self, endpoint: Endpoint) -> u64 {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// Every request so far, if [`Options::record_requests`] is set.
    #[must_use]
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }

    /// The same, and forgets them: for hosts that look at many requests bit by bit.
    pub fn take_requests(&mut self) -> Vec<RequestRecord> {
        std::mem::take(&mut self.requests)
    }

    /// What faults did to requests so far, if [`Options::record_faults`] is set. Connections that were refused while nothing
    /// listened are not among them.
    #[must_use]
    pub fn injected(&self) -> &[FaultRecord] {
        &self.injected
    }

    /// What requests did that GitLab tolerates but no runner should do, oldest first; at most the first 1,000.
    #[must_use]
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The settings, to be changed between requests.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Changes whenever a held request may have an answer.
    #[must_use]
    pub fn queue_version(&self) -> u64 {
        self.queue_version
    }

    /// When something happens without a request, if nothing changes until then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<SystemTime> {
        let jobs = self.active.iter().filter_map(|id| self.jobs.get(id)?.due(&self.options));
        jobs.map(|(at, _)| at).chain(self.faults.next_turn()).min()
    }

    /// Lets happen what is due: jobs fail whose acknowledgement did not come, that nobody speaks of, or that run for
    /// too long; faults that depend on the time begin and end.
    pub fn advance(&mut self, now: SystemTime) {
        self.faults.advance(now);
        if self.is_down() != self.was_down {
            self.was_down = !self.was_down;
            self.queue_moved();
        }
        let due: Vec<(JobId, Due)> = self
            .active
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter_map(|job| Some((job.id, job.due(&self.options).filter(|(at, _)| *at <= now)?.1)))
            .collect();
        for (id, due) in due {
            self.finish_job(id, JobState::Failed, Some(due.failure_reason()), None, now);
        }
    }

    /// A job begins to run.
    pub(super) fn start_job(&mut self, id: JobId, now: SystemTime) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = JobState::Running;
            job.acknowledge_until = None;
            job.started_at = Some(now);
            job.touched_at = now;
            self.emit(now, EventKind::JobStarted { job: id });
        }
    }

    /// A job ends. One that was being canceled ends as canceled, whatever its runner says.
    pub(super) fn finish_job(
        &mut self,
        id: JobId,
        state: JobState,
        failure_reason: Option<&str>,
        exit_code: Option<i64>,
        now: SystemTime,
    ) {
        self.active.remove(&id);
        self.queue.retain(|queued| *queued != id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let state = if job.state == JobState::Canceling { JobState::Canceled } else { state };
        job.state = state;
        job.acknowledge_until = None;
        job.finished_at = Some(now);
        job.failure_reason = failure_reason.map(str::to_owned);
        job.exit_code = exit_code;
        let finished =
            EventKind::JobFinished { job: id, state, failure_reason: job.failure_reason.clone(), exit_code };
        self.emit(now, finished);
    }

    pub(super) fn emit(&mut self, at: SystemTime, kind: EventKind) {
        self.events.push(Event { at, kind });
    }

    /// Held requests may have an answer now.
    pub(super) fn queue_moved(&mut self) {
        self.queue_version += 1;
    }

    /// Gives the queues of the chosen runners new values.
    fn move_queues(&mut self, chosen: impl Fn(&Runner) -> bool) {
        for runner in self.runners.values_mut().filter(|runner| chosen(runner)) {
            runner.queue_value = self.ids.queue_value();
        }
        self.queue_moved();
    }
}
