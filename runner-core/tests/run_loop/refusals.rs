//! Jobs that cannot be run at all are failed, not forgotten.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use runner_coordinator::core::JobState;
use runner_core::executor::JobKey;
use runner_core::journal::{Assignment, Entry, FileJournal, Journal, JournalError, Progress};
use runner_core::log::LogStorage;
use runner_core::manager::Manager;
use serde_json::json;

use crate::support::{Act, Fake, Payload, Rig, Running};

/// A journal with faults.
#[derive(Debug)]
struct Faulty {
    inner: FileJournal,
    begin: bool,
    log: bool,
}

impl Journal for Faulty {
    fn begin(&self, assignment: &Assignment) -> Result<(), JournalError> {
        if self.begin {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(JournalError { action: "write", path: "/state".into(), source });
        }
        self.inner.begin(assignment)
    }

    fn save(&self, key: &JobKey, progress: &Progress) -> Result<(), JournalError> {
        self.inner.save(key, progress)
    }

    fn remove(&self, key: &JobKey) -> Result<(), JournalError> {
        self.inner.remove(key)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries()
    }

    fn log(&self, key: &JobKey) -> BoxFuture<'static, std::io::Result<LogStorage>> {
        let folder = self.inner.log_folder(key);
        // A folder that cannot be: its parent is a file.
        Box::pin(LogStorage::files(if self.log { folder.join("../assignment.json/log") } else { folder }))
    }
}

fn start(rig: &Rig, fake: &Fake, begin: bool, log: bool) -> Running {
    let inner = FileJournal::open(rig.state()).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(Faulty { inner, begin, log });
    let token = rig.gitlab.create_runner();
    let manager = rig.build_on(Manager::builder().runner(rig.entry(&token, fake.clone())), &journal);
    Running { handle: manager.handle(), task: tokio::spawn(manager.run()) }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_written_down_is_failed() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let running = start(&rig, &fake, true, false);
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    assert!(rig.gitlab.trace(job).contains("cannot write /state"), "{}", rig.gitlab.trace(job));
    assert_eq!(fake.calls_of(&["environment"]), [""; 0]);
    assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_log_cannot_be_kept_is_failed() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    // The server is in trouble, too.
    rig.gitlab.fault("update_job:1-2:reset");
    let running = start(&rig, &fake, false, true);
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    assert!(rig.gitlab.trace(job).contains("cannot keep the job's log"), "{}", rig.gitlab.trace(job));
    assert_eq!(fake.calls_of(&["environment"]), [""; 0]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_log_breaks_is_failed_and_cleaned_up() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held().chatters(std::time::Duration::from_millis(500)));
    let running = rig.start(fake.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
    rig.gitlab.shows(job, "and on").await;
    let key = running.handle.jobs()[0].key.clone();
    let entry = rig.state().join(key.to_string());
    std::fs::rename(entry.join("log"), entry.join("elsewhere")).unwrap();
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    assert!(fake.calls().contains(&"cleanup JobEnded".to_owned()));
    assert!(!fake.calls().contains(&"start after_script".to_owned()));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_payload_is_failed_with_the_reason_in_its_log() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    let token = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().token.clone());
    let token = secrecy::ExposeSecret::expose_secret(&token);
    let body = format!("{{\"id\":{job}\\,\"token\":\"{token}\"\\,\"steps\":[{{\"na");
    rig.gitlab.fault(&format!("request_job:1:body={body}"));
    let running = rig.start(fake.clone());
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    let reason = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().failure_reason.clone());
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("cannot be used: it is not JSON"), "{trace}");
    assert!(!trace.contains(token));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_37_options_that_would_be_ignored_refuse_the_job() {
    for pointer in ["image", "services"] {
        let rig = Rig::in_process();
        let fake = Fake::new();
        let image = json!({ "name": "alpine", "executor_opts": { "docker": { "cpus": 2, "user": "a" } } });
        let value = if pointer == "image" { image } else { json!([image]) };
        let job = rig.gitlab.enqueue(Payload::new(["true"]).field(pointer, value));
        let running = rig.start(fake.clone());
        rig.gitlab.finished(job).await;
        running.drain().await;
        assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), Some(3)));
        let trace = rig.gitlab.trace(job);
        assert!(trace.contains("not supported: ") && trace.contains("docker.cpus"), "{trace}");
        assert_eq!(fake.calls_of(&["environment"]), [""; 0]);
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_with_a_script_that_cannot_be_read_is_failed() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let steps = json!([{ "name": "script", "script": ["echo one", { "echo": "two" }] }]);
    let job = rig.gitlab.enqueue(Payload::new(["true"]).field("steps", steps));
    let running = rig.start(fake.clone());
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_system_failure".into()), None));
    let trace = rig.gitlab.trace(job);
    assert!(trace.contains("the job's script cannot be read: $.steps[0].script[1]"), "{trace}");
    assert_eq!(fake.calls_of(&["environment", "start"]), [""; 0]);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_of_native_steps_is_a_configuration_error() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    let payload = Payload::new(["true"]).reasons(["runner_configuration_error"]);
    let job = rig.gitlab.enqueue(payload.field("run", json!("[]")));
    let running = rig.start(fake.clone());
    rig.gitlab.finished(job).await;
    running.drain().await;
    assert_eq!(rig.gitlab.end(job), ("failed".into(), Some("runner_configuration_error".into()), None));
    assert!(fake.calls().contains(&"cleanup JobEnded".to_owned()));
    rig.end().await;
}
