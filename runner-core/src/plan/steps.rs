//! What the user wants to happen: steps and after_script.

use runner_api::payload::StepName;

use super::op::{Op, Origin, UserCommand};
use super::sources::global_config;
use super::stage::Body;
use super::whole::Context;

/// One stage for each step with something to do, in the payload's order; `when`, `timeout` and `allow_failure` of a step mean
/// nothing to runners.
pub(super) fn steps(context: &Context<'_>) -> Vec<(String, Body)> {
    let settings = context.inputs.settings;
    let steps = context.inputs.job.steps.iter().filter(|step| step.name != StepName::AfterScript);
    steps
        .map(|step| {
            let name = format!("step_{}", step.name.as_str().to_lowercase());
            if step.script.is_empty() {
                return (name, Body::Ops(Vec::new()));
            }
            let mut ops = enter(context);
            ops.extend(commands(Origin::PreBuild, &settings.pre_build_script));
            // Releases are described in texts that were made for expansion by the runner.
            let expand = step.name == StepName::Release;
            ops.extend(commands(Origin::Step, &step.script).map(|op| match op {
                Op::User(command) => Op::User(UserCommand { expand, ..command }),
                other => other,
            }));
            ops.extend(commands(Origin::PostBuild, &settings.post_build_script));
            (name, Body::Ops(ops))
        })
        .collect()
}

pub(super) fn after_script(context: &Context<'_>) -> Body {
    let step = context.inputs.job.steps.iter().find(|step| step.name == StepName::AfterScript);
    let Some(step) = step.filter(|step| !step.script.is_empty()) else { return Body::Ops(Vec::new()) };
    let mut ops = enter(context);
    ops.push(Op::notice("Running after script..."));
    ops.extend(commands(Origin::AfterScript, &step.script));
    Body::Ops(ops)
}

/// How most stages begin: variables, then the project's folder.
pub(super) fn enter(context: &Context<'_>) -> Vec<Op> {
    let mut ops = variables(context, true);
    ops.push(Op::ChangeDir(context.dirs.project_dir.clone()));
    ops
}

/// The job's variables, and where git finds its global configuration if that is the job's own.
pub(super) fn variables(context: &Context<'_>, files: bool) -> Vec<Op> {
    let mut ops = vec![Op::Variables { files }];
    if let Some(path) = global_config(context) {
        ops.push(Op::Export { key: "GIT_CONFIG_GLOBAL".to_owned(), value: path });
    }
    ops
}

/// Entries of a script as commands.
pub(super) fn commands<'a>(
    origin: Origin,
    entries: impl IntoIterator<Item = &'a String>,
) -> impl Iterator<Item = Op> {
    entries.into_iter().enumerate().map(move |(index, entry)| {
        Op::User(UserCommand { origin, index, text: entry.trim().to_owned(), expand: false })
    })
}
