//! Accepting jobs and delivering their ends, under virtual time.

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::executor::StageEnd;
use runner_core::manager::Manager;

use crate::support::{Act, Fake, Payload, Rig};

#[tokio::test(start_paused = true)]
async fn the_end_is_told_again_until_it_is_heard() {
    for trouble in [
        "update_job:2-9:500",
        "update_job:2-9:reset",
        "update_job:2-4:reset=after",
        "patch_trace:1-12:503",
        "patch_trace:1-5:reset",
        "patch_trace:1-5:reset=after",
        "patch_trace:2:forget=100",
        "update_job:2:412",
        "update_job:2:202",
    ] {
        let rig = Rig::in_process();
        rig.gitlab.fault(trouble);
        let running = rig.start(Fake::new().on("step_script", Act::exit(3).prints("words\n")));
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(
            rig.gitlab.end(job),
            ("failed".into(), Some("script_failure".into()), Some(3)),
            "{trouble}"
        );
        assert!(rig.gitlab.trace(job).ends_with("ERROR: Job failed: exit code 3\n"), "{trouble}");
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_given_up_is_told_by_the_next_start() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held().prints("words\n"));
    let mut entry = rig.entry(&token, fake.clone());
    entry.job.final_update_tries = 3;
    let running = rig.start_with(Manager::builder().runner(entry));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.set_down(true);
    fake.end("step_script", StageEnd::Exit(3));
    fake.called("release").await;
    running.drain().await;
    assert_eq!(rig.gitlab.state(job), JobState::Running);
    assert_eq!(rig.journaled().len(), 1);
    // What is written down holds the job's token, but never the runner's.
    let mut folders = vec![rig.state()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if item.file_type().unwrap().is_dir() {
                folders.push(item.path());
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(item.path()).unwrap()).into_owned();
                assert!(!text.contains(&token), "{}", item.path().display());
            }
        }
    }
    assert_eq!(fake.calls_of(&["cleanup"]), ["cleanup JobEnded"]);

    rig.gitlab.set_down(false);
    let again = Fake::new();
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, again.clone())));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(3)));
    assert!(rig.gitlab.trace(job).contains("\nwords\n"));
    assert_eq!(rig.gitlab.trace(job).matches("Job failed").count(), 1);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_gone_at_its_acceptance_is_dropped() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    rig.gitlab.fault("request_job:1:delay=1s");
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.until("the job is handed out", |gitlab| gitlab.job(job)?.assigned_at).await;
    rig.gitlab.cancel(job, true);
    fake.called("release").await;
    running.drain().await;
    assert_eq!(rig.gitlab.state(job), JobState::Canceled);
    assert_eq!(rig.gitlab.requests(Endpoint::UpdateJob), 1);
    assert_eq!(rig.gitlab.requests(Endpoint::PatchTrace), 0);
    assert_eq!(fake.calls_of(&["environment", "prepare"]), [""; 0]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_canceled_at_its_acceptance_is_not_run() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    rig.gitlab.fault("update_job:1:200,header=Job-Status=canceling");
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).reasons(["job_canceled"]));
    // The fault hides the acknowledgement from GitLab, which is why it goes on waiting for it.
    rig.gitlab
        .until("the answer", |gitlab| (gitlab.request_count(Endpoint::UpdateJob) > 1).then_some(()))
        .await;
    rig.gitlab.with(|gitlab, now| gitlab.cancel(job, true, now));
    running.drain().await;
    assert_eq!(fake.calls_of(&["environment", "prepare"]), [""; 0]);
    let update = rig.gitlab.last_body(Endpoint::UpdateJob);
    assert_eq!(
        (update["state"].as_str(), update["failure_reason"].as_str()),
        (Some("failed"), Some("job_canceled"))
    );
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_repeated() {
    for trouble in ["update_job:1:reset", "update_job:1:reset=after", "update_job:1-2:502"] {
        let rig = Rig::in_process();
        rig.gitlab.fault(trouble);
        let running = rig.start(Fake::new());
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success, "{trouble}");
        running.drain().await;
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_server_failed_meanwhile_is_over() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.with(|gitlab, now| gitlab.fail(job, "stuck_or_timeout_failure", now));
    fake.called("release").await;
    running.drain().await;
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}
