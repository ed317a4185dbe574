//! A run: GitLab's side in this process, the runner as a process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use runner_coordinator::core::{
    Coordinator, Endpoint, EventKind, FaultRecord, JobId, JobRecord, JobState, NewRunner, Options,
};
use runner_coordinator::fault::Effect;
use runner_coordinator::http::{Events, Handle, Server, ServerOptions};
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::check::{Found, problems};
use crate::disorder;
use crate::expect::{Body, Outcome, SERVER_REASON};
use crate::folder::{Folder, Repository};
use crate::jobs::{ARTIFACT_LIMIT, Deed, MARK, Spec, make};
use crate::params::Params;
use crate::payload::{Dependency, new_job};
use crate::program::{Act, Program};
use crate::runner::{Runner, configure};
use crate::summary::Summary;
use crate::wire::Wire;

/// Nothing is waited for longer without a sign of life.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often requests are looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(250);

/// Both sides, and what was seen so far.
#[derive(Debug)]
pub(crate) struct World {
    params: Params,
    started: Instant,
    runtime: Runtime,
    server: Option<Server>,
    handle: Handle,
    events: Events,
    folder: Folder,
    repository: Repository,
    runner: Option<Runner>,
    specs: Vec<Spec>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    /// The jobs at the server and what they are.
    jobs: BTreeMap<JobId, usize>,
    /// By number of the spec: the job that was accepted and has ended.
    ended: BTreeMap<usize, JobId>,
    /// How often each job ended.
    endings: BTreeMap<JobId, usize>,
    started: BTreeSet<JobId>,
    /// Jobs whose deed was done.
    done: BTreeSet<JobId>,
    /// Assigned to nobody who knew of it, and given out again.
    lost: usize,
    /// Handed out and not ended when the runner was killed.
    orphaned: BTreeSet<JobId>,
    /// Those of them that the next start could not go on with; they are run again.
    wire: Wire,
}

impl World {
    pub(crate) fn start(params: &Params) -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), Folder::new());
        let coordinator = Coordinator::new(Options {
            seed: params.seed,
            record_requests: true,
            record_faults: true,
            long_poll: Duration::from_secs(5),
            acknowledge_within: Duration::from_secs(disorder::acknowledge_within(params)),
            watched_interval: Duration::from_secs(1),
            artifact_limit: Some(ARTIFACT_LIMIT),
            ..Options::default()
        });
        let local = ([127, 0, 0, 1], 0).into();
        let options = ServerOptions::new(folder.path("artifacts")).with_storage(local);
        let server = runtime.block_on(Server::bind(local, coordinator, options)).unwrap();
        let handle = server.handle();
        let token = handle.create_runner(NewRunner::default()).token;
        configure(&folder, params, &server.url(), token.expose_secret());
        for rule in disorder::rules(params) {
            handle.add_fault(rule.parse().unwrap_or_else(|error| panic!("{rule}: {error:?}")));
        }
        let specs = make(params);
        folder.write(&specs);
        Self {
            params: *params,
            started: Instant::now(),
            events: handle.events(),
            runner: Some(Runner::start(&folder)),
            repository: folder.repository(),
            seen: Seen::default(),
            server: Some(server),
            runtime,
            handle,
            folder,
            specs,
        }
    }

    /// Runs all jobs to their end.
    pub(crate) fn run(&mut self) {
        for number in 0..self.specs.len() {
            if self.specs[number].needs.is_none() {
                self.enqueue(number);
            }
        }
        let (kills, jobs) = (self.params.kills, self.specs.len());
        let mut kills = (1..=kills).map(|kill| kill * jobs / (kills + 1)).peekable();
        while self.seen.ended.len() < self.specs.len() {
            self.step();
            if kills.next_if(|at| self.seen.ended.len() >= *at).is_some() {
                self.restart();
            }
        }
    }

    /// After all that the runner has all its slots: so many jobs that wait for each other end.
    pub(crate) fn last_job(&mut self) {
        self.handle.with(|coordinator, _| coordinator.clear_faults());
        let first = self.specs.len();
        let slots = self.params.slots;
        for number in first..first + slots {
            let wait = format!(
                ": > \"$FILES/here-{number}\"; until [ $(ls \"$FILES\" | grep -c '^here-') -eq {slots} ]; do sleep 0.1; done"
            );
            self.specs.push(Spec::plain(
                number,
                Program::default().then(Act::Do(wait)).out("all of us are here\n"),
            ));
        }
        self.folder.write(&self.specs[first..]);
        for number in first..first + slots {
            self.enqueue(number);
        }
        while self.seen.ended.len() < self.specs.len() {
            self.step();
        }
    }

    /// The runner ends, and everything is looked at.
    pub(crate) fn end(mut self) {
        let status = self.runner.take().map(Runner::drain);
        let mut wrong: Vec<String> = Vec::new();
        if status.and_then(|status| status.code()) != Some(0) {
            wrong.push(format!("the runner ended with {status:?}"));
        }
        wrong.extend(self.folder.processes().into_iter().map(|process| format!("still runs: {process}")));
        wrong.extend(self.folder.remains().iter().map(|file| format!("is left: {}", file.display())));
        self.look();
        for number in 0..self.specs.len() {
            wrong.extend(self.judge(number));
        }
        let injected = self.handle.with(|coordinator, _| coordinator.injected().to_vec());
        let summary = Summary {
            params: self.params,
            jobs: self.specs.len(),
            lost: self.seen.lost,
            orphaned: self.seen.orphaned.len(),
            wire: &self.seen.wire,
            injected: &injected,
            time: self.started.elapsed(),
        };
        #[expect(clippy::print_stdout, reason = "the numbers are what a long run is for")]
        {
            println!("{summary}");
        }
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
        if !wrong.is_empty() {
            self.give_up(&wrong);
        }
    }

    /// Takes the next event, if there is one soon.
    fn step(&mut self) {
        let began = Instant::now();
        loop {
            let event = self.runtime.block_on(async { timeout(LOOK, self.events.recv()).await });
            self.look();
            match event {
                Ok(Some(event)) => return self.on(event.kind),
                Ok(None) => panic!("the server is gone"),
                Err(_) if began.elapsed() > PATIENCE => {
                    let missing: Vec<usize> = (0..self.specs.len())
                        .filter(|number| !self.seen.ended.contains_key(number))
                        .collect();
                    self.give_up(&[format!(
                        "nothing happens any more; these jobs have not ended: {missing:?}"
                    )]);
                }
                Err(_) => {}
            }
        }
    }

    fn on(&mut self, event: EventKind) {
        match event {
            EventKind::JobStarted { job } => {
                self.seen.started.insert(job);
            }
            EventKind::TraceAppended { job, .. } => self.act(job),
            EventKind::JobFinished { job, failure_reason, .. } => {
                *self.seen.endings.entry(job).or_default() += 1;
                let number = self.seen.jobs[&job];
                if failure_reason.as_deref() == Some("runner_provisioning_timeout") {
                    self.lost(job, number);
                } else if self.was_cut(job) && failure_reason.as_deref() == Some("runner_system_failure") {
                    // What was left of the assignment was enough to give it back.
                    self.seen.lost += 1;
                    self.enqueue(number);
                } else if self.seen.ended.insert(number, job).is_none() {
                    self.enqueue_dependents(number);
                }
            }
            _ => {}
        }
    }

    /// Does what the server is to do to a job that waits for it.
    fn act(&mut self, job: JobId) {
        let Some(deed) = self.specs[self.seen.jobs[&job]].server.filter(|_| !self.seen.done.contains(&job))
        else {
            return;
        };
        // One that GitLab does not know to run yet would be canceled as one that never did.
        if self.handle.state(job) != Some(JobState::Running) {
            return;
        }
        let trace = self.handle.read_trace(job, 0);
        if crate::trace::find(&trace, MARK.as_bytes()).is_none() {
            return;
        }
        self.seen.done.insert(job);
        match deed {
            Deed::Cancel => self.handle.cancel(job, false),
            Deed::CancelAtOnce => self.handle.cancel(job, true),
            Deed::Fail => {
                self.handle.with(|coordinator, now| coordinator.fail(job, SERVER_REASON, now));
                None
            }
        };
    }

    /// GitLab gave a job up because nobody acknowledged it. That is only right if nobody heard of it: then it is tried again.
    fn lost(&mut self, job: JobId, number: usize) {
        let heard = self.seen.started.contains(&job) || !self.handle.read_trace(job, 0).is_empty();
        if heard || !(self.was_cut(job) || self.seen.orphaned.contains(&job)) {
            self.give_up(&[format!(
                "job {job} (number {number}) was accepted, and its acknowledgement did not come"
            )]);
        }
        self.seen.lost += 1;
        self.enqueue(number);
    }

    /// Whether the answer that handed the job out did not arrive as it was.
    fn was_cut(&self, job: JobId) -> bool {
        let assigned = self.handle.job(job, |record| record.assigned_at).flatten();
        let cuts = |record: &FaultRecord| {
            record.job.is_none()
                && Some(record.at) == assigned
                && matches!(record.effect, Effect::ResetAfter | Effect::Truncate(_) | Effect::Twice)
        };
        self.handle.with(|coordinator, _| coordinator.injected().iter().any(cuts))
    }

    fn enqueue(&mut self, number: usize) {
        let spec = &self.specs[number];
        let dependency = spec.needs.map(|needs| {
            let maker = self.seen.ended[&needs];
            let look = |record: &JobRecord| {
                let archive = record.artifact("archive");
                Dependency {
                    id: maker.0,
                    token: record.token.expose_secret().to_owned(),
                    file: archive.map(|archive| archive.filename.clone()).unwrap_or_default(),
                    size: archive.map(|archive| archive.size).unwrap_or_default(),
                }
            };
            self.handle.job(maker, look).unwrap()
        });
        let ticket = self.handle.reserve_job();
        self.seen.jobs.insert(ticket.id, number);
        let files = self.folder.path("files").display().to_string();
        self.handle.enqueue(new_job(spec, ticket, &files, &self.repository, dependency.as_ref()));
    }

    fn enqueue_dependents(&mut self, ended: usize) {
        let dependents: Vec<usize> =
            self.specs.iter().filter(|spec| spec.needs == Some(ended)).map(|spec| spec.number).collect();
        for number in dependents {
            self.enqueue(number);
        }
    }

    /// Kills the runner in the middle of everything and starts it again.
    fn restart(&mut self) {
        self.runner.take().into_iter().for_each(Runner::kill);
        self.handle.with(|coordinator, _| {
            let active = coordinator.jobs().filter(|job| job.assigned_at.is_some() && !job.state.is_final());
            self.seen.orphaned.extend(active.map(|job| job.id));
        });
        self.runner = Some(Runner::start(&self.folder));
    }

    /// Takes note of the requests; now and then a trace takes its time to be stored.
    fn look(&mut self) {
        let slow = self.started.elapsed().as_secs() % 5 == 4;
        let requests = self.handle.with(|coordinator, _| {
            coordinator.options_mut().trace_store_time = Duration::from_millis(slow.into());
            coordinator.take_requests()
        });
        self.seen.wire.take(requests);
    }

    /// What is wrong with a job.
    fn judge(&self, number: usize) -> Vec<String> {
        let spec = &self.specs[number];
        let job = self.seen.ended[&number];
        let look = |record: &JobRecord| Found {
            outcome: Outcome {
                state: record.state,
                reason: record.failure_reason.clone(),
                exit_code: record.exit_code,
            },
            trace: record.trace.bytes().to_vec(),
            last: record.final_update.clone(),
            archive: None,
            endings: self.seen.endings.get(&job).copied().unwrap_or_default(),
            troubles: 0,
        };
        let mut found = self.handle.job(job, look).unwrap();
        let archive = self.runtime.block_on(self.handle.read_artifact(job, "archive")).unwrap();
        found.archive = archive.map(|archive| archive.to_vec());
        let troubles = self.handle.with(|coordinator, _| {
            let own = coordinator.injected().iter().filter(|record| record.job == Some(job));
            own.filter(|record| record.endpoint == Endpoint::UpdateJob).count()
        });
        // Besides: a trace that was not stored yet, and moments without a server.
        found.troubles = troubles + 3;
        let problems = problems(spec, &found, self.seen.wire.job(job.0));
        if problems.is_empty() {
            return problems;
        }
        std::fs::write(self.folder.path(&format!("job-{number}.trace")), &found.trace).unwrap();
        if let Body::Exactly(text) | Body::Stopped { before: text, .. } = spec.script() {
            std::fs::write(self.folder.path(&format!("job-{number}.expected")), text).unwrap();
        }
        let title = format!("job {job}, number {number}, {:?}", spec.kind);
        problems.into_iter().map(|problem| format!("{title}: {problem}")).collect()
    }

    /// The run has failed: says where everything is that was seen.
    fn give_up(&mut self, wrong: &[String]) -> ! {
        let log = self.handle.with(|coordinator, _| {
            let lines = coordinator.injected().iter().map(|record| format!("{record:?}\n"));
            let jobs = coordinator.jobs().map(|job| format!("{job:?}\n"));
            lines.chain(jobs).collect::<String>()
        });
        let _ = std::fs::write(self.folder.path("server.log"), log);
        let path = self.folder.keep().display().to_string();
        let some: Vec<&String> = wrong.iter().take(20).collect();
        panic!("seed {}: {} problems, traces in {path}: {some:#?}", self.params.seed, wrong.len());
    }
}
