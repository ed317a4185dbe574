//! Child pipelines: compiled when the job that starts them runs, and run beside the pipeline that asked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use runner_coordinator::core::JobId;
use runner_coordinator::pipeline::{ChildInclude, Span};
use runner_coordinator::run::{Finished, JobVariable, PipelineRun};

use super::{ExecError, compile};

use super::outside::Outside;
use super::session::{Run, Session, images, job_tokens, play, settings};
use super::variables::Given;

/// How deep children may be nested. <https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#nested-child-pipelines>
const MAX_LEVEL: usize = 2;

impl Session<'_> {
    /// Starts the child pipeline of a job. One that cannot be made fails the job, and says why.
    pub(super) fn start_child(
        &mut self,
        parent: usize,
        job: JobId,
        name: &str,
        includes: &[ChildInclude],
        variables: Vec<JobVariable>,
    ) {
        let now = SystemTime::now();
        match self.child(parent, name, includes, variables) {
            Ok(mut run) => {
                run.parent = Some((parent, job));
                let names: Vec<String> =
                    run.pipeline.jobs().map(|view| format!("{}{}", run.prefix, view.job.name)).collect();
                self.screen.add(names.iter().map(String::as_str));
                self.runs.push(run);
                self.runs[parent].pipeline.started(job, now);
            }
            Err(error) => {
                let name = format!("{}{name}", self.runs[parent].prefix);
                self.screen.add([name.as_str()]);
                for line in error.to_string().lines() {
                    self.screen.remark(&name, line);
                }
                self.notes.push(format!("{name}: there is no child pipeline: {}", first_line(&error)));
                let failed = Finished::failed("downstream_pipeline_creation_failed");
                self.runs[parent].pipeline.finished(job, failed, now);
            }
        }
    }

    fn child(
        &mut self,
        parent: usize,
        name: &str,
        includes: &[ChildInclude],
        variables: Vec<JobVariable>,
    ) -> Result<Run, ExecError> {
        let plan = self.plan;
        let level = self.runs[parent].level + 1;
        if level > MAX_LEVEL {
            return Err(ExecError::NothingToRun(format!(
                "child pipelines are nested at most {MAX_LEVEL} levels deep"
            )));
        }
        let prefix = format!("{}{name}/", self.runs[parent].prefix);
        let mut facts = self.runs[parent].facts.clone();
        "parent_pipeline".clone_into(&mut facts.source);
        facts.pipeline_id = plan.folder.child()?;
        facts.pipeline_iid = facts.pipeline_id;
        facts.created_at = SystemTime::now();
        // Variables of the command line belong to the pipeline that was asked for; a child gets what is forwarded.
        let given = Given { pipeline: variables, ..self.given.clone() };
        let inputs = plan.sources.inputs(plan.arguments, &facts, &given, &[]);
        if let Some(outside) = plan.files.outside() {
            outside.set_archives(self.archives(parent));
        }
        let config = compile::compile_child(includes, &self.place(parent, name), plan.files, &inputs)?;
        let pipeline = compile::evaluate(&config, &inputs)?;
        self.notes.extend(plan.files.outside().map(Outside::take_notes).unwrap_or_default());
        self.notes.extend(pipeline.notes.iter().map(|note| format!("{prefix}: {note}")));
        self.publish(facts.pipeline_id)?;
        let mut settings = settings(facts.clone(), plan.arguments, &given);
        settings.play = play(plan.arguments, &prefix);
        let pipeline = PipelineRun::new(pipeline, settings)?;
        self.notes.extend(images(&pipeline, plan.arguments.strict_image)?);
        self.notes.extend(job_tokens(&pipeline, &given));
        let mut run = Run::new(pipeline, facts);
        run.prefix = prefix;
        run.level = level;
        Ok(run)
    }

    /// Archives of the jobs of a pipeline, by full name.
    fn archives(&self, index: usize) -> HashMap<String, PathBuf> {
        let archive = |view: runner_coordinator::run::JobView<'_>| {
            let path = self.coordinator.artifact(view.last_try()?.id, "archive")?;
            Some((view.job.name.clone(), path))
        };
        self.runs[index].pipeline.jobs().filter_map(archive).collect()
    }

    /// Where the job that asks is written.
    fn place(&self, index: usize, name: &str) -> Span {
        self.runs[index].pipeline.job(name).map(|view| view.job.span.clone()).unwrap_or_default()
    }

    /// Offers the sources under the numbers of all pipelines so far, and one more.
    fn publish(&self, pipeline: u64) -> Result<(), ExecError> {
        let plan = self.plan;
        let (Some(served), Ok(checkout)) = (&plan.sources.served, &plan.project.checkout) else {
            return Ok(());
        };
        let known = self.runs.iter().map(|run| run.facts.pipeline_id);
        let pipelines: Vec<u64> = known.chain([pipeline]).collect();
        let sha = &self.runs[0].facts.sha;
        Ok(served.publish(checkout, &pipelines, &plan.sources.commit.ref_path(), sha)?)
    }

    /// The manual jobs that a pipeline waits for, those of children in the place of the jobs that started them.
    pub(super) fn blocking(&self, index: usize, manual: Vec<String>) -> Vec<String> {
        let run = &self.runs[index];
        let mut names = Vec::new();
        for name in manual {
            let tried = run.pipeline.job(&name).and_then(|view| view.last_try().map(|tried| tried.id));
            let child = self
                .runs
                .iter()
                .position(|other| other.parent.is_some() && other.parent == tried.map(|job| (index, job)));
            match child.map(|child| (child, self.runs[child].pipeline.outcome())) {
                Some((child, Some(runner_coordinator::run::Outcome::Blocked { manual }))) => {
                    names.extend(self.blocking(child, manual));
                }
                _ => names.push(format!("{}{name}", run.prefix)),
            }
        }
        names
    }
}

fn first_line(error: &ExecError) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        // The first line of several mistakes only says that there are some.
        (Some(_), Some(second)) => second.trim().to_owned(),
        (first, _) => first.unwrap_or_default().to_owned(),
    }
}
