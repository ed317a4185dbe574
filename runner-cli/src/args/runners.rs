//! Arguments of the commands about the runners of the configuration.

use clap::Args;
use runner_api::SecretText;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Folder for the jobs' builds of entries that name none [default: the current folder]
    #[arg(short = 'd', long, value_name = "DIR")]
    pub(crate) working_directory: Option<std::path::PathBuf>,
    /// Folder for what survives a restart: accepted jobs and their logs [default: `state` beside the configuration]
    #[arg(long, env = "RUNNER_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<std::path::PathBuf>,
    /// The official runner's flag, to refuse it by name.
    #[arg(short, long, hide = true, value_name = "USER")]
    pub(crate) user: Option<String>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Only runners with this name.
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// Only runners of this instance.
    #[arg(short, long)]
    pub(crate) url: Option<String>,
    /// Only the runner with this token.
    #[arg(short, long, value_parser = secret)]
    pub(crate) token: Option<SecretText>,
    /// Remove runners that GitLab does not know any more from the configuration.
    #[arg(long, value_parser = super::flag(), num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub(crate) delete: bool,
}

/// Arguments of `unregister`.
#[derive(Debug, Args)]
pub(crate) struct UnregisterArgs {
    /// The runner with this name.
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// The runner of this instance; together with --token.
    #[arg(short, long, env = "CI_SERVER_URL")]
    pub(crate) url: Option<String>,
    /// The runner with this token; together with --url.
    #[arg(short, long, env = "CI_SERVER_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<SecretText>,
    /// All runners of the configuration.
    #[arg(long, value_parser = super::flag(), num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub(crate) all_runners: bool,
}

/// Arguments of `reset-token`.
#[derive(Debug, Args)]
pub(crate) struct ResetTokenArgs {
    /// The runner with this name.
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// The runner of this instance; together with --id.
    #[arg(short, long, env = "CI_SERVER_URL")]
    pub(crate) url: Option<String>,
    /// The runner with this id.
    #[arg(short, long)]
    pub(crate) id: Option<u64>,
    /// All runners of the configuration.
    #[arg(long, value_parser = super::flag(), num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub(crate) all_runners: bool,
    /// A personal access token; without it the runner's own token is used.
    #[arg(long, value_parser = secret)]
    pub(crate) pat: Option<SecretText>,
}

/// Takes a text into protection as soon as it is read.
pub(super) fn secret(text: &str) -> Result<SecretText, std::convert::Infallible> {
    Ok(SecretText::new(text))
}
