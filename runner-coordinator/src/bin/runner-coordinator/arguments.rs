//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use runner_coordinator::fault::Fault;
use secrecy::SecretString;

use super::with_causes;

/// GitLab's side of the Runner API in one process: hands out jobs and tells what happens.
///
/// The first line on stdout says where it listens: the URL for the runner's configuration.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Address of an object storage to which direct downloads are redirected, e.g. 127.0.0.1:0. Without it the
    /// coordinator sends artifacts itself.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) storage: Option<SocketAddr>,
    /// Path below which the API lives, e.g. `/gitlab`.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub(crate) root: String,
    /// Registration token that `POST runners` accepts.
    #[arg(long = "registration-token", value_name = "TOKEN")]
    pub(crate) registration_tokens: Vec<SecretString>,
    /// Authentication token of a runner that exists from the start. Without one and without a registration token, a
    /// runner is created and its token printed.
    #[arg(long = "runner-token", value_name = "TOKEN")]
    pub(crate) runner_tokens: Vec<SecretString>,
    /// Personal access token with which a runner's token may be reset.
    #[arg(long = "personal-token", value_name = "TOKEN")]
    pub(crate) personal_tokens: Vec<SecretString>,
    /// Folder with jobs, one JSON object in each `*.json`: what the runner is to receive (id and token are filled in), or
    /// a description `{"payload": …, "tags": […], "timeout": SECONDS, "required_features": […], "watched": BOOL}`.
    /// Handed out in the order of their names; files that appear later are taken as well.
    #[arg(long, value_name = "DIR")]
    pub(crate) jobs: Option<PathBuf>,
    /// File that says what happens when, one JSON object in each line; see below.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// What goes wrong, e.g. `patch_trace:2:503` or `*:@10s-18s:down`; see below.
    #[arg(long = "fault", value_name = "RULE", value_parser = fault)]
    pub(crate) faults: Vec<Fault>,
    /// Seed of tokens and of faults with a chance; that of the clock without it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Folder for artifacts; a temporary one without it.
    #[arg(long, value_name = "DIR", visible_alias = "artifacts")]
    pub(crate) artifacts_dir: Option<PathBuf>,
    /// How many seconds a job request is held when there is nothing to do; 0 answers at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 50)]
    pub(crate) long_poll: u64,
    /// How events are told: in words, or as JSON, one object in each line (the first one included).
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub(crate) events: Form,
    /// Tell the jobs' logs too.
    #[arg(long)]
    pub(crate) show_trace: bool,
    /// End when all jobs have ended and the script is over: with 0 if all succeeded, else with 1.
    #[arg(long)]
    pub(crate) exit_when_done: bool,
}

/// How events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
}

const EXAMPLES: &str = r#"The script:
  {"at": "5s", "do": {"cancel": {"job": 1}}}
  {"when": {"job": 2, "is": "running"}, "at": "500ms", "do": {"cancel": {"job": 2, "force": true}}}
  {"at": "1m", "do": {"enqueue": {"job_info": {"name": "late"}, "steps": []}}}
  {"at": "10s", "do": {"fault": "patch_trace:*:503"}}
  {"at": "20s", "do": "clear_faults"}
`at` counts from the start, or from the moment that `when` names ("assigned", "running", "finished").
Empty lines and those that begin with # are comments. To do: enqueue, cancel, fail {job, reason}, erase {job},
watch {job, watched}, lock_trace {job, locked}, pause {runner}, resume {runner}, orphan {runner},
delete_runner {runner}, fault, clear_faults, down, up.

Faults: ENDPOINT:WHEN:EFFECT[,EFFECT…]
  ENDPOINT  register, verify, unregister, unregister_manager, reset_token, router_discovery, request_job, update_job,
            patch_trace, authorize_artifact, upload_artifact, download_artifact, storage; job (all with a job token); *
  WHEN      3, 2-4, 2-, %3 (every third), *; ~0.1 (chance); @10s-18s (time since the start); joined by &
  EFFECT    503, throttle=7s, header=NAME=VALUE, body=TEXT, delay=2s, delay-before=2s, reset, reset=after,
            truncate=100, stall, stall=after, stall=100, unread, forget=512 (bytes of the log), down (only *:@…:down)"#;

fn fault(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|error| with_causes(&error))
}
