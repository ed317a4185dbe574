//! Numbered scenarios of the protocol (`scenario_NN_…`) and of scripts (`script_scenario_NN_…`) that need time or faults: under
//! virtual time, with places that do what a test says. More of them stand where they belong by their subject.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::executor::{Cause, EnvironmentError, StageEnd};
use runner_core::manager::Manager;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Act, Fake, Payload, Rig};

fn chatty() -> Act {
    Act::held().chatters(Duration::from_secs(1))
}

fn archives() -> serde_json::Value {
    json!([
        { "paths": ["a"], "when": "on_success", "artifact_type": "archive" },
        { "paths": ["b"], "when": "on_failure", "artifact_type": "archive" },
    ])
}

#[tokio::test(start_paused = true)]
async fn scenario_51_a_log_that_is_not_found_for_a_while_does_not_disturb_the_job() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", chatty());
    rig.gitlab.fault("patch_trace:2-9:404");
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(rig.gitlab.state(job), JobState::Running);
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let said = rig.gitlab.trace(job).matches("and on\n").count();
    assert!(said > 90, "{said}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_51_a_log_that_is_never_found_does_not_keep_the_end_from_being_told() {
    let rig = Rig::in_process();
    rig.gitlab.fault("patch_trace:*:404");
    let running = rig.start(Fake::new().on("step_script", Act::exit(3)));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("script_failure"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_52_53_a_job_that_gitlab_wants_no_more_is_ended_at_once() {
    for answer in ["403", "header=job-status=canceled", "header=job-status=failed"] {
        let rig = Rig::in_process();
        let fake = Fake::new().on("step_script", chatty());
        let running = rig.start(fake.clone());
        let payload = Payload::new(["true"]).after_script(["true"]).field("artifacts", archives());
        let job = rig.gitlab.enqueue(payload);
        rig.gitlab.shows(job, "and on").await;
        rig.gitlab.fault(&format!("patch_trace:1-:{answer}"));
        fake.called("cleanup JobEnded").await;
        running.drain().await;
        assert_eq!(fake.calls_of(&["terminate", "kill"]), ["terminate step_script"], "{answer}");
        let started = fake.calls_of(&["start"]);
        assert_eq!(started.last().map(String::as_str), Some("start step_script"), "{answer}");
        // The end is offered once.
        let ends = rig.gitlab.with(|gitlab, _| {
            let updates =
                gitlab.requests().iter().filter(|request| request.endpoint == Some(Endpoint::UpdateJob));
            let states =
                updates.map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap());
            states
                .filter(|body| body["state"] != "running")
                .map(|body| body["failure_reason"].clone())
                .collect::<Vec<_>>()
        });
        assert_eq!(ends, ["unknown_failure"], "{answer}");
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_55_a_cancel_while_sources_are_fetched_ends_the_job_without_scripts_and_uploads() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", chatty());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).field("artifacts", archives());
    let job = rig.gitlab.enqueue(payload.variable("GET_SOURCES_ATTEMPTS", "3"));
    rig.gitlab.shows(job, "and on").await;
    rig.gitlab.cancel(job, false);
    assert_eq!(rig.gitlab.finished(job).await, JobState::Canceled);
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("unknown_failure".into()), None));
    assert_eq!(fake.calls_of(&["start"]), ["start prepare_script", "start get_sources"]);
    assert_eq!(fake.calls_of(&["terminate"]), ["terminate get_sources"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_77_a_failure_is_told_in_words_that_the_server_knows() {
    let old = json!(["script_failure", "runner_system_failure", "job_execution_timeout"]);
    let new =
        json!(["image_pull_failure", "runner_configuration_error", "runner_external_dependency_failure"]);
    for (cause, known, told) in [
        (Cause::ImagePull, &old, "runner_system_failure"),
        (Cause::Configuration, &old, "script_failure"),
        (Cause::Dependency, &old, "runner_system_failure"),
        (Cause::ImagePull, &json!(null), "runner_system_failure"),
        (Cause::Configuration, &json!(null), "script_failure"),
        (Cause::ImagePull, &new, "image_pull_failure"),
        (Cause::Configuration, &new, "runner_configuration_error"),
        (Cause::Dependency, &new, "runner_external_dependency_failure"),
    ] {
        let rig = Rig::in_process();
        let error = || EnvironmentError::new(cause, "no image").retriable(false);
        let running = rig.start(Fake::new().prepare_fails(error()));
        let job =
            rig.gitlab.enqueue(Payload::new(["true"]).field("features", json!({ "failure_reasons": known })));
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(rig.gitlab.end(job), ("failed".into(), Some(told.into()), None), "{cause:?} {known}");
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_79_nothing_is_made_for_a_job_before_it_was_accepted() {
    let rig = Rig::in_process();
    rig.gitlab.fault("update_job:1:delay-before=10s");
    let fake = Fake::new();
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(rig.gitlab.state(job), JobState::Pending);
    assert_eq!(fake.calls_of(&["environment"]), [""; 0]);
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_79_a_job_whose_acceptance_does_not_arrive_in_time_is_lost_and_leaves_nothing() {
    let rig = Rig::in_process();
    rig.gitlab.fault("update_job:@-125s:503");
    let fake = Fake::new().on("step_script", Act::held());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_provisioning_timeout"));
    assert_eq!(fake.calls_of(&["environment"]).len(), fake.calls_of(&["cleanup JobEnded"]).len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_87_downloads_are_tried_as_often_as_the_job_says() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("download_artifacts", Act::exit(1));
    let running = rig.start(fake.clone());
    let dependency =
        json!([{ "id": 9, "token": "t", "name": "b", "artifacts_file": { "filename": "a.zip", "size": 7 } }]);
    let cache = json!([{ "key": "k", "paths": ["a"], "when": "always" }]);
    let payload = Payload::new(["true"]).after_script(["true"]).field("dependencies", dependency);
    let payload = payload.field("artifacts", archives()).field("cache", cache);
    let job = rig.gitlab.enqueue(payload.variable("ARTIFACT_DOWNLOAD_ATTEMPTS", "3"));
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(1)));
    // Pauses of 5 s and 10 s.
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(
        fake.calls_of(&["start"]),
        [
            "start prepare_script",
            "start get_sources",
            "start restore_cache",
            "start download_artifacts",
            "start download_artifacts (attempt 2)",
            "start download_artifacts (attempt 3)",
            "start archive_cache_on_failure",
            "start upload_artifacts_on_failure",
            "start cleanup_file_variables",
        ]
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_91_a_runner_that_is_to_be_strict_waits_after_each_job() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.check_interval = Duration::from_secs(10);
    entry.poll.strict_check_interval = true;
    for _ in 0..2 {
        rig.gitlab.enqueue(Payload::new(["true"]));
    }
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(5));
    tokio::time::sleep(Duration::from_millis(14_500)).await;
    // Two jobs so far. Their end is no reason to ask before the time, either.
    fake.end("step_script", StageEnd::Exit(0));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob), [0, 10, 20, 30]);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_103_a_job_without_a_time_of_its_own_has_two_hours() {
    for seconds in [0, -1] {
        let rig = Rig::in_process();
        let fake = Fake::new().on("step_script", Act::held());
        let running = rig.start(fake.clone());
        let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(seconds));
        let begun = Instant::now();
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(begun.elapsed().as_secs(), 7200);
        assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
        let trace = rig.gitlab.trace(job);
        assert!(trace.contains("Job failed: execution took longer than 2h0m0s\n"), "{trace}");
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn script_scenario_123_a_failing_cleanup_changes_nothing() {
    for (script, end) in [
        (Act::exit(0), ("success".to_owned(), None, None)),
        (Act::exit(3), ("failed".to_owned(), Some("script_failure".to_owned()), Some(3))),
    ] {
        let rig = Rig::in_process();
        let fake = Fake::new().on("step_script", script).on("cleanup_file_variables", Act::exit(1));
        let running = rig.start(fake.clone());
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(rig.gitlab.end(job), end);
        assert_eq!(fake.calls_of(&["start"]).last().unwrap(), "start cleanup_file_variables");
        rig.end().await;
    }
}

/// The stages after it are chosen by how the job ended, as users read `when: on_failure`.
#[tokio::test(start_paused = true)]
async fn an_after_script_that_fails_the_job_is_followed_by_the_stages_for_failures() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("after_script", Act::exit(4));
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).field("artifacts", archives());
    let job = rig.gitlab.enqueue(payload.variable("AFTER_SCRIPT_IGNORE_ERRORS", "false"));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(4)));
    let uploads = fake.calls_of(&["start upload"]);
    assert_eq!(uploads, ["start upload_artifacts_on_failure"]);
    rig.end().await;
}
