//! The end of a job in its place.

use super::op::{Command, Op};
use super::sources::{clean_repository, forget_credentials};
use super::stage::Body;
use super::steps::variables;
use super::submodules;
use super::whole::Context;
use crate::variables::{GitStrategy, flags};

pub(super) fn cleanup_file_variables(context: &Context<'_>) -> Body {
    let mut ops = variables(context, false);
    ops.extend(forget_credentials(&context.remote));
    // File variables, git's external configuration and the file of GITLAB_ENV all live here.
    ops.push(Op::RemoveTree(context.dirs.temp_dir.clone()));
    if context.is_on(flags::ENABLE_JOB_CLEANUP) {
        ops.extend(clean_project(context));
    }
    ops.extend(clean_repository(context));
    Body::Ops(ops)
}

fn clean_project(context: &Context<'_>) -> Vec<Op> {
    let project = context.dirs.project_dir.clone();
    match context.options.git_strategy {
        GitStrategy::None => vec![Op::notice("Skipping build directory cleanup step")],
        GitStrategy::Clone | GitStrategy::Empty => vec![Op::RemoveTree(project)],
        GitStrategy::Fetch => {
            let mut ops = vec![Op::ChangeDir(project)];
            let flags = &context.options.clean_flags;
            if !flags.is_empty() {
                ops.push(Op::Run(Command::new(["git", "clean"]).args(flags.iter().cloned())));
            }
            ops.push(Op::Run(Command::new(["git", "reset", "--hard"])));
            if context.options.submodule_strategy.is_on() {
                ops.push(submodules::clean(context));
                ops.push(submodules::foreach(context, ["git", "reset", "--hard"]));
            }
            ops
        }
    }
}
