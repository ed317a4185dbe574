//! Stages that are tried more than once, under virtual time.

use std::time::Duration;

use runner_core::executor::StageEnd;
use runner_core::manager::Manager;

use crate::support::{Act, Fake, Payload, Rig};

const STAGES: [&str; 1] = ["start "];

#[tokio::test(start_paused = true)]
async fn scenario_101_sources_are_fetched_again_after_the_work_tree_was_cleared() {
    let rig = Rig::in_process();
    let fake =
        Fake::new().on_attempt("get_sources", 1, Act::exit(128)).on_attempt("get_sources", 2, Act::exit(128));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).variable("GET_SOURCES_ATTEMPTS", "3"));
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(
        fake.calls_of(&STAGES),
        [
            "start prepare_script",
            "start get_sources",
            "start clear_worktree",
            "start get_sources (attempt 2)",
            "start get_sources (attempt 3)",
            "start step_script",
            "start cleanup_file_variables",
        ]
    );
    // Pauses of 5 s and 10 s, and the first poll's.
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(rig.gitlab.trace(job).matches("WARNING: Retrying...\n").count(), 2);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_work_tree_that_cannot_be_cleared_uses_up_a_try() {
    let rig = Rig::in_process();
    let fake = Fake::new().on_attempt("get_sources", 1, Act::exit(128)).on("clear_worktree", Act::exit(1));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).variable("GET_SOURCES_ATTEMPTS", "3"));
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(
        fake.calls_of(&["start get", "start clear"]),
        ["start get_sources", "start clear_worktree", "start get_sources (attempt 3)"]
    );
    assert_eq!(begun.elapsed().as_secs(), 15);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_101_the_last_try_decides_and_only_failure_stages_follow() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::exit(128));
    let running = rig.start(fake.clone());
    let artifacts = serde_json::json!([
        { "paths": ["a"], "when": "on_failure", "artifact_type": "archive" },
        { "paths": ["b"], "when": "on_success", "artifact_type": "archive" },
    ]);
    let cache = serde_json::json!([{ "key": "k", "paths": ["c"], "when": "on_failure" }]);
    let payload = Payload::new(["true"]).after_script(["true"]).field("artifacts", artifacts);
    let payload = payload.field("cache", cache).variable("GET_SOURCES_ATTEMPTS", "3");
    let job = rig.gitlab.enqueue(payload);
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    // Pauses of 5 s and 10 s.
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(128)));
    assert_eq!(
        fake.calls_of(&STAGES),
        [
            "start prepare_script",
            "start get_sources",
            "start clear_worktree",
            "start get_sources (attempt 2)",
            "start get_sources (attempt 3)",
            "start archive_cache_on_failure",
            "start upload_artifacts_on_failure",
            "start cleanup_file_variables",
        ]
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn pauses_are_short_when_the_flag_is_off() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::exit(128));
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).variable("GET_SOURCES_ATTEMPTS", "5");
    let job = rig.gitlab.enqueue(payload.variable("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", "false"));
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    // 1, 2, 4 and 5 seconds.
    assert_eq!(begun.elapsed().as_secs(), 12);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_the_pause() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::exit(128));
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).variable("GET_SOURCES_ATTEMPTS", "10");
    let job = rig.gitlab.enqueue(payload);
    fake.called("start get_sources (attempt 7)").await;
    rig.gitlab.cancel(job, false);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("unknown_failure".into()), None));
    let calls = fake.calls();
    assert!(!calls.contains(&"start get_sources (attempt 8)".to_owned()), "{calls:?}");
    assert!(!calls.contains(&"start after_script".to_owned()), "{calls:?}");
    assert!(!calls.contains(&"start cleanup_file_variables".to_owned()), "{calls:?}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_for_sources_covers_tries_and_pauses() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::exit(128));
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.get_sources_timeout = Some(Duration::from_secs(60));
    let running = rig.start_with(Manager::builder().runner(entry));
    let payload = Payload::new(["true"]).after_script(["true"]).variable("GET_SOURCES_ATTEMPTS", "10");
    let job = rig.gitlab.enqueue(payload);
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("Job failed: getting the sources took longer than 1m0s\n"), "{trace}");
    assert!(!fake.calls().contains(&"start cleanup_file_variables".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_sources_beyond_the_jobs_time_is_none() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.get_sources_timeout = Some(Duration::from_secs(7200));
    let running = rig.start_with(Manager::builder().runner(entry));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(600));
    rig.gitlab.finished(job).await;
    running.drain().await;
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("Job failed: execution took longer than 10m0s\n"), "{trace}");
    assert!(
        trace.contains("WARNING: get_sources_timeout of the runner is longer than the job's time"),
        "{trace}"
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_script_counts_for_all_steps_together() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held()).on("step_release", Act::held());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).step("release", ["true"]).after_script(["true"]);
    let job = rig.gitlab.enqueue(payload.variable("RUNNER_SCRIPT_TIMEOUT", "10m"));
    fake.called("start step_script").await;
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(400)).await;
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_execution_timeout"));
    assert!(fake.script("after_script").contains("timedout"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_105_limits_that_make_no_sense_are_told_and_ignored() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("after_script", Act::held());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"])
        .after_script(["true"])
        .variable("RUNNER_SCRIPT_TIMEOUT", "banana")
        .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "2h");
    let job = rig.gitlab.enqueue(payload.timeout(3600));
    fake.called("start after_script").await;
    let begun = tokio::time::Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    // The default.
    assert_eq!(begun.elapsed().as_secs(), 300);
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("WARNING: RUNNER_SCRIPT_TIMEOUT: ignored \"banana\""), "{trace}");
    assert!(trace.contains("WARNING: RUNNER_AFTER_SCRIPT_TIMEOUT is longer than what is left"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn limits_of_any_size_harm_nobody() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.prepare_timeout = Some(Duration::MAX);
    entry.job.get_sources_timeout = Some(Duration::MAX);
    entry.job.grace = Duration::MAX;
    let running = rig.start_with(Manager::builder().runner(entry));
    let payload = Payload::new(["true"])
        .after_script(["true"])
        .variable("RUNNER_SCRIPT_TIMEOUT", "2562047h")
        .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "2562047h");
    let job = rig.gitlab.enqueue(payload.timeout(i64::MAX));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    rig.end().await;
}
