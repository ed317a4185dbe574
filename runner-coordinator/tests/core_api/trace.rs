//! `PATCH jobs/:id/trace`.

use bytes::Bytes;
use http::StatusCode;
use runner_coordinator::core::{EventKind, JobState, Options};
use serde_json::json;

use crate::support::{Gitlab, message};

#[test]
fn chunks_are_appended() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.events();
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.header("job-status"), Some("running"));
    assert_eq!(answer.header("range"), Some("0-3"));
    assert_eq!(answer.header("x-gitlab-trace-update-interval"), Some("3"));
    gitlab.core.watch(job, false);
    let answer = gitlab.patch(job, &token, "3-4", b"de");
    assert_eq!(answer.header("range"), Some("0-5"));
    assert_eq!(answer.header("x-gitlab-trace-update-interval"), Some("60"));
    assert_eq!(gitlab.job(job).trace.bytes(), b"abcde");
    assert_eq!(gitlab.job(job).trace.from(3), b"de");
    assert_eq!(gitlab.job(job).trace.from(6), b"");
    assert_eq!(gitlab.events(), [EventKind::TraceAppended { job, offset: 0, length: 5 }]);
}

#[test]
fn only_the_start_of_the_range_counts() {
    for (range, status, length) in [
        ("0-2", 202, 3),
        ("0-3", 202, 3),
        ("0", 202, 3),
        ("x", 202, 3),
        ("1-3", 416, 0),
        ("99999999999999999999999-0", 403, 0),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        let answer = gitlab.patch(job, &token, range, b"abc");
        assert_eq!((answer.status(), gitlab.job(job).trace.len()), (status, length), "{range}");
    }
}

#[test]
fn a_mismatch_tells_the_length() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.patch(job, &token, "0-3", b"abcd");
    for range in ["2-4", "5-7", "0-2"] {
        let answer = gitlab.patch(job, &token, range, b"xyz");
        assert_eq!(answer.error(), message(StatusCode::RANGE_NOT_SATISFIABLE), "{range}");
        assert_eq!((answer.header("range"), answer.header("job-status")), (Some("0-4"), None), "{range}");
    }
    let answer = gitlab.patch(job, &token, "1-3", b"xyz");
    assert_eq!(answer.status(), 202, "what ends where the trace ends counts as received");
    assert_eq!(gitlab.job(job).trace.bytes(), b"abcd");
}

#[test]
fn a_range_is_needed() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let path = format!("jobs/{job}/trace");
    let answer = gitlab.call_with("PATCH", &path, &[("JOB-TOKEN", &token)], "abc".into());
    assert_eq!(answer.error(), (400, json!({ "message": "400 Missing header Content-Range" })));
}

#[test]
fn who_may_patch() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let wrong = gitlab.patch(job, "x", "0-2", b"abc");
    assert_eq!((wrong.error(), wrong.header("job-status")), (message(StatusCode::FORBIDDEN), None));
    gitlab.core.cancel(job, true, gitlab.now);
    let canceled = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((canceled.status(), canceled.header("job-status")), (403, Some("canceled")));

    let queued = gitlab.enqueue(json!({}));
    let token = {
        use secrecy::ExposeSecret;
        gitlab.job(queued).token.expose_secret().to_owned()
    };
    let early = gitlab.patch(queued, &token, "0-2", b"abc");
    assert_eq!((early.status(), early.header("job-status")), (403, Some("pending")));
}

#[test]
fn a_job_that_waits_for_its_acknowledgement_may_log() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running_with(json!({ "two_phase_job_commit": true }));
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((answer.status(), answer.header("job-status")), (202, Some("pending")));
}

#[test]
fn canceling_is_told_with_the_trace() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.cancel(job, false, gitlab.now);
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((answer.status(), answer.header("job-status")), (202, Some("canceling")));
}

#[test]
fn a_trace_that_is_too_long_fails_the_job() {
    let mut gitlab = Gitlab::new(Options { trace_limit: 5, ..Options::default() });
    let (job, token) = gitlab.running();
    assert_eq!(gitlab.patch(job, &token, "0-4", b"abcde").status(), 202);
    let answer = gitlab.patch(job, &token, "5-5", b"f");
    assert_eq!((answer.error(), answer.header("job-status")), (message(StatusCode::FORBIDDEN), None));
    let record = gitlab.job(job);
    assert_eq!(
        (record.state, record.failure_reason.as_deref()),
        (JobState::Failed, Some("trace_size_exceeded"))
    );
    assert_eq!(record.trace.bytes(), b"abcde");
}

#[test]
fn debug_traces_are_marked_by_their_first_chunk() {
    let mut gitlab = Gitlab::new(Options::default());
    for (start, query, debug) in [(0, "true", true), (0, "false", false), (3, "true", false)] {
        let (job, token) = gitlab.running();
        if start > 0 {
            gitlab.patch(job, &token, "0-2", b"abc");
        }
        let range = format!("{start}-{}", start + 2);
        let headers = [("JOB-TOKEN", token.as_str()), ("Content-Range", range.as_str())];
        let path = format!("jobs/{job}/trace?debug_trace={query}");
        assert_eq!(gitlab.call_with("PATCH", &path, &headers, Bytes::from("abc")).status(), 202);
        assert_eq!(gitlab.job(job).trace.is_debug(), debug, "{start} {query}");
    }
}

#[test]
fn a_locked_trace_takes_nothing() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.lock_trace(job, true);
    assert_eq!(gitlab.patch(job, &token, "0-2", b"abc").error(), message(StatusCode::CONFLICT));
    assert!(gitlab.job(job).trace.is_empty());
    gitlab.core.lock_trace(job, false);
    assert_eq!(gitlab.patch(job, &token, "0-2", b"abc").status(), 202);
}
