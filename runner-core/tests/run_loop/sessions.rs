//! Sessions: made before the request, told of the job that it brought.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner_api::SessionInfo;
use runner_coordinator::core::{Endpoint, JobState};
use runner_core::executor::{Cause, Environment, EnvironmentError, JobKey, StageEnd};
use runner_core::journal::{CancelState, FileJournal, Journal};
use runner_core::manager::Manager;
use runner_core::session::{Session, Sessions};
use runner_core::settings::RunnerIdentity;
use secrecy::ExposeSecret;

use crate::support::{Act, Disk, Fake, FullJournal, Payload, Rig, Running};

/// Makes numbered sessions and writes down what they are told.
#[derive(Debug, Clone, Default)]
struct Recorder {
    told: Arc<Mutex<Vec<String>>>,
    panics_at: Option<&'static str>,
}

#[derive(Debug)]
struct Recorded {
    number: usize,
    recorder: Recorder,
}

impl Recorder {
    fn note(&self, what: &'static str, number: usize) {
        self.told.lock().unwrap().push(format!("{what} {number}"));
        assert_ne!(self.panics_at, Some(what));
    }

    fn told(&self, what: &str) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter_map(|call| call.strip_prefix(what)?.strip_prefix(' ')).map(str::to_owned).collect()
    }
}

impl Sessions for Recorder {
    fn open(&self, runner: &RunnerIdentity) -> Option<Box<dyn Session>> {
        assert_eq!(runner.name, "under test");
        let number = self.told("open").len();
        self.note("open", number);
        Some(Box::new(Recorded { number, recorder: self.clone() }))
    }
}

impl Session for Recorded {
    fn info(&self) -> SessionInfo {
        SessionInfo::new(
            format!("https://runner.test/session/{}", self.number),
            "PEM",
            format!("key {}", self.number),
        )
    }

    fn begin(&self, _: &JobKey) {
        self.recorder.note("begin", self.number);
    }

    fn attach(&self, environment: &Arc<dyn Environment>) {
        assert_eq!(environment.handle().executor(), "fake");
        self.recorder.note("attach", self.number);
    }

    fn end(&self) {
        self.recorder.note("end", self.number);
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.recorder.told.lock().unwrap().push(format!("drop {}", self.number));
    }
}

fn start(rig: &Rig, fake: &Fake, recorder: &Recorder, disk: &Disk) -> Running {
    let inner = FileJournal::open(rig.state()).unwrap();
    let journal: Arc<dyn Journal> = Arc::new(FullJournal { inner, disk: disk.clone() });
    let entry = rig.entry(&rig.gitlab.create_runner(), fake.clone());
    let builder = Manager::builder().runner(entry).sessions(Arc::new(recorder.clone()));
    let manager = rig.build_on(builder, &journal);
    Running { handle: manager.handle(), task: tokio::spawn(manager.run()) }
}

#[tokio::test(start_paused = true)]
async fn the_job_has_the_session_of_its_request() {
    let rig = Rig::in_process();
    let (fake, recorder) =
        (Fake::new().offers_sessions().on("step_script", Act::held()), Recorder::default());
    let running = start(&rig, &fake, &recorder, &Disk::default());
    // Some requests bring no job.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let in_vain = recorder.told("open");
    assert!(in_vain.len() > 2, "{in_vain:?}");
    assert_eq!(recorder.told("drop"), in_vain);
    assert_eq!(recorder.told("begin"), [""; 0]);

    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    let number = recorder.told("begin").concat();
    assert_eq!(recorder.told("attach"), [number.as_str()]);
    let session = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().session.clone()).unwrap();
    assert_eq!(session.url, format!("https://runner.test/session/{number}"));
    assert_eq!(session.certificate, "PEM");
    assert_eq!(session.authorization.expose_secret(), format!("key {number}"));
    assert_eq!(recorder.told("end"), [""; 0]);

    fake.end("step_script", StageEnd::Exit(0));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    assert_eq!(recorder.told("end"), [number]);
    assert_eq!(recorder.told("drop").len(), recorder.told("open").len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn however_a_job_ends_its_session_ends_once() {
    let prepare = EnvironmentError::new(Cause::Configuration, "no such place");
    for (what, fake, attached) in [
        ("succeeds", Fake::new(), true),
        ("fails", Fake::new().on("step_script", Act::exit(1)), true),
        ("is canceled", Fake::new().on("step_script", Act::held()), true),
        ("is aborted", Fake::new().on("step_script", Act::held().ignores_kill()), true),
        ("panics", Fake::new().panics_at("start step_script"), true),
        ("has no place", Fake::new().prepare_fails(prepare), false),
        ("has no environment", Fake::new().panics_at("environment"), false),
        ("is gone", Fake::new(), false),
    ] {
        let rig = Rig::in_process();
        let (fake, recorder) = (fake.offers_sessions(), Recorder::default());
        if what == "is gone" {
            rig.gitlab.fault("update_job:1:403");
        }
        let running = start(&rig, &fake, &recorder, &Disk::default());
        let job = rig.gitlab.enqueue(Payload::new(["true"]).after_script(["true"]));
        match what {
            "is canceled" => {
                fake.called("start step_script").await;
                rig.gitlab.cancel(job, false);
            }
            "is aborted" => {
                fake.called("start step_script").await;
                let key = running.handle.jobs()[0].key.clone();
                running.handle.cancel(&key, CancelState::Abort);
            }
            _ => {}
        }
        fake.called("release").await;
        let begun = rig.gitlab.until("a job", |gitlab| gitlab.job(job)?.session.clone()).await;
        running.drain().await;
        let number = begun.url.rsplit('/').next().unwrap().to_owned();
        assert_eq!(recorder.told("begin"), [number.as_str()], "{what}");
        assert_eq!(recorder.told("attach"), vec![number.as_str(); attached.into()], "{what}");
        assert_eq!(recorder.told("end"), [number.as_str()], "{what}");
        assert_eq!(recorder.told("drop").len(), recorder.told("open").len(), "{what}");
        if what == "is gone" {
            rig.gitlab.with(|gitlab, now| gitlab.cancel(job, true, now));
        }
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_written_down_begins_no_session() {
    let rig = Rig::in_process();
    let (disk, recorder) = (Disk::default(), Recorder::default());
    disk.fill_after_look();
    let running = start(&rig, &Fake::new().offers_sessions(), &recorder, &disk);
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Failed);
    running.drain().await;
    assert_eq!(recorder.told("begin"), [""; 0]);
    assert_eq!(recorder.told("end"), [""; 0]);
    assert_eq!(recorder.told("drop"), recorder.told("open"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_executors_promise_there_is_no_session() {
    let rig = Rig::in_process();
    let recorder = Recorder::default();
    let running = start(&rig, &Fake::new(), &recorder, &Disk::default());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    assert_eq!(recorder.told("open"), [""; 0]);
    let request = rig.gitlab.last_body(Endpoint::RequestJob);
    assert!(request.get("session").is_none(), "{request}");
    assert_eq!(request["info"]["features"]["session"], false);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_harms_no_job() {
    for what in ["open", "begin", "attach", "end"] {
        let rig = Rig::in_process();
        let (fake, recorder) =
            (Fake::new().offers_sessions(), Recorder { panics_at: Some(what), ..Recorder::default() });
        let running = start(&rig, &fake, &recorder, &Disk::default());
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success, "{what}");
        running.drain().await;
        assert!(!recorder.told(what).is_empty());
        assert_eq!(recorder.told("begin").len(), recorder.told("end").len(), "{what}");
        assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len(), "{what}");
        rig.end().await;
    }
}
