//! `list`: the entries of the configuration.

use std::io::Write;

use runner_api::{RunnerToken, SecretText};

use super::Context;
use crate::error::{CliError, Exit};

/// Prints one line for each entry. Of a token only the part is shown that logs and metrics show.
pub(super) fn run(context: &Context) -> Result<Exit, CliError> {
    let loaded = context.load()?;
    let mut out = anstream::stdout().lock();
    let width =
        loaded.config.runners.iter().map(|runner| runner.name.chars().count()).max().unwrap_or_default();
    for runner in &loaded.config.runners {
        let token = RunnerToken::new(runner.token.as_ref().map(SecretText::expose).unwrap_or_default());
        // What stands for a token is no secret.
        let token = if token.expose().starts_with('$') { token.expose() } else { token.short() };
        writeln!(
            out,
            "{:width$}  Executor={} Token={} URL={}",
            runner.name, runner.executor, token, runner.url
        )
        .map_err(CliError::system("cannot print the list"))?;
    }
    if loaded.config.runners.is_empty() {
        tracing::info!("there is no runner in {}", context.config.display());
    }
    Ok(Exit::Success)
}
