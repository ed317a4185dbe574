//! What a pipeline has to do with other pipelines: resource groups that they hold, artifacts that they left.

use runner_coordinator::core::{JobId, JobTicket};
use runner_coordinator::pipeline::{ForeignNeed, Span};
use runner_coordinator::run::{Action, ArchiveInfo, Finished, Host, PipelineRun, Status};
use serde_json::Value;

use crate::support::{TestHost, job, now, pipeline, settings, variable, with};

/// A host among other pipelines.
struct Others {
    host: TestHost,
    busy: bool,
    said: Vec<String>,
}

impl Others {
    fn new(busy: bool) -> Self {
        Self { host: TestHost::new(), busy, said: Vec::new() }
    }
}

impl Host for Others {
    fn ticket(&mut self) -> JobTicket {
        self.host.ticket()
    }

    fn object_ids(&self, _globs: &[String], _last_commits: bool) -> Vec<String> {
        Vec::new()
    }

    fn foreign_archive(&self, need: &ForeignNeed) -> Option<(JobId, ArchiveInfo)> {
        let known = need.project.as_deref() == Some("group/lib") && need.job == "build";
        known.then(|| (JobId(7), ArchiveInfo { filename: "a.zip".to_owned(), size: 12 }))
    }

    fn take_resource(&mut self, group: &str, job: &str) -> bool {
        self.said.push(format!("take {group} for {job}"));
        !self.busy
    }

    fn release_resource(&mut self, group: &str) {
        self.said.push(format!("release {group}"));
    }
}

#[test]
fn a_resource_group_that_others_hold_is_waited_for() {
    let grouped = |name: &str| with(job(name, "build"), |job| job.resource_group = Some("prod".to_owned()));
    let mut run = PipelineRun::new(pipeline(vec![grouped("a"), grouped("b")]), settings()).unwrap();
    let mut host = Others::new(true);
    assert!(run.advance(now(), &mut host).is_empty());
    assert_eq!(run.job("a").unwrap().status, Status::WaitingForResource);
    assert_eq!(run.outcome(), None);
    host.busy = false;
    host.said.clear();
    assert_eq!(run.advance(now(), &mut host).len(), 1);
    // The second one waits for the first, nobody else.
    assert_eq!(host.said, ["take prod for a"]);
    let first = run.job("a").unwrap().last_try().unwrap().id;
    run.started(first, now());
    run.finished(first, Finished::success(), now());
    host.said.clear();
    assert_eq!(run.advance(now(), &mut host).len(), 1);
    assert_eq!(host.said, ["release prod", "take prod for b"]);
    // A job that is canceled gives it back as well.
    run.cancel(now());
    host.said.clear();
    run.advance(now(), &mut host);
    assert_eq!(host.said, ["release prod"]);
    assert!(run.outcome().is_some());
}

#[test]
fn artifacts_of_other_pipelines() {
    let need = |project: Option<&str>, pipeline: Option<&str>, job: &str| ForeignNeed {
        project: project.map(str::to_owned),
        pipeline: pipeline.map(str::to_owned),
        git_ref: None,
        job: job.to_owned(),
        artifacts: true,
        span: Span::default(),
    };
    let user = with(job("use", "build"), |job| {
        job.variables = vec![variable("LIB", "group/lib"), variable("ID", "12")];
        job.foreign_needs = vec![
            need(Some("$LIB"), None, "build"),
            need(Some("group/lib"), None, "other"),
            need(None, Some("$ID"), "made"),
            ForeignNeed { artifacts: false, ..need(Some("group/lib"), None, "unwanted") },
        ];
    });
    let mut run = PipelineRun::new(pipeline(vec![user]), settings()).unwrap();
    let (mut payload, mut notes) = (Value::Null, Vec::new());
    for action in run.advance(now(), &mut Others::new(false)) {
        match action {
            Action::Enqueue { new_job, .. } => payload = new_job.payload,
            Action::Note(note) => notes.push(note),
            other => panic!("{other:?}"),
        }
    }
    let dependencies = payload["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), 1);
    assert_eq!(dependencies[0]["id"], 7);
    assert_eq!(dependencies[0]["name"], "build");
    assert_eq!(dependencies[0]["token"], payload["token"]);
    assert_eq!(dependencies[0]["artifacts_file"]["size"], 12);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].starts_with("use: needs:project group/lib, job other (")
            && notes[0].ends_with("--artifacts 'group/lib:other=DIR' supplies them"),
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("use: needs:pipeline 12, job made (")
            && notes[1].ends_with("--artifacts ':made=DIR' supplies them"),
        "{notes:?}"
    );
}
