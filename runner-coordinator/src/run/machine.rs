//! The state machine of a running pipeline.

use std::collections::HashSet;
use std::time::SystemTime;

use secrecy::ExposeSecret;

use super::action::{Action, End, Finished, Host};
use super::error::{PlayError, RunError};
use super::expand;
use super::graph::Graph;
use super::payload::{Dependency, Parts};
use super::retry::is_retried;
use super::select::is_meant;
use super::settings::{Play, Settings};
use super::status::{Start, Status, StatusSet, start};
use super::variable::JobVariable;
use super::variables::{Sources, TryFacts};
use super::view::{JobView, Outcome, Try};
use crate::core::{JobId, JobTicket, NewJob};
use crate::pipeline::{AllowFailure, Job, Pipeline, TriggerTarget, When, Work};

/// A pipeline that runs: which jobs wait, run and have ended, and what has to happen next.
///
/// It does nothing by itself. The host tells it what happened ([`started`](Self::started),
/// [`finished`](Self::finished), [`play`](Self::play), [`cancel`](Self::cancel)), then calls
/// [`advance`](Self::advance) and does what that returns, until [`outcome`](Self::outcome) is there.
#[derive(Debug)]
pub struct PipelineRun {
    settings: Settings,
    name: Option<String>,
    stages: Vec<String>,
    nodes: Vec<Node>,
    graph: Graph,
    actions: Vec<Action>,
    canceled: bool,
    /// Something happened since the last `advance`.
    dirty: bool,
    next_wake: Option<SystemTime>,
}

/// A job and what has become of it.
#[derive(Debug)]
struct Node {
    job: Job,
    status: Status,
    failure_allowed: bool,
    /// Does not wait to be played.
    played: bool,
    /// It is decided that it runs, but its next try does not exist yet.
    ready: bool,
    /// When its delay is over.
    wake: Option<SystemTime>,
    /// Its resource group, expanded; known once it has been ready.
    resource: Option<String>,
    tries: Vec<Try>,
}

impl PipelineRun {
    /// A pipeline none of whose jobs has been looked at.
    ///
    /// # Errors
    /// When the selection names unknown jobs, the jobs do not form a graph that can end, or variables refer to each
    /// other in a circle.
    pub fn new(pipeline: Pipeline, settings: Settings) -> Result<Self, RunError> {
        let selected = settings.selection.apply(pipeline)?;
        let mut pipeline = selected.pipeline;
        let graph = Graph::new(&mut pipeline)?;
        let is_played = |job: &Job| match &settings.play {
            Play::None => false,
            Play::All => true,
            Play::Named(names) => names.iter().any(|name| is_meant(name, job)),
        };
        let nodes = pipeline.jobs.into_iter().map(|job| Node {
            status: Status::Created,
            failure_allowed: job.allow_failure == AllowFailure::Yes,
            played: selected.played.contains(&job.name) || is_played(&job),
            ready: false,
            wake: None,
            resource: None,
            tries: Vec::new(),
            job,
        });
        let run = Self {
            nodes: nodes.collect(),
            settings,
            name: pipeline.name,
            stages: pipeline.stages,
            graph,
            actions: Vec::new(),
            canceled: false,
            dirty: true,
            next_wake: None,
        };
        run.check_variables()?;
        Ok(run)
    }

    /// Looks at everything that may have become possible, and returns what the host has to do, in order.
    ///
    /// Idempotent: called again without news it returns nothing.
    pub fn advance(&mut self, now: SystemTime, host: &mut dyn Host) -> Vec<Action> {
        loop {
            self.end_delays(now);
            let decided = self.decide_created(now);
            let launched = self.launch_ready(now, host);
            if !decided && !launched {
                break;
            }
        }
        self.dirty = false;
        let wake = self.nodes.iter().filter_map(|node| node.wake).min();
        if wake != self.next_wake {
            self.next_wake = wake;
            self.actions.extend(wake.map(Action::WakeAt));
        }
        std::mem::take(&mut self.actions)
    }

    /// A runner has begun to work on a job, or the child pipeline of a trigger job exists. News about tries that are
    /// over, and unknown ids, are ignored. Returns whether anything changed.
    pub fn started(&mut self, job: JobId, now: SystemTime) -> bool {
        let Some(node) = self.node_of(job).filter(|node| node.status == Status::Pending) else {
            return false;
        };
        let is_done = matches!(&node.job.work, Work::Trigger(trigger) if !trigger.depend);
        node.set_status(if is_done { Status::Success } else { Status::Running });
        if let Some(last) = node.tries.last_mut() {
            last.started = Some(now);
            last.finished = is_done.then_some(now);
        }
        self.dirty = true;
        true
    }

    /// A job has ended. A failure that its `retry` covers makes a new try of it. News about tries that are over, and
    /// unknown ids, are ignored. Returns whether anything changed.
    pub fn finished(&mut self, job: JobId, finished: Finished, now: SystemTime) -> bool {
        let accept_retry = !self.canceled;
        let cancel_on_failure = self.settings.cancel_on_failure;
        let Some(node) = self.node_of(job).filter(|node| node.is_on_runner()) else { return false };
        node.finish(finished, now);
        let retried = accept_retry && node.wants_retry();
        if retried {
            node.requeue();
        }
        let counts = node.status == Status::Failed && !node.failure_allowed;
        self.dirty = true;
        if cancel_on_failure && counts {
            self.cancel_all(now);
        }
        true
    }

    /// Starts a manual job, or a delayed one before its time. Jobs that were skipped because it did not run get
    /// another chance.
    ///
    /// # Errors
    /// When there is no such job, or it does not wait to be played.
    pub fn play(&mut self, name: &str) -> Result<(), PlayError> {
        if self.canceled {
            return Err(PlayError::Canceled { name: name.to_owned() });
        }
        let meant: Vec<usize> =
            (0..self.nodes.len()).filter(|index| is_meant(name, &self.nodes[*index].job)).collect();
        let waits = |index: &usize| matches!(self.nodes[*index].status, Status::Manual | Status::Scheduled);
        let waiting: Vec<usize> = meant.iter().copied().filter(waits).collect();
        if waiting.is_empty() {
            let name = name.to_owned();
            return Err(match meant.first() {
                Some(index) => PlayError::NotWaiting { name, status: self.nodes[*index].status },
                None => PlayError::UnknownJob { name },
            });
        }
        for index in &waiting {
            self.nodes[*index].requeue();
        }
        self.reset_skipped(&waiting);
        self.dirty = true;
        Ok(())
    }

    /// Cancels everything that has not ended. Manual jobs stay; running ones are `canceling` until their end is
    /// reported.
    pub fn cancel(&mut self, now: SystemTime) {
        self.canceled = true;
        self.dirty = true;
        self.cancel_all(now);
    }

    /// The jobs, ordered by stage.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'_>> {
        self.nodes.iter().map(Node::view)
    }

    /// A job by its full name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<JobView<'_>> {
        self.nodes.iter().find(|node| node.job.name == name).map(Node::view)
    }

    /// A job by the id of one of its tries.
    #[must_use]
    pub fn job_of(&self, id: JobId) -> Option<JobView<'_>> {
        self.nodes.iter().find(|node| node.tries.iter().any(|tried| tried.id == id)).map(Node::view)
    }

    /// The stages in order, each with the status of its jobs; `None` for one without jobs.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Option<Status>)> {
        self.stages.iter().enumerate().map(|(number, stage)| {
            let mut set = StatusSet::default();
            let of_stage = self.nodes.iter().zip(&self.graph.stages).filter(|(_, stage)| **stage == number);
            of_stage.for_each(|(node, _)| node.add_to(&mut set));
            (stage.as_str(), set.combined())
        })
    }

    /// Status of the pipeline.
    #[must_use]
    pub fn status(&self) -> Status {
        self.all().combined().unwrap_or(Status::Skipped)
    }

    /// How it ended; `None` while anything is still going to happen without the user.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let goes_on = |node: &Node| node.ready || node.status.is_active();
        if self.dirty || self.nodes.iter().any(goes_on) {
            return None;
        }
        let set = self.all();
        let blocks = |node: &&Node| node.status == Status::Manual && !node.failure_allowed;
        let manual: Vec<String> =
            self.nodes.iter().filter(blocks).map(|node| node.job.name.clone()).collect();
        let waits = self.nodes.iter().any(|node| node.status == Status::Created);
        let outcome = if self.canceled {
            Outcome::Canceled
        } else if set.has_failure() {
            Outcome::Failed
        } else if waits || !manual.is_empty() {
            Outcome::Blocked { manual }
        } else {
            match set.combined() {
                None | Some(Status::Skipped) => Outcome::Skipped,
                Some(Status::Canceled) => Outcome::Canceled,
                _ => Outcome::Success { warnings: set.has_warning() },
            }
        };
        Some(outcome)
    }

    fn all(&self) -> StatusSet {
        let mut set = StatusSet::default();
        self.nodes.iter().for_each(|node| node.add_to(&mut set));
        set
    }

    fn node_of(&mut self, job: JobId) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| !node.ready && node.tries.last().is_some_and(|last| last.id == job))
    }

    fn check_variables(&self) -> Result<(), RunError> {
        for node in &self.nodes {
            let checked = self.sources(&node.job, TryFacts::NONE, &[]).expanded();
            checked.map_err(|source| RunError::Variables { job: node.job.name.clone(), source })?;
        }
        Ok(())
    }

    fn end_delays(&mut self, now: SystemTime) {
        for node in &mut self.nodes {
            if node.status == Status::Scheduled && node.wake.is_some_and(|wake| wake <= now) {
                node.requeue();
            }
        }
    }

    /// Decides about created jobs whose predecessors are done. One pass, stage by stage.
    fn decide_created(&mut self, now: SystemTime) -> bool {
        let mut changed = false;
        let mut earlier = StatusSet::default();
        let mut this_stage = StatusSet::default();
        let mut stage = None;
        for index in 0..self.nodes.len() {
            if stage != Some(self.graph.stages[index]) {
                stage = Some(self.graph.stages[index]);
                earlier = earlier.union(this_stage);
                this_stage = StatusSet::default();
            }
            if self.nodes[index].status == Status::Created {
                let needs = self.graph.needs[index].as_ref();
                let before = match needs {
                    Some(needs) => {
                        let mut set = StatusSet::default();
                        needs.iter().for_each(|need| self.nodes[*need].add_to(&mut set));
                        set.combined_needs()
                    }
                    None => earlier.combined(),
                };
                let by_needs = needs.is_some();
                changed |= self.decide(index, before, by_needs, now);
            }
            self.nodes[index].add_to(&mut this_stage);
        }
        changed
    }

    fn decide(&mut self, index: usize, before: Option<Status>, by_needs: bool, now: SystemTime) -> bool {
        let no_delay = self.settings.no_delay;
        let node = &mut self.nodes[index];
        match start(node.job.when, before, by_needs) {
            Start::Wait => return false,
            Start::Skip => node.status = Status::Skipped,
            Start::Now => match node.job.when {
                When::Manual if !node.played => node.status = Status::Manual,
                When::Delayed if !node.played && !no_delay => {
                    node.status = Status::Scheduled;
                    node.wake = now.checked_add(node.job.start_in.unwrap_or_default());
                }
                _ => node.requeue(),
            },
        }
        true
    }

    /// Makes tries of the jobs that are to run, as far as their resource groups allow.
    fn launch_ready(&mut self, now: SystemTime, host: &mut dyn Host) -> bool {
        let mut changed = false;
        let holds = |node: &&Node| !node.ready && node.is_on_runner();
        let mut taken: HashSet<String> =
            self.nodes.iter().filter(holds).filter_map(|node| node.resource.clone()).collect();
        for index in 0..self.nodes.len() {
            if !self.nodes[index].ready {
                continue;
            }
            let resource = self.resource_of(index);
            if resource.as_ref().is_some_and(|resource| taken.contains(resource)) {
                self.nodes[index].status = Status::WaitingForResource;
                continue;
            }
            self.nodes[index].resource.clone_from(&resource);
            self.launch(index, now, host);
            if self.nodes[index].is_on_runner() {
                taken.extend(resource);
            }
            changed = true;
        }
        changed
    }

    fn resource_of(&self, index: usize) -> Option<String> {
        let job = &self.nodes[index].job;
        let group = job.resource_group.as_ref()?;
        let dotenv = self.dotenv_for(index);
        let variables = self.sources(job, TryFacts::NONE, &dotenv).expanded().unwrap_or_default();
        Some(expand::expand(group, &variables))
    }

    fn launch(&mut self, index: usize, now: SystemTime, host: &mut dyn Host) {
        let ticket = host.ticket();
        let action = match &self.nodes[index].job.work {
            Work::Script { .. } => self.enqueue(index, &ticket, now, host),
            Work::Trigger(trigger) => match &trigger.target {
                TriggerTarget::Include(files) => {
                    let (name, files) = (self.nodes[index].job.name.clone(), files.clone());
                    let variables = self.forwarded(index, &ticket, now);
                    Action::StartChild { job: ticket.id, name, files, variables }
                }
                TriggerTarget::Project { project, .. } => {
                    let note = self.project_note(index, project, &ticket, now);
                    let status =
                        if self.settings.skip_project_triggers { Status::Skipped } else { Status::Success };
                    self.nodes[index].end_at_once(ticket.id, status, now);
                    self.actions.push(Action::Note(note));
                    return;
                }
            },
        };
        self.nodes[index].begin(ticket.id, now);
        self.actions.push(action);
    }

    fn enqueue(&mut self, index: usize, ticket: &JobTicket, now: SystemTime, host: &dyn Host) -> Action {
        let (variables, note) = self.variables_for(index, ticket, now);
        self.actions.extend(note.map(Action::Note));
        let job = &self.nodes[index].job;
        let dependencies: Vec<Dependency<'_>> = self.dependencies(index).collect();
        let parts = Parts {
            settings: &self.settings,
            job,
            id: ticket.id,
            token: ticket.token.expose_secret(),
            variables: &variables,
            dependencies: &dependencies,
            host,
        };
        let mut new_job = NewJob::new(parts.payload());
        new_job.ticket = Some(ticket.clone());
        new_job.tags = job.tags.iter().map(|tag| expand::expand(tag, &variables)).collect();
        if matches!(job.allow_failure, AllowFailure::ExitCodes(_)) {
            new_job.required_features.insert("return_exit_code".to_owned());
        }
        Action::Enqueue { job: ticket.id, name: job.name.clone(), new_job: Box::new(new_job) }
    }

    /// The job's variables, expanded. A circle that only a dotenv report closes cannot fail the pipeline any more:
    /// then they are sent as written, with a note.
    fn variables_for(
        &self,
        index: usize,
        ticket: &JobTicket,
        now: SystemTime,
    ) -> (Vec<JobVariable>, Option<String>) {
        let job = &self.nodes[index].job;
        let dotenv = self.dotenv_for(index);
        let of_try = TryFacts { id: ticket.id.0, token: ticket.token.expose_secret(), at: now };
        let sources = self.sources(job, of_try, &dotenv);
        match sources.expanded() {
            Ok(variables) => (variables, None),
            Err(error) => {
                let note = format!("{}: {error}; variables are sent unexpanded", job.name);
                (sources.in_order().unwrap_or_default(), Some(note))
            }
        }
    }

    /// Variables of the file that a child pipeline gets, with the values they have for the trigger job.
    fn forwarded(&self, index: usize, ticket: &JobTicket, now: SystemTime) -> Vec<JobVariable> {
        let (variables, _) = self.variables_for(index, ticket, now);
        let mut seen = HashSet::new();
        let of_file = self.nodes[index].job.variables.iter().filter(|variable| seen.insert(&variable.key));
        let value = |key: &String| variables.iter().rev().find(|variable| variable.key == *key).cloned();
        of_file.filter_map(|variable| value(&variable.key)).collect()
    }

    fn project_note(&self, index: usize, project: &str, ticket: &JobTicket, now: SystemTime) -> String {
        let (variables, _) = self.variables_for(index, ticket, now);
        let project = expand::expand(project, &variables);
        let ends = if self.settings.skip_project_triggers { "skipped" } else { "counted as success" };
        format!(
            "{}: the pipeline of project {project} is not triggered; the job is {ends}",
            self.nodes[index].job.name
        )
    }

    fn sources<'a>(
        &'a self,
        job: &'a Job,
        of_try: TryFacts<'a>,
        dotenv: &'a [(String, String)],
    ) -> Sources<'a> {
        Sources { settings: &self.settings, pipeline_name: self.name.as_deref(), job, of_try, dotenv }
    }

    fn dotenv_for(&self, index: usize) -> Vec<(String, String)> {
        let tries = self.graph.downloads[index].iter().filter_map(|other| self.nodes[*other].tries.last());
        tries.flat_map(|last| last.dotenv.iter().cloned()).collect()
    }

    fn dependencies(&self, index: usize) -> impl Iterator<Item = Dependency<'_>> {
        self.graph.downloads[index].iter().filter_map(|other| {
            let node = &self.nodes[*other];
            let last = node.tries.last()?;
            Some(Dependency { id: last.id, name: &node.job.name, archive: last.archive.as_ref()? })
        })
    }

    fn reset_skipped(&mut self, played: &[usize]) {
        let dependents = self.graph.with_dependents(played);
        let first_stage = played.iter().map(|index| self.graph.stages[*index]).min();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let is_later = Some(self.graph.stages[index]) > first_stage;
            if node.status == Status::Skipped && (is_later || dependents.contains(&index)) {
                node.status = Status::Created;
            }
        }
    }

    fn cancel_all(&mut self, now: SystemTime) {
        for node in &mut self.nodes {
            self.actions.extend(node.cancel(now).map(|job| Action::Cancel { job }));
        }
    }
}

impl Node {
    fn view(&self) -> JobView<'_> {
        JobView {
            job: &self.job,
            status: self.status,
            failure_allowed: self.failure_allowed,
            tries: &self.tries,
        }
    }

    fn add_to(&self, set: &mut StatusSet) {
        set.insert(self.status, self.failure_allowed);
    }

    /// Whether its last try is in the queue, or a runner has it.
    fn is_on_runner(&self) -> bool {
        !self.ready && matches!(self.status, Status::Pending | Status::Running | Status::Canceling)
    }

    fn set_status(&mut self, status: Status) {
        self.status = status;
        if let Some(last) = self.tries.last_mut() {
            last.status = status;
        }
    }

    /// Runs it (again) as soon as possible.
    fn requeue(&mut self) {
        self.ready = true;
        self.wake = None;
        self.status = Status::Pending;
        self.failure_allowed = self.job.allow_failure == AllowFailure::Yes;
    }

    fn begin(&mut self, id: JobId, now: SystemTime) {
        self.ready = false;
        self.tries.push(Try::queued(id, now));
        self.set_status(Status::Pending);
    }

    fn end_at_once(&mut self, id: JobId, status: Status, now: SystemTime) {
        self.begin(id, now);
        self.set_status(status);
        if let Some(last) = self.tries.last_mut() {
            last.started = Some(now);
            last.finished = Some(now);
        }
    }

    fn finish(&mut self, finished: Finished, now: SystemTime) {
        let Finished { end, exit_code, archive, dotenv } = finished;
        let (status, reason) = match end {
            _ if self.status == Status::Canceling => (Status::Canceled, None),
            End::Success => (Status::Success, None),
            End::Failed { reason } => (Status::Failed, Some(reason)),
            End::Canceled => (Status::Canceled, None),
        };
        if let AllowFailure::ExitCodes(codes) = &self.job.allow_failure {
            let is_listed = codes.iter().any(|code| Some(i64::from(*code)) == exit_code);
            self.failure_allowed = status == Status::Failed && is_listed;
        }
        self.set_status(status);
        if let Some(last) = self.tries.last_mut() {
            last.finished = Some(now);
            last.failure_reason = reason;
            last.exit_code = exit_code;
            last.archive = archive;
            last.dotenv = dotenv;
        }
    }

    fn wants_retry(&self) -> bool {
        let Some(last) = self.tries.last().filter(|_| self.status == Status::Failed) else { return false };
        let reason = last.failure_reason.as_deref().unwrap_or("unknown_failure");
        is_retried(&self.job.retry, reason, last.exit_code, self.tries.len())
    }

    /// Cancels it unless it has ended or is manual. Returns the id of a try that the host has to stop.
    fn cancel(&mut self, now: SystemTime) -> Option<JobId> {
        let on_runner = self.is_on_runner().then(|| self.tries.last().map(|last| last.id)).flatten();
        match self.status {
            Status::Running => self.set_status(Status::Canceling),
            Status::Pending if on_runner.is_some() => {
                self.set_status(Status::Canceled);
                if let Some(last) = self.tries.last_mut() {
                    last.finished = Some(now);
                }
            }
            Status::Created | Status::Pending | Status::WaitingForResource | Status::Scheduled => {
                self.status = Status::Canceled;
                self.ready = false;
                self.wake = None;
            }
            _ => return None,
        }
        on_runner
    }
}
