//! Starting the jobs of a running pipeline: resource groups, tries, payloads, triggers.

use std::collections::HashSet;
use std::time::SystemTime;

use secrecy::ExposeSecret;

use super::action::{Action, Host};
use super::expand;
use super::machine::PipelineRun;
use super::node::Node;
use super::payload::{Dependency, Parts};
use super::status::Status;
use super::variable::JobVariable;
use super::variables::{Sources, TryFacts};
use crate::core::{JobTicket, NewJob};
use crate::pipeline::{AllowFailure, Job, TriggerTarget, Work};

impl PipelineRun {
    /// Makes tries of the jobs that are to run, as far as their resource groups allow.
    pub(super) fn launch_ready(&mut self, now: SystemTime, host: &mut dyn Host) -> bool {
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

    pub(super) fn sources<'a>(
        &'a self,
        job: &'a Job,
        of_try: TryFacts<'a>,
        dotenv: &'a [(String, String)],
    ) -> Sources<'a> {
        Sources { settings: &self.settings, pipeline_name: self.name.as_deref(), job, of_try, dotenv }
    }

    pub(super) fn dotenv_for(&self, index: usize) -> Vec<(String, String)> {
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
}
