//! GitLab's side in this process and in virtual time, for the tests of what faults cost.

use std::fs;
use std::future::Future;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use clap::{Args, Command, FromArgMatches};
use futures_util::TryStreamExt;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, BodyError, Transport, TransportError, TransportErrorKind};
use runner_api::{ClientBuilder, JobAnswer, JobClient, JobRequest, JobUpdate, RunnerCredentials};
use runner_coordinator::core::{Coordinator, Endpoint, JobId, NewJob, NewRunner, Options};
use runner_coordinator::http::{self as gitlab, ArtifactStore, Handle, Local, Lost};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::Instant;

/// GitLab with one running job, and that job's project folder.
pub(super) struct Site {
    pub(super) gitlab: Handle,
    pub(super) id: JobId,
    pub(super) job: JobClient,
    pub(super) folder: tempfile::TempDir,
}

impl Site {
    pub(super) async fn start() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let local = Local::starting_at(start, Coordinator::new(Options::default()), ArtifactStore::Memory);
        let gitlab = local.handle();
        let token = gitlab.create_runner(NewRunner::default()).token;
        let id = gitlab.enqueue(NewJob::new(json!({})));
        let client = ClientBuilder::new("http://gitlab.test").unwrap().transport(Line(local));
        let client = client.retry(RetryPolicy::default().with_jitter_seed(7)).build().unwrap();
        let request = JobRequest::new(RunnerCredentials::new(token.expose_secret()));
        let Ok(JobAnswer::Job(job)) = client.request_job(&request).await else { unreachable!("no job") };
        let job = client.job(job.id, job.token.clone());
        job.update(&JobUpdate::running()).await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("report.txt"), "content\n".repeat(1000)).unwrap();
        Self { gitlab, id, job, folder }
    }

    pub(super) fn fault(&self, fault: &str) {
        self.gitlab.add_fault(fault.parse().unwrap());
    }

    pub(super) fn requests(&self, endpoint: Endpoint) -> u64 {
        self.gitlab.with(|coordinator, _| coordinator.request_count(endpoint))
    }
}

/// Arguments as a script gives them; where GitLab is does not matter here.
pub(super) fn parse<T: Args + FromArgMatches>(arguments: &[&str]) -> T {
    let matches = T::augment_args(Command::new("test")).mut_args(|argument| argument.env(None));
    let matches = matches.try_get_matches_from([&["test"], arguments].concat()).unwrap();
    T::from_arg_matches(&matches).unwrap()
}

/// What a fault of this length costs: no more than that and a second.
pub(super) async fn in_time<T>(name: &str, length: Duration, transfer: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = transfer.await;
    let lost = start.elapsed();
    println!("| {name} | {:.1} s | {:.1} s |", length.as_secs_f64(), lost.as_secs_f64());
    assert!(lost <= length + Duration::from_secs(1), "{name}: lost {lost:?} by a fault of {length:?}");
    result
}

#[derive(Debug)]
struct Line(Local);

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let answer = self.0.send(request.map(gitlab::Body::from_stream)).await.map_err(|lost| {
            let kind = match lost {
                Lost::Refused => TransportErrorKind::Connect,
                _ => TransportErrorKind::Other,
            };
            TransportError::new(kind, lost.to_string())
        })?;
        Ok(answer.map(|body| Body::stream(body.into_data_stream().map_err(BodyError::from), None)))
    }
}
