//! `run`: jobs from a coordinator, signals.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::support::{GitLab, Surroundings};
use runner_coordinator::core::{FinalUpdate, JobId, JobState, NewJob, NewRunner};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde_json::json;

/// A configuration with one shell runner: with room for so many jobs, and with more lines for all and for the runner.
pub(crate) fn configure(
    surroundings: &Surroundings,
    gitlab: &GitLab,
    concurrent: u32,
    more: &str,
    more_of_runner: &str,
) {
    let token = gitlab.handle().create_runner(NewRunner::default()).token;
    surroundings.write(
        "config.toml",
        &format!(
            "concurrent = {concurrent}\ncheck_interval = 1\n{more}\n[[runners]]\nname = \"mine\"\nurl = \"{}\"\ntoken = \"{}\"\n\
             executor = \"shell\"\n{more_of_runner}\n",
            gitlab.url(),
            token.expose_secret()
        ),
    );
}

pub(crate) fn start(surroundings: &Surroundings) -> Child {
    surroundings
        .command()
        .arg("--config")
        .arg(surroundings.config())
        .args(["run", "--working-directory"])
        .arg(surroundings.path("work"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn job(script: &[&str]) -> NewJob {
    NewJob::new(json!({
        "job_info": { "name": "hello", "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": { "repo_url": "", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 600 },
        "features": { "failure_reasons": ["runner_interrupted", "runner_system_failure", "script_failure"] },
        "variables": [{ "key": "GIT_STRATEGY", "value": "none", "public": true }],
        "steps": [{ "name": "script", "script": script, "timeout": 600, "when": "on_success" }],
    }))
}

pub(crate) fn trace(gitlab: &GitLab, job: JobId) -> String {
    String::from_utf8_lossy(&gitlab.handle().read_trace(job, 0)).into_owned()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until a line of the log contains a text.
fn wait_for(child: &mut Child, text: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for line in BufReader::new(child.stderr.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        let found = line.contains(text);
        seen.push(line);
        if found {
            return seen;
        }
    }
    panic!("{text:?} was not said: {seen:#?}");
}

#[test]
fn a_job_runs_and_a_drain_ends_the_process() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    configure(&surroundings, &gitlab, 2, "listen_address = \":9252\"", "");
    let mut child = start(&surroundings);
    let said = wait_for(&mut child, "takes jobs");
    assert!(
        said.iter()
            .any(|line| line.contains("not supported: listen_address (") && line.contains("config.toml:3)")),
        "{said:?}"
    );
    let id = gitlab.handle().enqueue(job(&["echo hello from job $((40 + 2))"]));
    assert_eq!(gitlab.wait(id), Some(JobState::Success), "{}", trace(&gitlab, id));
    assert!(trace(&gitlab, id).contains("hello from job 42"), "{}", trace(&gitlab, id));
    signal(&child, Signal::QUIT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(surroundings.path("state/journal").is_dir());
}

#[test]
fn the_second_signal_interrupts() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    configure(&surroundings, &gitlab, 2, "shutdown_timeout = 3600", "");
    let mut child = start(&surroundings);
    let id = gitlab.handle().enqueue(job(&["echo $((40 + 2)) is ready", "sleep 1000"]));
    gitlab.wait_for_trace(id, "42 is ready");
    signal(&child, Signal::TERM);
    wait_for(&mut child, "those that run have 3600s");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(gitlab.handle().state(id), Some(JobState::Failed));
    assert_eq!(
        gitlab.handle().job(id, |record| record.failure_reason.clone()).flatten().as_deref(),
        Some("runner_interrupted")
    );
}

/// kill9-restart.
#[test]
fn a_job_outlives_a_killed_manager_and_the_next_start_resolves_it() {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    configure(&surroundings, &gitlab, 2, "", "");
    let (go, back) = (surroundings.path("go"), surroundings.path("back"));
    for pipe in [&go, &back] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let mut child = start(&surroundings);
    let after = format!(
        "read -r word < '{}'; echo \"word $word came\"; echo $$ > '{}'",
        go.display(),
        back.display()
    );
    let id = gitlab.handle().enqueue(job(&["echo $((40 + 2)) is ready", &after, "sleep 1000"]));
    gitlab.wait_for_trace(id, "42 is ready");
    signal(&child, Signal::KILL);
    child.wait().unwrap();

    // The job goes on without a manager: it reads, prints and answers.
    std::fs::write(&go, "after-the-kill\n").unwrap();
    let shell: i32 = std::fs::read_to_string(&back).unwrap().trim().parse().unwrap();
    assert_eq!(gitlab.handle().state(id), Some(JobState::Running));

    let mut child = start(&surroundings);
    assert_eq!(gitlab.wait(id), Some(JobState::Failed));
    let reason = gitlab.handle().job(id, |record| record.failure_reason.clone()).flatten();
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
    let trace = trace(&gitlab, id);
    assert_eq!(trace.matches("42 is ready").count(), 1, "{trace}");
    assert_eq!(trace.matches("word after-the-kill came").count(), 1, "{trace}");
    assert!(trace.contains("the runner was restarted while this job ran"), "{trace}");
    let complete =
        gitlab.handle().job(id, |record| record.final_update.as_ref().map(FinalUpdate::trace_is_complete));
    assert_eq!(complete.flatten(), Some(true));
    assert!(
        rustix::process::test_kill_process(Pid::from_raw(shell).unwrap()).is_err(),
        "the job's shell still runs"
    );

    signal(&child, Signal::QUIT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(surroundings.path("state/journal"))
        .unwrap()
        .map(|item| item.unwrap().file_name())
        .filter(|name| name != "lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn other_executors_are_refused_by_name() {
    let surroundings = Surroundings::new();
    surroundings.write(
        "config.toml",
        "concurrent = 1\n[[runners]]\nurl = \"https://h\"\ntoken = \"t\"\nexecutor = \"docker\"\n",
    );
    let answer = surroundings.runner(&["run"]).expect(2);
    assert!(
        answer.err.contains("not supported: executor docker (") && answer.err.contains("config.toml:5)"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("has no runner that this program can run"), "{}", answer.err);
    let answer =
        crate::support::Answer::of(surroundings.command().args(["run", "-c", "nowhere.toml"])).expect(2);
    assert!(answer.err.contains("there is no nowhere.toml"), "{}", answer.err);
}
