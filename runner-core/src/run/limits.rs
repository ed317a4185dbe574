//! What may end a job or a stage before it ends by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::JobControl;
use crate::journal::CancelState;
use crate::observe::StageResult;

/// The longest time that is waited for anything: longer limits are those of a server or user who means "for ever", and a
/// point in time behind them cannot be computed.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The point in time after `length` from now.
pub(super) fn after(length: Duration) -> Instant {
    Instant::now() + length.min(LONGEST)
}

/// A limit, as it runs and as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeLimit {
    /// What is limited: `the script`.
    pub(super) what: &'static str,
    /// How long it may take.
    pub(super) length: Duration,
    /// When that is over.
    pub(super) end: Instant,
}

impl TimeLimit {
    /// A limit that begins now.
    pub(super) fn from_now(what: &'static str, length: Duration) -> Self {
        Self { what, length, end: after(length) }
    }
}

/// Why the core ends something before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// GitLab asked for it, gracefully.
    Canceled,
    /// The runner is being stopped.
    Interrupted,
    /// GitLab asked for it, at once.
    Aborted,
    /// The runner is being stopped, at once.
    InterruptedAtOnce,
    /// The job's time is over.
    JobTimeout(TimeLimit),
    /// The stage's own time is over.
    StageTimeout(TimeLimit),
}

impl StopReason {
    /// For observers.
    pub(super) fn result(self) -> StageResult {
        let of =
            |limit: TimeLimit| StageResult::TimedOut { what: limit.what.to_owned(), limit: limit.length };
        match self {
            Self::Canceled => StageResult::Stopped(CancelState::Graceful),
            Self::Aborted => StageResult::Stopped(CancelState::Abort),
            Self::Interrupted => StageResult::Stopped(CancelState::Interrupted),
            Self::InterruptedAtOnce => StageResult::Stopped(CancelState::InterruptedAtOnce),
            Self::JobTimeout(limit) | Self::StageTimeout(limit) => of(limit),
        }
    }

    /// Whether time is over, and not patience.
    pub(super) fn is_timeout(self) -> bool {
        matches!(self, Self::JobTimeout(_) | Self::StageTimeout(_))
    }
}

impl From<CancelState> for StopReason {
    fn from(wish: CancelState) -> Self {
        match wish {
            CancelState::Graceful => StopReason::Canceled,
            CancelState::Interrupted => StopReason::Interrupted,
            CancelState::Abort => StopReason::Aborted,
            CancelState::InterruptedAtOnce => StopReason::InterruptedAtOnce,
        }
    }
}

/// What may end something early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// When the job has to be over.
    pub(super) job: TimeLimit,
    /// When the stage has to be over, if it has a limit of its own.
    pub(super) stage: Option<TimeLimit>,
    /// The weakest wish that counts.
    pub(super) least: CancelState,
}

impl Limits {
    /// The wish that was uttered or the limit that is over, if any.
    pub(super) fn due(&self, control: &JobControl) -> Option<StopReason> {
        if let Some(wish) = control.at_least(self.least) {
            return Some(wish.into());
        }
        let now = Instant::now();
        if now >= self.job.end {
            return Some(StopReason::JobTimeout(self.job));
        }
        self.stage.filter(|stage| now >= stage.end).map(StopReason::StageTimeout)
    }

    /// Waits until something is due.
    pub(super) async fn reached(&self, control: &JobControl) -> StopReason {
        let first = self.stage.map_or(self.job.end, |stage| stage.end.min(self.job.end));
        loop {
            if let Some(reason) = self.due(control) {
                return reason;
            }
            tokio::select! {
                biased;
                _ = control.requested(self.least) => {}
                () = sleep_until(first) => {}
            }
        }
    }
}
