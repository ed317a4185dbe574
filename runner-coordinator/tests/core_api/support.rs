//! A coordinator with one runner and a clock that only moves when told to.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use runner_coordinator::core::{
    Coordinator, EventKind, JobId, JobRecord, NewJob, NewRunner, Options, Payload, Reply, RunnerId,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub(crate) struct Gitlab {
    pub(crate) core: Coordinator,
    pub(crate) now: SystemTime,
    pub(crate) runner: RunnerId,
    pub(crate) token: String,
}

/// An answer with its body in memory.
pub(crate) struct Answer(pub(crate) Response<Payload>);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        match self.0.body() {
            Payload::Bytes(bytes) => bytes,
            Payload::File { .. } => panic!("the core has no files"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(self.bytes()).unwrap()
    }

    /// Status and body of an error, the way the tables write them.
    pub(crate) fn error(&self) -> (u16, Value) {
        (self.status(), self.json())
    }
}

pub(crate) fn message(status: StatusCode) -> (u16, Value) {
    (status.as_u16(), json!({ "message": status.to_string() }))
}

impl Gitlab {
    pub(crate) fn new(options: Options) -> Self {
        let mut core = Coordinator::new(options);
        let runner = core.create_runner(NewRunner::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self { core, now, runner: runner.id, token: runner.token.expose_secret().to_owned() }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(crate) fn send(&mut self, request: Request<Bytes>) -> Reply {
        self.core.handle(request, self.now)
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(method, path, &[], Bytes::from(body.to_string()))
    }

    pub(crate) fn call_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v4/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer(self.send(request.body(body).unwrap()).ready().expect("an answer at once").response)
    }

    pub(crate) fn enqueue(&mut self, payload: Value) -> JobId {
        self.core.enqueue(NewJob::new(payload), self.now)
    }

    pub(crate) fn request_with(&mut self, features: Value) -> Answer {
        let body = json!({ "token": self.token, "system_id": "s_1", "info": { "features": features } });
        self.call("POST", "jobs/request", body)
    }

    /// A job that runs, with its token.
    pub(crate) fn running(&mut self) -> (JobId, String) {
        self.running_with(json!({ "cancel_gracefully": true }))
    }

    pub(crate) fn running_with(&mut self, features: Value) -> (JobId, String) {
        let job = self.enqueue(json!({}));
        let answer = self.request_with(features);
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.json()["id"], job.0);
        (job, answer.json()["token"].as_str().unwrap().to_owned())
    }

    pub(crate) fn update(&mut self, job: JobId, token: &str, mut body: Value) -> Answer {
        body["token"] = json!(token);
        self.call("PUT", &format!("jobs/{job}"), body)
    }

    pub(crate) fn patch(&mut self, job: JobId, token: &str, range: &str, bytes: &'static [u8]) -> Answer {
        let headers = [("JOB-TOKEN", token), ("Content-Range", range)];
        self.call_with("PATCH", &format!("jobs/{job}/trace"), &headers, Bytes::from_static(bytes))
    }

    pub(crate) fn job(&self, job: JobId) -> &JobRecord {
        self.core.job(job).unwrap()
    }

    /// All events that were not taken yet.
    pub(crate) fn events(&mut self) -> Vec<EventKind> {
        std::iter::from_fn(|| self.core.next_event()).map(|event| event.kind).collect()
    }
}
