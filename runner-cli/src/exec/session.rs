//! One run of a pipeline: who tells whom what.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_coordinator::core::{Coordinator, Event, EventKind, JobId, Options};
use runner_coordinator::http::{Events, Handle, Server, ServerOptions};
use runner_coordinator::pipeline::Pipeline;
use runner_coordinator::run::{
    Action, Facts, Finished, Outcome, PipelineRun, Play, RunnerFacts, Selection, Settings, Status, coverage,
};
use runner_core::manager::ManagerHandle;
use secrecy::SecretSlice;

use super::compile::{self, Inputs};
use super::graph::Graph;
use super::host::LocalHost;
use super::outside::Outside;
use super::project::Project;
use super::report::{self, JobReport};
use super::run::{Sources, Surroundings, leniency, styles};
use super::source::Files;
use super::state::RunFolder;
use super::stop::{Stop, Wish};
use super::ui::{Row, Screen, Styles, summary};
use super::variables::Given;
use super::{ExecError, artifacts, results, runner, variables};
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
    pub(super) files: &'a Files,
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
        watched_interval: Duration::from_secs(1),
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

/// The pipelines and everybody around them.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) coordinator: Handle,
    pub(super) host: LocalHost,
    /// The pipeline that was asked for, then its children as they were started.
    pub(super) runs: Vec<Run>,
    pub(super) given: Given,
    pub(super) screen: Screen,
    /// How much of each job's trace has been shown.
    shown: HashMap<JobId, u64>,
    /// Which pipeline a job belongs to, and its name on the screen.
    names: HashMap<JobId, (usize, String)>,
    coverage: HashMap<JobId, String>,
    pub(super) notes: Vec<String>,
    begun: SystemTime,
}

/// One pipeline.
pub(super) struct Run {
    pub(super) pipeline: PipelineRun,
    pub(super) facts: Facts,
    /// The pipeline and the job that started it.
    pub(super) parent: Option<(usize, JobId)>,
    /// What stands in front of its jobs' names: `child/`.
    pub(super) prefix: String,
    /// How many pipelines stand above it.
    pub(super) level: usize,
    wake: Option<SystemTime>,
    /// Its end was told to its parent.
    told: bool,
}

impl Run {
    pub(super) fn new(pipeline: PipelineRun, facts: Facts) -> Self {
        Self { pipeline, facts, parent: None, prefix: String::new(), level: 0, wake: None, told: false }
    }
}

impl<'a> Session<'a> {
    fn prepare(plan: &'a Plan<'a>, server: &Server) -> Result<Self, ExecError> {
        let Plan { arguments, project, folder, sources, files, .. } = plan;
        let given = Given::read(arguments, &plan.surroundings.here)?;
        let facts = sources.facts(arguments, project, folder.pipeline, server.url());
        let root_inputs = variables::inputs(arguments)?;
        let inputs = Inputs {
            facts: &facts,
            changes: &sources.changes,
            variables: &given,
            inputs: &root_inputs,
            git: sources.git.as_ref(),
            leniency: leniency(arguments),
        };
        let config = compile::compile(files, &inputs)?;
        let pipeline = compile::evaluate(&config, &inputs)?;

        let mut notes = sources.notes.clone();
        notes.extend(files.outside().map(Outside::take_notes).unwrap_or_default());
        if files.mentions_changes() {
            notes.push(format!("changes are compared with {}", sources.changes.base));
        }
        let message = facts.message.to_lowercase();
        if message.contains("[skip ci]") || message.contains("[ci skip]") {
            notes.push(
                "the commit message asks GitLab to skip the pipeline; it is run all the same".to_owned(),
            );
        }
        notes.extend(pipeline.notes.iter().cloned());
        notes.extend(images(&pipeline, arguments.strict_image)?);
        let (Some(git), Some(served), Ok(checkout)) = (&sources.git, &sources.served, &project.checkout)
        else {
            return Err(ExecError::Runner("there are no sources".to_owned()));
        };
        served.publish(checkout, &[folder.pipeline], &sources.commit.ref_path(), &facts.sha)?;
        let key =
            uuid::Uuid::new_v4().as_bytes().iter().chain(uuid::Uuid::new_v4().as_bytes()).copied().collect();
        let host = LocalHost {
            coordinator: server.handle(),
            git: git.clone(),
            sha: facts.sha.clone(),
            key: SecretSlice::new(key),
        };

        let mut settings = settings(facts.clone(), arguments, &given);
        settings.selection = selection(arguments);
        settings.play = play(arguments, "");
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
            runs: vec![Run::new(pipeline, facts)],
            given,
            screen,
            shown: HashMap::new(),
            names: HashMap::new(),
            coverage: HashMap::new(),
            notes,
            begun: SystemTime::now(),
        })
    }

    /// Lets the pipelines run until nothing more happens by itself; `None` when the user does not want to wait for that.
    async fn follow(
        &mut self,
        mut events: Events,
        mut stop: Stop,
        manager: &ManagerHandle,
    ) -> Option<Outcome> {
        loop {
            self.act();
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
            let wake = self.runs.iter().filter_map(|run| run.wake).min();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(&event),
                    None => return None,
                },
                () = sleep_until(wake) => {
                    self.runs.iter_mut().filter(|run| run.wake == wake).for_each(|run| run.wake = None);
                }
                wish = stop.next() => match wish {
                    Wish::Leave => return None,
                    _ => self.stop(wish, manager),
                },
            }
        }
    }

    /// How it ended, once every pipeline has.
    fn outcome(&self) -> Option<Outcome> {
        let all: Option<Vec<Outcome>> = self.runs.iter().map(|run| run.pipeline.outcome()).collect();
        let outcome = all?.into_iter().next()?;
        Some(match outcome {
            Outcome::Blocked { manual } => Outcome::Blocked { manual: self.blocking(0, manual) },
            other => other,
        })
    }

    /// Does what the pipelines ask for.
    fn act(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.runs.len() {
                let actions = self.runs[index].pipeline.advance(SystemTime::now(), &mut self.host);
                idle &= actions.is_empty();
                for action in actions {
                    self.perform(index, action);
                }
                idle &= !self.report_to_parent(index);
            }
            if idle {
                return;
            }
        }
    }

    fn perform(&mut self, index: usize, action: Action) {
        match action {
            Action::Enqueue { job, name, mut new_job } => {
                let name = format!("{}{name}", self.runs[index].prefix);
                self.names.insert(job, (index, name));
                // The one runner here takes every job.
                new_job.tags.clear();
                self.coordinator.enqueue(*new_job);
            }
            Action::Cancel { job } => {
                let child = self.runs.iter_mut().find(|run| run.parent == Some((index, job)));
                match child {
                    Some(child) => child.pipeline.cancel(SystemTime::now()),
                    None => {
                        self.coordinator.cancel(job, false);
                    }
                }
            }
            Action::StartChild { job, name, includes, variables } => {
                self.start_child(index, job, &name, &includes, variables);
            }
            Action::WakeAt(time) => self.runs[index].wake = Some(time),
            Action::Note(note) => {
                let note = format!("{}{note}", self.runs[index].prefix);
                self.notes.push(note);
            }
        }
    }

    /// Tells the end of a child pipeline to the job that started it. Returns whether there was anything to tell.
    fn report_to_parent(&mut self, index: usize) -> bool {
        let run = &self.runs[index];
        let (Some((parent, job)), Some(outcome)) = (run.parent, run.pipeline.outcome()) else { return false };
        if run.told {
            return false;
        }
        let parent = &mut self.runs[parent].pipeline;
        let finished = match outcome {
            // It may go on, when one of its manual jobs is played.
            Outcome::Blocked { .. } => return parent.blocked(job),
            Outcome::Success { .. } | Outcome::Skipped => Finished::success(),
            Outcome::Failed => Finished::failed("unknown_failure"),
            Outcome::Canceled => Finished::canceled(),
        };
        let news = parent.finished(job, finished, SystemTime::now());
        self.runs[index].told = true;
        news
    }

    fn handle(&mut self, event: &Event) {
        match event.kind {
            EventKind::JobStarted { job } => {
                if let Some((index, _)) = self.names.get(&job) {
                    self.runs[*index].pipeline.started(job, event.at);
                }
            }
            EventKind::TraceAppended { job, .. } => self.show(job),
            EventKind::JobFinished { job, .. } => {
                self.show(job);
                let finished = self.coordinator.job(job, |record| Finished::from(record));
                let (Some(finished), Some((index, _))) = (finished, self.names.get(&job)) else { return };
                let index = *index;
                self.runs[index].pipeline.finished(job, finished, event.at);
                self.ended(index, job);
            }
            _ => {}
        }
    }

    /// Shows what a job has printed since the last time.
    fn show(&mut self, job: JobId) {
        let Some((_, name)) = self.names.get(&job) else { return };
        let shown = self.shown.entry(job).or_default();
        let bytes = self.coordinator.read_trace(job, *shown);
        *shown += u64::try_from(bytes.len()).unwrap_or_default();
        self.screen.output(name, &bytes);
    }

    fn ended(&mut self, index: usize, job: JobId) {
        let Some((_, name)) = self.names.get(&job).cloned() else { return };
        self.screen.end_of_output(&name);
        let pipeline = &self.runs[index].pipeline;
        let Some(view) = pipeline.job_of(job) else { return };
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
        if let Some(expression) = &view.job.coverage
            && let Some(percent) = coverage(expression, &self.coordinator.read_trace(job, 0))
        {
            text.push_str(&format!(", coverage {percent}%"));
            self.coverage.insert(job, percent);
        }
        if last.status == Status::Success
            && let Some((environment, url)) = pipeline.environment(&view.job.name)
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
        let now = SystemTime::now();
        match wish {
            Wish::Cancel => {
                self.screen.say("canceling; once more to stop without after_script");
                self.runs.iter_mut().for_each(|run| run.pipeline.cancel(now));
            }
            Wish::Kill | Wish::Leave => {
                self.screen.say("stopping at once");
                self.runs.iter_mut().for_each(|run| run.pipeline.cancel(now));
                manager.abort();
            }
        }
    }

    /// Prints the summary; the last line says the result.
    fn finish(mut self, outcome: &Outcome) -> Exit {
        let mut rows = Vec::new();
        self.rows(0, &mut rows);
        let styles = self.screen.styles();
        self.screen.say("");
        self.screen.say(summary(&rows, styles).trim_end());
        let jobs = self.results();
        let tests = results::tests(&jobs);
        if !tests.is_empty() {
            self.screen.say(&format!("\n{}", tests.join("\n")));
        }
        if !self.notes.is_empty() {
            self.screen.say("");
        }
        let mut told: Vec<String> = Vec::new();
        for note in std::mem::take(&mut self.notes) {
            if !told.contains(&note) {
                self.screen.say(&format!("note: {note}"));
                told.push(note);
            }
        }
        if self.plan.arguments.keep_state {
            self.screen
                .say(&format!("note: everything of this run is in {}", self.plan.folder.path().display()));
        }
        let took = SystemTime::now().duration_since(self.begun).unwrap_or_default();
        let (text, exit) = super::ui::verdict(outcome, &rows, took, styles);
        if let Some(folder) = &self.plan.arguments.report {
            let folder = self.plan.surroundings.here.join(folder);
            let notes = told.into_iter().collect();
            let (plain, _) = super::ui::verdict(outcome, &rows, took, Styles { colour: false });
            let said = match self.report(&folder, jobs, notes, (plain, took, exit == Exit::Success)) {
                Ok(page) => format!("note: the report is in {}", page.display()),
                Err(error) => format!("note: the report cannot be written to {}: {error}", folder.display()),
            };
            self.screen.say(&said);
        }
        self.screen.say("");
        self.screen.say(&format!("pipeline {}: {text}", self.plan.folder.pipeline));
        match outcome {
            Outcome::Blocked { .. } if self.plan.arguments.fail_on_manual => Exit::Failed,
            _ => exit,
        }
    }

    /// What each job left: those of the pipeline that was asked for first, then those of its children.
    fn results(&mut self) -> Vec<JobReport> {
        let mut jobs = Vec::new();
        for run in &self.runs {
            for view in run.pipeline.jobs() {
                let last = view.last_try().map(|tried| tried.id);
                let coverage = last.and_then(|job| self.coverage.get(&job)).cloned();
                let row = Row { name: format!("{}{}", run.prefix, view.job.name), coverage, ..row(&view) };
                jobs.push(results::of_job(&self.coordinator, last, row, &mut self.notes));
            }
        }
        jobs
    }

    /// Writes the report into `folder`; the file.
    fn report(
        &self,
        folder: &Path,
        jobs: Vec<JobReport>,
        notes: Vec<String>,
        (verdict, took, good): (String, Duration, bool),
    ) -> std::io::Result<PathBuf> {
        let Some(main) = self.runs.first() else { return Err(std::io::ErrorKind::NotFound.into()) };
        let stages: Vec<String> = main.pipeline.stages().map(|(stage, _)| stage.to_owned()).collect();
        let drawn = main.pipeline.jobs().map(|view| (view.job, Some((view.status, view.failure_allowed))));
        let facts = &main.facts;
        let run = report::Run {
            title: format!("pipeline {}", self.plan.folder.pipeline),
            subject: format!(
                "{} of {}, {}: {}",
                facts.git_ref.name(),
                self.plan.project.root.display(),
                facts.sha.get(..8).unwrap_or(&facts.sha),
                facts.message.lines().next().unwrap_or_default()
            ),
            verdict,
            good,
            begun: self.begun,
            took,
            graph: Graph::new(&stages, drawn),
            jobs,
            notes,
        };
        std::fs::create_dir_all(folder)?;
        let page = folder.join("index.html");
        std::fs::write(&page, report::page(&run))?;
        Ok(page)
    }

    /// The jobs of a pipeline, those of a child after the job that started it.
    fn rows(&self, index: usize, rows: &mut Vec<Row>) {
        let run = &self.runs[index];
        for view in run.pipeline.jobs() {
            let coverage = view.last_try().and_then(|tried| self.coverage.get(&tried.id)).cloned();
            rows.push(Row { name: format!("{}{}", run.prefix, view.job.name), coverage, ..row(&view) });
            for (child, other) in self.runs.iter().enumerate() {
                let is_own =
                    |(parent, job)| parent == index && view.tries.iter().any(|tried| tried.id == job);
                if other.parent.is_some_and(is_own) {
                    self.rows(child, rows);
                }
            }
        }
    }
}

/// Settings of a pipeline, apart from which of its jobs run.
pub(super) fn settings(facts: Facts, arguments: &ExecArgs, given: &Given) -> Settings {
    let mut settings = Settings::new(facts);
    settings.no_delay = arguments.no_delay;
    settings.release = arguments.release;
    settings.project_variables.clone_from(&given.project);
    settings.pipeline_variables.clone_from(&given.pipeline);
    settings.runner = RunnerFacts { description: runner::NAME.to_owned(), ..RunnerFacts::default() };
    settings
}

/// What is said about jobs that ask for an image: this machine is no image.
pub(super) fn images(pipeline: &Pipeline, strict: bool) -> Result<Option<String>, ExecError> {
    let asking: Vec<&str> = pipeline
        .jobs
        .iter()
        .filter(|job| job.image.is_some() || !job.services.is_empty())
        .map(|job| job.name.as_str())
        .collect();
    let Some(first) = asking.first() else { return Ok(None) };
    if strict {
        return Err(ExecError::NothingToRun(format!(
            "{} jobs ask for an image or services ({first} for one), and --strict-image forbids to run them here",
            asking.len()
        )));
    }
    let jobs = if asking.len() == 1 { "job" } else { "jobs" };
    Ok(Some(format!(
        "ignored: image and services ({} {jobs}): scripts run on this machine; --strict-image refuses that",
        asking.len()
    )))
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
        coverage: None,
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

/// Which manual jobs are played in the pipeline whose jobs are called with this prefix.
pub(super) fn play(arguments: &ExecArgs, prefix: &str) -> Play {
    let names = &arguments.manual;
    if names.iter().any(|name| name == "all") {
        return Play::All;
    }
    let named: Vec<String> =
        names.iter().map(|name| name.strip_prefix(prefix).unwrap_or(name).to_owned()).collect();
    if named.is_empty() { Play::None } else { Play::Named(named) }
}

/// Waits until a time; without one for ever.
async fn sleep_until(time: Option<SystemTime>) {
    match time {
        Some(time) => tokio::time::sleep(time.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
