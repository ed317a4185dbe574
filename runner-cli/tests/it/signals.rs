//! Signals to `run`, with twenty jobs in real shells.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, FinalUpdate, JobId, JobState, NewJob, NewRunner, Options};
use rustix::process::Signal;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::process::{RunnerProcess, eventually, journaled};
use crate::support::{GitLab, Surroundings};

const JOBS: usize = 20;

/// What scripts do before they wait, and after: end well, fail, refuse to be asked to end, leave something running.
const KINDS: [(&str, &str); 4] = [
    ("true", "exit 0"),
    ("true", "exit 3"),
    ("trap '' TERM", "exit 0"),
    ("setsid sleep 1000 >/dev/null 2>&1 &", "exit 0"),
];

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

/// Waits until all jobs have ended, whether GitLab knows or not.
#[track_caller]
fn wait_for_verdicts(surroundings: &Surroundings) {
    let is_over = |entry: String| {
        let progress = surroundings.path("state/journal").join(entry).join("progress.json");
        std::fs::read_to_string(progress).is_ok_and(|text| text.contains("\"verdict\":{"))
    };
    assert!(eventually(|| journaled(surroundings).into_iter().all(is_over)));
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

/// Starts the runner and waits until each of these jobs waits at the gate; ids in the order of their kinds.
fn start_jobs(
    surroundings: &Surroundings,
    gitlab: &GitLab,
    kinds: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> (RunnerProcess, Vec<JobId>) {
    let gate = Gate(surroundings);
    let enqueue =
        |(before, after)| gitlab.handle().enqueue(job(&format!("{before}\n{}; {after}", gate.wait())));
    let ids: Vec<_> = kinds.into_iter().map(enqueue).collect();
    let runner = RunnerProcess::start(surroundings);
    for id in &ids {
        gitlab.wait_for_trace(*id, "42 is ready");
    }
    (runner, ids)
}

/// Nothing happened to these jobs but that nobody attends to them.
#[track_caller]
fn assert_left(runner: &RunnerProcess, surroundings: &Surroundings, gitlab: &GitLab, ids: &[JobId]) {
    for id in ids {
        assert_eq!(gitlab.handle().state(*id), Some(JobState::Running), "{}", trace(gitlab, *id));
    }
    assert_eq!(journaled(surroundings).len(), ids.len());
    let supervisors =
        runner.processes().into_iter().filter(|(_, arguments)| arguments.contains(" supervise "));
    assert_eq!(supervisors.count(), ids.len());
}

/// Jobs of these kinds ended as they do when nothing comes in between, after_script included, and every line came once.
#[track_caller]
fn assert_ended(gitlab: &GitLab, ids: &[JobId]) {
    for (number, id) in ids.iter().enumerate() {
        let (expected, status) = match number % KINDS.len() {
            1 => ((JobState::Failed, Some("script_failure".to_owned()), Some(3)), "after failed"),
            _ => ((JobState::Success, None, None), "after success"),
        };
        let trace = trace(gitlab, *id);
        assert_eq!(end(gitlab, *id), expected, "{trace}");
        assert_eq!((trace.matches("42 is ready").count(), trace.matches(status).count()), (1, 1), "{trace}");
    }
}

/// The next start goes on with all of them.
#[track_caller]
fn assert_gone_on_with(surroundings: &Surroundings, gitlab: &GitLab, ids: &[JobId]) {
    let mut runner = RunnerProcess::start(surroundings);
    for id in ids {
        gitlab.wait(*id);
    }
    assert_ended(gitlab, ids);
    runner.signal(Signal::QUIT);
    assert_eq!(runner.wait(), Some(0));
    assert_clean(&runner, surroundings);
}

#[test]
fn sigquit_waits_for_every_job() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    // Far less time than the jobs take: it does not count.
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS.into_iter().cycle().take(JOBS));
    runner.signal(Signal::QUIT);
    runner.said("takes no more jobs and waits for those that run");
    let late = gitlab.handle().enqueue(job("true"));
    // Once more changes nothing.
    runner.signal(Signal::QUIT);
    assert!(eventually(|| runner.times_said("takes no more jobs and waits for those that run") == 2));
    Gate(&surroundings).open();
    assert_eq!(runner.wait(), Some(0));
    assert_ended(&gitlab, &ids);
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
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS);
    gitlab.handle().set_down(true);
    runner.signal(Signal::QUIT);
    runner.said("takes no more jobs and waits for those that run");
    Gate(&surroundings).open();
    wait_for_verdicts(&surroundings);
    assert!(ids.iter().all(|id| gitlab.handle().state(*id) == Some(JobState::Running)));
    assert_eq!(journaled(&surroundings).len(), ids.len());
    gitlab.handle().set_down(false);
    assert_eq!(runner.wait(), Some(0));
    assert_ended(&gitlab, &ids);
    assert_clean(&runner, &surroundings);
}

#[test]
fn sigterm_leaves_what_takes_longer_to_the_next_start() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS.into_iter().cycle().take(JOBS));
    runner.signal(Signal::TERM);
    assert_eq!(runner.wait(), Some(0));
    assert_eq!(runner.times_said("takes no more jobs; those that run have 1s"), 1);
    assert_left(&runner, &surroundings, &gitlab, &ids);
    Gate(&surroundings).open();
    assert_gone_on_with(&surroundings, &gitlab, &ids);
}

#[test]
fn sigterm_waits_for_what_ends_in_time() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 3600");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS);
    runner.signal(Signal::TERM);
    runner.said("those that run have 3600s");
    Gate(&surroundings).open();
    assert_eq!(runner.wait(), Some(0));
    assert_ended(&gitlab, &ids);
    assert_clean(&runner, &surroundings);
}

#[test]
fn a_second_signal_does_not_wait() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::INT], [Signal::INT, Signal::TERM]] {
        let (surroundings, gitlab) = (Surroundings::new(), gitlab());
        configure(&surroundings, &gitlab, "shutdown_timeout = 3600");
        let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS.into_iter().take(2));
        runner.signal(signals[0]);
        runner.said("those that run have 3600s");
        runner.signal(signals[1]);
        assert_eq!(runner.wait(), Some(0));
        assert_left(&runner, &surroundings, &gitlab, &ids);
        Gate(&surroundings).open();
        assert_gone_on_with(&surroundings, &gitlab, &ids);
    }
}

#[test]
fn scenario_95_sigterm_after_sigquit_does_not_wait_for_ever() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS.into_iter().take(2));
    runner.signal(Signal::QUIT);
    runner.said("takes no more jobs and waits for those that run");
    runner.signal(Signal::TERM);
    assert_eq!(runner.wait(), Some(0));
    assert_left(&runner, &surroundings, &gitlab, &ids);
    Gate(&surroundings).open();
    assert_gone_on_with(&surroundings, &gitlab, &ids);
}

#[test]
fn gitlab_need_not_be_there_for_any_of_it() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 1");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS);
    gitlab.handle().set_down(true);
    runner.signal(Signal::TERM);
    assert_eq!(runner.wait(), Some(0));
    assert_left(&runner, &surroundings, &gitlab, &ids);
    Gate(&surroundings).open();
    gitlab.handle().set_down(false);
    assert_gone_on_with(&surroundings, &gitlab, &ids);
}

#[test]
fn ends_that_gitlab_did_not_hear_are_told_by_the_next_start() {
    let (surroundings, gitlab) = (Surroundings::new(), gitlab());
    configure(&surroundings, &gitlab, "shutdown_timeout = 3600");
    let (mut runner, ids) = start_jobs(&surroundings, &gitlab, KINDS);
    gitlab.handle().set_down(true);
    Gate(&surroundings).open();
    wait_for_verdicts(&surroundings);
    // Everything has ended but telling; the third signal is one more than it takes.
    for said in ["those that run have 3600s", "leaves the jobs that run to the next start", "ends at once"] {
        runner.signal(Signal::TERM);
        runner.said(said);
    }
    assert!(runner.wait().is_some());
    runner.assert_nothing_runs();
    assert_eq!(journaled(&surroundings).len(), ids.len());
    gitlab.handle().set_down(false);
    assert_gone_on_with(&surroundings, &gitlab, &ids);
}
