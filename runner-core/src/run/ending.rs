//! [`Ending`]: ends a stage whose time has come, step by step.

use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::time::{sleep, timeout};

use super::JobControl;
use super::limits::Limits;
use super::record::Record;
use crate::executor::{Environment, StageKey, Stop};
use crate::journal::StopReason;

/// What an environment gets beyond the grace to see a stage end, before and after it is killed.
const MARGIN: Duration = Duration::from_secs(10);
/// How long an environment may take to pass a request on. It has a deadline of its own; this is for one that forgets it.
const PASSING_ON: Duration = Duration::from_secs(60);

/// Watches over one stage while it runs: asks it to end when that is due, then kills it, then gives up.
///
/// It runs beside whatever reads the stage's output and is never dropped in between: a stage that prints all the time must
/// not keep a slow request from arriving.
pub(super) struct Ending<'a> {
    environment: &'a dyn Environment,
    control: &'a JobControl,
    record: &'a Record,
    key: &'a StageKey,
    limits: Limits,
    grace: Duration,
    reason: SetOnce<StopReason>,
}

impl<'a> Ending<'a> {
    /// Ends stage `key` when `limits` say so; `grace` is the time between asking its processes to end and killing them.
    pub(super) fn new(
        environment: &'a dyn Environment,
        control: &'a JobControl,
        record: &'a Record,
        key: &'a StageKey,
        limits: Limits,
        grace: Duration,
    ) -> Self {
        Self { environment, control, record, key, limits, grace, reason: SetOnce::new() }
    }

    /// Why the stage has been asked to end, if it has.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// Waits until the stage is asked to end.
    pub(super) async fn begun(&self) -> StopReason {
        *self.reason.wait().await
    }

    /// Does its work; begins with it at once if an earlier process had begun with it, for the reason `earlier`. Returns only when
    /// nothing more can be done: the stage has been killed and does not end.
    pub(super) async fn run(&self, earlier: Option<StopReason>) -> StopReason {
        let reason = match earlier {
            Some(reason) => reason,
            None => self.limits.reached(self.control).await,
        };
        // First: a stage that ends because it was asked to must not be taken for one that ended by itself.
        self.record.update(|progress| progress.stopping = Some(reason));
        // Nobody else sets it.
        let _ = self.reason.set(reason);
        self.terminate().await;
        sleep(self.grace.saturating_add(MARGIN)).await;
        self.ask(Stop::Kill).await;
        sleep(MARGIN).await;
        reason
    }

    /// Asks the stage to end.
    pub(super) async fn terminate(&self) {
        self.ask(Stop::Terminate { grace: self.grace }).await;
    }

    async fn ask(&self, how: Stop) {
        match timeout(PASSING_ON, self.environment.stop(self.key, how)).await {
            Ok(Ok(())) => {}
            // A firmer request follows.
            Ok(Err(error)) => {
                tracing::warn!(stage = %self.key, %error, "the request to stop a stage may not have arrived");
            }
            Err(_) => tracing::warn!(stage = %self.key, "the request to stop a stage does not arrive"),
        }
    }
}
