//! What an observer hears.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner_core::executor::StageEnd;
use runner_core::journal::CancelState;
use runner_core::manager::Manager;
use runner_core::observe::{Event, Happening, Observer, Report, StageResult};

use crate::support::{Act, Fake, Payload, Rig, Running};

/// Keeps what it hears, in short words.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn observe(&self, event: &Event) {
        let words = match &event.happening {
            Happening::Accepted { name, slots, .. } => format!("accepted {name} {}", slots.runner),
            Happening::Prepared(_) => "prepared".to_owned(),
            Happening::StageStarted(stage) => format!("start {stage}"),
            Happening::StageEnded { stage, result } => format!("end {stage} {result:?}"),
            Happening::ScriptEnded(verdict) => format!("script {verdict:?}"),
            Happening::Ended(verdict) => format!("ended {verdict:?}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(words);
    }
}

impl Notes {
    fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn start(rig: &Rig, fake: &Fake, observer: Arc<dyn Observer>) -> Running {
    let token = rig.gitlab.create_runner();
    rig.start_with(Manager::builder().runner(rig.entry(&token, fake.clone())).observer(observer))
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_a_job_from_its_acceptance_to_its_report() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::exit(3));
    let notes = Arc::new(Notes::default());
    let running = start(&rig, &fake, notes.clone());
    let job = rig.gitlab.enqueue(Payload::new(["false"]).after_script(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;
    let failed = "Verdict { failure: Some(ScriptFailure), exit_code: Some(3) }";
    let mut expected = vec!["accepted test 0".to_owned(), "Acknowledged".into(), "prepared".into()];
    for (stage, code) in [
        ("prepare_script", 0),
        ("get_sources", 0),
        ("step_script", 3),
        ("after_script", 0),
        ("cleanup_file_variables", 0),
    ] {
        expected.push(format!("start {stage}"));
        expected.push(format!("end {stage} {:?}", StageResult::Ended(StageEnd::Exit(code))));
        if stage == "step_script" {
            expected.push(format!("script {failed}"));
        }
    }
    expected.push(format!("ended {failed}"));
    expected.push(format!("{:?}", Happening::Reported(Report::Delivered)));
    assert_eq!(notes.heard(), expected);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_wishes_and_of_what_they_end() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let notes = Arc::new(Notes::default());
    let running = start(&rig, &fake, notes.clone());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    rig.gitlab.cancel(job, false);
    rig.gitlab.finished(job).await;
    running.drain().await;
    let heard = notes.heard();
    let at = |words: &str| {
        heard.iter().position(|heard| heard == words).unwrap_or_else(|| panic!("{words}: {heard:?}"))
    };
    let wish = at(&format!("{:?}", Happening::EndRequested(CancelState::Graceful)));
    let end = at(&format!("end step_script {:?}", StageResult::Stopped(CancelState::Graceful)));
    assert!(at("start step_script") < wish && wish < end, "{heard:?}");
    rig.end().await;
}

/// An observer with a defect.
#[derive(Debug)]
struct Broken;

impl Observer for Broken {
    fn observe(&self, event: &Event) {
        panic!("cannot bear {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_harms_nobody() {
    let rig = Rig::in_process();
    let running = start(&rig, &Fake::new(), Arc::new(Broken));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    tokio::time::timeout(Duration::from_secs(60), rig.gitlab.finished(job)).await.unwrap();
    assert_eq!(rig.gitlab.end(job), ("success".into(), None, None));
    running.drain().await;
    rig.end().await;
}
