//! E. The trace while a job runs.

use std::time::Duration;

use runner_api::retry::RetryPolicy;
use runner_api::{JobClient, JobStatus, JobToken, JobUpdate, PatchResult, TraceOutput, UpdateResult};
use runner_coordinator::core::{Endpoint, JobId, JobState, Options};
use serde_json::json as value;

use crate::gitlab::GitLab;
use crate::script::{Script, with};

fn job(script: &Script) -> JobClient {
    script.client().job(42, JobToken::new("glcbt-secret")).with_retry(RetryPolicy::off())
}

fn output(trace: &str) -> TraceOutput {
    TraceOutput::new(crc32fast::hash(trace.as_bytes()), trace.len() as u64)
}

#[tokio::test(start_paused = true)]
async fn scenario_51_after_404_the_same_bytes_can_be_sent_again_and_the_end_be_told() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.fault("patch_trace:1-2:404");
    for _ in 0..2 {
        let outcome = job.patch_trace(0, "hello".into(), false).await;
        assert_eq!((outcome.result, outcome.cancel_requested), (PatchResult::NotFound, false));
    }
    assert_eq!(job.patch_trace(0, "hello".into(), false).await.result, PatchResult::Accepted { end: 5 });
    let done = job.update(&JobUpdate::success().with_output(output("hello"))).await;
    assert_eq!((done.result, gitlab.state(&job)), (UpdateResult::Succeeded, JobState::Success));
    assert_eq!(gitlab.trace(&job), b"hello");
}

#[tokio::test(start_paused = true)]
async fn scenario_52_a_trace_that_is_refused_ends_the_job() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.with(|core, _| core.erase(JobId(job.id())));
    let outcome = job.patch_trace(0, "hello".into(), false).await;
    assert_eq!((outcome.result, outcome.job_status.is_none()), (PatchResult::Abort, true));
    // The one final update is refused as well, which is the end of it.
    let done = JobUpdate::failed(runner_api::FailureReason::ScriptFailure);
    assert_eq!(job.update(&done).await.result, UpdateResult::Abort);
    assert_eq!((gitlab.count(Endpoint::PatchTrace), gitlab.count(Endpoint::UpdateJob)), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn scenario_53_a_canceled_job_is_ended_even_if_the_piece_was_accepted() {
    let script = Script::new([with(202, &[("job-status", "canceled")], "")]);
    let outcome = job(&script).patch_trace(0, "x".into(), false).await;
    assert_eq!((outcome.result, outcome.job_status), (PatchResult::Abort, Some(JobStatus::Canceled)));
    assert!(!outcome.cancel_requested);

    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.with(|core, now| core.cancel(JobId(job.id()), true, now));
    assert_eq!(job.patch_trace(0, "x".into(), false).await.result, PatchResult::Abort);
    assert_eq!(job.update(&JobUpdate::running()).await.result, UpdateResult::Abort);
}

#[tokio::test(start_paused = true)]
async fn scenario_54_a_graceful_cancel_is_told_beside_the_result() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.with(|core, now| core.cancel(JobId(job.id()), false, now));
    let piece = job.patch_trace(0, "x".into(), false).await;
    assert_eq!((piece.result, piece.cancel_requested), (PatchResult::Accepted { end: 1 }, true));
    let alive = job.update(&JobUpdate::running().with_output(output("x"))).await;
    assert_eq!((alive.result, alive.cancel_requested), (UpdateResult::Succeeded, true));
    // `after_script` goes on writing.
    assert_eq!(job.patch_trace(1, "y".into(), false).await.result, PatchResult::Accepted { end: 2 });
    let reason = runner_api::FailureReason::JobCanceled.for_server(&[]);
    job.update(&JobUpdate::failed(reason).with_output(output("xy"))).await;
    assert_eq!(gitlab.state(&job), JobState::Canceled);
    let last = gitlab.bodies(Endpoint::UpdateJob).pop().unwrap();
    assert_eq!((&last["state"], &last["failure_reason"]), (&value!("failed"), &value!("unknown_failure")));
}

#[tokio::test]
async fn scenario_57_the_servers_interval_counts_if_it_is_a_positive_number() {
    for (text, expected) in [
        ("60", Some(60)),
        (" 7 ", Some(7)),
        ("0", None),
        ("-1", None),
        ("x", None),
        ("1.5", None),
        ("7200", Some(7200)),
    ] {
        let script = Script::new([
            with(200, &[("x-gitlab-trace-update-interval", text)], ""),
            with(202, &[("x-gitlab-trace-update-interval", text)], ""),
        ]);
        let expected = expected.map(Duration::from_secs);
        assert_eq!(job(&script).update(&JobUpdate::running()).await.update_interval, expected);
        assert_eq!(job(&script).patch_trace(0, "x".into(), false).await.update_interval, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_59_a_keep_alive_tells_of_the_trace_so_far_and_an_acceptance_does_not() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    job.patch_trace(0, "hello".into(), false).await;
    job.update(&JobUpdate::running().with_output(output("hello"))).await;
    let bodies: Vec<_> = gitlab
        .bodies(Endpoint::UpdateJob)
        .into_iter()
        .map(|mut body| {
            assert_eq!(body["info"]["features"]["trace_reset"], true);
            body.as_object_mut().unwrap().remove("info");
            body
        })
        .collect();
    let token = job.token().expose();
    assert_eq!(bodies[0], value!({"token": token, "state": "running", "output": {}}));
    assert_eq!(
        bodies[1],
        value!({
            "token": token, "state": "running", "checksum": "crc32:3610a686",
            "output": {"checksum": "crc32:3610a686", "bytesize": 5}
        })
    );
    gitlab.with(|core, _| assert_eq!(core.oddities(), []));
}
