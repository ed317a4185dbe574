//! [`ShellConfig`].

use std::path::PathBuf;
use std::time::Duration;

use runner_core::executor::Shell;

/// How jobs run on this machine. Everything is resolved: the crate reads no environment and knows no defaults of paths.
///
/// ```
/// use runner_executor_shell::ShellConfig;
///
/// let helper = vec!["/usr/local/bin/runner".to_owned()];
/// let config = ShellConfig::new("/var/lib/runner/shell", "/home/ci/builds", "/home/ci/cache", helper);
/// assert_eq!(config.grace.as_secs(), 30);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShellConfig {
    /// Where the folders of stages are kept, absolute; this provider's alone, because its janitor removes what it does not know
    /// from it. Made with mode 0700.
    pub state_dir: PathBuf,
    /// Root of all projects' folders, absolute. Made when a job needs it.
    pub builds_dir: PathBuf,
    /// Root of local cache archives, absolute. Made when a job needs it.
    pub cache_dir: PathBuf,
    /// Program and leading arguments that offer the helper's commands, `supervise` first of all; the program by an absolute path.
    pub helper: Vec<String>,
    /// Shell of the jobs.
    pub shell: Shell,
    /// Whether it is a login shell, which reads the user's profile. Without, jobs see the manager's environment as it is.
    pub login: bool,
    /// Time between asking a stage's processes to end and killing them, when the supervisor itself is asked to end.
    pub grace: Duration,
    /// The same for processes that a stage leaves behind when it ends by itself.
    pub leftover_grace: Duration,
    /// Variables added to the manager's environment, which is what jobs start with.
    pub environment: Vec<(String, String)>,
}

impl ShellConfig {
    /// bash as a login shell, a grace of 30 s, 1 s for what stages leave behind, no additional variables.
    pub fn new(
        state_dir: impl Into<PathBuf>,
        builds_dir: impl Into<PathBuf>,
        cache_dir: impl Into<PathBuf>,
        helper: Vec<String>,
    ) -> Self {
        Self {
            state_dir: state_dir.into(),
            builds_dir: builds_dir.into(),
            cache_dir: cache_dir.into(),
            helper,
            shell: Shell::Bash,
            login: true,
            grace: Duration::from_secs(30),
            leftover_grace: Duration::from_secs(1),
            environment: Vec::new(),
        }
    }
}
