//! What the core needs to know of a runner, resolved: one `[[runners]]` entry with all defaults applied.
//!
//! These are plain values. The command line makes them from `config.toml`; embedders make them by hand and change what they
//! need:
//!
//! ```
//! use runner_core::settings::JobSettings;
//!
//! let settings = JobSettings { output_limit: 64 * 1024, ..JobSettings::default() };
//! assert_eq!(settings.final_update_tries, 10);
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use runner_api::RunnerToken;
use serde::{Deserialize, Serialize};
use url::Url;

/// Who the runner is towards GitLab.
#[derive(Debug, Clone)]
pub struct RunnerIdentity {
    /// Name of the entry, for logs and the job's first line.
    pub name: String,
    /// URL of the GitLab instance, as configured.
    pub url: Url,
    /// Authentication token.
    pub token: RunnerToken,
    /// Identifies this manager among those that share the token: `s_` or `r_` and twelve characters.
    pub system_id: String,
}

/// How a runner asks for jobs.
#[derive(Debug, Clone)]
pub struct PollSettings {
    /// Jobs of this runner at the same time; 0: no limit of its own.
    pub limit: u32,
    /// Job requests in flight at the same time, at least 1.
    pub request_concurrency: u32,
    /// Pause between two requests that brought no job.
    pub check_interval: Duration,
    /// Pauses after a request that brought a job as well, and does not cut a pause short when a job ends.
    pub strict_check_interval: bool,
    /// Unhealthy answers in a row after which the runner pauses, at least 1.
    pub unhealthy_requests_limit: u32,
    /// How long it pauses then.
    pub unhealthy_interval: Duration,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            limit: 0,
            request_concurrency: 1,
            check_interval: Duration::from_secs(3),
            strict_check_interval: false,
            unhealthy_requests_limit: 3,
            unhealthy_interval: Duration::from_secs(3600),
        }
    }
}

/// How a runner treats each job. Written to the journal with a job that is accepted, so that a setting that an older program did
/// not know has its default value when it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSettings {
    /// Bytes of its own output that a job's log may hold.
    pub output_limit: u64,
    /// Variables for every job, lowest precedence, in the order given; values are expanded.
    pub environment: Vec<(String, String)>,
    /// Base URL that replaces the one GitLab sends for cloning.
    pub clone_url: Option<Url>,
    /// Runs before the sources are fetched.
    pub pre_get_sources_script: Option<String>,
    /// Runs after the sources were fetched.
    pub post_get_sources_script: Option<String>,
    /// Runs before each user step, in its shell.
    pub pre_build_script: Option<String>,
    /// Runs after each user step, in its shell.
    pub post_build_script: Option<String>,
    /// Limit for preparing the place; the job's timeout without it.
    pub prepare_timeout: Option<Duration>,
    /// Limit for all tries of fetching the sources; the job's timeout without it.
    pub get_sources_timeout: Option<Duration>,
    /// Ignores `CI_DEBUG_TRACE` and `CI_DEBUG_SERVICES`.
    pub debug_trace_disabled: bool,
    /// Whether git is told that the project's folder is safe; the executor's default without it.
    pub safe_directory_checkout: Option<bool>,
    /// Whether `.git/config` and hooks are removed before a fetch; the executor's default without it.
    pub clean_git_config: Option<bool>,
    /// The repositories that jobs fetch from do not change while the runner lives: what a job has fetched into a folder the next one
    /// does not fetch again. Only for a server that is known so well.
    pub sources_stay: bool,
    /// Whether `GIT_CLONE_PATH` is allowed.
    pub custom_build_dir: bool,
    /// Feature flags that are fixed here, whatever a job says.
    pub feature_flags: BTreeMap<String, bool>,
    /// Limit for one upload of artifacts.
    pub artifact_upload_timeout: Duration,
    /// Limit for the server's answer to an upload of artifacts.
    pub artifact_response_timeout: Duration,
    /// Time between asking a stage to end and killing it.
    pub grace: Duration,
    /// Tries of reporting the final state before the job is given up. The first one lasts a second, each further one twice as
    /// long; within it what may pass is met with more requests.
    pub final_update_tries: u32,
    /// Pause between two sends of the log while the server names none.
    pub trace_interval: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            output_limit: 4 * 1024 * 1024,
            environment: Vec::new(),
            clone_url: None,
            pre_get_sources_script: None,
            post_get_sources_script: None,
            pre_build_script: None,
            post_build_script: None,
            prepare_timeout: None,
            get_sources_timeout: None,
            debug_trace_disabled: false,
            safe_directory_checkout: None,
            clean_git_config: None,
            sources_stay: false,
            custom_build_dir: false,
            feature_flags: BTreeMap::new(),
            artifact_upload_timeout: Duration::from_secs(3600),
            artifact_response_timeout: Duration::from_secs(600),
            grace: Duration::from_secs(30),
            final_update_tries: 10,
            trace_interval: Duration::from_secs(1),
        }
    }
}
