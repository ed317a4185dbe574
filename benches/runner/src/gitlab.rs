//! GitLab's side: a coordinator in this process.

use std::time::{Duration, SystemTime};

use runner_coordinator::core::{
    Coordinator, Event, EventKind, FinalUpdate, JobId, JobState, NewJob, NewRunner, Options,
};
use runner_coordinator::http::{Events, Handle, Server, ServerOptions};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::Error;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A coordinator that listens on loopback and keeps everything in memory.
#[derive(Debug)]
pub struct GitLab {
    server: Server,
    handle: Handle,
    events: Events,
}

/// When a job was handed out and when its final state was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub assigned: SystemTime,
    pub finished: SystemTime,
}

impl Times {
    pub fn length(self) -> Duration {
        self.finished.duration_since(self.assigned).unwrap_or_default()
    }
}

impl GitLab {
    /// Hands out a job as soon as there is one, also to who asked before.
    pub async fn start() -> Result<Self, Error> {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Result<Self, Error> {
        let mut options =
            Options { held_requests_get_jobs: true, trace_limit: u64::MAX, ..Options::default() };
        change(&mut options);
        let address = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(address, Coordinator::new(options), ServerOptions::in_memory()).await?;
        let handle = server.handle();
        let events = handle.events();
        Ok(Self { server, handle, events })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The token of a new runner.
    pub fn token(&self) -> SecretString {
        self.handle.create_runner(NewRunner::default()).token
    }

    /// The next event; an error when none comes for long.
    pub async fn event(&mut self) -> Result<Event, Error> {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.map_err(|_| "nothing happens any more")?.ok_or_else(|| "the coordinator ended".into())
    }

    /// Waits until jobs have succeeded. When each of them was handed out and ended, in the order of their ends.
    pub async fn finished(&mut self, jobs: &[JobId]) -> Result<Vec<(JobId, Times)>, Error> {
        let mut assigned = Vec::new();
        let mut done = Vec::new();
        while done.len() < jobs.len() {
            let event = self.event().await?;
            match event.kind {
                EventKind::JobAssigned { job, .. } if jobs.contains(&job) => assigned.push((job, event.at)),
                EventKind::JobFinished { job, state, failure_reason, .. } if jobs.contains(&job) => {
                    if state != JobState::Success {
                        return Err(self.failed(job, failure_reason.unwrap_or_default()));
                    }
                    let began = assigned.iter().find(|(other, _)| *other == job);
                    let (_, assigned) = began.ok_or("a job ended that was not handed out")?;
                    done.push((job, Times { assigned: *assigned, finished: event.at }));
                }
                _ => {}
            }
        }
        Ok(done)
    }

    fn failed(&self, job: JobId, reason: String) -> Error {
        let trace = String::from_utf8_lossy(&self.handle.read_trace(job, 0)).into_owned();
        let tail: String = trace.chars().skip(trace.chars().count().saturating_sub(4000)).collect();
        format!("job {job} failed ({reason}):\n{tail}").into()
    }

    /// Whether the runner's checksum of the log is that of what arrived.
    pub fn trace_is_complete(&self, job: JobId) -> bool {
        let look = |record: &runner_coordinator::core::JobRecord| {
            record.final_update.as_ref().map(FinalUpdate::trace_is_complete)
        };
        self.handle.job(job, look).flatten() == Some(true)
    }

    pub async fn stop(self) {
        self.server.shutdown().await;
    }
}

/// A job without sources.
pub fn job(script: &[&str]) -> NewJob {
    job_with(script, json!({}))
}

/// The same; what is given replaces fields of the payload.
pub fn job_with(script: &[&str], fields: Value) -> NewJob {
    let mut payload = json!({
        "job_info": { "name": "bench", "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": { "repo_url": "", "ref": "main", "sha": "", "refspecs": [] },
        "runner_info": { "timeout": 3600 },
        "features": { "failure_reasons": ["runner_interrupted", "runner_system_failure", "script_failure"] },
        "variables": [variable("GIT_STRATEGY", "none", false)],
        "steps": [{ "name": "script", "script": script, "timeout": 3600, "when": "on_success" }],
    });
    if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, fields) {
        payload.extend(fields);
    }
    NewJob::new(payload)
}

/// A variable of a job.
pub fn variable(key: &str, value: &str, masked: bool) -> Value {
    json!({ "key": key, "value": value, "public": !masked, "masked": masked })
}
