//! A job as the coordinator keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::ids::{JobId, RunnerId};
use super::options::Options;
use super::session::Session;
use super::trace::Trace;

/// Status of a job, by GitLab's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Waits for a runner, or for the acknowledgement of the runner it was handed to.
    Pending,
    /// A runner works on it.
    Running,
    /// Canceled while running; the runner was told and has not finished yet.
    Canceling,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// Canceled.
    Canceled,
}

impl JobState {
    /// GitLab's name, the value of the `Job-Status` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing changes it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Id and token of a job that is still to be enqueued, for hosts whose payload mentions them.
#[derive(Debug, Clone)]
pub struct JobTicket {
    /// The id.
    pub id: JobId,
    /// The job token, `glcbt-…`.
    pub token: SecretString,
}

/// A job to enqueue.
#[derive(Clone)]
pub struct NewJob {
    /// What the runner receives. `id` and `token` are overwritten with those of the job.
    pub payload: Value,
    /// Id and token, from [`Coordinator::reserve_job`](super::Coordinator::reserve_job); made up when absent.
    pub ticket: Option<JobTicket>,
    /// Tags that a runner must have to get the job.
    pub tags: BTreeSet<String>,
    /// Job timeout, written to `runner_info.timeout`; the payload's own value stays without it. A runner's
    /// maximum timeout lowers it.
    pub timeout: Option<Duration>,
    /// Runner features that the job needs besides those its payload shows, e.g. `return_exit_code`.
    pub required_features: BTreeSet<String>,
    /// Whether somebody watches the trace, which makes GitLab ask the runner for quick updates.
    pub watched: bool,
}

impl NewJob {
    /// An untagged, watched job.
    #[must_use]
    pub fn new(payload: Value) -> Self {
        Self {
            payload,
            ticket: None,
            tags: BTreeSet::new(),
            timeout: None,
            required_features: BTreeSet::new(),
            watched: true,
        }
    }
}

impl fmt::Debug for NewJob {
    /// Leaves out the payload: it holds tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("ticket", &self.ticket)
            .field("tags", &self.tags)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A job with everything that is known of it.
#[non_exhaustive]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Its token.
    pub token: SecretString,
    /// What its runner receives.
    pub payload: Value,
    /// Tags that a runner must have.
    pub tags: BTreeSet<String>,
    /// Features that a runner must have.
    pub required_features: BTreeSet<String>,
    /// Status.
    pub state: JobState,
    /// The runner that it was handed to.
    pub runner: Option<RunnerId>,
    /// System id of the runner manager that it was handed to.
    pub system_id: Option<String>,
    /// Where GitLab reaches it while it runs, if its runner has a session server.
    pub session: Option<Session>,
    /// Until when its acknowledgement is awaited, while it is handed out but still pending.
    pub acknowledge_until: Option<SystemTime>,
    /// When it was enqueued.
    pub enqueued_at: SystemTime,
    /// When it was handed to a runner.
    pub assigned_at: Option<SystemTime>,
    /// When it began to run.
    pub started_at: Option<SystemTime>,
    /// When it reached its final state.
    pub finished_at: Option<SystemTime>,
    /// When its runner last spoke of it.
    pub touched_at: SystemTime,
    /// Failure reason as GitLab stores it: an unknown one becomes `unknown_failure`.
    pub failure_reason: Option<String>,
    /// Exit code that the runner reported.
    pub exit_code: Option<i64>,
    /// The log.
    pub trace: Trace,
    /// The final update that was applied, if the runner sent one.
    pub final_update: Option<FinalUpdate>,
    /// Stored artifacts, at most one of each type.
    pub artifacts: Vec<Artifact>,
    /// Variables of the `dotenv` artifact, in its order.
    pub dotenv: Vec<(String, String)>,
    /// Whether somebody watches the trace.
    pub watched: bool,
    /// Whether the job was erased: its trace and artifacts are gone and its token is refused.
    pub erased: bool,
    /// How many requests each endpoint got for it with its token.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Whether the trace takes no more pieces for now.
    pub trace_locked: bool,
    /// Whether its runner promised to handle `canceling`.
    pub(super) cancels_gracefully: bool,
    /// When the first final update with a checksum came.
    pub(super) final_since: Option<SystemTime>,
}

/// The final update of a job, compared with the trace as it was stored then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinalUpdate {
    /// `state` as sent.
    pub state: String,
    /// `failure_reason` as sent.
    pub failure_reason: Option<String>,
    /// `exit_code` as sent.
    pub exit_code: Option<i64>,
    /// Checksum that the runner sent, `crc32:` and 8 hex digits.
    pub checksum: Option<String>,
    /// Size that the runner sent.
    pub bytesize: Option<u64>,
    /// Checksum of the stored trace.
    pub trace_checksum: String,
    /// Size of the stored trace.
    pub trace_bytesize: u64,
}

impl FinalUpdate {
    /// Whether the runner sent checksum and size, and both are those of the stored trace.
    #[must_use]
    pub fn trace_is_complete(&self) -> bool {
        self.checksum.as_ref() == Some(&self.trace_checksum) && self.bytesize == Some(self.trace_bytesize)
    }
}

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// `archive`, `junit`, `dotenv`, …
    pub artifact_type: String,
    /// `zip`, `gzip`, `raw`, …
    pub artifact_format: String,
    /// `expire_in` as sent.
    pub expire_in: Option<String>,
    /// When it can no longer be downloaded; never without. An `expire_in` that is no duration means never, as `never`
    /// does.
    pub expires_at: Option<SystemTime>,
    /// Name that the client gave the file.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// Where the content is.
    pub content: Content,
}

impl Artifact {
    /// Whether it can no longer be downloaded.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The entity tag under which it is sent: differs when the content does.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:08x}\"", self.size, self.crc32)
    }
}

/// Where the content of an [`Artifact`] is.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file that belongs to whoever stored it; the core never touches it.
    File(PathBuf),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl JobRecord {
    pub(super) fn new(ticket: JobTicket, job: NewJob, now: SystemTime) -> Self {
        let mut payload = job.payload;
        let mut required_features = job.required_features;
        required_features.extend(features_needed_by(&payload).map(str::to_owned));
        if let Some(object) = payload.as_object_mut() {
            object.insert("id".to_owned(), json!(ticket.id.0));
            object.insert("token".to_owned(), json!(ticket.token.expose_secret()));
            if let Some(timeout) = job.timeout {
                set_timeout(object, timeout.as_secs());
            }
        }
        Self {
            id: ticket.id,
            token: ticket.token,
            payload,
            tags: job.tags,
            required_features,
            state: JobState::Pending,
            runner: None,
            system_id: None,
            session: None,
            acknowledge_until: None,
            enqueued_at: now,
            assigned_at: None,
            started_at: None,
            finished_at: None,
            touched_at: now,
            failure_reason: None,
            exit_code: None,
            trace: Trace::default(),
            final_update: None,
            artifacts: Vec::new(),
            dotenv: Vec::new(),
            watched: job.watched,
            erased: false,
            requests: BTreeMap::new(),
            trace_locked: false,
            cancels_gracefully: false,
            final_since: None,
        }
    }

    /// `job_info.name` of the payload; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.payload.pointer("/job_info/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The stored artifact of a type.
    #[must_use]
    pub fn artifact(&self, artifact_type: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.artifact_type == artifact_type)
    }

    /// How many requests an endpoint got for this job.
    #[must_use]
    pub fn request_count(&self, endpoint: Endpoint) -> u64 {
        self.requests.get(&endpoint).copied().unwrap_or_default()
    }

    /// Whether the job was handed out and waits for its acknowledgement.
    #[must_use]
    pub fn waits_for_acknowledgement(&self) -> bool {
        self.acknowledge_until.is_some()
    }

    /// Whether job requests may be made with its token.
    pub(super) fn is_on_runner(&self) -> bool {
        matches!(self.state, JobState::Running | JobState::Canceling) || self.waits_for_acknowledgement()
    }

    pub(super) fn is_of_protected_ref(&self) -> bool {
        self.payload.pointer("/git_info/protected").and_then(Value::as_bool) == Some(true)
    }

    /// Lowers the job timeout to the runner's maximum.
    pub(super) fn limit_timeout(&mut self, maximum: u64) {
        let own = self.payload.pointer("/runner_info/timeout").and_then(Value::as_u64);
        if own.is_none_or(|own| own > maximum)
            && let Some(object) = self.payload.as_object_mut()
        {
            set_timeout(object, maximum);
        }
    }

    /// `runner_info.timeout` of the payload: how long the job may run.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let seconds = self.payload.pointer("/runner_info/timeout").and_then(Value::as_u64);
        seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// When something happens to the job by itself, and what.
    pub(super) fn due(&self, options: &Options) -> Option<(SystemTime, Due)> {
        let canceling = match self.state {
            JobState::Pending => return Some((self.acknowledge_until?, Due::Acknowledgement)),
            JobState::Running => false,
            JobState::Canceling => true,
            _ => return None,
        };
        let silent =
            self.touched_at.checked_add(options.stuck_after).map(|at| (at, Due::Silent { canceling }));
        let overdue = self
            .started_at
            .zip(self.timeout())
            .and_then(|(started, timeout)| started.checked_add(timeout)?.checked_add(options.timeout_grace))
            .map(|at| (at, Due::Overdue { canceling }));
        silent.into_iter().chain(overdue).min_by_key(|(at, _)| *at)
    }
}

/// What happens to a job by the passing of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its acknowledgement did not come.
    Acknowledgement,
    /// Nobody spoke of it.
    Silent { canceling: bool },
    /// It ran longer than its timeout, and its runner did not end it.
    Overdue { canceling: bool },
}

impl Due {
    /// GitLab's reason. <https://docs.gitlab.com/ci/yaml/#retrywhen>
    pub(super) fn failure_reason(self) -> &'static str {
        match self {
            Self::Acknowledgement => "runner_provisioning_timeout",
            Self::Silent { canceling: false } => "no_updates_running",
            Self::Silent { canceling: true } => "no_updates_canceling",
            Self::Overdue { canceling: false } => "server_timeout_running",
            Self::Overdue { canceling: true } => "server_timeout_canceling",
        }
    }
}

impl fmt::Debug for JobRecord {
    /// Leaves out payload and trace: they hold tokens and are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRecord")
            .field("id", &self.id)
            .field("name", &self.name())
            .field("state", &self.state)
            .field("runner", &self.runner)
            .field("failure_reason", &self.failure_reason)
            .field("exit_code", &self.exit_code)
            .field("trace_bytes", &self.trace.len())
            .field("final_update", &self.final_update)
            .field("artifacts", &self.artifacts)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

fn set_timeout(payload: &mut serde_json::Map<String, Value>, seconds: u64) {
    let info = payload.entry("runner_info").or_insert_with(|| json!({}));
    if !info.is_object() {
        *info = json!({});
    }
    if let Some(info) = info.as_object_mut() {
        info.insert("timeout".to_owned(), json!(seconds));
    }
}

/// Runner features without which GitLab fails a job as `runner_unsupported`, as far as the payload shows them.
fn features_needed_by(payload: &Value) -> impl Iterator<Item = &'static str> {
    let list = |key: &str| payload.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let filled = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).is_some_and(|entries| !entries.is_empty())
    };
    let artifacts = list("artifacts");
    let is_report = |artifact: &Value| {
        artifact
            .get("artifact_type")
            .and_then(Value::as_str)
            .is_some_and(|kind| !matches!(kind, "" | "archive"))
    };
    let merge_request =
        payload.pointer("/git_info/refspecs").and_then(Value::as_array).is_some_and(|refspecs| {
            refspecs.iter().filter_map(Value::as_str).any(|refspec| refspec.contains("refs/merge-requests/"))
        });
    [
        ("upload_multiple_artifacts", artifacts.iter().any(is_report)),
        ("refspecs", merge_request),
        ("artifacts_exclude", artifacts.iter().any(|artifact| filled(artifact, "exclude"))),
        (
            "multi_build_steps",
            list("steps").iter().any(|step| step.get("name").and_then(Value::as_str) == Some("release")),
        ),
        ("fallback_cache_keys", list("cache").iter().any(|cache| filled(cache, "fallback_keys"))),
    ]
    .into_iter()
    .filter_map(|(feature, needed)| needed.then_some(feature))
}

/// Failure reasons that GitLab knows; it stores any other one as `unknown_failure`.
pub(super) fn stored_failure_reason(sent: &str) -> &str {
    const KNOWN: &[&str] = &[
        "unknown_failure",
        "script_failure",
        "api_failure",
        "stuck_or_timeout_failure",
        "runner_system_failure",
        "missing_dependency_failure",
        "runner_unsupported",
        "stale_schedule",
        "job_execution_timeout",
        "archived_failure",
        "unmet_prerequisites",
        "scheduler_failure",
        "data_integrity_failure",
        "trace_size_exceeded",
        "image_pull_failure",
        "job_execution_server_timeout",
        "stuck_pending_with_matching_runners",
        "stuck_pending_no_matching_runners",
        "no_updates_running",
        "no_updates_canceling",
        "server_timeout_running",
        "server_timeout_canceling",
        "runner_configuration_error",
        "runner_external_dependency_failure",
        "runner_interrupted",
        "runner_provisioning_timeout",
        "job_router_failure",
        "job_token_expired",
    ];
    if KNOWN.contains(&sent) { sent } else { "unknown_failure" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: Value) -> JobRecord {
        let ticket = JobTicket { id: JobId(5), token: SecretString::from("glcbt-x") };
        JobRecord::new(ticket, NewJob::new(payload), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn id_and_token_are_written_into_the_payload() {
        let record = record(json!({"id": 1, "token": "old", "job_info": {"name": "build"}}));
        assert_eq!(record.payload["id"], 5);
        assert_eq!(record.payload["token"], "glcbt-x");
        assert_eq!(record.name(), "build");
    }

    #[test]
    fn timeout_is_lowered_never_raised() {
        let mut record = record(json!({"runner_info": {"timeout": 100, "uuid": "u"}}));
        record.limit_timeout(200);
        assert_eq!(record.payload["runner_info"], json!({"timeout": 100, "uuid": "u"}));
        record.limit_timeout(50);
        assert_eq!(record.payload["runner_info"], json!({"timeout": 50, "uuid": "u"}));
    }

    #[test]
    fn needed_features_are_read_from_the_payload() {
        let needs = |payload: Value| features_needed_by(&payload).collect::<Vec<_>>();
        assert_eq!(needs(json!({"artifacts": null})), [] as [&str; 0]);
        assert_eq!(
            needs(json!({
                "artifacts": [{"artifact_type": "archive", "exclude": ["a"]}, {"artifact_type": "junit"}],
                "git_info": {"refspecs": ["+refs/merge-requests/1/head:refs/x"]},
                "steps": [{"name": "script"}, {"name": "release"}],
                "cache": [{"fallback_keys": []}, {"fallback_keys": ["k"]}],
            })),
            [
                "upload_multiple_artifacts",
                "refspecs",
                "artifacts_exclude",
                "multi_build_steps",
                "fallback_cache_keys"
            ]
        );
        assert_eq!(
            needs(json!({"artifacts": [{"artifact_type": "archive"}], "cache": [{}]})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn debug_shows_no_token() {
        let text = format!("{:?}", record(json!({"variables": [{"key": "T", "value": "glcbt-x"}]})));
        assert!(!text.contains("glcbt-x"), "{text}");
    }
}
