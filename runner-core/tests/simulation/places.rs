//! Places to run in, which outlive the processes that use them. What happens in a place follows from the seed, the job and
//! the stage alone.

use std::collections::{BTreeMap, BTreeSet};
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
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::fuse::Fuse;

/// Masked in every job. No end of it is its beginning, so that replacing it in the whole text is right.
pub(crate) const SECRET: &str = "tr0ub4dor&3-zulu";

/// How the script of a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
    /// It does not end by itself.
    Never,
    /// Its place disappears.
    Lost,
}

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    seed: u64,
    endings: BTreeMap<u64, Ending>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    stages: BTreeMap<(u64, StageKey), Stage>,
    /// Places that are there.
    made: BTreeSet<u64>,
    /// Reservations of the process that lives.
    reserved: i64,
}

/// A stage that was started.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    started: Instant,
    /// Time since the start, and what is printed.
    prints: Vec<(Duration, Bytes)>,
    ends: Option<(Duration, StageEnd)>,
    lost: Option<Duration>,
    /// Whether it ends when it is asked to.
    obedient: bool,
    stopped: Option<(Instant, StageEnd)>,
}

impl Stage {
    fn of(seed: u64, job: u64, key: &StageKey, ending: Ending) -> Self {
        let mut dice = Dice::new(seed, (job, &key.name, key.attempt));
        let is_script = key.name == "step_script";
        let count = if is_script { dice.number(0..30) } else { dice.number(0..4) };
        let mut text = format!("<<{job} {} {}>>\n", key.name, key.attempt);
        for number in 0..count {
            text += &match dice.number(0..4) {
                0 => format!("line {number} says {SECRET} aloud\n"),
                1 => format!("{SECRET}{SECRET}"),
                2 => format!("{number} {}", &SECRET[..9]),
                _ => format!("line {number} of {}\n", key.name),
            };
        }
        let mut prints = Vec::new();
        let mut at = dice.millis(0..3_000);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let cut = usize::try_from(dice.number(1..40)).unwrap().min(rest.len());
            let (piece, after) = rest.split_at(cut);
            prints.push((at, Bytes::copy_from_slice(piece.as_bytes())));
            at += if dice.percent(60) { Duration::ZERO } else { dice.millis(0..2_000) };
            rest = after;
        }
        let last = at + dice.millis(0..4_000);
        // The third try is the last one and goes well.
        let fails = key.name == "get_sources" && key.attempt < 3 && dice.percent(25);
        let (ends, lost) = match ending {
            _ if !is_script => (Some((last, StageEnd::Exit(i32::from(fails)))), None),
            Ending::Exit(code) => (Some((last, StageEnd::Exit(code))), None),
            Ending::Never => (None, None),
            Ending::Lost => (None, Some(last)),
        };
        Self { started: Instant::now(), prints, ends, lost, obedient: dice.percent(70), stopped: None }
    }

    /// How it ended, if it has by now.
    fn end(&self) -> Option<(Instant, StageEnd)> {
        let own = self.ends.map(|(after, end)| (self.started + after, end));
        let first = match (own, self.stopped) {
            (Some(own), Some(stopped)) => Some(if own.0 <= stopped.0 { own } else { stopped }),
            (own, stopped) => own.or(stopped),
        };
        first.filter(|(at, _)| *at <= Instant::now() && self.lost_at().is_none_or(|lost| *at <= lost))
    }

    fn lost_at(&self) -> Option<Instant> {
        self.lost.map(|after| self.started + after).filter(|at| *at <= Instant::now())
    }

    /// Its place was gone before it ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.end().is_none() && self.lost_at().is_some()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end().is_some()
    }

    /// What it has printed by now.
    fn printed(&self) -> impl Iterator<Item = &(Duration, Bytes)> {
        let until = self.end().map(|(at, _)| at).or_else(|| self.lost_at()).unwrap_or_else(Instant::now);
        self.prints.iter().filter(move |(after, _)| self.started + *after <= until)
    }

    /// What it has printed by now, in one piece.
    pub(crate) fn output(&self) -> String {
        let bytes: Vec<u8> = self.printed().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        String::from_utf8(bytes).unwrap()
    }

    /// When something happens next by itself.
    fn next(&self) -> Option<Instant> {
        let prints = self.prints.iter().map(|(after, _)| *after);
        let times = prints.chain(self.ends.map(|(after, _)| after)).chain(self.lost);
        let own = times.map(|after| self.started + after).filter(|at| *at > Instant::now());
        own.chain(self.stopped.map(|(at, _)| at).filter(|at| *at > Instant::now())).min()
    }

    fn frame_from(&self, from: u64) -> Option<OutputFrame> {
        let mut offset = 0;
        for (_, bytes) in self.printed() {
            let end = offset + bytes.len() as u64;
            if offset >= from {
                return Some(OutputFrame {
                    offset,
                    end,
                    time: SystemTime::UNIX_EPOCH,
                    stream: OutputStream::Stdout,
                    bytes: bytes.clone(),
                });
            }
            offset = end;
        }
        None
    }
}

impl Places {
    pub(crate) fn new(seed: u64, endings: BTreeMap<u64, Ending>) -> Arc<Self> {
        let state = State {
            dice: Dice::new(seed, "places"),
            stages: BTreeMap::new(),
            made: BTreeSet::new(),
            reserved: 0,
        };
        Arc::new(Self { seed, endings, state: Mutex::new(state), changed: watch::Sender::new(0) })
    }

    /// The stages of a job that were started.
    pub(crate) fn stages(&self, job: u64) -> Vec<(StageKey, Stage)> {
        let state = self.state.lock().unwrap();
        let of_job = state.stages.iter().filter(|((of, _), _)| *of == job);
        of_job.map(|((_, key), stage)| (key.clone(), stage.clone())).collect()
    }

    /// Places that were made and not cleaned up.
    pub(crate) fn left(&self) -> Vec<u64> {
        self.state.lock().unwrap().made.iter().copied().collect()
    }

    /// Reservations that were not given back.
    pub(crate) fn reserved(&self) -> i64 {
        self.state.lock().unwrap().reserved
    }

    /// The process that held them is dead.
    pub(crate) fn forget_reservations(&self) {
        self.state.lock().unwrap().reserved = 0;
    }

    fn with<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        let result = call(&mut self.state.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    fn chance(&self, percent: u32) -> bool {
        self.state.lock().unwrap().dice.percent(percent)
    }

    fn millis(&self, most: u64) -> Duration {
        self.state.lock().unwrap().dice.millis(0..most)
    }
}

/// The places, as one process reaches them.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) places: Arc<Places>,
    pub(crate) fuse: Fuse,
    pub(crate) capacity: watch::Sender<Capacity>,
}

fn outage(what: &str) -> EnvironmentError {
    EnvironmentError::new(Cause::Outage, what)
}

#[async_trait]
impl Provider for Agent {
    fn info(&self) -> ProviderInfo {
        let mut features = runner_api::Features::default();
        features.variables = true;
        let capabilities = Capabilities { replay: true, adoption: true };
        ProviderInfo { executor: "simulated".into(), shell: "sh".into(), features, capabilities }
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.capacity.subscribe()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        if self.places.chance(3) {
            return Err(AcquireError::NoCapacity("full".into()));
        }
        self.places.with(|state| state.reserved += 1);
        Ok(Reservation::new("simulated"))
    }

    async fn release(&self, _: Reservation) {
        if !self.fuse.is_burnt() {
            self.places.with(|state| state.reserved -= 1);
        }
    }

    fn environment(
        &self,
        _: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        Ok(Box::new(Room { agent: self.clone(), job: job.key.clone() }))
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        Some(self)
    }
}

#[async_trait]
impl Adopter for Agent {
    async fn adopt(&self, _: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError> {
        sleep(self.places.millis(500)).await;
        if self.places.chance(10) {
            return Ok(Adoption::RetryLater(outage("nobody answers")));
        }
        if !self.places.state.lock().unwrap().made.contains(&job.key.job) {
            return Ok(Adoption::Gone(outage("there is no such place")));
        }
        Ok(Adoption::Live(Box::new(Room { agent: self.clone(), job: job.key.clone() })))
    }
}

#[derive(Debug, Clone)]
struct Room {
    agent: Agent,
    job: JobKey,
}

impl Room {
    fn look<T>(&self, key: &StageKey, look: impl FnOnce(Option<&mut Stage>) -> T) -> T {
        look(self.agent.places.state.lock().unwrap().stages.get_mut(&(self.job.job, key.clone())))
    }
}

#[async_trait]
impl Environment for Room {
    fn handle(&self) -> Handle {
        Handle::new("simulated", serde_json::json!({ "job": self.job.to_string() }))
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
        notices: Notices,
        _: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        let places = &self.agent.places;
        sleep(places.millis(5_000)).await;
        self.agent.fuse.guard(async { places.with(|state| state.made.insert(self.job.job)) }).await;
        if request.attempt < 3 && places.chance(10) {
            return Err(outage("no place for now"));
        }
        notices.plain(format!("A place, after {} tries.", request.attempt)).await;
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

    async fn start(&self, key: &StageKey, _: StageInput) -> Result<Started, EnvironmentError> {
        let places = &self.agent.places;
        sleep(places.millis(200)).await;
        if places.chance(5) {
            return Err(outage("nobody answers"));
        }
        let started = self.agent.fuse.guard(async {
            let ending = places.endings.get(&self.job.job).copied().unwrap_or(Ending::Exit(0));
            places.with(|state| {
                let id = (self.job.job, key.clone());
                if let Some(stage) = state.stages.get(&id) {
                    return if stage.has_ended() { Started::Ended } else { Started::Running };
                }
                state.stages.insert(id, Stage::of(places.seed, self.job.job, key, ending));
                Started::New
            })
        });
        let started = started.await;
        if places.chance(5) {
            return Err(outage("the answer is lost"));
        }
        Ok(started)
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        Box::pin(stream::unfold(Some((self.clone(), key.clone(), from)), |state| async move {
            let (room, key, from) = state?;
            let places = Arc::clone(&room.agent.places);
            let mut changed = places.changed.subscribe();
            loop {
                changed.mark_unchanged();
                if places.chance(3) {
                    return Some((FollowEvent::Broken(outage("the stream broke")), None));
                }
                let (frame, end, lost, next) = room.look(&key, |stage| match stage {
                    None => (None, None, true, None),
                    Some(stage) => (stage.frame_from(from), stage.end(), stage.is_lost(), stage.next()),
                });
                if let Some(frame) = frame {
                    let end = frame.end;
                    return Some((FollowEvent::Frame(frame), Some((room, key, end))));
                }
                if let Some((_, end)) = end {
                    return Some((FollowEvent::Ended(end), None));
                }
                if lost {
                    return Some((FollowEvent::Broken(outage("there is nothing")), None));
                }
                tokio::select! {
                    biased;
                    _ = changed.changed() => {}
                    () = async {
                        match next {
                            Some(at) => sleep_until(at).await,
                            None => std::future::pending().await,
                        }
                    } => {}
                }
            }
        }))
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        let places = &self.agent.places;
        sleep(places.millis(200)).await;
        if places.chance(10) {
            return if places.chance(50) { Ok(StageStatus::Unknown) } else { Err(outage("nobody answers")) };
        }
        Ok(self.look(key, |stage| match stage {
            None => StageStatus::NotStarted,
            Some(stage) if stage.is_lost() => {
                StageStatus::Lost(EnvironmentError::new(Cause::NodeLost, "the machine is gone"))
            }
            Some(stage) => stage.end().map_or(StageStatus::Running, |(_, end)| StageStatus::Ended(end)),
        }))
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        let places = &self.agent.places;
        sleep(places.millis(200)).await;
        if places.chance(5) {
            return Err(outage("nobody answers"));
        }
        let after = places.millis(3_000);
        let stop = async {
            self.look(key, |stage| {
                let Some(stage) = stage.filter(|stage| stage.end().is_none()) else { return };
                let end = match how {
                    Stop::Terminate { .. } if !stage.obedient => return,
                    Stop::Terminate { .. } => (Instant::now() + after, StageEnd::Signal(15)),
                    Stop::Kill => (Instant::now(), StageEnd::Signal(9)),
                };
                if stage.stopped.is_none_or(|(at, _)| end.0 < at) {
                    stage.stopped = Some(end);
                }
            });
            places.with(|_| ());
        };
        self.agent.fuse.guard(stop).await;
        Ok(())
    }

    async fn cleanup(&self, _: CleanupReason, _: Duration) -> Result<Remains, EnvironmentError> {
        let places = &self.agent.places;
        sleep(places.millis(500)).await;
        let clean = async {
            places.with(|state| {
                state.made.remove(&self.job.job);
                let now = Instant::now();
                let stages = state.stages.iter_mut().filter(|((job, _), _)| *job == self.job.job);
                for (_, stage) in stages.filter(|(_, stage)| !stage.has_ended() && !stage.is_lost()) {
                    stage.stopped = Some((now, StageEnd::Signal(9)));
                }
            });
        };
        self.agent.fuse.guard(clean).await;
        Ok(Remains::default())
    }
}
