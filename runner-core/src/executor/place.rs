//! A prepared place, as scripts need to know it.

use serde::{Deserialize, Serialize};

/// The shell for which scripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// Any POSIX shell.
    Sh,
}

impl Shell {
    /// Name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Sh => "sh",
        }
    }
}

/// What [`Environment::prepare`](super::Environment::prepare) made. Scripts are generated after it, because they need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Root of all projects' folders, absolute, without a trailing slash.
    pub builds_dir: String,
    /// Root of local cache archives, absolute, without a trailing slash.
    pub cache_dir: String,
    /// Whether other jobs use the same folders (`CI_SHARED_ENVIRONMENT`); then the project's folder gets a part per runner
    /// and slot. `false`: the place is this job's alone (`CI_DISPOSABLE_ENVIRONMENT`).
    pub shared: bool,
    /// Shell that runs the scripts.
    pub shell: Shell,
    /// How scripts call the helper program: program and leading arguments. Empty: there is none, and stages that need it
    /// print a warning instead.
    pub helper: Vec<String>,
    /// Operating system in the spelling of `CI_RUNNER_EXECUTABLE_ARCH`: `linux`.
    pub os: String,
    /// Where the job runs as a person would say it; printed as `Running on … via HOST`.
    pub hostname: Option<String>,
}
