//! What faults cost a download, in virtual time: rows of the table in docs/design/faults.md.

use std::time::Duration;

use runner_api::ArtifactUpload;
use runner_api::transport::Body;
use runner_coordinator::core::Endpoint;

use super::super::virtual_site::{Site, in_time, parse};
use super::*;

async fn row(name: &str, fault: &str, length: Duration) {
    let site = Site::start().await;
    let content: Bytes = "0123456789".repeat(10_000).into();
    site.job
        .upload_artifact(&ArtifactUpload::new("artifacts.zip"), Body::from(content.clone()))
        .await
        .unwrap();
    site.fault(fault);
    let args: DownloaderArgs = parse(&["--transfer-meter-frequency", "0s"]);
    let archive = site.folder.path().join("archive");
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let mut report = Report::new(&mut log);
    let fetched = Box::pin(fetch(&args, &site.job, &archive, &mut out, &mut report));
    let done = in_time(name, length, fetched).await;
    assert!(done.is_ok(), "{name}: {}", String::from_utf8_lossy(&log));
    assert!(std::fs::read(archive).unwrap() == content, "{name}");
    assert!(site.requests(Endpoint::DownloadArtifact) > 1, "{name}: there was no fault");
}

#[tokio::test(start_paused = true)]
async fn fault_download_503() {
    row("download-503", "download_artifact:1-2:503", Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn fault_download_cut() {
    row("download-cut", "download_artifact:1:truncate=1000", Duration::ZERO).await;
}
