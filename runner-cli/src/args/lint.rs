//! Arguments of `lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exec::{ExecArgs, IncludeArgs};

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// The pipeline's file [default: .gitlab-ci.yml]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How mistakes are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: LintFormat,
    /// A variable that includes may refer to; may be repeated.
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
    #[command(flatten)]
    pub(crate) includes: IncludeArgs,
}

impl LintArgs {
    /// The same for a pipeline that is only looked at.
    pub(crate) fn as_exec(&self) -> ExecArgs {
        ExecArgs {
            file: self.file.clone(),
            variables: self.variables.clone(),
            includes: self.includes.clone(),
            ..ExecArgs::default()
        }
    }
}

/// How mistakes are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// A paragraph for each, for people.
    #[default]
    Text,
    /// One array of objects, for editors; the format is described in the guide.
    Json,
}
