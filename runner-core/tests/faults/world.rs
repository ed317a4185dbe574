//! GitLab, the run loop and one job, in this process and in virtual time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http::{Request, Response};
use runner_api::ClientBuilder;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, BodyError, Transport, TransportError, TransportErrorKind};
use runner_coordinator::core::{
    Coordinator, Endpoint, FinalUpdate, JobId, JobState, NewJob, NewRunner, Options, RequestRecord,
};
use runner_coordinator::http::{self as gitlab, ArtifactStore, Handle, Local, Lost};
use runner_core::executor::SimpleProvider;
use runner_core::journal::{Journal, MemoryJournal};
use runner_core::manager::{Manager, ManagerHandle, RunnerEntry};
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use runner_core::task::{BlockingWork, Spawner, Task};
use runner_core::time::TokioClock;
use runner_core::variables::{Program, TlsFiles};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::payload::Payload;
use crate::talker::{Script, Talker};

const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// Longer than anything lasts: what does not end fails.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// GitLab as this table knows it: somebody watches the log, nothing is held.
pub(crate) fn options() -> Options {
    Options { long_poll: Duration::ZERO, record_requests: true, ..Options::default() }
}

/// GitLab with one job in its queue, and a manager that works for it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) gitlab: Handle,
    pub(crate) job: JobId,
    pub(crate) talker: Talker,
    pub(crate) manager: ManagerHandle,
    running: JoinHandle<()>,
    start: Instant,
}

/// What is known of the job when its slot is free again.
#[derive(Debug)]
pub(crate) struct Lived {
    /// From the job's coming until its slot was free again.
    pub(crate) took: Duration,
    pub(crate) gitlab: Handle,
    pub(crate) job: JobId,
    pub(crate) state: JobState,
    pub(crate) failure_reason: Option<String>,
    /// The final state that GitLab took.
    pub(crate) final_update: Option<FinalUpdate>,
    /// Its log, with section times left out.
    pub(crate) log: String,
    /// When each final state was sent, from the job's coming.
    pub(crate) ends: Vec<Duration>,
    pub(crate) talker: Talker,
    pub(crate) start: Instant,
}

impl World {
    /// The manager begins to ask now; the job is there already.
    pub(crate) fn start(options: Options, faults: &[String], payload: Payload, script: Script) -> Self {
        let mut coordinator = Coordinator::new(options);
        for fault in faults {
            coordinator.add_fault(fault.parse().unwrap());
        }
        let local = Local::starting_at(SystemTime::UNIX_EPOCH + EPOCH, coordinator, ArtifactStore::Memory);
        let gitlab = local.handle();
        let token = gitlab.create_runner(NewRunner::default()).token.expose_secret().to_owned();
        let job = gitlab.enqueue(NewJob::new(payload.into()));
        let talker = Talker::new(script);
        let manager = manager(local, &token, &talker);
        let handle = manager.handle();
        let running = tokio::spawn(manager.run());
        Self { gitlab, job, talker, manager: handle, running, start: Instant::now() }
    }

    /// Lets time pass until so long after the start.
    pub(crate) async fn at(&self, time: Duration) {
        tokio::time::sleep_until(self.start + time).await;
    }

    /// Waits until the runner is done with the job.
    pub(crate) async fn end(self) -> Lived {
        let Self { gitlab, job, talker, manager, running, start } = self;
        tokio::time::timeout(PATIENCE, async {
            talker.until(|happened| happened.jobs > 0).await;
            // The manager ends with its last job.
            manager.drain();
            running.await.unwrap();
        })
        .await
        .unwrap_or_else(|_| panic!("the job does not end"));
        let took = start.elapsed();
        gitlab.clone().with(|coordinator, _| {
            assert_eq!(coordinator.oddities(), []);
            let epoch = SystemTime::UNIX_EPOCH + EPOCH;
            let ends = coordinator.requests().iter().filter(|request| is_end(request));
            let ends = ends.map(|request| request.at.duration_since(epoch).unwrap()).collect();
            let record = coordinator.job(job).unwrap();
            Lived {
                took,
                state: record.state,
                failure_reason: record.failure_reason.clone(),
                final_update: record.final_update.clone(),
                log: without_times(&record.trace.text()),
                gitlab,
                job,
                ends,
                talker,
                start,
            }
        })
    }
}

impl Lived {
    /// Requests of the job, answered or not.
    pub(crate) fn requests(&self, endpoint: Endpoint) -> u64 {
        self.gitlab.job(self.job, |record| record.request_count(endpoint)).unwrap()
    }

    /// When each request of an endpoint came.
    pub(crate) fn times(&self, endpoint: Endpoint) -> Vec<Duration> {
        let epoch = SystemTime::UNIX_EPOCH + EPOCH;
        self.gitlab.with(|coordinator, _| {
            let requests = coordinator.requests().iter().filter(|request| request.endpoint == Some(endpoint));
            requests.map(|request| request.at.duration_since(epoch).unwrap()).collect()
        })
    }

    /// When the script was told to end.
    pub(crate) fn told_to_end(&self) -> Option<Duration> {
        Some(self.talker.happened().told_to_end?.duration_since(self.start))
    }

    /// The script of a stage that was run.
    pub(crate) fn script(&self, stage: &str) -> Option<String> {
        self.talker.happened().stages.into_iter().find(|ran| ran.name == stage).map(|ran| ran.script)
    }
}

fn is_end(request: &RequestRecord) -> bool {
    let state = || {
        serde_json::from_slice::<serde_json::Value>(&request.body).ok()?["state"].as_str().map(str::to_owned)
    };
    request.endpoint == Some(Endpoint::UpdateJob) && state().is_some_and(|state| state != "running")
}

/// Sections say when they began and ended.
fn without_times(log: &str) -> String {
    let mut parts = log.split("section_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let mut fields = part.splitn(3, ':');
        let (kind, _time, rest) = (fields.next(), fields.next(), fields.next());
        text + "section_" + kind.unwrap_or_default() + ":" + rest.unwrap_or_default()
    })
}

fn manager(local: Local, token: &str, talker: &Talker) -> Manager {
    let clock = TokioClock::starting_at(SystemTime::UNIX_EPOCH + EPOCH);
    let client = ClientBuilder::new("http://gitlab.test")
        .unwrap()
        .transport(Line(local))
        .retry(RetryPolicy::default().with_jitter_seed(7));
    let entry = RunnerEntry {
        identity: RunnerIdentity {
            name: "under test".into(),
            url: "http://gitlab.test".parse().unwrap(),
            token: token.into(),
            system_id: "s_0123456789ab".into(),
        },
        poll: PollSettings { check_interval: Duration::from_secs(1), ..PollSettings::default() },
        job: JobSettings::default(),
        provider: Arc::new(SimpleProvider::with_clock(talker.clone(), Arc::new(clock))),
        client: client.build().unwrap(),
        tls: TlsFiles::default(),
    };
    let program =
        Program { version: "1.2.3".into(), revision: "01234567".into(), platform: "linux/amd64".into() };
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let builder = Manager::builder().runner(entry).concurrent(1).clock(Arc::new(clock));
    builder.spawner(Arc::new(InTurn)).build(&journal, &program)
}

/// The way to a coordinator in this process.
#[derive(Debug)]
struct Line(Local);

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
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

/// Nothing runs on another thread, whose time would be another.
#[derive(Debug)]
struct InTurn;

impl Spawner for InTurn {
    fn spawn(&self, task: Task) {
        drop(tokio::spawn(task));
    }

    fn spawn_blocking(&self, work: BlockingWork) {
        work();
    }
}
