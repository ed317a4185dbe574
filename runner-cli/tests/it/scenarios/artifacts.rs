//! G of the protocol's scenarios: artifacts of whole jobs.

use runner_coordinator::core::{Endpoint, JobState};
use serde_json::json;

use super::house::{House, assert_none, assert_order, failed, job, steps, success};

#[test]
fn scenario_81_a_job_whose_upload_is_refused_fails_although_its_script_succeeded() {
    let mut house = House::new();
    house.fault("upload_artifact:*:413");
    let artifacts = json!([
        { "name": "a", "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" },
        { "name": "b", "paths": ["a"], "when": "on_failure", "artifact_type": "metadata", "artifact_format": "gzip" },
    ]);
    let steps = steps(&["echo content > a"], &["echo \"it was a $CI_JOB_STATUS\""]);
    let id = house.run(job(&[], json!({ "artifacts": artifacts, "steps": steps })));
    assert_eq!(house.end(id), failed("script_failure", Some(1)));
    let trace = house.trace(id);
    assert_order(
        &trace,
        &[
            "it was a success\n",
            "Uploading artifacts for successful job\n",
            "FATAL: too large",
            "Cleaning up project directory and file based variables\n",
            "ERROR: Job failed: exit code 1\n",
        ],
    );
    assert_none(&trace, &["Uploading artifacts for failed job"]);
    assert_eq!(house.requests(Endpoint::UploadArtifact).len(), 1);
}

#[test]
fn scenario_81_a_later_success_of_an_upload_counts() {
    let mut house = House::new();
    house.fault("upload_artifact:1:503");
    let artifacts =
        json!([{ "name": "a", "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" }]);
    let id = house.run(job(&["echo content > a"], json!({ "artifacts": artifacts })));
    assert_eq!(house.end(id), success());
    let name = house.gitlab.handle().job(id, |job| job.artifact("archive").unwrap().filename.clone());
    assert_eq!(name.as_deref(), Some("a.zip"));
    assert_eq!(house.requests(Endpoint::UploadArtifact).len(), 2);
}

#[test]
fn scenario_83_artifacts_that_are_not_there_are_no_failure() {
    let mut house = House::new();
    let artifacts =
        json!([{ "paths": ["nothing/here"], "artifact_type": "archive", "artifact_format": "zip" }]);
    let id = house.run(job(&["true"], json!({ "artifacts": artifacts })));
    assert_eq!(house.end(id), success());
    assert_order(
        &house.trace(id),
        &["nothing/here: no matching files", "ERROR: No files to upload\n", "Job succeeded\n"],
    );
    assert_eq!(house.requests(Endpoint::UploadArtifact), []);
}

#[test]
fn scenario_85_artifacts_are_fetched_by_the_id_and_token_of_the_job_that_made_them() {
    let mut house = House::new();
    let artifacts = json!([{ "paths": ["a"], "artifact_type": "archive", "artifact_format": "zip" }]);
    let first = house.enqueue(job(&["echo from the first > a"], json!({ "artifacts": artifacts })));
    house.start();
    assert_eq!(house.wait(first), JobState::Success, "{}", house.trace(first));
    let token = house.gitlab.handle().job(first, |job| job.token.clone()).unwrap();
    let token = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    let dependencies = json!([
        { "id": 9000, "token": "other", "name": "without", "artifacts_file": { "filename": "", "size": 0 } },
        { "id": 9001, "token": "other", "name": "nothing" },
        { "id": first.0, "token": token, "name": "first", "artifacts_file": { "filename": "a.zip", "size": 7 } },
    ]);
    let second = house.enqueue(job(&["cat a"], json!({ "dependencies": dependencies })));
    assert_eq!(house.wait(second), JobState::Success, "{}", house.trace(second));
    house.drain();
    let trace = house.trace(second);
    assert_order(
        &trace,
        &[&format!("Downloading artifacts for first ({first})...\n"), "$ cat a\n", "from the first\n"],
    );
    assert_none(&trace, &["without", "9000", "9001", token.as_str()]);
    let downloads = house.requests(Endpoint::DownloadArtifact);
    let [(uri, used)] = downloads.as_slice() else { panic!("{downloads:?}") };
    assert!(uri.starts_with(&format!("/api/v4/jobs/{first}/artifacts")), "{uri}");
    assert_eq!(*used, token);
}

#[test]
fn scenario_87_a_job_without_the_artifacts_it_needs_does_not_run_its_scripts() {
    for (status, words) in
        [(404, "file does not exist"), (403, "permission denied"), (401, "permission denied")]
    {
        let mut house = House::new();
        house.fault(&format!("download_artifact:*:{status}"));
        let steps = steps(&["echo never"], &["echo never"]);
        let changes = json!({
            "steps": steps,
            "dependencies": [{ "id": 9, "token": "another-token", "name": "b", "artifacts_file": { "filename": "a.zip", "size": 7 } }],
            "artifacts": [
                { "name": "good", "paths": ["."], "artifact_type": "archive", "artifact_format": "zip" },
                { "name": "bad", "untracked": true, "paths": ["*"], "when": "on_failure", "artifact_type": "archive",
                  "artifact_format": "zip" },
            ],
        });
        let id = house.run(job(&[], changes));
        assert_eq!(house.end(id), failed("script_failure", Some(1)));
        let trace = house.trace(id);
        assert_order(
            &trace,
            &[words, "Uploading artifacts for failed job\n", "ERROR: Job failed: exit code 1\n"],
        );
        assert_none(&trace, &["never", "successful job", "after_script"]);
        assert_eq!(house.requests(Endpoint::DownloadArtifact).len(), 1, "{status}");
    }
}
