//! What an earlier process left is resolved before anything new is taken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::permits::Owed;
use super::poller::{acquire, give_back};
use super::runner::Runner;
use super::shared::{self, Shared};
use crate::errors::chain;
use crate::executor::{JobKey, Reservation};
use crate::journal::{Assignment, Entry, Journal, Progress};
use crate::run::{JobControl, JobTask, RunnerContext, guarded, resolve_job};

/// Tries of reserving room for a job that needs it to begin, with a pause between them.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

/// Entries of the journal.
#[derive(Debug, Default)]
pub(super) struct Left {
    jobs: Vec<(Assignment, Progress)>,
    /// Jobs whose entries cannot be read, as far as they can be told: what belongs to them is left alone.
    unknown: Vec<JobKey>,
}

impl Left {
    /// Reads the journal; says what cannot be read and what is of a runner that is not here.
    pub(super) fn read(journal: &dyn Journal, runners: &[Arc<Runner>]) -> Self {
        let entries = match journal.entries() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the journal cannot be read; jobs of an earlier process stay as they are");
                return Self::default();
            }
        };
        let mut left = Self::default();
        for entry in entries {
            match entry {
                Entry::Job(assignment, progress) => {
                    let here = runners.iter().any(|runner| is_of(runner, &assignment.key));
                    if here {
                        left.jobs.push((*assignment, *progress));
                    } else {
                        tracing::warn!(job = %assignment.key, runner = %assignment.runner_name,
                            "a job of a runner that is not configured here is left alone");
                    }
                }
                Entry::Unreadable { location, key, why } => {
                    tracing::error!(location = %location.display(), %why, "a journal entry is left alone");
                    left.unknown.extend(key);
                }
            }
        }
        left
    }

    /// Takes out what belongs to `runner`.
    pub(super) fn take(&mut self, runner: &Runner) -> Self {
        let jobs = self.jobs.extract_if(.., |(assignment, _)| is_of(runner, &assignment.key)).collect();
        Self { jobs, unknown: self.unknown.clone() }
    }
}

fn is_of(runner: &Runner, key: &JobKey) -> bool {
    runner.context.identity.token.short() == key.runner
}

/// Goes on with the runner's jobs, or ends what is left of them, then removes what no job owns. Only what becomes of them is waited
/// for: what takes longer goes on beside what comes next.
pub(super) async fn resolve(runner: &Arc<Runner>, shared: &Arc<Shared>, left: Left) {
    let Left { jobs, unknown } = left;
    let mut settled = Vec::new();
    for (assignment, progress) in jobs {
        settled.push(entry(runner, shared, assignment, progress).await);
    }
    // What settles drops its end of the channel.
    join_all(settled).await;
    if let Err(panic) = guarded(sweep(runner, shared, unknown)).await {
        tracing::error!(runner = %runner.name(), %panic, "looking for remains panicked");
    }
}

/// Starts to resolve an entry; the answer ends when it is known what becomes of the job. It has its numbers from the beginning, and
/// counts against the limits.
async fn entry(
    runner: &Arc<Runner>,
    shared: &Arc<Shared>,
    assignment: Assignment,
    progress: Progress,
) -> oneshot::Receiver<()> {
    let project = assignment.job.job_info.project_id;
    let lease = shared.slots.retake(&assignment.key.runner, project, assignment.slots);
    // What is left of a job with a verdict is to tell GitLab.
    let owed = match progress.verdict {
        None => Some(Owed::claim(runner, shared).await),
        Some(_) => None,
    };
    let key = assignment.key.clone();
    let control = JobControl::new();
    let job = shared::Job { name: assignment.job.job_info.name.clone(), control: control.clone() };
    let runner = Arc::clone(runner);
    let context = Arc::new(runner.context.on_terms_of(&assignment));
    let (settled, settles) = oneshot::channel();
    shared.spawn(key.clone(), job, async move {
        let reservation = match progress.verdict {
            None => reserve(&context, &key, progress.place.is_some()).await,
            Some(_) => None,
        };
        let is_reserved = reservation.is_some();
        let task = JobTask {
            runner: context,
            job: Arc::new(assignment.job.clone()),
            tls: assignment.tls_files(),
            assignment,
            reservation: reservation.unwrap_or_else(|| Reservation::new("an earlier process")),
            control,
            session: None,
            lease: Mutex::new(Some(lease)),
        };
        let job = async {
            if let Err(panic) = guarded(resolve_job(&task, progress, settled)).await {
                tracing::error!(job = %key, %panic, "resolving a job of an earlier process panicked");
            }
        };
        match owed {
            Some(owed) => owed.during(job).await,
            None => job.await,
        }
        let reservation = Some(task.reservation).filter(|_| is_reserved);
        give_back(&runner, &key, reservation, task.lease).await;
    });
    settles
}

/// Reserves room for a job of an earlier process once more. One that has a place does without, if need be.
async fn reserve(context: &RunnerContext, key: &JobKey, has_place: bool) -> Option<Reservation> {
    let mut capacity = context.provider.capacity();
    let mut tries = 0;
    loop {
        capacity.mark_unchanged();
        let error = match acquire(context).await {
            Ok(reservation) => return Some(reservation),
            Err(error) => error,
        };
        tries += 1;
        if has_place || tries == TRIES {
            tracing::warn!(job = %key, error = %chain(&error), "no room is reserved for a job of an earlier process");
            return None;
        }
        tokio::select! {
            biased;
            () = sleep(PAUSE) => {}
            Ok(()) = capacity.changed() => {}
        }
    }
}

/// Removes what earlier processes created and no job owns.
async fn sweep(runner: &Runner, shared: &Shared, unknown: Vec<JobKey>) {
    let Some(janitor) = runner.context.provider.janitor() else { return };
    let live: Vec<JobKey> = shared.jobs().into_iter().map(|(key, _)| key).chain(unknown).collect();
    let orphans = match janitor.scan(&live).await {
        Ok(orphans) => orphans,
        Err(error) => {
            tracing::warn!(runner = %runner.name(), error = %chain(&error), "looking for remains failed");
            return;
        }
    };
    for orphan in orphans {
        match janitor.reap(&orphan).await {
            Ok(()) => tracing::info!(location = %orphan.location, "remains of an earlier process removed"),
            Err(error) => {
                tracing::warn!(location = %orphan.location, error = %chain(&error), "remains of an earlier process stay");
            }
        }
    }
}
