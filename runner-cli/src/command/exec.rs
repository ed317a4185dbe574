//! `exec`: a local pipeline.

use std::os::unix::process::CommandExt;

use super::Context;
use crate::args::{ExecArgs, LintArgs};
use crate::error::{CliError, Exit};
use crate::exec::{self, REDIRECTING, Surroundings};

/// Runs or lists the pipeline.
pub(super) fn run(context: &Context, arguments: &ExecArgs) -> Result<Exit, CliError> {
    let surroundings = surroundings(context)?;
    Ok(exec::run(arguments, &surroundings)?)
}

/// Looks for mistakes.
pub(super) fn lint(context: &Context, arguments: &LintArgs) -> Result<Exit, CliError> {
    let surroundings = surroundings(context)?;
    Ok(exec::lint(arguments, &surroundings)?)
}

fn surroundings(context: &Context) -> Result<Surroundings, CliError> {
    let host = &context.host;
    let program = std::env::current_exe().map_err(CliError::system("cannot tell where this program is"))?;
    if REDIRECTING.iter().any(|name| host.environment.contains_key(*name)) {
        return Err(without_redirection(&program));
    }
    Ok(Surroundings {
        here: std::env::current_dir().map_err(CliError::system("cannot tell the current folder"))?,
        program,
        home: host.home(),
        state_home: host.variable("XDG_STATE_HOME").map(str::to_owned),
        uid: host.uid,
        proxy: super::client::proxy(host),
    })
}

/// In a git hook, variables point git at the repository of the hook. Jobs inherit this process's environment and have
/// repositories of their own, so the program begins again without them.
fn without_redirection(program: &std::path::Path) -> CliError {
    let mut command = std::process::Command::new(program);
    for name in REDIRECTING {
        command.env_remove(name);
    }
    let error = command.args(std::env::args_os().skip(1)).exec();
    CliError::system("cannot begin again without git's variables")(error)
}
