//! [`Bench`]: what checks work with.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::processes::{self, Process};
use super::{Host, Options};
use crate::executor::{
    AcquireError, CleanupReason, Environment, EnvironmentError, FollowEvent, FollowStream, JobContext,
    JobKey, Location, Notices, OutputFrame, OutputStream, Place, PrepareRequest, Provider, Reservation,
    SecretVariable, Slots, StageEnd, StageInput, StageKey, StageStatus, Stop,
};
use crate::variables::Variables;

/// Time that cleaning up gets.
pub(super) const CLEANUP: Duration = Duration::from_secs(60);
/// So often a stream may break without having brought anything.
const BREAKS: u32 = 5;

/// Why a check does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    NotApplicable(String),
    Failed(String),
}

pub(super) type Outcome<T = ()> = Result<T, Halt>;

/// Ends a check unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::conformance::bench::Halt::Failed(format!($($words)+)));
        }
    };
}
pub(super) use ensure;

/// Ends a check as failed.
pub(super) fn failed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Halt::Failed(why.into()))
}

/// Ends a check that cannot be made here.
pub(super) fn not_applicable<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Halt::NotApplicable(why.into()))
}

/// Says which call failed.
pub(super) trait During<T> {
    fn during(self, what: &str) -> Outcome<T>;
}

impl<T> During<T> for Result<T, EnvironmentError> {
    fn during(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Halt::Failed(format!("{what} failed: {error}")))
    }
}

/// Bytes as a person can compare them.
pub(super) fn show(bytes: &[u8]) -> String {
    let most = 300;
    let text = format!("{:?}", String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes)));
    if bytes.len() > most { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}

/// One check's surroundings.
pub(super) struct Bench {
    pub(super) host: Box<dyn Host>,
    pub(super) options: Options,
    token: String,
    jobs: AtomicU64,
    doing: Mutex<String>,
    live: Mutex<Vec<Live>>,
}

/// Something to clean up and give back.
struct Live {
    job: u64,
    provider: Arc<dyn Provider>,
    environment: Option<Arc<dyn Environment>>,
    reservation: Option<Reservation>,
}

impl Bench {
    pub(super) fn new(host: Box<dyn Host>, options: Options) -> Self {
        // Random, because hosts may share what names have to be unique in.
        let token = format!("{:09x}", RandomState::new().hash_one("conformance") & 0xf_ffff_ffff);
        Self {
            host,
            options,
            token,
            jobs: AtomicU64::new(1),
            doing: Mutex::default(),
            live: Mutex::default(),
        }
    }

    /// The variable that all processes of this check's jobs have.
    pub(super) fn marker(&self) -> String {
        format!("RUNNER_CONFORMANCE={}", self.token)
    }

    /// A text that nobody else on this machine has.
    pub(super) fn unique(&self, what: &str) -> String {
        format!("{what}-{}", self.token)
    }

    /// Notes what is being waited for, for the report of a check that hangs.
    pub(super) fn doing_now(&self, what: impl Into<String>) {
        *guard(&self.doing) = what.into();
    }

    pub(super) fn doing(&self) -> String {
        guard(&self.doing).clone()
    }

    /// A job that has no environment yet.
    pub(super) fn context(&self) -> Outcome<JobContext> {
        let id = self.jobs.fetch_add(1, Ordering::Relaxed);
        let payload = serde_json::json!({ "id": id, "token": "conformance" }).to_string();
        let job = runner_api::Job::from_json(payload).map_err(|error| Halt::Failed(error.to_string()))?;
        Ok(JobContext {
            key: JobKey { runner: self.token.clone(), job: id },
            job: Arc::new(job),
            variables: Variables::default(),
            slots: Slots { runner: 0, project: 0 },
            timeout: Duration::from_secs(3600),
        })
    }

    /// A job with an environment that was not prepared; `None` when there is no room for it.
    pub(super) async fn try_unprepared(&self, provider: &Arc<dyn Provider>) -> Outcome<Option<TestJob<'_>>> {
        self.doing_now("reserving room for a job");
        let reservation = match provider.acquire().await {
            Ok(reservation) => reservation,
            Err(AcquireError::NoCapacity(_)) => return Ok(None),
            Err(AcquireError::Unusable(error)) => return failed(format!("acquire failed: {error}")),
        };
        let context = self.context()?;
        let environment = provider.environment(&reservation, &context);
        let environment: Option<Arc<dyn Environment>> = environment.map(Arc::from).ok();
        let live = Live {
            job: context.key.job,
            provider: Arc::clone(provider),
            environment: environment.clone(),
            reservation: Some(reservation),
        };
        guard(&self.live).push(live);
        let Some(environment) = environment else {
            return failed("no environment was given for a plain job");
        };
        let marker = SecretVariable {
            key: "RUNNER_CONFORMANCE".to_owned(),
            value: self.token.clone().into(),
            file: None,
        };
        Ok(Some(TestJob { bench: self, provider: Arc::clone(provider), environment, context, marker }))
    }

    pub(super) async fn unprepared(&self, provider: &Arc<dyn Provider>) -> Outcome<TestJob<'_>> {
        match self.try_unprepared(provider).await? {
            Some(job) => Ok(job),
            None => failed("there is no room for a first job"),
        }
    }

    /// A prepared job of a new provider.
    pub(super) async fn job(&self) -> Outcome<(TestJob<'_>, Place)> {
        let provider = self.host.provider().await;
        let job = self.unprepared(&provider).await?;
        let place = job.prepare().await?;
        Ok((job, place))
    }

    /// Takes an environment that was adopted.
    pub(super) fn adopted(
        &self,
        provider: Arc<dyn Provider>,
        environment: Box<dyn Environment>,
        context: JobContext,
        marker: SecretVariable,
    ) -> TestJob<'_> {
        let environment: Arc<dyn Environment> = Arc::from(environment);
        let live = Live {
            job: context.key.job,
            provider: Arc::clone(&provider),
            environment: Some(Arc::clone(&environment)),
            reservation: None,
        };
        guard(&self.live).push(live);
        TestJob { bench: self, provider, environment, context, marker }
    }

    /// Cleans up and gives back what the check has not.
    pub(super) async fn sweep(&self) {
        let live = std::mem::take(&mut *guard(&self.live));
        for Live { provider, environment, reservation, .. } in live {
            if let Some(environment) = environment {
                // What a check wants to know of cleaning up it has asked itself.
                let _ = environment.cleanup(CleanupReason::JobEnded, CLEANUP).await;
            }
            if let Some(reservation) = reservation {
                provider.release(reservation).await;
            }
        }
    }

    /// Ends processes of the check's jobs that even cleaning up left.
    pub(super) fn kill_what_is_left(&self) {
        let marker = self.marker();
        for process in processes::with_variable(&marker) {
            processes::kill(&process, &marker);
        }
    }

    /// Processes of the check's jobs.
    pub(super) fn processes(&self) -> Vec<Process> {
        processes::with_variable(&self.marker())
    }

    fn take(&self, job: u64) -> Option<Live> {
        let mut live = guard(&self.live);
        let index = live.iter().position(|live| live.job == job)?;
        Some(live.swap_remove(index))
    }
}

/// A job of a check.
pub(super) struct TestJob<'a> {
    bench: &'a Bench,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) environment: Arc<dyn Environment>,
    pub(super) context: JobContext,
    pub(super) marker: SecretVariable,
}

impl<'a> TestJob<'a> {
    pub(super) async fn prepare(&self) -> Outcome<Place> {
        self.bench.doing_now("preparing");
        self.try_prepare(CancellationToken::new()).await.during("prepare")
    }

    /// Prepares with somebody who reads the notices.
    pub(super) async fn try_prepare(&self, cancel: CancellationToken) -> Result<Place, EnvironmentError> {
        let (notices, mut lines) = Notices::channel();
        let read = async { while lines.recv().await.is_some() {} };
        let prepare = self.environment.prepare(PrepareRequest::new(1), notices, cancel);
        tokio::join!(prepare, read).0
    }

    /// What a script needs: the text, and the variable that marks its processes.
    pub(super) fn input(&self, script: impl Into<String>) -> StageInput {
        StageInput { script: script.into(), location: Location::Job, secrets: vec![self.marker.clone()] }
    }

    /// Starts a stage.
    pub(super) async fn start(&self, key: &StageKey, script: impl Into<String>) -> Outcome {
        self.start_with(key, self.input(script)).await
    }

    pub(super) async fn start_with(&self, key: &StageKey, input: StageInput) -> Outcome {
        self.bench.doing_now(format!("starting stage {key}"));
        self.environment.start(key, input).await.during(&format!("start of {key}")).map(drop)
    }

    /// Starts a stage and follows it from the beginning.
    pub(super) async fn begin(&self, key: &StageKey, script: impl Into<String>) -> Outcome<Reading<'a>> {
        self.start(key, script).await?;
        Ok(self.read(key, 0))
    }

    /// Runs a stage to its end.
    pub(super) async fn run(&self, key: &StageKey, script: impl Into<String>) -> Outcome<Printed> {
        self.begin(key, script).await?.end().await
    }

    /// Follows a stage from an offset.
    pub(super) fn read(&self, key: &StageKey, from: u64) -> Reading<'a> {
        Reading {
            bench: self.bench,
            environment: Arc::clone(&self.environment),
            key: key.clone(),
            stream: self.environment.follow(key, from),
            next: from,
            frames: Vec::new(),
            breaks: 0,
        }
    }

    pub(super) async fn status(&self, key: &StageKey) -> Outcome<StageStatus> {
        self.bench.doing_now(format!("asking for the status of stage {key}"));
        self.environment.status(key).await.during("status")
    }

    /// Asks a stage to end.
    pub(super) async fn stop(&self, key: &StageKey, how: Stop) -> Outcome {
        self.bench.doing_now(format!("stopping stage {key}"));
        self.environment.stop(key, how).await.during("stop")
    }

    /// Lets a script go on that waits at [`gate`].
    pub(super) async fn open_gate(&self, key: &StageKey) -> Outcome {
        self.stop(key, Stop::Terminate { grace: Duration::from_secs(3600) }).await
    }

    /// Cleans up; the answer is what stayed.
    pub(super) async fn clean(&self) -> Outcome<Vec<String>> {
        self.bench.doing_now("cleaning up");
        let remains = self.environment.cleanup(CleanupReason::JobEnded, CLEANUP).await;
        Ok(remains.during("cleanup")?.items)
    }

    /// Cleans up, which has to leave nothing, and gives the room back.
    pub(super) async fn finish(self) -> Outcome {
        let left = self.clean().await?;
        ensure!(left.is_empty(), "cleanup left {left:?}");
        if let Some(Live { reservation: Some(reservation), .. }) = self.bench.take(self.context.key.job) {
            self.bench.doing_now("giving the room back");
            self.provider.release(reservation).await;
        }
        Ok(())
    }

    /// Drops the environment as a manager does that ends.
    pub(super) fn detach(self) -> (JobContext, SecretVariable) {
        drop(self.bench.take(self.context.key.job));
        (self.context, self.marker)
    }
}

/// Following a stage, as the core does: a stream that breaks is taken up again as long as the stage is known.
pub(super) struct Reading<'a> {
    bench: &'a Bench,
    environment: Arc<dyn Environment>,
    key: StageKey,
    stream: FollowStream,
    pub(super) next: u64,
    pub(super) frames: Vec<OutputFrame>,
    breaks: u32,
}

impl Reading<'_> {
    /// The next frame, or how the stage ended.
    pub(super) async fn frame(&mut self) -> Outcome<Result<OutputFrame, StageEnd>> {
        let so_far = self.frames.last().map(|frame| frame.end).unwrap_or_default();
        self.bench.doing_now(format!("following stage {} from {so_far}", self.key));
        loop {
            match self.stream.next().await {
                Some(FollowEvent::Frame(frame)) => {
                    self.breaks = 0;
                    self.next = frame.end;
                    self.frames.push(frame.clone());
                    return Ok(Ok(frame));
                }
                Some(FollowEvent::Ended(end)) => return Ok(Err(end)),
                Some(FollowEvent::Broken(error)) => self.again(error).await?,
                None => return failed("the stream ended without saying how the stage did"),
            }
        }
    }

    /// Reads until the output contains a text.
    pub(super) async fn until(&mut self, text: &str) -> Outcome {
        loop {
            let stdout = bytes_of(&self.frames, OutputStream::Stdout);
            if memchr::memmem::find(&stdout, text.as_bytes()).is_some() {
                return Ok(());
            }
            if let Err(end) = self.frame().await? {
                return failed(format!("ended with {end} before {text:?}; printed {}", show(&stdout)));
            }
        }
    }

    /// Reads to the end of the stage.
    pub(super) async fn end(mut self) -> Outcome<Printed> {
        loop {
            if let Err(end) = self.frame().await? {
                return Ok(Printed { frames: self.frames, end });
            }
        }
    }

    async fn again(&mut self, error: EnvironmentError) -> Outcome {
        self.breaks += 1;
        ensure!(self.breaks < BREAKS, "the stream breaks again and again: {error}");
        match self.environment.status(&self.key).await.during("status")? {
            StageStatus::NotStarted => return failed(format!("stage {} is not started: {error}", self.key)),
            StageStatus::Lost(lost) => return failed(format!("stage {} was lost: {lost}", self.key)),
            StageStatus::Running | StageStatus::Ended(_) | StageStatus::Unknown => {}
        }
        self.stream = self.environment.follow(&self.key, self.next);
        Ok(())
    }
}

/// What a stage printed, and how it ended.
#[derive(Debug)]
pub(super) struct Printed {
    pub(super) frames: Vec<OutputFrame>,
    pub(super) end: StageEnd,
}

impl Printed {
    pub(super) fn stdout(&self) -> Vec<u8> {
        bytes_of(&self.frames, OutputStream::Stdout)
    }

    pub(super) fn stderr(&self) -> Vec<u8> {
        bytes_of(&self.frames, OutputStream::Stderr)
    }

    /// Fails unless the stage printed exactly this on standard output and ended with code 0.
    pub(super) fn expect(&self, stdout: &str) -> Outcome {
        let printed = self.stdout();
        ensure!(printed == stdout.as_bytes(), "printed {} instead of {stdout:?}", show(&printed));
        ensure!(self.end.is_success(), "ended with {} instead of exit code 0", self.end);
        Ok(())
    }
}

fn bytes_of(frames: &[OutputFrame], stream: OutputStream) -> Vec<u8> {
    frames.iter().filter(|frame| frame.stream == stream).flat_map(|frame| frame.bytes.to_vec()).collect()
}

/// Key of a stage.
pub(super) fn stage(ordinal: u16) -> StageKey {
    StageKey::new(ordinal, "step_script", 1)
}

/// A script that prints `ready` and runs until it is ended.
pub(super) const WAIT: &str = "echo ready\nwhile :; do sleep 0.05; done\n";

/// Text of a script that says `ready` and goes on when [`TestJob::open_gate`] is called. The signal may end its `sleep` too;
/// what the shell has to say of that goes to standard error.
pub(super) fn gate() -> &'static str {
    "go=\ntrap 'go=1' TERM\necho ready\nwhile [ -z \"$go\" ]; do sleep 0.05; done\ntrue\n"
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
