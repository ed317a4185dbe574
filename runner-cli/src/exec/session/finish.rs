//! How it ended, said once nothing more happens.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_coordinator::run::Outcome;

use super::Session;
use crate::error::Exit;
use crate::exec::ending::{Place, failures, joined, kept};
use crate::exec::graph::Graph;
use crate::exec::report::{self, JobReport};
use crate::exec::results;
use crate::exec::ui::{Row, Styles, summary, verdict};

impl Session<'_> {
    /// Prints the summary; the last line says the result.
    pub(super) fn finish(mut self, outcome: &Outcome) -> Exit {
        let mut rows = Vec::new();
        self.rows(0, &mut rows);
        let styles = self.screen.styles();
        self.screen.say("");
        self.screen.say(summary(&rows, styles, self.screen.columns()).trim_end());
        let jobs = self.results();
        self.section(&results::tests(&jobs));
        self.section(&failures(&jobs, self.plan.arguments.file.as_deref(), styles));
        self.section(&self.kept(&jobs));
        let told = joined(std::mem::take(&mut self.notes));
        let mut notes: Vec<String> = told.iter().map(|note| format!("note: {note}")).collect();
        if self.plan.arguments.keep_state {
            notes.push(format!("note: everything of this run is in {}", self.plan.folder.path().display()));
        }
        self.section(&notes);
        let took = SystemTime::now().duration_since(self.begun).unwrap_or_default();
        let (text, exit) = verdict(outcome, &rows, took, styles);
        if let Some(folder) = &self.plan.arguments.report {
            let folder = self.plan.surroundings.here.join(folder);
            let (plain, _) = verdict(outcome, &rows, took, Styles { colour: false });
            let said = match self.report(&folder, jobs, told, (plain, took, exit == Exit::Success)) {
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

    /// Prints lines with an empty one in front; nothing when there are none.
    fn section(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.screen.say(&format!("\n{}", lines.join("\n")));
        }
    }

    /// The artifacts, and where they are.
    fn kept(&self, jobs: &[JobReport]) -> Vec<String> {
        let arguments = self.plan.arguments;
        let folder = self.plan.folder.path().join("artifacts");
        let place = match &arguments.artifacts_to {
            Some(folder) => Place::Unpacked(folder),
            None if arguments.keep_state => Place::Kept(&folder),
            None => Place::Gone,
        };
        kept(jobs, place, self.screen.styles())
    }

    /// What each job left: those of the pipeline that was asked for first, then those of its children.
    fn results(&mut self) -> Vec<JobReport> {
        let mut jobs = Vec::new();
        for run in &self.runs {
            for view in run.pipeline.jobs() {
                let last = view.last_try().map(|tried| tried.id);
                let coverage = last.and_then(|job| self.coverage.get(&job)).cloned();
                let row = Row::of(&run.prefix, &view, coverage);
                let mut job = results::of_job(&self.coordinator, last, row, &mut self.notes);
                job.is_own = run.parent.is_none();
                jobs.push(job);
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
            rows.push(Row::of(&run.prefix, &view, coverage));
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
