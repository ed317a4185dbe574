//! The file as it is written: every key optional, no default applied, nothing expanded.
//!
//! Keys that this build does not honour yet are here too, so that they are known; [`super::check`] says them by name.

use std::collections::BTreeMap;

use runner_api::SecretText;
use serde::{Deserialize, Deserializer};

use super::duration::RawDuration;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) concurrent: Option<i64>,
    pub(crate) check_interval: Option<i64>,
    pub(crate) log_level: Option<String>,
    pub(crate) log_format: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) listen_address: Option<String>,
    pub(crate) sentry_dsn: Option<String>,
    pub(crate) connection_max_age: Option<RawDuration>,
    pub(crate) shutdown_timeout: Option<i64>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) session_server: SessionServer,
    pub(crate) machine: Option<toml::Table>,
    pub(crate) experimental: Option<toml::Table>,
    pub(crate) runners: Vec<Runner>,
}

/// `[session_server]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SessionServer {
    pub(crate) listen_address: Option<String>,
    pub(crate) advertise_address: Option<String>,
    pub(crate) session_timeout: Option<i64>,
}

/// One `[[runners]]` entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Runner {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) id: u64,
    #[serde(deserialize_with = "secret")]
    pub(crate) token: Option<SecretText>,
    pub(crate) token_obtained_at: Option<toml::value::Datetime>,
    pub(crate) token_expires_at: Option<toml::value::Datetime>,
    #[serde(rename = "tls-ca-file")]
    pub(crate) tls_ca_file: String,
    #[serde(rename = "tls-cert-file")]
    pub(crate) tls_cert_file: String,
    #[serde(rename = "tls-key-file")]
    pub(crate) tls_key_file: String,
    pub(crate) limit: Option<i64>,
    pub(crate) output_limit: Option<i64>,
    pub(crate) request_concurrency: Option<i64>,
    pub(crate) strict_check_interval: Option<bool>,
    pub(crate) unhealthy_requests_limit: Option<i64>,
    pub(crate) unhealthy_interval: Option<RawDuration>,
    pub(crate) job_status_final_update_retry_limit: Option<i64>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) executor: String,
    pub(crate) builds_dir: String,
    pub(crate) cache_dir: String,
    pub(crate) clone_url: String,
    pub(crate) environment: Vec<String>,
    pub(crate) shell: String,
    pub(crate) pre_get_sources_script: String,
    pub(crate) post_get_sources_script: String,
    pub(crate) pre_build_script: String,
    pub(crate) post_build_script: String,
    pub(crate) prepare_timeout: Option<RawDuration>,
    pub(crate) get_sources_timeout: Option<RawDuration>,
    /// Ours: time between asking the processes of a stage to end and killing them.
    pub(crate) stop_grace: Option<RawDuration>,
    pub(crate) debug_trace_disabled: bool,
    pub(crate) safe_directory_checkout: Option<bool>,
    pub(crate) clean_git_config: Option<bool>,
    pub(crate) proxy_exec: Option<bool>,
    pub(crate) feature_flags: BTreeMap<String, bool>,
    pub(crate) use_slot_cgroups: Option<bool>,
    pub(crate) slot_cgroup_template: String,
    pub(crate) step_runner_image: String,
    pub(crate) custom_build_dir: CustomBuildDir,
    pub(crate) artifact: Artifact,
    pub(crate) cache: Cache,
    pub(crate) referees: Option<toml::Table>,
    pub(crate) monitoring: Option<toml::Table>,
    pub(crate) experimental: Option<toml::Table>,
    // Sections of executors: their keys belong to the executor, here only their names are known (see `sections`).
    pub(crate) autoscaler: Option<toml::Table>,
    pub(crate) custom: Option<toml::Table>,
    pub(crate) docker: Option<toml::Table>,
    pub(crate) instance: Option<toml::Table>,
    pub(crate) kubernetes: Option<toml::Table>,
    pub(crate) machine: Option<toml::Table>,
    pub(crate) parallels: Option<toml::Table>,
    pub(crate) ssh: Option<toml::Table>,
    pub(crate) virtualbox: Option<toml::Table>,
}

/// `[runners.custom_build_dir]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CustomBuildDir {
    pub(crate) enabled: Option<bool>,
}

/// `[runners.artifact]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Artifact {
    pub(crate) upload_timeout: Option<RawDuration>,
    pub(crate) response_header_timeout: Option<RawDuration>,
}

/// `[runners.cache]`; the stores are not supported yet.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Cache {
    pub(crate) r#type: String,
    pub(crate) path: String,
    pub(crate) shared: bool,
    pub(crate) max_uploaded_archive_size: Option<i64>,
    #[serde(rename = "s3")]
    pub(crate) s3: Option<toml::Table>,
    #[serde(rename = "gcs")]
    pub(crate) gcs: Option<toml::Table>,
    #[serde(rename = "azure")]
    pub(crate) azure: Option<toml::Table>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretText>, D::Error> {
    Ok(Some(SecretText::new(String::deserialize(deserializer)?)))
}
