//! Places that do what a test says.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use runner_core::executor::{
    AcquireError, Adopter, Adoption, Capabilities, Capacity, Cause, CleanupReason, Environment,
    EnvironmentError, FollowEvent, FollowStream, Handle, JobContext, JobKey, Notices, OutputFrame,
    OutputStream, Place, PrepareRequest, Provider, ProviderInfo, Remains, Reservation, Shell, StageEnd,
    StageInput, StageKey, StageStatus, Started, Stop,
};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A provider of scripted places. Clones are the same one; places outlive what holds them.
#[derive(Clone)]
pub(crate) struct Fake {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    capacity: watch::Sender<Capacity>,
}

#[derive(Default)]
struct State {
    acts: Vec<(String, Option<u16>, Act)>,
    prepare: VecDeque<Prepare>,
    acquire: VecDeque<Acquire>,
    calls: Vec<String>,
    stages: BTreeMap<(JobKey, StageKey), Stage>,
    adoptable: bool,
    sessions: bool,
    /// Places were gone when they were looked for.
    gone: bool,
    /// So often it cannot be told whether a place is there.
    unclear: u32,
    panic_at: Option<String>,
    hang_at: Vec<String>,
}

enum Prepare {
    Fail(EnvironmentError),
    /// Says lines until it is told to stop, and some more then.
    Talk,
    /// Never returns, whatever it is told.
    Hang,
}

enum Acquire {
    Full,
    Broken,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    prints: Vec<Bytes>,
    /// Prints a line each time this has passed, for ever.
    chatter: Option<Duration>,
    end: End,
    /// The stream breaks before these frames, each once.
    breaks: Vec<usize>,
    always_breaks: bool,
    terminate: Option<StageEnd>,
    kill: Option<StageEnd>,
    stop_takes: Duration,
    start: Start,
    /// Answers of `status` before the true ones.
    blind: u32,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Now(StageEnd),
    Held,
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Works,
    /// Fails so many times, without an effect.
    Fails(u32),
    /// Takes effect and never returns.
    Hangs,
}

struct Stage {
    act: Act,
    input: StageInput,
    frames: Vec<OutputFrame>,
    end: Option<StageEnd>,
    lost: bool,
}

impl Act {
    /// Ends at once with this exit code.
    pub(crate) fn exit(code: i32) -> Self {
        Self {
            prints: Vec::new(),
            chatter: None,
            end: End::Now(StageEnd::Exit(code)),
            breaks: Vec::new(),
            always_breaks: false,
            terminate: Some(StageEnd::Signal(15)),
            kill: Some(StageEnd::Signal(9)),
            stop_takes: Duration::ZERO,
            start: Start::Works,
            blind: 0,
        }
    }

    /// Runs until the test ends it, or it is stopped.
    pub(crate) fn held() -> Self {
        Self { end: End::Held, ..Self::exit(0) }
    }

    /// Its place is gone after what it prints.
    pub(crate) fn lost() -> Self {
        Self { end: End::Lost, ..Self::exit(0) }
    }

    pub(crate) fn prints(mut self, text: &'static str) -> Self {
        self.prints.push(Bytes::from_static(text.as_bytes()));
        self
    }

    pub(crate) fn chatters(mut self, every: Duration) -> Self {
        self.chatter = Some(every);
        self
    }

    /// The stream breaks off before the frame of this number.
    pub(crate) fn breaks_before(mut self, frame: usize) -> Self {
        self.breaks.push(frame);
        self
    }

    /// No stream ever delivers anything.
    pub(crate) fn always_breaks(mut self) -> Self {
        self.always_breaks = true;
        self
    }

    /// Does not end when it is asked to.
    pub(crate) fn ignores_terminate(mut self) -> Self {
        self.terminate = None;
        self
    }

    /// Does not end when it is killed, either.
    pub(crate) fn ignores_kill(mut self) -> Self {
        self.kill = None;
        self.ignores_terminate()
    }

    pub(crate) fn stop_takes(mut self, time: Duration) -> Self {
        self.stop_takes = time;
        self
    }

    pub(crate) fn start_fails(mut self, times: u32) -> Self {
        self.start = Start::Fails(times);
        self
    }

    pub(crate) fn start_hangs(mut self) -> Self {
        self.start = Start::Hangs;
        self
    }

    /// Its status is not known for so many calls.
    pub(crate) fn blind(mut self, times: u32) -> Self {
        self.blind = times;
        self
    }
}

impl Fake {
    /// Stages of these places end well at once, unless told otherwise.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: watch::Sender::new(0),
                capacity: watch::Sender::new(Capacity::UNLIMITED),
            }),
        }
    }

    /// What a stage does, in every job and try.
    pub(crate) fn on(self, stage: &str, act: Act) -> Self {
        self.state(|state| state.acts.push((stage.to_owned(), None, act)));
        self
    }

    /// What one try of a stage does.
    pub(crate) fn on_attempt(self, stage: &str, attempt: u16, act: Act) -> Self {
        self.state(|state| state.acts.push((stage.to_owned(), Some(attempt), act)));
        self
    }

    /// The next try of preparing a place fails.
    pub(crate) fn prepare_fails(self, error: EnvironmentError) -> Self {
        self.state(|state| state.prepare.push_back(Prepare::Fail(error)));
        self
    }

    /// The next try of preparing a place talks until it is stopped, and goes on talking.
    pub(crate) fn prepare_talks(self) -> Self {
        self.state(|state| state.prepare.push_back(Prepare::Talk));
        self
    }

    /// The next try of preparing a place never ends.
    pub(crate) fn prepare_hangs(self) -> Self {
        self.state(|state| state.prepare.push_back(Prepare::Hang));
        self
    }

    /// There is no room at the next call.
    pub(crate) fn acquire_full(self) -> Self {
        self.state(|state| state.acquire.push_back(Acquire::Full));
        self
    }

    /// The provider cannot be used at the next call.
    pub(crate) fn acquire_broken(self) -> Self {
        self.state(|state| state.acquire.push_back(Acquire::Broken));
        self
    }

    /// Places can be found again by a new manager.
    pub(crate) fn adoptable(self) -> Self {
        self.state(|state| state.adoptable = true);
        self
    }

    /// Users can reach its jobs while they run.
    pub(crate) fn offers_sessions(self) -> Self {
        self.state(|state| state.sessions = true);
        self
    }

    /// From now on places are gone.
    pub(crate) fn places_are_gone(&self) {
        self.state(|state| state.gone = true);
    }

    /// So many times it cannot be told whether a place is there.
    pub(crate) fn unclear(self, times: u32) -> Self {
        self.state(|state| state.unclear = times);
        self
    }

    /// The next call that is written down like this panics.
    pub(crate) fn panics_at(self, call: &str) -> Self {
        self.state(|state| state.panic_at = Some(call.to_owned()));
        self
    }

    /// Calls that are written down like this never return.
    pub(crate) fn hangs_at(self, call: &str) -> Self {
        self.state(|state| state.hang_at.push(call.to_owned()));
        self
    }

    /// Tells whoever waits that there may be room again.
    pub(crate) fn capacity_changes(&self) {
        self.shared.capacity.send_replace(Capacity::UNLIMITED);
    }

    /// Ends a held stage of all jobs.
    pub(crate) fn end(&self, stage: &str, end: StageEnd) {
        self.state(|state| {
            state
                .stages
                .iter_mut()
                .filter(|((_, key), stored)| key.name == stage && stored.end.is_none())
                .for_each(|(_, stored)| stored.end = Some(end));
        });
    }

    /// Ends a held stage of one job.
    pub(crate) fn end_of_job(&self, job: u64, stage: &str, end: StageEnd) {
        self.state(|state| {
            let stages = state.stages.iter_mut();
            stages
                .filter(|((of, key), stored)| of.job == job && key.name == stage && stored.end.is_none())
                .for_each(|(_, stored)| stored.end = Some(end));
        });
    }

    /// Running stages print something more.
    pub(crate) fn prints(&self, stage: &str, text: &'static str) {
        self.state(|state| {
            let stages = state.stages.iter_mut().filter(|((_, key), _)| key.name == stage);
            stages.for_each(|(_, stored)| {
                let mut offset = stored.frames.last().map_or(0, |frame| frame.end);
                stored.frames.push(frame(&mut offset, Bytes::from_static(text.as_bytes())));
            });
        });
    }

    /// Breaks the streams of a stage that wait for more.
    pub(crate) fn break_stream(&self, stage: &str) {
        self.state(|state| {
            let stages = state.stages.iter_mut().filter(|((_, key), _)| key.name == stage);
            stages.for_each(|(_, stored)| stored.act.breaks.push(stored.frames.len()));
        });
    }

    /// Everything that was called, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.read(|state| state.calls.clone())
    }

    /// The calls that begin with one of these words.
    pub(crate) fn calls_of(&self, words: &[&str]) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| words.iter().any(|word| call.starts_with(word)));
        calls
    }

    /// Waits until something was called.
    pub(crate) async fn called(&self, call: &str) {
        let mut changed = self.shared.changed.subscribe();
        let found = async {
            loop {
                changed.mark_unchanged();
                if self.calls().iter().any(|known| known == call) {
                    return;
                }
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(48 * 3600), found).await.is_err() {
            panic!("waited in vain for {call}: {:?}", self.calls());
        }
    }

    /// The script of the last stage of this name.
    pub(crate) fn script(&self, stage: &str) -> String {
        self.read(|state| {
            let mut stages = state.stages.iter().filter(|((_, key), _)| key.name == stage);
            stages.next_back().map(|(_, stage)| stage.input.script.clone())
        })
        .unwrap_or_else(|| panic!("stage {stage} was not started: {:?}", self.calls()))
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.send_modify(|count| *count += 1);
        result
    }

    /// Looks without waking those who wait for changes.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.state.lock().unwrap())
    }

    fn note(&self, call: impl Into<String>) {
        let call = call.into();
        self.state(|state| state.calls.push(call.clone()));
        self.panic_if_told(&call);
    }

    /// The same for a call that may hang.
    async fn pass(&self, call: String) {
        self.note(call.clone());
        if self.read(|state| state.hang_at.contains(&call)) {
            std::future::pending::<()>().await;
        }
    }

    fn panic_if_told(&self, call: &str) {
        let panics = self.state(|state| state.panic_at.take_if(|at| *at == call).is_some());
        assert!(!panics, "panic at {call}");
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

#[async_trait]
impl Provider for Fake {
    fn info(&self) -> ProviderInfo {
        let mut features = runner_api::Features::default();
        features.variables = true;
        features.session = self.read(|state| state.sessions);
        let capabilities = Capabilities { replay: true, adoption: false };
        ProviderInfo { executor: "fake".into(), shell: "sh".into(), features, capabilities }
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.panic_if_told("capacity");
        self.shared.capacity.subscribe()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        self.note("acquire");
        match self.state(|state| state.acquire.pop_front()) {
            None => Ok(Reservation::new("fake")),
            Some(Acquire::Full) => Err(AcquireError::NoCapacity("full".into())),
            Some(Acquire::Broken) => {
                Err(AcquireError::Unusable(EnvironmentError::new(Cause::Configuration, "no such place")))
            }
        }
    }

    async fn release(&self, _: Reservation) {
        self.pass("release".into()).await;
    }

    fn environment(
        &self,
        _: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        self.note("environment");
        Ok(Box::new(FakePlace { fake: self.clone(), job: job.key.clone() }))
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        self.read(|state| state.adoptable).then_some(self)
    }
}

#[async_trait]
impl Adopter for Fake {
    async fn adopt(&self, handle: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError> {
        self.pass("adopt".into()).await;
        assert_eq!(handle.value()["job"], job.key.to_string());
        let unclear = self.state(|state| {
            state.unclear = state.unclear.saturating_sub(1);
            state.unclear > 0
        });
        if unclear {
            return Ok(Adoption::RetryLater(EnvironmentError::new(Cause::Outage, "nobody answers")));
        }
        if self.read(|state| state.gone) {
            return Ok(Adoption::Gone(gone()));
        }
        Ok(Adoption::Live(Box::new(FakePlace { fake: self.clone(), job: job.key.clone() })))
    }
}

#[derive(Debug)]
struct FakePlace {
    fake: Fake,
    job: JobKey,
}

impl FakePlace {
    /// As [`stage`](Self::stage), without waking those who wait for changes.
    fn look<T>(&self, key: &StageKey, look: impl FnOnce(Option<&mut Stage>) -> T) -> T {
        let mut state = self.fake.shared.state.lock().unwrap();
        look(state.stages.get_mut(&(self.job.clone(), key.clone())))
    }

    fn stage<T>(&self, key: &StageKey, look: impl FnOnce(Option<&mut Stage>) -> T) -> T {
        self.fake.state(|state| look(state.stages.get_mut(&(self.job.clone(), key.clone()))))
    }
}

#[async_trait]
impl Environment for FakePlace {
    fn handle(&self) -> Handle {
        Handle::new("fake", serde_json::json!({ "job": self.job.to_string() }))
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        self.fake.note(format!("prepare {}", request.attempt));
        match self.fake.state(|state| state.prepare.pop_front()) {
            None => {}
            Some(Prepare::Fail(error)) => return Err(error),
            Some(Prepare::Talk) => {
                cancel.cancelled().await;
                for number in 0..100 {
                    notices.plain(format!("on my way out {number}")).await;
                }
                self.fake.note("prepare returns");
                return Err(EnvironmentError::new(Cause::Canceled, "stopped"));
            }
            Some(Prepare::Hang) => std::future::pending().await,
        }
        notices.plain("A place was made up.").await;
        Ok(Place {
            builds_dir: "/builds".into(),
            cache_dir: "/cache".into(),
            shared: false,
            shell: Shell::Sh,
            helper: vec!["helper".into()],
            os: "linux".into(),
            hostname: None,
        })
    }

    async fn start(&self, key: &StageKey, input: StageInput) -> Result<Started, EnvironmentError> {
        self.fake.note(format!("start {key}"));
        let hangs = self.fake.state(|state| {
            let id = (self.job.clone(), key.clone());
            if let Some(stage) = state.stages.get(&id) {
                return Ok(if stage.end.is_some() { Err(Started::Ended) } else { Err(Started::Running) });
            }
            let fits = |(name, attempt, _): &&mut (String, Option<u16>, Act)| {
                *name == key.name && attempt.is_none_or(|attempt| attempt == key.attempt)
            };
            let mut unscripted = Act::exit(0);
            let act = state.acts.iter_mut().find(fits).map_or(&mut unscripted, |(_, _, act)| act);
            if let Start::Fails(left) = &mut act.start
                && *left > 0
            {
                *left -= 1;
                return Err(EnvironmentError::new(Cause::Outage, "cannot start"));
            }
            let act = act.clone();
            let mut offset = 0;
            let frames = act.prints.iter().map(|bytes| frame(&mut offset, bytes.clone())).collect();
            let end = match act.end {
                End::Now(end) => Some(end),
                End::Held | End::Lost => None,
            };
            let hangs = matches!(act.start, Start::Hangs);
            let lost = matches!(act.end, End::Lost);
            state.stages.insert(id, Stage { act, input, frames, end, lost });
            Ok(Ok(hangs))
        })?;
        match hangs {
            Ok(false) => Ok(Started::New),
            Ok(true) => std::future::pending().await,
            Err(known) => Ok(known),
        }
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        self.fake.note(format!("follow {key} from {from}"));
        let place = FakePlace { fake: self.fake.clone(), job: self.job.clone() };
        let state = Some((place, key.clone(), from));
        Box::pin(stream::unfold(state, |state| async move {
            let (place, key, from) = state?;
            let mut changed = place.fake.shared.changed.subscribe();
            loop {
                changed.mark_unchanged();
                let next = place.look(&key, |stage| next_event(stage, from));
                match next {
                    Next::Event(event @ FollowEvent::Frame(_)) => {
                        let FollowEvent::Frame(frame) = &event else { return None };
                        let next = frame.end;
                        return Some((event, Some((place, key, next))));
                    }
                    Next::Event(event) => return Some((event, None)),
                    Next::Print(after) => {
                        tokio::select! {
                            () = sleep(after) => place.stage(&key, |stage| {
                                let Some(stage) = stage else { return };
                                let mut offset = stage.frames.last().map_or(0, |frame| frame.end);
                                stage.frames.push(frame(&mut offset, Bytes::from_static(b"and on\n")));
                            }),
                            _ = changed.changed() => {}
                        }
                    }
                    Next::Wait => {
                        let _ = changed.changed().await;
                    }
                }
            }
        }))
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        self.fake.pass(format!("status {key}")).await;
        Ok(self.stage(key, |stage| match stage {
            None => StageStatus::NotStarted,
            Some(stage) if stage.act.blind > 0 => {
                stage.act.blind -= 1;
                StageStatus::Unknown
            }
            Some(stage) if stage.lost => StageStatus::Lost(gone()),
            Some(stage) => stage.end.map_or(StageStatus::Running, StageStatus::Ended),
        }))
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        let word = match how {
            Stop::Terminate { .. } => "terminate",
            Stop::Kill => "kill",
        };
        sleep(self.stage(key, |stage| stage.map_or(Duration::ZERO, |stage| stage.act.stop_takes))).await;
        self.fake.pass(format!("{word} {key}")).await;
        self.stage(key, |stage| {
            let Some(stage) = stage.filter(|stage| stage.end.is_none()) else { return };
            stage.end = match how {
                Stop::Terminate { .. } => stage.act.terminate,
                Stop::Kill => stage.act.kill,
            };
        });
        Ok(())
    }

    async fn cleanup(&self, why: CleanupReason, _: Duration) -> Result<Remains, EnvironmentError> {
        self.fake.pass(format!("cleanup {why:?}")).await;
        Ok(Remains::default())
    }
}

enum Next {
    Event(FollowEvent),
    Print(Duration),
    Wait,
}

fn next_event(stage: Option<&mut Stage>, from: u64) -> Next {
    let Some(stage) = stage else {
        return Next::Event(FollowEvent::Broken(EnvironmentError::new(Cause::Outage, "not started")));
    };
    if stage.act.always_breaks {
        return Next::Event(FollowEvent::Broken(EnvironmentError::new(Cause::Outage, "stream broke")));
    }
    let number = stage.frames.iter().position(|frame| frame.offset >= from);
    if let Some(at) = stage.act.breaks.iter().position(|at| *at == number.unwrap_or(stage.frames.len())) {
        stage.act.breaks.remove(at);
        return Next::Event(FollowEvent::Broken(EnvironmentError::new(Cause::Outage, "stream broke")));
    }
    match (number, stage.end) {
        (Some(number), _) => Next::Event(FollowEvent::Frame(stage.frames[number].clone())),
        (None, Some(end)) => Next::Event(FollowEvent::Ended(end)),
        (None, None) if stage.lost => Next::Event(FollowEvent::Broken(gone())),
        (None, None) => stage.act.chatter.map_or(Next::Wait, Next::Print),
    }
}

fn gone() -> EnvironmentError {
    EnvironmentError::new(Cause::NodeLost, "the machine is gone")
}

fn frame(offset: &mut u64, bytes: Bytes) -> OutputFrame {
    let start = *offset;
    *offset += bytes.len() as u64;
    OutputFrame {
        offset: start,
        end: *offset,
        time: SystemTime::UNIX_EPOCH,
        stream: OutputStream::Stdout,
        bytes,
    }
}
