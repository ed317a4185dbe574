//! Jobs that could not simply go on, because of how far they were or of what became of their places, under virtual time.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::executor::StageEnd;
use runner_core::journal::{Entry, FileJournal, Journal, Progress};
use tokio::time::sleep;

use super::adoption::{builder, left_in_script, trace, uninterrupted};
use crate::support::{Act, Fake, Mortal, Payload, Rig};

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_told_for_long_is_waited_for() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held()).unclear(30);
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"])).await;
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    // Others are run meanwhile.
    let other = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.started(other).await;
    sleep(Duration::from_secs(1000)).await;
    fake.end("step_script", StageEnd::Exit(0));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    rig.gitlab.finished(other).await;
    process.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_died_while_it_was_prepared_is_prepared_again() {
    let expected = uninterrupted(Payload::new(["true"]), Fake::new().adoptable()).await;
    for gone in [false, true] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().adoptable().prepare_hangs();
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        fake.called("prepare 1").await;
        sleep(Duration::from_secs(10)).await;
        process.dies().await;
        if gone {
            fake.places_are_gone();
        }
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
        process.drain().await;
        assert_eq!(trace(&rig, job), expected);
        let calls = fake.calls_of(&["prepare", "cleanup"]);
        let expected: &[_] = if gone {
            &["prepare 1", "prepare 1", "cleanup JobEnded"]
        } else {
            &["prepare 1", "cleanup PrepareFailed", "prepare 1", "cleanup JobEnded"]
        };
        assert_eq!(calls, expected);
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_which_nothing_existed_is_run() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    rig.gitlab.fault("update_job:1-5:reset");
    let fake = Fake::new();
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab
        .until("an acknowledgement", |gitlab| (gitlab.request_count(Endpoint::UpdateJob) > 0).then_some(()))
        .await;
    process.dies().await;
    assert_eq!(rig.gitlab.state(job), JobState::Pending);
    rig.gitlab.clear_faults();
    // Its executor has no adopter, and needs none.
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    process.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_gone_is_reported_with_its_cause() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\n"));
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"])).await;
    fake.places_are_gone();
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.ends_with("its place did not survive: the machine is gone\n"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_over_is_reported_as_it_was() {
    for (code, expected) in [(0, ("success", None, None)), (9, ("failed", Some("script_failure"), Some(9)))] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().adoptable().on("step_script", Act::exit(code)).hangs_at("cleanup JobEnded");
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        fake.called("cleanup JobEnded").await;
        process.dies().await;
        // What was being cleaned up may be gone, or not.
        if code == 9 {
            fake.places_are_gone();
        }
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        rig.gitlab.finished(job).await;
        process.drain().await;
        let (state, reason, exit_code) = rig.gitlab.end(job);
        assert_eq!((state.as_str(), reason.as_deref(), exit_code), expected);
        assert_eq!(rig.gitlab.trace(job).matches("Job ").count(), 1);
        rig.end().await;
    }
}

/// Changes what is written down of the only job while no manager runs.
fn edit(rig: &Rig, change: impl FnOnce(&mut Progress)) {
    let journal = FileJournal::open(rig.state()).unwrap();
    let mut entries = journal.entries().unwrap();
    let Some(Entry::Job(assignment, mut progress)) = entries.pop() else { panic!("no entry") };
    change(&mut progress);
    journal.save(&assignment.key, &progress).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_another_program_has_planned_otherwise_is_failed_and_cleaned_up() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held());
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"])).await;
    edit(&rig, |progress| progress.stage.as_mut().unwrap().name = "step_of_tomorrow".into());
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.finished(job).await;
    process.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("it does not know stage step_of_tomorrow at place 5"), "{trace}");
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_keeps_no_job_from_going_on() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\n"));
    let job = left_in_script(&rig, &token, &fake, Payload::new(["true"]).after_script(["true"])).await;
    rig.gitlab.set_down(true);
    let process: Mortal = rig.start_mortal(builder(&rig, &token, &fake));
    fake.called("adopt").await;
    fake.end("step_script", StageEnd::Exit(0));
    fake.called("cleanup JobEnded").await;
    rig.gitlab.set_down(false);
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    process.drain().await;
    rig.end().await;
}
