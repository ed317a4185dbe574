//! E and H of the protocol's scenarios: jobs and the program are asked to end.

use runner_coordinator::core::JobState;
use rustix::process::Signal;
use serde_json::json;

use super::house::{House, assert_none, assert_order, failed, job, steps, success};

/// Says that it is there, and goes on talking: GitLab's wishes come with its answers.
const ENDLESS: &str = "echo here; while :; do echo tick; sleep 0.05; done";

#[test]
fn scenario_54_a_cancel_stops_the_script_and_runs_what_is_meant_for_failures() {
    let mut house = House::new();
    let steps = steps(&["echo content > a", ENDLESS, "echo never"], &["echo \"after: $CI_JOB_STATUS\""]);
    let artifacts = json!([
        { "name": "good", "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" },
        { "name": "bad", "paths": ["a"], "when": "on_failure", "artifact_type": "archive", "artifact_format": "zip" },
    ]);
    let caches = json!([{ "key": "k", "paths": ["a"], "when": "on_failure" }]);
    let id = house.enqueue(job(&[], json!({ "steps": steps, "artifacts": artifacts, "cache": caches })));
    house.start();
    house.gitlab.wait_for_trace(id, "\nhere\n");
    house.gitlab.handle().cancel(id, false);
    assert_eq!(house.wait(id), JobState::Canceled);
    house.drain();
    // The name of the reason is ours alone; GitLab knows why the job ended.
    assert_eq!(house.end(id), failed("unknown_failure", None));
    let trace = house.trace(id);
    assert_order(
        &trace,
        &[
            "WARNING: script canceled externally (UI, API)\n",
            "after: canceled\n",
            "Saving cache for failed job\n",
            "Uploading artifacts for failed job\n",
            "Cleaning up project directory and file based variables\n",
            "ERROR: Job failed: canceled\n",
        ],
    );
    assert_none(&trace, &["\nnever", "successful job"]);
    let name = house.gitlab.handle().job(id, |job| job.artifact("archive").unwrap().filename.clone());
    assert_eq!(name.as_deref(), Some("bad.zip"));
}

/// The processes of a canceled script get a signal that they can act on.
#[test]
fn script_scenario_43_a_cancel_is_a_signal_to_the_scripts_processes() {
    let mut house = House::new();
    let talk =
        "sh -c 'trap \"echo asked to end; exit 3\" TERM; echo here; while :; do echo tick; sleep 0.05; done'";
    let id = house.enqueue(job(&[], json!({ "steps": steps(&[talk], &["echo \"after: $CI_JOB_STATUS\""]) })));
    house.start();
    house.gitlab.wait_for_trace(id, "\nhere\n");
    house.gitlab.handle().cancel(id, false);
    assert_eq!(house.wait(id), JobState::Canceled);
    house.drain();
    let parts = [
        "asked to end\n",
        "script canceled externally (UI, API)\n",
        "after: canceled\n",
        "Job failed: canceled\n",
    ];
    assert_order(&house.trace(id), &parts);
}

#[test]
fn scenario_95_a_drain_lets_the_job_end_as_it_would_have_ended() {
    let mut house = House::new();
    let go = house.surroundings.path("go");
    assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
    let wait = format!("echo here; read -r word < '{}'; echo word $word", go.display());
    let artifacts =
        json!([{ "name": "a", "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" }]);
    let id = house.enqueue(job(&["echo content > a", &wait], json!({ "artifacts": artifacts })));
    house.start();
    house.gitlab.wait_for_trace(id, "\nhere\n");
    house.runner().signal(Signal::QUIT);
    house.runner().said("takes no more jobs and waits for those that run");
    house.runner().signal(Signal::QUIT);
    let other = house.enqueue(job(&["echo never"], json!({})));
    std::fs::write(&go, "came\n").unwrap();
    assert_eq!(house.runner().wait(), Some(0));
    assert_eq!(house.end(id), success());
    assert_order(
        &house.trace(id),
        &["word came\n", "Uploading artifacts for successful job\n", "Job succeeded\n"],
    );
    assert_eq!(house.gitlab.handle().state(other), Some(JobState::Pending));
}

/// GitLab's own runner interrupts the job then; here it is left to the next start, which learns of a cancel.
#[test]
fn scenario_95_a_firmer_signal_after_it_leaves_the_job() {
    let mut house = House::new();
    let id = house.enqueue(job(&[ENDLESS], json!({})));
    house.start();
    house.gitlab.wait_for_trace(id, "\nhere\n");
    house.runner().signal(Signal::QUIT);
    house.runner().signal(Signal::TERM);
    assert_eq!(house.runner().wait(), Some(0));
    assert_eq!(house.gitlab.handle().state(id), Some(JobState::Running));
    house.gitlab.handle().cancel(id, false);
    house.start();
    assert_eq!(house.wait(id), JobState::Canceled);
    house.drain();
    assert_order(&house.trace(id), &["tick\n", "script canceled externally", "Job failed: canceled"]);
}
