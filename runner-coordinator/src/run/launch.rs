//! Starting the jobs of a running pipeline: resource groups, tries, payloads, triggers.

use std::collections::HashSet;
use std::time::SystemTime;

use secrecy::ExposeSecret;

use super::action::{Action, ArchiveInfo, Finished, Host};
use super::expand;
use super::id_tokens::claims;
use super::machine::PipelineRun;
use super::node::Node;
use super::payload::{Dependency, Parts};
use super::predefined;
use super::status::Status;
use super::variable::JobVariable;
use super::variables::{Sources, TryFacts};
use crate::core::{JobId, JobTicket, NewJob};
use crate::pipeline::{AllowFailure, ForeignNeed, Forward, Job, TriggerTarget, Work};

impl PipelineRun {
    /// Makes tries of the jobs that are to run, as far as their resource groups allow.
    pub(super) fn launch_ready(&mut self, now: SystemTime, host: &mut dyn Host) -> bool {
        let mut changed = false;
        let holds = |node: &&Node| !node.ready && node.is_on_runner();
        let mut taken: HashSet<String> =
            self.nodes.iter().filter(holds).filter_map(|node| node.resource.clone()).collect();
        self.refused = false;
        self.held.retain(|group| {
            let is_held = taken.contains(group);
            if !is_held {
                host.release_resource(group);
            }
            is_held
        });
        for index in 0..self.nodes.len() {
            if !self.nodes[index].ready {
                continue;
            }
            // Found out once: many may wait for the same group, and are looked at whenever one of them ends.
            let resource = self.nodes[index].resource.clone().or_else(|| self.resource_of(index));
            self.nodes[index].resource.clone_from(&resource);
            if let Some(group) = &resource {
                let is_ours = taken.contains(group);
                if is_ours || !host.take_resource(group, &self.nodes[index].job.name) {
                    self.refused |= !is_ours;
                    self.nodes[index].status = Status::WaitingForResource;
                    continue;
                }
            }
            self.launch(index, now, host);
            if let Some(group) = resource {
                if self.nodes[index].is_on_runner() {
                    self.held.insert(group.clone());
                    taken.insert(group);
                } else {
                    host.release_resource(&group);
                }
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
            Work::Script { .. } => {
                if let Some(missing) = self.missing_secret(index) {
                    self.nodes[index].begin(ticket.id, now);
                    self.actions.push(Action::Note(missing));
                    self.finished(ticket.id, Finished::failed("unmet_prerequisites"), now);
                    return;
                }
                self.enqueue(index, &ticket, now, host)
            }
            Work::Trigger(trigger) => match &trigger.target {
                TriggerTarget::Include(includes) => {
                    let (name, includes) = (self.nodes[index].job.name.clone(), includes.clone());
                    let variables = self.forwarded(index, trigger.forward, &ticket, now);
                    Action::StartChild { job: ticket.id, name, includes, variables }
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
        let (mut variables, note) = self.variables_for(index, ticket, now);
        self.actions.extend(note.map(Action::Note));
        let job = &self.nodes[index].job;
        let (tokens, notes) = self.id_tokens(job, ticket, &variables, now, host);
        self.actions.extend(notes.into_iter().map(Action::Note));
        if let Some(release) = job.release.as_ref().filter(|_| !self.settings.release) {
            let tag = expand::expand(&release.tag_name, &variables);
            let note = format!("{}: would release {tag}; nothing is released without --release", job.name);
            self.actions.push(Action::Note(note));
        }
        // Above what a try has, below everything that the file or the user says. Nothing of a try refers to anything, so
        // that expanding has left it in front.
        let of_try = predefined::PERSISTED.min(variables.len());
        variables.splice(of_try..of_try, tokens);
        // A secret that the user gives may have to be a file.
        for variable in &mut variables {
            variable.file |= job.secrets.iter().any(|secret| secret.file && secret.name == variable.key);
        }
        let (foreign, notes) = foreign_archives(job, &variables, host);
        self.actions.extend(notes.into_iter().map(Action::Note));
        let of_foreign = foreign.iter().map(|(name, id, archive)| Dependency { id: *id, name, archive });
        let dependencies: Vec<Dependency<'_>> = self.dependencies(index).chain(of_foreign).collect();
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

    /// What is to be said about the first secret that nobody gave a value for.
    fn missing_secret(&self, index: usize) -> Option<String> {
        let job = &self.nodes[index].job;
        let given = |name: &str| {
            let settings = &self.settings;
            let all = settings.project_variables.iter().chain(&settings.pipeline_variables);
            all.into_iter().any(|variable| variable.key == name)
        };
        let missing = job.secrets.iter().find(|secret| !given(&secret.name))?;
        Some(format!(
            "{}: no place of `secrets` is asked here; give {} with --masked-variable or --variables-file",
            job.name, missing.name
        ))
    }

    /// Tokens of `id_tokens`, and what is to be said about them.
    fn id_tokens(
        &self,
        job: &Job,
        ticket: &JobTicket,
        variables: &[JobVariable],
        now: SystemTime,
        host: &dyn Host,
    ) -> (Vec<JobVariable>, Vec<String>) {
        let mut tokens = Vec::new();
        let mut notes = Vec::new();
        for token in &job.id_tokens {
            if let Some(given) = self.settings.id_tokens.iter().find(|given| given.key == token.name) {
                tokens.push(given.clone());
                continue;
            }
            // The user's own variable counts.
            let of_user = self.settings.project_variables.iter().chain(&self.settings.pipeline_variables);
            if of_user.into_iter().any(|variable| variable.key == token.name) {
                continue;
            }
            let claims = claims(&self.settings, job, ticket.id, token, variables, now);
            let (text, note) = match host.id_token(&claims) {
                Some(text) => (Some(text), "is signed with a key of this run alone; nobody else accepts it"),
                None => (None, "is missing: there is nobody to sign it"),
            };
            tokens.extend(text.map(|text| JobVariable::masked(&token.name, text)));
            notes.push(format!("id token {} {note}; --id-token {}=… gives another", token.name, token.name));
        }
        (tokens, notes)
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

    /// Variables that a child pipeline gets, with the values they have for the trigger job.
    fn forwarded(
        &self,
        index: usize,
        forward: Forward,
        ticket: &JobTicket,
        now: SystemTime,
    ) -> Vec<JobVariable> {
        let mut forwarded = Vec::new();
        if forward.pipeline_variables {
            forwarded.extend(self.settings.pipeline_variables.iter().cloned());
        }
        if forward.yaml_variables {
            let (variables, _) = self.variables_for(index, ticket, now);
            let mut seen = HashSet::new();
            let of_file =
                self.nodes[index].job.variables.iter().filter(|variable| seen.insert(&variable.key));
            let value = |key: &String| variables.iter().rev().find(|variable| variable.key == *key).cloned();
            forwarded.extend(of_file.filter_map(|variable| value(&variable.key)));
        }
        forwarded
    }

    fn project_note(&self, index: usize, project: &str, ticket: &JobTicket, now: SystemTime) -> String {
        let (variables, _) = self.variables_for(index, ticket, now);
        let project = expand::expand(project, &variables);
        let ends = if self.settings.skip_project_triggers {
            "skipped"
        } else {
            "counted as success (--strict: skipped)"
        };
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

/// Archives of jobs of other pipelines, with the names of these jobs; and what is to be said of those that are not there.
fn foreign_archives(
    job: &Job,
    variables: &[JobVariable],
    host: &dyn Host,
) -> (Vec<(String, JobId, ArchiveInfo)>, Vec<String>) {
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for need in job.foreign_needs.iter().filter(|need| need.artifacts) {
        let expanded = |text: &Option<String>| text.as_ref().map(|text| expand::expand(text, variables));
        let need = ForeignNeed {
            project: expanded(&need.project),
            pipeline: expanded(&need.pipeline),
            git_ref: expanded(&need.git_ref),
            job: expand::expand(&need.job, variables),
            ..need.clone()
        };
        if let Some((id, archive)) = host.foreign_archive(&need) {
            found.push((need.job, id, archive));
            continue;
        }
        let (what, path) = match (&need.project, &need.pipeline) {
            (Some(project), _) => (format!("needs:project {project}"), project.as_str()),
            (None, pipeline) => (format!("needs:pipeline {}", pipeline.as_deref().unwrap_or_default()), ""),
        };
        notes.push(format!(
            "{}: {what}, job {name} ({}): not to be had here, the job runs without these artifacts; \
             --artifacts '{path}:{name}=DIR' supplies them",
            job.name,
            need.span,
            name = need.job
        ));
    }
    (found, notes)
}
