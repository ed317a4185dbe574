//! Arguments of `exec clean`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `exec` does instead of running a pipeline. A job of that name is run by `exec -- NAME`.
#[derive(Debug, Subcommand)]
pub(crate) enum ExecCommand {
    /// Remove what exec keeps in its state folder. (A job called clean: `exec -- clean`.)
    Clean(CleanArgs),
}

/// Arguments of `exec clean`. Without --caches, --includes and --runs: the caches and runs of this project.
#[derive(Debug, Default, Args)]
pub(crate) struct CleanArgs {
    /// Remove the caches of jobs.
    #[arg(long)]
    pub(crate) caches: bool,
    /// Remove what was fetched for includes; all projects share it.
    #[arg(long)]
    pub(crate) includes: bool,
    /// Remove the folders of runs: those that --keep-state kept, and those of runs that died.
    #[arg(long)]
    pub(crate) runs: bool,
    /// For all projects of the state folder instead of the one around the current folder; without other flags also what
    /// was fetched for includes.
    #[arg(long)]
    pub(crate) all_projects: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The state folder [default: $XDG_STATE_HOME/runner or ~/.local/state/runner]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}
