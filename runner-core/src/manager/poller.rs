//! Asking for jobs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner_api::{Job, JobAnswer, JobRequest, RunnerCredentials, SessionInfo, UnreadableJob};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::permits::Permits;
use super::requests::Shown;
use super::runner::Runner;
use super::shared::{self, Shared};
use crate::errors::chain;
use crate::executor::{AcquireError, Capacity, Cause, EnvironmentError, JobKey, Reservation};
use crate::journal::{Assignment, ClientCertificate, FORMAT_VERSION, JournalError, Terms};
use crate::observe::Happening;
use crate::run::{JobControl, JobTask, Refusal, RunnerContext, guarded, guarded_now, run_job};
use crate::session::{self, JobSession, Session};
use crate::settings::PollSettings;
use crate::variables::TlsFiles;

/// How long a provider may take to get a reservation back before its place is given to the next job all the same.
const RELEASE: Duration = Duration::from_secs(60);

/// Asks for jobs, one at a time, until the manager stops. A panic in it costs a pause.
pub(super) async fn poll(runner: Arc<Runner>, shared: Arc<Shared>) {
    while let Err(panic) = guarded(rounds(&runner, &shared)).await {
        tracing::error!(runner = %runner.name(), %panic, "asking for jobs panicked");
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = sleep(runner.refused()) => {}
        }
    }
}

async fn rounds(runner: &Arc<Runner>, shared: &Arc<Shared>) {
    let identity = &runner.context.identity;
    let credentials =
        RunnerCredentials::new(identity.token.clone()).with_system_id(identity.system_id.clone());
    let mut request = JobRequest::new(credentials);
    let mut capacity = runner.context.provider.capacity();
    loop {
        let place = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            place = async {
                runner.healthy().await;
                runner.requests.enter().await
            } => place,
        };
        let pause = {
            let turn = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                turn = Turn::wait(runner, shared, &mut capacity) => turn,
            };
            match turn {
                Ok(turn) => {
                    let _asking = shared.common.asks(runner.key());
                    request.may_be_held = shared.common.may_be_held(runner.key());
                    match ask(runner, shared, &mut request, turn).await {
                        Some(pause) => pause,
                        None => return,
                    }
                }
                Err(error) => no_turn(runner, &error),
            }
        };
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = pause.strictly(&runner.poll).pass(runner, &mut capacity) => {}
        }
        drop(place);
    }
}

/// What comes before the next request.
enum Pause {
    /// Nothing.
    None,
    /// This time, or until something may have changed: one of the runner's jobs ended, or its executor's capacity changed.
    UntilChanged(Duration),
    /// This time.
    Firm(Duration),
}

impl Pause {
    /// At least the interval, where that is asked for.
    fn strictly(self, poll: &PollSettings) -> Self {
        match self {
            Pause::None if poll.strict_check_interval => Pause::Firm(poll.check_interval),
            Pause::UntilChanged(time) if poll.strict_check_interval => Pause::Firm(time),
            pause => pause,
        }
    }

    async fn pass(self, runner: &Runner, capacity: &mut watch::Receiver<Capacity>) {
        match self {
            Pause::None => {}
            Pause::UntilChanged(time) => tokio::select! {
                biased;
                () = sleep(time) => {}
                () = runner.freed.notified() => {}
                Ok(()) = capacity.changed() => {}
            },
            Pause::Firm(time) => sleep(time).await,
        }
    }
}

/// Room for one job, held from before the request until the job has ended.
#[derive(Debug)]
struct Turn {
    reservation: Reservation,
    permits: Permits,
}

impl Turn {
    async fn wait(
        runner: &Runner,
        shared: &Shared,
        capacity: &mut watch::Receiver<Capacity>,
    ) -> Result<Self, AcquireError> {
        let closed = |_| AcquireError::NoCapacity("the manager is stopping".to_owned());
        let permits = Permits::wait(runner, shared).await.map_err(closed)?;
        // What changes from here on is a reason to ask again.
        capacity.mark_unchanged();
        Ok(Self { reservation: acquire(&runner.context).await?, permits })
    }

    async fn give_back(self, runner: &Runner) {
        release(&runner.context, self.reservation).await;
    }
}

fn no_turn(runner: &Runner, error: &AcquireError) -> Pause {
    if let AcquireError::NoCapacity(why) = error {
        tracing::debug!(runner = %runner.name(), %why, "no capacity");
        return Pause::UntilChanged(runner.poll.check_interval);
    }
    tracing::error!(runner = %runner.name(), error = %chain(error), "the executor cannot be used");
    Pause::Firm(runner.refused())
}

/// Sends one request. `None`: the manager stops.
async fn ask(
    runner: &Arc<Runner>,
    shared: &Arc<Shared>,
    request: &mut JobRequest,
    turn: Turn,
) -> Option<Pause> {
    let interval = runner.poll.check_interval;
    // Never left behind: who opens the journal after this manager shall find it closed.
    if !shared.writing.works(shared, &runner.context.journal).await {
        turn.give_back(runner).await;
        // A job that ends may make room.
        return Some(Pause::UntilChanged(interval));
    }
    let session;
    (session, request.session) = open_session(&runner.context).unzip();
    // Without a queue position GitLab holds nothing: an answer that does not come is only slow, and may bring a job.
    let held = request.may_be_held && runner.context.client.last_update().is_some();
    let answer = tokio::select! {
        biased;
        () = shared.stop.cancelled() => {
            turn.give_back(runner).await;
            return None;
        }
        answer = runner.context.client.request_job(request) => answer,
        () = shared.common.request_is_in_the_way(runner.key()), if held => {
            tracing::debug!(runner = %runner.name(), "a request that is held makes room for another runner");
            turn.give_back(runner).await;
            return Some(Pause::UntilChanged(interval));
        }
    };
    let shown = match &answer {
        Ok(JobAnswer::Job(_) | JobAnswer::Unreadable(_)) => Shown::Job,
        Err(error) if error.is_retryable() => Shown::Trouble,
        _ => Shown::Nothing,
    };
    runner.requests.learn(shown);
    let error = match answer {
        Ok(JobAnswer::Job(job)) => {
            return Some(accept(runner, shared, *job, session, turn).await);
        }
        Ok(answer) => {
            runner.answered();
            turn.give_back(runner).await;
            if let JobAnswer::Unreadable(job) = answer {
                refuse_unreadable(runner, shared, &job);
            }
            return Some(Pause::UntilChanged(interval));
        }
        Err(error) => error,
    };
    turn.give_back(runner).await;
    if error.is_forbidden() || error.is_configuration() {
        tracing::error!(runner = %runner.name(), error = %chain(&error), "GitLab refuses this runner");
        return Some(Pause::Firm(runner.refused()));
    }
    tracing::warn!(runner = %runner.name(), error = %chain(&error), "asking for a job failed");
    runner.answered();
    Some(Pause::Firm(error.retry_after().map_or(interval, |asked| asked.max(interval))))
}

/// A session for the job that is asked for, if the executor can have one.
fn open_session(context: &RunnerContext) -> Option<(Box<dyn Session>, SessionInfo)> {
    let can = guarded_now(|| context.provider.info().features.session).unwrap_or_default();
    can.then(|| session::open(&*context.sessions, &context.identity)).flatten()
}

/// Writes the job down and starts its task. It is acknowledged there, not here.
async fn accept(
    runner: &Arc<Runner>,
    shared: &Arc<Shared>,
    job: Job,
    session: Option<Box<dyn Session>>,
    turn: Turn,
) -> Pause {
    let context = &runner.context;
    let key = JobKey { runner: context.identity.token.short().to_owned(), job: job.id };
    let lease = shared.slots.take(&key.runner, job.job_info.project_id);
    // As they are now: the files may be replaced while the job runs.
    let tls = TlsFiles::of(&context.client.tls()).unwrap_or_else(|| context.tls.clone());
    let assignment = Assignment {
        version: FORMAT_VERSION,
        key: key.clone(),
        url: context.identity.url.to_string(),
        runner_name: context.identity.name.clone(),
        system_id: context.identity.system_id.clone(),
        job: job.clone(),
        slots: lease.slots(),
        accepted_at: context.clock.now(),
        terms: Some(Terms { settings: (*context.settings).clone(), program: context.program.clone() }),
        tls_client: tls.cert.zip(tls.key).map(|(certificate, key)| ClientCertificate { certificate, key }),
        tls_chain: tls.ca,
    };
    let assignment = match write_down(context, shared, assignment).await {
        Ok(assignment) => assignment,
        Err(error) => {
            shared.writing.failed();
            let error = chain(&*error);
            tracing::error!(job = %key, %error, "a job cannot be written down and is given back");
            turn.give_back(runner).await;
            refuse(runner, shared, &job, error);
            // The next job would fare no better, unless what is written before each request says so.
            return Pause::Firm(runner.refused());
        }
    };
    tracing::info!(job = %key, name = %job.job_info.name, project = job.job_info.project_id, "job accepted");
    context.tell(
        &key,
        Happening::Accepted {
            name: job.job_info.name.clone(),
            project: job.job_info.project_id,
            slots: assignment.slots,
        },
    );
    let control = JobControl::new();
    let listed = shared::Job { name: job.job_info.name.clone(), control: control.clone() };
    let Turn { reservation, permits } = turn;
    let task = JobTask {
        runner: Arc::clone(context),
        tls: assignment.tls_files(),
        assignment,
        job: Arc::new(job),
        reservation,
        control,
        session: session.map(|session| JobSession::begin(session, &key)),
        lease: Mutex::new(Some(lease)),
    };
    shared.spawn(key, listed, live(Arc::clone(runner), task, permits));
    runner.answered();
    Pause::None
}

/// The task of a job: runs it, then gives back what it held.
async fn live(runner: Arc<Runner>, mut task: JobTask, permits: Permits) {
    if let Err(panic) = guarded(run_job(&task)).await {
        tracing::error!(job = %task.assignment.key, %panic, "the task of a job panicked; its end is reported by the next start");
    }
    drop(task.session.take());
    give_back(&runner, &task.assignment.key, Some(task.reservation), (task.lease, permits)).await;
}

/// Gives back what a job held.
pub(super) async fn give_back<H>(runner: &Runner, key: &JobKey, reservation: Option<Reservation>, held: H) {
    let mut released = Box::pin(async {
        if let Some(reservation) = reservation {
            release(&runner.context, reservation).await;
        }
    });
    let in_time = timeout(RELEASE, &mut released).await.is_ok();
    drop(held);
    runner.freed.notify_waiters();
    if !in_time {
        tracing::warn!(job = %key, "the executor does not get the job's reservation back");
        released.await;
    }
}

/// Reserves room for a job.
pub(super) async fn acquire(context: &RunnerContext) -> Result<Reservation, AcquireError> {
    guarded(context.provider.acquire()).await.unwrap_or_else(|panic| {
        Err(AcquireError::Unusable(EnvironmentError::new(Cause::System, panic.to_string())))
    })
}

/// Gives room back.
pub(super) async fn release(context: &RunnerContext, reservation: Reservation) {
    if let Err(panic) = guarded(context.provider.release(reservation)).await {
        tracing::error!(runner = %context.identity.name, %panic, "giving a reservation back panicked");
    }
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Where it may wait for the disk: the entry has to survive the end of this machine.
async fn write_down(
    context: &RunnerContext,
    shared: &Shared,
    assignment: Assignment,
) -> Result<Assignment, BoxedError> {
    let journal = Arc::clone(&context.journal);
    let written = shared.blocking(move || {
        journal.begin(&assignment)?;
        Ok::<_, JournalError>(assignment)
    });
    Ok(written.await.ok_or("writing the job down panicked")??)
}

/// Fails a job that cannot be run at all.
fn refuse(runner: &Runner, shared: &Shared, job: &Job, why: String) {
    let client = runner.context.client.job(job.id, job.token.clone());
    let (known, tries) = (job.features.failure_reasons.clone(), runner.context.settings.final_update_tries);
    shared.spawn_aside(async move {
        Refusal::system_failure(why, &known, tries).tell(&client).await;
    });
}

fn refuse_unreadable(runner: &Runner, shared: &Shared, job: &UnreadableJob) {
    tracing::error!(runner = %runner.name(), error = %job, "GitLab sent a job that cannot be read");
    let (Some(id), Some(token)) = (job.id(), job.token()) else { return };
    let client = runner.context.client.job(id, token.clone());
    let (why, tries) = (job.to_string(), runner.context.settings.final_update_tries);
    shared.spawn_aside(async move {
        Refusal::system_failure(why, &[], tries).tell(&client).await;
    });
}
