//! Arguments as they are parsed. Names of flags and variables are the official runner's where it has them.

mod clean;
mod exec;
mod lint;
mod register;
mod runners;
mod sections;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use clean::{CleanArgs, ExecCommand};
pub(crate) use exec::{ExecArgs, GraphFormat, ListFormat, WatchMode, When};
pub(crate) use lint::{LintArgs, LintFormat};
pub(crate) use register::RegisterArgs;
pub(crate) use runners::{ResetTokenArgs, RunArgs, UnregisterArgs, VerifyArgs};
pub(crate) use sections::{fill as fill_sections, map_error, pairs};

use crate::logging::{Format, Level};

/// Runs GitLab CI jobs: as a service, or a `.gitlab-ci.yml` on this machine.
#[derive(Debug, Parser)]
#[command(name = "runner", version, propagate_version = false, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Arguments of every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Configuration file [default: /etc/gitlab-runner/config.toml as root, else ~/.gitlab-runner/config.toml]
    #[arg(short, long, global = true, env = "CONFIG_FILE", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How much is logged.
    #[arg(short, long, global = true, env = "LOG_LEVEL", value_enum, ignore_case = true)]
    pub(crate) log_level: Option<Level>,
    /// How log lines look.
    #[arg(long, global = true, env = "LOG_FORMAT", value_enum, ignore_case = true)]
    pub(crate) log_format: Option<Format>,
    /// The same as `--log-level debug`.
    #[arg(long, global = true, env = "RUNNER_DEBUG", value_parser = flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub(crate) debug: bool,
}

impl GlobalArgs {
    /// The level that was asked for.
    pub(crate) fn level(&self) -> Option<Level> {
        if self.debug { Some(Level::Debug) } else { self.log_level }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value of it exists in the life of the process")]
pub(crate) enum Command {
    #[command(flatten)]
    Runner(RunnerCommand),
    /// Commands that run beside jobs.
    #[command(flatten)]
    Helper(runner_helper::Command),
}

/// What to do with runners and pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum RunnerCommand {
    /// Run the pipeline of a .gitlab-ci.yml on this machine.
    Exec(ExecArgs),
    /// Look for mistakes in a .gitlab-ci.yml and in what it includes.
    Lint(LintArgs),
    /// Take jobs from GitLab and run them.
    Run(RunArgs),
    /// Connect a new runner to a GitLab instance and add it to the configuration.
    Register(RegisterArgs),
    /// List the runners of the configuration.
    List,
    /// Ask GitLab whether the runners of the configuration are known.
    Verify(VerifyArgs),
    /// Remove runners from GitLab and from the configuration.
    Unregister(UnregisterArgs),
    /// Exchange the tokens of runners for new ones.
    ResetToken(ResetTokenArgs),
}

/// The whole command line, with the flags that are made from tables of keys.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("register", sections::add_flags)
}

/// Reads the value of a `--flag` or `--flag=false`.
pub(crate) fn flag() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
