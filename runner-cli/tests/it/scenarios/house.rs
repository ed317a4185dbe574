//! One test's house: the program with a shell runner, GitLab's side, and what a test wants to know of a job.

use std::path::PathBuf;
use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobId, JobState, NewJob, NewRunner, Options};
use rustix::process::Signal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::process::{RunnerProcess, journaled};
use crate::support::{GitLab, Surroundings};

/// How a job was reported: state, failure reason, exit code.
pub(super) type End = (String, Option<String>, Option<i64>);

/// A job that ended well.
pub(super) fn success() -> End {
    ("success".to_owned(), None, None)
}

/// A job that failed.
pub(super) fn failed(reason: &str, exit_code: Option<i64>) -> End {
    ("failed".to_owned(), Some(reason.to_owned()), exit_code)
}

/// GitLab, surroundings, and the program's configuration. The program runs from [`start`](Self::start) on.
pub(super) struct House {
    pub(super) gitlab: GitLab,
    pub(super) surroundings: Surroundings,
    /// The short form of the runner's token.
    pub(super) short_token: String,
    runner: Option<RunnerProcess>,
    /// Those that have ended. Dropping one ends everything that was started in these surroundings, jobs that go on included.
    ended: Vec<RunnerProcess>,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// A house whose runner has these lines in its entry, beside what every entry needs.
    pub(super) fn with(entry: &str) -> Self {
        let surroundings = Surroundings::new();
        let gitlab = GitLab::start_with(Options {
            record_requests: true,
            held_requests_get_jobs: true,
            watched_interval: Duration::ZERO,
            ..Options::default()
        });
        let token = gitlab.handle().create_runner(NewRunner::default()).token;
        let token = token.expose_secret();
        surroundings.write(
            "config.toml",
            &format!(
                "concurrent = 4\ncheck_interval = 1\nshutdown_timeout = 1\n[[runners]]\nname = \"mine\"\nurl = \"{}\"\n\
                 token = \"{token}\"\nexecutor = \"shell\"\n{entry}\n",
                gitlab.url(),
            ),
        );
        std::fs::create_dir(surroundings.path("work")).unwrap();
        let short_token = runner_api::RunnerToken::new(token).short().to_owned();
        Self { gitlab, surroundings, short_token, runner: None, ended: Vec::new() }
    }

    /// Starts the program, or the one after it.
    pub(super) fn start(&mut self) {
        self.ended.extend(self.runner.take());
        self.runner = Some(RunnerProcess::start(&self.surroundings));
    }

    /// Hands a job out, to whoever asks first.
    pub(super) fn enqueue(&self, payload: Value) -> JobId {
        self.gitlab.handle().enqueue(NewJob::new(payload))
    }

    /// Runs one job to its end, and the program to its own.
    pub(super) fn run(&mut self, payload: Value) -> JobId {
        let job = self.enqueue(payload);
        self.start();
        self.wait(job);
        self.drain();
        job
    }

    /// Waits for the end of a job.
    pub(super) fn wait(&self, job: JobId) -> JobState {
        self.gitlab.wait(job).unwrap()
    }

    /// The running program.
    pub(super) fn runner(&mut self) -> &mut RunnerProcess {
        self.runner.as_mut().unwrap()
    }

    /// Takes no more jobs and ends. Nothing is left, and nothing odd was sent.
    pub(super) fn drain(&mut self) {
        self.runner().signal(Signal::QUIT);
        assert_eq!(self.runner().wait(), Some(0));
        self.runner().assert_nothing_runs();
        assert_eq!(journaled(&self.surroundings), Vec::<String>::new());
        self.gitlab.handle().with(|gitlab, _| assert_eq!(gitlab.oddities(), []));
    }

    /// The trace without colours; a section's marker has a line of its own.
    pub(super) fn trace(&self, job: JobId) -> String {
        let trace = self.gitlab.handle().read_trace(job, 0);
        let text = String::from_utf8_lossy(&trace).replace("\r\u{1b}[0K", "\n").replace("\u{1b}[0K", "");
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
    }

    /// How the job was reported. Its log had arrived as a whole.
    pub(super) fn end(&self, job: JobId) -> End {
        let update = self.gitlab.handle().job(job, |job| job.final_update.clone()).flatten();
        let update = update.unwrap_or_else(|| panic!("job {job} was not reported: {}", self.trace(job)));
        assert!(update.trace_is_complete(), "{update:?}");
        (update.state, update.failure_reason, update.exit_code)
    }

    /// Names of the stages in the log, in order.
    pub(super) fn sections(&self, job: JobId) -> Vec<String> {
        let trace = self.trace(job);
        let starts = trace.lines().filter_map(|line| line.split("section_start:").nth(1));
        starts.map(|marker| marker.split_once(':').unwrap().1.to_owned()).collect()
    }

    /// Path and query of the requests of an endpoint, with the job token each had.
    pub(super) fn requests(&self, endpoint: Endpoint) -> Vec<(String, String)> {
        self.gitlab.handle().with(|gitlab, _| {
            let requests = gitlab.requests().iter().filter(|request| request.endpoint == Some(endpoint));
            requests
                .map(|request| {
                    let token = request.headers.get("job-token").map(|token| token.to_str().unwrap());
                    (request.uri.to_string(), token.unwrap_or_default().to_owned())
                })
                .collect()
        })
    }

    pub(super) fn fault(&self, rule: &str) {
        self.gitlab.handle().add_fault(rule.parse().unwrap());
    }

    /// The folder of project `group/project`.
    pub(super) fn project(&self) -> PathBuf {
        self.surroundings.path("work/builds").join(&self.short_token).join("0/group/project")
    }
}

/// A job with this script, without git and without time stamps; `changes` are merged into its payload.
pub(super) fn job(script: &[&str], changes: Value) -> Value {
    let mut payload = json!({
        "job_info": { "name": "test", "stage": "test", "project_id": 1, "project_name": "project" },
        "git_info": { "repo_url": "http://gitlab.test/group/project.git", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 600 },
        "features": { "trace_sections": true },
        "variables": [],
        "steps": [{ "name": "script", "script": script }],
    });
    merge(&mut payload, changes);
    let variables = payload["variables"].as_array_mut().unwrap();
    // In front: what a test says wins.
    variables.splice(0..0, [variable("GIT_STRATEGY", "none"), variable("FF_TIMESTAMPS", "false")]);
    payload
}

/// Steps of a job: script and after_script.
pub(super) fn steps(script: &[&str], after_script: &[&str]) -> Value {
    json!([{ "name": "script", "script": script }, { "name": "after_script", "script": after_script }])
}

pub(super) fn variable(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value, "public": true })
}

/// Each part comes behind the one before it.
#[track_caller]
pub(super) fn assert_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing or misplaced in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[track_caller]
pub(super) fn assert_none(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "`{part}` in:\n{text}");
    }
}

fn merge(target: &mut Value, changes: Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, changes) => *target = changes,
    }
}
