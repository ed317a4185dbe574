//! I of the protocol's scenarios: the stages of a job.

use runner_coordinator::core::Endpoint;
use serde_json::{Value, json};

use super::house::{House, assert_none, assert_order, failed, job, steps, success, variable};
use crate::support::{Checkout, Surroundings};

/// Where a repository is and which commit to take.
fn git_info(checkout: &Checkout<'_>) -> Value {
    json!({
        "repo_url": format!("file://{}", checkout.root.display()), "ref": "main", "ref_type": "branch", "depth": 0,
        "sha": checkout.git(&["rev-parse", "HEAD"]), "refspecs": ["+refs/heads/main:refs/remotes/origin/main"],
    })
}

#[test]
fn scenario_99_stages_come_in_their_order_and_those_without_work_say_nothing() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "");
    let mut house = House::new();
    let mut full = job(
        &[],
        json!({
            "git_info": git_info(&checkout),
            "steps": [
                { "name": "script", "script": ["echo content > a"] },
                { "name": "release", "script": ["echo release"] },
                { "name": "after_script", "script": ["echo after"] },
            ],
            "variables": [variable("GIT_STRATEGY", "fetch")],
            "cache": [{ "key": "k", "paths": ["a"] }],
            "artifacts": [{ "name": "a", "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" }],
        }),
    );
    let id = house.enqueue(full.clone());
    house.start();
    house.wait(id);
    assert_eq!(house.end(id), success(), "{}", house.trace(id));
    let begin = ["prepare_executor", "prepare_script", "get_sources"];
    let rest =
        ["step_script", "step_release", "after_script", "archive_cache", "upload_artifacts_on_success"];
    let last = ["cleanup_file_variables"];
    assert_eq!(house.sections(id), [&begin[..], &["restore_cache"], &rest, &last].concat());
    assert_order(
        &house.trace(id),
        &[
            "Preparing the \"shell\" executor\n",
            "Preparing environment\n",
            "Getting source from Git repository\n",
            "Restoring cache\n",
            "Executing \"step_script\" stage of the job script\n",
            "Executing \"step_release\" stage of the job script\n",
            "Running after_script\n",
            "Saving cache for successful job\n",
            "Uploading artifacts for successful job\n",
            "Cleaning up project directory and file based variables\n",
            "Job succeeded\n",
        ],
    );
    // With artifacts of another job; and with nothing that is not needed.
    let token = house.gitlab.handle().job(id, |job| job.token.clone()).unwrap();
    let token = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    full["dependencies"] = json!([
        { "id": id.0, "token": token, "name": "test", "artifacts_file": { "filename": "a.zip", "size": 7 } },
    ]);
    let second = house.enqueue(full);
    house.wait(second);
    assert_eq!(
        house.sections(second),
        [&begin[..], &["restore_cache", "download_artifacts"], &rest, &last].concat()
    );
    let small = house.enqueue(job(&["true"], json!({})));
    house.wait(small);
    assert_eq!(house.sections(small), [&begin[..], &["step_script"], &last].concat());
    house.drain();
}

#[test]
fn scenario_103_a_job_whose_time_is_over_does_nothing_more() {
    let mut house = House::new();
    let steps = steps(&["echo content > a; echo here; sleep 1000"], &["echo never"]);
    let artifacts =
        json!([{ "paths": ["a"], "when": "always", "artifact_type": "archive", "artifact_format": "zip" }]);
    let changes = json!({ "steps": steps, "artifacts": artifacts, "runner_info": { "timeout": 2 } });
    let id = house.run(job(&[], changes));
    assert_eq!(house.end(id), failed("job_execution_timeout", None));
    let trace = house.trace(id);
    assert_order(&trace, &["\nhere\n", "ERROR: Job failed: execution took longer than 2s\n"]);
    assert_none(&trace, &["never", "Running after_script", "Uploading", "cleanup_file_variables"]);
    assert_eq!(house.requests(Endpoint::UploadArtifact), []);
}

#[test]
fn scenario_107_after_script_knows_how_the_script_ended() {
    for (last, word) in [("false", "failed"), ("true", "success")] {
        let mut house = House::new();
        let steps = steps(&["echo \"script: $CI_JOB_STATUS\"", last], &["echo \"after: $CI_JOB_STATUS\""]);
        let id = house.run(job(&[], json!({ "steps": steps })));
        assert_order(&house.trace(id), &["script: running\n", &format!("after: {word}\n")]);
    }
}

#[test]
fn scenario_109_a_cache_policy_that_does_not_exist_fails_its_stage() {
    let mut house = House::new();
    let steps = steps(&["echo never"], &["echo never"]);
    let cache = json!([{ "key": "k", "paths": ["a"], "policy": "bogus" }]);
    let id = house.run(job(&[], json!({ "steps": steps, "cache": cache })));
    assert_eq!(house.end(id), failed("runner_system_failure", None));
    let trace = house.trace(id);
    let parts = [
        "Restoring cache\n",
        "Cleaning up project directory and file based variables\n",
        "ERROR: Job failed (system failure): unknown cache policy bogus for k\n",
    ];
    assert_order(&trace, &parts);
    assert_none(&trace, &["never", "after_script"]);
}

#[test]
fn scenario_111_secrets_of_a_provider_that_is_not_supported_are_a_warning() {
    let mut house = House::new();
    let secrets = json!({ "PASSWORD": { "vault": { "server": { "url": "http://127.0.0.1:1" }, "path": "p" }, "file": false } });
    let id = house.run(job(&["echo \"set: ${PASSWORD-no}\""], json!({ "secrets": secrets })));
    assert_eq!(house.end(id), success());
    let parts = ["WARNING: not supported: secrets (PASSWORD)", "set: no\n", "Job succeeded\n"];
    assert_order(&house.trace(id), &parts);
}

#[test]
fn scenario_113_hooks_surround_the_sources_from_outside_to_inside() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "");
    let hooks = json!([
        { "name": "pre_get_sources_script", "script": ["echo hook-pre; test ! -e .git"] },
        { "name": "post_get_sources_script", "script": ["echo hook-post; test -e .git"] },
    ]);
    let said = |house: &House, id| -> Vec<String> {
        let words = ["config-pre", "hook-pre", "Fetching changes...", "hook-post", "config-post"];
        house.trace(id).lines().filter(|line| words.contains(line)).map(str::to_owned).collect()
    };
    let entry =
        "pre_get_sources_script = \"echo config-pre\"\npost_get_sources_script = \"echo config-post\"";
    let mut house = House::with(entry);
    let payload = |strategy: &str| {
        let variables = [variable("GIT_STRATEGY", strategy)];
        job(&["true"], json!({ "git_info": git_info(&checkout), "variables": variables, "hooks": hooks }))
    };
    let with = house.enqueue(payload("clone"));
    let without = house.enqueue(payload("none"));
    house.start();
    house.wait(with);
    house.wait(without);
    house.drain();
    assert_eq!(house.end(with), success(), "{}", house.trace(with));
    assert_eq!(
        said(&house, with),
        ["config-pre", "hook-pre", "Fetching changes...", "hook-post", "config-post"]
    );
    assert_eq!(house.end(without), success(), "{}", house.trace(without));
    assert_eq!(said(&house, without), [""; 0]);
}
