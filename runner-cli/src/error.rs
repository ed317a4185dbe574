//! How the program fails: one error, documented exit codes.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use runner_core::journal::JournalError;

use crate::config::ConfigError;
use crate::exec::ExecError;

/// Exit codes, as in `docs/guide/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Success,
    /// It was tried and failed: a pipeline failed, a server refused.
    Failed,
    /// Nothing was tried: wrong usage or configuration.
    NotRun,
    /// It was stopped by the user.
    Canceled,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::NotRun => 2,
            Exit::Canceled => 3,
        })
    }
}

/// Anything that ends a command early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Arguments that do not fit together, or an answer that is missing.
    #[error("{0}")]
    Usage(String),
    /// `config.toml` cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A local pipeline cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// GitLab said no, or was not reached.
    #[error("{what}")]
    Server {
        what: String,
        #[source]
        source: runner_api::Error,
    },
    /// The state folder cannot be used: nothing is asked for that could not be written down.
    #[error("cannot use the state folder {}; see to it that there is room and that it can be written, or choose another one with --state-dir", path.display())]
    State {
        path: PathBuf,
        #[source]
        source: JournalError,
    },
    /// Something that was tried did not work; it has been said in detail already.
    #[error("{0}")]
    Failed(String),
    /// The operating system said no.
    #[error("{what}")]
    System {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code that belongs to it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::State { .. } => Exit::NotRun,
            Self::Exec(error) => error.exit(),
            Self::Server { .. } | Self::Failed(_) | Self::System { .. } => Exit::Failed,
        }
    }

    /// A failure of the operating system, for `map_err`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// An error with its causes, in one line.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Says an error and its causes on standard error.
pub(crate) fn report(error: &CliError) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!("\n  caused by: {source}"));
        cause = source.source();
    }
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
    error.exit().into()
}
