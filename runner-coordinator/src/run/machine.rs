//! The state machine of a running pipeline.

use std::collections::HashSet;
use std::time::SystemTime;

use super::action::{Action, Finished, Host};
use super::error::{PlayError, RunError};
use super::expand::lookup;
use super::graph::Graph;
use super::node::Node;
use super::select::is_meant;
use super::settings::{Play, Settings};
use super::status::{Start, Status, StatusSet, start};
use super::variables::{Definition, TryFacts};
use super::view::{JobView, Outcome};
use crate::core::JobId;
use crate::pipeline::{Job, Pipeline, When, Work};

/// A pipeline that runs: which jobs wait, run and have ended, and what has to happen next.
///
/// It does nothing by itself. The host tells it what happened ([`started`](Self::started),
/// [`finished`](Self::finished), [`play`](Self::play), [`cancel`](Self::cancel)), then calls
/// [`advance`](Self::advance) and does what that returns, until [`outcome`](Self::outcome) is there.
#[derive(Debug)]
pub struct PipelineRun {
    pub(super) settings: Settings,
    pub(super) name: Option<String>,
    stages: Vec<String>,
    cancel_on_failure: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) graph: Graph,
    pub(super) actions: Vec<Action>,
    /// Resource groups that were taken from the host.
    pub(super) held: HashSet<String>,
    /// The host refused a resource group, and only it knows when that is free again.
    pub(super) refused: bool,
    canceled: bool,
    /// Something happened since the last `advance`.
    dirty: bool,
    next_wake: Option<SystemTime>,
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
        let nodes = pipeline.jobs.into_iter().map(|job| {
            let played = selected.played.contains(&job.name) || is_played(&job);
            Node::new(job, played)
        });
        let run = Self {
            nodes: nodes.collect(),
            cancel_on_failure: settings.cancel_on_failure || pipeline.cancel_on_failure,
            settings,
            name: pipeline.name,
            stages: pipeline.stages,
            graph,
            actions: Vec::new(),
            held: HashSet::new(),
            refused: false,
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
        // Hosts ask whenever anything happens, and most of it is output.
        if !self.dirty && !self.refused && self.next_wake.is_none_or(|wake| wake > now) {
            return std::mem::take(&mut self.actions);
        }
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
        let cancel_on_failure = self.cancel_on_failure;
        let Some(node) = self.node_of(job).filter(|node| node.is_on_runner()) else { return false };
        node.finish(finished, now);
        if node.wants_retry() {
            node.requeue();
        }
        let counts = node.status == Status::Failed && !node.failure_allowed;
        self.dirty = true;
        if cancel_on_failure && counts {
            self.cancel_all(now);
        }
        true
    }

    /// The child pipeline of a trigger job waits for a manual job of its own, so the trigger job does, too. Once that goes on,
    /// report [`resumed`](Self::resumed). Ignored for jobs that do not run. Returns whether anything changed.
    pub fn blocked(&mut self, job: JobId) -> bool {
        let Some(node) = self.node_of(job).filter(|node| node.status == Status::Running) else {
            return false;
        };
        node.set_status(Status::Manual);
        self.dirty = true;
        true
    }

    /// The child pipeline of a trigger job goes on. Returns whether anything changed.
    pub fn resumed(&mut self, job: JobId) -> bool {
        let is_blocked = |node: &&mut Node| node.status == Status::Manual && !node.ready;
        let Some(node) = self.node_of(job).filter(is_blocked) else { return false };
        node.set_status(Status::Running);
        self.dirty = true;
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

    /// Name and address of the environment that a finished job worked on, expanded with what it reported itself;
    /// `None` without both.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<(String, String)> {
        let index = self.nodes.iter().position(|node| node.job.name == name)?;
        let node = &self.nodes[index];
        node.job.environment.as_ref()?;
        let mut dotenv = self.dotenv_for(index);
        dotenv.extend(node.tries.last()?.dotenv.iter().cloned());
        let variables = self.sources(&node.job, TryFacts::NONE, &dotenv).expanded().ok()?;
        let value = |key| lookup(&variables, key).map(str::to_owned);
        Some((value("CI_ENVIRONMENT_NAME")?, value("CI_ENVIRONMENT_URL")?))
    }

    /// All definitions of the variables of a job, lowest precedence first, without those that only a try has (`CI_JOB_ID`,
    /// tokens). `None` when there is no such job.
    #[must_use]
    pub fn variables(&self, name: &str) -> Option<Vec<Definition>> {
        let index = self.nodes.iter().position(|node| node.job.name == name)?;
        let dotenv = self.dotenv_for(index);
        let sources = self.sources(&self.nodes[index].job, TryFacts::NONE, &dotenv);
        let definitions = sources.levels().ok()?;
        let expanded = sources.expanded().ok()?;
        let mut seen = HashSet::new();
        let mut found: Vec<Definition> = definitions
            .into_iter()
            .rev()
            .map(|(level, mut variable)| {
                let overridden = !seen.insert(variable.key.clone());
                if let Some(value) = lookup(&expanded, &variable.key).filter(|_| !overridden) {
                    value.clone_into(&mut variable.value);
                }
                Definition { level, variable, overridden }
            })
            .collect();
        found.reverse();
        Some(found)
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
