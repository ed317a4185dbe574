//! `run`: jobs from a coordinator, signals.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
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

/// A pair of pipes: a job reads from the first and answers by the second.
fn pipes(surroundings: &Surroundings) -> (PathBuf, PathBuf) {
    let pipes = (surroundings.path("go"), surroundings.path("back"));
    for pipe in [&pipes.0, &pipes.1] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    pipes
}

/// A job that says it is ready, answers to a word, and ends after another one.
fn waiting(go: &Path, back: &Path) -> NewJob {
    let (go, back) = (go.display(), back.display());
    let answer = format!("read -r word < '{go}'; echo \"word $word came\"; echo $$ > '{back}'");
    let mut payload = job(&["echo $((40 + 2)) is ready", &answer, &format!("read -r word < '{go}'")]).payload;
    let after = json!({ "name": "after_script", "script": ["echo after $CI_JOB_STATUS"], "timeout": 600, "when": "always" });
    payload["steps"].as_array_mut().unwrap().push(after);
    NewJob::new(payload)
}

/// The job went on where it was, and everything that it said is in its log once.
fn assert_whole(gitlab: &GitLab, id: JobId) {
    assert_eq!(gitlab.wait(id), Some(JobState::Success), "{}", trace(gitlab, id));
    let trace = trace(gitlab, id);
    for line in [
        "42 is ready",
        "word after-the-end came",
        "after success",
        "Job succeeded",
        "Running with",
        "Executing \"step_script\"",
    ] {
        assert_eq!(trace.matches(line).count(), 1, "{line}: {trace}");
    }
    let complete =
        gitlab.handle().job(id, |record| record.final_update.as_ref().map(FinalUpdate::trace_is_complete));
    assert_eq!(complete.flatten(), Some(true));
}

fn assert_nothing_left(surroundings: &Surroundings) {
    let left: Vec<_> = std::fs::read_dir(surroundings.path("state/journal"))
        .unwrap()
        .map(|item| item.unwrap().file_name())
        .filter(|name| name != "lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A process is ended in the middle of a job; the next one goes on with it.
fn job_goes_on_after(end: impl FnOnce(&mut Child)) {
    let (surroundings, gitlab) = (Surroundings::new(), GitLab::start());
    configure(&surroundings, &gitlab, 2, "shutdown_timeout = 3600", "");
    let (go, back) = pipes(&surroundings);
    let mut child = start(&surroundings);
    let id = gitlab.handle().enqueue(waiting(&go, &back));
    gitlab.wait_for_trace(id, "42 is ready");
    end(&mut child);

    // The job goes on without a manager: it reads, prints and answers.
    std::fs::write(&go, "after-the-end\n").unwrap();
    let shell: i32 = std::fs::read_to_string(&back).unwrap().trim().parse().unwrap();
    assert_eq!(gitlab.handle().state(id), Some(JobState::Running));

    let mut child = start(&surroundings);
    gitlab.wait_for_trace(id, "word after-the-end came");
    let pid = Pid::from_raw(shell).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_ok(), "the job's shell is not the one that it was");
    std::fs::write(&go, "go on\n").unwrap();
    assert_whole(&gitlab, id);
    signal(&child, Signal::QUIT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_nothing_left(&surroundings);
}

#[test]
fn the_second_signal_leaves_jobs_to_the_next_start() {
    job_goes_on_after(|child| {
        signal(child, Signal::TERM);
        wait_for(child, "those that run have 3600s");
        signal(child, Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

/// kill9-restart.
#[test]
fn a_job_outlives_a_killed_manager_and_the_next_one_goes_on_with_it() {
    job_goes_on_after(|child| {
        signal(child, Signal::KILL);
        child.wait().unwrap();
    });
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
