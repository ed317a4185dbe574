//! The arguments of `artifacts-uploader` and `artifacts-downloader`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use runner_api::SecretText;

use super::go_duration;

/// Which server, which job.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Id of the job whose artifacts are meant.
    #[arg(long, env = "CI_JOB_ID", default_value_t = 0)]
    pub id: u64,
    /// Token of that job.
    #[arg(long, env = "CI_JOB_TOKEN", hide_env_values = true, default_value = "", value_parser = secret)]
    pub token: SecretText,
    /// Address of the GitLab instance.
    #[arg(long, env = "CI_SERVER_URL", default_value = "")]
    pub url: String,
    /// File with certificates to trust beside the system's.
    #[arg(long, env = "CI_SERVER_TLS_CA_FILE", value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,
    /// File with the certificate to show to the server.
    #[arg(long, env = "CI_SERVER_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// File with the key of that certificate.
    #[arg(long, env = "CI_SERVER_TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,
    /// Show the progress of the transfer this often; 0 for never.
    #[arg(long, env = "TRANSFER_METER_FREQUENCY", default_value = "0", value_parser = go_duration::parse)]
    pub transfer_meter_frequency: Duration,
}

/// Arguments of `artifacts-uploader`.
#[derive(Debug, Clone, Args)]
pub struct UploaderArgs {
    /// Which server, which job.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Path or pattern to add, relative to the current folder. Repeatable.
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// Pattern to leave out. Repeatable.
    #[arg(long = "exclude", value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Add the files that git does not track.
    #[arg(long)]
    pub untracked: bool,
    /// Tell about every file.
    #[arg(long)]
    pub verbose: bool,
    /// Name of the archive, without extension.
    #[arg(long, default_value = "artifacts")]
    pub name: String,
    /// How long the server keeps the artifacts, in the server's words.
    #[arg(long, default_value = "")]
    pub expire_in: String,
    /// zip, gzip or raw.
    #[arg(long, value_name = "FORMAT", default_value = "")]
    pub artifact_format: String,
    /// What the server does with the artifacts: archive, junit, …
    #[arg(long, value_name = "TYPE", default_value = "")]
    pub artifact_type: String,
    /// fastest, fast, default, slow or slowest.
    #[arg(long, env = "ARTIFACT_COMPRESSION_LEVEL", value_name = "LEVEL", default_value = "default")]
    pub compression_level: String,
    /// The longest time of one upload request.
    #[arg(long, default_value = "1h", value_parser = go_duration::parse)]
    pub timeout: Duration,
    /// The longest wait for the server's answer when everything is sent.
    #[arg(long, default_value = "10m", value_parser = go_duration::parse)]
    pub response_header_timeout: Duration,
    /// The job's log is a debug log: tell more.
    #[arg(long, env = "CI_DEBUG_TRACE", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = lenient_flag)]
    pub ci_debug_trace: bool,
    /// A statement about the origin of the artifacts.
    #[command(flatten)]
    pub metadata: MetadataArgs,
}

/// Arguments for a statement about the origin of artifacts.
#[derive(Debug, Clone, Args)]
pub struct MetadataArgs {
    /// Add a statement about the origin of the artifacts.
    #[arg(long)]
    pub generate_artifacts_metadata: bool,
    /// Id of the runner.
    #[arg(long, default_value = "")]
    pub runner_id: String,
    /// Address of the repository.
    #[arg(long, default_value = "")]
    pub repo_url: String,
    /// The commit.
    #[arg(long, default_value = "")]
    pub repo_digest: String,
    /// Name of the job.
    #[arg(long, default_value = "")]
    pub job_name: String,
    /// Name of the executor.
    #[arg(long, default_value = "")]
    pub executor_name: String,
    /// Name of the runner.
    #[arg(long, default_value = "")]
    pub runner_name: String,
    /// Name of a variable of the job. Repeatable.
    #[arg(long = "metadata-parameter", value_name = "NAME")]
    pub metadata_parameters: Vec<String>,
    /// When the job began.
    #[arg(long, default_value = "")]
    pub started_at: String,
    /// When the job ended.
    #[arg(long, default_value = "")]
    pub ended_at: String,
    /// Version of the statement's schema.
    #[arg(long, default_value = "")]
    pub schema_version: String,
}

/// Arguments of `artifacts-downloader`.
#[derive(Debug, Clone, Args)]
pub struct DownloaderArgs {
    /// Which server, which job.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Let the server redirect to its object storage.
    #[arg(long, env = "FF_USE_DIRECT_DOWNLOAD", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = lenient_flag)]
    pub direct_download: bool,
    /// Take a large archive in several parts at once, if the object storage gives parts.
    #[arg(long, env = "FF_USE_PARALLEL_ARTIFACT_TRANSFER", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", value_parser = lenient_flag)]
    pub parallel_transfer: bool,
    /// Folder for temporary files.
    #[arg(long, env = "ARCHIVER_STAGING_DIR", value_name = "DIR")]
    pub archiver_staging_dir: Option<PathBuf>,
    /// How often to try again.
    #[arg(long, default_value_t = 2)]
    pub retry: u32,
    /// How long to wait before that.
    #[arg(long, default_value = "1s", value_parser = go_duration::parse)]
    pub retry_time: Duration,
}

/// The form of a clap value parser.
fn secret(text: &str) -> Result<SecretText, std::convert::Infallible> {
    Ok(SecretText::new(text))
}

/// A flag whose environment variable belongs to the job's author: what is not true is false, nothing is an error.
fn lenient_flag(text: &str) -> Result<bool, std::convert::Infallible> {
    Ok(matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true"))
}
