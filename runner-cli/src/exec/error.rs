//! Why a local pipeline did not run.

use std::path::PathBuf;

use runner_coordinator::pipeline::{CompileErrors, EvaluateError};
use runner_coordinator::run::RunError;

use super::source::SourceError;
use crate::error::Exit;

/// A local pipeline that cannot be run, or that could not be watched to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// Arguments that do not fit.
    #[error("{0}")]
    Usage(String),
    /// There is no pipeline file.
    #[error("there is no {}; name the pipeline's file with -f", .0.display())]
    NoFile(PathBuf),
    /// A file that was named cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A line of a file of variables.
    #[error("{}:{line}: not a variable; write NAME=VALUE", path.display())]
    VariablesFile { path: PathBuf, line: usize },
    /// No sources.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The configuration is not valid.
    #[error("the configuration is not valid\n{0:#}")]
    Compile(CompileErrors),
    /// The rules leave nothing to run.
    #[error("there is nothing to run: {0}")]
    NothingToRun(String),
    /// The pipeline cannot be run as it is.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder {}; choose another with --state-dir", path.display())]
    State {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The operating system said no.
    #[error("{what}")]
    System {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The user did not wait for the end.
    #[error("left before everything had ended; processes of jobs may go on")]
    Left,
    /// The runner inside could not be put together.
    #[error("{0}")]
    Runner(String),
}

impl ExecError {
    /// The exit code that belongs to it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Left => Exit::Canceled,
            _ => Exit::NotRun,
        }
    }
}

impl From<CompileErrors> for ExecError {
    fn from(errors: CompileErrors) -> Self {
        Self::Compile(errors)
    }
}

impl From<EvaluateError> for ExecError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Invalid(errors) => Self::Compile(errors),
            other => Self::NothingToRun(other.to_string()),
        }
    }
}
