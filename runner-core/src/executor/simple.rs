//! The simple form of an executor, and the adapter that makes an [`Environment`] of it.
//!
//! An [`Executor`] is three calls. The [`SimpleProvider`] gives it what the full form asks for: idempotent starts, streams that
//! can be dropped and taken up again, stop with grace. What it cannot give is adoption: output lives in this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    AcquireError, Capabilities, Capacity, Cause, CleanupReason, Environment, EnvironmentError, FollowEvent,
    FollowStream, Handle, JobContext, Notices, OutputFrame, OutputStream, Place, PrepareRequest, Provider,
    ProviderInfo, Remains, Reservation, StageEnd, StageInput, StageKey, StageStatus, Started, Stop,
};
use crate::time::{Clock, SystemClock};

/// Frames that may wait between an executor and the log before the executor's output waits.
const WAITING_FRAMES: usize = 16;

/// Runs the stages of one job, the simple way.
///
/// ```
/// use async_trait::async_trait;
/// use runner_core::executor::{
///     EnvironmentError, Executor, Notices, Output, OutputStream, Place, PrepareRequest, Shell, StageEnd, StageInput, StageKey,
/// };
/// use tokio_util::sync::CancellationToken;
///
/// /// Runs nothing and says so.
/// struct Dry;
///
/// #[async_trait]
/// impl Executor for Dry {
///     async fn prepare(&mut self, _: PrepareRequest, notices: Notices) -> Result<Place, EnvironmentError> {
///         notices.plain("Using the dry executor...").await;
///         Ok(Place {
///             builds_dir: "/builds".into(),
///             cache_dir: "/cache".into(),
///             shared: false,
///             shell: Shell::Sh,
///             helper: Vec::new(),
///             os: "linux".into(),
///             hostname: None,
///         })
///     }
///
///     async fn run(
///         &mut self,
///         stage: &StageKey,
///         input: StageInput,
///         output: &mut Output,
///         _cancel: CancellationToken,
///     ) -> Result<StageEnd, EnvironmentError> {
///         let text = format!("{stage}: {} bytes of script\n", input.script.len());
///         output.write(OutputStream::Stdout, text).await;
///         Ok(StageEnd::Exit(0))
///     }
/// }
/// ```
#[async_trait]
pub trait Executor: Send {
    /// Makes the place. Lines for the job's log go to `notices`. The future is dropped when the job is canceled meanwhile;
    /// `cleanup` is called then.
    ///
    /// # Errors
    /// With a cause and whether another try makes sense; the core calls `cleanup` before it.
    async fn prepare(&mut self, request: PrepareRequest, notices: Notices)
    -> Result<Place, EnvironmentError>;

    /// Runs one stage to its end.
    ///
    /// When `cancel` fires, ask what runs to end and return how it did. When the grace is over the future is dropped: what
    /// it started has to end with it (`kill_on_drop`).
    ///
    /// # Errors
    /// When it is not known how the stage ended. A script that fails is not an error: it is a [`StageEnd`].
    async fn run(
        &mut self,
        stage: &StageKey,
        input: StageInput,
        output: &mut Output,
        cancel: CancellationToken,
    ) -> Result<StageEnd, EnvironmentError>;

    /// Removes what was made. May be called again.
    ///
    /// # Errors
    /// When something stayed.
    async fn cleanup(&mut self) -> Result<(), EnvironmentError> {
        Ok(())
    }
}

/// Makes an [`Executor`] for each job.
pub trait ExecutorFactory: Send + Sync + fmt::Debug {
    /// What it makes.
    type Executor: Executor + 'static;

    /// What the executor is and can do; its capabilities are replaced by what the adapter can keep.
    fn info(&self) -> ProviderInfo;

    /// Makes an executor for this job; no I/O.
    ///
    /// # Errors
    /// When job and configuration can be seen not to fit.
    fn executor(&self, job: &JobContext) -> Result<Self::Executor, EnvironmentError>;
}

/// A [`Provider`] of environments that run a simple [`Executor`].
#[derive(Debug)]
pub struct SimpleProvider<F> {
    factory: F,
    clock: Arc<dyn Clock>,
    capacity: watch::Sender<Capacity>,
}

impl<F: ExecutorFactory> SimpleProvider<F> {
    /// A provider without a limit of its own.
    pub fn new(factory: F) -> Self {
        Self::with_clock(factory, Arc::new(SystemClock))
    }

    /// The same with the clock that stamps output.
    pub fn with_clock(factory: F, clock: Arc<dyn Clock>) -> Self {
        Self { factory, clock, capacity: watch::Sender::new(Capacity::UNLIMITED) }
    }
}

#[async_trait]
impl<F: ExecutorFactory> Provider for SimpleProvider<F> {
    fn info(&self) -> ProviderInfo {
        ProviderInfo { capabilities: Capabilities::default(), ..self.factory.info() }
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.capacity.subscribe()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        Ok(Reservation::new("simple"))
    }

    async fn release(&self, _reservation: Reservation) {}

    fn environment(
        &self,
        _reservation: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        Ok(Box::new(SimpleEnvironment {
            handle: Handle::new(
                self.factory.info().executor,
                serde_json::json!({ "job": job.key.to_string() }),
            ),
            executor: Arc::new(AsyncMutex::new(self.factory.executor(job)?)),
            clock: Arc::clone(&self.clock),
            stages: Mutex::new(HashMap::new()),
        }))
    }
}

/// Where an [`Executor`] writes a stage's output.
#[derive(Debug)]
pub struct Output {
    frames: mpsc::Sender<OutputFrame>,
    clock: Arc<dyn Clock>,
    offset: u64,
}

impl Output {
    /// Writes bytes as they are. Waits while the log is behind: this is what slows a job whose log cannot be stored.
    pub async fn write(&mut self, stream: OutputStream, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return;
        }
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        let frame = OutputFrame { offset, end: self.offset, time: self.clock.now(), stream, bytes };
        // A reader that is gone for good means that the job is over.
        let _ = self.frames.send(frame).await;
    }
}

struct SimpleEnvironment<E> {
    handle: Handle,
    executor: Arc<AsyncMutex<E>>,
    clock: Arc<dyn Clock>,
    stages: Mutex<HashMap<StageKey, Stage>>,
}

/// A started stage. The task that runs it owns the other ends.
#[derive(Clone)]
struct Stage {
    frames: Arc<AsyncMutex<Reader>>,
    end: watch::Receiver<Option<Result<StageEnd, Failure>>>,
    terminate: watch::Sender<Option<Duration>>,
}

struct Reader {
    frames: mpsc::Receiver<OutputFrame>,
    offset: u64,
}

/// An [`EnvironmentError`] that can be given out more than once.
#[derive(Clone)]
struct Failure {
    cause: Cause,
    text: String,
}

impl Failure {
    fn error(&self) -> EnvironmentError {
        EnvironmentError::new(self.cause, self.text.clone()).retriable(false)
    }
}

impl<E> fmt::Debug for SimpleEnvironment<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleEnvironment").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<E> SimpleEnvironment<E> {
    fn stages(&self) -> MutexGuard<'_, HashMap<StageKey, Stage>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self, key: &StageKey) -> Option<Stage> {
        self.stages().get(key).cloned()
    }
}

#[async_trait]
impl<E: Executor + 'static> Environment for SimpleEnvironment<E> {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        let mut executor = self.executor.lock().await;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EnvironmentError::new(Cause::Canceled, "preparing the environment was canceled")),
            result = executor.prepare(request, notices) => result,
        }
    }

    async fn start(&self, key: &StageKey, input: StageInput) -> Result<Started, EnvironmentError> {
        let mut stages = self.stages();
        if let Some(stage) = stages.get(key) {
            return Ok(if stage.end.borrow().is_some() { Started::Ended } else { Started::Running });
        }
        let (frames, receiver) = mpsc::channel(WAITING_FRAMES);
        let (end_sender, end) = watch::channel(None);
        let (terminate, stop) = watch::channel(None);
        let output = Output { frames, clock: Arc::clone(&self.clock), offset: 0 };
        let executor = Arc::clone(&self.executor);
        let running = key.clone();
        // The task ends with the stage: `stop` always gets through, and a dropped environment only detaches.
        tokio::spawn(async move {
            let result = run_stage(executor, running, input, output, stop).await;
            let _ = end_sender.send(Some(result));
        });
        let frames = Arc::new(AsyncMutex::new(Reader { frames: receiver, offset: 0 }));
        stages.insert(key.clone(), Stage { frames, end, terminate });
        Ok(Started::New)
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        let Some(stage) = self.stage(key) else {
            return broken(format!("stage {key} was not started"));
        };
        // One reader at a time; taking the lock waits until an earlier stream has been dropped.
        Box::pin(stream::unfold(Some((stage, from)), |state| async move {
            let (stage, from) = state?;
            let mut reader = stage.frames.lock().await;
            if reader.offset != from {
                let text = format!("output before offset {} is gone, asked from {from}", reader.offset);
                return Some((FollowEvent::Broken(EnvironmentError::new(Cause::System, text)), None));
            }
            if let Some(frame) = reader.frames.recv().await {
                reader.offset = frame.end;
                drop(reader);
                let next = frame.end;
                return Some((FollowEvent::Frame(frame), Some((stage, next))));
            }
            drop(reader);
            Some((ended(stage.end).await, None))
        }))
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        let Some(stage) = self.stage(key) else { return Ok(StageStatus::NotStarted) };
        // Looked at first: a task that ends tells how before it is gone.
        let gone = stage.end.has_changed().is_err();
        Ok(match &*stage.end.borrow() {
            None if gone => StageStatus::Lost(task_gone()),
            None => StageStatus::Running,
            Some(Ok(end)) => StageStatus::Ended(*end),
            Some(Err(failure)) => StageStatus::Lost(failure.error()),
        })
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        if let Some(stage) = self.stage(key) {
            let grace = match how {
                Stop::Terminate { grace } => grace,
                Stop::Kill => Duration::ZERO,
            };
            let _ = stage.terminate.send(Some(grace));
        }
        Ok(())
    }

    async fn cleanup(&self, _why: CleanupReason, deadline: Duration) -> Result<Remains, EnvironmentError> {
        let running: Vec<Stage> = self.stages().values().cloned().collect();
        for stage in &running {
            let _ = stage.terminate.send(Some(Duration::ZERO));
        }
        let clean = async {
            for mut stage in running {
                let _ = stage.end.wait_for(Option::is_some).await;
            }
            self.executor.lock().await.cleanup().await
        };
        match tokio::time::timeout(deadline, clean).await {
            Ok(result) => result.map(|()| Remains::default()),
            Err(_) => Err(EnvironmentError::new(
                Cause::System,
                format!("cleaning up took longer than {} s", deadline.as_secs()),
            )),
        }
    }
}

async fn run_stage<E: Executor>(
    executor: Arc<AsyncMutex<E>>,
    key: StageKey,
    input: StageInput,
    mut output: Output,
    mut stop: watch::Receiver<Option<Duration>>,
) -> Result<StageEnd, Failure> {
    let mut executor = executor.lock().await;
    let cancel = CancellationToken::new();
    let killed = async {
        let grace = requested(&mut stop).await;
        if grace.is_zero() {
            // A kill is no request: the executor is not told, it is dropped.
            return;
        }
        let mut end = after(grace);
        cancel.cancel();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(end) => return,
                // A second request can only shorten the grace of the first.
                Ok(()) = stop.changed() => {
                    if let Some(grace) = *stop.borrow() {
                        end = end.min(after(grace));
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        result = executor.run(&key, input, &mut output, cancel.clone()) => {
            result.map_err(|error| Failure { cause: error.cause(), text: error.to_string() })
        }
        () = killed => Ok(StageEnd::Signal(9)),
    }
}

fn after(grace: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(grace).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

/// Waits until a stop is asked for; forever when nobody is left who could.
async fn requested(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let grace = stop.wait_for(Option::is_some).await.map(|grace| grace.unwrap_or_default());
    match grace {
        Ok(grace) => grace,
        Err(_) => std::future::pending().await,
    }
}

async fn ended(mut end: watch::Receiver<Option<Result<StageEnd, Failure>>>) -> FollowEvent {
    match end.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(Ok(end))) => FollowEvent::Ended(*end),
        Ok(Some(Err(failure))) => FollowEvent::Broken(failure.error()),
        Ok(None) | Err(_) => FollowEvent::Broken(task_gone()),
    }
}

/// It panicked, or its runtime is being shut down.
fn task_gone() -> EnvironmentError {
    EnvironmentError::new(Cause::System, "the task that ran the stage is gone").retriable(false)
}

fn broken(text: String) -> FollowStream {
    Box::pin(stream::iter([FollowEvent::Broken(EnvironmentError::new(Cause::System, text))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Location;

    /// Runs for ever, or panics.
    struct Stubborn {
        panics: bool,
    }

    #[async_trait]
    impl Executor for Stubborn {
        async fn prepare(&mut self, _: PrepareRequest, _: Notices) -> Result<Place, EnvironmentError> {
            Err(EnvironmentError::new(Cause::System, "no place"))
        }

        async fn run(
            &mut self,
            _: &StageKey,
            _: StageInput,
            output: &mut Output,
            cancel: CancellationToken,
        ) -> Result<StageEnd, EnvironmentError> {
            output.write(OutputStream::Stdout, "words").await;
            assert!(!self.panics, "as asked");
            cancel.cancelled().await;
            output.write(OutputStream::Stdout, "was asked").await;
            std::future::pending().await
        }
    }

    fn environment(panics: bool) -> SimpleEnvironment<Stubborn> {
        SimpleEnvironment {
            handle: Handle::new("simple", serde_json::Value::Null),
            executor: Arc::new(AsyncMutex::new(Stubborn { panics })),
            clock: Arc::new(SystemClock),
            stages: Mutex::default(),
        }
    }

    fn input() -> StageInput {
        StageInput { script: String::new(), location: Location::Job, secrets: Vec::new() }
    }

    /// The events of a stage from the beginning, in words.
    async fn events(environment: &SimpleEnvironment<Stubborn>, key: &StageKey) -> Vec<String> {
        use futures_util::StreamExt;
        let events = environment.follow(key, 0).map(|event| match event {
            FollowEvent::Frame(frame) => String::from_utf8_lossy(&frame.bytes).into_owned(),
            FollowEvent::Ended(end) => end.to_string(),
            FollowEvent::Broken(error) => error.to_string(),
        });
        events.collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_request_never_makes_the_grace_longer() {
        let (environment, key) = (environment(false), StageKey::new(0, "step_script", 1));
        environment.start(&key, input()).await.unwrap();
        let begun = Instant::now();
        let ask = async {
            for _ in 0..3 {
                environment.stop(&key, Stop::Terminate { grace: Duration::from_secs(30) }).await.unwrap();
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        };
        let (seen, ()) = tokio::join!(
            async {
                let seen = events(&environment, &key).await;
                assert_eq!(begun.elapsed().as_secs(), 30);
                seen
            },
            ask
        );
        assert_eq!(seen, ["words", "was asked", "killed by signal 9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kill_is_not_announced() {
        let (environment, key) = (environment(false), StageKey::new(0, "step_script", 1));
        environment.start(&key, input()).await.unwrap();
        tokio::task::yield_now().await;
        environment.stop(&key, Stop::Kill).await.unwrap();
        assert_eq!(events(&environment, &key).await, ["words", "killed by signal 9"]);
    }

    #[tokio::test]
    async fn a_stage_whose_task_panicked_is_lost() {
        let (environment, key) = (environment(true), StageKey::new(0, "step_script", 1));
        assert!(matches!(environment.status(&key).await.unwrap(), StageStatus::NotStarted));
        environment.start(&key, input()).await.unwrap();
        assert_eq!(events(&environment, &key).await, ["words", "the task that ran the stage is gone"]);
        let StageStatus::Lost(error) = environment.status(&key).await.unwrap() else { panic!("not lost") };
        assert_eq!(error.to_string(), "the task that ran the stage is gone");
        environment.cleanup(CleanupReason::JobEnded, Duration::from_secs(1)).await.unwrap();
    }
}
