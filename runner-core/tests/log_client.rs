//! The sender through the real client, down to the requests on the wire.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod log_support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use log_support::{Frames, epoch, filter_settings, stage};
use runner_api::transport::{Body, Transport, TransportError, TransportErrorKind};
use runner_api::{ClientBuilder, FailureReason, JobToken};
use runner_core::log::{
    Acknowledgement, Delivery, Directive, FinalState, JobLog, LogStorage, SenderSettings, TraceApi,
    TraceSender,
};
use runner_core::time::TokioClock;
use serde_json::{Value, json};

/// One request as the server saw it.
#[derive(Debug)]
struct Seen {
    method: Method,
    path: String,
    range: Option<String>,
    body: Bytes,
}

/// Answers as GitLab does, unless an answer was put in its mouth. Clones are the same server.
#[derive(Debug, Clone, Default)]
struct GitLab {
    trace: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<Option<Response<Body>>>>>,
}

impl GitLab {
    fn answer(&self, status: u16, headers: &[(&str, &str)]) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        self.answers.lock().unwrap().push_back(Some(answer.body(Body::empty()).unwrap()));
    }

    fn lose_the_connection(&self) {
        self.answers.lock().unwrap().push_back(None);
    }

    fn bodies(&self, method: &Method) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        let bodies = seen.iter().filter(|seen| seen.method == method);
        bodies.map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
    }
}

#[async_trait]
impl Transport for GitLab {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body.collect(2 << 20).await?;
        let range = head.headers.get("content-range").map(|range| range.to_str().unwrap().to_owned());
        let path = head.uri.path_and_query().unwrap().to_string();
        let start = range.as_deref().map(|range| range.split_once('-').unwrap().0.parse::<usize>().unwrap());
        let seen = Seen { method: head.method, path, range, body: body.clone() };
        self.seen.lock().unwrap().push(seen);
        match self.answers.lock().unwrap().pop_front() {
            Some(Some(answer)) => return Ok(answer),
            Some(None) => return Err(TransportError::new(TransportErrorKind::Connect, "refused")),
            None => {}
        }
        let answer = Response::builder();
        let Some(start) = start else { return Ok(answer.status(200).body(Body::empty()).unwrap()) };
        let mut trace = self.trace.lock().unwrap();
        let status = if start == trace.len() {
            trace.extend_from_slice(&body);
            StatusCode::ACCEPTED
        } else {
            StatusCode::RANGE_NOT_SATISFIABLE
        };
        Ok(answer.status(status).header("Range", format!("0-{}", trace.len())).body(Body::empty()).unwrap())
    }
}

async fn job(gitlab: &GitLab) -> (JobLog, TraceSender) {
    let client =
        ClientBuilder::new("https://gitlab.example.com").unwrap().transport(gitlab.clone()).build().unwrap();
    let api: Arc<dyn TraceApi> = Arc::new(client.job(42, JobToken::new("glcbt-job")));
    let clock = Arc::new(TokioClock::starting_at(epoch()));
    let (log, task) = JobLog::open(LogStorage::memory(), filter_settings(&[]), clock).await.unwrap();
    tokio::spawn(task.run());
    let (sender, task) = TraceSender::new(api, &log, SenderSettings::default());
    assert_eq!(sender.acknowledge().await, Acknowledgement::Accepted);
    tokio::spawn(task.run());
    (log, sender)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_acknowledged_logged_and_reported() {
    let gitlab = GitLab::default();
    let (log, sender) = job(&gitlab).await;
    log.append(&stage(), Frames::default().stdout("hello\n")).await.unwrap();
    log.finish().await.unwrap();
    let state = FinalState::Failed { reason: FailureReason::ScriptFailure, exit_code: Some(3) };
    assert_eq!(sender.finish(state).await, Delivery::Delivered);

    let puts = gitlab.bodies(&Method::PUT);
    assert_eq!((&puts[0]["state"], &puts[0]["output"]), (&json!("running"), &json!({})));
    let checksum = format!("crc32:{:08x}", crc32fast::hash(b"hello\n"));
    let end = puts.last().unwrap();
    assert_eq!(end["state"], "failed");
    assert_eq!(end["failure_reason"], "script_failure");
    assert_eq!(end["exit_code"], 3);
    assert_eq!(end["output"], json!({ "checksum": checksum, "bytesize": 6 }));
    let seen = gitlab.seen.lock().unwrap();
    let patch = seen.iter().find(|seen| seen.method == Method::PATCH).unwrap();
    assert_eq!(patch.path, "/api/v4/jobs/42/trace?debug_trace=false");
    assert_eq!((patch.range.as_deref(), &patch.body[..]), (Some("0-5"), &b"hello\n"[..]));
}

#[tokio::test(start_paused = true)]
async fn answers_on_the_wire_mean_what_they_mean_to_the_sender() {
    let gitlab = GitLab::default();
    let (log, sender) = job(&gitlab).await;
    gitlab.answer(503, &[("Retry-After", "7")]);
    gitlab.lose_the_connection();
    gitlab.answer(416, &[("Range", "0-0")]);
    gitlab.answer(429, &[]);
    log.append(&stage(), Frames::default().stdout("hello\n")).await.unwrap();
    let patches = || gitlab.seen.lock().unwrap().iter().filter(|seen| seen.method == Method::PATCH).count();
    tokio::time::sleep(Duration::from_millis(6900)).await;
    assert_eq!(patches(), 1, "the server's wish is respected");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(*gitlab.trace.lock().unwrap(), b"hello\n");
    assert_eq!(patches(), 5);

    gitlab.answer(202, &[("Job-Status", "canceling"), ("X-GitLab-Trace-Update-Interval", "60")]);
    log.line(runner_core::log::LineKind::Plain, "more").await.unwrap();
    sender.directive().wait_for(|directive| *directive == Directive::Cancel).await.unwrap();
    log.line(runner_core::log::LineKind::Plain, "and more").await.unwrap();
    log.finish().await.unwrap();
    gitlab.answer(416, &[("Range", "0-6")]);
    gitlab.answer(202, &[]);
    gitlab.answer(403, &[("Job-Status", "failed")]);
    let state = FinalState::Failed { reason: FailureReason::UnknownFailure, exit_code: None };
    assert_eq!(sender.finish(state).await, Delivery::Delivered);
    assert_eq!(patches(), 8);
}
