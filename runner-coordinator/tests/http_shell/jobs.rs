//! A job's life over a socket: long poll, trace, final state, cancel, events.

use std::time::Duration;

use crate::support::{Site, header};
use runner_coordinator::core::{Endpoint, EventKind, JobState, Options};
use serde_json::json;

#[tokio::test]
async fn a_job_from_the_queue_to_success() {
    let site = Site::start(Options::default()).await;
    let mut events = site.handle.events();
    let job = site.enqueue("build");
    let (id, token) = site.take(json!({})).await;
    assert_eq!(id, job);

    let answer = site.patch(job, &token, 0, b"hello ").await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(header(&answer, "range"), Some("0-6"));
    assert_eq!(header(&answer, "job-status"), Some("running"));
    assert_eq!(header(&answer, "x-gitlab-trace-update-interval"), Some("3"));
    site.patch(job, &token, 6, b"world\n").await.unwrap();

    let output = json!({ "checksum": "crc32:af083b2d", "bytesize": 12 });
    let wrong = json!({ "checksum": "crc32:00000000", "bytesize": 12 });
    let answer = site.update(job, &token, json!({ "state": "running", "output": wrong })).await;
    assert_eq!(header(&answer, "job-status"), Some("running"));
    let answer = site.update(job, &token, json!({ "state": "success", "output": output })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (200, Some("success")));

    let (trace, complete, patches) = site
        .handle
        .job(job, |record| {
            let complete = record.final_update.as_ref().unwrap().trace_is_complete();
            (record.trace.text(), complete, record.request_count(Endpoint::PatchTrace))
        })
        .unwrap();
    assert_eq!(trace, "hello world\n");
    assert_eq!(site.handle.read_trace(job, 6), b"world\n");
    assert!(complete, "crc32:af083b2d is the checksum of the trace");
    assert_eq!(patches, 2);

    let mut kinds = Vec::new();
    while let Some(event) = events.try_recv() {
        kinds.push(event.kind);
    }
    let runner = site.handle.job(job, |record| record.runner).flatten().unwrap();
    assert_eq!(
        kinds,
        [
            EventKind::ManagerCreated { runner, system_id: "s_1".to_owned() },
            EventKind::JobAssigned { job, runner },
            EventKind::JobStarted { job },
            EventKind::TraceAppended { job, offset: 0, length: 12 },
            EventKind::JobFinished { job, state: JobState::Success, failure_reason: None, exit_code: None },
        ]
    );
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_held_request_is_woken_by_work() {
    let site = Site::start(Options { long_poll: Duration::from_secs(3600), ..Options::default() }).await;
    let first = site.request().await;
    assert_eq!(first.status(), 204);
    let cursor = header(&first, "x-gitlab-last-update").unwrap().to_owned();

    let (answer, job) = tokio::join!(site.request_with(json!({ "last_update": cursor })), async {
        while site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::RequestJob)) < 2 {
            tokio::task::yield_now().await;
        }
        site.enqueue("late")
    });
    // GitLab's proxy answers without the new value: the runner asks again and gets the job then.
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "gitlab-ci-builds-polling"), Some("yes"));
    assert_eq!(header(&answer, "x-gitlab-last-update"), None);
    let answer = site.request_with(json!({ "last_update": cursor })).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(header(&answer, "x-gitlab-last-update"), None);
    assert_eq!(site.handle.state(job), Some(JobState::Running));
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_held_request_may_get_the_job_itself() {
    let options =
        Options { long_poll: Duration::from_secs(3600), held_requests_get_jobs: true, ..Options::default() };
    let site = Site::start(options).await;
    let cursor = header(&site.request().await, "x-gitlab-last-update").unwrap().to_owned();
    let (answer, _) = tokio::join!(site.request_with(json!({ "last_update": cursor })), async {
        while site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::RequestJob)) < 2 {
            tokio::task::yield_now().await;
        }
        site.enqueue("late")
    });
    assert_eq!(answer.status(), 201);
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_held_request_ends_with_the_time_and_with_the_server() {
    let site = Site::start(Options { long_poll: Duration::from_millis(1), ..Options::default() }).await;
    let cursor = header(&site.request().await, "x-gitlab-last-update").unwrap().to_owned();
    let answer = site.request_with(json!({ "last_update": cursor })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "x-gitlab-last-update")), (204, None));

    site.handle.with(|coordinator, _| coordinator.options_mut().long_poll = Duration::from_secs(3600));
    let Site { server, handle, client, token, folder: _folder } = site;
    let url = format!("{}/api/v4/jobs/request", server.url());
    let body = json!({ "token": token, "system_id": "s_1", "last_update": cursor });
    let held = tokio::spawn(async move { client.post(url).json(&body).send().await.unwrap().status() });
    while handle.with(|coordinator, _| coordinator.request_count(Endpoint::RequestJob)) < 3 {
        tokio::task::yield_now().await;
    }
    server.shutdown().await;
    assert_eq!(held.await.unwrap(), 204);
}

#[tokio::test]
async fn a_wrong_offset_is_repaired_by_the_answer() {
    let site = Site::start(Options::default()).await;
    let job = site.enqueue("build");
    let (_, token) = site.take(json!({})).await;
    site.patch(job, &token, 0, b"0123456789").await.unwrap();
    for start in [5, 11] {
        let answer = site.patch(job, &token, start, b"xyz").await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "range")), (416, Some("0-10")));
    }
    // The answer to a chunk was lost: sent again, it is accepted as it is.
    let answer = site.patch(job, &token, 0, b"0123456789").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "range")), (202, Some("0-10")));
    assert_eq!(site.handle.read_trace(job, 0), b"0123456789");
    site.server.shutdown().await;
}

#[tokio::test]
async fn two_phase_commit() {
    let site = Site::start(Options::default()).await;
    let job = site.enqueue("build");
    let mut events = site.handle.events();
    let (_, token) = site.take(json!({ "two_phase_job_commit": true })).await;
    assert_eq!(site.handle.state(job), Some(JobState::Pending));
    assert_eq!(site.request().await.status(), 204, "the job is nobody else's");

    let answer = site.update(job, &token, json!({ "state": "success", "output": {} })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (400, Some("pending")));
    let answer = site.update(job, &token, json!({ "state": "pending", "output": {} })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (200, Some("pending")));
    let answer = site.update(job, &token, json!({ "state": "running", "output": {} })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (200, Some("running")));
    let answer = site.update(job, &token, json!({ "state": "pending", "output": {} })).await;
    assert_eq!(answer.status(), 400, "pending is no state of a running job");

    let mut started = Vec::new();
    while let Some(event) = events.try_recv() {
        if let EventKind::JobAssigned { job, .. } | EventKind::JobStarted { job } = event.kind {
            started.push(job);
        }
    }
    assert_eq!(started, [job, job], "assigned, then started");
    site.server.shutdown().await;
}

#[tokio::test]
async fn cancel_is_graceful_when_the_runner_promised_so() {
    let site = Site::start(Options::default()).await;
    let job = site.enqueue("build");
    let (_, token) = site.take(json!({ "cancel_gracefully": true })).await;
    assert_eq!(site.handle.cancel(job, false), Some(JobState::Canceling));
    let answer = site.patch(job, &token, 0, b"stopping").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (202, Some("canceling")));
    let answer = site.update(job, &token, json!({ "state": "failed", "output": {} })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (200, Some("canceled")));
    let answer = site.update(job, &token, json!({ "state": "failed", "output": {} })).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (403, Some("canceled")));
    site.server.shutdown().await;
}

#[tokio::test]
async fn cancel_is_immediate_by_force_and_for_older_runners() {
    let site = Site::start(Options::default()).await;
    for (features, force) in [(json!({ "cancel_gracefully": true }), true), (json!({}), false)] {
        let job = site.enqueue("build");
        let (_, token) = site.take(features).await;
        assert_eq!(site.handle.cancel(job, force), Some(JobState::Canceled));
        let answer = site.patch(job, &token, 0, b"more").await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "job-status")), (403, Some("canceled")));
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body, json!({ "message": "403 Forbidden - Job is not processing on runner" }));
    }
    site.server.shutdown().await;
}

#[tokio::test]
async fn time_passes_without_requests() {
    let options = Options { acknowledge_within: Duration::from_millis(1), ..Options::default() };
    let site = Site::start(options).await;
    let job = site.enqueue("build");
    let mut events = site.handle.events();
    site.take(json!({ "two_phase_job_commit": true })).await;
    let finished = loop {
        if let EventKind::JobFinished { failure_reason, .. } = events.recv().await.unwrap().kind {
            break failure_reason;
        }
    };
    assert_eq!(finished.as_deref(), Some("runner_provisioning_timeout"));
    assert_eq!(site.handle.state(job), Some(JobState::Failed));
    site.server.shutdown().await;
}

#[tokio::test]
async fn events_end_with_the_last_handle() {
    let site = Site::start(Options::default()).await;
    let mut events = site.handle.events();
    let Site { server, handle, .. } = site;
    server.shutdown().await;
    drop(handle);
    assert_eq!(events.recv().await, None);
}
