//! The disk of the state folder fills up, or the folder goes away.

use std::sync::Arc;
use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::executor::Provider;
use runner_core::journal::{FileJournal, Journal};
use runner_core::manager::Manager;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::support::{Act, Disk, Fake, FullJournal, Payload, PlainShell, Rig, Running};

fn start(rig: &Rig, provider: impl Provider + 'static, disk: &Disk) -> Running {
    let inner = FileJournal::open(rig.state()).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(FullJournal { inner, disk: disk.clone() });
    let token = rig.gitlab.create_runner();
    let manager = rig.build_on(Manager::builder().runner(rig.entry(&token, provider)), &journal);
    Running { handle: manager.handle(), task: tokio::spawn(manager.run()) }
}

#[tokio::test(start_paused = true)]
async fn no_job_is_asked_for_while_none_can_be_written_down() {
    let rig = Rig::in_process();
    let (disk, fake) = (Disk::default(), Fake::new());
    disk.fill();
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    let running = start(&rig, fake.clone(), &disk);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(disk.looks() > 1000, "{}", disk.looks());
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 0);
    assert_eq!(rig.gitlab.state(job), JobState::Pending);
    disk.clear();
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_job_is_given_back_and_no_other_is_asked_for() {
    let rig = Rig::in_process();
    let (disk, fake) = (Disk::default(), Fake::new());
    disk.fill_after_look();
    let given_back = rig.gitlab.enqueue(Payload::new(["true"]));
    let next = rig.gitlab.enqueue(Payload::new(["true"]));
    let running = start(&rig, fake.clone(), &disk);
    assert_eq!(rig.gitlab.finished(given_back).await, JobState::Failed);
    let trace = rig.gitlab.trace(given_back);
    assert!(
        trace.contains("system failure") && trace.contains("cannot write /state: no storage space"),
        "{trace}"
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 1);
    assert_eq!(rig.gitlab.state(next), JobState::Pending);
    disk.clear();
    assert_eq!(rig.gitlab.finished(next).await, JobState::Success);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(given_back).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_job_whose_output_was_not_taken_does_not_run_on() {
    let rig = Rig::in_process();
    let (disk, fake) = (Disk::default(), Fake::new().on("step_script", Act::held().prints("hello\n")));
    let running = start(&rig, fake.clone(), &disk);
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]).masked("SECRET", "hunter2"));
    rig.gitlab.shows(job, "hello").await;
    disk.fill();
    // The last thing that it prints for a long time.
    fake.prints("step_script", "the disk is full of hunter2\n");
    rig.gitlab.finished(job).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    // What it printed is there, masked, and the reason behind it.
    let end = "hello\nthe disk is full of [MASKED]\n\
               ERROR: Job failed (system failure): cannot keep the job's log: no storage space\n";
    assert!(trace.ends_with(end), "{trace}");
    fake.called("release").await;
    assert!(fake.calls().contains(&"cleanup JobEnded".to_owned()));
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    assert_eq!(running.handle.jobs(), []);

    disk.clear();
    let next = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.shows(next, "hello").await;
    fake.end("step_script", runner_core::executor::StageEnd::Exit(0));
    assert_eq!(rig.gitlab.finished(next).await, JobState::Success);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_written_down_is_told_although_gitlab_is_down_for_a_while() {
    let rig = Rig::in_process();
    let (disk, fake) = (Disk::default(), Fake::new().on("step_script", Act::held().prints("hello\n")));
    let running = start(&rig, fake.clone(), &disk);
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.shows(job, "hello").await;
    rig.gitlab.set_down(true);
    fake.prints("step_script", "kept on the disk\n");
    tokio::time::sleep(Duration::from_secs(30)).await;
    disk.fill();
    fake.prints("step_script", "kept in memory\n");
    fake.called("cleanup JobEnded").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.gitlab.set_down(false);
    rig.gitlab.finished(job).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("hello\nkept on the disk\nkept in memory\nERROR: Job failed"), "{trace}");
    running.drain().await;
    rig.end().await;
}

#[tokio::test]
async fn a_real_process_is_gone_when_its_log_cannot_be_kept() {
    let rig = Rig::over_http().await;
    let disk = Disk::default();
    let running = start(&rig, PlainShell::provider(rig.folder("work")), &disk);
    let go = rig.folder("go").join("go");
    let script = format!(
        "echo pid $$; echo ready; until test -e '{}'; do sleep 0.01; done; echo more; sleep 1000",
        go.display()
    );
    let job = rig.gitlab.enqueue(Payload::new([script.as_str()]).after_script(["echo after"]));
    rig.gitlab.shows(job, "\nready\n").await;
    let trace = rig.gitlab.trace(job);
    let pid = trace.lines().find_map(|line| line.strip_prefix("pid ")).unwrap().parse().unwrap();
    let process = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    disk.fill();
    std::fs::write(&go, "").unwrap();
    rig.gitlab.finished(job).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(
        trace.contains("\nmore\nERROR: Job failed (system failure): cannot keep the job's log"),
        "{trace}"
    );
    // Killed before the end is told: while this thread waits for its death, nobody could do it any more.
    let guard = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&guard)), Ok(1));

    disk.clear();
    let next = rig.gitlab.enqueue(Payload::new(["echo $((40 + 2))"]));
    assert_eq!(rig.gitlab.finished(next).await, JobState::Success);
    running.drain().await;
    rig.end().await;
}

#[tokio::test]
async fn a_state_folder_that_is_removed_costs_the_jobs_that_run_and_no_more() {
    let rig = Rig::over_http().await;
    let running = rig.start(PlainShell::provider(rig.folder("work")));
    let go = rig.folder("go").join("go");
    let script =
        format!("echo ready; until test -e '{}'; do sleep 0.01; done; echo more; sleep 1000", go.display());
    let job = rig.gitlab.enqueue(Payload::new([script.as_str()]));
    rig.gitlab.shows(job, "\nready").await;
    std::fs::remove_dir_all(rig.state()).unwrap();
    std::fs::write(&go, "").unwrap();
    rig.gitlab.finished(job).await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(
        trace.contains("\nmore\nERROR: Job failed (system failure): cannot keep the job's log: No such file"),
        "{trace}"
    );

    let next = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(next).await, JobState::Success);
    // It is this process's alone again.
    let other = FileJournal::open(rig.state()).unwrap_err();
    assert!(
        std::error::Error::source(&other).unwrap().to_string().contains("another runner process"),
        "{other:?}"
    );
    running.drain().await;
    rig.end().await;
}
