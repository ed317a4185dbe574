//! `PUT jobs/:id`, two-phase commit, cancel, and what happens by the passing of time.

use std::time::Duration;

use http::StatusCode;
use runner_coordinator::core::{EventKind, JobId, JobState, Options};
use serde_json::json;

use crate::support::{Gitlab, message};

#[test]
fn who_may_update() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let body = json!({ "state": "running" });
    let cases = [
        ("jobs/999".to_owned(), Some(token.as_str()), message(StatusCode::FORBIDDEN)),
        (format!("jobs/{job}"), Some("x"), message(StatusCode::FORBIDDEN)),
        (format!("jobs/{job}"), None, (400, json!({ "error": "token is missing" }))),
        ("jobs/abc".to_owned(), Some(token.as_str()), (400, json!({ "error": "id is invalid" }))),
    ];
    for (path, token, expected) in cases {
        let mut body = body.clone();
        if let Some(token) = token {
            body["token"] = json!(token);
        }
        let answer = gitlab.call("PUT", &path, body);
        assert_eq!(answer.error(), expected, "{path} {token:?}");
        assert_eq!(answer.header("job-status"), None);
    }
    let headers = [("JOB-TOKEN", token.as_str())];
    let answer = gitlab.call_with("PUT", &format!("jobs/{job}"), &headers, body.to_string().into());
    assert_eq!(answer.status(), 200, "the header is enough");
}

#[test]
fn an_erased_job_is_refused_without_status() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.patch(job, &token, "0-2", b"abc");
    gitlab.core.erase(job);
    let answer = gitlab.update(job, &token, json!({ "state": "running" }));
    assert_eq!(answer.error(), (403, json!({ "message": "403 Forbidden - Job has been erased!" })));
    assert_eq!(answer.header("job-status"), None);
    assert!(gitlab.job(job).trace.is_empty());
}

#[test]
fn states_and_their_answers() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    for (state, status) in [("running", 200), ("pending", 400), ("nonsense", 400), ("", 400)] {
        let answer = gitlab.update(job, &token, json!({ "state": state, "output": {} }));
        assert_eq!((answer.status(), answer.header("job-status")), (status, Some("running")), "{state}");
        assert_eq!(answer.bytes(), status.to_string().as_str());
        assert_eq!(answer.header("x-gitlab-trace-update-interval"), None);
    }
    let answer = gitlab.update(job, &token, json!({ "state": "success", "output": {} }));
    assert_eq!((answer.status(), answer.header("job-status")), (200, Some("success")));
    for state in ["running", "success", "failed"] {
        let answer = gitlab.update(job, &token, json!({ "state": state }));
        let refusal = json!({ "message": "403 Forbidden - Job is not processing on runner" });
        assert_eq!(
            (answer.error(), answer.header("job-status")),
            ((403, refusal), Some("success")),
            "{state}"
        );
    }
    let finished =
        EventKind::JobFinished { job, state: JobState::Success, failure_reason: None, exit_code: None };
    assert_eq!(gitlab.events().last(), Some(&finished));
}

#[test]
fn failures_keep_reason_and_exit_code() {
    for (sent, stored) in [
        (json!("script_failure"), "script_failure"),
        (json!("image_pull_failure"), "image_pull_failure"),
        (json!("job_canceled"), "unknown_failure"),
        (json!(null), "unknown_failure"),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        let body = json!({ "state": "failed", "failure_reason": sent, "exit_code": 3, "unknown": [] });
        let answer = gitlab.update(job, &token, body);
        assert_eq!((answer.status(), answer.header("job-status")), (200, Some("failed")));
        let record = gitlab.job(job);
        assert_eq!((record.failure_reason.as_deref(), record.exit_code), (Some(stored), Some(3)));
        assert_eq!(record.final_update.as_ref().unwrap().failure_reason.as_deref(), sent.as_str());
        assert_eq!(record.finished_at, Some(gitlab.now));
    }
}

#[test]
fn the_final_checksum_is_compared_with_the_trace() {
    // CRC-32 of "abc" by zlib.
    let right = json!({ "checksum": "crc32:352441c2", "bytesize": 3 });
    for (output, complete) in [
        (right, true),
        (json!({ "checksum": "crc32:352441c2", "bytesize": 4 }), false),
        (json!({ "checksum": "crc32:352441c3", "bytesize": 3 }), false),
        (json!({}), false),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        gitlab.patch(job, &token, "0-2", b"abc");
        let answer = gitlab.update(job, &token, json!({ "state": "success", "output": output }));
        assert_eq!(answer.status(), 200, "GitLab accepts a wrong checksum too");
        assert_eq!(gitlab.job(job).final_update.as_ref().unwrap().trace_is_complete(), complete, "{output}");
    }
}

#[test]
fn a_trace_that_is_being_stored_makes_the_runner_wait() {
    let mut gitlab = Gitlab::new(Options { trace_store_time: Duration::from_secs(20), ..Options::default() });
    let (job, token) = gitlab.running();
    let body = json!({ "state": "success", "output": { "checksum": "crc32:00000000", "bytesize": 0 } });
    for (wait, interval) in [(0, "1"), (4, "2"), (4, "4"), (8, "8")] {
        gitlab.pass(wait);
        let answer = gitlab.update(job, &token, body.clone());
        assert_eq!((answer.status(), answer.header("job-status")), (202, Some("running")));
        assert_eq!(answer.header("x-gitlab-trace-update-interval"), Some(interval));
    }
    gitlab.pass(4);
    assert_eq!(gitlab.update(job, &token, body).status(), 200);

    let (job, token) = gitlab.running();
    assert_eq!(
        gitlab.update(job, &token, json!({ "state": "success" })).status(),
        200,
        "no checksum, no waiting"
    );
}

#[test]
fn the_wait_for_storing_is_abandoned_after_five_minutes() {
    let mut gitlab =
        Gitlab::new(Options { trace_store_time: Duration::from_secs(3600), ..Options::default() });
    let (job, token) = gitlab.running();
    // The deprecated key counts as well.
    let body = json!({ "state": "failed", "checksum": "crc32:00000000" });
    for (wait, status, interval) in
        [(0, 202, Some("1")), (64, 202, Some("32")), (236, 202, Some("64")), (1, 200, None)]
    {
        gitlab.pass(wait);
        let answer = gitlab.update(job, &token, body.clone());
        assert_eq!((answer.status(), answer.header("x-gitlab-trace-update-interval")), (status, interval));
    }
}

#[test]
fn a_job_waits_for_its_acknowledgement() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running_with(json!({ "two_phase_job_commit": true }));
    assert!(gitlab.job(job).waits_for_acknowledgement());
    gitlab.pass(119);
    assert_eq!(gitlab.update(job, &token, json!({ "state": "pending" })).status(), 200);
    gitlab.pass(119);
    for state in ["failed", "success", "nonsense"] {
        let answer = gitlab.update(job, &token, json!({ "state": state }));
        assert_eq!((answer.status(), answer.header("job-status")), (400, Some("pending")), "{state}");
    }
    let answer = gitlab.update(job, &token, json!({ "state": "running", "output": {} }));
    assert_eq!((answer.status(), answer.header("job-status")), (200, Some("running")));
    assert_eq!(gitlab.job(job).started_at, Some(gitlab.now));
    assert_eq!(gitlab.events().last(), Some(&EventKind::JobStarted { job }));
}

#[test]
fn an_acknowledgement_that_does_not_come_loses_the_job() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running_with(json!({ "two_phase_job_commit": true }));
    let deadline = gitlab.now + Duration::from_secs(120);
    assert_eq!(gitlab.core.next_deadline(), Some(deadline));
    gitlab.pass(120);
    let answer = gitlab.update(job, &token, json!({ "state": "running" }));
    assert_eq!((answer.status(), answer.header("job-status")), (403, Some("failed")));
    assert_eq!(gitlab.job(job).failure_reason.as_deref(), Some("runner_provisioning_timeout"));
    assert_eq!(gitlab.core.next_deadline(), None);
}

#[test]
fn two_phase_commit_needs_both_sides() {
    let mut gitlab = Gitlab::new(Options { two_phase_commit: false, ..Options::default() });
    let (job, _) = gitlab.running_with(json!({ "two_phase_job_commit": true }));
    assert_eq!(gitlab.job(job).state, JobState::Running);
    gitlab.core.options_mut().two_phase_commit = true;
    let (job, _) = gitlab.running_with(json!({ "two_phase_job_commit": false }));
    assert_eq!(gitlab.job(job).state, JobState::Running);
}

#[test]
fn a_job_that_nobody_speaks_of_is_stuck() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    for _ in 0..3 {
        gitlab.pass(3599);
        assert_eq!(gitlab.update(job, &token, json!({ "state": "running" })).status(), 200);
    }
    gitlab.pass(3600);
    gitlab.core.advance(gitlab.now);
    assert_eq!(gitlab.job(job).state, JobState::Failed);
    assert_eq!(gitlab.job(job).failure_reason.as_deref(), Some("no_updates_running"));
}

#[test]
fn a_job_that_runs_too_long_is_failed_by_the_server() {
    let mut gitlab = Gitlab::new(Options::default());
    for (canceling, state, reason) in [
        (false, JobState::Failed, "server_timeout_running"),
        (true, JobState::Canceled, "server_timeout_canceling"),
    ] {
        gitlab.enqueue(json!({ "runner_info": { "timeout": 600 } }));
        let answer = gitlab.request_with(json!({ "cancel_gracefully": true }));
        let (job, token) = (JobId(answer.json()["id"].as_u64().unwrap()), answer.json()["token"].clone());
        let token = token.as_str().unwrap();
        if canceling {
            gitlab.core.cancel(job, false, gitlab.now);
        }
        // The runner ends it in time; the server leaves it a quarter of an hour for that.
        gitlab.pass(600 + 15 * 60 - 1);
        assert_eq!(gitlab.update(job, token, json!({ "state": "running" })).status(), 200);
        gitlab.pass(1);
        let answer = gitlab.update(job, token, json!({ "state": "running" }));
        assert_eq!((answer.status(), answer.header("job-status")), (403, Some(state.as_str())));
        assert_eq!(gitlab.job(job).failure_reason.as_deref(), Some(reason));
    }
}

#[test]
fn cancel_by_state() {
    // (promised, force) -> state of a running job after the cancel.
    for (promised, force, state) in [
        (true, false, JobState::Canceling),
        (true, true, JobState::Canceled),
        (false, false, JobState::Canceled),
        (false, true, JobState::Canceled),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running_with(json!({ "cancel_gracefully": promised }));
        assert_eq!(gitlab.core.cancel(job, force, gitlab.now), Some(state), "{promised} {force}");
        let answer = gitlab.update(job, &token, json!({ "state": "running" }));
        let status = if state == JobState::Canceling { 200 } else { 403 };
        assert_eq!((answer.status(), answer.header("job-status")), (status, Some(state.as_str())));
    }
}

#[test]
fn a_canceling_job_ends_as_canceled_whatever_its_runner_says() {
    for state in ["success", "failed"] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        gitlab.core.cancel(job, false, gitlab.now);
        assert_eq!(gitlab.core.cancel(job, false, gitlab.now), Some(JobState::Canceling), "twice is once");
        let answer = gitlab.update(job, &token, json!({ "state": state }));
        assert_eq!((answer.status(), answer.header("job-status")), (200, Some("canceled")));
        assert_eq!(gitlab.core.cancel(job, true, gitlab.now), Some(JobState::Canceled), "over is over");
        let events = gitlab.events();
        let finishes = events.iter().filter(|event| matches!(event, EventKind::JobFinished { .. })).count();
        assert_eq!((finishes, events.contains(&EventKind::JobCanceling { job })), (1, true));
    }
}

#[test]
fn a_waiting_job_is_canceled_at_once() {
    let mut gitlab = Gitlab::new(Options::default());
    let queued = gitlab.enqueue(json!({}));
    assert_eq!(gitlab.core.cancel(queued, false, gitlab.now), Some(JobState::Canceled));
    assert_eq!(gitlab.request_with(json!({})).status(), 204, "it is not handed out");

    let (job, token) =
        gitlab.running_with(json!({ "two_phase_job_commit": true, "cancel_gracefully": true }));
    assert_eq!(gitlab.core.cancel(job, false, gitlab.now), Some(JobState::Canceled));
    let answer = gitlab.update(job, &token, json!({ "state": "running" }));
    assert_eq!((answer.status(), answer.header("job-status")), (403, Some("canceled")));
}

#[test]
fn the_host_fails_and_forgets_jobs() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.fail(job, "stuck_or_timeout_failure", gitlab.now);
    gitlab.core.fail(job, "other", gitlab.now);
    assert_eq!(gitlab.job(job).failure_reason.as_deref(), Some("stuck_or_timeout_failure"));
    assert_eq!(
        gitlab.update(job, &token, json!({ "state": "running" })).header("job-status"),
        Some("failed")
    );
    assert_eq!(gitlab.core.remove(job).map(|record| record.id), Some(job));
    assert_eq!(gitlab.update(job, &token, json!({ "state": "running" })).header("job-status"), None);
    let queued = gitlab.enqueue(json!({}));
    gitlab.core.remove(queued);
    assert_eq!(gitlab.request_with(json!({})).status(), 204);
}
