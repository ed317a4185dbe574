//! The coordinator: its state, the host's calls, and the way of a request through it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{self, Answer, Hold, Plain, Reply};
use super::artifacts::not_on_runner;
use super::endpoint::{Endpoint, NoRoute, Route};
use super::event::{Event, EventKind, EventQueue};
use super::fault::{Fault, Faults, Plan};
use super::ids::{Ids, JobId, RunnerId};
use super::job::{JobRecord, JobState, JobTicket, NewJob};
use super::oddity::{self, Oddity};
use super::options::Options;
use super::params::{self, Params};
use super::request_job::Outcome;
use super::runner::{CreatedRunner, NewRunner, Runner};
use super::runners::missing;

/// How many oddities are kept.
const ODDITIES: usize = 1000;

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
    faults: Faults,
    counts: BTreeMap<Endpoint, u64>,
    requests: Vec<RequestRecord>,
    oddities: Vec<Oddity>,
}

/// A request as it arrived, kept when [`Options::record_requests`] is set.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestRecord {
    /// When it came.
    pub at: SystemTime,
    /// What it was; `None` for a path or method that the API does not have.
    pub endpoint: Option<Endpoint>,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers. They hold tokens.
    pub headers: HeaderMap,
    /// The body; empty for uploads that were streamed to a file.
    pub body: Bytes,
}

impl fmt::Debug for RequestRecord {
    /// Leaves out headers and body: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord")
            .field("at", &self.at)
            .field("endpoint", &self.endpoint)
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request that has been routed, counted and checked for faults.
pub(super) enum Begun {
    Go { route: Route, plan: Plan },
    Refused(Box<Answer>),
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
            counts: BTreeMap::new(),
            requests: Vec::new(),
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
        self.active.iter().filter_map(|id| self.jobs.get(id)?.deadline(&self.options)).min()
    }

    /// Lets happen what is due: jobs whose acknowledgement did not come, and those that nobody speaks of, fail.
    pub fn advance(&mut self, now: SystemTime) {
        let due: Vec<(JobId, JobState)> = self
            .active
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| job.deadline(&self.options).is_some_and(|deadline| deadline <= now))
            .map(|job| (job.id, job.state))
            .collect();
        for (id, state) in due {
            let reason = match state {
                JobState::Pending => "runner_provisioning_timeout",
                _ => "stuck_or_timeout_failure",
            };
            self.finish_job(id, JobState::Failed, Some(reason), None, now);
        }
    }

    /// Takes a request with its whole body and answers it.
    pub fn handle(&mut self, request: Request<Bytes>, now: SystemTime) -> Reply {
        let (parts, body) = request.into_parts();
        let (route, plan) = match self.begin(&parts, &body, now) {
            Begun::Go { route, plan } => (route, plan),
            Begun::Refused(answer) => return Reply::Ready(answer),
        };
        let plain = match route.endpoint {
            Endpoint::RequestJob => match self.request_job(&parts, &body, now) {
                Outcome::Answer(plain) => plain,
                Outcome::Hold { runner, poll, until } => {
                    return Reply::Hold(Hold { until, runner, poll, plan });
                }
            },
            endpoint if endpoint.is_of_job() => self.handle_job(&route, &parts, &body, now),
            Endpoint::Storage => self.storage(&route.key, &parts),
            _ => match Params::read(&parts, &body) {
                Ok(params) => self.handle_runner(&route, &parts, &params, now),
                Err(refusal) => refusal,
            },
        };
        Reply::Ready(Box::new(plan.finish(*plain)))
    }

    /// Asks again for a held request.
    pub fn resume(&mut self, hold: Hold, now: SystemTime) -> Reply {
        self.advance(now);
        match self.resume_poll(hold.runner, &hold.poll, hold.until, now) {
            Some(plain) => Reply::Ready(Box::new(hold.plan.finish(*plain))),
            None => Reply::Hold(hold),
        }
    }

    /// Answers a held request at once and without work, because the transport is about to close.
    pub fn release(&mut self, mut hold: Hold, now: SystemTime) -> Answer {
        hold.until = now;
        let plain = self
            .resume_poll(hold.runner, &hold.poll, hold.until, now)
            .unwrap_or_else(|| answer::empty(StatusCode::NO_CONTENT));
        hold.plan.finish(*plain)
    }

    fn handle_runner(&mut self, route: &Route, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        match route.endpoint {
            Endpoint::Register => self.register(parts, params, now),
            Endpoint::Verify => self.verify(parts, params, now),
            Endpoint::Unregister => self.unregister(parts, params, now),
            Endpoint::UnregisterManager => self.unregister_manager(parts, params, now),
            Endpoint::ResetToken => self.reset_token(&route.key, parts, params, now),
            Endpoint::RouterDiscovery => self.router_discovery(parts, params, now),
            _ => answer::error(StatusCode::NOT_FOUND),
        }
    }

    fn handle_job(&mut self, route: &Route, parts: &Parts, body: &Bytes, now: SystemTime) -> Plain {
        let key = &route.key;
        match route.endpoint {
            Endpoint::UpdateJob => match Params::read(parts, body) {
                Ok(params) if params::token(parts, &params, params::JOB_TOKEN).is_none() => {
                    missing(&["token"])
                }
                Ok(params) => match self.authenticate_job(key, parts, &params) {
                    Ok(id) => self.update_job(id, &params, now),
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            },
            Endpoint::PatchTrace => match self.authenticate_job(key, parts, &Params::query(parts)) {
                Ok(id) => self.patch_trace(id, parts, body, now),
                Err(refusal) => refusal,
            },
            Endpoint::UploadArtifact => self.upload(key, parts, body, now),
            _ => self.download(key, parts),
        }
    }

    /// The job that a request may speak for: 403 for an unknown id, a wrong token and an erased job; 403 with
    /// `Job-Status` for a job that is not on a runner.
    pub(super) fn authenticate_job(&self, key: &str, parts: &Parts, params: &Params) -> Result<JobId, Plain> {
        let forbidden = || answer::error(StatusCode::FORBIDDEN);
        let id = key.parse().map(JobId).map_err(|_| answer::bad_parameter("id is invalid"))?;
        let job = self.jobs.get(&id).ok_or_else(forbidden)?;
        let token = params::token(parts, params, params::JOB_TOKEN);
        if token != Some(job.token.expose_secret()) {
            return Err(forbidden());
        }
        if job.erased {
            return Err(answer::error_because(StatusCode::FORBIDDEN, "Job has been erased!"));
        }
        if !job.is_on_runner() {
            return Err(not_on_runner(job.state));
        }
        Ok(id)
    }

    /// First steps of every request: time, route, counters, faults.
    pub(super) fn begin(&mut self, parts: &Parts, body: &Bytes, now: SystemTime) -> Begun {
        self.advance(now);
        let found = Route::find(&self.options.root, &parts.method, parts.uri.path());
        if self.options.record_requests {
            self.requests.push(RequestRecord {
                at: now,
                endpoint: found.as_ref().ok().map(|route| route.endpoint),
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                headers: parts.headers.clone(),
                body: body.clone(),
            });
        }
        let route = match found {
            Ok(route) => route,
            Err(no_route) => {
                let status = match no_route {
                    NoRoute::Unknown => StatusCode::NOT_FOUND,
                    NoRoute::Method => StatusCode::METHOD_NOT_ALLOWED,
                };
                let plain = answer::error(status);
                return Begun::Refused(Box::new(Plan::default().finish(*plain)));
            }
        };
        *self.counts.entry(route.endpoint).or_default() += 1;
        let job = route.endpoint.is_of_job().then(|| route.key.parse().map(JobId).ok()).flatten();
        if let Some(record) = job.and_then(|job| self.jobs.get_mut(&job)) {
            *record.requests.entry(route.endpoint).or_default() += 1;
        }
        for what in oddity::find(route.endpoint, parts, body) {
            if self.oddities.len() < ODDITIES {
                self.oddities.push(Oddity { at: now, endpoint: route.endpoint, job, what });
            }
        }
        let plan = self.faults.plan(route.endpoint);
        if plan.forget > 0
            && let Some(job) = job
        {
            self.forget(job, plan.forget, now);
        }
        match plan.instead() {
            Some(plain) => Begun::Refused(Box::new(plan.finish(*plain))),
            None => Begun::Go { route, plan },
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

    fn forget(&mut self, id: JobId, length: u64, now: SystemTime) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !job.trace.is_empty() {
            job.trace.cut_last(length);
            let length = job.trace.len();
            self.emit(now, EventKind::TraceCut { job: id, length });
        }
    }
}
