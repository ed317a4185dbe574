//! Submodules: those of the project, or those of submodules too.

use super::op::{Command, Condition, Op};
use super::sources::if_lfs;
use super::whole::Context;
use crate::variables::SubmoduleStrategy;

pub(super) fn update(context: &Context<'_>, uses_git: bool) -> Vec<Op> {
    if !uses_git || !context.options.submodule_strategy.is_on() {
        return vec![Op::notice("Skipping Git submodules setup")];
    }
    let depth = context.options.submodule_depth;
    let mut title = "Updating/initializing submodules".to_owned();
    if is_recursive(context) {
        title.push_str(" recursively");
    }
    if depth > 0 {
        title.push_str(&format!(" with git depth set to {depth}"));
    }
    let mut ops = vec![
        Op::notice(format!("{title}...")),
        Op::Run(Command::new(["git", "submodule", "init"])),
        sync(context),
    ];
    ops.push(clean(context));
    ops.push(foreach(context, ["git", "reset", "--hard"]));
    let mut again = vec![Op::warning("Updating submodules failed. Retrying...")];
    if context.options.submodule_update_flags.iter().any(|flag| flag == "--remote") {
        again.push(foreach(context, ["git", "fetch", "origin", "+refs/heads/*:refs/remotes/origin/*"]));
    }
    again.extend([
        sync(context),
        Op::Run(update_command(context)),
        foreach(context, ["git", "reset", "--hard"]),
    ]);
    ops.push(Op::If {
        condition: Condition::Succeeds(update_command(context)),
        then: vec![Op::notice("Updated submodules"), sync(context)],
        otherwise: again,
    });
    ops.push(clean(context));
    ops.push(Op::notice("Configuring submodules to use parent git credentials..."));
    let all = Command::new(["git", "submodule", "foreach", "--recursive", "git"]);
    ops.push(Op::Run(all.args(context.include_external_config())));
    if !context.options.lfs_skip_smudge {
        ops.push(if_lfs(vec![Op::notice("Pulling LFS files..."), foreach(context, ["git", "lfs", "pull"])]));
    }
    ops
}

/// Cleans the work trees of submodules, also when the main one is not cleaned.
pub(super) fn clean(context: &Context<'_>) -> Op {
    let flags = &context.options.clean_flags;
    let flags = if flags.is_empty() { vec!["-ffdx".to_owned()] } else { flags.clone() };
    foreach(context, ["git", "clean"].map(str::to_owned).into_iter().chain(flags))
}

/// Runs a command in each submodule.
pub(super) fn foreach<T: Into<String>>(context: &Context<'_>, command: impl IntoIterator<Item = T>) -> Op {
    Op::Run(Command::new(["git", "submodule", "foreach"]).args(recursive(context)).args(command))
}

fn sync(context: &Context<'_>) -> Op {
    Op::Run(Command::new(["git", "submodule", "sync"]).args(recursive(context)).args(paths(context)))
}

fn update_command(context: &Context<'_>) -> Command {
    let depth = context.options.submodule_depth;
    let include = format!("include.path={}", context.external_config());
    let mut command = context.network_git().args(["-c", &include, "submodule", "update", "--init"]);
    command = command.args(recursive(context));
    if depth > 0 {
        command = command.args(["--depth".to_owned(), depth.to_string()]);
    }
    command.args(context.options.submodule_update_flags.iter().cloned()).args(paths(context))
}

fn recursive(context: &Context<'_>) -> Option<&'static str> {
    is_recursive(context).then_some("--recursive")
}

fn is_recursive(context: &Context<'_>) -> bool {
    context.options.submodule_strategy == SubmoduleStrategy::Recursive
}

fn paths(context: &Context<'_>) -> Vec<String> {
    let paths = &context.options.submodule_paths;
    if paths.is_empty() {
        Vec::new()
    } else {
        std::iter::once("--".to_owned()).chain(paths.iter().cloned()).collect()
    }
}
