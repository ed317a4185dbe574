//! How it ended, said once nothing more happens.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use runner_coordinator::run::Outcome;

use super::Session;
use crate::error::Exit;
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
        let (text, exit) = verdict(outcome, &rows, took, styles);
        if let Some(folder) = &self.plan.arguments.report {
            let folder = self.plan.surroundings.here.join(folder);
            let notes = told.into_iter().collect();
            let (plain, _) = verdict(outcome, &rows, took, Styles { colour: false });
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
                let row = Row::of(&run.prefix, &view, coverage);
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
