//! A job as the coordinator keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::artifact::Artifact;
use super::endpoint::Endpoint;
use super::ids::{JobId, RunnerId};
use super::job_state::{Due, JobState};
use super::new_job::{JobTicket, NewJob, features_needed_by};
use super::options::Options;
use super::session::Session;
use super::trace::Trace;

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
