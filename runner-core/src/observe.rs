//! What happens to jobs, as typed events for whoever wants to know: metrics, a user interface, an audit log.
//!
//! Most events are changes of what the [journal](crate::journal) holds, told right after they were written down, so that an
//! observer never knows more than a successor of this process would.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use crate::executor::{JobKey, Place, Slots, StageEnd, StageKey};
use crate::journal::{CancelState, Progress, Verdict};

/// Takes events, in the order in which they happen to each job.
///
/// It is called by the task of the job that the event is about, which goes on when the call returns: whoever has more to do than
/// to count or to send must do it elsewhere. A panic of an observer is logged and goes no further.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use runner_core::observe::{Event, Happening, Observer};
///
/// #[derive(Debug, Default)]
/// struct Failures(AtomicU64);
///
/// impl Observer for Failures {
///     fn observe(&self, event: &Event) {
///         if let Happening::Ended(verdict) = &event.happening
///             && !verdict.is_success()
///         {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + fmt::Debug {
    /// Something happened.
    fn observe(&self, event: &Event);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &Event) {}
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, by the manager's clock.
    pub at: SystemTime,
    /// To which job.
    pub job: JobKey,
    /// What.
    pub happening: Happening,
}

/// What may happen to a job, in the order in which it usually does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Happening {
    /// GitLab handed it out and it was written down.
    Accepted {
        /// Its name in the pipeline.
        name: String,
        /// Id of its project.
        project: u64,
        /// Numbers that it holds.
        slots: Slots,
    },
    /// An earlier process had accepted it; what that one left is being dealt with.
    Inherited,
    /// GitLab knows that it was accepted, or could not be asked.
    Acknowledged,
    /// It has a place.
    Prepared(Place),
    /// A try of a stage begins.
    StageStarted(StageKey),
    /// A try of a stage is over.
    StageEnded {
        /// Which.
        stage: StageKey,
        /// How it went.
        result: StageResult,
    },
    /// Somebody asked it to end, or to end more firmly.
    EndRequested(CancelState),
    /// The user's scripts are over.
    ScriptEnded(Verdict),
    /// It is over; what is left is to tell GitLab.
    Ended(Verdict),
    /// Nothing more will be told to GitLab by this process.
    Reported(Report),
}

/// How a try of a stage went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StageResult {
    /// It ended by itself.
    Ended(StageEnd),
    /// It was ended because somebody asked for it.
    Stopped(CancelState),
    /// It was ended because a time was over.
    TimedOut {
        /// What took too long: `the script`.
        what: String,
        /// How long it might have taken.
        limit: Duration,
    },
    /// It was to be ended and goes on all the same.
    Stuck,
    /// Its place is gone, or silent.
    Lost(String),
    /// It asks for something that does not exist, and was not run.
    Refused(String),
}

/// What GitLab knows of a job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// The whole log and the final state.
    Delivered,
    /// What it wanted to know: it takes nothing more of this job, for this reason.
    Unwanted(String),
    /// Not everything; the record is kept and the next start tries again.
    Kept(String),
}

/// Tells an observer. Its panics end here.
pub(crate) fn tell(observer: &dyn Observer, event: &Event) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.observe(event))) {
        let panic: &(dyn Any + Send) = &*panic;
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(job = %event.job, panic = text.unwrap_or("no reason given"), "an observer panicked");
    }
}

/// What it means that a job's progress has changed from `before` to `after`.
pub(crate) fn changes(before: &Progress, after: &Progress) -> Vec<Happening> {
    let mut found = Vec::new();
    if before.cancel != after.cancel {
        found.extend(after.cancel.map(Happening::EndRequested));
    }
    if before.place.is_none() {
        found.extend(after.place.clone().map(Happening::Prepared));
    }
    if before.stage != after.stage {
        found.extend(after.stage.clone().map(Happening::StageStarted));
    }
    if before.script.is_none() {
        found.extend(after.script.clone().map(Happening::ScriptEnded));
    }
    if before.verdict.is_none() {
        found.extend(after.verdict.clone().map(Happening::Ended));
    }
    found
}
