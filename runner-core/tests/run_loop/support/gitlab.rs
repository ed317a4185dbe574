//! GitLab's side: over HTTP, or in this process under virtual time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use runner_api::transport::{Body, Transport, TransportError, TransportErrorKind};
use runner_coordinator::core::{
    Answer, Coordinator, Cut, Endpoint, FinalUpdate, JobId, JobState, NewJob, NewRunner, Payload, Reply,
};
use runner_coordinator::http::Handle;
use runner_core::time::{Clock, SystemClock, TokioClock};
use secrecy::ExposeSecret;
use tokio::sync::watch;

/// Longer than anything that a test waits for: a test that hangs fails.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(48 * 3600);
const REAL_PATIENCE: Duration = Duration::from_secs(60);

/// GitLab, for a test. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) enum GitLab {
    Http(Handle),
    InProcess(Arc<InProcess>),
}

/// A coordinator whose time is tokio's.
#[derive(Debug)]
pub(crate) struct InProcess {
    coordinator: Mutex<Coordinator>,
    clock: TokioClock,
    changed: watch::Sender<u64>,
    down: Mutex<bool>,
}

impl GitLab {
    pub(crate) fn in_process(coordinator: Coordinator) -> Self {
        Self::InProcess(Arc::new(InProcess {
            coordinator: Mutex::new(coordinator),
            clock: TokioClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            changed: watch::Sender::new(0),
            down: Mutex::new(false),
        }))
    }

    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        match self {
            Self::Http(handle) => handle.with(call),
            Self::InProcess(own) => own.with(call),
        }
    }

    /// What time it is for it and for whoever works with it.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Http(_) => Arc::new(SystemClock),
            Self::InProcess(own) => Arc::new(own.clock),
        }
    }

    /// A runner that takes every job; its token.
    pub(crate) fn create_runner(&self) -> String {
        self.create(NewRunner::default())
    }

    /// A runner that takes jobs with this tag only; its token.
    pub(crate) fn create_tagged_runner(&self, tag: &str) -> String {
        self.create(NewRunner { tags: [tag.to_owned()].into(), run_untagged: false, ..NewRunner::default() })
    }

    fn create(&self, runner: NewRunner) -> String {
        self.with(|coordinator, _| coordinator.create_runner(runner)).token.expose_secret().to_owned()
    }

    pub(crate) fn enqueue(&self, payload: impl Into<serde_json::Value>) -> JobId {
        self.with(|coordinator, now| coordinator.enqueue(NewJob::new(payload.into()), now))
    }

    pub(crate) fn enqueue_tagged(&self, payload: impl Into<serde_json::Value>, tag: &str) -> JobId {
        let job = NewJob { tags: [tag.to_owned()].into(), ..NewJob::new(payload.into()) };
        self.with(|coordinator, now| coordinator.enqueue(job, now))
    }

    /// Makes something go wrong from now on; the form is that of the coordinator's module `fault`.
    pub(crate) fn fault(&self, rule: &str) {
        self.with(|coordinator, _| coordinator.add_fault(rule.parse().unwrap()));
    }

    pub(crate) fn clear_faults(&self) {
        self.with(|coordinator, _| coordinator.clear_faults());
    }

    /// Whether connections are refused. Only in this process.
    pub(crate) fn set_down(&self, down: bool) {
        let Self::InProcess(own) = self else { panic!("a server on a socket is not switched off") };
        *own.down.lock().unwrap() = down;
    }

    pub(crate) fn cancel(&self, job: JobId, force: bool) -> JobState {
        self.with(|coordinator, now| coordinator.cancel(job, force, now)).unwrap()
    }

    /// Waits until `look` finds something.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&mut Coordinator) -> Option<T>,
    ) -> T {
        let patience = match self {
            Self::Http(_) => REAL_PATIENCE,
            Self::InProcess(_) => VIRTUAL_PATIENCE,
        };
        let found = async {
            match self {
                Self::Http(handle) => {
                    let mut events = handle.events();
                    loop {
                        if let Some(found) = handle.with(|coordinator, _| look(coordinator)) {
                            return found;
                        }
                        // Not everything that is waited for makes an event: requests that are refused do not.
                        let _ = tokio::time::timeout(Duration::from_millis(20), events.recv()).await;
                    }
                }
                Self::InProcess(own) => {
                    let mut changed = own.changed.subscribe();
                    loop {
                        changed.mark_unchanged();
                        if let Some(found) = own.with_quietly(|coordinator, _| look(coordinator)) {
                            return found;
                        }
                        changed.changed().await.unwrap();
                    }
                }
            }
        };
        match tokio::time::timeout(patience, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain: {what}"),
        }
    }

    pub(crate) async fn finished(&self, job: JobId) -> JobState {
        self.until("the end of a job", |coordinator| {
            coordinator.job(job).map(|record| record.state).filter(|state| state.is_final())
        })
        .await
    }

    pub(crate) async fn started(&self, job: JobId) {
        self.until("the start of a job", |coordinator| {
            coordinator.job(job).filter(|job| job.started_at.is_some()).map(drop)
        })
        .await;
    }

    /// Waits until the job's trace shows `text`.
    pub(crate) async fn shows(&self, job: JobId, text: &str) {
        self.until(text, |coordinator| {
            let trace = readable(coordinator.job(job)?.trace.from(0));
            trace.contains(text).then_some(())
        })
        .await;
    }

    pub(crate) fn state(&self, job: JobId) -> JobState {
        self.with(|coordinator, _| coordinator.job(job).unwrap().state)
    }

    /// The trace as a person reads it: without colours.
    pub(crate) fn trace(&self, job: JobId) -> String {
        self.with(|coordinator, _| readable(coordinator.job(job).unwrap().trace.from(0)))
    }

    /// The final update as the runner sent it. Its trace was complete.
    pub(crate) fn final_update(&self, job: JobId) -> FinalUpdate {
        let update = self.with(|coordinator, _| coordinator.job(job).unwrap().final_update.clone());
        let update = update.unwrap_or_else(|| panic!("no final update of job {job}: {:?}", self.state(job)));
        assert!(update.trace_is_complete(), "{update:?}");
        update
    }

    /// State, failure reason and exit code of the final update.
    pub(crate) fn end(&self, job: JobId) -> (String, Option<String>, Option<i64>) {
        let update = self.final_update(job);
        (update.state, update.failure_reason, update.exit_code)
    }

    pub(crate) fn requests(&self, endpoint: Endpoint) -> u64 {
        self.with(|coordinator, _| coordinator.request_count(endpoint))
    }

    /// Body of the last request of an endpoint. Needs `Options::record_requests`.
    pub(crate) fn last_body(&self, endpoint: Endpoint) -> serde_json::Value {
        self.with(|coordinator, _| {
            let mut requests = coordinator.requests().iter().rev();
            let last = requests.find(|request| request.endpoint == Some(endpoint)).unwrap();
            serde_json::from_slice(&last.body).unwrap()
        })
    }

    /// When each request of an endpoint came, in seconds since the beginning. Needs `Options::record_requests`.
    pub(crate) fn times(&self, endpoint: Endpoint) -> Vec<u64> {
        let Self::InProcess(own) = self else { panic!("only virtual time is worth telling") };
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let coordinator = own.coordinator.lock().unwrap();
        let requests = coordinator.requests().iter().filter(|request| request.endpoint == Some(endpoint));
        requests.map(|request| request.at.duration_since(start).unwrap().as_secs()).collect()
    }

    /// The server found nothing odd in anything that was sent.
    pub(crate) fn assert_nothing_odd(&self) {
        self.with(|coordinator, _| assert_eq!(coordinator.oddities(), []));
    }
}

impl InProcess {
    fn with<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        let result = self.with_quietly(call);
        self.changed.send_modify(|count| *count += 1);
        result
    }

    fn with_quietly<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        call(&mut self.coordinator.lock().unwrap(), self.clock.now())
    }

    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let mut changed = self.changed.subscribe();
        let mut reply = self.with(|coordinator, now| coordinator.handle(request, now));
        loop {
            let hold = match reply {
                Reply::Ready(answer) => return *answer,
                Reply::Hold(hold) => hold,
            };
            let left = hold.until().duration_since(self.clock.now()).unwrap_or_default();
            changed.mark_unchanged();
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = changed.changed() => {}
            }
            reply = self.with_quietly(|coordinator, now| coordinator.resume(hold, now));
        }
    }
}

/// The way to a coordinator in this process.
#[derive(Debug)]
pub(crate) struct InProcessTransport(pub(crate) Arc<InProcess>);

#[async_trait]
impl Transport for InProcessTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body.collect(64 << 20).await?;
        if *self.0.down.lock().unwrap() {
            return Err(TransportError::new(TransportErrorKind::Connect, "connection refused"));
        }
        let answer = self.0.answer(Request::from_parts(head, body)).await;
        tokio::time::sleep(answer.delay).await;
        let (head, payload) = answer.response.into_parts();
        let Payload::Bytes(bytes) = payload else { panic!("no files in this process") };
        match answer.cut {
            None => Ok(Response::from_parts(head, Body::from(bytes))),
            Some(Cut::Body(at)) => {
                let piece = bytes.slice(..bytes.len().min(usize::try_from(at).unwrap()));
                let broken = Box::from("connection reset");
                let stream = futures_util::stream::iter([Ok(piece), Err(broken)]);
                Ok(Response::from_parts(head, Body::stream(stream, None)))
            }
            // No answer, and whatever ends of a connection are added to the coordinator.
            Some(_) => Err(TransportError::new(TransportErrorKind::Other, "connection reset")),
        }
    }
}

/// Without colours; a section's marker gets a line of its own.
fn readable(trace: &[u8]) -> String {
    let text = String::from_utf8_lossy(trace).replace("\r\u{1b}[0K", "\n").replace("\u{1b}[0K", "");
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}
