//! What of the arguments concerns a pipeline itself.

use runner_coordinator::pipeline::{Job, Work};
use runner_coordinator::run::{Facts, PipelineRun, Play, RunnerFacts, Selection, Settings};

use crate::args::ExecArgs;
use crate::exec::variables::Given;
use crate::exec::{ExecError, runner};

/// Settings of a pipeline, apart from which of its jobs run.
pub(in crate::exec) fn settings(facts: Facts, arguments: &ExecArgs, given: &Given) -> Settings {
    let mut settings = Settings::new(facts);
    settings.no_delay = arguments.no_delay;
    settings.release = arguments.release;
    settings.skip_project_triggers = arguments.strict;
    settings.id_tokens.clone_from(&given.id_tokens);
    settings.project_variables.clone_from(&given.project);
    settings.pipeline_variables.clone_from(&given.pipeline);
    settings.runner = RunnerFacts { description: runner::NAME.to_owned(), ..RunnerFacts::default() };
    settings
}

/// What is said about jobs of the run that ask for an image: this machine is no image.
pub(in crate::exec) fn images(pipeline: &PipelineRun, strict: bool) -> Result<Option<String>, ExecError> {
    let asking: Vec<&str> = pipeline
        .jobs()
        .map(|view| view.job)
        .filter(|job| job.image.is_some() || !job.services.is_empty())
        .map(|job| job.name.as_str())
        .collect();
    let Some(first) = asking.first() else { return Ok(None) };
    let jobs = if asking.len() == 1 { "1 job".to_owned() } else { format!("{} jobs", asking.len()) };
    if strict {
        return Err(ExecError::NothingToRun(format!(
            "{jobs} with an image or services ({first} for one), and --strict-image forbids to run such jobs here"
        )));
    }
    Ok(Some(format!(
        "ignored: image and services ({jobs}): scripts run on this machine; --strict-image refuses that"
    )))
}

/// What is said about jobs of the run that use the job's token: only this run knows it.
pub(in crate::exec) fn job_tokens(pipeline: &PipelineRun, given: &Given) -> Vec<String> {
    let is_given =
        |name: &str| given.project.iter().chain(&given.pipeline).any(|variable| variable.key == name);
    let note = |name: &str| {
        let uses = |job: &&Job| match &job.work {
            Work::Script { before_script, script, after_script } => {
                before_script.iter().chain(script).chain(after_script).any(|line| line.contains(name))
            }
            Work::Trigger(_) => false,
        };
        let mut jobs = pipeline.jobs().map(|view| view.job).filter(uses);
        let (first, more) = (&jobs.next()?.name, jobs.count());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!(
            "{name} (used by {first}{more}) is known to this run alone, no server takes it; --masked-variable {name}=… gives \
             another"
        ))
    };
    let names = ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD"];
    names.into_iter().filter(|name| !is_given(name)).filter_map(note).collect()
}

pub(super) fn selection(arguments: &ExecArgs) -> Selection {
    if arguments.jobs.is_empty() {
        return Selection::All;
    }
    Selection::Jobs { names: arguments.jobs.clone(), with_needs: !arguments.no_needs }
}

/// Which manual jobs are played in the pipeline whose jobs are called with this prefix.
pub(in crate::exec) fn play(arguments: &ExecArgs, prefix: &str) -> Play {
    let names = &arguments.manual;
    if names.iter().any(|name| name == "all") {
        return Play::All;
    }
    let named: Vec<String> =
        names.iter().map(|name| name.strip_prefix(prefix).unwrap_or(name).to_owned()).collect();
    if named.is_empty() { Play::None } else { Play::Named(named) }
}
