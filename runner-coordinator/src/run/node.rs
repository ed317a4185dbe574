//! One job of a running pipeline.

use std::time::SystemTime;

use super::action::{End, Finished};
use super::retry::is_retried;
use super::status::{Status, StatusSet};
use super::view::{JobView, Try};
use crate::core::JobId;
use crate::pipeline::{AllowFailure, Job};

/// A job and what has become of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) job: Job,
    pub(super) status: Status,
    pub(super) failure_allowed: bool,
    /// Does not wait to be played.
    pub(super) played: bool,
    /// It is decided that it runs, but its next try does not exist yet.
    pub(super) ready: bool,
    /// When its delay is over.
    pub(super) wake: Option<SystemTime>,
    /// Its resource group, expanded; known once it has been ready.
    pub(super) resource: Option<String>,
    pub(super) tries: Vec<Try>,
}

impl Node {
    pub(super) fn new(job: Job, played: bool) -> Self {
        Self {
            status: Status::Created,
            failure_allowed: job.allow_failure == AllowFailure::Yes,
            played,
            ready: false,
            wake: None,
            resource: None,
            tries: Vec::new(),
            job,
        }
    }

    pub(super) fn view(&self) -> JobView<'_> {
        JobView {
            job: &self.job,
            status: self.status,
            failure_allowed: self.failure_allowed,
            tries: &self.tries,
        }
    }

    pub(super) fn add_to(&self, set: &mut StatusSet) {
        set.insert(self.status, self.failure_allowed);
    }

    /// Whether its last try is in the queue, or a runner has it.
    pub(super) fn is_on_runner(&self) -> bool {
        !self.ready && matches!(self.status, Status::Pending | Status::Running | Status::Canceling)
    }

    pub(super) fn set_status(&mut self, status: Status) {
        self.status = status;
        if let Some(last) = self.tries.last_mut() {
            last.status = status;
        }
    }

    /// Runs it (again) as soon as possible.
    pub(super) fn requeue(&mut self) {
        self.ready = true;
        self.wake = None;
        self.status = Status::Pending;
        self.failure_allowed = self.job.allow_failure == AllowFailure::Yes;
    }

    pub(super) fn begin(&mut self, id: JobId, now: SystemTime) {
        self.ready = false;
        self.tries.push(Try::queued(id, now));
        self.set_status(Status::Pending);
    }

    pub(super) fn end_at_once(&mut self, id: JobId, status: Status, now: SystemTime) {
        self.begin(id, now);
        self.set_status(status);
        if let Some(last) = self.tries.last_mut() {
            last.started = Some(now);
            last.finished = Some(now);
        }
    }

    pub(super) fn finish(&mut self, finished: Finished, now: SystemTime) {
        let Finished { end, exit_code, archive, dotenv } = finished;
        let (status, reason) = match end {
            _ if self.status == Status::Canceling => (Status::Canceled, None),
            End::Success => (Status::Success, None),
            End::Failed { reason } => (Status::Failed, Some(reason)),
            End::Canceled => (Status::Canceled, None),
        };
        if let AllowFailure::ExitCodes(codes) = &self.job.allow_failure {
            let is_listed = codes.iter().any(|code| Some(i64::from(*code)) == exit_code);
            self.failure_allowed = status == Status::Failed && is_listed;
        }
        self.set_status(status);
        if let Some(last) = self.tries.last_mut() {
            last.finished = Some(now);
            last.failure_reason = reason;
            last.exit_code = exit_code;
            last.archive = archive;
            last.dotenv = dotenv;
        }
    }

    pub(super) fn wants_retry(&self) -> bool {
        let Some(last) = self.tries.last().filter(|_| self.status == Status::Failed) else { return false };
        let reason = last.failure_reason.as_deref().unwrap_or("unknown_failure");
        is_retried(&self.job.retry, reason, last.exit_code, self.tries.len())
    }

    /// Cancels it unless it has ended or is manual. Returns the id of a try that the host has to stop.
    pub(super) fn cancel(&mut self, now: SystemTime) -> Option<JobId> {
        let on_runner = self.is_on_runner().then(|| self.tries.last().map(|last| last.id)).flatten();
        match self.status {
            Status::Running => self.set_status(Status::Canceling),
            Status::Pending if on_runner.is_some() => {
                self.set_status(Status::Canceled);
                if let Some(last) = self.tries.last_mut() {
                    last.finished = Some(now);
                }
            }
            Status::Created | Status::Pending | Status::WaitingForResource | Status::Scheduled => {
                self.status = Status::Canceled;
                self.ready = false;
                self.wake = None;
            }
            _ => return None,
        }
        on_runner
    }
}
