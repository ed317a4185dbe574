//! GitLab's side without sockets: the coordinator's core behind a transport, its time being tokio's.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use runner_api::transport::{Body, Transport, TransportError, TransportErrorKind};
use runner_api::{
    Acceptance, Client, ClientBuilder, Job, JobAnswer, JobClient, JobRequest, RunnerCredentials,
};
use runner_coordinator::core::{
    Answer, Coordinator, Cut, Endpoint, JobId, JobState, NewJob, NewRunner, Options, Payload, Reply,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

/// An instance with one runner.
#[derive(Clone)]
pub(crate) struct GitLab(Arc<Inner>);

struct Inner {
    core: Mutex<Coordinator>,
    /// Something happened that a held request may wait for.
    moved: Notify,
    begun: Instant,
    credentials: RunnerCredentials,
}

impl std::fmt::Debug for GitLab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GitLab")
    }
}

impl GitLab {
    pub(crate) fn new(mut options: Options) -> Self {
        options.record_requests = true;
        let mut core = Coordinator::new(options);
        let runner = core.create_runner(NewRunner::default());
        let credentials =
            RunnerCredentials::new(runner.token.expose_secret()).with_system_id("s_0123456789ab");
        let inner =
            Inner { core: Mutex::new(core), moved: Notify::new(), begun: Instant::now(), credentials };
        Self(Arc::new(inner))
    }

    pub(crate) fn client(&self) -> Client {
        ClientBuilder::new("https://gitlab.example.com").unwrap().transport(self.clone()).build().unwrap()
    }

    pub(crate) fn request(&self) -> JobRequest {
        JobRequest::new(self.0.credentials.clone())
    }

    /// Wall-clock time that moves with tokio's clock.
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.0.begun.elapsed()
    }

    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        let result = call(&mut self.0.core.lock().unwrap(), self.now());
        self.0.moved.notify_waiters();
        result
    }

    pub(crate) fn fault(&self, rule: &str) {
        self.with(|core, _| core.add_fault(rule.parse().unwrap()));
    }

    pub(crate) fn enqueue(&self, payload: Value) -> JobId {
        self.with(|core, now| core.enqueue(NewJob::new(payload), now))
    }

    /// Hands a job out; it waits to be accepted.
    pub(crate) async fn assign(&self, payload: Value) -> (Job, JobClient) {
        let id = self.enqueue(payload);
        let client = self.client();
        let JobAnswer::Job(job) = client.request_job(&self.request()).await.unwrap() else {
            panic!("no job")
        };
        assert_eq!(job.id, id.0);
        let at_gitlab = client.job(job.id, job.token.clone());
        (*job, at_gitlab)
    }

    /// Hands a job out and lets it be accepted.
    pub(crate) async fn run(&self) -> JobClient {
        let (_, job) = self.assign(serde_json::json!({})).await;
        assert!(matches!(job.accept().await, Acceptance::Accepted));
        job
    }

    pub(crate) fn state(&self, job: &JobClient) -> JobState {
        self.with(|core, now| {
            core.advance(now);
            core.job(JobId(job.id())).unwrap().state
        })
    }

    pub(crate) fn trace(&self, job: &JobClient) -> Vec<u8> {
        self.with(|core, _| core.job(JobId(job.id())).unwrap().trace.from(0).to_vec())
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> u64 {
        self.with(|core, _| core.request_count(endpoint))
    }

    /// Bodies of all requests to an endpoint, in order.
    pub(crate) fn bodies(&self, endpoint: Endpoint) -> Vec<Value> {
        self.with(|core, _| {
            let of_endpoint = core.requests().iter().filter(|request| request.endpoint == Some(endpoint));
            of_endpoint.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
        })
    }
}

#[async_trait::async_trait]
impl Transport for GitLab {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.collect(1 << 26).await?);
        let mut reply = self.with(|core, now| core.handle(request, now));
        loop {
            match reply {
                Reply::Ready(answer) => return deliver(*answer).await,
                Reply::Hold(hold) => {
                    let left = hold.until().duration_since(self.now()).unwrap_or_default();
                    let _ = tokio::time::timeout(left, self.0.moved.notified()).await;
                    // Not by `with`: asking again moves nothing.
                    reply = self.0.core.lock().unwrap().resume(hold, self.now());
                }
            }
        }
    }
}

async fn deliver(answer: Answer) -> Result<Response<Body>, TransportError> {
    tokio::time::sleep(answer.delay).await;
    let broken = |kind| TransportError::new(kind, "as told");
    let (head, payload) = answer.response.into_parts();
    let Payload::Bytes(bytes) = payload else { panic!("nothing is in files here") };
    let body = match answer.cut {
        None => Body::from(bytes),
        Some(Cut::NoAnswer) => return Err(broken(TransportErrorKind::Other)),
        Some(Cut::Body(length)) => {
            let length = usize::try_from(length).unwrap().min(bytes.len());
            let pieces = [Ok(bytes.slice(..length)), Err("as told".into())];
            Body::stream(futures_util::stream::iter::<[Result<Bytes, _>; 2]>(pieces), None)
        }
        Some(_) => panic!("an unknown way to break"),
    };
    Ok(Response::from_parts(head, body))
}
