//! The git program, run for its answers.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables that would point git somewhere else, as they are set in hooks and aliases.
pub(crate) const REDIRECTING: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// A git command that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// The program could not be started.
    #[error("cannot run git; install it or put it on the PATH")]
    Start(#[source] std::io::Error),
    /// It ended with an error.
    #[error("`git {command}` failed in {}: {output}", folder.display())]
    Failed { command: String, folder: PathBuf, output: String },
}

/// Runs git in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    folder: PathBuf,
    variables: Vec<(OsString, OsString)>,
    settings: Vec<String>,
}

impl Git {
    /// Git in this folder.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), variables: Vec::new(), settings: Vec::new() }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same with one more environment variable.
    pub(crate) fn with_variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The same with a configuration setting, `name=value`.
    pub(crate) fn with_setting(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// What it prints, without white space at the end; an error when it fails.
    pub(crate) fn text<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String, GitError> {
        let output = self.output(arguments, &[])?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// What it prints; `None` when it fails, which for many commands is an answer.
    pub(crate) fn maybe<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Option<String> {
        self.text(arguments).ok().filter(|text| !text.is_empty())
    }

    /// Whether it succeeds.
    pub(crate) fn succeeds<S: AsRef<OsStr>>(&self, arguments: &[S]) -> bool {
        self.output(arguments, &[]).is_ok()
    }

    /// What it prints, byte by byte, after reading `input`.
    pub(crate) fn output<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Result<Vec<u8>, GitError> {
        let mut command = Command::new("git");
        for name in REDIRECTING {
            command.env_remove(name);
        }
        // Nothing here may ask a question or touch the index on the side.
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        command.current_dir(&self.folder);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.args(arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(GitError::Start)?;
        // Input and output are moved at the same time: git may answer before it has read everything.
        let output = std::thread::scope(|scope| {
            if let Some(mut stdin) = child.stdin.take() {
                scope.spawn(move || stdin.write_all(input));
            }
            child.wait_with_output()
        })
        .map_err(GitError::Start)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(GitError::Failed {
            command: arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" "),
            folder: self.folder.clone(),
            output: if said.is_empty() { output.status.to_string() } else { said },
        })
    }
}
