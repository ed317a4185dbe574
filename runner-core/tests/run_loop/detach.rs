//! Detaching: jobs are left to the next manager, under virtual time.

use std::time::Duration;

use runner_coordinator::core::JobState;
use runner_core::executor::StageEnd;
use runner_core::journal::Entry;
use runner_core::manager::{Manager, ManagerBuilder};
use tokio::time::{Instant, sleep};

use crate::support::{Act, Fake, Payload, Rig};

fn builder(rig: &Rig, token: &str, fake: &Fake) -> ManagerBuilder {
    Manager::builder().runner(rig.entry(token, fake.clone())).concurrent(5)
}

const ENDINGS: [&str; 3] = ["terminate", "kill", "cleanup"];

#[tokio::test(start_paused = true)]
async fn a_job_is_left_running_and_the_next_manager_goes_on_with_it() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\n"));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    rig.gitlab.shows(job, "one\n").await;
    let begun = Instant::now();
    process.detach().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fake.calls_of(&ENDINGS), [""; 0]);
    assert_eq!(rig.gitlab.state(job), JobState::Running);
    let entries = rig.journaled();
    let [Entry::Job(_, progress)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(progress.stage.as_ref().unwrap().name, "step_script");
    assert_eq!((&progress.cancel, &progress.verdict), (&None, &None));

    fake.prints("step_script", "two\n");
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    rig.gitlab.shows(job, "two\n").await;
    fake.end("step_script", StageEnd::Exit(0));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    process.drain().await;
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\none\ntwo\n"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_left_in_a_pause_and_while_it_is_prepared() {
    for prepared in [true, false] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let mut fake = Fake::new().adoptable().on_attempt("get_sources", 1, Act::exit(1));
        if !prepared {
            fake = fake.prepare_hangs();
        }
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(Payload::new(["true"]).variable("GET_SOURCES_ATTEMPTS", "2"));
        fake.called(if prepared { "start get_sources" } else { "prepare 1" }).await;
        sleep(Duration::from_secs(1)).await;
        process.detach().await;
        assert_eq!(fake.calls_of(&ENDINGS), [""; 0]);
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
        process.drain().await;
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_could_find_again_is_interrupted() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held());
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let payload = Payload::new(["true"]).after_script(["true"]).reasons(["runner_interrupted"]);
    let job = rig.gitlab.enqueue(payload);
    fake.called("start step_script").await;
    process.detach().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_interrupted".into()), None));
    assert!(fake.calls().contains(&"start after_script".to_owned()));
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_job_is_treated_by_its_own_executor() {
    let rig = Rig::in_process();
    let tokens = [rig.gitlab.create_tagged_runner("a"), rig.gitlab.create_tagged_runner("b")];
    let stays = Fake::new().adoptable().on("step_script", Act::held());
    let ends = Fake::new().on("step_script", Act::held());
    let both = || {
        Manager::builder()
            .runner(rig.entry(&tokens[0], stays.clone()))
            .runner(rig.entry(&tokens[1], ends.clone()))
            .concurrent(5)
    };
    let process = rig.start_mortal(both());
    let left = rig.gitlab.enqueue_tagged(Payload::new(["true"]), "a");
    let ended = rig.gitlab.enqueue_tagged(Payload::new(["true"]).reasons(["runner_interrupted"]), "b");
    stays.called("start step_script").await;
    ends.called("start step_script").await;
    process.detach().await;
    assert_eq!(rig.gitlab.state(left), JobState::Running);
    assert_eq!(rig.gitlab.end(ended).1.as_deref(), Some("runner_interrupted"));
    stays.end("step_script", StageEnd::Exit(0));
    let process = rig.start_mortal(both());
    assert_eq!(rig.gitlab.finished(left).await, JobState::Success);
    process.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_holds_nobody_up() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().adoptable().on("step_script", Act::held().prints("one\n"));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.fault("patch_trace:*:delay=3600s");
    fake.prints("step_script", "two\n");
    sleep(Duration::from_secs(5)).await;
    let begun = Instant::now();
    process.detach().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    rig.gitlab.clear_faults();
    fake.end("step_script", StageEnd::Exit(0));
    let process = rig.start_mortal(builder(&rig, &token, &fake));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    process.drain().await;
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\none\ntwo\n"), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_over_gets_a_moment_to_be_told() {
    for down in [false, true] {
        let rig = Rig::in_process();
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().adoptable().on("cleanup_file_variables", Act::held());
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        fake.called("start cleanup_file_variables").await;
        rig.gitlab.set_down(down);
        fake.end("cleanup_file_variables", StageEnd::Exit(0));
        fake.called("cleanup JobEnded").await;
        let begun = Instant::now();
        process.detach().await;
        assert_eq!(begun.elapsed().as_secs(), if down { 10 } else { 0 });
        rig.gitlab.set_down(false);
        assert_eq!(rig.journaled().len(), usize::from(down));
        let process = rig.start_mortal(builder(&rig, &token, &fake));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
        process.drain().await;
        assert_eq!(fake.calls_of(&ENDINGS), ["cleanup JobEnded"]);
        rig.end().await;
    }
}
