//! What other runners do badly, with the real program, a shell and processes: each test is a scenario by its name.
//!
//! The death of the manager (`kill9-restart`) is in `run.rs`; faults of GitLab and of the network are in `runner-core`.

use std::path::Path;
use std::process::Child;

use runner_coordinator::core::{FinalUpdate, JobId, JobState, NewJob};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};

use crate::run::{configure, signal, start, trace};
use crate::support::{GitLab, Surroundings};

/// A program at work with room for one job: whoever keeps the slot keeps the next job waiting.
struct Site {
    surroundings: Surroundings,
    gitlab: GitLab,
    child: Child,
}

impl Site {
    fn start() -> Self {
        let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
        // What GitLab tells comes with its answers: every second, as nobody says how often.
        gitlab.handle().with(|gitlab, _| gitlab.options_mut().watched_interval = std::time::Duration::ZERO);
        configure(&surroundings, &gitlab, 1, "", "stop_grace = \"1s\"");
        let child = start(&surroundings);
        Self { surroundings, gitlab, child }
    }

    fn enqueue(&self, payload: Value) -> JobId {
        self.gitlab.handle().enqueue(NewJob::new(payload))
    }

    /// The process whose number a script has written to a file.
    fn process(&self, file: &str) -> Pid {
        let text = std::fs::read_to_string(self.surroundings.path(file)).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }

    /// The slot is free: another job runs. Then the program is told to finish.
    fn end(mut self) {
        let next = self.enqueue(payload(&["echo next"]));
        assert_eq!(self.gitlab.wait(next), Some(JobState::Success));
        signal(&self.child, Signal::QUIT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.gitlab.handle().with(|gitlab, _| assert_eq!(gitlab.oddities(), []));
    }
}

fn payload(script: &[&str]) -> Value {
    json!({
        "job_info": { "name": "test", "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": { "repo_url": "", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 600 },
        "features": {},
        "variables": [
            { "key": "GIT_STRATEGY", "value": "none", "public": true },
            { "key": "FF_TIMESTAMPS", "value": "false", "public": true },
        ],
        "steps": [{ "name": "script", "script": script, "timeout": 600, "when": "on_success" }],
    })
}

fn is_gone(process: Pid) -> bool {
    test_kill_process(process).is_err()
}

/// Makes a pipe on which two processes wait for each other.
fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// mask-overlap: a value is printed behind the beginning of itself, cut anywhere by writes.
#[test]
fn weak_point_mask_overlap() {
    let site = Site::start();
    let bytewise = "rest=aa$SECRET; while [ -n \"$rest\" ]; do tail=${rest#?}; env printf %s \"${rest%\"$tail\"}\"; \
                    rest=$tail; done; echo";
    let two = "env printf aa; env printf '%s\\n' \"${SECRET#a}\"";
    let mut job = payload(&[bytewise, two]);
    job["variables"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "key": "SECRET", "value": "aab-secret-value", "masked": true }));
    let job = site.enqueue(job);
    assert_eq!(site.gitlab.wait(job), Some(JobState::Success));
    let trace = trace(&site.gitlab, job);
    assert!(!trace.contains("secret-value"), "{trace}");
    assert!(trace.contains("\naa[MASKED]\n") && trace.contains("\na[MASKED]\n"), "{trace}");
    site.end();
}

/// odd-payload: fields of the payload have an unexpected type. No job is lost without a word.
#[test]
fn weak_point_odd_payload() {
    let site = Site::start();
    let mut job = payload(&["echo $((40 + 2)) is ready"]);
    job["job_info"]["project_id"] = json!([7]);
    job["artifacts"] = json!("all");
    job["services"] = json!(3);
    let job = site.enqueue(job);
    assert_eq!(site.gitlab.wait(job), Some(JobState::Success));
    let text = trace(&site.gitlab, job);
    assert!(text.contains("42 is ready"), "{text}");
    for field in ["$.job_info.project_id", "$.artifacts", "$.services"] {
        assert!(text.contains(field), "{field} is not named in {text}");
    }

    // Without its script nothing can be run, and GitLab is told so.
    let mut job = payload(&[]);
    job["steps"][0]["script"] = json!({ "run": "it" });
    let job = site.enqueue(job);
    assert_eq!(site.gitlab.wait(job), Some(JobState::Failed));
    let reason = site.gitlab.handle().job(job, |record| record.failure_reason.clone()).flatten();
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    let text = trace(&site.gitlab, job);
    assert!(text.contains("$.steps[0].script"), "{text}");
    site.end();
}

/// background: a process that was left behind holds the job's output.
#[test]
fn weak_point_background() {
    let site = Site::start();
    let script = format!(
        "(sleep 600; echo late) & echo $! > '{}'; echo begun",
        site.surroundings.path("pid").display()
    );
    let job = site.enqueue(payload(&[&script]));
    assert_eq!(site.gitlab.wait(job), Some(JobState::Success));
    let text = trace(&site.gitlab, job);
    assert!(text.contains("\nbegun\n"), "{text}");
    assert!(is_gone(site.process("pid")));
    site.end();
}

/// stubborn-cancel: a script ignores SIGTERM.
#[test]
fn weak_point_stubborn_cancel() {
    let site = Site::start();
    let script = format!(
        "trap '' TERM; echo $$ > '{}'; echo $((40 + 2)) is ready; while :; do echo tick; sleep 0.1; done",
        site.surroundings.path("pid").display()
    );
    let job = site.enqueue(payload(&[&script]));
    site.gitlab.wait_for_trace(job, "42 is ready");
    assert_eq!(site.gitlab.handle().cancel(job, false), Some(JobState::Canceling));
    assert_eq!(site.gitlab.wait(job), Some(JobState::Canceled));
    assert!(is_gone(site.process("pid")));
    complete(&site, job);
    site.end();
}

/// escaped-cancel: a child has made itself a session and ignores SIGTERM, while its script waits for it.
#[test]
fn weak_point_escaped_cancel() {
    let site = Site::start();
    let (pid, ready) = (site.surroundings.path("pid"), site.surroundings.path("ready"));
    pipe(&ready);
    let child = format!(
        "trap \"\" TERM; echo $$ > \"{}\"; echo > \"{}\"; while :; do echo tick; sleep 0.1; done",
        pid.display(),
        ready.display()
    );
    let escape = format!(
        "setsid sh -c '{child}' & read -r _ < '{}'; echo $((40 + 2)) is ready; wait",
        ready.display()
    );
    let job = site.enqueue(payload(&[&escape]));
    site.gitlab.wait_for_trace(job, "42 is ready");
    assert_eq!(site.gitlab.handle().cancel(job, false), Some(JobState::Canceling));
    assert_eq!(site.gitlab.wait(job), Some(JobState::Canceled));
    assert!(is_gone(site.process("pid")));
    complete(&site, job);
    site.end();
}

/// What was printed until the end is at the server.
#[track_caller]
fn complete(site: &Site, job: JobId) {
    let complete = site
        .gitlab
        .handle()
        .job(job, |record| record.final_update.as_ref().map(FinalUpdate::trace_is_complete));
    assert_eq!(complete.flatten(), Some(true));
}
