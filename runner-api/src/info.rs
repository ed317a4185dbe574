//! What a runner tells the server about itself.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a runner tells about itself in `info` of registrations, job requests and updates.
///
/// The server schedules by [`features`](Self::features): a job that needs something this runner does not promise fails
/// as unsupported.
///
/// ```
/// use runner_api::{Features, RunnerInfo};
///
/// let mut info = RunnerInfo::new("gitlab-runner", "19.4.0");
/// info.executor = "shell".to_owned();
/// info.features.variables = true;
/// let json = serde_json::to_value(&info)?;
/// assert_eq!(json["features"]["variables"], true);
/// assert_eq!(json["features"]["image"], false);
/// assert!(json.get("shell").is_none(), "empty texts are left out");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunnerInfo {
    /// The program's name; GitLab expects `gitlab-runner`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The program's version; GitLab compares it with its own to show upgrade hints.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The commit the program was built from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The operating system, such as `linux`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// The machine, in Go's terms, such as `amd64`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// The kind of place jobs run in: `shell`, `docker`, `kubernetes`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub executor: String,
    /// The shell that scripts are written for, such as `bash`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shell: String,
    /// What the runner can do.
    pub features: Features,
    /// Parts of the configuration that GitLab shows.
    pub config: RunnerConfigInfo,
    /// Free labels of this runner.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl RunnerInfo {
    /// A runner that promises only what this crate does by itself ([`Features::of_the_client`]).
    ///
    /// ```
    /// use runner_api::{Features, RunnerInfo};
    ///
    /// let info = RunnerInfo::new("gitlab-runner", "19.4.0");
    /// assert_eq!(info.features, Features::of_the_client());
    /// ```
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            features: Features::of_the_client(),
            ..Self::default()
        }
    }
}

/// Parts of the runner's configuration that GitLab shows.
///
/// ```
/// let mut config = runner_api::RunnerConfigInfo::default();
/// config.gpus = "all".to_owned();
/// assert_eq!(serde_json::to_string(&config)?, r#"{"gpus":"all"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunnerConfigInfo {
    /// The graphics processors given to jobs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gpus: String,
}

/// What a runner promises to the server. Every flag is always sent, true or false.
///
/// ```
/// let features = runner_api::Features::of_the_client();
/// assert!(features.trace_reset && features.cancel_gracefully);
/// assert!(!features.image);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Features {
    /// Job variables reach the job.
    pub variables: bool,
    /// `image:` is honoured.
    pub image: bool,
    /// `services:` are honoured.
    pub services: bool,
    /// Artifacts are uploaded and downloaded.
    pub artifacts: bool,
    /// Caches are restored and saved.
    pub cache: bool,
    /// `cache:fallback_keys` are honoured.
    pub fallback_cache_keys: bool,
    /// The place is shared between jobs.
    pub shared: bool,
    /// More than one artifact entry per job.
    pub upload_multiple_artifacts: bool,
    /// Artifacts of format `raw`.
    pub upload_raw_artifacts: bool,
    /// A session server can be offered.
    pub session: bool,
    /// The session server offers a terminal.
    pub terminal: bool,
    /// `git_info.refspecs` are used.
    pub refspecs: bool,
    /// Masked variables are masked in the log.
    pub masking: bool,
    /// The session server forwards to services.
    pub proxy: bool,
    /// `raw` variables are not expanded.
    pub raw_variables: bool,
    /// `artifacts:exclude` is honoured.
    pub artifacts_exclude: bool,
    /// Several build steps, such as `release`.
    pub multi_build_steps: bool,
    /// The trace can be sent again from its beginning.
    pub trace_reset: bool,
    /// Updates carry the trace's checksum.
    pub trace_checksum: bool,
    /// Updates carry the trace's size.
    pub trace_size: bool,
    /// Secrets are fetched from Vault.
    pub vault_secrets: bool,
    /// A cancelled job is noticed and stopped.
    pub cancelable: bool,
    /// Updates carry the script's exit code.
    pub return_exit_code: bool,
    /// Variables of single services are honoured.
    pub service_variables: bool,
    /// A service can have several aliases.
    pub service_multiple_aliases: bool,
    /// `image: docker:` and `image: kubernetes:` options are honoured.
    pub image_executor_opts: bool,
    /// The same for services.
    pub service_executor_opts: bool,
    /// A cancelled job still runs its `after_script`.
    pub cancel_gracefully: bool,
    /// `run:` steps can be executed.
    pub native_steps_integration: bool,
    /// An assigned job is accepted explicitly before it runs.
    pub two_phase_job_commit: bool,
    /// Job inputs are interpolated.
    pub job_inputs: bool,
}

impl Features {
    /// What the Runner API client and a run loop on top of it promise, whatever the executor: everything about trace,
    /// cancellation and acceptance.
    ///
    /// ```
    /// let mut features = runner_api::Features::of_the_client();
    /// features.artifacts = true;
    /// assert!(features.cancelable);
    /// ```
    #[must_use]
    pub fn of_the_client() -> Self {
        Self {
            trace_reset: true,
            trace_checksum: true,
            trace_size: true,
            cancelable: true,
            cancel_gracefully: true,
            two_phase_job_commit: true,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_always_sent() {
        let json = serde_json::to_value(Features::default()).unwrap();
        let flags = json.as_object().unwrap();
        assert_eq!(flags.len(), 31);
        assert!(flags.values().all(|flag| flag == false));
    }
}
