//! Jobs that are ended from outside, with real processes and real HTTP.

use std::time::Duration;

use runner_coordinator::core::{JobId, JobState};
use runner_core::manager::Manager;

use crate::support::{Payload, PlainShell, Rig, Running};

/// Says that it is there, and goes on talking: GitLab's wishes come with its answers.
const ENDLESS: &str = "echo here; while :; do echo tick; sleep 0.02; done";

async fn running(payload: Payload) -> (Rig, Running, JobId) {
    let rig = Rig::over_http().await;
    let running = rig.start(PlainShell::provider(rig.folder("jobs")));
    let job = rig.gitlab.enqueue(payload);
    (rig, running, job)
}

#[tokio::test]
async fn scenario_54_a_cancel_stops_the_script_and_runs_after_script() {
    let payload = Payload::new([ENDLESS]).after_script(["echo after $CI_JOB_STATUS"]);
    let (rig, running, job) = running(payload.step("release", ["echo never"])).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    assert_eq!(rig.gitlab.cancel(job, false), JobState::Canceling);

    assert_eq!(rig.gitlab.finished(job).await, JobState::Canceled);
    running.drain().await;
    // Old servers do not know the reason by name.
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("unknown_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    for part in [
        "WARNING: script canceled externally (UI, API)\n",
        "\nafter canceled\n",
        "ERROR: Job failed: canceled\n",
    ] {
        assert!(trace.contains(part), "`{part}` is missing in:\n{trace}");
    }
    assert!(!trace.contains("\nnever"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn a_cancel_keeps_the_reason_that_the_server_knows() {
    let payload = Payload::new([ENDLESS]).reasons(["script_failure", "job_canceled"]);
    let (rig, running, job) = running(payload).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    rig.gitlab.cancel(job, false);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_canceled"));
    rig.end().await;
}

#[tokio::test]
async fn a_cancel_during_after_script_changes_nothing() {
    let wait = "echo here; until [ -e \"$GO\" ]; do echo tick; sleep 0.02; done; echo done";
    let rig = Rig::over_http().await;
    let go = rig.folder("signals").join("go");
    let running = rig.start(PlainShell::provider(rig.folder("jobs")));
    let payload = Payload::new(["true"]).after_script([wait]).variable("GO", &go.display().to_string());
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.shows(job, "\nhere\n").await;
    assert_eq!(rig.gitlab.cancel(job, false), JobState::Canceling);
    let length = rig.gitlab.trace(job).len();
    rig.gitlab
        .until("more output", |gitlab| (gitlab.job(job)?.trace.len() > length as u64 + 200).then_some(()))
        .await;
    std::fs::write(go, "").unwrap();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert!(rig.gitlab.trace(job).contains("\ndone\n"));
    rig.end().await;
}

#[tokio::test]
async fn an_abort_ends_everything_at_once() {
    let payload = Payload::new([ENDLESS]).after_script(["echo never"]);
    let (rig, running, job) = running(payload).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    assert_eq!(rig.gitlab.cancel(job, true), JobState::Canceled);
    running.drain().await;
    assert!(!rig.gitlab.trace(job).contains("after_script"));
    assert!(rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().final_update.is_none()));
    assert!(std::fs::read_dir(rig.folder("jobs")).unwrap().next().is_none(), "the job's folder is left");
    rig.end().await;
}

#[tokio::test]
async fn an_erased_job_is_ended_at_once() {
    let (rig, running, job) = running(Payload::new([ENDLESS]).after_script(["echo never"])).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    rig.gitlab.with(|gitlab, _| gitlab.erase(job));
    running.drain().await;
    rig.end().await;
}

#[tokio::test]
async fn scenario_103_the_jobs_time_is_over() {
    let payload = Payload::new(["echo here; sleep 1000"]).after_script(["echo never"]).timeout(1);
    let (rig, running, job) = running(payload).await;
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("ERROR: Job failed: execution took longer than 1s\n"), "{trace}");
    assert!(
        trace.contains("WARNING: step_script could not run to completion because the timeout"),
        "{trace}"
    );
    for part in ["\nnever", "Running after_script", "cleanup_file_variables"] {
        assert!(!trace.contains(part), "`{part}` in:\n{trace}");
    }
    rig.end().await;
}

#[tokio::test]
async fn the_scripts_time_is_over() {
    let payload = Payload::new(["echo here; sleep 1000"])
        .after_script(["echo after $CI_JOB_STATUS"])
        .variable("RUNNER_SCRIPT_TIMEOUT", "1s");
    let (rig, running, job) = running(payload).await;
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\nafter timedout\n"), "{trace}");
    assert!(trace.contains("ERROR: Job failed: the script took longer than 1s\n"), "{trace}");
    assert!(trace.contains("cleanup_file_variables"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn after_scripts_own_time_is_over() {
    let payload = Payload::new(["true"])
        .after_script(["echo here; sleep 1000"])
        .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "1s");
    let (rig, running, job) = running(payload).await;
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let trace = rig.gitlab.trace(job);
    assert!(
        trace.contains("but job will continue unaffected: after_script took longer than 1s\n"),
        "{trace}"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_script_that_ignores_the_request_is_killed_after_the_grace() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, PlainShell::provider(rig.folder("jobs")));
    entry.job.grace = Duration::from_millis(200);
    let running = rig.start_with(Manager::builder().runner(entry));
    let stubborn = format!("trap '' TERM; {ENDLESS}");
    let payload = Payload::new([&*stubborn]).after_script(["echo after $CI_JOB_STATUS"]);
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.shows(job, "\nhere\n").await;
    rig.gitlab.cancel(job, false);
    rig.gitlab.finished(job).await;
    running.drain().await;
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\nafter canceled\n"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn an_interrupt_runs_after_script_and_says_why() {
    let payload = Payload::new([ENDLESS]).after_script(["echo after $CI_JOB_STATUS"]);
    let (rig, running, job) = running(payload.reasons(["runner_interrupted"])).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    running.handle.interrupt();
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\nafter canceled\n"), "{trace}");
    assert!(trace.contains("aborted: the runner is being stopped\n"), "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn an_abort_of_the_manager_says_why_too() {
    let payload = Payload::new([ENDLESS]).after_script(["echo never"]);
    let (rig, running, job) = running(payload.reasons(["runner_interrupted"])).await;
    rig.gitlab.shows(job, "\nhere\n").await;
    running.handle.abort();
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(!trace.contains("\nnever"), "{trace}");
    rig.end().await;
}
