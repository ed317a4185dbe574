//! Jobs to enqueue.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::ids::JobId;

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

/// Runner features without which GitLab fails a job as `runner_unsupported`, as far as the payload shows them.
pub(super) fn features_needed_by(payload: &Value) -> impl Iterator<Item = &'static str> {
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
