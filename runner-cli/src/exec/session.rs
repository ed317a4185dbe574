//! One run of a pipeline: who tells whom what.

use std::collections::HashMap;
use std::time::SystemTime;

use runner_coordinator::core::{Coordinator, Event, EventKind, JobId, Options};
use runner_coordinator::http::{Events, Handle, Server, ServerOptions};
use runner_coordinator::run::{
    Action, Finished, Outcome, PipelineRun, Play, RunnerFacts, Selection, Settings, Status,
};
use runner_core::manager::ManagerHandle;

use super::compile::{self, Inputs};
use super::host::LocalHost;
use super::project::Project;
use super::run::{Sources, Surroundings, leniency, styles};
use super::state::RunFolder;
use super::stop::{Stop, Wish};
use super::ui::{Row, Screen, summary};
use super::{ExecError, artifacts, runner, variables};
use crate::args::ExecArgs;
use crate::error::Exit;

/// Everything that is known before the run begins.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) arguments: &'a ExecArgs,
    pub(super) surroundings: &'a Surroundings,
    pub(super) project: &'a Project,
    pub(super) folder: &'a RunFolder,
    pub(super) sources: &'a Sources,
}

/// Runs the pipeline to its end.
pub(super) async fn run(plan: &Plan<'_>) -> Result<Exit, ExecError> {
    let stop = Stop::new()?;
    let server = serve(plan.folder).await?;
    let mut session = Session::prepare(plan, &server)?;
    let program = &plan.surroundings.program;
    let manager =
        runner::manager(&server, plan.folder, program, parallelism(plan.arguments), plan.arguments.grace.0)?;
    let handle = manager.handle();
    let running = tokio::spawn(manager.run());
    let outcome = session.follow(server.handle().events(), stop, &handle).await;
    let Some(outcome) = outcome else {
        return Err(ExecError::Left);
    };
    // Everything has ended; what is left are requests for more.
    handle.drain();
    if running.await.is_err() {
        tracing::error!("the runner inside ended unexpectedly");
    }
    server.shutdown().await;
    Ok(session.finish(&outcome))
}

async fn serve(folder: &RunFolder) -> Result<Server, ExecError> {
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    let options = Options {
        seed,
        // Jobs of different runs have different ids.
        first_job: folder.pipeline.saturating_mul(1000) + 1,
        held_requests_get_jobs: true,
        watched_interval: std::time::Duration::from_secs(1),
        trace_limit: u64::MAX,
        ..Options::default()
    };
    let artifacts = folder.folder("artifacts")?;
    Server::bind(([127, 0, 0, 1], 0).into(), Coordinator::new(options), ServerOptions::new(artifacts))
        .await
        .map_err(|source| ExecError::System { what: "cannot listen on 127.0.0.1", source })
}

fn parallelism(arguments: &ExecArgs) -> usize {
    let machine = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.parallelism.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or_else(machine)
}

/// The pipeline and everybody around it.
struct Session<'a> {
    plan: &'a Plan<'a>,
    coordinator: Handle,
    host: LocalHost,
    pipeline: PipelineRun,
    screen: Screen,
    /// How much of each job's trace has been shown.
    shown: HashMap<JobId, u64>,
    names: HashMap<JobId, String>,
    wake: Option<SystemTime>,
    notes: Vec<String>,
    begun: SystemTime,
}

impl<'a> Session<'a> {
    fn prepare(plan: &'a Plan<'a>, server: &Server) -> Result<Self, ExecError> {
        let Plan { arguments, project, folder, sources, .. } = plan;
        let variables = variables::given(arguments)?;
        let facts = sources.facts(arguments, project, folder.pipeline, server.url());
        let inputs = Inputs {
            facts: &facts,
            changes: &sources.changes,
            variables: &variables,
            git: sources.git.as_ref(),
            leniency: leniency(arguments),
        };
        let files = project.files(arguments.committed);
        let config = compile::compile(&files, &inputs)?;
        let pipeline = compile::evaluate(&config, &inputs)?;

        let mut notes = sources.notes.clone();
        if files.mentions_changes() {
            notes.push(format!("changes are compared with {}", sources.changes.base));
        }
        notes.extend(pipeline.notes.iter().cloned());
        let (Some(git), Some(served), Ok(checkout)) = (&sources.git, &sources.served, &project.checkout)
        else {
            return Err(ExecError::Runner("there are no sources".to_owned()));
        };
        served.publish(checkout, folder.pipeline, &sources.commit.ref_path(), &facts.sha)?;
        let host = LocalHost { coordinator: server.handle(), git: git.clone(), sha: facts.sha.clone() };

        let mut settings = Settings::new(facts);
        settings.selection = selection(arguments);
        settings.play = play(arguments);
        settings.no_delay = arguments.no_delay;
        settings.pipeline_variables = variables;
        settings.runner = RunnerFacts { description: runner::NAME.to_owned(), ..RunnerFacts::default() };
        let pipeline = PipelineRun::new(pipeline, settings)?;
        let screen = Screen::new(
            std::io::stdout(),
            styles(arguments.color),
            pipeline.jobs().map(|view| view.job.name.as_str()),
        );
        Ok(Self {
            plan,
            coordinator: server.handle(),
            host,
            pipeline,
            screen,
            shown: HashMap::new(),
            names: HashMap::new(),
            wake: None,
            notes,
            begun: SystemTime::now(),
        })
    }

    /// Lets the pipeline run until nothing more happens by itself; `None` when the user does not want to wait for that.
    async fn follow(
        &mut self,
        mut events: Events,
        mut stop: Stop,
        manager: &ManagerHandle,
    ) -> Option<Outcome> {
        loop {
            self.act();
            if let Some(outcome) = self.pipeline.outcome() {
                return Some(outcome);
            }
            let wake = self.wake;
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(&event),
                    None => return None,
                },
                () = sleep_until(wake) => self.wake = None,
                wish = stop.next() => match wish {
                    Wish::Leave => return None,
                    _ => self.stop(wish, manager),
                },
            }
        }
    }

    /// Does what the pipeline asks for.
    fn act(&mut self) {
        loop {
            let actions = self.pipeline.advance(SystemTime::now(), &mut self.host);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Enqueue { job, name, mut new_job } => {
                self.names.insert(job, name);
                // The one runner here takes every job.
                new_job.tags.clear();
                self.coordinator.enqueue(*new_job);
            }
            Action::Cancel { job } => {
                self.coordinator.cancel(job, false);
            }
            Action::StartChild { job, name, .. } => {
                self.notes.push(format!("{name}: child pipelines are not supported yet"));
                self.pipeline.finished(
                    job,
                    Finished::failed("downstream_pipeline_creation_failed"),
                    SystemTime::now(),
                );
            }
            Action::WakeAt(time) => self.wake = Some(time),
            Action::Note(note) => self.notes.push(note),
        }
    }

    fn handle(&mut self, event: &Event) {
        match event.kind {
            EventKind::JobStarted { job } => {
                self.pipeline.started(job, event.at);
            }
            EventKind::TraceAppended { job, .. } => self.show(job),
            EventKind::JobFinished { job, .. } => {
                self.show(job);
                let Some(finished) = self.coordinator.job(job, |record| Finished::from(record)) else {
                    return;
                };
                self.pipeline.finished(job, finished, event.at);
                self.ended(job);
            }
            _ => {}
        }
    }

    /// Shows what a job has printed since the last time.
    fn show(&mut self, job: JobId) {
        let Some(name) = self.names.get(&job) else { return };
        let shown = self.shown.entry(job).or_default();
        let bytes = self.coordinator.read_trace(job, *shown);
        *shown += u64::try_from(bytes.len()).unwrap_or_default();
        self.screen.output(name, &bytes);
    }

    fn ended(&mut self, job: JobId) {
        let Some(name) = self.names.get(&job).cloned() else { return };
        self.screen.end_of_output(&name);
        let Some(view) = self.pipeline.job_of(job) else { return };
        let Some(last) = view.tries.iter().find(|tried| tried.id == job) else { return };
        let mut text = last.status.to_string();
        if let Some(reason) = &last.failure_reason {
            text.push_str(&format!(": {reason}"));
        }
        if let Some(code) = last.exit_code.filter(|_| last.status == Status::Failed) {
            text.push_str(&format!(", exit code {code}"));
        }
        if view.last_try().is_some_and(|newest| newest.id != job) || view.status == Status::Pending {
            text.push_str("; trying again");
        }
        if last.status == Status::Success
            && let Some((environment, url)) = self.pipeline.environment(&name)
        {
            self.notes.push(format!("{name}: environment {environment} is at {url}"));
        }
        self.screen.remark(&name, &text);
        if let Some(folder) = &self.plan.arguments.artifacts_to
            && let Some(archive) = self.coordinator.artifact(job, "archive")
        {
            let folder = self.plan.surroundings.here.join(folder);
            if let Err(error) = artifacts::extract(&archive, &folder, &name) {
                self.notes.push(format!("{name}: the artifacts could not be extracted: {error}"));
            }
        }
    }

    fn stop(&mut self, wish: Wish, manager: &ManagerHandle) {
        match wish {
            Wish::Cancel => {
                self.screen.say("canceling; once more to stop without after_script");
                self.pipeline.cancel(SystemTime::now());
            }
            Wish::Kill | Wish::Leave => {
                self.screen.say("stopping at once");
                self.pipeline.cancel(SystemTime::now());
                manager.abort();
            }
        }
    }

    /// Prints the summary; the last line says the result.
    fn finish(mut self, outcome: &Outcome) -> Exit {
        let rows: Vec<Row> = self.pipeline.jobs().map(|view| row(&view)).collect();
        let styles = self.screen.styles();
        self.screen.say("");
        self.screen.say(summary(&rows, styles).trim_end());
        self.notes.dedup();
        if !self.notes.is_empty() {
            self.screen.say("");
        }
        for note in std::mem::take(&mut self.notes) {
            self.screen.say(&format!("note: {note}"));
        }
        if self.plan.arguments.keep_state {
            self.screen
                .say(&format!("note: everything of this run is in {}", self.plan.folder.path().display()));
        }
        self.screen.say("");
        let took = SystemTime::now().duration_since(self.begun).unwrap_or_default();
        let (text, exit) = super::ui::verdict(outcome, &rows, took, styles);
        self.screen.say(&format!("pipeline {}: {text}", self.plan.folder.pipeline));
        exit
    }
}

fn row(view: &runner_coordinator::run::JobView<'_>) -> Row {
    let last = view.last_try();
    Row {
        name: view.job.name.clone(),
        stage: view.job.stage.clone(),
        status: view.status,
        allowed: view.failure_allowed,
        reason: view.failure_reason().map(str::to_owned),
        exit_code: last.and_then(|tried| tried.exit_code),
        tries: view.tries.len(),
        queued: last.map(|tried| tried.queued),
        started: last.and_then(|tried| tried.started),
        finished: last.and_then(|tried| tried.finished),
    }
}

fn selection(arguments: &ExecArgs) -> Selection {
    if arguments.jobs.is_empty() {
        return Selection::All;
    }
    Selection::Jobs { names: arguments.jobs.clone(), with_needs: !arguments.no_needs }
}

fn play(arguments: &ExecArgs) -> Play {
    match arguments.manual.as_slice() {
        [] => Play::None,
        names if names.iter().any(|name| name == "all") => Play::All,
        names => Play::Named(names.to_vec()),
    }
}

/// Waits until a time; without one for ever.
async fn sleep_until(time: Option<SystemTime>) {
    match time {
        Some(time) => tokio::time::sleep(time.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
