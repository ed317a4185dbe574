//! Drain, interrupt, abort, and what the handle tells, under virtual time.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState, Options};
use runner_core::executor::{JobKey, StageEnd};
use runner_core::journal::CancelState;
use runner_core::manager::Manager;
use tokio::time::Instant;

use crate::support::{Act, Fake, Payload, Rig};

#[tokio::test(start_paused = true)]
async fn drain_finishes_what_runs_and_takes_nothing_more() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    running.handle.drain();
    running.handle.drain();
    let asked = rig.gitlab.requests(Endpoint::RequestJob);
    let other = rig.gitlab.enqueue(Payload::new(["true"]));
    tokio::time::sleep(Duration::from_secs(3000)).await;
    assert!(!running.task.is_finished());
    fake.end("step_script", StageEnd::Exit(0));
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(
        (rig.gitlab.state(other), rig.gitlab.requests(Endpoint::RequestJob)),
        (JobState::Pending, asked)
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_39_drain_abandons_a_request_that_is_held() {
    let rig = Rig::in_process_with(Options::default());
    let fake = Fake::new();
    let running = rig.start(fake.clone());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let begun = Instant::now();
    running.drain().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let (acquired, released) = (fake.calls_of(&["acquire"]), fake.calls_of(&["release"]));
    assert_eq!(acquired.len(), released.len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn drain_before_the_first_request_asks_for_nothing() {
    let rig = Rig::in_process();
    let running = rig.start(Fake::new());
    running.drain().await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 0);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn interrupt_then_abort_ends_after_script_too() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held()).on("after_script", Act::held());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).reasons(["runner_interrupted"]);
    let job = rig.gitlab.enqueue(payload);
    fake.called("start step_script").await;
    running.handle.interrupt();
    fake.called("start after_script").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!running.task.is_finished());
    running.handle.abort();
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    assert_eq!(fake.calls_of(&["terminate"]), ["terminate step_script", "terminate after_script"]);
    assert!(!fake.calls().contains(&"start cleanup_file_variables".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn interrupt_before_the_script_ends_the_job_at_once() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("get_sources", Act::held());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).reasons(["runner_interrupted"]);
    let job = rig.gitlab.enqueue(payload);
    fake.called("start get_sources").await;
    running.handle.interrupt();
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_taken_while_the_manager_stops_is_asked_to_end_too() {
    let rig = Rig::in_process();
    // The acknowledgement hangs while the manager is told to stop.
    rig.gitlab.fault("update_job:1:delay=10s");
    let fake = Fake::new();
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).reasons(["runner_interrupted"]));
    rig.gitlab.started(job).await;
    running.handle.abort();
    running.ended().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    assert_eq!(fake.calls_of(&["start"]), [""; 0]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_handle_lists_jobs_and_cancels_them() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let running = rig.start(fake.clone());
    let handle = running.handle.clone();
    assert_eq!(handle.jobs(), []);
    let one = rig.gitlab.enqueue(Payload::new(["true"]).name("one"));
    let two = rig.gitlab.enqueue(Payload::new(["true"]).name("two"));
    rig.gitlab.shows(one, "step_script").await;
    rig.gitlab.shows(two, "step_script").await;
    let jobs = handle.jobs();
    let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(
        jobs.iter().map(|job| (job.key.job, job.cancel)).collect::<Vec<_>>(),
        [(one.0, None), (two.0, None)]
    );

    assert!(handle.cancel(&jobs[0].key, CancelState::Graceful));
    assert_eq!(handle.jobs()[0].cancel, Some(CancelState::Graceful));
    rig.gitlab.finished(one).await;
    // The list is up to date when the task of the job has ended.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!handle.cancel(&jobs[0].key, CancelState::Graceful));
    assert!(!handle.cancel(&JobKey { runner: "other".into(), job: two.0 }, CancelState::Abort));
    assert_eq!(handle.jobs().len(), 1);
    assert!(handle.cancel(&jobs[1].key, CancelState::Abort));
    rig.gitlab.finished(two).await;
    running.drain().await;
    assert_eq!(handle.jobs(), []);
    assert_eq!(rig.gitlab.end(one), ("failed".into(), Some("unknown_failure".into()), None));
    assert_eq!(rig.gitlab.end(two), ("failed".into(), Some("unknown_failure".into()), None));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_manager_without_runners_waits_to_be_stopped() {
    let rig = Rig::in_process();
    let running = rig.start_with(Manager::builder());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.task.is_finished());
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_end_is_written_down_at_once() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().ignores_kill());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    let key = running.handle.jobs()[0].key.clone();
    let progress = rig.state().join(key.to_string()).join("progress.json");
    let cancel = || -> serde_json::Value {
        let text = std::fs::read_to_string(&progress).unwrap();
        let last = text.lines().last().unwrap();
        serde_json::from_str::<serde_json::Value>(last).unwrap()["cancel"].take()
    };
    assert_eq!(cancel(), serde_json::Value::Null);
    running.handle.cancel(&key, CancelState::Graceful);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(cancel(), "graceful");
    rig.gitlab.finished(job).await;
    running.drain().await;
    rig.end().await;
}
