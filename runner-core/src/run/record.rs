//! [`Record`]: a job's progress, written down as it changes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::JobControl;
use super::context::{JobTask, RunnerContext};
use super::limits::{LONGEST, TimeLimit};
use crate::executor::{JobKey, StageKey};
use crate::journal::{Limited, Pause, Progress, ScriptLimits, StageOutcome, StageRecord, StopReason};
use crate::observe::{Happening, changes};

/// A job's progress with the journal that keeps it.
#[derive(Debug)]
pub(super) struct Record {
    runner: Arc<RunnerContext>,
    key: JobKey,
    control: JobControl,
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

/// Who began with a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// This process, now.
    Now,
    /// An earlier process, which may have asked it to end.
    Earlier(Option<StopReason>),
}

impl Record {
    /// The record of a job that has come as far as `progress` says. Nothing is written yet.
    pub(super) fn of(task: &JobTask, progress: Progress) -> Self {
        Self {
            runner: Arc::clone(&task.runner),
            key: task.assignment.key.clone(),
            control: task.control.clone(),
            progress: Mutex::new(progress),
            changed: watch::Sender::new(()),
        }
    }

    /// Changes something and writes it down, together with what the job has been asked for.
    ///
    /// A journal that cannot be written does not stop a job that runs: it only means that its end may be reported as a
    /// system failure if this process dies, too.
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        for happening in self.write(change) {
            self.runner.tell(&self.key, happening);
        }
        self.changed.send_replace(());
    }

    fn write(&self, change: impl FnOnce(&mut Progress)) -> Vec<Happening> {
        let mut progress = self.lock();
        let before = progress.clone();
        change(&mut progress);
        progress.cancel = self.control.state().or(progress.cancel);
        if let Err(error) = self.runner.journal.save(&self.key, &progress) {
            tracing::error!(job = %self.key, %error, "the job's progress cannot be written down");
        }
        changes(&before, &progress)
    }

    /// Rings when something has changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Begins with a stage, and writes it down.
    pub(super) fn begin(&self, key: &StageKey) -> Begun {
        let earlier = {
            let progress = self.lock();
            (progress.stage.as_ref() == Some(key)).then_some(Begun::Earlier(progress.stopping))
        };
        if let Some(earlier) = earlier {
            return earlier;
        }
        self.update(|progress| {
            progress.stage = Some(key.clone());
            progress.stopping = None;
        });
        Begun::Now
    }

    /// A stage is over, and its output is in the log's checkpoint.
    pub(super) fn ended(&self, key: &StageKey, outcome: &StageOutcome) {
        let record = StageRecord { key: key.clone(), outcome: outcome.clone() };
        self.update(|progress| progress.stages.push(record));
    }

    /// How a stage went that is over.
    pub(super) fn outcome(&self, key: &StageKey) -> Option<StageOutcome> {
        self.lock().stages.iter().find(|stage| stage.key == *key).map(|stage| stage.outcome.clone())
    }

    /// A limit that begins now, unless it began earlier. It is written down with what comes next.
    pub(super) fn limit(&self, what: Limited, length: Duration) -> TimeLimit {
        let now = self.runner.clock.now();
        let end = *self.lock().limits.entry(what).or_insert_with(|| now + length.min(LONGEST));
        TimeLimit::until(what, length, end, now)
    }

    /// The limits of the scripts, if they were decided.
    pub(super) fn script_limits(&self) -> Option<ScriptLimits> {
        self.lock().script_limits
    }

    /// Keeps the limits of the scripts. They are written down with what comes next.
    pub(super) fn decide(&self, limits: ScriptLimits) {
        self.lock().script_limits = Some(limits);
    }

    /// Begins a pause before a try of a stage, or goes on with it: how much of it is left. `None`: the try has begun.
    pub(super) fn pause(&self, before: &StageKey, length: Duration) -> Option<Duration> {
        let now = self.runner.clock.now();
        let earlier = {
            let progress = self.lock();
            let over = progress.stages.iter().any(|stage| stage.key == *before);
            if over || progress.stage.as_ref() == Some(before) {
                return None;
            }
            progress.pause.as_ref().filter(|pause| pause.before == *before).map(|pause| pause.until)
        };
        if let Some(until) = earlier {
            return Some(until.duration_since(now).unwrap_or_default().min(length));
        }
        let until = now + length;
        self.update(|progress| progress.pause = Some(Pause { before: before.clone(), until }));
        Some(length)
    }

    /// Writes down what the job is asked for as soon as it is asked.
    pub(super) async fn note_wishes(&self) -> Infallible {
        let mut wishes = self.control.changes();
        loop {
            if wishes.borrow_and_update().is_some() {
                self.update(|_| {});
            }
            if wishes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What is written down.
    pub(super) fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Forgets the job: it is over and GitLab knows.
    pub(super) fn remove(&self) {
        if let Err(error) = self.runner.journal.remove(&self.key) {
            tracing::warn!(job = %self.key, %error, "the job's record cannot be removed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
