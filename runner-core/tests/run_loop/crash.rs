//! What a new manager makes of what a dead one left.

use std::sync::Arc;

use runner_coordinator::core::{Endpoint, JobId, JobState};
use runner_core::journal::{Assignment, CancelState, Entry, FileJournal, Journal, Progress};
use runner_core::manager::{Manager, ManagerBuilder, ManagerHandle};

use crate::support::{Act, Fake, Payload, PlainShell, Rig};

/// A manager in a runtime of its own, as if it were a process.
struct Process {
    runtime: tokio::runtime::Runtime,
    handle: ManagerHandle,
}

impl Process {
    fn start(rig: &Rig, builder: ManagerBuilder) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let manager = rig.build(builder);
        let handle = manager.handle();
        runtime.spawn(manager.run());
        Self { runtime, handle }
    }

    /// Ends it without a word, and waits until nothing of it is left.
    async fn dies(self) {
        let Self { runtime, handle } = self;
        drop(handle);
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    }
}

/// The job has printed `here` and goes on.
async fn running(rig: &Rig, process: &Process, payload: Payload) -> JobId {
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.shows(job, "\nhere\n").await;
    assert_eq!(process.handle.jobs().len(), 1);
    job
}

fn shell(rig: &Rig, token: &str) -> ManagerBuilder {
    Manager::builder().runner(rig.entry(token, PlainShell::provider(rig.folder("jobs"))))
}

#[tokio::test]
async fn a_job_whose_place_died_with_the_manager_is_reported_once() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let process = Process::start(&rig, shell(&rig, &token));
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); done; echo here; sleep 1000";
    let job = running(&rig, &process, Payload::new([script]).after_script(["true"])).await;
    process.dies().await;
    assert_eq!(rig.gitlab.state(job), JobState::Running);
    assert_eq!(rig.journaled().len(), 1);

    let next = rig.start_with(shell(&rig, &token));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    // Another job shows that the manager polls then.
    let other = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(other).await, JobState::Success);
    next.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    for number in 0..200 {
        assert_eq!(trace.matches(&format!("\nline {number}\n")).count(), 1, "{trace}");
    }
    assert!(trace.ends_with("jobs of its kind are not continued after a restart\n"), "{trace}");
    assert_eq!(trace.matches("Job failed").count(), 1);
    assert_eq!(finals(&rig, job), 1);
    rig.end().await;
}

/// How many final updates were sent for a job.
fn finals(rig: &Rig, job: JobId) -> usize {
    rig.gitlab.with(|gitlab, _| {
        let requests = gitlab.requests().iter().filter(|request| {
            request.endpoint == Some(Endpoint::UpdateJob) && request.uri.path().ends_with(&format!("/{job}"))
        });
        requests.filter(|request| !String::from_utf8_lossy(&request.body).contains("\"running\"")).count()
    })
}

#[tokio::test]
async fn a_second_death_while_the_first_is_resolved_changes_nothing() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let process = Process::start(&rig, shell(&rig, &token));
    let job = running(&rig, &process, Payload::new(["echo here; sleep 1000"])).await;
    process.dies().await;

    // The second life gets as far as telling the end, and no answer: it is heard before when it says that the job is its own.
    rig.gitlab.fault("update_job:3-:500,delay=200ms");
    let asked = rig.gitlab.requests(Endpoint::UpdateJob);
    let process = Process::start(&rig, shell(&rig, &token));
    rig.gitlab
        .until("the end was told", |gitlab| {
            let told = |request: &&runner_coordinator::core::RequestRecord| {
                String::from_utf8_lossy(&request.body).contains("\"failed\"")
            };
            gitlab.requests().iter().find(told).map(drop)
        })
        .await;
    assert!(rig.gitlab.requests(Endpoint::UpdateJob) > asked);
    process.dies().await;
    rig.gitlab.clear_faults();

    let next = rig.start_with(shell(&rig, &token));
    rig.gitlab.finished(job).await;
    next.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert_eq!(trace.matches("Job failed").count(), 1, "{trace}");
    assert_eq!(trace.matches("\nhere\n").count(), 1, "{trace}");
    rig.end().await;
}

#[tokio::test]
async fn an_end_that_is_written_down_is_the_end_that_is_told() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    rig.gitlab.fault("update_job:2-:500");
    let process = Process::start(&rig, shell(&rig, &token));
    let job = rig.gitlab.enqueue(Payload::new(["echo here", "exit 9"]));
    rig.gitlab.shows(job, "Job failed: exit code 9").await;
    process.dies().await;
    let entries = rig.journaled();
    let [Entry::Job(_, progress)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(progress.verdict.as_ref().unwrap().exit_code, Some(9));
    rig.gitlab.clear_faults();

    let next = rig.start_with(shell(&rig, &token));
    rig.gitlab.finished(job).await;
    next.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(9)));
    assert_eq!(rig.gitlab.trace(job).matches("Job failed").count(), 1);
    rig.end().await;
}

#[tokio::test]
async fn a_success_that_is_written_down_is_told() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    rig.gitlab.fault("update_job:2-:500");
    let process = Process::start(&rig, shell(&rig, &token));
    let job = rig.gitlab.enqueue(Payload::new(["echo here"]));
    rig.gitlab.shows(job, "Job succeeded").await;
    process.dies().await;
    rig.gitlab.clear_faults();
    let next = rig.start_with(shell(&rig, &token));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    next.drain().await;
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    rig.end().await;
}

#[tokio::test]
async fn a_job_of_an_older_program_is_asked_to_end_and_its_tail_is_kept() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held().prints("one\n").prints("two\n")).adoptable();
    let job = left_behind(&rig, &token, &fake, Payload::new(["true"]).after_script(["true"])).await;
    fake.prints("step_script", "three\n");
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(rig.state()).unwrap());
    let mut entries = journal.entries().unwrap();
    let Some(Entry::Job(assignment, progress)) = entries.pop() else { panic!("no entry") };
    journal.begin(&Assignment { version: 1, terms: None, ..*assignment.clone() }).unwrap();
    let old = Progress {
        version: 1,
        handle: progress.handle.clone(),
        place: progress.place.clone(),
        deadline: progress.deadline,
        stage: progress.stage.clone(),
        ..Progress::default()
    };
    journal.save(&assignment.key, &old).unwrap();
    drop(journal);

    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, fake.clone())).concurrent(2));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("\none\ntwo\nthree\n"), "{trace}");
    let calls = fake.calls_of(&["acquire", "adopt", "terminate", "cleanup"]);
    let second = calls.iter().position(|call| call == "adopt").unwrap();
    // Room for it is reserved again; nothing new is taken before nothing is left of it.
    let expected = ["acquire", "adopt", "terminate step_script", "cleanup Abandoned", "acquire"];
    assert_eq!(calls[second - 1..second + 4], expected);
    rig.end().await;
}

/// Runs a job until its script has printed; then the manager dies.
async fn left_behind(rig: &Rig, token: &str, fake: &Fake, payload: Payload) -> JobId {
    let process = Process::start(rig, Manager::builder().runner(rig.entry(token, fake.clone())));
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.shows(job, "one\n").await;
    process.dies().await;
    job
}

#[tokio::test]
async fn a_job_that_was_asked_to_end_is_reported_so() {
    for (wish, reason) in [
        (CancelState::Graceful, "job_canceled"),
        (CancelState::Abort, "job_canceled"),
        (CancelState::Interrupted, "runner_interrupted"),
    ] {
        let rig = Rig::over_http().await;
        let token = rig.gitlab.create_runner();
        let fake = Fake::new().on("step_script", Act::held().prints("one\n").ignores_terminate());
        let payload = Payload::new(["true"]).reasons(["job_canceled", "runner_interrupted"]);
        let job = left_behind(&rig, &token, &fake, payload).await;
        edit(&rig, |progress| progress.cancel = Some(wish));
        let running = rig.start_with(Manager::builder().runner(rig.entry(&token, Fake::new())));
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(rig.gitlab.end(job).1.as_deref(), Some(reason));
        rig.end().await;
    }
}

#[tokio::test]
async fn a_script_that_had_failed_is_reported_as_such() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("after_script", Act::held()).on("step_script", Act::exit(7).prints("one\n"));
    let process = Process::start(&rig, Manager::builder().runner(rig.entry(&token, fake.clone())));
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    fake.called("start after_script").await;
    process.dies().await;
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, Fake::new())));
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("script_failure".into()), Some(7)));
    rig.end().await;
}

#[tokio::test]
async fn a_job_that_was_never_accepted_is_accepted_and_run() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    rig.gitlab.fault("update_job:1-5:reset");
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    let process = Process::start(&rig, Manager::builder().runner(rig.entry(&token, Fake::new())));
    rig.gitlab
        .until("an acknowledgement", |gitlab| (gitlab.request_count(Endpoint::UpdateJob) > 0).then_some(()))
        .await;
    process.dies().await;
    assert_eq!(rig.gitlab.state(job), JobState::Pending);
    rig.gitlab.clear_faults();
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, Fake::new())));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    // GitLab takes no end of a job that nobody has accepted: it was told once, and in the right order.
    assert_eq!(finals(&rig, job), 1);
    rig.end().await;
}

#[tokio::test]
async fn a_job_that_gitlab_has_ended_is_forgotten() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held().prints("one\n")).adoptable();
    let job = left_behind(&rig, &token, &fake, Payload::new(["true"])).await;
    rig.gitlab.with(|gitlab, now| gitlab.fail(job, "stuck_or_timeout_failure", now));
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, fake.clone())));
    fake.called("cleanup JobEnded").await;
    running.drain().await;
    rig.end().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_continued_does_not_keep_a_job_running() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held().prints("one\n")).adoptable();
    let job = left_behind(&rig, &token, &fake, Payload::new(["true"])).await;
    let folder =
        std::fs::read_dir(rig.state()).unwrap().map(|item| item.unwrap().path()).find(|path| path.is_dir());
    std::fs::write(folder.unwrap().join("log/log.checkpoint"), "{").unwrap();
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, fake.clone())));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    assert!(fake.calls().contains(&"cleanup Abandoned".to_owned()));
    rig.end().await;
}

#[tokio::test]
async fn entries_of_others_are_left_alone() {
    let rig = Rig::over_http().await;
    let tokens = [rig.gitlab.create_runner(), rig.gitlab.create_runner()];
    let fake = Fake::new().on("step_script", Act::held().prints("one\n"));
    let job = left_behind(&rig, &tokens[0], &fake, Payload::new(["true"])).await;
    // One of a later version, one that is damaged, and a folder that is none of ours.
    let future = rig.state().join("runner-abc-job-1000");
    std::fs::create_dir(&future).unwrap();
    std::fs::write(future.join("assignment.json"), r#"{ "version": 99, "anything": {} }"#).unwrap();
    let damaged = rig.state().join("runner-abc-job-1001");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("assignment.json"), r#"{ "version": 1, "key": "#).unwrap();
    std::fs::create_dir(rig.state().join("lost+found")).unwrap();

    let updates = rig.gitlab.requests(Endpoint::UpdateJob);
    let running = rig.start_with(Manager::builder().runner(rig.entry(&tokens[1], Fake::new())));
    let other = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(other).await, JobState::Success);
    running.drain().await;
    assert_eq!(rig.gitlab.state(job), JobState::Running);
    assert_eq!(rig.gitlab.requests(Endpoint::UpdateJob), updates + 2, "only those of the new job");
    assert_eq!(rig.journaled().len(), 3);
    assert!(future.join("assignment.json").exists() && damaged.join("assignment.json").exists());
    assert!(rig.state().join("lost+found").exists());
}

#[tokio::test]
async fn a_job_whose_end_cannot_be_told_keeps_nobody_from_polling() {
    let rig = Rig::over_http().await;
    let token = rig.gitlab.create_runner();
    let fake = Fake::new().on("step_script", Act::held().prints("one\n"));
    let left = left_behind(&rig, &token, &fake, Payload::new(["true"])).await;
    rig.gitlab.fault("update_job:*:500");
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, Fake::new())).concurrent(5));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.until("the runner asks", |gitlab| gitlab.job(job)?.assigned_at).await;
    assert_eq!(rig.gitlab.state(left), JobState::Running);
    let listed: Vec<u64> = running.handle.jobs().iter().map(|job| job.key.job).collect();
    assert!(listed.contains(&left.0), "{listed:?}");
    rig.gitlab.clear_faults();
    rig.gitlab.finished(left).await;
    rig.gitlab.finished(job).await;
    running.drain().await;
    rig.end().await;
}

#[tokio::test]
async fn a_journal_can_be_read_beside_a_running_manager_only_by_itself() {
    let rig = Rig::over_http().await;
    let running = rig.start(Fake::new());
    let error = FileJournal::open(rig.state()).unwrap_err();
    assert!(error.to_string().starts_with("cannot lock "), "{error}");
    running.drain().await;
    rig.end().await;
}

/// Changes what is written down about the only job.
fn edit(rig: &Rig, change: impl FnOnce(&mut Progress)) {
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(rig.state()).unwrap());
    let mut entries = journal.entries().unwrap();
    let Some(Entry::Job(assignment, mut progress)) = entries.pop() else { panic!("no entry") };
    change(&mut progress);
    journal.save(&assignment.key, &progress).unwrap();
}
