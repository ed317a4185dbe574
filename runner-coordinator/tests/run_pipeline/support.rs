//! Jobs, facts and a host for the tests of `run`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use runner_coordinator::core::{Coordinator, JobId, JobTicket, Options};
use runner_coordinator::pipeline::{AllowFailure, Job, Need, Pipeline, Variable, When, Work};
use runner_coordinator::run::{
    Action, Facts, Finished, GitRef, Host, Outcome, PipelineRun, Remote, Settings, Status, User,
};
use serde_json::Value;

pub(crate) fn now() -> SystemTime {
    // 2026-01-02T03:04:05Z
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045)
}

pub(crate) fn facts() -> Facts {
    Facts {
        remote: Remote::parse("https://git.example.org/group/project.git"),
        directory: "project".to_owned(),
        git_ref: GitRef::Branch("main".to_owned()),
        sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        before_sha: "0".repeat(40),
        message: "Add a thing\n\nIt was missing.\n".to_owned(),
        author: "Ada <ada@example.org>".to_owned(),
        timestamp: "2026-01-01T00:00:00+01:00".to_owned(),
        default_branch: "main".to_owned(),
        config_path: ".gitlab-ci.yml".to_owned(),
        protected: true,
        source: "push".to_owned(),
        pipeline_id: 7,
        pipeline_iid: 3,
        created_at: now(),
        server_url: "http://localhost:4000".to_owned(),
        repository_url: "http://localhost:4000/group/project.git".to_owned(),
        object_format: "sha1".to_owned(),
        registry: None,
        user: User {
            id: 1000,
            login: "ada".to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
        },
    }
}

pub(crate) fn settings() -> Settings {
    Settings::new(facts())
}

/// A job with a script and nothing else.
pub(crate) fn job(name: &str, stage: &str) -> Job {
    let script = vec!["true".to_owned()];
    Job::new(name, stage, Work::Script { before_script: Vec::new(), script, after_script: Vec::new() })
}

pub(crate) fn with(mut job: Job, change: impl FnOnce(&mut Job)) -> Job {
    change(&mut job);
    job
}

pub(crate) fn when(job: Job, when: When) -> Job {
    with(job, |job| job.when = when)
}

pub(crate) fn needs(job: Job, names: &[&str]) -> Job {
    with(job, |job| job.needs = Some(names.iter().map(|name| need(name)).collect()))
}

pub(crate) fn need(name: &str) -> Need {
    Need { job: name.to_owned(), artifacts: true, optional: false }
}

pub(crate) fn allowed(job: Job) -> Job {
    with(job, |job| job.allow_failure = AllowFailure::Yes)
}

pub(crate) fn variable(key: &str, value: &str) -> Variable {
    Variable { key: key.to_owned(), value: value.to_owned(), raw: false }
}

pub(crate) fn pipeline(jobs: Vec<Job>) -> Pipeline {
    let stages = [".pre", "build", "test", "deploy", ".post"].map(str::to_owned).to_vec();
    Pipeline { name: None, stages, jobs, cancel_on_failure: false, notes: Vec::new() }
}

/// Tickets from a coordinator, object ids from a table.
pub(crate) struct TestHost {
    pub(crate) coordinator: Coordinator,
    pub(crate) objects: BTreeMap<String, String>,
}

impl TestHost {
    pub(crate) fn new() -> Self {
        Self { coordinator: Coordinator::new(Options::default()), objects: BTreeMap::new() }
    }
}

impl Host for TestHost {
    fn ticket(&mut self) -> JobTicket {
        self.coordinator.reserve_job()
    }

    fn object_ids(&self, globs: &[String], _last_commits: bool) -> Vec<String> {
        globs.iter().filter_map(|glob| self.objects.get(glob).cloned()).collect()
    }

    /// Not signed: tests want to read it.
    fn id_token(&self, claims: &Value) -> Option<String> {
        Some(claims.to_string())
    }
}

/// A run with a clock and everything it asked for so far.
pub(crate) struct Driver {
    pub(crate) run: PipelineRun,
    pub(crate) host: TestHost,
    pub(crate) now: SystemTime,
    pub(crate) enqueued: BTreeMap<JobId, Value>,
    pub(crate) canceled: Vec<JobId>,
    pub(crate) notes: Vec<String>,
    pub(crate) wake: Option<SystemTime>,
    pub(crate) children: Vec<Action>,
}

impl Driver {
    pub(crate) fn new(jobs: Vec<Job>) -> Self {
        Self::with_settings(jobs, settings())
    }

    pub(crate) fn with_settings(jobs: Vec<Job>, settings: Settings) -> Self {
        Self::of(pipeline(jobs), settings)
    }

    pub(crate) fn of(pipeline: Pipeline, settings: Settings) -> Self {
        let mut driver = Self {
            run: PipelineRun::new(pipeline, settings).unwrap(),
            host: TestHost::new(),
            now: now(),
            enqueued: BTreeMap::new(),
            canceled: Vec::new(),
            notes: Vec::new(),
            wake: None,
            children: Vec::new(),
        };
        driver.advance();
        driver
    }

    pub(crate) fn advance(&mut self) {
        for action in self.run.advance(self.now, &mut self.host) {
            match action {
                Action::Enqueue { job, new_job, .. } => {
                    assert_eq!(new_job.ticket.as_ref().unwrap().id, job);
                    self.enqueued.insert(job, new_job.payload);
                }
                Action::Cancel { job } => self.canceled.push(job),
                Action::WakeAt(at) => self.wake = Some(at),
                Action::Note(note) => self.notes.push(note),
                child @ Action::StartChild { .. } => self.children.push(child),
            }
        }
        assert!(self.run.advance(self.now, &mut self.host).is_empty(), "advance is idempotent");
    }

    pub(crate) fn id(&self, name: &str) -> JobId {
        self.run.job(name).unwrap().last_try().unwrap_or_else(|| panic!("{name} has no try")).id
    }

    pub(crate) fn payload(&self, name: &str) -> &Value {
        &self.enqueued[&self.id(name)]
    }

    pub(crate) fn finish(&mut self, name: &str, finished: Finished) {
        let id = self.id(name);
        self.run.started(id, self.now);
        assert!(self.run.finished(id, finished, self.now), "{name} is not running");
        self.advance();
    }

    pub(crate) fn succeed(&mut self, name: &str) {
        self.finish(name, Finished::success());
    }

    pub(crate) fn fail(&mut self, name: &str) {
        self.finish(name, Finished::script_failed(1));
    }

    pub(crate) fn play(&mut self, name: &str) {
        self.run.play(name).unwrap();
        self.advance();
    }

    pub(crate) fn status(&self, name: &str) -> Status {
        self.run.job(name).unwrap().status
    }

    /// `a:pending b:created`, in the order of the jobs.
    pub(crate) fn statuses(&self) -> String {
        let each = self.run.jobs().map(|job| format!("{}:{}", job.job.name, job.status));
        each.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.run.outcome()
    }
}

/// The last value of a variable in a payload.
pub(crate) fn value<'a>(payload: &'a Value, key: &str) -> Option<&'a str> {
    entry(payload, key)?["value"].as_str()
}

/// The last entry of a variable in a payload.
pub(crate) fn entry<'a>(payload: &'a Value, key: &str) -> Option<&'a Value> {
    payload["variables"].as_array()?.iter().rev().find(|entry| entry["key"] == key)
}
