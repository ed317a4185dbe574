//! Arguments of `register`. Those of single executors are added by [`super::sections`].

use std::path::PathBuf;

use clap::Args;
use runner_api::SecretText;

use super::runners::secret;

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// URL of the GitLab instance.
    #[arg(short, long, env = "CI_SERVER_URL")]
    pub(crate) url: Option<String>,
    /// Authentication token of a runner that was created in GitLab (glrt-…).
    #[arg(short, long, env = "CI_SERVER_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<SecretText>,
    /// Registration token of older instances; a glrt- token is taken as well.
    #[arg(short, long, env = "REGISTRATION_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) registration_token: Option<SecretText>,
    /// Ask nothing; what is missing is an error.
    #[arg(short, long, env = "REGISTER_NON_INTERACTIVE", value_parser = super::flag(), num_args = 0..=1,
        require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true,
        hide_possible_values = true)]
    pub(crate) non_interactive: bool,
    /// Do not remove the runner from GitLab when the configuration cannot be written.
    #[arg(long, env = "REGISTER_LEAVE_RUNNER", value_parser = super::flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub(crate) leave_runner: bool,
    /// Name of the runner [default: the machine's name]
    #[arg(long, alias = "description", env = "RUNNER_NAME")]
    pub(crate) name: Option<String>,
    /// A file with exactly one runner, whose keys fill what is not given.
    #[arg(long, env = "TEMPLATE_CONFIG_FILE", value_name = "FILE")]
    pub(crate) template_config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) entry: EntryArgs,
}

/// What GitLab keeps about a runner; only with a registration token.
#[derive(Debug, Args)]
#[command(next_help_heading = "Only with a registration token")]
pub(crate) struct ServerArgs {
    /// Tags, separated by commas.
    #[arg(long, env = "RUNNER_TAG_LIST", value_delimiter = ',')]
    pub(crate) tag_list: Vec<String>,
    /// Take jobs without tags [default: true without tags]
    #[arg(long, env = "REGISTER_RUN_UNTAGGED", value_parser = super::flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    pub(crate) run_untagged: Option<bool>,
    /// Keep the runner to its project [default: true]
    #[arg(long, env = "REGISTER_LOCKED", value_parser = super::flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    pub(crate) locked: Option<bool>,
    /// Which refs the runner takes jobs of.
    #[arg(long, env = "REGISTER_ACCESS_LEVEL", value_parser = ["", "not_protected", "ref_protected"])]
    pub(crate) access_level: Option<String>,
    /// Longest time a job may take, in seconds.
    #[arg(long, env = "REGISTER_MAXIMUM_TIMEOUT", value_name = "SECONDS")]
    pub(crate) maximum_timeout: Option<u64>,
    /// Start paused.
    #[arg(long, env = "REGISTER_PAUSED", value_parser = super::flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    pub(crate) paused: Option<bool>,
    /// A note for administrators.
    #[arg(long, env = "REGISTER_MAINTENANCE_NOTE")]
    pub(crate) maintenance_note: Option<String>,
}

/// Keys of the new `[[runners]]` entry.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys of the new entry")]
pub(crate) struct EntryArgs {
    /// Where jobs run: shell, docker, kubernetes, …
    #[arg(long, env = "RUNNER_EXECUTOR")]
    pub(crate) executor: Option<String>,
    /// Shell that scripts are written for.
    #[arg(long, env = "RUNNER_SHELL")]
    pub(crate) shell: Option<String>,
    /// Jobs at the same time; 0: no limit.
    #[arg(long, env = "RUNNER_LIMIT")]
    pub(crate) limit: Option<u32>,
    /// Largest job log in KiB.
    #[arg(long, env = "RUNNER_OUTPUT_LIMIT")]
    pub(crate) output_limit: Option<u32>,
    /// Job requests at the same time.
    #[arg(long, env = "RUNNER_REQUEST_CONCURRENCY")]
    pub(crate) request_concurrency: Option<u32>,
    /// Always wait check_interval between job requests.
    #[arg(long, env = "RUNNER_STRICT_CHECK_INTERVAL", value_parser = super::flag(), num_args = 0..=1,
        require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub(crate) strict_check_interval: Option<bool>,
    /// Failing requests in a row after which the runner pauses.
    #[arg(long, env = "RUNNER_UNHEALTHY_REQUESTS_LIMIT")]
    pub(crate) unhealthy_requests_limit: Option<u32>,
    /// How long it pauses then, such as 60m.
    #[arg(long)]
    pub(crate) unhealthy_interval: Option<String>,
    /// Tries of reporting a job's end.
    #[arg(long, env = "RUNNER_job_status_final_update_retry_limit")]
    pub(crate) job_status_final_update_retry_limit: Option<u32>,
    /// Folder of the projects.
    #[arg(long, env = "RUNNER_BUILDS_DIR")]
    pub(crate) builds_dir: Option<String>,
    /// Folder of local caches.
    #[arg(long, env = "RUNNER_CACHE_DIR")]
    pub(crate) cache_dir: Option<String>,
    /// URL that replaces the one GitLab sends for cloning.
    #[arg(long, env = "CLONE_URL")]
    pub(crate) clone_url: Option<String>,
    /// Variable for every job; may be repeated.
    #[arg(long, env = "RUNNER_ENV", value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Commands before the sources are fetched.
    #[arg(long, env = "RUNNER_PRE_GET_SOURCES_SCRIPT")]
    pub(crate) pre_get_sources_script: Option<String>,
    /// Commands after the sources were fetched.
    #[arg(long, env = "RUNNER_POST_GET_SOURCES_SCRIPT")]
    pub(crate) post_get_sources_script: Option<String>,
    /// Commands before each user step.
    #[arg(long, env = "RUNNER_PRE_BUILD_SCRIPT")]
    pub(crate) pre_build_script: Option<String>,
    /// Commands after each user step.
    #[arg(long, env = "RUNNER_POST_BUILD_SCRIPT")]
    pub(crate) post_build_script: Option<String>,
    /// Limit for preparing a job's place.
    #[arg(long, env = "RUNNER_PREPARE_TIMEOUT")]
    pub(crate) prepare_timeout: Option<String>,
    /// Limit for fetching the sources.
    #[arg(long, env = "RUNNER_GET_SOURCES_TIMEOUT")]
    pub(crate) get_sources_timeout: Option<String>,
    /// Ignore CI_DEBUG_TRACE.
    #[arg(long, env = "RUNNER_DEBUG_TRACE_DISABLED", value_parser = super::flag(), num_args = 0..=1,
        require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub(crate) debug_trace_disabled: Option<bool>,
    /// Tell git that the project's folder is safe.
    #[arg(long, env = "RUNNER_SAFE_DIRECTORY_CHECKOUT", value_parser = super::flag(), num_args = 0..=1,
        require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub(crate) safe_directory_checkout: Option<bool>,
    /// Remove .git/config and hooks before a fetch.
    #[arg(long, env = "RUNNER_CLEAN_GIT_CONFIG", value_parser = super::flag(), num_args = 0..=1,
        require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub(crate) clean_git_config: Option<bool>,
    /// Run commands through the helper.
    #[arg(long, env = "RUNNER_PROXY_EXEC", value_parser = super::flag(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true)]
    pub(crate) proxy_exec: Option<bool>,
    /// Feature flags, as FF_NAME:true or a JSON object.
    #[arg(long, env = "FEATURE_FLAGS")]
    pub(crate) feature_flags: Vec<String>,
    /// Image with the step-runner binary.
    #[arg(long, env = "STEP_RUNNER_IMAGE")]
    pub(crate) step_runner_image: Option<String>,
    /// File with certificates to trust.
    #[arg(long, env = "CI_SERVER_TLS_CA_FILE", value_name = "FILE")]
    pub(crate) tls_ca_file: Option<String>,
    /// Certificate of this client.
    #[arg(long, env = "CI_SERVER_TLS_CERT_FILE", value_name = "FILE")]
    pub(crate) tls_cert_file: Option<String>,
    /// Key of this client.
    #[arg(long, env = "CI_SERVER_TLS_KEY_FILE", value_name = "FILE")]
    pub(crate) tls_key_file: Option<String>,
    /// Allow GIT_CLONE_PATH.
    #[arg(long = "custom_build_dir-enabled", env = "CUSTOM_BUILD_DIR_ENABLED", value_parser = super::flag(),
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub(crate) custom_build_dir_enabled: Option<bool>,
}
