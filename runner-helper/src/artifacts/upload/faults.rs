//! What faults cost an upload, in virtual time: rows of the table in docs/design/faults.md.

use std::time::Duration;

use runner_coordinator::core::Endpoint;

use super::super::virtual_site::{Site, in_time, parse};
use super::*;

/// Uploads one file; how that ended and what was said.
async fn send(site: &Site) -> (Result<(), Fatal>, String) {
    let args: UploaderArgs = parse(&["--path", "report.txt", "--transfer-meter-frequency", "0s"]);
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let surroundings = Surroundings {
        folder: site.folder.path().to_owned(),
        environment: std::collections::BTreeMap::new(),
        upload_wait: Duration::from_secs(1),
        out: &mut Vec::new(),
        log: &mut Vec::new(),
    };
    let mut report = Report::new(&mut log);
    let (package, upload) = prepare(&args, &Project::of(&surroundings), &mut report).unwrap().unwrap();
    let job = site.job.clone().with_retry(retry().with_jitter_seed(7));
    let sender = Sender { job, package, upload, args: &args, wait_between: surroundings.upload_wait };
    let done = sender.send(&mut out, &mut report).await;
    (done, String::from_utf8(log).unwrap())
}

async fn row(name: &str, fault: &str, length: Duration) {
    let site = Site::start().await;
    site.fault(fault);
    let (done, log) = in_time(name, length, Box::pin(send(&site))).await;
    assert!(done.is_ok(), "{name}: {log}");
    let archive = site.gitlab.read_artifact(site.id, "archive").await.unwrap().unwrap();
    assert!(archive.starts_with(b"PK"), "{name}");
    assert!(site.requests(Endpoint::UploadArtifact) > 1, "{name}: there was no fault");
}

#[tokio::test(start_paused = true)]
async fn fault_artifacts_503() {
    row("artifacts-503", "upload_artifact:1-2:503", Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn fault_artifacts_500() {
    row("artifacts-500", "upload_artifact:1-2:500", Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn fault_artifacts_reset() {
    row("artifacts-reset", "upload_artifact:1:reset", Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn fault_artifacts_outage() {
    row("outage during the upload", "job:@-10s:503", Duration::from_secs(10)).await;
    for length in [3, 5, 7, 9] {
        row("outage during the upload", &format!("job:@-{length}s:503"), Duration::from_secs(length)).await;
    }
}

/// A longer one is survived, too.
#[tokio::test(start_paused = true)]
async fn an_outage_of_twenty_seconds_is_survived() {
    let site = Site::start().await;
    site.fault("job:@-20s:503");
    let (done, log) = Box::pin(send(&site)).await;
    assert!(done.is_ok(), "{log}");
}

#[tokio::test(start_paused = true)]
async fn fault_artifacts_413() {
    let site = Site::start().await;
    site.fault("upload_artifact:*:413");
    let (done, _) = in_time("artifacts-413", Duration::ZERO, Box::pin(send(&site))).await;
    assert!(matches!(done, Err(Fatal::TooLarge)));
    assert_eq!(site.requests(Endpoint::UploadArtifact), 1);
}
