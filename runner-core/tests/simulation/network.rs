//! GitLab and the way to it: requests and answers are lost, late, doubled and overtaken by others.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use runner_api::transport::{Body, Transport, TransportError, TransportErrorKind};
use runner_coordinator::core::{Answer, Coordinator, EventKind, JobId, Payload, Reply};
use runner_core::time::{Clock, TokioClock};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dice::Dice;
use crate::fuse::Fuse;

/// How bad the network is, in percent of the requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost_request: u32,
    pub(crate) lost_answer: u32,
    pub(crate) doubled: u32,
    pub(crate) late_copy: u32,
    pub(crate) slow: u32,
}

/// Calm, bad and terrible.
pub(crate) const WEATHERS: [Weather; 3] = [
    Weather { lost_request: 0, lost_answer: 0, doubled: 0, late_copy: 0, slow: 0 },
    Weather { lost_request: 5, lost_answer: 5, doubled: 3, late_copy: 3, slow: 5 },
    Weather { lost_request: 20, lost_answer: 20, doubled: 10, late_copy: 10, slow: 10 },
];

/// Weather and partitions end after this time, so that everything can be told in the end.
pub(crate) const FAIR_AFTER: Duration = Duration::from_secs(900);

/// What happened, a line each.
pub(crate) type History = Arc<Mutex<Vec<String>>>;

/// GitLab, reachable for those who are lucky.
#[derive(Debug)]
pub(crate) struct Network {
    coordinator: Mutex<Coordinator>,
    clock: TokioClock,
    start: Instant,
    changed: watch::Sender<u64>,
    dice: Mutex<Dice>,
    weather: Weather,
    /// While nobody reaches anybody: begin and end since the start.
    partitions: Vec<(Duration, Duration)>,
    history: History,
    /// Jobs that ended, once for each end.
    ends: Mutex<Vec<JobId>>,
}

impl Network {
    pub(crate) fn new(
        coordinator: Coordinator,
        clock: TokioClock,
        dice: Dice,
        weather: Weather,
        partitions: Vec<(Duration, Duration)>,
        history: History,
    ) -> Arc<Self> {
        Arc::new(Self {
            coordinator: Mutex::new(coordinator),
            clock,
            start: Instant::now(),
            changed: watch::Sender::new(0),
            dice: Mutex::new(dice),
            weather,
            partitions,
            history,
            ends: Mutex::default(),
        })
    }

    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Coordinator, SystemTime) -> T) -> T {
        let result = {
            let mut coordinator = self.coordinator.lock().unwrap();
            let result = call(&mut coordinator, self.clock.now());
            while let Some(event) = coordinator.next_event() {
                if let EventKind::JobFinished { job, .. } = event.kind {
                    self.ends.lock().unwrap().push(job);
                }
            }
            result
        };
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Lets GitLab notice what has become due, for ever.
    pub(crate) async fn tick(self: Arc<Self>) {
        loop {
            let due = self.coordinator.lock().unwrap().next_deadline();
            let mut changed = self.changed.subscribe();
            let left = due.map_or(Duration::from_secs(3600), |due| {
                due.duration_since(self.clock.now()).unwrap_or_default()
            });
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = sleep(left + Duration::from_millis(1)) => self.with(Coordinator::advance),
            }
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn ends_of(&self, job: JobId) -> usize {
        self.ends.lock().unwrap().iter().filter(|ended| **ended == job).count()
    }

    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        self.history.lock().unwrap().push(format!("{:>9.3} {what}", self.start.elapsed().as_secs_f64()));
    }

    fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.dice.lock().unwrap())
    }

    /// Whether something of this likelihood happens to a request.
    fn strikes(&self, percent: u32) -> bool {
        self.dice(|dice| dice.percent(percent)) && self.start.elapsed() < FAIR_AFTER
    }

    /// The end of the partition that is going on.
    fn partitioned(&self) -> Option<Instant> {
        let now = self.start.elapsed();
        let current = self.partitions.iter().find(|(begin, end)| (*begin..*end).contains(&now));
        current.map(|(_, end)| self.start + *end)
    }

    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let mut changed = self.changed.subscribe();
        let what = format!("{} {}", request.method(), request.uri().path());
        let mut reply = self.with(|coordinator, now| coordinator.handle(request, now));
        loop {
            let hold = match reply {
                Reply::Ready(answer) => {
                    self.note(format_args!("{what} {}", answer.response.status()));
                    return *answer;
                }
                Reply::Hold(hold) => hold,
            };
            let left = hold.until().duration_since(self.clock.now()).unwrap_or_default();
            changed.mark_unchanged();
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = sleep(left) => {}
            }
            reply = self.coordinator_quietly(hold);
        }
    }

    fn coordinator_quietly(&self, hold: runner_coordinator::core::Hold) -> Reply {
        self.coordinator.lock().unwrap().resume(hold, self.clock.now())
    }
}

/// The way of one process to GitLab.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) network: Arc<Network>,
    pub(crate) fuse: Fuse,
}

fn broken(kind: TransportErrorKind, text: &'static str) -> TransportError {
    TransportError::new(kind, text)
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let network = &self.network;
        let (head, body) = request.into_parts();
        let body = body.collect(64 << 20).await?;
        let copy = || Request::from_parts(head.clone(), body.clone());
        let weather = network.weather;

        let (there, back) = network.dice(|dice| (dice.millis(1..80), dice.millis(1..80)));
        let slow = if network.strikes(weather.slow) {
            network.dice(|dice| dice.millis(0..25_000))
        } else {
            Duration::ZERO
        };
        sleep(there + slow).await;
        if let Some(end) = network.partitioned() {
            if network.dice(|dice| dice.percent(50)) {
                return Err(broken(TransportErrorKind::Connect, "no route to host"));
            }
            sleep_until(end).await;
            return Err(broken(TransportErrorKind::Timeout, "nobody answers"));
        }
        if network.strikes(weather.lost_request) {
            return Err(broken(TransportErrorKind::Other, "connection reset on the way"));
        }
        if network.strikes(weather.late_copy) {
            let (network, copy) = (Arc::clone(network), copy());
            let late = network.dice(|dice| dice.millis(100..90_000));
            // On its way, whatever becomes of the process that sent it.
            tokio::spawn(async move {
                sleep(late).await;
                network.answer(copy).await;
            });
        }
        let first = network.strikes(weather.doubled).then(copy);
        let request = copy();
        let answered = self.fuse.guard(async {
            if let Some(first) = first {
                network.answer(first).await;
            }
            network.answer(request).await
        });
        let answer = answered.await;
        if network.strikes(weather.lost_answer) {
            return Err(broken(TransportErrorKind::Other, "connection reset on the way back"));
        }
        sleep(back).await;
        let (head, payload) = answer.response.into_parts();
        let Payload::Bytes(bytes) = payload else { panic!("no files in this process") };
        Ok(Response::from_parts(head, Body::from(bytes)))
    }
}
