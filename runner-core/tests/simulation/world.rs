//! One schedule: what it consists of, and how it is lived.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use runner_api::ClientBuilder;
use runner_api::retry::RetryPolicy;
use runner_coordinator::core::{Coordinator, JobId, NewJob, NewRunner, Options};
use runner_core::executor::Capacity;
use runner_core::journal::{Entry, Journal};
use runner_core::manager::{Manager, ManagerHandle, RunnerEntry};
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use runner_core::task::{BlockingWork, Spawner, Task};
use runner_core::time::TokioClock;
use runner_core::variables::{Program, TlsFiles};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::dice::Dice;
use crate::fuse::Fuse;
use crate::network::{FAIR_AFTER, History, Line, Network, WEATHERS};
use crate::payload::Payload;
use crate::places::{Agent, Ending, Places, SECRET};
use crate::promises;
use crate::state::{Disk, MortalJournal};

/// The beginning of time.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// Longer than everything that has to come to an end.
const PATIENCE: Duration = Duration::from_secs(48 * 3600);

/// A job, before it is run.
#[derive(Debug, Clone)]
pub(crate) struct JobPlan {
    comes: Duration,
    pub(crate) ending: Ending,
    pub(crate) cancel: Option<(Duration, bool)>,
}

/// A process, before it runs.
#[derive(Debug)]
struct LifePlan {
    /// When it starts, after the end of the one before.
    after: Duration,
    death: Death,
}

#[derive(Debug)]
enum Death {
    /// With so many effects; whether the last one takes place.
    Effects(u64, bool),
    At(Duration),
    /// It is asked to end its jobs, and does; whether it is asked a second time, at once.
    Interrupt(Duration, bool),
    /// It is asked to leave its jobs to the next one.
    Detach(Duration),
}

/// Everything that is decided before a schedule begins.
#[derive(Debug)]
struct Plan {
    jobs: Vec<JobPlan>,
    lives: Vec<LifePlan>,
    runners: u64,
    concurrent: usize,
    limit: u32,
    request_concurrency: u32,
}

/// What is known at the end of a schedule.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) network: Arc<Network>,
    pub(crate) places: Arc<Places>,
    pub(crate) disk: Disk,
    pub(crate) jobs: BTreeMap<JobId, JobPlan>,
    /// Jobs that were in a manager's hands when it was interrupted. Those of one that died, or was detached from them, have lost
    /// nothing.
    pub(crate) cut_off: Mutex<Vec<u64>>,
    pub(crate) interrupted: Mutex<bool>,
    /// Tasks of the last manager that are left after its end.
    pub(crate) tasks_left: usize,
}

/// Runs the schedule of this seed and checks it. The history of what happened.
pub(crate) fn run(seed: u64) -> Vec<String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    // Tokio throws dice of its own, in the order of waking who waits for the same thing.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = builder.build().unwrap();
    let history = History::default();
    let watch = Watch { seed, history: Arc::clone(&history) };
    runtime.block_on(live(seed, history));
    watch.history.lock().unwrap().drain(..).collect()
}

/// Names the schedule when it breaks a promise.
struct Watch {
    seed: u64,
    history: History,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let history = self.history.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
            eprintln!("{history}\na promise is broken: SIMULATION_SEED={}", self.seed);
        }
    }
}

fn plan(seed: u64) -> Plan {
    let mut dice = Dice::new(seed, "plan");
    let jobs = (0..dice.number(1..7)).map(|_| JobPlan {
        comes: dice.millis(0..60_000),
        ending: match dice.number(0..10) {
            0..5 => Ending::Exit(0),
            5..7 => Ending::Exit(3),
            7..9 => Ending::Never,
            _ => Ending::Lost,
        },
        cancel: dice.percent(20).then(|| (dice.millis(0..60_000), dice.percent(50))),
    });
    let jobs = jobs.collect();
    let lives = (0..dice.number(0..4)).map(|_| LifePlan {
        after: dice.millis(0..40_000),
        death: match dice.number(0..12) {
            0..6 => Death::Effects(dice.number(1..250), dice.percent(50)),
            6..8 => Death::At(dice.millis(0..90_000)),
            8..10 => Death::Detach(dice.millis(0..90_000)),
            _ => Death::Interrupt(dice.millis(1_000..60_000), dice.percent(50)),
        },
    });
    let lives = lives.collect();
    Plan {
        jobs,
        lives,
        runners: dice.number(1..3),
        concurrent: usize::try_from(dice.number(1..4)).unwrap(),
        limit: u32::try_from(dice.number(0..3)).unwrap(),
        request_concurrency: u32::try_from(dice.number(1..3)).unwrap(),
    }
}

async fn live(seed: u64, history: History) {
    let plan = plan(seed);
    let mut dice = Dice::new(seed, "world");
    let clock = TokioClock::starting_at(SystemTime::UNIX_EPOCH + EPOCH);
    let mut coordinator = Coordinator::new(Options {
        seed,
        long_poll: dice.pick(&[Duration::ZERO, Duration::from_secs(50)]),
        trace_store_time: dice.pick(&[Duration::ZERO, Duration::ZERO, Duration::from_secs(9)]),
        watched_interval: dice.pick(&[Duration::from_secs(3), Duration::from_secs(60)]),
        ..Options::default()
    });
    let tokens: Vec<String> = (0..plan.runners)
        .map(|_| coordinator.create_runner(NewRunner::default()).token.expose_secret().to_owned())
        .collect();
    let partitions = (0..dice.number(0..3)).map(|_| {
        let begin = dice.millis(0..200_000);
        (begin, begin + dice.millis(1_000..100_000))
    });
    let partitions = partitions.collect();
    let weather = dice.pick(&WEATHERS);
    let network = Network::new(coordinator, clock, Dice::new(seed, "network"), weather, partitions, history);
    // Ids are given in the order of coming.
    let mut coming = plan.jobs.clone();
    coming.sort_by_key(|job| job.comes);
    let endings = (1..).zip(&coming).map(|(id, job)| (id, job.ending)).collect();
    let places = Places::new(seed, endings);
    let jobs = (1..).map(JobId::from).zip(coming.iter().cloned()).collect();
    let mut world = World {
        network: Arc::clone(&network),
        places,
        disk: Disk::default(),
        jobs,
        cut_off: Mutex::default(),
        interrupted: Mutex::default(),
        tasks_left: 0,
    };

    let ticking = tokio::spawn(Arc::clone(&network).tick());
    let users = tokio::spawn(users(Arc::clone(&network), coming));
    for (number, life) in (0..).zip(&plan.lives) {
        sleep(life.after).await;
        let fuse = match life.death {
            Death::Effects(effects, last) => Fuse::new(effects, last),
            _ => Fuse::new(u64::MAX, true),
        };
        let process = Process::start(&world, &plan, &tokens, clock, seed, number, &fuse);
        match life.death {
            Death::Effects(..) => {
                let _ = timeout(Duration::from_secs(400), fuse.death()).await;
            }
            Death::At(after) => sleep(after).await,
            Death::Interrupt(after, twice) => {
                sleep(after).await;
                *world.interrupted.lock().unwrap() = true;
                world.cut_off();
                network.note(format_args!("interrupted, twice: {twice}"));
                process.handle.interrupt();
                if twice {
                    process.handle.abort();
                }
                let ended = timeout(Duration::from_secs(600), process.ended()).await;
                network.note(format_args!("ended in time: {}", ended.is_ok()));
            }
            Death::Detach(after) => {
                sleep(after).await;
                network.note("detached");
                process.handle.detach();
                timeout(Duration::from_secs(120), process.ended())
                    .await
                    .unwrap_or_else(|_| panic!("seed {seed}: the manager does not let go of its jobs"));
            }
        }
        fuse.burn();
        network.note("the process dies");
        process.kill();
        world.places.forget_reservations();
    }
    sleep(dice.millis(0..40_000)).await;
    let fuse = Fuse::new(u64::MAX, true);
    let process = Process::start(&world, &plan, &tokens, clock, seed, u64::MAX, &fuse);
    users.await.unwrap();
    timeout(PATIENCE, all_finished(&world)).await.unwrap_or_else(|_| panic!("seed {seed}: not all jobs end"));
    // Copies that are still on their way find nothing that they could change.
    sleep(FAIR_AFTER + Duration::from_secs(200)).await;
    process.handle.drain();
    timeout(PATIENCE, process.ended())
        .await
        .unwrap_or_else(|_| panic!("seed {seed}: the manager does not end"));
    world.tasks_left = process.tasks();
    ticking.abort();
    promises::check(&world);
}

/// Jobs come and are canceled.
async fn users(network: Arc<Network>, jobs: Vec<JobPlan>) {
    let start = Instant::now();
    let mut cancels = Vec::new();
    for job in jobs {
        tokio::time::sleep_until(start + job.comes).await;
        let timeout = if job.ending == Ending::Never { 100 } else { 3600 };
        let payload = Payload::new(["true"]).after_script(["true"]).masked("SECRET", SECRET).timeout(timeout);
        let payload = payload.variable("GET_SOURCES_ATTEMPTS", "3");
        let id = network.with(|coordinator, now| coordinator.enqueue(NewJob::new(payload.into()), now));
        network.note(format_args!("job {id} comes: {job:?}"));
        if let Some((after, force)) = job.cancel {
            let network = Arc::clone(&network);
            cancels.push(tokio::spawn(async move {
                sleep(after).await;
                let state = network.with(|coordinator, now| coordinator.cancel(id, force, now));
                network.note(format_args!("job {id} is canceled: {state:?}"));
            }));
        }
    }
    for cancel in cancels {
        cancel.await.unwrap();
    }
}

async fn all_finished(world: &World) {
    let mut changes = world.network.changes();
    loop {
        changes.mark_unchanged();
        let finished = world.network.with(|coordinator, _| {
            world.jobs.keys().all(|job| coordinator.job(*job).is_some_and(|job| job.state.is_final()))
        });
        if finished {
            return;
        }
        changes.mark_unchanged();
        changes.changed().await.unwrap();
    }
}

/// A manager with its tasks.
struct Process {
    handle: ManagerHandle,
    spawner: Arc<Tasks>,
    ended: watch::Receiver<bool>,
}

impl Process {
    fn start(
        world: &World,
        plan: &Plan,
        tokens: &[String],
        clock: TokioClock,
        seed: u64,
        number: u64,
        fuse: &Fuse,
    ) -> Self {
        world.network.note("a process starts");
        let spawner = Arc::new(Tasks::default());
        let mut builder = Manager::builder()
            .concurrent(plan.concurrent)
            .clock(Arc::new(clock))
            .spawner(Arc::clone(&spawner) as Arc<dyn Spawner>);
        for (index, token) in tokens.iter().enumerate() {
            let mut ids = Dice::new(seed, ("request ids", number, index));
            let ids = Mutex::new(move || format!("{:032x}", ids.number(0..u64::MAX)));
            let client = ClientBuilder::new("http://gitlab.test")
                .unwrap()
                .transport(Line { network: Arc::clone(&world.network), fuse: fuse.clone() })
                .retry(RetryPolicy::default().with_jitter_seed(seed))
                .request_ids(move || (ids.lock().unwrap())())
                .build()
                .unwrap();
            let agent = Agent {
                places: Arc::clone(&world.places),
                fuse: fuse.clone(),
                capacity: watch::Sender::new(Capacity::UNLIMITED),
            };
            builder = builder.runner(RunnerEntry {
                identity: RunnerIdentity {
                    name: format!("runner {index}"),
                    url: "http://gitlab.test".parse().unwrap(),
                    token: token.as_str().into(),
                    system_id: "s_0123456789ab".into(),
                },
                poll: PollSettings {
                    limit: plan.limit,
                    request_concurrency: plan.request_concurrency,
                    ..PollSettings::default()
                },
                job: JobSettings { final_update_tries: 1000, ..JobSettings::default() },
                provider: Arc::new(agent),
                client,
                tls: TlsFiles::default(),
            });
        }
        let journal: Arc<dyn Journal> =
            Arc::new(MortalJournal { disk: world.disk.clone(), fuse: fuse.clone() });
        let program =
            Program { version: "1.2.3".into(), revision: "01234567".into(), platform: "linux/amd64".into() };
        let manager = builder.build(&journal, &program);
        let handle = manager.handle();
        let (done, ended) = watch::channel(false);
        spawner.spawn(Box::pin(async move {
            manager.run().await;
            done.send_replace(true);
        }));
        Self { handle, spawner, ended }
    }

    async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    fn kill(self) {
        self.spawner.0.lock().unwrap().abort_all();
    }

    fn tasks(&self) -> usize {
        let mut tasks = self.spawner.0.lock().unwrap();
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }
}

impl World {
    /// Whatever is written down now is in the hands of a process that is interrupted.
    fn cut_off(&self) {
        let entries = self.disk.journal.entries().unwrap();
        let jobs = entries.iter().map(|entry| match entry {
            Entry::Job(assignment, _) => assignment.key.job,
            Entry::Unreadable { why, .. } => panic!("{why}"),
        });
        self.cut_off.lock().unwrap().extend(jobs);
    }
}

/// The tasks of one process.
#[derive(Debug, Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl Spawner for Tasks {
    fn spawn(&self, task: Task) {
        self.0.lock().unwrap().spawn(task);
    }

    fn spawn_blocking(&self, work: BlockingWork) {
        work();
    }
}
