//! What `exec` prints without running anything: the list of jobs, an explanation, a payload.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use runner_coordinator::core::{Coordinator, JobTicket, Options};
use runner_coordinator::pipeline::{Config, EvaluateError, Pipeline};
use runner_coordinator::run::{Action, Host, PipelineRun, Play, Selection};

use super::compile::{self, Inputs};
use super::graph::{self, Graph};
use super::host::object_ids;
use super::project::Project;
use super::run::{Sources, Surroundings, outside};
use super::variables::{self, Given};
use super::{ExecError, explain, list, session};
use crate::args::{ExecArgs, GraphFormat};
use crate::error::Exit;
use crate::exec::git::Git;
use crate::exec::source::Files;

/// Prints what was asked for. Without git it works as well.
pub(super) fn run(
    arguments: &ExecArgs,
    surroundings: &Surroundings,
    project: &Project,
    state: Option<PathBuf>,
) -> Result<Exit, ExecError> {
    prepared(arguments, surroundings, project, state, |files, inputs| {
        let config = compile::compile(files, inputs)?;
        print(arguments, &config, inputs)?;
        Ok(Exit::Success)
    })
}

/// Calls `look` with the files of the project and everything that is known about it.
pub(super) fn prepared<T>(
    arguments: &ExecArgs,
    surroundings: &Surroundings,
    project: &Project,
    state: Option<PathBuf>,
    look: impl FnOnce(&Files, &Inputs<'_>) -> Result<T, ExecError>,
) -> Result<T, ExecError> {
    let scratch = tempfile::tempdir()
        .map_err(|source| ExecError::System { what: "cannot make a temporary folder", source })?;
    let sources = match &project.checkout {
        Ok(_) => Sources::take(arguments, surroundings, project, &scratch.path().join("sources.git"))?,
        Err(_) => Sources::without_git(arguments, surroundings, project),
    };
    let given = Given::read(arguments, &surroundings.here)?;
    let facts = sources.facts(arguments, project, 1, "http://localhost".to_owned());
    let root_inputs = variables::inputs(arguments)?;
    let inputs = sources.inputs(arguments, &facts, &given, &root_inputs);
    let outside = outside(arguments, surroundings, &sources, state)?;
    let files = project.files(arguments.committed).with_outside(outside);
    look(&files, &inputs)
}

fn print(arguments: &ExecArgs, config: &Config, inputs: &Inputs<'_>) -> Result<(), ExecError> {
    let mut out = std::io::stdout().lock();
    let printed = if let Some(job) = &arguments.explain {
        let explanations = config.explain(&inputs.known(config), job);
        if explanations.is_empty() {
            return Err(unknown(job, config));
        }
        explain::print(&mut out, &explanations, inputs)
    } else if let Some(format) = arguments.graph {
        let graph = Graph::of(&compile::evaluate(config, inputs)?);
        let drawn = match format {
            GraphFormat::Text => graph::text(&graph),
            GraphFormat::Mermaid => graph::mermaid(&graph),
            GraphFormat::Svg => graph::svg(&graph),
        };
        out.write_all(drawn.as_bytes())
    } else if let Some(job) = &arguments.explain_variables {
        let pipeline = compile::evaluate(config, inputs)?;
        let run = only(job, pipeline, inputs, arguments)?;
        let names: Vec<String> = run.jobs().map(|view| view.job.name.clone()).collect();
        let definitions = names.iter().filter_map(|name| Some((name.as_str(), run.variables(name)?)));
        explain::print_variables(&mut out, definitions)
    } else if let Some(job) = &arguments.job_payload {
        let pipeline = compile::evaluate(config, inputs)?;
        let payload = payload(job, pipeline, inputs, arguments)?;
        serde_json::to_writer_pretty(&mut out, &payload).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        let in_pipeline = names(compile::evaluate(config, inputs));
        list::print(&mut out, arguments.format, config, in_pipeline.as_ref())
    };
    match printed.and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ExecError::System { what: "cannot print", source: error })
        }
        _ => Ok(()),
    }
}

fn names(pipeline: Result<Pipeline, EvaluateError>) -> Option<BTreeSet<String>> {
    match pipeline {
        Ok(pipeline) => Some(pipeline.jobs.into_iter().map(|job| job.name).collect()),
        Err(error) => {
            tracing::debug!("no pipeline: {error}");
            None
        }
    }
}

fn unknown(job: &str, config: &Config) -> ExecError {
    let names: Vec<&str> = config.jobs().map(|job| job.name.as_str()).collect();
    ExecError::Usage(format!("no job {job:?} in the configuration; it has: {}", names.join(", ")))
}

/// A pipeline of nothing but the job that is meant.
fn only(
    job: &str,
    pipeline: Pipeline,
    inputs: &Inputs<'_>,
    arguments: &ExecArgs,
) -> Result<PipelineRun, ExecError> {
    let mut settings = session::settings(inputs.facts.clone(), arguments, inputs.variables);
    settings.selection = Selection::Jobs { names: vec![job.to_owned()], with_needs: false };
    settings.play = Play::All;
    settings.no_delay = true;
    Ok(PipelineRun::new(pipeline, settings)?)
}

/// What a runner would receive for the first job that is meant, values of masked variables left out.
fn payload(
    job: &str,
    pipeline: Pipeline,
    inputs: &Inputs<'_>,
    arguments: &ExecArgs,
) -> Result<serde_json::Value, ExecError> {
    let mut run = only(job, pipeline, inputs, arguments)?;
    let mut host = Lookout {
        coordinator: Coordinator::new(Options::default()),
        git: inputs.git,
        sha: &inputs.facts.sha,
    };
    let mut notes = Vec::new();
    for action in run.advance(std::time::SystemTime::now(), &mut host) {
        match action {
            Action::Enqueue { new_job, .. } => {
                let mut payload = new_job.payload;
                hide(&mut payload);
                return Ok(payload);
            }
            Action::Note(note) => notes.push(note),
            _ => {}
        }
    }
    let why = if notes.is_empty() { "it runs no script".to_owned() } else { notes.join("; ") };
    Err(ExecError::Usage(format!("no runner receives job {job:?}: {why}")))
}

/// Takes the values of masked variables and of tokens out, wherever they occur.
fn hide(payload: &mut serde_json::Value) {
    let mut secrets: Vec<String> = payload["variables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|variable| variable["masked"] == true)
        .filter_map(|variable| variable["value"].as_str().map(str::to_owned))
        .collect();
    secrets.extend(payload["token"].as_str().map(str::to_owned));
    secrets.retain(|secret| !secret.is_empty());
    replace(payload, &secrets);
}

fn replace(value: &mut serde_json::Value, secrets: &[String]) {
    match value {
        serde_json::Value::String(text) => {
            for secret in secrets {
                if text.contains(secret) {
                    *text = text.replace(secret, "[MASKED]");
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| replace(item, secrets)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|item| replace(item, secrets)),
        _ => {}
    }
}

/// A host for a pipeline that is only looked at.
struct Lookout<'a> {
    coordinator: Coordinator,
    git: Option<&'a Git>,
    sha: &'a str,
}

impl Host for Lookout<'_> {
    fn ticket(&mut self) -> JobTicket {
        self.coordinator.reserve_job()
    }

    fn object_ids(&self, globs: &[String], last_commits: bool) -> Vec<String> {
        self.git.map(|git| object_ids(git, self.sha, globs, last_commits)).unwrap_or_default()
    }

    fn id_token(&self, _claims: &serde_json::Value) -> Option<String> {
        Some("signed when the job runs".to_owned())
    }
}
