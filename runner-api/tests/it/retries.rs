//! When calls are repeated, how long is waited, and who is told, under a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, BodySource, BodyStream, TransportErrorKind};
use runner_api::{
    ArtifactUpload, CallReport, Endpoint, JobAnswer, JobRequest, JobToken, JobUpdate, Observer,
    RegisterRequest, RequestRate, RunnerCredentials, UpdateResult,
};

use crate::script::{Reply, Script, json, status, with};

fn request() -> JobRequest {
    JobRequest::new(RunnerCredentials::new("t"))
}

/// The waits between requests.
fn waits(script: &Script) -> Vec<Duration> {
    script.asked().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_later_success_counts() {
    let script = Script::new([status(500), status(429), json(201, r#"{"id": 1, "token": "t"}"#)]);
    assert!(matches!(script.client().request_job(&request()).await, Ok(JobAnswer::Job(_))));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_repeated() {
    // Everything is the caller's to repeat when it is turned off.
    let script = Script::new([status(503)]);
    let job = script.client().job(1, JobToken::new("t")).with_retry(RetryPolicy::off());
    assert_eq!(job.update(&JobUpdate::running()).await.result, UpdateResult::Failed);
    // A registration may have happened behind a bad gateway.
    let script = Script::new([status(502)]);
    assert_eq!(script.client().register(&RegisterRequest::new("r")).await.unwrap_err().tries(), 1);
    let script = Script::new([status(429), json(201, r#"{"token": "t"}"#)]);
    script.client().register(&RegisterRequest::new("r")).await.unwrap();
    // These statuses do not change by asking again.
    for code in [400, 403, 404, 409, 422, 501, 505, 511] {
        let script = Script::new([status(code)]);
        script.client().request_job(&request()).await.unwrap_err();
    }
}

struct Counted(Mutex<u32>);

impl BodySource for Counted {
    fn open(&self) -> BodyStream {
        *self.0.lock().unwrap() += 1;
        Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"content"))]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_is_opened_for_each_try_and_a_stream_is_sent_once() {
    let script = Script::new([status(503), status(503), status(201)]);
    let source = Arc::new(Counted(Mutex::new(0)));
    let job = script.client().job(1, JobToken::new("t"));
    job.upload_artifact(&ArtifactUpload::new("a"), Body::source(source.clone())).await.unwrap();
    assert_eq!(*source.0.lock().unwrap(), 3);
    assert!(script.asked().iter().all(|asked| asked.body == script.asked()[0].body));

    let script = Script::new([status(503)]);
    let once = Body::stream(futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]), None);
    let job = script.client().job(1, JobToken::new("t"));
    assert!(job.upload_artifact(&ArtifactUpload::new("a"), once).await.unwrap_err().is_unavailable());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_ends_it_at_once() {
    let script = Script::new([with(429, &[("retry-after", "600")], ""), status(204)]);
    let client = script.client();
    let request = request();
    let limited = tokio::time::timeout(Duration::from_secs(10), client.request_job(&request)).await;
    assert!(limited.is_err());
    assert_eq!(script.asked().len(), 1);

    let script = Script::new([Reply::Hang]);
    let client = script.client();
    assert!(tokio::time::timeout(Duration::from_secs(50), client.request_job(&request)).await.is_err());
}

/// Endpoint, status, tries, pushed back; then whole seconds: everything, between tries, for the ceiling.
type Note = (Endpoint, Option<u16>, u32, bool, [u64; 3]);

#[derive(Debug, Default)]
struct Notes(Mutex<Vec<Note>>);

impl Observer for Notes {
    fn call_ended(&self, report: &CallReport<'_>) {
        let status = report.status.map(|status| status.as_u16());
        assert_eq!(report.error.is_some(), status.is_none());
        let path = match report.endpoint {
            Endpoint::RequestJob => "/api/v4/jobs/request",
            Endpoint::UpdateJob => "/api/v4/jobs/{id}",
            _ => "/api/v4/jobs/{id}/trace",
        };
        assert_eq!((report.path, &report.method), (path, &report.endpoint.method()));
        let times = [report.duration, report.waited, report.held_back].map(|time| time.as_secs());
        self.0.lock().unwrap().push((report.endpoint, status, report.tries, report.pushed_back, times));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_learns_of_every_call() {
    let script = Script::new([
        with(429, &[("retry-after", "2")], ""),
        status(204),
        status(403),
        Reply::Fail(TransportErrorKind::Timeout),
    ]);
    let notes = Arc::new(Notes::default());
    let client = script.client().with_observer(notes.clone());
    client.request_job(&request()).await.unwrap();
    client.request_job(&request()).await.unwrap_err();
    client.job(1, JobToken::new("t")).update(&JobUpdate::running()).await;
    assert_eq!(
        *notes.0.lock().unwrap(),
        [
            (Endpoint::RequestJob, Some(204), 2, true, [2, 2, 0]),
            (Endpoint::RequestJob, Some(403), 1, false, [0, 0, 0]),
            (Endpoint::UpdateJob, None, 1, false, [0, 0, 0]),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_holds_every_try_back() {
    let script = Script::new([
        status(204),
        status(204),
        with(429, &[("retry-after", "3")], ""),
        status(204),
        status(202),
        status(204),
    ]);
    let notes = Arc::new(Notes::default());
    let rate = RequestRate::every(Duration::from_secs(10)).with_burst(2.try_into().unwrap());
    let client = script.builder().request_rate(rate).observer(notes.clone()).build().unwrap();
    for _ in 0..3 {
        client.request_job(&request()).await.unwrap();
    }
    // What is made from a client shares its ceiling, and an empty piece is no request.
    let job = client.clone().job(1, JobToken::new("t"));
    job.patch_trace(0, Bytes::new(), false).await;
    job.patch_trace(0, "x".into(), false).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.request_job(&request()).await.unwrap();

    let seconds: Vec<_> = waits(&script).iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 10, 10, 10, 60]);
    assert_eq!(
        notes.0.lock().unwrap()[2..4],
        [
            (Endpoint::RequestJob, Some(204), 2, true, [20, 3, 17]),
            (Endpoint::PatchTrace, Some(202), 1, false, [10, 0, 10]),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_ceiling_can_be_dropped() {
    let script = Script::new([status(204), status(204)]);
    let client = script.builder().request_rate(RequestRate::every(Duration::from_secs(60))).build().unwrap();
    client.request_job(&request()).await.unwrap();
    let request = request();
    let limited = tokio::time::timeout(Duration::from_secs(1), client.request_job(&request)).await;
    assert!(limited.is_err());
    client.request_job(&request).await.unwrap();
    assert_eq!(waits(&script)[0].as_secs(), 60);
}
