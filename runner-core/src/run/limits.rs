//! What may end a job or a stage before it ends by itself.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};

use super::JobControl;
use crate::journal::{CancelState, Limit, Limited, StopReason};
use crate::observe::StageResult;

/// The longest time that is waited for anything: longer limits are those of a server or user who means "for ever", and a
/// point in time behind them cannot be computed.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The point in time after `length` from now.
pub(super) fn after(length: Duration) -> Instant {
    Instant::now() + length.min(LONGEST)
}

/// A limit that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeLimit {
    pub(super) limit: Limit,
    /// When its time is over.
    pub(super) end: Instant,
}

impl TimeLimit {
    /// A limit that begins now.
    pub(super) fn from_now(what: Limited, length: Duration) -> Self {
        Self { limit: Limit { what, length }, end: after(length) }
    }

    /// A limit that began earlier, perhaps in another process, and ends at `end` when it is `now`. A clock that was set back
    /// makes nothing last longer than it may.
    pub(super) fn until(what: Limited, length: Duration, end: SystemTime, now: SystemTime) -> Self {
        let left = end.duration_since(now).unwrap_or_default().min(length);
        Self { limit: Limit { what, length }, end: after(left) }
    }
}

impl StopReason {
    /// For observers.
    pub(super) fn result(self) -> StageResult {
        let of = |limit: Limit| StageResult::TimedOut { what: limit.what.to_string(), limit: limit.length };
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
            return Some(StopReason::JobTimeout(self.job.limit));
        }
        self.stage.filter(|stage| now >= stage.end).map(|stage| StopReason::StageTimeout(stage.limit))
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
