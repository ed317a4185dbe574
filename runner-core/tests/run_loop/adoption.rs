//! Jobs go on when their manager dies and another one comes, under virtual time.

use std::time::Duration;

use runner_coordinator::core::{JobId, JobState};
use runner_core::executor::StageEnd;
use runner_core::manager::{Manager, ManagerBuilder};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Act, Fake, Payload, Rig};

/// A job with everything that a job can have.
fn whole() -> Payload {
    let artifacts = json!([
        { "paths": ["a"], "when": "on_success", "artifact_type": "archive" },
        { "paths": ["b"], "when": "on_failure", "artifact_type": "archive" },
    ]);
    let needs = json!([{ "id": 7, "name": "build", "token": "glcbt-of-another-job", "artifacts_file": { "filename": "a.zip", "size": 1 } }]);
    let cache = json!([{ "key": "k", "paths": ["c"], "policy": "pull-push", "when": "always" }]);
    Payload::new(["true"])
        .step("release", ["true"])
        .after_script(["true"])
        .masked("PASSWORD", "open-sesame-now")
        .variable("GET_SOURCES_ATTEMPTS", "3")
        .variable("RUNNER_SCRIPT_TIMEOUT", "40m")
        .variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "2h")
        .field("artifacts", artifacts)
        .field("dependencies", needs)
        .field("cache", cache)
}

/// Stages of [`whole`] in their order, when sources are got at the second try and all goes well.
const STAGES: [&str; 12] = [
    "prepare_script",
    "get_sources",
    "clear_worktree",
    "get_sources (attempt 2)",
    "restore_cache",
    "download_artifacts",
    "step_script",
    "step_release",
    "after_script",
    "archive_cache",
    "upload_artifacts_on_success",
    "cleanup_file_variables",
];

/// Name and try of one of them.
fn parts(stage: &str) -> (&str, u16) {
    match stage.split_once(" (attempt ") {
        Some((name, attempt)) => (name, attempt.trim_end_matches(')').parse().unwrap()),
        None => (stage, 1),
    }
}

/// Places in which the first try of getting the sources fails, and each stage says something that is to be masked.
fn places() -> Fake {
    let mut fake = Fake::new().adoptable();
    for stage in STAGES {
        let (name, attempt) = parts(stage);
        let code = if stage == "get_sources" { 1 } else { 0 };
        fake = fake.on_attempt(name, attempt, act(code));
    }
    fake
}

/// What every stage prints, whether it is held in the middle or not.
fn act(code: i32) -> Act {
    Act::exit(code).prints("begins: open-sesame-").prints("now and then\n")
}

/// The same for one that is held before its end.
fn held() -> Act {
    Act::held().prints("begins: open-sesame-").prints("now and then\n")
}

pub(super) fn builder(rig: &Rig, token: &str, fake: &Fake) -> ManagerBuilder {
    Manager::builder().runner(rig.entry(token, fake.clone())).concurrent(5)
}

/// The trace without the times in the markers of sections.
pub(super) fn trace(rig: &Rig, job: JobId) -> String {
    let trace = rig.gitlab.trace(job);
    let mut parts = trace.split("section_");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let (kind, rest) = part.split_once(':').unwrap();
        let (_, name) = rest.split_once(':').unwrap();
        format!("{text}section_{kind}:{name}")
    })
}

/// What becomes of a job when nothing happens.
pub(super) async fn uninterrupted(payload: Payload, fake: Fake) -> String {
    let rig = Rig::in_process();
    let running = rig.start(fake);
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.finished(job).await;
    running.drain().await;
    let trace = trace(&rig, job);
    rig.end().await;
    trace
}

/// Every stage was started exactly once, and cleaned up was once.
fn assert_once(fake: &Fake, stages: &[&str]) {
    let mut started = fake.calls_of(&["start "]);
    started.dedup();
    let expected: Vec<_> = stages.iter().map(|stage| format!("start {stage}")).collect();
    assert_eq!(started, expected);
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);
    assert_eq!(fake.calls_of(&["prepare"]), ["prepare 1"]);
    assert_eq!(fake.calls_of(&["terminate", "kill"]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_in_whatever_stage_its_manager_died() {
    let expected = uninterrupted(whole(), places()).await;
    assert!(expected.contains("begins: [MASKED] and then"), "{expected}");
    assert!(expected.contains("RUNNER_AFTER_SCRIPT_TIMEOUT is longer than"), "{expected}");
    for stage in STAGES {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let (name, attempt) = parts(stage);
        let mut fake = Fake::new().adoptable().on_attempt(name, attempt, held());
        if stage != "get_sources" {
            fake = fake.on_attempt("get_sources", 1, act(1));
        }
        for other in STAGES.iter().filter(|other| **other != stage) {
            let (name, attempt) = parts(other);
            fake = fake.on_attempt(name, attempt, act(0));
        }
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(whole());
        fake.called(&format!("start {stage}")).await;
        sleep(Duration::from_secs(20)).await;
        process.dies().await;
        sleep(Duration::from_secs(20)).await;

        let process = rig.start_mortal(builder(&rig, &token, &fake));
        sleep(Duration::from_secs(20)).await;
        fake.end(name, StageEnd::Exit(i32::from(stage == "get_sources")));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success, "{stage}");
        process.drain().await;
        assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
        assert_eq!(trace(&rig, job), expected, "{stage}");
        assert_once(&fake, &STAGES);
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_death_is_the_one_that_is_reported() {
    let payload = || whole().variable("GET_SOURCES_ATTEMPTS", "1");
    let fake =
        || Fake::new().adoptable().on("step_release", act(7)).on("upload_artifacts_on_failure", act(3));
    let expected = uninterrupted(payload(), fake().on("after_script", act(0))).await;
    assert!(expected.contains("Job failed: exit code 7"), "{expected}");
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = fake().on("after_script", held());
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(payload());
    fake.called("start after_script").await;
    process.dies().await;
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("adopt").await;
    fake.end("after_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(7)));
    assert_eq!(trace(&rig, job), expected);
    assert!(fake.script("after_script").contains("CI_JOB_STATUS=failed"));
    let calls = fake.calls();
    assert!(!calls.contains(&"start upload_artifacts_on_success".to_owned()), "{calls:?}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_survives_as_many_deaths_as_there_are() {
    let expected = uninterrupted(whole(), places()).await;
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let mut fake = Fake::new().adoptable().on_attempt("get_sources", 1, act(1));
    for stage in STAGES {
        fake = fake.on(parts(stage).0, held());
    }
    let mut process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(whole());
    for stage in STAGES.into_iter().filter(|stage| *stage != "get_sources") {
        fake.called(&format!("start {stage}")).await;
        for _ in 0..2 {
            process.dies().await;
            process = rig.start_mortal(builder(&rig, &token, &fake));
            sleep(Duration::from_millis(700)).await;
        }
        fake.end(parts(stage).0, StageEnd::Exit(0));
    }
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    process.drain().await;
    assert_eq!(trace(&rig, job), expected);
    assert_once(&fake, &STAGES);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_two_tries_takes_no_longer_than_without_a_death() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on_attempt("get_sources", 1, Act::exit(1)).on_attempt(
        "get_sources",
        2,
        Act::exit(1),
    );
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let begun = Instant::now();
    let job = rig.gitlab.enqueue(Payload::new(["true"]).variable("GET_SOURCES_ATTEMPTS", "3"));
    fake.called("start get_sources").await;
    sleep(Duration::from_secs(2)).await;
    process.dies().await;
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("start get_sources (attempt 2)").await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    // The second pause is the longer one, also after the restart; it has passed when the next manager comes.
    sleep(Duration::from_secs(2)).await;
    process.dies().await;
    sleep(Duration::from_secs(100)).await;
    let begun = Instant::now();
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("start get_sources (attempt 3)").await;
    assert_eq!(begun.elapsed().as_secs(), 0);
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(rig.gitlab.trace(job).matches("WARNING: Retrying...\n").count(), 2);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn output_of_the_time_between_is_in_the_log_in_its_place() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\ntw"));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.shows(job, "one\n").await;
    process.dies().await;
    fake.prints("step_script", "o\nthree\n");
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.shows(job, "three\n").await;
    fake.prints("step_script", "four\n");
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    process.drain().await;
    let trace = trace(&rig, job);
    assert!(trace.contains("\none\ntwo\nthree\nfour\nsection_end:step_script"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_ended_while_nobody_looked_ended_by_itself() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held());
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let payload = Payload::new(["true"]).variable("RUNNER_SCRIPT_TIMEOUT", "10m").after_script(["true"]);
    let job = rig.gitlab.enqueue(payload);
    fake.called("start step_script").await;
    process.dies().await;
    fake.prints("step_script", "the last words\n");
    fake.end("step_script", StageEnd::Exit(0));
    // Longer than the script may take.
    sleep(Duration::from_secs(1000)).await;
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert!(rig.gitlab.trace(job).contains("the last words\n"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn limits_run_on_while_nobody_looks() {
    for (variable, stage, reported) in [
        ("RUNNER_SCRIPT_TIMEOUT", "step_script", ("failed", Some("job_execution_timeout"))),
        ("RUNNER_AFTER_SCRIPT_TIMEOUT", "after_script", ("success", None)),
    ] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().adoptable().on(stage, Act::held());
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]).variable(variable, "10m"));
        fake.called(&format!("start {stage}")).await;
        sleep(Duration::from_secs(300)).await;
        process.dies().await;
        sleep(Duration::from_secs(200)).await;
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let begun = Instant::now();
        fake.called(&format!("terminate {stage}")).await;
        assert_eq!(begun.elapsed().as_secs(), 100, "{stage}");
        rig.gitlab.finished(job).await;
        process.drain().await;
        let (state, reason, _) = rig.gitlab.end(job);
        assert_eq!((state.as_str(), reason.as_deref()), reported);
        assert!(fake.calls().contains(&"start after_script".to_owned()));
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_time_passed_while_nobody_looked_has_timed_out() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\n"));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]).timeout(600));
    fake.called("start step_script").await;
    process.dies().await;
    sleep(Duration::from_secs(700)).await;
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\none\n") && trace.contains("execution took longer than 10m0s"), "{trace}");
    let mut calls = fake.calls_of(&["terminate", "kill", "cleanup"]);
    calls.dedup();
    assert_eq!(calls, ["terminate step_script", "cleanup JobEnded"]);
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_was_asked_to_end_before_the_death_did_not_end_by_itself() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().ignores_terminate());
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig
        .gitlab
        .enqueue(Payload::new(["true"]).after_script(["true"]).variable("RUNNER_SCRIPT_TIMEOUT", "1m"));
    fake.called("terminate step_script").await;
    process.dies().await;
    // It takes its time, and leaves with a status of its own.
    fake.end("step_script", StageEnd::Exit(5));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("the script took longer than 1m0s"), "{trace}");
    rig.end().await;
}

/// A job whose script is held when its manager has died.
pub(super) async fn left_in_script(rig: &Rig, token: &str, fake: &Fake, payload: Payload) -> JobId {
    let process = rig.start_mortal(builder(rig, token, fake));
    let job = rig.gitlab.enqueue(payload);
    fake.called("start step_script").await;
    process.dies().await;
    job
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_came_meanwhile_is_heard_at_once() {
    for force in [false, true] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().adoptable().on("step_script", Act::held());
        let payload = Payload::new(["true"]).after_script(["true"]).reasons(["job_canceled"]);
        let job = left_in_script(&rig, &token, &fake, payload).await;
        rig.gitlab.cancel(job, force);
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        fake.called("cleanup JobEnded").await;
        process.drain().await;
        assert_eq!(rig.gitlab.state(job), JobState::Canceled);
        assert_eq!(fake.calls_of(&["terminate"]), ["terminate step_script"]);
        let after = fake.calls().contains(&"start after_script".to_owned());
        assert_eq!(after, !force);
        if !force {
            assert!(fake.script("after_script").contains("canceled"));
        }
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_gitlab_does_not_want_any_more_is_stopped_and_forgotten() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held());
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"]).after_script(["true"])).await;
    rig.gitlab.with(|gitlab, now| gitlab.fail(job, "stuck_or_timeout_failure", now));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("cleanup JobEnded").await;
    process.drain().await;
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_changes_no_job_in_the_middle() {
    let payload = || whole().variable("GET_SOURCES_ATTEMPTS", "1").variable("FF_TIMESTAMPS", "");
    let entry = |rig: &Rig, token: &str, fake: &Fake| {
        let mut entry = rig.entry(token, fake.clone());
        entry.job.environment =
            vec![("WHERE".into(), "here".into()), ("TOKEN_OF_OURS".into(), "x1y2z3".into())];
        entry.job.pre_build_script = Some("echo before".into());
        entry.job.feature_flags = [("FF_TIMESTAMPS".to_owned(), false)].into();
        entry.job.get_sources_timeout = Some(Duration::from_secs(7200));
        entry
    };
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable();
    let process = rig.start_mortal(Manager::builder().runner(entry(&rig, &token, &fake)));
    let job = rig.gitlab.enqueue(payload());
    rig.gitlab.finished(job).await;
    process.drain().await;
    let expected = trace(&rig, job);
    let scripts =
        ["step_script", "step_release", "after_script", "archive_cache"].map(|stage| fake.script(stage));
    rig.end().await;

    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("download_artifacts", Act::held());
    let process = rig.start_mortal(Manager::builder().runner(entry(&rig, &token, &fake)));
    let job = rig.gitlab.enqueue(payload());
    fake.called("start download_artifacts").await;
    process.dies().await;
    fake.end("download_artifacts", StageEnd::Exit(0));
    let mut changed = rig.entry(&token, fake.clone());
    changed.identity.name = "another name".into();
    changed.identity.system_id = "s_ba9876543210".into();
    changed.job.environment = vec![("WHERE".into(), "there".into())];
    changed.job.post_build_script = Some("echo after".into());
    changed.job.feature_flags =
        [("FF_TIMESTAMPS".to_owned(), true), ("FF_SCRIPT_SECTIONS".to_owned(), true)].into();
    changed.job.output_limit = 10;
    changed.job.get_sources_timeout = Some(Duration::from_secs(1));
    changed.job.prepare_timeout = Some(Duration::from_secs(100_000));
    let process = rig.start_mortal(Manager::builder().runner(changed));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(trace(&rig, job), expected);
    let after =
        ["step_script", "step_release", "after_script", "archive_cache"].map(|stage| fake.script(stage));
    assert_eq!(after, scripts);
    assert!(expected.contains("get_sources_timeout of the runner is longer"), "{expected}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_go_on_count_against_the_limits_and_keep_their_numbers() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held());
    let entry = |limit: u32| {
        let mut entry = rig.entry(&token, fake.clone());
        entry.poll.limit = limit;
        entry.poll.request_concurrency = 3;
        entry
    };
    let process = rig.start_mortal(Manager::builder().runner(entry(0)).concurrent(5));
    let left = [0, 1].map(|_| rig.gitlab.enqueue(Payload::new(["true"])));
    rig.gitlab.started(left[1]).await;
    sleep(Duration::from_secs(10)).await;
    process.dies().await;

    // Room for one more job with a common limit of three, and with a limit of its own of three.
    for (concurrent, limit) in [(3, 0), (5, 3)] {
        let process = rig.start_mortal(Manager::builder().runner(entry(limit)).concurrent(concurrent));
        let more = [0, 1].map(|_| rig.gitlab.enqueue(Payload::new(["true"])));
        rig.gitlab.started(more[0]).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.gitlab.state(more[1]), JobState::Pending);
        assert!(fake.script("step_script").contains("CI_CONCURRENT_ID=2"), "{}", fake.script("step_script"));
        // Those of the earlier process are still there.
        assert_eq!(process.handle.jobs().len(), 3);
        end_script(&fake, more[0]);
        rig.gitlab.finished(more[0]).await;
        rig.gitlab.started(more[1]).await;
        sleep(Duration::from_secs(10)).await;
        end_script(&fake, more[1]);
        rig.gitlab.finished(more[1]).await;
        process.dies().await;
    }

    // The limit is below what runs already: nothing new until it is kept again.
    let process = rig.start_mortal(Manager::builder().runner(entry(1)).concurrent(5));
    let more = rig.gitlab.enqueue(Payload::new(["true"]));
    sleep(Duration::from_secs(60)).await;
    end_script(&fake, left[0]);
    assert_eq!(rig.gitlab.finished(left[0]).await, JobState::Success);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.gitlab.state(more), JobState::Pending);
    end_script(&fake, left[1]);
    assert_eq!(rig.gitlab.finished(left[1]).await, JobState::Success);
    rig.gitlab.started(more).await;
    sleep(Duration::from_secs(10)).await;
    end_script(&fake, more);
    rig.gitlab.finished(more).await;
    process.drain().await;
    rig.end().await;
}

fn end_script(fake: &Fake, job: JobId) {
    fake.end_of_job(job.0, "step_script", StageEnd::Exit(0));
}

#[tokio::test(start_paused = true)]
async fn room_is_reserved_again_and_given_back() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held());
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"])).await;
    let before = fake.calls_of(&["acquire"]).len();
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("adopt").await;
    let calls = fake.calls_of(&["acquire", "adopt"]);
    assert_eq!(calls[before..before + 2], ["acquire", "adopt"]);
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    process.drain().await;
    let count = |word| fake.calls_of(&[word]).len();
    // The one of the process that died was never given back, and its poller may have held another.
    assert!(count("acquire") - count("release") <= 2, "{:?}", fake.calls());
    assert!(count("release") >= 1);
    rig.end().await;
}
