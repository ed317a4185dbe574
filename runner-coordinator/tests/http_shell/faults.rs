//! Faults over a socket: what a client sees, and what the coordinator has taken in.

use std::time::Duration;

use crate::support::{Site, header, noise};
use runner_coordinator::core::{Endpoint, EventKind, JobId, JobState, Options};
use serde_json::json;

async fn site_with(faults: &[&str]) -> (Site, JobId, String) {
    let site = Site::start(Options::default()).await;
    let job = site.enqueue("build");
    let (_, token) = site.take(json!({})).await;
    for fault in faults {
        site.handle.add_fault(fault.parse().unwrap());
    }
    (site, job, token)
}

#[tokio::test]
async fn a_status_instead_of_processing() {
    let (site, job, token) = site_with(&["patch_trace:1-2:429,header=Retry-After=7"]).await;
    for _ in 0..2 {
        let answer = site.patch(job, &token, 0, b"abc").await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("7")));
        assert_eq!(
            answer.json::<serde_json::Value>().await.unwrap(),
            json!({ "message": "429 Too Many Requests" })
        );
    }
    assert_eq!(site.patch(job, &token, 0, b"abc").await.unwrap().status(), 202);
    let requests = site.handle.job(job, |record| record.request_count(Endpoint::PatchTrace)).unwrap();
    assert_eq!(requests, 3, "refused requests count too");
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_reset_before_processing_leaves_no_trace() {
    let (site, job, token) = site_with(&["patch_trace:1:reset"]).await;
    assert!(site.patch(job, &token, 0, b"abc").await.unwrap_err().is_request());
    assert_eq!(site.handle.read_trace(job, 0), b"");
    assert_eq!(site.patch(job, &token, 0, b"abc").await.unwrap().status(), 202);
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_reset_after_processing_loses_only_the_answer() {
    let (site, job, token) = site_with(&["update_job:1:reset=after"]).await;
    let url = site.url(&format!("jobs/{job}"));
    let body = json!({ "token": token, "state": "success" });
    assert!(site.client.put(url).json(&body).send().await.unwrap_err().is_request());
    assert_eq!(site.handle.state(job), Some(JobState::Success));
    let answer = site.update(job, &token, json!({ "state": "success" })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (403, Some("success")));
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_truncated_download() {
    let (site, job, token) = site_with(&["download_artifact:1:truncate=70000"]).await;
    let content = noise(200_000);
    site.upload(job, &token, "", "a.zip", content.clone()).await;
    let mut answer = site.download(job, &token, "").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.content_length(), Some(200_000));
    let mut received = Vec::new();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => panic!("the body must not end well"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(received == content[..70_000], "{} bytes arrived", received.len());
    assert!(site.download(job, &token, "").await.unwrap().bytes().await.unwrap() == content);
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_truncated_json_answer() {
    let site = Site::start(Options::default()).await;
    site.handle.add_fault("request_job:1:truncate=10".parse().unwrap());
    site.enqueue("build");
    let answer = site.request().await;
    assert_eq!(answer.status(), 201);
    assert!(answer.bytes().await.is_err());
    site.server.shutdown().await;
}

#[tokio::test]
async fn an_answer_without_body_is_truncated_to_nothing() {
    let site = Site::start(Options::default()).await;
    site.handle.add_fault("request_job:1:truncate=10".parse().unwrap());
    let body = json!({ "token": site.token });
    assert!(site.client.post(site.url("jobs/request")).json(&body).send().await.unwrap_err().is_request());
    assert_eq!(site.request().await.status(), 204);
    site.server.shutdown().await;
}

#[tokio::test]
async fn forgotten_bytes_show_as_a_wrong_offset() {
    let (site, job, token) = site_with(&["patch_trace:2:forget=4"]).await;
    let mut events = site.handle.events();
    site.patch(job, &token, 0, b"0123456789").await.unwrap();
    let answer = site.patch(job, &token, 10, b"ab").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "range")), (416, Some("0-6")));
    site.patch(job, &token, 6, b"6789ab").await.unwrap();
    assert_eq!(site.handle.read_trace(job, 0), b"0123456789ab");
    let mut kinds = Vec::new();
    while let Some(event) = events.try_recv() {
        kinds.push(event.kind);
    }
    assert_eq!(
        kinds,
        [
            EventKind::TraceAppended { job, offset: 0, length: 10 },
            EventKind::TraceCut { job, length: 6 },
            EventKind::TraceAppended { job, offset: 6, length: 6 },
        ]
    );
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_delayed_answer_is_processed_first() {
    let (site, job, token) = site_with(&["patch_trace:1:delay=1m"]).await;
    let mut events = site.handle.events();
    let patch = site.patch(job, &token, 0, b"abc");
    tokio::pin!(patch);
    let event = tokio::select! {
        event = events.recv() => event.unwrap(),
        answer = &mut patch => panic!("answered too early: {answer:?}"),
    };
    assert_eq!(event.kind, EventKind::TraceAppended { job, offset: 0, length: 3 });
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut patch).await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_not_json() {
    let site = Site::start(Options::default()).await;
    site.handle.add_fault("verify:1:200,body=200,header=Content-Type=text/plain".parse().unwrap());
    let answer = site.client.post(site.url("runners/verify")).json(&json!({})).send().await.unwrap();
    assert_eq!(header(&answer, "content-type"), Some("text/plain"));
    assert_eq!(answer.text().await.unwrap(), "200");
    site.server.shutdown().await;
}

#[tokio::test]
async fn an_upload_that_breaks() {
    let (site, job, token) = site_with(&["upload_artifact:1:503", "upload_artifact:2:reset=after"]).await;
    assert_eq!(site.upload(job, &token, "", "a.zip", b"zip".to_vec()).await.status(), 503);
    let part = reqwest::multipart::Part::bytes(b"zip".to_vec()).file_name("a.zip");
    let lost = site
        .client
        .post(site.url(&format!("jobs/{job}/artifacts")))
        .header("JOB-TOKEN", &token)
        .multipart(reqwest::multipart::Form::new().part("file", part))
        .send()
        .await;
    assert!(lost.is_err());
    assert_eq!(site.upload(job, &token, "", "a.zip", b"zip".to_vec()).await.status(), 201);
    site.server.shutdown().await;
}

#[tokio::test]
async fn connections_are_refused_and_come_back() {
    let site = Site::start(Options::default()).await;
    assert_eq!(site.request().await.status(), 204);
    site.handle.set_down(true);
    let ask = || {
        // A client of its own: no connection that is still open.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        client.post(site.url("jobs/request")).json(&json!({ "token": site.token })).send()
    };
    // The listener closes in its own task; until then a connection is accepted and lost.
    while !format!("{:?}", ask().await.unwrap_err()).contains("ConnectionRefused") {}
    site.handle.set_down(false);
    let answer = loop {
        match ask().await {
            Ok(answer) => break answer,
            Err(error) => assert!(error.is_connect(), "{error:?}"),
        }
    };
    assert_eq!(answer.status(), 204);
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_held_request_is_lost_when_the_server_goes_down() {
    let site = Site::start(Options { long_poll: Duration::from_secs(3600), ..Options::default() }).await;
    let cursor = header(&site.request().await, "x-gitlab-last-update").unwrap().to_owned();
    let body = json!({ "token": site.token, "last_update": cursor });
    let (held, ()) = tokio::join!(site.client.post(site.url("jobs/request")).json(&body).send(), async {
        while site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::RequestJob)) < 2 {
            tokio::task::yield_now().await;
        }
        site.handle.set_down(true);
    });
    assert!(held.is_err());
    site.server.shutdown().await;
}

#[tokio::test]
async fn what_stalls_ends_with_the_server() {
    let (site, job, token) = site_with(&["patch_trace:1:stall=after", "download_artifact:1:stall=3"]).await;
    site.upload(job, &token, "", "a.zip", b"content".to_vec()).await;
    let mut download = site.download(job, &token, "").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "con");
    let mut events = site.handle.events();
    let patch = site
        .client
        .patch(site.url(&format!("jobs/{job}/trace")))
        .header("JOB-TOKEN", &token)
        .header("Content-Range", "0-2")
        .body("abc")
        .send();
    let patch = tokio::spawn(patch);
    assert!(events.recv().await.is_some(), "it was processed");
    assert!(!patch.is_finished());
    site.server.shutdown().await;
    assert!(patch.await.unwrap().is_err());
    assert!(download.chunk().await.is_err());
}
