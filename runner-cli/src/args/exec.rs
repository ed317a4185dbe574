//! Arguments of `exec`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ExecCommand;
use crate::config::RawDuration;

/// Arguments of `exec`.
#[derive(Debug, Default, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct ExecArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ExecCommand>,
    /// Jobs to run, with what they need; all of the pipeline without any. The name of a parallel job means all its instances.
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// The pipeline's file [default: .gitlab-ci.yml]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// List the jobs and run nothing.
    #[arg(long, help_heading = "Looking")]
    pub(crate) list: bool,
    /// How the list looks.
    #[arg(long, value_enum, default_value_t, requires = "list", help_heading = "Looking")]
    pub(crate) format: ListFormat,

    /// Draw the pipeline's jobs and what they need, and run nothing.
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "text",
        conflicts_with_all = ["list", "explain", "explain_variables", "job_payload", "jobs"], help_heading = "Looking")]
    pub(crate) graph: Option<GraphFormat>,
    /// Say why this job takes part or does not, rule by rule, and run nothing.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["list", "job_payload", "jobs"], help_heading = "Looking")]
    pub(crate) explain: Option<String>,
    /// Print the variables of this job and where each comes from, and run nothing.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["list", "explain", "job_payload", "jobs"], help_heading = "Looking")]
    pub(crate) explain_variables: Option<String>,
    /// Print what a runner would receive for this job (JSON, with secrets left out), and run nothing.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["list", "jobs"], help_heading = "Looking")]
    pub(crate) job_payload: Option<String>,

    /// Run again whenever files, commit or branch change. A run that is under way is canceled then, or with `finish`
    /// comes to its end first.
    #[arg(long, value_enum, value_name = "MODE", num_args = 0..=1, require_equals = true,
        default_missing_value = "cancel",
        conflicts_with_all = ["list", "graph", "explain", "explain_variables", "job_payload"])]
    pub(crate) watch: Option<WatchMode>,

    #[command(flatten)]
    pub(crate) includes: IncludeArgs,

    /// Refuse pipelines with jobs that ask for an image or services: this machine has none.
    #[arg(long, help_heading = "Keywords")]
    pub(crate) strict_image: bool,
    /// Run the step of `release`, which calls release-cli.
    #[arg(long, help_heading = "Keywords")]
    pub(crate) release: bool,
    /// Skip jobs that trigger a pipeline of another project, instead of letting them succeed.
    #[arg(long, help_heading = "Keywords")]
    pub(crate) strict: bool,
    /// End with 1 when the pipeline waits for manual jobs.
    #[arg(long, help_heading = "Keywords")]
    pub(crate) fail_on_manual: bool,

    /// A variable for all jobs, above those of the file; may be repeated.
    #[arg(long = "variable", value_name = "NAME=VALUE", help_heading = "Variables")]
    pub(crate) variables: Vec<String>,
    /// A variable whose value is masked in the logs; may be repeated.
    #[arg(long = "masked-variable", value_name = "NAME=VALUE", help_heading = "Variables")]
    pub(crate) masked_variables: Vec<String>,
    /// A file with NAME=VALUE lines, as the project's settings would have them; NAME=@PATH makes a file variable. --variable
    /// wins over it. May be repeated.
    #[arg(long = "variables-file", value_name = "FILE", help_heading = "Variables")]
    pub(crate) variables_files: Vec<PathBuf>,

    /// A token in the place of the one that a job's `id_tokens` asks for; may be repeated.
    #[arg(long = "id-token", value_name = "NAME=VALUE", help_heading = "Variables")]
    pub(crate) id_tokens: Vec<String>,

    /// Run the named jobs only, without the jobs they need.
    #[arg(long, requires = "jobs", help_heading = "Which jobs")]
    pub(crate) no_needs: bool,
    /// Play this manual job (or `all`) as soon as it could start; may be repeated.
    #[arg(long, value_name = "JOB", help_heading = "Which jobs")]
    pub(crate) manual: Vec<String>,
    /// Do not ask at a terminal which manual jobs to play.
    #[arg(long, help_heading = "Which jobs")]
    pub(crate) no_input: bool,
    /// Start delayed jobs at once.
    #[arg(long, help_heading = "Which jobs")]
    pub(crate) no_delay: bool,
    /// Jobs at the same time [default: number of processors]
    #[arg(long = "jobs", id = "parallelism", value_name = "N", value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Which jobs")]
    pub(crate) parallelism: Option<u32>,

    /// Time between asking a canceled job's processes to end and killing them: `10s`, `1m`
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Which jobs")]
    pub(crate) grace: RawDuration,

    /// What counts as having started the pipeline (CI_PIPELINE_SOURCE) [default: push, or merge_request_event]
    #[arg(long, value_name = "SOURCE", help_heading = "Sources")]
    pub(crate) source: Option<String>,
    /// Run as the pipeline of this branch.
    #[arg(long, value_name = "NAME", conflicts_with = "tag", help_heading = "Sources")]
    pub(crate) branch: Option<String>,
    /// Run as the pipeline of a merge request into this branch.
    #[arg(long, value_name = "TARGET", conflicts_with = "tag", help_heading = "Sources")]
    pub(crate) merge_request: Option<String>,
    /// Treat the ref as a protected one.
    #[arg(long, help_heading = "Sources")]
    pub(crate) protected: bool,
    /// Run as the pipeline of this tag.
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub(crate) tag: Option<String>,
    /// Run the last commit instead of the files as they are.
    #[arg(long, help_heading = "Sources")]
    pub(crate) committed: bool,
    /// What `changes` in rules compares with.
    #[arg(long, value_name = "REF", help_heading = "Sources")]
    pub(crate) changes_since: Option<String>,

    /// Artifacts of a job of another project, for needs:project, or (with nothing in front of the colon) of another pipeline
    /// of this one, for needs:pipeline; a folder or a zip file. May be repeated.
    #[arg(long, value_name = "PROJECT:JOB=DIR", help_heading = "Sources")]
    pub(crate) artifacts: Vec<String>,

    /// Put the jobs' artifacts into this folder, a folder for each job.
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub(crate) artifacts_to: Option<PathBuf>,
    /// Write the run as one page, index.html, into this folder: graph, timeline, tests, logs.
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub(crate) report: Option<PathBuf>,
    /// Folder for everything that a run needs [default: $XDG_STATE_HOME/runner or ~/.local/state/runner]
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Keep the run's folder (builds, logs, artifacts) instead of removing it at the end.
    #[arg(long, help_heading = "State")]
    pub(crate) keep_state: bool,

    /// Whether a terminal shows what runs below the log lines.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Terminal")]
    pub(crate) progress: When,
    /// When to use colours.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Terminal")]
    pub(crate) color: When,
}

/// Where files are found that do not lie in the project, and what the server allows.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct IncludeArgs {
    /// A checkout of another project, for include:project and include:component; may be repeated.
    #[arg(long = "project", value_name = "PATH=DIR", help_heading = "Includes")]
    pub(crate) projects: Vec<String>,
    /// A folder with the server's templates, for include:template; may be repeated.
    #[arg(long, value_name = "DIR", help_heading = "Includes")]
    pub(crate) templates: Vec<PathBuf>,
    /// Fetch nothing: includes of other projects and addresses must have been fetched before.
    #[arg(long, help_heading = "Includes")]
    pub(crate) offline: bool,
    /// Fetch includes again that were fetched before.
    #[arg(long, conflicts_with = "offline", help_heading = "Includes")]
    pub(crate) refresh_includes: bool,
    /// Leave out includes that cannot be had here, with a note.
    #[arg(long, help_heading = "Includes")]
    pub(crate) skip_missing_includes: bool,
    /// Most jobs that one job may need, where the server allows more than GitLab's default of 50.
    #[arg(long, value_name = "N", help_heading = "Keywords")]
    pub(crate) needs_limit: Option<usize>,
    /// A value for `spec:inputs` of the pipeline's file; may be repeated.
    #[arg(long = "input", value_name = "NAME=VALUE", help_heading = "Includes")]
    pub(crate) inputs: Vec<String>,
}

/// How `--list` looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table for people.
    #[default]
    Text,
    /// For programs; the format is described in the guide.
    Json,
}

/// How `--graph` draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A tree for terminals.
    Text,
    /// A Mermaid flowchart for Markdown.
    Mermaid,
    /// A picture for browsers.
    Svg,
}

/// What `--watch` does with a run that is under way when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchMode {
    /// Cancel it.
    Cancel,
    /// Let it come to its end.
    Finish,
}

/// When to use what only some terminals have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal that has it, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
