//! `run` on a disk without room: a limit on the size of files is such a disk for one process and its children.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, FinalUpdate, JobId, JobState, NewJob, NewRunner, Options};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::process::{RunnerProcess, journaled};
use crate::support::{Answer, GitLab, Surroundings};

const MIB: u64 = 1 << 20;

/// GitLab that holds no request, and a configuration with one shell runner.
fn set_up(more: &str) -> (Surroundings, GitLab) {
    let gitlab = GitLab::start_with(Options { long_poll: Duration::ZERO, ..Options::default() });
    let surroundings = Surroundings::new();
    let token = gitlab.handle().create_runner(NewRunner::default()).token;
    surroundings.write(
        "config.toml",
        &format!(
            "check_interval = 1\nconcurrent = 2\n[[runners]]\nname = \"mine\"\nurl = \"{}\"\ntoken = \"{}\"\n\
             executor = \"shell\"\n{more}\n",
            gitlab.url(),
            token.expose_secret()
        ),
    );
    (surroundings, gitlab)
}

fn job(script: &str, timestamps: &str) -> NewJob {
    NewJob::new(json!({
        "job_info": { "name": "hello", "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": { "repo_url": "", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 3600 },
        "features": { "failure_reasons": ["runner_system_failure", "script_failure"] },
        "variables": [
            { "key": "GIT_STRATEGY", "value": "none", "public": true },
            { "key": "FF_TIMESTAMPS", "value": timestamps, "public": true },
        ],
        "steps": [
            { "name": "script", "script": [script], "timeout": 3600, "when": "on_success" },
            { "name": "after_script", "script": ["echo after"], "timeout": 300, "when": "always" },
        ],
    }))
}

fn trace(gitlab: &GitLab, job: JobId) -> String {
    String::from_utf8_lossy(&gitlab.handle().read_trace(job, 0)).into_owned()
}

#[track_caller]
fn assert_system_failure(gitlab: &GitLab, job: JobId, cause: &str) {
    assert_eq!(gitlab.wait(job), Some(JobState::Failed));
    let trace = trace(gitlab, job);
    let end = trace.get(trace.len().saturating_sub(2000)..).unwrap_or(&trace);
    assert!(end.contains("ERROR: Job failed (system failure)") && end.contains(cause), "{end}");
    let (reason, complete) = gitlab
        .handle()
        .job(job, |record| {
            let update = record.final_update.as_ref();
            (record.failure_reason.clone(), update.is_some_and(FinalUpdate::trace_is_complete))
        })
        .unwrap();
    assert_eq!((reason.as_deref(), complete), (Some("runner_system_failure"), true));
}

/// The next job succeeds, and nothing is left of all of them.
#[track_caller]
fn assert_goes_on(mut runner: RunnerProcess, surroundings: &Surroundings, gitlab: &GitLab) {
    let next = gitlab.handle().enqueue(job("true", "false"));
    assert_eq!(gitlab.wait(next), Some(JobState::Success), "{}", trace(gitlab, next));
    runner.signal(rustix::process::Signal::QUIT);
    assert_eq!(runner.wait(), Some(0));
    runner.assert_nothing_runs();
    assert_eq!(journaled(surroundings), [""; 0]);
}

#[test]
fn a_state_folder_that_cannot_be_used_is_told_before_anything_is_asked_for() {
    let (surroundings, gitlab) = set_up("");
    surroundings.write("taken", "a file");
    let answer = surroundings.runner(&["run", "--state-dir", "taken"]).expect(2);
    assert!(
        answer.err.contains("error: cannot use the state folder") && answer.err.contains("taken;"),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("--state-dir"), "{}", answer.err);
    assert!(answer.err.contains("caused by: cannot make the folder"), "{}", answer.err);

    let mut full = surroundings.command_named("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]).arg(crate::support::program());
    let answer = Answer::of(full.arg("--config").arg(surroundings.config()).arg("run")).expect(2);
    assert!(answer.err.contains("cannot write") && answer.err.contains("File too large"), "{}", answer.err);
    assert_eq!(gitlab.handle().with(|gitlab, _| gitlab.request_count(Endpoint::RequestJob)), 0);
}

#[test]
fn without_room_no_job_is_asked_for_and_that_is_said_once() {
    let (surroundings, gitlab) = set_up("");
    let runner = RunnerProcess::start(&surroundings);
    let asked = || gitlab.handle().with(|gitlab, _| gitlab.request_count(Endpoint::RequestJob));
    let first = gitlab.handle().enqueue(job("true", "false"));
    assert_eq!(gitlab.wait(first), Some(JobState::Success));
    runner.limit_files(Some(64 * 1024));
    runner.said("jobs cannot be written down; none are asked for until that works again");
    let before = asked();
    let job = gitlab.handle().enqueue(job("true", "false"));
    runner.limit_files(None);
    runner.said("jobs can be written down again");
    assert_eq!(gitlab.wait(job), Some(JobState::Success));
    assert!(asked() > before);
    assert_eq!(runner.times_said("jobs cannot be written down"), 1);
    assert_goes_on(runner, &surroundings, &gitlab);
}

#[test]
fn a_log_that_outgrows_the_disk_ends_its_job_with_the_cause() {
    let (surroundings, gitlab) = set_up("");
    let runner = RunnerProcess::start(&surroundings);
    runner.said("takes jobs");
    runner.limit_files(Some(MIB));
    // Time stamps make the log longer than the output, so it is the log that does not fit.
    let job = gitlab.handle().enqueue(job("while :; do echo 0123456789; done", "true"));
    assert_system_failure(&gitlab, job, "cannot keep the job's log: File too large");
    assert!(trace(&gitlab, job).len() as u64 > MIB);
    assert_goes_on(runner, &surroundings, &gitlab);
}

#[test]
fn output_that_outgrows_the_disk_ends_its_job_with_the_cause() {
    let (surroundings, gitlab) = set_up("output_limit = 16");
    let runner = RunnerProcess::start(&surroundings);
    runner.said("takes jobs");
    runner.limit_files(Some(MIB));
    // The log has a limit of its own, so it is the output beside the job that does not fit.
    let job = gitlab.handle().enqueue(job("while :; do echo 0123456789; done", "false"));
    assert_system_failure(&gitlab, job, "cannot write the stage's output: File too large");
    assert_goes_on(runner, &surroundings, &gitlab);
}

#[test]
fn a_removed_state_folder_ends_the_jobs_that_run_and_no_others() {
    let (surroundings, gitlab) = set_up("");
    let runner = RunnerProcess::start(&surroundings);
    let job = gitlab.handle().enqueue(job("while :; do echo 0123456789; sleep 0.1; done", "false"));
    gitlab.wait_for_trace(job, "0123456789");
    // Out of reach at once: the runner makes the folder again as soon as it misses it.
    std::fs::rename(surroundings.path("state"), surroundings.path("gone")).unwrap();
    std::fs::remove_dir_all(surroundings.path("gone")).unwrap();
    assert_eq!(gitlab.wait(job), Some(JobState::Failed));
    let reason = gitlab.handle().job(job, |record| record.failure_reason.clone()).unwrap();
    assert_eq!(reason.as_deref(), Some("runner_system_failure"), "{}", trace(&gitlab, job));
    // Nothing of it was left in a place where anybody could find it, and yet it ends.
    assert_goes_on(runner, &surroundings, &gitlab);
}
