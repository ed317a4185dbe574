//! F. The end of a job.

use std::time::Duration;

use runner_api::{
    Acceptance, FailureReason, JobClient, JobUpdate, PatchResult, TraceOutput, UpdateOutcome, UpdateResult,
};
use runner_coordinator::core::{Endpoint, JobId, JobState, Options};
use serde_json::json as value;
use tokio::time::Instant;

use crate::gitlab::GitLab;

fn output(trace: &str) -> TraceOutput {
    TraceOutput::new(crc32fast::hash(trace.as_bytes()), trace.len() as u64)
}

async fn succeed(job: &JobClient, trace: &str) -> UpdateOutcome {
    job.update(&JobUpdate::success().with_exit_code(0).with_output(output(trace))).await
}

#[tokio::test(start_paused = true)]
async fn scenario_69_a_success_has_neither_reason_nor_exit_code() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    job.patch_trace(0, "hello".into(), false).await;
    assert_eq!(succeed(&job, "hello").await.result, UpdateResult::Succeeded);
    assert_eq!(gitlab.state(&job), JobState::Success);
    let last = gitlab.bodies(Endpoint::UpdateJob).pop().unwrap();
    assert_eq!((last.get("failure_reason"), last.get("exit_code")), (None, None));
    assert_eq!(last["output"], value!({"checksum": "crc32:3610a686", "bytesize": 5}));
    gitlab.with(|core, _| {
        assert!(core.job(JobId(job.id())).unwrap().final_update.as_ref().unwrap().trace_is_complete());
        assert_eq!(core.oddities(), []);
    });
}

#[tokio::test(start_paused = true)]
async fn scenario_71_after_412_the_whole_trace_can_be_sent_again() {
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    job.patch_trace(0, "hello".into(), false).await;
    gitlab.fault("update_job:1:412");
    // What made the server think so.
    gitlab.fault("update_job:1:forget=5");
    assert_eq!(succeed(&job, "hello").await.result, UpdateResult::TraceValidationFailed);
    assert_eq!(job.patch_trace(0, "hello".into(), false).await.result, PatchResult::Accepted { end: 5 });
    assert_eq!(succeed(&job, "hello").await.result, UpdateResult::Succeeded);
    assert_eq!((gitlab.trace(&job), gitlab.state(&job)), (b"hello".to_vec(), JobState::Success));
}

#[tokio::test(start_paused = true)]
async fn scenario_73_a_final_update_that_is_refused_is_done() {
    for status in [403, 404] {
        let gitlab = GitLab::new(Options::default());
        let job = gitlab.run().await;
        gitlab.fault(&format!("update_job:*:{status}"));
        assert_eq!(succeed(&job, "").await.result, UpdateResult::Abort);
    }
    // The answer to an earlier one was lost: the job has ended meanwhile.
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.fault("update_job:1:reset=after");
    assert_eq!(succeed(&job, "").await.result, UpdateResult::Failed);
    assert_eq!(
        (succeed(&job, "").await.result, gitlab.state(&job)),
        (UpdateResult::Abort, JobState::Success)
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_not_completed_is_asked_for_again_later() {
    let options = Options { trace_store_time: Duration::from_secs(6), ..Options::default() };
    let gitlab = GitLab::new(options);
    let job = gitlab.run().await;
    let started = Instant::now();
    let mut intervals = Vec::new();
    loop {
        let outcome = succeed(&job, "").await;
        if outcome.result == UpdateResult::Succeeded {
            break;
        }
        assert_eq!(outcome.result, UpdateResult::AcceptedButNotCompleted);
        let interval = outcome.update_interval.unwrap();
        intervals.push(interval.as_secs());
        tokio::time::sleep(interval).await;
    }
    assert_eq!((intervals, started.elapsed().as_secs()), (vec![1, 1, 1, 1, 2], 6));
}

#[tokio::test(start_paused = true)]
async fn scenario_77_a_reason_is_told_in_words_that_the_server_knows() {
    let gitlab = GitLab::new(Options::default());
    let payload = value!({"features": {
        "failure_reasons": ["script_failure", "runner_system_failure", "job_execution_timeout"]
    }});
    let (job, at_gitlab) = gitlab.assign(payload).await;
    at_gitlab.accept().await;
    for (reason, told) in [
        (FailureReason::ImagePullFailure, "runner_system_failure"),
        (FailureReason::RunnerConfigurationError, "script_failure"),
        (FailureReason::RunnerInterrupted, "unknown_failure"),
    ] {
        assert_eq!(reason.for_server(&job.features.failure_reasons).as_str(), told);
    }
    let reason = FailureReason::ImagePullFailure.for_server(&job.features.failure_reasons);
    at_gitlab.update(&JobUpdate::failed(reason).with_exit_code(1)).await;
    gitlab.with(|core, _| {
        let record = core.job(JobId(job.id)).unwrap();
        let known = (record.failure_reason.as_deref(), record.exit_code);
        assert_eq!(known, (Some("runner_system_failure"), Some(1)));
    });
}

#[tokio::test(start_paused = true)]
async fn scenario_79_a_job_waits_two_minutes_for_its_acceptance() {
    let gitlab = GitLab::new(Options::default());
    let (_, job) = gitlab.assign(value!({})).await;
    assert_eq!(gitlab.state(&job), JobState::Pending);
    // Each sign of life gives two minutes more.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(110)).await;
        assert_eq!(job.update(&JobUpdate::pending()).await.result, UpdateResult::Succeeded);
        assert_eq!(gitlab.state(&job), JobState::Pending);
    }
    assert!(matches!(job.accept().await, Acceptance::Accepted));
    assert_eq!(gitlab.state(&job), JobState::Running);
    // It has begun: it does not wait any more.
    assert_eq!(job.update(&JobUpdate::pending()).await.result, UpdateResult::Failed);

    let (_, late) = gitlab.assign(value!({})).await;
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert!(matches!(late.accept().await, Acceptance::Gone));
    assert_eq!(gitlab.state(&late), JobState::Failed);

    // Canceled before: there is nothing left to accept.
    let (_, canceled) = gitlab.assign(value!({})).await;
    gitlab.with(|core, now| core.cancel(JobId(canceled.id()), false, now));
    assert!(matches!(canceled.accept().await, Acceptance::Gone));

    // Nobody knows whether it was heard: run it, and see.
    let (_, unsure) = gitlab.assign(value!({})).await;
    gitlab.fault("update_job:1:reset=after");
    assert!(matches!(unsure.accept().await, Acceptance::Unconfirmed(Some(_))));
    assert_eq!(unsure.update(&JobUpdate::running()).await.result, UpdateResult::Succeeded);
}
