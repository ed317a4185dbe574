//! GitLab's side of the trace in memory, with answers on demand, and shorthands for the tests of the log path.

#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use runner_api::{JobState, JobStatus, JobUpdate, PatchResult, UpdateResult};
use runner_core::executor::{OutputFrame, OutputStream, StageKey};
use runner_core::log::{
    FilterSettings, JobLog, LogStorage, MaskRules, Reply, SenderSettings, TraceApi, TraceSender,
};
use runner_core::time::TokioClock;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the server does with one request instead of the usual.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Answers with this status and does nothing.
    Status(u16),
    /// Closes the connection before anything is done.
    Reset,
    /// Does what was asked and closes the connection.
    AnswerLost,
    /// Does nothing for so long, then closes the connection.
    Stall(Duration),
    /// Says that its trace has another length.
    Mismatch(u64),
    /// Does what was asked; the answer carries this status of the job.
    JobStatus(JobStatus),
    /// Refuses (403), with a status of the job or without.
    Forbidden(Option<JobStatus>),
    /// Takes the final state, but is not done with the trace yet; wants to be asked again after so long.
    NotCompleted(Duration),
    /// Finds the trace wrong.
    Invalid,
}

#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) at: Duration,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) at: Duration,
    pub(crate) update: JobUpdate,
}

#[derive(Debug)]
struct State {
    trace: Vec<u8>,
    patches: Vec<Patch>,
    puts: Vec<Put>,
    patch_faults: VecDeque<Fault>,
    put_faults: VecDeque<Fault>,
    interval: Option<Duration>,
    job_status: Option<JobStatus>,
    last_contact: Duration,
}

/// The server: strict about offsets, obedient otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    start: Instant,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with_trace(Vec::new())
    }

    /// A server that has part of a trace already.
    pub(crate) fn with_trace(trace: Vec<u8>) -> Self {
        let state = State {
            trace,
            patches: Vec::new(),
            puts: Vec::new(),
            patch_faults: VecDeque::new(),
            put_faults: VecDeque::new(),
            interval: None,
            job_status: None,
            last_contact: Duration::ZERO,
        };
        Self { start: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn fail_patches(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().patch_faults.extend(faults);
    }

    pub(crate) fn fail_puts(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().put_faults.extend(faults);
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        self.state.lock().unwrap().interval = Some(interval);
    }

    /// Every answer carries this from now on.
    pub(crate) fn set_job_status(&self, status: JobStatus) {
        self.state.lock().unwrap().job_status = Some(status);
    }

    /// The server loses the end of its trace.
    pub(crate) fn lose_all_but(&self, len: usize) {
        self.state.lock().unwrap().trace.truncate(len);
    }

    pub(crate) fn trace(&self) -> Vec<u8> {
        self.state.lock().unwrap().trace.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.trace()).unwrap()
    }

    /// Time and offset and length of each PATCH.
    pub(crate) fn patches(&self) -> Vec<(Duration, u64, usize)> {
        self.state.lock().unwrap().patches.iter().map(|p| (p.at, p.offset, p.bytes.len())).collect()
    }

    /// The bodies of all PATCHes.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.state.lock().unwrap().patches.iter().map(|p| p.bytes.clone()).collect()
    }

    pub(crate) fn puts(&self) -> Vec<(Duration, JobUpdate)> {
        self.state.lock().unwrap().puts.iter().map(|p| (p.at, p.update.clone())).collect()
    }

    /// The updates that told an end.
    pub(crate) fn ends(&self) -> Vec<(Duration, JobUpdate)> {
        self.puts().into_iter().filter(|(_, update)| update.state != JobState::Running).collect()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

fn failed<R>(result: R, status: Option<u16>) -> Reply<R> {
    Reply::new(result).with_problem(status, format!("status {status:?}"))
}

#[async_trait]
impl TraceApi for Server {
    async fn patch(&self, offset: u64, piece: Bytes, _debug: bool) -> Reply<PatchResult> {
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.patches.push(Patch { at: self.now(), offset, bytes: piece.clone() });
            state.patch_faults.pop_front()
        };
        if let Some(Fault::Stall(time)) = fault {
            tokio::time::sleep(time).await;
            return failed(PatchResult::Failed, None);
        }
        let mut state = self.state.lock().unwrap();
        let mut reply = match fault {
            Some(Fault::Status(404)) => return failed(PatchResult::NotFound, Some(404)),
            Some(Fault::Status(status)) => return failed(PatchResult::Failed, Some(status)),
            Some(Fault::Reset) => return failed(PatchResult::Failed, None),
            Some(Fault::Mismatch(server_len)) => {
                return failed(PatchResult::RangeMismatch { server_len }, Some(416));
            }
            Some(Fault::Forbidden(status)) => {
                let mut reply = failed(PatchResult::Abort, Some(403));
                reply.job_status = status;
                return reply;
            }
            fault => {
                let server_len = state.trace.len() as u64;
                if offset != server_len {
                    failed(PatchResult::RangeMismatch { server_len }, Some(416))
                } else {
                    state.trace.extend_from_slice(&piece);
                    let end = state.trace.len() as u64;
                    match fault {
                        Some(Fault::AnswerLost) => return failed(PatchResult::Failed, None),
                        Some(Fault::JobStatus(status)) => {
                            let result = if status.is_abort() {
                                PatchResult::Abort
                            } else {
                                PatchResult::Accepted { end }
                            };
                            Reply::new(result).with_job_status(status)
                        }
                        _ => Reply::new(PatchResult::Accepted { end }),
                    }
                }
            }
        };
        reply.update_interval = state.interval;
        if let Some(status) = state.job_status.clone() {
            reply = reply.with_job_status(status);
        }
        reply
    }

    async fn update(&self, update: &JobUpdate) -> Reply<UpdateResult> {
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.puts.push(Put { at: self.now(), update: update.clone() });
            state.put_faults.pop_front()
        };
        if let Some(Fault::Stall(time)) = fault {
            tokio::time::sleep(time).await;
            return failed(UpdateResult::Failed, None);
        }
        let state = self.state.lock().unwrap();
        let mut reply = match fault {
            Some(Fault::Status(404)) => return failed(UpdateResult::Abort, Some(404)),
            Some(Fault::Status(status)) => return failed(UpdateResult::Failed, Some(status)),
            Some(Fault::Reset | Fault::AnswerLost) => return failed(UpdateResult::Failed, None),
            Some(Fault::Forbidden(status)) => {
                let mut reply = failed(UpdateResult::Abort, Some(403));
                reply.job_status = status;
                return reply;
            }
            Some(Fault::JobStatus(status)) => {
                let result = if status.is_abort() { UpdateResult::Abort } else { UpdateResult::Succeeded };
                Reply::new(result).with_job_status(status)
            }
            Some(Fault::NotCompleted(interval)) => {
                Reply::new(UpdateResult::AcceptedButNotCompleted).with_update_interval(interval)
            }
            Some(Fault::Invalid) => return failed(UpdateResult::TraceValidationFailed, Some(412)),
            Some(Fault::Mismatch(_) | Fault::Stall(_)) | None => Reply::new(UpdateResult::Succeeded),
        };
        reply.update_interval = reply.update_interval.or(state.interval);
        if let Some(status) = state.job_status.clone() {
            reply = reply.with_job_status(status);
        }
        reply
    }
}

pub(crate) fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000)
}

pub(crate) fn filter_settings(secrets: &[&str]) -> FilterSettings {
    FilterSettings {
        rules: MaskRules::new(secrets.iter().copied(), [], true),
        output_limit: 64 << 20,
        timestamps: false,
        sections: true,
    }
}

pub(crate) fn stage() -> StageKey {
    StageKey::new(3, "step_script", 1)
}

/// Makes the frames of a stage, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    offset: u64,
}

impl Frames {
    pub(crate) fn next(&mut self, stream: OutputStream, bytes: impl Into<Bytes>) -> OutputFrame {
        let (offset, bytes) = (self.offset, bytes.into());
        self.offset += bytes.len() as u64;
        OutputFrame { offset, end: self.offset, time: epoch() + Duration::from_millis(offset), stream, bytes }
    }

    pub(crate) fn stdout(&mut self, bytes: impl Into<Bytes>) -> OutputFrame {
        self.next(OutputStream::Stdout, bytes)
    }

    pub(crate) fn stderr(&mut self, bytes: impl Into<Bytes>) -> OutputFrame {
        self.next(OutputStream::Stderr, bytes)
    }
}

/// A job's log with its sender, both running.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) log: JobLog,
    pub(crate) sender: TraceSender,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    frames: Frames,
}

impl Job {
    /// Opens the log in `storage` and sends it to `server`.
    pub(crate) async fn start(
        server: &Server,
        storage: LogStorage,
        filter: FilterSettings,
        sender: SenderSettings,
    ) -> Self {
        let clock = Arc::new(TokioClock::starting_at(epoch()));
        let (log, log_task) = JobLog::open(storage, filter, clock).await.unwrap();
        let (sender, sender_task) = TraceSender::new(Arc::new(server.clone()), &log, sender);
        let tasks = vec![tokio::spawn(log_task.run()), tokio::spawn(sender_task.run())];
        let frames = Frames { offset: log.offset(&stage()) };
        Self { log, sender, tasks, frames }
    }

    /// A new job with no secrets that GitLab knows to be running.
    pub(crate) async fn simple(server: &Server) -> Self {
        let clock = Arc::new(TokioClock::starting_at(epoch()));
        let (log, log_task) = JobLog::open(LogStorage::memory(), filter_settings(&[]), clock).await.unwrap();
        let (sender, sender_task) =
            TraceSender::new(Arc::new(server.clone()), &log, SenderSettings::default());
        sender.acknowledge().await;
        let tasks = vec![tokio::spawn(log_task.run()), tokio::spawn(sender_task.run())];
        Self { log, sender, tasks, frames: Frames::default() }
    }

    pub(crate) async fn print(&mut self, bytes: impl Into<Bytes>) {
        self.print_on(OutputStream::Stdout, bytes).await;
    }

    pub(crate) async fn print_on(&mut self, stream: OutputStream, bytes: impl Into<Bytes>) {
        let frame = self.frames.next(stream, bytes);
        self.log.append(&stage(), frame).await.unwrap();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Lets everything run that can run now, without letting time pass.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
