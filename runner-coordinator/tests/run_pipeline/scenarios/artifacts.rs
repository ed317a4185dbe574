//! Artifacts that jobs hand on.

use runner_coordinator::pipeline::Artifacts;
use runner_coordinator::run::{ArchiveInfo, Finished};

use crate::support::{Driver, job, need, with};

#[test]
fn archives_are_downloaded_with_the_running_jobs_token() {
    let archive = || Finished {
        archive: Some(ArchiveInfo { filename: "artifacts.zip".to_owned(), size: 12 }),
        ..Finished::success()
    };
    let mut driver = Driver::new(vec![
        job("a", "build"),
        job("b", "build"),
        with(job("c", "build"), |job| job.artifacts = Some(Artifacts::default())),
        job("all", "test"),
        with(job("some", "test"), |job| job.dependencies = Some(vec!["b".to_owned(), "c".to_owned()])),
        with(job("needing", "test"), |job| job.needs = Some(vec![need("a")])),
        with(job("without", "test"), |job| job.needs = Some(Vec::new())),
    ]);
    assert_eq!(driver.payload("without")["dependencies"], serde_json::json!([]));
    driver.finish("a", archive());
    driver.finish("b", archive());
    driver.succeed("c");
    let names = |name: &str| {
        let list = driver.payload(name)["dependencies"].as_array().unwrap();
        list.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("all"), ["a", "b"]);
    assert_eq!(names("some"), ["b"]);
    assert_eq!(names("needing"), ["a"]);
    let payload = driver.payload("needing");
    assert_eq!(
        payload["dependencies"][0],
        serde_json::json!({
            "id": driver.id("a").0,
            "name": "a",
            "token": payload["token"],
            "artifacts_file": {"filename": "artifacts.zip", "size": 12},
        })
    );
}
