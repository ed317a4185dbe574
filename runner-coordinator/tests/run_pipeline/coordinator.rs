//! A pipeline run and a coordinator together, the runner's calls made as requests.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use runner_coordinator::core::{EventKind, NewRunner, Payload};
use runner_coordinator::pipeline::{AllowFailure, Artifacts, Job, Report};
use runner_coordinator::run::{Action, Finished, Outcome, PipelineRun, Status};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{TestHost, job, needs, now, pipeline, settings, value, variable, with};

/// What a runner that can do everything says of itself.
fn features() -> Value {
    json!({
        "upload_multiple_artifacts": true,
        "return_exit_code": true,
        "cancel_gracefully": true,
        "two_phase_job_commit": true,
    })
}

struct Gitlab {
    run: PipelineRun,
    host: TestHost,
    runner_token: String,
    /// Payloads as the runner got them, by name of the job.
    received: BTreeMap<String, Value>,
}

impl Gitlab {
    fn new(jobs: Vec<Job>) -> Self {
        let mut host = TestHost::new();
        let runner = host.coordinator.create_runner(NewRunner::default());
        let runner_token = runner.token.expose_secret().to_owned();
        let run = PipelineRun::new(pipeline(jobs), settings()).unwrap();
        let mut gitlab = Self { run, host, runner_token, received: BTreeMap::new() };
        gitlab.settle();
        gitlab
    }

    /// The host's part: events in, actions out.
    fn settle(&mut self) {
        while let Some(event) = self.host.coordinator.next_event() {
            match event.kind {
                EventKind::JobStarted { job } => assert!(self.run.started(job, event.at)),
                EventKind::JobFinished { job, .. } => {
                    let record = self.host.coordinator.job(job).unwrap();
                    self.run.finished(job, Finished::from(record), event.at);
                }
                _ => {}
            }
        }
        for action in self.run.advance(now(), &mut self.host) {
            match action {
                Action::Enqueue { job, new_job, .. } => {
                    assert_eq!(self.host.coordinator.enqueue(*new_job, now()), job);
                }
                Action::Cancel { job } => {
                    self.host.coordinator.cancel(job, false, now());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> (u16, Bytes) {
        let mut request = Request::builder().method(method).uri(format!("/api/v4/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        let response =
            self.host.coordinator.handle(request, now()).ready().expect("an answer at once").response;
        let status = response.status().as_u16();
        match response.into_body() {
            Payload::Bytes(bytes) => (status, bytes),
            Payload::File { .. } => panic!("no files here"),
        }
    }

    /// The runner asks for a job and begins it. Returns the job's name.
    fn take(&mut self) -> String {
        let body = json!({"token": self.runner_token, "system_id": "s_1", "info": {"features": features()}});
        let (status, body) = self.call("POST", "jobs/request", &[], body.to_string());
        assert_eq!(status, 201);
        let payload: Value = serde_json::from_slice(&body).unwrap();
        let name = payload["job_info"]["name"].as_str().unwrap().to_owned();
        self.received.insert(name.clone(), payload);
        self.update(&name, json!({"state": "running"}));
        name
    }

    fn update(&mut self, name: &str, mut body: Value) {
        let payload = &self.received[name];
        body["token"] = payload["token"].clone();
        let path = format!("jobs/{}", payload["id"]);
        assert_eq!(self.call("PUT", &path, &[], body.to_string()).0, 200);
        self.settle();
    }

    fn upload(&mut self, name: &str, query: &str, filename: &str, content: &str) -> u16 {
        let payload = &self.received[name];
        let token = payload["token"].as_str().unwrap().to_owned();
        let path = format!("jobs/{}/artifacts?{query}", payload["id"]);
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\n{content}\r\n--b--\r\n"
        );
        let headers = [("JOB-TOKEN", token.as_str()), ("Content-Type", "multipart/form-data; boundary=b")];
        self.call("POST", &path, &headers, body).0
    }

    fn status(&self, name: &str) -> Status {
        self.run.job(name).unwrap().status
    }
}

#[test]
fn artifacts_and_variables_travel_from_job_to_job() {
    let build = with(job("build", "build"), |job| {
        job.artifacts = Some(Artifacts {
            paths: vec!["out".to_owned()],
            reports: vec![Report { kind: "dotenv".to_owned(), paths: vec!["v.env".to_owned()] }],
            ..Artifacts::default()
        });
    });
    let deploy = with(needs(job("deploy", "deploy"), &["build"]), |job| {
        job.variables = vec![variable("VERSION", "unknown"), variable("LABEL", "v$VERSION")];
    });
    let mut gitlab = Gitlab::new(vec![build, job("lint", "build"), deploy]);
    assert_eq!((gitlab.take(), gitlab.take()), ("build".to_owned(), "lint".to_owned()));
    assert_eq!(gitlab.status("build"), Status::Running);
    assert_eq!(
        gitlab.upload("build", "artifact_type=archive&artifact_format=zip", "artifacts.zip", "PK"),
        201
    );
    assert_eq!(
        gitlab.upload("build", "artifact_type=dotenv&artifact_format=gzip", ".env", "VERSION=2\n"),
        201
    );
    gitlab.update("build", json!({"state": "success"}));
    assert_eq!(gitlab.status("deploy"), Status::Pending, "it does not wait for lint");

    assert_eq!(gitlab.take(), "deploy");
    let payload = gitlab.received["deploy"].clone();
    assert_eq!(value(&payload, "LABEL"), Some("v2"));
    let dependency = &payload["dependencies"][0];
    assert_eq!(dependency["artifacts_file"], json!({"filename": "artifacts.zip", "size": 2}));
    let path = format!("jobs/{}/artifacts", dependency["id"]);
    let token = dependency["token"].as_str().unwrap();
    assert_eq!(gitlab.call("GET", &path, &[("JOB-TOKEN", token)], String::new()), (200, Bytes::from("PK")));

    gitlab.update("deploy", json!({"state": "success"}));
    gitlab.update("lint", json!({"state": "success"}));
    assert_eq!(gitlab.run.outcome(), Some(Outcome::Success { warnings: false }));
}

#[test]
fn failures_exit_codes_and_retries() {
    let flaky = with(job("flaky", "build"), |job| {
        job.retry.max = 1;
        job.allow_failure = AllowFailure::ExitCodes(vec![3]);
    });
    let mut gitlab = Gitlab::new(vec![flaky, job("test", "test")]);
    let failed =
        |code: i64| json!({"state": "failed", "failure_reason": "script_failure", "exit_code": code});
    gitlab.take();
    let first = gitlab.received["flaky"]["id"].clone();
    gitlab.update("flaky", failed(1));
    assert_eq!(gitlab.take(), "flaky");
    assert_ne!(gitlab.received["flaky"]["id"], first);
    gitlab.update("flaky", failed(3));
    assert_eq!(gitlab.take(), "test");
    gitlab.update("test", json!({"state": "success"}));
    assert_eq!(gitlab.run.outcome(), Some(Outcome::Success { warnings: true }));
}

#[test]
fn canceling_waits_for_the_runner() {
    let mut gitlab = Gitlab::new(vec![job("running", "build"), job("waiting", "build"), job("test", "test")]);
    gitlab.take();
    gitlab.run.cancel(now());
    gitlab.settle();
    assert_eq!(gitlab.status("running"), Status::Canceling);
    assert_eq!(gitlab.status("waiting"), Status::Canceled);
    assert_eq!(gitlab.run.outcome(), None);
    gitlab.update("running", json!({"state": "failed", "failure_reason": "job_canceled"}));
    assert_eq!(gitlab.run.outcome(), Some(Outcome::Canceled));
}
