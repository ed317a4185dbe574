//! Places that fail, vanish, fall silent or do not end, under virtual time.

use std::time::Duration;

use runner_coordinator::core::JobState;
use runner_core::executor::{Cause, EnvironmentError, StageEnd};
use runner_core::journal::CancelState;
use runner_core::manager::Manager;
use tokio::time::Instant;

use crate::support::{Act, Fake, Payload, Rig};

fn trouble() -> EnvironmentError {
    EnvironmentError::new(Cause::System, "cannot make the place").evidence("disk full")
}

#[tokio::test(start_paused = true)]
async fn preparing_is_tried_three_times_with_pauses() {
    let rig = Rig::in_process();
    let fake = Fake::new().prepare_fails(trouble()).prepare_fails(trouble());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(begun.elapsed().as_secs(), 6);
    assert_eq!(
        fake.calls_of(&["prepare", "cleanup"]),
        [
            "prepare 1",
            "cleanup PrepareFailed",
            "prepare 2",
            "cleanup PrepareFailed",
            "prepare 3",
            "cleanup JobEnded",
        ]
    );
    let trace = rig.gitlab.trace(job);
    let said = "ERROR: Preparation failed: cannot make the place: disk full\nWill be retried in 3s ...\n";
    assert_eq!(trace.matches(said).count(), 2, "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_made_is_a_system_failure() {
    let rig = Rig::in_process();
    let fake = Fake::new().prepare_fails(trouble()).prepare_fails(trouble()).prepare_fails(trouble());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    let last = "ERROR: Job failed (system failure): cannot make the place: disk full\n";
    assert!(trace.ends_with(last), "{trace}");
    assert_eq!(fake.calls_of(&["start"]), [""; 0]);
    assert_eq!(fake.calls().last().unwrap(), "release");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn errors_that_stay_are_not_tried_again() {
    let rig = Rig::in_process();
    let error = EnvironmentError::new(Cause::Configuration, "image is not allowed").hint("use another");
    let fake = Fake::new().prepare_fails(error);
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).reasons(["runner_configuration_error"]);
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_configuration_error".into()), None));
    assert_eq!(fake.calls_of(&["prepare"]), ["prepare 1"]);
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("ERROR: Job failed: image is not allowed (use another)\n"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_55_a_cancel_before_the_script_leaves_nothing_to_do() {
    let rig = Rig::in_process();
    let fake = Fake::new().prepare_talks();
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("prepare 1").await;
    let begun = Instant::now();
    rig.gitlab.cancel(job, false);
    assert_eq!(rig.gitlab.finished(job).await, JobState::Canceled);
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("unknown_failure".into()), None));
    assert_eq!(fake.calls_of(&["start"]), [""; 0]);
    // What it still says does not hold it up: it ends by itself, not for lack of patience.
    assert!(fake.calls().contains(&"prepare returns".to_owned()), "{:?}", fake.calls());
    assert!(begun.elapsed().as_secs() <= 30, "{:?}", begun.elapsed());
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_prepared_for_ever_is_given_up() {
    let rig = Rig::in_process();
    let fake = Fake::new().prepare_hangs();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.prepare_timeout = Some(Duration::from_secs(600));
    let running = rig.start_with(Manager::builder().runner(entry));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("Job failed: preparing the environment took longer than 10m0s\n"), "{trace}");
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_for_preparing_covers_the_first_stage() {
    let rig = Rig::in_process();
    let fake = Fake::new().prepare_fails(trouble()).on("prepare_script", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.prepare_timeout = Some(Duration::from_secs(600));
    let running = rig.start_with(Manager::builder().runner(entry));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("prepare 1").await;
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("Job failed: preparing the environment took longer than 10m0s\n"), "{trace}");
    assert_eq!(fake.calls_of(&["start"]), ["start prepare_script"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_first_stage_that_fails_says_where_to_look() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("prepare_script", Act::exit(1));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(1)));
    let trace = rig.gitlab.trace(job);
    assert!(
        trace.contains("Job failed: prepare environment: exit code 1 (see https://docs.gitlab.com"),
        "{trace}"
    );
    assert_eq!(fake.calls_of(&["start"]), ["start prepare_script"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_place_is_a_system_failure_and_ends_the_job() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::lost().prints("last words\n"));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\nlast words\n"), "{trace}");
    assert!(trace.contains("ERROR: Job failed (system failure): the machine is gone\n"), "{trace}");
    assert_eq!(fake.calls().last().unwrap(), "release");
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_lost_during_the_last_stage_changes_nothing() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("cleanup_file_variables", Act::lost());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_lose_no_byte() {
    let rig = Rig::in_process();
    let act = Act::exit(3).prints("one\n").prints("two ").prints("two\n").prints("three\n");
    let act = act.breaks_before(1).breaks_before(2).breaks_before(4).blind(2);
    let fake = Fake::new().on("step_script", act);
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(3)));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\none\ntwo two\nthree\n"), "{trace}");
    assert_eq!(fake.calls_of(&["follow step"]).len(), 4);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stage_survives_a_broken_stream_and_a_moment_of_blindness() {
    let rig = Rig::in_process();
    // Nothing is heard of it for an hour, then the stream breaks, and twice nobody can tell how it is.
    let fake = Fake::new().on("step_script", Act::held().blind(2));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(36_000));
    fake.called("start step_script").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    fake.break_stream("step_script");
    fake.called("status step_script").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_stays_silent_is_lost() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().blind(u32::MAX).always_breaks());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(36_000));
    fake.called("start step_script").await;
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("runner_system_failure"));
    let took = begun.elapsed().as_secs();
    assert!((120..=130).contains(&took), "{took}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_output_cannot_be_had_is_believed_after_a_while() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::exit(5).prints("unreadable\n").always_breaks());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(36_000));
    fake.called("start step_script").await;
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(5)));
    let took = begun.elapsed().as_secs();
    assert!((120..=130).contains(&took), "{took}");
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("WARNING: the end of step_script's output is missing"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn starting_is_tried_again_until_it_works() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::exit(0).start_fails(3));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    assert_eq!(fake.calls_of(&["start step"]).len(), 4);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_cannot_be_started_is_a_system_failure() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::exit(0).start_fails(u32::MAX));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("runner_system_failure"));
    assert!(rig.gitlab.trace(job).contains("(system failure): cannot start\n"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_returns_does_not_outlive_a_cancel() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().start_hangs());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.cancel(job, false);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("unknown_failure".into()), None));
    assert!(fake.calls().contains(&"terminate step_script".to_owned()), "{:?}", fake.calls());
    assert!(fake.script("after_script").contains("canceled"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_chatty_stage_can_be_stopped() {
    let rig = Rig::in_process();
    let act = Act::held().chatters(Duration::from_millis(10)).stop_takes(Duration::from_millis(200));
    let fake = Fake::new().on("step_script", act);
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("start step_script").await;
    let key = running.handle.jobs()[0].key.clone();
    let begun = Instant::now();
    assert!(running.handle.cancel(&key, CancelState::Graceful));
    fake.called("terminate step_script").await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(fake.calls_of(&["terminate", "kill"]), ["terminate step_script"]);
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("unknown_failure"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_ignores_the_request_is_killed() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().ignores_terminate());
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).after_script(["true"]).timeout(600);
    let job = rig.gitlab.enqueue(payload.variable("RUNNER_SCRIPT_TIMEOUT", "100s"));
    fake.called("start step_script").await;
    let begun = Instant::now();
    tokio::select! {
        // The limit, the grace, and a margin for an environment that kills by itself.
        () = fake.called("kill step_script") => assert_eq!(begun.elapsed().as_secs(), 140),
        _ = rig.gitlab.finished(job) => {}
    }
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(fake.calls_of(&["terminate", "kill"]), ["terminate step_script", "kill step_script"]);
    assert!(fake.script("after_script").contains("timedout"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_never_ends_although_killed_is_given_up() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().ignores_kill());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]).timeout(600));
    fake.called("start step_script").await;
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(begun.elapsed().as_secs(), 650);
    // What was asked for is what is reported; that it could not be had is said in the log.
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_execution_timeout"));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("WARNING: step_script did not end although it was killed"), "{trace}");
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    assert_eq!(fake.calls().last().unwrap(), "release");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_canceled_stage_that_never_ends_runs_nothing_more() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().ignores_kill());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.cancel(job, false);
    assert_eq!(rig.gitlab.finished(job).await, JobState::Canceled);
    running.drain().await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("unknown_failure"));
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_time_ends_after_its_script_failed_ran_out_of_time() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::exit(3)).on("after_script", Act::held());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]).timeout(60));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("job_execution_timeout".into()), None));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_without_steps_still_runs_after_script() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let running = rig.start(fake.clone());
    let payload = Payload::new(["true"]).field("steps", serde_json::json!([])).after_script(["true"]);
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert!(fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

/// None of an executor's calls can hold a job for ever.
#[tokio::test(start_paused = true)]
async fn calls_that_hang_are_given_up() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().ignores_kill());
    let fake = ["terminate step_script", "kill step_script", "cleanup JobEnded", "release"]
        .iter()
        .fold(fake, |fake, call| fake.hangs_at(call));
    let token = rig.gitlab.create_runner();
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, fake.clone())));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(600));
    rig.gitlab.finished(job).await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_execution_timeout"));
    // The only place is used again, although the provider does not take the reservation back.
    let next = rig.gitlab.enqueue(Payload::new(["true"]).field("steps", serde_json::json!([])));
    assert_eq!(rig.gitlab.finished(next).await, JobState::Success);
    running.handle.drain();
    running.task.abort();
    rig.gitlab.assert_nothing_odd();
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_never_told_is_a_lost_place() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().always_breaks()).hangs_at("status step_script");
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    let begun = Instant::now();
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("runner_system_failure"));
    let took = begun.elapsed().as_secs();
    assert!((120..=180).contains(&took), "{took}");
    rig.end().await;
}
