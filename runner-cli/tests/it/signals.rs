//! Signals to `run`, with twenty jobs in real shells.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, FinalUpdate, JobId, JobState, NewJob, NewRunner, Options};
use rustix::process::Signal;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::process::{RunnerProcess, eventually, journaled};
use crate::support::{GitLab, Surroundings};

const JOBS: usize = 20;

/// A configuration with one shell runner that takes twenty jobs at once.
fn configure(surroundings: &Surroundings, gitlab: &GitLab, more: &str) {
    let token = gitlab.handle().create_runner(NewRunner::default()).token;
    surroundings.write(
        "config.toml",
        &format!(
            "check_interval = 1\nconcurrent = {JOBS}\n{more}\n[[runners]]\nname = \"mine\"\nurl = \"{}\"\n\
             token = \"{}\"\nexecutor = \"shell\"\nshell = \"sh\"\n",
            gitlab.url(),
            token.expose_secret()
        ),
    );
}

/// GitLab that holds no request, so that the runner never waits long.
fn gitlab() -> GitLab {
    GitLab::start_with(Options { long_poll: Duration::ZERO, ..Options::default() })
}

fn job(script: &str) -> NewJob {
    NewJob::new(json!({
        "job_info": { "name": "hello", "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": { "repo_url": "", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 3600 },
        "features": { "failure_reasons": ["runner_interrupted", "runner_system_failure", "script_failure"] },
        "variables": [
            { "key": "GIT_STRATEGY", "value": "none", "public": true },
            { "key": "FF_TIMESTAMPS", "value": "false", "public": true },
        ],
        "steps": [
            { "name": "script", "script": [script], "timeout": 3600, "when": "on_success" },
            { "name": "after_script", "script": ["echo \"after $CI_JOB_STATUS\""], "timeout": 300, "when": "always" },
        ],
    }))
}

fn trace(gitlab: &GitLab, job: JobId) -> String {
    String::from_utf8_lossy(&gitlab.handle().read_trace(job, 0)).into_owned()
}

/// What GitLab knows of a job's end. Its log has arrived as a whole.
#[track_caller]
fn end(gitlab: &GitLab, job: JobId) -> (JobState, Option<String>, Option<i64>) {
    let found = gitlab.handle().job(job, |record| {
        let update = record.final_update.as_ref();
        let whole = update.is_some_and(FinalUpdate::trace_is_complete);
        (whole, (record.state, record.failure_reason.clone(), update.and_then(|update| update.exit_code)))
    });
    let (whole, end) = found.unwrap();
    assert!(whole, "{}", trace(gitlab, job));
    end
}

/// A file for which scripts wait.
struct Gate<'a>(&'a Surroundings);

impl Gate<'_> {
    /// What a script does until the gate opens. `42 is ready` is printed before.
    fn wait(&self) -> String {
        let gate = self.0.path("gate");
        format!("echo \"$((40 + 2)) is ready\"; until test -e '{}'; do sleep 0.05; done", gate.display())
    }

    fn open(&self) {
        self.0.write("gate", "");
    }
}

/// Nothing is left of any job: no process, no entry, no folder.
#[track_caller]
fn assert_clean(runner: &RunnerProcess, surroundings: &Surroundings) {
    runner.assert_nothing_runs();
    assert_eq!(journaled(surroundings), [""; 0]);
    for runner in std::fs::read_dir(surroundings.path("state/shell")).unwrap() {
        let left: Vec<_> =
            std::fs::read_dir(runner.unwrap().path()).unwrap().map(|item| item.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn sigquit_waits_for_every_job() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    // Far less time than the jobs take: it does not count.
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let gate = Gate(&surroundings);
    let scripts = [
        "exit 0".to_owned(),
        "exit 3".to_owned(),
        // One that nobody can ask to end, and one that leaves something running.
        "trap '' TERM".to_owned(),
        "setsid sleep 1000 >/dev/null 2>&1 & exit 0".to_owned(),
    ];
    let ids: Vec<_> = (0..JOBS)
        .map(|number| gitlab.handle().enqueue(job(&format!("{}; {}", gate.wait(), scripts[number % 4]))))
        .collect();
    let mut runner = RunnerProcess::start(&surroundings);
    for id in &ids {
        gitlab.wait_for_trace(*id, "42 is ready");
    }
    runner.signal(Signal::QUIT);
    runner.said("takes no more jobs and waits for those that run");
    let late = gitlab.handle().enqueue(job("true"));
    // Once more changes nothing.
    runner.signal(Signal::QUIT);
    assert!(eventually(|| runner.times_said("takes no more jobs and waits for those that run") == 2));
    gate.open();
    assert_eq!(runner.wait(), Some(0));
    for (number, id) in ids.iter().enumerate() {
        let (expected, status) = match number % 4 {
            1 => ((JobState::Failed, Some("script_failure".to_owned()), Some(3)), "after failed"),
            _ => ((JobState::Success, None, None), "after success"),
        };
        assert_eq!(end(&gitlab, *id), expected, "{number}: {}", trace(&gitlab, *id));
        assert!(trace(&gitlab, *id).contains(status), "{number}: {}", trace(&gitlab, *id));
    }
    assert_eq!(gitlab.handle().state(late), Some(JobState::Pending));
    assert_clean(&runner, &surroundings);
}

#[test]
fn scenario_39_sigquit_gives_a_held_request_up() {
    // Held far longer than this test is ready to wait.
    let gitlab = GitLab::start_with(Options { long_poll: Duration::from_secs(3600), ..Options::default() });
    let surroundings = Surroundings::new();
    configure(&surroundings, &gitlab, "");
    let mut runner = RunnerProcess::start(&surroundings);
    let requests = || gitlab.handle().with(|gitlab, _| gitlab.requests().len());
    // One that tells the queue's position is held; the one before may have been the first.
    let is_held = || {
        gitlab.handle().with(|gitlab, _| {
            let last = gitlab.requests().last().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&last.body).unwrap();
            last.endpoint == Some(Endpoint::RequestJob) && body.get("last_update").is_some()
        })
    };
    assert!(eventually(|| requests() > 0 && is_held()));
    let asked = requests();
    runner.signal(Signal::QUIT);
    assert_eq!(runner.wait(), Some(0));
    assert_eq!(requests(), asked);
}

#[test]
fn sigquit_waits_until_gitlab_knows() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let gate = Gate(&surroundings);
    let ids: Vec<_> =
        (0..JOBS).map(|_| gitlab.handle().enqueue(job(&format!("{}; exit 3", gate.wait())))).collect();
    let mut runner = RunnerProcess::start(&surroundings);
    for id in &ids {
        gitlab.wait_for_trace(*id, "42 is ready");
    }
    gitlab.handle().set_down(true);
    runner.signal(Signal::QUIT);
    runner.said("takes no more jobs and waits for those that run");
    gate.open();
    // Everything has ended but telling.
    let is_over = |entry: String| {
        let progress = surroundings.path("state/journal").join(entry).join("progress.json");
        std::fs::read_to_string(progress).is_ok_and(|text| text.contains("\"verdict\":{"))
    };
    assert!(eventually(|| journaled(&surroundings).into_iter().all(is_over)));
    assert!(ids.iter().all(|id| gitlab.handle().state(*id) == Some(JobState::Running)));
    assert_eq!(journaled(&surroundings).len(), JOBS);
    gitlab.handle().set_down(false);
    assert_eq!(runner.wait(), Some(0));
    for id in &ids {
        assert_eq!(end(&gitlab, *id), (JobState::Failed, Some("script_failure".to_owned()), Some(3)));
        assert!(trace(&gitlab, *id).contains("after failed"), "{}", trace(&gitlab, *id));
    }
    assert_clean(&runner, &surroundings);
}
